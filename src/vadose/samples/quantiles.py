"""Quantiles of two records against each other: which value of one is as frequent as which of the other.

References
----------
Reichle and Koster (2004), Geophys. Res. Lett. 31:L19501.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vadose.errors import ValueProblem

Floats = npt.NDArray[np.float64]

#: Fewest pairs to match distributions by, and in each step between two quantiles.
LEAST, IN_STEP = 40, 20


@dataclass(frozen=True, eq=False)
class Quantiles:
    """Hold which value becomes which.

    Attributes
    ----------
    source
        Values of the product, strictly rising, m³ m⁻³.
    reference
        What they become; never falling.

    Raises
    ------
    ValueProblem
        No knots, or such that do not rise.
    """

    source: Floats
    reference: Floats

    def __post_init__(self) -> None:
        is_paired = self.source.ndim == 1 and self.source.shape == self.reference.shape
        if not (
            is_paired
            and self.source.size > 0
            and np.isfinite([self.source, self.reference]).all()
            and (np.diff(self.source) > 0).all()
            and (np.diff(self.reference) >= 0).all()
        ):
            raise ValueProblem(
                "quantiles",
                found=f"{self.source.size} of the product, {self.reference.size} of the reference",
                expected="as many of each, rising",
            )


def learn_quantiles(
    product: npt.NDArray[np.floating], reference: npt.NDArray[np.floating], *, steps: int = 100
) -> Quantiles:
    """Learn which value of a product is as frequent as which of a reference.

    Parameters
    ----------
    product, reference
        Pairs, any dims; where one has a gap (NaN) neither counts.
    steps
        Most steps between quantiles; fewer where a step would hold fewer than 20 pairs.

    Returns
    -------
    Quantiles
        Values that the product has so often that several quantiles are the same (as of a product in
        whole percent) become the mean of what those quantiles are in the reference.

    Raises
    ------
    ValueProblem
        Fewer than 40 pairs, or shapes that differ.

    Examples
    --------
    >>> values = np.linspace(0.1, 0.4, 101)
    >>> learned = learn_quantiles(values, 2 * values, steps=2)
    >>> learned.source.round(2), learned.reference.round(2)
    (array([0.1 , 0.25, 0.4 ]), array([0.2, 0.5, 0.8]))
    """
    if np.shape(product) != np.shape(reference):
        raise ValueProblem(
            "pairs to match distributions by",
            found=f"shapes {np.shape(product)} and {np.shape(reference)}",
            expected="the same",
        )
    is_pair = np.isfinite(product) & np.isfinite(reference)
    count = int(is_pair.sum())
    if count < LEAST:
        raise ValueProblem(
            "pairs to match distributions by",
            found=f"{count}",
            expected=f"{LEAST} or more",
            remedy="Take the additive or the linear correction.",
        )
    levels = np.linspace(0, 1, min(steps, count // IN_STEP) + 1)
    source, wanted = (
        np.quantile(np.asarray(one, "f8")[is_pair], levels) for one in (product, reference)
    )
    knots, place = np.unique(source, return_inverse=True)
    means = np.bincount(place, wanted) / np.bincount(place)
    # a mean of equal numbers may round below its neighbour
    return Quantiles(knots, np.maximum.accumulate(means))


def match_quantiles(values: npt.NDArray[np.floating], quantiles: Quantiles) -> Floats:
    """Turn values of the product into those of the reference.

    Parameters
    ----------
    values
        Any dims; NaN stays.
    quantiles
        What was learned.

    Returns
    -------
    numpy.ndarray
        Between knots straight lines; beyond the last ones the shift of the end, so that an extreme stays
        as far out as it was and none is cut off.

    Examples
    --------
    >>> learned = Quantiles(np.array([0.1, 0.3]), np.array([0.2, 0.3]))
    >>> match_quantiles(np.array([0.0, 0.1, 0.2, 0.4, np.nan]), learned)
    array([0.1 , 0.2 , 0.25, 0.4 ,  nan])
    """
    source, reference = quantiles.source, quantiles.reference
    given = np.asarray(values, "f8")
    if source.size == 1:
        return np.asarray(given + (reference[0] - source[0]), "f8")
    slope = np.concatenate([np.diff(reference) / np.diff(source), [1.0]])
    place = np.searchsorted(source, given, side="right") - 1
    inside = np.clip(place, 0, source.size - 1)
    # below the first knot its own shift holds, as above the last
    rate = np.where(place < 0, 1.0, slope[inside])
    return np.asarray(reference[inside] + rate * (given - source[inside]), "f8")
