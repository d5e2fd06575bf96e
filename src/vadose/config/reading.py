"""Read a YAML text into a checked model; the first fault becomes one clear message."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from vadose.errors import FileProblem, RecipeProblem

Checked = TypeVar("Checked", bound=BaseModel)


def read_text(path: Path, expected: str) -> str:
    """Read a text file.

    Raises
    ------
    FileProblem
        Missing or unreadable.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise FileProblem(path, found="no such file", expected=expected) from error
    except (OSError, UnicodeDecodeError) as error:
        raise FileProblem(path, found=f"no readable text ({error})", expected="YAML") from error


def checked(model: type[Checked], text: str, *, source: str, example: str) -> Checked:
    """Check a text.

    Parameters
    ----------
    model
        What it describes.
    text
        YAML.
    source
        What it is called in errors.
    example
        Keys that belong there, in words.

    Raises
    ------
    RecipeProblem
        The message names the key, what was found, and the nearest valid name.
    """
    try:
        content = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a day such as 2019-02-30
        detail = " ".join(str(error).split())
        raise RecipeProblem(source, found=f"no valid YAML ({detail})") from error
    if not isinstance(content, dict):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise RecipeProblem(source, found=found, expected=f"keys such as {example}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise _problem(error, source, model) from error


class _UniqueKeys(yaml.SafeLoader):
    """Refuse a key that stands twice; YAML would keep the last one in silence."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge" and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value if isinstance(key.value, str) else None)
        return super().construct_mapping(node, deep)


def _problem(error: ValidationError, source: str, model: type[BaseModel]) -> RecipeProblem:
    """Turn the first fault into one clear message; a misspelt key explains a missing one."""
    faults = error.errors()
    foreign = ("extra_forbidden", "invalid_key")
    first = next((one for one in faults if one["type"] in foreign), faults[0])
    place = [str(part) for part in first["loc"]]
    subject = f"{source}: {'.'.join(place)}" if place else source
    if first["type"] in foreign:
        valid = sorted(_fields_at(model, place[:-1]))
        near = difflib.get_close_matches(place[-1], valid, n=1, cutoff=0.4)
        return RecipeProblem(
            subject,
            found="an unknown key",
            expected=f"one of {', '.join(valid)}",
            remedy=f"Did you mean {near[0]!r}?" if near else "",
        )
    if place[-1:] == ["[key]"]:
        return RecipeProblem(
            f"{source}: {'.'.join(place[:-2])}",
            found=f"the name {first['input']!r}",
            expected="text",
            remedy="Put it in quotes.",
        )
    if first["type"] == "missing":
        return RecipeProblem(subject, found="nothing", expected="a value")
    found = f"{first['input']!r}: "
    if isinstance(first["input"], dict) or len(found) > 80:  # a whole part of the recipe
        found = ""
    message = first["msg"].removeprefix("Value error, ")
    message, _, remedy = message.partition(" Did you mean ")
    message = message.rstrip(".")
    return RecipeProblem(
        subject,
        found=f"{found}{message[0].lower()}{message[1:]}",
        remedy=f"Did you mean {remedy}" if remedy else "",
    )


def _fields_at(model: type[BaseModel], place: list[str]) -> Mapping[str, Any]:
    """Find the keys that are valid at a place of the recipe."""
    for part in place:
        field = model.model_fields.get(part)
        if field is None:
            continue  # a list index or the free name of a method
        inner = _model_in(field.annotation)
        if inner is not None:
            model = inner
    return model.model_fields


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        inner = _model_in(part)
        if inner is not None:
            return inner
    return None
