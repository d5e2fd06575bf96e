"""The artificial-gap protocol: which method fills gaps best, by how much, and how sure that is.

Observed values are hidden under the shapes of other days' gaps, for one day to a month (`hide_gaps`). Every method
fills the record without them. `score_gaps` holds all methods against what was hidden, on the values that all of them
have; `compare_gaps` holds them against the best. Both by length of the gap, days since the last and to the nearest
observation, season and class of a map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import CubeProblem, UnknownName, ValueProblem
from vadose.samples.gaps import DAY, Mask, gap_ages, lay_gaps
from vadose.validate.daily import check_pair
from vadose.validate.gap_blocks import (
    SCALES,
    Floats,
    Numbers,
    Values,
    blocks_of_cells,
    bound_scores,
    days_in_block,
    score_values,
)
from vadose.validate.gaps import FEW_DATES, SMALL

#: Days in a row for which gaps are hidden.
LENGTHS = (1, 3, 10, 30)
#: First day of each class of length and age; the last one is open.
CLASSES = (1, 2, 4, 8, 16)
#: Three months by the number of the first one, over three.
SEASONS = ("DJF", "MAM", "JJA", "SON")
#: What a comparison finds; the last where there is no interval.
VERDICTS = ("best", "as good", "worse", "better", "unknown")


def hide_gaps(
    truth: xr.DataArray,
    *,
    rng: np.random.Generator | int,
    lengths: Sequence[int] = LENGTHS,
    share: float = 0.1,
    donors: Mask | None = None,
) -> xr.DataArray:
    """Hide observed values under gaps of other days, for several lengths of time in one record.

    Parameters
    ----------
    truth
        Dims ``time, y, x``; NaN where not observed.
    rng
        Generator or seed.
    lengths
        Steps in a row for which a gap is laid; those of more than half of the record are left out. Each
        hides as many values, the longest first, none of them twice.
    share
        Of observed values that all of them hide together. Gaps are laid whole, so that a long one may
        hide more than its part and be the only one of its length: on a short record, repeat with other
        seeds.
    donors
        Gaps to choose from, as of `vadose.samples.gaps.lay_gaps`.

    Returns
    -------
    xarray.DataArray
        True where a value is hidden, dims as given; in the attributes the ``share`` that was reached and
        the ``lengths`` laid.

    Raises
    ------
    CubeProblem, ValueProblem
        As `vadose.samples.gaps.lay_gaps`; or no length that fits the record.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> coarse = world(size=16, days=40, factor=4, seed=0).coarse["soil_moisture"]
    >>> hidden = hide_gaps(coarse, rng=0)
    >>> hidden.attrs["lengths"], bool((hidden & coarse.isnull()).any())
    ([1, 3, 10], False)
    """
    fitting = sorted({one for one in lengths if 1 <= one <= truth.shape[0] // 2}, reverse=True)
    if not fitting:
        raise ValueProblem(
            "lengths of gaps",
            found=f"{list(lengths)} for {truth.shape[0]} steps",
            expected=f"one of 1 to {truth.shape[0] // 2}, half of the record",
        )
    masks = truth.isnull().values if donors is None else donors
    draw = np.random.default_rng(rng)
    count = int(truth.notnull().sum())
    left, hidden = truth, xr.zeros_like(truth, dtype=bool)
    for length in fitting:
        # of what is still there a larger part is the same number of values
        part = share * count / len(fitting) / max(int(left.notnull().sum()), 1)
        laid = lay_gaps(left, rng=draw, share=part, days=length, donors=masks)
        hidden, left = hidden | laid, left.where(~laid)
    reached = float(hidden.sum() / count)
    told = {"share": reached, "lengths": fitting[::-1]}
    return hidden.drop_attrs(deep=False).rename("is_hidden").assign_attrs(told)


def score_gaps(
    filled: Mapping[str, xr.DataArray],
    truth: xr.DataArray,
    hidden: xr.DataArray,
    *,
    cover: xr.DataArray | None = None,
    level: float = 0.95,
    rng: np.random.Generator | int,
) -> xr.Dataset:
    """Score every method on the values that were hidden, with intervals.

    Parameters
    ----------
    filled
        Fields by method, dims ``time, y, x``, m³ m⁻³, made without the hidden values.
    truth
        The record with its hidden values.
    hidden
        What `hide_gaps` gives.
    cover
        Classes of a map, dims ``y, x``: text, or numbers which CF's ``flag_values`` and
        ``flag_meanings`` may name; NaN and "" are none.
    level
        Of the intervals.
    rng
        Generator or seed: all methods see the same draws.

    Returns
    -------
    xarray.Dataset
        ``rmse``, ``ubrmse``, ``bias``, ``mae`` (m³ m⁻³) and ``r`` with ``<score>_lower`` and
        ``<score>_upper``, dims ``product, stratum``; ``n``, ``n_dates`` and ``is_small`` (fewer than 50
        values or 10 days) ``(stratum)``. A stratum has a ``kind`` (all, length, age, nearest, season,
        cover) and a ``label``; length, age and nearest are in days, and what has no observation on one
        side, so that its length or age is not known, is ``open``. ``lost (product)`` counts hidden values
        that a method does not have, and ``n_hidden`` all: scores are on those that every method has.
        Intervals are NaN with fewer than 4 blocks of days or of cells.

    Raises
    ------
    CubeProblem
        Fields that differ in dims or labels.
    ValueProblem
        No method, a level outside 0 to 1, or no value that all methods have.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> from vadose.validate.gaps import baselines
    >>> coarse = world(size=32, days=60, factor=4, seed=0).coarse["soil_moisture"]
    >>> hidden = hide_gaps(coarse, rng=0)
    >>> table = score_gaps(baselines(coarse.where(~hidden)), coarse, hidden, rng=0)
    >>> whole = table.sel(product="linear").isel(stratum=0)
    >>> bool(whole["rmse_lower"] < whole["rmse"] < whole["rmse_upper"])
    True
    """
    sample = _sample(filled, truth, hidden, cover, level)
    result = _frame(sample)
    scores: dict[str, list[Floats]] = {name: [] for name in ("n", *SCALES)}
    ends: dict[str, list[Floats]] = {
        f"{name}_{end}": [] for name in SCALES for end in ("lower", "upper")
    }
    for (_, _, chosen), draw in zip(sample.strata, _streams(rng, sample), strict=True):
        own = sample.values.where(chosen)
        for name, found in score_values(own).items():
            scores[name].append(found)
        bounds, _ = bound_scores(own, level=level, rng=draw)
        for name, (low, high) in bounds.items():
            ends[f"{name}_lower"].append(low)
            ends[f"{name}_upper"].append(high)
    for name, rows in {**scores, **ends}.items():
        if name != "n":
            unit = "1" if name.split("_")[0] == "r" else truth.attrs.get("units", "m3 m-3")
            result[name] = ("product", "stratum"), np.stack(rows, axis=1), {"units": unit}
    return result.assign_attrs(level=level)


def compare_gaps(
    filled: Mapping[str, xr.DataArray],
    truth: xr.DataArray,
    hidden: xr.DataArray,
    *,
    best: str | None = None,
    cover: xr.DataArray | None = None,
    level: float = 0.95,
    rng: np.random.Generator | int,
) -> xr.Dataset:
    """Hold every method against the best one, on the same hidden values and the same draws.

    Parameters
    ----------
    filled, truth, hidden, cover, level, rng
        As of `score_gaps`.
    best
        The method that others are held against; that of least RMSE over all values unless given. It was
        then chosen on these values, and its lead is a little flattered: choose on one set of hidden values
        and compare on another where that matters.

    Returns
    -------
    xarray.Dataset
        ``difference``, RMSE less that of the best (m³ m⁻³), and ``ratio`` of both, each with ``_lower`` and
        ``_upper``, dims ``product, stratum``; ``verdict`` as flags: best, as good (the interval of
        the ratio holds 1), worse, better (in this stratum), or unknown where there is no interval. Else as `score_gaps`;
        ``attrs["best"]`` names the best.

    Raises
    ------
    UnknownName
        A best that is no method.
    CubeProblem, ValueProblem
        As `score_gaps`.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> from vadose.validate.gaps import baselines
    >>> coarse = world(size=32, days=60, factor=4, seed=0).coarse["soil_moisture"]
    >>> hidden = hide_gaps(coarse, rng=0)
    >>> line = baselines(coarse.where(~hidden))["linear"]
    >>> found = compare_gaps({"line": line, "too wet": line + 0.05}, coarse, hidden, rng=0)
    >>> found.attrs["best"], VERDICTS[int(found["verdict"].sel(product="too wet")[0])]
    ('line', 'worse')
    """
    sample = _sample(filled, truth, hidden, cover, level)
    names = list(filled)
    if best is None:
        best = names[int(score_values(sample.values)["rmse"].argmin())]
    elif best not in names:
        raise UnknownName("best method", best, names)
    place = names.index(best)
    table = np.empty((6, len(names), len(sample.strata)))
    for column, draw in enumerate(_streams(rng, sample)):
        own = sample.values.where(sample.strata[column][2])
        rmse = score_values(own)["rmse"]
        _, against = bound_scores(own, level=level, rng=draw)
        ends = against(place)
        with np.errstate(divide="ignore", invalid="ignore"):
            estimates = (rmse - rmse[place], rmse / rmse[place])
        table[:, :, column] = (
            *(estimates[0], *ends["difference"]),
            *(estimates[1], *ends["ratio"]),
        )
    low, high = table[4:]
    verdict = np.select([high < 1, low > 1, (low <= 1) & (high >= 1)], [3, 2, 1], 4)
    verdict[place] = 0
    result = _frame(sample)
    dims = ("product", "stratum")
    units = {"difference": truth.attrs.get("units", "m3 m-3"), "ratio": "1"}
    parts = [f"{name}{end}" for name in units for end in ("", "_lower", "_upper")]
    for row, name in enumerate(parts):
        result[name] = dims, table[row], {"units": units[name.split("_")[0]]}
    flags = {
        "flag_values": list(range(len(VERDICTS))),
        "flag_meanings": " ".join(one.replace(" ", "_") for one in VERDICTS),
    }
    result["verdict"] = dims, verdict.astype("i1"), flags
    return result.assign_attrs(level=level, best=best)


@dataclass(frozen=True, eq=False)
class _Sample:
    """Hold the hidden values that all methods have, and which belong to a stratum (kind, label)."""

    names: list[str]
    values: Values
    dates: Numbers
    strata: list[tuple[str, str, npt.NDArray[np.bool_]]]
    lost: list[int]
    n_hidden: int
    days_in_block: int


def _sample(
    filled: Mapping[str, xr.DataArray],
    truth: xr.DataArray,
    hidden: xr.DataArray,
    cover: xr.DataArray | None,
    level: float,
) -> _Sample:
    """Take the values that are scored, and sort them into strata and blocks."""
    if not 0 < level < 1:
        raise ValueProblem("level", found=f"{level:g}", expected="between 0 and 1")
    if not filled:
        raise ValueProblem("methods", found="none", expected="one filled field at the least")
    if set(truth.dims) != {"time", "y", "x"}:
        raise CubeProblem("truth", found=f"dimensions {truth.dims}", expected="time, y, x")
    truth = truth.transpose("time", "y", "x")
    hidden, truth = check_pair(hidden, truth)
    fields = [check_pair(one.rename(name), truth)[0] for name, one in filled.items()]
    asked = hidden.values & truth.notnull().values
    products = np.stack([one.values[asked] for one in fields]).astype("f8")
    is_had = np.isfinite(products)
    is_common = is_had.all(axis=0)
    lost = (~is_had).sum(axis=1).tolist()
    if not is_common.any():
        reasons = ", ".join(f"{name}: {n}" for name, n in zip(filled, lost, strict=True) if n)
        raise ValueProblem(
            "hidden values",
            found=f"none of {asked.sum()} that all methods have (lost by {reasons or 'none'})",
            expected="values that every method fills",
        )
    observed = truth.values[asked].astype("f8")[is_common]
    step, row, column = (one[is_common] for one in np.nonzero(asked))
    stamps = truth["time"].values.astype("M8[ns]")
    day = ((stamps - stamps[0]) // DAY).astype("i8")[step]
    days = int((stamps[-1] - stamps[0]) // DAY) + 1
    cells = blocks_of_cells(truth.sizes["y"], truth.sizes["x"])[row, column]
    length = days_in_block(products[:, is_common] - observed, day, cells, days)
    values = Values(products[:, is_common], observed, day // length, cells)
    strata = [("all", "all", np.ones(step.size, bool))]
    ages = gap_ages(truth.notnull() & ~hidden)
    for kind in ("length", "age", "nearest"):
        strata += _classes(kind, ages[kind].values[asked][is_common])
    quarter = truth["time"].dt.month.values[step] % 12 // 3
    strata += [("season", name, quarter == place) for place, name in enumerate(SEASONS)]
    if cover is not None:
        strata += _covers(cover, truth, row, column)
    present = [one for one in strata if one[2].any()]
    return _Sample(list(filled), values, step, present, lost, int(asked.sum()), length)


def _classes(
    kind: str, days: npt.NDArray[np.float64]
) -> list[tuple[str, str, npt.NDArray[np.bool_]]]:
    """Sort days into classes; what is not known is open."""
    firsts, ends = CLASSES, (*(one - 1 for one in CLASSES[1:]), None)
    number = np.searchsorted(firsts, np.floor(np.nan_to_num(days, nan=0.0)), side="right") - 1
    labels = [
        f"{first} or more" if end is None else f"{first}" if first == end else f"{first}-{end}"
        for first, end in zip(firsts, ends, strict=True)
    ]
    known = [(kind, label, number == place) for place, label in enumerate(labels)]
    return [*known, (kind, "open", np.isnan(days))]


def _covers(
    cover: xr.DataArray, truth: xr.DataArray, row: Numbers, column: Numbers
) -> list[tuple[str, str, npt.NDArray[np.bool_]]]:
    """Sort values by the class of their cell."""
    sizes = {name: truth.sizes[name] for name in ("y", "x")}
    if set(cover.dims) != {"y", "x"} or dict(cover.sizes) != sizes:
        raise CubeProblem("cover", found=f"dims {dict(cover.sizes)}", expected=f"{sizes}")
    own = cover.transpose("y", "x").values[row, column]
    meanings = str(cover.attrs.get("flag_meanings", "")).split()
    codes = np.atleast_1d(cover.attrs.get("flag_values", []))
    names = {str(code): name for code, name in zip(codes, meanings, strict=False)}
    text = np.array([str(one) for one in own.tolist()])
    found = [one for one in np.unique(text).tolist() if one not in ("", "nan", "None")]
    return [("cover", names.get(one, one), text == one) for one in found]


def _frame(sample: _Sample) -> xr.Dataset:
    """Lay out what scores and comparisons have in common."""
    n = np.array([chosen.sum() for _, _, chosen in sample.strata])
    n_dates = np.array([np.unique(sample.dates[chosen]).size for _, _, chosen in sample.strata])
    return xr.Dataset(
        {
            "n": ("stratum", n),
            "n_dates": ("stratum", n_dates),
            "is_small": ("stratum", (n < SMALL) | (n_dates < FEW_DATES)),
            "lost": ("product", np.array(sample.lost)),
            "n_hidden": ((), sample.n_hidden),
        },
        coords={
            "product": sample.names,
            "stratum": [
                kind if kind == "all" else f"{kind} {label}" for kind, label, _ in sample.strata
            ],
            "kind": ("stratum", [kind for kind, _, _ in sample.strata]),
            "label": ("stratum", [label for _, label, _ in sample.strata]),
        },
        attrs={"days_in_block": sample.days_in_block},
    )


def _streams(rng: np.random.Generator | int, sample: _Sample) -> list[np.random.Generator]:
    """Give each stratum a stream of its own, so that none depends on which others there are."""
    seed = int(np.random.default_rng(rng).integers(2**63))
    return [
        np.random.default_rng([seed, *f"{kind} {label}".encode()])
        for kind, label, _ in sample.strata
    ]
