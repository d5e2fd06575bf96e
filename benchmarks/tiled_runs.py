"""Run folders of any size for the benchmarks of downscaling, and what a run took of time and memory.

The world is made of waves: each predictor is a sum of plane waves from a few to thousands of kilometres
long, those of daily ones wander; pixel noise lies on top of the daily ones. A wave over rows and columns
is a product of two vectors, so that a block is made by one product of matrices a day, and the mean of a
wave over a square is known exactly, so that a whole continent of coarse cells can be learned from without
its fine cells. Cubes are written block by block. It serves the benchmarks beside it and is no benchmark.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import yaml
from affine import Affine
from odc.geo.geobox import GeoBox

from vadose.downscale.direct import Direct
from vadose.grids import coordinates, named_grid
from vadose.models import new_model
from vadose.pipeline.folder import RunFolder, start
from vadose.schema import variable
from vadose.store import Layout, create_store, finish_store, write_cube, write_tile

#: Fine cells along a coarse cell of 36 km; cells and days of a chunk.
FACTOR, SIDE, STEPS = 36, 252, 32
#: Offset, size of the waves, standard deviation of the pixels' noise.
DAILY = {
    "land_surface_temperature": (290.0, 8.0, 1.0),
    "ndvi": (0.45, 0.18, 0.02),
    "ndwi": (0.1, 0.12, 0.02),
    "albedo": (0.2, 0.05, 0.01),
    "evaporation": (3.0, 1.2, 0.1),
    "precipitation": (-4.0, 7.0, 0.0),
}
STATIC = {
    "elevation": (1800.0, 900.0),
    "slope": (9.0, 5.0),
    "topographic_wetness_index": (8.0, 2.5),
    "aspect": (180.0, 70.0),
    "sand": (42.0, 12.0),
    "silt": (34.0, 9.0),
    "clay": (24.0, 8.0),
}
#: Rows and columns of the global 36 km grid that are learned from, and where the run's domain begins.
CONTINENT, CORNER = (slice(45, 135), slice(690, 830)), (60, 720)
#: Days that are learned from: 12,600 cells at each.
LEARNED = (10, 70, 130, 190, 250, 310)
#: Standard deviation of the noise of the target, m³ m⁻³; share of the domain that is sea.
NOISE, SEA = 0.03, 0.1
TREES, LEAF = 150, 5
_WAVES, _LENGTHS = 24, (4e3, 2.5e6)


@dataclass(frozen=True)
class Waves:
    """Be a sum of plane waves with a standard deviation of one.

    Attributes
    ----------
    seed
        What draws them.
    lengths
        Shortest and longest wave in m.
    """

    seed: int
    lengths: tuple[float, float] = _LENGTHS

    @cached_property
    def drawn(self) -> tuple[np.ndarray, ...]:
        """Give amplitudes, wave numbers along y and x, phases and frequencies per day."""
        rng = np.random.default_rng([5, self.seed])
        length = np.geomspace(*self.lengths, _WAVES)
        direction, phase = rng.uniform(0, 2 * np.pi, (2, _WAVES))
        number = 2 * np.pi / length
        size = (length / length[-1]) ** 0.35
        size *= np.sqrt(2 / np.sum(size**2))
        frequency = rng.normal(0, 0.25, _WAVES)
        return size, number * np.sin(direction), number * np.cos(direction), phase, frequency

    def on(self, grid: GeoBox, days: np.ndarray) -> np.ndarray:
        """Give the mean over each cell of a grid, ``(time, y, x)``."""
        size, along_y, along_x, phase, frequency = self.drawn
        rows, columns, half = _metres(grid)
        size = size * np.sinc(along_y * half / np.pi) * np.sinc(along_x * half / np.pi)
        y = along_y * rows[:, None] + phase
        x = np.outer(along_x, columns)
        right = np.concatenate([np.cos(x), np.sin(x)]).astype("f4")
        field = np.empty((len(days), *grid.shape), dtype="f4")
        for step, day in enumerate(days):
            angle = y - frequency * day
            field[step] = (
                np.concatenate([size * np.cos(angle), -size * np.sin(angle)], axis=1).astype("f4")
                @ right
            )
        return field


def _metres(grid: GeoBox) -> tuple[np.ndarray, np.ndarray, float]:
    """Give where rows and columns lie on the equal-area grid, and half of a cell's side, in m."""
    place = coordinates(grid)
    rows, columns, half = place["y"].values, place["x"].values, abs(grid.affine.a) / 2
    if grid.crs is not None and grid.crs.geographic:  # cylindrical: x is of the longitude alone
        from pyproj import Transformer

        move = Transformer.from_crs("EPSG:4326", "EPSG:6933", always_xy=True).transform
        return move(0 * rows, rows)[1], move(columns, 0 * columns)[0], half * 111e3
    return rows, columns, half


