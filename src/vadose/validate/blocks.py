"""Intervals from whole blocks: neighbours tell the same, so that samples are drawn anew block by block."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vadose.errors import ValueProblem

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
#: Ends of the intervals: 95 %.
ENDS = (2.5, 97.5)


def block_draws(blocks: Numbers, *, rng: np.random.Generator | int, draws: int = 500) -> Array:
    """Draw blocks with replacement, and say how often each was drawn.

    Parameters
    ----------
    blocks
        Numbers of the blocks, each once.
    rng
        Generator or seed.
    draws
        Number of draws.

    Returns
    -------
    numpy.ndarray
        Dims ``(draw, block)``. NaN with fewer than two blocks: no interval can be told from one.

    Raises
    ------
    ValueProblem
        No draws.

    Examples
    --------
    >>> block_draws(np.array([3, 7, 8]), rng=0, draws=4).sum(axis=1)
    array([3., 3., 3., 3.])
    """
    if draws < 1:
        raise ValueProblem("draws", found=f"{draws}", expected="1 or more")
    count = len(blocks)
    if count < 2:
        return np.full((draws, count), np.nan)
    share = np.full(count, 1 / count)
    return np.random.default_rng(rng).multinomial(count, share, size=draws).astype("f8")


def interval(draws: Array) -> tuple[Array, Array]:
    """Give the lower and upper end over the first dim, ``draw``; NaN where any draw is undefined.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, ch. 13 (percentile interval).

    Examples
    --------
    >>> low, high = interval(np.linspace(0, 1, 201)[:, None])
    >>> low.round(3), high.round(3)
    (array([0.025]), array([0.975]))
    """
    low, high = np.percentile(draws, ENDS, axis=0)
    return low, high
