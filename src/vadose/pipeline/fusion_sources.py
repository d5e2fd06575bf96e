"""Open what is fused: a satellite on its own grid, and a land model and its context brought there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vadose.config.build import Source
from vadose.config.fusion import Fusion
from vadose.cubes.reproject import reproject
from vadose.cubes.timeline import to_daily
from vadose.errors import CubeProblem, NoOverlap, RecipeProblem
from vadose.fuse.base import TARGET
from vadose.grids import grid_of
from vadose.pipeline.fusing import Record
from vadose.pipeline.sources import Row, extent, open_source
from vadose.products.found import describe_soil_moisture

#: What is taken of a satellite's cube beside soil moisture.
BESIDE = (f"{TARGET}_uncertainty", "quality")
#: Cells by which the model is read beyond the satellite's map.
MARGIN = 3


def open_record(
    fusion: Fusion, origin: Path, step: Callable[[int, int], None]
) -> tuple[Record, list[Row]]:
    """Open a record.

    Parameters
    ----------
    fusion
        Names the sources.
    origin
        Folder that relative paths start from.
    step
        Told after each source.

    Returns
    -------
    tuple
        The satellite, every day from its first to its last, with the land model and its context on the same
        cells and days, lazily; name, hash, licence and citation of every file.

    Raises
    ------
    VadoseError
        Files, variables, grids or days that do not fit.
    """
    inputs: list[Row] = []
    total = 2 + len(fusion.context)
    asked: dict[str, Any] = {"region": fusion.region, "period": fusion.period}
    cube = open_source(fusion.satellite, origin, inputs, **asked, keeps_quality=True)
    _need(cube, fusion.satellite)
    beside = [name for name in BESIDE if name in cube]
    satellite = by_day(cube[[TARGET, *beside]])
    days = satellite["time"].values
    step(1, total)
    around = extent(grid_of(satellite), margin=MARGIN)
    period = (str(days[0])[:10], str(days[-1])[:10])
    model = xr.Dataset(coords=satellite.drop_vars(list(satellite.data_vars)).coords)
    for count, source in enumerate((fusion.model, *fusion.context)):
        other = open_source(source, origin, inputs, region=around, period=period)
        if count == 0:
            _need(other, source)
            other = other[[TARGET]]
        placed = reproject(
            on_days(other, days, source.product), grid_of(satellite), rules=source.rules
        )
        taken = [str(name) for name in placed.data_vars if name in model]
        if taken:
            raise CubeProblem(
                f"source {source.product}",
                found=f"{', '.join(taken)} a second time",
                expected="each variable once",
                remedy="Name what is to be taken (variables), or rename it.",
            )
        model = model.assign(placed.data_vars)
        step(count + 2, total)
    if fusion.cover is not None and fusion.cover not in model:
        raise RecipeProblem(
            "cover", found=fusion.cover, expected=f"one of {', '.join(map(str, model))}"
        )
    return Record(satellite, model, fusion.cover), inputs


def _need(cube: xr.Dataset, source: Source) -> None:
    if TARGET not in cube or "time" not in cube[TARGET].dims:
        raise CubeProblem(
            f"source {source.product}",
            found=f"variables {', '.join(sorted(map(str, cube.data_vars)))}",
            expected=f"{TARGET} with time",
        )


def by_day(cube: xr.Dataset) -> xr.Dataset:
    """Give every day from the first to the last; several steps of a day are averaged.

    Examples
    --------
    >>> import vadose.synthetic
    >>> cube = vadose.synthetic.world(size=16, days=8, factor=4, seed=0).coarse[["soil_moisture"]]
    >>> by_day(cube.isel(time=[0, 1, 4])).sizes["time"]
    5
    """
    if "time" not in cube.dims:
        return cube
    stamps = cube["time"].values.astype("M8[D]")
    if np.unique(stamps).size < stamps.size:
        return to_daily(cube, minimum_steps=1)
    whole = np.arange(stamps.min(), stamps.max() + 1)
    filled = cube.assign_coords(time=stamps.astype("M8[ns]"))
    if whole.size == stamps.size:
        return filled
    # codes have no NaN: a day without a record has no reason for doubt either
    fills = {name: 0 for name, array in cube.data_vars.items() if array.dtype.kind in "iu"}
    return filled.reindex(time=whole.astype("M8[ns]"), fill_value={**fills, TARGET: np.nan})


def on_days(cube: xr.Dataset, days: np.ndarray[Any, Any], source: str) -> xr.Dataset:
    """Give the days of the satellite; a cube without time stays as it is.

    Raises
    ------
    NoOverlap
        Days that are missing: the model must be without gaps.
    """
    if "time" not in cube.dims:
        return cube
    daily = by_day(cube)
    missing = np.setdiff1d(days, daily["time"].values)
    if missing.size:
        raise NoOverlap(
            f"source {source}",
            found=f"{days.size - missing.size} of the satellite's {days.size} days, not "
            f"{str(missing[0])[:10]}" + (" and others" if missing.size > 1 else ""),
            expected="all of them, for the model fills the gaps",
            remedy="Add files of those days, or name a period that both have.",
        )
    return daily.sel(time=days)


def fusion_of_files(
    satellite: Sequence[str],
    model: Sequence[str],
    *,
    settings: dict[str, Any],
    variables: tuple[str | None, str | None] = (None, None),
) -> dict[str, Any]:
    """Write the recipe of a fusion of plain files: their soil moisture is found by its name.

    Parameters
    ----------
    satellite, model
        Files, folders or globs, each of one product.
    settings
        Further keys of the recipe.
    variables
        Names of soil moisture in both, where they cannot be told.

    Returns
    -------
    dict
        What `vadose.config.fusion.Fusion` takes; paths are absolute.

    Raises
    ------
    FileProblem
        No file, or none with soil moisture.
    """
    sources = {}
    for name, given, variable in zip(
        ("satellite", "model"), (satellite, model), variables, strict=True
    ):
        paths = [Path(one).absolute() for one in given]
        described = describe_soil_moisture(paths, variable=variable)
        sources[name] = {
            "product": f"{name} {Path(given[0]).name}",
            "describe": described,
            "paths": [str(path) for path in paths],
        }
    return {"title": f"{Path(satellite[0]).stem}, seamless", **sources, **settings}
