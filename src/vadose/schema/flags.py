"""Codes and bits: what the numbers of class and mask variables mean.

Each vocabulary is one object that gives the CF attributes of a variable and the number of a word, so
that no code stands as a bare number anywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vadose.errors import UnknownName


@dataclass(frozen=True)
class Flags:
    """Name the codes of a class variable, as CF's ``flag_values`` and ``flag_meanings``."""

    meanings: tuple[str, ...]
    first: int = 0

    def attributes(self) -> dict[str, object]:
        """Give the CF attributes of the codes.

        Examples
        --------
        >>> ORIGIN.attributes()["flag_meanings"].split()[2]
        'downscaled'
        """
        values = np.arange(self.first, self.first + len(self.meanings), dtype="u1")
        return {"flag_values": values, "flag_meanings": " ".join(self.meanings)}

    def code(self, meaning: str) -> int:
        """Give the code of a meaning.

        Examples
        --------
        >>> ORIGIN.code("filled")
        3
        """
        if meaning not in self.meanings:
            raise UnknownName("flag", meaning, self.meanings)
        return self.first + self.meanings.index(meaning)


@dataclass(frozen=True)
class Bits:
    """Name the bits of a mask variable, as CF's ``flag_masks`` and ``flag_meanings``.

    Attributes
    ----------
    meanings
        One for each bit, from the lowest on.
    noun
        What a meaning is called in an error.
    """

    meanings: tuple[str, ...]
    noun: str = "flag"

    def attributes(self) -> dict[str, object]:
        """Give the CF attributes of the bits.

        Examples
        --------
        >>> QUALITY.attributes()["flag_masks"][:3]
        array([1, 2, 4], dtype=uint16)
        """
        masks = np.array([1 << place for place in range(len(self.meanings))], dtype="u2")
        return {"flag_masks": masks, "flag_meanings": " ".join(self.meanings)}

    def mask(self, *meanings: str) -> int:
        """Give the number in which the bits of these meanings are set.

        Raises
        ------
        UnknownName

        Examples
        --------
        >>> QUALITY.mask("not_recommended", "frozen")
        5
        """
        total = 0
        for meaning in meanings:
            if meaning not in self.meanings:
                raise UnknownName(self.noun, meaning, self.meanings)
            total |= 1 << self.meanings.index(meaning)
        return total


#: Reasons for which a product's own flags doubt a value, in one vocabulary for all products.
QUALITY = Bits(
    (
        "not_recommended",
        "retrieval_failed",
        "frozen",
        "snow",
        "dense_vegetation",
        "open_water",
        "urban",
        "precipitation",
        "mountainous",
        "radio_interference",
        "cloud",
        "out_of_range",
        "other",
    ),
    noun="quality reason",
)

#: Where the value of a pixel comes from.
ORIGIN = Flags(("missing", "observed", "downscaled", "filled", "extrapolated", "masked", "fused"))

#: What holds of a pixel and day beside the one origin it has, and why it is masked.
FLAGS = Bits(
    (
        "coarse_gap",
        "extrapolated",
        "static_predictor_missing",
        "predictor_missing",
        "not_predicted",
    )
)

#: IGBP classes as in MODIS land cover (MCD12), codes 0 to 16.
IGBP = Flags(
    (
        "water_bodies",
        "evergreen_needleleaf_forests",
        "evergreen_broadleaf_forests",
        "deciduous_needleleaf_forests",
        "deciduous_broadleaf_forests",
        "mixed_forests",
        "closed_shrublands",
        "open_shrublands",
        "woody_savannas",
        "savannas",
        "grasslands",
        "permanent_wetlands",
        "croplands",
        "urban_and_built_up_lands",
        "cropland_natural_vegetation_mosaics",
        "permanent_snow_and_ice",
        "barren",
    )
)
