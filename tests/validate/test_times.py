"""Readings are taken by days from the stamp on, or within hours on both sides of it."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from vadose.errors import NoOverlap, ValueProblem
from vadose.validate.match import match_times
from vadose.validate.times import Days, Window


def hourly(values: np.ndarray, first: str = "2019-07-01", minutes: int = 60) -> xr.Dataset:
    values = np.atleast_2d(values)
    times = np.datetime64(first, "ns") + np.arange(values.shape[1]) * np.timedelta64(minutes, "m")
    place = ("station", np.ones(len(values)))
    return xr.Dataset(
        {"soil_moisture": (("station", "time"), values, {"units": "m3 m-3"})},
        coords={"lat": place, "lon": place, "time": times},
    )


def gappy(shape: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng(0)
    values = rng.random(shape)
    values[rng.random(shape) < 0.6] = np.nan
    return values


def stamps() -> np.ndarray:
    return np.datetime64("2019-06-30T18:30", "ns") + np.arange(40) * np.timedelta64(5, "h")


def test_days_are_those_of_match_times() -> None:
    stations = hourly(gappy((3, 200)))
    times = np.array(["2019-07-01", "2019-07-04"], "M8[ns]")
    expected = match_times(stations, times, days=2, minimum_days=2)
    assert Days(2, 2).match(stations, times).identical(expected)


@pytest.mark.parametrize("hours", [0.5, 3, 11.5])
@pytest.mark.parametrize("how", ["mean", "nearest"])
def test_windows_are_those_of_a_plain_computation(hours: float, how: str) -> None:
    stations = hourly(gappy((4, 200)))
    found = Window(hours, how).match(stations, stamps())  # type: ignore[arg-type]
    clock = stations["time"].values
    for place, stamp in enumerate(stamps()):
        away = (clock - stamp) / np.timedelta64(1, "h")
        for row, values in enumerate(stations["soil_moisture"].values):
            is_near = (np.abs(away) <= hours) & ~np.isnan(values)
            if not is_near.any():
                expected = np.nan
            elif how == "mean":
                expected = values[is_near].mean()
            else:
                expected = values[is_near][np.abs(away[is_near]).argmin()]
            assert found[row, place].item() == pytest.approx(expected, nan_ok=True)


def test_a_nearest_reading_is_that_of_pandas() -> None:
    pd = pytest.importorskip("pandas")
    stations = hourly(gappy((1, 200)))
    series = pd.Series(stations["soil_moisture"].values[0], index=stations["time"].values).dropna()
    # ten minutes past, so that no two readings are at one distance
    times = stamps() + np.timedelta64(10, "m")
    expected = series.reindex(times, method="nearest", tolerance=pd.Timedelta(hours=2))
    found = Window(2, "nearest").match(stations, times)
    assert np.array_equal(found[0], expected, equal_nan=True)
    assert 0 < np.isnan(found).sum() < found.size


def test_of_two_readings_at_one_distance_the_earlier_is_taken() -> None:
    stations = hourly(np.array([0.1, 0.3]))
    found = Window(1, "nearest").match(stations, ["2019-07-01T00:30"])
    assert found.item() == 0.1


def test_both_ends_of_a_window_belong_to_it() -> None:
    stations = hourly(np.array([0.1, np.nan, np.nan, 0.2]))
    assert Window(3).match(stations, ["2019-07-01T03"]).item() == pytest.approx(0.15)
    assert Window(2.9).match(stations, ["2019-07-01T03"]).item() == pytest.approx(0.2)


def test_what_cannot_be_matched_is_refused() -> None:
    stations = hourly(gappy((2, 48)))
    with pytest.raises(ValueProblem, match="window: found 0 hours, expected more than 0"):
        Window(0).match(stations, stamps())
    with pytest.raises(
        NoOverlap, match="no reading within 3 hours of a stamp: stations 2019-07-01"
    ):
        Window(3).match(stations, ["2020-01-01"])
    daily = hourly(np.array([0.1, 0.2, 0.3]), minutes=1440)
    with pytest.raises(ValueProblem, match=r"stamps within the day .* against daily stations"):
        Window(12).match(daily, ["2019-07-01T06"])
