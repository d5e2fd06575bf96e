"""Find by how much a regridded field lies beside its source: the half-pixel test."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.cubes.places import Array, goes_round, size_ratio, window
from vadose.cubes.resample import points_at, resample
from vadose.grids import grid_of

#: Largest side, in cells of the field, of the part of a map that is compared.
WINDOW = 1024
#: Places and steps that are looked at; more do not make the answer better, only later.
PLACES, STEPS = 8192, 4
#: A shift is found from a quarter of a cell, if it removes at least this share of what is unlike.
LEAST_CELLS, LEAST_GAIN = 0.25, 0.2
#: Unlikeness (1 − r²) that is rounding of single precision.
ALIKE = 1e-7


@dataclass(frozen=True)
class Shift:
    """Hold where a field lies in relation to its source.

    Attributes
    ----------
    east, north
        How far the field lies to the east and north of where it belongs, in cells of the finer of the
        two grids; NaN where it cannot be told: no values in common, or all alike.
    is_found
        True where it is shifted by a quarter of a cell or more, beyond doubt.
    unlike, unlike_shifted
        Share of variance not in common (1 − r²) as it lies, and when moved back.
    """

    east: float
    north: float
    is_found: bool
    unlike: float
    unlike_shifted: float


#: What is said of fields without variance or without anything in common.
UNKNOWN = Shift(float("nan"), float("nan"), False, float("nan"), float("nan"))


def shift_test(before: xr.DataArray, after: xr.DataArray) -> Shift:
    """Compare a regridded field with its source, moved by up to one coarse cell each way.

    The source is interpolated to the places of the field (or averaged over its cells, where these are
    the larger ones) at every trial shift; the best is looked for in ever smaller steps down to an eighth
    of a fine cell. Nothing of the regridding itself is used but the places of the two grids.

    Parameters
    ----------
    before, after
        Source and field, dims ``[member,] [time,] y, x``, any grids. Of time, at most four steps in
        common, evenly spaced, are read; of member the first; of the map some thousand cells.

    Examples
    --------
    >>> from vadose.grids import coordinates, latlon
    >>> fine, coarse = latlon(1.0, (0, 0, 40, 40)), latlon(2.0, (0, 0, 40, 40))
    >>> rng = np.random.default_rng(0)
    >>> source = xr.DataArray(rng.random((20, 20)), dims=("y", "x"), coords=coordinates(coarse))
    >>> from vadose.cubes.regrid import smooth
    >>> field = smooth(source, fine)
    >>> shift_test(source, field).is_found
    False
    >>> shift_test(source, field.copy(data=np.roll(field, 1, axis=1))).east
    1.0
    """
    after = _centre(after)
    source, target = grid_of(before), grid_of(after)
    size = float(np.sqrt(size_ratio(source, target)))  # of a target cell, in source cells
    box = window(source, target, (0, target.shape.y, 0, target.shape.x)) if size > 0 else None
    if box is None:
        return UNKNOWN
    if goes_round(source) and (box[2] < 0 or box[3] > source.shape.x):
        box = (box[0], box[1], 0, source.shape.x)
    pair = _steps_in_common(before, after)
    if pair is None:
        return UNKNOWN
    fine, coarse = min(1.0, 1.0 / size), max(1.0, 1.0 / size)  # cells, in target cells
    inner = int(np.ceil(size)) if size > 1.0 else 1
    rows, columns = _sample((target.shape.y, target.shape.x), coarse, inner)
    known = pair[1].isel(y=np.unique(rows), x=np.unique(columns)).values.astype("f8")
    values = pair[0].isel(y=slice(box[0], box[1]), x=slice(box[2], box[3])).values.astype("f8")
    known = known.reshape(known.shape[0], -1)

    parts = min(inner, 4)
    offsets = list(itertools.product((np.arange(parts) + 0.5) / parts, repeat=2))

    def unlike(east: float, south: float) -> float:
        """Give 1 − r² when the source is looked up at places moved by so many target cells."""
        expected = np.zeros(known.shape)
        for down, along in offsets:
            where = points_at(source, target, columns + along + east, rows + down + south, box)
            expected += resample(values, where, "smooth")[0] / len(offsets)
        return _unlikeness(known, expected)

    return _search(unlike, fine, coarse)


def _centre(array: xr.DataArray) -> xr.DataArray:
    """Cut the middle out of a large map: a shift is everywhere, and memory is not."""
    windows = {
        dim: slice((size - WINDOW) // 2, (size + WINDOW) // 2)
        for dim in ("y", "x")
        if (size := array.sizes[dim]) > WINDOW
    }
    return array.isel(windows)


def _search(unlike: Callable[[float, float], float], fine: float, coarse: float) -> Shift:
    """Look for the least unlikeness: half coarse cells first, then half the step each time."""
    seen: dict[tuple[float, float], float] = {}

    def look(place: tuple[float, float]) -> float:
        if place not in seen:
            seen[place] = unlike(*place)
        return seen[place]

    still = look((0.0, 0.0))
    if not np.isfinite(still):
        return UNKNOWN
    best, step, reach = (0.0, 0.0), coarse / 2, 2
    while still > ALIKE:
        offsets = sorted(itertools.product(range(-reach, reach + 1), repeat=2), key=_distance)
        around = [(best[0] + step * east, best[1] + step * south) for east, south in offsets]
        for place in around:
            if look(place) < seen[best] * (1.0 - 1e-6):
                best = place
        if step <= fine / 8:
            break
        step, reach = step / 2, 1
    gain = 1.0 - seen[best] / still if still > 0.0 else 0.0
    # what is found to the east of a place in the source was moved to the west, and so on
    east, north = -best[0] / fine, best[1] / fine
    is_far = max(abs(east), abs(north)) >= LEAST_CELLS
    return Shift(east + 0.0, north + 0.0, bool(is_far and gain >= LEAST_GAIN), still, seen[best])


def _distance(place: tuple[int, ...]) -> int:
    return sum(number * number for number in place)


def _unlikeness(known: Array, expected: Array) -> float:
    """Give 1 − r² of the deviations from each step's mean, over the places where both have values."""
    is_common = np.isfinite(known) & np.isfinite(expected)
    count = is_common.sum(axis=1, keepdims=True)
    if count.max() < 8:
        return float("nan")
    parts = []
    for values in (known, expected):
        kept = np.where(is_common, values, 0.0)
        deviation = np.where(
            is_common, kept - kept.sum(axis=1, keepdims=True) / np.maximum(count, 1), 0.0
        )
        parts.append(deviation)
    one, other = (float((part**2).sum()) for part in parts)
    level = float((np.where(is_common, known, 0.0) ** 2).sum())
    if min(one, other) <= 1e-12 * level:
        return float("nan")
    return max(0.0, 1.0 - float((parts[0] * parts[1]).sum()) ** 2 / (one * other))


