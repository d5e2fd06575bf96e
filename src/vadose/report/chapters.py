"""Chapters of the report: for each what is told, and its plates; what a run has no data for is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from vadose.report import (
    charts,
    checks,
    dates,
    explanation_charts,
    figures,
    fitting,
    fusion_charts,
    tables,
    trust,
)
from vadose.report.fusion import Told as FusionTold
from vadose.report.judged import Judged
from vadose.report.plates import Plate
from vadose.report.runs import Run
from vadose.report.scene import Scene, busiest_window, read_pairs
from vadose.schema import ORIGIN

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

    from vadose.report.explanation import Explanation

#: Largest closure error, in units of the target, that is float32 rounding and nothing else.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Chapter:
    """Hold what is told, by name in the template, and the plates."""

    told: dict[str, Any] = field(default_factory=dict)
    plates: tuple[Plate, ...] = ()


def maps(run: Run, scene: Scene) -> Chapter:
    """Tell of one moment on maps: coarse input, product, truth; the whole and a close-up; origins."""
    unit = run.scores.unit
    sizes = f"{tables.cell_size(scene.coarse_grid)} and {tables.cell_size(scene.fine_grid)}"
    window = busiest_window(scene)
    where = figures.window_words(scene.fine_grid, window)
    shown = "coarse input, downscaled product"
    shown += ", truth and the difference of the last two" if scene.truth is not None else ""
    plates = [
        Plate(
            "map",
            lambda: figures.map_panels(scene, unit=unit),
            f"Maps of soil moisture at {sizes}: {shown}.",
            lambda: _scene_table(scene),
        ),
        Plate(
            "zoom",
            lambda: figures.map_panels(scene, unit=unit, window=window),
            f"The same maps over {where}: {shown}.",
            lambda: _scene_table(scene, window),
        ),
    ]
    if scene.origin is not None:
        origin = scene.origin
        plates.append(
            Plate(
                "origin",
                lambda: figures.origin_map(origin, scene.fine_grid),
                "Map of where each value comes from.",
                lambda: _origin_table(origin, scene.fine_grid),
            )
        )
    return Chapter({"where": where}, tuple(plates))


def _scene_table(scene: Scene, window: figures.Window | None = None) -> pd.DataFrame:
    cells = window or (slice(None), slice(None))
    product = scene.product[cells]
    parent = np.where(scene.owner >= 0, scene.coarse.ravel()[np.maximum(scene.owner, 0)], np.nan)
    known = np.isfinite(product) | np.isfinite(parent[cells])
    rows, columns = np.nonzero(known)
    grid = scene.fine_grid if window is None else scene.fine_grid[window]
    table = {
        "x": grid.affine.c + grid.affine.a * (columns + 0.5),
        "y": grid.affine.f + grid.affine.e * (rows + 0.5),
        "coarse": parent[cells][known],
        "downscaled": product[known],
    }
    if scene.truth is not None:
        table["truth"] = scene.truth[cells][known]
    return pd.DataFrame(table)


def _origin_table(origin: npt.NDArray[np.integer], grid: GeoBox) -> pd.DataFrame:
    """Lay the origin of every cell out: ``x, y, code, origin``."""
    rows, columns = np.indices(origin.shape)
    return pd.DataFrame(
        {
            "x": grid.affine.c + grid.affine.a * (columns.ravel() + 0.5),
            "y": grid.affine.f + grid.affine.e * (rows.ravel() + 0.5),
            "code": origin.ravel(),
            "origin": np.array(ORIGIN.meanings)[origin.ravel()],
        }
    )


def days(run: Run, asked: Sequence[str] = ()) -> Chapter:
    """Tell of chosen dates, the first of which stands in the large maps, and of the one with most gaps."""
    unit, plates = run.scores.unit, []
    told: dict[str, Any] = {"is_asked": bool(asked)}
    places = dates.chosen_places(run, asked)
    shown = dates.read_days(run, places[1:] if asked else places)
    if shown:
        told["dates"] = [day.when for day in shown]
        plates.append(
            Plate(
                "dates",
                lambda: dates.draw_days(shown, unit=unit),
                f"Maps of {', '.join(day.when for day in shown)}: coarse input and downscaled product in one "
                "colour scale.",
                lambda: dates.days_table(shown),
            )
        )
    gaps = dates.gappiest(run, among=places if asked else None)
    if gaps is not None:
        told["gap_day"] = f"{gaps.when}, {gaps.remark}"
        told["fills_gaps"] = len(gaps.fields) > 2 or _is_filled(gaps)
        plates.append(
            Plate(
                "gaps",
                lambda: dates.draw_days([gaps], unit=unit),
                f"Maps of {gaps.when}: {', '.join(title.lower() for title, _, _ in gaps.fields)}.",
                lambda: dates.days_table([gaps]),
            )
        )
    return Chapter(told, tuple(plates))


def _is_filled(day: dates.Day) -> bool:
    """Tell whether the product has a value on more of its cells than the coarse field has."""
    coarse, fine = day.fields[0][1], day.fields[-1][1]
    return bool(np.isfinite(fine).mean() > 1.1 * np.isfinite(coarse).mean())


def fusion(told: FusionTold | None) -> Chapter:
    """Tell of the fusion's fillers, on hidden values."""
    if told is None:
        return Chapter({"fusion": None})
    plates: list[Plate] = []
    if told.table is not None:
        table = told.table
        is_drawn = table["kind"].isin(["age", "length"]) & (table["n"] > 0)
        if is_drawn.any():
            plates.append(
                Plate(
                    "gap_errors",
                    lambda: fusion_charts.errors_by_age(told),
                    "RMSE of every filler on hidden values by days since the last observation and by length "
                    "of the gap, with intervals.",
                    lambda: table[is_drawn],
                )
            )
    return Chapter({"fusion": told}, tuple(plates))


