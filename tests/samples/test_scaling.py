"""Scaling: learned on the training part, undone exactly, refused where it is missing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from vadose.errors import ModelProblem, UnknownName
from vadose.samples.scaling import Rule, Scaling

TABLE = np.random.default_rng(0).normal(290.0, [3.0, 0.01, 200.0], (500, 3))


@pytest.mark.parametrize(
    ("rule", "oracle"), [("zscore", StandardScaler()), ("range", MinMaxScaler())]
)
def test_agrees_with_scikit_learn(rule: Rule, oracle: StandardScaler) -> None:
    scaled = Scaling.learn(TABLE, rule).apply(TABLE)
    np.testing.assert_allclose(scaled, oracle.fit_transform(TABLE), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rule", ["zscore", "range"])
def test_is_undone(rule: Rule) -> None:
    scaling = Scaling.learn(TABLE, rule)
    np.testing.assert_allclose(scaling.undo(scaling.apply(TABLE)), TABLE, rtol=1e-12)


def test_knows_nothing_of_other_parts() -> None:
    scaling = Scaling.learn(TABLE[:100], "range")
    assert scaling.apply(TABLE).max() > 1.0


def test_planned_gaps_are_left_out_and_stay() -> None:
    cube = TABLE.reshape(10, 50, 3).copy()
    cube[3, :20] = np.nan
    scaling = Scaling.learn(cube)
    expected = np.nanmean(cube, axis=(0, 1))
    np.testing.assert_allclose(scaling.shift, expected, rtol=1e-12)
    assert np.array_equal(np.isnan(scaling.apply(cube)), np.isnan(cube))


def test_weights_count() -> None:
    weight = np.zeros(500)
    weight[:50] = 2.0
    weighted = Scaling.learn(TABLE, weight=weight)
    np.testing.assert_allclose(weighted.shift, TABLE[:50].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(weighted.width, TABLE[:50].std(axis=0), rtol=1e-9)


def test_values_without_weight_are_nothing_to_learn_from() -> None:
    values = np.array([[1.0, np.nan], [2.0, 3.0]])
    with pytest.raises(
        ModelProblem, match="feature 1: found weight 0 at all values, expected more"
    ):
        Scaling.learn(values, weight=np.array([1.0, 0.0]))


@pytest.mark.parametrize("value", [0.0, 0.1, 290.15, 1e6])
@pytest.mark.parametrize("rule", ["zscore", "range"])
def test_a_constant_feature_becomes_zero(rule: Rule, value: float) -> None:
    scaling = Scaling.learn(np.full((1000, 1), value), rule)
    assert scaling.width == 1.0
    np.testing.assert_allclose(scaling.apply(np.full((3, 1), value)), 0.0, atol=1e-9)


def test_keeps_single_precision() -> None:
    assert Scaling.learn(TABLE).apply(TABLE.astype("f4")).dtype == np.float32


def test_survives_json_to_the_bit() -> None:
    scaling = Scaling.learn(TABLE)
    again = Scaling.read(json.loads(json.dumps(scaling.describe())), features=3, of="m")
    assert np.array_equal(again.apply(TABLE), scaling.apply(TABLE))


def test_a_feature_without_a_value_and_another_rule_are_refused() -> None:
    with pytest.raises(ModelProblem, match="feature 1: found no value"):
        Scaling.learn(np.array([[1.0, np.nan], [2.0, np.nan]]))
    with pytest.raises(UnknownName, match=r"scaling 'zscor'.*Did you mean 'zscore'"):
        Scaling.learn(TABLE, "zscor")  # type: ignore[arg-type]


def test_a_missing_or_foreign_description_is_refused() -> None:
    with pytest.raises(ModelProblem, match="m: found no scaling, expected shift and width of 3"):
        Scaling.read(None, features=3, of="m")
    good = Scaling.learn(TABLE).describe()
    for bad in (
        {},
        {**good, "rule": "log"},
        {**good, "shift": [1.0]},
        {**good, "width": [1.0, 0.0, 1.0]},
        {**good, "width": [1.0, None, 1.0]},
        {**good, "shift": "text"},
    ):
        with pytest.raises(ModelProblem, match="does not suit"):
            Scaling.read(bad, features=3, of="m")
