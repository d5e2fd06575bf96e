"""A planted lag is found, through gaps and at any step, and rain without effect gives no answer."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr

import vadose.validate.response as response_module
from vadose.errors import CubeProblem, UnknownName, ValueProblem
from vadose.validate.response import compare_responses, rain_response

DAYS = 400
GAIN = 0.002


@pytest.fixture(scope="module")
def rain() -> xr.DataArray:
    rng = np.random.default_rng(0)
    values = rng.exponential(8.0, (DAYS, 3, 4)) * (rng.random((DAYS, 3, 4)) < 0.3)
    time = np.datetime64("2019-01-01", "ns") + np.arange(DAYS) * np.timedelta64(1, "D")
    return xr.DataArray(values, dims=("time", "y", "x"), coords={"time": time, "x": np.arange(4)})


def answer(rain: xr.DataArray, lag: int, noise: float = 0.003) -> xr.DataArray:
    """Let soil moisture rise with the rain of some days before, and dry by a tenth each day."""
    rng = np.random.default_rng(1)
    wet = rain.shift(time=lag).fillna(0.0).values
    soil = np.zeros(rain.shape)
    for day in range(1, DAYS):
        soil[day] = 0.9 * soil[day - 1] + GAIN * wet[day]
    return rain.copy(data=soil + noise * rng.standard_normal(rain.shape))


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_a_planted_lag_and_gain_are_found(rain: xr.DataArray, lag: int) -> None:
    told = rain_response({"soil": answer(rain, lag)}, rain)
    assert (told["lag_of_response"] == lag).all()
    assert (told["n"] == DAYS - 5).all()
    np.testing.assert_allclose(told["gain"], GAIN, rtol=0.15)
    assert float(told["strength"].min()) > 0.7
    np.testing.assert_array_equal(told["strength"], told["correlation"].max("lag"))


def test_correlations_are_those_of_numpy_on_the_pairs_that_are_there(rain: xr.DataArray) -> None:
    rng = np.random.default_rng(2)
    soil = answer(rain, 1).where(rng.random(rain.shape) > 0.3)
    gappy_rain = rain.where(rng.random(rain.shape) > 0.02)
    told = rain_response({"soil": soil}, gappy_rain, longest_step=3, lags=2)
    s, p = soil.values[:, 1, 2], gappy_rain.values[:, 1, 2]
    known = np.flatnonzero(np.isfinite(s))
    rows = []
    for before, after in itertools.pairwise(known):
        windows = [slice(before + 1 - lag, after + 1 - lag) for lag in range(3)]
        if after - before > 3 or windows[-1].start < 0:
            continue
        amounts = [p[one].sum() for one in windows]
        if np.isfinite(amounts).all():
            rows.append((s[after] - s[before], *amounts))
    table = np.array(rows).T
    assert int(told["n"][1, 2]) == table.shape[1]
    for lag in range(3):
        found = float(told["correlation"].sel(product="soil", lag=lag)[1, 2])
        assert found == pytest.approx(np.corrcoef(table[0], table[1 + lag])[0, 1], rel=1e-9)


def test_days_that_are_no_stamps_are_gaps(rain: xr.DataArray) -> None:
    """Of a record with missing stamps the increments over them do not count, nor their rain."""
    soil = answer(rain, 1)
    is_kept = np.random.default_rng(3).random(DAYS) > 0.2
    holed = xr.DataArray(is_kept, dims="time", coords={"time": rain["time"]})
    by_stamps = rain_response({"soil": soil[is_kept]}, rain[is_kept], lags=2)
    by_gaps = rain_response({"soil": soil.where(holed)}, rain.where(holed), lags=2)
    xr.testing.assert_allclose(by_stamps, by_gaps, rtol=1e-9)


def test_a_satellite_with_gaps_answers_over_longer_steps(rain: xr.DataArray) -> None:
    seen = answer(rain, 0).isel(time=slice(None, None, 3)).reindex(time=rain["time"])
    alone = rain_response({"soil": seen}, rain)
    assert (alone["n"] == 0).all()
    assert np.isnan(alone["strength"]).all()
    told = rain_response({"soil": seen}, rain, longest_step=3)
    assert (told["lag_of_response"] == 0).all()


def test_rain_without_effect_gives_no_answer(rain: xr.DataArray) -> None:
    """One place in twenty may answer by chance."""
    rng = np.random.default_rng(4)
    many = rain.isel(y=[0] * 20, x=[0] * 20).drop_vars("x")
    nothing = many.copy(data=np.cumsum(rng.standard_normal(many.shape), axis=0))
    told = rain_response({"walk": nothing}, many)
    share = float(told["lag_of_response"].notnull().mean())
    assert 0.02 < share < 0.09
    constant = rain_response({"same": xr.full_like(rain, 0.3)}, rain)
    assert np.isnan(constant["correlation"]).all()
    assert np.isnan(constant["lag_of_response"]).all()


def test_few_increments_give_no_answer(rain: xr.DataArray) -> None:
    short = rain.isel(time=slice(0, 30))
    told = rain_response({"soil": answer(rain, 0).isel(time=slice(0, 30))}, short)
    assert (told["n"] == 25).all()
    assert np.isnan(told["strength"]).all()


def test_products_are_compared_on_the_same_increments(rain: xr.DataArray) -> None:
    soil, late = answer(rain, 0), answer(rain, 2)
    gappy = late.where(np.random.default_rng(5).random(rain.shape) > 0.3)
    both = rain_response({"truth": soil, "late": gappy}, rain)
    alone = rain_response({"truth": soil.where(gappy.notnull())}, rain)
    np.testing.assert_allclose(
        both["correlation"].sel(product="truth"), alone["correlation"].sel(product="truth")
    )


def test_answers_are_compared_with_a_reference(rain: xr.DataArray) -> None:
    noise = np.random.default_rng(6).standard_normal(rain.shape)
    products = {
        "stations": answer(rain, 0, noise=0.0),
        "late": answer(rain, 1, noise=0.0),
        "weak": 0.5 * answer(rain, 0, noise=0.0),
        "noise": rain.copy(data=noise),
    }
    told = compare_responses(rain_response(products, rain), "stations")
    assert told["same_lag"].sel(product=["stations", "late", "weak"]).values.tolist() == [1, 0, 1]
    assert told["mean_delay"].sel(product=["stations", "late", "weak"]).values.tolist() == [0, 1, 0]
    np.testing.assert_allclose(told["strength_ratio"].sel(product="weak"), 1.0)
    np.testing.assert_allclose(told["gain_ratio"].sel(product="weak"), 0.5)
    assert int(told["n_silent"].sel(product="noise")) >= 10
    reverse = compare_responses(rain_response(products, rain), "noise")
    assert int(reverse["n_false"].sel(product="weak")) == int(told["n_silent"].sel(product="noise"))
    with pytest.raises(UnknownName, match=r"reference 'station'.*Did you mean 'stations'"):
        compare_responses(rain_response(products, rain), "station")


def test_blocks_chunks_and_order_of_dims_change_nothing(
    rain: xr.DataArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    soil = answer(rain, 1)
    whole = rain_response({"soil": soil}, rain)
    monkeypatch.setattr(response_module, "BLOCK", 3 * DAYS)
    parts = rain_response({"soil": soil.chunk({"x": 2}).transpose("x", "time", "y")}, rain.chunk())
    xr.testing.assert_identical(parts, whole)


def test_one_series_has_no_places(rain: xr.DataArray) -> None:
    soil = answer(rain, 1)
    one = rain_response({"soil": soil[:, 1, 2]}, rain[:, 1, 2])
    assert one["lag_of_response"].dims == ("product",)
    whole = rain_response({"soil": soil}, rain)
    np.testing.assert_allclose(one["correlation"], whole["correlation"][:, :, 1, 2])


def test_what_does_not_fit_is_refused(rain: xr.DataArray) -> None:
    soil = answer(rain, 0)
    with pytest.raises(CubeProblem, match=r"soil: found dimensions \('time', 'x'\)"):
        rain_response({"soil": soil[:, 0]}, rain)
    with pytest.raises(CubeProblem, match="soil: found other days or places"):
        rain_response({"soil": soil[1:]}, rain)
    with pytest.raises(CubeProblem, match="precipitation: found no time"):
        rain_response({"soil": soil}, rain.drop_vars("time"))
    hourly = rain.assign_coords(
        time=rain["time"].values[0] + np.arange(DAYS) * np.timedelta64(1, "h")
    )
    with pytest.raises(CubeProblem, match=r"more than one a day.*to_daily"):
        rain_response({"soil": hourly}, hourly)
    with pytest.raises(ValueProblem, match=r"products: found \[\], expected one or more"):
        rain_response({}, rain)
    with pytest.raises(ValueProblem, match="response: found lags=-1"):
        rain_response({"soil": soil}, rain, lags=-1)
