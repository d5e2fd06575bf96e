"""The areas that the cells of two grids have in common, exactly, for any pair of CRS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from scipy import sparse

from vadose.cubes.places import Array, Box, columns_round, goes_round, part, places
from vadose.grids import cell_area

Integers = npt.NDArray[np.int64]

#: Smallest share of a cell that is not rounding of its corners.
ROUNDING = 1e-9
#: Points along a side into which a cell is divided that a seam or a pole of the target's map cuts.
POINTS = 8


@dataclass(frozen=True)
class Overlap:
    """Hold what the cells of a target tile and of a source window have in common.

    Attributes
    ----------
    areas
        True area in m² of each pair of cells; one row per target cell, one column per source cell.
    uncovered
        Area of each target cell in m² that no source cell covers.
    cells
        Number of source cells, with fractions, that lie in each target cell.
    """

    areas: sparse.csr_array
    uncovered: Array
    cells: Array


def overlap(source: GeoBox, target: GeoBox, tile: Box, box: Box) -> Overlap:
    """Find the areas that the cells of a target tile and of a source window have in common.

    Corners of source cells are placed on the target and joined by straight lines; each of these
    quadrangles is cut along the target's grid lines exactly. As neighbours share corners, the shares of
    a source cell add up to one and nothing is counted twice.

    Parameters
    ----------
    source, target
        Grids, with any CRS.
    tile
        Rows and columns of the target.
    box
        Rows and columns of the source (`window`).

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> pair = overlap(latlon(2.0), latlon(3.0), (0, 1, 0, 1), (0, 2, 0, 2))
    >>> pair.cells.round(6).tolist()  # 1 + 1/2 + 1/2 + 1/4 cells of 2 degrees
    [2.25]
    """
    x, y, is_whole = _outlines(source, target, tile, box)
    size = _size(x, y)
    is_far = (y.max(axis=1) < tile[0]) | (y.min(axis=1) > tile[1])
    whole = np.flatnonzero(is_whole & ~is_far)
    quadrangle, columns, rows, cover = _cut(x[whole], y[whole])
    number, is_inside = _in_tile(target, tile, columns, rows)
    number, cells, cover = number[is_inside], whole[quadrangle[is_inside]], cover[is_inside]
    share = cover / size[cells]
    area = cell_area(part(source, box)).values.ravel()
    tile_area = cell_area(part(target, tile)).values.ravel()
    if not is_whole.all():
        points = _spread(source, target, tile, box, np.flatnonzero(~is_whole))
        number, cells = np.concatenate([number, points[0]]), np.concatenate([cells, points[1]])
        share = np.concatenate([share, points[2]])
        cover = np.concatenate([cover, points[2] * area[points[1]] / tile_area[points[0]]])
    missing = 1.0 - np.bincount(number, cover, tile_area.size)
    areas = sparse.coo_array(
        (share * area[cells], (number, cells)), shape=(tile_area.size, area.size)
    ).tocsr()
    areas.sum_duplicates()
    return Overlap(
        areas,
        np.where(missing > 100 * ROUNDING, missing, 0.0) * tile_area,
        np.bincount(number, share, tile_area.size).astype("f8"),
    )


def shares(values: Array, pair: Overlap) -> Array:
    """Give the valid share of each target cell's area.

    Parameters
    ----------
    values
        Source window, ``(rows, columns)``; NaN is a gap. So in all functions below.
    pair
        What the cells have in common.

    Returns
    -------
    numpy.ndarray
        One value per target cell; NaN only where a cell has no area.
    """
    return _over(pair.areas @ np.isfinite(values.ravel()).astype("f8"), _whole(pair))


def means(values: Array, pair: Overlap, *, min_valid: float) -> Array:
    """Give the area mean of the valid part of each target cell; NaN where too little is valid."""
    flat = values.ravel()
    is_valid = np.isfinite(flat)
    total, valid = pair.areas @ np.where(is_valid, flat, 0.0), pair.areas @ is_valid.astype("f8")
    return np.where(_is_enough(valid, pair, min_valid), _over(total, valid), np.nan)


def sums(values: Array, pair: Overlap, *, min_valid: float) -> Array:
    """Give the amount in each target cell: the mean times the number of source cells in it."""
    return np.asarray(means(values, pair, min_valid=min_valid) * pair.cells)


def maxima(values: Array, pair: Overlap, *, min_valid: float) -> Array:
    """Give the largest value of a source cell that lies in part in each target cell."""
    flat = values.ravel()
    is_valid = np.isfinite(flat)
    starts = pair.areas.indptr
    largest = np.full(starts.size - 1, np.nan)
    has_cells = np.diff(starts) > 0
    found = np.where(is_valid, flat, -np.inf)[pair.areas.indices]
    if has_cells.any():
        largest[has_cells] = np.maximum.reduceat(found, starts[:-1][has_cells])
    is_enough = _is_enough(pair.areas @ is_valid.astype("f8"), pair, min_valid)
    return np.where(is_enough, largest, np.nan)


def majorities(
    values: Array, pair: Overlap, *, min_valid: float, missing: int | None = None
) -> Array:
    """Give the code with the largest area in each target cell, of equals the lowest; NaN for none."""
    flat = values.ravel()
    best, winner = np.zeros(pair.uncovered.size), np.full(pair.uncovered.size, np.nan)
    valid = np.zeros_like(best)
    for code in np.unique(flat[np.isfinite(flat)]):
        if code == missing:
            continue
        area = pair.areas @ (flat == code).astype("f8")
        is_larger = area > best * (1.0 + 100 * ROUNDING)  # equal but for rounding is equal
        best, winner = np.where(is_larger, area, best), np.where(is_larger, code, winner)
        valid += area
    return np.where(_is_enough(valid, pair, min_valid), winner, np.nan)


def fractions(values: Array, pair: Overlap, *, code: int, codes: int, min_valid: float) -> Array:
    """Give the share of a code among codes 0 to `codes` - 1 in each target cell."""
    flat = values.ravel()
    valid = pair.areas @ ((flat >= 0) & (flat < codes)).astype("f8")
    share = _over(pair.areas @ (flat == code).astype("f8"), valid)
    return np.where(_is_enough(valid, pair, min_valid), share, np.nan)


def _whole(pair: Overlap) -> Array:
    covered: Array = np.asarray(pair.areas.sum(axis=1), dtype="f8")
    return covered + pair.uncovered


def _is_enough(valid: Array, pair: Overlap, min_valid: float) -> npt.NDArray[np.bool_]:
    return (valid > 0.0) & (valid >= (min_valid - 100 * ROUNDING) * _whole(pair))


def _over(total: Array, weight: Array) -> Array:
    share = np.full(weight.shape, np.nan)
    np.divide(total, weight, out=share, where=weight > 0.0)
    return share


def _outlines(
    source: GeoBox, target: GeoBox, tile: Box, box: Box
) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """Place the corners of source cells on the target, ``(cells, 4)``, and tell which ones hang together."""
    first, end, left, right = box
    corners = np.meshgrid(np.arange(left, right + 1.0), np.arange(first, end + 1.0))
    x, y = (_quadrangles(values) for values in places(source, target, *corners))
    middles = np.meshgrid(np.arange(left, right) + 0.5, np.arange(first, end) + 0.5)
    middle_x, middle_y = (values.ravel() for values in places(source, target, *middles))
    count = columns_round(target)
    if count is not None:
        x -= count * np.round((x - middle_x[:, None]) / count)
        turn = count * np.round((middle_x - (tile[2] + tile[3]) / 2) / count)
        x, middle_x = x - turn[:, None], middle_x - turn
    # the middle of a cell that a seam or pole cuts is far from the mean of its corners
    extent = np.maximum(np.ptp(x, axis=1), np.ptp(y, axis=1))
    off_centre = np.hypot(x.mean(axis=1) - middle_x, y.mean(axis=1) - middle_y)
    return x, y, (off_centre <= 0.2 * extent) & (_size(x, y) > 1e-12)  # False for NaN


def _size(x: Array, y: Array) -> Array:
    """Give the area of quadrangles, in cells of the target."""
    # from the first corner, so that places far from the origin lose no digits
    x, y = x - x[:, :1], y - y[:, :1]
    twice = (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1)
    return np.asarray(0.5 * np.abs(twice), dtype="f8")


def _quadrangles(corners: Array) -> Array:
    """Give the four corners of every cell in turn, ``(cells, 4)``."""
    parts = (corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1])
    return np.stack([values.ravel() for values in parts], axis=1)


def _in_tile(
    target: GeoBox, tile: Box, columns: Integers, rows: Integers
) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Give the numbers of target cells in a tile; the columns of a target that goes round meet at the seam."""
    if goes_round(target):
        columns = columns % target.shape.x
    first, end, left, right = tile
    is_inside = (rows >= first) & (rows < end) & (columns >= left) & (columns < right)
    return (rows - first) * (right - left) + columns - left, is_inside


