"""Whether a model responds to the same things at another scale: tested, not assumed.

Downscaling applies what was learned between coarse cells inside of them. That a predictor matters as much
there is an assumption; here it is put to a test of equivalence, so that "cannot be told" is an answer too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from vadose.errors import ValueProblem
from vadose.validate.blocks import interval
from vadose.validate.sensitivity import Sensitivity

#: Change of a total index, a share of the variance of the predictions, that is taken for none.
TOLERANCE = 0.1

Answer = Literal["holds", "does not hold", "cannot be told"]


@dataclass(frozen=True)
class Change:
    """Say how much more a model responds to a group at another scale.

    Attributes
    ----------
    group
        Its name.
    before, after
        Total index at the scale of learning and at the other.
    lower, upper
        95 % interval over blocks of ``after − before``; NaN where none can be told.
    answer
        ``holds`` where the whole interval lies within the tolerance, ``does not hold`` where all of it
        lies outside, else ``cannot be told``.
    """

    group: str
    before: float
    after: float
    lower: float
    upper: float
    answer: Answer

    @property
    def difference(self) -> float:
        """Give the change of the total index."""
        return self.after - self.before


@dataclass(frozen=True)
class Comparison:
    """Hold the changes of all groups between two scales.

    Attributes
    ----------
    rank_correlation
        Spearman's ρ of the total indices; NaN with fewer than three groups.
    changes
        One per group.
    largest
        The change of the largest size.
    """

    rank_correlation: float
    changes: tuple[Change, ...]
    largest: Change


def compare_scales(
    before: Sensitivity, after: Sensitivity, *, tolerance: float = TOLERANCE
) -> Comparison:
    """Compare what a model responds to at two scales, from the same draws of blocks.

    Parameters
    ----------
    before, after
        At the scale of learning and at another; groups and draws have to be the same.
    tolerance
        Change of a total index that is taken for none.

    Raises
    ------
    ValueProblem
        Other groups, or another number of draws.

    References
    ----------
    Two one-sided tests of equivalence: Schuirmann (1987), J. Pharmacokinet. Biopharm. 15:657.
    """
    if before.groups != after.groups or before.total_draws.shape != after.total_draws.shape:
        raise ValueProblem(
            "scales",
            found=f"groups {', '.join(after.groups)} with {len(after.total_draws)} draws",
            expected=f"{', '.join(before.groups)} with {len(before.total_draws)}, as before",
        )
    low, high = interval(after.total_draws - before.total_draws)
    changes = tuple(
        Change(
            name,
            float(before.total[row]),
            float(after.total[row]),
            float(low[row]),
            float(high[row]),
            _answer(float(low[row]), float(high[row]), tolerance),
        )
        for row, name in enumerate(before.groups)
    )
    return Comparison(
        rank_correlation(before.total, after.total),
        changes,
        max(changes, key=lambda change: abs(change.difference)),
    )


def _answer(low: float, high: float, tolerance: float) -> Answer:
    if -tolerance <= low and high <= tolerance:
        return "holds"
    if low > tolerance or high < -tolerance:
        return "does not hold"
    return "cannot be told"


def rank_correlation(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> float:
    """Give Spearman's ρ; NaN with fewer than three values or where one side is constant.

    Examples
    --------
    >>> rank_correlation(np.array([0.1, 0.5, 0.4]), np.array([1.0, 7.0, 3.0]))
    1.0
    """
    one, other = rankdata(first), rankdata(second)
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if len(one) > 2 and size > 0 else float("nan")


def verdict(comparison: Comparison, *, learned: str, used: str) -> str:
    """Say in words whether the relation holds across scales.

    Parameters
    ----------
    comparison
        What `compare_scales` gave.
    learned, used
        The two scales in words.

    Examples
    --------
    >>> change = Change("sand", 0.10, 0.32, 0.15, 0.30, "does not hold")
    >>> verdict(Comparison(float("nan"), (change,), change), learned="1°", used="0.25°")
    'From 1° to 0.25° the relation does not hold for sand (share of the variance .10 → .32).'
    """
    parts = []
    for answer, words in (
        ("holds", "holds for {}"),
        ("does not hold", "does not hold for {}"),
        ("cannot be told", "cannot be told for {}: the interval is too wide"),
    ):
        found = [change for change in comparison.changes if change.answer == answer]
        if found:
            detailed = answer != "holds"
            parts.append(words.format(", ".join(_told(one, detailed) for one in found)))
    return f"From {learned} to {used} the relation {'; '.join(parts)}."


def _told(change: Change, detailed: bool) -> str:
    name = change.group.replace("_", " ")
    if not detailed:
        return name
    before, after = (f"{value:.2f}".removeprefix("0") for value in (change.before, change.after))
    return f"{name} (share of the variance {before} → {after})"


def share_outside(
    learned: npt.NDArray[np.floating], X: npt.NDArray[np.floating], names: Sequence[str]
) -> dict[str, float]:
    """Give for each feature the share of places beyond the range seen in learning.

    Parameters
    ----------
    learned
        Samples learned from, dims ``(sample, ..., feature)``.
    X
        Samples at another scale.
    names
        One per feature.

    Examples
    --------
    >>> share_outside(np.array([[0.0], [1.0]]), np.array([[0.5], [2.0]]), ["sand"])
    {'sand': 0.5}
    """
    table = learned.reshape(-1, learned.shape[-1])
    places = X.reshape(-1, X.shape[-1])
    if table.shape[1] != len(names) or places.shape[1] != len(names):
        raise ValueProblem(
            "features",
            found=f"{table.shape[1]} and {places.shape[1]}",
            expected=f"{len(names)}, one per name",
        )
    outside = (places < table.min(axis=0)) | (places > table.max(axis=0))
    return dict(zip(names, outside.mean(axis=0).tolist(), strict=True))
