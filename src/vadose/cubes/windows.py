"""Area means and majorities in chosen square windows of a map, without making the coarser map.

The windows need not begin or end on a cell's edge: one of 100 m in cells of 30 m holds parts of cells,
which count by the part that lies in it. For whole maps there is `vadose.cubes.reproject`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vadose.cubes.places import Array

#: Cells that are looked at together; bounds the memory, whatever the number of windows.
BATCH = 2**21
#: Share of a cell that is rounding of a window's edge.
ROUNDING = 1e-7


@dataclass(frozen=True, eq=False)
class Windows:
    """Hold squares on a map, all of one size, counted in its cells from the outer north-west corner.

    Attributes
    ----------
    row, column
        Northern and western edges; any numbers, so that a window can begin within a cell.
    size
        Cells along a side.
    """

    row: Array
    column: Array
    size: float


def window_means(
    values: npt.NDArray[np.floating], windows: Windows, area: Array, *, min_valid: float = 0.5
) -> Array:
    """Give the area mean of the valid part of each window.

    Parameters
    ----------
    values
        Map, ``(rows, columns)``; NaN is a gap.
    windows
        Where.
    area
        Area of each cell, ``(rows, columns)``.
    min_valid
        Share of a window's area that must be valid; what lies off the map is no part of it.

    Returns
    -------
    numpy.ndarray
        One value per window, in double precision; NaN where too little is valid.

    Examples
    --------
    >>> field = np.array([[1.0, 2.0, 3.0, 4.0]] * 4)
    >>> corner = np.zeros(1)
    >>> window_means(field, Windows(corner, corner, 2.5), np.ones((4, 4)))  # (1 + 2 + 3 / 2) / 2.5
    array([1.8])
    """

    def mean(cells: Array, weight: Array) -> Array:
        is_valid = np.isfinite(cells)
        valid = np.sum(weight * is_valid, axis=(1, 2))
        total = np.sum(np.where(is_valid, cells, 0.0) * weight, axis=(1, 2))
        is_enough = _is_enough(valid, weight, min_valid)
        return np.where(is_enough, total / np.where(is_enough, valid, 1.0), np.nan)

    return _in_each(mean, values, windows, area)


def window_majorities(
    codes: npt.NDArray[np.integer],
    windows: Windows,
    area: Array,
    *,
    missing: int | None = None,
    min_valid: float = 0.5,
) -> Array:
    """Give the code with the largest area in each window, of equals the lowest.

    Parameters
    ----------
    codes
        Map of codes, ``(rows, columns)``.
    windows, area, min_valid
        As for `window_means`.
    missing
        The code of no class.

    Returns
    -------
    numpy.ndarray
        One code per window, as a floating-point number; NaN where too little has a class.

    Examples
    --------
    >>> codes = np.array([[7, 4, 4], [7, 255, 4]])
    >>> windows = Windows(np.zeros(2), np.array([0.0, 1.0]), 2.0)
    >>> window_majorities(codes, windows, np.ones((2, 3)), missing=255)
    array([7., 4.])
    """
    present = [int(code) for code in np.unique(codes) if code != missing]

    def majority(cells: Array, weight: Array) -> Array:
        winner, best = np.full(len(cells), np.nan), np.zeros(len(cells))
        valid = np.zeros(len(cells))
        for code in present:
            part = np.sum(weight * (cells == code), axis=(1, 2))
            is_larger = part > best * (1.0 + ROUNDING)  # equal but for rounding is equal
            winner, best = np.where(is_larger, code, winner), np.where(is_larger, part, best)
            valid += part
        return np.where(_is_enough(valid, weight, min_valid), winner, np.nan)

    return _in_each(majority, codes, windows, area)


def _is_enough(valid: Array, weight: Array, min_valid: float) -> npt.NDArray[np.bool_]:
    whole = np.sum(weight, axis=(1, 2))
    return np.asarray((valid > ROUNDING * whole) & (valid >= (min_valid - ROUNDING) * whole))


def _in_each(
    function: Callable[[Array, Array], Array],
    values: npt.NDArray[np.generic],
    windows: Windows,
    area: Array,
) -> Array:
    """Apply a function of the cells of windows and their weights, ``(windows, rows, columns)`` each."""
    found = np.full(windows.row.size, np.nan)
    for part in _batches(windows):
        row, tall = _shares(windows.row[part], windows.size, values.shape[0])
        column, wide = _shares(windows.column[part], windows.size, values.shape[1])
        place = row[:, :, None], column[:, None, :]
        weight = area[place] * tall[:, :, None] * wide[:, None, :]
        found[part] = function(values[place].astype("f8"), weight)
    return found


def _batches(windows: Windows) -> Iterator[slice]:
    length = max(BATCH // (int(windows.size) + 2) ** 2, 1)
    for start in range(0, windows.row.size, length):
        yield slice(start, start + length)


def _shares(start: Array, size: float, count: int) -> tuple[npt.NDArray[np.int64], Array]:
    """Give the cells along one side of each window, and the share of each that lies in it."""
    # an edge that rounding puts just across a line between cells touches no cell of its own
    first = np.floor(start + ROUNDING).astype("i8")
    length = int(np.ceil(size - ROUNDING)) + 1
    cell = first[:, None] + np.arange(length)
    share = np.minimum(cell + 1.0, start[:, None] + size) - np.maximum(cell, start[:, None])
    share = np.where((cell >= 0) & (cell < count) & (share > ROUNDING), share, 0.0)
    return np.clip(cell, 0, count - 1), share
