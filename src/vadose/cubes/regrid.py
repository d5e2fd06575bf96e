"""From fine to coarse by true area, and back by smooth interpolation that ignores gaps.

Both work on grids that nest (`vadose.grids.nesting`), lazily, in blocks of whole coarse cells, and in
double precision inside. What happens to a variable follows from its kind in the schema.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.cubes.blocks import block_sum, smoothed
from vadose.errors import CubeProblem
from vadose.grids import cell_area, coordinates, grid_of, nesting, placed
from vadose.schema import GRID_MAPPING, IGBP, VARIABLES, variable

Array = npt.NDArray[np.floating]
#: Largest side of a chunk to aggregate: double precision and masks take ten times its bytes.
CHUNK = 1024
#: Relative difference of areas that is rounding: those of a projection's scale differ by 1e-9.
ROUNDING = 1e-7


def aggregate(cube: xr.Dataset, coarse: GeoBox, *, min_valid: float = 0.5) -> xr.Dataset:
    """Aggregate every variable of a cube to a coarse grid by the rule of its kind.

    Parameters
    ----------
    cube
        Fine cube, dims ``[member,] [time,] y, x``.
    coarse
        Grid in which the fine grid nests.
    min_valid
        Share of a coarse cell's area that must be valid; below it the cell is NaN (or, for classes,
        the code of no class).

    Returns
    -------
    xarray.Dataset
        Area means, sums, maxima or majorities on the coarse grid.

    Raises
    ------
    GridProblem
        When the grids do not nest.

    Examples
    --------
    >>> from vadose.grids import coordinates, latlon
    >>> fine, coarse = latlon(45.0), latlon(90.0)
    >>> values = np.arange(32.0).reshape(4, 8)
    >>> cube = xr.Dataset({"elevation": (("y", "x"), values)}, coords=coordinates(fine))
    >>> aggregate(cube, coarse)["elevation"].shape
    (2, 4)
    """
    fine = grid_of(cube)
    factors = nesting(coarse, fine)
    area = cell_area(fine)
    arrays = {}
    cube = in_whole_cells(cube, factors)
    for name in cube.data_vars:
        row = variable(str(name))
        array = cube[name]
        if row.aggregation == "majority":
            result = _majority(array, area, factors, min_valid, row.missing)
        elif row.aggregation == "max":
            result = array.coarsen(factors).max(skipna=True)
            result = result.where(_valid_share(array.notnull(), area, factors) >= min_valid)
        else:
            result = _mean(array, area, factors, min_valid)
            if row.aggregation == "sum":
                result = result * (factors["y"] * factors["x"])
        arrays[name] = _on_grid(result.astype(array.dtype), array, coarse)
    return xr.Dataset(arrays, attrs=cube.attrs)


def in_whole_cells(cube: xr.Dataset, factors: Mapping[str, int]) -> xr.Dataset:
    """Let dask's chunks hold whole coarse cells; else it gathers the map before it aggregates.

    Parameters
    ----------
    cube
        Fine cube; variables in memory stay as they are.
    factors
        Fine cells along ``y`` and ``x`` of a coarse cell.
    """
    arrays = {}
    for name, array in cube.data_vars.items():
        if array.chunks is None:
            continue
        sizes = {
            dim: min(max(array.chunksizes[dim]), CHUNK) // k * k or k for dim, k in factors.items()
        }
        arrays[name] = array.chunk(sizes)
    return cube.assign(arrays)


def area_mean(
    array: xr.DataArray,
    coarse: GeoBox,
    *,
    min_valid: float = 0.5,
    weight: xr.DataArray | None = None,
) -> xr.DataArray:
    """Give the area-weighted mean of the valid fine cells in each coarse cell, in double precision.

    Parameters
    ----------
    array
        Dims ``[member,] [time,] y, x``; NaN is left out.
    coarse
        Grid in which the array's grid nests.
    min_valid
        Smallest valid share of the cell's area (or weight).
    weight
        Dims ``y, x``; the true cell area unless given.

    Returns
    -------
    xarray.DataArray
        NaN where too little is valid.
    """
    fine = grid_of(array)
    area = cell_area(fine) if weight is None else weight
    result = _mean(array, area, nesting(coarse, fine), min_valid)
    return _on_grid(result, array, coarse)


def valid_share(array: xr.DataArray, coarse: GeoBox) -> xr.DataArray:
    """Give the share of each coarse cell's area in which the fine array has a value."""
    fine = grid_of(array)
    share = _valid_share(array.notnull(), cell_area(fine), nesting(coarse, fine))
    return _on_grid(share, array, coarse)


