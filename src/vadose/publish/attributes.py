"""What files say of themselves: global attributes of ACDD, and how variables belong together in CF."""

from __future__ import annotations

from typing import Any

import pandas as pd
import xarray as xr

from vadose.grids import coordinates, grid_of
from vadose.publish.about import Publication, software
from vadose.publish.extent import centres_of, extent_of
from vadose.schema import variable

#: What may stand beside a layer and says how sure it is.
SUFFIXES = ("uncertainty", "spread", "correction_spread", "lower", "upper", "interval_width")
#: What else is said of a value.
BESIDE = (
    "origin",
    "flags",
    "quality",
    "closure_residual",
    "is_applicable",
    "gap_age",
    "gap_length",
)


def described(cube: xr.Dataset, publication: Publication) -> xr.Dataset:
    """Give a cube the attributes of its publication, and its variables their companions.

    Parameters
    ----------
    cube
        The product, lazy.
    publication
        What it is.

    Returns
    -------
    xarray.Dataset
        The same values; global attributes of ACDD 1.3, of which those of time are the caller's, for a
        file may hold a part; ``ancillary_variables``, ``long_name`` and ``coverage_content_type``.
    """
    told = cube.copy()
    told.attrs = {**_global(told, publication)}
    for name, array in told.data_vars.items():
        standard = variable(str(name)).standard_name
        array.attrs.pop("standard_name", None)  # a companion may still carry that of its layer
        array.attrs |= {"standard_name": standard} if standard else {}
        beside = ancillary(told, str(name))
        if beside:
            array.attrs["ancillary_variables"] = " ".join(beside)
        is_code = "flag_meanings" in array.attrs
        is_said = not standard or str(name).endswith("_uncertainty")
        kind = "qualityInformation" if is_code or is_said else "modelResult"
        array.attrs["coverage_content_type"] = kind
    for dim, axis in coordinates(grid_of(told)).items():
        if dim in told.dims:  # whoever made the cube may have said nothing of them
            told[dim].attrs = {**axis.attrs, **told[dim].attrs}
            told[dim].attrs.setdefault("long_name", axis.attrs["standard_name"].replace("_", " "))
    if "member" in told.coords:
        told["member"].attrs.setdefault("long_name", "member")
    if "time" in told.coords:
        is_point = is_instantaneous(told, publication.target)
        words = "time" if is_point else "start of the day"
        told["time"].attrs.update(standard_name="time", axis="T", long_name=words)
    return told


def is_instantaneous(cube: xr.Dataset, target: str) -> bool:
    """Tell instants from days; a stamp within a day is one of an instant."""
    methods = str(cube[target].attrs.get("cell_methods", ""))
    stamps = cube["time"].values
    return "time: point" in methods or bool((stamps != stamps.astype("M8[D]")).any())


def ancillary(cube: xr.Dataset, name: str) -> list[str]:
    """List what stands in a cube beside a layer of soil water.

    Examples
    --------
    >>> layers = dict.fromkeys(["soil_moisture", "soil_moisture_upper", "origin"], ("x", [0.0]))
    >>> ancillary(xr.Dataset(layers), "soil_moisture")
    ['soil_moisture_upper', 'origin']
    """
    if any(name.endswith(f"_{suffix}") for suffix in SUFFIXES) or "soil_moisture" not in name:
        return []
    own = [f"{name}_{suffix}" for suffix in SUFFIXES if f"{name}_{suffix}" in cube]
    return own + [one for one in BESIDE if one in cube]


def time_attributes(times: xr.DataArray | None) -> dict[str, str]:
    """Say which time a file covers: first and last stamp, how long, and how far apart stamps are.

    Examples
    --------
    >>> days = xr.DataArray(pd.date_range("2018-01-01", "2018-01-03"), dims="time")
    >>> time_attributes(days)["time_coverage_duration"]
    'P3D'
    """
    if times is None:
        return {}
    stamps = pd.DatetimeIndex(times.values)
    step = stamps[1] - stamps[0] if len(stamps) > 1 else pd.Timedelta(1, "D")
    length = stamps[-1] - stamps[0] + step
    return {
        "time_coverage_start": iso(stamps[0]),
        "time_coverage_end": iso(stamps[-1]),
        "time_coverage_duration": _period(length),
        "time_coverage_resolution": _period(step),
    }


