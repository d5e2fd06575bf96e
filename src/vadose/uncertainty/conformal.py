"""Intervals around predictions that cover what they promise, stratum by stratum: conformal calibration.

Residuals of places that the model has not learned from are divided by its spread there, and the quantile
of these scores is what a spread has to be multiplied by. Three things differ from the textbook:

* **Blocks.** Neighbours err alike: a thousand residuals of ten blocks are worth little more than ten. How
  many independent ones they stand for is estimated from how the share of covered points differs from block
  to block (a design effect); the quantile is raised by one over that number, not over the thousand.
* **Strata of several kinds at once.** The multiplier is a sum: one part for all, and one for the season, the
  cover, the wetness ... of the place, fitted one after the other until each stratum of each kind is covered
  as it should be. A stratum of few blocks is pulled to what holds for all.
* **A floor of the spread**, below which a model's confidence in itself means nothing, chosen such that the
  intervals are as narrow as they can be.

References
----------
Papadopoulos et al. (2002), ECML, 345-356 (scores in units of spread). Romano et al. (2019), NeurIPS
(both ends on their own). Vovk (2012), ACML (by category). Lee, Barber and Willett (2023),
arXiv:2306.06342 (hierarchical data). Gibbs, Cherian and Candès (2025), J. R. Stat. Soc. B (sums of
overlapping groups). Kish (1965), Survey Sampling, section 8.2 (design effect).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from vadose.errors import ModelProblem, ValueProblem
from vadose.uncertainty.multipliers import Basis, fit_multiplier
from vadose.uncertainty.strata import (
    Column,
    Places,
    Strata,
    coverage_table,
    kinds_of,
    looked_up,
    members_of,
)

#: Fewest blocks from which to learn.
LEAST_BLOCKS = 5
#: Shares of the points whose spread lies below the floors that are compared.
FLOORS = (0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
#: Version of the layout of `Conformal.to_dict`.
FORMAT = 1


@dataclass(frozen=True)
class Part:
    """Say what one stratum adds to the multiplier, and on what that rests.

    Attributes
    ----------
    points, blocks
        How many it was learned from.
    effective
        Number of independent points that have the same error of the covered share.
    pooled
        Share of what holds for all in it, 0 to 1: near 1 where the stratum has few blocks.
    lower, upper
        Added to the multiplier of the spread, below and above the prediction.
    """

    points: int
    blocks: int
    effective: float
    pooled: float
    lower: float
    upper: float


class Conformal:
    """Learn from residuals how wide an interval has to be, in units of the model's spread.

    Parameters
    ----------
    level
        Share to be covered.
    is_symmetric
        Whether both ends are as far from the prediction. If not, each end leaves out half of the rest:
        intervals then also make up for the bias of a stratum.
    floor
        Least spread, in its unit; the one that gives the narrowest intervals unless given.
    pool
        Blocks that the whole counts for against those of a stratum: with twice as many blocks of its own
        a stratum has two thirds of the say.
    bounds
        Smallest and largest value possible; the ends are clipped to them. By default those of soil
        moisture, in m³ m⁻³: nothing, and about the porosity of a mineral soil.

    Attributes
    ----------
    floor_ : float
        Least spread.
    all_ : Part
        What holds everywhere.
    parts_ : dict
        Name of a kind of strata → label, as text → `Part`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> block, spread = np.repeat(np.arange(50), 40), rng.uniform(0.01, 0.05, 2000)
    >>> residual = spread * rng.normal(size=2000)
    >>> interval = Conformal(level=0.9).fit(residual, spread, block=block)
    >>> round(interval.all_.upper, 1)  # of a normal distribution: 1.64
    1.6
    >>> lower, upper = interval.apply(np.array([0.3, 0.01]), np.array([0.04, 0.04]))
    >>> lower.round(2), upper.round(2)
    (array([0.24, 0.  ]), array([0.36, 0.07]))
    """

    def __init__(
        self,
        level: float = 0.9,
        *,
        is_symmetric: bool = True,
        floor: float | None = None,
        pool: float = 2.0,
        bounds: tuple[float, float] = (0.0, 0.6),
    ) -> None:
        self.level, self.is_symmetric, self.floor = level, is_symmetric, floor
        self.pool, self.bounds = pool, bounds

    def fit(
        self,
        residual: npt.ArrayLike,
        spread: npt.ArrayLike,
        *,
        block: npt.ArrayLike,
        stratum: Strata = None,
    ) -> Self:
        """Learn the multipliers.

        Parameters
        ----------
        residual
            Observed minus predicted at places not learned from, dims ``(point,)``, finite.
        spread
            The model's spread there, 0 or more.
        block
            Number of the block of each point: a station, a square of cells and a month.
        stratum
            Labels of each point: whole numbers, truth values or text; several kinds by name.

        Raises
        ------
        ValueProblem
            Columns that do not suit, a level or floor that makes no sense, or too few blocks.
        """
        self._check_settings()
        error, width = _column(residual, "residual"), _column(spread, "spread")
        _check_length("spread", len(width), len(error))
        if (width < 0).any():
            raise ValueProblem("spread", found=f"{width.min():g}", expected="0 or more")
        number = _numbers(block, len(error))
        if (blocks := len(np.unique(number))) < LEAST_BLOCKS:
            raise ValueProblem(
                "calibration",
                found=f"{blocks} blocks",
                expected=f"{LEAST_BLOCKS} or more",
                remedy="Calibrate on more stations, or on smaller blocks.",
            )
        kinds = {name: members_of(one) for name, one in kinds_of(stratum, len(error)).items()}
        self.floor_ = self._floor(np.abs(error), width)
        score = error / np.maximum(width, self.floor_)
        sides = [np.abs(score)] if self.is_symmetric else [-score, score]
        level = self.level if self.is_symmetric else (1 + self.level) / 2
        fits = [fit_multiplier(side, number, kinds, level=level, pool=self.pool) for side in sides]
        below, above = fits[0], fits[-1]
        self.all_ = _part(below.basis, below.common, above.common)
        self.parts_ = {
            name: {
                label: _part(basis, below.added[name][label], above.added[name][label])
                for label, basis in own.items()
            }
            for name, own in below.bases.items()
        }
        return self

    def apply(
        self, prediction: npt.ArrayLike, spread: npt.ArrayLike, stratum: Strata = None
    ) -> tuple[Column, Column]:
        """Give the ends of the intervals.

        Parameters
        ----------
        prediction, spread
            Any shape, the same; where one of them is NaN both ends are.
        stratum
            Of the same shape, of the kinds of the fit; a label that was not there adds nothing.

        Returns
        -------
        tuple of numpy.ndarray
            Lower and upper end, double precision, within `bounds`.

        Raises
        ------
        ModelProblem
            Without a fit.
        ValueProblem
            Other kinds of strata than at the fit, or another shape.
        """
        self._need_fit()
        centre, width = np.asarray(prediction, "f8"), np.asarray(spread, "f8")
        if centre.shape != width.shape:
            raise ValueProblem(
                "spread", found=f"shape {width.shape}", expected=f"{centre.shape}, as the values"
            )
        kinds = kinds_of(stratum, centre.size)
        if set(kinds) != set(self.parts_):
            raise ValueProblem(
                "strata",
                found=", ".join(sorted(kinds)) or "none",
                expected=f"those of the fit, {', '.join(sorted(self.parts_)) or 'none'}",
            )
        below = np.full(centre.size, self.all_.lower)
        above = np.full(centre.size, self.all_.upper)
        for name, labels in kinds.items():
            own = self.parts_[name]
            below += looked_up(labels, {label: part.lower for label, part in own.items()})
            above += looked_up(labels, {label: part.upper for label, part in own.items()})
        # ends that would cross meet in the middle
        excess = np.minimum(below + above, 0.0) / 2
        scale = np.maximum(width, self.floor_)  # NaN stays
        lower = centre - (below - excess).reshape(centre.shape) * scale
        upper = centre + (above - excess).reshape(centre.shape) * scale
        return np.clip(lower, *self.bounds), np.clip(upper, *self.bounds)

    def coverage(
        self,
        observed: npt.ArrayLike,
        prediction: npt.ArrayLike,
        spread: npt.ArrayLike,
        *,
        block: npt.ArrayLike,
        stratum: Strata = None,
    ) -> pd.DataFrame:
        """Count what the intervals cover; on blocks that were not in the fit this is their true worth.

        Parameters
        ----------
        observed, prediction, spread
            Dims ``(point,)``, finite.
        block, stratum
            As at the fit.

        Returns
        -------
        pandas.DataFrame
            See `coverage_table`.
        """
        truth = _column(observed, "observed")
        lower, upper = self.apply(_column(prediction, "prediction"), spread, stratum)
        return coverage_table(truth, lower, upper, block=block, stratum=stratum)

    def to_dict(self) -> dict[str, Any]:
        """Give all that was learned as plain data for JSON."""
        self._need_fit()
        return {
            "format": FORMAT,
            "level": self.level,
            "is_symmetric": self.is_symmetric,
            "pool": self.pool,
            "bounds": list(self.bounds),
            "floor": self.floor_,
            "all": vars(self.all_),
            "parts": {
                name: {label: vars(part) for label, part in own.items()}
                for name, own in self.parts_.items()
            },
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Take up what `to_dict` gave.

        Raises
        ------
        ModelProblem
            Another format, or content that is not complete.
        """
        try:
            if content["format"] != FORMAT:
                raise ModelProblem(
                    "intervals",
                    found=f"format {content['format']!r}",
                    expected=f"format {FORMAT}",
                    remedy="Calibrate again with this version of vadose.",
                )
            low, high = content["bounds"]
            made = cls(
                float(content["level"]),
                is_symmetric=bool(content["is_symmetric"]),
                pool=float(content["pool"]),
                bounds=(float(low), float(high)),
            )
            made.floor_ = float(content["floor"])
            made.all_ = Part(**content["all"])
            made.parts_ = {
                name: {label: Part(**part) for label, part in own.items()}
                for name, own in content["parts"].items()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelProblem(
                "intervals",
                found=f"an incomplete description ({error!r})",
                expected="what to_dict gave",
            ) from error
        return made

    def _floor(self, error: Column, spread: Column) -> float:
        """Choose the floor that makes intervals of the wanted level narrowest, if none was given."""
        if self.floor is not None:
            return float(self.floor)
        floors = np.unique(np.quantile(spread, FLOORS))
        floors = floors[floors > 0]
        if not floors.size:
            return 1.0  # nothing but zeros: as if the model had no spread
        scales = [np.maximum(spread, floor) for floor in floors]
        widths = [np.quantile(error / one, self.level) * one.mean() for one in scales]
        return float(floors[int(np.argmin(widths))])

    def _check_settings(self) -> None:
        low, high = self.bounds
        is_floor = self.floor is None or (np.isfinite(self.floor) and self.floor > 0)
        if not (0 < self.level < 1 and is_floor and self.pool >= 0 and low < high):
            raise ValueProblem(
                "settings of intervals",
                found=f"level={self.level:g}, floor={self.floor}, pool={self.pool:g}, "
                f"bounds={self.bounds}",
                expected="a level between 0 and 1, a floor above 0, a pool of 0 or more, "
                "bounds in their order",
            )

    def _need_fit(self) -> None:
        if not hasattr(self, "all_"):
            raise ModelProblem("intervals", found="no fit", remedy="Call fit first.")


def _part(basis: Basis, lower: float, upper: float) -> Part:
    return Part(basis.points, basis.blocks, basis.effective, 1.0 - basis.say, lower, upper)


def _column(values: npt.ArrayLike, name: str) -> Column:
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1 or not np.isfinite(column).all():
        bad = int(np.count_nonzero(~np.isfinite(column)))
        raise ValueProblem(
            name,
            found=f"{bad} values that are not finite" if bad else f"{column.ndim} dimensions",
            expected="one number for each point",
            remedy="Leave out the points without an observation or a prediction.",
        )
    return column


def _check_length(name: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise ValueProblem(name, found=f"{found} values", expected=f"{wanted}, one for each point")


def _numbers(block: npt.ArrayLike, size: int) -> Places:
    given = np.asarray(block)
    _check_length("block", given.size, size)
    return np.unique(given, return_inverse=True)[1].ravel()
