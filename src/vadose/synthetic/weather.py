"""The sky: storms that form, move and fade, air that follows the seasons, and the sun.

References
----------
Allen et al. (1998), FAO Irrigation and Drainage Paper 56, eq. 21-25 (radiation).
Waymire, Gupta & Rodriguez-Iturbe (1984), Water Resour. Res. 20:1453 (rain cells that move and fade).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage, special

from vadose.synthetic.randomness import Field, stream

#: Storms are born up to this many km outside the window and may travel into it.
MARGIN = 60.0
#: Rain below this many mm in a day is none: the tails of a Gaussian would wet every day.
DRIZZLE = 0.2
#: Mean number of storms born per day and 10⁴ km² in a wet spell of mean season.
STORM_DENSITY = 1.8


@dataclass(frozen=True)
class Sky:
    """Hold the weather of one day: rain (mm), air temperature (K) and radiation (W m⁻²)."""

    precipitation: Field
    air_temperature: Field
    radiation: Field


def weather(times: pd.DatetimeIndex, elevation: Field, latitude: float, seed: int) -> Iterator[Sky]:
    """Give the weather day by day.

    Parameters
    ----------
    times
        The days.
    elevation
        Dims ``y, x``, in m: high ground is cooler and catches more rain.
    latitude
        In degrees, for the length of the days.
    seed
        Of the world.

    Yields
    ------
    Sky

    Examples
    --------
    >>> days = pd.date_range("2019-07-01", periods=3)
    >>> [sky.precipitation.shape for sky in weather(days, np.full((8, 8), 900.0), 35.0, seed=0)]
    [(8, 8), (8, 8), (8, 8)]
    """
    rng = stream(seed, "air")
    day_of_year = times.day_of_year.to_numpy()
    season = -np.cos(2 * np.pi * (day_of_year - 20) / 365.25)  # −1 in mid January, 1 in mid July
    radiation = _clear_sky(day_of_year, latitude)
    # Relief as an airstream of some ten km feels it.
    relief = ndimage.gaussian_filter(elevation, 4, mode="nearest")
    lift = np.clip(1 + 0.0005 * (relief - relief.mean()), 0.6, 1.6)
    synoptic = rng.normal(0, 2.5)
    for day, rain in enumerate(_rain(stream(seed, "storms"), season, len(elevation))):
        precipitation = np.where(rain * lift < DRIZZLE, 0.0, rain * lift)
        cloud = rain / (rain + 3)
        # Passing highs and lows: a first-order autoregression with a memory of some four days.
        synoptic = 0.75 * synoptic + rng.normal(0, 2.5 * np.sqrt(1 - 0.75**2))
        yield Sky(
            precipitation=precipitation,
            air_temperature=284.8
            + 11 * season[day]
            + synoptic
            - 2 * cloud
            - 0.0065 * (elevation - 1400),
            radiation=radiation[day] * (1 - 0.6 * cloud),
        )


@dataclass(frozen=True)
class Storm:
    """Describe a moving anisotropic Gaussian of rain.

    Attributes
    ----------
    origin
        Row and column (km) at birth.
    velocity
        Down and right, in km day⁻¹.
    radii
        Long and short, in km.
    direction
        Of the long radius, in radians from the column axis.
    peak
        Rain at the centre, in mm day⁻¹.
    birth, death
        Days since the first.
    """

    origin: tuple[float, float]
    velocity: tuple[float, float]
    radii: tuple[float, float]
    direction: float
    peak: float
    birth: float
    death: float


def _rain(rng: np.random.Generator, season: Field, size: int) -> Iterator[Field]:
    """Give the rain (mm) of each day: what the living storms leave along their tracks."""
    rows, columns = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5, indexing="ij")
    births = STORM_DENSITY * (size + 2 * MARGIN) ** 2 / 1e4
    living: list[Storm] = []
    is_wet_spell = True
    for day, phase in enumerate(season):
        # Two-state Markov chain: spells of about three wet and five dry days, wetter in summer.
        is_wet_spell = rng.random() < (0.65 if is_wet_spell else 0.2 + 0.08 * phase)
        rate = births * (1 + 0.6 * phase) * (1.0 if is_wet_spell else 0.05)
        born = rng.random((rng.poisson(rate), 10))
        living = [storm for storm in living if storm.death > day]
        living += [_storm(draw, day, size) for draw in born]
        rain = np.zeros((size, size))
        for storm in living:
            rain += _track(storm, day, rows, columns)
        yield rain


def _storm(draw: Field, day: int, size: int) -> Storm:
    """Turn ten uniform numbers into a storm."""
    row, column = -MARGIN + draw[:2] * (size + 2 * MARGIN)
    heading, speed = np.radians(70 * (draw[2] - 0.5)), 40 + 120 * draw[3]  # westerlies
    long = 10 + 25 * draw[4]
    birth = day + draw[7]
    return Storm(
        origin=(row, column),
        velocity=(speed * np.sin(heading), speed * np.cos(heading)),
        radii=(long, long * (0.25 + 0.45 * draw[5])),
        direction=np.pi * draw[6],
        peak=-21 * np.log1p(-draw[9]),
        birth=birth,
        death=birth + 0.2 + 1.3 * draw[8],
    )


def _track(storm: Storm, day: int, rows: Field, columns: Field) -> Field:
    """Integrate the moving Gaussian of a storm over a day, in closed form.

    With *p* the way from the storm's birthplace and *v* its velocity, both measured in radii, the
    exponent is quadratic in time, |p − vt|² = |p|² − 2bt + ct², and its integral an error function.
    """
    start = max(day - storm.birth, 0.0)
    end = min(day + 1, storm.death) - storm.birth
    sine, cosine = np.sin(storm.direction), np.cos(storm.direction)
    axes = np.array([[sine, cosine], [cosine, -sine]]) / np.array(storm.radii)[:, None]
    v = axes @ storm.velocity
    down, right = rows - storm.origin[0], columns - storm.origin[1]
    p = [axis[0] * down + axis[1] * right for axis in axes]
    b, c = p[0] * v[0] + p[1] * v[1], float(v @ v)
    closest = p[0] ** 2 + p[1] ** 2 - b**2 / c
    if closest.min() > 25:  # five radii away at best
        return np.zeros_like(rows)
    root = np.sqrt(c / 2)
    span = special.erf((end - b / c) * root) - special.erf((start - b / c) * root)
    return np.asarray(storm.peak * np.exp(-closest / 2) * np.sqrt(np.pi / (2 * c)) * span)


def _clear_sky(day_of_year: Field, latitude: float) -> Field:
    """Give the daily mean shortwave radiation at the ground under a fair sky, in W m⁻²."""
    angle = 2 * np.pi * day_of_year / 365
    distance, declination = 1 + 0.033 * np.cos(angle), 0.409 * np.sin(angle - 1.39)
    here = np.radians(latitude)
    sunset = np.arccos(-np.tan(here) * np.tan(declination))
    outside = (1367 / np.pi) * distance
    sun = sunset * np.sin(here) * np.sin(declination)
    sun = sun + np.cos(here) * np.cos(declination) * np.sin(sunset)
    return np.asarray(0.68 * outside * sun)
