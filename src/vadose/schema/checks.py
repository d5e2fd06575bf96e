"""The check that every cube passes: of its form without reading it, and of its values."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr

from vadose.errors import CubeProblem, UnitProblem, ValueProblem
from vadose.schema.variables import Variable, variable

#: Order of dimensions in every cube.
DIMS = ("member", "time", "y", "x")
#: Name of the scalar coordinate that holds the grid (CF grid mapping).
GRID_MAPPING = "spatial_ref"


def check_cube(
    cube: xr.Dataset, *, required: Iterable[str] = (), source: str = "cube"
) -> xr.Dataset:
    """Check dims, coordinates, names and units of a cube without reading its values.

    Parameters
    ----------
    cube
        Dataset with dims ``[member,] [time,] y, x``.
    required
        Variables it must hold.
    source
        What to call it in an error: a file or stage.

    Returns
    -------
    xarray.Dataset
        The same object, so that the call can stand in an expression.

    Raises
    ------
    CubeProblem, UnitProblem, UnknownName

    Examples
    --------
    >>> import vadose.synthetic
    >>> world = vadose.synthetic.world(size=16, days=8, factor=4, seed=0)
    >>> check_cube(world.truth) is world.truth
    True
    """
    missing = sorted(set(required) - {str(name) for name in cube.data_vars})
    if missing:
        raise CubeProblem(
            source,
            found=f"variables {sorted(map(str, cube.data_vars))}",
            expected=f"also {', '.join(missing)}",
        )
    for name in cube.data_vars:
        _check_variable(cube[name], source)
    _check_axes(cube, source)
    return cube


def _check_variable(array: xr.DataArray, source: str) -> None:
    row = variable(str(array.name))
    where = f"{source}: {row.name}"
    wanted = tuple(dim for dim in DIMS if dim in array.dims)
    if array.dims != wanted or not {"y", "x"} <= set(array.dims):
        raise CubeProblem(
            where,
            found=f"dimensions {array.dims}",
            expected="[member,] [time,] y, x",
            remedy="Rename or transpose them.",
        )
    units = array.attrs.get("units")
    if units != row.units:
        raise UnitProblem(
            where,
            found=f"unit {units!r}" if units is not None else "no unit",
            expected=repr(row.units),
            remedy="Convert it when reading.",
        )
    is_float = np.issubdtype(array.dtype, np.floating)
    if row.kind == "continuous" and not is_float:
        raise CubeProblem(where, found=f"type {array.dtype}", expected="floating point")
    if row.kind != "continuous" and is_float:
        raise CubeProblem(where, found=f"type {array.dtype}", expected="integers (codes)")


def _check_axes(cube: xr.Dataset, source: str) -> None:
    for dim in ("y", "x"):
        if dim not in cube.coords:
            raise CubeProblem(source, found=f"no coordinate {dim!r}", expected="cell centres")
    if GRID_MAPPING not in cube.coords:
        raise CubeProblem(
            source,
            found=f"no coordinate {GRID_MAPPING!r}",
            expected="the grid of the cube",
            remedy="Build coordinates with vadose.grids.coordinates(grid).",
        )
    y, x = cube["y"].values, cube["x"].values
    if not ((np.diff(y) < 0).all() and (np.diff(x) > 0).all()):  # NaN fails too
        raise CubeProblem(
            source,
            found="unsorted coordinates",
            expected="y from north to south, x from west to east",
        )
    if "time" in cube.dims:
        times = cube["time"].values
        if not np.issubdtype(times.dtype, np.datetime64):
            raise CubeProblem(f"{source}: time", found=f"type {times.dtype}", expected="datetime64")
        if np.isnat(times).any() or (np.diff(times) <= np.timedelta64(0)).any():
            raise CubeProblem(
                f"{source}: time",
                found="missing, duplicate or unordered time stamps",
                expected="strictly increasing time",
            )


#: Numbers that files use for "no data" and that must never arrive as data.
FILL_LIKE = (-9999.0, -999.0, -32768.0, -32767.0, 65535.0, 9.96921e36, 1e20)


def check_values(cube: xr.Dataset, *, source: str = "cube") -> xr.Dataset:
    """Read a cube's values and refuse fill values, values out of range and variables with no value.

    Lazy variables are read block by block. A user's own predictor has no range; numbers that files use
    for "no data" are refused in it all the same.

    Raises
    ------
    ValueProblem
        Names the variable, the worst value, how many there are, and the valid range.

    Examples
    --------
    >>> import vadose.synthetic
    >>> world = vadose.synthetic.world(size=16, days=8, factor=4, seed=0)
    >>> check_values(world.coarse) is world.coarse
    True
    """
    for name, array in cube.data_vars.items():
        _check_range(array, variable(str(name)), f"{source}: {name}")
    return cube


def _check_range(array: xr.DataArray, row: Variable, where: str) -> None:
    low, high = row.valid_range
    is_outside = (array < low) | (array > high)
    if np.isinf(low) and np.isinf(high):
        is_outside = xr.zeros_like(array, dtype=bool)
        for fill in FILL_LIKE:
            is_outside = is_outside | (abs(array - fill) <= 1e-5 * abs(fill))
    if row.missing is not None:
        is_outside = is_outside & (array != row.missing)
    found = xr.Dataset(
        {
            "valid": array.notnull().any(),
            "count": is_outside.sum(),
            # infinities for what is right: an empty choice then has no say, and no warning
            "lowest": array.where(is_outside, np.inf).min(skipna=False),
            "highest": array.where(is_outside, -np.inf).max(skipna=False),
        }
    ).compute()
    if row.kind == "continuous" and not bool(found["valid"]):
        raise ValueProblem(where, found="no valid value (all NaN)", expected="data")
    if not int(found["count"]):
        return
    worst = max((float(found["lowest"]), float(found["highest"])), key=abs)
    is_fill = any(np.isclose(worst, fill, rtol=1e-5) for fill in FILL_LIKE)
    expected = f"{low:g} to {high:g} {row.units}" if np.isfinite(low) else "data"
    raise ValueProblem(
        where,
        found=f"{int(found['count'])} values outside the valid range, the worst {worst:g}"
        + (" (a fill value?)" if is_fill else ""),
        expected=expected,
        remedy="Mask fill values and convert units when reading.",
    )
