"""A cube written tile by tile, by any number of threads or machines, that can be resumed at any moment.

A tile is one shard of Zarr: one object for each variable, written whole by one task. Nothing is ever
read, changed and written back, which is how parts written at the same time get lost. `create_store`
holds the root metadata back, so that no reader finds a store before `finish_store` puts it there, last
of all; that works on a disk and in an object store, where nothing can be renamed.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vadose.errors import CubeProblem, FileProblem
from vadose.store.cubes import ROOT, UNFINISHED, clear, sealed
from vadose.store.encoding import encode_for_zarr, prepared
from vadose.store.layout import Layout
from vadose.store.packing import packing_of
from vadose.store.places import Place, place_of

Window = Mapping[str, slice]


def create_store(
    path: str | Path, template: xr.Dataset, layout: Layout, *, overwrite: bool = False
) -> None:
    """Write all of a store but the values of its variables, and hold the root metadata back.

    Parameters
    ----------
    path
        A folder that does not exist, or a URL; on a disk a hidden name that is changed at the end, see
        `replaced`.
    template
        A cube with all coordinates and attributes; of the values of its variables only the type and
        shape are looked at, so that ``np.broadcast_to(np.float32(0), shape)`` will do.
    layout
        Tiles and chunks.
    overwrite
        Whether objects at this place, also those of a finished store, are removed first.

    Raises
    ------
    FileProblem
        When there is something at this place, or it cannot be written to.
    CubeProblem, UnitProblem, UnknownName

    Examples
    --------
    >>> import tempfile
    >>> from vadose.store import finish_store, layout_of, open_cube, write_tile
    >>> from vadose.synthetic import world
    >>> truth = world(size=16, days=8, factor=4, seed=0).truth[["soil_moisture"]]
    >>> path = Path(tempfile.mkdtemp()) / "truth.zarr"
    >>> create_store(path, truth, layout_of({"time": 8, "y": 8, "x": 16}))
    >>> for rows in (slice(0, 8), slice(8, 16)):
    ...     sums = write_tile(path, truth.isel(y=rows), {"y": rows})
    >>> list(sums)
    ['soil_moisture/c/0/1/0']
    >>> finish_store(path)
    >>> bool((open_cube(path)["soil_moisture"] == truth["soil_moisture"]).all())
    True
    """
    place = place_of(path)
    if isinstance(place.name, Path) and not place.name.parent.is_dir():
        raise FileProblem(place.name.parent, found="no such folder", remedy="Create it first.")
    clear(place, overwrite=overwrite)
    staged = _metadata(template, layout)
    root = staged.pop(ROOT)
    sums = {key: _digest(content) for key, content in staged.items()}
    for key, content in staged.items():
        place.write(key, content)
    note = json.dumps({"root": json.loads(root), "sums": sums}, indent=2)
    place.write(UNFINISHED, note.encode())


def has_begun(path: str | Path) -> bool:
    """Tell whether `create_store` has done its work here and `finish_store` has not.

    Examples
    --------
    >>> has_begun("nowhere.zarr")
    False
    """
    place = place_of(path)
    note = _note(place)
    return note is not None and is_intact(path, note["sums"])


def write_tile(path: str | Path, cube: xr.Dataset, window: Window) -> dict[str, str]:
    """Write the variables of one whole tile; the same values give the same bytes.

    Parameters
    ----------
    path
        Where `create_store` has been, or a finished store of which a tile is mended.
    cube
        The tile, in memory: variables of the store, with any coordinates.
    window
        The cells of the store that it fills. It begins and ends with a tile or with the store; along
        dimensions that are not named it covers the store.

    Returns
    -------
    dict
        SHA-256 of every object written, by its key. Shards of gaps alone are not stored.

    Raises
    ------
    CubeProblem
        When the window is no whole tile, or a variable is not that of the store.
    ValueProblem
        When a value cannot be packed.
    FileProblem
        When there is no store, or it cannot be written to.
    """
    place = place_of(path)
    sums = {}
    for name, variable in cube.data_vars.items():
        metadata = place.read(f"{name}/{ROOT}")
        if metadata is None:
            raise FileProblem(
                place.name,
                found=f"no array {name!r}",
                expected="a store made by create_store with this variable",
            )
        for key, content in _encoded(str(name), metadata, variable.variable, window).items():
            if content is None:
                place.remove([key])
                continue
            place.write(key, content)
            sums[key] = _digest(content)
    return sums


def is_intact(path: str | Path, sums: Mapping[str, str]) -> bool:
    """Tell whether every object is there with the content that its checksum was taken of.

    Examples
    --------
    >>> is_intact("nowhere.zarr", {}), is_intact("nowhere.zarr", {"soil_moisture/c/0/0/0": "00"})
    (True, False)
    """
    place = place_of(path)
    return all(
        (content := place.read(key)) is not None and _digest(content) == digest
        for key, digest in sums.items()
    )


def remove_strays(path: str | Path, kept: Iterable[str]) -> list[str]:
    """Remove what killed writers left in an unfinished store, while nobody writes to it.

    Parameters
    ----------
    path
        Where `create_store` has been.
    kept
        Keys of the objects of all finished tiles.

    Returns
    -------
    list
        Keys of what was removed: half-written files, and shards of tiles that are not finished.

    Raises
    ------
    FileProblem
        When there is no unfinished store here.
    """
    place = place_of(path)
    note = _note(place)
    if note is None:
        raise _nothing_begun(place)
    known = {UNFINISHED, ROOT, *note["sums"], *kept}
    strays = sorted(set(place.sizes()) - known)
    place.remove(strays)
    return strays


def finish_store(path: str | Path) -> None:
    """Put the root metadata in its place, with the inventory by which `open_cube` notices lost objects.

    Nothing is done twice: it may be called again after it was interrupted, or after a tile was mended.

    Raises
    ------
    FileProblem
        When there is no store here, or it cannot be written to.
    """
    place = place_of(path)
    note = _note(place)
    root = json.dumps(note["root"]).encode() if note is not None else place.read(ROOT)
    if root is None:
        raise _nothing_begun(place)
    place.write(ROOT, sealed(root, place))
    place.remove([UNFINISHED])


def _note(place: Place) -> dict[str, Any] | None:
    content = place.read(UNFINISHED)
    try:
        note = json.loads(content) if content is not None else {}
    except ValueError:
        return None
    return note if isinstance(note, dict) and {"root", "sums"} <= set(note) else None


def _nothing_begun(place: Place) -> FileProblem:
    return FileProblem(
        place.name, found="no unfinished store", expected="one that create_store has made"
    )


def _metadata(template: xr.Dataset, layout: Layout) -> dict[str, bytes]:
    """Let xarray write the store to memory, with arrays of which no value is computed."""
    import dask.array as da
    from zarr.storage import MemoryStore

    empty = template.copy()
    for name, array in template.data_vars.items():
        # One dask chunk stands for the whole array: a task for every tile would be too many to plan.
        values = da.empty(array.shape, dtype=array.dtype, chunks=-1)
        empty[name] = (array.dims, values, array.attrs)
    plain = prepared(empty, packed=layout.is_packed)
    encode_for_zarr(plain)
    for array in plain.data_vars.values():
        tile, chunk = layout.shape({str(dim): size for dim, size in array.sizes.items()})
        array.encoding |= {"shards": tuple(tile.values()), "chunks": tuple(chunk.values())}
    staged: dict[str, Any] = {}
    plain.to_zarr(MemoryStore(staged), mode="w-", zarr_format=3, consolidated=False, compute=False)
    return {key: content.to_bytes() for key, content in sorted(staged.items())}


def _encoded(
    name: str, metadata: bytes, variable: xr.Variable, window: Window
) -> dict[str, bytes | None]:
    """Encode a part of an array in memory; give the objects that it fills, None for those of gaps alone."""
    import zarr
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore

    buffer = default_buffer_prototype().buffer
    staged: dict[str, Any] = {f"{name}/{ROOT}": buffer.from_bytes(metadata)}
    array = zarr.open_array(
        MemoryStore(staged),
        path=name,
        mode="r+",
        zarr_format=3,
        config={"write_empty_chunks": False},
    )
    sides = array.shards or array.chunks
    dims = tuple(json.loads(metadata)["dimension_names"])
    cells = _whole_tiles(
        name, dict(zip(dims, zip(array.shape, sides, strict=True), strict=True)), window
    )
    values = _values_for(name, array.dtype, dims, cells, variable)
    if values.size:
        array[cells] = values
    spans = (
        range(part.start // side, -(-part.stop // side))
        for part, side in zip(cells, sides, strict=True)
    )
    keys = [
        f"{name}/{array.metadata.encode_chunk_key(place)}" for place in itertools.product(*spans)
    ]
    return {key: staged[key].to_bytes() if key in staged else None for key in keys}


def _whole_tiles(
    name: str, axes: Mapping[str, tuple[int, int]], window: Window
) -> tuple[slice, ...]:
    """Check a window against the size and side of tiles of each dimension."""
    cells = []
    for dim, (size, side) in axes.items():
        asked = window.get(dim, slice(0, size))
        start, stop, step = asked.indices(size)
        is_whole = step == 1 and start % side == 0 and (stop % side == 0 or stop == size)
        if not is_whole or start >= stop or (asked.stop or 0) > size:
            raise CubeProblem(
                name,
                found=f"cells {asked.start} to {asked.stop} along {dim!r}",
                expected=f"whole tiles of {side} cells, or up to the end at {size}",
                remedy="Part of a tile cannot be written without losing the rest of it.",
            )
        cells.append(slice(start, stop))
    return tuple(cells)


def _values_for(
    name: str,
    dtype: np.dtype[Any],
    dims: tuple[str, ...],
    cells: tuple[slice, ...],
    variable: xr.Variable,
) -> Any:
    """Give the values of a tile in the type of the store, once they are seen to fit."""
    shape = tuple(part.stop - part.start for part in cells)
    if variable.dims != dims or variable.shape != shape:
        raise CubeProblem(
            name, found=f"{variable.dims} of {variable.shape} cells", expected=f"{dims} of {shape}"
        )
    values = variable.to_numpy()
    packing = packing_of(name)
    if packing is not None and dtype == np.int16:
        return packing.encode(values)
    if not np.can_cast(values.dtype, dtype, "safe") and {values.dtype.kind, dtype.kind} != {"f"}:
        raise CubeProblem(name, found=f"type {values.dtype}", expected=f"type {dtype} of the store")
    return values.astype(dtype, copy=False)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
