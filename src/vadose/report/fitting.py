"""How the models give the coarse field in the parts of the split: density of pairs, and scores of every day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from vadose.report.charts import short
from vadose.report.judged import read_table
from vadose.report.runs import Run
from vadose.report.station_charts import boxes
from vadose.report.style import (
    FAINT,
    INK,
    WORSE,
    clear_axes,
    moisture_colours,
    new_figure,
    pretty_unit,
    set_title,
)
from vadose.report.tables import number, whole
from vadose.store.encoding import reading

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS = {"train": "learned from", "validation": "kept for choosing", "test": "kept for judging"}
#: Counts up to which single pairs are what is seen.
FEW = 20
#: Days from which on scores have a distribution.
FEWEST_DAYS = 3
#: Methods that are drawn at most.
MOST_METHODS = 4


def read_scatter(run: Run) -> xr.Dataset | None:
    """Read the densities of the parts; None where the recipe kept nothing.

    Raises
    ------
    FileProblem
        When the file cannot be read.
    """
    path = run.path / "fit_scatter.nc"
    if not path.exists():
        return None
    with reading(path), xr.open_dataset(path, engine="h5netcdf") as opened:
        found = opened.load()
    return found if {"density", "part", "product"} <= set(map(str, found.variables)) else None


def fit_scatter(found: xr.Dataset, run: Run, *, unit: str) -> Figure:
    """Draw prediction against target as counts: a row for every method, a column for every part."""
    from matplotlib.colors import ListedColormap, LogNorm

    parts = [str(part) for part in found["part"].values]
    names = [str(name) for name in found["product"].values][:MOST_METHODS]
    figure = new_figure(9.6, 2.75 * len(names) + 0.6)
    axes = figure.subplots(len(names), len(parts), squeeze=False)
    density = found["density"]
    seen = density.sel(product=names).sum(["part", "product"])
    low, high = _range(seen)
    norm = LogNorm(1, max(float(density.max()), 2.0))
    is_few, colours = bool(density.max() < FEW), moisture_colours()
    if is_few:  # single pairs are most of what is drawn, and the palest colour hides them
        colours = ListedColormap(colours(np.linspace(0.35, 1.0, 256)))
    step = float(density["observed"][1] - density["observed"][0])
    edges = [float(density["observed"][0]) - step / 2, float(density["observed"][-1]) + step / 2]
    for row, name in enumerate(names):
        for column, part in enumerate(parts):
            panel = axes[row, column]
            clear_axes(panel, grid="both")
            one = found.sel(part=part, product=name)
            image = panel.imshow(
                np.ma.masked_equal(one["density"].transpose("predicted", "observed").values, 0),
                extent=(*edges, *edges), origin="lower", cmap=colours, norm=norm,
                interpolation="nearest", zorder=2,
            )  # fmt: skip
            panel.plot([low, high], [low, high], color=FAINT, linewidth=0.8, zorder=3)
            line = one["slope"].item() * np.array([low, high]) + one["intercept"].item()
            panel.plot([low, high], line, color=WORSE, linewidth=1.0, zorder=3)
            panel.set(xlim=(low, high), ylim=(low, high))
            panel.set_aspect("equal")
            panel.locator_params(nbins=4)
            words = [
                f"R = {number(one['r'].item(), 3)}",
                f"RMSE = {number(one['rmse'].item(), 4)}",
                f"ubRMSE = {number(one['ubrmse'].item(), 4)}",
                f"n = {whole(one['n'].item())}",
            ]
            panel.text(0.035, 0.965, "\n".join(words), transform=panel.transAxes, va="top",
                       fontsize=7.5, color=INK, linespacing=1.35, zorder=4)  # fmt: skip
            set_title(panel, PARTS.get(part, part).capitalize() if row == 0 else "")
        title = short(run.held.methods[name].title if run.held and name in run.held.methods else name, 30)  # fmt: skip
        axes[row, 0].set_ylabel(
            f"{title}\npredicted ({pretty_unit(unit)})", fontsize=8.5, color=INK
        )
    axes[-1, len(parts) // 2].set_xlabel(
        f"coarse target ({pretty_unit(unit)})", fontsize=8.5, color=INK
    )
    shrink = 0.7 / len(names)
    bar = figure.colorbar(image, ax=axes, shrink=shrink, aspect=30, pad=0.015)
    if is_few:  # a few counts are read as they are, not as powers
        bar.ax.yaxis.set_major_formatter("{x:.0f}")
        bar.ax.yaxis.set_minor_formatter("{x:.0f}")
    clear_axes(bar.ax)
    bar.outline.set_visible(False)
    bar.ax.tick_params(which="both", length=0, labelcolor=FAINT, labelsize=7.5)
    bar.set_label("pairs", fontsize=8, color=FAINT)
    return figure


def _range(density: xr.DataArray) -> tuple[float, float]:
    """Give the limits of what was seen along both axes."""
    values = density.transpose("predicted", "observed").values
    at = np.asarray(density["observed"].values, "f8")
    used = np.flatnonzero(values.any(axis=0) | values.any(axis=1))
    if not used.size:
        return float(at[0]), float(at[-1])
    step = float(at[1] - at[0])
    return float(at[used[0]]) - 1.5 * step, float(at[used[-1]]) + 1.5 * step


def scatter_table(found: xr.Dataset) -> pd.DataFrame:
    """Lay the counts that are not zero out as a table."""
    table = found["density"].to_dataframe().reset_index()
    return table[table["density"] > 0][["part", "product", "observed", "predicted", "density"]]


def read_daily(run: Run) -> pd.DataFrame | None:
    """Read the daily scores of the parts that have any; None where they are of too few days for a distribution.

    Raises
    ------
    FileProblem
        When the table cannot be read.
    """
    columns = ("part", "product", "time", "r", "rmse", "ubrmse", "bias", "n")
    table = read_table(run.path / "fit_daily.csv", columns)
    if table is None:
        return None
    table = table[list(columns)]
    known = table[table["rmse"].notna()]
    return table if known["time"].nunique() >= FEWEST_DAYS else None


def fit_daily(daily: pd.DataFrame, run: Run, *, unit: str) -> Figure:
    """Draw the daily scores of every method and part as box plots."""
    titles = {}
    rows = []
    for name in dict.fromkeys(daily["product"]):
        title = run.held.methods[name].title if run.held and name in run.held.methods else name
        for part in dict.fromkeys(daily["part"]):
            key = f"{name} {part}"
            titles[key] = f"{short(title, 24)}, {part}"
            own = daily[(daily["product"] == name) & (daily["part"] == part)]
            if own["rmse"].isna().all():  # too few of its cells on any day
                continue
            rows.append(own.assign(product=key))
    table = pd.concat(rows, ignore_index=True)
    last = f"{daily['product'].iloc[0]} test"
    return boxes(table, titles, last, unit=unit)
