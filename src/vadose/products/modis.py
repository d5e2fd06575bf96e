"""MODIS land products on the sinusoidal grid: vegetation index, albedo, temperature, land cover.

Original HDF-EOS2 tiles (or crops of them) and netCDF files of OPeNDAP. Tiles of one date are laid side
by side; crops that were resampled to a lattice of their own are not, and say so.

The scale of every layer is written here and checked against the file, because the files disagree on
what ``scale_factor`` means: in MOD13 it is 10000 and divides, in MOD11 it is 0.02 and multiplies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.errors import FileProblem
from vadose.grids import coordinates
from vadose.products.base import Product
from vadose.products.formats import open_raw
from vadose.products.hdf4 import GridFile, sinusoidal
from vadose.products.modis_quality import (
    Flags16,
    decode_albedo,
    decode_land_cover_quality,
    decode_temperature,
    decode_vegetation_index,
    land_cover_codes,
)
from vadose.products.mosaic import mosaic
from vadose.products.placement import place
from vadose.products.raw import MappedArray, Values
from vadose.products.stamps import decode_times
from vadose.schema import QUALITY, VARIABLES

_LICENCE = "NASA Earthdata, no restriction on use; cite the data set."
_GRID = "MODIS sinusoidal tiles, sphere of 6371007.181 m"


@dataclass(frozen=True)
class Layer:
    """Say how the raw numbers of a layer become ours.

    Attributes
    ----------
    pattern
        Regular expression for the whole name in the file.
    scale
        Our value of one raw unit.
    fill
        Raw code of no data.
    valid
        Smallest and largest raw value that are data, after the user guide. The attribute in the file
        is not used: in MCD43A3 it includes the fill value.
    """

    pattern: str
    scale: float
    fill: int
    valid: tuple[int, int]


@dataclass(frozen=True)
class Collection:
    """Name the layers of a product and the function that decodes its quality layers."""

    layers: Mapping[str, Layer]
    quality: tuple[str, ...]
    decode: Callable[..., Flags16]
    cell_methods: str


_VEGETATION = Collection(
    {"ndvi": Layer(r"\d+ ?k?m 16 days NDVI", 1e-4, -3000, (-2000, 10000))},
    (r"\d+ ?k?m 16 days VI Quality", r"\d+ ?k?m 16 days pixel reliability"),
    decode_vegetation_index,
    "time: point",
)
_ALBEDO = Collection(
    {
        "albedo_black_sky": Layer("Albedo_BSA_shortwave", 1e-3, 32767, (0, 32766)),
        "albedo_white_sky": Layer("Albedo_WSA_shortwave", 1e-3, 32767, (0, 32766)),
    },
    ("BRDF_Albedo_Band_Mandatory_Quality_shortwave",),
    decode_albedo,
    "time: mean",
)
_DAY, _NIGHT = (
    Collection(
        {"land_surface_temperature": Layer(f"LST_{half}_1km", 0.02, 0, (7500, 65535))},
        (f"QC_{half}",),
        decode_temperature,
        "time: point",
    )
    for half in ("Day", "Night")
)
_LAND_COVER = Collection(
    {"land_cover": Layer("LC_Type1|Land_Cover_Type_1", 1, 255, (0, 17))},
    ("QC",),
    decode_land_cover_quality,
    "time: point",
)


def name_date(path: Path) -> date | None:
    """Read the first day in a MODIS file name (``.AYYYYDDD.``).

    Examples
    --------
    >>> name_date(Path("MOD13A2.A2016145.h18v04.006.hdf"))
    datetime.date(2016, 5, 24)
    """
    hit = re.search(r"\.A(\d{4})(\d{3})\.", path.name)
    if hit is None or not 1 <= int(hit[2]) <= 366:
        return None
    return date(int(hit[1]), 1, 1) + timedelta(days=int(hit[2]) - 1)


def _period(path: Path, days: int) -> tuple[date, date] | None:
    first = name_date(path)
    return None if first is None else (first, first + timedelta(days=days - 1))


def read_tile(path: Path, collection: Collection) -> xr.Dataset:
    """Open one file lazily: HDF-EOS2 by its layers, netCDF as OPeNDAP writes it."""
    if path.suffix.lower() in {".nc", ".nc4"}:
        return _read_netcdf(path, collection)
    file = GridFile(path)
    arrays: dict[str, da.Array] = {}
    rejected: list[da.Array] = []
    grid = None
    for name, layer in collection.layers.items():
        field = file.find(layer.pattern)
        raw, attributes = file.open_layer(field)
        _check_scale(path, field, raw.dtype, attributes.get("scale_factor"), layer.scale)
        arrays[name], is_out = _decode(raw, name, layer)
        rejected += is_out
        grid = grid or file.grid(field)
    assert grid is not None  # noqa: S101 - every collection has a layer
    if all(file.has(pattern) for pattern in collection.quality):
        fields = [file.find(pattern) for pattern in collection.quality]
        raws = [file.open_layer(field)[0] for field in fields]
        for field, raw in zip(fields, raws, strict=True):
            if (
                not np.issubdtype(raw.dtype, np.integer)
                or raw.shape != next(iter(arrays.values())).shape
            ):
                raise FileProblem(
                    path,
                    found=f"layer {field!r} of type {raw.dtype}, shape {raw.shape}",
                    expected="integer flags for every cell",
                )
        flags = da.map_blocks(collection.decode, *raws, dtype="u2")
        for place in rejected:
            flags = flags | da.where(place, QUALITY.mask("out_of_range"), 0).astype("u2")
        arrays["quality"] = flags
    first = name_date(path) or _metadata_date(file)
    times = np.array([np.datetime64(first, "ns")])
    cube = {name: array[None] for name, array in arrays.items()}
    return _dataset(cube, times, grid, collection)


def _metadata_date(file: GridFile) -> date:
    hit = re.search(
        r"OBJECT\s*=\s*RANGEBEGINNINGDATE.*?VALUE\s*=\s*\"(\d{4}-\d\d-\d\d)",
        file.core_metadata(),
        re.DOTALL,
    )
    if hit is None:
        raise FileProblem(
            file.path,
            found="no date in the file's name or metadata",
            expected="a name with .AYYYYDDD.",
            remedy="Give the file its original name.",
        )
    return date.fromisoformat(hit[1])


def _check_scale(
    path: Path, field: str, dtype: np.dtype[Any], stated: object, scale: float
) -> None:
    """Refuse a layer whose type or scale is not the product's."""
    is_number = isinstance(stated, int | float)
    fits = stated is None or (
        is_number and any(np.isclose(float(str(stated)), s) for s in (scale, 1 / scale))
    )
    if not fits or not np.issubdtype(dtype, np.integer):
        raise FileProblem(
            path,
            found=f"layer {field!r} of type {dtype} with scale_factor {stated!r}",
            expected=f"integers with scale_factor {scale:g} (or {1 / scale:g}, a divisor)",
            remedy="Take the original file.",
        )


