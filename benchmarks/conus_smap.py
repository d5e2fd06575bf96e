"""Predict a withheld year of SMAP at 412 pixels over the USA from weather alone.

The file gives soil moisture for a first year and forcings for two. A model is judged here on blocks of
the given year that it has not learned from (46 days, 6 days apart from what is learned), then learns from
the whole year and writes every day. Run from the root of the repository::

    python benchmarks/conus_smap.py --data conus_smap.nc --model ensemble --out predicted.nc

With ``--assimilate`` predictions are corrected by earlier values of the target. That is another task, and
the file says so; the figures of blocks are then those of predictions one step ahead.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

Array = npt.NDArray[np.floating]
#: Days of a block, folds that blocks are dealt to in turn, and days left out on either side of a test.
BLOCK, FOLDS, GAP = 46, 4, 6
#: Predictions are kept within what soil can hold, m³ m⁻³.
BOUNDS = (0.0, 0.6)
#: Settings other than the models' own, found on blocks of the given year.
SETTINGS: dict[str, dict[str, Any]] = {
    "lstm": {
        "hidden": 96,
        "embedding": 64,
        "dropout": 0.3,
        "skip": 60,
        "epochs": 72,
        "batch": 64,
        "rate": 4e-3,
        "decay": 1e-3,
        "patience": 0,
    },
    "boosting": {
        "trees": 700,
        "rate": 0.04,
        "leaves": 127,
        "leaf": 40,
        "features": 0.25,
        "samples": 0.6,
        "workers": 1,
    },
    "dnn": {
        "width": 256,
        "depth": 3,
        "dropout": 0.25,
        "epochs": 25,
        "batch": 512,
        "rate": 1e-3,
        "decay": 1e-3,
        "patience": 0,
    },
    "cnn": {
        "channels": 64,
        "blocks": 6,
        "dropout": 0.15,
        "epochs": 60,
        "batch": 16,
        "rate": 2e-3,
        "decay": 1e-3,
        "patience": 0,
    },
    "random_forest": {"trees": 150, "samples": 0.5, "workers": 1},
}
#: Members of the ensemble, and how often each is trained with another seed: in a fold, and at the end.
ENSEMBLE = {"cnn": (1, 3), "lstm": (2, 6), "boosting": (1, 3), "dnn": (1, 5)}
#: Days before the record that a memory is trained from, of those that are there.
BEGIN = 90


@dataclass(frozen=True)
class Job:
    """A model to train: on all but the blocks of a fold, or on everything."""

    data: Path
    model: str
    seed: int
    fold: int | None


def tests(days: int) -> list[npt.NDArray[np.bool_]]:
    """Give the days of each fold's blocks."""
    block = np.arange(days) // BLOCK
    return [block % FOLDS == fold for fold in range(FOLDS)]


def learned(days: int, fold: int | None, whole: int) -> npt.NDArray[np.bool_]:
    """Give the days that are learned from: the given ones, without a fold's blocks and their rims."""
    is_learned = np.arange(whole) < days
    if fold is not None:
        near = np.convolve(tests(days)[fold], np.ones(2 * GAP + 1), "same") > 0
        is_learned[:days] &= ~near
    return is_learned


@cache
def inputs(data: Path, fold: int | None) -> tuple[Any, Any]:
    """Read and prepare once in a process."""
    from conus_inputs import prepare, read

    record = read(data)
    is_learned = learned(record.given, fold, record.target.shape[1])
    return record, prepare(record, is_learned)


def train(job: Job) -> Array:
    """Train one model and predict all days, in units of each pixel's spread: dims ``(pixel, time)``."""
    from conus_inputs import WARM_UP

    from vadose.models import new_model

    record, given = inputs(job.data, job.fold)
    model = new_model(job.model, seed=job.seed, **SETTINGS.get(job.model, {}))
    if model.kind == "rows":
        is_known = np.isfinite(given.target)
        model.fit(given.rows[is_known], given.target[is_known])
        flat = model.predict(given.rows.reshape(-1, given.rows.shape[-1]))
        return np.asarray(flat.reshape(given.target.shape))
    before = np.full((len(given.target), BEGIN), np.nan)
    target = np.concatenate([before, given.target[:, : record.given]], axis=1)
    model.fit(given.series[:, WARM_UP - BEGIN : WARM_UP + record.given], target)
    return model.predict(given.series)[:, WARM_UP:]


