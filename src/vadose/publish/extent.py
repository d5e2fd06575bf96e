"""Where a grid lies in degrees, also across the antimeridian and round a pole."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
from odc.geo import geom
from odc.geo.geobox import GeoBox

from vadose.grids import lonlat

#: Points along each side of a grid whose edges may be bent.
POINTS = 41
#: Rows of cells looked at together, where all of them must be.
_ROWS = 512
_CLOSE = 1e-6


@dataclass(frozen=True)
class Extent:
    """Tell where the outer edges of a grid lie.

    Attributes
    ----------
    west, south, east, north
        Degrees. Across the antimeridian `east` is above 180: longitudes run on.
    has_pole
        Whether a pole lies within; the extent then goes all round.
    ring
        Longitude and latitude of points along the edges, ``(point, 2)``, closed and counter-clockwise.
    """

    west: float
    south: float
    east: float
    north: float
    has_pole: bool
    ring: tuple[tuple[float, float], ...]

    @property
    def bbox(self) -> list[float]:
        """Give west, south, east, north in -180..180; west is above east across the antimeridian.

        References
        ----------
        RFC 7946 (GeoJSON), section 5.2.

        Examples
        --------
        >>> from affine import Affine
        >>> fiji = GeoBox((20, 20), Affine(0.25, 0, 177, 0, -0.25, -15), "EPSG:4326")
        >>> extent_of(fiji).bbox
        [177.0, -20.0, -178.0, -15.0]
        """
        east = self.east - 360 if self.east > 180 else self.east
        return [self.west, self.south, round(east, 9), self.north]

    @property
    def geometry(self) -> dict[str, Any]:
        """Give the outline as GeoJSON, cut at the antimeridian.

        References
        ----------
        RFC 7946 (GeoJSON), section 3.1.9.
        """
        rings = [[list(point) for point in ring] for ring in self._parts()]
        if len(rings) == 1:
            return {"type": "Polygon", "coordinates": rings}
        return {"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]}

    @property
    def wkt(self) -> str:
        """Give the outline as text, latitude first as EPSG:4326 has it.

        Examples
        --------
        >>> from vadose.grids import latlon
        >>> extent_of(latlon(0.5, (0, 40, 2, 41))).wkt
        'POLYGON ((40.0 0.0, 40.0 2.0, 41.0 2.0, 41.0 0.0, 40.0 0.0))'
        """
        rings = [", ".join(f"{north} {east}" for east, north in ring) for ring in self._parts()]
        if len(rings) == 1:
            return f"POLYGON (({rings[0]}))"
        return f"MULTIPOLYGON ({', '.join(f'(({ring}))' for ring in rings)})"

    def running_on(self, longitude: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Give longitudes without a jump: across the antimeridian they run on past 180."""
        if self.east <= 180:
            return longitude
        middle = (self.west + self.east) / 2
        return np.asarray((longitude - middle + 180) % 360 + middle - 180)

    def _parts(self) -> list[list[tuple[float, float]]]:
        """Cut the ring where longitudes pass 180, and give each part in -180..180."""
        if self.east <= 180:
            return [list(self.ring)]
        world = geom.box(-180.0, -90.0, 180.0, 90.0, "EPSG:4326")
        rings = []
        for shift in (0.0, -360.0):
            moved = [(east + shift, north) for east, north in self.ring]
            part = geom.polygon(moved, "EPSG:4326") & world
            for one in part.geoms if part.is_multi else [part]:
                rings.append(_oriented(np.asarray(one.exterior.coords)))
        return rings


