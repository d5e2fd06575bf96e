"""Coverage of nominal 95 % intervals of R, bias and ubRMSE on series with memory and gaps.

A reference is AR(1) noise with one coefficient, the product adds AR(1) error with another, so that R, bias and
ubRMSE are known. Cases are all pairs of coefficients 0, .5, .8, .9 and .95, with 365, 730 and 1095 days, and
0, 30 and 60 % of gaps, as single days or as whole blocks of 10 to 60 days: per cent of replicates in which the
interval holds the truth. Bias and ubRMSE depend on the error alone, so each of their cases is simulated once,
from the series of the R case in which signal and error remember alike. Compared are:

* ours: `vadose.uncertainty.intervals`;
* i.i.d.: Fisher z, Student t and chi-squared of as many pairs;
* plug-in: effective numbers from sample autocorrelations up to the first that is not positive;
* blocks: percentiles of the moving-block bootstrap, blocks of the length that the data ask for.

Stress rows outside of the judged grid follow: coefficients of .97 and .99; errors that are not AR(1) (half of
the variance quick, half slow; half white, half slow); noise in both sides; and short series, with the share
that is said to be too short. The last line judges the grid, not the stress. Three constants (`PRIOR` of `memory`,
`UNSURE` of `fisher`, `LEAST_EFFECTIVE` of `intervals`) were chosen by simulations like these, on other seeds; a
thousand replicates tell 95 % to within .7. The defaults take about three minutes on two cores::

    python benchmarks/coverage.py [--replicates 1000] [--seed 0] [--workers 2]
"""

from __future__ import annotations

if __name__ == "coverage":
    # numba asks for the package of this name, and finds this file first where benchmarks are run
    raise ImportError("benchmarks/coverage.py is not the package coverage")

import argparse
import itertools
import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.signal
import scipy.stats

from vadose.uncertainty.bootstrap import block_bootstrap
from vadose.uncertainty.intervals import bias_interval, correlation_interval, ubrmse_interval
from vadose.uncertainty.memory import count_pairs, standardise, sum_products

COEFFICIENTS = (0.0, 0.5, 0.8, 0.9, 0.95)
DAYS = (365, 730, 1095)
GAPS = ((0.0, "none"), (0.3, "days"), (0.3, "blocks"), (0.6, "days"), (0.6, "blocks"))
#: Standard deviation of the error, and the bias, for a reference of unit variance.
ERROR, BIAS = 0.75, 0.3
SCORES = ("r", "bias", "ubrmse")
METHODS = ("ours", "iid", "plugin", "blocks")
#: Replicates of the block bootstrap, which works on one series at a time, and its draws.
BLOCK_REPLICATES, DRAWS = 250, 400
ASKED = (90.0, 98.0)


@dataclass(frozen=True)
class Case:
    """Hold what is simulated; `scores` are those judged here."""

    group: str
    signal: tuple[float, ...]
    error: tuple[float, ...]
    days: int
    gap: float
    kind: str
    scores: tuple[str, ...] = SCORES
    is_symmetric: bool = False
    has_blocks: bool = False

    @property
    def name(self) -> str:
        """Say it on one line."""
        signal, error = ("+".join(f"{phi:g}" for phi in side) for side in (self.signal, self.error))
        return f"{signal:>7} {error:>8} {self.days:>5} {100 * self.gap:>3.0f} % {self.kind:<6}"


def cases() -> Iterator[Case]:
    """Give the judged grid, then the stress."""
    for (days, (gap, kind)), (signal, error) in itertools.product(
        itertools.product(DAYS, GAPS), itertools.product(COEFFICIENTS, COEFFICIENTS)
    ):
        is_alike = signal == error
        yield Case(
            group="grid",
            signal=(signal,),
            error=(error,),
            days=days,
            gap=gap,
            kind=kind,
            scores=SCORES if is_alike else ("r",),
            has_blocks=is_alike and days == 365 and gap in (0.0, 0.6),
        )
    for days, (gap, kind) in itertools.product((365, 1095), (GAPS[0], GAPS[3], GAPS[4])):
        for slow in (0.97, 0.99):
            yield Case("slower", (slow,), (slow,), days, gap, kind)
        yield Case("not AR(1)", (0.9,), (0.5, 0.95), days, gap, kind)
        yield Case("not AR(1)", (0.9,), (0.0, 0.95), days, gap, kind)
        for signal, error in ((0.95, 0.0), (0.95, 0.5), (0.5, 0.95)):
            yield Case("both noisy", (signal,), (error,), days, gap, kind, ("r",), True)
    for days, slow in itertools.product((60, 120, 180), (0.8, 0.95, 0.97, 0.99)):
        yield Case("short", (slow,), (slow,), days, 0.0, "none")


