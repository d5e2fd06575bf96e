"""Baselines are what their names say, also at gaps, rims and other days."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox

import vadose.synthetic
from vadose.cubes.regrid import nearest, smooth
from vadose.downscale.base import is_predictable
from vadose.downscale.baselines import ClimatologicalPattern, Interpolation
from vadose.errors import CubeProblem, GridProblem, ModelProblem, NoOverlap
from vadose.grids import coordinates, grid_of, latlon
from vadose.schema import ORIGIN, VARIABLES, check_cube

BASELINES = [Interpolation(nearest), Interpolation(smooth), ClimatologicalPattern()]


@pytest.fixture(scope="module")
def world() -> vadose.synthetic.World:
    return vadose.synthetic.world(size=32, days=6, factor=4, seed=0)


def ramp(world: vadose.synthetic.World, days: int = 2) -> xr.Dataset:
    """Rise by .01 from one coarse column to the next, by .1 from day to day."""
    cube = world.coarse_truth[["soil_moisture"]].isel(time=slice(0, days)).copy(deep=True)
    values = 0.1 * (1 + np.arange(days))[:, None, None] + 0.01 * np.arange(8) + np.zeros((8, 1))
    cube["soil_moisture"][:] = values
    return cube


# --- closed forms ---


def test_nearest_repeats(world: vadose.synthetic.World) -> None:
    coarse = world.coarse_truth["soil_moisture"]
    product = Interpolation(nearest).fit(world.coarse).predict(world.predictors, world.coarse_truth)
    blocks = product["soil_moisture"].values.reshape(6, 8, 4, 8, 4)
    assert (blocks == coarse.values[:, :, None, :, None]).all()


def test_smooth_is_linear_between_centres_and_held_outside(world: vadose.synthetic.World) -> None:
    field = Interpolation(smooth).predict(world.predictors, ramp(world))["soil_moisture"]
    columns = np.clip((np.arange(32) + 0.5) / 4 - 0.5, 0, 7)
    assert np.allclose(field[0], 0.1 + 0.01 * columns, rtol=0, atol=1e-7)
    assert np.allclose(field[1] - field[0], 0.1, rtol=0, atol=1e-7)


def test_climatology_is_the_smooth_mean_and_the_day_on_top(world: vadose.synthetic.World) -> None:
    """Where every day has the same pattern, it is the smooth pattern plus the day's mean."""
    coarse = ramp(world)
    baseline = ClimatologicalPattern()
    assert baseline.fit(coarse) is baseline
    field = baseline.predict(world.predictors, coarse)["soil_moisture"]
    expected = Interpolation(smooth).predict(world.predictors, coarse)["soil_moisture"]
    assert np.allclose(field, expected, rtol=0, atol=1e-6)


def test_climatology_of_days_it_has_not_seen(world: vadose.synthetic.World) -> None:
    coarse = world.coarse_truth
    baseline = ClimatologicalPattern().fit(coarse.isel(time=slice(0, 4)))
    late = coarse.isel(time=slice(4, 6))
    field = baseline.predict(world.predictors, late)["soil_moisture"]
    mean = coarse["soil_moisture"][:4].astype("f8").mean("time")
    grid = grid_of(world.predictors)
    expected = smooth(mean, grid) + nearest(late["soil_moisture"] - mean, grid)
    assert np.allclose(field, expected.transpose("time", "y", "x"), rtol=0, atol=1e-6)


def test_climatology_of_a_cell_with_gaps_is_that_of_its_days(world: vadose.synthetic.World) -> None:
    coarse = ramp(world)
    coarse["soil_moisture"][0, 0, 0] = np.nan
    coarse["soil_moisture"][:, 5, 5] = np.nan
    mean = ClimatologicalPattern().fit(coarse).mean_
    assert float(mean[0, 0]) == pytest.approx(0.2)
    assert np.isnan(mean[5, 5])


# --- gaps and origins ---


