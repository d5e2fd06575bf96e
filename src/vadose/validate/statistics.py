"""Weighted moments of a product and a reference: all that the metrics need, and mergeable exactly.

A score is a statistic of pairs, then a weighted mean, then a function of means. The moments are that
middle: those of tiles, stations or days merge into those of all (Chan et al. 1983), so that a score does
not depend on how the data was cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vadose.errors import ValueProblem


@dataclass(frozen=True)
class Moments:
    """Hold the first and second moments of pairs.

    Attributes
    ----------
    n
        Number of pairs.
    weight
        Sum of their weights.
    product, reference
        Weighted means.
    product_square, reference_square, cross
        Weighted sums of squared and crossed departures from those means.
    absolute_error
        Weighted sum of absolute differences.
    """

    n: int = 0
    weight: float = 0.0
    product: float = 0.0
    reference: float = 0.0
    product_square: float = 0.0
    reference_square: float = 0.0
    cross: float = 0.0
    absolute_error: float = 0.0

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
        if self.n == 0 or other.n == 0:
            return other if self.n == 0 else self
        weight = self.weight + other.weight
        share = other.weight / weight
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


def moments(
    product: npt.NDArray[np.floating],
    reference: npt.NDArray[np.floating],
    weight: npt.NDArray[np.floating] | None = None,
) -> Moments:
    """Give the moments of pairs.

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
        raise ValueProblem(
            "pairs", found="NaN among them", expected="the common sample of product and reference"
        )
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
