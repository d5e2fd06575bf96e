"""Convolutions over the features of a day, and a gated memory of the last days: after Ma et al."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from vadose.errors import ModelProblem
from vadose.models.base import Column, Groups, Kind, Table
from vadose.models.network import Network
from vadose.models.ranges import COUNT, COUNT_OR_NONE, SHARE, Range, check_odd

if TYPE_CHECKING:
    from torch import nn

    from vadose.models.training import Data

#: Lengths of the window, in steps, of which one is chosen; those of Ma et al. are not to be had.
LENGTHS = (5, 10, 20, 30)
#: Units of the memory, of which one is chosen.
HIDDEN = (32, 64, 128)
#: What a first choice of the length is made with.
FIRST_HIDDEN = 64
#: Share of the epochs that a trial gets.
TRIAL = 0.2
#: Steps of a long series that are a sample of their own in training.
PIECE = 64


class CNNGRU(Network):
    """Summarise each day by convolutions over its features; remember the last days in a GRU.

    For each day, convolutions over the axis of the features (64 channels, batch norm, ReLU), the maximum
    over that axis, and a fully connected layer give one vector. A GRU that starts empty reads the vectors
    of the last `length` steps; dropout and a fully connected layer give the value. So a value depends on
    these steps only. Where a window begins before the record, the first step stands for what is missing.

    The order of the features matters, since neighbours in it are convolved together. Each feature has a
    learned factor and offset of its own before the first convolution; Ma et al. report none.

    Parameters
    ----------
    length
        Steps of a window, today's among them; 0: the one of `LENGTHS` that does best.
    hidden
        Units of the GRU; 0: the number in `HIDDEN` that does best.
    channels, layers, kernel
        Channels of a convolution, number of convolutions, and features that one sees at once (odd).
    dropout
        Share of the memory's units that are silenced in training.
    members, epochs, batch, rate, decay, patience, seed
        See `vadose.models.network.Network`. Series of more than 64 steps are cut into pieces of so many,
        and `batch` counts the pieces.

    Attributes
    ----------
    chosen_length_, chosen_hidden_ : int
        What the network is made with: as given, or what did best in trials.
    trials_ : dict of tuple of int to float
        Best validation loss of each length and hidden size that was tried, in units of the target's
        variance; empty where both were given. Not written to disk.

    Notes
    -----
    A trial is a training of a fifth of the epochs, judged on the groups that are held back to stop by.
    The length is chosen first, with the hidden size as given or 64, and then the hidden size.

    References
    ----------
    After Ma et al. (2026), doi:10.3390/s26041383, whose kernel, window and hidden sizes are not to be had. Cho et al. (2014),
    arXiv:1406.1078, for the GRU.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).random((40, 20, 2))
    >>> y = 0.5 * X[..., 0] + 0.5 * np.roll(X[..., 0], 1, axis=1)  # today's rain and yesterday's
    >>> network = CNNGRU(length=2, hidden=16, channels=16, layers=2, dropout=0.0, epochs=40, batch=8)
    >>> bool(abs(network.fit(X, y).predict(X) - y)[:, 1:].mean() < 0.1)
    True
    """

    name: ClassVar[str] = "cnn_gru"
    kind: ClassVar[Kind] = "sequences"
    ranges: ClassVar[Mapping[str, Range]] = {
        **Network.ranges,
        "length": COUNT_OR_NONE,
        "hidden": COUNT_OR_NONE,
        "channels": COUNT,
        "layers": COUNT,
        "dropout": SHARE,
    }
    chosen: ClassVar[tuple[str, ...]] = ("chosen_length_", "chosen_hidden_")

    chosen_length_: int
    chosen_hidden_: int

    def __init__(
        self,
        *,
        length: int = 10,
        hidden: int = 64,
        channels: int = 64,
        layers: int = 4,
        kernel: int = 5,
        dropout: float = 0.2,
        members: int = 1,
        epochs: int = 30,
        batch: int = 8,
        rate: float = 2e-3,
        decay: float = 1e-4,
        patience: int = 8,
        seed: int = 0,
    ) -> None:
        super().__init__(
            members=members,
            epochs=epochs,
            batch=batch,
            rate=rate,
            decay=decay,
            patience=patience,
            seed=seed,
        )
        self.length, self.hidden, self.channels, self.layers = length, hidden, channels, layers
        self.kernel, self.dropout = kernel, dropout

    def fit(
        self, X: Table, y: Table, *, weight: Table | None = None, groups: Groups | None = None
    ) -> Self:
        """Choose what is to be chosen, and train.

        Raises
        ------
        ModelProblem
            Sizes that make no network, samples that do not suit, a choice that has no second group to be
            judged on, or a loss that is not finite.
        MissingExtra
            Without torch.
        """
        self._check()
        self.trials_: dict[tuple[int, int], float] = {}

        def try_out(length: int, hidden: int) -> float:
            if (length, hidden) not in self.trials_:
                trial = self._trial(length, hidden).fit(X, y, weight=weight, groups=groups)
                self.trials_[length, hidden] = _best_loss(trial)
            return self.trials_[length, hidden]

        length, hidden = self.length, self.hidden
        if length == 0:
            length = min(LENGTHS, key=lambda one: try_out(one, hidden or FIRST_HIDDEN))
        if hidden == 0:
            hidden = min(HIDDEN, key=lambda one: try_out(length, one))
        self.chosen_length_, self.chosen_hidden_ = length, hidden
        return super().fit(X, y, weight=weight, groups=groups)

    def _check(self) -> None:
        super()._check()
        check_odd(self, "kernel")

    def _trial(self, length: int, hidden: int) -> CNNGRU:
        epochs = max(round(TRIAL * self.epochs), 1)
        trial = CNNGRU(
            length=length,
            hidden=hidden,
            channels=self.channels,
            layers=self.layers,
            kernel=self.kernel,
            dropout=self.dropout,
            epochs=epochs,
            batch=self.batch,
            rate=self.rate,
            decay=self.decay,
            patience=epochs,
            members=1,
            seed=self.seed,
        )

        def tell(done: int, total: int, note: str = "") -> None:
            self.progress(done, total, f"trial of length {length}, hidden {hidden}: {note}")

        trial.progress = tell
        if self.checkpoint is not None:
            trial.checkpoint = self.checkpoint / f"length_{length}_hidden_{hidden}"
        return trial

    def _module(self, features: int, outputs: int) -> nn.Module:
        from vadose.models.layers import WindowedGRU

        return WindowedGRU(
            features,
            outputs,
            channels=self.channels,
            layers=self.layers,
            kernel=self.kernel,
            length=self.chosen_length_,
            hidden=self.chosen_hidden_,
            dropout=self.dropout,
        )

    def _data(self, table: Table, target: Column, share: Column) -> Data:
        """Cut long series into pieces, each led by the steps that its first windows look back on."""
        steps = table.shape[1]
        if steps <= PIECE:
            return super()._data(table, target, share)
        start = np.arange(0, steps, PIECE)[:, None]
        step = start + np.arange(1 - self.chosen_length_, PIECE)
        is_own = (step >= start) & (step < steps)
        step = np.clip(step, 0, steps - 1)
        shape = (-1, step.shape[1])  # (sample and piece, step)
        return super()._data(
            table[:, step].reshape(*shape, table.shape[-1]),
            np.where(is_own[..., None], target[:, step], np.nan).reshape(*shape, target.shape[-1]),
            share[:, step].reshape(shape),
        )


def _best_loss(trial: Network) -> float:
    validation = trial.histories_[0].validation
    if not validation:
        raise ModelProblem(
            "length and hidden size",
            found="no second group to choose them by",
            expected="two or more groups with known targets",
            remedy="Give both numbers.",
        )
    return min(validation)
