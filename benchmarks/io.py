"""Where the time of a study from files goes: reading, regridding, predicting, writing; and its bytes.

Six daily predictors lie in netCDF files of 0.01 degrees, 16-bit and compressed. They are read (opened by a
product's reader, decoded and loaded), regridded to 1 km by ``vadose.cubes.reproject`` in memory, and the
fine cube is written; the static ones are on the grid from the beginning. Then ``vadose downscale`` makes
all stores with one worker, so that seconds of its ledgers are seconds of the clock, as the others are:
reading windows counts as reading, writing tiles and the product's netCDF files as writing. What closure
needs on the coarse grid is in no ledger and is left out. Bytes are those that the system counted for
``vadose downscale`` less those of its plan alone, against 16 bits for every value of the predictors (read)
and of the product (written). Run from the root of the repository::

    python benchmarks/io.py [--cells 14] [--days 32] [--max-mem 4GB]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import dask
import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from tiled_runs import (
    DAILY,
    SIDE,
    STATIC,
    STEPS,
    downscale,
    load,
    make_forest,
    make_run,
    predictors_on,
    watched,
)

from vadose.cubes.reproject import reproject
from vadose.grids import coordinates, grid_of
from vadose.products.generic import generic_product
from vadose.schema import variable
from vadose.store import open_cube, write_cube

STEP = 0.01
Result = TypeVar("Result")


class Clock:
    """Add up the seconds of each kind of work."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(("read", "regrid", "predict", "write"), 0.0)

    def __call__(self, kind: str, work: Callable[[], Result]) -> Result:
        """Do it and count it."""
        started = time.perf_counter()
        result = work()
        self.seconds[kind] += time.perf_counter() - started
        return result


def source_grid(fine: GeoBox) -> GeoBox:
    """Give the longitude/latitude grid that covers a fine one with a margin."""
    box = fine.extent.to_crs("EPSG:4326").boundingbox
    edges = (box.left - 0.05, box.bottom - 0.05, box.right + 0.05, box.top + 0.05)
    return GeoBox.from_bbox(edges, "EPSG:4326", resolution=STEP)


def make_sources(folder: Path, grid: GeoBox, stamps: np.ndarray) -> int:
    """Write one file for each daily predictor, packed and compressed as products are; give their bytes."""
    fields = predictors_on(grid, np.arange(len(stamps), dtype="f8"), 1)
    place = coordinates(grid)
    for name in DAILY:
        low, high = float(fields[name].min()), float(fields[name].max())
        units = variable(name).units
        array = xr.DataArray(
            fields[name],
            {
                "time": stamps,
                "lat": ("lat", place["y"].values, {"units": "degrees_north"}),
                "lon": ("lon", place["x"].values, {"units": "degrees_east"}),
            },
            ("time", "lat", "lon"),
            name=name,
            attrs={"units": units},
        )
        array.encoding = {
            "dtype": "i2",
            "scale_factor": (high - low) / 60_000,
            "add_offset": (high + low) / 2,
            "_FillValue": -32768,
            "zlib": True,
            "complevel": 4,
            "chunksizes": (1, min(400, array.sizes["lat"]), min(400, array.sizes["lon"])),
        }
        array.to_netcdf(folder / f"{name}.nc", engine="h5netcdf")
    return bytes_in(folder)


def read_source(folder: Path, name: str) -> xr.Dataset:
    """Open, decode and load one predictor."""
    product = generic_product(
        {
            "name": name,
            "title": name,
            "layers": {name: {"source": name}},
            "time_meaning": "of the day",
        }
    )
    return product.open(folder / f"{name}.nc")[[name]].load()


def bytes_in(folder: Path) -> int:
    """Add up the files of a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main() -> None:
    """Build, downscale, print the tables and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=14, help="coarse cells along a side")
    parser.add_argument("--days", type=int, default=STEPS)
    parser.add_argument("--max-mem", default="4GB")
    parser.add_argument("--scratch", help="folder for the run, which is removed")
    options = parser.parse_args()
    clock = Clock()
    with (
        tempfile.TemporaryDirectory(dir=options.scratch) as scratch,
        dask.config.set(scheduler="synchronous"),
    ):
        folder = Path(scratch)
        make_forest(folder / "forest")
        run, sources = folder / "run", folder / "sources"
        make_run(run, (options.cells, options.cells), options.days, folder / "forest")
        sources.mkdir()
        known = open_cube(run / "fine.zarr")
        fine = grid_of(known)
        in_files = make_sources(sources, source_grid(fine), known["time"].values)
        static = known[list(STATIC)].load()
        is_land = static["elevation"].notnull()
        print(load(), flush=True)
        reproject(read_source(sources, "ndvi").isel(time=slice(0, 1)), fine)  # compiles and imports
        parts = []
        for name in DAILY:
            native = clock("read", lambda name=name: read_source(sources, name))
            parts.append(clock("regrid", lambda native=native: reproject(native, fine)))
        rule = parts[0]["land_surface_temperature"].attrs["regridding"]
        cube = static.assign({name: part[name] for part in parts for name in part})
        cube = cube.where(is_land).transpose("time", "y", "x")
        cube = cube.chunk({"time": STEPS, "y": SIDE, "x": SIDE})
        clock("write", lambda: write_cube(cube, run / "fine.zarr", overwrite=True))
        build = dict(clock.seconds)
        in_cube = bytes_in(run / "fine.zarr")
        plan = watched(run, options.max_mem, "--workers", "1", "--plan")[-1]
        took = downscale(run, options.max_mem, "--workers", "1")
        in_product = bytes_in(run / "product.zarr")
    for work in took.work.values():
        for kind, seconds in work.items():
            clock.seconds[kind] += seconds
    clock.seconds["write"] += took.export
    values = {"read": len(DAILY) * options.days + len(STATIC), "write": options.days}
    least = {kind: 2 * layers * fine.shape.y * fine.shape.x for kind, layers in values.items()}
    moved = {kind: took.bytes[kind] - plan[kind] for kind in least}
    total = sum(clock.seconds.values())
    print(f"{fine.shape.y} x {fine.shape.x} cells x {options.days} days; {rule}\n")
    print(f"{'':<10}{'building s':>12}{'downscaling s':>15}{'share':>8}")
    for kind, seconds in clock.seconds.items():
        print(
            f"{kind:<10}{build[kind]:>12.2f}{seconds - build[kind]:>15.2f}{seconds / total:>8.3f}"
        )
    print(
        f"\nMB: sources {in_files / 1e6:.1f}, fine cube {in_cube / 1e6:.1f}, product store "
        f"{in_product / 1e6:.1f}\n{'':<10}{'MB moved':>12}{'MB at 16 bit':>15}{'ratio':>8}"
    )
    for kind in least:
        print(
            f"{kind:<10}{moved[kind] / 1e6:>12.1f}{least[kind] / 1e6:>15.1f}"
            f"{moved[kind] / least[kind]:>8.2f}"
        )
    print(f"cores: {os.cpu_count()}, workers: 1; {load()}")
    print(
        json.dumps(
            {
                **{kind: round(seconds / total, 4) for kind, seconds in clock.seconds.items()},
                "bytes_read_ratio": round(moved["read"] / least["read"], 3),
                "bytes_written_ratio": round(moved["write"] / least["write"], 3),
            }
        )
    )


if __name__ == "__main__":
    main()
