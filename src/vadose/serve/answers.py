"""The forms in which the server says what holds at one place."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field


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
    origin: list[str] | None = Field(
        default=None,
        description="Where each value of a product comes from; null where it is not told.",
    )


class Band(BaseModel):
    """Is how far the values of a series may be off: an interval, or a standard error on both sides."""

    name: str = Field(description="Of the series.")
    title: str
    unit: str
    time: list[str]
    low: list[float | None]
    high: list[float | None]


class NearStation(BaseModel):
    """Is the station next to a place."""

    name: str
    network: str
    distance_km: float
    depth: str
    verdict: str = Field("", description="Why it judges nothing; empty where it does.")


class Series(BaseModel):
    """Is all that the run knows of a place over time."""

    longitude: float
    latitude: float
    lines: list[Line]
    bands: list[Band] = Field(default=[])
    station: NearStation | None = Field(default=None)


def numbers_of(values: npt.NDArray[Any]) -> list[float | None]:
    """Give values to six digits, as JSON has them: null where there is none.

    Examples
    --------
    >>> numbers_of(np.array([0.12345678, np.nan]))
    [0.123457, None]
    """
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values.tolist()]
