"""Guarded cubics equal an independent cubic where nothing has to be guarded, and stay in range elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio.warp
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from vadose.cubes.cubic import cubic_at
from vadose.errors import CubeProblem
from vadose.grids import coordinates, latlon

FACTOR = 5


def square(shape: tuple[int, int], cell: float) -> GeoBox:
    return GeoBox(shape, Affine(cell, 0, 500_000.0, 0, -cell, 4_000_000.0), "EPSG:6933")


def field_on(grid: GeoBox, values: np.ndarray, name: str = "soil_moisture") -> xr.DataArray:
    return xr.DataArray(values, dims=("y", "x"), coords=coordinates(grid), name=name)


def centres(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = (np.arange(FACTOR * count) + 0.5 for count in shape)
    columns, rows = np.meshgrid(columns / FACTOR, rows / FACTOR)
    return columns.ravel(), rows.ravel()


def test_equals_gdal_away_from_the_edges_but_for_the_guard():
    shape = (9, 11)
    values = np.random.default_rng(0).normal(0.25, 0.05, shape)
    source, target = square(shape, 5000.0), square((45, 55), 1000.0)
    gdal = np.full(tuple(target.shape), np.nan)
    rasterio.warp.reproject(
        values,
        gdal,
        src_transform=source.affine,
        src_crs="EPSG:6933",
        dst_transform=target.affine,
        dst_crs="EPSG:6933",
        src_nodata=np.nan,
        dst_nodata=np.nan,
        resampling=Resampling.cubic,
    )
    mine = cubic_at(field_on(source, values), *centres(shape)).reshape(gdal.shape)
    low, high = np.full_like(gdal, np.inf), np.full_like(gdal, -np.inf)
    for row, column in np.ndindex(*gdal.shape):
        first = [int(np.floor((place + 0.5) / FACTOR - 0.5)) - 1 for place in (row, column)]
        seen = values[max(first[0], 0) : first[0] + 4, max(first[1], 0) : first[1] + 4]
        low[row, column], high[row, column] = seen.min(), seen.max()
    inner = (slice(2 * FACTOR, -2 * FACTOR),) * 2
    expected = np.clip(gdal, low, high)
    assert (gdal[inner] != expected[inner]).any()  # the guard has something to do
    np.testing.assert_allclose(mine[inner], expected[inner], atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    share=st.sampled_from([0.0, 0.1, 0.6]),
    is_binary=st.booleans(),
    is_global=st.booleans(),
)
def test_stays_between_the_cells_around_and_has_a_value_where_its_cell_has(
    seed, share, is_binary, is_global
):
    rng = np.random.default_rng(seed)
    grid = latlon(45.0) if is_global else square((4, 8), 9000.0)
    values = rng.uniform(0.0, 0.6, (4, 8))
    values = np.where(values > 0.3, 0.6, 0.0) if is_binary else values
    values[rng.random(values.shape) < share] = np.nan
    column, row = rng.uniform(0, 8, 50), rng.uniform(0, 4, 50)
    found = cubic_at(field_on(grid, values), column, row)
    own = values[np.floor(row).astype(int), np.floor(column).astype(int)]
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(own))
    for value, x, y in zip(found, column, row, strict=True):
        if not np.isfinite(value):
            continue
        rows = np.clip(np.floor(y - 0.5) + np.arange(-1, 3), 0, 3).astype(int)
        columns = (np.floor(x - 0.5) + np.arange(-1, 3)).astype(int)
        columns = columns % 8 if is_global else np.clip(columns, 0, 7)
        around = values[np.ix_(rows, columns)]
        assert np.nanmin(around) - 1e-12 <= value <= np.nanmax(around) + 1e-12


def test_centres_keep_their_value_and_a_constant_field_stays_constant():
    shape = (4, 5)
    values = np.random.default_rng(1).uniform(0.0, 0.6, shape)
    column, row = np.meshgrid(np.arange(5) + 0.5, np.arange(4) + 0.5)
    field = field_on(square(shape, 9000.0), values)
    np.testing.assert_allclose(cubic_at(field, column.ravel(), row.ravel()), values.ravel())
    constant = cubic_at(field.copy(data=np.full(shape, 0.3)), *centres(shape))
    np.testing.assert_allclose(constant, 0.3, rtol=1e-12)


def test_off_the_grid_there_is_no_value():
    field = field_on(square((3, 3), 9000.0), np.full((3, 3), 0.2))
    found = cubic_at(field, [-0.1, 3.1, 1.0, 1.0, np.nan, 3.0], [1.0, 1.0, -0.1, 3.1, 1.0, 3.0])
    np.testing.assert_allclose(found, [np.nan] * 5 + [0.2])


@pytest.mark.parametrize(
    ("name", "found"),
    [("land_cover", "a class variable"), ("land_cover_water_bodies", "shares of a class")],
)
def test_classes_and_their_shares_are_refused(name, found):
    field = field_on(square((3, 3), 9000.0), np.ones((3, 3)), name)
    with pytest.raises(CubeProblem, match=f"{name}: found {found}, expected a continuous variable"):
        cubic_at(field, [1.0], [1.0])


def test_more_than_one_step_is_refused():
    field = field_on(square((3, 3), 9000.0), np.ones((3, 3))).expand_dims("time")
    with pytest.raises(CubeProblem, match=r"found dimensions .*'time'.*, expected .*: one step"):
        cubic_at(field, [1.0], [1.0])
