"""The report: one HTML file made from a run folder alone, which opens anywhere and offline.

Whatever stands in the run folder is text that somebody wrote: the template escapes all of it, and a
content security policy forbids scripts and loading even if something should slip through.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vadose.report import chapters, figures, tables, verdict
from vadose.report.absent import tell_absent
from vadose.report.chapters import Chapter
from vadose.report.choices import tell_choices
from vadose.report.correction import correction_remark, tell_correction
from vadose.report.dates import chosen_places
from vadose.report.ensembles import tell_ensembles
from vadose.report.explanation import read_explanation
from vadose.report.fusion import fusion_remark, read_fusion
from vadose.report.ground import HEADS as GROUND_HEADS
from vadose.report.ground import ground_rows
from vadose.report.journals import find_style
from vadose.report.judged import Judged, read_judged
from vadose.report.notes import in_short, placed_notes, recipe_notes
from vadose.report.origins import count_origins
from vadose.report.pages import environment, with_contents
from vadose.report.plates import Picture, draw_plates
from vadose.report.runs import Run, read_run
from vadose.report.scene import Scene, busiest_window, read_scene
from vadose.report.standing import standings
from vadose.report.station_chapter import stations
from vadose.report.style import pretty_unit
from vadose.store import replaced


def write_report(
    run: Path, *, style: str = "screen", with_files: bool = True, dates: Sequence[str] = ()
) -> Path:
    """Write ``report.html`` into a run folder, and every figure into ``figures/``.

    Parameters
    ----------
    run
        Folder of a run whose product is made; nothing outside it is read.
    style
        Sizes of the figures' files, see `vadose.report.journals.STYLES`; those of the page are the screen's.
    with_files
        Keep figures as PNG, PDF, SVG and CSV too.
    dates
        Dates to show as maps, ISO 8601, the first of them in the large ones; the one that was observed best
        and some evenly chosen ones unless given.

    Returns
    -------
    pathlib.Path
        The HTML file. It has its final name only when it is complete.

    Raises
    ------
    FileProblem, RunProblem
        When the folder is not that of a run, or cannot be written to.
    UnknownName, ValueProblem
        No such style, or no such date.
    MissingExtra
        When matplotlib or jinja2 is not installed.
    """
    templates, journal = environment(), find_style(style)
    run = Path(run)
    record = read_run(run)
    asked = chosen_places(record, dates) if dates else []
    scene = read_scene(record, asked[0] if asked else None)
    judged = read_judged(record)
    parts = gather(record, scene, judged, dates)
    pictures = draw_plates(
        (plate for part in parts for plate in part.plates),
        run / "figures" if with_files else None,
        journal,
    )
    told = _content(record, scene, judged, pictures) | {
        name: value for part in parts for name, value in part.told.items()
    }
    told["absent"] = tell_absent(record, pictures, told)
    page = templates.get_template("report.html.j2").render(told)
    target = run / "report.html"
    with replaced(target, overwrite=True) as partial:
        partial.write_text(with_contents(page), encoding="utf-8")
    return target


def gather(
    run: Run, scene: Scene, judged: Judged | None, dates: Sequence[str] = ()
) -> list[Chapter]:
    """Gather the chapters of a run, in reading order."""
    has_explanation = (run.path / "explanation" / "explanation.json").exists()
    explained = read_explanation(run.path) if has_explanation else None
    return [
        chapters.maps(run, scene),
        chapters.days(run, dates),
        chapters.fusion(read_fusion(run.path)),
        chapters.model(run, explained),
        chapters.scores(run, scene),
        chapters.fit(run),
        stations(run, judged),
        chapters.trusted(run, judged),
        chapters.closing(run, scene, judged),
    ]


def _content(
    run: Run, scene: Scene, judged: Judged | None, pictures: dict[str, Picture]
) -> dict[str, Any]:
    scores, manifest = run.scores, run.manifest
    window = busiest_window(scene)
    found, origins = standings(scores, judged), count_origins(run)
    told, correction = verdict.judge_run(run, found), tell_correction(run)
    fused = read_fusion(run.path)
    return {
        "run": run,
        "manifest": manifest,
        "scores": scores,
        "recipe": run.recipe,
        "choices": tell_choices(run),
        "unit": pretty_unit(scores.unit),
        "published": scores.methods[manifest.method],
        "verdict": told,
        "remarks": (
            *told.remarks,
            *verdict.remarks_on(run),
            *fusion_remark(fused),
            *correction_remark(correction),
        ),
        "head_warnings": verdict.warning_of(origins),
        "short_notes": [in_short(one) for one in recipe_notes(run)],
        "interval": scores.interval,
        "ground": ground_rows(run),
        "ground_heads": GROUND_HEADS,
        "all_origins": origins,
        "correction": correction,
        "ensembles": tell_ensembles(run),
        "facts": verdict.facts(run, origins),
        "rows": tables.score_rows(scores, manifest.method, found) if run.is_scored else [],
        "heads": tables.SCORE_HEADS,
        "warnings": placed_notes(run),
        "pictures": pictures,
        "when": scene.when,
        "moments": run.product.sizes.get("time", 1),
        "where": figures.window_words(scene.fine_grid, window),
        "coarse_size": tables.cell_size(scene.coarse_grid),
        "fine_size": tables.cell_size(scene.fine_grid),
        "has_truth": scene.truth is not None,
        "samples": tables.whole(scores.n),
        "origins": [] if scene.origin is None else tables.origin_rows(scene.origin),
        "held": None if run.held is None else tables.held_rows(run.held),
        "dates": [],
        "gap_day": "",
        "fills_gaps": False,
        "fused_when": "",
        "is_own_page": False,
        "inputs": tables.input_rows(manifest.inputs),
        "provenance": tables.made_rows(manifest),
    }
