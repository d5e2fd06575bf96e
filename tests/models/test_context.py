"""Context: means over windows and departures from them, against sums taken cell by cell."""

from __future__ import annotations

import numpy as np
import pytest

from vadose.errors import ModelProblem
from vadose.models.context import with_context


def maps(seed: int = 0) -> np.ndarray:
    X = np.random.default_rng(seed).normal(280.0, 5.0, (2, 7, 9, 3))
    X[0, 2, 3] = X[0, :2, 0] = np.nan
    return X


def mean_by_hand(X: np.ndarray, window: int) -> np.ndarray:
    """Weighted mean over a square; of an even one the outermost cells count half."""
    reach = window // 2
    result = np.full(X.shape, np.nan)
    for row, column in np.ndindex(X.shape[:2]):
        total, share = np.zeros(X.shape[-1]), 0.0
        for other_row, other_column in np.ndindex(X.shape[:2]):
            distance = max(abs(other_row - row), abs(other_column - column))
            if distance > reach or np.isnan(X[other_row, other_column]).any():
                continue
            weight = 1.0
            if window % 2 == 0:
                weight *= 0.5 if abs(other_row - row) == reach else 1.0
                weight *= 0.5 if abs(other_column - column) == reach else 1.0
            total += weight * X[other_row, other_column]
            share += weight
        if not np.isnan(X[row, column]).any():
            result[row, column] = total / share
    return result


@pytest.mark.parametrize("window", [1, 2, 3, 4, 30])
def test_is_the_mean_of_the_cells_there_are(window: int) -> None:
    X = maps()
    result = with_context(X, window)
    expected = np.stack([mean_by_hand(one, window) for one in X])
    np.testing.assert_allclose(result[..., :3], expected, rtol=1e-12)
    np.testing.assert_allclose(result[..., 3:], X - expected, atol=1e-9)
    assert np.isnan(result[0, 2, 3]).all()


def test_the_same_ground_has_the_same_context_on_a_finer_grid() -> None:
    X = maps()[1:]
    fine = X.repeat(5, axis=1).repeat(5, axis=2)
    coarse_context = with_context(X, 3)
    centres = with_context(fine, 15)[:, 2::5, 2::5]
    np.testing.assert_allclose(centres, coarse_context, rtol=1e-9, atol=1e-9)


def test_a_window_needs_a_cell() -> None:
    with pytest.raises(ModelProblem, match="window: found 0 cells, expected 1 or more"):
        with_context(maps(), 0)
