"""The filtered surface is nearer to the root zone than the surface is, and says where it comes from."""

from __future__ import annotations

from typing import Self

import numpy as np
import pytest
import xarray as xr

import vadose.synthetic
from vadose.cubes.exponential_filter import exponential_filter
from vadose.cubes.regrid import smooth
from vadose.downscale.base import as_cube
from vadose.downscale.baselines import Interpolation
from vadose.downscale.conserve import Closed
from vadose.downscale.root_zone import ROOT_ZONE, SoilWaterIndex
from vadose.errors import CubeProblem, ModelProblem
from vadose.schema import ORIGIN, check_cube

DAYS = 150


class Oracle:
    """Know the true fine surface, with gaps where it is told to."""

    target = "soil_moisture"

    def __init__(self, truth: xr.DataArray) -> None:
        self.truth = truth

    def fit(self, coarse: xr.Dataset) -> Self:
        return self

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        origin = xr.where(self.truth.isnull(), ORIGIN.code("missing"), ORIGIN.code("downscaled"))
        return as_cube(self.truth, self.target, origin)


@pytest.fixture(scope="module")
def world() -> vadose.synthetic.World:
    return vadose.synthetic.world(size=16, days=DAYS, factor=4, seed=1)


@pytest.fixture(scope="module")
def fitted(world: vadose.synthetic.World) -> SoilWaterIndex:
    below = SoilWaterIndex(Interpolation(smooth))
    assert below.fit(world.coarse_truth) is below
    return below


def error(product: xr.DataArray, world: vadose.synthetic.World) -> float:
    left = product.values - world.truth[ROOT_ZONE].values
    assert np.isfinite(left).all()
    return float(np.sqrt(np.mean(left**2)))


# --- what it is worth ---


def test_beats_the_surface_itself_in_place_of_the_root_zone(world, fitted):
    surface = fitted.inner.predict(world.predictors, world.coarse_truth)["soil_moisture"]
    product = fitted.predict(world.predictors, world.coarse_truth)[ROOT_ZONE]
    assert error(product, world) < 0.7 * error(surface, world)


def test_beats_the_surface_rescaled_as_well_as_can_be(world, fitted):
    """Not the rescaling alone is of use: the past is."""
    truth, surface = world.coarse_truth, world.truth["soil_moisture"].astype("f8")
    line = np.polyfit(
        truth["soil_moisture"].values.ravel(), truth[ROOT_ZONE].values.ravel().astype("f8"), 1
    )
    rescaled = surface.copy(data=np.polyval(line, surface.values))
    product = SoilWaterIndex(Oracle(surface)).fit(truth).predict(world.predictors, truth)
    assert error(product[ROOT_ZONE], world) < 0.9 * error(rescaled, world)
    assert 5.0 <= fitted.time_constant_ <= 60.0
    assert 0.5 < fitted.correlation_ < 1.0


def test_is_the_filtered_surface_on_a_line(world, fitted):
    surface = fitted.inner.predict(world.predictors, world.coarse_truth)["soil_moisture"]
    index = exponential_filter(surface.astype("f8"), time_constant=fitted.time_constant_)
    product = fitted.predict(world.predictors, world.coarse_truth)[ROOT_ZONE]
    np.testing.assert_allclose(product, fitted.offset_ + fitted.gain_ * index, atol=1e-6)


def test_finds_the_numbers_that_made_the_root_zone(world):
    coarse = world.coarse[["soil_moisture"]].isel(y=slice(0, 4))
    made = 0.05 + 0.8 * exponential_filter(coarse["soil_moisture"].astype("f8"), time_constant=15.0)
    made = made.where(np.random.default_rng(0).random(made.shape) > 0.4)
    root = made.astype("f4").assign_attrs(world.coarse_truth[ROOT_ZONE].attrs)
    below = SoilWaterIndex(Interpolation()).fit(coarse.assign({ROOT_ZONE: root}))
    assert below.time_constant_ == 15.0
    assert (below.gain_, below.offset_) == pytest.approx((0.8, 0.05), abs=1e-5)
    assert below.correlation_ == pytest.approx(1.0, abs=1e-6)


