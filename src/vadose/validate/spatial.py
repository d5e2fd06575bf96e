"""What downscaling adds: the pattern within each coarse cell; and what it must not add: seams.

Every score is told by date: a pattern that is right on the mean of a year may be wrong on each of its days.
The spatial correlation over a whole map, or over stations, is that of `vadose.validate.daily.score_by_day`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.cubes.regrid import area_mean, nearest
from vadose.errors import ValueProblem
from vadose.grids import cell_area, coordinates, grid_of, nesting, snapped
from vadose.validate import metrics
from vadose.validate.daily import check_pair, in_blocks
from vadose.validate.statistics import Moments

Floats = npt.NDArray[np.float64]

#: Fewest pixels of a coarse cell with a value in both fields for a correlation within it.
MINIMUM_PIXELS = 10
#: Largest difference from the coarse value that counts as closed, m³ m⁻³.
CLOSED = 1e-3

_COUNTS = ("n_scored", "n_constant", "n_too_few", "n_empty")


def within_cell(field: xr.DataArray, coarse: GeoBox) -> xr.DataArray:
    """Take the mean of each coarse cell off a fine field.

    Parameters
    ----------
    field
        Dims ``[time,] y, x``; NaN takes no part in the mean.
    coarse
        Grid in which the field's grid nests.

    Returns
    -------
    xarray.DataArray
        Departures from the cell mean, double precision.

    Examples
    --------
    >>> from vadose.grids import coordinates, latlon
    >>> fine = latlon(90.0)
    >>> field = xr.DataArray([[1.0, 3, 5, 5], [1, 3, 5, 5]], dims=("y", "x"), coords=coordinates(fine))
    >>> within_cell(field, latlon(180.0)).values[0]
    array([-1.,  1.,  0.,  0.])
    """
    field = snapped(field)
    mean = nearest(area_mean(field, coarse, min_valid=0.0), grid_of(field))
    return (field.astype("f8") - mean).transpose(*field.dims)


def score_within_cells(
    product: xr.DataArray,
    reference: xr.DataArray,
    coarse: GeoBox,
    *,
    minimum: int = MINIMUM_PIXELS,
) -> xr.Dataset:
    """Score the pattern within each coarse cell, date by date.

    Parameters
    ----------
    product, reference
        Fine fields, dims ``time, y, x``, on one grid. Pixels where either is NaN take no part.
    coarse
        Grid in which the fine grid nests. The mean of each of its cells is taken off both fields.
    minimum
        Fewest pixels of a cell that both have; cells with fewer are not scored.

    Returns
    -------
    xarray.Dataset
        ``r (time, y, x)`` on the coarse grid, the correlation within each cell, NaN where a cell has too
        few pixels or a field does not vary within it. By ``time``: ``median_r`` over the cells that have
        one; over the pixels of all cells with enough of them, those without variance too, ``pooled_r``,
        ``slope`` (of the product's departures over the reference's), ``spread_ratio`` (of the standard
        deviation within cells, product over reference: below 1 too smooth, above too sharp) and
        ``rmse``; the numbers of cells ``n_scored``, ``n_constant`` (either field does not vary),
        ``n_too_few`` and ``n_empty`` (no pixel at all), which add up to those of the grid. Weighed by area.

    Raises
    ------
    GridProblem
        Grids that do not nest.
    CubeProblem
        Fields of other dims, days or places.
    ValueProblem
        A minimum below 3: two pixels always correlate.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> small = world(size=16, days=3, factor=4, seed=0)
    >>> truth = small.truth["soil_moisture"]
    >>> score = score_within_cells(0.5 * truth, truth, grid_of(small.coarse))
    >>> score["median_r"].values.round(6), score["spread_ratio"].values.round(6)
    (array([1., 1., 1.]), array([0.5, 0.5, 0.5]))
    """
    if minimum < 3:
        raise ValueProblem("minimum", found=f"{minimum}", expected="3 pixels of a cell or more")
    product, reference = check_pair(snapped(product), snapped(reference))
    factors = nesting(coarse, grid_of(reference))
    shape = (coarse.shape.y, factors["y"], coarse.shape.x, factors["x"])
    area = cell_area(grid_of(reference)).values.reshape(shape)
    days = reference.sizes["time"]
    r = np.full((days, coarse.shape.y, coarse.shape.x), np.nan)
    table = {name: np.full(days, np.nan) for name in ("median_r", *_POOLED)}
    counts = {name: np.zeros(days, dtype="i8") for name in _COUNTS}
    for steps in in_blocks(reference):
        p, o = (
            one.isel(time=steps).values.astype("f8").reshape(-1, *shape)
            for one in (product, reference)
        )
        cells = _cell_moments(p, o, area)
        is_enough = cells.n >= minimum
        correlation = metrics.r(cells)
        is_scored = is_enough & np.isfinite(correlation)
        r[steps] = np.where(is_scored, correlation, np.nan)
        for name, metric in _POOLED.items():
            table[name][steps] = metric(_pooled(cells, is_enough))
        for name, is_counted in (
            ("n_scored", is_scored),
            ("n_constant", is_enough & ~is_scored),
            ("n_too_few", (cells.n > 0) & ~is_enough),
            ("n_empty", cells.n == 0),
        ):
            counts[name][steps] = is_counted.sum((1, 2))
    for step in np.flatnonzero(counts["n_scored"]):
        table["median_r"][step] = np.median(r[step][np.isfinite(r[step])])
    arrays = {name: ("time", one) for name, one in {**table, **counts}.items()}
    coords = {**coordinates(coarse), "time": reference["time"]}
    return xr.Dataset(
        {"r": (("time", "y", "x"), r), **arrays}, coords=coords, attrs={"minimum": minimum}
    )


def closure_by_date(
    product: xr.DataArray, coarse: xr.DataArray, *, tolerance: float = CLOSED
) -> xr.Dataset:
    """Tell how far the area means of a fine product are from the coarse input, date by date.

    Parameters
    ----------
    product
        Fine field, dims ``time, y, x``, m³ m⁻³; NaN takes no part in the mean of its cell.
    coarse
        The coarse input on the grid in which the fine one nests; NaN where there is nothing to close on.
    tolerance
        Largest difference that counts as closed.

    Returns
    -------
    xarray.Dataset
        By ``time``, over the coarse cells that have a value and at least one fine one: ``max`` and
        ``rmse`` of the difference, ``share`` of cells that are closed, ``n_cells``; and ``n_empty``, cells
        with a coarse value and no fine one. NaN on days without such a cell.

    Raises
    ------
    GridProblem
        Grids that do not nest.
    CubeProblem
        Days that differ.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> small = world(size=16, days=2, factor=4, seed=0)
    >>> told = closure_by_date(small.truth["soil_moisture"], small.coarse_truth["soil_moisture"])
    >>> told["share"].values, bool(told["max"].max() < 1e-6)
    (array([1., 1.]), True)
    """
    mean = area_mean(product, grid_of(coarse), min_valid=0.0)
    mean, coarse = check_pair(mean, snapped(coarse))
    days = coarse.sizes["time"]
    table = {name: np.full(days, np.nan) for name in ("max", "rmse", "share")}
    counts = {name: np.zeros(days, dtype="i8") for name in ("n_cells", "n_empty")}
    for step in range(days):
        wanted, found = (one.isel(time=step).values for one in (coarse, mean))
        is_wanted, is_found = np.isfinite(wanted), np.isfinite(found)
        away = np.abs(found[is_wanted & is_found] - wanted[is_wanted & is_found].astype("f8"))
        counts["n_cells"][step] = away.size
        counts["n_empty"][step] = (is_wanted & ~is_found).sum()
        if away.size:
            table["max"][step] = away.max()
            table["rmse"][step] = np.sqrt((away**2).mean())
            table["share"][step] = (away <= tolerance).mean()
    arrays = {name: ("time", one) for name, one in {**table, **counts}.items()}
    return xr.Dataset(arrays, coords={"time": coarse["time"]}, attrs={"tolerance": tolerance})


def lines_between(sizes: Mapping[str, int], steps: Mapping[str, int]) -> dict[str, list[int]]:
    """Give the lines between tiles, or between coarse cells, of a field.

    Parameters
    ----------
    sizes
        Cells along ``y`` and ``x`` of the field; may hold other dims too, as ``field.sizes`` does.
    steps
        Cells along ``y`` and ``x`` of a tile; for coarse cells what `vadose.grids.nesting` gives.

    Returns
    -------
    dict
        What `edge_jump_ratio` takes.

    Raises
    ------
    ValueProblem
        A tile of no cells.

    Examples
    --------
    >>> lines_between({"time": 9, "y": 40, "x": 100}, {"y": 20, "x": 32})
    {'y': [20], 'x': [32, 64, 96]}
    """
    if min(steps.values()) < 1:
        raise ValueProblem("tiles", found=f"{dict(steps)}", expected="1 cell a side or more")
    return {dim: list(range(step, sizes[dim], step)) for dim, step in steps.items()}


def edge_jumps_by_date(field: xr.DataArray, lines: Mapping[str, Sequence[int]]) -> xr.DataArray:
    """Give the `edge_jump_ratio` of each date.

    Parameters
    ----------
    field
        Dims ``time, y, x``.
    lines
        As there: of tiles, or of coarse cells.

    Returns
    -------
    xarray.DataArray
        Dims ``time``; NaN and infinity as there.

    Examples
    --------
    >>> ramps = xr.DataArray([[[0.0, 1.0, 2.0, 3.0]], [[0.0, 1.0, 4.0, 5.0]]], dims=("time", "y", "x"))
    >>> edge_jumps_by_date(ramps, {"x": [2]}).values
    array([1., 3.])
    """
    ratios = [
        edge_jump_ratio(field.isel(time=[step]), lines) for step in range(field.sizes["time"])
    ]
    coords = {"time": field["time"]} if "time" in field.coords else {}
    return xr.DataArray(ratios, dims="time", coords=coords, name="edge_jump_ratio")


def edge_jump_ratio(field: xr.DataArray, lines: Mapping[str, Sequence[int]]) -> float:
    """Compare the steps of a field across given lines with its steps elsewhere.

    Parameters
    ----------
    field
        Dims ``[time,] y, x``. Only pairs of neighbours count that both have a value.
    lines
        For ``y`` and ``x``, positions of the first row or column after each line: the edges of tiles, or
        of coarse cells. A dimension may be left out.

    Returns
    -------
    float
        Σ |Δ| across the lines, divided by what is expected of as many pairs elsewhere, Σ n(d) m(d): for
        each direction d the number of pairs across its lines and the mean |Δ| of its other pairs. About 1
        without seams, 2 where lines are twice as steep. NaN where there is no pair across a line, none
        elsewhere, or no step anywhere.

    Raises
    ------
    ValueProblem
        When a line does not lie between two rows or columns.

    Examples
    --------
    >>> ramp = xr.DataArray([[0.0, 1.0, 2.0, 5.0, 6.0, 7.0]], dims=("y", "x"))
    >>> edge_jump_ratio(ramp, {"x": [3]})
    3.0
    """
    steps = field.transpose(..., "y", "x")
    steps = steps if steps.ndim == 3 else steps.expand_dims("time")
    found = expected = 0.0
    for axis, dim in enumerate(("y", "x")):
        is_line = _on_lines(field.sizes[dim], lines.get(dim, ()), dim)
        across, elsewhere = np.zeros(2), np.zeros(2)
        for step in steps:  # a map at a time: a product may be larger than memory
            jumps = np.abs(np.diff(step.values.astype("f8"), axis=axis))
            jumps = jumps if axis == 0 else jumps.T
            across += _count_and_sum(jumps[is_line])
            elsewhere += _count_and_sum(jumps[~is_line])
        if across[0]:
            found += across[1]
            mean = elsewhere[1] / elsewhere[0] if elsewhere[0] else np.nan
            expected += across[0] * mean
    if expected == 0.0:
        return np.inf if found > 0.0 else np.nan
    return float(found / expected)


def _on_lines(size: int, lines: Sequence[int], dim: str) -> npt.NDArray[np.bool_]:
    """Tell which pairs of neighbours lie on both sides of a line."""
    places = np.array(lines, dtype=int)
    if ((places < 1) | (places >= size)).any():
        raise ValueProblem(
            f"lines along {dim}",
            found=f"positions {places.min()} to {places.max()}",
            expected=f"1 to {size - 1}, the first {dim} after each line",
        )
    is_line = np.zeros(max(size - 1, 0), dtype=bool)
    is_line[places - 1] = True
    return is_line


def _count_and_sum(jumps: npt.NDArray[np.float64]) -> tuple[float, float]:
    known = jumps[np.isfinite(jumps)]
    return known.size, known.sum()


def _cell_moments(p: Floats, o: Floats, area: Floats) -> Moments:
    """Give the moments of each cell: ``(time, y, row, x, column)`` to ``time, y, x``."""
    cell = (2, 4)
    is_pair = np.isfinite(p) & np.isfinite(o)
    weight = np.where(is_pair, area, 0.0)
    p, o = np.where(is_pair, p, 0.0), np.where(is_pair, o, 0.0)
    total = weight.sum(cell)
    scale = np.where(total > 0, total, 1.0)
    error = (weight * np.abs(p - o)).sum(cell)
    mean_p, mean_o = ((weight * one).sum(cell) / scale for one in (p, o))
    dp, do = p - mean_p[:, :, None, :, None], o - mean_o[:, :, None, :, None]
    square_p, square_o, cross = ((weight * one).sum(cell) for one in (dp**2, do**2, dp * do))
    return Moments(is_pair.sum(cell), total, mean_p, mean_o, square_p, square_o, cross, error)


def _pooled(cells: Moments, is_enough: npt.NDArray[np.bool_]) -> Moments:
    """Put the departures of all cells of each day together; their means are 0."""
    sums = {
        name: np.where(is_enough, getattr(cells, name), 0).sum((1, 2))
        for name in ("n", "weight", "product_square", "reference_square", "cross")
    }
    return Moments(**sums)


def _spread_ratio(m: Moments) -> Floats:
    """Give the standard deviation of the product over that of the reference."""
    is_defined = m.reference_square > metrics.TINY * m.weight
    square = np.where(is_defined, m.reference_square, np.nan)
    return np.asarray(np.sqrt(m.product_square / square))


_POOLED: dict[str, Callable[[Moments], Floats]] = {
    "pooled_r": metrics.r,
    "slope": metrics.slope,
    "spread_ratio": _spread_ratio,
    "rmse": metrics.ubrmse,
}
