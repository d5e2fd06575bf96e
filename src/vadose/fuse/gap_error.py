"""How wrong a filled value may be: learned where values were hidden, told for every gap.

The error of a filling grows with the days to the nearest observation, differs from season to season and from
cover to cover, and is larger where soil moisture varies more. It is learned from hidden values, whose error is
against what the satellite saw: its own noise is a part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import ModelProblem, ValueProblem
from vadose.samples.gaps import gap_ages
from vadose.uncertainty.conformal import Conformal

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[Any]

#: First day of each class of days to the nearest observation; the last is open.
AGES = (1, 2, 3, 5, 9)
#: Blocks that all together count for, against those of a class: the values of one storm tell one thing.
POOL = 30.0
#: Days and cells along the side of a block in which errors hang together; smaller where these are too few.
BLOCKS = ((5, 12), (3, 6), (1, 3))
#: Blocks that are enough.
ENOUGH = 20
#: Months from December on make four seasons.
SEASONS = ("DJF", "MAM", "JJA", "SON")


def variability(satellite: xr.DataArray) -> xr.DataArray:
    """Give the standard deviation of each cell in time, drawn to that of the map where values are few.

    Parameters
    ----------
    satellite
        Dims ``time, y, x``; NaN in gaps.

    Returns
    -------
    xarray.DataArray
        Dims ``y, x``, above 0 everywhere, also where there is no value.

    Examples
    --------
    >>> import vadose.synthetic
    >>> coarse = vadose.synthetic.world(size=16, days=30, factor=4, seed=0).coarse["soil_moisture"]
    >>> bool((variability(coarse) > 0).all())
    True
    """
    values = satellite.transpose("time", "y", "x").astype("f8")
    count = values.notnull().sum("time")
    squares = ((values - values.mean("time")) ** 2).sum("time")
    degrees = (count - 1).clip(min=0)
    whole = max(float(squares.sum() / max(float(degrees.sum()), 1.0)), 1e-8)
    prior = 10.0  # values that the map counts for
    return ((squares + prior * whole) / (degrees + prior)) ** 0.5


@dataclass
class GapError:
    """Learn the standard error and the interval of filled values from hidden ones.

    Parameters
    ----------
    level
        Share of values that intervals are to cover.

    Attributes
    ----------
    factors_ : dict
        Name of a kind of strata (``age``, ``season``, ``cover``) → label → what a cell's variability is
        multiplied by.
    coverage_ : float
        Share covered in each half of the record by what was learned from the other; NaN where there are too
        few blocks.

    Examples
    --------
    >>> import vadose.synthetic
    >>> from vadose.samples.gaps import lay_gaps
    >>> world = vadose.synthetic.world(size=32, days=60, factor=4, seed=0)
    >>> seen = world.coarse["soil_moisture"]
    >>> hidden = lay_gaps(seen, rng=0, share=0.2)
    >>> filled = seen.mean("time").broadcast_like(seen).transpose(*seen.dims)
    >>> error = GapError().fit(filled, seen, hidden)
    >>> told = error.tell(filled, seen)
    >>> sorted(told)
    ['soil_moisture_lower', 'soil_moisture_uncertainty', 'soil_moisture_upper']
    """

    level: float = 0.9
    factors_: dict[str, dict[str, float]] = field(default_factory=dict, init=False)
    coverage_: float = field(default=float("nan"), init=False)
    overall_: float = field(default=float("nan"), init=False)

    def fit(
        self,
        filled: xr.DataArray,
        satellite: xr.DataArray,
        hidden: xr.DataArray,
        cover: xr.DataArray | None = None,
    ) -> Self:
        """Learn from hidden values.

        Parameters
        ----------
        filled
            Made without the hidden values, dims ``time, y, x``.
        satellite
            With the hidden values.
        hidden
            True where a value was hidden.
        cover
            Class of land cover of each cell, dims ``y, x``.

        Raises
        ------
        ValueProblem
            Fewer than 40 hidden values that were filled.
        """
        known = satellite.where(~hidden)
        asked = (hidden & satellite.notnull() & filled.notnull()).transpose("time", "y", "x").values
        if np.count_nonzero(asked) < 40:
            raise ValueProblem(
                "errors of filled values",
                found=f"{np.count_nonzero(asked)} hidden values that were filled",
                expected="40 or more",
                remedy="Take a longer record or a larger region.",
            )
        error = (satellite.astype("f8") - filled.astype("f8")).transpose("time", "y", "x").values
        strata = _strata(known, asked, cover)
        scale = np.broadcast_to(variability(known).values, asked.shape)[asked]
        block = _blocks(asked)
        self.coverage_ = self._crossed(error[asked], scale, strata, block)
        self._learn(error[asked], scale, strata, block)
        return self

    def _learn(
        self,
        error: Floats,
        scale: Floats,
        strata: Mapping[str, Labels],
        block: npt.NDArray[np.int64],
    ) -> None:
        """Learn factors, and how many standard errors an interval has to reach."""
        ratio = (error / scale) ** 2
        self.overall_ = float(np.sqrt(ratio.mean()))
        self.factors_ = _factors(ratio, strata, block, self.overall_)
        spread = scale * self._factor(strata)
        # age, season and cover are in the standard error already
        self.conformal_ = Conformal(level=self.level).fit(error, spread, block=block)

    def tell(
        self, filled: xr.DataArray, satellite: xr.DataArray, cover: xr.DataArray | None = None
    ) -> Mapping[str, xr.DataArray]:
        """Give the standard error and both ends of the interval of filled values.

        Parameters
        ----------
        filled
            Dims ``time, y, x``.
        satellite
            What it was filled from; where it has a value there is no gap, and no answer (NaN).
        cover
            As for `fit`.

        Raises
        ------
        ModelProblem
            Without a fit.
        """
        if not hasattr(self, "conformal_"):
            raise ModelProblem("errors of gaps", found="no fit", remedy="Call fit first.")
        asked = (satellite.isnull() & filled.notnull()).transpose("time", "y", "x").values
        strata = _strata(satellite, asked, cover)
        scale = np.broadcast_to(variability(satellite).values, asked.shape)[asked]
        spread = scale * self._factor(strata)
        values = filled.transpose("time", "y", "x").values[asked]
        lower, upper = self.conformal_.apply(values, spread)
        told = {}
        for name, numbers in (("uncertainty", spread), ("lower", lower), ("upper", upper)):
            array = np.full(asked.shape, np.nan, dtype="f4")
            array[asked] = numbers
            told[f"soil_moisture_{name}"] = xr.DataArray(
                array, dims=("time", "y", "x"), coords=satellite.coords
            )
        return told

    def _factor(self, strata: Mapping[str, Labels]) -> Floats:
        factor = np.full(strata["age"].size, self.overall_)
        for kind, own in self.factors_.items():
            labels, place = np.unique(strata[kind], return_inverse=True)
            factor *= np.array([own.get(str(label), 1.0) for label in labels])[place]
        return factor

    def _crossed(
        self,
        error: Floats,
        scale: Floats,
        strata: Mapping[str, Labels],
        block: npt.NDArray[np.int64],
    ) -> float:
        """Cover one half of the days with what all of it was learned from the other, in turn."""
        halves, inside = block // (block.max() // 2 + 1), []
        for half in (0, 1):
            learn = halves != half
            own = GapError(level=self.level)
            try:
                own._learn(
                    error[learn],
                    scale[learn],
                    {kind: labels[learn] for kind, labels in strata.items()},
                    block[learn],
                )
            except ValueProblem:  # too few blocks for halves
                return float("nan")
            left = {kind: labels[~learn] for kind, labels in strata.items()}
            spread = scale[~learn] * own._factor(left)
            told = own.conformal_
            reach = told.all_.upper * np.maximum(spread, told.floor_)
            inside.append(np.abs(error[~learn]) <= reach)
        return float(np.concatenate(inside).mean())


def _strata(
    satellite: xr.DataArray, asked: npt.NDArray[np.bool_], cover: xr.DataArray | None
) -> dict[str, Labels]:
    nearest = gap_ages(satellite.notnull())["nearest"].transpose("time", "y", "x").values[asked]
    # where no observation is on one side the other counts, where there is none at all the oldest class
    nearest = np.where(np.isfinite(nearest), nearest, np.inf)
    age = np.clip(np.searchsorted(AGES, nearest, side="right") - 1, 0, len(AGES) - 1)
    months = satellite["time"].dt.month.values % 12 // 3
    strata: dict[str, Labels] = {
        "age": np.array([str(one) for one in AGES])[age],
        "season": np.array(SEASONS)[months[np.nonzero(asked)[0]]],
    }
    if cover is not None:
        classes = np.broadcast_to(cover.transpose("y", "x").values, asked.shape)[asked]
        strata["cover"] = np.char.mod("%g", classes.astype("f8"))
    return strata


def _factors(
    ratio: Floats,
    strata: Mapping[str, Labels],
    block: npt.NDArray[np.int64],
    overall: float,
) -> dict[str, dict[str, float]]:
    """Find factors one kind after the other, each drawn to 1 where it rests on few blocks."""
    left = ratio / overall**2
    factors: dict[str, dict[str, float]] = {}
    for kind, labels in strata.items():
        factors[kind] = {}
        for label in np.unique(labels):
            here = labels == label
            count = np.unique(block[here]).size
            square = (count * left[here].mean() + POOL) / (count + POOL)
            factors[kind][str(label)] = float(np.sqrt(square))
            left = np.where(here, left / square, left)
    return factors


def _blocks(asked: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Give each place the number of the block of days and cells in which errors hang together."""
    step, row, column = np.nonzero(asked)
    for days, cells in BLOCKS:
        parts = np.stack((step // days, row // cells, column // cells))
        found, number = np.unique(parts, axis=1, return_inverse=True)
        if found.shape[1] >= ENOUGH:
            break
    return np.asarray(number, dtype=np.int64).ravel()
