"""The values that get the first and the last colour of a layer, from a sample of it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from vadose.serve.colours import Palette
from vadose.serve.fields import Field, Numbers, read

#: Steps and windows along a side that are looked at, and cells along the side of a window.
STEPS, WINDOWS, SIDE = 6, 3, 192
#: Numbers of a field that is read as a whole where a sample could miss what is rare.
WHOLE = 20_000_000


def range_of(source: Field, palette: Palette) -> tuple[float, float]:
    """Give round numbers around the 2nd and 98th percentile of a sample; symmetric for differences.

    Ages reach from 0 to the largest there is, for few are old and these are what is looked for.

    Raises
    ------
    VadoseError
        When the store cannot be read.
    """
    if palette == "origin":
        return 0.0, 255.0
    if palette == "age":
        largest = max((float(part.max()) for part in _found(source)), default=0.0)
        return 0.0, rounded_up(largest or 1.0)
    values = sample(source)
    if not values.size:
        return (-1.0, 1.0) if palette == "difference" else (0.0, 1.0)
    if palette == "difference":
        bound = rounded_up(float(np.quantile(np.abs(values), 0.98)) or 1e-3)
        return -bound, bound
    if palette == "uncertainty":
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


def occurring(source: Field) -> frozenset[int] | None:
    """Give the codes that a field of classes has anywhere; None where it is too large to be sure."""
    if not _is_small(source):
        return None
    return frozenset(int(code) for part in _found(source) for code in np.unique(part))


def _is_small(source: Field) -> bool:
    rows, columns = source.grid.shape
    return max(source.times.size, 1) * rows * columns <= WHOLE


def _found(source: Field) -> Iterator[Numbers]:
    """Read all values, some steps at a time, or those of a sample where there are too many."""
    if not _is_small(source):
        values = sample(source)
        yield from [values] if values.size else []
        return
    count, deep = max(source.times.size, 1), source.chunk[0]
    for first in range(0, count, deep):
        steps = slice(first, min(first + deep, count))
        numbers = source.meaning(source.stored(steps, slice(None), slice(None)))
        numbers = numbers[np.isfinite(numbers)]
        if numbers.size:
            yield numbers


def _starts(count: int) -> list[int]:
    if count <= SIDE * WINDOWS:
        return list(range(0, count, SIDE))
    return [int(start) for start in np.linspace(0, count - SIDE, WINDOWS)]
