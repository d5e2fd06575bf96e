"""Charts of a run: product against truth, gains of the methods, importances and closure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from vadose.report.runs import Importance, Method, Scores
from vadose.report.scene import Pairs
from vadose.report.style import (
    BETTER,
    FAINT,
    INK,
    NEUTRAL,
    WORSE,
    clear_axes,
    moisture_colours,
    new_figure,
    pretty_unit,
    set_title,
)
from vadose.report.tables import number, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[np.floating]

#: Predictors beyond which the chart says how many more there are.
MOST_PREDICTORS = 20
#: Predictors that say where a place lies.
POSITION = ("latitude", "longitude")
#: What is made of all predictors: local regressions of the target on them.
TOGETHER = "all_predictors"
_PREDICTORS = {
    "soil_moisture": "coarse soil moisture, and around",
    "temperature_contrast": "surface − air temperature",
    TOGETHER: "local regressions on all predictors",
}


def scatter_density(pairs: Pairs, *, unit: str) -> Figure:
    """Draw product against truth as counts, over all cells and as departures from the coarse cell.

    The second panel is the one that downscaling is for: a field that copies the coarse value lies flat
    there, however well it does in the first.
    """
    figure = new_figure(9.6, 4.3)
    left, right = figure.subplots(1, 2)
    unit = pretty_unit(unit)
    _density(left, pairs.truth, pairs.product, zero=False)
    set_title(left, "All cells")
    left.set_xlabel(f"truth ({unit})", fontsize=8.5, color=INK)
    left.set_ylabel(f"downscaled ({unit})", fontsize=8.5, color=INK)
    _density(right, pairs.truth_departure, pairs.product_departure, zero=True)
    set_title(right, "Inside coarse cells: departure from the cell's mean")
    right.set_xlabel(f"truth ({unit})", fontsize=8.5, color=INK)
    right.set_ylabel(f"downscaled ({unit})", fontsize=8.5, color=INK)
    return figure


def _density(axes: Axes, truth: Array, product: Array, *, zero: bool) -> None:
    from matplotlib.colors import LogNorm

    clear_axes(axes, grid="both")
    both = np.concatenate([truth, product])
    if not both.size:
        axes.text(0.5, 0.5, "no cell has both", ha="center", transform=axes.transAxes, color=FAINT)
        return
    low, high = (float(value) for value in np.quantile(both, [0.0005, 0.9995]))
    if zero:
        high = max(abs(low), abs(high), 1e-6)
        low = -high
    high = high if high > low else low + 1e-6
    edges = np.linspace(low, high, 121)
    counts, _, _ = np.histogram2d(truth, product, bins=[edges, edges])
    image = axes.imshow(
        np.ma.masked_equal(counts.T, 0),
        extent=(low, high, low, high),
        origin="lower",
        cmap=moisture_colours(),
        norm=LogNorm(1, max(float(counts.max()), 2.0)),
        interpolation="nearest",
        zorder=2,
    )
    axes.plot([low, high], [low, high], color=WORSE, linewidth=1.0, zorder=3)
    if zero:
        axes.axhline(0, color="#b6bec4", linewidth=0.8, zorder=1.5)
        axes.axvline(0, color="#b6bec4", linewidth=0.8, zorder=1.5)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.set_yticks(axes.get_xticks())
    axes.set(xlim=(low, high), ylim=(low, high))
    error = product.astype("f8") - truth
    lines = [
        f"r = {number(_correlation(truth, product), 2)}",
        f"RMSE = {number(float(np.sqrt(np.mean(error**2))), 4)}",
        f"n = {whole(error.size)}",
    ]
    if not zero:
        lines.insert(2, f"bias = {number(float(error.mean()), 4, signed=True)}")
    axes.text(
        0.035,
        0.965,
        "\n".join(lines),
        transform=axes.transAxes,
        va="top",
        fontsize=8.5,
        color=INK,
        linespacing=1.4,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2},
        zorder=4,
    )
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.75, aspect=28, pad=0.02)
    clear_axes(bar.ax)
    bar.outline.set_visible(False)
    bar.ax.spines[["left", "bottom"]].set_visible(False)
    bar.ax.tick_params(which="both", length=0, labelcolor=FAINT)
    bar.set_label("cells", fontsize=8, color=FAINT)


def density_table(pairs: Pairs, bins: int = 120) -> pd.DataFrame:
    """Lay the counts of the two panels out as a table: ``panel, truth, product, cells``."""
    parts = []
    for panel, truth, product in (
        ("all cells", pairs.truth, pairs.product),
        ("departures", pairs.truth_departure, pairs.product_departure),
    ):
        if not truth.size:
            continue
        counts, first, second = np.histogram2d(truth, product, bins=bins)
        rows, columns = np.nonzero(counts)
        parts.append(
            pd.DataFrame(
                {
                    "panel": panel,
                    "truth": (first[rows] + first[rows + 1]) / 2,
                    "product": (second[columns] + second[columns + 1]) / 2,
                    "cells": counts[rows, columns].astype("i8"),
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _correlation(truth: Array, product: Array) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.corrcoef(truth, product)[0, 1]) if truth.size > 1 else float("nan")


def gain_bars(scores: Scores, order: Sequence[str]) -> Figure:
    """Draw RMSE and within-cell correlation of every method against the two ways of doing nothing.

    Parameters
    ----------
    scores
        Scores of all methods.
    order
        Their names from top to bottom.
    """
    figure = new_figure(9.6, 0.34 * len(order) + 1.25)
    methods = [scores.methods[name] for name in order]
    nearest = scores.methods.get("nearest")
    baselines = {
        words: scores.methods[name]
        for name, words in (("nearest", "nearest"), ("smooth", "smooth"))
        if name in scores.methods
    }
    rmse = np.array([method.pooled.rmse for method in methods])
    inside = np.array([method.within_cell.r for method in methods])
    rmse_start = nearest.pooled.rmse if nearest else float(np.nanmax(rmse))
    has_inside = bool(np.isfinite(inside).any())
    panels = figure.subplots(1, 2 if has_inside else 1, sharey=True, squeeze=False)[0]
    left = panels[0]
    _lollipops(left, methods, rmse, start=rmse_start, bar=rmse_start, sign=-1.0, digits=4)
    _references(left, {words: method.pooled.rmse for words, method in baselines.items()})
    set_title(left, "")
    if has_inside:
        right = panels[1]
        smooth = {words: m.within_cell.r for words, m in baselines.items() if words == "smooth"}
        _lollipops(
            right, methods, inside, start=0.0, bar=smooth.get("smooth", 0.0), sign=1.0, digits=2
        )
        if np.nanmin([*inside, 0.0]) >= 0:
            right.set_xlim(left=0)
        _references(right, smooth)
        set_title(right, "")
        right.set_xlabel("r inside coarse cells — further right is better", fontsize=8.5, color=INK)
    unit = pretty_unit(scores.unit)
    left.set_xlabel(f"RMSE ({unit}) — further left is better", fontsize=8.5, color=INK)
    left.set_yticks(range(len(order)), [short(method.title) for method in methods])
    for label, name in zip(left.get_yticklabels(), order, strict=True):
        label.set_fontweight("bold" if name == scores.best else "normal")
        label.set_color(FAINT if scores.methods[name].is_baseline else INK)
    left.set_ylim(len(order) - 0.4, -0.6)
    return figure


def _lollipops(
    axes: Axes,
    methods: list[Method],
    values: Array,
    *,
    start: float,
    bar: float,
    sign: float,
    digits: int,
) -> None:
    """Draw each value as a dot on a line from `start`, coloured by whether it passes `bar`."""
    clear_axes(axes, grid="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    for row, (method, value) in enumerate(zip(methods, values, strict=True)):
        if not np.isfinite(value):
            axes.text(start, row, "  none", va="center", fontsize=8, color=FAINT)
            continue
        gain = round(sign * (value - bar), digits)
        is_neutral = method.is_baseline or gain == 0 or not np.isfinite(gain)
        colour = NEUTRAL if is_neutral else BETTER if gain > 0 else WORSE
        axes.plot([start, value], [row, row], color=colour, linewidth=2.4, solid_capstyle="butt")
        axes.plot([value], [row], "o", color=colour, markersize=6.5)
        side = 1 if value >= start else -1
        axes.annotate(
            number(float(value), digits),
            (value, row),
            xytext=(8 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=8,
            color=colour if not method.is_baseline else FAINT,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )
    axes.margins(x=0.22)
    axes.locator_params(axis="x", nbins=5)


def _references(axes: Axes, values: dict[str, float]) -> None:
    """Mark the values of the baselines by dashed lines, named on top; one name where they coincide."""
    low, high = axes.get_xlim()
    previous = -np.inf
    for words, value in sorted(values.items(), key=lambda item: item[1]):
        if not np.isfinite(value):
            continue
        axes.axvline(value, color=NEUTRAL, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0.5)
        is_close = value - previous < 0.14 * (high - low)
        axes.annotate(
            words,
            (value, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 12 if is_close else 3),
            textcoords="offset points",
            ha="center",
            fontsize=7.5,
            color=FAINT,
        )
        previous = -np.inf if is_close else value


def importance_bars(importances: Sequence[Importance]) -> Figure:
    """Draw how much each model of the method relies on each predictor, the largest on top.

    What is made of all predictors together is no bar beside single ones; where a place lies is marked, as a
    model may know places by heart.
    """
    models = list(dict.fromkeys(row.model for row in importances))
    rows_of = {
        model: [row for row in importances if row.model == model and row.predictor != TOGETHER]
        for model in models
    }
    most = max(min(len(rows), MOST_PREDICTORS) for rows in rows_of.values())
    figure = new_figure(6.2 if len(models) == 1 else 9.6, 0.25 * most + 1.05)
    panels = figure.subplots(1, len(models), squeeze=False)[0]
    for axes, rows in zip(panels, rows_of.values(), strict=True):
        _importance_panel(axes, rows, named=len(models) > 1)
    return figure


def _importance_panel(axes: Axes, rows: Sequence[Importance], *, named: bool) -> None:
    clear_axes(axes, grid="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    shown = rows[:MOST_PREDICTORS]
    at = range(len(shown))
    colours = [WORSE if row.predictor in POSITION else BETTER for row in shown]
    axes.barh(at, [row.importance for row in shown], height=0.62, color=colours)
    axes.errorbar(
        [row.importance for row in shown],
        at,
        xerr=[row.std if np.isfinite(row.std) else 0.0 for row in shown],
        fmt="none",
        ecolor=INK,
        elinewidth=0.8,
    )
    axes.set_yticks(at, [short(predictor_words(row.predictor)) for row in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.locator_params(axis="x", nbins=5)
    if not rows:
        return
    first = rows[0]
    unit = f" ({pretty_unit(first.unit)})" if first.unit else ""
    more = f"\nand {len(rows) - len(shown)} smaller ones" if len(rows) > len(shown) else ""
    axes.set_xlabel(f"{first.measure}{unit}{more}", fontsize=8.5, color=INK)
    title = [short(first.title or first.model, 34)] if named else []
    if np.isfinite(first.samples):
        title.append(f"n {whole(first.samples)}, RMSE {number(first.rmse, 4)}")
    set_title(axes, " · ".join(title))


def predictor_words(name: str) -> str:
    """Name a predictor, or what is made of some, in words.

    Examples
    --------
    >>> predictor_words("land_cover"), predictor_words("temperature_contrast")
    ('land cover', 'surface − air temperature')
    """
    return _PREDICTORS.get(name, name.replace("_", " "))


def closure_histogram(residual: Array, *, unit: str) -> Figure:
    """Draw how far the area mean of the product is from the coarse value, over the coarse cells.

    Parameters
    ----------
    residual
        Closure residual of any shape, NaN where there is none.
    """
    values = np.asarray(residual[np.isfinite(residual)], "f8")
    figure = new_figure(5.2, 2.9)
    axes = figure.subplots()
    clear_axes(axes, grid="y")
    if values.size:
        bound = max(float(np.quantile(np.abs(values), 0.999)), 1e-7)
        bins = np.linspace(-bound, bound, 62)
        counts, _, _ = axes.hist(np.clip(values, -bound, bound), bins=list(bins), color=BETTER)
        if np.max(counts) > 20:  # of a few cells a logarithm has no room to tell
            axes.set_yscale("log")
        else:
            axes.locator_params(axis="y", integer=True, nbins=5)
        axes.set_xlim(-bound, bound)
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 3), useMathText=True)
    axes.xaxis.get_offset_text().set_fontsize(8)
    unit = pretty_unit(unit)
    axes.set_xlabel(f"mean of the fine cells − coarse value ({unit})", fontsize=8.5, color=INK)
    axes.set_ylabel("cells", fontsize=8.5, color=INK)
    axes.tick_params(axis="y", which="minor", length=0)
    return figure


def wrapped(text: str, width: int = 24) -> str:
    r"""Write a label on two lines rather than cut it; what two lines do not hold is cut.

    Examples
    --------
    >>> wrapped("Random forest, as in the papers")
    'Random forest, as in the\npapers'
    """
    lines = textwrap.wrap(short(text, 2 * width), width, break_long_words=True)
    return (
        "\n".join([*lines[:1], short(" ".join(lines[1:]), width)])
        if len(lines) > 1
        else "".join(lines)
    )


def short(text: str, length: int = 38) -> str:
    """Cut a label that would push the chart off the page; no dollar sign starts a formula."""
    text = " ".join(text.split()).replace("$", r"\$")
    return text if len(text) <= length else text[: length - 1] + "…"
