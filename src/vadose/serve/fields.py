"""What a layer of the map draws its numbers from: a variable of a store, or the difference of two."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import rasterio.warp
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.grids import grid_of

Numbers = npt.NDArray[Any]


class Field(Protocol):
    """Give numbers of one variable, window by window; it may be asked from many threads."""

    @property
    def grid(self) -> GeoBox:
        """Grid of the cells."""

    @property
    def times(self) -> npt.NDArray[np.datetime64]:
        """Stamps; none where the field does not depend on time."""

    @property
    def rows_at_once(self) -> int:
        """Rows that a chunk on disk holds."""

    def read(self, step: int, rows: slice, columns: slice) -> Numbers:
        """Read a window ``(y, x)`` of one step; NaN where there is no value."""

    def series(self, row: int, column: int) -> Numbers:
        """Read all steps ``(time,)`` of one cell."""


@dataclass(frozen=True)
class StoredField:
    """Is one variable of a cube that was opened by `vadose.store.open_windows`."""

    array: xr.DataArray

    @cached_property
    def grid(self) -> GeoBox:
        """Grid of the cells."""
        return grid_of(self.array)

    @cached_property
    def times(self) -> npt.NDArray[np.datetime64]:
        """Stamps; none where the field does not depend on time."""
        if "time" not in self.array.dims:
            return np.array([], "M8[ns]")
        return np.asarray(self.array["time"].values).astype("M8[ns]")

    @property
    def rows_at_once(self) -> int:
        """Rows that a chunk on disk holds."""
        chunks = self.array.encoding.get("preferred_chunks") or {}
        return int(chunks.get("y", 256))

    def read(self, step: int, rows: slice, columns: slice) -> Numbers:
        """Read a window ``(y, x)`` of one step; NaN where there is no value."""
        part = self.array.isel({"y": rows, "x": columns})
        if "time" in part.dims:
            part = part.isel(time=step)
        return np.asarray(part.values)

    def series(self, row: int, column: int) -> Numbers:
        """Read all steps ``(time,)`` of one cell; of a static field one number for all."""
        return np.atleast_1d(np.asarray(self.array.isel(y=row, x=column).values))


@dataclass(frozen=True)
class DifferenceField:
    """Is a fine field minus another, cell by cell of the fine one; NaN where either has no value.

    Attributes
    ----------
    fine
        The field that is looked at.
    other
        What it is compared with, on a grid of the same CRS: the cell that holds the centre counts.
    """

    fine: Field
    other: Field

    @property
    def grid(self) -> GeoBox:
        """Grid of the fine field."""
        return self.fine.grid

    @cached_property
    def times(self) -> npt.NDArray[np.datetime64]:
        """Stamps that both have."""
        if not self.fine.times.size or not self.other.times.size:
            return self.fine.times if self.fine.times.size else self.other.times
        return np.intersect1d(self.fine.times, self.other.times)

    @property
    def rows_at_once(self) -> int:
        """Rows that a chunk of the fine field holds."""
        return self.fine.rows_at_once

    def read(self, step: int, rows: slice, columns: slice) -> Numbers:
        """Read a window of the difference."""
        stamp = self.times[step] if self.times.size else None
        fine = self.fine.read(_step(self.fine, stamp), rows, columns).astype("f4")
        row, column = self._rows[rows], self._columns[columns]
        if not ((row >= 0).any() and (column >= 0).any()):
            return np.full_like(fine, np.nan)
        top, left = row[row >= 0].min(), column[column >= 0].min()
        there = self.other.read(
            _step(self.other, stamp), slice(top, row.max() + 1), slice(left, column.max() + 1)
        ).astype("f4")
        other = there[np.clip(row - top, 0, None)[:, None], np.clip(column - left, 0, None)]
        other[row < 0] = np.nan
        other[:, column < 0] = np.nan
        return np.asarray(fine - other)

    def series(self, row: int, column: int) -> Numbers:
        """Read all steps of one cell."""
        fine = self.fine.series(row, column)
        across, along = int(self._rows[row]), int(self._columns[column])
        if across < 0 or along < 0:
            return np.full(max(self.times.size, 1), np.nan, "f4")
        other = self.other.series(across, along)
        if self.times.size:
            fine = (
                fine[np.searchsorted(self.fine.times, self.times)] if self.fine.times.size else fine
            )
            other = (
                other[np.searchsorted(self.other.times, self.times)]
                if self.other.times.size
                else other
            )
        return np.asarray(fine - other)

    @cached_property
    def _rows(self) -> npt.NDArray[np.int64]:
        return _owners(self.grid, self.other.grid, axis=0)

    @cached_property
    def _columns(self) -> npt.NDArray[np.int64]:
        return _owners(self.grid, self.other.grid, axis=1)


def _step(field: Field, stamp: np.datetime64 | None) -> int:
    if stamp is None or not field.times.size:
        return 0
    return int(np.searchsorted(field.times, stamp))


def _owners(fine: GeoBox, other: GeoBox, axis: int) -> npt.NDArray[np.int64]:
    """Give for rows (0) or columns (1) of one grid the one of another that holds the centre, or -1."""
    count, size = tuple(fine.shape)[axis], tuple(other.shape)[axis]
    here, there = fine.affine, other.affine
    step, start = (here.e, here.f) if axis == 0 else (here.a, here.c)
    other_step, other_start = (there.e, there.f) if axis == 0 else (there.a, there.c)
    centres = start + (np.arange(count) + 0.5) * step
    found = np.floor((centres - other_start) / other_step).astype("i8")
    found[(found < 0) | (found >= size)] = -1
    return np.asarray(found)


def cell_at(grid: GeoBox, longitude: float, latitude: float) -> tuple[int, int] | None:
    """Give row and column of the cell that holds a place, None outside of the grid.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> cell_at(latlon(10.0), -175.0, 85.0), cell_at(latlon(10.0, (0, 0, 20, 20)), -5.0, 5.0)
    ((0, 0), None)
    """
    longitude = (longitude + 180.0) % 360.0 - 180.0
    across, along = rasterio.warp.transform("EPSG:4326", str(grid.crs), [longitude], [latitude])[:2]
    if not (np.isfinite(across[0]) and np.isfinite(along[0])):
        return None
    column, row = ~grid.affine * (across[0], along[0])
    place = int(np.floor(row)), int(np.floor(column))
    rows, columns = tuple(grid.shape)
    return place if 0 <= place[0] < rows and 0 <= place[1] < columns else None


def bounds_of(grid: GeoBox) -> tuple[float, float, float, float]:
    """Give west, south, east and north of a grid in degrees, within what a Mercator map can show.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> bounds_of(latlon(10.0))
    (-180.0, -85.0, 180.0, 85.0)
    """
    box = grid.boundingbox
    west, south, east, north = rasterio.warp.transform_bounds(
        str(grid.crs), "EPSG:4326", box.left, box.bottom, box.right, box.top, densify_pts=21
    )
    return max(west, -180.0), max(south, -85.0), min(east, 180.0), min(north, 85.0)
