"""Spatial scores against what was planted, and on real data: resolution, gaps, answers to rain.

Planted: fields of known spectra, smoothed or averaged at known scales; the effective resolution must be
that of the filter, and never finer than a coarse cell that is repeated. Real, where the data lie beside the
repository: SMAP posted at 9 km over South Africa (what does it resolve? what do fillings that cost nothing
reach?) and the stations of Yanco (how many days after rain do they answer?). Run from the root of the
repository::

    python benchmarks/spatial_scores.py [--data FOLDER]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.ndimage import gaussian_filter

from vadose.cubes.regrid import area_mean, nearest, smooth
from vadose.grids import coarsened, coordinates, crop, named_grid
from vadose.validate.gaps import lay_gaps, score_filled
from vadose.validate.resolution import effective_resolution
from vadose.validate.response import rain_response
from vadose.validate.spectrum import spectra
from vadose.validate.variogram import variograms

#: 288 cells of 1 km a side at 30° of latitude, where those of the EASE-Grid are squares.
GRID = named_grid("EASE2_1km")[3600:3888, 27468:27756]
SLOPES = (2.0, 3.0, 4.0)
SIGMAS = (2.0, 4.0, 8.0)
BLOCKS = (12, 24, 36)


def red_noise(slope: float, days: int, rng: np.random.Generator) -> xr.DataArray:
    """Make fields whose power falls with this power of the wavenumber."""
    size = 2 * GRID.shape.x
    wavenumber = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size))
    wavenumber[0, 0] = 1.0
    waves = np.fft.fft2(rng.standard_normal((days, size, size))) * wavenumber ** (-slope / 2)
    values = np.fft.ifft2(waves).real[:, : GRID.shape.y, : GRID.shape.x]
    values = 0.25 + 0.05 * values / values.std()
    return xr.DataArray(values, dims=("time", "y", "x"), coords=coordinates(GRID))


def planted(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Measure products of known resolution."""
    rows = []
    for slope in SLOPES:
        truth = red_noise(slope, 4, rng)
        products = {"truth": truth}
        wanted = {"truth": 0.0}
        for sigma in SIGMAS:
            name = f"Gaussian, sd {sigma:g} km"
            products[name] = truth.copy(data=gaussian_filter(truth.values, (0, sigma, sigma)))
            wanted[name] = 2 * np.pi * sigma / np.sqrt(np.log(2))
        for block in BLOCKS:
            mean = area_mean(truth, coarsened(GRID, block))
            products[f"repeated, {block} km"] = nearest(mean, GRID)
            products[f"interpolated, {block} km"] = smooth(mean, GRID)
            wanted[f"repeated, {block} km"] = wanted[f"interpolated, {block} km"] = 2.0 * block
        by_wave = spectra(products, reference="truth", box=144)
        by_lag = variograms(products, reference="truth", longest=95.0)
        rows += [
            {
                "slope": slope,
                "product": name,
                "planted": wanted[name],
                "spectra": effective_resolution(by_wave, name),
                "variogram": effective_resolution(by_lag, name),
            }
            for name in products
        ]
    return rows


def posted_at_9_km(folder: Path, rng: np.random.Generator) -> dict[str, Any]:
    """Ask what SMAP on the grid of 9 km resolves, and how good fillings of its gaps are for nothing."""
    with xr.open_dataset(folder / "south_africa" / "smap_l3e_south_africa_202001.nc") as file:
        values, days = file["soil_moisture"].values, file["time"].values
    rows, columns = crop(named_grid("EASE2_9km"), (18.5, -34.0, 25.0, -30.0))
    grid = named_grid("EASE2_9km")[rows, columns]
    coords = {**coordinates(grid), "time": days}
    field = xr.DataArray(values, dims=("time", "y", "x"), coords=coords)
    found = {
        box: effective_resolution(spectra({"smap": field}, box=box), "smap", law=(400.0, 90.0))
        for box in (32, 40)
    }
    filled = {}
    for length in (1, 3, 6):
        score = score_filled({}, field, lay_gaps(field, rng=rng, share=0.1, days=length))
        rmse = score["rmse"].sel(days="all")
        filled[length] = {
            str(name): round(float(rmse.sel(product=name)), 4) for name in rmse["product"].values
        }
    return {
        "wavelength": {box: round(one.wavelength, 1) for box, one in found.items()},
        "filled": filled,
    }


def answers_at_yanco(folder: Path) -> dict[str, Any]:
    """Ask how many days after rain the stations of Yanco answer."""
    paths = sorted((folder / "yanco" / "OzNet_cleaned_data").glob("*.csv"))
    tables = {
        path.stem: pd.read_csv(path, parse_dates=["time"]).set_index("time") for path in paths
    }
    soil, rain = (
        xr.DataArray(
            pd.DataFrame({name: table[column] for name, table in tables.items()}),
            dims=("time", "station"),
        )
        for column in ("insitu_sm", "rain")
    )
    told = rain_response({"stations": soil}, rain)
    lags = told["lag_of_response"].values.ravel()
    return {
        "stations": int(soil.sizes["station"]),
        "answer_on_the_day": int((lags == 0).sum()),
        "median_strength": round(float(np.median(told["strength"])), 3),
        "median_gain_per_mm": round(float(np.median(told["gain"])), 5),
    }


def main() -> None:
    """Print the tables and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="real data")
    folder = parser.parse_args().data
    started = time.perf_counter()
    rows = planted(np.random.default_rng(0))
    print("effective resolution, wavelength in km (> coarser than, < finer than)")
    print(f"{'slope':>5}  {'product':<22}{'planted':>9}{'spectra':>10}{'variogram':>11}")
    signs = {"found": "", "at the finest scale": "<", "at the longest scale": ">"}
    for row in rows:
        by_wave, by_lag = (
            f"{signs[row[way].status]}{row[way].wavelength:.1f}" for way in ("spectra", "variogram")
        )
        print(
            f"{row['slope']:>5g}  {row['product']:<22}{row['planted']:>9.1f}{by_wave:>10}{by_lag:>11}"
        )
    filters = [row for row in rows if row["product"].startswith("Gaussian")]
    repeated = [row for row in rows if row["product"].startswith("repeated")]
    errors = [abs(row["spectra"].wavelength / row["planted"] - 1) for row in filters]
    result: dict[str, Any] = {
        "max_error_of_filters": round(max(errors), 3),
        "repeated_over_cell_min": round(
            min(row["spectra"].wavelength / (row["planted"] / 2) for row in repeated), 2
        ),
        "repeated_over_cell_min_variogram": round(
            min(row["variogram"].wavelength / (row["planted"] / 2) for row in repeated), 2
        ),
    }
    if folder.is_dir():
        result["smap_9km"] = posted_at_9_km(folder, np.random.default_rng(0))
        result["yanco"] = answers_at_yanco(folder)
        print(
            f"\nSMAP posted at 9 km, by size of box in cells: {result['smap_9km']['wavelength']} km"
        )
        for length, rmse in result["smap_9km"]["filled"].items():
            print(f"  gaps laid on {length} days: RMSE {rmse}")
        print(f"Yanco: {result['yanco']}")
    result["seconds"] = round(time.perf_counter() - started, 1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
