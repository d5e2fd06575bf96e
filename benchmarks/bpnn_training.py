"""Levenberg-Marquardt against Adam: loss after the same seconds, on three problems.

1. A smooth function of two features, without noise: how deep a trainer gets.
2. The exact area means of the synthetic world's soil moisture from 13 predictors, as Ma et al. have them.
3. The same from what a satellite with an error of 0.04 m³ m⁻³ says: how soon a trainer learns noise.

Both trainers start from the same weights and stop by the same blocks held back; the blocks that the error
is told of are neither learned from nor stopped by. Levenberg-Marquardt gets its steps; Adam then gets as
many seconds, with the best of three rates, which the blocks to stop by choose in shorter runs that do not
count. Either keeps the weights of its best validation loss. Run from the root of the repository, on a machine
that has nothing else to do::

    python benchmarks/bpnn_training.py [--steps 15]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

import vadose.synthetic
from vadose.cubes.regrid import aggregate
from vadose.grids import grid_of
from vadose.models.bpnn import BPNN
from vadose.samples import Rows, Samples, split

PREDICTORS = (
    "land_surface_temperature",
    "evaporation",
    "precipitation",
    "albedo",
    "ndvi",
    "ndwi",
    "land_cover",
    "elevation",
    "sand",
    "silt",
    "clay",
)
RATES = (1e-3, 3e-3, 1e-2)
#: Moments of the table, as shares of the seconds.
MOMENTS = (0.05, 0.1, 0.25, 0.5, 1.0)
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Problem:
    """Hold rows to learn from, in groups, and rows to judge by.

    Attributes
    ----------
    told
        Squared error is measured against this, and against `exact`, which has no noise.
    """

    title: str
    unit: str
    X: Array
    y: Array
    groups: Array
    X_test: Array
    told: Array
    exact: Array


@dataclass
class Run:
    """Hold a fitted network and the seconds at which its epochs ended."""

    network: BPNN
    moments: list[float] = field(default_factory=list)

    def at(self, seconds: float) -> tuple[float, float]:
        """Give training and validation loss of the last epoch that was over."""
        last = int(np.searchsorted(self.moments, seconds, side="right")) - 1
        history = self.network.histories_[0]
        if last < 0:
            return float("nan"), float("nan")
        return history.training[last], history.validation[last]


def smooth_function() -> Problem:
    """Make a function of two features on 20 x 20 tiles, a fifth of which is to be judged."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (4000, 2)).astype("f4")
    first, second = X.T.astype("f8")
    y = np.sin(3 * first) * np.cos(2 * second) + np.exp(-4 * (first**2 + second**2))
    tiles = ((X + 1) * 10).astype(int) @ [20, 1]
    is_test = np.isin(tiles, rng.choice(400, 80, replace=False))
    return Problem(
        "a smooth function of two features",
        "1",
        X[~is_test],
        y[~is_test],
        tiles[~is_test],
        X[is_test],
        y[is_test],
        y[is_test],
    )


def worlds() -> list[Problem]:
    """Make the two problems of the synthetic world: 1024 cells of 5 km on every sixth of 120 days."""
    days = slice(0, None, 6)
    world = vadose.synthetic.world(size=160, days=120, factor=5)
    grid = grid_of(world.coarse)
    predictors = aggregate(world.predictors[list(PREDICTORS)].isel(time=days), grid)
    cube = predictors.assign(soil_moisture=world.coarse["soil_moisture"])
    parts = split(cube, "space", rng=0, block=4, buffer=1)
    rows = Rows(list(PREDICTORS))

    def take(where: Any) -> Samples:
        return rows.take(cube, "soil_moisture", where=where, groups=parts.groups)

    known, judged = take(parts.train | parts.validation), take(parts.test)
    truth = world.coarse_truth["soil_moisture"].isel(time=days).values.astype("f8").ravel()
    targets = {
        "exact area means of the synthetic world": (truth[known.index], truth[judged.index]),
        "the synthetic world as a satellite sees it": (known.y, judged.y),
    }
    return [
        Problem(
            title,
            "(m3 m-3)2",
            known.X,
            target,
            known.groups,
            judged.X,
            told,
            truth[judged.index],
        )
        for title, (target, told) in targets.items()
    ]


