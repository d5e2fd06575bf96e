"""The table of variables and the check that every cube passes.

A cube is an `xarray.Dataset` with dims ``time, y, x`` (static layers ``y, x``; ensembles ``member`` in
front), variables named and measured as in `VARIABLES`, on one grid given by the scalar coordinate
``spatial_ref``. See ``docs/conventions.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import xarray as xr

from vadose.errors import CubeProblem, UnitProblem, UnknownName, ValueProblem

Kind = Literal["continuous", "class", "mask"]
Aggregation = Literal["mean", "sum", "max", "majority"]
Interpolation = Literal["smooth", "nearest"]

#: Order of dimensions in every cube.
DIMS = ("member", "time", "y", "x")
#: Name of the scalar coordinate that holds the grid (CF grid mapping).
GRID_MAPPING = "spatial_ref"


@dataclass(frozen=True)
class Variable:
    """Describe one variable of the field: its names, unit, range and how it changes scale.

    Attributes
    ----------
    name
        Name in cubes.
    long_name
        Words for figures and files.
    units
        The one unit in which cubes hold it.
    valid_range
        Smallest and largest value that can be right; what lies outside is a fault, not data.
    standard_name
        CF standard name, or empty where CF has none.
    kind
        ``continuous``, ``class`` (codes) or ``mask`` (0 or 1).
    aggregation
        Rule from fine to coarse.
    interpolation
        Rule from coarse to fine.
    missing
        Code of a class variable where there is no class; integers have no NaN.
    """

    name: str
    long_name: str
    units: str
    valid_range: tuple[float, float]
    standard_name: str = ""
    kind: Kind = "continuous"
    aggregation: Aggregation = "mean"
    interpolation: Interpolation = "smooth"
    missing: int | None = None

    def attributes(self) -> dict[str, str]:
        """Give the CF attributes that a variable of a cube carries.

        Examples
        --------
        >>> VARIABLES["elevation"].attributes()["standard_name"]
        'surface_altitude'
        """
        attributes = {"long_name": self.long_name, "units": self.units}
        if self.standard_name:
            attributes["standard_name"] = self.standard_name
        return attributes


@dataclass(frozen=True)
class Flags:
    """Name the codes of a class variable, as CF's ``flag_values`` and ``flag_meanings``."""

    meanings: tuple[str, ...]
    first: int = 0

    def attributes(self) -> dict[str, object]:
        """Give the CF attributes of the codes.

        Examples
        --------
        >>> ORIGIN.attributes()["flag_meanings"].split()[2]
        'downscaled'
        """
        values = np.arange(self.first, self.first + len(self.meanings), dtype="u1")
        return {"flag_values": values, "flag_meanings": " ".join(self.meanings)}

    def code(self, meaning: str) -> int:
        """Give the code of a meaning.

        Examples
        --------
        >>> ORIGIN.code("filled")
        3
        """
        if meaning not in self.meanings:
            raise UnknownName("flag", meaning, self.meanings)
        return self.first + self.meanings.index(meaning)


@dataclass(frozen=True)
class Bits:
    """Name the bits of a mask variable, as CF's ``flag_masks`` and ``flag_meanings``."""

    meanings: tuple[str, ...]

    def attributes(self) -> dict[str, object]:
        """Give the CF attributes of the bits.

        Examples
        --------
        >>> QUALITY.attributes()["flag_masks"][:3]
        array([1, 2, 4], dtype=uint16)
        """
        masks = np.array([1 << place for place in range(len(self.meanings))], dtype="u2")
        return {"flag_masks": masks, "flag_meanings": " ".join(self.meanings)}

    def mask(self, *meanings: str) -> int:
        """Give the number in which the bits of these meanings are set.

        Raises
        ------
        UnknownName

        Examples
        --------
        >>> QUALITY.mask("not_recommended", "frozen")
        5
        """
        total = 0
        for meaning in meanings:
            if meaning not in self.meanings:
                raise UnknownName("quality reason", meaning, self.meanings)
            total |= 1 << self.meanings.index(meaning)
        return total


#: Reasons for which a product's own flags doubt a value, in one vocabulary for all products.
QUALITY = Bits(
    (
        "not_recommended",
        "retrieval_failed",
        "frozen",
        "snow",
        "dense_vegetation",
        "open_water",
        "urban",
        "precipitation",
        "mountainous",
        "radio_interference",
        "cloud",
        "out_of_range",
        "other",
    )
)

