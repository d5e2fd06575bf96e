"""The report: one HTML file made from a run folder alone, which opens anywhere and offline.

Whatever stands in the run folder is text that somebody wrote: the template escapes all of it, and a
content security policy forbids scripts and loading even if something should slip through.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vadose.errors import FileProblem, MissingExtra
from vadose.report import charts, figures, tables, verdict
from vadose.report.correction import correction_remark, tell_correction
from vadose.report.ensembles import tell_ensembles
from vadose.report.runs import Run, read_run
from vadose.report.scene import Scene, busiest_window, read_pairs, read_scene
from vadose.report.style import png, pretty_unit
from vadose.store import replaced

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup
    from matplotlib.figure import Figure

#: Largest closure error, in units of the target, that is float32 rounding and nothing else.
ROUNDING = 1e-6

_LINK = re.compile(r"https?://[\w./~%+:;=?@&#()-]+[\w/]")


@dataclass(frozen=True)
class Picture:
    """Hold one figure of the report.

    Attributes
    ----------
    name
        Name of the file, without its suffix.
    alternative
        What it shows, in words, for those who cannot see it.
    """

    name: str
    content: bytes
    alternative: str

    @property
    def source(self) -> str:
        """Give the picture as a data URL."""
        return "data:image/png;base64," + base64.b64encode(self.content).decode("ascii")


def write_report(run: Path) -> Path:
    """Write ``report.html`` and ``figures/*.png`` into a run folder.

    Parameters
    ----------
    run
        Folder of a finished run; nothing outside it is read.

    Returns
    -------
    pathlib.Path
        The HTML file. It has its final name only when it is complete.

    Raises
    ------
    FileProblem, RunProblem
        When the folder is not that of a finished run, or cannot be written to.
    MissingExtra
        When matplotlib or jinja2 is not installed.
    """
    environment = _environment()
    run = Path(run)
    record = read_run(run)
    scene = read_scene(record)
    pictures = {picture.name: picture for picture in draw(record, scene)}
    page = environment.get_template("report.html.j2").render(_content(record, scene, pictures))
    _save_pictures(run / "figures", pictures)
    target = run / "report.html"
    with replaced(target, overwrite=True) as partial:
        partial.write_text(page, encoding="utf-8")
    return target


def draw(run: Run, scene: Scene) -> Iterator[Picture]:
    """Draw all figures of a run, those that it has data for."""
    unit = run.scores.unit
    sizes = f"{tables.cell_size(scene.coarse_grid)} and {tables.cell_size(scene.fine_grid)}"
    window = busiest_window(scene)
    where = figures.window_words(scene.fine_grid, window)
    shown = "coarse input, downscaled product"
    shown += ", truth and the difference of the last two" if scene.truth is not None else ""
    plans: list[tuple[str, Callable[[], Figure], str]] = [
        (
            "map",
            lambda: figures.map_panels(scene, unit=unit),
            f"Maps of soil moisture at {sizes}: {shown}.",
        ),
        (
            "zoom",
            lambda: figures.map_panels(scene, unit=unit, window=window),
            f"The same maps over {where}: {shown}.",
        ),
        (
            "gains",
            lambda: charts.gain_bars(run.scores, tables.score_order(run.scores)),
            "RMSE and correlation inside coarse cells of every method, beside the baselines. "
            "The numbers are those of the table.",
        ),
    ]
    if scene.truth is not None:
        pairs = read_pairs(run)
        if pairs is not None:
            plans.append(
                (
                    "scatter",
                    lambda: charts.scatter_density(pairs, unit=unit),
                    "Counts of cells by true and downscaled soil moisture, over all cells and as "
                    "departures from the mean of the coarse cell, with the line of equality.",
                )
            )
    if run.importances:
        first = run.importances[0].predictor.replace("_", " ")
        plans.append(
            (
                "importances",
                lambda: charts.importance_bars(run.importances),
                f"Bars of the importance of {len(run.importances)} predictors, {first} first.",
            )
        )
    if scene.origin is not None:
        origin = scene.origin
        plans.append(
            (
                "origin",
                lambda: figures.origin_map(origin, scene.fine_grid),
                "Map of where each value comes from. The counts are those of the table.",
            )
        )
    if _largest(scene) > ROUNDING:
        plans.append(
            (
                "closure",
                lambda: charts.closure_histogram(scene.closure, unit=unit),
                "Histogram of the closure error over the coarse cells.",
            )
        )
    for name, paint, alternative in plans:
        yield Picture(name, png(paint()), alternative)


def _content(run: Run, scene: Scene, pictures: dict[str, Picture]) -> dict[str, Any]:
    scores, manifest = run.scores, run.manifest
    window = busiest_window(scene)
    closed = np.abs(scene.closure)
    judged, correction = verdict.judge(scores, manifest.method), tell_correction(run)
    return {
        "run": run,
        "manifest": manifest,
        "scores": scores,
        "unit": pretty_unit(scores.unit),
        "published": scores.methods[manifest.method],
        "verdict": judged,
        "remarks": (*judged.remarks, *correction_remark(correction)),
        "correction": correction,
        "ensembles": tell_ensembles(run),
        "facts": verdict.facts(run),
        "rows": tables.score_rows(scores, manifest.method),
        "heads": tables.SCORE_HEADS,
        "warnings": tables.place_warnings(manifest.warnings),
        "pictures": pictures,
        "when": scene.when,
        "moments": run.product.sizes.get("time", 1),
        "where": figures.window_words(scene.fine_grid, window),
        "coarse_size": tables.cell_size(scene.coarse_grid),
        "fine_size": tables.cell_size(scene.fine_grid),
        "has_truth": scene.truth is not None,
        "samples": tables.whole(scores.n),
        "origins": [] if scene.origin is None else tables.origin_rows(scene.origin),
        "closure": {
            "cells": tables.whole(closed.size),
            "largest": tables.small(_largest(scene)),
            "typical": tables.small(float(np.median(closed)) if closed.size else float("nan")),
            "is_rounding": _largest(scene) <= ROUNDING,
        },
        "held": None if run.held is None else tables.held_rows(run.held),
        "provenance": tables.manifest_rows(run),
    }


def _largest(scene: Scene) -> float:
    return float(np.abs(scene.closure).max()) if scene.closure.size else float("nan")


def _save_pictures(folder: Path, pictures: dict[str, Picture]) -> None:
    """Write the figures, and remove those of an earlier report that this one does not have."""
    try:
        folder.mkdir(exist_ok=True)
        for name in ("map", "zoom", "gains", "scatter", "importances", "origin", "closure"):
            path = folder / f"{name}.png"
            if name not in pictures:
                path.unlink(missing_ok=True)
                continue
            with replaced(path, overwrite=True) as partial:
                partial.write_bytes(pictures[name].content)
    except OSError as error:
        raise FileProblem(
            folder,
            found=f"a folder that cannot be written to ({error.strerror})",
            remedy="Free some space or choose another folder for the run.",
        ) from error


def _environment() -> Environment:
    try:
        import jinja2
    except ImportError as error:
        raise MissingExtra("jinja2", extra="report") from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("vadose.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["linked"] = linked
    return environment


def linked(text: str) -> Markup:
    """Escape a text and turn the web addresses in it into links.

    Examples
    --------
    >>> print(linked("<b> see https://doi.org/10.1000/1."))
    &lt;b&gt; see <a href="https://doi.org/10.1000/1">https://doi.org/10.1000/1</a>.
    """
    from markupsafe import Markup, escape

    parts: list[Markup] = []
    end = 0
    for match in _LINK.finditer(text):
        parts.append(escape(text[end : match.start()]))
        parts.append(Markup('<a href="{0}">{0}</a>').format(match.group()))
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])
