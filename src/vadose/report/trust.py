"""How far the product may be trusted: three-cornered hat, width of intervals, and area of applicability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from vadose.report.charts import short
from vadose.report.dates import evenly
from vadose.report.figures import add_colour_bar, draw_map
from vadose.report.frames import frame_of
from vadose.report.graticule import draw_graticule
from vadose.report.judged import Judged
from vadose.report.runs import Run
from vadose.report.scales import draw_scale_bar
from vadose.report.style import new_figure, pretty_unit, set_title
from vadose.report.tables import number, percent, whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from odc.geo.geobox import GeoBox

Array = npt.NDArray[np.floating]

#: Cells of one layer that are read for a map of a mean, on evenly chosen dates.
MOST_CELLS = 40_000_000
#: Cells of all dates together that are held at once.
AT_ONCE = 4_000_000
#: Share of cells with a negative variance beyond which a three-cornered hat tells nothing.
MOST_CONSTRAINED = 0.3
SEASONS = ("December to February", "March to May", "June to August", "September to November")


@dataclass(frozen=True)
class Layer:
    """Hold one map: its title, its field ``(y, x)``, and whether it is a share from 0 to 1."""

    title: str
    field: Array
    is_share: bool = False


def mean_over_dates(array: xr.DataArray) -> tuple[Array, int]:
    """Give the mean over evenly chosen dates of the values that are there, and how many dates were read."""
    if "time" not in array.dims:
        return np.asarray(array.values, "f8"), 1
    total, count = np.zeros(array.shape[1:]), np.zeros(array.shape[1:])
    blocks = _blocks(array)
    for places in blocks:
        fields = np.asarray(array.isel(time=places).values, "f8")
        known = np.isfinite(fields)
        total += np.where(known, fields, 0.0).sum(axis=0)
        count += known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0, total / count, np.nan), sum(map(len, blocks))


def _blocks(array: xr.DataArray) -> list[npt.NDArray[np.int64]]:
    """Choose dates evenly, and part them into blocks that are read at once."""
    cells = max(array.sizes["y"] * array.sizes["x"], 1)
    places = evenly(array.sizes["time"], max(MOST_CELLS // cells, 1))
    size = max(AT_ONCE // cells, 1)
    return [places[start : start + size] for start in range(0, len(places), size)]


def width_layers(run: Run) -> list[Layer]:
    """Read the mean width of the product's intervals and its spread; none where it has none."""
    target = run.manifest.target
    layers = []
    for name, title in (
        (f"{target}_interval_width", "Width of the interval"),
        (f"{target}_spread", "Spread of the model's parts"),
        (f"{target}_uncertainty", "Uncertainty"),
    ):
        if name in run.product:
            field, count = mean_over_dates(run.product[name])
            over = f", mean over {count} dates" if count > 1 else ""
            layers.append(Layer(f"{title}{over}", field))
    return layers


def applicability_layers(run: Run) -> list[Layer]:
    """Read on what share of the dates the model has learned from the like; none where that was not asked for."""
    if "is_applicable" not in run.product:
        return []
    target = run.manifest.target
    inside, count = _share_applicable(run.product["is_applicable"], run.product[target])
    over = f"Share of {count} dates inside" if count > 1 else "Inside (1) or outside (0)"
    layers = [Layer(over, inside, is_share=True)]
    if "dissimilarity_index" in run.product:
        index, _ = mean_over_dates(run.product["dissimilarity_index"])
        layers.append(Layer("Dissimilarity to what was learned from, mean", index))
    return layers


def _share_applicable(inside: xr.DataArray, value: xr.DataArray) -> tuple[Array, int]:
    """Give the share of the dates with a value on which a cell is inside."""
    if "time" not in inside.dims:
        known = np.isfinite(value.squeeze(drop=True).values)
        return np.where(known, inside.values.astype("f8"), np.nan), 1
    total, count = np.zeros(inside.shape[1:]), np.zeros(inside.shape[1:])
    blocks = _blocks(inside)
    for places in blocks:
        known = np.isfinite(value.isel(time=places).values)
        total += (known & (inside.isel(time=places).values == 1)).sum(axis=0)
        count += known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0, total / count, np.nan), sum(map(len, blocks))


def hat_layers(judged: Judged) -> tuple[list[Layer], GeoBox] | None:
    """Read the maps of the three-cornered hat; None where there are none, or nothing could be told."""
    path = judged.path / "three_cornered_hat.zarr"
    if judged.summary.hat is None or not path.is_dir():
        return None
    from vadose.grids import grid_of

    with xr.open_zarr(path, consolidated=False) as found:
        if "error_sd" not in found:
            return None
        fields = found["error_sd"].load()
        grid = grid_of(found)
    if not np.isfinite(fields.values).any():
        return None
    layers = [
        Layer(judged.title(str(name)), fields.sel(product=name).values.astype("f8"))
        for name in fields["product"].values
    ]
    return layers, grid


