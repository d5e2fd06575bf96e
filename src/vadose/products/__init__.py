"""Data sources: one record and one reader each, joined in the table `PRODUCTS`."""

from __future__ import annotations

from vadose.errors import Named
from vadose.products import (
    amsr2,
    era5,
    esa_cci,
    generic,
    gldas,
    imerg,
    landcover,
    modis,
    sample,
    sentinel1,
    smap,
    smos,
    soil,
    terrain,
)
from vadose.products.base import Product

#: Families of products, in the order of the documentation.
FAMILIES = (
    sample,
    smap,
    smos,
    amsr2,
    esa_cci,
    sentinel1,
    gldas,
    era5,
    imerg,
    modis,
    terrain,
    soil,
    landcover,
    generic,
)
#: Every product by name.
PRODUCTS: Named[Product] = Named(
    "product",
    {name: product for family in FAMILIES for name, product in family.PRODUCTS.items()},
)
