"""Coverage of the intervals of a product, stratum by stratum, where they were not calibrated.

A random forest learns from a coarse field; its spread on the fine grid is calibrated on the withheld truth of
half of the blocks, and the nominal 90 % intervals are counted out on the other half, and the other way round.
Columns of the table:

* ``blocks``: the halves are made of squares of the map in a month each;
* ``places``: of squares with all their months, so that no place was ever calibrated on;
* ``plain``: as ``blocks``, by the textbook: one width for all, points counted as if they were independent;
* ``raw``: 1.64 spreads to both sides, not calibrated.

Strata behind a ``*`` are not known to the calibration. Where blocks are so few that the share itself is not
known to 1.3 per cent, a stratum stands in the table, but not among the figures to be judged. Run from the
root of the repository::

    python benchmarks/interval_coverage.py [--days 360] [--trees 60]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from vadose import synthetic
from vadose.config import read_recipe
from vadose.cubes.assemble import coarse_cube
from vadose.downscale.calibration import STRATA, Points, points_of_truth
from vadose.downscale.direct import Direct
from vadose.downscale.intervals import calibrate
from vadose.downscale.spread import WithSpread
from vadose.models import RandomForest
from vadose.models.crossvalidation import deal_folds
from vadose.pipeline.sources import open_cubes
from vadose.uncertainty.strata import Classes, coverage_table

LEVEL = 0.9
#: Of a normal distribution.
NORMAL = 1.6449
#: Fine cells along a side of the synthetic world and of a coarse cell; every so many days are predicted (the
#: orbit repeats after eight: of five every cell has gaps).
SIZE, FACTOR, EVERY = 128, 8, 5
DAILY = ("land_surface_temperature", "ndvi", "ndwi", "albedo", "evaporation", "precipitation")
#: Points that are compared.
COUNT = 60_000
#: Quantities by which is counted but not calibrated.
UNKNOWN = ("ndvi", "slope", "air_temperature")
#: Largest standard error of a share that is judged, per cent.
JUDGED = 1.3
#: What the line of JSON holds, for each data set and stratum.
KEYS = {
    "coverage_by_stratum": "blocks",
    "width_by_stratum": "width",
    "coverage_at_new_places_by_stratum": "places",
    "coverage_of_one_width_by_stratum": "plain",
    "coverage_by_unknown_stratum": "unknown",
    "coverage_by_small_stratum": "few",
}
STATIC = ("elevation", "slope", "topographic_wetness_index", "sand", "clay")
TARGET = "soil_moisture"


def synthetic_points(days: int, trees: int) -> tuple[Points, int]:
    """Downscale a synthetic world, and compare it with its truth."""
    world = synthetic.world(size=SIZE, days=days, factor=FACTOR, seed=0)
    fine = world.predictors.isel(time=slice(None, None, EVERY))
    coarse = coarse_cube(world.coarse[[TARGET]].isel(time=slice(None, None, EVERY)), fine)
    downscaler = WithSpread(Direct(RandomForest(trees=trees), [*DAILY, *STATIC]).fit(coarse))
    product = downscaler.predict(fine, coarse)
    points = points_of_truth(
        product,
        world.truth[TARGET].sel(time=fine["time"]),
        fine=fine,
        strata=[*STRATA, "precipitation", *UNKNOWN],
        factor=FACTOR,
        block=2,
        days=30,
        count=COUNT,
    )
    return points, (SIZE // (2 * FACTOR)) ** 2


def sample_points(trees: int) -> tuple[Points, int]:
    """Downscale the bundled sample as its recipe's forest does, and compare it with the withheld truth."""
    path = Path("examples/sample.yaml")
    recipe = read_recipe(path)
    cubes = open_cubes(recipe, path.parent, lambda *_: None)[0]
    coarse, fine = cubes["coarse"].load(), cubes["fine"].load()
    direct = Direct(RandomForest(trees=trees), recipe.predictors)
    product = WithSpread(direct.fit(coarse)).predict(fine, coarse)
    strata = [*STRATA, "precipitation", *UNKNOWN]
    points = points_of_truth(
        product,
        cubes["truth"][TARGET].load(),
        fine=fine,
        strata=strata,
        factor=recipe.build.factor,
        block=5,
        count=COUNT,
    )
    return points, int(points.block.max()) + 1  # a single day: every block is a place


