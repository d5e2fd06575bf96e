"""The conditions that a recipe asks for: which stations steer a method, and what they say of each step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.config import Recipe
from vadose.downscale.conditions import LEAST, DailyConditions
from vadose.errors import RecipeProblem, RunProblem, UnknownName
from vadose.grids import grid_of
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.places import CONDITIONS, OWN, all_stations, note_used, station_labels
from vadose.samples.blocks import near_places
from vadose.validate.leakage import DISTANCE, find_dependent
from vadose.validate.match import find_cells
from vadose.validate.times import Days

#: The file of a model's folder that holds what steers it.
KEPT = "conditions.json"

Rows = npt.NDArray[np.int64]


def find_conditions(folder: RunFolder, coarse: xr.Dataset) -> dict[str, DailyConditions]:
    """Make the conditions of every method that asks for some, and note the stations that are used for them.

    Parameters
    ----------
    folder
        A run with its cubes; ``used_stations.json`` is written into it.
    coarse
        Its coarse cube; what stations say is averaged over the days of each of its steps.

    Returns
    -------
    dict
        By the name of the method.

    Raises
    ------
    RecipeProblem
        Too few stations to train with, none left to judge where no truth is withheld, a cube without time.
    UnknownName
        A station that is none of the run's.
    RunProblem
        A run without its stations.
    """
    recipe = folder.recipe
    found: dict[str, DailyConditions] = {}
    roles: dict[str, xr.Dataset] = {}
    for name, method in recipe.methods.items():
        asked = method.conditions
        if asked is None:
            continue
        if "time" not in coarse.dims:
            raise RecipeProblem(
                f"methods.{name}: conditions",
                found="a study without time",
                expected="days, of which they are",
            )
        if asked.stations is None:
            found[name] = DailyConditions.of(asked.names)
            continue
        if not (folder / OWN).exists():
            raise RunProblem(
                folder.path,
                found=f"no {OWN}, and {name!r} has conditions of stations",
                expected="the stations that it was built with",
                remedy="Build the run again.",
            )
        stations = all_stations(folder.path)
        chosen = stations.isel(station=_chosen(recipe, name, asked.stations, stations, coarse))
        readings = Days(recipe.build.days).match(chosen, coarse["time"].values)
        found[name] = DailyConditions.of(asked.names, readings)
        roles[f"{CONDITIONS}{name}"] = chosen
    _need_judges(folder, recipe, roles)
    note_used(folder, roles)
    return found


def conditions_of(model: Path) -> DailyConditions | None:
    """Read what steers a method, from the folder of its model; None where nothing does."""
    path = model / KEPT
    return DailyConditions.load(path) if path.exists() else None


def with_conditions(cube: xr.Dataset, model: Path) -> xr.Dataset:
    """Lay on a cube of a run what steers a method, if anything does."""
    conditions = conditions_of(model)
    return cube if conditions is None else conditions.add(cube)


def _chosen(
    recipe: Recipe,
    name: str,
    asked: float | list[str],
    stations: xr.Dataset,
    coarse: xr.Dataset,
) -> Rows:
    """Choose the stations that steer a method: by name, or so many of those on the map that have readings."""
    on_map = find_cells(grid_of(coarse), stations)[0] >= 0
    is_read = stations["soil_moisture"].notnull().any("time").values
    able = np.flatnonzero(on_map & is_read)
    if isinstance(asked, list):
        rows = _named(asked, stations, able)
    else:
        rows = _drawn(asked, stations, able, recipe.seed)
    if len(rows) < LEAST:
        raise RecipeProblem(
            f"methods.{name}: conditions: stations",
            found=f"{len(rows)} of the {len(able)} stations with readings on the map",
            expected=f"{LEAST} or more, which make statistics",
            remedy="Raise the share, name stations, or take stations off the conditions.",
        )
    return rows


def _named(names: list[str], stations: xr.Dataset, able: Rows) -> Rows:
    labels = station_labels(stations)
    bare = [str(one) for one in stations["station"].values]
    rows: list[int] = []
    for name in names:
        same = [row for row in able if name in (labels[row], bare[row])]
        if not same:
            raise UnknownName("station (in conditions)", name, [labels[row] for row in able])
        if len(same) > 1:
            raise RecipeProblem(
                f"station {name!r} (in conditions)",
                found=f"one of that name in each of {', '.join(labels[row] for row in same)}",
                expected="network/station",
            )
        rows += same
    return np.unique(rows)


def _drawn(share: float, stations: xr.Dataset, able: Rows, seed: int) -> Rows:
    """Draw stations by lot; those within a fine cell of each other are drawn together or not at all."""
    longitude, latitude = (stations[name].values.astype("f8")[able] for name in ("lon", "lat"))
    wanted = int(share * len(able) + 1e-9)
    is_drawn = np.zeros(len(able), dtype=bool)
    for place in np.random.default_rng(seed).permutation(len(able)):
        together = is_drawn.copy()
        together[place] = True
        while True:  # the neighbours of neighbours too
            wider = near_places(longitude, latitude, together, DISTANCE)
            if (wider == together).all():
                break
            together = wider
        if together.sum() <= wanted:
            is_drawn = together
    return able[is_drawn]


def _need_judges(folder: RunFolder, recipe: Recipe, roles: Mapping[str, xr.Dataset]) -> None:
    """Refuse conditions that leave no station to judge, where there is no other judge."""
    if not roles or recipe.build.withhold:
        return
    stations = all_stations(folder.path)
    if len({one.station for one in find_dependent(stations, roles)}) == stations.sizes["station"]:
        raise RecipeProblem(
            "conditions: stations",
            found=f"all of the {stations.sizes['station']} stations, or others within "
            f"{DISTANCE:g} km of them",
            expected="some left to judge by: a station that steers a method judges none",
            remedy="Lower the share, name fewer stations, or withhold a truth.",
        )