def _decode(raw: da.Array, name: str, layer: Layer) -> tuple[da.Array, list[da.Array]]:
    """Turn raw numbers into values, and say where they were data but cannot be right."""
    row = VARIABLES[name]
    if row.kind == "class":
        return da.map_blocks(land_cover_codes, raw, dtype="u1"), []
    value = (raw * layer.scale).astype("f4")
    low, high = row.valid_range
    is_valid = (raw >= layer.valid[0]) & (raw <= layer.valid[1])
    is_valid = is_valid & (value >= np.float32(low)) & (value <= np.float32(high))
    is_fill = raw == layer.fill
    return da.where(is_valid & ~is_fill, value, np.float32("nan")), [~is_valid & ~is_fill]


def _read_netcdf(path: Path, collection: Collection) -> xr.Dataset:
    """Read what OPeNDAP writes: floats already scaled, attributes (even fill values) as text."""
    with open_raw(path) as raw:
        names = raw.names
        missing = {"time", "YDim", "XDim"} - set(names)
        if missing:
            raise FileProblem(
                path,
                found=f"variables {', '.join(names)}",
                expected=f"also {', '.join(sorted(missing))}",
            )
        y, x, clock = (raw.variable(name) for name in ("YDim", "XDim", "time"))
        times = decode_times(clock.values, clock.attrs, source=str(path))
        placement = place(y.values, x.values, crs=sinusoidal(), source=str(path))
        fields = {
            name: next((v for v in names if re.fullmatch(layer.pattern, v)), "")
            for name, layer in collection.layers.items()
        }
        stored = {name: raw.variable(field) for name, field in fields.items() if field}
    arrays = {}
    for name, layer in collection.layers.items():
        if name not in stored:
            raise FileProblem(path, found=f"variables {', '.join(names)}", expected=layer.pattern)
        held = stored[name]
        if held.array.dtype.kind != "f" or set(held.dims) != {"time", "YDim", "XDim"}:
            raise FileProblem(
                path,
                found=f"{fields[name]!r} of type {held.array.dtype}, dimensions {held.dims}",
                expected="floating point, scaled by OPeNDAP, on time, YDim and XDim",
            )
        low, high = VARIABLES[name].valid_range
        keep = partial(_keep, fill=layer.fill, low=low, high=high)
        array = placement.apply(held.arranged(["time", "YDim", "XDim"]))
        arrays[name] = MappedArray(keep, array, dtype=np.float32).lazily()
    return _dataset(arrays, times, placement.grid, collection)


