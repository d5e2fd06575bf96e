"""Stations of a run: where they are, what they measured, and whether they judge the product."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.serve.answers import Line, NearStation, numbers_of
from vadose.serve.catalogue import label_times

#: Mean radius of the earth, km.
RADIUS = 6371.0


@dataclass(frozen=True)
class Stations:
    """Hold the stations of a run: places, names and the daily series ``(station, time)``.

    Attributes
    ----------
    verdicts
        Why a station judges nothing, by its name; empty where it judges. None where the run has no scores
        at stations yet.
    """

    data: xr.Dataset
    verdicts: Mapping[str, str] | None = None

    @classmethod
    def of(cls, run: Path, method: str = "") -> Stations | None:
        """Read the stations of a run, and whether they judge a method of it.

        None where the run has no stations that can be read.
        """
        path = run / "stations.nc"
        if not path.is_file():
            return None
        try:
            with xr.open_dataset(path, engine="h5netcdf") as opened:
                data = opened.load()
        except (OSError, ValueError, KeyError):
            return None
        needed = {"station", "lat", "lon", "soil_moisture"}
        if not needed <= set(map(str, data.variables)):
            return None
        return cls(data, read_verdicts(run / "validation" / "stations.csv", method))

    def as_geojson(self) -> dict[str, Any]:
        """Give the places as GeoJSON points with name, network and number of values."""
        counts = np.isfinite(self.data["soil_moisture"].values).sum(axis=1)
        features = [
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [_rounded(lon), _rounded(lat)]},
                "properties": {
                    "name": str(name),
                    "network": network,
                    "values": int(count),
                    "depth": self._depth(place),
                    "judges": None if self.verdicts is None else not self._verdict(place),
                    "verdict": self._verdict(place),
                },
            }
            for place, (name, network, lon, lat, count) in enumerate(
                zip(
                    self.data["station"].values,
                    self._networks(),
                    self.data["lon"].values,
                    self.data["lat"].values,
                    counts,
                    strict=True,
                )
            )
        ]
        return {"type": "FeatureCollection", "features": features}

    def nearest(self, longitude: float, latitude: float, within: float) -> tuple[int, float] | None:
        """Give the nearest station with a value, and how far it is in km; None beyond `within`."""
        distances = great_circle(
            longitude, latitude, self.data["lon"].values, self.data["lat"].values
        )
        has_values = np.isfinite(self.data["soil_moisture"].values).any(axis=1)
        distances = np.where(has_values, distances, np.inf)
        if not distances.size or distances.min() > within:
            return None
        place = int(distances.argmin())
        return place, float(distances[place])

    def line(self, place: int, first: np.datetime64, last: np.datetime64) -> Line:
        """Give the series of one station between two stamps, gaps left out."""
        values = self.data["soil_moisture"].values[place]
        times = self.data["time"].values.astype("M8[ns]")
        kept = np.isfinite(values) & (times >= first) & (times < last + np.timedelta64(1, "D"))
        unit = str(self.data["soil_moisture"].attrs.get("units", "m3 m-3"))
        title = f"Station {self.data['station'].values[place]}"
        return Line(
            name="station",
            title=title,
            unit=unit,
            kind="dots",
            time=list(label_times(times[kept])) if kept.any() else [],
            value=numbers_of(values[kept]),
        )

    def describe(self, place: int, distance: float) -> NearStation:
        """Name a station."""
        return NearStation(
            name=str(self.data["station"].values[place]),
            network=self._networks()[place],
            distance_km=round(distance, 2),
            depth=self._depth(place),
            verdict=self._verdict(place),
        )

    def _verdict(self, place: int) -> str:
        if self.verdicts is None:
            return ""
        return self.verdicts.get(str(self.data["station"].values[place]), "it is not scored")

    def _networks(self) -> list[str]:
        if "network" not in self.data.variables:
            return [""] * self.data.sizes["station"]
        return [str(name) for name in np.atleast_1d(self.data["network"].values)]

    def _depth(self, place: int) -> str:
        if not {"depth_from", "depth_to"} <= set(map(str, self.data.variables)):
            return ""
        top, bottom = (
            float(np.atleast_1d(self.data[name].values)[place])
            for name in ("depth_from", "depth_to")
        )
        return f"{100 * top:g} cm" if top == bottom else f"{100 * top:g}–{100 * bottom:g} cm"


def read_verdicts(path: Path, method: str) -> dict[str, str] | None:
    """Read from the scores at stations which of them judge a method; None where there are no scores."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row.get("view", "values") == "values"]
    except (OSError, ValueError, csv.Error):
        return None
    if not rows or not {"product", "station", "n", "is_used"} <= set(rows[0]):
        return None
    rows = [row for row in rows if row["product"] == method] or rows
    few = {row["station"]: f"{row['n']} values shared with all methods" for row in rows}
    used = {row["station"] for row in rows if row["is_used"] == "True"}
    return {name: "" if name in used else words for name, words in few.items()}


def great_circle(
    longitude: float, latitude: float, longitudes: npt.NDArray[Any], latitudes: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Give distances in km on a sphere.

    Examples
    --------
    >>> float(great_circle(0.0, 0.0, np.array([0.0]), np.array([1.0]))[0].round(1))
    111.2
    """
    here, there = np.radians(latitude), np.radians(latitudes.astype("f8"))
    turn = np.radians(longitudes.astype("f8") - longitude)
    half = np.sin((there - here) / 2) ** 2 + np.cos(here) * np.cos(there) * np.sin(turn / 2) ** 2
    return np.asarray(2 * RADIUS * np.arcsin(np.sqrt(np.clip(half, 0, 1))))


def _rounded(degrees: Any) -> float:
    return round(float(degrees), 5)
