"""Cubes in object stores: the same bits as on a disk, and errors that say what is missing."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from vadose.errors import FileProblem, MissingExtra
from vadose.store import (
    Layout,
    copy_store,
    create_store,
    finish_store,
    has_begun,
    is_intact,
    open_cube,
    open_windows,
    read_window,
    remove_strays,
    write_cube,
    write_tile,
)
from vadose.store.places import Bucket, place_of

TILE, CHUNK = {"time": 16, "y": 30, "x": 44}, {"time": 8, "y": 15, "x": 22}


@pytest.fixture
def memory() -> Iterator[str]:
    """Give a URL in the memory of this process."""
    from fsspec.implementations.memory import MemoryFileSystem

    yield "memory://maps"
    MemoryFileSystem.store.clear()


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Give a bucket of a server of this process that speaks the protocol of S3."""
    botocore = pytest.importorskip("botocore.session")
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        botocore.get_session().create_client("s3").create_bucket(Bucket="maps")
        yield "s3://maps"
    server.stop()


@pytest.fixture(params=["memory", "s3"])
def bucket(request: pytest.FixtureRequest) -> Any:
    """Give a URL of each kind."""
    return request.getfixturevalue(request.param)


def test_a_store_is_made_in_tiles_and_read_by_url(bucket: str, earth: xr.Dataset) -> None:
    url = f"{bucket}/moisture.zarr"
    cube = earth[["soil_moisture", "origin"]]
    create_store(url, cube, Layout(TILE, CHUNK))
    with pytest.raises(FileProblem, match=r"moisture\.zarr: found no Zarr store, expected a cube"):
        open_cube(url)
    assert has_begun(url)
    sums: dict[str, str] = {}
    for days in (slice(0, 16), slice(16, 20)):
        for rows in (slice(0, 30), slice(30, 60)):
            window = {"time": days, "y": rows}
            sums |= write_tile(url, cube.isel(window), window)
    assert is_intact(url, sums)
    place_of(url).write("origin/c/9/9/9", b"stray")
    assert remove_strays(url, sums) == ["origin/c/9/9/9"]
    finish_store(url)
    assert not has_begun(url)
    xr.testing.assert_identical(open_cube(url).compute(), cube)
    part = {"time": slice(3, 5), "y": slice(20, 40)}
    xr.testing.assert_identical(read_window(url, part), cube.isel(part))
    key = next(iter(sums))
    place_of(url).remove([key])
    assert not is_intact(url, sums)
    with pytest.raises(
        FileProblem, match=r"found 4 files of \d+ bytes for 'soil_moisture', expected"
    ):
        open_cube(url)


def test_stores_are_copied_there_and_back(bucket: str, tmp_path: Path, earth: xr.Dataset) -> None:
    url = f"{bucket}/earth.zarr"
    store = write_cube(earth, tmp_path / "earth.zarr")
    copy_store(store, url)
    xr.testing.assert_identical(open_cube(url).compute(), earth)
    with pytest.raises(
        FileProblem, match=r"earth\.zarr: found an earlier store, expected a free place"
    ):
        copy_store(store, url)
    copy_store(
        write_cube(earth.isel(time=slice(0, 3)), tmp_path / "part.zarr"), url, overwrite=True
    )
    assert open_cube(url).sizes["time"] == 3
    copy_store(url, tmp_path / "back.zarr")
    assert open_cube(tmp_path / "back.zarr").sizes["time"] == 3
    with pytest.raises(FileProblem, match="found no Zarr store, expected a cube"):
        copy_store(f"{bucket}/nothing.zarr", tmp_path / "nothing.zarr")


def test_opened_cubes_cross_to_other_processes(
    memory: str, tmp_path: Path, earth: xr.Dataset
) -> None:
    store = write_cube(earth, tmp_path / "earth.zarr")
    copy_store(store, f"{memory}/earth.zarr")
    for path in (store, f"{memory}/earth.zarr"):
        again = pickle.loads(pickle.dumps(open_windows(path)))  # noqa: S301 - our own bytes
        xr.testing.assert_identical(again.compute(), earth)