def scores(predicted: Array, truth: Array) -> dict[str, float]:
    """Give medians over pixels of R, RMSE and ubRMSE of each pixel's days.

    A pixel in which either side does not vary has no R, and takes no part in that median.
    """
    rows = []
    for own, reference in zip(predicted, truth, strict=True):
        is_common = np.isfinite(own) & np.isfinite(reference)
        if is_common.sum() < 10:
            continue
        error = own[is_common] - reference[is_common]
        varies = min(own[is_common].std(), reference[is_common].std()) > 1e-6
        r = np.corrcoef(own[is_common], reference[is_common])[0, 1] if varies else np.nan
        rows.append((r, np.sqrt(np.mean(error**2)), error.std()))
    middle = np.nanmedian(rows, axis=0)
    return dict(zip(("r", "rmse", "ubrmse"), map(float, middle), strict=True))


def in_units(scaled: Array, data: Path, fold: int | None) -> Array:
    """Turn units of a pixel's spread into m³ m⁻³."""
    _, given = inputs(data, fold)
    return np.clip(given.mean + given.spread * scaled, *BOUNDS)


def assimilated(predicted: Array, observed: Array, *, keep: float, memory: float) -> Array:
    """Add the last error seen before each day, faded by ``keep * exp(-age / memory)``."""
    result, error = predicted.copy(), np.zeros(len(predicted))
    age = np.full(len(predicted), np.inf)
    for day in range(predicted.shape[1]):
        age += 1
        result[:, day] += keep * np.exp(-age / memory) * error
        is_seen = np.isfinite(observed[:, day])
        error = np.where(is_seen, observed[:, day] - predicted[:, day], error)
        age = np.where(is_seen, 0, age)
    return np.clip(result, *BOUNDS)


def members(model: str) -> dict[str, tuple[int, int]]:
    """Give the models that are trained, with the number of seeds in a fold and at the end."""
    return ENSEMBLE if model == "ensemble" else {model: (1, 1)}


def jobs_of(data: Path, model: str) -> list[Job]:
    """List everything that is trained, the long ones first."""
    jobs = []
    for name, (in_fold, at_end) in members(model).items():
        jobs += [Job(data, name, seed, None) for seed in range(at_end)]
        jobs += [Job(data, name, seed, fold) for fold in range(FOLDS) for seed in range(in_fold)]
    return jobs


def combine(results: dict[Job, Array], model: str, data: Path, observed: Array) -> Combined:
    """Average seeds, weigh members by the blocks they have not seen, and put the blocks together."""
    from vadose.models.crossvalidation import best_weights

    names = list(members(model))
    days = observed.shape[1]
    held = np.full((len(names), *observed.shape), np.nan)
    for fold, is_test in enumerate(tests(days)):
        for place, name in enumerate(names):
            own = [one for job, one in results.items() if job.model == name and job.fold == fold]
            mean = in_units(np.mean(own, axis=0), data, fold)
            held[place][:, is_test] = mean[:, :days][:, is_test]
    is_known = np.isfinite(observed)
    spread = inputs(data, None)[1].spread
    # errors in units of each pixel's spread, as the models have learned
    weight = np.broadcast_to(1 / spread**2, observed.shape)[is_known]
    weights = best_weights(
        np.stack([one[is_known] for one in held], axis=-1).astype("f8"),
        observed[is_known].astype("f8"),
        weight.astype("f8"),
    )
    whole = []
    for name in names:
        own = [one for job, one in results.items() if job.model == name and job.fold is None]
        whole.append(in_units(np.mean(own, axis=0), data, None))
    return Combined(names, weights, held, np.tensordot(weights, whole, axes=1))


@dataclass(frozen=True, eq=False)
class Combined:
    """Hold members' predictions of blocks, their weights, and the prediction of all days."""

    names: list[str]
    weights: Array
    held: Array
    predicted: Array

    @property
    def blocked(self) -> Array:
        """Give the weighted prediction of days that were not learned from."""
        return np.tensordot(self.weights, self.held, axes=1)


