"""What correction with stations did at stations held out, in words and numbers for the page."""

from __future__ import annotations

import csv
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from vadose.errors import FileProblem
from vadose.report.runs import NAN, Number, Record, Run, read_record, read_text
from vadose.report.tables import number, whole


class Correction(Record):
    """Hold ``correction/summary.json``: errors before and after at what was held out, and what came of it."""

    how: str
    hold: str
    method: str
    before: Number
    after: Number
    lower: Number = NAN
    upper: Number = NAN
    n: Number = NAN
    blocks: Number = NAN
    level: Number = 0.95
    helps: bool
    verdict: str
    is_applied: bool
    representativeness: Number = NAN
    notes: list[str] = Field(default=[])
    lost: Number = 0.0


@dataclass(frozen=True)
class Told:
    """Hold the section's words and numbers.

    Attributes
    ----------
    outcome
        Whether the product was corrected, and why.
    facts
        Names and values.
    tone
        ``better`` where it helps, ``worse`` where it does harm, else empty.
    """

    how: str
    verdict: str
    outcome: str
    facts: tuple[tuple[str, str], ...]
    tone: str
    notes: tuple[str, ...]


def tell_correction(run: Run) -> Told | None:
    """Tell of a run's correction; None where it has none.

    Raises
    ------
    FileProblem, RunProblem
        When its files cannot be read, or are not those of a correction.
    """
    path = run.path / "correction" / "summary.json"
    if not path.exists():
        return None
    found = read_record(path, Correction)
    title = found.how.replace("_", " ")
    level = f"{100 * found.level:.3g} %"
    blocks = "periods" if found.hold.startswith("period") else "stations"
    facts = [
        (
            "Corrected",
            run.scores.methods[found.method].title if _is_known(run, found) else found.method,
        ),
        ("By", title),
        ("Held out", f"{found.hold}; learned anew for every fold, without what is judged"),
        ("RMSE before", number(found.before, 4)),
        ("RMSE after", number(found.after, 4)),
        (
            f"After minus before, {level} interval",
            f"{number(found.after - found.before, 4, signed=True)} "
            f"({number(found.lower, 4, signed=True)} to {number(found.upper, 4, signed=True)})",
        ),
        ("Judged by", f"{whole(found.n)} pairs in {whole(found.blocks)} {blocks}"),
        *_by_station(run),
    ]
    if found.lost > 0:
        facts.append(
            ("Could not be judged", f"{whole(found.lost)} readings without all that is needed")
        )
    tone = "better" if found.helps else "worse" if found.lower > 0 else ""
    return Told(title, found.verdict, _outcome(found), tuple(facts), tone, tuple(_notes(found)))


def correction_remark(told: Told | None) -> tuple[str, ...]:
    """Say what came of it in one line for the head of the page; nothing where there is no correction."""
    return () if told is None else (f"{told.verdict} {told.outcome}",)


def _is_known(run: Run, found: Correction) -> bool:
    return found.method in run.scores.methods


def _outcome(found: Correction) -> str:
    if found.is_applied and found.helps:
        return "The corrected product stands beside the product, and not in its place."
    if found.is_applied:
        return (
            "It was applied all the same, as the recipe asks; the corrected product stands beside the "
            "product, and not in its place."
        )
    if found.helps:
        return "It was not applied, as the recipe asks."
    return "The product is left as it was made."


def _notes(found: Correction) -> list[str]:
    notes = list(found.notes)
    if np.isfinite(found.representativeness):
        notes.append(
            f"A point differs from its square kilometre by about {found.representativeness:g} m³ m⁻³: no "
            "correction goes below that at stations it has not seen."
        )
    return notes


def _by_station(run: Run) -> list[tuple[str, str]]:
    """Count the stations that are better off after than before."""
    path = run.path / "correction" / "stations.csv"
    if not path.exists():
        return []
    try:
        rows = [
            (float(row["before"]), float(row["after"]))
            for row in csv.DictReader(read_text(path).splitlines())
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise FileProblem(
            path,
            found=f"a table that cannot be read ({error!r})",
            expected="columns before and after",
        ) from error
    better = sum(after < before for before, after in rows)
    return [("Stations with a smaller error after", f"{better} of {len(rows)}")]
