"""Permutation importance against closed forms, on blocks that were held out."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression

from vadose.errors import ValueProblem
from vadose.validate.importance import block_errors, held_out_errors, importances, summed

SINGLE = {"a": (0,), "b": (1,), "c": (2,)}


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def linear(table):
    return 2 * table[..., 0] - table[..., 1]


def values(errors):
    return {one.group: one.value for one in importances(errors, rng=0)}


def test_a_perfect_linear_model_loses_its_slopes(rng):
    """Shuffling a column of variance 1 makes a mean squared error of twice the slope squared."""
    X = rng.normal(size=(4000, 3))
    errors = block_errors(linear, X, linear(X), groups=SINGLE, blocks=np.arange(4000) // 100, rng=0)
    assert errors.rmse == 0
    found = values(errors)
    assert found["a"] == pytest.approx(2 * np.sqrt(2), rel=0.03)
    assert found["b"] == pytest.approx(np.sqrt(2), rel=0.03)
    assert found["c"] == 0


def test_single_columns_agree_with_scikit_learn(rng):
    X = rng.normal(size=(1500, 3))
    y = linear(X) + rng.normal(size=1500)
    model = LinearRegression().fit(X, y)
    theirs = permutation_importance(
        model, X, y, scoring="neg_mean_squared_error", n_repeats=20, random_state=0
    )
    errors = block_errors(
        model.predict, X, y, groups=SINGLE, blocks=np.arange(1500), rng=0, repeats=20
    )
    growth = (errors.shuffled.sum(axis=1) - errors.plain.sum()) / errors.count.sum()
    assert growth == pytest.approx(theirs.importances_mean, rel=0.03, abs=0.01)


def test_copies_hide_each_other_unless_they_are_one_group(rng):
    truth = rng.normal(size=2000)
    X = np.stack([truth, truth], axis=1)

    def either(table):
        return table.mean(axis=1)

    blocks = np.arange(2000) // 50
    alone = values(
        block_errors(either, X, truth, groups={"a": (0,), "b": (1,)}, blocks=blocks, rng=0)
    )
    both = values(block_errors(either, X, truth, groups={"a + b": (0, 1)}, blocks=blocks, rng=0))
    assert alone["a"] == pytest.approx(np.sqrt(0.5), rel=0.05)
    assert both["a + b"] == pytest.approx(np.sqrt(2), rel=0.05)


def test_intervals_hold_the_value_and_widen_with_few_blocks(rng):
    X = rng.normal(size=(1200, 3))
    y = linear(X) + np.repeat(rng.normal(size=12), 100) * X[:, 0]
    widths = []
    for blocks in (np.arange(1200), np.arange(1200) // 100):
        errors = block_errors(linear, X, y, groups=SINGLE, blocks=blocks, rng=0)
        first = importances(errors, rng=0)[0]
        assert first.lower < first.value < first.upper
        widths.append(first.upper - first.lower)
    assert widths[1] > widths[0]


def test_a_single_block_has_a_value_but_no_interval(rng):
    X = rng.normal(size=(50, 3))
    errors = block_errors(linear, X, linear(X), groups=SINGLE, blocks=np.zeros(50, int), rng=0)
    first = importances(errors, rng=0)[0]
    assert first.value > 1
    assert np.isnan([first.lower, first.upper]).all()


def test_what_was_learned_by_heart_is_worth_nothing_on_held_out_blocks(rng):
    """A model that memorises the block's number in column b looks good on its own rows only."""
    blocks = np.repeat(np.arange(20), 30)
    X = np.stack([rng.normal(size=600), blocks.astype(float)], axis=1)
    level = rng.normal(size=20)
    y = X[:, 0] + level[blocks]

    def learn(table, target):
        seen = {one: (target - table[:, 0])[table[:, 1] == one].mean() for one in set(table[:, 1])}

        def predict(rows):
            return rows[:, 0] + np.array([seen.get(one, 0.0) for one in rows[:, 1]])

        return predict

    groups = {"a": (0,), "b": (1,)}
    own = values(block_errors(learn(X, y), X, y, groups=groups, blocks=blocks, rng=0))
    held = held_out_errors(learn, X, y, groups=groups, blocks=blocks, rng=0, folds=5)
    assert own["b"] > 0.5
    assert values(held)["b"] == pytest.approx(0, abs=1e-9)
    assert sorted(held.blocks) == list(range(20))
    assert held.count.sum() == 600


def test_no_fold_learns_from_a_block_that_it_judges(rng):
    blocks = np.repeat(np.arange(9), 10)
    X = np.stack([blocks, rng.normal(size=90)], axis=1).astype(float)
    seen = []

    def learn(table, target):
        learned = set(table[:, 0])

        def predict(rows):
            seen.append(learned & set(rows[:, 0]))
            return np.zeros(len(rows))

        return predict

    held_out_errors(learn, X, X[:, 1], groups={"noise": (1,)}, blocks=blocks, rng=0, folds=3)
    assert seen
    assert not any(seen)


def test_judging_fewer_samples_is_repeatable(rng):
    X = rng.normal(size=(300, 3))

    def once(seed):
        return held_out_errors(
            lambda table, target: linear,
            X,
            linear(X),
            groups=SINGLE,
            blocks=np.arange(300) // 20,
            rng=seed,
            folds=3,
            most=40,
        )

    assert once(1).count.sum() == 120
    assert np.array_equal(once(1).shuffled, once(1).shuffled)
    assert not np.array_equal(once(1).shuffled, once(2).shuffled)


def test_sequences_are_shuffled_as_wholes_and_unknown_steps_do_not_count(rng):
    X = rng.normal(size=(200, 6, 2))

    def memory(table):
        return np.cumsum(table[..., 0], axis=1)

    y = memory(X)
    y[:, :3] = np.nan
    errors = block_errors(
        memory, X, y, groups={"rain": (0,), "sand": (1,)}, blocks=np.arange(200) // 10, rng=0
    )
    assert errors.count.sum() == 600
    assert values(errors)["sand"] == 0
    expected = np.sqrt(2 * np.mean([4, 5, 6]))  # variance of the difference of two random walks
    assert values(errors)["rain"] == pytest.approx(expected, rel=0.1)


def test_impurity_importances_are_summed_and_checked():
    assert summed(np.array([0.1, 0.2, 0.7]), {"a": (0, 1), "b": (2,)}) == pytest.approx(
        {"a": 0.3, "b": 0.7}
    )
    with pytest.raises(ValueProblem, match="importances: found 1, expected 3, one per feature"):
        summed([1.0], {"a": (0, 2)})


def test_bad_input_is_named(rng):
    X = rng.normal(size=(20, 3))
    y, blocks = linear(X), np.arange(20) // 10
    with pytest.raises(ValueProblem, match="found 2 blocks for 4 folds"):
        held_out_errors(lambda a, b: linear, X, y, groups=SINGLE, blocks=blocks, rng=0)
    with pytest.raises(ValueProblem, match="found 20 of X, 19 of y"):
        block_errors(linear, X, y[:19], groups=SINGLE, blocks=blocks, rng=0)
    with pytest.raises(ValueProblem, match="no known value"):
        block_errors(linear, X, y * np.nan, groups=SINGLE, blocks=blocks, rng=0)
    with pytest.raises(ValueProblem, match="NaN where the target is known"):
        block_errors(lambda t: t[:, 0] * np.nan, X, y, groups=SINGLE, blocks=blocks, rng=0)
