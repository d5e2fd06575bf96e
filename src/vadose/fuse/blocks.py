"""Long records are fused in blocks of days: memory is that of a block, whatever the record's length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import ValueProblem
from vadose.samples.gaps import DAY, gap_ages

#: Days of a block, and on either side of it what is seen but not written: errors of fillers die away in these.
LENGTH, MARGIN = 92, 16


@dataclass(frozen=True)
class Block:
    """Say which days are written, and which are seen for it.

    Attributes
    ----------
    own
        Places in the record that the block writes.
    seen
        Places that are read for it: `own` with a margin.
    """

    own: slice
    seen: slice

    @property
    def inside(self) -> slice:
        """Give the places of `own` in what is seen."""
        return slice(self.own.start - self.seen.start, self.own.stop - self.seen.start)


def blocks(days: int, *, length: int = LENGTH, margin: int = MARGIN) -> list[Block]:
    """Divide a record; one that is hardly longer than a block stays whole.

    Parameters
    ----------
    days
        Of the record.
    length, margin
        Of a block.

    Raises
    ------
    ValueProblem
        Lengths that make no sense.

    Examples
    --------
    >>> [(one.own, one.seen) for one in blocks(10, length=4, margin=2)]
    [(slice(0, 4, None), slice(0, 6, None)), (slice(4, 8, None), slice(2, 10, None)), \
(slice(8, 10, None), slice(6, 10, None))]
    >>> len(blocks(120))
    1
    """
    if days < 1 or length < 1 or margin < 0:
        raise ValueProblem(
            "blocks of days",
            found=f"days={days}, length={length}, margin={margin}",
            expected="1 or more, and a margin of 0 or more",
        )
    if days <= length + 2 * margin:
        return [Block(slice(0, days), slice(0, days))]
    return [
        Block(
            slice(start, min(start + length, days)),
            slice(max(start - margin, 0), min(start + length + margin, days)),
        )
        for start in range(0, days, length)
    ]


class GapEdges:
    """Know the last observation before, and the first one after, each block: a gap may outlast blocks.

    Parameters
    ----------
    parts
        For each block in turn, where it has an observation: dims ``time, y, x``, its own days alone.

    Attributes
    ----------
    is_land : numpy.ndarray
        Cells that were ever observed, dims ``y, x``.

    Examples
    --------
    >>> days = np.arange("2019-07-01", "2019-07-07", dtype="M8[D]").astype("M8[ns]")
    >>> seen = xr.DataArray(
    ...     np.array([1, 0, 0, 0, 0, 1], bool).reshape(6, 1, 1), {"time": days}, ("time", "y", "x")
    ... )
    >>> edges = GapEdges([seen[:3], seen[3:]])
    >>> edges.ages(0, seen[:3])["length"].values.ravel()
    array([nan,  4.,  4.])
    """

    def __init__(self, parts: Iterator[xr.DataArray] | list[xr.DataArray]) -> None:
        self._last: list[npt.NDArray[np.datetime64]] = []
        self._first: list[npt.NDArray[np.datetime64]] = []
        land: npt.NDArray[np.bool_] | None = None
        for part in parts:
            seen = part.transpose("time", "y", "x").values.astype(bool)
            stamps = part["time"].values.astype("M8[ns]")
            ever = np.asarray(seen.any(axis=0), dtype=bool)
            none = np.datetime64("NaT")
            first, last = seen.argmax(axis=0), len(seen) - 1 - seen[::-1].argmax(axis=0)
            self._first.append(np.where(ever, stamps[first], none))
            self._last.append(np.where(ever, stamps[last], none))
            land = ever if land is None else np.logical_or(land, ever)
        if land is None:
            raise ValueProblem("blocks of days", found="none", expected="one or more")
        self.is_land = land
        for place in range(1, len(self._last)):
            gap = np.isnat(self._last[place])
            self._last[place] = np.where(gap, self._last[place - 1], self._last[place])
        for place in range(len(self._first) - 2, -1, -1):
            gap = np.isnat(self._first[place])
            self._first[place] = np.where(gap, self._first[place + 1], self._first[place])

    def ages(self, place: int, is_seen: xr.DataArray) -> xr.Dataset:
        """Give the ages of gaps in a block, as `vadose.samples.gaps.gap_ages` gives them for the record.

        Parameters
        ----------
        place
            Number of the block.
        is_seen
            Its own days.
        """
        own = gap_ages(is_seen)
        stamps = is_seen["time"].values.astype("M8[ns]")[:, None, None]
        seen = is_seen.transpose("time", "y", "x")
        age, ahead = (own[name].transpose("time", "y", "x").values for name in ("age", "ahead"))
        if place > 0:
            age = np.where(np.isnan(age), (stamps - self._last[place - 1]) / DAY, age)
        if place + 1 < len(self._first):
            ahead = np.where(np.isnan(ahead), (self._first[place + 1] - stamps) / DAY, ahead)
        length = np.where(seen.values, np.nan, age + ahead - 1)
        layers = {
            "age": age,
            "ahead": ahead,
            "nearest": np.fmin(age, ahead),
            "length": length,
        }
        return xr.Dataset({name: seen.copy(data=values) for name, values in layers.items()})
