"""The day, the year and what training stations say that day become variables of a cube."""

from __future__ import annotations

import numpy as np
import pytest

import vadose.synthetic
from vadose.downscale.conditions import add_conditions
from vadose.downscale.direct import Direct
from vadose.errors import CubeProblem
from vadose.models import RandomForest
from vadose.models.diffusion import find_conditions
from vadose.models.diffusion.conditions import CONDITIONS
from vadose.schema import check_cube, check_values

STATISTICS = ["station_mean", "station_sd", "station_lower_quartile", "station_upper_quartile"]


@pytest.fixture(scope="module")
def world() -> vadose.synthetic.World:
    return vadose.synthetic.world(size=16, days=8, factor=4, seed=0, start="2019-12-28")


def test_the_day_and_year_are_those_of_the_calendar(world: vadose.synthetic.World) -> None:
    cube = check_cube(add_conditions(world.predictors))
    assert cube["day_of_year"][:, 0, 0].values.tolist() == [362, 363, 364, 365, 1, 2, 3, 4]
    assert cube["year"][:, 3, 2].values.tolist() == [2019] * 4 + [2020] * 4
    assert not set(STATISTICS) & set(cube.data_vars)


def test_statistics_are_those_of_the_readings_and_too_few_are_missing(
    world: vadose.synthetic.World,
) -> None:
    stations = world.stations["soil_moisture"].copy()
    stations[2:, 3] = np.nan
    stations[:, 5] = np.nan
    stations[4, 0] = np.nan
    cube = check_values(check_cube(add_conditions(world.coarse, stations=stations)))
    readings = stations[:, 0].values[np.isfinite(stations[:, 0])]
    expected = [readings.mean(), readings.std(), *np.quantile(readings, [0.25, 0.75])]
    told = [float(cube[name][0, 1, 1]) for name in STATISTICS]
    assert told == pytest.approx(expected, rel=1e-5)
    is_missing = cube["station_missing"][:, 0, 0].values.astype(bool)
    few = np.isfinite(stations).sum("station").values < 3
    assert few[[3, 5]].all()
    np.testing.assert_array_equal(is_missing, few)
    assert float(cube["station_mean"].where(cube["station_missing"] == 1).max()) == 0


def test_every_condition_of_the_model_is_at_hand(world: vadose.synthetic.World) -> None:
    cube = add_conditions(world.coarse, stations=world.stations["soil_moisture"])
    names = ["day_of_year", "year", *STATISTICS, "station_missing"]
    assert set(find_conditions(names)) == set(CONDITIONS) - {"longitude", "latitude"}
    direct = Direct(RandomForest(trees=2), names).fit(cube)
    fine = add_conditions(world.predictors, stations=world.stations["soil_moisture"])
    assert direct.predict(fine, cube)["soil_moisture"].notnull().all()


def test_a_cube_without_time_has_no_day(world: vadose.synthetic.World) -> None:
    with pytest.raises(CubeProblem, match="expected time, y, x, for the day"):
        add_conditions(world.coarse.isel(time=0, drop=True))
