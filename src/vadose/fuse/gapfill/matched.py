"""The model made to look like the satellite, day by day by itself: what a gap is filled with at the least."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import xarray as xr

from vadose.errors import ModelProblem
from vadose.fuse.gapfill.records import Floats, check_fitted, read_record, smooth, write_field
from vadose.samples.quantiles import LEAST, learn_quantiles, match_quantiles

#: Window of the region that stands for a cell with too few pairs, standard deviation in cells.
REGION = 6.0


class MeanVarianceMatched:
    """Give the model the mean and the standard deviation that the satellite has in each cell.

    Parameters
    ----------
    least
        Fewest pairs of a cell's own; with fewer, the moments are those of its region.

    References
    ----------
    Draper et al. (2009), J. Geophys. Res. 114:D20102.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> small = world(size=16, days=24, factor=4, seed=0)
    >>> filler = MeanVarianceMatched().fit(small.coarse["soil_moisture"], small.land_model)
    >>> bool(filler.fill(small.coarse["soil_moisture"], small.land_model).notnull().all())
    True
    """

    name: ClassVar[str] = "mean_variance_matched"

    def __init__(self, *, least: int = 8) -> None:
        self.least = least

    def fit(self, satellite: xr.DataArray, model: xr.Dataset) -> Self:
        """Learn means and standard deviations of pairs."""
        record = read_record(satellite, model)
        is_pair = np.isfinite(record.observed) & np.isfinite(record.modelled)
        count = is_pair.sum(axis=0).astype("f8")
        sums = [
            np.where(is_pair, values**power, 0.0).sum(axis=0)
            for values in (record.observed, record.modelled)
            for power in (1, 2)
        ]
        near, far = smooth(count, REGION), count.sum()
        is_few, is_alone = count < self.least, near < self.least

        def mean(total: Floats) -> Floats:
            own = total / np.maximum(count, 1)
            region = np.where(
                is_alone, total.sum() / far, smooth(total, REGION) / np.maximum(near, 1)
            )
            return np.asarray(np.where(is_few, region, own))

        seen, seen_square, told, told_square = (mean(one) for one in sums)
        self.seen_mean_, self.told_mean_ = seen, told
        seen_spread = np.sqrt(np.maximum(seen_square - seen**2, 0))
        told_spread = np.sqrt(np.maximum(told_square - told**2, 0))
        # a model that never changes says nothing of when the satellite does
        self.ratio_ = np.where(told_spread > 1e-6, seen_spread / np.maximum(told_spread, 1e-6), 0.0)
        return self

    def fill(self, satellite: xr.DataArray, model: xr.Dataset) -> xr.DataArray:
        """Rescale the model."""
        if not hasattr(self, "ratio_"):
            raise ModelProblem(self.name, found="no fit", expected="a fitted filler")
        record = read_record(satellite, model)
        check_fitted(self.ratio_.shape, record, self.name)
        return write_field(
            self.seen_mean_ + self.ratio_ * (record.modelled - self.told_mean_), satellite
        )


class CDFMatched:
    """Give each value of the model that of the satellite which is as frequent.

    Parameters
    ----------
    least
        Fewest pairs of a cell's own, 40 at the least; with fewer (a month), the distributions are those of
        the whole region, and the level of the cell is kept: what is matched are anomalies from the means.

    References
    ----------
    Reichle and Koster (2004), Geophys. Res. Lett. 31:L19501.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> small = world(size=16, days=80, factor=4, seed=0)
    >>> filler = CDFMatched().fit(small.coarse["soil_moisture"], small.land_model)
    >>> bool(filler.fill(small.coarse["soil_moisture"], small.land_model).notnull().all())
    True
    """

    name: ClassVar[str] = "cdf_matched"

    def __init__(self, *, least: int = LEAST) -> None:
        self.least = least

    def fit(self, satellite: xr.DataArray, model: xr.Dataset) -> Self:
        """Learn quantiles, of each cell and of the region."""
        record = read_record(satellite, model)
        self.level_ = MeanVarianceMatched(least=1).fit(satellite, model)
        is_pair = np.isfinite(record.observed) & np.isfinite(record.modelled)
        self.has_own_ = is_pair.sum(axis=0) >= max(self.least, LEAST)
        self.own_ = {
            (int(y), int(x)): learn_quantiles(record.modelled[:, y, x], record.observed[:, y, x])
            for y, x in np.argwhere(self.has_own_)
        }
        told = np.where(is_pair, record.modelled - self.level_.told_mean_, np.nan)
        seen = np.where(is_pair, record.observed - self.level_.seen_mean_, np.nan)
        self.region_ = learn_quantiles(told, seen) if is_pair.sum() >= LEAST else None
        return self

    def fill(self, satellite: xr.DataArray, model: xr.Dataset) -> xr.DataArray:
        """Match the model."""
        if not hasattr(self, "own_"):
            raise ModelProblem(self.name, found="no fit", expected="a fitted filler")
        record = read_record(satellite, model)
        check_fitted(self.has_own_.shape, record, self.name)
        anomaly = record.modelled - self.level_.told_mean_
        if self.region_ is not None:
            anomaly = match_quantiles(anomaly, self.region_)
        matched = self.level_.seen_mean_ + anomaly
        for (y, x), quantiles in self.own_.items():
            matched[:, y, x] = match_quantiles(record.modelled[:, y, x], quantiles)
        return write_field(matched, satellite)
