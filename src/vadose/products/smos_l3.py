"""SMOS Level 3 soil moisture (CATDS): daily maps on EASE-Grid 2.0 at 25 km, one file an overpass.

Traps. Files are netCDF-3 (later ones netCDF-4) in packed integers, latitude from south to north, often
a part of the globe. Flagged retrievals have been taken out by CATDS; no flags are left in the file.
Retrievals stop at 0 and 1 m3 m-3.

References
----------
CATDS, Level 3 Products, CAT-DDI-CT-00020-CG. Al Bitar et al. (2017), Earth Syst. Sci. Data 9, 293-315.
"""

from __future__ import annotations

import re
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.errors import FileProblem
from vadose.grids import lonlat, named_grid
from vadose.products.base import Product
from vadose.products.decode import number_in, numbers_in
from vadose.products.formats import open_raw
from vadose.products.windows import ReadWindow, decode, one_step, require
from vadose.schema import QUALITY, variable

#: The grid of the maps, and the one on which Level 2 comes out.
GRID = named_grid("EASE2_25km")
#: Spellings of our unit of soil moisture.
UNITS = {"m3 m-3", "m3.m-3", "m3/m3"}


def read_level3(path: Path) -> xr.Dataset:
    """Read one daily map lazily, or a part of one.

    Raises
    ------
    FileProblem
        The soil moisture is missing or in another unit, or the cells are not of the 25 km grid.
    """
    with open_raw(path) as raw:
        require(path, set(raw.names), ["lat", "lon", "Soil_Moisture"], product="SMOS_L3")
        stored = raw.variable("Soil_Moisture")
        check_unit(path, stored.attrs.get("units", ""))
        axes = [raw.variable(name) for name in ("lat", "lon")]
        if any(axis.array.dtype.kind not in "iuf" for axis in axes):
            raise FileProblem(path, found="lat or lon that are no numbers", expected="degrees")
        latitude, longitude = (axis.values.astype("f8") for axis in axes)
    if stored.array.shape != (latitude.size, longitude.size):
        raise FileProblem(path, found=f"dimensions {stored.dims}", expected="(lat, lon)")
    is_northward = latitude.size > 1 and latitude[-1] > latitude[0]
    grid = _part_of_grid(path, np.sort(latitude)[::-1], longitude)
    layers: dict[str, ReadWindow] = {
        "soil_moisture": partial(_read_level3, path, is_northward, 0),
        "quality": partial(_read_level3, path, is_northward, 1),
    }
    day = first_stamp(path, "").astype("M8[D]")
    return one_step(layers, grid, day, source=path)


def _read_level3(
    path: Path, is_northward: bool, part: int, rows: slice, columns: slice
) -> npt.NDArray[Any]:
    with open_raw(path) as file:
        stored = file.variable("Soil_Moisture")
    attributes, height = stored.attrs, stored.array.shape[0]
    order = np.arange(height)[::-1] if is_northward else np.arange(height)
    raw = stored.array[order[rows], columns]
    scale = number_in(attributes, "scale_factor", 1.0, source=str(path))
    if not 0 < scale <= 1:
        raise FileProblem(path, found=f"scale_factor {scale:g}", expected="above 0, at most 1")
    low, high = variable("soil_moisture").valid_range
    fill = [*numbers_in(attributes, "_FillValue", source=str(path)), -32768.0]
    values, is_outside = decode(raw, fill=fill, valid=(low / scale, high / scale), scale=scale)
    return values if part == 0 else (is_outside * QUALITY.mask("out_of_range")).astype("u2")


def _part_of_grid(
    path: Path, latitude: npt.NDArray[np.float64], longitude: npt.NDArray[np.float64]
) -> GeoBox:
    """Find the rows and columns of the 25 km grid whose centres these are."""
    centres = lonlat(GRID)
    row = int(np.abs(centres[1][:, 0] - latitude[0]).argmin())
    column = int(np.abs(centres[0][0] - longitude[0]).argmin())
    part = GRID[row : row + latitude.size, column : column + longitude.size]
    found = lonlat(part)
    is_same = tuple(part.shape) == (latitude.size, longitude.size) and (
        np.allclose(found[1][:, 0], latitude, atol=2e-3)
        and np.allclose(found[0][0], longitude, atol=2e-3)
    )
    if not is_same:
        raise FileProblem(
            path,
            found=f"cells from {latitude[0]:.4f}, {longitude[0]:.4f}",
            expected="centres of EASE-Grid 2.0 at 25 km",
        )
    return part


def check_unit(path: Path, unit: Any) -> None:
    """Refuse a soil moisture in another unit.

    Raises
    ------
    FileProblem

    Examples
    --------
    >>> check_unit(Path("a.nc"), b"m3 m-3")
    """
    text = unit.decode(errors="replace") if isinstance(unit, bytes) else str(unit)
    if text not in UNITS:
        raise FileProblem(
            path, found=f"Soil_Moisture in {text!r}", expected=" or ".join(sorted(UNITS))
        )


def first_stamp(path: Path, header: Any) -> np.datetime64:
    """Take the first of the two stamps in the name; in a renamed file, that of the header."""
    text = header.decode(errors="replace") if isinstance(header, bytes) else str(header)
    found = re.search(r"_(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)_", path.name) or re.match(
        r"UTC=(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)", text
    )
    if not found:
        raise FileProblem(
            path, found="no date in its name or header", remedy="Give the file its original name."
        )
    year, month, day, hour, minute, second = found.groups()
    return np.datetime64(f"{year}-{month}-{day}T{hour}:{minute}:{second}")


def days_in_name(path: Path) -> tuple[date, date] | None:
    """Find the first and last day in a file's name.

    Examples
    --------
    >>> days_in_name(Path("SM_OPER_MIR_SMUDP2_20100601T233146_20100602T002504_700_100_1.nc"))
    (datetime.date(2010, 6, 1), datetime.date(2010, 6, 2))
    """
    found = re.search(r"_(\d{8})T\d{6}_(\d{8})T\d{6}_", path.name)
    try:
        first, last = (date.fromisoformat(day) for day in found.groups()) if found else (None, None)
    except ValueError:
        return None
    return (first, last) if first and last else None


def _level3(name: str, code: str, overpass: str) -> Product:
    return Product(
        name=name,
        since=date(2010, 1, 1),
        title=f"SMOS L3 daily soil moisture, filtered (CATDS {code}), {overpass}",
        variables={"soil_moisture": "Soil_Moisture", "quality": "range of Soil_Moisture"},
        grid="EASE2_25km",
        time_meaning=f"UTC day, stamped at 00:00; {overpass}",
        licence="CATDS (CNES, IFREMER, CESBIO): free, citation asked",
        citation="Al Bitar, A. et al. (2017). The global SMOS Level 3 daily soil moisture and brightness "
        "temperature maps. Earth Syst. Sci. Data 9, 293-315. doi:10.5194/essd-9-293-2017",
        read=read_level3,
        pattern=f"SM_*_MIR_{code}_*",
        depths={"soil_moisture": (0.0, 0.05)},
        file_period=days_in_name,
    )


SMOS_L3_A = _level3("SMOS_L3_A", "CLF31A", "ascending overpass (6 h local time)")
SMOS_L3_D = _level3("SMOS_L3_D", "CLF31D", "descending overpass (18 h local time)")

#: The level, by name.
PRODUCTS: dict[str, Product] = {product.name: product for product in (SMOS_L3_A, SMOS_L3_D)}
