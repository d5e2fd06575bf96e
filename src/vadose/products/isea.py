"""Positions of the SMOS grid points: the icosahedral hexagons ISEA 4H, resolution 9.

SMOS Level 2 files name their 15 km nodes by number only. The number gives one of ten rhombi of the
icosahedron and a row and column of 512 x 512 hexagons in it; Snyder's equal-area projection gives the
place. Coordinates agree with those printed in the products' headers to 0.002 degrees (200 m).

References
----------
Snyder (1992), An equal-area map projection for polyhedral globes, Cartographica 29(1), 10-21.
Sahr, White and Kimerling (2003), Geodesic discrete global grid systems, CaGIS 30(2), 121-134.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from vadose.errors import ValueProblem

Floats = npt.NDArray[np.float64]

#: Hexagons along the side of a rhombus: aperture 4, resolution 9.
SIDE = 512
#: From the centre of a face to its vertex on the sphere; half the angle of a vertex; Snyder table 1.
_VERTEX, _CORNER, _HALF = np.radians([37.37736814064969, 36.0, 30.0])
#: Radius of the plane figure for a unit sphere, from equal areas of the 20 faces.
_RADIUS = np.sqrt(4 * np.pi / (15 * np.sqrt(3))) / np.tan(_VERTEX)
#: First vertex of the icosahedron, degrees; its neighbour lies due north.
_ORIGIN = (11.25, 58.28252559)


def node_positions(numbers: npt.NDArray[np.int_]) -> tuple[Floats, Floats]:
    """Give longitude and latitude of SMOS grid points.

    Parameters
    ----------
    numbers
        ``Grid_Point_ID``: 1 to 9262145.

    Returns
    -------
    longitude, latitude : degrees

    Raises
    ------
    ValueProblem
        A number that names no point.

    Examples
    --------
    >>> longitude, latitude = node_positions(np.array([7119811, 21270]))
    >>> latitude.round(3).tolist()  # as the header of the product has them
    [-87.067, 84.94]
    """
    numbers = np.asarray(numbers, "i8")
    zone = (numbers - 1) // 1_000_000
    # Zone 0 begins with the hexagon of the first vertex, zone 9 ends with that of the last one.
    place = np.where(zone == 0, numbers - 2, (numbers - 1) % 1_000_000)
    is_pole = (numbers == 1) | (numbers == 9_000_001 + SIDE**2)
    is_wrong = ((zone < 0) | (zone > 9) | (place < 0) | (place >= SIDE**2)) & ~is_pole
    if is_wrong.any():
        raise ValueProblem(
            "Grid_Point_ID", found=f"{numbers[is_wrong][0]}", expected="a point of ISEA 4H9"
        )
    points = np.empty((numbers.size, 3))
    points[numbers == 1] = _vertices()[0]
    points[is_pole & (numbers > 1)] = _vertices()[11]
    for quad in np.unique(zone[~is_pole]):
        here = (zone == quad) & ~is_pole
        points[here] = _rhombus_to_sphere(int(quad), place[here] // SIDE, place[here] % SIDE)
    longitude = np.degrees(np.arctan2(points[:, 1], points[:, 0]))
    return longitude, np.degrees(np.arcsin(np.clip(points[:, 2], -1, 1)))


@cache
def _vertices() -> Floats:
    """Give the 12 vertices: the first, the ring around it, the ring around the last, the last."""
    ring = np.radians(72 * np.arange(5))
    height, width = np.sin(np.arctan(0.5)), np.cos(np.arctan(0.5))
    upper = np.stack([width * np.cos(ring), width * np.sin(ring), np.full(5, height)], 1)
    ring = ring + np.radians(36)
    lower = np.stack([width * np.cos(ring), width * np.sin(ring), np.full(5, -height)], 1)
    vertices = np.vstack([[[0, 0, 1.0]], upper, lower, [[0, 0, -1.0]]])
    longitude, latitude = np.radians(_ORIGIN)
    up = np.array(
        [
            np.cos(latitude) * np.cos(longitude),
            np.cos(latitude) * np.sin(longitude),
            np.sin(latitude),
        ]
    )
    north = np.array(
        [
            -np.sin(latitude) * np.cos(longitude),
            -np.sin(latitude) * np.sin(longitude),
            np.cos(latitude),
        ]
    )
    turned: Floats = vertices @ np.stack([north, np.cross(up, north), up])
    return turned


def _rhombus_to_sphere(
    quad: int, row: npt.NDArray[np.int_], column: npt.NDArray[np.int_]
) -> Floats:
    """Place hexagons of one rhombus; its axes stand 120 degrees apart at its own vertex."""
    vertices, k = _vertices(), quad % 5
    upper, lower = vertices[1:6], vertices[6:11]
    if quad < 5:
        origin, across = upper[k], upper[(k + 1) % 5]
        ends = (lower[k], vertices[0])
    else:
        origin, across = lower[k], lower[(k + 1) % 5]
        ends = (vertices[11], upper[(k + 1) % 5])
    right, up = (row - column / 2) / SIDE, column * np.sqrt(3) / 2 / SIDE
    points = np.empty((row.size, 3))
    first = row >= column
    points[first] = _face_to_sphere(right[first], up[first], origin, ends[0], across)
    # The other half, turned by 60 degrees, is a face like the first.
    turned = right / 2 + up * np.sqrt(3) / 2, up / 2 - right * np.sqrt(3) / 2
    points[~first] = _face_to_sphere(turned[0][~first], turned[1][~first], origin, across, ends[1])
    return points


def _face_to_sphere(right: Floats, up: Floats, origin: Floats, east: Floats, top: Floats) -> Floats:
    """Place points of a unit triangle with corners (0, 0), (1, 0) and (1/2, sqrt 3/2)."""
    edge = _RADIUS * np.tan(_VERTEX) * np.sqrt(3)
    distance, azimuth = _inverse_snyder((right - 0.5) * edge, (up - np.sqrt(3) / 6) * edge)
    middle = origin + east + top
    middle = middle / np.linalg.norm(middle)
    ahead = top - middle * (top @ middle)
    ahead = ahead / np.linalg.norm(ahead)
    aside = east - middle * (east @ middle)
    aside = aside - ahead * (aside @ ahead)
    aside = aside / np.linalg.norm(aside)
    heading = np.cos(azimuth)[:, None] * ahead + np.sin(azimuth)[:, None] * aside
    placed: Floats = np.cos(distance)[:, None] * middle + np.sin(distance)[:, None] * heading
    return placed


def _inverse_snyder(right: Floats, up: Floats) -> tuple[Floats, Floats]:
    """Give angular distance and azimuth from the centre of a face (Snyder 1992, eqs 20-27)."""
    radius, azimuth = np.hypot(right, up), np.mod(np.arctan2(right, up), 2 * np.pi)
    third = np.floor(azimuth / np.radians(120)) * np.radians(120)
    plane = azimuth - third
    cotangent, tangent = 1 / np.tan(_HALF), np.tan(_VERTEX)
    area = (_RADIUS * tangent) ** 2 / (2 * (1 / np.tan(np.maximum(plane, 1e-12)) + cotangent))
    sphere = plane.copy()
    for _ in range(8):  # Newton: quadratic, exact to 1e-14 after five steps
        cosine = np.sin(sphere) * np.sin(_CORNER) * np.cos(_VERTEX) - np.cos(sphere) * np.cos(
            _CORNER
        )
        corner = np.arccos(cosine)
        slope = np.cos(sphere) * np.sin(_CORNER) * np.cos(_VERTEX) + np.sin(sphere) * np.cos(
            _CORNER
        )
        excess = sphere + _CORNER + corner - np.pi - area
        sphere = sphere - excess / (1 - slope / np.sin(corner))
    edge = np.arctan(tangent / (np.cos(sphere) + np.sin(sphere) * cotangent))
    reach = _RADIUS * tangent / (np.cos(plane) + np.sin(plane) * cotangent)
    scale = reach / (2 * _RADIUS * np.sin(edge / 2))
    distance = 2 * np.arcsin(np.clip(radius / (2 * _RADIUS * scale), 0, 1))
    return distance, sphere + third
