"""Time stamps, from a file's variable or its name, as UTC."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import FileProblem

Values = npt.NDArray[Any]


def decode_times(
    values: Values, attributes: Mapping[str, Any], *, source: str, calendar: str | None = None
) -> npt.NDArray[np.datetime64]:
    """Decode CF times to UTC.

    Parameters
    ----------
    values
        Numbers as stored.
    attributes
        With ``units`` ("minutes since …") and ``calendar``.
    source
        File, for messages.
    calendar
        In place of the file's, where that is known to be wrong.

    Raises
    ------
    FileProblem
        When the unit is absent or unreadable, the calendar is not the world's, or a time is missing.
    """
    units = str(attributes.get("units", attributes.get("Units", ""))).strip()
    calendar = calendar or str(attributes.get("calendar", "standard")).lower()
    where = f"{source}: time"
    if calendar not in ("standard", "gregorian", "proleptic_gregorian"):
        raise FileProblem(where, found=f"calendar {calendar!r}", expected="standard")
    numbers = np.atleast_1d(values)
    if numbers.dtype.kind not in "iuf":
        raise FileProblem(where, found=f"type {numbers.dtype}", expected="numbers")
    if units == "day as %Y%m%d.%f":
        texts = [f"{int(number):08d}" for number in numbers]
        days = np.array([f"{t[:4]}-{t[4:6]}-{t[6:]}" for t in texts], dtype="datetime64[D]")
        return (days + np.zeros(1, "m8[ns]")).astype("datetime64[ns]")
    try:
        origin, step = _clock(units, calendar)
        # days as floating-point numbers are off by microseconds: midnight would fall on the day before
        seconds = np.round(numbers.astype(np.float64) * step).astype("timedelta64[s]")
    except (ValueError, OverflowError, TypeError) as error:
        raise FileProblem(
            where, found=f"unit {units!r}", expected="such as 'days since 1970-01-01'"
        ) from error
    if not np.isfinite(numbers).all() or np.isnat(seconds).any():
        raise FileProblem(where, found="missing time stamps", expected="one for every step")
    return np.asarray((origin + seconds).astype("datetime64[ns]"))


@functools.lru_cache(maxsize=64)
def _clock(units: str, calendar: str) -> tuple[np.datetime64, float]:
    """Find time zero of a CF unit and the seconds that 1 stands for; made once for all files."""
    if " since " not in units:
        raise ValueError("no time zero")
    packed = xr.Dataset({"time": ("time", [0, 1], {"units": units, "calendar": calendar})})
    zero, one = xr.decode_cf(packed)["time"].values.astype("datetime64[s]")
    return zero, float((one - zero) / np.timedelta64(1, "s"))


def stamp_in_name(path: Path, pattern: str, form: str) -> datetime:
    r"""Read the time stamp in a file's name.

    Parameters
    ----------
    path
        The file.
    pattern
        Regular expression; its groups, joined, are the stamp.
    form
        Format of the stamp, as for ``strptime``.

    Raises
    ------
    FileProblem
        When the name does not match.

    Examples
    --------
    >>> stamp_in_name(Path("sm_2019123.tif"), r"_(\d{7})", "%Y%j").date()
    datetime.date(2019, 5, 3)
    """
    match = re.search(pattern, path.name)
    try:
        if match is not None:
            return datetime.strptime("".join(match.groups()) or match.group(), form)
    except ValueError:
        pass
    raise FileProblem(path, found="no date in the name", expected=f"{pattern} as {form}")


def period_in_name(
    pattern: str, form: str, *, days: int = 1, shift: timedelta = timedelta(0)
) -> Callable[[Path], tuple[date, date] | None]:
    r"""Make the function that finds a file's first and last day in its name.

    Examples
    --------
    >>> period_in_name(r"(\d{8})", "%Y%m%d")(Path("sm_20190501.nc"))
    (datetime.date(2019, 5, 1), datetime.date(2019, 5, 1))
    >>> period_in_name(r"(\d{4})", "%Y")(Path("E_2004_GLEAM.nc"))
    (datetime.date(2004, 1, 1), datetime.date(2004, 12, 31))
    """
    return functools.partial(_period_of, pattern=pattern, form=form, days=days, shift=shift)


def _period_of(
    path: Path, *, pattern: str, form: str, days: int, shift: timedelta
) -> tuple[date, date] | None:
    try:
        first = stamp_in_name(path, pattern, form) + shift
    except FileProblem:
        return None
    if "%d" in form or "%j" in form:
        last = first + timedelta(days=days - 1)
    elif "%m" in form or "%b" in form:
        last = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    else:
        last = first.replace(month=12, day=31)
    return first.date(), last.date()
