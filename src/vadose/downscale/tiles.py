"""Tiles: the fine grid in blocks of whole coarse cells, each predicted on its own.

A tile is a block of coarse cells and of time steps, and all fine cells and steps in it. To be the same
as in a prediction of the whole map it is given what its downscaler looks at around it (`Reach`), and what
lies outside of it is cut off again. So the size of a tile is a matter of memory, never of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from vadose.cubes.regrid import is_global
from vadose.downscale.base import Downscaler, Reach
from vadose.errors import GridProblem
from vadose.grids import coordinates, grid_of, nesting
from vadose.schema import GRID_MAPPING

#: Positions along each dimension.
Window = Mapping[str, slice]
#: Gives a window of a cube, in memory.
Reader = Callable[[Window], xr.Dataset]


@dataclass(frozen=True)
class Tile:
    """Name a block of coarse cells and steps.

    Attributes
    ----------
    name
        Its number in the order of time, rows and columns, as text.
    steps
        Positions in time of the coarse cube; those of a cube without time are not used.
    rows, columns
        Positions of its coarse cells.
    """

    name: str
    steps: slice
    rows: slice
    columns: slice


@dataclass(frozen=True)
class Tiling:
    """Cut a fine grid into tiles.

    Attributes
    ----------
    coarse
        Grid in which the fine one nests.
    factors
        Fine cells along ``y`` and ``x`` of a coarse cell.
    steps
        Time steps of the coarse target; None where it has no time.
    cells
        Most coarse cells along ``y`` and ``x`` of a tile.
    together
        Most steps of a tile.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> tiling = Tiling(latlon(10.0), {"y": 4, "x": 4}, steps=40, cells={"y": 9, "x": 20}, together=32)
    >>> len(tiling), tiling.shape
    (8, {'time': 32, 'y': 36, 'x': 80})
    >>> tiling.inside(next(iter(tiling)))["x"]
    slice(0, 80, None)
    """

    coarse: GeoBox
    factors: Mapping[str, int]
    steps: int | None
    cells: Mapping[str, int]
    together: int

    @property
    def shape(self) -> dict[str, int]:
        """Give the size of a tile in steps and fine cells."""
        sides = {dim: self.cells[dim] * self.factors[dim] for dim in ("y", "x")}
        return sides if self.steps is None else {"time": self.together, **sides}

    @property
    def pixels(self) -> int:
        """Count the fine cells and steps of the largest tile."""
        whole = {
            "time": self.steps or 1,
            "y": self.coarse.shape.y * self.factors["y"],
            "x": self.coarse.shape.x * self.factors["x"],
        }
        return int(np.prod([min(size, whole[dim]) for dim, size in self.shape.items()]))

    def _spans(self) -> Iterator[tuple[slice, slice, slice]]:
        for steps in _spans(self.steps or 1, self.together):
            for rows in _spans(self.coarse.shape.y, self.cells["y"]):
                for columns in _spans(self.coarse.shape.x, self.cells["x"]):
                    yield steps, rows, columns

    def __iter__(self) -> Iterator[Tile]:
        """Give the tiles in the order of time, rows and columns."""
        for number, spans in enumerate(self._spans()):
            yield Tile(f"{number:05d}", *spans)

    def __len__(self) -> int:
        """Count the tiles."""
        return int(
            -(-(self.steps or 1) // self.together)
            * -(-self.coarse.shape.y // self.cells["y"])
            * -(-self.coarse.shape.x // self.cells["x"])
        )

    def inside(self, tile: Tile) -> dict[str, slice]:
        """Give the positions of a tile in the fine field, dims ``[time,] y, x``."""
        window = {
            dim: slice(span.start * self.factors[dim], span.stop * self.factors[dim])
            for dim, span in (("y", tile.rows), ("x", tile.columns))
        }
        return window if self.steps is None else {"time": tile.steps, **window}


def _spans(total: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, total)) for start in range(0, total, step)]


def predict_tile(
    downscaler: Downscaler,
    tiling: Tiling,
    tile: Tile,
    fine: Reader,
    coarse: Reader,
    fine_times: npt.NDArray[Any] | None,
    coarse_times: npt.NDArray[Any] | None,
) -> xr.Dataset:
    """Predict one tile, from what its downscaler looks at around it.

    Parameters
    ----------
    downscaler
        Fitted.
    tiling, tile
        Which cells and steps.
    fine, coarse
        Give windows of the two cubes.
    fine_times, coarse_times
        Their time stamps; None for a cube without time.

    Returns
    -------
    xarray.Dataset
        The product on the fine cells and steps of the tile.
    """
    reach = downscaler.reach(max(tiling.factors.values()))
    around, known, cut = surroundings(tiling, tile, reach, fine, coarse, fine_times, coarse_times)
    return downscaler.predict(around, known).isel(cut)


def surroundings(
    tiling: Tiling,
    tile: Tile,
    reach: Reach,
    fine: Reader,
    coarse: Reader,
    fine_times: npt.NDArray[Any] | None,
    coarse_times: npt.NDArray[Any] | None,
) -> tuple[xr.Dataset, xr.Dataset, dict[str, slice]]:
    """Read a tile and what lies around it, as far as a downscaler looks.

    Parameters
    ----------
    reach
        How far that is.
    tiling, tile, fine, coarse, fine_times, coarse_times
        As for `predict_tile`.

    Returns
    -------
    tuple
        Windows of the fine and of the coarse cube, and where in the fine one the tile lies.
    """
    steps = _longer(tile.steps, reach.steps)
    around = _around(tiling, tile, reach)
    known = read_coarse(coarse, tiling.coarse, around, None if coarse_times is None else steps)
    window = _fine_window(tiling, tile, reach)
    if fine_times is not None:
        window["time"] = _same_steps(fine_times, coarse_times, steps)
    inside = tiling.inside(tile)
    cut = {
        dim: slice(inside[dim].start - window[dim].start, inside[dim].stop - window[dim].start)
        for dim in ("y", "x")
    }
    if tiling.steps is not None:
        cut["time"] = slice(tile.steps.start - steps.start, tile.steps.stop - steps.start)
    return fine(window), known, cut


def _longer(steps: slice, before: int | None) -> slice:
    return slice(0 if before is None else max(0, steps.start - before), steps.stop)


def _around(tiling: Tiling, tile: Tile, reach: Reach) -> tuple[slice, slice]:
    """Give rows and columns of the coarse map; columns of a global one may lie beyond its sides."""
    height, width = tiling.coarse.shape
    beside = _in_cells(tiling, reach)
    if reach.coarse is None or beside is None:
        return slice(0, height), slice(0, width)
    margins = {dim: max(reach.coarse, beside[dim]) for dim in ("y", "x")}
    rows = slice(max(0, tile.rows.start - margins["y"]), min(height, tile.rows.stop + margins["y"]))
    columns = slice(tile.columns.start - margins["x"], tile.columns.stop + margins["x"])
    is_whole = tile.columns.stop - tile.columns.start == width
    if is_whole or not is_global(tiling.coarse):
        columns = slice(max(0, columns.start), min(width, columns.stop))
    return rows, columns


def _in_cells(tiling: Tiling, reach: Reach) -> dict[str, int] | None:
    """Count the coarse cells that the margin of the fine cube lies in; None for the whole map."""
    fine = reach.fine
    if fine is None or reach.coarse is None:
        return None
    return {dim: -(-fine // factor) for dim, factor in tiling.factors.items()}


def _fine_window(tiling: Tiling, tile: Tile, reach: Reach) -> dict[str, slice]:
    beside = _in_cells(tiling, reach)
    window = {}
    for axis, (dim, span) in enumerate((("y", tile.rows), ("x", tile.columns))):
        total, factor = tiling.coarse.shape[axis], tiling.factors[dim]
        low, high = 0, total
        if beside is not None:
            low, high = max(0, span.start - beside[dim]), min(total, span.stop + beside[dim])
        window[dim] = slice(low * factor, high * factor)
    return window


def read_coarse(
    read: Reader, grid: GeoBox, around: tuple[slice, slice], steps: slice | None
) -> xr.Dataset:
    """Read a window of a coarse cube; columns beyond the sides of a global map come from the other side.

    Parameters
    ----------
    read
        Gives windows of the cube.
    grid
        Of the whole cube.
    around
        Rows and columns.
    steps
        Positions in time; None for a cube without time.
    """
    rows, columns = around
    time = {} if steps is None else {"time": steps}
    width = grid.shape.x
    pieces = [
        slice(max(columns.start, 0), min(columns.stop, width)),
    ]
    if columns.start < 0:
        pieces.insert(0, slice(width + columns.start, width))
    if columns.stop > width:
        pieces.append(slice(0, columns.stop - width))
    parts = [read({**time, "y": rows, "x": piece}) for piece in pieces]
    if len(parts) == 1:
        return parts[0]
    bare = [part.drop_vars(["x"]) for part in parts]
    joined = xr.concat(
        bare,
        dim="x",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )
    shifted = grid.affine * Affine.translation(columns.start, rows.start)
    window = GeoBox((rows.stop - rows.start, columns.stop - columns.start), shifted, grid.crs)
    return joined.drop_vars(["y", GRID_MAPPING]).assign_coords(coordinates(window))


def _same_steps(
    fine_times: npt.NDArray[Any], coarse_times: npt.NDArray[Any] | None, steps: slice
) -> slice:
    """Find where a fine cube has the steps of the coarse one; it may have others in between."""
    if coarse_times is None:
        return slice(0, len(fine_times))
    wanted = coarse_times[steps]
    places = np.flatnonzero(np.isin(fine_times, wanted))
    if not len(places):  # whoever aligns the two says what is missing
        return slice(0, 0)
    return slice(int(places[0]), int(places[-1]) + 1)


def tiling_of(
    fine: xr.Dataset,
    coarse: xr.Dataset,
    target: str,
    *,
    cells: int | Mapping[str, int] | None = None,
    together: int | None = None,
) -> Tiling:
    """Cut the grid of a fine cube into tiles.

    Parameters
    ----------
    fine, coarse
        The two cubes; their grids nest.
    target
        Variable to downscale, whose steps count.
    cells
        Coarse cells along the sides of a tile; all unless given.
    together
        Steps of a tile; all unless given.

    Raises
    ------
    GridProblem
        Grids that do not nest; tiles of no cell or step.
    """
    grid = grid_of(coarse)
    factors = nesting(grid, grid_of(fine))
    steps = coarse.sizes["time"] if "time" in coarse[target].dims else None
    whole = {"y": grid.shape.y, "x": grid.shape.x}
    sides = (
        whole if cells is None else {"y": cells, "x": cells} if isinstance(cells, int) else cells
    )
    many = (steps or 1) if together is None else together
    if min(*sides.values(), many) < 1:
        raise GridProblem(
            "tiles",
            found=f"{sides['y']} x {sides['x']} coarse cells, {many} steps",
            expected="1 or more of each",
        )
    clipped = {dim: min(sides[dim], whole[dim]) for dim in ("y", "x")}
    return Tiling(grid, factors, steps, clipped, min(many, steps or 1))
