"""A forest from the product's value and predictors to the reading: the second stage of generation-correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from vadose.correct.base import Corrector
from vadose.correct.stations import Floats, Pairs, Points
from vadose.errors import ValueProblem
from vadose.models.trees import Trees, from_forest

_TREES = "trees.safetensors"


class Forest(Corrector):
    """Learn readings from the value of the product and predictors.

    Stations are few and each brings many rows that are alike, so that leaves must be large: a leaf of one
    station knows that station, and a tree that finds it again has learned nothing of others.

    Parameters
    ----------
    predictors
        Variables beside the product's value.
    trees
        Number of trees.
    leaf
        Fewest rows in a leaf.
    features
        Share of the columns tried at each split.
    is_random
        Whether thresholds are drawn at random (Geurts et al. 2006), which is smoother at places never
        seen than the best ones (Breiman 2001).
    seed
        Same seed, same forest.
    workers
        Threads.

    References
    ----------
    Breiman (2001), Mach. Learn. 45:5. Geurts et al. (2006), Mach. Learn. 63:3.
    """

    name: ClassVar[str] = "forest"

    def __init__(
        self,
        predictors: Sequence[str] = (),
        *,
        trees: int = 300,
        leaf: int = 50,
        features: float = 1 / 3,
        is_random: bool = True,
        seed: int = 0,
        workers: int = 1,
        target: str = "soil_moisture",
    ) -> None:
        self.predictors, self.target = tuple(predictors), target
        self.trees, self.leaf, self.features = trees, leaf, features
        self.is_random, self.seed, self.workers = is_random, seed, workers

    def _learn(self, pairs: Pairs) -> None:
        from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

        if self.trees < 1 or self.leaf < 1 or not 0 < self.features <= 1:
            raise ValueProblem(
                "forest correction",
                found=f"trees {self.trees}, leaf {self.leaf}, features {self.features:g}",
                expected="1 or more trees, 1 or more rows in a leaf, a share of features up to 1",
            )
        if len(pairs) < 2 * self.leaf:
            raise ValueProblem(
                "pairs to grow a forest from",
                found=f"{len(pairs)}",
                expected=f"{2 * self.leaf} or more, two leaves",
                remedy="Take the additive or the linear correction.",
            )
        grown = (ExtraTreesRegressor if self.is_random else RandomForestRegressor)(
            n_estimators=self.trees,
            min_samples_leaf=self.leaf,
            max_features=self.features,
            random_state=self.seed,
            n_jobs=self.workers,
        ).fit(self._table(pairs), pairs.observed)
        self.trees_ = from_forest(grown.estimators_, 1 + len(self.predictors))

    def _table(self, points: Points) -> np.ndarray[Any, np.dtype[np.float32]]:
        columns = [points.predicted[:, None], points.table(self.predictors)]
        return np.ascontiguousarray(np.concatenate(columns, axis=1), dtype=np.float32)

    def _correction(self, points: Points, at_place: Floats | None) -> Floats:
        table = self._table(points)
        return np.asarray(self.trees_.predict(table, workers=self.workers) - points.predicted, "f8")

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {}, {}

    def _take(self, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Leave it to `load`: trees are checked when they are read."""

    def save(self, folder: Path) -> None:
        """Write the description and ``trees.safetensors``."""
        super().save(folder)
        self.trees_.save(folder / _TREES)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a saved corrector."""
        corrector = super().load(folder)
        corrector.trees_ = Trees.load(Path(folder) / _TREES)
        return corrector
