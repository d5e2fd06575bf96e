"""Correctors made of correctors: one after the other, or the mean of several; and the one that does nothing."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from vadose.correct.base import Corrector
from vadose.correct.stations import Floats, Pairs, Points
from vadose.errors import ValueProblem


class Parts(Corrector):
    """Hold correctors, which are saved in folders of their own.

    Parameters
    ----------
    correctors
        Copied when fitted.

    Attributes
    ----------
    correctors_ : list of Corrector
        Fitted.
    """

    _parts: ClassVar[tuple[str, ...]] = ("correctors",)

    def __init__(self, correctors: Sequence[Corrector], *, target: str = "soil_moisture") -> None:
        self.correctors, self.target = tuple(correctors), target
        self.predictors = joined_predictors(self.correctors)

    def _learn(self, pairs: Pairs) -> None:
        if not self.correctors:
            raise ValueProblem(self.name, found="no correctors", expected="one or more")
        self.correctors_: list[Corrector] = []
        for one in self.correctors:
            fitted = copy.deepcopy(one).fit(pairs)
            pairs = self._left(pairs, fitted)
            self.correctors_.append(fitted)
            self.notes_ += [f"{one.name}: {note}" for note in fitted.notes_]

    def _left(self, pairs: Pairs, fitted: Corrector) -> Pairs:
        """Give what the next one learns from."""
        return pairs

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"parts": [one.name for one in self.correctors_]}, {}

    def _take(self, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        self.correctors_ = list(self.correctors)
        if [one.name for one in self.correctors_] != list(state["parts"]):
            raise ValueError("other parts than described")

    def save(self, folder: Path) -> None:
        """Write the description, and each corrector into a folder of its own."""
        super().save(folder)
        for number, one in enumerate(self.correctors_):
            own = folder / f"part_{number}"
            own.mkdir()
            one.save(own)

    @classmethod
    def _load_parts(cls, folder: Path) -> dict[str, Any]:
        from vadose.correct.making import (
            load_corrector,
        )  # the table of all correctors holds this one

        folders = sorted(folder.glob("part_*"), key=lambda one: int(one.name[5:]))
        return {"correctors": [load_corrector(one) for one in folders]}


class Chain(Parts):
    """Correct what the correctors before have left; they stand in their order.

    Its spread is that of the correctors that know theirs, taken as independent of each other.
    """

    name: ClassVar[str] = "chain"

    def _left(self, pairs: Pairs, fitted: Corrector) -> Pairs:
        return replace(pairs, predicted=pairs.predicted + fitted._correction(pairs, None))

    def _correction(self, points: Points, at_place: Floats | None) -> Floats:
        reached = points
        for one in self.correctors_:
            reached = replace(reached, predicted=reached.predicted + one._correction(reached, None))
        return reached.predicted - points.predicted

    def _spread_at(self, longitude: Floats, latitude: Floats) -> Floats | None:
        spreads = [one._spread_at(longitude, latitude) for one in self.correctors_]
        squares = [spread**2 for spread in spreads if spread is not None]
        return np.asarray(np.sqrt(np.sum(squares, axis=0)), "f8") if squares else None


class Average(Parts):
    """Add the mean of what several correctors add, each learned by itself.

    Where stations are few, the one that looks best is a matter of chance; the mean of several seldom is far
    from the best, and needs no choice.

    References
    ----------
    Bates and Granger (1969), Oper. Res. Q. 20:451.
    """

    name: ClassVar[str] = "average"

    def _correction(self, points: Points, at_place: Floats | None) -> Floats:
        total = np.zeros(len(points))
        for one in self.correctors_:
            total += one._correction(points, None)
        return total / len(self.correctors_)


class Nothing(Corrector):
    """Leave the product as it is: what every correction must beat."""

    name: ClassVar[str] = "nothing"

    def __init__(self, *, target: str = "soil_moisture") -> None:
        self.target = target

    def _learn(self, pairs: Pairs) -> None:
        """Learn nothing."""

    def _correction(self, points: Points, at_place: Floats | None) -> Floats:
        return np.zeros(len(points))

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {}, {}

    def _take(self, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Take nothing."""


def joined_predictors(correctors: Sequence[Corrector]) -> tuple[str, ...]:
    """Give the predictors of all, each once."""
    return tuple(dict.fromkeys(name for one in correctors for name in one.predictors))
