"""What a file from outside may not do: point out of itself, or claim far more than it holds.

A file comes from the network and is opened unattended, in folders of thousands. HDF5 follows links to
other files and reads their bytes as data; GDAL takes a text that names other files, or addresses, for a
raster whatever it is called; a few kilobytes may claim terabytes that no one stored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from vadose.errors import FileProblem
from vadose.products.hdf4_directory import check_directory

#: Values for one stored byte that no product reaches: deflate packs 1,032 to one, and sparse tiles of a
#: swath some hundreds more.
MAXIMUM_RATIO = 20_000
#: Bytes that a file may claim whatever its size.
HARMLESS = 2**30
#: Objects and nested groups that a file may have; a group may contain itself.
MAXIMUM_OBJECTS, MAXIMUM_DEPTH = 20_000, 16


def check_file(path: Path) -> None:
    """Refuse a file that is a web page, names other files, or claims what it does not hold.

    Raises
    ------
    FileProblem

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "map.nc")
    ...     _ = path.write_text("<!DOCTYPE html><html>Log in</html>")
    ...     try:
    ...         check_file(path)
    ...     except FileProblem as problem:
    ...         problem.found
    'a web page'
    """
    with path.open("rb") as stream:
        start = stream.read(512)
    if start[:8] == b"\x89HDF\r\n\x1a\n":
        with h5py.File(path, "r") as file:
            _check_group(path, file.id, [0], 0)
        return
    if start[:4] == b"\x0e\x03\x13\x01":
        check_directory(path)
        return
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        raise FileProblem(
            path,
            found="a web page",
            expected="data",
            remedy="The download needs a login: look at the page, log in, and download again.",
        )
    if text[:1] in (b"<", b"{", b"[") and path.suffix.lower() != ".vrt":
        raise FileProblem(
            path,
            found="a text that may name other files",
            expected="data",
            remedy="Name the files themselves; give a virtual raster of your own the ending .vrt.",
        )


def _check_group(path: Path, group: Any, visited: list[int], depth: int) -> None:
    """Look at every object of a group by its header alone: 1 ms for a file of 40 variables."""
    for name in group:
        kind = group.links.get_info(name).type
        if kind == h5py.h5l.TYPE_EXTERNAL:
            raise _outside(path, name, "links to")
        if kind != h5py.h5l.TYPE_HARD:
            continue
        visited[0] += 1
        if visited[0] > MAXIMUM_OBJECTS or depth > MAXIMUM_DEPTH:
            raise FileProblem(
                path,
                found=f"more than {MAXIMUM_OBJECTS} objects, or groups nested {depth} deep",
                expected="a file of a product",
            )
        held = h5py.h5o.open(group, name)
        if isinstance(held, h5py.h5g.GroupID):
            _check_group(path, held, visited, depth + 1)
        elif isinstance(held, h5py.h5d.DatasetID):
            if held.get_create_plist().get_external_count():
                raise _outside(path, name, "is stored in")
            claimed = float(np.prod(held.shape or (1,), dtype="f8")) * held.get_type().get_size()
            check_claim(path, f"variable {_text(name)!r}", claimed, held.get_storage_size())


def _outside(path: Path, name: bytes, verb: str) -> FileProblem:
    return FileProblem(
        path,
        found=f"variable {_text(name)!r}, which {verb} another file",
        expected="data in the file itself",
        remedy="Download it again, from where the product is published.",
    )


def _text(name: bytes) -> str:
    return name.decode(errors="replace")


def check_claim(path: Path, what: str, claimed: float, stored: float) -> None:
    """Refuse what claims to be far larger than what is stored of it.

    Raises
    ------
    FileProblem
    """
    if claimed > max(HARMLESS, MAXIMUM_RATIO * stored):
        raise FileProblem(
            path,
            found=f"{what} of {claimed:,.0f} bytes in {stored:,.0f} stored",
            expected=f"at most {MAXIMUM_RATIO:,} for one",
            remedy="Download it again.",
        )


def check_size(path: Path, cube: xr.Dataset) -> None:
    """Refuse a cube that is larger than its file can hold, before anyone reads it.

    Raises
    ------
    FileProblem
    """
    if path.suffix.lower() != ".vrt":
        check_claim(path, "values", float(cube.nbytes), float(path.stat().st_size))
