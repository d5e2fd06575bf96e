"""The frame of a map: a projection, a rectangle in it and its pixels, and what falls on each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyproj
from odc.geo.geobox import GeoBox

from vadose.report.outlines import densified, land_raster, read_outlines

Array = npt.NDArray[np.float64]

#: Projections in which a map of a region is not drawn, because they distort areas or shapes too far
#: from their line of true scale.
_CYLINDRICAL = ("Cylindrical", "Mercator (variant", "Pseudo Mercator", "Plate Carr")


@dataclass(frozen=True)
class Frame:
    """Hold the projection, bounds and pixels of one map.

    Attributes
    ----------
    crs
        Projection of the map.
    bounds
        Left, bottom, right, top in the units of `crs`.
    shape
        Rows (top to bottom) and columns of pixels.
    is_global
        Whether it shows the whole way around the Earth.
    """

    crs: pyproj.CRS
    bounds: tuple[float, float, float, float]
    shape: tuple[int, int]
    is_global: bool

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Give the bounds in matplotlib's order: left, right, bottom, top."""
        left, bottom, right, top = self.bounds
        return left, right, bottom, top

    @property
    def aspect(self) -> float:
        """Give width over height."""
        left, bottom, right, top = self.bounds
        return (right - left) / (top - bottom)

    @cached_property
    def lonlat(self) -> tuple[Array, Array]:
        """Give longitude and latitude of every pixel, each ``(row, column)``; NaN off the globe."""
        left, bottom, right, top = self.bounds
        rows, columns = self.shape
        x, y = np.meshgrid(
            left + (right - left) * (np.arange(columns) + 0.5) / columns,
            top - (top - bottom) * (np.arange(rows) + 0.5) / rows,
        )
        longitude, latitude = self._inverse.transform(x, y)
        back_x, back_y = self._forward.transform(longitude, latitude)
        tolerance = 0.01 * (right - left) / columns
        with np.errstate(invalid="ignore"):
            is_off = ~(np.hypot(back_x - x, back_y - y) < tolerance)
        longitude[is_off], latitude[is_off] = np.nan, np.nan
        return longitude, latitude

    @cached_property
    def region(self) -> tuple[float, float, float, float]:
        """Give west, south, east, north of the pixels on the globe."""
        longitude, latitude = self.lonlat
        bounds = [np.nanmin(longitude), np.nanmin(latitude), np.nanmax(longitude)]
        west, south, east, north = (float(value) for value in [*bounds, np.nanmax(latitude)])
        return west, south, east, north

    @cached_property
    def is_land(self) -> npt.NDArray[np.bool_]:
        """Tell for every pixel whether it is on land."""
        longitude, latitude = self.lonlat
        west, south, east, north = self.region
        margin = 1e-3
        region = (west - margin, south - margin, east + margin, north + margin)
        columns, rows = min(2 * self.shape[1], 3000), min(2 * self.shape[0], 1500)
        raster = land_raster(region, (rows, columns), self.coast_layer)
        is_on = np.isfinite(longitude)
        column = (np.where(is_on, longitude, west) - region[0]) / (region[2] - region[0]) * columns
        row = (region[3] - np.where(is_on, latitude, north)) / (region[3] - region[1]) * rows
        return np.asarray(raster[row.astype(int), column.astype(int)] & is_on)

    @property
    def coast_layer(self) -> str:
        """Name the coastline whose detail suits the map."""
        return "coast_110m" if self.is_global else "coast_50m"

    def index(self, grid: GeoBox) -> npt.NDArray[np.int64]:
        """Give for every pixel the flat number of the grid cell that holds it, -1 for none."""
        if grid not in self._indices:
            self._indices[grid] = self._index(grid)
        return self._indices[grid]

    def _index(self, grid: GeoBox) -> npt.NDArray[np.int64]:
        longitude, latitude = self.lonlat
        is_on = np.isfinite(longitude)
        crs = pyproj.CRS(str(grid.crs))
        x, y = np.where(is_on, longitude, 0.0), np.where(is_on, latitude, 0.0)
        if not crs.is_geographic:
            x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(x, y)
        rows, columns = grid.shape
        with np.errstate(invalid="ignore"):
            column = np.floor((x - grid.affine.c) / grid.affine.a)
            row = np.floor((y - grid.affine.f) / grid.affine.e)
            is_on &= (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        row, column = np.where(is_on, row, 0), np.where(is_on, column, 0)
        return np.where(is_on, row.astype("i8") * columns + column.astype("i8"), -1)

    def warp(self, values: npt.NDArray[np.floating], grid: GeoBox) -> Array:
        """Take for every pixel the value of the grid cell that holds it; NaN off the grid."""
        index = self.index(grid)
        return np.where(index < 0, np.nan, values.ravel()[np.maximum(index, 0)])

    def project(self, line: Array) -> Array:
        """Project a polyline of longitude and latitude; NaN where it is far from the map."""
        west, south, east, north = self.region
        margin = 0.0 if self.is_global else 0.2 * max(east - west, north - south)
        with np.errstate(invalid="ignore"):
            is_near = (line[:, 0] >= west - margin) & (line[:, 0] <= east + margin)
            is_near &= (line[:, 1] >= south - margin) & (line[:, 1] <= north + margin)
        if not is_near.any():
            return np.empty((0, 2))
        x, y = self._forward.transform(
            np.where(is_near, line[:, 0], np.nan), np.where(is_near, line[:, 1], np.nan)
        )
        points = np.column_stack([x, y])
        points[~np.isfinite(points).all(axis=1)] = np.nan
        return points

    def outlines(self, layer: str) -> Array:
        """Give all lines of a layer in the projection, with a row of NaN between lines."""
        if layer not in self._lines:
            gap = np.full((1, 2), np.nan)
            parts = [part for line in read_outlines(layer) for part in (densified(line), gap)]
            self._lines[layer] = self.project(np.concatenate(parts))
        return self._lines[layer]

    @cached_property
    def _indices(self) -> dict[GeoBox, npt.NDArray[np.int64]]:
        return {}

    @cached_property
    def _lines(self) -> dict[str, Array]:
        return {}

    @cached_property
    def _forward(self) -> pyproj.Transformer:
        return pyproj.Transformer.from_crs("EPSG:4326", self.crs, always_xy=True)

    @cached_property
    def _inverse(self) -> pyproj.Transformer:
        return pyproj.Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)


