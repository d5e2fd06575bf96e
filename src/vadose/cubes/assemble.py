"""From datasets on one grid to the cubes of a study: coarse to learn from, fine to predict on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.cubes.regrid import aggregate, valid_share
from vadose.errors import CubeProblem, GridProblem, NoOverlap
from vadose.grids import coarsened, coordinates, grid_of
from vadose.schema import GRID_MAPPING, VARIABLES, check_cube, check_values, variable


def withhold(
    cube: xr.Dataset,
    *,
    target: str,
    predictors: Sequence[str],
    factor: int,
    also: Sequence[str] = (),
    min_valid: float = 0.5,
) -> dict[str, xr.Dataset]:
    """Make a study whose answer is known: aggregate the target, and keep the fine one as the truth.

    Parameters
    ----------
    cube
        Target and predictors on the fine grid.
    target, predictors
        Names of its variables.
    factor
        Fine cells along the side of a coarse cell.
    also
        Further layers to learn; withheld like the target.
    min_valid
        Share of a coarse cell that must have values.

    Returns
    -------
    dict
        ``coarse`` (target, further layers, predictors and ``land_fraction``), ``fine`` (predictors) and
        ``truth`` (target and further layers).

    Raises
    ------
    CubeProblem
        A variable is missing.
    GridProblem
        The grid is smaller than a coarse cell.
    ValueProblem
        A variable without a value, fill values, or values out of range.

    Examples
    --------
    >>> import vadose.synthetic
    >>> world = vadose.synthetic.world(size=16, days=8, factor=4, seed=0)
    >>> cube = world.predictors.assign(soil_moisture=world.truth["soil_moisture"])
    >>> cubes = withhold(cube, target="soil_moisture", predictors=["sand"], factor=4)
    >>> sorted(cubes), cubes["coarse"].sizes["y"]
    (['coarse', 'fine', 'truth'], 4)
    """
    wanted = [target, *also, *predictors]
    check_cube(cube, required=wanted, source="sources")
    cube = whole_cells(cube[wanted], factor).load()
    check_values(cube, source="sources")
    coarse = aggregate(cube, coarsened(grid_of(cube), factor), min_valid=min_valid)
    if not coarse[target].notnull().any():
        raise CubeProblem(
            f"sources: {target}",
            found=f"no coarse cell with {min_valid:.0%} of its area valid",
            expected="some",
            remedy="Lower min_valid or take a larger region.",
        )
    coarse["land_fraction"] = land_fraction(cube[target], coarse)
    return {"coarse": coarse, "fine": cube[list(predictors)], "truth": cube[[target, *also]]}


def align_in_time(
    target: xr.Dataset, predictors: Sequence[xr.Dataset], *, days: int = 1
) -> tuple[xr.Dataset, list[xr.Dataset]]:
    """Bring target and predictors to the steps they have in common.

    Parameters
    ----------
    target
        Dims ``[time,] y, x``; a stamp is the start of a step.
    predictors
        Daily or static cubes; a daily one is averaged over the days of each step that it has.
    days
        Length of a step.

    Returns
    -------
    tuple
        Target and predictors with the same ``time``; static cubes as they were.

    Raises
    ------
    NoOverlap
        When no step is left; the message gives the days of each.
    """
    if "time" not in target.dims:
        return target, list(predictors)
    stamps = target["time"].values.astype("datetime64[D]")
    places: list[list[npt.NDArray[np.intp]] | None] = []
    for cube in predictors:
        if "time" not in cube.dims:
            places.append(None)
            continue
        own = cube["time"].values.astype("datetime64[D]")
        places.append([np.flatnonzero((own >= day) & (own < day + days)) for day in stamps])
    keep = np.array(
        [all(found is None or found[step].size for found in places) for step in range(stamps.size)]
    )
    if not keep.any():
        covered = "; ".join(
            f"{cube['time'].values.min():.10} to {cube['time'].values.max():.10}"
            if "time" in cube.dims
            else "static"
            for cube in (target, *predictors)
        )
        raise NoOverlap("sources", found=f"days {covered}", expected="days in common")
    steps = np.flatnonzero(keep)
    moved = [
        cube if found is None else _at_steps(cube, [found[step] for step in steps], stamps[steps])
        for cube, found in zip(predictors, places, strict=True)
    ]
    kept = target.isel(time=steps).assign_coords(time=stamps[steps].astype("datetime64[ns]"))
    return kept, moved


def _at_steps(
    cube: xr.Dataset, places: list[npt.NDArray[np.intp]], stamps: npt.NDArray[np.datetime64]
) -> xr.Dataset:
    """Average the days of each step; classes take the first day's, static variables stay."""
    moving = [name for name in cube.data_vars if "time" in cube[name].dims]
    fields = {}
    for name in moving:
        is_mean = variable(str(name)).kind == "continuous"
        parts = [
            cube[name].isel(time=one).mean("time", skipna=True, keep_attrs=True)
            if is_mean and one.size > 1
            else cube[name].isel(time=one[0], drop=True)
            for one in places
        ]
        joined = xr.concat(parts, dim="time", coords="minimal", compat="override", join="override")
        fields[name] = joined.transpose(*cube[name].dims).assign_attrs(cube[name].attrs)
    static = cube.drop_vars([*moving, "time"])
    return static.assign(fields).assign_coords(time=stamps.astype("datetime64[ns]"))


