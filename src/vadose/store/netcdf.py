"""Cubes as netCDF files, one or one a month, for use elsewhere."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vadose.errors import FileProblem
from vadose.store.encoding import (
    chunked,
    encode_for_netcdf,
    missing,
    own_threads,
    prepared,
    reading,
    restored,
)
from vadose.store.files import replaced, sha256
from vadose.store.ledger import Entry, Ledger


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


def write_months(
    cube: xr.Dataset,
    folder: str | Path,
    stem: str,
    *,
    overwrite: bool = False,
    packed: bool = False,
    key: str = "",
) -> list[Path]:
    """Write a cube as one netCDF file for each calendar month; no month is ever in memory as a whole.

    Parameters
    ----------
    cube
        A lazy cube; static variables go into every file.
    folder
        An existing folder.
    stem
        Begin of the names, as in ``<stem>_2019-01.nc``. What lies within one month, or has no time,
        becomes ``<stem>.nc``.
    overwrite
        Whether earlier files may be replaced.
    packed
        Whether continuous variables become 16-bit integers, see `vadose.store.packing_of`.
    key
        Digest of what is exported, of which the caller alone can know that it is the same as before.
        With one, an export that was interrupted keeps the files that it had finished.

    Returns
    -------
    list of Path
        The files, in order of time.

    Raises
    ------
    FileProblem, CubeProblem, UnitProblem, UnknownName
    ValueProblem
        When a value is out of the range that packing can store.

    Examples
    --------
    >>> import tempfile
    >>> from vadose.synthetic import world
    >>> truth = world(size=16, days=40, factor=4, seed=0).truth
    >>> [file.name for file in write_months(truth, tempfile.mkdtemp(), "truth")]
    ['truth_2019-04.nc', 'truth_2019-05.nc']
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileProblem(folder, found="no such folder", remedy="Create it first.")
    parts = {folder / f"{stem}{month}.nc": days for month, days in _months(cube).items()}
    notes = folder / f".{stem}.months.jsonl"
    ledger = Ledger(notes, key=f"{key} {'packed' if packed else 'plain'}") if key else None
    kept = {
        name
        for name, entry in (ledger.finished if ledger else {}).items()
        if (folder / name).is_file() and entry.sums == {name: sha256(folder / name)}
    }
    for path, days in parts.items():
        if path.name in kept:
            continue
        part = cube if days is None else cube.isel(time=days)
        write_netcdf(part, path, overwrite=overwrite, packed=packed)
        if ledger:
            ledger.add(Entry(path.name, sums={path.name: sha256(path)}))
    notes.unlink(missing_ok=True)
    return list(parts)


def _months(cube: xr.Dataset) -> dict[str, slice | None]:
    """Give the steps of each month by what is added to the name of its file."""
    if "time" not in cube.dims:
        return {"": None}
    months, first = np.unique(cube["time"].values.astype("M8[M]"), return_index=True)
    ends = [*first[1:], cube.sizes["time"]]
    if len(months) < 2:
        return {"": None}
    return {
        f"_{month}": slice(int(start), int(end))
        for month, start, end in zip(months, first, ends, strict=True)
    }


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
