"""Correction with stations, judged where it has not learned. `CORRECTORS` lists the correctors."""

from __future__ import annotations

from vadose.correct.base import Corrector
from vadose.correct.cdf import CDFMatching
from vadose.correct.chain import Average, Chain, Nothing
from vadose.correct.daily import DailyKriging, DepartureKriging
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
from vadose.correct.kriging import Kriging
from vadose.correct.making import CORRECTORS, corrector_class, load_corrector, make_corrector
from vadose.correct.rescale import Additive, Linear, Seasonal
from vadose.correct.spatial import Regression
from vadose.correct.stations import Pairs, Points, pairs_of, pairs_of_table
from vadose.correct.verdict import Comparison, Verdict, by_station, compare, decision

__all__ = [
    "CORRECTORS",
    "Additive",
    "Average",
    "Best",
    "CDFMatching",
    "Chain",
    "Comparison",
    "Corrector",
    "DailyKriging",
    "DepartureKriging",
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
    "make_corrector",
    "network_folds",
    "pairs_of",
    "pairs_of_table",
    "station_folds",
    "time_folds",
]
