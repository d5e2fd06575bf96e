"""How uncertain Fisher's z of two autocorrelated series is."""

from __future__ import annotations

import numpy as np

from vadose.uncertainty.memory import (
    LEAST_PAIRS,
    MOST_LOST,
    Array,
    Mask,
    count_pairs,
    fit_memory,
    standardise,
    sum_products,
)

#: Lags, of those with pairs, whose cross-correlations tell two processes of different memory apart.
LAGS_APART = 3
#: Part that counts of what the processes being estimated adds to the variance of z. The sample correlation
#: varies less than the posterior of the process says, since errors of both variances go together; by
#: ``benchmarks/coverage.py``, with 0 and with 1 some cases come to lie outside of 90-98 %.
UNSURE = 0.6


def spread_of_z(both: Array, apart: Array, is_valid: Mask) -> tuple[Array, Array, Array]:
    """Give what the means take from Fisher's z, its variance and the effective number of pairs.

    Parameters
    ----------
    both, apart
        Sum and difference of the standardised series, standardised again as `standardise` does it, dims
        ``(series, time)``.
    is_valid
        Same shape.

    Returns
    -------
    tuple of numpy.ndarray
        Dims ``(series)`` each: what is to be taken off z, its variance, and the number of independent
        pairs of which z would vary as much.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> whole = np.ones((1, 400), dtype=bool)
    >>> both, _ = standardise(rng.standard_normal((1, 400)), whole)
    >>> apart, _ = standardise(rng.standard_normal((1, 400)), whole)
    >>> _, variance, effective_n = spread_of_z(both, apart, whole)
    >>> bool(0.9 < variance[0] * 400 < 1.2), bool(effective_n[0] > 300)
    (True, True)
    """
    n = is_valid.sum(axis=1).astype("f8")
    pairs = count_pairs(is_valid)
    angle = _separate(both, apart, pairs)
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    one, _ = standardise(np.where(is_valid, cosine * both + sine * apart, np.nan), is_valid)
    other, _ = standardise(np.where(is_valid, cosine * apart - sine * both, np.nan), is_valid)
    first, second = fit_memory(one, is_valid, pairs), fit_memory(other, is_valid, pairs)
    straight, mixed = np.cos(2 * angle) ** 2, np.sin(2 * angle) ** 2
    share = pairs[:, 1:] / n[:, None]
    tables = [(first.modelled, second.modelled), (first.sampled, second.sampled)]
    variances = []
    for alpha, beta in tables:
        near = share[:, : alpha.shape[1]]
        own = 1 + (near * (alpha**2 + beta**2)).sum(axis=1)
        cross = 1 + 2 * (near * alpha * beta).sum(axis=1)
        variances.append((straight * own + mixed * cross) / n)
        if len(variances) == 1:  # that the processes are not known but estimated
            spread = first.log_variance_spread + second.log_variance_spread
            estimated = straight * spread / 4 + mixed * cross / n
    plain = np.maximum(*variances)
    shares = [np.minimum(memory.mean_inflation / n, 1.0) for memory in (first, second)]
    turn = np.cos(angle) ** 2
    in_both = np.minimum(turn * shares[0] + (1 - turn) * shares[1], MOST_LOST)
    in_apart = np.minimum(turn * shares[1] + (1 - turn) * shares[0], MOST_LOST)
    lost = (np.log1p(-in_both) - np.log1p(-in_apart)) / 2
    variance = plain + UNSURE * np.maximum(estimated - plain, 0)
    return lost, variance, np.minimum(1 / plain, n)


def _separate(both: Array, apart: Array, pairs: Array) -> Array:
    """Give the angle by which two series are turned into two that are uncorrelated at lags too."""
    is_known = pairs[:, 1:] >= LEAST_PAIRS
    is_used = is_known & (np.cumsum(is_known, axis=1) <= LAGS_APART)

    def over_lags(values: Array, others: Array) -> Array:
        sums = sum_products(values, others)[:, 1:]
        total: Array = (sums / np.maximum(pairs[:, 1:], 1) * is_used).sum(axis=1)
        return total

    crossed = over_lags(both, apart) + over_lags(apart, both)
    angle: Array = np.arctan2(crossed, over_lags(both, both) - over_lags(apart, apart)) / 2
    return angle
