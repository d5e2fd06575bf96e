"""A station is compared with its cell, with the nearest centre or with a footprint, on any grid."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.errors import CubeProblem, NoOverlap, ValueProblem
from vadose.grids import cell_area, coordinates, latlon, lonlat, named_grid
from vadose.validate.match import at_stations
from vadose.validate.spaces import ContainingCell, Footprint, NearestCentre

GRIDS = {
    "latlon": latlon(0.1, (0.0, 40.0, 3.0, 43.0)),
    "over the seam": latlon(0.1, (178.0, -2.0, 182.0, 2.0)),
    "round the earth": latlon(1.0),
    "EASE2_36km": named_grid("EASE2_36km"),
    "utm": GeoBox.from_bbox((3e5, 4e6, 5e5, 4.2e6), "EPSG:32631", resolution=10e3, tight=True),
    "sinusoidal": GeoBox.from_bbox(
        (5e6, 2e6, 7e6, 4e6), "+proj=sinu +R=6371007.181 +units=m", resolution=50e3, tight=True
    ),
}


def field_on(grid: GeoBox, steps: int = 2) -> xr.DataArray:
    values = np.random.default_rng(0).random((steps, *grid.shape)).astype("f4")
    times = np.arange("2019-07-01", f"2019-07-{steps + 1:02d}", dtype="M8[D]").astype("M8[ns]")
    return xr.DataArray(
        values, dims=("time", "y", "x"), coords={"time": times, **coordinates(grid)}, name="water"
    )


def stations_at(longitude: np.ndarray, latitude: np.ndarray) -> xr.Dataset:
    times = np.array(["2019-07-01", "2019-07-02"], "M8[ns]")
    return xr.Dataset(
        {"soil_moisture": (("station", "time"), np.full((longitude.size, 2), 0.2))},
        coords={"lat": ("station", latitude), "lon": ("station", longitude), "time": times},
    )


def some_places(grid: GeoBox, seed: int = 1, count: int = 6) -> xr.Dataset:
    """Draw places near the centres of cells, those of the outer columns among them."""
    rng = np.random.default_rng(seed)
    longitude, latitude = lonlat(grid)
    height, width = grid.shape
    rows = rng.integers(height // 4, height - height // 4, count)
    columns = np.array([0, width - 1, *rng.integers(0, width, count - 2)])
    step = 0.3 * np.abs(np.diff(latitude[:, 0])).mean()
    return stations_at(
        longitude[rows, columns] + step * rng.random(count),
        latitude[rows, columns] + step * rng.random(count),
    )


def distances(grid: GeoBox, longitude: float, latitude: float) -> np.ndarray:
    """Measure to all centres in km on the sphere, by another library."""
    east, north = lonlat(grid)
    sphere = pyproj.Geod(a=6371008.8, b=6371008.8)
    near = [np.full(east.size, one) for one in (longitude, latitude)]
    return sphere.inv(*near, east.ravel(), north.ravel())[2].reshape(east.shape) / 1000


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("shape", ["disc", "gaussian"])
def test_a_footprint_is_the_weighted_mean_of_a_plain_search(name: str, shape: str) -> None:
    grid = GRIDS[name]
    field, stations = field_on(grid), some_places(grid)
    size = 2.2 * np.sqrt(float(cell_area(grid).mean())) / 1000
    way = Footprint(size, shape)  # type: ignore[arg-type]
    is_reached = way.reaches(grid, stations)
    assert is_reached.any()
    found = way.take(field, stations)
    for place in np.flatnonzero(is_reached):
        distance = distances(grid, float(stations["lon"][place]), float(stations["lat"][place]))
        weight = cell_area(grid).values * (distance <= size)
        if shape == "gaussian":
            deviation = size / 2.3548200450309493
            weight = cell_area(grid).values * np.exp(-((distance / deviation) ** 2) / 2)
            weight[distance > 2.8 * deviation] = 0
        expected = (field.values * weight).sum(axis=(1, 2)) / weight.sum()
        assert np.allclose(found[place], expected, rtol=1e-6)
    assert np.isnan(found.values[~is_reached]).all()


@pytest.mark.parametrize("name", GRIDS)
def test_the_nearest_centre_is_that_of_a_plain_search(name: str) -> None:
    grid = GRIDS[name]
    field, stations = field_on(grid), some_places(grid, seed=2)
    found = NearestCentre(within=300.0).take(field, stations)
    for place in range(stations.sizes["station"]):
        distance = distances(grid, float(stations["lon"][place]), float(stations["lat"][place]))
        expected = field.values.reshape(2, -1)[:, distance.argmin()]
        assert np.array_equal(found[place], expected)


def test_a_station_just_outside_has_a_nearest_centre_but_no_cell() -> None:
    grid = GRIDS["latlon"]
    stations = stations_at(np.array([-0.02, -5.0, 1.0]), np.array([41.0, 41.0, 41.0]))
    field = field_on(grid)
    assert NearestCentre(10.0).reaches(grid, stations).tolist() == [True, False, True]
    assert ContainingCell().reaches(grid, stations).tolist() == [False, False, True]
    assert Footprint(10.0).reaches(grid, stations).tolist() == [False, False, True]
    taken = NearestCentre(10.0).take(field, stations)
    assert np.isfinite(taken[0]).all()
    assert np.isnan(taken[1]).all()


def test_the_containing_cell_is_that_of_at_stations() -> None:
    grid = GRIDS["EASE2_36km"]
    field, stations = field_on(grid), some_places(grid)
    assert ContainingCell().take(field, stations).identical(at_stations(field, stations))


@pytest.mark.parametrize(("min_valid", "is_given"), [(0.4, True), (0.6, False)])
def test_a_footprint_with_gaps_needs_enough_of_its_weight(min_valid: float, is_given: bool) -> None:
    grid = GRIDS["utm"]
    longitude, latitude = lonlat(grid)
    stations = stations_at(longitude[5:6, 5], latitude[5:6, 5])
    field = field_on(grid)
    # of the cell and its four neighbours three are gaps, which is 60 %
    field.values[0, 5, 4:7] = np.nan
    found = Footprint(12.0, min_valid=min_valid).take(field, stations)
    assert np.isfinite(found[0, 0].item()) == is_given
    assert np.isfinite(found[0, 1].item())
    if is_given:
        expected = field.values[0, [4, 6], 5].mean()
        assert found[0, 0].item() == pytest.approx(expected, rel=1e-3)


def test_a_static_field_is_repeated() -> None:
    grid = GRIDS["utm"]
    field = field_on(grid).isel(time=0, drop=True)
    for way in (Footprint(15.0), NearestCentre(10.0)):
        taken = way.take(field, some_places(grid))
        assert taken.dims == ("station", "time")
        assert np.array_equal(taken[:, 0], taken[:, 1], equal_nan=True)


def test_what_reaches_nothing_is_refused() -> None:
    grid = GRIDS["utm"]
    away = stations_at(np.array([100.0]), np.array([30.0]))
    with pytest.raises(
        NoOverlap, match="stations: found none with a cell of the grid within reach"
    ):
        Footprint(15.0).take(field_on(grid), away)
    with pytest.raises(ValueProblem, match="footprint: found size 0 km"):
        Footprint(0.0).reaches(grid, away)
    with pytest.raises(ValueProblem, match="within: found -1 km, expected more than 0"):
        NearestCentre(-1.0).reaches(grid, away)
    with pytest.raises(CubeProblem, match=r"water: found dimensions .*member"):
        Footprint(15.0).take(field_on(grid).expand_dims(member=2), away)
