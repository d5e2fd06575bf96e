"""Elevation models (SRTM, Copernicus DEM) and what follows from them: slope, aspect, wetness index.

Derivatives are taken on the model's own grid, after its tiles are joined and before any regridding:
the slope of a coarse mean is not the mean of slopes.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path

import dask.array as da
import numpy as np
import numpy.typing as npt
import pyproj
import xarray as xr
from dask.delayed import delayed
from odc.geo.geobox import GeoBox

from vadose.errors import CubeProblem, GridProblem, UnknownName
from vadose.grids import coordinates, grid_of
from vadose.products.base import Product
from vadose.products.mosaic import mosaic
from vadose.products.raster import open_raster
from vadose.products.terrain_flow import accumulate, receivers
from vadose.schema import VARIABLES

Floats = npt.NDArray[np.float64]

#: Codes that elevation models use for a void, whatever the file states.
VOIDS = (-32768, -32767, -9999)
DERIVATIVES = ("slope", "aspect", "topographic_wetness_index")
#: Largest model for the wetness index, in cells; above it, memory runs past 8 GB.
LARGEST = 30_000_000
#: Smallest tan(slope) in the wetness index, which is infinite on flats.
FLATTEST = 1e-3


def read_elevation(path: Path, *, sea: float | None = None) -> xr.Dataset:
    """Open one tile of an elevation model lazily.

    Parameters
    ----------
    path
        GeoTIFF or HGT.
    sea
        Height by which the product marks the sea: such cells become NaN. It counts in files of
        floating-point numbers only; in whole metres, land has that height too.

    Returns
    -------
    xarray.Dataset
        ``elevation`` in m, dims ``y, x``; NaN at voids.
    """
    raster = open_raster(path)
    raw = raster.values
    codes = [*VOIDS, *(code for code in (raster.nodata,) if code is not None)]
    if sea is not None and np.issubdtype(raw.dtype, np.floating):
        codes.append(sea)
    low, high = VARIABLES["elevation"].valid_range
    height = raw.astype("f4") * np.float32(raster.scale)
    is_gap = (height < low) | (height > high)
    for code in codes:
        is_gap = is_gap | (raw == code)
    cube = xr.Dataset(
        {"elevation": (("y", "x"), da.where(is_gap, np.float32("nan"), height))},
        coords=coordinates(raster.grid),
    )
    cube["elevation"].attrs.update(VARIABLES["elevation"].attributes())
    return cube


def derive(
    cube: xr.Dataset, names: Collection[str] = DERIVATIVES, *, flat_aspect: float = float("nan")
) -> xr.Dataset:
    """Add slope, aspect and topographic wetness index to an elevation model, on its own grid.

    Slope and aspect are Horn's, from the eight neighbours, lazily; at the edge of the model it is
    continued linearly. They are NaN beside a void. The wetness index is ln(a / tan(slope)) with the
    catchment area per width, a, routed by D8 over the whole model in one task: catchments that reach
    beyond the model are cut, so open more than you need and crop after.

    Parameters
    ----------
    cube
        Holds ``elevation`` (m), dims ``y, x``.
    names
        Which of the three to add.
    flat_aspect
        Aspect of cells without slope, where it is undefined.

    Returns
    -------
    xarray.Dataset
        The cube with ``slope``, ``aspect`` (degree, downhill, clockwise from north),
        ``topographic_wetness_index``.

    Raises
    ------
    CubeProblem, GridProblem, UnknownName

    References
    ----------
    Horn (1981), Proc. IEEE 69:14. Beven and Kirkby (1979), Hydrol. Sci. Bull. 24:43.

    Examples
    --------
    >>> from vadose.grids import coordinates
    >>> grid = GeoBox.from_bbox((0, 0, 400, 300), "EPSG:32755", resolution=100)
    >>> plane = np.tile(-10.0 * np.arange(4), (3, 1)).astype("f4")  # falls 10 m each 100 m eastward
    >>> model = xr.Dataset({"elevation": (("y", "x"), plane)}, coords=coordinates(grid))
    >>> model = derive(model, ["slope", "aspect"])
    >>> round(float(model["slope"][1, 1]), 2), float(model["aspect"][1, 1])
    (5.71, 90.0)
    """
    for name in names:
        if name not in DERIVATIVES:
            raise UnknownName("terrain variable", name, DERIVATIVES)
    if "elevation" not in cube or cube["elevation"].dims != ("y", "x"):
        found = cube["elevation"].dims if "elevation" in cube else sorted(map(str, cube.data_vars))
        raise CubeProblem("elevation", found=f"{found}", expected="elevation with dims y, x")
    grid = grid_of(cube)
    dx, dy = spacing(grid)
    height = cube["elevation"].data
    if not isinstance(height, da.Array):
        height = da.from_array(height, chunks=(2048, 2048))
    height = height.astype("f4")
    eastward, southward = _gradients(height)
    eastward = eastward / dx.astype("f4")[:, None]
    southward = southward / dy.astype("f4")[:, None]
    steepness = da.sqrt(eastward**2 + southward**2)
    arrays: dict[str, da.Array] = {}
    if "slope" in names:
        arrays["slope"] = da.degrees(da.arctan(steepness))
    if "aspect" in names:
        # Downhill is against the gradient; north is against the rows, so its sign turns twice.
        aspect = da.degrees(da.arctan2(-eastward, southward)) % np.float32(360)
        arrays["aspect"] = da.where(steepness == 0, np.float32(flat_aspect), aspect)
    if "topographic_wetness_index" in names:
        arrays["topographic_wetness_index"] = _wetness_index(height, steepness, dx, dy)
    added = {
        name: (("y", "x"), array.astype("f4"), VARIABLES[name].attributes())
        for name, array in arrays.items()
    }
    return cube.assign(added)


def spacing(grid: GeoBox) -> tuple[Floats, Floats]:
    """Give the width and height in m of the cells of each row.

    On longitude/latitude grids they are arcs of the WGS 84 ellipsoid at the row's latitude.

    References
    ----------
    Snyder (1987), Map Projections: A Working Manual, eq. 4-18 and 4-20.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> dx, dy = spacing(latlon(0.5, (0, 45, 1, 46)))
    >>> dx.round(), dy.round()
    (array([38906., 39252.]), array([55573., 55568.]))
    """
    rows = grid.shape[0]
    step = grid.affine
    if grid.crs is not None and grid.crs.geographic:
        ellipsoid = pyproj.Geod(ellps="WGS84")
        latitude = np.radians(step.f + step.e * (np.arange(rows) + 0.5))
        curve = 1 - ellipsoid.es * np.sin(latitude) ** 2
        across = ellipsoid.a / np.sqrt(curve) * np.cos(latitude)
        along = ellipsoid.a * (1 - ellipsoid.es) / curve**1.5
        return across * np.radians(step.a), along * np.radians(-step.e)
    units = {str(unit) for unit in (grid.crs.units if grid.crs is not None else ())}
    if units != {"metre"}:
        raise GridProblem(
            "elevation",
            found=f"a grid in {sorted(units)}",
            expected="degrees or metres",
            remedy="Warp it to a CRS in metres.",
        )
    return np.full(rows, step.a), np.full(rows, -step.e)


def _gradients(height: da.Array) -> tuple[da.Array, da.Array]:
    """Give the rise per cell eastward and southward (Horn), each lazily, ``(y, x)``."""
    for axis in (0, 1):
        if height.shape[axis] < 2:
            raise GridProblem(
                "elevation",
                found=f"{height.shape[0]} x {height.shape[1]} cells",
                expected="2 x 2 or more",
            )
        inner = da.moveaxis(height, axis, 0)
        first, last = 2 * inner[:1] - inner[1:2], 2 * inner[-1:] - inner[-2:-1]
        height = da.moveaxis(da.concatenate([first, inner, last]), 0, axis)
    eastward, southward = (
        da.map_overlap(
            partial(_horn, axis=axis),
            height,
            depth=1,
            boundary="none",
            dtype="f4",
            meta=np.empty((0, 0), "f4"),
        )[1:-1, 1:-1]
        for axis in (1, 0)
    )
    return eastward, southward


def _horn(height: npt.NDArray[np.float32], axis: int) -> npt.NDArray[np.float32]:
    """Weigh the three differences along an axis 1, 2, 1; the block's own border is dropped later."""
    rise = np.full(height.shape, np.nan, "f4")
    along = np.moveaxis(height, axis, 0)
    difference = along[2:] - along[:-2]
    weighted = (difference[:, :-2] + 2 * difference[:, 1:-1] + difference[:, 2:]) / 8
    np.moveaxis(rise, axis, 0)[1:-1, 1:-1] = weighted
    # A void in the middle is a void, though Horn's formula does not look at it.
    rise[np.isnan(height)] = np.nan
    return rise


