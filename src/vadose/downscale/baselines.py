"""Downscaling without learning: what every model must beat on the same samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from vadose.cubes.regrid import is_global, nearest, smooth
from vadose.downscale.base import Reach, align, as_cube
from vadose.downscale.provenance import (
    WITHOUT_PREDICTOR,
    coarse_gaps,
    flags_of_predictors,
    settled,
)
from vadose.errors import CubeProblem, ModelProblem
from vadose.grids import grid_of, placed
from vadose.schema import FLAGS, GRID_MAPPING, check_cube


class Interpolation:
    """Interpolate the coarse field; predictors only say where there is land.

    In place of predictors the fine cube may hold ``flags`` of a product that was made with them.

    Parameters
    ----------
    rule
        `vadose.cubes.regrid.nearest` or `vadose.cubes.regrid.smooth`.
    target
        Variable to downscale.

    Examples
    --------
    >>> import vadose.synthetic
    >>> world = vadose.synthetic.world(size=16, days=8, factor=4, seed=0)
    >>> baseline = Interpolation(nearest).fit(world.coarse)
    >>> baseline.predict(world.predictors, world.coarse)["soil_moisture"].sizes["y"]
    16
    """

    def __init__(
        self,
        rule: Callable[..., xr.DataArray] = smooth,
        *,
        target: str = "soil_moisture",
    ) -> None:
        self.rule, self.target = rule, target

    def fit(self, coarse: xr.Dataset) -> Self:
        """Learn nothing."""
        return self

    def reach(self, factor: int) -> Reach:
        """Look at the coarse cells beside."""
        return Reach(coarse=1)

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Interpolate where all variables of the fine cube have a value."""
        fine, grid = align(fine, coarse, self.target)
        values = self.rule(coarse[self.target], grid)
        return _product(values, fine, coarse, self.target, grid)


class ClimatologicalPattern:
    """Add the day's coarse anomaly to the smoothly interpolated mean of all days.

    The mean of many days has fewer gaps and less noise than one day, and its pattern is sharper where
    swaths overlap; the anomaly is repeated over the cell. Needs a cube with time.
    """

    def __init__(self, *, target: str = "soil_moisture") -> None:
        self.target = target

    def fit(self, coarse: xr.Dataset) -> Self:
        """Learn the mean of each coarse cell over the days that have a value.

        Raises
        ------
        CubeProblem
            When the cube has fewer than two time steps.
        """
        check_cube(coarse, required=[self.target], source="coarse cube")
        if coarse.sizes.get("time", 0) < 2:
            raise CubeProblem(
                "coarse cube",
                found=f"{coarse.sizes.get('time', 0)} time steps",
                expected="two or more for a climatological pattern",
            )
        self.mean_ = coarse[self.target].astype("f8").mean("time", skipna=True)
        return self

    def reach(self, factor: int) -> Reach:
        """Look at the coarse cells beside."""
        return Reach(coarse=1)

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Give pattern plus anomaly where all variables of the fine cube have a value."""
        if not hasattr(self, "mean_"):
            raise ModelProblem("downscaler", found="no fit", remedy="Call fit first.")
        fine, grid = align(fine, coarse, self.target)
        mean = _window(self.mean_, coarse)
        anomaly = nearest(coarse[self.target] - mean, grid)
        values = smooth(mean, grid) + anomaly
        values = values.transpose(*coarse[self.target].dims).clip(min=0.0)
        values.attrs = dict(coarse[self.target].attrs)
        return _product(values, fine, coarse, self.target, grid)


def _product(
    values: xr.DataArray, fine: xr.Dataset, coarse: xr.Dataset, target: str, grid: GeoBox
) -> xr.Dataset:
    """Put values together with where they come from and what is missing beneath them."""
    cover = placed(grid_of(coarse), grid)[1]
    if "flags" in fine:
        flags = fine["flags"].values & np.uint16(FLAGS.mask(*WITHOUT_PREDICTOR))
    else:
        static = [str(name) for name, array in fine.data_vars.items() if "time" not in array.dims]
        flags = flags_of_predictors(fine.compute(), static, values.shape)
    values = values.where(flags == 0)
    flags, codes = settled(flags, values.values, coarse_gaps(coarse, target).isel(cover).values)
    return as_cube(values, target, values.copy(data=codes), values.copy(data=flags))


def _window(mean: xr.DataArray, coarse: xr.Dataset) -> xr.DataArray:
    """Cut a window out of the map, labelled as the window; one of a global map may go beyond its sides."""
    whole, window = grid_of(mean), grid_of(coarse)
    width = whole.shape.x
    turns = 1 if is_global(whole) else 0
    around = GeoBox(
        (whole.shape.y, width * (1 + 2 * turns)),
        whole.affine * Affine.translation(-turns * width, 0),
        whole.crs,
    )
    _, cover = placed(around, window)
    columns = np.arange(cover["x"].start, cover["x"].stop) % width
    part = mean.isel(y=cover["y"], x=columns)
    return part.assign_coords({name: coarse[name] for name in ("y", "x", GRID_MAPPING)})
