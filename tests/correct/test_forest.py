"""The forest on prediction and predictors: it learns what a line cannot, and says what it needs."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

from vadose.correct import Additive, Forest, correct_held_out, station_folds
from vadose.errors import UnknownName, ValueProblem


def on_heights(pairs):
    return np.where(pairs.predictors["elevation"] > 500, 0.08, -0.02)


@pytest.mark.parametrize(
    ("is_random", "peer"), [(True, ExtraTreesRegressor), (False, RandomForestRegressor)]
)
def test_it_is_the_forest_of_scikit_learn(is_random, peer, network):
    pairs = network(on_heights)
    ours = Forest(["elevation"], trees=7, leaf=20, is_random=is_random, seed=4).fit(pairs)
    table = np.stack([pairs.predicted, pairs.predictors["elevation"]], axis=1)
    theirs = peer(7, min_samples_leaf=20, max_features=1 / 3, random_state=4)
    expected = theirs.fit(table, pairs.observed).predict(table)
    np.testing.assert_allclose(ours.correct(pairs), expected, atol=1e-6)


def test_a_step_is_learned_where_stations_are_new(network):
    pairs = network(on_heights, stations=60, days=30)
    folds = station_folds(pairs, folds=5)
    errors = {}
    for one in (Forest(["elevation"], trees=30, features=1.0), Additive()):
        held = correct_held_out(one, pairs, folds)
        errors[one.name] = np.sqrt(np.mean((held.corrected - held.pairs.observed) ** 2))
    assert errors["forest"] < 0.6 * errors["additive"]


def test_the_same_seed_is_the_same_forest(network):
    pairs = network(on_heights)
    one, same, other = (
        Forest(["elevation"], trees=3, seed=seed, workers=workers).fit(pairs).correct(pairs)
        for seed, workers in ((1, 1), (1, 2), (2, 1))
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0


def test_what_it_refuses(network):
    pairs = network(on_heights)
    with pytest.raises(
        UnknownName, match=r"predictor of the correction 'elevatoin'.*'elevation'\?"
    ):
        Forest(["elevatoin"]).fit(pairs)
    with pytest.raises(ValueProblem, match="found 60, expected 100 or more, two leaves"):
        Forest(["elevation"]).fit(pairs.rows(np.arange(len(pairs)) % 40 == 0))
    with pytest.raises(ValueProblem, match=r"found trees 0, leaf 50, features 0\.3"):
        Forest(trees=0).fit(pairs)
