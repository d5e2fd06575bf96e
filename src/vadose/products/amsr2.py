"""AMSR2 soil moisture from the Land Parameter Retrieval Model, Level 3 daily maps (NASA GES DISC).

`soil_moisture` is the one from C band (6.9 GHz), which sees deepest of the three.

Traps. Dimensions are (Longitude, Latitude). Soil moisture is in whole percent, but its error has a
scale factor of 0.01 *and* the unit "percent": the scaled number is the fraction (0.01 to 0.5), as the
size of LPRM errors shows. Retrievals stop at 99 %, whatever the soil. The attribute of ``mask`` names
no bits, so any bit that is set means "not recommended".

References
----------
Owe, de Jeu and Holmes (2008), J. Geophys. Res. 113, F01002. Parinussa et al. (2015), IEEE Geosci. Remote
Sens. Lett. 12(1), 180-184.
"""

from __future__ import annotations

import re
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import FileProblem, UnitProblem
from vadose.grids import lonlat, named_grid
from vadose.products.base import Product
from vadose.products.windows import ReadWindow, decode, one_step, require, require_flags
from vadose.schema import QUALITY, variable

GRID = "latlon_0.25"
#: Our variables, their names in the files, the unit and packing there, and ours for one stored number.
FIELDS: dict[str, tuple[str, str, float, float]] = {
    "soil_moisture": ("soil_moisture_c1", "percent", 1.0, 0.01),
    "soil_moisture_uncertainty": ("soil_moisture_c1_error", "percent", 0.01, 0.01),
    "land_surface_temperature": ("ts", "Kelvin", 0.1, 0.1),
}
#: The largest soil moisture that the retrieval gives, percent.
CEILING = 99


