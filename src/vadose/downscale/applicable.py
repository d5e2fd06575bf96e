"""The area of applicability on the fine grid: a wrapper that adds it to the product, tile by tile."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.downscale.base import Downscaler, Reach
from vadose.downscale.direct import Direct
from vadose.downscale.residual import Residual
from vadose.downscale.spread import LevelByLevel, beside
from vadose.errors import ModelProblem
from vadose.models.base import Column, Groups, Kind, Model, Table
from vadose.schema import variable
from vadose.uncertainty.applicability import Applicability

INDEX, IS_INSIDE = "dissimilarity_index", "is_applicable"


def learn_area(downscaler: Direct | Residual, coarse: xr.Dataset, **settings: Any) -> Applicability:
    """Learn the area of applicability from what a fitted downscaler has learned from.

    Predictors count as much as the model says they do (``importances_``), else all alike; blocks are those
    that the model's own folds are made of.

    Parameters
    ----------
    downscaler
        Fitted.
    coarse
        What it was fitted on.
    settings
        Of `vadose.uncertainty.applicability.Applicability`.

    Raises
    ------
    ModelProblem
        A model of another kind than rows.
    """
    _need_rows(downscaler)
    X, _, groups = downscaler.training_data(coarse)
    weights = getattr(downscaler.model, "importances_", None)
    return Applicability(weights, **settings).fit(X, groups)


class WithApplicability:
    """Wrap a downscaler so that its product says where its model has learned from the like.

    The product has two more variables: ``dissimilarity_index``, NaN where there are no features and no
    more than 100, and the mask ``is_applicable``, 1 inside of the area and 0 outside and in gaps.

    Parameters
    ----------
    inner
        The downscaler: `learner` itself, or a wrapper around it.
    learner
        Has the model whose features are looked at.
    area
        Learned from the same features, `learn_area`.

    Examples
    --------
    >>> import vadose.synthetic
    >>> from vadose.cubes.assemble import coarse_cube
    >>> from vadose.models import RandomForest
    >>> world = vadose.synthetic.world(size=32, days=8, factor=8, seed=0)
    >>> coarse = coarse_cube(world.coarse[["soil_moisture"]], world.predictors[["ndvi", "sand"]])
    >>> direct = Direct(RandomForest(trees=5), ["ndvi", "sand"], with_position=False).fit(coarse)
    >>> product = WithApplicability(direct, direct, learn_area(direct, coarse)).predict(
    ...     world.predictors, coarse
    ... )
    >>> bool((product["is_applicable"] == 1).any()), bool((product["is_applicable"] == 0).any())
    (True, True)
    """

    def __init__(self, inner: Downscaler, learner: Direct | Residual, area: Applicability) -> None:
        _need_rows(learner)
        self.inner, self.learner, self.area = inner, learner, area
        self.target = inner.target

    def fit(self, coarse: xr.Dataset) -> Self:
        """Fit the wrapped downscaler, and learn the area anew with the same settings."""
        self.inner.fit(coarse)
        old = self.area
        self.area = learn_area(
            self.learner,
            coarse,
            most=old.most,
            approximation=old.approximation,
            folds=old.folds,
            seed=old.seed,
            workers=old.workers,
        )
        return self

    def reach(self, factor: int) -> Reach:
        """Look as far as the wrapped downscaler."""
        return self.inner.reach(factor)

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Give the product with index and mask."""
        product = self.inner.predict(fine, coarse)
        largest = variable(INDEX).valid_range[1]
        index = np.minimum(self._index(fine, coarse), largest).astype("f4")
        is_inside = (index <= self.area.threshold_).astype("u1")
        notes = {"threshold": self.area.threshold_}
        return beside(product, self.target, {INDEX: (index, notes), IS_INSIDE: (is_inside, notes)})

    def _index(self, fine: xr.Dataset, coarse: xr.Dataset) -> npt.NDArray[np.floating]:
        if isinstance(self.learner, Residual):
            levels = LevelByLevel.of(
                self.learner, lambda table, _: self.area.dissimilarity(table), np.maximum
            )
            field = levels.predict(fine, coarse)[self.learner.target]
            return np.reshape(levels.answers, field.shape)
        asking = copy.copy(self.learner)
        asking.also = ()
        asking.model = cast(Model, _Index(self.area))
        return np.asarray(asking.predict(fine, coarse)[self.learner.target].values)


def _need_rows(downscaler: Direct | Residual) -> None:
    if downscaler.model.kind != "rows":
        raise ModelProblem(
            f"model {downscaler.model.name}",
            found=f"samples that are {downscaler.model.kind}",
            expected="rows: a distance is one of places, not of records or maps",
            remedy="Flags still say where a predictor is beyond its range.",
        )


class _Index:
    """Stand in for a model; what it predicts is the dissimilarity index."""

    name: ClassVar[str] = "dissimilarity_index"
    kind: ClassVar[Kind] = "rows"

    def __init__(self, area: Applicability) -> None:
        self.area = area

    def fit(
        self, X: Table, y: Table, *, weight: Table | None = None, groups: Groups | None = None
    ) -> Self:
        raise ModelProblem(self.name, found="a call of fit", expected="an area that was learned")

    def predict(self, X: Table) -> Column:
        return self.area.dissimilarity(X)

    def save(self, folder: Path) -> None:
        self.area.save(folder / "area.safetensors")

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls(Applicability.load(folder / "area.safetensors"))
