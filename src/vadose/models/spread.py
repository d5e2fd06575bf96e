"""How far the parts of a model are from each other: who can say so, and what is said for the others."""

from __future__ import annotations

import numpy as np

from vadose.errors import ModelProblem
from vadose.models.base import Column, Model, Spreading, Table


def has_spread(model: Model) -> bool:
    """Tell whether a model has parts whose spread it gives.

    Examples
    --------
    >>> from vadose.models import Boosting, RandomForest
    >>> has_spread(RandomForest()), has_spread(Boosting())
    (True, False)
    """
    return isinstance(model, Spreading)


def spread_of(model: Model, X: Table, *, mean: Column | None = None) -> Column:
    """Give the spread of a model's parts.

    Parameters
    ----------
    model
        Fitted.
    X
        Samples, as for its `predict`.
    mean
        What its `predict` gives for them, if it is known already.

    Returns
    -------
    numpy.ndarray
        The shape of what `predict` gives, in units of the target, 0 or more.

    Raises
    ------
    ModelProblem
        A model that has no parts.

    Examples
    --------
    >>> from vadose.models import RandomForest
    >>> X = np.random.default_rng(0).random((100, 2))
    >>> forest = RandomForest(trees=10).fit(X, X[:, 0])
    >>> bool(spread_of(forest, X).max() < 0.5)
    True
    """
    if not isinstance(model, Spreading):
        raise ModelProblem(
            f"model {model.name}",
            found="no parts whose spread could be given",
            expected="a forest or an ensemble",
            remedy="Take intervals of constant width, of spread 1.",
        )
    return model.spread(X, mean=mean)


def spread_or_one(model: Model, X: Table, *, mean: Column) -> Column:
    """Give the spread of a model's parts, and 1 everywhere for a model without: then all places are alike.

    Parameters
    ----------
    model, X
        As for `spread_of`.
    mean
        What its `predict` gives for them; where it is NaN, the spread is.

    Examples
    --------
    >>> from vadose.models import Boosting
    >>> spread_or_one(Boosting(), np.zeros((2, 1)), mean=np.array([0.1, np.nan]))
    array([ 1., nan])
    """
    if has_spread(model):
        return spread_of(model, X, mean=mean)
    return np.where(np.isnan(mean), np.nan, 1.0)
