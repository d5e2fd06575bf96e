"""The words in which a product's files are described, from Python or from a recipe.

A `Description` says, for each of our variables, what it is called in the file, in which unit and layer,
and for the file as a whole where time, grid and flags come from.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vadose.errors import RecipeProblem, UnknownName
from vadose.schema import variable


@dataclass(frozen=True)
class Layer:
    """Describe one variable in a file.

    Attributes
    ----------
    source
        Name in the file (``group/name``), or number of a band; several names are alternatives, the
        first that is there is read; a mapping of names to weights is their weighted sum.
    units
        Unit in the file; empty where the file's own attribute is to be believed.
    thickness
        Thickness in m of the layer that an amount of water (kg m-2) fills.
    hours
        Hours over which an amount of water (mm) accumulated.
    scale, offset
        In place of the file's ``scale_factor`` and ``add_offset``.
    valid_range
        Smallest and largest value that counts, in the file's unit after unpacking; others become NaN,
        and for the first variable of the description `quality` says ``out_of_range``.
    fill_values
        Stored numbers that mean "no data", beside those the file declares.
    depth
        Top and bottom of the soil layer in m.
    files
        Glob of the names of the files that hold it.
    select
        Index along dimensions that our cubes do not have.
    is_optional
        Leave the variable out where the file lacks it, instead of refusing the file.
    """

    source: str | int | tuple[str, ...] | Mapping[str, float]
    units: str = ""
    thickness: float | None = None
    hours: float | None = None
    scale: float | None = None
    offset: float | None = None
    valid_range: tuple[float, float] | None = None
    fill_values: tuple[float, ...] = ()
    depth: tuple[float, float] | None = None
    files: str = "*"
    select: Mapping[str, int] = field(default_factory=dict)
    is_optional: bool = False


@dataclass(frozen=True)
class FlagLayer:
    """Describe a variable of flags.

    Attributes
    ----------
    source
        Name in the file, or several alternatives.
    reasons
        For each flag value (or bit mask) its reasons in the vocabulary `vadose.schema.QUALITY`.
    kind
        ``values``: one number has one meaning; ``bits``: any of them may be set together.
    is_optional
        Do without where the file lacks it.
    """

    source: str | tuple[str, ...]
    reasons: Mapping[int, tuple[str, ...]]
    kind: Literal["values", "bits"] = "values"
    is_optional: bool = False


@dataclass(frozen=True)
class Description:
    """Describe a product: its variables, flags, time, grid and terms of use.

    Attributes
    ----------
    name, title, licence, citation, time_meaning
        As in `vadose.products.base.Product`.
    layers
        Our name of each variable, and what it is in the file. The first is the one that `quality`
        speaks of.
    pattern
        Glob of the file names.
    flags
        Variables whose flags make `quality`.
    time
        ``variable`` (in the file), ``name`` (of the file) or ``static``.
    time_variable
        Its name, or several alternatives.
    calendar
        In place of the file's, where that is known to be wrong.
    time_pattern, time_format
        Regular expression whose groups, joined, are the stamp in a file's name, and its format. With
        ``time="variable"`` they only let files outside a period be skipped unopened.
    days_per_file
        Days that a file with a day in its name covers; a month or year in the name says it itself.
    shift_hours
        Added to every stamp, so that it marks the start of its interval.
    cell_methods
        CF cell method of all variables: ``time: mean``, ``time: sum`` or ``time: point``.
    grid
        Name of the grid (`vadose.grids.named_grid`) for files that hold no usable coordinates;
        otherwise words for people.
    dims
        Renames dimensions of the file to ``time``, ``y``, ``x`` or ``member``.
    y, x
        Names of the coordinates, where they are unusual.
    crs
        In place of the file's; needed where a projected file names none.
    registration
        What the coordinates mark: ``centre``, ``lower_left`` or ``upper_left`` of a cell.
    cell_size
        In units of the CRS, for files of a single row or column.
    """

    name: str
    title: str
    layers: Mapping[str, Layer]
    licence: str = "not stated"
    citation: str = "not stated"
    pattern: str = "*.nc*"
    flags: tuple[FlagLayer, ...] = ()
    time: Literal["variable", "name", "static"] = "variable"
    time_variable: str | tuple[str, ...] = ("time", "valid_time", "Time")
    calendar: str | None = None
    time_pattern: str = ""
    time_format: str = "%Y%m%d"
    days_per_file: int = 1
    shift_hours: float = 0.0
    time_meaning: str = "start of the interval"
    cell_methods: str = ""
    grid: str = "as in the file"
    dims: Mapping[str, str] = field(default_factory=dict)
    y: str = ""
    x: str = ""
    crs: str = ""
    registration: str = "centre"
    cell_size: float = 0.0


def describe(settings: Mapping[str, Any]) -> Description:
    """Make a description from plain settings, as a recipe holds them.

    Raises
    ------
    RecipeProblem, UnknownName
        Names the setting that is unknown or missing.

    Examples
    --------
    >>> described = describe({
    ...     "name": "OURS", "title": "our map", "time": "static", "pattern": "*.tif",
    ...     "layers": {"sand": {"source": 1, "units": "g kg-1"}},
    ... })
    >>> described.layers["sand"].units
    'g kg-1'
    """
    name = str(settings.get("name", "product"))
    values = dict(settings)
    layers = _mapping(values.get("layers", {}), f"{name}: layers")
    values["layers"] = {
        key: layer if isinstance(layer, Layer) else _build(Layer, layer, f"{name}: {key}")
        for key, layer in layers.items()
    }
    flags = values.get("flags", ())
    values["flags"] = tuple(
        flag if isinstance(flag, FlagLayer) else _build(FlagLayer, flag, f"{name}: flags")
        for flag in ([flags] if isinstance(flags, Mapping) else flags)
    )
    described: Description = _build(Description, values, name)
    return described


def _mapping(value: object, subject: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not value:
        raise RecipeProblem(subject, found=f"{value!r}", expected="names with settings")
    return value


def _build(kind: type[Any], settings: object, subject: str) -> Any:
    known = {item.name for item in fields(kind)}
    values: dict[str, Any] = {}
    for key, value in _mapping(settings, subject).items():
        if key not in known:
            raise UnknownName(f"{subject}: setting", str(key), known)
        values[key] = tuple(value) if isinstance(value, list) else value
    if kind is FlagLayer and isinstance(values.get("reasons"), Mapping):
        values["reasons"] = {
            int(code): (meaning,) if isinstance(meaning, str) else tuple(meaning)
            for code, meaning in values["reasons"].items()
        }
    try:
        return kind(**values)
    except TypeError as error:
        raise RecipeProblem(
            subject, found=f"settings {', '.join(values)}", expected=str(error).split(") ")[-1]
        ) from error


def check_description(description: Description) -> None:
    """Refuse a description that cannot be right.

    Raises
    ------
    RecipeProblem, UnknownName
    """
    subject = f"product {description.name}"
    for name, layer in description.layers.items():
        variable(name)
        if layer.valid_range is not None and not layer.valid_range[0] < layer.valid_range[1]:
            raise RecipeProblem(
                f"{subject}: {name}",
                found=f"valid_range {layer.valid_range}",
                expected="smallest and largest value",
            )
    if description.time not in ("variable", "name", "static"):
        raise UnknownName(f"{subject}: time", description.time, ("variable", "name", "static"))
    if description.time == "name" and not description.time_pattern:
        raise RecipeProblem(
            subject, found="time from the file's name", expected="also time_pattern"
        )
    if not np.isfinite(description.shift_hours):
        raise RecipeProblem(subject, found="shift_hours that is no number", expected="hours")


def matches(layer: Layer, path: Path) -> bool:
    """Tell whether a file, by its name, is one that holds this variable.

    Examples
    --------
    >>> matches(Layer(1, files="*sand*"), Path("bungo_sand_0-5cm_mean.tif"))
    True
    """
    return fnmatch.fnmatch(path.name.lower(), layer.files.lower())
