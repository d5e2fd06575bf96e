"""All models side by side: on the synthetic world, with blocked and random splits, and on the bundled sample.

The world has a truth at about 1 km, from the surface and from the root zone, and a satellite that sees
16 km with noise and gaps. Models learn from coarse cells of the training part alone, with both layers as
outputs, and predict the fine field; scores (RMSE in m³ m⁻³) are those of the fine cells under coarse
cells and days of the test part. On the sample (1° to 0.25°) they learn departures one scale up, and every cell is scored.
``closed`` corrects a field so that its means are the coarse values. Run from the root of the repository::

    python benchmarks/model_zoo.py [--models NAME ...] [--quick]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from rich.console import Console
from rich.table import Table

import vadose.synthetic
from vadose.config import DEMO_RECIPE, read_recipe
from vadose.cubes.antecedent import antecedent
from vadose.cubes.assemble import withhold
from vadose.cubes.regrid import aggregate, nearest, smooth
from vadose.downscale.baselines import Interpolation
from vadose.downscale.conserve import Closed
from vadose.downscale.downscaler import Direct, Residual
from vadose.downscale.root_zone import ROOT_ZONE, SoilWaterIndex
from vadose.grids import grid_of
from vadose.models import MODELS, new_model
from vadose.products.sample import SAMPLE, SAMPLE_PATH
from vadose.samples import Split, random, spatial_blocks
from vadose.validate.protocol import compare

SURFACE = "soil_moisture"
PREDICTORS = (
    "land_surface_temperature",
    "air_temperature",
    "ndvi",
    "ndwi",
    "albedo",
    "evaporation",
    "precipitation",
    "precipitation_mean_3_days",
    "precipitation_index_20_days",
    "elevation",
    "slope",
    "topographic_wetness_index",
    "sand",
    "clay",
)
#: Days that the antecedent predictors look back.
BACK = 20
#: Standard deviation of the satellite's error, m³ m⁻³.
NOISE = 0.02
Scores = dict[str, Any]
#: Departures from the defaults, so that all of it takes half an hour on two cores.
ON_THE_WORLD: dict[str, dict[str, Any]] = {
    "bpnn": {"epochs": 40},
    "cnn_gru": {"epochs": 15},
}
#: On the sample a series has one step, of which as many as of rows make a batch.
ONE_STEP = {"epochs": 20, "batch": 512}
ON_THE_SAMPLE: dict[str, dict[str, Any]] = {
    # normal equations of some 4,000 weights would take an hour
    "bpnn": {"trainer": "adam", "epochs": 60},
    "dnn": ONE_STEP,
    "cnn": ONE_STEP,
    "lstm": ONE_STEP,
    "cnn_gru": {"epochs": 8, "batch": 256, "channels": 32, "length": 1},
    "ensemble": {"members": {"dnn": ONE_STEP, "cnn": ONE_STEP, "lstm": ONE_STEP}, "folds": 3},
}


@dataclass(frozen=True)
class Study:
    """Hold what models learn from and are judged by."""

    coarse: xr.Dataset
    fine: xr.Dataset
    truth: xr.Dataset


def world(size: int, days: int, factor: int) -> Study:
    """Make the world, and aggregate its predictors to the coarse grid."""
    made = vadose.synthetic.world(size=size, days=days + BACK, factor=factor, seed=4, noise=NOISE)
    fine = antecedent(made.predictors, "precipitation", days=3)
    fine = antecedent(fine, "precipitation", days=20, kind="index", decay=0.9)
    fine = fine[list(PREDICTORS)].isel(time=slice(BACK, None)).load()
    coarse = aggregate(fine, grid_of(made.coarse))
    seen = made.coarse[SURFACE].isel(time=slice(BACK, None))
    below = made.coarse_truth[ROOT_ZONE].isel(time=slice(BACK, None))
    layers = {SURFACE: seen, ROOT_ZONE: below.where(seen.notnull())}
    return Study(coarse.assign(layers), fine, made.truth.isel(time=slice(BACK, None)))


def splits(study: Study) -> dict[str, Split]:
    """Divide the coarse cells and days."""
    layer = study.coarse[[SURFACE]]
    return {
        "blocked": spatial_blocks(layer, rng=0, block=3, folds=4, buffer=1),
        "random": random(layer, rng=0),
    }


def on_the_world(study: Study, names: Sequence[str], quick: bool) -> dict[str, Scores]:
    """Fit and score every model with both splits, and the baselines."""
    table: dict[str, Scores] = {}
    for scheme, parts in splits(study).items():
        known = study.coarse.assign(
            {name: study.coarse[name].where(parts.train) for name in (SURFACE, ROOT_ZONE)}
        )
        fields, seconds = baselines(study, known)
        for name in names:
            started = time.perf_counter()
            settings = QUICK.get(name, {}) if quick else ON_THE_WORLD.get(name, {})
            model = new_model(name, seed=0, **settings)
            direct = Direct(model, PREDICTORS, also=[ROOT_ZONE], with_position=False)
            product = direct.fit(known).predict(study.fine, study.coarse)
            fields[name] = {layer: product[layer] for layer in (SURFACE, ROOT_ZONE)}
            seconds[name] = time.perf_counter() - started
            closed = Closed(Fixed(product)).predict(study.fine, study.coarse)
            fields[f"{name}_closed"] = {SURFACE: closed[SURFACE]}
            seconds[f"{name}_closed"] = time.perf_counter() - started
            print(f"  {scheme}: {name}, {seconds[name]:.0f} s", flush=True)
        is_test = parts.on_fine(grid_of(study.fine)).test
        surface = scored(fields, study, SURFACE, is_test)
        below = scored(fields, study, ROOT_ZONE, is_test)
        for name, row in surface.items():
            entry = {**row, "seconds": round(seconds.get(name, 0.0), 1)}
            if name in below:
                entry["root_zone"] = below[name]
            table.setdefault(name, {})[scheme] = entry
        for name in below.keys() - surface.keys():
            table.setdefault(name, {})[scheme] = {"root_zone": below[name]}
    return table


def baselines(
    study: Study, known: xr.Dataset
) -> tuple[dict[str, dict[str, xr.DataArray]], dict[str, float]]:
    """Give what needs no model; for the root zone the filtered surface."""
    fields, seconds = {}, {}
    makers = {
        "nearest": Interpolation(nearest),
        "smooth": Interpolation(smooth),
        "smooth_closed": Closed(Interpolation(smooth)),
    }
    for name, maker in makers.items():
        started = time.perf_counter()
        fields[name] = {SURFACE: maker.predict(study.fine, study.coarse)[SURFACE]}
        seconds[name] = time.perf_counter() - started
    for name, rule in (("nearest", nearest), ("smooth", smooth)):
        fields[name][ROOT_ZONE] = rule(study.coarse[ROOT_ZONE], grid_of(study.fine))
    index = SoilWaterIndex(Interpolation(smooth)).fit(known)
    fields["soil_water_index"] = {ROOT_ZONE: index.predict(study.fine, study.coarse)[ROOT_ZONE]}
    return fields, seconds


class Fixed:
    """A downscaler whose prediction is made already, to be closed."""

    def __init__(self, product: xr.Dataset) -> None:
        self.product, self.target = product, SURFACE

    def fit(self, coarse: xr.Dataset) -> Fixed:
        """Learn nothing."""
        return self

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Give what is there."""
        return self.product


