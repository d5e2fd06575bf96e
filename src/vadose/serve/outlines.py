"""Outlines as GeoJSON: coasts as polygons of land, borders as lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Line = npt.NDArray[np.float64]
#: Gives the lines of a layer, each ``(point, 2)`` of longitude and latitude in degrees.
Reader = Callable[[str], Sequence[Line]]

#: Layers that the page asks for.
LAYERS = ("coast_110m", "coast_50m", "borders_50m")


def as_geojson(lines: Sequence[Line]) -> bytes:
    """Write lines as one GeoJSON feature, to a thousandth of a degree.

    Examples
    --------
    >>> as_geojson([np.array([[0.0, 0.0], [1.0, 0.5]])])[-66:]
    b'"type":"MultiLineString","coordinates":[[[0.0,0.0],[1.0,0.5]]]}}]}'
    """
    coordinates = [np.round(line, 3).tolist() for line in lines]
    geometry = {"type": "MultiLineString", "coordinates": coordinates}
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    collection = {"type": "FeatureCollection", "features": [feature]}
    return json.dumps(collection, separators=(",", ":")).encode()
