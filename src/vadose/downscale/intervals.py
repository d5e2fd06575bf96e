"""Intervals of a product: points to calibrate on, from three sources, and the variables they become.

What an interval is calibrated on decides what it is an interval of:

=============  ==============================================  =========================================
scale          points                                          the interval is one of
=============  ==============================================  =========================================
``station``    the cell around each training station           what a station there would read
``fine``       a withheld truth in other blocks of the map     the value of the fine cell
``coarse``     coarse cells out of fold (`points_out_of_fold`)  a coarse value: without what differs
                                                               within a coarse cell
=============  ==============================================  =========================================

All three are `Points`, and go through `calibrate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, cast, get_args

import numpy as np
import xarray as xr

from vadose.downscale.calibration import Points, Scale, described, need_spread
from vadose.downscale.spread import beside
from vadose.errors import ModelProblem, UnknownName
from vadose.uncertainty.conformal import Conformal
from vadose.uncertainty.strata import Classes

#: Blocks from which on both ends are learned on their own: each end leaves out half as much.
BOTH_ENDS = 100


@dataclass(frozen=True, eq=False)
class Intervals:
    """Hold what turns a product and its spread into intervals.

    Attributes
    ----------
    target
        Variable.
    scale
        Of the points that it was calibrated on.
    classes
        How strata are told apart.
    conformal
        The multipliers.
    """

    target: str
    scale: Scale
    classes: Classes
    conformal: Conformal

    def add(self, product: xr.Dataset, fine: xr.Dataset | None = None) -> xr.Dataset:
        """Add ``<target>_lower``, ``<target>_upper`` and ``<target>_interval_width``.

        Parameters
        ----------
        product
            With the target and ``<target>_spread``; the whole or a tile of it.
        fine
            Cube with what strata are told apart by (elevation, land cover), on the same grid, with the
            time steps of the product where it has time.

        Raises
        ------
        CubeProblem, ValueProblem
            A product without spread, or something missing that the strata need.
        """
        need_spread(product, self.target)
        labels = self.classes.labels(described(product, fine, self.target, self.classes.names))
        values = product[self.target].values
        spread = product[f"{self.target}_spread"].values
        lower, upper = self.conformal.apply(values, spread, labels)
        notes = {
            "level": self.conformal.level,
            "calibrated_on": f"{self.scale} values",
        }
        ends = {
            f"{self.target}_lower": (lower.astype("f4"), notes),
            f"{self.target}_upper": (upper.astype("f4"), notes),
            f"{self.target}_interval_width": ((upper - lower).astype("f4"), notes),
        }
        return beside(product, self.target, ends)

    def to_dict(self) -> dict[str, Any]:
        """Give all of it as plain data for JSON."""
        return {
            "target": self.target,
            "scale": self.scale,
            "edges": {name: list(edges) for name, edges in self.classes.edges.items()},
            "codes": list(self.classes.codes),
            "conformal": self.conformal.to_dict(),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Take up what `to_dict` gave.

        Raises
        ------
        ModelProblem
            Content that is not complete, or of another version.
        """
        try:
            edges = {name: tuple(map(float, cuts)) for name, cuts in content["edges"].items()}
            classes = Classes(edges, tuple(content["codes"]))
            target, scale, conformal = content["target"], content["scale"], content["conformal"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelProblem(
                "intervals",
                found=f"an incomplete description ({error!r})",
                expected="what to_dict gave",
                remedy="Calibrate again.",
            ) from error
        return cls(str(target), _scale(scale), classes, Conformal.from_dict(conformal))


def calibrate(
    points: Points,
    *,
    target: str = "soil_moisture",
    level: float = 0.9,
    bounds: tuple[float, float] = (0.0, 0.6),
    parts: int = 3,
    is_symmetric: bool | None = None,
) -> Intervals:
    """Learn intervals from points of any source.

    Parameters
    ----------
    points
        Not learned from; those without an observation or a prediction are left out.
    target
        Variable.
    level
        Share of values that the intervals are to cover.
    bounds
        Smallest and largest value possible, in units of the target.
    parts
        Classes that each quantity is cut into.
    is_symmetric
        See `vadose.uncertainty.conformal.Conformal`. Ends that differ are narrower where a stratum is
        biased, and need more to learn from: unless given, they are for points of 100 blocks or more.

    Raises
    ------
    ValueProblem
        Too few blocks, or settings that make no sense.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.uniform(0.1, 0.4, 900)
    >>> points = Points(truth, truth + 0.02 * rng.normal(size=900), np.ones(900), np.arange(900) // 30)
    >>> intervals = calibrate(points)
    >>> lower, upper = intervals.conformal.apply(truth, np.ones(900))
    >>> round(float(np.mean(upper - lower)), 2)  # 2 x 1.64 x 0.02
    0.07
    """
    known = points.known()
    classes = Classes.learn(known.described, parts=parts)
    if is_symmetric is None:
        is_symmetric = len(np.unique(known.block)) < BOTH_ENDS
    conformal = Conformal(level, bounds=bounds, is_symmetric=is_symmetric).fit(
        known.observed - known.predicted,
        known.spread,
        block=known.block,
        stratum=classes.labels(known.described),
    )
    return Intervals(target, _scale(points.scale), classes, conformal)


def _scale(name: str) -> Scale:
    if name not in get_args(Scale):
        raise UnknownName("scale of calibration", name, get_args(Scale))
    return cast(Scale, name)
