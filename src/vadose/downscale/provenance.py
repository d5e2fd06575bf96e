"""Where a value comes from, and what is to be known of it: gaps, ranges of training, flags, origins."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.samples.source import decoded
from vadose.schema import FLAGS, ORIGIN

Features = npt.NDArray[np.float32]
Values = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]
#: Bits of `vadose.schema.FLAGS`.
Bits = npt.NDArray[np.uint16]
#: Codes of `vadose.schema.ORIGIN`.
Codes = npt.NDArray[np.uint8]
#: Flags of a place at which a predictor has no value.
WITHOUT_PREDICTOR = ("static_predictor_missing", "predictor_missing")
#: The origin that a flag gives a place; what comes later has the last word.
_ORIGIN_OF_FLAG = {
    "extrapolated": "extrapolated",
    "coarse_gap": "filled",
    **dict.fromkeys((*WITHOUT_PREDICTOR, "not_predicted"), "masked"),
}


def feature_ranges(X: Values) -> Features:
    """Give the smallest and largest value of each feature, dims ``(feature, 2)``.

    Parameters
    ----------
    X
        Samples of any kind, ``feature`` last; NaN lies outside of the map.

    Examples
    --------
    >>> feature_ranges(np.array([[1.0, 5.0], [np.nan, np.nan], [2.0, 4.0]])).tolist()
    [[1.0, 2.0], [4.0, 5.0]]
    """
    table = X.reshape(-1, X.shape[-1])
    ranges = [np.fmin.reduce(table, axis=0), np.fmax.reduce(table, axis=0)]
    return np.stack(ranges, axis=1).astype(np.float32)


def beyond(columns: Iterable[Values], ranges: Features, shape: tuple[int, ...]) -> Mask:
    """Tell where any feature is smaller or larger than all that was learned from; NaN is neither.

    Parameters
    ----------
    columns
        One per feature, of a shape that is repeated to `shape`.
    ranges
        Smallest and largest value of each, ``(feature, 2)``.
    shape
        Of the result.

    Examples
    --------
    >>> columns = [np.array([0.5, 1.5, np.nan]), np.array([7.0, 7.0, 7.0])]
    >>> beyond(columns, np.array([[1.0, 2.0], [6.0, 8.0]], "f4"), (3,))
    array([ True, False, False])
    """
    is_beyond = np.zeros(shape, dtype=bool)
    for column, (low, high) in zip(columns, ranges, strict=True):
        is_beyond |= column < low
        is_beyond |= column > high
    return is_beyond


def flags_of_predictors(
    cube: xr.Dataset,
    static: Collection[str],
    shape: tuple[int, ...],
    *,
    ranges: Features | None = None,
    position: Sequence[Values] = (),
) -> Bits:
    """Flag places by their predictors: where one is missing, and where one is beyond its range.

    Parameters
    ----------
    cube
        The predictors in the order of the features, dims ``[time,] y, x``, in memory.
    static
        Names of those that are the same at each step.
    shape
        Of the result: ``(time, y, x)`` or ``(y, x)``.
    ranges
        Of the features; without them nothing is beyond its range.
    position
        Features that come after those of the cube, dims ``y, x``.

    Returns
    -------
    numpy.ndarray
        Bits of `vadose.schema.FLAGS`.
    """
    columns = [decoded(cube[name], np.float32) for name in cube.data_vars]
    columns += [degrees.astype(np.float32) for degrees in position]
    is_missing = {meaning: np.zeros(shape, dtype=bool) for meaning in WITHOUT_PREDICTOR}
    for name, column in zip(cube.data_vars, columns, strict=False):
        is_missing[WITHOUT_PREDICTOR[name not in static]] |= np.isnan(column)
    flags = np.zeros(shape, dtype=np.uint16)
    for meaning, is_true in is_missing.items():
        put_flag(flags, meaning, is_true)
    if ranges is not None:
        put_flag(flags, "extrapolated", beyond(columns, ranges, shape))
    return flags


def settled(flags: Bits, values: Values, is_coarse_gap: Mask) -> tuple[Bits, Codes]:
    """Give the flags of a product, and the origins that follow from them.

    Parameters
    ----------
    flags
        Of the predictors (`flags_of_predictors`); completed in place.
    values
        The product's, dims ``[time,] y, x``; NaN where there is none. Only a value is extrapolated, and
        one that is missing under complete predictors was not predicted.
    is_coarse_gap
        Coarse cells without an observation (`coarse_gaps`), dims ``[time,] y, x``, under the fine grid.

    Returns
    -------
    tuple
        Flags, and codes of `vadose.schema.ORIGIN`.

    Examples
    --------
    >>> flags = np.full((1, 3), FLAGS.mask("extrapolated"), "u2")
    >>> settled(flags, np.array([[0.2, 0.3, np.nan]]), np.array([[True, False, False]]))[1]
    array([[3, 4, 5]], dtype=uint8)
    """
    is_empty = np.isnan(values)
    put_flag(flags, "not_predicted", is_empty & (flags & FLAGS.mask(*WITHOUT_PREDICTOR) == 0))
    no_value = np.uint16(0xFFFF ^ FLAGS.mask("extrapolated"))
    np.bitwise_and(flags, no_value, out=flags, where=is_empty)
    *steps, rows, columns = flags.shape
    coarse_rows, coarse_columns = is_coarse_gap.shape[-2:]
    cells = flags.reshape(
        *steps, coarse_rows, rows // coarse_rows, coarse_columns, columns // coarse_columns
    )
    put_flag(cells, "coarse_gap", is_coarse_gap[..., :, None, :, None])
    return flags, origins(flags)


def coarse_gaps(coarse: xr.Dataset, target: str) -> xr.DataArray:
    """Tell where the coarse field has no observation: no value, or one that fusion has filled.

    Parameters
    ----------
    coarse
        The target and, where it was fused, its ``origin``.
    target
        Name of the variable.

    Returns
    -------
    xarray.DataArray
        True in gaps, dims of the target.

    Examples
    --------
    >>> coarse = xr.Dataset({"soil_moisture": ("x", [0.2, 0.3, np.nan]), "origin": ("x", [1, 3, 0])})
    >>> coarse_gaps(coarse, "soil_moisture").values
    array([False,  True,  True])
    """
    is_gap = coarse[target].isnull()
    if "origin" in coarse:
        is_gap = is_gap | (coarse["origin"] == ORIGIN.code("filled"))
    return is_gap.transpose(*coarse[target].dims)


def put_flag(flags: Bits, meaning: str, is_true: Mask) -> None:
    """Set a bit where something holds."""
    flags |= np.multiply(is_true, FLAGS.mask(meaning), dtype=np.uint16)


def origins(flags: Bits) -> Codes:
    """Give the one origin of each place: masked before filled, extrapolated and downscaled.

    Examples
    --------
    >>> origins(np.array([0, FLAGS.mask("coarse_gap", "extrapolated")], "u2"))
    array([2, 3], dtype=uint8)
    """
    codes = np.full(flags.shape, ORIGIN.code("downscaled"), dtype=np.uint8)
    for meaning, origin in _ORIGIN_OF_FLAG.items():
        np.copyto(codes, ORIGIN.code(origin), where=flags & FLAGS.mask(meaning) != 0)
    return codes
