"""Metrics as functions of moments, in the unit of the data: of one sample, or of many at once.

Every metric takes `Moments` and gives a number, or an array of them; NaN where it is not defined.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vadose.validate.statistics import Moments, Value

#: Variance below which a field is constant: what is left of its squares is rounding.
TINY = 1e-20


def n(m: Moments) -> Value:
    """Give the number of pairs."""
    return np.asarray(m.n, "f8")[()]


def bias(m: Moments) -> Value:
    """Give the mean of product minus reference."""
    return _where(_has_pairs(m), m.product - m.reference)


def mae(m: Moments) -> Value:
    """Give the mean absolute difference."""
    return _where(_has_pairs(m), m.absolute_error / _weight(m))


def umse(m: Moments) -> Value:
    """Give the mean square difference after both means are taken off: MSE − bias²."""
    departures = m.product_square + m.reference_square - 2 * m.cross
    return _where(_has_pairs(m), np.maximum(departures, 0.0) / _weight(m))


def ubrmse(m: Moments) -> Value:
    """Give the root mean square difference after both means are taken off."""
    return np.sqrt(umse(m))


def rmse(m: Moments) -> Value:
    """Give the root mean square difference; its square is bias² + ubRMSE²."""
    return np.hypot(bias(m), ubrmse(m))


def r(m: Moments) -> Value:
    """Give Pearson's correlation; NaN where either side does not vary."""
    is_defined = _varies(m, m.product_square) & _varies(m, m.reference_square)
    scale = np.sqrt(m.product_square) * np.sqrt(m.reference_square)
    return _where(is_defined, np.clip(m.cross / _where(is_defined, scale), -1.0, 1.0))


def squared_correlation(m: Moments) -> Value:
    """Give r², which forgives any bias and any slope; not `r2`, though many a paper calls it so."""
    return r(m) ** 2


def r2(m: Moments) -> Value:
    """Give 1 - SSE/SST, the share of the reference's variance that is explained; can be negative."""
    is_defined = _varies(m, m.reference_square)
    return _where(
        is_defined, 1.0 - rmse(m) ** 2 * m.weight / _where(is_defined, m.reference_square)
    )


def slope(m: Moments) -> Value:
    """Give the slope of the least squares line of the product on the reference."""
    is_defined = _varies(m, m.reference_square)
    return _where(is_defined, m.cross / _where(is_defined, m.reference_square))


def mse_correlation(m: Moments) -> Value:
    """Give the part of the MSE that comes of imperfect correlation: 2 s_p s_o (1 − r).

    References
    ----------
    Gupta et al. (2009), J. Hydrol. 377:80. The three parts add up to RMSE².
    """
    scale = np.sqrt(m.product_square) * np.sqrt(m.reference_square)
    return _where(_has_pairs(m), np.maximum(2 * (scale - m.cross), 0.0) / _weight(m))


def mse_bias(m: Moments) -> Value:
    """Give the part of the MSE that comes of the means: bias²."""
    return bias(m) ** 2


def mse_variance(m: Moments) -> Value:
    """Give the part of the MSE that comes of unequal spread: (s_p − s_o)²."""
    spread = (np.sqrt(m.product_square) - np.sqrt(m.reference_square)) ** 2
    return _where(_has_pairs(m), spread / _weight(m))


def kge_2012(m: Moments) -> Value:
    """Give the Kling-Gupta efficiency of 2012: of correlation, means and coefficients of variation.

    ``1 − sqrt((r − 1)² + (β − 1)² + (γ − 1)²)``, β the ratio of the means and γ that of the coefficients
    of variation, product over reference. NaN where a mean is not above 0, as of anomalies.

    References
    ----------
    Kling, Fuchs and Paulin (2012), J. Hydrol. 424-425:264.
    """
    is_defined = (m.product > 0) & (m.reference > 0) & ~np.isnan(r(m))
    mean_ratio = m.product / _where(is_defined, m.reference)
    spread_ratio = np.sqrt(m.product_square) / _where(is_defined, np.sqrt(m.reference_square))
    variation_ratio = spread_ratio / _where(is_defined, mean_ratio)
    distance = (r(m) - 1) ** 2 + (mean_ratio - 1) ** 2 + (variation_ratio - 1) ** 2
    return _where(is_defined, 1.0 - np.sqrt(distance))


def _has_pairs(m: Moments) -> Value:
    return np.asarray(m.n) > 0


def _varies(m: Moments, square: Value) -> Value:
    return (np.asarray(m.n) > 1) & (square > TINY * m.weight)


def _weight(m: Moments) -> Value:
    """Give the weight, or 1 where there is none: what is divided by it is not defined there."""
    return np.where(m.weight > 0, m.weight, 1.0)[()]


def _where(is_defined: Value, value: Value) -> Value:
    return np.where(is_defined, value, np.nan)[()]


#: The metrics of every table, by name; they hold for departures from a mean too.
METRICS: dict[str, Callable[[Moments], Value]] = {
    "n": n,
    "r": r,
    "bias": bias,
    "mae": mae,
    "rmse": rmse,
    "ubrmse": ubrmse,
    "r2": r2,
}
#: Every metric by name: those of the tables, and those that tell more of a station.
ALL_METRICS: dict[str, Callable[[Moments], Value]] = {
    **METRICS,
    "umse": umse,
    "squared_correlation": squared_correlation,
    "kge_2012": kge_2012,
    "slope": slope,
    "mse_correlation": mse_correlation,
    "mse_bias": mse_bias,
    "mse_variance": mse_variance,
}
