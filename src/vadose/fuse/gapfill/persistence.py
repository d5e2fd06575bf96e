"""The nearest day's value: what must be beaten."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import numpy as np
import xarray as xr

from vadose.errors import UnknownName
from vadose.fuse.gapfill.records import Floats, read_record, write_field


class Persistence:
    """Take the value of another day as it is.

    Parameters
    ----------
    which
        ``nearest`` in time, the earlier one of two that are as near; or the ``last`` one, NaN before the
        first.

    Examples
    --------
    >>> days = np.arange("2019-07-01", "2019-07-05", dtype="M8[D]").astype("M8[ns]")
    >>> seen = xr.DataArray(
    ...     np.array([0.2, np.nan, np.nan, 0.5]).reshape(4, 1, 1),
    ...     dims=("time", "y", "x"),
    ...     coords={"time": days, "y": [0.0], "x": [0.0]},
    ... )
    >>> model = xr.Dataset({"soil_moisture": xr.full_like(seen, 0.3)})
    >>> Persistence().fit(seen, model).fill(seen, model).values.ravel().round(2)
    array([0.2, 0.2, 0.5, 0.5], dtype=float32)
    """

    name: ClassVar[str] = "persistence"

    def __init__(self, *, which: Literal["nearest", "last"] = "nearest") -> None:
        self.which = which

    def fit(self, satellite: xr.DataArray, model: xr.Dataset) -> Self:
        """Check the record; there is nothing to learn."""
        if self.which not in ("nearest", "last"):
            raise UnknownName("persistence", self.which, ("nearest", "last"))
        read_record(satellite, model)
        return self

    def fill(self, satellite: xr.DataArray, model: xr.Dataset) -> xr.DataArray:
        """Give the value of the nearest day; NaN where nothing is observed, or the model has no value."""
        record = read_record(satellite, model)
        before, after = neighbours_in_time(record.observed, record.days)
        values = before.value
        if self.which == "nearest":
            is_later = ~(before.apart <= after.apart)
            values = np.where(is_later, after.value, before.value)
        values = np.where(np.isfinite(record.observed), record.observed, values)
        return write_field(np.where(np.isfinite(record.modelled), values, np.nan), satellite)


class LinearInTime:
    """Go straight from the value before a gap to the one after it; at either end the nearest holds.

    Examples
    --------
    >>> days = np.arange("2019-07-01", "2019-07-05", dtype="M8[D]").astype("M8[ns]")
    >>> seen = xr.DataArray(
    ...     np.array([np.nan, 0.2, np.nan, 0.5]).reshape(4, 1, 1),
    ...     dims=("time", "y", "x"),
    ...     coords={"time": days, "y": [0.0], "x": [0.0]},
    ... )
    >>> model = xr.Dataset({"soil_moisture": xr.full_like(seen, 0.3)})
    >>> LinearInTime().fit(seen, model).fill(seen, model).values.ravel().round(2)
    array([0.2 , 0.2 , 0.35, 0.5 ], dtype=float32)
    """

    name: ClassVar[str] = "linear_in_time"

    def fit(self, satellite: xr.DataArray, model: xr.Dataset) -> Self:
        """Check the record; there is nothing to learn."""
        read_record(satellite, model)
        return self

    def fill(self, satellite: xr.DataArray, model: xr.Dataset) -> xr.DataArray:
        """Give the line's value; NaN where nothing is observed, or the model has no value."""
        record = read_record(satellite, model)
        before, after = neighbours_in_time(record.observed, record.days)
        with np.errstate(invalid="ignore"):
            share = before.apart / (before.apart + after.apart)
            values = before.value + share * (after.value - before.value)
        for end, other in ((before, after), (after, before)):
            values = np.where(np.isfinite(other.apart), values, end.value)
        values = np.where(np.isfinite(record.observed), record.observed, values)
        return write_field(np.where(np.isfinite(record.modelled), values, np.nan), satellite)


class Beside:
    """Hold, of every place, the observation before it or after it, itself excluded.

    Attributes
    ----------
    value
        As observed; NaN where there is none.
    apart
        Days to it; infinite where there is none.
    step
        Step of the observation; -1 where there is none.
    """

    def __init__(self, values: Floats, step: Floats, days: Floats) -> None:
        self.step = np.where(np.isfinite(step), step, -1).astype("i8")
        is_there = self.step >= 0
        at = np.maximum(self.step, 0)
        self.value = np.where(is_there, np.take_along_axis(values, at, axis=0), np.nan)
        self.apart = np.where(is_there, np.abs(days[at] - days[:, None, None]), np.inf)

    def of(self, field: Floats) -> Floats:
        """Take another field's value on the day of the observation; NaN where there is none."""
        taken = np.take_along_axis(field, np.maximum(self.step, 0), axis=0)
        return np.where(self.step >= 0, taken, np.nan)


def neighbours_in_time(observed: Floats, days: Floats) -> tuple[Beside, Beside]:
    """Find the observations before and after each place, dims ``time, y, x``."""
    place = np.arange(len(observed), dtype="f8")[:, None, None]
    is_seen = np.isfinite(observed)
    last = np.maximum.accumulate(np.where(is_seen, place, -np.inf), axis=0)
    following = np.minimum.accumulate(np.where(is_seen, place, np.inf)[::-1], axis=0)[::-1]
    none = np.full_like(last[:1], np.inf)
    return (
        Beside(observed, np.concatenate([-none, last[:-1]]), days),
        Beside(observed, np.concatenate([following[1:], none]), days),
    )
