"""The linear problem of closure on arrays: what a coarse correction does to the means, and its inverse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vadose.cubes.blocks import bilinear, line, weighted_block_sums

Array = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]
#: Neighbours of a coarse cell, row by row from the north-west; the cell itself is in the middle.
NEIGHBOURS = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]
#: Smallest and largest eigenvalue of A to iterate for. Whole cells have 1/4 to 1, coasts go below .1.
EIGENVALUES = (0.15, 1.0)
#: Largest correction, in units of the largest residual of the time step. Whole cells ask for 4 at most;
#: cells that share little but a corner could ask for any, with opposite signs side by side.
LIMIT = 8.0


def stencil_sums(
    part: Array,
    shape: tuple[int, ...],
    factors: Mapping[str, int],
    cover: Mapping[str, slice],
    wraps: bool,
) -> Array:
    """Sum up in each coarse cell what its fine cells take from each neighbour.

    Parameters
    ----------
    part
        Weights of the fine cells, ``(y, x)``; 0 where there is no value.
    shape
        Rows and columns of the coarse window.
    factors, cover, wraps
        As in `vadose.cubes.blocks.bilinear`.

    Returns
    -------
    numpy.ndarray
        ``(neighbour, y, x)`` for the cells of the cover.
    """
    there = _padded(np.ones(shape), wraps)
    inner = {dim: slice(span.start + 1, span.stop + 1) for dim, span in cover.items()}
    # the weights of what lies beyond the map are given to the others
    given = ratio(part, bilinear(there, factors, inner), 0.0)
    stencil = weighted_block_sums(given, _ways(factors["y"]), _ways(factors["x"]))
    for place, (row, column) in enumerate(NEIGHBOURS):
        rows = slice(inner["y"].start + row, inner["y"].stop + row)
        columns = slice(inner["x"].start + column, inner["x"].stop + column)
        stencil[place] *= there[rows, columns]
    return stencil


def _ways(factor: int) -> Array:
    """Give the weights of the block before, the own and the one after, dims ``(way, cell)``."""
    before, share = line(factor)
    cells, weights = np.arange(factor), np.zeros((3, factor))
    weights[before + 1, cells] = 1 - share
    weights[before + 2, cells] = share
    return weights


class Surroundings:
    """Continue a correction into gaps, beyond the coast and around the globe.

    Parameters
    ----------
    is_equation
        Where there is a coarse value, and a fine one under it; from there the correction goes on to the
        neighbours that have none. Further away it is 0: interpolated, it fades out and leaves no edge.
    wraps
        Whether the last column is a neighbour of the first.
    """

    def __init__(self, is_equation: Mask, wraps: bool) -> None:
        self.wraps = wraps
        there = _padded(is_equation.astype("f8"), wraps)
        rows, columns = is_equation.shape
        count = np.zeros(is_equation.shape)
        for row, column in NEIGHBOURS:
            count += there[1 + row : 1 + row + rows, 1 + column : 1 + column + columns]
        self.places = np.flatnonzero(_padded(~is_equation & (count > 0), wraps=False))
        beside = [row * (columns + 2) + column for row, column in NEIGHBOURS]
        self.around = self.places[:, None] + beside
        share = there.ravel()[self.around]
        self.share = share / share.sum(axis=1, keepdims=True)

    def spread(self, values: Array) -> Array:
        """Give the values with a margin of one cell; those beside an equation are means of neighbours."""
        padded = _padded(values, self.wraps)
        if len(self.places):
            padded.flat[self.places] = (self.share * padded.flat[self.around]).sum(axis=1)
            if self.wraps:
                padded[:, 0], padded[:, -1] = padded[:, -2], padded[:, 1]
        return padded


def chebyshev(
    stencil: Array, surroundings: Surroundings, left: Array, enough: float, passes: int
) -> Array:
    """Solve for the correction, by steps that suit eigenvalues between two bounds.

    Parameters
    ----------
    stencil
        Shares ``(neighbour, y, x)``; 0 where there is nothing to close.
    surroundings
        Gives the correction where there is no equation.
    left
        Mean minus wanted, ``(y, x)``; 0 where there is nothing to close.
    enough
        Largest residual at which to stop.
    passes
        Largest number of passes.

    References
    ----------
    Golub and Varga (1961), Numerische Mathematik 3:147.
    """
    rows, columns = left.shape
    low, high = EIGENVALUES
    centre, radius = (high + low) / 2, (high - low) / 2
    limit = LIMIT * np.abs(left).max()
    values, rest = np.zeros_like(left), left
    direction, length = left, 1 / centre
    for count in range(passes):
        if count:
            turn = (radius * length) ** 2 / (2 if count == 1 else 4)
            length = 1 / (centre - turn / length)
            direction = rest + turn * direction
        values = np.clip(values + length * direction, -limit, limit)
        padded = surroundings.spread(values)
        rest = left.copy()
        for share, (row, column) in zip(stencil, NEIGHBOURS, strict=True):
            rest -= share * padded[1 + row : 1 + row + rows, 1 + column : 1 + column + columns]
        if np.abs(rest).max() <= enough:
            break
    return values


def ratio(above: Array, below: Array, otherwise: float) -> Array:
    """Divide where there is something to divide by.

    Examples
    --------
    >>> ratio(np.array([1.0, 2.0]), np.array([2.0, 0.0]), np.nan)
    array([0.5, nan])
    """
    result = np.full(above.shape, otherwise)
    np.divide(above, below, out=result, where=below > 0)
    return result


def _padded(values: npt.NDArray[Any], wraps: bool) -> npt.NDArray[Any]:
    """Put a margin of one cell around a map: zeros, or the other side of the globe."""
    padded = np.pad(values, 1)
    if wraps:
        padded[:, 0], padded[:, -1] = padded[:, -2], padded[:, 1]
    return padded
