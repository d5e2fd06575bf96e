"""Scores of values that are scattered over days and cells, with intervals that know both are alike nearby.

What fills a gap errs for days and over whole weather systems, and again and again in the same cells. Values are drawn
anew thrice: by blocks of days, by blocks of cells, and by both at once, all methods together. The variance of a score
is that of the first two draws less that of the third, which both contain. In simulations of 31 to 120 days, with errors
remembered by 0 to .9 from day to day, patterns that stay and days that are wrong as a whole, intervals that claim 95 %
cover 89-98 %.

References
----------
Cameron, Gelbach and Miller (2011), J. Bus. Econ. Stat. 29, 238-249 (clusters of two kinds). Künsch (1989), Ann. Stat.
17, 1217-1241 (blocks of days).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from vadose.validate.blocks import block_draws
from vadose.validate.metrics import METRICS
from vadose.validate.statistics import Moments, moments_along

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
#: Lower and upper ends, dims ``(product)``.
Ends = tuple[Floats, Floats]

#: Draws of each kind, and blocks of cells along the longer side of the map.
DRAWS, ACROSS = 400, 5
#: Fewer blocks of days, or of cells, than this give no interval.
LEAST_BLOCKS = 4
#: A record has so many blocks of days at the least.
LEAST_PARTS = 8
#: Lags, in days, at which memory is looked for; pairs and the autocorrelation with which one counts.
LAGS, LEAST_PAIRS, LEAST_ALIKE = range(1, 6), 20, 0.15
#: On what scale a score is nearly normal, and back; of the others, on its own.
SCALES: dict[str, tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]] = {
    "rmse": (np.log, np.exp),
    "ubrmse": (np.log, np.exp),
    "mae": (np.log, np.exp),
    "r": (np.arctanh, np.tanh),
    "bias": (np.asarray, np.asarray),
}


@dataclass(frozen=True, eq=False)
class Values:
    """Hold values of several products at the same days and cells.

    Attributes
    ----------
    products
        Dims ``(product, value)``, no NaN.
    truth, day, cells
        Dims ``(value)``: what is true, the number of the block of days and of the block of cells.
    """

    products: Floats
    truth: Floats
    day: Numbers
    cells: Numbers

    def where(self, chosen: npt.NDArray[np.bool_]) -> Values:
        """Take some of the values."""
        return Values(
            self.products[:, chosen], self.truth[chosen], self.day[chosen], self.cells[chosen]
        )


def days_in_block(errors: Floats, day: Numbers, cells: Numbers, days: int) -> int:
    """Choose how many days a block has, by how long errors and their squares are remembered.

    Parameters
    ----------
    errors
        Dims ``(product, value)``.
    day, cells
        Day, from 0, and block of cells of each value.
    days
        Days of the record.

    Returns
    -------
    int
        By Carlstein's rule for a process of first order, of the product that needs the longest. Blocks of
        cells are pooled: the days on which one of them has hidden values are too few to say. At most an
        eighth of the record.

    References
    ----------
    Carlstein (1986), Ann. Statist. 14, 1171-1179.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> days_in_block(rng.standard_normal((1, 4000)), np.arange(4000) // 40, np.arange(4000) % 2, 100)
    1
    """
    size = int(cells.max()) + 1
    series = day + days * cells
    count = np.bincount(series, minlength=days * size).reshape(size, days)
    memory = 0.0
    for one in (*errors, *errors**2):
        total = np.bincount(series, weights=one, minlength=days * size).reshape(size, days)
        mean = np.where(count > 0, total / np.maximum(count, 1), 0.0)
        known = (count > 0).sum(axis=1, keepdims=True)
        away = np.where(count > 0, mean - mean.sum(axis=1, keepdims=True) / np.maximum(known, 1), 0)
        memory = max(memory, _memory(away, count > 0))
    rule = float((np.sqrt(6) * memory / (1 - memory**2)) ** (2 / 3) * np.cbrt(days))
    return max(1, min(round(rule), days // LEAST_PARTS))


def _memory(away: Floats, is_known: npt.NDArray[np.bool_]) -> float:
    """Give the autocorrelation from one day to the next, of many series ``(series, day)`` together."""
    variance = (away**2).sum() / max(is_known.sum(), 1)
    found = 0.0
    for lag in LAGS:
        both = is_known[:, lag:] & is_known[:, :-lag]
        if both.sum() < LEAST_PAIRS or variance == 0:
            continue
        alike = float((away[:, lag:] * away[:, :-lag]).sum() / both.sum() / variance)
        if (
            alike > LEAST_ALIKE
        ):  # noise of single days hides memory at the first lag, not at the next ones
            found = max(found, min(alike, 0.99) ** (1 / lag))
    return found


def blocks_of_cells(rows: int, columns: int) -> Numbers:
    """Count off square blocks of cells, dims ``(y, x)``.

    Examples
    --------
    >>> blocks_of_cells(2, 10)[0]
    array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
    """
    side = max(1, -(-max(rows, columns) // ACROSS))
    across = -(-columns // side)
    return (np.arange(rows)[:, None] // side * across + np.arange(columns) // side).astype("i8")


def score_values(values: Values) -> dict[str, Floats]:
    """Give scores of all values, dims ``(product)``: those of `SCALES`, and n."""
    found = moments_along(values.products, values.truth)
    return {name: np.asarray(METRICS[name](found), "f8") for name in (*SCALES, "n")}


def bound_scores(
    values: Values, *, level: float, rng: np.random.Generator
) -> tuple[dict[str, Ends], Callable[[int], dict[str, Ends]]]:
    """Bound scores, and how the RMSE differs from that of one of the products.

    Parameters
    ----------
    values
        Of one stratum.
    level
        Of the intervals.
    rng
        Draws blocks, the same for all products.

    Returns
    -------
    dict, callable
        Lower and upper end by score, dims ``(product)``; and what gives those of the ``difference`` in
        RMSE to the product of a number, and of the ``ratio``. NaN with fewer than 4 blocks of days or of cells, or where a score is not
        defined; without width where a product has no error or is the one compared with.
    """
    drawn, freedom = _draw(values, rng)
    scores = score_values(values)
    reach = stats.t.ppf((1 + level) / 2, freedom) if freedom > 0 else np.nan

    def bound(estimate: Floats, draws: list[Floats]) -> tuple[Floats, Floats]:
        half = reach * np.sqrt(_variance(draws))
        return estimate - half, estimate + half

    bounds: dict[str, Ends] = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        tables = [{name: METRICS[name](one) for name in SCALES} for one in drawn]
        for name, (there, back) in SCALES.items():
            ends = bound(there(scores[name]), [there(one[name]) for one in tables])
            is_exact = np.isinf(there(scores[name])) & np.isfinite(reach)
            low, high = (np.where(is_exact, scores[name], back(one)) for one in ends)
            bounds[name] = low, high

    def against(best: int) -> dict[str, Ends]:
        found = {}
        for name, (there, back) in (("difference", SCALES["bias"]), ("ratio", SCALES["rmse"])):
            with np.errstate(divide="ignore", invalid="ignore"):
                own = there(scores["rmse"])
                drawn_values = [there(one["rmse"]) for one in tables]
                ends = bound(own - own[best], [one - one[:, [best]] for one in drawn_values])
            low, high = (back(one) for one in ends)
            found[name] = low, high
        return found

    return bounds, against


def _variance(draws: list[Floats]) -> Floats:
    """Put the variances of draws ``(draw, product)`` by days, by cells and by both together."""
    by_day, by_cells, by_both = (one.var(axis=0, ddof=1) for one in draws)
    # rounding and few blocks may leave less than one kind of block alone shows
    return np.asarray(np.maximum(by_day + by_cells - by_both, np.maximum(by_day, by_cells)), "f8")


def _draw(values: Values, rng: np.random.Generator) -> tuple[list[Moments], int]:
    """Give moments ``(draw, product)`` of draws by days, cells and both, and degrees of freedom."""
    days, day = np.unique(values.day, return_inverse=True)
    places, cells = np.unique(values.cells, return_inverse=True)
    fewest = min(days.size, places.size)
    if fewest < LEAST_BLOCKS:
        none = np.full((DRAWS, len(values.products)), np.nan)
        return [Moments(*[none] * 8)] * 3, 0
    both, unit = np.unique(day * places.size + cells, return_inverse=True)
    table = _sums(values, unit, both.size)
    drawn = []
    for cluster in (both // places.size, both % places.size, np.arange(both.size)):
        count = int(cluster.max()) + 1
        times = block_draws(np.arange(count), rng=rng, draws=DRAWS)
        sums = np.tensordot(times[:, cluster], table, axes=1)
        drawn.append(_moments(np.moveaxis(sums, -1, 0)))
    return drawn, fewest - 1


def _sums(values: Values, unit: Numbers, count: int) -> Floats:
    """Give sums of powers, dims ``(unit, product, power)``, from the mean of the truth on."""
    origin = values.truth.mean()
    truth = values.truth - origin
    table = np.empty((count, len(values.products), 7))
    for product, own in enumerate(values.products - origin):
        powers = (np.ones_like(own), own, truth, own**2, truth**2, own * truth, abs(own - truth))
        for power, one in enumerate(powers):
            table[:, product, power] = np.bincount(unit, weights=one, minlength=count)
    return table


def _moments(sums: Floats) -> Moments:
    """Make moments of sums of powers, dims ``(power, draw, product)``."""
    n, own, truth, own_square, truth_square, cross, absolute = sums
    return Moments(
        n=n,
        weight=n,
        product=own / n,
        reference=truth / n,
        product_square=np.maximum(own_square - own**2 / n, 0.0),
        reference_square=np.maximum(truth_square - truth**2 / n, 0.0),
        cross=cross - own * truth / n,
        absolute_error=absolute,
    )
