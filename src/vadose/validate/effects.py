"""How a prediction changes along one feature: accumulated local effects, and partial dependence beside them.

Partial dependence puts every value of a feature into every sample, also where the two never meet; with
correlated features it then tells of places that do not exist. Accumulated local effects compare each
sample with itself, a little lower and a little higher, and stay where the data is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from vadose.errors import ValueProblem
from vadose.validate.importance import Predict

Array = npt.NDArray[np.floating]
Method = Literal["ale", "partial_dependence"]


@dataclass(frozen=True)
class Effect:
    """Hold a curve.

    Attributes
    ----------
    method
        How it was made.
    value
        Values of the feature, increasing, in its unit.
    effect
        Departure of the prediction from its mean over the places along the curve, in the unit of the target;
        the mean of several outputs.
    count
        Places between each value and the one before; the first counts those at it.
    """

    method: Method
    value: npt.NDArray[np.float64]
    effect: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]


def accumulated_effect(predict: Predict, X: Array, feature: int, *, bins: int = 20) -> Effect:
    """Accumulate what small steps of one feature change, bin by bin.

    Bins hold about as many places each; where values repeat there are fewer. In sequences and patches
    every place moves to the edges of its own bin, all of them at once.

    Parameters
    ----------
    predict
        The fitted model.
    X
        Dims ``(sample, ..., feature)``; no NaN.
    feature
        Column.
    bins
        Most bins.

    Returns
    -------
    Effect
        A single point with effect 0 for a feature that is constant.

    Raises
    ------
    ValueProblem
        No samples, a NaN, no such column, or no bins.

    References
    ----------
    Apley and Zhu (2020), J. R. Stat. Soc. B 82:1059.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((500, 2))
    >>> curve = accumulated_effect(lambda table: 3 * table[:, 0] + table[:, 1], X, 0)
    >>> bool(np.allclose(np.diff(curve.effect) / np.diff(curve.value), 3))
    True
    """
    values = _column(X, feature, bins)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1), method="inverted_cdf"))
    if len(edges) == 1:
        return Effect("ale", edges, np.zeros(1), np.array([values.size]))
    # the lowest edge belongs to the first bin, each other edge to the bin that ends there
    place = np.clip(np.searchsorted(edges, values, side="left"), 1, len(edges) - 1)
    shape = X.shape[:-1]
    difference = _predicted(predict, X, feature, edges[place].reshape(shape))
    difference = difference - _predicted(predict, X, feature, edges[place - 1].reshape(shape))
    steps = len(edges) - 1
    count = np.bincount(place - 1, minlength=steps)
    total = np.bincount(
        place - 1, weights=difference.reshape(place.size, -1).mean(1), minlength=steps
    )
    # inner edges are values of places, so no bin is empty
    effect = np.concatenate([[0.0], np.cumsum(total / count)])
    at_lowest = int((values == edges[0]).sum())
    return Effect(
        "ale",
        edges,
        effect - np.interp(values, edges, effect).mean(),
        np.array([at_lowest, count[0] - at_lowest, *count[1:]]),
    )


def partial_dependence(predict: Predict, X: Array, feature: int, *, points: int = 20) -> Effect:
    """Average the predictions after one feature is set to the same value everywhere.

    Parameters
    ----------
    predict, X, feature
        As for `accumulated_effect`.
    points
        Most values, at the quantiles of the feature.

    References
    ----------
    Friedman (2001), Ann. Stat. 29:1189.
    """
    values = _column(X, feature, points)
    grid = np.unique(np.quantile(values, np.linspace(0, 1, points + 1), method="inverted_cdf"))
    mean = np.array(
        [_predicted(predict, X, feature, np.full(X.shape[:-1], one)).mean() for one in grid]
    )
    place = np.searchsorted(grid, values, side="left")
    count = np.bincount(place, minlength=len(grid))
    centred = mean - np.interp(values, grid, mean).mean()
    return Effect("partial_dependence", grid, centred, count)


def _column(X: Array, feature: int, most: int) -> npt.NDArray[np.float64]:
    if not 0 <= feature < X.shape[-1]:
        raise ValueProblem(
            f"feature {feature}", found="no such column", expected=f"0 to {X.shape[-1] - 1}"
        )
    if most < 1:
        raise ValueProblem("bins", found=f"{most}", expected="1 or more")
    values = X[..., feature].ravel().astype("f8")
    if not values.size or not np.isfinite(X).all():
        raise ValueProblem(
            "X", found="no samples" if not values.size else "NaN", expected="complete samples"
        )
    return values


def _predicted(predict: Predict, X: Array, feature: int, values: Array) -> Array:
    table = X.copy()
    table[..., feature] = values
    return np.asarray(predict(table), dtype="f8")
