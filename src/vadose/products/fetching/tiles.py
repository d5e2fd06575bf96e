"""Which tiles of a product touch a box, and which days of a product a period."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np

from vadose.grids import Region

#: Steps in latitude at which the width of a box is measured on the sinusoidal grid, degrees.
STEP = 0.05


def modis_tiles(region: Region) -> list[str]:
    """List the tiles of the MODIS sinusoidal grid that touch a box; some of them lie in the sea.

    Parameters
    ----------
    region
        West, south, east, north in degrees.

    Examples
    --------
    >>> modis_tiles((146.0, -36.0, 149.0, -33.0))
    ['h29v12', 'h30v12']
    """
    west, south, east, north = region
    count = max(2, math.ceil((north - south) / STEP) + 1)
    tiles = set()
    for latitude in np.linspace(south, north, count):
        row = min(max(math.floor((90.0 - latitude) / 10.0), 0), 17)
        across = math.cos(math.radians(latitude)) / 10.0
        first, last = (min(max(math.floor(18 + lon * across), 0), 35) for lon in (west, east))
        tiles |= {f"h{column:02d}v{row:02d}" for column in range(first, last + 1)}
    return sorted(tiles)


def degree_tiles(region: Region) -> list[tuple[int, int]]:
    """List the south-west corners of the one-degree tiles that touch a box.

    Examples
    --------
    >>> degree_tiles((-0.5, 9.2, 0.5, 10.0))
    [(9, -1), (9, 0)]
    """
    west, south, east, north = region
    return [
        (latitude, longitude)
        for latitude in range(math.floor(south), math.ceil(north))
        for longitude in range(math.floor(west), math.ceil(east))
    ]


def corner(latitude: int, longitude: int, form: str) -> str:
    """Write a corner in the form of a product, with ``{ns}{lat:02d}`` and ``{ew}{lon:03d}``.

    Examples
    --------
    >>> corner(-35, 147, "{ns}{lat:02d}{ew}{lon:03d}")
    'S35E147'
    """
    return form.format(
        ns="N" if latitude >= 0 else "S",
        lat=abs(latitude),
        ew="E" if longitude >= 0 else "W",
        lon=abs(longitude),
    )


def each_day(first: date, last: date) -> list[date]:
    """List the days of a period, both ends included."""
    return [first + timedelta(days=step) for step in range((last - first).days + 1)]


def composites(first: date, last: date) -> list[date]:
    """List the first days of 16-day composites that touch a period; they begin anew each year.

    Examples
    --------
    >>> composites(date(2019, 12, 20), date(2020, 1, 2))
    [datetime.date(2019, 12, 19), datetime.date(2020, 1, 1)]
    """
    starts = [
        date(year, 1, 1) + timedelta(days=16 * count)
        for year in range(first.year - 1, last.year + 1)
        for count in range(23)
    ]
    return [start for start in starts if start <= last and start + timedelta(days=15) >= first]


def months(first: date, last: date) -> list[tuple[int, int]]:
    """List the years and months that a period touches.

    Examples
    --------
    >>> months(date(2019, 12, 20), date(2020, 1, 2))
    [(2019, 12), (2020, 1)]
    """
    return [
        (year, month)
        for year in range(first.year, last.year + 1)
        for month in range(1, 13)
        if (first.year, first.month) <= (year, month) <= (last.year, last.month)
    ]
