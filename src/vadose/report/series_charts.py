"""Charts of single stations: series with rain, product against readings, and cumulative distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vadose.report.breaks import alone, with_breaks
from vadose.report.charts import short
from vadose.report.series import Series
from vadose.report.station_charts import concise_dates
from vadose.report.style import (
    BETTER,
    FAINT,
    INK,
    MEASURED,
    NEUTRAL,
    clear_axes,
    method_colours,
    new_figure,
    pretty_unit,
    set_title,
)
from vadose.report.tables import number
from vadose.schema import ORIGIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RAIN = "#7aa6c8"
#: Colour and dashes of what the published product has not from its coarse value, or from beyond its training.
PALE, DASHES = "#83b3d8", (0, (2.5, 1.8))
#: Origins that are marked in a series.
MARKED = ("extrapolated", "filled")
#: Values of a series beyond which each has no dot of its own.
MANY = 200
#: Products beside the published one and the coarse value that a panel has room for.
MOST_OTHERS = 2


def drawn_products(series: Series, published: str, others: tuple[str, ...] = ()) -> list[str]:
    """Name the products to draw: coarse value, others asked for, the published one last and on top."""
    names = [str(name) for name in series.pairs["product"].values]
    kept = [name for name in others if name in names and name not in (published, "nearest")]
    first = ["nearest"] if "nearest" in names and published != "nearest" else []
    return [*first, *kept[:MOST_OTHERS], published]


def time_series(
    series: Series, titles: Mapping[str, str], published: str, *, unit: str,
    others: tuple[str, ...] = (),
) -> Figure:  # fmt: skip
    """Draw readings, products and rain of some stations, one below the other."""
    names = drawn_products(series, published, others)
    colours = method_colours(names, published)
    figure = new_figure(9.6, 1.55 * len(series.drawn) + 0.75)
    panels = figure.subplots(len(series.drawn), 1, sharex=True, squeeze=False)[:, 0]
    times = series.pairs["time"].values
    for axes, station in zip(panels, series.drawn, strict=True):
        clear_axes(axes, grid="y")
        own = series.pairs.sel(station=station)
        if "lower" in own and "upper" in own:
            stamps, (lower, upper) = with_breaks(times, own["lower"].values, own["upper"].values)
            axes.fill_between(stamps, lower, upper, color=BETTER, alpha=0.13, linewidth=0, zorder=2)
        for name in names:
            value = own["value"].sel(product=name).values
            if name == published and "origin" in own:
                _by_origin(axes, times, value, own["origin"].values)
            else:
                is_own = name == published
                _line(axes, times, value, colours[name], width=1.5 if is_own else 1.2, order=4 if is_own else 3)  # fmt: skip
        axes.plot(times, own["reading"].values, ".", color=MEASURED, markersize=3.4, zorder=5)
        if series.rain is not None:
            low, high = axes.get_ylim()  # the bars hang above what they are compared with
            axes.set_ylim(low, high + 0.5 * (high - low))
            _rain(axes, times, series.rain.sel(station=station).values)
        network = str(own["network"].item()) if "network" in own.coords else ""
        scores = own["value"].sel(product=published).where(own["is_pair"])
        set_title(axes, " · ".join(filter(None, [network, station, _score_words(scores.values, own["reading"].values)])))  # fmt: skip
    panels[len(panels) // 2].set_ylabel(
        f"soil moisture ({pretty_unit(unit)})", fontsize=8.5, color=INK
    )
    concise_dates(panels[-1])
    kinds = _kinds(series)
    _legend(
        figure, titles, names, colours, rain=series.rain is not None, kinds=kinds,
        interval="lower" in series.pairs, published=published,
    )  # fmt: skip
    return figure


def _kinds(series: Series) -> list[str]:
    """Name the origins to be marked that occur in what is drawn."""
    if "origin" not in series.pairs:
        return []
    drawn = series.pairs["origin"].sel(station=list(series.drawn)).values
    return [name for name in MARKED if (drawn == ORIGIN.code(name)).any()]


def _by_origin(axes: Axes, times: np.ndarray, value: np.ndarray, origin: np.ndarray) -> None:
    """Draw the published product: what was filled pale and dashed, what was extrapolated pale."""
    filled = origin == ORIGIN.code("filled")
    pale = filled | (origin == ORIGIN.code("extrapolated"))
    if filled.any():  # beneath, so that dashes join what was filled with what was not
        _line(axes, times, value, PALE, width=1.3, order=3.6, style=DASHES, marks=False)
        few = np.isfinite(value).sum() < MANY
        axes.plot(times, np.where(filled, value, np.nan), "o" if few else "", color=PALE,
                  markerfacecolor="white", markersize=3, markeredgewidth=0.8, zorder=3.9)  # fmt: skip
    if pale.any():
        _line(axes, times, np.where(filled, np.nan, value), PALE, width=1.5, order=3.8)
    _line(axes, times, np.where(pale, np.nan, value), BETTER, width=1.5, order=4)


def _line(
    axes: Axes, times: np.ndarray, value: np.ndarray, colour: str, *, width: float, order: float,
    style: Any = "-", marks: bool = True,
) -> None:  # fmt: skip
    """Draw a line that is not joined across gaps; dots stand where it could not be seen, or is short."""
    stamps, (line,) = with_breaks(times, value)
    axes.plot(stamps, line, color=colour, linewidth=width, linestyle=style, zorder=order)
    if marks:
        dots = line if np.isfinite(line).sum() < MANY else np.where(alone(line), line, np.nan)
        axes.plot(stamps, dots, ".", color=colour, markersize=3, zorder=order)


def _score_words(value: np.ndarray, reading: np.ndarray) -> str:
    is_both = np.isfinite(value) & np.isfinite(reading)
    if is_both.sum() < 3:
        return ""
    error = value[is_both].astype("f8") - reading[is_both]
    with np.errstate(invalid="ignore", divide="ignore"):
        r = float(np.corrcoef(value[is_both], reading[is_both])[0, 1])
    return f"R {number(r, 2)}, ubRMSE {number(float(error.std()), 3)}, n {int(is_both.sum())}"


def _rain(axes: Axes, times: np.ndarray, rain: np.ndarray) -> None:
    """Hang bars of rain from the top, below a third of the panel's height."""
    beside = axes.twinx()
    step = (
        np.median(np.diff(times).astype("timedelta64[h]").astype(float)) / 24
        if len(times) > 1
        else 1
    )
    beside.bar(times, np.nan_to_num(rain), width=0.8 * step, align="edge", color=RAIN, zorder=1)
    largest = float(np.nanmax([1.0, *rain[np.isfinite(rain)]]))
    beside.set_ylim(3 * largest, 0)
    for side in ("top", "left", "bottom", "right"):
        beside.spines[side].set_visible(False)
    beside.set_yticks([0, largest], ["0", f"{largest:.0f} mm/d"])
    beside.tick_params(length=0, labelsize=7, labelcolor=FAINT)
    axes.set_zorder(beside.get_zorder() + 1)
    axes.patch.set_visible(False)


