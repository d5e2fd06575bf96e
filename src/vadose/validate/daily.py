"""How well a model repeats its target, day by day and part by part of the split.

A day's score is taken over the places of that day, so that a product which gets the seasons right and the
map wrong is found out. The scores of a year are then told by their distribution. All results are datasets
that are ready to be drawn: nothing here draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import CubeProblem, ValueProblem
from vadose.validate.metrics import METRICS, slope
from vadose.validate.statistics import Moments, moments, moments_along

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: Fewest pairs of a day for its scores, unless the caller asks for another number.
MINIMUM_PAIRS = 10
#: What is told of the distribution over days: whiskers at the 5th and 95th per cent, box, median.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
#: Scores of a day.
DAILY = ("r", "rmse", "ubrmse", "bias")
#: Values held at once in double precision, of each of product and reference.
BLOCK = 4_000_000


def score_by_day(
    product: xr.DataArray,
    reference: xr.DataArray,
    *,
    weight: xr.DataArray | None = None,
    minimum: int = MINIMUM_PAIRS,
) -> xr.Dataset:
    """Score a product over the places of each time step.

    Parameters
    ----------
    product, reference
        Dims ``time`` and any others, the same in both: ``y, x`` for maps, ``station`` for what
        `vadose.validate.match` gives. NaN in either takes the place out of that step.
    weight
        Of each place, dims among the others, not negative; ones unless given. For maps of degrees take
        `vadose.grids.cell_area`.
    minimum
        Fewest pairs of a step; with fewer its scores are NaN.

    Returns
    -------
    xarray.Dataset
        Dims ``time``: ``r`` (the spatial correlation; NaN too where either side does not vary), ``rmse``,
        ``ubrmse`` and ``bias`` in the unit of the data, and ``n``, the number of pairs, which is given in
        any case.

    Raises
    ------
    CubeProblem
        Other dims, or steps or places that differ.
    ValueProblem
        A minimum below 2.

    Examples
    --------
    >>> truth = xr.DataArray([[0.1, 0.2, 0.3], [0.1, 0.2, np.nan]], dims=("time", "station"))
    >>> score = score_by_day(truth + 0.1, truth, minimum=3)
    >>> score["bias"].values.round(3), score["r"].values.round(3), score["n"].values
    (array([0.1, nan]), array([ 1., nan]), array([3, 2]))
    """
    if minimum < 2:
        raise ValueProblem("minimum", found=f"{minimum}", expected="2 pairs of a day or more")
    product, reference = check_pair(product, reference)
    others = [dim for dim in product.dims if dim != "time"]
    if weight is not None:
        shape = {dim: product.sizes[dim] for dim in others}
        weight = weight.drop_vars(weight.coords).broadcast_like(
            xr.DataArray(np.ones(tuple(shape.values())), dims=others)
        )
        weight = weight.transpose(*others)
    result = {name: np.full(product.sizes["time"], np.nan) for name in DAILY}
    number = np.zeros(product.sizes["time"], dtype="i8")
    for steps in in_blocks(product):
        p, o = (
            one.isel(time=steps).values.reshape(steps.stop - steps.start, -1).astype("f8")
            for one in (product, reference)
        )
        pairs = _moments(p, o, None if weight is None else weight.values.astype("f8").ravel())
        number[steps] = pairs.n
        for name in DAILY:
            result[name][steps] = np.where(pairs.n >= minimum, METRICS[name](pairs), np.nan)
    dataset = xr.Dataset(
        {name: ("time", values) for name, values in result.items()}, attrs={"minimum": minimum}
    )
    dataset["n"] = "time", number
    return dataset.assign_coords({"time": product["time"]} if "time" in product.coords else {})


def score_parts_by_day(
    products: Mapping[str, xr.DataArray],
    reference: xr.DataArray,
    parts: Mapping[str, xr.DataArray],
    *,
    minimum: int = MINIMUM_PAIRS,
) -> xr.Dataset:
    """Score models on each part of a split, day by day, on the places that all of them have.

    Parameters
    ----------
    products
        Predictions by name, dims ``time, y, x`` or others, on the grid of the reference.
    reference
        The target that was learned.
    parts
        Masks by name, true within the part, dims among those of the reference: ``split.parts`` of a
        `vadose.samples.Split`.
    minimum
        As in `score_by_day`.

    Returns
    -------
    xarray.Dataset
        What `score_by_day` gives, dims ``part, product, time``.

    Raises
    ------
    CubeProblem
        Dims, steps or places that differ.
    ValueProblem
        No products, no parts, or a part without any pair.

    References
    ----------
    Laid out as Figure 7 of Ma et al. (see docs/references.bib).

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> small = world(size=32, days=6, factor=4, seed=0)
    >>> target = small.coarse["soil_moisture"]
    >>> is_west = target["x"] < target["x"].mean()
    >>> score = score_parts_by_day(
    ...     {"truth": small.coarse_truth["soil_moisture"]}, target, {"train": is_west, "test": ~is_west}
    ... )
    >>> dict(score["rmse"].sizes)
    {'part': 2, 'product': 1, 'time': 6}
    """
    common = _common(products, reference)
    rows = []
    for name, part in parts.items():
        sample = common & part
        if not sample.any():
            raise ValueProblem(
                f"part {name!r}",
                found="no place and day where the reference and all products have a value",
                expected="a common sample",
            )
        truth = reference.where(sample)
        rows.append([score_by_day(one, truth, minimum=minimum) for one in products.values()])
    if not rows:
        raise ValueProblem("parts", found="none", expected="one or more masks by name")
    joined = xr.concat(
        [xr.concat(row, dim="product", join="exact") for row in rows], dim="part", join="exact"
    )
    return joined.assign_coords(product=list(products), part=list(parts))


def distribution(score: xr.Dataset) -> xr.Dataset:
    """Tell the distribution of daily scores.

    Parameters
    ----------
    score
        What `score_by_day` or `score_parts_by_day` gives.

    Returns
    -------
    xarray.Dataset
        Of each score the quantiles .05, .25, .5, .75 and .95 over the days that have it, dims ``quantile``
        and those of the score but ``time``; ``days_<score>`` says how many days that is, and
        ``days_lost_<score>`` how many have none (too few pairs, or nothing that varies).

    Examples
    --------
    >>> score = xr.Dataset({"r": ("time", [0.2, 0.4, np.nan, 0.6])})
    >>> told = distribution(score)
    >>> float(told["r"].sel(quantile=0.5)), int(told["days_r"]), int(told["days_lost_r"])
    (0.4, 3, 1)
    """
    result = {}
    for name in (name for name in DAILY if name in score):
        has_score = score[name].notnull()
        days = has_score.sum("time")
        # days without a score are counted beside, not averaged away
        quantiles = [
            xr.apply_ufunc(
                _quantile_of_known,
                score[name],
                input_core_dims=[["time"]],
                kwargs={"share": share},
                vectorize=True,
            )
            for share in QUANTILES
        ]
        result[name] = xr.concat(quantiles, dim="quantile", join="exact")
        result[f"days_{name}"] = days
        result[f"days_lost_{name}"] = score.sizes["time"] - days
    return xr.Dataset(result).assign_coords(quantile=list(QUANTILES))


def scatter_density(
    products: Mapping[str, xr.DataArray],
    reference: xr.DataArray,
    parts: Mapping[str, xr.DataArray],
    *,
    bins: int = 100,
    limits: tuple[float, float] = (0.0, 0.6),
) -> xr.Dataset:
    """Count the pairs of target and prediction in each part, for scatter plots with millions of points.

    Parameters
    ----------
    products, reference, parts
        As in `score_parts_by_day`.
    bins
        Bins along each axis.
    limits
        Smallest and largest value drawn, in the unit of the data. Pairs beyond are counted in
        ``n_outside`` and take part in the scores and the line.

    Returns
    -------
    xarray.Dataset
        ``density (part, product, predicted, observed)``, number of pairs in each bin, whose centres are
        the coordinates ``predicted`` and ``observed``; ``slope`` and ``intercept`` of the least-squares
        line of prediction over target; ``n_outside``; and every metric of
        `vadose.validate.metrics.METRICS`, dims ``part, product``.

    Raises
    ------
    CubeProblem
        Dims, steps or places that differ.
    ValueProblem
        No products, a part without any pair, no bins or limits in the wrong order.

    References
    ----------
    Laid out as Figure 6 of Ma et al. (see docs/references.bib).

    Examples
    --------
    >>> target = xr.DataArray([[0.1, 0.2, 0.3]], dims=("time", "x"))
    >>> everywhere = xr.ones_like(target, dtype=bool)
    >>> drawn = scatter_density({"model": 2 * target}, target, {"test": everywhere}, bins=6)
    >>> float(drawn["slope"].squeeze().round(6)), int(drawn["density"].sum()), int(drawn["n_outside"].sum())
    (2.0, 3, 0)
    """
    if bins < 1 or not limits[0] < limits[1]:
        raise ValueProblem(
            "scatter", found=f"bins={bins}, limits={limits}", expected="1 bin or more, low < high"
        )
    common = _common(products, reference)
    edges = np.linspace(*limits, bins + 1)
    shape = (len(parts), len(products))
    density = np.zeros((*shape, bins, bins), dtype="i8")
    names = (*METRICS, "slope", "intercept", "n_outside")
    table = {name: np.full(shape, np.nan) for name in names}
    for row, (part_name, part) in enumerate(parts.items()):
        sample = (common & part).transpose(*reference.dims).values
        if not sample.any():
            raise ValueProblem(
                f"part {part_name!r}", found="no pair", expected="a common sample with the products"
            )
        observed = reference.values[sample].astype("f8")
        for column, product in enumerate(products.values()):
            predicted = product.transpose(*reference.dims).values[sample].astype("f8")
            density[row, column] = np.histogram2d(predicted, observed, [edges, edges])[0]
            pair = moments(predicted, observed)
            for name, metric in METRICS.items():
                table[name][row, column] = metric(pair)
            table["slope"][row, column] = slope(pair)
            table["intercept"][row, column] = pair.product - slope(pair) * pair.reference
            table["n_outside"][row, column] = predicted.size - density[row, column].sum()
    centres = (edges[1:] + edges[:-1]) / 2
    dims = ("part", "product")
    return xr.Dataset(
        {
            "density": ((*dims, "predicted", "observed"), density),
            **{name: (dims, values) for name, values in table.items()},
        },
        coords={
            "part": list(parts),
            "product": list(products),
            "predicted": centres,
            "observed": centres,
        },
    )


def check_pair(product: xr.DataArray, reference: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Check that two arrays have the same steps and places, and give them with ``time`` in front.

    Raises
    ------
    CubeProblem
        Other dims, or labels that differ.

    Examples
    --------
    >>> one = xr.DataArray(np.zeros((2, 3)), dims=("x", "time"))
    >>> check_pair(one, one)[0].dims
    ('time', 'x')
    """
    if set(product.dims) != set(reference.dims) or "time" not in reference.dims:
        raise CubeProblem(
            str(product.name or "product"),
            found=f"dimensions {product.dims} against {reference.dims}",
            expected="time and the same others in both",
        )
    try:
        xr.align(product, reference, join="exact")
    except ValueError as problem:
        raise CubeProblem(
            str(product.name or "product"),
            found="other steps or places than those of the reference",
            expected="the same labels in both",
            remedy="Select the steps in common, or snap both to one grid (vadose.grids.snapped).",
        ) from problem
    reference = reference.transpose("time", ...)
    return product.transpose(*reference.dims), reference


