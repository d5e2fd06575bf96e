"""Residual learning: departures one scale up, to be applied one scale down."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.cubes.regrid import area_mean, nearest
from vadose.downscale.base import (
    Progress,
    Reach,
    align,
    as_cube,
    check_features,
    is_predictable,
    save_downscaler,
    tell,
)
from vadose.downscale.conserve import close
from vadose.downscale.context import Features, derive, features
from vadose.downscale.provenance import (
    Bits,
    Mask,
    beyond,
    coarse_gaps,
    feature_ranges,
    flags_of_predictors,
    put_flag,
    settled,
)
from vadose.errors import CubeProblem, GridProblem, ModelProblem
from vadose.grids import cell_area, coarsened, coordinates, grid_of, nesting, snapped
from vadose.models.base import Groups, Model, quiet
from vadose.samples.grouping import natural_groups
from vadose.schema import VARIABLES, check_cube

#: Share of each coarse cell that is land; taken into account where the coarse cube has it.
LAND = "land_fraction"
Array = npt.NDArray[Any]


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
        Any `vadose.models.base.Model`. Departures are learned step by step: a model of sequences gets
        sequences of one step, one of patches the map of a step.
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
        progress: Progress = quiet,
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
        self.steps_down()
        X, y, groups = self.training_data(coarse)
        tell(self.model, self.progress)
        self.model.fit(X, y, groups=groups)
        self.feature_ranges_ = feature_ranges(X)
        self.progress(self.ratio**2 + 1, self.ratio**2 + 1)
        return self

    def training_data(self, coarse: xr.Dataset) -> tuple[Array, Array, Groups]:
        """Take what there is to learn from a coarse cube: features, departures, and blocks to hold back.

        Raises
        ------
        CubeProblem
            When no cell is complete.
        """
        samples, columns, groups = [], [], []
        for count, (row, column) in enumerate(self._offsets()):
            part, blocks = _whole_blocks(coarse, self.ratio, row, column)
            for step in _steps(part, part.sizes.get("time", 1)):
                sample, values = self.departures(step)
                samples.append(sample)
                columns.append(values)
                groups.append(blocks.ravel()[sample.rows])
                self.feature_names_ = sample.names
            self.progress(count + 1, self.ratio**2 + 1)
        if not sum(len(column) for column in columns):
            raise CubeProblem(
                "coarse cube",
                found=f"no cell with {self.target} and all predictors",
                expected="some complete cells to learn from",
                remedy="Check the gaps of each predictor.",
            )
        return self._shaped(samples, columns, groups)

    def _offsets(self) -> list[tuple[int, int]]:
        return [(row, column) for row in range(self.ratio) for column in range(self.ratio)]

    def _shaped(
        self, samples: list[Features], columns: list[Array], groups: list[Groups]
    ) -> tuple[Array, Array, Groups]:
        """Give the samples of all offsets and steps the shape of the model's kind."""
        if self.model.kind != "patches":
            table, column = np.concatenate([one.table for one in samples]), np.concatenate(columns)
            group = np.concatenate(groups)
            if self.model.kind == "sequences":
                table, column, group = table[:, None], column[:, None], group[:, None]
            return table, column, group
        largest = tuple(np.max([one.prior.shape for one in samples], axis=0))
        maps = [_map(one.table, one, largest) for one in samples]
        targets = [_map(column, one, largest) for column, one in zip(columns, samples, strict=True)]
        blocks = [
            _map(group, one, largest, outside=-1)
            for group, one in zip(groups, samples, strict=True)
        ]
        return np.stack(maps), np.stack(targets), np.stack(blocks)

    def predict_departures(self, sample: Features) -> Array:
        """Give the model's departure from the smooth field for each row of one step's features."""
        if self.model.kind == "rows":
            return self.model.predict(sample.table)
        if self.model.kind == "sequences":
            return self.model.predict(sample.table[:, None])[:, 0]
        field = self.model.predict(_map(sample.table, sample, sample.prior.shape)[None])
        return np.asarray(field[0].ravel()[sample.rows])

    def steps_down(self) -> list[int]:
        """List the factors to go down by, one after the other: `factor` itself unless `in_steps`.

        Raises
        ------
        GridProblem
            When the factor is no power of the ratio but is to be gone in steps.
        """
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

    def departures(self, step: xr.Dataset) -> tuple[Features, Array]:
        """Take what one moment of a coarse cube has to learn from.

        Parameters
        ----------
        step
            Target and predictors, dims ``y, x``, of which `ratio` cells along a side make a larger one.

        Returns
        -------
        tuple
            Features of the complete cells, and the departure of each from the smooth field through the
            means of the larger cells.
        """
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
        nesting(grid_of(coarse), grid)
        total = coarse[self.target].sizes.get("time", 1)
        stack = fine[self.predictors]
        static = [name for name in self.predictors if "time" not in stack[name].dims]
        moments = []
        coarse_steps = coarse[[self.target]].assign(is_gap=coarse_gaps(coarse, self.target))
        pairs = zip(_steps(stack, total), _steps(coarse_steps, total), strict=True)
        for count, (step, known) in enumerate(pairs):
            moments.append(self._one_moment(step, known, static))
            self.progress(count + 1, total)
        values, flags, codes = (
            _stacked(list(fields), coarse[self.target], grid)
            for fields in zip(*moments, strict=True)
        )
        return as_cube(values, self.target, codes, flags)

    def reach(self, factor: int) -> Reach:
        """Say that it looks at the whole map of a step: slopes are weighed by what the map varies."""
        return Reach(coarse=None, fine=None)

    def _one_moment(
        self, step: xr.Dataset, coarse: xr.Dataset, static: Sequence[str]
    ) -> tuple[Array, Bits, Array]:
        """Give the field of one step with its flags and origins."""
        flags = flags_of_predictors(step, static, tuple(grid_of(step).shape))
        stack = derive(step, self.predictors)
        target, is_gap = coarse[self.target].astype("f8"), coarse["is_gap"].values
        is_known = stack.notnull().all("predictor") & nearest(target, grid_of(step)).notnull()
        field, is_beyond = self._down(stack.where(is_known), target)
        put_flag(flags, "extrapolated", is_beyond)
        return field, *settled(flags, field, is_gap)

    def _down(self, stack: xr.DataArray, target: xr.DataArray) -> tuple[Array, Mask]:
        """Go down step by step; tell where one of them rests on features beyond those learned from."""
        left = self.factor
        fine_area = cell_area(grid_of(stack)).where(stack.isel(predictor=0).notnull(), 0.0)
        is_beyond = np.zeros(target.shape, dtype=bool)
        for factor in self.steps_down():
            left //= factor
            level, area = stack, fine_area
            if left > 1:
                grid = coarsened(grid_of(stack), left)
                level = area_mean(stack, grid, min_valid=0.0)
                area = fine_area.drop_vars(["y", "x"]).coarsen(y=left, x=left).sum()
                area = area.assign_coords(coordinates(grid))
            sample = features(level, target.rename(self.target), area)
            check_features(self.feature_names_, sample.names)
            shape = tuple(grid_of(level).shape)
            departure = _painted(self.predict_departures(sample), sample.rows, shape)
            is_beyond = is_beyond.repeat(factor, axis=0).repeat(factor, axis=1)
            is_beyond.flat[sample.rows] |= beyond(
                sample.table.T, self.feature_ranges_, sample.rows.shape
            )
            field = level.isel(predictor=0, drop=True).copy(data=sample.prior + departure)
            if left > 1:
                bounds = VARIABLES[self.target].valid_range
                target = close(field, target, bounds=bounds, weight=area)
        return np.asarray(field.values), is_beyond

    def save(self, folder: Path) -> None:
        """Write what `load_downscaler` reads: a description and the model's own files."""
        settings = {"factor": self.factor, "ratio": self.ratio, "in_steps": self.in_steps}
        save_downscaler(folder, "residual", self, settings)


