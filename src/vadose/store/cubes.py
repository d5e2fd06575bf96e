"""Cubes as Zarr stores, which give the same bits when read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from vadose.errors import FileProblem
from vadose.store.encoding import (
    INVENTORY,
    chunk_shape,
    chunked,
    encode_for_zarr,
    missing,
    own_threads,
    prepared,
    reading,
    restored,
)
from vadose.store.files import replaced
from vadose.store.places import Folder, Place, place_of

#: The object without which nothing is a Zarr store to a reader.
ROOT = "zarr.json"
#: The object that stands for it until the store is finished.
UNFINISHED = ".unfinished.json"


def write_cube(
    cube: xr.Dataset, path: str | Path, *, overwrite: bool = False, packed: bool = False
) -> Path:
    """Write a cube as a Zarr v3 store with CF metadata; reading it gives the same bits.

    Dask chunks are kept where they are regular, else made so; one task writes one whole chunk. The
    cube may come from the store that it replaces. A folder that is no Zarr store is never replaced.

    Parameters
    ----------
    cube
        Any cube, in memory or lazy.
    path
        Name of the folder.
    overwrite
        Whether an earlier store may be replaced.
    packed
        Whether continuous variables become 16-bit integers, see `vadose.store.packing_of`; their
        values are then rounded.

    Raises
    ------
    FileProblem, CubeProblem, UnitProblem, UnknownName
    ValueProblem
        When a value is out of the range that packing can store.

    Examples
    --------
    >>> import tempfile
    >>> from vadose.grids import coordinates, grid_of, latlon
    >>> cube = xr.Dataset(coords=coordinates(latlon(10.0)))
    >>> store = write_cube(cube, Path(tempfile.mkdtemp()) / "cube.zarr")
    >>> grid_of(open_cube(store)) == latlon(10.0)
    True
    """
    place = place_of(path)
    if not isinstance(place, Folder):
        raise FileProblem(
            path,
            found="a URL",
            expected="a folder on a disk",
            remedy="Write the cube there, then copy it with vadose.store.copy_store.",
        )
    path = place.name
    if path.is_dir() and any(path.iterdir()) and not (path / ROOT).exists():
        raise FileProblem(path, found="a folder of other files", expected="a Zarr store or none")
    plain = chunked(prepared(cube, packed=packed))
    encode_for_zarr(plain)
    for array in plain.data_vars.values():
        array.encoding["chunks"] = chunk_shape(array)
    with replaced(path, overwrite=overwrite) as partial, own_threads():
        plain.to_zarr(partial, mode="w-", zarr_format=3, consolidated=False)
        seal(partial)
    return path


def copy_store(source: str | Path, target: str | Path, *, overwrite: bool = False) -> None:
    """Copy a finished store between folders and URLs, its root last: no reader finds half a copy.

    Raises
    ------
    FileProblem
        When there is no store, the target is taken, or one of them cannot be reached.

    Examples
    --------
    >>> import tempfile
    >>> from vadose.synthetic import world
    >>> truth = world(size=16, days=8, factor=4, seed=0).truth
    >>> store = write_cube(truth, Path(tempfile.mkdtemp()) / "truth.zarr")
    >>> copy_store(store, "memory://truth.zarr")
    >>> open_cube("memory://truth.zarr").identical(open_cube(store))
    True
    """
    origin, place = place_of(source), place_of(target)
    if origin.read(ROOT) is None:
        raise missing(origin.name, "no Zarr store")
    clear(place, overwrite=overwrite)
    for key in sorted(origin.sizes(), key=lambda key: (key == ROOT, key)):
        place.write(key, origin.read(key) or b"")
    place.remove([UNFINISHED])


def clear(place: Place, *, overwrite: bool) -> None:
    """Make sure that nothing lies at a place; the root goes first, so that no reader meets the rest."""
    there = place.sizes()
    if there and not {ROOT, UNFINISHED} & set(there):
        raise FileProblem(place.name, found="other files", expected="a Zarr store or nothing")
    if there and not overwrite:
        raise FileProblem(
            place.name,
            found="an earlier store",
            expected="a free place",
            remedy="Choose another one, or pass overwrite=True to replace it.",
        )
    if ROOT in there:
        place.write(UNFINISHED, b"{}")  # so that it is still known as a store if we are killed here
        place.remove([ROOT])
    place.remove(key for key in there if key not in (ROOT, UNFINISHED))


def seal(store: str | Path) -> None:
    """Note in a complete Zarr store how many files and bytes each array has, for `open_cube`.

    A lost chunk would read as a gap, without an error. Whoever writes a store in parts seals it last.
    """
    place = place_of(store)
    root = place.read(ROOT)
    if root is None:
        raise missing(place.name, "no Zarr store")
    place.write(ROOT, sealed(root, place))


def sealed(root: bytes, place: Place) -> bytes:
    """Give the root metadata of a Zarr store with the inventory of what now lies there."""
    metadata = json.loads(root)
    metadata["attributes"][INVENTORY] = _inventory(place)
    return json.dumps(metadata, indent=2).encode()


def _inventory(place: Place) -> dict[str, list[int]]:
    """Count the objects and bytes of every array; hidden ones are not Zarr's."""
    found: dict[str, list[int]] = {}
    for key, size in sorted(place.sizes().items()):
        member, *inner = key.split("/")
        if inner and not any(part.startswith(".") for part in (member, *inner)):
            count, total = found.get(member, (0, 0))
            found[member] = [count + 1, total + size]
    return found


