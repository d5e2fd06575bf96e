"""Intervals of gains are paired, follow the sign of the gain, and do not depend on what stands beside."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from vadose.errors import UnknownName
from vadose.uncertainty.intervals import difference_interval
from vadose.validate.gain_intervals import GAINS, add_gain_intervals
from vadose.validate.paired import gains_over


@pytest.fixture(scope="module")
def matchup() -> xr.Dataset:
    """Make a coarse input, its copy and a product with half of the error, for 70 stations and 150 days."""
    rng = np.random.default_rng(0)
    reading = 0.25 + 0.05 * rng.standard_normal((70, 150))
    noise = 0.04 * rng.standard_normal(reading.shape)
    values = np.stack([reading + noise + 0.02, reading + noise + 0.02, reading + noise / 2])
    is_pair = rng.random(reading.shape) < 0.8
    # a station of a coarse input that does not vary
    values[:2, 5] = 0.3
    return xr.Dataset(
        {
            "value": (("product", "station", "time"), values),
            "reading": (("station", "time"), reading),
            "is_pair": (("station", "time"), is_pair),
            "n": (("product", "station"), np.stack([is_pair.sum(axis=1)] * 3)),
        },
        coords={
            "product": ["nearest", "copy", "better"],
            "time": np.datetime64("2019-01-01", "ns") + np.arange(150) * np.timedelta64(1, "D"),
        },
    )


@pytest.fixture(scope="module")
def gains(matchup: xr.Dataset) -> xr.Dataset:
    return add_gain_intervals(gains_over(matchup, "nearest"), matchup, rng=3, draws=100)


@pytest.mark.parametrize("gain", GAINS)
def test_an_equal_product_gains_exactly_nothing_and_a_better_one_something(
    gains: xr.Dataset, gain: str
) -> None:
    for product in ("nearest", "copy"):
        for end in ("lower", "upper"):
            assert (gains[f"{gain}_{end}"].sel(product=product) == 0).all()
        assert not gains[f"{gain}_is_too_short"].sel(product=product).any()
    own = gains.sel(product="better").isel(station=np.r_[0:5, 6:70])
    assert (own[f"{gain}_lower"] <= own[gain]).all()
    assert (own[gain] <= own[f"{gain}_upper"]).all()
    assert (own[f"{gain}_lower"] > 0).mean() > 0.7


def test_each_interval_is_that_of_its_series_whatever_stands_beside(
    matchup: xr.Dataset, gains: xr.Dataset
) -> None:
    few = matchup.isel(station=[66, 3])
    alone = add_gain_intervals(gains_over(few, "nearest"), few, rng=3, draws=100)
    for name in GAINS:
        for end in ("lower", "upper"):
            expected = gains[f"{name}_{end}"].isel(station=[66, 3])
            assert np.allclose(alone[f"{name}_{end}"], expected, rtol=1e-12)
    seed = int(np.random.default_rng(3).integers(2**63))
    sample = matchup["is_pair"].values[3]
    series = [np.where(sample, matchup["value"].values[row, 3], np.nan) for row in (2, 0)]
    found = difference_interval(
        *series,
        matchup["reading"].values[3],
        metric="rmse",
        rng=np.random.default_rng(seed),
        draws=100,
    )
    one = gains.sel(product="better").isel(station=3)
    assert float(one["delta_rmse_upper"]) == pytest.approx(-float(found.lower), rel=1e-12)
    assert float(one["delta_rmse_lower"]) == pytest.approx(-float(found.upper), rel=1e-12)


def test_an_undefined_correlation_has_no_interval_but_its_errors_have(gains: xr.Dataset) -> None:
    own = gains.sel(product="better").isel(station=5)
    assert np.isnan(float(own["delta_r_lower"]))
    assert bool(own["delta_r_is_too_short"])
    assert (
        float(own["delta_rmse_lower"]) < float(own["delta_rmse"]) < float(own["delta_rmse_upper"])
    )


def test_another_matchup_is_refused(matchup: xr.Dataset) -> None:
    gains = gains_over(matchup, "nearest")
    with pytest.raises(UnknownName, match="coarse input 'nearest': found no such name"):
        add_gain_intervals(gains, matchup.isel(product=[2]), rng=0)
