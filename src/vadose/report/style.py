"""The look of all figures: colours, figure without global state, axes with little ink."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from vadose.errors import MissingExtra
from vadose.schema.colours import BORDER as BORDER
from vadose.schema.colours import COAST as COAST
from vadose.schema.colours import NO_DATA as NO_DATA
from vadose.schema.colours import OCEAN as OCEAN
from vadose.schema.colours import ORIGIN_COLOURS as ORIGIN_COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

INK, FAINT = "#22303a", "#6b7780"
BETTER, WORSE, NEUTRAL = "#1b6ca8", "#b3541e", "#8b959c"
#: Origins of pixels that have no value.
WITHOUT_VALUE = ("missing", "masked")
DOTS_PER_INCH = 180
#: Size of most of the type in figures, points.
DESIGN_FONT = 8.5
#: What was measured, in every chart.
MEASURED = "#1a1a1a"
#: Okabe and Ito's colours for methods beside the published one and the baselines.
_OTHERS = ("#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#6a5acd", "#8c6d31", "#5b8c5a")

_UNITS = {"m3 m-3": "m³ m⁻³", "mm day-1": "mm day⁻¹", "kg m-2": "kg m⁻²", "1": ""}


def new_figure(
    width: float, height: float, *, layout: Literal["constrained", "compressed"] = "constrained"
) -> Figure:
    """Give an empty figure of this size in inches, apart from any global state of matplotlib.

    Raises
    ------
    MissingExtra
        When matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", extra="report") from error
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def moisture_colours() -> Colormap:
    """Give the colours from dry (yellow) to wet (dark blue); the palest shade is left out."""
    import numpy as np
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps["YlGnBu"](np.linspace(0.06, 1.0, 256)), name="moisture")


def difference_colours() -> Colormap:
    """Give the colours from too dry (brown) over none (white) to too wet (teal)."""
    from matplotlib import colormaps

    return colormaps["BrBG"]


def method_colours(names: Sequence[str], published: str) -> dict[str, str]:
    """Give each method its colour: the published one blue, the baselines grey, others apart from each other.

    Examples
    --------
    >>> method_colours(["nearest", "forest", "closed"], "closed")
    {'nearest': '#8b959c', 'forest': '#e69f00', 'closed': '#1b6ca8'}
    """
    fixed = {"nearest": NEUTRAL, "smooth": "#b9a26a", published: BETTER}
    others = [name for name in names if name not in fixed]
    free = {name: _OTHERS[place % len(_OTHERS)] for place, name in enumerate(others)}
    return {name: fixed.get(name) or free[name] for name in names}


def set_title(axes: Axes, text: str) -> None:
    """Write the title of a panel, small and to the left."""
    axes.set_title(text, loc="left", fontsize=9.5, color=INK, pad=4)


def clear_axes(axes: Axes, *, grid: str = "") -> None:
    """Take the frame away and keep faint ticks; `grid` is ``x``, ``y``, ``both`` or none."""
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(side in ("left", "bottom"))
        axes.spines[side].set_color("#b6bec4")
        axes.spines[side].set_linewidth(0.7)
    axes.tick_params(labelsize=8, labelcolor=INK, color="#b6bec4", width=0.7, length=3)
    axes.set_axisbelow(True)
    if grid == "both" or grid == "x":
        axes.grid(axis="x", color="#e7eaec", linewidth=0.7)
    if grid == "both" or grid == "y":
        axes.grid(axis="y", color="#e7eaec", linewidth=0.7)


def pretty_unit(unit: str) -> str:
    """Give a unit as it is printed.

    Examples
    --------
    >>> pretty_unit("m3 m-3")
    'm³ m⁻³'
    """
    return _UNITS.get(unit, unit)


def png(figure: Figure, *, dots_per_inch: int | None = None) -> bytes:
    """Draw a figure as PNG, without the name and version of the software that drew it."""
    content = io.BytesIO()
    dots = "figure" if dots_per_inch is None else dots_per_inch
    figure.savefig(content, format="png", dpi=dots, metadata={"Software": None})
    return content.getvalue()
