"""Morris' and Sobol's measures against closed forms and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import sobol_indices

from vadose.errors import ValueProblem
from vadose.validate.blocks import block_draws
from vadose.validate.sensitivity import sensitivity

SINGLE = {"a": (0,), "b": (1,), "c": (2,)}


@pytest.fixture
def rng():
    return np.random.default_rng(21)


def ishigami(table):
    first, second, third = np.moveaxis(table, -1, 0)
    return np.sin(first) + 7 * np.sin(second) ** 2 + 0.1 * third**4 * np.sin(first)


def test_the_function_of_ishigami_and_homma(rng):
    X = rng.uniform(-np.pi, np.pi, (20000, 3))
    found = sensitivity(ishigami, X, groups=SINGLE, blocks=np.arange(20000) // 200, rng=0)
    assert found.first == pytest.approx([0.3139, 0.4424, 0.0], abs=0.02)
    assert found.total == pytest.approx([0.5576, 0.4424, 0.2437], abs=0.02)
    low, high = found.total_interval
    assert (low < found.total).all()
    assert (found.total < high).all()
    assert found.variance == pytest.approx(13.845, rel=0.02)


def test_the_indices_are_those_of_scipy_on_the_same_predictions(rng):
    X = rng.uniform(-np.pi, np.pi, (2048, 3))
    calls = []

    def recorded(table):
        calls.append(table.copy())
        return ishigami(table)

    found = sensitivity(recorded, X, groups=SINGLE, blocks=np.arange(2048), rng=0, pairings=1)
    other = np.array([np.flatnonzero(X[:, 0] == one)[0] for one in calls[1][:, 0]])
    values = {
        "f_A": ishigami(X)[None],
        "f_B": ishigami(X[other])[None],
        "f_AB": np.stack([ishigami(table)[None] for table in calls[1:]]),
    }
    theirs = sobol_indices(func=values, n=2048)
    assert found.first == pytest.approx(theirs.first_order.ravel(), abs=0.02)
    assert found.total == pytest.approx(theirs.total_order.ravel(), abs=0.02)


def test_a_linear_model_of_normal_features_has_closed_forms(rng):
    X = rng.normal(size=(20000, 3)) * [1.0, 2.0, 1.0]
    found = sensitivity(
        lambda table: table @ [3.0, 1.0, 0.0],
        X,
        groups=SINGLE,
        blocks=np.arange(20000) // 200,
        rng=0,
    )
    assert found.total == pytest.approx([9 / 13, 4 / 13, 0], abs=0.02)
    assert found.first == pytest.approx([9 / 13, 4 / 13, 0], abs=0.02)
    change = np.array(
        [3.0, 2.0, 0.0]
    )  # the change has a standard deviation of √2 times slope and spread
    assert found.spread_of_effect == pytest.approx(np.sqrt(2) * change, rel=0.03)
    assert found.mean_effect == pytest.approx(2 / np.sqrt(np.pi) * change, rel=0.03)


def test_a_group_that_moves_together_keeps_its_correlation(rng):
    """f = x₁ − x₂ with x₂ like x₁: each alone would seem to matter, the two together hardly vary."""
    shared = rng.normal(size=20000)
    noise, free = 0.1 * rng.normal(size=20000), rng.normal(size=20000)
    X = np.stack([shared, shared + noise, 0.1 * free], axis=1)

    def predict(table):
        return table[:, 0] - table[:, 1] + table[:, 2]

    blocks = np.arange(20000) // 200
    together = sensitivity(predict, X, groups={"heat": (0, 1), "sand": (2,)}, blocks=blocks, rng=0)
    assert together.total == pytest.approx([0.5, 0.5], abs=0.02)
    apart = sensitivity(predict, X, groups=SINGLE, blocks=blocks, rng=0)
    assert apart.total[0] > 40


def test_intervals_cover_what_the_closed_form_says():
    """Blocks of independent samples: a 95 % interval misses the truth now and then, not often."""
    hits = 0
    for seed in range(40):
        X = np.random.default_rng(seed).normal(size=(600, 3))
        found = sensitivity(
            lambda table: table @ [2.0, 1.0, 0.0],
            X,
            groups=SINGLE,
            blocks=np.arange(600) // 20,
            rng=seed,
        )
        low, high = found.total_interval
        hits += int(low[0] <= 0.8 <= high[0])
    assert hits >= 34


def test_several_places_and_outputs_share_their_variance(rng):
    X = rng.normal(size=(3000, 2, 2))

    def predict(table):
        return np.stack([3 * table[..., 0], table[..., 1]], axis=-1)

    found = sensitivity(
        predict, X, groups={"a": (0,), "b": (1,)}, blocks=np.arange(3000) // 50, rng=0
    )
    assert found.total == pytest.approx([0.9, 0.1], abs=0.02)
    assert found.variance == pytest.approx(20, rel=0.05)


def test_the_same_seed_gives_the_same_numbers_and_one_block_no_interval(rng):
    X = rng.normal(size=(100, 3))

    def once(seed):
        return sensitivity(ishigami, X, groups=SINGLE, blocks=np.zeros(100, int), rng=seed)

    assert np.array_equal(once(1).total, once(1).total)
    assert not np.array_equal(once(1).total, once(2).total)
    assert np.isnan(once(1).total_interval).all()
    assert np.isfinite(once(1).total).all()


def test_a_draw_without_variance_has_no_share(rng):
    X = rng.normal(
        size=(4, 3)
    )  # two blocks, one of them with a single sample: a draw may hold that alone
    found = sensitivity(ishigami, X, groups=SINGLE, blocks=np.array([0, 0, 0, 1]), rng=0)
    assert not np.isinf(found.first_draws).any()
    assert np.isnan(found.total_draws).any()
    assert np.isnan(found.total_interval[0]).all()


def test_every_sample_is_compared_with_another(rng):
    X = np.arange(30.0)[:, None]
    seen = []

    def predict(table):
        seen.append(table[:, 0].copy())
        return table[:, 0]

    sensitivity(predict, X, groups={"a": (0,)}, blocks=np.arange(30), rng=0, pairings=1)
    assert (seen[1] != seen[0]).all()
    assert sorted(seen[1]) == sorted(seen[0])


def test_bad_input_is_named(rng):
    X, blocks = rng.normal(size=(20, 3)), np.arange(20) // 10
    with pytest.raises(ValueProblem, match="found 20 of X, 19 of blocks"):
        sensitivity(ishigami, X, groups=SINGLE, blocks=blocks[:19], rng=0)
    with pytest.raises(ValueProblem, match="NaN among the features"):
        sensitivity(ishigami, X * np.nan, groups=SINGLE, blocks=blocks, rng=0)
    with pytest.raises(ValueProblem, match="predictions: found NaN"):
        sensitivity(lambda t: t[:, 0] * np.nan, X, groups=SINGLE, blocks=blocks, rng=0)
    with pytest.raises(ValueProblem, match="the same value everywhere"):
        sensitivity(lambda t: np.ones(len(t)), X, groups=SINGLE, blocks=blocks, rng=0)
    numbers = np.array([0])
    with pytest.raises(
        ValueProblem, match="blocks: found block 1, expected blocks that were drawn"
    ):
        sensitivity(
            ishigami,
            X,
            groups=SINGLE,
            blocks=blocks,
            rng=0,
            drawn=(numbers, block_draws(numbers, rng=0)),
        )
