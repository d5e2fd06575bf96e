"""Random forest as in Ma et al.: 150 trees, leaves of 5, a third of the features at each split."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from vadose.models.base import Column, Groups, Table, read_description
from vadose.models.trees import TreeModel, Trees, from_forest


class RandomForest(TreeModel):
    """Average many decision trees, each grown on a bootstrap sample.

    Parameters
    ----------
    trees
        Number of trees.
    leaf
        Fewest samples in a leaf.
    features
        Share of the features tried at each split.
    samples
        Share of the rows in each bootstrap sample.
    seed
        Same seed, same forest, whatever the number of workers.
    workers
        Threads for fitting and predicting.

    Attributes
    ----------
    trees_ : list of Trees
        The forest as arrays, for each output.
    importances_ : numpy.ndarray
        Impurity importance of each feature, adding up to one.
    out_of_bag_rmse_ : list of float
        Error on the rows that a tree has not seen, in units of the target, for each output.

    References
    ----------
    Breiman (2001), Machine Learning 45:5; settings of Ma et al. (TreeBagger).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.random((200, 3))
    >>> forest = RandomForest(trees=20).fit(X, X[:, 0])
    >>> int(np.argmax(forest.importances_))
    0
    """

    name: ClassVar[str] = "random_forest"

    def __init__(
        self,
        *,
        trees: int = 150,
        leaf: int = 5,
        features: float = 1 / 3,
        samples: float = 1.0,
        seed: int = 0,
        workers: int = 2,
    ) -> None:
        self.trees, self.leaf, self.features = trees, leaf, features
        self.samples, self.seed, self.workers = samples, seed, workers

    def fit(
        self, X: Table, y: Table, *, weight: Table | None = None, groups: Groups | None = None
    ) -> Self:
        """Grow the forest; `groups` play no part.

        Raises
        ------
        ModelProblem
            Values that are not finite, or fewer rows than two leaves hold.
        """
        self.out_of_bag_rmse_: list[float] = []
        return super().fit(X, y, weight=weight, groups=groups)

    def _grow(
        self, table: npt.NDArray[np.float32], y: Column, weight: Column | None
    ) -> tuple[Trees, Column]:
        from sklearn.ensemble import RandomForestRegressor

        forest = RandomForestRegressor(
            n_estimators=self.trees,
            min_samples_leaf=self.leaf,
            max_features=self.features,
            max_samples=None if self.samples >= 1 else self.samples,
            random_state=self.seed,
            n_jobs=self.workers,
            oob_score=True,
        )
        with warnings.catch_warnings():
            # with few trees some rows are in every bag; they are left out of the error below
            warnings.filterwarnings("ignore", message="Some inputs do not have OOB scores")
            forest.fit(table, y, sample_weight=weight)
        in_bags = np.zeros(len(table), dtype=int)
        for rows in forest.estimators_samples_:
            in_bags[np.unique(rows)] += 1
        error = (forest.oob_prediction_ - y)[in_bags < self.trees]
        self.out_of_bag_rmse_.append(float(np.sqrt(error @ error / max(len(error), 1))))
        return from_forest(forest.estimators_, table.shape[1]), forest.feature_importances_

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and ``trees.safetensors``."""
        self._need_fit()
        names = ("trees", "leaf", "features", "samples", "seed")
        self._write(folder, names, out_of_bag_rmse=self.out_of_bag_rmse_)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a saved forest."""
        description = read_description(folder, cls.name)
        forest = cls(**description["parameters"])
        forest.out_of_bag_rmse_ = [float(one) for one in description["out_of_bag_rmse"]]
        return forest._read(folder, description)
