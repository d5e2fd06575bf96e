"""Downscalers that learn: directly, or departures one scale up to be applied one scale down."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.cubes.regrid import area_mean, nearest
from vadose.downscale.base import align, as_cube, is_predictable, origin_of
from vadose.downscale.conserve import close
from vadose.downscale.context import Features, derive, features
from vadose.errors import CubeProblem, GridProblem, ModelProblem
from vadose.grids import cell_area, coarsened, coordinates, grid_of, lonlat, snapped
from vadose.models import load_model
from vadose.models.base import Model, read_description, read_name, write_description
from vadose.schema import VARIABLES, check_cube

#: Share of each coarse cell that is land; taken into account where the coarse cube has it.
LAND = "land_fraction"
#: Told after each finished step: steps done, steps in all.
Progress = Callable[[int, int], None]
Array = npt.NDArray[Any]


def _quiet(done: int, total: int) -> None:
    """Tell nobody."""


class Direct:
    """Learn the coarse target from coarse predictors and apply that to fine predictors, as the papers do.

    Parameters
    ----------
    model
        Any `vadose.models.base.Model`.
    predictors
        Variables of the cubes.
    target
        Variable to downscale.
    with_position
        Whether longitude and latitude are predictors too (as in Ma et al.).

    Examples
    --------
    >>> import vadose.synthetic
    >>> from vadose.models import RandomForest
    >>> world = vadose.synthetic.world(size=16, days=8, factor=4, seed=0)
    >>> from vadose.cubes.regrid import aggregate
    >>> static = aggregate(world.predictors[["elevation", "sand"]], grid_of(world.coarse))
    >>> coarse = world.coarse[["soil_moisture"]].assign(static.data_vars)
    >>> direct = Direct(RandomForest(trees=5), ["elevation", "sand"]).fit(coarse)
    >>> direct.predict(world.predictors, coarse)["soil_moisture"].shape
    (8, 16, 16)
    """

    def __init__(
        self,
        model: Model,
        predictors: Sequence[str],
        *,
        target: str = "soil_moisture",
        with_position: bool = True,
        progress: Progress = _quiet,
    ) -> None:
        self.model, self.predictors, self.target = model, list(predictors), target
        self.with_position, self.progress = with_position, progress

    def fit(self, coarse: xr.Dataset) -> Self:
        """Fit the model on every coarse cell and step with target and predictors.

        Raises
        ------
        CubeProblem
            When no cell is complete.
        """
        check_cube(coarse, required=[self.target, *self.predictors], source="coarse cube")
        tables, columns = [], []
        for step in _steps(coarse, coarse.sizes.get("time", 1)):
            table, rows = self._table(step)
            values = step[self.target].values.ravel()[rows]
            is_known = np.isfinite(values)
            tables.append(table[is_known])
            columns.append(values[is_known])
        self.model.fit(_joined(tables, self.target), np.concatenate(columns).astype("f8"))
        self.feature_names_ = self._names()
        return self

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Predict wherever all predictors have a value, also where the coarse field has gaps."""
        fine, grid = align(fine, coarse, self.target)
        is_predictable(fine, self.predictors)
        total = coarse[self.target].sizes.get("time", 1)
        if not hasattr(self, "feature_names_"):
            raise ModelProblem("downscaler", found="no fit", remedy="Call fit first.")
        _check_features(self.feature_names_, self._names())
        fields = []
        for count, step in enumerate(_steps(fine[self.predictors], total)):
            table, rows = self._table(step)
            fields.append(_painted(self.model.predict(table), rows, tuple(grid.shape)))
            self.progress(count + 1, total)
        values = _stacked(fields, coarse[self.target], grid)
        return as_cube(values, self.target, origin_of(values, nearest(coarse[self.target], grid)))

    def save(self, folder: Path) -> None:
        """Write what `load_downscaler` reads: a description and the model's own files."""
        settings = {"with_position": self.with_position}
        _save(folder, "direct", self, settings)

    def _names(self) -> tuple[str, ...]:
        position = ("longitude", "latitude") if self.with_position else ()
        return (*self.predictors, *position)

    def _table(self, step: xr.Dataset) -> tuple[Array, Array]:
        columns = [step[name].values.ravel() for name in self.predictors]
        if self.with_position:
            columns += [one.ravel() for one in lonlat(grid_of(step))]
        table = np.stack(columns, axis=1).astype(np.float32)
        rows = np.flatnonzero(np.isfinite(table).all(axis=1))
        return table[rows], rows


