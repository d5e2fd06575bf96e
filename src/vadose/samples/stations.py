"""Splits of stations: some, or a whole network, are held out."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.errors import CubeProblem, UnknownName, ValueProblem
from vadose.samples.blocks import Rng, check_fold, check_least, deal, near_places
from vadose.samples.parts import Split, cell_of
from vadose.samples.splits import FOLDS

Mask = npt.NDArray[np.bool_]


def leave_stations_out(
    stations: xr.Dataset,
    *,
    rng: Rng,
    folds: int = FOLDS,
    fold: int = 0,
    distance: float = 0.0,
    grid: GeoBox | None = None,
) -> Split:
    """Hold out stations.

    They are dealt to the folds at random. One fold is the test part, the next one validates (with two
    folds, none does). Stations at one place are not parted.

    Parameters
    ----------
    stations
        Dims ``station[, time]`` with ``lat`` and ``lon`` (degrees) along ``station``.
    rng
        Seed or generator. All folds of one seed fit together.
    folds, fold
        Number of folds, and which of them to test, from 0.
    distance
        Training stations nearer than this (km) to one that is held out are dropped, as are validating
        ones near the test.
    grid
        Grid of the coarse targets: stations in one of its cells are not parted either.

    Returns
    -------
    Split
        Dims ``station``; the groups are the places, or the cells.

    Raises
    ------
    CubeProblem
        No stations with places.
    ValueProblem
        Fewer places than folds, a fold that is none, or a distance that leaves nothing to train on.

    Examples
    --------
    >>> import vadose.synthetic
    >>> stations = vadose.synthetic.world(size=16, days=8, factor=4).stations
    >>> leave_stations_out(stations, rng=0, folds=3).title
    'stations, fold 1 of 3'
    """
    check_fold(fold, folds)
    unit = _units(stations, grid)
    dealt = deal(unit, folds, rng, what="cells with stations" if grid else "places of stations")
    is_test, is_held = dealt == fold, (dealt == (fold + 1) % folds) & (folds > 2)
    title = f"stations, fold {fold + 1} of {folds}{_apart(distance)}"
    return _split(stations, is_test, is_held, unit, distance, scheme="stations", title=title)


def leave_network_out(
    stations: xr.Dataset,
    network: str | None = None,
    *,
    fold: int | None = None,
    distance: float = 0.0,
    grid: GeoBox | None = None,
    rng: Rng | None = None,
) -> Split:
    """Hold out a network; all others are learned from, and none validates.

    Networks differ in sensors and calibration: this is the test nearest to a region never seen.

    Parameters
    ----------
    stations
        Dims ``station[, time]`` with ``lat``, ``lon`` and ``network`` along ``station``.
    network
        Which to test.
    fold
        Or its number among the networks in alphabetical order, from 0.
    distance, grid
        As for `leave_stations_out`: stations of other networks that are too near, or in one cell with
        the test, are dropped.
    rng
        Not used, as nothing is random; there so that all schemes are called alike.

    Returns
    -------
    Split
        Dims ``station``; the groups are the networks.

    Raises
    ------
    UnknownName
        No such network; the message lists them.
    CubeProblem
        No stations with places and networks.
    ValueProblem
        Only one network, or nothing left to train on.
    """
    unit = _units(stations, grid)
    names = networks(stations)
    if network is None:
        check_fold(fold or 0, len(names))
        network = names[fold or 0]
    elif fold is not None:
        raise ValueProblem("fold", found=f"{fold} and network {network!r}", expected="one of them")
    if network not in names:
        raise UnknownName("network", network, names)
    of_station = stations["network"].values.astype(str)
    is_test = of_station == network
    title = f"network {network} held out{_apart(distance)}"
    number = np.unique(of_station, return_inverse=True)[1]
    nobody = np.zeros_like(is_test)
    return _split(
        stations,
        is_test,
        nobody,
        unit,
        distance,
        scheme="network",
        title=title,
        groups=number.astype(np.int64),
    )


def networks(stations: xr.Dataset) -> list[str]:
    """List the networks in alphabetical order.

    Raises
    ------
    CubeProblem
        The stations have no networks.
    """
    if "network" not in stations.coords:
        raise CubeProblem(
            "stations",
            found=f"coordinates {sorted(map(str, stations.coords))}",
            expected="also network along station",
        )
    return [str(name) for name in np.unique(stations["network"].values.astype(str))]


def _split(
    stations: xr.Dataset,
    is_test: Mask,
    is_held: Mask,
    unit: npt.NDArray[np.int64],
    distance: float,
    *,
    scheme: str,
    title: str,
    groups: npt.NDArray[np.int64] | None = None,
) -> Split:
    """Take from training and validation what is near to, or in one unit with, what is held out."""
    check_least("distance", distance, 0)
    place = stations["lon"].values.astype("f8"), stations["lat"].values.astype("f8")

    def reach(chosen: Mask) -> Mask:
        return near_places(*place, chosen, distance) | np.isin(unit, unit[chosen])

    near_test = reach(is_test)
    validation = is_held & ~near_test
    train = ~near_test & ~is_held & ~reach(validation)
    return Split.of(
        (train, validation, is_test, unit if groups is None else groups),
        dims=("station",),
        coords=_station_coords(stations),
        scheme=scheme,
        title=title,
    )


def _units(stations: xr.Dataset, grid: GeoBox | None) -> npt.NDArray[np.int64]:
    """Give a number to what must stay together: the cells of a grid, or the places."""
    if "station" not in stations.dims or not {"lat", "lon"} <= set(stations.coords):
        raise CubeProblem(
            "stations",
            found=f"dimensions {tuple(map(str, stations.dims))}, coordinates "
            f"{sorted(map(str, stations.coords))}",
            expected="dimension station, with lat and lon along it",
            remedy="Choose a layer first; raw data have a dimension sensor.",
        )
    place = np.stack([stations["lon"].values, stations["lat"].values], axis=1).astype("f8")
    if not np.isfinite(place).all():
        lost = stations["station"].values[~np.isfinite(place).all(axis=1)]
        raise ValueProblem(
            "stations", found=f"no place of {', '.join(map(str, lost[:5]))}", expected="lat and lon"
        )
    if grid is not None:
        return cell_of(grid, place[:, 0], place[:, 1])
    return np.unique(place, axis=0, return_inverse=True)[1].ravel().astype(np.int64)


def _station_coords(stations: xr.Dataset) -> dict[Hashable, xr.DataArray]:
    return {name: coord for name, coord in stations.coords.items() if coord.dims == ("station",)}


def _apart(distance: float) -> str:
    return f", {distance:g} km between training and test" if distance else ""