#: Where the value of a pixel comes from.
ORIGIN = Flags(("missing", "observed", "downscaled", "filled", "extrapolated", "masked"))

#: IGBP classes as in MODIS land cover (MCD12), codes 0 to 16.
IGBP = Flags(
    (
        "water_bodies",
        "evergreen_needleleaf_forests",
        "evergreen_broadleaf_forests",
        "deciduous_needleleaf_forests",
        "deciduous_broadleaf_forests",
        "mixed_forests",
        "closed_shrublands",
        "open_shrublands",
        "woody_savannas",
        "savannas",
        "grasslands",
        "permanent_wetlands",
        "croplands",
        "urban_and_built_up_lands",
        "cropland_natural_vegetation_mosaics",
        "permanent_snow_and_ice",
        "barren",
    )
)


def _table() -> dict[str, Variable]:
    water = "volume_fraction_of_condensed_water_in_soil"
    mask = partial(
        Variable,
        units="1",
        valid_range=(0, 1),
        kind="mask",
        aggregation="majority",
        interpolation="nearest",
    )
    rows = [
        Variable("soil_moisture", "surface soil moisture", "m3 m-3", (0.0, 1.0), water),
        Variable("root_zone_soil_moisture", "root-zone soil moisture", "m3 m-3", (0.0, 1.0), water),
        Variable(
            "soil_moisture_uncertainty",
            "standard error of surface soil moisture",
            "m3 m-3",
            (0.0, 1.0),
            f"{water} standard_error",
        ),
        Variable(
            "relative_soil_moisture", "degree of saturation of the surface soil", "1", (0.0, 1.0)
        ),
        Variable(
            "relative_soil_moisture_uncertainty",
            "standard error of the degree of saturation of the surface soil",
            "1",
            (0.0, 1.0),
        ),
        Variable(
            "closure_residual",
            "area mean of the fine field minus the coarse value",
            "m3 m-3",
            (-1.0, 1.0),
        ),
        Variable(
            "land_surface_temperature",
            "land surface temperature",
            "K",
            (180.0, 360.0),
            "surface_temperature",
        ),
        Variable(
            "air_temperature",
            "near-surface air temperature",
            "K",
            (180.0, 340.0),
            "air_temperature",
        ),
        Variable(
            "ndvi",
            "normalized difference vegetation index",
            "1",
            (-1.0, 1.0),
            "normalized_difference_vegetation_index",
        ),
        Variable("ndwi", "normalized difference water index", "1", (-1.0, 1.0)),
        Variable(
            "vegetation_optical_depth", "vegetation optical depth at L band", "1", (0.0, 10.0)
        ),
        Variable("albedo", "surface albedo", "1", (0.0, 1.0), "surface_albedo"),
        Variable(
            "albedo_black_sky", "black-sky shortwave albedo", "1", (0.0, 1.0), "surface_albedo"
        ),
        Variable(
            "albedo_white_sky", "white-sky shortwave albedo", "1", (0.0, 1.0), "surface_albedo"
        ),
        Variable(
            "precipitation", "precipitation", "mm day-1", (0.0, 2500.0), "lwe_precipitation_rate"
        ),
        Variable(
            "evaporation",
            "evaporation and transpiration, positive upward",
            "mm day-1",
            (-30.0, 60.0),
            "lwe_water_evaporation_rate",
        ),
        Variable(
            "snow_water_equivalent",
            "snow water equivalent",
            "kg m-2",
            (0.0, 5e5),
            "surface_snow_amount",
        ),
        Variable(
            "elevation", "elevation above mean sea level", "m", (-500.0, 9000.0), "surface_altitude"
        ),
        Variable(
            "solar_zenith_angle",
            "angle between the sun and the vertical",
            "degree",
            (0.0, 180.0),
            "solar_zenith_angle",
        ),
        Variable("slope", "slope of the terrain", "degree", (0.0, 90.0)),
        Variable("aspect", "downhill direction, clockwise from north", "degree", (0.0, 360.0)),
        Variable("topographic_wetness_index", "topographic wetness index", "1", (-10.0, 50.0)),
        Variable("sand", "sand in the fine earth, by mass", "%", (0.0, 100.0)),
        Variable("silt", "silt in the fine earth, by mass", "%", (0.0, 100.0)),
        Variable("clay", "clay in the fine earth, by mass", "%", (0.0, 100.0)),
        Variable("land_fraction", "share of land", "1", (0.0, 1.0), "land_area_fraction"),
        Variable(
            "longitude",
            "longitude of the cell centre",
            "degrees_east",
            (-180.0, 180.0),
            "longitude",
        ),
        Variable(
            "latitude", "latitude of the cell centre", "degrees_north", (-90.0, 90.0), "latitude"
        ),
        Variable(
            "land_cover",
            "IGBP land cover class",
            "1",
            (0, 16),
            "",
            "class",
            "majority",
            "nearest",
            missing=255,
        ),
        Variable(
            "origin",
            "where the value comes from",
            "1",
            (0, 5),
            "status_flag",
            "class",
            "majority",
            "nearest",
        ),
        Variable(
            "quality",
            "reasons for which the product doubts the value",
            "1",
            (0, 8191),
            "quality_flag",
            "class",
            "majority",
            "nearest",
        ),
        mask("is_frozen", "soil is frozen"),
        mask("is_dense_vegetation", "vegetation too dense to see the soil"),
        mask("is_water", "open water"),
    ]
    rows += [
        Variable(
            f"land_cover_{meaning}",
            f"share of {meaning.replace('_', ' ')} (IGBP)",
            "1",
            (0.0, 1.0),
            "area_fraction",
        )
        for meaning in IGBP.meanings
    ]
    return {row.name: row for row in rows}


