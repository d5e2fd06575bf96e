"""Groups for models' own hold-outs: squares of a map, or periods where a map is too small."""

from __future__ import annotations

import numpy as np
import pytest

from vadose.samples.grouping import natural_groups
from vadose.synthetic import world


@pytest.fixture(scope="module")
def cube():
    return world(size=48, days=70, factor=4, seed=0).coarse


def test_a_map_is_cut_into_squares_of_like_size(cube):
    groups = natural_groups(cube)
    assert groups.dims == ("y", "x")
    names, sizes = np.unique(groups, return_counts=True)
    assert len(names) == 16  # 12 cells a side, squares of 3
    assert set(sizes) == {9}
    assert (groups[:3, :3] == groups[0, 0]).all()
    assert groups[0, 3] != groups[0, 2]
    np.testing.assert_array_equal(groups["y"], cube["y"])


def test_every_map_with_room_has_blocks_to_hold_back(cube):
    for size in (3, 5, 7, 11):
        groups = natural_groups(cube.isel(y=slice(0, size), x=slice(0, size)))
        assert len(np.unique(groups)) >= 9


def test_a_small_map_is_cut_by_time(cube):
    groups = natural_groups(cube.isel(y=slice(0, 2)))
    assert groups.dims == ("time",)
    assert np.bincount(groups.values).tolist() == [30, 30, 10]


def test_a_small_map_of_one_step_still_has_an_answer(cube):
    groups = natural_groups(cube.isel(y=slice(0, 1), x=slice(0, 2), time=0, drop=True))
    assert groups.shape == (1, 2)
