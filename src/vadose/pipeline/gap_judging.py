"""Judge fillers on hidden values: which one errs least in gaps such as the record's own, and by how much."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from vadose.config.fusion import Filling
from vadose.downscale.base import Progress
from vadose.errors import ValueProblem
from vadose.fuse import FILLERS
from vadose.fuse.base import TARGET, Filler
from vadose.fuse.gap_error import GapError
from vadose.samples.gaps import gap_ages
from vadose.store import open_netcdf, replaced
from vadose.synthetic.views import swaths
from vadose.validate.gap_table import VERDICTS, compare_gaps, hide_gaps, score_gaps
from vadose.validate.gaps import SMALL

#: Days over which gaps are laid.
LENGTHS = (1, 3, 10, 30)
#: Fewest days of a record.
LEAST_DAYS = 4
#: Always scored beside the chosen filler, since they cost little: what it has to beat.
CHEAP = ("cdf_matched", "persistence")


@dataclass(frozen=True, eq=False)
class Judged:
    """Hold the filler that errs least, and what is known of its errors.

    Attributes
    ----------
    method
        Name of the filler.
    error
        What its errors on hidden values have taught.
    table
        Scores on hidden values, by filler and stratum.
    told
        Plain numbers and text, for ``fusion.json``.
    """

    method: str
    error: GapError
    table: pd.DataFrame
    told: dict[str, Any]


def judge(
    seen: xr.DataArray,
    model: xr.Dataset,
    filling: Filling,
    *,
    seed: int,
    work: Path,
    progress: Progress,
    cover: str | None = None,
) -> Judged:
    """Hide observed values, let every candidate fill them, and take the best.

    Parameters
    ----------
    seen
        The satellite's values, dims ``time, y, x``; NaN in gaps.
    model
        The land model and its context, on the same grid and days.
    filling
        The method, or the candidates.
    seed
        Of gaps and fillers.
    work
        Folder in which fillings of hidden values are kept until all is done: a stopped run goes on there.
    progress
        Told which filler is at work.
    cover
        Variable of the model's cube with classes of land cover.

    Raises
    ------
    VadoseError
        A record too short, or without anything to hide.
    """
    hidden = hide(seen, share=filling.hidden, seed=seed)
    known = seen.where(~hidden)
    names = fillers_of(filling)
    filled: dict[str, xr.DataArray] = {}
    seconds: dict[str, float] = {}
    for count, name in enumerate(names):
        progress(count, len(names), f"hidden values by {name}")
        filled[name], seconds[name] = _held(name, known, model, filling, seed, work)
    progress(len(names), len(names), "judged")
    classes = None if cover is None else model[cover]
    table = score_gaps(filled, seen, hidden, cover=classes, rng=seed)
    expected = weighed(table, seen)
    method = filling.method
    if method == "auto":
        method = min(expected, key=expected.__getitem__)
    error = GapError(level=filling.level).fit(filled[method], seen, hidden, classes)
    told = {
        "method": method,
        "is_chosen": filling.method == "auto",
        "observed": filling.observed,
        "hidden": {
            "values": int(hidden.sum()),
            "share": float(hidden.sum() / seen.notnull().sum()),
            "lengths": [int(one) for one in hidden.attrs["lengths"]],
        },
        "scores": _rows(table, expected, seconds),
        "against_method": _against(filled, seen, hidden, method, seed),
        "interval": {"level": filling.level, "coverage": error.coverage_},
        "factors": error.factors_,
    }
    return Judged(method, error, table.to_dataframe().reset_index(), told)


def hide(seen: xr.DataArray, *, share: float, seed: int) -> xr.DataArray:
    """Hide values under gaps of other days, or of an orbit where no day has both gaps and values.

    Raises
    ------
    ValueProblem
        A record too short for gaps in time.
    """
    if seen.sizes["time"] < LEAST_DAYS:
        raise ValueProblem(
            "fusion",
            found=f"{seen.sizes['time']} days",
            expected=f"{LEAST_DAYS} or more, to hide some and learn from the others",
        )
    try:
        return hide_gaps(seen, rng=seed, share=share, lengths=LENGTHS)
    except ValueProblem:
        donors = ~swaths(seen.shape, np.random.default_rng(seed))
        return hide_gaps(seen, rng=seed, share=share, lengths=LENGTHS, donors=donors)


def weighed(table: xr.Dataset, seen: xr.DataArray) -> dict[str, float]:
    """Give the error of each filler that is to be expected in the record's own gaps.

    Hidden values have other ages than those that are missing. Errors by days to the nearest observation
    are weighed by how many gaps are as old.

    Parameters
    ----------
    table
        What `score_gaps` gives.
    seen
        The record with its own gaps.

    Returns
    -------
    dict
        RMSE by filler, m³ m⁻³; over all hidden values where no class of ages holds enough of them.
    """
    classes = table.isel(stratum=np.flatnonzero(table["kind"].values == "nearest"))
    classes = classes.isel(stratum=np.flatnonzero(classes["n"].values >= SMALL))
    first = [int(re.split(r"\D", str(one))[0] or 0) for one in classes["label"].values]
    is_aged = np.array(first, dtype=int) > 0
    classes = classes.isel(stratum=np.flatnonzero(is_aged))
    edges = np.array(first, dtype=int)[is_aged]
    is_land = seen.notnull().any("time")
    ages = gap_ages(seen.notnull())["nearest"].where(seen.isnull() & is_land).values
    ages = ages[np.isfinite(ages)]
    if not edges.size or not ages.size:
        whole = table.isel(stratum=0)
        return {
            str(name): float(whole["rmse"].sel(product=name)) for name in table["product"].values
        }
    place = np.clip(np.searchsorted(edges, ages, side="right") - 1, 0, None)
    share = np.bincount(place, minlength=edges.size) / ages.size
    squares = (classes["rmse"] ** 2 * share).sum("stratum")
    return {str(name): float(squares.sel(product=name)) ** 0.5 for name in table["product"].values}


def make_filler(name: str, filling: Filling, seed: int) -> Filler:
    """Make a filler with the recipe's parameters, and its seed where it draws."""
    settings = dict(filling.parameters) if name == filling.method else {}
    if "seed" in inspect.signature(FILLERS[name]).parameters:
        settings.setdefault("seed", seed)
    return FILLERS[name](**settings)


