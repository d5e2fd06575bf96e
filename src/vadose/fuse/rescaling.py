"""Products on the scale of a reference: by mean and standard deviation, or by quantiles, at all places at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import UnknownName
from vadose.samples.quantiles import IN_STEP, LEAST

Array = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]
Rescaling = Literal["mean_variance", "quantiles", "none"]
#: Steps between quantiles of one place, at most.
STEPS = 20
#: Places that are matched together, which bounds memory.
TOGETHER = 8192


def rescale(
    products: Mapping[str, xr.DataArray], reference: xr.DataArray, *, how: Rescaling
) -> dict[str, xr.DataArray]:
    """Bring products to the scale that a reference has at each place.

    Parameters
    ----------
    products
        By name, dims ``time, y, x``; NaN is a gap.
    reference
        Same dims and coordinates. The scale is that of the times at which both are present.
    how
        ``mean_variance``, ``quantiles`` (as `vadose.samples.quantiles`, in 20 steps at most) or ``none``.

    Returns
    -------
    dict of str to xarray.DataArray
        Double precision but for ``none``. NaN also where product and reference meet at fewer than 40
        times, or the product does not vary there.

    Raises
    ------
    UnknownName
        No such way.

    Examples
    --------
    >>> values = xr.DataArray(np.linspace(0.1, 0.3, 41).reshape(-1, 1, 1), dims=("time", "y", "x"))
    >>> wet = rescale({"wet": 3 * values + 1}, values, how="mean_variance")["wet"]
    >>> bool(abs(wet - values).max() < 1e-12)
    True
    """
    if how not in get_args(Rescaling):
        raise UnknownName("rescaling", how, get_args(Rescaling))
    if how == "none":
        return dict(products)
    match = _match_moments if how == "mean_variance" else _match_quantiles
    target = reference.values.reshape(reference.shape[0], -1)
    scaled = {}
    for name, product in products.items():
        values = product.values.reshape(target.shape)
        found = np.empty(target.shape)
        for start in range(0, target.shape[1], TOGETHER):
            part = slice(start, start + TOGETHER)
            found[:, part] = match(values[:, part].astype("f8"), target[:, part].astype("f8"))
        scaled[name] = product.copy(data=found.reshape(product.shape))
    return scaled


def _match_moments(values: Floats, reference: Floats) -> Floats:
    """Give values the mean and standard deviation of the reference, dims ``(time, place)``."""
    is_pair = np.isfinite(values) & np.isfinite(reference)
    count = is_pair.sum(axis=0)
    mean, sd = [], []
    for one in (values, reference):
        level = np.where(is_pair, one, 0.0).sum(axis=0) / np.maximum(count, 1)
        away = np.where(is_pair, one - level, 0.0)
        mean.append(level)
        sd.append(np.sqrt((away**2).sum(axis=0) / np.maximum(count, 1)))
    # of a constant, rounding is left
    varies = (sd[0] > 1e-12 * np.abs(mean[0])) & (count >= LEAST)
    slope = np.where(varies, sd[1] / np.where(varies, sd[0], 1.0), np.nan)
    return np.asarray(mean[1] + slope * (values - mean[0]), "f8")


def _match_quantiles(values: Floats, reference: Floats) -> Floats:
    """Match quantiles of every place, dims ``(time, place)``; places of as many steps together."""
    is_pair = np.isfinite(values) & np.isfinite(reference)
    count = is_pair.sum(axis=0)
    steps = np.where(count >= LEAST, np.minimum(count // IN_STEP, STEPS), 0)
    matched = np.full(values.shape, np.nan)
    for number in np.unique(steps[steps > 0]):
        at = np.flatnonzero(steps == number)
        paired = is_pair[:, at]
        source, wanted = (
            _quantiles(np.where(paired, one[:, at], np.inf), count[at], number)
            for one in (values, reference)
        )
        matched[:, at] = _interpolate(values[:, at], source, wanted)
    return matched


def _quantiles(padded: Floats, count: npt.NDArray[np.integer], steps: int) -> Floats:
    """Give quantiles of the first `count` values of each place in order, dims ``(step, place)``."""
    ordered = np.sort(padded, axis=0)
    place = np.linspace(0, 1, steps + 1)[:, None] * (count - 1)
    below = np.floor(place).astype("i8")
    low = np.take_along_axis(ordered, below, axis=0)
    high = np.take_along_axis(ordered, np.minimum(below + 1, count - 1), axis=0)
    return np.asarray(low + (place - below) * (high - low), "f8")


def _interpolate(values: Floats, source: Floats, wanted: Floats) -> Floats:
    """Lay straight lines between knots ``(knot, place)``, and keep the shift of the ends beyond them."""
    means = np.empty_like(wanted)
    for knot, own in enumerate(source):
        is_same = source == own
        means[knot] = np.where(is_same, wanted, 0.0).sum(axis=0) / is_same.sum(axis=0)
    wanted = np.maximum.accumulate(means, axis=0)
    rise = np.diff(source, axis=0)
    slope = np.ones_like(source)
    np.divide(np.diff(wanted, axis=0), rise, out=slope[:-1], where=rise > 0)
    place = np.full(values.shape, -1, "i2")
    for own in source:
        place += values >= own
    inside = np.maximum(place, 0)
    level, start, rate = (np.take_along_axis(one, inside, 0) for one in (wanted, source, slope))
    return np.asarray(level + np.where(place < 0, 1.0, rate) * (values - start), "f8")
