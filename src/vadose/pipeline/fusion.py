"""The stage that fuses: a record of files into a folder of its own, or the coarse target of a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr
import yaml

import vadose
from vadose.config.fusion import CoarseFilling, Fusion, parse_fusion, read_fusion
from vadose.config.reading import read_text
from vadose.downscale.base import Progress as Step
from vadose.errors import CubeProblem, RecipeProblem
from vadose.fuse.base import TARGET
from vadose.pipeline.folder import LIBRARIES, RunFolder, drop_previous, made, start
from vadose.pipeline.fusing import Fused, fuse_record
from vadose.pipeline.fusion_sources import open_record
from vadose.store import open_cube, write_cube, write_netcdf

if TYPE_CHECKING:
    from vadose.pipeline import Progress

#: Where a fusion keeps what it has filled, until it is finished.
WORK = ".held"


def is_fusion(path: str | Path) -> bool:
    """Tell a recipe of fusion from one of a study: it names a satellite.

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
    return isinstance(content, dict) and ("satellite" in content or "build" not in content)


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
            satellite, model, inputs = open_record(fusion, origin, step)
        if fusion.cover is not None and fusion.cover not in model:
            raise RecipeProblem(
                "cover", found=fusion.cover, expected=f"one of {', '.join(map(str, model))}"
            )
        with progress("Filling gaps") as step:
            fused = fuse_record(
                satellite,
                model,
                fusion,
                seed=fusion.seed,
                work=folder / WORK,
                progress=step,
                cover=fusion.cover,
            )
        with progress("Writing the product"):
            cube = fused.cube.assign_attrs(_attributes(fusion.title, fused, inputs))
            write_cube(cube, folder / "fused.zarr", overwrite=True)
            write_netcdf(cube, folder / "fused.nc", overwrite=True)
            _tell(folder, "", fused)
            folder.write_json("inputs.json", inputs)
    told = {"title": fusion.title, **made(folder, LIBRARIES), "seed": fusion.seed, "inputs": inputs}
    folder.write_json("manifest.json", told)
    shutil.rmtree(folder / WORK, ignore_errors=True)
    drop_previous(out)
    return out


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
    satellite, model = _parts(coarse.load(), recipe.target, filling)
    (folder / "fusion").mkdir(exist_ok=True)
    work = folder / f"fusion/{WORK}"
    fused = fuse_record(satellite, model, filling, seed=recipe.seed, work=work, progress=step)
    days = coarse["time"].values
    layers = fused.cube.sel(time=days).drop_vars(["y", "x", "spatial_ref"])
    whole = coarse.assign(layers.rename({TARGET: recipe.target}).data_vars)
    write_cube(whole.assign_attrs(fused_by=fused.method), folder / "coarse.zarr", overwrite=True)
    _tell(folder, "fusion/", fused)
    shutil.rmtree(work, ignore_errors=True)


def _parts(
    coarse: xr.Dataset, target: str, filling: CoarseFilling
) -> tuple[xr.Dataset, xr.Dataset]:
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
    return satellite, model


def _attributes(title: str, fused: Fused, inputs: list[dict[str, Any]]) -> dict[str, str]:
    """Say what the product is, for whoever has the file alone."""
    kept = "kept as they are" if fused.told["observed"] == "keep" else "replaced by the fused field"
    citations = sorted({row["citation"] for row in inputs} - {"not stated"})
    return {
        "title": title,
        "summary": f"Gaps filled by {fused.method}; observed values {kept}. Uncertainty of filled values is "
        "the error against values hidden under gaps of other days.",
        "source": "; ".join(sorted({row["name"] for row in inputs})),
        "references": "; ".join(citations)
        or "Jiang et al. (2025), STSG-SM, for the method's frame",
        "history": f"made by vadose {vadose.__version__}",
    }


def _tell(folder: RunFolder, within: str, fused: Fused) -> None:
    folder.write_json(f"{within}fusion.json", fused.told)
    folder.write_text(f"{within}gap_scores.csv", fused.table.to_csv(index=False))


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