def _cut(x: Array, y: Array) -> tuple[Integers, Integers, Integers, Array]:
    """Cut quadrangles along grid lines: quadrangle, column, row and area of every piece."""
    # a corner that rounding puts just across a grid line makes no cell of its own
    left, top = (np.floor(values.min(axis=1) + ROUNDING).astype("i8") for values in (x, y))
    right, bottom = (np.ceil(values.max(axis=1) - ROUNDING).astype("i8") for values in (x, y))
    width, height = np.maximum(right - left, 1), np.maximum(bottom - top, 1)
    order = np.argsort(width * height, kind="stable")
    found, start = [], 0
    while start < order.size:
        # pieces of a batch fill about 8 MiB; the largest quadrangle of a batch sets its size
        batch = order[start : start + 65536]
        while batch.size > 1 and batch.size * width[batch].max() * height[batch].max() > 2**20:
            batch = batch[: batch.size // 2]
        wide, high = int(width[batch].max()), int(height[batch].max())
        area = _areas(x[batch] - left[batch, None], y[batch] - top[batch, None], wide, high)
        which, row, column = np.nonzero(area > 0.0)
        owner = batch[which]
        found.append((owner, left[owner] + column, top[owner] + row, area[which, row, column]))
        start += batch.size
    if not found:
        empty = np.empty(0, "i8")
        return empty, empty, empty, np.empty(0)
    quadrangle, column, row, area = (np.concatenate(part) for part in zip(*found, strict=True))
    return quadrangle, column, row, area


def _areas(x: Array, y: Array, wide: int, high: int) -> Array:
    """Give the area of quadrangles in each unit square, ``(quadrangles, high, wide)``.

    By Green's theorem the area left of a and above b is the integral of min(y, b) over the edges, cut at
    x = a; second differences over a and b are the areas in the squares.
    """
    area = _size(x, y)
    if wide == 1 and high == 1:
        return area[:, None, None]
    last_x, last_y = np.roll(x, -1, axis=1), np.roll(y, -1, axis=1)
    limit_x = np.arange(wide + 1.0)
    limit_y = np.arange(high + 1.0)[:, None]
    total = np.zeros((x.shape[0], high + 1, wide + 1))
    for edge in range(4):
        x0, y0, x1, y1 = (part[:, edge, None] for part in (x, y, last_x, last_y))
        run = x1 - x0
        slope = np.divide(y1 - y0, run, out=np.zeros_like(run), where=np.abs(run) > 1e-12)
        from_x, to_x = np.minimum(x0, limit_x), np.minimum(x1, limit_x)
        from_y, to_y = y0 + (from_x - x0) * slope, y0 + (to_x - x0) * slope
        length = np.where(np.abs(run) > 1e-12, to_x - from_x, 0.0)[:, None, :]
        above, below = from_y[:, None, :] - limit_y, to_y[:, None, :] - limit_y
        high_above, high_below = np.maximum(above, 0.0), np.maximum(below, 0.0)
        gap = np.abs(above - below)
        is_crossed = above * below < 0.0
        excess = 0.5 * (high_above + high_below)
        crossed = np.maximum(high_above, high_below) ** 2
        np.divide(crossed, 2.0 * gap, out=excess, where=is_crossed)
        total += length * (0.5 * (from_y + to_y)[:, None, :] - excess)
    pieces = np.abs(np.diff(np.diff(total, axis=1), axis=2))
    return np.asarray(np.where(pieces > 1e-12 * area[:, None, None], pieces, 0.0), dtype="f8")


def _spread(
    source: GeoBox, target: GeoBox, tile: Box, box: Box, cells: Integers
) -> tuple[Integers, Integers, Array]:
    """Divide cells that a seam or pole cuts into points: target cell, source cell and share of each."""
    first, _, left, right = box
    row, column = np.divmod(cells, right - left)
    step = (np.arange(POINTS) + 0.5) / POINTS
    offset_x, offset_y = (values.ravel() for values in np.meshgrid(step, step))
    x, y = places(
        source,
        target,
        (left + column)[:, None] + offset_x,
        (first + row)[:, None] + offset_y,
    )
    is_place = np.isfinite(x)
    x, y = np.where(is_place, x, -1.0), np.where(is_place, y, -1.0)
    place, is_inside = _in_tile(target, tile, np.floor(x).astype("i8"), np.floor(y).astype("i8"))
    is_inside &= is_place
    numbers = np.broadcast_to(cells[:, None], x.shape)[is_inside]
    return place[is_inside], numbers, np.full(numbers.size, 1.0 / POINTS**2)
