"""GPM IMERG precipitation, 0.1°: half-hourly HDF5 and daily netCDF-4, versions 06 and 07.

Arrays are ``(time, lon, lat)``, south up. The files call their calendar "julian" and mean the world's.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from vadose.products.base import Product
from vadose.products.description import Description, Layer
from vadose.products.generic import generic_product

_TERMS: dict[str, Any] = {
    "calendar": "standard",
    "grid": "latlon_0.1",
    "cell_methods": "time: mean",
    "licence": "NASA open data, no restriction",
    "citation": "Huffman, G. J., et al. (2023), GPM IMERG V07, doi:10.5067/GPM/IMERG/3B-HH/07",
}

IMERG = Description(
    name="IMERG",
    title="GPM IMERG L3 half-hourly 0.1 x 0.1 degree, V06 and V07",
    layers={"precipitation": Layer(("Grid/precipitation", "Grid/precipitationCal"))},
    pattern="3B-HHR*",
    time_variable="time",
    time_pattern=r"3IMERG\.(\d{8})-S(\d{6})",
    time_format="%Y%m%d%H%M%S",
    time_meaning="start of the half hour",
    **_TERMS,
)

IMERG_DAILY = Description(
    name="IMERG_DAILY",
    title="GPM IMERG L3 daily 0.1 x 0.1 degree, V06 and V07",
    # V06 gives a sum in mm, V07 a rate in mm/day: the same number
    layers={"precipitation": Layer(("precipitation", "precipitationCal"), hours=24.0)},
    pattern="3B-DAY*",
    time_pattern=r"3IMERG\.(\d{8})-S",
    time_meaning="the day",
    **_TERMS,
)

#: Readers of this family.
PRODUCTS: dict[str, Product] = {
    described.name: replace(generic_product(described), since=date(1998, 1, 1))
    for described in (IMERG, IMERG_DAILY)
}
