"""What every network does alike: scale, hold blocks back to stop by, train, predict, go to disk.

A network of `vadose.models` says which module it is made of; the rest is here. Nothing of torch is imported
before it is needed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import numpy.typing as npt

from vadose.errors import ModelProblem, need
from vadose.models.base import (
    Column,
    Groups,
    Kind,
    Progress,
    Table,
    check_groups,
    check_table,
    check_training,
    quiet,
    read_description,
    write_description,
)
from vadose.models.crossvalidation import parameters_of
from vadose.models.ranges import COUNT, COUNT_OR_NONE, Range, check_ranges
from vadose.models.showing import Shown
from vadose.samples.scaling import Rule, Scaling

if TYPE_CHECKING:
    from torch import nn

    from vadose.models.training import Data, History, Plan

#: Places predicted at once, so that what a network makes of them lies in the cache of a core. A block of
#: rows or sequences is always filled up to a size that does not depend on how many there are, so that every
#: sample goes through the same arithmetic, and gives the same bits, whatever stands beside it.
PREDICTED_AT_ONCE = 2048
#: Fewest sequences predicted at once, however long they are.
FEWEST_SEQUENCES = 32
#: Most places of the blocks that are predicted side by side; a larger map has all cores for its own.
PLACES_SIDE_BY_SIDE = 2**18
#: Share of the groups that is held back to stop by.
HELD_BACK = 0.15
#: Fewest places to learn from.
LEAST = 10


class Network(Shown, ABC):
    """Train one or more networks that differ in their seed only, and average what they say.

    Parameters
    ----------
    members
        Networks to average.
    epochs, batch, rate, decay, patience
        See `vadose.models.training.Plan`.
    seed
        Same seed, same weights.

    Attributes
    ----------
    modules_ : list of torch.nn.Module
        The trained networks.
    histories_ : list of vadose.models.training.History
        Their losses.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind] = "rows"
    scaling: ClassVar[Rule] = "zscore"
    #: A GPU may compute in bfloat16, to about three digits.
    is_mixed: ClassVar[bool] = True
    #: Attributes with whole numbers that the fit chose and the module is made with.
    chosen: ClassVar[tuple[str, ...]] = ()
    #: Numbers that make a network and a training.
    ranges: ClassVar[Mapping[str, Range]] = {
        "members": COUNT,
        "epochs": COUNT_OR_NONE,
        "batch": COUNT,
        "rate": COUNT_OR_NONE,
        "decay": COUNT_OR_NONE,
        "patience": COUNT_OR_NONE,
        "seed": COUNT_OR_NONE,
    }

    #: Told after each epoch; set by whoever wants to know.
    progress: Progress = staticmethod(quiet)
    #: Folder for checkpoints; set by whoever wants to resume.
    checkpoint: Path | None = None
    #: Threads that predict, with the same bits whatever their number; as many as torch's unless set.
    workers: int | None = None

    modules_: list[nn.Module]
    histories_: list[History]

    def __init__(
        self,
        *,
        members: int,
        epochs: int,
        batch: int,
        rate: float,
        decay: float,
        patience: int,
        seed: int,
    ) -> None:
        self.members, self.epochs, self.batch, self.rate = members, epochs, batch, rate
        self.decay, self.patience, self.seed = decay, patience, seed

    @abstractmethod
    def _module(self, features: int, outputs: int) -> nn.Module:
        """Make the network, not trained yet."""

    def fit(
        self, X: Table, y: Table, *, weight: Table | None = None, groups: Groups | None = None
    ) -> Self:
        """Train.

        Raises
        ------
        ModelProblem
            Parameters out of their range, samples that do not suit, or a loss that is not finite.
        MissingExtra
            Without torch.
        """
        self._check()
        table, target, weight = check_training(X, y, weight, least=LEAST, kind=self.kind)
        need_torch()
        from vadose.models.training import seeded

        places = target.ndim == table.ndim - 1
        self.outputs_ = None if places else int(target.shape[-1])
        self.features_ = int(table.shape[-1])
        target = target.reshape(*table.shape[:-1], -1)
        share = np.ones(table.shape[:-1]) if weight is None else weight
        # what has no weight teaches nothing
        target = np.where(share[..., None] > 0, target, np.nan)
        is_held: npt.NDArray[np.bool_] = self._held_back(check_groups(groups, table), target)
        learned = np.where(is_held[..., None], np.nan, target)
        is_used = np.isfinite(learned).any(axis=-1, keepdims=True)
        self.scaling_ = Scaling.learn(np.where(is_used, table, np.nan), self.scaling)
        self.target_scaling_ = Scaling.learn(learned, "zscore", weight=share)
        training = self._data(table, learned, share)
        held = np.where(is_held[..., None], target, np.nan)
        validation = self._data(table, held, share) if is_held.any() else None
        self.modules_, self.histories_ = [], []
        for member in range(self.members):
            with seeded(self.seed, member, 1):
                module = self._module(self.features_, target.shape[-1])
            self.histories_.append(self._train(module, training, validation, member))
            self.modules_.append(module)
        return self

    def _check(self) -> None:
        """Refuse parameters that make no network."""
        check_ranges(self, self.ranges)

    def _train(
        self, module: nn.Module, training: Data, validation: Data | None, member: int
    ) -> History:
        def tell(done: int, total: int, note: str = "") -> None:
            prefix = f"member {member + 1} of {self.members}, " if self.members > 1 else ""
            self.progress(member * total + done, self.members * total, prefix + note)

        folder = None if self.checkpoint is None else self.checkpoint / f"member_{member}"
        train = self._trainer()
        return train(
            module, training, validation, self._plan(member), checkpoint=folder, progress=tell
        )

    def _trainer(self) -> Callable[..., History]:
        """Give what trains a module; takes what `vadose.models.training.train` takes."""
        from vadose.models.training import train

        return train

    def _plan(self, member: int) -> Plan:
        from vadose.models.training import Plan

        return Plan(
            epochs=self.epochs,
            batch=self.batch,
            rate=self.rate,
            decay=self.decay,
            patience=self.patience,
            seed=self.seed + 1000 * member,
            is_mixed=self.is_mixed,
        )

    def _held_back(self, groups: Groups, target: Column) -> npt.NDArray[np.bool_]:
        """Choose whole groups to stop by: about a seventh of them, never all that is known of an output."""
        is_output_known = np.isfinite(target)
        is_known = is_output_known.any(axis=-1)
        names = np.unique(groups[is_known])
        if self.patience == 0 or len(names) < 2:
            return np.zeros(groups.shape, dtype=bool)
        count = min(max(1, round(HELD_BACK * len(names))), len(names) - 1)
        chosen = np.random.default_rng(self.seed).choice(names, count, replace=False)
        for output in range(target.shape[-1]):
            having = np.unique(groups[is_output_known[..., output]])
            if np.isin(having, chosen).all():
                chosen = chosen[chosen != having[0]]
        return np.asarray(np.isin(groups, chosen) & is_known)

    def _data(self, table: Table, target: Column, share: Column) -> Data:
        """Scale samples, and leave out those in which nothing is known."""
        import torch

        from vadose.models.training import Data

        inner = tuple(range(1, target.ndim))
        rows = np.flatnonzero(np.isfinite(target).any(axis=inner))
        scaled = self.target_scaling_.apply(target[rows]).astype(np.float32)
        return Data(
            torch.from_numpy(self._scaled(table[rows])),
            torch.from_numpy(scaled),
            torch.from_numpy(share[rows, ..., None].astype(np.float32)),
        )

    def _scaled(self, table: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Scale features; in patches a last one tells which cells there are, and the others become 0."""
        with np.errstate(over="ignore"):  # what gets too large here has no finite prediction
            scaled = np.asarray(self.scaling_.apply(table))
        if self.kind != "patches":
            return scaled
        is_there = np.isfinite(table).all(axis=-1, keepdims=True)
        return np.concatenate([np.where(is_there, scaled, 0.0), is_there], axis=-1).astype("f4")

    def predict(self, X: Table) -> Column:
        """Give the mean of the members at every place, in units of the target.

        Raises
        ------
        ModelProblem
            Without a fit, for samples that do not suit it, or so far from those learned from that a
            prediction is not finite.
        """
        self._need_fit()
        table = check_table(X, features=self.features_, kind=self.kind)
        total = np.zeros((*table.shape[:-1], self.outputs_ or 1))
        for module in self.modules_ if table.size else ():
            for rows, values in self._blocks(module, table):
                total[rows] += values
        if not np.isfinite(total).all():
            raise ModelProblem(
                "X",
                found=f"{int((~np.isfinite(total)).sum())} places without a finite prediction",
                expected="features of the size of those learned from",
                remedy="Look at their units and fill values.",
            )
        values = self.target_scaling_.undo(total / len(self.modules_))
        if self.kind == "patches":
            values[np.isnan(table).all(axis=-1)] = np.nan
        return values[..., 0] if self.outputs_ is None else values

    def _blocks(self, module: nn.Module, table: Table) -> Iterator[tuple[slice, Table]]:
        """Give predictions of a module block by block, with the samples that they are of."""
        import torch

        from vadose.models import training
        from vadose.models.cores import side_by_side
        from vadose.models.inference import swift

        where = training.device()
        module.to(where)
        module.eval()
        is_mixed = self.is_mixed and where.type in training.MIXED_ON
        predict = swift(module) if where.type == "cpu" and not is_mixed else module
        size = self._at_once(table.shape)

        def one_block(start: int) -> tuple[slice, Table]:
            part = self._scaled(table[start : start + size])
            filled = np.zeros((size, *part.shape[1:]), dtype=np.float32)
            filled[: len(part)] = part
            with torch.inference_mode(), training.precision(where, is_mixed=self.is_mixed):
                values = predict(torch.from_numpy(filled).to(where)).float().cpu().numpy()
            return slice(start, start + len(part)), values[: len(part)]

        cores = (self.workers or torch.get_num_threads()) if where.type == "cpu" else 1
        workers = max(1, min(cores, PLACES_SIDE_BY_SIDE // max(size * table[0, ..., 0].size, 1)))
        starts = range(0, len(table), size)
        # how many cores a block has does not depend on how many blocks there are
        each = cores // workers
        yield from side_by_side(one_block, starts, workers=min(workers, len(starts)), cores=each)

    def _at_once(self, shape: tuple[int, ...]) -> int:
        """Say how many samples make a block."""
        if self.kind == "patches":
            return 1
        steps = shape[1] if self.kind == "sequences" else 1
        # whole multiples, for the rounding of a product depends on the kind of its size
        times = PREDICTED_AT_ONCE // (max(steps, 1) * FEWEST_SEQUENCES)
        return max(times, 1) * FEWEST_SEQUENCES

    def _need_fit(self) -> None:
        if not hasattr(self, "modules_"):
            raise ModelProblem(self.name, found="no fit", remedy="Call fit first.")

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and ``weights.safetensors``."""
        from dataclasses import asdict

        self._need_fit()
        from safetensors.torch import save_file

        description = {
            "parameters": parameters_of(self),
            "features": self.features_,
            "outputs": self.outputs_,
            "chosen": {name: getattr(self, name) for name in self.chosen},
            "scaling": self.scaling_.describe(),
            "target_scaling": self.target_scaling_.describe(),
            "histories": [asdict(one) for one in self.histories_],
        }
        write_description(folder, self.name, description)
        tensors = {
            f"{number}.{name}": one.detach().cpu().contiguous()
            for number, module in enumerate(self.modules_)
            for name, one in module.state_dict().items()
        }
        save_file(tensors, folder / "weights.safetensors")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a saved network.

        Raises
        ------
        ModelProblem
            A missing or damaged file, a missing scaling, or weights that do not suit the description.
        MissingExtra
            Without torch.
        """
        description = read_description(folder, cls.name)
        network = cls(**description["parameters"])
        network._check()
        need_torch()
        from vadose.models.training import History

        outputs = description["outputs"]
        network.outputs_ = None if outputs is None else int(outputs)
        network.features_ = int(description["features"])
        chosen = description["chosen"]
        for name in cls.chosen:
            setattr(network, name, int(chosen[name]))
        network.scaling_ = Scaling.read(
            description.get("scaling"), features=network.features_, of=str(folder)
        )
        network.target_scaling_ = Scaling.read(
            description.get("target_scaling"), features=outputs or 1, of=str(folder)
        )
        network.histories_ = [History(**one) for one in description["histories"]]
        network.modules_ = network._read_modules(Path(folder) / "weights.safetensors")
        return network

    def _read_modules(self, path: Path) -> list[nn.Module]:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        modules = []
        try:
            tensors = load_file(path)
            for number in range(self.members):
                module = self._module(self.features_, self.outputs_ or 1)
                own = f"{number}."
                weights = {
                    name.removeprefix(own): one
                    for name, one in tensors.items()
                    if name.startswith(own)
                }
                module.load_state_dict(weights)
                modules.append(module.eval())
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise ModelProblem(
                path,
                found=f"no weights that suit ({str(error).splitlines()[0]})",
                expected="a saved model",
            ) from error
        return modules


def need_torch() -> None:
    """Insist that torch is installed.

    Raises
    ------
    MissingExtra
    """
    need("torch", extra="torch")
