"""What holds at one place: the value under the pointer, and series of all that the run knows there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from pydantic import BaseModel, Field

from vadose.schema.flags import ORIGIN
from vadose.serve.catalogue import Catalogue, Layer, label_times
from vadose.serve.fields import cell_at, read

#: Mean radius of the earth, km.
RADIUS = 6371.0
#: Layers whose series are drawn, in this order, where the run has them.
DRAWN = ("fine", "corrected", "coarse", "observed", "truth")


class Value(BaseModel):
    """Is the value of a layer at a place and time."""

    layer: str
    time: str
    value: float | None = Field(description="Null where there is no value.")
    meaning: str = Field("", description="What a code means; empty for numbers.")
    unit: str
    origin: str = Field("", description="Where the value of the product comes from.")


class Line(BaseModel):
    """Is one series."""

    name: str
    title: str
    unit: str
    kind: Literal["line", "bars", "dots"]
    time: list[str]
    value: list[float | None]


class NearStation(BaseModel):
    """Is the station next to a place."""

    name: str
    network: str
    distance_km: float
    depth: str


class Series(BaseModel):
    """Is all that the run knows of a place over time."""

    longitude: float
    latitude: float
    lines: list[Line]
    station: NearStation | None = None


@dataclass(frozen=True)
class Stations:
    """Hold the stations of a run: places, names and the daily series ``(station, time)``."""

    data: xr.Dataset

    @classmethod
    def of(cls, run: Path) -> Stations | None:
        """Read the stations of a run; None where it has none that can be read."""
        path = run / "stations.nc"
        if not path.is_file():
            return None
        try:
            with xr.open_dataset(path, engine="h5netcdf") as opened:
                data = opened.load()
        except (OSError, ValueError, KeyError):
            return None
        needed = {"station", "lat", "lon", "soil_moisture"}
        return cls(data) if needed <= set(map(str, data.variables)) else None

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
            value=_numbers(values[kept]),
        )

    def describe(self, place: int, distance: float) -> NearStation:
        """Name a station."""
        return NearStation(
            name=str(self.data["station"].values[place]),
            network=self._networks()[place],
            distance_km=round(distance, 2),
            depth=self._depth(place),
        )

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


def value_at(
    catalogue: Catalogue, layer: Layer, time: str, longitude: float, latitude: float
) -> Value:
    """Read the value of a layer at a place."""
    number = _cell(layer, time, longitude, latitude)
    meaning = ""
    if layer.is_class and number is not None:
        code = int(number)
        meaning = ORIGIN.meanings[code] if code < len(ORIGIN.meanings) else "unknown"
    origin = catalogue.layers.get("fine-origin")
    words = ""
    if origin is not None and layer.name == "fine":
        code_there = _cell(origin, time, longitude, latitude)
        words = "" if code_there is None else ORIGIN.meanings[int(code_there)]
    return Value(
        layer=layer.name, time=time, value=number, meaning=meaning, unit=layer.unit, origin=words
    )


def series_at(
    catalogue: Catalogue,
    stations: Stations | None,
    longitude: float,
    latitude: float,
    within: float,
    layer: Layer | None = None,
) -> Series:
    """Read the series of the product, the input, precipitation and the nearest station at a place.

    Parameters
    ----------
    within
        How far the station may be, km.
    layer
        A further layer to read.
    """
    names = [name for name in DRAWN if name in catalogue.layers]
    if layer is not None and layer.name not in names and not layer.is_class:
        names.append(layer.name)
    lines = []
    for name in names:
        one = catalogue.layers[name]
        place = cell_at(one.source.grid, longitude, latitude)
        if place is None:
            continue
        values = one.source.series(*place)
        labels = [*one.steps] if one.source.times.size else list(catalogue.times)
        steps = [one.steps[label] for label in labels]
        line = Line(
            name=name,
            title=one.title,
            unit=one.unit,
            kind="line",
            time=labels,
            value=_numbers(values[steps]),
        )
        lines.append(line)
    lines += _rain(catalogue, longitude, latitude)
    found = stations.nearest(longitude, latitude, within) if stations is not None else None
    near = None
    span = _span(catalogue)
    if stations is not None and found is not None and span is not None:
        near = stations.describe(*found)
        lines.append(stations.line(found[0], *span))
    return Series(longitude=longitude, latitude=latitude, lines=lines, station=near)


def _rain(catalogue: Catalogue, longitude: float, latitude: float) -> list[Line]:
    source = catalogue.precipitation
    place = cell_at(source.grid, longitude, latitude) if source is not None else None
    if source is None or place is None:
        return []
    return [
        Line(
            name="precipitation",
            title="Precipitation",
            unit="mm day-1",
            kind="bars",
            time=list(label_times(source.times)),
            value=_numbers(source.series(*place)),
        )
    ]


def _span(catalogue: Catalogue) -> tuple[np.datetime64, np.datetime64] | None:
    stamps = next(
        (one.source.times for one in catalogue.layers.values() if one.source.times.size), None
    )
    return None if stamps is None else (stamps[0], stamps[-1])


def _cell(layer: Layer, time: str, longitude: float, latitude: float) -> float | None:
    place = cell_at(layer.source.grid, longitude, latitude)
    step = layer.steps.get(time)
    if place is None or step is None:
        return None
    row, column = place
    cell = read(layer.source, step, slice(row, row + 1), slice(column, column + 1))
    number = float(cell[0, 0])
    return number if np.isfinite(number) else None


def _numbers(values: npt.NDArray[Any]) -> list[float | None]:
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values.tolist()]


def _rounded(degrees: Any) -> float:
    return round(float(degrees), 5)
