"""The spread of trees and members is that of their single predictions, by the fast path and without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from vadose.errors import ModelProblem
from vadose.models import Boosting, Ensemble, RandomForest, fast_trees, load_model
from vadose.models.base import Spreading
from vadose.models.spread import has_spread, spread_of, spread_or_one
from vadose.models.trees import from_forest


def rows(count: int = 300, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.random((count, 4)).astype("f4")
    return X, 0.2 + 0.2 * X[:, 0] * X[:, 1] + 0.02 * rng.normal(size=count)


def test_the_spread_is_the_standard_deviation_over_the_trees_of_scikit_learn() -> None:
    X, y = rows()
    forest = RandomForestRegressor(25, min_samples_leaf=3, random_state=1).fit(X, y)
    alone = np.stack([tree.predict(X) for tree in forest.estimators_])
    trees = from_forest(forest.estimators_, 4)
    assert np.allclose(trees.spread(X), alone.std(axis=0), rtol=1e-9, atol=1e-9)
    assert np.array_equal(trees.spread(X, mean=trees.predict(X)), trees.spread(X))


def test_a_small_spread_about_a_large_mean_keeps_its_digits() -> None:
    X, y = rows()
    forest = RandomForestRegressor(20, min_samples_leaf=3, random_state=1).fit(X, 300.0 + y * 1e-3)
    alone = np.stack([tree.predict(X) for tree in forest.estimators_])
    trees = from_forest(forest.estimators_, 4)
    assert np.allclose(trees.spread(X), alone.std(axis=0), rtol=1e-4)


def test_the_fast_path_gives_the_bits_of_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    X, y = rows()
    forest = RandomForest(trees=40, leaf=2).fit(X, y)
    many = rows(30_000, seed=5)[0]
    assert fast_trees.is_worthwhile(forest.trees_[0], len(many))
    fast = forest.spread(many)
    monkeypatch.setattr(fast_trees, "is_worthwhile", lambda *_: False)
    assert np.array_equal(forest.spread(many), fast)


def test_each_output_has_its_own_spread() -> None:
    X, y = rows()
    both = np.stack([y, 10.0 * y], axis=-1)
    forest = RandomForest(trees=15).fit(X, both)
    spread = forest.spread(X)
    assert spread.shape == both.shape
    assert np.array_equal(spread, forest.spread(X, mean=forest.predict(X)))
    single = RandomForest(trees=15).fit(X, y).spread(X)
    assert np.allclose(spread[:, 0], single)
    assert np.allclose(spread[:, 1], 10.0 * single)


def test_trees_disagree_where_the_target_is_noisy() -> None:
    rng = np.random.default_rng(2)
    X = rng.uniform(0, 2, (400, 1))
    y = 0.2 + np.where(X[:, 0] > 1.0, 0.05, 0.002) * rng.normal(size=400)
    spread = RandomForest(trees=60, features=1.0).fit(X, y).spread(np.linspace(0, 2, 21)[:, None])
    assert spread[:9].max() < spread[12:].min()


def test_a_forest_read_from_disk_has_the_same_spread(tmp_path: Path) -> None:
    X, y = rows()
    forest = RandomForest(trees=10).fit(X, y)
    forest.save(tmp_path)
    read = load_model(tmp_path)
    assert isinstance(read, Spreading)
    assert np.array_equal(read.spread(X), forest.spread(X))


def test_members_of_an_ensemble_spread_around_its_prediction() -> None:
    X, y = rows()
    X, y = X.reshape(30, 10, 4), y.reshape(30, 10)
    members = [RandomForest(trees=5), Boosting(trees=10, leaf=10)]
    ensemble = Ensemble(members=members, folds=2).fit(X, y)
    ensemble.weights_ = np.array([[0.25, 0.75]])
    one, other = (member.predict(X) for member in ensemble.members_.values())
    wanted = np.sqrt(0.25 * 0.75) * np.abs(one - other)  # of two points with these weights
    assert np.allclose(ensemble.spread(X), wanted)
    assert np.array_equal(ensemble.spread(X, mean=ensemble.predict(X)), ensemble.spread(X))
    ensemble.weights_ = np.array([[0.0, 1.0]])
    assert np.array_equal(ensemble.spread(X), np.zeros((30, 10)))


def test_a_model_without_parts_says_so() -> None:
    X, y = rows()
    boosting = Boosting(trees=5).fit(X, y)
    assert not has_spread(boosting)
    with pytest.raises(ModelProblem, match="model boosting: found no parts whose spread") as caught:
        spread_of(boosting, X)
    assert "constant width" in str(caught.value)
    assert spread_or_one(boosting, X, mean=boosting.predict(X)).tolist() == [1.0] * len(X)
    with pytest.raises(ModelProblem, match="found steps of a sum, expected a mean of trees"):
        boosting.trees_[0].spread(X)


def test_without_a_fit_there_is_no_spread() -> None:
    for model in (RandomForest(), Ensemble()):
        with pytest.raises(ModelProblem, match="no fit"):
            model.spread(np.zeros((2, 3, 1)))
