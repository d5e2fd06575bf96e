"""Observed values stand or are replaced as asked, every value has an origin, and nothing leaves its bounds."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from vadose.errors import CubeProblem, UnknownName
from vadose.fuse.gap_error import GapError
from vadose.fuse.seamless import BOUNDS, seamless
from vadose.samples.gaps import gap_ages, lay_gaps
from vadose.schema import ORIGIN, QUALITY, check_cube
from vadose.synthetic import World, world


@pytest.fixture(scope="module")
def small() -> World:
    return world(size=32, days=40, factor=4, seed=2)


def origin_counts(cube: xr.Dataset) -> dict[str, int]:
    numbers = np.bincount(cube["origin"].values.ravel(), minlength=len(ORIGIN.meanings))
    return {name: int(numbers[ORIGIN.code(name)]) for name in ORIGIN.meanings}


def test_observed_values_are_kept_to_the_bit(small: World) -> None:
    estimate = small.land_model["soil_moisture"].astype("f4")
    cube = seamless(small.coarse, estimate)
    seen = small.coarse["soil_moisture"]
    is_seen = seen.notnull().values
    np.testing.assert_array_equal(cube["soil_moisture"].values[is_seen], seen.values[is_seen])
    np.testing.assert_array_equal(cube["soil_moisture"].values[~is_seen], estimate.values[~is_seen])
    counts = origin_counts(cube)
    assert counts["observed"] == is_seen.sum()
    assert counts["filled"] == (~is_seen).sum()
    check_cube(cube)


def test_the_fused_field_takes_their_place_if_asked(small: World) -> None:
    estimate = small.land_model["soil_moisture"].astype("f4")
    cube = seamless(small.coarse, estimate, observed="replace")
    np.testing.assert_array_equal(cube["soil_moisture"].values, estimate.values)
    counts = origin_counts(cube)
    assert counts["observed"] == 0
    assert counts["fused"] == int(small.coarse["soil_moisture"].notnull().sum())


def test_estimates_are_brought_into_bounds_and_observations_are_not(small: World) -> None:
    seen = small.coarse["soil_moisture"]
    wet = seen.where(~(seen["x"] == seen["x"][0]), 0.7)
    satellite = small.coarse.assign(soil_moisture=wet)
    cube = seamless(satellite, xr.full_like(seen, 0.9))
    filled = cube["soil_moisture"].values[wet.isnull().values]
    assert filled.max() == np.float32(BOUNDS[1])
    assert float(cube["soil_moisture"].max()) == np.float32(0.7)  # it is what the satellite says
    low = seamless(satellite, xr.full_like(seen, -0.2))
    assert float(low["soil_moisture"].min()) == BOUNDS[0]


def test_gaps_are_told_by_length_and_age(small: World) -> None:
    cube = seamless(small.coarse, small.land_model["soil_moisture"])
    ages = gap_ages(small.coarse["soil_moisture"].notnull())
    np.testing.assert_array_equal(cube["gap_length"].values, ages["length"].values.astype("f4"))
    is_seen = small.coarse["soil_moisture"].notnull().values
    assert np.isnan(cube["gap_age"].values[is_seen]).all()
    assert (cube["gap_age"].values[~is_seen] > 0).all()


def test_reasons_mask_only_where_they_are_named(small: World) -> None:
    quality = small.coarse["quality"]
    bit = QUALITY.mask("precipitation")
    assert ((quality & bit) != 0).any()
    kept = seamless(small.coarse, small.land_model["soil_moisture"])
    assert kept["soil_moisture"].notnull().all()
    masked = seamless(small.coarse, small.land_model["soil_moisture"], mask=["precipitation"])
    is_masked = ((quality & bit) != 0).values
    assert np.isnan(masked["soil_moisture"].values[is_masked]).all()
    assert (masked["origin"].values[is_masked] == ORIGIN.code("masked")).all()
    assert (
        masked["soil_moisture"].values[~is_masked].size
        == np.isfinite(masked["soil_moisture"].values).sum()
    )
    with pytest.raises(UnknownName, match="froze"):
        seamless(small.coarse, small.land_model["soil_moisture"], mask=["froze"])
    with pytest.raises(CubeProblem, match="no quality"):
        seamless(
            small.coarse[["soil_moisture"]], small.land_model["soil_moisture"], mask=["frozen"]
        )


def test_a_gap_of_the_estimate_is_missing_and_said_to_be(small: World) -> None:
    estimate = small.land_model["soil_moisture"].where(lambda one: one["y"] > one["y"][-1])
    cube = seamless(small.coarse, estimate.transpose("time", "y", "x"))
    is_empty = np.isnan(cube["soil_moisture"].values)
    assert is_empty.any()
    assert (cube["origin"].values[is_empty] == ORIGIN.code("missing")).all()


def test_uncertainty_of_filled_values_stands_beside_the_satellites_own(small: World) -> None:
    seen = small.coarse["soil_moisture"]
    hidden = lay_gaps(seen, rng=0, share=0.2)
    mean = seen.mean("time").broadcast_like(seen).transpose(*seen.dims)
    error = GapError().fit(mean, seen, hidden)
    own = xr.full_like(seen, 0.037).where(seen.notnull())
    told = seamless(small.coarse.assign(soil_moisture_uncertainty=own), mean, error=error)
    is_seen = seen.notnull().values
    assert (told["soil_moisture_uncertainty"].values[is_seen] == np.float32(0.037)).all()
    assert (told["soil_moisture_uncertainty"].values[~is_seen] > 0).all()
    lower, upper = (told[f"soil_moisture_{end}"].values[~is_seen] for end in ("lower", "upper"))
    values = told["soil_moisture"].values[~is_seen]
    assert ((lower <= values) & (values <= upper)).all()
    assert "soil_moisture_uncertainty" in told["soil_moisture"].attrs["ancillary_variables"]
