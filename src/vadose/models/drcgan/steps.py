"""The two steps of the training: supervised, and then against judges as well.

Order, windows and dropout of an epoch follow from the seed and its number, so that a training that was stopped
goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vadose.errors import ModelProblem
from vadose.models import training
from vadose.models.base import Progress, quiet
from vadose.models.drcgan.channels import View
from vadose.models.drcgan.losses import Weights, compete, make, supervise
from vadose.models.drcgan.networks import Cycle, DeepResidual
from vadose.models.drcgan.samples import Batch, Deal, fingerprint
from vadose.models.training import Data, History, Plan, State

#: Seed of the windows that trainings are judged on, beside the plan's.
JUDGED_ON = 2**31


@dataclass(frozen=True)
class Task:
    """Say what is learned from and judged on.

    Attributes
    ----------
    scenes, held
        To learn from, and to be judged on at hidden values.
    weights
        Of the losses.
    crop
        Most cells along the side of a window.
    """

    scenes: Sequence[View]
    held: Sequence[View]
    weights: Weights
    crop: int

    @property
    def departure(self) -> float:
        """Give the spread of the satellite about the guess."""
        return self.scenes[0].encoding.departure

    @property
    def told(self) -> int:
        """Give the number of channels that are shown to both generators."""
        return self.scenes[0].encoding.told


def train(
    cycle: Cycle,
    task: Task,
    plan: Plan,
    *,
    is_adversarial: bool,
    checkpoint: Path | None = None,
    progress: Progress = quiet,
) -> History:
    """Train all networks, in place, and leave those of the best epoch.

    Losses of the history are, for ``training``, those of the generators and, for ``validation``, the mean
    squared error at held-out gaps, in units of the first guess's.

    Raises
    ------
    ModelProblem
        A loss that is not finite.
    """
    data = _key(cycle, task, is_adversarial=is_adversarial)
    where = training.device()
    cycle.to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(
        [one for one in cycle.parameters() if one.requires_grad],
        lr=plan.rate,
        weight_decay=plan.decay,
    )
    state = State(plan, data, cycle, optimiser, checkpoint)
    state.resume()
    deal = Deal(task.scenes, task.crop, plan.batch)
    for epoch in range(state.epoch, plan.epochs):
        if plan.patience and task.held and state.stale >= plan.patience:
            break
        for group in optimiser.param_groups:
            group["lr"] = plan.rate_at(epoch)
        rng = np.random.default_rng([plan.seed, epoch])
        with training.seeded(plan.seed, epoch):
            cycle.train()
            losses = []
            for count, batch in enumerate(deal.batches(rng, where, flips=True)):
                loss = _one_step(cycle, batch, task, plan, optimiser, is_adversarial=is_adversarial)
                if not np.isfinite(loss):
                    raise ModelProblem(
                        f"training, epoch {epoch + 1}, batch {count + 1}",
                        found="a loss that is not finite",
                        expected="a number",
                        remedy="Lower the rate, or look for impossible values in the scenes.",
                    )
                losses.append(loss)
        loss = float(np.mean(losses))
        judged = evaluate(cycle.steady, task, plan).error() if task.held else None
        is_kept = not plan.patience or judged is None or judged < state.best_loss
        state.advance(loss, judged, is_kept=is_kept)
        note = f"loss {loss:.4f}" + ("" if judged is None else f", held-out gaps {judged:.4f}")
        progress(epoch + 1, plan.epochs, note)
    cycle.load_state_dict(state.best)
    cycle.eval()
    return state.history


def _key(cycle: Cycle, task: Task, *, is_adversarial: bool) -> Data:
    """Tell this training from others: its scenes, the weights that it begins with, and what else counts."""
    numbers = [*vars(task.weights).values(), task.crop, is_adversarial, len(task.held)]
    weights = [one.detach().cpu().double().ravel() for one in cycle.state_dict().values()]
    return Data(
        fingerprint([*task.scenes, *task.held]),
        torch.tensor(numbers, dtype=torch.float64),
        torch.cat(weights),
    )


def _one_step(
    cycle: Cycle,
    batch: Batch,
    task: Task,
    plan: Plan,
    optimiser: torch.optim.Optimizer,
    *,
    is_adversarial: bool,
) -> float:
    optimiser.zero_grad(set_to_none=True)
    with training.precision(batch.truth.device, is_mixed=plan.is_mixed):
        if is_adversarial:
            loss, judged = compete(cycle, batch, task.weights, task.departure, task.told)
        else:
            loss = supervise(cycle, batch, task.weights, task.departure, task.told)
            judged = None
    loss.backward()  # type: ignore[no-untyped-call]
    if judged is not None:
        judged.backward()  # type: ignore[no-untyped-call]
    for network in (cycle.forth, cycle.back, cycle.judge_satellite, cycle.judge_model):
        nn.utils.clip_grad_norm_(network.parameters(), plan.clip)
    optimiser.step()
    cycle.follow()
    return float(loss.detach())


@dataclass(frozen=True)
class Judgement:
    """Hold sums over held-out gaps, in units of the guess's spread in training.

    Attributes
    ----------
    count
        Values.
    guess
        Squared errors of the guess.
    product, square
        Of what the network adds: its product with what the guess lacks, and its square.
    """

    count: float
    guess: float
    product: float
    square: float

    def error(self, share: float = 1.0) -> float:
        """Give the mean squared error when a share of what the network adds is added."""
        total = self.guess - 2 * share * self.product + share**2 * self.square
        return max(total, 0.0) / max(self.count, 1.0)

    @property
    def best(self) -> float:
        """Give the mean squared error with the best share."""
        return self.error(self.best_share)

    @property
    def best_share(self) -> float:
        """Give the share with the smallest error, from nothing to all."""
        return float(np.clip(self.product / self.square, 0.0, 1.0)) if self.square > 0 else 1.0


@torch.no_grad()
def evaluate(network: DeepResidual, task: Task, plan: Plan) -> Judgement:
    """Judge a network at held-out gaps."""
    network.eval()
    where = next(network.parameters()).device
    sums = np.zeros(4)
    deal = Deal(task.held, task.crop, plan.batch)
    rng = np.random.default_rng([plan.seed, JUDGED_ON])
    for batch in deal.batches(rng, where, flips=False):
        with training.precision(where, is_mixed=plan.is_mixed):
            added = (make(network, batch, task.departure) - batch.guess) / task.departure
        lacking = (batch.truth - batch.guess) / task.departure
        terms = (torch.ones_like(added), lacking.square(), lacking * added, added.square())
        sums += [float((term * batch.hidden).sum(dtype=torch.float64)) for term in terms]
    return Judgement(*map(float, sums))