@pytest.mark.parametrize("baseline", BASELINES, ids=["nearest", "smooth", "climatology"])
def test_origin_tells_observed_cells_filled_ones_and_gaps_apart(
    baseline: Interpolation | ClimatologicalPattern, world: vadose.synthetic.World
) -> None:
    product = baseline.fit(world.coarse).predict(world.predictors, world.coarse)
    assert check_cube(product) is product
    field, origin = product["soil_moisture"], product["origin"].values
    assert (field.dtype, origin.dtype) == (np.float32, np.uint8)
    assert field.dims == ("time", "y", "x")
    has_value = field.notnull().values
    is_seen = nearest(world.coarse["soil_moisture"], grid_of(product)).notnull().values
    assert has_value[is_seen].all()
    expected = np.where(is_seen, ORIGIN.code("downscaled"), ORIGIN.code("filled"))
    assert np.array_equal(origin, np.where(has_value, expected, ORIGIN.code("masked")))
    if baseline is BASELINES[1]:
        assert (has_value & ~is_seen).any(), "smooth reaches into gaps"
    else:
        assert not (has_value & ~is_seen).any()


@pytest.mark.parametrize("baseline", BASELINES, ids=["nearest", "smooth", "climatology"])
def test_there_is_no_value_where_a_predictor_has_none(
    baseline: Interpolation | ClimatologicalPattern, world: vadose.synthetic.World
) -> None:
    fine = world.predictors[["sand", "ndvi"]].copy(deep=True)
    fine["sand"][3, 4] = np.nan
    fine["ndvi"][2, 10, 11] = np.nan
    product = baseline.fit(world.coarse_truth).predict(fine, world.coarse_truth)
    is_gap = product["soil_moisture"].isnull()
    assert is_gap[:, 3, 4].all()
    assert bool(is_gap[2, 10, 11])
    assert int(is_gap.sum()) == 7
    assert (product["origin"].values[is_gap] == ORIGIN.code("masked")).all()


def test_a_fine_cube_without_predictors_has_no_mask(world: vadose.synthetic.World) -> None:
    grid_alone = xr.Dataset(coords=coordinates(grid_of(world.predictors)))
    product = Interpolation(nearest).predict(grid_alone, world.coarse_truth)
    assert product["soil_moisture"].notnull().all()


def test_static_fields_need_no_time(world: vadose.synthetic.World) -> None:
    fine = world.predictors[["sand", "elevation"]].drop_vars("time", errors="ignore")
    coarse = world.coarse_truth[["soil_moisture"]].isel(time=0, drop=True)
    product = Interpolation(smooth).predict(fine, coarse)
    assert product["soil_moisture"].dims == ("y", "x")


# --- time and grids ---


def test_days_are_matched_by_their_stamp(world: vadose.synthetic.World) -> None:
    coarse = world.coarse_truth.isel(time=[1, 4])
    fine = world.predictors.copy(deep=True)
    fine["ndvi"][1] = np.nan
    product = Interpolation(nearest).predict(fine, coarse)
    assert np.array_equal(product["time"], coarse["time"])
    assert product["soil_moisture"].isnull().all(("y", "x")).values.tolist() == [True, False]


@pytest.mark.parametrize("baseline", BASELINES, ids=["nearest", "smooth", "climatology"])
def test_a_tile_is_predicted_as_in_the_whole_map(
    world: vadose.synthetic.World, baseline: Interpolation | ClimatologicalPattern
) -> None:
    baseline.fit(world.coarse)
    whole = baseline.predict(world.predictors, world.coarse)
    for rows, columns in ((slice(0, 3), slice(2, 4)), (slice(5, 8), slice(0, 8))):
        margin = baseline.reach(4).coarse
        assert margin == 1
        window = {
            dim: slice(max(0, span.start - margin), span.stop + margin)
            for dim, span in (("y", rows), ("x", columns))
        }
        tile = {
            "y": slice(rows.start * 4, rows.stop * 4),
            "x": slice(columns.start * 4, columns.stop * 4),
        }
        found = baseline.predict(world.predictors.isel(tile), world.coarse.isel(window))
        for name in whole:
            assert np.array_equal(found[name], whole[name].isel(tile), equal_nan=True)


