"""Notes and warnings: beside the numbers they concern, and the recipe's own also, in short, under the headline."""

from __future__ import annotations

from collections.abc import Sequence

from vadose.report.choices import read_choices
from vadose.report.runs import Run

#: Letters of a note under the headline; all of it stands at the scores.
SHORT = 200

#: Words by which a warning is put beside the number it concerns; the first section that has one wins.
_CONCERNS = {
    "closure": ("closure", "closed", "close to", "clipp", "conserv", "aggregate"),
    "importances": ("importance", "predictor", "effective resolution"),
    "scores": ("score", "split", "rmse", "sample", "fold", "baseline", "interval", "gain", "skill"),
    "maps": ("gap", "missing", "origin", "extrapolat", "coverage", "masked"),
}


def place_warnings(warnings: Sequence[str]) -> dict[str, list[str]]:
    """Sort warnings by the section of the report that shows the number they concern.

    Examples
    --------
    >>> place_warnings(["The split is random.", "The disk is slow."])
    {'scores': ['The split is random.'], 'provenance': ['The disk is slow.']}
    """
    placed: dict[str, list[str]] = {}
    for warning in warnings:
        text = warning.lower()
        section = next(
            (name for name, words in _CONCERNS.items() if any(word in text for word in words)),
            "provenance",
        )
        placed.setdefault(section, []).append(warning)
    return placed


def recipe_notes(run: Run) -> list[str]:
    """Give what the recipe says is to be kept in mind, in its own words."""
    notes = read_choices(run).get("notes")
    return [" ".join(str(note).split()) for note in notes] if isinstance(notes, list) else []


def other_warnings(run: Run) -> list[str]:
    """Give the warnings of the manifest that are not the recipe's notes."""
    own = set(recipe_notes(run))
    return [one for one in run.manifest.warnings if " ".join(one.split()) not in own]


def placed_notes(run: Run) -> dict[str, list[str]]:
    """Sort all warnings by section; the recipe's notes stand at the scores, whatever they speak of."""
    placed = place_warnings(other_warnings(run))
    own = recipe_notes(run)
    return {**placed, "scores": [*own, *placed.get("scores", [])]} if own else placed


def in_short(note: str, most: int = SHORT) -> str:
    """Give the first sentence of a note, or its beginning.

    Examples
    --------
    >>> in_short("January soil is often frozen. Ice is not seen.")
    'January soil is often frozen.'
    >>> in_short("word " * 9, most=12)
    'word word …'
    """
    first = note.split(". ")[0]
    first = first if first == note else f"{first}."
    return first if len(first) <= most else f"{first[: most - 1].rsplit(' ', 1)[0]} …"
