"""The one table of units: what a file's unit is in ours, as a factor and an offset.

A unit's text is first brought to one spelling (``kg m**-2 s**-1``, ``kg/m^2/s`` and ``kg m-2 s-1`` are
the same), then looked up by the unit that cubes hold (`vadose.schema.VARIABLES`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from vadose.errors import UnitProblem

#: Density of water, kg m-3: a metre of water weighs this much on a square metre.
WATER = 1000.0


class Conversion(NamedTuple):
    """Hold ``ours = theirs * factor + offset``."""

    factor: float = 1.0
    offset: float = 0.0


#: No conversion.
SAME = Conversion()

_WORDS = {
    "percent": "%",
    "percentage": "%",
    "percentage (%)": "%",
    "percent saturation": "%",
    "vol%": "%",
    "fraction": "1",
    "unitless": "1",
    "dimensionless": "1",
    "none": "1",
    "-": "1",
    "(0 - 1)": "1",
    "(0-1)": "1",
    "(0,1)": "1",
    "0-1": "1",
    "proportion": "1",
    "m of water equivalent": "m",
    "m of water": "m",
    "celsius": "degc",
    "degree celsius": "degc",
    "degrees celsius": "degc",
    "degree c": "degc",
    "degrees c": "degc",
    "deg c": "degc",
    "c": "degc",
    "°c": "degc",
    "kelvin": "k",
    "degree": "degree",
    "degrees": "degree",
    "metre": "m",
    "metres": "m",
    "meter": "m",
    "meters": "m",
}
_SYMBOLS = {
    "hr": "h",
    "hrs": "h",
    "hour": "h",
    "hours": "h",
    "d": "day",
    "days": "day",
    "sec": "s",
    "second": "s",
    "seconds": "s",
    "mm_water": "mm",
}
_TABLE: dict[str, dict[str, Conversion]] = {
    "m3 m-3": {
        "m3 m-3": SAME,
        "cm3 cm-3": SAME,
        "mm3 mm-3": SAME,
        "1": SAME,
        "%": Conversion(0.01),
    },
    "K": {"k": SAME, "degc": Conversion(1.0, 273.15)},
    "1": {"1": SAME, "%": Conversion(0.01), "m2 m-2": SAME},
    "%": {
        "%": SAME,
        "1": Conversion(100.0),
        "g kg-1": Conversion(0.1),
        "g 100g-1": SAME,
        "kg kg-1": Conversion(100.0),
        "% weight": SAME,
    },
    "mm day-1": {
        "mm day-1": SAME,
        "kg m-2 day-1": SAME,
        "mm h-1": Conversion(24.0),
        "kg m-2 h-1": Conversion(24.0),
        "mm s-1": Conversion(86400.0),
        "kg m-2 s-1": Conversion(86400.0),
        "m s-1": Conversion(86400.0 * 1000),
        "m day-1": Conversion(1000.0),
        "m h-1": Conversion(24.0 * 1000),
    },
    "kg m-2": {
        "kg m-2": SAME,
        "mm": SAME,
        "m": Conversion(WATER),
        "cm": Conversion(WATER / 100),
    },
    "m": {"m": SAME, "km": Conversion(1000.0), "cm": Conversion(0.01)},
    "degree": {"degree": SAME, "radian": Conversion(57.29577951308232)},
    "degrees_east": {"degrees_east": SAME, "degree": SAME},
    "degrees_north": {"degrees_north": SAME, "degree": SAME},
}
#: Amounts of water that need a layer (soil moisture) or a duration (rates) to be converted.
_AMOUNTS = {"kg m-2": 1.0, "mm": 1.0, "m": WATER, "cm": WATER / 100}


def canonical(units: str) -> str:
    """Bring the text of a unit to one spelling.

    Examples
    --------
    >>> [canonical(text) for text in ("kg m**-2 s**-1", "kg/m^2/s", "mm/hr", "m**3 m**-3")]
    ['kg m-2 s-1', 'kg m-2 s-1', 'mm h-1', 'm3 m-3']
    """
    text = units.strip().strip("[]").strip().lower()
    if text in _WORDS:
        return _WORDS[text]
    text = text.replace("³", "3").replace("²", "2").replace("⁻", "-").replace("¹", "1")
    text = re.sub(r"\*\*|\^", "", text)
    words: list[str] = []
    for place, part in enumerate(text.split("/")):
        for word in re.split(r"[\s*·]+", part.strip()):
            match = re.fullmatch(r"([a-z%°_]+)(-?\d+)?", word)
            if match is None:
                words.append(word)
                continue
            symbol, power = match.group(1), int(match.group(2) or 1)
            power = -power if place else power
            symbol = _SYMBOLS.get(symbol, symbol)
            words.append(symbol if power == 1 else f"{symbol}{power}")
    return " ".join(word for word in words if word)


def conversion(
    units: str | None,
    target: str,
    *,
    source: str,
    thickness: float | None = None,
    hours: float | None = None,
) -> Conversion:
    """Find how values in a file's unit become values in ours.

    Parameters
    ----------
    units
        Unit in the file, in any spelling; None where the file states none.
    target
        Our unit, from `vadose.schema.VARIABLES`.
    source
        File and variable, for the message.
    thickness
        Thickness in m of the soil layer that an amount of water (kg m-2, mm, m) fills.
    hours
        Duration over which an amount of water fell or evaporated.

    Raises
    ------
    UnitProblem
        When the unit is absent, unknown, or an amount without thickness or duration.

    Examples
    --------
    >>> conversion("kg m-2", "m3 m-3", source="SoilMoi0_10cm_inst", thickness=0.1).factor
    0.01
    >>> conversion("mm/hr", "mm day-1", source="precipitation").factor
    24.0
    """
    if units is None or not units.strip():
        raise UnitProblem(
            source,
            found="no unit",
            expected=f"one that converts to {target!r}",
            remedy="State the unit of the file in the product's description.",
        )
    spelling = canonical(units)
    if spelling in _AMOUNTS and target == "m3 m-3" and thickness is not None:
        return Conversion(_AMOUNTS[spelling] / (WATER * thickness))
    if spelling in _AMOUNTS and target == "mm day-1" and hours is not None:
        return Conversion(_AMOUNTS[spelling] * 24.0 / hours)
    known = _TABLE.get(target, {target: SAME})
    if spelling not in known and units.strip() not in known:
        remedy = "Correct the unit in the product's description."
        if spelling in _AMOUNTS and target == "m3 m-3":
            remedy = "An amount of water needs the thickness of its layer."
        elif spelling in _AMOUNTS and target == "mm day-1":
            remedy = "An amount of water needs the hours over which it accumulated."
        raise UnitProblem(
            source,
            found=f"unit {units!r}",
            expected=f"one that converts to {target!r}: {', '.join(known)}",
            remedy=remedy,
        )
    return known.get(spelling) or known[units.strip()]
