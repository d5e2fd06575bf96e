"""The stage that fuses: a record of files into a folder of its own, or the coarse target of a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
import yaml

import vadose
from vadose.config.fusion import CoarseFilling, Fusion, parse_fusion, read_fusion
from vadose.config.reading import read_text
from vadose.downscale.base import Progress as Step
from vadose.errors import CubeProblem, RecipeProblem
from vadose.fuse.base import TARGET
from vadose.grids import grid_of, lonlat
from vadose.pipeline.folder import LIBRARIES, RunFolder, drop_previous, start
from vadose.pipeline.folder import made as made_by
from vadose.pipeline.fusing import (
    Record,
    fuse_blocks,
    fuse_in_memory,
    joined,
    judge_record,
    plan,
)
from vadose.pipeline.fusion_sources import open_record
from vadose.pipeline.fusion_stations import score_stations
from vadose.pipeline.gap_judging import Judged
from vadose.pipeline.sources import open_stations
from vadose.schema import VARIABLES
from vadose.store import open_cube, write_cube, write_months, write_netcdf

if TYPE_CHECKING:
    from vadose.pipeline.progress import Progress

#: Where a fusion keeps what it has filled, until it is finished.
WORK = ".held"
#: Days that go into one netCDF file; a longer record is one for each month.
DAYS_PER_FILE = 366


def is_fusion(path: str | Path, *, surely: bool = False) -> bool:
    """Tell a recipe of fusion from one of a study: it names a satellite.

    Parameters
    ----------
    path
        The recipe.
    surely
        Do not take a recipe for one of fusion because it lacks the parts of a study.

    Raises
    ------
    FileProblem
        Missing or unreadable.
    """
    text = read_text(Path(path), "a recipe (YAML)")
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return False  # what is wrong with it is told where it is read
    if not isinstance(content, dict):
        return False
    return "satellite" in content or not (surely or "build" in content)


def fuse_files(
    recipe: str | Path | Fusion,
    out: Path,
    overwrite: bool,
    progress: Progress,
    command: str | None = None,
) -> Path:
    """Fuse what a recipe names into a folder: ``fused.zarr``, ``fused.nc``, scores and a manifest."""
    if isinstance(recipe, Fusion):
        fusion, origin = recipe, Path.cwd()
        text = yaml.safe_dump(
            fusion.model_dump(exclude_defaults=True, mode="json"), sort_keys=False
        )
        parse_fusion(text)
    else:
        fusion, origin = read_fusion(recipe), Path(recipe).parent
        text = read_text(Path(recipe), "a recipe of fusion (YAML)")
    folder = start(
        out,
        text,
        origin=origin,
        command=command or f"vadose fuse {recipe} --out {out}",
        overwrite=overwrite,
        needed=frozenset({"fuse"}),
    )
    with folder.stage("fuse"):
        with progress("Opening the sources") as step:
            record, inputs = open_record(fusion, origin, step)
        with progress("Judging fillers") as step:
            work = folder / WORK
            _keep_only_of(work, {"recipe": text, "inputs": inputs})
            planned = plan(record, step)
            judged = judge_record(
                record, planned, fusion, seed=fusion.seed, work=work, progress=step
            )
        with progress("Filling gaps") as step:
            made = _Made(work)
            told = fuse_blocks(
                record, planned, judged, fusion, fusion.seed, step, made.keep, made.find
            )
        with progress("Writing the product"):
            cube = made.whole(len(planned.blocks))
            cube = cube.assign_attrs(_attributes(fusion.title, told, inputs))
            write_cube(cube, folder / "fused.zarr", overwrite=True)
            whole = with_degrees(open_cube(folder / "fused.zarr"))
            if whole.sizes["time"] <= DAYS_PER_FILE:
                write_netcdf(whole, folder / "fused.nc", overwrite=True)
            else:
                write_months(whole, folder.path, "fused", overwrite=True)
            if fusion.stations is not None:
                series = open_stations(fusion.stations, origin, fusion.region, fusion.period)
                told["stations"] = score_stations(whole, record, series, seed=fusion.seed)
            _tell(folder, "", told, judged)
            folder.write_json("inputs.json", inputs)
    about = {
        "title": fusion.title,
        **made_by(folder, LIBRARIES),
        "seed": fusion.seed,
        "inputs": inputs,
    }
    folder.write_json("manifest.json", about)
    shutil.rmtree(work, ignore_errors=True)
    drop_previous(out)
    return out


def _keep_only_of(work: Path, made_of: dict[str, Any]) -> None:
    """Drop what a stopped fusion has filled from another recipe or from other files.

    A recipe put right may start where nothing is finished: fillings of its forerunner have seen values that
    this one hides.
    """
    stamp, told = work / "made_of.json", json.dumps(made_of, sort_keys=True)
    if work.exists() and not (stamp.is_file() and stamp.read_text(encoding="utf-8") == told):
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    stamp.write_text(told, encoding="utf-8")


def with_degrees(cube: xr.Dataset) -> xr.Dataset:
    """Put the latitude of each row and the longitude of each column beside metres, for who reads no CRS.

    Only on cylindrical grids such as EASE-Grid 2.0, where one number is enough for each.

    Examples
    --------
    >>> from vadose.grids import coordinates, named_grid
    >>> grid = named_grid("EASE2_36km")[100:103, 500:504]
    >>> with_degrees(xr.Dataset(coords=coordinates(grid)))["longitude"].dims
    ('x',)
    """
    grid = grid_of(cube)
    longitude, latitude = lonlat(grid)
    is_cylindrical = (
        np.ptp(latitude, axis=1).max() < 1e-6 and np.ptp(longitude, axis=0).max() < 1e-6
    )
    if not is_cylindrical or (grid.crs is not None and grid.crs.geographic):
        return cube
    degrees = {
        name: (dim, values, VARIABLES[name].attributes())
        for name, dim, values in (
            ("latitude", "y", latitude[:, 0]),
            ("longitude", "x", longitude[0]),
        )
    }
    return cube.assign_coords(degrees)


class _Made:
    """Keep finished blocks until the record is whole, for a stopped fusion to go on behind them."""

    def __init__(self, work: Path) -> None:
        self.work = work

    def _path(self, place: int) -> Path:
        return self.work / f"block_{place:04d}.zarr"

    def keep(self, place: int, cube: xr.Dataset) -> None:
        """Write a block, whole or not at all."""
        self.work.mkdir(parents=True, exist_ok=True)
        write_cube(cube, self._path(place), overwrite=True)

    def find(self, place: int) -> xr.Dataset | None:
        """Read a block that is there."""
        path = self._path(place)
        return open_cube(path).load() if path.exists() else None

    def whole(self, count: int) -> xr.Dataset:
        """Put all blocks together, lazily."""
        return joined([open_cube(self._path(place)) for place in range(count)])


def fuse_coarse(folder: RunFolder, step: Step) -> None:
    """Fill the coarse target of a run in place, and keep it as it was beside it.

    Raises
    ------
    CubeProblem
        A target without time, or a land model that is not among the predictors.
    """
    recipe, filling = folder.recipe, folder.recipe.fuse
    if filling is None:
        raise RecipeProblem("recipe.yaml", found="no fuse", expected="what gaps are filled with")
    kept = folder / "coarse_observed.zarr"
    coarse = open_cube(folder / "coarse.zarr")
    if "fused_by" in coarse.attrs:  # done before: begin with what was observed
        coarse = open_cube(kept)
    else:
        write_cube(coarse, kept, overwrite=True)
        coarse = open_cube(kept)
    record = _part(coarse, recipe.target, filling)
    (folder / "fusion").mkdir(exist_ok=True)
    work = folder / f"fusion/{WORK}"
    inputs = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
    _keep_only_of(work, {"recipe": folder.state["recipe"], "inputs": inputs})
    cube, judged, told = fuse_in_memory(record, filling, seed=recipe.seed, work=work, progress=step)
    layers = cube.drop_vars(["y", "x", "spatial_ref"]).data_vars
    whole = coarse.assign(layers).assign_attrs(fused_by=judged.method)
    write_cube(whole, folder / "coarse.zarr", overwrite=True)
    _tell(folder, "fusion/", told, judged)
    shutil.rmtree(work, ignore_errors=True)


def _part(coarse: xr.Dataset, target: str, filling: CoarseFilling) -> Record:
    """Take the satellite's and the land model's part of a coarse cube."""
    if target != TARGET or "time" not in coarse[target].dims:
        raise CubeProblem(
            "coarse target",
            found=f"{target} with dims {coarse[target].dims}",
            expected=f"{TARGET} with time, to fill its gaps",
        )
    beside = [name for name in ("quality",) if name in coarse]
    satellite = coarse[[target, *beside]]
    model = coarse[[filling.model, *filling.context]].rename({filling.model: TARGET})
    return Record(satellite, model)


def _attributes(title: str, told: dict[str, Any], inputs: list[dict[str, Any]]) -> dict[str, str]:
    """Say what the product is, for whoever has the file alone."""
    kept = "kept as they are" if told["observed"] == "keep" else "replaced by the fused field"
    citations = sorted({row["citation"] for row in inputs} - {"not stated"})
    return {
        "title": title,
        "summary": f"Gaps filled by {told['method']}; observed values {kept}. Uncertainty of filled values is "
        "the error against values hidden under gaps of other days.",
        "source": "; ".join(sorted({row["name"] for row in inputs})),
        "references": "; ".join(citations)
        or "Jiang et al. (2025), STSG-SM, for the method's frame",
        "history": f"made by vadose {vadose.__version__}",
    }


def _tell(folder: RunFolder, within: str, told: dict[str, Any], judged: Judged) -> None:
    folder.write_json(f"{within}fusion.json", told)
    folder.write_text(f"{within}gap_scores.csv", judged.table.to_csv(index=False))


def read_told(folder: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """Read what a fusion says of itself, in a folder of its own or in that of a run.

    Raises
    ------
    FileNotFoundError
        Where nothing was fused.
    """
    inside = folder / "fusion" if (folder / "fusion/fusion.json").is_file() else folder
    told = json.loads((inside / "fusion.json").read_text(encoding="utf-8"))
    return told, pd.read_csv(inside / "gap_scores.csv")
