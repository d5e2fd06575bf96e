"""Rows: in the order of time, y, x."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from vadose.samples import Rows


def test_rows_are_in_the_order_of_time_y_x(cubes: Callable[..., xr.Dataset]) -> None:
    cube = cubes(5, 6, 8, gaps=0.1)
    samples = Rows(["ndvi", "sand"], with_position=False).take(cube, "soil_moisture")
    frame = cube[["ndvi", "sand", "soil_moisture"]].to_dataframe(dim_order=["time", "y", "x"])
    # labels are sorted by pandas' own order of the cube: y from north to south
    table = frame[["ndvi", "sand", "soil_moisture"]].dropna()
    np.testing.assert_array_equal(samples.X, table[["ndvi", "sand"]].to_numpy())
    np.testing.assert_array_equal(samples.y, table["soil_moisture"].to_numpy())
    assert (np.diff(samples.index) > 0).all()
