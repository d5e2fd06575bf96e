"""The stage that tells: a page for a run, or for a folder of ``vadose fuse``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vadose.errors import ValueProblem
from vadose.pipeline.folder import RunFolder, manifest
from vadose.pipeline.places import OWN, has_judges, note_on_judges
from vadose.pipeline.relying import importances_of
from vadose.report.dates import chosen_places
from vadose.report.fused import is_fused, write_fused_report
from vadose.report.html import write_report
from vadose.report.journals import find_style
from vadose.report.runs import read_run

if TYPE_CHECKING:
    from vadose.pipeline.progress import Progress


def tell(
    path: Path, *, style: str, with_files: bool, dates: Sequence[str], progress: Progress
) -> Path:
    """Write the page of a run or of a fused record, see `vadose.pipeline.report`."""
    find_style(style)
    folder = RunFolder(path)
    if is_fused(path):
        if dates:
            raise ValueProblem(
                "--date", found="a fused record", expected="a run, for maps of chosen dates"
            )
        folder.need("fuse")
        with folder.owned(), progress("Drawing the report"):
            return write_fused_report(path, style=style, with_files=with_files)
    is_judged = _is_judged(folder)
    folder.need("validate" if is_judged else "downscale")
    if dates and (folder / "manifest.json").is_file():
        chosen_places(read_run(path), dates)  # faults first, before a bar is shown
    with folder.stage("report"), progress("Drawing the report"):
        inputs = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
        notes = note_on_judges(path)
        title = folder.recipe.methods[folder.recipe.publish].title
        words = {"method_title": title, "is_judged": is_judged}
        folder.write_json("manifest.json", {**manifest(folder, inputs, notes), **words})
        folder.write_text("importances.csv", importances_of(folder))
        page = write_report(path, style=style, with_files=with_files, dates=dates)
    folder.write_json("manifest.json", {**manifest(folder, inputs, notes), **words})
    return page


def _is_judged(folder: RunFolder) -> bool:
    """Tell whether a run has a truth or stations to judge it by; one that has none is told of without scores."""
    is_built = folder.is_done("build")  # first, as it refuses a folder that is no run
    recipe = folder.recipe
    if recipe.build.withhold:
        return True
    is_built = is_built and (folder / OWN).exists()
    return recipe.stations is not None and (not is_built or has_judges(folder.path))
