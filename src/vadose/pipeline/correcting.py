"""The stage that corrects with stations: judged at stations held out, kept only if it helps there.

``correction/`` of the run holds what was found; the corrected product, where there is one, stands beside the
product and never in its place: at the stations that it was corrected with it cannot be judged any more.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pandas as pd
import xarray as xr

from vadose.config import Recipe
from vadose.config.learning import Correction
from vadose.correct import (
    Corrector,
    Fold,
    HeldOut,
    Pairs,
    by_station,
    compare,
    correct_held_out,
    decision,
    make_corrector,
    network_folds,
    pairs_of,
    station_folds,
    time_folds,
)
from vadose.correct.stations import REPRESENTATIVENESS
from vadose.errors import RunProblem, UnknownName
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.parts import product_attributes
from vadose.pipeline.places import OWN, USED_BY_PRODUCT, in_plain_words, own_stations, told_used
from vadose.pipeline.plain import number
from vadose.pipeline.tiling import stretched
from vadose.store import (
    create_store,
    finish_store,
    layout_of,
    open_cube,
    open_windows,
    read_window,
    replaced,
    write_months,
    write_tile,
)
from vadose.validate.match import at_stations
from vadose.validate.pairs import match
from vadose.validate.times import Days

#: Name of the corrected product, and of the corrector among the models.
CORRECTED, MODEL = "product_corrected.zarr", "models/correction"
#: Role of the stations that a correction was learned from.
ROLE = "correction"
#: Steps and rows that are corrected together.
STEPS, ROWS = 16, 512

Step = Callable[..., None]


def correct_run(folder: RunFolder, step: Step) -> dict[str, Any]:
    """Learn the correction of a recipe, judge it at stations held out, and apply it if it helps.

    Parameters
    ----------
    folder
        A run whose methods have predicted.
    step
        Told how far it has come.

    Returns
    -------
    dict
        The content of ``correction/summary.json``.

    Raises
    ------
    RunProblem
        Without stations, or a recipe that asks for no correction.
    """
    recipe = folder.recipe
    asked = recipe.correct
    if asked is None or not (folder / OWN).exists():
        raise RunProblem(
            folder.path,
            found="no correct: in its recipe" if asked is None else "a run without stations",
            expected="a recipe that says how to correct, and stations to learn from",
        )
    step(0, 3, "held-out stations")
    corrector = made(asked, recipe)
    pairs = _pairs(folder, recipe, corrector)
    held = correct_held_out(corrector, pairs, _folds(pairs, asked, recipe.seed))
    told = compare(held, rng=recipe.seed)
    verdict = decision(told.before, told.after, (told.lower, told.upper))
    is_applied = asked.apply == "always" or (asked.apply == "if_it_helps" and verdict.helps)
    summary: dict[str, Any] = {
        "how": asked.how,
        "hold": held.title,
        "method": recipe.publish,
        **{key: number(value) for key, value in asdict(told).items()},
        "helps": verdict.helps,
        "verdict": verdict.text,
        "is_applied": is_applied,
        "representativeness": REPRESENTATIVENESS,
        "lost": held.lost,
    }
    for earlier in (CORRECTED, MODEL):
        shutil.rmtree(folder / earlier, ignore_errors=True)
    for file in folder.path.glob(f"{CORRECTED.removesuffix('.zarr')}*.nc"):
        file.unlink()
    if is_applied:
        step(1, 3, "applying")
        corrector.fit(pairs)
        summary["notes"] = corrector.notes_
        with replaced(folder / MODEL, overwrite=True) as partial:
            partial.mkdir()
            corrector.save(partial)
        _apply(folder, recipe, corrector)
        write_months(
            open_cube(folder / CORRECTED),
            folder.path,
            CORRECTED.removesuffix(".zarr"),
            overwrite=True,
            packed=recipe.packed,
        )
    with replaced(folder / "correction", overwrite=True) as partial:
        partial.mkdir()
        table = by_station(held, rng=recipe.seed).to_dataframe().reset_index()
        table.to_csv(partial / "stations.csv", index=False, float_format="%.6g")
        _rows(held).to_csv(partial / "held_out.csv", index=False, float_format="%.6g")
        text = json.dumps(summary, indent=2) + "\n"
        (partial / "summary.json").write_text(text, encoding="utf-8")
    step(3, 3)
    return summary


def made(asked: Correction, recipe: Recipe) -> Corrector:
    """Make the corrector that a recipe asks for, not fitted yet."""
    return make_corrector(
        asked.how, asked.parameters, predictors=asked.predictors, target=recipe.target
    )


def _folds(pairs: Pairs, asked: Correction, seed: int) -> list[Fold]:
    if asked.hold == "network":
        return network_folds(pairs)
    if asked.hold == "time":
        return time_folds(pairs, rng=seed)
    return station_folds(pairs, folds=asked.folds, rng=seed)


def _pairs(folder: RunFolder, recipe: Recipe, corrector: Corrector) -> Pairs:
    """Pair the published method with the run's stations, and take the predictors there."""
    product = open_cube(folder / f"predictions/{recipe.publish}.zarr")
    stations = own_stations(folder.path)
    pairs = match({recipe.publish: product[recipe.target]}, stations, time=Days(recipe.build.days))
    fine = open_cube(folder / "fine.zarr")
    known = {}
    for name in corrector.predictors:
        if name not in fine:
            raise UnknownName("predictor of the correction", name, map(str, fine.data_vars))
        taken = at_stations(fine[name], stations).compute()
        if "time" in fine[name].dims:
            known[name] = taken.reindex(time=pairs["time"])
        else:
            known[name] = taken.isel(time=0, drop=True)
    return pairs_of(pairs, recipe.publish, predictors=xr.Dataset(known))


