"""Samples at one size of cell: where they lie, what the coarse field says there, and the predictors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from vadose.cubes.cubic import cubic_at
from vadose.cubes.places import Array
from vadose.cubes.windows import Windows, window_majorities, window_means
from vadose.downscale.levels import Level
from vadose.grids import snapped
from vadose.schema import variable

Table = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Spots:
    """Hold cells of one level, step after step.

    Attributes
    ----------
    level
        What size they have.
    frame
        One row per cell and step: ``step``, ``cell`` (number of the coarse cell), ``row`` and ``column``
        (north-west corner in fine cells), ``target`` and ``coarse`` (interpolated and coarse value).
    """

    level: Level
    frame: pd.DataFrame

    def at(self, step: int | None) -> slice:
        """Give the rows of one step; all of them for None."""
        if step is None:
            return slice(None)
        first, end = np.searchsorted(self.frame["step"].to_numpy(), [step, step + 1])
        return slice(int(first), int(end))

    def kept(self, is_kept: npt.NDArray[np.bool_]) -> Self:
        """Give some of them."""
        return replace(self, frame=self.frame[is_kept])

    def weight(self) -> Array:
        """Give one over the copies of a coarse value, so that it counts once."""
        copies = self.frame.groupby(["step", "cell"])["row"].transform("size")
        return np.asarray(1.0 / copies.to_numpy(dtype="f8"))


def draw(
    level: Level, target: xr.DataArray, factors: Mapping[str, int], *, samples: int, seed: int
) -> Spots:
    """Draw cells of one level from every coarse cell and step with a value.

    Parameters
    ----------
    level
        Size and places of the cells.
    target
        Coarse field, dims ``[time,] y, x``; NaN is a gap.
    factors
        Fine cells along ``y`` and ``x`` of a coarse cell.
    samples
        Cells to draw from each; all where there are not more.
    seed
        What is drawn depends on it, the moment and the size of cells, and on nothing else.
    """
    frames = []
    for step, field in enumerate(_steps(target)):
        rng = np.random.default_rng([seed, _stamp(field), round(1000 * level.scale)])
        row, column, cell = level.draw(samples, rng)
        y, x = (row + 0.5) * level.ratio, (column + 0.5) * level.ratio
        columns = {
            "step": np.full(cell.shape, step),
            "cell": cell,
            "row": row * level.ratio,
            "column": column * level.ratio,
            "target": cubic_at(field, x / factors["x"], y / factors["y"]),
            "coarse": field.values.ravel()[cell].astype("f8"),
        }
        frames.append(pd.DataFrame(columns).dropna())
    return Spots(level, pd.concat(frames, ignore_index=True))


def read(
    drawn: Sequence[Spots],
    fields: Sequence[xr.DataArray],
    area: Array,
    *,
    steps: int,
    progress: Callable[[int, int], None],
) -> list[Table]:
    """Bring fine fields up to the cells of each level, with one map in memory at a time.

    Parameters
    ----------
    drawn
        Cells of all levels.
    fields
        Fine predictors, dims ``[time,] y, x``, with the steps of the target; integers are codes.
    area
        Area of the fine cells, ``(y, x)``.
    steps
        Number of steps.
    progress
        Told after each.

    Returns
    -------
    list of numpy.ndarray
        ``(cell, field)`` for each level; NaN where less than half of a cell has a value.
    """
    tables = [np.full((len(one.frame), len(fields)), np.nan, np.float32) for one in drawn]

    def fill(place: int, field: xr.DataArray, step: int | None) -> None:
        values = field.compute().values  # of a copy, so that the user's cube stays lazy
        for one, table in zip(drawn, tables, strict=True):
            part = one.at(step)
            frame = one.frame.iloc[part]
            row, column = (frame[side].to_numpy(dtype="f8") for side in ("row", "column"))
            windows = Windows(row, column, one.level.ratio)
            table[part, place] = _in_windows(values, str(field.name), windows, area)

    dynamic = {place: field for place, field in enumerate(fields) if "time" in field.dims}
    for place, field in enumerate(fields):
        if place not in dynamic:
            fill(place, field, None)
    for step in range(steps):
        for place, field in dynamic.items():
            fill(place, field.isel(time=step), step)
        progress(step + 1, steps)
    return tables


def _in_windows(values: npt.NDArray[Any], name: str, windows: Windows, area: Array) -> Array:
    if np.issubdtype(values.dtype, np.integer):
        return window_majorities(values, windows, area, missing=variable(name).missing)
    return window_means(values, windows, area)


def _steps(array: xr.DataArray) -> Iterator[xr.DataArray]:
    """Give the steps one by one, loaded; a static field is one step."""
    for place in range(array.sizes.get("time", 1)):
        step = array.isel(time=place) if "time" in array.dims else array
        yield snapped(step).compute()


def _stamp(field: xr.DataArray) -> int:
    """Give a number for the moment of a step; a seed takes none below 0."""
    if "time" not in field.coords:
        return 0
    return int(field["time"].values.astype("M8[s]").astype("i8")) % 2**64
