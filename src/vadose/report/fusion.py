"""What a fusion says of itself: fillers on hidden values, errors by age of gap, seams, and origins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field

from vadose.report.judged import is_true, read_table
from vadose.report.runs import NAN, Number, Record, read_record
from vadose.report.tables import NONE, Cell, number, whole

#: Fillers by what they do.
TITLES = {
    "persistence": "Last value kept",
    "linear_residual": "Linear in time, departure from the land model",
    "cdf_matched": "Land model, distribution matched",
    "optimal_interpolation": "Optimal interpolation",
    "stacked": "Stacked: trees on all of these",
    "linear_in_time": "Linear in time",
    "drcgan": "Residual cycle GAN",
    "dct_pls": "Smoothing by cosines (DCT-PLS)",
    "mean_variance_matched": "Land model, mean and variance matched",
    "anomaly_climatology": "Mean season plus the land model's anomaly",
}
#: How far a coverage may be from its level and be called near it.
NEAR = 0.05
#: Ratio of steps across the edges of gaps to those expected from which on an edge is seen.
VISIBLE = 1.2


class Hidden(Record):
    """Say what was hidden to judge by."""

    values: Number = NAN
    share: Number = NAN
    lengths: list[int] = Field(default=[])


class FillerRow(Record):
    """Hold the scores of one filler on hidden values."""

    filler: str
    expected_rmse: Number = NAN
    n: Number = NAN
    n_dates: Number = NAN
    lost: Number = NAN
    rmse: Number = NAN
    rmse_lower: Number = NAN
    rmse_upper: Number = NAN
    ubrmse: Number = NAN
    r: Number = NAN
    r_lower: Number = NAN
    r_upper: Number = NAN
    bias: Number = NAN
    bias_lower: Number = NAN
    bias_upper: Number = NAN
    seconds: Number = NAN


class Against(Record):
    """Hold one filler against the one taken."""

    ratio: Number = NAN
    ratio_lower: Number = NAN
    ratio_upper: Number = NAN
    verdict: str = ""


class Interval(Record):
    """Say how many of the hidden values lie inside their intervals."""

    level: Number = NAN
    coverage: Number = NAN


class Fusion(Record):
    """Hold ``fusion.json``."""

    method: str
    is_chosen: bool = False
    observed: str = "keep"
    hidden: Hidden = Hidden()
    scores: list[FillerRow] = Field(default=[])
    against_method: dict[str, Against] = Field(default={})
    interval: Interval = Interval()
    origin: dict[str, int] = Field(default={})
    seams: dict[str, Number] = Field(default={})
    stations: dict[str, Any] = Field(default={})


@dataclass(frozen=True)
class Told:
    """Hold the section's words and tables.

    Attributes
    ----------
    tone
        ``good`` where the filler beats keeping the last value, else ``mixed`` or ``bad``.
    table
        ``gap_scores.csv``; None where it is not there.
    """

    found: Fusion
    title: str
    verdict: str
    tone: str
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]
    facts: tuple[tuple[str, str], ...]
    origins: tuple[tuple[str, str, str], ...]
    at_stations: tuple[tuple[str, tuple[str, ...]], ...]
    station_count: int
    warnings: tuple[str, ...]
    table: pd.DataFrame | None


def read_fusion(folder: Path) -> Told | None:
    """Read what a fusion says, in its own folder or in that of a run; None where there is none.

    Raises
    ------
    FileProblem, RunProblem
        When its files cannot be read, or are not those of a fusion.
    """
    inside = folder / "fusion" if (folder / "fusion/fusion.json").is_file() else folder
    if not (inside / "fusion.json").is_file():
        return None
    found = read_record(inside / "fusion.json", Fusion)
    columns = ("product", "kind", "label", "n", "n_dates", "is_small", "rmse", "r", "bias")
    table = read_table(inside / "gap_scores.csv", columns)
    verdict, tone = _judge(found)
    return Told(
        found=found,
        title=title_of(found.method),
        verdict=verdict,
        tone=tone,
        rows=tuple(_row(found, row) for row in found.scores),
        facts=tuple(_facts(found)),
        origins=tuple(_origins(found)),
        at_stations=tuple(_at_stations(found)),
        station_count=int(found.stations.get("stations", 0)),
        warnings=tuple(_warnings(found, table)),
        table=table,
    )


def fusion_remark(told: Told | None) -> tuple[str, ...]:
    """Say how good the filled part is in one line for the head of the page; nothing where nothing was fused."""
    return () if told is None else (told.verdict,)


def title_of(name: str) -> str:
    """Give what a filler is called."""
    return TITLES.get(name, name.replace("_", " ").capitalize())


def _judge(found: Fusion) -> tuple[str, str]:
    """Say how well the gaps are filled, against keeping the last value."""
    own = next((row for row in found.scores if row.filler == found.method), None)
    if own is None or not np.isfinite(own.rmse):
        return f"Gaps were filled by “{title_of(found.method)}”; how well, was not judged.", "mixed"
    low, high = number(own.rmse_lower, 3), number(own.rmse_upper, 3)
    sentence = (
        f"Hidden values are given back by “{title_of(found.method)}” with an RMSE of "
        f"{number(own.rmse, 4)} m³ m⁻³ ({low} to {high})"
    )
    naive = found.against_method.get("persistence")
    row = next((row for row in found.scores if row.filler == "persistence"), None)
    if naive is None or row is None:
        return f"{sentence}.", "mixed"
    sentence += f"; keeping the last value gives {number(row.rmse, 4)}"
    if naive.ratio_lower > 1:
        return (
            f"{sentence}, which is worse on the same hidden values (the 95 % interval of the ratio holds no 1).",
            "good",
        )
    if naive.ratio_upper < 1:
        return (
            f"{sentence}, which is better on the same hidden values (the 95 % interval of the ratio holds no 1).",
            "bad",
        )
    return f"{sentence}: not shown to differ.", "mixed"


def _row(found: Fusion, row: FillerRow) -> tuple[str, str, tuple[Cell, ...]]:
    against = found.against_method.get(row.filler)
    is_taken = row.filler == found.method
    told = Cell("taken" if is_taken else NONE)
    if against is not None and np.isfinite(against.ratio):
        ends = f"{number(against.ratio_lower, 2)} to {number(against.ratio_upper, 2)}"
        tone = "worse" if against.ratio_lower > 1 else "better" if against.ratio_upper < 1 else ""
        told = Cell(f"{number(against.ratio, 2)} ×", tone=tone, note=ends)
    cells = (
        Cell(number(row.rmse, 4), note=_ends(row.rmse_lower, row.rmse_upper, 3), is_best=is_taken),
        Cell(number(row.expected_rmse, 4)),
        Cell(number(row.ubrmse, 4)),
        Cell(number(row.r, 3), note=_ends(row.r_lower, row.r_upper, 2)),
        Cell(number(row.bias, 4, signed=True), note=_ends(row.bias_lower, row.bias_upper, 3)),
        told,
        Cell(number(row.seconds, 0)),
    )
    return title_of(row.filler), "best" if is_taken else "", cells


def _ends(low: float, high: float, digits: int) -> str:
    if not (np.isfinite(low) and np.isfinite(high)):
        return ""
    return f"{number(low, digits)} to {number(high, digits)}"


def _facts(found: Fusion) -> list[tuple[str, str]]:
    hidden = found.hidden
    own = next((row for row in found.scores if row.filler == found.method), None)
    lengths = ", ".join(str(one) for one in hidden.lengths)
    kept = "are kept as they are" if found.observed == "keep" else "give way to the fused field"
    facts = [
        (
            "Filled by",
            title_of(found.method)
            + (", the least error expected in the record's own gaps" if found.is_chosen else ""),
        ),
        ("Observed values", kept),
        (
            "Hidden to judge by",
            f"{whole(hidden.values)} values, {100 * hidden.share:.0f} % of those observed"
            + (f", under gaps of other days and of {lengths} days" if lengths else "")
            if np.isfinite(hidden.values) and np.isfinite(hidden.share)
            else "",
        ),
    ]
    if own is not None and np.isfinite(own.n_dates):
        facts.append(("On dates", whole(own.n_dates)))
    interval = found.interval
    if np.isfinite(interval.coverage):
        near = abs(interval.coverage - interval.level) <= NEAR
        words = "as they should" if near else (
            "too narrow" if interval.coverage < interval.level else "too wide"
        )  # fmt: skip
        facts.append(
            (
                f"Intervals of {100 * interval.level:.3g} %",
                f"hold {100 * interval.coverage:.1f} % of hidden values that they were not learned from: {words}",
            )
        )
    for kind, words in (
        ("edge", "Step across the edge of a gap"),
        ("filled", "Step between filled cells"),
    ):
        ratio = found.seams.get(kind, NAN)
        if np.isfinite(ratio):
            seen = "a seam that is seen" if ratio > VISIBLE else "no seam"
            value = f"{number(ratio, 2)} times that between observed cells"
            facts.append((words, f"{value}: {seen}" if kind == "edge" else value))
    return [(name, value) for name, value in facts if value]


def _origins(found: Fusion) -> list[tuple[str, str, str]]:
    total = sum(found.origin.values())
    return [
        (name, whole(count), f"{100 * count / total:.1f} %")
        for name, count in found.origin.items()
        if count
    ]


def _at_stations(found: Fusion) -> list[tuple[str, tuple[str, ...]]]:
    rows: list[tuple[str, tuple[str, ...]]] = []
    for product, days in found.stations.get("median", {}).items():
        for kind, scores in days.items():
            known = {key: NAN if value is None else float(value) for key, value in scores.items()}
            cells = (
                whole(known.get("n", NAN)),
                number(known.get("r", NAN), 3),
                number(known.get("ubrmse", NAN), 4),
                number(known.get("rmse", NAN), 4),
                number(known.get("bias", NAN), 4, signed=True),
            )
            rows.append((f"{product}, {kind} days", cells))
    return rows


def _warnings(found: Fusion, table: pd.DataFrame | None) -> list[str]:
    told = []
    own = next((row for row in found.scores if row.filler == found.method), None)
    if own is not None and np.isfinite(own.n_dates) and own.n_dates < 20:
        told.append(
            f"Judged on {own.n_dates:.0f} dates: intervals over so few dates are themselves uncertain."
        )
    if own is not None and own.lost > 0:
        told.append(f"{whole(own.lost)} hidden values were not filled and are not in the scores.")
    if found.is_chosen:
        told.append(
            "The filler was chosen on these hidden values, so its own error is a little too small."
        )
    if table is not None:
        small = table[is_true(table["is_small"]) & (table["kind"] == "age")]
        if len(small):
            told.append(
                "Ages drawn hollow have too few hidden values or dates to tell one filler from another."
            )
    return told