def fit(problem: Problem, **settings: Any) -> Run:
    """Train a network and watch the clock."""
    run = Run(BPNN(**settings))
    started = time.perf_counter()
    run.network.progress = lambda *_: run.moments.append(time.perf_counter() - started)
    run.network.fit(problem.X, problem.y, groups=problem.groups)
    return run


def fit_adam(problem: Problem, seconds: float, hidden: str) -> Run:
    """Train by Adam for about as many seconds, at the rate that did best in a fifth of them."""

    def adam(rate: float, epochs: int) -> Run:
        return fit(
            problem, trainer="adam", hidden=hidden, rate=rate, epochs=epochs, patience=epochs
        )

    trial = adam(RATES[0], 6).moments
    epochs = max(round(5 * seconds / (trial[-1] - trial[0])), 5)
    trials = {rate: adam(rate, max(epochs // 5, 1)) for rate in RATES}
    best = min(trials, key=lambda rate: min(trials[rate].network.histories_[0].validation))
    return adam(best, epochs)


def error(run: Run, X: Array, values: Array) -> float:
    """Give the mean squared error on held-out blocks, in units of the target."""
    return float(np.mean((run.network.predict(X) - values) ** 2))


def table(problem: Problem, runs: dict[str, Run]) -> str:
    """Lay losses against seconds out for people."""
    seconds = max(run.moments[-1] for run in runs.values())
    lines = [
        f"\n{problem.title}: {len(problem.X)} rows, {problem.X.shape[1]} features",
        f"{'':>9}{'Levenberg-Marquardt':^26}{'Adam':^26}",
        f"{'seconds':>9}" + f"{'training':>13}{'validation':>13}" * 2,
        "-" * 61,
    ]
    for share in MOMENTS:
        losses = [loss for run in runs.values() for loss in run.at(share * seconds)]
        lines.append(f"{share * seconds:>9.1f}" + "".join(f"{loss:>13.6f}" for loss in losses))
    lines.append(f"(losses in units of the target's variance; rate {runs['adam'].network.rate:g})")
    for words, values in (("told", problem.told), ("exact", problem.exact)):
        errors = [error(run, problem.X_test, values) for run in runs.values()]
        lines.append(
            f"held-out MSE, {words:<8}{errors[0]:>13.3e}{errors[1]:>26.3e}   {problem.unit}"
        )
    return "\n".join(lines)


def summary(problem: Problem, runs: dict[str, Run]) -> dict[str, float]:
    """Give losses and seconds by key."""
    result = {}
    for name, run in runs.items():
        history = run.network.histories_[0]
        result |= {
            f"loss_{name}": error(run, problem.X_test, problem.told),
            f"exact_loss_{name}": error(run, problem.X_test, problem.exact),
            f"train_loss_{name}": history.training[history.best],
            f"validation_loss_{name}": history.validation[history.best],
            f"seconds_{name}": round(run.moments[-1], 1),
        }
    return result


def main() -> None:
    """Train both ways on each problem, print the tables and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=15, help="steps of Levenberg-Marquardt")
    steps = parser.parse_args().steps
    summaries = []
    smooth = smooth_function()
    fit(smooth, hidden="2", epochs=1)  # what is loaded at first use is no part of the first run
    for problem, hidden, epochs in zip(
        [smooth, *worlds()],
        ("20-20", *2 * ("20-30-30-33",)),
        (3 * steps, steps, steps),
        strict=True,
    ):
        lm = fit(problem, hidden=hidden, epochs=epochs, patience=epochs)
        runs = {"lm": lm, "adam": fit_adam(problem, lm.moments[-1], hidden)}
        print(table(problem, runs), flush=True)
        summaries.append(summary(problem, runs))
    more = dict(zip(("smooth", "exact"), summaries, strict=False))
    print(json.dumps({**summaries[-1], **more, "unit": "(m3 m-3)2"}))


if __name__ == "__main__":
    main()
