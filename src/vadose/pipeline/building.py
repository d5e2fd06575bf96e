"""The stage that makes cubes of the sources, and reads the stations."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from vadose.cubes.assemble import coarse_cube
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.memory import within
from vadose.pipeline.places import OWN
from vadose.pipeline.sources import open_cubes, open_stations
from vadose.schema import check_values
from vadose.store import open_cube, replaced, write_cube


def build_cubes(
    folder: RunFolder,
    progress: Callable[[str], AbstractContextManager[Callable[..., None]]],
    max_mem: str,
) -> None:
    """Make the cubes of a run.

    Parameters
    ----------
    folder
        The run, begun.
    progress
        Opens a bar.
    max_mem
        Memory that may be taken.

    Raises
    ------
    VadoseError
        Sources that do not fit.
    """
    recipe, origin = folder.recipe, Path(folder.state["origin"])
    with folder.stage("build"), within(max_mem):
        with progress("Opening the sources") as step:
            cubes, inputs, rows = open_cubes(recipe, origin, step)
        with progress("Writing the cubes") as step:
            for count, (name, cube) in enumerate(cubes.items()):
                if name == "target":  # aggregated from the fine cube on disk: nothing is made twice
                    fine = check_values(open_cube(folder / "fine.zarr"), source="sources")
                    check_values(cube, source="sources")
                    name, cube = "coarse", coarse_cube(cube, fine, min_valid=recipe.build.min_valid)
                write_cube(cube, folder / f"{name}.zarr", overwrite=True)
                step(count + 1, len(cubes))
        if recipe.stations is not None:
            with progress("Reading the stations"):
                stations = open_stations(
                    recipe.stations, origin, recipe.build.region, recipe.build.period
                )
                with replaced(folder / OWN, overwrite=True) as partial:
                    stations.to_netcdf(partial, engine="h5netcdf")
        folder.write_json("inputs.json", inputs)
        folder.write_json("alignment.json", rows)
