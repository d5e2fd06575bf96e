"""Intervals of the gains at each station, from days drawn anew in blocks as long as the series remember."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from vadose.errors import UnknownName
from vadose.uncertainty.intervals import difference_interval
from vadose.validate.station_intervals import DIMS, on_calendar, regular_calendar

#: Metric behind each gain, and whether it is better when smaller.
GAINS: dict[str, tuple[Literal["r", "ubrmse", "rmse", "absolute_bias"], bool]] = {
    "delta_r": ("r", False),
    "delta_ubrmse": ("ubrmse", True),
    "delta_rmse": ("rmse", True),
    "delta_absolute_bias": ("absolute_bias", True),
}
#: Stations taken at once.
_BLOCK = 64


def add_gain_intervals(
    gains: xr.Dataset,
    matchup: xr.Dataset,
    *,
    rng: np.random.Generator | int,
    level: float = 0.95,
    draws: int = 500,
) -> xr.Dataset:
    """Add intervals of the differences in R, ubRMSE, RMSE and absolute bias to the gains at stations.

    Parameters
    ----------
    gains
        What `vadose.validate.paired.gains_over` gives of the matchup.
    matchup
        The pairs, at stamps of a regular calendar, of which some may be missing.
    rng
        Generator or seed: all products and stations see the same draws.
    level
        Of the intervals.
    draws
        Times that days are drawn.

    Returns
    -------
    xarray.Dataset
        The gains and, for each ``delta_...``, ``<gain>_lower`` and ``<gain>_upper``, dims ``product,
        station``, in its unit: exactly 0 where the product equals the coarse input, NaN with fewer than ten
        pairs or where R is not defined; and ``<gain>_is_too_short``, where they cannot be trusted. Product
        and coarse input are drawn together, so that what both get wrong cancels.

    Raises
    ------
    UnknownName
        The coarse input is not in the matchup.
    ValueProblem
        Stamps that are on no regular calendar.
    RecipeProblem
        A level that does not lie between 0 and 1, or no draws.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> from vadose.validate.pairs import match
    >>> from vadose.validate.paired import gains_over
    >>> small = world(size=16, days=60, factor=4, seed=0)
    >>> fields = {"nearest": small.coarse["soil_moisture"], "truth": small.truth["soil_moisture"]}
    >>> pairs = match(fields, small.stations)
    >>> gains = add_gain_intervals(gains_over(pairs, "nearest"), pairs, rng=0, draws=100)
    >>> bool((gains["delta_rmse_upper"].sel(product="nearest") == 0).all())
    True
    """
    coarse, names = str(gains.attrs["coarse"]), [str(one) for one in matchup["product"].values]
    if coarse not in names:
        raise UnknownName("coarse input", coarse, names)
    steps, place = regular_calendar(matchup["time"].values)
    # one seed for all calls, so that the draws do not depend on how many stations are taken at once
    seed = int(np.random.default_rng(rng).integers(2**63))
    shape = matchup["n"].shape
    bounds = {name: np.full((2, *shape), np.nan) for name in GAINS}
    is_too_short = {name: np.ones(shape, bool) for name in GAINS}
    for start in range(0, shape[1], _BLOCK):
        part = slice(start, start + _BLOCK)
        values, reading = on_calendar(matchup.isel(station=part), steps, place)
        base = values[names.index(coarse)]
        for row, own in enumerate(values):
            is_pair = ~np.isnan(own)
            is_same = is_pair.any(axis=1) & ((own == base) | ~is_pair).all(axis=1)
            # also where R is not defined there is no gain over itself
            rest = np.flatnonzero(~is_same)
            for name, (metric, is_error) in GAINS.items():
                bounds[name][:, row, part] = 0.0
                is_too_short[name][row, part] = False
                if not rest.size:
                    continue
                found = difference_interval(
                    own[rest],
                    base[rest],
                    reading[rest],
                    metric=metric,
                    level=level,
                    rng=np.random.default_rng(seed),
                    draws=draws,
                )
                ends = (found.lower, found.upper)
                ends = (-found.upper, -found.lower) if is_error else ends
                bounds[name][:, row, start + rest] = np.stack(ends)
                is_too_short[name][row, start + rest] = found.is_too_short
    new = {
        f"{name}_{end}": (DIMS, ends[number])
        for name, ends in bounds.items()
        for number, end in enumerate(("lower", "upper"))
    }
    told = {f"{name}_is_too_short": (DIMS, short) for name, short in is_too_short.items()}
    words = f"{level:.0%}, days drawn in blocks, {draws} draws"
    return gains.assign({**new, **told}).assign_attrs(intervals_of_stations=words)
