"""Files that are web pages, reach out of themselves, claim too much, or contradict themselves."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import dask
import h5py
import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_origin

from vadose.errors import FileProblem, GridProblem, VadoseError
from vadose.grids import latlon
from vadose.products import PRODUCTS
from vadose.products.decode import decode_values
from vadose.products.formats import RasterFile, open_raw
from vadose.products.hdf4_directory import check_directory
from vadose.products.integrity import check_file
from vadose.products.placement import place, place_on
from vadose.products.raster import open_raster
from vadose.products.raw import FileArray, MappedArray, Stored
from vadose.products.stamps import decode_times
from vadose.products.windows import decode, one_step, require_flags

MODIS = Path(__file__).parents[2].parent / "shared" / "data" / "native" / "modis"
TILES = sorted(MODIS.glob("*.hdf"))


def write_hdf5(path: Path, **datasets: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file.create_dataset(f"group/{name}", data=values)
    return path


def write_tiff(path: Path, **profile: object) -> Path:
    settings = {
        "driver": "GTiff", "height": 4, "width": 5, "count": 1, "dtype": "int16",
        "crs": "EPSG:4326", "transform": from_origin(10, 50, 0.1, 0.1),
    } | profile  # fmt: skip
    with rasterio.open(path, "w", **settings) as file:
        file.write(np.arange(20, dtype=settings["dtype"]).reshape(1, 4, 5))
    return path


# Texts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<!DOCTYPE html><p>Please log in", "a web page"),
        ("\n\n  <HTML><head>", "a web page"),
        ("\ufeff<html>", "a web page"),
        ("<VRTDataset rasterXSize='1'/>", "a text that may name other files"),
        ("<GDAL_WMS><Service/></GDAL_WMS>", "a text that may name other files"),
        ('{"type": "STACTA"}', "a text that may name other files"),
    ],
)
def test_texts_are_no_data_whatever_they_are_called(tmp_path, text, found):
    for name in ("a.nc", "a.h5", "a.tif", "a.hdf"):
        (tmp_path / name).write_text(text)
        with pytest.raises(FileProblem, match=rf"{name}: found {found}, expected data"):
            check_file(tmp_path / name)


def test_virtual_raster_of_ones_own_is_read_by_its_ending(tmp_path):
    write_tiff(tmp_path / "dem.tif")
    text = (
        '<VRTDataset rasterXSize="5" rasterYSize="4"><SRS>EPSG:4326</SRS>'
        "<GeoTransform>10, 0.1, 0, 50, 0, -0.1</GeoTransform>"
        '<VRTRasterBand dataType="Int16" band="1"><SimpleSource>'
        f"<SourceFilename>{tmp_path / 'dem.tif'}</SourceFilename><SourceBand>1</SourceBand>"
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    (tmp_path / "all.vrt").write_text(text)
    (tmp_path / "all.tif").write_text(text)
    srtm = PRODUCTS["SRTM"]
    xr.testing.assert_equal(srtm.open(tmp_path / "all.vrt"), srtm.open(tmp_path / "dem.tif"))
    with pytest.raises(FileProblem, match="may name other files"):
        srtm.open(tmp_path / "all.tif")


# HDF5 --------------------------------------------------------------------------------------------


def test_sound_file_passes(tmp_path):
    check_file(write_hdf5(tmp_path / "a.h5", sm=np.zeros((9, 9), "f4")))


def test_links_to_other_files_are_refused(tmp_path):
    write_hdf5(tmp_path / "secret.h5", sm=np.ones(3))
    with h5py.File(write_hdf5(tmp_path / "a.h5", lat=np.ones(3)), "r+") as file:
        file["group/sm"] = h5py.ExternalLink("secret.h5", "group/sm")
    with pytest.raises(FileProblem, match=r"a\.h5: found variable 'sm', which links to another"):
        check_file(tmp_path / "a.h5")


def test_data_stored_in_another_file_are_refused(tmp_path):
    (tmp_path / "secret.txt").write_bytes(b"x" * 80)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        stored = [(str(tmp_path / "secret.txt"), 0, 80)]
        file.create_dataset("sm", (10,), "f8", external=stored)
    with pytest.raises(FileProblem, match="variable 'sm', which is stored in another file"):
        check_file(tmp_path / "a.h5")


@pytest.mark.parametrize("shape", [(300_000, 400_000), (3_000_000_000,), (1, 70_000, 70_000)])
def test_what_was_never_stored_is_not_claimed(tmp_path, shape):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        chunks = tuple(min(size, 1000) for size in shape)
        file.create_dataset("sm", shape, "f4", chunks=chunks, compression="gzip")
    with pytest.raises(FileProblem, match=r"variable 'sm' of \d[\d,]+ bytes in 0 stored"):
        check_file(tmp_path / "a.h5")


def test_group_that_contains_itself_ends(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("a")
        group["again"] = group
    with pytest.raises(FileProblem, match="nested 17 deep"):
        check_file(tmp_path / "a.h5")


def test_soft_links_within_the_file_are_no_fault(tmp_path):
    with h5py.File(write_hdf5(tmp_path / "a.h5", sm=np.ones(3)), "r+") as file:
        file["other"] = h5py.SoftLink("/group/sm")
        file["nowhere"] = h5py.SoftLink("/not/there")
    check_file(tmp_path / "a.h5")


@pytest.mark.parametrize("attribute", ["DIMENSION_LIST", "DIMENSION_LABELS"])
@pytest.mark.parametrize("value", ["y x", 3.5, np.zeros((2, 2))])
def test_scales_of_another_type_are_refused_before_the_library_follows_them(
    tmp_path, attribute, value
):
    with h5py.File(write_hdf5(tmp_path / "a.h5", sm=np.zeros((3, 3))), "r+") as file:
        file["group/sm"].attrs[attribute] = value
    with (
        open_raw(tmp_path / "a.h5") as raw,
        pytest.raises(ValueError, match=f"{attribute} that is"),
    ):
        raw.variable("group/sm")


# Rasters -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transform", "found"),
    [
        (None, "no georeference"),
        (rasterio.Affine(0, 0, 5, 0, 0, 5), "cells of 0 by 0"),
        (rasterio.Affine(np.nan, 0, 5, 0, -1, 5), "cells of nan by -1"),
        (rasterio.Affine(1, 0.5, 5, 0, -1, 5), "a rotated grid"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # of writing it
def test_rasters_without_a_grid_are_refused(tmp_path, transform, found):
    profile = {"transform": transform} if transform is not None else {"transform": None}
    path = write_tiff(tmp_path / "a.tif", **profile)
    with pytest.raises(GridProblem, match=rf"a\.tif: found {found}, expected north up"):
        RasterFile(path)


def test_sparse_raster_of_terabytes_is_refused_at_once(tmp_path):
    profile = {
        "driver": "GTiff", "height": 300_000, "width": 400_000, "count": 1, "dtype": "int16",
        "crs": "EPSG:4326", "transform": from_origin(10, 50, 1e-5, 1e-5), "tiled": True,
        "SPARSE_OK": True, "BIGTIFF": "YES", "blockxsize": 4096, "blockysize": 4096,
    }  # fmt: skip
    with rasterio.open(tmp_path / "sand_0-5cm_mean.tif", "w", **profile):
        pass
    for name in ("SRTM", "SOILGRIDS"):
        with pytest.raises(FileProblem, match=r"found a raster of 240,000,000,000 bytes in"):
            PRODUCTS[name].open(tmp_path)


@pytest.mark.parametrize("scale", [0.0, np.nan])
def test_scale_that_loses_all_values_is_refused(tmp_path, scale):
    path = write_tiff(tmp_path / "a.tif")
    with rasterio.open(path, "r+") as file:
        file.scales = (scale,)
    with pytest.raises(FileProblem, match=r"a\.tif: found scale (0|nan), expected a number"):
        open_raster(path)


# HDF4 --------------------------------------------------------------------------------------------


@pytest.mark.skipif(not TILES, reason=f"no HDF4 files in {MODIS}")
def test_original_tiles_have_sound_directories():
    for path in TILES:
        check_directory(path)


def descriptors(path: Path) -> list[tuple[int, int, int, int, int]]:
    """List place, tag, reference, offset and length of the first block of descriptors."""
    content = path.read_bytes()
    count = struct.unpack_from(">H", content, 4)[0]
    rows = [(10 + 12 * n, *struct.unpack_from(">HHII", content, 10 + 12 * n)) for n in range(count)]
    return [row for row in rows if row[1] != 1]


def patched(path: Path, place: int, form: str, *values: int) -> Path:
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, place, *values)
    path.write_bytes(content)
    return path


@pytest.fixture
def tile(tmp_path):
    """Write a small HDF4 file with a compressed layer."""
    library = pytest.importorskip("pyhdf.SD", reason="pyhdf (extra products) is not installed")
    path = tmp_path / "a.hdf"
    file = library.SD(str(path), library.SDC.WRITE | library.SDC.CREATE)
    for name in ("one", "two"):
        layer = file.create(name, library.SDC.INT16, (20, 30))
        layer.setcompress(library.SDC.COMP_DEFLATE, 6)
        layer[:] = np.arange(600, dtype="i2").reshape(20, 30)
        layer.endaccess()
    file.end()
    check_directory(path)
    return path


def test_directory_that_contradicts_itself_is_refused(tile):
    whole, rows = tile.read_bytes(), descriptors(tile)
    version, special = rows[0], next(row for row in rows if row[1] & 0x4000)
    last = max(rows, key=lambda row: row[3] % 0xFFFFFFFF)
    cases = {
        "breaks off or repeats": [(6, ">I", 4), (6, ">I", len(whole) + 9), (4, ">H", 0)],
        "unknown kind 2043": [(version[0], ">H", 2043)],
        "two elements of one name": [(rows[1][0], ">HH", *rows[2][1:3])],
        "an element that ends at byte": [(last[0] + 8, ">I", last[4] + 10_000)],
        "lie across one another": [(rows[1][0] + 4, ">I", rows[2][3] + 1)],
        "stored in an unknown way": [(special[3], ">H", 77)],
        "compressed, whose header": [
            (special[3] + 8, ">H", 999),  # no such data
            (special[3] + 12, ">H", 77),  # no such coder
            (special[3] + 4, ">i", -1),
        ],
    }
    for found, changes in cases.items():
        for at, form, *values in changes:
            tile.write_bytes(whole)
            with pytest.raises(FileProblem, match=rf"a\.hdf: found .*{found}"):
                check_directory(patched(tile, at, form, *values))


def test_every_truncation_of_a_tile_is_noticed_before_the_library(tile):
    whole = tile.read_bytes()
    for size in range(6, len(whole) - 1, 97):
        tile.write_bytes(whole[:size])
        with pytest.raises(FileProblem, match="complete HDF4 file"):
            check_directory(tile)


@pytest.mark.skipif(not TILES, reason=f"no HDF4 files in {MODIS}")
def test_chunked_layers_are_compared_with_their_dimensions(tmp_path):
    path = tmp_path / "a.hdf"
    whole = next(MODIS.glob("MCD43A3*.hdf")).read_bytes()
    header = whole.index(bytes.fromhex("00050000003a00"))  # of the first chunked layer
    for at, form, value in (
        (2, ">I", 5000), (6, ">B", 9), (11, ">i", 5), (15, ">i", 5), (19, ">i", 0),
        (23, ">H", 30), (25, ">H", 60_000), (31, ">i", 77), (39, ">i", 2399), (43, ">i", 101),
    ):  # fmt: skip
        path.write_bytes(whole)
        with pytest.raises(FileProblem, match="in chunks, whose header"):
            check_directory(patched(path, header + at, form, value))


# Values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [MemoryError("no room"), KeyError("sm"), AttributeError("x")])
def test_whatever_is_raised_while_values_are_read_names_the_file(error):
    def fail(*arguments: object) -> np.ndarray:
        raise error

    array = FileArray("a.nc", "sm", (4, 8), np.dtype("f4"), (4, 8), fail)
    step = one_step(
        {"soil_moisture": lambda rows, columns: fail()}, latlon(45.0), np.datetime64("2020-01-01"),
        source=Path("a.nc"),
    )  # fmt: skip
    with pytest.raises(FileProblem, match=r"a\.nc: found variable 'sm' that cannot be read"):
        array.lazily().compute()
    with (
        dask.config.set(scheduler="synchronous"),
        pytest.raises(FileProblem, match=r"a\.nc: found values that cannot be read"),
    ):
        step.load()


def test_our_errors_pass_while_values_are_read():
    problem = GridProblem("a", found="b")

    def fail(rows: slice, columns: slice) -> np.ndarray:
        raise problem

    stamp = np.datetime64("2020-01-01")
    step = one_step({"ndvi": fail}, latlon(45.0), stamp, source=Path("a.nc"))
    with pytest.raises(VadoseError) as caught:
        step.load()
    assert caught.value is problem


def test_arrays_of_other_shapes_are_not_combined():
    def zeros(path: str, name: str, window: tuple[slice, ...]) -> np.ndarray:
        return np.zeros([part.stop - part.start for part in window])

    small, large = (
        FileArray("a.nc", "sm", shape, np.dtype("f8"), shape, zeros) for shape in ((4, 8), (400, 8))
    )
    with pytest.raises(ValueError, match=r"shapes \(4, 8\), \(400, 8\) of one grid"):
        MappedArray(np.add, small, large, dtype="f8")


@pytest.mark.parametrize(
    "values", [np.array(["40.125", "39.875"]), np.array([40j, 39j]), np.ones((2, 2))]
)
def test_coordinates_that_are_no_row_of_numbers_are_refused(values):
    x = np.array([10.0, 11.0])
    with pytest.raises(GridProblem, match=r"a\.nc: y: found coordinates of type"):
        place(values, x, crs="EPSG:4326", source="a.nc")
    with pytest.raises(GridProblem, match=r"a\.nc: latitude: found coordinates of type"):
        place_on(values, x, latlon(1.0), source="a.nc")


def test_times_that_are_no_numbers_are_refused():
    with pytest.raises(FileProblem, match=r"a\.nc: time: found type \|S6, expected numbers"):
        decode_times(np.array([b"123456"]), {"units": "days since 2000-01-01"}, source="a.nc")


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e300, 70_000.0, -40_000.0])
def test_fill_value_that_integers_cannot_hold_is_refused(number):
    array = FileArray("a.nc", "sm", (4,), np.dtype("i2"), (4,), lambda *_: np.zeros(4, "i2"))
    with pytest.raises(
        FileProblem, match=r"sm: found _FillValue .* of int16, expected a number of"
    ):
        decode_values(Stored(("x",), array, {"_FillValue": number}), source="sm")
    floats = replace(array, dtype=np.dtype("f4"))
    decode_values(Stored(("x",), floats, {"_FillValue": number}), source="sm")


def test_packing_by_several_numbers_is_refused():
    array = FileArray("a.nc", "sm", (4,), np.dtype("i2"), (4,), lambda *_: np.zeros(4, "i2"))
    with pytest.raises(FileProblem, match=r"sm: found attribute scale_factor = \[1.0, 2.0\]"):
        decode_values(Stored(("x",), array, {"scale_factor": np.array([1.0, 2.0])}), source="sm")


def test_several_numbers_mean_no_data():
    values, is_outside = decode(np.array([-9999.0, -1.0, 0.5]), fill=(-9999.0, -1.0), valid=(0, 1))
    assert np.isnan(values[:2]).all()
    assert not is_outside.any()


def test_flags_that_are_no_integers_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["ok"], file["wrong"] = np.zeros(3, "u2"), np.zeros(3, "?")
        require_flags(tmp_path / "a.h5", file["ok"])
        with pytest.raises(FileProblem, match=r"a\.h5: found wrong of type bool, expected integer"):
            require_flags(tmp_path / "a.h5", file["ok"], file["wrong"])
