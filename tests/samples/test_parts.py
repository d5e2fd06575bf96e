"""Parts: fine cells, hours and stations of one coarse cell and day are never parted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import vadose.synthetic
from vadose.errors import GridProblem
from vadose.grids import coordinates, grid_of, latlon, lonlat, refined
from vadose.samples import (
    Split,
    cell_of,
    leave_stations_out,
    on_fine,
    random,
    space_time,
    spatial_blocks,
    straddling,
    time_blocks,
)

COARSE = latlon(1.0, (0.0, 40.0, 8.0, 46.0))


def cube_on(grid: object, steps: int, hours: int) -> xr.Dataset:
    times = pd.date_range("2019-07-01", periods=steps, freq=f"{hours}h")
    return xr.Dataset(coords={"time": times, **coordinates(grid)})


def counted(parts: Split, factor: int) -> int:
    """Count, sample by sample with pandas, the coarse cells and days in more than one part."""
    table = []
    for name, part in parts.parts.items():
        place = pd.DataFrame(np.argwhere(part.values), columns=list(part.dims))
        if "time" in place:
            place["time"] = part["time"].values[place["time"]].astype("datetime64[D]")
        for dim in {"y", "x"} & set(place):
            place[dim] //= factor
        table.append(place.drop_duplicates().assign(part=name))
    units = pd.concat(table).groupby([str(dim) for dim in parts.train.dims])
    return int((units["part"].nunique() > 1).sum())


@given(factor=st.integers(1, 3), hours=st.sampled_from([8, 24]), seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_targets_of_one_cell_and_day_never_straddle(factor: int, hours: int, seed: int) -> None:
    cube, fine = cube_on(COARSE, 24, hours), refined(COARSE, factor)
    for parts in (
        random(cube, rng=seed),
        spatial_blocks(cube, rng=seed, block=2, folds=4),
        space_time(cube, rng=seed, block=2, days=1, gap=0, folds=4),
        time_blocks(cube, rng=seed, days=1, gap=0, folds=4),
    ):
        assert straddling(parts.on_fine(fine), COARSE) == 0 == counted(parts.on_fine(fine), factor)


@given(seed=st.integers(0, 99), hours=st.sampled_from([8, 24]))
@settings(max_examples=6, deadline=None)
def test_a_split_drawn_on_the_fine_grid_straddles(seed: int, hours: int) -> None:
    parts = random(cube_on(refined(COARSE, 2), 4, hours), rng=seed, shares=(0.6, 0.1, 0.3))
    assert straddling(parts, COARSE) == counted(parts, 2) > 0


def test_hours_of_a_day_straddle() -> None:
    times = xr.DataArray(pd.date_range("2019-07-01", periods=4, freq="12h"), dims="time")
    train = xr.DataArray([True, False, False, False], dims="time", coords={"time": times})
    test = train.copy(data=[False, True, True, True])
    parts = Split(train, xr.zeros_like(train), test, train.astype(int), "own", "by hand")
    assert straddling(parts, COARSE) == 1


def test_stations_of_one_cell_are_kept_together() -> None:
    world = vadose.synthetic.world(size=16, days=2, factor=4, stations=40)
    grid = grid_of(world.coarse)
    apart = leave_stations_out(world.stations, rng=0, folds=4)
    assert straddling(apart, grid) > 0
    for fold in range(4):
        parts = leave_stations_out(world.stations, rng=0, folds=4, fold=fold, grid=grid)
        assert straddling(parts, grid) == 0


def test_fine_cells_have_the_decision_of_their_coarse_cell() -> None:
    parts = spatial_blocks(COARSE, rng=0, block=2, folds=3)
    fine = refined(COARSE, 5)
    mask = on_fine(parts.test, fine)
    assert grid_of(mask) == fine
    for row, column in np.ndindex(30, 40):
        assert mask.values[row, column] == parts.test.values[row // 5, column // 5]
    groups = parts.on_fine(fine).groups
    np.testing.assert_array_equal(groups[2::5, 2::5], parts.groups)
    with pytest.raises(GridProblem, match="expected coarse cells that are whole blocks"):
        on_fine(parts.test, latlon(1.5, (0.0, 40.0, 9.0, 46.0)))


def test_places_are_in_the_cell_whose_centre_is_nearest() -> None:
    grid = grid_of(vadose.synthetic.world(size=16, days=1, factor=4).coarse)
    longitude, latitude = lonlat(grid)
    np.testing.assert_array_equal(cell_of(grid, longitude.ravel(), latitude.ravel()), np.arange(16))
    off = cell_of(grid, longitude.ravel() + 10.0, latitude.ravel())
    np.testing.assert_array_equal(off, 16 + np.arange(16))
