"""What maps tell of themselves: closure, seams, effective resolution; and what aligning the sources did."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from vadose.errors import FileProblem
from vadose.report.judged import Judged
from vadose.report.runs import NAN, Run, read_text
from vadose.report.tables import NONE, Cell, number, small

#: What is told of maps, in this order: key, head, digits, and which way is good.
CHECKS = (
    ("closure_rmse", "closure, RMS", "small"),
    ("closure_max", "closure, largest", "small"),
    ("coarse_cell_edge_jump_ratio", "steps across coarse cells ÷ inside", 2),
    ("gap_edge_jump_ratio", "across edges of gaps ÷ inside", 2),
    ("gap_half_cell_jump_ratio", "on half-cell lines in gaps ÷ inside", 2),
    ("tile_edge_jump_ratio", "across tiles ÷ across cells", 2),
    ("within_cell_median_r", "r inside cells, median", 2),
    ("within_cell_spread_ratio", "spread inside cells ÷ true", 2),
    ("effective_wavelength_km", "resolves waves of, km", 0),
    ("rain_lag_days", "answers rain after, days", 0),
)
#: How much steeper than inside steps across a line may be, beyond what the truth has where there is one: up to the
#: first the line is not seen, from the second on it is.
FAINT, BLOCKY = 0.1, 0.2
#: Checks that say nothing of baselines, which are neither made tile by tile nor filled by a model.
OF_THE_PRODUCT = ("tile_edge_jump_ratio", "gap_edge_jump_ratio", "gap_half_cell_jump_ratio")
STATUS = {
    "found": "",
    "coarser": "coarser than any wave looked at",
    "finer": "finer than any wave looked at",
}


@dataclass(frozen=True)
class Checks:
    """Hold the table of checks and what is to be said of it."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]
    remarks: tuple[str, ...]


def closure_max(run: Run, judged: Judged | None, name: str) -> float:
    """Give how far a method's area means are from the coarse value at most; NaN where nobody has looked.

    Every section takes it from here: ``scores.json`` has looked at all dates, the maps of the validation at
    some. Either looked at the fields as they are stored.
    """
    method = run.scores.methods.get(name)
    if method is not None and np.isfinite(method.closure_max):
        return method.closure_max
    row = {} if judged is None else judged.summary.maps.get(name, {})
    return float(row["closure_max"]) if _known(row, "closure_max") else NAN


def tell_checks(run: Run, judged: Judged | None) -> Checks | None:
    """Tell what was found on maps; None where nothing was."""
    if judged is None or not judged.summary.maps:
        return None
    maps = {
        name: {**row, "closure_max": closure_max(run, judged, name)}
        for name, row in judged.summary.maps.items()
    }
    publish = judged.summary.publish
    kept = [
        (key, head, digits)
        for key, head, digits in CHECKS
        if any(_known(row, key) for row in maps.values())
    ]
    if not kept:
        return None
    rows = []
    for name, row in maps.items():
        cells = tuple(_cell(row, key, digits, name, publish) for key, _, digits in kept)
        title = "Truth" if name == "truth" else judged.title(name)
        rows.append((title, "best" if name == publish else "baseline", cells))
    return Checks(tuple(head for _, head, _ in kept), tuple(rows), tuple(_remarks(maps, publish)))


def _known(row: dict[str, Any], key: str) -> bool:
    value = row.get(key)
    return isinstance(value, int | float) and bool(np.isfinite(value))


def _cell(row: dict[str, Any], key: str, digits: int | str, name: str, publish: str) -> Cell:
    if key in OF_THE_PRODUCT and name != publish:
        return Cell(NONE)
    if not _known(row, key):
        return Cell(NONE)
    value = float(row[key])
    note = ""
    if key == "effective_wavelength_km":
        status = str(row.get("effective_resolution", "found"))
        note = STATUS.get(status, status.replace("_", " "))
    return Cell(small(value) if digits == "small" else number(value, int(digits)), note=note)


