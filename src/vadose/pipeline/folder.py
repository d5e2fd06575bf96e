"""The run folder: where a study lives, what is finished in it, and who made it.

``state.json`` lists the stages that are done, each written after its results stand under their final
names; a killed run is taken up behind the last of them. ``manifest.json`` is for readers.
"""

from __future__ import annotations

import json
import platform
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import vadose
from vadose.config import Recipe, parse_recipe
from vadose.errors import FileProblem, RunProblem, VadoseError
from vadose.models import MODELS
from vadose.models.trees import TreeModel
from vadose.notebook import as_table
from vadose.store import owned, replaced

#: In their order; a recipe need not ask for the optional ones.
STAGES = ("build", "fuse", "fit", "downscale", "correct", "validate", "report")
OPTIONAL = {"fuse", "correct"}
#: What a state of vadose holds.
KEYS = {"recipe", "origin", "vadose", "command", "started", "stages"}
#: Libraries whose versions can change numbers.
LIBRARIES = (
    "dask",
    "numpy",
    "odc-geo",
    "pyproj",
    "rasterio",
    "scikit-learn",
    "scipy",
    "xarray",
    "zarr",
)


def libraries(recipe: Recipe) -> list[str]:
    """Name the libraries that the numbers of a study depend on."""
    methods = recipe.methods.values()
    models = [MODELS[method.model] for method in methods if method.model is not None]
    used = [*LIBRARIES]
    if not all(issubclass(model, TreeModel) for model in models):
        used.append("torch")
    if any(method.search is not None for method in methods):
        used.append("optuna")
    return sorted(used)


