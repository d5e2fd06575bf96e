"""Departures of product and reading from their own moving mean or climatology, taken before they are paired.

Skill in the course of a year is easily had: what is left after each series' own slow course is taken off tells
of single rains and dry spells. Each series is taken with all of its values, not only those that have a
partner, as QA4SM does with pytesmo.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import ValueProblem

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]

Function = Callable[[Floats], Floats]

#: Window of a moving mean, days.
WINDOW = 35.0
#: Fewest values of a moving mean. pytesmo takes 1, with which a lone value departs by 0 from itself.
MINIMUM = 10
#: Windows of a climatology: before and after days of all years are put together.
SHORT_WINDOW, LONG_WINDOW = 5.0, 35.0
#: Fewest years of a climatology, and values that a year must have to count.
MINIMUM_YEARS, VALUES_A_YEAR = 3, 90
#: Days of a year with 29 February.
_YEAR = 366
#: Rows taken at once.
_BLOCK = 64


def take_moving_anomalies(
    matchup: xr.Dataset, *, window: float = WINDOW, minimum: int = MINIMUM
) -> xr.Dataset:
    """Take off each series' own moving mean.

    Parameters
    ----------
    matchup
        What `vadose.validate.pairs.match` gives, of values.
    window
        Days, centred: half of it on each side, both ends included, so that of daily values 17 on each side
        take part.
    minimum
        Fewest values in the window, the one in its middle included; else NaN. pytesmo and QA4SM take 1.

    Returns
    -------
    xarray.Dataset
        A matchup of anomalies, m³ m⁻³: ``is_pair`` and ``n`` are of pairs that have them, and ``lost``
        has a further reason, ``no anomaly``.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> from vadose.validate.pairs import match
    >>> small = world(size=16, days=60, factor=4, seed=0)
    >>> anomalies = take_moving_anomalies(match({"truth": small.truth["soil_moisture"]}, small.stations))
    >>> anomalies.attrs["of"]
    'anomalies from a moving mean of 35 days with at least 10 values'
    """
    times = matchup["time"].values
    return _replaced(
        matchup,
        lambda values: moving_anomaly(values, times, window=window, minimum=minimum),
        f"anomalies from a moving mean of {window:g} days with at least {minimum} values",
    )


def take_climatology_anomalies(
    matchup: xr.Dataset, *, minimum_years: int = MINIMUM_YEARS
) -> xr.Dataset:
    """Take off each series' own mean course of the year.

    Parameters
    ----------
    matchup
        What `vadose.validate.pairs.match` gives, of values.
    minimum_years
        Fewest years with 90 values or more; a shorter record has no climatology and is left out, NaN.

    Returns
    -------
    xarray.Dataset
        As `take_moving_anomalies`.
    """
    times = matchup["time"].values
    return _replaced(
        matchup,
        lambda values: climatology_anomaly(values, times, minimum_years=minimum_years),
        f"anomalies from a climatology of at least {minimum_years} years",
    )


def moving_mean(values: Floats, times: Times, *, window: float, minimum: int = 1) -> Floats:
    """Average over a centred window.

    Parameters
    ----------
    values
        Dims ``(..., time)``; NaN in gaps.
    times
        Increasing, not necessarily even.
    window
        Days.
    minimum
        Fewest values in the window; else NaN.

    Returns
    -------
    numpy.ndarray
        Same dims, also where the value in the middle is a gap.

    Raises
    ------
    ValueProblem
        No window or minimum.

    Examples
    --------
    >>> days = np.arange("2019-07-01", "2019-07-06", dtype="M8[D]")
    >>> moving_mean(np.array([1.0, 2.0, np.nan, 4.0, 9.0]), days, window=3)
    array([1.5, 1.5, 3. , 6.5, 6.5])
    """
    if not (window > 0 and minimum >= 1):
        raise ValueProblem(
            "moving mean",
            found=f"a window of {window:g} days with {minimum} values",
            expected="window > 0 and minimum >= 1",
        )
    # clocks count in seconds, as half a window of whole days may end at noon
    clock = times.astype("M8[s]").astype("i8")
    half = round(window * 43200)
    begin, end = np.searchsorted(clock, clock - half), np.searchsorted(clock, clock + half, "right")
    return _in_blocks(values, lambda part: _window_means(part, begin, end, minimum))


def moving_anomaly(
    values: Floats, times: Times, *, window: float = WINDOW, minimum: int = MINIMUM
) -> Floats:
    """Take off a moving mean; arguments as those of `moving_mean`.

    Examples
    --------
    >>> days = np.arange("2019-07-01", "2019-07-06", dtype="M8[D]")
    >>> moving_anomaly(np.array([1.0, 2.0, np.nan, 4.0, 9.0]), days, window=3, minimum=2)
    array([-0.5,  0.5,  nan, -2.5,  2.5])
    """
    means = moving_mean(values, times, window=window, minimum=minimum)
    return np.subtract(values, means, out=means)


def climatology(values: Floats, times: Times, *, minimum_years: int = MINIMUM_YEARS) -> Floats:
    """Give the mean course of the year: by day, smoothed before over 5 days and after over 35, round the year.

    Parameters
    ----------
    values
        Dims ``(..., time)``; NaN in gaps.
    times
        Increasing.
    minimum_years
        Fewest years with 90 values or more.

    Returns
    -------
    numpy.ndarray
        Dims ``(..., day)``, 366 days of which the 60th is 29 February; NaN for records that are too
        short, and for days with no value within reach.

    References
    ----------
    As pytesmo 0.18 ``calc_climatology`` with its defaults.

    Examples
    --------
    >>> days = np.arange("2015-01-01", "2019-01-01", dtype="M8[D]")
    >>> climatology(np.full(days.size, 0.2), days)[[0, 59, 365]].round(6)
    array([0.2, 0.2, 0.2])
    """
    if minimum_years < 1:
        raise ValueProblem("minimum_years", found=f"{minimum_years}", expected="1 or more")
    day, year = _day_of_year(times), times.astype("M8[Y]").astype("i8")
    smooth = moving_mean(values, times, window=SHORT_WINDOW)
    has_years = _years(values, year) >= minimum_years
    by_day = _in_blocks(smooth, lambda part: _means_by(part, day, _YEAR), _YEAR)
    # the course is laid out three times, so that windows reach round the year
    round_the_year = np.concatenate([by_day] * 3, axis=-1)
    days = np.arange(3 * _YEAR).astype("M8[D]")
    course = moving_mean(round_the_year, days, window=LONG_WINDOW)[..., _YEAR : 2 * _YEAR]
    return np.where(has_years[..., None], course, np.nan)


def climatology_anomaly(
    values: Floats, times: Times, *, minimum_years: int = MINIMUM_YEARS
) -> Floats:
    """Take off the climatology; arguments as those of `climatology`."""
    course = climatology(values, times, minimum_years=minimum_years)
    return np.asarray(values - course[..., _day_of_year(times)], "f8")


def _replaced(matchup: xr.Dataset, anomaly: Function, words: str) -> xr.Dataset:
    if matchup.attrs.get("of") != "values":
        raise ValueProblem(
            "matchup",
            found=f"one of {matchup.attrs.get('of')}",
            expected="one of values, as match gives it",
        )
    value, reading = anomaly(matchup["value"].values), anomaly(matchup["reading"].values)
    before = matchup["is_pair"].values
    is_pair = before & ~np.isnan(reading) & ~np.isnan(value).any(axis=0)
    number = np.broadcast_to(is_pair.sum(axis=1), matchup["n"].shape)
    no_anomaly = (matchup["n"] - number).expand_dims(reason=["no anomaly"], axis=-1)
    lost = xr.concat([matchup["lost"], no_anomaly], dim="reason")
    return (
        matchup.drop_vars(("lost", "reason"))
        .assign(
            value=matchup["value"].copy(data=value),
            reading=matchup["reading"].copy(data=reading),
            is_pair=matchup["is_pair"].copy(data=is_pair),
            n=matchup["n"].copy(data=number),
            lost=lost,
        )
        .assign_attrs(of=words)
    )


def _window_means(values: Floats, begin: Integers, end: Integers, minimum: int) -> Floats:
    """Average between places in time, from running sums about the row's first value, to spare the last bits."""
    is_value = ~np.isnan(values)
    first = is_value.argmax(axis=1)
    level = np.where(is_value.any(axis=1), values[np.arange(len(values)), first], 0.0)
    if (average := _compiled()) is not None:
        means = np.empty_like(values)
        room = values.shape[1] + 1
        average(values, level, begin, end, minimum, np.empty(room), np.empty(room, "i8"), means)
        return means
    sums, number = (np.zeros((len(values), values.shape[1] + 1)) for _ in range(2))
    np.cumsum(np.where(is_value, values - level[:, None], 0.0), axis=1, out=sums[:, 1:])
    np.cumsum(is_value, axis=1, out=number[:, 1:])
    total = np.take(sums, end, axis=1) - np.take(sums, begin, axis=1)
    count = np.take(number, end, axis=1) - np.take(number, begin, axis=1)
    return np.where(count >= minimum, total / np.maximum(count, 1.0) + level[:, None], np.nan)


