"""Whether a correction helps where it has not learned: errors before and after, and how sure the difference is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.stats
import xarray as xr

from vadose.correct.held_out import HeldOut, rmse
from vadose.correct.stations import REPRESENTATIVENESS, Floats, Integers, Pairs
from vadose.errors import ValueProblem
from vadose.uncertainty.intervals import difference_interval

#: Steps of a calendar for each reading on it, beyond which there is no calendar.
SPARSEST = 50


@dataclass(frozen=True)
class Verdict:
    """Say whether to correct.

    Attributes
    ----------
    helps
        The whole interval of the difference is below 0.
    text
        A sentence for the report.
    """

    helps: bool
    text: str


@dataclass(frozen=True)
class Comparison:
    """Hold errors before and after correction, on the same rows.

    Attributes
    ----------
    before, after
        Root mean square errors, m³ m⁻³.
    lower, upper
        Interval of after minus before; below 0 where correction helps. NaN with fewer than two blocks.
    n, blocks
        Rows, and what was drawn as a whole.
    level
        Of the interval.
    """

    before: float
    after: float
    lower: float
    upper: float
    n: int
    blocks: int
    level: float

    @property
    def verdict(self) -> Verdict:
        """Say whether to correct."""
        return decision(self.before, self.after, (self.lower, self.upper))


def compare(
    held: HeldOut,
    *,
    rng: np.random.Generator | int,
    draws: int = 2000,
    level: float = 0.95,
    against: Floats | None = None,
) -> Comparison:
    """Compare errors before and after, with an interval from blocks drawn anew for both together.

    Parameters
    ----------
    held
        What `vadose.correct.correct_held_out` gives.
    rng
        Generator or seed.
    draws
        How often blocks are drawn.
    level
        Share of cases that the interval is to cover.
    against
        Other values of the same rows to compare with, m³ m⁻³; the product before correction unless given.

    Raises
    ------
    ValueProblem
        No draws, a level outside 0 to 1, or other rows.

    Notes
    -----
    Percentiles of the bootstrap over blocks, taken further out as Student's t is wider than the normal
    distribution: few blocks vary less among themselves than those they stand for.

    References
    ----------
    Hesterberg (2015), Am. Stat. 69:371 (expanded percentiles).
    """
    if draws < 1 or not 0 < level < 1:
        raise ValueProblem(
            "bootstrap",
            found=f"{draws} draws, level {level:g}",
            expected="1 draw or more, and a level between 0 and 1",
        )
    observed = held.pairs.observed
    base = held.pairs.predicted if against is None else against
    if base.shape != observed.shape or not np.isfinite(base).all():
        raise ValueProblem(
            "values to compare with",
            found=f"shape {base.shape}, {int(np.isnan(base).sum())} gaps",
            expected=f"one value for each of {observed.size} rows",
        )
    numbers, place = np.unique(held.block, return_inverse=True)
    sums = np.stack(
        [
            np.bincount(place, weight)
            for weight in (
                (base - observed) ** 2,
                (held.corrected - observed) ** 2,
                np.ones_like(base),
            )
        ]
    )
    lower = upper = float("nan")
    count = len(numbers)
    if count > 1:
        drawn = np.random.default_rng(rng).multinomial(count, np.full(count, 1 / count), size=draws)
        totals = sums @ drawn.T
        difference = np.sqrt(totals[1] / totals[2]) - np.sqrt(totals[0] / totals[2])
        wide = np.sqrt(count / (count - 1)) * scipy.stats.t.ppf((1 + level) / 2, count - 1)
        tail = scipy.stats.norm.sf(wide)
        lower, upper = (float(one) for one in np.quantile(difference, [tail, 1 - tail]))
    return Comparison(
        rmse(base, observed),
        rmse(held.corrected, observed),
        lower,
        upper,
        observed.size,
        count,
        level,
    )


def decision(before: float, after: float, interval: tuple[float, float]) -> Verdict:
    """Say whether a correction helps at stations that it has not seen.

    Parameters
    ----------
    before, after
        Root mean square errors, m³ m⁻³.
    interval
        Of after minus before.

    Examples
    --------
    >>> decision(0.060, 0.052, (-0.012, -0.003)).text
    'Correction helps at stations it has not seen: RMSE .0600 before, .0520 after (-.0120 to -.0030).'
    >>> decision(0.060, 0.058, (-0.006, 0.002)).helps
    False
    """
    low, high = interval
    told = f"RMSE {_short(before)} before, {_short(after)} after ({_short(low)} to {_short(high)})."
    if high < 0:
        text = f"Correction helps at stations it has not seen: {told}"
        if before - after < REPRESENTATIVENESS / 10:
            text += (
                " The gain is small beside what a point differs from its square kilometre by, about "
                f"{_short(REPRESENTATIVENESS)}."
            )
        return Verdict(True, text)
    if low > 0:
        return Verdict(
            False, f"Correction does harm at stations it has not seen: {told} Leave it out."
        )
    return Verdict(
        False, f"Correction is not shown to help at stations it has not seen: {told} Leave it out."
    )


def by_station(
    held: HeldOut, *, rng: np.random.Generator | int, level: float = 0.95, draws: int = 500
) -> xr.Dataset:
    """Give errors before and after at each station, with intervals from its own days.

    Parameters
    ----------
    held
        What `vadose.correct.correct_held_out` gives, at regular steps with gaps.
    rng, level, draws
        As for `vadose.uncertainty.intervals.difference_interval`.

    Returns
    -------
    xarray.Dataset
        By ``station``: ``n``, ``before``, ``after`` (RMSE, m³ m⁻³), ``lower`` and ``upper`` of after minus
        before, NaN with fewer than ten days, and ``is_too_short`` where they cannot be trusted.

    Raises
    ------
    ValueProblem
        Times that are on no regular calendar.
    """
    numbers, place = np.unique(held.pairs.station, return_inverse=True)
    steps, step = _calendar(held.pairs)
    laid = np.full((3, len(numbers), steps), np.nan)
    for row, values in enumerate((held.corrected, held.pairs.predicted, held.pairs.observed)):
        laid[row, place, step] = values
    after, before, observed = laid
    found = difference_interval(
        after,
        before,
        observed,
        metric="rmse",
        level=level,
        rng=np.random.default_rng(rng),
        draws=draws,
    )
    n = np.bincount(place)
    errors = {
        name: np.sqrt(np.bincount(place, (values - held.pairs.observed) ** 2) / n)
        for name, values in (("before", held.pairs.predicted), ("after", held.corrected))
    }
    columns = {
        "n": n,
        **errors,
        "lower": found.lower,
        "upper": found.upper,
        "is_too_short": found.is_too_short,
    }
    return xr.Dataset(
        {name: ("station", column) for name, column in columns.items()},
        coords=held.pairs.stations.isel(station=numbers).coords,
        attrs={"folds": held.title, "level": level},
    )


def _calendar(pairs: Pairs) -> tuple[int, Integers]:
    """Find the regular calendar of all times: its length, and the step of each row."""
    since = (pairs.time - pairs.time.min()).astype("m8[s]").astype("i8")
    apart = np.diff(np.unique(since))
    step = int(np.gcd.reduce(apart)) if apart.size else 1
    length = int(since.max()) // step + 1
    is_twice = np.unique(np.stack([pairs.station, since]), axis=1).shape[1] < since.size
    if length > SPARSEST * (apart.size + 1) or is_twice:
        raise ValueProblem(
            "times of the pairs",
            found="a station that has a time twice" if is_twice else f"steps of {step} s",
            expected="a regular calendar, of which steps may be missing",
        )
    return length, since // step


def _short(number: float) -> str:
    """Write an error without the zero in front, as tables of this field do."""
    return f"{number:.4f}".replace("0.", ".", 1)