@lru_cache(maxsize=8)
def extent_of(grid: GeoBox) -> Extent:
    """Find where a grid lies.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> extent_of(latlon(0.25, (-76.5, 37.75, -74.5, 40.25))).bbox
    [-76.5, 37.75, -74.5, 40.25]
    """
    edges = _edges(grid)
    is_geographic = grid.crs is None or grid.crs.geographic
    longitude = edges[:, 0] if is_geographic else np.unwrap(edges[:, 0], period=360)
    latitude = np.clip(edges[:, 1], -90, 90)
    has_pole = bool(abs(longitude[-1] - longitude[0]) > 180)
    if has_pole:
        latitude[0] = np.copysign(90, latitude.mean())
    if has_pole or np.ptp(longitude) > 360 - _CLOSE:
        return _whole(float(latitude.min()), float(latitude.max()), has_pole)
    longitude = longitude - 360 * np.floor((longitude.min() + 180 + _CLOSE) / 360)
    if longitude.max() < 180 + _CLOSE:
        longitude = np.clip(longitude, -180, 180)
    points = np.stack([longitude, latitude], axis=1)
    if not is_separable(grid):
        # a quarter of a cell is nothing on a map, and spares most of the points of a straight side
        cell = np.ptp(latitude) / max(grid.shape) / 4
        points = np.asarray(
            geom.polygon(points.tolist(), "EPSG:4326").simplify(cell).exterior.coords
        )
    ring = _oriented(points)
    edge = (longitude.min(), latitude.min(), longitude.max(), latitude.max())
    west, south, east, north = (round(float(one), 9) for one in edge)
    return Extent(west, south, east, north, has_pole, tuple(ring))


def _whole(south: float, north: float, has_pole: bool) -> Extent:
    box = np.array([[-180, south], [180, south], [180, north], [-180, north], [-180, south]])
    ring = tuple(_oriented(box))
    return Extent(-180.0, round(south, 9), 180.0, round(north, 9), has_pole, ring)


def _edges(grid: GeoBox) -> npt.NDArray[np.float64]:
    """Give longitude and latitude of points along the outer edges, from corner to corner and back."""
    count = 2 if grid.crs is None or grid.crs.geographic else POINTS
    rows, columns = (np.linspace(0, size, count) for size in grid.shape)
    row = np.concatenate([np.full(count - 1, grid.shape.y), rows[:0:-1], np.zeros(count - 1), rows])
    column = np.concatenate(
        [columns[:-1], np.full(count - 1, grid.shape.x), columns[:0:-1], np.zeros(count)]
    )
    easting = grid.affine.c + grid.affine.a * column
    northing = grid.affine.f + grid.affine.e * row
    if grid.crs is None or grid.crs.geographic:
        return np.stack([easting, northing], axis=1)
    there = pyproj.Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True)
    points = np.stack(there.transform(easting, northing), axis=1)
    return np.asarray(points[np.isfinite(points).all(axis=1)])


def _oriented(points: npt.NDArray[np.float64]) -> list[tuple[float, float]]:
    """Order a closed ring counter-clockwise, from its southernmost point."""
    open_ring = [(round(float(one), 9), round(float(two), 9)) for one, two in points[:-1]]
    start = min(range(len(open_ring)), key=lambda place: (open_ring[place][1], open_ring[place][0]))
    ring = [*open_ring[start:], *open_ring[: start + 1]]
    area = sum(one[0] * two[1] - two[0] * one[1] for one, two in pairwise(ring))
    return ring if area > 0 else ring[::-1]


@lru_cache(maxsize=8)
def centres_of(grid: GeoBox) -> tuple[float, float, float, float]:
    """Give west, south, east, north of the centres of cells; longitudes run on past 180.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> centres_of(latlon(0.5, (0, 40, 2, 41)))
    (0.25, 40.25, 1.75, 40.75)
    """
    extent, shape = extent_of(grid), grid.shape
    if is_separable(grid):
        parts = [grid[:1, :], grid[:, :1]]
    elif extent.has_pole:  # the northernmost cell of the Arctic is not at its edge
        starts = range(0, shape.y, _ROWS)
        parts = [grid[start : min(start + _ROWS, shape.y), :] for start in starts]
    else:
        parts = [grid[:1, :], grid[-1:, :], grid[:, :1], grid[:, -1:]]
    places = [lonlat(part) for part in parts]
    longitudes = [extent.running_on(longitude) for longitude, _ in places]
    latitudes = [latitude for _, latitude in places]
    return (
        float(min(one.min() for one in longitudes)),
        float(min(one.min() for one in latitudes)),
        float(max(one.max() for one in longitudes)),
        float(max(one.max() for one in latitudes)),
    )


def is_separable(grid: GeoBox) -> bool:
    """Tell whether longitude depends on the column alone, and latitude on the row, as on EASE-Grid 2.0."""
    small = grid.zoom_to((min(grid.shape.y, 7), min(grid.shape.x, 7)))
    longitude, latitude = lonlat(small)
    return bool(np.ptp(longitude, axis=0).max() < 1e-9 and np.ptp(latitude, axis=1).max() < 1e-9)