def _remarks(maps: dict[str, dict[str, Any]], publish: str) -> list[str]:
    own, true = maps.get(publish, {}), maps.get("truth", {})
    remarks = []
    key = "coarse_cell_edge_jump_ratio"
    if _known(own, key):
        bar = float(true[key]) if _known(true, key) else 1.0
        beside = f", in the truth {number(bar, 2)} times" if _known(true, key) else ""
        remarks.append(
            f"{_seen('The edges of coarse cells', own[key] - bar)}: steps across them are {number(own[key], 2)} "
            f"times those inside{beside}."
        )
    remarks += _of_gaps(own)
    tile = own.get("tile_edge_jump_ratio", NAN)
    if _known(own, "tile_edge_jump_ratio") and tile > 1 + BLOCKY:
        remarks.append(
            f"Tiles leave seams: steps across them are {number(tile, 2)} times those across other coarse cells."
        )
    waves = own.get("effective_wavelength_km")
    if _known(own, "effective_wavelength_km") and waves is not None:
        words = f"The product's pattern follows the truth for waves of {number(float(waves), 0)} km and longer"
        others = [
            f"{title} for {number(float(maps[name]['effective_wavelength_km']), 0)} km"
            for name, title in (
                ("nearest", "the copied coarse value"),
                ("smooth", "smooth interpolation"),
            )
            if name != publish and _known(maps.get(name, {}), "effective_wavelength_km")
        ]
        if others:
            words += f"; {' and '.join(others)}"
        remarks.append(words + ". That is its resolution; the size of its cells is not.")
    return remarks


def _seen(what: str, excess: float) -> str:
    """Say how much lines are seen, by how much steeper they are than they should be.

    Examples
    --------
    >>> _seen("Edges", 0.02), _seen("Edges", 0.15), _seen("Edges", 0.25)
    ('Edges are not seen in the product', 'Edges are faintly seen in the product', 'Edges are seen in the product')
    """
    how = "not seen" if excess <= FAINT else "faintly seen" if excess <= BLOCKY else "seen"
    return f"{what} are {how} in the product"


def _of_gaps(own: dict[str, Any]) -> list[str]:
    """Say what gaps of the coarse input leave in the product: at their edges, and half a cell behind them."""
    remarks = []
    for kind, what, where in (
        ("gap_edge", "The edges of gaps of the coarse input", "across them"),
        ("gap_half_cell", "Lines through the middle of coarse cells in gaps", "along them"),
    ):
        key, largest = f"{kind}_jump_ratio", f"{kind}_jump_largest"
        if not _known(own, key):
            continue
        words = f"{_seen(what, own[key] - 1)}: steps {where} are {number(own[key], 2)} times those inside"
        if _known(own, largest) and own.get(f"{kind}_jump_dates", 1) > 1:
            words += (
                f" in the median of {own[f'{kind}_jump_dates']} dates, {number(own[largest], 2)} times at most "
                f"({own[f'{kind}_jump_largest_on']})"
            )
        remarks.append(f"{words}.")
    return remarks


@dataclass(frozen=True)
class Aligned:
    """Hold one variable's way onto the grid."""

    variable: str
    source: str
    regridding: str
    units: str
    valid: str
    mean: str
    shift: str
    remark: str


def read_alignment(run: Run) -> list[Aligned]:
    """Read what aligning the sources did; nothing where the run does not say.

    Raises
    ------
    FileProblem
        When the file cannot be read.
    """
    path = run.path / "alignment.json"
    if not path.exists():
        return []
    try:
        rows = json.loads(read_text(path))
        return [_aligned(row) for row in rows]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FileProblem(
            path, found=f"a report that cannot be read ({error!r})", expected="a list of variables"
        ) from error


def _aligned(row: dict[str, Any]) -> Aligned:
    before, after = str(row.get("units_before", "")), str(row.get("units_after", ""))
    units = before if before == after else f"{before} → {after}"
    east, north = row.get("shift_east"), row.get("shift_north")
    shift = NONE
    if east is not None and north is not None:
        shift = f"{number(float(east), 2)} east, {number(float(north), 2)} north"
        if row.get("is_shifted"):
            shift += " — shifted"
    return Aligned(
        variable=str(row["variable"]).replace("_", " "),
        source=f"{row.get('source', '')}, {row.get('files', 0)} file{'' if row.get('files') == 1 else 's'}",
        regridding=str(row.get("regridding", "")),
        units=units,
        valid=f"{_share(row.get('valid_before'))} → {_share(row.get('valid_after'))}",
        mean=f"{_short(row.get('mean_before'))} → {_short(row.get('mean_after'))}",
        shift=shift,
        remark=str(row.get("remark", "")),
    )


def _share(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.0f} %"


def _short(value: float | None) -> str:
    return NONE if value is None else f"{value:.4g}".replace("-", "−")
