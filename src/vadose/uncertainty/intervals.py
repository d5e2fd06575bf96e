"""Confidence intervals of correlation, bias and ubRMSE that hold on autocorrelated series with gaps.

Intervals for independent values cover the truth in 35-50 % of cases where they claim 95 %, since a year
of daily soil moisture may hold ten independent values. These are measured by ``benchmarks/coverage.py``
to cover 90-98 %. They assume a regular calendar, of days or of any other step, and values that are
roughly Gaussian and stationary; a trend or a season counts as memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.stats

from vadose.errors import RecipeProblem, UnknownName, ValueProblem
from vadose.uncertainty.fisher import spread_of_z
from vadose.uncertainty.memory import (
    Array,
    Mask,
    Memory,
    fit_memory,
    match_degrees,
    match_scale,
    standardise,
)
from vadose.uncertainty.paired import SCORES, bound_difference

Values = npt.NDArray[np.floating]
#: Pairs below which there is no interval at all.
LEAST = 10
#: Effective numbers below which intervals of each score no longer cover 90 % (``benchmarks/coverage.py``).
LEAST_EFFECTIVE = {"bias": 3.0, "ubrmse": 4.0, "r": 6.0}
#: Series worked on at once, which bounds memory, and as many of the bootstrap, where they share draws.
BLOCK, BOOTSTRAP_BLOCK = 64, 256


@dataclass(frozen=True)
class Interval:
    """Hold intervals, one for each series: the leading dims of what they were asked for.

    Attributes
    ----------
    lower, upper
        Bounds in the unit of the score. NaN where the score is not defined or has fewer than ten
        pairs. Where a series is too short the bounds stay, but cover less than they claim.
    effective_n
        Number of independent pairs that would leave the score as uncertain; NaN as above.
    is_too_short
        True where that is too few for the interval to hold, or there is none.

    Examples
    --------
    >>> Interval(np.array(0.1), np.array(0.3), np.array(40.0), np.array(False)).lower
    array(0.1)
    """

    lower: Array
    upper: Array
    effective_n: Array
    is_too_short: Mask


def bias_interval(product: Values, reference: Values, *, level: float = 0.95) -> Interval:
    """Give the interval of the mean of product minus reference.

    Parameters
    ----------
    product, reference
        Dims ``(..., time)``, at regular steps; NaN is a gap. A step counts where both are present.
    level
        Share of cases that the interval is to cover.

    Returns
    -------
    Interval
        Around the bias, in the unit of the data.

    Raises
    ------
    ValueProblem
        Shapes differ, or a value is infinite.
    RecipeProblem
        The level does not lie between 0 and 1.

    Notes
    -----
    Student's t, its degrees of freedom those of a chi-squared as uncertain as the variance of the mean
    is after `vadose.uncertainty.memory`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(0.25, 0.05, 365)
    >>> interval = bias_interval(truth + rng.normal(0.01, 0.03, 365), truth)
    >>> bool(interval.lower < 0.01 < interval.upper)
    True
    """
    return _of_difference("bias", product, reference, level)


def ubrmse_interval(product: Values, reference: Values, *, level: float = 0.95) -> Interval:
    """Give the interval of the standard deviation of product minus reference.

    Parameters
    ----------
    product, reference
        Dims ``(..., time)``, at regular steps; NaN is a gap. A step counts where both are present.
    level
        Share of cases that the interval is to cover.

    Returns
    -------
    Interval
        In the unit of the data. It need not lie evenly about the ubRMSE: of an autocorrelated series
        the sample shows less than the process has.

    Raises
    ------
    ValueProblem
        Shapes differ, or a value is infinite.
    RecipeProblem
        The level does not lie between 0 and 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(0.25, 0.05, 365)
    >>> interval = ubrmse_interval(truth + rng.normal(0.01, 0.03, 365), truth)
    >>> bool(interval.lower < 0.03 < interval.upper)
    True
    """
    return _of_difference("ubrmse", product, reference, level)


def correlation_interval(product: Values, reference: Values, *, level: float = 0.95) -> Interval:
    """Give the interval of Pearson's correlation.

    Parameters
    ----------
    product, reference
        Dims ``(..., time)``, at regular steps; NaN is a gap. A step counts where both are present.
    level
        Share of cases that the interval is to cover.

    Returns
    -------
    Interval
        Between −1 and 1; NaN also where either side does not vary.

    Raises
    ------
    ValueProblem
        Shapes differ, or a value is infinite.
    RecipeProblem
        The level does not lie between 0 and 1.

    Notes
    -----
    Fisher's z is half the logarithm of var(u + v) / var(u − v) of the standardised series u and v, which
    are uncorrelated. They are turned into two processes that stay uncorrelated at lags too (the axes of
    their lagged covariances, as in Belouchrani et al. 1997), so that the cross terms of Bartlett's
    formula fall away. With the angle θ of that turn and the autocorrelations α and β of the two,

        var(z) = Σ c (cos² 2θ (α² + β²) + 2 sin² 2θ α β) / 2n

    summed over all lags, c being the share of pairs. What the means took from the two variances is given
    back to z.

    References
    ----------
    Bartlett (1946), Suppl. J. R. Stat. Soc. 8, 27-41. Belouchrani et al. (1997), IEEE Trans. Signal
    Process. 45, 434-444.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(0.25, 0.05, 365)
    >>> interval = correlation_interval(truth + rng.normal(0.01, 0.05, 365), truth)
    >>> bool(interval.lower < 2**-0.5 < interval.upper)
    True
    """
    product, reference = check_pairs(product, reference)
    quantile = scipy.stats.norm.ppf(_upper_tail(level))

    def bound(one: Array, other: Array) -> Array:
        bounds = np.full((3, len(one)), np.nan)
        is_valid = ~np.isnan(one)
        u, u_varies = standardise(one, is_valid)
        v, v_varies = standardise(other, is_valid)
        is_defined = u_varies & v_varies & (is_valid.sum(axis=1) >= LEAST)
        both, both_vary = standardise(u + v, is_valid)
        apart, apart_varies = standardise(u - v, is_valid)
        for is_missing, limit in ((~apart_varies, 1.0), (~both_vary, -1.0)):
            bounds[:2, is_defined & is_missing] = limit
            bounds[2, is_defined & is_missing] = is_valid.sum(axis=1)[is_defined & is_missing]
        rows = is_defined & both_vary & apart_varies
        if rows.any():
            score = np.arctanh((u[rows] * v[rows]).sum(axis=1) / is_valid[rows].sum(axis=1))
            lost, variance, effective_n = spread_of_z(both[rows], apart[rows], is_valid[rows])
            half = quantile * np.sqrt(variance)
            bounds[0, rows], bounds[1, rows] = (
                np.tanh(score - lost - half),
                np.tanh(score - lost + half),
            )
            bounds[2, rows] = effective_n
        return bounds

    return _by_block("r", bound, product, reference)


def difference_interval(
    product: Values,
    other: Values,
    reference: Values,
    *,
    metric: Literal["r", "ubrmse", "rmse", "mae", "absolute_bias"],
    level: float = 0.95,
    rng: np.random.Generator,
    draws: int = 500,
) -> Interval:
    """Give the interval of the score of a product minus that of another, on the same days.

    Parameters
    ----------
    product, other, reference
        Dims ``(..., time)``, at regular steps; NaN is a gap. A step counts where all three are present.
    metric
        Name of the score. A better product has a positive difference of r, a negative one of the rest.
    level
        Share of cases that the interval is to cover.
    rng
        Draws the blocks; series with blocks of one length share theirs, whatever stands beside them.
    draws
        How often blocks are drawn.

    Returns
    -------
    Interval
        Around the difference, in the unit of the score. Exactly (0, 0) where both products are the same;
        NaN also where a correlation is not defined.

    Raises
    ------
    UnknownName
        No such metric.
    ValueProblem
        Shapes differ, or a value is infinite.
    RecipeProblem
        The level does not lie between 0 and 1, or no draws.

    Notes
    -----
    The standard error is that of a moving-block bootstrap, or what `vadose.uncertainty.memory` makes of
    the influence of the days where that is larger, since blocks of a short and slow series are too few;
    from there also come the degrees of freedom of Student's t.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(0.25, 0.05, 365)
    >>> ours, coarse = truth + rng.normal(0, [[0.03], [0.06]], (2, 365))
    >>> gain = difference_interval(ours, coarse, truth, metric="ubrmse", rng=rng)
    >>> bool(gain.lower < -0.03 < gain.upper < 0)
    True
    """
    if metric not in SCORES:
        raise UnknownName("metric", metric, SCORES)
    product, other, reference = check_pairs(product, other, reference)
    upper_tail = _upper_tail(level)
    seed = int(rng.integers(2**63))

    def bound(*three: Array) -> Array:
        bounds = np.full((3, len(three[0])), np.nan)
        is_valid = ~np.isnan(three[0])
        rows = is_valid.sum(axis=1) >= LEAST
        if rows.any():
            ours, theirs, truth = (np.where(is_valid, one, 0.0)[rows] for one in three)
            bounds[:, rows] = bound_difference(
                SCORES[metric],
                ours,
                theirs,
                truth,
                is_valid[rows],
                upper_tail=upper_tail,
                seed=seed,
                draws=draws,
            )
        return bounds

    return _by_block("bias", bound, product, other, reference, block=BOOTSTRAP_BLOCK)


def check_pairs(*series: Values) -> tuple[Array, ...]:
    """Give series of one shape in double precision, with NaN wherever one of them has it.

    Raises
    ------
    ValueProblem
        Shapes differ, there is no time, or a value is infinite.

    Examples
    --------
    >>> check_pairs(np.array([1.0, np.nan]), np.array([2.0, 3.0]))[1]
    array([ 2., nan])
    """
    shapes = [np.shape(one) for one in series]
    if len(set(shapes)) > 1 or not shapes[0] or shapes[0][-1] == 0:
        raise ValueProblem(
            "pairs of series",
            found=f"shapes {', '.join(map(str, shapes))}",
            expected="the same (..., time) of each, and some time",
        )
    if any(np.isinf(one).any() for one in series):
        raise ValueProblem(
            "pairs of series",
            found="infinite values",
            expected="numbers, and NaN for a gap",
        )
    is_gap = np.any([np.isnan(one) for one in series], axis=0)
    return tuple(np.where(is_gap, np.nan, np.asarray(one, "f8")) for one in series)


def _of_difference(score: str, product: Values, reference: Values, level: float) -> Interval:
    """Bound a score of product minus reference, by its mean, its variance and its memory."""
    product, reference = check_pairs(product, reference)
    upper_tail = _upper_tail(level)
    bound_memory = _bound_mean if score == "bias" else _bound_spread

    def bound(one: Array, other: Array) -> Array:
        bounds = np.full((3, len(one)), np.nan)
        difference = one - other
        is_valid = ~np.isnan(difference)
        n = is_valid.sum(axis=1)
        standardised, varies = standardise(difference, is_valid)
        mean = np.where(is_valid, difference, 0).sum(axis=1) / np.maximum(n, 1)
        constant = (n >= LEAST) & ~varies
        level_of = mean if score == "bias" else np.zeros_like(mean)
        bounds[:, constant] = np.stack([level_of, level_of, n])[:, constant]
        rows = (n >= LEAST) & varies
        if rows.any():
            centred = np.where(is_valid, difference - mean[:, None], 0)[rows]
            variance = (centred**2).sum(axis=1) / n[rows]
            memory = fit_memory(standardised[rows], is_valid[rows])
            bounds[:, rows] = bound_memory(mean[rows], variance, memory, upper_tail)
        return bounds

    return _by_block(score, bound, product, reference)


def _bound_mean(mean: Array, variance: Array, memory: Memory, upper_tail: float) -> Array:
    """Give lower, upper and effective n of the mean."""
    degrees = match_degrees(memory.log_mean_variance_spread)
    scale = match_scale(memory.log_mean_variance, degrees) * variance
    half = scipy.stats.t.ppf(upper_tail, degrees) * np.sqrt(scale)
    return np.stack([mean - half, mean + half, memory.n / memory.mean_inflation])


def _bound_spread(mean: Array, variance: Array, memory: Memory, upper_tail: float) -> Array:
    """Give lower, upper and effective n of the standard deviation."""
    degrees = match_degrees(memory.log_variance_spread)
    squares = match_scale(memory.log_variance, degrees) * variance * degrees
    lower = np.sqrt(squares / scipy.stats.chi2.ppf(upper_tail, degrees))
    upper = np.sqrt(squares / scipy.stats.chi2.isf(upper_tail, degrees))
    return np.stack([lower, upper, memory.n / memory.square_inflation])


def _upper_tail(level: float) -> float:
    """Give the upper quantile of a two-sided level."""
    if not 0 < level < 1:
        raise RecipeProblem("level", found=f"{level:g}", expected="a share between 0 and 1")
    return (1 + level) / 2


def _by_block(
    score: str, bound: Callable[..., Array], *series: Array, block: int = BLOCK
) -> Interval:
    """Bound blocks of series, and lay them out as they came."""
    shape = series[0].shape[:-1]
    rows = [one.reshape(-1, one.shape[-1]) for one in series]
    blocks = [
        bound(*(one[start : start + block] for one in rows))
        for start in range(0, len(rows[0]), block)
    ]
    bounds = np.concatenate([np.empty((3, 0)), *blocks], axis=1)
    lower, upper, effective_n = bounds.reshape(3, *shape)
    is_too_short = ~(effective_n >= LEAST_EFFECTIVE[score])
    return Interval(lower, upper, effective_n, is_too_short)
