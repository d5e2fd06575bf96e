"""What every filler is: it learns how a satellite and a land model go together, and fills the satellite's gaps."""

from __future__ import annotations

from typing import ClassVar, Protocol, Self

import numpy as np
import xarray as xr

from vadose.errors import CubeProblem

#: The land model's soil moisture, by which gaps are filled; other variables of its cube are context.
TARGET = "soil_moisture"


class Filler(Protocol):
    """Give a value for every cell and day for which the land model has one.

    A filler learns from one record and fills the same or another one on the same grid. Judging it on
    hidden values is a matter of handing it a record without them, to `fit` and to `fill`.
    """

    name: ClassVar[str]

    def fit(self, satellite: xr.DataArray, model: xr.Dataset) -> Self:
        """Learn from a record.

        Parameters
        ----------
        satellite
            Dims ``time, y, x``, m³ m⁻³; NaN where not observed.
        model
            The land model on the same grid and days: ``soil_moisture`` without gaps over land, and what
            else may help (``precipitation``, ``root_zone_soil_moisture``; static layers, dims ``y, x``).
        """
        ...

    def fill(self, satellite: xr.DataArray, model: xr.Dataset) -> xr.DataArray:
        """Estimate the satellite's value everywhere.

        Returns
        -------
        xarray.DataArray
            Dims ``time, y, x``, single precision: in gaps what is estimated, at observed values what the
            filler makes of them beside their neighbours. NaN only where the land model has no value and,
            for fillers without a model, where nothing is near enough.
        """
        ...


def check_record(satellite: xr.DataArray, model: xr.Dataset) -> None:
    """Check that both parts of a record are on one grid and of the same days.

    Raises
    ------
    CubeProblem
        Other dims, a cube without soil moisture, cells or days that differ, or no observation.
    """
    if satellite.dims != ("time", "y", "x"):
        raise CubeProblem("satellite", found=f"dimensions {satellite.dims}", expected="time, y, x")
    if TARGET not in model or model[TARGET].dims != ("time", "y", "x"):
        found = f"{model[TARGET].dims}" if TARGET in model else f"{sorted(map(str, model))}"
        raise CubeProblem("land model", found=found, expected=f"{TARGET} with dims time, y, x")
    for dim in satellite.dims:
        if not np.array_equal(satellite[dim].values, model[dim].values):
            raise CubeProblem(
                "land model",
                found=f"other values of {dim} than the satellite's ({model.sizes[dim]} and "
                f"{satellite.sizes[dim]})",
                expected="the same cells and days",
                remedy="Bring it to the satellite's grid first (vadose.cubes).",
            )
    if not satellite.notnull().any():
        raise CubeProblem("satellite", found="no value", expected="observations")
