"""Samples of a fitted downscaler at every scale: where it learned, where it is used, and in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.cubes.assemble import whole_cells
from vadose.cubes.regrid import aggregate, area_mean, nearest
from vadose.downscale.base import align
from vadose.downscale.conserve import close
from vadose.downscale.context import Features, derive, features
from vadose.downscale.downscaler import Direct, Residual
from vadose.errors import CubeProblem, ModelProblem
from vadose.grids import cell_area, coarsened, coordinates, grid_of, lonlat, nesting, snapped
from vadose.pipeline.folder import RunFolder
from vadose.report.tables import cell_size
from vadose.samples import Patches, Sampler, Samples, Sequences
from vadose.schema import VARIABLES
from vadose.store import open_cube

#: Most time steps that samples are taken from, spread evenly over the record.
MOMENTS = 12
#: Most scales between the coarse and the fine one.
BETWEEN = 2
#: Blocks that the map is cut into, along a meridian and along a parallel; periods where the map is small.
BLOCKS_ACROSS, FEWEST_BLOCKS = (6, 8), 12
#: Steps of a sequence and cells along the side of a patch.
STEPS, CELLS = 60, 8
#: Places that are read at once.
AT_ONCE = 200_000

Array = npt.NDArray[np.floating]
Numbers = npt.NDArray[np.int64]
Role = Literal["learned", "between", "used"]


@dataclass(frozen=True, eq=False)
class Scale:
    """Hold samples of one scale.

    Attributes
    ----------
    name
        Size of its cells, in words.
    role
        ``learned``: the model was fitted there; ``used``: the product is made there; else ``between``.
    X
        Dims ``(sample, ..., feature)``, complete.
    y
        What the model should have said of each place; NaN where nobody knows.
    blocks
        Number of the block of each sample; the same places have the same number at every scale.
    """

    name: str
    role: Role
    X: Array
    y: Array
    blocks: Numbers

    def some(self, count: int, rng: np.random.Generator) -> Self:
        """Give at most so many of the samples, at random and in their order."""
        if len(self.X) <= count:
            return self
        rows = np.sort(rng.choice(len(self.X), count, replace=False))
        return replace(self, X=self.X[rows], y=self.y[rows], blocks=self.blocks[rows])

    @property
    def known(self) -> Self:
        """Give the samples of which the truth is known anywhere."""
        rows = np.isfinite(self.y).reshape(len(self.y), -1).any(axis=1)
        return replace(self, X=self.X[rows], y=self.y[rows], blocks=self.blocks[rows])


@dataclass(frozen=True)
class Blocks:
    """Number places by degrees and step, alike at every scale.

    Attributes
    ----------
    edges
        West, south, east and north of the map, in degrees.
    shape
        Periods, and blocks along latitude and longitude.
    steps
        Time steps of the record.
    """

    edges: tuple[float, float, float, float]
    shape: tuple[int, int, int]
    steps: int

    @classmethod
    def of(cls, coarse: GeoBox, steps: int, *, least: int = 2) -> Self:
        """Cut a map into blocks of so many coarse cells a side or more, and a small one into periods too."""
        longitude, latitude = lonlat(coarse)
        sides = [
            max(1, min(most, size // least))
            for most, size in zip(BLOCKS_ACROSS, coarse.shape, strict=True)
        ]
        periods = max(1, min(steps, -(-FEWEST_BLOCKS // (sides[0] * sides[1]))))
        edges = longitude.min(), latitude.min(), longitude.max(), latitude.max()
        west, south, east, north = (float(edge) for edge in edges)
        return cls((west, south, east, north), (periods, sides[0], sides[1]), steps)

    def number(self, step: Numbers | int, longitude: Array, latitude: Array) -> Numbers:
        """Give the number of the block that each place lies in."""
        west, south, east, north = self.edges
        periods, high, wide = self.shape

        def part(values: Array, low: float, top: float, count: int) -> Numbers:
            share = (values - low) / max(top - low, 1e-9)
            return np.clip((share * count).astype(np.int64), 0, count - 1)

        period = np.asarray(step) * periods // self.steps
        row = part(latitude, south, north, high)
        return np.asarray((period * high + row) * wide + part(longitude, west, east, wide))


class _Basket:
    """Keep so many of the samples that come along, each with the same chance."""

    def __init__(self, count: int, rng: np.random.Generator) -> None:
        self.count, self.rng = count, rng
        self.kept: list[npt.NDArray[Any]] = []

    def add(self, X: Array, y: Array, blocks: Numbers) -> None:
        """Let samples draw a lot each; those with the smallest stay."""
        arrays = [self.rng.random(len(X)), X, y, blocks]
        if self.kept:
            arrays = [np.concatenate(pair) for pair in zip(self.kept, arrays, strict=True)]
        rows = np.sort(np.argsort(arrays[0], kind="stable")[: self.count])
        self.kept = [array[rows] for array in arrays]

    def scale(self, name: str, role: Role) -> Scale:
        """Give what was kept."""
        if not self.kept or len(self.kept[1]) < 2:
            raise CubeProblem(
                f"cells of {name}",
                found="no complete samples",
                expected="some to explain a model by",
            )
        _, X, y, blocks = self.kept
        return Scale(name, role, X, y, blocks)


def take_scales(
    folder: RunFolder,
    downscaler: Direct | Residual,
    *,
    samples: int,
    learned: int,
    rng: np.random.Generator,
) -> list[Scale]:
    """Take samples as the model sees them, from the scale of learning down to the product's.

    Parameters
    ----------
    folder
        A run with its cubes.
    downscaler
        One of its fitted methods.
    samples
        Most places of each scale.
    learned
        Most places of the scale of learning, to learn anew from.
    rng
        Draws the samples.

    Returns
    -------
    list
        The coarse scale first, the fine one last. There is a target at the finer scales only where a
        truth was withheld.

    Raises
    ------
    CubeProblem
        No complete samples at a scale.
    ModelProblem
        Features that the samples do not have.
    """
    coarse, fine = open_cube(folder / "coarse.zarr"), open_cube(folder / "fine.zarr")
    target = downscaler.target
    fine, _ = align(fine[downscaler.predictors], coarse, target)
    if (folder / "truth.zarr").exists():
        fine[target], _ = _same_days(open_cube(folder / "truth.zarr"), coarse, target)
    least = CELLS if downscaler.model.kind == "patches" else 2
    blocks = Blocks.of(grid_of(coarse), coarse[target].sizes.get("time", 1), least=least)
    if isinstance(downscaler, Residual):
        taken = _residual_scales(downscaler, coarse, fine, blocks)
    else:
        taken = _direct_scales(downscaler, coarse, fine, blocks)
    scales: dict[str, tuple[Role, _Basket]] = {}
    for name, role, X, y, numbers in taken:
        places = int(np.prod(X.shape[1:-1]))
        most = max((learned if role == "learned" else samples) // places, 64)
        _, basket = scales.setdefault(name, (role, _Basket(most, rng)))
        basket.add(X, y, numbers)
    return [basket.scale(name, role) for name, (role, basket) in scales.items()]


_Taken = Iterator[tuple[str, Role, Array, Array, Numbers]]


def _same_days(truth: xr.Dataset, coarse: xr.Dataset, target: str) -> tuple[xr.DataArray, GeoBox]:
    aligned, grid = align(truth[[target]], coarse, target)
    return aligned[target], grid


def _moments(cube: xr.Dataset, target: str) -> list[int]:
    total = cube[target].sizes.get("time", 1)
    return [int(step) for step in np.linspace(0, total - 1, min(total, MOMENTS)).round()]


def _at(cube: xr.Dataset, step: int) -> xr.Dataset:
    return snapped(cube.isel(time=step, drop=True) if "time" in cube.dims else cube).load()


def _divisors(factor: int) -> list[int]:
    """Choose scales in between: divisors of the factor, as evenly spaced by ratio as there are.

    Examples
    --------
    >>> _divisors(4), _divisors(36), _divisors(3)
    ([2], [9, 4], [])
    """
    inner = [one for one in range(2, factor) if factor % one == 0]
    wanted = [factor ** (place / (BETWEEN + 1)) for place in range(BETWEEN, 0, -1)]
    nearest_ones = [
        min(inner, key=lambda one: abs(np.log(one / size)), default=0) for size in wanted
    ]
    return sorted({one for one in nearest_ones if one}, reverse=True)


def _direct_scales(direct: Direct, coarse: xr.Dataset, fine: xr.Dataset, blocks: Blocks) -> _Taken:
    """Give the coarse cube, aggregations of the fine one, and the fine one itself."""
    steps = coarse[direct.target].sizes.get("time", 1)
    sampler = _sampler(direct, steps)
    if tuple(direct.feature_names_) != sampler.feature_names:
        raise ModelProblem(
            "downscaler",
            found=f"features {', '.join(direct.feature_names_)}",
            expected=f"those of the recipe, {', '.join(sampler.feature_names)}",
        )
    factor = nesting(grid_of(coarse), grid_of(fine))["y"]
    moments = None if isinstance(sampler, Sequences) else _moments(coarse, direct.target)
    yield from _cube_samples(sampler, coarse, direct.targets, "learned", blocks, moments)
    for left in (*_divisors(factor), 1):
        cube = fine if left == 1 else aggregate(fine, coarsened(grid_of(fine), left))
        role: Role = "used" if left == 1 else "between"
        yield from _cube_samples(sampler, cube, direct.targets, role, blocks, moments)


def _sampler(direct: Direct, steps: int) -> Sampler:
    """Give the downscaler's own sampler, with samples small enough to have many of them."""
    sampler = direct.sampler()
    if isinstance(sampler, Sequences):
        return replace(sampler, length=min(STEPS, steps))
    return replace(sampler, size=CELLS) if isinstance(sampler, Patches) else sampler


