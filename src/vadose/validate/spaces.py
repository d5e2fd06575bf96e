"""What of a field a station is compared with: the cell around it, the nearest centre, or a footprint.

Each way has the same two methods, so that one can be passed for another, or written by the user: ``reaches``
tells at which stations there is anything to compare with, ``take`` takes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy.sparse import csr_array

from vadose.cubes.places import goes_round, places
from vadose.errors import NoOverlap, ValueProblem
from vadose.grids import cell_area, grid_of
from vadose.samples.blocks import EARTH
from vadose.validate.match import at_stations, check_field, find_cells, station_coordinates

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

#: Time steps that are averaged over a footprint at once.
_STEPS = 64
#: Places counted in degrees: longitude is the column, latitude the row.
_DEGREES = GeoBox((1, 1), Affine.identity(), "EPSG:4326")
#: A Gaussian footprint ends where 2 % of its weight lie beyond, in standard deviations.
_END = 2.8


class Space(Protocol):
    """Take what a station is compared with from a field."""

    def reaches(self, grid: GeoBox, stations: xr.Dataset) -> Booleans:
        """Tell at which stations a grid has something to compare with, dims ``(station)``."""
        ...

    def take(self, field: xr.DataArray, stations: xr.Dataset) -> xr.DataArray:
        """Take it from a field ``([time,] y, x)``; dims ``station, time``, NaN where there is none."""
        ...


@dataclass(frozen=True)
class ContainingCell:
    """Take the cell that contains the station; nothing is interpolated."""

    def reaches(self, grid: GeoBox, stations: xr.Dataset) -> Booleans:
        """Tell which stations lie in the grid."""
        return find_cells(grid, stations)[0] >= 0

    def take(self, field: xr.DataArray, stations: xr.Dataset) -> xr.DataArray:
        """Take the value of the cell that contains each station."""
        return at_stations(field, stations)


@dataclass(frozen=True)
class NearestCentre:
    """Take the cell whose centre is nearest on the sphere, also for a station just outside the grid.

    Within a grid that is mostly the containing cell; near the edges of skewed cells it is a neighbour.

    Attributes
    ----------
    within
        Largest distance of the centre, km.
    """

    within: float

    def reaches(self, grid: GeoBox, stations: xr.Dataset) -> Booleans:
        """Tell which stations have a centre near enough."""
        return self._nearest(grid, stations)[0] >= 0

    def take(self, field: xr.DataArray, stations: xr.Dataset) -> xr.DataArray:
        """Take the value of the nearest cell."""
        grid = check_field(field, stations)
        cells, _ = self._nearest(grid, stations)
        station = np.flatnonzero(cells >= 0)
        return _averaged(
            field, stations, station, cells[station], np.ones(station.size), min_valid=1.0
        )

    def _nearest(self, grid: GeoBox, stations: xr.Dataset) -> tuple[Integers, Floats]:
        station, cells, distance = _neighbours(grid, stations, self.within)
        count = stations.sizes["station"]
        nearest, least = np.full(count, -1), np.full(count, np.inf)
        # of two at the same distance the first cell stays
        order = np.lexsort((cells, distance))[::-1]
        nearest[station[order]], least[station[order]] = cells[order], distance[order]
        return nearest, least


@dataclass(frozen=True)
class Footprint:
    """Take the mean over what a sensor sees, weighted by cell area and nearness.

    It makes a fine product comparable with what a coarse one tells of the same station.

    Attributes
    ----------
    size
        Radius of a disc, or the width of a Gaussian at half of its height, km.
    shape
        ``disc``: all within the radius weigh alike. ``gaussian``: it ends where 2 % of its weight lie
        beyond.
    min_valid
        Smallest share of the weight, of all that lies in the grid, with a value; else NaN.
    """

    size: float
    shape: Literal["disc", "gaussian"] = "disc"
    min_valid: float = 0.5

    def reaches(self, grid: GeoBox, stations: xr.Dataset) -> Booleans:
        """Tell which stations lie in the grid and have the centre of a cell in their footprint."""
        station, _, _ = _neighbours(grid, stations, self._end())
        is_reached = np.zeros(stations.sizes["station"], bool)
        is_reached[station] = True
        return is_reached & (find_cells(grid, stations)[0] >= 0)

    def take(self, field: xr.DataArray, stations: xr.Dataset) -> xr.DataArray:
        """Take the weighted mean over the footprint."""
        grid = check_field(field, stations)
        station, cells, distance = _neighbours(grid, stations, self._end())
        is_inside = (find_cells(grid, stations)[0] >= 0)[station]
        station, cells, distance = station[is_inside], cells[is_inside], distance[is_inside]
        weight = cell_area(grid).values.ravel()[cells]
        if self.shape == "gaussian":
            weight = weight * np.exp(-4 * np.log(2) * (distance / self.size) ** 2)
        return _averaged(field, stations, station, cells, weight, min_valid=self.min_valid)

    def _end(self) -> float:
        if not (self.size > 0 and 0 < self.min_valid <= 1):
            raise ValueProblem(
                "footprint",
                found=f"size {self.size:g} km, min_valid {self.min_valid:g}",
                expected="size > 0 and 0 < min_valid <= 1",
            )
        deviation = self.size / np.sqrt(8 * np.log(2))
        return self.size if self.shape == "disc" else float(_END * deviation)


def _neighbours(
    grid: GeoBox, stations: xr.Dataset, within: float
) -> tuple[Integers, Integers, Floats]:
    """Find the cells whose centres lie within a distance (km): station, flat number of the cell, distance."""
    if not within > 0:
        raise ValueProblem("within", found=f"{within:g} km", expected="more than 0")
    longitude, latitude = (stations[name].values.astype("f8") for name in ("lon", "lat"))
    found: list[tuple[Integers, Integers, Floats]] = []
    for place in range(longitude.size):
        rows, columns = _window(grid, longitude[place], latitude[place], within)
        if not (rows.size and columns.size):
            continue
        column, row = (one.ravel() for one in np.meshgrid(columns, rows))
        east, north = places(grid, _DEGREES, column + 0.5, row + 0.5)
        distance = _distance(longitude[place], latitude[place], east, north)
        is_near = distance <= within
        if goes_round(grid):
            column = column % grid.shape.x
        cells = (row * grid.shape.x + column)[is_near]
        cells, first = np.unique(cells, return_index=True)
        found.append((np.full(cells.size, place), cells, distance[is_near][first]))
    if not found:
        return np.zeros(0, "i8"), np.zeros(0, "i8"), np.zeros(0)
    station, cell, distances = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return station, cell, distances


def _window(
    grid: GeoBox, longitude: float, latitude: float, within: float
) -> tuple[Integers, Integers]:
    """Give rows and columns of a grid that hold all within a distance, from a ring around the place."""
    angle, turn = within / EARTH * 1.05, np.linspace(0, 2 * np.pi, 33)
    phi = np.radians(latitude)
    north = np.arcsin(np.sin(phi) * np.cos(angle) + np.cos(phi) * np.sin(angle) * np.cos(turn))
    east = np.radians(longitude) + np.arctan2(
        np.sin(turn) * np.sin(angle) * np.cos(phi), np.cos(angle) - np.sin(phi) * np.sin(north)
    )
    columns, rows = places(_DEGREES, grid, np.degrees(east), np.degrees(north))
    middle, _ = places(_DEGREES, grid, np.array([longitude]), np.array([latitude]))
    if not (np.isfinite(columns).all() and np.isfinite(rows).all() and np.isfinite(middle).all()):
        return np.zeros(0, "i8"), np.zeros(0, "i8")
    # the grid's own seam may lie within the ring: count columns from the station on
    if goes_round(grid):
        half = grid.shape.x / 2
        columns = middle + (columns - middle + half) % grid.shape.x - half
    first_row, last_row = int(np.floor(rows.min())), int(np.floor(rows.max()))
    first, last = int(np.floor(columns.min())), int(np.floor(columns.max()))
    wanted_rows = np.arange(max(first_row, 0), min(last_row, grid.shape.y - 1) + 1)
    if goes_round(grid):
        return wanted_rows, np.arange(first, min(last, first + grid.shape.x - 1) + 1)
    return wanted_rows, np.arange(max(first, 0), min(last, grid.shape.x - 1) + 1)


def _distance(longitude: float, latitude: float, east: Floats, north: Floats) -> Floats:
    """Give great-circle distances, km."""
    phi, other = np.radians(latitude), np.radians(north)
    half = np.sin((other - phi) / 2) ** 2
    half += np.cos(phi) * np.cos(other) * np.sin(np.radians(east - longitude) / 2) ** 2
    return np.asarray(2 * EARTH * np.arcsin(np.sqrt(half)), "f8")


def _averaged(
    field: xr.DataArray,
    stations: xr.Dataset,
    station: Integers,
    cells: Integers,
    weight: Floats,
    *,
    min_valid: float,
) -> xr.DataArray:
    """Average the cells of each station, ``station, time``; each cell is read once."""
    if not station.size:
        raise NoOverlap(
            "stations",
            found="none with a cell of the grid within reach",
            expected="a larger distance, or a grid around them",
        )
    unique, place = np.unique(cells, return_inverse=True)
    rows, columns = np.unravel_index(unique, tuple(grid_of(field).shape))
    count = stations.sizes["station"]
    matrix = csr_array((weight, (station, place)), shape=(count, unique.size))
    least = matrix.sum(axis=1) * (min_valid - 1e-12)
    taken = field.isel(
        y=xr.DataArray(rows, dims="cell"), x=xr.DataArray(columns, dims="cell")
    ).reset_coords(drop=True)
    if "time" not in field.dims:
        taken = taken.expand_dims(time=stations["time"].values)
    taken = taken.transpose("time", "cell")
    if taken.chunks is not None:
        taken = taken.chunk(cell=-1)

    def average(values: npt.NDArray[np.floating]) -> Floats:
        result = np.empty((len(values), count))
        for start in range(0, len(values), _STEPS):
            part = values[start : start + _STEPS].astype("f8").T
            is_valid = ~np.isnan(part)
            total = matrix @ is_valid.astype("f8")
            mean = (matrix @ np.where(is_valid, part, 0.0)) / np.where(total > 0, total, 1.0)
            is_enough = (total > 0) & (total >= least[:, None])
            result[start : start + _STEPS] = np.where(is_enough, mean, np.nan).T
        return result

    means: xr.DataArray = xr.apply_ufunc(
        average,
        taken,
        input_core_dims=[["cell"]],
        output_core_dims=[["station"]],
        dask="parallelized",
        output_dtypes=["f8"],
        dask_gufunc_kwargs={"output_sizes": {"station": count}},
    )
    return means.transpose("station", "time").assign_coords(station_coordinates(stations))
