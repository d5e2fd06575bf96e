"""The run folder: read and check what a job left behind, before anything is drawn from it.

The report knows of the job only what stands here, so the folder must say all. Its files:
``manifest.json``, ``recipe.yaml``, ``scores.json``, ``coarse.zarr`` and ``product.zarr``; where there was
a truth ``truth.zarr``, where the method names them ``importances.csv``, and where it was asked for the
summaries of ``correction`` and ``validation``.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from vadose.errors import CubeProblem, FileProblem, RunProblem
from vadose.grids import grid_of
from vadose.schema import check_cube
from vadose.store import open_cube

Field = npt.NDArray[np.float32]

#: A number that a score file may leave out: null or absent is read as NaN.
Number = Annotated[float, BeforeValidator(lambda value: np.nan if value is None else value)]
NAN = float("nan")


class Record(BaseModel):
    """Is what a file of the run says; what it says beyond is left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Input(Record):
    """Name one file the run was made from."""

    name: str
    sha256: str = ""
    licence: str = ""
    citation: str = ""


class Provenance(Record):
    """Say who made what from what, when and with which versions."""

    title: str
    command: str
    vadose: str
    commit: str | None = None
    python: str = ""
    platform: str = ""
    seed: int | None = None
    started: str = ""
    seconds: Number = NAN
    libraries: dict[str, str] = {}
    inputs: list[Input] = []


class Manifest(Provenance):
    """Say which method of a run made the product, and what is to be kept in mind."""

    target: str = "soil_moisture"
    method: str
    method_title: str = ""
    is_judged: bool = True
    warnings: list[str] = []


class Metrics(Record):
    """Hold the metrics of one method on one sample."""

    n: Number = NAN
    r: Number = NAN
    bias: Number = NAN
    mae: Number = NAN
    rmse: Number = NAN
    ubrmse: Number = NAN
    r2: Number = NAN


class Gain(Record):
    """Hold the gains over one baseline; positive is better. Of RMSE with the ends of its interval."""

    rmse: Number = NAN
    r: Number = NAN
    within_cell_r: Number = NAN
    rmse_lower: Number = NAN
    rmse_upper: Number = NAN


class Bounds(Record):
    """Hold a median over stations and the ends of its interval."""

    median: Number = NAN
    lower: Number = NAN
    upper: Number = NAN


class Method(Record):
    """Hold all scores of one method."""

    title: str
    is_baseline: bool = False
    pooled: Metrics
    within_cell: Metrics = Metrics()
    gain_over_nearest: Gain = Gain()
    gain_over_smooth: Gain = Gain()
    station_gain_over_nearest: dict[str, Bounds] = {}
    station_gain_over_smooth: dict[str, Bounds] = {}
    closure_max: Number = NAN


class StratumScores(Record):
    """Hold the scores of one method in one stratum."""

    pooled: Metrics = Metrics()
    within_cell: Metrics = Metrics()
    gain_over_nearest: Gain = Gain()
    gain_over_smooth: Gain = Gain()


class Stratum(Record):
    """Hold the scores where the ground is in one condition."""

    title: str
    n: Number = NAN
    share_of_area: Number = NAN
    methods: dict[str, StratumScores] = {}


class Scores(Record):
    """Hold the scores of all methods compared."""

    target: str = "soil_moisture"
    unit: str = ""
    n: Number = NAN
    reference: str = ""
    weights: str = ""
    interval: str = ""
    best: str
    methods: dict[str, Method]
    strata: dict[str, Stratum] = {}


class HeldMethod(Record):
    """Hold one direct method's scores against the coarse target, part by part."""

    title: str
    layers: dict[str, dict[str, Metrics]]


class Held(Record):
    """Hold what the recipe kept from learning, and how well it was given."""

    scheme: str
    title: str
    is_optimistic: bool
    methods: dict[str, HeldMethod]


@dataclass(frozen=True)
class Importance:
    """Say how much a model of the method relies on one predictor.

    Attributes
    ----------
    importance, std
        What `measure` says, in `unit`, and its standard deviation over the repeats.
    model, title
        Name of the method whose model it is, and what that is called.
    samples, repeats, rmse
        How many samples were predicted and how often a predictor was shuffled; the error without that.
    """

    predictor: str
    importance: float
    std: float = NAN
    model: str = ""
    title: str = ""
    measure: str = "importance"
    unit: str = ""
    samples: float = NAN
    repeats: float = NAN
    rmse: float = NAN


