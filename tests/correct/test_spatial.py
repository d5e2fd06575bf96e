"""Regression and kriging of what stations differ by: planted fields, ends, variance, and nothing far away."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from vadose.correct import (
    Best,
    Chain,
    DailyKriging,
    DepartureKriging,
    Kriging,
    Linear,
    Pairs,
    Points,
    Regression,
    correct_held_out,
    station_folds,
)
from vadose.correct.daily import _patterns
from vadose.correct.kriging import apart, places_of
from vadose.errors import ValueProblem

NOW = np.datetime64("2020-01-05", "ns")


def at(longitude, latitude, time=NOW, predicted=0.25) -> Points:
    longitude, latitude = (
        np.atleast_1d(longitude).astype("f8"),
        np.atleast_1d(latitude).astype("f8"),
    )
    size = len(longitude)
    return Points(np.full(size, predicted), np.full(size, time), longitude, latitude)


def bump(pairs: Pairs) -> np.ndarray:
    """Too wet around 1° E, 1° N."""
    distance = np.hypot(pairs.longitude - 1, pairs.latitude - 1)
    return 0.10 * np.exp(-((distance / 1.2) ** 2))


@pytest.fixture(scope="module")
def kriging(network) -> Kriging:
    return Kriging().fit(network(bump, stations=40, days=40))


def test_a_planted_plane_is_found(network):
    def error(pairs):
        return 0.02 + 0.01 * pairs.longitude + 4e-5 * pairs.predictors["elevation"]

    pairs = network(error, stations=30, days=40)
    regression = Regression(["elevation"]).fit(pairs)
    left = regression.correct(pairs) - pairs.observed
    assert abs(left.mean()) < 0.002
    assert np.ptp(pairs.station_means(left)[1]) < 0.02
    assert regression.coefficients_[1] == pytest.approx(0, abs=0.002)


def test_terms_without_a_meaning_are_left_alone(network):
    rng = np.random.default_rng(4)
    apart = network(lambda pairs: rng.normal(0, 0.05, 30)[pairs.station], stations=30, days=40)
    assert np.abs(Regression(["elevation"]).fit(apart).coefficients_).max() < 0.015


def test_a_plane_does_not_run_away_beyond_the_stations(network):
    pairs = network(lambda pairs: 0.02 * pairs.longitude, stations=20, days=40)
    regression = Regression().fit(pairs)
    places = pairs.stations["lon"].values
    edge = places.max() + places.std()
    edge, beyond, far = regression.correct(at([edge, edge + 1, 90.0], [2.0, 2.0, 2.0]))
    assert edge == pytest.approx(far, abs=1e-12)
    assert beyond == far


def test_what_a_regression_refuses(network):
    pairs = network(0.02)
    with pytest.raises(ValueProblem, match="degree 3, 0 predictors"):
        Regression(degree=3).fit(pairs)
    with pytest.raises(ValueProblem, match="of position or one predictor at least"):
        Regression(with_position=False).fit(pairs)


def test_kriging_finds_a_bump_and_nothing_far_away(kriging):
    near, far = kriging.correct(at([1.0, 60.0], [1.0, -30.0])) - 0.25
    assert near == pytest.approx(-0.10, abs=0.03)
    assert abs(far) < 1e-6


def test_kriging_is_surer_near_stations(kriging):
    step = np.linspace(0, 30, 61)
    spread = kriging.spread_at(4 + step, np.full(61, 2.0))
    assert (np.diff(spread[10:]) >= -1e-12).all()
    assert spread[-1] == pytest.approx(np.sqrt(kriging.sill_), rel=1e-3)
    assert spread[0] < 0.8 * spread[-1]


def test_kriging_is_that_of_scikit_learn(kriging, network):
    pairs = network(bump, stations=40, days=40)
    numbers, means = pairs.station_means(pairs.observed - pairs.predicted)
    kernel = ConstantKernel(kriging.sill_, "fixed") * Matern(kriging.range_, "fixed", nu=0.5)
    doubt = [(pairs.observed - pairs.predicted)[pairs.station == n].var() / 2 for n in numbers]
    process = GaussianProcessRegressor(
        kernel + WhiteKernel(kriging.nugget_, "fixed"), alpha=np.array(doubt), optimizer=None
    ).fit(places_of(pairs.stations, numbers), means)
    points = at([0.3, 1.7, 5.0], [1.1, 3.0, 2.0])
    there = Pairs(
        **{name: getattr(points, name) for name in ("predicted", "time", "longitude", "latitude")},
        observed=points.predicted,
        station=np.arange(3),
        stations=pairs.stations.isel(station=[0, 1, 2]).assign_coords(
            lon=("station", points.longitude), lat=("station", points.latitude)
        ),
    )
    mean, deviation = process.predict(places_of(there.stations, np.arange(3)), return_std=True)
    np.testing.assert_allclose(kriging.correct(points) - 0.25, mean, atol=1e-9)
    # scikit-learn's is that of a reading there, nugget and all
    expected = np.sqrt(deviation**2 - kriging.nugget_)
    np.testing.assert_allclose(
        kriging.spread_at(points.longitude, points.latitude), expected, rtol=1e-6
    )


def test_stations_that_differ_at_random_are_not_spread(network):
    rng = np.random.default_rng(4)
    apart = network(lambda pairs: rng.normal(0, 0.05, 30)[pairs.station], stations=30, days=40)
    corrected = Kriging().fit(apart).correct(at(np.linspace(0, 4, 50), np.full(50, 2.0)))
    assert np.abs(corrected - 0.25).std() < 0.02


def test_the_spread_goes_with_the_corrected_product(kriging, cube):
    corrected = kriging.apply(cube)
    spread = corrected["soil_moisture_correction_spread"]
    assert spread.dims == ("y", "x")
    assert spread.attrs["units"] == "m3 m-3"
    assert spread.attrs["long_name"] == (
        "standard deviation of the station correction of surface soil moisture"
    )
    named = corrected["soil_moisture"].attrs["ancillary_variables"].split()
    assert named == ["soil_moisture_correction", "soil_moisture_correction_spread"]
    longitude, latitude = np.meshgrid(cube["x"], cube["y"])
    expected = kriging.spread_at(longitude.ravel(), latitude.ravel()).reshape(spread.shape)
    np.testing.assert_allclose(spread, expected, rtol=1e-6)


def test_a_chain_is_as_unsure_as_what_it_is_made_of(network):
    pairs = network(bump, stations=20, days=20)
    chain = Chain([Linear(), Kriging()]).fit(pairs)
    place = np.array([1.0, 3.0]), np.array([1.0, 8.0])
    np.testing.assert_array_equal(chain.spread_at(*place), chain.correctors_[1].spread_at(*place))
    assert Chain([Linear()]).fit(pairs).spread_at(*place) is None
    chosen = Best({"kriging": Kriging()}, folds=4).fit(pairs)
    assert chosen.choice_ == "kriging"
    np.testing.assert_array_equal(chosen.spread_at(*place), chosen.chosen_.spread_at(*place))


def test_stations_at_one_place_cannot_be_kriged(network):
    pairs = network(0.02, stations=4)
    same = pairs.stations.assign_coords(lon=("station", np.ones(4)), lat=("station", np.ones(4)))
    object.__setattr__(pairs, "stations", same)
    with pytest.raises(ValueProblem, match="found all of them at one place"):
        Kriging().fit(pairs)


def of_the_day(pairs: Pairs) -> np.ndarray:
    """Too wet in the west on even days, too dry there on odd ones."""
    day = pairs.time.astype("M8[D]").astype(int)
    return 0.06 * np.where(day % 2, -1, 1) * np.exp(-pairs.longitude)


def test_daily_kriging_follows_the_day_and_leaves_others(network):
    pairs = network(of_the_day, stations=40, days=20)
    corrector = DailyKriging().fit(pairs)
    days = [np.datetime64(day, "ns") for day in ("2020-01-05", "2020-01-06", "2021-01-05")]
    first, second, other = (corrector.correct(at(0.3, 2.0, time=day))[0] - 0.25 for day in days)
    assert first * second < 0
    assert abs(first) > 0.02
    assert other == 0.0
    assert abs(corrector.correct(at(60.0, -30.0))[0] - 0.25) < 1e-6


def test_daily_kriging_without_a_pattern_does_nothing(network):
    corrector = DailyKriging().fit(network(0.0, stations=12, days=30, seed=3))
    assert np.abs(corrector.correct(at(1.0, 1.0)) - 0.25).max() < 0.005


def test_daily_kriging_holds_gaps(network):
    pairs = network(of_the_day, stations=40, days=20)
    kept = pairs.rows(np.random.default_rng(0).random(len(pairs)) < 0.7)
    corrected = DailyKriging().fit(kept).correct(at(0.3, 2.0))
    whole = DailyKriging().fit(pairs).correct(at(0.3, 2.0))
    np.testing.assert_allclose(corrected, whole, atol=0.02)


def test_daily_kriging_needs_times(network):
    pairs = network(0.02)
    object.__setattr__(pairs, "time", np.full(len(pairs), np.datetime64("NaT", "ns")))
    with pytest.raises(ValueProblem, match=r"found no time, expected times\. Take the kriging"):
        DailyKriging().fit(pairs)


def test_daily_kriging_about_a_mean_is_ordinary_kriging(network):
    def error(pairs):
        return of_the_day(pairs) + 0.05 * np.sin(pairs.time.astype("M8[D]").astype(int))

    pairs = network(error, stations=15, days=20, noise=0.005)
    corrector = DailyKriging(with_mean=True).fit(pairs)
    today = pairs.rows(pairs.time == NOW)
    points = at([0.5, 2.5, 80.0], [1.0, 3.0, -40.0])
    lon = np.radians(np.concatenate([today.longitude, points.longitude]))
    lat = np.radians(np.concatenate([today.latitude, points.latitude]))
    sphere = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    near = np.exp(-6371.0088 * np.linalg.norm(sphere[:, None] - sphere, axis=-1) / corrector.range_)
    system = np.ones((16, 16))
    system[:15, :15] = near[:15, :15] + corrector.nugget_ * np.eye(15)
    system[15, 15] = 0.0
    target = np.vstack([near[:15, 15:], np.ones(3)])
    weights = np.linalg.solve(system, target)[:15]
    expected = weights.T @ (today.observed - today.predicted)
    np.testing.assert_allclose(corrector.correct(points) - 0.25, expected, atol=1e-6)


def test_what_stations_of_a_day_share_is_corrected_far_away_only_with_a_mean(network):
    pairs = network(0.05, stations=15, days=20, noise=0.005)
    with_mean, without = (
        DailyKriging(with_mean=chosen).fit(pairs).correct(at(80.0, -40.0))[0] - 0.25
        for chosen in (True, False)
    )
    assert with_mean == pytest.approx(-0.05, abs=0.005)
    assert abs(without) < 0.005


def test_departures_are_spread_without_what_stations_always_differ_by(network):
    """Offsets of their own hide the day's pattern from daily kriging, not from that of departures."""
    own = np.random.default_rng(2).normal(0, 0.08, 30)
    pairs = network(lambda pairs: of_the_day(pairs) + own[pairs.station], stations=30, days=20)
    left = {}
    for corrector in (DailyKriging(), DepartureKriging()):
        held = correct_held_out(corrector, pairs, station_folds(pairs, folds=5))
        departure = held.corrected - held.pairs.observed
        departure -= (np.bincount(held.pairs.station, departure) / np.bincount(held.pairs.station))[
            held.pairs.station
        ]
        left[corrector.name] = float(np.sqrt(np.mean(departure**2)))
    before = float(np.std(of_the_day(pairs)))
    assert left["departure_kriging"] < 0.9 * left["daily_kriging"]
    assert left["departure_kriging"] < before


def test_the_error_of_a_station_left_out_is_that_of_leaving_it_out(network):
    pairs = network(of_the_day, stations=7, days=1, noise=0.01)
    for with_mean in (False, True):
        corrector = DailyKriging(with_mean=with_mean).fit(pairs)
        differences = (pairs.observed - pairs.predicted)[None]
        near = np.exp(-apart(corrector.places_) / 100.0)
        (pattern,) = _patterns(differences, 1)
        total = 0.0
        for out in range(7):
            others = np.delete(np.arange(7), out)
            system = near[np.ix_(others, others)] + 0.5 * np.eye(6)
            target = near[others, out]
            if with_mean:
                system = np.block([[system, np.ones((6, 1))], [np.ones((1, 6)), np.zeros((1, 1))]])
                target = np.append(target, 1.0)
            weights = np.linalg.solve(system, target)[:6]
            total += float(differences[0, out] - weights @ differences[0, others]) ** 2
        assert corrector._left_out_error(pattern, near, 0.5) == pytest.approx(total)
