"""What maps tell without stations: closure, seams, effective resolution, pattern within cells, rain, hats.

A map is looked at on some dates, evenly chosen, as many as fit in memory for all products together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from vadose.config import BASELINES, Recipe
from vadose.errors import UnknownName, ValueProblem
from vadose.grids import grid_of, nesting
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.parts import learned_parts
from vadose.pipeline.plain import number
from vadose.store import open_cube
from vadose.uncertainty.three_cornered_hat import three_cornered_hat
from vadose.validate.gap_seams import KINDS, gap_seams
from vadose.validate.resolution import effective_resolution
from vadose.validate.response import rain_response
from vadose.validate.spatial import (
    closure_by_date,
    edge_jumps_by_date,
    lines_between,
    score_within_cells,
)
from vadose.validate.spectrum import spectra

#: Dates that are looked at, evenly chosen.
DATES = 24
#: Cells of one product that are held at once, on all dates together; a single date always is.
CELLS = 60_000_000
#: Cells and steps of one product that the answer to rain is asked of, at most.
RAIN = 20_000_000
#: Sides of a box for spectra, the largest that fits is taken.
BOXES = (64, 32, 16)
TRUTH = "truth"


def score_maps(folder: RunFolder) -> tuple[dict[str, Any], pd.DataFrame]:
    """Score the maps of the published method and of the baselines.

    Returns
    -------
    tuple
        Medians over dates by product, and of ``closure_max`` the largest, for ``summary.json``; and a table with
        a row per product and date.
    """
    recipe = folder.recipe
    fields = _chosen_fields(folder, recipe)
    first = next(iter(fields.values()))
    coarse = open_cube(folder / "coarse.zarr")[recipe.target]
    is_series = "time" in coarse.dims
    # the dates that the fine fields leave room for
    coarse = coarse.sel(time=first["time"]) if is_series else coarse.expand_dims("time")
    coarse = coarse.load()
    steps = nesting(grid_of(coarse), grid_of(first))
    seams = {"coarse_cell": {dim: steps[dim] for dim in ("y", "x")}}
    tiles = folder / f"predictions/{recipe.publish}.tiles.json"
    if tiles.exists():
        sides = json.loads(tiles.read_text(encoding="utf-8"))
        seams["tile"] = {dim: int(sides[dim]) * steps[dim] for dim in ("y", "x")}
    rows = []
    for name, field in fields.items():
        parts: dict[str, xr.DataArray] = {}
        closed = closure_by_date(field, coarse)
        parts |= {"closure_max": closed["max"], "closure_rmse": closed["rmse"]}
        parts |= _seams(field, seams)
        parts |= gap_seams(field, coarse.notnull(), seams["coarse_cell"])
        if TRUTH in fields and name != TRUTH:
            within = score_within_cells(field, fields[TRUTH], grid_of(coarse))
            parts |= {f"within_cell_{key}": within[key] for key in ("median_r", "spread_ratio")}
        frame = xr.Dataset(
            {key: part.drop_vars("spatial_ref", errors="ignore") for key, part in parts.items()}
        )
        rows.append(frame.to_dataframe().reset_index().assign(product=name))
    table = pd.concat(rows, ignore_index=True)
    summary = {
        str(name): {
            str(key): number(_over_dates(str(key), part[key].dropna()))
            for key in part.columns.drop(["product", "time"], errors="ignore")
        }
        for name, part in table.groupby("product", sort=False)
    }
    for product, part in table.groupby("product", sort=False):
        summary[str(product)] |= _worst_days(part)
    for name, words in _resolutions(fields).items():
        summary[name].update(words)
    for name, answer in _answers_to_rain(folder, recipe).items():
        summary.setdefault(name, {}).update(answer)
    return summary, table


def _worst_days(part: pd.DataFrame) -> dict[str, Any]:
    """Tell the date on which gaps leave most of a seam: the median over dates may hide it."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        key = f"{kind}_jump_ratio"
        told = part[part[key].notna()] if key in part else part[:0]
        if len(told):
            worst = told.iloc[int(told[key].argmax())]
            found[f"{kind}_jump_largest"] = number(float(worst[key]))
            found[f"{kind}_jump_largest_on"] = str(pd.Timestamp(worst["time"]).date())
            found[f"{kind}_jump_dates"] = len(told)
    return found


def _over_dates(key: str, values: pd.Series) -> float:
    """Sum the dates of a product up: what is largest stays the largest, of all else the median is told."""
    if not len(values):
        return float("nan")
    return float(values.max() if key == "closure_max" else values.median())


def _seams(field: xr.DataArray, seams: Mapping[str, Mapping[str, int]]) -> dict[str, xr.DataArray]:
    """Compare steps across coarse cells with those inside; across tiles, with those across coarse cells."""
    found = {}
    for kind, cells in seams.items():
        lines = lines_between({str(dim): size for dim, size in field.sizes.items()}, cells)
        if any(lines.values()):
            found[f"{kind}_edge_jump_ratio"] = edge_jumps_by_date(field, lines)
    inside, across = "coarse_cell_edge_jump_ratio", "tile_edge_jump_ratio"
    if across in found:  # the edges of tiles are edges of coarse cells too
        ratio = found[across] / found[inside]
        found[across] = ratio.where(np.isfinite(ratio))
    return found


