"""Turn what `vadose.validate` says of a run into ``scores.json`` and ``scores.csv``."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import xarray as xr

from vadose.config import BASELINES, Recipe
from vadose.cubes.regrid import nearest, smooth
from vadose.downscale.baselines import Interpolation
from vadose.downscale.root_zone import ROOT_ZONE, SoilWaterIndex
from vadose.errors import RunProblem
from vadose.grids import cell_area, grid_of
from vadose.pipeline.places import OWN, note_on_judges, own_stations
from vadose.pipeline.plain import plain
from vadose.store import open_cube
from vadose.validate.ground import TITLES, ground_strata, ground_variables
from vadose.validate.map_gains import gain_intervals
from vadose.validate.metrics import METRICS
from vadose.validate.protocol import closure, compare, gains
from vadose.validate.stations import score_stations, station_gains, summary

#: Steps from which on the past of the surface is a baseline for the root zone.
DAYS_OF_MEMORY = 30
Scores = dict[str, Any]


def against_truth(run: Path, recipe: Recipe) -> Scores:
    """Score every method on all cells against the withheld truth, weighted by area and not.

    Gains have intervals from whole blocks. Where predictors tell that the ground is frozen or under snow or ice, all is
    told of the unfrozen part, and of the others, too.
    """
    coarse, fields = _fields(run, recipe)
    truth = open_cube(run / "truth.zarr")[recipe.target].load()
    strata = _strata(run)
    every = compare(fields, truth, grid_of(coarse), strata=strata)
    ends = gain_intervals(
        fields, truth, grid_of(coarse), baselines=BASELINES, rng=recipe.seed, strata=strata
    )
    score = every.sel(stratum="all")
    every_cell_once = xr.ones_like(cell_area(grid_of(truth)))
    unweighted = compare(fields, truth, grid_of(coarse), weight=every_cell_once)
    over = {baseline: gains(score, baseline) for baseline in BASELINES}
    methods: Scores = {}
    for name, method in recipe.methods.items():
        views = {view: _numbers(score.sel(product=name, view=view)) for view in VIEWS}
        bare = {view: _numbers(unweighted.sel(product=name, view=view)) for view in VIEWS}
        methods[name] = {
            "title": method.title,
            "is_baseline": method.is_baseline,
            **views,
            **{
                f"gain_over_{base}": plain(table[name]) | _ends(ends, name, base, "all")
                for base, table in over.items()
            },
            "unweighted": {
                "rmse": bare["pooled"]["rmse"],
                "r": bare["pooled"]["r"],
                "within_cell_r": bare["within_cell"]["r"],
            },
            "closure_max": closure(fields[name], coarse),
        }
    content = _content(
        recipe, methods, reference="truth", weights="cell area", unit=truth.attrs["units"]
    )
    return {
        **content,
        "interval": ends.attrs["interval"],
        "strata": _of_strata(every, ends, recipe) if strata else {},
        "layers": {layer: _of_layer(run, recipe, layer) for layer in recipe.also},
    }


def _strata(run: Path) -> dict[str, xr.DataArray]:
    """Tell where the ground is frozen, under snow or ice, as far as the fine predictors know."""
    fine = open_cube(run / "fine.zarr")
    known = ground_variables([str(name) for name in fine.data_vars])
    return ground_strata(fine[known].load()) if known else {}


def _of_strata(every: xr.Dataset, ends: xr.Dataset, recipe: Recipe) -> Scores:
    """Lay the scores of each condition of the ground out; one without a cell is left out."""
    found: Scores = {}
    for stratum in every["stratum"].values[1:]:
        part = every.sel(stratum=stratum)
        count = float(part["n"].sel(view="pooled").max())
        if not count > 0:
            continue
        over = {base: gains(part, base) for base in BASELINES}
        found[str(stratum)] = {
            "title": TITLES[str(stratum)],
            "n": int(count),
            "share_of_area": float(part["share"]),
            "methods": {
                name: {
                    **{view: _numbers(part.sel(product=name, view=view)) for view in VIEWS},
                    **{
                        f"gain_over_{base}": plain(table[name])
                        | _ends(ends, name, base, str(stratum))
                        for base, table in over.items()
                    },
                }
                for name in recipe.methods
            },
        }
    return found


def _ends(ends: xr.Dataset, name: str, base: str, stratum: str) -> dict[str, Any]:
    """Give the ends of the interval of a gain in RMSE."""
    one = ends.sel(product=name, baseline=base, stratum=stratum)
    return {f"rmse_{end}": plain(float(one[end])) for end in ("lower", "upper")}


def _of_layer(run: Path, recipe: Recipe, layer: str) -> Scores:
    """Score the methods that give a further layer, beside its own coarse field and the surface's past."""
    coarse = open_cube(run / "coarse.zarr")[layer].load()
    truth = open_cube(run / "truth.zarr")[layer].load()
    grid = grid_of(truth)
    fields = {"nearest": nearest(coarse, grid), "smooth": smooth(coarse, grid)}
    if layer == ROOT_ZONE and coarse.sizes.get("time", 1) >= DAYS_OF_MEMORY:
        cubes = open_cube(run / "coarse.zarr"), open_cube(run / "fine.zarr")
        index = SoilWaterIndex(Interpolation(smooth, target=recipe.target)).fit(cubes[0])
        fields["soil_water_index"] = index.predict(cubes[1], cubes[0])[layer].load()
    for name in recipe.methods:
        cube = open_cube(run / f"predictions/{name}.zarr")
        if layer in cube:
            fields[name] = cube[layer].load()
    score = compare(fields, truth, grid_of(coarse))
    return {
        name: {view: _numbers(score.sel(product=name, view=view)) for view in VIEWS}
        for name in fields
    }


