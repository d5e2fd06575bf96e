"""A station meets the cell that contains it and the days that a stamp stands for."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox

import vadose.synthetic
from vadose.errors import CubeProblem, NoOverlap, ValueProblem
from vadose.grids import coordinates, grid_of, latlon, lonlat, named_grid
from vadose.validate.match import at_stations, find_cells, match_times


@pytest.fixture(scope="module")
def world() -> vadose.synthetic.World:
    return vadose.synthetic.world(size=32, days=20, factor=4, seed=0)


def stations_at(longitude: object, latitude: object, times: object = ("2019-07-01",)) -> xr.Dataset:
    longitude, latitude = np.atleast_1d(longitude), np.atleast_1d(latitude)
    stamps = np.asarray(times, dtype="M8[ns]")
    return xr.Dataset(
        {"soil_moisture": (("station", "time"), np.full((longitude.size, stamps.size), 0.2, "f4"))},
        coords={
            "station": [f"S{place}" for place in range(longitude.size)],
            "lat": ("station", latitude.astype("f8")),
            "lon": ("station", longitude.astype("f8")),
            "time": stamps,
        },
    )


def series(values: object, times: object) -> xr.Dataset:
    stations = stations_at(
        [1.0] * len(np.atleast_2d(values)), [1.0] * len(np.atleast_2d(values)), times
    )
    return stations.assign(soil_moisture=(("station", "time"), np.atleast_2d(values)))


def days(first: str, count: int) -> np.ndarray:
    return (np.datetime64(first) + np.arange(count)).astype("M8[ns]")


def numbered(grid: GeoBox) -> xr.DataArray:
    values = np.arange(grid.shape.y * grid.shape.x, dtype="f4").reshape(grid.shape)
    return xr.DataArray(values, dims=("y", "x"), coords=coordinates(grid), name="soil_moisture")


GRIDS = {
    "EASE2_36km": named_grid("EASE2_36km"),
    "latlon": latlon(1.0),
    "latlon over the seam": latlon(1.0, (170.0, -10.0, 190.0, 10.0)),
    "utm": GeoBox.from_bbox((3e5, 4e6, 5e5, 4.2e6), "EPSG:32631", resolution=10e3, tight=True),
    "polar": GeoBox.from_bbox((-4e6, -4e6, 4e6, 4e6), "EPSG:6931", resolution=250e3, tight=True),
    "sinusoidal": GeoBox.from_bbox(
        (5e6, 2e6, 7e6, 4e6), "+proj=sinu +R=6371007.181 +units=m", resolution=100e3, tight=True
    ),
}


@pytest.mark.parametrize("name", GRIDS)
def test_a_place_within_a_cell_finds_it_in_any_crs(name: str) -> None:
    grid = GRIDS[name]
    rng = np.random.default_rng(0)
    rows, columns = (rng.integers(0, grid.shape[axis], 200) for axis in (0, 1))
    within = rng.uniform(0.02, 0.98, (2, 200))
    x = grid.affine.c + grid.affine.a * (columns + within[0])
    y = grid.affine.f + grid.affine.e * (rows + within[1])
    to_degrees = pyproj.Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform(x, y)
    for turn in (0.0, 360.0):
        found = find_cells(grid, stations_at(np.asarray(longitude) + turn, latitude))
        assert np.array_equal(found[0], rows)
        assert np.array_equal(found[1], columns)


@pytest.mark.parametrize("longitude", [180.0, -180.0, 540.0])
def test_the_seam_belongs_to_the_first_column_of_a_grid_that_goes_round(longitude: float) -> None:
    rows, columns = find_cells(latlon(1.0), stations_at(longitude, 0.5))
    assert (rows[0], columns[0]) == (89, 0)


def test_a_grid_over_the_seam_meets_stations_of_both_hemispheres() -> None:
    grid = GRIDS["latlon over the seam"]
    rows, columns = find_cells(grid, stations_at([-175.5, 175.5, 0.5, 190.0], [0.5] * 4))
    assert columns.tolist() == [14, 5, -1, -1]
    assert rows.tolist() == [9, 9, -1, -1]


def test_a_line_between_cells_belongs_to_the_south_and_east_and_the_outer_edge_to_none() -> None:
    grid = latlon(1.0, (0.0, 0.0, 2.0, 2.0))
    rows, columns = find_cells(grid, stations_at([1.0, 0.0, 2.0, 1.0], [1.0, 2.0, 1.5, 0.0]))
    assert rows.tolist() == [1, 0, -1, -1]
    assert columns.tolist() == [1, 0, -1, -1]


def test_a_station_without_a_place_is_outside() -> None:
    rows, _ = find_cells(latlon(1.0), stations_at([np.nan, 5.0], [5.0, np.nan]))
    assert rows.tolist() == [-1, -1]


def test_values_are_those_of_the_nearest_centre(world: vadose.synthetic.World) -> None:
    """On square cells of a map, the containing cell is the one whose centre is nearest in the map."""
    truth = world.truth["soil_moisture"]
    taken = at_stations(truth, world.stations)
    grid = grid_of(truth)
    to_map = pyproj.Transformer.from_crs("EPSG:4326", str(grid.crs), always_xy=True)
    x, y = to_map.transform(world.stations["lon"].values, world.stations["lat"].values)
    for place, (east, north) in enumerate(zip(x, y, strict=True)):
        expected = truth.sel(x=east, y=north, method="nearest")
        assert np.array_equal(taken[place], expected)
    assert taken.dims == ("station", "time")
    assert taken.dtype == np.float32
    assert np.array_equal(taken["station"], world.stations["station"])
    assert {"lat", "lon", "network"} <= set(taken.coords)
    assert not {"y", "x", "spatial_ref"} & set(taken.coords)


def test_stations_outside_are_gaps(world: vadose.synthetic.World) -> None:
    stations = world.stations.copy(deep=True)
    stations["lat"].values[:3] = -40.0
    taken = at_stations(world.truth["soil_moisture"], stations)
    assert taken[:3].isnull().all()
    assert taken[3:].notnull().all()


def test_a_lazy_field_stays_lazy_and_in_any_chunks_is_the_same(
    world: vadose.synthetic.World,
) -> None:
    truth = world.truth["soil_moisture"]
    expected = at_stations(truth, world.stations)
    for chunks in ({"time": 7, "y": 5, "x": 32}, {"time": -1, "y": 16, "x": 3}):
        lazy = at_stations(truth.chunk(chunks).transpose("x", "time", "y"), world.stations)
        assert lazy.chunks is not None
        assert lazy.compute().identical(expected)


def test_only_chunks_with_stations_are_read(world: vadose.synthetic.World) -> None:
    truth = world.truth["soil_moisture"]
    longitude, latitude = lonlat(grid_of(truth))
    stations = stations_at([longitude[1, 1], 0.0], [latitude[1, 1], 0.0])
    read = []

    def watch(block: np.ndarray, block_info: dict[int, dict[str, object]]) -> np.ndarray:
        read.append(tuple(block_info[0]["chunk-location"]))
        return block

    lazy = truth.chunk({"time": 10, "y": 8, "x": 8})
    lazy = lazy.copy(data=lazy.data.map_blocks(watch, dtype="f4", meta=np.empty((0, 0, 0), "f4")))
    at_stations(lazy, stations).compute()
    assert {location[1:] for location in read} == {(0, 0)}


def test_a_static_field_is_repeated(world: vadose.synthetic.World) -> None:
    still = world.truth["soil_moisture"].isel(time=3)
    taken = at_stations(still, world.stations)
    assert taken.sizes == {"station": 12, "time": 20}
    expected = at_stations(world.truth["soil_moisture"], world.stations)[:, 3].values
    assert (taken.values == expected[:, None]).all()
    assert np.array_equal(taken["time"], world.stations["time"])


def test_no_station_in_the_grid_names_both_boxes() -> None:
    field = numbered(latlon(1.0, (0.0, 40.0, 10.0, 50.0)))
    with pytest.raises(NoOverlap) as caught:
        at_stations(field, stations_at([100.0, 104.0], [30.0, 35.0]))
    assert str(caught.value) == (
        "stations: found none in the grid: they lie in (100, 30, 104, 35), the grid in (0, 40, 10, 50), "
        "expected west, south, east, north in degrees that meet."
    )


def test_the_box_of_a_map_round_the_pole_holds_the_pole() -> None:
    with pytest.raises(NoOverlap, match=r"the grid in \(-1[78].*, 37\.\d+, 180, 90\)"):
        at_stations(numbered(GRIDS["polar"]), stations_at(0.0, -45.0))


def test_an_ensemble_is_refused(world: vadose.synthetic.World) -> None:
    members = world.truth["soil_moisture"].expand_dims(member=2)
    with pytest.raises(CubeProblem, match=r"soil_moisture: found dimensions \('member', 'time'"):
        at_stations(members, world.stations)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda s: s.drop_vars("soil_moisture"), "found none, expected soil_moisture with dims"),
        (lambda s: s.rename(station="sensor"), "Choose a layer with vadose.products.stations"),
        (lambda s: s.drop_vars("lat"), "found no coordinate lat, expected"),
        (lambda s: s.isel(time=[1, 0]), "found stamps that do not increase"),
        (lambda s: s.isel(time=[1, 1]), "found stamps that do not increase"),
    ],
)
def test_what_is_not_stations_is_refused(fault: object, words: str) -> None:
    stations = fault(stations_at(1.0, 1.0, days("2019-07-01", 3)))  # type: ignore[operator]
    with pytest.raises(CubeProblem, match=words):
        at_stations(numbered(latlon(1.0)), stations)
    with pytest.raises(CubeProblem, match=words):
        match_times(stations, ["2019-07-01"])


# --- times ---


def test_daily_readings_keep_every_bit(world: vadose.synthetic.World) -> None:
    readings = world.stations["soil_moisture"]
    matched = match_times(world.stations, readings["time"].values)
    assert matched.dims == ("station", "time")
    assert matched.attrs == readings.attrs
    assert np.array_equal(matched.astype("f4"), readings, equal_nan=True)


def test_days_without_a_reading_are_gaps() -> None:
    stations = series([0.1, np.nan, 0.3], days("2019-07-01", 3))
    matched = match_times(stations, days("2019-06-30", 6))
    assert np.allclose(matched, [[np.nan, 0.1, np.nan, 0.3, np.nan, np.nan]], equal_nan=True)


@pytest.mark.parametrize(
    ("minimum_days", "expected"),
    [(1, [0.2, 0.5, 0.5]), (2, [0.2, np.nan, np.nan]), (3, [np.nan, np.nan, np.nan])],
)
def test_an_interval_begins_with_its_stamp(minimum_days: int, expected: list[float]) -> None:
    """Of 4 days the third has no reading; stamps on days 1, 3 and 4 stand for 3 days each."""
    stations = series([0.1, 0.3, np.nan, 0.5], days("2019-07-01", 4))
    stamps = days("2019-07-01", 4)[[0, 2, 3]]
    matched = match_times(stations, stamps, days=3, minimum_days=minimum_days)
    assert np.allclose(matched, [expected], equal_nan=True)


def test_intervals_are_those_of_a_plain_computation() -> None:
    rng = np.random.default_rng(0)
    times = days("2019-07-01", 60)
    values = rng.random((300, 60))
    values[rng.random(values.shape) < 0.4] = np.nan
    stamps = days("2019-06-25", 70)[::3]
    matched = match_times(series(values, times), stamps, days=8, minimum_days=4)
    for column, stamp in enumerate(stamps):
        is_in = (times >= stamp) & (times < stamp + np.timedelta64(8, "D"))
        for row in range(0, 300, 37):
            known = values[row, is_in]
            known = known[~np.isnan(known)]
            expected = known.mean() if known.size >= 4 else np.nan
            assert np.isclose(matched[row, column], expected, rtol=1e-12, equal_nan=True)


def test_a_day_with_few_readings_weighs_as_much_as_another() -> None:
    hours = np.datetime64("2019-07-01", "h") + np.array([0, 6, 12, 18, 24])
    stations = series([0.1, 0.1, 0.1, 0.1, 0.3], hours)
    assert match_times(stations, ["2019-07-01"], days=2).item() == pytest.approx(0.2)
    assert match_times(stations, ["2019-07-01T06:00"]).item() == pytest.approx(0.15)


def test_stamps_within_the_day_are_not_matched_with_the_next_day() -> None:
    stations = series([0.1, 0.2], days("2019-07-01", 2))
    with pytest.raises(ValueProblem) as caught:
        match_times(stations, ["2019-07-01T06:00"])
    assert "stamps within the day (2019-07-01T06:00) against daily stations" in str(caught.value)
    assert "vadose.cubes.timeline.to_daily" in str(caught.value)


def test_no_day_in_common_names_both_periods() -> None:
    stations = series([0.1, 0.2], days("2019-07-01", 2))
    with pytest.raises(NoOverlap) as caught:
        match_times(stations, days("2015-04-01", 10))
    assert str(caught.value) == (
        "stations: found no day in common: stations 2019-07-01 to 2019-07-02, product 2015-04-01 to "
        "2015-04-10, expected periods that meet."
    )
    with pytest.raises(NoOverlap, match="product none"):
        match_times(stations, days("2015-04-01", 0))


@pytest.mark.parametrize(
    "numbers", [{"days": 0}, {"days": 2, "minimum_days": 3}, {"minimum_days": 0}]
)
def test_numbers_of_days_out_of_range_are_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(ValueProblem, match="expected 1 <= minimum_days <= days"):
        match_times(series([0.1], days("2019-07-01", 1)), ["2019-07-01"], **numbers)
