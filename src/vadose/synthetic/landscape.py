"""The ground that does not change: terrain, soil, land cover and the paths that water takes.

References
----------
Beven & Kirkby (1979), Hydrol. Sci. Bull. 24:43 (topographic wetness index).
Cosby et al. (1984), Water Resour. Res. 20:682 (hydraulic properties from texture).
Planchon & Darboux (2002), Catena 46:159 (filling of depressions).
Quinn et al. (1991), Hydrol. Process. 5:59 (flow to all downhill neighbours).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse, spatial

from vadose.schema import IGBP
from vadose.synthetic.randomness import Field, rough_field, stream

#: Side of a fine cell in m, for slopes; the true side differs by 0.1 %.
CELL = 1000.0

#: Sand, silt and clay in % of six common soils: sandy, loamy, silty and clayey.
SOILS = np.array(
    [[64, 24, 12], [56, 30, 14], [42, 40, 18], [26, 56, 18], [36, 38, 26], [32, 36, 32]],
    dtype="f8",
)

#: Matric heads in mm at which soil holds water against gravity, and at which plants wilt.
FIELD_CAPACITY_HEAD, WILTING_HEAD, AIR_DRY_HEAD = 3.3e3, 1.5e5, 1.0e7

#: Gradient at which hillslopes conduct as their soil does, and the part of that which sinks anywhere.
TYPICAL_GRADIENT, SINKING = 0.03, 0.25


@dataclass(frozen=True)
class Cover:
    """Describe what grows in one land-cover class.

    Attributes
    ----------
    ndvi
        Of the full, unstressed canopy.
    evergreen
        Share of the canopy that stays in winter.
    resistance
        Aerodynamic resistance in s m⁻¹; rough canopies shed heat easily.
    """

    ndvi: float
    evergreen: float
    resistance: float


COVERS = {
    IGBP.code("mixed_forests"): Cover(0.86, 0.5, 18.0),
    IGBP.code("deciduous_broadleaf_forests"): Cover(0.90, 0.1, 18.0),
    IGBP.code("permanent_wetlands"): Cover(0.68, 0.1, 50.0),
    IGBP.code("croplands"): Cover(0.68, 0.0, 50.0),
    IGBP.code("grasslands"): Cover(0.60, 0.1, 60.0),
    IGBP.code("open_shrublands"): Cover(0.40, 0.3, 65.0),
    IGBP.code("barren"): Cover(0.18, 0.0, 80.0),
}


@dataclass(frozen=True)
class Landscape:
    """Hold the static fields, dims ``y, x``; names and units of `vadose.schema.VARIABLES`.

    Attributes
    ----------
    porosity, field_capacity, wilting_point, air_dry
        Volumetric water contents in m³ m⁻³.
    conductivity
        Saturated hydraulic conductivity in mm day⁻¹.
    retention
        Exponent *b* of Clapp & Hornberger (1978), 1.
    full_ndvi, evergreen, resistance
        Of the land cover, see `Cover`.
    mobility
        Ease with which water leaves the root zone, sideways and down, against typical ground, 1.
    lateral_share
        Share of the water leaving the root zone that moves downhill rather than down, 1.
    downhill
        Sparse matrix (cells, cells): row *i* tells how cell *i* shares its lateral water.
    """

    elevation: Field
    slope: Field
    topographic_wetness_index: Field
    sand: Field
    silt: Field
    clay: Field
    land_cover: npt.NDArray[np.uint8]
    porosity: Field
    field_capacity: Field
    wilting_point: Field
    air_dry: Field
    conductivity: Field
    retention: Field
    full_ndvi: Field
    evergreen: Field
    resistance: Field
    mobility: Field
    lateral_share: Field
    downhill: sparse.csr_array


def landscape(size: int, seed: int) -> Landscape:
    """Make the landscape of a seed.

    Examples
    --------
    >>> land = landscape(16, seed=0)
    >>> bool(np.allclose(land.sand + land.silt + land.clay, 100))
    True
    """
    elevation = _terrain(stream(seed, "terrain"), size)
    downhill = _downhill(elevation)
    tangent = np.hypot(*np.gradient(elevation, CELL))
    wetness = _wetness_index(elevation, tangent, downhill)
    sand, silt, clay = _texture(stream(seed, "soil"), size, wetness)
    land_cover = _land_cover(stream(seed, "land cover"), elevation, wetness, sand)
    porosity, conductivity, retention, air_entry = hydraulics(sand, clay)
    # Water moves downhill as the gradient drives it (Darcy); outlets of the window let it sink.
    steepness = tangent / TYPICAL_GRADIENT * (downhill.sum(axis=1) > 0).reshape(size, size)

    def content(head: float) -> Field:
        # Retention curve of Clapp & Hornberger (1978): head = air_entry * saturation ** -retention.
        return np.asarray(porosity * (air_entry / head) ** (1 / retention))

    def of_cover(name: str) -> Field:
        values = {code: getattr(cover, name) for code, cover in COVERS.items()}
        return np.asarray(np.vectorize(values.__getitem__, otypes=["f8"])(land_cover))

    return Landscape(
        elevation=elevation,
        slope=np.degrees(np.arctan(tangent)),
        topographic_wetness_index=wetness,
        sand=sand,
        silt=silt,
        clay=clay,
        land_cover=land_cover,
        porosity=porosity,
        field_capacity=content(FIELD_CAPACITY_HEAD),
        wilting_point=content(WILTING_HEAD),
        air_dry=content(AIR_DRY_HEAD),
        conductivity=conductivity,
        retention=retention,
        full_ndvi=of_cover("ndvi"),
        evergreen=of_cover("evergreen"),
        resistance=of_cover("resistance"),
        mobility=steepness + SINKING,
        lateral_share=steepness / (steepness + SINKING),
        downhill=downhill,
    )


def hydraulics(sand: Field, clay: Field) -> tuple[Field, Field, Field, Field]:
    """Give porosity, conductivity, retention exponent and air-entry head of a texture.

    Parameters
    ----------
    sand, clay
        In % by mass.

    Returns
    -------
    tuple of numpy.ndarray
        Porosity (m³ m⁻³), saturated conductivity (mm day⁻¹), Clapp & Hornberger's *b* (1), and head
        (mm, positive), by the regressions in table 5 of Cosby et al. (1984).

    Examples
    --------
    >>> [round(float(value), 2) for value in hydraulics(np.array(40.0), np.array(20.0))]
    [0.44, 325.87, 6.09, 226.99]
    """
    inch_per_hour = 25.4 * 24
    return (
        0.489 - 0.00126 * sand,
        inch_per_hour * 10 ** (0.0153 * sand - 0.884),
        2.91 + 0.159 * clay,
        10 * 10 ** (1.88 - 0.0131 * sand),
    )


def _terrain(rng: np.random.Generator, size: int) -> Field:
    """Draw elevation (m) without closed basins, falling towards the east."""
    scale = np.sqrt(size / 128)  # self-affine: a smaller window has less relief
    tilt = np.linspace(0.5, -0.5, size)[None, :]
    raw = 1400 + scale * (300 * rough_field(rng, size, exponent=3.4) + 900 * tilt)
    # Sediment fills basins until they spill (Planchon & Darboux 2002): the water of every cell then
    # has a way to the border, and drainage forms one network. Uneven steps let rivers wind there.
    rise = rng.uniform(0.1, 3.0, raw.shape)
    filled = np.full_like(raw, np.inf)
    border = np.ones(raw.shape, dtype=bool)
    border[1:-1, 1:-1] = False
    filled[border] = raw[border]
    while True:
        spilled = ndimage.minimum_filter(filled, size=3, mode="nearest") + rise
        lowered = np.where(border, raw, np.maximum(raw, np.minimum(filled, spilled)))
        if np.array_equal(lowered, filled):
            return np.asarray(filled)
        filled = lowered


def _downhill(elevation: Field) -> sparse.csr_array:
    """Share the flow of each cell among its lower neighbours by gradient; outlets have empty rows."""
    rows, columns = elevation.shape
    number = np.arange(rows * columns).reshape(rows, columns)
    sources, targets, weights = [], [], []
    for down, right in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        here = (
            slice(max(0, -down), rows - max(0, down)),
            slice(max(0, -right), columns - max(0, right)),
        )
        there = (
            slice(max(0, down), rows - max(0, -down)),
            slice(max(0, right), columns - max(0, -right)),
        )
        gradient = (elevation[here] - elevation[there]) / np.hypot(down, right)
        is_lower = gradient > 0
        sources.append(number[here][is_lower])
        targets.append(number[there][is_lower])
        # The power gathers flow in channels (Freeman 1991), which a first power lets diverge.
        weights.append(gradient[is_lower] ** 1.1)
    source, weight = np.concatenate(sources), np.concatenate(weights)
    share = weight / np.bincount(source, weights=weight, minlength=number.size)[source]
    entries = (share, (source, np.concatenate(targets)))
    return sparse.coo_array(entries, shape=(number.size, number.size)).tocsr()


def _wetness_index(elevation: Field, tangent: Field, downhill: sparse.csr_array) -> Field:
    """Give ln(a / tan β), a being the area drained per unit contour length, in m."""
    # Each cell drains itself and its share of what is uphill: one linear system, which is triangular
    # once cells are in order of elevation, for water never flows up.
    order = np.argsort(-elevation, axis=None, kind="stable")
    system = sparse.eye_array(elevation.size, format="csr") - downhill.T.tocsr()
    ordered = system[order][:, order].tocsr()
    cells = np.empty(elevation.size)
    cells[order] = sparse.linalg.spsolve_triangular(ordered, np.ones(elevation.size), lower=True)
    area = cells.reshape(elevation.shape) * CELL
    return np.asarray(np.log(area / np.maximum(tangent, 1e-3)))


def _texture(rng: np.random.Generator, size: int, wetness: Field) -> tuple[Field, Field, Field]:
    """Draw sand, silt and clay (%): mapping units with borders, finer soil in the valleys."""
    units = rng.uniform(-10, size + 10, (max(12, (size + 20) ** 2 // 150), 2))
    classes = rng.integers(len(SOILS), size=len(units))
    cells = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), axis=-1)
    # Bent borders, as straight ones would betray the tessellation.
    bend = [4 * rough_field(rng, size, exponent=2.8) for _ in range(2)]
    _, nearest = spatial.cKDTree(units).query(cells + np.stack(bend, axis=-1))
    mixed = ndimage.gaussian_filter(SOILS[classes[nearest]], (0.7, 0.7, 0))
    valley = (wetness - wetness.mean()) / wetness.std()
    local = 0.12 * rough_field(rng, size, exponent=2.0)
    parts = mixed * np.exp(
        np.stack([-0.15 * valley + local, 0 * valley, 0.1 * valley - local], axis=-1)
    )
    percent = 100 * parts / parts.sum(axis=-1, keepdims=True)
    return percent[..., 0], percent[..., 1], percent[..., 2]


def _land_cover(
    rng: np.random.Generator, elevation: Field, wetness: Field, sand: Field
) -> npt.NDArray[np.uint8]:
    """Draw IGBP codes: what grows follows water, soil and height, in patches."""
    size = len(elevation)
    patches = rough_field(rng, size, exponent=2.8)
    valley, height, drought = (
        (field - field.mean()) / field.std() for field in (wetness, elevation, sand)
    )
    suitability = 0.35 * valley + 0.4 * height - 0.6 * drought + patches
    # Ranks, not values: the shares are the same in every world, and forest never fills one.
    rank = _rank(suitability)
    names = ["barren", "open_shrublands", "grasslands", "croplands", "deciduous_broadleaf_forests"]
    codes = np.array([IGBP.code(name) for name in names], dtype=np.uint8)
    cover = codes[np.searchsorted([0.06, 0.22, 0.55, 0.78], rank)]
    is_forest = rank > 0.78
    cover[is_forest & (_rank(elevation) > 0.7)] = IGBP.code("mixed_forests")
    cover[~is_forest & (_rank(wetness) > 0.985)] = IGBP.code("permanent_wetlands")
    return np.asarray(cover)


def _rank(field: Field) -> Field:
    """Give the share of cells below each cell, 0 to 1."""
    order = np.argsort(field, axis=None, kind="stable")
    rank = np.empty(field.size)
    rank[order] = (np.arange(field.size) + 0.5) / field.size
    return rank.reshape(field.shape)
