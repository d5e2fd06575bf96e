"""Scores at stations on days when the satellite saw the cell, and apart from them on days when it was filled."""

from __future__ import annotations

import numpy as np
import xarray as xr

from vadose.errors import ValueProblem
from vadose.schema import ORIGIN
from vadose.validate.blocks import block_draws
from vadose.validate.match import station_coordinates
from vadose.validate.metrics import METRICS
from vadose.validate.scores import MINIMUM_PAIRS
from vadose.validate.statistics import moments_along
from vadose.validate.strata import label_from_map

#: Days that are scored apart, and which codes of ``origin`` they have: a value is extrapolated only where it is
#: not filled, so that the satellite saw the cell.
DAYS: dict[str, tuple[str, ...]] = {
    "observed": ("observed", "fused", "downscaled", "extrapolated"),
    "filled": ("filled",),
}
#: Scores whose change from observed to filled days is given.
CHANGES = ("rmse", "ubrmse", "r", "mae", "bias")


def score_by_origin(
    matchup: xr.Dataset,
    origin: xr.DataArray,
    *,
    minimum_pairs: int = MINIMUM_PAIRS,
    draws: int = 1000,
    level: float = 0.95,
    rng: np.random.Generator | int,
) -> xr.Dataset:
    """Score every product at every station on observed and on filled days.

    The days differ in more than their origin: a satellite misses rainy or frozen days more often. What a
    product without gaps (a land model) loses on the filled days is the part that belongs to the days, so
    have one among the products.

    Parameters
    ----------
    matchup
        What `vadose.validate.pairs.match` gives.
    origin
        As in a cube (codes of ``vadose.schema.ORIGIN``), dims ``time, y, x``.
    minimum_pairs
        Fewest pairs of a station, of each kind of day, to be used in `change`.
    draws, level
        Of the intervals: times that stations are drawn anew, and their level.
    rng
        Generator or seed.

    Returns
    -------
    xarray.Dataset
        Every metric of `vadose.validate.metrics.METRICS`, dims ``product, station, days`` with the days
        ``observed`` and ``filled``, NaN where not defined; ``is_used (station)``. Over the stations used,
        dims ``product, score``: ``change``, the mean over stations of the score on filled days less that on
        observed ones, with ``change_lower`` and ``change_upper`` (NaN with fewer than two stations, or where
        a score is not defined). ``without_origin``, pairs of neither kind.

    Raises
    ------
    ValueProblem
        No pair on a filled, or on an observed day.
    CubeProblem, NoOverlap
        An origin with other dims, or a map without any of the stations.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> from vadose.validate.pairs import match
    >>> small = world(size=16, days=120, factor=4, seed=0)
    >>> seen = small.coarse["origin"].values == ORIGIN.code("observed")
    >>> origin = small.coarse["origin"].copy(data=np.where(seen, 1, 3))
    >>> pairs = match({"model": small.land_model["soil_moisture"]}, small.stations)
    >>> score = score_by_origin(pairs, origin, minimum_pairs=20, rng=0)
    >>> bool((score["n"].sum("days") == pairs["n"]).all())
    True
    """
    if not 0 < level < 1:
        raise ValueProblem("level", found=f"{level:g}", expected="between 0 and 1")
    label = label_from_map(origin, matchup).transpose("station", "time").values
    is_pair = matchup["is_pair"].values
    chosen = [
        is_pair & np.isin(label, [ORIGIN.code(meaning) for meaning in meanings])
        for meanings in DAYS.values()
    ]
    for name, where in zip(DAYS, chosen, strict=True):
        if not where.any():
            raise ValueProblem(
                "origin at stations",
                found=f"no pair on a day that is {name}",
                expected="pairs on observed and on filled days",
                remedy="Match stations with the product, gaps filled, and give its own origin.",
            )
    found = [
        moments_along(matchup["value"].values, matchup["reading"].values, where) for where in chosen
    ]
    dims = ("product", "station", "days")
    result = xr.Dataset(
        {
            name: (dims, np.stack([metric(one) for one in found], axis=-1))
            for name, metric in METRICS.items()
        },
        coords={
            "product": matchup["product"].values,
            **station_coordinates(matchup),
            "days": list(DAYS),
        },
        attrs={
            "minimum_pairs": minimum_pairs,
            "level": level,
            "of": matchup.attrs.get("of", "values"),
        },
    )
    is_used = np.all([one.n.min(axis=0) >= max(minimum_pairs, 1) for one in found], axis=0)
    result["is_used"] = "station", is_used
    result["without_origin"] = (), int((is_pair & ~np.logical_or(*chosen)).sum())
    table = np.full((3, len(result["product"]), len(CHANGES)), np.nan)
    stations = int(is_used.sum())
    if stations:
        own = np.stack([result[name].values[:, is_used] for name in CHANGES], axis=-1)
        change = own[:, :, 1] - own[:, :, 0]
        table[0] = change.mean(axis=1)
        times = block_draws(np.arange(stations), rng=rng, draws=draws) / stations
        drawn = np.tensordot(times, change, axes=(1, 1))
        outside = (1 - level) / 2
        table[1:] = np.quantile(drawn, [outside, 1 - outside], axis=0)
    for row, name in enumerate(("change", "change_lower", "change_upper")):
        result[name] = ("product", "score"), table[row]
    return result.assign_coords(score=list(CHANGES))