def _cube_samples(
    sampler: Sampler,
    cube: xr.Dataset,
    targets: tuple[str, ...],
    role: Role,
    blocks: Blocks,
    moments: list[int] | None,
) -> _Taken:
    """Take the complete samples of a cube: of some moments, or of all its steps where they are needed."""
    grid = grid_of(cube)
    longitude, latitude = (one.ravel() for one in lonlat(grid))
    for moment in moments if moments and "time" in cube.dims else [None]:
        part = snapped(cube if moment is None else cube.isel(time=[moment]))
        # a place without a known target is a sample too, save where the model learned
        for batch in sampler.batches(part, targets if role == "learned" else (), places=AT_ONCE):
            whole = np.isfinite(batch.X).reshape(len(batch), -1).all(axis=1)
            place = batch.index.reshape(len(batch), -1).max(axis=1)  # −1 where nothing is put back
            step, cell = place // longitude.size + (moment or 0), place % longitude.size
            number = blocks.number(step, longitude[cell], latitude[cell])
            y = _targets(batch, part, targets) if batch.y is None else batch.y
            yield cell_size(grid), role, batch.X[whole], y[whole], number[whole]


def _targets(batch: Samples, part: xr.Dataset, targets: tuple[str, ...]) -> Array:
    """Give the targets at the place of each value; NaN where there is none."""
    columns = []
    for name in targets:
        column = np.full(batch.index.shape, np.nan)
        if name in part:
            values = part[name].transpose(..., "y", "x").values.astype("f8").ravel()
            column = np.where(batch.index >= 0, values[batch.index], np.nan)
        columns.append(column)
    return np.stack(columns, axis=-1) if len(columns) > 1 else columns[0]


