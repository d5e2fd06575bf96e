"""The water balance of the soil, day by day, with the vegetation and the heat that go with it.

Two layers hold water: the surface, 0-5 cm, which rain wets and the sun dries within days, and the soil
below it down to 1 m, which plants draw on for weeks. Snow holds the winter's. Everything is in mm of
water; `step` closes the balance to rounding:

    storage after − storage before = rain − evaporation − drainage − runoff + lateral

where `lateral` sums to zero over the landscape.

References
----------
Allen et al. (1998), FAO Irrigation and Drainage Paper 56, eq. 8, 11, 13.
Carlson & Ripley (1997), Remote Sens. Environ. 62:241 (vegetation cover from NDVI).
Clapp & Hornberger (1978), Water Resour. Res. 14:601 (conductivity of unsaturated soil).
Lee & Pielke (1992), J. Appl. Meteorol. 31:480 (evaporation from bare soil).
Noilhan & Planton (1989), Mon. Weather Rev. 117:536 (exchange between the layers).
Priestley & Taylor (1972), Mon. Weather Rev. 100:81 (potential evaporation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vadose.synthetic.landscape import Landscape
from vadose.synthetic.randomness import Field
from vadose.synthetic.weather import Sky

#: Thickness of the surface layer and of the soil below it, in mm.
SURFACE, BELOW = 50.0, 950.0
MELTING = 273.15
#: Heat of vaporisation: 1 mm day⁻¹ of evaporation takes this many W m⁻².
LATENT = 28.4
#: NDVI of bare soil and of a closed canopy.
BARE_NDVI, CLOSED_NDVI = 0.12, 0.90
#: Days in which plants follow the water and warmth that they find.
VEGETATION_LAG = 15.0
#: Share of the transpiration that roots take from the surface layer.
SURFACE_ROOTS = 0.12


@dataclass(frozen=True)
class State:
    """Hold what the landscape remembers: water (mm) in each store, and the vigour of plants (0-1)."""

    surface: Field
    below: Field
    snow: Field
    vigour: Field

    @property
    def storage(self) -> Field:
        """Water in all stores, mm."""
        return self.surface + self.below + self.snow

    @property
    def soil_moisture(self) -> Field:
        """Volumetric water content of the surface layer, m³ m⁻³."""
        return self.surface / SURFACE

    @property
    def root_zone_soil_moisture(self) -> Field:
        """Mean volumetric water content from the surface down to 1 m, m³ m⁻³."""
        return (self.surface + self.below) / (SURFACE + BELOW)


@dataclass(frozen=True)
class Day:
    """Hold what a day did: water that moved (mm), and what a sensor above sees.

    Attributes
    ----------
    rain, evaporation, drainage, runoff
        mm; drainage leaves downward, runoff over the surface.
    lateral
        mm gained from uphill less mm given downhill.
    ndvi, ndwi, albedo
        1.
    land_surface_temperature
        K, clear sky, early afternoon.
    is_frozen
        Frost or snow on the ground.
    """

    rain: Field
    evaporation: Field
    drainage: Field
    runoff: Field
    lateral: Field
    ndvi: Field
    ndwi: Field
    albedo: Field
    land_surface_temperature: Field
    is_frozen: npt.NDArray[np.bool_]


def rested(land: Landscape) -> State:
    """Give the state of a soil that nobody has watered for some weeks.

    Examples
    --------
    >>> from vadose.synthetic.landscape import landscape
    >>> land = landscape(16, seed=0)
    >>> bool((rested(land).soil_moisture < land.field_capacity).all())
    True
    """
    content = 0.5 * (land.field_capacity + land.wilting_point)
    nothing = np.zeros_like(content)
    return State(content * SURFACE, content * BELOW, nothing, nothing + 0.3)


def step(state: State, land: Landscape, sky: Sky) -> tuple[State, Day]:
    """Carry the landscape through one day: wet, dry, drain, share, grow.

    Returns
    -------
    State
        At the end of the day.
    Day
        What led there.

    Examples
    --------
    >>> from vadose.synthetic.landscape import landscape
    >>> land = landscape(16, seed=0)
    >>> sky = Sky(np.full((16, 16), 10.0), np.full((16, 16), 290.0), np.full((16, 16), 200.0))
    >>> state, day = step(rested(land), land, sky)
    >>> gain = day.rain - day.evaporation - day.drainage - day.runoff + day.lateral
    >>> bool(np.allclose(state.storage - rested(land).storage, gain))
    True
    """
    warmth = sky.air_temperature - MELTING
    surface_capacity, below_capacity = land.porosity * SURFACE, land.porosity * BELOW

    # Wet. Snow melts at 4 mm per degree and day.
    snowfall = np.where(warmth < 0, sky.precipitation, 0.0)
    melt = np.minimum(state.snow, 4 * np.maximum(warmth, 0))
    snow = state.snow + snowfall - melt
    liquid = sky.precipitation - snowfall + melt
    # A day's rain falls in some hours, and soil takes no more than its conductivity meanwhile.
    infiltration = np.minimum(liquid, land.conductivity / 4)
    surface = state.surface + infiltration
    spill = np.maximum(surface - surface_capacity, 0)
    surface, below = surface - spill, state.below + spill
    excess = np.maximum(below - below_capacity, 0)
    below = below - excess
    runoff = liquid - infiltration + excess

    # Dry.
    ndvi = BARE_NDVI + (land.full_ndvi - BARE_NDVI) * state.vigour
    canopy = ((ndvi - BARE_NDVI) / (CLOSED_NDVI - BARE_NDVI)) ** 2
    snow_cover = snow / (snow + 10)
    albedo = _albedo(land, surface / surface_capacity, canopy, snow_cover)
    net_radiation = (1 - albedo) * sky.radiation - 60.0
    potential = _potential_evaporation(net_radiation, warmth) * (1 - snow_cover)
    top_stress, stress = (
        np.clip((water - land.wilting_point) / (land.field_capacity - land.wilting_point), 0, 1)
        for water in (surface / SURFACE, below / BELOW)
    )
    wetness = np.clip(
        (surface / SURFACE - land.air_dry) / (land.field_capacity - land.air_dry), 0, 1
    )
    from_soil = potential * (1 - canopy) * 0.25 * (1 - np.cos(np.pi * wetness)) ** 2
    from_top = from_soil + potential * canopy * SURFACE_ROOTS * top_stress
    from_top = np.minimum(from_top, np.maximum(surface - land.air_dry * SURFACE, 0))
    from_below = potential * canopy * (1 - SURFACE_ROOTS) * stress
    from_below = np.minimum(from_below, np.maximum(below - land.wilting_point * BELOW, 0))
    evaporation = from_top + from_below
    surface, below = surface - from_top, below - from_below

    # Drain. The layers also draw on each other, within a week, as the drier sucks harder.
    percolation = _drained(surface, surface_capacity, land, land.conductivity)
    suction = 0.15 * SURFACE * land.porosity * (below / below_capacity - surface / surface_capacity)
    surface, below = surface - percolation + suction, below + percolation - suction
    leaving = _drained(below, below_capacity, land, land.conductivity * land.mobility)

    # Share. Water goes to the downhill neighbours day after day, so that in a steady state a cell
    # carries the water of all its upslope area, and wetness follows ln(a / tan β).
    shed = leaving * land.lateral_share
    lateral = (land.downhill.T @ shed.ravel()).reshape(shed.shape) - shed
    drainage = leaving - shed
    below = below + lateral - drainage
    seepage = np.maximum(below - below_capacity, 0)
    below, runoff = below - seepage, runoff + seepage

    # Grow: towards the green that today's warmth and root water would allow.
    season = np.clip(warmth / 14, 0, 1)
    target = (land.evergreen + (1 - land.evergreen) * season) * (0.1 + 0.9 * stress)
    vigour = state.vigour + (target - state.vigour) / VEGETATION_LAG

    temperature = _surface_temperature(sky, land, net_radiation - LATENT * evaporation, snow_cover)
    day = Day(
        rain=sky.precipitation,
        evaporation=evaporation,
        drainage=drainage,
        runoff=runoff,
        lateral=lateral,
        ndvi=ndvi * (1 - snow_cover),
        # Water absorbs in the shortwave infrared, in leaves (Gao 1996) as in soil.
        ndwi=canopy * (0.15 + 0.35 * stress)
        + (1 - canopy) * (0.3 * surface / surface_capacity - 0.3),
        albedo=albedo,
        land_surface_temperature=temperature,
        is_frozen=(warmth < 0) | (snow > 5),
    )
    return State(surface, below, snow, vigour), day


def _drained(water: Field, capacity: Field, land: Landscape, conductivity: Field) -> Field:
    """Give the water (mm) that gravity takes in a day from a layer.

    The drainage rate is K = Ks S^(2b+3) (Clapp & Hornberger 1978); dS/dt = −K / capacity has a closed
    solution, which stays positive however long the day.
    """
    saturation = np.minimum(water / capacity, 1)
    power = 2 * land.retention + 2
    decay = 1 + power * conductivity / capacity * saturation**power
    return np.asarray(water * (1 - decay ** (-1 / power)))


def _potential_evaporation(net_radiation: Field, warmth: Field) -> Field:
    """Give the evaporation (mm day⁻¹) of a wet surface after Priestley & Taylor (1972)."""
    pressure = 0.6108 * np.exp(17.27 * warmth / (warmth + 237.3))  # kPa, FAO 56 eq. 11
    gradient = 4098 * pressure / (warmth + 237.3) ** 2  # FAO 56 eq. 13
    return np.asarray(1.26 * gradient / (gradient + 0.058) * np.maximum(net_radiation, 0) / LATENT)


def _albedo(land: Landscape, saturation: Field, canopy: Field, snow_cover: Field) -> Field:
    """Mix the albedo of soil, canopy and snow; water darkens soil by half (Idso et al. 1975)."""
    soil = (0.22 + 0.0012 * land.sand) * (1 - 0.5 * saturation)
    ground = canopy * 0.17 + (1 - canopy) * soil
    return np.asarray(ground + snow_cover * (0.65 - ground))


def _surface_temperature(sky: Sky, land: Landscape, sensible: Field, snow_cover: Field) -> Field:
    """Give the afternoon temperature (K) at which the ground sheds the heat left by evaporation.

    H = ρ cp (Ts − Ta) / ra, with ρ cp = 1200 J m⁻³ K⁻¹ and an afternoon flux of 2 daily means.
    """
    afternoon_air = sky.air_temperature + 0.02 * sky.radiation
    temperature = afternoon_air + 2 * sensible * land.resistance / 1200
    # Melting holds snow at the melting point.
    return np.asarray(temperature + snow_cover * np.minimum(MELTING - temperature, 0))
