"""Noise that members begin with: given by the caller, or spread evenly over the normal distribution."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, qmc

from vadose.errors import ModelProblem

Noise = npt.NDArray[np.float32]


def even_noise(draws: int, outputs: int, *, seed: int) -> Noise:
    """Spread numbers evenly over the normal distribution, with mean 0 and variance 1 for each output.

    So few members give a mean and a spread as precise as those of many that are drawn. Each output has the
    same numbers; which of them meet is left to chance (a Latin hypercube).

    Parameters
    ----------
    draws
        Their number, 2 or more.
    outputs
        Values of a place.
    seed
        Same seed, same numbers; with one output they are the same for every seed.

    Returns
    -------
    array
        Dims ``(member, output)``, rising for the first output.

    Examples
    --------
    >>> even_noise(3, 1, seed=0).round(3).tolist()
    [[-1.225000023841858], [0.0], [1.225000023841858]]
    """
    hypercube = qmc.LatinHypercube(outputs, scramble=False, rng=np.random.default_rng(seed))
    points = norm.ppf(hypercube.random(draws))
    points = points[np.argsort(points[:, 0])]
    return np.asarray(points / points.std(axis=0), dtype=np.float32)


def spline_weights(cells: int, finer: int, *, first: int = 0) -> npt.NDArray[np.float64]:
    """Give what knots weigh in smooth noise along one side of a map: unit variance in every cell.

    The knots lie as far apart as the cells of the training, on their corners, so that on a grid that is
    `finer` the noise hangs together over the same distance on the ground as in training.

    Parameters
    ----------
    cells
        Along the side.
    finer
        Cells from knot to knot.
    first
        Number of the first cell, counted from a knot.

    Returns
    -------
    array
        Dims ``(cell, knot)``; cubic B-splines of knots from one before the first cell on.

    Examples
    --------
    >>> weights = spline_weights(5, 1)
    >>> weights.shape, bool(np.allclose((weights**2).sum(axis=1), 1.0))
    ((5, 8), True)
    """
    place = (first + np.arange(cells) + 0.5) / finer
    start = int(np.floor(first / finer + 0.5 / finer)) - 1
    stop = start + 4 if not cells else int(np.floor(place[-1])) + 3
    weights = b_spline(np.abs(place[:, None] - np.arange(start, stop)))
    return np.asarray(weights / np.sqrt((weights**2).sum(axis=1, keepdims=True)))


def b_spline(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Give the cubic B-spline of distances in knots: smooth, and 0 from 2 knots on."""
    near = 2 / 3 - distance**2 * (1 - distance / 2)
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far)


def smooth_noise(shape: tuple[int, int], finer: int, draws: int, *, seed: int) -> Noise:
    """Draw smooth maps of noise that have mean 0 and variance 1 over the draws, in every cell.

    Parameters
    ----------
    shape
        Cells along ``y`` and ``x``.
    finer
        See `spline_weights`.
    draws
        Their number, 2 or more.
    seed
        Same seed, same noise.

    Returns
    -------
    array
        Dims ``(member, y, x)``.
    """
    down, across = (spline_weights(side, finer) for side in shape)
    rng = np.random.default_rng(seed)
    knots = rng.standard_normal((draws, down.shape[1], across.shape[1]))
    maps = down @ knots @ across.T
    maps -= maps.mean(axis=0)
    return np.asarray(maps / maps.std(axis=0), dtype=np.float32)


def suited_noise(
    noise: npt.NDArray[np.floating], places: tuple[int, ...], *, outputs: int | None
) -> Noise:
    """Check noise from a caller, and give it for every place.

    Parameters
    ----------
    noise
        Dims ``(member, …)``, and ``output`` if several are learned. A dimension of length 1 is the same
        noise all along it.
    places
        Shape of the samples without ``feature``.
    outputs
        Values of a place; None: one, without a dimension.

    Returns
    -------
    array
        Dims ``(member, …, output)``.

    Raises
    ------
    ModelProblem
        A shape that does not suit, or a value that is not finite.

    Examples
    --------
    >>> suited_noise(np.array([[-1.0], [1.0]]), (3,), outputs=None).shape
    (2, 3, 1)
    """
    given = np.asarray(noise, dtype=np.float32)
    inner = (*places, *(() if outputs is None else (outputs,)))
    suits = given.ndim == len(inner) + 1 and all(
        found in (1, wanted) for found, wanted in zip(given.shape[1:], inner, strict=True)
    )
    if not suits:
        words = ", ".join(["member", *map(str, inner)])
        raise ModelProblem("noise", found=f"shape {given.shape}", expected=f"({words})")
    if not np.isfinite(given).all():
        raise ModelProblem(
            "noise",
            found=f"{int((~np.isfinite(given)).sum())} values that are not finite",
            expected="standard normal numbers",
        )
    whole = np.broadcast_to(given, (len(given), *inner))
    return whole if outputs is not None else whole[..., None]