def _compiled() -> Callable[..., None] | None:
    try:
        from vadose.validate.fast_series import average_windows
    except (ImportError, RuntimeError):
        # numba is not installed, or finds no folder to keep what it compiles
        return None
    return cast("Callable[..., None]", average_windows)


def _means_by(values: Floats, group: Integers, count: int) -> Floats:
    """Average the columns of each group; NaN for a group without values."""
    order = np.argsort(group, kind="stable")
    present, first = np.unique(group[order], return_index=True)
    ordered = values[:, order]
    is_value = ~np.isnan(ordered)
    number = np.add.reduceat(is_value, first, axis=1, dtype="i8")
    sums = np.add.reduceat(np.where(is_value, ordered, 0.0), first, axis=1)
    result = np.full((len(values), count), np.nan)
    result[:, present] = np.where(number > 0, sums / np.maximum(number, 1), np.nan)
    return result


def _years(values: Floats, year: Integers) -> Integers:
    """Count the years of each row with enough values."""
    _, first = np.unique(year, return_index=True)
    number = np.add.reduceat(~np.isnan(values), first, axis=-1, dtype="i8")
    return np.asarray((number >= VALUES_A_YEAR).sum(axis=-1), "i8")


def _day_of_year(times: Times) -> Integers:
    """Count the days of a year that has 29 February, from 0: a date has one number in all years."""
    month = times.astype("M8[M]")
    day = (times.astype("M8[D]") - month.astype("M8[D]")).astype("i8")
    lengths = np.array([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    before = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return np.asarray(before[month.astype("i8") % 12] + day, "i8")


def _in_blocks(values: Floats, function: Function, size: int | None = None) -> Floats:
    """Apply a function of ``(row, time)`` to rows, few at once."""
    rows = values.reshape(-1, values.shape[-1])
    result = np.empty((len(rows), size or rows.shape[1]))
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        result[part] = function(np.array(rows[part], "f8"))
    return result.reshape(*values.shape[:-1], -1)
