"""Cells of a size between the coarse and the fine grid, drawn from every coarse cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from vadose.cubes.reproject import resolution
from vadose.errors import GridProblem

Integers = npt.NDArray[np.int64]
#: Grids are named by round numbers (that of 1 km has cells of 1000.9 m): so far off is meant.
NOMINAL = 0.002


@dataclass(frozen=True, eq=False)
class Level:
    """Hold how cells of one size lie on the fine grid and in the coarse cells.

    They begin at the north-west corner of the grids. A cell belongs to the coarse cell that holds its
    centre; what is left at the southern and eastern edge, less than a cell, belongs to none.

    Attributes
    ----------
    scale
        Side of a cell in m.
    ratio
        Fine cells along its side, with fractions.
    rows, columns
        First cell in each row (column) of coarse cells, and how many there are, ``(coarse rows, 2)``.
    """

    scale: float
    ratio: float
    rows: Integers
    columns: Integers

    def draw(self, samples: int, rng: np.random.Generator) -> tuple[Integers, Integers, Integers]:
        """Draw cells from every coarse cell, none twice; all of them where there are not more.

        Returns
        -------
        tuple
            Row and column of each, and the number of its coarse cell, row by row.
        """
        shape = (len(self.rows), len(self.columns))
        wide = np.broadcast_to(self.columns[:, 1], shape).ravel()
        chosen = distinct(np.outer(self.rows[:, 1], self.columns[:, 1]).ravel(), samples, rng)
        cell, place = np.nonzero(chosen >= 0)
        down, right = np.divmod(chosen[cell, place], wide[cell])
        coarse_row, coarse_column = np.divmod(cell, shape[1])
        return self.rows[coarse_row, 0] + down, self.columns[coarse_column, 0] + right, cell

    def number(self) -> Integers:
        """Count the cells in each coarse cell, row by row."""
        return np.outer(self.rows[:, 1], self.columns[:, 1]).ravel()


def level(scale: float, fine: GeoBox, coarse: GeoBox, factors: Mapping[str, int]) -> Level:
    """Lay cells of a size on a fine grid that nests in a coarse one.

    Parameters
    ----------
    scale
        Side of a cell in m. So many that nearly fill a coarse cell, to 0.2 %, fill it; next, a size
        within 0.2 % of a whole number of fine cells is that number.
    fine, coarse
        Grids.
    factors
        Fine cells along ``y`` and ``x`` of a coarse cell (`vadose.grids.nesting`).

    Raises
    ------
    GridProblem
        Cells smaller than the fine or larger than the coarse ones.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> fine, coarse = latlon(0.1, (0, 0, 2, 2)), latlon(1.0, (0, 0, 2, 2))
    >>> one = level(0.25 * resolution(coarse), fine, coarse, {"y": 10, "x": 10})
    >>> round(one.ratio, 6), one.rows.tolist()
    (2.5, [[0, 4], [4, 4]])
    """
    low, high = resolution(fine), resolution(coarse)
    if not low * (1.0 - NOMINAL) <= scale <= high * (1.0 + NOMINAL):
        raise GridProblem(
            "scales",
            found=f"{scale:g} m",
            expected=f"{low:.5g} to {high:.5g} m, from the fine to the coarse cells",
        )
    ratio = scale / low
    along = factors["y"] / ratio
    if abs(along - round(along)) <= NOMINAL * along:
        ratio = factors["y"] / round(along)
    elif abs(ratio - round(ratio)) <= NOMINAL * ratio:
        ratio = float(round(ratio))
    sides = []
    for dim, count in zip(("y", "x"), coarse.shape, strict=True):
        cells = int(np.floor(count * factors[dim] / ratio + 1e-9))
        owner = np.floor((np.arange(cells) + 0.5) * ratio / factors[dim] + 1e-9).astype("i8")
        first = np.searchsorted(owner, np.arange(count))
        sides.append(np.stack([first, np.bincount(owner, minlength=count)], axis=1))
    return Level(scale, ratio, sides[0], sides[1])


def distinct(sizes: Integers, count: int, rng: np.random.Generator) -> Integers:
    """Draw distinct numbers below each of several sizes, all sets alike probable.

    Returns
    -------
    numpy.ndarray
        ``(sizes, count)``; −1 where a size is below `count` and all its numbers are drawn.

    References
    ----------
    Floyd, in Bentley (1987), Commun. ACM 30, 754-757.

    Examples
    --------
    >>> np.sort(distinct(np.array([2, 3]), 3, np.random.default_rng(0)), axis=1)
    array([[-1,  0,  1],
           [ 0,  1,  2]])
    """
    chosen = np.full((len(sizes), count), -1, dtype=np.int64)
    for place in range(count):
        last = sizes - count + place
        drawn = rng.integers(0, np.maximum(last, 0) + 1)
        is_taken = (chosen == drawn[:, None]).any(axis=1)
        chosen[:, place] = np.where(last < 0, -1, np.where(is_taken, last, drawn))
    return chosen
