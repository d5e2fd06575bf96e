"""Blocks of neighbours that samples of every scale are judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from vadose.grids import lonlat

#: Blocks that the map is cut into, along a meridian and along a parallel; periods where the map is small.
BLOCKS_ACROSS, FEWEST_BLOCKS = (6, 8), 12

Array = npt.NDArray[np.floating]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Blocks:
    """Number places by degrees and step, alike at every scale.

    Attributes
    ----------
    edges
        West, south, east and north of the map, in degrees.
    shape
        Periods, and blocks along latitude and longitude.
    steps
        Time steps of the record.
    """

    edges: tuple[float, float, float, float]
    shape: tuple[int, int, int]
    steps: int

    @classmethod
    def of(cls, coarse: GeoBox, steps: int, *, least: int = 2) -> Self:
        """Cut a map into blocks of so many coarse cells a side or more, and a small one into periods too."""
        longitude, latitude = lonlat(coarse)
        sides = [
            max(1, min(most, size // least))
            for most, size in zip(BLOCKS_ACROSS, coarse.shape, strict=True)
        ]
        periods = max(1, min(steps, -(-FEWEST_BLOCKS // (sides[0] * sides[1]))))
        edges = longitude.min(), latitude.min(), longitude.max(), latitude.max()
        west, south, east, north = (float(edge) for edge in edges)
        return cls((west, south, east, north), (periods, sides[0], sides[1]), steps)

    def number(self, step: Numbers | int, longitude: Array, latitude: Array) -> Numbers:
        """Give the number of the block that each place lies in."""
        west, south, east, north = self.edges
        periods, high, wide = self.shape

        def part(values: Array, low: float, top: float, count: int) -> Numbers:
            share = (values - low) / max(top - low, 1e-9)
            return np.clip((share * count).astype(np.int64), 0, count - 1)

        period = np.asarray(step) * periods // self.steps
        row = part(latitude, south, north, high)
        return np.asarray((period * high + row) * wide + part(longitude, west, east, wide))
