"""Trees as arrays predict what scikit-learn predicts, and damaged ones are refused."""

from __future__ import annotations

from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor

from vadose.errors import ModelProblem
from vadose.models import Boosting, RandomForest
from vadose.models.crossvalidation import deal_folds
from vadose.models.forest import choose_forest
from vadose.models.trees import Trees, from_boostings, from_forest


def table(samples: int = 400, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(samples, 5)).astype(np.float32)
    X[:, 4] = rng.integers(0, 3, samples)  # ties, as classes have
    return X, 0.2 + 0.05 * X[:, 0] * X[:, 1] + 0.1 * (X[:, 4] == 1) + 0.01 * rng.normal(
        size=samples
    )


def stump(**changes: Any) -> Trees:
    """Two trees by hand: 1 where x0 <= 0.5 else 2; and 10 everywhere."""
    trees = Trees(
        feature=np.array([0, 0, 0, 0], "i4"),
        threshold=np.array([0.5, np.inf, np.inf, np.inf]),
        left=np.array([1, 1, 2, 3], "i4"),
        right=np.array([2, 1, 2, 3], "i4"),
        value=np.array([np.pi, 1.0, 2.0, 10.0]),
        roots=np.array([0, 3], "i4"),
        depths=np.array([1, 0], "i4"),
        offset=0.25,
        scale=0.5,
        features=2,
    )
    return replace(trees, **changes)


# --- predictions ---


def test_hand_made_trees_add_up() -> None:
    X = np.array([[0.5, 9.0], [np.nextafter(np.float32(0.5), np.float32(1)), -9.0]], "f4")
    assert stump().predict(X).tolist() == [0.25 + 0.5 * 11, 0.25 + 0.5 * 12]


@pytest.mark.parametrize("leaf", [1, 5, 500])
def test_forest_is_that_of_scikit_learn(leaf: int) -> None:
    X, y = table()
    forest = RandomForestRegressor(n_estimators=12, min_samples_leaf=leaf, random_state=3).fit(X, y)
    trees = from_forest(forest.estimators_, 5)
    fresh, _ = table(3000, seed=9)
    for rows in (X, fresh):
        assert np.allclose(trees.predict(rows), forest.predict(rows), rtol=0, atol=1e-12)


@pytest.mark.parametrize("leaves", [2, 31])
def test_boosting_is_that_of_scikit_learn(leaves: int) -> None:
    X, y = table()
    boostings = [
        HistGradientBoostingRegressor(max_iter=25, max_leaf_nodes=leaves, random_state=seed).fit(
            X[seed::2], y[seed::2]
        )
        for seed in (0, 1)
    ]
    fresh, _ = table(3000, seed=9)
    for chosen in (boostings[:1], boostings):
        trees = from_boostings(chosen, 5)
        expected = np.mean([one.predict(fresh) for one in chosen], axis=0)
        assert np.allclose(trees.predict(fresh), expected, rtol=0, atol=1e-6)


def test_the_models_are_those_of_scikit_learn() -> None:
    X, y = table()
    own = RandomForest(trees=10, features=0.5, seed=4).fit(X, y)
    theirs = RandomForestRegressor(10, min_samples_leaf=5, max_features=0.5, random_state=4)
    assert np.allclose(own.predict(X), theirs.fit(X, y).predict(X), rtol=0, atol=1e-12)
    assert np.allclose(own.importances_, theirs.feature_importances_)


def test_a_constant_target_comes_back() -> None:
    X, _ = table()
    for value in (0.0, 0.3):
        y = np.full(len(X), value)
        for model in (RandomForest(trees=5), Boosting(trees=5, leaf=20)):
            predicted = model.fit(X, y).predict(X)
            assert np.allclose(predicted, value, rtol=0, atol=1e-12)


# --- what the models say of themselves ---


def test_out_of_bag_error_is_that_of_rows_held_out() -> None:
    X, y = table(1500)
    held_out, truth = table(1500, seed=8)
    forest = RandomForest(trees=40).fit(X, y)
    error = np.sqrt(np.mean((forest.predict(held_out) - truth) ** 2))
    seen = np.sqrt(np.mean((forest.predict(X) - y) ** 2))
    assert forest.out_of_bag_rmse_[0] == pytest.approx(error, rel=0.15)
    assert forest.out_of_bag_rmse_[0] > 1.2 * seen


