"""Calibrate the intervals of the published method, on what it has not learned from.

A withheld truth comes first, then the run's stations, then coarse cells out of fold. What the intervals
cover is counted on blocks that took no part in the fit that it is counted for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from vadose.config import Recipe
from vadose.downscale.calibration import Points, points_of_truth, points_out_of_fold
from vadose.downscale.downscaler import Direct, Residual, load_downscaler
from vadose.downscale.intervals import Intervals, calibrate
from vadose.errors import RunProblem
from vadose.models.crossvalidation import deal_folds
from vadose.pipeline.conditions import with_conditions
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.map_scores import evenly
from vadose.pipeline.places import has_judges, own_stations
from vadose.pipeline.plain import plain
from vadose.schema import FLAGS, variable
from vadose.store import open_cube, open_windows
from vadose.uncertainty.strata import coverage_table
from vadose.validate.match import at_stations
from vadose.validate.pairs import match
from vadose.validate.times import Days

#: Parts that blocks are dealt to, to count coverage where nothing was calibrated.
FOLDS = 5
#: Steps of a truth that are looked at, evenly chosen: maps are read one at a time.
STEPS = 60
#: Coarse cells along the side of a block of the truth, and its days: the first that leave enough blocks.
BLOCKS, ENOUGH = ((2, 30), (2, 10), (1, 10), (1, 3)), 20
#: Where the intervals and what they cover are kept.
KEPT = "intervals.json"


def calibrated(folder: RunFolder, stores: str) -> dict[str, Any]:
    """Learn the intervals of the published method.

    Parameters
    ----------
    folder
        The run.
    stores
        Folder or URL of the predictions.

    Returns
    -------
    dict
        ``intervals`` (see `Intervals.to_dict`), ``source`` in words, ``coverage``: rows of
        `vadose.uncertainty.strata.coverage_table`, of blocks held out.

    Raises
    ------
    RunProblem
        Nothing to calibrate on.
    """
    recipe = folder.recipe
    assert recipe.intervals is not None  # noqa: S101 - asked for by the caller
    source, points = _points(folder, recipe, f"{stores}/{recipe.publish}.zarr")
    points = points.known()
    low, high = variable(recipe.target).valid_range
    settings: dict[str, Any] = {
        "target": recipe.target,
        "level": recipe.intervals.level,
        "bounds": (float(low), float(high)),
    }
    intervals = calibrate(points, **settings)
    table = _coverage(points, settings, recipe.seed)
    return {
        "source": source,
        "points": len(points),
        "blocks": len(np.unique(points.block)),
        "level": recipe.intervals.level,
        "intervals": intervals.to_dict(),
        "coverage": plain(table.to_dict("records")),
    }


def _points(folder: RunFolder, recipe: Recipe, store: str) -> tuple[str, Points]:
    if recipe.build.withhold:
        return "a withheld truth", _of_truth(folder, recipe, store)
    if has_judges(folder.path):
        return "stations", _of_stations(folder, recipe, store)
    method = recipe.methods[recipe.publish]
    while method.of:  # what wrappers do to a coarse cell is not known out of fold
        method = recipe.methods[method.of[0]]
    name = next(name for name, one in recipe.methods.items() if one is method)
    fitted = load_downscaler(folder / f"models/{name}") if method.model is not None else None
    if isinstance(fitted, Direct | Residual):
        coarse = open_cube(folder / "coarse.zarr").load()
        coarse = with_conditions(coarse, folder / f"models/{name}")
        return "coarse cells out of fold", points_out_of_fold(fitted, coarse, seed=recipe.seed)
    raise RunProblem(
        folder.path,
        found=f"{recipe.publish}: no truth, no stations, and no model to refit",
        expected="something to calibrate intervals on",
        remedy="Add stations to the recipe, or leave intervals out.",
    )


def _of_truth(folder: RunFolder, recipe: Recipe, store: str) -> Points:
    """Take points of some steps of the truth, evenly chosen."""
    product, truth = open_windows(store), open_windows(folder / "truth.zarr")
    fine = open_windows(folder / "fine.zarr")
    chosen: dict[str, Any] = {}
    if "time" in product.dims:
        steps = product.sizes["time"]
        chosen["time"] = evenly(steps, STEPS)
    known = product.isel(chosen).load(), truth[recipe.target].isel(chosen).load()
    for block, days in BLOCKS:  # as large as leaves enough of them
        points = points_of_truth(
            *known,
            target=recipe.target,
            fine=fine.isel(chosen, missing_dims="ignore"),
            strata=_asked(recipe),
            factor=recipe.build.factor,
            block=block,
            days=days,
            rng=recipe.seed,
        )
        if len(np.unique(points.block)) >= ENOUGH:
            break
    return points


def _of_stations(folder: RunFolder, recipe: Recipe, store: str) -> Points:
    """Take the cells around the run's stations."""
    target = recipe.target
    product = open_cube(store)
    stations = own_stations(folder.path)
    pairs = match({target: product[target]}, stations, time=Days(recipe.build.days))
    beside = {
        name: at_stations(product[name].sel(time=pairs["time"].values), stations).values
        for name in (f"{target}_spread", "flags")
    }
    is_pair = pairs["is_pair"].values
    months = pairs["time"].dt.month.values
    about: dict[str, np.ndarray[Any, Any]] = {
        "value": pairs["value"].values[0],
        "spread": beside[f"{target}_spread"],
        "season": np.broadcast_to(months % 12 // 3, is_pair.shape),
        "is_gap": np.nan_to_num(beside["flags"]).astype("u2") & FLAGS.mask("coarse_gap") != 0,
    }
    station = np.broadcast_to(np.arange(len(is_pair))[:, None], is_pair.shape)
    return Points(
        pairs["reading"].values[is_pair],
        about["value"][is_pair].astype("f8"),
        about["spread"][is_pair].astype("f8"),
        station[is_pair],
        {name: about[name][is_pair] for name in _asked(recipe) if name in about},
        "station",
    )


def _asked(recipe: Recipe) -> list[str]:
    assert recipe.intervals is not None  # noqa: S101 - asked for by the caller
    return list(recipe.intervals.by)


def _coverage(points: Points, settings: Mapping[str, Any], seed: int) -> pd.DataFrame:
    """Count what intervals cover on blocks that were not in their fit, each block once."""
    folds = min(FOLDS, len(np.unique(points.block)))
    fold_of = deal_folds(points.block, folds, seed=seed)
    lower, upper = np.empty(len(points)), np.empty(len(points))
    for fold in range(folds):
        is_held = fold_of == fold
        own: Intervals = calibrate(points.chosen(~is_held), **settings)
        held = points.chosen(is_held)
        labels = own.classes.labels(held.described)
        lower[is_held], upper[is_held] = own.conformal.apply(held.predicted, held.spread, labels)
    whole = calibrate(points, **settings)
    return coverage_table(
        points.observed,
        lower,
        upper,
        block=points.block,
        stratum=whole.classes.labels(points.described),
    )
