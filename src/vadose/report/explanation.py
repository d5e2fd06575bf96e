"""The explanation of a model as one HTML page, made from ``explanation/`` in a run folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from vadose.report import explanation_charts as charts
from vadose.report.pages import environment
from vadose.report.plates import Picture
from vadose.report.runs import NAN, Number, Record, read_record
from vadose.report.style import png, pretty_unit
from vadose.report.tables import Cell, number, whole
from vadose.store import replaced

#: Share of samples beyond the range of training from which a feature is named.
NAMED_OUTSIDE = 0.005
#: Features named so at most.
MOST_OUTSIDE = 12

Answer = Literal["holds", "does not hold", "cannot be told"]


class ScaleRecord(Record):
    """Describe the samples of one scale."""

    name: str
    role: str
    samples: int
    blocks: int
    spread: Number = NAN


class ImportanceRecord(Record):
    """Hold one importance of one group of features."""

    measure: str
    scale: str
    group: str
    value: Number = NAN
    lower: Number = NAN
    upper: Number = NAN


class SkillRecord(Record):
    """Say how well the model does where importances were judged."""

    scale: str
    where: str
    samples: int
    rmse: Number = NAN
    spread: Number = NAN


class SensitivityRecord(Record):
    """Hold the indices of one group at one scale."""

    scale: str
    group: str
    first: Number = NAN
    total: Number = NAN
    total_lower: Number = NAN
    total_upper: Number = NAN
    mean_effect: Number = NAN


class ChangeRecord(Record):
    """Hold the change of one group between two scales."""

    group: str
    before: Number = NAN
    after: Number = NAN
    lower: Number = NAN
    upper: Number = NAN
    answer: Answer


class ComparisonRecord(Record):
    """Hold the comparison of two scales."""

    learned: str
    used: str
    rank_correlation: Number = NAN
    largest: str
    verdict: str
    changes: list[ChangeRecord]


class OutsideRecord(Record):
    """Say how much of a feature lies beyond the range of training."""

    scale: str
    feature: str
    share: Number = NAN


class EffectRecord(Record):
    """Hold one curve."""

    scale: str
    feature: str
    method: str
    value: list[float]
    effect: list[float]
    count: list[int]


class Explanation(Record):
    """Hold all that was found out about a model."""

    title: str
    method: str
    method_title: str
    model: str
    target: str
    unit: str = ""
    seed: int
    samples: int
    vadose: str = ""
    together: float
    tolerance: float
    groups: dict[str, list[str]]
    scales: list[ScaleRecord]
    importances: list[ImportanceRecord]
    skill: list[SkillRecord] = Field(default=[])
    sensitivity: list[SensitivityRecord]
    comparisons: list[ComparisonRecord]
    outside: list[OutsideRecord] = Field(default=[])
    effects: list[EffectRecord] = Field(default=[])
    notes: list[str] = Field(default=[])


def read_explanation(run: Path) -> Explanation:
    """Read ``explanation/explanation.json`` of a run.

    Raises
    ------
    FileProblem
        No such file, or one that cannot be read.
    RunProblem
        Another format.
    """
    return read_record(Path(run) / "explanation" / "explanation.json", Explanation)


def write_explanation(run: Path) -> Path:
    """Write ``explanation.html`` into a run folder that holds an explanation.

    Parameters
    ----------
    run
        The folder; nothing outside it is read.

    Returns
    -------
    pathlib.Path
        The page. It has its final name only when it is complete.

    Raises
    ------
    FileProblem, RunProblem
        No explanation there, or one that cannot be read.
    MissingExtra
        When matplotlib or jinja2 is not installed.
    """
    templates = environment()
    found = read_explanation(Path(run))
    page = templates.get_template("explanation.html.j2").render(content(found))
    target = Path(run) / "explanation.html"
    with replaced(target, overwrite=True) as partial:
        partial.write_text(page, encoding="utf-8")
    return target


def content(found: Explanation) -> dict[str, Any]:
    """Give what the template shows."""
    last = found.comparisons[-1]
    answers = {change.answer for change in last.changes}
    tone = "bad" if "does not hold" in answers else "good" if answers == {"holds"} else "mixed"
    return {
        "found": found,
        "unit": pretty_unit(found.unit),
        "last": last,
        "tone": tone,
        "pictures": {picture.name: picture for picture in draw(found)},
        "colours": dict(
            zip((one.name for one in found.scales), charts.scale_colours(found), strict=True)
        ),
        "changes": change_rows(found),
        "outside": outside_rows(found),
        "skill": [
            (
                one.scale,
                one.where,
                whole(one.samples),
                number(one.rmse, 4),
                number(one.spread, 4),
            )
            for one in found.skill
        ],
        "scales": [(one, whole(one.samples), number(one.spread, 4)) for one in found.scales],
        "tolerance": number(found.tolerance, 2),
        "rank": number(last.rank_correlation, 2),
    }


def draw(found: Explanation) -> list[Picture]:
    """Draw the figures that there is data for."""
    pictures = [
        Picture(
            "importances",
            png(charts.importance_panels(found)),
            "Importance of each group of features by several measures. The numbers are in "
            "explanation/importances.csv.",
        ),
        Picture(
            "sensitivity",
            png(charts.sensitivity_lines(found)),
            "Share of the variance of the predictions that each group of features accounts for, at "
            "every scale. The numbers are those of the table.",
        ),
    ]
    if found.effects:
        pictures.append(
            Picture(
                "effects",
                png(charts.effect_curves(found)),
                "Change of the prediction along single features, at every scale. The numbers are in "
                "explanation/effects.csv.",
            )
        )
    return pictures


def change_rows(found: Explanation) -> list[tuple[str, list[Cell]]]:
    """Give a row per group: total index at every scale, change and answer; the largest first."""
    last = found.comparisons[-1]
    totals = {(one.scale, one.group): one.total for one in found.sensitivity}
    tones = {"holds": "better", "does not hold": "worse", "cannot be told": ""}
    rows = []
    for change in sorted(last.changes, key=lambda one: -max(one.before, one.after)):
        cells = [Cell(number(totals[scale.name, change.group], 2)) for scale in found.scales]
        cells.append(Cell(number(change.after - change.before, 2, signed=True)))
        span = f"{number(change.lower, 2)} to {number(change.upper, 2)}"
        cells.append(Cell(span))
        cells.append(Cell(change.answer, tone=tones[change.answer]))
        rows.append((charts.words(change.group, 80), cells))
    return rows


def outside_rows(found: Explanation) -> list[tuple[str, list[str]]]:
    """Give the features that lie beyond the range of training, and their shares at every finer scale."""
    shares = {(one.scale, one.feature): one.share for one in found.outside}
    used = found.scales[-1].name
    features = dict.fromkeys(one.feature for one in found.outside)
    order = sorted(features, key=lambda name: -shares[used, name])
    named = [name for name in order if shares[used, name] >= NAMED_OUTSIDE][:MOST_OUTSIDE]
    return [
        (
            charts.words(name, 80),
            [f"{100 * shares[scale.name, name]:.1f} %" for scale in found.scales[1:]],
        )
        for name in named
    ]
