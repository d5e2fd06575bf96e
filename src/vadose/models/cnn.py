"""Causal convolutions over the days, for sequences: after Azedou et al."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from vadose.models.base import Kind
from vadose.models.network import Network
from vadose.models.ranges import COUNT, COUNT_OR_NONE, SHARE, Range

if TYPE_CHECKING:
    from torch import nn


class CNN(Network):
    """Look at the last days of a sequence through convolutions of doubling dilation.

    Parameters
    ----------
    channels, blocks, kernel
        Features between the layers, number of residual blocks, and steps that a convolution sees at
        once; together they see ``1 + (kernel - 1) (2**blocks - 1)`` steps.
    dropout
        Share of the units that are silenced in training.
    members, epochs, batch, rate, decay, patience, seed
        See `vadose.models.network.Network`.

    References
    ----------
    Bai et al. (2018), arXiv:1803.01271, for the dilated causal convolutions; after Azedou et al. (2025),
    whose layers are not to be had.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).random((40, 20, 2))
    >>> y = 0.5 * X[..., 0] + 0.5 * np.roll(X[..., 0], 1, axis=1)  # today's rain and yesterday's
    >>> network = CNN(channels=16, blocks=2, dropout=0.0, epochs=40, batch=8, patience=0).fit(X, y)
    >>> bool(abs(network.predict(X) - y)[:, 1:].mean() < 0.1)
    True
    """

    name: ClassVar[str] = "cnn"
    kind: ClassVar[Kind] = "sequences"
    ranges: ClassVar[Mapping[str, Range]] = {
        **Network.ranges,
        "channels": COUNT,
        "blocks": COUNT_OR_NONE,
        "kernel": COUNT,
        "dropout": SHARE,
    }

    def __init__(
        self,
        *,
        channels: int = 64,
        blocks: int = 5,
        kernel: int = 3,
        dropout: float = 0.1,
        members: int = 1,
        epochs: int = 60,
        batch: int = 32,
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
        self.channels, self.blocks, self.kernel = channels, blocks, kernel
        self.dropout = dropout

    def _module(self, features: int, outputs: int) -> nn.Module:
        from vadose.models.layers import Convolutional

        return Convolutional(
            features,
            outputs,
            channels=self.channels,
            blocks=self.blocks,
            kernel=self.kernel,
            dropout=self.dropout,
        )
