"""The stage that tells: a page for a run, or for a folder of ``vadose fuse``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vadose.errors import ValueProblem
from vadose.pipeline.folder import RunFolder, manifest
from vadose.pipeline.parts import importances_of
from vadose.pipeline.places import has_judges, note_on_judges
from vadose.report.fused import is_fused, write_fused_report
from vadose.report.html import write_report
from vadose.report.journals import find_style

if TYPE_CHECKING:
    from vadose.pipeline import Progress


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
    # what nothing could judge has no scores, and is told of without
    folder.need("downscale")
    is_judged = folder.recipe.build.withhold or has_judges(path)
    if is_judged:
        folder.need("validate")
    with folder.stage("report"), progress("Drawing the report"):
        inputs = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
        notes = note_on_judges(path)
        title = folder.recipe.methods[folder.recipe.publish].title
        about = {**manifest(folder, inputs, notes), "method_title": title}
        folder.write_json("manifest.json", about)
        folder.write_text("importances.csv", importances_of(folder))
        page = write_report(path, style=style, with_files=with_files, dates=dates)
    about = {**manifest(folder, inputs, notes), "method_title": title}
    folder.write_json("manifest.json", about)
    return page
