"""ESA CCI and C3S soil moisture against netCDF4, and later layouts written here."""

from __future__ import annotations

from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest

from vadose.errors import FileProblem
from vadose.grids import grid_of, latlon, named_grid
from vadose.products.esa_cci import PRODUCTS
from vadose.schema import QUALITY, check_values

NATIVE = Path(__file__).parents[2].parent / "shared" / "data" / "native" / "esa_cci"
native = pytest.mark.skipif(not NATIVE.is_dir(), reason=f"no real ESA CCI files in {NATIVE}")
CCI, C3S = PRODUCTS["ESA_CCI"], PRODUCTS["C3S"]

#: day: valid cells, mean, largest; valid cells and mean of the uncertainty
GOLDEN = {
    "1978-11-14": (32208, 0.19175623, 0.5111, 31454, 0.0384846),
    "1978-11-15": (32031, 0.20125585, 0.4883, 31514, 0.04150598),
    "1978-11-16": (27305, 0.2083427, 0.468, 27111, 0.04225383),
    "2000-01-01": (25727, 0.13895068, 0.4736, 24809, 0.00136657),
}


@native
@pytest.mark.parametrize("day", GOLDEN)
def test_values_are_those_of_the_file(day: str) -> None:
    path = next(NATIVE.glob(f"*{day.replace('-', '')}*"))
    cube = CCI.open(path).load()
    count, mean, largest, count_of_errors, mean_error = GOLDEN[day]
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        stored = {name: file[name][0].astype("f8") for name in ("sm", "sm_uncertainty")}
    for name, source in (("soil_moisture", "sm"), ("soil_moisture_uncertainty", "sm_uncertainty")):
        raw = np.where(stored[source] == -9999, np.nan, stored[source] * 1e-4)
        np.testing.assert_allclose(cube[name].values[0], raw, rtol=1e-6, equal_nan=True)
    values, errors = cube["soil_moisture"].values, cube["soil_moisture_uncertainty"].values
    assert np.isfinite(values).sum() == count
    assert np.isfinite(errors).sum() == count_of_errors
    found = np.nanmean(values, dtype="f8"), np.nanmax(values), np.nanmean(errors, dtype="f8")
    np.testing.assert_allclose(found, (mean, largest, mean_error), rtol=1e-5)
    assert cube["time"].values.astype("datetime64[s]")[0] == np.datetime64(day, "s")
    assert grid_of(cube) == named_grid("latlon_0.25")
    check_values(cube)


@native
def test_the_automatic_mask_would_hide_nearly_all() -> None:
    path = next(NATIVE.glob("*20000101*"))
    with netCDF4.Dataset(path) as file:
        naive = file["sm"][0].count()
    assert naive < 0.01 * np.isfinite(CCI.open(path)["soil_moisture"].values).sum()


@native
def test_flags_become_reasons() -> None:
    path = next(NATIVE.glob("*20000101*"))
    quality = CCI.open(path)["quality"].values[0]
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        flag = file["flag"][0]
    assert set(np.unique(flag)) == {0, 1, 2, 3, 127}
    expected = {
        0: 0,
        1: QUALITY.mask("frozen", "snow"),
        2: QUALITY.mask("dense_vegetation"),
        3: QUALITY.mask("retrieval_failed"),
        127: 0,
    }
    for value, bits in expected.items():
        assert set(np.unique(quality[flag == value])) == {bits}


@native
def test_midnight_in_floating_point_days_stays_midnight() -> None:
    with netCDF4.Dataset(next(NATIVE.glob("*19781114*"))) as file:
        assert file["time"][0] < 3239, "the file is a few microseconds early"
    cube = CCI.open(NATIVE, period=("1978-11-14", "1978-11-15"))
    assert cube["time"].values.astype("datetime64[h]").astype(str).tolist() == [
        "1978-11-14T00",
        "1978-11-15T00",
    ]


@native
def test_a_region_of_unordered_files_equals_the_part_of_the_whole() -> None:
    files = sorted(NATIVE.glob("*.nc"))
    part = CCI.open(files[::-1], region=(-100, 30, -90, 40))
    whole = CCI.open(NATIVE)
    assert part.sizes == {"time": 4, "y": 40, "x": 40}
    inside = whole["soil_moisture"].sel(y=slice(40, 30), x=slice(-100, -90))
    np.testing.assert_array_equal(part["soil_moisture"].values, inside.values)


