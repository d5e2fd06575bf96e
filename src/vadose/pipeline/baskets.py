"""A basket of samples of one scale: so many of those that come along, each with the same chance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vadose.errors import CubeProblem

if TYPE_CHECKING:
    from vadose.pipeline.scales import Scale


class Basket:
    """Keep so many of the samples that come along, each with the same chance."""

    def __init__(self, count: int, rng: np.random.Generator) -> None:
        self.count, self.rng = count, rng
        self.first: Scale | None = None
        self.kept: list[npt.NDArray[Any]] = []

    def add(self, taken: Scale) -> None:
        """Let samples draw a lot each; those with the smallest stay."""
        self.first = self.first or taken
        arrays = [self.rng.random(len(taken.X)), taken.X, taken.y, taken.blocks]
        if self.kept:
            arrays = [np.concatenate(pair) for pair in zip(self.kept, arrays, strict=True)]
        rows = np.sort(np.argsort(arrays[0], kind="stable")[: self.count])
        self.kept = [array[rows] for array in arrays]

    def scale(self) -> Scale:
        """Give what was kept."""
        assert self.first is not None  # noqa: S101 - a basket is made for what is put in
        _, X, y, blocks = self.kept
        if len(X) < 2:
            raise CubeProblem(
                f"cells of {self.first.name}",
                found=f"{len(X)} complete samples",
                expected="some to explain a model by",
            )
        return replace(self.first, X=X, y=y, blocks=blocks)
