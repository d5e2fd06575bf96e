"""Scores by stratum: moments of each station and stratum, merged exactly, and the spread over stations."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import CubeProblem, ValueProblem
from vadose.validate.metrics import ALL_METRICS
from vadose.validate.scores import MINIMUM_PAIRS
from vadose.validate.statistics import Moments, moments_by, unstacked

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
#: Fewest pairs of a station within a stratum that counts in the medians over stations.
STATION_PAIRS = 10
#: Fewest stations of a stratum that is not small.
MINIMUM_STATIONS = 3
#: What a score is over: all pairs together, or the stations.
VIEWS = ("pooled", "median", "lower_quartile", "upper_quartile")
#: Stations taken at once.
_BLOCK = 256


def score_strata(
    matchup: xr.Dataset,
    label: xr.DataArray | None = None,
    *,
    minimum_pairs: int = MINIMUM_PAIRS,
    station_pairs: int = STATION_PAIRS,
) -> xr.Dataset:
    """Score products apart for every stratum of a label.

    Parameters
    ----------
    matchup
        What `vadose.validate.pairs.match` gives, or anomalies of it; of the stations that are to count,
        ``matchup.isel(station=score["is_used"].values)`` for those with enough pairs.
    label
        Any of the dims ``product, station, time``, as `vadose.validate.strata` describes; all pairs are
        one stratum, ``all``, unless given.
    minimum_pairs
        Pairs below which a stratum is small.
    station_pairs
        Fewest pairs of a station within a stratum to count in the medians and quartiles.

    Returns
    -------
    xarray.Dataset
        Every metric of `vadose.validate.metrics.ALL_METRICS` with dims ``product, stratum, view``, view
        being ``pooled`` or the ``median``, ``lower_quartile`` and ``upper_quartile`` over stations, where
        an undefined correlation counts as 0 and ``r_undefined`` counts those, and any other undefined
        value makes them NaN. ``n`` of the view pooled is that of all pairs. ``stations (product, stratum)``
        behind the medians; ``is_small``, of fewer pairs than `minimum_pairs` or fewer than 3 stations;
        ``without_stratum (product)``, pairs that have none.

    Raises
    ------
    CubeProblem
        A label with other dims or sizes.
    ValueProblem
        No pair has a stratum.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> from vadose.validate.pairs import match
    >>> small = world(size=16, days=60, factor=4, seed=0)
    >>> pairs = match({"truth": small.truth["soil_moisture"]}, small.stations)
    >>> by_network = score_strata(pairs, pairs["network"])
    >>> by_network["stratum"].values.tolist(), by_network["rmse"].dims
    (['HILLS', 'PLAINS'], ('product', 'stratum', 'view'))
    """
    if label is None:
        label = xr.DataArray(np.full(matchup.sizes["station"], "all"), dims="station")
    names, codes = _strata(label)
    codes = _as_matchup(codes, label, matchup)
    if not (matchup["is_pair"].values & (codes >= 0)).any():
        raise ValueProblem(
            f"label {label.name or ''}".strip(),
            found="no pair with a stratum",
            expected="labels where pairs are",
        )
    found = _moments(matchup, codes, len(names))
    pooled = found.merge_along(1)
    is_counted = found.n >= max(station_pairs, 1)
    stations = is_counted.sum(axis=1)
    dims = ("product", "stratum", "view")
    table = {
        name: (dims, np.stack([metric(pooled), *_spread(metric(found), is_counted, name)], axis=-1))
        for name, metric in ALL_METRICS.items()
    }
    r_undefined = (np.isnan(ALL_METRICS["r"](found)) & is_counted).sum(axis=1)
    is_small = (pooled.n < minimum_pairs) | (stations < MINIMUM_STATIONS)
    of_stratum = ("product", "stratum")
    return xr.Dataset(
        {
            **table,
            "stations": (of_stratum, stations),
            "r_undefined": (of_stratum, r_undefined),
            "is_small": (of_stratum, is_small),
            "without_stratum": (
                "product",
                matchup["n"].values.sum(axis=1) - pooled.n.sum(axis=1).astype("i8"),
            ),
        },
        coords={"product": matchup["product"].values, "stratum": names, "view": list(VIEWS)},
        attrs={
            "label": str(label.name or "label"),
            "of": matchup.attrs.get("of", "values"),
            "small": f"fewer than {minimum_pairs} pairs or {MINIMUM_STATIONS} stations with "
            f"{station_pairs} pairs or more",
        },
    )


def _strata(label: xr.DataArray) -> tuple[list[Any], Integers]:
    """Name the strata, and number the label's values by them; -1 is none."""
    values = label.values
    if "flag_values" in label.attrs:
        numbers = np.atleast_1d(label.attrs["flag_values"])
        meanings = str(label.attrs.get("flag_meanings", "")).split()
        names = meanings or [str(one) for one in numbers]
        codes = np.full(values.shape, -1, "i8")
        for place, one in enumerate(numbers):
            codes[values == one] = place
        # a stratum that the flags know and the data does not is none
        present = np.unique(codes[codes >= 0])
        rank = np.full(len(names) + 1, -1)
        rank[present] = np.arange(present.size)
        return [names[place] for place in present], rank[codes]
    if values.dtype.kind == "O":
        values = np.array(
            ["" if one is None or one != one else str(one) for one in values.ravel()]
        ).reshape(values.shape)
    unique, codes = np.unique(values, return_inverse=True)
    is_none = unique != unique if unique.dtype.kind == "f" else unique == ""
    if unique.dtype.kind not in "fU":
        is_none = np.zeros(unique.shape, bool)
    rank = np.where(is_none, -1, np.cumsum(~is_none) - 1)
    return unique[~is_none].tolist(), rank[codes.reshape(values.shape)]


