"""Tiles written by anyone, in any order, killed and resumed, make the one store and the same bytes."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from vadose.errors import CubeProblem, FileProblem, GridProblem, ValueProblem
from vadose.store import (
    Layout,
    create_store,
    finish_store,
    has_begun,
    is_intact,
    layout_of,
    open_cube,
    read_window,
    remove_strays,
    sha256,
    write_cube,
    write_tile,
)
from vadose.store.places import Folder, place_of

TILE = {"time": 16, "y": 32, "x": 24}
CHUNK = {"time": 8, "y": 16, "x": 12}
Window = dict[str, slice]


@pytest.fixture(params=["folder", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give a free place of each kind."""
    if request.param == "folder":
        yield str(tmp_path / "map.zarr")
        return
    from fsspec.implementations.memory import MemoryFileSystem

    yield "memory://maps/map.zarr"
    MemoryFileSystem.store.clear()


def windows(cube: xr.Dataset) -> list[Window]:
    """List the tiles of the cube's days, without `vadose`."""
    spans = [
        [
            slice(start, min(start + TILE[dim], cube.sizes[dim]))
            for start in range(0, cube.sizes[dim], TILE[dim])
        ]
        for dim in TILE
    ]
    return [dict(zip(TILE, corner, strict=True)) for corner in itertools.product(*spans)]


def write_all(place: str | Path, cube: xr.Dataset, order: int = 1) -> dict[str, str]:
    sums: dict[str, str] = {}
    for window in windows(cube)[::order]:
        part = cube.drop_vars("elevation") if window["time"].start else cube
        part = part.isel({dim: cells for dim, cells in window.items() if dim in part.dims})
        sums |= write_tile(place, part, window)
    return sums


def make(place: str | Path, cube: xr.Dataset, *, is_packed: bool = False) -> dict[str, str]:
    create_store(place, cube, Layout(TILE, CHUNK, is_packed))
    sums = write_all(place, cube)
    finish_store(place)
    return sums


@pytest.mark.parametrize("is_packed", [False, True])
def test_tiles_make_the_store_that_write_cube_makes(
    place: str, tmp_path: Path, earth: xr.Dataset, is_packed: bool
) -> None:
    make(place, earth, is_packed=is_packed)
    whole = open_cube(write_cube(earth, tmp_path / "whole.zarr", packed=is_packed))
    found = open_cube(place)
    xr.testing.assert_identical(found.compute(), whole.compute())
    for name in earth.variables:
        assert found[name].dtype == whole[name].dtype == earth[name].dtype
    assert is_packed or np.array_equal(
        found["soil_moisture"], earth["soil_moisture"], equal_nan=True
    )


def test_a_tile_is_one_object_and_gaps_take_none(tmp_path: Path, earth: xr.Dataset) -> None:
    sums = make(tmp_path / "map.zarr", earth)
    moisture = [key for key in sums if key.startswith("soil_moisture/")]
    assert sorted(moisture) == [
        f"soil_moisture/c/{key}" for key in ("0/0/0", "0/0/1", "0/1/1", "1/0/0", "1/0/1", "1/1/1")
    ]
    group = zarr.open_group(tmp_path / "map.zarr", mode="r")
    assert (group["soil_moisture"].shards, group["soil_moisture"].chunks) == (
        (16, 32, 24),
        (8, 16, 12),
    )
    assert (group["elevation"].shards, group["elevation"].chunks) == ((32, 24), (16, 12))
    assert group.attrs["Conventions"] == "CF-1.11"
    assert group["soil_moisture"].attrs["grid_mapping"] == "spatial_ref"


def test_no_reader_meets_half_a_store(place: str, earth: xr.Dataset) -> None:
    layout = Layout(TILE, CHUNK)
    assert not has_begun(place)
    create_store(place, earth, layout)
    assert has_begun(place)
    sums = write_all(place, earth)
    with pytest.raises(FileProblem, match="found no Zarr store, expected a cube"):
        open_cube(place)
    finish_store(place)
    assert not has_begun(place)
    assert is_intact(place, sums)
    first = {key: place_of(place).read(key) for key in place_of(place).sizes()}
    finish_store(place)
    assert {key: place_of(place).read(key) for key in place_of(place).sizes()} == first


