"""Where the sun stands: what an instantaneous field shows by day it does not show by night."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from vadose.grids import lonlat


def solar_zenith_angle(moment: np.datetime64, grid: GeoBox) -> npt.NDArray[np.float64]:
    """Give the sun's zenith angle in degrees at every cell centre, to about a degree.

    Parameters
    ----------
    moment
        Instant, UTC.
    grid
        Any grid.

    Returns
    -------
    numpy.ndarray
        Dims ``(y, x)``; above 90 it is night.

    References
    ----------
    Spencer (1971), Search 2:172 (declination and equation of time).

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> noon = np.datetime64("2015-03-21T12:00")
    >>> angle = solar_zenith_angle(noon, latlon(10.0, (-10, -10, 10, 10)))
    >>> bool((angle < 12).all())
    True
    """
    day = moment.astype("datetime64[D]")
    of_year = (day - day.astype("datetime64[Y]")).astype(int)
    hour = (moment - day) / np.timedelta64(1, "h")
    turn = 2 * np.pi * (of_year + hour / 24) / 365.0
    declination = (
        0.006918
        - 0.399912 * np.cos(turn)
        + 0.070257 * np.sin(turn)
        - 0.006758 * np.cos(2 * turn)
        + 0.000907 * np.sin(2 * turn)
    )
    minutes = 229.18 * (
        0.000075
        + 0.001868 * np.cos(turn)
        - 0.032077 * np.sin(turn)
        - 0.014615 * np.cos(2 * turn)
        - 0.040849 * np.sin(2 * turn)
    )
    longitude, latitude = (np.radians(one) for one in lonlat(grid))
    angle = np.radians(15.0 * (hour + minutes / 60 - 12.0)) + longitude
    cosine = np.sin(latitude) * np.sin(declination)
    cosine += np.cos(latitude) * np.cos(declination) * np.cos(angle)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
