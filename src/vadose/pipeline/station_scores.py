"""Score a run at stations: pair, score, tell gains over the coarse input, and strata."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from vadose.config import BASELINES, Recipe
from vadose.errors import NoOverlap
from vadose.grids import grid_of
from vadose.pipeline.asking import Asked, fields_of, guard, stations_of
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.places import SERIES, note_on_judges
from vadose.pipeline.plain import number
from vadose.pipeline.station_labels import score_labels
from vadose.pipeline.station_series import series_of
from vadose.validate.anomalies import take_climatology_anomalies, take_moving_anomalies
from vadose.validate.daily import distribution, score_by_day
from vadose.validate.gain_intervals import add_gain_intervals
from vadose.validate.lineage import LINEAGE_OF, warn_of_shared_inputs
from vadose.validate.paired import gains_over, gains_over_stations
from vadose.validate.pairs import match
from vadose.validate.scores import MINIMUM_PAIRS, score_pairs
from vadose.validate.station_intervals import add_intervals
from vadose.validate.times import Days, Interval, Window

#: Told steps done, steps in all, and a word.
Step = Callable[..., None]
#: Metrics of the summary.
TOLD = ("r", "bias", "mae", "rmse", "ubrmse", "kge_2012", "slope")
#: Fewest pairs of a station where none has as many as asked for.
FEWEST = 10
#: Networks from which on intervals of gains draw networks, not stations.
ENOUGH_NETWORKS = 5
#: Stations up to which each is given intervals of its own gains: they are drawn, and take a tenth of a second.
GAINED = 300
#: Days from which on anomalies from a moving mean are scored too.
DAYS_FOR_ANOMALIES = 60
REPRESENTATIVENESS = (
    "A station stands for a few metres: at 1 km that alone adds some 0.02 m³ m⁻³ to the RMSE of a perfect "
    "product (Balenzano et al. 2021)."
)


@dataclass(frozen=True)
class AtStations:
    """Hold what was found at stations.

    Attributes
    ----------
    summary
        What belongs into ``summary.json``.
    frames
        Tables by name.
    scores
        The scores of every station, by ``view``: of values and of anomalies.
    series
        What was scored, see `vadose.pipeline.station_series.series_of`.
    """

    summary: dict[str, Any]
    frames: dict[str, pd.DataFrame]
    scores: xr.Dataset
    series: xr.Dataset


def judge_at_stations(folder: RunFolder, asked: Asked, step: Step) -> AtStations:
    """Score every method of a run, and the further products that were given, at stations.

    Raises
    ------
    VadoseError
        As `judge`.
    """
    recipe = folder.recipe
    fields = fields_of(folder, asked.products)
    step(0, 8, "reading stations")
    stations = stations_of(folder, asked, fields)
    guard(folder, stations, fields)
    step(1, 8, "pairing")
    time: Interval = Days(recipe.build.days) if asked.hours is None else Window(asked.hours)
    space = {name: asked.way(grid_of(field)) for name, field in fields.items()}
    everyone = match(fields, stations, space=space, time=time, layer=asked.layer)
    everyone, silent = _varying(everyone.compute())
    step(2, 8, "scoring")
    least = _least(everyone, asked)
    level = 0.05 if asked.after_ma else None
    first = score_pairs(everyone, minimum_pairs=least, significant_only=level)
    pairs = everyone.isel(station=np.flatnonzero(first["is_used"].values))
    if not pairs.sizes["station"]:
        raise NoOverlap(
            "stations",
            found=f"none that may be scored: {first.attrs['selection']}",
            expected="one or more",
        )
    scores = [add_intervals(first, everyone, level=asked.level).expand_dims(view=["values"])]
    views = {"values": pairs, **_anomalies(pairs)}
    gains, summed, still = [], {}, _still(pairs)
    for view, matchup in views.items():
        if view != "values":
            score = score_pairs(matchup, minimum_pairs=least)
            # anomalies have means of about 0, for which this is not defined
            score = score.drop_vars("kge_2012")
            scores.append(add_intervals(score, matchup, level=asked.level).expand_dims(view=[view]))
        for base in BASELINES:
            gain = gains_over(matchup, base, minimum_pairs=least)
            if view == "values":
                summed[base] = _over_stations(gain, recipe.seed, asked.level, still)
                gain = _with_intervals(gain, matchup, base, recipe, asked.level)
            gains.append(gain.expand_dims(view=[view], baseline=[base]))
    step(3, 8, "strata")
    table = score_labels(folder, pairs)
    by_day = xr.concat(
        [
            score_by_day(pairs["value"].sel(product=name).where(pairs["is_pair"]), pairs["reading"])
            for name in fields
        ],
        dim=xr.Variable("product", list(fields)),
    )
    summary = {
        **_counts(everyone, first, silent),
        "selection": scores[0].attrs["selection"],
        "matching": {key: pairs.attrs[key] for key in ("space", "time_matching")},
        "level": asked.level,
        "views": {one["view"].item(): _medians(one) for one in scores},
        "gains": summed,
        "daily": _plain(distribution(by_day).sel(quantile=0.5)),
        "notes": [
            *(note_on_judges(folder.path) if asked.stations is None else ()),
            *_notes(recipe, scores[0]),
            *_notes_on_pairs(fields, everyone, asked, least, views),
        ],
    }
    summary["verdict"] = verdict(summary["gains"], recipe.publish, title_of(recipe, recipe.publish))
    whole = xr.concat(scores, dim="view", join="outer", combine_attrs="drop_conflicts")
    gained = pd.concat([one.to_dataframe().reset_index() for one in gains], ignore_index=True)
    frames = {
        "stations": whole.drop_dims("moment").to_dataframe().reset_index(),
        "gains": gained,
        "strata": table,
        "daily": by_day.to_dataframe().reset_index(),
        "lost": everyone["lost"].to_dataframe().reset_index(),
    }
    titles = {name: title_of(recipe, name) for name in fields}
    series = series_of(folder, everyone, is_used=first["is_used"], titles=titles)
    return AtStations(summary, frames, whole, series)


def verdict(gains: Mapping[str, Any], name: str, title: str) -> str:
    """Say in a sentence whether a product is better than the coarse input, and how sure that is."""
    words = []
    for base, told in gains.items():
        if base == name:
            continue
        gain = told["products"][name]["delta_ubrmse"]
        ends = gain["lower"], gain["upper"]
        if name in told.get("do_not_vary", ()):
            words.append(f"does not vary at most stations, so that no gain over {base} is told")
            continue
        if None in ends or gain["median"] is None:
            words.append(f"too few stations to compare with {base}")
            continue
        low, high = ends
        what = (
            "better than" if low > 0 else "worse than" if high < 0 else "not shown to differ from"
        )
        words.append(
            f"{what} {base} (gain in ubRMSE {_signed(gain['median'])}, {_signed(low)} to {_signed(high)}; positive at "
            f"{gain['share_better']:.0%} of {told['stations']} stations)"
        )
    return f"{title}: " + "; ".join(words) + "."


def _signed(value: float) -> str:
    """Write a number with its sign, and with as many digits as keep it from looking like zero.

    Examples
    --------
    >>> _signed(-0.00181), _signed(-0.00003), _signed(0.0)
    ('-0.0018', '-0.00003', '+0.0000')
    """
    digits = 4
    while value and digits < 8 and round(value, digits) == 0:
        digits += 1
    return f"{value:+.{digits}f}"


def _least(pairs: xr.Dataset, asked: Asked) -> int:
    """Give the fewest pairs of a station that is used."""
    if asked.minimum_pairs is not None:
        return asked.minimum_pairs
    most = int(pairs["n"].max())
    return MINIMUM_PAIRS if most >= MINIMUM_PAIRS else max(2, min(FEWEST, most))


def _notes_on_pairs(
    fields: Mapping[str, xr.DataArray],
    pairs: xr.Dataset,
    asked: Asked,
    least: int,
    views: Mapping[str, xr.Dataset],
) -> list[str]:
    notes = []
    if asked.minimum_pairs is None and least < MINIMUM_PAIRS:
        notes.append(f"No station has {MINIMUM_PAIRS} pairs: those with {least} are shown.")
    if "anomalies_35_days" not in views:
        notes.append(
            "Anomalies are not scored: stamps are too few, or too far apart for a mean of 35 days."
        )
    for name, one in fields.items():
        if one.sizes.get("time", pairs.sizes["time"]) > pairs.sizes["time"]:
            notes.append(
                f"All are judged on the {pairs.sizes['time']} stamps that all products have; {name} has "
                f"{one.sizes['time']}."
            )
            break
    if asked.stations is not None and asked.stations.suffix not in SERIES:
        notes.append("Stations outside of the map were not read and are not counted.")
    return notes


def _varying(pairs: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """Leave out stations whose readings are one and the same all the time: there is nothing to score."""
    reading = pairs["reading"].where(pairs["is_pair"])
    is_still = (reading.max("time") - reading.min("time")).values == 0
    silent = [str(name) for name in pairs["station"].values[is_still]]
    kept = pairs.isel(station=np.flatnonzero(~is_still))
    if not kept["is_pair"].values.any():
        raise NoOverlap("stations", found="readings that do not vary", expected="series")
    return kept, silent


def _anomalies(pairs: xr.Dataset) -> dict[str, xr.Dataset]:
    """Take anomalies where the record is long enough for them."""
    views: dict[str, xr.Dataset] = {}
    if pairs.sizes["time"] < DAYS_FOR_ANOMALIES:
        return views
    for name, take in (
        ("anomalies_35_days", take_moving_anomalies),
        ("anomalies_climatology", take_climatology_anomalies),
    ):
        taken = take(pairs)
        if int(taken["n"].max()) >= 10:
            views[name] = taken
    return views


def _with_intervals(
    gain: xr.Dataset, matchup: xr.Dataset, base: str, recipe: Recipe, level: float
) -> xr.Dataset:
    """Add intervals of the published product's gains at each station, where they are not too many."""
    if gain.sizes["station"] > GAINED:
        return gain
    pair = {"product": list(dict.fromkeys((base, recipe.publish)))}
    rng = np.random.default_rng(recipe.seed)
    told = add_gain_intervals(gain.sel(pair), matchup.sel(pair), rng=rng, level=level)
    new = told[[name for name in told.data_vars if name not in gain]]
    blank = {name: False if new[name].dtype == bool else np.nan for name in new.data_vars}
    laid = new.reindex(product=gain["product"], fill_value=blank)
    return gain.assign({str(name): array for name, array in laid.data_vars.items()})


