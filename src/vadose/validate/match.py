"""Bring a gridded product and stations together: the containing cell, and the time a stamp stands for.

A station is compared with the cell that contains it, whatever the CRS of the grid; nothing is
interpolated. Its readings are averaged over the days for which a value of the product stands.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from vadose.cubes.places import goes_round, places, turned
from vadose.errors import CubeProblem, NoOverlap, ValueProblem
from vadose.grids import Region, grid_of

Times = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

DAY = np.timedelta64(1, "D")
#: Places counted in degrees: longitude is the column, latitude the row.
_DEGREES = GeoBox((1, 1), Affine.identity(), "EPSG:4326")
#: Stations averaged at once, that hourly decades of thousands of them fit in memory.
_BLOCK = 128


def find_cells(grid: GeoBox, stations: xr.Dataset) -> tuple[Integers, Integers]:
    """Find the row and column of the cell that contains each station; -1 for those outside the grid.

    Parameters
    ----------
    grid
        Any grid; its longitudes may run over the seam, as those of the stations may.
    stations
        With ``lat`` and ``lon`` (``station``), degrees, WGS 84.

    Returns
    -------
    tuple
        Rows and columns. A station on a line between cells belongs to the cell south and east of it.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> places = {"lat": ("station", [44.5, 44.5, 10.0]), "lon": ("station", [1.5, 361.5, 1.5])}
    >>> find_cells(latlon(1.0, (0, 40, 10, 45)), xr.Dataset(coords=places))
    (array([ 0,  0, -1]), array([ 1,  1, -1]))
    """
    longitude, latitude = (stations[name].values.astype("f8") for name in ("lon", "lat"))
    column, row = places(_DEGREES, grid, longitude, latitude)
    is_known = np.isfinite(column) & np.isfinite(row)
    rows = np.floor(np.where(is_known, row, -1.0)).astype("i8")
    columns = np.floor(turned(np.where(is_known, column, -1.0), grid)).astype("i8")
    if goes_round(grid):
        columns %= grid.shape.x
    is_inside = is_known & (rows >= 0) & (rows < grid.shape.y)
    is_inside &= (columns >= 0) & (columns < grid.shape.x)
    return np.where(is_inside, rows, -1), np.where(is_inside, columns, -1)


def at_stations(field: xr.DataArray, stations: xr.Dataset) -> xr.DataArray:
    """Take the value of the cell that contains each station.

    Parameters
    ----------
    field
        Dims ``[time,] y, x``, any unit; one that is not in memory is not computed here, and of it only
        the parts with stations are needed.
    stations
        Dims ``station, time``, coordinates ``lat`` and ``lon`` in degrees.

    Returns
    -------
    xarray.DataArray
        Dims ``station, time``, with the coordinates of the stations and the times of the field; a field
        without time is repeated at the times of the stations. NaN outside the grid and in gaps.

    Raises
    ------
    NoOverlap
        No station lies in the grid.
    CubeProblem
        Other dimensions.

    Examples
    --------
    >>> from vadose.grids import coordinates, latlon
    >>> grid = latlon(1.0, (0, 40, 2, 41))
    >>> field = xr.DataArray([[0.1, 0.3]], dims=("y", "x"), coords=coordinates(grid))
    >>> stations = xr.Dataset(
    ...     {"soil_moisture": (("station", "time"), [[0.2], [0.2]])},
    ...     coords={"lat": ("station", [40.5, 50.0]), "lon": ("station", [1.2, 1.2]),
    ...             "time": np.array(["2019-07-01"], "M8[ns]")},
    ... )
    >>> at_stations(field, stations).values
    array([[0.3],
           [nan]])
    """
    grid = check_field(field, stations)
    rows, columns = find_cells(grid, stations)
    is_inside = rows >= 0
    if not is_inside.any():
        raise NoOverlap(
            "stations",
            found=f"none in the grid: they lie in {_words(_station_box(stations))}, "
            f"the grid in {_words(grid_box(grid))}",
            expected="west, south, east, north in degrees that meet",
        )
    # those outside borrow the cell of a station inside: no other part of the field is read for them
    first = int(is_inside.argmax())
    cells = {
        name: xr.DataArray(np.where(is_inside, index, index[first]), dims="station")
        for name, index in (("y", rows), ("x", columns))
    }
    taken = field.isel(cells).reset_coords(drop=True)
    if "time" not in field.dims:
        taken = taken.expand_dims(time=stations["time"].values)
    taken = taken.transpose("station", "time")
    if not is_inside.all():
        taken = taken.where(xr.DataArray(is_inside, dims="station"))
    return taken.assign_coords(station_coordinates(stations))


def match_times(
    stations: xr.Dataset, times: npt.ArrayLike, *, days: int = 1, minimum_days: int = 1
) -> xr.DataArray:
    """Average the readings of stations over the days that each stamp of a product stands for.

    Parameters
    ----------
    stations
        ``soil_moisture`` (``station, time``), m³ m⁻³, daily or more often, stamps increasing.
    times
        Stamps of the product, UTC: the starts of its intervals.
    days
        Length of the intervals: a stamp stands for ``[stamp, stamp + days)``.
    minimum_days
        Fewest days of the interval with a reading; else NaN.

    Returns
    -------
    xarray.DataArray
        Dims ``station, time``, double precision: the mean of the daily means, so that a day with few
        readings weighs as much as another.

    Raises
    ------
    NoOverlap
        No reading falls in any interval; the message names both periods.
    ValueProblem
        Days out of range, or stamps within the day against daily stations.

    Examples
    --------
    >>> stations = xr.Dataset(
    ...     {"soil_moisture": (("station", "time"), [[0.1, 0.3, 0.2]])},
    ...     coords={"lat": ("station", [40.5]), "lon": ("station", [1.2]),
    ...             "time": np.arange("2019-07-01", "2019-07-04", dtype="M8[D]").astype("M8[ns]")},
    ... )
    >>> match_times(stations, ["2019-07-01", "2019-07-03"], days=2).values.round(3)
    array([[0.2, 0.2]])
    """
    check_stations(stations)
    if not 1 <= minimum_days <= days:
        raise ValueProblem(
            "days",
            found=f"days={days} and minimum_days={minimum_days}",
            expected="1 <= minimum_days <= days",
        )
    stamps = np.asarray(times, dtype="M8[ns]")
    moments = stations["time"].values.astype("M8[ns]")
    check_clock(moments, stamps)
    edges = stamps + np.arange(days + 1)[:, None] * DAY
    bounds = np.searchsorted(moments, edges)
    if not (bounds[0] < bounds[-1]).any():
        raise NoOverlap(
            "stations",
            found=f"no day in common: stations {period_words(moments)}, "
            f"product {period_words(stamps)}",
            expected="periods that meet",
        )
    readings = stations["soil_moisture"]
    result = np.empty((readings.sizes["station"], stamps.size))
    for start in range(0, len(result), _BLOCK):
        part = slice(start, start + _BLOCK)
        values = readings.isel(station=part).values.astype("f8")
        result[part] = interval_means(values, bounds, minimum_days)
    return xr.DataArray(
        result,
        dims=("station", "time"),
        coords={**station_coordinates(stations), "time": stamps},
        name="soil_moisture",
        attrs=dict(readings.attrs),
    )


def station_coordinates(stations: xr.Dataset) -> dict[str, xr.Variable]:
    """Give what is known of each station: name, network, place, depths.

    Examples
    --------
    >>> sorted(station_coordinates(xr.Dataset(coords={"lat": ("station", [1.0]), "time": [0]})))
    ['lat']
    """
    return {
        str(name): coordinate.variable
        for name, coordinate in stations.coords.items()
        if coordinate.dims == ("station",)
    }


def check_field(field: xr.DataArray, stations: xr.Dataset) -> GeoBox:
    """Check what stations are to be compared with, and give its grid.

    Raises
    ------
    CubeProblem
        Dims other than ``[time,] y, x``, or no stations with one layer each.
    """
    check_stations(stations)
    if set(field.dims) not in ({"time", "y", "x"}, {"y", "x"}):
        raise CubeProblem(
            str(field.name or "field"),
            found=f"dimensions {field.dims}",
            expected="[time,] y, x",
            remedy="Take the mean of an ensemble, or one member.",
        )
    return grid_of(field)


def check_stations(stations: xr.Dataset) -> None:
    """Check that a dataset holds stations with one layer each.

    Raises
    ------
    CubeProblem
        Other dimensions, no coordinates, or stamps that do not increase.

    Examples
    --------
    >>> check_stations(xr.Dataset())
    Traceback (most recent call last):
    vadose.errors.CubeProblem: stations: found none, expected soil_moisture with dims (station, time). \