def _as_matchup(codes: Integers, label: xr.DataArray, matchup: xr.Dataset) -> Integers:
    """Lay the numbers out with the dims of a matchup; a dim that the label lacks has size 1."""
    sizes = {name: matchup.sizes[name] for name in ("product", "station", "time")}
    dims = [str(name) for name in label.dims]
    if not set(dims) <= set(sizes) or any(label.sizes[name] != sizes[name] for name in dims):
        raise CubeProblem(
            f"label {label.name or ''}".strip(),
            found=f"dims {dict(label.sizes)}",
            expected=f"some of {sizes}",
        )
    order = [name for name in sizes if name in dims]
    laid = codes.transpose([dims.index(name) for name in order])
    return laid.reshape([sizes[name] if name in dims else 1 for name in sizes])


def _moments(matchup: xr.Dataset, codes: Integers, count: int) -> Moments:
    """Give moments ``(product, station, stratum)``."""
    values, readings = matchup["value"].values, matchup["reading"].values
    is_pair = matchup["is_pair"].values
    size = readings.shape[0]
    parts = np.zeros((len(values), size, count, 8))
    for start in range(0, size, _BLOCK):
        part = slice(start, start + _BLOCK)
        reading = readings[part]
        rows = np.arange(len(reading))[:, None] * count
        for place in range(len(values)):
            own = codes[min(place, len(codes) - 1)]
            own = own[part] if len(own) > 1 else own
            group = np.where(is_pair[part] & (own >= 0), rows + own, -1)
            taken = group >= 0
            found = moments_by(
                values[place, part][taken], reading[taken], group[taken], len(reading) * count
            )
            parts[place, part] = found.stacked().reshape(len(reading), count, -1)
    return unstacked(parts)


def _spread(values: Floats, is_counted: npt.NDArray[np.bool_], name: str) -> Floats:
    """Give median and quartiles over the stations that count, ``(quantile, product, stratum)``."""
    if name == "r":
        values = np.where(np.isnan(values), 0.0, values)
    result = np.full((3, values.shape[0], values.shape[2]), np.nan)
    for product, stratum in np.ndindex(values.shape[0], values.shape[2]):
        own = values[product, is_counted[product, :, stratum], stratum]
        if own.size:
            result[:, product, stratum] = np.quantile(own, [0.5, 0.25, 0.75])
    return result
