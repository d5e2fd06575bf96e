"""Means and majorities in windows equal those of whole maps, whatever part of a cell a window holds."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

import vadose.cubes.windows
from vadose.cubes.reproject import reproject
from vadose.cubes.windows import Windows, window_majorities, window_means
from vadose.grids import cell_area, coordinates, latlon
from vadose.schema import VARIABLES

SHAPE = (40, 50)


def cut(fine: GeoBox, ratio: float) -> tuple[GeoBox, Windows]:
    """Give the grid of whole cells of `ratio` fine cells, and the same as windows."""
    rows, columns = (int(count / ratio + 1e-9) for count in fine.shape)
    step = fine.affine
    affine = Affine(step.a * ratio, 0, step.c, 0, step.e * ratio, step.f)
    column, row = np.meshgrid(np.arange(columns) * ratio, np.arange(rows) * ratio)
    return GeoBox((rows, columns), affine, fine.crs), Windows(row.ravel(), column.ravel(), ratio)


def map_of(name: str, values: np.ndarray, grid: GeoBox) -> xr.Dataset:
    attributes = VARIABLES[name].attributes()
    return xr.Dataset({name: (("y", "x"), values, attributes)}, coords=coordinates(grid))


def metric() -> GeoBox:
    return GeoBox(SHAPE, Affine(30.0, 0, 500_000.0, 0, -30.0, 4_000_000.0), "EPSG:6933")


@pytest.mark.parametrize("ratio", [1000 / 30 / 2, 100 / 30, 50 / 30, 5.0, 1.0])
@pytest.mark.parametrize("grid", [metric(), latlon(0.5, (0, 50, 25, 70))], ids=["m", "degrees"])
@pytest.mark.parametrize("min_valid", [0.0, 0.5, 1.0])
def test_means_equal_those_of_the_map(ratio, grid, min_valid):
    rng = np.random.default_rng(0)
    values = rng.normal(20.0, 5.0, SHAPE)
    values[rng.random(SHAPE) < 0.4] = np.nan
    upper, windows = cut(grid, ratio)
    whole = reproject(
        map_of("sand", values, grid), upper, rules={"sand": "mean"}, min_valid=min_valid
    )
    found = window_means(values, windows, cell_area(grid).values, min_valid=min_valid)
    np.testing.assert_allclose(found, whole["sand"].values.ravel(), rtol=1e-9)


@pytest.mark.parametrize("ratio", [100 / 30, 50 / 30, 4.0])
def test_majorities_equal_those_of_the_map(ratio):
    codes = np.random.default_rng(1).choice([1, 7, 12, 255], SHAPE).astype("u1")
    upper, windows = cut(metric(), ratio)
    whole = reproject(map_of("land_cover", codes, metric()), upper)["land_cover"].values.ravel()
    area = cell_area(metric()).values
    found = window_majorities(codes, windows, area, missing=255)
    assert np.isnan(found).any()
    np.testing.assert_array_equal(np.where(np.isnan(found), 255, found), whole)


def test_a_dry_window_in_a_wet_map_is_exactly_dry():
    rain = np.random.default_rng(2).gamma(0.5, 20.0, SHAPE)
    rain[10:20, 10:20] = 0.0
    windows = Windows(np.array([10.7]), np.array([12.3]), 100 / 30)
    assert window_means(rain, windows, np.ones(SHAPE)).tolist() == [0.0]


def test_what_lies_off_the_map_does_not_count():
    windows = Windows(np.array([-1.0, -9.0]), np.array([48.5, 0.0]), 2.0)
    values = np.arange(2000.0).reshape(SHAPE)
    np.testing.assert_allclose(
        window_means(values, windows, np.ones(SHAPE)), [(48 * 0.5 + 49) / 1.5, np.nan]
    )


def test_batches_do_not_matter(monkeypatch):
    values = np.random.default_rng(3).normal(size=SHAPE)
    _, windows = cut(metric(), 100 / 30)
    whole = window_means(values, windows, np.ones(SHAPE))
    monkeypatch.setattr(vadose.cubes.windows, "BATCH", 200)
    np.testing.assert_array_equal(window_means(values, windows, np.ones(SHAPE)), whole)
