"""Corrections with few numbers: an offset, a line, a season; each shrunk to nothing where stations differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from vadose.correct.base import Corrector
from vadose.correct.shrinkage import fit_shrunk
from vadose.correct.stations import Floats, Pairs, Points, Times
from vadose.errors import CubeProblem, ValueProblem

#: Days of a year.
YEAR = 365.2425
#: Longest stretch of the year, in days, that a season may be learned without.
LONGEST_GAP = 92


class Additive(Corrector):
    """Add the mean difference between stations and product.

    Every station counts alike, however long its record. The offset is shrunk as far as the stations
    ask for when each is predicted from the others (`vadose.correct.shrinkage.fit_shrunk`).

    Attributes
    ----------
    offset_ : float
        m³ m⁻³.

    Examples
    --------
    >>> from vadose.correct.stations import pairs_of
    >>> from vadose.synthetic import world
    >>> from vadose.validate.pairs import match
    >>> small = world(size=16, days=60, factor=4, seed=0)
    >>> wet = {"product": small.truth["soil_moisture"] + 0.05}
    >>> corrector = Additive().fit(pairs_of(match(wet, small.stations), "product"))
    >>> round(corrector.offset_, 2)
    -0.05
    """

    name: ClassVar[str] = "additive"

    def __init__(self, *, target: str = "soil_moisture") -> None:
        self.target = target

    def _learn(self, pairs: Pairs) -> None:
        residual = pairs.observed - pairs.predicted
        self.offset_ = float(fit_shrunk(np.ones((len(pairs), 1)), residual, pairs.station)[0])

    def _correction(self, points: Points, at_place: Floats | None) -> Floats:
        return np.full(len(points), self.offset_)

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"offset": self.offset_}, {}

    def _take(self, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        self.offset_ = float(state["offset"])


class Linear(Additive):
    """Add an offset and stretch or shrink about the mean.

    Least squares of reading on product, so that the corrected product varies less than the readings
    wherever the two are not fully correlated. The slope is shrunk towards 1, the offset towards 0.

    Attributes
    ----------
    offset_ : float
        At the mean of the product, m³ m⁻³.
    slope_, mean_ : float
        Slope of reading on product, and the mean of the product (m³ m⁻³).
    """

    name: ClassVar[str] = "linear"

    def _learn(self, pairs: Pairs) -> None:
        super()._learn(pairs)
        self.mean_ = float(np.mean(pairs.station_means(pairs.predicted)[1]))
        apart = pairs.predicted - self.mean_
        spread = float(np.sqrt(np.mean(pairs.station_means(apart**2)[1])))
        if spread <= 1e-9 * abs(self.mean_):  # what rounding leaves of a constant product
            self.slope_ = 1.0
            return
        residual = pairs.observed - pairs.predicted - self.offset_
        stretch = fit_shrunk(apart[:, None] / spread, residual, pairs.station)
        self.slope_ = 1.0 + float(stretch[0]) / spread

    def _correction(self, points: Points, at_place: Floats | None) -> Floats:
        return self.offset_ + (self.slope_ - 1.0) * (points.predicted - self.mean_)

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"offset": self.offset_, "slope": self.slope_, "mean": self.mean_}, {}

    def _take(self, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        super()._take(state, arrays)
        self.slope_, self.mean_ = float(state["slope"]), float(state["mean"])


class Seasonal(Additive):
    """Add an offset and harmonics of the year.

    Parameters
    ----------
    harmonics
        Waves of one, one half ... of a year.

    Attributes
    ----------
    offset_ : float
        m³ m⁻³.
    waves_ : numpy.ndarray
        Of sine and cosine of each harmonic, m³ m⁻³.

    Raises
    ------
    ValueProblem
        Pairs that leave out a whole season: nothing is said of it by a wave fitted to the others.
    """

    name: ClassVar[str] = "seasonal"

    def __init__(self, *, harmonics: int = 1, target: str = "soil_moisture") -> None:
        super().__init__(target=target)
        self.harmonics = harmonics

    def _learn(self, pairs: Pairs) -> None:
        if self.harmonics < 1:
            raise ValueProblem("harmonics", found=f"{self.harmonics}", expected="1 or more")
        _check_year(pairs.time)
        super()._learn(pairs)
        waves = _waves(pairs.time, self.harmonics)
        residual = pairs.observed - pairs.predicted - self.offset_
        self.waves_ = fit_shrunk(waves, residual, pairs.station)

    def _correction(self, points: Points, at_place: Floats | None) -> Floats:
        if np.isnat(points.time).any():
            raise CubeProblem(
                "product", found="no time", expected="time, for a seasonal correction"
            )
        correction = np.full(len(points), self.offset_)
        # term by term: a product of matrices differs in the last bit with the number of rows
        for term, size in zip(_waves(points.time, self.harmonics).T, self.waves_, strict=True):
            correction += size * term
        return correction

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"offset": self.offset_}, {"waves": self.waves_}

    def _take(self, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        super()._take(state, arrays)
        self.waves_ = np.asarray(arrays["waves"], "f8")


def _waves(times: Times, harmonics: int) -> Floats:
    """Give sine and cosine of the time of year, dims ``(row, term)``, each of mean square 1."""
    angle = 2 * np.pi * ((times - np.datetime64("2000-01-01")) / np.timedelta64(1, "D")) / YEAR
    terms = [wave(k * angle) for k in range(1, harmonics + 1) for wave in (np.sin, np.cos)]
    return np.asarray(np.sqrt(2.0) * np.stack(terms, axis=1), "f8")


def _check_year(times: Times) -> None:
    days = np.unique(times.astype("M8[D]") - times.astype("M8[Y]").astype("M8[D]")).astype("i8")
    gaps = np.diff([*days, days[0] + 366])
    if gaps.max() > LONGEST_GAP:
        raise ValueProblem(
            "pairs to learn a season from",
            found=f"{int(gaps.max())} days of the year without any",
            expected=f"at most {LONGEST_GAP}",
            remedy="Take a longer record, or the additive correction.",
        )
