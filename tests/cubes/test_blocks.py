"""Sums and lines over blocks are those of plain loops, and no window changes a bit of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from vadose.cubes.blocks import bilinear, block_sum, line, smoothed, weighted_block_sums

EVERY = {"y": slice(None), "x": slice(None)}


@pytest.mark.parametrize("dtype", ["f8", "f4", "bool"])
@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_sums_are_those_of_the_blocks(lead: tuple[int, ...], dtype: str) -> None:
    values = np.random.default_rng(0).integers(0, 2, (*lead, 12, 10)).astype(dtype)
    expected = values.reshape(*lead, 4, 3, 2, 5).sum(axis=(-3, -1))
    found = block_sum(values, {"y": 3, "x": 5})
    assert found.dtype == np.float64
    assert np.array_equal(found, expected)


@settings(max_examples=20, deadline=None)
@given(data=st.data(), factor=st.sampled_from([1, 2, 5, 12, 36]), seed=st.integers(0, 10**6))
def test_a_sum_has_the_same_bits_in_any_window(data: st.DataObject, factor: int, seed: int) -> None:
    values = np.random.default_rng(seed).random((5 * factor, 6 * factor))
    rows = slice(*sorted(data.draw(st.sampled_from([(0, 1), (1, 4), (2, 5), (0, 5)]))))
    columns = slice(*sorted(data.draw(st.sampled_from([(0, 1), (1, 6), (3, 5)]))))
    part = values[
        rows.start * factor : rows.stop * factor, columns.start * factor : columns.stop * factor
    ]
    factors = {"y": factor, "x": factor}
    assert np.array_equal(block_sum(part, factors), block_sum(values, factors)[rows, columns])


def test_weighted_sums_are_products_of_ways() -> None:
    rng = np.random.default_rng(0)
    values, rows, columns = rng.random((2, 6, 8)), rng.random((3, 3)), rng.random((2, 4))
    found = weighted_block_sums(values, rows, columns)
    blocks = values.reshape(2, 2, 3, 2, 4)
    expected = np.einsum("tyixj,ri,cj->trcyx", blocks, rows, columns).reshape(2, 6, 2, 2)
    assert np.allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("factor", [1, 2, 5, 36])
def test_a_line_joins_the_centres(factor: int) -> None:
    before, share = line(factor)
    centre = (np.arange(factor) + 0.5) / factor
    assert np.allclose(before + share, centre - 0.5)
    assert ((share >= 0) & (share < 1)).all()


@pytest.mark.parametrize("factor", [1, 3, 4, 36])
def test_bilinear_is_that_of_scipy_between_the_outermost_centres(factor: int) -> None:
    values = np.random.default_rng(0).random((4, 5))
    found = bilinear(values, {"y": factor, "x": factor}, EVERY)
    centres = (np.arange(4) + 0.5, np.arange(5) + 0.5)
    y = np.clip((np.arange(4 * factor) + 0.5) / factor, 0.5, 3.5)
    x = np.clip((np.arange(5 * factor) + 0.5) / factor, 0.5, 4.5)
    expected = RegularGridInterpolator(centres, values)(tuple(np.meshgrid(y, x, indexing="ij")))
    assert np.allclose(found, expected, rtol=1e-12)


def test_a_line_goes_round_the_globe_where_it_is_told_to() -> None:
    values = np.array([[0.0, 1.0, 2.0, 3.0]])
    found = bilinear(values, {"y": 1, "x": 2}, EVERY, wraps=True)
    assert found[0, [0, -1]].tolist() == [0.75, 2.25]
    held = bilinear(values, {"y": 1, "x": 2}, EVERY)
    assert held[0, [0, -1]].tolist() == [0.0, 3.0]


def test_single_precision_is_interpolated_in_double() -> None:
    values = np.random.default_rng(0).random((3, 3)).astype("f4")
    found = smoothed(values, {"y": 3, "x": 3}, EVERY)
    assert np.array_equal(found, smoothed(values.astype("f8"), {"y": 3, "x": 3}, EVERY))
