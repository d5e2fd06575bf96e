"""Sensors in the ground: near the truth of their cell, each with its own faults; and their files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose import grids, schema
from vadose.errors import FileProblem
from vadose.synthetic.randomness import Field, stream

if TYPE_CHECKING:
    from vadose.synthetic.worlds import World

#: Standard deviation of a sensor's constant bias, m³ m⁻³.
SENSOR_BIAS = 0.02
#: Standard deviation of what a point differs from its square kilometre, m³ m⁻³, and its memory.
REPRESENTATIVENESS, PERSISTENCE = 0.02, 0.95
#: Standard deviation of the reading itself, m³ m⁻³.
READING_NOISE = 0.005
#: Chance that a working sensor fails on a day, and mean length of an outage in days.
FAILURE, OUTAGE = 0.01, 12.0
NETWORKS = ("HILLS", "PLAINS")


def observe(
    soil_moisture: xr.DataArray,
    is_frozen: npt.NDArray[np.bool_],
    grid: GeoBox,
    *,
    count: int,
    seed: int,
) -> xr.Dataset:
    """Read the truth of some cells with sensors.

    Parameters
    ----------
    soil_moisture
        Fine truth, dims ``time, y, x``.
    is_frozen
        Same dims; frozen soil gives no reading.
    grid
        Of the truth.
    count
        Number of stations, in cells drawn without repetition.
    seed
        Of the world.

    Returns
    -------
    xarray.Dataset
        ``soil_moisture`` with dims ``station, time`` (m³ m⁻³; NaN in outages and frost) and, along
        ``station``, the coordinates lat, lon, network, depth_from, depth_to and sensor_bias. The last
        is known in this world only, and is not written to files.
    """
    rng = stream(seed, "stations")
    cells = rng.choice(grid.shape.y * grid.shape.x, size=count, replace=False)
    rows, columns = np.unravel_index(cells, tuple(grid.shape))
    longitude, latitude = _places(grid, rows, columns, rng)
    bias = rng.normal(0, SENSOR_BIAS, count)
    readings = soil_moisture.values[:, rows, columns].T.astype("f8") + bias[:, None]
    readings += _point_noise(rng, readings.shape)
    is_silent = _outages(rng, readings.shape) | is_frozen[:, rows, columns].T
    # A logger writes four decimals, and no sensor reads less than nothing.
    readings = np.where(is_silent, np.nan, np.maximum(readings, 0).round(4))
    network = np.where(rng.random(count) < 0.5, *NETWORKS)
    water = schema.variable("soil_moisture")
    return xr.Dataset(
        {"soil_moisture": (("station", "time"), readings.astype("f4"), water.attributes())},
        coords={
            "station": [f"S{number:02d}" for number in range(1, count + 1)],
            "time": soil_moisture["time"].values,
            "lat": ("station", latitude, {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": ("station", longitude, {"units": "degrees_east", "standard_name": "longitude"}),
            "network": ("station", network),
            "depth_from": ("station", np.zeros(count), {"units": "m"}),
            "depth_to": ("station", np.full(count, 0.05), {"units": "m"}),
            "sensor_bias": ("station", bias, {"units": "m3 m-3"}),
        },
    )


def _places(
    grid: GeoBox,
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
    rng: np.random.Generator,
) -> tuple[Field, Field]:
    """Put each station somewhere in its cell, away from the edges; longitude and latitude."""
    longitude, latitude = grids.lonlat(grid)
    away = rng.uniform(-0.4, 0.4, (2, *longitude.shape))
    width, height = np.gradient(longitude, axis=1), np.gradient(latitude, axis=0)
    return (
        (longitude + away[0] * width)[rows, columns],
        (latitude + away[1] * height)[rows, columns],
    )


def _point_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Field:
    """Draw what points differ from their cells: slow, as soil and roots are, plus the reading's own."""
    fresh = rng.normal(0, REPRESENTATIVENESS, shape)
    slow = fresh.copy()
    for day in range(1, shape[1]):
        slow[:, day] = PERSISTENCE * slow[:, day - 1] + np.sqrt(1 - PERSISTENCE**2) * fresh[:, day]
    return slow + rng.normal(0, READING_NOISE, shape)


def _outages(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Draw runs of days without readings, of geometric length."""
    draws = rng.random(shape)
    is_silent = np.zeros(shape, dtype=bool)
    for day in range(1, shape[1]):
        chance = np.where(is_silent[:, day - 1], 1 - 1 / OUTAGE, FAILURE)
        is_silent[:, day] = draws[:, day] < chance
    return is_silent


def write_stations(world: World, folder: Path | str) -> list[Path]:
    """Write the stations as files: one CSV each, and one that says where they are.

    Parameters
    ----------
    world
        The world whose stations to write.
    folder
        Made if it does not exist.

    Returns
    -------
    list of pathlib.Path
        ``stations.csv`` (station, network, lat, lon, depth_from, depth_to), then a file per station
        (date, soil_moisture), in the order of the dataset. Days without a reading are empty fields.

    Raises
    ------
    FileProblem
        When the folder cannot be made or written.

    Examples
    --------
    >>> import tempfile
    >>> import vadose.synthetic
    >>> small = vadose.synthetic.world(size=16, days=8, factor=4, seed=0, stations=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = write_stations(small, folder)
    ...     print([path.name for path in paths], paths[1].read_text().splitlines()[0])
    ['stations.csv', 'S01.csv', 'S02.csv'] date,soil_moisture
    """
    folder = Path(folder)
    stations = world.stations
    columns = ["network", "lat", "lon", "depth_from", "depth_to"]
    places = pd.DataFrame(
        {name: stations[name].values for name in columns},
        index=pd.Index(stations["station"].values, name="station"),
    )
    dates = pd.DatetimeIndex(stations["time"].values, name="date")
    paths = [folder / "stations.csv"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        places.to_csv(paths[0])
        for name, readings in zip(places.index, stations["soil_moisture"].values, strict=True):
            paths.append(folder / f"{name}.csv")
            table = pd.DataFrame({"soil_moisture": readings}, index=dates)
            table.to_csv(paths[-1], float_format="%.4f", date_format="%Y-%m-%d")
    except OSError as problem:
        raise FileProblem(
            folder,
            found=f"a place that cannot be written ({problem.strerror})",
            expected="a folder for station files",
            remedy="Name another folder.",
        ) from problem
    return paths
