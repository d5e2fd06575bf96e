"""Intervals of the scores at each station, which know that a dry day follows a dry day."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import ValueProblem
from vadose.uncertainty.intervals import (
    Interval,
    bias_interval,
    correlation_interval,
    ubrmse_interval,
)
from vadose.validate.scores import correlation_p_value

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: What gives the interval of each metric.
INTERVALS = {"r": correlation_interval, "bias": bias_interval, "ubrmse": ubrmse_interval}
DIMS = ("product", "station")
#: Stations taken at once.
_BLOCK = 256
#: Most steps of a calendar for each stamp that is on it.
SPARSEST = 50


def add_intervals(score: xr.Dataset, matchup: xr.Dataset, *, level: float = 0.95) -> xr.Dataset:
    """Add intervals of R, bias and ubRMSE to the scores of stations.

    Parameters
    ----------
    score
        What `vadose.validate.scores.score_pairs` gives of the matchup.
    matchup
        The pairs, at stamps of a regular calendar, of which some may be missing.
    level
        Of the intervals.

    Returns
    -------
    xarray.Dataset
        The scores and, with dims ``product, station``, for each of ``r``, ``bias`` and ``ubrmse``
        ``<metric>_lower`` and ``<metric>_upper`` (unit of the metric; NaN with fewer than ten pairs),
        ``<metric>_effective_n`` and ``<metric>_is_too_short``, where the interval cannot be trusted; and
        ``p_value`` of R, two-sided, with that effective number of pairs.

    Raises
    ------
    ValueProblem
        Stamps that are on no regular calendar.
    RecipeProblem
        A level that does not lie between 0 and 1.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> from vadose.validate.pairs import match
    >>> from vadose.validate.scores import score_pairs
    >>> small = world(size=16, days=60, factor=4, seed=0)
    >>> pairs = match({"truth": small.truth["soil_moisture"]}, small.stations)
    >>> score = add_intervals(score_pairs(pairs), pairs)
    >>> bool((score["bias_lower"] <= score["bias"]).all())
    True
    """
    found: dict[str, list[list[Interval]]] = {name: [] for name in INTERVALS}
    steps, place = regular_calendar(matchup["time"].values)
    stations = matchup.sizes["station"]
    for product in range(matchup.sizes["product"]):
        for parts in found.values():
            parts.append([])
        for start in range(0, stations, _BLOCK):
            own = {"product": product, "station": slice(start, start + _BLOCK)}
            value, reading = on_calendar(matchup.isel(own), steps, place)
            for name, interval in INTERVALS.items():
                found[name][product].append(interval(value, reading, level=level))
    new = {
        f"{name}_{part}": (DIMS, _joined(parts, part))
        for name, parts in found.items()
        for part in ("lower", "upper", "effective_n", "is_too_short")
    }
    result = score.assign(new).assign_attrs(level=level)
    p_value = correlation_p_value(score["r"].values, result["r_effective_n"].values)
    return result.assign(p_value=(DIMS, p_value))


def regular_calendar(times: npt.NDArray[np.datetime64]) -> tuple[int, Integers]:
    """Find the regular calendar that stamps lie on: its number of steps, and the step of each stamp.

    Raises
    ------
    ValueProblem
        Stamps without a common step, or so long a one that nearly all of its calendar would be empty.

    Examples
    --------
    >>> days = np.array(["2019-07-01", "2019-07-02", "2019-07-05"], "M8[D]")
    >>> regular_calendar(days)
    (5, array([0, 1, 4]))
    """
    since = (times - times[0]).astype("m8[s]").astype("i8")
    if since.size < 2:
        return since.size, since
    apart = np.diff(since)
    step = int(np.gcd.reduce(apart))
    if apart.min() <= 0 or since[-1] // step > SPARSEST * since.size:
        raise ValueProblem(
            "stamps of the matchup",
            found=f"{since.size} stamps that have no more in common than steps of {step} s",
            expected="a regular calendar, of which stamps may be missing",
            remedy="Make the products daily with vadose.cubes.timeline.to_daily.",
        )
    return int(since[-1] // step) + 1, since // step


def on_calendar(matchup: xr.Dataset, steps: int, place: Integers) -> tuple[Floats, Floats]:
    """Lay pairs out on a calendar, NaN where there is none; dims ``(..., time)`` of value and reading."""
    is_pair = matchup["is_pair"].values
    value, reading = matchup["value"].values, matchup["reading"].values
    laid = []
    for array in (value, reading):
        whole = np.full((*array.shape[:-1], steps), np.nan)
        whole[..., place] = np.where(is_pair, array, np.nan)
        laid.append(whole)
    return laid[0], laid[1]


def _joined(products: list[list[Interval]], part: str) -> npt.NDArray[np.generic]:
    return np.stack([np.concatenate([getattr(one, part) for one in parts]) for parts in products])
