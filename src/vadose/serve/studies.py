"""What a run folder says of itself, read gently: it may be missing, empty or half-written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from vadose import __version__
from vadose.errors import RunProblem, VadoseError

#: Files whose change means that the run has changed.
WATCHED = (
    "state.json",
    "manifest.json",
    "coarse.zarr/zarr.json",
    "product.zarr/zarr.json",
    "product_corrected.zarr/zarr.json",
    "fused.zarr/zarr.json",
    "truth.zarr/zarr.json",
    "predictions",
    "stations.nc",
    "validation/stations.csv",
)


class NothingToShow(RunProblem):
    """Report a run that cannot be shown; the page and the answers say so.

    Attributes
    ----------
    status
        Of the answer: 404 where there is no run, 503 where there may be one later.
    state
        ``missing``, ``empty``, ``unfinished`` or ``damaged``.
    """

    status: int = 503
    state: str = "unfinished"

    @classmethod
    def missing(cls, run: Path) -> Self:
        """Say that there is no such folder."""
        found = "a file" if run.exists() else "no such folder"
        remedy = "Make a run with: vadose demo --out FOLDER. This page looks again by itself."
        return cls(run, found=found, expected="the folder of a run", remedy=remedy)._as(
            404, "missing"
        )

    @classmethod
    def empty(cls, run: Path) -> Self:
        """Say that the folder holds no run."""
        has_files = any(run.iterdir())
        found = "files that are no run" if has_files else "an empty folder"
        remedy = "Make a run with: vadose demo --out FOLDER. This page looks again by itself."
        return cls(run, found=found, expected="the folder of a run", remedy=remedy)._as(
            404, "empty"
        )

    @classmethod
    def yet(cls, study: Study) -> Self:
        """Say how far the run has come."""
        done = ", ".join(study.stages) or "nothing"
        return cls(
            study.path,
            found=f"a run without any map yet ({done} done)",
            expected="at least its cubes",
            remedy="Let it go on; this page looks again by itself.",
        )._as(503, "unfinished")

    @classmethod
    def damaged(cls, error: VadoseError) -> Self:
        """Say which store cannot be read."""
        made = cls(
            error.subject,
            found=error.found,
            expected=error.expected,
            remedy=error.remedy or "Make it again, or let the run go on.",
        )
        return made._as(503, "damaged")

    def _as(self, status: int, state: str) -> Self:
        self.status, self.state = status, state
        return self


@dataclass(frozen=True)
class Study:
    """Say what a folder holds.

    Attributes
    ----------
    methods
        Title of every method by its name.
    stages
        Those that are finished.
    product
        Name of the store that is the result.
    """

    path: Path
    title: str
    target: str
    published: str
    methods: Mapping[str, str]
    stages: tuple[str, ...]
    is_fusion: bool
    product: str
    source: str

    @property
    def notice(self) -> str:
        """Say that the run is not finished; empty where it is."""
        if self.is_fusion or not self.stages or "downscale" in self.stages:
            return ""
        return (
            f"This run is not finished: {', '.join(self.stages)} done. "
            "Shown is what is there; layers come as they are made."
        )


def read_study(run: Path) -> Study:
    """Read what a run folder says of itself.

    Raises
    ------
    NothingToShow
        There is no such folder, or it holds no run.
    """
    if not run.is_dir():
        raise NothingToShow.missing(run)
    state = _read_json(run / "state.json")
    manifest = _read_json(run / "manifest.json")
    is_fusion = (run / "fused.zarr").is_dir() and not (run / "product.zarr").is_dir()
    known = ("coarse.zarr", "product.zarr", "fused.zarr")
    if not state and not manifest and not any((run / name).is_dir() for name in known):
        raise NothingToShow.empty(run)
    recipe = _read_recipe(run / "recipe.yaml")
    methods = recipe.get("methods")
    titles = {
        str(name): str(one.get("title", name))
        for name, one in (methods.items() if isinstance(methods, dict) else ())
        if isinstance(one, dict) and _is_file_name(str(name))
    }
    stages = state.get("stages")
    method = str(manifest.get("method") or recipe.get("publish") or "")
    return Study(
        path=run,
        title=str(manifest.get("title") or recipe.get("title") or run.resolve().name),
        target=str(manifest.get("target") or recipe.get("target") or "soil_moisture"),
        published=method,
        methods=titles,
        stages=tuple(stages) if isinstance(stages, dict) else (),
        is_fusion=is_fusion,
        product="fused.zarr" if is_fusion else "product.zarr",
        source=titles.get(method, ""),
    )


def fingerprint(run: Path) -> str:
    """Give a short text that changes when the run does."""
    import hashlib

    # another version may draw otherwise, and another run may answer at the same address later
    stamps: list[tuple[str, object]] = [(str(run.resolve()), __version__)]
    for name in WATCHED:
        try:
            stamps.append((name, (run / name).stat().st_mtime_ns))
        except OSError:
            continue
    return hashlib.sha256(repr(stamps).encode()).hexdigest()[:10]


def _is_file_name(name: str) -> bool:
    """Tell whether a method of the recipe can be the name of a store in the run."""
    return Path(name).name == name and not name.startswith(".")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _read_recipe(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}
