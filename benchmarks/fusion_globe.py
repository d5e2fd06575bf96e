"""A month of a synthetic globe on EASE-Grid 2.0 at 36 km, fused block by block: seconds, memory, and what years take.

Soil moisture is a smooth random climate with seasons on the continents, wetted by moving rain and drying after it;
the satellite sees it in swaths of 1,000 km of an orbit that repeats after eight days, with noise, and not where the
soil is frozen; the land model is smooth, late, weak and biased. `fusion.py --globe` runs this in a process of its
own, so that its peak memory is that of the fusion.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import ndimage

from vadose.config.fusion import Filling
from vadose.fuse.blocks import LENGTH, MARGIN
from vadose.grids import coordinates, lonlat, named_grid
from vadose.pipeline.fusing import Record, fuse_blocks, judge_record, plan
from vadose.report.outlines import land_raster
from vadose.store import open_cube, write_cube

Field = npt.NDArray[np.float64]
#: Days that are run, and those of the published record (2015-04-04 to 2023-11-26 and a little).
MONTH, YEARS = 31, 3150
#: Orbits in eight days, and half of the width of a swath in km.
ORBITS, HALF_SWATH = 117, 500.0
KM_PER_DEGREE = 111.3
#: Standard deviation of the satellite's error, m³ m⁻³.
NOISE = 0.04
#: GB that Python and its libraries take before anything is read.
EMPTY = 0.3


def globe(days: int, seed: int = 0, start: str = "2019-05-01") -> tuple[xr.Dataset, xr.Dataset]:
    """Make the satellite's and the land model's cube, single precision, NaN at sea."""
    grid = named_grid("EASE2_36km")
    longitude, latitude = (one.astype("f8") for one in lonlat(grid))
    is_land = on_land(longitude, latitude)
    rng = np.random.default_rng(seed)
    stamps = np.datetime64(start, "D") + np.arange(days)
    day_of_year = (stamps - stamps.astype("M8[Y]").astype("M8[D]")).astype(int)
    climate = 0.22 + 0.07 * rough(rng, is_land.shape, cells=25)
    lag, bias = 3.0, 0.05 + 0.02 * rough(rng, is_land.shape, cells=12)
    # °C; the season takes off up to 0.22 degrees for each degree of latitude
    warmth = 28 - 0.45 * np.abs(latitude) + 3 * rough(rng, is_land.shape, cells=15)
    weather = np.zeros(is_land.shape)
    modelled = climate.copy()
    seen = np.full((days, *is_land.shape), np.nan, "f4")
    told = np.full_like(seen, np.nan)
    phase = rng.random()
    # some weeks of weather before the record, for the wetness of its first day
    for day in range(-30, days):
        rain = np.maximum(rough(rng, is_land.shape, cells=6) - 1.4, 0) * rng.uniform(0.5, 1.5)
        weather = 0.88 * weather + 0.06 * rain
        season = np.sign(latitude) * np.cos(2 * np.pi * (day_of_year[max(day, 0)] - 30) / 365)
        truth = np.clip(climate + 0.03 * season + weather - 0.015, 0.02, 0.5)
        modelled += (ndimage.gaussian_filter(truth, 1, mode=("nearest", "wrap")) - modelled) / lag
        if day < 0:
            continue
        # a field of noise a day keeps the rest as it is for a longer record
        noisy = truth + rng.normal(0, NOISE, truth.shape)
        is_warm = warmth - 0.22 * np.abs(latitude) * season > 0
        is_seen = is_land & is_warm & swath(longitude, latitude, day, phase)
        seen[day][is_seen] = np.clip(noisy, 0.02, 0.6)[is_seen]
        told[day][is_land] = (0.22 + 0.6 * (modelled - 0.22) + bias)[is_land]
    places = {**coordinates(grid), "time": stamps.astype("M8[ns]")}
    cubes = []
    for values in (seen, told):
        array = xr.DataArray(values, dims=("time", "y", "x"), attrs={"units": "m3 m-3"})
        cubes.append(xr.Dataset({"soil_moisture": array}, coords=places))
    return cubes[0], cubes[1]


def on_land(longitude: Field, latitude: Field, step: float = 0.25) -> npt.NDArray[np.bool_]:
    """Tell which cells lie on land, Antarctica aside."""
    raster = land_raster((-180.0, -90.0, 180.0, 90.0), (round(180 / step), round(360 / step)))
    row = np.clip(((90 - latitude) / step).astype(int), 0, raster.shape[0] - 1)
    column = np.clip(((longitude + 180) / step).astype(int), 0, raster.shape[1] - 1)
    return np.asarray(raster[row, column] & (latitude > -60))


def rough(rng: np.random.Generator, shape: tuple[int, ...], *, cells: float) -> Field:
    """Draw a smooth field that goes around the globe, mean 0 and standard deviation 1."""
    field = ndimage.gaussian_filter(
        rng.standard_normal(tuple(-(-size // 2) for size in shape)),
        cells / 2,
        mode=("nearest", "wrap"),
    )
    field = np.repeat(np.repeat(field, 2, axis=0), 2, axis=1)[: shape[0], : shape[1]]
    field = ndimage.uniform_filter(field, 3, mode=("nearest", "wrap"))
    return np.asarray((field - field.mean()) / field.std())


def swath(longitude: Field, latitude: Field, day: int, phase: float) -> npt.NDArray[np.bool_]:
    """Tell which cells lie under the morning's swaths of a day."""
    spacing = 360 * 8 / ORBITS
    # the ground track leans by 8 degrees, more so towards the poles
    lean = 8.0 / np.maximum(np.cos(np.radians(latitude)), 0.2) * latitude / 60
    moved = (longitude - lean) / spacing + phase + ORBITS / 8 * day
    apart = np.abs((moved + 0.5) % 1 - 0.5) * spacing
    return np.asarray(apart * KM_PER_DEGREE * np.cos(np.radians(latitude)) < HALF_SWATH)