def _residual_scales(
    residual: Residual, coarse: xr.Dataset, fine: xr.Dataset, blocks: Blocks
) -> _Taken:
    """Give coarse cells within larger ones, and finer cells within coarse ones, as they are predicted."""
    if residual.model.kind == "patches":
        raise ModelProblem(
            f"model {residual.model.name}",
            found="departures learned from whole maps",
            expected="samples that can be exchanged: a model of rows or sequences, or direct learning",
        )
    target = residual.target
    upper = whole_cells(coarse, residual.ratio)
    for step in _moments(coarse, target):
        learned = _at(upper, step)
        sample, values = residual.departures(learned)
        where = _places(sample, grid_of(learned))
        name = cell_size(grid_of(coarse))
        yield name, "learned", sample.table, values, blocks.number(step, *where)
        moment = _at(fine, step)
        truth = moment[target].astype("f8") if target in moment else None
        known = _at(coarse[[target]], step)[target].astype("f8")
        for grid, found in levels(residual, moment, known):
            role: Role = "used" if grid == grid_of(moment) else "between"
            y = np.full(len(found.rows), np.nan)
            if truth is not None:
                mean = truth if role == "used" else area_mean(truth, grid)
                y = (mean.values - found.prior).ravel()[found.rows]
            number = blocks.number(step, *_places(found, grid))
            yield cell_size(grid), role, found.table, y, number


def _places(sample: Features, grid: GeoBox) -> tuple[Array, Array]:
    longitude, latitude = lonlat(grid)
    return longitude.ravel()[sample.rows], latitude.ravel()[sample.rows]


def levels(
    residual: Residual, fine: xr.Dataset, known: xr.DataArray
) -> Iterator[tuple[GeoBox, Features]]:
    """Give the features of each scale that a residual downscaler goes down by, as it sees them itself.

    Where it goes down in steps, each one starts from the closed prediction of the one before; where it
    goes down at once, the scales in between start from the coarse field, as the last one does.

    Parameters
    ----------
    residual
        A fitted downscaler.
    fine
        Predictors of one moment, dims ``y, x``.
    known
        Coarse target of that moment, dims ``y, x``.
    """
    target = known
    grid = grid_of(fine)
    stack = derive(fine, residual.predictors)
    stack = stack.where(stack.notnull().all("predictor") & nearest(target, grid).notnull())
    fine_area = cell_area(grid).where(stack.isel(predictor=0).notnull(), 0.0)
    sides = [*_divisors(residual.factor), 1]
    if residual.in_steps:
        sides = (residual.factor // np.cumprod(residual.steps_down())).tolist()
    for left in sides:
        level, area, own = stack, fine_area, grid
        if left > 1:
            own = coarsened(grid, left)
            level = area_mean(stack, own, min_valid=0.0)
            area = fine_area.drop_vars(["y", "x"]).coarsen(y=left, x=left).sum()
            area = area.assign_coords(coordinates(own))
        found = features(level, target.rename(residual.target), area)
        yield own, found
        if left > 1 and residual.in_steps:
            field = np.full(own.shape.y * own.shape.x, np.nan)
            field[found.rows] = residual.predict_departures(found)
            smooth = level.isel(predictor=0, drop=True)
            predicted = smooth.copy(data=found.prior + field.reshape(own.shape))
            bounds = VARIABLES[residual.target].valid_range
            target = close(predicted, target, bounds=bounds, weight=area)
