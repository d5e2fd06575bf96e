"""Keep what a run was judged by: readings, every product and rain at each station, as one netCDF file.

Of the published product it says too where each value comes from, and between which ends it is thought to lie.

The file is a matchup as `vadose.validate.pairs.match` gives it, with attributes, so that whoever has it can
score the pairs anew, and the report draws from it whatever stations and products were given.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import vadose
from vadose.pipeline.folder import RunFolder
from vadose.schema import ORIGIN, variable
from vadose.store import open_cube
from vadose.validate.match import at_stations

#: Name of the file, within ``validation/``.
SERIES_FILE = "series.nc"
RAIN = "precipitation"
#: What coordinates of stations are in CF's words.
COORDINATES: dict[str, dict[str, str]] = {
    "station": {"long_name": "station", "cf_role": "timeseries_id"},
    "network": {"long_name": "network of the station"},
    "lat": {"long_name": "latitude", "standard_name": "latitude", "units": "degrees_north"},
    "lon": {"long_name": "longitude", "standard_name": "longitude", "units": "degrees_east"},
    "time": {"long_name": "start of the interval", "standard_name": "time", "axis": "T"},
    "product": {"long_name": "name of the product"},
    "title": {"long_name": "title of the product"},
}


def series_of(
    folder: RunFolder, pairs: xr.Dataset, *, is_used: xr.DataArray, titles: Mapping[str, str]
) -> xr.Dataset:
    """Lay out the series of every station that has a pair, with what CF asks for.

    Parameters
    ----------
    folder
        The run; rain is that of its fine cube, in the cell that contains the station.
    pairs
        A matchup in memory.
    is_used
        Dim ``station``: whether a station stands in the tables.
    titles
        What products are called, by name.

    Returns
    -------
    xarray.Dataset
        ``value (product, station, time)`` and ``reading (station, time)``, m³ m⁻³, NaN in gaps; ``is_pair
        (station, time)``, the common sample that was scored; ``is_used (station)``; where the run has
        them ``precipitation (station, time)``, mm day⁻¹, NaN outside of the map, and of the published product
        ``origin``, codes of `schema.ORIGIN`, and ``lower`` and ``upper``, m³ m⁻³, NaN without an interval.
    """
    recipe = folder.recipe
    has_pairs = np.flatnonzero(pairs["is_pair"].any("time").values)
    kept = pairs[["value", "reading", "is_pair"]].isel(station=has_pairs)
    about = variable(recipe.target).attributes()
    flags = {"flag_values": np.array([0, 1], "i1"), "flag_meanings": "no yes"}
    series = xr.Dataset(
        {
            "value": kept["value"]
            .astype("f4")
            .assign_attrs(about | {"long_name": f"{about['long_name']} of a product"}),
            "reading": kept["reading"]
            .astype("f4")
            .assign_attrs(about | {"long_name": f"{about['long_name']}, as measured"}),
            "is_pair": kept["is_pair"]
            .astype("i1")
            .assign_attrs(flags | {"long_name": "station and all products have a value"}),
            "is_used": is_used.isel(station=has_pairs)
            .drop_vars(set(map(str, is_used.coords)) - {"station"})
            .astype("i1")
            .assign_attrs(flags | {"long_name": "station stands in the tables"}),
        }
    ).assign_coords(
        title=("product", [titles.get(str(one), str(one)) for one in kept["product"].values])
    )
    fine = open_cube(folder / "fine.zarr")
    if RAIN in fine:
        _lay(series, RAIN, fine[RAIN], kept, variable(RAIN).attributes())
    _lay_product(series, open_cube(folder / "product.zarr"), recipe.target, kept)
    for name in series.variables:
        series[name].attrs |= COORDINATES.get(str(name), {})
    series.attrs = {
        "Conventions": "CF-1.11",
        "featureType": "timeSeries",
        "title": f"{recipe.title}: series at stations",
        "source": f"vadose {vadose.__version__}",
        "publish": recipe.publish,
        **{key: str(pairs.attrs[key]) for key in ("space", "time_matching")},
    }
    return series


def _lay_product(series: xr.Dataset, product: xr.Dataset, target: str, pairs: xr.Dataset) -> None:
    """Lay beside the series where values of the published product come from, and its intervals."""
    about = variable(target).attributes()
    for name in ("lower", "upper"):
        if f"{target}_{name}" in product:
            words = {"long_name": f"{name} end of the interval of the published product"}
            _lay(series, name, product[f"{target}_{name}"], pairs, about | words)
    if "origin" in product:
        words = {"long_name": "origin of the value of the published product"}
        _lay(series, "origin", product["origin"], pairs, ORIGIN.attributes() | words)
        if "origin" in series:
            series["origin"] = (
                series["origin"]
                .fillna(ORIGIN.code("missing"))
                .astype("u1")
                .assign_attrs(series["origin"].attrs)
            )


def _lay(
    series: xr.Dataset, name: str, field: xr.DataArray, pairs: xr.Dataset, about: Mapping[str, Any]
) -> None:
    """Lay a field beside the series, in the cell that contains each station; not if no stamp is that of a pair."""
    if "time" not in field.dims:
        return
    stamps = np.intersect1d(field["time"].values, pairs["time"].values)
    if not stamps.size:
        return
    stations = pairs[["reading"]].rename(reading="soil_moisture")
    taken = at_stations(field.sel(time=stamps), stations).compute().astype("f4")
    laid = taken.reindex(time=pairs["time"].values)
    series[name] = laid.assign_attrs(about).variable


def write_series(series: xr.Dataset, path: Path) -> None:
    """Write series as compressed netCDF-4; `path` is a hidden one that is renamed when all is complete."""
    encoding: dict[str, dict[str, object]] = {}
    for name, array in series.variables.items():
        if array.ndim > 1:
            encoding[str(name)] = {"zlib": True, "complevel": 4, "shuffle": True}
        elif array.dtype.kind == "f":
            encoding[str(name)] = {"_FillValue": None}  # CF has no gaps in coordinates
    encoding["time"] = {"units": "seconds since 1970-01-01", "dtype": "i8"}
    series.to_netcdf(path, engine="h5netcdf", encoding=encoding)