class Residual:
    """Learn departures within cells one scale up, and apply them one scale down.

    The coarse field is aggregated once more, by `ratio`; how the coarse cells depart from the smooth field
    through those larger means is learned from features that mean the same at both scales
    (`vadose.downscale.context`), and applied to the coarse field itself. The larger cells may lie on the
    grid in ``ratio²`` ways; each gives other samples of the same relation.

    A small ratio is nearer to the target scale. With `in_steps` it is applied as often as it takes
    (1° → 0.5° → 0.25° for a ratio of 2), each step closed before the next, as Ojha et al. (2019) found an
    intermediate scale to help; otherwise once, over the whole factor.

    Parameters
    ----------
    model
        Any `vadose.models.base.Model`.
    predictors
        Variables of the cubes.
    factor
        Fine cells along the side of a coarse cell.
    target
        Variable to downscale.
    ratio
        Coarse cells along the side of a larger cell, for learning; `factor` unless given.
    in_steps
        Go down by `ratio` at a time; `factor` must be a power of it.
    """

    def __init__(
        self,
        model: Model,
        predictors: Sequence[str],
        *,
        factor: int,
        target: str = "soil_moisture",
        ratio: int | None = None,
        in_steps: bool = False,
        progress: Progress = _quiet,
    ) -> None:
        self.model, self.predictors, self.factor = model, list(predictors), factor
        self.target, self.ratio, self.in_steps = target, ratio or factor, in_steps
        self.progress = progress

    def fit(self, coarse: xr.Dataset) -> Self:
        """Fit the model on the departures of coarse cells within larger cells.

        Raises
        ------
        CubeProblem
            When the grid is too small to be aggregated once more, or no cell is complete.
        GridProblem
            When the factor is no power of the ratio but is to be gone in steps.
        """
        check_cube(coarse, required=[self.target, *self.predictors], source="coarse cube")
        self._steps_down()
        offsets = [(row, column) for row in range(self.ratio) for column in range(self.ratio)]
        tables, columns = [], []
        for count, (row, column) in enumerate(offsets):
            part = _whole_blocks(coarse, self.ratio, row, column)
            for step in _steps(part, part.sizes.get("time", 1)):
                sample, values = self._sample(step)
                tables.append(sample.table)
                columns.append(values)
                self.feature_names_ = sample.names
            self.progress(count + 1, len(offsets) + 1)
        self.model.fit(_joined(tables, self.target), np.concatenate(columns))
        self.progress(len(offsets) + 1, len(offsets) + 1)
        return self

    def _steps_down(self) -> list[int]:
        """List the factors to go down by, one after the other."""
        if not self.in_steps:
            return [self.factor]
        steps = round(math.log(self.factor, self.ratio))
        if self.ratio**steps != self.factor:
            raise GridProblem(
                "downscaler",
                found=f"a factor of {self.factor} to be gone in steps of {self.ratio}",
                expected=f"a power of {self.ratio}",
                remedy="Choose another ratio, or go down at once.",
            )
        return [self.ratio] * steps

    def _sample(self, step: xr.Dataset) -> tuple[Features, Array]:
        known = step[self.target].astype("f8")
        area = cell_area(grid_of(step))
        if LAND in step:  # a coastal cell speaks for its land only
            area = area * step[LAND].fillna(0.0)
        larger = coarsened(grid_of(step), self.ratio)
        upper = area_mean(known, larger, min_valid=0.5, weight=area)
        stack = derive(step, self.predictors).where(known.notnull())
        sample = features(stack, upper.rename(self.target), area)
        values = (known.values - sample.prior).ravel()[sample.rows]
        is_known = np.isfinite(values)
        chosen = Features(sample.table[is_known], sample.names, sample.rows[is_known], sample.prior)
        return chosen, values[is_known]

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Add the predicted departures to the smooth field through the coarse values.

        There is a value where the coarse cell has one; a gap has to be filled before, by fusion.
        """
        fine, grid = align(fine, coarse, self.target)
        is_predictable(fine, self.predictors)
        if not hasattr(self, "feature_names_"):
            raise ModelProblem("downscaler", found="no fit", remedy="Call fit first.")
        total = coarse[self.target].sizes.get("time", 1)
        fields = []
        pairs = zip(
            _steps(fine[self.predictors], total), _steps(coarse[[self.target]], total), strict=True
        )
        for count, (step, known) in enumerate(pairs):
            target = known[self.target].astype("f8")
            stack = derive(step, self.predictors)
            is_known = stack.notnull().all("predictor") & nearest(target, grid).notnull()
            fields.append(self._one_moment(stack.where(is_known), target))
            self.progress(count + 1, total)
        values = _stacked(fields, coarse[self.target], grid)
        return as_cube(values, self.target, origin_of(values, nearest(coarse[self.target], grid)))

    def _one_moment(self, stack: xr.DataArray, target: xr.DataArray) -> Array:
        left = self.factor
        fine_area = cell_area(grid_of(stack)).where(stack.isel(predictor=0).notnull(), 0.0)
        for factor in self._steps_down():
            left //= factor
            level, area = stack, fine_area
            if left > 1:
                grid = coarsened(grid_of(stack), left)
                level = area_mean(stack, grid, min_valid=0.0)
                area = fine_area.drop_vars(["y", "x"]).coarsen(y=left, x=left).sum()
                area = area.assign_coords(coordinates(grid))
            sample = features(level, target.rename(self.target), area)
            _check_features(self.feature_names_, sample.names)
            shape = tuple(grid_of(level).shape)
            departure = _painted(self.model.predict(sample.table), sample.rows, shape)
            field = level.isel(predictor=0, drop=True).copy(data=sample.prior + departure)
            if left > 1:
                bounds = VARIABLES[self.target].valid_range
                target = close(field, target, bounds=bounds, weight=area)
        return np.asarray(field.values)

    def save(self, folder: Path) -> None:
        """Write what `load_downscaler` reads: a description and the model's own files."""
        settings = {"factor": self.factor, "ratio": self.ratio, "in_steps": self.in_steps}
        _save(folder, "residual", self, settings)


