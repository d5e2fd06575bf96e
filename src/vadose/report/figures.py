"""Maps of a run: what went in, what came out, what was true, and where each value comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from vadose.report.frames import Frame, frame_of
from vadose.report.graticule import degrees, draw_graticule
from vadose.report.scales import draw_scale_bar
from vadose.report.scene import Scene, busiest_window
from vadose.report.style import (
    BORDER,
    COAST,
    FAINT,
    INK,
    NO_DATA,
    OCEAN,
    ORIGIN_COLOURS,
    WITHOUT_VALUE,
    clear_axes,
    difference_colours,
    moisture_colours,
    new_figure,
    pretty_unit,
    set_title,
)
from vadose.schema import ORIGIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

Array = npt.NDArray[np.floating]
Window = tuple[slice, slice]

_ORIGIN_LABELS = dict.fromkeys(WITHOUT_VALUE, "no value")


def map_panels(scene: Scene, *, unit: str, window: Window | None = None) -> Figure:
    """Draw coarse input, downscaled product and, where there is one, truth and difference.

    Parameters
    ----------
    scene
        Fields of one moment.
    unit
        Unit of the fields, for the colour bar.
    window
        Rows and columns of the fine grid to zoom in on; the whole map is drawn without it, with the
        busiest window marked.

    Returns
    -------
    matplotlib.figure.Figure
        Panels share one colour scale, from the 2nd to the 98th percentile of the fields shown.
    """
    fine = scene.fine_grid
    frame = frame_of(fine if window is None else fine[window], pixels=1000)
    coarse = frame.warp(scene.coarse, scene.coarse_grid)
    product = frame.warp(scene.product, fine)
    panels = [("Coarse input", coarse), ("Downscaled", product)]
    columns, width = 2, 10.6
    if scene.truth is not None:
        truth = frame.warp(scene.truth, fine)
        panels += [("Truth", truth)]
        if window is not None and frame.aspect < 1.6:
            columns = 4
    rows = 1 if scene.truth is None or columns == 4 else 2
    panel_width = width / columns
    figure = new_figure(
        width, rows * (panel_width / frame.aspect + 0.32) + 0.55, layout="compressed"
    )
    axes = figure.subplots(rows, columns, squeeze=False)
    flat = list(axes.ravel())
    low, high = value_limits([field for _, field in panels])
    for place, (title, field) in enumerate(panels):
        image = draw_map(
            flat[place], frame, fine, field, cmap=moisture_colours(), vmin=low, vmax=high
        )
        set_title(flat[place], title)
    if window is not None:
        draw_graticule(flat[0], frame, labels=True)
        for other in flat[1:]:
            draw_graticule(other, frame)
        draw_scale_bar(flat[0], frame)
    else:
        for other in flat:
            draw_graticule(other, frame, labels=not frame.is_global and other is flat[0])
            _mark(other, frame, fine, busiest_window(scene))
        draw_scale_bar(flat[0], frame)
    name = f"soil moisture ({pretty_unit(unit)})"
    if scene.truth is None:
        add_colour_bar(figure, image, flat, name)
        return figure
    difference = product - truth
    bound = _bound(difference)
    last = draw_map(
        flat[3], frame, fine, difference, cmap=difference_colours(), vmin=-bound, vmax=bound
    )
    set_title(flat[3], "Downscaled − truth")
    if rows == 2:
        add_colour_bar(figure, image, list(axes[:, 0]), name)
        add_colour_bar(figure, last, list(axes[:, 1]), f"difference ({pretty_unit(unit)})")
    else:
        add_colour_bar(figure, image, flat[:3], name)
        add_colour_bar(figure, last, flat[3:], f"difference ({pretty_unit(unit)})", shrink=0.95)
    return figure


def origin_map(origin: npt.NDArray[np.integer], grid: GeoBox) -> Figure:
    """Draw where every value comes from: observed, downscaled, filled and so on."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    frame = frame_of(grid, pixels=900)
    figure = new_figure(5.2, 5.2 / frame.aspect + 0.5)
    axes = figure.subplots()
    is_empty = np.isin(origin, [ORIGIN.code(meaning) for meaning in WITHOUT_VALUE])
    field = frame.warp(np.where(is_empty, np.nan, origin), grid)
    colours = ListedColormap([ORIGIN_COLOURS[meaning] for meaning in ORIGIN.meanings])
    draw_map(axes, frame, grid, field, cmap=colours, vmin=-0.5, vmax=len(ORIGIN.meanings) - 0.5)
    draw_graticule(axes, frame)
    present = [meaning for meaning in ORIGIN.meanings if np.any(origin == ORIGIN.code(meaning))]
    labels = {_ORIGIN_LABELS.get(meaning, meaning): meaning for meaning in present}
    handles = [
        Patch(color=ORIGIN_COLOURS[meaning], label=label) for label, meaning in labels.items()
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=6,
        frameon=False,
        fontsize=8,
        labelcolor=INK,
        handlelength=1.1,
        handleheight=1.0,
    )
    return figure


