"""Correction with stations, judged where it has not learned. `CORRECTORS` lists the correctors."""

from __future__ import annotations

from pathlib import Path

from vadose.correct.base import DESCRIPTION, Corrector
from vadose.correct.cdf import CDFMatching
from vadose.correct.chain import Chain, Nothing
from vadose.correct.forest import Forest
from vadose.correct.held_out import (
    Best,
    Fold,
    HeldOut,
    correct_held_out,
    network_folds,
    station_folds,
    time_folds,
)
from vadose.correct.kriging import DailyKriging, Kriging
from vadose.correct.rescale import Additive, Linear, Seasonal
from vadose.correct.spatial import Regression
from vadose.correct.stations import Pairs, Points, pairs_of, pairs_of_table
from vadose.correct.verdict import Comparison, Verdict, by_station, compare, decision
from vadose.errors import ModelProblem, UnknownName
from vadose.models.base import read_name

#: Every corrector that can be saved, by name.
CORRECTORS: dict[str, type[Corrector]] = {
    one.name: one
    for one in (
        Additive,
        Linear,
        Seasonal,
        CDFMatching,
        Forest,
        Regression,
        Kriging,
        DailyKriging,
        Chain,
        Nothing,
    )
}


def corrector_class(name: str) -> type[Corrector]:
    """Look a corrector up by name.

    Raises
    ------
    UnknownName

    Examples
    --------
    >>> corrector_class("additive").__name__
    'Additive'
    """
    if name not in CORRECTORS:
        raise UnknownName("correction", name, CORRECTORS)
    return CORRECTORS[name]


def load_corrector(folder: Path) -> Corrector:
    """Read any saved corrector back.

    Raises
    ------
    ModelProblem
        A folder that holds no corrector, or one that this version does not know.
    """
    name = read_name(Path(folder), file=DESCRIPTION)
    if name not in CORRECTORS:
        raise ModelProblem(
            folder, found=f"correction {name!r}", expected=f"one of {', '.join(sorted(CORRECTORS))}"
        )
    return CORRECTORS[name].load(folder)


__all__ = [
    "CORRECTORS",
    "Additive",
    "Best",
    "CDFMatching",
    "Chain",
    "Comparison",
    "Corrector",
    "DailyKriging",
    "Fold",
    "Forest",
    "HeldOut",
    "Kriging",
    "Linear",
    "Nothing",
    "Pairs",
    "Points",
    "Regression",
    "Seasonal",
    "Verdict",
    "by_station",
    "compare",
    "correct_held_out",
    "corrector_class",
    "decision",
    "load_corrector",
    "network_folds",
    "pairs_of",
    "pairs_of_table",
    "station_folds",
    "time_folds",
]
