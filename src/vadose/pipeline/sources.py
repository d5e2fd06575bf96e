"""Open the sources of a recipe and say which files they were."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from vadose.config import Recipe, Source
from vadose.errors import CubeProblem, GridProblem
from vadose.grids import grid_of
from vadose.products import PRODUCTS
from vadose.products.base import find_files
from vadose.products.sample import SAMPLE, SAMPLE_PATH
from vadose.store import sha256


def open_sources(recipe: Recipe, origin: Path) -> tuple[xr.Dataset, list[dict[str, str]]]:
    """Open every source lazily and put their variables together.

    Parameters
    ----------
    recipe
        Its ``build`` names the sources.
    origin
        Folder that relative paths start from.

    Returns
    -------
    tuple
        The variables on one grid, and name, hash, licence and citation of every file.

    Raises
    ------
    GridProblem
        Sources on different grids.
    CubeProblem
        A variable that the product does not have.
    """
    merged: xr.Dataset | None = None
    inputs: list[dict[str, str]] = []
    for source in recipe.build.sources:
        product = PRODUCTS[source.product]
        paths = source_paths(source, origin)
        cube = product.open(paths, recipe.build.region, recipe.build.period)
        if source.variables is not None:
            cube = _chosen(cube, source)
        for path in find_files(paths, product.pattern):
            inputs.append(
                {
                    "name": path.name,
                    "sha256": sha256(path),
                    "licence": product.licence,
                    "citation": product.citation,
                }
            )
        if merged is None:
            merged = cube
        elif grid_of(merged) != grid_of(cube):
            raise GridProblem(
                source.product,
                found="another grid than the source before it",
                expected="one grid for all sources",
            )
        else:
            merged = merged.assign(cube.data_vars)
    assert merged is not None  # noqa: S101 - a recipe has at least one source
    return merged, inputs


def source_paths(source: Source, origin: Path) -> list[Path]:
    """Give a source's paths, relative ones from the folder of the recipe."""
    if source.product == SAMPLE.name and not source.paths:
        return [SAMPLE_PATH]
    return [origin / path for path in source.paths]


def _chosen(cube: xr.Dataset, source: Source) -> xr.Dataset:
    wanted = source.variables or []
    missing = [name for name in wanted if name not in cube]
    if missing:
        raise CubeProblem(
            f"source {source.product}",
            found=f"variables {', '.join(sorted(map(str, cube.data_vars)))}",
            expected=f"also {', '.join(missing)}",
        )
    return cube[wanted]
