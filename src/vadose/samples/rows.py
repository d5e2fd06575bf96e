"""Rows: every cell and step with complete features is a sample of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vadose.samples.base import Samples
from vadose.samples.sampler import Sampler, spans
from vadose.samples.source import Block, Box


@dataclass(frozen=True)
class Rows(Sampler):
    """Take a table of complete rows from a cube, ordered by time, y, x.

    A row has all features and, where there are targets, all of these: a table that is learned from has
    no gaps. Without targets there is a row wherever a prediction can be made.

    Parameters
    ----------
    features
        Variables of the cubes.
    with_position
        Whether longitude and latitude are features too.

    Examples
    --------
    >>> import vadose.synthetic
    >>> cube = vadose.synthetic.world(size=16, days=8, factor=4).predictors
    >>> rows = Rows(["ndvi", "sand"])
    >>> rows.feature_names
    ('ndvi', 'sand', 'longitude', 'latitude')
    >>> rows.take(cube).X.shape
    (2048, 4)
    """

    kind: ClassVar[str] = "rows"

    def _pieces(self, shape: tuple[int, int, int], places: int) -> Iterator[Box]:
        steps, rows, columns = shape
        together = max(1, places // (rows * columns))
        high = rows if together > 1 else max(1, places // columns)
        for time in spans(steps, together):
            for band in spans(rows, high):
                yield time, band, slice(0, columns)

    def _arrange(self, block: Block) -> Samples:
        is_row = block.is_complete & block.is_chosen
        target = block.y
        if target is not None:
            is_row &= np.isfinite(target).all(axis=-1)
            target = target[is_row]
            if len(block.source.targets) == 1:
                target = target[..., 0]
        return Samples(
            X=block.rows(is_row),
            y=target,
            groups=None if block.groups is None else block.groups[is_row],
            weight=None if block.weight is None else block.weight[is_row],
            # the pieces of rows are stretches of the flattened cube, without a break
            index=np.flatnonzero(is_row) + block.first,
            frame=block.source.frame,
            feature_names=self.feature_names,
            target_names=block.source.targets,
        )
