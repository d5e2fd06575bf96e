"""Coastlines and borders bundled with the package, and the land that they enclose.

The data is Natural Earth's, in the public domain; see ``OUTLINES.md`` beside this module.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.enums import MergeAlg
from rasterio.features import rasterize

from vadose.errors import UnknownName

Line = npt.NDArray[np.float64]

#: Layers of the bundled file: closed rings of the land at two scales, and lines between countries.
LAYERS = ("coast_110m", "coast_50m", "borders_50m")


@cache
def read_outlines(layer: str) -> tuple[Line, ...]:
    """Read one layer as polylines, each ``(point, 2)`` of longitude and latitude in degrees.

    Raises
    ------
    UnknownName

    Examples
    --------
    >>> ring = read_outlines("coast_110m")[0]
    >>> bool((ring[0] == ring[-1]).all())
    True
    """
    if layer not in LAYERS:
        raise UnknownName("outline", layer, LAYERS)
    source = resources.files("vadose.report") / "outlines.npz"
    with resources.as_file(source) as path, np.load(path, allow_pickle=False) as archive:
        points = np.cumsum(archive[layer], axis=0) / 1000.0
        ends = np.cumsum(archive[f"{layer}_lengths"])
    return tuple(np.split(points, ends[:-1]))


def densified(line: Line, step: float = 1.0) -> Line:
    """Put points on a line so that no two neighbours are further apart than `step` degrees.

    Straight in longitude and latitude, a long segment is bent by most projections. A segment that
    crosses the antimeridian, or that follows the cut of the data along it or along the south pole, is
    no coast: a row of NaN breaks the line there.

    Examples
    --------
    >>> densified(np.array([[0.0, 0.0], [2.0, 0.0]]))
    array([[0., 0.],
           [1., 0.],
           [2., 0.]])
    """
    start, move = line[:-1], np.diff(line, axis=0)
    is_cut = np.abs(move[:, 0]) > 180
    is_cut |= (np.abs(line[:-1, 0]) > 179.98) & (np.abs(line[1:, 0]) > 179.98)
    is_cut |= (line[:-1, 1] < -89.9) | (line[1:, 1] < -89.9)
    parts = np.maximum(np.ceil(np.abs(move).max(axis=1) / step), 1).astype(int)
    parts[is_cut] = 2
    owner = np.repeat(np.arange(len(move)), parts)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(parts) - parts, parts)
    points = start[owner] + move[owner] * (place / parts[owner])[:, None]
    points[is_cut[owner] & (place == 1)] = np.nan
    return np.concatenate([points, line[-1:]])


def land_raster(
    region: tuple[float, float, float, float], shape: tuple[int, int], layer: str = "coast_50m"
) -> npt.NDArray[np.bool_]:
    """Tell for the cells of a longitude/latitude raster whether their centre is on land.

    Parameters
    ----------
    region
        West, south, east, north in degrees.
    shape
        Rows (north to south) and columns.
    layer
        Which coastline.

    Examples
    --------
    >>> land_raster((-180, 0, 180, 90), (1, 4), "coast_110m")  # two oceans, Caucasus, Ussuri
    array([[False, False,  True,  True]])
    """
    west, south, east, north = region
    rings = [
        {"type": "Polygon", "coordinates": [shifted.tolist()]}
        for ring in read_outlines(layer)
        for shifted in _unwrapped(ring, region)
    ]
    if not rings:
        return np.zeros(shape, bool)
    step = Affine((east - west) / shape[1], 0, west, 0, (south - north) / shape[0], north)
    layers = rasterize(
        rings, out_shape=shape, transform=step, merge_alg=MergeAlg.add, dtype="uint8"
    )
    return np.asarray(layers % 2 == 1)  # a lake's ring lies inside the ring of its land


def _unwrapped(ring: Line, region: tuple[float, float, float, float]) -> list[Line]:
    """Make a ring continuous over the antimeridian and give its copies that reach the region."""
    west, south, east, north = region
    longitude = np.unwrap(ring[:, 0], period=360.0)
    points = np.column_stack([longitude, ring[:, 1]])
    if abs(longitude[-1] - longitude[0]) > 180:  # around the pole: Antarctica
        points = np.concatenate([points, [[longitude[-1], -90.0], [longitude[0], -90.0]]])
    (left, bottom), (right, top) = points.min(axis=0), points.max(axis=0)
    if not (bottom < north and top > south):
        return []
    turns = [turn for turn in (-360, 0, 360) if left + turn < east and right + turn > west]
    return [points + np.array([turn, 0]) for turn in turns]
