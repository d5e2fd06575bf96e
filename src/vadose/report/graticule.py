"""Meridians and parallels, with their degrees on the left and lower edge of the map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vadose.report.frames import Frame
from vadose.report.style import FAINT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)


def draw_graticule(axes: Axes, frame: Frame, *, labels: bool = False) -> None:
    """Draw meridians and parallels at a step that suits the map, and its edge if it is a globe."""
    west, south, east, north = frame.region
    style: dict[str, Any] = {"color": "#8f9aa2", "linewidth": 0.35, "alpha": 0.55}
    if frame.is_global:
        step_x = step_y = 30.0
    else:
        step_x, step_y = _step(east - west), _step(north - south)
    along_y = np.linspace(max(south - 1, -90), min(north + 1, 90), 181)
    along_x = np.linspace(max(west - 1, -180), min(east + 1, 180), 361)
    places: list[tuple[bool, float, str]] = []
    for longitude in np.arange(np.ceil(west / step_x), np.floor(east / step_x) + 1) * step_x:
        points = frame.project(np.column_stack([np.full(along_y.size, longitude), along_y]))
        if len(points):
            axes.plot(points[:, 0], points[:, 1], **style)
            place = _crossing(points[:, 1], points[:, 0], frame.bounds[1])
            places.append((True, place, degrees(longitude, "EW")))
    for latitude in np.arange(np.ceil(south / step_y), np.floor(north / step_y) + 1) * step_y:
        points = frame.project(np.column_stack([along_x, np.full(along_x.size, latitude)]))
        if len(points):
            axes.plot(points[:, 0], points[:, 1], **style)
            place = _crossing(points[:, 0], points[:, 1], frame.bounds[0])
            places.append((False, place, degrees(latitude, "NS")))
    if frame.is_global:
        _draw_edge(axes, frame)
    if labels:
        _label(axes, frame, places)


def _label(axes: Axes, frame: Frame, places: list[tuple[bool, float, str]]) -> None:
    left, bottom, right, top = frame.bounds
    below = [(p, t) for is_below, p, t in places if is_below and left <= p <= right]
    beside = [(p, t) for is_below, p, t in places if not is_below and bottom <= p <= top]
    axes.set_xticks([place for place, _ in below], [text for _, text in below])
    axes.set_yticks([place for place, _ in beside], [text for _, text in beside])
    axes.tick_params(length=0, labelsize=7, labelcolor=FAINT, pad=2)


def _draw_edge(axes: Axes, frame: Frame) -> None:
    """Draw the two sides of the globe, just inside the antimeridian."""
    _, south, _, north = frame.region
    latitude = np.linspace(south, north, 181)
    for longitude in (frame.region[0], frame.region[2]):
        points = frame.project(np.column_stack([np.full(latitude.size, longitude), latitude]))
        axes.plot(points[:, 0], points[:, 1], color="#9aa4ab", linewidth=0.6)


def _step(span: float) -> float:
    """Give the step in degrees that makes about four lines."""
    return next((step for step in _STEPS if span / step <= 5), _STEPS[-1])


def _crossing(
    across: npt.NDArray[np.float64], along: npt.NDArray[np.float64], edge: float
) -> float:
    """Find where a line crosses an edge of the map; NaN where it does not."""
    with np.errstate(invalid="ignore"):
        at = np.flatnonzero((across[:-1] - edge) * (across[1:] - edge) <= 0)
    if not at.size:
        return float("nan")
    first = int(at[0])
    move = across[first + 1] - across[first]
    share = (edge - across[first]) / move if move else 0.0
    return float(along[first] + share * (along[first + 1] - along[first]))


def degrees(value: float, letters: str) -> str:
    """Write degrees with their side.

    Examples
    --------
    >>> degrees(-12.5, "EW"), degrees(0.0, "NS")
    ('12.5°W', '0°')
    """
    letter = letters[0] if value > 0 else letters[1]
    return f"{abs(value):g}°{letter if value else ''}"
