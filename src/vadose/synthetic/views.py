"""The truth as others see it on the coarse grid: a satellite with gaps and noise, a land model without.

Every noise is drawn day after day from a stream of its own, so that a longer world begins with the
shorter one, and neither view depends on the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from vadose.schema import ORIGIN, QUALITY
from vadose.synthetic.randomness import Field, rough_field, stream

Cube32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

#: Wetness (m³ m⁻³) below which retrievals do not go, as in SMAP's products.
DRIEST_RETRIEVAL = 0.02
#: NDVI above which the canopy hides the soil from L-band radiometers.
DENSE_NDVI = 0.70
#: Rain (mm day⁻¹) from which water on leaves and soil puts a retrieval in doubt.
HEAVY_RAIN = 10.0


@dataclass(frozen=True)
class Scene:
    """Hold the fine fields that decide what a satellite sees, dims ``time, y, x``."""

    soil_moisture: Cube32
    precipitation: Cube32
    ndvi: Cube32
    is_frozen: Mask


def area_mean(values: npt.NDArray[np.generic], factor: int) -> Field:
    """Average blocks of the last two dims; on an equal-area grid this is the mean over area.

    Examples
    --------
    >>> area_mean(np.arange(16.0).reshape(4, 4), 2)
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    *front, rows, columns = values.shape
    blocks = values.reshape(*front, rows // factor, factor, columns // factor, factor)
    return np.asarray(blocks.mean(axis=(-3, -1), dtype="f8"))


def satellite(
    scene: Scene, factor: int, *, noise: float, seed: int
) -> dict[str, npt.NDArray[np.generic]]:
    """See the scene through an antenna, along an orbit, where soil is neither frozen nor hidden.

    Parameters
    ----------
    scene
        The fine truth.
    factor
        Fine cells along each side of a coarse one.
    noise
        Standard deviation of the retrieval error, m³ m⁻³.
    seed
        Of the world.

    Returns
    -------
    dict of numpy.ndarray
        ``soil_moisture`` (NaN where not observed), ``origin``, ``quality``, ``is_frozen`` and
        ``is_dense_vegetation``, dims ``time, y, x`` on the coarse grid.
    """
    is_frozen = area_mean(scene.is_frozen, factor) > 0.5
    is_dense = area_mean(scene.ndvi > DENSE_NDVI, factor) > 0.5
    retrieved = footprint_mean(scene.soil_moisture, factor)
    retrieved += noise * stream(seed, "satellite noise").standard_normal(retrieved.shape)
    is_seen = swaths(retrieved.shape, stream(seed, "orbit"))
    origin = np.where(is_seen, ORIGIN.code("observed"), ORIGIN.code("missing"))
    origin[is_frozen | is_dense] = ORIGIN.code("masked")
    is_observed = origin == ORIGIN.code("observed")
    doubts = {
        "frozen": is_frozen,
        "dense_vegetation": is_dense,
        "precipitation": is_observed & (area_mean(scene.precipitation, factor) > HEAVY_RAIN),
    }
    quality = np.zeros(origin.shape, dtype="u2")
    for doubt, where in doubts.items():
        quality[where] |= np.uint16(QUALITY.mask(doubt, "not_recommended"))
    return {
        "soil_moisture": np.where(is_observed, np.maximum(retrieved, DRIEST_RETRIEVAL), np.nan),
        "origin": origin.astype("u1"),
        "quality": quality,
        "is_frozen": is_frozen.astype("u1"),
        "is_dense_vegetation": is_dense.astype("u1"),
    }


def footprint_mean(values: Cube32, factor: int) -> Field:
    """Average what an antenna with a Gaussian footprint, about as wide as a cell, sees in a cell."""
    size = values.shape[-1]
    antenna = ndimage.gaussian_filter1d(
        np.eye(size), 0.45 * factor, axis=0, mode="nearest", truncate=3
    )
    # Both steps are linear and act on rows and columns alike: one small matrix does them.
    weights = antenna.reshape(size // factor, factor, size).mean(axis=1)
    # einsum adds in a fixed order, whatever the number of threads, and so gives the same bits.
    rows_done = np.einsum("trc,yr->tyc", values, weights)
    return np.asarray(np.einsum("tyc,xc->tyx", rows_done, weights))


def swaths(shape: tuple[int, ...], rng: np.random.Generator) -> Mask:
    """Tell which cells (dims ``time, y, x``) a polar orbiter passes over each day.

    The orbit repeats after eight days, like that of SMAP, its track leans, and every cell is seen on
    about half of the days. It is scaled to the window, so that small worlds too have swath edges.

    Examples
    --------
    >>> seen = swaths((8, 4, 4), np.random.default_rng(0))
    >>> bool(seen.any(axis=0).all()), bool(seen.all())
    (True, False)
    """
    days, rows, columns = shape
    down, right = np.meshgrid(
        (np.arange(rows) + 0.5) / rows - 0.5,
        (np.arange(columns) + 0.5) / columns - 0.5,
        indexing="ij",
    )
    lean = np.radians(rng.uniform(10, 16))
    across = right * np.cos(lean) + down * np.sin(lean)
    # Tracks are two windows apart and move on by five eighths of that a day (117 orbits in 8 days).
    # The first one crosses the middle: there is no world without an observation.
    centre = 2 * (0.625 * np.arange(days) % 1) + rng.uniform(-0.1, 0.1)
    distance = (across - centre[:, None, None] + 1) % 2 - 1
    return np.asarray(np.abs(distance) < 0.55)


def land_model(
    soil_moisture: Field, root_zone_soil_moisture: Field, seed: int
) -> dict[str, npt.NDArray[np.generic]]:
    """Model the coarse truth as a land model does: everywhere, but smooth, late, weak and biased.

    Parameters
    ----------
    soil_moisture, root_zone_soil_moisture
        Area means of the truth, dims ``time, y, x``, m³ m⁻³.
    seed
        Of the world.

    Returns
    -------
    dict of numpy.ndarray
        The same two, without gaps: 60 and 70 % of the amplitude, days late, 0.05 and 0.03 too wet on
        average, with a fixed pattern of bias (sd 0.015) and weather errors (sd 0.01).
    """
    size = soil_moisture.shape[-1]
    pattern = 0.015 * rough_field(stream(seed, "land model bias"), max(size, 2), exponent=3.0)
    rng = stream(seed, "land model weather")
    error = np.zeros(len(soil_moisture))
    memory = 0.0
    for day in range(len(error)):
        memory = 0.9 * memory + np.sqrt(1 - 0.9**2) * rng.normal(0, 0.01)
        error[day] = memory
    modelled: dict[str, npt.NDArray[np.generic]] = {}
    for name, truth, amplitude, bias, lag in (
        ("soil_moisture", soil_moisture, 0.6, 0.05, 3.0),
        ("root_zone_soil_moisture", root_zone_soil_moisture, 0.7, 0.03, 8.0),
    ):
        smooth = ndimage.gaussian_filter(truth, (0, 1, 1), mode="nearest")
        for day in range(1, len(smooth)):
            smooth[day] = smooth[day - 1] + (smooth[day] - smooth[day - 1]) / lag
        # The amplitude is wrong about a fixed wetness, for a mean would look into the future.
        wrong = 0.22 + amplitude * (smooth - 0.22) + bias
        modelled[name] = wrong + pattern[:size, :size] + error[:, None, None]
    return modelled
