"""Correction with stations, judged at stations held out, on four real networks beside naive baselines.

Every corrector is learned anew without each station (or tenth of the stations) that it is judged at. The line
"best" takes the corrector that does best at stations held out *among those it may learn from*, so that no
station judged has a say in the choice; it is the one reported as ``rmse_after``.

=============  ==================================  =========================================================
network        product before                      naive
=============  ==================================  =========================================================
yanco          SMAP 36 km, interpolated to 1 km    mean of the other stations of the same three days
delaware       ESA CCI 0.25°, interpolated to 1 km  mean of the other stations of the same day
us_stations    SMAP 10 km, mm over 50 mm           a line on SMAP, 10 folds of whole stations
kings_creek    mean of the other 15 probes         that mean itself
=============  ==================================  =========================================================

Stations nearer than 1 km to the one that is judged are not learned from, except on Kings Creek, whose
probes are one product: there the mean of the others too is made anew without the probe held out. Intervals
are of the difference of the errors, after minus before, from stations drawn anew. Needs the data folder of
the project; what is absent is skipped.

On Kings Creek the probe's mean departure from the others is a third of the mean square error and stays for
the terrain to tell; the line "all but the probe's own mean" says what would be left if it told all of it.
One index alone, the insolation, comes below .030, but that it is this one is seen with all 16 probes in sight
only: what is chosen without the test, or averaged over all indices, does not reach it.

Run from the root of the repository::

    python benchmarks/station_correction.py [--data ../shared/data] [--only kings_creek] [--every 1]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
import xarray as xr
from scipy.ndimage import gaussian_filter

from vadose.config import read_recipe
from vadose.correct import (
    Additive,
    Average,
    Best,
    CDFMatching,
    Chain,
    Corrector,
    DailyKriging,
    DepartureKriging,
    Fold,
    Forest,
    Kriging,
    Linear,
    Nothing,
    Pairs,
    Regression,
    Seasonal,
    compare,
    correct_held_out,
    pairs_of,
    pairs_of_table,
    station_folds,
)
from vadose.correct.stations import REPRESENTATIVENESS
from vadose.correct.verdict import Comparison
from vadose.downscale.baselines import Interpolation
from vadose.errors import VadoseError
from vadose.pipeline.sources import open_cubes, open_stations
from vadose.validate.match import at_stations
from vadose.validate.pairs import match
from vadose.validate.times import Days

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
#: Thickness of the layer that the product of ``us_stations`` gives the water of, mm.
LAYER = 50.0
#: Threads of a forest, which do not change it.
WORKERS = 2
#: What is left when every station's mean error is taken off.
FLOOR = "(all but the probe's own mean)"


@dataclass(frozen=True)
class Study:
    """Hold a network, what to hold out, what to try, and the naive values to beat.

    Attributes
    ----------
    pairs, folds
        Rows, and how they are held out.
    tried
        Correctors that stand in the table.
    candidates
        Among which "best" chooses, with so many folds of its own.
    inner
        That number; None: each station is a fold.
    naive
        Values of all rows, or a corrector of which the values held out are taken.
    distance
        Stations nearer than this (km) to those held out are not learned from.
    floor
        A corrector whose errors are told also without the mean error of each station, which no
        corrector knows: what is left to gain.
    """

    pairs: Pairs
    folds: list[Fold]
    tried: dict[str, Corrector]
    candidates: dict[str, Corrector]
    inner: int | None
    naive: np.ndarray | Corrector
    distance: float
    floor: Corrector | None = None


def mean_of_others(pairs: Pairs, is_used: np.ndarray) -> np.ndarray:
    """Give, for each row, the mean reading of the other stations of its time that may be used."""
    return _mean_of_others(pairs.observed, pairs.time, pairs.station, is_used)(pairs)


def _mean_of_others(
    observed: np.ndarray, times: np.ndarray, station: np.ndarray, is_used: np.ndarray
) -> Callable[[Pairs], np.ndarray]:
    every = np.unique(times)
    table = np.full((len(every), len(is_used)), np.nan)
    table[np.searchsorted(every, times), station] = observed
    is_read = np.isfinite(table) & is_used
    total, count = np.where(is_read, table, 0.0).sum(axis=1), is_read.sum(axis=1)

    def mean(rows: Pairs) -> np.ndarray:
        step = np.searchsorted(every, rows.time)
        own = is_read[step, rows.station]
        left = count[step] - own
        rest = total[step] - np.where(own, table[step, rows.station], 0.0)
        return np.where(left > 0, rest / np.maximum(left, 1), np.nan)

    return mean


def gridded(recipe: str, predictors: list[str], *, more: dict[str, Corrector]) -> Study:
    """Interpolate the coarse product of an example recipe to its fine grid, and take it at the stations."""
    path = EXAMPLES / recipe
    told = read_recipe(path)
    cubes, _, _ = open_cubes(told, path.parent, lambda done, total: None)
    fine, coarse = cubes["fine"].load(), cubes["target"].load()
    smooth = Interpolation().fit(coarse).predict(fine, coarse)["soil_moisture"]
    assert told.stations is not None
    stations = open_stations(told.stations, path.parent)
    days = told.build.days or 1
    matchup = match({"smooth": smooth}, stations, time=Days(days))
    taken = {name: at_stations(fine[name], stations) for name in predictors}
    known = {
        name: one.sel(time=matchup["time"])
        if "time" in fine[name].dims
        else one.isel(time=0, drop=True)
        for name, one in taken.items()
    }
    pairs = pairs_of(matchup, "smooth", predictors=xr.Dataset(known))
    pairs = pairs.known(predictors)
    static = [name for name in predictors if "time" not in fine[name].dims]
    tried: dict[str, Corrector] = {
        "additive": Additive(),
        "linear": Linear(),
        **more,
        "CDF matching": CDFMatching(),
        "forest": Forest(predictors),
        "regression": Regression(static[:1]),
        "kriging": Kriging(),
        "daily kriging": DailyKriging(),
        "daily kriging about a mean": DailyKriging(with_mean=True),
        "line, daily kriging": Chain([Linear(), DailyKriging(with_mean=True)]),
    }
    names = (
        "additive",
        "linear",
        *more,
        "regression",
        "kriging",
        "daily kriging",
        "line, daily kriging",
    )
    return Study(
        pairs,
        station_folds(pairs),
        tried,
        {name: tried[name] for name in names},
        inner=5,
        naive=mean_of_others(pairs, np.ones(pairs.stations.sizes["station"], bool)),
        distance=1.0,
    )


def yanco(data: Path, every: int) -> Study:
    """Give SMAP at OzNet stations."""
    predictors = ["elevation", "own_silt_fraction", "own_available_water", "own_era5_soil_moisture"]
    return gridded("yanco.yaml", predictors, more={"seasonal": Seasonal()})


def delaware(data: Path, every: int) -> Study:
    """Give ESA CCI at DEOS stations."""
    return gridded("delaware.yaml", ["elevation", "own_wetness"], more={})


def us_stations(data: Path, every: int) -> Study:
    """Give SMAP at stations of USCRN and ARM, with what Sentinel-1 and -2 and the soil say there.

    Predictors are known at places without a station too: values, their means over the whole record of a
    place, and how they depart from these.
    """
    table = pd.read_csv(data / "us_stations" / "us_station_table_uscrn_arm.csv.gz")
    table["time"] = pd.to_datetime(table["start"])
    table = table.sort_values(["network", "station", "time"]).reset_index(drop=True)
    is_complete = table.notna().all(axis=1).to_numpy()
    table["smap"] = table["ssm_mm"] / LAYER
    place = ["network", "station"]
    by_place = table.groupby(place)
    table["smap_before"] = by_place["smap"].shift(1)
    table["smap_before_that"] = by_place["smap"].shift(2)
    for name, steps, around in (("smap_smooth", 3, True), ("smap_past", 9, False)):
        table[name] = by_place["smap"].transform(
            lambda one, steps=steps, around=around: one.rolling(
                steps, center=around, min_periods=1
            ).mean()
        )
    table["ratio"] = table["VH"] - table["VV"]
    table["ndvi"] = (table["B8"] - table["B4"]) / (table["B8"] + table["B4"])
    table["ndwi"] = (table["B8"] - table["B11"]) / (table["B8"] + table["B11"])
    table["swir"] = (table["B11"] - table["B12"]) / (table["B11"] + table["B12"])
    angle = 2 * np.pi * table["time"].dt.day_of_year / 365.25
    table["sine"], table["cosine"] = np.sin(angle), np.cos(angle)
    own = ["smap", "VV", "VH", "ratio", "ndvi", "ndwi", "swir", "B12"]
    by_place = table.groupby(place)
    for name in own:
        table[f"{name}_mean"] = by_place[name].transform("mean" if name == "smap" else "median")
        table[f"{name}_apart"] = table[name] - table[f"{name}_mean"]
    for name in ("smap", "VV", "ndvi"):
        table[f"{name}_sd"] = by_place[name].transform("std")
    table["smap_low"] = by_place["smap"].transform(lambda one: one.quantile(0.1))
    table["smap_high"] = by_place["smap"].transform(lambda one: one.quantile(0.9))
    derived = [name for name in table if name.endswith(("_mean", "_apart", "_sd"))]
    predictors = [
        *["VV", "VH", "ratio", "angle", "ndvi", "ndwi", "swir", "B12", "fc", "landcover"],
        *["smap_before", "smap_before_that", "smap_smooth", "smap_past", "smap_low", "smap_high"],
        *["sine", "cosine", *derived],
    ]
    for name in ("smap_before", "smap_before_that"):
        table[name] = table[name].fillna(table["smap"])
    pairs = pairs_of_table(
        table[is_complete], predicted="smap", observed="insitu_sm_m3m3", predictors=predictors
    )
    forests: dict[str, Corrector] = {
        f"forest, random splits, {leaf}": Forest(predictors, trees=100, leaf=leaf, workers=WORKERS)
        for leaf in (20, 50, 100)
    }
    return Study(
        pairs,
        station_folds(pairs, folds=10, rng=0),
        {
            "additive": Additive(),
            "CDF matching": CDFMatching(),
            "forest, best splits, 50": Forest(
                predictors, trees=100, is_random=False, workers=WORKERS
            ),
            **forests,
        },
        {"linear": Linear(), **forests},
        inner=5,
        naive=Linear(),
        distance=1.0,
    )


def kings_creek(data: Path, every: int) -> Study:
    """Give the mean of the other probes at each probe of a basin, with terrain and NDVI of 10 m."""
    folder = data / "kings_creek"
    readings = pd.read_csv(
        folder / "kings_creek_vwc5_daily.csv", index_col=0, parse_dates=True
    ).iloc[::every]
    probes = pd.read_csv(folder / "metadata" / "stations.csv").set_index("name")
    at, raster = _at_probes(probes)
    terrain = folder / "elevation"
    height = raster(terrain / "kings_creek_elevation.tif")
    is_inside = np.isfinite(height)
    aspect = np.where(is_inside, rasterio.open(terrain / "kings_creek_aspect.tif").read(1), np.nan)
    slope = np.where(is_inside, rasterio.open(terrain / "kings_creek_slope.tif").read(1), np.nan)
    # of the sun at noon of an equinox; northness of flat ground means nothing
    steepness, latitude = np.radians(slope), np.radians(probes["latitude"].mean())
    insolation = np.cos(latitude) * np.cos(steepness)
    insolation -= np.sin(latitude) * np.sin(steepness) * np.cos(np.radians(aspect))
    static = {
        "own_insolation": at(_smooth(insolation, 2)),
        "own_northness": at(_smooth(np.cos(np.radians(aspect)), 2)),
        "own_relief": at(height - _smooth(height, 5)),
        "own_wide_relief": at(height - _smooth(height, 20)),
        "slope": at(_smooth(slope, 2)),
        "elevation": at(height),
    }
    scenes = sorted((folder / "ndvi").glob("ndvi_*.tif"))
    days = pd.to_datetime([one.stem[5:] for one in scenes])
    ndvi = pd.DataFrame([at(_smooth(raster(one), 2)) for one in scenes], index=days)
    daily = ndvi.reindex(readings.index.union(days)).interpolate("time", limit_direction="both")
    daily = daily.loc[readings.index]
    # what a place has more than the basin of the day
    greener = daily.sub(daily.mean(axis=1), axis=0)
    names = list(readings.columns)
    long = pd.DataFrame(
        {
            "station": np.tile(names, len(readings)),
            "time": np.repeat(readings.index, len(names)),
            "reading": readings.to_numpy().ravel(),
            "greener": greener.to_numpy().ravel(),
            **{name: np.tile(list(values), len(readings)) for name, values in static.items()},
        }
    )
    for name, column in (("lat", "latitude"), ("lon", "longitude")):
        long[name] = np.tile(probes.loc[names, column].to_numpy(), len(readings))
    long = long.dropna().assign(product=0.0)
    pairs = pairs_of_table(
        long, predicted="product", observed="reading", predictors=[*static, "greener"]
    )
    observed, times, station = pairs.observed, pairs.time, pairs.station

    def product(rows: Pairs, is_used: np.ndarray) -> np.ndarray:
        return _mean_of_others(observed, times, station, is_used)(rows)

    pairs = replace(pairs, product=product).made_of(np.ones(len(names), bool))
    north, relief = "own_northness", "own_relief"

    def terms(*chosen: str) -> Regression:
        return Regression(chosen, with_position=False)

    # the product is a mean of the stations: what they have in common says nothing of the probe held out
    departures = DepartureKriging(with_mean=True)
    each = Average([terms(name) for name in (*static, "greener")])
    candidates: dict[str, Corrector] = {
        "departures": departures,
        "insolation, departures": Chain([terms("own_insolation"), departures]),
        "northness, departures": Chain([terms(north), departures]),
        "relief, departures": Chain([terms(relief), departures]),
        "northness, relief, departures": Chain([terms(north, relief), departures]),
        "mean of each index, departures": Chain([each, departures]),
    }
    return Study(
        pairs,
        station_folds(pairs, distance=0.0),
        {
            "linear": Linear(),
            "seasonal": Seasonal(),
            "CDF matching": CDFMatching(),
            "forest": Forest([*static, "greener"], trees=50, leaf=500, workers=WORKERS),
            "all terrain": terms(*static),
            "insolation": terms("own_insolation"),
            "northness, relief": terms(north, relief),
            "place, elevation": Regression(["elevation"]),
            "kriging": Kriging(),
            "daily kriging": DailyKriging(with_mean=True),
            **candidates,
        },
        candidates,
        inner=None,
        naive=Nothing(),
        distance=0.0,
        floor=departures,
    )


def _at_probes(
    probes: pd.DataFrame,
) -> tuple[Callable[[np.ndarray], np.ndarray], Callable[[Path], np.ndarray]]:
    """Give what takes a field at the probes, and what reads a raster, 0 being outside of the basin."""
    place: list[np.ndarray] = []

    def raster(path: Path) -> np.ndarray:
        with rasterio.open(path) as opened:
            values = opened.read(1).astype("f8")
            if not place:
                rows, columns = rasterio.transform.rowcol(
                    opened.transform, probes["longitude"], probes["latitude"]
                )
                place.extend([np.asarray(rows), np.asarray(columns)])
        return np.where(values == 0, np.nan, values)

    def at(field: np.ndarray) -> np.ndarray:
        return field[place[0], place[1]]

    return at, raster


def _smooth(field: np.ndarray, cells: float) -> np.ndarray:
    """Average the cells around that lie inside, by a Gaussian."""
    inside = np.isfinite(field)
    total = gaussian_filter(np.where(inside, field, 0.0), cells)
    share = gaussian_filter(inside.astype("f8"), cells)
    return np.where(inside, total / np.where(inside, share, 1.0), np.nan)


def judge(name: str, study: Study, draws: int) -> dict[str, Any]:
    """Hold out, compare, print the table, and give the line for machines."""
    pairs, started = study.pairs, time.perf_counter()
    best = Best(study.candidates, folds=study.inner, distance=study.distance)
    print(f"\n{name}: {len(study.folds)} folds of {int(pairs.used().sum())} stations", flush=True)
    print(f"{'':<34}{'RMSE':>8}{'bias':>9}{'difference, 95 %':>22}  verdict")
    held = correct_held_out(Nothing(), pairs, study.folds)
    print(
        f"{'before':<34}{compare(held, rng=0, draws=1).before:>8.4f}{_bias(held):>9.4f}", flush=True
    )
    if isinstance(study.naive, Corrector):
        naive = correct_held_out(study.naive, pairs, study.folds)
    else:
        naive = correct_held_out(Nothing(), replace(pairs, predicted=study.naive), study.folds)
    naive_error = compare(naive, rng=0, draws=1).after
    print(f"{'naive':<34}{naive_error:>8.4f}{_bias(naive):>9.4f}", flush=True)
    found: Comparison | None = None
    for title, corrector in {**study.tried, "best, chosen without the test": best}.items():
        try:
            held = correct_held_out(corrector, pairs, study.folds)
        except VadoseError as problem:
            print(f"{title:<34}    left out: {problem}")
            continue
        found = compare(held, rng=0, draws=draws)
        words = "helps" if found.verdict.helps else "does harm" if found.lower > 0 else "not shown"
        print(
            f"{title:<34}{found.after:>8.4f}{_bias(held):>9.4f}"
            f"{found.lower:>12.4f} {found.upper:>9.4f}  {words}",
            flush=True,
        )
    if study.floor is not None:
        held = correct_held_out(study.floor, pairs, study.folds)
        error = held.corrected - held.pairs.observed
        number, means = held.pairs.station_means(error)
        left = error - means[np.searchsorted(number, held.pairs.station)]
        print(f"{FLOOR:<34}{np.sqrt(np.mean(left**2)):>8.4f}")
    assert found is not None
    print(found.verdict.text)
    return {
        "rmse_before": round(found.before, 5),
        "rmse_after": round(found.after, 5),
        "rmse_naive": round(naive_error, 5),
        "n": found.n,
        "interval_of_difference": [round(found.lower, 5), round(found.upper, 5)],
        "helps": found.verdict.helps,
        "seconds": round(time.perf_counter() - started, 1),
    }


def _bias(held: Any) -> float:
    return float(np.mean(held.corrected - held.pairs.observed))


STUDIES = {
    "yanco": yanco,
    "delaware": delaware,
    "us_stations": us_stations,
    "kings_creek": kings_creek,
}


def main() -> None:
    """Judge the networks that are there, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=EXAMPLES.parent.parent / "shared" / "data")
    parser.add_argument("--only", choices=STUDIES, action="append")
    parser.add_argument("--every", type=int, default=3, help="of the days of Kings Creek")
    parser.add_argument("--draws", type=int, default=2000)
    given = parser.parse_args()
    results = {}
    for name in given.only or STUDIES:
        if not (given.data / name).exists():
            print(f"\n{name}: skipped, no folder {name} in the data")
            continue
        results[name] = judge(name, STUDIES[name](given.data, given.every), given.draws)
    print(
        f"\nA point differs from its square kilometre by about {REPRESENTATIVENESS:g} m3 m-3: no correction "
        "goes below that at new stations."
    )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
