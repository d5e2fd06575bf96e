"""Draws of whole blocks."""

from __future__ import annotations

import numpy as np
import pytest

from vadose.errors import ValueProblem
from vadose.validate.blocks import block_draws, interval


def test_the_interval_of_a_mean_of_blocks_is_the_normal_one():
    values = np.random.default_rng(0).normal(size=200)
    weight = block_draws(np.arange(200), rng=1, draws=4000)
    low, high = interval((weight @ values / weight.sum(axis=1))[:, None])
    half = 1.96 * values.std() / np.sqrt(200)
    assert low[0] == pytest.approx(values.mean() - half, abs=0.012)
    assert high[0] == pytest.approx(values.mean() + half, abs=0.012)


def test_one_block_tells_no_interval():
    low, high = interval(block_draws(np.array([5]), rng=0, draws=10))
    assert np.isnan([low[0], high[0]]).all()


def test_an_undefined_draw_spreads():
    draws = np.ones((100, 2))
    draws[3, 1] = np.nan
    assert np.isnan(interval(draws)[0]).tolist() == [False, True]


def test_the_same_seed_gives_the_same_draws():
    blocks = np.arange(6)
    assert np.array_equal(block_draws(blocks, rng=3), block_draws(blocks, rng=3))
    assert not np.array_equal(block_draws(blocks, rng=3), block_draws(blocks, rng=4))


def test_no_draws_are_refused():
    with pytest.raises(ValueProblem, match="draws: found 0, expected 1 or more"):
        block_draws(np.arange(3), rng=0, draws=0)
