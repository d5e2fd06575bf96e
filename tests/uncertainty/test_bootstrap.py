"""Blocks are as long as the data remember, gaps stay gaps, and the same seed draws the same days."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal

from vadose.errors import RecipeProblem, UnknownName, ValueProblem
from vadose.uncertainty.bootstrap import block_bootstrap, block_length, draw_means
from vadose.uncertainty.intervals import bias_interval, difference_interval, ubrmse_interval
from vadose.uncertainty.paired import SCORES

METRICS = ["r", "ubrmse", "rmse", "mae", "absolute_bias"]


def red_noise(rng: np.random.Generator, phi: float, shape: tuple[int, ...]) -> np.ndarray:
    noise = rng.standard_normal(shape)
    noise[..., 1:] *= np.sqrt(1 - phi**2)
    return scipy.signal.lfilter([1.0], [1.0, -phi], noise, axis=-1)


def mean_of(means: np.ndarray) -> np.ndarray:
    return means[:, 0]


# --- block length ---


def politis_white(series: np.ndarray) -> float:
    """Follow the paper step by step for one series without gaps."""
    n = len(series)
    centred = series - series.mean()
    in_a_row = max(5, math.ceil(math.sqrt(math.log10(n))))
    most = math.ceil(math.sqrt(n)) + in_a_row
    covariance = [float(centred[lag:] @ centred[: n - lag]) / (n - lag) for lag in range(most + 1)]

    def matters(lag: int) -> bool:
        pairs = n - lag
        return abs(covariance[lag] / covariance[0]) > 2 * math.sqrt(math.log10(pairs) / pairs)

    last = next(
        (
            lag
            for lag in range(most - in_a_row + 1)
            if not any(matters(lag + ahead) for ahead in range(1, in_a_row + 1))
        ),
        None,
    )
    if last is None:
        last = max(lag for lag in range(1, most + 1) if matters(lag))
    width = min(2 * max(last, 1), most)
    slope, total = 0.0, 0.0
    for lag in range(-width, width + 1):
        weight = min(1.0, 2 * (1 - abs(lag) / width))
        slope += weight * abs(lag) * covariance[abs(lag)]
        total += weight * covariance[abs(lag)]
    return (2 * slope**2 / (4 / 3 * total**2)) ** (1 / 3) * n ** (1 / 3)


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.6, 0.9, 0.98])
def test_the_length_is_that_of_politis_and_white(phi: float) -> None:
    series = red_noise(np.random.default_rng(3), phi, (12, 500))
    bound = math.ceil(min(3 * math.sqrt(500), 500 / 3))
    expected = [min(max(round(politis_white(one)), 1), bound) for one in series]
    assert block_length(series).tolist() == expected


def test_the_length_grows_with_memory_and_hardly_depends_on_gaps() -> None:
    rng = np.random.default_rng(0)
    lengths = []
    for phi in (0.0, 0.5, 0.9):
        series = red_noise(rng, phi, (40, 1500))
        whole = np.median(block_length(series))
        thinned = np.median(block_length(np.where(rng.random(series.shape) < 0.5, np.nan, series)))
        assert 0.4 * whole <= thinned <= 2 * whole + 2
        lengths.append(whole)
    assert lengths[0] < 4 < lengths[1] < lengths[2]
    assert 5 < lengths[1] < 16
    # the best length of an AR(1) for the variance of its mean, on average over processes known exactly
    assert lengths[2] == pytest.approx(
        (2 * (1.8 / (1 - 0.81)) ** 2 / (4 / 3) * 1500) ** (1 / 3), rel=0.5
    )


def test_the_length_sees_across_overpasses() -> None:
    """Every eighth day of a slow series asks for blocks of as many days, nearly, as all of them."""
    series = red_noise(np.random.default_rng(0), 0.95, (40, 2000))
    overpasses = np.where(np.arange(2000) % 8 == 0, series, np.nan)
    assert np.median(block_length(overpasses)) > 0.5 * np.median(block_length(series)) > 10


def test_the_length_of_what_does_not_vary_is_one() -> None:
    assert block_length(np.full(100, 0.3)) == 1
    assert block_length(np.full((2, 3, 100), np.nan)).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert block_length(np.array([0.3])) == 1


# --- the bootstrap ---


def test_blocks_stay_whole_and_days_are_as_many() -> None:
    """Of the numbers of the days, a draw of blocks of 4 holds 4 that follow each other, around the end too."""
    days = np.eye(12)
    drawn: list[np.ndarray] = []
    block_bootstrap(
        days,
        lambda means: drawn.append(means * 12) or means[:, 0],  # type: ignore[func-returns-value]
        length=4,
        draws=200,
        rng=np.random.default_rng(0),
    )
    counts = drawn[0]
    assert counts.shape == (200, 12)
    np.testing.assert_allclose(counts.sum(axis=1), 12)
    np.testing.assert_allclose(counts, np.rint(counts))
    for one in np.rint(counts).astype(int):
        starts = [
            first
            for first in np.ndindex(12, 12, 12)
            if list(first) == sorted(first)
            and (
                np.bincount((np.array(first)[:, None] + range(4)).ravel() % 12, minlength=12) == one
            ).all()
        ]
        assert starts
    assert counts.mean(axis=0) == pytest.approx(np.ones(12), abs=0.25)


def test_the_last_block_is_cut() -> None:
    drawn = draw_means(
        np.eye(10)[None],
        np.ones((1, 10), bool),
        length=4,
        draws=50,
        rng=np.random.default_rng(0),
    )
    np.testing.assert_allclose(drawn.sum(axis=1), 1)
    assert (np.rint(drawn * 10).max(axis=1) <= 3).all()


def test_the_spread_is_that_of_the_mean() -> None:
    """Of many series of known memory; blocks of independent values give the usual standard error."""
    rng = np.random.default_rng(1)
    white = rng.standard_normal((2000, 1))
    spread = block_bootstrap(white, mean_of, length=1, draws=4000, rng=rng).std()
    assert spread == pytest.approx(white.std() / math.sqrt(2000), rel=0.05)
    red = red_noise(rng, 0.8, (30, 2000))
    spreads = [block_bootstrap(one[:, None], mean_of, draws=300, rng=rng).std() for one in red]
    assert np.mean(spreads) == pytest.approx(math.sqrt(9 / 2000), rel=0.15)


def test_gaps_do_not_count() -> None:
    """The mean of a draw is that of its valid days, and what never was valid leaves no trace."""
    rng = np.random.default_rng(5)
    series = red_noise(rng, 0.5, (400, 1)) + 100
    series[::3] = np.nan
    drawn = block_bootstrap(series, mean_of, length=8, draws=500, rng=rng)
    assert np.isfinite(drawn).all()
    assert drawn.mean() == pytest.approx(np.nanmean(series), abs=0.05)


def test_the_seed_decides() -> None:
    statistics = np.random.default_rng(0).standard_normal((200, 2))

    def draw(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return block_bootstrap(statistics, mean_of, draws=20, rng=rng)

    np.testing.assert_array_equal(draw(1), draw(1))
    assert (draw(1) != draw(2)).all()


def test_errors_of_the_bootstrap() -> None:
    statistics = np.random.default_rng(0).standard_normal((20, 2))
    rng = np.random.default_rng(0)
    with pytest.raises(RecipeProblem, match="length: found blocks of 21 steps, expected 1 to 20"):
        block_bootstrap(statistics, mean_of, length=21, rng=rng)
    with pytest.raises(RecipeProblem, match="draws: found 0, expected at least one"):
        block_bootstrap(statistics, mean_of, draws=0, rng=rng)
    statistics[3, 1] = np.nan
    with pytest.raises(ValueProblem, match="a step with some NaN and some values"):
        block_bootstrap(statistics, mean_of, rng=rng)
    with pytest.raises(ValueProblem, match="no valid step"):
        block_bootstrap(np.full((20, 2), np.nan), mean_of, rng=rng)


# --- paired differences ---


def three(rng: np.random.Generator, series: int, days: int, phi: float) -> tuple[np.ndarray, ...]:
    """Make two products of one reference that share half of their errors, with gaps."""
    signal = red_noise(rng, phi, (series, days))
    shared = red_noise(rng, phi, (series, days))
    product, other = (
        signal + 0.3 * shared + size * red_noise(rng, phi, (series, days)) + offset
        for size, offset in ((0.3, 0.4), (0.5, -0.6))
    )
    reference = np.where(rng.random(signal.shape) < 0.3, np.nan, signal)
    return product, other, reference


TRUTH = {
    "r": 1 / math.sqrt(1.18) - 1 / math.sqrt(1.34),
    "ubrmse": math.sqrt(0.18) - math.sqrt(0.34),
    "rmse": math.sqrt(0.34) - math.sqrt(0.70),
    "absolute_bias": -0.2,
}


@pytest.mark.parametrize("metric", TRUTH)
def test_differences_cover_what_they_claim(metric: str) -> None:
    """Three hundred series tell 95 % to within 1.3."""
    rng = np.random.default_rng(7)
    series = three(rng, 300, 365, 0.8)
    found = difference_interval(*series, metric=metric, rng=rng, draws=100)  # type: ignore[arg-type]
    inside = (found.lower <= TRUTH[metric]) & (TRUTH[metric] <= found.upper)
    assert 90 <= 100 * inside.mean() <= 99.7


def test_pairs_are_sharper_than_their_sides() -> None:
    """What both products get wrong alike does not make their difference less sure."""
    rng = np.random.default_rng(7)
    product, other, reference = three(rng, 30, 730, 0.8)
    common = 2 * red_noise(rng, 0.8, reference.shape)
    found = difference_interval(
        product + common, other + common, reference, metric="ubrmse", rng=rng, draws=100
    )
    single = ubrmse_interval(product + common, reference)
    assert np.median(found.upper - found.lower) < 0.7 * np.median(single.upper - single.lower)


@pytest.mark.parametrize("metric", METRICS)
def test_the_same_product_differs_by_exactly_nothing(metric: str) -> None:
    rng = np.random.default_rng(2)
    product, _, reference = three(rng, 4, 200, 0.5)
    other = np.where(np.isnan(reference), 5.0, product)
    found = difference_interval(product, other, reference, metric=metric, rng=rng)  # type: ignore[arg-type]
    assert (found.lower == 0).all()
    assert (found.upper == 0).all()
    assert not found.is_too_short.any()


@pytest.mark.parametrize("metric", METRICS)
def test_the_influence_is_the_first_order_of_the_score(metric: str) -> None:
    """Counting one day a little more changes the score by its influence."""
    rng = np.random.default_rng(2)
    product, _, reference = three(rng, 1, 60, 0.5)
    valid = ~np.isnan(reference)
    reference = np.where(valid, reference, 0)
    score = SCORES[metric]
    statistics = score.statistics(product, reference)
    influence = score.influence(product, reference, valid)[0]
    level = influence[valid[0]].mean()
    n = valid.sum()

    def with_weight(day: int, extra: float) -> float:
        weight = valid[0] / n * (1 - extra)
        weight[day] += extra
        return float(score.of_means((statistics @ weight)[..., None])[0, 0])

    for day in np.flatnonzero(valid[0])[::7]:
        change = (with_weight(day, 1e-6) - with_weight(day, -1e-6)) / 2e-6
        assert influence[day] - level == pytest.approx(change, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("metric", METRICS)
def test_neighbours_and_layout_do_not_matter(metric: str) -> None:
    """A series has the same interval alone and among others, from the same state of the generator."""
    product, other, reference = three(np.random.default_rng(4), 70, 150, 0.7)
    settings = {"metric": metric, "draws": 50}
    together = difference_interval(
        product.reshape(7, 10, 150),
        other.reshape(7, 10, 150),
        reference.reshape(7, 10, 150),
        rng=np.random.default_rng(1),
        **settings,  # type: ignore[arg-type]
    )
    alone = difference_interval(
        product[37],
        other[37],
        reference[37],
        rng=np.random.default_rng(1),
        **settings,  # type: ignore[arg-type]
    )
    assert together.lower.shape == (7, 10)
    assert alone.lower == pytest.approx(together.lower[3, 7], rel=1e-9)
    assert alone.upper == pytest.approx(together.upper[3, 7], rel=1e-9)


def test_the_interval_lies_around_the_difference() -> None:
    """Its middle is the difference of the scores of all valid days, as numpy takes them."""
    rng = np.random.default_rng(4)
    product, other, reference = three(rng, 3, 150, 0.7)
    found = {
        metric: difference_interval(product, other, reference, metric=metric, rng=rng)  # type: ignore[arg-type]
        for metric in METRICS
    }
    for row in range(3):
        valid = ~np.isnan(reference[row])
        p, q, o = product[row, valid], other[row, valid], reference[row, valid]
        expected = {
            "r": np.corrcoef(p, o)[0, 1] - np.corrcoef(q, o)[0, 1],
            "ubrmse": (p - o).std() - (q - o).std(),
            "rmse": math.sqrt(np.mean((p - o) ** 2)) - math.sqrt(np.mean((q - o) ** 2)),
            "mae": np.abs(p - o).mean() - np.abs(q - o).mean(),
            "absolute_bias": abs((p - o).mean()) - abs((q - o).mean()),
        }
        for metric, interval in found.items():
            middle = (interval.lower + interval.upper)[row] / 2
            assert middle == pytest.approx(expected[metric], abs=1e-9)


def test_a_constant_or_short_side_has_no_difference() -> None:
    rng = np.random.default_rng(4)
    product, other, reference = three(rng, 3, 150, 0.7)
    other[0] = 0.2
    reference[1, 12:] = np.nan
    found = difference_interval(product, other, reference, metric="r", rng=rng)
    assert np.isnan(found.lower).tolist() == [True, True, False]
    assert found.is_too_short.tolist() == [True, True, False]
    assert np.isfinite(
        difference_interval(product, other, reference, metric="mae", rng=rng).lower[0]
    )


def test_errors_of_differences() -> None:
    series = np.arange(20.0)
    rng = np.random.default_rng(0)
    with pytest.raises(UnknownName, match="metric 'ubrmsd': found no such name"):
        difference_interval(series, series, series, metric="ubrmsd", rng=rng)  # type: ignore[arg-type]
    with pytest.raises(ValueProblem, match=r"shapes \(20,\), \(20,\), \(19,\)"):
        difference_interval(series, series, series[1:], metric="r", rng=rng)
    with pytest.raises(RecipeProblem, match="level: found 0"):
        difference_interval(series, series, series, metric="r", level=0, rng=rng)
    assert bias_interval(series, series).upper == 0
