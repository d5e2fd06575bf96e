"""A deep network of fully connected layers, for rows: after Azedou et al."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from vadose.models.base import Kind
from vadose.models.network import Network
from vadose.models.ranges import COUNT, COUNT_OR_NONE, SHARE, Range

if TYPE_CHECKING:
    from torch import nn


class DNN(Network):
    """Map rows through fully connected layers with layer norm, ReLU and dropout.

    The layer sizes of Azedou et al. are not to be had; these are our choice.

    Parameters
    ----------
    width, depth
        Units of a hidden layer, and number of hidden layers.
    dropout
        Share of the units that are silenced in training.
    members, epochs, batch, rate, decay, patience, seed
        See `vadose.models.network.Network`.

    References
    ----------
    After Azedou et al. (2025), Environ. Model. Softw., doi:10.1016/j.envsoft.2025.106824.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).random((300, 3))
    >>> network = DNN(width=32, epochs=60, patience=0).fit(X, X[:, 0])
    >>> bool(abs(network.predict(X) - X[:, 0]).mean() < 0.1)
    True
    """

    name: ClassVar[str] = "dnn"
    kind: ClassVar[Kind] = "rows"
    ranges: ClassVar[Mapping[str, Range]] = {
        **Network.ranges,
        "width": COUNT,
        "depth": COUNT_OR_NONE,
        "dropout": SHARE,
    }

    def __init__(
        self,
        *,
        width: int = 128,
        depth: int = 3,
        dropout: float = 0.1,
        members: int = 1,
        epochs: int = 60,
        batch: int = 256,
        rate: float = 2e-3,
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
        self.width, self.depth, self.dropout = width, depth, dropout

    def _module(self, features: int, outputs: int) -> nn.Module:
        from vadose.models.layers import perceptron

        return perceptron(features, outputs, hidden=[self.width] * self.depth, dropout=self.dropout)
