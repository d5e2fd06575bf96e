"""Tiles of one lattice, laid side by side lazily; what does not share the lattice is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import dask.array as da
import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from vadose.errors import FileProblem, GridProblem
from vadose.grids import coordinates, grid_of
from vadose.products.base import join_in_time
from vadose.schema import DIMS, variable

#: Largest shift of two tiles of one lattice, in cells. Corners in MODIS metadata differ by 1e-6 cells
#: between collections; a resampled crop is off by tenths.
TOLERANCE = 0.02


@dataclass(frozen=True)
class Placed:
    """Hold a tile and the rows and columns it fills in the mosaic."""

    tile: xr.Dataset
    rows: range
    columns: range


def mosaic(parts: Sequence[xr.Dataset], source: str) -> xr.Dataset:
    """Join tiles in space and time without reading them.

    Steps of one tile are joined in time first (the last file of a date wins), then the tiles are laid
    into the smallest rectangle that holds them. Where tiles overlap, the last one given wins where it
    has a value. Where no tile lies, floats are NaN, classes their missing code, other integers 0.

    Parameters
    ----------
    parts
        Datasets with dims ``[time,] y, x`` and a grid each.
    source
        What to call them in an error.

    Raises
    ------
    GridProblem
        When CRS, cell size or the position of the lattice differ.
    FileProblem
        When the variables of the tiles differ.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> west, east = (
    ...     xr.Dataset(
    ...         {"elevation": (("y", "x"), np.full((2, 2), height, "f4"))},
    ...         coords=coordinates(latlon(1.0, (left, 0, left + 2, 2))),
    ...     )
    ...     for left, height in ((0, 5.0), (2, 7.0))
    ... )
    >>> mosaic([west, east], "two tiles")["elevation"].values[0]
    array([5., 5., 7., 7.], dtype=float32)
    """
    by_place: dict[tuple[int, ...], list[xr.Dataset]] = {}
    first = grid_of(parts[0])
    for part in parts:
        group = by_place.setdefault(_place(first, grid_of(part), source), [])
        # Corners that differ by a fraction of a millimetre are one corner.
        group.append(part.assign_coords(y=group[0]["y"], x=group[0]["x"]) if group else part)
    tiles = [join_in_time(group, source=source) for group in by_place.values()]
    if len(tiles) == 1:
        return tiles[0]
    top, left = (min(place[axis] for place in by_place) for axis in (0, 1))
    placed = [
        Placed(
            tile,
            range(row - top, row - top + height),
            range(column - left, column - left + width),
        )
        for tile, (row, column, height, width) in zip(_share_times(tiles), by_place, strict=True)
    ]
    size = {
        "y": max(one.rows.stop for one in placed),
        "x": max(one.columns.stop for one in placed),
    }
    step = first.affine
    corner = Affine(step.a, 0, step.c + left * step.a, 0, step.e, step.f + top * step.e)
    grid = GeoBox((size["y"], size["x"]), corner, first.crs)
    names = list(tiles[0].data_vars)
    for tile in tiles:
        if set(tile.data_vars) != set(names):
            raise FileProblem(
                source,
                found=f"tiles with {sorted(map(str, tile.data_vars))} and {sorted(map(str, names))}",
                expected="the same variables in all tiles",
            )
    cube = xr.Dataset(
        {
            name: (
                tiles[0][name].dims,
                _lay([(one.tile[name], one.rows, one.columns) for one in placed], size),
                tiles[0][name].attrs,
            )
            for name in names
        },
        coords=coordinates(grid),
        attrs={**tiles[0].attrs, "number_of_tiles": len(tiles)},
    )
    if "time" in cube.dims:
        cube = cube.assign_coords(time=placed[0].tile["time"])
        dropped = sum(int(tile.attrs.get("duplicate_times_dropped", 0)) for tile in tiles)
        cube.attrs["duplicate_times_dropped"] = dropped
    return cube


def _place(first: GeoBox, grid: GeoBox, source: str) -> tuple[int, int, int, int]:
    """Give row, column, height and width of a grid, in cells of the first grid."""
    step, other = first.affine, grid.affine
    column, row = (other.c - step.c) / step.a, (other.f - step.f) / step.e
    is_same_step = np.allclose((other.a, other.e), (step.a, step.e), rtol=1e-6)
    shift = max(abs(column - round(column)), abs(row - round(row)))
    if first.crs != grid.crs or not is_same_step or shift > TOLERANCE:
        raise GridProblem(
            source,
            found=f"tiles of {step.a:.6g} and {other.a:.6g} cells ({first.crs}, {grid.crs}), "
            f"{shift:.2g} cells off one lattice",
            expected="tiles of one lattice",
            remedy="Open them apart and regrid them.",
        )
    return round(row), round(column), *grid.shape


def _share_times(tiles: list[xr.Dataset]) -> list[xr.Dataset]:
    """Give every tile the time steps of all; a step that a tile lacks is a gap."""
    if not all("time" in tile.dims for tile in tiles):
        return tiles
    times = reduce(np.union1d, [tile["time"].values for tile in tiles])
    fill = {name: _gap(array) for name, array in tiles[0].data_vars.items()}
    return [
        tile if tile.sizes["time"] == times.size else tile.reindex(time=times, fill_value=fill)
        for tile in tiles
    ]


def _gap(array: xr.DataArray) -> float | int:
    """Give the value that means "nothing here" for a variable."""
    if np.issubdtype(array.dtype, np.floating):
        return float("nan")
    missing = variable(str(array.name)).missing
    return 0 if missing is None else missing


def _lay(tiles: list[tuple[xr.DataArray, range, range]], size: dict[str, int]) -> da.Array:
    """Cut the rectangle along all edges of tiles and fill each piece from the tiles on it."""
    row_cuts = sorted({0, size["y"], *(edge for _, r, _ in tiles for edge in (r.start, r.stop))})
    column_cuts = sorted({0, size["x"], *(edge for _, _, c in tiles for edge in (c.start, c.stop))})
    gap, dtype = _gap(tiles[0][0]), tiles[0][0].dtype
    lead = tuple(n for dim, n in tiles[0][0].sizes.items() if dim in DIMS[:2])
    bands = []
    for top, bottom in pairwise(row_cuts):
        band = []
        for left, right in pairwise(column_cuts):
            piece = da.full((*lead, bottom - top, right - left), gap, dtype=dtype)
            for tile, rows, columns in tiles:
                if top in rows and left in columns:
                    window = tile.isel(
                        y=slice(top - rows.start, bottom - rows.start),
                        x=slice(left - columns.start, right - columns.start),
                    )
                    piece = _over(da.asarray(window.data), piece, gap)
            band.append(piece)
        bands.append(da.concatenate(band, axis=-1))
    rectangle: da.Array = da.concatenate(bands, axis=-2)
    return rectangle


def _over(upper: da.Array, lower: da.Array, gap: float | int) -> da.Array:
    is_gap = da.isnan(upper) if np.isnan(gap) else upper == gap
    merged: da.Array = da.where(is_gap, lower, upper)
    return merged
