"""The grid under scattered points: a window of a named one, or the regular one that they are centres of.

Coordinates in tables are rounded, and rows without a value are often left out, so that step and
registration must be found through rounding and gaps; files of different extents then agree to the bit.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyproj
from affine import Affine
from odc.geo.geobox import GeoBox

from vadose.errors import GridProblem, NoOverlap, RecipeProblem, UnknownName
from vadose.grids import EASE2_SHAPES, Region, lonlat, named_grid

Floats = npt.NDArray[np.float64]

#: Degrees by which coordinates of one row or column may differ: written with five decimals, or float32.
JITTER = 2e-5
#: Steps, in cells, that a row or column of a regular grid may be off its place.
TOLERANCE = 0.25
#: Cells that a grid may have.
MAXIMUM_CELLS = 2**26


def named_window(name: str, region: Region | None, product: str) -> GeoBox | None:
    """Give the window of a named grid; all of these are cylindrical, so rows and columns are found apart.

    Parameters
    ----------
    name
        Name of a grid (`vadose.grids.named_grid`), or ``regular``, for which only the points tell.
    region
        West, south, east, north in degrees: all cells whose centre is inside. None for all cells.
    product
        Name of the product, for errors.

    Returns
    -------
    odc.geo.geobox.GeoBox or None
        None for ``regular``: see `regular_grid`.

    Raises
    ------
    UnknownName
        No grid has this name.
    NoOverlap
        The region holds the centre of no cell.
    RecipeProblem
        The grid has more than `MAXIMUM_CELLS`.

    Examples
    --------
    >>> named_window("latlon_0.5", (11.0, 48.0, 12.0, 49.0), "OURS").shape
    Shape2d(x=2, y=2)
    """
    if name == "regular":
        return None
    try:
        grid = named_grid(name)
    except UnknownName as error:
        names = [*EASE2_SHAPES, "latlon_<degrees>", "regular"]
        raise UnknownName(f"product {product}: grid", name, names) from error
    if region is not None:
        west, south, east, north = region
        middle_row, middle_column = grid.shape[0] // 2, grid.shape[1] // 2
        longitude = lonlat(grid[middle_row : middle_row + 1, :])[0].ravel()
        latitude = lonlat(grid[:, middle_column : middle_column + 1])[1].ravel()
        columns = np.flatnonzero((longitude >= west) & (longitude <= east))
        rows = np.flatnonzero((latitude >= south) & (latitude <= north))
        if rows.size == 0 or columns.size == 0:
            raise NoOverlap(
                f"product {product}: region",
                found=f"{region}, without the centre of any cell of {name}",
                expected="a larger region or a finer grid",
            )
        grid = grid[int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1]
    cells = grid.shape[0] * grid.shape[1]
    if cells > MAXIMUM_CELLS:
        raise RecipeProblem(
            f"product {product}",
            found=f"a grid of {cells:,} cells",
            expected=f"at most {MAXIMUM_CELLS:,}",
            remedy="State a region in the description.",
        )
    return grid


def cells_of(
    longitude: Floats, latitude: Floats, grid: GeoBox
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Find the number of the cell of each point, and which points have one.

    Cells are counted by rows from the north-west; the number of a point without a cell is 0.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> grid = latlon(1.0, (0.0, 50.0, 3.0, 52.0))
    >>> cells_of(np.array([0.5, 2.5, 9.5]), np.array([51.5, 50.5, 50.5]), grid)
    (array([0, 5, 0]), array([ True,  True, False]))
    """
    x, y = longitude, np.clip(latitude, -90 + 1e-9, 90 - 1e-9)  # poles have a cell
    if grid.crs is None or grid.crs.epsg != 4326:
        transformer = pyproj.Transformer.from_crs("EPSG:4326", str(grid.crs), always_xy=True)
        x, y = (np.asarray(axis, dtype=np.float64) for axis in transformer.transform(x, y))
    rows, columns = grid.shape
    row = np.floor((y - grid.affine.f) / grid.affine.e)
    column = np.floor((x - grid.affine.c) / grid.affine.a)
    is_inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    cell = np.where(is_inside, row * columns + column, 0).astype(np.intp)
    return cell, is_inside


