"""Samples of a fitted downscaler at every scale: where it learned, where it is used, and in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.cubes.assemble import whole_cells
from vadose.cubes.regrid import aggregate, area_mean, nearest
from vadose.downscale.base import align, check_features
from vadose.downscale.conserve import close
from vadose.downscale.context import Features, derive, features
from vadose.downscale.direct import if_any
from vadose.downscale.downscaler import Direct, MultiScale, Residual
from vadose.errors import CubeProblem, ModelProblem
from vadose.grids import cell_area, coarsened, coordinates, grid_of, lonlat, nesting, snapped
from vadose.pipeline.baskets import Basket
from vadose.pipeline.blocks import Blocks
from vadose.pipeline.conditions import conditions_of
from vadose.pipeline.folder import RunFolder
from vadose.report.tables import cell_size, length
from vadose.samples import Patches, Sampler, Samples, Sequences
from vadose.schema import VARIABLES
from vadose.store import open_cube

#: Most time steps that samples are taken from, spread evenly over the record.
MOMENTS = 12
#: Most scales between the coarse and the fine one.
BETWEEN = 2
#: Steps of a sequence; cells along the side of a patch where the model learned, and most of them where
#: cells are smaller and as many of them cover less ground.
STEPS, CELLS, MOST_CELLS = 60, 8, 64
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
    finer
        Its cells along the side of one of the scale that was learned from.
    """

    name: str
    role: Role
    X: Array
    y: Array
    blocks: Numbers
    finer: int = 1

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


