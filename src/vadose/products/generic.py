"""Any netCDF, HDF5 or GeoTIFF product, described in a recipe instead of in code.

`generic_product` makes a `Product` of a `Description`; most readers of this folder are made so. Three
products whose layout varies with where they were downloaded are shipped as descriptions to start from:
``dataclasses.replace`` changes what differs in your files.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from vadose.products.base import Product
from vadose.products.description import Description, FlagLayer, Layer, check_description, describe
from vadose.products.reading import read_described
from vadose.products.stamps import period_in_name

__all__ = [
    "GLEAM",
    "HWSD",
    "MCCA_SMAP",
    "PRODUCTS",
    "Description",
    "FlagLayer",
    "Layer",
    "generic_product",
]


def generic_product(description: Description | Mapping[str, Any]) -> Product:
    r"""Make a product of a description, so that a new product needs no code.

    Parameters
    ----------
    description
        A `Description`, or the same as plain settings from a recipe.

    Raises
    ------
    RecipeProblem, UnknownName
        When the description cannot be right.

    Examples
    --------
    >>> product = generic_product(Description(
    ...     name="OURS", title="our soil moisture",
    ...     layers={"soil_moisture": Layer("sm", units="%", depth=(0.0, 0.05))},
    ...     time="name", time_pattern=r"(\d{8})",
    ... ))
    >>> product.variables, product.depths
    ({'soil_moisture': 'sm'}, {'soil_moisture': (0.0, 0.05)})
    """
    if not isinstance(description, Description):
        description = describe(description)
    check_description(description)
    told = description
    extra: dict[str, Any] = {}
    if told.time != "static" and told.time_pattern:
        shift = timedelta(hours=told.shift_hours)
        extra["file_period"] = period_in_name(
            told.time_pattern, told.time_format, days=told.days_per_file, shift=shift
        )
    return Product(
        name=told.name,
        title=told.title,
        variables={name: _words(layer.source) for name, layer in told.layers.items()}
        | _reasons(told),
        grid=told.grid,
        time_meaning=told.time_meaning if told.time != "static" else "static",
        licence=told.licence,
        citation=told.citation,
        read=partial(read_described, described=told),
        pattern=told.pattern,
        depths={name: layer.depth for name, layer in told.layers.items() if layer.depth},
        **extra,
    )


def _reasons(told: Description) -> dict[str, str]:
    """Say what `quality` comes from: flags, and the valid range of the first variable."""
    words = [_words(flag.source) for flag in told.flags]
    first = next(iter(told.layers.values()))
    if first.valid_range is not None:
        words.append(f"range of {_words(first.source)}")
    return {"quality": ", ".join(words)} if words else {}


def _words(source: str | int | tuple[str, ...] | Mapping[str, float]) -> str:
    if isinstance(source, Mapping):
        return " + ".join(f"{weight:g} {name}" for name, weight in source.items())
    if isinstance(source, tuple):
        return " or ".join(source)
    return source if isinstance(source, str) else f"band {source}"


#: Multi-channel collaborative algorithm (MCCA) retrieval from SMAP, 36 km. The archive gives daily files
#: on the global EASE-Grid 2.0 for both overpasses; names vary with the release, hence the alternatives.
MCCA_SMAP = Description(
    name="MCCA_SMAP",
    title="MCCA soil moisture and vegetation optical depth from SMAP, 36 km",
    layers={
        "soil_moisture": Layer(
            ("soil_moisture", "SM", "sm", "Soil_Moisture", "SoilMoisture"),
            units="m3 m-3",
            valid_range=(0.0, 1.0),
            fill_values=(-9999.0, -999.0),
            depth=(0.0, 0.05),
        ),
        "vegetation_optical_depth": Layer(
            ("VOD_v", "VOD", "vod", "VODv", "vegetation_optical_depth"),
            units="1",
            valid_range=(0.0, 10.0),
            fill_values=(-9999.0, -999.0),
            is_optional=True,
        ),
    },
    pattern="*MCCA*",
    time="name",
    time_pattern=r"(?<!\d)(\d{4})[-_.]?(\d{2})[-_.]?(\d{2})(?!\d)",
    grid="EASE2_36km",
    cell_methods="time: mean",
    time_meaning="day of the overpass, from the file's name",
    licence="CC BY 4.0 (National Tibetan Plateau Data Center)",
    citation="Zhao, T., et al. (2021), Remote Sens. Environ. 257, 112321",
)

#: GLEAM writes ``(time, lon, lat)`` in some releases and ``(time, lat, lon)`` in others; both are read.
GLEAM = Description(
    name="GLEAM",
    title="GLEAM v3.8 daily soil moisture and evaporation, 0.25 degrees",
    layers={
        "soil_moisture": Layer(
            "SMsurf",
            units="m3 m-3",
            files="SMsurf_*",
            valid_range=(0.0, 1.0),
            fill_values=(-999.0, -9999.0),
            depth=(0.0, 0.1),
        ),
        # 0-10 cm under bare soil, 0-100 cm under short, 0-250 cm under tall vegetation
        "root_zone_soil_moisture": Layer(
            "SMroot",
            units="m3 m-3",
            files="SMroot_*",
            valid_range=(0.0, 1.0),
            fill_values=(-999.0, -9999.0),
        ),
        "evaporation": Layer("E", units="mm day-1", files="E_*", fill_values=(-999.0, -9999.0)),
    },
    pattern="*GLEAM*.nc*",
    time_pattern=r"_(\d{4})_GLEAM",
    time_format="%Y",
    cell_methods="time: mean",
    time_meaning="the day",
    grid="latlon_0.25",
    licence="free for non-commercial use, registration at gleam.eu",
    citation="Martens, B., et al. (2017), Geosci. Model Dev. 10, 1903-1925",
)

#: HWSD is a raster of mapping units and a table; these are the maps that joining them gives, one
#: GeoTIFF for each fraction, with the fraction in the file's name.
HWSD = Description(
    name="HWSD",
    title="Harmonized World Soil Database v2.0, topsoil texture (layer D1, 0-20 cm), 30 arc seconds",
    layers={
        name: Layer(
            1,
            units="%",
            files=f"*{name}*",
            valid_range=(0.0, 100.0),
            depth=(0.0, 0.2),
            fill_values=(-9.0, -9999.0),
        )
        for name in ("sand", "silt", "clay")
    },
    pattern="*.tif*",
    time="static",
    grid="regular longitude/latitude, 1/120 degree",
    licence="CC BY-NC-SA 3.0 IGO (FAO)",
    citation="FAO & IIASA (2023), Harmonized World Soil Database version 2.0, Rome and Laxenburg",
)

#: Products shipped as descriptions.
PRODUCTS: dict[str, Product] = {
    described.name: generic_product(described) for described in (MCCA_SMAP, GLEAM, HWSD)
}
