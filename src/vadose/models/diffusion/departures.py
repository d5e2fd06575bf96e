"""Departures from a regression: what is left to learn when the mean is known, as wide as at unseen places."""

from __future__ import annotations

from pathlib import Path

from vadose.models.base import Column, Groups, Table, check_groups
from vadose.models.crossvalidation import out_of_fold
from vadose.models.forest import RandomForest


def fit_departures(
    X: Table,
    y: Column,
    *,
    weight: Column | None,
    groups: Groups | None,
    folds: int,
    seed: int,
    folder: Path | None = None,
) -> tuple[RandomForest, Column]:
    """Fit a random forest, and give what is left of the target where each group is unknown to it.

    A forest knows the places that it was fitted on: what is left there is far less than elsewhere.

    Parameters
    ----------
    X, y, weight, groups
        Rows, see `vadose.models.base`.
    folds, folder
        See `vadose.models.crossvalidation.out_of_fold`.
    seed
        Of forests and folds.

    Returns
    -------
    forest
        Fitted on all rows.
    departures
        The shape and unit of `y`: the target less what forests fitted on the other folds say.

    Raises
    ------
    ModelProblem
        Samples that do not suit, or fewer groups than folds.

    References
    ----------
    Mardani et al. (2025), Commun. Earth Environ. 6:124.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.random((300, 2)), rng.normal(0.0, 1.0, 300)
    >>> forest, departures = fit_departures(X, y, weight=None, groups=None, folds=3, seed=0)
    >>> bool(departures.std() > 1.2 * (y - forest.predict(X)).std())
    True
    """
    blocks = check_groups(groups, X)
    expected = out_of_fold(
        lambda fold: RandomForest(seed=seed + 1 + fold),
        X,
        y,
        weight=weight,
        groups=blocks,
        folds=folds,
        seed=seed,
        folder=folder,
    )
    forest = RandomForest(seed=seed).fit(X, y, weight=weight, groups=blocks)
    return forest, y - expected
