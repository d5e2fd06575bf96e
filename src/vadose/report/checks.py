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
    ("tile_edge_jump_ratio", "across tiles ÷ across cells", 2),
    ("within_cell_median_r", "r inside cells, median", 2),
    ("within_cell_spread_ratio", "spread inside cells ÷ true", 2),
    ("effective_wavelength_km", "resolves waves of, km", 0),
    ("rain_lag_days", "answers rain after, days", 0),
)
#: Ratio from which on the edges of coarse cells are seen in the product, over that of the truth where there is one.
BLOCKY = 1.3
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
    if key == "tile_edge_jump_ratio" and name != publish:
        return Cell(NONE)  # baselines are not made tile by tile: it says nothing of them
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
    jump = (
        own.get("coarse_cell_edge_jump_ratio")
        if _known(own, "coarse_cell_edge_jump_ratio")
        else None
    )
    if jump is not None:
        bar = (
            true["coarse_cell_edge_jump_ratio"]
            if _known(true, "coarse_cell_edge_jump_ratio")
            else 1.0
        )
        beside = f" (in the truth {number(bar, 2)})" if true else ""
        if jump > BLOCKY * bar:
            remarks.append(
                f"The edges of coarse cells are seen in the product: steps across them are {number(jump, 2)} "
                f"times those inside{beside}."
            )
        else:
            remarks.append(
                f"The edges of coarse cells are {'little more seen in the product than in the truth' if true else 'hardly seen in the product'}: "
                f"steps across them are {number(jump, 2)} times those inside{beside}."
            )
    tile = own.get("tile_edge_jump_ratio", NAN)
    if _known(own, "tile_edge_jump_ratio") and tile > BLOCKY:
        remarks.append(
            f"Tiles leave seams: steps across them are {number(tile, 2)} times those across other coarse cells."
        )
    waves = own.get("effective_wavelength_km")
    if _known(own, "effective_wavelength_km") and waves is not None:
        base = maps.get("smooth", {}).get("effective_wavelength_km")
        words = f"The product's pattern follows the truth for waves of {number(float(waves), 0)} km and longer"
        if _known(maps.get("smooth", {}), "effective_wavelength_km") and base is not None:
            words += f"; smooth interpolation does for {number(float(base), 0)} km"
        remarks.append(words + ". That is its resolution; the size of its cells is not.")
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
