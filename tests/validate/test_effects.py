"""Accumulated local effects and partial dependence against closed forms and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.inspection import partial_dependence as theirs
from sklearn.linear_model import LinearRegression

from vadose.errors import ValueProblem
from vadose.validate.effects import accumulated_effect, partial_dependence


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize("curve", [accumulated_effect, partial_dependence])
def test_a_linear_model_gives_its_slope_and_a_mean_of_nothing(rng, curve):
    X = rng.normal(size=(700, 3))
    found = curve(lambda table: 4 * table[:, 0] - 2 * table[:, 1] + 7, X, 1)
    assert np.diff(found.effect) / np.diff(found.value) == pytest.approx(-2)
    assert np.interp(X[:, 1], found.value, found.effect).mean() == pytest.approx(0, abs=1e-9)
    assert found.count.sum() == 700


def test_the_main_effect_of_a_product_of_centred_features_is_none(rng):
    """E[x₂ | x₁] = 0 for independent features: neither method may show a slope."""
    X = rng.normal(size=(20000, 2))
    found = accumulated_effect(lambda table: table[:, 0] * table[:, 1], X, 0)
    assert np.abs(found.effect).max() < 0.1


def test_correlated_features_mislead_partial_dependence_and_not_ale(rng):
    """f = x₁² where x₂ is like x₁, and wrong by 10 (x₁ − x₂) off the data (Apley and Zhu, section 1)."""
    first = rng.random(3000)
    X = np.stack([first, first + 0.01 * rng.normal(size=3000)], axis=1)

    def predict(table):
        away = table[:, 0] - table[:, 1]
        return table[:, 0] ** 2 + 10 * np.where(np.abs(away) > 0.2, away, 0.0)

    local = accumulated_effect(predict, X, 0)
    expected = local.value**2
    centred = local.effect - local.effect[0] + expected[0]
    assert centred == pytest.approx(expected, abs=0.02)
    pushed = partial_dependence(predict, X, 0)
    assert np.ptp(pushed.effect) > 5 * np.ptp(local.effect)


def test_the_derivative_of_one_feature_alone_counts_in_correlated_ones(rng):
    """ALE of f = x₁ + x₂ along x₁ has slope 1 however x₂ follows x₁; a conditional mean has 2."""
    first = rng.normal(size=2000)
    X = np.stack([first, first], axis=1)
    found = accumulated_effect(lambda table: table.sum(axis=1), X, 0)
    assert np.diff(found.effect) / np.diff(found.value) == pytest.approx(1)


def test_partial_dependence_agrees_with_scikit_learn(rng):
    X = rng.normal(size=(300, 3))
    features = np.stack([X[:, 0], X[:, 0] * X[:, 1], X[:, 2] ** 2], axis=1)
    model = LinearRegression().fit(X, features.sum(axis=1))
    found = partial_dependence(model.predict, X, 0, points=10)
    wanted = theirs(model, X, [0], custom_values={0: found.value}, kind="average")["average"][0]
    assert np.diff(found.effect) == pytest.approx(np.diff(wanted))


def test_repeated_values_make_fewer_bins_and_a_constant_none(rng):
    X = np.stack([rng.integers(0, 3, 200), np.ones(200)], axis=1).astype(np.float32)
    steps = accumulated_effect(lambda table: table[:, 0] ** 2, X, 0)
    assert steps.value.tolist() == [0, 1, 2]
    assert np.diff(steps.effect).tolist() == [1, 3]
    assert steps.count.tolist() == np.bincount(X[:, 0].astype(int)).tolist()
    constant = accumulated_effect(lambda table: table[:, 0], X, 1)
    assert (constant.value.tolist(), constant.effect.tolist()) == ([1.0], [0.0])


@pytest.mark.parametrize("curve", [accumulated_effect, partial_dependence])
def test_sequences_move_at_all_their_steps(rng, curve):
    """Every step of a sequence is a place, and moves along its own bin."""
    X = rng.normal(size=(120, 3, 2))
    found = curve(lambda table: table[..., 1] * 5, X, 1)
    assert np.diff(found.effect) / np.diff(found.value) == pytest.approx(5)
    assert found.count.sum() == 360


def test_the_samples_are_left_as_they_were(rng):
    X = rng.normal(size=(50, 2))
    before = X.copy()
    accumulated_effect(lambda table: table[:, 0], X, 0)
    partial_dependence(lambda table: table[:, 0], X, 0)
    assert np.array_equal(X, before)


def test_bad_input_is_named(rng):
    X = rng.normal(size=(10, 2))
    with pytest.raises(ValueProblem, match="feature 2: found no such column, expected 0 to 1"):
        accumulated_effect(lambda table: table[:, 0], X, 2)
    with pytest.raises(ValueProblem, match="X: found NaN, expected complete samples"):
        accumulated_effect(lambda table: table[:, 0], X * np.nan, 0)
    with pytest.raises(ValueProblem, match="X: found no samples"):
        partial_dependence(lambda table: table[:, 0], X[:0], 0)
    with pytest.raises(ValueProblem, match="bins: found 0"):
        accumulated_effect(lambda table: table[:, 0], X, 0, bins=0)
