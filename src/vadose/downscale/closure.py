"""Closure as a linear problem on the coarse grid, so that it is cheap and a map can be made in tiles.

The correction of a fine field is the bilinear interpolation *S(c)* of a coarse field *c*
(`vadose.cubes.regrid.smooth`). In cells without anything to close, *c* is the mean of those beside them that
have, else 0: a correction that stopped with the cells that ask for it would draw their edges into the
product. The area mean of *S(c)* in a coarse cell depends on the nine values around: a stencil *A*, given by
where the fine field has values. So closing is

1. `balance`: the area mean of the field and the stencil of each coarse cell, from a tile of the fine field
   and a window of the coarse one that reaches one cell further;
2. `solve`: *A c = mean − wanted* on the whole coarse grid, each time step by itself;
3. `corrected`: *field − S(c)*, again from a tile and a window, inside the bounds. What clipping takes away
   is made up within the cell.

The result does not depend on the tiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from vadose.cubes.blocks import bilinear, block_sum
from vadose.cubes.regrid import is_global
from vadose.downscale.stencil import (
    NEIGHBOURS,
    Array,
    Mask,
    Surroundings,
    chebyshev,
    ratio,
    stencil_sums,
)
from vadose.grids import cell_area, coordinates, grid_of, nesting, placed
from vadose.schema import DIMS, GRID_MAPPING


def balance(
    field: xr.DataArray,
    coarse: xr.DataArray,
    *,
    bounds: tuple[float, float],
    weight: xr.DataArray | None = None,
) -> xr.Dataset:
    """Sum up per coarse cell all that closure has to know of a fine field.

    Parameters
    ----------
    field
        Fine field, dims ``[member,] [time,] y, x``; NaN takes no part. It is clipped to the bounds first.
    coarse
        Values to keep, dims ``[time,] y, x``, over the field and one cell beyond it, or to the end of the
        map; NaN where there is nothing to keep.
    bounds
        Smallest and largest value allowed.
    weight
        Weight of each fine cell in the mean, dims ``y, x``; its true area unless given.

    Returns
    -------
    xarray.Dataset
        On the coarse cells under the field, ``mean``: dims ``[member,] [time,] y, x``, NaN where there
        is no fine value; and ``stencil``: dims ``[member,] [time,] neighbour, y, x``, the share of each
        of `NEIGHBOURS` in the mean of the correction, 0 where there is nothing to close.
    """
    factors, cover = placed(grid_of(coarse), grid_of(field))
    weight = cell_area(grid_of(field)) if weight is None else weight
    mean, stencil = xr.apply_ufunc(
        _balances,
        *(_bare(array) for array in (field, coarse, weight)),
        input_core_dims=[["y", "x"]] * 3,
        output_core_dims=[["y", "x"], ["neighbour", "y", "x"]],
        exclude_dims={"y", "x"},
        kwargs={
            "bounds": bounds,
            "factors": factors,
            "cover": cover,
            "wraps": is_global(grid_of(coarse)),
        },
    )
    under = coarse.isel(cover)
    places = {name: under[name] for name in ("y", "x", GRID_MAPPING)}
    mean = _in_order(mean)
    stencil = stencil.transpose(*mean.dims[:-2], "neighbour", "y", "x")
    return xr.Dataset({"mean": mean, "stencil": stencil}).assign_coords(places)


def solve(
    balance: xr.Dataset,
    coarse: xr.DataArray,
    *,
    bounds: tuple[float, float],
    tolerance: float,
    passes: int = 100,
) -> xr.DataArray:
    """Find the coarse field whose interpolation, taken off the fine field, closes every coarse cell.

    Chebyshev's iteration, with bounds on the passes and on the correction: where little land makes cells
    hard to tell apart, closure is left to `corrected`.

    Parameters
    ----------
    balance
        That of the whole map, `balance` of every tile put together; any time steps.
    coarse
        Values to keep on the whole map, the same time steps. A value outside the bounds is approached as
        far as they allow.
    bounds, tolerance
        As in `vadose.downscale.conserve.close`. A time step that is closed already is not corrected.
    passes
        Largest number of passes.

    Returns
    -------
    xarray.DataArray
        Dims ``[member,] [time,] y, x``. Where there is no coarse value, or no fine one under it, the mean
        of the neighbours that have both, so that their correction goes on beyond the coast and fades out
        in gaps; 0 where no neighbour has.

    Raises
    ------
    GridProblem
        When the balance is not on the grid of the coarse values.
    """
    grid = grid_of(coarse)
    nesting(grid, grid_of(balance))
    correction = xr.apply_ufunc(
        _corrections,
        *(_bare(array) for array in (balance["mean"], balance["stencil"], coarse)),
        input_core_dims=[["y", "x"], ["neighbour", "y", "x"], ["y", "x"]],
        output_core_dims=[["y", "x"]],
        kwargs={
            "bounds": bounds,
            "tolerance": tolerance,
            "passes": passes,
            "wraps": is_global(grid),
        },
    )
    places = {name: coarse[name] for name in ("y", "x", GRID_MAPPING)}
    return _in_order(correction).assign_coords(places).rename(coarse.name)


def corrected(
    field: xr.DataArray,
    correction: xr.DataArray,
    coarse: xr.DataArray,
    *,
    bounds: tuple[float, float],
    tolerance: float,
    passes: int = 100,
    weight: xr.DataArray | None = None,
) -> xr.DataArray:
    """Take the interpolated correction off a fine field and keep it inside the bounds.

    Where clipping opens a cell again, what is left is laid on those of its fine cells that can still move
    (Newton's method for the shift of a clipped field).

    Parameters
    ----------
    field, bounds, weight
        As in `balance`.
    correction, coarse
        What `solve` gave, and the values to keep: both on one window of the coarse grid, which reaches
        one cell beyond the field, or to the end of the map.
    tolerance
        Largest residual left.
    passes
        Largest number of passes within a cell.

    Returns
    -------
    xarray.DataArray
        Double precision, NaN where the field is.
    """
    fine, window = grid_of(field), grid_of(coarse)
    factors, cover = placed(window, fine)
    nesting(window, grid_of(correction))
    weight = cell_area(fine) if weight is None else weight
    result = xr.apply_ufunc(
        _correct,
        *(_bare(array) for array in (field, correction, coarse.isel(cover), weight)),
        input_core_dims=[["y", "x"]] * 4,
        output_core_dims=[["y", "x"]],
        exclude_dims={"y", "x"},
        kwargs={
            "bounds": bounds,
            "tolerance": tolerance,
            "passes": passes,
            "factors": factors,
            "cover": cover,
            "wraps": is_global(window),
        },
    )
    result = _in_order(result).assign_coords(coordinates(fine)).rename(field.name)
    result.attrs = dict(field.attrs)
    return result


# --- on bare arrays, step by step ---


def _balances(
    field: Array,
    coarse: Array,
    weight: Array,
    *,
    bounds: tuple[float, float],
    factors: Mapping[str, int],
    cover: Mapping[str, slice],
    wraps: bool,
) -> tuple[Array, Array]:
    lead = np.broadcast_shapes(field.shape[:-2], coarse.shape[:-2])
    size = tuple(side // factors[dim] for dim, side in zip("yx", field.shape[-2:], strict=True))
    mean, stencil = np.empty((*lead, *size)), np.empty((*lead, len(NEIGHBOURS), *size))
    last: Mask | None = None
    total: Array
    shares: Array
    for step, values, wanted in _steps(lead, field, coarse):
        is_valid = np.isfinite(values)
        if last is None or not np.array_equal(last, is_valid):  # mostly it is the same land
            part = np.where(is_valid, weight, 0.0)
            total = block_sum(part, factors)
            shares = ratio(stencil_sums(part, wanted.shape, factors, cover, wraps), total, 0.0)
            last = is_valid
        product = np.clip(values, *bounds, dtype="f8")
        product[~is_valid] = 0.0
        product *= weight
        mean[step] = ratio(block_sum(product, factors), total, np.nan)
        stencil[step] = shares * np.isfinite(wanted[cover["y"], cover["x"]])
    return mean, stencil


def _corrections(
    mean: Array,
    stencil: Array,
    coarse: Array,
    *,
    bounds: tuple[float, float],
    tolerance: float,
    passes: int,
    wraps: bool,
) -> Array:
    lead = np.broadcast_shapes(mean.shape[:-2], stencil.shape[:-3], coarse.shape[:-2])
    corrections = np.empty((*lead, *mean.shape[-2:]))
    every = np.broadcast_to(stencil, (*lead, *stencil.shape[-3:]))
    for step, means, wanted in _steps(lead, mean, coarse):
        left = means - np.clip(wanted, *bounds, dtype="f8")
        is_equation = np.isfinite(left)
        left = np.where(is_equation, left, 0.0)
        if np.abs(left).max(initial=0.0) <= tolerance:
            corrections[step] = 0.0
            continue
        surroundings = Surroundings(is_equation, wraps)
        found = chebyshev(every[step], surroundings, left, 1e-6 * tolerance, passes)
        corrections[step] = surroundings.spread(found)[1:-1, 1:-1]
    return corrections


def _correct(
    field: Array,
    correction: Array,
    coarse: Array,
    weight: Array,
    *,
    bounds: tuple[float, float],
    tolerance: float,
    passes: int,
    factors: Mapping[str, int],
    cover: Mapping[str, slice],
    wraps: bool,
) -> Array:
    lead = np.broadcast_shapes(field.shape[:-2], correction.shape[:-2], coarse.shape[:-2])
    result = np.empty((*lead, *field.shape[-2:]))
    for step, values, shifts, wanted in _steps(lead, field, correction, coarse):
        np.clip(values, *bounds, out=result[step], dtype="f8")
        result[step] -= bilinear(shifts, factors, cover, wraps=wraps)
        np.clip(result[step], *bounds, out=result[step])
        wanted = np.clip(wanted, *bounds, dtype="f8")
        _settle(result[step], wanted, weight, bounds, tolerance, passes, factors)
    return result


def _settle(
    values: Array,
    wanted: Array,
    weight: Array,
    bounds: tuple[float, float],
    tolerance: float,
    passes: int,
    factors: Mapping[str, int],
) -> None:
    """Close the cells that are still open, each by itself, in place."""
    low, high = bounds
    is_valid = np.isfinite(values)
    total = block_sum(np.where(is_valid, weight, 0.0), factors)
    mean = ratio(block_sum(np.where(is_valid, values, 0.0) * weight, factors), total, np.nan)
    is_open = np.abs(mean - wanted) > tolerance
    if not is_open.any():
        return
    sides = (mean.shape[0], factors["y"], mean.shape[1], factors["x"])
    cells = np.moveaxis(values.reshape(sides), 2, 1)
    weights = np.moveaxis((weight * np.ones(values.shape)).reshape(sides), 2, 1)[is_open]
    part, goal, whole = cells[is_open], wanted[is_open, None, None], total[is_open, None, None]
    is_valid = np.isfinite(part)
    for _ in range(passes):
        left = block_sum(np.where(is_valid, part, 0.0) * weights, factors) / whole - goal
        if (np.abs(left) <= tolerance).all():
            break
        can_move = is_valid & np.where(left > 0, part > low, part < high)
        share = block_sum(can_move * weights, factors) / whole
        step = np.where(np.abs(left) > tolerance, ratio(left, share, 0.0), 0.0)
        part = np.clip(part - step, low, high)
    cells[is_open] = part


def _steps(lead: tuple[int, ...], *arrays: Array) -> Iterator[tuple[Any, ...]]:
    """Give the place of every step and its maps."""
    whole = [np.broadcast_to(array, (*lead, *array.shape[-2:])) for array in arrays]
    for step in np.ndindex(lead):
        yield step, *(array[step] for array in whole)


def _bare(array: xr.DataArray) -> xr.DataArray:
    """Take an array into memory and off its map: fields and corrections are matched by position."""
    names = [name for name in ("y", "x", GRID_MAPPING) if name in array.coords]
    return array.drop_vars(names).compute()


def _in_order(array: xr.DataArray) -> xr.DataArray:
    return array.transpose(*(dim for dim in DIMS if dim in array.dims))
