"""Series of sensors joined into one dataset on all their times, with everything dropped counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import NoOverlap, ValueProblem
from vadose.grids import Region
from vadose.products.base import Period, parse_period
from vadose.schema import VARIABLES

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Sensor:
    """Hold the series of one sensor.

    Attributes
    ----------
    network, station, instrument
        Names.
    latitude, longitude
        Degrees.
    depth_from, depth_to
        Layer in m, positive downward; equal for a probe at one depth.
    times
        UTC, in any order.
    values
        Soil moisture in m³ m⁻³, NaN where it is missing or not good.
    flag_count
        Number of values of each flag, dropped ones included.
    """

    network: str
    station: str
    instrument: str
    latitude: float
    longitude: float
    depth_from: float
    depth_to: float
    times: Times
    values: Floats
    flag_count: Mapping[str, int]

    @property
    def identity(self) -> tuple[str, str, str, float, float]:
        """Give what tells two sensors apart."""
        return self.network, self.station, self.instrument, self.depth_from, self.depth_to


def join_sensors(
    sensors: Iterable[Sensor],
    *,
    source: str,
    region: Region | None = None,
    period: Period | None = None,
) -> xr.Dataset:
    """Join series into one dataset on all their times.

    Pieces of one sensor are joined in time; of two values at one time the last given stays, and the
    others are counted under the flag ``duplicate``. Values outside 0 to 1 are dropped and counted as
    ``out_of_range``.

    Returns
    -------
    xarray.Dataset
        ``soil_moisture (sensor, time)`` and ``flag_count (sensor, flag)``.

    Raises
    ------
    NoOverlap
        No sensor in the region or no value in the period.
    ValueProblem
        Not one good value; the message gives the flags that there are.
    """
    pieces: dict[tuple[str, str, str, float, float], Sensor] = {}
    for sensor in sensors:
        if region is not None and not _is_inside(sensor, region):
            continue
        if sensor.identity in pieces:
            sensor = _append(pieces[sensor.identity], sensor)
        pieces[sensor.identity] = sensor
    if not pieces:
        raise NoOverlap(
            source,
            found="no soil moisture sensor",
            expected="at least one" if region is None else f"at least one in {region}",
        )
    tidy = [_tidy(sensor, period) for sensor in pieces.values()]
    times = np.unique(np.concatenate([sensor.times for sensor in tidy]))
    if times.size == 0:
        raise NoOverlap(source, found="no measurement", expected=f"some within {period}")
    flags = sorted(set().union(*(sensor.flag_count for sensor in tidy)))
    values = np.full((len(tidy), times.size), np.nan, "f4")
    for row, sensor in zip(values, tidy, strict=True):
        row[np.searchsorted(times, sensor.times)] = sensor.values
    counts = np.array([[s.flag_count.get(flag, 0) for flag in flags] for s in tidy], "i8")
    if np.isnan(values).all():
        total = ", ".join(f"{n} {flag}" for flag, n in zip(flags, counts.sum(0), strict=True) if n)
        raise ValueProblem(
            source,
            found=f"not one good value ({total})",
            expected="values with a good flag",
            remedy="Name the flags to keep.",
        )
    names = ("station", "network", "instrument", "latitude", "longitude", "depth_from", "depth_to")
    coords = {name: ("sensor", [getattr(sensor, name) for sensor in tidy]) for name in names}
    stations = xr.Dataset(
        {
            "soil_moisture": (("sensor", "time"), values, VARIABLES["soil_moisture"].attributes()),
            "flag_count": (("sensor", "flag"), counts, {"long_name": "values of each flag"}),
        },
        coords={"sensor": np.arange(len(tidy)), "time": times, "flag": flags, **coords},
    )
    stations = stations.rename(latitude="lat", longitude="lon")
    for name, unit in (("lat", "degrees_north"), ("lon", "degrees_east")):
        stations[name].attrs["units"] = unit
    for name in ("depth_from", "depth_to"):
        stations[name].attrs.update(units="m", positive="down")
    return stations


def _is_inside(sensor: Sensor, region: Region) -> bool:
    west, south, east, north = region
    return west <= sensor.longitude <= east and south <= sensor.latitude <= north


def _append(first: Sensor, second: Sensor) -> Sensor:
    flags = set(first.flag_count) | set(second.flag_count)
    return replace(
        second,
        times=np.concatenate([first.times, second.times]),
        values=np.concatenate([first.values, second.values]),
        flag_count={f: first.flag_count.get(f, 0) + second.flag_count.get(f, 0) for f in flags},
    )


def _tidy(sensor: Sensor, period: Period | None) -> Sensor:
    """Sort by time, drop duplicates and impossible values, keep the period."""
    times = sensor.times.astype("datetime64[ns]")
    order = np.argsort(times, kind="stable")
    times, values = times[order], sensor.values[order].astype("f8")
    is_last = np.append(times[1:] != times[:-1], True) if times.size else np.zeros(0, bool)
    flags = dict(sensor.flag_count)
    if not is_last.all():
        flags["duplicate"] = int((~is_last).sum())
    times, values = times[is_last], values[is_last]
    low, high = VARIABLES["soil_moisture"].valid_range
    is_out = (values < low) | (values > high)
    if is_out.any():
        flags["out_of_range"] = int(is_out.sum())
        values = np.where(is_out, np.nan, values)
    if period is not None:
        first, last = (np.datetime64(day, "D") for day in parse_period(period))
        days = times.astype("datetime64[D]")
        is_kept = (days >= first) & (days <= last)
        times, values = times[is_kept], values[is_kept]
    return replace(sensor, times=times, values=values, flag_count=flags)
