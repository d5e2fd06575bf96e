"""Features that mean the same at every scale: a predictor and its departures from its surroundings.

A forest that is given only absolute values learns what makes one region wetter than another; what
downscaling needs is what makes a place wetter than *its coarse cell*. So each predictor also enters as
departure from the mean of its coarse cell, from the smooth field through those means, from its
neighbours, and, times the local slope of soil moisture on it, as a local forecast of the departure.
The same functions make the features one scale up (for learning) and one scale down (for use).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.ndimage import uniform_filter

from vadose.cubes.regrid import area_mean, is_global, nearest, smooth
from vadose.grids import grid_of, lonlat

#: Skewed variables, of which the logarithm is nearer to linear.
SKEWED = ("precipitation", "snow_water_equivalent")
#: Coarse cells around a cell in which the local slope is estimated.
SLOPE_WINDOW = 5


@dataclass(frozen=True)
class Features:
    """Hold a table of features for one time step of a fine grid.

    Attributes
    ----------
    table
        Dims ``(sample, feature)``; complete rows only.
    names
        One per feature, ``predictor:aspect``.
    rows
        Position of each sample in the flattened grid.
    prior
        The smooth, closed field of the target from which departures are learned, ``(y, x)``.
    """

    table: npt.NDArray[np.float32]
    names: tuple[str, ...]
    rows: npt.NDArray[np.int64]
    prior: npt.NDArray[np.float64]


def derive(cube: xr.Dataset, predictors: Sequence[str]) -> xr.DataArray:
    """Stack the predictors of one time step, with what is derived from them.

    Precipitation and snow enter as logarithms; where surface and air temperature are both there, their
    difference enters too; the position always does.

    Parameters
    ----------
    cube
        Dims ``y, x``.
    predictors
        Names of its variables.

    Returns
    -------
    xarray.DataArray
        Dims ``predictor, y, x``, double precision.
    """
    fields: dict[str, xr.DataArray] = {}
    for name in predictors:
        values = cube[name].astype("f8")
        fields[name] = xr.ufuncs.log1p(values) if name in SKEWED else values
    if {"land_surface_temperature", "air_temperature"} <= set(predictors):
        contrast = fields["land_surface_temperature"] - fields["air_temperature"]
        fields["temperature_contrast"] = contrast
    stack = xr.Dataset(fields).to_dataarray("predictor")
    return stack.transpose("predictor", "y", "x")


def features(
    stack: xr.DataArray, target: xr.DataArray, *, mean: xr.DataArray | None = None
) -> Features:
    """Make the features of every fine cell with complete predictors under a smooth coarse target.

    Parameters
    ----------
    stack
        Fine predictors of one time step, dims ``predictor, y, x``.
    target
        Coarse target of that step, dims ``y, x``.
    mean
        Coarse means of the predictors; aggregated from `stack` unless given.
    """
    fine, coarse = grid_of(stack), grid_of(target)
    if mean is None:
        mean = area_mean(stack, coarse, min_valid=0.0)
    prior = sharp_smooth(target, stack.isel(predictor=0))
    repeated = nearest(target, fine)
    from_smooth = stack - sharp_smooth(mean, stack)
    slopes = smooth(local_slopes(mean, target), fine)
    wraps = is_global(fine)
    blocks: list[tuple[str, xr.DataArray]] = [
        ("value", stack),
        ("departure_from_cell", stack - nearest(mean, fine)),
        ("departure_from_smooth", from_smooth),
        ("departure_from_neighbours", stack - _neighbour_mean(stack, 3, wraps)),
        ("local_forecast", slopes * from_smooth),
    ]
    names, columns = [], []
    for aspect, block in blocks:
        is_share = ["land_cover" in str(name) for name in block["predictor"].values]
        for name, one, skip in zip(block["predictor"].values, block.values, is_share, strict=True):
            if aspect == "departure_from_neighbours" and skip:
                continue  # shares of classes are mostly 0 or 1: their neighbours add little
            names.append(f"{name}:{aspect}")
            columns.append(one)
    for name, one in _surroundings(target, prior, repeated).items():
        names.append(f"{target.name}:{name}")
        columns.append(one.values if isinstance(one, xr.DataArray) else one)
    for name, one in zip(("longitude", "latitude"), lonlat(fine), strict=True):
        names.append(f"{name}:value")
        columns.append(one)
    table = np.stack([column.ravel() for column in columns], axis=1).astype(np.float32)
    is_there = np.isfinite(stack.values).all(axis=0) & np.isfinite(prior.values)
    rows = np.flatnonzero(is_there)
    table = np.nan_to_num(table[rows], copy=False)  # slopes and spreads at the rim of the data
    return Features(table, tuple(names), rows, prior.values)


def _surroundings(
    target: xr.DataArray, prior: xr.DataArray, repeated: xr.DataArray
) -> dict[str, xr.DataArray]:
    """Give the coarse target and how it stands among its neighbours, on the fine grid."""
    fine = grid_of(prior)
    wraps = is_global(grid_of(target))
    result = {"coarse_value": repeated, "departure_of_smooth": prior - repeated}
    for window in (3, 5):
        centre = _neighbour_mean(target, window, wraps)
        square = _neighbour_mean(target**2, window, wraps)
        spread = (square - centre**2).clip(min=0.0) ** 0.5
        result[f"departure_from_{window}x{window}"] = nearest(target - centre, fine)
        result[f"spread_in_{window}x{window}"] = nearest(spread, fine)
    return result


def sharp_smooth(coarse_field: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    """Interpolate smoothly so that the cell means are kept: a few passes of residual correction.

    Parameters
    ----------
    coarse_field
        Dims ``[predictor,] y, x``.
    like
        Fine field whose gaps the result shares.
    """
    fine = grid_of(like)
    result = smooth(coarse_field, fine).where(like.notnull())
    for _ in range(4):
        left = area_mean(result, grid_of(coarse_field), min_valid=0.0) - coarse_field
        result = result - smooth(left, fine).fillna(0.0)
    return result


def local_slopes(mean: xr.DataArray, target: xr.DataArray) -> xr.DataArray:
    """Give the slope of the coarse target on each coarse predictor in a moving window.

    The slope is shrunk towards zero where the predictor hardly varies (ridge with a tenth of its usual
    local variance), so that a flat neighbourhood does not shout.

    Parameters
    ----------
    mean
        Coarse predictors, dims ``predictor, y, x``.
    target
        Coarse target, dims ``y, x``.
    """
    wraps = is_global(grid_of(target))
    both = mean.notnull() & target.notnull()
    predictor, response = mean.where(both), target.astype("f8").where(both)

    def window(values: xr.DataArray) -> xr.DataArray:
        return _neighbour_mean(values, SLOPE_WINDOW, wraps)

    centre, level = window(predictor), window(response)
    covariance = window(predictor * response) - centre * level
    variance = (window(predictor**2) - centre**2).clip(min=0.0)
    usual = variance.mean(("y", "x"), skipna=True)
    slope = covariance / (variance + 0.1 * usual).where(usual > 0)
    return slope.fillna(0.0).transpose(*mean.dims)


def _neighbour_mean(values: xr.DataArray, window: int, wraps: bool) -> xr.DataArray:
    """Average the valid cells of a square window around each cell."""
    size = [1] * (values.ndim - 2) + [window, window]
    rim: Literal["wrap", "nearest"] = "wrap" if wraps else "nearest"
    held: Literal["wrap", "nearest"] = "nearest"
    mode = [held] * (values.ndim - 1) + [rim]
    is_valid = np.isfinite(values.values)
    total = uniform_filter(np.where(is_valid, values.values, 0.0), size, mode=mode)
    share = uniform_filter(is_valid.astype("f8"), size, mode=mode)
    mean = np.where(share > 1e-6, total / np.maximum(share, 1e-6), np.nan)
    return values.copy(data=mean)
