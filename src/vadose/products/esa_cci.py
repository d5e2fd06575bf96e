"""ESA CCI soil moisture and its Copernicus (C3S) continuation, 0.25°, daily.

``valid_range`` in these files is [0, 1] in unpacked units on packed integers: applied as CF says it hides
nearly every value, so it is not applied. The ACTIVE product is a degree of saturation, not a volume, and
comes out as ``relative_soil_moisture``.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr

from vadose.errors import FileProblem
from vadose.products.base import Product
from vadose.products.description import Description, FlagLayer, Layer
from vadose.products.formats import open_raw
from vadose.products.generic import generic_product
from vadose.products.reading import read_described
from vadose.products.units import canonical

#: The product does not tell snow from frost.
_COLD = ("frozen", "snow")
#: Flag values up to version 02.
_FLAG_VALUES = FlagLayer(
    "flag",
    {1: _COLD, 2: ("dense_vegetation",), 3: ("retrieval_failed",)},
    kind="values",
    is_optional=True,
)
#: Bits from version 03 on, and in C3S (product user guides, table of flags).
_FLAG_BITS = FlagLayer(
    "flag",
    {
        1: _COLD,
        2: ("dense_vegetation",),
        4: ("retrieval_failed",),
        8: ("out_of_range",),
        16: ("not_recommended",),
        32: ("not_recommended",),
        64: ("other",),  # barren ground, an advice
    },
    kind="bits",
    is_optional=True,
)
_WINDOW = "0 UTC, the middle of the observations of ±12 h; kept as in the file"
_CITATION = (
    "Dorigo, W., et al. (2017), Remote Sens. Environ. 203, 185-215; "
    "Gruber, A., et al. (2019), Earth Syst. Sci. Data 11, 717-739"
)

_DESCRIPTION = Description(
    name="ESA_CCI",
    title="ESA CCI soil moisture, COMBINED, ACTIVE or PASSIVE, daily",
    layers={
        "soil_moisture": Layer("sm"),
        "soil_moisture_uncertainty": Layer("sm_uncertainty", is_optional=True),
    },
    pattern="ESACCI-SOILMOISTURE*.nc",
    time_pattern=r"-(\d{8})\d{6}-",
    time_meaning=_WINDOW,
    grid="latlon_0.25",
    licence="ESA CCI data policy: free and open, cite",
    citation=_CITATION,
)
_C3S = replace(
    _DESCRIPTION,
    name="C3S",
    title="C3S soil moisture, COMBINED, ACTIVE or PASSIVE, daily",
    pattern="C3S-SOILMOISTURE*.nc",
    licence="Licence to use Copernicus products",
)


def _adapted(path: Path, described: Description) -> Description:
    """Fit the description to the version (flags) and the kind (volume or saturation) of a file."""
    with open_raw(path) as raw:
        stored = raw.need("sm")
        found = raw.find(["flag"])
        meanings = raw.variable(found).attrs.get("flag_meanings", "") if found else ""
        if not isinstance(meanings, str):
            raise FileProblem(
                path,
                found=f"flag_meanings {meanings!r}",
                expected="words, which tell flags that are numbers from flags that are bits",
            )
    is_saturation = canonical(str(stored.attrs.get("units", ""))) == "%"
    layers = described.layers
    if is_saturation:
        layers = {f"relative_{name}": layer for name, layer in layers.items()}
    words = meanings.split()
    is_values = len(words) == 4 and words[3].startswith("others_no_convergence")
    return replace(described, layers=layers, flags=(_FLAG_VALUES if is_values else _FLAG_BITS,))


def _read(path: Path, described: Description) -> xr.Dataset:
    return read_described(path, _adapted(path, described))


def _product(described: Description) -> Product:
    record: Any = generic_product(described)
    product: Product = replace(
        record,
        read=partial(_read, described=described),
        since=date(1978, 11, 1),
        depths=dict.fromkeys(("soil_moisture", "relative_soil_moisture"), (0.0, 0.05)),
        variables={
            **record.variables,
            "relative_soil_moisture": "sm (ACTIVE)",
            "quality": "flag",
        },
    )
    return product


#: Readers of this family.
PRODUCTS: dict[str, Product] = {
    described.name: _product(described) for described in (_DESCRIPTION, _C3S)
}
