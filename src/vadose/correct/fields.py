"""Cubes that are to be corrected: what they must be, and the predictors that go with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from vadose.correct.stations import Floats, Points
from vadose.errors import CubeProblem, NoOverlap, ValueProblem
from vadose.grids import grid_of
from vadose.schema import check_cube

#: Attribute of a corrected variable that says what was done.
NOTE = "station_correction"


def check_product(cube: xr.Dataset, target: str) -> None:
    """Refuse a cube that is corrected already, or has intervals, which belong to the product before."""
    check_cube(cube, required=[target], source="product")
    if NOTE in cube[target].attrs:
        raise CubeProblem(
            f"product: {target}",
            found=f"corrected already ({cube[target].attrs[NOTE]})",
            expected="the product as it was made",
            remedy="Join corrections in one vadose.correct.Chain.",
        )
    ends = [name for name in (f"{target}_lower", f"{target}_upper") if name in cube]
    if ends:
        raise CubeProblem(
            "product",
            found=f"{', '.join(ends)}, the interval of the product before correction",
            expected="a product without intervals",
            remedy="Drop them, correct, and calibrate anew.",
        )


def take_predictors(
    source: xr.Dataset, cube: xr.Dataset, names: tuple[str, ...]
) -> dict[str, xr.DataArray]:
    """Give the predictors at the times of the product."""
    if not names:
        return {}
    check_cube(source, required=names, source="predictors of the correction")
    if grid_of(source) != grid_of(cube):
        raise CubeProblem(
            "predictors of the correction",
            found=f"grid {grid_of(source).shape}",
            expected="the grid of the product",
            remedy="Bring them onto it with vadose.cubes.regrid.",
        )
    found = source[list(names)]
    if "time" in found.dims:
        if "time" not in cube.dims:
            raise CubeProblem("product", found="no time", expected="the times of the predictors")
        missing = cube["time"].values[~np.isin(cube["time"].values, found["time"].values)]
        if missing.size:
            raise NoOverlap(
                "predictors of the correction: time",
                found=f"no step at {missing[0]} ({missing.size} missing)",
                expected="the time steps of the product",
            )
        found = found.sel(time=cube["time"].values)
    return {name: found[name] for name in names}


def step_of(array: xr.DataArray, here: Mapping[Any, int]) -> Floats:
    """Give the map of one step, in double precision."""
    chosen = {dim: place for dim, place in here.items() if dim in array.dims}
    return np.asarray(array.isel(chosen).values, "f8")


def check_complete(points: Points, names: tuple[str, ...], stamp: np.datetime64) -> None:
    """Refuse points at which a predictor is missing."""
    for name in names:
        lost = int(np.isnan(points.predictors[name]).sum())
        if lost:
            raise ValueProblem(
                f"predictor {name}",
                found=f"{lost} gaps at {stamp} where the product has a value",
                expected="a value wherever there is one to correct",
                remedy="Fill it first, or correct without it.",
            )
