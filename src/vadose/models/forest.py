"""Random forest as in Ma et al.: 150 trees, leaves of 5, a third of the features at each split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from vadose.errors import ModelProblem
from vadose.models.base import (
    Column,
    Groups,
    Progress,
    Table,
    check_groups,
    check_training,
    quiet,
    read_description,
)
from vadose.models.crossvalidation import deal_folds, pooled_rmse
from vadose.models.ranges import COUNT, COUNT_OR_NONE, PART, Range, check_ranges
from vadose.models.trees import TreeModel, Trees, from_forest

#: Numbers of trees, and fewest samples in a leaf, that `choose_forest` compares.
TREES = (50, 100, 150, 200, 300)
LEAVES = (1, 3, 5, 10, 20)


@dataclass(frozen=True)
class ForestSize:
    """Number of trees, and fewest samples in a leaf."""

    trees: int
    leaf: int


class RandomForest(TreeModel):
    """Average many decision trees, each grown on a bootstrap sample.

    Parameters
    ----------
    trees
        Number of trees; 0: the best of `TREES` by cross-validation on blocks, see `choose_forest`.
    leaf
        Fewest samples in a leaf; 0: the best of `LEAVES`, in the same way.
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
    size_ : ForestSize
        The number of trees and the leaf that were given or chosen.
    trees_ : list of Trees
        The forest as arrays, for each output.
    importances_ : numpy.ndarray
        Impurity importance of each feature, adding up to one.
    out_of_bag_rmse_ : list of float
        Error on the rows that a tree has not seen, in units of the target, for each output.
    out_of_bag_curve_ : list of list of float
        The same of the first tree, the first two and so on, for each output: where it is level, more
        trees bring nothing. Few trees leave some rows unjudged.

    References
    ----------
    Breiman (2001), Machine Learning 45:5; settings of Ma et al. (2026),
    doi:10.3390/s26041383 (TreeBagger).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.random((200, 3))
    >>> forest = RandomForest(trees=20).fit(X, X[:, 0])
    >>> int(np.argmax(forest.importances_))
    0
    """

    name: ClassVar[str] = "random_forest"
    ranges: ClassVar[Mapping[str, Range]] = {
        "trees": COUNT_OR_NONE,
        "leaf": COUNT_OR_NONE,
        "features": PART,
        "samples": Range(0, is_open=True),
        "seed": COUNT_OR_NONE,
        "workers": COUNT,
    }

    #: Told of the sizes that are compared; set by whoever wants to know.
    progress: Progress = staticmethod(quiet)

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
        """Grow the forest; `groups` play a part only where its size is to be chosen.

        Raises
        ------
        ModelProblem
            Parameters out of their range, values that are not finite, fewer rows than two leaves hold, or
            too few groups to choose by.
        """
        check_ranges(self, self.ranges)
        self.size_ = ForestSize(self.trees, self.leaf)
        if 0 in (self.trees, self.leaf):
            self.size_ = choose_forest(
                X,
                y,
                groups,
                forest=self,
                weight=weight,
                trees=(self.trees,) if self.trees else TREES,
                leaves=(self.leaf,) if self.leaf else LEAVES,
                progress=self.progress,
            ).best
        self.out_of_bag_curve_: list[list[float]] = []
        return super().fit(X, y, weight=weight, groups=groups)

    @property
    def out_of_bag_rmse_(self) -> list[float]:
        """Give the end of each curve."""
        return [curve[-1] for curve in self.out_of_bag_curve_]

    def _grow(
        self, table: npt.NDArray[np.float32], y: Column, weight: Column | None
    ) -> tuple[Trees, Column]:
        forest = _grown(self, self.size_, table, y, weight)
        self.out_of_bag_curve_.append(_out_of_bag_curve(forest, table, y))
        return from_forest(forest.estimators_, table.shape[1]), forest.feature_importances_

    def spread(self, X: Table, *, mean: Column | None = None) -> Column:
        """Give the standard deviation over the trees at each row (and output), in units of the target.

        Parameters
        ----------
        X
            Dims ``(sample, feature)``; a gap is an error, as for `predict`.
        mean
            What `predict` gives for these rows; asked for unless given.

        Raises
        ------
        ModelProblem
            Without a fit, or for rows that do not suit it.
        """
        self._need_fit()
        known = None if mean is None else np.reshape(mean, (-1, len(self.trees_))).T
        columns = [
            trees.spread(X, mean=None if known is None else known[output], workers=self.workers)
            for output, trees in enumerate(self.trees_)
        ]
        return columns[0] if self.outputs_ is None else np.stack(columns, axis=-1)

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and ``trees.safetensors``."""
        self._need_fit()
        names = ("trees", "leaf", "features", "samples", "seed")
        learned = {"size": asdict(self.size_), "out_of_bag_curve": self.out_of_bag_curve_}
        self._write(folder, names, **learned)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a saved forest."""
        description = read_description(folder, cls.name)
        forest = cls(**description["parameters"])
        forest.size_ = ForestSize(**description["size"])
        forest.out_of_bag_curve_ = [
            [float(one) for one in curve] for curve in description["out_of_bag_curve"]
        ]
        return forest._read(folder, description)


def _grown(
    forest: RandomForest, size: ForestSize, X: Table, y: Column, weight: Column | None
) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(
        n_estimators=size.trees,
        min_samples_leaf=size.leaf,
        max_features=forest.features,
        max_samples=None if forest.samples >= 1 else forest.samples,
        random_state=forest.seed,
        n_jobs=forest.workers,
    ).fit(X, y, sample_weight=weight)


def _out_of_bag_curve(forest: Any, X: npt.NDArray[np.float32], y: Column) -> list[float]:
    """Give the error of the first trees on rows outside of their bags, for each number of trees.

    Scikit-learn's own score is its last value, at the same cost: each tree is asked once.
    """
    total, count = np.zeros(len(y)), np.zeros(len(y), dtype=np.int64)
    curve = []
    for tree, rows in zip(forest.estimators_, forest.estimators_samples_, strict=True):
        is_out = np.ones(len(y), dtype=bool)
        is_out[rows] = False
        if is_out.any():
            total[is_out] += tree.predict(X[is_out], check_input=False)
            count += is_out
        seen = count > 0
        error = total[seen] / count[seen] - y[seen]
        curve.append(float(np.sqrt(error @ error / max(len(error), 1))))
    return curve


@dataclass(frozen=True, eq=False)
class ForestChoice:
    """Say how well forests of several sizes do at groups they have not learned from.

    Attributes
    ----------
    table
        Columns ``trees``, ``leaf``; ``rmse``: the mean over the folds, in units of the target; ``spread``:
        its standard deviation from fold to fold; ``excess_error``: the standard error of the difference
        to the best, fold by fold.
    best
        The size of the smallest ``rmse``.
    smallest
        The size with the fewest nodes, which go with ``trees / leaf``, among those whose ``rmse`` exceeds
        the best by no more than one standard error of that difference. (Folds differ in difficulty much
        more than sizes do, so that by the spread of the folds themselves everything would pass.)
    """

    table: pd.DataFrame
    best: ForestSize
    smallest: ForestSize


def choose_forest(
    X: Table,
    y: Table,
    groups: Groups | None = None,
    *,
    forest: RandomForest | None = None,
    weight: Table | None = None,
    trees: Sequence[int] = TREES,
    leaves: Sequence[int] = LEAVES,
    folds: int = 10,
    progress: Progress = quiet,
) -> ForestChoice:
    """Compare sizes of a forest by cross-validation on blocks, as Ma et al. do on single samples.

    The largest forest is grown once for each fold and leaf; its first trees are the smaller forests.

    Parameters
    ----------
    X, y, groups, weight
        What a forest is fitted with; `groups` are held out as a whole.
    forest
        Gives every other parameter, and the seed.
    trees, leaves
        What to compare.
    folds
        Number of folds.
    progress
        Told after each forest.

    Raises
    ------
    ModelProblem
        Rows that do not suit, a size below one, or fewer groups than folds.

    References
    ----------
    Breiman et al. (1984), Classification and Regression Trees, section 3.4.3, for one standard error.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((300, 2))
    >>> choice = choose_forest(X, X[:, 0], trees=(5, 10), leaves=(1, 50), folds=5)
    >>> choice.best
    ForestSize(trees=10, leaf=1)
    """
    steps, leaf_sizes = sorted(set(trees)), sorted(set(leaves))
    if min((*steps, *leaf_sizes), default=0) < 1 or not (steps and leaf_sizes):
        raise ModelProblem(
            "sizes of a forest",
            found=f"trees {list(trees)}, leaves {list(leaves)}",
            expected="1 or more of each",
        )
    template = forest or RandomForest()
    table, target, share = check_training(X, y, weight, least=2 * leaf_sizes[-1])
    counts = None if share is None else share > 0
    blocks = check_groups(groups, table)
    fold_of = deal_folds(blocks, folds, seed=template.seed, is_known=counts)
    rmse = np.empty((len(leaf_sizes), len(steps), folds))
    for row, leaf in enumerate(leaf_sizes):
        for fold in range(folds):
            kept, held = fold_of != fold, fold_of == fold
            predicted = [
                _first_trees(
                    _grown(
                        template,
                        ForestSize(steps[-1], leaf),
                        table[kept],
                        column[kept],
                        None if share is None else share[kept],
                    ),
                    table[held],
                    steps,
                    workers=template.workers,
                )
                for column in target.reshape(len(table), -1).T
            ]
            judge = None if share is None else share[held]
            for number, values in enumerate(np.stack(predicted, axis=-1)):
                rmse[row, number, fold] = pooled_rmse(
                    values.reshape(target[held].shape), target[held], judge
                )
            note = f"leaf {leaf}, fold {fold + 1} of {folds}"
            progress(row * folds + fold + 1, len(leaf_sizes) * folds, note)
    return _compared(rmse, steps, leaf_sizes)


def _first_trees(forest: Any, X: Table, steps: Sequence[int], *, workers: int) -> Column:
    """Give what the first trees say, dims ``(step, sample)``; each tree is asked once."""
    trees = from_forest(forest.estimators_, X.shape[1])
    sums = np.zeros((len(steps), len(X)))
    start = 0
    for number, stop in enumerate(steps):
        part = replace(
            trees, roots=trees.roots[start:stop], depths=trees.depths[start:stop], scale=1.0
        )
        sums[number:] += part.predict(X, workers=workers)
        start = stop
    return np.asarray(sums / np.reshape(steps, (-1, 1)))


def _compared(
    rmse: npt.NDArray[np.float64], trees: Sequence[int], leaves: Sequence[int]
) -> ForestChoice:
    """Make the choice from errors of dims ``(leaf, trees, fold)``."""
    mean = rmse.mean(axis=-1)
    best = np.unravel_index(np.argmin(mean), mean.shape)
    excess = (rmse - rmse[best]).std(axis=-1, ddof=1) / np.sqrt(rmse.shape[-1])
    sizes = [ForestSize(count, leaf) for leaf in leaves for count in trees]
    table = pd.DataFrame(
        {
            "trees": [size.trees for size in sizes],
            "leaf": [size.leaf for size in sizes],
            "rmse": mean.ravel(),
            "spread": rmse.std(axis=-1, ddof=1).ravel(),
            "excess_error": excess.ravel(),
        }
    )
    is_near = (mean - mean[best] <= excess).ravel()
    near = [size for size, passes in zip(sizes, is_near, strict=True) if passes]
    return ForestChoice(
        table,
        best=sizes[int(np.argmin(mean))],
        smallest=min(near, key=lambda size: size.trees / size.leaf),
    )