def window_words(grid: GeoBox, window: Window) -> str:
    """Say in degrees where a window lies.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> window_words(latlon(1.0), (slice(40, 50), slice(170, 190)))
    '10°W to 10°E, 40°N to 50°N'
    """
    ring = _ring(grid[window])
    (west, south), (east, north) = np.round(ring.min(axis=0), 1), np.round(ring.max(axis=0), 1)
    return (
        f"{degrees(west, 'EW')} to {degrees(east, 'EW')}, "
        f"{degrees(south, 'NS')} to {degrees(north, 'NS')}"
    )


def draw_map(axes: Axes, frame: Frame, grid: GeoBox, field: Array, **scale: Any) -> AxesImage:
    """Draw one field over ocean and land without data, under coastlines and borders.

    What lies beyond the grid is paler, so that a gap in the data is not taken for the data's end.
    """
    background = np.ones((*frame.shape, 3))
    is_on = np.isfinite(frame.lonlat[0])
    background[is_on] = _rgb(OCEAN)
    background[frame.is_land] = _rgb(NO_DATA)
    is_beyond = frame.index(grid) < 0
    background[is_beyond] += 0.65 * (1 - background[is_beyond])
    axes.imshow(background, extent=frame.extent, interpolation="nearest")
    image = axes.imshow(
        np.ma.masked_invalid(field), extent=frame.extent, interpolation="nearest", **scale
    )
    coast, border = frame.outlines(frame.coast_layer), frame.outlines("borders_50m")
    thin = 0.6 if frame.is_global else 1.0
    axes.plot(border[:, 0], border[:, 1], color=BORDER, linewidth=0.4 * thin, alpha=0.8)
    axes.plot(coast[:, 0], coast[:, 1], color=COAST, linewidth=0.7 * thin)
    left, bottom, right, top = frame.bounds
    axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[], aspect="equal")
    for spine in axes.spines.values():
        spine.set(visible=not frame.is_global, color="#9aa4ab", linewidth=0.7)
    return image


def _mark(axes: Axes, frame: Frame, grid: GeoBox, window: Window) -> None:
    """Outline the window that the zoomed figure shows."""
    ring = _ring(grid[window])
    points = frame.project(ring)
    if len(points):
        axes.plot(points[:, 0], points[:, 1], color="white", linewidth=2.2)
        axes.plot(points[:, 0], points[:, 1], color="#c2185b", linewidth=1.1)


def _ring(grid: GeoBox, size: int = 40) -> npt.NDArray[np.float64]:
    """Give the edge of a grid as a closed line of longitude and latitude."""
    import pyproj

    share = np.linspace(0, 1, size)
    full, none = np.ones(size), np.zeros(size)
    across = np.concatenate([share, full, share[::-1], none]) * grid.shape.x
    down = np.concatenate([none, share, full, share[::-1]]) * grid.shape.y
    transformer = pyproj.Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True)
    longitude, latitude = transformer.transform(
        grid.affine.c + grid.affine.a * across, grid.affine.f + grid.affine.e * down
    )
    return np.column_stack([longitude, latitude])


def add_colour_bar(
    figure: Figure, image: AxesImage, axes: list[Axes], label: str, *, shrink: float = 0.6,
    extend: Literal["neither", "both", "max"] = "both",
) -> None:  # fmt: skip
    """Draw a horizontal colour bar below some panels; its ends are open where values may lie beyond."""
    from matplotlib.ticker import MaxNLocator

    bar = figure.colorbar(
        image,
        ax=axes,
        orientation="horizontal",
        extend=extend,
        shrink=shrink,
        aspect=38 if shrink < 0.9 else 22,
        pad=0.025,
    )
    clear_axes(bar.ax)
    bar.outline.set_visible(False)
    bar.ax.spines[["left", "bottom"]].set_visible(False)
    bar.ax.tick_params(length=0, labelcolor=FAINT)
    bar.locator = MaxNLocator(6 if shrink < 0.9 else 3)
    bar.update_ticks()
    bar.set_label(label, fontsize=8.5, color=INK)


def value_limits(fields: list[Array]) -> tuple[float, float]:
    """Give the 2nd and 98th percentile of all values, apart from each other."""
    values = np.concatenate([field[np.isfinite(field)] for field in fields])
    if not values.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.quantile(values, [0.02, 0.98]))
    return (low, high) if high > low else (low - 1e-3, high + 1e-3)


def _bound(difference: Array) -> float:
    values = np.abs(difference[np.isfinite(difference)])
    return max(float(np.quantile(values, 0.95)), 1e-6) if values.size else 1e-3


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return red, green, blue
