"""Weighted moments of a product and a reference: all that the metrics need, and mergeable exactly.

A score is a statistic of pairs, then a weighted mean, then a function of means. The moments are that
middle: those of tiles, stations or days merge into those of all (Chan et al. 1983), so that a score does
not depend on how the data was cut. They are numbers for one sample, or arrays for many at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from vadose.errors import ValueProblem

#: A number, or an array with a number for each sample: numpy's functions take either.
Value = Any
Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
#: Rows that are taken at once: few enough for the caches of a processor.
_BLOCK = 64


@dataclass(frozen=True)
class Moments:
    """Hold the first and second moments of pairs, of one sample or of many.

    Attributes
    ----------
    n
        Number of pairs.
    weight
        Sum of their weights.
    product, reference
        Weighted means; 0 without pairs.
    product_square, reference_square, cross
        Weighted sums of squared and crossed departures from those means.
    absolute_error
        Weighted sum of absolute differences.
    """

    n: Value = 0
    weight: Value = 0.0
    product: Value = 0.0
    reference: Value = 0.0
    product_square: Value = 0.0
    reference_square: Value = 0.0
    cross: Value = 0.0
    absolute_error: Value = 0.0

    def merge(self, other: Moments) -> Moments:
        """Give the moments of both samples together.

        References
        ----------
        Chan, Golub and LeVeque (1983), Am. Stat. 37:242.

        Examples
        --------
        >>> import numpy as np
        >>> a = moments(np.array([1.0, 2.0]), np.array([1.0, 3.0]))
        >>> b = moments(np.array([4.0]), np.array([5.0]))
        >>> a.merge(b).n
        3
        """
        weight = self.weight + other.weight
        # without any pair there is nothing to share
        share = other.weight / np.where(weight > 0, weight, 1.0)[()]
        product = other.product - self.product
        reference = other.reference - self.reference
        between = self.weight * share
        return Moments(
            n=self.n + other.n,
            weight=weight,
            product=self.product + share * product,
            reference=self.reference + share * reference,
            product_square=self.product_square + other.product_square + between * product**2,
            reference_square=self.reference_square
            + other.reference_square
            + between * reference**2,
            cross=self.cross + other.cross + between * product * reference,
            absolute_error=self.absolute_error + other.absolute_error,
        )

    def merge_along(self, axis: int) -> Moments:
        """Give the moments of all samples along an axis together.

        Examples
        --------
        >>> import numpy as np
        >>> apart = moments_along(np.array([[1.0, 2.0], [4.0, 6.0]]), np.zeros((2, 2)))
        >>> float(apart.merge_along(0).product)
        3.25
        """
        weight = self.weight.sum(axis)
        scale = np.where(weight > 0, weight, 1.0)
        product = (self.weight * self.product).sum(axis) / scale
        reference = (self.weight * self.reference).sum(axis) / scale
        dp = self.product - np.expand_dims(product, axis)
        do = self.reference - np.expand_dims(reference, axis)
        return Moments(
            n=self.n.sum(axis),
            weight=weight,
            product=product[()],
            reference=reference[()],
            product_square=(self.product_square + self.weight * dp**2).sum(axis),
            reference_square=(self.reference_square + self.weight * do**2).sum(axis),
            cross=(self.cross + self.weight * dp * do).sum(axis),
            absolute_error=self.absolute_error.sum(axis),
        )

    def select(self, where: Any) -> Moments:
        """Take the samples at an index of arrays of moments.

        Examples
        --------
        >>> import numpy as np
        >>> apart = moments_along(np.array([[1.0, 2.0], [4.0, 6.0]]), np.zeros((2, 2)))
        >>> float(apart.select(1).product)
        5.0
        """
        return Moments(*(np.asarray(one)[where] for one in _parts(self)))

    def stacked(self) -> Floats:
        """Give all parts as one array, with a last dimension in the order of `MOMENTS`."""
        return np.stack([np.asarray(one, "f8") for one in _parts(self)], axis=-1)


#: Names of the parts of moments, in order.
MOMENTS = tuple(field.name for field in dataclasses.fields(Moments))


def _parts(m: Moments) -> tuple[Value, ...]:
    return tuple(getattr(m, name) for name in MOMENTS)


def unstacked(parts: Floats) -> Moments:
    """Give back what `Moments.stacked` has laid out.

    Examples
    --------
    >>> some = moments(np.array([1.0, 2.0]), np.array([1.0, 3.0]))
    >>> unstacked(some.stacked()) == some
    True
    """
    return Moments(*np.moveaxis(parts, -1, 0))


def moments(
    product: npt.NDArray[np.floating],
    reference: npt.NDArray[np.floating],
    weight: npt.NDArray[np.floating] | None = None,
) -> Moments:
    """Give the moments of pairs, all of them one sample.

    Parameters
    ----------
    product, reference
        Same shape, no NaN: the caller names the common sample.
    weight
        Same shape, not negative; ones unless given.

    Raises
    ------
    ValueProblem
        When shapes differ, a value is not finite or a weight is negative.

    Examples
    --------
    >>> moments(np.array([1.0, 3.0]), np.array([2.0, 2.0])).absolute_error
    2.0
    """
    p, o = np.asarray(product, "f8").ravel(), np.asarray(reference, "f8").ravel()
    w = np.ones_like(p) if weight is None else np.asarray(weight, "f8").ravel()
    if not p.shape == o.shape == w.shape:
        raise ValueProblem(
            "pairs", found=f"{p.size}, {o.size} and {w.size} values", expected="as many of each"
        )
    if not (np.isfinite(p).all() and np.isfinite(o).all() and np.isfinite(w).all()):
        raise _not_finite()
    if (w < 0).any():
        raise ValueProblem("weights", found="negative values", expected="0 or more")
    total = w.sum()
    if p.size == 0 or total == 0:
        return Moments()
    mean_p, mean_o = (w @ p) / total, (w @ o) / total
    dp, do = p - mean_p, o - mean_o
    return Moments(
        n=p.size,
        weight=float(total),
        product=float(mean_p),
        reference=float(mean_o),
        product_square=float(w @ dp**2),
        reference_square=float(w @ do**2),
        cross=float(w @ (dp * do)),
        absolute_error=float(w @ np.abs(p - o)),
    )


def moments_along(
    product: npt.NDArray[np.floating],
    reference: npt.NDArray[np.floating],
    where: Booleans | None = None,
    *,
    fast: bool = True,
) -> Moments:
    """Give the moments of pairs along the last axis, of many samples at once.

    Parameters
    ----------
    product, reference
        Dims ``(..., time)``, broadcast against each other.
    where
        Pairs that count, broadcast likewise; all unless given. No NaN among them: the caller names the
        common sample.
    fast
        Use numba where it is installed; the numbers are the same to rounding.

    Returns
    -------
    Moments
        Of arrays with the leading dims.

    Raises
    ------
    ValueProblem
        When a value of a pair that counts is not finite.

    Examples
    --------
    >>> product = np.array([[1.0, 3.0, np.nan], [2.0, 2.0, 5.0]])
    >>> moments_along(product, np.array([2.0, 2.0, 2.0]), ~np.isnan(product)).absolute_error
    array([2., 3.])
    """
    where = np.ones((1,), bool) if where is None else where
    p, o, sample = np.broadcast_arrays(product, reference, where)
    shape = p.shape[:-1]
    table = np.zeros((*(shape or (1,)), len(MOMENTS)))
    if not shape:
        p, o, sample = p[None], o[None], sample[None]
    add = _compiled() if fast else None
    for row in np.ndindex(table.shape[:-2]):
        for start in range(0, table.shape[-2], _BLOCK):
            part = (*row, slice(start, start + _BLOCK))
            rows = np.array(p[part], "f8"), np.array(o[part], "f8"), np.array(sample[part])
            if add is None:
                table[part] = _of_rows(*rows)
            else:
                add(*rows, table[part])
    if not np.isfinite(table).all():
        raise _not_finite()
    found = unstacked(table if shape else table[0])
    return dataclasses.replace(found, n=found.n.astype("i8"))


def _compiled() -> Callable[..., None] | None:
    try:
        from vadose.validate.fast_series import add_moments
    except (ImportError, RuntimeError):
        # numba is not installed, or finds no folder to keep what it compiles
        return None
    return cast("Callable[..., None]", add_moments)


def _of_rows(p: Floats, o: Floats, sample: Booleans) -> Floats:
    """Give the moments of each row, as columns; zeros for a row without pairs. Writes into its arguments."""
    p[~sample] = 0.0
    o[~sample] = 0.0
    number = sample.sum(axis=-1)
    scale = 1.0 / np.maximum(number, 1)
    error = np.abs(p - o).sum(axis=-1)
    mean_p, mean_o = p.sum(axis=-1) * scale, o.sum(axis=-1) * scale
    # what is no pair is 0 in both, before and after the means are taken off
    p -= mean_p[:, None]
    o -= mean_o[:, None]
    p *= sample
    o *= sample
    squares = [np.einsum("rt,rt->r", a, b) for a, b in ((p, p), (o, o), (p, o))]
    return np.stack([number, number, mean_p, mean_o, *squares, error], axis=-1)


def moments_by(
    product: npt.NDArray[np.floating],
    reference: npt.NDArray[np.floating],
    group: npt.NDArray[np.integer],
    count: int,
) -> Moments:
    """Give the moments of pairs by group, in two passes over the pairs whatever the number of groups.

    Parameters
    ----------
    product, reference
        Dims ``(pair)``, no NaN.
    group
        Number of the group of each pair, from 0.
    count
        Number of groups.

    Returns
    -------
    Moments
        Of arrays with the dim ``(group)``; zeros for a group without pairs.

    Raises
    ------
    ValueProblem
        When a value is not finite.

    Examples
    --------
    >>> moments_by(np.array([1.0, 3.0, 5.0]), np.zeros(3), np.array([0, 0, 2]), 3).product
    array([2., 0., 5.])
    """
    p, o = np.asarray(product, "f8"), np.asarray(reference, "f8")
    number = np.bincount(group, minlength=count)
    scale = 1.0 / np.maximum(number, 1)

    def total(values: Floats) -> Floats:
        return np.bincount(group, weights=values, minlength=count).astype("f8", copy=False)

    error = total(np.abs(p - o))
    if not np.isfinite(error).all():
        raise _not_finite()
    mean_p, mean_o = total(p) * scale, total(o) * scale
    dp, do = p - mean_p[group], o - mean_o[group]
    squares = total(dp * dp), total(do * do), total(dp * do)
    return Moments(number, number.astype("f8"), mean_p, mean_o, *squares, error)


def _not_finite() -> ValueProblem:
    return ValueProblem(
        "pairs", found="NaN among them", expected="the common sample of product and reference"
    )
