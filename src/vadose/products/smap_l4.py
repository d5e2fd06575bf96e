"""SMAP Level 4: soil moisture of a land model that assimilates SMAP, gap-free, every three hours.

Two traps. The files count seconds from 11:58:55.816 UTC but write whole hours from 12:00, so that the
documented decoding puts midnight into the day before; stamps are rounded to the half hour. And files
subset or reprojected by the archive's services hold another grid: it is taken from ``x``, ``y`` and the
projection they name, and must be a part of EASE-Grid 2.0 where they say so.

References
----------
Reichle et al. (2018), SMAP Level 4 Surface and Root Zone Soil Moisture (L4_SM) Product Specification
Document, NASA GMAO Office Note 10.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pyproj
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from vadose.errors import FileProblem, UnitProblem
from vadose.grids import named_grid
from vadose.products.base import Product
from vadose.products.decode import number_in
from vadose.products.windows import ReadWindow, decode, one_step, require
from vadose.schema import QUALITY

LICENCE = "NASA Earth science data: free and open, citation asked"

#: Our variables, their names in the files, their unit there, and ours for one of it.
Fields = dict[str, tuple[str, str, float]]
ANALYSIS: Fields = {
    "soil_moisture": ("Analysis_Data/sm_surface_analysis", "m3 m-3", 1.0),
    "root_zone_soil_moisture": ("Analysis_Data/sm_rootzone_analysis", "m3 m-3", 1.0),
    "soil_moisture_uncertainty": ("Analysis_Data/sm_surface_analysis_ensstd", "m3 m-3", 1.0),
    "land_surface_temperature": ("Analysis_Data/surface_temp_analysis", "K", 1.0),
}
GEOPHYSICAL: Fields = {
    "soil_moisture": ("Geophysical_Data/sm_surface", "m3 m-3", 1.0),
    "root_zone_soil_moisture": ("Geophysical_Data/sm_rootzone", "m3 m-3", 1.0),
    "land_surface_temperature": ("Geophysical_Data/surface_temp", "K", 1.0),
    "precipitation": ("Geophysical_Data/precipitation_total_surface_flux", "kg m-2 s-1", 86400.0),
    "evaporation": ("Geophysical_Data/land_evapotranspiration_flux", "kg m-2 s-1", 86400.0),
    "snow_water_equivalent": ("Geophysical_Data/snow_mass", "kg m-2", 1.0),
}
#: A file must hold one of these.
SOIL = ("soil_moisture", "root_zone_soil_moisture")
#: Variables that tell the projection, in the product's releases and in subsets.
MAPPINGS = (
    "projection_information",
    "crs",
    "EASE2_global_projection",
    "EASE2_global_projection_9km",
)


def read_level4(
    path: Path, *, product: str, fields: Fields, shift: np.timedelta64, cell_methods: str
) -> xr.Dataset:
    """Read one file lazily.

    Parameters
    ----------
    path
        HDF5 file.
    product
        Its name.
    fields
        What to read.
    shift
        From the stamp in the file to ours: averages are stamped at their centre there.
    cell_methods
        What the values stand for in time.

    Raises
    ------
    FileProblem, UnitProblem
    """
    with h5py.File(path) as file:
        held = {name: field for name, field in fields.items() if field[0] in file}
        if not any(name in held for name in SOIL):
            group = fields[SOIL[0]][0].partition("/")[0]
            require(path, set(file), [group], product=product)
            short = fields[SOIL[0]][0].partition("/")[2]
            require(path, set(file[group]), [short], product=product)
        shapes = {name: file[field[0]].shape for name, field in held.items()}
        for stored, unit, _ in held.values():
            found = text_of(file[stored].attrs.get("units", "none"))
            if found != unit:
                raise UnitProblem(f"{path}: {stored}", found=repr(found), expected=repr(unit))
        shape = next(iter(shapes.values()))
        if len(set(shapes.values())) > 1 or len(shape) != 2:
            raise FileProblem(path, found=f"shapes {shapes}", expected="one grid of y, x")
        grid, stamp = _grid(path, file, shape), _instant(path, file) + shift
    layers: dict[str, ReadWindow] = {
        name: partial(_read, path, stored, factor) for name, (stored, _, factor) in held.items()
    }
    layers["quality"] = partial(
        _read_quality, path, [held[name][0] for name in SOIL if name in held]
    )
    return one_step(layers, grid, stamp, source=path, cell_methods=cell_methods)


def _read(
    path: Path, stored: str, factor: float, rows: slice, columns: slice
) -> npt.NDArray[np.float32]:
    return _window(path, stored, factor, rows, columns)[0]


def _read_quality(
    path: Path, stored: list[str], rows: slice, columns: slice
) -> npt.NDArray[np.uint16]:
    """Mark values out of range; a model has no retrieval to doubt."""
    is_outside = [_window(path, name, 1.0, rows, columns)[1] for name in stored]
    return np.where(np.any(is_outside, axis=0), QUALITY.mask("out_of_range"), 0).astype("u2")


def _window(
    path: Path, stored: str, factor: float, rows: slice, columns: slice
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    with h5py.File(path) as file:
        array = file[stored]
        low, high = valid_range(path, stored, array.attrs, (-np.inf, np.inf))
        fill = float(np.ravel(array.attrs.get("_FillValue", -9999.0))[0])
        raw = array[rows, columns]
    return decode(raw, fill=(fill, -9999.0), valid=(low, high), scale=factor)


def valid_range(
    path: Path, name: str, attributes: Mapping[str, Any], default: tuple[float, float]
) -> tuple[float, float]:
    """Give the range that a variable states.

    Raises
    ------
    FileProblem
        It states one in which no number lies, or none at all.

    Examples
    --------
    >>> valid_range(Path("a.h5"), "sm", {"valid_max": 0.5}, (0.0, 1.0))
    (0.0, 0.5)
    """
    source = f"{path}: {name}"
    low, high = (
        number_in(attributes, key, end, source=source)
        for key, end in zip(("valid_min", "valid_max"), default, strict=True)
    )
    if not low < high:
        raise FileProblem(source, found=f"valid range {low:g} to {high:g}", expected="two numbers")
    return low, high


def _instant(path: Path, file: h5py.File) -> np.datetime64:
    """Decode ``time`` and round to the half hour; a file without it may say it in its name."""
    if "time" in file and file["time"].dtype.kind in "iuf":
        units = text_of(file["time"].attrs.get("units", ""))
        epoch = re.match(r"seconds since (\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)", units)
        seconds = float(np.ravel(file["time"][()])[0])
        if epoch and np.isfinite(seconds) and abs(seconds) < 1e10:
            start = np.datetime64(f"{epoch.group(1)}T{epoch.group(2)}", "s")
            exact = start + np.timedelta64(round(seconds), "s")
            half_hours = (exact - np.datetime64("2000-01-01", "s")) / np.timedelta64(1800, "s")
            return np.datetime64("2000-01-01", "s") + round(half_hours) * np.timedelta64(1800, "s")
    found = re.search(r"_(\d{8}T\d{6})_", path.name)
    if found:
        return np.datetime64(iso_of(found.group(1)), "s")
    raise FileProblem(path, found="no usable time", expected="'time' in seconds, or a dated name")


def _grid(path: Path, file: h5py.File, shape: tuple[int, int]) -> GeoBox:
    """Find the grid: the global one by its shape, else what ``x``, ``y`` and the projection say."""
    world = named_grid("EASE2_9km")
    if shape == tuple(world.shape):
        return world
    require(path, set(file), ["x", "y"], product="SMAP L4 on a part of the globe")
    if file["x"].dtype.kind not in "iuf" or file["y"].dtype.kind not in "iuf":
        raise FileProblem(
            path, found=f"x of {file['x'].dtype}, y of {file['y'].dtype}", expected="numbers"
        )
    x, y = file["x"][:].astype("f8"), file["y"][:].astype("f8")
    if (y.size, x.size) != shape or min(shape) < 2:
        raise FileProblem(path, found=f"{y.size} y and {x.size} x", expected=f"{shape}")
    step_x, step_y = (x[-1] - x[0]) / (x.size - 1), (y[-1] - y[0]) / (y.size - 1)
    edges = Affine(step_x, 0, x[0] - step_x / 2, 0, step_y, y[0] - step_y / 2)
    names = MAPPINGS
    mapping = next((dict(file[name].attrs) for name in names if name in file), {})
    plain = {key: _plain(value) for key, value in mapping.items()}
    kind = plain.get("grid_mapping_name")
    if step_x <= 0 or step_y >= 0:
        raise FileProblem(path, found="x or y in the wrong order", expected="north and west first")
    if kind == "lambert_cylindrical_equal_area":
        column, row = ((edges.c - world.affine.c) / world.affine.a,
                       (edges.f - world.affine.f) / world.affine.e)  # fmt: skip
        first = round(row), round(column)
        if (
            max(abs(row - first[0]), abs(column - first[1]), abs(step_x / world.affine.a - 1))
            > 0.01
        ):
            raise FileProblem(path, found="cells off the grid", expected="a part of EASE2_9km")
        return world[first[0] : first[0] + y.size, first[1] : first[1] + x.size]
    if kind == "latitude_longitude":
        return GeoBox(shape, edges, "EPSG:4326")
    if kind is None:
        raise FileProblem(
            path, found="no projection", expected=f"{' or '.join(names)} with grid_mapping_name"
        )
    return GeoBox(shape, edges, pyproj.CRS.from_cf(plain).to_wkt())


def _plain(value: Any) -> Any:
    """Turn an HDF5 attribute into what pyproj takes: text, a number, or a list."""
    if isinstance(value, bytes | str):
        return text_of(value)
    items = np.ravel(value).tolist()
    return items[0] if len(items) == 1 else items


def text_of(value: Any) -> str:
    """Give an HDF5 text attribute as text.

    Examples
    --------
    >>> text_of(b"K"), text_of("K")
    ('K', 'K')
    """
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def iso_of(stamp: str) -> str:
    """Spell a stamp of SMAP's file names in ISO 8601.

    Examples
    --------
    >>> iso_of("20150811T013002"), iso_of("20150811")
    ('2015-08-11T01:30:02', '2015-08-11')
    """
    year, month, day, *clock = stamp[:4], *re.findall(r"\d\d", stamp[4:])
    return "-".join((year, month, day)) + ("T" + ":".join(clock) if clock else "")


def day_in_name(path: Path) -> tuple[date, date] | None:
    """Find the day in a file's name.

    Examples
    --------
    >>> day_in_name(Path("SMAP_L3_SM_P_20150811_R18290_001.h5"))
    (datetime.date(2015, 8, 11), datetime.date(2015, 8, 11))
    """
    found = re.search(r"_(\d{8})(?:T\d{6})?_", path.name)
    try:
        day = date.fromisoformat(iso_of(found.group(1))) if found else None
    except ValueError:
        return None
    return (day, day) if day else None


def _product(
    name: str, part: str, meaning: str, doi: str, fields: Fields, **reading: Any
) -> Product:
    title = f"SMAP L4 Global 3-hourly 9 km EASE-Grid Surface and Root Zone Soil Moisture {part}"
    return Product(
        name=name,
        since=date(2015, 3, 31),
        title=title,
        variables={ours: stored for ours, (stored, _, _) in fields.items()}
        | {"quality": "valid_min and valid_max of the soil moistures"},
        grid="EASE2_9km, or what a subset says",
        time_meaning=meaning,
        licence=LICENCE,
        citation="Reichle, R., De Lannoy, G., Koster, R. D., Crow, W. T., Kimball, J. S., Liu, Q. and "
        f"Bechtold, M. (2022). {title}, Version 7. NASA National Snow and Ice Data Center "
        f"Distributed Active Archive Center. doi:{doi}",
        read=partial(read_level4, product=name, fields=fields, **reading),
        depths={"soil_moisture": (0.0, 0.05), "root_zone_soil_moisture": (0.0, 1.0)},
        pattern="SMAP_L4_SM_gph_*.h5" if name == "SPL4SMGP" else "SMAP_L4_SM_aup_*.h5",
        file_period=day_in_name,
    )


SPL4SMGP = _product(
    "SPL4SMGP",
    "Geophysical Data",
    "three-hour mean; the files stamp its centre, we its start (01:30 becomes 00:00)",
    "10.5067/EVKPQZ4AFC4D",
    GEOPHYSICAL,
    shift=np.timedelta64(-90, "m"),
    cell_methods="time: mean",
)
SPL4SMAU = _product(
    "SPL4SMAU",
    "Analysis Update",
    "instant of the analysis, every three hours",
    "10.5067/LWJ6TF5SZRG3",
    ANALYSIS,
    shift=np.timedelta64(0, "m"),
    cell_methods="time: point",
)

#: The level, by name.
PRODUCTS: dict[str, Product] = {product.name: product for product in (SPL4SMGP, SPL4SMAU)}
