"""The verbs: each is a function of a run folder and a sub-command of ``vadose``.

``build`` makes the cubes, ``fit`` learns, ``downscale`` predicts, ``validate`` scores and ``report`` tells;
``run`` does all of them and ``demo`` does so on the bundled sample. A stage knows of the one before it
only what stands in the folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vadose.config import DEMO_RECIPE, read_recipe
from vadose.errors import RecipeProblem, RunProblem
from vadose.pipeline.folder import STAGES, RunFolder, drop_previous, start

if TYPE_CHECKING:
    from vadose.config.fusion import Fusion
    from vadose.pipeline.asking import Asked
    from vadose.pipeline.downscaling import How, Planned
    from vadose.publish import Verdict

#: Told steps done and steps in all, and perhaps a word on how it goes, such as a loss.
Step = Callable[..., None]


#: Memory that building may take unless told otherwise.
MAX_MEM = "4GB"


class Progress(Protocol):
    """Show how far a long piece of work has come."""

    def __call__(self, words: str) -> AbstractContextManager[Step]:
        """Open a bar; what it gives is called with steps done and steps in all."""
        ...


def quiet(words: str) -> AbstractContextManager[Step]:
    """Show nothing."""
    return nullcontext(lambda done, total, note="": None)


def demo(out: str | Path, *, overwrite: bool = False, progress: Progress = quiet) -> Path:
    """Run the bundled study: real data, a withheld truth, a report.

    Parameters
    ----------
    out
        Folder of the run.
    overwrite
        Replace a finished run that is there.
    progress
        Shows how far the work has come.

    Returns
    -------
    pathlib.Path
        The report.

    Raises
    ------
    VadoseError
        With the text to show.
    """
    command = f"vadose demo --out {out}"
    return run(DEMO_RECIPE, out, overwrite=overwrite, progress=progress, command=command)


def run(
    recipe: str | Path,
    out: str | Path,
    *,
    overwrite: bool = False,
    max_mem: str = MAX_MEM,
    progress: Progress = quiet,
    command: str | None = None,
) -> Path:
    """Do all that a recipe names; a run that was stopped goes on behind its last finished stage.

    Parameters
    ----------
    recipe
        A YAML file, see ``examples/``.
    out
        Folder of the run.
    overwrite
        Replace a finished run that is there.
    max_mem
        Memory that building the cubes may take, such as ``4GB``.
    progress
        Shows how far the work has come.
    command
        What repeats the run, for its manifest.

    Returns
    -------
    pathlib.Path
        The report.

    Raises
    ------
    VadoseError
        With the text to show.
    """
    from vadose.pipeline.building import build_cubes

    asked = read_recipe(recipe)
    if asked.stations is None and not asked.build.withhold:
        raise RecipeProblem(
            str(recipe),
            found="neither a withheld truth nor stations",
            expected="something to judge by",
            remedy="Add stations (or withhold: true); or make the product without scores: vadose build, "
            + ("fuse, " if asked.fuse is not None else "")
            + "fit and downscale.",
        )
    folder = _start(recipe, out, overwrite, command or f"vadose run {recipe} --out {out}")
    stages: dict[str, Callable[..., Path]] = {}
    if folder.recipe.fuse is not None:
        stages["fuse"] = fuse_run
    stages |= {"fit": fit, "downscale": downscale}
    if folder.recipe.correct is not None:
        stages["correct"] = correct
    stages |= {"validate": validate, "report": report}
    if not folder.is_done("build"):
        build_cubes(folder, progress, max_mem)
    for name, function in stages.items():
        if not folder.is_done(name):
            function(folder.path, progress=progress)
    drop_previous(folder.path)
    return folder / "report.html"


def finished(out: str | Path) -> list[str]:
    """List the stages that are finished in a folder; none where there is no run."""
    folder = RunFolder(Path(out))
    try:
        return [stage for stage in STAGES if folder.is_done(stage)]
    except RunProblem:
        return []


def build(
    recipe: str | Path,
    out: str | Path,
    *,
    overwrite: bool = False,
    max_mem: str = MAX_MEM,
    progress: Progress = quiet,
) -> Path:
    """Make the coarse and the fine cube (and the truth, where the recipe withholds one).

    Parameters
    ----------
    recipe, out, overwrite, progress
        As for `run`.
    max_mem
        Memory that building may take, such as ``4GB``; fewer blocks are worked on at a time for less.
    """
    from vadose.pipeline.building import build_cubes

    folder = _start(recipe, out, overwrite, f"vadose run {recipe} --out {out}")
    build_cubes(folder, progress, max_mem)
    return folder.path


def _start(recipe: str | Path, out: str | Path, overwrite: bool, command: str) -> RunFolder:
    recipe = Path(recipe)
    read_recipe(recipe)  # faults first, before anything is made
    text = recipe.read_text(encoding="utf-8")
    return start(Path(out), text, origin=recipe.parent, command=command, overwrite=overwrite)


def fuse(
    recipe: str | Path | Fusion,
    out: str | Path,
    *,
    overwrite: bool = False,
    max_mem: str = MAX_MEM,
    progress: Progress = quiet,
    command: str | None = None,
) -> Path:
    """Fuse a satellite with gaps and a land model into one seamless daily record.

    Parameters
    ----------
    recipe
        A recipe of fusion (YAML, see ``examples/south_africa_fused.yaml``) or one in memory; or a recipe of a
        study with ``fuse:``, whose cubes are built, if they are not there, and whose coarse target is filled.
    out
        Folder of the result; a stopped fusion goes on there.
    overwrite
        Replace a finished one that is there.
    max_mem
        Memory that building the cubes of a study may take.
    progress
        Shows how far the work has come.
    command
        What repeats it, for its manifest.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    VadoseError
        With the text to show.
    """
    from vadose.config.fusion import Fusion
    from vadose.pipeline.fusion import fuse_files, is_fusion

    if isinstance(recipe, Fusion) or is_fusion(recipe):
        return fuse_files(recipe, Path(out), overwrite, progress, command)
    from vadose.pipeline.building import build_cubes

    folder = _start(recipe, out, overwrite, f"vadose run {recipe} --out {out}")
    if folder.recipe.fuse is None:
        raise RecipeProblem(
            str(recipe),
            found="neither satellite and model nor fuse",
            expected="a recipe of fusion, or fuse: in that of a study",
        )
    if not folder.is_done("build"):
        build_cubes(folder, progress, max_mem)
    return fuse_run(folder.path, progress=progress)


def fuse_named(
    satellite: Sequence[str],
    model: Sequence[str],
    out: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    variables: tuple[str | None, str | None] = (None, None),
    overwrite: bool = False,
    progress: Progress = quiet,
) -> Path:
    """Fuse two sets of files without a recipe; the one that says the same is written to `out`.

    Parameters
    ----------
    satellite, model
        Files, folders or globs; their soil moisture is found by its name.
    out, overwrite, progress
        As for `fuse`.
    settings
        Further keys of a recipe of fusion.
    variables
        Names of soil moisture in both, where they cannot be told.
    """
    import yaml

    from vadose.config.fusion import parse_fusion
    from vadose.pipeline.fusion_sources import fusion_of_files

    described = fusion_of_files(
        satellite, model, settings=dict(settings or {}), variables=variables
    )
    fusion = parse_fusion(yaml.safe_dump(described), source="vadose fuse")
    words = [*(f"--satellite {one}" for one in satellite), *(f"--model {one}" for one in model)]
    command = f"vadose fuse {' '.join(words)} --out {out}"
    return fuse(fusion, out, overwrite=overwrite, progress=progress, command=command)


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


def report(
    path: str | Path,
    *,
    style: str = "screen",
    with_files: bool = True,
    dates: Sequence[str] = (),
    progress: Progress = quiet,
) -> Path:
    """Tell a run, or a folder of `fuse`, in one HTML page that opens offline.

    Parameters
    ----------
    path
        The folder.
    style
        Sizes of the figures' files, for a journal: see `vadose.report.journals.STYLES`.
    with_files
        Keep every figure as PNG, PDF, SVG and CSV in ``figures/``.
    dates
        Dates to show as maps, ISO 8601; some evenly chosen ones unless given.
    progress
        Shows how far the work has come.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    VadoseError
        With the text to show.
    """
    from vadose.pipeline.reporting import tell

    return tell(Path(path), style=style, with_files=with_files, dates=dates, progress=progress)


def explain(
    path: str | Path,
    *,
    method: str | None = None,
    samples: int = 2000,
    seed: int | None = None,
    progress: Progress = quiet,
) -> Path:
    """Explain a fitted method: what it relies on, how, and whether that holds at the fine scale.

    Parameters
    ----------
    path
        Folder of a run whose models are fitted. Nothing but its explanation is changed.
    method
        Which method; the published one, or the first with a model in it, unless given.
    samples
        Places of each scale that the model is asked for.
    seed
        Of all that is drawn; that of the recipe unless given.
    progress
        Shows how far the work has come.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    VadoseError
        With the text to show.
    """
    from vadose.pipeline.explaining import explain_method
    from vadose.report.explanation import write_explanation

    folder = RunFolder(Path(path))
    explain_method(folder, method=method, samples=samples, seed=seed, progress=progress)
    with progress("Drawing the explanation"):
        return write_explanation(folder.path)


def serve(path: str | Path, *, port: int = 8321, tell: Callable[[str], None] = print) -> None:
    """Show a run, or a folder of `fuse`, on a map in the browser; on this machine only, until interrupted.

    Parameters
    ----------
    path
        The folder; where there is no run yet, or half of one, the page says so.
    port
        Port to listen on; 0 for any free one.
    tell
        Called with the address when it answers.

    Raises
    ------
    MissingExtra, ValueProblem
        When the libraries of the extra ``serve`` are not there, or the port is taken.
    """
    from vadose.pipeline.serving import serve_map

    serve_map(Path(path), port, tell)


def export(
    path: str | Path,
    out: str | Path | None = None,
    *,
    about: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress = quiet,
) -> Path:
    """Export a product for archives and other tools: CF netCDF, GeoZarr, GeoTIFF by day, STAC, terms.

    Parameters
    ----------
    path
        Folder of a run whose product is written, or of a fusion.
    out
        Folder of the export; ``export`` in that of the run unless given. A stopped export goes on there.
    about
        YAML that says who publishes it, see `vadose.publish.About`.
    overwrite
        Replace an export that is there, once the new one is complete.
    progress
        Shows how far the work has come.

    Returns
    -------
    pathlib.Path
        Folder of the export.

    Raises
    ------
    VadoseError
        With the text to show; what is finished stays for the next call.
    """
    from vadose.pipeline.exporting import EXPORT, export_run

    run, said = Path(path), None if about is None else Path(about)
    place = run / EXPORT if out is None else Path(out)
    with progress("Exporting") as step:
        return export_run(run, place, about=said, overwrite=overwrite, step=step)


def check_export(path: str | Path, *, progress: Progress = quiet) -> list[Verdict]:
    """Run every validator on an export; one verdict for each.

    Raises
    ------
    FileProblem, MissingExtra
        No export, or a validator that is not installed.
    """
    from vadose.pipeline.exporting import check

    with progress("Checking the export") as step:
        return check(Path(path), step)