def _still(pairs: xr.Dataset) -> list[str]:
    """Name the products that have one value all the time at most of the stations."""
    value = pairs["value"].where(pairs["is_pair"])
    is_still = (value.max("time") == value.min("time")).mean("station") > 0.5
    return [str(name) for name in pairs["product"].values[is_still.values]]


def _over_stations(
    gain: xr.Dataset, seed: int, level: float, still: Sequence[str]
) -> dict[str, Any]:
    """Sum gains up over the stations used.

    A product that does not vary has no gain: ubRMSE forgives its bias, so that saying nothing beats a pattern that
    is somewhat wrong.
    """
    networks = set(gain["network"].values.tolist()) if "network" in gain.coords else set()
    cluster = "network" if len(networks) >= ENOUGH_NETWORKS else None
    found = gains_over_stations(gain, rng=seed, level=level, cluster=cluster)
    products = {
        str(product): {
            str(name): _plain(found.sel(product=product, gain=name))
            for name in found["gain"].values
        }
        for product in found["product"].values
    }
    for name in set(still) & set(products):
        products[name] = {key: dict.fromkeys(told) for key, told in products[name].items()}
    keys = ("stations", "groups", "interval", "partial_gains")
    return {
        **{key: found.attrs[key] for key in keys},
        "do_not_vary": list(still),
        "products": products,
    }