def test_climatology_of_a_globe_goes_round_it() -> None:
    coarse, fine = latlon(45.0), latlon(22.5)
    rng = np.random.default_rng(0)
    dims, days = ("time", "y", "x"), {"time": np.arange(3).astype("M8[D]").astype("M8[ns]")}
    attributes = VARIABLES["soil_moisture"].attributes()

    def cube(values: np.ndarray, grid: GeoBox) -> xr.Dataset:
        return xr.Dataset(
            {"soil_moisture": (dims, values, attributes)}, coords={**coordinates(grid), **days}
        )

    values = rng.random((3, 4, 8)).astype("f4")
    land = xr.Dataset(
        {"elevation": (("y", "x"), np.ones(fine.shape, "f4"), VARIABLES["elevation"].attributes())},
        coords=coordinates(fine),
    )
    baseline = ClimatologicalPattern().fit(cube(values, coarse))
    whole = baseline.predict(land, cube(values, coarse))["soil_moisture"]
    window = cube(values[..., [6, 7, 0, 1]], latlon(45.0, (-270, -90, -90, 90)))
    found = baseline.predict(land.isel(x=slice(0, 2)), window)["soil_moisture"]
    assert np.array_equal(found, whole.isel(x=slice(0, 2)))


def test_missing_days_are_refused(world: vadose.synthetic.World) -> None:
    words = "fine cube: time: found no step at 2019-04-05.* (2 of 6 missing), expected the time"
    with pytest.raises(NoOverlap, match=re.escape(words).replace(r"\.\*", ".*")):
        Interpolation(nearest).predict(world.predictors.isel(time=slice(0, 4)), world.coarse)


def test_other_grids_are_refused(world: vadose.synthetic.World) -> None:
    with pytest.raises(GridProblem, match="whole blocks of fine cells"):
        Interpolation(nearest).predict(world.predictors.isel(x=slice(2, 30)), world.coarse)


def test_cubes_without_the_target_are_refused(world: vadose.synthetic.World) -> None:
    with pytest.raises(CubeProblem, match=r"coarse cube: found .*, expected also soil_moisture"):
        Interpolation(nearest).predict(world.predictors, world.coarse[["is_frozen"]])
    with pytest.raises(CubeProblem, match="expected also soil_moisture"):
        ClimatologicalPattern().fit(world.coarse[["is_frozen"]])
    with pytest.raises(CubeProblem, match=r"fine cube: found variables .*'sand'.*also silt, snow"):
        is_predictable(world.predictors[["sand"]], ["sand", "silt", "snow_water_equivalent"])


def test_another_target_is_downscaled_in_its_own_name(world: vadose.synthetic.World) -> None:
    baseline = Interpolation(smooth, target="root_zone_soil_moisture")
    product = baseline.fit(world.coarse_truth).predict(world.predictors, world.coarse_truth)
    assert set(product) == {"root_zone_soil_moisture", "origin", "flags"}
    assert product["root_zone_soil_moisture"].attrs["depth_to"] == 1.0


def test_climatology_needs_days_and_a_fit(world: vadose.synthetic.World) -> None:
    with pytest.raises(CubeProblem, match="found 1 time steps, expected two or more"):
        ClimatologicalPattern().fit(world.coarse.isel(time=[0]))
    with pytest.raises(CubeProblem, match="found 0 time steps"):
        ClimatologicalPattern().fit(world.coarse.isel(time=0, drop=True))
    with pytest.raises(ModelProblem, match="found no fit"):
        ClimatologicalPattern().predict(world.predictors, world.coarse)


@pytest.mark.parametrize("baseline", BASELINES, ids=["nearest", "smooth", "climatology"])
def test_a_part_of_a_cube_is_as_good_as_a_whole(
    baseline: Interpolation | ClimatologicalPattern, world: vadose.synthetic.World
) -> None:
    """Coordinates of a part are off by a rounding from those of its grid."""
    coarse = world.coarse_truth.isel(y=slice(1, 7), x=slice(1, 7))
    fine = world.predictors.isel(y=slice(4, 28), x=slice(4, 28))
    assert not np.array_equal(fine["x"], coordinates(grid_of(fine))["x"])
    product = baseline.fit(coarse).predict(fine, coarse)
    assert product["soil_moisture"].shape == (6, 24, 24)
    assert product["soil_moisture"].notnull().all()
