"""Where an array of a file lies: coordinates in any order and convention become a grid, north up.

Coordinates in files are rounded (float32), run north or south, 0..360 or −180..180, and mark centres or
corners. Grids must be equal between files, so what is meant exactly is taken exactly.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from vadose.errors import GridProblem
from vadose.grids import EASE2_SHAPES, coordinates, lonlat, named_grid
from vadose.products.raw import ArrangedArray, LazyArray

Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Placement:
    """Say on which grid an array lies once it is rolled to −180..180 and flipped north up."""

    grid: GeoBox
    is_south_up: bool = False
    is_east_first: bool = False
    roll: int = 0

    def apply(self, array: LazyArray) -> LazyArray:
        """Bring an array ``(…, y, x)`` into the order of the grid."""
        y, x = (np.arange(size, dtype=np.intp) for size in array.shape[-2:])
        if self.is_south_up:
            y = y[::-1]
        if self.is_east_first:
            x = x[::-1]
        x = np.roll(x, -self.roll)
        others = array.ndim - 2
        return ArrangedArray(array, range(array.ndim), [None] * others + [y, x])


def place(
    y: Values, x: Values, *, crs: str, source: str, registration: str = "centre", step: float = 0.0
) -> Placement:
    """Find the grid of two coordinate arrays and what must be turned.

    Parameters
    ----------
    y, x
        Coordinates as in the file, in any direction; longitudes 0..360 are brought to −180..180.
    crs
        CRS of the coordinates.
    source
        File, for messages.
    registration
        What the coordinates mark: ``centre``, ``lower_left`` or ``upper_left`` of a cell.
    step
        Cell size, needed for a single row or column.

    Raises
    ------
    GridProblem
        Uneven steps (a Gaussian grid, a missing row), or a map cut at 180°.

    Examples
    --------
    >>> import numpy as np
    >>> found = place(np.array([-45.0, 45.0]), np.array([45.0, 135, 225, 315]),
    ...               crs="EPSG:4326", source="example.nc")
    >>> found.is_south_up, found.roll, found.grid.boundingbox.bbox
    (True, 2, (-180.0, -90.0, 180.0, 90.0))
    """
    y, x = _numbers(y, f"{source}: y"), _numbers(x, f"{source}: x")
    is_geographic = crs.upper() == "EPSG:4326"
    is_east_first = x.size > 1 and x[-1] < x[0] and bool((np.diff(x) < 0).all())
    is_south_up = y.size > 1 and bool(y[-1] > y[0])
    if is_east_first:
        x = x[::-1]
    roll = 0
    if is_geographic and x.max() >= 180 - 1e-4:
        x = np.where(x >= 180 - 1e-4, x - 360, x)
        roll = int(np.argmin(x))
        x = np.roll(x, -roll)
    if is_south_up:
        y = y[::-1]
    left, dx = _first_edge_and_step(x, step, source=f"{source}: x", snap=is_geographic)
    top, dy = _first_edge_and_step(-y, step, source=f"{source}: y", snap=is_geographic)
    top = -top
    if registration in ("lower_left", "upper_left"):
        left += dx / 2
        top += dy / 2 if registration == "lower_left" else -dy / 2
    elif registration != "centre":
        raise GridProblem(
            source,
            found=f"registration {registration!r}",
            expected="centre, lower_left or upper_left",
        )
    affine = Affine(dx, 0, left, 0, -dy, top)
    return Placement(GeoBox((y.size, x.size), affine, crs), is_south_up, is_east_first, roll)


def place_on(y: Values, x: Values, grid: GeoBox, *, source: str) -> Placement:
    """Find the rows and columns of a named grid that latitudes and longitudes are centres of.

    EASE-Grid files give them in degrees, where the rows are not evenly spaced.

    Raises
    ------
    GridProblem
        When they are not centres of a rectangle of this grid.

    Examples
    --------
    >>> from vadose.grids import named_grid
    >>> found = place_on(np.array([-0.1, 0.2]), np.array([0.2, 0.5]), named_grid("EASE2_36km"),
    ...                  source="example.nc")
    Traceback (most recent call last):
    vadose.errors.GridProblem: example.nc: found latitude 0.2 between rows, expected centres of \
