"""How good filled values are: known values are hidden as a satellite would miss them, and asked for again.

A product is made from the coarse input without the hidden values (``coarse.where(~hidden)``) and its area
means are scored there, by how long the gap is and how old the last observation, beside what costs nothing:
the last value, and a straight line in time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import UnknownName, ValueProblem
from vadose.samples.gaps import gap_ages
from vadose.validate.daily import check_pair
from vadose.validate.metrics import METRICS
from vadose.validate.statistics import moments_by

Floats = npt.NDArray[np.float64]
#: First day of each class of gap length or age; the last one is open.
CLASSES = (1, 2, 3, 4, 8, 16)
#: Products that are always scored beside the others.
BASELINES = ("persistence", "linear")
#: Why a hidden value is not scored, in the order in which they are asked.
LOST = ("no product value", "no earlier value", "no later value")
#: Fewer values, or values of fewer days, than this in a class do not make a table: one storm decides it.
SMALL, FEW_DATES = 50, 10

By = Literal["length", "age", "nearest"]


def baselines(cube: xr.DataArray) -> dict[str, xr.DataArray]:
    """Fill gaps with what costs nothing.

    Parameters
    ----------
    cube
        Dims ``time`` and any others; NaN in gaps.

    Returns
    -------
    dict
        ``persistence``, the last value, NaN before the first one; ``linear``, on a straight line in time
        between the values around a gap, NaN where one of them is not there. Double precision.

    Examples
    --------
    >>> days = np.arange("2019-07-01", "2019-07-05", dtype="M8[D]").astype("M8[ns]")
    >>> cube = xr.DataArray([0.2, np.nan, np.nan, 0.5], dims="time", coords={"time": days})
    >>> filled = baselines(cube)
    >>> filled["persistence"].values, filled["linear"].values.round(3)
    (array([0.2, 0.2, 0.2, 0.5]), array([0.2, 0.3, 0.4, 0.5]))
    """
    ages = gap_ages(cube.notnull())
    cube = cube.transpose("time", ...)
    values = cube.values.astype("f8")
    is_seen = np.isfinite(values)
    place = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
    last = np.maximum.accumulate(np.where(is_seen, place, 0), axis=0)
    after = np.minimum.accumulate(np.where(is_seen, place, len(values) - 1)[::-1], axis=0)[::-1]
    before, later = (np.take_along_axis(values, one, axis=0) for one in (last, after))
    age, ahead = (ages[name].transpose(*cube.dims).values for name in ("age", "ahead"))
    share = np.divide(age, age + ahead, out=np.zeros_like(age), where=~is_seen)
    line = np.where(is_seen, values, before + share * (later - before))
    return {"persistence": cube.copy(data=before), "linear": cube.copy(data=line)}


def score_filled(
    products: Mapping[str, xr.DataArray],
    truth: xr.DataArray,
    hidden: xr.DataArray,
    *,
    by: By = "length",
    classes: Sequence[int] = CLASSES,
) -> xr.Dataset:
    """Score filled values where the truth was hidden, by length of the gap or age of the last value.

    Parameters
    ----------
    products
        Filled fields by name, dims ``time, y, x``, m³ m⁻³, made without the hidden values and brought to
        the coarse grid (`vadose.cubes.regrid.area_mean`).
    truth
        The coarse input with its hidden values.
    hidden
        What `vadose.samples.gaps.lay_gaps` gives.
    by
        ``length`` of the gap, ``age`` since the last observation, or days to the ``nearest`` one.
    classes
        First day of each class.

    Returns
    -------
    xarray.Dataset
        Every metric of `vadose.validate.metrics.METRICS`, dims ``product, days``; ``persistence`` and
        ``linear`` stand beside the products, all on the same values: those that every one of them has.
        ``days`` names the classes, and ``all``. ``n_dates (days)``, the days of the record that the values
        are of; ``is_small (days)``: fewer than 50 values, or values of fewer than 10 days, no base for a
        claim. ``lost`` by ``reason`` counts hidden values that are not scored; the baselines need an
        observation on either side.

    Raises
    ------
    UnknownName
        No such `by`.
    CubeProblem
        Grids, days or dims that differ.
    ValueProblem
        No hidden value that can be scored, a product with the name of a baseline, or classes that do not
        increase from 1.

    Examples
    --------
    >>> from vadose.samples.gaps import lay_gaps
    >>> from vadose.synthetic import world
    >>> small = world(size=32, days=24, factor=4, seed=0)
    >>> coarse = small.coarse["soil_moisture"]
    >>> hidden = lay_gaps(coarse, rng=0)
    >>> score = score_filled({"truth": small.coarse_truth["soil_moisture"]}, coarse, hidden)
    >>> score["product"].values.tolist()
    ['truth', 'persistence', 'linear']
    >>> int(score["n"].sel(product="truth", days="all") + score["lost"].sum()) == int(hidden.sum())
    True
    """
    if by not in ("length", "age", "nearest"):
        raise UnknownName("by", by, ("length", "age", "nearest"))
    edges = np.asarray(classes)
    if not edges.size or edges[0] != 1 or (np.diff(edges) <= 0).any():
        raise ValueProblem(
            "classes", found=f"{tuple(classes)}", expected="first days that increase from 1"
        )
    taken = set(products) & set(BASELINES)
    if taken:
        raise ValueProblem(
            "products", found=f"{sorted(taken)}", expected="other names: these are the baselines"
        )
    truth, hidden = check_pair(truth, hidden)
    known = truth.where(~hidden)
    everyone = {
        **{name: check_pair(one, truth)[0] for name, one in products.items()},
        **baselines(known),
    }
    asked = hidden.values & truth.notnull().values
    values = {name: one.transpose(*truth.dims).values[asked] for name, one in everyone.items()}
    ages = {name: one.values[asked] for name, one in gap_ages(known.notnull()).items()}
    has_product = np.logical_and.reduce(
        [np.ones(asked.sum(), dtype=bool), *(np.isfinite(values[name]) for name in products)]
    )
    has_before, has_after = np.isfinite(ages["age"]), np.isfinite(ages["ahead"])
    is_scored = has_product & has_before & has_after
    lost = [
        (~has_product).sum(),
        (has_product & ~has_before).sum(),
        (has_product & has_before & ~has_after).sum(),
    ]
    if not is_scored.any():
        reasons = ", ".join(f"{why}: {n}" for why, n in zip(LOST, lost, strict=True) if n)
        raise ValueProblem(
            "hidden values",
            found=f"none that can be scored ({reasons or 'none hidden'})",
            expected="hidden values with an observation before and after",
        )
    number = np.searchsorted(edges, np.floor(ages[by][is_scored]), side="right") - 1
    labels = _labels(edges)
    observed = truth.values[asked][is_scored]
    table = np.empty((len(METRICS), len(everyone), len(labels)))
    for row, name in enumerate(everyone):
        classed = moments_by(values[name][is_scored], observed, number, edges.size)
        for column, pairs in ((slice(-1), classed), (-1, classed.merge_along(0))):
            table[:, row, column] = [metric(pairs) for metric in METRICS.values()]
    result = xr.Dataset(
        {name: (("product", "days"), table[place]) for place, name in enumerate(METRICS)},
        coords={"product": list(everyone), "days": labels, "reason": list(LOST)},
        attrs={"by": by},
    )
    date = np.nonzero(asked)[0][is_scored]
    dates = [np.unique(date[number == column]).size for column in range(edges.size)]
    result["n_dates"] = "days", np.array([*dates, np.unique(date).size], dtype="i8")
    result["is_small"] = (result["n"].isel(product=0, drop=True) < SMALL) | (
        result["n_dates"] < FEW_DATES
    )
    result["lost"] = "reason", np.array(lost, dtype="i8")
    return result


def _labels(edges: npt.NDArray[np.int64]) -> list[str]:
    """Name classes: the days that are in each.

    Examples
    --------
    >>> _labels(np.array([1, 2, 4]))
    ['1', '2-3', '4 or more', 'all']
    """
    last = [*(edges[1:] - 1).tolist()]
    names = [
        str(first) if first == end else f"{first}-{end}"
        for first, end in zip(edges.tolist(), last, strict=False)
    ]
    return [*names, f"{edges[-1]} or more", "all"]
