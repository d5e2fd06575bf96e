"""The table of variables: the name, unit, range and rules of scale of all that a cube may hold."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from vadose.errors import Named, UnknownName
from vadose.schema.flags import IGBP

Kind = Literal["continuous", "class", "mask"]
Aggregation = Literal["mean", "sum", "max", "majority"]
Interpolation = Literal["smooth", "nearest"]


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


#: What may stand beside a variable about its uncertainty, and whether it is a value of that variable.
_ABOUT = {
    "_correction_spread": ("standard deviation of the station correction of", False),
    "_spread": ("standard deviation of the model's parts, of", False),
    "_lower": ("lower end of the prediction interval of", True),
    "_upper": ("upper end of the prediction interval of", True),
    "_interval_width": ("width of the prediction interval of", False),
    "_members": ("members of an ensemble of", True),
}


def _about(base: Variable, name: str, words: str, *, is_level: bool) -> Variable:
    """Describe what says how sure a variable is: an end of its interval, or a size in its unit."""
    low, high = base.valid_range
    return replace(
        base,
        name=name,
        long_name=f"{words} {base.long_name}",
        standard_name=base.standard_name if is_level else "",
        valid_range=base.valid_range if is_level else (0.0, high - low),
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
        Variable("day_of_year", "day of the year, from 1", "1", (1.0, 366.0)),
        Variable("year", "calendar year", "1", (1.0, 9999.0)),
        *(
            Variable(f"station_{name}", f"{words} of the day's stations", "m3 m-3", (0.0, 1.0))
            for name, words in (
                ("mean", "mean"),
                ("sd", "standard deviation"),
                ("lower_quartile", "lower quartile"),
                ("upper_quartile", "upper quartile"),
            )
        ),
        mask("station_missing", "no station statistics that day"),
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
            (0, 6),
            "status_flag",
            "class",
            "majority",
            "nearest",
        ),
        Variable(
            "flags",
            "what holds of the value, and why there is none",
            "1",
            (0, 31),
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
        Variable(
            "dissimilarity_index",
            "distance of the predictors from those learned from, in mean distances between these",
            "1",
            (0.0, 100.0),
        ),
        Variable("gap_length", "days without an observation around this one", "day", (0.0, 9000.0)),
        Variable("gap_age", "days to the nearest observation", "day", (0.0, 9000.0)),
        mask("is_applicable", "predictors are inside of the area of applicability"),
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
VARIABLES: Named[Variable] = Named("variable", _table())


def variable(name: str) -> Variable:
    """Look a variable up by name.

    Beside those of the table there are the past of each of them: ``<name>_mean_<n>_days`` is the mean
    over the n days before, ``<name>_index_<n>_days`` of a rate per day is the amount of these days, the
    longer ago the less of it. ``<name>_spread`` is the standard deviation of a model's parts,
    ``<name>_correction_spread`` that of what correction with stations adds, ``<name>_lower`` and
    ``<name>_upper`` are the ends of an interval, and ``<name>_interval_width`` is how far these are apart;
    ``<name>_members``, with the dimension ``member``, are equally likely fields. And ``own_<word>`` is a
    user's own predictor: continuous, of any range, with the unit left to its owner.

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
    >>> variable("soil_moisture_correction").units
    'm3 m-3'
    >>> variable("soil_moisture_upper").long_name
    'upper end of the prediction interval of surface soil moisture'
    >>> variable("own_flow_length").long_name
    'own predictor: flow length'
    """
    past = re.fullmatch(r"(.+)_(mean|index)_([1-9]\d*)_days", name)
    if name not in VARIABLES and past is not None:
        return _past(variable(past[1]), past[2], int(past[3]))
    if name.endswith("_correction") and name.removesuffix("_correction") in VARIABLES:
        base = VARIABLES[name.removesuffix("_correction")]
        size = base.valid_range[1] - base.valid_range[0]
        words = f"what closure takes off the {base.long_name}"
        return replace(
            base, name=name, long_name=words, standard_name="", valid_range=(-8 * size, 8 * size)
        )
    for suffix, (words, is_level) in _ABOUT.items():
        if name.endswith(suffix) and name.removesuffix(suffix) in VARIABLES:
            return _about(VARIABLES[name.removesuffix(suffix)], name, words, is_level=is_level)
    if re.fullmatch(r"own_[a-z0-9_]+", name):
        words = name.removeprefix("own_").replace("_", " ")
        return Variable(name, f"own predictor: {words}", "1", (-float("inf"), float("inf")))
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