def agreement(
    series: Series, titles: Mapping[str, str], published: str, *, unit: str,
    others: tuple[str, ...] = (),
) -> Figure:  # fmt: skip
    """Draw products against reading, and their cumulative distributions, of some stations."""
    names = drawn_products(series, published, others)
    colours = method_colours(names, published)
    count = len(series.drawn)
    figure = new_figure(9.6, 3.9 if count > 3 else 4.6)
    panels = figure.subplots(2, count, squeeze=False)
    for column, station in enumerate(series.drawn):
        above, below = panels[:, column]
        own = series.pairs.sel(station=station)
        reading = own["reading"].where(own["is_pair"]).values
        found = [reading[np.isfinite(reading)]]
        for axes in (above, below):
            clear_axes(axes, grid="both")
        for name in names:
            value = own["value"].sel(product=name).where(own["is_pair"]).values
            above.plot(reading, value, ".", color=colours[name], markersize=3.2, alpha=0.7)
            found.append(value[np.isfinite(value)])
            _steps(below, value, colours[name])
        _steps(below, reading, MEASURED)
        whole = np.concatenate(found)
        if whole.size:
            low, high = float(whole.min()), float(whole.max())
            room = 0.05 * (high - low) or 0.01
            limits = (low - room, high + room)
            above.plot(limits, limits, color=NEUTRAL, linewidth=0.8, zorder=1)
            above.set(xlim=limits, ylim=limits)
            below.set(xlim=limits, ylim=(0, 1))
        above.set_box_aspect(1)
        below.set_box_aspect(0.8)
        for axes in (above, below):
            axes.locator_params(nbins=3)
        set_title(above, short(station, 16))
        if column:
            below.set_yticklabels([])
    unit = pretty_unit(unit)
    panels[0, 0].set_ylabel(f"product ({unit})", fontsize=8.5, color=INK)
    panels[1, 0].set_ylabel("share below", fontsize=8.5, color=INK)
    panels[0, count // 2].set_xlabel(f"measured ({unit})", fontsize=8, color=INK)
    panels[1, count // 2].set_xlabel(f"soil moisture ({unit})", fontsize=8, color=INK)
    _legend(figure, titles, names, colours)
    return figure


def _steps(axes: Axes, values: np.ndarray, colour: str) -> None:
    """Draw an empirical cumulative distribution."""
    known = np.sort(values[np.isfinite(values)])
    if known.size:
        axes.step(known, np.arange(1, known.size + 1) / known.size, where="post",
                  color=colour, linewidth=1.4)  # fmt: skip


def _legend(
    figure: Figure, titles: Mapping[str, str], names: list[str], colours: Mapping[str, str],
    *, rain: bool = False, kinds: Sequence[str] = (), interval: bool = False, published: str = "",
) -> None:  # fmt: skip
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Line2D | Patch] = [
        Line2D([], [], color=MEASURED, marker=".", linestyle="none", markersize=6)
    ]
    labels = ["measured"]
    for name in names:
        handles.append(Line2D([], [], color=colours.get(name, BETTER), linewidth=1.5))
        labels.append(short(titles.get(name, name), 34))
        if name == published:
            for kind in kinds:
                is_filled = kind == "filled"
                handles.append(
                    Line2D([], [], color=PALE, linewidth=1.5, linestyle=DASHES if is_filled else "-",
                           marker="o" if is_filled else "", markerfacecolor="white", markersize=3.5)
                )  # fmt: skip
                labels.append(f"the same, {kind}")
            if interval:
                handles.append(Patch(color=BETTER, alpha=0.13, linewidth=0))
                labels.append("its interval")
    if rain:
        handles.append(Patch(color=RAIN))
        labels.append("precipitation")
    figure.legend(
        handles, labels, loc="outside lower center", frameon=False,
        ncols=len(labels) if len(labels) < 6 else 3, fontsize=8,
        labelcolor=INK,
    )  # fmt: skip
