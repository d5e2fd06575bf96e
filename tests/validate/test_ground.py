"""Frozen ground, snow and ice are told apart from where soil moisture means what it says."""

from __future__ import annotations

import numpy as np
import xarray as xr

from vadose.validate.ground import TITLES, ground_strata, ground_variables

NAN = float("nan")


def cube(**fields: list[float]) -> xr.Dataset:
    return xr.Dataset({name: (("y", "x"), np.array([row])) for name, row in fields.items()})


def test_unfrozen_is_where_no_condition_holds() -> None:
    found = ground_strata(
        cube(
            land_surface_temperature=[260.0, 280.0, 273.15, 290.0],
            snow_water_equivalent=[0.0, 20.0, 4.9, 0.0],
            land_cover_permanent_snow_and_ice=[0.0, 0.0, 0.0, 0.9],
        )
    )
    assert list(found) == ["unfrozen", "frozen", "snow", "permanent_ice"] == list(TITLES)
    told = {name: mask.values[0].tolist() for name, mask in found.items()}
    assert told["unfrozen"] == [False, False, True, False]
    assert told["frozen"] == [True, False, False, False]
    assert told["snow"] == [False, True, False, False]
    assert told["permanent_ice"] == [False, False, False, True]


def test_what_is_not_known_is_neither() -> None:
    found = ground_strata(cube(air_temperature=[NAN, 280.0]))
    assert not found["frozen"].values[0, 0]
    assert not found["unfrozen"].values[0, 0]
    assert found["unfrozen"].values[0, 1]


def test_the_surface_is_asked_before_the_air() -> None:
    names = ["air_temperature", "snow_water_equivalent", "land_surface_temperature"]
    assert ground_variables(names) == ["land_surface_temperature", "snow_water_equivalent"]


def test_a_cube_that_tells_nothing_has_no_strata() -> None:
    assert ground_strata(cube(elevation=[1.0])) == {}
