"""Samples: which windows of which scenes and days a network learns from, epoch by epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from vadose.models.drcgan.channels import Indices, View, Window

#: Most windows that make an epoch.
MOST = 1024
#: How often a window is drawn anew that holds nothing hidden.
TRIES = 8
#: Fewest cells along the side of a window, so that judges see a patch; a smaller map has a rim of sea.
SMALLEST = 8


@dataclass(frozen=True)
class Batch:
    """Hold windows as tensors, see `vadose.models.drcgan.channels.Window`."""

    channels: Tensor
    land: Tensor
    guess: Tensor
    truth: Tensor
    known: Tensor
    hidden: Tensor

    @classmethod
    def of(cls, windows: Sequence[Window], where: torch.device) -> Batch:
        """Stack windows of one size."""
        return cls(
            **{
                name: torch.from_numpy(np.concatenate([getattr(one, name) for one in windows]))
                .to(where)
                .contiguous(memory_format=torch.channels_last)
                for name in cls.__dataclass_fields__
            }
        )

    def flipped(self, dims: list[int]) -> Batch:
        """Turn the maps over."""
        return (
            Batch(**{name: getattr(self, name).flip(dims) for name in self.__dataclass_fields__})
            if dims
            else self
        )


@dataclass(frozen=True)
class Deal:
    """Deal windows of scenes to batches.

    Attributes
    ----------
    views
        The scenes.
    crop
        Most cells along the side of a window.
    batch
        Windows of a batch.
    """

    views: Sequence[View]
    crop: int
    batch: int

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Give the numbers of the scenes and days that teach something."""
        return [
            (number, int(day))
            for number, view in enumerate(self.views)
            for day in np.flatnonzero(view.teaches)
        ]

    def batches(
        self, rng: np.random.Generator, where: torch.device, *, flips: bool
    ) -> Iterator[Batch]:
        """Give the batches of an epoch, in a random order."""
        order = rng.permutation(len(self.pairs))[:MOST]
        for rows in self._batched(order):
            windows = [self._window(*self.pairs[one], rng) for one in rows]
            dims = [dim for dim in (2, 3) if flips and rng.random() < 0.5]
            yield Batch.of(windows, where).flipped(dims)

    def _batched(self, order: Indices) -> Iterator[list[int]]:
        """Put together what has windows of one size, in the order given."""
        waiting: dict[tuple[int, int], list[int]] = {}
        for one in order:
            size = self._sides(self.views[self.pairs[one][0]])
            waiting.setdefault(size, []).append(int(one))
            if len(waiting[size]) == self.batch:
                yield waiting.pop(size)
        yield from waiting.values()

    def _sides(self, view: View) -> tuple[int, int]:
        """Give rows and columns of the windows of a scene."""
        height, width = view.scene.satellite.shape[1:]
        return max(min(height, self.crop), SMALLEST), max(min(width, self.crop), SMALLEST)

    def _window(self, number: int, day: int, rng: np.random.Generator) -> Window:
        view = self.views[number]
        height, width = view.scene.satellite.shape[1:]
        hidden = view.hidden(day)
        sides = self._sides(view)
        inner = min(height, sides[0]), min(width, sides[1])
        for _ in range(TRIES):
            top = rng.integers(height - inner[0] + 1)
            left = rng.integers(width if view.encoding.wraps else width - inner[1] + 1)
            place = np.ix_(top + np.arange(inner[0]), (left + np.arange(inner[1])) % width)
            if hidden[place].any():
                break
        rows, columns = (
            start + np.arange(side) for start, side in zip((top, left), sides, strict=True)
        )
        return view.window(_one(day), rows, columns)


def _one(day: int) -> Indices:
    return np.array([day], dtype=np.int64)


def fingerprint(views: Sequence[View]) -> Tensor:
    """Tell these scenes from others, as whole numbers from 0 to 255."""
    digest = hashlib.sha256()
    for view in views:
        scene = view.scene
        for name in ("satellite", "truth", "model", "guess", "context", "static", "day_of_year"):
            part = getattr(scene, name)
            digest.update(f"{name} {np.shape(part)}".encode())
            if part is not None:
                digest.update(np.ascontiguousarray(part).tobytes())
    return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8)
