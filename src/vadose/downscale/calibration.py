"""Points to calibrate intervals on: places where a prediction meets what was not learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.downscale.direct import Direct
from vadose.downscale.residual import Residual
from vadose.errors import CubeProblem, ModelProblem
from vadose.models.base import Model
from vadose.models.crossvalidation import deal_folds, parameters_of
from vadose.models.spread import spread_or_one
from vadose.samples.blocks import map_blocks, period_blocks
from vadose.schema import FLAGS

#: What an interval is one of.
Scale = Literal["station", "fine", "coarse"]
#: What places of a product are told apart by, where it is to be had: see `described`.
STRATA = ("value", "spread", "season", "is_gap", "elevation", "sand", "land_cover")
#: Coarse cells along the side of a block, and days of a block, unless told otherwise.
BLOCK, DAYS = 2, 30
#: Points that are taken of a truth, at most.
POINTS = 100_000
_COVER = "land_cover_"


@dataclass(frozen=True, eq=False)
class Points:
    """Hold places where a prediction is compared with what was not learned from.

    Attributes
    ----------
    observed, predicted, spread
        Dims ``(point,)``, units of the target, finite.
    block
        Block of neighbours of each point: a station, or some cells and days.
    described
        Name of a quantity → its value at each point, to make strata of.
    scale
        Of what was observed.
    """

    observed: npt.NDArray[np.float64]
    predicted: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]
    block: npt.NDArray[Any]
    described: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    scale: Scale = "station"

    def __len__(self) -> int:
        """Count the points."""
        return len(self.observed)

    def chosen(self, places: npt.NDArray[Any]) -> Points:
        """Give some of the points, by a mask or by their positions."""
        columns = (self.observed, self.predicted, self.spread, self.block)
        described = {name: values[places] for name, values in self.described.items()}
        observed, predicted, spread, block = (column[places] for column in columns)
        return Points(observed, predicted, spread, block, described, self.scale)

    def known(self) -> Points:
        """Leave out the points without an observation or a prediction."""
        return self.chosen(np.isfinite(self.observed) & np.isfinite(self.predicted))


def points_of_truth(
    product: xr.Dataset,
    truth: xr.DataArray,
    *,
    target: str = "soil_moisture",
    fine: xr.Dataset | None = None,
    strata: Sequence[str] = STRATA,
    factor: int = 1,
    block: int = BLOCK,
    days: int = DAYS,
    count: int = POINTS,
    rng: np.random.Generator | int = 0,
) -> Points:
    """Take points of a truth that was withheld, in blocks of space and time.

    Parameters
    ----------
    product
        With the target and its spread, dims ``[time,] y, x``, in memory.
    truth
        Of the same dims and grid; NaN where it is not known, or not to be used.
    target
        Variable.
    fine, strata
        What strata are told apart by: names of `STRATA` that are to be had, see `described`.
    factor
        Fine cells along the side of a coarse one: a block is a square of `block` coarse cells.
    block, days
        Size of a block; two blocks are held to err independently.
    count
        Points at most, drawn at random.
    rng
        Of the draw.

    Raises
    ------
    CubeProblem
        A product without spread, or a truth of another shape.
    """
    need_spread(product, target)
    values = product[target]
    if truth.dims != values.dims or truth.shape != values.shape:
        raise CubeProblem(
            "truth", found=f"{dict(truth.sizes)}", expected=f"{dict(values.sizes)}, as the product"
        )
    places = np.flatnonzero(np.isfinite(truth.values) & np.isfinite(values.values))
    if len(places) > count:
        places = np.sort(np.random.default_rng(rng).choice(places, count, replace=False))
    squares = map_blocks((values.sizes["y"], values.sizes["x"]), factor * block)
    blocks = np.broadcast_to(squares, values.shape)
    if "time" in values.dims:
        periods = period_blocks(values["time"].values, days)
        blocks = periods[:, None, None] * (int(squares.max()) + 1) + squares
    return Points(
        truth.values.ravel()[places].astype("f8"),
        values.values.ravel()[places].astype("f8"),
        product[f"{target}_spread"].values.ravel()[places].astype("f8"),
        blocks.ravel()[places],
        {
            name: array.ravel()[places]
            for name, array in described(product, fine, target, strata, is_strict=False).items()
        },
        "fine",
    )


def points_out_of_fold(
    downscaler: Direct | Residual, coarse: xr.Dataset, *, folds: int = 5, seed: int = 0
) -> Points:
    """Predict the coarse cells by models that have not learned from their blocks.

    The intervals that follow are those of coarse values: they know nothing of how the relation changes
    from coarse to fine, and are labelled so.

    Parameters
    ----------
    downscaler
        Fitted or not; its model is copied, not changed. Of rows; of sequences and patches the spread of
        a fold would take its neighbours in.
    coarse
        What it learns from.
    folds, seed
        Folds that the blocks are dealt to.

    Raises
    ------
    ModelProblem
        A model of another kind than rows, or fewer blocks than folds.
    """
    if downscaler.model.kind != "rows":
        raise ModelProblem(
            f"model {downscaler.model.name}",
            found=f"samples that are {downscaler.model.kind}",
            expected="rows, to calibrate on coarse cells",
            remedy="Calibrate on stations or a withheld truth.",
        )
    X, y, groups = downscaler.training_data(coarse)
    first = np.asarray(y).reshape(len(y), -1)[:, 0]
    predicted, spread = np.empty(len(y)), np.empty(len(y))
    fold_of = deal_folds(groups, folds, seed=seed)
    for fold in range(folds):
        is_held = fold_of == fold
        model = cast(Model, cast(Any, type(downscaler.model))(**parameters_of(downscaler.model)))
        model.fit(X[~is_held], y[~is_held], groups=groups[~is_held])
        mean = model.predict(X[is_held])
        size = spread_or_one(model, X[is_held], mean=mean)
        predicted[is_held] = mean.reshape(len(mean), -1)[:, 0]
        spread[is_held] = size.reshape(len(mean), -1)[:, 0]
    about = {"spread": spread}
    if not isinstance(downscaler, Residual):  # which predicts departures, not values
        about["value"] = predicted
    return Points(first.astype("f8"), predicted, spread, groups, about, "coarse")


def described(
    product: xr.Dataset,
    fine: xr.Dataset | None,
    target: str,
    names: Sequence[str],
    *,
    is_strict: bool = True,
) -> dict[str, npt.NDArray[Any]]:
    """Say of every place of a product what strata are told apart by, in the shape of the target.

    ``value`` and ``spread`` are the product's, ``season`` is 0 to 3 from December on, ``is_gap`` says that
    there was no coarse value, ``land_cover`` is the class or that of the largest share; all other names
    are variables of the product or of `fine`.

    Parameters
    ----------
    product, fine, target
        As for `Intervals.add`.
    names
        What to say.
    is_strict
        Whether what is not to be had is an error; else it is left out.

    Raises
    ------
    CubeProblem
    """
    field = product[target]
    found: dict[str, npt.NDArray[Any]] = {}
    for name in names:
        array = _one(name, product, fine, target)
        if array is not None:
            found[name] = np.broadcast_to(array, field.shape)
        elif is_strict:
            raise CubeProblem(
                "strata of intervals",
                found=f"no {name} in the product or the fine cube",
                expected=f"{', '.join(names)}",
                remedy="Give the fine cube with it; the intervals were calibrated so.",
            )
    return found


def _one(
    name: str, product: xr.Dataset, fine: xr.Dataset | None, target: str
) -> npt.NDArray[Any] | None:
    if name == "value":
        return np.asarray(product[target].values)
    if name == "spread":
        return np.asarray(product[f"{target}_spread"].values)
    if name == "season":
        if "time" not in product[target].dims:
            return None
        months = product["time"].values.astype("datetime64[M]").astype(np.int64) % 12 + 1
        return np.asarray((months % 12 // 3)[:, None, None])
    if name == "is_gap":
        if "flags" not in product:
            return None
        return np.asarray(product["flags"].values & FLAGS.mask("coarse_gap") != 0)
    for cube in (product, fine):
        if cube is not None and name in cube:
            return np.asarray(cube[name].values)
    if name == "land_cover" and fine is not None:
        shares = [key for key in fine.data_vars if str(key).startswith(_COVER)]
        if shares:
            layers = [np.nan_to_num(fine[key].values) for key in shares]
            return np.asarray(np.stack(layers).argmax(axis=0))
    return None


def need_spread(product: xr.Dataset, target: str) -> None:
    """Insist on the spread of the target.

    Raises
    ------
    CubeProblem
    """
    if f"{target}_spread" not in product:
        raise CubeProblem(
            "product",
            found=f"variables {sorted(map(str, product.data_vars))}",
            expected=f"also {target}_spread",
            remedy="Wrap the downscaler: vadose.downscale.spread.WithSpread.",
        )
