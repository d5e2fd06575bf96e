"""Features that mean the same at every scale: a predictor, its departures, and what they foretell locally.

A forest that is given only absolute values learns what makes one region wetter than another; what
downscaling needs is what makes a place wetter than *its coarse cell*. So each predictor also enters as
departure from the smooth field through the coarse means and from its neighbours; and, because the same
departure means drier in one region and wetter in the next, times the local slope of soil moisture on it,
one predictor at a time and all together (geographically weighted ridge regression). The same functions
make the features one scale up, for learning, and one scale down, for use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox
from scipy.ndimage import uniform_filter

from vadose.cubes.regrid import area_mean, is_global, nearest, smooth
from vadose.grids import grid_of, lonlat

Array = npt.NDArray[np.float64]
#: Skewed variables, of which the logarithm is nearer to linear.
SKEWED = ("precipitation", "snow_water_equivalent")
#: Side of the window, in coarse cells, in which single slopes are estimated, and their ridge.
SLOPE_WINDOW, SLOPE_RIDGE = 5, 0.1
#: Windows and ridges of the regressions on all predictors together; larger windows need less shrinkage.
REGRESSIONS = ((5, 0.3), (9, 0.1), (15, 0.05))
#: Windows in which the coarse target is compared with its neighbours.
TARGET_WINDOWS = (3, 5, 9)
#: A land-cover class enters the joint regression where it covers this share of the land or more.
COMMON_CLASS = 0.03


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


def features(stack: xr.DataArray, target: xr.DataArray, area: xr.DataArray) -> Features:
    """Make the features of every fine cell with complete predictors under a smooth coarse target.

    Parameters
    ----------
    stack
        Fine predictors of one time step, dims ``predictor, y, x``.
    target
        Coarse target of that step, dims ``y, x``.
    area
        Land area of each fine cell, dims ``y, x``: the weights of all means.
    """
    fine, coarse = grid_of(stack), grid_of(target)
    mean = area_mean(stack, coarse, min_valid=0.0, weight=area)
    names = [str(name) for name in stack["predictor"].values]
    is_class = np.array([name.startswith("land_cover_") for name in names])
    prior = sharp_smooth(target, stack.isel(predictor=0), area, passes=4)
    departure = (stack - sharp_smooth(mean, stack, area, passes=2)).values
    neighbours = stack[~is_class] - neighbour_mean(stack[~is_class], 3, is_global(fine))
    columns: dict[str, Array] = {}
    for place, name in enumerate(names):
        columns[f"{name}:value"] = stack.values[place]
        columns[f"{name}:departure"] = departure[place]
    for place, name in enumerate(np.array(names)[~is_class]):
        columns[f"{name}:departure_from_neighbours"] = neighbours.values[place]
    single = on_fine(local_slopes(mean, target), mean, fine)
    for place, name in enumerate(names):
        columns[f"{name}:local_forecast"] = single[place] * departure[place]
    share = mean.mean(("y", "x"), skipna=True).fillna(0.0).values  # of a feature, not of a score
    is_common = ~is_class | (share >= COMMON_CLASS)
    for window, ridge in REGRESSIONS:
        slopes = on_fine(joint_slopes(mean[is_common], target, window, ridge), mean, fine)
        forecast = np.nansum(slopes * departure[is_common], axis=0)
        columns[f"all_predictors:regression_{window}x{window}"] = forecast
    columns.update(_surroundings(target, prior, fine))
    for name, values in zip(("longitude", "latitude"), lonlat(fine), strict=True):
        columns[f"{name}:value"] = values
    rows = np.flatnonzero(np.isfinite(stack.values).all(axis=0) & np.isfinite(prior.values))
    table = np.empty((rows.size, len(columns)), dtype=np.float32)
    for place, column in enumerate(columns.values()):
        # slopes and spreads may be undefined at the rim of the data: nothing is known there
        table[:, place] = np.nan_to_num(column.ravel()[rows])
    return Features(table, tuple(columns), rows, prior.values)


def on_fine(slopes: Array, mean: xr.DataArray, fine: GeoBox) -> Array:
    """Interpolate slopes, dims ``(predictor, y, x)`` on the coarse grid, to the fine grid."""
    template = mean.isel(predictor=slice(0, len(slopes)))
    return smooth(template.copy(data=slopes), fine).values


def _surroundings(target: xr.DataArray, prior: xr.DataArray, fine: GeoBox) -> dict[str, Array]:
    """Give the coarse target and how it stands among its neighbours, on the fine grid."""
    wraps = is_global(grid_of(target))
    repeated = nearest(target, fine)
    result = {"coarse_value": repeated.values, "departure_of_smooth": (prior - repeated).values}
    for window in TARGET_WINDOWS:
        centre = neighbour_mean(target, window, wraps)
        square = neighbour_mean(target**2, window, wraps)
        spread = (square - centre**2).clip(min=0.0) ** 0.5
        result[f"departure_from_{window}x{window}"] = nearest(target - centre, fine).values
        result[f"spread_in_{window}x{window}"] = nearest(spread, fine).values
    return {f"{target.name}:{name}": values for name, values in result.items()}


def sharp_smooth(
    coarse_field: xr.DataArray, like: xr.DataArray, area: xr.DataArray, *, passes: int
) -> xr.DataArray:
    """Interpolate smoothly so that the cell means are kept, by some passes of residual correction.

    Parameters
    ----------
    coarse_field
        Dims ``[predictor,] y, x``.
    like
        Fine field whose gaps the result shares.
    area
        Land area of each fine cell.
    passes
        Number of corrections.
    """
    fine, coarse = grid_of(like), grid_of(coarse_field)
    result = smooth(coarse_field, fine).where(like.notnull())
    for _ in range(passes):
        left = area_mean(result, coarse, min_valid=0.0, weight=area) - coarse_field
        result = result - smooth(left, fine).fillna(0.0)
    return result


def local_slopes(mean: xr.DataArray, target: xr.DataArray) -> Array:
    """Give the slope of the coarse target on each coarse predictor alone, in a moving window.

    The slope is shrunk towards zero where the predictor hardly varies (ridge with a tenth of its usual
    local variance), so that a flat neighbourhood does not shout.

    Parameters
    ----------
    mean
        Coarse predictors, dims ``predictor, y, x``.
    target
        Coarse target, dims ``y, x``.

    Returns
    -------
    numpy.ndarray
        Dims ``(predictor, y, x)``; NaN where the target is missing.
    """
    window = _Window(mean, target, SLOPE_WINDOW)
    slopes = [
        window.covariance(place, None)
        / (window.covariance(place, place) + SLOPE_RIDGE * window.usual_variance(place))
        for place in range(len(mean))
    ]
    return np.where(window.is_valid, np.stack(slopes), np.nan)


def joint_slopes(mean: xr.DataArray, target: xr.DataArray, window: int, ridge: float) -> Array:
    """Give the slopes of the coarse target on all coarse predictors together, in a moving window.

    References
    ----------
    Geographically weighted regression: Brunsdon et al. (1996), Geogr. Anal. 28:281; here with a box for
    a kernel and a ridge in units of each predictor's usual local variance.
    """
    moving = _Window(mean, target, window)
    count, valid = len(mean), moving.is_valid
    scale = np.sqrt([moving.usual_variance(place) for place in range(count)])
    matrix = np.empty((int(valid.sum()), count, count))
    right = np.empty((int(valid.sum()), count, 1))
    for row in range(count):
        right[:, row, 0] = moving.covariance(row, None)[valid] / scale[row]
        for column in range(row, count):
            shared = moving.covariance(row, column)[valid] / (scale[row] * scale[column])
            matrix[:, row, column] = matrix[:, column, row] = shared
    matrix += ridge * np.eye(count)
    slopes = np.full((count, *valid.shape), np.nan)
    slopes[:, valid] = np.linalg.solve(matrix, right)[..., 0].T / scale[:, None]
    return slopes


class _Window:
    """Give covariances of coarse predictors and target in a moving window of valid cells."""

    def __init__(self, mean: xr.DataArray, target: xr.DataArray, size: int) -> None:
        self.is_valid = np.isfinite(target.values) & np.isfinite(mean.values).all(axis=0)
        self.size, self.wraps = size, is_global(grid_of(target))
        self.share = self._sum(self.is_valid.astype("f8"))
        centred = [
            np.where(self.is_valid, field - field[self.is_valid].mean(), 0.0)
            if self.is_valid.any()
            else np.zeros_like(field)
            for field in (*mean.values.astype("f8"), target.values.astype("f8"))
        ]
        self.fields = centred  # about their mean, or squares of temperatures lose their digits
        self.means = [self._mean(field) for field in centred]

    def _sum(self, values: Array) -> Array:
        return box_mean(values, self.size, self.wraps)

    def _mean(self, values: Array) -> Array:
        return np.asarray(self._sum(values) / np.maximum(self.share, 1e-9))

    def covariance(self, first: int, second: int | None) -> Array:
        """Give the covariance of two predictors, or of one and the target, around every cell."""
        other = len(self.fields) - 1 if second is None else second
        product = self._mean(self.fields[first] * self.fields[other])
        return np.asarray(product - self.means[first] * self.means[other])

    def usual_variance(self, place: int) -> float:
        """Give a predictor's mean local variance; tiny but positive where it is constant."""
        local = self.covariance(place, place)[self.is_valid]
        return max(float(local.mean()) if local.size else 0.0, 1e-12)


def neighbour_mean(values: xr.DataArray, window: int, wraps: bool) -> xr.DataArray:
    """Average the valid cells of a square window around each cell."""
    is_valid = np.isfinite(values.values)
    total = box_mean(np.where(is_valid, values.values, 0.0), window, wraps)
    share = box_mean(is_valid.astype("f8"), window, wraps)
    return values.copy(data=np.where(share > 1e-6, total / np.maximum(share, 1e-6), np.nan))


def box_mean(values: Array, window: int, wraps: bool) -> Array:
    """Average a square window of the last two dims; the rim is held, or goes round the globe."""
    rim: Literal["wrap", "nearest"] = "wrap" if wraps else "nearest"
    held: Literal["wrap", "nearest"] = "nearest"
    size = [1] * (values.ndim - 2) + [window, window]
    mode = [held] * (values.ndim - 1) + [rim]
    return np.asarray(uniform_filter(values, size, mode=mode))
