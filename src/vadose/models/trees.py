"""Decision trees as plain arrays: what forests and boosting keep, store and predict with.

Arrays instead of scikit-learn's objects, because a model file must be data: nothing here can run code,
indices are checked when read, and a prediction depends on nothing but the row itself, so that tiles,
threads and chunks give the same bits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from vadose.errors import ModelProblem
from vadose.models import fast_trees
from vadose.models.base import (
    Column,
    Groups,
    Kind,
    Table,
    check_table,
    check_training,
    write_description,
)
from vadose.models.ranges import Range, check_ranges
from vadose.models.showing import Shown

#: Rows that one task carries through all trees: small enough to stay in the processor's cache.
ROWS_PER_TASK = 8192


@dataclass(frozen=True)
class Trees:
    """Hold many trees, node after node.

    A node sends a row to ``left`` where ``row[feature] <= threshold``, else to ``right``. A leaf points
    to itself on both sides. The prediction is ``offset + scale * sum of the leaves' values``.

    Attributes
    ----------
    feature, threshold, left, right, value
        One entry per node; ``left`` and ``right`` are positions in these arrays.
    roots
        Position of each tree's root, increasing; a tree's nodes lie between its root and the next.
    depths
        Length of the longest path of each tree.
    offset, scale
        How leaf values combine.
    features
        Number of features a row must have.
    """

    feature: npt.NDArray[np.int32]
    threshold: npt.NDArray[np.float64]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]
    roots: npt.NDArray[np.int32]
    depths: npt.NDArray[np.int32]
    offset: float
    scale: float
    features: int

    def predict(self, X: Table, *, workers: int = 1) -> Column:
        """Give one value per row, of many rows by `fast_trees`: the bits are the same.

        A value beyond the range of training is on the outer side of every threshold: it takes the outermost
        branches, as the most extreme value of training does, however far out it is.

        Parameters
        ----------
        X
            Dims ``(sample, feature)``, finite: a gap takes no branch.
        workers
            Threads; the result does not depend on it.

        Raises
        ------
        ModelProblem
            Values that are not finite, also in single precision, or a wrong number of features.
        """
        table = check_table(X, features=self.features)
        if fast_trees.is_worthwhile(self, len(table)) and self._packed is not None:
            return self.offset + self.scale * self._packed.add_up(table, workers=workers)
        result = np.empty(len(table))

        def task(start: int) -> None:
            rows = slice(start, start + ROWS_PER_TASK)
            result[rows] = self._predict_block(table[rows])

        starts = range(0, len(table), ROWS_PER_TASK)
        if workers == 1:
            for start in starts:
                task(start)
        else:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(task, starts))
        return result

    def spread(self, X: Table, *, mean: Column | None = None, workers: int = 1) -> Column:
        """Give the standard deviation over the trees, where the prediction is their mean.

        The squares of the leaves' values go down the same way as the values, so that it costs as much as
        a prediction. Values are counted from that of the roots: else the digits of small spreads go lost.

        Parameters
        ----------
        X, workers
            As for `predict`.
        mean
            What `predict` gives for these rows, if it is known already.

        Raises
        ------
        ModelProblem
            Trees that are added up (boosting): one of them alone says nothing; rows as for `predict`.
        """
        if not np.isclose(self.scale * len(self.roots), 1.0):
            raise ModelProblem(
                "trees", found="steps of a sum", expected="a mean of trees, to give their spread"
            )
        known = self.predict(X, workers=workers) if mean is None else mean
        squares = self._squares.predict(X, workers=workers)
        centre = self.offset + float(self.value[self.roots].mean())
        return np.asarray(np.sqrt(np.maximum(squares - (known - centre) ** 2, 0.0)))

    @cached_property
    def _squares(self) -> Trees:
        """Hold the same branches with the squared distance of each value from that of the roots."""
        centre = float(self.value[self.roots].mean())
        return replace(self, value=(self.value - centre) ** 2, offset=0.0)

    @cached_property
    def _packed(self) -> fast_trees.PackedTrees | None:
        return fast_trees.pack(self)

    def _predict_block(self, rows: npt.NDArray[np.float32]) -> Column:
        total = np.zeros(len(rows))
        flat = rows.ravel()
        first = np.arange(len(rows), dtype=np.int64) * self.features
        for root, depth in zip(self.roots, self.depths, strict=True):
            node = np.full(len(rows), root, dtype=np.int32)
            for _ in range(depth):
                goes_left = flat.take(first + self.feature.take(node)) <= self.threshold.take(node)
                node = np.where(goes_left, self.left.take(node), self.right.take(node))
            total += self.value.take(node)
        return self.offset + self.scale * total

    def save(self, path: Path) -> None:
        """Write the arrays as safetensors."""
        from safetensors.numpy import save_file

        arrays = {
            one.name: np.atleast_1d(np.asarray(getattr(self, one.name))) for one in fields(self)
        }
        save_file(arrays, path)

    @classmethod
    def load(cls, path: Path) -> Trees:
        """Read the arrays and check that every path through every tree ends.

        Raises
        ------
        ModelProblem
            Missing, truncated or foreign file; indices that lead out of the tree or in a circle.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            arrays: dict[str, Any] = load_file(path)
            trees = cls(
                **{
                    one.name: (
                        arrays[one.name].item()
                        if one.name in ("offset", "scale", "features")
                        else arrays[one.name]
                    )
                    for one in fields(cls)
                }
            )
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise ModelProblem(
                path, found=f"no readable trees ({error})", expected="a saved model"
            ) from error
        trees._check(path)
        return trees

    def _check(self, path: Path) -> None:
        integers = ("feature", "left", "right", "roots", "depths")
        types: dict[str, type] = dict.fromkeys(integers, np.int32)
        types |= dict.fromkeys(("threshold", "value"), np.float64)
        for name, wanted in types.items():
            array = getattr(self, name)
            if array.ndim != 1 or array.dtype != wanted:
                raise ModelProblem(
                    path,
                    found=f"{name} of {array.ndim} dimensions and type {array.dtype}",
                    expected=f"one of type {np.dtype(wanted)}",
                )
        count = len(self.feature)
        node = np.arange(count)
        last = np.append(self.roots[1:], count).astype("i8")
        sizes = last - self.roots
        problem = ""
        if not (
            all(
                len(array) == count for array in (self.threshold, self.left, self.right, self.value)
            )
            and len(self.depths) == len(self.roots) > 0
            and self.roots[0] == 0
            and (sizes > 0).all()
        ):
            problem = "arrays of different lengths"
        elif not ((self.feature >= 0) & (self.feature < self.features)).all():
            problem = "a feature that does not exist"
        else:
            end = np.repeat(last, sizes)
            for side in (self.left, self.right):
                is_leaf = (self.left == node) & (self.right == node)
                # children come after their parent, so that no path is longer than the tree
                if not (is_leaf | ((side > node) & (side < end))).all():
                    problem = "a branch that leads out of its tree"
            if (self.depths < 0).any() or (self.depths > sizes).any():
                problem = "an impossible depth"
        numbers = (self.value, np.array([self.offset, self.scale]))
        if not problem and (
            np.isnan(self.threshold).any() or not all(np.isfinite(one).all() for one in numbers)
        ):
            problem = "values that are not finite"
        if problem:
            raise ModelProblem(path, found=problem, expected="an intact model file")


