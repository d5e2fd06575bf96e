"""What is written is what was given, or nothing: exact round trips and whole results only."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vadose.errors import CubeProblem, FileProblem, UnitProblem
from vadose.grids import coordinates, grid_of, latlon, named_grid
from vadose.schema import ORIGIN, QUALITY, VARIABLES
from vadose.store import (
    encoding,
    netcdf,
    open_cube,
    open_netcdf,
    partials,
    replaced,
    seal,
    sha256,
    write_cube,
    write_netcdf,
)

GRIDS = {
    "latlon": latlon(0.1, (5.0, 44.0, 5.9, 44.7)),
    "EASE2": named_grid("EASE2_9km")[300:307, 1200:1209],
}
FORMATS: dict[str, tuple[Callable[..., Path], Callable[[Path], xr.Dataset]]] = {
    "zarr": (write_cube, open_cube),
    "nc": (write_netcdf, open_netcdf),
}
each_format = pytest.mark.parametrize("suffix", FORMATS)


def make_cube(days: int = 5, members: int = 0, resolution: str = "us", grid: str = "EASE2") -> Any:
    """Make a cube with gaps, static and time variables, flags, and every kind of attribute."""
    rng = np.random.default_rng(7)
    geobox = GRIDS[grid]
    shape = (days, *geobox.shape)
    moisture = rng.random((members, *shape) if members else shape, dtype="f4")
    moisture[rng.random(moisture.shape) < 0.2] = np.nan
    origin = np.where(np.isnan(moisture), 0, 1).astype("u1")
    dims = ("time", "y", "x")
    with_member = ("member", *dims) if members else dims

    def attributes(name: str, **more: object) -> dict[str, object]:
        return {**VARIABLES[name].attributes(), **more}

    start = np.datetime64("2019-07-01", resolution)
    cube = xr.Dataset(
        {
            "soil_moisture": (
                with_member,
                moisture,
                attributes(
                    "soil_moisture", depth_from=0.0, depth_to=0.05, ancillary_variables="origin"
                ),
            ),
            "origin": (with_member, origin, attributes("origin", **ORIGIN.attributes())),
            "quality": (
                dims,
                rng.integers(0, 8192, shape).astype("u2"),
                attributes("quality", **QUALITY.attributes()),
            ),
            "elevation": (dims[1:], rng.normal(500, 9, shape[1:]), attributes("elevation")),
        },
        coords={
            **coordinates(geobox),
            "time": start + np.arange(days) * np.timedelta64(1, "D"),
            "overpass": ("time", start + np.arange(days) * np.timedelta64(90061, "s")),
        },
        attrs={"title": "made for a test", "seed": 7},
    )
    if members:
        cube = cube.assign_coords(member=np.arange(members))
    cube["time"].attrs = {"standard_name": "time", "long_name": "start of the day"}
    return cube


def bits(array: xr.DataArray) -> tuple[object, ...]:
    """Give what must not change: type, dims and bytes, all NaN being one."""
    values = np.where(np.isnan(array.values), np.nan, array.values)
    return array.dims, array.dtype, values.astype(array.dtype).tobytes()


def assert_same(found: xr.Dataset, expected: xr.Dataset) -> None:
    xr.testing.assert_identical(found.compute(), expected.compute())
    for name in expected.variables:
        assert found[name].dtype == expected[name].dtype, name
        if found[name].dtype.kind in "fiu":
            assert bits(found[name]) == bits(expected[name]), name
    assert grid_of(found) == grid_of(expected)


# --- round trips ---


@pytest.mark.parametrize(
    ("grid", "members", "resolution"),
    [("latlon", 0, "s"), ("latlon", 3, "ms"), ("EASE2", 0, "us"), ("EASE2", 3, "ns")],
)
def test_zarr_gives_the_same_cube(tmp_path: Path, grid: str, members: int, resolution: str) -> None:
    cube = make_cube(members=members, resolution=resolution, grid=grid)
    assert_same(open_cube(write_cube(cube, tmp_path / "cube.zarr")), cube)


@pytest.mark.parametrize("members", [0, 3])
def test_netcdf_gives_the_same_cube(tmp_path: Path, members: int) -> None:
    cube = make_cube(members=members, resolution="s")
    assert_same(open_netcdf(write_netcdf(cube, tmp_path / "cube.nc")), cube)


@each_format
def test_flags_keep_their_type(tmp_path: Path, suffix: str) -> None:
    write, read = FORMATS[suffix]
    found = read(write(make_cube(), tmp_path / f"cube.{suffix}"))
    assert found["origin"].attrs["flag_values"].dtype == np.uint8
    assert found["quality"].attrs["flag_masks"].dtype == np.uint16
    assert type(found["soil_moisture"].attrs["depth_to"]) is float
    assert type(found.attrs["seed"]) is int


@each_format
def test_what_is_opened_is_lazy_and_can_be_written_again(tmp_path: Path, suffix: str) -> None:
    write, read = FORMATS[suffix]
    cube = make_cube(resolution="s")
    first = read(write(cube, tmp_path / f"one.{suffix}"))
    assert all(array.chunks for array in first.data_vars.values())
    assert_same(read(write(first, tmp_path / f"two.{suffix}")), cube)


@each_format
def test_packing_of_the_source_does_not_round_the_values(tmp_path: Path, suffix: str) -> None:
    write, read = FORMATS[suffix]
    cube = make_cube(resolution="s")
    cube["soil_moisture"].encoding = {"dtype": "i2", "scale_factor": 0.01, "_FillValue": -9999}
    cube["time"].encoding = {"units": "weeks since 2019-01-01", "dtype": "i4"}
    cube["soil_moisture"].attrs["grid_mapping"] = "crs"
    found = read(write(cube, tmp_path / f"cube.{suffix}"))
    del cube["soil_moisture"].attrs["grid_mapping"]
    assert_same(found, cube)


@each_format
def test_a_part_of_a_cube_tells_its_own_place(tmp_path: Path, suffix: str) -> None:
    write, read = FORMATS[suffix]
    part = make_cube(resolution="s").isel(y=slice(2, 6), x=slice(3, 4))
    found = read(write(part, tmp_path / f"part.{suffix}"))
    assert grid_of(found) == grid_of(part) == GRIDS["EASE2"][2:6, 3:4]
    transform = [float(number) for number in found["spatial_ref"].attrs["GeoTransform"].split()]
    assert transform[0] == grid_of(part).affine.c
    assert transform[3] == grid_of(part).affine.f


@each_format
@pytest.mark.parametrize("kind", ["U", "O"])
def test_members_may_have_names(tmp_path: Path, suffix: str, kind: str) -> None:
    write, read = FORMATS[suffix]
    names = np.array(["forest", "cnn"], dtype=kind)
    cube = make_cube(members=2).assign_coords(member=names)
    found = read(write(cube, tmp_path / f"cube.{suffix}"))
    assert list(found["member"].values) == ["forest", "cnn"]
    assert found["member"].dtype.kind == "U"


def test_static_and_empty_cubes(tmp_path: Path) -> None:
    cube = make_cube()[["elevation"]].drop_vars("time", errors="ignore")
    assert_same(open_cube(write_cube(cube, tmp_path / "static.zarr")), cube)
    assert_same(open_netcdf(write_netcdf(cube, tmp_path / "static.nc")), cube)
    bare = xr.Dataset(coords=coordinates(GRIDS["latlon"]))
    assert_same(open_cube(write_cube(bare, tmp_path / "bare.zarr")), bare)


def test_negative_zero_infinity_and_nan_chunks(tmp_path: Path) -> None:
    cube = make_cube(days=4)
    cube["soil_moisture"].values[0] = -0.0
    cube["soil_moisture"].values[1] = np.nan
    cube["soil_moisture"].values[2, 0] = np.inf
    path = write_cube(cube.chunk(time=1), tmp_path / "cube.zarr")
    assert_same(open_cube(path), cube)
    assert not (path / "soil_moisture/c/1").exists()  # gaps alone take no file


FLOATS = {"f4": "soil_moisture", "f8": "land_surface_temperature"}
CODES = {"i1": "land_cover", "u1": "origin", "i4": "is_frozen", "u2": "quality"}


@st.composite
def cubes(draw: st.DrawFn) -> xr.Dataset:
    """Draw small cubes over all dims, types, values, time resolutions and chunks."""
    sizes = {name: draw(st.integers(1, 4)) for name in ("member", "time", "y", "x")}
    step = draw(st.sampled_from([1.0, 0.25, 0.1]))
    grid = latlon(step, (10.0, 20.0, 10.0 + sizes["x"] * step, 20.0 + sizes["y"] * step))
    table = {**FLOATS, **CODES}
    cube = xr.Dataset(coords=coordinates(grid))
    for dtype in draw(st.lists(st.sampled_from(sorted(table)), min_size=1, unique=True)):
        leading = draw(st.sampled_from([(), ("time",), ("member",), ("member", "time")]))
        dims = (*leading, "y", "x")
        shape = tuple(sizes[dim] for dim in dims)
        name = table[dtype]
        values = draw(arrays.arrays(dtype, shape))
        cube[name] = (dims, values, VARIABLES[name].attributes())
    if "time" in cube.dims:
        resolution = draw(st.sampled_from(["s", "ms", "us", "ns"]))
        stamps = draw(
            st.lists(
                st.integers(0, 10**9), min_size=sizes["time"], max_size=sizes["time"], unique=True
            )
        )
        cube = cube.assign_coords(time=np.array(sorted(stamps)).astype(f"M8[{resolution}]"))
    chunks = {dim: draw(st.integers(1, size)) for dim, size in cube.sizes.items()}
    return cube.chunk(chunks) if draw(st.booleans()) else cube


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cube=cubes())
def test_any_cube_comes_back(tmp_path: Path, cube: xr.Dataset) -> None:
    assert_same(open_cube(write_cube(cube, tmp_path / "cube.zarr", overwrite=True)), cube)
    found = open_netcdf(write_netcdf(cube, tmp_path / "cube.nc", overwrite=True))
    xr.testing.assert_identical(found.compute(), cube.compute())


# --- chunks ---


@pytest.mark.parametrize("time_chunks", [(5,), (2, 2, 1), (1, 3, 1), (3, 2)])
def test_values_do_not_depend_on_chunks(tmp_path: Path, time_chunks: tuple[int, ...]) -> None:
    cube = make_cube()
    lazy = cube.chunk(time=time_chunks, y=3)
    found = open_cube(write_cube(lazy, tmp_path / "cube.zarr"))
    assert_same(found, cube)
    assert found["soil_moisture"].chunks[0][0] == max(time_chunks)
    assert found["soil_moisture"].chunks[1] == (3, 3, 1)


def test_equal_cubes_make_equal_files(tmp_path: Path) -> None:
    hashes = {sha256(write_cube(make_cube(), tmp_path / f"{number}.zarr")) for number in range(3)}
    assert len(hashes) == 1


def test_huge_chunks_are_halved_until_codecs_can_take_them() -> None:
    array = xr.DataArray(
        da.zeros((100, 4000, 4000), chunks=-1, dtype="f4"), dims=("time", "y", "x")
    )
    sizes = encoding._chunks(array)
    assert sizes == {"time": 100, "y": 500, "x": 1000} or sizes == {
        "time": 100,
        "y": 1000,
        "x": 500,
    }


def test_arrays_in_memory_get_our_chunks() -> None:
    array = xr.Variable(("member", "time", "y", "x"), np.zeros((2, 40, 300, 9), "u1"))
    assert encoding._chunks(array) == {"member": 1, "time": 32, "y": 256, "x": 9}


# --- what others see ---


def test_store_follows_cf(tmp_path: Path) -> None:
    group = zarr.open_group(write_cube(make_cube(), tmp_path / "cube.zarr"), mode="r")
    assert group.metadata.zarr_format == 3
    assert group.metadata.consolidated_metadata is None
    assert group.attrs["Conventions"] == "CF-1.11"
    for name in ("soil_moisture", "origin", "quality", "elevation"):
        assert group[name].attrs["grid_mapping"] == "spatial_ref"
    assert group["spatial_ref"].attrs["grid_mapping_name"] == "lambert_cylindrical_equal_area"
    assert group["time"].attrs["units"] == "microseconds since 1970-01-01"
    assert np.isnan(group["soil_moisture"].fill_value)


def test_netcdf_follows_cf(tmp_path: Path) -> None:
    path = write_netcdf(make_cube(), tmp_path / "cube.nc")
    raw = xr.open_dataset(path, engine="h5netcdf", decode_cf=False)
    assert raw.attrs["Conventions"] == "CF-1.11"
    assert raw["elevation"].attrs["grid_mapping"] == "spatial_ref"
    assert np.isnan(raw["soil_moisture"].attrs["_FillValue"])
    assert raw["soil_moisture"].attrs["_FillValue"].dtype == np.float32
    assert "_FillValue" not in raw["y"].attrs
    assert raw["time"].attrs["units"] == "days since 1970-01-01"
    assert raw["overpass"].attrs["units"] == "seconds since 1970-01-01"
    assert raw["quality"].attrs["flag_masks"].dtype == raw["quality"].dtype
    assert raw["soil_moisture"].encoding["zlib"]
    raw.close()


@pytest.mark.parametrize(
    ("stamp", "word"),
    [
        ("2019-07-01", "days"),
        ("2019-07-01T06", "hours"),
        ("2019-07-01T06:30", "minutes"),
        ("2019-07-01T06:30:01", "seconds"),
        ("2019-07-01T06:30:01.001", "milliseconds"),
        ("2019-07-01T06:30:01.000001", "microseconds"),
        ("2019-07-01T06:30:01.000000001", "nanoseconds"),
    ],
)
def test_netcdf_times_are_whole_numbers_of_the_longest_unit(stamp: str, word: str) -> None:
    times = xr.DataArray(np.array(["1999-01-01", stamp], dtype="M8[ns]"), dims="time")
    assert encoding._time_unit(times) == word


# --- refusals ---


@each_format
def test_a_cube_is_checked_before_anything_is_written(tmp_path: Path, suffix: str) -> None:
    write, _ = FORMATS[suffix]
    cube = make_cube()
    cube["soil_moisture"].attrs["units"] = "percent"
    with pytest.raises(UnitProblem, match="unit 'percent'"):
        write(cube, tmp_path / f"cube.{suffix}")
    without_crs = make_cube()
    without_crs["spatial_ref"].attrs = {}
    with pytest.raises(CubeProblem, match="spatial_ref with its CRS"):
        write(without_crs, tmp_path / f"cube.{suffix}")
    assert list(tmp_path.iterdir()) == []


@each_format
def test_a_taken_name_is_refused(tmp_path: Path, suffix: str) -> None:
    write, _ = FORMATS[suffix]
    path = write(make_cube(), tmp_path / f"cube.{suffix}")
    before = sha256(path)
    with pytest.raises(
        FileProblem, match=r"found an earlier result, expected a free name\. .* overwrite=True"
    ):
        write(make_cube(days=2), path)
    assert sha256(path) == before


@each_format
def test_overwrite_swaps_and_leaves_nothing_else(tmp_path: Path, suffix: str) -> None:
    write, read = FORMATS[suffix]
    path = write(make_cube(days=7), tmp_path / f"cube.{suffix}")
    write(make_cube(days=2), path, overwrite=True)
    assert read(path).sizes["time"] == 2
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_cube_may_replace_the_store_it_comes_from(tmp_path: Path) -> None:
    path = write_cube(make_cube(), tmp_path / "cube.zarr")
    write_cube(open_cube(path).isel(time=slice(1, 3)), path, overwrite=True)
    assert_same(open_cube(path), make_cube().isel(time=slice(1, 3)))


def test_no_other_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.txt").write_text("years of work")
    with pytest.raises(FileProblem, match="found a folder of other files, expected a Zarr store"):
        write_cube(make_cube(), tmp_path / "thesis", overwrite=True)
    with pytest.raises(FileProblem, match=r"thesis: found a folder, expected a file to replace"):
        write_netcdf(make_cube(), tmp_path / "thesis", overwrite=True)
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(FileProblem, match="letter: found a file, expected a folder to replace"):
        write_cube(make_cube(), tmp_path / "letter", overwrite=True)
    assert (tmp_path / "thesis/chapter.txt").read_text() == "years of work"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["letter", "thesis"]


@each_format
def test_the_parent_must_exist(tmp_path: Path, suffix: str) -> None:
    write, _ = FORMATS[suffix]
    with pytest.raises(FileProblem, match=r"nowhere: found no such folder\. Create it first"):
        write(make_cube(), tmp_path / "nowhere" / f"cube.{suffix}")


# --- failures in the middle of writing ---


def failing_cube(fail: Callable[[], object]) -> xr.Dataset:
    """Make a cube whose last chunk cannot be computed."""

    def block(values: np.ndarray, block_info: Any = None) -> np.ndarray:
        if block_info and block_info[0]["chunk-location"][0] == 4:
            fail()
        return values

    cube = make_cube().chunk(time=1)
    cube["soil_moisture"].data = cube["soil_moisture"].data.map_blocks(block, dtype="f4")
    return cube


@each_format
@pytest.mark.parametrize("error", [RuntimeError("no more"), KeyboardInterrupt()])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_failure_leaves_the_earlier_result_alone(
    tmp_path: Path, suffix: str, error: BaseException, is_first: bool
) -> None:
    write, _ = FORMATS[suffix]
    path = tmp_path / f"cube.{suffix}"
    before = None if is_first else sha256(write(make_cube(), path))

    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        write(failing_cube(fail), path, overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ([] if is_first else [path.name])
    assert is_first or sha256(path) == before


def test_no_thread_writes_after_the_clean_up(tmp_path: Path) -> None:
    started = threading.Event()

    def block(values: np.ndarray, block_info: Any = None) -> np.ndarray:
        if block_info and block_info[0]["chunk-location"][0] == 0:
            started.set()
            time.sleep(0.2)  # still at work when its neighbour fails
        elif block_info and started.wait(60):
            raise RuntimeError("no more")
        return values

    cube = make_cube(days=2).chunk(time=1)
    cube["soil_moisture"].data = cube["soil_moisture"].data.map_blocks(block, dtype="f4")
    with pytest.raises(RuntimeError, match="no more"):
        write_cube(cube, tmp_path / "cube.zarr")
    time.sleep(0.3)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_swap_puts_the_earlier_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_cube(make_cube(), tmp_path / "cube.zarr")
    before, rename = sha256(path), Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if ".partial-" in self.name:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(KeyboardInterrupt):
        write_cube(make_cube(days=2), path, overwrite=True)
    assert sha256(path) == before
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from test_cubes import FORMATS, failing_cube
cube = failing_cube(lambda: os.kill(os.getpid(), signal.SIGKILL))
FORMATS[{suffix!r}][0](cube, {path!r}, overwrite=True)
"""


