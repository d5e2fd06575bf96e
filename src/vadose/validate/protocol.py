"""Score several products against one reference on one common sample, always beside the coarse input."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.cubes.regrid import area_mean
from vadose.errors import CubeProblem, GridProblem, UnknownName, ValueProblem
from vadose.grids import cell_area, grid_of, snapped
from vadose.validate.gain import correlation_gain, error_gain
from vadose.validate.metrics import METRICS
from vadose.validate.spatial import within_cell
from vadose.validate.statistics import moments

VIEWS = ("pooled", "within_cell")


def compare(
    products: Mapping[str, xr.DataArray],
    reference: xr.DataArray,
    coarse: GeoBox,
    *,
    weight: xr.DataArray | None = None,
    strata: Mapping[str, xr.DataArray] | None = None,
) -> xr.Dataset:
    """Score products on the cells and days where all of them and the reference have a value.

    Parameters
    ----------
    products
        Fine fields by name, dims ``[time,] y, x``, on the grid of the reference.
    reference
        The truth, or what stands for it.
    coarse
        Grid of the coarse input, for scores within its cells.
    weight
        Dims ``y, x``; the true cell area unless given.
    strata
        Parts of the sample to score apart, true where a cell belongs to one; dims ``[time,] y, x`` on the grid
        of the reference.

    Returns
    -------
    xarray.Dataset
        A Score: every metric of `vadose.validate.metrics.METRICS` with dims ``product, view``, where
        view is ``pooled`` or ``within_cell`` (departures from the mean of the coarse cell). With strata, dims
        ``product, view, stratum``, the first of which is ``all``, and ``share (stratum)`` of the whole weight;
        departures are from the mean of all cells of the coarse cell, of the stratum or not, and a stratum
        without a cell has NaN.

    Raises
    ------
    GridProblem
        A product on another grid.
    CubeProblem
        A product with other dimensions.
    ValueProblem
        No common sample.
    """
    common, reference, products = on_common_sample(products, reference)
    area = cell_area(grid_of(reference)) if weight is None else weight
    sample = common.values
    weights = np.broadcast_to(area.values, sample.shape)[sample]
    truth = {
        "pooled": reference.values[sample],
        "within_cell": within_cell(reference.where(common), coarse).values[sample],
    }
    parts = {"all": np.ones(weights.shape, bool)}
    for name, mask in (strata or {}).items():
        parts[name] = on_sample(mask, reference)[sample]
    table = np.full((len(METRICS), len(products), len(VIEWS), len(parts)), np.nan)
    for row, product in enumerate(products.values()):
        fields = {
            "pooled": product.values[sample],
            "within_cell": within_cell(product.where(common), coarse).values[sample],
        }
        for column, view in enumerate(VIEWS):
            for place, part in enumerate(parts.values()):
                if not part.any():
                    continue
                pair = moments(fields[view][part], truth[view][part], weights[part])
                table[:, row, column, place] = [metric(pair) for metric in METRICS.values()]
    dims = ("product", "view", "stratum")
    score = xr.Dataset(
        {name: (dims, table[place]) for place, name in enumerate(METRICS)},
        coords={"product": list(products), "view": list(VIEWS), "stratum": list(parts)},
    )
    if strata is None:
        return score.isel(stratum=0, drop=True)
    shares = [weights[part].sum() / weights.sum() for part in parts.values()]
    return score.assign(share=("stratum", shares))


def on_common_sample(
    products: Mapping[str, xr.DataArray], reference: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray, dict[str, xr.DataArray]]:
    """Bring products onto the days and cells of the reference, and tell where all have a value.

    Returns
    -------
    tuple
        True where all have a value; the reference; the products, dims as it has them.

    Raises
    ------
    GridProblem, CubeProblem, ValueProblem
        As `compare`.
    """
    grid = grid_of(reference)
    for name, product in products.items():
        if grid_of(product) != grid:
            raise GridProblem(name, found="another grid", expected="the grid of the reference")
        if set(product.dims) != set(reference.dims):
            raise CubeProblem(
                name, found=f"dimensions {product.dims}", expected=f"{reference.dims}"
            )
    reference, *fields_by_place = xr.align(
        snapped(reference),
        *(snapped(one).transpose(*reference.dims) for one in products.values()),
        join="inner",
    )
    common = reference.notnull()
    for product in fields_by_place:
        common = common & product.notnull()
    if not common.values.any():
        raise ValueProblem(
            "products and reference", found="no cell and day in common", expected="a common sample"
        )
    return common, reference, dict(zip(products, fields_by_place, strict=True))


def on_sample(mask: xr.DataArray, reference: xr.DataArray) -> npt.NDArray[np.bool_]:
    """Lay a mask out as the reference is, days it does not know being false.

    Raises
    ------
    GridProblem
        A mask on another grid.
    """
    if grid_of(mask) != grid_of(reference):
        raise GridProblem(
            str(mask.name or "stratum"), found="another grid", expected="the grid of the reference"
        )
    mask = snapped(mask)
    if "time" in mask.dims and "time" in reference.dims:
        mask = mask.reindex(time=reference["time"], fill_value=False)
    elif "time" in mask.dims:
        mask = mask.isel(time=0, drop=True)
    order = [dim for dim in reference.dims if dim in mask.dims]
    return np.broadcast_to(mask.transpose(*order).values.astype(bool), reference.shape)


def gains(score: xr.Dataset, baseline: str) -> dict[str, dict[str, float]]:
    """Give every method's gain over a baseline of the same score.

    Returns
    -------
    dict
        By method: ``rmse`` (how much smaller, in the unit of the data), ``r`` and ``within_cell_r``
        (how much larger).

    Raises
    ------
    UnknownName
        No such baseline in the score.
    """
    if baseline not in score["product"].values:
        raise UnknownName("baseline", baseline, map(str, score["product"].values))
    result = {}
    for method in score["product"].values:
        own, base = score.sel(product=method), score.sel(product=baseline)

        def pair(
            metric: str, view: str, own: xr.Dataset = own, base: xr.Dataset = base
        ) -> tuple[float, float]:
            return float(own[metric].sel(view=view)), float(base[metric].sel(view=view))

        result[str(method)] = {
            "rmse": error_gain(*pair("rmse", "pooled")),
            "r": correlation_gain(*pair("r", "pooled")),
            "within_cell_r": correlation_gain(*pair("r", "within_cell")),
        }
    return result


def closure(product: xr.DataArray, coarse: xr.DataArray) -> float:
    """Give the largest difference between a product's area means and the coarse input."""
    mean = area_mean(product, grid_of(coarse), min_valid=0.0)
    return float(np.abs(mean - snapped(coarse)).max())
