"""Residual convolutions over maps of which some cells are masked, for patches: after Ma et al."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import numpy.typing as npt

from vadose.errors import ModelProblem
from vadose.models.base import Groups, Kind, Table
from vadose.models.context import with_context
from vadose.models.network import Network
from vadose.models.ranges import COUNT, COUNT_OR_NONE, SHARE, Range, check_odd

if TYPE_CHECKING:
    from torch import nn


class ResNet(Network):
    """Map the features of a cell, its surroundings and its neighbours to a value, by residual blocks.

    A block adds to what came in: a convolution over the neighbouring cells (3 x 3) and one over the
    channels of the cell (1 x 1). Cells that are masked, and cells beyond the rim, are absent: what they
    hold is removed before each block, and the mean of the neighbours that there are stands for them in
    the convolution, so that they do not count as 0. Ma et al. multiply the feature maps by the mask too,
    but then pool them to one vector and connect it fully to the map, which fixes the map's size; here
    every layer is a convolution, so that maps of any size go through, and what is pooled is the context.

    Parameters
    ----------
    context
        Side of the window, in cells of the training's grid, whose mean stands beside the departure of the
        cell from it for every feature (`vadose.models.context.with_context`); 0: the features as they are.
    channels, blocks
        Features between the layers, and number of residual blocks.
    kernel
        Cells along the side of a convolution over neighbours (odd). With 1 a cell sees its own features
        and their context only.
    dropout
        Share of the units that are silenced in training.
    members, epochs, batch, rate, decay, patience, seed
        See `vadose.models.network.Network`.

    Attributes
    ----------
    finer : int
        How many times smaller the cells are that are predicted on than those of the training. A fit and
        a file set it to 1; whoever predicts on another grid sets it before.

    Notes
    -----
    Scale: trained at 36 km with a context of 3, a feature comes as its mean over 108 km and its departure
    from that. At 1 km, with ``finer = 36``, the window is 108 cells and both mean the same again. The
    neighbours in a 3 x 3 kernel are then means over 36 cells and lie 36 cells apart, as in training,
    while the cell itself keeps its detail. (Of an even ``finer`` these means are over one cell more.)

    A value depends on the cells within `reach` of its own, and on nothing beyond: norms are taken over the
    channels of a cell, never over a map. So tiles that overlap by `reach` join without seams.

    References
    ----------
    After Ma et al. (2026), doi:10.3390/s26041383, whose depth and kernels are not to be had. He et al. (2016), arXiv:1603.05027, for
    residual blocks.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).random((30, 8, 8, 1))
    >>> neighbours = (np.roll(X, 1, axis=1) + np.roll(X, -1, axis=1))[..., 0] / 2
    >>> y = np.where(np.arange(8)[:, None] % 7 > 0, neighbours, np.nan)  # unknown in two rows
    >>> network = ResNet(channels=16, blocks=1, epochs=40, batch=4, rate=0.01, dropout=0.0)
    >>> error = network.fit(X, y).predict(X) - y
    >>> bool(np.abs(error[:, 1:-1]).mean() < 0.1)
    True
    """

    name: ClassVar[str] = "resnet"
    kind: ClassVar[Kind] = "patches"
    ranges: ClassVar[Mapping[str, Range]] = {
        **Network.ranges,
        "context": COUNT_OR_NONE,
        "channels": COUNT,
        "blocks": COUNT_OR_NONE,
        "dropout": SHARE,
    }

    def __init__(
        self,
        *,
        context: int = 3,
        channels: int = 48,
        blocks: int = 3,
        kernel: int = 3,
        dropout: float = 0.1,
        members: int = 1,
        epochs: int = 60,
        batch: int = 8,
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
        self.context, self.channels, self.blocks = context, channels, blocks
        self.kernel, self.dropout = kernel, dropout
        self.finer = 1

    @property
    def window(self) -> int:
        """Give the side of the context's window, in cells of the grid that is predicted on."""
        return self.context * self.finer

    @property
    def reach(self) -> int:
        """Say how many cells away a cell can lie and still count.

        A kernel counts twice, since a missing cell in it is filled from the cells around that.
        """
        ring = self.kernel // 2 * self.finer
        around = (self.kernel * self.finer) // 2 if ring else 0
        return self.blocks * (ring + around) + self.window // 2

    def fit(
        self, X: Table, y: Table, *, weight: Table | None = None, groups: Groups | None = None
    ) -> Self:
        """Train.

        Raises
        ------
        ModelProblem
            Sizes that make no network, samples that do not suit, or a loss that is not finite.
        MissingExtra
            Without torch.
        """
        self.finer = 1
        return super().fit(X, y, weight=weight, groups=groups)

    def _check(self) -> None:
        super()._check()
        check_odd(self, "kernel")

    def _module(self, features: int, outputs: int) -> nn.Module:
        from vadose.models.layers import MaskedResidual

        return MaskedResidual(
            features * (2 if self.context else 1),
            outputs,
            channels=self.channels,
            blocks=self.blocks,
            kernel=self.kernel,
            dropout=self.dropout,
        )

    def _blocks(self, module: nn.Module, table: Table) -> Iterator[tuple[slice, Table]]:
        """Let the convolutions know of the grid."""
        from vadose.models.layers import MaskedConvolution

        if self.finer < 1:
            raise ModelProblem(f"finer of {self.name}", found=str(self.finer), expected="1 or more")
        for layer in module.modules():
            if isinstance(layer, MaskedConvolution):
                layer.finer = self.finer
        return super()._blocks(module, table)

    def _scaled(self, table: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Scale features and put them in their context; the last channel tells which cells there are."""
        scaled = super()._scaled(table)
        if not self.context:
            return scaled
        is_there = scaled[..., -1:]
        features = np.where(is_there > 0, scaled[..., :-1], np.nan)
        maps = np.where(is_there > 0, with_context(features, self.window), 0.0)
        return np.concatenate([maps, is_there], axis=-1).astype(np.float32)
