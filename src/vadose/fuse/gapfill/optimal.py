"""Optimal interpolation of what the satellite adds to the model, in space and time."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import ModelProblem
from vadose.fuse.gapfill.covariance import Covariance, Systems, fit_covariance, solve
from vadose.fuse.gapfill.lines import Lines, fit_lines
from vadose.fuse.gapfill.records import (
    Floats,
    Mask,
    Record,
    check_fitted,
    draw_gaps,
    reach,
    read_record,
    smooth,
    write_field,
)

#: Cells around a target where observations are looked for, in rings; near rings are dense.
RINGS = (0, 1, 2, 4, 7, 11, 16, 23)
#: Rings that are looked at on days that are so far away: the last one that is.
RINGS_ON = (8, 6, 5, 3, 3, 2, 2)
#: Window over which a change of the model is taken, in cells: rain in a model is misplaced.
SMEARED = 1.5
#: Targets at a time, so that memory stays flat.
BATCH = 4096


class OptimalInterpolation:
    """Add to a line on the model the residuals of observations around, each with its best weight.

    The residual of the satellite to its line on the model (`fit_lines`) is a random field of four parts
    (`Covariance`): one slow, one of weather, one of the overpass, and noise. How much each is, and how far
    it reaches, is fitted to the record itself on values hidden under gaps of other days. The time between
    two days is longer the more the model changes between them, for rain ends the memory of what was.

    Parameters
    ----------
    neighbours
        Observations that an estimate takes, those that correlate most.
    pull
        Weight of neighbours in a cell's line (`fit_lines`).
    targets
        Hidden values to fit the covariance on.
    draws
        Sets of gaps that are laid for it.
    seed
        Same seed, same gaps.

    Attributes
    ----------
    covariance_ : Covariance
        What was fitted.
    lines_ : Lines
        The line of each cell.

    References
    ----------
    Gandin (1965), Objective Analysis of Meteorological Fields; Reynolds and Smith (1994), J. Clim. 7:929.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> small = world(size=32, days=20, factor=4, seed=0)
    >>> filler = OptimalInterpolation(targets=200).fit(small.coarse["soil_moisture"], small.land_model)
    >>> filled = filler.fill(small.coarse["soil_moisture"], small.land_model)
    >>> bool(filled.notnull().all()), filled.dims
    (True, ('time', 'y', 'x'))
    """

    name: ClassVar[str] = "optimal_interpolation"

    def __init__(
        self,
        *,
        neighbours: int = 20,
        pull: float = 2.0,
        targets: int = 600,
        draws: int = 3,
        seed: int = 0,
    ) -> None:
        self.neighbours, self.pull = neighbours, pull
        self.targets, self.draws, self.seed = targets, draws, seed

    def fit(self, satellite: xr.DataArray, model: xr.Dataset) -> Self:
        """Fit lines and covariance."""
        return self.fit_arrays(read_record(satellite, model))

    def fill(self, satellite: xr.DataArray, model: xr.Dataset) -> xr.DataArray:
        """Estimate the satellite's value everywhere; where observed, the estimate without its noise."""
        return write_field(self._analyse(satellite, model)[0], satellite)

    def spread(self, satellite: xr.DataArray, model: xr.Dataset) -> xr.DataArray:
        """Give the standard deviation of what `fill` gets wrong, as the covariance has it, m³ m⁻³.

        The noise of an observation is not in it; NaN where `fill` is NaN.
        """
        return write_field(np.sqrt(self._analyse(satellite, model)[1]), satellite)

    def fit_arrays(self, record: Record) -> Self:
        """Fit to a record that is checked."""
        self.lines_ = fit_lines(record, pull=self.pull)
        rng = np.random.default_rng(self.seed)
        self.covariance_ = Covariance()
        # a first fit chooses which neighbours correlate most for the second
        laid = []
        for draw in range(self.draws):
            hidden = draw_gaps(record, rng, share=0.1, days=1 + draw % 3)
            places = np.argwhere(hidden)
            chosen = rng.permutation(len(places))[: max(self.targets // self.draws, 1)]
            laid.append((record.hide(hidden), places[np.sort(chosen)]))
        for steps in (10, 20):
            parts, truths = [], []
            for part, places in laid:
                lines = fit_lines(part, pull=self.pull)
                residual = scaled_residual(part, lines)
                parts.append(self._gather(residual, summed_change(part, lines), part.days, places))
                whole = scaled_residual(record, lines)
                truths.append(whole[tuple(places.T)])
            systems = Systems(
                *(
                    np.concatenate([getattr(one, field) for one in parts])
                    for field in Systems.__dataclass_fields__
                )
            )
            self.covariance_ = fit_covariance(
                systems, np.concatenate(truths), self.covariance_, steps=steps
            )
        return self

    def estimate(self, record: Record, wanted: Mask, lines: Lines) -> tuple[Floats, Floats]:
        """Estimate chosen places, and the variance; one value for each true one, in their order."""
        residual, change = scaled_residual(record, lines), summed_change(record, lines)
        places = np.argwhere(wanted)
        estimate, variance = np.empty(len(places)), np.empty(len(places))
        for first in range(0, len(places), BATCH):
            at = slice(first, first + BATCH)
            systems = self._gather(residual, change, record.days, places[at])
            estimate[at], variance[at] = solve(systems, self.covariance_)
        spread = np.broadcast_to(lines.spread, wanted.shape)[wanted]
        return lines.apply(record.modelled)[wanted] + estimate * spread, variance * spread**2

    def _analyse(self, satellite: xr.DataArray, model: xr.Dataset) -> tuple[Floats, Floats]:
        if not hasattr(self, "lines_"):
            raise ModelProblem(self.name, found="no fit", expected="a fitted filler")
        record = read_record(satellite, model)
        check_fitted(self.lines_.level.shape, record, self.name)
        wanted = np.isfinite(record.modelled) & np.isfinite(self.lines_.level)
        fields = np.full((2, *wanted.shape), np.nan)
        fields[:, wanted] = self.estimate(record, wanted, self.lines_)
        return fields[0], fields[1]

    def _gather(
        self, residual: Floats, change: Floats, days: Floats, places: npt.NDArray[np.int64]
    ) -> Systems:
        """Collect around each target the observations that correlate most with it."""
        offsets = self._offsets()
        number = min(self.neighbours, len(offsets))
        t, y, x = (places[:, axis, None] + offsets[:, axis] for axis in range(3))
        steps, rows, columns = residual.shape
        is_inside = (t >= 0) & (t < steps) & (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
        at = (np.where(is_inside, one, 0) for one in (t, y, x))
        t, y, x = at
        is_there = is_inside & np.isfinite(residual[t, y, x])
        rank = np.where(is_there, np.arange(len(offsets)), len(offsets))
        chosen = np.sort(np.argpartition(rank, number - 1, axis=1)[:, :number], axis=1)
        t, y, x, is_there = (np.take_along_axis(one, chosen, axis=1) for one in (t, y, x, is_there))
        target_t, target_y, target_x = (places[:, axis, None] for axis in range(3))
        value = np.where(is_there, residual[t, y, x], 0.0)
        since = change[t, y, x] - change[target_t, y, x]
        return Systems(
            day=days[t] - days[target_t],
            change=np.where(is_there, since, 0.0),
            y=(y - target_y).astype("f8"),
            x=(x - target_x).astype("f8"),
            value=value,
            is_there=is_there.astype("f8"),
        )

    def _offsets(self) -> npt.NDArray[np.int64]:
        """List where to look, those first that correlate most under what is known by now."""
        found = []
        for away, last in enumerate(RINGS_ON):
            for day in {-away, away}:
                for ring in RINGS[:last]:
                    for step_y in {-ring, -(ring // 2), 0, ring // 2, ring}:
                        for step_x in {-ring, -(ring // 2), 0, ring // 2, ring}:
                            if max(abs(step_y), abs(step_x)) == ring:
                                found.append((day, step_y, step_x))
        offsets = np.array(sorted(found))
        days, cells = np.abs(offsets[:, 0]).astype("f8"), np.hypot(offsets[:, 1], offsets[:, 2])
        likeness = self.covariance_.between(days, np.zeros_like(days), cells)
        return offsets[np.lexsort((cells, days, -likeness.round(9)))]


def scaled_residual(record: Record, lines: Lines) -> Floats:
    """Give what the line leaves in units of the cell's spread; NaN in gaps."""
    return (record.observed - lines.apply(record.modelled)) / lines.spread


def summed_change(record: Record, lines: Lines) -> Floats:
    """Sum up in time by how much the line moves from day to day, in units of the cell's spread."""
    step = np.abs(np.diff(lines.apply(record.modelled), axis=0)) / lines.spread
    known = np.isfinite(step)
    share = smooth(known.astype("f8"), SMEARED)
    mean = smooth(np.where(known, step, 0.0), SMEARED) / np.maximum(share, 1e-9)
    total = np.zeros(record.modelled.shape)
    np.cumsum(np.where(share > 1e-6, mean, 0.0), axis=0, out=total[1:])
    return total


#: Rows beyond a stripe that its estimates depend on.
MARGIN = max(RINGS) + reach(SMEARED)
