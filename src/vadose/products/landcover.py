"""Land cover on a regular longitude/latitude grid: MCD12C1, majority class at 0.05 degrees."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr

from vadose.errors import FileProblem
from vadose.grids import coordinates
from vadose.products.base import Product
from vadose.products.modis import name_date
from vadose.products.raster import open_raster
from vadose.schema import IGBP, VARIABLES

#: GDAL names Clarke 1866 for every MODIS grid in degrees, because GCTP's sphere code 0 is the default
#: that the HDF-EOS metadata of this product leave in place. No datum was applied: the grid divides
#: 360° by 180° exactly, and the classes come from tiles on a sphere. A shift from Clarke's ellipsoid to
#: WGS 84 would move the map by up to 240 m (0.04 cells) for no reason; the degrees are taken as they are.
CRS = "EPSG:4326"


def read_majority(path: Path) -> xr.Dataset:
    """Open one GeoTIFF of ``Majority_Land_Cover_Type_1`` lazily.

    Returns
    -------
    xarray.Dataset
        ``land_cover`` (IGBP, 255 where there is none), dims ``time, y, x``.

    Raises
    ------
    FileProblem
        Not one band of bytes, or no date in the name.
    """
    raster = open_raster(path, crs=CRS)
    day = name_date(path)
    if raster.values.dtype != np.uint8 or day is None:
        raise FileProblem(
            path,
            found=f"type {raster.values.dtype}, date {day}",
            expected="classes as bytes, and a name with .AYYYYDDD.",
            remedy="Give the file its original name.",
        )
    missing = VARIABLES["land_cover"].missing
    codes = da.where(raster.values < len(IGBP.meanings), raster.values, np.uint8(missing or 0))
    cube = xr.Dataset(
        {"land_cover": (("time", "y", "x"), codes[None])},
        coords={"time": [np.datetime64(day, "ns")], **coordinates(raster.grid)},
    )
    cube["land_cover"].attrs.update(
        VARIABLES["land_cover"].attributes() | IGBP.attributes(), cell_methods="time: point"
    )
    return cube


def _year(path: Path) -> tuple[date, date] | None:
    first = name_date(path)
    return None if first is None else (first, date(first.year, 12, 31))


MCD12C1 = Product(
    name="MCD12C1",
    title="MODIS/Terra+Aqua Land Cover Type Yearly L3 Global 0.05Deg CMG, majority class as GeoTIFF",
    variables={"land_cover": "Majority_Land_Cover_Type_1"},
    grid="longitude/latitude, 0.05 degree, 3600 x 7200",
    time_meaning="Class of the calendar year; stamped with 1 January.",
    licence="NASA Earthdata, no restriction on use; cite the data set.",
    citation="Friedl and Sulla-Menashe (2022), MCD12C1. https://doi.org/10.5067/MODIS/MCD12C1.061",
    read=read_majority,
    pattern="MCD12C1*.tif",
    file_period=_year,
    days=365,
)

PRODUCTS = {MCD12C1.name: MCD12C1}
