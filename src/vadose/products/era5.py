"""ERA5, ERA5-Land and kin: netCDF of the old and the new Climate Data Store, and GRIB.

States are instantaneous at their stamp; accumulations belong to the interval **before** it, so they are
a product of their own (``…_FLUXES``), stamped at the start of their interval. GRIB is read by GDAL:
loading eccodes breaks PROJ in the same process.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import FileProblem
from vadose.products.accumulations import rate_of
from vadose.products.base import Product, join_in_time
from vadose.products.decode import decode_values
from vadose.products.formats import RasterFile, open_raw
from vadose.products.placement import Placement, place
from vadose.products.raw import LazyArray, MappedArray, StackedArray, Stored, Values
from vadose.products.reading import build, weighted_sum
from vadose.products.stamps import decode_times
from vadose.products.units import conversion
from vadose.schema import QUALITY, variable

#: Smallest soil moisture that is packing noise or spectral ringing rather than a fault.
NOISE = -0.01
#: Negative numbers smaller than this are rounding of 0 and no reason to doubt.
ROUNDING = -1e-6
#: Above this share of land a cell has soil; at or below it is a water surface (ECMWF parameter 172).
LAND = 0.5
#: Thickness in m of the soil layers that make the first metre.
_ROOT_ZONE = {"swvl1": 0.07, "swvl2": 0.21, "swvl3": 0.72}
_STATES = {
    "soil_moisture": "swvl1",
    "land_surface_temperature": "skt",
    "air_temperature": "t2m",
    "snow_water_equivalent": "sd",
    "albedo": "fal",
    "land_fraction": "lsm",
}
_SOIL_NAMES = {"soil_moisture", "root_zone_soil_moisture"}
_FLUXES = {"precipitation": "tp", "evaporation": "e"}
_GRIB_NAMES = {"2T": "t2m"}
_DIMS = {
    "time": "time",
    "valid_time": "time",
    "latitude": "y",
    "lat": "y",
    "longitude": "x",
    "lon": "x",
    "number": "member",
}


@dataclass(frozen=True)
class _Fields:
    """Hold the variables of a file as stored, ``[member,] time, y, x``, with grid and times."""

    stored: dict[str, Stored]
    placement: Placement
    times: npt.NDArray[np.datetime64]

    def decode(self, name: str, short: str, source: str) -> LazyArray:
        """Convert one variable and bring it into the order of the grid."""
        field = self.stored[short]
        where = f"{source}: {name} (as {short!r})"
        unit = field.attrs.get("units")
        target = variable(name).units
        if target == "mm day-1":  # accumulations stay amounts (mm) until their interval is known
            target = "kg m-2"
        found = conversion(None if unit is None else str(unit), target, source=where)
        return self.placement.apply(decode_values(field, source=where, conversion=found))


def _fields(path: Path, wanted: tuple[str, ...]) -> _Fields:
    with open_raw(path) as raw:
        if isinstance(raw, RasterFile):
            return _fields_of_grib(raw, wanted)
        present = [name for name in wanted if raw.has(name)]
        if not present:
            held = ", ".join(raw.names[:40])
            raise FileProblem(
                path, found=f"variables {held}", expected=f"at least one of {', '.join(wanted)}"
            )
        stored = {name: _ordered(raw.variable(name), f"{path}: {name}") for name in present}
        clock = raw.need("valid_time", "time")
        times = decode_times(clock.values, clock.attrs, source=str(path))
        y, x = raw.need("latitude", "lat").values, raw.need("longitude", "lon").values
    return _Fields(stored, place(y, x, crs="EPSG:4326", source=str(path)), times)


def _ordered(field: Stored, source: str) -> Stored:
    """Bring the axes into our order, and drop those that say nothing."""
    if "expver" in field.dims:
        field = _without_versions(field, source)
    own = {_DIMS[dim]: dim for dim in field.dims if dim in _DIMS}
    if "member" in own and field.sizes[own["member"]] == 1:
        del own["member"]
    left_out = {dim: field.sizes[dim] for dim in field.dims if dim not in own.values()}
    if any(size != 1 for size in left_out.values()) or not {"y", "x"} <= set(own):
        raise FileProblem(
            source, found=f"dimensions {field.sizes}", expected="time, latitude and longitude"
        )
    order = [name for name in ("member", "time", "y", "x") if name in own or name == "time"]
    return Stored(tuple(order), field.arranged([own.get(name) for name in order]), field.attrs)


def _without_versions(field: Stored, source: str) -> Stored:
    """Join final (expver 1) and preliminary (expver 5) data, which old files hold side by side."""
    dims = [dim for dim in field.dims if dim != "expver"]
    versions = [
        decode_values(
            replace(field, dims=tuple(dims), array=field.arranged(dims, {"expver": version})),
            source=source,
        )
        for version in range(field.sizes["expver"])
    ]
    packing = ("scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned")
    attributes = {key: value for key, value in field.attrs.items() if key not in packing}
    return Stored(tuple(dims), MappedArray(_first_there, *versions, dtype=np.float32), attributes)


def _first_there(*versions: Values) -> Values:
    return functools.reduce(lambda ours, next_: np.where(np.isnan(ours), next_, ours), versions)


def _fields_of_grib(raw: RasterFile, wanted: tuple[str, ...]) -> _Fields:
    """Sort the messages by variable and time; each is a band."""
    bands: dict[str, dict[int, Stored]] = {}
    for name in raw.names:
        if name in ("y", "x"):
            continue
        band = raw.variable(name)
        element = str(band.attrs.get("GRIB_ELEMENT", ""))
        short = _GRIB_NAMES.get(element, element.lower())
        if short in wanted:
            bands.setdefault(short, {})[int(band.attrs["GRIB_VALID_TIME"])] = band
    seconds = sorted({second for series in bands.values() for second in series})
    missing = [short for short, series in bands.items() if len(series) != len(seconds)]
    if not bands or missing:
        raise FileProblem(
            raw.path,
            found=f"{', '.join(missing)} not at all of {len(seconds)} times"
            if bands
            else "no message of them",
            expected=f"messages of {', '.join(bands or wanted)} at every time",
        )
    stored = {}
    for short, series in bands.items():
        attributes = dict(series[seconds[0]].attrs)
        attributes["units"] = str(attributes.get("GRIB_UNIT", "")).strip("[]")
        array = StackedArray([series[second].array for second in seconds])
        stored[short] = Stored(("time", "y", "x"), array, attributes)
    times = np.array(seconds, dtype="datetime64[s]").astype("datetime64[ns]")
    y, x = raw.variable("y").values, raw.variable("x").values
    return _Fields(stored, place(y, x, crs="EPSG:4326", source=str(raw.path)), times)


def _read_states(path: Path) -> xr.Dataset:
    source = str(path)
    fields = _fields(path, tuple(dict.fromkeys([*_STATES.values(), *_ROOT_ZONE])))
    arrays = {
        name: fields.decode(name, short, source)
        for name, short in _STATES.items()
        if short in fields.stored
    }
    land = [arrays["land_fraction"]] if "land_fraction" in arrays else []
    if "soil_moisture" in arrays:
        surface = arrays["soil_moisture"]
        arrays["soil_moisture"] = MappedArray(_soil, surface, *land, dtype=np.float32)
        arrays["quality"] = MappedArray(_reasons, surface, *land, dtype=np.uint16)
    if set(_ROOT_ZONE) <= set(fields.stored):
        layers = [
            MappedArray(_soil, fields.decode("soil_moisture", short, source), *land, dtype="f4")
            for short in _ROOT_ZONE
        ]
        mean = functools.partial(weighted_sum, tuple(_ROOT_ZONE.values()))
        arrays["root_zone_soil_moisture"] = MappedArray(mean, *layers, dtype=np.float32)
    if not arrays:
        raise FileProblem(
            path, found=f"only {', '.join(fields.stored)}", expected="swvl1 to swvl3 together"
        )
    cube = build(arrays, fields.placement, fields.times, cell_methods=_cell_methods(fields))
    for name in {"soil_moisture", "root_zone_soil_moisture"} & set(arrays):
        cube[name].attrs["negative_values"] = (
            f"from {NOISE:g} up to 0 set to 0, below that missing; quality marks both"
        )
        cube[name].attrs["cells_of_water"] = (
            f"missing where the land fraction is at most {LAND:g}; quality says open_water"
            if land
            else "as in the file, which has no land-sea mask (lsm)"
        )
    return cube


def _soil(moisture: Values, land: Values | None = None) -> Values:
    """Set slightly negative soil moisture to 0; impossible values and water are gaps."""
    values = np.where(moisture < NOISE, np.nan, np.where(moisture < 0, 0, moisture))
    return values if land is None else np.where(land > LAND, values, np.nan)


def _reasons(moisture: Values, land: Values | None = None) -> Values:
    reasons = np.where(moisture < ROUNDING, QUALITY.mask("out_of_range"), 0)
    return reasons if land is None else np.where(land > LAND, reasons, QUALITY.mask("open_water"))


def _cell_methods(fields: _Fields) -> str:
    """Say mean or instant where the file tells; daily files may be either."""
    kinds = {str(field.attrs.get("GRIB_stepType", "")) for field in fields.stored.values()}
    steps = np.diff(fields.times) / np.timedelta64(1, "h")
    if any(kind.startswith("avg") for kind in kinds) or (steps.size and steps.min() >= 28 * 24):
        return "time: mean"
    return "time: point" if steps.size and steps.max() < 24 else ""


def _join(parts: Sequence[xr.Dataset], source: str) -> xr.Dataset:
    """Join files, also one of the three layers beside one of the first, which both give the surface layer."""
    kinds = {frozenset(part.data_vars) for part in parts}
    split = []
    for part in parts:
        own = frozenset(part.data_vars)
        if own & _SOIL_NAMES and any(own & kind and own != kind for kind in kinds):
            split += [part[[name]] for name in part.data_vars]
        else:
            split.append(part)
    return join_in_time(split, source=source)


def _read_fluxes(path: Path, *, is_land: bool) -> xr.Dataset:
    fields = _fields(path, tuple(_FLUXES.values()))
    arrays: dict[str, LazyArray] = {}
    starts = fields.times
    for name, short in _FLUXES.items():
        if short not in fields.stored:
            continue
        attributes = fields.stored[short].attrs
        amount = fields.decode(name, short, str(path))
        rate, starts = rate_of(
            amount,
            fields.times,
            is_since_midnight=is_land,
            step_type=str(attributes.get("GRIB_stepType", "")),
            source=f"{path}: {name} (as {short!r})",
        )
        # ECMWF counts fluxes positive downward: evaporation is negative there, positive here
        is_evaporation = name == "evaporation"
        arrays[name] = MappedArray(np.negative, rate, dtype="f4") if is_evaporation else rate
    return build(arrays, fields.placement, starts, cell_methods="time: mean")


_TERMS: dict[str, Any] = {
    "licence": "Licence to use Copernicus products",
    "pattern": "*.[ng][cr]*",  # .nc, .nc4, .grb, .grib, .grib2
}
_ERA5: dict[str, Any] = {
    **_TERMS,
    "grid": "longitude/latitude 0.25 degree, points as cell centres",
    "citation": "Hersbach, H., et al. (2020), Q. J. R. Meteorol. Soc. 146, 1999-2049",
}
_LAND: dict[str, Any] = {
    **_TERMS,
    "since": date(1950, 1, 1),
    "grid": "longitude/latitude 0.1 degree, points as cell centres",
    "citation": "Muñoz-Sabater, J., et al. (2021), Earth Syst. Sci. Data 13, 4349-4383",
}
_SOIL = {"root_zone_soil_moisture": "0.07 swvl1 + 0.21 swvl2 + 0.72 swvl3"}
_STATE_RECORD = Product(
    name="ERA5",
    since=date(1940, 1, 1),
    title="ERA5 reanalysis on single levels, states",
    variables={**_STATES, **_SOIL, "quality": "range of swvl1, lsm"},
    time_meaning="the instant of the state; monthly means: start of the month",
    read=_read_states,
    join=_join,
    depths={"soil_moisture": (0.0, 0.07), "root_zone_soil_moisture": (0.0, 1.0)},
    **_ERA5,
)
_FLUX_RECORD = replace(
    _STATE_RECORD,
    name="ERA5_FLUXES",
    title="ERA5 reanalysis on single levels, accumulations",
    variables=_FLUXES,
    time_meaning="the file gives the end of the hour; stamped here at its start",
    read=functools.partial(_read_fluxes, is_land=False),
    depths={},
    join=None,
)
#: Readers of this family.
PRODUCTS: dict[str, Product] = {
    record.name: record
    for record in (
        _STATE_RECORD,
        _FLUX_RECORD,
        replace(_STATE_RECORD, name="ERA5_LAND", title="ERA5-Land reanalysis, states", **_LAND),
        replace(
            _FLUX_RECORD,
            name="ERA5_LAND_FLUXES",
            title="ERA5-Land reanalysis, accumulations",
            time_meaning="accumulated from 0 UTC in the file; taken apart and stamped here at the "
            "start of each interval",
            read=functools.partial(_read_fluxes, is_land=True),
            **_LAND,
        ),
    )
}
