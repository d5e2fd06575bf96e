"""Moving-block bootstrap of a function of weighted means, with blocks as long as the data remember."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from vadose.errors import RecipeProblem, ValueProblem
from vadose.uncertainty.memory import Array, Mask, count_pairs, standardise, sum_products

Values = npt.NDArray[np.floating]


def block_bootstrap(
    statistics: Values,
    function: Callable[[Array], Array],
    *,
    length: int | None = None,
    draws: int = 1000,
    rng: np.random.Generator,
) -> Array:
    """Draw whole blocks of days with replacement, and take the function of the means of each draw.

    Blocks are circular: the first day follows the last. A gap stays a gap in its block, so that a draw
    has as many valid days as it happens to have.

    Parameters
    ----------
    statistics
        Dims ``(time, statistic)`` at regular steps, what is averaged. In a gap all are NaN.
    function
        From means ``(draw, statistic)`` to one number for each draw.
    length
        Steps in a block; from the data unless given, as for the statistic that needs the longest.
    draws
        How often.
    rng
        The same generator in the same state draws the same days.

    Returns
    -------
    numpy.ndarray
        Dims ``(draw)``; of no valid day in a draw, what the function makes of NaN.

    Raises
    ------
    ValueProblem
        A step has some of its statistics but not all, or none has any.
    RecipeProblem
        Blocks longer than the series or shorter than a step, or no draws.

    References
    ----------
    Künsch (1989), Ann. Stat. 17, 1217-1241. Politis and Romano (1992), in Exploring the Limits of
    Bootstrap, 263-270.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> error = rng.normal(0.02, 0.1, 500)
    >>> squares = np.stack([error, error**2], axis=1)
    >>> rmse = block_bootstrap(squares, lambda means: np.sqrt(means[:, 1]), length=5, rng=rng)
    >>> rmse.shape, bool(0.002 < rmse.std() < 0.005)
    ((1000,), True)
    """
    table: Array = np.asarray(statistics, "f8")
    is_gap: Mask = np.isnan(table)
    is_valid: Mask = np.logical_not(np.all(is_gap, axis=1))
    if not is_valid.any() or (is_gap.any(axis=1) & is_valid).any():
        raise ValueProblem(
            "statistics",
            found="no valid step" if not is_valid.any() else "a step with some NaN and some values",
            expected="steps with all statistics, or NaN in all for a gap",
        )
    if length is None:
        length = int(block_length(table.T).max())
    means = draw_means(table.T[None], is_valid[None], length=length, draws=draws, rng=rng)
    return function(means[0].T)


def draw_means(
    statistics: Array, is_valid: Mask, *, length: int, draws: int, rng: np.random.Generator
) -> Array:
    """Give the means of several series over the same drawn days.

    Parameters
    ----------
    statistics
        Dims ``(series, statistic, time)``; what stands where not valid does not count.
    is_valid
        Dims ``(series, time)``.
    length, draws, rng
        As of `block_bootstrap`.

    Returns
    -------
    numpy.ndarray
        Dims ``(series, statistic, draw)``; NaN where a draw has no valid day.

    Raises
    ------
    RecipeProblem
        Blocks longer than the series or shorter than a step, or no draws.

    Examples
    --------
    >>> whole = np.array([[[1.0, 2.0, 6.0]]])
    >>> valid = np.ones((1, 3), dtype=bool)
    >>> draw_means(whole, valid, length=3, draws=2, rng=np.random.default_rng(0))
    array([[[3., 3.]]])
    """
    counts = _draw_counts(is_valid.shape[-1], length=length, draws=draws, rng=rng)
    days = is_valid.astype("f8") @ counts
    filled = np.where(is_valid[:, None], statistics, 0.0)
    with np.errstate(invalid="ignore"):
        means: Array = (filled @ counts) / days[:, None]
    return means


def block_length(series: Values) -> npt.NDArray[np.int64]:
    """Choose the length of blocks for the mean of each series, from its autocorrelations.

    Parameters
    ----------
    series
        Dims ``(..., time)`` at regular steps; NaN is a gap, and lags are those of the calendar.

    Returns
    -------
    numpy.ndarray
        Steps, dims as in front of time; 1 where a series does not vary or has no pairs.

    Notes
    -----
    The rule of Politis and White for circular blocks, as corrected: with autocovariances R(k) weighed by
    a flat top of as many lags as matter, the length is ``(2 G² / D)^⅓ n^⅓`` with ``G = Σ |k| R(k)`` and
    ``D = ⁴⁄₃ (Σ R(k))²``. Autocovariances are of the pairs there are, and a lag matters if its pairs are
    enough to say so. A lag without pairs, as between the overpasses of a satellite, lies on the line
    between its neighbours.

    References
    ----------
    Politis and White (2004), Econom. Rev. 23, 53-70. Patton, Politis and White (2009), Econom. Rev. 28,
    372-375.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.standard_normal((2, 1000))
    >>> noise[1] = np.cumsum(noise[1]) * 0.1
    >>> short, long = block_length(noise)
    >>> bool(short < 10 < long)
    True
    """
    values = np.asarray(series, "f8")
    rows = values.reshape(-1, values.shape[-1])
    steps = rows.shape[1]
    is_valid = ~np.isnan(rows)
    standardised, varies = standardise(rows, is_valid)
    in_a_row = max(5, math.ceil(math.sqrt(math.log10(max(steps, 2)))))
    most = min(math.ceil(math.sqrt(steps)) + in_a_row, steps - 1)
    longest = max(1, math.ceil(min(3 * math.sqrt(steps), steps / 3)))
    if most < 1:
        return np.ones(values.shape[:-1], "i8")
    pairs = count_pairs(is_valid)[:, : most + 1]
    rho = sum_products(standardised)[:, : most + 1] / np.maximum(pairs, 1)
    _bridge(rho, pairs)
    usable = np.maximum(pairs[:, 1:], 2)
    matters = np.abs(rho[:, 1:]) > 2 * np.sqrt(np.log10(usable) / usable)
    width = np.minimum(2 * _last_that_matters(matters, in_a_row), most)[:, None]
    lags = np.arange(1, most + 1)
    window = np.clip(2 * (1 - lags / width), 0, 1)
    slope = 2 * (window * lags * rho[:, 1:]).sum(axis=1)
    total = 1 + 2 * (window * rho[:, 1:]).sum(axis=1)
    with np.errstate(divide="ignore"):
        best = np.cbrt(2 * slope**2 / (4 / 3 * total**2) * steps)
    chosen = np.where(varies, np.clip(np.rint(best), 1, longest), 1).astype("i8")
    return chosen.reshape(values.shape[:-1])


def _bridge(rho: Array, pairs: Array) -> None:
    """Interpolate autocorrelations, and numbers of pairs, over lags of fewer than two pairs, in place."""
    is_known = pairs > 1
    lags = np.arange(pairs.shape[1])
    for row in np.flatnonzero(is_known.any(axis=1) & ~is_known.all(axis=1)):
        for table in (rho, pairs):
            table[row] = np.interp(lags, lags[is_known[row]], table[row, is_known[row]])


def _last_that_matters(matters: Mask, in_a_row: int) -> npt.NDArray[np.int64]:
    """Give the lag after which so many in a row do not matter, at least 1; `matters` from lag 1."""
    rows, lags = matters.shape
    since = np.concatenate([np.zeros((rows, 1), int), np.cumsum(matters, axis=1)], axis=1)
    ends = np.minimum(np.arange(lags + 1) + in_a_row, lags)
    is_quiet = since[:, ends] == since
    is_quiet[:, lags - in_a_row + 1 :] = False
    first = is_quiet.argmax(axis=1)
    last = np.where(matters.any(axis=1), lags - matters[:, ::-1].argmax(axis=1), 1)
    return np.maximum(np.where(is_quiet.any(axis=1), first, last), 1)


def _draw_counts(steps: int, *, length: int, draws: int, rng: np.random.Generator) -> Array:
    """Count how often each day is drawn, dims ``(time, draw)``; each draw has as many days as there are."""
    if not 1 <= length <= steps:
        raise RecipeProblem(
            "length", found=f"blocks of {length} steps", expected=f"1 to {steps}, the whole series"
        )
    if draws < 1:
        raise RecipeProblem("draws", found=f"{draws}", expected="at least one")
    blocks = math.ceil(steps / length)
    starts = rng.integers(steps, size=(draws, blocks))
    ends = starts + length
    ends[:, -1] -= blocks * length - steps
    width = steps + length + 1
    offset = width * np.arange(draws)[:, None]
    changes = np.bincount((starts + offset).ravel(), minlength=draws * width)
    changes = changes - np.bincount((ends + offset).ravel(), minlength=draws * width)
    unrolled = np.cumsum(changes.reshape(draws, width), axis=1)
    counts = unrolled[:, :steps].astype("f8")
    counts[:, : length + 1] += unrolled[:, steps:][:, :steps]
    return np.ascontiguousarray(counts.T)
