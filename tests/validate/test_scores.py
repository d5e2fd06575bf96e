"""Every metric of every station is that of numpy and scipy, and says whether it is fit for tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import vadose.synthetic
from vadose.errors import ValueProblem
from vadose.validate.metrics import ALL_METRICS, METRICS, kge_2012
from vadose.validate.pairs import match
from vadose.validate.scores import correlation_p_value, moments_of, score_pairs
from vadose.validate.statistics import moments, moments_along, moments_by, unstacked


@pytest.fixture(scope="module")
def matchup() -> xr.Dataset:
    world = vadose.synthetic.world(size=16, days=150, factor=4, seed=0)
    fields = {"truth": world.truth["soil_moisture"], "coarse": world.coarse["soil_moisture"]}
    return match(fields, world.stations)


@pytest.fixture(scope="module")
def score(matchup: xr.Dataset) -> xr.Dataset:
    return score_pairs(matchup)


def test_scores_are_those_of_a_plain_computation(matchup: xr.Dataset, score: xr.Dataset) -> None:
    assert set(METRICS) < set(ALL_METRICS) <= set(score)
    for product, station in np.ndindex(2, 12):
        sample = matchup["is_pair"].values[station]
        p = matchup["value"].values[product, station, sample].astype("f8")
        o = matchup["reading"].values[station, sample]
        r = np.corrcoef(p, o)[0, 1]
        cv = [x.std() / x.mean() for x in (p, o)]
        expected = {
            "n": sample.sum(),
            "r": r,
            "squared_correlation": r**2,
            "bias": (p - o).mean(),
            "mae": np.abs(p - o).mean(),
            "rmse": np.sqrt(((p - o) ** 2).mean()),
            "ubrmse": (p - o).std(),
            "umse": (p - o).var(),
            "r2": 1 - ((p - o) ** 2).sum() / ((o - o.mean()) ** 2).sum(),
            "slope": np.polyfit(o, p, 1)[0],
            "kge_2012": 1
            - math.sqrt((r - 1) ** 2 + (p.mean() / o.mean() - 1) ** 2 + (cv[0] / cv[1] - 1) ** 2),
            "mse_correlation": 2 * p.std() * o.std() * (1 - r),
            "mse_bias": (p - o).mean() ** 2,
            "mse_variance": (p.std() - o.std()) ** 2,
            "p_value_independent": scipy.stats.pearsonr(p, o).pvalue,
        }
        one = score.isel(product=product, station=station)
        for name, value in expected.items():
            assert float(one[name]) == pytest.approx(value, rel=1e-8, abs=1e-12), name


def test_the_parts_of_the_mse_add_up(score: xr.Dataset) -> None:
    parts = score["mse_correlation"] + score["mse_bias"] + score["mse_variance"]
    assert np.allclose(parts, score["rmse"] ** 2, rtol=1e-12)
    assert np.allclose(score["umse"] + score["bias"] ** 2, score["rmse"] ** 2, rtol=1e-12)


def test_tables_take_stations_with_enough_pairs(matchup: xr.Dataset, score: xr.Dataset) -> None:
    number = score["n"].values[0]
    assert score.attrs["selection"] == "stations with 50 pairs or more"
    assert np.array_equal(score["is_used"], number >= 50)
    least = int(np.median(number)) + 1
    fewer = score_pairs(matchup, minimum_pairs=least)
    assert np.array_equal(fewer["is_used"], number >= least)
    assert 0 < fewer["is_used"].sum() < 12
    # what is not used has its numbers all the same
    assert fewer["rmse"].equals(score["rmse"])


def test_dropping_by_p_value_is_labelled_and_never_the_default(matchup: xr.Dataset) -> None:
    noise = matchup.copy(deep=True)
    rng = np.random.default_rng(0)
    noise["value"].values[1, 3] = rng.random(noise.sizes["time"])
    plain, after = score_pairs(noise), score_pairs(noise, significant_only=0.05)
    assert float(plain["p_value_independent"][1, 3]) > 0.05
    assert bool(plain["is_used"][3])
    assert not bool(after["is_used"][3])
    assert "after Ma" in after.attrs["selection"]
    assert "makes R look better than it is" in after.attrs["selection"]
    assert "Ma" not in plain.attrs["selection"]
    with pytest.raises(ValueProblem, match="significant_only: found 5, expected a level between"):
        score_pairs(noise, significant_only=5)


@pytest.mark.parametrize(("r", "n"), [(0.3, 20), (-0.8, 7), (0.0, 3), (0.999, 400)])
def test_p_values_are_those_of_scipy(r: float, n: int) -> None:
    expected = 2 * scipy.stats.t.sf(abs(r) * math.sqrt((n - 2) / (1 - r**2)), n - 2)
    found = correlation_p_value(np.array(r), np.array(float(n)))
    assert float(found) == pytest.approx(expected, rel=1e-9)


def test_p_values_at_the_edges() -> None:
    r, n = np.array([1.0, -1.0, 0.5, np.nan]), np.array([10.0, 10.0, 2.0, 10.0])
    assert np.array_equal(correlation_p_value(r, n), [0, 0, np.nan, np.nan], equal_nan=True)


def test_kge_needs_means_above_nothing() -> None:
    reading = np.array([0.1, 0.2, 0.4])
    assert kge_2012(moments(reading, reading)) == pytest.approx(1.0)
    assert math.isnan(kge_2012(moments(reading - reading.mean(), reading)))
    assert math.isnan(kge_2012(moments(reading, reading - 1)))
    assert math.isnan(kge_2012(moments(np.full(3, 0.2), reading)))


# --- moments of many samples ---


@st.composite
def many(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw products (2, station, time), readings (station, time) and a sample of them, gaps outside of it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    level, spread = draw(st.sampled_from([(0.3, 0.05), (0.0, 1.0), (280.0, 5.0)]))
    product = level + spread * rng.standard_normal((2, *shape))
    reading = level + spread * rng.standard_normal(shape)
    sample = rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 0.9]))
    return np.where(sample, product, np.nan), np.where(sample, reading, np.nan), sample


def close(one: np.ndarray, other: np.ndarray) -> bool:
    return np.allclose(one, other, rtol=1e-9, atol=1e-8 * max(1.0, np.abs(other).max() ** 0.5))


@settings(max_examples=40, deadline=None)
@given(drawn=many(), fast=st.booleans())
def test_moments_of_many_are_those_of_each(
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray], fast: bool
) -> None:
    product, reading, sample = drawn
    found = moments_along(product, reading, sample, fast=fast)
    for place in np.ndindex(product.shape[:2]):
        own = sample[place[1]]
        expected = moments(product[place][own], reading[place[1]][own])
        assert close(found.select(place).stacked(), expected.stacked())


@settings(max_examples=40, deadline=None)
@given(drawn=many(), seed=st.integers(0, 99))
def test_neither_order_nor_cuts_change_what_is_merged(
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray], seed: int
) -> None:
    product, reading, sample = drawn
    rng = np.random.default_rng(seed)
    whole = moments_along(product, reading, sample).merge_along(1)
    stations, steps = (rng.permutation(size) for size in reading.shape)
    shuffled = product[:, stations][..., steps], reading[stations][:, steps]
    other = moments_along(*shuffled, sample[stations][:, steps]).merge_along(1)
    assert close(other.stacked(), whole.stacked())
    cut = rng.integers(0, reading.shape[1] + 1)
    parts = [
        moments_along(product[..., part], reading[:, part], sample[:, part])
        for part in (slice(None, cut), slice(cut, None))
    ]
    assert close(parts[0].merge(parts[1]).merge_along(1).stacked(), whole.stacked())
    assert close(parts[1].merge(parts[0]).merge_along(1).stacked(), whole.stacked())


@settings(max_examples=40, deadline=None)
@given(drawn=many(), shift=st.floats(-0.5, 0.5))
def test_squares_add_up_and_a_constant_moves_the_bias_alone(
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray], shift: float
) -> None:
    product, reading, sample = drawn
    before = moments_along(product, reading, sample)
    after = moments_along(product + shift, reading, sample)
    one, other = ({n: f(m) for n, f in ALL_METRICS.items()} for m in (before, after))
    assert np.allclose(one["rmse"] ** 2, one["bias"] ** 2 + one["ubrmse"] ** 2, equal_nan=True)
    parts = one["mse_correlation"] + one["mse_bias"] + one["mse_variance"]
    assert np.allclose(parts, one["rmse"] ** 2, rtol=1e-9, equal_nan=True)
    assert np.allclose(other["bias"], one["bias"] + shift, atol=1e-9, equal_nan=True)
    for name in ("ubrmse", "slope"):
        assert np.allclose(other[name], one[name], atol=1e-6, equal_nan=True), name


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 6))
def test_moments_by_group_are_those_of_each_group(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    product, reading = 0.3 + 0.05 * rng.standard_normal((2, 30))
    group = rng.integers(0, count, 30)
    found = moments_by(product, reading, group, count)
    for one in range(count):
        expected = moments(product[group == one], reading[group == one])
        assert close(found.select(one).stacked(), expected.stacked())


@pytest.mark.parametrize("fast", [True, False])
def test_a_gap_within_the_sample_is_refused(fast: bool) -> None:
    gap = np.array([[0.1, np.nan]])
    for pair in ((gap, np.ones((1, 2))), (np.ones((1, 2)), gap), (np.inf * gap, gap)):
        with pytest.raises(ValueProblem, match="pairs: found NaN among them, expected the common"):
            moments_along(*pair, fast=fast)
    with pytest.raises(ValueProblem, match="pairs: found NaN among them"):
        moments_by(gap[0], gap[0], np.array([0, 1]), 2)


def test_moments_of_a_matchup_survive_their_table(matchup: xr.Dataset, score: xr.Dataset) -> None:
    back, found = unstacked(score["moments"].values), moments_of(matchup)
    for name, metric in ALL_METRICS.items():
        assert np.array_equal(metric(back), metric(found), equal_nan=True), name
