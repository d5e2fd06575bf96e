"""Covariances of several products in records drawn anew by blocks of time, for every place at once.

Days are alike their neighbours, so whole blocks are drawn, from a record closed to a ring, and gaps come along with
them. Sums over a block are differences of running sums, so that a block of any length costs one addition, and the bits
do not depend on which places stand together. All places of one block length share their draws, which keeps what is
alike between neighbours.

References
----------
Künsch (1989), Ann. Statist. 17, 1217-1241. Politis and Romano (1992), in Exploring the Limits of Bootstrap, 263-270
(the ring). Carlstein (1986), Ann. Statist. 14, 1171-1179 (the length for a process of first order).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from vadose.uncertainty.moments import Array, Floats, moments, pairs

#: Lags, in times, at which the memory of a place is looked for where neighbouring days are missing.
LAGS = range(1, 17)
#: A record holds this many blocks at the least.
LEAST_BLOCKS = 8


def possible_lengths(times: int) -> list[int]:
    """Give the block lengths that places are sorted into, powers of two.

    Examples
    --------
    >>> possible_lengths(365)
    [1, 2, 4, 8, 16, 32]
    """
    longest = max(times // LEAST_BLOCKS, 1)
    return [2**power for power in range(longest.bit_length())]


def choose_lengths(products: Sequence[Array]) -> npt.NDArray[np.int64]:
    """Choose the block length of every place from how much complete rows resemble those before.

    Parameters
    ----------
    products
        One array ``(time, place)`` each.

    Returns
    -------
    numpy.ndarray
        One of `possible_lengths` per place: twice Carlstein's rule, which for products of deviations
        falls short in simulations, as one lag does of what seasons and soils remember.
    """
    stacked = np.stack(products, axis=1).astype("f8")  # time first: sums go through it in order
    is_whole = np.isfinite(stacked).all(axis=1)
    count = is_whole.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        away = np.where(is_whole[:, None], stacked, 0.0)
        away = np.where(is_whole[:, None], away - away.sum(axis=0) / count, 0.0)
        variance = np.sum(away**2, axis=0) / count
        memory = np.full(len(count), np.nan)
        for lag in LAGS:
            if lag >= len(is_whole):
                break
            both = (is_whole[lag:] & is_whole[:-lag]).sum(axis=0)
            alike = np.sum(away[lag:] * away[:-lag], axis=0) / both / variance
            found = np.max(alike, axis=0).clip(0.0, 0.99) ** (1 / lag)
            memory = np.where(np.isnan(memory) & (both >= count / 4), found, memory)
        decay = np.nan_to_num(memory**2)  # of products of two deviations
        rule = 2 * (np.sqrt(6) * decay / (1 - decay**2)) ** (2 / 3) * np.cbrt(len(is_whole))
    lengths = np.array(possible_lengths(len(is_whole)), np.int64)
    nearest = np.searchsorted(lengths[:-1] * np.sqrt(2), rule)
    return np.asarray(lengths[nearest], np.int64)


def draw_starts(
    times: int, lengths: Sequence[int], draws: int, rng: np.random.Generator
) -> dict[int, npt.NDArray[np.intp]]:
    """Draw where blocks begin, dims ``(draw, block)``, for every length from a stream of its own."""
    streams = rng.spawn(len(lengths))
    return {
        length: stream.integers(0, times, (draws, max(round(times / length), 1)))
        for length, stream in zip(lengths, streams, strict=True)
    }


def draw_covariances(
    products: Sequence[Array], length: int, starts: npt.NDArray[np.intp]
) -> Floats:
    """Give the covariances of products over their complete rows in records drawn anew.

    Parameters
    ----------
    products
        One array ``(time, place)`` each.
    length
        Of the blocks.
    starts
        Where they begin, dims ``(draw, block)``.

    Returns
    -------
    numpy.ndarray
        Dims ``(draw, pair, place)``, pairs as in `moments.pairs`; NaN where a draw has less than two rows.
    """
    count = len(products)
    one, other = pairs(count)
    values = np.stack(products, axis=1).astype("f8")
    is_whole = ~np.isnan(values).any(axis=1, keepdims=True)
    values = np.where(is_whole, values, 0.0)
    values = np.where(
        is_whole, values - values.sum(axis=0) / np.maximum(is_whole.sum(axis=0), 1), 0.0
    )
    rows = np.concatenate([is_whole, values, values[:, one] * values[:, other]], axis=1)
    sums = _sum_blocks(rows, length, starts)
    return moments(sums[:, 0], sums[:, 1 : 1 + count], sums[:, 1 + count :])[1]


def widen(level: float, blocks: int) -> float:
    """Give the level whose quantiles of draws make up for what few blocks cannot show.

    Draws from n blocks vary by (n − 1)/n of what they should, and the normal distribution stands for
    Student's with n − 1 degrees of freedom.

    Examples
    --------
    >>> round(widen(0.95, 10), 3), round(widen(0.95, 1000), 3)
    (0.983, 0.95)
    """
    if blocks < 2:
        return 1.0
    reach = stats.t.ppf((1 + level) / 2, blocks - 1) * np.sqrt(blocks / (blocks - 1))
    return float(2 * stats.norm.cdf(reach) - 1)


def _sum_blocks(rows: Floats, length: int, starts: npt.NDArray[np.intp]) -> Floats:
    """Add up the rows ``(time, number, place)`` of the blocks of each draw."""
    running = np.zeros((len(rows) + length, *rows.shape[1:]))
    np.cumsum(np.concatenate([rows, rows[: length - 1]]), axis=0, out=running[1:])
    blocks = running[length:] - running[:-length]
    total = np.zeros((len(starts), *rows.shape[1:]))
    for column in starts.T:
        total += blocks[column]
    return total
