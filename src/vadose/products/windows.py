"""Windows of a file: read and decoded when they are computed, never before, and no wider than asked.

dask pushes a slice down to a file only while nothing stands between the two. Decoding therefore happens
*inside* the array-like that dask slices: a region of 10 x 10 cells reads 10 x 10 cells.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.errors import FileProblem, VadoseError
from vadose.grids import coordinates
from vadose.schema import QUALITY, variable

#: Reads and decodes rows and columns of one layer: ``(y, x)``, in our unit, NaN where there is none.
ReadWindow = Callable[[slice, slice], npt.NDArray[Any]]


@dataclass(frozen=True)
class LazyLayer:
    """Look like an array ``time, y, x`` of one step, and read the window that is sliced from it.

    Examples
    --------
    >>> layer = LazyLayer(lambda rows, columns: np.eye(4)[rows, columns], (1, 4, 4), np.dtype("f8"))
    >>> layer[0:1, 0:2, 0:2].shape
    (1, 2, 2)
    """

    read: ReadWindow
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    source: Path = Path()
    ndim: int = 3

    def __getitem__(self, key: tuple[Any, ...]) -> npt.NDArray[Any]:
        """Read the smallest window that holds the key; a file that fails now is named."""
        bounds = [_covering(part, size) for part, size in zip(key, self.shape, strict=True)]
        window, rest = [bound[0] for bound in bounds], tuple(bound[1] for bound in bounds)
        try:
            values = np.asarray(self.read(window[1], window[2]), self.dtype)[np.newaxis]
        except VadoseError:
            raise
        except Exception as error:  # of damaged files libraries raise anything, MemoryError too
            raise FileProblem(
                self.source,
                found=f"values that cannot be read ({type(error).__name__}: {error})",
                remedy="Download it again.",
            ) from error
        return np.asarray(values[window[0]][rest])


def _covering(part: Any, size: int) -> tuple[slice, Any]:
    """Give the run of cells that covers an index, and the index within it.

    Files are read in runs, forward: h5py knows no negative step and is slow with others.
    """
    if not isinstance(part, slice):
        return slice(0, size), part
    picked = range(*part.indices(size))
    if not picked:
        return slice(0, 0), slice(None)
    return slice(min(picked), max(picked) + 1), slice(None, None, picked.step)


def one_step(
    layers: Mapping[str, ReadWindow],
    grid: GeoBox,
    stamp: np.datetime64,
    *,
    source: Path,
    cell_methods: str = "time: point",
) -> xr.Dataset:
    """Build the dataset of one time step from functions that read windows of it.

    Parameters
    ----------
    layers
        Our name of each variable, and what reads it.
    grid
        Grid of the whole file.
    stamp
        Time stamp, UTC.
    source
        The file, to be named when it fails while its values are read.
    cell_methods
        What the values stand for in time.

    Returns
    -------
    xarray.Dataset
        dims ``time, y, x``, one dask chunk a variable; nothing is read yet.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> grid = latlon(90.0)
    >>> step = one_step(
    ...     {"soil_moisture": lambda rows, columns: np.full((2, 4), 0.3, "f4")[rows, columns]},
    ...     grid, np.datetime64("2020-01-01"), source=Path("a.h5"),
    ... )
    >>> step["soil_moisture"].attrs["units"]
    'm3 m-3'
    """
    shape = (1, int(grid.shape.y), int(grid.shape.x))
    cube = xr.Dataset(coords={"time": [stamp.astype("datetime64[ns]")], **coordinates(grid)})
    for name, read in layers.items():
        dtype = np.dtype("u2" if name == "quality" else "f4")
        # Inlined and "fancy": the form in which dask fuses a later slice with the reading.
        values = da.from_array(
            LazyLayer(read, shape, dtype, source), chunks=shape, inline_array=True, name=False,
            meta=np.empty((0, 0, 0), dtype),
        )  # fmt: skip
        attributes: dict[str, object] = {**variable(name).attributes()}
        if name == "quality":
            attributes |= QUALITY.attributes()
        else:
            attributes["cell_methods"] = cell_methods
        cube[name] = (("time", "y", "x"), values, attributes)
    return cube


def decode(
    raw: npt.NDArray[Any],
    *,
    fill: float | Collection[float] | None,
    valid: tuple[float, float],
    scale: float = 1.0,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Turn stored numbers into values: fill values and values out of range become NaN.

    Parameters
    ----------
    raw
        Stored numbers.
    fill
        The number that means no data, or several; None when there is none.
    valid
        Smallest and largest stored number that can be right.
    scale
        Our unit for one of the stored unit.

    Returns
    -------
    values : float32, NaN where there is no valid number
    is_outside : where a number was stored but lies out of range

    Examples
    --------
    >>> values, is_outside = decode(np.array([-9999.0, 25.0, 130.0]), fill=-9999, valid=(0, 100),
    ...                             scale=0.01)
    >>> values.tolist(), is_outside.tolist()
    ([nan, 0.25, nan], [False, False, True])
    """
    if not np.issubdtype(raw.dtype, np.number):
        raise TypeError(f"type {raw.dtype}, expected numbers")
    is_missing = (
        np.isnan(raw) if np.issubdtype(raw.dtype, np.floating) else np.zeros(raw.shape, "?")
    )
    fills = () if fill is None else fill if isinstance(fill, Collection) else (fill,)
    for number in fills:
        with np.errstate(over="ignore"):  # one that the type cannot hold equals nothing
            is_missing = is_missing | (raw == number)
    is_outside = ~is_missing & ((raw < valid[0]) | (raw > valid[1]))
    values = (raw.astype("f8") * scale).astype("f4")
    values[is_missing | is_outside] = np.nan
    return values, is_outside


def require_flags(path: Path, *arrays: Any) -> None:
    """Refuse flags that are not integers: text and yes-or-no would be taken for no flag at all.

    Raises
    ------
    FileProblem
    """
    for array in arrays:
        if array.dtype.kind not in "iu":
            raise FileProblem(
                path,
                found=f"{array.name.rsplit('/', 1)[-1]} of type {array.dtype}",
                expected="integer flags",
            )


def require(path: Path, names: set[str], wanted: list[str], *, product: str) -> None:
    """Refuse a file that lacks variables, saying which and what it holds instead.

    Raises
    ------
    FileProblem

    Examples
    --------
    >>> require(Path("a.h5"), {"albedo"}, ["soil_moisture"], product="SPL3SMP")
    Traceback (most recent call last):
    vadose.errors.FileProblem: a.h5: found no soil_moisture, only albedo, expected a file of SPL3SMP.
    """
    missing = [name for name in wanted if name not in names]
    if missing:
        kept = sorted(names)
        listed = ", ".join(kept[:12]) + (f" and {len(kept) - 12} more" if len(kept) > 12 else "")
        raise FileProblem(
            path,
            found=f"no {', '.join(missing)}, only {listed or 'nothing'}",
            expected=f"a file of {product}",
        )
