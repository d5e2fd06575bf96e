"""Score a matchup station by station: every metric, whether it is fit for tables, and how sure its R is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.special import stdtr

from vadose.errors import ValueProblem
from vadose.validate.match import station_coordinates
from vadose.validate.metrics import ALL_METRICS
from vadose.validate.statistics import MOMENTS, Moments, moments_along

Floats = npt.NDArray[np.float64]
#: Fewest pairs of a station that stands in a table (Ma et al.).
MINIMUM_PAIRS = 50
#: What is said where stations are dropped by their p-value.
AFTER_MA = (
    "after Ma: stations where a product's R has p >= {level:g} (pairs taken as independent) are left out, "
    "which makes R look better than it is"
)


def moments_of(matchup: xr.Dataset) -> Moments:
    """Give the moments of every product at every station, dims ``(product, station)``."""
    return moments_along(
        matchup["value"].values, matchup["reading"].values, matchup["is_pair"].values
    )


def score_pairs(
    matchup: xr.Dataset,
    *,
    minimum_pairs: int = MINIMUM_PAIRS,
    significant_only: float | None = None,
) -> xr.Dataset:
    """Score every product at every station.

    Parameters
    ----------
    matchup
        What `vadose.validate.pairs.match` gives, or anomalies of it.
    minimum_pairs
        Fewest pairs of a station that is used in tables.
    significant_only
        Leave out of tables the stations where any product's R has a p-value of this or more, to repeat
        Ma's 0.05; None keeps them all, as a score should.

    Returns
    -------
    xarray.Dataset
        Every metric of `vadose.validate.metrics.ALL_METRICS`, dims ``product, station``, in m³ m⁻³ or
        powers of it, NaN where it is not defined; ``p_value_independent`` of R, as if pairs were
        independent, which daily soil moisture is not; ``is_used (station)``; ``moments (product, station,
        moment)``. Attributes say what was scored and how.

    Raises
    ------
    ValueProblem
        A level outside 0 to 1.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> from vadose.validate.pairs import match
    >>> small = world(size=16, days=60, factor=4, seed=0)
    >>> score = score_pairs(match({"truth": small.truth["soil_moisture"]}, small.stations))
    >>> bool((score["mse_correlation"] + score["mse_bias"] + score["mse_variance"]
    ...     - score["rmse"] ** 2 < 1e-12).all())
    True
    """
    if significant_only is not None and not 0 < significant_only < 1:
        raise ValueProblem(
            "significant_only", found=f"{significant_only:g}", expected="a level between 0 and 1"
        )
    found = moments_of(matchup)
    dims = ("product", "station")
    result = xr.Dataset(
        {name: (dims, metric(found)) for name, metric in ALL_METRICS.items()},
        coords={"product": matchup["product"].values, **station_coordinates(matchup)},
        attrs={
            "of": matchup.attrs.get("of", "values"),
            "minimum_pairs": minimum_pairs,
            "r2": "1 - SSE/SST; squared_correlation is the other one",
            "selection": f"stations with {minimum_pairs} pairs or more",
        },
    )
    p_value = correlation_p_value(result["r"].values, np.asarray(found.n, "f8"))
    result["p_value_independent"] = dims, p_value
    is_used = (found.n >= max(minimum_pairs, 1)).all(axis=0)
    if significant_only is not None:
        # an undefined R has no p-value, and is not significant
        is_used &= (p_value < significant_only).all(axis=0)
        result.attrs["selection"] += "; " + AFTER_MA.format(level=significant_only)
    result["is_used"] = "station", is_used
    result["moments"] = (*dims, "moment"), found.stacked()
    return result.assign_coords(moment=list(MOMENTS))


def correlation_p_value(r: Floats, n: Floats) -> Floats:
    """Give the two-sided p-value of a correlation.

    Parameters
    ----------
    r
        Pearson's correlation.
    n
        Number of independent pairs: an effective number for series that remember.

    Returns
    -------
    numpy.ndarray
        NaN where the correlation is not defined or ``n`` is 2 or less.

    Examples
    --------
    >>> correlation_p_value(np.array([0.5, 0.5]), np.array([20.0, 5.0])).round(3)
    array([0.025, 0.391])
    """
    freedom = np.where(n > 2, n - 2, np.nan)
    with np.errstate(divide="ignore"):
        t = np.abs(r) * np.sqrt(freedom / (1 - r**2))
    return np.asarray(np.where(np.isnan(t), np.nan, 2 * stdtr(freedom, -t)), "f8")