def scored(
    fields: Mapping[str, Mapping[str, xr.DataArray]],
    study: Study,
    layer: str,
    is_test: xr.DataArray | None,
) -> dict[str, Scores]:
    """Score all fields of a layer on their common sample, every fine cell and day once."""
    truth = study.truth[layer]
    if is_test is not None:
        truth = truth.where(is_test).transpose(*truth.dims)
    chosen = {name: one[layer] for name, one in fields.items() if layer in one}
    once = xr.ones_like(truth.isel(time=0, drop=True) if "time" in truth.dims else truth)
    score = compare(chosen, truth, grid_of(study.coarse), weight=once)
    table = {}
    for name in chosen:
        pooled, inside = (score.sel(product=name, view=view) for view in ("pooled", "within_cell"))
        own = {metric: round(float(pooled[metric]), 6) for metric in ("r", "rmse", "ubrmse")}
        within = float(inside["r"])
        table[name] = {**own, "within_cell_r": round(within, 6) if np.isfinite(within) else None}
    return table


def on_the_sample(names: Sequence[str], quick: bool) -> dict[str, Scores]:
    """Fit and score every model as the demo does: departures, in steps of two, then closed."""
    recipe = read_recipe(DEMO_RECIPE)
    cube = SAMPLE.open([SAMPLE_PATH])
    cubes = withhold(cube, target=SURFACE, predictors=recipe.predictors, factor=4)
    study = Study(cubes["coarse"], cubes["fine"], cubes["truth"])
    fields, seconds = {}, {}
    for name, maker in {
        "nearest": Interpolation(nearest),
        "smooth": Interpolation(smooth),
        "smooth_closed": Closed(Interpolation(smooth)),
    }.items():
        started = time.perf_counter()
        fields[name] = {SURFACE: maker.predict(study.fine, study.coarse)[SURFACE]}
        seconds[name] = time.perf_counter() - started
    for name in names:
        started = time.perf_counter()
        settings = QUICK.get(name, {}) if quick else ON_THE_SAMPLE.get(name, {})
        model = new_model(name, seed=0, **settings)
        residual = Residual(model, recipe.predictors, factor=4, ratio=2, in_steps=True)
        product = residual.fit(study.coarse).predict(study.fine, study.coarse)
        fields[name] = {SURFACE: product[SURFACE]}
        seconds[name] = time.perf_counter() - started
        closed = Closed(Fixed(product)).predict(study.fine, study.coarse)
        fields[f"{name}_closed"] = {SURFACE: closed[SURFACE]}
        seconds[f"{name}_closed"] = time.perf_counter() - started
        print(f"  sample: {name}, {seconds[name]:.0f} s", flush=True)
    table = scored(fields, study, SURFACE, None)
    return {name: {**row, "seconds": round(seconds[name], 1)} for name, row in table.items()}


