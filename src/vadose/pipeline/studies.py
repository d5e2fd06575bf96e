"""The verbs that begin with a recipe: a study as a whole, its cubes, or a fusion of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadose.config import DEMO_RECIPE
from vadose.errors import RecipeProblem, RunProblem
from vadose.pipeline.folder import OPTIONAL, STAGES, RunFolder, drop_previous, start
from vadose.pipeline.progress import Progress, quiet
from vadose.pipeline.refusals import is_scored, read_study, refusals, refusals_of_fusion
from vadose.pipeline.stages import correct, downscale, fit, fuse_run, validate
from vadose.pipeline.tellings import report

if TYPE_CHECKING:
    from vadose.config.fusion import Fusion

#: Memory that building may take unless told otherwise.
MAX_MEM = "4GB"


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

    Without a truth or stations, but with ``hold:``, it is told how well models give the part of the coarse field
    that was kept from them; the fine field is then not scored.

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

    for refusal in refusals(read_study(recipe), str(recipe)):
        raise refusal
    folder = _start(recipe, out, overwrite, command or f"vadose run {recipe} --out {out}")
    stages: dict[str, Callable[..., Path]] = {}
    if folder.recipe.fuse is not None:
        stages["fuse"] = fuse_run
    stages |= {"fit": fit, "downscale": downscale}
    if folder.recipe.correct is not None:
        stages["correct"] = correct
    if is_scored(folder.recipe):
        stages["validate"] = validate
    stages["report"] = report
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
    from vadose.config.fusion import Fusion, read_fusion
    from vadose.pipeline.fusion import fuse_files, is_fusion

    if isinstance(recipe, Fusion) or is_fusion(recipe):
        for refusal in refusals_of_fusion(
            recipe if isinstance(recipe, Fusion) else read_fusion(recipe)
        ):
            raise refusal
        return fuse_files(recipe, Path(out), overwrite, progress, command)
    from vadose.pipeline.building import build_cubes

    if read_study(recipe).fuse is None:
        raise RecipeProblem(
            str(recipe),
            found="a recipe of a study without fuse:",
            expected="one of fusion (satellite and model), or fuse: in that of a study",
            remedy=f"Run it with: vadose run {recipe} --out FOLDER",
        )
    folder = _start(recipe, out, overwrite, f"vadose run {recipe} --out {out}")
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


def _start(recipe: str | Path, out: str | Path, overwrite: bool, command: str) -> RunFolder:
    recipe = Path(recipe)
    unasked = set() if is_scored(read_study(recipe)) else {"validate"}
    return start(
        Path(out),
        recipe.read_text(encoding="utf-8"),
        origin=recipe.parent,
        command=command,
        overwrite=overwrite,
        needed=frozenset(STAGES) - OPTIONAL - unasked,
    )
