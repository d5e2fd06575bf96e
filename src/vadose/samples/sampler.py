"""The interface of the samplers: take samples from a cube, whole or in batches, and put them back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy.typing as npt
import xarray as xr

from vadose.errors import CubeProblem, ValueProblem
from vadose.samples.base import Samples, put
from vadose.samples.source import POSITION, Block, Box, Source


@dataclass(frozen=True)
class Sampler(ABC):
    """Take samples of one kind from cubes.

    Parameters
    ----------
    features
        Variables of the cubes, in the order of the features. Static ones are the same at each step.
    with_position
        Whether the longitude and latitude of each cell (degrees) are features too.

    Raises
    ------
    ValueProblem
        No feature, or one that is named twice.
    """

    kind: ClassVar[str]
    features: Sequence[str]
    with_position: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        twice = [name for name, count in Counter(self.feature_names).items() if count > 1]
        if isinstance(self.features, str) or not self.features or twice:
            raise ValueProblem(
                "features",
                found=f"{', '.join(twice)} twice" if twice else f"{self.features!r}",
                expected="a list of names, each of them once",
                remedy="The position is a feature of its own accord; leave it out with "
                "with_position=False."
                if set(twice) & set(POSITION)
                else "",
            )

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Name what stands along the dimension ``feature``."""
        return (*self.features, *(POSITION if self.with_position else ()))

    def take(
        self,
        cube: xr.Dataset,
        targets: str | Sequence[str] = (),
        *,
        where: xr.DataArray | None = None,
        groups: xr.DataArray | None = None,
        weight: xr.DataArray | None = None,
    ) -> Samples:
        """Take all samples of a cube.

        Parameters
        ----------
        cube
            Dims ``[time,] y, x``; NaN is a gap.
        targets
            Variables to learn; with several there is a dimension ``output``.
        where
            Places to take, such as the training part of a `vadose.samples.splits.Split`. Elsewhere ``y``
            is NaN and nothing is put back; a sample without any such place is left out.
        groups
            Whole numbers: places that share one stay together when a model holds some back.
        weight
            Of each place. These three have dims among ``time, y, x`` and the coordinates of the cube.

        Raises
        ------
        CubeProblem
            A feature or target is missing, nothing is complete, or `where`, `groups` or `weight` lie
            elsewhere.
        ValueProblem
            An infinite value.
        """
        source = self._source(cube, targets, where=where, groups=groups, weight=weight)
        (block,) = source.blocks([source.whole])
        samples = self._arrange(block)
        if not len(samples):
            raise _nothing(self.kind, block.known)
        return samples

    def batches(
        self,
        cube: xr.Dataset,
        targets: str | Sequence[str] = (),
        *,
        where: xr.DataArray | None = None,
        groups: xr.DataArray | None = None,
        weight: xr.DataArray | None = None,
        places: int = 1_000_000,
    ) -> Iterator[Samples]:
        """Take the samples piece by piece, so that memory is bounded however large a lazy cube is.

        Together they are the samples of `take`. Put their values back with `vadose.samples.Canvas`, or
        `assemble` them.

        Parameters
        ----------
        cube, targets, where, groups, weight
            As in `take`.
        places
            Most places in a batch; more only where one row of the map, row of tiles or cell with its
            windows has more. A lazy cube is read up to 256 MB at a time.

        Raises
        ------
        CubeProblem, ValueProblem
            As in `take`.
        """
        if places < 1:
            raise ValueProblem("places", found=f"{places}", expected="1 or more")
        source = self._source(cube, targets, where=where, groups=groups, weight=weight)
        return self._flow(source, places)

    def put(self, values: npt.ArrayLike, samples: Samples) -> xr.DataArray | list[xr.DataArray]:
        """Put values back on the grid; see `vadose.samples.put`."""
        return put(values, samples)

    def _flow(self, source: Source, places: int) -> Iterator[Samples]:
        known: Counter[str] = Counter()
        is_empty = True
        for block in source.blocks(self._pieces(source.frame.shape, places)):
            known.update(block.known)
            samples = self._arrange(block)
            if len(samples):
                is_empty = False
                yield samples
        if is_empty:
            raise _nothing(self.kind, known)

    def _source(
        self,
        cube: xr.Dataset,
        targets: str | Sequence[str],
        *,
        where: xr.DataArray | None,
        groups: xr.DataArray | None,
        weight: xr.DataArray | None,
    ) -> Source:
        return Source.of(
            cube,
            self.features,
            [targets] if isinstance(targets, str) else targets,
            with_position=self.with_position,
            where=where,
            groups=groups,
            weight=weight,
        )

    @abstractmethod
    def _pieces(self, shape: tuple[int, int, int], places: int) -> Iterator[Box]:
        """Cut a cube of so many steps, rows and columns into boxes."""

    @abstractmethod
    def _arrange(self, block: Block) -> Samples:
        """Make samples of a block; there may be none."""


def _nothing(kind: str, known: Mapping[str, int]) -> CubeProblem:
    counts = ", ".join(f"{name} {count}" for name, count in known.items())
    return CubeProblem(
        "cube",
        found=f"no complete sample ({kind}); number of values: {counts}",
        expected="some places with all features that were asked for",
        remedy="Check the gaps of each variable and the chosen places.",
    )


def spans(total: int, step: int) -> list[slice]:
    """Cut a length into parts that follow each other.

    Examples
    --------
    >>> spans(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return [slice(start, min(start + step, total)) for start in range(0, total, step)]


def starts(total: int, size: int, overlap: int) -> list[int]:
    """Give where windows of `size` begin that cover a length; the last one is moved back to its end.

    Examples
    --------
    >>> starts(10, 4, 1), starts(9, 4, 1), starts(3, 4, 1)
    ([0, 3, 6], [0, 3, 5], [0])
    """
    if total <= size:
        return [0]
    step = size - overlap
    return [*range(0, total - size, step), total - size]