def judged(points: Points, squares: int) -> dict[str, pd.DataFrame]:
    """Calibrate on half of the blocks and count on the other half, both ways, in several manners."""
    known_strata = {k: v for k, v in points.described.items() if k not in UNKNOWN}
    asked = replace(points, described=known_strata)
    square = points.block % squares
    ends: dict[str, np.ndarray] = {}
    for name, block in (("blocks", points.block), ("places", square)):
        half = deal_folds(block, 2, seed=0)
        ends[name] = np.full((2, len(points)), np.nan)
        for fold in (0, 1):
            intervals = calibrate(replace(asked, block=block).chosen(half != fold), level=LEVEL)
            held = asked.chosen(half == fold)
            own = intervals.classes.labels(held.described)
            found = intervals.conformal.apply(held.predicted, held.spread, own)
            ends[name][:, half == fold] = found
    half = deal_folds(points.block, 2, seed=0)
    error = np.abs(points.observed - points.predicted)
    both = np.array([[-1.0], [1.0]])
    quantiles = [np.quantile(error[half != fold], LEVEL) for fold in (0, 1)]
    ends["plain"] = points.predicted + both * np.array(quantiles)[half]
    ends["raw"] = points.predicted + both * NORMAL * points.spread
    labels = Classes.learn(points.described).labels(points.described)
    return {
        name: coverage_table(points.observed, *one, block=points.block, stratum=labels)
        for name, one in ends.items()
    }


def shown(title: str, tables: dict[str, pd.DataFrame]) -> dict[str, dict[str, float]]:
    """Print the table of one data set; give what is judged, by stratum."""
    print(f"\n{title}")
    print(
        f"{'stratum':<22}{'points':>8}{'blocks':>8} |{'blocks':>8}{'+-':>5}{'width':>7}"
        f"{'places':>8}{'plain':>8}{'width':>7}{'raw':>7}   coverage in %, width in m3 m-3"
    )
    found: dict[str, dict[str, float]] = {key: {} for key in KEYS.values()}
    for place, row in tables["blocks"].iterrows():
        name = "all" if row.kind == "all" else f"{row.kind} {row.label}"
        name += "*" if row.kind in UNKNOWN else ""
        share = {key: 100 * float(table.coverage[place]) for key, table in tables.items()}
        plain = tables["plain"].width[place]
        print(
            f"{name:<22}{row.points:>8}{row.blocks:>8} |{share['blocks']:>8.1f}"
            f"{100 * row.standard_error:>5.1f}{row.width:>7.3f}{share['places']:>8.1f}"
            f"{share['plain']:>8.1f}{plain:>7.3f}{share['raw']:>7.1f}"
        )
        if row.kind in UNKNOWN:
            found["unknown"][name] = round(share["blocks"], 2)
        elif 100 * row.standard_error > JUDGED:
            found["few"][name] = round(share["blocks"], 2)
        else:
            found |= {
                key: {**found[key], name: round(share[key], 2)} for key in tables if key in found
            }
            found["width"][name] = round(float(row.width), 4)
    return found


def main() -> None:
    """Downscale, calibrate, count, print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=360, help="days of the synthetic world")
    parser.add_argument("--trees", type=int, default=60)
    given = parser.parse_args()
    results: dict[str, dict[str, dict[str, float]]] = {}
    for name, make in (
        ("synthetic", lambda: synthetic_points(given.days, given.trees)),
        ("sample", lambda: sample_points(given.trees)),
    ):
        started = time.perf_counter()
        points, squares = make()
        tables = judged(points, squares)
        count = len(np.unique(points.block))
        seconds = time.perf_counter() - started
        title = f"{name}: {len(points)} points in {count} blocks, {seconds:.0f} s"
        results[name] = shown(title, tables)
    print(json.dumps({key: {n: r[one] for n, r in results.items()} for key, one in KEYS.items()}))


if __name__ == "__main__":
    main()
