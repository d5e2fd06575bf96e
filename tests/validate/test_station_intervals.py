"""Intervals of stations are those of each series on its calendar, gaps included."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import vadose.synthetic
from vadose.errors import ValueProblem
from vadose.uncertainty.intervals import correlation_interval
from vadose.validate.pairs import match
from vadose.validate.scores import score_pairs
from vadose.validate.station_intervals import add_intervals, regular_calendar


@pytest.fixture(scope="module")
def matchup() -> xr.Dataset:
    world = vadose.synthetic.world(size=16, days=200, factor=4, seed=0, stations=4)
    fields = {"truth": world.truth["soil_moisture"], "coarse": world.coarse["soil_moisture"]}
    return match(fields, world.stations)


@pytest.fixture(scope="module")
def score(matchup: xr.Dataset) -> xr.Dataset:
    return add_intervals(score_pairs(matchup), matchup)


def test_each_interval_is_that_of_its_series(matchup: xr.Dataset, score: xr.Dataset) -> None:
    is_pair = matchup["is_pair"].values
    for product, station in np.ndindex(2, 4):
        value, reading = (
            np.where(is_pair[station], one, np.nan)
            for one in (
                matchup["value"].values[product, station],
                matchup["reading"].values[station],
            )
        )
        alone = correlation_interval(value, reading)
        one = score.isel(product=product, station=station)
        assert float(one["r_lower"]) == pytest.approx(float(alone.lower), rel=1e-9)
        assert float(one["r_upper"]) == pytest.approx(float(alone.upper), rel=1e-9)
        assert bool(one["r_is_too_short"]) == bool(alone.is_too_short)
    for name in ("r", "bias"):
        assert (score[f"{name}_lower"] <= score[name]).all()
        assert (score[name] <= score[f"{name}_upper"]).all()
    assert (score["ubrmse_lower"] < score["ubrmse_upper"]).all()


def test_stamps_that_are_missing_are_gaps_on_the_calendar(
    matchup: xr.Dataset, score: xr.Dataset
) -> None:
    """Stamps without any pair may be there or not."""
    empty = matchup.copy(deep=True)
    empty["is_pair"].values[:, 20:60] = False
    kept = np.r_[0:20, 60:200]
    there, gone = (add_intervals(score_pairs(one), one) for one in (empty, empty.isel(time=kept)))
    for name in ("r_lower", "bias_upper", "ubrmse_lower"):
        assert np.allclose(there[name], gone[name], rtol=1e-9, equal_nan=True)
        assert not np.allclose(there[name], score[name])


def test_the_p_value_knows_of_memory(score: xr.Dataset) -> None:
    assert (score["r_effective_n"] < score["n"]).all()
    assert (score["p_value"] >= score["p_value_independent"]).all()
    narrow = score["r_upper"] - score["r_lower"]
    assert (narrow > 0).all()
    assert score.attrs["level"] == 0.95


def test_stamps_on_no_calendar_are_refused() -> None:
    stamps = np.array(["2019-07-01T00:00", "2019-07-01T02:00", "2019-07-03T05:01"], "M8[ns]")
    with pytest.raises(
        ValueProblem, match=r"stamps of the matchup: found 3 stamps .* than steps of 60 s"
    ):
        regular_calendar(stamps)
    assert regular_calendar(stamps[:2])[0] == 2
    every_two_or_three = np.array(["2019-07-01", "2019-07-03", "2019-07-06"], "M8[D]")
    assert regular_calendar(every_two_or_three)[0] == 6
    assert regular_calendar(stamps[:1]) == (1, np.array([0]))