def scores(run: Run, scene: Scene) -> Chapter:
    """Tell of the scores against the withheld truth."""
    unit, plates = run.scores.unit, []
    if run.is_scored:
        order = tables.score_order(run.scores)
        plates.append(
            Plate(
                "gains",
                lambda: charts.gain_bars(run.scores, order),
                "RMSE and correlation inside coarse cells of every method, beside the baselines. "
                "The numbers are those of the table.",
                lambda: _score_table(run, order),
            )
        )
    pairs = read_pairs(run) if scene.truth is not None else None
    if pairs is not None:
        plates.append(
            Plate(
                "scatter",
                lambda: charts.scatter_density(pairs, unit=unit),
                "Counts of cells by true and downscaled soil moisture, over all cells and as "
                "departures from the mean of the coarse cell, with the line of equality.",
                lambda: charts.density_table(pairs),
            )
        )
    return Chapter({}, tuple(plates))


def _score_table(run: Run, order: Sequence[str]) -> pd.DataFrame:
    rows = []
    for name in order:
        method = run.scores.methods[name]
        inside = {f"within_cell_{key}": value for key, value in method.within_cell}
        rows.append({"method": name, "title": method.title, **dict(method.pooled), **inside})
    return pd.DataFrame(rows)


def model(run: Run, explained: Explanation | None) -> Chapter:
    """Tell what the method relies on: importances of its own, and sensitivity where it was explained."""
    plates = []
    single = [row for row in run.importances if row.predictor != charts.TOGETHER]
    if single:
        first = charts.predictor_words(single[0].predictor)
        plates.append(
            Plate(
                "importances",
                lambda: charts.importance_bars(run.importances),
                f"Bars of the importance of {len({row.predictor for row in single})} predictors, {first} first.",
                lambda: pd.DataFrame(map(vars, run.importances)),
            )
        )
    if explained is not None:
        plates += [
            Plate(
                "shuffled",
                lambda: explanation_charts.importance_panels(explained),
                "Importance of each group of features by several measures, with intervals.",
                lambda: pd.DataFrame([dict(row) for row in explained.importances]),
            ),
            Plate(
                "sensitivity",
                lambda: explanation_charts.sensitivity_lines(explained),
                "Share of the variance of the predictions that each group of features accounts for, at every "
                "scale.",
                lambda: pd.DataFrame([dict(row) for row in explained.sensitivity]),
            ),
        ]
    told = {
        "explained": explained,
        "models": len({row.model for row in single}),
        "position": [name for name in charts.POSITION if name in {row.predictor for row in single}],
        "together": [row for row in run.importances if row.predictor == charts.TOGETHER],
    }
    return Chapter(told, tuple(plates))


