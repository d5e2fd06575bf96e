"""Colour tables of the layers: the report's, as 256 entries of red, green, blue and alpha."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from rio_tiler.colormap import cmap

from vadose.schema.colours import ORIGIN_COLOURS
from vadose.schema.flags import ORIGIN

Palette = Literal["moisture", "difference", "uncertainty", "age", "origin"]
Table = dict[int, tuple[int, int, int, int]]

#: Codes of a picture: 0 to `LAST` from the smallest to the largest value, `NONE` where there is no value.
LAST, NONE = 253, 255
#: Colours that a legend shows of a continuous palette.
SHADES = 16
#: Palette of rio-tiler (they are matplotlib's), and the part of it that is used.
_NAMED: dict[str, tuple[str, float]] = {
    "moisture": ("ylgnbu", 0.06),
    "difference": ("brbg", 0.0),
    "uncertainty": ("magma_r", 0.04),
    "age": ("cividis_r", 0.0),
}


def shades(palette: Palette, count: int) -> npt.NDArray[np.uint8]:
    """Give so many colours ``(count, 3)`` of a continuous palette, from its low to its high end."""
    name, start = _NAMED[palette]
    colours = cmap.get(name)
    places = np.linspace(start, 1.0, count) * 255
    return np.array([colours[int(place)][:3] for place in places], "u1")


def table(palette: Palette) -> Table:
    """Give the colour of every code of a picture.

    Examples
    --------
    >>> table("moisture")[NONE], table("origin")[ORIGIN.code("observed")]
    ((0, 0, 0, 0), (0, 114, 178, 255))
    """
    colours: Table = dict.fromkeys(range(256), (0, 0, 0, 0))
    if palette == "origin":
        for meaning in ORIGIN.meanings:
            colours[ORIGIN.code(meaning)] = (*_red_green_blue(ORIGIN_COLOURS[meaning]), 255)
        return colours
    for code, (red, green, blue) in enumerate(shades(palette, LAST + 1).tolist()):
        colours[code] = (red, green, blue, 255)
    return colours


def codes(values: npt.NDArray[np.floating], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Turn values into codes of a picture; what lies beyond an end gets the colour of the end.

    Examples
    --------
    >>> codes(np.array([-1.0, 0.0, 0.5, 1.0, np.nan]), 0.0, 1.0)
    array([  0,   0, 126, 253, 255], dtype=uint8)
    """
    scaled = np.asarray(np.subtract(values, low, dtype="f4"))
    has_none = ~np.isfinite(scaled)
    scaled *= LAST / (high - low)
    np.rint(scaled, out=scaled)
    np.clip(scaled, 0, LAST, out=scaled)
    scaled[has_none] = NONE
    return np.asarray(scaled.astype("u1"))


def as_hex(colour: npt.NDArray[np.uint8]) -> str:
    """Write a colour as a page does."""
    return "#" + "".join(f"{int(part):02x}" for part in colour)


def _red_green_blue(text: str) -> tuple[int, int, int]:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


__all__ = [
    "LAST",
    "NONE",
    "SHADES",
    "Palette",
    "Table",
    "as_hex",
    "codes",
    "shades",
    "table",
]
