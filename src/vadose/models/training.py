"""The training loop of every network: masked loss, early stop, and checkpoints that resume to the same bits.

Read `train` from top to bottom. Nothing random outlives an epoch: order and dropout of each one follow
from the seed and its number, so that a training that was stopped goes on as if it had not been.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vadose.errors import ModelProblem
from vadose.models.base import Progress, quiet
from vadose.store import replaced

#: Seconds between checkpoints; an epoch is the least that lies between two.
CHECKPOINT_SECONDS = 10.0
#: Version of the layout of checkpoints; one of another version is not taken up.
LAYOUT = 1
#: Kinds of devices on which networks compute in bfloat16 where that is safe.
MIXED_ON = ("cuda",)


@dataclass(frozen=True)
class Plan:
    """Say how to train.

    Attributes
    ----------
    epochs
        Passes through the samples, at most.
    batch
        Samples per step.
    rate
        Largest learning rate of AdamW; it rises over the first twentieth of the epochs and then falls to
        nearly zero along a cosine.
    decay
        Weight decay.
    patience
        Epochs without a better validation loss after which to stop; 0: all epochs, last weights.
    clip
        Largest norm of a gradient.
    skip
        Most first steps of sequences that are left out of a batch, as many as chance says.
    seed
        Same seed, same weights.
    is_mixed
        A GPU may compute in bfloat16, see `precision`.
    """

    epochs: int
    batch: int
    rate: float
    decay: float = 0.0
    patience: int = 0
    clip: float = 1.0
    skip: int = 0
    seed: int = 0
    is_mixed: bool = True

    def rate_at(self, epoch: int) -> float:
        """Give the learning rate of an epoch."""
        rise = max(self.epochs // 20, 1)
        if epoch < rise:
            return self.rate * (epoch + 1) / rise
        share = (epoch - rise) / max(self.epochs - rise, 1)
        return self.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


@dataclass(frozen=True)
class Data:
    """Hold samples that are scaled and without gaps in ``X``.

    Attributes
    ----------
    X
        Dims ``(sample, …, feature)``.
    y
        Dims ``(sample, …, output)``; NaN where nothing is known.
    weight
        Dims ``(sample, …, 1)``.
    """

    X: Tensor
    y: Tensor
    weight: Tensor

    def take(self, rows: Tensor, device: torch.device) -> Data:
        """Give some samples, on the device."""
        return Data(*(part[rows].to(device) for part in (self.X, self.y, self.weight)))

    def later(self, steps: int) -> Data:
        """Leave out the first steps of sequences."""
        return Data(*(part[:, steps:] for part in (self.X, self.y, self.weight)))

    def fingerprint(self) -> str:
        """Tell these samples from others."""
        digest = hashlib.sha256()
        for part in (self.X, self.y, self.weight):
            digest.update(str(tuple(part.shape)).encode())
            digest.update(part.contiguous().numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class History:
    """Remember a training.

    Attributes
    ----------
    training, validation
        Loss of each epoch, in units of the target's variance; validation is empty without one.
    best
        Epoch whose weights were kept, from 0.
    """

    training: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    best: int = 0


def device() -> torch.device:
    """Choose the GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def precision(where: torch.device, *, is_mixed: bool) -> torch.autocast:
    """Let what is computed inside be in bfloat16, on a GPU and if it may."""
    return torch.autocast(where.type, torch.bfloat16, enabled=is_mixed and where.type in MIXED_ON)


@contextmanager
def seeded(*seed: int) -> Iterator[None]:
    """Make what torch draws inside follow from the seed, and leave the caller's draws alone."""
    number = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> 1)
    gpus = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with (
        torch.random.fork_rng(devices=gpus),
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
    ):
        torch.manual_seed(number)
        yield


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
        Gives ``(sample, …, output)`` for ``(sample, …, feature)``.
    training, validation
        What to learn from, and what to stop by.
    plan
        How.
    checkpoint
        Folder in which the state is kept while the training lasts. A state of the same plan, samples
        and module is taken up; any other is left aside and overwritten.
    progress
        Told after each epoch, with the losses.

    Raises
    ------
    ModelProblem
        A loss that is not finite: which epoch, batch and samples.
    """
    where = device()
    module.to(where)
    optimiser = torch.optim.AdamW(module.parameters(), lr=plan.rate, weight_decay=plan.decay)
    state = State(plan, training, module, optimiser, checkpoint)
    state.resume()
    for epoch in range(state.epoch, plan.epochs):
        if plan.patience and validation is not None and state.stale >= plan.patience:
            break
        for group in optimiser.param_groups:
            group["lr"] = plan.rate_at(epoch)
        with seeded(plan.seed, epoch):
            loss = _one_epoch(module, training, optimiser, plan, epoch, where)
        note = f"loss {loss:.4f}"
        judged = loss
        if validation is not None:
            judged = evaluate(module, validation, plan.batch)
            note += f", validation {judged:.4f}"
        is_kept = judged < state.best_loss if plan.patience and validation is not None else True
        state.advance(loss, None if validation is None else judged, is_kept=is_kept)
        progress(epoch + 1, plan.epochs, note)
    module.load_state_dict(state.best)
    module.eval()
    return state.history


def _one_epoch(
    module: nn.Module,
    data: Data,
    optimiser: torch.optim.Optimizer,
    plan: Plan,
    epoch: int,
    where: torch.device,
) -> float:
    """Go through the samples once, in an order of this epoch's own; give the mean loss of its batches."""
    module.train()
    order = torch.randperm(len(data.X))
    total = share = 0.0
    for count, rows in enumerate(torch.split(order, plan.batch)):
        batch = data.take(rows, where)
        if plan.skip:
            most = min(plan.skip, batch.X.shape[1] - 1)
            batch = batch.later(int(torch.randint(most + 1, ())))
        with precision(where, is_mixed=plan.is_mixed):
            predicted = module(batch.X)
        errors, known = squared_errors(predicted.float(), batch)
        if not known.any():
            continue
        loss = errors.sum() / known.sum()
        if not torch.isfinite(loss):
            _name_culprits(errors, rows, f"epoch {epoch + 1}, batch {count + 1}")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(module.parameters(), plan.clip)
        optimiser.step()
        total += float(errors.detach().sum())
        share += float(known.sum())
    return total / max(share, 1e-12)


