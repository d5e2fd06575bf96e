"""The fast path gives the bits of the plain walk, whatever the order, the pieces and the threads."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor

from vadose.errors import ModelProblem
from vadose.models import fast_trees
from vadose.models.fast_trees import pack, round_down
from vadose.models.trees import Trees, from_boostings, from_forest

pytest.importorskip("numba")


def grow(rng: np.random.Generator, count: int, *, features: int, depth: int) -> Trees:
    """Grow random trees node by node, with thresholds of all sorts."""
    special = np.array(
        [0.0, -0.0, 0.1, 1 / 3, 1e300, -1e300, 1e-300, np.inf, -np.inf, 3.4028235e38]
    )
    columns: dict[str, list[float]] = {
        name: [] for name in ("feature", "threshold", "left", "right", "value")
    }
    roots, depths = [], []

    def add(level: int) -> int:
        node = len(columns["value"])
        deepest[0] = max(deepest[0], level)
        for name in columns:
            columns[name].append(node if name in ("left", "right") else 0)
        columns["value"][node] = rng.normal()
        columns["threshold"][node] = np.inf
        if level < depth and rng.random() < 0.8:
            columns["feature"][node] = rng.integers(features)
            draw = rng.choice(special) if rng.random() < 0.3 else rng.normal()
            columns["threshold"][node] = np.float32(draw) if rng.random() < 0.3 else draw
            columns["left"][node] = add(level + 1)
            columns["right"][node] = add(level + 1)
        return node

    with np.errstate(over="ignore"):
        for _ in range(count):
            deepest = [0]
            roots.append(add(0))
            depths.append(deepest[0])
    whole = {"feature", "left", "right"}
    return Trees(
        **{
            name: np.array(values, "i4" if name in whole else "f8")
            for name, values in columns.items()
        },
        roots=np.array(roots, "i4"),
        depths=np.array(depths, "i4"),
        offset=0.3,
        scale=0.7,
        features=features,
    )


def draw_rows(rng: np.random.Generator, trees: Trees, count: int) -> np.ndarray:
    """Draw rows, many of which meet thresholds or their neighbours in single precision."""
    X = rng.normal(size=(count, trees.features)).astype("f4")
    near = round_down(trees.threshold)
    near = near[np.isfinite(near)]
    if len(near):
        near = np.clip(near, -1e38, 1e38)
        met = rng.choice(near, X.shape)
        met = np.where(rng.random(X.shape) < 0.5, met, np.nextafter(met, np.float32(np.inf)))
        X = np.where((rng.random(X.shape) < 0.5) & np.isfinite(met), met, X)
    X[rng.random(X.shape) < 0.1] = -0.0
    return X


def plainly(trees: Trees, X: np.ndarray) -> np.ndarray:
    return trees._predict_block(np.ascontiguousarray(X, dtype=np.float32))


def fast(trees: Trees, X: np.ndarray, *, workers: int = 1) -> np.ndarray:
    packed = pack(trees)
    assert packed is not None
    total = packed.add_up(np.ascontiguousarray(X, dtype=np.float32), workers=workers)
    return trees.offset + trees.scale * total


def forest_table(rows: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 5)).astype("f4")
    X[:, 3] = np.repeat(rng.normal(size=-(-rows // 16)), 16)[:rows]
    X[:, 4] = rng.integers(0, 3, rows)
    return X, X[:, 0] * X[:, 1] + X[:, 3] + 0.1 * rng.normal(size=rows)


@pytest.fixture(scope="module")
def forest() -> RandomForestRegressor:
    return RandomForestRegressor(30, min_samples_leaf=2, random_state=1).fit(*forest_table(3000))


@pytest.fixture(scope="module")
def trees(forest: RandomForestRegressor) -> Trees:
    return from_forest(forest.estimators_, 5)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 6),
    features=st.integers(1, 5),
    depth=st.integers(0, 7),
    rows=st.integers(1, 70),
)
def test_random_trees_give_the_bits_of_the_plain_walk(
    seed: int, count: int, features: int, depth: int, rows: int
) -> None:
    rng = np.random.default_rng(seed)
    trees = grow(rng, count, features=features, depth=depth)
    X = draw_rows(rng, trees, rows)
    X[:, rng.random(features) < 0.3] = X[0, 0]  # the same in all of the block
    assert np.array_equal(fast(trees, X), plainly(trees, X))


def test_it_is_scikit_learn_inside_and_outside_of_the_range(
    forest: RandomForestRegressor, trees: Trees
) -> None:
    X, _ = forest_table(4000, seed=5)
    X[:50] *= 1e6
    X[50:60] = 1e30
    X[60:70] = -1e30
    assert np.allclose(fast(trees, X), forest.predict(X), rtol=0, atol=1e-12)
    assert np.array_equal(fast(trees, X), plainly(trees, X))


def test_boosting_too() -> None:
    X, y = forest_table(2000)
    boostings = [HistGradientBoostingRegressor(max_iter=40, random_state=0).fit(X, y)]
    trees = from_boostings(boostings, 5)
    assert np.array_equal(fast(trees, X), plainly(trees, X))


def test_order_pieces_and_workers_change_no_bit(
    trees: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, _ = forest_table(5003, seed=2)
    expected = plainly(trees, X)
    shuffled = np.random.default_rng(0).permutation(len(X))
    for piece, batch in ((17, 1000), (512, 5003), (32768, 2000), (32768, 1 << 21)):
        monkeypatch.setattr(fast_trees, "BATCH", batch)
        monkeypatch.setattr(fast_trees, "PIECE", piece)
        monkeypatch.setattr(fast_trees, "SMALLEST_PIECE", min(piece, 300))
        for workers in (1, 3):
            assert np.array_equal(fast(trees, X, workers=workers), expected)
            assert np.array_equal(fast(trees, X[shuffled], workers=workers), expected[shuffled])
    assert np.array_equal(fast(trees, X[77:78]), expected[77:78])


def test_as_many_leaves_as_numbers_of_16_bits() -> None:
    """Every row of the largest piece has a leaf of its own, and beside it one that nobody reaches."""
    levels = 16
    inner, leaves = 2**levels - 1, 2**levels
    assert leaves == 2 * fast_trees.PIECE
    first, last = np.zeros(inner + leaves), np.zeros(inner + leaves)
    last[0] = leaves
    for level in range(levels):  # node i has the children 2i + 1 and 2i + 2, as in a heap
        nodes = np.arange(2**level - 1, 2 ** (level + 1) - 1)
        middle = (first[nodes] + last[nodes]) / 2
        first[2 * nodes + 1], last[2 * nodes + 1] = first[nodes], middle
        first[2 * nodes + 2], last[2 * nodes + 2] = middle, last[nodes]
    own = np.arange(inner + leaves, dtype="i4")
    is_inner = own < inner
    trees = Trees(
        feature=np.zeros(inner + leaves, "i4"),
        threshold=np.where(is_inner, (first + last) / 2 - 0.5, np.inf),
        left=np.where(is_inner, 2 * own + 1, own),
        right=np.where(is_inner, 2 * own + 2, own),
        value=first,
        roots=np.zeros(1, "i4"),
        depths=np.array([levels], "i4"),
        offset=0.0,
        scale=1.0,
        features=1,
    )
    X = 2 * np.random.default_rng(0).permutation(fast_trees.PIECE)[:, None].astype("f4")
    assert np.array_equal(fast(trees, X), X[:, 0])


def test_the_public_way_takes_it_for_many_rows_only(
    trees: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, _ = forest_table(2000, seed=4)
    expected = plainly(trees, X)
    fresh = replace(trees)
    assert np.array_equal(fresh.predict(X), expected)
    assert "_packed" not in vars(fresh)
    monkeypatch.setattr(fast_trees, "WORTHWHILE", 0)
    assert np.array_equal(fresh.predict(X, workers=2), expected)
    assert fresh._packed is not None
    few = max(1, len(trees.feature) // 4 // len(trees.roots))
    assert fast_trees.is_worthwhile(trees, few + 1)
    assert not fast_trees.is_worthwhile(trees, few - 1)
    assert fresh.predict(np.empty((0, 5), "f4")).shape == (0,)
    bad = X.copy()
    bad[3, 2] = np.nan
    with pytest.raises(ModelProblem, match="found 1 "):
        fresh.predict(bad)


@pytest.mark.parametrize("problem", [ImportError, RuntimeError])
def test_without_numba_the_numbers_are_the_same(
    problem: type[Exception], trees: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Absent:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "vadose.models.fast_kernels":
                raise problem("cannot cache function: no locator available")

    monkeypatch.delitem(sys.modules, "vadose.models.fast_kernels", raising=False)
    monkeypatch.setattr("vadose.models.fast_kernels", None, raising=False)
    monkeypatch.delattr("vadose.models.fast_kernels")
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    monkeypatch.setattr(fast_trees, "WORTHWHILE", 0)
    X, _ = forest_table(1000, seed=4)
    fresh = replace(trees)
    assert pack(fresh) is None
    assert np.array_equal(fresh.predict(X), plainly(trees, X))


def test_some_of_the_trees_are_packed_alone(trees: Trees) -> None:
    X, _ = forest_table(300, seed=6)
    for part in (slice(0, 3), slice(10, 12)):
        some = replace(trees, roots=trees.roots[part], depths=trees.depths[part])
        assert np.array_equal(fast(some, X), plainly(some, X))
        packed = pack(some)
        assert packed is not None
        assert len(packed.nodes) == packed.starts[-1] < len(trees.feature)


def test_a_depth_that_is_too_small_cuts_as_the_plain_walk_does(trees: Trees) -> None:
    X, _ = forest_table(300, seed=6)
    cut = replace(trees, depths=np.minimum(trees.depths, 3))
    assert np.array_equal(fast(cut, X), plainly(cut, X))
    assert not np.array_equal(plainly(cut, X), plainly(trees, X))


def test_what_does_not_fit_is_left_to_the_plain_walk(
    trees: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_trees, "WORTHWHILE", 0)
    wide = replace(trees, features=1025)
    X, _ = forest_table(2000, seed=6)
    X = np.pad(X, ((0, 0), (0, 1020)))
    assert pack(wide) is None
    assert np.array_equal(wide.predict(X), plainly(wide, X))
    assert np.array_equal(fast(replace(trees, features=1024), X[:, :1024]), plainly(wide, X))
    rungs = 40  # both branches lead to the same next node: 2**40 paths, were they unfolded
    ladder = replace(
        grow(np.random.default_rng(0), 1, features=1, depth=0),
        feature=np.zeros(rungs, "i4"),
        threshold=np.zeros(rungs),
        left=np.minimum(np.arange(rungs) + 1, rungs - 1).astype("i4"),
        right=np.minimum(np.arange(rungs) + 1, rungs - 1).astype("i4"),
        value=np.arange(float(rungs)),
        depths=np.array([rungs - 1], "i4"),
    )
    assert pack(ladder) is None
    assert ladder.predict(np.zeros((3, 1), "f4")).tolist() == [0.3 + 0.7 * (rungs - 1)] * 3


def test_thresholds_are_rounded_so_that_decisions_stay() -> None:
    rng = np.random.default_rng(0)
    thresholds = np.concatenate([rng.normal(size=500), [1e300, -1e300, np.inf, -np.inf, 1e-50]])
    values = draw_rows(rng, grow(rng, 1, features=1, depth=1), 200)[:, 0]
    ends = np.finfo("f4")
    values = np.concatenate([values, round_down(thresholds[:500]), [ends.max, ends.min]])
    values = values.astype("f4")
    expected = values[:, None] <= thresholds
    rounded = round_down(thresholds)
    assert np.array_equal(values[:, None] <= rounded, expected)
