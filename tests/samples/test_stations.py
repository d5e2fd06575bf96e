"""Stations held out: not those beside a station that was learned from."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import xarray as xr

import vadose.synthetic
from vadose.errors import CubeProblem, UnknownName, ValueProblem
from vadose.grids import grid_of
from vadose.samples import leave_network_out, leave_stations_out, straddling
from vadose.samples.blocks import near_places


@pytest.fixture(scope="module")
def world() -> vadose.synthetic.World:
    return vadose.synthetic.world(size=16, days=2, factor=4, stations=30)


def kilometres(stations: xr.Dataset, first: xr.DataArray, second: xr.DataArray) -> np.ndarray:
    """Measure between all stations of two parts, on the ellipsoid."""
    geod = pyproj.Geod(ellps="WGS84")
    one, other = np.flatnonzero(first.values), np.flatnonzero(second.values)
    row, column = (part.ravel() for part in np.meshgrid(one, other, indexing="ij"))
    lon, lat = stations["lon"].values, stations["lat"].values
    return np.asarray(geod.inv(lon[row], lat[row], lon[column], lat[column])[2]) / 1000.0


def test_training_stations_are_far_enough(world: vadose.synthetic.World) -> None:
    stations = world.stations
    near = leave_stations_out(stations, rng=0, folds=5)
    assert kilometres(stations, near.train, near.test).min() < 2.5  # or the rest shows nothing
    parts = leave_stations_out(stations, rng=0, folds=5, distance=2.5)
    for first, second in (("train", "test"), ("train", "validation"), ("validation", "test")):
        assert kilometres(stations, parts.parts[first], parts.parts[second]).min() > 2.48
    assert parts.title == "stations, fold 1 of 5, 2.5 km between training and test"
    np.testing.assert_array_equal(near.test, parts.test)
    assert 0 < parts.train.sum() < near.train.sum()


def test_distances_are_those_of_the_ellipsoid_to_half_a_percent() -> None:
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(-180, 180, 200), rng.uniform(-80, 80, 200)
    chosen = np.arange(200) < 1
    _, _, metres = pyproj.Geod(ellps="WGS84").inv(
        np.full(200, lon[0]), np.full(200, lat[0]), lon, lat
    )
    for distance in (1000.0, 5000.0, 12000.0):
        is_near = near_places(lon, lat, chosen, distance)
        assert is_near[metres / 1000 < 0.993 * distance].all()
        assert not is_near[metres / 1000 > 1.007 * distance].any()


def test_stations_at_one_place_are_not_parted(world: vadose.synthetic.World) -> None:
    twins = xr.concat([world.stations, world.stations], "station")
    for fold in range(3):
        parts = leave_stations_out(twins, rng=0, folds=3, fold=fold)
        for part in parts.parts.values():
            np.testing.assert_array_equal(part[:30], part[30:])


def test_with_two_folds_none_validates(world: vadose.synthetic.World) -> None:
    parts = leave_stations_out(world.stations, rng=0, folds=2)
    assert not parts.validation.any()
    assert int(parts.train.sum()) == int(parts.test.sum()) == 15


def test_a_network_is_held_out(world: vadose.synthetic.World) -> None:
    stations = world.stations
    parts = leave_network_out(stations, "HILLS")
    np.testing.assert_array_equal(parts.test, stations["network"] == "HILLS")
    np.testing.assert_array_equal(parts.train, stations["network"] == "PLAINS")
    assert not parts.validation.any()
    assert parts.title == "network HILLS held out"
    assert len(np.unique(parts.groups)) == 2
    grid = grid_of(world.coarse)
    assert straddling(parts, grid) > 0
    strict = leave_network_out(stations, "HILLS", grid=grid)
    assert straddling(strict, grid) == 0
    np.testing.assert_array_equal(strict.test, parts.test)


def test_what_cannot_be_held_out_is_refused(world: vadose.synthetic.World) -> None:
    stations = world.stations
    with pytest.raises(UnknownName, match=r"network 'HILS'.*Did you mean 'HILLS'"):
        leave_network_out(stations, "HILS")
    with pytest.raises(ValueProblem, match="fold: found 1 and network 'HILLS', expected one of"):
        leave_network_out(stations, "HILLS", fold=1)
    with pytest.raises(ValueProblem, match="fold: found 2, expected 0 to 1"):
        leave_network_out(stations, fold=2)
    with pytest.raises(ValueProblem, match="found 30 places of stations for 31 folds"):
        leave_stations_out(stations, rng=0, folds=31)
    with pytest.raises(ValueProblem, match=r"found \d+ cells with stations for 17 folds"):
        leave_stations_out(stations, rng=0, folds=17, grid=grid_of(world.coarse))
    with pytest.raises(
        ValueProblem, match=r"stations, fold 1 of 5, 500 km .* nothing left to train"
    ):
        leave_stations_out(stations, rng=0, distance=500.0)
    with pytest.raises(ValueProblem, match="distance: found -1, expected 0 or more"):
        leave_stations_out(stations, rng=0, distance=-1.0)
    with pytest.raises(CubeProblem, match=r"also network along station"):
        leave_network_out(stations.drop_vars("network"), "HILLS")
    with pytest.raises(
        CubeProblem, match=r"expected dimension station, with lat and lon.*Choose a"
    ):
        leave_stations_out(world.coarse, rng=0)
    lost = stations.assign_coords(lat=stations["lat"].where(stations["station"] != "S04"))
    with pytest.raises(ValueProblem, match="stations: found no place of S04, expected lat and lon"):
        leave_stations_out(lost, rng=0)
