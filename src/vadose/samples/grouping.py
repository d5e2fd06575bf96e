"""Groups for models' own hold-outs: blocks of neighbours, of space where there is room, else of time."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from vadose.samples.blocks import map_blocks, period_blocks

#: Blocks along each side of a map, where it has the cells, and days of a period otherwise.
ALONG_A_SIDE, DAYS = 5, 30


def natural_groups(cube: xr.Dataset) -> xr.DataArray:
    """Give numbers to the blocks that a model may hold back while it learns from a cube.

    A map of at least 3 × 3 cells is cut into up to 5 × 5 squares; a smaller one, by time, into periods of
    30 days. Held back as a whole, a block is far less like what was learned from than a cell drawn at
    random would be.

    Parameters
    ----------
    cube
        Dims ``[time,] y, x``.

    Returns
    -------
    xarray.DataArray
        Whole numbers, dims ``y, x`` or ``time``; one group where there is neither room nor time.

    Examples
    --------
    >>> import vadose.synthetic
    >>> coarse = vadose.synthetic.world(size=32, days=8, factor=4).coarse
    >>> natural_groups(coarse).max().item()
    15
    """
    rows, columns = cube.sizes["y"], cube.sizes["x"]
    if min(rows, columns) >= 3 or "time" not in cube.sizes:
        dims: tuple[str, ...] = ("y", "x")
        numbers = map_blocks((rows, columns), usual_block((rows, columns)))
    else:
        dims, numbers = ("time",), period_blocks(cube["time"].values, DAYS)
    coords = {dim: cube[dim] for dim in dims}
    return xr.DataArray(numbers.astype(np.int64), dims=dims, coords=coords)


def usual_block(shape: tuple[int, int]) -> int:
    """Give the cells along the side of a block such that the longer side of a map has five of them.

    Examples
    --------
    >>> usual_block((102, 169))
    34
    """
    return max(1, math.ceil(max(shape) / ALONG_A_SIDE))
