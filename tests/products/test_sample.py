"""The bundled sample: its size, its land, its fractions, and its values beside the source's."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from vadose.errors import FileProblem
from vadose.grids import grid_of, latlon
from vadose.products.sample import DYNAMIC, SAMPLE, SAMPLE_PATH, open_sample
from vadose.schema import IGBP, VARIABLES, check_values

GLDAS = Path(__file__).parents[2].parent / "shared" / "data" / "native" / "gldas"
SOURCE = GLDAS / "GLDAS_NOAH025_3H.A20150101.0000.021.nc4"
#: Land cells of GLDAS Noah at 0.25 degrees.
LAND = 243_883
CLASSES = [f"land_cover_{meaning}" for meaning in IGBP.meanings]
#: Our name: name in the source, factor to our unit, half a step of the packing (scripts/make_sample.py).
PACKED = {
    "soil_moisture": ("SoilMoi0_10cm_inst", 1 / 100, 0.5e-5),
    "land_surface_temperature": ("AvgSurfT_inst", 1.0, 0.0025),
    "air_temperature": ("Tair_f_inst", 1.0, 0.0025),
    "albedo": ("Albedo_inst", 1 / 100, 0.5e-4),
    "evaporation": ("Evap_tavg", 86400.0, 0.00025),
    "precipitation": ("Rainf_f_tavg", 86400.0, 0.005),
    "snow_water_equivalent": ("SWE_inst", 1.0, 0.05),
}


@pytest.fixture(scope="module")
def sample():
    return open_sample().load()


def test_file_is_small_and_has_its_licence_beside_it():
    assert SAMPLE_PATH.stat().st_size <= 4e6
    text = (SAMPLE_PATH.parent / "README.md").read_text()
    for word in (SAMPLE_PATH.name, "GLDAS", "MCD12C1", "icen"):
        assert word in text


def test_sample_is_opened_lazily_on_a_quarter_of_a_degree():
    cube = open_sample()
    assert grid_of(cube) == latlon(0.25, (-180.0, -60.0, 180.0, 90.0))
    assert all(array.chunks for array in cube.data_vars.values())
    assert cube["soil_moisture"].dims == ("time", "y", "x")
    assert cube["land_cover_barren"].dims == ("y", "x")
    assert str(cube["time"].values[0])[:16] == "2015-01-01T00:00"
    assert {*DYNAMIC, *CLASSES} <= set(cube.data_vars) == set(SAMPLE.variables)
    assert cube["precipitation"].attrs["cell_methods"] == "time: mean"
    assert cube["soil_moisture"].attrs["cell_methods"] == "time: point"
    assert "cell_methods" not in cube["land_cover_barren"].attrs


def test_all_variables_have_values_on_the_same_land(sample):
    check_values(sample)
    is_land = np.isfinite(sample["soil_moisture"].values[0])
    assert is_land.sum() == LAND
    for name in (*DYNAMIC, *CLASSES):
        array = sample[name]
        assert array.dtype == np.float32
        np.testing.assert_array_equal(np.isfinite(array.values.squeeze()), is_land, err_msg=name)


def test_fractions_of_land_cover_add_up_to_one_on_land(sample):
    total = sum(sample[name].values.astype("f8") for name in CLASSES)
    np.testing.assert_allclose(total[np.isfinite(total)], 1.0, atol=1e-6)
    shares = np.unique(sample["land_cover_croplands"].values)
    np.testing.assert_allclose(shares[np.isfinite(shares)], np.arange(26) / 25, atol=1e-7)


def test_places_are_what_they_are_on_the_globe(sample):
    sahara = sample.sel(y=23.0, x=12.0, method="nearest")
    congo = sample.sel(y=-1.0, x=22.0, method="nearest")
    greenland = sample.sel(y=75.0, x=-40.0, method="nearest")
    assert float(sahara["land_cover_barren"]) == 1.0
    assert float(congo["land_cover_evergreen_broadleaf_forests"]) > 0.9
    assert float(greenland["land_cover_permanent_snow_and_ice"]) == 1.0
    assert float(sahara["soil_moisture"].squeeze()) < float(congo["soil_moisture"].squeeze())


@pytest.mark.skipif(not SOURCE.is_file(), reason=f"no GLDAS source of the sample in {GLDAS}")
@pytest.mark.parametrize("name", PACKED)
def test_values_are_the_source_to_the_precision_of_packing(sample, name):
    field, factor, half_step = PACKED[name]
    with h5py.File(SOURCE) as file:
        raw = file[field][0][::-1].astype("f8")
    expected = np.where(raw == -9999.0, np.nan, raw * factor)
    tolerance = half_step * 1.01 + 1e-7 * np.nanmax(np.abs(expected))
    np.testing.assert_allclose(sample[name].values[0], expected, rtol=0, atol=tolerance)


@pytest.mark.skipif(not SOURCE.is_file(), reason=f"no GLDAS source of the sample in {GLDAS}")
def test_root_zone_is_the_mean_of_the_first_metre(sample):
    with h5py.File(SOURCE) as file:
        layers = [
            file[f"SoilMoi{layer}cm_inst"][0][::-1].astype("f8")
            for layer in ("0_10", "10_40", "40_100")
        ]
    expected = np.where(layers[0] == -9999.0, np.nan, sum(layers) / 1000)
    np.testing.assert_allclose(
        sample["root_zone_soil_moisture"].values[0], expected, rtol=0, atol=0.51e-5
    )


def test_another_file_of_the_same_kind_is_refused(tmp_path):
    path = tmp_path / SAMPLE_PATH.name
    path.write_bytes(SAMPLE_PATH.read_bytes())
    with h5py.File(path, "r+") as file:
        del file["albedo"]
    with pytest.raises(FileProblem, match=r"gldas_noah_sample\.nc: found variables.*albedo"):
        SAMPLE.open(path)
    with h5py.File(path, "r+") as file:
        file["albedo"] = np.zeros((3, 4), "u2")
    with pytest.raises(FileProblem, match=r"gldas_noah_sample\.nc: found albedo of.*600, 1440"):
        SAMPLE.open(path)


def test_sample_is_of_the_table():
    assert set(SAMPLE.variables) <= set(VARIABLES)
