"""A line of the satellite on the model in every cell, drawn towards its neighbours' where it knows little."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from scipy import ndimage

from vadose.errors import ValueProblem
from vadose.fuse.gapfill.records import Floats, Record, smooth

#: Window of the neighbours towards which a cell's line is drawn, standard deviation in cells.
NEIGHBOURS = 6.0
#: Weight of the whole record where no neighbour knows anything, in pairs.
FAR = 0.01
#: Share of the range observed around a cell by which its line may go beyond it.
BEYOND = 0.1


@dataclass(frozen=True, eq=False)
class Lines:
    """Hold one line a cell: ``level + slope (modelled - middle)``.

    Attributes
    ----------
    level, middle, slope
        Dims ``y, x``; NaN where the model has no value on any day.
    spread
        Standard deviation of what the line leaves, drawn to the neighbours' likewise, m³ m⁻³.
    lowest, highest
        Between which the line gives values: what was observed around, and `BEYOND` of its range.
    """

    level: Floats
    middle: Floats
    slope: Floats
    spread: Floats
    lowest: Floats
    highest: Floats

    def apply(self, modelled: Floats) -> Floats:
        """Turn the model's values into the satellite's.

        A cell that was observed on wet days alone has a line that nothing holds on dry ones.
        """
        line = self.level + self.slope * (modelled - self.middle)
        return np.clip(line, self.lowest, self.highest)

    def part(self, rows: slice) -> Self:
        """Take some rows of the grid."""
        layers = (getattr(self, one.name)[rows] for one in fields(self))
        return type(self)(*layers)


def fit_lines(record: Record, *, pull: float = 3.0) -> Lines:
    """Fit a line in every cell.

    Parameters
    ----------
    record
        Pairs; a cell may have none.
    pull
        Weight of the neighbours in pairs: a cell with as many pairs of its own, of days like all days, stands
        half way between its own line and theirs, in level as in slope.

    Returns
    -------
    Lines
        An empirical Bayes estimate with a prior that moves in space.

    Raises
    ------
    ValueProblem
        Fewer than three pairs in the whole record.

    References
    ----------
    Efron and Morris (1973), J. Am. Stat. Assoc. 68:117.

    Examples
    --------
    >>> modelled = np.random.default_rng(0).random((40, 3, 3))
    >>> lines = fit_lines(Record(0.1 + 0.5 * modelled, modelled, np.arange(40.0)))
    >>> lines.slope[0, 0].round(3), np.allclose(lines.apply(modelled), 0.1 + 0.5 * modelled)
    (np.float64(0.5), True)
    """
    is_pair = np.isfinite(record.observed) & np.isfinite(record.modelled)
    count = is_pair.sum(axis=0).astype("f8")
    if count.sum() < 3:
        raise ValueProblem(
            "satellite and land model",
            found=f"{int(count.sum())} pairs of values",
            expected="3 or more",
        )
    least = np.maximum(count, 1)
    seen = np.where(is_pair, record.observed, 0.0)
    told = np.where(is_pair, record.modelled, 0.0)
    seen_mean, told_mean = seen.sum(axis=0) / least, told.sum(axis=0) / least
    seen_part = np.where(is_pair, seen - seen_mean, 0.0)
    told_part = np.where(is_pair, told - told_mean, 0.0)
    product, square = (seen_part * told_part).sum(axis=0), (told_part**2).sum(axis=0)
    whole_slope = product.sum() / square.sum() if square.sum() > 0 else 0.0
    per_pair = square.sum() / count.sum()
    near_slope = (smooth(product, NEIGHBOURS) + FAR * per_pair * whole_slope) / np.maximum(
        smooth(square, NEIGHBOURS) + FAR * per_pair, 1e-12
    )
    # the level is compared after the model's part is taken away, so that a wet neighbour makes no bias
    offset = seen_mean - near_slope * told_mean
    whole_offset = (count * offset).sum() / count.sum()
    near_offset = (smooth(count * offset, NEIGHBOURS) + FAR * whole_offset) / (
        smooth(count, NEIGHBOURS) + FAR
    )
    has_model = np.isfinite(record.modelled)
    middle = np.where(has_model, record.modelled, 0.0).sum(axis=0) / np.maximum(
        has_model.sum(axis=0), 1
    )
    # both at once, about what the model says on the usual day: what a cell is on the few days on which it was
    # observed tells of its level only as far as these days are usual
    prior = near_offset + near_slope * middle
    apart = np.where(is_pair, told - middle, 0.0)
    beyond = np.where(is_pair, seen - prior - near_slope * apart, 0.0)
    first, second = apart.sum(axis=0), (apart**2).sum(axis=0)
    at_level, at_slope = count + pull, second + pull * max(per_pair, 1e-9)
    sums = beyond.sum(axis=0), (beyond * apart).sum(axis=0)
    whole = np.maximum(at_level * at_slope - first**2, 1e-18)
    level = prior + (at_slope * sums[0] - first * sums[1]) / whole
    slope = near_slope + (at_level * sums[1] - first * sums[0]) / whole
    rest = np.where(is_pair, seen - (level + slope * (told - middle)), 0.0)
    squares = (rest**2).sum(axis=0)
    near_squares = (smooth(squares, NEIGHBOURS) + FAR * squares.sum() / count.sum()) / (
        smooth(count, NEIGHBOURS) + FAR
    )
    spread = np.sqrt((squares + 5 * near_squares) / (count + 5))
    is_land = has_model.any(axis=0)
    layers = (level, middle, slope, np.maximum(spread, 1e-4), *_range_around(record.observed))
    return Lines(*(np.where(is_land, one, np.nan) for one in layers))


def _range_around(observed: Floats) -> tuple[Floats, Floats]:
    """Give the range of what was observed in and around each cell, wider by `BEYOND` of it."""
    is_seen = np.isfinite(observed)
    across = 2 * int(NEIGHBOURS) + 1
    low = np.where(is_seen, observed, np.inf).min(axis=0)
    high = np.where(is_seen, observed, -np.inf).max(axis=0)
    low, high = ndimage.minimum_filter(low, across), ndimage.maximum_filter(high, across)
    # nothing seen anywhere near: the range of the whole record
    low = np.where(np.isfinite(low), low, low[np.isfinite(low)].min())
    high = np.where(np.isfinite(high), high, high[np.isfinite(high)].max())
    margin = BEYOND * (high - low)
    return low - margin, high + margin
