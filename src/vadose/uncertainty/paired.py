"""Scores of two products on the same days: statistics to average, the score of their means, and influence.

The *influence* of a day is what it adds to the difference of the scores in first order; the difference
is as uncertain, and its blocks must be as long, as for the mean of the influence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.stats

from vadose.uncertainty.bootstrap import block_length, draw_means
from vadose.uncertainty.memory import (
    Array,
    Mask,
    fit_memory,
    match_degrees,
    match_scale,
    standardise,
)

#: A variance below this part of the mean square is that of a constant: what rounding leaves.
ROUNDING = 1e-24


@dataclass(frozen=True)
class Score:
    """Hold how a score is taken.

    Attributes
    ----------
    statistics
        From product and reference ``(series, time)`` to what is averaged ``(series, statistic, time)``.
    of_means
        From means ``(series, statistic, draw)`` to scores ``(series, draw)``.
    influence
        From product and reference ``(series, time)`` and the valid steps to the influence
        ``(series, time)``, which may hold anything where not valid.
    """

    statistics: Callable[[Array, Array], Array]
    of_means: Callable[[Array], Array]
    influence: Callable[[Array, Array, Mask], Array]


def centre(values: Array, is_valid: Mask) -> Array:
    """Take off the mean of the valid steps, dims ``(series, time)``; zero elsewhere.

    Examples
    --------
    >>> centre(np.array([[1.0, np.nan, 3.0]]), np.array([[True, False, True]]))
    array([[-1.,  0.,  1.]])
    """
    return np.where(is_valid, values - _mean(values, is_valid), 0.0)


def _mean(values: Array, is_valid: Mask) -> Array:
    """Give the mean of the valid steps, dims ``(series, 1)``."""
    n = np.maximum(is_valid.sum(axis=1, keepdims=True), 1)
    mean: Array = np.where(is_valid, values, 0.0).sum(axis=1, keepdims=True) / n
    return mean


def _divide(numerator: Array, denominator: Array) -> Array:
    """Divide; zero by zero is zero: what does not vary has no influence."""
    return np.where(denominator > 0, numerator / np.where(denominator > 0, denominator, 1), 0.0)


def _correlation(means: Array) -> Array:
    """Give the correlation, NaN where either side does not vary."""
    p, o, pp, oo, po = np.moveaxis(means, 1, 0)
    of_product, of_reference = pp - p**2, oo - o**2
    varies = (of_product > ROUNDING * pp) & (of_reference > ROUNDING * oo)
    scale = np.sqrt(np.where(varies, of_product * of_reference, np.nan))
    correlation: Array = np.clip((po - p * o) / scale, -1.0, 1.0)
    return correlation


def _correlation_influence(product: Array, reference: Array, is_valid: Mask) -> Array:
    p, o = centre(product, is_valid), centre(reference, is_valid)
    u = _divide(p, np.sqrt(_mean(p**2, is_valid)))
    v = _divide(o, np.sqrt(_mean(o**2, is_valid)))
    return u * v - _mean(u * v, is_valid) * (u**2 + v**2) / 2


def _ubrmse_influence(product: Array, reference: Array, is_valid: Mask) -> Array:
    squares = centre(product - reference, is_valid) ** 2
    return _divide(squares, 2 * np.sqrt(_mean(squares, is_valid)))


def _rmse_influence(product: Array, reference: Array, is_valid: Mask) -> Array:
    squares = (product - reference) ** 2
    return _divide(squares, 2 * np.sqrt(_mean(squares, is_valid)))


def _bias_influence(product: Array, reference: Array, is_valid: Mask) -> Array:
    difference = product - reference
    return np.sign(_mean(difference, is_valid)) * difference


#: Scores by name; correlation rises as a product gets better, the others fall.
SCORES: dict[str, Score] = {
    "r": Score(
        statistics=lambda p, o: np.stack([p, o, p * p, o * o, p * o], axis=1),
        of_means=_correlation,
        influence=_correlation_influence,
    ),
    "ubrmse": Score(
        statistics=lambda p, o: np.stack([p - o, (p - o) ** 2], axis=1),
        of_means=lambda means: np.sqrt(np.maximum(means[:, 1] - means[:, 0] ** 2, 0)),
        influence=_ubrmse_influence,
    ),
    "rmse": Score(
        statistics=lambda p, o: (p - o)[:, None] ** 2,
        of_means=lambda means: np.sqrt(means[:, 0]),
        influence=_rmse_influence,
    ),
    "mae": Score(
        statistics=lambda p, o: np.abs(p - o)[:, None],
        of_means=lambda means: means[:, 0],
        influence=lambda p, o, is_valid: np.abs(p - o),
    ),
    "absolute_bias": Score(
        statistics=lambda p, o: (p - o)[:, None],
        of_means=lambda means: np.abs(means[:, 0]),
        influence=_bias_influence,
    ),
}


def bound_difference(
    score: Score,
    product: Array,
    other: Array,
    reference: Array,
    is_valid: Mask,
    *,
    upper_tail: float,
    seed: int,
    draws: int,
) -> Array:
    """Bound the score of the product minus that of the other.

    Parameters
    ----------
    score
        One of `SCORES`.
    product, other, reference, is_valid
        Dims ``(series, time)``; finite throughout, and enough valid steps in each series.
    upper_tail
        Upper quantile of the interval.
    seed
        Of the draws: series with blocks of one length have the same days drawn, in whatever block.
    draws
        How often.

    Returns
    -------
    numpy.ndarray
        Lower, upper and effective n, dims ``(3, series)``; NaN where the score is not defined.

    Examples
    --------
    >>> truth = np.random.default_rng(0).normal(size=(1, 50))
    >>> settings = {"upper_tail": 0.975, "seed": 0, "draws": 20}
    >>> bound_difference(SCORES["mae"], truth + 1, truth + 1, truth, truth < 9, **settings)
    array([[ 0.],
           [ 0.],
           [50.]])
    """
    n = is_valid.sum(axis=1)
    # one origin for all keeps the biases, and small numbers keep the digits of the squares
    origin = _mean(reference, is_valid)
    sides = [np.where(is_valid, one - origin, 0.0) for one in (product, other, reference)]
    tables = [score.statistics(side, sides[2]) for side in sides[:2]]
    table = np.where(is_valid[:, None], np.concatenate(tables, axis=1), 0.0)
    influence = np.subtract(*(score.influence(side, sides[2], is_valid) for side in sides[:2]))
    influence = centre(influence, is_valid)

    def difference(means: Array) -> Array:
        first, second = np.split(means, 2, axis=1)
        return score.of_means(first) - score.of_means(second)

    estimate = difference(table.sum(axis=2, keepdims=True) / n[:, None, None])[:, 0]
    is_same = (np.where(is_valid, product - other, 0.0) == 0).all(axis=1) & ~np.isnan(estimate)
    standardised, varies = standardise(influence, is_valid)
    rows = varies & ~is_same & ~np.isnan(estimate)
    half, effective_n = np.zeros(len(n)), n.astype("f8")
    if rows.any():
        memory = fit_memory(standardised[rows], is_valid[rows])
        degrees = match_degrees(memory.log_mean_variance_spread)
        of_influence = _mean(influence**2, is_valid)[rows, 0]
        variance = match_scale(memory.log_mean_variance, degrees) * of_influence
        lengths = block_length(np.where(is_valid, influence, np.nan)[rows])
        for length in np.unique(lengths):
            here = lengths == length
            chosen = np.flatnonzero(rows)[here]
            drawn = draw_means(
                table[chosen],
                is_valid[chosen],
                length=int(length),
                draws=draws,
                rng=np.random.default_rng([seed, int(length)]),
            )
            variance[here] = np.maximum(variance[here], difference(drawn).var(axis=1))
        half[rows] = scipy.stats.t.ppf(upper_tail, degrees) * np.sqrt(variance)
        effective_n[rows] = memory.n / memory.mean_inflation
    estimate[is_same] = 0.0
    effective_n[np.isnan(estimate)] = np.nan
    return np.stack([estimate - half, estimate + half, effective_n])
