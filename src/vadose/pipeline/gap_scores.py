"""Hide coarse values under gaps shaped like real ones, make the product anew, and score what it fills."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from vadose.cubes.regrid import area_mean
from vadose.downscale.base import Downscaler
from vadose.downscale.conditions import Conditioned
from vadose.downscale.conserve import Blend, Closed
from vadose.downscale.downscaler import load_downscaler
from vadose.errors import ValueProblem
from vadose.grids import grid_of
from vadose.models.crossvalidation import parameters_of
from vadose.pipeline.conditions import conditions_of
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.methods import learner, without_learning
from vadose.pipeline.plain import plain
from vadose.samples.gaps import lay_gaps
from vadose.store import open_cube
from vadose.synthetic.views import swaths
from vadose.validate.gaps import score_filled

#: Steps over which the same gap is laid.
STEPS = (1, 3, 6)
#: Values of the fine predictors that are held in memory, at most.
LARGEST = 300_000_000


def score_gaps(folder: RunFolder, share: float) -> pd.DataFrame:
    """Refit the published method without hidden values, and score them by length and age of the gap.

    Parameters
    ----------
    folder
        A run with time.
    share
        Of the coarse values that are hidden.

    Returns
    -------
    pandas.DataFrame
        Scores of the product beside persistence and a line in time, by ``gap_steps`` (steps over which a gap
        was laid) and ``by`` (length or age) and its class ``days``.

    Raises
    ------
    ValueProblem
        A run of few steps, or one too large to be made anew in memory; nothing to score.
    """
    recipe = folder.recipe
    coarse, fine = open_cube(folder / "coarse.zarr"), open_cube(folder / "fine.zarr")
    if coarse.sizes.get("time", 1) < 2 * max(STEPS):
        raise ValueProblem(
            "--gaps",
            found=f"{coarse.sizes.get('time', 1)} steps",
            expected=f"{2 * max(STEPS)} or more, for gaps in time",
        )
    values = sum(array.size for array in fine.data_vars.values())
    if values > LARGEST:
        raise ValueProblem(
            "--gaps",
            found=f"{values:.2g} values of predictors",
            expected=f"{LARGEST:.2g} or fewer: the product is made anew in memory",
            remedy="Judge gaps on a run of a part of the region.",
        )
    coarse, fine = coarse.load(), fine.load()
    truth = coarse[recipe.target]
    donors = _donors(truth.notnull().values, recipe.seed)
    tables = []
    for steps in STEPS:
        hidden = lay_gaps(truth, rng=recipe.seed, share=share, days=steps, donors=donors)
        known = coarse.assign({recipe.target: truth.where(~hidden)})
        product = anew(folder, recipe.publish, fine).fit(known).predict(fine, known)
        filled = area_mean(product[recipe.target], grid_of(truth), min_valid=0.0)
        for by in ("length", "age"):
            scored = score_filled({recipe.publish: filled}, truth, hidden, by=by)
            frame = scored.drop_dims("reason").to_dataframe().reset_index()
            tables.append(frame.assign(by=by, gap_steps=steps))
    return pd.concat(tables, ignore_index=True)


def _donors(seen: npt.NDArray[np.bool_], seed: int) -> npt.NDArray[np.bool_]:
    """Give masks to lay: the series' own, or those of a satellite where it has none that part the map."""
    ever = seen.any(axis=0)
    for masks in (~seen, ~swaths(seen.shape, np.random.default_rng(seed))):
        inside = masks[:, ever]
        if (inside.any(axis=1) & ~inside.all(axis=1)).any():
            return masks
    raise ValueProblem(
        "--gaps",
        found="a map so small that a pass sees all of it or nothing",
        expected="gaps that can be laid on other days",
        remedy="Take a larger region, or leave --gaps out.",
    )


def overall(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Give the scores over all hidden values, by steps of the gap and what filled it."""
    whole = table[(table["by"] == "length") & (table["days"] == "all")]
    columns = ["gap_steps", "product", "n", "n_dates", "rmse", "r", "is_small"]
    rows: list[dict[str, Any]] = plain(whole[columns].to_dict("records"))
    return rows


def anew(folder: RunFolder, name: str, fine: xr.Dataset) -> Downscaler:
    """Make a method with all that it wraps, not fitted yet, with the parameters that a search has found."""
    recipe = folder.recipe
    method = recipe.methods[name]
    if method.model is not None:
        found = None
        if method.search is not None:
            fitted = load_downscaler(folder / f"models/{name}").model
            found = {key: one for key, one in parameters_of(fitted).items() if key != "seed"}
        made = learner(recipe, name, _quiet, fine=fine, parameters=found)
        conditions = conditions_of(folder / f"models/{name}")
        return made if conditions is None else Conditioned(made, conditions)
    parts = [anew(folder, part, fine) for part in method.of]
    if method.kind == "close":
        return Closed(parts[0])
    if method.kind == "blend":
        return Blend(parts, method.weights)
    return without_learning(method, recipe.target, "")


def _quiet(done: int, total: int, note: str = "") -> None:
    """Tell nobody."""
