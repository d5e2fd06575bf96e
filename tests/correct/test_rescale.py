"""Offset, line and season: planted ones are found, and what stations do not share is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from vadose.correct import Additive, Linear, Points, Seasonal
from vadose.correct.shrinkage import PENALTIES, fit_shrunk
from vadose.errors import CubeProblem, ValueProblem


def test_a_planted_offset_is_found(network):
    assert Additive().fit(network(0.05)).offset_ == pytest.approx(-0.05, abs=0.003)


def test_no_offset_where_stations_disagree(network):
    apart = network(lambda pairs: np.where(pairs.station % 2, 0.05, -0.05), stations=6)
    assert Additive().fit(apart).offset_ == 0.0


def test_few_stations_that_disagree_are_believed_less(network):
    few = network(lambda pairs: 0.04 + 0.05 * (pairs.station % 2), stations=4)
    assert 0.05 < -Additive().fit(few).offset_ < 0.0635
    many = network(lambda pairs: 0.04 + 0.05 * (pairs.station % 2), stations=60)
    assert Additive().fit(many).offset_ == pytest.approx(-0.065, abs=0.003)


def test_a_long_record_counts_no_more_than_a_short_one(network):
    pairs = network(lambda pairs: np.where(pairs.station == 0, 0.1, 0.05), stations=10)
    is_kept = (pairs.station == 0) | (np.arange(len(pairs)) % 10 == 0)
    assert Additive().fit(pairs.rows(is_kept)).offset_ == pytest.approx(-0.055, abs=0.005)


def test_a_planted_line_is_found_and_noise_in_the_product_lowers_it(network):
    stretched = network(lambda pairs: 0.5 * (pairs.predicted - 0.25) + 0.04, noise=0.0)
    line = Linear().fit(stretched)
    assert line.slope_ == pytest.approx(1 / 1.5, abs=0.01)
    assert line.offset_ == pytest.approx(-0.04, abs=0.002)
    noisy = Linear().fit(network(0.0, noise=0.06))
    assert noisy.slope_ < 0.5


def test_a_constant_product_has_no_slope(network):
    constant = network(lambda pairs: 0.2 - pairs.predicted)
    assert Linear().fit(constant).slope_ == 1.0


def test_a_planted_season_is_found(network):
    def error(pairs):
        day = (pairs.time - np.datetime64("2000-01-01")) / np.timedelta64(1, "D")
        return 0.02 + 0.03 * np.cos(2 * np.pi * day / 365.2425)

    pairs = network(error, days=731)
    season = Seasonal(harmonics=2).fit(pairs)
    left = season.correct(pairs) - pairs.observed
    assert abs(left.mean()) < 0.001
    assert np.sqrt(2) * season.waves_ == pytest.approx([0, -0.03, 0, 0], abs=0.003)


def test_half_a_year_is_no_season(network):
    with pytest.raises(
        ValueProblem, match="found 247 days of the year without any, expected at most 92"
    ):
        Seasonal().fit(network(0.02))
    with pytest.raises(ValueProblem, match="harmonics: found 0"):
        Seasonal(harmonics=0).fit(network(0.02))


def test_a_season_needs_time(network):
    season = Seasonal().fit(network(0.02, days=366))
    one = np.array([0.2])
    with pytest.raises(CubeProblem, match="found no time"):
        season.correct(Points(one, np.array(["NaT"], "M8[ns]"), one, one))


def test_shrunk_least_squares_are_ridge_regressions_weighed_by_stations_left_out():
    rng = np.random.default_rng(3)
    station = np.repeat(np.arange(9), 4)
    design = rng.normal(size=(36, 2))
    residual = design @ [0.5, -0.2] + rng.normal(0, 0.5, 9)[station]

    def ridge(penalty: float, rows: np.ndarray) -> Ridge:
        return Ridge(penalty * 4, fit_intercept=False).fit(design[rows], residual[rows])

    own = [np.linalg.lstsq(design[station == one], residual[station == one])[0] for one in range(9)]
    coefficients, errors = [np.zeros(2)], []
    for penalty in (np.inf, *PENALTIES):
        short = []
        for one in range(9):
            others = np.zeros(2) if penalty == np.inf else ridge(penalty, station != one).coef_
            short.append(np.mean((design[station == one] @ (others - own[one])) ** 2))
        errors.append(np.mean(short))
        if penalty < np.inf:
            coefficients.append(ridge(penalty, station >= 0).coef_)
    share = np.array(errors) ** (-9 / 2)
    expected = share @ np.stack(coefficients) / share.sum()
    np.testing.assert_allclose(fit_shrunk(design, residual, station), expected, atol=1e-9)
    assert min(errors) < errors[0]


@settings(max_examples=30, deadline=None)
@given(offset=st.floats(-0.2, 0.2), seed=st.integers(0, 99))
def test_an_offset_is_never_overdone(offset, seed):
    rng = np.random.default_rng(seed)
    residual = offset + rng.normal(0, 0.05, 12)
    found = fit_shrunk(np.ones((12, 1)), residual, np.arange(12))[0]
    assert abs(found) <= abs(residual.mean()) + 1e-12
    assert found * residual.mean() >= 0