def run_globe(folder: Path, days: int, method: str) -> dict[str, Any]:
    """Make a globe, fuse it in a process of its own, and give its figures."""
    for name, cube in zip(("satellite", "model"), globe(days), strict=True):
        write_cube(cube, folder / f"{name}.zarr", overwrite=True)
    command = [sys.executable, __file__, str(folder), method]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def fuse_globe(folder: Path, method: str) -> dict[str, Any]:
    """Fuse what lies in a folder, and tell what it took: seconds, GB, share observed, gaps left."""
    started = time.perf_counter()
    record = Record(open_cube(folder / "satellite.zarr"), open_cube(folder / "model.zarr"))
    filling = Filling(method=method)

    def quiet(done: int, total: int, what: str) -> None:
        print(f"{time.perf_counter() - started:8.1f} s  {what} ({done}/{total})", file=sys.stderr)

    planned = plan(record, quiet)
    judged = judge_record(record, planned, filling, seed=0, work=folder / "held", progress=quiet)
    judging, judging_busy = time.perf_counter() - started, time.process_time()
    memory_of_judging = peak_memory()

    def take(place: int, cube: xr.Dataset) -> None:
        write_cube(cube, folder / f"block_{place}.zarr", overwrite=True)

    told = fuse_blocks(record, planned, judged, filling, 0, quiet, take)
    filling_busy = time.process_time() - judging_busy
    filled = open_cube(folder / "block_0.zarr")
    is_land = planned.edges.is_land
    left = filled["soil_moisture"].isnull().values & is_land
    stored = sum(one.stat().st_size for one in folder.glob("block_*.zarr/**/*") if one.is_file())
    days, rows, columns = (record.satellite.sizes[dim] for dim in ("time", "y", "x"))
    seen = int(record.satellite["soil_moisture"].notnull().sum())
    return {
        "days": days,
        "rows": rows,
        "columns": columns,
        "land_cells": int(is_land.sum()),
        "observed": seen / (days * int(is_land.sum())),
        "method": judged.method,
        "seconds_judging": round(judging, 1),
        "seconds_filling": told["seconds"],
        "processor_seconds_judging": round(judging_busy, 1),
        "processor_seconds_filling": round(filling_busy, 1),
        "gigabytes_judging": round(memory_of_judging, 2),
        "gigabytes": round(peak_memory(), 2),
        "megabytes_stored": round(stored / 1e6, 1),
        "gaps_left": int(left.sum()),
        "least": float(filled["soil_moisture"].min()),
        "most": float(filled["soil_moisture"].max()),
    }


def peak_memory() -> float:
    """Give the most memory that this process has held so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def show(found: dict[str, Any]) -> dict[str, Any]:
    """Print what a month took and what years will; give both."""
    days, seen = found["days"], LENGTH + 2 * MARGIN
    blocks = -(-YEARS // LENGTH)
    # each block reads and fills its margins as well
    filled_days = YEARS + 2 * MARGIN * (blocks - 1)
    # of the processor, for the clock depends on what else the machine does
    per_day = found["processor_seconds_filling"] / days
    years = {
        "days": YEARS,
        "blocks": blocks,
        "hours": round((filled_days * per_day + found["processor_seconds_judging"]) / 3600, 1),
        "gigabytes": round((found["gigabytes"] - EMPTY) * seen / days + EMPTY, 1),
        "gigabytes_disk": round(found["megabytes_stored"] / days * YEARS / 1e3, 1),
    }
    print(
        f"globe {found['rows']} x {found['columns']} x {days}: {found['land_cells']:,} cells of land, "
        f"{found['observed']:.0%} of their days observed; {found['method']}\n"
        f"  judged in {found['seconds_judging']:.0f} s ({found['gigabytes_judging']:.1f} GB), filled and "
        f"written in {found['seconds_filling']:.0f} s; of the processor "
        f"{found['processor_seconds_judging']:.0f} and {found['processor_seconds_filling']:.0f} s; "
        f"peak memory {found['gigabytes']:.1f} GB, "
        f"{found['megabytes_stored']:.0f} MB on disk, {found['gaps_left']} gaps left, "
        f"{found['least']:.2f} to {found['most']:.2f} m3 m-3\n"
        f"  {YEARS:,} days: {blocks} blocks that see {seen} days each, {years['hours']:.1f} h of a core, "
        f"{years['gigabytes']:.1f} GB of memory, "
        f"{years['gigabytes_disk']:.1f} GB on disk",
        flush=True,
    )
    return {"month": found, "years": years}


def main(days: int = MONTH, method: str = "auto") -> dict[str, Any]:
    """Run a month, or as many days as a block sees, and print the plan."""
    with tempfile.TemporaryDirectory() as folder:
        return show(run_globe(Path(folder), days, method))


if __name__ == "__main__":
    print(json.dumps(fuse_globe(Path(sys.argv[1]), sys.argv[2])))
