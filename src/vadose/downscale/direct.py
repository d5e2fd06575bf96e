"""Direct learning: from coarse predictors to the coarse target, applied to fine predictors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from math import ceil
from operator import or_
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import xarray as xr

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
from vadose.downscale.provenance import (
    Bits,
    coarse_gaps,
    feature_ranges,
    flags_of_predictors,
    settled,
)
from vadose.errors import CubeProblem, ModelProblem
from vadose.grids import coordinates, grid_of, lonlat, placed
from vadose.models.base import Column, Groups, Model, Table, quiet
from vadose.samples import Patches, Rows, Sampler, Samples, Sequences
from vadose.samples.grouping import natural_groups
from vadose.samples.sampler import spans
from vadose.samples.sequences import Gaps
from vadose.samples.source import READ_AT_ONCE
from vadose.schema import check_cube

#: Places of a fine cube that are predicted at once.
PLACES = 1_000_000
Field = npt.NDArray[np.float32]


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
        self.feature_names_, self.feature_ranges_ = self._names(), feature_ranges(X)
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
        factors, cover = placed(grid_of(coarse), grid)
        if hasattr(self.model, "finer"):  # a kernel looks as far on the ground as in training
            self.model.finer = factors["y"]
        sampler = self.sampler(self.tile)
        check_features(self.feature_names_, sampler.feature_names)
        stack = fine[self.predictors]
        static = {name: stack[name] for name in self.predictors if "time" not in stack[name].dims}
        # they are read once, however many parts a lazy cube is cut into
        stack = stack.assign({name: array.compute() for name, array in static.items()})
        cube = _daily(stack, coarse[self.target])
        fields, flags = self._fields(cube, list(static), sampler)
        is_gap = coarse_gaps(coarse, self.target).isel(cover).values
        coords = coordinates(grid)
        if "time" in cube.dims:
            coords["time"] = cube["time"]

        def on_grid(values: npt.NDArray[Any], like: str) -> xr.DataArray:
            attrs = coarse[like].attrs if like in coarse else {}
            return xr.DataArray(values, coords, dims=_dims(cube), attrs=attrs)

        flags, codes = settled(flags, fields[0], is_gap)
        product = as_cube(
            on_grid(fields[0], self.target),
            self.target,
            on_grid(codes, "origin"),
            on_grid(flags, "flags"),
        )
        further = {
            name: as_cube(on_grid(field, name), name, product["origin"], product["flags"])[name]
            for name, field in zip(self.also, fields[1:], strict=True)
        }
        return product.assign(further)

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

    def _fields(
        self, cube: xr.Dataset, static: Sequence[str], sampler: Sampler
    ) -> tuple[Field, Bits]:
        """Give the fields of all outputs, ``(output, [time,] y, x)``, and flags of the predictors."""
        shape = tuple(cube.sizes[dim] for dim in _dims(cube))
        fields = np.empty((len(self.targets), *shape), dtype=np.float32)
        flags = np.empty(shape, dtype=np.uint16)
        done = 0
        for part, inside in self._flagged(cube, static, flags):
            # the last place is that of all that is put nowhere
            flat = np.full((len(fields), flags[inside].size + 1), np.nan, dtype=np.float32)
            for batch in if_any(sampler.batches(part, places=PLACES)):
                _put(self.model.predict(batch.X), batch, flat)
                done += int(np.count_nonzero(batch.index >= 0))
                self.progress(done, flags.size)
            fields[(slice(None), *inside)] = flat[:, :-1].reshape(-1, *flags[inside].shape)
        return fields, flags

    def _flagged(
        self, cube: xr.Dataset, static: Sequence[str], flags: Bits
    ) -> Iterator[tuple[xr.Dataset, tuple[slice, ...]]]:
        """Read a cube part by part, put the flags of its predictors where it lies, and say where that is."""
        for window in self._windows(cube):
            part = cube.isel(window).compute()
            inside = tuple(window.get(dim, slice(None)) for dim in _dims(cube))
            flags[inside] = flags_of_predictors(
                part,
                static,
                flags[inside].shape,
                ranges=self.feature_ranges_,
                position=lonlat(grid_of(part)) if self.with_position else (),
            )
            yield part, inside

    def _windows(self, cube: xr.Dataset) -> Iterator[dict[str, slice]]:
        """Cut a lazy cube into parts that fit in memory and are predicted on their own."""
        if all(array.chunks is None for array in cube.data_vars.values()):
            yield {}
            return
        values = len(self.predictors) * cube.sizes.get("time", 1) * cube.sizes["y"]
        dim = "y" if self.model.kind == "sequences" else "time"
        parts = ceil(values * cube.sizes["x"] / READ_AT_ONCE)
        for window in spans(cube.sizes.get(dim, 1), ceil(cube.sizes.get(dim, 1) / parts)):
            yield {dim: window} if dim in cube.dims else {}

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


def _dims(cube: xr.Dataset) -> tuple[str, ...]:
    return ("time", "y", "x") if "time" in cube.dims else ("y", "x")


def _put(values: npt.ArrayLike, samples: Samples, fields: Field) -> None:
    """Put predicted values in their places: `Canvas` in single precision, with one place for nowhere.

    Raises
    ------
    CubeProblem
        Values of another shape than the places of the samples and the outputs.
    """
    given, places = np.asarray(values), samples.index.shape
    outputs = len(fields)
    if given.shape != (*places, outputs) and (outputs > 1 or given.shape != places):
        raise CubeProblem(
            "values",
            found=f"shape {given.shape}",
            expected=f"{places}, one per place of the samples, for each of {outputs} outputs",
        )
    for place, field in enumerate(fields):
        field[samples.index] = given.reshape(*places, outputs)[..., place]