# --- what comes out ---


def test_product_is_a_cube_of_the_root_zone(world, fitted):
    product = fitted.predict(world.predictors, world.coarse_truth)
    assert check_cube(product) is product
    assert set(product) == {ROOT_ZONE, "origin", "flags"}
    assert product[ROOT_ZONE].attrs["depth_to"] == 1.0
    assert product[ROOT_ZONE].attrs["long_name"] == "root-zone soil moisture"
    assert (product["origin"] == ORIGIN.code("downscaled")).all()


def test_the_coarse_root_zone_is_needed_for_the_fit_alone(world, fitted):
    whole = fitted.predict(world.predictors, world.coarse_truth)
    without = fitted.predict(world.predictors, world.coarse_truth.drop_vars(ROOT_ZONE))
    assert without.identical(whole)


def test_gaps_of_the_surface_are_held_and_said_to_be_filled(world):
    truth = world.truth["soil_moisture"].copy(deep=True)
    truth[:3, 0, 0] = np.nan
    truth[10:15, 1, 1] = np.nan
    truth[:, 2, 2] = np.nan
    below = SoilWaterIndex(Oracle(truth)).fit(world.coarse_truth)
    product = below.predict(world.predictors, world.coarse_truth)
    field, origin = product[ROOT_ZONE].values, product["origin"].values
    is_gap = np.isnan(field)
    assert is_gap[:3, 0, 0].all()
    assert is_gap[:, 2, 2].all()
    assert is_gap.sum() == 3 + DAYS
    assert (origin[is_gap] == ORIGIN.code("missing")).all()
    assert (origin[10:15, 1, 1] == ORIGIN.code("filled")).all()
    assert (field[10:15, 1, 1] == field[9, 1, 1]).all()
    assert (origin == ORIGIN.code("filled")).sum() == 5


def test_stays_in_the_valid_range(world):
    below = SoilWaterIndex(Interpolation()).fit(world.coarse_truth)
    below.gain_, below.offset_ = 20.0, -4.0
    product = below.predict(world.predictors, world.coarse_truth)[ROOT_ZONE]
    assert (float(product.min()), float(product.max())) == (0.0, 1.0)


def test_can_be_closed_like_any_downscaler(world, fitted):
    product = Closed(fitted).predict(world.predictors, world.coarse_truth)
    assert float(abs(product["closure_residual"]).max()) < 1e-3
    assert error(product[ROOT_ZONE], world) < error(
        fitted.predict(world.predictors, world.coarse_truth)[ROOT_ZONE], world
    )


def test_chunks_do_not_matter(world, fitted):
    whole = fitted.predict(world.predictors, world.coarse_truth)
    lazy = fitted.predict(
        world.predictors.chunk({"time": 30, "y": 8}), world.coarse_truth.chunk({"time": 50})
    )
    assert lazy.compute().identical(whole)


# --- what is refused ---


def test_without_a_fit_there_is_nothing_to_predict(world):
    with pytest.raises(ModelProblem, match=r"soil water index: found no fit\. Call fit first"):
        SoilWaterIndex(Interpolation()).predict(world.predictors, world.coarse_truth)


def test_cubes_without_root_zone_or_time_are_refused(world):
    with pytest.raises(CubeProblem, match=r"coarse cube: found .*also root_zone_soil_moisture"):
        SoilWaterIndex(Interpolation()).fit(world.coarse)
    with pytest.raises(CubeProblem, match="found no dimension time"):
        SoilWaterIndex(Interpolation()).fit(world.coarse_truth.isel(time=0, drop=True))


def test_a_period_too_short_to_learn_from_is_refused(world):
    short = world.coarse_truth.isel(time=slice(0, 5))
    with pytest.raises(ModelProblem, match=r"no cell with 10 common steps.* give a longer period"):
        SoilWaterIndex(Interpolation()).fit(short)