def fractions(classes: xr.DataArray, coarse: GeoBox) -> xr.Dataset:
    """Give the share of every IGBP class in each coarse cell.

    Parameters
    ----------
    classes
        IGBP codes, dims ``y, x``; codes outside 0 to 16 count as no class.
    coarse
        Grid in which the array's grid nests.

    Returns
    -------
    xarray.Dataset
        One variable ``land_cover_<meaning>`` per class; NaN where no fine cell has a class. Where
        there is a class the shares add up to one.
    """
    fine = grid_of(classes)
    factors, area = nesting(coarse, fine), cell_area(fine)
    is_class = (classes >= 0) & (classes < len(IGBP.meanings))
    whole = (area.where(is_class, 0.0)).coarsen(factors).sum()
    arrays = {}
    for code, meaning in enumerate(IGBP.meanings):
        part = area.where(classes == code, 0.0).coarsen(factors).sum()
        name = f"land_cover_{meaning}"
        share = (part / whole.where(whole > 0)).astype("f4")
        arrays[name] = _on_grid(share, classes, coarse).assign_attrs(VARIABLES[name].attributes())
    return xr.Dataset(arrays)


def interpolate(cube: xr.Dataset, fine: GeoBox) -> xr.Dataset:
    """Bring every variable of a cube to a fine grid by the rule of its kind.

    Continuous variables are interpolated smoothly (`smooth`); classes and masks are repeated.

    Raises
    ------
    GridProblem
        When the grids do not nest.
    """
    arrays = {}
    for name in cube.data_vars:
        rule = smooth if variable(str(name)).interpolation == "smooth" else nearest
        arrays[name] = rule(cube[name], fine).astype(cube[name].dtype)
    return xr.Dataset(arrays, attrs=cube.attrs)


def nearest(array: xr.DataArray, fine: GeoBox) -> xr.DataArray:
    """Repeat each coarse value over its block of fine cells.

    Parameters
    ----------
    array
        Coarse array, dims ``[member,] [time,] y, x``.
    fine
        Grid over the array's cells, or over some of them (a tile of a map).

    Raises
    ------
    GridProblem
        When the fine grid is not made of whole coarse cells, or reaches beyond them.

    Examples
    --------
    >>> from vadose.grids import coordinates, latlon
    >>> coarse = xr.DataArray([[1.0, 2.0]], dims=("y", "x"), coords=coordinates(latlon(180.0)))
    >>> nearest(coarse, latlon(90.0)).values
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """
    factors, cover = placed(grid_of(array), fine)

    def repeat(values: Array) -> Array:
        values = values[..., cover["y"], cover["x"]]
        return values.repeat(factors["y"], axis=-2).repeat(factors["x"], axis=-1)

    return _apply_on_map(repeat, array, fine)


def smooth(array: xr.DataArray, fine: GeoBox) -> xr.DataArray:
    """Interpolate bilinearly between coarse cell centres, over the valid ones only.

    Weights of missing neighbours are given to the valid ones, so that a gap does not bleed; a fine cell
    is NaN only where all four neighbours are. Global longitude/latitude grids wrap around. Outside the
    outermost centres the value is held.

    Parameters
    ----------
    array
        Coarse array, dims ``[member,] [time,] y, x``.
    fine
        Grid over the array's cells, or over some of them (a tile of a map). The values are those of the
        whole map, to the bit, where the array goes on for one cell beyond the fine grid, or the map ends.

    Returns
    -------
    xarray.DataArray
        Double precision, on the fine grid.

    Raises
    ------
    GridProblem
        When the fine grid is not made of whole coarse cells, or reaches beyond them.

    Examples
    --------
    >>> from vadose.grids import coordinates, latlon
    >>> grid = latlon(20.0, (0, 0, 40, 20))
    >>> coarse = xr.DataArray([[1.0, 2.0]], dims=("y", "x"), coords=coordinates(grid))
    >>> smooth(coarse, latlon(10.0, (0, 0, 40, 20))).values[0]
    array([1.  , 1.25, 1.75, 2.  ])
    """
    coarse = grid_of(array)
    factors, cover = placed(coarse, fine)
    wraps = is_global(coarse)

    def between(values: Array) -> Array:
        return smoothed(values, factors, cover, wraps=wraps)

    return _apply_on_map(between, array, fine)


def is_global(grid: GeoBox) -> bool:
    """Tell whether a longitude/latitude grid goes all the way round."""
    if grid.crs is None or not grid.crs.geographic:
        return False
    return abs(grid.shape.x * abs(grid.affine.a) - 360.0) < 1e-6


