"""Judge a fused record at stations: on days that were observed, and apart from them on those that were filled."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from vadose.fuse.base import TARGET
from vadose.pipeline.fusing import Record
from vadose.pipeline.plain import plain
from vadose.validate.origins import score_by_origin
from vadose.validate.paired import gains_over, gains_over_stations
from vadose.validate.pairs import match
from vadose.validate.scores import MINIMUM_PAIRS

#: Scores that are told.
SHOWN = ("n", "bias", "rmse", "ubrmse", "r")
#: Fewest pairs of a station on either kind of day, where none has as many as usual.
FEWEST = 10


def score_stations(
    cube: xr.Dataset, record: Record, stations: xr.Dataset, *, seed: int
) -> dict[str, Any]:
    """Score a fused record beside the land model and, on observed days, the satellite.

    Parameters
    ----------
    cube
        What was fused.
    record
        What it was made of.
    stations
        ``soil_moisture``, dims ``station, time``.
    seed
        Of the intervals.

    Returns
    -------
    dict
        Medians over stations by product and kind of day; what changes from observed to filled days, with
        intervals; on observed days the fused record's scores less the satellite's, with intervals.

    Raises
    ------
    VadoseError
        No station in the map, or no pair.
    """
    fused, model = cube[TARGET], record.model[TARGET]
    pairs = match({"fused": fused, "land model": model}, stations)
    least = MINIMUM_PAIRS
    by_origin = score_by_origin(pairs, cube["origin"], minimum_pairs=least, rng=seed)
    if not by_origin["is_used"].any():
        least = FEWEST
        by_origin = score_by_origin(pairs, cube["origin"], minimum_pairs=least, rng=seed)
    used = by_origin.isel(station=np.flatnonzero(by_origin["is_used"].values))
    told: dict[str, Any] = {
        "stations": int(by_origin["is_used"].sum()),
        "minimum_pairs": least,
        "median": {
            str(name): {
                str(days): {
                    score: float(used[score].sel(product=name, days=days).median())
                    for score in SHOWN
                }
                for days in used["days"].values
            }
            for name in used["product"].values
        },
        "change": {
            str(name): {
                str(score): [
                    float(by_origin[end].sel(product=name, score=score))
                    for end in ("change", "change_lower", "change_upper")
                ]
                for score in by_origin["score"].values
            }
            for name in by_origin["product"].values
        },
        "against_satellite": _against_satellite(fused, record, stations, least, seed),
    }
    return dict(plain(told))


def _against_satellite(
    fused: xr.DataArray, record: Record, stations: xr.Dataset, least: int, seed: int
) -> dict[str, list[float]]:
    """Hold the fused record against the satellite on the days that it has observed, with intervals."""
    pairs = match({"fused": fused, "satellite": record.satellite[TARGET]}, stations)
    gains = gains_over(pairs, "satellite", minimum_pairs=least)
    found = gains_over_stations(gains, rng=seed).sel(product="fused")
    return {
        str(name): [float(found[end].sel(gain=name)) for end in ("median", "lower", "upper")]
        for name in found["gain"].values
    }
