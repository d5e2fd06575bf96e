"""Charts over stations: box plots, seasons, daily scores, a Taylor diagram, and the gain of every station on a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from odc.geo.geobox import GeoBox

from vadose.report.breaks import with_breaks
from vadose.report.charts import short, wrapped
from vadose.report.figures import draw_map
from vadose.report.frames import frame_of
from vadose.report.graticule import draw_graticule
from vadose.report.scales import draw_scale_bar
from vadose.report.style import (
    FAINT,
    INK,
    MEASURED,
    clear_axes,
    method_colours,
    new_figure,
    pretty_unit,
    set_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Metrics of the box plots, their titles, and where the best value lies.
BOXES = (("r", "R", "higher is better"), ("ubrmse", "ubRMSE", "lower is better"))
SIGNED = (("bias", "bias", "zero is best"), ("rmse", "RMSE", "lower is better"))
#: Least correlation that a Taylor diagram has room for.
RAY = -0.35
#: Share of scores beyond which points of a box plot are left out of its axis.
SHOWN = (0.005, 0.995)


def boxes(
    scores: pd.DataFrame,
    titles: Mapping[str, str],
    published: str,
    *,
    unit: str,
    metrics: Sequence[tuple[str, str, str]] = (*BOXES, *SIGNED),
) -> Figure:
    """Draw metrics as box plots by product, with a dot for everything that was scored.

    Parameters
    ----------
    scores
        ``product`` and the metrics; a row per station, or per day.
    titles
        Of the products, in the order in which they are drawn.
    published
        Name of the published one.
    """
    names = [name for name in titles if (scores["product"] == name).any()]
    colours = method_colours(names, published)
    figure = new_figure(9.6, 0.36 * len(names) + 1.15)
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    rng = np.random.default_rng(0)  # of the dots' places across the box, which mean nothing
    for axes, (metric, title, better) in zip(panels, metrics, strict=True):
        clear_axes(axes, grid="x")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        shown = []
        for row, name in enumerate(names):
            values = scores.loc[scores["product"] == name, metric].to_numpy("f8")
            values = values[np.isfinite(values)]
            if not values.size:
                axes.text(0.02, row, "not defined", transform=axes.get_yaxis_transform(), va="center",
                          fontsize=7.5, color=FAINT)  # fmt: skip
                continue
            shown.append(values)
            _box(axes, values, row, colours[name])
            if values.size <= 400:
                at = row + rng.uniform(-0.2, 0.2, values.size)
                axes.plot(
                    values, at, ".", color=colours[name], markersize=2.6, alpha=0.55, zorder=3
                )
        if shown:
            low, high = np.quantile(np.concatenate(shown), SHOWN)
            room = 0.06 * (high - low) or 0.01
            axes.set_xlim(low - room, high + room)
        if metric in ("bias", "r"):
            axes.axvline(0, color="#b6bec4", linewidth=0.8, zorder=0.5)
        set_title(axes, title)
        axes.set_xlabel(
            better if metric == "r" else f"{pretty_unit(unit)}, {better}", fontsize=8, color=FAINT
        )
        axes.locator_params(axis="x", nbins=4)
    panels[0].set_yticks(range(len(names)), [wrapped(titles[name]) for name in names])
    panels[0].set_ylim(len(names) - 0.4, -0.6)
    for label, name in zip(panels[0].get_yticklabels(), names, strict=True):
        label.set_fontweight("bold" if name == published else "normal")
    return figure


def _box(axes: Axes, values: np.ndarray, row: float, colour: str, *, height: float = 0.52) -> None:
    """Draw a box from quartile to quartile, whiskers from the 5th to the 95th percentile."""
    low, first, middle, third, high = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    axes.barh(row, third - first, left=first, height=height, color=colour, alpha=0.22, zorder=2)
    axes.hlines(row, low, first, color=colour, linewidth=1.0, zorder=2)
    axes.hlines(row, third, high, color=colour, linewidth=1.0, zorder=2)
    axes.vlines(middle, row - height / 2, row + height / 2, color=colour, linewidth=2.0, zorder=4)


def seasons(
    strata: pd.DataFrame,
    label: str,
    titles: Mapping[str, str],
    published: str,
    *,
    unit: str,
) -> Figure:
    """Draw median scores of every stratum of one label by product, with quartiles over stations.

    Parameters
    ----------
    strata
        Rows of ``strata.csv``.
    label
        Which of its labels, such as ``season``.
    """
    part = strata[strata["label"] == label]
    names = [name for name in titles if (part["product"] == name).any()]
    classes = list(dict.fromkeys(part["stratum"]))
    colours = method_colours(names, published)
    figure = new_figure(9.6, 3.0)
    axes = figure.subplots(1, 3)
    for panel, (metric, title) in zip(
        axes, (("r", "R"), ("ubrmse", "ubRMSE"), ("bias", "bias")), strict=True
    ):
        clear_axes(panel, grid="y")
        for place, name in enumerate(names):
            own = part[part["product"] == name].set_index("stratum")
            shift = (place - (len(names) - 1) / 2) * min(0.14, 0.7 / max(len(names), 1))
            for at, stratum in enumerate(classes):
                views = own.loc[[stratum]].set_index("view") if stratum in own.index else None
                if views is None or "median" not in views.index:
                    continue
                middle = views.loc["median", metric]
                is_small = str(views.loc["median"].get("is_small", False)).lower() == "true"
                ends = [
                    views.loc[end, metric] if end in views.index else np.nan
                    for end in ("lower_quartile", "upper_quartile")
                ]
                if np.isfinite(np.array(ends, "f8")).all():
                    panel.vlines(at + shift, *ends, color=colours[name], linewidth=1.4, alpha=0.7)
                panel.plot(
                    [at + shift],
                    [middle],
                    "o",
                    markersize=5,
                    color=colours[name],
                    markerfacecolor="white" if is_small else colours[name],
                )
        if metric == "bias":
            panel.axhline(0, color="#b6bec4", linewidth=0.8, zorder=0.5)
        panel.set_xticks(range(len(classes)), [str(one).replace("_", " ") for one in classes])
        panel.set_xlim(-0.6, len(classes) - 0.4)
        if max(map(len, map(str, classes))) * len(classes) > 34:
            panel.tick_params(axis="x", labelrotation=30)
        words = "" if metric == "r" else f" ({pretty_unit(unit)})"
        set_title(panel, f"{title}{words}")
    _legend(figure, titles, names, colours)
    return figure


def daily_lines(
    daily: pd.DataFrame, titles: Mapping[str, str], published: str, *, unit: str
) -> Figure:
    """Draw the scores of every day over the stations, of the published product and the coarse value.

    Parameters
    ----------
    daily
        ``product``, ``time``, ``r``, ``ubrmse``, ``bias`` and ``n``.
    """
    names = [name for name in ("nearest", published) if (daily["product"] == name).any()]
    colours = method_colours(names, published)
    figure = new_figure(9.6, 4.2)
    panels = figure.subplots(3, 1, sharex=True)
    for axes, (metric, words) in zip(
        panels, (("r", "R"), ("ubrmse", "ubRMSE"), ("bias", "bias")), strict=True
    ):
        clear_axes(axes, grid="y")
        for name in names:
            own = daily[daily["product"] == name].sort_values("time")
            stamps, (score,) = with_breaks(
                pd.to_datetime(own["time"]).to_numpy(), own[metric].to_numpy("f8")
            )
            axes.plot(
                stamps,
                score,
                "-o" if len(own) < 150 else "-",
                markersize=2.6,
                linewidth=1.1,
                color=colours[name],
            )
        if metric != "ubrmse":
            axes.axhline(0, color="#b6bec4", linewidth=0.8, zorder=0.5)
        unit_words = "" if metric == "r" else f" ({pretty_unit(unit)})"
        axes.set_ylabel(f"{words}{unit_words}", fontsize=8, color=INK)
    concise_dates(panels[-1])
    _legend(figure, titles, names, colours)
    return figure


def taylor(points: pd.DataFrame, titles: Mapping[str, str], published: str) -> Figure:
    """Draw a Taylor diagram: correlation as the angle, spread over that of the stations as the radius.

    Parameters
    ----------
    points
        ``product``, ``r`` and ``ratio``, and where points are single stations ``station``; the median of a
        product is the row without one.

    References
    ----------
    Taylor (2001), J. Geophys. Res. 106:7183, doi:10.1029/2000JD900719.
    """
    middle = points[points["station"] == ""]
    names = [name for name in titles if (middle["product"] == name).any()]
    colours = method_colours(names, published)
    largest = float(np.nanmax([1.25, *middle["ratio"], *_inner(points)]))
    figure = new_figure(5.4, 5.4)
    axes = figure.subplots()
    axes.set_aspect("equal")
    own_r = points.loc[points["product"] == published, "r"]
    least = float(np.nanmin([0.0, *middle["r"], *own_r]))
    start = RAY * largest if least < 0 else 0.0
    _taylor_grid(axes, largest, is_wide=least < 0)
    own = points[(points["station"] != "") & (points["product"] == published)]
    is_in = (own["ratio"] <= largest) & (own["r"] >= (RAY if least < 0 else 0.0))
    axes.plot(
        *_place(own[is_in]), ".", color=colours.get(published, INK), markersize=4.6, alpha=0.6
    )
    beyond = int((~is_in).sum())
    for name in names:
        at = _place(middle[middle["product"] == name])
        axes.plot(
            *at,
            "D" if name == published else "o",
            markersize=8,
            color=colours[name],
            markeredgecolor="white",
            zorder=6 if name == published else 5,
            label=wrapped(titles[name]),
        )
    axes.plot([1], [0], marker="*", markersize=13, color=MEASURED, zorder=6, clip_on=False,
              label="measured", linestyle="none")  # fmt: skip
    axes.set(xlim=(start, largest * 1.02), ylim=(0, largest * 1.1), yticks=[])
    words = "standard deviation ÷ that of the stations"
    if beyond:
        words += f"\n{beyond} of {len(own)} stations lie beyond and are not drawn"
    axes.set_xlabel(words, fontsize=8.5, color=INK)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8, labelcolor=INK)
    return figure


def _inner(points: pd.DataFrame) -> list[float]:
    """Give the radius that 95 % of the single points lie within."""
    ratio = points["ratio"].to_numpy("f8")
    ratio = ratio[np.isfinite(ratio)]
    return [min(float(np.quantile(ratio, 0.95)), 2.5)] if ratio.size else []


def _place(points: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    r = np.clip(points["r"].to_numpy("f8"), -1, 1)
    ratio = points["ratio"].to_numpy("f8")
    return ratio * r, ratio * np.sqrt(1 - r**2)


def _taylor_grid(axes: Axes, largest: float, *, is_wide: bool) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#b6bec4")
    axes.tick_params(labelsize=8, labelcolor=INK, color="#b6bec4", length=3)
    half = np.linspace(0, np.arccos(RAY) if is_wide else np.pi / 2, 200)
    axes.plot(
        largest * np.cos(half), largest * np.sin(half), color="#b6bec4", linewidth=0.9, zorder=1
    )
    for radius in np.arange(0.5, largest - 1e-9, 0.5):
        line = "-" if radius == 1 else (0, (3, 3))
        axes.plot(radius * np.cos(half), radius * np.sin(half), color="#b6bec4",
                  linewidth=0.9 if radius == 1 else 0.6, linestyle=line, zorder=1)  # fmt: skip
    rays = [0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99] + ([-0.2] if is_wide else [])
    for r in rays:
        angle = np.arccos(r)
        axes.plot(
            [0, largest * r], [0, largest * np.sin(angle)], color="#e3e7ea", linewidth=0.7, zorder=0
        )
        axes.text(
            1.03 * largest * r,
            1.03 * largest * np.sin(angle),
            f"{r:g}",
            fontsize=7.5,
            color=FAINT,
            ha="left" if r > 0.3 else "center",
            va="center" if r > 0.3 else "bottom",
        )
    axes.text(0.82 * largest, 0.8 * largest, "R", fontsize=9, color=FAINT)
    full = np.linspace(0, np.pi, 200)
    for error in (0.25, 0.5, 0.75, 1.0):
        x, y = 1 + error * np.cos(full), error * np.sin(full)
        is_in = np.hypot(x, y) <= largest
        axes.plot(np.where(is_in, x, np.nan), np.where(is_in, y, np.nan), color="#c9b9ae",
                  linewidth=0.6, linestyle=":", zorder=1)  # fmt: skip


def station_map(places: pd.DataFrame, grid: GeoBox, *, unit: str) -> Figure:
    """Draw where the stations lie, in the colour of their gain in ubRMSE over the coarse value.

    Parameters
    ----------
    places
        ``lon``, ``lat`` in degrees and ``gain``, NaN where there is none.
    grid
        That of the product.
    """
    frame = frame_of(grid, pixels=700)
    figure = new_figure(6.2, min(max(6.0 / frame.aspect, 2.6), 7.0) + 0.5, layout="compressed")
    axes = figure.subplots()
    draw_map(axes, frame, grid, np.full(frame.shape, np.nan))
    axes.images[0].set_alpha(0.4)  # the dots are what is told
    draw_graticule(axes, frame, labels=not frame.is_global)
    draw_scale_bar(axes, frame)
    at = frame.project(places[["lon", "lat"]].to_numpy("f8"))
    if len(at):
        gain = places["gain"].to_numpy("f8")
        known = np.abs(gain[np.isfinite(gain)])
        bound = max(float(np.quantile(known, 0.9)), 1e-4) if known.size else 1e-3
        dots = axes.scatter(
            at[:, 0], at[:, 1], c=gain, cmap="RdBu", vmin=-bound, vmax=bound, s=34,
            edgecolors=INK, linewidths=0.6, zorder=5, plotnonfinite=True,
        )  # fmt: skip
        bar = figure.colorbar(dots, ax=axes, orientation="horizontal", extend="both", shrink=0.7,
                              aspect=34, pad=0.03)  # fmt: skip
        clear_axes(bar.ax)
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0, labelcolor=FAINT)
        bar.ax.locator_params(axis="x", nbins=5)
        bar.set_label(
            f"gain in ubRMSE ({pretty_unit(unit)}); blue is better",
            fontsize=8.5,
            color=INK,
        )
    return figure


def concise_dates(axes: Axes) -> None:
    """Write few and short dates under a chart over time."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator: Any = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    # beside the axis stands the year alone: a month there is that of the last label, not of all
    years = ["", "%Y", "%Y", "%Y", "%Y %b", "%Y %b %d"]
    formatter: Any = ConciseDateFormatter(locator, offset_formats=years)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
    axes.xaxis.get_offset_text().set(fontsize=8, color=FAINT)


def _legend(
    figure: Figure, titles: Mapping[str, str], names: Sequence[str], colours: Mapping[str, str]
) -> None:
    from matplotlib.lines import Line2D

    figure.legend(
        [Line2D([], [], color=colours[name], marker="o", markersize=5) for name in names],
        [short(titles[name], 34) for name in names],
        loc="outside lower center",
        ncols=min(len(names), 4),
        frameon=False,
        fontsize=8,
        labelcolor=INK,
    )