#: Every variable a cube may hold, by name.
VARIABLES: dict[str, Variable] = _table()


def variable(name: str) -> Variable:
    """Look a variable up by name.

    Beside those of the table there are the past of each of them: ``<name>_mean_<n>_days`` is the mean
    over the n days before, ``<name>_index_<n>_days`` of a rate per day is the amount of these days, the
    longer ago the less of it. And ``own_<word>`` is a user's own predictor: continuous, of any range, with
    the unit left to its owner.

    Raises
    ------
    UnknownName
        When the table has no such variable; the message names the nearest one.

    Examples
    --------
    >>> variable("soil_moisture").units
    'm3 m-3'
    >>> variable("precipitation_index_30_days").units
    'mm'
    >>> variable("own_flow_length").long_name
    'own predictor: flow length'
    """
    past = re.fullmatch(r"(.+)_(mean|index)_([1-9]\d*)_days", name)
    if name not in VARIABLES and past is not None:
        return _past(variable(past[1]), past[2], int(past[3]))
    if re.fullmatch(r"own_[a-z0-9_]+", name):
        words = name.removeprefix("own_").replace("_", " ")
        return Variable(name, f"own predictor: {words}", "1", (-float("inf"), float("inf")))
    if name not in VARIABLES:
        raise UnknownName("variable", name, VARIABLES)
    return VARIABLES[name]


def _past(base: Variable, kind: str, days: int) -> Variable:
    """Describe the mean or index of a variable over the days before."""
    is_rate = base.units.endswith(" day-1")
    if base.kind != "continuous" or (kind == "index" and not is_rate):
        raise UnknownName(
            f"{kind} over {days} days of",
            base.name,
            [
                row.name
                for row in VARIABLES.values()
                if row.kind == "continuous" and (kind == "mean" or row.units.endswith(" day-1"))
            ],
        )
    name, words = (
        f"{base.name}_{kind}_{days}_days",
        f"{base.long_name}, {kind} of the {days} days before",
    )
    if kind == "mean":
        return replace(base, name=name, long_name=words)
    low, high = base.valid_range
    return replace(
        base,
        name=name,
        long_name=words,
        units=base.units.removesuffix(" day-1"),
        valid_range=(low * days, high * days),
        standard_name="",
    )


def check_cube(
    cube: xr.Dataset, *, required: Iterable[str] = (), source: str = "cube"
) -> xr.Dataset:
    """Check dims, coordinates, names and units of a cube without reading its values.

    Parameters
    ----------
    cube
        Dataset with dims ``[member,] [time,] y, x``.
    required
        Variables it must hold.
    source
        What to call it in an error: a file or stage.

    Returns
    -------
    xarray.Dataset
        The same object, so that the call can stand in an expression.

    Raises
    ------
    CubeProblem, UnitProblem, UnknownName

    Examples
    --------
    >>> import vadose.synthetic
    >>> world = vadose.synthetic.world(size=16, days=8, factor=4, seed=0)
    >>> check_cube(world.truth) is world.truth
    True
    """
    missing = sorted(set(required) - {str(name) for name in cube.data_vars})
    if missing:
        raise CubeProblem(
            source,
            found=f"variables {sorted(map(str, cube.data_vars))}",
            expected=f"also {', '.join(missing)}",
        )
    for name in cube.data_vars:
        _check_variable(cube[name], source)
    _check_axes(cube, source)
    return cube


