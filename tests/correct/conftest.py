"""Made-up networks: stations over some degrees, a true soil moisture, and a product that errs as told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from vadose.correct import Pairs

#: Makes pairs: `error(pairs)` is what the product has too much.
Network = Callable[..., Pairs]


def network(
    error: Callable[[Pairs], np.ndarray] | float = 0.0,
    *,
    stations: int = 20,
    days: int = 120,
    noise: float = 0.02,
    seed: int = 0,
    start: str = "2020-01-01",
) -> Pairs:
    """Make pairs of stations between 0 and 4 degrees, with a predictor ``elevation``."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(0, 4, (2, stations))
    height = rng.uniform(0, 1000, stations)
    coords = {
        "station": [f"S{number:02d}" for number in range(stations)],
        "network": ("station", np.where(np.arange(stations) % 3, "EAST", "WEST")),
        "lon": ("station", place[0]),
        "lat": ("station", place[1]),
    }
    station = np.repeat(np.arange(stations), days)
    stamps = np.tile(
        np.datetime64(start, "ns") + np.arange(days) * np.timedelta64(1, "D"), stations
    )
    observed = (
        0.25 + 0.06 * np.sin(np.arange(days) / 9)[None] + rng.normal(0, 0.01, (stations, days))
    )
    pairs = Pairs(
        observed.ravel() + noise * rng.normal(size=station.size),
        stamps,
        place[0][station],
        place[1][station],
        {"elevation": height[station]},
        observed=observed.ravel(),
        station=station,
        stations=xr.Dataset(coords=coords),
    )
    extra = error(pairs) if callable(error) else np.full(len(pairs), error)
    return Pairs(
        pairs.predicted + extra,
        stamps,
        pairs.longitude,
        pairs.latitude,
        pairs.predictors,
        observed=pairs.observed,
        station=station,
        stations=pairs.stations,
    )


@pytest.fixture(scope="session", name="network")
def _network() -> Network:
    return network


@pytest.fixture
def cube() -> xr.Dataset:
    """A product of 12 x 20 cells over the network, two days, with gaps, a spread, origin and flags."""
    from vadose.grids import coordinates, latlon
    from vadose.schema import FLAGS, ORIGIN, VARIABLES, check_cube, variable

    grid = latlon(0.25, (0.0, 0.0, 5.0, 3.0))
    rng = np.random.default_rng(1)
    dims, shape = ("time", "y", "x"), (2, *grid.shape)
    values = rng.uniform(0.1, 0.4, shape).astype("f4")
    values[:, 3:5, 7] = np.nan
    values[1, 0] = np.nan
    origin = np.where(np.isnan(values), ORIGIN.code("masked"), ORIGIN.code("downscaled"))
    fields = {
        "soil_moisture": (
            dims,
            values,
            {**variable("soil_moisture").attributes(), "depth_from": 0.0},
        ),
        "soil_moisture_spread": (dims, values / 10, variable("soil_moisture_spread").attributes()),
        "origin": (
            dims,
            origin.astype("u1"),
            VARIABLES["origin"].attributes() | ORIGIN.attributes(),
        ),
        "flags": (
            dims,
            np.zeros(shape, "u2"),
            VARIABLES["flags"].attributes() | FLAGS.attributes(),
        ),
        "elevation": (
            dims[1:],
            rng.uniform(0, 1000, grid.shape).astype("f4"),
            variable("elevation").attributes(),
        ),
    }
    times = np.array(["2020-01-03", "2020-01-04"], "M8[ns]")
    return check_cube(xr.Dataset(fields, coords={"time": times, **coordinates(grid)}))
