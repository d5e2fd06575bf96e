"""Error covariances of a three-cornered hat from covariances of the products, for many places at once.

Let ``C`` be the covariance of N products and ``S`` that of their differences from the last of them. The error
covariance ``R`` of the products must give the same ``S``, which leaves N of its numbers free: ``p = (r_1N, ...,
r_{N-1,N}, r_NN)``. The hat takes those that make the errors least correlated, that is, that minimise the sum of
squares of the N(N−1)/2 covariances off the diagonal, among those for which ``R`` is a covariance at all.

*Without the constraint* this is linear least squares whose matrix depends on N alone; ``R`` is then a fixed
linear function of ``C``.

*With it*, ``R`` is positive definite exactly if ``H = r_NN − dᵀ S⁻¹ d > 0`` with ``d = (r_1N − r_NN, ..., r_{N-1,N}
− r_NN)``: a convex quadratic bound on p. The smallest objective on the bound is found from the Lagrangian in the one
multiplier λ. With the objective as the unit of length (``x = Lᵀ p``, ``L Lᵀ`` its matrix) and the bound as ``g(x) =
|W x|² − hᵀ x``, the singular vectors of ``W`` part the problem: ``x_k(λ) = (x_k(0) + λ h_k) / (1 + 2 λ s_k²)``, and
``g(λ)`` is convex and falls. Newton's steps from λ = 0 thus climb to its root and never pass it, whatever the
place, and all places take them together.

References
----------
Tavella and Premoli (1994), Metrologia 30, 479-486. Galindo and Palacio (1999), Proc. 31st PTTI, 285-301. Ferreira
et al. (2016), J. Appl. Remote Sens. 10, 015015.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from vadose.uncertainty.moments import Floats, pairs

#: Pivots of ``S``, in units of its mean variance, below which products are taken as equal up to rounding.
LEAST_PIVOT = 1e-13
#: A bound that is passed by less than this, in the same units, is passed by rounding.
SLACK = 1e-13
#: Newton's steps, at most: the first ones multiply 1 + λ b by 1.5 at the least, the last ones double the digits.
MOST_STEPS = 300


@dataclass(frozen=True, eq=False)
class Objective:
    """Hold what depends on the number of products alone.

    Attributes
    ----------
    from_pairs
        Free numbers of the optimum without the constraint, from ``S``, dims ``(free, pair of S)``.
    to_pairs
        ``R`` from ``S`` and from the free numbers, dims ``(pair, pair of S + free)``.
    differences
        ``S`` from ``C``, dims ``(pair of S, pair)``.
    length
        Upper triangular: a step in p, times this, has the length of the root of the objective.
    """

    from_pairs: Floats
    to_pairs: Floats
    differences: Floats
    length: Floats


@cache
def objective(products: int) -> Objective:
    """Build the linear maps of the hat of that many products."""
    one, other = pairs(products)
    left, right = pairs(products - 1)
    last = products - 1
    difference = np.zeros((len(left), len(one)))
    place = np.zeros((products, products), int)
    place[one, other] = place[other, one] = np.arange(len(one))
    for row, (i, j) in enumerate(zip(left, right, strict=True)):
        for pair, sign in ((place[i, j], 1), (place[i, last], -1), (place[j, last], -1)):
            difference[row, pair] += sign
        difference[row, place[last, last]] += 1
    known, free = np.zeros((len(one), len(left))), np.zeros((len(one), products))
    free[place[:, last], np.arange(products)] = 1.0
    for row, (i, j) in enumerate(zip(left, right, strict=True)):
        known[place[i, j], row] = 1.0
        free[place[i, j], i] += 1.0
        free[place[i, j], j] += 1.0
        free[place[i, j], last] -= 1.0
    is_apart = one != other
    solution = -np.linalg.pinv(free[is_apart]) @ known[is_apart]
    return Objective(
        np.where(np.abs(solution) > 1e-12, solution, 0.0),
        np.concatenate([known, free], axis=1),
        difference,
        np.linalg.cholesky(free[is_apart].T @ free[is_apart]).T,
    )


def separate_errors(
    covariance: Floats, products: int
) -> tuple[Floats, npt.NDArray[np.bool_], Floats]:
    """Give the error covariances of products from their covariances.

    Parameters
    ----------
    covariance
        Covariances of the products, dims ``(pair, place)``, pairs as in `moments.pairs`.
    products
        Number of products, 3 or more.

    Returns
    -------
    error_covariance
        Dims ``(pair, place)``; NaN where a covariance is. Positive semidefinite.
    is_constrained
        Dims ``(place)``: the optimum without the constraint is no covariance.
    unconstrained
        The optimum without the constraint, dims ``(pair, place)``: variances may be negative.

    Examples
    --------
    Three products with errors of variance 1, 2 and 3 and a common signal of variance 5:

    >>> import numpy as np
    >>> error, is_constrained, _ = separate_errors(np.array([[6, 5, 5, 7, 5, 8.0]]).T, 3)
    >>> error.round(12)[[0, 3, 5], 0]
    array([1., 2., 3.])
    """
    maps = objective(products)
    apart = combine(maps.differences, covariance)
    free = combine(maps.from_pairs, apart)
    unconstrained = combine(maps.to_pairs, np.concatenate([apart, free]))
    unconstrained[:, ~np.isfinite(covariance).all(axis=0)] = np.nan
    scale = _scale(apart, products)
    root = Root(apart / scale, products)
    with np.errstate(invalid="ignore"):
        is_constrained = root.excess(free / scale) > SLACK
    error = unconstrained.copy()
    if is_constrained.any():
        chosen = np.flatnonzero(is_constrained)
        bound = _on_bound(free[:, chosen] / scale[chosen], root.part(chosen), maps.length)
        numbers = np.concatenate([apart[:, chosen], bound * scale[chosen]])
        error[:, chosen] = combine(maps.to_pairs, numbers)
    one, other = pairs(products)
    own = one == other
    error[own] = np.maximum(error[own], 0.0)  # what is below zero is so by rounding
    return error, is_constrained, unconstrained


def combine(matrix: Floats, rows: Floats) -> Floats:
    """Multiply a small matrix by rows ``(row, place)``, to bits that do not depend on the number of places.

    The product of a linear algebra library does depend on it.
    """
    combined = np.zeros((len(matrix), rows.shape[1]))
    for number, row in zip(*np.nonzero(matrix), strict=True):
        combined[number] += matrix[number, row] * rows[row]
    return combined


def _scale(apart: Floats, products: int) -> Floats:
    """Give the mean variance of the differences, 1 where there is none, dims ``(place)``."""
    left, right = pairs(products - 1)
    scale = apart[left == right].mean(axis=0)
    return np.where(scale > 0, scale, 1.0)


class Root:
    """Factor ``S`` by Cholesky for all places at once.

    Parameters
    ----------
    apart
        ``S`` in units of its mean variance, dims ``(pair of S, place)``.
    products
        Number of products.
    """

    def __init__(self, apart: Floats, products: int) -> None:
        self.size = products - 1
        left, right = pairs(self.size)
        lower: dict[tuple[int, int], Any] = {
            (int(j), int(i)): apart[row].copy()
            for row, (i, j) in enumerate(zip(left, right, strict=True))
        }
        for column in range(self.size):
            for before in range(column):
                for row in range(column, self.size):
                    lower[row, column] -= lower[row, before] * lower[column, before]
            pivot = np.sqrt(np.maximum(lower[column, column], LEAST_PIVOT))
            lower[column, column] = pivot
            for row in range(column + 1, self.size):
                lower[row, column] /= pivot
        self.lower = lower

    def part(self, places: npt.NDArray[np.intp]) -> Root:
        """Give the factors of some places."""
        other = object.__new__(Root)
        other.size = self.size
        other.lower = {key: values[places] for key, values in self.lower.items()}
        return other

    def solve(self, sides: list[Any]) -> list[Any]:
        """Divide by the lower factor; one array per row of the right-hand side, places in front."""
        solved: list[Any] = []
        for row in range(self.size):
            value = sides[row]
            for before in range(row):
                value = value - (self.lower[row, before] * solved[before].T).T
            solved.append((value.T / self.lower[row, row]).T)
        return solved

    def excess(self, free: Floats) -> Floats:
        """Give −H of the free numbers, dims ``(free, place)``: positive where ``R`` is no covariance."""
        solved = self.solve([free[row] - free[-1] for row in range(self.size)])
        squares: Floats = sum(value**2 for value in solved) - free[-1]
        return squares


def _on_bound(free: Floats, root: Root, length: Floats) -> Floats:
    """Give the free numbers of the smallest objective with H = 0, in units of the mean variance."""
    products, places = free.shape
    inverse = np.asarray(np.linalg.inv(length), np.float64)
    difference = np.concatenate([np.eye(root.size), -np.ones((root.size, 1))], axis=1) @ inverse
    sides = [np.broadcast_to(row, (places, products)) for row in difference]
    _, singular, axes = np.linalg.svd(np.stack(root.solve(sides), axis=1), full_matrices=True)
    bend = np.zeros((places, products))
    bend[:, :-1] = 2 * singular**2
    start = np.sum(axes * combine(length, free).T[:, None], axis=2)
    tilt = np.sum(axes * inverse[-1], axis=2)  # h, whose product with x is r_NN
    step = _multiplier(start, tilt, bend)[:, None]
    found = (start + step * tilt) / (1 + step * bend)
    return combine(inverse, np.sum(axes * found[:, :, None], axis=1).T)


def _multiplier(start: Floats, tilt: Floats, bend: Floats) -> Floats:
    """Give λ with ``g(λ) = 0`` by Newton's steps from 0, dims ``(place)``."""
    multiplier = np.zeros(len(start))
    moving = np.arange(len(start))
    for _ in range(MOST_STEPS):
        shrink = 1 / (1 + multiplier[moving, None] * bend)
        found = (start + multiplier[moving, None] * tilt) * shrink
        value = np.sum(found * (0.5 * bend * found - tilt), axis=1)
        step = value / np.sum((tilt - bend * start) ** 2 * shrink**3, axis=1)
        multiplier[moving] += np.maximum(step, 0.0)
        # a step doubles the digits, so the next one would be below rounding
        goes_on = step > 1e-9 * multiplier[moving]
        if not goes_on.any():
            break
        moving, start, tilt, bend = (array[goes_on] for array in (moving, start, tilt, bend))
    return multiplier
