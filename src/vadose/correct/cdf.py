"""Matching of distributions: values of a product become those that stations have as often.

Points vary more than cells. Matching a cell's distribution to theirs makes its variance that of a point,
on days when nothing is known of the point: it inflates (Maraun 2013), and errors grow with it. It is here
to repeat what is done; its notes say what it does to the variance.

References
----------
Maraun (2013), J. Climate 26:2137. Reichle and Koster (2004), Geophys. Res. Lett. 31:L19501.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from vadose.correct.base import Corrector
from vadose.correct.stations import Floats, Pairs, Points
from vadose.errors import ValueProblem
from vadose.samples.quantiles import Quantiles, learn_quantiles, match_quantiles

#: What is said beside every use.
MARAUN = (
    "matching quantiles of cells to those of points inflates variance (Maraun 2013): that of the product "
    "changed by a factor of {factor:.2f}"
)


class CDFMatching(Corrector):
    """Match the distribution of the product to that of the stations together.

    Parameters
    ----------
    steps
        Most steps between quantiles.

    Attributes
    ----------
    quantiles_ : Quantiles
        What was learned; `match_quantiles` applies it.
    """

    name: ClassVar[str] = "cdf_matching"

    def __init__(self, *, steps: int = 100, target: str = "soil_moisture") -> None:
        self.steps, self.target = steps, target

    def _learn(self, pairs: Pairs) -> None:
        if self.steps < 1:
            raise ValueProblem("steps", found=f"{self.steps}", expected="1 or more")
        self.quantiles_ = learn_quantiles(pairs.predicted, pairs.observed, steps=self.steps)
        before = float(np.var(pairs.predicted))
        after = float(np.var(match_quantiles(pairs.predicted, self.quantiles_)))
        self.notes_.append(MARAUN.format(factor=after / before if before else float("nan")))

    def _correction(self, points: Points, at_place: Floats | None) -> Floats:
        return match_quantiles(points.predicted, self.quantiles_) - points.predicted

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {}, {"source": self.quantiles_.source, "reference": self.quantiles_.reference}

    def _take(self, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        self.quantiles_ = Quantiles(
            np.asarray(arrays["source"], "f8"), np.asarray(arrays["reference"], "f8")
        )