def squared_errors(predicted: Tensor, batch: Data) -> tuple[Tensor, Tensor]:
    """Give weighted squared errors and the weights; both are 0 where the target is unknown.

    A prediction that is not finite spoils its error where the target is known: nothing is averaged away.
    """
    is_known = torch.isfinite(batch.y)
    difference = torch.where(is_known, predicted - torch.nan_to_num(batch.y), 0.0)
    weight = batch.weight * is_known
    return weight * difference.square(), weight


@torch.no_grad()
def evaluate(module: nn.Module, data: Data, batch: int) -> float:
    """Give the masked loss of a module, without dropout."""
    module.eval()
    where = next(module.parameters()).device
    total = share = 0.0
    for rows in torch.split(torch.arange(len(data.X)), batch):
        part = data.take(rows, where)
        errors, known = squared_errors(module(part.X).float(), part)
        total += float(errors.sum())
        share += float(known.sum())
    return total / max(share, 1e-12)


def _name_culprits(errors: Tensor, rows: Tensor, place: str) -> None:
    is_bad = ~torch.isfinite(errors).flatten(1).all(dim=1).cpu()
    culprits = ", ".join(str(int(row)) for row in rows[is_bad][:5])
    raise ModelProblem(
        f"training, {place}",
        found=f"a loss that is not finite, from {int(is_bad.sum())} of {len(rows)} samples "
        f"({culprits}{', …' if int(is_bad.sum()) > 5 else ''})",
        expected="a number",
        remedy="Lower the rate, or look for impossible values in these samples.",
    )


class State:
    """Hold what a training needs to go on: weights, the optimiser's memory, the best so far."""

    def __init__(
        self,
        plan: Plan,
        data: Data,
        module: nn.Module,
        optimiser: torch.optim.Optimizer,
        folder: Path | None,
    ) -> None:
        self.module, self.optimiser, self.folder = module, optimiser, folder
        self.history = History()
        self.epoch = self.stale = 0
        self.best_loss = math.inf
        self.best = self._weights()
        self.saved = time.monotonic()
        self.key = ""
        if folder is not None:
            what = [
                LAYOUT,
                asdict(plan),
                str(module),
                type(optimiser).__name__,
                data.fingerprint(),
            ]
            self.key = hashlib.sha256(json.dumps(what).encode()).hexdigest()

    def _weights(self) -> dict[str, Tensor]:
        return {name: one.detach().clone() for name, one in self.module.state_dict().items()}

    def advance(self, training: float, validation: float | None, *, is_kept: bool) -> None:
        """Note an epoch that is over."""
        more = [] if validation is None else [validation]
        self.history = replace(
            self.history,
            training=[*self.history.training, training],
            validation=[*self.history.validation, *more],
            best=self.epoch if is_kept else self.history.best,
        )
        self.stale = 0 if is_kept else self.stale + 1
        if is_kept:
            self.best, self.best_loss = self._weights(), training if not more else more[0]
        self.epoch += 1
        if self.folder is not None and time.monotonic() - self.saved > CHECKPOINT_SECONDS:
            self._save(self.folder)
            self.saved = time.monotonic()

    def _save(self, folder: Path) -> None:
        tensors = {f"module.{name}": one for name, one in self._weights().items()}
        tensors |= {f"best.{name}": one for name, one in self.best.items()}
        for number, memory in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{name}": one for name, one in memory.items()}
        numbers = {
            "key": self.key,
            "epoch": self.epoch,
            "stale": self.stale,
            "best_loss": self.best_loss,
            "history": asdict(self.history),
        }
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replaced(folder, overwrite=True) as partial:
            partial.mkdir()
            save_file(
                {name: one.contiguous() for name, one in tensors.items()},
                partial / "state.safetensors",
            )
            (partial / "state.json").write_text(json.dumps(numbers), encoding="utf-8")

    def resume(self) -> None:
        """Take up the state in the folder, if it belongs to this training."""
        if self.folder is None:
            return
        try:
            numbers = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
            tensors = load_file(self.folder / "state.safetensors")
        except (OSError, ValueError, SafetensorError):
            return
        if not isinstance(numbers, dict) or numbers.get("key") != self.key:
            return
        parts: dict[str, dict[str, Tensor]] = {"module": {}, "best": {}, "optimiser": {}}
        for name, one in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = one
        self.module.load_state_dict(parts["module"])
        self.best = parts["best"]
        memory: dict[int, dict[str, Tensor]] = {}
        for name, one in parts["optimiser"].items():
            number, _, rest = name.partition(".")
            memory.setdefault(int(number), {})[rest] = one
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": memory, "param_groups": groups})
        self.epoch, self.stale = numbers["epoch"], numbers["stale"]
        self.best_loss, self.history = numbers["best_loss"], History(**numbers["history"])