def _wetness_index(height: da.Array, steepness: da.Array, dx: Floats, dy: Floats) -> da.Array:
    if height.size > LARGEST:
        raise GridProblem(
            "topographic_wetness_index",
            found=f"{height.size:,} cells",
            expected=f"{LARGEST:,} at most, as a catchment needs the whole model in memory",
            remedy="Name a smaller region, or coarsen the model first.",
        )
    whole = delayed(_route)(height, steepness, dx, dy)
    index: da.Array = da.from_delayed(whole, height.shape, dtype="f4")
    return index


def _route(
    height: npt.NDArray[np.float32], steepness: npt.NDArray[np.float32], dx: Floats, dy: Floats
) -> npt.NDArray[np.float32]:
    """Give ln(a / tan(slope)); a is the catchment's area over the width of a cell of equal area."""
    to, _ = receivers(height, dx, dy)
    cell = np.broadcast_to((dx * dy)[:, None], height.shape)
    catchment = accumulate(to, cell.ravel()).reshape(height.shape) / np.sqrt(cell)
    return np.log(catchment / np.maximum(steepness, FLATTEST)).astype("f4")


SRTM = Product(
    name="SRTM",
    title="SRTM elevation, 1 or 3 arc seconds (SRTMGL1, SRTMGL3, CGIAR)",
    variables={"elevation": "band 1"},
    grid="longitude/latitude, 1/3600 or 1/1200 degree; or as resampled by the user",
    time_meaning="February 2000; static.",
    licence="NASA Earthdata, no restriction on use; CGIAR tiles: non-commercial.",
    citation="NASA JPL (2013), SRTM Global. https://doi.org/10.5067/MEASURES/SRTM/SRTMGL1.003",
    read=read_elevation,
    pattern="*.[ht][gi][tf]*",  # .hgt, .tif, .tiff
    join=mosaic,
)
COPERNICUS_DEM = Product(
    name="COPERNICUS_DEM",
    title="Copernicus DEM GLO-30 and GLO-90 (surface model, with buildings and canopy)",
    variables={"elevation": "band 1"},
    grid="longitude/latitude, 1/3600 or 1/1200 degree; wider in longitude beyond 50 degrees",
    time_meaning="2011 to 2015; static.",
    licence="© DLR e.V. 2010-2014 and © Airbus Defence and Space GmbH 2014-2018, provided under "
    "COPERNICUS by the European Union and ESA; all rights reserved (free, with this notice).",
    citation="ESA, Copernicus DEM. https://doi.org/10.5270/ESA-c5d3d65",
    # The model is edited so that the sea is exactly 0.0; land hardly ever is, in floating point.
    read=partial(read_elevation, sea=0.0),
    pattern="*DEM*.tif",
    join=mosaic,
)

PRODUCTS = {one.name: one for one in (SRTM, COPERNICUS_DEM)}
