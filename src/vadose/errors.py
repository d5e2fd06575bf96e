"""Exceptions that compose their own text: what is wrong, what was found and expected, what to do.

All of them derive from `VadoseError`; the command line prints the text and exits with code 2. Catch
`VadoseError` to catch whatever a bad input can raise.
"""

from __future__ import annotations

import copyreg
import difflib
import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

Thing = TypeVar("Thing")


class VadoseError(Exception):
    """Say which thing is wrong, what was found, what was expected and what to do.

    Parameters
    ----------
    subject
        The file, variable or setting at fault.
    found
        What it holds.
    expected
        What it should hold; left out when `found` says it all.
    remedy
        The next step for the reader of the message.

    Examples
    --------
    >>> print(VadoseError("soil_moisture", found="unit 'percent'", expected="unit 'm3 m-3'"))
    soil_moisture: found unit 'percent', expected unit 'm3 m-3'.
    """

    def __init__(
        self, subject: str | Path, *, found: str, expected: str = "", remedy: str = ""
    ) -> None:
        self.subject, self.found, self.expected, self.remedy = subject, found, expected, remedy
        text = f"{subject}: found {found}"
        if expected:
            text += f", expected {expected}"
        text += "."
        if remedy:
            text += f" {remedy}"
        super().__init__(text)

    def __reduce__(self) -> tuple[Any, ...]:
        """Cross to another process: an exception is otherwise rebuilt from its text alone, which fails."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class FileProblem(VadoseError):
    """Report a file that is missing, empty, truncated, foreign or not writable."""


class CubeProblem(VadoseError):
    """Report a dataset that is not a cube: its dims, coordinates, names, units or order."""


class UnitProblem(VadoseError):
    """Report a unit that is absent or cannot be converted."""


class GridProblem(VadoseError):
    """Report grids that do not match, nest or cover what was asked of them."""


class NoOverlap(VadoseError):
    """Report a region or period that the data does not reach."""


class ValueProblem(VadoseError):
    """Report values that cannot be right: fill values as data, all NaN, out of range."""


class ModelProblem(VadoseError):
    """Report a model that was not fitted, or a model folder that cannot be trusted."""


class RecipeProblem(VadoseError):
    """Report a recipe that cannot be read or asks for what does not exist."""


class RunProblem(VadoseError):
    """Report a run folder that exists, is in use or was left unfinished."""


class MissingExtra(VadoseError):
    """Report an optional library that is not installed.

    Examples
    --------
    >>> print(MissingExtra("matplotlib", extra="report"))
    matplotlib: found no such library. Install it with: pip install 'vadose[report]'
    """

    def __init__(self, library: str, *, extra: str) -> None:
        super().__init__(
            library,
            found="no such library",
            remedy=f"Install it with: pip install 'vadose[{extra}]'",
        )


class UnknownName(VadoseError, KeyError):
    """Report a name that is not in a table, with the nearest valid one.

    Examples
    --------
    >>> print(UnknownName("grid", "EASE2_36", ["EASE2_36km", "EASE2_9km"]))
    grid 'EASE2_36': found no such name, expected one of EASE2_36km, EASE2_9km. Did you mean \
'EASE2_36km'?
    """

    def __init__(self, kind: str, name: str, valid: Iterable[str]) -> None:
        names = sorted(valid)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        super().__init__(
            f"{kind} {name!r}",
            found="no such name",
            expected=f"one of {', '.join(names)}",
            remedy=f"Did you mean {near[0]!r}?" if near else "",
        )

    def __str__(self) -> str:
        return str(self.args[0])  # a KeyError would put it in quotes


def need(library: str, *, extra: str, module: str | None = None) -> None:
    """Insist that an optional library is installed, without importing it.

    Parameters
    ----------
    library
        Its name for people.
    extra
        The extra of ``vadose`` that brings it.
    module
        The module that it is imported as; its name unless given.

    Raises
    ------
    MissingExtra

    Examples
    --------
    >>> need("no_such_library", extra="torch")
    Traceback (most recent call last):
    vadose.errors.MissingExtra: no_such_library: found no such library. Install it with: \
pip install 'vadose[torch]'
    """
    if importlib.util.find_spec(module or library) is None:
        raise MissingExtra(library, extra=extra)


class Named(dict[str, Thing]):
    """Hold things by name; to ask for a name that is not there is an error that lists those that are.

    Parameters
    ----------
    kind
        What the things are called.
    things
        By name, in their order.

    Examples
    --------
    >>> Named("grid", {"EASE2_36km": 36})["EASE2_36"]
    Traceback (most recent call last):
    vadose.errors.UnknownName: grid 'EASE2_36': found no such name, expected one of EASE2_36km. Did \
you mean 'EASE2_36km'?
    """

    def __init__(self, kind: str, things: Mapping[str, Thing]) -> None:
        super().__init__(things)
        self.kind = kind

    def __missing__(self, name: str) -> NoReturn:
        raise UnknownName(self.kind, str(name), self)
