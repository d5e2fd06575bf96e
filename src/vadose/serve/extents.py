"""Where a grid lies on a Mercator map: its bounds in degrees, and the part of it that a tile shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import morecantile
import numpy as np
import numpy.typing as npt
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

Bounds = tuple[float, float, float, float]

#: Dots along the side of a tile.
SIDE = 256
#: Latitude at which a square Mercator map ends.
NORTHMOST = 85.05
#: A gap between longitudes of a grid that is narrower, in degrees, is none: the grid goes around the world.
_GAP = 15.0
#: Points along the side of a tile, and of a grid, at which the projection is looked at.
_POINTS, _EDGES = 9, 65
_MERCATOR = morecantile.tms.get("WebMercatorQuad")


@dataclass(frozen=True)
class Footprint:
    """Say which cells of a grid a tile shows.

    Attributes
    ----------
    rows, columns
        Cells, with some more around them; within the grid.
    density
        Cells along a dot of the tile, on average.
    turn
        Degrees, 360 or a multiple, by which the grid has to move to the east to lie below the tile.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    density: float
    turn: float


def tile_transform(z: int, x: int, y: int) -> Affine:
    """Give the transform from dots of a tile to Mercator metres."""
    west, _, _, north = (box := _MERCATOR.xy_bounds(morecantile.Tile(x, y, z)))
    return Affine((box[2] - west) / SIDE, 0, west, 0, (box[1] - north) / SIDE, north)


@lru_cache(maxsize=4096)
def footprints(grid: GeoBox, z: int, x: int, y: int) -> tuple[Footprint, ...]:
    """Find the cells that a tile shows: none beside the grid, two parts where a grid's ends meet.

    Not for several threads at once, for a projection is not.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> fiji = latlon(0.5, (170, -20, 190, -10))
    >>> [(part.columns, part.turn) for part in footprints(fiji, 4, 0, 8)]
    [((16, 40), -360.0)]
    >>> footprints(fiji, 4, 8, 8)
    ()
    """
    places = np.linspace(0, SIDE, _POINTS)
    across, down = np.meshgrid(places, places)
    dots = tile_transform(z, x, y)
    east, north = dots.c + dots.a * across, dots.f + dots.e * down
    first, second = _from_mercator(str(grid.crs)).transform(east, north)
    is_turning = grid.crs is not None and grid.crs.geographic
    found = []
    for turn in (-360.0, 0.0, 360.0) if is_turning else (0.0,):
        column, row = ~grid.affine * (np.asarray(first) - turn, np.asarray(second))
        part = _part(grid, row, column, turn)
        if part is not None:
            found.append(part)
    return tuple(found)


def _part(
    grid: GeoBox, row: npt.NDArray[np.float64], column: npt.NDArray[np.float64], turn: float
) -> Footprint | None:
    is_there = np.isfinite(row) & np.isfinite(column)
    if not is_there.any():
        return None
    ends = []
    for places, size in ((row, grid.shape.y), (column, grid.shape.x)):
        low, high = float(places[is_there].min()), float(places[is_there].max())
        if high <= 0 or low >= size:
            return None
        more = 2 + (high - low) / 32  # lines between the points looked at are bent a little
        ends.append((max(int(np.floor(low - more)), 0), min(int(np.ceil(high + more)), int(size))))
    with np.errstate(invalid="ignore"):
        areas = np.abs(
            np.diff(row, axis=0)[:, :-1] * np.diff(column, axis=1)[:-1]
            - np.diff(row, axis=1)[:-1] * np.diff(column, axis=0)[:, :-1]
        )
    areas = areas[np.isfinite(areas)]
    density = float(np.sqrt(np.median(areas))) * (_POINTS - 1) / SIDE if areas.size else 1.0
    return Footprint(ends[0], ends[1], density, turn)


def bounds_of(grid: GeoBox) -> Bounds:
    """Give west, south, east and north of a grid in degrees, within what a Mercator map can show.

    West is at least -180; east is beyond 180 where the grid crosses the antimeridian.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> bounds_of(latlon(10.0)), bounds_of(latlon(10.0, (170, -20, 190, 0)))
    ((-180.0, -85.05, 180.0, 85.05), (170.0, -20.0, 190.0, 0.0))
    """
    box = grid.boundingbox
    if grid.crs is not None and grid.crs.geographic:
        west, south, east, north = box.left, box.bottom, box.right, box.top
    else:
        first, second = np.meshgrid(
            np.linspace(box.left, box.right, _EDGES), np.linspace(box.bottom, box.top, _EDGES)
        )
        longitudes, latitudes = _to_degrees(str(grid.crs)).transform(first, second)
        is_there = np.isfinite(longitudes) & np.isfinite(latitudes)
        longitudes, latitudes = longitudes[is_there], latitudes[is_there]
        south, north = float(latitudes.min()), float(latitudes.max())
        west, east = _arc(longitudes)
        for pole in (-90.0, 90.0):
            if _holds(grid, pole):
                west, east = -180.0, 180.0
                south, north = min(south, pole), max(north, pole)
    south, north = max(float(south), -NORTHMOST), min(float(north), NORTHMOST)
    if east - west >= 360.0 - 1e-6:
        return -180.0, south, 180.0, north
    turn = 360.0 * np.floor((west + 180.0) / 360.0)
    return float(west - turn), south, float(east - turn), north


def united(boxes: list[Bounds]) -> Bounds:
    """Give the bounds of several grids, each moved around the world to where the first one is.

    Examples
    --------
    >>> united([(170.0, 0.0, 190.0, 10.0), (-178.0, -5.0, -174.0, 10.0)])
    (170.0, -5.0, 190.0, 10.0)
    """
    west, south, east, north = boxes[0]
    for left, bottom, right, top in boxes[1:]:
        turn = 360.0 * round(((west + east) - (left + right)) / 720.0)
        west, east = min(west, left + turn), max(east, right + turn)
        south, north = min(south, bottom), max(north, top)
    if east - west >= 360.0:
        return -180.0, south, 180.0, north
    return west, south, east, north


def _arc(longitudes: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Give the ends of the least arc that holds all longitudes."""
    ordered = np.unique(np.mod(longitudes, 360.0))
    gaps = np.diff(ordered, append=ordered[0] + 360.0)
    widest = int(gaps.argmax())
    if gaps[widest] < _GAP:
        return -180.0, 180.0
    west = float(ordered[(widest + 1) % ordered.size])
    return west, west + 360.0 - float(gaps[widest])


def _holds(grid: GeoBox, latitude: float) -> bool:
    """Tell whether a pole lies within the grid, and not all along one of its edges."""
    places = [
        Transformer.from_crs("EPSG:4326", str(grid.crs), always_xy=True).transform(turn, latitude)
        for turn in (0.0, 120.0)
    ]
    if not np.isfinite(places).all() or not np.allclose(places[0], places[1], atol=1.0):
        return False
    column, row = ~grid.affine * places[0]
    return bool(0 < column < grid.shape.x and 0 < row < grid.shape.y)


@cache
def _from_mercator(crs: str) -> Transformer:
    return Transformer.from_crs("EPSG:3857", crs, always_xy=True)


@cache
def _to_degrees(crs: str) -> Transformer:
    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
