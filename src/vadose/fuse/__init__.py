"""Fusion: a satellite with gaps and a land model without them become one seamless daily record.

The table `FILLERS` is the only place that lists the ways to fill gaps.
"""

from vadose.errors import Named
from vadose.fuse.adversarial import Adversarial
from vadose.fuse.base import Filler
from vadose.fuse.gapfill.dct import DCTPLS
from vadose.fuse.gapfill.matched import CDFMatched, MeanVarianceMatched
from vadose.fuse.gapfill.optimal import OptimalInterpolation
from vadose.fuse.gapfill.persistence import LinearInTime, Persistence
from vadose.fuse.gapfill.residual import LinearResidual
from vadose.fuse.gapfill.seasonal import AnomalyClimatology
from vadose.fuse.gapfill.stacked import Stacked

#: Every filler by name, the simple ones first.
FILLERS: Named[type[Filler]] = Named(
    "filler",
    {
        filler.name: filler
        for filler in (
            Persistence,
            LinearInTime,
            MeanVarianceMatched,
            CDFMatched,
            AnomalyClimatology,
            LinearResidual,
            DCTPLS,
            OptimalInterpolation,
            Stacked,
            Adversarial,
        )
    },
)
#: Fillers that are compared on hidden values before one is chosen, unless others are named.
CANDIDATES = (
    "cdf_matched",
    "persistence",
    "linear_in_time",
    "dct_pls",
    "linear_residual",
    "optimal_interpolation",
    "stacked",
)

__all__ = ["CANDIDATES", "FILLERS", "Filler"]
