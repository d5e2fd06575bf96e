"""Gains of a product over the coarse input: positive is better, a product equal to it gains exactly 0."""

from __future__ import annotations

import math


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
