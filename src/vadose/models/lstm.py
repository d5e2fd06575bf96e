"""Long short-term memory over the days, for sequences: after Azedou et al. and Fang et al."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from vadose.models.base import Kind
from vadose.models.network import Network
from vadose.models.ranges import COUNT, COUNT_OR_NONE, SHARE, Range

if TYPE_CHECKING:
    from torch import nn

    from vadose.models.training import Plan


class LSTM(Network):
    """Carry a memory from step to step, and give a value at each.

    Parameters
    ----------
    hidden, layers
        Units of a layer of memory, and number of layers.
    embedding
        Units of the layer before the memory; 0: as many as `hidden`.
    dropout
        Share of the units that are silenced in training, the same ones at all steps of a sample.
    skip
        Most first steps that are left out of a batch at random in training, so that the memory learns to
        begin anywhere. Let the sequences begin as many steps before the first target.
    members, epochs, batch, rate, decay, patience, seed
        See `vadose.models.network.Network`.

    References
    ----------
    Hochreiter and Schmidhuber (1997), Neural Comput. 9:1735; for soil moisture Fang et al. (2017),
    Geophys. Res. Lett. 44:11030.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).random((40, 20, 2))
    >>> y = 0.5 * X[..., 0] + 0.5 * np.roll(X[..., 0], 1, axis=1)  # today's rain and yesterday's
    >>> network = LSTM(hidden=16, dropout=0.0, epochs=60, batch=8, rate=0.01, patience=0).fit(X, y)
    >>> bool(abs(network.predict(X) - y)[:, 1:].mean() < 0.1)
    True
    """

    name: ClassVar[str] = "lstm"
    kind: ClassVar[Kind] = "sequences"
    ranges: ClassVar[Mapping[str, Range]] = {
        **Network.ranges,
        "hidden": COUNT,
        "layers": COUNT,
        "embedding": COUNT_OR_NONE,
        "dropout": SHARE,
        "skip": COUNT_OR_NONE,
    }

    def __init__(
        self,
        *,
        hidden: int = 64,
        layers: int = 1,
        embedding: int = 0,
        dropout: float = 0.2,
        skip: int = 0,
        members: int = 1,
        epochs: int = 60,
        batch: int = 32,
        rate: float = 3e-3,
        decay: float = 1e-4,
        patience: int = 12,
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
        self.hidden, self.layers, self.embedding = hidden, layers, embedding
        self.dropout, self.skip = dropout, skip

    def _plan(self, member: int) -> Plan:
        return replace(super()._plan(member), skip=self.skip)

    def _module(self, features: int, outputs: int) -> nn.Module:
        from vadose.models.layers import Recurrent

        return Recurrent(
            features,
            outputs,
            embedding=self.embedding or self.hidden,
            hidden=self.hidden,
            layers=self.layers,
            dropout=self.dropout,
        )
