"""Patches: tiles that cover the map, gaps that are whole, the farthest from an edge."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from vadose.errors import ValueProblem
from vadose.samples import Patches
from vadose.samples.sampler import starts

Cubes = Callable[..., xr.Dataset]


@pytest.mark.parametrize(("size", "overlap"), [(4, 0), (4, 2), (5, 4), (3, 1)])
def test_a_cell_is_put_back_from_where_it_is_farthest_from_the_edge(
    cubes: Cubes, size: int, overlap: int
) -> None:
    cube = cubes(2, 7, 10, gaps=0.0)
    patches = Patches(["ndvi"], size=size, overlap=overlap)
    samples = patches.take(cube)
    inward = np.minimum(np.arange(size), np.arange(size)[::-1])
    depth = np.broadcast_to(np.minimum.outer(inward, inward), samples.index.shape)
    field = patches.put(depth, samples)
    best = np.full((7, 10), -1)
    for row in starts(7, size, overlap):
        for column in starts(10, size, overlap):
            part = best[row : row + size, column : column + size]
            part[:] = np.maximum(part, np.minimum.outer(inward, inward))
    np.testing.assert_array_equal(field, np.broadcast_to(best, (2, 7, 10)))


def test_a_map_smaller_than_a_tile_is_padded(cubes: Cubes) -> None:
    cube = cubes(2, 3, 10, gaps=0.0)
    groups = xr.zeros_like(cube["ndvi"], dtype=int)
    weight = xr.ones_like(cube["ndvi"])
    samples = Patches(["ndvi", "sand"], size=5).take(
        cube, "soil_moisture", groups=groups, weight=weight
    )
    assert samples.X.shape == (4, 5, 5, 4)
    assert np.isnan(samples.X[:, 3:]).all()
    assert np.isfinite(samples.X[:, :3]).all()
    assert samples.y is not None
    assert samples.groups is not None
    assert samples.weight is not None
    assert np.isnan(samples.y[:, 3:]).all()
    assert (samples.groups[:, 3:] == -1).all()
    assert (samples.weight[:, 3:] == 0.0).all()
    assert (samples.index[:, 3:] == -1).all()


def test_a_gap_is_a_gap_in_all_features_and_the_target(cubes: Cubes) -> None:
    cube = cubes(2, 6, 6, gaps=0.0)
    cube["ndvi"][0, 2, 3] = np.nan
    cube["sand"][5, 5] = np.nan
    before = cube.copy(deep=True)
    samples = Patches(["ndvi", "sand"]).take(cube, "soil_moisture")
    assert samples.y is not None
    is_gap = np.zeros((2, 6, 6), dtype=bool)
    is_gap[0, 2, 3] = is_gap[:, 5, 5] = True
    np.testing.assert_array_equal(np.isnan(samples.X), np.stack([is_gap] * 4, axis=-1))
    np.testing.assert_array_equal(np.isnan(samples.y), is_gap)
    xr.testing.assert_identical(cube, before)


def test_tiles_of_gaps_alone_are_left_out(cubes: Cubes) -> None:
    cube = cubes(2, 6, 8, gaps=0.0)
    cube["sand"][:3, :4] = np.nan
    assert len(Patches(["sand"], size=3).take(cube)) == 2 * (2 * 3 - 1)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueProblem, match="size: found 0 cells, expected 1 or more"):
        Patches(["ndvi"], size=0)
    with pytest.raises(ValueProblem, match="found 3 cells, with tiles of 3, expected 0 or more"):
        Patches(["ndvi"], size=3, overlap=3)
    with pytest.raises(ValueProblem, match="found 1 cells, with tiles of the whole map"):
        Patches(["ndvi"], overlap=1)
