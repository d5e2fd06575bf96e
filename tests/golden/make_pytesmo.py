"""Rebuild ``pytesmo.json``: what pytesmo and scipy say of a product and a reference with gaps.

Needs pytesmo (0.18.1 made the file). Run from the root of the repository::

    python tests/golden/make_pytesmo.py
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.stats

YEARS = ("2015-01-01", "2019-01-01")


def made() -> tuple[pd.Series, pd.Series]:
    """Make two series of four years, rounded to four decimals, with a run and a scatter of gaps each."""
    rng = np.random.default_rng(6)
    days = pd.date_range(*YEARS, inclusive="left")
    course = 0.25 + 0.07 * np.cos(2 * np.pi * np.arange(days.size) / 365.25)
    rain = np.zeros(days.size)
    for step in range(1, days.size):
        rain[step] = 0.9 * rain[step - 1] + 0.02 * rng.standard_normal()
    pair = []
    for offset in (0.02, 0.0):
        values = course + rain + offset + rng.normal(0, 0.015, days.size)
        values[rng.random(days.size) < 0.3] = np.nan
        start = rng.integers(100, 1000)
        values[start : start + 40] = np.nan
        pair.append(pd.Series(values.round(4), index=days))
    return pair[0], pair[1]


def scored(product: pd.Series, reference: pd.Series) -> dict[str, float]:
    """Score what both have."""
    from pytesmo import metrics

    common = pd.concat([product, reference], axis=1).dropna().to_numpy()
    p, o = (np.ascontiguousarray(column) for column in common.T)
    return {
        "n": len(p),
        "r": float(metrics.pearson_r(p, o)),
        "bias": float(metrics.bias(p, o)),
        "mae": float(metrics.aad(p, o)),
        "rmse": float(metrics.rmsd(p, o)),
        "ubrmse": float(metrics.ubrmsd(p, o)),
        "r2": float(metrics.nash_sutcliffe(o, p)),
        "mse_correlation": float(metrics.mse_corr(p, o)),
        "mse_bias": float(metrics.mse_bias(p, o)),
        "mse_variance": float(metrics.mse_var(p, o)),
        "slope": float(scipy.stats.linregress(o, p).slope),
        "p_value_independent": float(scipy.stats.pearsonr(p, o).pvalue),
    }


def main() -> None:
    """Write the file."""
    from pytesmo.time_series.anomaly import calc_anomaly, calc_climatology

    warnings.simplefilter("ignore")  # pytesmo is behind numpy
    product, reference = made()
    moving = [calc_anomaly(one) for one in (product, reference)]
    courses = [calc_climatology(one) for one in (product, reference)]
    departures = [
        calc_anomaly(one, climatology=course, respect_leap_years=False)
        for one, course in zip((product, reference), courses, strict=True)
    ]
    content = {
        "first": YEARS[0],
        "product": [None if np.isnan(one) else one for one in product],
        "reference": [None if np.isnan(one) else one for one in reference],
        "raw": scored(product, reference),
        "moving": scored(moving[0], moving[1]),
        "climatology": scored(departures[0], departures[1]),
        "course_on_29_february": float(courses[0].loc[60]),
    }
    path = Path(__file__).with_name("pytesmo.json")
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
