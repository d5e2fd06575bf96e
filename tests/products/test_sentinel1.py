"""Copernicus 1 km soil moisture and water index against the bytes in the files."""

from __future__ import annotations

from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest

from vadose.errors import FileProblem
from vadose.grids import grid_of, latlon
from vadose.products.generic import generic_product
from vadose.products.sentinel1 import PRODUCTS, soil_water_index
from vadose.schema import QUALITY, check_values

NATIVE = Path(__file__).parents[2].parent / "shared" / "data" / "native" / "cgls_s1_ssm1km"
native = pytest.mark.skipif(not NATIVE.is_dir(), reason=f"no real Copernicus files in {NATIVE}")
SSM, SWI, SWI_LONG = (
    PRODUCTS[name] for name in ("CGLS_SSM_1KM", "CGLS_SWI_1KM", "CGLS_SWI_1KM_T40")
)
REASONS = {
    251: "open_water",
    252: "not_recommended",
    253: "mountainous",
}
#: product, variable in the file, day: valid cells, smallest, mean, largest
GOLDEN = [
    (SSM, "ssm", "20170601", 27563, 0.0, 0.4207276, 1.0),
    (SSM, "ssm", "20170602", 0, None, None, None),
    (SSM, "ssm", "20170603", 4448, 0.0, 0.3746751, 1.0),
    (SWI, "SWI_005", "20170601", 155881, 0.09, 0.4543987, 0.84),
    (SWI, "SWI_005", "20170602", 155881, 0.095, 0.4617541, 0.84),
    (SWI, "SWI_005", "20170603", 155881, 0.125, 0.4861358, 0.85),
    (SWI_LONG, "SWI_040", "20170601", 155881, 0.195, 0.4436844, 0.785),
    (SWI_LONG, "SWI_040", "20170602", 155881, 0.2, 0.4447199, 0.785),
    (SWI_LONG, "SWI_040", "20170603", 155881, 0.205, 0.4482672, 0.79),
]


@native
@pytest.mark.parametrize(("product", "source", "day", "count", "low", "mean", "high"), GOLDEN)
def test_values_and_reasons_are_those_of_the_file(
    product, source, day, count, low, mean, high
) -> None:
    path = next(NATIVE.glob(f"c_gls_S{'SM' if source == 'ssm' else 'WI'}1km_{day}*"))
    cube = product.open(path).load()
    with h5py.File(path) as file:
        stored = file[source][0]
    values, quality = cube["relative_soil_moisture"].values[0], cube["quality"].values[0]
    raw = np.where(stored <= 200, stored * 0.5 / 100, np.nan)
    np.testing.assert_allclose(values, raw, rtol=1e-6, equal_nan=True)
    assert np.isfinite(values).sum() == count
    if count:
        found = np.nanmin(values), np.nanmean(values, dtype="f8"), np.nanmax(values)
        np.testing.assert_allclose(found, (low, mean, high), rtol=1e-5)
        check_values(cube)
    for code, reason in REASONS.items():
        assert set(np.unique(quality[stored == code])) <= {QUALITY.mask(reason)}
        assert (stored == code).sum() == (quality & QUALITY.mask(reason) > 0).sum()
    assert not quality[(stored <= 200) | (stored == 255)].any()


@native
def test_it_is_a_degree_of_saturation_and_never_a_volume() -> None:
    for product in PRODUCTS.values():
        cube = product.open(NATIVE)
        assert "soil_moisture" not in cube
        assert cube["relative_soil_moisture"].attrs["units"] == "1"


@native
def test_noise_is_the_uncertainty() -> None:
    noise = SSM.open(NATIVE, period=("2017-06-01", "2017-06-01"))[
        "relative_soil_moisture_uncertainty"
    ].values
    assert np.isfinite(noise).sum() == 27563
    np.testing.assert_allclose([np.nanmin(noise), np.nanmax(noise)], [0.07, 0.1], rtol=1e-6)


@native
def test_the_grid_is_that_of_the_coordinates_and_not_of_the_uncropped_geotransform() -> None:
    grid = grid_of(SSM.open(NATIVE))
    assert grid == latlon(1 / 112, (-1.0, 41.0, 3.0, 45.0))


@native
def test_days_since_noon_are_decoded() -> None:
    times = SSM.open(NATIVE)["time"].values.astype("datetime64[h]").astype(str).tolist()
    assert times == ["2017-06-01T00", "2017-06-02T00", "2017-06-03T00"]
    assert SWI.open(NATIVE)["time"].values[0] == np.datetime64("2017-06-01T12")


@native
def test_region_and_period() -> None:
    part = SWI.open(NATIVE, region=(0.0, 42.0, 1.0, 43.0), period=("2017-06-02", "2017-06-03"))
    whole = SWI.open(NATIVE)["relative_soil_moisture"]
    assert part.sizes == {"time": 2, "y": 112, "x": 112}
    np.testing.assert_array_equal(
        part["relative_soil_moisture"], whole.sel(y=slice(43, 42), x=slice(0, 1)).isel(time=[1, 2])
    )


@native
def test_other_characteristic_times_are_described_by_their_days() -> None:
    product = generic_product(soil_water_index(100, "CGLS_SWI_1KM_T100"))
    with pytest.raises(FileProblem, match=r"SWI1km.*expected variable SWI_100"):
        product.open(NATIVE)


@native
def test_a_ssm_file_is_no_swi_file() -> None:
    with pytest.raises(FileProblem, match="expected variable SWI_005"):
        SWI.open(next(NATIVE.glob("*SSM1km*")))


def test_the_state_of_the_surface_is_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "c_gls_SWI1km_201701011200_CEURO_SCATSAR_V1.0.1.nc"
    with netCDF4.Dataset(path, "w") as file:
        for name, values in (("lat", [50.0, 49.5]), ("lon", [10.0, 10.5, 11.0, 11.5])):
            file.createDimension(name, len(values))
            file.createVariable(name, "f8", (name,))[:] = values
        file.createDimension("time", 1)
        clock = file.createVariable("time", "f8", ("time",))
        clock.units = "days since 1970-01-01T12:00:00"
        clock[:] = 17167
        for name, row in (("SSF", [0, 2, 3, 255]), ("SWI_005", [100, 120, 241, 254])):
            field = file.createVariable(name, "u1", ("time", "lat", "lon"), fill_value=255)
            field.set_auto_maskandscale(False)
            if name == "SWI_005":
                field.setncatts({"units": "%", "scale_factor": np.float32(0.5)})
            field[:] = np.array([row, row], dtype="u1")
    cube = SWI.open(tmp_path).isel(time=0, y=0)
    np.testing.assert_allclose(cube["relative_soil_moisture"], [0.5, 0.6, np.nan, np.nan])
    assert cube["quality"].values.tolist() == [
        0,
        QUALITY.mask("frozen"),
        QUALITY.mask("snow", "open_water", "out_of_range"),
        QUALITY.mask("not_recommended"),
    ]
    assert cube["time"].values == np.datetime64("2017-01-01T12")
