"""From stored numbers to values: fill values, packing, units and flags.

What a file says of itself is used where it is sound and refused where it is not. Its ``valid_range`` is
never applied: CF wants it in packed units, and products give it in unpacked ones, which hides the data.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vadose.errors import FileProblem
from vadose.products.raw import LazyArray, MappedArray, Stored
from vadose.products.units import SAME, Conversion
from vadose.schema import QUALITY

Values = npt.NDArray[Any]


def numbers_in(attributes: Mapping[str, Any], key: str, *, source: str) -> list[float]:
    """Give the numbers of an attribute, none where it is absent.

    Raises
    ------
    FileProblem
        When it holds text that is no number.

    Examples
    --------
    >>> numbers_in({"_FillValue": "-9999.0"}, "_FillValue", source="sm")
    [-9999.0]
    """
    if key not in attributes:
        return []
    try:
        return [float(number) for number in np.atleast_1d(attributes[key])]
    except (TypeError, ValueError) as error:
        raise FileProblem(
            source, found=f"attribute {key} = {attributes[key]!r}", expected="a number"
        ) from error


def number_in(attributes: Mapping[str, Any], key: str, default: float, *, source: str) -> float:
    """Give the one number of an attribute, the default where it is absent.

    Raises
    ------
    FileProblem
        When it holds text that is no number, or several.

    Examples
    --------
    >>> number_in({"scale_factor": [0.01]}, "scale_factor", 1.0, source="sm")
    0.01
    """
    numbers = numbers_in(attributes, key, source=source)
    if len(numbers) > 1:
        raise FileProblem(source, found=f"attribute {key} = {numbers}", expected="one number")
    return numbers[0] if numbers else default


def decode_values(
    stored: Stored,
    *,
    source: str,
    conversion: Conversion = SAME,
    fill_values: Sequence[float] = (),
    valid_range: tuple[float, float] | None = None,
    packing: tuple[float | None, float | None] = (None, None),
) -> LazyArray:
    """Turn stored numbers into float32 in our unit, lazily; fill values become NaN.

    Parameters
    ----------
    stored
        Lazy data and attributes as in the file.
    source
        File and variable, for messages.
    conversion
        From the file's unit to ours.
    fill_values
        Stored numbers that mean "no data", beside those that the file declares.
    valid_range
        Smallest and largest value in the file's unit, after unpacking; others become NaN.
    packing
        Scale and offset in place of the file's.

    Raises
    ------
    FileProblem
        When the data are no numbers, or packing attributes make no sense.
    """
    if stored.array.dtype.kind not in "iuf":
        raise FileProblem(source, found=f"type {stored.array.dtype}", expected="numbers")
    scale, offset = (
        number if number is not None else number_in(stored.attrs, key, default, source=source)
        for number, key, default in zip(
            packing, ("scale_factor", "add_offset"), (1.0, 0.0), strict=True
        )
    )
    if not np.isfinite(scale) or scale == 0 or not np.isfinite(offset):
        raise FileProblem(
            source,
            found=f"scale_factor {scale:g}, add_offset {offset:g}",
            expected="finite numbers, the scale not 0",
            remedy="State scale and offset in the product's description.",
        )
    fills = list(fill_values)
    _check_fill(stored, source)
    for key in ("_FillValue", "missing_value", "CodeMissingValue"):
        fills += numbers_in(stored.attrs, key, source=source)
    unsigned = (
        str(stored.attrs.get("_Unsigned", "")).lower() == "true" and stored.array.dtype.kind == "i"
    )
    function = functools.partial(
        _decode_block,
        fills=tuple(fills),
        linear=(scale, offset),
        valid_range=valid_range,
        conversion=conversion,
        unsigned=unsigned,
    )
    return MappedArray(function, stored.array, dtype=np.float32)


def _check_fill(stored: Stored, source: str) -> None:
    """Refuse a fill value that the stored integers cannot hold: the real one would pass for data."""
    dtype = stored.array.dtype
    for number in numbers_in(stored.attrs, "_FillValue", source=source):
        half = 2.0 ** (8 * dtype.itemsize - 1)
        if dtype.kind in "iu" and not -half <= number < 2 * half:
            raise FileProblem(
                source,
                found=f"_FillValue {number:g} of {dtype}",
                expected="a number of this type",
                remedy="Download it again.",
            )


def _decode_block(
    block: Values,
    *,
    fills: tuple[float, ...],
    linear: tuple[float, float],
    valid_range: tuple[float, float] | None,
    conversion: Conversion,
    unsigned: bool,
) -> npt.NDArray[np.float32]:
    if unsigned:
        block = block.view(f"u{block.dtype.itemsize}")
    is_gap = _is_any_of(block, fills)
    values = block.astype(np.float64)
    if linear != (1.0, 0.0):
        values = values * linear[0] + linear[1]
    if valid_range is not None:
        is_gap |= ~((values >= valid_range[0]) & (values <= valid_range[1]))
    if conversion != (1.0, 0.0):
        values = values * conversion.factor + conversion.offset
    values[is_gap] = np.nan
    return values.astype(np.float32)


def _is_any_of(block: Values, numbers: tuple[float, ...]) -> npt.NDArray[np.bool_]:
    """Compare in the stored type: −9999.9 is another number in float32 than in float64."""
    found = np.zeros(block.shape, dtype=bool)
    for number in numbers:
        if np.isnan(number):
            continue
        if block.dtype.kind == "f":
            with np.errstate(over="ignore"):
                found |= block == block.dtype.type(number)
        elif float(number).is_integer():
            limits = np.iinfo(block.dtype)
            if number < 0 and limits.min == 0:  # a signed fill value on unsigned data
                number += 2.0 ** (8 * block.dtype.itemsize)
            if limits.min <= number <= limits.max:
                found |= block == block.dtype.type(number)
    return found


def decode_flags(
    stored: Stored, reasons: Mapping[int, Sequence[str]], *, kind: str, source: str
) -> LazyArray:
    """Turn a product's flags into bits of `vadose.schema.QUALITY`, lazily.

    Parameters
    ----------
    stored
        Lazy flags as in the file; its fill value means no reason.
    reasons
        Quality reasons of each flag value, or of each bit mask.
    kind
        ``values`` (one number, one meaning) or ``bits`` (any may be set together).
    source
        File and variable, for messages.

    Raises
    ------
    FileProblem
        When the flags are no numbers, or bits are not integers.
    """
    if stored.array.dtype.kind not in ("iuf" if kind == "values" else "iu"):
        raise FileProblem(source, found=f"type {stored.array.dtype}", expected="integer flags")
    table = {code: QUALITY.mask(*meanings) for code, meanings in reasons.items()}
    fills = tuple(
        number
        for key in ("_FillValue", "missing_value")
        for number in numbers_in(stored.attrs, key, source=source)
        if np.isfinite(number) and (kind == "bits" or int(number) not in table)
    )
    function = functools.partial(_flag_block, table=table, kind=kind, fills=fills)
    return MappedArray(function, stored.array, dtype=np.uint16)


def _flag_block(
    block: Values, *, table: Mapping[int, int], kind: str, fills: tuple[float, ...]
) -> npt.NDArray[np.uint16]:
    quality = np.zeros(block.shape, dtype=np.uint16)
    for code, mask in table.items():
        is_set = (block.astype(np.int64) & code) != 0 if kind == "bits" else block == code
        quality[is_set] |= np.uint16(mask)
    quality[_is_any_of(block, fills)] = 0
    return quality
