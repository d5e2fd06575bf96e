"""The networks of the deep residual cycle GAN: two generators of maps and two judges of patches.

The layer sizes of DrcGAN are not public; these are ours. All norms are taken over the channels of a cell, and a
cell depends on those within `DeepResidual.reach` of it alone: cells that are masked leak nowhere through a mean
over the map, and tiles that overlap by the reach join without seams.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

#: Distances between the cells of a kernel, block by block, again from the start when they are used up.
DISTANCES = (1, 2, 4)
#: Share by which the running mean of the weights follows them at a step, and the steps over which it is quicker.
FOLLOWS, QUICK = 0.02, 3.0


class ResidualBlock(nn.Module):
    """Add a convolution over cells at some distance and one over channels to what came in.

    It adds nothing before it has learned, which does what norms would do for a deep network.

    References
    ----------
    Lim et al. (2017), arXiv:1707.02921, for residual blocks without norms.
    """

    def __init__(self, channels: int, *, distance: int, dropout: float) -> None:
        super().__init__()
        self.neighbours = nn.Conv2d(channels, channels, 3, padding=distance, dilation=distance)
        self.dropout = nn.Dropout2d(dropout)
        self.cell = nn.Conv2d(channels, channels, 1)
        _silence(self.cell)

    def forward(self, maps: Tensor, land: Tensor) -> Tensor:
        """Keep the dims; ``maps`` are 0 where ``land`` is."""
        change = self.cell(self.dropout(torch.relu(self.neighbours(torch.relu(maps)))))
        result: Tensor = maps + change * land
        return result


class DeepResidual(nn.Module):
    """Residual blocks over maps of any size, of which cells may be missing; 0 before it has learned.

    Parameters
    ----------
    channels
        Those that come in.
    width, blocks
        Channels between the layers, and number of residual blocks.
    dropout
        Share of the channels that are silenced in training.

    Examples
    --------
    >>> network = DeepResidual(5, width=8, blocks=2, dropout=0.0)
    >>> network(torch.ones(1, 5, 6, 7), torch.ones(1, 1, 6, 7)).abs().max().item(), network.reach
    (0.0, 3)
    """

    def __init__(self, channels: int, *, width: int, blocks: int, dropout: float) -> None:
        super().__init__()
        distances = [DISTANCES[number % len(DISTANCES)] for number in range(blocks)]
        self.reach = sum(distances)
        self.entry = nn.Conv2d(channels, width, 1)
        self.blocks = nn.ModuleList(
            ResidualBlock(width, distance=distance, dropout=dropout) for distance in distances
        )
        self.exit = nn.Conv2d(width, 1, 1)
        _silence(self.exit)

    def forward(self, maps: Tensor, land: Tensor) -> Tensor:
        """Map ``(sample, channel, y, x)`` to ``(sample, 1, y, x)``, 0 where ``land`` is."""
        inner = self.entry(maps) * land
        for block in self.blocks:
            inner = block(inner, land)
        result: Tensor = self.exit(torch.relu(inner)) * land
        return result


def _silence(layer: nn.Conv2d) -> None:
    """Let a layer give 0 until it has learned."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class PatchJudge(nn.Module):
    """Say of each patch of a field whether it is observed (1) or made (0), by least squares.

    A field is shown where the mask is 1, and is 0 elsewhere; the mask goes with it, and the field that it was
    made from.
    Whoever compares observed with made masks both alike, so that the edge of a mask tells nothing.

    References
    ----------
    Isola et al. (2017), arXiv:1611.07004, for patches; Mao et al. (2017), arXiv:1611.04076, for least
    squares.
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 3, 1, 1),
        )

    def forward(self, field: Tensor, mask: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Give a verdict for each patch, and the share of it that is shown.

        Parameters
        ----------
        field, mask, other
            Dims ``(sample, 1, y, x)``.
        """
        mask = mask.to(field.dtype)
        shown = [torch.where(mask > 0, one, 0.0) for one in (field, other)]
        verdict = self.layers(torch.cat([*shown, mask], dim=1))
        share = nn.functional.interpolate(mask, size=verdict.shape[-2:], mode="area")
        return verdict, share


class Cycle(nn.Module):
    """Hold all networks of a training.

    Attributes
    ----------
    forth
        From the land model to the satellite.
    back
        From the satellite to the land model.
    judge_satellite, judge_model
        Of fields of the two.
    steady
        Running mean of `forth` over the steps of the training, which is the one that predicts.

    References
    ----------
    Zhu et al. (2017), arXiv:1703.10593, for the cycle; Yazıcı et al. (2019), arXiv:1806.04498, for means
    over the steps.
    """

    def __init__(
        self, channels: int, told: int, *, width: int, blocks: int, dropout: float
    ) -> None:
        super().__init__()
        self.forth = DeepResidual(channels, width=width, blocks=blocks, dropout=dropout)
        # the way back serves the way forth, and costs a fraction of it
        self.back = DeepResidual(
            2 + told, width=(width + 1) // 2, blocks=(blocks + 1) // 2, dropout=dropout
        )
        self.judge_satellite = PatchJudge(width=width)
        self.judge_model = PatchJudge(width=width)
        self.steady = copy.deepcopy(self.forth).requires_grad_(False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.steps: Tensor

    @torch.no_grad()
    def follow(self) -> None:
        """Let the running mean follow: soon at first, so that it does not remember the beginning."""
        share = max(FOLLOWS, QUICK / (float(self.steps) + QUICK))
        self.steps += 1
        for mean, own in zip(self.steady.parameters(), self.forth.parameters(), strict=True):
            mean.lerp_(own, share)

    @torch.no_grad()
    def settle(self) -> None:
        """Go on from the running mean, with new judges' work ahead."""
        self.forth.load_state_dict(self.steady.state_dict())
