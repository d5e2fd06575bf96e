"""Intervals cover what they claim, on series with memory and gaps."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import scipy.stats

from vadose.errors import RecipeProblem, ValueProblem
from vadose.uncertainty import memory as memories
from vadose.uncertainty.intervals import (
    Interval,
    bias_interval,
    correlation_interval,
    ubrmse_interval,
)

INTERVALS = [bias_interval, correlation_interval, ubrmse_interval]


def red_noise(rng: np.random.Generator, phi: float, shape: tuple[int, ...]) -> np.ndarray:
    """Make AR(1) noise of unit variance, which begins in its own distribution."""
    noise = rng.standard_normal(shape)
    noise[..., 1:] *= np.sqrt(1 - phi**2)
    return scipy.signal.lfilter([1.0], [1.0, -phi], noise, axis=-1)


def pairs(
    rng: np.random.Generator, *, memory: tuple[float, float], gap: float, series: int, days: int
) -> tuple[np.ndarray, np.ndarray]:
    """Make products of correlation .8, bias .5 and ubRMSE .6 with a reference of unit variance."""
    signal = red_noise(rng, memory[0], (series, days))
    error = 0.6 * red_noise(rng, memory[1], (series, days))
    product = signal + error + 0.5
    reference = np.where(rng.random(signal.shape) < gap, np.nan, signal)
    return product, reference


TRUTH = {bias_interval: 0.5, ubrmse_interval: 0.6, correlation_interval: 1 / np.sqrt(1.36)}


def coverage(interval: Interval, truth: float) -> float:
    return float(100 * np.mean((interval.lower <= truth) & (truth <= interval.upper)))


# --- coverage ---


@pytest.mark.parametrize(
    ("memory", "gap"), [((0.0, 0.0), 0.0), ((0.9, 0.5), 0.6), ((0.95, 0.95), 0.3)]
)
def test_intervals_cover_what_they_claim(memory: tuple[float, float], gap: float) -> None:
    """Four hundred series tell 95 % to within 1.1, so 90 and 99 lie four deviations away."""
    rng = np.random.default_rng(6)
    product, reference = pairs(rng, memory=memory, gap=gap, series=400, days=365)
    for interval, truth in TRUTH.items():
        assert 90 <= coverage(interval(product, reference), truth) <= 99.8


def test_intervals_of_independent_values_do_not() -> None:
    """The simulation can tell: what these tests bound, others miss by far."""
    rng = np.random.default_rng(6)
    product, reference = pairs(rng, memory=(0.95, 0.95), gap=0.3, series=400, days=365)
    difference = product - reference
    n = (~np.isnan(difference)).sum(axis=1)
    mean, deviation = np.nanmean(difference, axis=1), np.nanstd(difference, axis=1)
    half = 1.96 * deviation / np.sqrt(n)
    nothing = np.zeros(len(n), bool)
    assert coverage(Interval(mean - half, mean + half, n, nothing), 0.5) < 50


def test_a_higher_level_is_wider_and_a_longer_memory_too() -> None:
    rng = np.random.default_rng(0)
    quick = pairs(rng, memory=(0.5, 0.5), gap=0.2, series=20, days=730)
    slow = pairs(rng, memory=(0.95, 0.95), gap=0.2, series=20, days=730)
    for interval in INTERVALS:
        usual, high = interval(*quick), interval(*quick, level=0.99)
        assert (high.lower < usual.lower).all()
        assert (high.upper > usual.upper).all()
        assert np.median(interval(*slow).effective_n) < 0.3 * np.median(usual.effective_n)


def test_memory_under_much_noise_is_found() -> None:
    """A weak but slow error has little autocorrelation at one day, and yet rules the bias."""
    rng = np.random.default_rng(4)
    error = np.sqrt(0.5) * (red_noise(rng, 0.95, (300, 730)) + rng.standard_normal((300, 730)))
    assert 90 <= coverage(bias_interval(error, np.zeros_like(error)), 0.0) <= 99.8


@pytest.mark.parametrize("interval", INTERVALS)
def test_overpasses_every_third_day_are_as_good(interval) -> None:  # type: ignore[no-untyped-def]
    """No two values are a day apart, and yet the memory, even of two kinds, is seen."""
    rng = np.random.default_rng(9)
    signal = red_noise(rng, 0.9, (300, 1095))
    quick, slow = (red_noise(rng, phi, signal.shape) for phi in (0.5, 0.95))
    product = signal + 0.6 * np.sqrt(0.5) * (quick + slow) + 0.5
    is_overpass = np.arange(1095) % 3 == 0
    reference = np.where(is_overpass, signal, np.nan)
    assert 89 <= coverage(interval(product, reference), TRUTH[interval]) <= 99.8


# --- agreement with what is known ---


def test_without_memory_the_usual_intervals_come_out() -> None:
    rng = np.random.default_rng(2)
    product, reference = pairs(rng, memory=(0.0, 0.0), gap=0.0, series=40, days=2000)
    difference = product - reference
    width = 2 * 1.96 * difference.std(axis=1) / np.sqrt(2000)
    ours = bias_interval(product, reference)
    assert np.median((ours.upper - ours.lower) / width) == pytest.approx(1.0, abs=0.05)
    squares = difference.var(axis=1) * 2000
    expected = np.sqrt(squares / scipy.stats.chi2.ppf([[0.975], [0.025]], 1999))
    spread = ubrmse_interval(product, reference)
    assert np.median(spread.lower / expected[0]) == pytest.approx(1.0, abs=0.002)
    assert np.median(spread.upper / expected[1]) == pytest.approx(1.0, abs=0.002)
    ours = correlation_interval(product, reference)
    other = [
        scipy.stats.pearsonr(p, o).confidence_interval()
        for p, o in zip(product, reference, strict=True)
    ]
    widths = np.array([each.high - each.low for each in other])
    assert np.median((ours.upper - ours.lower) / widths) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("is_compiled", [True, False])
def test_the_filter_is_the_likelihood_of_a_gaussian_process(is_compiled: bool) -> None:
    """Determinant and squares of the whole covariance matrix, with the mean projected out."""
    rng = np.random.default_rng(1)
    is_valid = rng.random((3, 40)) < 0.6
    if is_compiled:
        pytest.importorskip("numba")
    values = np.where(is_valid, rng.standard_normal((3, 40)), 0.0)
    log_determinant, squares = memories._filter(values, is_valid, use_compiled=is_compiled)
    phi = np.tile(-np.expm1(-memories.PERSISTENCE), len(memories.NOISE))
    amplitude = memories._amplitude(memories.PERSISTENCE, memories.NOISE).ravel()
    for series in range(3):
        days = np.flatnonzero(is_valid[series])
        lag = np.abs(days[:, None] - days)
        one, y = np.ones(len(days)), values[series, days]
        for node in range(0, len(phi), 7):
            with np.errstate(divide="ignore"):
                covariance = np.where(lag == 0, 1.0, amplitude[node] * phi[node] ** lag)
            inverse = np.linalg.inv(covariance)
            information = one @ inverse @ one
            rest = y - one * (one @ inverse @ y) / information
            assert squares[node, series] == pytest.approx(rest @ inverse @ rest, rel=1e-8)
            expected = np.linalg.slogdet(covariance)[1] + np.log(information)
            assert log_determinant[node, series] == pytest.approx(expected, abs=1e-8)


def test_the_compiled_filter_gives_the_same_bits() -> None:
    pytest.importorskip("numba")
    rng = np.random.default_rng(1)
    is_valid = rng.random((37, 200)) < 0.6
    values = np.where(is_valid, rng.standard_normal((37, 200)), 0.0)
    plain = memories._filter(values, is_valid, use_compiled=False)
    compiled = memories._filter(values, is_valid, use_compiled=True)
    np.testing.assert_array_equal(compiled[1], plain[1])
    np.testing.assert_allclose(
        compiled[0], plain[0], rtol=1e-13
    )  # logarithms differ in the last bit


def test_the_amplitude_is_that_of_an_arma_process() -> None:
    """Autocorrelations of a long impulse response, against the closed form."""
    amplitude = memories._amplitude(memories.PERSISTENCE, memories.NOISE)
    for row, noise in enumerate(memories.NOISE):
        for column in (0, 2, 5, 8):
            phi = 1 - np.exp(-memories.PERSISTENCE[column])
            theta = 1 - np.exp(-noise * memories.PERSISTENCE[column])
            impulse = np.zeros(2000)
            impulse[0] = 1
            response = scipy.signal.lfilter([1, -theta], [1, -phi], impulse)
            for lag in (1, 2):
                rho = (response[lag:] @ response[:-lag]) / (response @ response)
                assert amplitude[row, column] * phi**lag == pytest.approx(rho, abs=1e-10)


# --- gaps, shapes, blocks ---


@pytest.mark.parametrize("interval", INTERVALS)
def test_blocks_and_neighbours_do_not_matter(interval) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(3)
    product, reference = pairs(rng, memory=(0.9, 0.8), gap=0.4, series=70, days=120)
    together = interval(product.reshape(7, 10, 120), reference.reshape(7, 10, 120))
    assert together.lower.shape == together.is_too_short.shape == (7, 10)
    alone = interval(product[37], reference[37])
    assert alone.lower.shape == ()
    for name in ("lower", "upper", "effective_n"):
        assert getattr(alone, name) == pytest.approx(getattr(together, name)[3, 7], rel=1e-9)


@pytest.mark.parametrize("interval", INTERVALS)
def test_gaps_at_the_ends_change_nothing_but_the_calendar(interval) -> None:  # type: ignore[no-untyped-def]
    """A gap on either side is a gap, and the value on the other side of the pair is not looked at."""
    rng = np.random.default_rng(3)
    product, reference = pairs(rng, memory=(0.9, 0.8), gap=0.4, series=5, days=200)
    is_gap = np.isnan(reference)
    moved = interval(np.where(is_gap, np.nan, product), np.where(is_gap, 99.0, reference))
    here = interval(product, reference)
    np.testing.assert_array_equal(moved.lower, here.lower)
    np.testing.assert_array_equal(moved.upper, here.upper)


@pytest.mark.parametrize("interval", INTERVALS)
def test_units_and_levels_do_not_matter(interval) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(5)
    product, reference = pairs(rng, memory=(0.9, 0.8), gap=0.4, series=5, days=200)
    scale = 1 if interval is correlation_interval else 100
    here = interval(product, reference)
    there = interval(100 * product + 7, 100 * reference + 7)
    np.testing.assert_allclose(there.lower, scale * here.lower, rtol=1e-6)
    np.testing.assert_allclose(there.upper, scale * here.upper, rtol=1e-6)


def test_swapping_the_sides_mirrors() -> None:
    rng = np.random.default_rng(5)
    product, reference = pairs(rng, memory=(0.9, 0.8), gap=0.4, series=5, days=200)
    bias, swapped = bias_interval(product, reference), bias_interval(reference, product)
    np.testing.assert_allclose(swapped.upper, -bias.lower)
    plain = correlation_interval(product, reference)
    np.testing.assert_allclose(correlation_interval(reference, product).lower, plain.lower)
    negative = correlation_interval(-product, reference)
    np.testing.assert_allclose(negative.upper, -plain.lower, rtol=1e-6)


# --- what is too short, constant or wrong ---


@pytest.mark.parametrize("interval", INTERVALS)
def test_a_short_and_slow_series_is_too_short(interval) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(8)
    slow = pairs(rng, memory=(0.99, 0.99), gap=0.3, series=50, days=90)
    found = interval(*slow)
    assert found.is_too_short.mean() > 0.6
    assert np.isfinite(found.lower).all()
    quick = pairs(rng, memory=(0.8, 0.8), gap=0.3, series=50, days=730)
    assert not interval(*quick).is_too_short.any()


@pytest.mark.parametrize("interval", INTERVALS)
def test_few_or_no_pairs_have_no_interval(interval) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(8)
    product, reference = rng.standard_normal((2, 3, 100))
    product[0] = np.nan
    product[1, 9:] = np.nan
    found = interval(product, reference)
    assert np.isnan(found.lower).tolist() == [True, True, False]
    assert found.is_too_short.tolist()[:2] == [True, True]
    assert np.isnan(found.effective_n[:2]).all()


def test_a_perfect_product() -> None:
    truth = np.random.default_rng(0).normal(0.3, 0.05, 100)
    bias, ubrmse = bias_interval(truth, truth), ubrmse_interval(truth, truth)
    assert (bias.lower, bias.upper, ubrmse.lower, ubrmse.upper) == (0, 0, 0, 0)
    assert bias_interval(truth + 0.25, truth).upper == pytest.approx(0.25)
    for sign in (1, -1):
        correlation = correlation_interval(sign * truth, truth)
        assert (correlation.lower, correlation.upper) == (sign, sign)


def test_a_constant_has_no_correlation() -> None:
    truth = np.random.default_rng(0).normal(0.3, 0.05, 100)
    for pair in ((np.full(100, 0.3), truth), (truth, np.full(100, 0.3))):
        found = correlation_interval(*pair)
        assert np.isnan(found.lower)
        assert found.is_too_short


@pytest.mark.parametrize("interval", INTERVALS)
def test_errors_say_what_to_do(interval) -> None:  # type: ignore[no-untyped-def]
    series = np.arange(20.0)
    with pytest.raises(ValueProblem, match=r"shapes \(20,\), \(19,\), expected the same"):
        interval(series, series[1:])
    with pytest.raises(ValueProblem, match=r"shapes \(3, 0\), \(3, 0\), expected the same"):
        interval(np.empty((3, 0)), np.empty((3, 0)))
    with pytest.raises(ValueProblem, match="infinite values"):
        interval(np.where(series == 3, np.inf, series), series)
    with pytest.raises(RecipeProblem, match="level: found 95, expected a share between 0 and 1"):
        interval(series, series, level=95)
