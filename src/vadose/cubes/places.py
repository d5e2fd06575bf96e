"""Where the places of one grid lie on another, and which part of a source a part of a target needs.

Places are counted in cells of a grid, columns first: ``(0, 0)`` is its outer north-west corner and
``(0.5, 0.5)`` the centre of its first cell. Places off the Earth (the corners of a sinusoidal map) are
NaN. Grids that go all the way round are joined at the seam.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import pyproj
from affine import Affine
from odc.geo.geobox import GeoBox

Array = npt.NDArray[np.float64]
Box = tuple[int, int, int, int]  # first row, end of rows, first column, end of columns


@functools.lru_cache(maxsize=64)
def period(crs: str) -> float | None:
    """Give the width of the Earth in a CRS whose columns are meridians, else None.

    Examples
    --------
    >>> period("EPSG:4326"), round(period("EPSG:6933")), period("EPSG:32631")
    (360.0, 34735061, None)
    """
    reference = pyproj.CRS.from_user_input(crs)
    if reference.is_geographic:
        return 360.0
    transformer = pyproj.Transformer.from_crs("EPSG:4326", reference, always_xy=True)
    longitude, latitude = np.meshgrid([-90.0, 0.0, 45.0, 90.0], [-50.0, 0.0, 60.0])
    x = np.asarray(transformer.transform(longitude, latitude)[0])
    if not np.isfinite(x).all():
        return None
    width = float(x[0, 3] - x[0, 0]) * 2.0
    expected = x[0, 0] + (longitude[0] + 90.0) * width / 360.0
    return width if np.allclose(x, expected, rtol=0.0, atol=1e-9 * abs(width)) else None


def columns_round(grid: GeoBox) -> float | None:
    """Count the columns from a meridian once round the Earth, where that makes sense.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> columns_round(latlon(0.25, (0, 0, 10, 10)))
    1440.0
    """
    width = period(str(grid.crs))
    return None if width is None else width / abs(grid.affine.a)


def goes_round(grid: GeoBox) -> bool:
    """Tell whether a grid's last column touches its first one.

    Examples
    --------
    >>> from vadose.grids import latlon, named_grid
    >>> goes_round(named_grid("EASE2_36km")), goes_round(latlon(1.0, (0, 0, 10, 10)))
    (True, False)
    """
    count = columns_round(grid)
    return count is not None and abs(count - grid.shape.x) < 1e-3


def places(
    origin: GeoBox, other: GeoBox, columns: npt.ArrayLike, rows: npt.ArrayLike
) -> tuple[Array, Array]:
    """Find places of one grid on another.

    Parameters
    ----------
    origin, other
        Grids.
    columns, rows
        Places on `origin`, in cells; they may lie outside of it.

    Returns
    -------
    tuple
        Columns and rows on `other`, in cells; NaN off the Earth.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> places(latlon(1.0), latlon(0.5), [0.5], [0.5])
    (array([1.]), array([1.]))
    """
    x = origin.affine.c + origin.affine.a * np.asarray(columns, "f8")
    y = origin.affine.f + origin.affine.e * np.asarray(rows, "f8")
    if origin.crs == other.crs:
        there_x, there_y = x, y
    else:
        transformer = _transformer(str(origin.crs), str(other.crs))
        there_x, there_y = (np.asarray(part) for part in transformer.transform(x, y))
        back_x, back_y = transformer.transform(there_x, there_y, direction="INVERSE")
        width = period(str(origin.crs))
        miss = np.abs(np.asarray(back_x) - x)
        if width is not None:
            miss = np.minimum(miss, np.abs(miss - width * np.round(miss / width)))
        is_place = (miss < 0.25 * abs(origin.affine.a)) & (
            np.abs(np.asarray(back_y) - y) < 0.25 * abs(origin.affine.e)
        )
        there_x, there_y = np.where(is_place, there_x, np.nan), np.where(is_place, there_y, np.nan)
    column, row = there_x - other.affine.c, there_y - other.affine.f
    return column / other.affine.a, row / other.affine.e


@functools.lru_cache(maxsize=32)
def _transformer(origin: str, other: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(origin, other, always_xy=True)


def turned(column: Array, grid: GeoBox) -> Array:
    """Turn columns round the Earth to where they are nearest to the middle of a grid.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> turned(np.array([-5.0, 400.0]), latlon(1.0, (170, 0, 180, 10)))
    array([-5., 40.])
    """
    count = columns_round(grid)
    if count is None:
        return column
    middle = grid.shape.x / 2
    return np.asarray(column - count * np.round((column - middle) / count))


def _lattice(box: Box, most: int) -> tuple[Array, Array]:
    """Give evenly spaced places of a box with its edges, at most so many along a side."""
    first, end, left, right = box
    return tuple(  # type: ignore[return-value]
        np.meshgrid(
            np.linspace(left, right, min(right - left, most) + 1),
            np.linspace(first, end, min(end - first, most) + 1),
        )
    )


def size_ratio(source: GeoBox, target: GeoBox) -> float:
    """Give the median area of a target cell in source cells, where they lie over each other.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> size_ratio(latlon(0.5), latlon(1.0))
    4.0
    """
    rows, columns = target.shape
    column, row = _lattice((0, rows - 1, 0, columns - 1), 32)
    steps = ((0, 0), (1, 0), (0, 1))
    (x, x_east, x_south), (y, y_east, y_south) = zip(
        *(places(target, source, column + east, row + south) for east, south in steps),
        strict=True,
    )
    area = np.abs((x_east - x) * (y_south - y) - (x_south - x) * (y_east - y))
    count = columns_round(source)
    is_cut = ~np.isfinite(area)
    if count is not None:
        is_cut |= (np.abs(x_east - x) > count / 2) | (np.abs(x_south - x) > count / 2)
    return float("nan") if is_cut.all() else float(np.median(area[~is_cut]))


def window(source: GeoBox, target: GeoBox, tile: Box) -> Box | None:
    """Find the source cells that a tile of the target needs, with a margin for their neighbours.

    Columns of a source that goes round may be negative or beyond the last one: they are counted on
    over the seam. None stands for a tile that the source does not touch.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> window(latlon(1.0), latlon(5.0), (17, 18, 0, 1))
    (82, 93, -3, 8)
    """
    column, row = places(target, source, *_lattice(tile, 32))
    if not np.isfinite(column).any():
        return None
    is_round = goes_round(source)
    if is_round:
        known = np.where(np.isfinite(column), column, np.nanmin(column))
        turn = float(source.shape.x)
        column = np.unwrap(np.unwrap(known, axis=1, period=turn), axis=0, period=turn)
    else:
        column = turned(column, source)
    bounds = []
    for place in (row, column):
        bend = max(_widest_step(place, axis) for axis in (0, 1))
        # what lies between two neighbours is no further away than they are from each other
        margin = 3 + (0 if source.crs == target.crs else 2 * bend)
        bounds += [
            int(np.floor(np.nanmin(place) - margin)),
            int(np.ceil(np.nanmax(place) + margin)),
        ]
    first, end = max(bounds[0], 0), min(bounds[1], source.shape.y)
    left, right = bounds[2], bounds[3]
    if is_round and right - left >= source.shape.x:
        left, right = 0, source.shape.x
    elif is_round:
        is_beside = left >= source.shape.x or right <= 0
        shift = source.shape.x * (left // source.shape.x) if is_beside else 0
        left, right = left - shift, right - shift
    else:
        left, right = max(left, 0), min(right, source.shape.x)
    return (first, end, left, right) if first < end and left < right else None


def _widest_step(place: Array, axis: int) -> float:
    steps = np.abs(np.diff(place, axis=axis))
    return float(np.nanmax(steps)) if np.isfinite(steps).any() else 0.0


def part(grid: GeoBox, box: Box) -> GeoBox:
    """Give rows and columns of a grid, also beyond its edges."""
    first, end, left, right = box
    affine = grid.affine * Affine.translation(left, first)
    return GeoBox((end - first, right - left), affine, grid.crs)