def take_scales(
    folder: RunFolder,
    downscaler: Direct | Residual,
    *,
    samples: int,
    learned: int,
    rng: np.random.Generator,
    known: xr.Dataset | None = None,
    method: str = "",
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
    known
        Coarse cube that was learned from; that of the folder unless given.
    method
        Its name, where its model lies in the folder: what steers it is read from there.

    Returns
    -------
    list
        The scale of learning first, the fine one last. There is a target at the finer scales only where a
        truth was withheld.

    Raises
    ------
    CubeProblem
        No complete samples at a scale.
    ModelProblem
        Features that the samples do not have.
    """
    baskets: dict[str, Basket] = {}
    for one in _taken(folder, downscaler, known, method):
        places = int(np.prod(one.X.shape[1:-1]))
        most = max((learned if one.role == "learned" else samples) // places, 64)
        baskets.setdefault(one.name, Basket(most, rng)).add(one)
    return [basket.scale() for basket in baskets.values()]


def take_learned(
    folder: RunFolder,
    downscaler: Direct | Residual,
    *,
    samples: int,
    rng: np.random.Generator,
    known: xr.Dataset | None = None,
    method: str = "",
) -> Scale:
    """Take samples of the scale of learning alone, see `take_scales`."""
    basket: Basket | None = None
    for one in _taken(folder, downscaler, known, method, only_learned=True):
        places = int(np.prod(one.X.shape[1:-1]))
        basket = basket or Basket(max(samples // places, 64), rng)
        basket.add(one)
    assert basket is not None  # noqa: S101 - cubes without samples are refused
    return basket.scale()


def _taken(
    folder: RunFolder,
    downscaler: Direct | Residual,
    known: xr.Dataset | None,
    method: str,
    *,
    only_learned: bool = False,
) -> Iterator[Scale]:
    coarse, fine = open_cube(folder / "coarse.zarr"), open_cube(folder / "fine.zarr")
    known = coarse if known is None else known
    conditions = conditions_of(folder / f"models/{method}")
    if conditions is not None:
        times = coarse["time"].values
        known, fine = conditions.add(known), conditions.add(fine, times)
    target = downscaler.target
    fine, _ = align(fine[downscaler.predictors], coarse, target)
    if (folder / "truth.zarr").exists():
        fine[target], _ = _same_days(open_cube(folder / "truth.zarr"), coarse, target)
    least = CELLS if downscaler.model.kind == "patches" else 2
    blocks = Blocks.of(grid_of(coarse), coarse[target].sizes.get("time", 1), least=least)
    if isinstance(downscaler, Residual):
        yield from _residual_scales(downscaler, known, coarse, fine, blocks, only_learned)
        return
    if isinstance(downscaler, MultiScale):
        taken = _several_scales(downscaler, known, fine, blocks)
    else:
        taken = _direct_scales(downscaler, known, fine, blocks)
    # what was learned from comes first; to look farther takes time
    yield from takewhile(lambda one: one.role == "learned" or not only_learned, taken)


def _same_days(truth: xr.Dataset, coarse: xr.Dataset, target: str) -> tuple[xr.DataArray, GeoBox]:
    aligned, grid = align(truth[[target]], coarse, target)
    return aligned[target], grid


def _moments(total: int) -> list[int]:
    return [int(step) for step in np.linspace(0, total - 1, min(total, MOMENTS)).round()]


def _at(cube: xr.Dataset, step: int) -> xr.Dataset:
    return snapped(cube.isel(time=step, drop=True) if "time" in cube.dims else cube).load()


def _divisors(factor: int) -> list[int]:
    """Choose scales in between: divisors of the factor, as evenly spaced by ratio as there are.

    Examples
    --------
    >>> _divisors(4), _divisors(36), _divisors(3)
    ([2], [12, 3], [])
    """
    inner = [one for one in range(2, factor) if factor % one == 0]
    wanted = [factor ** (place / (BETWEEN + 1)) for place in range(BETWEEN, 0, -1)]
    nearest_ones = [
        min(inner, key=lambda one: abs(np.log(one / size)), default=0) for size in wanted
    ]
    return sorted({one for one in nearest_ones if one}, reverse=True)


def _direct_scales(
    direct: Direct, known: xr.Dataset, fine: xr.Dataset, blocks: Blocks
) -> Iterator[Scale]:
    """Give the coarse cube, aggregations of the fine one, and the fine one itself."""
    factor = nesting(grid_of(known), grid_of(fine))["y"]
    yield from _cube_samples(direct, known, "learned", blocks)
    for left in (*_divisors(factor), 1):
        cube = fine if left == 1 else aggregate(fine, coarsened(grid_of(fine), left))
        role: Role = "used" if left == 1 else "between"
        yield from _cube_samples(direct, cube, role, blocks, finer=factor // left)


def _several_scales(
    several: MultiScale, known: xr.Dataset, fine: xr.Dataset, blocks: Blocks
) -> Iterator[Scale]:
    """Give the cells of all scales that were learned from together, and the fine cube."""
    several.fine = fine
    longitude, latitude = (one.ravel() for one in lonlat(grid_of(known)))
    sizes = " + ".join(length(scale) for scale in several.scales)
    for spots, table in zip(*several.spots(known), strict=True):
        if spots.level.scale in several.scales:
            cell, step = spots.frame["cell"].to_numpy(), spots.frame["step"].to_numpy()
            number = blocks.number(step, longitude[cell], latitude[cell])
            yield Scale(sizes, "learned", table, spots.frame["target"].to_numpy(), number)
    yield from _cube_samples(several, fine, "used", blocks)


def _cube_samples(
    direct: Direct, cube: xr.Dataset, role: Role, blocks: Blocks, *, finer: int = 1
) -> Iterator[Scale]:
    """Take the complete samples of a cube: of some moments, or of all its steps where they are needed."""
    sampler = _small(direct, cube, blocks.steps, finer)
    name, is_empty = cell_size(grid_of(cube)), True
    longitude, latitude = (one.ravel() for one in lonlat(grid_of(cube)))
    moments: list[int | None] = [None]
    if "time" in cube.dims and not isinstance(sampler, Sequences):
        moments = [*_moments(blocks.steps)]
    for moment in moments:
        part = snapped(cube if moment is None else cube.isel(time=[moment]))
        # a place without a known target is a sample too, save where the model learned
        targets = direct.targets if role == "learned" else ()
        for batch in if_any(sampler.batches(part, targets, places=AT_ONCE)):
            place = batch.index.reshape(len(batch), -1).max(axis=1)  # −1 where nothing is put back
            whole = np.isfinite(batch.X).reshape(len(batch), -1).all(axis=1) & (place >= 0)
            step, cell = place // longitude.size + (moment or 0), place % longitude.size
            number = blocks.number(step, longitude[cell], latitude[cell])
            y = _targets(batch, part, direct.targets) if batch.y is None else batch.y
            yield Scale(name, role, batch.X[whole], y[whole], number[whole], finer)
            is_empty = False
    if is_empty:
        raise CubeProblem(
            f"cells of {name}",
            found="no complete samples",
            expected="some to explain a model by",
            remedy="Check the gaps of each predictor.",
        )


def _small(direct: Direct, cube: xr.Dataset, steps: int, finer: int) -> Sampler:
    """Give the downscaler's own sampler, with samples small enough to have many of them.

    Patches of smaller cells have more of them, for as much ground, and overlap to be as many.
    """
    sampler = direct.sampler()
    check_features(direct.feature_names_, sampler.feature_names)
    if isinstance(sampler, Sequences):
        return replace(sampler, length=min(STEPS, steps))
    if isinstance(sampler, Patches):
        size = min(CELLS * finer, MOST_CELLS, cube.sizes["y"], cube.sizes["x"])
        return replace(sampler, size=size, overlap=size // 2 if finer > 1 else 0)
    return sampler


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
    residual: Residual, known: xr.Dataset, coarse: xr.Dataset, fine: xr.Dataset, blocks: Blocks,
    only_learned: bool,
) -> Iterator[Scale]:  # fmt: skip
    """Give coarse cells within larger ones, and finer cells within coarse ones, as they are predicted."""
    if residual.model.kind == "patches":
        raise ModelProblem(
            f"model {residual.model.name}",
            found="departures learned from whole maps",
            expected="samples that can be exchanged: a model of rows or sequences, or direct learning",
        )
    target = residual.target
    upper = whole_cells(known, residual.ratio)
    for step in _moments(blocks.steps):
        learned = _at(upper, step)
        sample, values = residual.departures(learned)
        number = blocks.number(step, *_places(sample, grid_of(learned)))
        yield Scale(cell_size(grid_of(coarse)), "learned", sample.table, values, number)
        if only_learned:
            continue
        moment = _at(fine, step)
        truth = moment[target].astype("f8") if target in moment else None
        given = _at(coarse[[target]], step)[target].astype("f8")
        for grid, found in levels(residual, moment, given):
            role: Role = "used" if grid == grid_of(moment) else "between"
            y = np.full(len(found.rows), np.nan)
            if truth is not None:
                mean = truth if role == "used" else area_mean(truth, grid)
                y = (mean.values - found.prior).ravel()[found.rows]
            number = blocks.number(step, *_places(found, grid))
            yield Scale(cell_size(grid), role, found.table, y, number)


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
