"""Which readings a stamp of a product is compared with: those of its days, or those within hours of it.

Each way has the same method, so that one can be passed for another, or written by the user.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import NoOverlap, ValueProblem
from vadose.validate.match import (
    check_clock,
    check_stations,
    interval_means,
    match_times,
    period_words,
    station_coordinates,
)

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]
#: Stations taken at once.
_BLOCK = 128


class Interval(Protocol):
    """Bring the readings of stations to the stamps of a product."""

    def match(self, stations: xr.Dataset, times: npt.ArrayLike) -> xr.DataArray:
        """Give the reading of each station that goes with each stamp, dims ``station, time``."""
        ...


@dataclass(frozen=True)
class Days:
    """Compare a stamp with the mean of the days from it on.

    Attributes
    ----------
    days
        Days that a stamp stands for.
    minimum_days
        Fewest of them with a reading; else NaN.
    """

    days: int = 1
    minimum_days: int = 1

    def match(self, stations: xr.Dataset, times: npt.ArrayLike) -> xr.DataArray:
        """Average the daily means of the readings."""
        return match_times(stations, times, days=self.days, minimum_days=self.minimum_days)


@dataclass(frozen=True)
class Window:
    """Compare a stamp with the readings within some hours before and after it, both ends included.

    Attributes
    ----------
    hours
        Half of the width.
    how
        ``mean`` of the readings, or the ``nearest`` one; of two at the same distance the earlier.
    """

    hours: float
    how: Literal["mean", "nearest"] = "mean"

    def match(self, stations: xr.Dataset, times: npt.ArrayLike) -> xr.DataArray:
        """Take the readings within the window.

        Raises
        ------
        ValueProblem
            No width, or stamps within the day against daily stations.
        NoOverlap
            No reading within any window.

        Examples
        --------
        >>> hours = np.arange("2019-07-01T00", "2019-07-01T12", 3, dtype="M8[h]").astype("M8[ns]")
        >>> stations = xr.Dataset(
        ...     {"soil_moisture": (("station", "time"), [[0.1, 0.2, np.nan, 0.4]])},
        ...     coords={"lat": ("station", [40.5]), "lon": ("station", [1.2]), "time": hours},
        ... )
        >>> Window(3).match(stations, ["2019-07-01T06"]).values.round(3)
        array([[0.3]])
        """
        check_stations(stations)
        if not self.hours > 0:
            raise ValueProblem("window", found=f"{self.hours:g} hours", expected="more than 0")
        stamps = np.asarray(times, dtype="M8[ns]")
        moments = stations["time"].values.astype("M8[ns]")
        check_clock(moments, stamps)
        half = np.timedelta64(round(self.hours * 3600), "s")
        begin = np.searchsorted(moments, stamps - half)
        end = np.searchsorted(moments, stamps + half, side="right")
        if not (begin < end).any():
            raise NoOverlap(
                "stations",
                found=f"no reading within {self.hours:g} hours of a stamp: stations "
                f"{period_words(moments)}, product {period_words(stamps)}",
                expected="periods that meet",
            )
        readings = stations["soil_moisture"]
        result = np.empty((readings.sizes["station"], stamps.size))
        for start in range(0, len(result), _BLOCK):
            part = slice(start, start + _BLOCK)
            values = readings.isel(station=part).values.astype("f8")
            if self.how == "mean":
                result[part] = interval_means(values, np.stack([begin, end]), 1)
            else:
                result[part] = _nearest(values, moments, stamps, half)
        return xr.DataArray(
            result,
            dims=("station", "time"),
            coords={**station_coordinates(stations), "time": stamps},
            name="soil_moisture",
            attrs=dict(readings.attrs),
        )


def _nearest(values: Floats, moments: Times, stamps: Times, half: np.timedelta64) -> Floats:
    """Take the nearest reading that there is, ``station, stamp``; NaN where it is too far."""
    number = np.arange(moments.size)
    is_read = ~np.isnan(values)
    # the last reading up to each place, and the first from there on; the ends stand for none
    before = np.maximum.accumulate(np.where(is_read, number, -1), axis=1)
    after = np.where(is_read, number, moments.size)[:, ::-1]
    after = np.minimum.accumulate(after, axis=1)[:, ::-1]
    until = np.searchsorted(moments, stamps, side="right") - 1
    since = np.searchsorted(moments, stamps)
    earlier = np.pad(before, ((0, 0), (1, 0)), constant_values=-1)[:, until + 1]
    later = np.pad(after, ((0, 0), (0, 1)), constant_values=moments.size)[:, since]
    clock = moments.astype("i8")
    far = np.iinfo("i8").max
    gap_before = np.where(earlier >= 0, stamps.astype("i8") - clock[np.maximum(earlier, 0)], far)
    gap_after = np.where(
        later < moments.size, clock[np.minimum(later, moments.size - 1)] - stamps.astype("i8"), far
    )
    place = np.where(gap_before <= gap_after, earlier, later)
    gap = np.minimum(gap_before, gap_after)
    is_near = gap <= half.astype("m8[ns]").astype("i8")
    taken = np.take_along_axis(values, np.clip(place, 0, moments.size - 1), axis=1)
    return np.where(is_near, taken, np.nan)