def _sample(shape: tuple[int, int], coarse: float, inner: int) -> tuple[Array, Array]:
    """Choose evenly spaced rows and columns, away from the edges, and give every place of them."""
    parts = min(inner, 4) ** 2
    most = max(int(np.sqrt(PLACES / parts)), 8)
    axes = []
    for count in shape:
        margin = int(np.ceil(1.5 * coarse))
        margin = margin if count > 4 * margin else 0
        within = np.arange(margin, count - margin)
        chosen = np.linspace(0, within.size - 1, min(within.size, most)).round().astype("i8")
        axes.append(within[chosen])
    rows, columns = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    return rows, columns


def _steps_in_common(
    before: xr.DataArray, after: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray] | None:
    """Bring both to dims ``step, y, x`` with a few steps of the same time."""
    pair = [array.isel(member=0) if "member" in array.dims else array for array in (before, after)]
    is_timed = ["time" in array.dims for array in pair]
    if all(is_timed):
        one, other = (array["time"].values.astype("M8[ns]") for array in pair)
        common = np.intersect1d(one, other)
        if not common.size:
            return None
        common = common[spaced(common.size, STEPS)]
        first, second = (array.sel(time=common.astype(array["time"].dtype)) for array in pair)
        return first.transpose("time", "y", "x"), second.transpose("time", "y", "x")
    if any(is_timed):
        return None
    return pair[0].expand_dims("time"), pair[1].expand_dims("time")


def spaced(count: int, most: int) -> npt.NDArray[np.int64]:
    """Give at most so many evenly spaced places of a sequence, with its first and last.

    Examples
    --------
    >>> spaced(365, 3)
    array([  0, 182, 364])
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype("i8"))
