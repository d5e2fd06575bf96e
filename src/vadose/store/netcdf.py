"""Cubes as netCDF files, for use elsewhere."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import xarray as xr

from vadose.store.encoding import (
    chunked,
    encode_for_netcdf,
    missing,
    own_threads,
    prepared,
    reading,
    restored,
)
from vadose.store.files import replaced


def write_netcdf(
    cube: xr.Dataset, path: str | Path, *, overwrite: bool = False, packed: bool = False
) -> Path:
    """Write a cube as one compressed netCDF-4 file with CF metadata, for use elsewhere.

    Parameters
    ----------
    cube
        Any cube; dask chunks are read and written one after the other.
    path
        Name of the file.
    overwrite
        Whether an earlier file may be replaced.
    packed
        Whether continuous variables become 16-bit integers, see `vadose.store.packing_of`.

    Raises
    ------
    FileProblem, CubeProblem, UnitProblem, UnknownName
    ValueProblem
        When a value is out of the range that packing can store.

    Examples
    --------
    >>> import tempfile
    >>> from vadose.grids import coordinates, latlon
    >>> cube = xr.Dataset(coords=coordinates(latlon(10.0)))
    >>> file = write_netcdf(cube, Path(tempfile.mkdtemp()) / "cube.nc")
    >>> open_netcdf(file).sizes["x"]
    36
    """
    path, plain = Path(path), chunked(prepared(cube, packed=packed))
    encode_for_netcdf(plain)
    with (
        replaced(path, overwrite=overwrite) as partial,
        _PatientFile(partial) as file,
        own_threads(),
    ):
        plain.to_netcdf(file, engine="h5netcdf", format="NETCDF4")
    return path


def open_netcdf(path: str | Path) -> xr.Dataset:
    """Open a cube lazily from a netCDF file that `write_netcdf` made.

    Times have a resolution of seconds, or finer where they need it.

    Raises
    ------
    FileProblem
        When the file is missing, truncated, or holds something other than a cube.
    """
    path = Path(path)
    if not path.is_file():
        raise missing(path, "no such file")
    with reading(path):
        return restored(path, engine="h5netcdf")


class _PatientFile(io.FileIO):
    """Feign success when a write fails and raise at the end: HDF5 crashes the process on a full disk."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+b")
        self.failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        view, done = memoryview(data).cast("B"), 0
        try:
            while done < len(view):
                done += super().write(view[done:]) or 0
        except OSError as error:
            self.failure = self.failure or error
        return len(view)

    def __exit__(self, *exception: object) -> None:
        self.close()
        if self.failure is not None:
            raise self.failure