def write(path: Path, predicted: Array, record: Any, arguments: argparse.Namespace) -> None:
    """Write ``smap_am_predicted``, whole or not at all."""
    mode = (
        "corrected by earlier SMAP values (data assimilation)"
        if arguments.assimilate
        else "from forcings and attributes alone, no SMAP value after 2016-03-31 and none as input"
    )
    attributes = {
        "units": "m3 m-3",
        "long_name": "SMAP morning soil moisture, predicted",
        "comment": f"{arguments.model}: {mode}",
    }
    variable = xr.DataArray(
        predicted.astype("f4"),
        dims=("pixel", "time"),
        coords={"pixel": record.pixel, "time": record.time},
        attrs=attributes,
    )
    dataset = xr.Dataset({"smap_am_predicted": variable})
    from vadose.store import replaced

    with replaced(path, overwrite=True) as partial:
        dataset.to_netcdf(partial, engine="h5netcdf")


def table(rows: Sequence[tuple[str, dict[str, float]]]) -> str:
    """Lay the scores out for people."""
    head = f"{'blocks of the given year':<44}{'R':>8}{'RMSE':>9}{'ubRMSE':>9}"
    body = [
        f"{name:<44}{one['r']:>8.4f}{one['rmse']:>9.4f}{one['ubrmse']:>9.4f}" for name, one in rows
    ]
    return "\n".join([head, "-" * len(head), *body])


def main() -> None:
    """Train, judge, predict; print the table and one line of JSON."""
    from vadose.models import MODELS

    names = ["ensemble", *(name for name in MODELS if MODELS[name].kind != "patches")]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", choices=list(dict.fromkeys(names)), default="ensemble")
    parser.add_argument("--out", type=Path, required=True, help="netCDF to write")
    parser.add_argument("--assimilate", action="store_true", help="use earlier target values")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    started = time.perf_counter()
    # a process per core and one thread in each: small networks gain nothing from more
    os.environ["OMP_NUM_THREADS"] = "1"
    jobs = jobs_of(arguments.data, arguments.model)
    results: dict[Job, Array] = {}
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
        for done, (job, result) in enumerate(zip(jobs, pool.map(train, jobs), strict=True)):
            results[job] = result
            minutes = (time.perf_counter() - started) / 60
            part = "everything" if job.fold is None else f"fold {job.fold + 1}"
            print(f"  {done + 1}/{len(jobs)} {job.model}, {part}: {minutes:.1f} min", flush=True)
    record, _ = inputs(arguments.data, None)
    observed = record.target[:, : record.given]
    found = combine(results, arguments.model, arguments.data, observed)
    blocked, predicted = found.blocked, found.predicted
    rows = [
        (name, scores(one, observed)) for name, one in zip(found.names, found.held, strict=True)
    ]
    weights = ", ".join(
        f"{name} {weight:.2f}" for name, weight in zip(found.names, found.weights, strict=True)
    )
    if len(rows) > 1:
        rows.append((f"ensemble ({weights})", scores(blocked, observed)))
    if arguments.assimilate:
        keep, memory = chosen(blocked, observed)
        blocked = assimilated(blocked, observed, keep=keep, memory=memory)
        predicted = assimilated(predicted, record.target, keep=keep, memory=memory)
        rows.append((f"with earlier values ({keep:g}, {memory:g} days)", scores(blocked, observed)))
    write(arguments.out, predicted, record, arguments)
    print(table(rows))
    final = scores(blocked, observed)
    result = {
        "model": arguments.model + (" with assimilation" if arguments.assimilate else ""),
        "seconds": round(time.perf_counter() - started, 1),
        "r_blocked": round(final["r"], 4),
        "ubrmse_blocked": round(final["ubrmse"], 5),
        "rmse_blocked": round(final["rmse"], 5),
    }
    print(json.dumps(result))


def chosen(predicted: Array, observed: Array) -> tuple[float, float]:
    """Choose how much of the last error is kept and for how long, on the blocks."""
    candidates = [(keep, memory) for keep in (0.3, 0.5, 0.7, 0.9) for memory in (3.0, 6.0, 12.0)]
    return min(
        candidates,
        key=lambda one: scores(
            assimilated(predicted, observed, keep=one[0], memory=one[1]), observed
        )["ubrmse"],
    )


if __name__ == "__main__":
    main()
