"""Gains over the coarse input at stations: pair by pair, with how sure they are over stations or networks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import UnknownName, ValueProblem
from vadose.validate.blocks import block_draws
from vadose.validate.gain import partial_gains
from vadose.validate.match import station_coordinates
from vadose.validate.metrics import ALL_METRICS
from vadose.validate.scores import MINIMUM_PAIRS, moments_of
from vadose.validate.statistics import Moments

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Errors whose decrease is a gain, and R, whose increase is one.
DELTAS = ("delta_r", "delta_ubrmse", "delta_rmse", "delta_absolute_bias")
PARTIAL = ("g_slope", "g_r", "g_bias", "gain_mean")
#: What is said of the partial gains.
DEFINITION = "after Merlin et al. 2015, definition not verified"


def gains_over(
    matchup: xr.Dataset, coarse: str, *, minimum_pairs: int = MINIMUM_PAIRS
) -> xr.Dataset:
    """Give by how much every product is better than the coarse input at every station.

    Parameters
    ----------
    matchup
        What `vadose.validate.pairs.match` gives, or anomalies of it, with the coarse input among the
        products.
    coarse
        Name of the coarse input, nearest or smooth.
    minimum_pairs
        Fewest pairs of a station that is used in tables.

    Returns
    -------
    xarray.Dataset
        Dims ``product, station``, all positive where the product is better and exactly 0 where it equals the
        coarse input: ``g_slope``, ``g_r``, ``g_bias`` and ``gain_mean`` (−1 to 1), ``delta_r`` (1),
        ``delta_ubrmse``, ``delta_rmse`` and ``delta_absolute_bias`` (m³ m⁻³). An undefined R counts as 0.
        ``is_used (station)``, of enough pairs and with readings that vary; those that do not are counted
        in the attributes.

    Raises
    ------
    UnknownName
        No such product in the matchup.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> from vadose.validate.pairs import match
    >>> small = world(size=16, days=60, factor=4, seed=0)
    >>> fields = {"nearest": small.coarse["soil_moisture"], "truth": small.truth["soil_moisture"]}
    >>> gains = gains_over(match(fields, small.stations), "nearest")
    >>> bool(gains["delta_rmse"].sel(product="truth").median() > 0)
    True
    >>> bool((gains["gain_mean"].sel(product="nearest") == 0).all())
    True
    """
    names = [str(name) for name in matchup["product"].values]
    if coarse not in names:
        raise UnknownName("coarse input", coarse, names)
    found = moments_of(matchup)
    place = names.index(coarse)
    base = found.select(slice(place, place + 1))
    own, other = (_compared(m) for m in (found, base))
    gains = {
        **partial_gains(found, base),
        "delta_r": own["r"] - other["r"],
        **{f"delta_{name}": other[name] - own[name] for name in own if name != "r"},
    }
    # against a reading that does not vary (a stuck sensor) neither slope nor R says anything
    is_flat = ((found.n > 0) & np.isnan(gains["g_slope"])).any(axis=0)
    is_used = (found.n >= max(minimum_pairs, 1)).all(axis=0) & ~is_flat
    return xr.Dataset(
        {
            **{name: (("product", "station"), np.asarray(gain)) for name, gain in gains.items()},
            "is_used": ("station", is_used),
        },
        coords={"product": names, **station_coordinates(matchup)},
        attrs={
            "coarse": coarse,
            "of": matchup.attrs.get("of", "values"),
            "minimum_pairs": minimum_pairs,
            "stations_that_do_not_vary": int(is_flat.sum()),
            "partial_gains": DEFINITION,
        },
    )


def gains_over_stations(
    gains: xr.Dataset,
    *,
    rng: np.random.Generator | int,
    draws: int = 1000,
    level: float = 0.95,
    cluster: str | None = None,
) -> xr.Dataset:
    """Give the median gains over the stations used, and intervals from stations drawn anew.

    Parameters
    ----------
    gains
        What `gains_over` gives.
    rng
        Generator or seed; all products and gains see the same draws.
    draws
        Times that the stations are drawn, with replacement.
    level
        Of the interval.
    cluster
        Coordinate of the stations, such as ``network``, of which whole groups are drawn: neighbours tell
        much the same. Each station by itself unless given, which makes intervals too narrow where
        stations lie close together.

    Returns
    -------
    xarray.Dataset
        Dims ``product, gain``: ``median``, ``lower`` and ``upper`` end of its interval (NaN with fewer than
        two groups), ``share_better``, of stations where the gain is above 0; ``stations`` and ``groups``
        in the attributes.

    Raises
    ------
    UnknownName
        No such coordinate.
    ValueProblem
        No draws, or a level outside 0 to 1.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, ch. 13; Field and Welsh (2007), J. R.
    Stat. Soc. B 69:369 (clusters).
    """
    if not 0 < level < 1:
        raise ValueProblem("level", found=f"{level:g}", expected="between 0 and 1")
    if cluster is not None and cluster not in gains.coords:
        raise UnknownName("coordinate", cluster, station_coordinates(gains))
    used = gains.isel(station=np.flatnonzero(gains["is_used"].values))
    names = (*PARTIAL, *DELTAS)
    count = used.sizes["station"]
    labels = np.arange(count) if cluster is None else used[cluster].values
    _, group = np.unique(labels, return_inverse=True)
    groups = int(group.max()) + 1 if count else 0
    drawn = block_draws(np.arange(groups), rng=rng, draws=draws)[:, group]
    table = np.full((4, used.sizes["product"], len(names)), np.nan)
    for place, name in enumerate(names):
        values = used[name].values
        for row, own in enumerate(values):
            if not count:
                continue
            table[0, row, place], table[3, row, place] = np.median(own), (own > 0).mean()
            if groups > 1:
                outside = (1 - level) / 2
                medians = _weighted_medians(own, drawn)
                table[1:3, row, place] = np.quantile(medians, [outside, 1 - outside])
    parts = ("median", "lower", "upper", "share_better")
    unit = "stations" if cluster is None else f"groups of one {cluster}"
    return xr.Dataset(
        {part: (("product", "gain"), table[row]) for row, part in enumerate(parts)},
        coords={"product": used["product"].values, "gain": list(names)},
        attrs={
            **gains.attrs,
            "stations": count,
            "groups": groups,
            "interval": f"{level:.0%} percentile bootstrap over {unit}, {draws} draws",
        },
    )


def _compared(m: Moments) -> dict[str, Floats]:
    correlation = ALL_METRICS["r"](m)
    return {
        "r": np.where(np.isnan(correlation) & (m.n > 0), 0.0, correlation),
        "ubrmse": ALL_METRICS["ubrmse"](m),
        "rmse": ALL_METRICS["rmse"](m),
        "absolute_bias": np.abs(ALL_METRICS["bias"](m)),
    }


def _weighted_medians(values: Floats, drawn: Floats) -> Floats:
    """Give the median of values that were drawn so often, of each draw; the mean of the two in the middle."""
    order = np.argsort(values, kind="stable")
    until = np.cumsum(drawn[:, order], axis=1)
    total = until[:, -1:]
    ranks = [np.floor((total - 1) / 2), np.floor(total / 2)]
    middle = [values[order][(until <= rank).sum(axis=1)] for rank in ranks]
    return np.asarray((middle[0] + middle[1]) / 2, "f8")