def write_file(
    path: Path, flags: list[int], *, meanings: str, units: str = "m3 m-3", day: int = 0
) -> Path:
    """Write a row of cells in the layout of the product, one with each flag; 127 is no data."""
    with netCDF4.Dataset(path, "w", format="NETCDF4_CLASSIC") as file:
        for name, size in (("time", 1), ("lat", 2), ("lon", len(flags))):
            file.createDimension(name, size)
        file.createVariable("lat", "f4", ("lat",))[:] = [10.125, 9.875]
        file.createVariable("lon", "f4", ("lon",))[:] = 0.125 + 0.25 * np.arange(len(flags))
        time = file.createVariable("time", "f8", ("time",))
        time.units = "days since 1970-01-01 00:00:00 UTC"
        time[:] = 18000 + day
        dims = ("time", "lat", "lon")
        if units == "m3 m-3":
            moisture = file.createVariable("sm", "i2", dims, fill_value=-9999)
            moisture.scale_factor, moisture.valid_range = np.float32(1e-4), np.float32([0, 1])
        else:
            moisture = file.createVariable("sm", "f4", dims, fill_value=-9999.0)
        moisture.units = units
        moisture.set_auto_maskandscale(False)
        moisture[:] = 2500 if units == "m3 m-3" else 25
        flag = file.createVariable("flag", "i1", dims, fill_value=127)
        flag.flag_meanings = meanings
        flag[:] = np.array([flags, flags], dtype="i1")
    return path


BITS = (
    "no_data_inconsistency_detected snow_coverage_or_temperature_below_zero dense_vegetation "
    "combination_of_flag_values_1_and_2 others_no_convergence"
)


def test_later_versions_combine_flags_as_bits(tmp_path: Path) -> None:
    name = "ESACCI-SOILMOISTURE-L3S-SSMV-COMBINED-20190414000000-fv07.1.nc"
    path = write_file(tmp_path / name, [0, 3, 4, 8, 17, 64, 127], meanings=BITS)
    cube = CCI.open(tmp_path)
    expected = [
        0,
        QUALITY.mask("frozen", "snow", "dense_vegetation"),
        QUALITY.mask("retrieval_failed"),
        QUALITY.mask("out_of_range"),
        QUALITY.mask("frozen", "snow", "not_recommended"),
        QUALITY.mask("other"),
        0,
    ]
    assert cube["quality"].values[0, 0].tolist() == expected
    np.testing.assert_allclose(cube["soil_moisture"], 0.25, rtol=1e-6)
    assert cube["time"].values.astype("datetime64[D]")[0] == np.datetime64("2019-04-14")
    assert grid_of(CCI.open(path)) == latlon(0.25, (0.0, 9.75, 1.75, 10.25))


def test_the_active_product_is_saturation_and_not_a_volume(tmp_path: Path) -> None:
    name = "C3S-SOILMOISTURE-L3S-SSMS-ACTIVE-DAILY-20190414000000-TCDR-v202212.0.0.nc"
    write_file(tmp_path / name, [0, 1], meanings=BITS, units="percentage (%)")
    cube = C3S.open(tmp_path)
    assert set(cube.data_vars) == {"relative_soil_moisture", "quality"}
    np.testing.assert_allclose(cube["relative_soil_moisture"], 0.25)
    assert cube["relative_soil_moisture"].attrs["units"] == "1"
    assert cube.attrs["licence"] == "Licence to use Copernicus products"


def test_volume_and_saturation_do_not_join(tmp_path: Path) -> None:
    write_file(tmp_path / "C3S-SOILMOISTURE-1.nc", [0, 1], meanings=BITS)
    write_file(
        tmp_path / "C3S-SOILMOISTURE-2.nc", [0, 1], meanings=BITS, units="percentage (%)", day=1
    )
    with pytest.raises(FileProblem, match=r"files with and files without.*soil_moisture"):
        C3S.open(tmp_path)


def test_a_file_without_soil_moisture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ESACCI-SOILMOISTURE.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("lat", 2)
        file.createVariable("lat", "f4", ("lat",))
    with pytest.raises(
        FileProblem, match=r"ESACCI-SOILMOISTURE\.nc: found variables lat, expected"
    ):
        CCI.open(tmp_path)


def test_no_mosaic_is_made_of_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "ESACCI-SOILMOISTURE.nc").touch()
    with pytest.raises(FileProblem, match="empty file"):
        CCI.open(tmp_path)


@native
def test_flags_whose_meanings_are_no_words_are_refused(tmp_path: Path) -> None:
    original = sorted(NATIVE.glob("*.nc"))[0]
    path = tmp_path / original.name
    path.write_bytes(original.read_bytes())
    with h5py.File(path, "r+") as file:
        file["flag"].attrs["flag_meanings"] = 3.5
    with pytest.raises(FileProblem, match=r"\.nc: found flag_meanings .*3\.5.*, expected words"):
        PRODUCTS["ESA_CCI"].open(path)
