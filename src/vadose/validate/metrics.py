"""Metrics as functions of moments: bias, MAE, RMSE, ubRMSE, R and R², in the unit of the data."""

from __future__ import annotations

import math
from collections.abc import Callable

from vadose.validate.statistics import Moments

NAN = float("nan")
#: Variance below which a field is constant: what is left of its squares is rounding.
TINY = 1e-20


def bias(m: Moments) -> float:
    """Give the mean of product minus reference."""
    return m.product - m.reference if m.n else NAN


def mae(m: Moments) -> float:
    """Give the mean absolute difference."""
    return m.absolute_error / m.weight if m.n else NAN


def ubrmse(m: Moments) -> float:
    """Give the root mean square difference after both means are taken off."""
    if not m.n:
        return NAN
    return math.sqrt(max(m.product_square + m.reference_square - 2 * m.cross, 0.0) / m.weight)


def rmse(m: Moments) -> float:
    """Give the root mean square difference; its square is bias² + ubRMSE²."""
    return math.hypot(bias(m), ubrmse(m)) if m.n else NAN


def r(m: Moments) -> float:
    """Give Pearson's correlation; NaN where either side does not vary."""
    if m.n < 2 or min(m.product_square, m.reference_square) <= TINY * m.weight:
        return NAN
    scale = math.sqrt(m.product_square) * math.sqrt(m.reference_square)
    return max(-1.0, min(1.0, m.cross / scale))


def r2(m: Moments) -> float:
    """Give 1 - SSE/SST, the share of the reference's variance that is explained; can be negative."""
    if m.n < 2 or m.reference_square <= TINY * m.weight:
        return NAN
    return 1.0 - rmse(m) ** 2 * m.weight / m.reference_square


def n(m: Moments) -> float:
    """Give the number of pairs."""
    return float(m.n)


#: Every metric by name.
METRICS: dict[str, Callable[[Moments], float]] = {
    "n": n,
    "r": r,
    "bias": bias,
    "mae": mae,
    "rmse": rmse,
    "ubrmse": ubrmse,
    "r2": r2,
}
