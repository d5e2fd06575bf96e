"""Moments merge to those of the whole, and metrics are those of numpy and scipy."""

from __future__ import annotations

import itertools
import math
from dataclasses import astuple

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from vadose.errors import ValueProblem
from vadose.validate.gain import correlation_gain, error_gain
from vadose.validate.metrics import METRICS, bias, mae, n, r, r2, rmse, ubrmse
from vadose.validate.statistics import Moments, moments

Triple = tuple[np.ndarray, np.ndarray, np.ndarray]


@st.composite
def triples(draw: st.DrawFn) -> Triple:
    """Draw product, reference and weights at some level, with some spread."""
    size = draw(st.integers(2, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    level, spread = draw(st.sampled_from([(0.0, 1.0), (0.3, 0.05), (300.0, 5.0), (-1e3, 0.1)]))
    product, reference = level + spread * rng.standard_normal((2, size))
    return product, reference, rng.random(size) + draw(st.sampled_from([0.0, 1.0]))


# --- moments ---


@settings(max_examples=60, deadline=None)
@given(triple=triples(), cuts=st.lists(st.integers(0, 40), max_size=4))
def test_parts_merge_to_the_whole(triple: Triple, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, triple[0].size) for cut in cuts), triple[0].size]
    total = Moments()
    for start, end in itertools.pairwise(edges):
        total = total.merge(moments(*(one[start:end] for one in triple)))
    whole = moments(*triple)
    size = max(1.0, float(np.abs(triple[0]).max()))
    assert total.n == whole.n
    assert np.allclose(astuple(total), astuple(whole), rtol=1e-9, atol=1e-11 * size**2)


@settings(max_examples=30, deadline=None)
@given(triple=triples(), other=triples())
def test_order_of_merging_does_not_matter(triple: Triple, other: Triple) -> None:
    a, b = moments(*triple), moments(*other)
    assert np.allclose(astuple(a.merge(b)), astuple(b.merge(a)), rtol=1e-12)


def test_nothing_merges_to_nothing() -> None:
    some = moments(np.array([1.0, 2.0]), np.array([1.0, 3.0]))
    assert Moments().merge(some) == some == some.merge(Moments())
    assert moments(np.array([]), np.array([])) == Moments()
    assert moments(np.ones(2), np.ones(2), np.zeros(2)) == Moments()


def test_a_weight_of_two_is_the_pair_twice() -> None:
    product, reference = np.array([0.1, 0.2, 0.4]), np.array([0.2, 0.1, 0.3])
    weighted = moments(product, reference, np.array([2.0, 1.0, 1.0]))
    twice = moments(product[[0, 0, 1, 2]], reference[[0, 0, 1, 2]])
    for name, metric in METRICS.items():
        if name != "n":
            assert metric(weighted) == pytest.approx(metric(twice), rel=1e-12), name


def test_any_shape_is_taken_as_pairs() -> None:
    rng = np.random.default_rng(0)
    product, reference = rng.random((2, 3, 4, 5)).astype("f4")
    assert moments(product, reference) == moments(product.ravel(), reference.ravel())


@pytest.mark.parametrize(
    ("product", "reference", "weight", "words"),
    [
        ([1.0, np.nan], [1.0, 2.0], None, "pairs: found NaN among them, expected the common"),
        ([1.0, 2.0], [np.inf, 2.0], None, "pairs: found NaN among them"),
        ([1.0, 2.0], [1.0, 2.0], [1.0, np.nan], "pairs: found NaN among them"),
        ([1.0, 2.0], [1.0], None, "found 2, 1 and 2 values, expected as many of each"),
        ([1.0, 2.0], [1.0, 2.0], [1.0], "found 2, 2 and 1 values"),
        ([1.0, 2.0], [1.0, 2.0], [1.0, -1.0], "weights: found negative values, expected 0 or"),
    ],
)
def test_pairs_that_are_none_are_refused(
    product: list[float], reference: list[float], weight: list[float] | None, words: str
) -> None:
    with pytest.raises(ValueProblem, match=words):
        moments(
            np.array(product), np.array(reference), None if weight is None else np.array(weight)
        )


# --- metrics ---


