"""Fit the methods of a recipe: what is held back, parameters searched for, checkpoints, coarse scores."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vadose.config import Recipe
from vadose.downscale.applicable import learn_area
from vadose.downscale.base import Progress
from vadose.downscale.conditions import DailyConditions
from vadose.downscale.direct import Direct
from vadose.downscale.downscaler import Learner, load_downscaler
from vadose.downscale.provenance import coarse_gaps
from vadose.downscale.residual import Residual
from vadose.models.base import Model, quiet
from vadose.models.crossvalidation import parameters_of
from vadose.pipeline.conditions import KEPT, with_conditions
from vadose.pipeline.methods import learner
from vadose.pipeline.parts import AREA, learned_parts
from vadose.samples import SCHEMES, Split, split
from vadose.samples.grouping import usual_block
from vadose.store import replaced
from vadose.validate.daily import scatter_density, score_parts_by_day
from vadose.validate.metrics import METRICS
from vadose.validate.statistics import moments

Scores = dict[str, Any]


def held_back(recipe: Recipe, coarse: xr.Dataset) -> Split | None:
    """Divide the coarse cube as the recipe says; None where nothing is held back.

    Blocks of the map have a fifth of its longer side unless the recipe says otherwise.
    """
    if recipe.hold is None:
        return None
    layers = coarse[[recipe.target]]
    settings: dict[str, Any] = dict(recipe.hold.settings)
    if "block" in inspect.signature(SCHEMES[recipe.hold.scheme]).parameters:
        settings.setdefault("block", usual_block((layers.sizes["y"], layers.sizes["x"])))
    return split(layers, recipe.hold.scheme, rng=recipe.seed, **settings)


def observed_part(coarse: xr.Dataset, target: str) -> xr.Dataset:
    """Take away what fusion has filled: models learn from observations, and are scored against them."""
    if "origin" not in coarse:
        return coarse
    values = coarse[target].where(~coarse_gaps(coarse, target))
    return coarse.assign({target: values.astype(coarse[target].dtype)})


def learned_from(recipe: Recipe, coarse: xr.Dataset, parts: Split | None) -> xr.Dataset:
    """Hide the target where it is held back."""
    if parts is None:
        return coarse
    hidden = {name: coarse[name].where(parts.train) for name in (recipe.target, *recipe.also)}
    order = {name: field.transpose(*coarse[name].dims) for name, field in hidden.items()}
    return coarse.assign({name: field.astype(coarse[name].dtype) for name, field in order.items()})


def fit_method(
    recipe: Recipe,
    name: str,
    known: xr.Dataset,
    fine: xr.Dataset,
    run: Path,
    progress: Progress,
    *,
    conditions: DailyConditions | None = None,
) -> Learner:
    """Fit a method and write it to the run's ``models``; a stopped training goes on where it was.

    Parameters
    ----------
    recipe, name
        The method.
    known
        Coarse cube to learn from.
    fine
        Fine predictors, for learning at several scales.
    run
        Folder of the run.
    progress
        Told how it goes, with the losses.
    conditions
        What steers the method beside its predictors; kept with the model.
    """
    if conditions is not None:
        known = conditions.add(known)
    working = run / f"models/.{name}.training"
    parameters = searched(recipe, name, known, fine, working / "search", progress)
    downscaler = learner(recipe, name, progress, fine=fine, parameters=parameters)
    if hasattr(downscaler.model, "checkpoint"):
        downscaler.model.checkpoint = working / "checkpoint"
    downscaler.fit(known)
    with replaced(run / f"models/{name}") as partial:
        partial.mkdir()
        downscaler.save(partial)
        if conditions is not None:
            conditions.save(partial / KEPT)
        if recipe.applicability and name in learned_parts(recipe, recipe.publish):
            assert isinstance(downscaler, Direct | Residual)  # noqa: S101 - of these kinds
            learn_area(downscaler, known, seed=recipe.seed).save(partial / AREA)
    shutil.rmtree(working, ignore_errors=True)
    return downscaler


def drop_trainings(run: Path) -> None:
    """Remove what trainings keep while they last; a kill right after one may have left it behind."""
    for working in (run / "models").glob(".*.training"):
        shutil.rmtree(working, ignore_errors=True)


def searched(
    recipe: Recipe,
    name: str,
    known: xr.Dataset,
    fine: xr.Dataset,
    folder: Path,
    progress: Progress,
) -> Mapping[str, Any]:
    """Give the best parameters that a search finds; those of the recipe where it asks for none."""
    method = recipe.methods[name]
    if method.search is None:
        return method.parameters
    from vadose.models.tuning import SPACES, search

    X, y, groups = learner(recipe, name, progress, fine=fine).training_data(known)
    folder.mkdir(parents=True, exist_ok=True)
    found = search(
        str(method.model),
        X,
        y,
        groups=groups,
        fixed=method.parameters,
        space=method.search.space or SPACES[str(method.model)],
        trials=method.search.trials,
        folds=method.search.folds,
        seed=recipe.seed,
        folder=folder,
        progress=progress,
    )
    return {**method.parameters, **found.parameters}


def like(recipe: Recipe, name: str, fitted: Model) -> Model:
    """Make the model of a method anew, not fitted yet, with the parameters that a search found."""
    parameters = dict(recipe.methods[name].parameters)
    if recipe.methods[name].search is not None:
        parameters = {key: one for key, one in parameters_of(fitted).items() if key != "seed"}
    return learner(recipe, name, quiet, parameters=parameters).model


def coarse_predictions(recipe: Recipe, run: Path, coarse: xr.Dataset) -> dict[str, xr.Dataset]:
    """Let direct methods predict the coarse cells, whether they have learned from them or not."""
    predicted = {}
    for name, method in recipe.methods.items():
        if method.kind in ("direct", "multiscale"):
            downscaler = load_downscaler(run / f"models/{name}")
            assert isinstance(downscaler, Direct)  # noqa: S101 - of these kinds
            given = with_conditions(coarse, run / f"models/{name}")
            predicted[name] = downscaler.predict(given[downscaler.predictors], coarse)
    return predicted


def write_daily(
    run: Path, recipe: Recipe, predicted: Mapping[str, xr.Dataset], coarse: xr.Dataset, parts: Split
) -> None:
    """Write the scores of each day and part, and the density of pairs, as Ma et al. show them.

    ``fit_daily.csv`` has a row per part, method and day; ``fit_scatter.nc`` what scatter plots need.
    """
    target = coarse[recipe.target].load()
    fields = {name: cube[recipe.target] for name, cube in predicted.items()}
    if not fields or "time" not in target.dims:
        return
    known = target.notnull()
    for field in fields.values():
        known = known & field.notnull()
    held = {name: where for name, where in parts.parts.items() if bool((where & known).any())}
    days = score_parts_by_day(fields, target, held)
    with replaced(run / "fit_daily.csv", overwrite=True) as partial:
        days.to_dataframe().reset_index().to_csv(partial, index=False, float_format="%.6g")
    scatter = scatter_density(fields, target, held)
    with replaced(run / "fit_scatter.nc", overwrite=True) as partial:
        scatter.to_netcdf(partial, engine="h5netcdf")


def coarse_scores(
    recipe: Recipe, predictions: Mapping[str, xr.Dataset], coarse: xr.Dataset, parts: Split
) -> Scores:
    """Score direct methods against the coarse target, apart for what was learned from and what was not.

    Returns
    -------
    dict
        The scheme, whether its scores are optimistic, and the metrics by method, layer and part.
    """
    methods: Scores = {}
    for name, predicted in predictions.items():
        layers = {
            layer: {
                part: _score(predicted[layer], coarse[layer].where(where))
                for part, where in parts.parts.items()
            }
            for layer in (recipe.target, *recipe.also)
            if layer in predicted
        }
        methods[name] = {"title": recipe.methods[name].title, "layers": layers}
    return {
        "scheme": parts.scheme,
        "title": parts.title,
        "is_optimistic": parts.is_optimistic,
        "methods": methods,
    }


def _score(product: xr.DataArray, reference: xr.DataArray) -> dict[str, float | None]:
    reference = reference.transpose(*product.dims)
    is_common = np.isfinite(product.values) & np.isfinite(reference.values)
    found = moments(product.values[is_common], reference.values[is_common])
    numbers = {name: metric(found) for name, metric in METRICS.items()}
    scores = {name: value if np.isfinite(value) else None for name, value in numbers.items()}
    return {**scores, "n": int(is_common.sum())}