def _keep(data: Values, *, fill: float, low: float, high: float) -> Values:
    """Keep what is no fill value and can be right."""
    return np.where((data != fill) & (data >= low) & (data <= high), data, np.float32("nan"))


def _dataset(
    arrays: Mapping[str, da.Array],
    times: npt.NDArray[np.datetime64],
    grid: GeoBox,
    collection: Collection,
) -> xr.Dataset:
    cube = xr.Dataset(
        {name: (("time", "y", "x"), array) for name, array in arrays.items()},
        coords={"time": times, **coordinates(grid)},
    )
    for name in cube.data_vars:
        cube[name].attrs.update(VARIABLES[str(name)].attributes())
        if name in collection.layers:
            cube[name].attrs["cell_methods"] = collection.cell_methods
    if "quality" in cube:
        cube["quality"].attrs.update(QUALITY.attributes())
    else:
        cube.attrs["quality"] = "The file has no quality layer."
    return cube


def _product(
    name: str, title: str, collection: Collection, days: int, time_meaning: str, doi: str
) -> Product:
    short = name.partition("_")[0]
    return Product(
        name=name,
        since=date(2000, 2, 16),
        title=title,
        variables={ours: layer.pattern for ours, layer in collection.layers.items()}
        | {"quality": " + ".join(collection.quality)},
        grid=_GRID,
        time_meaning=time_meaning,
        licence=_LICENCE,
        citation=f"{title}. NASA LP DAAC. https://doi.org/{doi}",
        read=partial(read_tile, collection=collection),
        pattern=f"{short}*.[hn][dc]*",  # .hdf, .nc, .nc4; not the cropped bands as .TIF
        file_period=partial(_period, days=days),
        days=days,
        join=mosaic,
    )


_OVERPASS = "Local solar time of the overpass, about {}; stamped with the day, 00:00."
MOD13A2 = _product(
    "MOD13A2",
    "MODIS/Terra Vegetation Indices 16-Day L3 Global 1 km SIN Grid",
    _VEGETATION,
    16,
    "Best observation of 16 days; stamped with the first day.",
    "10.5067/MODIS/MOD13A2.061",
)
MOD11A1 = _product(
    "MOD11A1",
    "MODIS/Terra Land Surface Temperature Daily L3 Global 1 km SIN Grid, day",
    _DAY,
    1,
    _OVERPASS.format("10:30"),
    "10.5067/MODIS/MOD11A1.061",
)
MOD11A1_NIGHT = _product(
    "MOD11A1_NIGHT",
    "MODIS/Terra Land Surface Temperature Daily L3 Global 1 km SIN Grid, night",
    _NIGHT,
    1,
    _OVERPASS.format("22:30"),
    "10.5067/MODIS/MOD11A1.061",
)
MCD43A3 = _product(
    "MCD43A3",
    "MODIS/Terra+Aqua BRDF/Albedo Daily L3 Global 500 m SIN Grid",
    _ALBEDO,
    1,
    "Albedo of the day named, from 16 days around it.",
    "10.5067/MODIS/MCD43A3.061",
)
MCD12Q1 = _product(
    "MCD12Q1",
    "MODIS/Terra+Aqua Land Cover Type Yearly L3 Global 500 m SIN Grid",
    _LAND_COVER,
    365,
    "Class of the calendar year; stamped with 1 January.",
    "10.5067/MODIS/MCD12Q1.061",
)

PRODUCTS = {one.name: one for one in (MOD13A2, MOD11A1, MOD11A1_NIGHT, MCD43A3, MCD12Q1)}
