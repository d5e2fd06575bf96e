"""The world: landscape, weather and water put together, and labelled as cubes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose import grids
from vadose.errors import GridProblem, ValueProblem
from vadose.schema import IGBP, ORIGIN, QUALITY, Bits, Flags, variable
from vadose.synthetic.bucket import BELOW, SURFACE, rested, step
from vadose.synthetic.landscape import Landscape, landscape
from vadose.synthetic.stations import observe
from vadose.synthetic.views import Scene, area_mean, land_model, satellite
from vadose.synthetic.weather import weather

#: Days of weather before the first one shown, in which the soil forgets how it began.
WARM_UP = 120
#: Row and column of `EASE2_1km` near 35° N, 105° E, where the window has its upper left corner.
CORNER = (3096, 27468)
#: Smallest window with a terrain to speak of.
SMALLEST = 8

_DAILY = ("land_surface_temperature", "ndvi", "ndwi", "albedo", "evaporation")
_STATIC = (
    "elevation",
    "slope",
    "topographic_wetness_index",
    "sand",
    "silt",
    "clay",
    "land_cover",
)
_FLAGS: dict[str, Flags | Bits] = {"land_cover": IGBP, "origin": ORIGIN, "quality": QUALITY}
_DEPTHS_MM = {"soil_moisture": SURFACE, "root_zone_soil_moisture": SURFACE + BELOW}

Arrays = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class World:
    """Hold a world: what is true, and what each observer knows of it.

    Attributes
    ----------
    truth
        Fine ``soil_moisture`` (0-5 cm) and ``root_zone_soil_moisture`` (0-1 m).
    predictors
        Fine, without gaps and noise: land surface and air temperature, NDVI, NDWI, albedo,
        precipitation, evaporation, elevation, slope, topographic wetness index, sand, silt, clay, land
        cover (IGBP), longitude and latitude.
    coarse
        The satellite's ``soil_moisture`` with NaN in gaps, and why: ``origin`` says whether a cell was
        observed, missed by the swath or masked, ``quality``, ``is_frozen`` and
        ``is_dense_vegetation`` for what reason.
    coarse_truth
        The exact area mean of `truth`.
    land_model
        As `coarse_truth`, but smooth, late, of low amplitude and biased.
    stations
        ``soil_moisture`` with dims ``station, time``; not a cube.
    """

    truth: xr.Dataset
    predictors: xr.Dataset
    coarse: xr.Dataset
    coarse_truth: xr.Dataset
    land_model: xr.Dataset
    stations: xr.Dataset


def world(
    size: int = 128,
    days: int = 365,
    factor: int = 16,
    seed: int = 0,
    *,
    start: str = "2019-04-01",
    noise: float = 0.04,
    stations: int = 12,
) -> World:
    """Make a world.

    Parameters
    ----------
    size
        Fine cells (about 1 km) along each side.
    days
        Length of the record. A longer world begins with the shorter one of the same seed.
    factor
        Fine cells along each side of a coarse cell. The window starts on a multiple of it, so that with
        36, 9 or 3 the coarse grid is a part of ``EASE2_36km`` and its kin.
    seed
        Of everything random: same seed, same bits.
    start
        First day. By default spring, that even short worlds have little frost.
    noise
        Standard deviation of the satellite's error, m³ m⁻³; does not change the rest.
    stations
        Number of stations.

    Returns
    -------
    World

    Raises
    ------
    GridProblem
        When `size` is below 8 or not a multiple of `factor`.
    ValueProblem
        When `days`, `seed`, `noise`, `stations` or `start` make no sense.

    Examples
    --------
    >>> small = world(size=16, days=8, factor=4, seed=0)
    >>> bool(small.coarse.soil_moisture.isnull().any()), bool(small.truth.soil_moisture.isnull().any())
    (True, False)
    """
    _check_grid(size, factor)
    _check_numbers(size, days, seed, noise, stations)
    fine = _window(size, factor)
    times = _days(start, days)
    land = landscape(size, seed)
    daily, is_frozen = _simulate(land, times, fine, seed)
    water = {name: daily.pop(name) for name in _DEPTHS_MM}
    mean = {name: area_mean(values, factor) for name, values in water.items()}
    scene = Scene(water["soil_moisture"], daily["precipitation"], daily["ndvi"], is_frozen)
    longitude, latitude = grids.lonlat(fine)
    static = {name: getattr(land, name) for name in _STATIC}
    coarse = grids.coarsened(fine, factor)
    truth = _cube(fine, times, water)
    return World(
        truth=truth,
        predictors=_cube(
            fine, times, {**daily, **static, "longitude": longitude, "latitude": latitude}
        ),
        coarse=_cube(coarse, times, satellite(scene, factor, noise=noise, seed=seed)),
        coarse_truth=_cube(coarse, times, mean),
        land_model=_cube(coarse, times, land_model(**mean, seed=seed)),
        stations=observe(truth["soil_moisture"], is_frozen, fine, count=stations, seed=seed),
    )


def _check_grid(size: int, factor: int) -> None:
    if factor < 1 or size < SMALLEST or size % max(factor, 1):
        step = max(factor, 1)
        nearest = max(round(size / step), -(-SMALLEST // step)) * step
        raise GridProblem(
            "world",
            found=f"size={size} and factor={factor}",
            expected=f"a size of at least {SMALLEST} cells that is a multiple of the factor",
            remedy=f"Take size={nearest}, factor={step}.",
        )


def _check_numbers(size: int, days: int, seed: int, noise: float, stations: int) -> None:
    if days < 1 or seed < 0 or noise < 0 or not 1 <= stations <= size**2:
        raise ValueProblem(
            "world",
            found=f"days={days}, seed={seed}, noise={noise:g}, stations={stations}",
            expected="days of 1 or more, seed and noise of 0 or more, "
            f"stations from 1 to {size**2}",
        )


def _days(start: str, count: int) -> pd.DatetimeIndex:
    try:
        return pd.date_range(pd.Timestamp(start).normalize(), periods=count, freq="D", unit="ns")
    except ValueError as problem:
        raise ValueProblem(
            "world", found=f"start={start!r}", expected="a day such as '2019-04-01'"
        ) from problem


def _window(size: int, factor: int) -> GeoBox:
    """Cut the fine grid out of the global one, its corner on a multiple of `factor`."""
    row, column = (corner // factor * factor for corner in CORNER)
    window: GeoBox = grids.named_grid("EASE2_1km")[row : row + size, column : column + size]
    return window


def _simulate(
    land: Landscape, times: pd.DatetimeIndex, fine: GeoBox, seed: int
) -> tuple[dict[str, npt.NDArray[np.float32]], npt.NDArray[np.bool_]]:
    """Run the water balance and keep, from the first day shown, what the cubes need."""
    earlier = pd.date_range(end=times[0], periods=WARM_UP + 1, freq="D")[:-1]
    latitude = float(grids.lonlat(fine)[1].mean())
    period = pd.DatetimeIndex([*earlier, *times])
    state = rested(land)
    shape = (len(times), *land.elevation.shape)
    names = (*_DAILY, "precipitation", "air_temperature", *_DEPTHS_MM)
    kept = {name: np.empty(shape, dtype="f4") for name in names}
    is_frozen = np.empty(shape, dtype=bool)
    forcing = weather(period, land.elevation, latitude, seed)
    for number, sky in enumerate(forcing, start=-WARM_UP):
        state, day = step(state, land, sky)
        if number < 0:
            continue
        for name in _DAILY:
            kept[name][number] = getattr(day, name)
        for name in _DEPTHS_MM:
            kept[name][number] = getattr(state, name)
        kept["precipitation"][number] = sky.precipitation
        kept["air_temperature"][number] = sky.air_temperature
        is_frozen[number] = day.is_frozen
    return kept, is_frozen


def _cube(grid: GeoBox, times: pd.DatetimeIndex, arrays: Arrays) -> xr.Dataset:
    """Label arrays as `vadose.schema` says."""
    coords = {**grids.coordinates(grid), "time": ("time", times.values)}
    variables = {}
    for name, values in arrays.items():
        row = variable(name)
        attributes: dict[str, object] = dict(row.attributes())
        if name in _FLAGS:
            attributes |= _FLAGS[name].attributes()
        if name in _DEPTHS_MM:
            attributes |= {"depth_from": 0.0, "depth_to": _DEPTHS_MM[name] / 1000}
        if values.ndim == 3:
            attributes["cell_methods"] = "time: mean"
        dims = ("time", "y", "x")[-values.ndim :]
        typed = values.astype("f4") if row.kind == "continuous" else values
        variables[name] = xr.Variable(dims, typed, attributes)
    return xr.Dataset(variables, coords=coords)
