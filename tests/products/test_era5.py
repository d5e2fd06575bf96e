"""ERA5 and ERA5-Land against netCDF4, and accumulations, GRIB and odd layouts written here."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from vadose.errors import FileProblem, GridProblem, NoOverlap, UnitProblem
from vadose.grids import grid_of, latlon
from vadose.products.era5 import PRODUCTS
from vadose.schema import QUALITY, check_values

DATA = Path(__file__).parents[2].parent / "shared" / "data"
native = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real ERA5 files in {DATA}")
OLD = DATA / "native" / "era5" / "example_downloaded_raw.nc"
MONTHLY = DATA / "native" / "era5" / "era5-land-monthly-means_example.nc"
NEW = DATA / "yanco" / "smap36_era5_2018-2020" / "ERA5"
LAND = DATA / "south_africa" / "era5land_swvl1_daily_south_africa_202001.nc"
ERA5, ERA5_FLUXES, ERA5_LAND, LAND_FLUXES = (
    PRODUCTS[name] for name in ("ERA5", "ERA5_FLUXES", "ERA5_LAND", "ERA5_LAND_FLUXES")
)


def statistics(values: np.ndarray) -> tuple[float, ...]:
    """Give valid count, smallest, mean and largest."""
    return (
        np.isfinite(values).sum(),
        np.nanmin(values),
        np.nanmean(values, dtype="f8"),
        np.nanmax(values),
    )


# --- the real files


@native
def test_old_store_packed_and_sea_without_soil() -> None:
    cube = ERA5.open(OLD).load()
    with netCDF4.Dataset(OLD) as file:
        raw, land = file["swvl1"][:].filled(np.nan), file["lsm"][:]
    raw = np.roll(np.where(land > 0.5, np.maximum(raw, 0), np.nan), 36, axis=-1)
    values = cube["soil_moisture"].values
    np.testing.assert_allclose(values, raw, atol=1e-7, equal_nan=True)
    np.testing.assert_allclose(
        statistics(values), (3648, 0, 0.23527281, 0.74737357), rtol=1e-6, atol=0
    )
    quality = cube["quality"].values
    is_out = quality == QUALITY.mask("out_of_range")
    assert is_out.sum() == 33, "negative on land"
    assert (values[is_out] == 0).all()
    assert (quality == QUALITY.mask("open_water")).sum() == values.size - 3648
    assert "set to 0" in cube["soil_moisture"].attrs["negative_values"]
    times = cube["time"].values.astype("datetime64[h]").astype(str).tolist()
    assert times == [f"2010-01-01T{hour:02d}" for hour in (0, 6, 12, 18)]
    assert cube["x"].values[[0, -1]].tolist() == [-180, 175], "0..360 in the file"
    check_values(cube)


@native
def test_new_store_103_files_of_three_days() -> None:
    cube = ERA5.open(NEW)
    raw: dict[int, np.ndarray] = {}
    for path in sorted(NEW.glob("*.nc")):
        with netCDF4.Dataset(path) as file:
            raw.update(zip(file["valid_time"][:].tolist(), file["swvl1"][:].data, strict=True))
    assert cube.sizes == {"time": len(raw), "y": 4, "x": 8}
    values = cube["soil_moisture"].values
    np.testing.assert_array_equal(values, [raw[second] for second in sorted(raw)])
    seconds = cube["time"].values.astype("datetime64[s]")
    np.testing.assert_array_equal(seconds, np.array(sorted(raw), dtype="datetime64[s]"))
    expected = (235008, 0.123013854, 0.23268442, 0.4386698)
    np.testing.assert_allclose(statistics(values), expected, rtol=1e-6)
    assert cube.attrs["duplicate_times_dropped"] == 72, "three days are in two windows"
    assert set(cube.data_vars) == {"soil_moisture", "land_fraction", "quality"}
    assert not cube["quality"].values.any()
    assert cube["soil_moisture"].attrs["cell_methods"] == "time: point"


@native
def test_region_and_period_of_the_new_store() -> None:
    region, period = (146.0, -35.2, 147.0, -34.8), ("2019-01-08", "2019-01-15")
    files = sorted(NEW.glob("*2019010*")) + sorted(NEW.glob("*201901*"))[::-1]
    part = ERA5.open(files, region=region, period=period)
    whole = ERA5.open(NEW).sel(time=slice(*period), y=slice(-34.8, -35.2), x=slice(146, 147))
    assert part.sizes == whole.sizes
    np.testing.assert_array_equal(part["soil_moisture"], whole["soil_moisture"])
    with pytest.raises(NoOverlap, match="2031-01-01"):
        ERA5.open(files, period=("2031-01-01", "2031-01-02"))


@native
def test_land_daily_with_negative_rounding() -> None:
    cube = ERA5_LAND.open(LAND).load()
    with netCDF4.Dataset(LAND) as file:
        raw = file["swvl1"][:].filled(np.nan)
    assert (raw < 0).sum() == 816
    assert np.nanmin(raw) > -1e-20
    values = cube["soil_moisture"].values
    np.testing.assert_array_equal(values, np.maximum(raw, 0))
    np.testing.assert_allclose(
        statistics(values), (83855, 0, 0.11596372, 0.41717210), rtol=1e-6, atol=0
    )
    assert not cube["quality"].values.any(), "rounding of zero is no reason to doubt"
    assert "no land-sea mask" in cube["soil_moisture"].attrs["cells_of_water"]
    grid = grid_of(cube)
    np.testing.assert_allclose(grid.boundingbox.bbox, (18.45, -34.05, 25.05, -29.95))
    check_values(cube)


@native
def test_monthly_means_are_rates_stamped_at_the_month() -> None:
    states, fluxes = ERA5_LAND.open(MONTHLY).load(), LAND_FLUXES.open(MONTHLY).load()
    with netCDF4.Dataset(MONTHLY) as file:
        temperature, rain = (file[name][:].filled(np.nan) for name in ("t2m", "tp"))
    np.testing.assert_array_equal(states["air_temperature"], temperature)
    np.testing.assert_allclose(fluxes["precipitation"], rain * 1000, rtol=1e-6)
    expected = (370818, 0.018955864, 2.41309241, 9.6752215)
    np.testing.assert_allclose(statistics(fluxes["precipitation"].values), expected, rtol=1e-6)
    expected = (370818, 265.297, 283.278238, 296.43494)
    np.testing.assert_allclose(statistics(states["air_temperature"].values), expected, rtol=1e-6)
    for cube in (states, fluxes):
        assert cube["time"].values[0] == np.datetime64("1981-01-01")
        assert cube["time"].values[-1] == np.datetime64("2021-06-01")
    assert states["air_temperature"].attrs["cell_methods"] == "time: mean"
    check_values(fluxes)


@native
def test_a_reduced_gaussian_grid_is_refused_by_name() -> None:
    for path in sorted((DATA / "native" / "era5").glob("*.grb")):
        with pytest.raises(GridProblem, match=r"\.grb: found a reduced Gaussian grid"):
            ERA5.open(path)


@native
def test_a_land_mask_has_no_variable_of_ours() -> None:
    with pytest.raises(FileProblem, match=r"landmask_0.*found variables.*at least one of swvl1"):
        ERA5.open(DATA / "native" / "era5" / "landmask_0.25_0.25.nc")


# --- files written here


def write_file(
    path: Path,
    hours: list[int],
    fields: dict[str, tuple[str, Any]],
    *,
    dims: tuple[str, ...] = ("valid_time", "latitude", "longitude"),
    file_format: str = "NETCDF4",
    step_type: str = "",
) -> Path:
    """Write fields ``{name: (unit, values)}`` at hours since 2020-01-01 on 2 × 3 cells."""
    sizes = {"latitude": 2, "longitude": 3, "expver": 2, "number": 2}
    with netCDF4.Dataset(path, "w", format=file_format) as file:
        for dim in dims:
            file.createDimension(dim, sizes.get(dim, len(hours)))
        file.createVariable("latitude", "f4", ("latitude",))[:] = [45.25, 45.0]
        file.createVariable("longitude", "f4", ("longitude",))[:] = [359.75, 0.0, 0.25]
        clock = file.createVariable(dims[0], "i4", (dims[0],))
        clock.units, clock.calendar = "hours since 2020-01-01", "proleptic_gregorian"
        clock[:] = hours
        for name, (units, values) in fields.items():
            field = file.createVariable(name, "f4", dims, fill_value=np.nan)
            field.units = units
            if step_type:
                field.GRIB_stepType = step_type
            shape = tuple(sizes.get(dim, len(hours)) for dim in dims)
            field[:] = np.broadcast_to(values, shape)
    return path


def column(*values: float) -> np.ndarray:
    """Give values along time."""
    return np.array(values).reshape(-1, 1, 1)


def test_the_first_metre_is_the_weighted_mean_of_three_layers(tmp_path: Path) -> None:
    layers = {f"swvl{number}": ("m**3 m**-3", number / 10) for number in (1, 2, 3, 4)}
    cube = ERA5.open(write_file(tmp_path / "a.nc", [0, 1], layers))
    np.testing.assert_allclose(cube["soil_moisture"], 0.1, rtol=1e-6)
    expected = 0.07 * 0.1 + 0.21 * 0.2 + 0.72 * 0.3
    np.testing.assert_allclose(cube["root_zone_soil_moisture"], expected, rtol=1e-6)
    assert cube["root_zone_soil_moisture"].attrs["depth_to"] == 1.0
    assert cube["soil_moisture"].attrs["depth_to"] == 0.07
    assert grid_of(cube) == latlon(0.25, (-0.375, 44.875, 0.375, 45.375))


def test_noise_becomes_zero_and_impossible_values_a_gap_with_a_reason(tmp_path: Path) -> None:
    values = column(0.2, -0.004, -0.011)
    cube = ERA5.open(write_file(tmp_path / "a.nc", [0, 1, 2], {"swvl1": ("m**3 m**-3", values)}))
    first = cube.isel(y=0, x=0).load()
    np.testing.assert_allclose(first["soil_moisture"], [0.2, 0.0, np.nan], rtol=1e-6)
    assert first["quality"].values.tolist() == [0, *[QUALITY.mask("out_of_range")] * 2]


def test_units_of_the_states(tmp_path: Path) -> None:
    fields = {
        "sd": ("m of water equivalent", 0.05),
        "fal": ("(0 - 1)", 0.3),
        "skt": ("K", 290.0),
        "t2m": ("K", 285.0),
    }
    cube = ERA5.open(write_file(tmp_path / "a.nc", [0], fields)).load()
    found = {name: float(array.mean()) for name, array in cube.data_vars.items()}
    expected = {
        "snow_water_equivalent": 50.0,
        "albedo": 0.3,
        "land_surface_temperature": 290.0,
        "air_temperature": 285.0,
    }
    assert found == pytest.approx(expected)


def test_hourly_accumulations_are_of_the_hour_before_and_evaporation_is_upward(
    tmp_path: Path,
) -> None:
    fields = {"tp": ("m", column(0.001, 0.002)), "e": ("m of water equivalent", -0.0001)}
    cube = ERA5_FLUXES.open(write_file(tmp_path / "a.nc", [0, 1], fields, step_type="accum"))
    np.testing.assert_allclose(cube["precipitation"][:, 0, 0], [24.0, 48.0], rtol=1e-6)
    np.testing.assert_allclose(cube["evaporation"], 2.4, rtol=1e-5)
    hours = cube["time"].values.astype("datetime64[h]").astype(str).tolist()
    assert hours == ["2019-12-31T23", "2020-01-01T00"]


def test_land_accumulates_from_midnight(tmp_path: Path) -> None:
    hours = [*range(1, 25), 25, 26]
    amounts = column(*[0.001 * hour for hour in range(1, 25)], 0.005, 0.007)
    cube = LAND_FLUXES.open(write_file(tmp_path / "a.nc", hours, {"tp": ("m", amounts)}))
    rates = cube["precipitation"].values[:, 0, 0]
    np.testing.assert_allclose(rates, [*[24.0] * 24, 120.0, 48.0], rtol=1e-4)
    assert cube["time"].values[0] == np.datetime64("2020-01-01T00")


def test_land_hour_before_the_file_is_a_gap(tmp_path: Path) -> None:
    cube = LAND_FLUXES.open(
        write_file(tmp_path / "a.nc", [24, 25], {"tp": ("m", column(0.01, 0.001))})
    )
    np.testing.assert_allclose(cube["precipitation"][:, 0, 0], [np.nan, 24.0], rtol=1e-5)
    assert cube["time"].values[0] == np.datetime64("2020-01-01T23")


def test_land_midnights_alone_are_totals_of_the_day_before(tmp_path: Path) -> None:
    cube = LAND_FLUXES.open(
        write_file(tmp_path / "a.nc", [24, 48], {"tp": ("m", column(0.01, 0.02))})
    )
    np.testing.assert_allclose(cube["precipitation"][:, 0, 0], [10.0, 20.0], rtol=1e-6)
    days = cube["time"].values.astype("datetime64[D]").astype(str).tolist()
    assert days == ["2020-01-01", "2020-01-02"]


@pytest.mark.parametrize(
    ("product", "hours"),
    [(ERA5_FLUXES, [0, 24]), (ERA5_FLUXES, [0]), (LAND_FLUXES, [0]), (LAND_FLUXES, [1, 4])],
)
def test_amounts_of_unknown_duration_are_refused(
    tmp_path: Path, product: Any, hours: list[int]
) -> None:
    path = write_file(tmp_path / "a.nc", hours, {"tp": ("m", 0.001)})
    with pytest.raises(FileProblem, match=r"a\.nc: precipitation \(as 'tp'\): found"):
        product.open(path)


def test_preliminary_data_fill_where_final_data_end(tmp_path: Path) -> None:
    values = np.full((3, 2, 1, 1), np.nan)
    values[:2, 0], values[2:, 1] = 0.1, 0.2
    path = write_file(
        tmp_path / "a.nc",
        [0, 1, 2],
        {"swvl1": ("m**3 m**-3", values)},
        dims=("time", "expver", "latitude", "longitude"),
    )
    cube = ERA5.open(path)
    np.testing.assert_allclose(cube["soil_moisture"][:, 0, 0], [0.1, 0.1, 0.2], rtol=1e-6)


def test_members_of_an_ensemble_come_first(tmp_path: Path) -> None:
    path = write_file(
        tmp_path / "a.nc",
        [0, 1],
        {"swvl1": ("m**3 m**-3", np.array([0.1, 0.2]).reshape(2, 1, 1))},
        dims=("valid_time", "number", "latitude", "longitude"),
    )
    moisture = ERA5.open(path)["soil_moisture"]
    assert moisture.dims == ("member", "time", "y", "x")
    np.testing.assert_allclose(moisture[:, 0, 0, 0], [0.1, 0.2], rtol=1e-6)


def test_classic_netcdf_is_read_lazily(tmp_path: Path) -> None:
    path = write_file(
        tmp_path / "a.nc",
        [0, 1],
        {"swvl1": ("m**3 m**-3", 0.25)},
        dims=("time", "latitude", "longitude"),
        file_format="NETCDF3_64BIT_OFFSET",
    )
    cube = ERA5.open(path)
    np.testing.assert_allclose(cube["soil_moisture"], 0.25)
    path.unlink()
    with pytest.raises(FileProblem, match=r"a\.nc: found variable 'swvl1' that cannot be read"):
        cube["soil_moisture"].load()


def test_truncated_and_foreign_files_are_named(tmp_path: Path) -> None:
    classic = write_file(
        tmp_path / "classic.nc",
        [0, 1],
        {"swvl1": ("m**3 m**-3", 0.25)},
        dims=("time", "latitude", "longitude"),
        file_format="NETCDF3_64BIT_OFFSET",
    )
    classic.write_bytes(classic.read_bytes()[:300])
    text = tmp_path / "readme.nc"
    text.write_text("please read me")
    for path in (classic, text):
        with pytest.raises(FileProblem, match=rf"{path.name}.*cannot be read as ERA5"):
            ERA5.open(path)


def test_an_absurd_unit_is_refused(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.nc", [0, 1], {"t2m": ("furlong", 280.0)})
    with pytest.raises(UnitProblem, match=r"a\.nc: air_temperature.*found unit 'furlong'"):
        ERA5.open(path)


# --- GRIB, written by hand: WMO FM 92 edition 1, simple packing


def grib(values: np.ndarray, parameter: int, stamp: datetime, *, hours: int = 0) -> bytes:
    """Encode one message on a regular grid of 0.25° from 50° N, 10° E; `hours` accumulated."""

    def signed(number: float, size: int) -> bytes:
        whole = round(number)
        return (abs(whole) | (1 << 8 * size - 1 if whole < 0 else 0)).to_bytes(size, "big")

    rows, columns = values.shape
    level = (112, 0, 7) if parameter == 39 else (1, 0, 0)
    clock = (stamp.year % 100, stamp.month, stamp.day, stamp.hour, 0, 1)
    steps = (0, hours, 4 if hours else 0, 0, 0, 0, 21, 0, 0, 0)
    product = bytes([0, 0, 28, 128, 98, 255, 255, 128, parameter, *level, *clock, *steps])
    corner = signed(50000, 3) + signed(10000, 3) + b"\x80"
    corner += signed(50000 - 250 * (rows - 1), 3) + signed(10000 + 250 * (columns - 1), 3)
    grid = bytes([0, 0, 32, 0, 255, 0]) + columns.to_bytes(2, "big") + rows.to_bytes(2, "big")
    grid += corner + signed(250, 2) * 2 + bytes(5)
    exponent = int(np.ceil(np.log2(np.ptp(values) / 65535)))
    packed = np.round((values - values.min()) / 2.0**exponent).astype(">u2").tobytes()
    mantissa, power = abs(float(values.min())), 64  # reference value in IBM's floating point
    while mantissa >= 1:
        mantissa, power = mantissa / 16, power + 1
    reference = bytes([power | (128 if values.min() < 0 else 0)])
    reference += int(mantissa * 2**24).to_bytes(3, "big")
    padding = b"\0" * (packed.__len__() % 2 + 1)
    data = b"\x08" + signed(exponent, 2) + reference + b"\x10" + packed + padding
    data = (len(data) + 3).to_bytes(3, "big") + data
    size = 8 + len(product) + len(grid) + len(data) + 4
    return b"GRIB" + size.to_bytes(3, "big") + b"\x01" + product + grid + data + b"7777"


def test_grib_states_come_from_gdal_in_kelvin(tmp_path: Path) -> None:
    path = tmp_path / "era5.grib"
    moisture = np.linspace(0.1, 0.4, 24).reshape(4, 6)
    messages = []
    for hour in (7, 6):
        messages.append(grib(moisture + hour / 100, 39, datetime(2020, 1, 2, hour)))
        messages.append(grib(moisture * 100 + 260, 167, datetime(2020, 1, 2, hour)))
    path.write_bytes(b"".join(messages))
    cube = ERA5.open(path)
    np.testing.assert_allclose(cube["soil_moisture"][0], moisture + 0.06, atol=1e-5)
    np.testing.assert_allclose(cube["soil_moisture"][1], moisture + 0.07, atol=1e-5)
    np.testing.assert_allclose(cube["air_temperature"][0], moisture * 100 + 260, atol=1e-3)
    hours = cube["time"].values.astype("datetime64[h]").astype(str).tolist()
    assert hours == ["2020-01-02T06", "2020-01-02T07"]
    assert grid_of(cube) == latlon(0.25, (9.875, 49.125, 11.375, 50.125))


def test_grib_accumulations(tmp_path: Path) -> None:
    path = tmp_path / "era5.grib"
    rain = np.linspace(0.001, 0.002, 24).reshape(4, 6)
    path.write_bytes(
        grib(rain, 228, datetime(2020, 1, 2, 6), hours=1)
        + grib(-rain, 182, datetime(2020, 1, 2, 6), hours=1)
    )
    cube = ERA5_FLUXES.open(path)
    np.testing.assert_allclose(cube["precipitation"][0], rain * 24000, rtol=1e-4)
    np.testing.assert_allclose(cube["evaporation"][0], rain * 24000, rtol=1e-4)
    assert cube["time"].values[0] == np.datetime64("2020-01-02T06")


def test_grib_with_a_variable_missing_at_one_time(tmp_path: Path) -> None:
    path = tmp_path / "era5.grib"
    field = np.linspace(0.1, 0.4, 24).reshape(4, 6)
    path.write_bytes(
        grib(field, 39, datetime(2020, 1, 2, 6))
        + grib(field, 39, datetime(2020, 1, 2, 7))
        + grib(field + 280, 167, datetime(2020, 1, 2, 7))
    )
    with pytest.raises(FileProblem, match=r"era5\.grib: found t2m not at all of 2 times"):
        ERA5.open(path)


def test_eccodes_stays_out_of_the_process() -> None:
    import sys

    assert not {"eccodes", "cfgrib"} & set(sys.modules)