def open_cube(path: str | Path) -> xr.Dataset:
    """Open a cube lazily from a Zarr store, one dask chunk for each chunk on disk.

    Parameters
    ----------
    path
        A folder, or a URL that fsspec knows, such as ``s3://bucket/cube.zarr``.

    Raises
    ------
    FileProblem
        When the store is missing, incomplete, or holds something other than a cube. A chunk damaged
        without a change of size raises when it is read.
    MissingExtra
        When the library for this kind of URL is not installed.

    Examples
    --------
    >>> open_cube("nowhere.zarr")
    Traceback (most recent call last):
    vadose.errors.FileProblem: nowhere.zarr: found no Zarr store, expected a cube. Check the path.
    """
    return _opened(path, lazy=True)


def open_windows(path: str | Path) -> xr.Dataset:
    """Open a cube without dask: a part of it is read when asked for, by the thread that asks.

    It has the variables, attributes and coordinates that `open_cube` gives; it may be kept, be used from
    many threads, and be sent to other processes.

    Raises
    ------
    FileProblem, MissingExtra
        As from `open_cube`.
    """
    return _opened(path, lazy=False)


def _opened(path: str | Path, *, lazy: bool) -> xr.Dataset:
    place = place_of(path)
    root = place.read(ROOT)
    if root is None and place.read(".zgroup") is None:
        raise missing(place.name, "no Zarr store")
    with reading(place.name):
        _check_inventory(place, root)
        return restored(place.zarr_store(), lazy=lazy, engine="zarr", consolidated=False)


def read_window(cube: xr.Dataset | str | Path, window: Mapping[str, slice]) -> xr.Dataset:
    """Read a part of a cube into memory, each chunk of it once and in the calling thread.

    Parameters
    ----------
    cube
        What `open_windows` gave, or the path or URL itself.
    window
        Cells along some dimensions; those that the cube does not have are passed over.

    Returns
    -------
    xarray.Dataset
        All variables, in memory, with the same bits as from `open_cube`.

    Examples
    --------
    >>> import tempfile
    >>> from vadose.synthetic import world
    >>> earth = world(size=16, days=8, factor=4, seed=0)
    >>> store = write_cube(earth.truth, Path(tempfile.mkdtemp()) / "truth.zarr")
    >>> read_window(store, {"time": slice(2, 5), "y": slice(0, 4)}).sizes["time"]
    3
    """
    import dask

    opened = cube if isinstance(cube, xr.Dataset) else open_windows(cube)
    part = opened.isel({dim: cells for dim, cells in window.items() if dim in opened.dims})
    with dask.config.set(scheduler="synchronous"):
        return part.compute()


def _check_inventory(place: Place, root: bytes | None) -> None:
    attributes = json.loads(root)["attributes"] if root is not None else {}
    if INVENTORY not in attributes:
        return
    found = _inventory(place)
    for name, (files, size) in attributes[INVENTORY].items():
        now = found.get(name, [0, 0])
        if now != [files, size]:
            raise FileProblem(
                place.name,
                found=f"{now[0]} files of {now[1]} bytes for {name!r}",
                expected=f"{files} files of {size} bytes, as when it was written",
                remedy="The store is damaged or changed: copy or make it again.",
            )
