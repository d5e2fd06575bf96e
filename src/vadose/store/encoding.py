"""How cubes are told in CF terms: types, chunks, packing and attributes, there and back."""

from __future__ import annotations

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
from vadose.store.files import partials
from vadose.store.packing import FILL, packing_of

#: Chunk of arrays that have none: about 8 MB of float32, good for maps and for short series alike.
CHUNK = {"member": 1, "time": 32, "y": 256, "x": 256}
#: Codecs refuse 2 GiB, and a reader must hold several chunks at a time.
LARGEST_CHUNK = 256 * 2**20
#: Attribute of a Zarr store that tells how many files and bytes each array has.
INVENTORY = "vadose_inventory"

_OF_THE_FILE = ("Conventions", "grid_mapping", INVENTORY)
_RESOLUTIONS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


def prepared(cube: xr.Dataset, *, packed: bool = False) -> xr.Dataset:
    """Check a cube, forget how its source was packed, give it CF attributes, pack it if asked."""
    transform = coordinates(grid_of(check_cube(cube)))[GRID_MAPPING].attrs["GeoTransform"]
    plain = cube.drop_encoding()
    plain.attrs = {**_attributes(plain), "Conventions": "CF-1.11"}
    reference = plain[GRID_MAPPING].attrs
    if "GeoTransform" in reference:  # a part of a cube still carries that of the whole
        reference["GeoTransform"] = transform
    for name, variable in plain.variables.items():
        packing = packing_of(str(name)) if packed and name in plain.data_vars else None
        attributes = _attributes(variable)
        if packing is not None:
            variable = xr.apply_ufunc(
                packing.encode, variable, dask="parallelized", output_dtypes=["i2"]
            )
            plain[name] = variable
            attributes |= packing.attributes()
        plain[name].variable.attrs = attributes
        plain[name].variable.encoding = {"_FillValue": None if packing is None else FILL}
    for array in plain.data_vars.values():
        array.encoding["grid_mapping"] = GRID_MAPPING
    return plain


def chunked(plain: xr.Dataset) -> xr.Dataset:
    """Give regular chunks to the variables of a prepared cube and to its large coordinates."""
    for name, variable in plain.variables.items():
        if name in plain.data_vars or variable.chunks:
            plain[name] = variable.chunk(_chunks(variable))
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


def chunk_shape(array: xr.DataArray) -> tuple[int, ...]:
    """Give the shape of the largest dask chunk, that of all but the last along each dimension."""
    return tuple(max(sizes) for sizes in array.variable.chunksizes.values())


def encode_for_zarr(plain: xr.Dataset) -> None:
    """Note in the variables of a prepared cube how Zarr is to store them; chunks are the caller's."""
    from zarr.codecs import BloscCodec, Crc32cCodec

    for array in plain.data_vars.values():
        # The checksum makes a damaged chunk fail when read; chunks of gaps alone are not stored.
        compressors = (BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle"), Crc32cCodec())
        array.encoding["compressors"] = compressors
        if array.dtype.kind == "f":
            array.encoding["fill_value"] = array.dtype.type(np.nan)
        elif array.encoding["_FillValue"] is not None:
            array.encoding["fill_value"] = array.encoding["_FillValue"]
    for array in plain.coords.values():
        if array.dtype.kind == "M":
            # The unit of the number is the resolution of the time, so that reading restores it.
            unit = _RESOLUTIONS[np.datetime_data(array.dtype)[0]]
            array.encoding |= {"units": f"{unit} since 1970-01-01", "dtype": "int64"}
        elif array.dtype.kind == "U":
            array.encoding["dtype"] = "T"  # fixed-width text has no Zarr v3 specification


def encode_for_netcdf(plain: xr.Dataset) -> None:
    """Note in the variables of a prepared and chunked cube how netCDF is to store them."""
    for array in plain.data_vars.values():
        array.encoding |= {"zlib": True, "shuffle": True, "chunksizes": chunk_shape(array)}
        if array.dtype.kind == "f":
            array.encoding["_FillValue"] = array.dtype.type(np.nan)
    for array in plain.coords.values():
        if array.dtype.kind == "M":
            array.encoding |= {"units": f"{_time_unit(array)} since 1970-01-01", "dtype": "int64"}


def _time_unit(times: xr.DataArray) -> str:
    """Find the longest unit of which all times are whole numbers."""
    for unit, word in {"D": "days", "h": "hours", "m": "minutes", **_RESOLUTIONS}.items():
        if (times.values == times.values.astype(f"M8[{unit}]")).all():
            return word
    return "nanoseconds"


@contextmanager
def own_threads() -> Iterator[None]:
    """Compute in a pool that ends with this context, so that no thread writes after the clean-up."""
    import dask
    from dask.system import CPU_COUNT

    workers = dask.config.get("num_workers", None) or CPU_COUNT
    with ThreadPoolExecutor(workers) as pool, dask.config.set(pool=pool):
        yield


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
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


def missing(path: str | Path, found: str) -> FileProblem:
    """Compose the error for a cube that is not there; it names what a killed run left."""
    left = ", ".join(file.name for file in partials(path)) if isinstance(path, Path) else ""
    remedy = f"An interrupted run left {left} beside it." if left else "Check the path."
    return FileProblem(path, found=found, expected="a cube", remedy=remedy)


def restored(source: Any, *, lazy: bool = True, **how: Any) -> xr.Dataset:
    """Open and check a cube, with the attributes and coordinates that it was written with."""
    chunks: dict[str, int] | None = {} if lazy else None
    raw = xr.open_dataset(source, chunks=chunks, cache=False, decode_cf=False, **how)
    if how.get("engine") == "zarr":  # lists its arrays in any order, which is to decide nothing
        raw = raw[sorted(raw.variables)]  # type: ignore[type-var]
    for variable in raw.variables.values():
        _unpack_to_single(variable)
    # Seconds is the coarsest resolution; xarray takes a finer one where the stored unit is finer.
    cube = xr.decode_cf(raw, decode_times=xr.coders.CFDatetimeCoder(time_unit="s"))
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


def _unpack_to_single(variable: xr.Variable) -> None:
    """Give the numbers of 16-bit packing their type, which JSON does not keep."""
    packing = {key: variable.attrs.get(key) for key in ("scale_factor", "add_offset")}
    if variable.dtype == np.int16 and None not in packing.values():
        variable.attrs |= {key: np.float32(number) for key, number in packing.items()}


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
