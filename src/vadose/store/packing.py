"""Continuous variables as 16-bit integers: half the bytes, a known rounding error, exact zeros."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import gcd, isinf
from typing import Any

import numpy as np
import numpy.typing as npt

from vadose.errors import ValueProblem
from vadose.schema import Variable, variable

#: Code of a gap; the codes of values are -32767 to 32767.
FILL = np.int16(-32768)
_STEPS = 2 * 32767
#: Widest factor of a step beside its power of two.
_WIDEST = 255

#: Units of quantities that spread over many orders of magnitude: equal steps would be too coarse.
_NEVER = ("kg m-2", "mm", "degrees_north", "degrees_east")


@dataclass(frozen=True)
class Packing:
    """Say how the values of one variable become codes: ``value = code * step + offset``.

    Attributes
    ----------
    row
        The variable, with its unit and the range that can be stored.
    step
        Distance of two codes in the variable's unit; a value is rounded by half of it at most.
    offset
        Value of code 0.
    """

    row: Variable
    step: float
    offset: float

    def encode(self, values: npt.NDArray[Any]) -> npt.NDArray[np.int16]:
        """Round values to codes; NaN becomes `FILL`.

        Raises
        ------
        ValueProblem
            When a value lies outside the variable's range: its code would wrap round.

        Examples
        --------
        >>> packing_of("soil_moisture").encode(np.array([0.0, 0.25, np.nan]))
        array([-16384,  -8192, -32768], dtype=int16)
        """
        low, high = (round((end - self.offset) / self.step) for end in self.row.valid_range)
        codes = np.rint((values.astype("f8") - self.offset) / self.step)
        is_outside = (codes < low) | (codes > high)
        if is_outside.any():
            outside = values[is_outside]
            worst = outside[np.argmax(np.abs(outside - self.offset))]
            raise ValueProblem(
                self.row.name,
                found=f"{outside.size} values that no 16-bit code stands for, the worst {worst:g}",
                expected=f"{self.row.valid_range[0]:g} to {self.row.valid_range[1]:g} {self.row.units}",
                remedy="Mask them, or write without packing.",
            )
        codes[np.isnan(codes)] = FILL
        return codes.astype("i2")

    def attributes(self) -> dict[str, Any]:
        """Give the CF attributes of packed data, in the type that readers are to unpack to.

        Examples
        --------
        >>> packing_of("soil_moisture").attributes()["quantization_step"] == 2.0**-15
        True
        """
        return {
            "scale_factor": np.float32(self.step),
            "add_offset": np.float32(self.offset),
            # CF has no attribute for the precision of packed data; this one stays with the values.
            "quantization_step": self.step,
        }


def packing_of(name: str) -> Packing | None:
    """Give the packing of a variable over its valid range, or None where it has none.

    Both ends of the range and 0 are whole steps. A step is a small number times a power of two, so that
    every reader, in single or double precision, unpacks the same bits. Codes of classes and masks are
    stored as they are, and so is what has no range or no use for equal steps: a user's own predictors,
    water equivalents, longitudes and latitudes.

    Raises
    ------
    UnknownName

    Examples
    --------
    >>> packing_of("land_surface_temperature").step
    0.0029296875
    >>> packing_of("origin") is packing_of("snow_water_equivalent") is None
    True
    """
    row = variable(name)
    if row.kind != "continuous" or row.units in _NEVER or isinf(row.valid_range[1]):
        return None
    low, high = (Fraction(end) for end in row.valid_range)
    scale = low.denominator * high.denominator
    common = Fraction(gcd(int(low * scale), int(high * scale)), scale)
    odd = common.numerator // (common.numerator & -common.numerator)
    step = min(_steps(odd, low, high))
    middle = low + step * ((high - low) / step // 2)
    return Packing(row, float(step), float(middle))


def _steps(odd: int, low: Fraction, high: Fraction) -> list[Fraction]:
    """List, for each odd factor, the finest step with codes enough and sums that single precision holds."""
    found = []
    for factor in (number for number in range(1, _WIDEST + 1, 2) if odd % number == 0):
        step = Fraction(factor, 2**40)
        while (high - low) / step > _STEPS or max(abs(low), abs(high)) / step * factor > 2**24:
            step *= 2
        found.append(step)
    return found
