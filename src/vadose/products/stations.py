"""Stations as one dataset: layers chosen, sensors merged, hours made days.

Raw data (`read_ismn`, `read_table`) have dims ``sensor, time``: a station may have many sensors, several
at one depth. After `select_layer` they have dims ``station, time``. In both, ``soil_moisture`` is
m³ m⁻³ and NaN where there is no good measurement, and ``flag_count`` tells what became of the rest.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import CubeProblem, NoOverlap, ValueProblem
from vadose.products.stations_ismn import read_ismn
from vadose.products.stations_table import StationTable, read_table

__all__ = [
    "StationTable",
    "layer_weights",
    "merge_sensors",
    "read_ismn",
    "read_table",
    "select_layer",
    "to_daily",
]

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

#: Slack in depths, m: a probe at 2 inches (0.0508) belongs to a layer that ends at 0.05.
TOLERANCE = 0.002


def layer_weights(depth_from: Floats, depth_to: Floats, top: float, bottom: float) -> Floats:
    """Give the thickness (m) of a layer that each sensor stands for; 0 where it is not in it.

    A sensor that measures a layer of its own weighs by the overlap, if at least half of its layer lies
    inside. Probes at one depth share the layer: each stands for what is nearer to it than to another.

    Examples
    --------
    >>> depths = np.array([0.05, 0.10, 0.20, 0.50])
    >>> layer_weights(depths, depths, 0.0, 0.3).round(3)
    array([0.075, 0.075, 0.15 , 0.   ])
    >>> layer_weights(np.array([0.0, 0.05]), np.array([0.05, 0.15]), 0.0, 0.1)
    array([0.05, 0.05])
    """
    weights = np.zeros(depth_from.size)
    thickness = depth_to - depth_from
    is_probe = thickness <= TOLERANCE
    overlap = np.minimum(depth_to, bottom) - np.maximum(depth_from, top)
    is_layer = ~is_probe & (overlap >= thickness / 2 - TOLERANCE)
    weights[is_layer] = np.maximum(overlap[is_layer], 0)
    depth = (depth_from + depth_to) / 2
    is_in = is_probe & (depth >= top - TOLERANCE) & (depth <= bottom + TOLERANCE)
    if is_in.any():
        order = np.flatnonzero(is_in)[np.argsort(depth[is_in], kind="stable")]
        between = np.clip((depth[order][1:] + depth[order][:-1]) / 2, top, bottom)
        weights[order] = np.diff([top, *between, bottom])
    return weights


def select_layer(
    stations: xr.Dataset, top: float, bottom: float, *, minimum_share: float = 0.5
) -> xr.Dataset:
    """Take the mean over a layer at every station, weighted by thickness.

    Parameters
    ----------
    stations
        Dims ``sensor, time``.
    top, bottom
        The layer in m, positive downward.
    minimum_share
        Smallest share of the layer's weight that must be measured at a time; else NaN.

    Returns
    -------
    xarray.Dataset
        ``soil_moisture (station, time)``, ``flag_count``, ``number_of_sensors``. Stations without a
        sensor in the layer are left out and counted in ``stations_without_layer``.

    Raises
    ------
    NoOverlap
        No sensor in the layer; the message lists the depths.
    ValueProblem
        Sensors share a depth.
    """
    _check_dims(stations, "sensor")
    if not 0 <= top < bottom:
        raise ValueProblem("layer", found=f"{top:g} to {bottom:g} m", expected="0 <= top < bottom")
    names = [
        f"{n}/{s}"
        for n, s in zip(*(stations[c].values for c in ("network", "station")), strict=True)
    ]
    values = stations["soil_moisture"].values.astype("f8")
    begin, end = (stations[name].values.astype("f8") for name in ("depth_from", "depth_to"))
    rows, firsts, counts, numbers, depths = [], [], [], [], []
    for name in dict.fromkeys(names):
        members = np.flatnonzero([other == name for other in names])
        weights = layer_weights(begin[members], end[members], top, bottom)
        layers = list(zip(begin[members].tolist(), end[members].tolist(), strict=True))
        within = {layer for layer, weight in zip(layers, weights, strict=True) if weight > 0}
        for layer in sorted(within):
            if layers.count(layer) > 1:
                raise ValueProblem(
                    f"station {name}",
                    found=f"{layers.count(layer)} sensors at {layer[0]:g} to {layer[1]:g} m",
                    expected="one sensor a depth",
                    remedy="Merge them with merge_sensors, or drop all but one.",
                )
        members, weights = members[weights > 0], weights[weights > 0]
        if not members.size:
            continue
        present = np.where(np.isnan(values[members]), 0.0, weights[:, None])
        total = present.sum(axis=0)
        is_enough = (total > 0) & (total >= minimum_share * weights.sum() - 1e-12)
        sums = (np.nan_to_num(values[members]) * present).sum(axis=0)
        rows.append(np.where(is_enough, sums / np.where(total > 0, total, 1), np.nan))
        firsts.append(int(members[0]))
        counts.append(stations["flag_count"].values[members].sum(axis=0))
        numbers.append(members.size)
        depths.append((begin[members].min(), end[members].max()))
    if not rows:
        found = sorted({f"{a:g}-{b:g}" for a, b in zip(begin, end, strict=True)})
        raise NoOverlap(f"layer {top:g} to {bottom:g} m", found=f"sensors at {', '.join(found)} m")
    labels = stations["station"].values[firsts].astype(str)
    if len(set(labels)) < labels.size:
        labels = np.array(names)[firsts]
    attrs = {**stations["soil_moisture"].attrs, "depth_from": top, "depth_to": bottom}
    return xr.Dataset(
        {
            "soil_moisture": (("station", "time"), np.stack(rows).astype("f4"), attrs),
            "flag_count": (("station", "flag"), np.stack(counts), stations["flag_count"].attrs),
            "number_of_sensors": ("station", np.array(numbers)),
        },
        coords={
            "station": labels,
            "time": stations["time"],
            "flag": stations["flag"],
            **{
                name: ("station", stations[name].values[firsts], stations[name].attrs)
                for name in ("network", "lat", "lon")
            },
            "depth_from": ("station", [a for a, _ in depths], stations["depth_from"].attrs),
            "depth_to": ("station", [b for _, b in depths], stations["depth_to"].attrs),
        },
        attrs={
            **stations.attrs,
            "stations_without_layer": len(dict.fromkeys(names)) - len(rows),
        },
    )


def merge_sensors(stations: xr.Dataset, how: Literal["mean", "longest"] = "mean") -> xr.Dataset:
    """Make one sensor of those that share a station and a depth.

    Parameters
    ----------
    stations
        Dims ``sensor, time``.
    how
        ``mean``: of the sensors that have a value at that time. Sensors with different offsets make a
        step where one starts or stops. ``longest``: the sensor with most values, alone.

    Returns
    -------
    xarray.Dataset
        Dims ``sensor, time``, one sensor a depth; ``flag_count`` of all together.
    """
    _check_dims(stations, "sensor")
    keys = list(
        zip(
            *(
                stations[name].values.tolist()
                for name in ("network", "station", "depth_from", "depth_to")
            ),
            strict=True,
        )
    )
    values = stations["soil_moisture"].values
    kept, rows, counts = [], [], []
    for key in dict.fromkeys(keys):
        members = np.flatnonzero([other == key for other in keys])
        is_value = ~np.isnan(values[members])
        best = int(members[is_value.sum(axis=1).argmax()])
        kept.append(best)
        number = is_value.sum(axis=0)
        sums = np.nan_to_num(values[members]).astype("f8").sum(axis=0)
        mean = np.where(number > 0, sums / np.maximum(number, 1), np.nan)
        rows.append(values[best] if how == "longest" else mean.astype("f4"))
        counts.append(stations["flag_count"].values[members].sum(axis=0))
    merged = stations.isel(sensor=kept)
    return merged.assign(
        soil_moisture=merged["soil_moisture"].copy(data=np.stack(rows)),
        flag_count=merged["flag_count"].copy(data=np.stack(counts)),
    ).assign_coords(sensor=np.arange(len(kept)))


def to_daily(stations: xr.Dataset, *, minimum_hours: int) -> xr.Dataset:
    """Take daily means (UTC), of hourly means where there are several values an hour.

    Parameters
    ----------
    stations
        Dims ``sensor, time`` or ``station, time``.
    minimum_hours
        Fewest hours of the day with a value; a day with fewer is NaN. Take 1 for daily data.

    Returns
    -------
    xarray.Dataset
        Times are days, stamped 00:00.

    Raises
    ------
    ValueProblem
        No day has so many hours.
    """
    row = "sensor" if "sensor" in stations.dims else "station"
    _check_dims(stations, row)
    if not 1 <= minimum_hours <= 24:
        raise ValueProblem("minimum_hours", found=f"{minimum_hours}", expected="1 to 24")
    times = stations["time"].values
    hours, hourly = _means(times.astype("datetime64[h]"), stations["soil_moisture"].values)
    days, daily = _means(hours.astype("datetime64[D]"), hourly)
    first = np.searchsorted(hours.astype("datetime64[D]"), days)
    present = np.add.reduceat(~np.isnan(hourly), first, axis=1, dtype="i4")
    daily[present < minimum_hours] = np.nan
    if np.isnan(daily).all():
        raise ValueProblem(
            "minimum_hours",
            found=f"{minimum_hours}, but no day has more than {present.max()} hours with a value",
            expected="fewer",
            remedy="Take minimum_hours=1 for daily data.",
        )
    attrs = {**stations["soil_moisture"].attrs, "cell_methods": "time: mean"}
    result = stations.drop_vars(("soil_moisture", "time")).assign_coords(
        time=days.astype("datetime64[ns]")
    )
    result["soil_moisture"] = ((row, "time"), daily.astype("f4"), attrs)
    order = ["soil_moisture", *(name for name in result.data_vars if name != "soil_moisture")]
    return result[order].assign_attrs(minimum_hours=minimum_hours)


def _means(steps: Times, values: npt.NDArray[np.floating]) -> tuple[Times, Floats]:
    """Average columns that share a step, over those with a value; NaN where none has."""
    unique, first = np.unique(steps, return_index=True)
    number = np.add.reduceat(~np.isnan(values), first, axis=1, dtype="i8")
    sums = np.add.reduceat(np.nan_to_num(values).astype("f8"), first, axis=1)
    return unique, np.where(number > 0, sums / np.maximum(number, 1), np.nan)


def _check_dims(stations: xr.Dataset, row: str) -> None:
    array = stations.get("soil_moisture")
    if array is None or array.dims != (row, "time"):
        raise CubeProblem(
            "stations",
            found=f"soil_moisture with dims {array.dims}" if array is not None else "none",
            expected=f"soil_moisture with dims ({row}, time)",
            remedy="Read them with read_ismn or read_table.",
        )
