"""A line on the model, and what it leaves, smoothed in time and space: simple, and hard to beat."""

from __future__ import annotations

import itertools
from typing import ClassVar, NamedTuple, Self

import numpy as np
import xarray as xr

from vadose.errors import ModelProblem
from vadose.fuse.gapfill.lines import Lines, fit_lines
from vadose.fuse.gapfill.records import (
    Floats,
    Record,
    check_fitted,
    draw_gaps,
    read_record,
    smooth,
    window,
    write_field,
)


class Window(NamedTuple):
    """Hold over what a residual is averaged.

    Attributes
    ----------
    days
        E-folding time.
    cells
        Standard deviation in space; 0 for the cell alone.
    trust
        Weight at which a mean is taken for half; more draws means of few residuals to zero.
    """

    days: float
    cells: float
    trust: float


#: What is chosen from unless given.
DAYS, CELLS, TRUSTS, PULLS = (0.7, 1.5, 3.0), (0.0, 1.5, 4.0), (0.03, 0.3), (1.0, 4.0)


class LinearResidual:
    """Put the satellite's line on the model, and add the mean of the residuals around.

    Parameters
    ----------
    days, cells, trust
        The window of the mean (`Window`); each is chosen on values hidden under gaps of other days unless
        given.
    pull
        Weight of neighbours in a cell's line (`fit_lines`); likewise.
    draws
        Sets of gaps to choose on.
    seed
        Same seed, same gaps.

    Attributes
    ----------
    window_ : Window
        What was chosen.
    pull_ : float
        Likewise.
    lines_ : Lines
        The line of each cell.

    References
    ----------
    Nadaraya (1964), Theory Probab. Appl. 9:141 (means under a window).

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> small = world(size=16, days=20, factor=4, seed=0)
    >>> filler = LinearResidual(days=2.0, cells=1.0)
    >>> filled = filler.fit(small.coarse["soil_moisture"], small.land_model).fill(
    ...     small.coarse["soil_moisture"], small.land_model
    ... )
    >>> bool(filled.notnull().all())
    True
    """

    name: ClassVar[str] = "linear_residual"

    def __init__(
        self,
        *,
        days: float | None = None,
        cells: float | None = None,
        trust: float | None = None,
        pull: float | None = None,
        draws: int = 3,
        seed: int = 0,
    ) -> None:
        self.days, self.cells, self.trust, self.pull = days, cells, trust, pull
        self.draws, self.seed = draws, seed

    def fit(self, satellite: xr.DataArray, model: xr.Dataset) -> Self:
        """Choose the window and fit the lines."""
        record = read_record(satellite, model)
        options = [
            choices if given is None else (given,)
            for given, choices in (
                (self.pull, PULLS),
                (self.days, DAYS),
                (self.cells, CELLS),
                (self.trust, TRUSTS),
            )
        ]
        choices = list(itertools.product(*options))
        if len(choices) > 1:
            choices = [self._choose(window(record), choices)]
        pull, *settings = choices[0]
        self.pull_, self.window_ = pull, Window(*settings)
        self.lines_ = fit_lines(record, pull=self.pull_)
        return self

    def fill(self, satellite: xr.DataArray, model: xr.Dataset) -> xr.DataArray:
        """Estimate; at observed values, their own residual has part in the mean."""
        if not hasattr(self, "lines_"):
            raise ModelProblem(self.name, found="no fit", expected="a fitted filler")
        record = read_record(satellite, model)
        check_fitted(self.lines_.level.shape, record, self.name)
        filled = self.lines_.apply(record.modelled) + mean_residual(
            record, self.lines_, self.window_
        )
        return write_field(filled, satellite)

    def _choose(self, record: Record, choices: list[tuple[float, ...]]) -> tuple[float, ...]:
        rng = np.random.default_rng(self.seed)
        error = np.zeros(len(choices))
        for draw in range(self.draws):
            hidden = draw_gaps(record, rng, share=0.15, days=1 + draw % 3)
            part = record.hide(hidden)
            lines = {pull: fit_lines(part, pull=pull) for pull in {one[0] for one in choices}}
            for number, (pull, *settings) in enumerate(choices):
                filled = lines[pull].apply(record.modelled) + mean_residual(
                    part, lines[pull], Window(*settings)
                )
                error[number] += ((filled - record.observed)[hidden] ** 2).sum()
        return choices[int(error.argmin())]


def mean_residual(record: Record, lines: Lines, over: Window) -> Floats:
    """Average what lines leave, over days and cells around; 0 where nothing is near."""
    residual = record.observed - lines.apply(record.modelled)
    is_there = np.isfinite(residual)
    apart = np.abs(record.days[:, None] - record.days)
    kernel = np.exp(-apart / over.days)
    total, weight = (
        smooth(np.tensordot(kernel, one, axes=1), over.cells)
        for one in (np.where(is_there, residual, 0.0), is_there.astype("f8"))
    )
    return np.asarray(total / (weight + over.trust))
