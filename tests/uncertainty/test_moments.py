"""Moments of complete rows are those of numpy; the compiled sums give the bits of the plain ones."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from vadose.uncertainty import moments as module
from vadose.uncertainty.moments import block_edges, pairs, sum_products


def make_arrays(dtype: str = "f4", places: int = 300) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(280, 5, (60, places)).astype(dtype) for _ in range(4)]
    for array in arrays:
        array[rng.random(array.shape) < 0.2] = np.nan
    arrays[1][:, 7] = np.nan  # a place without a row
    arrays[2][:50, 8] = np.nan  # and one that begins late
    return arrays


@pytest.mark.parametrize("fast", [True, False])
def test_equals_numpy_on_complete_rows(fast: bool) -> None:
    arrays = make_arrays("f8", 40)
    count, mean, covariance = sum_products(arrays, block_edges(60, 3), fast=fast).over_all()
    one, other = pairs(4)
    stacked = np.stack(arrays)
    for place in range(40):
        rows = stacked[:, ~np.isnan(stacked[:, :, place]).any(axis=0), place]
        assert count[place] == rows.shape[1]
        if rows.shape[1] > 1:
            np.testing.assert_allclose(mean[:, place], rows.mean(axis=1), rtol=1e-14)
            np.testing.assert_allclose(
                covariance[:, place], np.cov(rows)[one, other], rtol=1e-10, atol=1e-12
            )
    assert np.isnan(mean[:, 7]).all()
    assert np.isnan(covariance[:, 7]).all()


def test_blocks_can_be_left_out() -> None:
    arrays = make_arrays()
    sums = sum_products(arrays, block_edges(60, 3))
    without = sums.without(1)
    kept = np.r_[0:20, 40:60]
    expected = sum_products([array[kept] for array in arrays], block_edges(40, 1)).over_all()
    for found, right in zip(without, expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", "i4"])
def test_compiled_sums_have_the_same_bits(dtype: str) -> None:
    pytest.importorskip("numba")
    arrays = make_arrays("f4" if dtype == "i4" else dtype)
    if dtype == "i4":
        arrays = [np.nan_to_num(array).astype(dtype) for array in arrays]
    edges = block_edges(60, 4)
    fast, plain = (sum_products(arrays, edges, fast=fast) for fast in (True, False))
    for name in ("count", "total", "cross", "origin"):
        assert getattr(fast, name).tobytes() == getattr(plain, name).tobytes(), name


def test_numba_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vadose.uncertainty.fast_moments", None)
    module.compiled.cache_clear()
    try:
        assert module.compiled() is None
        assert sum_products(make_arrays(), block_edges(60, 1)).count.sum() > 0
    finally:
        module.compiled.cache_clear()


def test_products_of_several_types_stand_together() -> None:
    arrays = make_arrays("f8")
    mixed = [arrays[0].astype("f4"), *arrays[1:]]
    found = sum_products(mixed, block_edges(60, 1)).over_all()
    plain = sum_products(mixed, block_edges(60, 1), fast=False).over_all()
    for one, other in zip(found, plain, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_large_offset_costs_no_digits() -> None:
    rng = np.random.default_rng(1)
    small = [rng.normal(size=(50, 3)).round(6) for _ in range(3)]
    near = sum_products(small, block_edges(50, 1)).over_all()[2]
    far = sum_products([array + 2.0**20 for array in small], block_edges(50, 1)).over_all()[2]
    np.testing.assert_allclose(far, near, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "part",
    [
        np.s_[:, 3:9],
        np.s_[::2, 1:],
        np.s_[::-1, :],
        np.s_[:, ::2],
        np.s_[:0, :],
        np.s_[:, :0],
        np.s_[:1],
    ],
)
def test_parts_of_arrays_are_read_where_they_lie(part: tuple[slice, slice]) -> None:
    parts = [array[part] for array in make_arrays()]
    times = len(parts[0])
    found = sum_products(parts, block_edges(times, 1))
    copied = sum_products([array.copy() for array in parts], block_edges(times, 1), fast=False)
    for name in ("count", "total", "cross", "origin"):
        np.testing.assert_array_equal(getattr(found, name), getattr(copied, name))