def iso(stamp: pd.Timestamp) -> str:
    """Write a stamp in UTC.

    Examples
    --------
    >>> iso(pd.Timestamp("2018-01-01"))
    '2018-01-01T00:00:00Z'
    """
    return f"{stamp.strftime('%Y-%m-%dT%H:%M:%S')}Z"


def _period(length: pd.Timedelta) -> str:
    days, rest = divmod(round(length.total_seconds()), 86400)
    return f"P{days}D" if not rest else f"P{days}DT{rest}S" if days else f"PT{rest}S"


def layers(cube: xr.Dataset, target: str) -> list[str]:
    """List the layers of soil water in a cube, the target first.

    Examples
    --------
    >>> names = ["origin", "root_zone_soil_moisture", "soil_moisture", "soil_moisture_upper"]
    >>> layers(xr.Dataset(dict.fromkeys(names, ("x", [0.0]))), "soil_moisture")
    ['soil_moisture', 'root_zone_soil_moisture']
    """
    others = ("soil_moisture", "root_zone_soil_moisture")
    return [target, *(name for name in others if name in cube and name != target)]


def is_about(name: str, layer: str) -> bool:
    """Tell whether a variable is a layer, or says how sure it is.

    Examples
    --------
    >>> [is_about(name, "soil_moisture") for name in ("soil_moisture_upper", "origin")]
    [True, False]
    """
    return name == layer or name.removeprefix(f"{layer}_") in SUFFIXES


def layer(cube: xr.Dataset, name: str) -> tuple[float, float]:
    """Give top and bottom of a layer in m; both 0 where nobody has said."""
    attributes = cube[name].attrs
    return float(attributes.get("depth_from", 0.0)), float(attributes.get("depth_to", 0.0))


def _global(cube: xr.Dataset, publication: Publication) -> dict[str, Any]:
    about, grid = publication.about, grid_of(cube)
    first, bottom, last, top = centres_of(grid)
    middles = [sum(layer(cube, name)) / 2 for name in layers(cube, publication.target)]
    references = "; ".join(publication.citations)
    comment = " ".join([*([about.comment] if about.comment else []), *publication.notes])
    return {
        "title": publication.title,
        "summary": publication.summary,
        "keywords": ", ".join(publication.keywords),
        "id": publication.identifier,
        "naming_authority": about.naming_authority,
        "history": publication.history,
        "source": publication.source,
        "processing_level": "L4",
        "comment": comment or "Gaps are NaN; origin and flags say why.",
        "acknowledgement": about.acknowledgement or f"Made from: {references or 'not stated'}",
        "references": references or software(),
        "license": "; ".join(publication.licences),
        "standard_name_vocabulary": "CF Standard Name Table v93",
        "date_created": publication.created,
        "creator_name": publication.creator,
        "creator_email": about.creator_email,
        "creator_url": about.creator_url,
        "institution": about.institution,
        "project": about.project,
        "publisher_name": about.publisher or publication.creator,
        "publisher_email": about.publisher_email or about.creator_email,
        "publisher_url": about.publisher_url or about.creator_url,
        "product_version": publication.version[:12],
        "geospatial_bounds": extent_of(grid).wkt,
        "geospatial_bounds_crs": "EPSG:4326",
        "geospatial_bounds_vertical_crs": "EPSG:5831",
        "geospatial_lat_min": bottom,
        "geospatial_lat_max": top,
        "geospatial_lat_units": "degrees_north",
        "geospatial_lon_min": first,
        "geospatial_lon_max": last,
        "geospatial_lon_units": "degrees_east",
        "geospatial_vertical_min": min(middles),
        "geospatial_vertical_max": max(middles),
        "geospatial_vertical_positive": "down",
        "geospatial_vertical_units": "m",
    }
