"""Conditions of the ground under which "soil moisture" means something else: frost, snow, permanent ice.

Satellites do not see water in frozen soil, and ice sheets have none. Products are masked there on both sides
before they are compared, or scored apart.
"""

from __future__ import annotations

from collections.abc import Collection

import xarray as xr

#: K; below, water at the surface is ice.
FREEZING = 273.15
#: kg m-2 of water in snow from which on the ground is called covered.
SNOW = 5.0
#: Share of a cell under permanent snow and ice from which on it is called so.
ICE = 0.5

#: Variables that say how warm the surface is; the first that is there does.
TEMPERATURES = ("land_surface_temperature", "soil_temperature", "air_temperature")
SNOW_VARIABLE = "snow_water_equivalent"
ICE_VARIABLE = "land_cover_permanent_snow_and_ice"

#: Strata by name, in words.
TITLES = {
    "unfrozen": "unfrozen, free of snow and ice",
    "frozen": "surface below 273.15 K",
    "snow": "snow of 5 kg m⁻² or more",
    "permanent_ice": "permanent snow and ice",
}


def ground_variables(names: Collection[str]) -> list[str]:
    """Give those of some variables that tell of the ground.

    Examples
    --------
    >>> ground_variables(["elevation", "air_temperature", "land_surface_temperature"])
    ['land_surface_temperature']
    """
    warmth = [name for name in TEMPERATURES if name in names][:1]
    return warmth + [name for name in (SNOW_VARIABLE, ICE_VARIABLE) if name in names]


def ground_strata(cube: xr.Dataset) -> dict[str, xr.DataArray]:
    """Tell where the ground is frozen, under snow or ice, and where none of it.

    Parameters
    ----------
    cube
        Fine predictors, dims ``[time,] y, x``, conventional units. Of temperatures the surface's is asked
        before the soil's and the air's.

    Returns
    -------
    dict
        By name, see `TITLES`, booleans ``[time,] y, x``: ``unfrozen`` where no condition that is known
        holds and none is NaN, and one for each condition that the cube tells of. Empty where it tells of
        none.

    Examples
    --------
    >>> warmth = xr.DataArray([[270.0, 280.0, float("nan")]], dims=("y", "x"))
    >>> found = ground_strata(xr.Dataset({"land_surface_temperature": warmth}))
    >>> found["frozen"].values, found["unfrozen"].values
    (array([[ True, False, False]]), array([[False,  True, False]]))
    """
    holds: dict[str, xr.DataArray] = {}
    free: xr.DataArray | None = None
    for name in ground_variables([str(name) for name in cube.data_vars]):
        values = cube[name]
        if name == SNOW_VARIABLE:
            key, here, away = "snow", values >= SNOW, values < SNOW
        elif name == ICE_VARIABLE:
            key, here, away = "permanent_ice", values >= ICE, values < ICE
        else:
            key, here, away = "frozen", values < FREEZING, values >= FREEZING
        holds[key] = here
        free = away if free is None else free & away
    return {} if free is None else {"unfrozen": free, **holds}
