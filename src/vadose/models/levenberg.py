"""Levenberg-Marquardt for small networks: Gauss-Newton steps, as bold as the last ones allow.

With the residuals ``e`` of the weighted samples and their Jacobian ``J`` a step ``d`` solves

    (JᵀJ / W + μ I) d = −Jᵀe / W,        W = sum of the weights.

The damping ``μ`` is divided by ten after a step that lowers the loss, and multiplied by ten until one
does. Divided by ``W``, it means the same for tables of any length. ``J`` is made batch by batch and never
whole. All is done in double precision. Read `train` from top to bottom; it takes what
`vadose.models.training.train` takes.

References
----------
Hagan and Menhaj (1994), IEEE Trans. Neural Netw. 5:989, doi:10.1109/72.329697, whose schedule this is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from vadose.errors import ModelProblem
from vadose.models.base import Progress, quiet
from vadose.models.training import Data, History, Plan, State, device, seeded, squared_errors

#: First damping, what it is divided or multiplied by, and its limits.
DAMPING, FACTOR, LEAST_DAMPING, MOST_DAMPING = 1e-3, 10.0, 1e-20, 1e10
#: Largest entry of the gradient at which there is nothing left to learn.
LEAST_GRADIENT = 1e-7
#: Rows of the Jacobian at once: 2048 for 3000 weights are 50 MB.
AT_ONCE = 2048
#: Columns of JᵀJ at once; of those above the diagonal only the blocks on it are computed.
COLUMNS = 384

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Normal:
    """Hold the normal equations of some samples at some weights.

    Attributes
    ----------
    curvature
        JᵀJ / W, dims ``(weight, weight)``.
    gradient
        Jᵀe / W, dims ``(weight,)``: half the gradient of the loss.
    loss
        eᵀe / W, the weighted mean of the squared residuals.
    """

    curvature: Tensor
    gradient: Tensor
    loss: float

    def step(self, damping: float) -> Tensor | None:
        """Solve for a step; None when so little damping leaves the equations singular in rounding."""
        damped = self.curvature + damping * torch.eye(len(self.gradient)).to(self.curvature)
        factor, failure = torch.linalg.cholesky_ex(damped)
        if int(failure):
            return None
        return -torch.cholesky_solve(self.gradient[:, None], factor)[:, 0]


def train(
    module: nn.Module,
    training: Data,
    validation: Data | None,
    plan: Plan,
    *,
    checkpoint: Path | None = None,
    progress: Progress = quiet,
) -> History:
    """Fit a module's weights, in place.

    Parameters
    ----------
    module
        Gives ``(sample, output)`` for ``(sample, feature)``, and the same whatever stands beside a
        sample: no dropout, no batch norm.
    training, validation
        What to learn from, and what to stop by.
    plan
        ``epochs`` are steps, at most; ``batch`` is the largest number of samples that a step is made
        of, drawn anew for each; ``patience`` and ``seed`` as ever. The rest does not count.
    checkpoint
        As in `vadose.models.training.train`.
    progress
        Told after each step, with the losses and the damping.

    Returns
    -------
    History
        The loss of each step, after it, on the samples it was made of. Besides `plan`, training ends
        when the gradient vanishes or no damping yields a better step.

    Raises
    ------
    ModelProblem
        A residual that is not finite: of which samples.
    """
    module.to(device=device(), dtype=torch.float64)
    memory = Memory(module)
    state = State(plan, training, module, memory, checkpoint)
    state.resume()
    for epoch in range(state.epoch, plan.epochs):
        if plan.patience and validation is not None and state.stale >= plan.patience:
            break
        rows = _drawn(len(training.X), plan, epoch)
        loss = improve(module, training, rows, memory, f"step {epoch + 1}")
        if loss is None:
            break
        note = f"loss {loss:.4f}"
        judged = loss
        if validation is not None:
            judged = mean_loss(module, _weights(module), validation)
            note += f", validation {judged:.4f}"
        is_kept = judged < state.best_loss if plan.patience and validation is not None else True
        state.advance(loss, None if validation is None else judged, is_kept=is_kept)
        progress(epoch + 1, plan.epochs, f"{note}, damping {memory.damping:.0e}")
    module.load_state_dict(state.best)
    module.float().eval()
    return state.history


class Memory(torch.optim.Optimizer):
    """Keep the damping where checkpoints look for what an optimiser remembers."""

    def __init__(self, module: nn.Module, damping: float = DAMPING) -> None:
        super().__init__(module.parameters(), {})
        self.damping = damping

    @property
    def damping(self) -> float:
        """What the next step is tried with first."""
        return float(self._kept()["damping"])

    @damping.setter
    def damping(self, value: float) -> None:
        self._kept()["damping"] = torch.tensor(value, dtype=torch.float64)

    def _kept(self) -> dict[str, Tensor]:
        kept: dict[str, Tensor] = self.state[self.param_groups[0]["params"][0]]
        return kept


def improve(
    module: nn.Module, data: Data, rows: Tensor, memory: Memory, place: str = "step"
) -> float | None:
    """Take one step that lowers the loss of some samples; give that loss, or None if there is no step.

    Raises
    ------
    ModelProblem
        A residual that is not finite.
    """
    start = _weights(module)
    normal = normal_equations(module, data, rows, place)
    if float(normal.gradient.abs().max()) < LEAST_GRADIENT:
        return None
    while memory.damping <= MOST_DAMPING:
        step = normal.step(memory.damping)
        if step is not None:
            trial = _moved(start, step)
            loss = mean_loss(module, trial, data, rows)
            if loss < normal.loss:
                module.load_state_dict(trial)
                memory.damping = max(memory.damping / FACTOR, LEAST_DAMPING)
                return loss
        memory.damping *= FACTOR
    return None


def normal_equations(module: nn.Module, data: Data, rows: Tensor, place: str = "step") -> Normal:
    """Sum the normal equations of some samples over batches; their weights and outputs all count.

    Raises
    ------
    ModelProblem
        A residual that is not finite.
    """
    weights = _weights(module)

    def twice(weights: Weights, features: Tensor) -> tuple[Tensor, Tensor]:
        predicted = functional_call(module, dict(weights), (features[None],))[0]
        return predicted, predicted

    slopes_of = vmap(jacrev(twice, has_aux=True), in_dims=(None, 0))
    size = sum(one.numel() for one in weights.values())
    where = next(iter(weights.values())).device
    curvature = torch.zeros((size, size), dtype=torch.float64, device=where)
    gradient = torch.zeros(size, dtype=torch.float64, device=where)
    total = share = 0.0
    for numbers, batch in _batches(data, rows, where):
        slopes, predicted = slopes_of(weights, batch.X)
        errors, known = squared_errors(predicted, batch)
        if not torch.isfinite(errors).all():
            _name_culprits(errors, numbers, place)
        jacobian = torch.cat([one.flatten(2) for one in slopes.values()], dim=2)
        residual = torch.where(known > 0, predicted - torch.nan_to_num(batch.y), 0.0)
        jacobian = (jacobian * known.sqrt()[..., None]).flatten(0, 1)
        gradient += jacobian.T @ (residual * known.sqrt()).flatten()
        for start in range(0, size, COLUMNS):
            columns = slice(start, start + COLUMNS)
            curvature[columns, : columns.stop] += (
                jacobian[:, columns].T @ jacobian[:, : columns.stop]
            )
        total += float(errors.sum())
        share += float(known.sum())
    lower = curvature.tril()
    return Normal((lower + lower.tril(-1).T) / share, gradient / share, total / share)


@torch.no_grad()
def mean_loss(module: nn.Module, weights: Weights, data: Data, rows: Tensor | None = None) -> float:
    """Give the weighted mean of the squared residuals at some weights, in double precision."""
    total = share = 0.0
    where = next(iter(weights.values())).device
    for _, batch in _batches(data, torch.arange(len(data.X)) if rows is None else rows, where):
        predicted = functional_call(module, dict(weights), (batch.X,))
        errors, known = squared_errors(predicted, batch)
        total += float(errors.sum())
        share += float(known.sum())
    return total / max(share, 1e-12)


def _batches(data: Data, rows: Tensor, where: torch.device) -> Iterator[tuple[Tensor, Data]]:
    for numbers in torch.split(rows, max(AT_ONCE // data.y.shape[-1], 1)):
        batch = data.take(numbers, where)
        yield numbers, Data(batch.X.double(), batch.y.double(), batch.weight.double())


def _drawn(samples: int, plan: Plan, epoch: int) -> Tensor:
    """Choose the samples of a step, in the order of the table."""
    if samples <= plan.batch:
        return torch.arange(samples)
    with seeded(plan.seed, epoch):
        return torch.randperm(samples)[: plan.batch].sort().values


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: one.detach().clone() for name, one in module.named_parameters()}


def _moved(weights: Weights, step: Tensor) -> dict[str, Tensor]:
    parts = torch.split(step, [one.numel() for one in weights.values()])
    return {
        name: one + part.view_as(one)
        for (name, one), part in zip(weights.items(), parts, strict=True)
    }


def _name_culprits(errors: Tensor, rows: Tensor, place: str) -> None:
    culprits = rows[~torch.isfinite(errors).all(dim=1).cpu()].tolist()
    raise ModelProblem(
        f"training, {place}",
        found=f"residuals that are not finite, in {len(culprits)} of {len(rows)} samples "
        f"({', '.join(map(str, culprits[:5]))}{', …' if len(culprits) > 5 else ''})",
        expected="numbers",
        remedy="Look for impossible values in these samples.",
    )