def test_order_and_repetition_do_not_change_a_byte(tmp_path: Path, earth: xr.Dataset) -> None:
    make(tmp_path / "one.zarr", earth, is_packed=True)
    create_store(tmp_path / "two.zarr", earth, Layout(TILE, CHUNK, is_packed=True))
    write_all(tmp_path / "two.zarr", xr.zeros_like(earth))  # also where there will be gaps
    write_all(tmp_path / "two.zarr", earth, order=-1)
    finish_store(tmp_path / "two.zarr")
    assert sha256(tmp_path / "two.zarr") == sha256(tmp_path / "one.zarr")


def test_threads_make_the_same_bytes(tmp_path: Path, earth: xr.Dataset) -> None:
    make(tmp_path / "one.zarr", earth)
    path = tmp_path / "two.zarr"
    create_store(path, earth, Layout(TILE, CHUNK))
    days = earth.drop_vars("elevation")
    tasks = [
        threading.Thread(target=write_tile, args=(path, days.isel(window), window))
        for window in windows(earth)
    ]
    tasks.append(threading.Thread(target=write_tile, args=(path, earth[["elevation"]], {})))
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    finish_store(path)
    assert sha256(path) == sha256(tmp_path / "one.zarr")


WRITER = """
import os, signal, sys
from pathlib import Path
from vadose.store import open_cube, write_tile
cube = open_cube(sys.argv[1]).compute()
cube = cube[sorted(cube.data_vars)]
path, share = sys.argv[2], int(sys.argv[3])
if share < 0:  # die in the instant in which the second object takes its name
    names = []
    def killed(self, target, replace=Path.replace):
        names.append(target)
        if len(names) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)
    Path.replace = killed
tiles = [(t, y, x) for t in (0, 16) for y in (0, 32) for x in (0, 24)]
for t, y, x in tiles[share::2] if share >= 0 else tiles:
    window = {"time": slice(t, min(t + 16, 20)), "y": slice(y, min(y + 32, 60)), "x": slice(x, min(x + 24, 44))}
    part = cube.drop_vars("elevation") if t else cube
    write_tile(path, part.isel({d: s for d, s in window.items() if d in part.dims}), window)
"""


def start(source: Path, path: Path, share: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(source), str(path), str(share)])


def test_two_processes_make_the_bytes_of_one(tmp_path: Path, earth: xr.Dataset) -> None:
    source = write_cube(earth, tmp_path / "earth.zarr")
    make(tmp_path / "one.zarr", earth)
    create_store(tmp_path / "two.zarr", earth, Layout(TILE, CHUNK))
    writers = [start(source, tmp_path / "two.zarr", share) for share in (0, 1)]
    assert [writer.wait() for writer in writers] == [0, 0]
    finish_store(tmp_path / "two.zarr")
    assert sha256(tmp_path / "two.zarr") == sha256(tmp_path / "one.zarr")


def test_a_killed_writer_leaves_nothing_that_counts(tmp_path: Path, earth: xr.Dataset) -> None:
    source = write_cube(earth, tmp_path / "earth.zarr")
    make(tmp_path / "one.zarr", earth)
    path = tmp_path / "two.zarr"
    create_store(path, earth, Layout(TILE, CHUNK))
    assert start(source, path, -1).wait() == -signal.SIGKILL
    window = windows(earth)[0]
    expected = write_tile(tmp_path / "one.zarr", earth.isel(window), window)
    assert not is_intact(path, expected)
    assert has_begun(path)
    half, whole = sorted(remove_strays(path, []), key=lambda key: "partial" not in key)
    assert half.startswith("origin/c/0/0/.0.partial-")
    assert whole == "elevation/c/0/0"
    assert remove_strays(path, []) == []
    write_all(path, earth)
    finish_store(path)
    assert sha256(path) == sha256(tmp_path / "one.zarr")


