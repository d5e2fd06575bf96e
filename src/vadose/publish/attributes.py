"""What files say of themselves: global attributes of ACDD, and how variables belong together in CF."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds

from vadose.grids import grid_of, lonlat
from vadose.publish.about import Publication, software
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
        is_about = not standard or str(name).endswith("_uncertainty")
        kind = "qualityInformation" if is_code or is_about else "modelResult"
        array.attrs["coverage_content_type"] = kind
    for dim, words in (("y", "row"), ("x", "column"), ("time", "time"), ("member", "member")):
        if dim in told.coords:
            standard = told[dim].attrs.get("standard_name", words)
            told[dim].attrs.setdefault("long_name", standard.replace("_", " "))
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
    >>> days = xr.DataArray(np.arange("2018-01-01", "2018-01-04", dtype="M8[D]"), dims="time")
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


def layer(cube: xr.Dataset, target: str) -> tuple[float, float]:
    """Give top and bottom of the layer in m; both 0 where nobody has said."""
    attributes = cube[target].attrs
    return float(attributes.get("depth_from", 0.0)), float(attributes.get("depth_to", 0.0))


def box(grid: GeoBox) -> tuple[float, float, float, float]:
    """Give west, south, east, north of the outer edges in degrees.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> box(latlon(0.25, (-76.5, 37.75, -74.5, 40.25)))
    (-76.5, 37.75, -74.5, 40.25)
    """
    bounds = grid.extent.boundingbox
    crs = "EPSG:4326" if grid.crs is None or grid.crs.geographic else str(grid.crs)
    edges = bounds if crs == "EPSG:4326" else transform_bounds(crs, "EPSG:4326", *bounds)
    west, south, east, north = (round(float(edge), 9) for edge in edges)
    return max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0)


def is_separable(grid: GeoBox) -> bool:
    """Tell whether longitude depends on the column alone, and latitude on the row, as on EASE-Grid 2.0."""
    small = grid.zoom_to((min(grid.shape.y, 7), min(grid.shape.x, 7)))
    longitude, latitude = lonlat(small)
    return bool(np.ptp(longitude, axis=0).max() < 1e-9 and np.ptp(latitude, axis=1).max() < 1e-9)


def _centres(grid: GeoBox) -> tuple[float, float, float, float]:
    """Give west, south, east, north of the centres of cells."""
    if is_separable(grid):
        row, column = grid[:1, :], grid[:, :1]
        longitude, latitude = lonlat(row)[0], lonlat(column)[1]
    else:
        edges = [lonlat(part) for part in (grid[:1, :], grid[-1:, :], grid[:, :1], grid[:, -1:])]
        longitude = np.concatenate([one[0].ravel() for one in edges])
        latitude = np.concatenate([one[1].ravel() for one in edges])
    return (
        float(longitude.min()),
        float(latitude.min()),
        float(longitude.max()),
        float(latitude.max()),
    )


def _global(cube: xr.Dataset, publication: Publication) -> dict[str, Any]:
    about, grid = publication.about, grid_of(cube)
    west, south, east, north = box(grid)
    first, bottom, last, top = _centres(grid)
    upper, lower = layer(cube, publication.target)
    depth = (upper + lower) / 2
    words = ["soil moisture", "downscaling", *about.keywords]
    ring = f"{south} {west}, {north} {west}, {north} {east}, {south} {east}, {south} {west}"
    references = "; ".join(publication.citations)
    comment = " ".join([*([about.comment] if about.comment else []), *publication.notes])
    return {
        "title": publication.title,
        "summary": publication.summary,
        "keywords": ", ".join(dict.fromkeys(words)),
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
        "geospatial_bounds": f"POLYGON (({ring}))",
        "geospatial_bounds_crs": "EPSG:4326",
        "geospatial_bounds_vertical_crs": "EPSG:5831",
        "geospatial_lat_min": bottom,
        "geospatial_lat_max": top,
        "geospatial_lat_units": "degrees_north",
        "geospatial_lon_min": first,
        "geospatial_lon_max": last,
        "geospatial_lon_units": "degrees_east",
        "geospatial_vertical_min": depth,
        "geospatial_vertical_max": depth,
        "geospatial_vertical_positive": "down",
        "geospatial_vertical_units": "m",
    }
