"""What flags doubt is masked for the reasons named, and counted."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from vadose.cubes.quality import apply_quality
from vadose.errors import CubeProblem, UnknownName
from vadose.grids import coordinates, latlon
from vadose.schema import ORIGIN, QUALITY, VARIABLES, check_cube

GRID = latlon(30.0)
FROZEN, SNOW, URBAN = (QUALITY.mask(reason) for reason in ("frozen", "snow", "urban"))


def cube(seed=0, gaps=0.2):
    rng = np.random.default_rng(seed)
    shape = (3, 6, 12)
    moisture = rng.random(shape).astype("f4")
    moisture[rng.random(shape) < gaps] = np.nan
    bits = rng.choice([0, FROZEN, SNOW, FROZEN | SNOW, URBAN], shape).astype("u2")
    dims = ("time", "y", "x")
    variables = {
        "soil_moisture": (dims, moisture),
        "quality": (dims, bits),
        "origin": (dims, np.where(np.isnan(moisture), 0, 1).astype("u1")),
        "elevation": (dims[1:], rng.random(shape[1:])),
    }
    coords = coordinates(GRID) | {"time": np.arange(3).astype("M8[D]").astype("M8[ns]")}
    table = {n: (d, v, VARIABLES[n].attributes()) for n, (d, v) in variables.items()}
    return xr.Dataset(table, coords=coords)


def test_only_named_reasons_mask_and_counts_are_exact():
    before = cube()
    after, (counts,) = apply_quality(before, drop=("frozen", "snow"))
    bits = before["quality"].values
    valid = before["soil_moisture"].notnull().values
    doubted = (bits & (FROZEN | SNOW)) != 0
    np.testing.assert_array_equal(after["soil_moisture"].notnull(), valid & ~doubted)
    kept = valid & ~doubted
    assert (after["soil_moisture"].values[kept] == before["soil_moisture"].values[kept]).all()
    assert counts.valid_before == valid.sum()
    assert counts.masked == (valid & doubted).sum()
    assert counts.total["frozen"] == (valid & ((bits & FROZEN) != 0)).sum()
    assert counts.exclusive["frozen"] == (valid & (bits == FROZEN)).sum()
    assert list(counts.total) == ["frozen", "snow"]
    assert after["soil_moisture"].attrs["quality_masked"] == counts.masked
    np.testing.assert_array_equal(after["quality"], bits)
    np.testing.assert_array_equal(after["elevation"], before["elevation"])
    check_cube(after)


def test_origin_says_masked_where_a_value_was():
    before = cube()
    after, (counts,) = apply_quality(before, drop=("urban",))
    assert int((after["origin"] == ORIGIN.code("masked")).sum()) == counts.masked
    assert after["origin"].dtype == np.uint8
    still = before["soil_moisture"].isnull().values
    assert (after["origin"].values[still] == 0).all()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), drop=st.sets(st.sampled_from(["frozen", "snow", "urban"])))
def test_counts_add_up_and_lazy_is_the_same(seed, drop):
    before = cube(seed)
    after, (counts,) = apply_quality(before, drop=sorted(drop))
    assert counts.masked <= sum(counts.total.values())
    assert sum(counts.exclusive.values()) <= counts.masked
    assert int(after["soil_moisture"].notnull().sum()) == counts.valid_before - counts.masked
    lazy, again = apply_quality(before.chunk(time=1, x=5), drop=sorted(drop))
    assert lazy["soil_moisture"].chunks is not None
    xr.testing.assert_identical(lazy.compute(), after)
    assert again == [counts]
    twice, (none,) = apply_quality(after, drop=sorted(drop))
    assert none.masked == 0
    xr.testing.assert_equal(twice, after)


def test_no_reason_masks_nothing_and_says_so():
    before = cube()
    after, (counts,) = apply_quality(before, drop=())
    xr.testing.assert_equal(after, before)
    assert counts.masked == 0
    assert after["soil_moisture"].attrs["quality_dropped"] == "nothing"


def test_wrong_requests_are_refused():
    before = cube()
    with pytest.raises(UnknownName, match=r"quality reason 'cloudy'.*Did you mean 'cloud'"):
        apply_quality(before, drop=("cloudy",))
    with pytest.raises(CubeProblem, match="also quality"):
        apply_quality(before.drop_vars("quality"), drop=("frozen",))
    with pytest.raises(UnknownName, match="variable of the cube 'ndvi'"):
        apply_quality(before, drop=("frozen",), variables=["ndvi"])
    with pytest.raises(CubeProblem, match="which has no gap"):
        apply_quality(before, drop=("frozen",), variables=["origin"])
    with pytest.raises(CubeProblem, match="those of quality"):
        apply_quality(before, drop=("frozen",), variables=["elevation"])