def test_strays_are_what_no_finished_tile_owns(place: str, earth: xr.Dataset) -> None:
    create_store(place, earth, Layout(TILE, CHUNK))
    window = windows(earth)[0]
    kept = write_tile(place, earth.isel(window), window)
    other = windows(earth)[1]
    lost = write_tile(place, earth[["origin"]].isel(other), other)
    assert remove_strays(place, kept) == list(lost) == ["origin/c/0/0/1"]
    assert is_intact(place, kept)
    assert has_begun(place)


def test_a_torn_or_changed_shard_is_noticed_and_mended(tmp_path: Path, earth: xr.Dataset) -> None:
    path = tmp_path / "map.zarr"
    sums = make(path, earth)
    before = sha256(path)
    key = "soil_moisture/c/0/0/1"
    content = (path / key).read_bytes()
    for damaged in (content[:-40], b"", content[:100] + b"\0" + content[101:]):
        assert damaged != content
        (path / key).write_bytes(damaged)
        assert not is_intact(path, sums)
    (path / key).unlink()
    assert not is_intact(path, sums)
    window = windows(earth)[1]
    write_tile(path, earth.isel(window), window)
    finish_store(path)
    assert is_intact(path, sums)
    assert sha256(path) == before


def test_a_lost_shard_is_refused_by_readers(place: str, earth: xr.Dataset) -> None:
    make(place, earth)
    place_of(place).remove(["soil_moisture/c/0/0/1"])
    with pytest.raises(
        FileProblem, match=r"found 6 files of \d+ bytes for 'soil_moisture', expected 7"
    ):
        open_cube(place)


# --- refusals ---


@pytest.mark.parametrize(
    ("window", "text"),
    [
        (
            {"y": slice(0, 31)},
            r"cells 0 to 31 along 'y', expected whole tiles of 32 cells, or up to the end at 60",
        ),
        ({"y": slice(1, 32)}, "cells 1 to 32 along 'y'"),
        ({"x": slice(24, 40)}, "cells 24 to 40 along 'x', expected whole tiles of 24"),
        ({"time": slice(0, 20, 2)}, "cells 0 to 20 along 'time'"),
        ({"time": slice(16, 32)}, "cells 16 to 32 along 'time'"),
        ({"y": slice(32, 32)}, "cells 32 to 32 along 'y'"),
    ],
)
def test_part_of_a_tile_is_refused(
    tmp_path: Path, earth: xr.Dataset, window: Window, text: str
) -> None:
    create_store(tmp_path / "map.zarr", earth, Layout(TILE, CHUNK))
    part = earth[["soil_moisture"]].isel(window)
    with pytest.raises(CubeProblem, match=f"soil_moisture: found {text}"):
        write_tile(tmp_path / "map.zarr", part, window)
    assert not (tmp_path / "map.zarr/soil_moisture/c").exists()


def test_values_that_do_not_fit_are_refused(tmp_path: Path, earth: xr.Dataset) -> None:
    path = tmp_path / "map.zarr"
    create_store(path, earth, Layout(TILE, CHUNK, is_packed=True))
    window = windows(earth)[0]
    part = earth.isel(window)
    with pytest.raises(
        CubeProblem, match=r"found .* of \(16, 32, 24\) cells, expected .* of \(16, 28, 24\)"
    ):
        write_tile(path, part[["origin"]], window | {"y": slice(32, 60)})
    with pytest.raises(
        CubeProblem, match="origin: found type int64, expected type uint8 of the store"
    ):
        write_tile(path, part[["origin"]].astype("i8"), window)
    with pytest.raises(
        FileProblem, match="no array 'land_cover', expected a store made by create_store"
    ):
        write_tile(path, part[["origin"]].rename(origin="land_cover"), window)
    with pytest.raises(ValueProblem, match=r"soil_moisture: found \d+ values that no 16-bit code"):
        write_tile(path, part[["soil_moisture"]] + 0.5, window)
    assert not (path / "soil_moisture/c").exists()


