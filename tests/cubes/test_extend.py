"""Shores reach as far as asked, with the nearest value, and gaps in time stay gaps."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from vadose.cubes.extend import extend
from vadose.errors import CubeProblem


def test_the_nearest_cell_of_land_is_taken_for_every_day() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((5, 6, 7))
    is_land = rng.random((6, 7)) < 0.4
    values[:, ~is_land] = np.nan
    values[2, is_land] = np.nan  # a day without a model is a gap, and no shore
    cube = xr.Dataset({"soil_moisture": (("time", "y", "x"), values)})
    where = xr.DataArray(np.ones((6, 7), dtype=bool), dims=("y", "x"))
    found = extend(cube, where)["soil_moisture"].values
    np.testing.assert_array_equal(found[:, is_land], values[:, is_land])
    assert np.isnan(found[2]).all()
    rows, columns = np.nonzero(is_land)
    for row, column in zip(*np.nonzero(~is_land), strict=True):
        distance = (rows - row) ** 2 + (columns - column) ** 2
        nearest = distance == distance.min()
        assert found[0, row, column] in values[0, rows[nearest], columns[nearest]]


def test_only_what_is_asked_for_is_reached() -> None:
    cube = xr.Dataset({"sand": (("y", "x"), [[1.0, np.nan, np.nan]])})
    where = xr.DataArray([[False, True, False]], dims=("y", "x"))
    np.testing.assert_array_equal(extend(cube, where)["sand"].values, [[1.0, 1.0, np.nan]])


def test_a_variable_without_a_value_is_refused() -> None:
    cube = xr.Dataset({"sand": (("y", "x"), [[np.nan]])})
    with pytest.raises(CubeProblem, match="sand: found no value"):
        extend(cube, xr.DataArray([[True]], dims=("y", "x")))
