"""Noise for generative models that belongs to a place and a day, whatever window of the map is drawn.

A generative model turns noise into a field. Where every pixel draws its own, the field is speckled; where
the noise is drawn window by window, neighbouring windows do not agree. Here a value depends on the seed, the
member, the calendar day and the number of the cell alone (a counter-based generator: Salmon et al. 2011), so
that tiles, chunks and workers change no bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from scipy.special import ndtri

from vadose.errors import UnknownName, ValueProblem
from vadose.models.diffusion.noise import b_spline

Coherence = Literal["shared", "smooth", "independent"]
Floats = npt.NDArray[np.float32]
Days = npt.NDArray[np.int64]
#: Numbers along the side of a block that is drawn at once.
SIDE = 64
#: Fewest members whose smooth noise is balanced; of fewer it would be far from normal.
BALANCED = 8
#: Days are counted from here, so that none that a cube can hold is negative.
FIRST_DAY = np.datetime64("0001-01-01", "D")


@dataclass(frozen=True)
class Noise:
    """Draw standard normal noise for the members of an ensemble.

    Attributes
    ----------
    members
        How many.
    coherence
        ``shared``: one value for all cells of a day and member, and of the members of a day one from each of
        as many equally likely slices, so that few members span what many would. ``smooth``: a field that
        changes over `length` cells; of `BALANCED` members or more it has mean 0 and variance 1 over these at
        every place, so that few of them have the mean that many would. ``independent``: every cell its own, which makes speckle; for
        comparison only.
    length
        Cells between the knots of smooth noise.
    seed
        0 or more.

    Raises
    ------
    UnknownName
        Another coherence.
    ValueProblem
        Numbers that make no noise.

    References
    ----------
    Salmon et al. (2011), SC '11, doi:10.1145/2063384.2063405 (counter-based random numbers); McKay et al.
    (1979), Technometrics 21:239 (stratified draws).

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> grid = latlon(1.0)
    >>> noise = Noise(3, "smooth", length=8)
    >>> field = noise.field(grid, day_numbers(np.array(["2020-05-01"], "M8[D]"))[0])
    >>> part = noise.field(grid[20:30, 50:60], day_numbers(np.array(["2020-05-01"], "M8[D]"))[0])
    >>> field.shape, bool((part == field[:, 20:30, 50:60]).all())
    ((3, 180, 360), True)
    """

    members: int = 10
    coherence: Coherence = "shared"
    length: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        if self.coherence not in get_args(Coherence):
            raise UnknownName("noise", self.coherence, get_args(Coherence))
        if self.members < 1 or self.length < 1 or self.seed < 0:
            raise ValueProblem(
                "noise",
                found=f"members={self.members}, length={self.length}, seed={self.seed}",
                expected="members and length of 1 or more, a seed of 0 or more",
            )

    def field(self, grid: GeoBox, day: int) -> Floats:
        """Give the noise of a day on a window of the map.

        Parameters
        ----------
        grid
            Of the window. Its cells are counted from the origin of its CRS.
        day
            Of `day_numbers`.

        Returns
        -------
        numpy.ndarray
            Dims ``member, y, x``, standard normal at each place.
        """
        makers: Mapping[str, Callable[[GeoBox, int], npt.NDArray[Any]]] = {
            "shared": self._shared,
            "smooth": self._smooth,
            "independent": self._independent,
        }
        return makers[self.coherence](grid, day).astype(np.float32)

    def _shared(self, grid: GeoBox, day: int) -> npt.NDArray[np.float64]:
        rng = np.random.Generator(self._stream(day))
        slices = rng.permutation(self.members)
        values = ndtri((slices + rng.uniform(1e-6, 1.0 - 1e-6, self.members)) / self.members)
        return np.broadcast_to(values[:, None, None], (self.members, *grid.shape))

    def _independent(self, grid: GeoBox, day: int) -> Floats:
        first = first_cell(grid)
        return self._lattice(day, first, (grid.shape.y, grid.shape.x))

    def _smooth(self, grid: GeoBox, day: int) -> npt.NDArray[np.float64]:
        """Interpolate knots by cubic B-splines, and scale what that averages back to unit variance."""
        places = [
            (first + np.arange(size) + 0.5) / self.length
            for first, size in zip(first_cell(grid), grid.shape, strict=True)
        ]
        starts = [int(np.floor(place[0])) - 1 for place in places]
        sizes = [
            int(np.floor(place[-1])) + 3 - start
            for place, start in zip(places, starts, strict=True)
        ]
        field = self._lattice(day, (starts[0], starts[1]), (sizes[0], sizes[1])).astype("f8")
        for axis, (place, start) in enumerate(zip(places, starts, strict=True), start=1):
            knots = np.floor(place).astype(int) - 1 + np.arange(4)[:, None]
            weights = b_spline(np.abs(place - knots))
            shape = (4, *(-1 if one == axis else 1 for one in range(3)))
            parts = weights.reshape(shape) * np.stack(
                [field.take(row - start, axis) for row in knots]
            )
            # four terms one by one: a sum that is left to a library may depend on the window's size
            scale = np.sqrt(sum(one**2 for one in weights)).reshape(shape[1:])
            field = (parts[0] + parts[1] + parts[2] + parts[3]) / scale
        if self.members >= BALANCED:
            # along the members sums go cell by cell, the same in every window
            field = field - field.mean(axis=0)
            field = field / np.sqrt((field**2).mean(axis=0))
        return np.asarray(field)

    def _lattice(self, day: int, first: tuple[int, int], shape: tuple[int, int]) -> Floats:
        """Draw the numbers of a window of an endless lattice: ``(member, *shape)``."""
        values = np.empty((self.members, *shape), dtype=np.float32)
        low = [start // SIDE for start in first]
        high = [(start + size - 1) // SIDE for start, size in zip(first, shape, strict=True)]
        for row in range(low[0], high[0] + 1):
            for column in range(low[1], high[1] + 1):
                inner, outer = [], []
                for block, start, size in zip((row, column), first, shape, strict=True):
                    begin, end = max(block * SIDE, start), min((block + 1) * SIDE, start + size)
                    inner.append(slice(begin - block * SIDE, end - block * SIDE))
                    outer.append(slice(begin - start, end - start))
                for member, field in enumerate(values):
                    stream = self._stream(day, member, row, column)
                    drawn = np.random.Generator(stream).standard_normal((SIDE, SIDE), dtype="f4")
                    field[outer[0], outer[1]] = drawn[inner[0], inner[1]]
        return values

    def _stream(self, day: int, member: int = 0, row: int = 0, column: int = 0) -> np.random.Philox:
        kind = get_args(Coherence).index(self.coherence)
        key = np.random.SeedSequence((self.seed, int(day), kind)).generate_state(2, np.uint64)
        # cells west or north of the origin have negative numbers
        counter = [0, member, row % 2**64, column % 2**64]
        return np.random.Philox(key=key, counter=np.array(counter, dtype=np.uint64))


def day_numbers(times: npt.NDArray[np.datetime64]) -> Days:
    """Give calendar days as numbers: steps of one day have one number, in whatever cube they stand.

    Examples
    --------
    >>> np.diff(day_numbers(np.array(["2019-12-31T06", "2019-12-31T18", "2020-01-01T06"], "M8[h]")))
    array([0, 1])
    """
    return np.asarray((times.astype("M8[D]") - FIRST_DAY).astype(np.int64))


def first_cell(grid: GeoBox) -> tuple[int, int]:
    """Give row and column of a window's first cell, counted from the origin of the CRS.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> first_cell(latlon(0.5)), first_cell(latlon(0.5)[10:20, 30:40])
    ((-180, -360), (-170, -330))
    """
    affine = grid.affine
    # grids begin on whole cells, on halves or anywhere; but hardly ever where this rounds up or down
    row, column = (np.floor(part + 0.37) for part in (affine.f / affine.e, affine.c / affine.a))
    return int(row), int(column)
