"""Fuse a record: judge fillers on hidden values, take the best, fill, and say how good the filled part is."""

from __future__ import annotations

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
from vadose.fuse.seamless import seamless
from vadose.pipeline.plain import plain
from vadose.samples.gaps import gap_ages
from vadose.schema import ORIGIN
from vadose.store import open_netcdf, replaced
from vadose.synthetic.views import swaths
from vadose.validate.gap_table import VERDICTS, compare_gaps, hide_gaps, score_gaps
from vadose.validate.gaps import SMALL
from vadose.validate.seams import edge_jump

#: Days over which gaps are laid.
LENGTHS = (1, 3, 10, 30)
#: Fewest days of a record.
LEAST_DAYS = 4
#: Always scored beside the candidates, since they cost little: what a filler has to beat.
CHEAP = ("cdf_matched", "persistence")


@dataclass(frozen=True, eq=False)
class Fused:
    """Hold a seamless record and what was found on the way.

    Attributes
    ----------
    cube
        The record, see `vadose.fuse.seamless.seamless`.
    method
        The filler that made it.
    table
        Scores on hidden values, by filler and stratum.
    told
        What goes into ``fusion.json``: plain numbers and text.
    """

    cube: xr.Dataset
    method: str
    table: pd.DataFrame
    told: dict[str, Any]


def fuse_record(
    satellite: xr.Dataset,
    model: xr.Dataset,
    filling: Filling,
    *,
    seed: int,
    work: Path,
    progress: Progress,
    cover: str | None = None,
) -> Fused:
    """Fuse a record.

    Parameters
    ----------
    satellite, model
        On one grid and of the same days, see `vadose.pipeline.fusion_sources.open_record`.
    filling
        The method, or the candidates.
    seed
        Of gaps and fillers.
    work
        Folder in which fillings of hidden values are kept until all is done: a stopped run goes on there.
    progress
        Told what is finished.
    cover
        Variable of the model's cube with classes of land cover.

    Raises
    ------
    VadoseError
        A record too short or without anything to hide.
    """
    seen = satellite[TARGET]
    hidden = hide(seen, share=filling.hidden, seed=seed)
    known = seen.where(~hidden)
    names = _names(filling)
    filled: dict[str, xr.DataArray] = {}
    seconds: dict[str, float] = {}
    total = len(names) + 1
    for count, name in enumerate(names):
        progress(count, total, f"hidden values by {name}")
        filled[name], seconds[name] = _held(name, known, model, filling, seed, work)
    # codes of the classes differ from map to map: only their order in the table rests on them
    classes = None if cover is None else model[cover]
    table = score_gaps(filled, seen, hidden, cover=classes, rng=seed)
    expected = weighed(table, seen)
    method = filling.method
    if method == "auto":
        method = min(expected, key=expected.__getitem__)
    progress(len(names), total, f"all gaps by {method}")
    error = GapError(level=filling.level).fit(filled[method], seen, hidden, classes)
    started = time.perf_counter()
    estimate = make_filler(method, filling, seed).fit(seen, model).fill(seen, model)
    cube = seamless(
        satellite,
        estimate,
        observed=filling.observed,
        error=error,
        cover=classes,
        mask=filling.mask,
    )
    progress(total, total, "done")
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
        "jump": _jump(cube[TARGET], seen.notnull()),
        "origin": _counts(cube["origin"]),
        "seconds": round(time.perf_counter() - started, 1),
    }
    return Fused(cube, method, table.to_dataframe().reset_index(), plain(told))


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
    import inspect

    settings = dict(filling.parameters) if name == filling.method else {}
    if "seed" in inspect.signature(FILLERS[name]).parameters:
        settings.setdefault("seed", seed)
    return FILLERS[name](**settings)


def _names(filling: Filling) -> list[str]:
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


def _jump(cube: xr.DataArray, is_observed: xr.DataArray) -> dict[str, float]:
    """Give how far values differ across edges of swaths, against what they do inside."""
    try:
        found = edge_jump(cube, is_observed)
    except ValueProblem:  # a map without edges, or too short a record
        return {}
    return {str(name): float(value) for name, value in found.data_vars.items() if not value.ndim}


def _counts(origin: xr.DataArray) -> dict[str, int]:
    numbers = np.bincount(origin.values.ravel(), minlength=len(ORIGIN.meanings))
    return {meaning: int(numbers[ORIGIN.code(meaning)]) for meaning in ORIGIN.meanings}