def test_a_taken_place_is_refused(place: str, earth: xr.Dataset) -> None:
    make(place, earth)
    with pytest.raises(
        FileProblem, match=r"found an earlier store, expected a free place\. .* overwrite=True"
    ):
        create_store(place, earth, Layout(TILE, CHUNK))
    create_store(place, earth, Layout(TILE, CHUNK), overwrite=True)
    assert has_begun(place)
    assert not [key for key in place_of(place).sizes() if key.startswith("soil_moisture/c")]
    place_of(place).remove(place_of(place).sizes())
    place_of(place).write("thesis.txt", b"years of work")
    with pytest.raises(FileProblem, match="found other files, expected a Zarr store or nothing"):
        create_store(place, earth, Layout(TILE, CHUNK), overwrite=True)
    with pytest.raises(
        FileProblem, match="found no unfinished store, expected one that create_store"
    ):
        finish_store(place)
    with pytest.raises(FileProblem, match="found no unfinished store"):
        remove_strays(place, [])


def test_a_creation_that_was_cut_short_has_not_begun(tmp_path: Path, earth: xr.Dataset) -> None:
    path = tmp_path / "map.zarr"
    create_store(path, earth, Layout(TILE, CHUNK))
    note = (path / ".unfinished.json").read_bytes()
    (path / ".unfinished.json").write_bytes(note[:50])
    assert not has_begun(path)
    (path / ".unfinished.json").write_bytes(note)
    assert has_begun(path)
    (path / "time/c/0").unlink()
    assert not has_begun(path)


def test_a_missing_folder_is_named(tmp_path: Path, earth: xr.Dataset) -> None:
    with pytest.raises(FileProblem, match="nowhere: found no such folder"):
        create_store(tmp_path / "nowhere" / "map.zarr", earth, Layout(TILE, CHUNK))


def test_a_full_disk_is_explained(
    tmp_path: Path, earth: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    path = tmp_path / "map.zarr"
    create_store(path, earth, Layout(TILE, CHUNK))

    def full(self: Path, content: bytes) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    window = windows(earth)[0]
    with pytest.raises(FileProblem, match=r"map\.zarr: found no space left on the device"):
        write_tile(path, earth.isel(window), window)
    monkeypatch.undo()
    assert remove_strays(path, []) == []


def test_a_template_costs_no_memory_and_no_tasks(tmp_path: Path) -> None:
    from vadose.grids import coordinates, named_grid
    from vadose.schema import VARIABLES

    grid = named_grid("EASE2_1km")
    values = np.broadcast_to(np.float32(0), (3650, *grid.shape))  # 7 TB, were they there
    times = np.datetime64("2015-01-01", "s") + np.arange(3650) * np.timedelta64(1, "D")
    attributes = VARIABLES["soil_moisture"].attributes()
    template = xr.Dataset(
        {"soil_moisture": (("time", "y", "x"), values, attributes)},
        coords={**coordinates(grid), "time": times},
    )
    create_store(tmp_path / "map.zarr", template, layout_of({"time": 32, "y": 512, "x": 512}))
    finish_store(tmp_path / "map.zarr")
    found = read_window(
        tmp_path / "map.zarr", {"time": slice(3000, 3002), "y": slice(0, 5), "x": slice(0, 5)}
    )
    assert found["soil_moisture"].isnull().all()
    assert found["time"].values[0] == times[3000]


# --- layouts ---


def test_layouts_divide(earth: xr.Dataset) -> None:
    assert layout_of({"time": 365, "y": 1024, "x": 97}).chunk == {"time": 5, "y": 256, "x": 97}
    assert layout_of({"y": 640, "x": 64}, is_packed=True) == Layout(
        {"y": 640, "x": 64}, {"y": 160, "x": 64}, True
    )
    with pytest.raises(
        GridProblem, match="chunks of 100 cells along 'y', expected a divisor of 512"
    ):
        Layout({"y": 512}, {"y": 100})
    for size in (1, 5, 128, 129, 400, 512, 513):
        tile, chunk = Layout({"y": 512}, {"y": 128}).shape({"y": size})
        assert tile["y"] % chunk["y"] == 0
        assert tile["y"] == 512 or tile["y"] >= size


def test_folders_hide_what_is_not_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(tmp_path / "map.zarr")
    seen = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append(self.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    folder.write("a/c/0", b"12")
    assert [name[:10] for name in seen] == [".0.partial"]
    assert folder.sizes() == {"a/c/0": 2}
    assert folder.read("a/c") is folder.read("a/c/0/1") is folder.read("b") is None
