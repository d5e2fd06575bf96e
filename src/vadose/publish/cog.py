"""A cloud-optimized GeoTIFF for each day and variable, with overviews, gaps, scale and time in the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import rasterio
import rasterio.shutil
import xarray as xr
from rasterio.io import MemoryFile

from vadose.grids import grid_of
from vadose.publish.about import Publication
from vadose.publish.attributes import SUFFIXES, iso, layers
from vadose.publish.netcdf import is_packed
from vadose.schema import variable
from vadose.store import packing_of, read_window, replaced
from vadose.store.packing import FILL

#: Cells along a block's side.
BLOCK = 512
#: Folder of the days in an export.
DAYS = "days"

Step = Callable[..., None]


def cog_variables(cube: xr.Dataset, target: str) -> list[str]:
    """List what has a GeoTIFF for each day: layers of soil water, how sure they are, and their origin.

    Examples
    --------
    >>> names = ["flags", "origin", "soil_moisture", "soil_moisture_spread"]
    >>> cog_variables(xr.Dataset(dict.fromkeys(names, ("x", [0]))), "soil_moisture")
    ['soil_moisture', 'soil_moisture_spread', 'origin']
    """
    wanted = [
        name for one in layers(cube, target) for name in (one, *(f"{one}_{s}" for s in SUFFIXES))
    ]
    return [name for name in dict.fromkeys([*wanted, "origin"]) if name in cube]


def stamp_of(time: np.datetime64 | None) -> str:
    """Name a step: its day, and its minute where that is not the first.

    Examples
    --------
    >>> stamp_of(np.datetime64("2018-01-01")), stamp_of(np.datetime64("2018-01-01T13:30"))
    ('2018-01-01', '2018-01-01T1330')
    """
    if time is None:
        return "static"
    stamp = pd.Timestamp(time)
    is_day = stamp == stamp.normalize()
    return stamp.strftime("%Y-%m-%d" if is_day else "%Y-%m-%dT%H%M")


def path_of(folder: Path, stem: str, stamp: str, name: str) -> Path:
    """Give the path of a day's map of a variable."""
    return folder / DAYS / stamp / f"{stem}_{stamp}_{name}.tif"


def write_days(
    cube: xr.Dataset, folder: Path, stem: str, publication: Publication, step: Step
) -> int:
    """Write the maps of every day; those that are there are kept.

    Parameters
    ----------
    cube
        The product, as `vadose.store.open_windows` gives it; one day of one variable is read at a time.
    folder
        The export.
    stem
        Begin of the names.
    publication
        What it is.
    step
        Told steps done, and in all.

    Returns
    -------
    int
        How many files there are.
    """
    names = cog_variables(cube, publication.target)
    times = list(cube["time"].values) if "time" in cube.dims else [None]
    for place, time in enumerate(times):
        for name in names:
            path = path_of(folder, stem, stamp_of(time), name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                window = {} if time is None else {"time": slice(place, place + 1)}
                one = read_window(cube[[name]], window)[name]
                _write(one, path, publication, None if time is None else pd.Timestamp(time), cube)
        step(place + 1, len(times))
    return len(times) * len(names)


def _write(
    array: xr.DataArray,
    path: Path,
    publication: Publication,
    time: pd.Timestamp | None,
    cube: xr.Dataset,
) -> None:
    """Write one map: a plain GeoTIFF first, for overviews are made from a whole one."""
    name, grid = str(array.name), grid_of(cube)
    row = variable(name)
    values = array.squeeze("time", drop=True).values if "time" in array.dims else array.values
    values, extra = _encoded(name, values, is_packed(cube))
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "count": 1,
        "dtype": values.dtype,
        "height": grid.shape.y,
        "width": grid.shape.x,
        "crs": str(grid.crs),
        "transform": grid.affine,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "nodata": extra["nodata"],
        "BIGTIFF": "IF_SAFER",
    }
    # GDAL may keep a full disk to itself, Python does not: it is Python that writes the file
    with replaced(path) as partial, MemoryFile() as plain, MemoryFile() as cloud:
        with plain.open(**profile) as file:
            file.write(values, 1)
            file.set_band_description(1, name)
            file.set_band_unit(1, row.units)
            if "scale" in extra:
                file.scales, file.offsets = (extra["scale"],), (extra["offset"],)
            file.update_tags(**_tags(array, publication, time))
        rasterio.shutil.copy(
            plain.name,
            cloud.name,
            driver="COG",
            COMPRESS="DEFLATE",
            PREDICTOR="YES",
            BLOCKSIZE=BLOCK,
            BIGTIFF="IF_SAFER",
            NUM_THREADS="1",
            OVERVIEW_RESAMPLING="AVERAGE" if row.kind == "continuous" else "MODE",
        )
        partial.write_bytes(cloud.getbuffer())


def _encoded(
    name: str, values: npt.NDArray[Any], packed: bool
) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """Give the numbers of the file and what they mean: those of the store, so that no bit is lost."""
    packing = packing_of(name) if packed else None
    if packing is not None:
        extra = {"nodata": int(FILL), "scale": packing.step, "offset": packing.offset}
        return packing.encode(values), extra
    if values.dtype.kind == "f":
        return values.astype("f4", copy=False), {"nodata": float("nan")}
    return values, {"nodata": None}


def _tags(
    array: xr.DataArray, publication: Publication, time: pd.Timestamp | None
) -> dict[str, str]:
    """Say what the map is; flag meanings stand where there are codes."""
    tags = {
        "TIFFTAG_IMAGEDESCRIPTION": f"{publication.title}: {array.attrs.get('long_name', array.name)}",
        "TIFFTAG_SOFTWARE": publication.source,
        "TIFFTAG_COPYRIGHT": "; ".join(publication.licences),
        "AREA_OR_POINT": "Area",
    }
    if time is not None:
        tags |= {"TIFFTAG_DATETIME": time.strftime("%Y:%m:%d %H:%M:%S"), "time": iso(time)}
    for key in ("standard_name", "long_name", "cell_methods", "flag_meanings"):
        if key in array.attrs:
            tags[key] = str(array.attrs[key])
    return tags