@dataclass(frozen=True)
class RunFolder:
    """Know the files of a run by name.

    Attributes
    ----------
    path
        The folder.
    """

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))  # text, as people have it

    def __truediv__(self, name: str) -> Path:
        """Give the path of a file of the run."""
        return self.path / name

    @property
    def recipe(self) -> Recipe:
        """Read the recipe of the run."""
        path = self / "recipe.yaml"
        return parse_recipe(path.read_text(encoding="utf-8"), source=str(path))

    @property
    def state(self) -> dict[str, Any]:
        """Read what is finished.

        Raises
        ------
        RunProblem
            When the folder is no run.
        """
        try:
            state = json.loads((self / "state.json").read_text(encoding="utf-8"))
            # others write a state.json too; theirs must not be set aside, then dropped
            assert state.keys() >= KEYS  # noqa: S101 - handled below
            assert isinstance(state["stages"], dict)  # noqa: S101 - handled below
        except (OSError, ValueError, LookupError, AttributeError, AssertionError) as error:
            raise RunProblem(
                self.path,
                found="no state.json that can be read",
                expected="a run folder",
                remedy="Start one with: vadose build RECIPE --out FOLDER",
            ) from error
        return dict(state)

    def _repr_html_(self) -> str:
        try:
            state, recipe = self.state, self.recipe
        except VadoseError as error:
            return as_table(str(self.path), {"state": error}, kind="no run")
        left = [one for one in STAGES if one not in state["stages"] and one not in OPTIONAL]
        rows = {
            "target": recipe.target,
            "published": recipe.methods[recipe.publish].title,
            "done": ", ".join(f"{one} ({took:.1f} s)" for one, took in state["stages"].items()),
            "next": f"vadose {left[0]} {self.path}" if left else "",
            "command": state["command"],
            "started": f"{state['started']}, vadose {state['vadose']}",
        }
        return as_table(recipe.title, rows, kind=f"run in {self.path}")

    def is_done(self, stage: str) -> bool:
        """Tell whether a stage is finished."""
        return stage in self.state["stages"]

    def need(self, stage: str) -> None:
        """Insist that a stage is finished.

        Raises
        ------
        RunProblem
            Names the command that does it.
        """
        if not self.is_done(stage):
            raise RunProblem(
                self.path,
                found=f"a run whose {stage} is not finished",
                remedy=f"Run first: vadose {stage} {self.path}"
                if stage != "build"
                else "Run first: vadose build RECIPE --out FOLDER",
            )

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Own the run: another process that would work on it is refused, with our pid and host.

        Raises
        ------
        RunProblem
            When another process owns it.
        """
        with owned(self.path):
            yield

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Own the run, and mark a stage as finished when the block ends well; later ones have to run again.

        Raises
        ------
        RunProblem
            When another process works on the run.
        """
        with self.owned():
            yield from self._stage(name)

    def _stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        state = self.state
        kept = {
            one: state["stages"][one]
            for one in STAGES[: STAGES.index(name)]
            if one in state["stages"]
        }
        self.write_json("state.json", {**state, "stages": kept})
        yield
        seconds = round(time.perf_counter() - started, 2)
        self.write_json("state.json", {**state, "stages": {**kept, name: seconds}})

    def write_json(self, name: str, content: Any) -> None:
        """Write a JSON file, whole or not at all."""
        self.write_text(name, json.dumps(content, indent=2) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file, whole or not at all."""
        with replaced(self / name, overwrite=True) as partial:
            partial.write_text(text, encoding="utf-8")


def start(
    out: Path,
    text: str,
    *,
    origin: Path,
    command: str,
    overwrite: bool = False,
    needed: frozenset[str] = frozenset(STAGES) - OPTIONAL,
) -> RunFolder:
    """Begin a run in a folder, or take up the unfinished one that is there.

    Parameters
    ----------
    out
        The folder; made if it is missing.
    text
        The recipe.
    origin
        Folder that paths in the recipe are relative to.
    command
        What repeats the run, for its manifest.
    overwrite
        Replace a run that is there. The old one is kept aside until the new one is finished.
    needed
        Stages with which it is finished.

    Raises
    ------
    RunProblem
        The folder holds something else, a finished run, or an unfinished one of another recipe.
    FileProblem
        The folder cannot be made.
    """
    folder = RunFolder(out)
    try:
        is_taken = out.exists() and (not out.is_dir() or any(out.iterdir()))
    except OSError as error:
        raise FileProblem(
            out, found=f"no access ({error.strerror})", expected="a folder"
        ) from error
    if is_taken:
        if not out.is_dir() or not (out / "state.json").is_file():
            raise RunProblem(
                out,
                found="files that are no run",
                expected="a new or empty folder",
                remedy="Choose another name; nothing was changed.",
            )
        state = folder.state
        is_same = state.get("recipe") == text and state.get("vadose") == vadose.__version__
        is_finished = needed <= set(state["stages"])
        if is_same and not is_finished and not overwrite:
            return folder
        with owned(out):  # nobody is at work there
            pass
        if overwrite:
            _set_aside(out)
        elif state[
            "stages"
        ]:  # where nothing is finished, a recipe put right may start in its place
            other = "recipe" if state["vadose"] == vadose.__version__ else "version of vadose"
            raise RunProblem(
                out,
                found="a finished run" if is_finished else f"an unfinished run of another {other}",
                remedy="Choose another folder, or say --overwrite.",
            )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileProblem(
            out,
            found=f"a folder that cannot be made ({error.strerror})",
            remedy="Choose a place where you may write.",
        ) from error
    folder.write_text("recipe.yaml", text)
    folder.write_json(
        "state.json",
        {
            "recipe": text,
            "origin": str(origin.resolve()),
            "vadose": vadose.__version__,
            "command": command,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "stages": {},
        },
    )
    return folder


def _set_aside(out: Path) -> None:
    if Path.cwd().is_relative_to(out.resolve()):
        raise RunProblem(
            out, found="the folder that you are in", remedy="Go to another one to overwrite it."
        )
    try:
        out.rename(out.with_name(f".{out.name}.previous-{secrets.token_hex(4)}"))
    except OSError as error:
        raise FileProblem(
            out, found=f"a folder that cannot be moved ({error.strerror})", expected="write access"
        ) from error


def drop_previous(out: Path) -> None:
    """Remove the runs that were set aside for one that is finished now."""
    for old in out.parent.glob(f".{out.name}.previous-*"):
        if (old / "state.json").is_file():
            shutil.rmtree(old)


def manifest(
    folder: RunFolder, inputs: list[dict[str, str]], notes: Sequence[str] = ()
) -> dict[str, Any]:
    """Say who ran what, when, from what and with which versions; notes stand behind those of the recipe."""
    recipe = folder.recipe
    return {
        "title": recipe.title,
        **made(folder, libraries(recipe)),
        "seed": recipe.seed,
        "inputs": inputs,
        "target": recipe.target,
        "method": recipe.publish,
        "warnings": [*recipe.notes, *notes],
    }


def made(folder: RunFolder, names: Sequence[str]) -> dict[str, Any]:
    """Say with which command, machine and versions a folder was made, and how long it took.

    Parameters
    ----------
    folder
        The folder.
    names
        Libraries that its numbers depend on.
    """
    state = folder.state
    return {
        "command": state["command"],
        "vadose": vadose.__version__,
        "commit": _commit(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "started": state["started"],
        "seconds": round(sum(state["stages"].values()), 1),
        "stages": state["stages"],
        "libraries": {name: _version(name) for name in names},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str | None:
    """Find the commit when vadose runs from its own repository."""
    root = Path(vadose.__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        found = subprocess.run(  # noqa: S603 - fixed words, no shell
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
