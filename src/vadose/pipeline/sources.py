"""Open the sources of a recipe, bring them onto the grids of the study, and say what happened to each."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.config import Recipe
from vadose.config.build import Source, Stations
from vadose.cubes.alignment import alignment_report
from vadose.cubes.antecedent import Past, antecedent
from vadose.cubes.assemble import align_in_time, together, withhold
from vadose.cubes.quality import apply_quality
from vadose.cubes.reproject import reproject
from vadose.cubes.timeline import hold_to_days, interpolate_to_days, to_daily
from vadose.errors import CubeProblem, GridProblem, RecipeProblem
from vadose.grids import Region, coordinates, crop, grid_of, lonlat, named_grid, refined
from vadose.products import PRODUCTS
from vadose.products.base import Product, find_files
from vadose.products.fetching import origin_of
from vadose.products.generic import generic_product
from vadose.products.points import point_product
from vadose.products.sample import SAMPLE, SAMPLE_PATH
from vadose.store import sha256

Row = dict[str, Any]
#: Side of a chunk of the fine cube: with some days in it, both a map and a series read few chunks.
SIDE = 512
#: Names of what a variable was over the days before, see `vadose.schema.variable`.
PAST = re.compile(r"(?P<base>.+)_(?P<kind>mean|index)_(?P<days>[1-9]\d*)_days")


def open_cubes(
    recipe: Recipe, origin: Path, step: Callable[[int, int], None]
) -> tuple[dict[str, xr.Dataset], list[Row], list[Row]]:
    """Make the cubes of a study.

    Parameters
    ----------
    recipe
        Its ``build`` names the sources.
    origin
        Folder that relative paths start from.
    step
        Told after each source.

    Returns
    -------
    tuple
        Cubes by name: ``coarse``, ``fine`` and ``truth`` where the truth is withheld, else ``fine`` and
        the coarse ``target``; name, hash, licence and citation of every file; rows of the alignment
        report.

    Raises
    ------
    VadoseError
        Files, names, grids, units, regions or periods that do not fit.
    """
    build = recipe.build
    inputs: list[Row] = []
    if build.withhold:
        merged: xr.Dataset | None = None
        for count, source in enumerate(build.sources):
            cube = open_source(source, origin, inputs, region=build.region, period=build.period)
            if merged is not None and grid_of(merged) != grid_of(cube):
                raise GridProblem(
                    source.product,
                    found="another grid than the source before it",
                    expected="one grid for all sources of a study that withholds its truth",
                )
            merged = cube if merged is None else merged.assign(cube.data_vars)
            step(count + 1, len(build.sources))
        cubes = withhold(
            merged,  # type: ignore[arg-type]  # a recipe has a source
            target=recipe.target,
            predictors=recipe.predictors,
            also=recipe.also,
            factor=build.factor,
            min_valid=build.min_valid,
        )
        return cubes, inputs, []
    return _on_two_grids(recipe, origin, inputs, step)


def _on_two_grids(
    recipe: Recipe, origin: Path, inputs: list[Row], step: Callable[[int, int], None]
) -> tuple[dict[str, xr.Dataset], list[Row], list[Row]]:
    build, rows = recipe.build, []
    source = next(one for one in build.sources if one.use == "target")
    opened = open_source(source, origin, inputs, region=build.region, period=build.period)
    layers = [recipe.target, *recipe.also]
    if not set(layers) <= set(opened.data_vars):
        raise CubeProblem(
            f"source {source.product}",
            found=f"variables {', '.join(sorted(map(str, opened.data_vars)))}",
            expected=", ".join(layers),
        )
    target = opened[layers]
    if build.coarse is not None:
        grid = _window(named_grid(build.coarse), build.region or extent(grid_of(target)))
        placed = reproject(target, grid, rules=source.rules, min_valid=build.min_valid)
        rows += _report(target, placed)
        target = placed
    coarse_grid = grid_of(target)
    fine_grid = refined(coarse_grid, build.factor)
    around = extent(coarse_grid, margin=1)
    others = [one for one in build.sources if one.use == "predictor"]
    fine = []
    for count, one in enumerate(others):
        earlier = None if build.period is None else _longer(build.period, recipe.predictors)
        cube = open_source(one, origin, inputs, region=around, period=earlier or build.period)
        cube = _with_past(cube, recipe.predictors, build.decay)
        wanted = [str(name) for name in cube.data_vars if name in recipe.predictors]
        placed = reproject(cube[wanted], fine_grid, rules=one.rules, min_valid=build.min_valid)
        rows += _report(cube[wanted], placed)
        fine.append(placed)
        step(count + 1, len(others))
    missing = [name for name in recipe.predictors if not any(name in cube for cube in fine)]
    if missing:
        raise CubeProblem(
            "sources",
            found=f"variables {sorted(str(name) for cube in fine for name in cube.data_vars)}",
            expected=f"also {', '.join(missing)}",
            remedy="Name them in a source (variables, rename), or take them off the predictors.",
        )
    target, fine = align_in_time(target, fine, days=build.days)
    side = max(SIDE // build.factor, 1) * build.factor  # whole coarse cells
    cube = together(fine)
    cube = cube.chunk(
        {dim: size for dim, size in (("time", 8), ("y", side), ("x", side)) if dim in cube.dims}
    )
    return {"fine": cube, "target": target}, inputs, rows


def open_source(
    source: Source,
    origin: Path,
    inputs: list[Row],
    *,
    region: Region | None,
    period: tuple[str, str] | None,
    keeps_quality: bool = False,
) -> xr.Dataset:
    """Open one source: our names, chosen variables, doubtful values dropped, days.

    Parameters
    ----------
    source
        What a recipe says of it.
    origin
        Folder that relative paths start from.
    inputs
        Name, hash, licence and citation of every file are added, and where and when it was downloaded.
    region, period
        What part of it.
    keeps_quality
        Whether the reasons for doubt stay beside the variables.
    """
    product = product_of(source)
    paths = source_paths(source, origin)
    cube = product.open(paths, region, period)
    for path in find_files(paths, product.pattern):
        inputs.append(
            {
                "name": path.name,
                "sha256": sha256(path),
                "licence": product.licence,
                "citation": product.citation,
                **origin_of(path),  # where and when `vadose fetch` got it
            }
        )
    if source.drop:
        cube, counts = apply_quality(cube, drop=source.drop)
        cube.attrs["dropped"] = str([asdict(count) for count in counts])
    quality = cube[["quality"]] if keeps_quality and "quality" in cube else None
    cube = cube.drop_vars("quality", errors="ignore")
    if source.variables is not None:
        missing = [name for name in source.variables if name not in cube]
        if missing:
            raise CubeProblem(
                f"source {source.product}",
                found=f"variables {', '.join(sorted(map(str, cube.data_vars)))}",
                expected=f"also {', '.join(missing)}",
            )
        cube = cube[source.variables]
    if quality is not None:
        cube = cube.assign(quality=quality["quality"])
    if source.daily is not None:
        cube = to_daily(cube, minimum_steps=source.daily, clock=source.clock)
    if source.hold_days is not None:
        if period is None:
            raise RecipeProblem(
                f"source {source.product}: hold_days",
                found="no period in the recipe",
                expected="a period, the days to hold composites through",
            )
        days = xr.date_range(*period, freq="D").values
        move = interpolate_to_days if source.is_linear else hold_to_days
        cube = move(cube, days, period_days=source.hold_days)
    return _renamed(cube, source.rename)


def _with_past(cube: xr.Dataset, predictors: list[str], decay: float) -> xr.Dataset:
    """Add the means and indices over the days before that are named among the predictors."""
    for name in predictors:
        past = PAST.fullmatch(name)
        if past is None or name in cube or past["base"] not in cube:
            continue
        kind: Past = "index" if past["kind"] == "index" else "mean"
        share = decay if kind == "index" else None
        cube = antecedent(cube, past["base"], days=int(past["days"]), kind=kind, decay=share)
    return cube


def _longer(period: tuple[str, str], predictors: list[str]) -> tuple[str, str]:
    """Begin a period as many days earlier as the predictors look back."""
    back = max(
        (int(past["days"]) for name in predictors if (past := PAST.fullmatch(name))), default=0
    )
    first = date.fromisoformat(period[0][:10]) - timedelta(days=back)
    return first.isoformat(), period[1]


def _renamed(cube: xr.Dataset, names: dict[str, str]) -> xr.Dataset:
    from vadose.schema import variable

    cube = cube.rename({old: new for old, new in names.items() if old in cube})
    for new in names.values():
        if new in cube:
            was = cube[new].attrs.get("units", "")
            described = variable(new).attributes()
            cube[new].attrs.update(described, original_units=was)
    return cube


def product_of(source: Source) -> Product:
    """Give the product of a source: from the table, or made of its description."""
    named = {"name": source.product, "title": source.product}
    if source.describe is not None:
        return generic_product({**named, **source.describe})
    if source.points is not None:
        return point_product({**named, **source.points})
    return PRODUCTS[source.product]


def source_paths(source: Source, origin: Path) -> list[Path]:
    """Give a source's paths, relative ones from the folder of the recipe."""
    if source.product == SAMPLE.name and not source.paths:
        return [SAMPLE_PATH]
    return [origin / path for path in source.paths]


