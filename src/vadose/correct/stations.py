"""What correctors learn from and speak of: values of a product, and what stations read there.

Points are rows of a table: a cell or a station at a time. A matchup of `vadose.validate.pairs.match`, a
plain table and a cube are all brought to them, so that a corrector is written once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from vadose.errors import CubeProblem, UnknownName, ValueProblem

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]
#: What a point differs from the mean of its square kilometre by, m³ m⁻³, in a sparse network.
REPRESENTATIVENESS = 0.02


@dataclass(frozen=True, eq=False)
class Points:
    """Hold values of a product and where and when they stand, one row each.

    Attributes
    ----------
    predicted
        Of the product, m³ m⁻³; NaN in gaps.
    time
        Start of the interval, UTC; not a time where the product has none.
    longitude, latitude
        Degrees, WGS 84.
    predictors
        What else is known there, by name; NaN in gaps.
    """

    predicted: Floats
    time: Times
    longitude: Floats
    latitude: Floats
    predictors: Mapping[str, Floats] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.predicted)

    def table(self, names: Sequence[str]) -> Floats:
        """Give predictors as columns, dims ``(point, predictor)``.

        Raises
        ------
        UnknownName
            A predictor that is not there.
        """
        for name in names:
            if name not in self.predictors:
                raise UnknownName("predictor of the correction", name, self.predictors)
        columns = [np.asarray(self.predictors[name], "f8") for name in names]
        return np.stack(columns, axis=1) if columns else np.empty((len(self), 0))


@dataclass(frozen=True, eq=False)
class Pairs(Points):
    """Hold values of a product with the readings of stations.

    Attributes
    ----------
    observed
        Readings, m³ m⁻³; NaN in gaps.
    station
        Number of the station of each row, along `stations`.
    stations
        Coordinates ``station``, ``network``, ``lat`` and ``lon`` along ``station``.
    product
        For a product that stations enter, such as the mean of all probes: gives its values at rows when
        it is made of the stations told of alone (true or false along `stations`), without that of the row
        itself. What is held out then is kept out of the product too.
    """

    observed: Floats = field(kw_only=True)
    station: Integers = field(kw_only=True)
    stations: xr.Dataset = field(kw_only=True)
    product: Callable[[Pairs, Mask], Floats] | None = field(default=None, kw_only=True)

    def rows(self, is_kept: Mask | Integers) -> Self:
        """Give some of the rows; the stations keep their numbers."""
        return replace(
            self,
            predicted=self.predicted[is_kept],
            time=self.time[is_kept],
            longitude=self.longitude[is_kept],
            latitude=self.latitude[is_kept],
            predictors={name: one[is_kept] for name, one in self.predictors.items()},
            observed=self.observed[is_kept],
            station=self.station[is_kept],
        )

    def made_of(self, is_used: Mask) -> Self:
        """Give the product as it is when only these stations may enter it."""
        if self.product is None:
            return self
        return replace(self, predicted=self.product(self, is_used))

    def known(self, predictors: Sequence[str] = ()) -> Self:
        """Give the rows that have a value, a reading and these predictors."""
        is_known = np.isfinite(self.predicted) & np.isfinite(self.observed)
        is_known &= np.isfinite(self.table(predictors)).all(axis=1)
        return self.rows(is_known)

    def used(self) -> Mask:
        """Tell which stations have a row."""
        return np.bincount(self.station, minlength=self.stations.sizes["station"]) > 0

    def station_means(self, values: Floats) -> tuple[Integers, Floats]:
        """Give the numbers of the stations that have rows, and the means of a column at each."""
        numbers, place = np.unique(self.station, return_inverse=True)
        return numbers, np.bincount(place, values) / np.bincount(place)


def pairs_of(matchup: xr.Dataset, product: str, *, predictors: xr.Dataset | None = None) -> Pairs:
    """Take the common sample of one product out of a matchup.

    Parameters
    ----------
    matchup
        What `vadose.validate.pairs.match` gives: ``value (product, station, time)``, ``reading`` and
        ``is_pair (station, time)``, m³ m⁻³, with ``lat`` and ``lon`` of the stations.
    product
        Which to correct.
    predictors
        What else is known at the stations, dims among ``station, time`` with the same labels; as by
        ``vadose.validate.match.at_stations``.

    Raises
    ------
    UnknownName
        No such product.
    CubeProblem
        Stations without places, or predictors of other stations or times.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> from vadose.validate.pairs import match
    >>> small = world(size=16, days=12, factor=4, seed=0)
    >>> pairs = pairs_of(match({"coarse": small.coarse["soil_moisture"]}, small.stations), "coarse")
    >>> len(pairs), pairs.stations.sizes["station"]
    (80, 12)
    """
    names = [str(name) for name in matchup["product"].values]
    if product not in names:
        raise UnknownName("product", product, names)
    _need_places(matchup)
    value = matchup["value"].isel(product=names.index(product)).transpose("station", "time")
    is_pair = matchup["is_pair"].transpose("station", "time").values
    station, step = np.nonzero(is_pair)
    taken = {}
    for name, one in ({} if predictors is None else predictors.data_vars).items():
        try:
            laid, _ = xr.broadcast(*xr.align(one, value, join="exact"))
        except ValueError as error:
            raise CubeProblem(
                f"predictor {name}",
                found=f"other stations or times ({dict(one.sizes)})",
                expected=f"those of the matchup ({dict(value.sizes)})",
            ) from error
        taken[str(name)] = laid.transpose("station", "time").values[station, step].astype("f8")
    return Pairs(
        predicted=value.values[station, step].astype("f8"),
        time=matchup["time"].values.astype("M8[ns]")[step],
        longitude=matchup["lon"].values.astype("f8")[station],
        latitude=matchup["lat"].values.astype("f8")[station],
        predictors=taken,
        observed=matchup["reading"].transpose("station", "time").values[is_pair].astype("f8"),
        station=station.astype("i8"),
        stations=_described(matchup),
    )


def pairs_of_table(
    table: pd.DataFrame,
    *,
    predicted: str,
    observed: str,
    predictors: Sequence[str] = (),
) -> Pairs:
    """Take pairs from a plain table.

    Parameters
    ----------
    table
        One row a station and time: ``station``, ``lat``, ``lon``, ``time``, perhaps ``network``, and the
        columns named.
    predicted, observed
        Columns of the product and of the readings, m³ m⁻³; NaN in gaps.
    predictors
        Columns of what else is known.

    Raises
    ------
    UnknownName
        A column that is not there.
    ValueProblem
        A station at two places.

    Examples
    --------
    >>> rows = pd.DataFrame({"station": ["a", "a"], "lat": 1.0, "lon": 2.0,
    ...     "time": pd.to_datetime(["2020-01-01", "2020-01-02"]), "sm": [0.2, 0.3], "read": [0.1, 0.2]})
    >>> pairs_of_table(rows, predicted="sm", observed="read").observed
    array([0.1, 0.2])
    """
    for name in ("station", "lat", "lon", "time", predicted, observed, *predictors):
        if name not in table:
            raise UnknownName("column", name, map(str, table.columns))
    network = (
        table["network"].astype(str) if "network" in table else pd.Series("", index=table.index)
    )
    labels = pd.MultiIndex.from_arrays([network, table["station"].astype(str)])
    station, unique = pd.factorize(labels, sort=True)
    places = table[["lat", "lon"]].groupby(station).agg(["min", "max"])
    for name in ("lat", "lon"):
        is_moved = (places[name, "max"] - places[name, "min"]).to_numpy() > 0
        if is_moved.any():
            raise ValueProblem(
                f"station {unique[int(np.argmax(is_moved))][1]}",
                found=f"more than one {name}",
                expected="one place a station",
                remedy="Name stations that were moved differently before and after.",
            )
    stations = xr.Dataset(
        coords={
            "station": [str(name) for _, name in unique],
            "network": ("station", [str(name) for name, _ in unique]),
            "lat": ("station", places["lat", "min"].to_numpy("f8")),
            "lon": ("station", places["lon", "min"].to_numpy("f8")),
        }
    )
    return Pairs(
        predicted=table[predicted].to_numpy("f8"),
        time=table["time"].to_numpy("M8[ns]"),
        longitude=table["lon"].to_numpy("f8"),
        latitude=table["lat"].to_numpy("f8"),
        predictors={name: table[name].to_numpy("f8") for name in predictors},
        observed=table[observed].to_numpy("f8"),
        station=station.astype("i8"),
        stations=stations,
    )


def _need_places(stations: xr.Dataset) -> None:
    if not {"station", "lat", "lon"} <= set(stations.coords):
        raise CubeProblem(
            "stations",
            found=f"coordinates {sorted(map(str, stations.coords))}",
            expected="also lat and lon along station",
        )


def _described(stations: xr.Dataset) -> xr.Dataset:
    count = stations.sizes["station"]
    network = stations["network"].values if "network" in stations.coords else np.full(count, "")
    return xr.Dataset(
        coords={
            "station": stations["station"].values.astype(str),
            "network": ("station", network.astype(str)),
            "lat": ("station", stations["lat"].values.astype("f8")),
            "lon": ("station", stations["lon"].values.astype("f8")),
        }
    )
