"""Gains of a product over the coarse input: positive is better, a product equal to it gains exactly 0."""

from __future__ import annotations

import math

import numpy as np

from vadose.validate.metrics import bias, r, slope
from vadose.validate.statistics import Moments, Value


def error_gain(product: float, coarse: float) -> float:
    """Give by how much an error (RMSE, MAE, |bias|) has shrunk, in its own unit.

    Parameters
    ----------
    product, coarse
        The error of each on the same samples.

    Returns
    -------
    float
        Positive when the product is better; NaN for NaN.

    Examples
    --------
    >>> error_gain(1.0, 4.0)
    3.0
    """
    return coarse - product


def correlation_gain(product: float, coarse: float) -> float:
    """Give by how much a correlation has grown; an undefined one (a constant field) counts as 0.

    Examples
    --------
    >>> correlation_gain(0.48, float("nan"))
    0.48
    """
    values = [0.0 if math.isnan(value) else value for value in (product, coarse)]
    return values[0] - values[1]


def partial_gains(product: Moments, coarse: Moments) -> dict[str, Value]:
    """Give the partial gains in slope, correlation and bias, and their mean; after Merlin et al. 2015.

    Each compares distances from the ideal, ``(coarse − product) / (coarse + product)``: of the slope on the
    reference from 1, of R from 1, of the bias from 0. The definitions of the paper were not at hand to be
    verified.

    Parameters
    ----------
    product, coarse
        Moments of each against the same reference on the same pairs; numbers or arrays.

    Returns
    -------
    dict
        ``g_slope``, ``g_r``, ``g_bias`` and ``gain_mean``, −1 to 1, positive when the product is better, 0
        when both are perfect; an undefined R counts as 0; NaN without pairs or where the reference does not
        vary.

    References
    ----------
    Merlin et al. (2015), Remote Sens. 7:3783.

    Examples
    --------
    >>> import numpy as np
    >>> from vadose.validate.statistics import moments
    >>> station = np.array([0.1, 0.2, 0.4])
    >>> flat, half = moments(np.full(3, 0.25), station), moments(station / 2, station)
    >>> {name: round(float(gain), 2) for name, gain in partial_gains(half, flat).items()}
    {'g_slope': 0.33, 'g_r': 1.0, 'g_bias': -0.75, 'gain_mean': 0.19}
    """
    parts = {
        "g_slope": [abs(1 - slope(m)) for m in (product, coarse)],
        "g_r": [abs(1 - _or_none(r(m), m)) for m in (product, coarse)],
        "g_bias": [abs(bias(m)) for m in (product, coarse)],
    }
    found = {name: _share(*pair) for name, pair in parts.items()}
    return {**found, "gain_mean": sum(found.values()) / len(found)}


def _or_none(correlation: Value, m: Moments) -> Value:
    """Let an undefined correlation count as 0 where there are pairs."""
    return np.where(np.isnan(correlation) & (np.asarray(m.n) > 0), 0.0, correlation)[()]


def _share(product: Value, coarse: Value) -> Value:
    total = coarse + product
    is_perfect = total == 0
    return np.where(is_perfect, 0.0, (coarse - product) / np.where(is_perfect, 1.0, total))[()]
