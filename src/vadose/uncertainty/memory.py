"""Memory of daily series with gaps: how autocorrelated they are, and how sure that is.

An interval of a score of daily soil moisture is as good as what it believes about autocorrelation, and
one year of an error that forgets in twenty days holds barely ten independent values. A plug-in estimate
of so little is biased towards less memory and taken as certain, and both make intervals too short. Here
the Gaussian likelihood of an AR(1) process under white noise is taken exactly, gaps and unknown mean
included, on a grid of its two parameters, and what follows is averaged over all of them as their
likelihood weighs them. Where a series has more memory than any such process explains, its
autocorrelations themselves have the last word, and lengthen the interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.special

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: Distance of the grid in −log(1 − φ): each node forgets half as slowly again as the one before.
STEP = 0.41
#: Nodes of −log(1 − φ): φ from −.5 over 0 to .995.
PERSISTENCE = np.linspace(-STEP, 13 * STEP, 15)
#: Nodes of the share of noise: 0 is AR(1), at 1 nothing but white noise would be left.
NOISE = np.linspace(0.0, 0.76, 5)
#: Slope of the log prior in −log(1 − φ). That of Jeffreys for an AR(1) tends to .5; of .5, .75 and 1 this
#: gave coverages nearest to what they claim, from white noise to a φ of .97.
PRIOR = 0.75
#: Steps from which a likelihood is so narrow that it is interpolated twice as finely.
LONG = 1500
#: Pairs that an autocorrelation needs, to be used by itself.
LEAST_PAIRS = 10
#: Part of the variance that the estimate of the mean may have taken at most.
MOST_LOST = 0.5
#: What is so small counts as nothing, lest processors work on its last bits for long.
NEGLIGIBLE = 1e-100
#: Innovation variances are multiplied up for this many steps before a logarithm is taken.
STEPS_PER_LOGARITHM = 16


@dataclass(frozen=True)
class Memory:
    """Hold what is believed of the autocorrelation of series.

    Attributes
    ----------
    n
        Number of values, dims ``(series)``, as all unless said otherwise.
    mean_inflation, square_inflation
        By how many times the variance of the mean, and of the mean square, exceeds that of as many
        independent values: ``1 + 2 Σ c ρ`` and ``1 + 2 Σ c ρ²``, c the share of pairs.
    log_variance, log_variance_spread
        Mean and variance of the logarithm of the process variance, in units of the sample variance.
    log_mean_variance, log_mean_variance_spread
        The same of the variance of the sample mean.
    modelled, sampled
        Autocorrelations of lags 1, 2, …, dims ``(series, lag)``: those of the process, and those of
        the pairs up to a quarter of the steps, zero from the first that is not positive.
    """

    n: Array
    mean_inflation: Array
    square_inflation: Array
    log_variance: Array
    log_variance_spread: Array
    log_mean_variance: Array
    log_mean_variance_spread: Array
    modelled: Array
    sampled: Array


@dataclass(frozen=True)
class _Grid:
    """Hold the fine grid: φ, the amplitude of the AR(1) part, and what interpolates to it."""

    persistence: Array
    phi: Array
    amplitude: Array
    to_phi: Array
    to_noise: Array


def fit_memory(standardised: Array, is_valid: Mask, pairs: Array | None = None) -> Memory:
    """Weigh all processes of the grid by their likelihood.

    Parameters
    ----------
    standardised
        Dims ``(series, time)`` at regular steps, of zero mean and unit variance over the valid steps;
        zero where not valid.
    is_valid
        Same shape; at least three valid steps in each series.
    pairs
        What `count_pairs` gives, if known.

    Returns
    -------
    Memory

    Notes
    -----
    The process is ``x = μ + s + η``, s AR(1) with parameter φ and η white. Its likelihood is that of the
    one-step forecasts of a Kalman filter, which steps over a gap; μ and the variance are integrated out
    (restricted likelihood), which takes away most of the bias of φ (Cheang and Reinsel 2000). The share
    of noise is set on the parameter θ of the same process as ARMA(1, 1), −log(1 − θ) being 0 to .76
    times −log(1 − φ), in which the likelihood is equally wide everywhere.

    References
    ----------
    Jones (1980), Technometrics 22, 389-395. Cheang and Reinsel (2000), J. Am. Stat. Assoc. 95, 1173-1184.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.standard_normal((1, 400))
    >>> noise = (noise - noise.mean()) / noise.std()
    >>> memory = fit_memory(noise, np.ones_like(noise, dtype=bool))
    >>> bool(abs(memory.mean_inflation[0] - 1) < 0.2)
    True
    """
    steps = standardised.shape[1]
    n = is_valid.sum(axis=1).astype("f8")
    pairs = count_pairs(is_valid) if pairs is None else pairs
    grid = _grid(8 if steps > LONG else 4)
    weight, log_variance = _weigh(standardised, is_valid, n, grid)
    share = pairs[:, 1:] / n[:, None]
    powers = _powers(grid, steps)
    mean_inflation = np.maximum(1 + 2 * grid.amplitude[:, :, None] * (share @ powers).T[None], 0.05)
    square_inflation = 1 + 2 * grid.amplitude[:, :, None] ** 2 * (share @ powers**2).T[None]
    log_mean_variance = log_variance + np.log(mean_inflation / n)
    level, spread = _moments(weight, log_variance)
    mean_level, mean_spread = _moments(weight, log_mean_variance)
    of_mean = np.exp((weight * np.log(mean_inflation)).sum(axis=(0, 1)))
    of_square = np.exp((weight * np.log(square_inflation)).sum(axis=(0, 1)))
    modelled = (weight * grid.amplitude[:, :, None]).sum(axis=0).T @ powers.T
    lost = np.minimum(of_mean / n, MOST_LOST)
    sampled = _sample_autocorrelation(standardised, pairs, lost)
    near = share[:, : sampled.shape[1]]
    more_mean = np.maximum((1 + 2 * (near * sampled).sum(axis=1)) / of_mean, 1)
    more_square = np.maximum((1 + 2 * (near * sampled**2).sum(axis=1)) / of_square, 1)
    # the variance of a chi-squared of many degrees of freedom is what the grid does not hold
    within = 2 / n
    lost = np.minimum(of_mean * more_mean / n, MOST_LOST)
    return Memory(
        n=n,
        mean_inflation=of_mean * more_mean,
        square_inflation=of_square * more_square,
        log_variance=np.maximum(level, -np.log1p(-lost)),
        log_variance_spread=np.maximum(
            (spread + within) * more_square, 2 * of_square * more_square / n
        ),
        log_mean_variance=mean_level + np.log(more_mean),
        log_mean_variance_spread=mean_spread + within,
        modelled=modelled,
        sampled=sampled,
    )


def standardise(values: Array, is_valid: Mask) -> tuple[Array, Mask]:
    """Give zero mean and unit variance over valid steps, zero elsewhere; and which rows vary at all."""
    n = np.maximum(is_valid.sum(axis=1, keepdims=True), 1)
    mean = np.where(is_valid, values, 0).sum(axis=1, keepdims=True) / n
    centred = np.where(is_valid, values - mean, 0)
    deviation = np.sqrt((centred**2).sum(axis=1, keepdims=True) / n)
    # of a constant, rounding is left
    size = np.abs(np.where(is_valid, values, 0)).max(axis=1, keepdims=True, initial=0)
    varies = deviation > 1e-12 * np.maximum(size, 1e-150)
    return centred / np.where(varies, deviation, 1), varies[:, 0]


def count_pairs(is_valid: Mask) -> Array:
    """Count the pairs of valid steps at each lag, dims ``(series, lag)`` from lag 0.

    Examples
    --------
    >>> count_pairs(np.array([[True, False, True, True]]))
    array([[3., 1., 1., 1.]])
    """
    return np.rint(sum_products(is_valid.astype("f8")))


def sum_products(values: Array, others: Array | None = None) -> Array:
    """Sum ``values[t + lag] * others[t]`` over t at each lag from 0, for each row, by Fourier transform.

    Examples
    --------
    >>> sum_products(np.array([[1.0, 2.0, 3.0]])).round(9)
    array([[14.,  8.,  3.]])
    """
    steps = values.shape[1]
    size = scipy.fft.next_fast_len(2 * steps, real=True)
    left = scipy.fft.rfft(values, size, axis=1)
    right = left if others is None else scipy.fft.rfft(others, size, axis=1)
    sums: Array = scipy.fft.irfft(left * right.conj(), size, axis=1)[:, :steps]
    return sums


@lru_cache(maxsize=4)
def _grid(subdivisions: int) -> _Grid:
    """Lay the fine grid, with so many steps in one of the nodes."""
    persistence = np.linspace(
        PERSISTENCE[0], PERSISTENCE[-1], (len(PERSISTENCE) - 1) * subdivisions + 1
    )
    noise = np.linspace(NOISE[0], NOISE[-1], (len(NOISE) - 1) * subdivisions // 2 + 1)
    return _Grid(
        persistence=persistence,
        phi=-np.expm1(-persistence),
        amplitude=_amplitude(persistence, noise),
        to_phi=_cubic(PERSISTENCE, persistence),
        to_noise=_cubic(NOISE, noise),
    )


def _amplitude(persistence: Array, noise: Array) -> Array:
    """Give the AR(1) part of the variance of an ARMA(1, 1), dims ``(noise, persistence)``."""
    phi = -np.expm1(-persistence)
    theta = -np.expm1(-noise[:, None] * persistence)
    is_white = np.abs(phi) < 1e-9
    safe = np.where(is_white, 1.0, phi)
    first = (phi - theta) * (1 - phi * theta) / (1 + theta**2 - 2 * phi * theta)
    return np.where(is_white, 1 - noise[:, None], first / safe)


def _cubic(nodes: Array, wanted: Array) -> Array:
    """Give the matrix of cubic interpolation from the four nodes around each wanted place.

    Local, since the logarithm of a likelihood falls off so steeply far away that a spline would ring.
    """
    first = np.clip(np.searchsorted(nodes, wanted) - 2, 0, len(nodes) - 4)
    matrix = np.zeros((len(wanted), len(nodes)))
    rows = np.arange(len(wanted))
    for one in range(4):
        factor = np.ones(len(wanted))
        for other in range(4):
            if other != one:
                factor *= (wanted - nodes[first + other]) / (
                    nodes[first + one] - nodes[first + other]
                )
        matrix[rows, first + one] = factor
    return matrix


@lru_cache(maxsize=4)
def _powers_of(subdivisions: int, steps: int) -> Array:
    """Give φ to the power of lags 1 to steps − 1, dims ``(lag, persistence)``."""
    powers: Array = _grid(subdivisions).phi ** np.arange(1, steps)[:, None]
    powers[np.abs(powers) < NEGLIGIBLE] = 0.0
    powers.flags.writeable = False
    return powers


def _powers(grid: _Grid, steps: int) -> Array:
    return _powers_of((len(grid.phi) - 1) // (len(PERSISTENCE) - 1), steps)


def _weigh(standardised: Array, is_valid: Mask, n: Array, grid: _Grid) -> tuple[Array, Array]:
    """Give posterior weights, and the log of the variance, dims ``(noise, persistence, series)``."""
    log_determinant, squares = _filter(standardised, is_valid)
    log_squares = _refine(np.log(squares), grid)
    log_weight = -0.5 * (_refine(log_determinant, grid) + (n - 1) * log_squares)
    log_weight -= PRIOR * grid.persistence[None, :, None]
    log_weight -= log_weight.max(axis=(0, 1))
    weight = np.exp(np.maximum(log_weight, math.log(NEGLIGIBLE)))
    weight /= weight.sum(axis=(0, 1))
    return weight, log_squares - np.log(n - 1)


def _refine(nodes: Array, grid: _Grid) -> Array:
    """Interpolate from the nodes ``(node, series)`` to the fine grid ``(noise, persistence, series)``."""
    table = nodes.reshape(len(NOISE), len(PERSISTENCE), -1)
    refined: Array = np.tensordot(grid.to_noise, grid.to_phi @ table, axes=1)
    return refined


def _filter(
    standardised: Array, is_valid: Mask, *, use_compiled: bool = True
) -> tuple[Array, Array]:
    """Run the Kalman filter of all nodes over all series.

    Returns the log determinant (with that of the mean) and the sum of squared standardised forecast
    errors after generalised least squares of the mean, both ``(node, series)``.
    """
    amplitude = _amplitude(PERSISTENCE, NOISE).ravel()
    phi = np.tile(-np.expm1(-PERSISTENCE), len(NOISE))
    observed = np.ascontiguousarray(is_valid.T, dtype="f8")
    values = np.ascontiguousarray(standardised.T)
    sums = np.zeros((4, len(phi), len(standardised)))
    run_filter = _compiled() if use_compiled else None
    if run_filter is None:
        _run_filter(values, observed, amplitude[:, None], phi[:, None], sums)
    else:
        run_filter(values, observed, amplitude, phi, STEPS_PER_LOGARITHM, sums)
    squares, crossed, ones, log_determinant = sums
    return log_determinant + np.log(ones), squares - crossed**2 / ones


@cache
def _compiled() -> Any:
    """Give the compiled filter; None where numba is absent or finds no folder to compile into."""
    try:
        from vadose.uncertainty.fast_filter import run_filter
    except (ImportError, RuntimeError):
        return None
    return run_filter


def _run_filter(values: Array, observed: Array, amplitude: Array, phi: Array, sums: Array) -> None:
    """Add up forecast errors squared, times those of a one, those of a one squared, and log variances.

    Dims of `sums` are ``(sum, node, series)``, of values ``(time, series)``.
    """
    squares, crossed, ones, log_determinant = sums
    fade, white = phi * phi, 1 - amplitude
    innovation = amplitude * (1 - fade)
    uncertainty = np.repeat(amplitude, values.shape[1], axis=1)
    state, state_one = np.zeros_like(squares), np.zeros_like(squares)
    product = np.ones_like(squares)
    last = len(values) - 1
    for step, (value, present) in enumerate(zip(values, observed, strict=True)):
        total = uncertainty + white
        np.multiply(product, total, out=product, where=present > 0)
        precision = present / total
        if step % STEPS_PER_LOGARITHM == STEPS_PER_LOGARITHM - 1 or step == last:
            log_determinant += np.log(product)
            product.fill(1.0)
        error, error_one = value - state, 1 - state_one
        gained, gained_one = error * precision, error_one * precision
        squares += error * gained
        crossed += error_one * gained
        ones += error_one * gained_one
        gained *= uncertainty
        state += gained
        state *= phi
        gained_one *= uncertainty
        state_one += gained_one
        state_one *= phi
        precision *= uncertainty
        uncertainty *= np.subtract(1, precision, out=precision)
        uncertainty *= fade
        uncertainty += innovation


def _moments(weight: Array, values: Array) -> tuple[Array, Array]:
    """Give mean and variance over the grid."""
    mean = (weight * values).sum(axis=(0, 1))
    return mean, (weight * (values - mean) ** 2).sum(axis=(0, 1))


def _sample_autocorrelation(standardised: Array, pairs: Array, lost: Array) -> Array:
    """Give autocorrelations of pairs to a quarter of the steps, zero from the first not positive.

    What the estimated mean has taken from the variance is given back to every lag. A lag of few pairs,
    as between the overpasses of a satellite, is zero but ends nothing.
    """
    lags = standardised.shape[1] // 4
    sums = sum_products(standardised)[:, 1 : lags + 1]
    counted = pairs[:, 1 : lags + 1]
    raw = (sums / np.maximum(counted, 1) + lost[:, None]) / (1 + lost[:, None])
    is_known = counted >= LEAST_PAIRS
    is_before = np.logical_and.accumulate((raw > 0) | ~is_known, axis=1)
    return np.where(is_before & is_known, np.clip(raw, 0, 1), 0)


def match_degrees(spread: Array) -> Array:
    """Give the degrees of freedom of a chi-squared whose logarithm has this variance.

    Examples
    --------
    >>> match_degrees(np.array([scipy.special.polygamma(1, 5.0)])).round(6)
    array([10.])
    """
    half = 1 / spread + 0.5
    for _ in range(8):  # Newton; the start is right to a few per cent
        miss = scipy.special.polygamma(1, half) - spread
        half = np.maximum(half - miss / scipy.special.polygamma(2, half), 0.05)
    return 2 * half


def match_scale(log_level: Array, degrees: Array) -> Array:
    """Give the scale of an inverse chi-squared of these degrees whose logarithm has this mean.

    Examples
    --------
    >>> match_scale(np.array([0.0]), np.array([1e6])).round(4)
    array([1.])
    """
    scale: Array = np.exp(log_level - np.log(degrees / 2) + scipy.special.digamma(degrees / 2))
    return scale