@each_format
def test_a_killed_process_leaves_the_earlier_result_and_a_partial(
    tmp_path: Path, suffix: str
) -> None:
    write, read = FORMATS[suffix]
    path = write(make_cube(), tmp_path / f"cube.{suffix}")
    before = sha256(path)
    code = KILLED.format(tests=str(Path(__file__).parent), suffix=suffix, path=str(path))
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert sha256(path) == before
    (left,) = partials(path)
    assert left.name.startswith(f".cube.{suffix}.partial-")
    assert write(make_cube(days=2), path, overwrite=True) == path
    assert read(path).sizes["time"] == 2
    assert partials(path) == [left]  # it may belong to a run that is still at work


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOSPC, r"no space left on the device\. Free some space"),
        (errno.EDQUOT, r"no quota|no space left"),
        (errno.EACCES, r"no permission to write\. Choose a folder that you may write to"),
        (errno.EROFS, r"no permission to write"),
    ],
)
@each_format
def test_errors_of_the_system_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, number: int, text: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(xr.Dataset, "to_zarr" if suffix == "zarr" else "to_netcdf", fail)
    path = tmp_path / f"cube.{suffix}"
    with pytest.raises(FileProblem, match=rf"cube\.{suffix}: found ({text})") as caught:
        FORMATS[suffix][0](make_cube(), path)
    assert isinstance(caught.value.__cause__, OSError)
    assert list(tmp_path.iterdir()) == []