def frame_of(grid: GeoBox, *, pixels: int = 1000) -> Frame:
    """Choose projection and bounds for a map of this grid.

    The Earth is drawn in Equal Earth, a region in the grid's own projection or, where that is none or a
    cylindrical one, in a Lambert azimuthal equal-area projection about its centre.

    Parameters
    ----------
    grid
        What the map shall show.
    pixels
        Length of the map's longer side.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> frame_of(latlon(1.0)).crs.coordinate_operation.method_name
    'Equal Earth'
    >>> frame_of(latlon(0.1, (-5, 40, 5, 50))).crs.coordinate_operation.method_name
    'Lambert Azimuthal Equal Area'
    """
    longitude, latitude = _mesh(grid)
    is_global = float(longitude.max() - longitude.min()) >= 180.0
    crs = _projection(grid, is_global=is_global)
    x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(
        longitude, latitude
    )
    x, y = x[np.isfinite(x)], y[np.isfinite(y)]
    left, bottom, right, top = (float(v) for v in (x.min(), y.min(), x.max(), y.max()))
    longest = max(right - left, top - bottom)
    margin = 0.004 * longest if is_global else 0.0
    left, bottom, right, top = left - margin, bottom - margin, right + margin, top + margin
    shape = (
        max(round(pixels * (top - bottom) / longest), 1),
        max(round(pixels * (right - left) / longest), 1),
    )
    return Frame(crs, (left, bottom, right, top), shape, is_global)


def _projection(grid: GeoBox, *, is_global: bool) -> pyproj.CRS:
    crs = pyproj.CRS(str(grid.crs))
    if is_global:
        return pyproj.CRS("+proj=eqearth +datum=WGS84")
    operation = crs.coordinate_operation
    is_cylindrical = operation is not None and any(
        word in operation.method_name for word in _CYLINDRICAL
    )
    if not (crs.is_geographic or is_cylindrical):
        return crs
    longitude, latitude = _mesh(grid)
    middle = (longitude.min() + longitude.max()) / 2, (latitude.min() + latitude.max()) / 2
    return pyproj.CRS(f"+proj=laea +lon_0={middle[0]:.4f} +lat_0={middle[1]:.4f} +datum=WGS84")


def _mesh(grid: GeoBox, size: int = 61) -> tuple[Array, Array]:
    """Give longitude and latitude of a regular mesh of points that reaches the grid's edges."""
    rows, columns = grid.shape
    inset = 1e-9  # the antimeridian itself may come back with either sign
    share = np.linspace(inset, 1 - inset, size)
    x, y = np.meshgrid(
        grid.affine.c + grid.affine.a * columns * share,
        grid.affine.f + grid.affine.e * rows * share,
    )
    transformer = pyproj.Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True)
    longitude, latitude = transformer.transform(x, y)
    return np.asarray(longitude), np.asarray(latitude)
