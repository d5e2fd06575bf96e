"""MCD12C1 as GeoTIFF: the ellipsoid that is none, classes and years."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from vadose.errors import FileProblem, NoOverlap
from vadose.grids import grid_of, latlon
from vadose.products.landcover import MCD12C1
from vadose.schema import IGBP, check_values

NATIVE = Path(__file__).parents[2].parent / "shared" / "data" / "native" / "landcover"
needs_data = pytest.mark.skipif(not NATIVE.is_dir(), reason=f"no native files at {NATIVE}")


def write(path: Path, values: np.ndarray) -> Path:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        crs="+proj=longlat +ellps=clrk66 +no_defs",
        transform=Affine(1, 0, 0, 0, -1, 2),
        height=values.shape[0],
        width=values.shape[1],
        count=1,
        dtype=str(values.dtype),
    ) as file:
        file.write(values, 1)
    return path


@needs_data
def test_real_map():
    cube = MCD12C1.open(NATIVE)
    codes = cube["land_cover"]
    assert codes.chunks is not None
    counts = np.bincount(codes.values.ravel(), minlength=256)
    with rasterio.open(next(NATIVE.glob("*.tif"))) as file:
        raw = np.bincount(file.read(1).ravel(), minlength=256)
        assert "Clarke 1866" in file.crs.to_wkt()
    np.testing.assert_array_equal(counts, raw)
    assert counts[:17].sum() == 3600 * 7200
    # 71 % of the Earth is water; of equal-angle cells, less, as the poles are land and counted often.
    np.testing.assert_allclose(counts[0] / counts.sum(), 0.66, atol=0.02)
    assert grid_of(cube) == latlon(0.05)  # exactly the degrees, no shift between ellipsoids
    assert str(cube["time"].values[0])[:10] == "2019-01-01"
    check_values(cube)


@needs_data
def test_region_of_the_real_map():
    cube = MCD12C1.open(NATIVE, region=(100, -3, 103, 0))
    assert cube.sizes == {"time": 1, "y": 60, "x": 60}
    classes, counts = np.unique(cube["land_cover"], return_counts=True)
    forests = IGBP.code("evergreen_broadleaf_forests")
    assert classes[counts.argmax()] in (0, forests)  # Sumatra and the sea
    assert MCD12C1.open(NATIVE, region=(100, -3, 103, 0), period=("2019-07-01", "2019-07-02"))
    with pytest.raises(NoOverlap, match="2018"):
        MCD12C1.open(NATIVE, period=("2018-01-01", "2018-12-31"))


def test_years_join_in_order(tmp_path):
    for year, code in ((2020, 3), (2019, 2)):
        write(tmp_path / f"MCD12C1.A{year}001.tif", np.full((2, 2), code, "u1"))
    cube = MCD12C1.open(tmp_path)
    np.testing.assert_array_equal(cube["land_cover"].values[:, 0, 0], [2, 3])


def test_codes_that_are_no_class_are_missing(tmp_path):
    path = write(tmp_path / "MCD12C1.A2019001.tif", np.array([[16, 17], [254, 255]], "u1"))
    np.testing.assert_array_equal(
        MCD12C1.open(path)["land_cover"].values[0], [[16, 255], [255, 255]]
    )


def test_other_rasters_are_refused(tmp_path):
    with pytest.raises(FileProblem, match="type float32"):
        MCD12C1.open(write(tmp_path / "MCD12C1.A2019001.tif", np.ones((2, 2), "f4")))
    with pytest.raises(FileProblem, match="date None"):
        MCD12C1.open(write(tmp_path / "map.tif", np.ones((2, 2), "u1")))
