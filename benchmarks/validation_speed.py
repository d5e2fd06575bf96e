"""Speed of validation at stations against pytesmo's functions, station by station, and the difference between them.

Daily series of three products and of stations with gaps are paired, put on their common sample and scored,
raw and as anomalies from a moving mean of 35 days: R, bias, RMSE, ubRMSE, the three parts of the MSE and
1 − SSE/SST. Ours starts from cubes and finds the cells of the stations too; pytesmo starts from series that
lie ready in memory, one station after the other, as its users do: `calc_anomaly`, `temporal_collocation`,
then its pairwise metrics (and pandas for the common sample). Repetitions alternate; medians are printed. At
last ours alone takes all stations. Both run on one core; neither uses threads. Run from the root of the repository::

    python benchmarks/validation_speed.py [--compared 300] [--stations 3000] [--years 10] [--repeats 3]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
import warnings

import numpy as np
import pandas as pd
import xarray as xr

from vadose.grids import coordinates, latlon
from vadose.validate.anomalies import take_moving_anomalies
from vadose.validate.pairs import match
from vadose.validate.scores import score_pairs

PRODUCTS = ("nearest", "smooth", "product")
#: Our names, in the order in which pytesmo's are computed.
METRICS = (
    "n",
    "r",
    "bias",
    "rmse",
    "ubrmse",
    "mse_correlation",
    "mse_bias",
    "mse_variance",
    "r2",
)


def made(stations: int, years: int, seed: int) -> tuple[dict[str, xr.DataArray], xr.Dataset]:
    """Make products on a grid with one station a cell: a memory of 20 days, noise, and gaps of 40 to 50 %."""
    rng = np.random.default_rng(seed)
    first = np.datetime64("2010-01-01")
    days = np.arange(first, first + np.timedelta64(round(years * 365.25), "D"))
    grid = latlon(0.1, (0.0, 40.0, 0.1 * 50, 40.0 + 0.1 * -(-stations // 50)))
    shape = (days.size, *grid.shape)
    water = np.empty(shape)
    water[0] = rng.standard_normal(shape[1:])
    for step in range(1, days.size):
        water[step] = 0.95 * water[step - 1] + 0.31 * rng.standard_normal(shape[1:])
    water = 0.22 + 0.05 * water
    fields = {}
    for number, name in enumerate(PRODUCTS):
        field = (water + 0.01 * number + rng.normal(0, 0.03, shape)).astype("f4")
        field[rng.random(shape) < 0.4] = np.nan
        fields[name] = xr.DataArray(
            field,
            dims=("time", "y", "x"),
            coords={"time": days.astype("M8[ns]"), **coordinates(grid)},
        )
    readings = (water + rng.normal(0, 0.02, shape)).reshape(days.size, -1).T[:stations]
    readings[rng.random(readings.shape) < 0.5] = np.nan
    latitude, longitude = np.meshgrid(fields["nearest"]["y"], fields["nearest"]["x"], indexing="ij")
    return fields, xr.Dataset(
        {"soil_moisture": (("station", "time"), readings)},
        coords={
            "lat": ("station", latitude.ravel()[:stations]),
            "lon": ("station", longitude.ravel()[:stations]),
            "time": days.astype("M8[ns]"),
        },
    )


def ours(fields: dict[str, xr.DataArray], stations: xr.Dataset) -> np.ndarray:
    """Score with this library; dims ``(of, product, station, metric)``."""
    pairs = match(fields, stations)
    return np.stack(
        [
            np.stack([score[name].values for name in METRICS], axis=-1)
            for score in (score_pairs(pairs), score_pairs(take_moving_anomalies(pairs, minimum=1)))
        ]
    )


def theirs(values: np.ndarray, readings: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Score with pytesmo, station by station; values have the dims ``(product, station, time)``."""
    from pytesmo import metrics
    from pytesmo.temporal_matching import temporal_collocation
    from pytesmo.time_series.anomaly import calc_anomaly

    index = pd.DatetimeIndex(times)
    table = np.full((2, len(values), len(readings), len(METRICS)), np.nan)
    for station, reading in enumerate(readings):
        raw = [pd.Series(one, index=index).dropna() for one in (reading, *values[:, station])]
        for of, series in enumerate((raw, [calc_anomaly(one) for one in raw])):
            matched = [
                temporal_collocation(series[0], one, pd.Timedelta(hours=1)) for one in series[1:]
            ]
            common = pd.concat([series[0], *matched], axis=1).dropna().to_numpy()
            o = np.ascontiguousarray(common[:, 0])
            for place in range(len(values)):
                p = np.ascontiguousarray(common[:, place + 1])
                table[of, place, station] = (
                    len(o),
                    metrics.pearson_r(p, o),
                    metrics.bias(p, o),
                    metrics.rmsd(p, o),
                    metrics.ubrmsd(p, o),
                    metrics.mse_corr(p, o),
                    metrics.mse_bias(p, o),
                    metrics.mse_var(p, o),
                    metrics.nash_sutcliffe(o, p),
                )
    return table


def main() -> None:
    """Compare, print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compared", type=int, default=300, help="stations that both score")
    parser.add_argument(
        "--stations", type=int, default=3000, help="stations that ours scores at last"
    )
    parser.add_argument("--years", type=float, default=10, help="length of the daily series")
    parser.add_argument("--repeats", type=int, default=3, help="repetitions of the comparison")
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")  # the library is behind numpy, and says so each call
    fields, stations = made(wanted.compared, wanted.years, seed=0)
    pairs = match(fields, stations)
    series = pairs["value"].values, pairs["reading"].values, pairs["time"].values
    # the first call compiles or loads
    theirs(series[0][:, :2], series[1][:2], series[2])
    ours(fields, stations)
    own, other = [], []
    for _ in range(wanted.repeats):
        started = time.perf_counter()
        found = ours(fields, stations)
        own.append(time.perf_counter() - started)
        started = time.perf_counter()
        expected = theirs(*series)
        other.append(time.perf_counter() - started)
    difference = float(np.abs(found - expected).max())
    ratio = statistics.median(b / a for a, b in zip(own, other, strict=True))
    del pairs, series, found, expected
    fields, stations = made(wanted.stations, wanted.years, seed=1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    started = time.perf_counter()
    ours(fields, stations)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{'stations':>10}{'pytesmo, s':>14}{'ours, s':>12}{'ratio':>10}")
    print(
        f"{wanted.compared:>10}{statistics.median(other):>14.2f}{statistics.median(own):>12.2f}"
        f"{ratio:>10.1f}"
    )
    print(f"{wanted.stations:>10}{'':>14}{seconds:>12.2f}")
    print(f"largest difference {difference:.2g}; {len(PRODUCTS)} products, {wanted.years:g} years")
    print(f"memory: {before:.2f} GB with the input made, {peak:.2f} GB at most while scoring")
    result = {
        "speedup_pytesmo": round(ratio, 1),
        "max_abs_difference": difference,
        "stations": wanted.stations,
        "seconds": round(seconds, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
