"""What of a file is kept: a box and variables; and whether what is kept is enough for what is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vadose.grids import Region
from vadose.products.fetching.contents import needed


@dataclass(frozen=True)
class Cut:
    """Name a box and variables of a file.

    Attributes
    ----------
    box
        West, south, east, north in degrees.
    variables
        Names as in the file, of those that `vadose.products.fetching.contents.needed` gives; all where it is empty.
    """

    box: Region
    variables: tuple[str, ...] = ()

    def holds(self, other: Cut) -> bool:
        """Tell whether a file cut to this has all of another cut.

        Examples
        --------
        >>> Cut((0, 40, 10, 50), ("sm", "vod")).holds(Cut((2, 42, 8, 48), ("sm",)))
        True
        >>> Cut((0, 40, 10, 50)).holds(Cut((2, 42, 12, 48)))
        False
        """
        west, south, east, north = self.box
        is_inside = (
            west <= other.box[0]
            and south <= other.box[1]
            and east >= other.box[2]
            and north >= other.box[3]
        )
        has_all = not self.variables or (
            bool(other.variables) and set(other.variables) <= set(self.variables)
        )
        return is_inside and has_all

    def joined(self, other: Cut) -> Cut:
        """Give the smallest cut that holds both.

        Examples
        --------
        >>> Cut((0, 40, 10, 50), ("sm",)).joined(Cut((5, 45, 15, 48), ("vod",)))
        Cut(box=(0, 40, 15, 50), variables=('sm', 'vod'))
        """
        box = (
            min(self.box[0], other.box[0]),
            min(self.box[1], other.box[1]),
            max(self.box[2], other.box[2]),
            max(self.box[3], other.box[3]),
        )
        is_all = not (self.variables and other.variables)
        both = () if is_all else tuple(sorted({*self.variables, *other.variables}))
        return Cut(box, both)


@dataclass(frozen=True)
class Need:
    """Say what a file must hold, and for whom.

    Attributes
    ----------
    cut
        Box and variables, as in the file.
    readers
        Our variables that are wanted, by the product that reads them; all where there are none.
    """

    cut: Cut
    readers: Mapping[str, tuple[str, ...]]

    @property
    def products(self) -> tuple[str, ...]:
        """Name the products that read the file."""
        return tuple(self.readers)

    def joined(self, other: Need) -> Need:
        """Give what holds both."""
        readers = dict(self.readers)
        for product, names in other.readers.items():
            held = readers.get(product)
            is_all = held == () or not names
            readers[product] = () if is_all else tuple(dict.fromkeys((*(held or ()), *names)))
        return Need(self.cut.joined(other.cut), readers)


def wanted_cut(product: str, region: Region, variables: tuple[str, ...]) -> Cut:
    """Say what a file must hold at least for the variables of a product over a region.

    Examples
    --------
    >>> wanted_cut("IMERG", (0, 40, 10, 50), ("precipitation",))
    Cut(box=(0.0, 40.0, 10.0, 50.0), variables=('Grid/precipitation',))
    """
    region = (float(region[0]), float(region[1]), float(region[2]), float(region[3]))
    return Cut(region, tuple(sorted(needed(product, variables))))


def remembered_cut(row: Mapping[str, Any]) -> Cut | None:
    """Read from a line of the manifest what a file was cut to; None for a whole one.

    Examples
    --------
    >>> remembered_cut({"file": "a.h5", "size": 3}) is None
    True
    """
    box = row.get("box")
    if box is None:
        return None
    west, south, east, north = (float(degrees) for degrees in box)
    return Cut((west, south, east, north), tuple(map(str, row.get("variables") or ())))
