"""Named grids, nesting and cell areas. A grid is an immutable `odc.geo.geobox.GeoBox`.

Examples
--------
>>> coarse, fine = named_grid("EASE2_36km"), named_grid("EASE2_9km")
>>> nesting(coarse, fine)
{'y': 4, 'x': 4}
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyproj
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from vadose.errors import CubeProblem, GridProblem, NoOverlap, UnknownName
from vadose.grids.nested import coarsened, is_nested, nesting, placed, refined
from vadose.schema import GRID_MAPPING

__all__ = [
    "EASE2_EXTENT",
    "EASE2_SHAPES",
    "Labelled",
    "Region",
    "cell_area",
    "coarsened",
    "coordinates",
    "crop",
    "grid_of",
    "is_nested",
    "latlon",
    "lonlat",
    "named_grid",
    "nesting",
    "placed",
    "refined",
    "snapped",
]

Region = tuple[float, float, float, float]
Labelled = TypeVar("Labelled", xr.Dataset, xr.DataArray)

#: Outer edges of the global EASE-Grid 2.0 (EPSG:6933) in m: left, bottom, right, top. That of 25 km is
#: as wide, but its square cells end at 7307375.92 m.
#: Brodzik et al. (2012, 2014), ISPRS Int. J. Geo-Inf. 1:32, 3:1154; NSIDC grid definition files.
EASE2_EXTENT = (-17367530.4451615, -7314540.8306386, 17367530.4451615, 7314540.8306386)

#: Rows and columns of the global EASE-Grid 2.0 grids.
EASE2_SHAPES: dict[str, tuple[int, int]] = {
    "EASE2_36km": (406, 964),
    "EASE2_25km": (584, 1388),
    "EASE2_9km": (1624, 3856),
    "EASE2_3km": (4872, 11568),
    "EASE2_1km": (14616, 34704),
}


def named_grid(name: str) -> GeoBox:
    """Give a global grid by name: ``EASE2_36km`` and its kin, or ``latlon_0.25`` for any step.

    Raises
    ------
    UnknownName
        The message lists the names.

    Examples
    --------
    >>> tuple(named_grid("EASE2_36km").shape)
    (406, 964)
    >>> tuple(named_grid("latlon_0.25").shape)
    (720, 1440)
    """
    if name in EASE2_SHAPES:
        rows, columns = EASE2_SHAPES[name]
        cell = (EASE2_EXTENT[2] - EASE2_EXTENT[0]) / columns
        corner = Affine(cell, 0, EASE2_EXTENT[0], 0, -cell, cell * rows / 2)
        return GeoBox((rows, columns), corner, "EPSG:6933")
    step = re.fullmatch(r"latlon_(\d*\.?\d+)", name)
    if step:
        return latlon(float(step.group(1)))
    raise UnknownName("grid", name, [*EASE2_SHAPES, "latlon_<degrees>"])


def latlon(step: float, region: Region = (-180.0, -90.0, 180.0, 90.0)) -> GeoBox:
    """Give a regular longitude/latitude grid (EPSG:4326), edges on the region's edges.

    Parameters
    ----------
    step
        Cell size in degrees; must divide the region.
    region
        West, south, east, north in degrees.

    Raises
    ------
    GridProblem
        When the step does not divide the region into whole cells.

    Examples
    --------
    >>> latlon(0.25, (-180, -60, 180, 90)).shape == (600, 1440)
    True
    """
    west, south, east, north = region
    if not (step > 0 and east > west and north > south):
        raise GridProblem(
            "grid", found=f"region {region}, step {step:g}", expected="a positive size"
        )
    rows, columns = (north - south) / step, (east - west) / step
    if abs(rows - round(rows)) > 1e-6 or abs(columns - round(columns)) > 1e-6:
        raise GridProblem(
            "grid",
            found=f"{rows:.4f} x {columns:.4f} cells of {step:g} degrees in {region}",
            expected="whole cells",
            remedy="Move an edge of the region or change the step.",
        )
    return GeoBox.from_bbox(
        (west, south, east, north), "EPSG:4326", shape=(round(rows), round(columns)), tight=True
    )


def coordinates(grid: GeoBox) -> dict[Hashable, xr.DataArray]:
    """Give the coordinates ``y``, ``x`` and ``spatial_ref`` of a cube on this grid.

    Examples
    --------
    >>> list(coordinates(latlon(1.0)))
    ['y', 'x', 'spatial_ref']
    """
    coords = xr_coords(grid, crs_coord_name=GRID_MAPPING, dims=("y", "x"))
    is_geographic = grid.crs is not None and grid.crs.geographic
    if is_geographic:
        names, units = ("latitude", "longitude"), ("degrees_north", "degrees_east")
    else:
        names, units = ("projection_y_coordinate", "projection_x_coordinate"), ("m", "m")
    for dim, name, unit in zip(("y", "x"), names, units, strict=True):
        coords[dim].attrs = {"standard_name": name, "units": unit, "axis": dim.upper()}
    return coords


def snapped(cube: Labelled) -> Labelled:
    """Give a cube or an array with the coordinates of its grid, to the bit.

    Those of a part of a cube can be off by a rounding from those computed anew from its corner, and
    xarray matches labels exactly.

    Examples
    --------
    >>> cube = xr.Dataset(coords=coordinates(named_grid("EASE2_36km"))).isel(x=slice(1, 5))
    >>> anew = coordinates(grid_of(cube))
    >>> bool((cube["x"] == anew["x"].values).all()), bool((snapped(cube)["x"] == anew["x"]).all())
    (False, True)
    """
    return cube.assign_coords(coordinates(grid_of(cube)))


def grid_of(cube: xr.Dataset | xr.DataArray) -> GeoBox:
    """Give the grid of a cube, or of any rectangular part of one.

    Raises
    ------
    CubeProblem
        When it carries none.

    Examples
    --------
    >>> grid = latlon(10.0)
    >>> cube = xr.Dataset(coords=coordinates(grid))
    >>> grid_of(cube) == grid
    True
    >>> grid_of(cube.isel(y=slice(0, 9))) == latlon(10.0, (-180, 0, 180, 90))
    True
    """
    reference = cube.coords[GRID_MAPPING].attrs if GRID_MAPPING in cube.coords else {}
    crs = reference.get("crs_wkt")
    if crs is None or not {"y", "x"} <= set(cube.coords):
        raise CubeProblem(
            "cube",
            found=f"coordinates {sorted(map(str, cube.coords))}",
            expected=f"y, x and {GRID_MAPPING} with its CRS",
            remedy="Build them with vadose.grids.coordinates(grid).",
        )
    left, top, dx, dy = _edges_and_steps(cube, reference.get("GeoTransform"))
    return GeoBox((cube.sizes["y"], cube.sizes["x"]), Affine(dx, 0, left, 0, dy, top), crs)


def _edges_and_steps(
    cube: xr.Dataset | xr.DataArray, transform: str | None
) -> tuple[float, float, float, float]:
    """Take the exact edges from GeoTransform, moved to the first cell; else from the centres."""
    y, x = cube["y"].values.astype("f8"), cube["x"].values.astype("f8")
    if transform is not None:
        left, dx, _, top, _, dy = (float(number) for number in transform.split())
        column, row = (x[0] - left) / dx - 0.5, (y[0] - top) / dy - 0.5
        is_exact = _is_even(x, dx, 1e-3) and _is_even(y, dy, 1e-3)
        if is_exact and max(abs(column - round(column)), abs(row - round(row))) < 1e-3:
            return left + round(column) * dx, top + round(row) * dy, dx, dy
    if min(y.size, x.size) < 2:
        raise CubeProblem(
            "cube", found=f"{y.size} x {x.size} cells and no GeoTransform", expected="2 x 2 or more"
        )
    dx, dy = (x[-1] - x[0]) / (x.size - 1), (y[-1] - y[0]) / (y.size - 1)
    if not (_is_even(x, dx, 0.05) and _is_even(y, dy, 0.05)):
        raise CubeProblem(
            "cube",
            found="y or x with uneven steps",
            expected="a grid of equal cells",
            remedy="Keep whole blocks of rows and columns, or regrid first.",
        )
    return float(x[0] - dx / 2), float(y[0] - dy / 2), float(dx), float(dy)


def _is_even(centres: npt.NDArray[np.float64], step: float, tolerance: float) -> bool:
    """Tell whether centres are `step` apart, to within a share of a cell; coordinates may be float32."""
    expected = centres[0] + step * np.arange(centres.size)
    return bool(np.allclose(centres, expected, rtol=0.0, atol=tolerance * abs(step)))


def crop(grid: GeoBox, region: Region) -> tuple[slice, slice]:
    """Find the rows and columns whose cell centres lie in a region given in degrees.

    Parameters
    ----------
    grid
        Any grid.
    region
        West, south, east, north in degrees.

    Raises
    ------
    NoOverlap
        When no centre lies in it.

    Examples
    --------
    >>> rows, columns = crop(latlon(1.0), (0.0, 40.0, 10.0, 45.0))
    >>> rows, columns
    (slice(45, 50, None), slice(180, 190, None))
    """
    west, south, east, north = region
    longitude, latitude = lonlat(grid)
    inside = (longitude >= west) & (longitude <= east) & (latitude >= south) & (latitude <= north)
    if not inside.any():
        raise NoOverlap(
            "region",
            found=f"({west:.4g}, {south:.4g}, {east:.4g}, {north:.4g}) against data over ({longitude.min():.4g}, {latitude.min():.4g}, "
            f"{longitude.max():.4g}, {latitude.max():.4g})",
            expected="west, south, east, north in degrees, inside the data",
        )
    rows = np.flatnonzero(inside.any(axis=1))
    columns = np.flatnonzero(inside.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def lonlat(grid: GeoBox) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Give longitude and latitude (degrees, WGS 84) of every cell centre, each ``(y, x)``.

    Examples
    --------
    >>> longitude, latitude = lonlat(latlon(90.0))
    >>> latitude[:, 0]
    array([ 45., -45.])
    """
    rows, columns = grid.shape
    x, y = np.meshgrid(
        grid.affine.c + grid.affine.a * (np.arange(columns) + 0.5),
        grid.affine.f + grid.affine.e * (np.arange(rows) + 0.5),
    )
    if grid.crs is not None and grid.crs.epsg == 4326:
        return x, y
    transformer = pyproj.Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True)
    longitude, latitude = transformer.transform(x, y)
    return np.asarray(longitude), np.asarray(latitude)