VIEWS = ("pooled", "within_cell")


def against_stations(run: Path, recipe: Recipe) -> Scores:
    """Score every method at the stations, on the station-days that all of them have.

    Raises
    ------
    RunProblem
        When the recipe names neither stations nor a truth.
    """
    if not (run / OWN).exists():  # where all of them took part, reading them says so
        raise RunProblem(
            run,
            found="neither a withheld truth nor stations",
            expected="something to judge by",
            remedy="Add stations (or withhold: true) to the recipe.",
        )
    coarse, fields = _fields(run, recipe)
    score = score_stations(fields, own_stations(run), days=recipe.build.days)
    told = summary(score)
    paired = {base: station_gains(score, base, rng=recipe.seed) for base in BASELINES}
    methods: Scores = {}
    for name, method in recipe.methods.items():
        own = told["products"][name]
        pooled = plain(own["pooled"])
        methods[name] = {
            "title": method.title,
            "is_baseline": method.is_baseline,
            "pooled": {**pooled, "n": int(pooled["n"] or 0)},
            "within_cell": dict.fromkeys(METRICS),
            **{
                f"gain_over_{base}": {
                    "rmse": told["products"][base]["pooled"]["rmse"] - own["pooled"]["rmse"],
                    "r": own["pooled"]["r"] - told["products"][base]["pooled"]["r"],
                    "within_cell_r": None,
                }
                for base in BASELINES
            },
            "stations": plain(own),
            **{
                f"station_gain_over_{base}": plain(paired[base]["products"][name])
                for base in BASELINES
            },
            "closure_max": closure(fields[name], coarse),
        }
    content = _content(
        recipe, methods, reference="stations", weights="none", unit=coarse.attrs["units"]
    )
    counts = {name: told[name] for name in ("stations", "station_days", "lost")}
    told_too = {"interval": paired["nearest"]["interval"], "notes": note_on_judges(run)}
    return {**content, **plain(counts), **told_too}


def _fields(run: Path, recipe: Recipe) -> tuple[xr.DataArray, dict[str, xr.DataArray]]:
    coarse = open_cube(run / "coarse.zarr")[recipe.target].load()
    fields = {
        name: open_cube(run / f"predictions/{name}.zarr")[recipe.target].load()
        for name in recipe.methods
    }
    return coarse, fields


def _content(recipe: Recipe, methods: Scores, *, reference: str, weights: str, unit: str) -> Scores:
    best = min(methods, key=lambda name: _or_infinite(methods[name]["pooled"]["rmse"]))
    return {
        "target": recipe.target,
        "unit": unit,
        "reference": reference,
        "weights": weights,
        "n": methods[best]["pooled"]["n"],
        "best": best,
        "publish": recipe.publish,
        "methods": methods,
    }


def _or_infinite(value: float | None) -> float:
    return math.inf if value is None else value


def _numbers(score: xr.Dataset) -> dict[str, Any]:
    numbers = plain({str(name): float(score[name]) for name in score.data_vars})
    return {**numbers, "n": int(numbers["n"] or 0)}


def as_csv(methods: Scores) -> str:
    """Lay the scores out as a table, a row per method."""
    text = io.StringIO()
    first = next(iter(methods.values()))
    views = [
        view
        for view in (*VIEWS, "gain_over_nearest", "gain_over_smooth", "unweighted")
        if view in first
    ]
    columns = [f"{view}_{name}" for view in views for name in first[view]]
    writer = csv.writer(text)
    writer.writerow(["method", "title", "is_baseline", *columns, "closure_max"])
    for name, row in methods.items():
        values = [row[view][metric] for view in views for metric in row[view]]
        writer.writerow([name, row["title"], row["is_baseline"], *values, row["closure_max"]])
    return text.getvalue()