def _chosen_fields(folder: RunFolder, recipe: Recipe) -> dict[str, xr.DataArray]:
    names = dict.fromkeys((*BASELINES, recipe.publish))
    fields = {
        name: on_dates(open_cube(folder / f"predictions/{name}.zarr")[recipe.target]).load()
        for name in names
    }
    if recipe.build.withhold:
        fields[TRUTH] = on_dates(open_cube(folder / "truth.zarr")[recipe.target]).load()
    return fields


def on_dates(field: xr.DataArray, cells: int = CELLS) -> xr.DataArray:
    """Give some dates of a field, evenly chosen, as many as so many cells hold; with a time."""
    if "time" not in field.dims:
        return field.expand_dims("time")
    steps = field.sizes["time"]
    dates = max(1, min(steps, DATES, cells * steps // field.size))
    return field.isel(time=evenly(steps, dates))


def evenly(steps: int, most: int) -> npt.NDArray[np.int64]:
    """Choose steps, the first and the last among them, no more than so many.

    Examples
    --------
    >>> evenly(9, 3)
    array([0, 4, 8])
    """
    return np.unique(np.linspace(0, steps - 1, min(steps, most)).astype("i8"))


def _resolutions(fields: Mapping[str, xr.DataArray]) -> dict[str, dict[str, Any]]:
    """Give effective resolutions against the truth; without one there is nothing to hold a pattern against."""
    if TRUTH not in fields:
        return {}
    for box in BOXES:
        try:
            scales = spectra(fields, reference=TRUTH, box=box)
        except ValueProblem:  # too small a map, or no box without gaps
            continue
        found = {}
        for name in set(fields) - {TRUTH}:
            told = effective_resolution(scales, name)
            found[name] = {
                "effective_wavelength_km": number(told.wavelength),
                "effective_resolution": told.status,
            }
        return found
    return {}


def _answers_to_rain(folder: RunFolder, recipe: Recipe) -> dict[str, dict[str, Any]]:
    """Tell how many days after rain the soil of each product answers, where rain is among the predictors."""
    fine = open_cube(folder / "fine.zarr")
    if "precipitation" not in fine or fine.sizes.get("time", 0) < 60:
        return {}
    if fine["precipitation"].size > RAIN or recipe.build.days != 1:
        return {}
    fields = {
        name: open_cube(folder / f"predictions/{name}.zarr")[recipe.target].load()
        for name in dict.fromkeys((*BASELINES, recipe.publish))
    }
    try:
        told = rain_response(fields, fine["precipitation"].load())
    except ValueProblem:
        return {}
    return {
        name: {
            "rain_lag_days": number(told["lag_of_response"].sel(product=name).median()),
            "rain_strength": number(told["strength"].sel(product=name).median()),
        }
        for name in fields
    }


def compare_methods(folder: RunFolder, names: Sequence[str], out: Path) -> dict[str, Any]:
    """Estimate the error of three or more methods of a run against each other, pixel by pixel.

    Parameters
    ----------
    folder
        The run.
    names
        Methods.
    out
        Folder that the maps are written to, as ``three_cornered_hat.zarr``.

    Returns
    -------
    dict
        ``warning``, which is to be shown; by method the median ``error_sd`` and ``relative_uncertainty``;
        the shares of pixels that are constrained and that have too few steps.

    Raises
    ------
    UnknownName, ValueProblem
        No such method, or fewer than three.
    """
    recipe = folder.recipe
    for name in names:
        if name not in recipe.methods:
            raise UnknownName("method", name, recipe.methods)
    if len(set(names)) < 3:
        raise ValueProblem("--hat", found=f"{len(set(names))} methods", expected="three or more")
    fields = {
        name: open_cube(folder / f"predictions/{name}.zarr")[recipe.target].chunk(time=-1)
        for name in names
    }
    inputs = {
        name: [
            *(recipe.predictors if learned_parts(recipe, name) else ()),
            f"coarse {recipe.target}",
        ]
        for name in names
    }
    told = three_cornered_hat(fields, inputs=inputs)
    path = out / "three_cornered_hat.zarr"
    told.to_zarr(path, zarr_format=3, consolidated=False)
    found = xr.open_zarr(path, consolidated=False)
    is_known = found["n"] > 0
    return {
        "warning": str(told.attrs["warning"]),
        "methods": {
            name: {
                key: number(found[key].sel(product=name).load().median())
                for key in ("error_sd", "relative_uncertainty")
            }
            for name in names
        },
        "constrained_share": number(found["is_constrained"].where(is_known).mean()),
        "too_few_share": number(found["is_too_few"].where(is_known).mean()),
    }
