"""CF netCDF, one file for each month, with the bounds of cells in time and depth."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dask
import h5netcdf
import numpy as np
import xarray as xr
from dask.local import get_sync
from dask.optimization import cull
from odc.geo.geobox import GeoBox

from vadose.grids import grid_of, lonlat
from vadose.publish.about import Publication
from vadose.publish.attributes import (
    described,
    is_about,
    is_instantaneous,
    layer,
    layers,
    time_attributes,
)
from vadose.publish.extent import extent_of, is_separable
from vadose.store import replaced, write_netcdf

CONVENTIONS = "CF-1.11, ACDD-1.3"
#: Rows of longitudes and latitudes written at a time, where both depend on row and column.
ROWS = 512
#: Bytes that bounds, depths and attributes may take.
SPARE = 2**18
#: A day in the units that stamps of days and of minutes are written in.
_DAY = {"days": 1, "hours": 24, "minutes": 1440, "seconds": 86400, "milliseconds": 86400000}


def is_packed(cube: xr.Dataset) -> bool:
    """Tell whether the store of a cube holds 16-bit integers, so that packing again changes no bit."""
    return any("quantization_step" in array.attrs for array in cube.data_vars.values())


def write_cf_months(
    cube: xr.Dataset, folder: Path, stem: str, publication: Publication
) -> list[Path]:
    """Write a cube as one netCDF file for each month; months that are there are kept.

    Parameters
    ----------
    cube
        The product, lazy; a month is read at a time, chunk by chunk.
    folder
        An existing folder.
    stem
        Begin of the names, as in ``<stem>_2018-01.nc``.
    publication
        What it is.

    Returns
    -------
    list of Path
        The files, in order of time.
    """
    files = []
    for month, part in by_month(cube):
        path = folder / (f"{stem}_{month}.nc" if month else f"{stem}.nc")
        files.append(path)
        if path.exists():
            continue
        told = described(part, publication)
        told.attrs |= time_attributes(part["time"] if "time" in part.dims else None)
        with replaced(path) as partial, dask.config.set(scheduler=_in_order):
            write_netcdf(told, partial, packed=is_packed(cube))
            _need_space(partial, grid_of(told))
            _complete(partial, told, publication.target)
    return files


def by_month(cube: xr.Dataset) -> list[tuple[str, xr.Dataset]]:
    """Part a lazy cube by calendar months.

    Examples
    --------
    >>> days = np.arange("2018-01-30", "2018-02-02", dtype="M8[D]")
    >>> [(month, part.sizes["time"]) for month, part in by_month(xr.Dataset(coords={"time": days}))]
    [('2018-01', 2), ('2018-02', 1)]
    """
    if "time" not in cube.dims:
        return [("", cube)]
    months = cube["time"].values.astype("M8[M]")
    return [(str(month), cube.isel(time=months == month)) for month in np.unique(months)]


def _need_space(path: Path, grid: GeoBox) -> None:
    """Refuse to add to a file on a disk that is all but full: HDF5 would crash the process."""
    needed = SPARE + 8 * grid.shape.y * grid.shape.x
    if shutil.disk_usage(path.parent).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _in_order(work: Any, keys: Any, **_: Any) -> Any:
    """Compute chunks in the order in which they are asked for.

    A chunk lies in the file where it is written, and the order of dask's schedulers hangs on threads and on
    names made at random: the same product would give other bytes each time.
    """
    graph = work if isinstance(work, Mapping) else work.__dask_graph__()
    if isinstance(keys, list):
        return [_in_order(graph, key) for key in keys]
    return get_sync(cull(graph, [keys])[0], keys)


def _complete(path: Path, cube: xr.Dataset, target: str) -> None:
    """Add what cubes do not have and CF asks for: bounds, depths, and longitudes and latitudes."""
    with h5netcdf.File(path, "a") as file:
        file.attrs["Conventions"] = CONVENTIONS
        depths = {one: _depth(file, cube, one, target) for one in layers(cube, target)}
        if "time" in cube.dims:
            _say_intervals(file, is_instantaneous(cube, target))
        places = _geographic(file, cube)
        for name in map(str, cube.data_vars):
            own = [depth for one, depth in depths.items() if is_about(name, one)]
            if (own or places) and {"y", "x"} <= set(cube[name].dims):
                file.variables[name].attrs["coordinates"] = " ".join([*own, *places])


def _depth(file: Any, cube: xr.Dataset, name: str, target: str) -> str:
    """Write the depth of a layer of soil; that of the target is called so, others after theirs."""
    top, bottom = layer(cube, name)
    own = "depth" if name == target else f"depth_of_{name}"
    depth = file.create_variable(own, (), dtype="f8")
    depth[...] = (top + bottom) / 2
    # compliance-checker takes bounds of a scalar for a fault, so that words have to do
    words = f"depth of the middle of the layer from {top:g} to {bottom:g} m"
    depth.attrs.update(standard_name="depth", long_name=words, units="m", positive="down", axis="Z")
    return own


def _say_intervals(file: Any, is_point: bool) -> None:
    """Give the times of days their bounds; a stamp marks the start."""
    time = file.variables["time"]
    time.attrs["units_metadata"] = "leap_seconds: none"
    if is_point:
        return
    file.dimensions["bounds"] = 2
    stamps = time[:].astype("i8")
    edges = np.stack([stamps, stamps + _DAY[str(time.attrs["units"]).split()[0]]], axis=1)
    file.create_variable("time_bounds", ("time", "bounds"), data=edges)
    time.attrs["bounds"] = "time_bounds"


def _geographic(file: Any, cube: xr.Dataset) -> list[str]:
    """Write longitude and latitude where y and x are neither, along one dimension if that will do."""
    grid = grid_of(cube)
    if grid.crs is None or grid.crs.geographic:
        return []
    extent = extent_of(grid)
    words = {"lat": ("latitude", "degrees_north"), "lon": ("longitude", "degrees_east")}
    if is_separable(grid):
        _, latitude = lonlat(grid[:, :1])
        longitude, _ = lonlat(grid[:1, :])
        file.create_variable("lat", ("y",), data=latitude[:, 0])
        file.create_variable("lon", ("x",), data=extent.running_on(longitude[0]))
    else:
        fields = [
            file.create_variable(name, ("y", "x"), dtype="f4", compression="gzip", shuffle=True)
            for name in ("lat", "lon")
        ]
        for start in range(0, grid.shape.y, ROWS):
            rows = slice(start, min(start + ROWS, grid.shape.y))
            longitude, latitude = lonlat(grid[rows, :])
            fields[0][rows, :], fields[1][rows, :] = latitude, extent.running_on(longitude)
    for name, (standard, units) in words.items():
        file.variables[name].attrs.update(standard_name=standard, long_name=standard, units=units)
    return ["lat", "lon"]
