"""Labels of pairs, by which they are scored apart: season, month, year, wetness, elevation, classes of a map.

A label is a `DataArray` of any of the dims ``product, station, time``. Numbers may be named as CF does, by the
attributes ``flag_values`` and ``flag_meanings``; then other numbers are no stratum, as NaN and "" are none. The
network and the name of a station are labels as they stand: ``matchup["network"]``, ``matchup["station"]``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import xarray as xr

from vadose.errors import ValueProblem
from vadose.validate.match import at_stations

SEASONS = ("winter", "spring", "summer", "autumn")
#: Names of the parts of a station's range, by their number.
WETNESS = {2: ("dry", "wet"), 3: ("dry", "medium", "wet")}


def season(matchup: xr.Dataset) -> xr.DataArray:
    """Label pairs by the season of their hemisphere: winter is December to February north of the equator.

    Returns
    -------
    xarray.DataArray
        Dims ``station, time``, flags.

    Examples
    --------
    >>> places = xr.Dataset(coords={"lat": ("station", [45.0, -35.0]),
    ...                             "time": np.array(["2019-01-15"], "M8[ns]")})
    >>> season(places).values.ravel().tolist(), season(places).attrs["flag_meanings"]
    ([0, 2], 'winter spring summer autumn')
    """
    month = matchup["time"].dt.month.values
    is_south = matchup["lat"].values < 0
    quarter = (month % 12 // 3)[None, :] + 2 * is_south[:, None]
    return _flags((quarter % 4).astype("i1"), ("station", "time"), "season", SEASONS)


def month(matchup: xr.Dataset) -> xr.DataArray:
    """Label stamps by their month, 1 to 12; dims ``time``."""
    values = matchup["time"].dt.month.values.astype("i1")
    return xr.DataArray(values, dims="time", name="month")


def year(matchup: xr.Dataset) -> xr.DataArray:
    """Label stamps by their year; dims ``time``."""
    values = matchup["time"].dt.year.values.astype("i2")
    return xr.DataArray(values, dims="time", name="year")


def wetness(matchup: xr.Dataset, *, parts: int = 3) -> xr.DataArray:
    """Label pairs by what the station reads, within its own range: by the median or the terciles of its pairs.

    Parts of a range have less variance than the whole: R within one is lower than over all, for every
    product.

    Parameters
    ----------
    matchup
        What `vadose.validate.pairs.match` gives.
    parts
        2: dry and wet; 3: dry, medium and wet.

    Returns
    -------
    xarray.DataArray
        Dims ``station, time``, flags; -1 for what is no pair.

    Raises
    ------
    ValueProblem
        Another number of parts.
    """
    if parts not in WETNESS:
        raise ValueProblem("parts of wetness", found=f"{parts}", expected="2 or 3")
    is_pair, readings = matchup["is_pair"].values, matchup["reading"].values
    codes = np.full(readings.shape, -1, "i1")
    shares = np.arange(1, parts) / parts
    for row, (reading, is_own) in enumerate(zip(readings, is_pair, strict=True)):
        own = reading[is_own]
        if own.size:
            codes[row, is_own] = np.searchsorted(np.quantile(own, shares), own)
    return _flags(codes, ("station", "time"), "wetness", WETNESS[parts])


def elevation_band(elevation: xr.DataArray, edges: Sequence[float]) -> xr.DataArray:
    """Label stations by bands of elevation.

    Parameters
    ----------
    elevation
        Dims ``station``, m; NaN where it is not known, which is no stratum.
    edges
        Increasing, m; a band holds its lower edge. There is one band more than edges.

    Examples
    --------
    >>> heights = xr.DataArray([12.0, 500.0, 2100.0], dims="station")
    >>> bands = elevation_band(heights, [500, 1500])
    >>> bands.values.tolist(), bands.attrs["flag_meanings"]
    ([0, 1, 2], 'below_500_m 500_to_1500_m from_1500_m')
    """
    if len(edges) < 1 or not (np.diff(edges) > 0).all():
        raise ValueProblem(
            "edges of elevation", found=f"{list(edges)}", expected="one or more, increasing"
        )
    values = elevation.values.astype("f8")
    codes = np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="right"))
    between = [f"{low:g}_to_{high:g}_m" for low, high in itertools.pairwise(edges)]
    names = (f"below_{edges[0]:g}_m", *between, f"from_{edges[-1]:g}_m")
    return _flags(codes.astype("i2"), tuple(map(str, elevation.dims)), "elevation", names)


def label_from_map(classes: xr.DataArray, matchup: xr.Dataset) -> xr.DataArray:
    """Label pairs by the class of the cell that contains the station.

    Parameters
    ----------
    classes
        Dims ``[time,] y, x``: land cover, soil texture, climate, `origin`, or whether a cell is inside of
        the area of applicability.
    matchup
        What `vadose.validate.pairs.match` gives.

    Returns
    -------
    xarray.DataArray
        Dims ``station[, time]``, the stamps of the matchup; NaN outside of the map or of its times.
    """
    stations = matchup.rename(reading="soil_moisture")[["soil_moisture"]]
    taken = at_stations(classes.astype("f4"), stations)
    if "time" in classes.dims:
        taken = taken.reindex(time=matchup["time"])
    else:
        taken = taken.isel(time=0, drop=True)
    return taken.compute().rename(classes.name).assign_attrs(classes.attrs)


def _flags(
    codes: np.ndarray, dims: tuple[str, ...], name: str, meanings: Sequence[str]
) -> xr.DataArray:
    attrs = {"flag_values": list(range(len(meanings))), "flag_meanings": " ".join(meanings)}
    return xr.DataArray(codes, dims=dims, name=name, attrs=attrs)