def cell_area(grid: GeoBox) -> xr.DataArray:
    """Give the true area of every cell in m², dims ``y, x``.

    On longitude/latitude grids the area of an ellipsoidal quadrangle is exact; on projected grids the
    cell is divided by the areal scale of the projection at its centre. A part of a grid of degrees, or of
    an equal-area projection, has the areas of the whole to the bit.

    References
    ----------
    Snyder (1987), Map Projections: A Working Manual, eq. 3-12 (authalic latitude).

    Examples
    --------
    >>> round(float(cell_area(latlon(1.0)).sum()) / 1e6)  # the surface of the Earth, in km²
    510065622
    """
    rows, columns = grid.shape
    if grid.crs is not None and grid.crs.geographic:
        edges = _row_edges(grid)
        width = np.radians(abs(grid.affine.a))
        band = np.abs(np.diff(_zone_area(np.radians(edges)))) * width
        area = np.broadcast_to(band[:, None], (rows, columns))
    else:
        area = abs(grid.affine.a * grid.affine.e) / _areal_scale(grid)
    attrs = {"standard_name": "cell_area", "units": "m2"}
    return xr.DataArray(
        area, dims=("y", "x"), coords=coordinates(grid), name="cell_area", attrs=attrs
    )


def _row_edges(grid: GeoBox) -> npt.NDArray[np.float64]:
    """Give the edges between rows, counted from zero, so that a part of the grid has the same numbers."""
    first = round(grid.affine.f / grid.affine.e, 9)
    whole = int(np.floor(first))
    share = round(first - whole, 9)
    return np.asarray((whole + np.arange(grid.shape.y + 1) + share) * grid.affine.e)