def _apply_on_map(function, array: xr.DataArray, grid: GeoBox) -> xr.DataArray:  # type: ignore[no-untyped-def]
    """Apply a function of ``(..., y, x)`` values whose result lies on another grid."""
    rows, columns = grid.shape
    if array.chunks is not None:
        array = array.chunk({"y": -1, "x": -1})
    result = xr.apply_ufunc(
        function,
        array.drop_vars(["y", "x", GRID_MAPPING]),
        input_core_dims=[["y", "x"]],
        output_core_dims=[["y", "x"]],
        exclude_dims={"y", "x"},
        dask="parallelized",
        output_dtypes=[np.dtype("f8")],
        dask_gufunc_kwargs={"output_sizes": {"y": rows, "x": columns}},
    )
    return _on_grid(result, array, grid)


def _on_grid(result: xr.DataArray, like: xr.DataArray, grid: GeoBox) -> xr.DataArray:
    dropped = [name for name in ("y", "x", GRID_MAPPING) if name in result.coords]
    result = result.drop_vars(dropped).assign_coords(coordinates(grid))
    result.attrs = dict(like.attrs)
    return result.transpose(*like.dims).rename(like.name)


def _valid_share(
    is_valid: xr.DataArray, area: xr.DataArray, factors: dict[str, int]
) -> xr.DataArray:
    weight = _weight(area, is_valid)
    return _sum(_bare(is_valid) * weight, factors) / _sum(weight, factors)


def _mean(
    array: xr.DataArray, area: xr.DataArray, factors: dict[str, int], min_valid: float
) -> xr.DataArray:
    weight = _weight(area, array)
    values = _bare(array).astype("f8")
    is_valid = values.notnull()
    total = _sum(values.where(is_valid, 0.0) * weight, factors)
    valid = _sum(is_valid * weight, factors)
    whole = _sum(weight, factors)
    enough = (valid > 0) & (valid >= (min_valid - ROUNDING) * whole)
    return total / valid.where(enough)


def _sum(array: xr.DataArray, factors: dict[str, int]) -> xr.DataArray:
    """Add up blocks, each in the same order, whatever else is on the map or in its chunk."""
    array = array.transpose(..., "y", "x")
    if array.chunks is None:
        total = block_sum(array.values, factors)
    else:
        array = in_whole_cells(array.to_dataset(name="part"), factors)["part"]
        sizes = [*array.chunks[:-2]]  # type: ignore[index]
        for dim in ("y", "x"):
            sizes.append(tuple(size // factors[dim] for size in array.chunksizes[dim]))
        total = array.data.map_blocks(block_sum, factors, chunks=tuple(sizes), dtype="f8")
    kept = {name: coord for name, coord in array.coords.items() if not {"y", "x"} & {*coord.dims}}
    return xr.DataArray(total, dims=array.dims, coords=kept)


def _majority(
    array: xr.DataArray,
    area: xr.DataArray,
    factors: dict[str, int],
    min_valid: float,
    missing: int | None,
) -> xr.DataArray:
    """Find the class with the largest area; of equals the lowest code, so that order does not matter."""
    codes = _bare(array)
    weight = _bare(area)
    present = [int(code) for code in np.unique(codes.values)]
    valid = [code for code in present if code != missing]
    if not valid:
        raise CubeProblem(str(array.name), found="no class at all", expected="codes")
    winner = best = total = xr.zeros_like(weight.coarsen(factors).sum())
    for code in valid:
        part = weight.where(codes == code, 0.0).coarsen(factors).sum()
        is_larger = part > best * (1.0 + ROUNDING)  # equal but for rounding is equal
        winner, best = winner.where(~is_larger, code), best.where(~is_larger, part)
        total = total + part
    if missing is None:
        return winner
    is_enough = total >= (min_valid - ROUNDING) * weight.coarsen(factors).sum()
    return winner.where(is_enough & (total > 0.0), missing)


def _weight(area: xr.DataArray, array: xr.DataArray) -> xr.DataArray:
    """Cut the weights as the array is cut, so that no map of them is ever made whole."""
    if array.chunks is None:
        return _bare(area)
    return _bare(area).chunk({dim: array.chunksizes[dim] for dim in ("y", "x")})


def _bare(array: xr.DataArray) -> xr.DataArray:
    """Drop the map coordinates: arithmetic between grids is by position, their match is checked."""
    return array.drop_vars([name for name in ("y", "x", GRID_MAPPING) if name in array.coords])
