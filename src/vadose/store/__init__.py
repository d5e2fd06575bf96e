"""Cubes to and from disk, and the one way in which anything takes its final name.

Whatever vadose writes is first written under a hidden name beside its final one and renamed when it is
complete (`replaced`), so that a name never stands for half a result. A store that is made tile by tile
(`create_store`, `write_tile`, `finish_store`) is no Zarr store to a reader before it is finished.
"""

from vadose.store.cubes import copy_store, open_cube, open_windows, read_window, seal, write_cube
from vadose.store.encoding import CHUNK, LARGEST_CHUNK
from vadose.store.files import partials, replaced, sha256
from vadose.store.layout import Layout, layout_of
from vadose.store.ledger import Entry, Ledger
from vadose.store.lock import owned
from vadose.store.netcdf import open_netcdf, write_months, write_netcdf
from vadose.store.packing import packing_of
from vadose.store.places import is_url
from vadose.store.tiles import (
    create_store,
    finish_store,
    has_begun,
    is_intact,
    remove_strays,
    write_tile,
)

__all__ = [
    "CHUNK",
    "LARGEST_CHUNK",
    "Entry",
    "Layout",
    "Ledger",
    "copy_store",
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
    "write_months",
    "write_netcdf",
    "write_tile",
]