def _steps(cube: xr.Dataset, count: int) -> Iterator[xr.Dataset]:
    """Give `count` time steps one by one, loaded; a static cube is the same at each."""
    for place in range(count):
        step = cube.isel(time=place, drop=True) if "time" in cube.dims else cube
        yield snapped(step).load()


def _whole_blocks(
    cube: xr.Dataset, factor: int, row: int, column: int
) -> tuple[xr.Dataset, Groups]:
    """Cut what aggregates by a factor from an offset on; with it, which part of the map each cell is in."""
    rows = (cube.sizes["y"] - row) // factor * factor
    columns = (cube.sizes["x"] - column) // factor * factor
    if min(rows, columns) < 2 * factor:
        raise CubeProblem(
            "coarse cube",
            found=f"{cube.sizes['y']} x {cube.sizes['x']} cells",
            expected=f"{3 * factor} x {3 * factor} or more to aggregate once more by {factor}",
            remedy="Use the direct method or a larger region.",
        )
    window = {"y": slice(row, row + rows), "x": slice(column, column + columns)}
    blocks = natural_groups(cube).values
    return cube.isel(window), blocks[window["y"], window["x"]]


def _map(values: Array, sample: Features, shape: Sequence[int], outside: float = np.nan) -> Array:
    """Lay rows out as a map, dims ``(y, x[, feature])``, in the upper left corner of a shape."""
    height, width = sample.prior.shape
    flat = np.full((height * width, *values.shape[1:]), outside, dtype=values.dtype)
    flat[sample.rows] = values
    field = np.full((*shape, *values.shape[1:]), outside, dtype=values.dtype)
    field[:height, :width] = flat.reshape(height, width, *values.shape[1:])
    return field


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
