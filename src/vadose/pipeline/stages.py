"""The verbs that take up a run folder: each does one stage, and knows of those before it what stands there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadose.pipeline.folder import RunFolder
from vadose.pipeline.progress import Progress, quiet

if TYPE_CHECKING:
    from vadose.pipeline.asking import Asked
    from vadose.pipeline.downscaling import How, Planned


def fuse_run(path: str | Path, *, progress: Progress = quiet) -> Path:
    """Fill the gaps of a run's coarse target; ``coarse_observed.zarr`` keeps it as it was.

    Models then learn from observed values alone, and predict from all. ``fusion/`` says how good the
    filled part is.

    Raises
    ------
    VadoseError
        With the text to show.
    """
    from vadose.pipeline.fusion import fuse_coarse

    folder = RunFolder(Path(path))
    folder.need("build")
    with folder.stage("fuse"), progress("Filling gaps") as step:
        fuse_coarse(folder, step)
    return folder.path


def fit(path: str | Path, *, progress: Progress = quiet) -> Path:
    """Fit every model of the recipe on the coarse cube; a model that is there is kept.

    Where the recipe holds a part back, it is hidden from the models, and ``fit_scores.json`` says how
    well direct methods give the coarse target there.
    """
    from vadose.pipeline.conditions import find_conditions
    from vadose.pipeline.learning import (
        coarse_predictions,
        coarse_scores,
        drop_trainings,
        fit_method,
        held_back,
        learned_from,
        observed_part,
        write_daily,
    )
    from vadose.store import open_cube

    folder = RunFolder(Path(path))
    folder.need("build")
    recipe = folder.recipe
    if recipe.fuse is not None:
        folder.need("fuse")
    with folder.stage("fit"):
        coarse = observed_part(open_cube(folder / "coarse.zarr"), recipe.target)
        fine = open_cube(folder / "fine.zarr")
        parts = held_back(recipe, coarse)
        known = learned_from(recipe, coarse, parts)
        conditions = find_conditions(folder, coarse)
        (folder / "models").mkdir(exist_ok=True)
        for name, method in recipe.methods.items():
            if method.model is None or (folder / f"models/{name}").exists():
                continue
            with progress(f"Learning: {method.title}") as step:
                given = conditions.get(name)
                fit_method(recipe, name, known, fine, folder.path, step, conditions=given)
        drop_trainings(folder.path)
        if parts is not None:
            with progress("Scoring what was held back"):
                predicted = coarse_predictions(recipe, folder.path, coarse)
                scores = coarse_scores(recipe, predicted, coarse, parts)
                folder.write_json("fit_scores.json", scores)
                write_daily(folder.path, recipe, predicted, coarse, parts)
    return folder.path


def downscale(
    path: str | Path,
    *,
    how: How | None = None,
    progress: Progress = quiet,
    tell: Callable[[list[Planned]], None] | None = None,
) -> Path:
    """Predict the fine field with every method, tile by tile, and publish the one that the recipe names.

    Parameters
    ----------
    path
        Folder of a run whose models are fitted. What is finished there is looked at and kept.
    how
        Memory, workers, cluster, and where cubes and predictions lie.
    progress
        Shows how far the work has come.
    tell
        Called with the plan before the work begins.

    Raises
    ------
    VadoseError
        With the text to show; finished tiles stay.
    """
    from vadose.pipeline.downscaling import How, make_all

    folder = RunFolder(Path(path))
    folder.need("fit")
    with folder.owned():
        planned = plan(path, how=how)
        if tell is not None:
            tell(planned)
        with folder.stage("downscale"):
            make_all(folder, how or How(), planned, progress)
    return folder.path


def plan(path: str | Path, *, how: How | None = None) -> list[Planned]:
    """Plan how a run is downscaled: tiles, bytes, memory and time of every store.

    Raises
    ------
    VadoseError
        With the text to show.
    """
    from vadose.pipeline.downscaling import How, plan_all
    from vadose.pipeline.parts import product_attributes

    folder = RunFolder(Path(path))
    folder.need("fit")
    return list(plan_all(folder, how or How(), product_attributes(folder)))


def correct(path: str | Path, *, progress: Progress = quiet) -> Path:
    """Correct the published product with the run's stations, if that helps at stations held out.

    ``correction/`` holds what was found. The corrected product, ``product_corrected.zarr``, stands beside the
    product; nothing is closed again.

    Raises
    ------
    VadoseError
        With the text to show.
    """
    from vadose.pipeline.correcting import correct_run

    folder = RunFolder(Path(path))
    folder.need("downscale")
    with folder.stage("correct"), progress("Correcting with stations") as step:
        correct_run(folder, step)
    return folder.path


def validate(path: str | Path, *, asked: Asked | None = None, progress: Progress = quiet) -> Path:
    """Score every method against the truth or the stations, beside the coarse input.

    Parameters
    ----------
    path
        Folder of a run whose methods have predicted.
    asked
        How to pair the run's own stations, where it is judged by them.
    progress
        Shows how far the work has come.
    """
    from vadose.pipeline.scoring import against_stations, against_truth, as_csv

    folder = RunFolder(Path(path))
    folder.need("downscale")
    recipe = folder.recipe
    with folder.stage("validate"), progress("Scoring") as step:
        score = against_truth if recipe.build.withhold else against_stations
        scores = score(folder.path, recipe)
        folder.write_json("scores.json", scores)
        folder.write_text("scores.csv", as_csv(scores["methods"]))
        step(1, 1)
    judge(path, asked=asked, progress=progress)
    return folder.path


def judge(
    path: str | Path, *, asked: Asked | None = None, progress: Progress = quiet
) -> dict[str, Any]:
    """Judge a run at stations and by its maps: intervals, gains over the coarse input, strata, gaps.

    Parameters
    ----------
    path
        Folder of a run whose methods have predicted; its ``validation/`` is written anew.
    asked
        Which stations, and how to pair them; the run's own unless given.
    progress
        Shows how far the work has come.

    Returns
    -------
    dict
        The content of ``validation/summary.json``.

    Raises
    ------
    VadoseError
        With the text to show.
    """
    from vadose.pipeline.asking import Asked
    from vadose.pipeline.validating import judge as judge_all

    folder = RunFolder(Path(path))
    folder.need("downscale")
    with folder.owned(), progress("Judging") as step:
        return judge_all(folder, asked or Asked(), step)