def fillers_of(filling: Filling) -> list[str]:
    """Name the fillers to judge: the candidates, or the chosen one beside what costs little."""
    if filling.method == "auto":
        return list(filling.candidates)
    return [filling.method, *(name for name in CHEAP if name != filling.method)]


def _held(
    name: str, known: xr.DataArray, model: xr.Dataset, filling: Filling, seed: int, work: Path
) -> tuple[xr.DataArray, float]:
    """Fill a record without the hidden values, or read what a stopped run has filled."""
    path = work / f"held_{name}.nc"
    if path.is_file():
        kept = open_netcdf(path).load()
        return kept[TARGET], float(kept.attrs["seconds"])
    started = time.perf_counter()
    values = make_filler(name, filling, seed).fit(known, model).fill(known, model)
    seconds = time.perf_counter() - started
    kept = values.to_dataset(name=TARGET).assign_attrs(seconds=seconds)
    work.mkdir(parents=True, exist_ok=True)
    with replaced(path, overwrite=True) as partial:
        kept.to_netcdf(partial, engine="h5netcdf")
    return kept[TARGET], seconds


def _rows(
    table: xr.Dataset, expected: Mapping[str, float], seconds: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Give the scores over all hidden values, the filler with the least error in the record's gaps first."""
    whole = table.isel(stratum=0)
    rows: list[dict[str, Any]] = []
    for name in sorted(expected, key=expected.__getitem__):
        one = whole.sel(product=name)
        scores = {
            str(key): float(value)
            for key, value in one.data_vars.items()
            if str(key).split("_")[0] in ("rmse", "ubrmse", "bias", "mae", "r", "n", "lost")
        }
        rows.append(
            {
                "filler": name,
                "expected_rmse": expected[name],
                **scores,
                "seconds": round(seconds[name], 1),
            }
        )
    return rows


def _against(
    filled: Mapping[str, xr.DataArray],
    seen: xr.DataArray,
    hidden: xr.DataArray,
    method: str,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Hold every filler against the method, over all hidden values."""
    found = compare_gaps(filled, seen, hidden, best=method, rng=seed).isel(stratum=0)
    wanted = ("difference", "ratio", "ratio_lower", "ratio_upper")
    return {
        name: {
            **{key: float(found[key].sel(product=name)) for key in wanted},
            "verdict": VERDICTS[int(found["verdict"].sel(product=name))],
        }
        for name in filled
        if name != method
    }
