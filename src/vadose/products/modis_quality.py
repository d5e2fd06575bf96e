"""MODIS quality layers and class codes in our vocabulary, one function for each product family."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vadose.schema import QUALITY, VARIABLES

Codes = npt.NDArray[np.integer[Any]]
Flags16 = npt.NDArray[np.uint16]


def _reasons(shape: tuple[int, ...], *rules: tuple[npt.NDArray[np.bool_], str]) -> Flags16:
    flags = np.zeros(shape, "u2")
    for is_so, names in rules:
        flags[is_so] |= np.uint16(QUALITY.mask(*names.split()))
    return flags


def decode_vegetation_index(detail: Codes, rank: Codes) -> Flags16:
    """Turn MOD13's bit field and pixel reliability into our quality bits.

    References
    ----------
    Didan et al. (2015), MODIS Vegetation Index User's Guide (C6), tables 4 and 5.

    Examples
    --------
    >>> decode_vegetation_index(np.array([2112, 2112, 0], "u2"), np.array([0, 3, 2], "i1"))
    array([   0, 1025,   41], dtype=uint16)
    """
    surface = (detail >> 11) & 7  # 1 land, 2 shore, 4 ephemeral water; the others are water
    is_given = rank != -1
    return _reasons(
        rank.shape,
        (~is_given, "retrieval_failed"),
        (rank == 1, "other"),
        (rank == 2, "snow not_recommended"),
        (rank == 3, "cloud not_recommended"),
        (rank == 4, "other not_recommended"),
        (is_given & np.isin(surface, (0, 3, 5, 6, 7)), "open_water"),
    )


def decode_temperature(control: Codes) -> Flags16:
    """Turn MOD11's QC byte into our quality bits; an error above 3 K is not recommended.

    References
    ----------
    Wan (2013), Collection-6 MODIS Land Surface Temperature Products Users' Guide, table 13.

    Examples
    --------
    >>> decode_temperature(np.array([0, 2, 3, 65, 193], "u1"))
    array([   0, 1026,    2,    0,    1], dtype=uint16)
    """
    mandatory, error = control & 3, control >> 6
    return _reasons(
        control.shape,
        (mandatory == 2, "retrieval_failed cloud"),
        (mandatory == 3, "retrieval_failed"),
        ((mandatory == 1) & (error == 3), "not_recommended"),
        ((mandatory == 1) & (error == 2), "other"),
    )


def decode_albedo(mandatory: Codes) -> Flags16:
    """Turn MCD43's mandatory quality into our bits: 1 is a magnitude inversion, 255 none.

    Examples
    --------
    >>> decode_albedo(np.array([0, 1, 255], "u1"))
    array([   0, 4096,    2], dtype=uint16)
    """
    return _reasons(mandatory.shape, (mandatory == 1, "other"), (mandatory > 1, "retrieval_failed"))


def decode_land_cover_quality(control: Codes) -> Flags16:
    """Turn MCD12Q1's QC into our bits.

    References
    ----------
    Sulla-Menashe and Friedl (2018), User Guide to Collection 6 MODIS Land Cover, table 7.

    Examples
    --------
    >>> decode_land_cover_quality(np.array([0, 1, 3, 9, 10], "u1"))
    array([   0,    1,    0, 4096,    2], dtype=uint16)
    """
    return _reasons(
        control.shape,
        (control == 1, "not_recommended"),  # land that had no data; filled in
        ((control >= 4) & (control <= 9), "other"),
        (control >= 10, "retrieval_failed"),
    )


def land_cover_codes(raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Turn LC_Type1 of collection 6 (water is 17) and 5 (water is 0) into our codes (water is 0).

    Examples
    --------
    >>> land_cover_codes(np.array([1, 16, 17, 255], "u1"))
    array([  1,  16,   0, 255], dtype=uint8)
    """
    codes = np.where(raw == 17, 0, raw).astype("u1")
    codes[raw > 17] = VARIABLES["land_cover"].missing
    return codes
