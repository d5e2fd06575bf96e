"""Diffusion beside forest, network and smooth interpolation: on the synthetic world and on the bundled sample.

On the world (about 1 km from 8 km) models learn from what a satellite with noise and gaps saw in the training
blocks of the map, and are judged against the truth in other blocks, on every few days. On the sample (1° to
0.25°) they learn at 1°, and every field and member closes, since the coarse values are exact means there;
judged are blocks of the map that were not learned from.

All learn from the same samples. CRPS of a single field is its MAE. A model that learns from noisy values takes
their noise for a part of what it does not know. So members are scored as they are drawn and, in the rows ``set
right``, with the dispersion (`vadose.downscale.members.find_dispersion`) of coarse cells in blocks that neither
teach nor judge, with the error that the satellite is known to have taken off; that knows nothing of what a
coarse cell averages out. ``few`` and ``all`` steps of the sampler are compared on the same places with the same
noise. Run from the root of the repository::

    python benchmarks/diffusion.py [--quick]
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from model_zoo import NOISE, PREDICTORS, SURFACE, Study, world
from rich.console import Console
from rich.table import Table

from vadose.config import DEMO_RECIPE, read_recipe
from vadose.cubes.assemble import withhold
from vadose.downscale.base import Downscaler
from vadose.downscale.baselines import Interpolation
from vadose.downscale.conserve import Closed
from vadose.downscale.direct import Direct
from vadose.downscale.generative import Generative
from vadose.downscale.members import ClosedMembers, find_dispersion
from vadose.errors import ValueProblem
from vadose.grids import cell_area, grid_of
from vadose.models import DNN, RandomForest
from vadose.models.diffusion import Diffusion, DiffusionMaps
from vadose.models.diffusion.departures import Departing
from vadose.products.sample import SAMPLE, SAMPLE_PATH
from vadose.samples import spatial_blocks
from vadose.validate.ensembles import pool, rank_histogram, score_by_date, spectrum_slope
from vadose.validate.protocol import compare

#: Steps of the noise schedule, which the sampler may take all of.
ALL_STEPS = 1000
MEMBERS = f"{SURFACE}_members"
#: Least and largest soil moisture, m³ m⁻³.
BOUNDS = (0.0, 0.6)


@dataclass(frozen=True)
class Case:
    """Hold what models learn from, where they are judged, and what with."""

    study: Study
    known: xr.Dataset
    held: xr.Dataset
    error: float
    truth: xr.DataArray
    predictors: Sequence[str]
    closes: bool
    box: int
    noise: Mapping[str, Any]
    network: Mapping[str, Any]
    diffusion: Mapping[str, Any]
    maps: Mapping[str, Any]


def on_the_world(size: int, days: int, epochs: int) -> Case:
    """Hold blocks of the map back; judge every sixth day, under every cell that the satellite saw or not."""
    study = world(size, days, 8)
    parts = spatial_blocks(study.coarse[[SURFACE]], rng=0, block=3, folds=4, buffer=1)
    known = study.coarse.assign({SURFACE: study.coarse[SURFACE].where(parts.train)})
    is_test = parts.on_fine(grid_of(study.fine)).test
    return _case(
        study,
        known,
        study.coarse.assign({SURFACE: study.coarse[SURFACE].where(parts.validation)}),
        is_test,
        PREDICTORS,
        error=NOISE,
        closes=False,
        days=slice(3, None, 6),
        noise={"noise": "shared"},
        network={"epochs": epochs},
        diffusion={"epochs": epochs},
        maps={"epochs": epochs, "width": 16, "levels": 1},
    )


def on_the_sample(epochs: int) -> Case:
    """Hold blocks of 10 x 10 degrees back."""
    predictors = read_recipe(DEMO_RECIPE).predictors
    cubes = withhold(SAMPLE.open([SAMPLE_PATH]), target=SURFACE, predictors=predictors, factor=4)
    study = Study(cubes["coarse"].load(), cubes["fine"].load(), cubes["truth"].load())
    parts = spatial_blocks(study.coarse[[SURFACE]], rng=0, block=10, folds=6, buffer=1)
    known = study.coarse.assign({SURFACE: study.coarse[SURFACE].where(parts.train)})
    return _case(
        study,
        known,
        study.coarse.assign({SURFACE: study.coarse[SURFACE].where(parts.validation)}),
        parts.on_fine(grid_of(study.fine)).test,
        predictors,
        error=0.0,  # the coarse values are means of the truth
        closes=True,
        days=slice(None),
        # what a whole coarse cell has in common is taken away by closure
        noise={"noise": "smooth", "length": 2},
        network={"epochs": epochs // 2},
        diffusion={"epochs": epochs // 2},
        # one map of the day is all that there is to learn from, so an epoch is a batch
        maps={"epochs": 6 * epochs, "width": 16, "levels": 1, "patience": 100, "tile": 40},
    )


def _case(
    study: Study,
    known: xr.Dataset,
    held: xr.Dataset,
    is_test: xr.DataArray,
    predictors: Sequence[str],
    *,
    days: slice,
    **settings: Any,
) -> Case:
    """Blank predictors where nothing is judged, so that no time is spent there."""

    def some(cube: xr.Dataset) -> xr.Dataset:
        return cube.isel(time=days) if "time" in cube.dims else cube

    fine, truth = some(study.fine), some(study.truth)[SURFACE]
    first = predictors[0]
    here = fine[first].where(is_test).transpose(*fine[first].dims)
    fine = fine.assign({first: here.assign_attrs(fine[first].attrs)})
    truth = truth.where(is_test).transpose(*truth.dims)
    chosen = Study(some(study.coarse), fine, some(study.truth))
    return Case(
        chosen, known, some(held), truth=truth, predictors=list(predictors), box=32, **settings
    )


def run(case: Case, members: int, steps: int, places: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fit and score everything."""
    begun = time.perf_counter()
    fine, coarse = case.study.fine, case.study.coarse
    position = {"with_position": case.closes}
    makers: dict[str, Downscaler] = {
        "smooth interpolation": Interpolation(),
        "random forest": Direct(RandomForest(seed=0), case.predictors, **position),
        "MLP": Direct(DNN(seed=0, **case.network), case.predictors, **position),
    }
    fields, drawn, seconds = {}, {}, {}
    for name, maker in makers.items():
        started = time.perf_counter()
        maker.fit(case.known)
        product = (Closed(maker) if case.closes else maker).predict(fine, coarse)
        fields[name], seconds[name] = product[SURFACE], time.perf_counter() - started
        print(f"  {name}, {seconds[name]:.0f} s", flush=True)
    fitted: dict[str, Generative] = {}
    found: dict[str, float] = {}
    is_shared: dict[str, bool] = {}
    models: dict[str, Departing] = {
        "diffusion": Diffusion(bounds=BOUNDS, seed=0, **case.diffusion),
        "diffusion on residuals": Diffusion(residual=True, bounds=BOUNDS, seed=0, **case.diffusion),
        "diffusion of maps": DiffusionMaps(residual=True, bounds=BOUNDS, seed=0, **case.maps),
    }
    for name, model in models.items():
        started = time.perf_counter()
        settings = dict(case.noise)
        if isinstance(model, DiffusionMaps):
            settings = {"steps": max(1, steps // 2)}  # it knows itself how its noise hangs together
        fitted[name] = one = Generative(
            model, case.predictors, members=members, **{"steps": steps, **settings}, **position
        ).fit(case.known)
        product = _closed(case, one).predict(fine, coarse)
        fields[name], drawn[name] = product[SURFACE], product[MEMBERS]
        is_shared[name] = one.noise.coherence == "shared"
        found[name] = dispersion(case, one)
        other = f"{name}, set right"
        fields[other], is_shared[other] = fields[name], is_shared[name]
        drawn[other] = set_right(drawn[name], found[name])
        seconds[name] = time.perf_counter() - started
        print(f"  {name}, {seconds[name]:.0f} s, dispersion {found[name]:.2f}", flush=True)
    table = scored(case, fields, drawn, is_shared)
    for name, row in table.items():
        row["seconds"] = round(seconds.get(name, 0.0), 1)
    # the plain model heads the figures; the others err less, and their members differ too much
    best = "diffusion"
    result = {
        "model": best,
        "rmse": table[best]["rmse"],
        "crps": table[best]["crps"],
        "coverage90": table[best]["coverage90"],
        "mae_best_deterministic": min(table[name]["mae"] for name in makers),
        "rmse_best_deterministic": min(table[name]["rmse"] for name in makers),
        "network_calls": steps,
        "network_calls_full": ALL_STEPS,
        **few_against_all(case, fitted[best], places),
    }
    for key, name in (
        ("plain", "diffusion"),
        ("on_residuals", "diffusion on residuals"),
        ("maps", "diffusion of maps"),
    ):
        result[key] = {part: table[name][part] for part in ("rmse", "crps", "coverage90")}
        result[key]["dispersion"] = round(found[name], 3)
        for part in ("crps", "coverage90"):
            result[key][f"{part}_set_right"] = table[f"{name}, set right"][part]
    result["seconds"] = round(time.perf_counter() - begun, 1)
    return table, result


def set_right(members: xr.DataArray, factor: float) -> xr.DataArray:
    """Draw members together, or apart, around their mean."""
    mean = members.mean("member", skipna=False)
    return (mean + factor * (members - mean)).clip(*BOUNDS).transpose(*members.dims)


def dispersion(case: Case, generative: Generative) -> float:
    """Find how far members should differ at coarse cells of blocks held out."""
    held = case.held.load()
    told = generative.predict(held[case.predictors], held)
    members = told[MEMBERS].values
    return find_dispersion(
        members.reshape(len(members), -1),
        held[SURFACE].transpose(*told[SURFACE].dims).values.ravel(),
        error=case.error,
        is_stratified=generative.noise.coherence != "independent",
    )


def _closed(case: Case, generative: Generative) -> Downscaler:
    return ClosedMembers(generative) if case.closes else generative


def scored(
    case: Case,
    fields: Mapping[str, xr.DataArray],
    drawn: Mapping[str, xr.DataArray],
    is_shared: Mapping[str, bool],
) -> dict[str, dict[str, float]]:
    """Score all fields, and members of those that have them, on the sample in common, by area."""
    common = case.truth.notnull()
    for field in fields.values():
        common = common & field.notnull()
    truth = case.truth.where(common)
    score = compare(dict(fields), truth, grid_of(case.study.coarse))
    table = {}
    for name, field in {**fields, "truth": truth}.items():
        row: dict[str, float] = {"slope": slope(field.where(common), case.box)}
        table[name] = row
        if name == "truth":
            continue
        pooled, inside = (score.sel(product=name, view=view) for view in ("pooled", "within_cell"))
        row |= {metric: round(float(pooled[metric]), 6) for metric in ("rmse", "mae", "r2")}
        row["umse"] = float(pooled["ubrmse"]) ** 2
        row["within_cell_r"] = round(float(inside["r"]), 4)
        row["crps"] = row["mae"]
        row["trend_r"] = trend(field.where(common), truth)
        if name in drawn:
            told = pool(score_by_date(drawn[name], truth, is_stratified=is_shared[name]))
            ranks = rank_histogram(drawn[name], truth, rng=np.random.default_rng(0))
            row["crps"] = round(float(told["crps"]), 6)
            row["coverage90"] = round(float(told["coverage"].sel(level=0.9)), 4)
            row["spread_skill"] = round(float(told["spread_skill"]), 3)
            row["rank_departure"] = round(float(ranks["departure"]), 3)
            row["slope_member"] = slope(drawn[name].isel(member=0).where(common), case.box)
    return table


def slope(field: xr.DataArray, box: int) -> float:
    """Give the slope of the spectrum in boxes without gaps, as large as there are any."""
    while box >= 8:
        try:
            return round(spectrum_slope(field, box=box), 3)
        except ValueProblem:
            box //= 2
    return float("nan")


def trend(field: xr.DataArray, truth: xr.DataArray) -> float:
    """Give the correlation of the mean over the map from day to day; NaN of a single day."""
    if "time" not in truth.dims or truth.sizes["time"] < 3:
        return float("nan")
    weight = cell_area(grid_of(truth)).where(truth.notnull(), 0.0)
    sums = [(one.fillna(0.0) * weight).sum(("y", "x")) for one in (field, truth)]
    return round(float(np.corrcoef(*(one.values for one in sums))[0, 1]), 4)


def few_against_all(case: Case, generative: Generative, places: int) -> dict[str, float]:
    """Score few and all steps of the sampler on the same places, with the same noise."""
    fine, truth = case.study.fine, case.truth
    first = case.predictors[0]
    is_known = truth.notnull() & fine[first].notnull()
    flat = np.flatnonzero(is_known.transpose(*truth.dims).values)
    chosen = np.random.default_rng(0).choice(flat, min(places, flat.size), replace=False)
    mask = np.zeros(truth.size, dtype=bool)
    mask[chosen] = True
    is_chosen = truth.copy(data=mask.reshape(truth.shape))
    part = fine.assign({first: fine[first].where(is_chosen).assign_attrs(fine[first].attrs)})
    result = {}
    for name, steps in (("few", generative.steps), ("full", ALL_STEPS)):
        other = copy.copy(generative)
        other.steps = steps
        members = other.predict(part, case.study.coarse)[MEMBERS]
        told = pool(
            score_by_date(
                members, truth.where(is_chosen), is_stratified=case.noise["noise"] == "shared"
            )
        )
        result |= {f"{metric}_{name}": round(float(told[metric]), 6) for metric in ("rmse", "crps")}
    return result


def show(title: str, table: Mapping[str, Mapping[str, float]]) -> None:
    """Print a table for people."""
    forms = {
        "rmse": ".5f",
        "mae": ".5f",
        "crps": ".5f",
        "umse": ".2e",
        "r2": ".3f",
        "coverage90": ".3f",
        "spread_skill": ".2f",
        "rank_departure": ".3f",
        "slope": ".2f",
        "slope_member": ".2f",
        "within_cell_r": ".3f",
        "trend_r": ".3f",
        "seconds": ".0f",
    }
    shown = Table(title=title)
    shown.add_column("method", no_wrap=True)
    for name in forms:
        shown.add_column(name.replace("_", " "), justify="right")
    for method, row in table.items():
        cells = [format(row[name], form) if name in row else "–" for name, form in forms.items()]
        shown.add_row(method, *cells)
    Console(width=160).print(shown)


def verdict(result: Mapping[str, Any]) -> str:
    """Say in words what a user should make of it."""
    share = result["crps"] / result["mae_best_deterministic"]
    rmse, rival = result["rmse"], result["rmse_best_deterministic"]
    names = ["diffusion", "a single field"]
    winner = names[rival < rmse]
    return (
        f"  CRPS of {result['model']} is {share:.2f} of the best single field's MAE; on RMSE {winner} "
        f"wins ({min(rmse, rival):.5f} against {max(rmse, rival):.5f}).\n  {result['network_calls']} calls of the network in place of "
        f"{result['network_calls_full']}, {result['network_calls_full'] / result['network_calls']:.0f} times "
        f"fewer: CRPS {result['crps_few']:.5f} against {result['crps_full']:.5f}, RMSE "
        f"{result['rmse_few']:.5f} against {result['rmse_full']:.5f} on the same places."
    )


def main() -> None:
    """Run both, print two tables and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="try the script; figures mean nothing")
    parser.add_argument(
        "--size", type=int, default=128, help="fine cells along a side of the world"
    )
    parser.add_argument("--days", type=int, default=120)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--steps", type=int, default=20, help="calls of the network for a member")
    parser.add_argument(
        "--data", nargs="+", default=["world", "sample"], choices=["world", "sample"]
    )
    given = parser.parse_args()
    epochs = 2 if given.quick else 40
    size, days, places = (96, 12, 20) if given.quick else (given.size, given.days, 100)
    results = {}
    for name in given.data:
        print(name, flush=True)
        case = on_the_world(size, days, epochs) if name == "world" else on_the_sample(epochs)
        table, results[name] = run(case, given.members, given.steps, places)
        show("Synthetic world" if name == "world" else "Bundled sample, 1° to 0.25°", table)
        print(verdict(results[name]), flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
