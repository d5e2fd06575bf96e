"""What the page is told: the run, its layers and times, and the colours of a layer."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, Field

from vadose.schema.colours import ORIGIN_COLOURS
from vadose.schema.flags import ORIGIN
from vadose.serve.catalogue import Catalogue, Layer
from vadose.serve.colours import SHADES, as_hex, shades

_UNITS = {"m3 m-3": "m³ m⁻³", "mm day-1": "mm day⁻¹", "kg m-2": "kg m⁻²", "day": "days", "1": ""}


class LayerInfo(BaseModel):
    """Describe one layer."""

    name: str
    title: str
    group: str
    unit: str
    is_class: bool
    times: list[str] | None = Field(description="Labels with a picture; null where all have one.")


class MapInfo(BaseModel):
    """Describe a run."""

    title: str
    method: str
    version: str
    notice: str
    bounds: tuple[float, float, float, float] = Field(
        description="West, south, east, north; east is beyond 180 across the antimeridian."
    )
    deepest: int = Field(description="Level at which cells are larger than forty dots.")
    times: list[str]
    layers: list[LayerInfo]
    absent: dict[str, str] = Field(
        default={}, description="Groups without a layer, and how to get one."
    )


class Shade(BaseModel):
    """Is one colour of a legend and what it means."""

    colour: str
    low: float | None = None
    high: float | None = None
    meaning: str = ""


class Legend(BaseModel):
    """Is the legend of a layer: shades from low to high, or classes."""

    layer: str
    title: str
    unit: str
    low: float | None
    high: float | None
    low_is_open: bool = Field(False, description="The first colour stands for lower values too.")
    high_is_open: bool = Field(False, description="The last colour stands for higher values too.")
    shades: list[Shade]
    no_value: str = Field(
        "", description="What is seen where there is no value; of classes, one of them."
    )


def describe(catalogue: Catalogue) -> MapInfo:
    """Describe a run for the page."""
    layers = [
        LayerInfo(
            name=layer.name,
            title=layer.title,
            group=layer.group,
            unit=pretty(layer.unit),
            is_class=layer.is_class,
            times=None if len(layer.steps) == len(catalogue.times) else list(layer.steps),
        )
        for layer in catalogue.layers.values()
    ]
    return MapInfo(
        title=catalogue.study.title,
        method=catalogue.study.source,
        version=catalogue.version,
        notice=catalogue.notice,
        bounds=catalogue.bounds,
        deepest=_deepest(catalogue),
        times=list(catalogue.times),
        layers=layers,
        absent=catalogue.absent,
    )


def legend_of(layer: Layer) -> Legend:
    """Give the colours of a layer: `SHADES` steps, or the classes that it has.

    Of a field too large to be looked through, the classes are all that a product can have.
    """
    if layer.is_class:
        low = high = None
        there = layer.classes
        steps = [
            Shade(colour=ORIGIN_COLOURS[meaning], meaning=meaning)
            for meaning in ORIGIN.meanings
            if there is None or ORIGIN.code(meaning) in there
        ]
    else:
        low, high = layer.low, layer.high
        edges = np.linspace(low, high, SHADES + 1)
        steps = [
            Shade(colour=as_hex(colour), low=round(float(start), 9), high=round(float(stop), 9))
            for colour, start, stop in zip(
                shades(layer.palette, SHADES), edges[:-1], edges[1:], strict=True
            )
        ]
    return Legend(
        layer=layer.name,
        title=layer.title,
        unit=pretty(layer.unit),
        low=low,
        high=high,
        low_is_open=bool(low),  # nothing that is shown is below 0, but for differences
        high_is_open=high is not None,
        shades=steps,
        no_value="" if layer.is_class else "the map below",
    )


def pretty(unit: str) -> str:
    """Give a unit as it is printed.

    Examples
    --------
    >>> pretty("m3 m-3")
    'm³ m⁻³'
    """
    return _UNITS.get(unit, unit)


def _deepest(catalogue: Catalogue) -> int:
    """Give the level at which the cells of the finest layer are larger than forty dots."""
    west, _, east, _ = catalogue.bounds
    columns = max(int(layer.source.grid.shape.x) for layer in catalogue.layers.values())
    degrees = max(east - west, 1e-6) / columns
    return int(np.clip(np.ceil(np.log2(360 / 256 / degrees * 40)), 3, 18))