@dataclass(frozen=True)
class Run:
    """Hold a checked run folder.

    Attributes
    ----------
    coarse, product, truth
        Cubes, read lazily; `truth` is None where the run had none.
    held
        Scores of what the recipe kept from learning; None where it kept nothing.
    is_scored
        Whether there was a truth or a station to judge by; if not, all scores are NaN.
    """

    path: Path
    manifest: Manifest
    scores: Scores
    recipe: str
    importances: tuple[Importance, ...]
    coarse: xr.Dataset
    product: xr.Dataset
    truth: xr.Dataset | None
    held: Held | None = None
    is_scored: bool = True

    @property
    def fine_grid(self) -> GeoBox:
        """Give the grid of the product."""
        return grid_of(self.product)

    @property
    def coarse_grid(self) -> GeoBox:
        """Give the grid of the input."""
        return grid_of(self.coarse)


def read_run(path: Path) -> Run:
    """Read a run folder and check that its parts fit together.

    Raises
    ------
    FileProblem
        When a file is missing or cannot be read.
    RunProblem
        When the files are those of a run but contradict each other or the format.
    """
    if not path.is_dir():
        raise FileProblem(
            path,
            found="no such folder" if not path.exists() else "a file",
            expected="the folder of a finished run",
        )
    manifest = read_record(path / "manifest.json", Manifest)
    is_scored = manifest.is_judged or (path / "scores.json").exists()
    scores = read_record(path / "scores.json", Scores) if is_scored else _unjudged(path, manifest)
    for name in (scores.best, manifest.method):
        if name not in scores.methods:
            raise RunProblem(
                path / "scores.json",
                found=f"no scores of {name!r}",
                expected=f"one of {', '.join(scores.methods) or 'several methods'}",
                remedy="Run the job again, so that scores and manifest come from one run.",
            )
    truth, held = path / "truth.zarr", path / "fit_scores.json"
    run = Run(
        path=path,
        manifest=manifest,
        scores=scores,
        recipe=read_text(path / "recipe.yaml"),
        importances=_importances(path / "importances.csv"),
        coarse=_cube(path / "coarse.zarr", manifest.target),
        product=_cube(path / "product.zarr", manifest.target),
        truth=_cube(truth, manifest.target) if truth.exists() else None,
        held=read_record(held, Held) if held.exists() else None,
        is_scored=is_scored,
    )
    if run.truth is not None and tuple(grid_of(run.truth).shape) != tuple(run.fine_grid.shape):
        raise RunProblem(
            truth,
            found=f"{tuple(grid_of(run.truth).shape)} cells",
            expected=f"the product's {tuple(run.fine_grid.shape)}",
            remedy="Run the job again, so that truth and product come from one run.",
        )
    return run


def _unjudged(path: Path, manifest: Manifest) -> Scores:
    """Give scores that know nothing, of the published method alone."""
    cube = open_cube(path / "product.zarr")
    unit = str(cube[manifest.target].attrs.get("units", "")) if manifest.target in cube else ""
    title = manifest.method_title or manifest.method.replace("_", " ")
    methods = {manifest.method: Method(title=title, pooled=Metrics())}
    return Scores(target=manifest.target, unit=unit, best=manifest.method, methods=methods)


R = TypeVar("R", bound=Record)


def read_record(path: Path, kind: type[R]) -> R:
    """Read a JSON file of the run and check it.

    Raises
    ------
    FileProblem, RunProblem
        When it is missing, unreadable, or of another form.
    """
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise FileProblem(path, found=f"text that is not JSON ({error})") from error
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise RunProblem(
            path,
            found=f"{first['msg'].lower()} at {place}",
            expected=f"the {kind.__name__.lower()} of a run",
            remedy="Run the job again with this version of vadose.",
        ) from error


def read_text(path: Path) -> str:
    """Read a text of the run.

    Raises
    ------
    FileProblem
        When it is missing or unreadable.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise FileProblem(
            path,
            found="no such file",
            expected="a finished run, which holds one",
            remedy="Give the folder that `vadose run` has written, or let the run finish.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise FileProblem(path, found=f"a file that cannot be read ({error})") from error


def _importances(path: Path) -> tuple[Importance, ...]:
    if not path.exists():
        return ()
    try:
        rows = [
            Importance(
                row["predictor"],
                float(row["importance"]),
                std=float(row.get("std") or NAN),
                model=row.get("model") or "",
                title=row.get("title") or "",
                measure=row.get("measure") or "importance",
                unit=row.get("unit") or "",
                samples=float(row.get("samples") or NAN),
                repeats=float(row.get("repeats") or NAN),
                rmse=float(row.get("rmse") or NAN),
            )
            for row in csv.DictReader(read_text(path).splitlines())
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise FileProblem(
            path,
            found=f"a table that cannot be read ({error!r})",
            expected="columns predictor,importance[,std]",
        ) from error
    return tuple(sorted(rows, key=lambda row: -row.importance))


def _cube(path: Path, target: str) -> xr.Dataset:
    cube = check_cube(open_cube(path), required=[target], source=str(path))
    if "member" in cube[target].dims:
        raise CubeProblem(
            path,
            found=f"dimensions {cube[target].dims}",
            expected="[time,] y, x",
            remedy="Publish the mean over the members.",
        )
    return cube