def fit(run: Run) -> Chapter:
    """Tell how the models give the parts of the split: density of the pairs, and the scores of every day."""
    unit, plates = run.scores.unit, []
    found = fitting.read_scatter(run)
    if found is not None:
        plates.append(
            Plate(
                "fit_scatter",
                lambda: fitting.fit_scatter(found, run, unit=unit),
                "Counts of predicted against coarse values in the parts for training, validation and test.",
                lambda: fitting.scatter_table(found),
            )
        )
    daily = fitting.read_daily(run)
    if daily is not None:
        plates.append(
            Plate(
                "fit_daily",
                lambda: fitting.fit_daily(daily, run, unit=unit),
                "Box plots of the daily R, ubRMSE, bias and RMSE of every part of the split.",
                lambda: daily,
            )
        )
    return Chapter({}, tuple(plates))


def trusted(run: Run, judged: Judged | None) -> Chapter:
    """Tell how far the product may be trusted: hat, intervals, area of applicability."""
    unit, plates = run.scores.unit, []
    widths = trust.width_layers(run)
    if widths:
        plates.append(
            Plate(
                "widths",
                lambda: trust.draw_layers(
                    widths,
                    run.fine_grid,
                    label="width of the interval, spread of the model",
                    unit=unit,
                ),
                "Maps of the mean width of the intervals and of the spread of the model.",
                lambda: trust.layers_table(widths, run.fine_grid),
            )
        )
    area = trust.applicability_layers(run)
    if area:
        plates.append(
            Plate(
                "applicability",
                lambda: trust.draw_layers(
                    area, run.fine_grid, label="dissimilarity index", unit=""
                ),
                "Map of the share of dates on which the model has learned from the like, and of the "
                "dissimilarity index.",
                lambda: trust.layers_table(area, run.fine_grid),
            )
        )
    hat_fails = trust.hat_fails(judged)
    hat = None if judged is None or hat_fails else trust.hat_layers(judged)
    if hat is not None:
        layers, grid = hat
        plates.append(
            Plate(
                "hat",
                lambda: trust.draw_layers(
                    layers, grid, label="standard error of soil moisture", unit=unit
                ),
                "Maps of the error of each method after a three-cornered hat.",
                lambda: trust.layers_table(layers, grid),
            )
        )
    inside = float(np.nanmean(area[0].field)) if area and np.isfinite(area[0].field).any() else None
    told = {
        "coverage": trust.tell_coverage(judged),
        "hat": None if judged is None else judged.summary.hat,
        "hat_fails": hat_fails,
        "hat_titles": {} if judged is None else judged.summary.titles,
        "inside_share": inside,
    }
    return Chapter(told, tuple(plates))


def closing(run: Run, scene: Scene, judged: Judged | None) -> Chapter:
    """Tell of closure, seams and resolution, and of what aligning the sources did."""
    closed = np.abs(scene.closure)
    largest = checks.closure_max(run, judged, run.manifest.method)
    is_of_all = bool(np.isfinite(largest))
    if not is_of_all:
        largest = float(closed.max()) if closed.size else float("nan")
    step = float(run.product[run.manifest.target].attrs.get("quantization_step", 0.0))
    rounding = max(ROUNDING, step)
    plates = []
    if closed.size and closed.max() > rounding:
        plates.append(
            Plate(
                "closure",
                lambda: charts.closure_histogram(scene.closure, unit=run.scores.unit),
                "Histogram of the closure error over the coarse cells.",
                lambda: pd.DataFrame({"residual": scene.closure}),
            )
        )
    told = {
        "closure": {
            "cells": tables.whole(closed.size),
            "largest": tables.small(largest),
            "typical": tables.small(float(np.median(closed)) if closed.size else float("nan")),
            "is_rounding": largest <= rounding,
            "step": tables.small(step) if step else "",
            "when": scene.when if run.product.sizes.get("time", 1) > 1 else "",
            "is_of_all": is_of_all,
        },
        "checks": checks.tell_checks(run, judged),
        "alignment": checks.read_alignment(run),
    }
    return Chapter(told, tuple(plates))
