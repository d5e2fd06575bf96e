"""Judge a run by all that is asked: stations, maps, gaps, and methods against each other.

All that is found lies in ``validation/`` of the run: ``summary.json`` and tables for spreadsheets, and
``scores.nc`` with the scores of stations, named and with units. ``series.nc`` has what was scored there: readings,
every product and rain by station and time, so that the report draws whatever stations and products were given.
"""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from vadose.errors import ValueProblem
from vadose.pipeline.asking import Asked
from vadose.pipeline.calibrating import KEPT as INTERVALS
from vadose.pipeline.ensemble_scores import score_ensembles
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.gap_scores import overall, score_gaps
from vadose.pipeline.map_scores import compare_methods, score_maps
from vadose.pipeline.places import has_judges, note_on_judges
from vadose.pipeline.station_scores import Step, judge_at_stations, title_of
from vadose.pipeline.station_series import SERIES_FILE, write_series
from vadose.store import replaced


def judge(folder: RunFolder, asked: Asked, step: Step) -> dict[str, Any]:
    """Judge a run by all that is asked, and write what was found to ``validation/``, whole or not at all.

    Parameters
    ----------
    folder
        A run whose methods have predicted.
    asked
        By what, and how.
    step
        Told how far it has come.

    Returns
    -------
    dict
        The content of ``summary.json``.

    Raises
    ------
    VadoseError
        No stations, none in the domain, stations that took part in making the product.
    """
    recipe = folder.recipe
    summary: dict[str, Any] = {
        "target": recipe.target,
        "publish": recipe.publish,
        "titles": {name: title_of(recipe, name) for name in (*recipe.methods, *asked.products)},
        "notes": [*recipe.notes, *note_on_judges(folder.path)],
    }
    frames: dict[str, pd.DataFrame] = {}
    if asked.stations is None and not has_judges(folder.path) and asked.needs_stations():
        raise ValueProblem(
            "options of matching",
            found="a run without stations that may judge it",
            expected="--stations PATH with them",
        )
    with replaced(folder / "validation", overwrite=True) as partial:
        partial.mkdir()
        if asked.stations is not None or has_judges(folder.path):
            found = judge_at_stations(folder, asked, step)
            summary |= found.summary
            frames |= found.frames
            found.scores.to_netcdf(partial / "scores.nc", engine="h5netcdf")
            write_series(found.series, partial / SERIES_FILE)
        step(5, 8, "maps")
        summary["maps"], frames["maps"] = score_maps(folder)
        ensembles = score_ensembles(folder)
        if ensembles:
            summary["ensembles"] = ensembles
        if asked.gaps is not None:
            step(6, 8, "gaps")
            frames["gaps"] = score_gaps(folder, asked.gaps)
            summary["gaps"] = overall(frames["gaps"])
        if asked.hat:
            step(7, 8, "three-cornered hat")
            summary["hat"] = compare_methods(folder, asked.hat, partial)
        kept = folder / INTERVALS
        if kept.exists():
            told = json.loads(kept.read_text(encoding="utf-8"))
            summary["intervals"] = {key: told[key] for key in ("source", "level", "coverage")}
        for name, frame in frames.items():
            frame.to_csv(partial / f"{name}.csv", index=False, float_format="%.6g")
        text = json.dumps(summary, indent=2) + "\n"
        (partial / "summary.json").write_text(text, encoding="utf-8")
    step(8, 8)
    return summary
