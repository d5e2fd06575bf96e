"""Intervals of a product: from three kinds of points to variables of the cube, and back from JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import vadose.synthetic
from vadose.cubes.assemble import coarse_cube
from vadose.downscale.calibration import (
    STRATA,
    Points,
    described,
    points_of_truth,
    points_out_of_fold,
)
from vadose.downscale.downscaler import Direct, Residual
from vadose.downscale.intervals import Intervals, calibrate
from vadose.downscale.spread import WithSpread
from vadose.errors import CubeProblem, ModelProblem, UnknownName, ValueProblem
from vadose.models import Boosting, Ensemble, RandomForest
from vadose.schema import check_cube
from vadose.store import open_cube, write_cube

FACTOR = 4
PREDICTORS = ["ndvi", "land_surface_temperature", "elevation", "sand"]
ENDS = ["soil_moisture_lower", "soil_moisture_upper", "soil_moisture_interval_width"]


@pytest.fixture(scope="module")
def world() -> vadose.synthetic.World:
    """A world of 8 x 8 coarse cells, some days of four months, on other orbits each."""
    world = vadose.synthetic.world(size=32, days=120, factor=FACTOR, seed=2)
    cubes = {
        name: getattr(world, name).isel(time=slice(None, None, 7))
        for name in ("truth", "predictors", "coarse", "coarse_truth", "land_model")
    }
    return replace(world, **cubes)


@pytest.fixture(scope="module")
def coarse(world: vadose.synthetic.World) -> xr.Dataset:
    return coarse_cube(world.coarse[["soil_moisture"]], world.predictors[PREDICTORS])


@pytest.fixture(scope="module")
def product(world: vadose.synthetic.World, coarse: xr.Dataset) -> xr.Dataset:
    """A product with spread and gaps of a predictor."""
    fine = world.predictors.copy()
    fine["sand"] = fine["sand"].copy()
    fine["sand"][3:5, 6] = np.nan
    forest = Direct(RandomForest(trees=10), PREDICTORS).fit(coarse)
    return WithSpread(forest).predict(fine, coarse)


def taken(product: xr.Dataset, world: vadose.synthetic.World, **more: object) -> Points:
    truth, fine = world.truth["soil_moisture"], world.predictors
    settings: dict[str, object] = {"fine": fine, "factor": FACTOR, "block": 1, "days": 30, **more}
    return points_of_truth(product, truth, **settings)  # type: ignore[arg-type]


def test_points_of_a_truth_are_pixels_with_their_blocks(
    product: xr.Dataset, world: vadose.synthetic.World
) -> None:
    points = taken(product, world)
    known = np.isfinite(product["soil_moisture"].values)
    assert len(points) == known.sum() == 18 * (32 * 32 - 2)
    assert np.array_equal(points.observed, world.truth["soil_moisture"].values[known])
    assert np.array_equal(points.predicted, product["soil_moisture"].values[known])
    assert np.array_equal(points.spread, product["soil_moisture_spread"].values[known])
    assert len(np.unique(points.block)) == 64 * 4
    where = np.argwhere(known)
    days = world.predictors["time"].values[where[:, 0]]
    elapsed = ((days - days[0]) / np.timedelta64(30, "D")).astype(int)
    own = elapsed * 64 + where[:, 1] // FACTOR * 8 + where[:, 2] // FACTOR
    assert np.array_equal(np.unique(own, return_inverse=True)[1], points.block)
    assert set(points.described) == set(STRATA)
    assert np.array_equal(
        points.described["elevation"],
        world.predictors["elevation"].values[where[:, 1], where[:, 2]],
    )
    assert sorted(set(points.described["season"].tolist())) == [1, 2]  # April to July
    assert points.scale == "fine"


def test_a_draw_of_points_is_seeded(product: xr.Dataset, world: vadose.synthetic.World) -> None:
    one, same, other = (taken(product, world, count=500, rng=seed) for seed in (1, 1, 2))
    assert len(one) == 500
    assert np.array_equal(one.observed, same.observed)
    assert not np.array_equal(one.observed, other.observed)


def test_intervals_cover_the_blocks_that_they_were_not_calibrated_on(
    product: xr.Dataset, world: vadose.synthetic.World
) -> None:
    points = taken(product, world)
    half = np.random.default_rng(0).random(points.block.max() + 1)[points.block] < 0.5
    intervals = calibrate(points.chosen(half))
    cube = check_cube(intervals.add(product, world.predictors))
    inside = (world.truth["soil_moisture"] >= cube[ENDS[0]]) & (
        world.truth["soil_moisture"] <= cube[ENDS[1]]
    )
    known = np.isfinite(product["soil_moisture"].values)
    assert inside.values[known][~half].mean() == pytest.approx(0.9, abs=0.02)
    is_gap = points.described["is_gap"][~half]
    for part in (is_gap, ~is_gap):
        assert inside.values[known][~half][part].mean() == pytest.approx(0.9, abs=0.03)


def test_the_variables_say_what_they_are(
    product: xr.Dataset, world: vadose.synthetic.World, tmp_path: object
) -> None:
    intervals = calibrate(taken(product, world, count=3000), level=0.8, bounds=(0.05, 0.5))
    cube = intervals.add(product, world.predictors)
    lower, upper, width = (cube[name] for name in ENDS)
    assert np.array_equal(lower.isnull(), product["soil_moisture"].isnull())
    assert float(lower.min()) >= np.float32(0.05)
    assert float(upper.max()) <= 0.5
    assert np.allclose(width, upper - lower, atol=1e-7, equal_nan=True)
    assert float(width.min()) > 0
    for field in (lower, upper, width):
        assert (field.dtype, field.attrs["level"], field.attrs["units"]) == ("f4", 0.8, "m3 m-3")
        assert field.attrs["calibrated_on"] == "fine values"
    assert set(ENDS) <= set(cube["soil_moisture"].attrs["ancillary_variables"].split())
    path = tmp_path / "product.zarr"  # type: ignore[operator]
    write_cube(cube.isel(time=slice(0, 2)), path)
    assert open_cube(path)[ENDS[2]].load().equals(width.isel(time=slice(0, 2)))


def test_a_tile_has_the_intervals_of_the_whole(
    product: xr.Dataset, world: vadose.synthetic.World
) -> None:
    intervals = calibrate(taken(product, world, count=3000))
    whole = intervals.add(product, world.predictors)
    window = {"time": slice(3, 7), "y": slice(8, 20), "x": slice(4, 12)}
    tile = intervals.add(product.isel(window), world.predictors.isel(window))
    for name in ENDS:
        assert tile[name].equals(whole[name].isel(window))


def test_intervals_come_back_from_json(product: xr.Dataset, world: vadose.synthetic.World) -> None:
    intervals = calibrate(taken(product, world, count=3000))
    read = Intervals.from_dict(json.loads(json.dumps(intervals.to_dict())))
    assert read.add(product, world.predictors).equals(intervals.add(product, world.predictors))
    for name in ("edges", "codes", "conformal", "target"):
        content = intervals.to_dict()
        del content[name]
        with pytest.raises(ModelProblem, match="incomplete description"):
            Intervals.from_dict(content)
    with pytest.raises(UnknownName, match="scale of calibration 'moon'"):
        Intervals.from_dict({**intervals.to_dict(), "scale": "moon"})


def test_stations_go_the_same_way_as_a_truth(
    product: xr.Dataset, world: vadose.synthetic.World
) -> None:
    """Twelve stations: few blocks, so that both ends are learned together; readings may have gaps."""
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(8, 32, (2, 12))
    about = described(product, world.predictors, "soil_moisture", ["value", "season"])
    pick = (slice(None), rows, columns)
    observed = world.truth["soil_moisture"].values[pick].astype("f8")
    observed[3:5] = np.nan
    points = Points(
        observed.ravel(),
        product["soil_moisture"].values[pick].ravel().astype("f8"),
        product["soil_moisture_spread"].values[pick].ravel().astype("f8"),
        np.broadcast_to(np.arange(12), observed.shape).ravel(),
        {name: values[pick].ravel() for name, values in about.items()},
    )
    intervals = calibrate(points)
    assert intervals.scale == "station"
    assert intervals.conformal.is_symmetric
    assert intervals.conformal.all_.blocks == 12
    assert intervals.conformal.all_.points == 16 * 12
    cube = intervals.add(product)
    assert cube[ENDS[0]].attrs["calibrated_on"] == "station values"


def test_coarse_cells_out_of_fold_go_the_same_way(
    product: xr.Dataset, world: vadose.synthetic.World, coarse: xr.Dataset
) -> None:
    forest = Direct(RandomForest(trees=10), PREDICTORS)
    points = points_out_of_fold(forest, coarse, folds=4, seed=1)
    X, y, groups = forest.training_data(coarse)
    assert np.array_equal(points.observed, y)
    assert np.array_equal(points.block, groups)
    assert not hasattr(forest.model, "trees_")  # only copies were fitted
    in_sample = RandomForest(trees=10).fit(X, y).predict(X)
    assert np.std(points.observed - points.predicted) > 1.2 * np.std(y - in_sample)
    intervals = calibrate(points)
    assert set(intervals.classes.names) == {"value", "spread"}
    cube = intervals.add(product)
    assert cube[ENDS[1]].attrs["calibrated_on"] == "coarse values"


def test_departures_are_calibrated_by_spread_alone(coarse: xr.Dataset) -> None:
    residual = Residual(RandomForest(trees=5), PREDICTORS, factor=FACTOR, ratio=2)
    small = coarse.isel(time=slice(0, 2)).fillna(0.2)
    points = points_out_of_fold(residual, small, folds=3)
    assert set(points.described) == {"spread"}
    assert abs(points.observed.mean()) < 0.01


def test_a_model_without_parts_gets_intervals_of_one_width_in_each_stratum(
    world: vadose.synthetic.World, coarse: xr.Dataset
) -> None:
    boosting = Direct(Boosting(trees=20, leaf=5), PREDICTORS).fit(coarse)
    product = WithSpread(boosting).predict(world.predictors, coarse)
    points = taken(product, world, strata=["is_gap"])
    cube = calibrate(points, bounds=(-1.0, 1.0)).add(product)
    is_gap = described(product, None, "soil_moisture", ["is_gap"])["is_gap"]
    widths = [cube[ENDS[2]].values[part] for part in (is_gap, ~is_gap)]
    assert all(np.ptp(one) < 1e-6 for one in widths)
    assert widths[0].mean() > widths[1].mean()


def test_shares_of_cover_give_the_largest(
    product: xr.Dataset, world: vadose.synthetic.World
) -> None:
    fine = xr.Dataset(
        {
            "land_cover_croplands": world.predictors["sand"] * 0 + 0.3,
            "land_cover_grasslands": world.predictors["sand"] * 0 + 0.1,
        }
    )
    fine["land_cover_grasslands"][:4] = 0.6
    cover = described(product, fine, "soil_moisture", ["land_cover"])["land_cover"]
    assert cover.shape == product["soil_moisture"].shape
    assert np.unique(cover[:, :4]).size == np.unique(cover[:, 4:]).size == 1
    assert cover[0, 0, 0] != cover[0, 5, 0]


def test_what_is_missing_is_named(product: xr.Dataset, world: vadose.synthetic.World) -> None:
    intervals = calibrate(taken(product, world, count=3000))
    with pytest.raises(CubeProblem, match="found no elevation in the product or the fine cube"):
        intervals.add(product)
    bare = product.drop_vars("soil_moisture_spread")
    with pytest.raises(
        CubeProblem, match=r"expected also soil_moisture_spread\. Wrap the downscaler"
    ):
        intervals.add(bare, world.predictors)
    with pytest.raises(CubeProblem, match=r"truth: found .*expected .*as the product"):
        points_of_truth(product, world.truth["soil_moisture"].isel(time=0))
    with pytest.raises(ValueProblem, match="calibration: found 1 blocks"):
        calibrate(taken(product, world, block=8, days=400))
    ensemble = Direct(Ensemble(), PREDICTORS)
    with pytest.raises(ModelProblem, match="found samples that are sequences, expected rows"):
        points_out_of_fold(ensemble, world.coarse)
