"""Whole groups are held out, evenly, and what is predicted of them was not learned from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vadose.errors import ModelProblem
from vadose.models import RandomForest
from vadose.models.crossvalidation import deal_folds, out_of_fold, pooled_rmse


class Memory:
    """Say the share of the known places, and note what it was given."""

    name: ClassVar[str] = "memory"
    kind: ClassVar[Any] = "rows"
    fits: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, X: Any, y: Any, *, weight: Any = None, groups: Any = None) -> Self:
        self.fits.append({"X": X, "y": y, "weight": weight, "groups": groups})
        self.value_ = float(np.nanmean(y))
        return self

    def predict(self, X: Any) -> np.ndarray:
        return self.value_ + 0.0 * X[..., 0].astype("f8")

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls()


class StepMemory(Memory):
    kind: ClassVar[Any] = "sequences"


@pytest.fixture(autouse=True)
def forget() -> None:
    Memory.fits.clear()


# --- folds ---


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=3, max_size=20),
    folds=st.integers(2, 3),
    seed=st.integers(0, 9),
)
def test_groups_stay_whole_and_folds_are_even(sizes: list[int], folds: int, seed: int) -> None:
    groups = np.repeat(np.arange(len(sizes)) * 7 - 3, sizes)
    fold = deal_folds(groups, folds, seed=seed)
    assert all(len(np.unique(fold[groups == one])) == 1 for one in groups)
    filled = np.bincount(fold, minlength=folds)
    assert filled.min() > 0
    assert filled.max() - filled.min() <= max(sizes)  # the rule of the largest first promises this


def test_folds_keep_the_dims_and_follow_the_seed() -> None:
    groups = np.arange(24).reshape(4, 6)
    fold = deal_folds(groups, 4, seed=1)
    assert fold.shape == (4, 6)
    assert np.bincount(fold.ravel()).tolist() == [6, 6, 6, 6]
    assert np.array_equal(fold, deal_folds(groups, 4, seed=1))
    assert not np.array_equal(fold, deal_folds(groups, 4, seed=2))


def test_only_places_with_a_target_are_counted() -> None:
    groups = np.repeat(np.arange(6), 10)
    is_known = np.zeros(60, dtype=bool)
    is_known[[0, 1, 2, 10, 20, 30]] = True  # three in one group, none in the last two
    fold = deal_folds(groups, 2, seed=0, is_known=is_known)
    assert np.bincount(fold[is_known]).tolist() == [3, 3]
    with pytest.raises(
        ModelProblem,
        match=r"groups: found 4 with a target, expected 5 or more, one for each fold. Ask for",
    ):
        deal_folds(groups, 5, seed=0, is_known=is_known)
    with pytest.raises(ModelProblem, match="folds: found 1, expected 2 or more"):
        deal_folds(groups, 1, seed=0)


# --- predictions out of fold ---


def test_rows_are_predicted_by_what_was_learned_from_other_groups() -> None:
    groups = np.repeat(np.arange(5), 4)
    y = groups.astype("f8")
    weight = 1.0 + np.arange(20)
    X = np.arange(20.0)[:, None]
    values = out_of_fold(lambda fold: Memory(), X, y, weight=weight, groups=groups, folds=5)
    expected = [np.mean([other for other in range(5) if other != one]) for one in groups]
    assert np.allclose(values, expected, rtol=0, atol=1e-12)
    assert len(Memory.fits) == 5
    for fit in Memory.fits:
        rows = fit["X"][:, 0].astype(int)
        assert len(rows) == 16
        assert np.array_equal(fit["y"], y[rows])
        assert np.array_equal(fit["weight"], weight[rows])
        assert np.array_equal(fit["groups"], groups[rows])


def test_steps_held_out_have_no_target_in_the_fit() -> None:
    X = np.zeros((6, 8, 2))
    groups = np.broadcast_to(np.arange(8) // 2, (6, 8))  # blocks of time
    y = np.where(groups == 3, 1.0, 0.0)
    y[0, :3] = np.nan
    values = out_of_fold(lambda fold: StepMemory(), X, y, groups=groups, folds=4)
    assert np.array_equal(np.isnan(values), np.isnan(y))
    assert np.allclose(values[:, 6:], 0.0)
    assert (values[:, 2:6][1:] > 0.3).all()
    for fit in Memory.fits:
        assert fit["X"].shape == X.shape
        held = np.isnan(fit["y"]) & np.isfinite(y)
        assert len(np.unique(groups[held])) == 1


def test_several_outputs_keep_their_place() -> None:
    X = np.random.default_rng(0).random((60, 3))
    y = np.stack([X[:, 0], 5.0 + X[:, 0]], axis=-1)
    values = out_of_fold(lambda fold: RandomForest(trees=5), X, y, folds=3)
    assert values.shape == y.shape
    assert np.abs(values - y).mean() < 0.2


def test_a_fold_that_is_over_is_taken_up(tmp_path: Path) -> None:
    X = np.random.default_rng(0).random((60, 3))
    y = X[:, 0].copy()

    def run(target: np.ndarray, **changes: Any) -> np.ndarray:
        settings: dict[str, Any] = {"folds": 3, "folder": tmp_path, **changes}
        return out_of_fold(lambda fold: Memory(), X, target, **settings)

    whole = run(y)
    assert np.array_equal(whole, run(y))
    assert len(Memory.fits) == 3
    (tmp_path / "fold_1.safetensors").write_bytes(b"stopped")
    assert np.array_equal(whole, run(y))
    assert len(Memory.fits) == 4
    # nothing of other samples, folds or parameters is taken up
    for target, changes in ((y + 1.0, {}), (y, {"seed": 1}), (y, {"weight": np.ones(60)})):
        before = len(Memory.fits)
        assert np.array_equal(run(target, **changes), run(target, folder=None, **changes))
        assert len(Memory.fits) == before + 6
    run(y)
    before = len(Memory.fits)
    out_of_fold(lambda fold: Memory(seed=1), X, y, folds=3, folder=tmp_path)
    assert len(Memory.fits) == before + 3


# --- the error ---


def test_the_error_counts_places_with_a_target_by_their_weight() -> None:
    y = np.array([[1.0, np.nan], [3.0, 4.0]])
    predicted = np.array([[2.0, 9.0], [3.0, 2.0]])
    assert pooled_rmse(predicted, y) == pytest.approx(np.sqrt(5 / 3))
    assert pooled_rmse(predicted, y, np.array([2.0, 1.0])) == pytest.approx(np.sqrt(6 / 4))
    assert pooled_rmse(predicted, y, np.array([[2.0, 1.0], [1.0, 0.0]])) == pytest.approx(
        np.sqrt(2 / 3)
    )


def test_a_prediction_that_is_missing_is_not_left_out() -> None:
    assert np.isnan(pooled_rmse(np.array([np.nan, 1.0]), np.array([1.0, 1.0])))
