"""The test of scale invariance, where we know whether it holds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from vadose.errors import ValueProblem
from vadose.validate.blocks import block_draws
from vadose.validate.scales import compare_scales, rank_correlation, share_outside, verdict
from vadose.validate.sensitivity import sensitivity

GROUPS = {"rain": (0,), "sand": (1,), "ndvi": (2,)}
BLOCKS = np.arange(3000) // 60
DRAWN = np.arange(50), block_draws(np.arange(50), rng=0, draws=300)


def at_scale(spread, *, seed, blocks=BLOCKS, drawn=DRAWN):
    """One linear model, on samples whose features vary more or less."""
    X = np.random.default_rng(seed).normal(size=(len(blocks), 3)) * spread
    return sensitivity(
        lambda table: table @ [2.0, 1.0, 0.3], X, groups=GROUPS, blocks=blocks, rng=1, drawn=drawn
    )


def test_the_same_world_at_both_scales_holds():
    comparison = compare_scales(at_scale([1, 1, 1], seed=1), at_scale([1, 1, 1], seed=2))
    assert {change.answer for change in comparison.changes} == {"holds"}
    assert comparison.rank_correlation == pytest.approx(1)
    text = verdict(comparison, learned="36 km", used="1 km")
    assert text == "From 36 km to 1 km the relation holds for rain, sand, ndvi."


def test_sand_that_varies_at_the_fine_scale_only_does_not_hold():
    comparison = compare_scales(at_scale([1, 0.5, 1], seed=1), at_scale([0.5, 2, 1], seed=2))
    answers = {change.group: change.answer for change in comparison.changes}
    assert answers["rain"] == answers["sand"] == "does not hold"
    assert comparison.largest.group in ("rain", "sand")
    sand = comparison.changes[1]
    assert sand.before == pytest.approx(0.25 / 4.34, abs=0.02)
    assert sand.after == pytest.approx(4 / 5.09, abs=0.04)
    assert sand.lower < sand.difference < sand.upper
    text = verdict(comparison, learned="1°", used="0.25°")
    assert "does not hold for rain (share of the variance .9" in text


def test_few_samples_cannot_tell():
    blocks = np.arange(60) // 10
    drawn = np.arange(6), block_draws(np.arange(6), rng=0)
    before, after = (at_scale([1, 1, 1], seed=seed, blocks=blocks, drawn=drawn) for seed in (1, 2))
    comparison = compare_scales(before, after)
    assert comparison.changes[0].answer == "cannot be told"
    assert "cannot be told for rain" in verdict(comparison, learned="1°", used="0.25°")


def test_without_an_interval_nothing_can_be_told():
    blocks = np.zeros(500, int)
    drawn = np.array([0]), block_draws(np.array([0]), rng=0)
    same = at_scale([1, 1, 1], seed=1, blocks=blocks, drawn=drawn)
    assert {one.answer for one in compare_scales(same, same).changes} == {"cannot be told"}


def test_ranks_agree_with_scipy():
    first, second = np.random.default_rng(3).integers(0, 6, (2, 30))
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert np.isnan(rank_correlation(np.ones(5), np.arange(5)))
    assert np.isnan(rank_correlation(np.arange(2), np.arange(2)))


def test_the_share_outside_of_what_was_learned():
    learned = np.array([[0.0, 5.0], [1.0, 5.0]])
    used = np.array([[0.0, 5.0], [-0.1, 5.0], [1.1, 5.0], [1.0, 6.0]])
    assert share_outside(learned, used, ["sand", "clay"]) == {"sand": 0.5, "clay": 0.25}
    sequences = used.reshape(2, 2, 2)
    assert share_outside(learned, sequences, ["sand", "clay"]) == {"sand": 0.5, "clay": 0.25}
    with pytest.raises(ValueProblem, match="features: found 2 and 2, expected 1"):
        share_outside(learned, used, ["sand"])


def test_other_groups_are_refused():
    before = at_scale([1, 1, 1], seed=1)
    X = np.random.default_rng(0).normal(size=(3000, 2))
    after = sensitivity(
        lambda table: table[:, 0], X, groups={"rain": (0,)}, blocks=BLOCKS, rng=0, drawn=DRAWN
    )
    with pytest.raises(ValueProblem, match="scales: found groups rain with 300 draws"):
        compare_scales(before, after)