@pytest.mark.parametrize("is_packed", [False, True])
def test_both_ways_of_opening_give_the_same_cube(
    tmp_path: Path, earth: xr.Dataset, is_packed: bool
) -> None:
    cube = earth.assign_coords(overpass=("time", earth["time"].values + np.timedelta64(7, "h")))
    store = write_cube(cube, tmp_path / "cube.zarr", packed=is_packed)
    lazy, direct = open_cube(store), open_windows(store)
    assert all(array.chunks for array in lazy.data_vars.values())
    assert not any(array.chunks for array in direct.variables.values())
    xr.testing.assert_identical(lazy.compute(), direct.compute())
    assert list(lazy.variables) == list(direct.variables)
    for name in lazy.variables:
        assert lazy[name].dtype == direct[name].dtype


def test_a_window_reads_each_chunk_once(
    tmp_path: Path, earth: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zarr.storage import LocalStore

    store = write_cube(earth.chunk(time=4, y=20, x=44), tmp_path / "earth.zarr")
    opened = open_windows(store)
    read = []
    get = LocalStore.get

    async def counted(self: Any, key: str, *rest: Any, **more: Any) -> Any:
        read.append(key)
        return await get(self, key, *rest, **more)

    monkeypatch.setattr(LocalStore, "get", counted)
    part = read_window(opened, {"time": slice(2, 6), "y": slice(0, 20), "member": slice(0, 1)})
    expected = [
        f"{name}/c/{day}/0/0" for name in ("origin", "quality", "soil_moisture") for day in (0, 1)
    ]
    assert sorted(read) == ["elevation/c/0/0", *expected]
    xr.testing.assert_identical(part, earth.isel(time=slice(2, 6), y=slice(0, 20)))
    read.clear()
    read_window(opened, {"time": slice(2, 6), "y": slice(0, 20)})
    assert len(read) == 7  # nothing was kept, so that memory stays bounded


# --- what is missing ---


@pytest.mark.parametrize("path", ["memory://nowhere/map.zarr", "file:///nowhere/map.zarr"])
def test_a_missing_store_is_named(path: str) -> None:
    with pytest.raises(
        FileProblem, match=r"map\.zarr: found no Zarr store, expected a cube\. Check the path"
    ):
        open_cube(path)


def test_an_unknown_kind_of_url_is_named() -> None:
    with pytest.raises(
        FileProblem,
        match=r"ftq://a/b: found an unknown kind of URL, ftq://, expected a path, s3://",
    ):
        open_cube("ftq://a/b")


@pytest.mark.parametrize(
    ("url", "problem", "text"),
    [
        ("s3://maps/map.zarr", MissingExtra, r"s3fs: found no such library\. .*'vadose\[cloud\]'"),
        ("gs://maps/map.zarr", FileProblem, "found no library for gs:// URLs. No module"),
    ],
)
def test_a_missing_library_is_named(
    monkeypatch: pytest.MonkeyPatch, url: str, problem: type[Exception], text: str
) -> None:
    def absent(_: str) -> None:
        raise ImportError("No module")

    monkeypatch.setattr("fsspec.core.url_to_fs", absent)
    with pytest.raises(problem, match=text):
        open_cube(url)


def test_a_store_that_refuses_is_no_damaged_file(
    monkeypatch: pytest.MonkeyPatch, memory: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("Forbidden")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.cat_file", refuse)
    text = r"found no access \(PermissionError: Forbidden\), .* Check the URL, the credentials and the network"
    with pytest.raises(FileProblem, match=text):
        open_cube(f"{memory}/map.zarr")


def test_cubes_are_written_to_disks(earth: xr.Dataset, memory: str) -> None:
    with pytest.raises(
        FileProblem, match=r"found a URL, expected a folder on a disk\. .*copy_store"
    ):
        write_cube(earth, f"{memory}/map.zarr")


def test_what_is_not_there_is_removed_in_silence(bucket: str) -> None:
    place = place_of(f"{bucket}/map.zarr")
    assert isinstance(place, Bucket)
    assert place.sizes() == {}
    place.remove(["a"])
    place.remove(["a", "b"])
    place.write("b/c", b"12")
    place.remove(["a", "b/c"])
    assert place.sizes() == {}
