"""What the scores of methods that draw fields say: whether their spread means something, and who wins on RMSE."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from vadose.report.runs import NAN, Number, Record, Run, Scores, read_record
from vadose.report.tables import EQUAL, Cell, number

#: How far a coverage may be from its level and be called near it.
NEAR = 0.05


class Ensemble(Record):
    """Hold the scores of one method with members, and the best of those that give one value."""

    crps: Number = NAN
    mae: Number = NAN
    rmse: Number = NAN
    spread_skill: Number = NAN
    coverage: dict[str, Number] = Field(default={})
    best_single: str = ""
    mae_best_single: Number = NAN


class _Validation(Record):
    ensembles: dict[str, Ensemble] = Field(default={})


@dataclass(frozen=True)
class EnsembleRow:
    """Hold one generative method of the table, and what is to be said of it."""

    title: str
    cells: tuple[Cell, ...]
    remarks: tuple[str, ...]


#: Heads of the table after the method's name.
HEADS = ("CRPS", "least error of one value", "RMSE of the mean", "spread over skill")


@dataclass(frozen=True)
class Told:
    """Hold the heads and rows of the section."""

    heads: tuple[str, ...]
    rows: tuple[EnsembleRow, ...]


def tell_ensembles(run: Run) -> Told | None:
    """Tell of the methods of a run that draw fields; None where none does, or none was judged.

    Raises
    ------
    FileProblem, RunProblem
        When ``validation/summary.json`` cannot be read, or is not that of a validation.
    """
    path = run.path / "validation" / "summary.json"
    if not path.exists():
        return None
    found = read_record(path, _Validation).ensembles
    if not found:
        return None
    levels = sorted({level for one in found.values() for level in one.coverage}, key=float)
    heads = (*HEADS, *(f"inside {100 * float(level):.3g} %" for level in levels))
    rows = [_row(run.scores, name, one, set(found), levels) for name, one in found.items()]
    return Told(heads, tuple(rows))


def _row(
    scores: Scores, name: str, one: Ensemble, drawn: set[str], levels: list[str]
) -> EnsembleRow:
    gain = one.mae_best_single - one.crps
    cells = [
        Cell(number(one.crps, 4), tone="better" if gain > 0 else "worse" if gain < 0 else ""),
        Cell(number(one.mae_best_single, 4), note=_title(scores, one.best_single)),
        Cell(number(one.rmse, 4)),
        Cell(number(one.spread_skill, 2)),
        *(Cell(_share(one.coverage.get(level, NAN))) for level in levels),
    ]
    remarks = (*_on_crps(scores, one), *_on_coverage(one), *_on_rmse(scores, name, drawn))
    return EnsembleRow(_title(scores, name), tuple(cells), remarks)


def _on_crps(scores: Scores, one: Ensemble) -> tuple[str, ...]:
    if not np.isfinite([one.crps, one.mae_best_single]).all():
        return ()
    best = f"“{_title(scores, one.best_single)}”"
    if one.crps < one.mae_best_single:
        share = 1 - one.crps / one.mae_best_single
        return (
            f"Its CRPS is {100 * share:.0f} % below the least mean absolute error of a method that gives "
            f"one value, {best}: drawing fields is worth more than any one of those.",
        )
    return (
        f"Its CRPS is no smaller than the mean absolute error of {best}: its members say no more than that "
        "one value.",
    )


def _on_coverage(one: Ensemble) -> tuple[str, ...]:
    told = []
    for level, share in sorted(one.coverage.items(), key=lambda item: float(item[0])):
        nominal = float(level)
        if np.isfinite(share) and abs(share - nominal) > NEAR:
            words = "too narrow" if share < nominal else "too wide"
            told.append(
                f"Its {100 * nominal:.3g} % intervals are {words}: they hold {_share(share)} of the values."
            )
    return tuple(told)


def _on_rmse(scores: Scores, name: str, drawn: set[str]) -> tuple[str, ...]:
    """Say who has the smaller RMSE: the mean of the members or the best method that gives one value."""
    own = scores.methods[name].pooled.rmse if name in scores.methods else NAN
    singles = {
        other: method.pooled.rmse
        for other, method in scores.methods.items()
        if other not in drawn and np.isfinite(method.pooled.rmse)
    }
    if not singles or not np.isfinite(own):
        return ()
    best = min(singles, key=lambda other: singles[other])
    title, theirs = _title(scores, best), number(singles[best], 4)
    if abs(own - singles[best]) <= EQUAL * singles[best]:
        return (f"On RMSE its mean and “{title}” are level: {number(own, 4)} and {theirs}.",)
    if singles[best] < own:
        return (
            f"On RMSE one value wins: “{title}” has {theirs}, the mean of its members {number(own, 4)}.",
        )
    return (f"On RMSE its mean wins too: {number(own, 4)}, against {theirs} of “{title}”.",)


def _title(scores: Scores, name: str) -> str:
    return scores.methods[name].title if name in scores.methods else name


def _share(value: float) -> str:
    return f"{100 * value:.0f} %" if np.isfinite(value) else number(value, 0)