def red_noise(
    rng: np.random.Generator, coefficients: tuple[float, ...], shape: tuple[int, int]
) -> np.ndarray:
    """Make the sum of AR(1) processes of like variance, unit variance in all, begun in equilibrium."""
    total = np.zeros(shape)
    for phi in coefficients:
        noise = rng.standard_normal(shape)
        noise[:, 1:] *= math.sqrt(1 - phi**2)
        total += scipy.signal.lfilter([1.0], [1.0, -phi], noise, axis=-1)
    return total / math.sqrt(len(coefficients))


def gaps(rng: np.random.Generator, case: Case, series: int) -> np.ndarray:
    """Say where there is no value, ``(series, days)``."""
    if case.kind != "blocks":
        return rng.random((series, case.days)) < case.gap
    is_gap = np.zeros((series, case.days), bool)
    for row in is_gap:
        while row.mean() < case.gap:
            length = int(rng.integers(10, 61))
            start = int(rng.integers(1 - length, case.days))
            row[max(start, 0) : start + length] = True
    return is_gap


def simulate(
    rng: np.random.Generator, case: Case, series: int
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Make products and references, and say the truth."""
    shape = (series, case.days)
    signal, error = red_noise(rng, case.signal, shape), ERROR * red_noise(rng, case.error, shape)
    product, reference = signal + error + BIAS, signal
    truth = {"r": 1 / math.sqrt(1 + ERROR**2), "bias": BIAS, "ubrmse": ERROR}
    if case.is_symmetric:
        reference = signal + ERROR * red_noise(rng, case.error, shape)
        truth["r"] = 1 / (1 + ERROR**2)
    return product, np.where(gaps(rng, case, series), np.nan, reference), truth


Bounds = dict[str, tuple[np.ndarray, np.ndarray]]


def effective_bounds(difference: np.ndarray, r: np.ndarray, ns: dict[str, np.ndarray]) -> Bounds:
    """Give the textbook intervals with these numbers of independent values."""
    mean, spread = np.nanmean(difference, axis=1), np.nanstd(difference, axis=1)
    half = scipy.stats.norm.ppf(0.975) / np.sqrt(np.maximum(ns["r"] - 3, 1))
    z = np.arctanh(r)
    reach = scipy.stats.t.ppf(0.975, np.maximum(ns["bias"] - 1, 1)) * spread
    reach /= np.sqrt(np.maximum(ns["bias"], 2) - 1)
    degrees = np.maximum(ns["ubrmse"] - 1, 1)
    n = np.sum(~np.isnan(difference), axis=1)
    squares = spread**2 * degrees * n / (n - np.minimum(n / ns["bias"], n / 3))
    return {
        "r": (np.tanh(z - half), np.tanh(z + half)),
        "bias": (mean - reach, mean + reach),
        "ubrmse": (
            np.sqrt(squares / scipy.stats.chi2.ppf(0.975, degrees)),
            np.sqrt(squares / scipy.stats.chi2.ppf(0.025, degrees)),
        ),
    }


def plugin_numbers(
    product: np.ndarray, reference: np.ndarray, difference: np.ndarray
) -> dict[str, np.ndarray]:
    """Give effective numbers from sample autocorrelations, as is usually done."""
    is_valid = ~np.isnan(difference)
    n = is_valid.sum(axis=1)
    pairs = count_pairs(is_valid)
    lags = slice(1, difference.shape[1] // 4 + 1)
    share = pairs[:, lags] / n[:, None]

    def autocorrelation(series: np.ndarray) -> np.ndarray:
        standardised, _ = standardise(np.where(is_valid, series, np.nan), is_valid)
        return sum_products(standardised)[:, lags] / np.maximum(pairs[:, lags], 1)

    def inflation(first: np.ndarray, second: np.ndarray | float) -> np.ndarray:
        is_used = np.logical_and.accumulate((first > 0) & (np.asarray(second) > 0), axis=1)
        return 1 + 2 * (share * first * second * is_used).sum(axis=1)

    rho, own = autocorrelation(difference), autocorrelation(reference)
    return {
        "r": n / inflation(autocorrelation(product), own),
        "bias": n / inflation(rho, 1.0),
        "ubrmse": n / inflation(rho, rho),
    }


def block_bounds(product: np.ndarray, reference: np.ndarray, rng: np.random.Generator) -> Bounds:
    """Give percentiles of the moving-block bootstrap, series by series."""

    def scores(means: np.ndarray) -> np.ndarray:
        p, o, pp, oo, po = means.T
        of_p, of_o = pp - p**2, oo - o**2
        with np.errstate(
            invalid="ignore"
        ):  # a draw of nearly nothing but gaps: no interval, a miss
            r = (po - p * o) / np.sqrt(of_p * of_o)
        return np.stack([r, p - o, np.sqrt(of_p + of_o - 2 * (po - p * o))], axis=1)

    found = []
    for one, other in zip(product, reference, strict=True):
        one = np.where(np.isnan(other), np.nan, one)
        table = np.stack([one, other, one**2, other**2, one * other], axis=1)
        drawn = block_bootstrap(table, scores, draws=DRAWS, rng=rng)
        found.append(np.quantile(drawn, [0.025, 0.975], axis=0))
    bounds = np.array(found)
    return {score: (bounds[:, 0, i], bounds[:, 1, i]) for i, score in enumerate(SCORES)}


def measure(job: tuple[int, Case, int, int]) -> dict[str, dict[str, float]]:
    """Give per cent covered, by score and method, and of the series said to be too short."""
    number, case, replicates, seed = job
    rng = np.random.default_rng([seed, number])
    product, reference, truth = simulate(rng, case, replicates)
    difference = product - reference
    n = np.sum(~np.isnan(difference), axis=1).astype(float)
    is_valid = ~np.isnan(reference)
    u, _ = standardise(np.where(is_valid, product, np.nan), is_valid)
    v, _ = standardise(reference, is_valid)
    r = (u * v).sum(axis=1) / n
    bounds = {
        "iid": effective_bounds(difference, r, dict.fromkeys(SCORES, n)),
        "plugin": effective_bounds(difference, r, plugin_numbers(product, reference, difference)),
    }
    if case.has_blocks:
        few = slice(BLOCK_REPLICATES)
        bounds["blocks"] = block_bounds(product[few], reference[few], rng)
    result: dict[str, dict[str, float]] = {}
    asks = {"r": correlation_interval, "bias": bias_interval, "ubrmse": ubrmse_interval}
    for score in case.scores:
        interval = asks[score](product, reference)
        bounds["ours"] = {score: (interval.lower, interval.upper)}
        result[score] = {
            method: 100 * float(np.mean((low <= truth[score]) & (truth[score] <= high)))
            for method, (low, high) in ((name, found[score]) for name, found in bounds.items())
        }
        result[score]["too short"] = 100 * float(np.mean(interval.is_too_short))
        result[score]["effective n"] = float(np.median(interval.effective_n))
    return result


def show(case: Case, found: dict[str, dict[str, float]]) -> None:
    """Print a line."""
    cells = []
    for score in SCORES:
        if score not in found:
            cells.append(" " * 40)
            continue
        row = found[score]
        numbers = "".join(f"{row[m]:7.1f}" if m in row else f"{'-':>7}" for m in METHODS)
        is_in = ASKED[0] <= row["ours"] <= ASKED[1]
        cells.append(
            f"{numbers}{' ' if is_in else '*'}{row['too short']:5.0f}{row['effective n']:7.0f}"
        )
    print(f"{case.name} |{' |'.join(cells)}", flush=True)


def main() -> None:
    """Simulate, print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    started = time.perf_counter()
    listed = list(cases())
    jobs = [(number, case, given.replicates, given.seed) for number, case in enumerate(listed)]
    results: list[dict[str, dict[str, float]]] = []
    head = "".join(f"{m:>7}" for m in ("ours", "i.i.d.", "plug-in", "blocks"))
    print(f"{'':<31} |" + " |".join(f"{score:^40}" for score in SCORES))
    print(
        f"{'signal':>7} {'error':>8} {'days':>5} {'gaps':<11} |"
        + " |".join([f"{head}  short n_eff "[:40].ljust(40)] * 3)
    )
    group = ""
    with ProcessPoolExecutor(given.workers) as pool:
        for case, found in zip(listed, pool.map(measure, jobs), strict=True):
            if case.group != group:
                group = case.group
                print(f"--- {group}")
            results.append(found)
            show(case, found)
    judged = [found for case, found in zip(listed, results, strict=True) if case.group == "grid"]
    summary: dict[str, float | int] = {}
    missed = 0
    for score in SCORES:
        for method in METHODS:
            values = [found[score][method] for found in judged if method in found.get(score, {})]
            prefix = "" if method == "ours" else f"{method}_"
            summary[f"{prefix}{score}_min"] = round(min(values), 1)
            summary[f"{prefix}{score}_max"] = round(max(values), 1)
            if method == "ours":
                outside = sum(not ASKED[0] <= value <= ASKED[1] for value in values)
                missed += outside
                print(
                    f"{score}: {len(values)} cases, {min(values):.1f} to {max(values):.1f} %, mean "
                    f"{np.mean(values):.1f} %, {outside} outside of {ASKED[0]:.0f}-{ASKED[1]:.0f} %"
                )
    most = max(found[score]["too short"] for found in judged for score in found)
    print(f"said to be too short: at most {most:.0f} % of a case of the grid")
    print("*: outside of 90-98 %; short: % of series said to be too short; n_eff: median of ours")
    summary |= {
        "replicates": given.replicates,
        "cases": sum(len(found) for found in judged),
        "outside": missed,
        "seconds": round(time.perf_counter() - started),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