def predictors_on(grid: GeoBox, days: np.ndarray, seed: int | None) -> dict[str, np.ndarray]:
    """Make all predictors on a grid, daily ones ``(time, y, x)``; pixel noise where a seed is given."""
    fields: dict[str, np.ndarray] = {}
    for place, (name, (offset, size)) in enumerate(STATIC.items()):
        field = offset + size * Waves(100 + place).on(grid, np.zeros(1))[0]
        fields[name] = np.clip(field, *variable(name).valid_range).astype("f4")
    rng = None if seed is None else np.random.default_rng([6, seed])
    for place, (name, (offset, size, noise)) in enumerate(DAILY.items()):
        field = offset + size * Waves(place).on(grid, days)
        if name == "land_surface_temperature":
            field -= 0.004 * (fields["elevation"] - 1800.0)
            field -= 12.0 * np.cos(2 * np.pi * days / 365).astype("f4")[:, None, None]
        if rng is not None and noise:
            field += np.float32(noise) * rng.standard_normal(field.shape, dtype="f4")
        fields[name] = np.clip(field, *variable(name).valid_range).astype("f4")
    return fields


def moisture(fields: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Give the coarse target that belongs to coarse predictors, with noise."""

    def scaled(name: str) -> np.ndarray:
        offset, size = {**DAILY, **STATIC}[name][:2]
        return np.tanh((fields[name] - offset) / size / 2)

    wet = 0.08 * scaled("ndvi") + 0.05 * scaled("clay") - 0.04 * scaled("sand")
    dry = 0.06 * scaled("land_surface_temperature") * (1 + scaled("albedo"))
    rain = 0.08 * np.tanh(fields["precipitation"] / 8)
    slope = 0.03 * scaled("topographic_wetness_index") * (1 - scaled("slope"))
    field = 0.22 + wet - dry + rain + slope
    noisy = field + rng.normal(0, NOISE, field.shape)
    return np.clip(noisy, 0.01, 0.6).astype("f4")


def make_forest(folder: Path) -> dict[str, float]:
    """Fit a forest on the coarse cells of a continent and save its downscaler; give its size."""
    grid = named_grid("EASE2_36km")[CONTINENT]
    days = np.array(LEARNED, dtype="f8")
    fields = predictors_on(grid, days, None)
    fields["soil_moisture"] = moisture(fields, np.random.default_rng(0))
    cube = _cube(fields, grid, days)
    settings: dict[str, Any] = {"trees": TREES, "leaf": LEAF}
    direct = Direct(new_model("random_forest", seed=0, **settings), [*DAILY, *STATIC]).fit(cube)
    folder.mkdir(parents=True)
    direct.save(folder)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {"rows": float(cube["soil_moisture"].size), "megabytes": size / 1e6}


def make_run(folder: Path, cells: tuple[int, int], days: int, forest: Path) -> int:
    """Make a run that is built and fitted, without sources; give its land cells times days.

    Parameters
    ----------
    folder
        Where; it does not exist.
    cells
        Coarse cells along y and x.
    days
        Days.
    forest
        What `make_forest` has made.
    """
    run = start(folder, recipe_text(), origin=folder.parent, command="made by a benchmark")
    rows, columns = (slice(at, at + many) for at, many in zip(CORNER, cells, strict=True))
    coarse = named_grid("EASE2_36km")[rows, columns]
    fine = refined(coarse)
    stamps = np.arange(days, dtype="f8")
    shore = Waves(200, (4e4, 4e5))
    level = np.quantile(shore.on(coarse, np.zeros(1)), SEA)
    blank = {
        name: np.broadcast_to(np.float32(0), (days, *fine.shape) if name in DAILY else fine.shape)
        for name in (*DAILY, *STATIC)
    }
    tile = {"time": min(STEPS, days), "y": SIDE, "x": SIDE}
    store = folder / "fine.zarr"
    create_store(store, _cube(blank, fine, stamps), Layout(tile, tile))
    means = {
        name: np.empty((days, *coarse.shape) if name in DAILY else coarse.shape, "f4")
        for name in blank
    }
    land = 0
    spans = [
        [slice(low, min(low + step, size)) for low in range(0, size, step)]
        for size, step in zip((days, *fine.shape), tile.values(), strict=True)
    ]
    number = 0
    for times in spans[0]:
        for y in spans[1]:
            for x in spans[2]:
                part = fine[y, x]
                fields = predictors_on(part, stamps[times], number)
                number += 1
                is_sea = shore.on(part, np.zeros(1))[0] < level
                land += int((~is_sea).sum()) * (times.stop - times.start)
                if times.start:  # the static ones are there
                    fields = {name: fields[name] for name in DAILY}
                for name, field in fields.items():
                    field[..., is_sea] = np.nan
                    inside = tuple(slice(s.start // FACTOR, s.stop // FACTOR) for s in (y, x))
                    where = (times, *inside) if name in DAILY else inside
                    means[name][where] = _means(field)
                write_tile(
                    store,
                    _cube(fields, part, stamps[times]),
                    {"time": times, "y": y, "x": x},
                )
    finish_store(store)
    means["soil_moisture"] = moisture(means, np.random.default_rng(1))
    write_cube(_cube(means, coarse, stamps), folder / "coarse.zarr")
    (folder / "models").mkdir()
    shutil.copytree(forest, folder / "models/forest")
    run.write_json("inputs.json", [])
    run.write_json("state.json", {**run.state, "stages": {"build": 0.0, "fit": 0.0}})
    return land


def refined(coarse: GeoBox) -> GeoBox:
    """Give the grid of cells of about 1 km in a grid of cells of 36 km."""
    shape = (coarse.shape.y * FACTOR, coarse.shape.x * FACTOR)
    return GeoBox(shape, coarse.affine * Affine.scale(1 / FACTOR), coarse.crs)


def _means(field: np.ndarray) -> np.ndarray:
    rows, columns = (size // FACTOR for size in field.shape[-2:])
    blocks = field.reshape(*field.shape[:-2], rows, FACTOR, columns, FACTOR)
    count = np.isfinite(blocks).sum(axis=(-3, -1))
    total = np.nansum(blocks, axis=(-3, -1))
    return np.where(count >= FACTOR**2 / 2, total / np.maximum(count, 1), np.nan)


def _cube(fields: dict[str, np.ndarray], grid: GeoBox, days: np.ndarray) -> xr.Dataset:
    first = np.datetime64("2019-01-01", "s")
    coords = {**coordinates(grid), "time": first + (days * 86400).astype("m8[s]")}
    arrays = {
        name: (
            ("time", "y", "x") if field.ndim == 3 else ("y", "x"),
            field,
            variable(name).attributes(),
        )
        for name, field in fields.items()
    }
    return xr.Dataset(arrays, coords=coords)


def recipe_text() -> str:
    """Write the recipe: two baselines, the forest, and the closed forest, which is published."""
    recipe = {
        "title": "Benchmark",
        "predictors": [*DAILY, *STATIC],
        "build": {"factor": FACTOR, "sources": [{"product": "SAMPLE", "use": "target"}]},
        "methods": {
            "nearest": {"title": "Coarse value copied", "kind": "nearest"},
            "smooth": {"title": "Smooth interpolation", "kind": "smooth"},
            "forest": {
                "title": "Random forest",
                "kind": "direct",
                "model": "random_forest",
                "parameters": {"trees": TREES, "leaf": LEAF},
            },
            "forest_closed": {"title": "Random forest, closed", "kind": "close", "of": ["forest"]},
        },
        "publish": "forest_closed",
    }
    return yaml.safe_dump(recipe, sort_keys=False)


@dataclass(frozen=True)
class Took:
    """Say what downscaling a run took.

    Attributes
    ----------
    peak
        Largest resident size of the process, MB.
    command
        Seconds of the command as a whole, with the start of Python and the plan.
    processor
        Seconds that all threads of the command together had a processor.
    stage
        Seconds of the stage as ``state.json`` has them: without those two.
    stores
        Seconds by the clock of each store: from its beginning to that of the next, the last one until
        the stage was over, with the product's netCDF files.
    work
        Seconds of all tiles of a store by kind of work, as its ledger has them, added up over threads.
    export
        Seconds of writing the product's netCDF files, part of the last store's.
    bytes
        Read and written by the process as the system counts them, the libraries' own files included.
    """

    peak: float
    command: float
    processor: float
    stage: float
    stores: dict[str, float]
    work: dict[str, dict[str, float]]
    export: float
    bytes: dict[str, int]

    @property
    def published(self) -> float:
        """Seconds of the stores that the published product needs: prediction, closure, product."""
        return sum(self.stores[name] for name in ("forest", "forest_closed", "product"))


#: Runs a command and tells its exit code, peak, seconds, and bytes; these are added to a parent's counts.
_WATCH = """
import json, resource, subprocess, sys, time
counts = lambda: dict(line.split(": ") for line in open("/proc/self/io").read().splitlines())
before, began = counts(), time.perf_counter()
code = subprocess.call([sys.executable, "-m", "vadose.cli", *sys.argv[1:]], stdout=subprocess.DEVNULL)
seconds, after = time.perf_counter() - began, counts()
moved = {one: int(after[key]) - int(before[key]) for one, key in (("read", "rchar"), ("write", "wchar"))}
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([code, used.ru_maxrss / 1024, seconds, used.ru_utime + used.ru_stime, moved]))
"""


def downscale(folder: Path, max_mem: str, *more: str) -> Took:
    """Downscale a run in a process of its own."""
    peak, seconds, processor, moved = watched(folder, max_mem, *more)
    names = [*RunFolder(folder).recipe.methods, "product"]
    began = [_when(folder / f"predictions/{name}.tiles.json") for name in names]
    began.append(_when(folder / "state.json"))
    return Took(
        peak=peak,
        command=seconds,
        processor=processor,
        stage=RunFolder(folder).state["stages"]["downscale"],
        stores={name: began[place + 1] - began[place] for place, name in enumerate(names)},
        work={name: _work(folder / f"predictions/{name}.ledger.jsonl") for name in names},
        export=began[-1] - _when(folder / "product.zarr/zarr.json"),
        bytes=moved,
    )


def watched(folder: Path, max_mem: str, *more: str) -> tuple[float, float, float, dict[str, int]]:
    """Run ``vadose downscale``; give peak in MB, seconds by clock and processor, bytes read and written."""
    words = ["downscale", str(folder), "--max-mem", max_mem, *more]
    done = subprocess.run(
        [sys.executable, "-c", _WATCH, *words], capture_output=True, text=True, check=True
    )
    code, peak, seconds, processor, moved = json.loads(done.stdout.splitlines()[-1])
    if code:
        sys.exit(f"vadose downscale failed with exit code {code}:\n{done.stderr}")
    return peak, seconds, processor, moved


def _when(path: Path) -> float:
    return path.stat().st_mtime


def _work(ledger: Path) -> dict[str, float]:
    total: dict[str, float] = {}
    for line in ledger.read_text(encoding="utf-8").splitlines():
        for name, seconds in json.loads(line).get("seconds", {}).items():
            total[name] = total.get(name, 0.0) + seconds
    return total


def load() -> str:
    """Tell how busy the machine is."""
    return f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
