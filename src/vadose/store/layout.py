"""How the arrays of a store are cut into tiles, each written by one task, and chunks for readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vadose.errors import GridProblem

#: Sides of a chunk that readers of maps and of series are both well served by.
_NEAR = {"member": 1, "time": 16, "y": 192, "x": 192}


@dataclass(frozen=True)
class Layout:
    """Say how the arrays of a store are cut.

    Attributes
    ----------
    tile
        Cells of a tile along each dimension: the part that one task writes, and one shard. A
        dimension that is not named is cut into single cells.
    chunk
        Cells of the chunks inside it, of which readers take what they need; they divide the tile.
    is_packed
        Whether continuous variables are stored as 16-bit integers, see `vadose.store.packing_of`.

    Raises
    ------
    GridProblem
        When the chunks do not divide the tile.

    Examples
    --------
    >>> Layout({"y": 512, "x": 512}, {"y": 100, "x": 256})
    Traceback (most recent call last):
    vadose.errors.GridProblem: tile: found chunks of 100 cells along 'y', expected a divisor of 512.
    """

    tile: dict[str, int]
    chunk: dict[str, int]
    is_packed: bool = False

    def __post_init__(self) -> None:
        for dim, side in self.tile.items():
            if side % self.chunk.get(dim, 1):
                raise GridProblem(
                    "tile",
                    found=f"chunks of {self.chunk[dim]} cells along {dim!r}",
                    expected=f"a divisor of {side}",
                )

    def shape(self, sizes: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
        """Give the sides of the tiles and chunks of an array, which may be smaller than a tile.

        Examples
        --------
        >>> Layout({"time": 32, "y": 512}, {"time": 16, "y": 128}).shape({"time": 20, "y": 100})
        ({'time': 32, 'y': 100}, {'time': 16, 'y': 100})
        """
        chunk = {dim: min(self.chunk.get(dim, 1), size) for dim, size in sizes.items()}
        tile = {
            dim: min(self.tile.get(dim, 1), -(-size // chunk[dim]) * chunk[dim])
            for dim, size in sizes.items()
        }
        return tile, chunk


def layout_of(tile: Mapping[str, int], *, is_packed: bool = False) -> Layout:
    """Choose the chunks of a tile: its divisors nearest to 192 cells along y and x, to 16 along time.

    Examples
    --------
    >>> layout_of({"time": 32, "y": 500, "x": 720}).chunk
    {'time': 16, 'y': 250, 'x': 180}
    """
    return Layout(
        dict(tile),
        {dim: _divisor(side, _NEAR.get(dim, 1)) for dim, side in tile.items()},
        is_packed,
    )


def _divisor(side: int, near: int) -> int:
    divisors = [number for number in range(1, side + 1) if side % number == 0]
    return min(divisors, key=lambda number: abs(np.log(number / near)))
