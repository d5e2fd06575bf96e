"""Kill downscaling again and again at random moments, and see whether it ends with the same bytes.

A run of a synthetic world is made once undisturbed. Then ``vadose downscale`` is started on a copy, as a
process of its own, and killed (SIGKILL) when a random number of new tiles is in the ledgers and a random
moment has passed; so on to the end. The copy is then finished and compared: every file of every store.
Rounds of five kills are made until there are as many kills as asked for. A kill counts as resumed when
the run that it was part of ended with the same bytes.

Run with ``python benchmarks/resume.py [--kills 20] [--seed 0]``. Prints a table and as its last line one
JSON object with ``kills`` and ``resumed_identical``.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rasterio
import yaml

from vadose import pipeline
from vadose.grids import grid_of
from vadose.store import sha256
from vadose.synthetic import world

UNITS = {"ndvi": "1", "sand": "%", "precipitation": "mm day-1", "soil_moisture": "m3 m-3"}
#: Kills of one run, and tiles between two of them at most; a run has 80 tiles.
ROUND, BETWEEN = 5, 12
RECIPE = {
    "title": "Killed and resumed",
    "predictors": list(UNITS)[:3],
    "methods": {
        "nearest": {"title": "nearest", "kind": "nearest"},
        "smooth": {"title": "smooth", "kind": "smooth"},
        "forest": {
            "title": "forest",
            "kind": "direct",
            "model": "random_forest",
            "parameters": {"trees": 6},
        },
        "closed": {"title": "closed forest", "kind": "close", "of": ["forest"]},
    },
    "publish": "closed",
}


def fitted(folder: Path) -> Path:
    """Make a run of 4 x 4 coarse cells whose models are fitted."""
    earth = world(size=32, days=20, factor=8, seed=3)
    cube = earth.predictors.assign(earth.truth[["soil_moisture"]])[list(UNITS)]
    grid = grid_of(cube)
    days = folder / "days"
    days.mkdir()
    for step, stamp in enumerate(cube["time"].values):
        path = days / f"day_{str(stamp)[:10].replace('-', '')}.tif"
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=len(UNITS),
            dtype="float32",
            height=grid.shape.y,
            width=grid.shape.x,
            crs=str(grid.crs),
            transform=grid.affine,
        ) as file:
            for band, name in enumerate(UNITS):
                field = cube[name]
                day = field.isel(time=step) if "time" in field.dims else field
                file.write(day.values.astype("f4"), band + 1)
    described = {
        "pattern": "day_*.tif",
        "layers": {
            name: {"source": band + 1, "units": units}
            for band, (name, units) in enumerate(UNITS.items())
        },
        "time": "name",
        "time_pattern": r"_(\d{8})\.tif",
    }
    source = {"product": "our days", "describe": described, "paths": [str(days)]}
    recipe = folder / "recipe.yaml"
    content = {**RECIPE, "build": {"factor": 8, "withhold": True, "sources": [source]}}
    recipe.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    pipeline.build(recipe, folder / "fitted")
    return pipeline.fit(folder / "fitted")


def stores(run: Path) -> dict[str, str]:
    """Hash every store of a run."""
    folders = [*sorted((run / "predictions").glob("*.zarr")), run / "product.zarr"]
    return {folder.name: sha256(folder) for folder in folders}


def tiles_done(run: Path) -> int:
    """Count the finished tiles in all ledgers."""
    ledgers = (run / "predictions").glob("*.ledger.jsonl")
    return sum(file.read_bytes().count(b'"done"') for file in ledgers)


def killed(words: list[str], run: Path, draws: random.Random) -> int | None:
    """Start, kill at a random moment, and give how many tiles there were; None if it was done first."""
    wanted = tiles_done(run) + draws.randint(0, BETWEEN)
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while tiles_done(run) <= wanted:
            if process.poll() is not None:
                return None
            time.sleep(0.002)
        time.sleep(draws.uniform(0, 0.1))
        if process.poll() is not None:
            return None
        process.kill()
    return tiles_done(run)


def main() -> None:
    """Kill, resume, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    draws = random.Random(asked.seed)  # noqa: S311 - not a secret
    kills = identical = number = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        origin = fitted(folder)
        command = [sys.executable, "-m", "vadose.cli", "downscale", "--tile", "1"]
        whole = Path(shutil.copytree(origin, folder / "whole"))
        subprocess.run([*command, str(whole)], check=True, capture_output=True)
        expected = stores(whole)
        print(f"{'run':>4} {'killed with so many tiles done':<34} same bytes")
        while kills < asked.kills:
            number += 1
            run = Path(shutil.copytree(origin, folder / f"run{number}"))
            words = [*command, str(run)]
            counts: list[int] = []
            while len(counts) < min(ROUND, asked.kills - kills):
                count = killed(words, run, draws)
                if count is None:
                    break
                counts.append(count)
            end = subprocess.run(words, capture_output=True, check=False)
            is_same = end.returncode == 0 and stores(run) == expected
            kills += len(counts)
            identical += len(counts) * is_same
            print(f"{number:>4} {' '.join(map(str, counts)):<34} {'yes' if is_same else 'NO'}")
    print(json.dumps({"kills": kills, "resumed_identical": identical}))


if __name__ == "__main__":
    main()
