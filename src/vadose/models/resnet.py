"""Residual convolutions over maps of which some cells are masked, for patches: after Ma et al."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import numpy.typing as npt

from vadose.errors import ModelProblem
from vadose.models.base import Groups, Kind, Table
from vadose.models.context import with_context
from vadose.models.network import Network

if TYPE_CHECKING:
    from torch import nn


class ResNet(Network):
    """Map the features of a cell, its surroundings and its neighbours to a value, by residual blocks.

    A block adds to what came in: a convolution over the neighbouring cells (3 x 3) and one over the
    channels of the cell (1 x 1). Cells that are masked, and cells beyond the rim, are absent: they enter
    no convolution, which is made up by the share of the cells that there are, and are set to 0 again
    after each block. Ma et al. multiply the feature maps by the mask too, but then pool them to one
    vector and connect it fully to the map, which fixes the map's size; here every layer is a
    convolution, so that maps of any size and grid go through, and what is pooled is the context.

    Parameters
    ----------
    context
        Side of the window, in cells of the training's grid, whose mean stands beside the departure of the
        cell from it for every feature (`vadose.models.context.with_context`); 0: the features as they are.
    channels, blocks
        Features between the layers, and number of residual blocks.
    kernel
        Cells along the side of a convolution over neighbours (odd). With 1 a cell sees its own features
        and their context only, and all that it sees has the same meaning on every grid.
    dropout
        Share of the units that are silenced in training.
    members, epochs, batch, rate, decay, patience, seed
        See `vadose.models.network.Network`.

    Attributes
    ----------
    window : int
        Side of the context's window in cells of the grid that is predicted on. A fit sets it to
        `context`; on a grid whose cells are ``f`` times smaller set it to ``f * context``, so that it
        remains as long on the ground. It is not written to disk.

    Notes
    -----
    Scale: trained at 36 km with a context of 3, a feature comes as its mean over 108 km and its departure
    from that. At 1 km and with a window of 108 both mean the same again. The neighbours of a 3 x 3 kernel
    do not: at 1 km they lie nearer, and differ less, than any that were seen in training. A kernel of 1
    avoids this, and gives up the neighbours.

    A value depends on the cells within `reach` of its own, and on nothing beyond: norms are taken over the
    channels of a cell, never over a map. So tiles that overlap by `reach` join without seams.

    References
    ----------
    After Ma et al., whose depth and kernels are not to be had. He et al. (2016), arXiv:1603.05027, for
    residual blocks; Liu et al. (2018), arXiv:1804.07723, for convolutions over the cells that there are.

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
        self.window = context

    @property
    def reach(self) -> int:
        """Say how many cells away a cell can lie and still count."""
        return self.blocks * (self.kernel // 2) + (self.window // 2 if self.context else 0)

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
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ModelProblem(
                f"kernel of {self.name}", found=str(self.kernel), expected="an odd number"
            )
        for name, least in {"context": 0, "channels": 1, "blocks": 0}.items():
            if getattr(self, name) < least:
                raise ModelProblem(
                    f"{name} of {self.name}",
                    found=str(getattr(self, name)),
                    expected=f"{least} or more",
                )
        self.window = self.context
        return super().fit(X, y, weight=weight, groups=groups)

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

    def _scaled(self, table: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Scale features and put them in their context; the last channel tells which cells there are."""
        scaled = super()._scaled(table)
        if not self.context:
            return scaled
        is_there = scaled[..., -1:]
        features = np.where(is_there > 0, scaled[..., :-1], np.nan)
        maps = np.where(is_there > 0, with_context(features, self.window), 0.0)
        return np.concatenate([maps, is_there], axis=-1).astype(np.float32)
