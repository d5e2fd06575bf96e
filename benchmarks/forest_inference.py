"""Speed of the fast forest against scikit-learn's own prediction, and LightGBM's and treelite's if installed.

A forest as Ma et al. grow it (150 trees, leaves of 5) learns 15 predictors from the coarse cells of a
continent: 16 windows of the synthetic world, set side by side with heights that rise to the west, air that
cools with height and latitude, and rain that fades inland. It then predicts tiles of fine cells and
successive days. Each repetition times all competitors in turn, so that what else the machine does falls on
all of them; medians and the median of the ratios are printed.

The last line judges the largest tile on all cores: nearest to the tiles of a product of a continent (252 x 252
cells, 32 days), in which a cell has as many like it. Smaller tiles, as of the trial, stand above it.

LightGBM grows deep forests slowly: it gets a fifth of the trees and its time is multiplied by five, which
flatters it. treelite reads the same forest and walks it by its own engine (code generated for millions of nodes
does not compile), on the first rows of a tile only, for it takes long. Run from the root of the repository::

    python benchmarks/forest_inference.py [--rows 100000] [--repeats 5] [--workers 2]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from vadose.models import fast_trees
from vadose.models.trees import from_forest
from vadose.synthetic import world

#: Windows along a side of the continent, fine cells along a side of a window and of a coarse cell, days.
WINDOWS, SIDE, FACTOR, DAYS = 4, 96, 4, 48
DAILY = ("land_surface_temperature", "ndvi", "ndwi", "albedo", "evaporation", "precipitation")
STATIC = ("elevation", "slope", "topographic_wetness_index", "sand", "silt", "clay", "land_cover")
POSITION = ("longitude", "latitude")
#: Standard deviation of the noise of the target, m³ m⁻³.
NOISE = 0.03
#: Tiles: fine cells along a side; days.
TILES = ((40, 8), (64, 8), (96, 16), (128, 16))
#: Part of the trees that LightGBM grows.
LIGHTGBM_PART = 5
#: Rows of a tile that treelite predicts.
TREELITE_ROWS = 4096
#: The two sides of a prediction that are the same to this.
SAME = 1e-6


def window(row: int, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Make one window: predictors ``(time, y, x, feature)``, and the coarse target ``(time, y, x)``."""
    made = world(size=SIDE, days=DAYS, factor=FACTOR, seed=row * WINDOWS + column, stations=1)
    cube = made.predictors
    shape = cube["ndvi"].shape
    fields = {
        name: np.broadcast_to(cube[name].values, shape).astype("f4")
        for name in (*DAILY, *STATIC, *POSITION)
    }
    north, height = 6.0 * (1.5 - row), 900.0 * (WINDOWS - 1 - column)
    rain = 0.5 + 0.25 * (row / 2 + column / 2)
    fields["latitude"] += np.float32(north)
    fields["longitude"] += np.float32(7.0 * column)
    fields["elevation"] += np.float32(height)
    fields["land_surface_temperature"] -= np.float32(0.6 * north + 0.0065 * height)
    fields["precipitation"] *= np.float32(rain)
    target = made.coarse_truth["soil_moisture"].values + 0.1 * (rain - 0.875)
    return np.stack(list(fields.values()), axis=-1), target


def coarsen(fine: np.ndarray) -> np.ndarray:
    """Average predictors to the coarse cells; land cover becomes a mean code, which is as good here."""
    days, side, _, features = fine.shape
    cells = side // FACTOR
    return fine.reshape(days, cells, FACTOR, cells, FACTOR, features).mean(axis=(2, 4))