def in_blocks(array: xr.DataArray) -> Iterator[slice]:
    """Give slices of ``time`` that fit in memory: a product may be larger.

    Examples
    --------
    >>> list(in_blocks(xr.DataArray(np.zeros((3, 4)), dims=("time", "x"))))
    [slice(0, 3, None)]
    """
    steps = array.sizes["time"]
    many = max(1, BLOCK * steps // max(array.size, 1))
    for start in range(0, steps, many):
        yield slice(start, min(start + many, steps))


def _common(products: Mapping[str, xr.DataArray], reference: xr.DataArray) -> xr.DataArray:
    """Tell where the reference and all products have a value."""
    if not products:
        raise ValueProblem("products", found="none", expected="one or more")
    common = reference.notnull()
    for product in products.values():
        check_pair(product, reference)
        common = common & product.notnull()
    return common


def _moments(p: Floats, o: Floats, weight: Floats | None) -> Moments:
    """Give the moments of rows of pairs; NaN in a row is a place that is not there."""
    is_pair = np.isfinite(p) & np.isfinite(o)
    if weight is None:
        return moments_along(p, o, is_pair)
    w = np.where(is_pair, weight, 0.0)
    p, o = np.where(is_pair, p, 0.0), np.where(is_pair, o, 0.0)
    total = w.sum(axis=1)
    scale = np.where(total > 0, total, 1.0)
    mean_p, mean_o = ((w * one).sum(axis=1) / scale for one in (p, o))
    dp, do = p - mean_p[:, None], o - mean_o[:, None]
    squares = [(w * one).sum(axis=1) for one in (dp**2, do**2, dp * do, np.abs(p - o))]
    return Moments((is_pair & (weight > 0)).sum(axis=1), total, mean_p, mean_o, *squares)


def _quantile_of_known(values: Floats, share: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.quantile(known, share)) if known.size else float("nan")
