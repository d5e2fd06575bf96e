"""Area of applicability: where predictors are like those that a model has learned from.

A range of each predictor on its own (`vadose.downscale.provenance`) says nothing of combinations: a desert's
rain and a forest's greenness may each be known, and never have come together. Here the distance to the
nearest sample of training is measured in the space of all predictors, each in units of its standard deviation
times its importance, and divided by the mean distance between samples of training: the dissimilarity index.
It may be as large as it is within the training data from one fold to the others; beyond that upper whisker
a cross-validated error, and an interval calibrated with it, promise nothing.

References
----------
Meyer and Pebesma (2021), Methods Ecol. Evol. 12:1620, doi:10.1111/2041-210X.13650.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree
from scipy.spatial.distance import pdist

from vadose.errors import ModelProblem, ValueProblem
from vadose.samples.blocks import deal
from vadose.samples.scaling import Scaling

Table = npt.NDArray[np.floating]
Column = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
#: Samples of training that are kept, at most, and of which the mean distance is taken.
MOST, PAIRED = 50_000, 5_000
#: Folds that blocks are dealt to, where there are more of them.
FOLDS = 5
#: Rows that are measured at once.
ROWS = 262_144


class Applicability:
    """Tell how unlike the training data a place is.

    Neighbours are found by a tree, which is the faster the fewer predictors have much importance.

    Parameters
    ----------
    weights
        Importance of each predictor, 0 or more, such as ``importances_`` of a forest; all alike unless
        given. One without importance does not count.
    most
        Samples of training to keep; of more, so many are drawn. Index and threshold come from the same
        samples, so that a draw makes the map coarser, not wider.
    approximation
        0 for the nearest sample; else one that is farther by at most this share is good enough, and the
        index that much too large at most.
    folds
        Into which blocks are dealt for the threshold.
    seed
        Of draw and folds.
    workers
        Threads; the result does not depend on them.

    Attributes
    ----------
    threshold_ : float
        Largest index that is still inside: of the samples of training, to the nearest one of another
        fold, the largest that exceeds the upper quartile by no more than 1.5 times the quartiles'
        distance.
    mean_distance_ : float
        Mean distance of two samples of training, in the weighted space; of 5,000 at most.
    scaling_ : Scaling
        Mean and standard deviation of the predictors.
    samples_ : numpy.ndarray
        Scaled and weighted samples of training, ``(sample, feature)``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, block = rng.random((500, 2)), np.arange(500) // 10
    >>> area = Applicability().fit(X, block)
    >>> area.is_inside(np.array([[0.5, 0.5], [0.5, 3.0], [0.5, np.nan]]))
    array([ True, False, False])
    """

    def __init__(
        self,
        weights: npt.ArrayLike | None = None,
        *,
        most: int = MOST,
        approximation: float = 0.0,
        folds: int = FOLDS,
        seed: int = 0,
        workers: int = 2,
    ) -> None:
        self.weights, self.most, self.approximation = weights, most, approximation
        self.folds, self.seed, self.workers = folds, seed, workers

    def fit(self, X: Table, groups: npt.ArrayLike) -> Self:
        """Learn the space, the mean distance and the threshold.

        Parameters
        ----------
        X
            What the model has learned from, ``(sample, feature)``. Rows with NaN are left out.
        groups
            Block of each sample; whole blocks are held against the others.

        Raises
        ------
        ValueProblem
            Shapes that differ, weights that make no sense, fewer than two complete blocks, or samples
            that are all the same.
        """
        table, block = np.asarray(X, dtype=np.float64), np.asarray(groups).ravel()
        if table.ndim != 2 or len(block) != len(table):
            raise ValueProblem(
                "training samples",
                found=f"shape {table.shape} and {len(block)} groups",
                expected="(sample, feature), and one group for each sample",
            )
        weights = self._weights(table.shape[1])
        is_known = np.isfinite(table).all(axis=1)
        table, block = table[is_known], block[is_known]
        rng = np.random.default_rng(self.seed)
        if len(table) > self.most:
            chosen = np.sort(rng.choice(len(table), self.most, replace=False))
            table, block = table[chosen], block[chosen]
        number = np.unique(block, return_inverse=True)[1].ravel()
        blocks = int(number.max(initial=-1)) + 1
        if blocks < 2:
            raise ValueProblem(
                "groups",
                found=f"{blocks} blocks of complete samples",
                expected="2 or more, to hold one against the others",
            )
        self.scaling_, self.weights_ = Scaling.learn(table), weights
        self.samples_ = self._placed(table)
        self.mean_distance_ = _mean_distance(self.samples_, rng)
        if not self.mean_distance_ > 0:
            raise ValueProblem(
                "training samples",
                found="all of them the same in what has importance",
                expected="samples that differ",
            )
        fold = number if blocks <= self.folds else deal(number, self.folds, rng, what="blocks")
        index = np.empty(len(table))
        for one in np.unique(fold):
            others = KDTree(self.samples_[fold != one])
            index[fold == one] = self._nearest(others, self.samples_[fold == one])
        self.threshold_ = upper_whisker(index / self.mean_distance_)
        self._tree = KDTree(self.samples_)
        return self

    def dissimilarity(self, X: Table) -> Column:
        """Give the dissimilarity index: 0 for a sample of training, without a unit.

        Parameters
        ----------
        X
            Dims ``(..., feature)``, in the order of the fit.

        Returns
        -------
        numpy.ndarray
            Dims ``(...)``; NaN where a predictor with importance is.

        Raises
        ------
        ModelProblem
            Without a fit, or another number of features.
        """
        self._need_fit()
        features = len(self.weights_)
        if np.ndim(X) < 1 or np.shape(X)[-1] != features:
            raise ModelProblem(
                "X",
                found=f"shape {np.shape(X)}",
                expected=f"(..., {features}), the features of the fit in their order",
            )
        rows = np.reshape(X, (-1, features))
        index = np.full(len(rows), np.nan)
        for start in range(0, len(rows), ROWS):
            part = self._placed(rows[start : start + ROWS])
            is_known = np.isfinite(part).all(axis=1)
            found = np.full(len(part), np.nan)
            found[is_known] = self._nearest(self._tree, part[is_known])
            index[start : start + ROWS] = found / self.mean_distance_
        return index.reshape(np.shape(X)[:-1])

    def is_inside(self, X: Table) -> Mask:
        """Tell whether places are inside of the area of applicability; False where a predictor is NaN.

        Parameters
        ----------
        X
            As for `dissimilarity`.
        """
        return np.asarray(self.dissimilarity(X) <= self.threshold_)

    def save(self, path: Path) -> None:
        """Write all that was learned as safetensors: arrays, no code."""
        from safetensors.numpy import save_file

        self._need_fit()
        arrays = {
            "samples": np.ascontiguousarray(self.samples_),
            "weights": self.weights_,
            "shift": self.scaling_.shift,
            "width": self.scaling_.width,
            "numbers": np.array([self.threshold_, self.mean_distance_, self.approximation]),
        }
        save_file(arrays, path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        ModelProblem
            A file that is missing, damaged or foreign.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            arrays: dict[str, Any] = load_file(path)
            threshold, distance, approximation = arrays["numbers"].tolist()
            area = cls(arrays["weights"], approximation=approximation)
            area.scaling_ = Scaling("zscore", arrays["shift"], arrays["width"])
            area.weights_ = area._weights(len(arrays["shift"]))
            area.samples_ = arrays["samples"]
            area._tree = KDTree(area.samples_)
        except (OSError, KeyError, ValueError, SafetensorError, ValueProblem) as error:
            raise ModelProblem(
                path, found=f"no readable area ({error})", expected="a saved area of applicability"
            ) from error
        used = int(np.count_nonzero(area.weights_))
        if area.samples_.shape[1] != used or not (distance > 0 and threshold >= 0):
            raise ModelProblem(
                path,
                found=f"samples of {area.samples_.shape[1]} features, mean distance {distance:g}",
                expected=f"{used} features with importance, and a distance above 0",
            )
        area.threshold_, area.mean_distance_ = threshold, distance
        return area

    def _weights(self, features: int) -> Column:
        given = np.ones(features) if self.weights is None else np.asarray(self.weights, "f8")
        if given.shape != (features,) or not (np.isfinite(given) & (given >= 0)).all():
            raise ValueProblem(
                "weights",
                found=f"{given.tolist()}",
                expected=f"{features} numbers of 0 or more, one for each feature",
            )
        if not given.any():
            raise ValueProblem("weights", found="nothing but 0", expected="more than 0 somewhere")
        return given

    def _placed(self, table: Table) -> Column:
        """Scale and weigh, and leave out what has no importance: distances are the same without it."""
        used = np.flatnonzero(self.weights_)
        scaled = (table[:, used].astype(np.float64) - self.scaling_.shift[used]) * (
            self.weights_[used] / self.scaling_.width[used]
        )
        return np.asarray(scaled)

    def _nearest(self, tree: KDTree, table: Column) -> Column:
        distance, _ = tree.query(table, eps=self.approximation, workers=self.workers)
        return np.asarray(distance, dtype=np.float64)

    def _need_fit(self) -> None:
        if not hasattr(self, "threshold_"):
            raise ModelProblem("area of applicability", found="no fit", remedy="Call fit first.")


def upper_whisker(values: Column) -> float:
    """Give the largest value that exceeds the upper quartile by no more than 1.5 quartile distances.

    Examples
    --------
    >>> upper_whisker(np.array([1.0, 2.0, 3.0, 4.0, 100.0]))
    4.0
    """
    low, high = np.quantile(values, [0.25, 0.75])
    return float(values[values <= high + 1.5 * (high - low)].max())


def _mean_distance(samples: Column, rng: np.random.Generator) -> float:
    """Average over all pairs; of many samples, over those of some with one another."""
    if len(samples) > PAIRED:
        samples = samples[rng.choice(len(samples), PAIRED, replace=False)]
    return float(pdist(samples).mean())
