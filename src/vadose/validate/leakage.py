"""Guard against scores that are too good: stations that took part in making the product.

A score at a station says nothing if the station was learned from, corrected with, stopped early on or
counted in a statistic that conditions the model. What a target shares with predictors is told by
`vadose.validate.lineage`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.spatial import KDTree

from vadose.errors import CubeProblem, ValueProblem
from vadose.grids import grid_of
from vadose.samples.blocks import EARTH
from vadose.validate.match import find_cells

Floats = npt.NDArray[np.float64]

#: Distance (km) under which two stations share what was learned: a fine cell has one value for both.
DISTANCE = 1.0
#: Distance (km) from which stations without a network are not the same, whatever their names: "1", "2".
FAR = 20.0
#: Stations that a message lists.
LISTED = 12


@dataclass(frozen=True)
class Dependence:
    """Say how a station took part.

    Attributes
    ----------
    station
        ``network/station``, or the name alone.
    role
        What it was used for: the key of ``used``.
    how
        ``same name``, or the distance to a station used.
    """

    station: str
    role: str
    how: str

    def __str__(self) -> str:
        """Give one line for messages."""
        return f"{self.station} ({self.role}: {self.how})"


def find_dependent(
    stations: xr.Dataset,
    used: Mapping[str, Iterable[str] | xr.Dataset],
    *,
    distance: float = DISTANCE,
) -> list[Dependence]:
    """Find stations that took part in making a product.

    Parameters
    ----------
    stations
        To be scored at: ``station`` names and, where known, ``network``, ``lat``, ``lon`` (degrees) along
        one dim.
    used
        By role (training, correction, early stopping, station statistics), the stations that were used:
        names, ``network/station`` or ``station``; or such a dataset, whose places are compared too. Names
        count as the same whatever their case and punctuation.
    distance
        Stations nearer than this (km) to one that was used are the same for this purpose, whatever they
        are called; 0 compares names alone.

    Returns
    -------
    list of Dependence
        In the order of the stations and roles; empty where all are independent.

    Raises
    ------
    CubeProblem
        No station names.
    ValueProblem
        A distance below 0, or a text in the place of a list of names.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> stations = world(size=16, days=2, factor=4, seed=0).stations
    >>> for one in find_dependent(stations, {"training": ["S03", "hills/s12"]}):
    ...     print(one)
    HILLS/S03 (training: same name)
    HILLS/S12 (training: same name)
    """
    if not distance >= 0:
        raise ValueProblem("distance", found=f"{distance:g}", expected="0 km or more")
    names, places = _names(stations), _places(stations)
    found = []
    for role, others in used.items():
        if isinstance(others, xr.Dataset):
            other_names, other_places = _names(others), _places(others)
        elif isinstance(others, str):
            # its letters would be taken for names, and no station would be found
            raise ValueProblem(
                f"stations used for {role}",
                found=f"the text {others!r}",
                expected="a list of names, or a dataset of stations",
            )
        else:
            other_names, other_places = [_parted(str(name)) for name in others], None
        networks: dict[str, set[str]] = {}
        for network, station in other_names:
            networks.setdefault(_plain(station), set()).add(_plain(network))
        nearest = np.full(len(names), np.inf)
        if places is not None and other_places is not None and other_names:
            nearest = _nearest(places, other_places)
        for place, name in enumerate(names):
            how = ""
            if _is_named(name, networks, nearest[place]):
                how = "same name"
            elif nearest[place] < distance:
                how = f"{nearest[place]:.2f} km from one"
            if how:
                found.append(
                    (place, Dependence("/".join(part for part in name if part), role, how))
                )
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def check_independent(
    stations: xr.Dataset,
    used: Mapping[str, Iterable[str] | xr.Dataset],
    *,
    distance: float = DISTANCE,
) -> None:
    """Refuse to score at stations that took part in making the product.

    Parameters
    ----------
    stations, used, distance
        As in `find_dependent`.

    Raises
    ------
    ValueProblem
        A station took part; the message lists them, with their role and how they were recognised.
    CubeProblem
        No station names.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> stations = world(size=16, days=2, factor=4, seed=0).stations
    >>> check_independent(stations, {"training": ["S13"]})
    >>> check_independent(stations, {"correction": ["S01"]})
    Traceback (most recent call last):
    vadose.errors.ValueProblem: stations: found 1 of 12 that took part: HILLS/S01 (correction: same \
name), expected stations that the product has not seen. Leave them out, or hold them out with \
vadose.samples.leave_stations_out before the product is made.
    """
    found = find_dependent(stations, used, distance=distance)
    if not found:
        return
    different = len({one.station for one in found})
    words = "; ".join(map(str, found[:LISTED]))
    if len(found) > LISTED:
        words += f"; and {len(found) - LISTED} more"
    raise ValueProblem(
        "stations",
        found=f"{different} of {len(_names(stations))} that took part: {words}",
        expected="stations that the product has not seen",
        remedy="Leave them out, or hold them out with vadose.samples.leave_stations_out before the "
        "product is made.",
    )


def shared_cell_days(stations: xr.Dataset, trained: xr.DataArray) -> xr.DataArray:
    """Count the readings whose coarse cell and day were learned from.

    The station itself may be new to the model and its coarse value not: then the score is one of
    repeating the target, and belongs beside one on cells and days that were held out.

    Parameters
    ----------
    stations
        ``soil_moisture (station, time)``; NaN where there is no reading.
    trained
        Coarse cells and days that were learned from, true or false, dims ``time, y, x`` or ``y, x``: the
        ``train`` part of a `vadose.samples.Split` on the grid of the target.

    Returns
    -------
    xarray.DataArray
        By ``station``, the number of station-days with a reading that were; ``n_readings``, a coordinate,
        is the number of all of them. Stations outside the grid share nothing.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> small = world(size=16, days=6, factor=4, seed=0)
    >>> trained = small.coarse["soil_moisture"].notnull() & (small.coarse["time"] < small.coarse["time"][3])
    >>> shared = shared_cell_days(small.stations, trained)
    >>> bool((shared <= shared["n_readings"]).all()), 0 < int(shared.sum()) < int(shared["n_readings"].sum())
    (True, True)
    """
    if trained.dtype != bool or not {"y", "x"} <= set(trained.dims) <= {"time", "y", "x"}:
        raise CubeProblem(
            "trained",
            found=f"{trained.dtype} with dims {trained.dims}",
            expected="true or false with dims [time,] y, x",
        )
    rows, columns = find_cells(grid_of(trained), stations)
    taken = trained.transpose(..., "y", "x").values[..., rows, columns] & (rows >= 0)
    day = stations["time"].values.astype("M8[D]")
    if "time" in trained.dims:
        trained_days = trained["time"].values.astype("M8[D]")
        order = np.unique(trained_days, return_index=True)
        taken = np.logical_or.reduceat(taken[np.argsort(trained_days, kind="stable")], order[1])
        place = np.minimum(np.searchsorted(order[0], day), order[0].size - 1)
        is_trained = taken[place].T & (order[0][place] == day)
    else:
        is_trained = np.broadcast_to(taken[:, None], (taken.size, day.size))
    is_read = stations["soil_moisture"].transpose("station", "time").notnull().values
    starts = np.unique(day, return_index=True)[1]
    per_day = [
        np.logical_or.reduceat(one, starts, axis=1) for one in (is_read, is_read & is_trained)
    ]
    number, shared = (one.sum(axis=1) for one in per_day)
    return xr.DataArray(
        shared,
        dims="station",
        coords={
            **{name: one for name, one in stations.coords.items() if one.dims == ("station",)},
            "n_readings": ("station", number),
        },
        name="shared_cell_days",
    )


def _names(stations: xr.Dataset) -> list[tuple[str, str]]:
    """Give network and name of each station; the network is empty where it is not known."""
    if "station" not in stations.coords:
        raise CubeProblem(
            "stations",
            found=f"coordinates {sorted(map(str, stations.coords))}",
            expected="station, the names",
        )
    names = np.atleast_1d(stations["station"].values).astype(str)
    if "network" not in stations.coords:
        return [_parted(name) for name in names]
    networks = np.atleast_1d(stations["network"].values).astype(str)
    return list(zip(networks.tolist(), names.tolist(), strict=True))


def _parted(name: str) -> tuple[str, str]:
    network, _, station = name.rpartition("/")
    return network, station


def _is_named(name: tuple[str, str], networks: Mapping[str, set[str]], distance: float) -> bool:
    """Compare names; without a network on either side, only of stations not known to be far apart."""
    network, others = _plain(name[0]), networks.get(_plain(name[1]), set())
    if network and network in others:
        return True
    is_network_open = bool(others) if not network else "" in others
    return is_network_open and not FAR < distance < np.inf


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _places(stations: xr.Dataset) -> Floats | None:
    """Give places on a sphere of the size of the Earth, km; None where they are not known."""
    if not {"lat", "lon"} <= set(stations.coords):
        return None
    latitude, longitude = (
        np.radians(np.atleast_1d(stations[name].values).astype("f8")) for name in ("lat", "lon")
    )
    level = np.cos(latitude)
    places = [level * np.cos(longitude), level * np.sin(longitude), np.sin(latitude)]
    return EARTH * np.stack(places, axis=-1)


def _nearest(places: Floats, others: Floats) -> Floats:
    """Give the distance (km) to the nearest of the others; infinite where a place is not known."""
    known, known_others = (np.isfinite(one).all(axis=1) for one in (places, others))
    nearest = np.full(len(places), np.inf)
    if known.any() and known_others.any():
        chord, _ = KDTree(others[known_others]).query(places[known])
        nearest[known] = 2 * EARTH * np.arcsin(np.clip(chord / (2 * EARTH), 0.0, 1.0))
    return nearest
