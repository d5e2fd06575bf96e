"""From ECMWF's accumulated amounts to rates, stamped at the start of their interval."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vadose.errors import FileProblem
from vadose.products.raw import ArrangedArray, LazyArray, MappedArray, SteppedArray, Values

_HOUR = np.timedelta64(1, "h")
_DAY = np.timedelta64(24, "h")


def rate_of(
    amount: LazyArray,
    times: npt.NDArray[np.datetime64],
    *,
    is_since_midnight: bool,
    step_type: str,
    source: str,
) -> tuple[LazyArray, npt.NDArray[np.datetime64]]:
    """Turn accumulated amounts into rates in mm per day.

    Monthly means are amounts per day already. ERA5 accumulates over the hour before the stamp.
    ERA5-Land accumulates from 0 UTC to the stamp, so that the stamp 0 UTC holds all of the day before:
    files of that hour alone are daily totals, hourly files are differences. The hour before the first
    stamp of an hourly file needs the file before it, and is NaN unless the first stamp is 1 UTC.

    Parameters
    ----------
    amount
        In mm, dims ``[member,] time, y, x``.
    times
        Stamps as in the file.
    is_since_midnight
        Whether amounts add up from 0 UTC (ERA5-Land).
    step_type
        ``GRIB_stepType`` of the file, empty where it has none.
    source
        File and variable, for messages.

    Returns
    -------
    tuple
        Rates, and the start of the interval of each.

    Raises
    ------
    FileProblem
        When the interval cannot be known.

    References
    ----------
    ECMWF, ERA5 and ERA5-Land data documentation, section "Accumulations".

    Examples
    --------
    >>> stamps = np.array(["2020-01-02T01", "2020-01-02T02"], dtype="datetime64[ns]")
    >>> amounts = SteppedArray(np.array([1.0, 3.0]), (2, 1, 1), axis=0)
    >>> rate, starts = rate_of(amounts, stamps, is_since_midnight=True, step_type="", source="tp")
    >>> rate[:, 0, 0], starts[0]
    (array([24., 48.], dtype=float32), np.datetime64('2020-01-02T00:00:00.000000000'))
    """
    steps = np.diff(times)
    if (steps <= np.timedelta64(0)).any():
        raise FileProblem(source, found="unordered time stamps", expected="increasing ones")
    hours = (times - times.astype("datetime64[D]")) / _HOUR
    if step_type.startswith("avg") or (steps.size and steps.min() >= 28 * _DAY):
        return amount, times
    is_first_of_month = not steps.size and not step_type and str(times[0])[8:13] == "01T00"
    is_too_wide = steps.size and steps.min() > _HOUR and not is_since_midnight
    if is_too_wide or is_first_of_month:
        found = f"steps of {steps.min() / _HOUR:g} h" if steps.size else "a single step"
        raise FileProblem(
            source,
            found=f"{found}: over how long the amount accumulated is not said",
            expected="hourly steps or monthly means",
            remedy="Describe the file as a generic product with the unit 'm' and its hours.",
        )
    if is_since_midnight:
        return _apart(amount, times, hours, source)
    return MappedArray(_per_day, amount, dtype=np.float32), times - _HOUR


def _apart(
    amount: LazyArray,
    times: npt.NDArray[np.datetime64],
    hours: npt.NDArray[np.float64],
    source: str,
) -> tuple[LazyArray, npt.NDArray[np.datetime64]]:
    if (hours == 0).all():
        return amount, times - _DAY
    if times.size > 1 and (np.diff(times) != _HOUR).any():
        raise FileProblem(
            source,
            found=f"steps of {np.diff(times).max() / _HOUR:g} h",
            expected="every hour, or 0 UTC alone",
        )
    axis = amount.ndim - 3
    order: list[npt.NDArray[np.intp] | None] = [None] * amount.ndim
    order[axis] = np.maximum(np.arange(times.size) - 1, 0)
    before = ArrangedArray(amount, range(amount.ndim), order)
    # what to take of the amount before: all of it, nothing at 1 UTC, unknown before the first step
    share = np.where(hours == 1, 0.0, 1.0)
    if hours[0] != 1:
        share[0] = np.nan
    shares = SteppedArray(share, amount.shape, axis)
    return MappedArray(_increase, amount, before, shares, dtype=np.float32), times - _HOUR


def _per_day(amount: Values) -> Values:
    return amount * 24.0


def _increase(amount: Values, before: Values, share: Values) -> Values:
    taken = np.where(share == 0, 0.0, share * before)
    return (amount - taken) * 24.0
