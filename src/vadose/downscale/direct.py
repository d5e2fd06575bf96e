"""Direct learning: from coarse predictors to the coarse target, applied to fine predictors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, Self

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.cubes.regrid import nearest
from vadose.downscale.base import (
    Progress,
    Reach,
    align,
    as_cube,
    check_features,
    is_predictable,
    origin_of,
    save_downscaler,
    tell,
)
from vadose.errors import CubeProblem, ModelProblem
from vadose.grids import coordinates, grid_of, nesting
from vadose.models.base import Column, Groups, Model, Table, quiet
from vadose.samples import Patches, Rows, Sampler, Samples, Sequences
from vadose.samples.base import Canvas
from vadose.samples.grouping import natural_groups
from vadose.samples.sequences import Gaps
from vadose.schema import check_cube

#: Places of a fine cube that are predicted at once.
PLACES = 1_000_000


class Direct:
    """Learn the coarse target from coarse predictors and apply that to fine predictors, as the papers do.

    What a sample is depends on the model: a cell and day (rows), the record of a cell (sequences) or the
    map of a day (patches).

    Parameters
    ----------
    model
        Any `vadose.models.base.Model`.
    predictors
        Variables of the cubes.
    target
        Variable to downscale.
    also
        Further layers to learn together with it, such as ``root_zone_soil_moisture``. Where one of them
        is unknown, rows of it are not learned from.
    with_position
        Whether longitude and latitude are predictors too (as in Ma et al.).
    gaps
        What to do with gaps in the predictors of sequences: see `vadose.samples.Sequences`.
    tile
        Cells along the side of the maps that a model of patches sees at once when it predicts; whole
        maps unless given.

    Examples
    --------
    >>> import vadose.synthetic
    >>> from vadose.models import RandomForest
    >>> world = vadose.synthetic.world(size=16, days=8, factor=4, seed=0)
    >>> from vadose.cubes.regrid import aggregate
    >>> from vadose.grids import grid_of
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
        also: Sequence[str] = (),
        with_position: bool = True,
        gaps: Gaps = "drop",
        tile: int | None = None,
        progress: Progress = quiet,
    ) -> None:
        self.model, self.predictors, self.target = model, list(predictors), target
        self.also, self.with_position, self.gaps = tuple(also), with_position, gaps
        self.tile, self.progress = tile, progress

    @property
    def targets(self) -> tuple[str, ...]:
        """Name all layers that are learned."""
        return (self.target, *self.also)

    def fit(self, coarse: xr.Dataset) -> Self:
        """Fit the model on every coarse cell and step with target and predictors.

        Raises
        ------
        CubeProblem
            When no cell is complete.
        """
        X, y, groups = self.training_data(coarse)
        tell(self.model, self.progress)
        self.model.fit(X, y, groups=groups)
        self.feature_names_ = self._names()
        return self

    def training_data(self, coarse: xr.Dataset) -> tuple[Table, Column, Groups]:
        """Take what there is to learn from a coarse cube: samples, targets, and blocks to hold back.

        Raises
        ------
        CubeProblem
            When no cell is complete.
        """
        check_cube(coarse, required=[*self.targets, *self.predictors], source="coarse cube")
        is_known = reduce(or_, (coarse[name].notnull() for name in self.targets))
        for name in self.predictors:
            is_known = is_known & coarse[name].notnull()
        if not bool(is_known.any()):
            raise CubeProblem(
                "coarse cube",
                found=f"no cell with {self.target} and all predictors",
                expected="some complete cells to learn from",
                remedy="Check the gaps of each predictor.",
            )
        groups = natural_groups(coarse)
        samples = self.sampler().take(coarse, self.targets, groups=groups)
        assert samples.y is not None  # noqa: S101 - asked for
        assert samples.groups is not None  # noqa: S101 - asked for
        return samples.X, samples.y, samples.groups

    def _names(self) -> tuple[str, ...]:
        return self.sampler().feature_names

    def sampler(self, tile: int | None = None) -> Sampler:
        """Give what takes samples as the model sees them.

        Parameters
        ----------
        tile
            Cells along the side of a map, for a model of patches; whole maps unless given.
        """
        position = {"with_position": self.with_position}
        if self.model.kind == "sequences":
            return Sequences(self.predictors, gaps=self.gaps, **position)
        if self.model.kind == "patches":
            # a cell is taken from the tile in which it is farthest from the rim
            reach = 2 * getattr(self.model, "reach", 0)
            overlap = 0 if tile is None else min(reach, tile - 1)
            return Patches(self.predictors, size=tile, overlap=overlap, **position)
        return Rows(self.predictors, **position)

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Predict wherever all predictors have a value, also where the coarse field has gaps."""
        fine, grid = align(fine, coarse, self.target)
        is_predictable(fine, self.predictors)
        if not hasattr(self, "feature_names_"):
            raise ModelProblem("downscaler", found="no fit", remedy="Call fit first.")
        finer = nesting(grid_of(coarse), grid)["y"]
        if hasattr(self.model, "finer"):  # a kernel looks as far on the ground as in training
            self.model.finer = finer
        sampler = self.sampler(self.tile)
        check_features(self.feature_names_, sampler.feature_names)
        cube = _daily(fine[self.predictors], coarse[self.target])
        fields = self._fields(cube, sampler)
        result = {}
        for name, field in zip(self.targets, fields, strict=True):
            field.attrs = dict(coarse[name].attrs if name in coarse else {})
            values = _in_place(field, coarse[self.target], grid)
            known = nearest(coarse[name if name in coarse else self.target], grid)
            result[name] = as_cube(values, name, origin_of(values, known))
        cube = result[self.target]
        return cube.assign({name: result[name][name] for name in self.also})

    def reach(self, factor: int) -> Reach:
        """Say how far the model looks: the place itself, its record, or the cells around it."""
        if self.model.kind == "sequences":
            return Reach(steps=None)
        if self.model.kind == "patches":
            if hasattr(self.model, "finer"):
                self.model.finer = factor
            around: int | None = getattr(self.model, "reach", None)
            # narrow tiles cut off what a cell would look at, and where they do depends on the map
            is_cut = around is not None and self.tile is not None and self.tile <= 2 * around
            return Reach(fine=None if is_cut else around)
        return Reach()

    def _fields(self, cube: xr.Dataset, sampler: Sampler) -> list[xr.DataArray]:
        total = cube.sizes.get("time", 1)
        places = cube.sizes["y"] * cube.sizes["x"] * total
        canvas, done = Canvas(), 0
        for batch in if_any(sampler.batches(cube, places=PLACES)):
            canvas.add(self.model.predict(batch.X), batch)
            done += int((batch.index >= 0).sum())
            self.progress(done, places)
        if not done:  # a map without any complete cell is all gap: a tile in the sea
            shape = [cube.sizes[dim] for dim in ("time", "y", "x") if dim in cube.sizes]
            empty = xr.DataArray(
                np.full(shape, np.nan),
                dims=[dim for dim in ("time", "y", "x") if dim in cube.sizes],
            )
            return [empty.copy() for _ in self.targets]
        return canvas.fields()

    def save(self, folder: Path) -> None:
        """Write what `load_downscaler` reads: a description and the model's own files."""
        settings: dict[str, Any] = {
            "also": list(self.also),
            "with_position": self.with_position,
            "gaps": self.gaps,
            "tile": self.tile,
        }
        save_downscaler(folder, "direct", self, settings)


def if_any(batches: Iterator[Samples]) -> Iterator[Samples]:
    """Give the batches of a sampler; none, and no error, where nothing is complete."""
    try:
        # all other faults of a cube were found before the first batch was asked for
        first = next(batches)
    except CubeProblem:
        return
    yield first
    yield from batches


def _daily(cube: xr.Dataset, target: xr.DataArray) -> xr.Dataset:
    """Give static predictors the steps of the target: they are the same at each."""
    if "time" not in target.dims or "time" in cube.dims:
        return cube
    name = next(iter(cube.data_vars))
    return cube.assign({name: cube[name].expand_dims(time=target["time"])})


def _in_place(field: xr.DataArray, target: xr.DataArray, grid: GeoBox) -> xr.DataArray:
    coords = dict(coordinates(grid))
    if "time" in field.dims:
        coords["time"] = target["time"]
    return xr.DataArray(field.values, dims=field.dims, coords=coords, attrs=field.attrs)
