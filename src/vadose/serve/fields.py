"""What a layer of the map draws its numbers from: a variable of a store, or the difference of two."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
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
    def chunk(self) -> tuple[int, int, int]:
        """Steps, rows and columns of the least part that is read from disk."""

    @property
    def shard(self) -> tuple[int, int]:
        """Rows and columns of a part that is quick to read at once."""

    def stored(self, steps: slice, rows: slice, columns: slice) -> Numbers:
        """Read a window ``(time, y, x)`` as it is stored; `meaning` tells the numbers."""

    def meaning(self, stored: Numbers) -> Numbers:
        """Give the numbers that stored ones stand for; NaN where there is no value."""

    def series(self, row: int, column: int) -> Numbers:
        """Read all steps ``(time,)`` of one cell."""


def read(source: Field, step: int, rows: slice, columns: slice) -> Numbers:
    """Read a window ``(y, x)`` of one step; NaN where there is no value."""
    return source.meaning(source.stored(slice(step, step + 1), rows, columns)[0])


@dataclass(frozen=True)
class StoredField:
    """Is one variable of a cube that was opened by `vadose.store.open_windows`.

    Attributes
    ----------
    array
        The variable, read when asked for.
    path
        The store it lies in: numbers that are packed in 16 bits are then read without being unpacked, for
        a picture needs a table of 65,536 entries instead.
    """

    array: xr.DataArray
    path: Path | None = None

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

    @cached_property
    def chunk(self) -> tuple[int, int, int]:
        """Steps, rows and columns of a chunk."""
        sides = self._sides("chunks")
        return sides.get("time", 1), sides["y"], sides["x"]

    @cached_property
    def shard(self) -> tuple[int, int]:
        """Rows and columns of a shard; of a store without shards, those of a chunk."""
        sides = self._sides("shards") or self._sides("chunks")
        return sides["y"], sides["x"]

    def _sides(self, key: str) -> dict[str, int]:
        sides = self.array.encoding.get(key)
        if not sides:
            return {} if key == "shards" else dict(zip("yx", self.grid.shape.yx, strict=True))
        return {str(dim): int(side) for dim, side in zip(self.array.dims, sides, strict=True)}

    def stored(self, steps: slice, rows: slice, columns: slice) -> Numbers:
        """Read a window ``(time, y, x)``; of a static field there is one step."""
        source = self.array.variable if self._packed is None else self._packed
        if "time" not in self.array.dims:
            return np.asarray(source[rows, columns])[None]
        return np.asarray(source[steps, rows, columns])

    def meaning(self, stored: Numbers) -> Numbers:
        """Unpack numbers of 16 bits; others stand for themselves."""
        if self._packed is None:
            return stored
        packing = self.array.encoding
        scale, offset = np.float32(packing["scale_factor"]), np.float32(packing["add_offset"])
        numbers = stored.astype("f4") * scale + offset
        numbers[stored == packing["_FillValue"]] = np.nan
        return np.asarray(numbers)

    def series(self, row: int, column: int) -> Numbers:
        """Read all steps ``(time,)`` of one cell; of a static field one number for all."""
        return np.atleast_1d(np.asarray(self.array.isel(y=row, x=column).values))

    @cached_property
    def _packed(self) -> Any:
        """Give the array itself where its numbers are packed in 16 bits."""
        needed = {"scale_factor", "add_offset", "_FillValue"}
        if self.path is None or not needed <= set(self.array.encoding):
            return None
        import zarr

        array = zarr.open_array(self.path, path=str(self.array.name), mode="r")
        return array if array.dtype == np.int16 and array.ndim == self.array.ndim else None


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
    def chunk(self) -> tuple[int, int, int]:
        """Steps, rows and columns of a chunk of the fine field."""
        return self.fine.chunk

    @property
    def shard(self) -> tuple[int, int]:
        """Rows and columns of a shard of the fine field."""
        return self.fine.shard

    def stored(self, steps: slice, rows: slice, columns: slice) -> Numbers:
        """Read a window of the difference."""
        stamps = self.times[steps] if self.times.size else self.times
        fine = _at(self.fine, stamps, rows, columns).astype("f4")
        row, column = self._rows[rows], self._columns[columns]
        if not ((row >= 0).any() and (column >= 0).any()):
            return np.full_like(fine, np.nan)
        top, left = row[row >= 0].min(), column[column >= 0].min()
        window = slice(top, row.max() + 1), slice(left, column.max() + 1)
        there = _at(self.other, stamps, *window).astype("f4")
        across, along = np.clip(row - top, 0, None), np.clip(column - left, 0, None)
        difference = fine - there.take(across, axis=1).take(along, axis=2)
        if (row < 0).any() or (column < 0).any():
            difference[:, row < 0] = np.nan
            difference[:, :, column < 0] = np.nan
        return np.asarray(difference)

    def meaning(self, stored: Numbers) -> Numbers:
        """Give the numbers, which stand for themselves."""
        return stored

    def series(self, row: int, column: int) -> Numbers:
        """Read all steps of one cell."""
        fine = self.fine.series(row, column)
        across, along = int(self._rows[row]), int(self._columns[column])
        if across < 0 or along < 0:
            return np.full(max(self.times.size, 1), np.nan, "f4")
        other = self.other.series(across, along)
        if self.times.size:
            fine, other = (
                numbers[np.searchsorted(field.times, self.times)] if field.times.size else numbers
                for field, numbers in ((self.fine, fine), (self.other, other))
            )
        return np.asarray(fine - other)

    @cached_property
    def _rows(self) -> npt.NDArray[np.int64]:
        return _owners(self.grid, self.other.grid, axis=0)

    @cached_property
    def _columns(self) -> npt.NDArray[np.int64]:
        return _owners(self.grid, self.other.grid, axis=1)


def _at(field: Field, stamps: npt.NDArray[np.datetime64], rows: slice, columns: slice) -> Numbers:
    """Read a window ``(time, y, x)`` at some stamps, each chunk once; a static field has one step."""
    if not field.times.size:
        return field.meaning(field.stored(slice(0, 1), rows, columns))
    places = np.searchsorted(field.times, stamps)
    first = int(places.min())
    stored = field.stored(slice(first, int(places.max()) + 1), rows, columns)
    return field.meaning(stored[places - first])


def _owners(fine: GeoBox, other: GeoBox, axis: int) -> npt.NDArray[np.int64]:
    """Give for rows (0) or columns (1) of one grid the one of another that holds the centre, or -1."""
    count, size = tuple(fine.shape)[axis], tuple(other.shape)[axis]
    here, there = fine.affine, other.affine
    step, start = (here.e, here.f) if axis == 0 else (here.a, here.c)
    other_step, other_start = (there.e, there.f) if axis == 0 else (there.a, there.c)
    centres = start + (np.arange(count) + 0.5) * step
    if axis == 1 and fine.crs is not None and fine.crs.geographic:
        centres = other_start + (centres - other_start) % 360.0
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
    if grid.crs is not None and grid.crs.geographic:
        west = grid.boundingbox.left
        across, along = [west + (longitude - west) % 360.0], [latitude]
    else:
        longitude = (longitude + 180.0) % 360.0 - 180.0
        across, along = rasterio.warp.transform(
            "EPSG:4326", str(grid.crs), [longitude], [latitude]
        )[:2]
    if not (np.isfinite(across[0]) and np.isfinite(along[0])):
        return None
    column, row = ~grid.affine * (across[0], along[0])
    place = int(np.floor(row)), int(np.floor(column))
    rows, columns = tuple(grid.shape)
    return place if 0 <= place[0] < rows and 0 <= place[1] < columns else None
