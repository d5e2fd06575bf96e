"""Where a part of a SMAP map lies on its EASE-Grid: files that were cut to a box hold fewer rows and columns.

What tells it depends on who cut: projected ``x`` and ``y`` (those that vadose writes, and NASA's annotated
subsets), the row and column numbers of the cells, or latitude and longitude, which are fill values off the
swath. Whatever tells it must tell one place for all cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from vadose.errors import FileProblem
from vadose.grids import lonlat

#: Cells by which a coordinate may be off the centre of a cell.
TOLERANCE = 0.05
#: Row and column of a cell that no footprint reached.
NO_CELL = 65534


def part_of(
    path: Path, file: h5py.File, group: str, ending: str, shape: tuple[int, int], whole: GeoBox
) -> GeoBox | None:
    """Find the part of a named grid that the maps of a group lie on; None where nothing tells.

    Parameters
    ----------
    path, file
        The file, open.
    group, ending
        Group of the maps, and ending of its variables' names.
    shape
        Of the maps.
    whole
        Grid of the whole product.

    Raises
    ------
    FileProblem
        It tells a place that is not on the grid, or several.
    """
    for rows, columns in _candidates(file, group, ending, shape, whole):
        first = tuple(
            _first(path, offsets, f"{axis} of maps of shape {shape}", whole)
            for axis, offsets in (("rows", rows), ("columns", columns))
        )
        if first[0] is None or first[1] is None:
            continue
        row, column = first[0], first[1]
        is_on = 0 <= row <= whole.shape.y - shape[0] and 0 <= column <= whole.shape.x - shape[1]
        if not is_on:
            raise FileProblem(
                path, found=f"cells from row {row}, column {column}", expected="a part of the grid"
            )
        return whole[row : row + shape[0], column : column + shape[1]]
    return None


def _candidates(
    file: h5py.File, group: str, ending: str, shape: tuple[int, int], whole: GeoBox
) -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Give, by all that tells it, the row and column of each cell less its place in the part; NaN if unknown."""
    own_rows, own_columns = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    for prefix in (f"{group}/", ""):
        y, x = _numbers(file, f"{prefix}y"), _numbers(file, f"{prefix}x")
        if y is not None and x is not None and (y.shape, x.shape) == ((shape[0],), (shape[1],)):
            rows = (y - whole.affine.f) / whole.affine.e - 0.5
            columns = (x - whole.affine.c) / whole.affine.a - 0.5
            yield rows - own_rows[:, 0], columns - own_columns[0]
    rows_of, columns_of = (
        _numbers(file, f"{group}/EASE_{axis}_index{ending}") for axis in ("row", "column")
    )
    if (
        rows_of is not None
        and columns_of is not None
        and rows_of.shape == columns_of.shape == shape
    ):
        is_known = (rows_of < NO_CELL) & (rows_of >= 0)
        yield (
            np.where(is_known, rows_of, np.nan) - own_rows,
            np.where(is_known, columns_of, np.nan) - own_columns,
        )
    latitude, longitude = (
        _numbers(file, f"{group}/{name}{ending}") for name in ("latitude", "longitude")
    )
    if latitude is None or longitude is None or not latitude.shape == longitude.shape == shape:
        return
    middle = whole.shape.y // 2, whole.shape.x // 2
    centres = (
        lonlat(whole[:, middle[1] : middle[1] + 1])[1].ravel()[::-1],
        lonlat(whole[middle[0] : middle[0] + 1, :])[0].ravel(),
    )
    is_known = (np.abs(latitude) <= 90) & (np.abs(longitude) <= 180)
    rows = whole.shape.y - 1 - _places(latitude, centres[0])
    columns = _places(longitude, centres[1])
    yield (
        np.where(is_known, rows, np.nan) - own_rows,
        np.where(is_known, columns, np.nan) - own_columns,
    )


def _numbers(file: h5py.File, name: str) -> npt.NDArray[np.float64] | None:
    held = file.get(name)
    if not isinstance(held, h5py.Dataset) or held.dtype.kind not in "iuf":
        return None
    return np.asarray(held[()], dtype=np.float64)


def _places(degrees: npt.NDArray[Any], centres: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Give the fractional number of the cell whose centre lies at some degrees."""
    places: npt.NDArray[np.float64] = np.interp(
        degrees, centres, np.arange(centres.size, dtype=np.float64)
    )
    return places


def _first(path: Path, offsets: npt.NDArray[np.float64], what: str, whole: GeoBox) -> int | None:
    """Take the one number that all cells agree on; None where none of them knows."""
    known = offsets[np.isfinite(offsets)]
    if known.size == 0:
        return None
    first = round(float(np.median(known)))
    if np.abs(known - first).max() > TOLERANCE:
        raise FileProblem(
            path,
            found=f"{known.min() - first:.2f} to {known.max() - first:.2f} cells off their place: {what}",
            expected=f"{tuple(whole.shape)}, or a part of it, side by side",
        )
    return first
