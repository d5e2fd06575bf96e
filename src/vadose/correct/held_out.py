"""Correction judged by construction on what it has not seen: learned anew for every fold.

Out come corrected values of the folds that were held out, and no others, so that no score can be taken
where a corrector has learned. Products that stations enter are made anew without them too (`Pairs.product`).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from vadose.correct.base import DISTANCE, STATIONS, Corrector
from vadose.correct.chain import Nothing, joined_predictors
from vadose.correct.stations import Floats, Integers, Mask, Pairs, Points
from vadose.errors import ValueProblem
from vadose.samples.blocks import (
    Rng,
    check_least,
    counted,
    deal,
    near_days,
    near_places,
    period_blocks,
)
from vadose.samples.stations import networks

#: Folder of the corrector that was chosen.
_CHOSEN = "chosen"


@dataclass(frozen=True, eq=False)
class Fold:
    """Say which rows are learned from and which are judged; what is in neither is too near to the test.

    Attributes
    ----------
    train, test
        True or false for each row.
    title
        In words.
    """

    train: Mask
    test: Mask
    title: str


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Hold values that were corrected where the corrector had not learned.

    Attributes
    ----------
    pairs
        Rows that were judged, the product as it was before (`predicted`) and the readings.
    corrected
        The product after, m³ m⁻³.
    fold
        Number of the fold of each row.
    block
        What is drawn as a whole for intervals: the station, network or period of each row.
    used
        Stations that were learned from, for each fold.
    title
        How folds were made.
    lost
        Rows with a reading that no fold judged, for want of a value or a predictor.
    """

    pairs: Pairs
    corrected: Floats
    fold: Integers
    block: Integers
    used: tuple[xr.Dataset, ...]
    title: str
    lost: int


def station_folds(
    pairs: Pairs, *, folds: int | None = None, rng: Rng = 0, distance: float = DISTANCE
) -> list[Fold]:
    """Hold stations out.

    Parameters
    ----------
    folds
        To how many they are dealt at random; None: each place is a fold.
    rng
        Seed or generator.
    distance
        Stations nearer than this (km) to one that is held out are not learned from.

    Raises
    ------
    ValueProblem
        Fewer places than folds, or nothing left to learn from.
    """
    place = _places(pairs)
    has_rows = pairs.used()
    number = np.where(has_rows, place, -1)
    count = len(np.unique(number[has_rows]))
    dealt = deal(number, count if folds is None else folds, rng, what="places of stations")
    words = "each station" if folds is None else f"stations, {folds} folds"
    return [
        _fold(pairs, dealt == fold, distance, f"{words}, {fold + 1}")
        for fold in range(int(dealt.max()) + 1)
    ]


def network_folds(pairs: Pairs, *, distance: float = DISTANCE) -> list[Fold]:
    """Hold networks out, one after the other: the test nearest to a region never seen.

    Raises
    ------
    ValueProblem
        Only one network.
    """
    names = pairs.stations["network"].values.astype(str)
    some = networks(pairs.stations.isel(station=np.flatnonzero(pairs.used())))
    if len(some) < 2:
        raise ValueProblem(
            "networks",
            found=f"only {', '.join(some) or 'none'}",
            expected="two or more to hold one out",
            remedy="Hold out stations: station_folds.",
        )
    return [_fold(pairs, names == name, distance, f"network {name}") for name in some]


def time_folds(
    pairs: Pairs, *, days: int = 60, gap: int = 30, folds: int = 5, rng: Rng = 0
) -> list[Fold]:
    """Hold periods out, of stations that are learned from at other times.

    This judges a correction for the stations' own places only: at places without any it is too good.

    Parameters
    ----------
    days
        Length of a period.
    gap
        Whole days that lie at least between what is learned from and what is judged.
    folds, rng
        To how many the periods are dealt, and the seed.

    Raises
    ------
    ValueProblem
        Fewer periods than folds, or no times.
    """
    check_least("days", days, 1)
    if np.isnat(pairs.time).any():
        raise ValueProblem("pairs", found="rows without time", expected="times to hold out")
    dealt = deal(period_blocks(pairs.time, days), folds, rng, what=f"periods of {days} days")
    found = []
    for fold in range(folds):
        is_test = dealt == fold
        title = f"periods of {counted(days, 'day')}, {fold + 1}"
        train = ~near_days(pairs.time.astype("M8[D]"), is_test, gap)
        found.append(_checked(Fold(train, is_test, title)))
    return found


