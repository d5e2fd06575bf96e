"""The three-cornered hat: errors of three or more products over whole maps, without a truth.

Products ``X_i = T + e_i`` of one quantity differ by their errors alone. From the covariances of their differences
the hat takes those error covariances that make the errors least correlated (see `hat_constrained`). It cannot know
more than the differences hold: `describe_common_error` says what that means, and goes with every result.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from scipy import stats

from vadose.errors import RecipeProblem, UnknownName
from vadose.uncertainty.hat_constrained import separate_errors
from vadose.uncertainty.moments import Array, Floats, Sums, block_edges, pairs, sum_products
from vadose.uncertainty.places import Output, check_products, label_products, map_places

Amplitude = Literal["raw", "matched"]
#: Fewer blocks of time than this say nothing of an interval.
LEAST_BLOCKS = 4


def three_cornered_hat(
    products: Mapping[str, xr.DataArray],
    *,
    minimum: int = 50,
    amplitude: Amplitude = "raw",
    blocks: int | None = None,
    level: float = 0.95,
    covariance: bool = False,
    inputs: Mapping[str, Collection[str]] | None = None,
) -> xr.Dataset:
    """Estimate the error of each of three or more products at every place.

    Only complete rows count: times at which every product has a value. Which product stands last, or
    first, makes no difference. Data in dask arrays is worked on when the result is computed, one chunk
    of places after the other, all of its times together; its chunks set the memory that is needed.

    Parameters
    ----------
    products
        By name; dims ``(time, y, x)``, ``(time, station)`` or ``time`` with what else they share, the
        same times, places and unit. NaN is a gap.
    minimum
        Complete rows below which nothing is estimated.
    amplitude
        ``raw``, or ``matched``: the anomalies of every product are first scaled, place by place, to the
        mean standard deviation of all, so that a difference of amplitude alone is no error.
    blocks
        Number of blocks of time for intervals; none without. Blocks should be longer than errors
        remember, so there should be few: 6 to 10. In simulations 6 to 10 blocks of a year of days cover
        93-96 % at a nominal 95 % where errors are autocorrelated by .8, 85-90 % by .95; three years
        91-96 % by .95.
    level
        Coverage that intervals aim at.
    covariance
        Also give the covariances of the errors.
    inputs
        What each product was made from, by its name: what two of them share is named in the warning.

    Returns
    -------
    xarray.Dataset
        ``error_sd`` in the unit of the products, ``error_variance`` in its square,
        ``relative_uncertainty`` (error_sd over the product's mean; NaN where that is not positive) and
        ``unconstrained_variance``, dims ``(product, y, x)``: the last is the solution without the
        constraint, for three products the classical hat, and may be negative, which says that the
        record is too short or one product too poor for the others to be told apart. There
        ``is_constrained`` is set, dims ``(y, x)``, and the other variables hold the nearest solution
        that is a covariance, which often puts the error of the best product at too little. ``n``, dims
        ``(y, x)``, counts complete rows; below `minimum` ``is_too_few`` is set and all estimates are
        NaN. With `blocks` there are ``error_sd_lower`` and ``error_sd_upper`` (NaN where fewer than 4
        blocks have rows), with `covariance` ``error_covariance``, dims ``(product, other_product, y,
        x)``. ``attrs["warning"]`` is the text of `describe_common_error`.

    Raises
    ------
    RecipeProblem
        Fewer than three products; a minimum, number of blocks or level that makes no sense.
    CubeProblem, GridProblem, UnitProblem
        Products that differ in dims, coordinates or units.
    UnknownName
        An amplitude or, in `inputs`, a product that does not exist.

    References
    ----------
    Tavella and Premoli (1994), Metrologia 30, 479-486. Ferreira et al. (2016), J. Appl. Remote Sens. 10,
    015015. Intervals: Busing et al. (1999), Statistics and Computing 9, 3-8 (jackknife of unequal blocks).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(0.25, 0.05, 5000)
    >>> products = {
    ...     name: xr.DataArray(truth + rng.normal(0, sd, 5000), dims="time")
    ...     for name, sd in {"satellite": 0.04, "model": 0.02, "merged": 0.01}.items()
    ... }
    >>> three_cornered_hat(products)["error_sd"].values.round(3)
    array([0.04 , 0.02 , 0.011])
    """
    checked = check_products(products, least=3)
    times = next(iter(checked.values())).sizes["time"]
    _check_settings(minimum, amplitude, blocks, level, times)
    warning = describe_common_error(list(checked), inputs)
    count = len(checked)
    edges = block_edges(times, blocks or 1)

    def estimate(arrays: list[Array]) -> dict[str, Array]:
        sums = sum_products(arrays, edges)
        rows, mean, errors, is_constrained, unconstrained = _solve(sums.over_all(), amplitude)
        is_too_few = rows < minimum
        for values in (errors, unconstrained):
            values[:, is_too_few] = np.nan
        own = _own(count)
        sd = np.sqrt(errors[own])
        found = {
            "error_sd": sd,
            "error_variance": errors[own],
            "unconstrained_variance": unconstrained[own],
            "relative_uncertainty": sd / np.where(mean > 0, mean, np.nan),
            "n": rows,
            "is_constrained": is_constrained & ~is_too_few,
            "is_too_few": is_too_few,
        }
        if blocks is not None:
            found["error_sd_lower"], found["error_sd_upper"] = _interval(sums, sd, amplitude, level)
        if covariance:
            one, other = pairs(count)
            square = np.empty((count, count, errors.shape[1]))
            square[one, other] = square[other, one] = errors
            found["error_covariance"] = square
        return found

    names = list(checked)
    outputs = _outputs(checked[names[0]].attrs.get("units"), blocks is not None, covariance)
    sizes = {"product": count, "other_product": count} if covariance else {"product": count}
    result = map_places(estimate, checked, outputs, sizes)
    labels = {dim: (dim, label_products(names)) for dim in sizes}
    settings: dict[str, Any] = {"minimum": minimum, "amplitude": amplitude, "warning": warning}
    if blocks is not None:
        settings |= {"blocks": blocks, "level": level}
    return result.assign_coords(labels).assign_attrs(settings)


def describe_common_error(
    products: Sequence[str], inputs: Mapping[str, Collection[str]] | None = None
) -> str:
    """Say what a three-cornered hat cannot see, to be printed beside its figures.

    Parameters
    ----------
    products
        Their names.
    inputs
        What each product was made from, by its name; products may be left out.

    Raises
    ------
    UnknownName
        Inputs of a product that is not there.

    Examples
    --------
    >>> print(describe_common_error(["forest", "network", "SMAP"], {
    ...     "forest": ["MCCA", "NDVI"], "network": ["MCCA"]}))
    Errors that products have in common are invisible to a three-cornered hat: its figures tell how far \
forest, network, SMAP differ from each other and are too small as errors against the truth. Shared \
inputs: MCCA (forest, network).
    """
    text = (
        "Errors that products have in common are invisible to a three-cornered hat: its figures tell "
        f"how far {', '.join(products)} differ from each other and are too small as errors against "
        "the truth. Shared inputs: "
    )
    if inputs is None:
        return text + "not stated."
    users: dict[str, list[str]] = {}
    for product, names in inputs.items():
        if product not in products:
            raise UnknownName("product", product, products)
        for name in [names] if isinstance(names, str) else names:
            users.setdefault(name, []).append(product)
    shared = [f"{name} ({', '.join(of)})" for name, of in sorted(users.items()) if len(of) > 1]
    return text + (", ".join(shared) or "none among those stated") + "."


def _check_settings(
    minimum: int, amplitude: str, blocks: int | None, level: float, times: int
) -> None:
    if amplitude not in get_args(Amplitude):
        raise UnknownName("amplitude", amplitude, get_args(Amplitude))
    if minimum < 2:
        raise RecipeProblem("minimum", found=f"{minimum}", expected="2 complete rows or more")
    if blocks is not None and not LEAST_BLOCKS <= blocks <= times:
        raise RecipeProblem(
            "blocks", found=f"{blocks}", expected=f"{LEAST_BLOCKS} to {times}, the number of times"
        )
    if not 0 < level < 1:
        raise RecipeProblem("level", found=f"{level}", expected="a share between 0 and 1")


def _own(products: int) -> Array:
    """Give where pairs are a product with itself."""
    one, other = pairs(products)
    return np.flatnonzero(one == other)


def _solve(
    moments: tuple[Floats, Floats, Floats], amplitude: str
) -> tuple[Floats, Floats, Floats, Array, Floats]:
    """Give rows, means and what `separate_errors` gives."""
    rows, mean, covariance = moments
    count = len(mean)
    if amplitude == "matched":
        one, other = pairs(count)
        spread = np.sqrt(covariance[_own(count)])
        factor = spread.mean(axis=0) / np.where(spread > 0, spread, np.nan)
        covariance = covariance * factor[one] * factor[other]
    errors, is_constrained, unconstrained = separate_errors(covariance, count)
    return rows, mean, errors, is_constrained, unconstrained


def _interval(sums: Sums, sd: Floats, amplitude: str, level: float) -> tuple[Floats, Floats]:
    """Give the interval of the standard deviations by leaving out one block of time after the other."""
    has_rows = sums.count > 0
    blocks = has_rows.sum(axis=0)
    rows = sums.count.sum(axis=0)
    left = np.empty((len(sums.count), *sd.shape))
    for block in range(len(left)):
        _, _, errors, _, _ = _solve(sums.without(block), amplitude)
        left[block] = np.sqrt(errors[_own(len(sd))])
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = (rows / sums.count)[:, None]
        share = np.where(has_rows[:, None], (1 - 1 / weight) * left, 0.0)
        middle = blocks * sd - share.sum(axis=0)
        away = (weight * sd - (weight - 1) * left - middle) ** 2 / (weight - 1)
        variance = np.where(has_rows[:, None], away, 0.0).sum(axis=0) / blocks
        reach = stats.t.ppf((1 + level) / 2, np.maximum(blocks - 1, 1)) * np.sqrt(variance)
    reach = np.where(blocks >= LEAST_BLOCKS, reach, np.nan)
    return np.maximum(sd - reach, 0.0), sd + reach


def _outputs(units: Any, intervals: bool, covariance: bool) -> dict[str, Output]:
    """List what is given, with attributes."""
    own = {} if units is None else {"units": str(units)}
    square = {} if units is None else {"units": f"({units})2"}

    def by_product(text: str, **attrs: Any) -> Output:
        return Output(("product",), "f8", {"long_name": text, **attrs})

    outputs = {
        "error_sd": by_product("standard deviation of the error", **own),
        "error_variance": by_product("variance of the error", **square),
        "unconstrained_variance": by_product(
            "variance of the error without the constraint, negative where it cannot be told",
            **square,
        ),
        "relative_uncertainty": by_product(
            "standard deviation of the error over the mean", units="1"
        ),
        "n": Output((), "i4", {"long_name": "complete rows", "units": "1"}),
        "is_constrained": Output((), "bool", {"long_name": "the constraint is active"}),
        "is_too_few": Output((), "bool", {"long_name": "fewer complete rows than the minimum"}),
    }
    if intervals:
        for end in ("lower", "upper"):
            outputs[f"error_sd_{end}"] = by_product(f"{end} end of the interval of error_sd", **own)
    if covariance:
        outputs["error_covariance"] = Output(
            ("product", "other_product"), "f8", {"long_name": "covariance of errors", **square}
        )
    return outputs
