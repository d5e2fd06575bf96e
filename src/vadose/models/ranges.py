"""Ranges of parameters: a number that makes no model is refused before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from vadose.errors import ModelProblem


class Named(Protocol):
    """Anything with a name, such as a model."""

    name: ClassVar[str]


@dataclass(frozen=True)
class Range:
    """Hold the least and the largest number that a parameter may be.

    Attributes
    ----------
    least, most
        Both are part of the range, unless `is_open`: then `least` is not.

    Examples
    --------
    >>> print(Range(1), "|", Range(0, 1), "|", Range(0, 1, is_open=True))
    1 or more | 0 to 1 | above 0, up to 1
    >>> 0 in Range(0, is_open=True)
    False
    """

    least: float
    most: float = math.inf
    is_open: bool = False

    def __contains__(self, number: float) -> bool:
        """Tell whether a number lies in the range."""
        return self.least <= number <= self.most and not (self.is_open and number == self.least)

    def __str__(self) -> str:
        """Say in words what is expected."""
        if math.isinf(self.most):
            return f"above {self.least:g}" if self.is_open else f"{self.least:g} or more"
        return (
            f"above {self.least:g}, up to {self.most:g}"
            if self.is_open
            else f"{self.least:g} to {self.most:g}"
        )


#: Layers, units, members: at least one.
COUNT = Range(1)
#: Where 0 says: none, all, or choose it.
COUNT_OR_NONE = Range(0)
#: A share that may be nothing.
SHARE = Range(0, 1)
#: A share of which something must be left.
PART = Range(0, 1, is_open=True)


def check_ranges(model: Named, ranges: Mapping[str, Range]) -> None:
    """Check what a model was made with.

    Raises
    ------
    ModelProblem
        A number out of its range.

    Examples
    --------
    >>> from vadose.models import DNN
    >>> check_ranges(DNN(width=0), {"width": COUNT})
    Traceback (most recent call last):
        ...
    vadose.errors.ModelProblem: width of dnn: found 0, expected 1 or more.
    """
    for name, allowed in ranges.items():
        number = getattr(model, name)
        if number not in allowed:
            raise ModelProblem(f"{name} of {model.name}", found=repr(number), expected=str(allowed))


def check_odd(model: Named, name: str) -> None:
    """Check a number of cells or features that has a middle.

    Raises
    ------
    ModelProblem
        An even number, or one below 1.
    """
    number = getattr(model, name)
    if number < 1 or number % 2 == 0:
        raise ModelProblem(f"{name} of {model.name}", found=str(number), expected="an odd number")