def together(predictors: Sequence[xr.Dataset]) -> xr.Dataset:
    """Put predictors that lie on one grid and at the same steps into one cube, lazily.

    Raises
    ------
    GridProblem
        When one lies on another grid.
    """
    grid = grid_of(predictors[0])
    fine = xr.Dataset(coords=coordinates(grid))
    for cube in predictors:
        if grid_of(cube) != grid:
            raise GridProblem("predictors", found="two grids", expected="one")
        if "time" in cube.dims:
            fine = fine.assign_coords(time=cube["time"])
        fine = fine.assign(cube.drop_vars(["y", "x", GRID_MAPPING]).data_vars)
    return fine


def coarse_cube(target: xr.Dataset, fine: xr.Dataset, *, min_valid: float = 0.5) -> xr.Dataset:
    """Make the coarse cube of a study whose coarse target is an observation.

    Parameters
    ----------
    target
        One variable on the coarse grid.
    fine
        Predictors on a grid that nests in it, at the same time steps.
    min_valid
        Share of a coarse cell in which a predictor must have values.

    Returns
    -------
    xarray.Dataset
        Target, predictors (aggregated by the rule of each) and ``land_fraction``; lazily.

    Raises
    ------
    GridProblem
        Grids that do not nest.
    """
    coarse = aggregate(fine, grid_of(target), min_valid=min_valid)
    coarse = coarse.assign(target.drop_vars(["y", "x", GRID_MAPPING]).data_vars)
    if "time" in target.dims:
        coarse = coarse.assign_coords(time=target["time"])
    return coarse.assign(land_fraction=land_fraction(fine[next(iter(fine.data_vars))], coarse))


def land_fraction(fine: xr.DataArray, coarse: xr.Dataset) -> xr.DataArray:
    """Give the share of each coarse cell in which the fine array ever has a value."""
    known = fine.notnull().any("time") if "time" in fine.dims else fine.notnull()
    share = valid_share(known.astype("f4").where(known), grid_of(coarse)).astype("f4")
    return share.assign_attrs(VARIABLES["land_fraction"].attributes())


def whole_cells(cube: xr.Dataset, factor: int) -> xr.Dataset:
    """Cut a cube to whole coarse cells, dropping rows in the south and columns in the east.

    Raises
    ------
    GridProblem
        When not even one fits.
    """
    rows, columns = cube.sizes["y"] // factor * factor, cube.sizes["x"] // factor * factor
    if not rows or not columns:
        raise GridProblem(
            "sources",
            found=f"{cube.sizes['y']} x {cube.sizes['x']} fine cells",
            expected=f"{factor} x {factor} or more",
        )
    return cube.isel(y=slice(0, rows), x=slice(0, columns))
