"""SHAP values of our own trees and of any other function."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from vadose.errors import MissingExtra, ValueProblem
from vadose.models import Boosting, RandomForest
from vadose.validate.attribution import mean_size, shap_values

# found, not imported: importing it is what shap_values has to do without a warning
needs_shap = pytest.mark.skipif(find_spec("shap") is None, reason="needs the extra explain")


@pytest.fixture(scope="module")
def samples():
    X = np.random.default_rng(2).normal(size=(400, 4)).astype(np.float32)
    return X, X[:, 0] * (X[:, 1] > 0) + 0.5 * X[:, 2]


@needs_shap
@pytest.mark.parametrize("model", [RandomForest(trees=8), Boosting(trees=30, leaf=10)])
def test_values_of_trees_sum_to_the_prediction(samples, model):
    X, y = samples
    model.fit(X, y)
    rows, usual = X[:40], X[100:130]
    values = shap_values(model.predict, rows, usual, trees=model.trees_[0])
    assert values.shape == (40, 4)
    mean = model.predict(usual).mean()
    assert values.sum(axis=1) + mean == pytest.approx(model.predict(rows), abs=1e-5)
    assert np.abs(values[:, 3]).mean() < np.abs(values[:, 0]).mean()


@needs_shap
@pytest.mark.slow  # the library compiles for some seconds before it begins
def test_a_linear_function_gives_slope_times_departure(samples):
    X, _ = samples
    slopes = np.array([2.0, -1.0, 0.0, 0.5])
    values = shap_values(lambda table: table @ slopes, X[:6], X[50:70])
    assert values == pytest.approx(slopes * (X[:6] - X[50:70].mean(axis=0)), abs=1e-5)


def test_opposites_inside_a_group_cancel():
    values = np.array([[1.0, -1.0, 2.0], [2.0, -1.0, -4.0]])
    assert mean_size(values, {"a": (0, 1), "b": (2,)}) == {"a": 0.5, "b": 3.0}


def test_sequences_are_refused(samples):
    X = np.zeros((2, 3, 4), np.float32)
    with pytest.raises(ValueProblem, match=r"X: found 3 dimensions, expected \(sample, feature\)"):
        shap_values(lambda table: table[..., 0], X, X)


def test_a_missing_library_is_named(samples, monkeypatch):
    monkeypatch.setitem(sys.modules, "shap", None)
    X, _ = samples
    with pytest.raises(MissingExtra, match=r"pip install 'vadose\[explain\]'"):
        shap_values(lambda table: table[:, 0], X[:3], X[3:6])
