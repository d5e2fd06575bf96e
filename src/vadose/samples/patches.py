"""Patches: the map of a step, or tiles that cover it, is a sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from vadose.errors import ValueProblem
from vadose.samples.base import NOWHERE, Samples
from vadose.samples.sampler import Sampler, spans, starts
from vadose.samples.source import Block, Box

Steps = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Patches(Sampler):
    """Take square tiles of the map of each step of a cube.

    Tiles cover the whole map: the last of a row or column is moved back to the edge, and a map smaller
    than a tile is padded with cells that are NaN. A cell that lacks any feature is NaN in all of them
    and in ``y``. A cell that lies in several tiles is put back from the one in which it is farthest
    from the tile's edge. A tile without any complete cell is left out.

    Parameters
    ----------
    features
        Variables of the cubes.
    with_position
        Whether longitude and latitude are features too.
    size
        Cells along the side of a tile; None for the whole map as one patch, which need not be square.
    overlap
        Cells that neighbours have in common; fewer than `size`.

    Raises
    ------
    ValueProblem
        A size or overlap that makes no tiles.

    Examples
    --------
    >>> import vadose.synthetic
    >>> cube = vadose.synthetic.world(size=16, days=8, factor=4).predictors
    >>> Patches(["ndvi", "sand"], size=6, overlap=2).take(cube).X.shape  # 8 days of 4 x 4 tiles
    (128, 6, 6, 4)
    """

    kind: ClassVar[str] = "patches"
    size: int | None = None
    overlap: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size is not None and self.size < 1:
            raise ValueProblem("size", found=f"{self.size} cells", expected="1 or more")
        if not 0 <= self.overlap < (self.size or 1):
            raise ValueProblem(
                "overlap",
                found=f"{self.overlap} cells, with tiles of {self.size or 'the whole map'}",
                expected="0 or more, and fewer than the size",
            )

    def _pieces(self, shape: tuple[int, int, int], places: int) -> Iterator[Box]:
        steps, rows, columns = shape
        high, wide = self.size or rows, self.size or columns
        first = starts(rows, high, self.overlap)
        per_row = len(starts(columns, wide, self.overlap)) * high * wide
        together = max(1, places // (per_row * len(first)))
        bands = len(first) if together > 1 else max(1, places // per_row)
        for time in spans(steps, together):
            for part in spans(len(first), bands):
                end = min(first[part.stop - 1] + high, rows)
                yield time, slice(first[part.start], end), slice(0, columns)

    def _arrange(self, block: Block) -> Samples:
        _, rows, columns = block.source.frame.shape
        row_steps, row_owner = self._tiles(rows, self.size or rows)
        column_steps, column_owner = self._tiles(columns, self.size or columns)
        end = block.corner[1] + block.X.shape[1]
        is_here = (row_steps[:, 0] >= block.corner[1]) & (
            np.minimum(row_steps[:, -1], rows - 1) < end
        )
        row_steps, row_owner = row_steps[is_here] - block.corner[1], row_owner[is_here]

        block.X[~block.is_complete] = np.nan
        is_given = block.is_complete & block.is_chosen
        kept = _tiled(is_given, row_steps, column_steps, False).any(axis=(1, 2))

        def tiles(values: npt.NDArray[Any], outside: float) -> npt.NDArray[Any]:
            return _tiled(values, row_steps, column_steps, outside)[kept]

        is_own = (row_owner[:, None, :, None] & column_owner[None, :, None, :]).reshape(
            -1, row_steps.shape[1], column_steps.shape[1]
        )
        is_own = np.tile(is_own, (len(block.X), 1, 1))[kept]
        target = block.y
        if target is not None:
            target = tiles(np.where(is_given[..., None], target, np.nan), np.nan)
            if len(block.source.targets) == 1:
                target = target[..., 0]
        return Samples(
            X=tiles(block.X, np.nan),
            y=target,
            groups=None if block.groups is None else tiles(block.groups, NOWHERE),
            weight=None if block.weight is None else tiles(block.weight, 0.0),
            index=np.where(
                is_own, tiles(np.where(is_given, block.index, NOWHERE), NOWHERE), NOWHERE
            ),
            frame=block.source.frame,
            feature_names=self.feature_names,
            target_names=block.source.targets,
        )

    def _tiles(self, total: int, size: int) -> tuple[Steps, npt.NDArray[np.bool_]]:
        """Give the cells of each tile along one side of the map, and those it puts back.

        Which tile holds a cell farthest from its edge is settled side by side: the best row of tiles
        and the best column of tiles meet in the best tile.
        """
        first = np.array(starts(total, size, self.overlap), dtype=np.int64)
        cells = first[:, None] + np.arange(size)
        inward = np.minimum(np.arange(size), np.arange(size)[::-1])
        depth = np.full((len(first), max(total, size)), NOWHERE, dtype=np.int64)
        np.put_along_axis(depth, cells, np.broadcast_to(inward, cells.shape), axis=1)
        owner = depth.argmax(axis=0)
        return cells, owner[cells] == np.arange(len(first))[:, None]


def _tiled(
    values: npt.NDArray[Any], row_steps: Steps, column_steps: Steps, outside: float
) -> npt.NDArray[Any]:
    """Cut fields, dims ``(time, y, x[, ...])``, into tiles, dims ``(time * tile, y, x[, ...])``."""
    short = [
        max(0, int(steps.max()) + 1 - size)
        for steps, size in zip((row_steps, column_steps), values.shape[1:3], strict=True)
    ]
    if any(short):
        margins = [(0, 0), (0, short[0]), (0, short[1])] + [(0, 0)] * (values.ndim - 3)
        values = np.pad(values, margins, constant_values=outside)
    tiles = values[:, row_steps[:, None, :, None], column_steps[None, :, None, :]]
    return tiles.reshape(-1, row_steps.shape[1], column_steps.shape[1], *values.shape[3:])
