"""Charts of an explanation: importances, sensitivity by scale, and effects of single features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vadose.report.style import (
    BETTER,
    FAINT,
    INK,
    WORSE,
    clear_axes,
    new_figure,
    pretty_unit,
    set_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vadose.report.explanation import Explanation, ImportanceRecord

#: Groups beyond which a chart leaves the rest to the table.
MOST_GROUPS = 16
#: Share of the places that a curve is drawn for; a few extreme ones would squeeze all others.
SHOWN = 0.98
#: Colours from the scale of learning to that of the product.
LEARNED, BETWEEN, USED = "#9a6324", ("#7fb2d6", "#4b8fc2"), BETTER

_MEASURES = {
    "permutation": "Shuffled: growth of the RMSE",
    "shap": "SHAP: mean size",
    "impurity": "Impurity: share of the splits' gain",
}


def scale_colours(found: Explanation) -> list[str]:
    """Give the colour of every scale."""
    inner = list(BETWEEN)[: max(len(found.scales) - 2, 0)]
    return [LEARNED, *inner, USED][: len(found.scales)]


def words(name: str, length: int = 40) -> str:
    """Write a group or feature in words; of a long group the first members and how many more.

    Examples
    --------
    >>> words("sand:local_forecast")
    'sand: local forecast'
    >>> words("air_temperature + land_surface_temperature + latitude + evaporation", 46)
    'air temperature and 3 more'
    """
    members = [one.replace("_", " ").replace(":", ": ") for one in name.split(" + ")]
    text = " + ".join(members).replace("$", r"\$")
    if len(text) <= length:
        return text
    kept = members[:1]
    for member in members[1:]:
        if len(" + ".join([*kept, member])) + len(" and 9 more") > length:
            break
        kept.append(member)
    left = len(members) - len(kept)
    text = " + ".join(kept).replace("$", r"\$")
    text = text if len(text) <= length else text[: length - 1] + "…"
    return f"{text} and {left} more" if left else text


def importance_panels(found: Explanation) -> Figure:
    """Draw importances of every measure, a panel each, groups in the order of the first one."""
    by_measure: dict[str, list[ImportanceRecord]] = {
        name: [one for one in found.importances if one.measure == name] for name in _MEASURES
    }
    panels = [name for name, rows in by_measure.items() if rows]
    groups = _ranked(found, panels[0])
    figure = new_figure(9.6, 0.34 * len(groups) + 1.1)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    colours = dict(zip((one.name for one in found.scales), scale_colours(found), strict=True))
    unit = pretty_unit(found.unit)
    for panel, name in zip(axes, panels, strict=True):
        rows = by_measure[name]
        _empty(panel)
        scales = list(dict.fromkeys(one.scale for one in rows))
        for place, scale in enumerate(scales):
            shift = 0.2 * (place - (len(scales) - 1) / 2)
            own = {one.group: one for one in rows if one.scale == scale}
            at = np.arange(len(groups)) + shift
            values = np.array([own[group].value for group in groups])
            ends = np.array([(own[group].lower, own[group].upper) for group in groups])
            panel.hlines(at, 0, values, color=colours[scale], linewidth=1.6, alpha=0.45)
            panel.hlines(at, ends[:, 0], ends[:, 1], color=colours[scale], linewidth=1.0)
            panel.plot(values, at, "o", color=colours[scale], markersize=4.5, label=scale)
        panel.axvline(0, color="#b6bec4", linewidth=0.8, zorder=0.5)
        set_title(panel, _MEASURES[name])
        panel.set_xlabel("share" if name == "impurity" else unit, fontsize=8.5, color=INK)
        panel.locator_params(axis="x", nbins=4)
    _name_rows(axes[0], groups)
    _legend(figure, found)
    return figure


def sensitivity_lines(found: Explanation) -> Figure:
    """Draw the total index of every group at every scale, with intervals over blocks."""
    order = _sensitive(found)
    answers = {change.group: change.answer for change in found.comparisons[-1].changes}
    figure = new_figure(9.6, 0.42 * len(order) + 1.1)
    axes = figure.subplots()
    _empty(axes)
    rows = {(one.scale, one.group): one for one in found.sensitivity}
    for place, (scale, colour) in enumerate(zip(found.scales, scale_colours(found), strict=True)):
        own = [rows[scale.name, group] for group in order]
        at = np.arange(len(order)) + 0.18 * (place - (len(found.scales) - 1) / 2)
        axes.hlines(
            at,
            [one.total_lower for one in own],
            [one.total_upper for one in own],
            color=colour,
            linewidth=1.4,
        )
        axes.plot([one.total for one in own], at, "o", color=colour, markersize=5)
    axes.set_xlim(left=0)
    axes.set_xlabel(
        "share of the variance of the predictions (Sobol's total index)", fontsize=8.5, color=INK
    )
    _name_rows(axes, order, 56)
    tones = {"holds": INK, "does not hold": WORSE, "cannot be told": FAINT}
    for label, group in zip(axes.get_yticklabels(), order, strict=True):
        label.set_color(tones[answers[group]])
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(order)), [answers[group] for group in order])
    right.tick_params(length=0, labelsize=8)
    right.spines["right"].set_visible(False)
    for label, group in zip(right.get_yticklabels(), order, strict=True):
        label.set_color(tones[answers[group]])
    _legend(figure, found)
    return figure


def effect_curves(found: Explanation) -> Figure:
    """Draw accumulated local effects of some features at every scale, partial dependence dashed."""
    features = list(dict.fromkeys(one.feature for one in found.effects))
    columns = min(3, len(features))
    rows = -(-len(features) // columns)
    figure = new_figure(9.6, 2.35 * rows + 0.5)
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    colours = dict(zip((one.name for one in found.scales), scale_colours(found), strict=True))
    for panel, feature in zip(axes, features, strict=False):
        clear_axes(panel, grid="y")
        for one in found.effects:
            if one.feature != feature:
                continue
            is_local = one.method == "ale"
            below = np.cumsum(one.count) / max(sum(one.count), 1)
            shown = slice(max(2, int(np.searchsorted(below, SHOWN)) + 1))
            panel.plot(
                one.value[shown],
                one.effect[shown],
                color=colours[one.scale],
                linewidth=1.6 if is_local else 1.0,
                linestyle="-" if is_local else (0, (3, 2)),
            )
        set_title(panel, words(feature))
        panel.locator_params(axis="x", nbins=5)
    for panel in axes[len(features) :]:
        panel.set_visible(False)
    for panel in axes[::columns]:
        panel.set_ylabel(f"effect ({pretty_unit(found.unit)})", fontsize=8.5, color=INK)
    _legend(figure, found, dashed=True)
    return figure


def _ranked(found: Explanation, measure: str) -> list[str]:
    """Order the groups by a measure at the scale of learning, the largest first."""
    rows = [one for one in found.importances if one.measure == measure]
    first = {one.group: one.value for one in rows if one.scale == rows[0].scale}
    return sorted(first, key=lambda group: -first[group])[:MOST_GROUPS]


def _sensitive(found: Explanation) -> list[str]:
    largest: dict[str, float] = {}
    for one in found.sensitivity:
        largest[one.group] = max(largest.get(one.group, 0.0), one.total)
    return sorted(largest, key=lambda group: -largest[group])[:MOST_GROUPS]


def _empty(axes: Axes) -> None:
    clear_axes(axes, grid="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _name_rows(axes: Axes, groups: list[str], length: int = 40) -> None:
    axes.set_yticks(range(len(groups)), [words(group, length) for group in groups])
    axes.set_ylim(len(groups) - 0.4, -0.6)


def _legend(figure: Figure, found: Explanation, *, dashed: bool = False) -> None:
    from matplotlib.lines import Line2D

    roles = {"learned": "where it learned", "used": "where it is used", "between": "in between"}
    handles = [
        Line2D([], [], color=colour, marker="o", markersize=4.5, linewidth=1.6)
        for colour in scale_colours(found)
    ]
    labels = [f"{one.name}, {roles[one.role]}" for one in found.scales]
    if dashed:
        handles.append(Line2D([], [], color=LEARNED, linewidth=1.0, linestyle=(0, (3, 2))))
        labels.append("partial dependence")
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=4,
        frameon=False,
        fontsize=8,
        labelcolor=INK,
    )