Choose a layer with vadose.products.stations.select_layer.
    """
    array = stations.get("soil_moisture")
    if array is None or array.dims != ("station", "time"):
        raise CubeProblem(
            "stations",
            found="none" if array is None else f"soil_moisture with dims {array.dims}",
            expected="soil_moisture with dims (station, time)",
            remedy="Choose a layer with vadose.products.stations.select_layer.",
        )
    for name in ("lat", "lon"):
        if name not in stations.coords or stations[name].dims != ("station",):
            raise CubeProblem(
                "stations", found=f"no coordinate {name}", expected=f"{name} (station) in degrees"
            )
    if "time" not in stations.coords or not (np.diff(stations["time"].values) > 0 * DAY).all():
        raise CubeProblem("stations", found="stamps that do not increase", expected="sorted times")


def period_words(times: Times) -> str:
    """Write a period as its first and last day.

    Examples
    --------
    >>> period_words(np.array(["2019-07-01T06", "2019-07-03T06"], "M8[ns]"))
    '2019-07-01 to 2019-07-03'
    """
    if not times.size:
        return "none"
    return " to ".join(str(time.astype("M8[D]")) for time in (times.min(), times.max()))


def interval_means(values: Floats, bounds: Integers, minimum_days: int) -> Floats:
    """Average the daily means between bounds ``(days + 1, stamp)`` of readings ``(station, time)``."""
    if len(bounds) == 2 and (bounds[1] - bounds[0] <= 1).all():
        # a mean of one reading is that reading
        taken = values[:, np.minimum(bounds[0], values.shape[1] - 1)]
        return np.where(bounds[0] < bounds[1], taken, np.nan)
    is_read = np.pad(~np.isnan(values), ((0, 0), (0, 1)))
    filled = np.where(is_read, np.pad(values, ((0, 0), (0, 1))), 0.0)
    total = np.zeros((len(values), bounds.shape[1]))
    count = np.zeros(total.shape, "i8")
    for begin, end in itertools.pairwise(bounds):
        # every second sum is of one interval, the others are of what lies between two; the padding
        # lets an interval end with the record
        pairs = np.stack([begin, end], axis=1).ravel()
        number = np.add.reduceat(is_read, pairs, axis=1, dtype="i8")[:, ::2] * (begin < end)
        sums = np.add.reduceat(filled, pairs, axis=1)[:, ::2]
        total += np.where(number > 0, sums / np.maximum(number, 1), 0.0)
        count += number > 0
    return np.where(count >= minimum_days, total / np.maximum(count, 1), np.nan)


def check_clock(moments: Times, stamps: Times) -> None:
    """Refuse stamps within the day where stations are daily: they would be matched a day late."""
    if (moments.astype("M8[D]") == moments).all() and (stamps.astype("M8[D]") != stamps).any():
        found = stamps[stamps.astype("M8[D]") != stamps][0]
        raise ValueProblem(
            "time of the product",
            found=f"stamps within the day ({found.astype('M8[m]')}) against daily stations",
            expected="stamps at 00:00 UTC",
            remedy="Make the product daily with vadose.cubes.timeline.to_daily, or give hourly "
            "stations.",
        )


def _station_box(stations: xr.Dataset) -> Region:
    longitude, latitude = stations["lon"].values, stations["lat"].values
    return (
        float(longitude.min()),
        float(latitude.min()),
        float(longitude.max()),
        float(latitude.max()),
    )


def grid_box(grid: GeoBox) -> Region:
    """Give the box of a grid in degrees, from places all over it: its outline may miss a pole."""
    steps = np.linspace(0.0, 1.0, 33)
    columns, rows = np.meshgrid(steps * grid.shape.x, steps * grid.shape.y)
    longitude, latitude = places(grid, _DEGREES, columns, rows)
    return (
        float(np.nanmin(longitude)),
        float(np.nanmin(latitude)),
        float(np.nanmax(longitude)),
        float(np.nanmax(latitude)),
    )


def _words(box: Region) -> str:
    return "(" + ", ".join(f"{edge:.4g}" for edge in box) + ")"