def _areal_scale(grid: GeoBox) -> npt.NDArray[np.float64]:
    """Give the areal scale of the projection at every centre; one number seen everywhere if it is one."""
    projection = pyproj.Proj(str(grid.crs))

    def at(
        rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        x = grid.affine.c + grid.affine.a * (columns + 0.5)
        y = grid.affine.f + grid.affine.e * (rows + 0.5)
        place = projection(*np.meshgrid(x, y), inverse=True)
        return np.asarray(projection.get_factors(*place).areal_scale)

    some = at(*(np.linspace(0, size - 1, 5) for size in grid.shape))
    if np.ptp(some) < 1e-9:
        # one number but for the rounding of numerical derivatives, which depends on the place
        return np.broadcast_to(np.round(some[2, 2], 8), tuple(grid.shape))
    return at(*(np.arange(size, dtype="f8") for size in grid.shape))


def _zone_area(latitude: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Give the area from the equator to a latitude (radians), per radian of longitude, in m²."""
    ellipsoid = pyproj.Geod(ellps="WGS84")
    e, a = np.sqrt(ellipsoid.es), ellipsoid.a
    s = np.sin(latitude)
    area = a**2 * (1 - e**2) / 2 * (s / (1 - (e * s) ** 2) + np.arctanh(e * s) / e)
    return np.asarray(area)