def _check_variable(array: xr.DataArray, source: str) -> None:
    row = variable(str(array.name))
    where = f"{source}: {row.name}"
    wanted = tuple(dim for dim in DIMS if dim in array.dims)
    if array.dims != wanted or not {"y", "x"} <= set(array.dims):
        raise CubeProblem(
            where,
            found=f"dimensions {array.dims}",
            expected="[member,] [time,] y, x",
            remedy="Rename or transpose them.",
        )
    units = array.attrs.get("units")
    if units != row.units:
        raise UnitProblem(
            where,
            found=f"unit {units!r}" if units is not None else "no unit",
            expected=repr(row.units),
            remedy="Convert it when reading.",
        )
    is_float = np.issubdtype(array.dtype, np.floating)
    if row.kind == "continuous" and not is_float:
        raise CubeProblem(where, found=f"type {array.dtype}", expected="floating point")
    if row.kind != "continuous" and is_float:
        raise CubeProblem(where, found=f"type {array.dtype}", expected="integers (codes)")


def _check_axes(cube: xr.Dataset, source: str) -> None:
    for dim in ("y", "x"):
        if dim not in cube.coords:
            raise CubeProblem(source, found=f"no coordinate {dim!r}", expected="cell centres")
    if GRID_MAPPING not in cube.coords:
        raise CubeProblem(
            source,
            found=f"no coordinate {GRID_MAPPING!r}",
            expected="the grid of the cube",
            remedy="Build coordinates with vadose.grids.coordinates(grid).",
        )
    y, x = cube["y"].values, cube["x"].values
    if not ((np.diff(y) < 0).all() and (np.diff(x) > 0).all()):  # NaN fails too
        raise CubeProblem(
            source,
            found="unsorted coordinates",
            expected="y from north to south, x from west to east",
        )
    if "time" in cube.dims:
        times = cube["time"].values
        if not np.issubdtype(times.dtype, np.datetime64):
            raise CubeProblem(f"{source}: time", found=f"type {times.dtype}", expected="datetime64")
        if np.isnat(times).any() or (np.diff(times) <= np.timedelta64(0)).any():
            raise CubeProblem(
                f"{source}: time",
                found="missing, duplicate or unordered time stamps",
                expected="strictly increasing time",
            )


#: Numbers that files use for "no data" and that must never arrive as data.
FILL_LIKE = (-9999.0, -999.0, -32768.0, -32767.0, 65535.0, 9.96921e36, 1e20)


def check_values(cube: xr.Dataset, *, source: str = "cube") -> xr.Dataset:
    """Read a cube's values and refuse fill values, values out of range and variables with no value.

    Raises
    ------
    ValueProblem
        Names the variable, the worst value, how many there are, and the valid range.

    Examples
    --------
    >>> import vadose.synthetic
    >>> world = vadose.synthetic.world(size=16, days=8, factor=4, seed=0)
    >>> check_values(world.coarse) is world.coarse
    True
    """
    for name, array in cube.data_vars.items():
        row = variable(str(name))
        where = f"{source}: {name}"
        values = array.values
        if row.kind == "continuous" and np.isnan(values).all():
            raise ValueProblem(where, found="no valid value (all NaN)", expected="data")
        low, high = row.valid_range
        is_outside = (values < low) | (values > high)
        if row.missing is not None:
            is_outside &= values != row.missing
        if is_outside.any():
            wrong = values[is_outside]
            worst = float(wrong[np.argmax(np.abs(wrong.astype("f8")))])
            is_fill = any(np.isclose(worst, fill, rtol=1e-5) for fill in FILL_LIKE)
            raise ValueProblem(
                where,
                found=f"{wrong.size} values outside the valid range, the worst {worst:g}"
                + (" (a fill value?)" if is_fill else ""),
                expected=f"{low:g} to {high:g} {row.units}",
                remedy="Mask fill values and convert units when reading.",
            )
    return cube