def decode_quality(mask: npt.NDArray[Any], percent: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """Doubt values with any bit of the mask, and those at the retrieval's ceiling.

    Parameters
    ----------
    mask
        Stored bits.
    percent
        Stored soil moisture, percent.

    Examples
    --------
    >>> decode_quality(np.array([0, 64, 0]), np.array([20, 20, 99])).tolist()
    [0, 1, 1]
    """
    is_doubted = (mask != 0) | (percent >= CEILING)
    return np.where(is_doubted, QUALITY.mask("not_recommended"), 0).astype("u2")


def read_level3(path: Path) -> xr.Dataset:
    """Read one daily map lazily.

    Raises
    ------
    FileProblem, UnitProblem
        A variable is missing, or its unit, packing or grid is not the product's.
    """
    grid = named_grid(GRID)
    with h5py.File(path) as file:
        needed = [
            "Latitude",
            "Longitude",
            "mask",
            "scantime",
            *(field[0] for field in FIELDS.values()),
        ]
        require(path, set(file), needed, product="LPRM_AMSR2")
        require_flags(path, file["mask"])
        for stored, unit, packing, _ in FIELDS.values():
            attributes = file[stored].attrs
            found = (
                _text(attributes.get("units", b"none")),
                _number(attributes, "scale_factor", 1),
            )
            if found[0] != unit or not np.isclose(found[1], packing):
                raise UnitProblem(
                    f"{path}: {stored}",
                    found=f"{found[0]!r} times {found[1]:g}",
                    expected=f"{unit!r} times {packing:g}",
                )
        _check_grid(path, file)
    layers: dict[str, ReadWindow] = {name: partial(_read, path, name) for name in FIELDS}
    layers["quality"] = partial(_read_quality, path)
    return one_step(layers, grid, _day(path), source=path)


def _read(path: Path, name: str, rows: slice, columns: slice) -> npt.NDArray[np.float32]:
    return _window(path, name, rows, columns)[0]


def _read_quality(path: Path, rows: slice, columns: slice) -> npt.NDArray[np.uint16]:
    _, is_outside, percent = _window(path, "soil_moisture", rows, columns)
    with h5py.File(path) as file:
        mask, scan_time = file["mask"][columns, rows].T, file["scantime"][columns, rows].T
    reasons = decode_quality(mask, percent)
    reasons[scan_time == 0] = 0  # its fill value: no scan, hence nothing to doubt
    reasons[is_outside] |= np.uint16(QUALITY.mask("out_of_range"))
    return reasons


def _window(
    path: Path, name: str, rows: slice, columns: slice
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[Any]]:
    stored, _, _, factor = FIELDS[name]
    with h5py.File(path) as file:
        array = file[stored]
        fill = _number(array.attrs, "_FillValue", -32767)
        raw = array[columns, rows].T
    low, high = variable(name).valid_range
    values, is_outside = decode(raw, fill=fill, valid=(low / factor, high / factor), scale=factor)
    return values, is_outside, raw


def _check_grid(path: Path, file: h5py.File) -> None:
    longitude, latitude = lonlat(named_grid(GRID))
    wanted = {"Longitude": longitude[0], "Latitude": latitude[:, 0]}
    for name, centres in wanted.items():
        found = file[name][:]
        if found.shape != centres.shape or not np.allclose(found, centres, atol=1e-3):
            raise FileProblem(
                path,
                found=f"{found.size} {name}s from {found[0]:g} to {found[-1]:g}",
                expected=f"{centres.size} from {centres[0]:g} to {centres[-1]:g}",
            )
    shape = file["soil_moisture_c1"].shape
    if shape != (longitude.shape[1], longitude.shape[0]):
        raise FileProblem(path, found=f"shape {shape}", expected="(Longitude, Latitude)")


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _number(attributes: Any, name: str, default: float) -> float:
    return float(np.ravel(attributes.get(name, default))[0])


def day_in_name(path: Path) -> tuple[date, date] | None:
    """Find the day in a file's name, whose stamp is that of the first scan.

    Examples
    --------
    >>> day_in_name(Path("LPRM-AMSR2_L3_D_SOILM3_V001_20150401013507.nc4"))
    (datetime.date(2015, 4, 1), datetime.date(2015, 4, 1))
    """
    found = re.search(r"_(\d{8})(?:\d{6})?(?:\.|$)", path.name)
    try:
        day = date.fromisoformat(found.group(1)) if found else None
    except ValueError:
        return None
    return (day, day) if day else None


def _day(path: Path) -> np.datetime64:
    span = day_in_name(path)
    if span is None:
        raise FileProblem(
            path,
            found="no date in its name",
            expected="a name such as LPRM-AMSR2_L3_D_SOILM3_V001_20150401013507.nc4",
        )
    return np.datetime64(span[0].isoformat())


def _product(name: str, code: str, overpass: str) -> Product:
    return Product(
        name=name,
        since=date(2012, 7, 1),
        title=f"AMSR2/GCOM-W1 surface soil moisture (LPRM) L3 1 day 25 km V001, {overpass}",
        variables={ours: field[0] for ours, field in FIELDS.items()}
        | {"quality": "mask, soil_moisture_c1"},
        grid=GRID,
        time_meaning=f"UTC day, stamped at 00:00; {overpass}",
        licence="NASA Earth science data: free and open, citation asked",
        citation="Vrije Universiteit Amsterdam (de Jeu, R.) and NASA GSFC (Owe, M.) (2014). AMSR2/GCOM-W1 "
        "surface soil moisture (LPRM) L3 1 day 25 km x 25 km V001. Goddard Earth Sciences Data and "
        "Information Services Center (GES DISC)",
        read=read_level3,
        pattern=f"LPRM-AMSR2_L3_{code}_SOILM3_*.nc4",
        # C band sees 1 to 2 cm (Owe et al. 2008).
        depths={"soil_moisture": (0.0, 0.02)},
        file_period=day_in_name,
    )


LPRM_AMSR2_A = _product("LPRM_AMSR2_A", "A", "ascending overpass (13:30 local time)")
LPRM_AMSR2_D = _product("LPRM_AMSR2_D", "D", "descending overpass (01:30 local time)")

#: The family, by name.
PRODUCTS: dict[str, Product] = {product.name: product for product in (LPRM_AMSR2_A, LPRM_AMSR2_D)}
