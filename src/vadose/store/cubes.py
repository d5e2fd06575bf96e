"""Cubes as Zarr stores, which give the same bits when read, and as netCDF files for use elsewhere."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vadose.errors import FileProblem, VadoseError
from vadose.grids import coordinates, grid_of
from vadose.schema import GRID_MAPPING, check_cube
from vadose.store.files import partials, replaced

#: Chunk of arrays that have none: about 8 MB of float32, good for maps and for short series alike.
CHUNK = {"member": 1, "time": 32, "y": 256, "x": 256}
#: Codecs refuse 2 GiB, and a reader must hold several chunks at a time.
LARGEST_CHUNK = 256 * 2**20

_INVENTORY = "vadose_inventory"
_OF_THE_FILE = ("Conventions", "grid_mapping", _INVENTORY)
_RESOLUTIONS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


def write_cube(cube: xr.Dataset, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a cube as a Zarr v3 store with CF metadata; reading it gives the same bits.

    Dask chunks are kept where they are regular, else made so; one task writes one whole chunk. The
    cube may come from the store that it replaces. A folder that is no Zarr store is never replaced.

    Raises
    ------
    FileProblem, CubeProblem, UnitProblem, UnknownName

    Examples
    --------
    >>> import tempfile
    >>> from vadose.grids import latlon
    >>> cube = xr.Dataset(coords=coordinates(latlon(10.0)))
    >>> store = write_cube(cube, Path(tempfile.mkdtemp()) / "cube.zarr")
    >>> grid_of(open_cube(store)) == latlon(10.0)
    True
    """
    from zarr.codecs import BloscCodec, Crc32cCodec

    path = Path(path)
    if path.is_dir() and any(path.iterdir()) and not (path / "zarr.json").exists():
        raise FileProblem(path, found="a folder of other files", expected="a Zarr store or none")
    plain = _prepared(cube)
    for array in plain.data_vars.values():
        # The checksum makes a damaged chunk fail when read; chunks of NaN alone are not stored.
        compressors = (BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle"), Crc32cCodec())
        array.encoding |= {"chunks": _chunk_shape(array), "compressors": compressors}
        if array.dtype.kind == "f":
            array.encoding["fill_value"] = array.dtype.type(np.nan)
    for array in plain.coords.values():
        if array.dtype.kind == "M":
            # The unit of the number is the resolution of the time, so that reading restores it.
            unit = _RESOLUTIONS[np.datetime_data(array.dtype)[0]]
            array.encoding |= {"units": f"{unit} since 1970-01-01", "dtype": "int64"}
        elif array.dtype.kind == "U":
            array.encoding["dtype"] = "T"  # fixed-width text has no Zarr v3 specification
    with replaced(path, overwrite=overwrite) as partial, _own_threads():
        plain.to_zarr(partial, mode="w-", zarr_format=3, consolidated=False)
        seal(partial)
    return path


def seal(store: str | Path) -> None:
    """Note in a complete Zarr store how many files and bytes each array has, for `open_cube`.

    A lost chunk would read as a gap, without an error. Whoever writes a store in parts seals it last.
    """
    import zarr

    inventory = _inventory(Path(store))
    zarr.open_group(store, mode="r+", zarr_format=3).update_attributes({_INVENTORY: inventory})


def _inventory(store: Path) -> dict[str, list[int]]:
    """Count the files and bytes of every array; hidden files are not Zarr's."""
    found = {}
    for member in sorted(entry for entry in store.iterdir() if entry.is_dir()):
        files = [file for file in member.rglob("[!.]*") if file.is_file()]
        found[member.name] = [len(files), sum(file.stat().st_size for file in files)]
    return found


def open_cube(path: str | Path) -> xr.Dataset:
    """Open a cube lazily from a Zarr store, one dask chunk for each chunk on disk.

    Raises
    ------
    FileProblem
        When the store is missing, incomplete, or holds something other than a cube. A chunk damaged
        without a change of size raises when it is read.

    Examples
    --------
    >>> open_cube("nowhere.zarr")
    Traceback (most recent call last):
    vadose.errors.FileProblem: nowhere.zarr: found no Zarr store, expected a cube. Check the path.
    """
    path = Path(path)
    if not any((path / name).is_file() for name in ("zarr.json", ".zgroup")):
        raise _missing(path, "no Zarr store")
    with _reading(path):
        _check_inventory(path)
        return _restored(path, engine="zarr", consolidated=False)


def _check_inventory(path: Path) -> None:
    root = path / "zarr.json"
    sealed = json.loads(root.read_text())["attributes"] if root.is_file() else {}
    found = _inventory(path)
    for name, (files, size) in sealed.get(_INVENTORY, {}).items():
        now = found.get(name, [0, 0])
        if now != [files, size]:
            raise FileProblem(
                path,
                found=f"{now[0]} files of {now[1]} bytes for {name!r}",
                expected=f"{files} files of {size} bytes, as when it was written",
                remedy="The store is damaged or changed: copy or make it again.",
            )


def write_netcdf(cube: xr.Dataset, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a cube as one compressed netCDF-4 file with CF metadata, for use elsewhere.

    Raises
    ------
    FileProblem, CubeProblem, UnitProblem, UnknownName

    Examples
    --------
    >>> import tempfile
    >>> from vadose.grids import latlon
    >>> cube = xr.Dataset(coords=coordinates(latlon(10.0)))
    >>> file = write_netcdf(cube, Path(tempfile.mkdtemp()) / "cube.nc")
    >>> open_netcdf(file).sizes["x"]
    36
    """
    path, plain = Path(path), _prepared(cube)
    for array in plain.data_vars.values():
        array.encoding |= {"zlib": True, "shuffle": True, "chunksizes": _chunk_shape(array)}
        if array.dtype.kind == "f":
            array.encoding["_FillValue"] = array.dtype.type(np.nan)
    for array in plain.coords.values():
        if array.dtype.kind == "M":
            array.encoding |= {"units": f"{_time_unit(array)} since 1970-01-01", "dtype": "int64"}
    with (
        replaced(path, overwrite=overwrite) as partial,
        _PatientFile(partial) as file,
        _own_threads(),
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
        raise _missing(path, "no such file")
    with _reading(path):
        return _restored(path, engine="h5netcdf")


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


@contextmanager
def _own_threads() -> Iterator[None]:
    """Compute in a pool that ends with this context, so that no thread writes after the clean-up."""
    import dask
    from dask.system import CPU_COUNT

    workers = dask.config.get("num_workers", None) or CPU_COUNT
    with ThreadPoolExecutor(workers) as pool, dask.config.set(pool=pool):
        yield


def _prepared(cube: xr.Dataset) -> xr.Dataset:
    """Check a cube, forget how its source was packed, give it regular chunks and CF attributes."""
    transform = coordinates(grid_of(check_cube(cube)))[GRID_MAPPING].attrs["GeoTransform"]
    plain = cube.drop_encoding()
    plain.attrs = {**_attributes(plain), "Conventions": "CF-1.11"}
    reference = plain[GRID_MAPPING].attrs
    if "GeoTransform" in reference:  # a part of a cube still carries that of the whole
        reference["GeoTransform"] = transform
    for name, variable in plain.variables.items():
        if name in plain.data_vars or variable.chunks:
            plain[name] = variable.chunk(_chunks(variable))
    for variable in plain.variables.values():
        variable.encoding = {"_FillValue": None}
        variable.attrs = _attributes(variable)
    for array in plain.data_vars.values():
        array.encoding["grid_mapping"] = GRID_MAPPING
    return plain


def _chunks(variable: xr.Variable) -> dict[str, int]:
    """Give one size for every dimension: the largest of the dask chunks, or our own."""
    own = {str(dim): max(sizes) for dim, sizes in variable.chunksizes.items()}
    whole = {str(dim): size for dim, size in variable.sizes.items()}
    sizes = own or {dim: min(size, CHUNK.get(dim, size)) for dim, size in whole.items()}
    while np.prod(list(sizes.values()), dtype="f8") * variable.dtype.itemsize > LARGEST_CHUNK:
        longest = max(sizes, key=lambda dim: sizes[dim])
        sizes[longest] = -(-sizes[longest] // 2)
    return sizes


def _chunk_shape(array: xr.DataArray) -> tuple[int, ...]:
    return tuple(max(sizes) for sizes in array.variable.chunksizes.values())


def _time_unit(times: xr.DataArray) -> str:
    """Find the longest unit of which all times are whole numbers."""
    for unit, word in {"D": "days", "h": "hours", "m": "minutes", **_RESOLUTIONS}.items():
        if (times.values == times.values.astype(f"M8[{unit}]")).all():
            return word
    return "nanoseconds"


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever a damaged or foreign file raises into a `FileProblem` that names it."""
    try:
        yield
    except FileProblem:
        raise
    except VadoseError as problem:
        raise FileProblem(path, found="data that is no cube", remedy=str(problem)) from problem
    except Exception as error:
        raise FileProblem(
            path,
            found=f"a damaged or foreign file ({type(error).__name__}: {error})",
            expected="a cube that vadose wrote",
            remedy="Copy or make it again.",
        ) from error


def _missing(path: Path, found: str) -> FileProblem:
    left = ", ".join(file.name for file in partials(path))
    remedy = f"An interrupted run left {left} beside it." if left else "Check the path."
    return FileProblem(path, found=found, expected="a cube", remedy=remedy)


def _restored(path: Path, **how: Any) -> xr.Dataset:
    """Open and check a cube, with the attributes and coordinates that it was written with."""
    # Seconds is the coarsest resolution; xarray takes a finer one where the stored unit is finer.
    times = xr.coders.CFDatetimeCoder(time_unit="s")
    cube = xr.open_dataset(path, chunks={}, decode_times=times, **how)
    cube = cube.set_coords([GRID_MAPPING] if GRID_MAPPING in cube else [])
    cube.attrs = _attributes(cube)
    for variable in cube.variables.values():
        variable.attrs = _attributes(variable)
    loaded = {name: array.load() for name, array in cube.coords.items() if array.ndim < 2}
    text = {
        name: array.astype(object).astype(str)
        for name, array in loaded.items()
        if array.dtype.kind in "OT"
    }
    cube = check_cube(cube.assign_coords(loaded | text))
    grid_of(cube)
    return cube


def _attributes(holder: xr.Dataset | xr.Variable) -> dict[str, Any]:
    """Give flags as an array of the variable's own type, as CF asks, and numbers as Python's."""
    codes = holder.dtype if isinstance(holder, xr.Variable) and holder.dtype.kind in "iu" else None
    attributes = {}
    for key, value in holder.attrs.items():
        if key in ("flag_values", "flag_masks") and codes is not None:
            value = np.atleast_1d(np.asarray(value, dtype=codes))
        if key not in _OF_THE_FILE:
            attributes[key] = value.item() if isinstance(value, np.generic) else value
    return attributes