def correct_held_out(
    corrector: Corrector, pairs: Pairs, folds: Sequence[Fold], *, block: Integers | None = None
) -> HeldOut:
    """Learn a correction anew for every fold, and give what it makes of the rows held out.

    Parameters
    ----------
    corrector
        Not fitted, or fitted: a copy learns anew for each fold.
    pairs
        Product and readings.
    folds
        What `station_folds`, `network_folds` or `time_folds` gives; no row is judged twice.
    block
        What intervals draw as a whole, for each row; its station unless given, or its period where the
        folds part periods.

    Raises
    ------
    ValueProblem
        A row in two tests or on both sides of a fold, or no row that could be judged.

    Examples
    --------
    >>> from vadose.correct import Additive, pairs_of
    >>> from vadose.synthetic import world
    >>> from vadose.validate.pairs import match
    >>> small = world(size=16, days=60, factor=4, seed=0)
    >>> pairs = pairs_of(match({"wet": small.truth["soil_moisture"] + 0.05}, small.stations), "wet")
    >>> held = correct_held_out(Additive(), pairs, station_folds(pairs, distance=0))
    >>> len(held.used), bool(abs((held.corrected - held.pairs.observed).mean()) < 0.01)
    (12, True)
    """
    tested = np.sum([fold.test for fold in folds], axis=0)
    if len(folds) == 0 or tested.max(initial=0) > 1 or any((f.test & f.train).any() for f in folds):
        raise ValueProblem(
            "folds",
            found="none, or rows that are judged twice or learned from in the same fold",
            expected="each row in one test at most, and never on both sides",
        )
    before, after = np.full(len(pairs), np.nan), np.full(len(pairs), np.nan)
    number, used = np.full(len(pairs), -1), []
    is_shared = False
    for place, fold in enumerate(folds):
        train, test = pairs.rows(fold.train), pairs.rows(fold.test)
        may_enter = train.used()
        is_shared |= bool((may_enter & test.used()).any())
        fitted = copy.deepcopy(corrector).fit(train.made_of(may_enter))
        test = test.made_of(may_enter)
        before[fold.test], after[fold.test] = test.predicted, fitted.correct(test)
        number[fold.test] = place
        used.append(fitted.used_)
    is_judged = np.isfinite(before) & np.isfinite(after) & np.isfinite(pairs.observed)
    if not is_judged.any():
        raise ValueProblem(
            "rows held out",
            found="none with a reading, a value and all predictors",
            expected="some to judge by",
        )
    if block is None:
        block = period_blocks(pairs.time, 30) if is_shared else pairs.station
    judged = pairs.rows(is_judged)
    return HeldOut(
        pairs=_with_values(judged, before[is_judged]),
        corrected=after[is_judged],
        fold=number[is_judged].astype("i8"),
        block=np.asarray(block, "i8")[is_judged],
        used=tuple(used),
        title=folds[0].title.rpartition(",")[0] or "networks",
        lost=int((np.isfinite(pairs.observed) & ~is_judged).sum()),
    )


