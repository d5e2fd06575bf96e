"""Small cubes with gaps for the tests of the samplers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from vadose.grids import coordinates, latlon
from vadose.schema import check_cube, variable

Cubes = Callable[..., xr.Dataset]
DYNAMIC = ("ndvi", "albedo", "soil_moisture", "root_zone_soil_moisture")


def gappy(
    steps: int, rows: int, columns: int, *, gaps: float, seed: int = 0, spells: int = 1
) -> xr.Dataset:
    """Make a cube of random values in which a share of each variable is missing, in spells of days."""
    rng = np.random.default_rng(seed)
    grid = latlon(1.0, (0.0, 40.0, float(columns), 40.0 + rows))
    coords = {**coordinates(grid), "time": pd.date_range("2019-07-01", periods=steps)}
    cube = xr.Dataset(coords=coords)
    for name in (*DYNAMIC, "sand"):
        dims = ("time", "y", "x") if name in DYNAMIC else ("y", "x")
        shape = (steps, rows, columns)[-len(dims) :]
        values = rng.random(shape, dtype=np.float32)
        starts = rng.random(shape) < gaps / spells
        if name in DYNAMIC:
            starts = np.stack(
                [starts[max(0, step - spells + 1) : step + 1].any(axis=0) for step in range(steps)]
            )
        values[starts] = np.nan
        cube[name] = (dims, values, {"units": variable(name).units})
    return check_cube(cube)


@pytest.fixture(scope="session")
def cubes() -> Cubes:
    """Give the maker of cubes."""
    return gappy
