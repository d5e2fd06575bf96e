"""The denoiser of maps: a small U-Net over neighbours at several scales, which gives the same in tiles.

The usual U-Net halves the map on its way down, so that what it gives depends on where the map begins. Here every
level keeps all cells and looks twice as far instead (à trous; Holschneider et al. 1989), so that a map of any
size goes through, and a part of it, with what lies within `MapNetwork.reach` of it, gives what the whole map
gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn

from vadose.models.diffusion.denoiser import Denoiser
from vadose.models.diffusion.film import STEP_WAVES, step_waves
from vadose.models.layers import MaskedConvolution


class ScaleBlock(nn.Module):
    """Add a convolution over neighbours at some distance, steered by γ and β, to what came in."""

    def __init__(self, width: int, scale: int, *, kernel: int, dropout: float) -> None:
        super().__init__()
        self.scale = scale
        # over a cell's own channels: no cell feels the whole map
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.neighbours = MaskedConvolution(width, kernel=kernel)
        self.cell = nn.Sequential(nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, width))

    def forward(self, maps: Tensor, film: Tensor, is_there: Tensor) -> Tensor:
        """Keep the dims ``(sample, y, x, channel)``; `film` has twice as many channels."""
        factor, shift = film.chunk(2, dim=-1)
        steered = ((1.0 + factor) * self.norm(maps) + shift) * is_there
        changed: Tensor = self.cell(self.neighbours(steered, is_there))
        return (maps + changed) * is_there


class MapNetwork(Denoiser):
    """Denoise maps of any size, of which cells may be missing.

    On the way down each level looks twice as far as the one before; on the way up it meets what it was on the
    way down. Features of a cell enter with the noisy value; time, place, stations and step steer every block.

    Parameters
    ----------
    plain, fixed, stations
        Features that are plain, of time and place, and of stations; after them stands whether there is a
        cell at all, and cells that are not there hold 0.
    outputs
        Values of a place.
    width, levels
        Channels, and number of scales.
    kernel
        Cells along the side of a convolution (odd).
    dropout, omission
        See `vadose.models.diffusion.film.FilmNetwork`.

    Attributes
    ----------
    tile : int or None
        Cells along the side of the tiles that a map goes through in, without training; all at once if None.
    overlap : int or None
        Cells that a tile looks beyond its own; `reach` if None, which gives what the whole map gives. With
        fewer, tiles are blended.

    References
    ----------
    Ronneberger et al. (2015), MICCAI 9351:234; Holschneider et al. (1989), doi:10.1007/978-3-642-75988-8_28;
    Bar-Tal et al. (2023), ICML 202:1737, for tiles that meet at every step.

    Examples
    --------
    >>> network = MapNetwork(2, 0, 0, outputs=1, width=8, levels=2, kernel=3, dropout=0.0, omission=0.0)
    >>> maps = torch.ones(4, 5, 7, 3)
    >>> network(torch.zeros(4, 5, 7, 1), torch.zeros(4, dtype=torch.long), network.prepare(maps)).shape
    torch.Size([4, 5, 7, 1])
    """

    def __init__(
        self,
        plain: int,
        fixed: int,
        stations: int,
        *,
        outputs: int,
        width: int,
        levels: int,
        kernel: int,
        dropout: float,
        omission: float,
    ) -> None:
        super().__init__()
        self.parts, self.omission, self.kernel = [plain, fixed, stations, 1], omission, kernel
        self.tile: int | None = None
        self.overlap: int | None = None
        down = [2**level for level in range(levels)]
        scales = [*down, *down[-2::-1]]
        self.blocks = nn.ModuleList(
            ScaleBlock(width, scale, kernel=kernel, dropout=dropout) for scale in scales
        )
        self.joins = nn.ModuleList(nn.Linear(2 * width, width) for _ in down[1:])
        self.entry = nn.Linear(plain + outputs, width)
        films = 2 * width * len(scales)
        self.step = nn.Sequential(nn.Linear(2 * STEP_WAVES, width), nn.SiLU())
        self.step_film = nn.Linear(width, films)
        self.condition_film = nn.Linear(fixed + stations, films) if fixed + stations else None
        self.exit = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, outputs))
        with torch.no_grad():  # γ = β = 0 at first: nothing is steered before it is learned how
            for film in (self.step_film, self.condition_film):
                if film is not None:
                    film.weight.zero_()
                    film.bias.zero_()

    def set_finer(self, finer: int) -> None:
        """Say how many times smaller the cells are than those of the training."""
        for block in self._blocks():
            block.neighbours.finer = finer * block.scale

    def _blocks(self) -> Iterator[ScaleBlock]:
        for block in self.blocks:
            assert isinstance(block, ScaleBlock)  # noqa: S101 - of nothing else is it made
            yield block

    @property
    def reach(self) -> int:
        """Say how many cells away a cell can lie and still count in one call."""
        if self.kernel == 1:
            return 0
        rings = [
            (self.kernel // 2) * block.neighbours.finer
            + (self.kernel * block.neighbours.finer) // 2
            for block in self._blocks()
        ]
        return sum(rings)

    def prepare(self, X: Tensor) -> Tensor:
        """Withhold statistics of stations from some samples in training."""
        if not (self.training and self.parts[2] and self.omission):
            return X
        parts = list(torch.split(X, self.parts, dim=-1))
        is_told = torch.rand((len(X), *[1] * (X.ndim - 1)), device=X.device) >= self.omission
        parts[2] = parts[2] * is_told
        return torch.cat(parts, dim=-1)

    def forward(self, noisy: Tensor, step: Tensor, condition: Tensor) -> Tensor:
        """Keep the dims ``(sample, y, x, output)``."""
        if self.training or self.tile is None:
            return self._whole(noisy, step, condition)
        reach = self.reach
        tiles = Tiles(self.tile, reach if self.overlap is None else self.overlap, reach)
        total, share = torch.zeros_like(noisy), torch.zeros_like(noisy[:1, ..., :1])
        for rows, columns, weight in tiles.windows(noisy.shape[1], noisy.shape[2]):
            weight = weight.to(noisy)[None, ..., None]
            if not (condition[:, rows, columns, -1:] * weight).any():
                continue  # no cell of its own is there
            values = self._whole(noisy[:, rows, columns], step, condition[:, rows, columns])
            total[:, rows, columns] += values * weight
            share[:, rows, columns] += weight
        return total / torch.where(share > 0, share, 1.0)

    def _whole(self, noisy: Tensor, step: Tensor, condition: Tensor) -> Tensor:
        plain, fixed, stations, is_there = torch.split(condition, self.parts, dim=-1)
        film = self.step_film(self.step(step_waves(step)))[:, None, None]
        if self.condition_film is not None:
            film = film + self.condition_film(torch.cat([fixed, stations], dim=-1))
        films = film.chunk(len(self.blocks), dim=-1)
        maps = self.entry(torch.cat([plain, noisy], dim=-1)) * is_there
        kept: list[Tensor] = []
        for number, (block, own) in enumerate(zip(self.blocks, films, strict=True)):
            going_up = number - len(self.joins) - 1
            if going_up >= 0:
                maps = self.joins[going_up](torch.cat([maps, kept.pop()], dim=-1)) * is_there
            maps = block(maps, own, is_there)
            if number < len(self.joins):
                kept.append(maps)
        result: Tensor = self.exit(maps)
        return result


@dataclass(frozen=True)
class Tiles:
    """Cut a map into tiles that look beyond their own cells, and say how much each counts.

    Attributes
    ----------
    size
        Cells along the side of a tile's own part.
    overlap
        Cells that it looks further.
    reach
        As far as cells at its cut sides are not what they would be in the whole map: these count nothing.
        Where the overlap is smaller, tiles are blended over all of it.

    Examples
    --------
    >>> [(rows.start, rows.stop) for rows, _, _ in Tiles(4, 1, 1).windows(10, 4)]
    [(0, 5), (3, 9), (7, 10)]
    """

    size: int
    overlap: int
    reach: int

    def windows(self, height: int, width: int) -> Iterator[tuple[slice, slice, Tensor]]:
        """Give rows, columns and weights, dims ``(y, x)``, of each tile."""
        for (rows, down), (columns, across) in product(self._side(height), self._side(width)):
            yield rows, columns, down[:, None] * across[None, :]

    def _side(self, total: int) -> list[tuple[slice, Tensor]]:
        spoiled = self.reach if self.overlap >= self.reach else 0
        blended = 2 * (self.overlap - spoiled)
        sides = []
        for start in range(0, total, self.size):
            low = max(0, start - self.overlap)
            high = min(total, start + self.size + self.overlap)
            cells = torch.arange(low, high, dtype=torch.float32)
            weight = torch.ones(high - low)
            for is_cut, depth in ((low > 0, cells - low), (high < total, high - 1 - cells)):
                if is_cut:
                    # a ramp over the blended cells; a step where there are none
                    weight = weight * ((depth + 0.5 - spoiled) / max(blended, 1e-6)).clamp(0, 1)
            sides.append((slice(low, high), weight))
        return sides
