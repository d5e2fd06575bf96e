"""Cubes to and from disk, and the one way in which anything takes its final name.

Whatever vadose writes is first written under a hidden name beside its final one and renamed when it is
complete (`replaced`), so that a name never stands for half a result. A store that is made tile by tile
(`create_store`, `write_tile`, `finish_store`) is no Zarr store to a reader before it is finished.
"""

from vadose.store.cubes import open_cube, open_windows, read_window, seal, write_cube
from vadose.store.encoding import CHUNK, LARGEST_CHUNK
from vadose.store.files import partials, replaced, sha256
from vadose.store.ledger import Entry, Ledger
from vadose.store.lock import owned
from vadose.store.netcdf import open_netcdf, write_netcdf
from vadose.store.packing import packing_of
from vadose.store.places import is_url
from vadose.store.tiles import (
    Layout,
    create_store,
    finish_store,
    has_begun,
    is_intact,
    layout_of,
    remove_strays,
    write_tile,
)

__all__ = [
    "CHUNK",
    "LARGEST_CHUNK",
    "Entry",
    "Layout",
    "Ledger",
    "create_store",
    "finish_store",
    "has_begun",
    "is_intact",
    "is_url",
    "layout_of",
    "open_cube",
    "open_netcdf",
    "open_windows",
    "owned",
    "packing_of",
    "partials",
    "read_window",
    "remove_strays",
    "replaced",
    "seal",
    "sha256",
    "write_cube",
    "write_netcdf",
    "write_tile",
]
