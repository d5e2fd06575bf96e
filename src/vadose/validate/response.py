"""How soil moisture answers rain: how many days later, and how strongly, product against reference.

What is looked at is the increment between one value and the next one, and the rain of as many days, moved
back by a lag. A product that is too smooth, late, or filled without weather answers weakly or later than the
ground does.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.stats import norm

from vadose.errors import CubeProblem, UnknownName, ValueProblem
from vadose.validate.metrics import TINY

Floats = npt.NDArray[np.float64]

DAY = np.timedelta64(1, "D")
#: Largest lag, days.
LAGS = 5
#: Fewest increments of a pixel or station for an answer.
MINIMUM_INCREMENTS = 30
#: Chance that rain which has nothing to do with the soil gives an answer, over all lags together.
FALSE_ALARM = 0.05
#: Values of one product held at once, in double precision.
BLOCK = 4_000_000


def rain_response(
    products: Mapping[str, xr.DataArray],
    precipitation: xr.DataArray,
    *,
    lags: int = LAGS,
    longest_step: int = 1,
    minimum: int = MINIMUM_INCREMENTS,
) -> xr.Dataset:
    """Correlate the increments of soil moisture with rain, lag by lag.

    Parameters
    ----------
    products
        Soil moisture by name, m³ m⁻³, daily, dims ``time`` and any others, the same in all: ``y, x``, or
        ``station`` for readings and what `vadose.validate.match.at_stations` gives. Days may be missing.
    precipitation
        mm day⁻¹ on the same days and places. A day without it takes out the increments that need it.
    lags
        Largest lag, days. At lag 0 rain falls on the days of the increment: for an increment from
        yesterday to today, today's.
    longest_step
        Longest step, days, between two values for an increment, with the rain summed over as many days.
        With 1 only pairs of days count; a satellite that comes every third day needs 3.
    minimum
        Fewest increments.

    Returns
    -------
    xarray.Dataset
        On the increments that all products have, of each place: ``correlation (product, lag, ...)``;
        ``lag_of_response (product, ...)``, the lag of the largest one in days, NaN unless it is larger than
        chance gives (one in twenty over all lags); ``strength (product, ...)``, that largest correlation;
        ``gain (product, ...)``, m³ m⁻³ per mm at that lag; and ``n (...)``, increments. NaN with fewer than
        the minimum, or where soil or rain does not change.

    Raises
    ------
    CubeProblem
        Dims, days or places that differ, stamps that repeat or are not sorted.
    ValueProblem
        No products, or settings out of range.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> small = world(size=8, days=90, factor=4, seed=0)
    >>> told = rain_response(
    ...     {"truth": small.truth["soil_moisture"]}, small.predictors["precipitation"]
    ... )
    >>> float(told["lag_of_response"].median()), bool(told["strength"].median() > 0.6)
    (0.0, True)
    """
    if not products or "precipitation" in products:
        raise ValueProblem(
            "products", found=f"{sorted(products)}", expected="one or more of soil moisture"
        )
    if lags < 0 or longest_step < 1 or minimum < 3:
        raise ValueProblem(
            "response",
            found=f"lags={lags}, longest_step={longest_step}, minimum={minimum}",
            expected="lags of 0 or more, steps of 1 day or more, 3 increments or more",
        )
    rain, days = _check(products, precipitation)
    others = rain.dims[1:]
    shape = rain.shape[1:]
    places = int(np.prod(shape))
    flat = {
        name: one.transpose(*rain.dims).data.reshape(days.size, places)
        for name, one in {**products, "precipitation": rain}.items()
    }
    tables = _empty(len(products), lags, places)
    width = max(1, BLOCK // max(days.size, 1))
    for start in range(0, places, width):
        part = slice(start, start + width)
        soil = [np.asarray(flat[name][:, part]) for name in products]
        wet = np.asarray(flat["precipitation"][:, part])
        for name, values in _responses(soil, wet, days, lags, longest_step, minimum).items():
            tables[name][..., part] = values
    dims = {"correlation": ("product", "lag"), "n": ()}
    result = xr.Dataset(
        {
            name: ((*dims.get(name, ("product",)), *others), one.reshape((*one.shape[:-1], *shape)))
            for name, one in tables.items()
        },
        coords={
            "product": list(products),
            "lag": np.arange(lags + 1),
            **{name: one for name, one in rain.coords.items() if "time" not in one.dims},
        },
        attrs={"longest_step": longest_step, "minimum": minimum},
    )
    return result.assign(n=result["n"].astype("i8"))


def compare_responses(response: xr.Dataset, reference: str) -> xr.Dataset:
    """Compare the answers of products with that of a reference, over all places that have both.

    Parameters
    ----------
    response
        What `rain_response` gives.
    reference
        Name of the one among its products to compare with.

    Returns
    -------
    xarray.Dataset
        By ``product``: ``same_lag``, the share of places that answer on the same day; ``mean_delay``, days
        after the reference; ``strength_ratio`` and ``gain_ratio``, medians over places of product over
        reference; ``n_both``, places where both answer, which these are told of; ``n_silent``, where the
        reference answers and the product does not; ``n_false``, the other way round.

    Raises
    ------
    UnknownName
        No such reference.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> small = world(size=8, days=90, factor=4, seed=0)
    >>> truth = small.truth["soil_moisture"]
    >>> told = compare_responses(
    ...     rain_response({"truth": truth, "late": truth.shift(time=1)}, small.predictors["precipitation"]),
    ...     "truth",
    ... )
    >>> told["mean_delay"].values
    array([0., 1.])
    """
    names = [str(name) for name in response["product"].values]
    if reference not in names:
        raise UnknownName("reference", reference, names)
    columns: dict[str, list[float]] = {}
    base = response.sel(product=reference)
    for name in names:
        own = response.sel(product=name)
        has_own, has_base = (one["lag_of_response"].notnull().values for one in (own, base))
        is_both = has_own & has_base
        delay = (own["lag_of_response"] - base["lag_of_response"]).values[is_both]
        row = {
            "same_lag": float((delay == 0).mean()) if delay.size else np.nan,
            "mean_delay": float(delay.mean()) if delay.size else np.nan,
            "strength_ratio": _median_ratio(own["strength"], base["strength"], is_both),
            "gain_ratio": _median_ratio(own["gain"], base["gain"], is_both),
            "n_both": int(is_both.sum()),
            "n_silent": int((has_base & ~has_own).sum()),
            "n_false": int((has_own & ~has_base).sum()),
        }
        for key, value in row.items():
            columns.setdefault(key, []).append(value)
    return xr.Dataset(
        {key: ("product", values) for key, values in columns.items()}, coords={"product": names}
    )


def _check(
    products: Mapping[str, xr.DataArray], precipitation: xr.DataArray
) -> tuple[xr.DataArray, npt.NDArray[np.int64]]:
    """Give rain with time in front, and the number of each day."""
    if "time" not in precipitation.coords:
        raise CubeProblem("precipitation", found="no time", expected="time, and others")
    for name, product in products.items():
        if set(product.dims) != set(precipitation.dims):
            raise CubeProblem(
                name, found=f"dimensions {product.dims}", expected=f"{precipitation.dims}"
            )
        try:
            xr.align(product, precipitation, join="exact")
        except ValueError as problem:
            raise CubeProblem(
                name,
                found="other days or places than those of the precipitation",
                expected="the same labels in both",
            ) from problem
    days = precipitation["time"].values.astype("M8[D]").astype("i8")
    if (np.diff(days) <= 0).any():
        raise CubeProblem(
            "precipitation",
            found="stamps that are not sorted, or more than one a day",
            expected="one step a day",
            remedy="Make it daily with vadose.cubes.timeline.to_daily.",
        )
    return precipitation.transpose("time", ...), days - days[0]


def _empty(products: int, lags: int, places: int) -> dict[str, Floats]:
    shapes = {
        "correlation": (products, lags + 1, places),
        **dict.fromkeys(("lag_of_response", "strength", "gain"), (products, places)),
        "n": (places,),
    }
    return {name: np.full(shape, np.nan) for name, shape in shapes.items()}


def _responses(
    soil: list[Floats],
    rain: Floats,
    days: npt.NDArray[np.int64],
    lags: int,
    longest_step: int,
    minimum: int,
) -> dict[str, Floats]:
    """Answer for a block of places, ``time, place``."""
    known = np.logical_and.reduce([np.isfinite(one) for one in soil])
    before = _step_before(known)
    origin = np.maximum(before, 0)
    step_days = np.where(known & (before >= 0), days[:, None] - days[origin], longest_step + 1)
    amounts, is_known = _amounts(rain, days, step_days, lags, longest_step)
    is_pair = known & (step_days <= longest_step) & is_known
    number = is_pair.sum(axis=0)
    result = _empty(len(soil), lags, rain.shape[1])
    result["n"][:] = number
    is_enough = number >= minimum
    # larger than the largest of as many correlations without a cause
    chance = norm.ppf((1 - FALSE_ALARM) ** (1 / (lags + 1))) / np.sqrt(np.maximum(number, 1))
    for row, values in enumerate(soil):
        whole = values.astype("f8")
        increments = whole - np.take_along_axis(whole, origin, axis=0)
        slopes = np.full((lags + 1, rain.shape[1]), np.nan)
        for lag in range(lags + 1):
            correlation, slope = _correlate(increments, amounts[lag], is_pair)
            result["correlation"][row, lag] = np.where(is_enough, correlation, np.nan)
            slopes[lag] = slope
        has_any = np.isfinite(result["correlation"][row]).any(axis=0)
        ranked = np.where(np.isfinite(result["correlation"][row]), result["correlation"][row], -2)
        best = ranked.argmax(axis=0)[None]
        strength = np.take_along_axis(ranked, best, axis=0)[0]
        is_clear = has_any & (strength > chance)
        result["strength"][row] = np.where(has_any, strength, np.nan)
        result["lag_of_response"][row] = np.where(is_clear, best[0], np.nan)
        result["gain"][row] = np.where(is_clear, np.take_along_axis(slopes, best, 0)[0], np.nan)
    return result


def _step_before(known: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Give the last step before each one with a value; -1 where there is none."""
    steps = np.arange(len(known))[:, None]
    last = np.maximum.accumulate(np.where(known, steps, -1), axis=0)
    return np.concatenate([np.full((1, known.shape[1]), -1), last[:-1]])


