"""Pair products with stations: in depth, in space and in time, on one common sample, with what is lost counted.

A pair counts if the station and every product have a value at its stamp, so that no product is judged on
easier days than another. Every stamp at a station that does not count has one reason for each product.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import CubeProblem, NoOverlap, UnknownName, ValueProblem
from vadose.grids import grid_of
from vadose.validate.depth import Layer, layer_mean
from vadose.validate.match import check_stations, period_words, station_coordinates
from vadose.validate.spaces import ContainingCell, Space
from vadose.validate.times import Days, Interval

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]

#: Why a stamp at a station is no pair of a product, in the order in which they are asked.
REASONS = (
    "outside the grid",
    "no station value",
    "no product value",
    "no value of another product",
)


def match(
    products: Mapping[str, xr.DataArray],
    stations: xr.Dataset,
    *,
    space: Space | Mapping[str, Space] | None = None,
    time: Interval | None = None,
    layer: Layer | None = None,
    minimum_share: float = 0.5,
) -> xr.Dataset:
    """Pair every product with every station at the stamps that all products have.

    Parameters
    ----------
    products
        Soil moisture by name, m³ m⁻³, dims ``[time,] y, x``, each on any grid; one without time is
        repeated. Lazy ones are read together, only where stations are, and each part once.
    stations
        ``soil_moisture``, m³ m⁻³, with dims ``station, time`` (of the products' layer) or ``sensor, time``
        (at many depths).
    space
        What of a field is compared: `vadose.validate.spaces.ContainingCell` unless given,
        ``NearestCentre`` or ``Footprint``; one for all, or by name of the product.
    time
        Which readings go with a stamp: `vadose.validate.times.Days` of one day unless given, or
        ``Window``.
    layer
        Top and bottom, m, for stations with dims ``sensor, time``; that of the products unless given.
    minimum_share
        Smallest share of the layer that must be measured.

    Returns
    -------
    xarray.Dataset
        A matchup: ``value (product, station, time)``, in the precision of the products, and ``reading
        (station, time)``, m³ m⁻³, NaN in gaps; ``is_pair (station, time)``, the common sample; ``is_inside (product,
        station)``; ``n (product, station)`` pairs and ``lost (product, station, reason)``, which add up
        to the number of stamps.

    Raises
    ------
    NoOverlap
        No station in a grid, or no stamp or day in common.
    ValueProblem
        No products, no layer, or no pair at all; the message counts why.
    CubeProblem
        Other dimensions, or stamps that repeat.
    UnknownName
        A way in space for a product that is not there.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> small = world(size=16, days=12, factor=4, seed=0)
    >>> fields = {"truth": small.truth["soil_moisture"], "coarse": small.coarse["soil_moisture"]}
    >>> pairs = match(fields, small.stations)
    >>> dict(pairs["value"].sizes)
    {'product': 2, 'station': 12, 'time': 12}
    >>> bool((pairs["n"] + pairs["lost"].sum("reason") == 12).all())
    True
    """
    if not products:
        raise ValueProblem("products", found="none", expected="one or more")
    if isinstance(space, Mapping):
        for name in set(space) - set(products):
            raise UnknownName("product", name, products)
    if "sensor" in stations.dims:
        stations = layer_mean(stations, layer or _layer_of(products), minimum_share=minimum_share)
    check_stations(stations)
    times = _common_times(products, stations)
    readings = (time or Days()).match(stations, times)
    ways = {
        name: (space.get(name) if isinstance(space, Mapping) else space) or ContainingCell()
        for name in products
    }
    values = _values(products, stations, times, ways)
    is_inside = np.stack(
        [ways[name].reaches(grid_of(field), stations) for name, field in products.items()]
    )
    is_read, has_value = ~np.isnan(readings.values), ~np.isnan(values)
    is_pair = is_read & has_value.all(axis=0) & np.atleast_1d(is_inside.all(axis=0))[:, None]
    lost = _lost(is_inside, is_read, has_value, is_pair)
    if not is_pair.any():
        raise ValueProblem(
            "products and stations",
            found="no station-day in common (" + _counts(lost, list(products)) + ")",
            expected="a common sample",
        )
    attrs = {"units": "m3 m-3"}
    return xr.Dataset(
        {
            "value": (("product", "station", "time"), values, attrs),
            "reading": (("station", "time"), readings.values, {**attrs, **readings.attrs}),
            "is_pair": (("station", "time"), is_pair),
            "is_inside": (("product", "station"), is_inside),
            "n": (("product", "station"), np.broadcast_to(is_pair.sum(axis=1), is_inside.shape)),
            "lost": (("product", "station", "reason"), lost),
        },
        coords={
            "product": list(products),
            **station_coordinates(stations),
            "time": times,
            "reason": list(REASONS),
        },
        attrs={
            "of": "values",
            "space": "; ".join(f"{name}: {way!r}" for name, way in ways.items()),
            "time_matching": repr(time or Days()),
        },
    )


def _lost(
    is_inside: Booleans, is_read: Booleans, has_value: Booleans, is_pair: Booleans
) -> npt.NDArray[np.int64]:
    """Count the stamps that are no pairs, ``product, station, reason``."""
    steps = is_read.shape[1]
    read, pairs = is_read.sum(axis=1), is_pair.sum(axis=1)
    lost = np.zeros((*is_inside.shape, len(REASONS)), "i8")
    for place, (inside, has) in enumerate(zip(is_inside, has_value, strict=True)):
        valued = (is_read & has).sum(axis=1)
        reasons = (steps - read, read - valued, valued - pairs)
        lost[place] = np.stack(
            [np.where(inside, 0, steps), *(np.where(inside, one, 0) for one in reasons)], axis=-1
        )
    return lost


def _counts(lost: npt.NDArray[np.int64], names: list[str]) -> str:
    """Say how much each reason has taken, alike for all products or by name."""
    words = []
    for reason, number in zip(REASONS, np.moveaxis(lost.sum(axis=1), 1, 0), strict=True):
        if (number == number[0]).all():
            words += [f"{reason}: {number[0]}"] if number[0] else []
        else:
            words += [
                f"{reason}, {name}: {one}" for name, one in zip(names, number, strict=True) if one
            ]
    return ", ".join(words)


def _layer_of(products: Mapping[str, xr.DataArray]) -> Layer:
    """Take the layer from the attributes of the products."""
    layers = {
        (float(one.attrs["depth_from"]), float(one.attrs["depth_to"]))
        for one in products.values()
        if {"depth_from", "depth_to"} <= set(one.attrs)
    }
    if len(layers) == 1:
        return layers.pop()
    raise ValueProblem(
        "layer",
        found="no layer in the products' attributes"
        if not layers
        else ", ".join(f"{top:g} to {bottom:g} m" for top, bottom in sorted(layers)),
        expected="one layer, depth_from to depth_to",
        remedy="Name it: layer=(0.0, 0.05).",
    )


def _common_times(products: Mapping[str, xr.DataArray], stations: xr.Dataset) -> Times:
    """Give the stamps that all products have; the days of the stations if none has time."""
    common: Times | None = None
    for name, product in products.items():
        if "time" not in product.dims:
            continue
        times = product["time"].values.astype("M8[ns]")
        if np.unique(times).size < times.size:
            raise CubeProblem(name, found="stamps that repeat", expected="one step a stamp")
        before = times if common is None else common
        common = np.intersect1d(before, times)
        if not common.size:
            raise NoOverlap(
                name,
                found=f"no stamp in common: it has {period_words(times)}, "
                f"those before it {period_words(before)}",
                expected="products of one period, stamped alike",
            )
    days = stations["time"].values.astype("M8[D]")
    return np.unique(days).astype("M8[ns]") if common is None else common


def _values(
    products: Mapping[str, xr.DataArray],
    stations: xr.Dataset,
    times: Times,
    ways: Mapping[str, Space],
) -> Floats:
    """Take all products at the stations, ``product, station, time``; lazy ones are read together."""
    taken = {}
    for place, (name, product) in enumerate(products.items()):
        if "time" in product.dims:
            of_time = ways[name].take(product.sel(time=times), stations)
        else:
            still = ways[name].take(product, stations)
            of_time = still.isel(time=np.zeros(times.size, "i8"))
        taken[str(place)] = of_time.variable
    computed = xr.Dataset(taken).compute()
    kind = np.result_type("f4", *(one.dtype for one in computed.values()))
    values = np.empty((len(taken), stations.sizes["station"], times.size), kind)
    for place in range(len(taken)):
        values[place] = computed[str(place)].values
    return values
