"""IMERG of both versions against h5py, and daily files written here."""

from __future__ import annotations

from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest

from vadose.errors import FileProblem
from vadose.grids import grid_of, latlon
from vadose.products.imerg import PRODUCTS

NATIVE = Path(__file__).parents[2].parent / "shared" / "data" / "native" / "imerg"
native = pytest.mark.skipif(not NATIVE.is_dir(), reason=f"no real IMERG files in {NATIVE}")
IMERG, DAILY = PRODUCTS["IMERG"], PRODUCTS["IMERG_DAILY"]

#: file: variable, stamp, valid cells, mean and largest in mm/day, west, south, east, north
GOLDEN = {
    "3B-HHR.MS.MRG.3IMERG.20000601-S000000-E002959.0000.V06B.HDF5": (
        ("precipitationCal", "2000-06-01T00:00", 0, None, None),
        (-180, -90, -179, -89),
    ),
    "3B-HHR.MS.MRG.3IMERG.20000601-S000000-E002959.0000.V07A.HDF5": (
        ("precipitation", "2000-06-01T00:00", 70, 0.0, 0.0),
        (-180, -90, -179, -89),
    ),
    "GPM_3IMERGHH_bounds.nc4": (
        ("precipitationCal", "2020-01-01T12:00", 22500, 4.051417, 267.5653),
        (-30, 30, -15, 45),
    ),
    "hoss_bounds_reference.nc4": (
        ("precipitationCal", "2020-01-18T19:00", 22500, 31.895845, 1297.1016),
        (60, -15, 75, 0),
    ),
    "hoss_shape_file_reference.nc4": (
        ("precipitationCal", "2020-01-01T00:00", 55952, 9.336261, 548.68787),
        (-79.5, -18.1, -44.4, 8.7),
    ),
}


@native
@pytest.mark.parametrize("name", GOLDEN)
def test_values_are_those_of_the_file(name: str) -> None:
    (source, stamp, count, mean, largest), region = GOLDEN[name]
    cube = IMERG.open(NATIVE / name)
    values = cube["precipitation"].values
    with h5py.File(NATIVE / name) as file:
        raw = file["Grid"][source][0].astype("f8")
    raw[raw < -9000] = np.nan
    assert cube["precipitation"].dims == ("time", "y", "x")
    np.testing.assert_allclose(values[0], raw.T[::-1] * 24, rtol=1e-6, equal_nan=True)
    assert np.isfinite(values).sum() == count
    if count:
        np.testing.assert_allclose(np.nanmean(values, dtype="f8"), mean, rtol=1e-5)
        np.testing.assert_allclose(np.nanmax(values), largest, rtol=1e-6)
    assert cube["time"].values[0] == np.datetime64(stamp), "a 'julian' calendar that is not"
    assert cube["precipitation"].attrs["units"] == "mm day-1"
    assert cube["y"].values[0] > cube["y"].values[-1]
    grid = grid_of(cube)
    np.testing.assert_allclose(grid.boundingbox.bbox, region, atol=1e-9)
    np.testing.assert_allclose(grid.affine, latlon(0.1, region).affine, rtol=1e-12)


@native
def test_rounded_coordinates_of_both_versions_give_one_grid() -> None:
    grids = {grid_of(IMERG.open(path)) for path in NATIVE.glob("3B-HHR*")}
    assert len(grids) == 1


@native
def test_both_versions_of_one_half_hour_are_duplicates_and_the_last_counts() -> None:
    cube = IMERG.open(NATIVE, period=("2000-06-01", "2000-06-01"))
    assert cube.sizes["time"] == 1
    assert cube.attrs["duplicate_times_dropped"] == 1
    assert np.isfinite(cube["precipitation"].values).sum() == 70, "V07 sorts after V06"


@native
def test_a_region_is_cut_out() -> None:
    path = NATIVE / "hoss_bounds_reference.nc4"
    part = IMERG.open(path, region=(70.0, -10.0, 71.0, -9.0))["precipitation"]
    whole = IMERG.open(path)["precipitation"]
    np.testing.assert_array_equal(part, whole.sel(y=slice(-9, -10), x=slice(70, 71)))
    assert part.shape == (1, 10, 10)


def write_daily(path: Path, day: int, name: str, units: str) -> Path:
    """Write a daily file: at the root, not in the group; `day` since 1970-01-01."""
    with netCDF4.Dataset(path, "w") as file:
        for dim, size in (("time", 1), ("lon", 4), ("lat", 3)):
            file.createDimension(dim, size)
        file.createVariable("lon", "f4", ("lon",))[:] = 10.05 + 0.1 * np.arange(4)
        file.createVariable("lat", "f4", ("lat",))[:] = 40.05 + 0.1 * np.arange(3)
        time = file.createVariable("time", "i4", ("time",))
        time.units, time.calendar = "days since 1970-01-01 00:00:00Z", "julian"
        time[:] = day
        rain = file.createVariable(name, "f4", ("time", "lon", "lat"), fill_value=-9999.9)
        rain.units = units
        rain[:] = np.arange(12.0).reshape(1, 4, 3)
    return path


def test_daily_sums_and_rates_are_the_same_number(tmp_path: Path) -> None:
    stem = "3B-DAY.MS.MRG.3IMERG"
    write_daily(tmp_path / f"{stem}.20200102-S000000.V06.nc4", 18263, "precipitationCal", "mm")
    write_daily(tmp_path / f"{stem}.20200101-S000000.V07B.nc4", 18262, "precipitation", "mm/day")
    cube = DAILY.open(tmp_path)
    days = cube["time"].values.astype("datetime64[D]").astype(str).tolist()
    assert days == ["2020-01-01", "2020-01-02"]
    expected = np.arange(12.0).reshape(4, 3).T[::-1]
    np.testing.assert_array_equal(cube["precipitation"], [expected, expected])
    assert DAILY.open(tmp_path, period=("2020-01-02", "2020-01-02")).sizes["time"] == 1


def test_a_daily_file_is_no_half_hourly_one(tmp_path: Path) -> None:
    path = write_daily(tmp_path / "3B-DAY.nc4", 18262, "precipitation", "mm/day")
    with pytest.raises(FileProblem, match=r"3B-DAY\.nc4.*expected variable Grid/precipitation"):
        IMERG.open(path)
