"""The fixture is tested as the code that relies on it: physics as properties, faults as stated."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from vadose import grids, schema
from vadose.errors import FileProblem, GridProblem, ValueProblem
from vadose.synthetic import World, world, write_stations
from vadose.synthetic.bucket import rested, step
from vadose.synthetic.landscape import Landscape, landscape
from vadose.synthetic.randomness import rough_field, stream
from vadose.synthetic.views import DRIEST_RETRIEVAL, area_mean, footprint_mean, swaths
from vadose.synthetic.weather import Sky, weather

SIZE, DAYS, FACTOR = 64, 120, 8
CUBES = ("truth", "predictors", "coarse", "coarse_truth", "land_model")
OBSERVED = schema.ORIGIN.code("observed")


@pytest.fixture(scope="module")
def summer() -> World:
    return world(SIZE, DAYS, FACTOR, seed=3, start="2019-05-01", stations=30)


@pytest.fixture(scope="module")
def winter() -> World:
    return world(32, 60, 4, seed=3, start="2019-12-15", stations=4)


@pytest.fixture(scope="module")
def land() -> Landscape:
    return landscape(32, seed=5)


def spatial_correlation(one: xr.DataArray, other: xr.DataArray) -> float:
    """Mean over days of the correlation over space."""
    return float(xr.corr(one, other, dim=("y", "x")).mean())


class TestCubes:
    @pytest.mark.parametrize("name", CUBES)
    def test_obey_the_schema(self, summer: World, winter: World, name: str) -> None:
        for made in (summer, winter):
            cube = getattr(made, name)
            assert schema.check_values(schema.check_cube(cube)) is cube

    def test_nest(self, summer: World) -> None:
        fine, coarse = grids.grid_of(summer.truth), grids.grid_of(summer.coarse)
        assert grids.nesting(coarse, fine) == {"y": FACTOR, "x": FACTOR}
        assert grids.grid_of(summer.predictors) == fine
        assert grids.grid_of(summer.coarse_truth) == coarse == grids.grid_of(summer.land_model)

    def test_window_is_part_of_the_named_coarse_grid(self) -> None:
        coarse = grids.grid_of(world(72, 1, 36, stations=1).coarse)
        whole = grids.named_grid("EASE2_36km")
        shift = ~whole.affine * (coarse.affine.c, coarse.affine.f)
        np.testing.assert_allclose(shift, np.round(shift), atol=1e-6)
        assert coarse.affine.a == pytest.approx(whole.affine.a)

    def test_lie_where_they_say(self, summer: World) -> None:
        assert float(summer.predictors.longitude.mean()) == pytest.approx(105, abs=1)
        assert float(summer.predictors.latitude.mean()) == pytest.approx(35, abs=1)

    def test_have_all_predictors_without_gaps(self, summer: World) -> None:
        wanted = {
            *("land_surface_temperature", "air_temperature", "ndvi", "ndwi", "albedo"),
            *("precipitation", "evaporation", "elevation", "slope", "topographic_wetness_index"),
            *("sand", "silt", "clay", "land_cover", "longitude", "latitude"),
        }
        assert wanted == set(summer.predictors.data_vars)
        assert not any(summer.predictors[name].isnull().any() for name in wanted)

    def test_carry_depths_and_flags(self, summer: World) -> None:
        assert summer.truth.soil_moisture.attrs["depth_to"] == 0.05
        assert summer.land_model.root_zone_soil_moisture.attrs["depth_to"] == 1.0
        assert "croplands" in summer.predictors.land_cover.attrs["flag_meanings"]
        assert "frozen" in summer.coarse.quality.attrs["flag_meanings"]


class TestRandomness:
    def test_same_seed_gives_same_bits(self) -> None:
        one, same, other = (world(16, 8, 4, seed=seed) for seed in (1, 1, 2))
        for name in (*CUBES, "stations"):
            xr.testing.assert_identical(getattr(one, name), getattr(same, name))
            assert not getattr(one, name).equals(getattr(other, name))

    def test_noise_and_stations_do_not_change_the_rest(self) -> None:
        quiet = world(16, 8, 4, seed=1, noise=0.0, stations=2)
        noisy = world(16, 8, 4, seed=1, noise=0.1, stations=9)
        for name in ("truth", "predictors", "coarse_truth", "land_model"):
            xr.testing.assert_identical(getattr(quiet, name), getattr(noisy, name))
        xr.testing.assert_identical(quiet.coarse.origin, noisy.coarse.origin)

    def test_longer_world_begins_with_the_shorter(self) -> None:
        short, long = (world(16, days, 4, seed=1) for days in (5, 12))
        for name in CUBES:
            first = getattr(long, name).isel(time=slice(0, 5))
            xr.testing.assert_identical(first, getattr(short, name))

    @pytest.mark.parametrize("seed", range(12))
    def test_smallest_worlds_have_an_observation(self, seed: int) -> None:
        assert world(16, 8, 4, seed).coarse.soil_moisture.notnull().any()
        assert world(8, 1, 8, seed).coarse.soil_moisture.notnull().any()

    def test_rough_field_has_the_power_law_of_its_exponent(self) -> None:
        spectra = []
        for draw in range(8):
            field = rough_field(stream(draw, "test"), 64, exponent=3.0)
            # A taper, as the window is cut from a larger period and does not close on itself.
            window = np.hanning(64)
            spectra.append(np.abs(np.fft.fft2(field * np.outer(window, window))) ** 2)
        power = np.mean(spectra, axis=0)
        wavenumber = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64)[None, :])
        middle = (wavenumber > 0.06) & (wavenumber < 0.4)
        slope = np.polyfit(np.log(wavenumber[middle]), np.log(power[middle]), 1)[0]
        assert slope == pytest.approx(-3.0, abs=0.25)


class TestLandscape:
    def test_water_reaches_the_border_from_everywhere(self, land: Landscape) -> None:
        has_outlet = np.asarray(land.downhill.sum(axis=1)).reshape(land.elevation.shape)
        np.testing.assert_allclose(has_outlet[1:-1, 1:-1], 1)

    def test_outlets_drain_the_whole_area(self, land: Landscape) -> None:
        tangent = np.maximum(np.tan(np.radians(land.slope)), 1e-3)
        cells = np.exp(land.topographic_wetness_index) * tangent / 1000
        is_outlet = np.asarray(land.downhill.sum(axis=1)).reshape(cells.shape) == 0
        assert cells[is_outlet].sum() == pytest.approx(cells.size)
        assert cells.min() >= 1 - 1e-9

    def test_texture_adds_up_and_orders_water_contents(self, land: Landscape) -> None:
        np.testing.assert_allclose(land.sand + land.silt + land.clay, 100)
        assert (land.air_dry < land.wilting_point).all()
        assert (land.wilting_point < land.field_capacity).all()
        assert (land.field_capacity < land.porosity).all()

    def test_land_cover_has_several_classes_and_forest_does_not_fill_it(
        self, land: Landscape
    ) -> None:
        assert len(np.unique(land.land_cover)) >= 5
        assert np.isin(land.land_cover, [4, 5]).mean() < 0.25


class TestWaterBalance:
    def test_closes_every_day_in_every_cell(self, land: Landscape) -> None:
        state = rested(land)
        times = pd.date_range("2019-02-01", periods=120)
        has_melted = has_run_off = False
        for sky in weather(times, land.elevation, 35.0, seed=5):
            after, day = step(state, land, sky)
            gain = day.rain - day.evaporation - day.drainage - day.runoff + day.lateral
            np.testing.assert_allclose(after.storage - state.storage, gain, atol=1e-6, rtol=0)
            assert abs(day.lateral.sum()) < 1e-6
            for flux in (day.rain, day.evaporation, day.drainage, day.runoff, after.surface):
                assert (flux >= 0).all()
            has_melted |= bool((after.snow < state.snow).any())
            has_run_off |= bool((day.runoff > 0).any())
            state = after
        assert has_melted
        assert has_run_off

    def test_steady_rain_leaves_wetness_that_follows_topography(self) -> None:
        # Under the same rain on the same soil, only the terrain is left to tell cells apart.
        land = landscape(32, seed=5)
        shape = land.elevation.shape
        even = {
            name: np.full(shape, getattr(land, name).mean())
            for name in (
                *("porosity", "field_capacity", "wilting_point", "air_dry", "conductivity"),
                *("retention", "full_ndvi", "evergreen", "resistance"),
            )
        }
        land = Landscape(**{**vars(land), **even})
        sky = Sky(np.full(shape, 4.0), np.full(shape, 285.0), np.full(shape, 120.0))
        state = rested(land)
        for _ in range(150):
            state, _day = step(state, land, sky)
        inner = (slice(2, -2), slice(2, -2))
        one, other = state.below[inner].ravel(), land.topographic_wetness_index[inner].ravel()
        assert np.corrcoef(one, other)[0, 1] > 0.8

    def test_never_exceeds_porosity(self, summer: World, winter: World) -> None:
        for made in (summer, winter):
            porosity = 0.489 - 0.00126 * made.predictors.sand
            for name in made.truth.data_vars:
                assert bool((made.truth[name] <= porosity + 1e-6).all())

    def test_rain_wets_and_sun_dries(self, summer: World) -> None:
        change = summer.truth.soil_moisture.diff("time")
        rain = summer.predictors.precipitation.isel(time=slice(1, None))
        assert float(change.where(rain > 10).mean()) > 0.03
        assert float(change.where(rain == 0).mean()) < -0.002

    def test_surface_is_quicker_than_root_zone(self, summer: World) -> None:
        steps = np.abs(summer.truth.diff("time")).mean()
        assert float(steps.soil_moisture) > 3 * float(steps.root_zone_soil_moisture)


class TestWeather:
    def test_storms_are_intermittent_and_move_east(self) -> None:
        times = pd.date_range("2019-06-01", periods=150)
        rain = np.array(
            [sky.precipitation for sky in weather(times, np.full((48, 48), 1400.0), 35.0, seed=2)]
        )
        assert 0.1 < (rain > 0).mean() < 0.6
        columns = np.arange(48)
        centres = [
            (day.sum(axis=0) @ columns) / day.sum() if day.sum() > 500 else np.nan for day in rain
        ]
        shifts = [after - before for before, after in pairwise(centres)]
        assert np.nanmean(shifts) > 0

    def test_has_seasons(self) -> None:
        times = pd.date_range("2019-01-01", periods=365)
        sky = list(weather(times, np.full((8, 8), 1400.0), 35.0, seed=2))
        warm, cold = (
            np.mean([sky[day].air_temperature for day in days])
            for days in (range(180, 240), range(0, 60))
        )
        assert warm - cold > 15
        rain = np.array([today.precipitation.mean() for today in sky])
        assert rain[120:270].sum() > rain[:120].sum() + rain[270:].sum()


class TestPredictors:
    def test_know_of_soil_moisture_with_the_sign_of_physics(self, summer: World) -> None:
        wet, seen = summer.truth.soil_moisture, summer.predictors
        assert spatial_correlation(seen.land_surface_temperature, wet) < -0.2
        assert spatial_correlation(seen.albedo, wet) < -0.4
        assert spatial_correlation(seen.ndwi, wet) > 0.3
        heat = seen.land_surface_temperature - seen.air_temperature
        assert float(xr.corr(heat, wet, dim="time").mean()) < -0.3

    def test_vegetation_follows_the_root_zone_late(self, summer: World) -> None:
        root, ndvi = summer.truth.root_zone_soil_moisture, summer.predictors.ndvi
        assert spatial_correlation(ndvi, root) > 0.1
        # On the warm days in the middle, greening answers to water, not to warmth.
        growth = ndvi.shift(time=-10) - ndvi
        assert spatial_correlation(growth, root) > 0.1

    def test_evaporation_peaks_in_summer(self, summer: World, winter: World) -> None:
        warm = float(summer.predictors.evaporation.mean())
        assert warm > 3 * float(winter.predictors.evaporation.mean())

    def test_high_ground_is_cooler(self, summer: World) -> None:
        seen = summer.predictors
        assert spatial_correlation(seen.air_temperature, seen.elevation) < -0.9


class TestSatellite:
    def test_coarse_truth_is_the_area_mean(self, summer: World) -> None:
        area = grids.cell_area(grids.grid_of(summer.truth))
        weights = area / area.coarsen(y=FACTOR, x=FACTOR).mean().reindex_like(
            area, method="nearest"
        )
        mean = (summer.truth * weights).coarsen(y=FACTOR, x=FACTOR).mean()
        for name in summer.truth.data_vars:
            np.testing.assert_allclose(summer.coarse_truth[name], mean[name], atol=1e-6)
            assert not summer.coarse_truth[name].isnull().any()

    def test_truth_varies_within_coarse_cells(self, summer: World) -> None:
        within = summer.truth.soil_moisture.coarsen(y=FACTOR, x=FACTOR).std()
        assert float(within.mean()) > 0.02

    def test_footprint_sees_past_the_cell(self) -> None:
        flat = np.full((1, 32, 32), 0.3, dtype="f4")
        np.testing.assert_allclose(footprint_mean(flat, 4), 0.3, rtol=1e-6)
        flat[0, 15, 15] = 1.3
        seen, mean = footprint_mean(flat, 4) - 0.3, area_mean(flat, 4) - 0.3
        assert (seen > 1e-4).sum() > (mean > 1e-4).sum() == 1
        assert seen.sum() == pytest.approx(mean.sum(), rel=1e-5)

    @pytest.mark.parametrize("noise", [0.04, 0.01])
    def test_error_is_the_noise_and_has_no_bias(self, noise: float) -> None:
        made = world(32, 60, 4, seed=3, start="2019-05-01", noise=noise)
        quiet = world(32, 60, 4, seed=3, start="2019-05-01", noise=0.0)
        error = made.coarse.soil_moisture - quiet.coarse.soil_moisture
        # A retrieval at its floor has lost a part of its noise.
        error = error.where(quiet.coarse.soil_moisture > DRIEST_RETRIEVAL + 3 * noise)
        assert float(error.std()) == pytest.approx(noise, rel=0.06)
        assert abs(float(error.mean())) < noise / 10

    def test_every_gap_has_a_reason(self, summer: World, winter: World) -> None:
        for made in (summer, winter):
            coarse = made.coarse
            is_gap = coarse.soil_moisture.isnull()
            assert bool((is_gap == (coarse.origin != OBSERVED)).all())
            is_hidden = (coarse.is_frozen + coarse.is_dense_vegetation) > 0
            is_masked = coarse.origin == schema.ORIGIN.code("masked")
            assert bool((is_masked == is_hidden).all())
            frozen = schema.QUALITY.mask("frozen")
            assert bool((((coarse.quality & frozen) > 0) == (coarse.is_frozen > 0)).all())
        assert 0.2 < float(summer.coarse.soil_moisture.isnull().mean()) < 0.8

    def test_all_reasons_occur(self, summer: World, winter: World) -> None:
        assert bool((summer.coarse.is_dense_vegetation > 0).any())
        assert not bool((summer.coarse.is_frozen > 0).any())
        assert bool((summer.coarse.quality & schema.QUALITY.mask("precipitation")).any())
        frozen = winter.coarse.is_frozen.mean("time")
        assert 0.05 < float(frozen.mean()) < 0.95
        height = winter.predictors.elevation.coarsen(y=4, x=4).mean()
        assert float(xr.corr(frozen, height)) > 0.5

    def test_swaths_are_bands_that_come_back(self) -> None:
        seen = swaths((16, 24, 24), np.random.default_rng(0))
        # A band crosses a row once: along it, "seen" begins and ends at most once each.
        edges = np.abs(np.diff(seen.astype(int), axis=2)).sum(axis=2)
        assert edges.max() <= 2
        assert (seen.any(axis=(1, 2)) & ~seen.all(axis=(1, 2))).any()
        np.testing.assert_array_equal(seen[:8], seen[8:])
        assert seen[:8].sum(axis=0).min() >= 4


class TestLandModel:
    def test_has_no_gaps_and_is_wet_and_weak(self, summer: World) -> None:
        for name in summer.truth.data_vars:
            model, truth = summer.land_model[name], summer.coarse_truth[name]
            assert not model.isnull().any()
            assert float((model - truth).mean()) > 0.01
            assert float(model.std("time").mean()) < 0.8 * float(truth.std("time").mean())

    def test_is_smooth_and_late_but_related(self, summer: World) -> None:
        model, truth = summer.land_model.soil_moisture, summer.coarse_truth.soil_moisture
        assert float(np.abs(model.diff("x")).mean()) < 0.6 * float(np.abs(truth.diff("x")).mean())
        now = float(xr.corr(model, truth, dim="time").mean())
        later = float(xr.corr(model, truth.shift(time=1), dim="time").mean())
        assert 0.4 < now < 0.95
        assert later > now


class TestStations:
    def test_are_labelled(self, summer: World) -> None:
        stations = summer.stations
        assert stations.soil_moisture.dims == ("station", "time")
        assert stations.soil_moisture.dtype == np.float32
        assert set(stations.coords) >= {"lat", "lon", "network", "depth_from", "depth_to"}
        assert len(set(stations.station.values)) == 30
        assert len(set(stations.network.values)) == 2

    def test_read_their_cell_with_their_faults(self, summer: World) -> None:
        stations, truth = summer.stations, summer.truth
        seen = summer.predictors
        distance = np.hypot(
            seen.longitude - stations.lon.drop_vars("station"),
            seen.latitude - stations.lat.drop_vars("station"),
        )
        nearest = distance.argmin(("y", "x"))
        here = truth.soil_moisture.isel(nearest).transpose("station", "time").values
        error = stations.soil_moisture.values - here
        residual = error - stations.sensor_bias.values[:, None]
        assert np.std(stations.sensor_bias) == pytest.approx(0.02, rel=0.4)
        assert abs(np.nanmean(residual)) < 0.01
        assert np.nanstd(residual) == pytest.approx(np.hypot(0.02, 0.005), rel=0.25)

    def test_fail_for_days_on_end(self, summer: World) -> None:
        is_silent = summer.stations.soil_moisture.isnull().values
        assert 0.02 < is_silent.mean() < 0.3
        follows = is_silent[:, 1:][is_silent[:, :-1]].mean()
        assert follows > 0.8

    def test_are_silent_in_frost(self, winter: World, summer: World) -> None:
        assert winter.stations.soil_moisture.isnull().mean() > (
            summer.stations.soil_moisture.isnull().mean()
        )

    def test_files_come_back_as_written(self, summer: World, tmp_path: Path) -> None:
        paths = write_stations(summer, tmp_path / "new" / "folder")
        places = pd.read_csv(paths[0], index_col="station")
        assert "sensor_bias" not in places
        assert [path.stem for path in paths[1:]] == list(places.index)
        np.testing.assert_array_equal(places["lat"], summer.stations.lat)
        np.testing.assert_array_equal(places["network"], summer.stations.network)
        for path in paths[1:]:
            table = pd.read_csv(path, parse_dates=["date"], index_col="date")
            written = summer.stations.soil_moisture.sel(station=path.stem)
            np.testing.assert_array_equal(table["soil_moisture"].astype("f4"), written)
            np.testing.assert_array_equal(table.index, summer.stations.time)

    def test_files_need_a_folder(self, winter: World, tmp_path: Path) -> None:
        in_the_way = tmp_path / "file"
        in_the_way.touch()
        with pytest.raises(FileProblem, match="Name another folder"):
            write_stations(winter, in_the_way)


class TestRefusals:
    @pytest.mark.parametrize(
        ("size", "factor", "advice"),
        [(20, 16, "size=16, factor=16"), (4, 4, "size=8, factor=4"), (16, 0, "size=16, factor=1")],
    )
    def test_sizes_that_do_not_nest(self, size: int, factor: int, advice: str) -> None:
        with pytest.raises(GridProblem, match=f"found size={size}.*Take {advice}"):
            world(size, 8, factor)

    @pytest.mark.parametrize(
        "wrong", [{"days": 0}, {"noise": -0.1}, {"stations": 0}, {"stations": 65}, {"seed": -1}]
    )
    def test_numbers_that_make_no_sense(self, wrong: dict[str, int]) -> None:
        with pytest.raises(ValueProblem, match=r"stations from 1 to 64"):
            world(**{"size": 8, "days": 1, "factor": 4, **wrong})

    def test_start_that_is_no_day(self) -> None:
        with pytest.raises(ValueProblem, match="a day such as '2019-04-01'"):
            world(8, 1, 4, start="spring")


@pytest.mark.slow
def test_a_year_of_the_full_size() -> None:
    made = world()
    truth = made.truth.soil_moisture
    assert dict(truth.sizes) == {"time": 365, "y": 128, "x": 128}
    for name in CUBES:
        schema.check_values(schema.check_cube(getattr(made, name)))
    assert 0.1 < float(truth.mean()) < 0.35
    assert float(truth.coarsen(y=16, x=16).std().mean()) > 0.02
    assert 0 < float(made.coarse.is_frozen.mean()) < 0.4
    assert 0 < float(made.coarse.is_dense_vegetation.mean()) < 0.2
