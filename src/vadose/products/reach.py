"""Which days a product's archive can have."""

from __future__ import annotations

from datetime import date

from vadose.errors import NoOverlap
from vadose.products.base import Product


def check_reach(product: Product, first: date) -> None:
    """Insist that a product's archive begins no later than a period does, where its first day is known.

    Raises
    ------
    NoOverlap

    Examples
    --------
    >>> from vadose.products import PRODUCTS
    >>> check_reach(PRODUCTS["SPL3SMP_E"], date(2012, 1, 1))
    Traceback (most recent call last):
    vadose.errors.NoOverlap: SPL3SMP_E: found a period from 2012-01-01, expected one from 2015-03-31 on. \
No archive has earlier files; take a later period or another product.
    """
    if product.since is not None and first < product.since:
        raise NoOverlap(
            product.name,
            found=f"a period from {first}",
            expected=f"one from {product.since} on",
            remedy="No archive has earlier files; take a later period or another product.",
        )
