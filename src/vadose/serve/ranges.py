"""The values that get the first and the last colour of a layer, from a sample of it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from vadose.serve.colours import Palette
from vadose.serve.fields import Field, read

#: Steps and windows along a side that are looked at, and cells along the side of a window.
STEPS, WINDOWS, SIDE = 6, 3, 192


def range_of(source: Field, palette: Palette) -> tuple[float, float]:
    """Give round numbers around the 2nd and 98th percentile of a sample; symmetric for differences.

    Raises
    ------
    VadoseError
        When the store cannot be read.
    """
    if palette == "origin":
        return 0.0, 255.0
    values = sample(source)
    if not values.size:
        return (-1.0, 1.0) if palette == "difference" else (0.0, 1.0)
    if palette == "difference":
        bound = rounded_up(float(np.quantile(np.abs(values), 0.98)) or 1e-3)
        return -bound, bound
    if palette in ("uncertainty", "age"):
        return 0.0, rounded_up(float(np.quantile(values, 0.98)) or 1e-3)
    low, high = (float(value) for value in np.quantile(values, [0.02, 0.98]))
    step = rounded_up((high - low) / 20 or abs(high) / 20 or 1e-3)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    return round(low, 9), round(high if high > low else low + step, 9)


def rounded_up(value: float) -> float:
    """Give the next number of 1, 2, 2.5, 5 and their tenfolds.

    Examples
    --------
    >>> rounded_up(0.013), rounded_up(4.2)
    (0.02, 5.0)
    """
    power = 10.0 ** math.floor(math.log10(value))
    factor = next(one for one in (1, 2, 2.5, 5, 10) if one * power >= value * (1 - 1e-9))
    return round(factor * power, 12)


def sample(source: Field) -> npt.NDArray[np.float64]:
    """Read values of a few windows at a few steps: enough for a scale, whatever the size of the field."""
    rows, columns = tuple(source.grid.shape)
    steps = np.unique(np.linspace(0, max(source.times.size - 1, 0), STEPS).astype(int))
    parts = [
        read(source, int(step), slice(top, top + SIDE), slice(left, left + SIDE)).ravel()
        for step in steps
        for top in _starts(rows)
        for left in _starts(columns)
    ]
    values = np.concatenate(parts).astype("f8")
    return np.asarray(values[np.isfinite(values)])


def _starts(count: int) -> list[int]:
    if count <= SIDE * WINDOWS:
        return list(range(0, count, SIDE))
    return [int(start) for start in np.linspace(0, count - SIDE, WINDOWS)]
