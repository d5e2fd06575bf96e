"""From any grid to any grid, in any CRS, by the rule of each variable; lazily, tile by tile.

Grids that nest go the exact and faster way of `vadose.cubes.regrid`. All others are treated in tiles of
the target, each from the window of the source that it needs, so that the result does not depend on how
the source is chunked.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal, cast, get_args

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.cubes import regrid
from vadose.cubes.overlap import fractions, majorities, maxima, means, overlap, shares, sums
from vadose.cubes.places import Array, part, size_ratio
from vadose.cubes.resample import Kernel, Points, points, resample
from vadose.cubes.warp import warp
from vadose.errors import GridProblem, RecipeProblem, UnknownName
from vadose.grids import cell_area, coordinates, grid_of, is_nested
from vadose.schema import IGBP, VARIABLES, Variable, variable

Rule = Literal["mean", "sum", "max", "majority", "fraction", "smooth", "nearest", "cubic"]
#: Rules that make sense for each kind of variable. Codes are never interpolated.
RULES: dict[str, tuple[str, ...]] = {
    "continuous": ("mean", "sum", "max", "smooth", "nearest", "cubic"),
    "class": ("majority", "fraction", "nearest"),
    "mask": ("majority", "max", "nearest"),
}
REDUCTIONS = {"mean": means, "sum": sums, "max": maxima, "majority": majorities}


def reproject(
    cube: xr.Dataset,
    grid: GeoBox,
    *,
    rules: Mapping[str, Rule] | None = None,
    min_valid: float = 0.5,
) -> xr.Dataset:
    """Bring every variable of a cube to a grid.

    Where the cells of the grid are as large as those of the cube or larger, the schema's rule of
    aggregation holds (area mean, majority); where they are smaller, its rule of interpolation.

    Parameters
    ----------
    cube
        Any CRS, dims ``[member,] [time,] y, x``; NaN is a gap.
    grid
        Where to.
    rules
        Rules that differ from the schema's, by variable. ``mean``, ``sum`` (of amounts, as many as lie
        in the cell), ``max``, ``majority`` (of equals the lowest code), ``fraction`` (land cover: one
        variable per class), ``nearest``, ``smooth`` (bilinear), ``cubic`` (clipped to the range of the
        values it saw; how many were is counted in a pass over the data).
    min_valid
        Share of a cell's area that must be valid for mean, sum, max, majority and fraction.

    Returns
    -------
    xarray.Dataset
        On the grid, of the same types; lazy where the cube is. A gap is NaN, the code of no class, or
        0 for flags. Attributes of each variable: ``regridding`` tells rule and grids;
        ``native_resolution`` (m) is the coarsest grid it has been on; ``overshoot`` counts what a cubic
        had clipped.

    Raises
    ------
    UnknownName
        A rule that does not exist.
    RecipeProblem
        A rule for a variable that is not there, or one that its kind forbids.
    GridProblem
        The grid lies nowhere near the cube, or `min_valid` is no share.

    Examples
    --------
    >>> from vadose.grids import coordinates, latlon
    >>> source, target = latlon(2.0, (0, 0, 6, 2)), latlon(3.0, (0, -1, 6, 2))
    >>> cube = xr.Dataset({"sand": (("y", "x"), [[10.0, 20.0, 30.0]])}, coords=coordinates(source))
    >>> reproject(cube, target)["sand"].values.round(3).tolist()
    [[13.333, 26.667]]
    """
    rules = dict(rules or {})
    unknown = sorted(set(rules) - {str(name) for name in cube.data_vars})
    if unknown:
        raise RecipeProblem(
            "regridding rules",
            found=f"rules for {', '.join(unknown)}",
            expected=f"some of {', '.join(sorted(map(str, cube.data_vars)))}",
        )
    if not 0.0 <= min_valid <= 1.0:
        raise GridProblem("min_valid", found=f"{min_valid:g}", expected="a share from 0 to 1")
    source = grid_of(cube)
    is_coarser = _is_coarser(source, grid)
    is_lazy = any(array.chunks is not None for array in cube.data_vars.values())
    arrays: dict[str, xr.DataArray] = {}
    for name in map(str, cube.data_vars):
        row = variable(name)
        rule = rules.get(name) or (row.aggregation if is_coarser else row.interpolation)
        _check_rule(row, rule)
        for result in _one(cube[name], row, rule, source, grid, min_valid):
            arrays[str(result.name)] = result
    regridded = xr.Dataset(arrays, coords=coordinates(grid), attrs=cube.attrs)
    # at once, so that all variables share the areas in common of the cells
    return regridded if is_lazy else regridded.compute()


def valid_share(array: xr.DataArray, grid: GeoBox) -> xr.DataArray:
    """Give the share of each cell's area in which an array of another grid has a value.

    Parameters
    ----------
    array
        Floating point, dims ``[member,] [time,] y, x``; NaN is a gap.
    grid
        Any grid.

    Returns
    -------
    xarray.DataArray
        From 0 to 1, on the grid.

    Examples
    --------
    >>> from vadose.grids import coordinates, latlon
    >>> source, target = latlon(2.0, (0, 0, 4, 2)), latlon(4.0, (0, 0, 4, 4))
    >>> half = xr.DataArray([[1.0, np.nan]], dims=("y", "x"), coords=coordinates(source))
    >>> valid_share(half, target).values.round(2).tolist()
    [[0.25]]
    """
    result = warp(array, grid_of(array), grid, "f8", overlap, shares, 0.0)
    result = result if array.chunks is not None else result.compute()
    result.attrs = {"long_name": f"valid share of {array.name or 'the values'}", "units": "1"}
    return result


def resolution(grid: GeoBox) -> float:
    """Give the side in m of a square as large as the cell in the middle of a grid.

    Examples
    --------
    >>> from vadose.grids import named_grid
    >>> round(resolution(named_grid("EASE2_9km")))
    9008
    """
    row, column = grid.shape.y // 2, grid.shape.x // 2
    return float(np.sqrt(cell_area(part(grid, (row, row + 1, column, column + 1))).item()))


def _is_coarser(source: GeoBox, target: GeoBox) -> bool:
    ratio = size_ratio(source, target)
    if not np.isfinite(ratio):
        raise GridProblem(
            "grid",
            found=f"a grid of {target.crs} that has no place in {source.crs}",
            expected="a grid over the cube",
        )
    return ratio > 1.0 - 1e-6


def _check_rule(row: Variable, rule: str) -> None:
    if rule not in get_args(Rule):
        raise UnknownName("regridding rule", rule, get_args(Rule))
    has_fractions = f"{row.name}_{IGBP.meanings[0]}" in VARIABLES
    allowed = [one for one in RULES[row.kind] if one != "fraction" or has_fractions]
    if rule not in allowed:
        raise RecipeProblem(
            f"regridding rule of {row.name}",
            found=f"{rule!r} for a {row.kind} variable",
            expected=f"one of {', '.join(allowed)}",
        )


def _one(
    array: xr.DataArray, row: Variable, rule: str, source: GeoBox, grid: GeoBox, min_valid: float
) -> list[xr.DataArray]:
    """Bring one variable to a grid; fractions make several of it."""
    missing = row.missing if row.missing is not None else 0
    fill = missing if np.issubdtype(array.dtype, np.integer) else np.nan
    results: list[xr.DataArray]
    if rule == "fraction":
        results = _fractions(array, source, grid, min_valid)
    elif source == grid:
        results = [array]
    elif rule in ("mean", "sum", "max") and rule == row.aggregation and is_nested(grid, source):
        results = [regrid.aggregate(array.to_dataset(), grid, min_valid=min_valid)[row.name]]
    elif rule in ("smooth", "nearest") and is_nested(source, grid):
        kernel = regrid.smooth if rule == "smooth" else regrid.nearest
        results = [kernel(array, grid).astype(array.dtype)]
    elif rule in ("smooth", "nearest", "cubic"):
        function = functools.partial(_interpolated, kernel=cast(Kernel, rule))
        results = [warp(array, source, grid, array.dtype, points, function, fill)]
        if rule == "cubic":
            clipped = warp(array, source, grid, "f4", points, _overshot, 0.0)
            results[0].attrs["overshoot"] = int(clipped.sum())
    else:
        function = functools.partial(REDUCTIONS[rule], min_valid=min_valid)
        if rule == "majority":
            function = functools.partial(function, missing=row.missing)
        results = [warp(array, source, grid, array.dtype, overlap, function, fill)]
    for result in results:
        known = array.attrs.get("native_resolution", 0.0)
        result.attrs.update(
            regridding=f"{rule} from {_words(source)} to {_words(grid)}",
            native_resolution=max(float(known), round(resolution(source), 3)),
        )
    return results


def _words(grid: GeoBox) -> str:
    code = f"EPSG:{grid.crs.epsg}" if grid.crs is not None and grid.crs.epsg else "a CRS of its own"
    step = abs(grid.affine.a)
    if grid.crs is None or not grid.crs.geographic:
        return f"{step:g} m ({code})"
    # a whole part of a degree says more than the first digits of its endless decimals
    parts = round(1 / step)
    is_part = (
        parts > 1 and abs(step * parts - 1) < 1e-6 and abs(float(f"{step:g}") / step - 1) > 1e-9
    )
    return f"{f'1/{parts}' if is_part else f'{step:g}'} degrees ({code})"


def _fractions(
    array: xr.DataArray, source: GeoBox, grid: GeoBox, min_valid: float
) -> list[xr.DataArray]:
    results = []
    for code, meaning in enumerate(IGBP.meanings):
        name = f"{array.name}_{meaning}"
        function = functools.partial(
            fractions, code=code, codes=len(IGBP.meanings), min_valid=min_valid
        )
        result = warp(array, source, grid, "f4", overlap, function, np.nan).rename(name)
        result.attrs = dict(VARIABLES[name].attributes())
        results.append(result)
    return results


def _interpolated(values: Array, where: Points, kernel: Kernel) -> Array:
    found, _ = resample(values[None], where, kernel)
    return np.asarray(found[0])


def _overshot(values: Array, where: Points) -> Array:
    _, overshot = resample(values[None], where, "cubic")
    return np.asarray(overshot[0], dtype="f8")