def test_out_of_bag_error_counts_rows_predicted_as_zero() -> None:
    X, _ = table(100)
    forest = RandomForest(trees=20).fit(X, np.zeros(100))
    assert forest.out_of_bag_rmse_ == [0.0]


@pytest.mark.parametrize("is_weighted", [False, True])
def test_out_of_bag_curve_ends_at_the_score_of_scikit_learn(is_weighted: bool) -> None:
    X, y = table()
    weight = np.where(X[:, 0] > 0, 2.0, 0.5) if is_weighted else None
    own = RandomForest(trees=60, seed=2).fit(X, np.stack([y, 3.0 * y], axis=-1), weight=weight)
    theirs = RandomForestRegressor(
        60, min_samples_leaf=5, max_features=1 / 3, random_state=2, oob_score=True
    ).fit(X, y, sample_weight=weight)
    assert [len(curve) for curve in own.out_of_bag_curve_] == [60, 60]
    expected = np.sqrt(np.mean((theirs.oob_prediction_ - y) ** 2))
    assert own.out_of_bag_rmse_[0] == pytest.approx(expected, rel=1e-12)
    assert own.out_of_bag_rmse_[1] == pytest.approx(3.0 * expected, rel=0.02)
    first = RandomForest(trees=10, seed=2).fit(X, y, weight=weight).out_of_bag_curve_[0]
    assert own.out_of_bag_curve_[0][:10] == first
    assert own.out_of_bag_curve_[0][0] > own.out_of_bag_curve_[0][-1]


# --- the size of a forest ---