def _counts(pairs: xr.Dataset, score: xr.Dataset, silent: list[str]) -> dict[str, Any]:
    lost = pairs["lost"].sum("station").to_pandas()
    is_used = score["is_used"].values
    return {
        "stations": int(is_used.sum()),
        "pairs": int(pairs["n"].isel(product=0).values[is_used].sum()),
        "stamps": pairs.sizes["time"],
        "lost": {str(product): row.astype(int).to_dict() for product, row in lost.iterrows()},
        "stations_not_used": [
            str(name)
            for name in pairs["station"].values[~is_used & (pairs["n"] > 0).all("product")]
        ],
        "stations_that_do_not_vary": silent,
    }


def _medians(score: xr.Dataset) -> dict[str, Any]:
    """Give medians and quartiles over the stations used, of every product."""
    used = score.isel(view=0, station=np.flatnonzero(score["is_used"].isel(view=0).values))
    result: dict[str, Any] = {}
    for product in used["product"].values:
        one = used.sel(product=product)
        row: dict[str, Any] = {}
        for name in TOLD:
            if name not in one:
                continue
            values = one[name].values
            undefined = int(np.isnan(values).sum())
            if name == "r" and undefined < values.size:
                values = np.nan_to_num(values)  # of a product that does not vary: no skill
            elif name == "kge_2012":
                values = values[~np.isnan(values)]
            cuts = np.quantile(values, [0.25, 0.5, 0.75]) if values.size else [np.nan] * 3
            row[name] = dict(
                zip(("lower_quartile", "median", "upper_quartile"), map(number, cuts), strict=True)
            )
            if undefined:
                row[name]["undefined"] = undefined
        short = one["r_is_too_short"].values
        result[str(product)] = {
            **row,
            "stations": used.sizes["station"],
            "too_short_for_an_interval": int(short.sum()),
        }
    return result


def _notes(recipe: Recipe, score: xr.Dataset) -> list[str]:
    notes = [*recipe.notes, REPRESENTATIVENESS]
    sources = {one.product: one for one in recipe.build.sources}
    target = next((name for name, one in sources.items() if one.use == "target"), None)
    if target is not None and target in LINEAGE_OF:
        made: dict[str, str | None] = dict.fromkeys(recipe.predictors)
        for name, source in sources.items():
            for variable in source.variables or ():
                if variable in made and name in LINEAGE_OF:
                    made[variable] = name
        found = warn_of_shared_inputs(target, made)
        notes += [one.text for one in found if one.kind != "unknown"]
    if bool(score["r_is_too_short"].any()):
        notes.append("Some series are too short for an interval that holds; their tables say so.")
    return notes


def title_of(recipe: Recipe, name: str) -> str:
    """Give what a product is called in tables."""
    return recipe.methods[name].title if name in recipe.methods else name


def _plain(values: xr.Dataset) -> dict[str, Any]:
    """Make numbers fit for JSON, which has no NaN."""
    plain: dict[str, Any] = {}
    for name, array in values.data_vars.items():
        if array.ndim:
            keys = [str(one) for one in array[array.dims[0]].values]
            plain[str(name)] = dict(zip(keys, map(number, array.values), strict=True))
        else:
            plain[str(name)] = number(array.values)
    return plain