cells of the named grid.
    """
    longitude, latitude = (axis.ravel() for axis in _centres_in_degrees(grid))
    spans = {}
    for word, wanted, centres in (("latitude", y, latitude), ("longitude", x, longitude)):
        wanted = _numbers(wanted, f"{source}: {word}")
        distance = np.abs(wanted[:, None] - centres[None, :])
        nearest = distance.argmin(axis=1)
        off = distance.min(axis=1) / np.abs(np.gradient(centres))[nearest]
        if not (off < 0.1).all():  # NaN fails too
            worst = wanted[np.argmax(np.where(np.isnan(off), np.inf, off))]
            raise GridProblem(
                source,
                found=f"{word} {worst:g} between {'rows' if word == 'latitude' else 'columns'}",
                expected="centres of cells of the named grid",
            )
        steps = np.unique(np.diff(nearest))
        if steps.size > 1 or (steps.size and abs(steps[0]) != 1):
            raise GridProblem(source, found=f"{word} with gaps", expected="whole rows and columns")
        spans[word] = (int(nearest.min()), bool(steps.size and steps[0] < 0))
    (top, is_south_up), (left, is_east_first) = spans["latitude"], spans["longitude"]
    part = grid[top : top + np.size(y), left : left + np.size(x)]
    return Placement(part, is_south_up, is_east_first)


def ease_grid(y: Values, x: Values, *, source: str) -> Placement | None:
    """Find the EASE-Grid 2.0 that latitudes and longitudes are cell centres of; None if there is none.

    Files on such a grid often hold nothing but degrees, whose rows are not evenly spaced.

    Examples
    --------
    >>> from vadose.grids import lonlat, named_grid
    >>> longitude, latitude = lonlat(named_grid("EASE2_36km")[300:304, 500:506])
    >>> found = ease_grid(latitude[:, 0].round(2), longitude[0].round(2), source="example.nc")
    >>> found.grid == named_grid("EASE2_36km")[300:304, 500:506]
    True
    """
    degrees = _numbers(x, f"{source}: x")
    if degrees.size < 2 or np.size(y) < 2:
        return None
    step = abs(degrees[-1] - degrees[0]) / (degrees.size - 1)
    for name, (_, columns) in EASE2_SHAPES.items():
        # rounding of both ends, against the sizes of the grids, which are far apart
        if abs(step * columns / 360 - 1) > 0.02:
            continue
        try:
            return place_on(y, degrees, named_grid(name), source=source)
        except GridProblem:
            return None
    return None


def _numbers(values: Values, source: str) -> npt.NDArray[np.float64]:
    """Take coordinates that are numbers; numpy would make some of text, and of complex ones."""
    values = np.asarray(values)
    if values.dtype.kind not in "iuf" or values.ndim != 1 or values.size == 0:
        raise GridProblem(
            source,
            found=f"coordinates of type {values.dtype}, shape {values.shape}",
            expected="a row of numbers",
        )
    return values.astype(np.float64)


@functools.lru_cache(maxsize=8)
def _centres_in_degrees(grid: GeoBox) -> tuple[Values, Values]:
    """Give the longitude of each column and the latitude of each row of a cylindrical grid."""
    rows, columns = grid.shape
    longitude, _ = lonlat(grid[rows // 2 : rows // 2 + 1, :])
    _, latitude = lonlat(grid[:, columns // 2 : columns // 2 + 1])
    return longitude, latitude


def _first_edge_and_step(
    centres: Values, step: float, *, source: str, snap: bool
) -> tuple[float, float]:
    """Take the step from both ends, so that the rounding of float32 coordinates averages out."""
    if not np.isfinite(centres).all():
        raise GridProblem(source, found="coordinates that are not finite", expected="numbers")
    if centres.size > 1:
        step = float(centres[-1] - centres[0]) / (centres.size - 1)
        steps = np.diff(centres)
        tolerance = 0.02 * abs(step) + 4e-5
        if step <= 0 or np.abs(steps - step).max() > tolerance:
            raise GridProblem(
                source,
                found=f"steps from {steps.min():g} to {steps.max():g}",
                expected="even steps",
                remedy="Crop maps that cross 180° in two; regrid Gaussian and curvilinear grids.",
            )
    elif step <= 0:
        raise GridProblem(source, found="a single cell", expected="two or more, or a cell size")
    if snap:  # steps such as 0.1 or 1/112, and edges on half steps, are meant exactly
        count = 1 / step
        rounding = 1.3e-7 * float(np.abs(centres).max()) / max(centres.size - 1, 1)
        if step < 1 and abs(count - round(count)) < count * (rounding / step + 1e-6):
            step = 1 / round(count)
        elif abs(step - round(step, 4)) < 1e-6:
            step = round(step, 4)
    edge = float(centres[0]) - step / 2
    halves = edge / (step / 2)
    if snap and abs(halves - round(halves)) < 2e-2:
        edge = round(halves) * step / 2
    return edge, step


@functools.lru_cache(maxsize=64)
def _coordinates(grid: GeoBox) -> dict[Any, xr.DataArray]:
    return coordinates(grid)


def coordinates_of(grid: GeoBox) -> dict[Any, xr.DataArray]:
    """Give the coordinates of a grid; made once for all files on it."""
    return {name: array.copy() for name, array in _coordinates(grid).items()}
