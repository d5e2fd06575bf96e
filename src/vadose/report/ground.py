"""The score table by condition of the ground: unfrozen, frozen, under snow, permanent ice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vadose.report.runs import Gain, Method, Run, StratumScores
from vadose.report.tables import Cell, change, number, signed, whole

HEADS = (
    "cells",
    "of the area",
    "RMSE",
    "RMSE, nearest",
    "gain in RMSE over nearest",
    "r inside cells",
    "r inside, smooth",
)


@dataclass(frozen=True)
class GroundRow:
    """Hold one condition of the ground."""

    title: str
    is_all: bool
    cells: tuple[Cell, ...]


def ground_rows(run: Run) -> list[GroundRow]:
    """Give a row for all cells and for each condition of the ground; none where the run does not tell."""
    strata, published = run.scores.strata, run.manifest.method
    told = {name: one for name, one in strata.items() if published in one.methods}
    if not told:
        return []
    whole_map: dict[str, Method | StratumScores] = dict(run.scores.methods)
    rows = [_row("all cells that are scored", whole_map, published, run.scores.n, 1.0, is_all=True)]
    for one in told.values():
        methods: dict[str, Method | StratumScores] = dict(one.methods)
        rows.append(_row(one.title, methods, published, one.n, one.share_of_area))
    return rows


def _row(
    title: str,
    methods: dict[str, Method | StratumScores],
    published: str,
    n: float,
    share: float,
    *,
    is_all: bool = False,
) -> GroundRow:
    own = methods[published]
    nearest, smooth = methods.get("nearest"), methods.get("smooth")
    cells = (
        Cell(whole(n)),
        Cell(f"{100 * share:.0f} %" if np.isfinite(share) else "–"),
        Cell(number(own.pooled.rmse, 4)),
        Cell("–" if nearest is None else number(nearest.pooled.rmse, 4)),
        Cell("–") if nearest is None else _gain(own.gain_over_nearest, own, nearest),
        Cell(number(own.within_cell.r, 3)),
        Cell("–" if smooth is None else number(smooth.within_cell.r, 3)),
    )
    return GroundRow(title, is_all, cells)


def _gain(gain: Gain, own: Method | StratumScores, nearest: Method | StratumScores) -> Cell:
    """Write a gain; it has a colour where its interval does not hold zero."""
    note, tone = change(own.pooled.rmse, nearest.pooled.rmse), ""
    low, high = gain.rmse_lower, gain.rmse_upper
    if np.isfinite([low, high]).all():
        note += f"\n{signed(low)} to {signed(high)}"
        tone = "better" if low > 0 else "worse" if high < 0 else ""
    return Cell(number(gain.rmse, 4, signed=True), tone=tone, note=note)
