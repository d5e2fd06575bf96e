"""Sums over blocks of cells, and lines between their centres, in an order that no window changes.

A map is worked on in tiles, and must not depend on them to the last bit. So a sum goes over the rows and
then the columns of each block, whatever its neighbours are (NumPy's own order depends on the shape of the
whole array), and a weight follows from the place within the block, not on the map.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]


def block_sum(values: npt.NDArray[np.generic], factors: Mapping[str, int]) -> Array:
    """Add up every block of cells.

    Parameters
    ----------
    values
        ``(..., y, x)``, numbers or booleans.
    factors
        Rows ``y`` and columns ``x`` of a block; whole blocks fill the array.

    Returns
    -------
    numpy.ndarray
        ``(..., y, x)`` of the blocks, double precision.

    Examples
    --------
    >>> block_sum(np.ones((4, 6)), {"y": 2, "x": 3})
    array([[6., 6.],
           [6., 6.]])
    """
    rows, columns = (np.ones((1, factors[dim])) for dim in ("y", "x"))
    return weighted_block_sums(values, rows, columns)[..., 0, :, :]


def weighted_block_sums(values: npt.NDArray[np.generic], rows: Array, columns: Array) -> Array:
    """Add up every block with weights that are products of one for the row and one for the column.

    Parameters
    ----------
    values
        ``(..., y, x)``, numbers or booleans.
    rows, columns
        Weights by place within a block, ``(way, row)`` and ``(way, column)``.

    Returns
    -------
    numpy.ndarray
        ``(..., way, y, x)``; all ways for the columns of the first for the rows come first.
    """
    height, width = rows.shape[1], columns.shape[1]
    *lead, size_y, size_x = values.shape
    strips = np.zeros((len(rows), *lead, size_y // height, size_x))
    for place in range(height):
        _add(strips, rows[:, place], values[..., place::height, :])
    total = np.zeros((len(rows), len(columns), *strips.shape[1:-1], size_x // width))
    for way, strip in enumerate(strips):
        for place in range(width):
            _add(total[way], columns[:, place], strip[..., place::width])
    return np.moveaxis(total.reshape(-1, *total.shape[2:]), 0, -3)


def _add(totals: Array, weights: Array, part: npt.NDArray[np.generic]) -> None:
    for total, weight in zip(totals, weights, strict=True):
        if weight == 1.0:
            total += part
        elif weight != 0.0:
            total += weight * part


def line(factor: int) -> tuple[npt.NDArray[np.intp], Array]:
    """Place the cells of a block on the line between block centres.

    Returns
    -------
    tuple
        For each cell the block before it, relative to its own (−1 or 0), and the share of the one after.

    Examples
    --------
    >>> before, share = line(2)
    >>> before.tolist(), share.tolist()
    ([-1, 0], [0.75, 0.25])
    """
    position = (np.arange(factor) + 0.5) / factor - 0.5
    before = np.floor(position).astype(np.intp)
    return before, position - before


def bilinear(
    values: Array,
    factors: Mapping[str, int],
    cover: Mapping[str, slice],
    *,
    wraps: bool = False,
) -> Array:
    """Interpolate linearly along y, then along x, between the centres of blocks.

    Parameters
    ----------
    values
        One per block, ``(..., y, x)``; finite, double precision.
    factors
        Rows and columns of cells in a block.
    cover
        Rows and columns of blocks that are wanted; those beside them are neighbours only.
    wraps
        Let the last column be a neighbour of the first. Else the value is held beyond the outermost
        centres.
    """
    for axis, dim in ((-2, "y"), (-1, "x")):
        count, factor = values.shape[axis], factors[dim]
        before, share = line(factor)
        blocks = np.arange(count)[cover[dim]]
        first = (blocks[:, None] + before).ravel()
        second = first + 1
        if wraps and dim == "x":
            first, second = first % count, second % count
        else:
            first, second = np.clip(first, 0, count - 1), np.clip(second, 0, count - 1)
        share = np.tile(share, len(blocks))
        share = share[:, None] if dim == "y" else share
        result = np.take(values, first, axis)
        result *= 1 - share
        after = np.take(values, second, axis)
        after *= share
        result += after
        values = result
    return values


def smoothed(
    values: Array,
    factors: Mapping[str, int],
    cover: Mapping[str, slice],
    *,
    wraps: bool = False,
) -> Array:
    """Interpolate as `bilinear` over the blocks that have a value; NaN where none of the four has."""
    is_valid = np.isfinite(values)
    known = np.where(is_valid, values, 0.0).astype("f8", copy=False)
    result = bilinear(known, factors, cover, wraps=wraps)
    weight = bilinear(is_valid.astype("f8"), factors, cover, wraps=wraps)
    result[weight <= 1e-9] = np.nan
    weight[weight <= 1e-9] = 1.0
    result /= weight
    return result