def regular_grid(path: Path, longitude: Floats, latitude: Floats, region: Region | None) -> GeoBox:
    """Find the longitude/latitude grid whose centres the points are: step, registration, extent.

    Parameters
    ----------
    path
        The file that the points come from, for errors.
    longitude, latitude
        Degrees, in any order; cells may lack a point.
    region
        West, south, east, north in degrees: all cells whose centre is inside. None for the extent of
        the points.

    Raises
    ------
    GridProblem
        The points lie on no regular grid, or on one of more than `MAXIMUM_CELLS`.
    NoOverlap
        The region holds the centre of no cell.

    Examples
    --------
    >>> longitude, latitude = np.array([0.05, 0.15, 0.25]), np.array([51.25, 51.35, 51.25])
    >>> grid = regular_grid(Path("survey.csv"), longitude, latitude, None)
    >>> grid.shape, grid.resolution
    (Shape2d(x=3, y=2), Resolution(x=0.1, y=-0.1))
    """
    left, width, columns = _cells_along(longitude, f"{path}: longitude")
    top, height, rows = _cells_along(-latitude, f"{path}: latitude")
    if region is not None:
        west, south, east, north = region
        left, columns = _window_along(left, width, (west, east), path)
        top, rows = _window_along(top, height, (-north, -south), path)
    if rows * columns > MAXIMUM_CELLS:
        raise GridProblem(
            path,
            found=f"points of a regular grid of {rows:,} x {columns:,} cells",
            expected=f"at most {MAXIMUM_CELLS:,}",
            remedy="State a region in the description.",
        )
    # rounded, so that files of different extents agree to the bit on the cells that they share
    corner = Affine(width, 0, round(left, 10), 0, -height, round(-top, 10))
    return GeoBox((rows, columns), corner, "EPSG:4326")


def _cells_along(coordinates: Floats, source: str) -> tuple[float, float, int]:
    """Find the first edge, the width and the number of cells along an axis, whose rows may have gaps."""
    values = np.unique(coordinates)
    breaks = np.flatnonzero(np.diff(values) > JITTER) + 1  # coordinates of a row are rounded
    centres = np.array([part.mean() for part in np.split(values, breaks)])
    if centres.size < 2:
        raise GridProblem(
            source,
            found="a single row or column of points",
            expected="two or more",
            remedy="Name the grid in the description.",
        )
    steps = np.diff(centres)
    place = np.concatenate([[0], np.cumsum(np.round(steps / np.median(steps)))])
    step, first = np.polyfit(place, centres, 1) if place[-1] else (np.nan, np.nan)
    off = np.abs(centres - first - step * place).max() / step
    is_dense = 2 * np.count_nonzero(np.diff(place) == 1) >= steps.size
    if not (off <= TOLERANCE and is_dense and step >= JITTER / TOLERANCE):
        raise GridProblem(
            source,
            found=f"{centres.size} rows or columns of points, {steps.min():.6g} to {steps.max():.6g} "
            f"degrees apart, the worst {off:.2f} cells from an even grid of {step:.6g}",
            expected=f"at most {TOLERANCE:g} cells of {JITTER / TOLERANCE:g} degrees or more, most of "
            "them one cell apart",
            remedy="Name a grid in the description: its cells take the mean of the points in them.",
        )
    return _snapped(float(first), float(step), int(place[-1]) + 1)


def _snapped(first: float, step: float, count: int) -> tuple[float, float, int]:
    """Take steps such as 1/120 or 0.1, and edges on half steps, exactly where they can be meant."""
    middle, tolerance = first + step * (count - 1) / 2, min(JITTER, 0.05 * step)
    meant = [1 / round(1 / step)] if step < 1 else []
    meant += [round(step, digits) for digits in range(6)]
    step = next((one for one in meant if abs(one - step) * count <= tolerance), step)
    edge = middle - step * count / 2
    halves = round(edge / (step / 2))
    if abs(edge - halves * step / 2) <= tolerance:
        edge = halves * step / 2
    return edge, step, count


def _window_along(
    edge: float, step: float, bounds: tuple[float, float], path: Path
) -> tuple[float, int]:
    """Find the cells whose centres lie within two bounds."""
    first, last = ((bound - edge) / step - 0.5 for bound in bounds)
    start, stop = int(np.ceil(first - 1e-6)), int(np.floor(last + 1e-6)) + 1
    if stop <= start:
        raise NoOverlap(
            path,
            found=f"cells of {step:g} degrees, none with its centre in {bounds}",
            expected="a larger region",
        )
    return edge + start * step, stop - start
