"""The satellite's season, and the model's anomaly on top of it."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import xarray as xr

from vadose.errors import ModelProblem
from vadose.fuse.gapfill.lines import fit_lines
from vadose.fuse.gapfill.records import (
    DAY,
    Floats,
    Record,
    check_fitted,
    read_record,
    write_field,
)

#: A year in days, and how many of them a record must span for each harmonic to be told from weather.
YEAR, YEARS_FOR = 365.25, (0.9, 1.8)
#: Weight of no season in a cell's own, in pairs.
PULL = 5.0


class AnomalyClimatology:
    """Add the model's anomaly from its season, rescaled, to the satellite's season.

    The season of either is a mean and the harmonics that the record is long enough for: none below 11
    months, the annual one below 22, and the half-yearly one from there. A month has a mean alone, and the
    filler becomes a line on the model in every cell.

    Parameters
    ----------
    harmonics
        How many; by the length of the record unless given.
    pull
        Weight of neighbours in the scale of a cell's anomalies (`fit_lines`).

    Attributes
    ----------
    harmonics_ : int
        What was chosen.

    References
    ----------
    Reichle et al. (2007), J. Geophys. Res. 112:D09108; Crow and van den Berg (2010), Water Resour. Res.
    46:W12519.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> small = world(size=16, days=20, factor=4, seed=0)
    >>> filler = AnomalyClimatology().fit(small.coarse["soil_moisture"], small.land_model)
    >>> filler.harmonics_
    0
    """

    name: ClassVar[str] = "anomaly_climatology"

    def __init__(self, *, harmonics: int | None = None, pull: float = 3.0) -> None:
        self.harmonics, self.pull = harmonics, pull

    def fit(self, satellite: xr.DataArray, model: xr.Dataset) -> Self:
        """Learn both seasons on the days that both have, and the line between anomalies."""
        record = read_record(satellite, model)
        years = (record.days[-1] - record.days[0] + 1) / YEAR
        by_length = sum(bool(years >= least) for least in YEARS_FOR)
        self.harmonics_ = by_length if self.harmonics is None else self.harmonics
        is_pair = np.isfinite(record.observed) & np.isfinite(record.modelled)
        waves = _waves(satellite, self.harmonics_)
        self.seasons_ = [
            _fit_season(np.where(is_pair, one, np.nan), waves)
            for one in (record.observed, record.modelled)
        ]
        seen, told = (np.tensordot(waves, one, axes=1) for one in self.seasons_)
        anomalies = Record(record.observed - seen, record.modelled - told, record.days)
        self.lines_ = fit_lines(anomalies, pull=self.pull)
        return self

    def fill(self, satellite: xr.DataArray, model: xr.Dataset) -> xr.DataArray:
        """Give season and anomaly; the satellite's values of the record have no part in it."""
        if not hasattr(self, "lines_"):
            raise ModelProblem(self.name, found="no fit", expected="a fitted filler")
        record = read_record(satellite, model)
        check_fitted(self.lines_.level.shape, record, self.name)
        waves = _waves(satellite, self.harmonics_)
        seen, told = (np.tensordot(waves, one, axes=1) for one in self.seasons_)
        return write_field(seen + self.lines_.apply(record.modelled - told), satellite)


def _waves(cube: xr.DataArray, harmonics: int) -> Floats:
    """Give the sines and cosines of each day of the year, dims ``time, wave``."""
    stamps = cube["time"].values.astype("M8[ns]")
    angle = 2 * np.pi * ((stamps - np.datetime64("2000-01-01", "ns")) / DAY) / YEAR
    return (
        np.stack(
            [
                wave(number * angle)
                for number in range(1, harmonics + 1)
                for wave in (np.cos, np.sin)
            ],
            axis=1,
        )
        if harmonics
        else np.zeros((len(stamps), 0))
    )


def _fit_season(values: Floats, waves: Floats) -> Floats:
    """Fit the waves in every cell, dims ``wave, y, x``; the mean is left to the line between anomalies."""
    is_there = np.isfinite(values).astype("f8")
    count = np.maximum(is_there.sum(axis=0), 1)
    anomaly = np.where(
        is_there > 0, values - np.where(is_there > 0, values, 0).sum(axis=0) / count, 0.0
    )
    number = waves.shape[1]
    if number == 0:
        return np.zeros((0, *values.shape[1:]))
    mean = np.tensordot(waves.T, is_there, axes=1) / count
    squares = np.einsum("tk,tl,tyx->yxkl", waves, waves, is_there, optimize=True)
    squares -= np.einsum("kyx,lyx,yx->yxkl", mean, mean, count)
    squares += PULL * np.eye(number)
    towards = np.tensordot(waves.T, anomaly, axes=1) - mean * anomaly.sum(axis=0)
    solved = np.linalg.solve(squares, np.moveaxis(towards, 0, -1)[..., None])[..., 0]
    return np.asarray(np.moveaxis(solved, -1, 0))