#: Settings to try the script with; its figures mean nothing.
QUICK: dict[str, dict[str, Any]] = {
    "random_forest": {"trees": 10},
    "boosting": {"trees": 10},
    "bpnn": {"epochs": 3},
    "cnn_gru": {"epochs": 2, "length": 3, "hidden": 8},
    "ensemble": {"members": {"dnn": {"epochs": 2}, "lstm": {"epochs": 2}}, "folds": 2},
    "resnet": {"epochs": 2},
    "dnn": {"epochs": 2},
    "cnn": {"epochs": 2},
    "lstm": {"epochs": 2},
}


def show(title: str, rows: Mapping[str, Scores]) -> None:
    """Print a table for people."""
    table = Table(title=title)
    table.add_column("method", no_wrap=True)
    for column in ("R", "RMSE", "ubRMSE", "in-cell r", "seconds", "root zone RMSE", "in-cell r"):
        table.add_column(column, justify="right", no_wrap=True)

    def text(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    for name, row in rows.items():
        below = row.get("root_zone", {})
        table.add_row(
            name,
            text(row.get("r"), ".4f"),
            text(row.get("rmse"), ".5f"),
            text(row.get("ubrmse"), ".5f"),
            text(row.get("within_cell_r"), ".3f"),
            text(row.get("seconds"), ".0f"),
            text(below.get("rmse"), ".5f"),
            text(below.get("within_cell_r"), ".3f"),
        )
    Console(width=110).print(table)


def main() -> None:
    """Run all, print three tables and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--quick", action="store_true", help="try the script; figures mean nothing")
    parser.add_argument(
        "--size", type=int, default=192, help="fine cells along a side of the world"
    )
    parser.add_argument("--days", type=int, default=90)
    given = parser.parse_args()
    size, days = (96, 30) if given.quick else (given.size, given.days)
    study = world(size, days, 16 if not given.quick else 8)
    table = on_the_world(study, given.models, given.quick)
    for name, row in on_the_sample(given.models, given.quick).items():
        table.setdefault(name, {})["sample"] = row
    titles = {scheme: parts.title for scheme, parts in splits(study).items()}
    for scheme in ("blocked", "random"):
        rows = {name: row[scheme] for name, row in table.items() if scheme in row}
        show(f"Synthetic world, {titles[scheme]}", rows)
    show(
        "Bundled sample, 1° to 0.25°",
        {n: row["sample"] for n, row in table.items() if "sample" in row},
    )
    print(json.dumps(table))


if __name__ == "__main__":
    main()
