"""Memory of `vadose build` as the domain grows sixteenfold: peak resident size against the budget.

Daily GeoTIFFs of a coarse target and of fine predictors are made, and cubes are built from them in a
process of their own whose peak is read from the operating system. Run from the root of the repository::

    python benchmarks/build_memory.py [--budget 2GB]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import yaml
from rasterio.transform import from_origin

DAYS, FACTOR, STEP = 16, 10, 0.01


def write(path: Path, field: np.ndarray, step: float) -> None:
    """Write one tiled GeoTIFF with its north-western corner at 0 E, 60 N."""
    profile = {
        "driver": "GTiff",
        "count": 1,
        "dtype": "float32",
        "height": field.shape[0],
        "width": field.shape[1],
        "crs": "EPSG:4326",
        "transform": from_origin(0.0, 60.0, step, step),
        "nodata": -9999.0,
        "tiled": field.shape[0] >= 256,
        "compress": "deflate",
    }
    with rasterio.open(path, "w", **profile) as file:
        file.write(field.astype("f4"), 1)


def make_domain(folder: Path, side: int) -> Path:
    """Write the files of a domain of `side` × `side` fine cells and the recipe that builds it."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:side, 0:side] * STEP
    write(folder / "dem.tif", 500 + 300 * np.sin(7 * x) * np.cos(5 * y), STEP)
    for day in range(DAYS):
        name = f"201907{day + 1:02d}.tif"
        wave = 0.2 + 0.1 * np.sin(3 * x + day / 3) + 0.05 * np.cos(4 * y)
        write(folder / f"ndvi_{name}", wave, STEP)
        write(folder / f"lst_{name}", 300 - 40 * wave + rng.normal(0, 1, wave.shape), STEP)
        coarse = wave.reshape(side // FACTOR, FACTOR, side // FACTOR, FACTOR).mean(axis=(1, 3))
        write(folder / f"sm_{name}", coarse, STEP * FACTOR)

    def source(name: str, units: str, prefix: str, *, is_static: bool = False) -> dict[str, object]:
        stamped = {"time": "name", "time_pattern": r"_(\d{8})\.tif"}
        return {
            "product": prefix,
            "describe": {
                "pattern": f"{prefix}*.tif",
                "layers": {name: {"source": 1, "units": units}},
                **({"time": "static"} if is_static else stamped),
            },
            "paths": [str(folder)],
        }

    recipe = {
        "title": f"{side} x {side}",
        "predictors": ["ndvi", "land_surface_temperature", "elevation"],
        "build": {
            "factor": FACTOR,
            "sources": [
                {**source("soil_moisture", "m3 m-3", "sm"), "use": "target"},
                source("ndvi", "1", "ndvi"),
                source("land_surface_temperature", "K", "lst"),
                source("elevation", "m", "dem", is_static=True),
            ],
        },
        "methods": {
            "nearest": {"title": "nearest", "kind": "nearest"},
            "smooth": {"title": "smooth", "kind": "smooth"},
        },
        "publish": "smooth",
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def measure(recipe: Path, budget: str) -> tuple[float, float]:
    """Build in a process of its own; give its peak in MB and its seconds."""
    words = ["build", str(recipe), "--out", str(recipe.parent / "run"), "--max-mem", budget]
    watch = (
        "import resource, subprocess, sys;"
        "code = subprocess.call([sys.executable, '-m', 'vadose.cli', *sys.argv[1:]],"
        " stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL);"
        "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", watch, *words], capture_output=True, check=True)
    code, peak = (int(number) for number in done.stdout.split())
    if code:
        sys.exit(f"vadose build failed with exit code {code}")
    return peak / 1024, time.perf_counter() - started


def main() -> None:
    """Build both domains, print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", default="2GB")
    parser.add_argument("--side", type=int, default=1000, help="fine cells along the small domain")
    options = parser.parse_args()
    from vadose.pipeline.memory import parse_bytes

    budget = parse_bytes(options.budget) / 2**20
    results = {}
    print(f"{'domain':<16}{'fine values':>14}{'peak MB':>10}{'budget MB':>11}{'seconds':>9}")
    for times in (1, 16):
        side = options.side * round(times**0.5)
        with tempfile.TemporaryDirectory() as scratch:
            recipe = make_domain(Path(scratch), side)
            peak, seconds = measure(recipe, options.budget)
        values = side * side * (2 * DAYS + 1)
        size = f"{side} x {side}"
        print(f"{size:<16}{values:>14,}{peak:>10.0f}{budget:>11.0f}{seconds:>9.1f}", flush=True)
        results[times] = (peak, seconds)
    print(
        json.dumps(
            {
                "peak_mb_1x": round(results[1][0], 1),
                "peak_mb_16x": round(results[16][0], 1),
                "budget_mb": round(budget, 1),
                "seconds_1x": round(results[1][1], 1),
                "seconds_16x": round(results[16][1], 1),
            }
        )
    )


if __name__ == "__main__":
    main()
