"""Stations that took part are refused whatever they are called."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from vadose.errors import CubeProblem, ValueProblem
from vadose.synthetic import world
from vadose.synthetic.worlds import World
from vadose.validate.leakage import check_independent, find_dependent, shared_cell_days
from vadose.validate.match import at_stations


@pytest.fixture(scope="module")
def small() -> World:
    return world(size=16, days=10, factor=4, seed=0)


def stations(*rows: tuple[str, str, float, float]) -> xr.Dataset:
    network, name, lat, lon = zip(*rows, strict=True)
    return xr.Dataset(
        coords={
            "station": ("station", np.array(name)),
            "network": ("station", np.array(network)),
            "lat": ("station", np.array(lat)),
            "lon": ("station", np.array(lon)),
        }
    )


OWN = stations(
    ("SCAN", "Kings Creek", 40.0, -100.0),
    ("SCAN", "Harvard", 41.0, -100.0),
    ("OZNET", "Yanco 1", -35.0, 146.0),
    ("OTHER", "Harvard", 50.0, 10.0),
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SCAN/Kings Creek", ["SCAN/Kings Creek"]),
        ("scan/KINGS_CREEK", ["SCAN/Kings Creek"]),
        ("kings-creek", ["SCAN/Kings Creek"]),
        ("Harvard", ["SCAN/Harvard", "OTHER/Harvard"]),
        ("OTHER/Harvard", ["OTHER/Harvard"]),
        ("USCRN/Harvard", []),
        ("Kings", []),
    ],
)
def test_a_station_is_known_by_its_name(name: str, expected: list[str]) -> None:
    found = find_dependent(OWN, {"training": [name]})
    assert [one.station for one in found] == expected
    assert all(one.how == "same name" and one.role == "training" for one in found)


def test_a_station_is_known_by_its_place_under_another_name() -> None:
    near = stations(("COSMOS", "X1", 40.003, -100.0), ("COSMOS", "X2", 41.02, -100.0))
    found = find_dependent(OWN, {"correction": near})
    assert [(one.station, one.how) for one in found] == [("SCAN/Kings Creek", "0.33 km from one")]
    assert len(find_dependent(OWN, {"correction": near}, distance=3.0)) == 2
    assert not find_dependent(OWN, {"correction": near}, distance=0.0)


def test_places_meet_over_the_seam_of_longitudes() -> None:
    own = stations(("A", "a", 60.0, 179.9999), ("A", "b", 60.0, np.nan))
    other = stations(("B", "c", 60.0, -179.9999), ("B", "d", np.nan, 0.0))
    assert [one.station for one in find_dependent(own, {"training": other})] == ["A/a"]


def test_numbers_as_names_are_not_the_same_station_far_away() -> None:
    own = stations(("", "1", 40.0, 0.0), ("", "2", 40.0, 1.0))
    other = stations(("", "1", -30.0, 20.0), ("", "2", 40.05, 1.0))
    assert [one.station for one in find_dependent(own, {"training": other})] == ["2"]


def test_all_that_took_part_are_listed_with_their_roles() -> None:
    used = {"training": ["SCAN/Harvard"], "early stopping": ["Yanco 1"], "statistics": []}
    with pytest.raises(
        ValueProblem,
        match=r"found 2 of 4 that took part: SCAN/Harvard \(training: same name\); "
        r"OZNET/Yanco 1 \(early stopping: same name\), expected stations that the product has not",
    ):
        check_independent(OWN, used)
    check_independent(OWN, {"training": ["SCAN/elsewhere"]})
    check_independent(OWN, {})


def test_a_long_list_is_cut(small: World) -> None:
    used = {"training": small.stations, "statistics": small.stations}
    with pytest.raises(ValueProblem, match=r"found 12 of 12 that took part: .*; and 12 more, exp"):
        check_independent(small.stations, used)


def test_stations_without_names_cannot_be_guarded() -> None:
    with pytest.raises(CubeProblem, match="expected station, the names"):
        check_independent(OWN.drop_vars("station"), {"training": ["a"]})
    with pytest.raises(
        ValueProblem, match=r"stations used for training: found the text 'Harvard', expected a list"
    ):
        check_independent(OWN, {"training": "Harvard"})
    with pytest.raises(ValueProblem, match="distance: found -1, expected 0 km or more"):
        check_independent(OWN, {"training": ["a"]}, distance=-1.0)


def test_shared_cells_and_days_are_counted(small: World) -> None:
    coarse = small.coarse["soil_moisture"]
    trained = coarse.notnull() & (coarse["time"] < coarse["time"][5])
    outside = small.stations.isel(station=[0]).assign_coords(lat=("station", [-10.0]))
    shared = shared_cell_days(xr.concat([small.stations, outside], "station"), trained)
    seen = at_stations(trained.astype("f4"), small.stations).values == 1
    for place in range(12):
        is_read = np.isfinite(small.stations["soil_moisture"].values[place])
        assert int(shared[place]) == int((seen[place] & is_read).sum())
        assert int(shared["n_readings"][place]) == int(is_read.sum())
    assert int(shared[12]) == 0


def test_hourly_readings_are_one_station_day(small: World) -> None:
    trained = small.coarse["soil_moisture"].notnull()
    hours = small.stations["time"].values[:, None] + np.arange(0, 24, 6) * np.timedelta64(1, "h")
    hourly = small.stations.isel(time=np.repeat(np.arange(10), 4)).assign_coords(time=hours.ravel())
    xr.testing.assert_identical(
        shared_cell_days(hourly, trained), shared_cell_days(small.stations, trained)
    )
    always = shared_cell_days(small.stations, trained.any("time"))
    assert (always == always["n_readings"]).all()
    with pytest.raises(CubeProblem, match="trained: found float64 with dims"):
        shared_cell_days(small.stations, trained.astype("f8"))