def _amounts(
    rain: Floats,
    days: npt.NDArray[np.int64],
    step_days: npt.NDArray[np.int64],
    lags: int,
    longest_step: int,
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Sum the rain of each step's days, moved back by each lag; and tell where all lags know it."""
    margin = lags + longest_step
    calendar = np.full((margin + int(days[-1]) + 1, rain.shape[1]), np.nan)
    calendar[margin + days] = rain
    is_known = np.isfinite(calendar)
    total = np.cumsum(np.where(is_known, calendar, 0.0), axis=0)
    count = np.cumsum(is_known, axis=0)
    length = np.minimum(step_days, longest_step)
    last = (margin + days)[:, None] - np.arange(lags + 1)[:, None, None]
    first = last - length
    is_whole = np.take_along_axis(count[None], last, 1) - np.take_along_axis(count[None], first, 1)
    amounts = np.take_along_axis(total[None], last, 1) - np.take_along_axis(total[None], first, 1)
    # one sample for all lags, else the largest correlation may be that of the fewest days
    return amounts, (is_whole == length).all(axis=0)


def _correlate(
    increments: Floats, rain: Floats, is_pair: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Give the correlation and the slope (increment over rain) of each column."""
    number = np.maximum(is_pair.sum(axis=0), 1)
    columns = []
    for values in (increments, rain):
        mean = np.where(is_pair, values, 0.0).sum(axis=0) / number
        columns.append(np.where(is_pair, values - mean, 0.0))
    square_soil, square_rain = ((one**2).sum(axis=0) / number for one in columns)
    cross = (columns[0] * columns[1]).sum(axis=0) / number
    varies = np.minimum(square_soil, square_rain) > TINY
    scale = np.where(varies, np.sqrt(square_soil * square_rain), np.nan)
    return np.clip(cross / scale, -1.0, 1.0), cross / np.where(varies, square_rain, np.nan)


def _median_ratio(own: xr.DataArray, base: xr.DataArray, is_both: npt.NDArray[np.bool_]) -> float:
    if not is_both.any():
        return float("nan")
    return float(np.median(own.values[is_both] / base.values[is_both]))