def _check_features(learned: Sequence[str], found: Sequence[str]) -> None:
    """Insist on the features of the fit in their order: a model knows columns by their place alone."""
    if tuple(learned) != tuple(found):
        raise ModelProblem(
            "downscaler",
            found=f"features {', '.join(found)}",
            expected=f"those of the fit in their order, {', '.join(learned)}",
            remedy="Fit it again with this version of vadose.",
        )


def _save(folder: Path, kind: str, downscaler: Direct | Residual, settings: dict[str, Any]) -> None:
    if not hasattr(downscaler, "feature_names_"):
        raise ModelProblem("downscaler", found="no fit", remedy="Call fit first.")
    description = {
        "predictors": downscaler.predictors,
        "target": downscaler.target,
        "features": list(downscaler.feature_names_),
        "settings": settings,
    }
    write_description(folder, kind, description, file="downscaler.json")
    (folder / "model").mkdir()
    downscaler.model.save(folder / "model")


def load_downscaler(folder: Path) -> Direct | Residual:
    """Read a fitted downscaler; its predictions are the same to the bit.

    Parameters
    ----------
    folder
        What `Direct.save` or `Residual.save` wrote.

    Raises
    ------
    ModelProblem
        Missing, foreign or damaged files, another format version, features that do not agree.
    """
    kinds: dict[str, type[Direct] | type[Residual]] = {"direct": Direct, "residual": Residual}
    kind = read_name(folder, file="downscaler.json")
    if kind not in kinds:
        raise ModelProblem(folder, found=f"kind {kind!r}", expected=" or ".join(kinds))
    description = read_description(folder, kind, file="downscaler.json")
    try:
        names, predictors = tuple(description["features"]), description["predictors"]
        downscaler = kinds[kind](
            load_model(folder / "model"),
            predictors,
            target=description["target"],
            **description["settings"],
        )
    except (KeyError, TypeError) as error:
        raise ModelProblem(
            folder / "downscaler.json",
            found=f"an incomplete description ({error})",
            expected="intact",
        ) from error
    count = len(getattr(downscaler.model, "importances_", names))
    if count != len(names):
        raise ModelProblem(
            folder, found=f"{len(names)} feature names", expected=f"{count}, as the model has"
        )
    downscaler.feature_names_ = names
    return downscaler


def _steps(cube: xr.Dataset, count: int) -> Iterator[xr.Dataset]:
    """Give `count` time steps one by one, loaded; a static cube is the same at each."""
    for place in range(count):
        step = cube.isel(time=place, drop=True) if "time" in cube.dims else cube
        yield snapped(step).load()


def _joined(tables: list[Array], target: str) -> Array:
    table = np.concatenate(tables)
    if not len(table):
        raise CubeProblem(
            "coarse cube",
            found=f"no cell with {target} and all predictors",
            expected="some complete cells to learn from",
            remedy="Check the gaps of each predictor.",
        )
    return table


def _whole_blocks(cube: xr.Dataset, factor: int, row: int, column: int) -> xr.Dataset:
    rows = (cube.sizes["y"] - row) // factor * factor
    columns = (cube.sizes["x"] - column) // factor * factor
    if min(rows, columns) < 2 * factor:
        raise CubeProblem(
            "coarse cube",
            found=f"{cube.sizes['y']} x {cube.sizes['x']} cells",
            expected=f"{3 * factor} x {3 * factor} or more to aggregate once more by {factor}",
            remedy="Use the direct method or a larger region.",
        )
    return cube.isel(y=slice(row, row + rows), x=slice(column, column + columns))


def _painted(values: Array, rows: Array, shape: Sequence[int]) -> Array:
    height, width = shape
    field = np.full(height * width, np.nan)
    field[rows] = values
    return field.reshape(height, width)


def _stacked(fields: list[Array], target: xr.DataArray, grid: GeoBox) -> xr.DataArray:
    coords = dict(coordinates(grid))
    if "time" in target.dims:
        coords["time"] = target["time"]
        return xr.DataArray(
            np.stack(fields), dims=("time", "y", "x"), coords=coords, attrs=target.attrs
        )
    return xr.DataArray(fields[0], dims=("y", "x"), coords=coords, attrs=target.attrs)