def from_forest(estimators: Sequence[Any], features: int) -> Trees:
    """Take the trees out of a fitted scikit-learn forest; their mean is the prediction."""
    parts = [estimator.tree_ for estimator in estimators]
    roots = np.cumsum([0, *(part.node_count for part in parts[:-1])])
    columns: dict[str, list[npt.NDArray[Any]]] = {
        name: [] for name in ("feature", "threshold", "left", "right", "value")
    }
    for root, part in zip(roots, parts, strict=True):
        own = np.arange(part.node_count)
        is_leaf = part.children_left < 0
        columns["feature"].append(np.where(is_leaf, 0, part.feature))
        columns["threshold"].append(np.where(is_leaf, np.inf, part.threshold))
        columns["left"].append(np.where(is_leaf, own, part.children_left) + root)
        columns["right"].append(np.where(is_leaf, own, part.children_right) + root)
        columns["value"].append(part.value[:, 0, 0])
    depths = [part.max_depth for part in parts]
    return _assemble(columns, roots, depths, offset=0.0, scale=1 / len(parts), features=features)


def from_boostings(boostings: Sequence[Any], features: int) -> Trees:
    """Take the trees out of fitted scikit-learn histogram boostings; the mean of their sums predicts."""
    parts = [predictor.nodes for one in boostings for (predictor,) in one._predictors]
    roots = np.cumsum([0, *(len(part) for part in parts[:-1])])
    columns: dict[str, list[npt.NDArray[Any]]] = {
        name: [] for name in ("feature", "threshold", "left", "right", "value")
    }
    for root, part in zip(roots, parts, strict=True):
        own = np.arange(len(part))
        is_leaf = part["is_leaf"].astype(bool)
        columns["feature"].append(np.where(is_leaf, 0, part["feature_idx"]))
        columns["threshold"].append(np.where(is_leaf, np.inf, part["num_threshold"]))
        columns["left"].append(np.where(is_leaf, own, part["left"]) + root)
        columns["right"].append(np.where(is_leaf, own, part["right"]) + root)
        columns["value"].append(part["value"])
    depths = [int(part["depth"].max()) for part in parts]
    baseline = float(np.mean([one._baseline_prediction.item() for one in boostings]))
    scale = 1 / len(boostings)
    return _assemble(columns, roots, depths, offset=baseline, scale=scale, features=features)


