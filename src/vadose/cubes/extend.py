"""Carry a field over the edge of its land: shores of two products never agree."""

from __future__ import annotations

import xarray as xr
from scipy import ndimage

from vadose.errors import CubeProblem


def extend(cube: xr.Dataset, where: xr.DataArray) -> xr.Dataset:
    """Give cells beyond the land of a cube the values of the nearest cell that has some.

    Parameters
    ----------
    cube
        Dims ``[time,] y, x``. A cell is land for a variable that ever has a value there.
    where
        True for the cells to reach, dims ``y, x``.

    Returns
    -------
    xarray.Dataset
        The same where a variable is known, and at its own gaps in time; nearest is meant in cells.

    Raises
    ------
    CubeProblem
        A variable without any value.

    Examples
    --------
    >>> import numpy as np
    >>> cube = xr.Dataset({"sand": (("y", "x"), [[10.0, 20.0, np.nan, np.nan]])})
    >>> where = xr.DataArray([[True, True, True, False]], dims=("y", "x"))
    >>> extend(cube, where)["sand"].values
    array([[10., 20., 20., nan]])
    """
    extended = {}
    for name, array in cube.data_vars.items():
        known = array.notnull()
        is_land = (known.any("time") if "time" in array.dims else known).transpose("y", "x").values
        if not is_land.any():
            raise CubeProblem(str(name), found="no value", expected="some on the grid")
        is_asked = where.transpose("y", "x").values & ~is_land
        nearest = ndimage.distance_transform_edt(
            ~is_land, return_distances=False, return_indices=True
        )
        values = array.transpose(..., "y", "x").values.copy()
        values[..., is_asked] = values[..., *(index[is_asked] for index in nearest)]
        extended[name] = array.transpose(..., "y", "x").copy(data=values)
    return cube.assign(extended)
