"""The table of correctors, and how one is made of plain words, saved and read back."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from vadose.correct.base import DESCRIPTION, Corrector
from vadose.correct.cdf import CDFMatching
from vadose.correct.chain import Average, Chain, Nothing
from vadose.correct.daily import DailyKriging, DepartureKriging
from vadose.correct.forest import Forest
from vadose.correct.held_out import Best
from vadose.correct.kriging import Kriging
from vadose.correct.rescale import Additive, Linear, Seasonal
from vadose.correct.spatial import Regression
from vadose.errors import ModelProblem, Named, UnknownName, ValueProblem
from vadose.models.base import read_name

#: Every corrector, by name.
CORRECTORS: Named[type[Corrector]] = Named(
    "correction",
    {
        one.name: one
        for one in (
            Additive,
            Linear,
            Seasonal,
            CDFMatching,
            Forest,
            Regression,
            Kriging,
            DailyKriging,
            DepartureKriging,
            Chain,
            Average,
            Best,
            Nothing,
        )
    },
)

#: Those made of others: the word that names these in a recipe, the argument of the class, and what it takes.
MADE_OF: dict[str, tuple[str, str, Callable[[dict[str, Corrector]], Any]]] = {
    Chain.name: ("steps", "correctors", lambda parts: list(parts.values())),
    Average.name: ("of", "correctors", lambda parts: list(parts.values())),
    Best.name: ("of", "candidates", dict),
}


def corrector_class(name: str) -> type[Corrector]:
    """Look a corrector up by name.

    Raises
    ------
    UnknownName

    Examples
    --------
    >>> corrector_class("additive").__name__
    'Additive'
    """
    return CORRECTORS[name]


def make_corrector(
    how: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    predictors: Sequence[str] = (),
    target: str = "soil_moisture",
) -> Corrector:
    """Make a corrector of plain words, not fitted yet.

    Parameters
    ----------
    how
        A name in `CORRECTORS`.
    parameters
        Of its class. Those that are made of others name these as ``steps`` (chain) or ``of`` (average, best):
        a list of names, or of names with parameters, such as ``{forest: {leaf: 20}}``.
    predictors
        Of every part that looks at some and names none itself.
    target
        What is corrected.

    Raises
    ------
    UnknownName
        No such corrector, or no such parameter of it; the message names the nearest one.
    ValueProblem
        A value of another type than the parameter's, no parts, or predictors that no part looks at.

    Examples
    --------
    >>> chain = make_corrector("chain", {"steps": ["linear", {"regression": {"degree": 2}}]},
    ...     predictors=["elevation"])
    >>> [one.name for one in chain.correctors], chain.predictors
    (['linear', 'regression'], ('elevation',))
    """
    made = _made(how, dict(parameters or {}), tuple(predictors), target)
    if predictors and not made.predictors:
        raise ValueProblem(
            "predictors of the correction",
            found=f"{', '.join(predictors)}, at which {how} does not look",
            expected="none, or a correction that looks at predictors",
            remedy="Take forest or regression, or leave the predictors out.",
        )
    return made


def _made(how: str, given: dict[str, Any], predictors: tuple[str, ...], target: str) -> Corrector:
    kind = corrector_class(how)
    word, argument, laid = MADE_OF.get(how, ("", "", dict))
    settings = inspect.signature(kind).parameters
    known = [word if name == argument else name for name in settings if name != "target"]
    for name in given:
        if name not in known:
            raise UnknownName(f"parameter of {how}", name, known)
    parts = {}
    if word:
        inner = given.pop(word, None)
        parts[argument] = laid(dict(_parts(f"{word} of {how}", inner, predictors, target)))
    elif "predictors" in settings and predictors:
        given.setdefault("predictors", predictors)
    hints = get_type_hints(kind.__init__)
    checked = {name: _checked(f"{name} of {how}", one, hints[name]) for name, one in given.items()}
    built: Callable[..., Corrector] = kind
    return built(**checked, **parts, target=target)


def _parts(
    what: str, given: Any, predictors: tuple[str, ...], target: str
) -> Iterator[tuple[str, Corrector]]:
    """Make the parts, each with a title of its own."""
    if isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise _no_parts(what, given)
    titles: set[str] = set()
    for one in given:
        entry = {one: None} if isinstance(one, str) else one
        if not isinstance(entry, Mapping) or len(entry) != 1:
            raise _no_parts(what, one)
        ((name, parameters),) = entry.items()
        if parameters is not None and not isinstance(parameters, Mapping):
            raise _no_parts(what, one)
        title = _title(str(name), parameters or {})
        if title in titles:
            raise ValueProblem(what, found=f"{title} twice", expected="each of them once")
        titles.add(title)
        yield title, _made(str(name), dict(parameters or {}), predictors, target)


def _title(name: str, parameters: Mapping[str, Any]) -> str:
    """Write a part in words.

    Examples
    --------
    >>> _title("forest", {"leaf": 20}), _title("chain", {"steps": ["linear", {"kriging": None}]})
    ('forest (leaf 20)', 'chain (steps linear, kriging)')
    """

    def told(value: Any) -> str:
        if isinstance(value, Mapping):
            return ", ".join(_title(str(key), one or {}) for key, one in value.items())
        if isinstance(value, Sequence) and not isinstance(value, str):
            return ", ".join(told(one) for one in value)
        return str(value)

    words = "; ".join(f"{key} {told(value)}" for key, value in parameters.items())
    return f"{name} ({words})" if words else name


def _no_parts(what: str, found: Any) -> ValueProblem:
    return ValueProblem(
        what,
        found="none" if found is None else repr(found),
        expected="a list of corrections, such as [linear, kriging], or with parameters, such as "
        "[linear, {forest: {leaf: 20}}]",
    )


def _checked(what: str, value: Any, hint: Any) -> Any:
    try:
        return TypeAdapter(hint, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError as error:
        raise ValueProblem(
            what,
            found=repr(value),
            expected=error.errors()[0]["msg"].removeprefix("Input should be "),
        ) from error


def load_corrector(folder: Path) -> Corrector:
    """Read any saved corrector back.

    Raises
    ------
    ModelProblem
        A folder that holds no corrector, or one that this version does not know.
    """
    name = read_name(Path(folder), file=DESCRIPTION)
    if name not in CORRECTORS:
        raise ModelProblem(
            folder, found=f"correction {name!r}", expected=f"one of {', '.join(sorted(CORRECTORS))}"
        )
    return CORRECTORS[name].load(folder)
