"""What SMAP's flags mean, and how two passes of a day become one value.

References
----------
Chan and Dunbar (2021), SMAP Level 3 Passive Soil Moisture Product Specification Document, JPL D-72551:
``retrieval_qual_flag``, ``surface_flag``. NSIDC, How do I interpret the surface and quality flag
information in the Level-2 and -3 passive soil moisture products?
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vadose.schema import QUALITY

#: Bits of ``retrieval_qual_flag``; set means "no" for each meaning. Bit 3 (freeze/thaw) is not ours.
RETRIEVAL_REASONS = ("not_recommended", "retrieval_failed", "retrieval_failed")
#: Bits of ``surface_flag``, in the order of its ``flag_meanings``: static and radar-seen water, coast
#: (water in the footprint), urban, precipitation, snow or ice, permanent snow, frozen (radiometer,
#: model), mountains, dense vegetation, nadir.
SURFACE_REASONS = (
    "open_water",
    "open_water",
    "open_water",
    "urban",
    "precipitation",
    "snow",
    "snow",
    "frozen",
    "frozen",
    "mountainous",
    "dense_vegetation",
    "other",
)
#: What both flags hold where nothing was observed.
FLAG_FILL = 65534


def decode_quality(
    retrieval: npt.NDArray[Any], surface: npt.NDArray[Any]
) -> npt.NDArray[np.uint16]:
    """Turn the product's two flags into our reasons; 0 where nothing was observed.

    Parameters
    ----------
    retrieval, surface
        ``retrieval_qual_flag`` and ``surface_flag``, any one shape.

    Examples
    --------
    >>> reasons = decode_quality(np.array([0, 1, 7, 65534]), np.array([0, 1024, 128, 65534]))
    >>> reasons.tolist() == [
    ...     0, QUALITY.mask("not_recommended", "dense_vegetation"),
    ...     QUALITY.mask("not_recommended", "retrieval_failed", "frozen"), 0]
    True
    """
    reasons = np.zeros(retrieval.shape, "u2")
    for flag, meanings in ((retrieval, RETRIEVAL_REASONS), (surface, SURFACE_REASONS)):
        for place, meaning in enumerate(meanings):
            is_set = (flag != FLAG_FILL) & ((flag >> place) & 1 == 1)
            reasons[is_set] |= np.uint16(QUALITY.mask(meaning))
    return reasons


def combine_passes(
    morning: npt.NDArray[np.float32], evening: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Average two passes where both exist, keep the one where one exists, as Ma et al. do.

    Parameters
    ----------
    morning, evening
        One shape; NaN where there is no retrieval.

    Examples
    --------
    >>> one, other = np.array([0.25, 0.25, np.nan]), np.array([0.75, np.nan, np.nan])
    >>> combine_passes(one, other).tolist()
    [0.5, 0.25, nan]
    """
    either = np.where(np.isnan(morning), evening, morning)
    is_both = ~np.isnan(morning) & ~np.isnan(evening)
    return np.where(is_both, (morning + evening) / 2, either)


def combine_quality(
    reasons: tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]],
    has_value: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]],
) -> npt.NDArray[np.uint16]:
    """Give the reasons of the passes that made a combined value; where none did, of both.

    Examples
    --------
    >>> combine_quality((np.array([1, 1], "u2"), np.array([8, 8], "u2")),
    ...                 (np.array([True, False]), np.array([False, False]))).tolist()
    [1, 9]
    """
    has_none = ~has_value[0] & ~has_value[1]
    counted = [np.where(has_value[n] | has_none, reasons[n], 0) for n in (0, 1)]
    return np.asarray(counted[0] | counted[1], "u2")
