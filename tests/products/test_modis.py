"""MODIS on original HDF-EOS2 files, on OPeNDAP netCDF, and on small files with one trap each."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr

from vadose.errors import FileProblem, GridProblem, MissingExtra, NoOverlap
from vadose.grids import grid_of
from vadose.products import hdf4
from vadose.products.modis import (
    MCD12Q1,
    MCD43A3,
    MOD11A1,
    MOD11A1_NIGHT,
    MOD13A2,
    PRODUCTS,
)
from vadose.schema import QUALITY, check_values

pyhdf = pytest.importorskip("pyhdf.SD", reason="pyhdf (extra products) is not installed")

NATIVE = Path(__file__).parents[2].parent / "shared" / "data" / "native" / "modis"
needs_data = pytest.mark.skipif(not NATIVE.is_dir(), reason=f"no native files at {NATIVE}")

STEP = 926.625433055833
TILE = 1200 * STEP


def raw_layer(name: str, layer: str) -> np.ndarray:
    file = pyhdf.SD(str(next(NATIVE.glob(name))))
    values = file.select(layer).get()
    file.end()
    return values


def write_hdf(
    path: Path,
    layers: dict[str, tuple[str, np.ndarray, dict]],
    grids: dict[str, tuple[int, float, float, float]],
    *,
    extra: str = "",
) -> Path:
    """Write an HDF-EOS2 look-alike: name → (grid, values, attributes); grid → (size, left, top, step)."""
    types = {"int16": 22, "uint16": 23, "uint8": 21, "int8": 20, "float32": 5}
    file = pyhdf.SD(str(path), pyhdf.SDC.WRITE | pyhdf.SDC.CREATE | pyhdf.SDC.TRUNC)
    for name, (grid, values, attributes) in layers.items():
        layer = file.create(name, types[str(values.dtype)], values.shape)
        for axis, dim in enumerate(("YDim", "XDim")):
            layer.dim(axis).setname(f"{dim}:{grid}")
        for key, value in attributes.items():
            setattr(layer, key, value)
        layer[:] = values
        layer.endaccess()
    text = "GROUP=GridStructure\n"
    for number, (grid, (size, left, top, step)) in enumerate(grids.items(), 1):
        text += (
            f'\tGROUP=GRID_{number}\n\t\tGridName="{grid}"\n\t\tXDim={size}\n\t\tYDim={size}\n'
            f"\t\tUpperLeftPointMtrs=({left:.6f},{top:.6f})\n"
            f"\t\tLowerRightMtrs=({left + size * step:.6f},{top - size * step:.6f})\n"
            "\t\tProjection=GCTP_SNSOID\n\t\tProjParams=(6371007.181000,0,0)\n"
            f"\tEND_GROUP=GRID_{number}\n"
        )
    setattr(file, "StructMetadata.0", text + "END_GROUP=GridStructure\n")
    if extra:
        setattr(file, "CoreMetadata.0", extra)
    file.end()
    return path


def write_ndvi(path: Path, value: int, *, left: float = 0.0, size: int = 4, **changes) -> Path:
    """Write an MOD13A2 look-alike of one value."""
    settings = {"scale_factor": 10000.0, "dtype": "int16", **changes}
    values = np.full((size, size), value, settings["dtype"])
    layers = {
        "1 km 16 days NDVI": ("VI", values, {"scale_factor": settings["scale_factor"]}),
        "1 km 16 days VI Quality": ("VI", np.full((size, size), 2112, "u2"), {}),
        "1 km 16 days pixel reliability": ("VI", np.zeros((size, size), "i1"), {}),
    }
    grid = (size, left, settings.get("top", 5e6), STEP)
    return write_hdf(path, layers, {"VI": grid}, extra=settings.get("extra", ""))


@needs_data
@pytest.mark.parametrize(
    ("product", "name", "variable", "layer", "scale", "fill", "count", "mean"),
    [
        (MOD13A2, "MOD13A2.A2016145*", "ndvi", "1 km 16 days NDVI", 1e-4, -3000, 40515, 0.783028),
        (MOD13A2, "MOD13A2.A2021225*", "ndvi", "1 km 16 days NDVI", 1e-4, -3000, 12026, 0.468653),
        (MOD11A1, "MOD11A1.A2021*.hdf", "land_surface_temperature", "LST_Day_1km", 0.02, 0, 63129, 298.2571),
        (MOD11A1_NIGHT, "MOD11A1.A2021*.hdf", "land_surface_temperature", "LST_Night_1km", 0.02, 0, 60453, 290.8549),
        (MCD43A3, "MCD43A3*", "albedo_black_sky", "Albedo_BSA_shortwave", 1e-3, 32767, 14815, 0.1218637),
        (MCD43A3, "MCD43A3*", "albedo_white_sky", "Albedo_WSA_shortwave", 1e-3, 32767, 14815, 0.1403690),
    ],
)  # fmt: skip
def test_original_files_give_their_raw_numbers_scaled(
    product, name, variable, layer, scale, fill, count, mean
):
    cube = product.open(NATIVE / next(NATIVE.glob(name)).name)
    values = cube[variable].values[0]
    raw = raw_layer(name, layer)
    assert cube[variable].dtype == np.float32
    assert np.isfinite(values).sum() == count == (raw != fill).sum()
    np.testing.assert_allclose(np.nanmean(values, dtype="f8"), mean, rtol=2e-6)
    np.testing.assert_allclose(values[raw != fill], raw[raw != fill] * scale, rtol=1e-6)
    # Where the product gives no value, its quality says so; where it does, it does not.
    failed = cube["quality"].values[0] & QUALITY.mask("retrieval_failed")
    assert ((failed != 0) == np.isnan(values)).mean() > 0.9999
    check_values(cube)


@needs_data
def test_files_are_read_only_when_asked_for():
    cube = MCD43A3.open(NATIVE)
    assert all(cube[name].chunks is not None for name in cube.data_vars)
    assert cube.sizes == {"time": 1, "y": 2400, "x": 2400}


@needs_data
def test_tile_lies_where_its_number_says():
    # h11v06: columns 11 of 36, rows 6 of 18; corner from the tile numbers, not from the metadata.
    grid = grid_of(MOD13A2.open(NATIVE / "MOD13A2.A2021225.h11v06.061.2021320163717.hdf"))
    assert tuple(grid.shape) == (1200, 1200)
    np.testing.assert_allclose(
        (grid.affine.c, grid.affine.f), ((11 - 18) * TILE, (9 - 6) * TILE), atol=0.01
    )
    np.testing.assert_allclose(grid.affine.a, STEP, rtol=1e-9)
    # The bounds that GDAL derived for a cropped band of a tile lie on the same lattice.
    with rasterio.open(next(NATIVE.glob("MOD11A1.A2022103*.TIF"))) as source:
        shift = (source.transform.c - grid.affine.c) / STEP
    assert abs(shift - round(shift)) < 0.01


@needs_data
def test_cropped_file_has_its_own_corner():
    cube = MOD13A2.open(NATIVE / "MOD13A2.A2016145.h18v04.006.2016166145124.hdf")
    grid = grid_of(cube)
    assert tuple(grid.shape) == (185, 219)
    np.testing.assert_allclose((grid.affine.c, grid.affine.f), (670117.907295, 5608858.446491))
    assert cube["time"].values[0] == np.datetime64("2016-05-24")


@needs_data
def test_crop_of_another_lattice_does_not_mosaic():
    with pytest.raises(GridProblem, match="off one lattice"):
        MOD13A2.open(NATIVE)


@needs_data
def test_land_cover_turns_water_17_into_0_and_keeps_no_class():
    cube = MCD12Q1.open(NATIVE)
    raw = raw_layer("MCD12Q1*", "LC_Type1")
    codes = cube["land_cover"].values[0]
    assert codes.dtype == np.uint8
    assert (codes == 0).sum() == (raw == 17).sum() == 5233324
    assert (codes == 255).sum() == (raw == 255).sum() == 526655
    assert (codes == 11).sum() == 11
    doubted = cube["quality"].values[0] == QUALITY.mask("not_recommended")
    assert doubted.sum() == 21  # all land of this tile was filled in
    check_values(cube)


@needs_data
def test_temperature_quality_names_clouds():
    quality = MOD11A1.open(NATIVE / "MOD11A1.A2021227.h11v05.061.2021228105320.hdf")["quality"]
    control = raw_layer("MOD11A1.A2021*.hdf", "QC_Day")
    cloud = QUALITY.mask("retrieval_failed", "cloud")
    assert (quality.values[0] == cloud).sum() == ((control & 3) == 2).sum() == 793873
    assert (quality.values[0] == 0).sum() == 62900


@needs_data
def test_opendap_netcdf_with_text_attributes():
    name = "MOD11A1.061.2017001_2017030.h17v08.nc4"
    cube = MOD11A1.open(NATIVE / name)
    with xr.open_dataset(NATIVE / name, engine="h5netcdf", mask_and_scale=False) as source:
        raw = source["LST_Day_1km"].values
        left = source["XDim"].values[0]
    values = cube["land_surface_temperature"].values
    assert cube.sizes == {"time": 30, "y": 86, "x": 49}
    assert (raw == 0).sum() == np.isnan(values).sum() == 33995  # 0 is the fill, and is not -273 °C
    np.testing.assert_allclose(np.nanmean(values, dtype="f8"), 306.758886, rtol=1e-7)
    assert str(cube["time"].values[29])[:10] == "2017-01-30"
    assert "quality" not in cube
    assert "no quality layer" in cube.attrs["quality"]
    np.testing.assert_allclose(cube["x"].values[0], left, atol=1e-3)
    check_values(cube)


@needs_data
def test_region_and_period_select():
    name = NATIVE / "MOD11A1.061.2017001_2017030.h17v08.nc4"
    cube = MOD11A1.open(name, region=(-5.7, 9.0, -5.5, 9.2), period=("2017-01-05", "2017-01-07"))
    assert cube.sizes["time"] == 3
    assert cube.sizes["y"] == 24
    with pytest.raises(NoOverlap, match="region"):
        MOD11A1.open(name, region=(100, 0, 101, 1))
    with pytest.raises(NoOverlap, match="2016"):
        MOD13A2.open(NATIVE, period=("2016-01-01", "2016-01-02"))


@needs_data
def test_cropped_band_of_another_layer_is_refused():
    with pytest.raises(FileProblem, match="no readable HDF4 file"):
        MOD11A1.open(next(NATIVE.glob("MOD11A1*.TIF")))
    with pytest.raises(FileProblem, match=r"LST_Day_6km.*expected one named 'LST_Day_1km'"):
        MOD11A1.open(next(NATIVE.glob("MOD11B2*")))


@needs_data
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_truncated_file_is_named(tmp_path, share):
    source = next(NATIVE.glob("MOD11A1.A2021*.hdf"))
    content = source.read_bytes()
    path = tmp_path / source.name
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(FileProblem, match=r"MOD11A1\.A2021227"):
        MOD11A1.open(path)["land_surface_temperature"].load(scheduler="synchronous")


def test_scale_factor_that_divides_or_multiplies(tmp_path):
    for number, scale in enumerate((10000.0, 0.0001)):
        path = write_ndvi(
            tmp_path / f"MOD13A2.A20200{number}1.h18v04.hdf", 5000, scale_factor=scale
        )
        assert MOD13A2.open(path)["ndvi"].values.max() == np.float32(0.5)


@pytest.mark.parametrize("scale", [0.02, -1.0, float("nan"), "NA"])
def test_absurd_scale_factor_is_refused(tmp_path, scale):
    path = write_ndvi(tmp_path / "MOD13A2.A2020001.h18v04.hdf", 5000, scale_factor=scale)
    with pytest.raises(FileProblem, match=r"MOD13A2.A2020001.*NDVI.*scale_factor"):
        MOD13A2.open(path)


def test_wrong_type_is_refused(tmp_path):
    path = write_ndvi(tmp_path / "MOD13A2.A2020001.h18v04.hdf", 1, dtype="float32")
    with pytest.raises(FileProblem, match="float32"):
        MOD13A2.open(path)


def test_values_out_of_range_are_gaps_with_a_reason(tmp_path):
    path = write_ndvi(tmp_path / "MOD13A2.A2020001.h18v04.hdf", 20000)
    cube = MOD13A2.open(path)
    assert np.isnan(cube["ndvi"].values).all()
    assert (cube["quality"].values == QUALITY.mask("out_of_range")).all()


def test_layer_lies_on_its_own_grid_of_two(tmp_path):
    layers = {
        "Albedo": ("fine", np.ones((8, 8), "i2"), {}),
        "1 km 16 days NDVI": ("VI", np.full((4, 4), 100, "i2"), {}),
    }
    grids = {"fine": (8, 0.0, 1e6, STEP / 2), "VI": (4, 5e5, 2e6, STEP)}
    path = write_hdf(tmp_path / "MOD13A2.A2020001.h18v04.hdf", layers, grids)
    grid = grid_of(MOD13A2.open(path))
    assert (tuple(grid.shape), grid.affine.c) == ((4, 4), 5e5)


def test_grid_that_does_not_fit_the_layer_is_refused(tmp_path):
    layers = {"1 km 16 days NDVI": ("VI", np.ones((4, 4), "i2"), {})}
    with pytest.raises(FileProblem, match=r"\(5, 5\) cells.*\(4, 4\)"):
        MOD13A2.open(
            write_hdf(tmp_path / "MOD13A2.A2020001.hdf", layers, {"VI": (5, 0.0, 1e6, STEP)})
        )
    with pytest.raises(FileProblem, match="no grid 'VI'"):
        MOD13A2.open(write_hdf(tmp_path / "MOD13A2.A2020017.hdf", layers, {}))


def test_date_comes_from_the_metadata_when_the_name_has_none(tmp_path):
    text = '\nOBJECT = RANGEBEGINNINGDATE\n NUM_VAL = 1\n VALUE = "2020-01-17"\nEND_OBJECT'
    path = write_ndvi(tmp_path / "MOD13A2_renamed.hdf", 1, extra=text)
    assert str(MOD13A2.open(path)["time"].values[0])[:10] == "2020-01-17"
    with pytest.raises(FileProblem, match="no date"):
        MOD13A2.open(write_ndvi(tmp_path / "MOD13A2_other.hdf", 1))


def test_tiles_of_a_date_mosaic_and_dates_line_up(tmp_path):
    size = 4
    for name, value, left in [
        ("A2020017.h19v04", 4000, size * STEP),
        ("A2020001.h19v04", 3000, size * STEP),
        ("A2020017.h18v04", 2000, 0.0),
        ("A2020001.h18v04", 1000, 0.0003),  # corners in metadata differ by a fraction of a mm
    ]:
        write_ndvi(tmp_path / f"MOD13A2.{name}.061.hdf", value, left=left)
    cube = MOD13A2.open(tmp_path)
    assert cube.sizes == {"time": 2, "y": 4, "x": 8}
    np.testing.assert_allclose(cube["ndvi"].values[:, 0, ::4], [[0.1, 0.3], [0.2, 0.4]])
    assert cube.attrs["number_of_tiles"] == 2
    assert (cube["time"].diff("time") == np.timedelta64(16, "D")).all()


def test_missing_tile_of_a_date_is_a_gap(tmp_path):
    write_ndvi(tmp_path / "MOD13A2.A2020001.h18v04.hdf", 1000)
    write_ndvi(tmp_path / "MOD13A2.A2020017.h19v04.hdf", 2000, left=4 * STEP)
    values = MOD13A2.open(tmp_path)["ndvi"].values[:, 0, ::4]
    np.testing.assert_allclose(values, [[0.1, np.nan], [np.nan, 0.2]])


def test_the_same_tile_and_date_twice_counts_once(tmp_path):
    write_ndvi(tmp_path / "MOD13A2.A2020001.h18v04.006.hdf", 1000)
    write_ndvi(tmp_path / "MOD13A2.A2020001.h18v04.061.hdf", 2000)
    cube = MOD13A2.open(tmp_path)
    assert cube.sizes["time"] == 1
    assert cube["ndvi"].values.max() == np.float32(0.2)  # the later version
    assert cube.attrs["duplicate_times_dropped"] == 1


def test_tiles_outside_the_region_are_left_out(tmp_path):
    write_ndvi(tmp_path / "MOD13A2.A2020001.h18v04.hdf", 1000)
    write_ndvi(tmp_path / "MOD13A2.A2020001.h30v04.hdf", 2000, left=8e6)
    cube = MOD13A2.open(tmp_path, region=(-1, 44, 1, 45))
    assert cube.sizes["x"] <= 4
    with pytest.raises(NoOverlap):
        MOD13A2.open(tmp_path, region=(-60, -10, -59, -9))


def test_composite_belongs_to_the_period_its_days_touch(tmp_path):
    write_ndvi(tmp_path / "MOD13A2.A2020001.h18v04.hdf", 1000)
    write_ndvi(tmp_path / "MOD13A2.A2020017.h18v04.hdf", 2000)
    cube = MOD13A2.open(tmp_path, period=("2020-01-10", "2020-01-12"))
    assert cube["ndvi"].values.max() == np.float32(0.1)
    assert MOD13A2.open(tmp_path, period=("2020-01-16", "2020-01-17")).sizes["time"] == 2


def test_pixel_reasons_of_a_file_reach_the_cube(tmp_path):
    reliability = np.array([[0, 1], [2, 3]], "i1")
    layers = {
        "1 km 16 days NDVI": ("VI", np.full((2, 2), 100, "i2"), {}),
        "1 km 16 days VI Quality": ("VI", np.full((2, 2), 2112, "u2"), {}),
        "1 km 16 days pixel reliability": ("VI", reliability, {}),
    }
    path = write_hdf(tmp_path / "MOD13A2.A2020001.hdf", layers, {"VI": (2, 0.0, 1e6, STEP)})
    expected = [
        [0, QUALITY.mask("other")],
        [QUALITY.mask("snow", "not_recommended"), QUALITY.mask("cloud", "not_recommended")],
    ]
    np.testing.assert_array_equal(MOD13A2.open(path)["quality"].values[0], expected)


def test_without_pyhdf_the_extra_is_named(monkeypatch, tmp_path):
    path = write_ndvi(tmp_path / "MOD13A2.A2020001.h18v04.hdf", 1)
    hdf4._library.cache_clear()
    monkeypatch.setitem(sys.modules, "pyhdf.SD", None)
    with pytest.raises(MissingExtra, match=r"pyhdf.*vadose\[products\]"):
        MOD13A2.open(path)


def test_broken_files_are_refused_by_name(tmp_path):
    text = tmp_path / "MOD13A2.A2020001.h18v04.hdf"
    text.write_text("Please log in")
    with pytest.raises(FileProblem, match=r"MOD13A2.A2020001.*no readable HDF4"):
        MOD13A2.open(text)
    shutil.copy(write_ndvi(tmp_path / "x.hdf", 1), tmp_path / "MCD43A3.A2020001.h18v04.hdf")
    with pytest.raises(FileProblem, match="Albedo_BSA_shortwave"):
        MCD43A3.open(tmp_path / "MCD43A3.A2020001.h18v04.hdf")
    netcdf = tmp_path / "MOD11A1.A2020001.nc4"
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(netcdf, engine="h5netcdf")
    with pytest.raises(FileProblem, match="YDim"):
        MOD11A1.open(netcdf)


def test_records_are_complete():
    for name, product in PRODUCTS.items():
        assert name == product.name
        assert product.citation
        assert product.licence
        assert product.time_meaning
        assert product.variables
