"""What stations differ by as a plain function of place, elevation and the like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from vadose.correct.base import Corrector
from vadose.correct.shrinkage import fit_shrunk
from vadose.correct.stations import Floats, Pairs, Points
from vadose.errors import ValueProblem

#: How far beyond the stations terms go on, in standard deviations over the stations.
BEYOND = 1.0


class Regression(Corrector):
    """Explain the mean differences of stations by place and predictors, by a polynomial of low order.

    Terms are in standard deviations over the stations, and are held where they go beyond what the stations
    span by more than one, so that nothing runs away on a mountain without a station. Offset and terms are
    shrunk as far as stations that are left out ask for.

    Parameters
    ----------
    predictors
        Such as ``elevation``; those that change in time count with their value of the day.
    with_position
        Whether longitude and latitude are terms.
    degree
        1, or 2 for squares and products too.

    Attributes
    ----------
    coefficients_ : numpy.ndarray
        Of the terms, m³ m⁻³ for one standard deviation.
    offset_ : float
        m³ m⁻³.
    """

    name: ClassVar[str] = "regression"

    def __init__(
        self,
        predictors: Sequence[str] = (),
        *,
        with_position: bool = True,
        degree: int = 1,
        target: str = "soil_moisture",
    ) -> None:
        self.predictors, self.target = tuple(predictors), target
        self.with_position, self.degree = with_position, degree

    def _learn(self, pairs: Pairs) -> None:
        if self.degree not in (1, 2) or not (self.with_position or self.predictors):
            raise ValueProblem(
                "regression",
                found=f"degree {self.degree}, {len(self.predictors)} predictors",
                expected="degree 1 or 2, of position or one predictor at least",
            )
        own = self._own(pairs)
        means = np.stack([pairs.station_means(column)[1] for column in own.T], axis=1)
        sizes = means.std(axis=0)
        self.centre_, self.size_ = means.mean(axis=0), np.where(sizes > 0, sizes, 1.0)
        scaled = (means - self.centre_) / self.size_
        self.ends_ = np.stack([scaled.min(axis=0) - BEYOND, scaled.max(axis=0) + BEYOND])
        residual = pairs.observed - pairs.predicted
        self.offset_ = float(fit_shrunk(np.ones((len(pairs), 1)), residual, pairs.station)[0])
        terms = self._terms(pairs)
        # squares have a mean, which is not theirs to explain but the offset's
        self.levels_ = np.array([pairs.station_means(one)[1].mean() for one in terms.T])
        self.coefficients_ = fit_shrunk(
            terms - self.levels_, residual - self.offset_, pairs.station
        )

    def _own(self, points: Points) -> Floats:
        columns = [points.table(self.predictors)]
        if self.with_position:
            columns.insert(0, np.stack([points.longitude, points.latitude], axis=1))
        return np.concatenate(columns, axis=1)

    def _terms(self, points: Points) -> Floats:
        scaled: Floats = np.clip((self._own(points) - self.centre_) / self.size_, *self.ends_)
        if self.degree == 1:
            return scaled
        first, second = np.triu_indices(scaled.shape[1])
        return np.concatenate([scaled, scaled[:, first] * scaled[:, second]], axis=1)

    def _correction(self, points: Points, at_place: Floats | None) -> Floats:
        correction = np.full(len(points), self.offset_)
        # term by term: a product of matrices differs in the last bit with the number of rows
        terms = (self._terms(points) - self.levels_).T
        for term, size in zip(terms, self.coefficients_, strict=True):
            correction += size * term
        return correction

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        arrays = {
            "centre": self.centre_,
            "size": self.size_,
            "ends": self.ends_,
            "levels": self.levels_,
            "coefficients": self.coefficients_,
        }
        return {"offset": self.offset_}, arrays

    def _take(self, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        self.offset_ = float(state["offset"])
        self.centre_, self.size_, self.ends_, self.levels_, self.coefficients_ = (
            np.asarray(arrays[name], "f8")
            for name in ("centre", "size", "ends", "levels", "coefficients")
        )
