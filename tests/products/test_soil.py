"""SoilGrids: real files in per cent, and small ones in g/kg as SoilGrids writes them."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from vadose.errors import FileProblem, NoOverlap
from vadose.grids import grid_of
from vadose.products.soil import SOILGRIDS
from vadose.schema import check_values

NATIVE = Path(__file__).parents[2].parent / "shared" / "data" / "native" / "soilgrids"
needs_data = pytest.mark.skipif(not NATIVE.is_dir(), reason=f"no native files at {NATIVE}")


def write(path: Path, values: np.ndarray, *, nodata=-32768, left: float = 0.0) -> Path:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        crs="ESRI:54052",  # Goode homolosine, the projection of SoilGrids
        transform=Affine(250, 0, left, 0, -250, 0),
        height=values.shape[0],
        width=values.shape[1],
        count=1,
        dtype=str(values.dtype),
        nodata=nodata,
    ) as file:
        file.write(values, 1)
    return path


@needs_data
def test_real_textures_sum_to_100():
    cube = SOILGRIDS.open(NATIVE)
    assert sorted(cube.data_vars) == ["clay", "sand", "silt"]  # not organic carbon, nor the model
    golden = {"sand": 30.130269, "silt": 23.877363, "clay": 45.992362}
    for name, mean in golden.items():
        with rasterio.open(NATIVE / f"bungo_{name}_0-5cm_mean.tif") as file:
            raw = file.read(1)
        np.testing.assert_array_equal(cube[name].values, raw)
        np.testing.assert_allclose(np.nanmean(raw, dtype="f8"), mean, rtol=1e-7)
        assert np.isfinite(raw).sum() == 460_544
        assert cube[name].attrs["depth_to"] == 0.05
        assert cube[name].chunks is not None
    total = cube["sand"] + cube["silt"] + cube["clay"]
    assert abs(float(total.max()) - 100) < 0.2
    assert grid_of(cube).crs.epsg == 32748
    check_values(cube)


def test_g_per_kg_become_per_cent(tmp_path):
    values = np.array([[-32768, 250], [1000, 0]], "i2")
    cube = SOILGRIDS.open(write(tmp_path / "sand_5-15cm_mean.tif", values))
    np.testing.assert_allclose(cube["sand"].values, [[np.nan, 25], [100, 0]])
    assert (cube["sand"].attrs["depth_from"], cube["sand"].attrs["depth_to"]) == (0.05, 0.15)


def test_small_integers_are_g_per_kg_too(tmp_path):
    """Sand of 8 g/kg is 0.8 %: integers are never per cent, as SoilGrids stores g/kg."""
    cube = SOILGRIDS.open(write(tmp_path / "sand_0-5cm_mean.tif", np.full((2, 2), 8, "i2")))
    np.testing.assert_allclose(cube["sand"].values, 0.8)


def test_fractions_above_100_are_g_per_kg(tmp_path):
    values = np.array([[450.5, np.nan]], "f4")
    cube = SOILGRIDS.open(write(tmp_path / "clay_0-5cm_mean.tif", values, nodata=np.nan))
    np.testing.assert_allclose(cube["clay"].values, [[45.05, np.nan]], rtol=1e-6)


def test_lost_nodata_tag_does_not_become_data(tmp_path):
    values = np.array([[-32768, 300]], "i2")
    cube = SOILGRIDS.open(write(tmp_path / "silt_0-5cm_mean.tif", values, nodata=None))
    np.testing.assert_allclose(cube["silt"].values, [[np.nan, 30]])


@pytest.mark.parametrize("value", [-32768, 5000])
def test_values_that_cannot_be_right_are_refused(tmp_path, value):
    path = write(tmp_path / "silt_0-5cm_mean.tif", np.full((2, 2), value, "i2"))
    with pytest.raises(FileProblem, match=r"silt_0-5cm_mean.*g/kg"):
        SOILGRIDS.open(path)


def test_layers_are_not_mixed(tmp_path):
    for name in ("sand_0-5cm_mean", "sand_5-15cm_mean", "clay_0-5cm_mean"):
        write(tmp_path / f"{name}.tif", np.full((2, 2), 300, "i2"))
    with pytest.raises(FileProblem, match=r"layers 0-0.05 m, 0.05-0.15 m"):
        SOILGRIDS.open(tmp_path)
    assert sorted(SOILGRIDS.open(str(tmp_path / "*_0-5cm_*")).data_vars) == ["clay", "sand"]


def test_tiles_of_a_property_mosaic(tmp_path):
    for name, left, value in (("west", 0, 100), ("east", 500, 200)):
        for kind in ("sand", "clay"):
            write(tmp_path / f"{kind}_0-5cm_{name}.tif", np.full((2, 2), value, "i2"), left=left)
    cube = SOILGRIDS.open(tmp_path)
    np.testing.assert_allclose(cube["clay"].values[0], [10, 10, 20, 20])
    with pytest.raises(NoOverlap):
        SOILGRIDS.open(tmp_path, region=(100, 10, 101, 11))


def test_name_without_property_is_refused(tmp_path):
    path = write(tmp_path / "soil.tif", np.full((2, 2), 300, "i2"))
    with pytest.raises(FileProblem, match="without a property and layer"):
        SOILGRIDS.open(path)
