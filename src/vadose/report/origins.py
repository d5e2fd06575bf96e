"""Where the values of all dates come from, and whether the model was inside the range that it has learned from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vadose.report.runs import Run
from vadose.report.tables import whole
from vadose.schema import FLAGS

#: Cells that are read at once.
AT_ONCE = 8_000_000
#: Cells that are read in all; of a longer record evenly chosen dates are.
MOST_CELLS = 4_000_000_000


@dataclass(frozen=True)
class Origins:
    """Hold how many values are downscaled or filled, inside the range learned from or beyond.

    Attributes
    ----------
    counts
        By ``(is filled, is extrapolated)``.
    dates, of
        Dates that were read, and all there are.
    """

    counts: dict[tuple[bool, bool], int]
    dates: int
    of: int

    @property
    def values(self) -> int:
        """Count the values."""
        return sum(self.counts.values())

    @property
    def inside_share(self) -> float:
        """Give the share inside the range of all predictors that was learned from."""
        inside = self.counts[False, False] + self.counts[True, False]
        return inside / self.values

    @property
    def inside_words(self) -> str:
        """Give that share as text."""
        return share_words(self.inside_share)

    @property
    def outside_words(self) -> str:
        """Give the rest as text."""
        return share_words(1 - self.inside_share)

    @property
    def counted(self) -> str:
        """Say what was counted."""
        dates = "1 date" if self.of == 1 else f"{whole(self.of)} dates"
        if self.dates < self.of:
            dates = f"{whole(self.dates)} of {dates}"
        return f"{whole(self.values)} values, {dates}"

    @property
    def filled_words(self) -> str:
        """Say how much of what fills gaps is extrapolated, where gaps are filled."""
        filled = self.counts[True, False] + self.counts[True, True]
        if not filled:
            return ""
        share = share_words(self.counts[True, True] / filled)
        return f"; so are {share} of those that fill gaps"

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """Lay the counts out: name, count, share; what does not occur is left out."""
        names = {
            (False, False): "downscaled, inside the range learned from",
            (False, True): "downscaled, extrapolated",
            (True, False): "filled in a gap, inside the range learned from",
            (True, True): "filled in a gap, and extrapolated",
        }
        return [
            (name, whole(self.counts[key]), share_words(self.counts[key] / self.values))
            for key, name in names.items()
            if self.counts[key]
        ]


def share_words(share: float) -> str:
    r"""Write a share so that little is not nothing, and nearly all not all.

    Examples
    --------
    >>> [share_words(share) for share in (0.0, 0.0004, 0.005, 0.3, 0.9996, 1.0)]
    ['0\xa0%', 'less than 0.1\xa0%', '0.5\xa0%', '30.0\xa0%', 'more than 99.9\xa0%', '100\xa0%']
    """
    space = "\N{NO-BREAK SPACE}"
    if 0 < share < 0.0005:
        return f"less than 0.1{space}%"
    if 0.9995 < share < 1:
        return f"more than 99.9{space}%"
    return f"{100 * share:.0f}{space}%" if share in (0, 1) else f"{100 * share:.1f}{space}%"


def count_origins(run: Run) -> Origins | None:
    """Count the origins of all values of all dates; None where the product does not tell of them.

    A value that fills a gap may be extrapolated too, which ``origin`` alone does not say: ``flags`` does.
    """
    product, target = run.product, run.manifest.target
    if "flags" not in product:
        return None
    flags, field = product["flags"], product[target]
    if "time" not in flags.dims:
        flags, field = flags.expand_dims("time"), field.expand_dims("time")
    dates = flags.sizes["time"]
    cells = max(flags.size // dates, 1)
    chosen = np.unique(
        np.linspace(0, dates - 1, min(dates, max(MOST_CELLS // cells, 1))).astype(int)
    )
    counts = dict.fromkeys([(False, False), (False, True), (True, False), (True, True)], 0)
    together = max(AT_ONCE // cells, 1)
    for start in range(0, len(chosen), together):
        part = chosen[start : start + together]
        bits, known = flags.isel(time=part).values, np.isfinite(field.isel(time=part).values)
        is_filled = (bits & FLAGS.mask("coarse_gap")) != 0
        is_beyond = (bits & FLAGS.mask("extrapolated")) != 0
        for key in counts:
            counts[key] += int((known & (is_filled == key[0]) & (is_beyond == key[1])).sum())
    if not sum(counts.values()):
        return None
    return Origins(counts, len(chosen), dates)
