"""Anomalies are departures from each series' own slow course: by definition, and as pytesmo takes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import vadose.synthetic
from vadose.errors import ValueProblem
from vadose.validate import anomalies, statistics
from vadose.validate.anomalies import (
    climatology,
    climatology_anomaly,
    moving_anomaly,
    moving_mean,
    take_climatology_anomalies,
    take_moving_anomalies,
)
from vadose.validate.pairs import match
from vadose.validate.scores import score_pairs

GOLDEN = Path(__file__).parents[1] / "golden/pytesmo.json"


def days(count: int, first: str = "2015-01-01") -> np.ndarray:
    return np.arange(count) + np.datetime64(first)


def gappy(shape: tuple[int, ...], share: float = 0.4, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = 0.25 + 0.05 * rng.standard_normal(shape)
    values[rng.random(shape) < share] = np.nan
    return values


@pytest.fixture(scope="module")
def golden() -> dict[str, object]:
    return json.loads(GOLDEN.read_text())


@pytest.fixture(scope="module")
def golden_matchup(golden: dict[str, object]) -> xr.Dataset:
    product, reference = (np.array(golden[name], "f8") for name in ("product", "reference"))
    is_pair = ~np.isnan(product) & ~np.isnan(reference)
    return xr.Dataset(
        {
            "value": (("product", "station", "time"), product[None, None]),
            "reading": (("station", "time"), reference[None]),
            "is_pair": (("station", "time"), is_pair[None]),
            "n": (("product", "station"), [[is_pair.sum()]]),
            "lost": (("product", "station", "reason"), [[[(~is_pair).sum()]]]),
        },
        coords={
            "product": ["product"],
            "time": days(product.size, str(golden["first"])).astype("M8[ns]"),
            "reason": ["no station value"],
        },
        attrs={"of": "values"},
    )


# --- as pytesmo ---


@pytest.mark.parametrize("of", ["raw", "moving", "climatology"])
def test_scores_are_those_that_pytesmo_and_scipy_gave(
    golden: dict[str, dict[str, float]], golden_matchup: xr.Dataset, of: str
) -> None:
    taken = {
        "raw": lambda pairs: pairs,
        "moving": lambda pairs: take_moving_anomalies(pairs, minimum=1),
        "climatology": take_climatology_anomalies,
    }[of](golden_matchup)
    score = score_pairs(taken).isel(product=0, station=0)
    for name, expected in golden[of].items():
        assert float(score[name]) == pytest.approx(expected, rel=1e-10, abs=1e-12), name


def test_the_course_of_the_year_has_a_29_february(
    golden: dict[str, float], golden_matchup: xr.Dataset
) -> None:
    course = climatology(golden_matchup["value"].values[0, 0], golden_matchup["time"].values)
    assert course.shape == (366,)
    assert course[59] == pytest.approx(golden["course_on_29_february"], rel=1e-12)


def test_pytesmo_itself_agrees_on_other_series() -> None:
    anomaly = pytest.importorskip("pytesmo.time_series.anomaly")
    pd = pytest.importorskip("pandas")
    values, times = gappy((3, 1400)), days(1400).astype("M8[ns]")
    own = moving_anomaly(values, times, minimum=1)
    course = climatology_anomaly(values, times)
    for row in range(3):
        series = pd.Series(values[row], index=pd.DatetimeIndex(times))
        assert np.allclose(own[row], anomaly.calc_anomaly(series), atol=1e-12, equal_nan=True)
        expected = anomaly.calc_anomaly(
            series, climatology=anomaly.calc_climatology(series), respect_leap_years=False
        )
        assert np.allclose(course[row], expected, atol=1e-12, equal_nan=True)


# --- moving means ---


@pytest.mark.parametrize("minimum", [1, 5])
def test_moving_means_are_those_of_a_plain_computation(minimum: int) -> None:
    rng = np.random.default_rng(1)
    times = np.sort(rng.choice(days(200), 120, replace=False))
    values = gappy((2, 120))
    found = moving_mean(values, times, window=15, minimum=minimum)
    for place, time in enumerate(times):
        # 7 whole days on each side: half a window ends at noon
        is_near = np.abs(times - time) <= np.timedelta64(7, "D")
        for row in range(2):
            own = values[row, is_near]
            own = own[~np.isnan(own)]
            expected = own.mean() if own.size >= minimum else np.nan
            assert found[row, place] == pytest.approx(expected, abs=1e-13, nan_ok=True)


def test_a_level_goes_and_a_gap_stays() -> None:
    values = gappy((4, 300))
    own = moving_anomaly(values, days(300))
    assert np.allclose(own, moving_anomaly(values + 0.1, days(300)), atol=1e-12, equal_nan=True)
    assert np.isnan(own[np.isnan(values)]).all()


def test_a_lone_value_has_no_anomaly_unless_asked_for() -> None:
    values = np.full(100, np.nan)
    values[50] = 0.3
    assert np.isnan(moving_anomaly(values, days(100))).all()
    assert moving_anomaly(values, days(100), minimum=1)[50] == 0.0


def test_a_window_needs_a_width() -> None:
    with pytest.raises(ValueProblem, match="moving mean: found a window of 0 days with 1 values"):
        moving_mean(np.zeros(3), days(3), window=0)
    with pytest.raises(ValueProblem, match="expected window > 0 and minimum >= 1"):
        moving_anomaly(np.zeros(3), days(3), minimum=0)


# --- climatology ---


def test_a_pure_course_of_the_year_has_hardly_an_anomaly() -> None:
    times = days(5 * 365 + 1)
    phase = 2 * np.pi * ((times - times.astype("M8[Y]")) / np.timedelta64(1, "D")) / 366
    values = 0.25 + 0.1 * np.sin(phase)
    assert np.abs(climatology_anomaly(values, times)).max() < 0.003


def test_a_short_record_is_left_out() -> None:
    times = days(4 * 365 + 1)
    values = gappy((2, times.size))
    values[1, times >= np.datetime64("2017-03-01")] = np.nan
    own = climatology_anomaly(values, times)
    assert np.isfinite(own[0]).sum() == np.isfinite(values[0]).sum()
    assert np.isnan(own[1]).all()
    assert np.isfinite(climatology_anomaly(values, times, minimum_years=2)[1]).any()
    with pytest.raises(ValueProblem, match="minimum_years: found 0, expected 1 or more"):
        climatology(values, times, minimum_years=0)


# --- matchups ---


@pytest.fixture(scope="module")
def matchup() -> xr.Dataset:
    world = vadose.synthetic.world(size=16, days=60, factor=4, seed=0)
    fields = {"truth": world.truth["soil_moisture"], "coarse": world.coarse["soil_moisture"]}
    return match(fields, world.stations)


def test_anomalies_of_a_matchup_keep_one_sample_and_count_what_they_lose(
    matchup: xr.Dataset,
) -> None:
    own = take_moving_anomalies(matchup, minimum=14)
    is_pair = own["is_pair"].values
    assert 0 < is_pair.sum() < matchup["is_pair"].values.sum()
    assert not (is_pair & ~matchup["is_pair"].values).any()
    assert np.isfinite(own["value"].values[:, is_pair]).all()
    assert (own["n"] + own["lost"].sum("reason") == 60).all()
    assert int(own["lost"].sel(reason="no anomaly", product="truth").sum()) > 0
    assert "at least 14 values" in score_pairs(own).attrs["of"]


def test_anomalies_of_anomalies_are_refused(matchup: xr.Dataset) -> None:
    once = take_moving_anomalies(matchup)
    with pytest.raises(ValueProblem, match="matchup: found one of anomalies from a moving mean"):
        take_climatology_anomalies(once)


# --- with and without numba ---


def test_without_numba_every_bit_of_a_moving_mean_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("numba")
    values, times = gappy((70, 400)), days(400)
    values[3] = np.nan
    compiled = moving_mean(values, times, window=35, minimum=4)
    monkeypatch.setattr(anomalies, "_compiled", lambda: None)
    assert np.array_equal(
        moving_mean(values, times, window=35, minimum=4), compiled, equal_nan=True
    )


def test_without_numba_moments_are_the_same() -> None:
    pytest.importorskip("numba")
    assert statistics._compiled() is not None
    product, reference = gappy((2, 70, 400)), gappy((70, 400), seed=1)
    sample = ~np.isnan(product) & ~np.isnan(reference)
    pair = [
        statistics.moments_along(product, reference, sample, fast=fast).stacked()
        for fast in (True, False)
    ]
    assert np.allclose(*pair, rtol=1e-12)
