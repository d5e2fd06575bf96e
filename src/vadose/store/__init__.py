"""Cubes to and from disk, and the one way in which anything takes its final name.

Whatever vadose writes is first written under a hidden name beside its final one and renamed when it is
complete (`replaced`), so that a name never stands for half a result.
"""

from vadose.store.cubes import (
    CHUNK,
    LARGEST_CHUNK,
    open_cube,
    open_netcdf,
    seal,
    write_cube,
    write_netcdf,
)
from vadose.store.files import partials, replaced, sha256

__all__ = [
    "CHUNK",
    "LARGEST_CHUNK",
    "open_cube",
    "open_netcdf",
    "partials",
    "replaced",
    "seal",
    "sha256",
    "write_cube",
    "write_netcdf",
]
