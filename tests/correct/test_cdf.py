"""Matching of distributions: monotone, the identity of equals, sound at its ends, and told to inflate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vadose.correct import CDFMatching
from vadose.errors import ValueProblem
from vadose.samples.quantiles import Quantiles, learn_quantiles, match_quantiles

VALUES = arrays(np.float64, 60, elements=st.floats(0, 0.625, width=32))


@settings(max_examples=60, deadline=None)
@given(product=VALUES, reference=VALUES, steps=st.integers(1, 100))
def test_order_is_kept_within_and_beyond_the_range(product, reference, steps):
    learned = learn_quantiles(product, reference, steps=steps)
    line = np.linspace(-0.3, 1.0, 400)
    matched = match_quantiles(line, learned)
    assert np.isfinite(matched).all()
    assert (np.diff(matched) >= -1e-12).all()


@settings(max_examples=60, deadline=None)
@given(values=VALUES)
def test_equal_distributions_change_nothing(values):
    learned = learn_quantiles(values, values)
    line = np.concatenate([values, [-0.1, 0.9]])
    np.testing.assert_allclose(match_quantiles(line, learned), line, atol=1e-9)


def test_two_normal_distributions_give_a_line():
    rng = np.random.default_rng(0)
    product, reference = rng.normal(0.2, 0.03, 100_000), rng.normal(0.3, 0.06, 100_000)
    line = np.linspace(0.15, 0.25, 11)
    matched = match_quantiles(line, learn_quantiles(product, reference))
    np.testing.assert_allclose(matched, 0.3 + 2 * (line - 0.2), atol=0.003)


def test_the_matched_product_has_the_distribution_of_the_reference():
    rng = np.random.default_rng(1)
    product, reference = rng.beta(2, 5, 4000), rng.beta(5, 2, 4000) / 2
    matched = match_quantiles(product, learn_quantiles(product, reference))
    levels = np.linspace(0, 1, 21)
    np.testing.assert_allclose(
        np.quantile(matched, levels), np.quantile(reference, levels), atol=0.004
    )


def test_pytesmo_agrees_within_the_range():
    pytesmo = pytest.importorskip("pytesmo.scaling")
    rng = np.random.default_rng(2)
    product = rng.gamma(4, 0.05, 3000)
    reference = product * 0.5 + rng.normal(0.1, 0.02, 3000)
    theirs = pytesmo.cdf_match(product, reference)
    ours = match_quantiles(product, learn_quantiles(product, reference))
    inside = (product > np.quantile(product, 0.03)) & (product < np.quantile(product, 0.97))
    np.testing.assert_allclose(ours[inside], theirs[inside], atol=0.004)


def test_ends_are_shifted_and_not_cut():
    learned = Quantiles(np.array([0.1, 0.2, 0.4]), np.array([0.15, 0.2, 0.3]))
    matched = match_quantiles(np.array([0.05, 0.45, 0.6]), learned)
    np.testing.assert_allclose(matched, [0.10, 0.35, 0.50])


def test_ties_become_the_mean_of_what_they_stand_for():
    rng = np.random.default_rng(0)
    coarse = np.round(rng.uniform(0.1, 0.2, 4000), 2)
    reference = rng.uniform(0.2, 0.4, 4000)
    learned = learn_quantiles(coarse, reference)
    assert 11 <= learned.source.size <= 13  # of 101 quantiles
    assert match_quantiles(np.array([0.15]), learned)[0] == pytest.approx(0.3, abs=0.01)
    constant = learn_quantiles(np.full(80, 0.2), reference[:80])
    shifted = match_quantiles(np.array([0.2, 0.3]), constant)
    np.testing.assert_allclose(np.diff(shifted), 0.1)
    assert shifted[0] == pytest.approx(reference[:80].mean(), abs=0.02)


def test_gaps_take_no_part():
    rng = np.random.default_rng(0)
    product, reference = rng.random(100), rng.random(100)
    with_gaps = np.concatenate([product, [np.nan, 0.5, np.nan]])
    others = np.concatenate([reference, [0.9, np.nan, np.nan]])
    learned, again = learn_quantiles(product, reference), learn_quantiles(with_gaps, others)
    np.testing.assert_array_equal(learned.reference, again.reference)
    assert np.isnan(match_quantiles(np.array([np.nan]), learned)[0])


def test_few_pairs_have_few_steps_or_none():
    values = np.linspace(0, 1, 60)
    assert learn_quantiles(values, values).source.size == 4
    with pytest.raises(ValueProblem, match=r"found 39, expected 40 or more\. Take the additive"):
        learn_quantiles(values[:39], values[:39])
    with pytest.raises(ValueProblem, match="expected the same"):
        learn_quantiles(values, values[:50])


def test_quantiles_that_fall_are_refused():
    with pytest.raises(ValueProblem, match="expected as many of each, rising"):
        Quantiles(np.array([0.1, 0.1]), np.array([0.1, 0.2]))
    with pytest.raises(ValueProblem, match="2 of the product, 1 of the reference"):
        Quantiles(np.array([0.1, 0.2]), np.array([0.1]))


def test_the_inflation_is_measured_and_told(network):
    smooth = network(lambda pairs: 0.5 * (0.25 - pairs.predicted), noise=0.0)
    corrector = CDFMatching().fit(smooth)
    (note,) = corrector.notes_
    assert "inflates variance (Maraun 2013)" in note
    assert float(note.rpartition(" ")[2]) == pytest.approx(4.0, abs=0.1)
    with pytest.raises(ValueProblem, match="steps: found 0"):
        CDFMatching(steps=0).fit(smooth)
