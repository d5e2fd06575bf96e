"""A record as fillers see it: what is observed, what the land model says, and gaps laid to learn from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.ndimage import gaussian_filter1d

from vadose.errors import CubeProblem, ModelProblem, ValueProblem
from vadose.fuse.base import TARGET, check_record
from vadose.samples.gaps import lay_gaps

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
DAY = np.timedelta64(1, "D")

#: Standard deviations at which the window of a smooth mean ends.
TRUNCATE = 4.0


@dataclass(frozen=True, eq=False)
class Record:
    """Hold both parts of a record as arrays.

    Attributes
    ----------
    observed
        The satellite's values, m³ m⁻³, dims ``time, y, x``; NaN in gaps.
    modelled
        The land model's, likewise; NaN off its land.
    days
        Time in days since the first step.
    """

    observed: Floats
    modelled: Floats
    days: Floats

    def hide(self, hidden: Mask) -> Self:
        """Take values away."""
        return type(self)(np.where(hidden, np.nan, self.observed), self.modelled, self.days)

    def part(self, rows: slice, columns: slice) -> Self:
        """Take a part of the grid."""
        at = np.s_[:, rows, columns]
        return type(self)(self.observed[at], self.modelled[at], self.days)


def read_record(satellite: xr.DataArray, model: xr.Dataset) -> Record:
    """Check a record and take its arrays.

    Values that are not finite in the satellite are gaps; a value of the model that is infinite is refused.
    """
    check_record(satellite, model)
    stamps = satellite["time"].values.astype("M8[ns]")
    days = np.asarray((stamps - stamps[0]) / DAY, "f8")
    if (np.diff(days) <= 0).any():
        raise CubeProblem("satellite", found="stamps that do not increase", expected="sorted times")
    observed = np.asarray(satellite.values, "f8")
    modelled = np.asarray(model[TARGET].values, "f8")
    if np.isinf(observed).any() or np.isinf(modelled).any():
        raise ValueProblem("soil_moisture", found="infinite values", expected="values or NaN")
    return Record(observed, modelled, days)


def write_field(values: npt.NDArray[np.floating], satellite: xr.DataArray) -> xr.DataArray:
    """Give values the satellite's coordinates and name, in single precision."""
    return satellite.copy(data=np.asarray(values, "f4"))


def check_fitted(learned: tuple[int, ...], record: Record, name: str) -> None:
    """Refuse a record on another grid than the one that was learned from."""
    if learned != record.observed.shape[1:]:
        raise ModelProblem(
            name,
            found=f"a grid of {record.observed.shape[1:]}",
            expected=f"{learned}, on which it was fitted",
            remedy="Fit it on a record of this grid.",
        )


def smooth(field: Floats, cells: float) -> Floats:
    """Add up a field under a Gaussian window over the last two dims; beyond the edge there is nothing.

    Zero cells leave it as it is. What is missing must be zero; divide by the smoothed weights to have a
    mean.
    """
    if cells <= 0:
        return field
    along_y = gaussian_filter1d(field, cells, axis=-2, mode="constant", truncate=TRUNCATE)
    return gaussian_filter1d(along_y, cells, axis=-1, mode="constant", truncate=TRUNCATE)


def reach(cells: float) -> int:
    """Tell how many cells away a smooth mean still sees.

    Examples
    --------
    >>> reach(1.5)
    6
    """
    return int(TRUNCATE * cells + 0.5)


def draw_gaps(record: Record, rng: np.random.Generator, *, share: float, days: int) -> Mask:
    """Hide observed values under gaps of the record's other days, or under halves where it has none.

    Parameters
    ----------
    record
        What is observed; only cells where the model has a value are hidden.
    rng
        Generator.
    share, days
        As in `vadose.samples.gaps.lay_gaps`; the days are cut where the record is shorter.
    """
    is_pair = np.isfinite(record.observed) & np.isfinite(record.modelled)
    cube = xr.DataArray(np.where(is_pair, record.observed, np.nan), dims=("time", "y", "x"))
    lasting = min(days, len(is_pair))
    try:
        laid = lay_gaps(cube, rng=rng, share=share, days=lasting)
    except ValueProblem:
        # no day has both gaps and values, or all of them hide too little: halves stand for swaths
        left = np.broadcast_to(
            np.arange(is_pair.shape[2]) < is_pair.shape[2] / 2, is_pair.shape[1:]
        )
        top = np.broadcast_to(
            np.arange(is_pair.shape[1])[:, None] < is_pair.shape[1] / 2, is_pair.shape[1:]
        )
        donors = np.stack([left, ~left, top, ~top])
        laid = lay_gaps(cube, rng=rng, share=share, days=lasting, donors=donors)
    return np.asarray(laid.values, bool)


def draw_window(
    record: Record, rng: np.random.Generator, *, rows: int = 96, columns: int = 128
) -> tuple[slice, slice]:
    """Choose a part of a large grid around an observed cell; a small grid is taken whole.

    Examples
    --------
    >>> values = np.full((2, 9, 9), 0.2)
    >>> small = Record(values, values, np.arange(2.0))
    >>> draw_window(small, np.random.default_rng(0), rows=20, columns=4)[0]
    slice(0, 9, None)
    """
    pairs = (np.isfinite(record.observed) & np.isfinite(record.modelled)).any(axis=0)
    centre = np.argwhere(pairs)[rng.integers(pairs.sum())]
    found = []
    for middle, length, size in zip(centre, (rows, columns), pairs.shape, strict=True):
        first = int(np.clip(middle - length // 2, 0, max(size - length, 0)))
        found.append(slice(first, min(first + length, size)))
    return found[0], found[1]


def window(record: Record, *, rows: int = 64, columns: int = 96) -> Record:
    """Take the part of a large grid that has most pairs, to choose settings on.

    Examples
    --------
    >>> values = np.full((2, 100, 100), np.nan)
    >>> values[:, 80:, 80:] = 0.2
    >>> part = window(Record(values, np.full_like(values, 0.3), np.arange(2.0)), rows=20, columns=20)
    >>> part.observed.shape, bool(np.isfinite(part.observed).all())
    ((2, 20, 20), True)
    """
    pairs = (np.isfinite(record.observed) & np.isfinite(record.modelled)).sum(axis=0)
    return record.part(*busiest(pairs, rows, columns))


def busiest(counts: npt.NDArray[np.int64], rows: int, columns: int) -> tuple[slice, slice]:
    """Find the part of a map, of so many cells at most, with the largest sum.

    Examples
    --------
    >>> busiest(np.array([[1, 0, 0], [0, 0, 0], [0, 5, 5]]), 1, 2)
    (slice(2, 3, None), slice(1, 3, None))
    """
    height, width = (
        min(one, size) for one, size in zip((rows, columns), counts.shape, strict=True)
    )
    total = np.zeros(np.add(counts.shape, 1), "i8")
    total[1:, 1:] = counts.cumsum(axis=0).cumsum(axis=1)
    inside = (
        total[height:, width:]
        - total[:-height, width:]
        - total[height:, :-width]
        + total[:-height, :-width]
    )
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    return slice(int(top), int(top) + height), slice(int(left), int(left) + width)


def stripes(rows: int, height: int) -> Iterator[tuple[int, int]]:
    """Cut a grid into stripes of whole rows, first and one past the last.

    Examples
    --------
    >>> list(stripes(5, 2))
    [(0, 2), (2, 4), (4, 5)]
    """
    for first in range(0, rows, height):
        yield first, min(first + height, rows)