def hat_fails(judged: Judged | None) -> bool:
    """Tell whether so many variances came out negative that the errors of the methods are not independent."""
    found = None if judged is None else judged.summary.hat
    return found is not None and found.constrained_share > MOST_CONSTRAINED


def draw_layers(layers: Sequence[Layer], grid: GeoBox, *, label: str, unit: str) -> Figure:
    """Draw maps side by side: shares from 0 to 1 in one scale, the others in another."""
    columns = max(len(layers), 2)
    frame = frame_of(grid, pixels=800)
    width = 10.6
    figure = new_figure(width, width / columns / frame.aspect + 0.32 + 0.6, layout="compressed")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    measured = [layer for layer in layers if not layer.is_share]
    top = max((_top(layer.field) for layer in measured), default=1.0)
    for panel, layer in zip(axes, layers, strict=False):
        image = draw_map(
            panel, frame, grid, frame.warp(layer.field, grid),
            cmap="cividis" if layer.is_share else "viridis",
            vmin=0, vmax=1 if layer.is_share else top,
        )  # fmt: skip
        draw_graticule(panel, frame, labels=not frame.is_global and panel is axes[0])
        set_title(panel, short(layer.title, 52))
        if layer.is_share:
            add_colour_bar(figure, image, [panel], "share of dates", shrink=0.8, extend="neither")
        elif len(measured) < len(layers):
            add_colour_bar(figure, image, [panel], label, shrink=0.8, extend="max")
    for panel in axes[len(layers) :]:
        panel.set_visible(False)
    if measured and len(measured) == len(layers):
        words = f"{label} ({pretty_unit(unit)})" if unit else label
        add_colour_bar(figure, image, list(axes[: len(layers)]), words, extend="max")
    draw_scale_bar(axes[0], frame)
    return figure


def _top(field: Array) -> float:
    known = field[np.isfinite(field)]
    return max(float(np.quantile(known, 0.98)), 1e-6) if known.size else 1.0


def layers_table(layers: Sequence[Layer], grid: GeoBox) -> pd.DataFrame:
    """Lay maps out as a table: ``x, y`` and a column for each, where one of them has a value."""
    known = np.any([np.isfinite(layer.field) for layer in layers], axis=0)
    rows, columns = np.nonzero(known)
    return pd.DataFrame(
        {
            "x": grid.affine.c + grid.affine.a * (columns + 0.5),
            "y": grid.affine.f + grid.affine.e * (rows + 0.5),
            **{layer.title: layer.field[rows, columns] for layer in layers},
        }
    )


@dataclass(frozen=True)
class Covered:
    """Hold what is told of intervals: where they come from, how much they hold, and by class."""

    source: str
    level: str
    sentence: str
    tone: str
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def tell_coverage(judged: Judged | None) -> Covered | None:
    """Tell how much of what was held out lies inside the intervals; None where none were made."""
    found = None if judged is None else judged.summary.intervals
    if found is None or not found.coverage:
        return None
    first = found.coverage[0]
    gap = first.coverage - found.level
    near = abs(gap) <= max(2 * first.standard_error, 0.02)
    words = "as they should" if near else "too few" if gap < 0 else "more than they need"
    rows = []
    for row in found.coverage:
        off = abs(row.coverage - found.level) > max(2 * row.standard_error, 0.05)
        rows.append(
            (
                _class_words(row.kind, row.label),
                (
                    f"{100 * row.coverage:.1f} %"
                    if np.isfinite(row.coverage)
                    else number(row.coverage, 0),
                    percent(row.standard_error).lstrip("+"),
                    number(row.width, 3),
                    whole(row.points),
                    whole(row.blocks),
                    "off" if off else "",
                ),
            )
        )
    return Covered(
        source=found.source,
        level=f"{100 * found.level:.3g} %",
        sentence=(
            f"Of the values held out, {100 * first.coverage:.1f} % lie inside the intervals of "
            f"{100 * found.level:.3g} %: {words}."
        ),
        tone="" if near else "worse" if gap < 0 else "",
        rows=tuple(rows),
    )


def _class_words(kind: str, label: str) -> str:
    """Name a class of the table in words.

    Examples
    --------
    >>> _class_words("season", "2"), _class_words("value", "0"), _class_words("all", "all")
    ('June to August', 'value: lowest third', 'all')
    """
    if kind == "season" and label in "0123":
        return SEASONS[int(label)]
    if kind in ("value", "spread") and label in "012":
        return f"{kind}: {('lowest', 'middle', 'highest')[int(label)]} third"
    if kind == "is_gap":
        return "in coarse gaps" if label == "True" else "under observed coarse cells"
    return label if kind == label else f"{kind.replace('_', ' ')}: {label}"
