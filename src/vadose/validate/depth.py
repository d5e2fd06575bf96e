"""The layer that a product stands for, from sensors at many depths: weighted by thickness, and enough of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.sparse import csr_array

from vadose.errors import CubeProblem, NoOverlap, ValueProblem
from vadose.products.stations import TOLERANCE, layer_weights

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Layer = tuple[float, float]
#: Coordinates that are told of each station.
_KEPT = ("network", "lat", "lon")


def layer_mean(stations: xr.Dataset, layer: Layer, *, minimum_share: float = 0.5) -> xr.Dataset:
    """Average the sensors of each station over a layer, where enough of the layer is measured.

    Parameters
    ----------
    stations
        ``soil_moisture`` (``sensor, time``), m³ m⁻³, with ``station``, ``network``, ``lat``, ``lon``,
        ``depth_from`` and ``depth_to`` (m) of each sensor.
    layer
        Top and bottom, m, positive downward, as the attributes of the product's variable say.
    minimum_share
        Smallest share of the layer's thickness that must be measured at a time; else NaN. A probe
        reaches as far below itself as above, so that one at 5 cm measures all of 0-5 cm and a tenth of
        0-100 cm.

    Returns
    -------
    xarray.Dataset
        ``soil_moisture (station, time)``, double precision, and ``measured_share (station)``, the share
        with every sensor at work. A station without a sensor in the layer stays, all NaN: it is lost, and
        counted.

    Raises
    ------
    ValueProblem
        No such layer or share, or sensors that share a depth.
    NoOverlap
        No station measures enough of the layer.

    Examples
    --------
    >>> sensors = xr.Dataset(
    ...     {"soil_moisture": (("sensor", "time"), [[0.1, 0.1], [0.3, np.nan]])},
    ...     coords={"station": ("sensor", ["A", "A"]), "network": ("sensor", ["N", "N"]),
    ...             "lat": ("sensor", [40.0, 40.0]), "lon": ("sensor", [1.0, 1.0]),
    ...             "depth_from": ("sensor", [0.0, 0.1]), "depth_to": ("sensor", [0.1, 0.4]),
    ...             "time": np.array(["2019-07-01", "2019-07-02"], "M8[ns]")},
    ... )
    >>> layer_mean(sensors, (0.0, 0.4))["soil_moisture"].values.round(3)
    array([[0.25,  nan]])
    """
    array = stations.get("soil_moisture")
    if array is None or array.dims != ("sensor", "time"):
        raise CubeProblem(
            "stations",
            found="none" if array is None else f"soil_moisture with dims {array.dims}",
            expected="soil_moisture with dims (sensor, time)",
        )
    top, bottom = layer
    if not (0 <= top < bottom and 0 < minimum_share <= 1):
        raise ValueProblem(
            "layer",
            found=f"{top:g} to {bottom:g} m, minimum_share {minimum_share:g}",
            expected="0 <= top < bottom and 0 < minimum_share <= 1",
        )
    names = np.array(
        [
            f"{network}/{station}"
            for network, station in zip(
                stations["network"].values, stations["station"].values, strict=True
            )
        ]
    )
    labels, first, number = _in_order(names)
    begin, end = (stations[name].values.astype("f8") for name in ("depth_from", "depth_to"))
    weight, reach = np.zeros(begin.size), np.zeros(begin.size)
    order = np.argsort(number, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(number[order])) + 1):
        weight[members] = layer_weights(begin[members], end[members], top, bottom)
        reach[members] = _reach(begin[members], end[members], weight[members], layer)
        _check_depths(labels[number[members[0]]], begin[members], end[members], weight[members])
    shape = (labels.size, begin.size)
    place = (number, np.arange(begin.size))
    by_weight, by_reach = (csr_array((one, place), shape=shape) for one in (weight, reach))
    values = array.values.astype("f8")
    is_read = ~np.isnan(values)
    total = by_weight @ is_read.astype("f8")
    # of a layer that sensors fill twice there is no more than all
    share = (by_reach @ is_read.astype("f8")) / (bottom - top)
    mean = (by_weight @ np.where(is_read, values, 0.0)) / np.where(total > 0, total, 1.0)
    is_enough = (total > 0) & (share >= minimum_share - 1e-9)
    if not is_enough.any():
        depths = sorted({f"{a:g}-{b:g}" for a, b in zip(begin, end, strict=True)})
        raise NoOverlap(
            f"layer {top:g} to {bottom:g} m",
            found=f"no station that measures {minimum_share:.0%} of it at any time; sensors are at "
            f"{', '.join(depths)} m",
            expected="sensors in the layer",
            remedy="Name another layer, or a smaller minimum_share.",
        )
    short = stations["station"].values[first].astype(str)
    is_one = np.unique(short).size == short.size
    attrs = {**array.attrs, "depth_from": top, "depth_to": bottom}
    return xr.Dataset(
        {
            "soil_moisture": (("station", "time"), np.where(is_enough, mean, np.nan), attrs),
            "measured_share": ("station", np.minimum(by_reach.sum(axis=1) / (bottom - top), 1.0)),
        },
        coords={
            "station": short if is_one else labels,
            "time": stations["time"].values,
            **{name: ("station", stations[name].values[first]) for name in _KEPT},
        },
    )


def _in_order(names: npt.NDArray[np.str_]) -> tuple[npt.NDArray[np.str_], Integers, Integers]:
    """Give each name once, in the order of appearance; where it is first, and the number of each."""
    _, first, number = np.unique(names, return_index=True, return_inverse=True)
    rank = np.empty(first.size, "i8")
    rank[np.argsort(first)] = np.arange(first.size)
    first = np.sort(first)
    return names[first], first, rank[number]


def _reach(begin: Floats, end: Floats, weight: Floats, layer: Layer) -> Floats:
    """Give the thickness that each sensor measures: at most as far below a probe as above it."""
    depth = (begin + end) / 2
    is_probe = end - begin <= TOLERANCE
    reach = weight.copy()
    order = [
        place for place in np.argsort(depth, kind="stable") if is_probe[place] and weight[place] > 0
    ]
    top = layer[0]
    for place in order:
        above = depth[place] - top
        reach[place] = min(weight[place], 2 * above)
        top += weight[place]
    return reach


def _check_depths(name: str, begin: Floats, end: Floats, weight: Floats) -> None:
    layers = list(zip(begin.tolist(), end.tolist(), strict=True))
    # of two probes at one depth the second weighs nothing: what lies between them has no thickness
    for one in sorted({layers[place] for place in np.flatnonzero(weight)}):
        if layers.count(one) > 1:
            raise ValueProblem(
                f"station {name}",
                found=f"{layers.count(one)} sensors at {one[0]:g} to {one[1]:g} m",
                expected="one sensor a depth",
                remedy="Merge them with vadose.products.stations.merge_sensors, or drop all but one.",
            )
