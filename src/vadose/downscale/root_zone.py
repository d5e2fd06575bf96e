"""The baseline for the root zone: the past of a fine surface, averaged exponentially and rescaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np
import xarray as xr

from vadose.cubes.exponential_filter import CANDIDATES, exponential_filter, fit_time_constant
from vadose.downscale.base import Downscaler, Reach, as_cube
from vadose.errors import ModelProblem
from vadose.schema import ORIGIN, VARIABLES, check_cube

#: What the product is called, and what it is filtered from.
ROOT_ZONE = "root_zone_soil_moisture"


class SoilWaterIndex:
    """Wrap a downscaler of the surface so that its product becomes one of the root zone.

    Time constant, gain and offset are learned from the coarse surface and root zone: the time constant by
    the mean correlation of the cells (`fit_time_constant`), gain and offset by least squares over all
    cells and steps together. Three numbers for all cells hold on any grid and leave no edges of coarse
    cells; they say nothing of soils that differ. Noise of the surface lowers the gain. Where
    ``correlation_`` is low the root zone does not follow the surface, and to beat this says little.

    Each prediction begins anew at its first day: it takes about three time constants to forget that, so
    let the period begin before the days you want.

    Parameters
    ----------
    inner
        The downscaler of the surface. Its predictions are filtered, those that fill gaps included.
    candidates
        Time constants in days to choose from.

    Attributes
    ----------
    time_constant_, gain_, offset_
        Days; 1; m³ m⁻³. Learned by `fit`.
    correlation_
        Mean over cells, of the index and the root zone in the fit.

    References
    ----------
    Wagner et al. (1999), Remote Sens. Environ. 70, 191-207.

    Examples
    --------
    >>> import vadose.synthetic
    >>> from vadose.downscale.baselines import Interpolation
    >>> world = vadose.synthetic.world(size=16, days=40, factor=4, seed=0)
    >>> below = SoilWaterIndex(Interpolation()).fit(world.coarse_truth)
    >>> product = below.predict(world.predictors, world.coarse_truth)
    >>> product["root_zone_soil_moisture"].sizes["y"], product["root_zone_soil_moisture"].depth_to
    (16, 1.0)
    """

    target = ROOT_ZONE

    def __init__(self, inner: Downscaler, *, candidates: Sequence[float] = CANDIDATES) -> None:
        self.inner, self.candidates = inner, tuple(candidates)

    def fit(self, coarse: xr.Dataset) -> Self:
        """Fit the wrapped downscaler, then the way from surface to root zone.

        Parameters
        ----------
        coarse
            Holds the surface, the root zone and what the wrapped downscaler needs; NaN is a gap.

        Raises
        ------
        CubeProblem
            A cube without time, surface or root zone.
        ModelProblem
            No cell in which both vary over ten common steps.
        """
        surface = self.inner.target
        check_cube(coarse, required=[surface, ROOT_ZONE], source="coarse cube")
        self.inner.fit(coarse)
        constant = fit_time_constant(coarse[surface], coarse[ROOT_ZONE], candidates=self.candidates)
        index = exponential_filter(coarse[surface].astype("f8"), time_constant=float(constant))
        known, wanted = index.values.ravel(), coarse[ROOT_ZONE].values.ravel().astype("f8")
        is_common = ~np.isnan(known) & ~np.isnan(wanted)
        gain, offset = np.polyfit(known[is_common], wanted[is_common], 1)
        self.time_constant_, self.correlation_ = float(constant), float(constant["correlation"])
        self.gain_, self.offset_ = float(gain), float(offset)
        self.layer_ = {
            key: value
            for key, value in coarse[ROOT_ZONE].attrs.items()
            if key in ("depth_from", "depth_to", "cell_methods")
        }
        return self

    def reach(self, factor: int) -> Reach:
        """Look at the whole record: the root zone remembers."""
        return replace(self.inner.reach(factor), steps=None)

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Predict the fine surface, filter it and rescale it, kept to the valid range.

        Parameters
        ----------
        fine, coarse
            As the wrapped downscaler needs them; the coarse root zone is not needed.

        Returns
        -------
        xarray.Dataset
            ``root_zone_soil_moisture`` (NaN before the first value of the surface), ``origin``: that of the
            surface, and filled where only the past is known, and the ``flags`` of the surface.

        Raises
        ------
        ModelProblem
            Before the fit.
        CubeProblem
            A surface without time.
        """
        if not hasattr(self, "time_constant_"):
            raise ModelProblem("soil water index", found="no fit", remedy="Call fit first.")
        product = self.inner.predict(fine, coarse)
        surface = product[self.inner.target]
        index = exponential_filter(surface, time_constant=self.time_constant_)
        values = self.offset_ + self.gain_ * index.astype("f8")
        values = values.clip(*VARIABLES[ROOT_ZONE].valid_range)
        values.attrs = dict(self.layer_)
        origin = product["origin"].where(surface.notnull(), ORIGIN.code("filled"))
        origin = origin.where(values.notnull(), ORIGIN.code("missing"))
        return as_cube(values, ROOT_ZONE, origin, product.get("flags"))
