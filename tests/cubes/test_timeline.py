"""Days, exact on examples that fit in the head."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from vadose.cubes.antecedent import antecedent
from vadose.cubes.timeline import hold_to_days, interpolate_to_days, to_daily
from vadose.errors import CubeProblem, RecipeProblem, UnknownName
from vadose.grids import coordinates, latlon, lonlat
from vadose.schema import QUALITY, VARIABLES, check_cube, variable

GRID = latlon(90.0)  # centres at -135, -45, 45, 135 degrees east; two rows


def cube(values, times, name="air_temperature", grid=GRID):
    """Make a cube; a flat list stands for maps that are the same everywhere."""
    values = np.asarray(values)
    if values.ndim == 1:
        values = np.broadcast_to(values[:, None, None], (values.size, *grid.shape)).copy()
    coords = coordinates(grid) | {"time": np.asarray(times, "M8[ns]")}
    attrs = VARIABLES[name].attributes()
    return xr.Dataset({name: (("time", "y", "x"), values, attrs)}, coords=coords)


def hours(first, step, count):
    return pd.date_range(first, periods=count, freq=f"{step}h").values


def at(result, name="air_temperature"):
    return result[name].values[:, 0, 0]


def test_three_hourly_steps_make_exact_days_in_utc():
    # the night in which European clocks change, and a leap day
    for first in ("2019-03-31", "2020-02-29"):
        daily = to_daily(cube(np.arange(16.0), hours(first, 3, 16)), minimum_steps=8)
        assert at(daily).tolist() == [3.5, 11.5]
        assert daily["time"].values[0] == np.datetime64(first)
        assert (np.diff(daily["time"].values) == np.timedelta64(1, "D")).all()
        assert daily["air_temperature"].attrs["cell_methods"] == "time: mean"
        check_cube(daily)


def test_half_hourly_rates_stay_rates_and_their_sum_counts_what_is_there():
    rates = np.zeros(48)
    rates[:24] = 10.0  # 10 mm a day for half a day: 5 mm
    times = pd.date_range("2019-07-01", periods=48, freq="30min").values
    rain = cube(rates, times, "precipitation")
    assert at(to_daily(rain, minimum_steps=48), "precipitation").tolist() == [5.0]
    rain["precipitation"][:12] = np.nan
    mean = to_daily(rain, minimum_steps=24)
    amount = to_daily(rain, minimum_steps=24, rules={"precipitation": "sum"})
    assert at(mean, "precipitation")[0] == pytest.approx(120 / 36)
    assert at(amount, "precipitation")[0] == pytest.approx(2.5)
    assert amount["precipitation"].attrs["cell_methods"] == "time: sum"


def test_minimum_count_and_empty_days_are_gaps():
    times = [*hours("2019-07-01", 6, 4), *hours("2019-07-03", 6, 2)]
    values = [1.0, np.nan, 3.0, 5.0, 7.0, 9.0]
    three = to_daily(cube(values, times), minimum_steps=3)
    np.testing.assert_array_equal(at(three), [3.0, np.nan, np.nan])
    two = to_daily(cube(values, times), minimum_steps=2)
    np.testing.assert_array_equal(at(two), [3.0, np.nan, 8.0])
    low = to_daily(cube(values, times), minimum_steps=1, rules={"air_temperature": "min"})
    np.testing.assert_array_equal(at(low), [1.0, np.nan, 7.0])


def test_codes_vote_flags_unite_and_static_layers_stay():
    times = hours("2019-07-01", 6, 8)
    codes = cube(np.array([9, 4, 4, 9, 255, 255, 255, 7], "u1"), times, "land_cover")
    frozen = cube(np.array([0, 0, 0, 1, 0, 0, 0, 0], "u1"), times, "is_frozen")
    bits = [QUALITY.mask("snow"), 0, QUALITY.mask("frozen"), 0, 0, 0, 0, 0]
    flags = cube(np.array(bits, "u2"), times, "quality")
    steps = codes.assign(is_frozen=frozen["is_frozen"], quality=flags["quality"])
    steps["elevation"] = (("y", "x"), np.ones(tuple(GRID.shape)))
    daily = to_daily(steps, minimum_steps=2, rules={"is_frozen": "any"})
    assert at(daily, "land_cover").tolist() == [4, 255]
    assert at(daily, "is_frozen").tolist() == [1, 0]
    assert at(daily, "quality").tolist() == [QUALITY.mask("snow", "frozen"), 0]
    assert daily["elevation"].dims == ("y", "x")
    assert daily["land_cover"].dtype == np.uint8


def test_local_solar_days_follow_the_longitude():
    # the sun is 9 h and 3 h behind or ahead at ∓135 and ∓45 degrees
    daily = to_daily(
        cube(
            [1.0, 2.0, 3.0, 4.0],
            ["2019-07-01T05", "2019-07-01T10", "2019-07-01T14", "2019-07-01T22"],
        ),
        minimum_steps=1,
        clock="local_solar",
    )
    found = daily["air_temperature"].values[:, 0]
    assert daily["time"].values.astype("M8[D]").astype(str).tolist() == [
        "2019-06-30",
        "2019-07-01",
        "2019-07-02",
    ]
    np.testing.assert_array_equal(found[0], [1.0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(found[1], [3.0, 2.5, 2.0, 2.0])
    np.testing.assert_array_equal(found[2], [np.nan, np.nan, 4.0, 4.0])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), clock=st.sampled_from(["utc", "local_solar"]))
def test_days_equal_a_plain_loop_and_do_not_depend_on_chunks(seed, clock):
    rng = np.random.default_rng(seed)
    grid = latlon(30.0)
    minutes = np.sort(rng.choice(5 * 1440, 20, replace=False))
    times = np.datetime64("2019-12-30T00:00", "ns") + minutes * np.timedelta64(1, "m")
    values = rng.random((20, *grid.shape)).astype("f4")
    values[rng.random(values.shape) < 0.3] = np.nan
    steps = cube(values, times, grid=grid)
    found = to_daily(steps, minimum_steps=2, clock=clock)
    lazy = to_daily(steps.chunk(time=3, x=5, y=4), minimum_steps=2, clock=clock)
    assert lazy["air_temperature"].chunks is not None
    xr.testing.assert_identical(lazy.compute(), found)
    longitude = lonlat(grid)[0]
    for row, column in rng.integers(0, [6, 12], (4, 2)):
        ahead = longitude[row, column] * 4.0 if clock == "local_solar" else 0.0
        days = (times + np.timedelta64(round(ahead), "m")).astype("M8[D]")
        for day in found["time"].values:
            chosen = values[days == day.astype("M8[D]"), row, column]
            chosen = chosen[np.isfinite(chosen)]
            expected = chosen.astype("f8").mean() if chosen.size >= 2 else np.nan
            one = found["air_temperature"].sel(time=day).values[row, column]
            np.testing.assert_allclose(one, expected, rtol=1e-6)


def test_composites_are_held_through_their_period_and_no_longer():
    ndvi = cube([0.2, 0.4, 0.6], ["2019-12-03", "2019-12-19", "2020-01-01"], "ndvi")
    days = np.arange("2019-12-02", "2020-01-18", dtype="M8[D]")
    held = hold_to_days(ndvi, days)
    found = dict(zip(days.astype(str), at(held, "ndvi"), strict=True))
    assert np.isnan(found["2019-12-02"])
    assert [found[f"2019-12-{day}"] for day in ("03", "18", "19", "31")] == [0.2, 0.2, 0.4, 0.4]
    assert (
        found["2020-01-01"] == found["2020-01-16"] == 0.6
    )  # the new year's wins where two overlap
    assert np.isnan(found["2020-01-17"])
    xr.testing.assert_identical(hold_to_days(ndvi.chunk(time=1), days).compute(), held)
    check_cube(held)
    codes = cube(np.array([7], "u1"), ["2019-12-03"], "land_cover")
    assert at(hold_to_days(codes, days[:2]), "land_cover").tolist() == [255, 7]


def test_composites_are_interpolated_between_the_middles_of_their_periods():
    ndvi = cube(
        [0.0, 1.6, np.nan, 0.5, 0.1], np.datetime64("2020-02-05") + 16 * np.arange(5), "ndvi"
    )
    days = np.arange("2020-02-04", "2020-05-01", dtype="M8[D]")
    linear = interpolate_to_days(ndvi, days)
    found = dict(zip(days.astype(str), at(linear, "ndvi"), strict=True))
    assert np.isnan(found["2020-02-04"])
    assert found["2020-02-05"] == found["2020-02-12"] == 0.0  # held before the first middle
    assert found["2020-02-13"] == pytest.approx(0.05)
    assert found["2020-02-28"] == pytest.approx(1.55)
    assert found["2020-02-29"] != found["2020-02-28"]  # the leap day is a day
    assert np.isnan(found["2020-03-10"])  # between 1.6 and the missing one
    assert found["2020-04-20"] == pytest.approx(0.1)
    assert np.isnan(found["2020-04-25"])
    xr.testing.assert_identical(interpolate_to_days(ndvi.chunk(time=2), days).compute(), linear)
    far = cube([0.0, 1.0], ["2020-01-01", "2020-06-01"], "ndvi")
    assert np.isnan(at(interpolate_to_days(far, ["2020-03-01"]), "ndvi")).all()


def rain(values, first="2020-02-20"):
    return cube(values, np.datetime64(first) + np.arange(len(values)), "precipitation")


@settings(max_examples=15, deadline=None)
@given(
    amounts=st.lists(st.floats(0.0, 100.0), min_size=12, max_size=20),
    decay=st.floats(0.5, 1.0),
)
def test_index_by_recursion_equals_the_closed_form(amounts, decay):
    days = 5
    found = at(
        antecedent(rain(amounts), "precipitation", days=days, kind="index", decay=decay),
        "precipitation_index_5_days",
    )
    index = sum(decay**i * amounts[days - i] for i in range(1, days + 1))
    for day in range(days, len(amounts)):
        assert found[day] == pytest.approx(index, rel=1e-9, abs=1e-9)
        index = decay * (index + amounts[day]) - decay ** (days + 1) * amounts[day - days]
    assert np.isnan(found[:days]).all()


def test_mean_of_past_days_leaves_the_day_out_and_spreads_gaps():
    values = np.arange(10.0)
    values[4] = np.nan
    result = antecedent(rain(values), "precipitation", days=2)
    expected = [np.nan, np.nan, 0.5, 1.5, 2.5, np.nan, np.nan, 5.5, 6.5, 7.5]
    np.testing.assert_array_equal(at(result, "precipitation_mean_2_days"), expected)
    check_cube(result)
    lazy = antecedent(rain(values).chunk(time=3), "precipitation", days=2).compute()
    xr.testing.assert_identical(lazy, result)


def test_names_of_the_past_are_in_the_schema():
    assert variable("precipitation_mean_7_days").units == "mm day-1"
    index = variable("precipitation_index_30_days")
    assert index.units == "mm"
    assert index.valid_range == (0.0, 75_000.0)
    with pytest.raises(UnknownName, match="precipitation"):
        variable("precipitatoin_mean_7_days")
    for name in ("land_cover_mean_7_days", "ndvi_index_7_days", "precipitation_mean_0_days"):
        with pytest.raises(UnknownName):
            variable(name)


def test_wrong_requests_are_refused():
    steps = cube([1.0, 2.0], hours("2019-07-01", 12, 2))
    with pytest.raises(RecipeProblem, match="'sum' for a continuous variable in K"):
        to_daily(steps, minimum_steps=1, rules={"air_temperature": "sum"})
    with pytest.raises(UnknownName, match="Did you mean 'mean'"):
        to_daily(steps, minimum_steps=1, rules={"air_temperature": "meen"})
    with pytest.raises(RecipeProblem, match="rules for ndvi"):
        to_daily(steps, minimum_steps=1, rules={"ndvi": "mean"})
    with pytest.raises(RecipeProblem, match="found 0, expected 1 or more"):
        to_daily(steps, minimum_steps=0)
    with pytest.raises(UnknownName, match="clock 'CET'"):
        to_daily(steps, minimum_steps=1, clock="CET")
    with pytest.raises(CubeProblem, match="no dimension time"):
        to_daily(steps.isel(time=0, drop=True), minimum_steps=1)
    with pytest.raises(CubeProblem, match="consecutive days"):
        antecedent(rain([1.0, 2.0, 3.0]).isel(time=[0, 2]), "precipitation", days=1)
    with pytest.raises(RecipeProblem, match="for an index alone"):
        antecedent(rain([1.0, 2.0]), "precipitation", days=1, decay=0.9)
    with pytest.raises(RecipeProblem, match="for an index alone"):
        antecedent(rain([1.0, 2.0]), "precipitation", days=1, kind="index")
    with pytest.raises(UnknownName, match="variable of the cube 'ndvi'"):
        antecedent(rain([1.0, 2.0]), "ndvi", days=1)