def _window(grid: GeoBox, region: Region) -> GeoBox:
    rows, columns = crop(grid, region)
    cube = xr.Dataset(coords=coordinates(grid)).isel(y=rows, x=columns)
    return grid_of(cube)


def extent(grid: GeoBox, margin: int = 0) -> Region:
    """Give west, south, east, north of a grid, some cells wider."""
    wide = grid.pad(margin) if margin else grid
    longitude, latitude = lonlat(wide)
    half = max(abs(longitude[0, -1] - longitude[0, 0]) / max(longitude.shape[1] - 1, 1), 1e-9) / 2
    tall = max(abs(latitude[0, 0] - latitude[-1, 0]) / max(latitude.shape[0] - 1, 1), 1e-9) / 2
    return (
        max(float(longitude.min()) - half, -180.0),
        max(float(latitude.min()) - tall, -90.0),
        min(float(longitude.max()) + half, 180.0),
        min(float(latitude.max()) + tall, 90.0),
    )


def _report(before: xr.Dataset, after: xr.Dataset) -> list[Row]:
    return [asdict(row) for row in alignment_report(before, after)]


def open_stations(
    stations: Stations,
    origin: Path,
    region: Region | None = None,
    period: tuple[str, str] | None = None,
) -> xr.Dataset:
    """Read the stations of a recipe: one series of the wanted layer per station and day.

    Returns
    -------
    xarray.Dataset
        Dims ``station, time``.
    """
    from vadose.products.stations import (
        StationTable,
        merge_sensors,
        read_ismn,
        read_table,
        select_layer,
    )
    from vadose.products.stations import (
        to_daily as station_days,
    )

    paths = [origin / path for path in stations.paths]
    if stations.kind == "ismn":
        sensors = read_ismn(paths[0], region=region, period=period)
    else:
        settings = dict(stations.table)
        if settings.get("coordinates"):
            settings["coordinates"] = origin / settings["coordinates"]
        try:
            table = StationTable(**settings)
        except TypeError as error:
            raise RecipeProblem(
                "stations: table",
                found=str(error).replace("StationTable.__init__() ", ""),
                expected="depth_from and depth_to, and what the columns mean",
                remedy="See vadose.products.stations_table.StationTable.",
            ) from error
        sensors = read_table(paths, table, region, period)
    if stations.minimum_hours is not None:
        sensors = station_days(sensors, minimum_hours=stations.minimum_hours)
    return select_layer(
        merge_sensors(sensors), *stations.layer, minimum_share=stations.minimum_share
    )