@settings(max_examples=60, deadline=None)
@given(triple=triples())
def test_metrics_are_those_of_numpy_and_scipy(triple: Triple) -> None:
    p, o, w = triple
    assume(w.sum() > 0.1)
    weighted, plain = moments(p, o, w), moments(p, o)
    difference = p - o
    size = max(1.0, float(np.abs(p).max()))
    close = {"rel": 1e-7, "abs": 1e-10 * size}
    assert bias(weighted) == pytest.approx(np.average(difference, weights=w), **close)
    assert mae(weighted) == pytest.approx(np.average(np.abs(difference), weights=w), **close)
    assert rmse(weighted) ** 2 == pytest.approx(np.average(difference**2, weights=w), **close)
    centred = difference - np.average(difference, weights=w)
    assert ubrmse(weighted) ** 2 == pytest.approx(np.average(centred**2, weights=w), **close)
    covariance = np.cov(p, o, aweights=w, ddof=0)
    expected = covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1])
    assert r(weighted) == pytest.approx(expected, abs=1e-6)
    assert r(plain) == pytest.approx(scipy.stats.pearsonr(p, o).statistic, abs=1e-6)
    sst = ((o - o.mean()) ** 2).sum()
    assert r2(plain) == pytest.approx(1 - (difference**2).sum() / sst, rel=1e-6, abs=1e-6)
    assert n(weighted) == p.size


@settings(max_examples=60, deadline=None)
@given(triple=triples())
def test_squares_add_up_and_bounds_hold(triple: Triple) -> None:
    m = moments(*triple)
    assert rmse(m) ** 2 == pytest.approx(bias(m) ** 2 + ubrmse(m) ** 2, rel=1e-12)
    assert abs(bias(m)) <= mae(m) * (1 + 1e-12) + 1e-12
    assert mae(m) <= rmse(m) * (1 + 1e-9) + 1e-12
    assert -1 <= r(m) <= 1


@settings(max_examples=20, deadline=None)
@given(triple=triples(), shift=st.floats(-5, 5), scale=st.floats(0.1, 5))
def test_what_a_shift_and_a_stretch_change(triple: Triple, shift: float, scale: float) -> None:
    p, o, w = triple
    before, after = moments(p, o, w), moments(p + shift, o, w)
    assert bias(after) - bias(before) == pytest.approx(shift, abs=1e-9)
    assert ubrmse(after) == pytest.approx(ubrmse(before), abs=1e-6)
    assert r(moments(scale * p + shift, o, w)) == pytest.approx(r(before), abs=1e-6)
    assert r(moments(-p, o, w)) == pytest.approx(-r(before), abs=1e-6)


def test_a_perfect_product() -> None:
    truth = np.array([0.1, 0.25, 0.3])
    m = moments(truth, truth)
    assert (bias(m), mae(m), rmse(m), ubrmse(m), r2(m)) == (0, 0, 0, 0, 1)
    assert r(m) == pytest.approx(1.0)


@given(level=st.floats(-400, 400), size=st.integers(2, 50))
@example(level=0.3, size=7)
@example(level=287.15, size=49)
def test_a_constant_has_no_correlation(level: float, size: int) -> None:
    """NaN, neither 1 nor 0: what is left of the squares of a constant is rounding."""
    constant, varied = np.full(size, level), np.linspace(0.0, 1.0, size)
    weight = np.linspace(0.1, 0.7, size)
    for pair in ((constant, varied), (varied, constant), (constant, constant)):
        assert math.isnan(r(moments(*pair, weight)))
    assert math.isnan(r2(moments(varied, constant, weight)))
    assert math.isfinite(r2(moments(constant, varied, weight)))


def test_one_pair_has_an_error_but_no_correlation() -> None:
    m = moments(np.array([0.3]), np.array([0.1]))
    assert rmse(m) == pytest.approx(0.2)
    assert math.isnan(r(m))
    assert math.isnan(r2(m))


def test_no_pair_has_no_score() -> None:
    scores = {name: metric(Moments()) for name, metric in METRICS.items()}
    assert scores.pop("n") == 0
    assert all(math.isnan(value) for value in scores.values())


# --- gains ---


@given(score=st.floats(-1, 1))
def test_a_product_equal_to_the_input_gains_exactly_nothing(score: float) -> None:
    assert error_gain(score, score) == 0.0
    assert correlation_gain(score, score) == 0.0


def test_a_gain_is_positive_when_the_product_is_better() -> None:
    assert error_gain(0.03, 0.05) == pytest.approx(0.02)
    assert correlation_gain(0.8, 0.6) == pytest.approx(0.2)
    assert correlation_gain(0.6, 0.8) < 0


def test_an_undefined_correlation_counts_as_none_and_an_undefined_error_stays() -> None:
    nan = float("nan")
    assert correlation_gain(0.5, nan) == 0.5
    assert correlation_gain(nan, 0.5) == -0.5
    assert correlation_gain(nan, nan) == 0.0
    assert math.isnan(error_gain(nan, 0.1))
    assert math.isnan(error_gain(0.1, nan))
