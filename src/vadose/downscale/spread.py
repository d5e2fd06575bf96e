"""The spread of a downscaler on the fine grid: a wrapper that adds it to the product, tile by tile.

What is sure and what is not differs from pixel to pixel and day to day: trees agree where the training data
was dense and quiet. `WithSpread` asks the model once for both, the value and the spread, with the reach and
the flags of the downscaler it wraps, so that tiles give the same as the whole map.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.downscale.base import Downscaler, Reach
from vadose.downscale.conserve import Blend, Closed
from vadose.downscale.context import Features
from vadose.downscale.direct import Direct
from vadose.downscale.residual import Residual
from vadose.errors import ModelProblem
from vadose.models.base import Column, Groups, Kind, Model, Table
from vadose.models.spread import has_spread, spread_or_one
from vadose.schema import VARIABLES, variable

Answer = npt.NDArray[np.float64]
#: From features ``(sample, feature)`` and predictions to one answer per sample.
Ask = Callable[[Table, Column], Answer]
#: Attributes of a layer that its companions share.
_SHARED = ("depth_from", "depth_to", "cell_methods")


class WithSpread:
    """Wrap a downscaler so that its product has the variable ``<target>_spread`` beside the target.

    ==========================  ===================================================================
    downscaler                  spread
    ==========================  ===================================================================
    `Direct`, `MultiScale`      of the model's parts
    `Residual`                  of the departures of all steps down: the root of the sum of squares
    `Closed`                    of the wrapped downscaler: closing shifts all parts alike
    `Blend`                     weighted mean of the spreads of parts that have one, as if they erred alike
    a model without parts,      1: intervals are then of constant width in each stratum
    a baseline
    ==========================  ===================================================================

    Parameters
    ----------
    inner
        The downscaler, fitted or not.

    Examples
    --------
    >>> import vadose.synthetic
    >>> from vadose.models import RandomForest
    >>> from vadose.downscale.multiscale import MultiScale
    >>> world = vadose.synthetic.world(size=16, days=8, factor=8, seed=0)
    >>> several = MultiScale(RandomForest(trees=5), ["ndvi"], fine=world.predictors, scales=(4000.0,))
    >>> product = WithSpread(several).fit(world.coarse).predict(world.predictors, world.coarse)
    >>> product["soil_moisture_spread"].dims
    ('time', 'y', 'x')
    """

    def __init__(self, inner: Downscaler) -> None:
        self.inner, self.target = inner, inner.target

    def fit(self, coarse: xr.Dataset) -> Self:
        """Fit the wrapped downscaler."""
        self.inner.fit(coarse)
        return self

    def reach(self, factor: int) -> Reach:
        """Look as far as the wrapped downscaler."""
        return self.inner.reach(factor)

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Give the product with ``<target>_spread``, NaN where there is no value."""
        inner = self.inner
        if isinstance(inner, Closed):
            return self._through(fine, coarse, inner=[inner.inner])
        if isinstance(inner, Blend):
            return self._through(fine, coarse, parts=inner.parts)
        if isinstance(inner, Direct) and has_spread(inner.model):
            return self._direct(inner, fine, coarse)
        if isinstance(inner, Residual) and has_spread(inner.model):
            levels = LevelByLevel.of(inner, partial(_squares, inner.model), np.add)
            product = levels.predict(fine, coarse)
            spread = np.sqrt(np.reshape(levels.answers, product[self.target].shape))
            return add_spread(product, self.target, spread)
        product = inner.predict(fine, coarse)
        if f"{self.target}_spread" in product:  # one that is read from where it was stored
            return product
        return add_spread(product, self.target, np.ones(product[self.target].shape, "f4"))

    def _direct(self, inner: Direct, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        both = copy.copy(inner)
        both.model = cast(Model, _MeanAndSpread(inner.model))  # of the kind that it holds
        # further layers have names of the table; these stand in until the values are taken
        names = [name for name in VARIABLES if name not in inner.targets][: len(inner.targets)]
        both.also = (*inner.also, *names)
        product = both.predict(fine, coarse)
        spread = product[names[0]].values
        return add_spread(product.drop_vars(names), self.target, spread)

    def _through(
        self, fine: xr.Dataset, coarse: xr.Dataset, **wrapped: list[Downscaler]
    ) -> xr.Dataset:
        """Let a wrapper work on products whose spread is kept aside."""
        outer: Any = copy.copy(self.inner)
        (name, parts) = next(iter(wrapped.items()))
        kept = [_Kept(WithSpread(part)) for part in parts]
        setattr(outer, name, kept if name == "parts" else kept[0])
        product = outer.predict(fine, coarse)
        weights = outer.weights if name == "parts" else [1.0]
        known = [
            place for place, one in enumerate(kept) if np.nanmin(one.spread, initial=1.0) < 1.0
        ]
        chosen = known or range(len(kept))  # 1 throughout stands for a part that has none
        spread = blended([kept[one].spread for one in chosen], [weights[one] for one in chosen])
        return add_spread(product, self.target, spread)


def blended(spreads: list[npt.NDArray[Any]], weights: list[float]) -> npt.NDArray[np.float64]:
    """Give the spread of a weighted mean whose parts err alike: the weighted mean of their spreads.

    Parameters
    ----------
    spreads
        One per part, of one shape; NaN spreads.
    weights
        0 or more; scaled to add up to one.

    Examples
    --------
    >>> blended([np.array([0.02]), np.array([0.04])], [1.0, 3.0])
    array([0.035])
    """
    shares = np.asarray(weights, "f8") / np.sum(weights)
    return np.asarray(np.tensordot(shares, np.stack(spreads).astype("f8"), axes=1))


def add_spread(product: xr.Dataset, target: str, spread: npt.NDArray[Any]) -> xr.Dataset:
    """Put ``<target>_spread`` beside a product's target, NaN where that is.

    Parameters
    ----------
    product
        A cube with the target.
    target
        Name of the variable.
    spread
        In the shape of the target, 0 or more.
    """
    values = np.where(np.isnan(product[target].values), np.nan, spread).astype("f4")
    return beside(product, target, {f"{target}_spread": (values, {})})


def beside(
    product: xr.Dataset,
    target: str,
    arrays: Mapping[str, tuple[npt.NDArray[Any], Mapping[str, Any]]],
) -> xr.Dataset:
    """Put variables beside a target, in its shape and layer, and name them in its ``ancillary_variables``.

    Parameters
    ----------
    product
        A cube with the target.
    target
        Name of the variable.
    arrays
        Name → values and further attributes.
    """
    field = product[target].copy(deep=False)
    layer = {key: field.attrs[key] for key in _SHARED if key in field.attrs}
    added = {
        name: (
            field.dims,
            values,
            {
                **variable(name).attributes(),
                **(layer if name.startswith(target) else {}),
                **further,
            },
        )
        for name, (values, further) in arrays.items()
    }
    known = str(field.attrs.get("ancillary_variables", "")).split()
    field.attrs["ancillary_variables"] = " ".join(
        [*known, *(name for name in arrays if name not in known)]
    )
    return product.assign({target: field}).assign(added)


class _MeanAndSpread:
    """Give what a model predicts and, as further outputs, its spread."""

    name: ClassVar[str] = "mean_and_spread"
    kind: Kind

    def __init__(self, model: Model) -> None:
        self.model, self.kind = model, model.kind

    def fit(
        self, X: Table, y: Table, *, weight: Table | None = None, groups: Groups | None = None
    ) -> Self:
        raise ModelProblem(self.name, found="a call of fit", expected="a fitted model")

    def predict(self, X: Table) -> Column:
        mean = self.model.predict(X)
        spread = spread_or_one(self.model, X, mean=mean)
        shape = (*X.shape[:-1], -1)
        return np.concatenate([mean.reshape(shape), spread.reshape(shape)], axis=-1)

    def save(self, folder: Path) -> None:
        self.model.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        raise ModelProblem(folder, found="a spread", expected="a saved model")


class _Kept:
    """Stand for a downscaler whose spread is to be had after it has been asked."""

    def __init__(self, inner: WithSpread) -> None:
        self.inner, self.target = inner, inner.target

    def fit(self, coarse: xr.Dataset) -> Self:
        return self

    def reach(self, factor: int) -> Reach:
        return self.inner.reach(factor)

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        product = self.inner.predict(fine, coarse)
        self.spread = product[f"{self.target}_spread"].values
        return product


class LevelByLevel(Residual):
    """Ask something of the features of each step down, beside predicting as a fitted downscaler does.

    Attributes
    ----------
    ask
        Gives an answer of 0 or more for each row, from the features and what the model says of them.
    join
        Puts the answers of two levels together; a place without an answer one level up counts as 0.
    answers
        One field per time step, ``(y, x)``, NaN where there is no prediction.
    """

    ask: Ask
    join: Callable[[Answer, Answer], Answer]
    answers: list[Answer]
    _levels: list[Answer]

    @classmethod
    def of(cls, inner: Residual, ask: Ask, join: Callable[[Answer, Answer], Answer]) -> Self:
        """Share everything with a fitted downscaler."""
        made = cls.__new__(cls)
        made.__dict__.update(inner.__dict__)
        made.ask, made.join, made.answers = ask, join, []
        return made

    def predict_departures(self, sample: Features) -> npt.NDArray[Any]:
        """Predict, and keep the answer."""
        values = super().predict_departures(sample)
        field = np.full(sample.prior.size, np.nan)
        field[sample.rows] = self.ask(sample.table, values)
        self._levels.append(field.reshape(sample.prior.shape))
        return values

    def _down(
        self, stack: xr.DataArray, target: xr.DataArray
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        self._levels = []
        found = super()._down(stack, target)
        *upper, total = self._levels
        for level in upper:
            times = total.shape[0] // level.shape[0]
            fine = np.nan_to_num(level).repeat(times, axis=0).repeat(times, axis=1)
            total = self.join(total, fine)
        self.answers.append(total)
        return found


def _squares(model: Model, table: Table, values: Column) -> Answer:
    """Give the square of the spread at each row; models of sequences are asked one step at a time."""
    is_row = model.kind == "rows"
    rows, mean = (table, values) if is_row else (table[:, None], values[:, None])
    return np.asarray(spread_or_one(model, rows, mean=mean).ravel() ** 2)
