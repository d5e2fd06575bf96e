"""Least squares that shrinks to no correction, as far as stations that are left out ask for it."""

from __future__ import annotations

import numpy as np

from vadose.correct.stations import Floats, Integers

#: Penalties that are compared, in stations: with as many again as there are, half of the effect is left.
PENALTIES = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


def fit_shrunk(design: Floats, residual: Floats, station: Integers) -> Floats:
    """Give coefficients of the terms, every station counting alike and judged when left out.

    Parameters
    ----------
    design
        Terms, about 0 and of about one size, dims ``(row, term)``; a constant is a term like others.
    residual
        What is to be explained, reading minus product.
    station
        Number of the station of each row.

    Returns
    -------
    numpy.ndarray
        One for each term, in units of the residual. All 0 where no penalty makes stations that were left
        out better off than without a correction: a few stations that differ tell nothing of others.

    Notes
    -----
    Ridge regression: with the mean squares *A* and products *b* of each station,
    ``(sum A + penalty I) c = sum b``. Penalties, and no correction as their limit, are weighed by how
    likely they make each station when the others alone are learned from: ``mean(e²) ** (-stations / 2)``
    with *e²* the mean square by which *c* of the others falls short of the station's own *c*. The best
    penalty alone would be a matter of chance among few stations.

    References
    ----------
    Hoerl and Kennard (1970), Technometrics 12:55. Yao et al. (2018), Bayesian Anal. 13:917 (pseudo-BMA).

    Examples
    --------
    >>> station = np.repeat(np.arange(8), 5)
    >>> fit_shrunk(np.ones((40, 1)), np.full(40, 0.03), station)
    array([0.03])
    >>> fit_shrunk(np.ones((40, 1)), np.where(station % 2, 0.03, -0.03), station)
    array([0.])
    """
    numbers, place = np.unique(station, return_inverse=True)
    count, terms = len(numbers), design.shape[1]
    rows = np.bincount(place)
    squares, products = np.empty((count, terms, terms)), np.empty((count, terms))
    for number in range(count):
        own = design[place == number]
        squares[number] = own.T @ own / rows[number]
        products[number] = own.T @ residual[place == number] / rows[number]
    total, aim = squares.sum(axis=0), products.sum(axis=0)
    # what the terms cannot follow within a station is no doubt of what stations share
    own_gain = [b @ _solve(a, b, 0.0) for a, b in zip(squares, products, strict=True)]
    unexplained = float(np.mean(own_gain))
    found, errors = [np.zeros(terms)], [unexplained]
    for penalty in PENALTIES:
        error = unexplained
        for number in range(count):
            others = _solve(total - squares[number], aim - products[number], penalty)
            gain = 2 * others @ products[number] - others @ squares[number] @ others
            error -= float(gain) / count
        found.append(_solve(total, aim, penalty))
        errors.append(error)
    # what is a matter of rounding is no reason for a correction
    if not min(errors) < unexplained * (1 - 1e-9):
        return found[0]
    least = 1e-12 * unexplained
    likely = -0.5 * count * np.log(np.maximum(errors, least))
    share = np.exp(likely - likely.max())
    return np.asarray(share @ np.stack(found) / share.sum(), "f8")


def _solve(squares: Floats, products: Floats, penalty: float) -> Floats:
    # the least norm where terms cannot be told apart
    matrix = squares + penalty * np.eye(len(squares))
    return np.asarray(np.linalg.lstsq(matrix, products, rcond=1e-10)[0], "f8")
