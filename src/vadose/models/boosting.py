"""Gradient boosting of histograms: the modern bar for tables, beside the papers' forest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from vadose.models.base import Column, read_description
from vadose.models.ranges import COUNT, COUNT_OR_NONE, PART, Range
from vadose.models.threads import one_thread
from vadose.models.trees import TreeModel, Trees, from_boostings, gains


class Boosting(TreeModel):
    """Add up many small trees, each correcting those before it.

    Parameters
    ----------
    trees
        Number of boosting rounds.
    rate
        Share of each correction that is taken.
    leaves
        Largest number of leaves of a tree.
    leaf
        Fewest samples in a leaf.
    features
        Share of the features tried at each split.
    shrinkage
        L2 penalty on leaf values.
    members, samples
        Number of boostings to average, each on another random share of the rows.
    seed
        Same seed, same trees.
    workers
        Threads for predicting; learning takes one.

    Attributes
    ----------
    trees_ : list of Trees
        The trees as arrays, for each output.
    importances_ : numpy.ndarray
        Share of each feature in the loss that the splits took away.

    References
    ----------
    Friedman (2001), Ann. Statist. 29:1189; Ke et al. (2017), NeurIPS 30 (histograms).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.random((400, 3))
    >>> boosting = Boosting(trees=200, leaf=5).fit(X, X[:, 0])
    >>> bool(abs(boosting.predict(X) - X[:, 0]).mean() < 0.05)
    True
    """

    name: ClassVar[str] = "boosting"
    ranges: ClassVar[Mapping[str, Range]] = {
        "trees": COUNT,
        "rate": Range(0, is_open=True),
        "leaves": Range(2),
        "leaf": COUNT,
        "features": PART,
        "shrinkage": COUNT_OR_NONE,
        "members": COUNT,
        "samples": Range(0, is_open=True),
        "seed": COUNT_OR_NONE,
        "workers": COUNT,
    }

    def __init__(
        self,
        *,
        trees: int = 150,
        rate: float = 0.08,
        leaves: int = 63,
        leaf: int = 100,
        features: float = 0.3,
        shrinkage: float = 5.0,
        members: int = 1,
        samples: float = 1.0,
        seed: int = 0,
        workers: int = 2,
    ) -> None:
        self.trees, self.rate, self.leaves, self.leaf = trees, rate, leaves, leaf
        self.features, self.shrinkage, self.seed, self.workers = features, shrinkage, seed, workers
        self.members, self.samples = members, samples

    def _grow(
        self, table: npt.NDArray[np.float32], y: Column, weight: Column | None
    ) -> tuple[Trees, Column]:
        from sklearn.ensemble import HistGradientBoostingRegressor

        rng = np.random.default_rng(self.seed)
        size = max(2 * self.leaf, round(self.samples * len(table)))
        fitted = []
        for member in range(self.members):
            rows = np.sort(rng.permutation(len(table))[:size])
            boosting = HistGradientBoostingRegressor(
                max_iter=self.trees,
                learning_rate=self.rate,
                max_leaf_nodes=self.leaves,
                min_samples_leaf=self.leaf,
                max_features=self.features,
                l2_regularization=self.shrinkage,
                early_stopping=False,
                random_state=self.seed + member,
            )
            shares = None if weight is None else weight[rows]
            with one_thread():
                fitted.append(boosting.fit(table[rows], y[rows], sample_weight=shares))
        return from_boostings(fitted, table.shape[1]), gains(fitted, table.shape[1])

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and ``trees.safetensors``."""
        names = ("trees", "rate", "leaves", "leaf", "features", "shrinkage", "members", "samples")
        self._write(folder, (*names, "seed"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a saved model."""
        description = read_description(folder, cls.name)
        return cls(**description["parameters"])._read(folder, description)
