"""Grids that nest: how many fine cells a coarse one holds, and which coarse cells a fine grid covers."""

from __future__ import annotations

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from vadose.errors import GridProblem

SAME = "on the same rectangle"
WITHIN = "the fine ones over some or all of them"


def nesting(coarse: GeoBox, fine: GeoBox) -> dict[str, int]:
    """Count the fine cells along each side of a coarse cell.

    Raises
    ------
    GridProblem
        When the CRS differ, or a coarse cell is not a whole block of fine cells, or the grids do
        not cover the same rectangle.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> nesting(latlon(1.0), latlon(0.25))
    {'y': 4, 'x': 4}
    """
    factors = _factors(coarse, fine, SAME)
    shape = (coarse.shape.y * factors["y"], coarse.shape.x * factors["x"])
    shift = np.hypot(coarse.affine.c - fine.affine.c, coarse.affine.f - fine.affine.f)
    if tuple(fine.shape) != shape or not shift < 0.01 * abs(fine.affine.a):
        raise _mismatch(coarse, fine, SAME)
    return factors


def placed(coarse: GeoBox, fine: GeoBox) -> tuple[dict[str, int], dict[str, slice]]:
    """Find the whole coarse cells that a fine grid covers.

    A tile of a map is predicted from a window of the coarse grid that may be larger than the tile.

    Parameters
    ----------
    coarse
        A grid, or a window of it.
    fine
        A grid within it, of whole coarse cells.

    Returns
    -------
    tuple
        Fine cells along ``y`` and ``x`` of a coarse cell; rows and columns of the coarse grid that lie
        under the fine one.

    Raises
    ------
    GridProblem
        When the CRS differ, or the fine grid is not made of whole blocks in coarse cells, or it reaches
        beyond the coarse grid.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> placed(latlon(1.0, (0, 40, 10, 50)), latlon(0.25, (2, 41, 5, 49)))
    ({'y': 4, 'x': 4}, {'y': slice(1, 9, None), 'x': slice(2, 5, None)})
    """
    factors = _factors(coarse, fine, WITHIN)
    cover = {}
    for dim, edge, far_edge, step, cells, pixels in (
        ("y", coarse.affine.f, fine.affine.f, coarse.affine.e, coarse.shape.y, fine.shape.y),
        ("x", coarse.affine.c, fine.affine.c, coarse.affine.a, coarse.shape.x, fine.shape.x),
    ):
        first = (far_edge - edge) / step
        start, count = round(first), pixels // factors[dim]
        is_aligned = abs(first - start) * factors[dim] < 0.01 and count * factors[dim] == pixels
        if not (is_aligned and start >= 0 and start + count <= cells):
            raise _mismatch(coarse, fine, WITHIN)
        cover[dim] = slice(start, start + count)
    return factors, cover


def _factors(coarse: GeoBox, fine: GeoBox, where: str) -> dict[str, int]:
    """Count the fine cells along each side of a coarse cell, wherever the grids lie."""
    if coarse.crs != fine.crs:
        raise GridProblem(
            "grids",
            found=f"CRS {coarse.crs} and {fine.crs}",
            expected="one CRS",
            remedy="Regrid first.",
        )
    factors = {}
    for dim, ratio in _ratios(coarse, fine).items():
        factors[dim] = round(ratio)
        if factors[dim] < 1 or abs(ratio - factors[dim]) >= 1e-4:
            raise _mismatch(coarse, fine, where)
    return factors


def _ratios(coarse: GeoBox, fine: GeoBox) -> dict[str, float]:
    return {"y": coarse.affine.e / fine.affine.e, "x": coarse.affine.a / fine.affine.a}


def _mismatch(coarse: GeoBox, fine: GeoBox, where: str) -> GridProblem:
    ratio = _ratios(coarse, fine)
    shift = np.hypot(coarse.affine.c - fine.affine.c, coarse.affine.f - fine.affine.f)
    return GridProblem(
        "grids",
        found=f"{tuple(coarse.shape)} cells over {tuple(fine.shape)}, ratio "
        f"{ratio['y']:.4g} x {ratio['x']:.4g}, corners {shift:.4g} apart",
        expected=f"coarse cells that are whole blocks of fine cells, {where}",
        remedy="Crop or regrid one of them.",
    )


def is_nested(coarse: GeoBox, fine: GeoBox) -> bool:
    """Tell whether every coarse cell is a whole block of fine cells.

    Examples
    --------
    >>> from vadose.grids import named_grid
    >>> is_nested(named_grid("EASE2_36km"), named_grid("EASE2_25km"))
    False
    """
    try:
        nesting(coarse, fine)
    except GridProblem:
        return False
    return True


def coarsened(fine: GeoBox, factor: int) -> GeoBox:
    """Give the grid whose cells are blocks of `factor` × `factor` cells of this one.

    Raises
    ------
    GridProblem
        When the blocks do not fill the grid.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> coarsened(latlon(0.25), 4) == latlon(1.0)
    True
    """
    rows, columns = fine.shape
    if factor < 1 or rows % factor or columns % factor:
        raise GridProblem(
            "grid",
            found=f"{rows} x {columns} cells",
            expected=f"both divisible by {factor}",
            remedy="Crop it to whole coarse cells.",
        )
    step = fine.affine
    affine = Affine(step.a * factor, 0, step.c, 0, step.e * factor, step.f)
    return GeoBox((rows // factor, columns // factor), affine, fine.crs)


def refined(coarse: GeoBox, factor: int) -> GeoBox:
    """Give the grid whose blocks of `factor` × `factor` cells are the cells of this one.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> refined(latlon(1.0), 4) == latlon(0.25)
    True
    """
    rows, columns = coarse.shape
    step = coarse.affine
    affine = Affine(step.a / factor, 0, step.c, 0, step.e / factor, step.f)
    return GeoBox((rows * factor, columns * factor), affine, coarse.crs)