def timed(ask: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Give the seconds and what came out."""
    started = time.perf_counter()
    values = ask()
    return time.perf_counter() - started, values


def lightgbm_forest(X: np.ndarray, y: np.ndarray, leaves: int, trees: int) -> Any:
    """Grow a forest of like size with LightGBM; None where it is not installed."""
    if importlib.util.find_spec("lightgbm") is None:
        return None
    import lightgbm

    settings = {
        "boosting": "rf",
        "objective": "regression",
        "num_leaves": leaves,
        "min_data_in_leaf": 5,
        "bagging_freq": 1,
        "bagging_fraction": 0.632,
        "feature_fraction": 0.8,
        "num_threads": 1,  # two would spin where the machine is shared
        "seed": 0,
        "verbose": -1,
    }
    return lightgbm.train(settings, lightgbm.Dataset(X, y), trees)


def treelite_forest(forest: Any) -> Any:
    """Read the forest with treelite; None where it is not installed."""
    if importlib.util.find_spec("treelite") is None:
        return None
    import treelite

    return treelite.sklearn.import_model(forest)


def main() -> None:
    """Grow, compare, print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rows", type=int, default=100_000, help="rows that the forest learns from"
    )
    parser.add_argument("--trees", type=int, default=150)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()

    windows = [window(row, column) for row in range(WINDOWS) for column in range(WINDOWS)]
    rng = np.random.default_rng(0)
    X = np.concatenate([coarsen(fine).reshape(-1, fine.shape[-1]) for fine, _ in windows])
    y = np.concatenate([target.ravel() for _, target in windows])
    y += rng.normal(0, NOISE, len(y))
    chosen = np.sort(rng.choice(len(X), min(given.rows, len(X)), replace=False))
    X, y = np.ascontiguousarray(X[chosen]), y[chosen]
    forest = RandomForestRegressor(
        given.trees, min_samples_leaf=5, max_features=1 / 3, random_state=0, n_jobs=given.workers
    ).fit(X, y)
    trees = from_forest(forest.estimators_, X.shape[1])
    leaves = int((len(trees.feature) / given.trees + 1) // 2)
    others = {"treelite": treelite_forest(forest)}
    others["lightgbm"] = lightgbm_forest(X, y, leaves, max(given.trees // LIGHTGBM_PART, 1))
    seconds, packed = timed(lambda: fast_trees.pack(trees))  # type: ignore[arg-type,return-value]
    print(
        f"{given.trees} trees of {leaves} leaves, {len(trees.feature) / 1e6:.1f} million nodes, from "
        f"{len(X)} rows of {X.shape[1]} predictors\npacked in {seconds:.2f} s "
        f"(compiled code from the cache, if it was there); fast path: {packed is not None}",
        flush=True,
    )
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print(
        f"{'tile':<14}{'cores':>6}{'scikit-learn':>14}{'LightGBM':>10}{'treelite':>10}{'vadose':>9}"
        f"   us per pixel{'ratio':>9}{'ratio':>9}{'ratio':>9}{'largest':>11}"
    )
    fine = np.concatenate(
        [
            np.concatenate([windows[row * WINDOWS + column][0] for column in (1, 2)], axis=2)
            for row in (1, 2)
        ],
        axis=1,
    )
    rows: list[dict[str, Any]] = []
    for side, days in TILES:
        table = np.ascontiguousarray(fine[8 : 8 + days, :side, :side].reshape(-1, fine.shape[-1]))
        for workers in sorted({1, given.workers}):
            rows.append(compare(forest, trees, others, table, workers, given.repeats))
            show(f"{side}x{side}x{days}", rows[-1])
    print("\nratios: scikit-learn, LightGBM, treelite against vadose; largest: absolute difference")
    judged = rows[-1]  # the largest tile on all cores
    print(
        json.dumps(
            {
                "speedup_sklearn": judged["speedup_sklearn"],
                "microseconds_per_pixel": judged["vadose"],
                "max_abs_difference": max(row["difference"] for row in rows),
                "speedup_lightgbm": judged["speedup_lightgbm"],
                "rows": rows,
            }
        )
    )


def compare(
    forest: Any,
    trees: Any,
    others: dict[str, Any],
    table: np.ndarray,
    workers: int,
    repeats: int,
) -> dict[str, Any]:
    """Time all on the same table and number of cores, one after the other, several times."""
    forest.n_jobs = workers
    asks: dict[str, Callable[[], np.ndarray]] = {
        "sklearn": lambda: forest.predict(table),
        "vadose": lambda: trees.predict(table, workers=workers),
    }
    # by how much the time must be multiplied for all trees and rows
    shares = dict.fromkeys(asks, 1.0)
    if others["lightgbm"] is not None:
        asks["lightgbm"] = lambda: others["lightgbm"].predict(table, num_threads=workers)
        shares["lightgbm"] = LIGHTGBM_PART
    if others["treelite"] is not None:
        from treelite import gtil

        few = table[:TREELITE_ROWS]
        asks["treelite"] = lambda: gtil.predict(others["treelite"], few, nthread=workers)
        shares["treelite"] = len(table) / len(few)
    seconds: dict[str, list[float]] = {name: [] for name in asks}
    difference = 0.0
    for name in asks:  # nobody's first time counts
        asks[name]()
    for _ in range(repeats):
        answers = {}
        for name, ask in asks.items():
            spent, answers[name] = timed(ask)
            seconds[name].append(spent * shares[name] / len(table) * 1e6)
        difference = max(difference, float(np.abs(answers["sklearn"] - answers["vadose"]).max()))
    assert difference <= SAME, f"predictions differ by {difference}"
    own = np.array(seconds["vadose"])
    result: dict[str, Any] = {"pixels": len(table), "cores": workers, "difference": difference}
    for name in ("sklearn", "lightgbm", "treelite", "vadose"):
        result[name] = round(float(np.median(seconds[name])), 3) if name in seconds else None
    for name in ("sklearn", "lightgbm", "treelite"):
        is_there = name in seconds
        ratio = float(np.median(np.array(seconds[name]) / own)) if is_there else None
        result[f"speedup_{name}"] = None if ratio is None else round(ratio, 2)
    return result


def show(tile: str, row: dict[str, Any]) -> None:
    """Print a line."""

    def number(name: str) -> str:
        return "-" if row[name] is None else f"{row[name]:.2f}"

    print(
        f"{tile:<14}{row['cores']:>6}{number('sklearn'):>14}{number('lightgbm'):>10}"
        f"{number('treelite'):>10}{number('vadose'):>9}{'':>15}{number('speedup_sklearn'):>9}"
        f"{number('speedup_lightgbm'):>9}{number('speedup_treelite'):>9}{row['difference']:>11.0e}",
        flush=True,
    )


if __name__ == "__main__":
    main()