class Best(Corrector):
    """Take the candidate that does best at stations held out from those it is given, or none.

    The choice is made anew wherever it is fitted, so that in a fold of `correct_held_out` the stations of
    the test have no say in it. Of the candidates, the one that was chosen is saved.

    Parameters
    ----------
    candidates
        By name; doing nothing is always one of them, and wins ties.
    folds
        To how many the stations are dealt; None: each is a fold.
    rng
        Seed.
    distance
        As for `station_folds`.

    Attributes
    ----------
    chosen_ : Corrector
        Fitted to all that was given.
    choice_ : str
        Its name.
    errors_ : dict of str to float
        Root mean square error of each candidate where it was held out, m³ m⁻³.
    """

    name: ClassVar[str] = "best"

    def __init__(
        self,
        candidates: Mapping[str, Corrector],
        *,
        folds: int | None = 5,
        rng: int = 0,
        distance: float = DISTANCE,
        target: str = "soil_moisture",
    ) -> None:
        self.candidates, self.folds, self.rng = dict(candidates), folds, rng
        self.distance, self.target = distance, target
        self.predictors = joined_predictors(list(self.candidates.values()))

    def _learn(self, pairs: Pairs) -> None:
        inner = station_folds(pairs, folds=self.folds, rng=self.rng, distance=self.distance)
        self.errors_ = {}
        everyone: dict[str, Corrector] = {"nothing": Nothing(target=self.target), **self.candidates}
        for name, one in everyone.items():
            held = correct_held_out(one, pairs, inner)
            self.errors_[name] = rmse(held.corrected, held.pairs.observed)
        self.choice_ = min(self.errors_, key=lambda name: self.errors_[name])
        self.chosen_ = copy.deepcopy(everyone[self.choice_]).fit(pairs)
        self.notes_ = [f"chosen of {len(everyone)} by stations held out: {self.choice_}"]
        self.notes_ += self.chosen_.notes_

    def _correction(self, points: Points, at_place: Floats | None) -> Floats:
        return self.chosen_._correction(points, at_place)

    def _at_place(self, longitude: Floats, latitude: Floats) -> Floats | None:
        return self.chosen_._at_place(longitude, latitude)

    def _spread_at(self, longitude: Floats, latitude: Floats) -> Floats | None:
        return self.chosen_._spread_at(longitude, latitude)

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        state = {
            "choice": self.choice_,
            "errors": self.errors_,
            # of all candidates: what is corrected must not depend on having been saved
            "predictors": list(self.predictors),
        }
        return state, {}

    def _take(self, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        self.choice_ = str(state["choice"])
        self.errors_ = {str(name): float(one) for name, one in state["errors"].items()}
        self.predictors = tuple(str(name) for name in state["predictors"])
        (self.chosen_,) = self.candidates.values()
        self.candidates = {self.choice_: self.chosen_}

    def save(self, folder: Path) -> None:
        """Write the description, and the corrector that was chosen into a folder of its own."""
        super().save(folder)
        own = folder / _CHOSEN
        own.mkdir()
        self.chosen_.save(own)

    _parts: ClassVar[tuple[str, ...]] = ("candidates",)

    @classmethod
    def _load_parts(cls, folder: Path) -> dict[str, Any]:
        from vadose.correct.making import (
            load_corrector,
        )  # the table of all correctors holds this one

        return {"candidates": {_CHOSEN: load_corrector(folder / _CHOSEN)}}


def rmse(values: Floats, observed: Floats) -> float:
    """Give the root mean square difference; NaN spreads.

    Examples
    --------
    >>> rmse(np.array([0.1, 0.3]), np.array([0.2, 0.2])).__round__(3)
    0.1
    """
    return float(np.sqrt(np.mean((values - observed) ** 2)))


def _with_values(pairs: Pairs, predicted: Floats) -> Pairs:
    return Pairs(
        predicted,
        pairs.time,
        pairs.longitude,
        pairs.latitude,
        pairs.predictors,
        observed=pairs.observed,
        station=pairs.station,
        stations=pairs.stations,
    )


def _places(pairs: Pairs) -> Integers:
    """Give a number to each place of stations: sensors at one place are not parted."""
    place = np.stack([pairs.stations[name].values.astype("f8") for name in ("lon", "lat")], axis=1)
    return np.unique(place, axis=0, return_inverse=True)[1].ravel().astype("i8")


def _fold(pairs: Pairs, is_held: Mask, distance: float, title: str) -> Fold:
    check_least("distance", distance, 0)
    place = [pairs.stations[name].values.astype("f8") for name in ("lon", "lat")]
    kept = ~near_places(place[0], place[1], is_held, distance)
    if (kept & pairs.used()).sum() < STATIONS:
        raise ValueProblem(
            f"fold of {title}",
            found=f"{int((kept & pairs.used()).sum())} stations left to learn from, "
            f"{distance:g} km apart from the test",
            expected=f"{STATIONS} or more",
            remedy="Take a smaller distance or more folds.",
        )
    return _checked(Fold(kept[pairs.station], is_held[pairs.station], title))


def _checked(fold: Fold) -> Fold:
    for name, part in (("learn from", fold.train), ("judge", fold.test)):
        if not part.any():
            raise ValueProblem(
                f"fold of {fold.title}", found=f"no row to {name}", expected="some of each"
            )
    return fold