def in_groups(count: int = 12, each: int = 25) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each group has a level of its own, which features tell that mean nothing elsewhere."""
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(count), each)
    X = rng.random((count * each, 4)).astype("f4")
    X[:, 3] = rng.random(count)[groups]
    y = 0.3 * X[:, 0] + 0.2 * rng.normal(size=count)[groups] + 0.05 * rng.normal(size=len(X))
    return X, y, groups


def test_sizes_are_compared_as_by_growing_each_of_them() -> None:
    X, y, groups = in_groups()
    both = np.stack([y, 2.0 * y], axis=-1)
    weight = np.where(X[:, 0] > 0.5, 3.0, 0.5)
    choice = choose_forest(
        X,
        both,
        groups,
        forest=RandomForest(seed=3),
        weight=weight,
        trees=(8, 4),
        leaves=(5, 1),
        folds=3,
    )
    fold_of = deal_folds(groups, 3, seed=3)
    for row in choice.table.itertuples():
        errors = []
        for fold in range(3):
            grown = RandomForest(trees=row.trees, leaf=row.leaf, seed=3)
            kept, held = fold_of != fold, fold_of == fold
            grown.fit(X[kept], both[kept], weight=weight[kept])
            squares = ((grown.predict(X[held]) - both[held]) ** 2).mean(axis=1)
            errors.append(np.sqrt(np.average(squares, weights=weight[held])))
        assert row.rmse == pytest.approx(np.mean(errors), rel=1e-12)
        assert row.spread == pytest.approx(np.std(errors, ddof=1), rel=1e-9)
    assert list(zip(choice.table["trees"], choice.table["leaf"], strict=True)) == [
        (4, 1),
        (8, 1),
        (4, 5),
        (8, 5),
    ]


def test_the_best_size_has_the_least_error_and_the_smallest_is_near_it() -> None:
    X, y, _ = in_groups()
    choice = choose_forest(X, y, np.arange(len(y)), trees=(5, 20), leaves=(1, 10, 60), folds=6)
    table = choice.table.set_index(["trees", "leaf"])
    best, smallest = table.loc[astuple(choice.best)], table.loc[astuple(choice.smallest)]
    assert best["rmse"] == table["rmse"].min()
    assert best["excess_error"] == 0.0
    assert smallest["rmse"] - best["rmse"] <= smallest["excess_error"]
    nodes = choice.smallest.trees / choice.smallest.leaf
    assert nodes <= choice.best.trees / choice.best.leaf
    smaller = [size for size in table.index if size[0] / size[1] < nodes]
    assert smaller
    for size in smaller:
        assert table["rmse"][size] - best["rmse"] > table["excess_error"][size]


def test_groups_held_out_as_a_whole_ask_for_larger_leaves_than_single_rows() -> None:
    X, y, groups = in_groups()
    alone = np.arange(len(y))
    sizes = {"trees": (20,), "leaves": (1, 60), "folds": 6}
    blocked = choose_forest(X, y, groups, **sizes)
    flattering = choose_forest(X, y, alone, **sizes)
    assert flattering.best.leaf == 1
    assert blocked.best.leaf == 60
    assert blocked.table["rmse"].min() > 1.5 * flattering.table["rmse"].min()


def test_a_forest_without_a_size_takes_the_best_and_remembers_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vadose.models.forest.TREES", (3, 6))
    monkeypatch.setattr("vadose.models.forest.LEAVES", (2, 40))
    X, y, groups = in_groups()
    notes: list[str] = []
    forest = RandomForest(trees=0, leaf=0, seed=1)
    forest.progress = lambda done, total, note="": notes.append(f"{done} of {total}: {note}")
    forest.fit(X, y, groups=groups)
    choice = choose_forest(X, y, groups, forest=forest, trees=(3, 6), leaves=(2, 40))
    assert forest.size_ == choice.best
    assert notes[0] == "1 of 20: leaf 2, fold 1 of 10"
    assert notes[-1] == "20 of 20: leaf 40, fold 10 of 10"
    given = RandomForest(trees=forest.size_.trees, leaf=forest.size_.leaf, seed=1).fit(X, y)
    assert np.array_equal(forest.predict(X), given.predict(X))
    forest.save(tmp_path)
    again = RandomForest.load(tmp_path)
    assert (again.size_, again.trees, again.leaf) == (choice.best, 0, 0)
    assert again.out_of_bag_curve_ == forest.out_of_bag_curve_
    half = RandomForest(trees=4, leaf=0, seed=1).fit(X, y, groups=groups)
    assert half.size_.trees == 4
    assert half.size_.leaf in (2, 40)


def test_sizes_that_are_none_are_refused() -> None:
    X, y, groups = in_groups()
    with pytest.raises(ModelProblem, match=r"trees \[0\], leaves \[5\], expected 1 or more"):
        choose_forest(X, y, groups, trees=(0,), leaves=(5,))
    with pytest.raises(ModelProblem, match=r"leaves \[\], expected 1 or more"):
        choose_forest(X, y, groups, leaves=())
    with pytest.raises(ModelProblem, match="found 12 with a target, expected 13 or more, one for"):
        choose_forest(X, y, groups, folds=13)
    with pytest.raises(ModelProblem, match="training data: found 6 samples, expected 40"):
        RandomForest(leaf=0).fit(X[:6], y[:6])


@pytest.mark.parametrize("model", [RandomForest(trees=20), Boosting(trees=20, leaf=20)])
def test_importances_add_to_one_and_find_the_cause(model: RandomForest | Boosting) -> None:
    X, _ = table()
    model.fit(X, X[:, 3].astype("f8"))
    assert model.importances_.shape == (5,)
    assert (model.importances_ >= 0).all()
    assert model.importances_.sum() == pytest.approx(1.0)
    assert np.argmax(model.importances_) == 3


# --- files ---


def test_file_keeps_every_bit(tmp_path: Path) -> None:
    path = tmp_path / "trees.safetensors"
    stump().save(path)
    again = Trees.load(path)
    for one in fields(Trees):
        assert np.array_equal(getattr(again, one.name), getattr(stump(), one.name)), one.name


def refused(path: Path, trees: Trees, words: str) -> None:
    trees.save(path)
    with pytest.raises(ModelProblem, match=words) as problem:
        Trees.load(path)
    assert "expected" in str(problem.value)


MALICIOUS: dict[str, tuple[dict[str, Any], str]] = {
    "circle": ({"left": [1, 0, 2, 3], "right": [2, 0, 2, 3]}, "leads out of its tree"),
    "half a leaf": ({"left": [1, 1, 2, 3], "right": [2, 2, 1, 3]}, "leads out of its tree"),
    "a loop on itself": ({"left": [0, 1, 2, 3]}, "leads out of its tree"),
    "beyond the end": ({"right": [4, 1, 2, 3]}, "leads out of its tree"),
    "far beyond": ({"right": [2**31 - 1, 1, 2, 3]}, "leads out of its tree"),
    "before the start": ({"left": [-1, 1, 2, 3]}, "leads out of its tree"),
    "into another tree": ({"right": [3, 1, 2, 3]}, "leads out of its tree"),
    "feature beyond": ({"feature": [2, 0, 0, 0]}, "a feature that does not exist"),
    "feature below": ({"feature": [-1, 0, 0, 0]}, "a feature that does not exist"),
    "depth without end": ({"depths": [2**31 - 1, 0]}, "an impossible depth"),
    "depth below": ({"depths": [-1, 0]}, "an impossible depth"),
    "one depth": ({"depths": [1]}, "different lengths"),
    "roots out of order": ({"roots": [3, 0]}, "different lengths"),
    "a root beyond": ({"roots": [0, 9]}, "different lengths"),
    "no root": ({"roots": [], "depths": []}, "different lengths"),
    "a first tree lost": ({"roots": [1, 3]}, "different lengths"),
    "short": ({"left": [1, 1, 2]}, "different lengths"),
    "value is NaN": ({"value": [0.0, np.nan, 1.0, 1.0]}, "not finite"),
    "value is infinite": ({"value": [0.0, np.inf, 1.0, 1.0]}, "not finite"),
    "threshold is NaN": ({"threshold": [np.nan, 1.0, 1.0, 1.0]}, "not finite"),
}


@pytest.mark.parametrize("case", MALICIOUS)
def test_malicious_trees_are_refused(case: str, tmp_path: Path) -> None:
    changes, words = MALICIOUS[case]
    types = {one.name: getattr(stump(), one.name).dtype for one in fields(Trees)[:7]}
    arrays = {name: np.array(values, types[name]) for name, values in changes.items()}
    refused(tmp_path / "trees.safetensors", stump(**arrays), words)


@pytest.mark.parametrize("name", ["feature", "left", "roots", "depths", "threshold", "value"])
def test_other_types_and_dimensions_are_refused(name: str, tmp_path: Path) -> None:
    array = getattr(stump(), name)
    other = "f4" if array.dtype.kind == "i" else "i8"
    finite = np.nan_to_num(array, posinf=9.0).astype(other)
    refused(
        tmp_path / "a.safetensors", stump(**{name: finite}), f"found {name} of 1 dim.*{other[0]}"
    )
    wide = np.stack([array, array], axis=1)
    refused(tmp_path / "b.safetensors", stump(**{name: wide}), f"found {name} of 2 dimensions")


def test_offset_scale_and_features_are_single_numbers(tmp_path: Path) -> None:
    path = tmp_path / "trees.safetensors"
    refused(path, stump(offset=np.nan), "not finite")
    refused(path, stump(scale=np.array([1.0, 2.0])), "found no readable trees")
    refused(path, stump(features=0), "a feature that does not exist")


def test_missing_arrays_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "trees.safetensors"
    stump().save(path)
    arrays = load_file(path)
    for name in arrays:
        save_file({key: value for key, value in arrays.items() if key != name}, path)
        with pytest.raises(ModelProblem, match=f"no readable trees .*{name}"):
            Trees.load(path)
    for content in (b"", b"\x80\x04N.", b"\xff" * 64, b"{}" * 20):
        path.write_bytes(content)
        with pytest.raises(ModelProblem, match="found no readable trees"):
            Trees.load(path)
    for other in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ModelProblem):
            Trees.load(other)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_trees_that_are_accepted_end_and_stay_inside(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Random arrays are either refused, or predict without a fault."""
    count = data.draw(st.integers(1, 7))
    whole = st.integers(-1, count)
    some = {
        name: np.array(data.draw(st.lists(whole, min_size=count, max_size=count)), "i4")
        for name in ("feature", "left", "right")
    }
    trees = Trees(
        **some,
        threshold=np.zeros(count),
        value=np.arange(float(count)),
        roots=np.array([0], "i4"),
        depths=np.array([data.draw(whole)], "i4"),
        offset=0.0,
        scale=1.0,
        features=3,
    )
    path = tmp_path_factory.mktemp("trees") / "trees.safetensors"
    trees.save(path)
    try:
        again = Trees.load(path)
    except ModelProblem:
        return
    values = again.predict(np.array([[-1.0, 1.0, 0.0], [1.0, -1.0, 1.0]]))
    assert np.isin(values, trees.value).all()
