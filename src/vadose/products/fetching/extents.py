"""Make sure that a file that was cut holds what was asked for, by opening it with its readers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import xarray as xr

from vadose.errors import FileProblem, VadoseError
from vadose.grids import Region, grid_of, lonlat, named_grid
from vadose.products import PRODUCTS
from vadose.products.fetching.base import FetchProblem
from vadose.products.fetching.contents import whole_grid
from vadose.products.fetching.cuts import Cut, Need


def check_cut(path: Path, need: Need, cut: Cut) -> None:
    """Open a file that was cut with its readers, and make sure that it holds what was asked for.

    Parameters
    ----------
    path
        The file.
    need
        Which readers, and which of our variables they must give.
    cut
        The box that it must hold.

    Raises
    ------
    FetchProblem
    """
    for product, variables in need.readers.items():
        try:
            cube = PRODUCTS[product].open(path)
            _check_extent(path, cube, product, cut.box)
            missing = [
                name
                for name in variables
                if name in PRODUCTS[product].variables and name not in cube
            ]
        except (VadoseError, OSError) as error:
            raise FetchProblem(
                path.name, found=f"a cut file that cannot be read as {product} ({error})"
            ) from error
        if missing:
            raise FetchProblem(path.name, found=f"a cut file without {', '.join(missing)}")


def check_same(source: Path, target: Path, products: Iterable[str], box: Region) -> None:
    """Make sure that the readers give the same values over a box of a whole file and of a part of it.

    Raises
    ------
    FetchProblem
    """
    for product in products:
        whole, part = (PRODUCTS[product].open(path, box) for path in (source, target))
        kept = [name for name in whole.data_vars if name in part]
        is_same = all(
            np.array_equal(
                whole[name].values, part[name].values, equal_nan=name not in ("quality", "time")
            )
            for name in [*kept, "time"]
        ) and all(  # coordinates are computed from another corner
            np.allclose(whole[axis], part[axis], rtol=1e-12, atol=1e-9) for axis in ("y", "x")
        )
        if not (kept and is_same):
            raise FetchProblem(
                target.name,
                found="other values in the part than in the whole",
                expected="the same",
                remedy="The whole file is kept; please report it.",
            )


@lru_cache(maxsize=32)
def cells_in(name: str, box: Region) -> tuple[slice, slice] | None:
    """Find the rows and columns of a named grid whose centres lie in a box; all of these are cylindrical.

    Examples
    --------
    >>> cells_in("latlon_1", (0.0, 40.0, 10.0, 45.0))
    (slice(45, 50, None), slice(180, 190, None))
    """
    grid = named_grid(name)
    middle = int(grid.shape.y) // 2, int(grid.shape.x) // 2
    longitude = lonlat(grid[middle[0] : middle[0] + 1, :])[0].ravel()
    latitude = lonlat(grid[:, middle[1] : middle[1] + 1])[1].ravel()
    west, south, east, north = box
    rows = np.flatnonzero((latitude >= south) & (latitude <= north))
    columns = np.flatnonzero((longitude >= west) & (longitude <= east))
    if not (rows.size and columns.size):
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _check_extent(path: Path, cube: xr.Dataset, product: str, box: Region) -> None:
    """Refuse a file that lacks a cell whose centre lies in the box."""
    name, covered = whole_grid(product)
    grid = named_grid(name)
    west, south, east, north = (
        max(box[0], covered[0]),
        max(box[1], covered[1]),
        min(box[2], covered[2]),
        min(box[3], covered[3]),
    )
    slack = 1e-6  # a centre on the very edge of the box may go either way
    found = cells_in(name, (west + slack, south + slack, east - slack, north - slack))
    if found is None:
        return
    asked = grid[found[0], found[1]]
    held, least = grid_of(cube).boundingbox, asked.boundingbox
    rounding = 0.01 * abs(float(grid.affine.a))
    is_covered = (
        held.left <= least.left + rounding
        and held.bottom <= least.bottom + rounding
        and held.right >= least.right - rounding
        and held.top >= least.top - rounding
    )
    if not is_covered:
        raise FileProblem(
            path,
            found=f"a map over {_words(held.bbox)}",
            expected=f"all cells of {_words(least.bbox)}",
        )


def _words(box: Sequence[float]) -> str:
    return ", ".join(f"{edge:g}" for edge in box)
