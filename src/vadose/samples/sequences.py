"""Sequences: the record of a cell, or windows of it, is a sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt

from vadose.errors import CubeProblem, UnknownName, ValueProblem
from vadose.samples.base import NOWHERE, Samples, Table
from vadose.samples.sampler import Sampler, spans, starts
from vadose.samples.source import Block, Box

#: What to do with gaps in features.
Gaps = Literal["drop", "hold"]


@dataclass(frozen=True)
class Sequences(Sampler):
    """Take windows of consecutive steps from each cell of a cube.

    Windows follow each other with `overlap` steps in common. The last one is moved back to the end of
    the record, so that no step is left out. A step that lies in several windows is put back from the one
    in which it has the longest past. The order is that of the cells (y, x), then of the windows.

    Parameters
    ----------
    features
        Variables of the cubes.
    with_position
        Whether longitude and latitude are features too.
    length
        Steps in a window; None for the whole record. A cube without time has one step.
    overlap
        Steps that windows have in common with the one before; fewer than `length`.
    gaps
        ``drop``: a window with a gap in a feature is left out. ``hold``: the last value known in the
        record is carried on, at its beginning the first one back; where this was done ``y`` is NaN and
        nothing is put back, so that nothing is invented. A cell with a feature that is never known is
        left out in both.

    Raises
    ------
    ValueProblem
        A length or overlap that makes no windows.
    UnknownName
        Another way with gaps.

    Examples
    --------
    >>> import vadose.synthetic
    >>> cube = vadose.synthetic.world(size=16, days=8, factor=4).predictors
    >>> Sequences(["ndvi", "sand"], length=3, overlap=1).take(cube).X.shape  # of 256 cells
    (1024, 3, 4)
    """

    kind: ClassVar[str] = "sequences"
    length: int | None = None
    overlap: int = 0
    gaps: Gaps = "drop"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gaps not in get_args(Gaps):
            raise UnknownName("gaps", self.gaps, get_args(Gaps))
        if self.length is not None and self.length < 1:
            raise ValueProblem("length", found=f"{self.length} steps", expected="1 or more")
        if not 0 <= self.overlap < (self.length or 1):
            raise ValueProblem(
                "overlap",
                found=f"{self.overlap} steps, with windows of {self.length or 'the whole record'}",
                expected="0 or more, and fewer than the length",
            )

    def _windows(self, steps: int) -> npt.NDArray[np.int64]:
        """Give the steps of each window, dims ``(window, time)``."""
        length = self.length or steps
        if steps < length:
            raise CubeProblem(
                "cube",
                found=f"{steps} steps",
                expected=f"{length} or more, the length of a sequence",
                remedy="Take shorter sequences or a longer record.",
            )
        first = np.array(starts(steps, length, self.overlap), dtype=np.int64)
        return first[:, None] + np.arange(length)

    def _pieces(self, shape: tuple[int, int, int], places: int) -> Iterator[Box]:
        steps, rows, columns = shape
        cells = max(1, places // self._windows(steps).size)
        high, wide = max(1, cells // columns), min(cells, columns)
        for band in spans(rows, high):
            for part in spans(columns, wide):
                yield slice(0, steps), band, part

    def _arrange(self, block: Block) -> Samples:
        steps = len(block.X)
        windows = self._windows(steps)
        table = block.X.reshape(steps, -1, block.X.shape[-1])
        is_known = block.is_complete.reshape(steps, -1)
        is_chosen = block.is_chosen.reshape(steps, -1)
        if self.gaps == "hold":
            table, is_whole = _held(table)
            is_kept = np.broadcast_to(is_whole, (len(windows), is_whole.size)).copy()
        else:
            is_kept = np.asarray(is_known[windows].all(axis=1))
        is_kept &= is_chosen[windows].any(axis=1)
        cells, members = np.nonzero(is_kept.T)
        at = windows[members], cells[:, None]  # the places of all samples, dims (sample, time)
        is_given = (is_known & is_chosen)[at]
        target = block.y
        if target is not None:
            target = target.reshape(steps, -1, target.shape[-1])[at]
            target[~is_given] = np.nan
            if len(block.source.targets) == 1:
                target = target[..., 0]
        is_own = _owners(windows, is_kept, steps)[at] == members[:, None]
        index = block.index.reshape(steps, -1)[at]
        return Samples(
            X=table[at],
            y=target,
            groups=None if block.groups is None else block.groups.reshape(steps, -1)[at],
            weight=None if block.weight is None else block.weight.reshape(steps, -1)[at],
            index=np.where(is_given & is_own, index, NOWHERE),
            frame=block.source.frame,
            feature_names=self.feature_names,
            target_names=block.source.targets,
        )


def _owners(
    windows: npt.NDArray[np.int64], is_kept: npt.NDArray[np.bool_], steps: int
) -> npt.NDArray[np.int32]:
    """Give the number of the first kept window of each step, dims ``(time, cell)``: its longest past."""
    owner = np.full((steps, is_kept.shape[1]), NOWHERE, dtype=np.int32)
    for number in reversed(range(len(windows))):
        span = slice(int(windows[number, 0]), int(windows[number, -1]) + 1)
        owner[span, is_kept[number]] = number
    return owner


def _held(table: Table) -> tuple[Table, npt.NDArray[np.bool_]]:
    """Carry known values on through gaps, the first one back; tell which cells know each feature once.

    The dims of `table` are ``(time, cell, feature)``.
    """
    is_known = np.isfinite(table)
    if is_known.all():
        return table, np.ones(table.shape[1], dtype=bool)
    step = np.arange(len(table), dtype=np.int32)[:, None, None]
    last = np.maximum.accumulate(np.where(is_known, step, np.int32(NOWHERE)), axis=0)
    first = is_known.argmax(axis=0).astype(np.int32)
    held = np.take_along_axis(table, np.where(last < 0, first, last), axis=0)
    return held, np.asarray(is_known.any(axis=0).all(axis=-1))
