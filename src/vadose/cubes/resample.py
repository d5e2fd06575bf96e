"""Values at places between cell centres: nearest, smooth and cubic, none of which lets a gap bleed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from vadose.cubes.places import Array, Box, goes_round, places, turned

Integers = npt.NDArray[np.int64]
Kernel = Literal["nearest", "smooth", "cubic"]


@dataclass(frozen=True)
class Points:
    """Hold the places of target cell centres in a source window.

    Attributes
    ----------
    column, row
        Places in cells of the window, one per target cell.
    is_inside
        False where the source has no cell.
    is_round
        True where the window's last column touches its first one.
    """

    column: Array
    row: Array
    is_inside: npt.NDArray[np.bool_]
    is_round: bool


def points(source: GeoBox, target: GeoBox, tile: Box, box: Box) -> Points:
    """Find the places of a target tile's cell centres in a source window.

    Parameters
    ----------
    source, target
        Grids.
    tile
        Rows and columns of the target.
    box
        Rows and columns of the source (`vadose.cubes.places.window`).

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> points(latlon(1.0), latlon(2.0), (0, 1, 0, 2), (0, 9, 0, 9)).column
    array([1., 3.])
    """
    first, end, left, right = tile
    columns, rows = np.meshgrid(np.arange(left, right) + 0.5, np.arange(first, end) + 0.5)
    return points_at(source, target, columns.ravel(), rows.ravel(), box)


def points_at(source: GeoBox, target: GeoBox, columns: Array, rows: Array, box: Box) -> Points:
    """Find any places of a target, given in its cells, in a source window.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> there = np.array([0.5]), np.array([0.25])
    >>> points_at(latlon(1.0), latlon(2.0), *there, (0, 9, 0, 9)).row
    array([0.5])
    """
    column, row = places(target, source, columns, rows)
    edge, start, end = 1e-6, 0, source.shape.x
    if goes_round(source):
        start, end = box[2], box[3]
        column = start + (column - start + edge) % source.shape.x - edge
    else:
        column = turned(column, source)
    is_inside = (row >= -edge) & (row <= source.shape.y + edge)  # False for NaN
    is_inside &= (column >= start - edge) & (column <= end + edge)
    is_round = goes_round(source) and box[3] - box[2] == source.shape.x
    return Points(
        np.where(is_inside, column - box[2], 0.5),
        np.where(is_inside, row - box[0], 0.5),
        is_inside,
        is_round,
    )


def resample(values: Array, where: Points, kernel: Kernel) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Give values at places between cell centres.

    ``nearest`` repeats the value of the cell. ``smooth`` is bilinear over the valid ones of the four
    nearest cells, as `vadose.cubes.regrid.smooth`. ``cubic`` is Keys' kernel (a = −0.5, as in GDAL) on
    4 × 4 cells, smooth where one of them is missing, and clipped to the range of the cells it saw.
    Beyond the outermost centres the value is held; outside the source it is NaN.

    Parameters
    ----------
    values
        Source window, ``(steps, rows, columns)``.
    where
        Places.
    kernel
        Rule.

    Returns
    -------
    tuple
        Values ``(steps, places)``, NaN for gaps, and where the cubic overshot and was clipped.

    References
    ----------
    Keys (1981), IEEE Trans. Acoust. Speech Signal Process. 29, 1153-1160.

    Examples
    --------
    >>> spots = Points(np.array([0.5, 1.0]), np.array([0.5, 0.5]), np.array([True, True]), False)
    >>> resample(np.array([[[1.0, 3.0]]]), spots, "smooth")[0]
    array([[1., 2.]])
    """
    if kernel == "nearest":
        found = _take(values, where, _floor(where.row), _floor(where.column))
        overshot = np.zeros(found.shape, bool)
    else:
        found, overshot = _smooth(values, where), np.zeros((1, 1), bool)
        if kernel == "cubic":
            found, overshot = _cubic(values, where, found)
    is_inside = where.is_inside
    return np.where(is_inside, found, np.nan), overshot & is_inside


def _floor(place: Array) -> Integers:
    # a centre on the line between two cells belongs to the later one, whatever the rounding
    return np.floor(place + 1e-6).astype("i8")


def _take(values: Array, where: Points, row: Integers, column: Integers) -> Array:
    """Take cells by row and column, held at the edges or joined at the seam."""
    _, rows, columns = values.shape
    column = column % columns if where.is_round else np.clip(column, 0, columns - 1)
    return values[:, np.clip(row, 0, rows - 1), column]


def _smooth(values: Array, where: Points) -> Array:
    row, column = np.floor(where.row - 0.5), np.floor(where.column - 0.5)
    share_y, share_x = where.row - 0.5 - row, where.column - 0.5 - column
    total = np.zeros((values.shape[0], row.size))
    weight = np.zeros_like(total)
    for south in (0, 1):
        for east in (0, 1):
            part = (share_y if south else 1 - share_y) * (share_x if east else 1 - share_x)
            near = _take(values, where, row.astype("i8") + south, column.astype("i8") + east)
            is_valid = np.isfinite(near)
            total += np.where(is_valid, near, 0.0) * part
            weight += is_valid * part
    return np.where(weight > 1e-9, total / np.maximum(weight, 1e-9), np.nan)


def _keys(distance: Array) -> Array:
    """Give Keys' cubic convolution kernel with a = −0.5."""
    d = np.abs(distance)
    near = (1.5 * d - 2.5) * d**2 + 1.0
    far = ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    return np.asarray(np.where(d <= 1.0, near, np.where(d < 2.0, far, 0.0)))


def _cubic(values: Array, where: Points, smooth: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    row, column = np.floor(where.row - 0.5), np.floor(where.column - 0.5)
    share_y, share_x = where.row - 0.5 - row, where.column - 0.5 - column
    total = np.zeros_like(smooth)
    low, high = np.full_like(smooth, np.inf), np.full_like(smooth, -np.inf)
    for south in (-1, 0, 1, 2):
        for east in (-1, 0, 1, 2):
            near = _take(values, where, row.astype("i8") + south, column.astype("i8") + east)
            total += near * (_keys(share_y - south) * _keys(share_x - east))  # NaN spreads
            low, high = np.minimum(low, near), np.maximum(high, near)
    is_whole = np.isfinite(total)
    slack = 1e-9 * np.maximum(np.abs(low), np.abs(high))
    overshot = is_whole & ((total < low - slack) | (total > high + slack))
    return np.where(is_whole, np.clip(total, low, high), smooth), overshot
