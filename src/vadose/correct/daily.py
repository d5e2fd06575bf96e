"""Kriging day by day: what stations differ by on a day goes to the map of that day.

References
----------
Dubrule (1983), Math. Geol. 15:687 (leaving out one station after the other, all at once). Vachaud et al. (1985),
Soil Sci. Soc. Am. J. 49:822 (what a place always differs by).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from vadose.correct.base import Corrector
from vadose.correct.kriging import apart, distances, places_of
from vadose.correct.stations import Floats, Integers, Pairs, Points
from vadose.errors import ValueProblem

#: Ranges that are compared, in median distances between stations, and nuggets, in variances of the process.
TRIED_RANGES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
#: The last is as good as no field at all beside the mean of the day.
TRIED_NUGGETS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
ALL_NUGGET = 1e6


class DailyKriging(Corrector):
    """Spread the differences that stations have on a day over the map of that day.

    It corrects the days that stations were read on, and leaves others as they are. Range and nugget are
    those with which stations are best told from the others, every one left out in turn; where no choice
    helps them, nothing is corrected but the mean, if there is one.

    Parameters
    ----------
    with_mean
        Whether what the stations of a day have in common is corrected everywhere (ordinary kriging): right
        where all of them lie in a few coarse cells, or enter the product themselves. Without, the correction
        is 0 far from stations (simple kriging).

    Attributes
    ----------
    range_ : float
        Distance over which the covariance falls to 1/e, km.
    nugget_ : float
        In variances of the field; infinite where nothing is corrected.
    """

    name: ClassVar[str] = "daily_kriging"

    def __init__(self, *, with_mean: bool = False, target: str = "soil_moisture") -> None:
        self.with_mean, self.target = with_mean, target

    def _learn(self, pairs: Pairs) -> None:
        numbers, column = np.unique(pairs.station, return_inverse=True)
        self.times_, row = np.unique(pairs.time, return_inverse=True)
        if np.isnat(self.times_).any():
            raise ValueProblem(
                f"pairs to learn the {self.name} correction from",
                found="no time",
                expected="times",
                remedy="Take the kriging correction.",
            )
        residual = np.full((len(self.times_), len(numbers)), np.nan)
        residual[row, column] = pairs.observed - pairs.predicted
        self.places_ = places_of(pairs.stations, numbers)
        distance = apart(self.places_)
        middle = float(np.median(distance[np.triu_indices(len(distance), 1)])) or 1.0
        patterns = list(_patterns(residual, least=1 + self.with_mean))
        # with a mean, the least is that mean alone, which is the last of the nuggets
        best = (np.inf if self.with_mean else float(np.nansum(residual**2)), middle, np.inf)
        for part in TRIED_RANGES:
            near = np.exp(-distance / (part * middle))
            for nugget in (*TRIED_NUGGETS, ALL_NUGGET) if self.with_mean else TRIED_NUGGETS:
                error = sum(self._left_out_error(one, near, nugget) for one in patterns)
                if error < best[0]:
                    best = (error, part * middle, nugget)
        _, self.range_, self.nugget_ = best
        self.weights_, self.means_ = np.zeros_like(residual), np.zeros(len(residual))
        if np.isfinite(self.nugget_):
            near = np.exp(-distance / self.range_)
            for one in patterns:
                here = residual[np.ix_(one.rows, one.own)]
                inverse, share = self._inverse(one, near, self.nugget_)
                self.weights_[np.ix_(one.rows, one.own)] = here @ inverse
                self.means_[one.rows] = here @ share
        self.notes_.append(
            f"range {self.range_:.3g} km, nugget {self.nugget_:g} times the variance of the field; made "
            "with the readings of the same days"
        )

    def _inverse(self, pattern: _Pattern, near: Floats, nugget: float) -> tuple[Floats, Floats]:
        """Give what turns differences to weights, and to their mean.

        With a mean, what turns them to weights takes it off (Dubrule 1983): a constant has no weight.
        """
        own = pattern.own
        inverse = np.linalg.inv(near[np.ix_(own, own)] + nugget * np.eye(own.size))
        share = np.zeros(own.size)
        if self.with_mean:
            sums = inverse.sum(axis=0)
            share = sums / sums.sum()
            inverse = inverse - np.outer(share, sums)
        return np.asarray(inverse, "f8"), share

    def _left_out_error(self, pattern: _Pattern, near: Floats, nugget: float) -> float:
        """Sum the squares of what is left at each station when the others of the day are spread to it."""
        inverse, _ = self._inverse(pattern, near, nugget)
        left = inverse / np.diag(inverse)
        return float(((pattern.squares @ left) * left).sum())

    def _correction(self, points: Points, at_place: Floats | None) -> Floats:
        correction = np.zeros(len(points))
        if not len(self.times_):
            return correction
        step = np.searchsorted(self.times_, points.time).clip(max=len(self.times_) - 1)
        known = np.flatnonzero(self.times_[step] == points.time)
        step = step[known]
        total = self.means_[step]
        away = distances(points.longitude[known], points.latitude[known], self.places_)
        for number, distance in enumerate(away):
            total += self.weights_[step, number] * np.exp(-distance / self.range_)
        correction[known] = total
        return correction

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        nugget = self.nugget_ if np.isfinite(self.nugget_) else None
        arrays = {
            "places": self.places_,
            "weights": self.weights_,
            "means": self.means_,
            "times": self.times_.astype("M8[ns]").astype("i8"),
        }
        return {"range": self.range_, "nugget": nugget}, arrays

    def _take(self, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        self.range_ = float(state["range"])
        self.nugget_ = np.inf if state["nugget"] is None else float(state["nugget"])
        self.places_, self.weights_, self.means_ = (
            np.asarray(arrays[name], "f8") for name in ("places", "weights", "means")
        )
        self.times_ = np.asarray(arrays["times"], "i8").astype("M8[ns]")


class DepartureKriging(DailyKriging):
    """Spread what stations have on a day beyond what they always differ by.

    What a station always differs by is larger than what it has on a day, and mostly its own: it hides how
    far the departures of a day reach. So it is taken off first, and is left to correctors before this one in
    a `Chain`, such as `Regression` on the terrain.

    Parameters
    ----------
    with_mean
        As for `DailyKriging`.

    References
    ----------
    Vachaud et al. (1985), Soil Sci. Soc. Am. J. 49:822 (temporal stability of places).
    """

    name: ClassVar[str] = "departure_kriging"

    def _learn(self, pairs: Pairs) -> None:
        numbers, means = pairs.station_means(pairs.observed - pairs.predicted)
        always = means[np.searchsorted(numbers, pairs.station)]
        super()._learn(replace(pairs, observed=pairs.observed - always))


@dataclass(frozen=True, eq=False)
class _Pattern:
    """Hold the steps at which the same stations were read, those, and the products of their differences."""

    rows: Integers
    own: Integers
    squares: Floats


def _patterns(residual: Floats, least: int) -> Iterator[_Pattern]:
    """Give every pattern of gaps with so many stations at least."""
    patterns, number = np.unique(np.isfinite(residual), axis=0, return_inverse=True)
    for place, pattern in enumerate(patterns):
        own = np.flatnonzero(pattern)
        if own.size < least:
            continue
        rows = np.flatnonzero(number.ravel() == place)
        here = residual[np.ix_(rows, own)]
        yield _Pattern(rows.astype("i8"), own.astype("i8"), np.asarray(here.T @ here, "f8"))
