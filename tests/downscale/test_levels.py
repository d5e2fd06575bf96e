"""Cells of a size lie where they should, and are drawn fairly and never twice."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from vadose.downscale.levels import distinct, level
from vadose.errors import GridProblem
from vadose.grids import coarsened, named_grid


def square(rows: int, columns: int, cell: float = 30.0) -> GeoBox:
    return GeoBox((rows, columns), Affine(cell, 0, 5e5, 0, -cell, 4e6), "EPSG:6933")


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
    factor=st.integers(1, 40),
    share=st.floats(0.0, 1.0),
)
def test_every_cell_belongs_to_the_coarse_cell_of_its_centre(rows, columns, factor, share):
    fine = square(rows * factor, columns * factor)
    coarse = coarsened(fine, factor)
    scale = 30.0 * (1.0 + share * (factor - 1))
    one = level(scale, fine, coarse, {"y": factor, "x": factor})
    assert 1.0 <= one.ratio <= factor * (1 + 1e-9)
    assert abs(one.ratio / (scale / 30.0) - 1.0) < 0.01
    found = set()
    for number, (first, count) in enumerate(one.rows):
        centres = (np.arange(first, first + count) + 0.5) * one.ratio / factor
        assert (np.floor(centres + 1e-9) == number).all()
        found |= set(range(first, first + count))
    whole = int(np.floor(rows * factor / one.ratio + 1e-9))
    assert found == set(range(whole))  # none is left out but at the edge


def test_nominal_scales_fill_cells_of_named_grids():
    coarse = named_grid("EASE2_9km")[400:403, 700:702]
    fine = GeoBox((27, 18), coarse.affine * Affine.scale(1 / 9), coarse.crs)
    factors = {"y": 9, "x": 9}
    assert level(9000.0, fine, coarse, factors).ratio == 9.0
    assert level(1000.0, fine, coarse, factors).ratio == 1.0
    assert level(3000.0, fine, coarse, factors).number().tolist() == [9] * 6
    two = level(2002.0, fine, coarse, factors)
    assert two.ratio == 2.0
    assert two.number().sum() == 13 * 9


@pytest.mark.parametrize("scale", [29.0, 301.0])
def test_scales_beyond_the_grids_are_refused(scale):
    fine = square(20, 20)
    words = f"scales: found {scale:g} m, expected .* to .* m, from the fine to the coarse cells"
    with pytest.raises(GridProblem, match=words):
        level(scale, fine, coarsened(fine, 10), {"y": 10, "x": 10})


@given(
    sizes=st.lists(st.integers(0, 12), min_size=1, max_size=8),
    count=st.integers(1, 9),
    seed=st.integers(0, 999),
)
def test_as_many_as_asked_are_drawn_and_none_twice(sizes, count, seed):
    drawn = distinct(np.array(sizes), count, np.random.default_rng(seed))
    for size, numbers in zip(sizes, drawn, strict=True):
        chosen = numbers[numbers >= 0]
        assert len(set(chosen)) == len(chosen) == min(size, count)
        assert (chosen < size).all()


def test_all_sets_are_alike_probable():
    drawn = np.sort(distinct(np.full(60_000, 4), 2, np.random.default_rng(0)), axis=1)
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == 6
    np.testing.assert_allclose(counts, 10_000, atol=5 * np.sqrt(10_000))


def test_a_draw_lies_in_its_coarse_cell():
    fine = square(60, 40)
    one = level(100.0, fine, coarsened(fine, 20), {"y": 20, "x": 20})
    row, column, cell = one.draw(5, np.random.default_rng(0))
    assert np.bincount(cell).tolist() == [5] * 6
    centre = [((place + 0.5) * one.ratio // 20).astype(int) for place in (row, column)]
    np.testing.assert_array_equal(centre[0] * 2 + centre[1], cell)
