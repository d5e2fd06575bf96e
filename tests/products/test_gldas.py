"""GLDAS Noah against the files read with netCDF4, and against files written here."""

from __future__ import annotations

import shutil
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from vadose.errors import FileProblem, NoOverlap, UnitProblem
from vadose.grids import grid_of, named_grid
from vadose.products.gldas import PRODUCTS
from vadose.schema import check_values

NATIVE = Path(__file__).parents[2].parent / "shared" / "data" / "native" / "gldas"
native = pytest.mark.skipif(not NATIVE.is_dir(), reason=f"no real GLDAS files in {NATIVE}")
FULL = NATIVE / "GLDAS_NOAH025_3H.A20150101.0000.021.nc4"
STATES, FLUXES = PRODUCTS["GLDAS_NOAH"], PRODUCTS["GLDAS_NOAH_FLUXES"]

#: name: source, factor to our unit, valid cells, smallest, mean, largest
GOLDEN = {
    "soil_moisture": ("SoilMoi0_10cm_inst", 1 / 100, 243883, 0.02, 0.252745, 0.476),
    "land_surface_temperature": ("AvgSurfT_inst", 1, 243883, 211.84296, 268.50003, 322.09296),
    "air_temperature": ("Tair_f_inst", 1, 243883, 221.3174, 271.19183, 312.0774),
    "albedo": ("Albedo_inst", 0.01, 243883, 0.05, 0.371082, 0.8225),
    "snow_water_equivalent": ("SWE_inst", 1, 243883, 0.0, 867.31526, 112541.04),
    "precipitation": ("Rainf_f_tavg", 86400, 243883, 0.0, 1.702239, 302.1408),
    "evaporation": ("Evap_tavg", 86400, 243883, -1.873528, 0.366023, 15.873032),
}


def write_file(
    path: Path, stamp: int, *, rows: int = 4, units: str | None = "kg m-2", **attributes: object
) -> Path:
    """Write a small file in the layout of the product; `stamp` in minutes since 2000-01-01 03:00."""
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", 1), ("lat", rows), ("lon", 8)):
            file.createDimension(name, size)
        file.createVariable("lat", "f4", ("lat",))[:] = 10.125 + 0.25 * np.arange(rows)
        file.createVariable("lon", "f4", ("lon",))[:] = 20.125 + 0.25 * np.arange(8)
        time = file.createVariable("time", "f8", ("time",))
        time.units = " minutes since 2000-01-01 03:00:00"
        time[:] = stamp
        variable = file.createVariable(
            "SoilMoi0_10cm_inst", "f4", ("time", "lat", "lon"), fill_value=-9999.0
        )
        variable.set_auto_maskandscale(False)  # the library refuses to write what it cannot use
        variable.setncatts(attributes)
        if units is not None:
            variable.units = units
        values = 20 + np.arange(rows * 8.0).reshape(1, rows, 8) + stamp / 1000
        variable[:] = np.where(values == values.min(), -9999.0, values)
    return path


@native
@pytest.mark.parametrize("name", GOLDEN)
def test_values_are_those_of_the_file(name: str) -> None:
    source, factor, count, *extremes = GOLDEN[name]
    product = STATES if name in STATES.variables else FLUXES
    cube = product.open(FULL)[[name]].load()
    with netCDF4.Dataset(FULL) as file:
        raw = file[source][0].astype("f8").filled(np.nan)[::-1] * factor
    np.testing.assert_allclose(cube[name].values[0], raw, rtol=2e-6, equal_nan=True)
    values = cube[name].values
    found = (np.nanmin(values), np.nanmean(values, dtype="f8"), np.nanmax(values))
    assert np.isfinite(values).sum() == count
    np.testing.assert_allclose(found, extremes, rtol=1e-5)
    check_values(cube)


@native
def test_root_zone_is_the_mean_over_the_first_metre_and_not_the_files_sum_over_two() -> None:
    cube = STATES.open(FULL)
    with netCDF4.Dataset(FULL) as file:
        layers = [
            file[f"SoilMoi{layer}cm_inst"][0].astype("f8").filled(np.nan)[::-1]
            for layer in ("0_10", "10_40", "40_100")
        ]
        whole = file["RootMoist_inst"][0].filled(np.nan)[::-1] / 1000
    values = cube["root_zone_soil_moisture"].values[0]
    np.testing.assert_allclose(values, sum(layers) / 1000, rtol=1e-6, equal_nan=True)
    assert np.nanmax(np.abs(values - whole)) > 0.1
    depth = cube["root_zone_soil_moisture"].attrs
    assert (depth["depth_from"], depth["depth_to"]) == (0.0, 1.0)
    assert cube["soil_moisture"].attrs["depth_to"] == 0.1


@native
def test_grid_is_a_quarter_degree_north_up() -> None:
    cube = STATES.open(FULL)
    grid = grid_of(cube)
    assert grid.boundingbox.bbox == (-180.0, -60.0, 180.0, 90.0)
    assert grid.resolution == named_grid("latlon_0.25").resolution


