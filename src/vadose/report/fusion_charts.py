"""Charts of a fusion: error by age and length of the gap, and how much of every date was observed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from vadose.report.dates import Day, evenly
from vadose.report.fusion import Told, title_of
from vadose.report.judged import is_true
from vadose.report.scene import day_words
from vadose.report.station_charts import concise_dates
from vadose.report.style import (
    INK,
    ORIGIN_COLOURS,
    WITHOUT_VALUE,
    clear_axes,
    method_colours,
    new_figure,
    set_title,
)
from vadose.schema import ORIGIN

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from odc.geo.geobox import GeoBox

#: Kinds of classes that are drawn, and what their axis says.
KINDS = (("age", "days since the last observation"), ("length", "length of the gap, days"))
#: Dates of which origins are counted at most.
MOST_DATES = 1500


def errors_by_age(told: Told) -> Figure:
    """Draw the RMSE of every filler by age and by length of the gap, with intervals."""
    assert told.table is not None  # noqa: S101 - asked by the caller
    table = told.table
    names = [row.filler for row in told.found.scores]
    colours = method_colours(names, told.found.method)
    kinds = [(kind, words) for kind, words in KINDS if (table["kind"] == kind).any()]
    limit = 1.6 * float(table.loc[is_true(table["is_small"]).eq(False), "rmse"].max())
    figure = new_figure(9.6, 3.5)
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for axes, (kind, words) in zip(panels, kinds, strict=True):
        clear_axes(axes, grid="y")
        part = table[(table["kind"] == kind) & (table["n"] > 0)]
        labels = list(dict.fromkeys(part["label"]))
        for place, name in enumerate(names):
            own = part[part["product"] == name].set_index("label").reindex(labels)
            at = np.arange(len(labels)) + 0.11 * (place - (len(names) - 1) / 2)
            rmse = own["rmse"].to_numpy("f8")
            if {"rmse_lower", "rmse_upper"} <= set(own.columns):
                axes.vlines(at, own["rmse_lower"], own["rmse_upper"], color=colours[name],
                            linewidth=1.0, alpha=0.6)  # fmt: skip
                # a line that is cut off looks like one that ends there
                goes_on = own["rmse_upper"].to_numpy("f8") > limit
                if goes_on.any():
                    axes.plot(at[goes_on], np.full(goes_on.sum(), limit), "^", color=colours[name],
                              markersize=4, clip_on=False)  # fmt: skip
            small = is_true(own["is_small"]).to_numpy()
            for mask, fill in ((small, "white"), (~small, colours[name])):
                axes.plot(at[mask], rmse[mask], "o", markersize=5, color=colours[name],
                          markerfacecolor=fill, linestyle="none")  # fmt: skip
        counts = part[part["product"] == told.found.method].set_index("label")["n"].reindex(labels)
        ticks = [f"{label}\nn {count:,.0f}" for label, count in counts.items()]
        axes.set_xticks(range(len(labels)), ticks)
        set_title(axes, words)
    if np.isfinite(limit):
        panels[0].set_ylim(0, limit)
    panels[0].set_ylabel("RMSE (m³ m⁻³)", fontsize=8.5, color=INK)
    from matplotlib.lines import Line2D

    figure.legend(
        [Line2D([], [], color=colours[name], marker="o", markersize=5) for name in names],
        [title_of(name) for name in names],
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=8,
        labelcolor=INK,
    )
    return figure


def origins_by_date(cube: xr.Dataset) -> pd.DataFrame:
    """Count the share of each origin on every date, of the cells that ever have a value; evenly chosen dates of long records."""
    places = evenly(cube.sizes["time"], MOST_DATES)
    origin = cube["origin"].isel(time=places)
    counts = {
        name: (origin == ORIGIN.code(name)).sum(["y", "x"]).values
        for name in ORIGIN.meanings
        if name not in WITHOUT_VALUE
    }
    is_ever = ~origin.isin([ORIGIN.code(name) for name in WITHOUT_VALUE]).all("time")
    total = max(int(is_ever.sum()), 1)
    shares = {name: count / total for name, count in counts.items() if count.any()}
    return pd.DataFrame({"time": origin["time"].values, **shares})


def origin_bars(shares: pd.DataFrame) -> Figure:
    """Draw the shares of origins over time, one above the other."""
    figure = new_figure(9.6, 2.3)
    axes = figure.subplots()
    clear_axes(axes, grid="y")
    times = pd.to_datetime(shares["time"])
    names = [name for name in shares.columns if name != "time"]
    base = np.zeros(len(shares))
    for name in names:
        value = shares[name].to_numpy("f8")
        axes.fill_between(
            times, 100 * base, 100 * (base + value), step="mid",
            color=ORIGIN_COLOURS[name], label=name, linewidth=0,
        )  # fmt: skip
        base = base + value
    axes.set(ylim=(0, 100), xlim=(times.iloc[0], times.iloc[-1]))
    axes.set_ylabel("% of the land", fontsize=8.5, color=INK)
    concise_dates(axes)
    figure.legend(loc="outside lower center", ncols=6, frameon=False, fontsize=8, labelcolor=INK)
    return figure


def fused_day(cube: xr.Dataset, grid: GeoBox) -> Day | None:
    """Read the date of a fused record with most filled cells: observed values, and all of them; None without gaps."""
    shares = origins_by_date(cube)
    filled = [name for name in ("filled", "extrapolated") if name in shares]
    if not filled:
        return None
    most = shares[filled].sum(axis=1)
    if most.max() <= 0:
        return None
    one = cube.sel(time=shares["time"].iloc[int(most.argmax())])
    value, origin = one["soil_moisture"].values, one["origin"].values
    is_observed = np.isin(origin, [ORIGIN.code(name) for name in ("observed", "fused")])
    fields = [
        ("Where observed", np.where(is_observed, value, np.nan), grid),
        ("Seamless", np.asarray(value), grid),
    ]
    share = f"{100 * most.max():.0f} % of the land filled"
    when = day_words(np.datetime64(one["time"].item(), "ns"))
    return Day(when, tuple(fields), share)
