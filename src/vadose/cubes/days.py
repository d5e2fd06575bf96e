"""The arithmetic of days: steps of each pixel's day reduced to one value, lazily."""

from __future__ import annotations

import functools

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
NANOSECONDS = 86_400_000_000_000


def daily(
    array: xr.DataArray,
    times: npt.NDArray[np.datetime64],
    shift: Array | None,
    rule: str,
    minimum_steps: int,
    missing: int | None,
) -> xr.DataArray:
    """Reduce the steps of each day to one value.

    Parameters
    ----------
    array
        Dims ``[member,] time, y, x``.
    times
        Stamps, UTC, increasing.
    shift
        What the local clock is ahead of UTC, in days, dims ``y, x``; None for UTC.
    rule
        ``mean``, ``sum``, ``min``, ``max``, ``majority`` or ``any``.
    minimum_steps
        Valid steps a day must have.
    missing
        Code of no class.

    Returns
    -------
    xarray.DataArray
        All days from the first to the last; of the type of the array.

    Examples
    --------
    >>> times = np.array(["2019-07-01T23", "2019-07-02T01"], "M8[ns]")
    >>> array = xr.DataArray([[[1.0]], [[3.0]]], dims=("time", "y", "x"))
    >>> daily(array, times, None, "mean", 1, None).values.ravel()
    array([1., 3.])
    >>> daily(array, times, np.array([[0.1]]), "mean", 1, None).values.ravel()
    array([2.])
    """
    days_ahead = np.zeros((1, 1)) if shift is None else shift
    ahead = np.broadcast_to(np.round(days_ahead * NANOSECONDS).astype("i8"), array.shape[-2:])
    steps = times.astype("M8[ns]").astype("i8")
    lowest, highest = (_day(steps, int(value)) for value in (ahead.min(), ahead.max()))
    first, count = int(lowest[0]), int(highest[-1] - lowest[0]) + 1
    axis = array.get_axis_num("time")
    reduce = functools.partial(
        _reduce_block,
        steps=steps,
        first=first,
        count=count,
        rule=rule,
        minimum=minimum_steps,
        fill=_fill(array, missing),
        axis=axis,
        missing=missing,
    )
    if array.chunks is None:
        values = reduce(array.values, ahead)
    else:
        data = array.data.rechunk({axis: -1})
        shifts = da.from_array(np.ascontiguousarray(ahead), chunks=data.chunks[-2:])
        chunks = tuple((count,) if i == axis else part for i, part in enumerate(data.chunks))
        values = da.map_blocks(
            reduce,
            data,
            shifts,
            chunks=chunks,
            dtype=array.dtype,
            meta=np.empty((0,) * data.ndim, array.dtype),
        )
    days = (first + np.arange(count)).astype("M8[D]").astype("M8[ns]")
    coords = {name: coord for name, coord in array.coords.items() if "time" not in coord.dims}
    return xr.DataArray(
        values,
        dims=array.dims,
        coords={**coords, "time": days},
        name=array.name,
        attrs=array.attrs,
    )


def codes_or(array: xr.DataArray, known: xr.DataArray, missing: int | None) -> xr.DataArray:
    """Keep values where they are known; elsewhere NaN, the code of no class, or 0 for flags."""
    if np.issubdtype(array.dtype, np.integer):
        return array.where(known, 0 if missing is None else missing).astype(array.dtype)
    return array.where(known)


def _fill(array: xr.DataArray, missing: int | None) -> float:
    if np.issubdtype(array.dtype, np.integer):
        return 0 if missing is None else missing
    return float("nan")


def _day(steps: Integers, ahead: int) -> Integers:
    """Give the number of each step's local day."""
    return np.asarray((steps + ahead) // NANOSECONDS)


def _reduce_block(
    values: npt.NDArray[np.generic],
    ahead: Integers,
    *,
    steps: Integers,
    first: int,
    count: int,
    rule: str,
    minimum: int,
    fill: float,
    axis: int,
    missing: int | None,
) -> npt.NDArray[np.generic]:
    """Reduce a block that holds the whole time axis; pixels whose steps fall on the same days at once."""
    moved = np.moveaxis(values, axis, 0)
    flat = moved.reshape(steps.size, -1, ahead.size)  # time, members, pixels
    result = np.full((count, flat.shape[1], ahead.size), fill, values.dtype)
    # the days of the steps change where the shift passes one of these, and nowhere else
    turns = np.unique(-steps % NANOSECONDS)
    group = np.searchsorted(
        np.concatenate([turns - NANOSECONDS, turns]), ahead.ravel(), side="right"
    )
    length = float(np.median(np.diff(steps))) / NANOSECONDS if steps.size > 1 else 1.0
    for number in np.unique(group):
        pixels = np.flatnonzero(group == number)
        day = _day(steps, int(ahead.ravel()[pixels[0]])) - first
        starts = np.flatnonzero(np.diff(day, prepend=-1))
        reduced, valid = _reduce(flat[:, :, pixels], starts, rule, length, missing)
        enough = np.where(valid >= minimum, reduced, fill).astype(values.dtype)
        result[day[starts][:, None], :, pixels] = enough.transpose(0, 2, 1)
    return np.moveaxis(result.reshape(count, *moved.shape[1:]), 0, axis)


def _reduce(
    values: npt.NDArray[np.generic], starts: Integers, rule: str, length: float, missing: int | None
) -> tuple[Array, Integers]:
    """Reduce runs of steps: values and number of valid steps, ``(days, members, pixels)``."""
    if rule == "any":
        codes = np.bitwise_or.reduceat(values.astype("i8"), starts, axis=0)
        steps = np.diff(np.append(starts, values.shape[0]))
        return codes.astype("f8"), np.broadcast_to(steps[:, None, None], codes.shape)
    wide = values.astype("f8")
    is_valid = np.isfinite(wide) if missing is None else wide != missing
    valid = np.add.reduceat(is_valid.astype("i8"), starts, axis=0)
    if rule in ("mean", "sum"):
        total = np.add.reduceat(np.where(is_valid, wide, 0.0), starts, axis=0)
        return (total / np.maximum(valid, 1) if rule == "mean" else total * length), valid
    if rule in ("min", "max"):
        function, neutral = (np.minimum, np.inf) if rule == "min" else (np.maximum, -np.inf)
        return function.reduceat(np.where(is_valid, wide, neutral), starts, axis=0), valid
    best = np.zeros(valid.shape, "i8")
    winner = np.zeros(valid.shape)
    for code in np.unique(wide[is_valid]):
        votes = np.add.reduceat(((wide == code) & is_valid).astype("i8"), starts, axis=0)
        winner, best = np.where(votes > best, code, winner), np.maximum(votes, best)
    return winner, valid
