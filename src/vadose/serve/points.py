"""What holds at one place: the value under the pointer, and series of all that the run knows there."""

from __future__ import annotations

from typing import Any

import numpy as np

from vadose.schema.flags import ORIGIN
from vadose.serve.answers import Line, Series, Value, numbers_of
from vadose.serve.catalogue import Catalogue, Layer, label_times
from vadose.serve.fields import cell_at, read
from vadose.serve.stations import Stations
from vadose.serve.sureness import band_at

#: Layers whose series are drawn, in this order, where the run has them.
DRAWN = ("fine", "corrected", "coarse", "observed", "truth")


def value_at(
    catalogue: Catalogue, layer: Layer, time: str, longitude: float, latitude: float
) -> Value:
    """Read the value of a layer at a place."""
    number = _cell(layer, time, longitude, latitude)
    meaning = ""
    if layer.is_class and number is not None:
        meaning = _word(number)
    origin = catalogue.layers.get("fine-origin")
    words = ""
    if origin is not None and layer.name == "fine":
        code_there = _cell(origin, time, longitude, latitude)
        words = "" if code_there is None else _word(code_there)
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
            value=numbers_of(values[steps]),
            origin=_origins(catalogue, name, labels, place),
        )
        lines.append(line)
    bands = [
        band
        for name in ("fine", "corrected")
        if (band := band_at(catalogue, name, longitude, latitude))
    ]
    lines += _rain(catalogue, longitude, latitude)
    found = stations.nearest(longitude, latitude, within) if stations is not None else None
    near = None
    span = _span(catalogue)
    if stations is not None and found is not None and span is not None:
        near = stations.describe(*found)
        lines.append(stations.line(found[0], *span))
    return Series(longitude=longitude, latitude=latitude, lines=lines, bands=bands, station=near)


def _origins(
    catalogue: Catalogue, name: str, labels: list[str], place: tuple[int, int]
) -> list[str] | None:
    """Say of each value of a product where it comes from; on one grid with the product."""
    layer, product = catalogue.layers.get(f"{name}-origin"), catalogue.layers[name]
    if layer is None or tuple(layer.source.grid.shape) != tuple(product.source.grid.shape):
        return None
    codes = layer.source.series(*place)
    steps = [layer.steps.get(label) for label in labels]
    return ["" if step is None else _word(codes[step]) for step in steps]


def _word(code: Any) -> str:
    place = int(code)
    return ORIGIN.meanings[place] if place < len(ORIGIN.meanings) else "unknown"


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
            value=numbers_of(source.series(*place)),
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
