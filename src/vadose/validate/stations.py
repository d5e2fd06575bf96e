"""Score products at stations, on the station-days that all of them have, beside the coarse input.

The sample is common: a station-day counts if the station and every product have a value, so that no
product is judged on easier days than another. Every station-day that does not count has one reason, and
they add up. A station is scored over time; `r_spatial` is the other direction, over the stations of one
time step, which a product can fail at while every station's own course is right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import UnknownName, ValueProblem
from vadose.validate.gain import correlation_gain, error_gain
from vadose.validate.match import station_coordinates
from vadose.validate.metrics import METRICS, r
from vadose.validate.pairs import match
from vadose.validate.statistics import MOMENTS, moments_along, unstacked
from vadose.validate.times import Days

#: Why a station-day takes no part, in the order in which they are asked.
REASONS = ("outside the grid", "no station value", "no product value", "too few pairs")
#: Fewest stations for a correlation over the stations of a time step.
MINIMUM_STATIONS = 5
#: Metrics whose spread over stations is summarised.
SUMMARISED = ("r", "bias", "rmse", "ubrmse")
#: What a 95 % interval leaves out, half of it on each side.
OUTSIDE = 0.05

Floats = npt.NDArray[np.float64]


def score_stations(
    products: Mapping[str, xr.DataArray],
    stations: xr.Dataset,
    *,
    days: int = 1,
    minimum_pairs: int = 10,
) -> xr.Dataset:
    """Score products at stations on their common station-days.

    Parameters
    ----------
    products
        Soil moisture by name, m³ m⁻³, dims ``[time,] y, x``, each on any grid: fine fields and the
        coarse input laid on the fine grid ("nearest", "smooth") alike. One without time is repeated.
    stations
        ``soil_moisture`` (``station, time``), m³ m⁻³, of the layer of the products.
    days
        Length of the interval that a stamp of the products stands for; a "station-day" is one such
        interval at one station.
    minimum_pairs
        Fewest common station-days of a station; with fewer its metrics are NaN.

    Returns
    -------
    xarray.Dataset
        Every metric of `vadose.validate.metrics.METRICS` with dims ``product, station`` (``n`` is also
        given where the others are NaN), ``is_used (station)``, ``moments (product, station, moment)``;
        ``r_spatial (product, time)``, over the used stations of a time step, NaN with fewer than 5, and
        ``stations_at_time (time)``; ``lost_stations`` and ``lost_station_days`` by ``reason``.

    Raises
    ------
    NoOverlap
        No station in a grid, or no day in common.
    ValueProblem
        No station-day has a value of the station and of every product; the message counts why.
    CubeProblem
        Other dimensions, or stamps that repeat.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> small = world(size=16, days=12, factor=4, seed=0)
    >>> score = score_stations({"truth": small.truth["soil_moisture"]}, small.stations)
    >>> score["rmse"].dims
    ('product', 'station')
    >>> used, lost = int(score["n"].where(score["is_used"], 0).sum()), score["lost_station_days"]
    >>> used + int(lost.sum()) == 12 * 12
    True
    """
    matchup = match(products, stations, time=Days(days))
    is_inside = matchup["is_inside"].all("product").values[:, None]
    readings, fields = matchup["reading"].values, matchup["value"].values
    is_pair = matchup["is_pair"].values
    is_read = is_inside & ~np.isnan(readings)
    number = is_pair.sum(axis=1)
    is_used = number >= max(minimum_pairs, 1)
    lost_days = [
        (~is_inside).sum() * is_pair.shape[1],
        (is_inside & ~is_read).sum(),
        (is_read & ~is_pair).sum(),
        number[~is_used].sum(),
    ]
    lost_stations = [
        (~is_inside).sum(),
        (is_inside[:, 0] & ~is_read.any(axis=1)).sum(),
        (is_read.any(axis=1) & (number == 0)).sum(),
        ((number > 0) & ~is_used).sum(),
    ]
    found = moments_along(fields, readings, is_pair)
    result = xr.Dataset(
        {
            name: (
                ("product", "station"),
                np.where(is_used | (name == "n"), metric(found), np.nan),
            )
            for name, metric in METRICS.items()
        },
        coords={
            "product": list(products),
            **station_coordinates(matchup),
            "time": matchup["time"].values,
        },
        attrs={"days": days, "minimum_pairs": minimum_pairs},
    )
    is_pair &= is_used[:, None]
    result["is_used"] = ("station", is_used)
    result["moments"] = ("product", "station", "moment"), found.stacked()
    result["r_spatial"] = ("product", "time"), _spatial(fields, readings, is_pair)
    result["stations_at_time"] = ("time", is_pair.sum(axis=0))
    result["lost_stations"] = ("reason", np.array(lost_stations, "i8"))
    result["lost_station_days"] = ("reason", np.array(lost_days, "i8"))
    return result.assign_coords(moment=list(MOMENTS), reason=list(REASONS))


def summary(score: xr.Dataset) -> dict[str, Any]:
    """Sum up a score at stations.

    An undefined correlation (a product or a station that does not vary) counts as 0, as it does in
    gains; ``r_undefined`` counts them.

    Parameters
    ----------
    score
        What `score_stations` gives.

    Returns
    -------
    dict
        ``stations`` and ``station_days`` used; ``lost``, by reason, both of those lost; ``products``, by
        name: of r, bias, rmse and ubrmse the ``median``, ``lower_quartile`` and ``upper_quartile`` over
        the stations used; ``pooled``, every metric over all their station-days together; ``r_spatial``,
        the ``median`` over the ``steps`` with 5 stations or more. NaN where there is none.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> small = world(size=16, days=12, factor=4, seed=0)
    >>> score = score_stations({"truth": small.truth["soil_moisture"]}, small.stations)
    >>> summary(score)["products"]["truth"]["r"]["median"] > 0.8
    True
    """
    is_used = score["is_used"].values
    is_step = score["stations_at_time"].values >= MINIMUM_STATIONS
    products: dict[str, Any] = {}
    for product in score["product"].values:
        one = score.sel(product=product)
        pooled = unstacked(one["moments"].values[is_used]).merge_along(0)
        r_spatial = one["r_spatial"].values[is_step]
        products[str(product)] = {
            **{name: _spread(one[name].values[is_used], name) for name in SUMMARISED},
            "r_undefined": int(np.isnan(one["r"].values[is_used]).sum()),
            "pooled": {name: float(metric(pooled)) for name, metric in METRICS.items()},
            "r_spatial": {
                "median": _spread(r_spatial, "r")["median"],
                "steps": int(is_step.sum()),
                "undefined": int(np.isnan(r_spatial).sum()),
            },
        }
    number = score["n"].isel(product=0).values
    lost = {
        str(reason): {"stations": int(stations), "station_days": int(station_days)}
        for reason, stations, station_days in zip(
            score["reason"].values,
            score["lost_stations"].values,
            score["lost_station_days"].values,
            strict=True,
        )
    }
    return {
        "stations": int(is_used.sum()),
        "station_days": int(number[is_used].sum()),
        "lost": lost,
        "products": products,
    }


def station_gains(
    score: xr.Dataset, baseline: str, *, rng: np.random.Generator | int, draws: int = 1000
) -> dict[str, Any]:
    """Give by how much every product is better than a baseline at the median station.

    Parameters
    ----------
    score
        What `score_stations` gives.
    baseline
        Name of the product to compare with: ``nearest`` or ``smooth``, the coarse input.
    rng
        Generator or seed of the bootstrap; all products and metrics see the same draws.
    draws
        Times that the stations are drawn anew, with replacement.

    Returns
    -------
    dict
        ``baseline``, ``stations``, ``interval`` (how it was made, in words) and ``products``: by name
        and by metric (rmse, ubrmse, mae and ``absolute_bias``, by how much smaller; r, by how much
        larger) the ``median`` over stations of the paired difference and ``lower`` and ``upper`` end of
        its interval; NaN with fewer than two stations.

    Raises
    ------
    UnknownName
        No such baseline in the score.

    Notes
    -----
    Stations are drawn as if they were independent. Where many lie close together, in one network or one
    coarse cell, the interval is too narrow.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, ch. 13 (percentile interval).

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> truth = world(size=16, days=12, factor=4, seed=0).truth["soil_moisture"]
    >>> stations = world(size=16, days=12, factor=4, seed=0).stations
    >>> score = score_stations({"nearest": truth, "same": truth}, stations)
    >>> gains = station_gains(score, "nearest", rng=0)
    >>> gains["products"]["same"]["rmse"]
    {'median': 0.0, 'lower': 0.0, 'upper': 0.0}
    """
    if baseline not in score["product"].values:
        raise UnknownName("baseline", baseline, map(str, score["product"].values))
    if draws < 1:
        raise ValueProblem("draws", found=f"{draws}", expected="1 or more")
    used = score.isel(station=np.flatnonzero(score["is_used"].values))
    count = used.sizes["station"]
    drawn = np.random.default_rng(rng).integers(0, max(count, 1), (draws, count))
    base = used.sel(product=baseline)
    products = {}
    for product in used["product"].values:
        own = used.sel(product=product)
        products[str(product)] = {
            name: _interval(difference, drawn) for name, difference in _differences(own, base)
        }
    return {
        "baseline": baseline,
        "stations": count,
        "interval": f"95 % percentile bootstrap over stations, drawn as independent, {draws} draws",
        "products": products,
    }


def _differences(own: xr.Dataset, base: xr.Dataset) -> list[tuple[str, Floats]]:
    """Give the gains at every station, by metric."""
    errors = {name: (own[name].values, base[name].values) for name in ("rmse", "ubrmse", "mae")}
    errors["absolute_bias"] = abs(own["bias"].values), abs(base["bias"].values)
    rules = {name: (error_gain, pair) for name, pair in errors.items()}
    rules["r"] = correlation_gain, (own["r"].values, base["r"].values)
    return [
        (name, np.array([gain(float(a), float(b)) for a, b in zip(*pair, strict=True)], "f8"))
        for name, (gain, pair) in rules.items()
    ]


def _interval(difference: Floats, drawn: npt.NDArray[np.int64]) -> dict[str, float]:
    if not difference.size:
        return dict.fromkeys(("median", "lower", "upper"), math.nan)
    lower = upper = math.nan
    if difference.size > 1:
        medians = np.median(difference[drawn], axis=1)
        lower, upper = (float(q) for q in np.quantile(medians, [OUTSIDE / 2, 1 - OUTSIDE / 2]))
    return {"median": float(np.median(difference)), "lower": lower, "upper": upper}


def _spatial(fields: Floats, readings: Floats, is_pair: npt.NDArray[np.bool_]) -> Floats:
    """Correlate over the stations of each time step, ``product, time``."""
    found = r(moments_along(fields.swapaxes(1, 2), readings.T, is_pair.T))
    return np.where(is_pair.sum(axis=0) >= MINIMUM_STATIONS, found, np.nan)


def _spread(values: Floats, name: str) -> dict[str, float]:
    """Give median and quartiles; an undefined correlation counts as 0."""
    if name == "r":
        values = np.where(np.isnan(values), 0.0, values)
    quartiles = np.quantile(values, [0.25, 0.5, 0.75]).tolist() if values.size else [math.nan] * 3
    return dict(zip(("lower_quartile", "median", "upper_quartile"), quartiles, strict=True))
