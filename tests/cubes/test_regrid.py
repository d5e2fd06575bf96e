"""Nested grids: areas are conserved, gaps do not bleed, codes are never mixed."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from vadose.cubes.regrid import (
    aggregate,
    area_mean,
    fractions,
    interpolate,
    is_global,
    nearest,
    smooth,
    valid_share,
)
from vadose.errors import CubeProblem, GridProblem
from vadose.grids import cell_area, coarsened, coordinates, latlon, named_grid
from vadose.schema import VARIABLES

FINE = latlon(1.0, (0, 40, 24, 56))
COARSE = coarsened(FINE, 4)


def layer(values, grid=FINE, name="sand", dims=("y", "x")):
    attrs = VARIABLES[name].attributes()
    return xr.DataArray(values, dims=dims, coords=coordinates(grid), name=name, attrs=attrs)


def noise(seed, share=0.0, shape=(16, 24)):
    rng = np.random.default_rng(seed)
    values = rng.normal(20.0, 5.0, shape)
    values[rng.random(shape) < share] = np.nan
    return values


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.0, 0.95))
def test_area_weighted_total_is_conserved_whatever_is_missing(seed, share):
    fine = layer(noise(seed, share))
    mean, valid = area_mean(fine, COARSE, min_valid=0.0), valid_share(fine, COARSE)
    before = float((fine * cell_area(FINE)).sum())
    after = float((mean.fillna(0.0) * valid * cell_area(COARSE)).sum())
    assert after == pytest.approx(before, rel=1e-10, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.0, 0.9))
def test_mean_lies_within_its_cells_and_repeating_then_averaging_returns_it(seed, share):
    fine = layer(noise(seed, share))
    mean = area_mean(fine, COARSE, min_valid=0.0)
    low, high = fine.coarsen(y=4, x=4).min().values, fine.coarsen(y=4, x=4).max().values
    known = np.isfinite(mean.values)
    assert (mean.values[known] >= low[known] - 1e-9).all()
    assert (mean.values[known] <= high[known] + 1e-9).all()
    again = area_mean(nearest(mean, FINE), COARSE)
    np.testing.assert_allclose(again, mean, rtol=1e-12)


def test_min_valid_is_reached_at_its_edge():
    grid = named_grid("EASE2_36km")[100:104, 200:204]  # cells of equal area
    values = np.ones((4, 4))
    values.ravel()[:8] = np.nan
    half = layer(values, grid)
    assert np.isfinite(area_mean(half, coarsened(grid, 4), min_valid=0.5)).all()
    values.ravel()[8] = np.nan
    less = layer(values, grid)
    assert np.isnan(area_mean(less, coarsened(grid, 4), min_valid=0.5)).all()
    assert float(area_mean(less, coarsened(grid, 4), min_valid=0.4)[0, 0]) == 1.0
    nothing = layer(np.full((4, 4), np.nan), grid)
    assert np.isnan(area_mean(nothing, coarsened(grid, 4), min_valid=0.0)).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.0, 0.7))
def test_smooth_keeps_constants_and_range_over_gaps(seed, share):
    coarse = layer(noise(seed, share, (4, 6)), COARSE)
    found = smooth(coarse, FINE).values
    known = np.isfinite(found)
    if known.any():
        assert found[known].min() >= np.nanmin(coarse) - 1e-9
        assert found[known].max() <= np.nanmax(coarse) + 1e-9
    flat = smooth(coarse.where(coarse.isnull(), 7.0), FINE).values
    np.testing.assert_allclose(flat[np.isfinite(flat)], 7.0, rtol=1e-12)
    has_value = nearest(coarse, FINE).notnull().values
    assert np.isfinite(found[has_value]).all()  # a gap beside takes no value away


def test_smooth_repeats_a_plane_inside_and_holds_it_outside():
    plane = np.add.outer(np.arange(4.0), 2.0 * np.arange(6.0))
    fine = smooth(layer(plane, COARSE), FINE).values
    assert np.allclose(np.diff(fine[2:-2, 2:-2], axis=1), 0.5)
    assert np.allclose(np.diff(fine[2:-2, 2:-2], axis=0), 0.25)
    assert (fine[:, :2] == fine[:, :1]).all()


def test_smooth_wraps_around_the_globe():
    grid = latlon(45.0)
    ramp = np.tile(np.arange(8.0), (4, 1))
    fine = smooth(layer(ramp, grid), latlon(22.5)).values
    assert fine[0, 0] == pytest.approx(0.75 * 0.0 + 0.25 * 7.0)
    assert fine[0, -1] == pytest.approx(0.75 * 7.0 + 0.25 * 0.0)
    assert is_global(grid)
    assert not is_global(COARSE)


#: A map of 6 x 8 coarse cells, and windows of it: coarse cells under a tile.
MAPS = {
    "degrees": latlon(0.1, (100.0, 30.0, 104.0, 33.0)),
    "EASE": named_grid("EASE2_1km")[3600:3816, 27000:27288],
}
TILES = [((0, 2), (0, 3)), ((2, 5), (3, 8)), ((1, 2), (4, 5)), ((5, 6), (7, 8)), ((0, 6), (2, 6))]


@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.parametrize(("rows", "columns"), TILES)
def test_a_tile_has_the_bits_of_the_whole_map(kind, rows, columns):
    fine = MAPS[kind]
    factor = fine.shape.y // 6
    coarse = coarsened(fine, factor)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 6, 8)).astype("f4")
    values[rng.random(values.shape) < 0.3] = np.nan
    known = layer(values, coarse, dims=("time", "y", "x"))
    field = layer(noise(1, 0.4, fine.shape), fine)
    margins = {  # one cell beyond the tile, or the end of the map
        dim: slice(max(0, low - 1), min(size, high + 1))
        for dim, (low, high), size in (("y", rows, 6), ("x", columns, 8))
    }
    tile = {
        dim: slice(low * factor, high * factor)
        for dim, (low, high) in zip("yx", (rows, columns), strict=True)
    }
    part = fine[tile["y"], tile["x"]]
    for rule in (nearest, smooth):
        whole = rule(known, fine)
        for window in (known.isel(margins), known):
            found = rule(window, part)
            assert np.array_equal(found, whole.isel(tile), equal_nan=True)
            assert tuple(found.shape[1:]) == tuple(part.shape)
        lazy = rule(known.isel(margins).chunk(time=1, x=2), part)
        assert lazy.chunks is not None
        assert np.array_equal(lazy.compute(), whole.isel(tile), equal_nan=True)
    under = {"y": slice(*rows), "x": slice(*columns)}
    mean = area_mean(field, coarse, min_valid=0.3)
    found = area_mean(field.isel(tile), coarse[under["y"], under["x"]], min_valid=0.3)
    assert np.array_equal(found, mean.isel(under), equal_nan=True)


def test_a_tile_of_a_globe_goes_on_at_the_other_side():
    grid, fine = latlon(45.0), latlon(22.5)
    whole = smooth(layer(noise(0, 0.2, (4, 8)), grid), fine)
    window = layer(noise(0, 0.2, (4, 8))[:, [7, 0, 1]], latlon(45.0, (-225, -90, -90, 90)))
    found = smooth(window, fine[:, :2])
    assert np.array_equal(found, whole[:, :2], equal_nan=True)
    known = layer(noise(0, 0.2, (4, 8)), grid)
    assert np.array_equal(smooth(known, fine[:, -4:]), whole[:, -4:], equal_nan=True)


def test_majority_takes_the_lowest_of_equals_and_counts_what_is_missing():
    grid = named_grid("EASE2_36km")[100:102, 200:206]
    codes = np.array([[9, 9, 255, 255, 4, 255], [3, 3, 255, 255, 255, 255]], "u1")
    coarse = aggregate(layer(codes, grid, "land_cover").to_dataset(), coarsened(grid, 2))
    assert coarse["land_cover"].values.tolist() == [[3, 255, 255]]
    assert coarse["land_cover"].dtype == np.uint8
    few = aggregate(
        layer(codes, grid, "land_cover").to_dataset(), coarsened(grid, 2), min_valid=0.25
    )
    assert few["land_cover"].values.tolist() == [[3, 255, 4]]
    with pytest.raises(CubeProblem, match="no class at all"):
        aggregate(
            layer(np.full((2, 6), 255, "u1"), grid, "land_cover").to_dataset(), coarsened(grid, 2)
        )


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_fractions_add_to_one_where_there_is_a_class(seed):
    codes = np.random.default_rng(seed).choice([0, 5, 12, 16, 255], (16, 24)).astype("u1")
    codes[:4, :4] = 255
    shares = fractions(layer(codes, name="land_cover"), COARSE)
    total = shares.to_dataarray().sum("variable", skipna=False).values
    assert np.isnan(total[0, 0])
    np.testing.assert_allclose(total.ravel()[1:], 1.0, atol=1e-6)


def cube(seed=1):
    rng = np.random.default_rng(seed)
    shape = (2, 3, 16, 24)
    moisture = np.where(rng.random(shape) < 0.3, np.nan, rng.random(shape)).astype("f4")
    coords = coordinates(FINE) | {"time": np.arange(3).astype("M8[D]").astype("M8[ns]")}
    variables = {
        "soil_moisture": (("member", "time", "y", "x"), moisture),
        "is_frozen": (("time", "y", "x"), rng.integers(0, 2, shape[1:]).astype("u1")),
        "elevation": (("y", "x"), rng.normal(size=shape[2:]).astype("f4")),
    }
    return xr.Dataset(variables, coords=coords)


@pytest.mark.parametrize("chunks", [{"y": 4, "x": 8}, {"y": 5, "x": 7, "time": 1}, {"member": 1}])
def test_lazy_equals_eager_whatever_the_chunks(chunks):
    eager = aggregate(cube(), COARSE)
    lazy = aggregate(cube().chunk(chunks), COARSE)
    assert lazy["soil_moisture"].chunks is not None
    xr.testing.assert_identical(lazy.compute(), eager)
    xr.testing.assert_identical(
        interpolate(eager.chunk(time=1, x=2), FINE).compute(), interpolate(eager, FINE)
    )


def test_types_dims_and_attributes_stay():
    fine = cube()
    coarse = aggregate(fine, COARSE)
    for name in fine.data_vars:
        assert coarse[name].dtype == fine[name].dtype
        assert coarse[name].dims == fine[name].dims
        assert coarse[name].attrs == fine[name].attrs
    back = interpolate(coarse, FINE)
    assert set(np.unique(back["is_frozen"])) <= {0, 1}


def test_grids_that_do_not_nest_are_refused():
    other = latlon(3.0, (0, 41, 24, 56))
    for function in (area_mean, valid_share):
        with pytest.raises(GridProblem, match="whole blocks of fine cells"):
            function(layer(noise(0)), other)
    for rule in (nearest, smooth):
        with pytest.raises(GridProblem, match="the fine ones over some or all of them"):
            rule(layer(noise(0, shape=COARSE.shape), COARSE), FINE[1:5, :8])
        with pytest.raises(GridProblem, match="the fine ones over some or all of them"):
            rule(layer(noise(0, shape=COARSE.shape), COARSE).isel(y=slice(1, 4)), FINE)
    with pytest.raises(GridProblem, match="one CRS"):
        smooth(layer(noise(0)), named_grid("EASE2_36km"))