def gains(boostings: Sequence[Any], features: int) -> Column:
    """Sum, feature by feature, the loss that the splits of boostings took away; adds up to one."""
    total = np.zeros(features)
    for (predictor,) in (one for boosting in boostings for one in boosting._predictors):
        nodes = predictor.nodes[predictor.nodes["is_leaf"] == 0]
        np.add.at(total, nodes["feature_idx"], np.maximum(nodes["gain"], 0.0))
    return np.asarray(total / max(total.sum(), np.finfo(float).tiny))


def _assemble(
    columns: dict[str, list[npt.NDArray[Any]]],
    roots: npt.NDArray[np.int64],
    depths: Sequence[int],
    *,
    offset: float,
    scale: float,
    features: int,
) -> Trees:
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return Trees(
        feature=joined["feature"].astype(np.int32),
        threshold=joined["threshold"].astype(np.float64),
        left=joined["left"].astype(np.int32),
        right=joined["right"].astype(np.int32),
        value=joined["value"].astype(np.float64),
        roots=roots.astype(np.int32),
        depths=np.asarray(depths, dtype=np.int32),
        offset=offset,
        scale=scale,
        features=features,
    )


class TreeModel(Shown, ABC):
    """Share what every model made of trees does alike: one set of trees per output, and files for them."""

    name: ClassVar[str]
    kind: ClassVar[Kind] = "rows"
    #: Numbers that make trees.
    ranges: ClassVar[Mapping[str, Range]]
    leaf: int
    workers: int
    trees_: list[Trees]
    importances_: npt.NDArray[np.float64]

    @abstractmethod
    def _grow(
        self, table: npt.NDArray[np.float32], y: Column, weight: Column | None
    ) -> tuple[Trees, Column]:
        """Give trees for one output, and the share of each feature in what they explain."""

    def fit(
        self, X: Table, y: Table, *, weight: Table | None = None, groups: Groups | None = None
    ) -> Self:
        """Grow the trees; `groups` play no part.

        Raises
        ------
        ModelProblem
            Parameters out of their range, values that are not finite, or fewer rows than two leaves hold.
        """
        check_ranges(self, self.ranges)
        table, target, weight = check_training(X, y, weight, least=2 * self.leaf)
        self.outputs_ = None if target.ndim == 1 else int(target.shape[1])
        grown = [
            self._grow(table, np.ascontiguousarray(column), weight)
            for column in target.reshape(len(table), -1).T
        ]
        self.trees_ = [trees for trees, _ in grown]
        self.importances_ = np.mean([shares for _, shares in grown], axis=0)
        return self

    def predict(self, X: Table) -> Column:
        """Give what the trees together say of each row."""
        self._need_fit()
        columns = [trees.predict(X, workers=self.workers) for trees in self.trees_]
        return columns[0] if self.outputs_ is None else np.stack(columns, axis=-1)

    def _need_fit(self) -> None:
        if not hasattr(self, "trees_"):
            raise ModelProblem(self.name, found="no fit", remedy="Call fit first.")

    def _write(self, folder: Path, parameters: Sequence[str], **learned: Any) -> None:
        """Write ``model.json`` with parameters, importances and what else was learned, and the trees."""
        self._need_fit()
        description = {
            "parameters": {name: getattr(self, name) for name in parameters},
            **learned,
            "outputs": self.outputs_,
            "importances": self.importances_.tolist(),
        }
        write_description(folder, self.name, description)
        for output, trees in enumerate(self.trees_):
            trees.save(folder / _file_of(output))

    def _read(self, folder: Path, description: Mapping[str, Any]) -> Self:
        """Take up what `_write` wrote."""
        outputs = description["outputs"]
        self.outputs_ = None if outputs is None else int(outputs)
        self.importances_ = np.asarray(description["importances"])
        self.trees_ = [
            Trees.load(Path(folder) / _file_of(output)) for output in range(self.outputs_ or 1)
        ]
        return self


def _file_of(output: int) -> str:
    return "trees.safetensors" if output == 0 else f"trees_{output}.safetensors"
