"""What the figures show of a run: one moment on maps, and pairs of product and truth for scatter plots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyproj
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.errors import RunProblem
from vadose.grids import cell_area
from vadose.report.runs import Run

Array = npt.NDArray[np.floating]

#: Cells beyond which further moments are left out of the scatter plots.
MOST_CELLS = 20_000_000
#: Cells of all moments together among which the fullest moment is looked for.
MOST_LOOKED_AT = 100_000_000


@dataclass(frozen=True)
class Scene:
    """Hold the fields of one moment, each ``(y, x)``; NaN where there is no value.

    Attributes
    ----------
    when
        The moment as text; empty for a static cube.
    origin
        Codes of `schema.ORIGIN`, None where the product has none.
    closure
        Area mean of the fine field minus the coarse value, one number for each coarse cell with both.
    truth
        None where the run had none.
    owner
        Flat number of the coarse cell that holds the centre of each fine cell, -1 for none.
    """

    coarse_grid: GeoBox
    fine_grid: GeoBox
    coarse: Array
    product: Array
    truth: Array | None
    owner: npt.NDArray[np.int64]
    when: str
    origin: npt.NDArray[np.integer] | None
    closure: Array


@dataclass(frozen=True)
class Pairs:
    """Hold product and truth at the same cells, and their departures from the coarse-cell mean."""

    product: Array
    truth: Array
    product_departure: Array
    truth_departure: Array
    moments: int


def read_scene(run: Run, place: int | None = None) -> Scene:
    """Read one moment: by its place along the product's time, or that of which most is known.

    Without a place it is the moment at which product and coarse input have most values, the first of equals;
    of a long record so many moments are looked at, evenly chosen, as keep reading short.
    """
    target = run.manifest.target
    product = run.product[target]
    when = ""
    if "time" not in product.dims:
        place = 0
    elif place is None:
        steps, cells = product.sizes["time"], run.fine_grid.shape.x * run.fine_grid.shape.y
        most = min(steps, max(MOST_LOOKED_AT // cells, 1))
        places = np.unique(np.linspace(0, steps - 1, most).round().astype("i8"))
        shares = product.isel(time=places).notnull().mean(["y", "x"]).values
        given = run.coarse[target]
        if "time" in given.dims:  # a filled product is as full on days that were hardly observed
            known = given.reindex(time=product["time"].values[places]).notnull()
            shares = shares + known.mean(["y", "x"]).values
        place = int(places[np.argmax(shares)])
    if "time" in product.dims:
        when = day_words(product["time"].values[place])
    owner = owners(run.fine_grid, run.coarse_grid)
    coarse, fine = _moment(run.coarse[target], product, place), _moment(product, product, place)
    # of the field as it is stored: the layer closure_residual has steps of its own
    means = _cell_means(fine, owner, cell_area(run.fine_grid).values)
    closure = means - coarse.ravel()[: means.size]
    origin = run.product.get("origin")
    return Scene(
        coarse_grid=run.coarse_grid,
        fine_grid=run.fine_grid,
        coarse=coarse,
        product=fine,
        truth=None if run.truth is None else _moment(run.truth[target], product, place),
        owner=owner,
        when=when,
        origin=None if origin is None else _moment(origin, product, place).astype("u1"),
        closure=closure[np.isfinite(closure)],
    )


def read_pairs(run: Run) -> Pairs | None:
    """Read product and truth where both have a value; None where the run had no truth.

    Moments are taken evenly over the period so that no more than `MOST_CELLS` are read.
    """
    if run.truth is None:
        return None
    target = run.manifest.target
    product = run.product[target]
    owner, weight = owners(run.fine_grid, run.coarse_grid), cell_area(run.fine_grid).values
    total = product.sizes.get("time", 1)
    moments = min(total, max(MOST_CELLS // owner.size, 1))
    parts = []
    for place in np.unique(np.linspace(0, total - 1, moments).round().astype(int)):
        mine = _moment(product, product, int(place))
        true = _moment(run.truth[target], product, int(place))
        is_both = np.isfinite(mine) & np.isfinite(true)
        mine, true = np.where(is_both, mine, np.nan), np.where(is_both, true, np.nan)
        fields = (mine, true, departures(mine, owner, weight), departures(true, owner, weight))
        parts.append(np.stack([field[is_both] for field in fields]))
    joined = np.concatenate(parts, axis=1)
    return Pairs(joined[0], joined[1], joined[2], joined[3], moments)


def owners(fine: GeoBox, coarse: GeoBox) -> npt.NDArray[np.int64]:
    """Find the coarse cell that holds the centre of each fine cell, whether the grids nest or not.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> owners(latlon(45.0), latlon(90.0))[0]
    array([0, 0, 1, 1, 2, 2, 3, 3])
    """
    rows, columns = fine.shape
    x = fine.affine.c + fine.affine.a * (np.arange(columns) + 0.5)
    y = fine.affine.f + fine.affine.e * (np.arange(rows) + 0.5)
    x, y = np.meshgrid(x, y)
    if fine.crs != coarse.crs:
        x, y = pyproj.Transformer.from_crs(
            str(fine.crs), str(coarse.crs), always_xy=True
        ).transform(x, y)
    column = np.floor((x - coarse.affine.c) / coarse.affine.a).astype("i8")
    row = np.floor((y - coarse.affine.f) / coarse.affine.e).astype("i8")
    is_inside = (column >= 0) & (column < coarse.shape.x) & (row >= 0) & (row < coarse.shape.y)
    return np.where(is_inside, row * coarse.shape.x + column, -1)


def departures(values: Array, owner: npt.NDArray[np.int64], weight: Array) -> Array:
    """Subtract from each fine value the area mean over the values in its coarse cell.

    NaN where the value is NaN or belongs to no coarse cell.

    Examples
    --------
    >>> departures(np.array([[1.0, 3.0, 5.0]]), np.array([[0, 0, 1]]), np.ones((1, 3)))
    array([[-1.,  1.,  0.]])
    """
    mean = _cell_means(values, owner, weight)[np.maximum(owner, 0)]
    return np.where(owner >= 0, values - mean, np.nan)


def _cell_means(values: Array, owner: npt.NDArray[np.int64], weight: Array) -> Array:
    """Give the weighted mean over the fine values in each coarse cell, NaN where there is none."""
    is_used = np.isfinite(values) & (owner >= 0)
    cell, share = owner[is_used], np.asarray(weight)[is_used]
    size = int(owner.max()) + 1 if owner.size else 0
    total = np.bincount(cell, share, minlength=max(size, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(
            np.bincount(cell, share * values[is_used], minlength=max(size, 1)) / total
        )


def busiest_window(scene: Scene) -> tuple[slice, slice]:
    """Find the window in which the field varies most inside coarse cells that have a value.

    Ten degrees or a sixth of the shorter side of the map, whichever is less, but at least six coarse
    cells and never more than half of a side; wider in longitude towards the poles, so that it is about square on the ground.
    """
    rows, columns = scene.fine_grid.shape
    step = abs(scene.fine_grid.affine.e)
    is_geographic = scene.fine_grid.crs is not None and bool(scene.fine_grid.crs.geographic)
    block = abs(scene.coarse_grid.affine.e) / step if scene.owner.max() >= 0 else 1.0
    if scene.coarse_grid.crs != scene.fine_grid.crs:
        block = np.sqrt(scene.owner.size / np.unique(scene.owner).size)
    ten_degrees = (10.0 if is_geographic else 1.1e6) / step
    side = int(max(min(min(rows, columns) / 6, ten_degrees), 6 * block, 12))
    height = width = max(min(side, rows // 2, columns // 2), 1)
    field = scene.product if scene.truth is None else scene.truth
    departure = departures(field, scene.owner, np.ones(field.shape))
    is_valid = np.isfinite(departure)
    # in a gap of the input there is nothing that detail could have been added to
    is_seen = is_valid & np.isfinite(scene.coarse.ravel()[np.maximum(scene.owner, 0)])
    is_valid = is_seen if is_seen.any() else is_valid
    if not is_valid.any():
        return slice(0, height), slice(0, width)
    size = np.abs(np.where(is_valid, departure, 0.0))
    # one wild cell is no fine structure
    size = np.minimum(size, np.quantile(size[is_valid], 0.95))
    size = np.where(is_valid & np.isfinite(scene.product), size, 0.0)
    coverage = _box_means(is_valid.astype("f8"), height, width)
    score = np.where(coverage >= min(0.9, coverage.max()), _box_means(size**2, height, width), -1)
    top, left = (int(v) for v in np.unravel_index(int(score.argmax()), score.shape))
    if is_geographic:
        latitude = scene.fine_grid.affine.f + scene.fine_grid.affine.e * (top + height / 2)
        wide = min(int(width / max(np.cos(np.radians(latitude)), 0.2)), columns)
        left = min(max(left - (wide - width) // 2, 0), columns - wide)
        width = wide
    return slice(top, top + height), slice(left, left + width)


def _box_means(values: Array, height: int, width: int) -> Array:
    """Give the mean over every window of this size, by its top left corner."""
    total = np.pad(np.cumsum(np.cumsum(values, axis=0), axis=1), ((1, 0), (1, 0)))
    boxes = total[height:, width:] - total[:-height, width:] - total[height:, :-width]
    return np.asarray((boxes + total[:-height, :-width]) / (height * width))


def _moment(array: xr.DataArray, product: xr.DataArray, place: int) -> Array:
    """Read an array at the time of one moment of the product; a static array as it is."""
    if "time" in array.dims and "time" in product.dims:
        wanted = product["time"].values[place]
        found = np.flatnonzero(array["time"].values == wanted)
        if not len(found):
            times = [day_words(time) for time in array["time"].values[[0, -1]]]
            raise RunProblem(
                "run folder",
                found=f"no {array.name} at {day_words(wanted)} in a cube over {times[0]} to {times[1]}",
                expected="the times of the product in coarse.zarr and truth.zarr",
                remedy="Run the job again, so that all cubes come from one run.",
            )
        array = array.isel(time=int(found[0]))
    return np.asarray(array.squeeze(drop=True).values)


def day_words(moment: np.datetime64) -> str:
    """Write a moment, its hours only where they are not zero.

    Examples
    --------
    >>> day_words(np.datetime64("2020-01-31")), day_words(np.datetime64("2020-01-31T06:00"))
    ('2020-01-31', '2020-01-31 06:00')
    """
    text = str(np.datetime_as_string(moment, unit="m"))
    return text.removesuffix("T00:00").replace("T", " ")
