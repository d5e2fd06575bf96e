"""What is read at chosen cells equals what whole maps of their size would hold."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

import vadose.synthetic
from vadose.cubes.reproject import reproject
from vadose.downscale.levels import Level, level
from vadose.downscale.spots import Spots, draw, read
from vadose.grids import cell_area, grid_of, nesting

FACTOR, DAYS = 12, 3
SCALES = [12_000.0, 3000.0, 2500.0, 1400.0, 1000.0]
NAMES = ["ndvi", "precipitation", "sand", "land_cover"]


@pytest.fixture(scope="module")
def world() -> vadose.synthetic.World:
    return vadose.synthetic.world(size=36, days=DAYS, factor=FACTOR, seed=0)


@pytest.fixture(scope="module")
def target(world: vadose.synthetic.World) -> xr.DataArray:
    field = world.coarse_truth["soil_moisture"].copy(deep=True)
    field[1, 0, 1] = np.nan
    field[2] = np.nan
    return field


def at(scale: float, world: vadose.synthetic.World) -> tuple[Level, dict[str, int]]:
    fine, coarse = grid_of(world.predictors), grid_of(world.coarse)
    factors = nesting(coarse, fine)
    return level(scale, fine, coarse, factors), factors


def map_grid(one: Level, fine: GeoBox) -> GeoBox:
    count = int(36 / one.ratio + 1e-9)
    return GeoBox((count, count), fine.affine * Affine.scale(one.ratio), fine.crs)


def everything(scale, world, target) -> tuple[Spots, GeoBox]:
    one, factors = at(scale, world)
    spots = draw(one, target, factors, samples=FACTOR**2, seed=0)
    return spots, map_grid(one, grid_of(world.predictors))


def on_map(spots: Spots, field: xr.DataArray) -> np.ndarray:
    """Look the cells of spots up on a map with one value for each, dims ``time, y, x``."""
    frame, ratio = spots.frame, spots.level.ratio
    places = (np.round(frame[name] / ratio).astype(int) for name in ("row", "column"))
    return field.values[(frame["step"].to_numpy(), *places)]


@pytest.mark.parametrize("scale", SCALES)
def test_the_target_is_the_guarded_cubic_of_the_map(scale, world, target):
    spots, grid = everything(scale, world, target)
    cubic = reproject(target.to_dataset(), grid, rules={"soil_moisture": "cubic"})["soil_moisture"]
    np.testing.assert_allclose(spots.frame["target"], on_map(spots, cubic), rtol=1e-6)


@pytest.mark.parametrize("scale", SCALES)
def test_every_cell_whose_centre_lies_in_a_known_coarse_cell_is_there_once(scale, world, target):
    spots, grid = everything(scale, world, target)
    own = reproject(target.to_dataset(), grid, rules={"soil_moisture": "nearest"})["soil_moisture"]
    assert len(spots.frame) == int(own.notnull().sum())
    assert not spots.frame.duplicated(["step", "row", "column"]).any()
    np.testing.assert_allclose(spots.frame["coarse"], on_map(spots, own), rtol=1e-6)
    assert not (spots.frame["step"] == 2).any()
    assert not spots.frame.query("step == 1")["cell"].eq(1).any()


@pytest.mark.parametrize("scale", SCALES)
def test_predictors_equal_those_of_the_map(scale, world, target):
    spots, grid = everything(scale, world, target)
    fine = world.predictors[NAMES].copy(deep=True)
    fine["sand"][4:9, 3:20] = np.nan
    fields = [fine[name] for name in NAMES]
    area = cell_area(grid_of(fine)).values
    table = read([spots], fields, area, steps=DAYS, progress=lambda done, total: None)[0]
    rules = {"ndvi": "mean", "precipitation": "mean", "sand": "mean", "land_cover": "majority"}
    maps = reproject(fine, grid, rules=rules)
    for place, name in enumerate(NAMES):
        field = maps[name].astype("f4") if "time" in maps[name].dims else maps[name].expand_dims(time=DAYS)  # fmt: skip
        expected = on_map(spots, field)
        np.testing.assert_allclose(table[:, place], expected, rtol=1e-5, atol=1e-5)
    assert np.isnan(table[:, NAMES.index("sand")]).any() == (scale < 12_000)


def test_every_coarse_value_counts_once(world, target):
    one, factors = at(1000.0, world)
    spots = draw(one, target, factors, samples=5, seed=0)
    some = spots.kept(np.random.default_rng(0).random(len(spots.frame)) < 0.6)
    sums = some.frame.assign(weight=some.weight()).groupby(["step", "cell"])["weight"].sum()
    np.testing.assert_allclose(sums, 1.0)


def test_what_is_drawn_depends_on_seed_moment_and_size_alone(world, target):
    one, factors = at(1000.0, world)

    def drawn(field: xr.DataArray, seed: int = 0) -> list[tuple[float, ...]]:
        frame = draw(one, field, factors, samples=2, seed=seed).frame
        frame = frame[frame["step"] == frame["step"].max()]
        return list(frame[["cell", "row", "column", "target"]].itertuples(index=False, name=None))

    first = drawn(target.isel(time=[0]))
    assert drawn(target.isel(time=[0]).chunk({"y": 1, "x": 2})) == first
    assert drawn(target.isel(time=[0]), seed=1) != first
    second = drawn(target.isel(time=[0, 1]))
    assert drawn(target.isel(time=[1])) == second
    known = {cell for cell, *_ in second}
    assert [place[:3] for place in second] != [place[:3] for place in first if place[0] in known]


def test_a_step_is_read_on_its_own(world, target):
    """However many steps there are, one map of one predictor is in memory at a time."""
    one, factors = at(2500.0, world)
    spots = draw(one, target, factors, samples=3, seed=0)
    loaded: list[int] = []

    def load(block: np.ndarray) -> np.ndarray:
        loaded.append(block.nbytes)
        return block

    fine = world.predictors[["ndvi"]].chunk({"time": 1})
    field = fine["ndvi"].copy(data=fine["ndvi"].data.map_blocks(load, meta=np.empty(0, "f4")))
    area = cell_area(grid_of(fine)).values
    told: list[tuple[int, int]] = []
    read([spots], [field], area, steps=DAYS, progress=lambda *done: told.append(done))
    assert loaded == [36 * 36 * 4] * DAYS
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert field.chunks is not None  # the caller's cube stays lazy


def test_times_before_1970_and_static_fields_can_be_drawn(world, target):
    one, factors = at(4000.0, world)
    early = target.isel(time=[0]).assign_coords(time=np.array(["1959-03-01"], "M8[ns]"))
    static = target.isel(time=0, drop=True)
    for field in (early, static):
        frame = draw(one, field, factors, samples=4, seed=0).frame
        assert len(frame) == 9 * 4
