"""The scale bar of a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyproj

from vadose.report.frames import Frame
from vadose.report.style import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEPS = (1, 2, 5)


def bar_length(width: float) -> float:
    """Give a round length of about a quarter of a map's width, in its unit.

    Examples
    --------
    >>> bar_length(910.0), bar_length(88.0)
    (200.0, 20.0)
    """
    wanted = width / 4
    power = 10.0 ** np.floor(np.log10(wanted))
    return float(max(step * power for step in _STEPS if step * power <= wanted * 1.0001))


def draw_scale_bar(axes: Axes, frame: Frame) -> None:
    """Draw a bar of a round number of km at the lower right; none on a map of the Earth, which has no one scale."""
    from matplotlib import patheffects

    if frame.is_global:
        return
    left, bottom, right, top = frame.bounds
    per_unit = kilometres_per_unit(frame)
    length = bar_length((right - left) * per_unit)
    size = length / per_unit
    end, height = right - 0.04 * (right - left), bottom + 0.045 * (top - bottom)
    halo = [patheffects.withStroke(linewidth=3.2, foreground="white")]
    axes.plot([end - size, end], [height, height], color=INK, linewidth=2.0, zorder=6,
              solid_capstyle="butt", path_effects=halo)  # fmt: skip
    axes.annotate(
        f"{length:g} km",
        (end - size / 2, height),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=7.5,
        color=INK,
        zorder=6,
        path_effects=halo,
    )


def kilometres_per_unit(frame: Frame) -> float:
    """Measure on the ellipsoid how far the map's unit reaches from west to east, where the bar stands."""
    left, bottom, right, top = frame.bounds
    height = bottom + 0.05 * (top - bottom)
    x = np.linspace(left + 0.6 * (right - left), right, 5)
    inverse = pyproj.Transformer.from_crs(frame.crs, "EPSG:4326", always_xy=True)
    longitude, latitude = inverse.transform(x, np.full(5, height))
    metres = pyproj.Geod(ellps="WGS84").line_length(longitude, latitude)
    return float(metres) / 1000 / float(x[-1] - x[0])
