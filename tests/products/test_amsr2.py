"""The AMSR2 LPRM reader against the real file."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from vadose.errors import FileProblem, NoOverlap, UnitProblem
from vadose.grids import grid_of, named_grid
from vadose.products import amsr2
from vadose.schema import QUALITY, check_values

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "native" / "lprm_amsr2"
FILE = DATA / "LPRM-AMSR2_L3_D_SOILM3_V001_20150401013507.nc4"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason="needs ../shared/data/native/lprm_amsr2")


@pytest.mark.parametrize(
    ("name", "stored", "factor", "golden"),
    [
        ("soil_moisture", "soil_moisture_c1", 0.01, (98866, 0.0, 0.4420214229, 0.99)),
        (
            "soil_moisture_uncertainty",
            "soil_moisture_c1_error",
            0.01,
            (96536, 0.0, 0.1306863, 0.49),
        ),
        ("land_surface_temperature", "ts", 0.1, (96207, 273.1, 289.0687414, 314.2)),
    ],
)
def test_golden_and_independent(name, stored, factor, golden):
    cube = amsr2.LPRM_AMSR2_D.open(FILE)
    check_values(cube)
    values = cube[name].values[0].astype("f8")
    with h5py.File(FILE) as file:
        raw = file[stored][:].astype("f8")
    # Dimensions are (Longitude, Latitude) in the file.
    assert raw.shape == (1440, 720)
    expected = np.where(raw == -32767, np.nan, raw * factor).T
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    valid = values[np.isfinite(values)]
    found = valid.size, valid.min(), valid.mean(), valid.max()
    np.testing.assert_allclose(found, golden, rtol=1e-6)


def test_cells_are_in_their_place():
    cube = amsr2.LPRM_AMSR2_D.open(FILE)
    assert grid_of(cube) == named_grid("latlon_0.25")
    with h5py.File(FILE) as file:
        np.testing.assert_allclose(cube["y"], file["Latitude"][:])
        np.testing.assert_allclose(cube["x"], file["Longitude"][:])
    sahara = amsr2.LPRM_AMSR2_D.open(FILE, region=(0.0, 20.0, 25.0, 28.0))["soil_moisture"]
    congo = amsr2.LPRM_AMSR2_D.open(FILE, region=(15.0, -3.0, 25.0, 3.0))["soil_moisture"]
    assert float(sahara.mean()) < 0.15 < 0.5 < float(congo.mean())
    assert sahara.chunks is not None


def test_day_is_that_of_the_scans_and_starts_at_midnight():
    cube = amsr2.LPRM_AMSR2_D.open(DATA, period=("2015-04-01", "2015-04-01"))
    assert cube["time"].values[0] == np.datetime64("2015-04-01T00:00")
    with h5py.File(FILE) as file:
        scans = file["scantime"][:]
    scans = np.datetime64("1993-01-01", "s") + scans[scans > 0].astype("m8[s]")
    assert set(scans.astype("M8[D]").tolist()) == {np.datetime64("2015-04-01").item()}
    with pytest.raises(NoOverlap):
        amsr2.LPRM_AMSR2_D.open(DATA, period=("2015-04-02", "2015-04-02"))


def test_quality_doubts_masked_and_saturated_values_and_nothing_unseen():
    cube = amsr2.LPRM_AMSR2_D.open(FILE)
    moisture, quality = cube["soil_moisture"].values[0], cube["quality"].values[0]
    with h5py.File(FILE) as file:
        mask, scan = file["mask"][:].T, file["scantime"][:].T
        assert "flag_meanings" not in file["mask"].attrs
    doubted = quality & QUALITY.mask("not_recommended") > 0
    np.testing.assert_array_equal(doubted[scan > 0], ((mask != 0) | (moisture >= 0.985))[scan > 0])
    assert (quality[scan == 0] == 0).all()
    assert np.isnan(moisture[scan == 0]).all()
    assert (doubted & (mask == 0)).sum() == 1085  # at the ceiling of 99 %


def test_days_in_any_order_and_the_same_day_twice(tmp_path):
    later = tmp_path / "LPRM-AMSR2_L3_D_SOILM3_V001_20150402004507.nc4"
    shutil.copy(FILE, later)
    again = shutil.copy(FILE, tmp_path)
    cube = amsr2.LPRM_AMSR2_D.open([later, FILE, again])
    np.testing.assert_array_equal(
        cube["time"].values, np.array(["2015-04-01", "2015-04-02"], "M8[ns]")
    )
    assert cube.attrs["duplicate_times_dropped"] == 1
    with pytest.raises(FileProblem, match="L3_A_SOILM3"):
        amsr2.LPRM_AMSR2_A.open(tmp_path)


def test_files_that_are_not(tmp_path):
    path = tmp_path / FILE.name
    path.write_bytes(FILE.read_bytes()[:300_000])
    with pytest.raises(FileProblem, match="cannot be read as LPRM_AMSR2_D"):
        amsr2.LPRM_AMSR2_D.open(path)
    shutil.copy(FILE, path)
    with h5py.File(path, "a") as file:
        file["soil_moisture_c1_error"].attrs["scale_factor"] = 1.0
    with pytest.raises(
        UnitProblem, match=r"found 'percent' times 1, expected 'percent' times 0.01"
    ):
        amsr2.LPRM_AMSR2_D.open(path)
    shutil.copy(FILE, path)
    with h5py.File(path, "a") as file:
        file["Latitude"][:] = file["Latitude"][:][::-1]
    with pytest.raises(FileProblem, match=r"Latitudes from -89\.875 to 89\.875, expected 720"):
        amsr2.LPRM_AMSR2_D.open(path)
    shutil.copy(FILE, path)
    with h5py.File(path, "a") as file:
        del file["soil_moisture_c1"]
    with pytest.raises(FileProblem, match="found no soil_moisture_c1, only Latitude, Longitude"):
        amsr2.LPRM_AMSR2_D.open(path)
    nameless = Path(shutil.copy(FILE, tmp_path / "day.nc4"))
    with pytest.raises(FileProblem, match="no date in its name"):
        amsr2.LPRM_AMSR2_D.open(nameless)
