r"""Products whose files are tables of points, described in a recipe instead of in code.

Each row has a longitude, a latitude and values; `point_product` puts them on a grid, where a cell holds
the mean of the points in it. A table is small beside a raster: it is read when it is opened, and held
as the cells that have points, so that a file on a global grid costs no more than its rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.errors import FileProblem, NoOverlap, RecipeProblem, UnknownName
from vadose.grids import Region
from vadose.products.base import Product
from vadose.products.description import Description, Layer, describe, matches
from vadose.products.generic import generic_product
from vadose.products.lattice import Floats, cells_of, named_window, regular_grid
from vadose.products.placement import Placement
from vadose.products.raw import LazyArray, Places, Values
from vadose.products.reading import build
from vadose.products.stamps import stamp_in_name
from vadose.products.tables import (
    TableFile,
    alternatives,
    decode_coordinate,
    decode_layer,
    decode_stamps,
    has_no_rows,
    open_table,
)
from vadose.schema import variable

Times = npt.NDArray[np.datetime64]

#: What a description has in common with one of maps.
_SHARED = {"name", "title", "layers", "licence", "citation", "pattern", "grid"}
_SHARED |= {"days_per_file", "shift_hours", "time_meaning"}


@dataclass(frozen=True)
class PointDescription:
    """Describe a product of tables: its columns, grid, time and terms of use.

    Attributes
    ----------
    name, title, licence, citation, time_meaning
        As in `vadose.products.base.Product`.
    layers
        Our name of each variable and its column: `source`, `units` (which a CSV file cannot state),
        `fill_values`, `valid_range` and all else of `vadose.products.description.Layer` except
        `select`.
    pattern
        Glob of the file names.
    longitude, latitude
        Columns of the coordinates in degrees, or several alternatives.
    grid
        Name of a grid (`vadose.grids.named_grid`), whose cells take the mean of the points in them; or
        ``regular``, the longitude/latitude grid that the points are the centres of. Files with and
        files without some rows have one grid only if it is named, or `region` is given.
    region
        West, south, east, north in degrees: the window of the grid, all cells whose centre is inside;
        points outside are left out. Without it, all of a named grid, or the extent of the points.
    time
        ``static``, ``name`` (of the file) or ``column``.
    time_column
        Its name, or several alternatives.
    time_pattern, time_format
        Regular expression whose groups, joined, are the stamp in a file's name; format of the stamp
        there (by default ``%Y%m%d``) or of the texts of the column (by default ISO 8601).
    days_per_file
        Days that a file with a day in its name covers.
    shift_hours
        Added to every stamp, so that it marks the start of its interval.
    cell_methods
        CF cell method of all variables in time.
    separator
        Between the fields of a CSV file.
    """

    name: str
    title: str
    layers: Mapping[str, Layer]
    licence: str = "not stated"
    citation: str = "not stated"
    pattern: str = "*.csv*"
    longitude: str | tuple[str, ...] = ("lon", "longitude")
    latitude: str | tuple[str, ...] = ("lat", "latitude")
    grid: str = "regular"
    region: Region | None = None
    time: Literal["static", "name", "column"] = "static"
    time_column: str | tuple[str, ...] = "time"
    time_pattern: str = ""
    time_format: str = ""
    days_per_file: int = 1
    shift_hours: float = 0.0
    time_meaning: str = "start of the interval"
    cell_methods: str = ""
    separator: str = ","


def point_product(description: PointDescription | Mapping[str, Any]) -> Product:
    r"""Make a product of a description of its tables.

    Parameters
    ----------
    description
        A `PointDescription`, or the same as plain settings from a recipe.

    Raises
    ------
    RecipeProblem, UnknownName, NoOverlap
        When the description cannot be right.

    Examples
    --------
    >>> import tempfile
    >>> product = point_product({
    ...     "name": "OURS", "title": "our survey", "time": "name", "time_pattern": r"_(\d{8})",
    ...     "grid": "latlon_0.5", "region": [11, 48, 12, 49],
    ...     "layers": {"soil_moisture": {"source": "sm", "units": "%"}},
    ... })
    >>> rows = "lon,lat,sm\n11.3,48.8,20\n11.4,48.7,30\n11.9,48.1,40\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "survey_20190501.csv").write_text(rows)
    ...     product.open(folder)["soil_moisture"].values
    array([[[0.25,  nan],
            [ nan, 0.4 ]]], dtype=float32)
    """
    told = (
        description if isinstance(description, PointDescription) else describe_points(description)
    )
    kinds: dict[str, Literal["static", "name", "variable"]]
    kinds = {"static": "static", "name": "name", "column": "variable"}
    if told.time not in kinds:
        raise UnknownName(f"product {told.name}: time", told.time, kinds)
    _check_layers(told)
    shared = {key: getattr(told, key) for key in _SHARED}
    shared["time_format"] = told.time_format or "%Y%m%d"
    shared["time_pattern"] = told.time_pattern if told.time == "name" else ""
    product = generic_product(Description(**shared, time=kinds[told.time]))
    grid = named_window(told.grid, told.region, told.name)
    days = told.days_per_file if told.time == "name" else 1
    return replace(product, read=partial(read_points, described=told, grid=grid), days=days)


def describe_points(settings: Mapping[str, Any]) -> PointDescription:
    """Make a description from plain settings, as a recipe holds them.

    Raises
    ------
    RecipeProblem, UnknownName
        Names the setting that is unknown or missing.

    Examples
    --------
    >>> describe_points({
    ...     "name": "OURS", "title": "our survey", "layer": {"elevation": {"source": "z"}},
    ... })  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    vadose.errors.UnknownName: OURS: setting 'layer': ... Did you mean 'layers'?
    """
    name = str(settings.get("name", "product"))
    known = [item.name for item in fields(PointDescription)]
    for key in settings:
        if key not in known:
            raise UnknownName(f"{name}: setting", str(key), known)
    for key in ("name", "title", "layers"):
        if key not in settings:
            raise RecipeProblem(
                name, found=f"settings {', '.join(settings)}", expected=f"also {key}"
            )
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()
    }
    values["layers"] = describe({"name": name, "title": name, "layers": settings["layers"]}).layers
    return PointDescription(**values)


def _check_layers(told: PointDescription) -> None:
    for name, layer in told.layers.items():
        where = f"product {told.name}: {name}"
        if variable(name).kind != "continuous":
            raise RecipeProblem(
                where, found=f"a {variable(name).kind}", expected="a variable that has a mean"
            )
        if isinstance(layer.source, int):
            raise RecipeProblem(
                where, found=f"source {layer.source}", expected="the name of a column"
            )
    if told.region is None:
        return
    try:
        west, south, east, north = (float(edge) for edge in told.region)
    except (TypeError, ValueError):
        west = south = east = north = float("nan")
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise RecipeProblem(
            f"product {told.name}: region",
            found=f"{told.region}",
            expected="west, south, east, north in degrees",
        )


class CellArray(LazyArray):
    """Hold the values of the cells that have some; the others are NaN."""

    def __init__(self, shape: tuple[int, ...], cells: npt.NDArray[np.intp], values: Values) -> None:
        self.shape, self.cells, self.values = shape, cells, values.astype(np.float32)
        self.dtype = self.values.dtype
        self.blocks = (*(1 for _ in shape[:-2]), *shape[-2:])

    def take(self, places: Places) -> Values:
        """Fill the smallest box that holds all places, and pick them out of it."""
        if any(axis.size == 0 for axis in places):
            return np.empty([axis.size for axis in places], self.dtype)
        first = [int(axis.min()) for axis in places]
        box = np.full(
            [int(axis.max()) - start + 1 for axis, start in zip(places, first, strict=True)],
            np.nan,
            self.dtype,
        )
        inner = [
            along - start
            for along, start in zip(np.unravel_index(self.cells, self.shape), first, strict=True)
        ]
        is_inside = np.logical_and.reduce(
            [(along >= 0) & (along < size) for along, size in zip(inner, box.shape, strict=True)]
        )
        box[tuple(along[is_inside] for along in inner)] = self.values[is_inside]
        wanted = [axis - start for axis, start in zip(places, first, strict=True)]
        return np.asarray(box[np.ix_(*wanted)])


@dataclass(frozen=True)
class _Points:
    """Hold the rows that have a place: degrees, values in our units, and a stamp for each or None."""

    longitude: Floats
    latitude: Floats
    values: Mapping[str, Values]
    times: Times | None


def read_points(path: Path, *, described: PointDescription, grid: GeoBox | None) -> xr.Dataset:
    """Read one table as described.

    Parameters
    ----------
    path
        CSV, plain or packed with gzip, or netCDF and HDF5 with variables of one dimension.
    described
        What its columns are.
    grid
        The grid of the dataset; None to find the regular grid that the points are centres of.

    Returns
    -------
    xarray.Dataset
        Dims ``[time,] y, x``: the mean of the points in each cell that have a value, NaN where there
        is none. A table without rows whose time is in its name is a time step without values.

    Raises
    ------
    FileProblem
        A column is missing or holds text, a value has no place, or there are no rows.
    GridProblem
        The points lie on no regular grid.
    NoOverlap, UnitProblem
    """
    points = _read_rows(path, described)
    if points.longitude.size == 0 and (grid is None or described.time != "name"):
        raise FileProblem(
            path,
            found="a table without rows",
            expected="at least one",
            remedy="Leave it out; or name a grid and take the time from the file's name.",
        )
    if grid is None:
        grid = regular_grid(path, points.longitude, points.latitude, described.region)
    cell, is_inside = cells_of(points.longitude, points.latitude, grid)
    if described.time == "static" and not is_inside.any():
        raise NoOverlap(
            path,
            found=f"points over {points.longitude.min():g}..{points.longitude.max():g} E, "
            f"{points.latitude.min():g}..{points.latitude.max():g} N",
            expected=f"some within the cells of {described.grid} in {described.region}",
        )
    times: Times | None = None
    shape: tuple[int, ...] = tuple(grid.shape)
    shift = np.timedelta64(round(described.shift_hours * 3600), "s")
    if described.time == "name":
        form = described.time_format or "%Y%m%d"
        stamp = np.datetime64(stamp_in_name(path, described.time_pattern, form), "ns")
        times, shape = np.array([stamp + shift]), (1, *shape)
    elif points.times is not None:
        stamps, step = np.unique(points.times, return_inverse=True)
        times, cell = stamps + shift, step * (shape[0] * shape[1]) + cell
        shape = (stamps.size, *shape)
    arrays: dict[str, LazyArray] = {}
    for name, values in points.values.items():
        is_used = is_inside & ~np.isnan(values)
        arrays[name] = CellArray(shape, *_mean_of_cells(name, cell[is_used], values[is_used]))
    return build(arrays, Placement(grid), times, cell_methods=described.cell_methods)


def _mean_of_cells(
    name: str, cell: npt.NDArray[np.intp], values: Values
) -> tuple[npt.NDArray[np.intp], Floats]:
    """Average the points of each cell; of directions the vectors, as the mean of 350° and 10° is 0°."""
    cells, group = np.unique(cell, return_inverse=True)
    count = np.bincount(group, minlength=cells.size)
    if name != "aspect" or not (count > 1).any():
        return cells, np.bincount(group, values, cells.size) / count
    angle = np.radians(values.astype(np.float64))
    east, north = (np.bincount(group, part(angle), cells.size) for part in (np.sin, np.cos))
    return cells, np.degrees(np.arctan2(east, north)) % 360.0


def _read_rows(path: Path, described: PointDescription) -> _Points:
    layers = {name: layer for name, layer in described.layers.items() if matches(layer, path)}
    texts = alternatives(described.time_column) if described.time == "column" else ()
    places = alternatives(described.longitude), alternatives(described.latitude)
    numbers = {
        *places[0],
        *places[1],
        *(name for layer in layers.values() for name in alternatives(layer.source)),
    }
    with open_table(path, numbers=numbers, texts=texts, separator=described.separator) as table:
        if has_no_rows(table) and not (isinstance(table, TableFile) and table.names):
            nothing = np.empty(0)
            return _Points(nothing, nothing, dict.fromkeys(layers, nothing), None)
        longitude, latitude = (decode_coordinate(table.need(*names), path) for names in places)
        values = {
            name: decode_layer(name, layer, table)
            for name, layer in layers.items()
            if not layer.is_optional or table.find(alternatives(layer.source)) is not None
        }
        times = table.need(*texts) if texts else None
        if not values:
            expected = ", ".join(str(layer.source) for layer in described.layers.values())
            raise FileProblem(
                path,
                found=f"columns {', '.join(table.names[:40])}",
                expected=f"one of {expected}",
            )
        is_placed = (np.abs(latitude) <= 90) & (longitude >= -180) & (longitude <= 360)  # not NaN
        _check_rows(path, values, is_placed)
        if times is not None and times.array.shape != is_placed.shape:
            raise FileProblem(
                f"{path}: time",
                found=f"{times.array.shape}",
                expected=f"{is_placed.size}, one for every place",
            )
        longitude = np.where(longitude >= 180, longitude - 360, longitude)[is_placed]
        return _Points(
            longitude,
            latitude[is_placed],
            {name: column[is_placed] for name, column in values.items()},
            None
            if times is None
            else decode_stamps(times, np.flatnonzero(is_placed), path, described.time_format),
        )


def _check_rows(path: Path, values: Mapping[str, Values], is_placed: npt.NDArray[np.bool_]) -> None:
    for name, column in values.items():
        where = f"{path}: {name}"
        if column.shape != is_placed.shape:
            raise FileProblem(
                where, found=f"{column.size} values for {is_placed.size} places", expected="as many"
            )
        for is_wrong, fault in (
            (np.isinf(column), "an infinite value"),
            (~np.isnan(column) & ~is_placed, "a value without a place on Earth"),
        ):
            if is_wrong.any():
                raise FileProblem(
                    where,
                    found=f"{fault} in row {is_wrong.argmax() + 2} and {is_wrong.sum() - 1} more",
                    expected="a longitude, a latitude and a number, or none",
                    remedy="State the fill values and columns of the file in the description.",
                )