@native
def test_minutes_since_2000_and_flux_intervals_start_three_hours_before_the_stamp() -> None:
    assert STATES.open(FULL)["time"].values[0] == np.datetime64("2015-01-01T00")
    fluxes = FLUXES.open(FULL)
    assert fluxes["time"].values[0] == np.datetime64("2014-12-31T21")
    assert fluxes["precipitation"].attrs["cell_methods"] == "time: mean"
    assert STATES.open(FULL)["soil_moisture"].attrs["cell_methods"] == "time: point"


@native
def test_a_region_of_a_day_equals_the_part_of_the_whole() -> None:
    several = sorted(NATIVE.glob("*A2016*"))
    whole = STATES.open(several)["soil_moisture"]
    part = STATES.open(several[::-1] + several, region=(0, 40, 10, 50), period=("2016-01-01",) * 2)
    assert part.sizes == {"time": 7, "y": 40, "x": 40}
    assert part.attrs["duplicate_times_dropped"] == 0, "each file is opened once"
    inside = whole.sel(y=slice(50, 40), x=slice(0, 10))
    np.testing.assert_array_equal(part["soil_moisture"].values, inside.values)


@native
def test_the_folder_with_its_land_mask_holds_files_of_different_variables() -> None:
    with pytest.raises(FileProblem, match="files with and files without air_temperature"):
        STATES.open(NATIVE)


@native
def test_a_period_skips_files_by_name() -> None:
    with pytest.raises(NoOverlap, match=r"8 files of GLDAS_NOAH, none"):
        STATES.open(sorted(NATIVE.glob("GLDAS_NOAH*")), period=("2017-01-01", "2017-12-31"))
    # the file of 0 UTC holds the last three hours of the day before
    assert FLUXES.open(FULL, period=("2014-12-31", "2014-12-31")).sizes["time"] == 1


@native
def test_a_flux_product_needs_fluxes() -> None:
    with pytest.raises(FileProblem, match=r"none of the variables.*expected.*Rainf_f_tavg"):
        FLUXES.open(sorted(NATIVE.glob("*A2016*"))[0])


def test_files_come_in_any_order_and_twice(tmp_path: Path) -> None:
    stamps = (360, 0, 180)
    files = [write_file(tmp_path / f"GLDAS_NOAH_{stamp}.nc4", stamp) for stamp in stamps]
    shutil.copy(files[0], tmp_path / "copy.nc4")
    cube = STATES.open([*files, tmp_path / "copy.nc4"])
    assert cube["time"].values.astype("datetime64[h]").astype(str).tolist() == [
        "2000-01-01T03",
        "2000-01-01T06",
        "2000-01-01T09",
    ]
    assert cube.attrs["duplicate_times_dropped"] == 1
    values = cube["soil_moisture"].isel(y=0, x=0).values * 100
    np.testing.assert_allclose(np.diff(values), 0.18, atol=1e-4)
    assert np.isnan(cube["soil_moisture"].isel(y=-1, x=0).values).all(), "south-west is the fill"


def test_opening_reads_no_values(tmp_path: Path) -> None:
    path = write_file(tmp_path / "GLDAS_NOAH.nc4", 0)
    cube = STATES.open(tmp_path)
    path.unlink()
    with pytest.raises(FileProblem, match=r"GLDAS_NOAH.nc4.*SoilMoi0_10cm_inst.*cannot be read"):
        cube["soil_moisture"].load()


@pytest.mark.parametrize(
    ("attributes", "problem", "words"),
    [
        ({"scale_factor": "one"}, FileProblem, "scale_factor = 'one', expected a number"),
        ({"scale_factor": 0.0}, FileProblem, "scale_factor 0"),
        ({"units": None}, UnitProblem, "no unit"),
        ({"units": "bananas"}, UnitProblem, "unit 'bananas'"),
        ({"missing_value": "none at all"}, FileProblem, "missing_value = 'none at all'"),
    ],
)
def test_absurd_attributes_are_refused(
    tmp_path: Path, attributes: dict, problem: type[Exception], words: str
) -> None:
    path = write_file(tmp_path / "GLDAS_NOAH.nc4", 0, **attributes)
    with pytest.raises(problem) as caught:
        STATES.open(path)
    assert words in str(caught.value)
    assert "GLDAS_NOAH.nc4" in str(caught.value)
    assert "soil_moisture" in str(caught.value)


def test_files_of_different_grids_do_not_join(tmp_path: Path) -> None:
    write_file(tmp_path / "GLDAS_NOAH_1.nc4", 0)
    write_file(tmp_path / "GLDAS_NOAH_2.nc4", 180, rows=5)
    with pytest.raises(FileProblem, match="do not fit together"):
        STATES.open(tmp_path)


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = write_file(tmp_path / "GLDAS_NOAH.nc4", 0)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(FileProblem, match=r"GLDAS_NOAH\.nc4.*cannot be read.*truncated"):
        STATES.open(path)
