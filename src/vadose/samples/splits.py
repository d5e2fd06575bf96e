"""Splits of maps and periods: blocks that are held out, and the random one that flatters.

Soil moisture is alike from cell to cell and from day to day. Held out at random, test samples have
neighbours among those learned from; Han et al. (2023) found half of the error at places never seen. So
the schemes here hold out whole blocks, with room between them and what is learned from.

References
----------
Roberts et al. (2017), Ecography 40:913. Han et al. (2023), Sci. Data 10:101.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.errors import CubeProblem, ValueProblem
from vadose.grids import coordinates, grid_of
from vadose.samples.blocks import (
    Rng,
    check_fold,
    check_least,
    counted,
    deal,
    goes_round,
    map_blocks,
    near,
    near_days,
    period_blocks,
)
from vadose.samples.parts import Split

Map = xr.Dataset | xr.DataArray | GeoBox
Period = xr.Dataset | xr.DataArray | pd.DatetimeIndex | npt.NDArray[np.datetime64]
#: Folds unless told otherwise: a fifth is tested, a fifth validates, the rest is learned from.
FOLDS = 5
#: Groups of the random split, as random as its parts.
RANDOM_GROUPS = 10


def spatial_blocks(
    cube: Map,
    *,
    rng: Rng,
    block: int,
    folds: int = FOLDS,
    fold: int = 0,
    buffer: int = 1,
    where: xr.DataArray | None = None,
) -> Split:
    """Hold out squares of the map.

    The blocks are dealt to the folds at random. One fold is the test part, the next one validates (with
    two folds, none does). Blocks should be larger than the distance over which soil moisture is alike.

    Parameters
    ----------
    cube
        A cube or a grid: the coarse one, whose decision `on_fine` gives to fine cells.
    rng
        Seed or generator. All folds of one seed fit together.
    block
        Cells along the side of a block.
    folds, fold
        Number of folds, and which of them to test, from 0.
    buffer
        Cells that lie at least between training and what is held out, and between validation and test,
        also diagonally. What is nearer is dropped.
    where
        Cells that count, dims ``y, x``, such as land; blocks without any are not dealt.

    Raises
    ------
    ValueProblem
        Fewer blocks than folds, a fold that is none, or a buffer that leaves nothing to train on.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> parts = spatial_blocks(latlon(10.0), rng=0, block=6)
    >>> parts.title
    'spatial blocks of 6 x 6 cells, fold 1 of 5, 1 cell between training and test'
    """
    check_least("block", block, 1)
    check_least("buffer", buffer, 0)
    check_fold(fold, folds)
    coords = _map_coords(cube)
    shape = coords["y"].size, coords["x"].size
    is_cell = np.ones(shape, dtype=bool)
    if where is not None:
        if set(where.dims) != {"y", "x"} or where.transpose("y", "x").shape != shape:
            raise CubeProblem("where", found=f"{dict(where.sizes)}", expected=f"y, x of {shape}")
        is_cell = where.transpose("y", "x").values.astype(bool)
    number = map_blocks(shape, block)
    dealt = deal(np.where(is_cell, number, -1), folds, rng, what="blocks")
    wraps = goes_round(cube if isinstance(cube, GeoBox) else grid_of(cube))
    is_test, is_held = dealt == fold, (dealt == (fold + 1) % folds) & (folds > 2)
    near_test = near(is_test, buffer, wraps=wraps)
    validation = is_held & ~near_test
    train = (dealt >= 0) & ~near_test & ~is_held & ~near(validation, buffer, wraps=wraps)
    return Split.of(
        (train, validation, is_test, number),
        dims=("y", "x"),
        coords=coords,
        scheme="space",
        title=f"spatial blocks of {block} x {block} cells, fold {fold + 1} of {folds}, "
        f"{counted(buffer, 'cell')} between training and test",
    )


def time_blocks(
    times: Period,
    *,
    rng: Rng,
    days: int = 60,
    gap: int = 30,
    folds: int = FOLDS,
    fold: int = 0,
) -> Split:
    """Hold out periods.

    The record is cut into periods of so many days, dealt to the folds at random. One fold is the test
    part, the next one validates (with two folds, none does). A day is never divided.

    Parameters
    ----------
    times
        Time stamps, or a cube or another dataset with ``time``.
    rng
        Seed or generator. All folds of one seed fit together.
    days
        Length of a period.
    gap
        Whole days that lie at least between training and what is held out, and between validation and
        test. Soil moisture remembers for about a month.
    folds, fold
        Number of folds, and which of them to test, from 0.

    Raises
    ------
    ValueProblem
        A gap as long as the record, fewer periods than folds, a fold that is none, or nothing left to
        train on.

    Examples
    --------
    >>> year = pd.date_range("2019-01-01", "2019-12-31")
    >>> parts = time_blocks(year, rng=0)
    >>> int(parts.test.sum()), int(parts.train.sum()) < 365 - 120
    (120, True)
    """
    check_least("days", days, 1)
    check_least("gap", gap, 0)
    check_fold(fold, folds)
    stamps = _stamps(times)
    number = period_blocks(stamps, days)
    length = int((stamps.max() - stamps.min()) / np.timedelta64(1, "D")) + 1
    if gap >= length:
        raise ValueProblem(
            "gap", found=f"{gap} days in a record of {length} days", expected="a shorter gap"
        )
    dealt = deal(number, folds, rng, what=f"periods of {days} days")
    is_test, is_held = dealt == fold, (dealt == (fold + 1) % folds) & (folds > 2)
    near_test = near_days(stamps, is_test, gap)
    validation = is_held & ~near_test
    train = ~near_test & ~is_held & ~near_days(stamps, validation, gap)
    return Split.of(
        (train, validation, is_test, number),
        dims=("time",),
        coords={"time": xr.DataArray(stamps, dims="time")},
        scheme="time",
        title=f"periods of {counted(days, 'day')}, fold {fold + 1} of {folds}, "
        f"{counted(gap, 'day')} between training and test",
    )


def space_time(
    cube: xr.Dataset,
    *,
    rng: Rng,
    block: int,
    buffer: int = 1,
    days: int = 60,
    gap: int = 30,
    folds: int = FOLDS,
    fold: int = 0,
) -> Split:
    """Hold out blocks of the map and periods together: the test is new in space and in time.

    Training has neither a place of the test nor a period of it. Each block and each period is tested in
    one fold; a fold in space goes with the fold of the same number in time.

    Parameters
    ----------
    cube
        Dims ``time, y, x``.
    rng, block, buffer, days, gap, folds, fold
        As for `spatial_blocks` and `time_blocks`. The groups are the blocks of the map.

    Raises
    ------
    ValueProblem
        As for these two.
    """
    generator = np.random.default_rng(rng)
    space = spatial_blocks(cube, rng=generator, block=block, folds=folds, fold=fold, buffer=buffer)
    time = time_blocks(cube, rng=generator, days=days, gap=gap, folds=folds, fold=fold)
    parts = {
        name: (time.parts[name] & space.parts[name]).transpose("time", "y", "x")
        for name in ("train", "validation", "test")
    }
    return Split(
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        groups=space.groups,
        scheme="space_time",
        title=f"{space.title}; {time.title}",
    )


def random(
    cube: xr.Dataset | xr.DataArray, *, rng: Rng, shares: Sequence[float] = (0.7, 0.15, 0.15)
) -> Split:
    """Draw cells and days at random, as the papers do; scores are too good.

    What is drawn is a cell and day: draw on the coarse grid and use `on_fine`, so that fine cells that
    share a target stay together.

    Parameters
    ----------
    cube
        Dims ``[time,] y, x``.
    rng
        Seed or generator.
    shares
        Of training, validation and test; their sum is 1.

    Raises
    ------
    ValueProblem
        Shares that are none, or too few places.

    Examples
    --------
    >>> import vadose.synthetic
    >>> parts = random(vadose.synthetic.world(size=16, days=8, factor=4).coarse, rng=0)
    >>> parts.title
    'random 7:1.5:1.5 (optimistic: neighbours of test samples were seen in training)'
    """
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1.0) > 1e-6:
        raise ValueProblem(
            "shares", found=f"{tuple(shares)}", expected="three that are 0 or more and add up to 1"
        )
    coords = _map_coords(cube)
    day = np.zeros(1, dtype=np.int64)
    if "time" in cube.dims:
        coords = {"time": cube["time"], **coords}
        day = np.unique(_stamps(cube).astype("datetime64[D]"), return_inverse=True)[1]
    shape = int(day.max()) + 1, coords["y"].size, coords["x"].size
    total = int(np.prod(shape))
    edges = np.round(np.cumsum(shares)[:2] * total).astype(np.int64)
    part = np.repeat(np.arange(3, dtype=np.int8), np.diff([0, *edges, total]))
    generator = np.random.default_rng(rng)
    generator.shuffle(part)
    part = part.reshape(shape)[day]
    group = generator.integers(0, RANDOM_GROUPS, shape, dtype=np.int8)[day]
    dims: tuple[str, ...] = ("time", "y", "x")
    if "time" not in cube.dims:
        dims, part, group = dims[1:], part[0], group[0]
    ratio = ":".join(f"{10 * share:g}" for share in shares)
    return Split.of(
        (part == 0, part == 1, part == 2, group),
        dims=dims,
        coords=coords,
        scheme="random",
        title=f"random {ratio} (optimistic: neighbours of test samples were seen in training)",
        is_optimistic=True,
    )


def _map_coords(cube: Map) -> dict[Hashable, xr.DataArray]:
    if isinstance(cube, GeoBox):
        return coordinates(cube)
    grid_of(cube)  # says what is missing
    return {name: cube.coords[name] for name in ("y", "x", "spatial_ref")}


def _stamps(times: Period) -> npt.NDArray[np.datetime64]:
    if isinstance(times, xr.Dataset | xr.DataArray) and "time" not in times.coords:
        raise CubeProblem("cube", found="no time", expected="time stamps to cut into periods")
    stamps = times["time"].values if isinstance(times, xr.Dataset | xr.DataArray) else times
    values = np.asarray(stamps)
    if values.dtype.kind != "M" or not values.size or np.isnat(values).any():
        raise CubeProblem("times", found=f"{values.size} of {values.dtype}", expected="time stamps")
    return values