def test_hdf5_does_not_crash_the_process_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0

    class SmallDisk(io.FileIO):
        def write(self, data: Any, /) -> int:
            nonlocal written
            written += len(data)
            if written > 20_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    class PatientFile(netcdf._PatientFile, SmallDisk):
        pass

    monkeypatch.setattr(netcdf, "_PatientFile", PatientFile)
    with pytest.raises(FileProblem, match="no space left on the device"):
        write_netcdf(make_cube(days=400), tmp_path / "cube.nc")
    assert list(tmp_path.iterdir()) == []


def test_errors_about_other_files_stay_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="input"), replaced(tmp_path / "result.json"):
        raise PermissionError(errno.EACCES, "denied", str(tmp_path / "input.nc"))
    with pytest.raises(FileNotFoundError), replaced(tmp_path / "result.json"):
        (tmp_path / "input.nc").read_text()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@each_format
def test_a_folder_without_permission(tmp_path: Path, suffix: str) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(FileProblem, match="no permission to write"):
            FORMATS[suffix][0](make_cube(), tmp_path / f"cube.{suffix}")
    finally:
        tmp_path.chmod(0o700)


# --- damaged and foreign files ---


def chunk_of(path: Path) -> Path:
    return next(file for file in sorted((path / "soil_moisture/c").rglob("*")) if file.is_file())


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "root deleted": (lambda path: (path / "zarr.json").unlink(), "found no Zarr store"),
    "root truncated": (
        lambda path: os.truncate(path / "zarr.json", 40),
        "found a damaged or foreign file .JSONDecodeError",
    ),
    "root emptied": (lambda path: os.truncate(path / "zarr.json", 0), "damaged or foreign"),
    "root of another kind": (
        lambda path: (path / "zarr.json").write_text("[]"),
        "damaged or foreign",
    ),
    "array deleted": (
        lambda path: (path / "origin/zarr.json").unlink(),
        r"found \d files of \d+ bytes for 'origin', expected \d files of \d+ bytes",
    ),
    "array truncated": (
        lambda path: os.truncate(path / "time/zarr.json", 30),
        r"for 'time', expected .* copy or make it again",
    ),
    "chunk deleted": (lambda path: chunk_of(path).unlink(), "for 'soil_moisture', expected"),
    "chunk truncated": (
        lambda path: os.truncate(chunk_of(path), 99),
        "for 'soil_moisture', expected",
    ),
    "folder deleted": (
        lambda path: (path / "elevation").rename(path / ".elevation"),
        "found 0 files of 0 bytes for 'elevation'",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_store_is_refused(tmp_path: Path, kind: str) -> None:
    damage, text = DAMAGE[kind]
    path = write_cube(make_cube(), tmp_path / "cube.zarr")
    damage(path)
    with pytest.raises(FileProblem, match=text) as caught:
        open_cube(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_chunk_damaged_in_place_fails_when_read(tmp_path: Path) -> None:
    path = write_cube(make_cube(), tmp_path / "cube.zarr")
    content = bytearray(chunk_of(path).read_bytes())
    content[len(content) // 2] ^= 1
    chunk_of(path).write_bytes(content)
    with pytest.raises(ValueError, match="checksum"):
        open_cube(path)["soil_moisture"].load()


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_truncated_netcdf_is_refused(tmp_path: Path, size: int) -> None:
    path = write_netcdf(make_cube(), tmp_path / "cube.nc")
    os.truncate(path, size)
    with pytest.raises(FileProblem, match=r"cube\.nc: found a damaged or foreign file"):
        open_netcdf(path)


@each_format
def test_foreign_data_is_refused(tmp_path: Path, suffix: str) -> None:
    _, read = FORMATS[suffix]
    path = tmp_path / f"other.{suffix}"
    other = xr.Dataset({"wind": (("a",), [1.0])})
    if suffix == "zarr":
        other.to_zarr(path, zarr_format=3, consolidated=False)
    else:
        other.to_netcdf(path, engine="h5netcdf")
    with pytest.raises(FileProblem, match=r"other\.\w+: found data that is no cube.*'wind'"):
        read(path)
    (tmp_path / "text").write_text("hello")
    with pytest.raises(FileProblem, match="text: found "):
        read(tmp_path / "text")


def test_a_cube_of_another_writer_can_be_opened(tmp_path: Path) -> None:
    for version in (2, 3):
        path = tmp_path / f"{version}.zarr"
        make_cube().to_zarr(path, zarr_format=version, consolidated=False)
        xr.testing.assert_equal(open_cube(path), make_cube())


@each_format
def test_a_missing_file_tells_of_leftovers(tmp_path: Path, suffix: str) -> None:
    _, read = FORMATS[suffix]
    path = tmp_path / f"cube.{suffix}"
    with pytest.raises(FileProblem, match=r"expected a cube\. Check the path"):
        read(path)
    (tmp_path / f".cube.{suffix}.previous-0123abcd.{suffix}").touch()
    with pytest.raises(FileProblem, match=r"interrupted run left \.cube\.\w+\.previous-0123abcd"):
        read(path)


def test_a_store_written_in_parts_is_sealed_at_the_end(tmp_path: Path) -> None:
    cube = make_cube()
    path = write_cube(xr.full_like(cube, 0).chunk(time=1), tmp_path / "cube.zarr")
    part = cube[["soil_moisture"]].isel(time=slice(2, 3)).drop_vars(list(cube.coords))
    part.to_zarr(path, region={"time": slice(2, 3)}, consolidated=False)
    with pytest.raises(FileProblem, match="'soil_moisture'"):
        open_cube(path)
    seal(path)
    found = open_cube(path)["soil_moisture"]
    assert bits(found.isel(time=2)) == bits(cube["soil_moisture"].isel(time=2))


# --- replaced, partials, sha256 ---


def test_replaced_keeps_the_suffix_and_stays_beside(tmp_path: Path) -> None:
    with replaced(tmp_path / "map.png") as partial:
        assert partial.parent == tmp_path
        assert partial.suffix == ".png"
        assert partial.name.startswith(".map.png.partial-")
        partial.write_text("picture")
    assert (tmp_path / "map.png").read_text() == "picture"


def test_replaced_takes_folders(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with replaced(tmp_path / "model", overwrite=True) as partial:
            partial.mkdir()
            (partial / "weights").write_text(text)
    assert (tmp_path / "model/weights").read_text() == "two"
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]


def test_replaced_replaces_a_link_and_not_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/kept").write_text("kept")
    (tmp_path / "model").symlink_to(tmp_path / "elsewhere")
    with replaced(tmp_path / "model", overwrite=True) as partial:
        partial.mkdir()
    assert not (tmp_path / "model").is_symlink()
    assert (tmp_path / "elsewhere/kept").read_text() == "kept"


def test_a_name_taken_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    def write() -> None:
        with replaced(tmp_path / "a") as partial:
            partial.write_text("ours")
            (tmp_path / "a").write_text("theirs")

    with pytest.raises(FileProblem, match="earlier result"):
        write()
    assert (tmp_path / "a").read_text() == "theirs"
    assert partials(tmp_path / "a") == []


def test_partials_are_only_ours(tmp_path: Path) -> None:
    names = [".a[1].zarr.partial-0123abcd.zarr", ".a[1].zarr.previous-0123abcd.zarr"]
    others = [
        ".a1.zarr.partial-0123abcd.zarr",
        "a[1].zarr",
        ".a[1].zarr.part",
        ".a[1].zarr.partial-x",
    ]
    for name in names + others:
        (tmp_path / name).touch()
    assert [left.name for left in partials(tmp_path / "a[1].zarr")] == names
    assert partials(tmp_path / "nowhere" / "b") == []


def test_sha256_of_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "folder/deep").mkdir(parents=True)
    (tmp_path / "folder/b").write_bytes(b"2")
    (tmp_path / "folder/deep/a").write_bytes(b"1")
    first = sha256(tmp_path / "folder")
    assert sha256(tmp_path / "folder/b") == hashlib.sha256(b"2").hexdigest()
    listing = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in (("b", b"2"), ("deep/a", b"1"))
    )
    assert first == hashlib.sha256(listing.encode()).hexdigest()
    (tmp_path / "folder/b").rename(tmp_path / "folder/c")
    assert sha256(tmp_path / "folder") != first
    with pytest.raises(FileProblem, match="gone: found nothing there, expected a file or folder"):
        sha256(tmp_path / "gone")
