"""From datasets on one grid to the cubes of a study: coarse to learn from, fine to predict on."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from vadose.cubes.regrid import aggregate, valid_share
from vadose.errors import CubeProblem, GridProblem
from vadose.grids import coarsened, grid_of
from vadose.schema import VARIABLES, check_cube, check_values


def withhold(
    cube: xr.Dataset,
    *,
    target: str,
    predictors: Sequence[str],
    factor: int,
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
    min_valid
        Share of a coarse cell that must have values.

    Returns
    -------
    dict
        ``coarse`` (target, predictors and ``land_fraction``), ``fine`` (predictors) and ``truth`` (target).

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
    wanted = [target, *predictors]
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
    return {"coarse": coarse, "fine": cube[list(predictors)], "truth": cube[[target]]}


def land_fraction(fine: xr.DataArray, coarse: xr.Dataset) -> xr.DataArray:
    """Give the share of each coarse cell in which the fine array ever has a value."""
    known = fine.notnull().any("time") if "time" in fine.dims else fine.notnull()
    share = valid_share(known.where(known), grid_of(coarse)).astype("f4")
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
