"""Correctors made of correctors: one after the other, or the one that does best where it has not learned."""

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


class Chain(Corrector):
    """Correct what the correctors before have left.

    Parameters
    ----------
    correctors
        In their order; they are copied when fitted.

    Attributes
    ----------
    correctors_ : list of Corrector
        Fitted.
    """

    name: ClassVar[str] = "chain"
    _parts: ClassVar[tuple[str, ...]] = ("correctors",)

    def __init__(self, correctors: Sequence[Corrector], *, target: str = "soil_moisture") -> None:
        self.correctors, self.target = tuple(correctors), target
        self.predictors = tuple(
            dict.fromkeys(name for one in self.correctors for name in one.predictors)
        )

    def _learn(self, pairs: Pairs) -> None:
        if not self.correctors:
            raise ValueProblem("chain", found="no correctors", expected="one or more")
        self.correctors_: list[Corrector] = []
        for one in self.correctors:
            fitted = copy.deepcopy(one).fit(pairs)
            pairs = replace(pairs, predicted=pairs.predicted + fitted._correction(pairs, None))
            self.correctors_.append(fitted)
            self.notes_ += [f"{one.name}: {note}" for note in fitted.notes_]

    def _correction(self, points: Points, at_place: Floats | None) -> Floats:
        reached = points
        for one in self.correctors_:
            reached = replace(reached, predicted=reached.predicted + one._correction(reached, None))
        return reached.predicted - points.predicted

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
        from vadose.correct import load_corrector  # the table of all correctors holds this one

        folders = sorted(folder.glob("part_*"), key=lambda one: int(one.name[5:]))
        return {"correctors": [load_corrector(one) for one in folders]}


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
