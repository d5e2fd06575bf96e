"""From the time steps of a product to days: means, composites held or interpolated.

A stamp marks the start of the interval it stands for (``docs/conventions.md``); a step belongs to the day
of its stamp. Days are UTC days without leap seconds or summer time, or days of the local sun.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.cubes.days import codes_or, daily
from vadose.errors import CubeProblem, RecipeProblem, UnknownName
from vadose.grids import grid_of, lonlat
from vadose.schema import Variable, variable

DailyRule = Literal["mean", "sum", "min", "max", "majority", "any"]
Clock = Literal["utc", "local_solar"]
#: Rules that make sense for each kind of variable.
DAILY_RULES: dict[str, tuple[str, ...]] = {
    "continuous": ("mean", "sum", "min", "max"),
    "class": ("majority",),
    "mask": ("majority", "any"),
}
#: A day.
DAY = np.timedelta64(1, "D")
Days = npt.NDArray[np.datetime64]


def to_daily(
    cube: xr.Dataset,
    *,
    minimum_steps: int,
    rules: Mapping[str, DailyRule] | None = None,
    clock: Clock = "utc",
) -> xr.Dataset:
    """Make days of hourly, 3-hourly or other steps, or of the instants of a swath.

    Parameters
    ----------
    cube
        Dims ``[member,] time, y, x``; variables without time are kept as they are.
    minimum_steps
        Valid steps a day must have; with fewer it is a gap.
    rules
        By variable, where not the mean (states, rates per day), the majority (classes, masks; of equals
        the lowest) or any (quality: the reasons of all steps): ``sum`` (rates per day: the amount of the
        valid steps; those that lack add nothing), ``min``, ``max``, ``any``.
    clock
        ``utc``, or ``local_solar``: a step belongs to the day that the sun shows at its longitude
        (UTC + longitude / 15 h), so that morning and evening passes fall on one day all round.

    Returns
    -------
    xarray.Dataset
        All days from the first to the last, also those without a step. NaN (the code of no class, 0 for
        flags) where a day has too few valid steps.

    Raises
    ------
    RecipeProblem
        A rule for a variable that is not there, or that its kind forbids; a minimum below 1.
    CubeProblem
        A cube without time.

    Examples
    --------
    >>> import pandas as pd
    >>> from vadose.grids import coordinates, latlon
    >>> times = pd.date_range("2019-07-01", periods=4, freq="12h")
    >>> coords = coordinates(latlon(180.0)) | {"time": times}
    >>> values = np.array([280.0, 290.0, 281.0, np.nan]).reshape(4, 1, 1) * np.ones((1, 1, 2))
    >>> cube = xr.Dataset({"air_temperature": (("time", "y", "x"), values)}, coords=coords)
    >>> to_daily(cube, minimum_steps=2)["air_temperature"].values[:, 0, 0]
    array([285.,  nan])
    """
    need_time(cube)
    rules = dict(rules or {})
    unknown = sorted(set(rules) - {str(name) for name in cube.data_vars})
    if unknown:
        raise RecipeProblem(
            "daily rules",
            found=f"rules for {', '.join(unknown)}",
            expected=f"some of {', '.join(sorted(map(str, cube.data_vars)))}",
        )
    if minimum_steps < 1:
        raise RecipeProblem("minimum_steps", found=f"{minimum_steps}", expected="1 or more")
    if clock not in get_args(Clock):
        raise UnknownName("clock", clock, get_args(Clock))
    times = cube["time"].values.astype("M8[ns]")
    shift = None if clock == "utc" else lonlat(grid_of(cube))[0] / 360.0
    arrays = {}
    for name in map(str, cube.data_vars):
        row, array = variable(name), cube[name]
        if "time" not in array.dims:
            arrays[name] = array
            continue
        rule = rules.get(name) or _default_rule(row)
        _check_rule(row, rule)
        arrays[name] = daily(array, times, shift, rule, minimum_steps, row.missing)
        method = "mean" if row.kind == "continuous" and rule == "mean" else rule
        names = {"min": "minimum", "max": "maximum", "any": "maximum", "majority": "mode"}
        arrays[name].attrs["cell_methods"] = f"time: {names.get(method, method)}"
    result = xr.Dataset(arrays, attrs=cube.attrs)
    if clock == "local_solar":
        result["time"].attrs["comment"] = "days of the local sun: UTC + longitude / 15 h"
    return result


def _default_rule(row: Variable) -> str:
    if row.name == "quality":
        return "any"
    return "mean" if row.kind == "continuous" else "majority"


def _check_rule(row: Variable, rule: str) -> None:
    if rule not in get_args(DailyRule):
        raise UnknownName("daily rule", rule, get_args(DailyRule))
    allowed = [*DAILY_RULES[row.kind], *(["any"] if row.name == "quality" else [])]
    if not row.units.endswith(" day-1") and "sum" in allowed:
        allowed.remove("sum")
    if rule not in allowed:
        raise RecipeProblem(
            f"daily rule of {row.name}",
            found=f"{rule!r} for a {row.kind} variable in {row.units}",
            expected=f"one of {', '.join(allowed)}",
        )


def hold_to_days(cube: xr.Dataset, days: npt.ArrayLike, *, period_days: int = 16) -> xr.Dataset:
    """Give each day the composite in whose period it lies (Ma et al.).

    Parameters
    ----------
    cube
        Composites stamped with the first day of their period; variables without time are kept.
    days
        The days wanted, such as the ``time`` of another cube.
    period_days
        Length of a period; where two overlap (at a year's end) the later one holds.

    Returns
    -------
    xarray.Dataset
        One step per day; NaN (the code of no class, 0 for flags) outside all periods.

    Examples
    --------
    >>> from vadose.grids import coordinates, latlon
    >>> coords = coordinates(latlon(180.0)) | {"time": np.array(["2019-01-01"], "M8[ns]")}
    >>> cube = xr.Dataset({"ndvi": (("time", "y", "x"), [[[0.5, 0.6]]])}, coords=coords)
    >>> hold_to_days(cube, ["2019-01-16", "2019-01-17"])["ndvi"].values[:, 0, 0]
    array([0.5, nan])
    """
    wanted, starts = _wanted(cube, days)
    place = np.searchsorted(starts, wanted, side="right") - 1
    is_held = (place >= 0) & (wanted < starts[place] + period_days * DAY)
    held = xr.DataArray(is_held, dims="time", coords={"time": wanted})

    def hold(array: xr.DataArray) -> xr.DataArray:
        found = array.isel(time=np.maximum(place, 0)).assign_coords(time=wanted)
        return codes_or(found, held, variable(str(array.name)).missing)

    return _on_days(cube, hold)


def interpolate_to_days(
    cube: xr.Dataset, days: npt.ArrayLike, *, period_days: int = 16
) -> xr.Dataset:
    """Interpolate composites linearly in time, from the middle of a period to the middle of the next.

    Parameters
    ----------
    cube
        Composites stamped with the first day of their period; variables without time are kept, classes
        and masks are held as by `hold_to_days`.
    days
        The days wanted; a day's value is that of its noon.
    period_days
        Length of a period.

    Returns
    -------
    xarray.Dataset
        One step per day. Before the first and after the last middle the composite is held to the end of
        its period. NaN outside all periods, where one of the two composites is NaN, and between
        composites more than two periods apart.

    Examples
    --------
    >>> from vadose.grids import coordinates, latlon
    >>> times = np.array(["2019-01-01", "2019-01-17"], "M8[ns]")
    >>> coords = coordinates(latlon(180.0)) | {"time": times}
    >>> values = [[[0.0, 0.0]], [[1.6, 0.0]]]
    >>> cube = xr.Dataset({"ndvi": (("time", "y", "x"), values)}, coords=coords)
    >>> interpolate_to_days(cube, ["2019-01-09", "2019-01-10"])["ndvi"].values[:, 0, 0].round(3)
    array([0.05, 0.15])
    """
    wanted, starts = _wanted(cube, days)
    hours = np.timedelta64(1, "h")
    noon = (wanted + 12 * hours - starts[0]) / hours
    middles = (starts - starts[0]) / hours + 12.0 * period_days
    later = np.searchsorted(middles, noon, side="left")
    first, second = np.clip(later - 1, 0, starts.size - 1), np.clip(later, 0, starts.size - 1)
    gap = middles[second] - middles[first]
    share = np.divide(noon - middles[first], gap, out=np.zeros(noon.shape), where=gap > 0)
    is_within = np.abs(noon - np.clip(noon, middles[0], middles[-1])) < 12.0 * period_days
    is_known = is_within & (gap <= 48.0 * period_days)
    coords = {"time": wanted}
    weight = xr.DataArray(share, dims="time", coords=coords)
    known = xr.DataArray(is_known, dims="time", coords=coords)

    def between(array: xr.DataArray) -> xr.DataArray:
        before = array.isel(time=first).assign_coords(time=wanted).astype("f8")
        after = array.isel(time=second).assign_coords(time=wanted).astype("f8")
        mixed = before * (1.0 - weight) + after * weight
        mixed = mixed.where(weight > 0.0, before).where(weight < 1.0, after)
        return mixed.where(known).astype(array.dtype)

    codes = [name for name in cube.data_vars if variable(str(name)).kind != "continuous"]
    held = hold_to_days(cube[codes], days, period_days=period_days) if codes else xr.Dataset()
    smooth = _on_days(cube.drop_vars(codes), between)
    joined = smooth.assign(dict(held.data_vars))
    return joined[list(cube.data_vars)]


def _wanted(cube: xr.Dataset, days: npt.ArrayLike) -> tuple[Days, Days]:
    """Give the days wanted and the stamps of a cube, in one resolution."""
    need_time(cube)
    wanted = np.atleast_1d(np.asarray(days, "M8[D]")).astype("M8[ns]")
    return wanted, cube["time"].values.astype("M8[ns]")


def _on_days(cube: xr.Dataset, function: Callable[[xr.DataArray], xr.DataArray]) -> xr.Dataset:
    arrays = {}
    for name, array in cube.data_vars.items():
        is_static = "time" not in array.dims
        arrays[name] = array if is_static else function(array).transpose(*array.dims)
        arrays[name].attrs = dict(array.attrs)
    return xr.Dataset(arrays, attrs=cube.attrs)


def need_time(cube: xr.Dataset) -> None:
    """Refuse a cube without time steps."""
    if "time" not in cube.dims:
        raise CubeProblem("cube", found="no dimension time", expected="time steps")