def _apply(folder: RunFolder, recipe: Recipe, corrector: Corrector) -> None:
    """Write the corrected product, some steps and rows at a time."""
    whole = open_windows(folder / f"predictions/{recipe.publish}.zarr")
    product = whole[[name for name in (recipe.target, "origin", "flags") if name in whole]]
    fine = open_windows(folder / "fine.zarr")
    fine = fine.drop_vars(set(fine.data_vars) - set(corrector.predictors))
    sides = {"y": min(ROWS, product.sizes["y"]), "x": product.sizes["x"]}
    steps = {"time": min(STEPS, product.sizes["time"])} if "time" in product.dims else {}
    windows = [
        dict(zip(("time", "y") if steps else ("y",), place, strict=True))
        for place in itertools.product(
            *(
                [
                    slice(at, min(at + size, product.sizes[dim]))
                    for at in range(0, product.sizes[dim], size)
                ]
                for dim, size in {**steps, "y": sides["y"]}.items()
            )
        )
    ]
    attributes = product_attributes(folder)
    attributes["source"] += f", corrected with stations: {corrector.name}"
    # the product stands apart from its run, and must itself say who may not judge it
    used = {**told_used(folder.path), ROLE: in_plain_words(corrector.used_)}
    attributes[USED_BY_PRODUCT] = json.dumps(used)
    with replaced(folder / CORRECTED, overwrite=True) as partial:
        for number, window in enumerate(windows):
            part = read_window(product, window)
            part[recipe.target].attrs.pop("ancillary_variables", None)
            corrected = corrector.apply(part, read_window(fine, window))
            corrected.attrs = attributes
            if number == 0:
                create_store(
                    str(partial),
                    stretched(
                        corrected,
                        {str(dim): size for dim, size in product.sizes.items()},
                        product.coords,
                    ),
                    layout_of({**steps, **sides}),
                    overwrite=True,
                )
            write_tile(str(partial), corrected, window)
        finish_store(str(partial))


def _rows(held: HeldOut) -> pd.DataFrame:
    names = held.pairs.stations["station"].values[held.pairs.station]
    return pd.DataFrame(
        {
            "station": names,
            "time": held.pairs.time,
            "fold": held.fold,
            "observed": held.pairs.observed,
            "before": held.pairs.predicted,
            "after": held.corrected,
        }
    )
