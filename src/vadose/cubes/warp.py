"""The frame of all regridding: tiles of the target, each made from the window of the source it needs."""

from __future__ import annotations

from collections.abc import Callable

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr
from dask.delayed import delayed
from odc.geo.geobox import GeoBox

from vadose.cubes.places import Array, Box, size_ratio, window
from vadose.grids import coordinates
from vadose.schema import GRID_MAPPING

#: Source cells along a side of what one task reads.
REACH = 2048


def warp(
    array: xr.DataArray,
    source: GeoBox,
    target: GeoBox,
    dtype: npt.DTypeLike,
    plan: Callable[[GeoBox, GeoBox, Box, Box], object],
    function: Callable[..., Array],
    fill: float,
) -> xr.DataArray:
    """Put an array on another grid lazily, tile by tile of the target.

    Parameters
    ----------
    array
        Dims ``[member,] [time,] y, x``.
    source, target
        Its grid, and where to.
    dtype
        Type of the result.
    plan
        Prepares what depends on the grids only: ``plan(source, target, tile, window)``; once per tile,
        for all variables and steps of a computation.
    function
        Makes the values of a tile, flat, from a step's source window: ``function(values, plan)``.
    fill
        What stands for NaN in the result, and where the source does not reach.

    Returns
    -------
    xarray.DataArray
        Lazy; of the chunks along time and member of the source.
    """
    data = array.data if array.chunks is not None else da.from_array(array.values, chunks=-1)
    rows, columns = target.shape
    side = int(np.clip(REACH / np.sqrt(max(size_ratio(source, target), 1.0)), 16, 512))
    bands = []
    for first in range(0, rows, side):
        tiles = []
        for left in range(0, columns, side):
            tile = (first, min(first + side, rows), left, min(left + side, columns))
            size = (tile[1] - tile[0], tile[3] - tile[2])
            chunks = (*data.chunks[:-2], *((count,) for count in size))
            box = window(source, target, tile)
            if box is None:
                shape = (*data.shape[:-2], *size)
                tiles.append(da.full(shape, fill, dtype=dtype, chunks=chunks))
                continue
            tiles.append(
                da.map_blocks(
                    _apply,
                    _cut_out(data, box, source.shape.x),
                    delayed(plan, pure=True)(source, target, tile, box),
                    function=function,
                    size=size,
                    fill=fill,
                    kind=np.dtype(dtype),
                    dtype=dtype,
                    chunks=chunks,
                    meta=np.empty((0,) * data.ndim, dtype),
                )
            )
        bands.append(da.concatenate(tiles, axis=-1))
    whole = da.concatenate(bands, axis=-2)
    kept = {
        name: values
        for name, values in array.coords.items()
        if name != GRID_MAPPING and not {"y", "x"} & set(values.dims)
    }
    return xr.DataArray(
        whole,
        dims=array.dims,
        coords={**kept, **coordinates(target)},
        name=array.name,
        attrs=array.attrs,
    )


def _cut_out(data: da.Array, box: Box, count: int) -> da.Array:
    """Cut a window out of a source, over the seam where it goes on there."""
    first, end, left, right = box
    pieces = [(max(left, 0), min(right, count))]
    if left < 0:
        pieces.insert(0, (left + count, count))
    if right > count:
        pieces.append((0, right - count))
    parts = [data[..., first:end, start:stop] for start, stop in pieces]
    joined = parts[0] if len(parts) == 1 else da.concatenate(parts, axis=-1)
    whole: da.Array = joined.rechunk({data.ndim - 2: -1, data.ndim - 1: -1})
    return whole


def _apply(
    block: npt.NDArray[np.generic],
    plan: object,
    function: Callable[..., Array],
    size: tuple[int, int],
    fill: float,
    kind: np.dtype[np.generic],
) -> npt.NDArray[np.generic]:
    """Apply a function of ``(steps, rows, columns)`` to every step of a block, one at a time."""
    leading = block.shape[:-2]
    steps = block.reshape(-1, *block.shape[-2:])
    result = np.empty((steps.shape[0], size[0] * size[1]), kind)
    for number, step in enumerate(steps):  # bounds the memory; a block may hold a year
        values = function(step.astype("f8"), plan)
        result[number] = np.where(np.isnan(values), fill, values).astype(kind)
    whole: npt.NDArray[np.generic] = result.reshape(*leading, *size)
    return whole
