"""Rows per second of the dissimilarity index, and what approximate neighbours change.

Fifteen predictors of a synthetic world; 50,000 of its pixels and days are the training data, blocks of cells
its groups, and the importances of a forest the weights. The rows are those of the map in their order. The same
without weights: all fifteen count alike, and a tree of neighbours helps the less. Run from the root of the
repository::

    python benchmarks/applicability.py [--rows 200000] [--workers 2]
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from vadose import synthetic
from vadose.models import RandomForest
from vadose.samples import Rows
from vadose.uncertainty.applicability import Applicability

SIZE, DAYS, EVERY, TRAINING = 128, 240, 4, 50_000
PREDICTORS = (
    "land_surface_temperature",
    "air_temperature",
    "ndvi",
    "ndwi",
    "albedo",
    "evaporation",
    "precipitation",
    "elevation",
    "slope",
    "topographic_wetness_index",
    "sand",
    "silt",
    "clay",
    "longitude",
    "latitude",
)
#: Shares by which a neighbour may be farther than the nearest one.
APPROXIMATIONS = (0.0, 0.1, 0.3)


def main() -> None:
    """Measure, print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()

    world = synthetic.world(size=SIZE, days=DAYS, factor=4, seed=0)
    step = {"time": slice(None, None, EVERY)}
    taken = Rows(PREDICTORS, with_position=False).take(world.predictors.isel(step))
    truth = world.truth["soil_moisture"].isel(step).values.ravel()[taken.index]
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.choice(len(taken), TRAINING, replace=False))
    row, column = np.divmod(taken.index[chosen] % SIZE**2, SIZE)
    block = row // 16 * 8 + column // 16
    X = taken.X[chosen]
    forest = RandomForest(trees=20, workers=given.workers).fit(X, truth[chosen])
    cases = {
        "importance": (forest.importances_, taken.X[: given.rows]),
        "all alike": (None, taken.X[: given.rows // 8]),
    }
    print(
        f"{'weights':<16}{'farther by':>11}{'fit s':>8}{'rows/s':>10}{'threshold':>11}{'inside %':>10}"
    )
    results = []
    for name, (weights, rows) in cases.items():
        for share in APPROXIMATIONS:
            area = Applicability(weights, approximation=share, workers=given.workers)
            started = time.perf_counter()
            area.fit(X, block)
            fit = time.perf_counter() - started
            started = time.perf_counter()
            index = area.dissimilarity(rows)
            speed = len(rows) / (time.perf_counter() - started)
            inside = 100 * float(np.mean(index <= area.threshold_))
            print(
                f"{name:<16}{share:>11.1f}{fit:>8.1f}{speed:>10.0f}{area.threshold_:>11.3f}"
                f"{inside:>10.1f}",
                flush=True,
            )
            results.append(
                {"weights": name, "approximation": share, "rows_per_second": round(speed)}
            )
    print(json.dumps({"rows_per_second": results[0]["rows_per_second"], "cases": results}))


if __name__ == "__main__":
    main()
