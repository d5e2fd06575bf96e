"""Cubic interpolation of a coarse field at chosen places, without making its fine map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.cubes.places import Array, goes_round
from vadose.cubes.resample import Points, resample
from vadose.errors import CubeProblem
from vadose.grids import grid_of
from vadose.schema import variable


def cubic_at(array: xr.DataArray, columns: npt.ArrayLike, rows: npt.ArrayLike) -> Array:
    """Interpolate one step of a continuous variable at places of its own grid, without overshoot.

    Keys' kernel on 4 × 4 cells, clipped to the range of these cells: between soil moisture of 0 and
    0.4 there is none below 0, as plain cubics give, and an NDVI stays below 1. Where one of the 16 is a
    gap the value is bilinear over the valid ones of the nearest four. Where the cell itself that holds
    the place is a gap there is no value, whatever its neighbours know.

    Parameters
    ----------
    array
        Dims ``y, x``; NaN is a gap.
    columns, rows
        Places counted in cells of the array, from its outer north-west corner: ``(0.5, 0.5)`` is the
        centre of its first cell.

    Returns
    -------
    numpy.ndarray
        One value per place, in the array's unit; NaN in gaps and off the grid.

    Raises
    ------
    CubeProblem
        Classes and masks, between which there is nothing; shares of a class; more dims than ``y, x``.

    References
    ----------
    Keys (1981), IEEE Trans. Acoust. Speech Signal Process. 29, 1153-1160.

    Examples
    --------
    >>> from vadose.grids import coordinates, latlon
    >>> grid = latlon(1.0, (0, 0, 6, 1))
    >>> step = np.array([[0.0, 0.0, 0.0, 0.4, 0.4, 0.4]])
    >>> edge = xr.DataArray(step, dims=("y", "x"), coords=coordinates(grid), name="soil_moisture")
    >>> cubic_at(edge, [2.0, 3.0, 3.5], [0.5, 0.5, 0.5]).round(3).tolist()
    [0.0, 0.2, 0.4]
    """
    _check(array)
    values = array.values.astype("f8")
    # on the line between two centres rounding would choose which 16 cells are seen
    column, row = (np.round(np.atleast_1d(np.asarray(one, "f8")), 9) for one in (columns, rows))
    height, width = values.shape
    is_inside = (row >= 0.0) & (row <= height) & (column >= 0.0) & (column <= width)
    column, row = np.where(is_inside, column, 0.5), np.where(is_inside, row, 0.5)
    where = Points(column, row, is_inside, is_round=goes_round(grid_of(array)))
    found, _ = resample(values[None], where, "cubic")
    own, _ = resample(values[None], where, "nearest")
    return np.asarray(np.where(np.isnan(own[0]), np.nan, found[0]))


def _check(array: xr.DataArray) -> None:
    name = str(array.name)
    if array.dims != ("y", "x"):
        raise CubeProblem(name, found=f"dimensions {array.dims}", expected="('y', 'x'): one step")
    kind = variable(name).kind
    if kind != "continuous" or name.startswith("land_cover_"):
        raise CubeProblem(
            name,
            found="shares of a class" if kind == "continuous" else f"a {kind} variable",
            expected="a continuous variable to interpolate by cubics",
            remedy="Repeat its cells, or interpolate shares smoothly.",
        )
