"""What downscaling adds: the pattern within each coarse cell; and what it must not add: seams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.cubes.regrid import area_mean, nearest
from vadose.errors import ValueProblem
from vadose.grids import grid_of, snapped


def within_cell(field: xr.DataArray, coarse: GeoBox) -> xr.DataArray:
    """Take the mean of each coarse cell off a fine field.

    Parameters
    ----------
    field
        Dims ``[time,] y, x``; NaN takes no part in the mean.
    coarse
        Grid in which the field's grid nests.

    Returns
    -------
    xarray.DataArray
        Departures from the cell mean, double precision.

    Examples
    --------
    >>> from vadose.grids import coordinates, latlon
    >>> fine = latlon(90.0)
    >>> field = xr.DataArray([[1.0, 3, 5, 5], [1, 3, 5, 5]], dims=("y", "x"), coords=coordinates(fine))
    >>> within_cell(field, latlon(180.0)).values[0]
    array([-1.,  1.,  0.,  0.])
    """
    field = snapped(field)
    mean = nearest(area_mean(field, coarse, min_valid=0.0), grid_of(field))
    return (field.astype("f8") - mean).transpose(*field.dims)


def edge_jump_ratio(field: xr.DataArray, lines: Mapping[str, Sequence[int]]) -> float:
    """Compare the steps of a field across given lines with its steps elsewhere.

    Parameters
    ----------
    field
        Dims ``[time,] y, x``. Only pairs of neighbours count that both have a value.
    lines
        For ``y`` and ``x``, positions of the first row or column after each line: the edges of tiles, or
        of coarse cells. A dimension may be left out.

    Returns
    -------
    float
        Σ |Δ| across the lines, divided by what is expected of as many pairs elsewhere, Σ n(d) m(d): for
        each direction d the number of pairs across its lines and the mean |Δ| of its other pairs. About 1
        without seams, 2 where lines are twice as steep. NaN where there is no pair across a line, none
        elsewhere, or no step anywhere.

    Raises
    ------
    ValueProblem
        When a line does not lie between two rows or columns.

    Examples
    --------
    >>> ramp = xr.DataArray([[0.0, 1.0, 2.0, 5.0, 6.0, 7.0]], dims=("y", "x"))
    >>> edge_jump_ratio(ramp, {"x": [3]})
    3.0
    """
    steps = field.transpose(..., "y", "x")
    steps = steps if steps.ndim == 3 else steps.expand_dims("time")
    found = expected = 0.0
    for axis, dim in enumerate(("y", "x")):
        is_line = _on_lines(field.sizes[dim], lines.get(dim, ()), dim)
        across, elsewhere = np.zeros(2), np.zeros(2)
        for step in steps:  # a map at a time: a product may be larger than memory
            jumps = np.abs(np.diff(step.values.astype("f8"), axis=axis))
            jumps = jumps if axis == 0 else jumps.T
            across += _count_and_sum(jumps[is_line])
            elsewhere += _count_and_sum(jumps[~is_line])
        if across[0]:
            found += across[1]
            mean = elsewhere[1] / elsewhere[0] if elsewhere[0] else np.nan
            expected += across[0] * mean
    if expected == 0.0:
        return np.inf if found > 0.0 else np.nan
    return float(found / expected)


def _on_lines(size: int, lines: Sequence[int], dim: str) -> npt.NDArray[np.bool_]:
    """Tell which pairs of neighbours lie on both sides of a line."""
    places = np.array(lines, dtype=int)
    if ((places < 1) | (places >= size)).any():
        raise ValueProblem(
            f"lines along {dim}",
            found=f"positions {places.min()} to {places.max()}",
            expected=f"1 to {size - 1}, the first {dim} after each line",
        )
    is_line = np.zeros(max(size - 1, 0), dtype=bool)
    is_line[places - 1] = True
    return is_line


def _count_and_sum(jumps: npt.NDArray[np.float64]) -> tuple[float, float]:
    known = jumps[np.isfinite(jumps)]
    return known.size, known.sum()
