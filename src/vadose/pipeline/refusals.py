"""What a recipe is refused for before any data is read.

`vadose run` and `vadose fuse` raise the first of it before they begin, `vadose recipe check` tells all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vadose.config import Recipe, read_recipe
from vadose.config.fusion import Filling, Fusion
from vadose.errors import MissingExtra, RecipeProblem, VadoseError, need
from vadose.fuse.adversarial import Adversarial
from vadose.models import MODELS
from vadose.models.trees import TreeModel
from vadose.pipeline.fusion import is_fusion
from vadose.pipeline.gap_judging import fillers_of


def is_scored(recipe: Recipe) -> bool:
    """Tell whether the fine field of a study has a truth or stations that judge it.

    Examples
    --------
    >>> from vadose.config import DEMO_RECIPE
    >>> is_scored(read_recipe(DEMO_RECIPE))
    True
    """
    return recipe.build.withhold or recipe.stations is not None


def read_study(path: str | Path) -> Recipe:
    """Read a recipe of a study, and name the other command where it is one of fusion.

    Raises
    ------
    FileProblem, RecipeProblem
    """
    if is_fusion(path, surely=True):
        raise RecipeProblem(
            str(path),
            found="a recipe of fusion (it names a satellite)",
            expected="one of a study (with build and methods)",
            remedy=f"Run it with: vadose fuse {path} --out FOLDER",
        )
    return read_recipe(path)


def refusals(recipe: Recipe, source: str) -> list[VadoseError]:
    """List what a study is refused for by ``vadose run``, whatever its files hold.

    Parameters
    ----------
    recipe
        The study.
    source
        Where it stands, for the messages.

    Examples
    --------
    >>> from vadose.config import DEMO_RECIPE
    >>> lonely = read_recipe(DEMO_RECIPE).model_copy(update={"stations": None})
    >>> build = lonely.build.model_copy(update={"withhold": False})
    >>> print(refusals(lonely.model_copy(update={"build": build}), "mine.yaml")[0].found)
    nothing to judge by: no withheld truth, no stations, no hold
    """
    found: list[VadoseError] = []
    if not is_scored(recipe) and recipe.hold is None:
        found.append(
            RecipeProblem(
                source,
                found="nothing to judge by: no withheld truth, no stations, no hold",
                expected="one of them",
                remedy="Add stations, which alone judge the fine field, or hold: {scheme: space}, which keeps a "
                "part of the coarse field from learning; or make the product without scores: vadose build, "
                + ("fuse, " if recipe.fuse is not None else "")
                + "fit and downscale.",
            )
        )
    return [*found, *_absent(_libraries(recipe))]


def refusals_of_fusion(fusion: Fusion) -> list[VadoseError]:
    """List what a fusion is refused for by ``vadose fuse``, whatever its files hold."""
    return _absent(_filling_libraries(fusion))


def _libraries(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Name what a study needs beyond the core, each with its extra."""
    yield from (("jinja2", "report"), ("matplotlib", "report"))
    if recipe.fuse is not None:
        yield from _filling_libraries(recipe.fuse)
    for method in recipe.methods.values():
        if method.model is not None and not issubclass(MODELS[method.model], TreeModel):
            yield "torch", "torch"
        if method.search is not None:
            yield "optuna", "explain"
    if recipe.stations is not None and recipe.stations.kind == "ismn":
        yield "ismn", "products"


def _filling_libraries(filling: Filling) -> Iterator[tuple[str, str]]:
    if Adversarial.name in fillers_of(filling):
        yield "torch", "torch"


def _absent(libraries: Iterator[tuple[str, str]]) -> list[VadoseError]:
    absent: list[VadoseError] = []
    for library, extra in dict.fromkeys(libraries):
        try:
            need(library, extra=extra)
        except MissingExtra as error:
            absent.append(error)
    return absent
