"""Means and covariances of several products over their complete rows, for every place at once.

A row is a time at one place; it is complete where all products have a value. Sums of first and second powers are
taken in double precision from each place's first complete row on, time by time and block of time by block, so that
blocks can be left out afterwards and neither chunks nor places change a bit. Where numba is installed the sums are
taken by `fast_moments`, with the same bits, in a fraction of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

#: Places that are summed together, such that their sums stay in the processor's cache.
PIECE = 8192


@dataclass(frozen=True, eq=False)
class Sums:
    """Hold sums over complete rows, by block of time.

    Attributes
    ----------
    count
        Complete rows, dims ``(block, place)``.
    total
        Sums of the deviations from `origin`, dims ``(block, product, place)``.
    cross
        Sums of their products, dims ``(block, pair, place)``; pairs as in `pairs`.
    origin
        The first complete row, dims ``(product, place)``; 0 where there is none.
    """

    count: Floats
    total: Floats
    cross: Floats
    origin: Floats

    def over_all(self) -> tuple[Floats, Floats, Floats]:
        """Give rows, means and covariances over all blocks; dims as those of `moments`."""
        return self._moments(self.count.sum(0), self.total.sum(0), self.cross.sum(0))

    def without(self, block: int) -> tuple[Floats, Floats, Floats]:
        """Give rows, means and covariances over all blocks but one."""
        return self._moments(
            self.count.sum(0) - self.count[block],
            self.total.sum(0) - self.total[block],
            self.cross.sum(0) - self.cross[block],
        )

    def _moments(
        self, count: Floats, total: Floats, cross: Floats
    ) -> tuple[Floats, Floats, Floats]:
        mean, covariance = moments(count, total, cross)
        return count, mean + self.origin, covariance


def pairs(products: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Give the two products of every pair, a product with itself included.

    Examples
    --------
    >>> [list(map(int, side)) for side in pairs(3)]
    [[0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]]
    """
    return np.triu_indices(products)


def moments(count: Floats, total: Floats, cross: Floats) -> tuple[Floats, Floats]:
    """Make means and covariances (divisor n − 1) of sums.

    Parameters
    ----------
    count, total, cross
        Rows ``(place)``, sums ``(product, place)`` and sums of products ``(pair, place)``; dims in front
        are kept.

    Returns
    -------
    mean, covariance
        Dims ``(product, place)`` and ``(pair, place)``; NaN where there are too few rows, one or two.
    """
    one, other = pairs(total.shape[-2])
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / count[..., None, :]
        covariance = cross - total[..., one, :] * mean[..., other, :]
        covariance /= np.where(count > 1, count - 1, np.nan)[..., None, :]
    return mean, covariance


def block_edges(times: int, blocks: int) -> npt.NDArray[np.int64]:
    """Cut times into blocks of equal length, or as equal as can be.

    Examples
    --------
    >>> list(map(int, block_edges(10, 3)))
    [0, 3, 6, 10]
    """
    return np.arange(blocks + 1) * times // blocks


def sum_products(
    products: Sequence[Array], edges: npt.NDArray[np.int64], *, fast: bool = True
) -> Sums:
    """Sum up complete rows.

    Parameters
    ----------
    products
        One array ``(time, place)`` each, in one unit; NaN drops the row for all. An infinite value
        makes the moments of its place NaN.
    edges
        Where blocks of time begin, and the end.
    fast
        Take numba where it is installed.
    """
    arrays = as_floats(products)
    places, blocks, count = arrays[0].shape[1], len(edges) - 1, len(arrays)
    sums = Sums(
        np.zeros((blocks, places)),
        np.zeros((blocks, count, places)),
        np.zeros((blocks, len(pairs(count)[0]), places)),
        np.zeros((count, places)),
    )
    if fast and (add := compiled()) is not None:
        lines, steps = zip(*map(as_line, arrays), strict=True)
        add(lines, np.array(steps), edges, sums.count, sums.total, sums.cross, sums.origin)
        return sums
    for start in range(0, places, PIECE):
        here = slice(start, start + PIECE)
        add_plainly(
            [array[:, here] for array in arrays],
            edges,
            Sums(
                sums.count[:, here],
                sums.total[..., here],
                sums.cross[..., here],
                sums.origin[:, here],
            ),
        )
    return sums


def as_floats(products: Sequence[Array]) -> tuple[Array, ...]:
    """Give arrays of one type, of single precision where all are."""
    is_single = all(array.dtype.newbyteorder("=") == np.float32 for array in products)
    dtype = np.float32 if is_single else np.float64
    return tuple(np.asarray(array, dtype=dtype) for array in products)


def as_line(array: Array) -> tuple[Array, int]:
    """Give the memory of an array ``(time, place)`` as one line, and the step from time to time in it.

    Compiled code takes several places at once only where it knows that they are neighbours, which a part
    of a larger array does not tell. Nothing is copied if places are.
    """
    step, remainder = divmod(array.strides[0], array.itemsize)
    if not array.size or array.strides[1] != array.itemsize or remainder or step < 0:
        array = np.ascontiguousarray(array)
        step = array.shape[1]
    length = (array.shape[0] - 1) * step + array.shape[1] if array.size else 0
    line = np.lib.stride_tricks.as_strided(array, (length,), (array.itemsize,), writeable=False)
    return line, step


@cache
def compiled() -> Any:
    """Give the compiled sums; None where numba is absent or finds no folder to compile into."""
    try:
        from vadose.uncertainty.fast_moments import add_rows
    except (ImportError, RuntimeError):
        return None
    return add_rows


def add_plainly(arrays: Sequence[Array], edges: npt.NDArray[np.int64], sums: Sums) -> None:
    """Add rows to sums, in the order of `fast_moments.add_rows`."""
    count, places = len(arrays), arrays[0].shape[1]
    row, square = np.empty((count, places)), np.empty((count, places))
    has_begun = np.zeros(places, bool)
    with np.errstate(invalid="ignore", over="ignore"):
        for block, (first, last) in enumerate(pairwise(edges)):
            rows, total, cross = sums.count[block], sums.total[block], sums.cross[block]
            for time in range(first, last):
                for product, array in enumerate(arrays):
                    row[product] = array[time]
                is_gap = np.isnan(row).any(axis=0)
                if not has_begun.all():
                    begins = ~(has_begun | is_gap)
                    sums.origin[:, begins] = row[:, begins]
                    has_begun |= begins
                row -= sums.origin
                np.copyto(row, 0.0, where=is_gap)
                rows += ~is_gap
                total += row
                pair = 0
                for one in range(count):
                    others = count - one
                    cross[pair : pair + others] += np.multiply(
                        row[one], row[one:], out=square[:others]
                    )
                    pair += others
