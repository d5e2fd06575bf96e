"""A small cube of every type that a map has: gaps, codes, flags, days and a static layer."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from vadose.grids import coordinates, named_grid
from vadose.schema import ORIGIN, VARIABLES


@pytest.fixture(scope="session")
def earth() -> xr.Dataset:
    """Give 20 days of 60 x 44 cells, with a quarter that has no value on any day."""
    rng = np.random.default_rng(5)
    grid = named_grid("EASE2_1km")[3000:3060, 9000:9044]
    shape = (20, *grid.shape)
    moisture = rng.uniform(0.02, 0.6, shape).astype("f4")
    moisture[rng.random(shape) < 0.1] = np.nan
    moisture[:, 32:, :24] = np.nan
    moisture[:, 0, 0] = 0.0
    dims = ("time", "y", "x")
    return xr.Dataset(
        {
            "soil_moisture": (
                dims,
                moisture,
                VARIABLES["soil_moisture"].attributes() | {"depth_from": 0.0, "depth_to": 0.05},
            ),
            "origin": (
                dims,
                np.where(np.isnan(moisture), 0, 2).astype("u1"),
                VARIABLES["origin"].attributes() | ORIGIN.attributes(),
            ),
            "quality": (
                dims,
                rng.integers(0, 8192, shape).astype("u2"),
                VARIABLES["quality"].attributes(),
            ),
            "elevation": (
                dims[1:],
                rng.normal(500, 90, grid.shape).astype("f4"),
                VARIABLES["elevation"].attributes(),
            ),
        },
        coords={
            **coordinates(grid),
            "time": np.datetime64("2019-01-20", "s") + np.arange(20) * np.timedelta64(1, "D"),
        },
        attrs={"title": "made for a test"},
    )
