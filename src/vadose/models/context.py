"""Context: what the surroundings of a cell are like, and how the cell departs from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

from vadose.errors import ModelProblem

Maps = npt.NDArray[np.floating]


def with_context(X: Maps, window: int) -> Maps:
    """Replace each feature by its mean over a window of cells and the departure of the cell from it.

    The window is a square centred on the cell, so that the means have no edges of blocks in them. It is
    a *length on the ground* that gives the two their meaning: on a grid whose cells are ``f`` times
    smaller, ``f`` times as many cells make the same window, and a mean and a departure say the same
    there. Both stay in units of the feature; departures are not divided by their spread, which is
    larger on the finer grid for a reason.

    Parameters
    ----------
    X
        Dims ``(sample, y, x, feature)``; all features NaN where there is no cell.
    window
        Side of the window, in cells. Of an even window the outermost cells count half on either side.
        Where the window reaches over the rim or over missing cells, the mean is that of the others.

    Returns
    -------
    array
        Dims ``(sample, y, x, 2 feature)``: the means, then the departures; NaN where there is no cell.

    Raises
    ------
    ModelProblem
        A window of less than one cell.

    Examples
    --------
    >>> with_context(np.array([[[[1.0], [2.0], [6.0]]]]), 3)[0, 0]
    array([[ 1.5, -0.5],
           [ 3. , -1. ],
           [ 4. ,  2. ]])
    """
    if window < 1:
        raise ModelProblem("window", found=f"{window} cells", expected="1 or more")
    features = X.shape[-1]
    result = np.empty((*X.shape[:-1], 2 * features), dtype=X.dtype)
    for sample, maps in zip(result, X, strict=True):  # one by one, so that memory is bounded
        is_there = np.isfinite(maps).all(axis=-1, keepdims=True)
        known = _square_mean(np.where(is_there, maps, 0.0), window)
        share = _square_mean(is_there, window)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(is_there, known / share, np.nan)
        sample[..., :features] = mean
        sample[..., features:] = maps - mean
    return result


def _square_mean(maps: npt.NDArray[np.generic], window: int) -> npt.NDArray[np.float64]:
    """Give the mean over a centred square, with 0 beyond the rim; dims ``(y, x, feature)``."""
    mean = maps.astype(np.float64)
    for axis in (0, 1):
        left = uniform_filter1d(mean, window, axis=axis, mode="constant")
        if window % 2:
            mean = left
        else:
            right = uniform_filter1d(mean, window, axis=axis, mode="constant", origin=-1)
            mean = (left + right) / 2
    return mean
