"""The formats products come in: HDF5 and netCDF-4, classic netCDF, and what GDAL reads."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import rasterio
from affine import Affine
from scipy.io import netcdf_file

from vadose.errors import FileProblem, GridProblem
from vadose.products.integrity import check_claim
from vadose.products.raw import FileArray, RawFile, Stored, Values

#: GDAL turns kelvin into degrees Celsius while reading GRIB unless told not to.
RASTER_OPTIONS = {"GRIB_NORMALIZE_UNITS": "NO"}


def _read_hdf5(path: str, name: str, window: tuple[slice, ...]) -> Values:
    with h5py.File(path, "r") as file:
        return np.asarray(file[name][window])


#: Attributes that readers ask for; reading all of them takes most of the time of opening a file.
_ATTRIBUTES = (
    "units",
    "Units",
    "scale_factor",
    "add_offset",
    "_FillValue",
    "missing_value",
    "CodeMissingValue",
    "_Unsigned",
    "calendar",
    "flag_meanings",
    "grid_mapping",
    "grid_mapping_name",
    "crs_wkt",
    "spatial_ref",
    "epsg_code",
    "GRIB_stepType",
)


class HierarchicalFile(RawFile):
    """Read HDF5 and netCDF-4; a variable in a group is named ``group/variable``."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = h5py.File(path, "r")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def names(self) -> list[str]:
        """List the variables, with their groups."""
        found: list[str] = []
        self._file.visititems(
            lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None
        )
        return found

    def has(self, name: str) -> bool:
        """Tell whether the file has a variable."""
        return isinstance(self._file.get(name), h5py.Dataset)

    def variable(self, name: str) -> Stored:
        """Give one variable: dims, lazy data as stored, attributes."""
        stored = self._file[name]
        dtype = stored.dtype
        shape = tuple(stored.shape)
        array = FileArray(str(self.path), name, shape, dtype, stored.chunks or shape, _read_hdf5)
        present = {key: stored.attrs[key] for key in _ATTRIBUTES if key in stored.attrs}
        return Stored(tuple(_dims_of(stored)), array, _text_of(present))


def _dims_of(stored: h5py.Dataset) -> list[str]:
    """Name dimensions by the scales attached to them; a scale is its own, plain HDF5 has none."""
    own = stored.name.rsplit("/", 1)[-1]
    if stored.ndim == 1 and stored.attrs.get("CLASS") == b"DIMENSION_SCALE":
        return [own]
    _check_scales(stored)
    names = []
    for place, dim in enumerate(stored.dims):
        scale = dim[0].name if len(dim) else dim.label or f"axis_{place}"
        if scale is None:  # an object that nothing names: the reference is damaged
            raise ValueError(f"dimension {place} of {own!r} has no name")
        names.append(scale.rsplit("/", 1)[-1].removeprefix("_nc4_non_coord_"))
    return names


def _check_scales(stored: h5py.Dataset) -> None:
    """Refuse attributes of another type than the library takes them for: it follows text as a pointer."""
    for name, kind in ((b"DIMENSION_LIST", h5py.h5t.VLEN), (b"DIMENSION_LABELS", h5py.h5t.STRING)):
        if not h5py.h5a.exists(stored.id, name):
            continue
        attribute = h5py.h5a.open(stored.id, name)
        if attribute.get_type().get_class() != kind or attribute.shape != (stored.ndim,):
            raise ValueError(f"{stored.name} has a {name.decode()} that is none")


def _read_classic(path: str, name: str, window: tuple[slice, ...]) -> Values:
    opened: Any = netcdf_file(path, "r", mmap=True)
    with opened as file:
        # no name may hold on to the mapped array when the file is closed
        block = np.array(file.variables[name].data[window])
    return block.astype(block.dtype.newbyteorder("="))


class ClassicFile(RawFile):
    """Read netCDF-3 (classic and 64-bit offset)."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file: Any = netcdf_file(str(path), "r", mmap=True)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def names(self) -> list[str]:
        """List the variables."""
        return list(self._file.variables)

    def variable(self, name: str) -> Stored:
        """Give one variable: dims, lazy data as stored, attributes."""
        stored = self._file.variables[name]
        dtype = stored.data.dtype.newbyteorder("=")
        shape = tuple(stored.shape)
        array = FileArray(str(self.path), name, shape, dtype, shape, _read_classic)
        return Stored(tuple(stored.dimensions), array, _text_of(stored._attributes))


def _text_of(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Bring texts, which libraries give as bytes or as arrays of one, to str."""
    plain = {}
    for key, value in attributes.items():
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(())[()]
        plain[key] = value.decode(errors="replace") if isinstance(value, bytes) else value
    return plain


def _read_raster(path: str, name: str, window: tuple[slice, ...]) -> Values:
    rows, columns = window
    with rasterio.Env(**RASTER_OPTIONS), rasterio.open(path) as file:
        part = ((rows.start, rows.stop), (columns.start, columns.stop))
        return np.asarray(file.read(int(name), window=part))


def _read_centres(path: str, name: str, window: tuple[slice, ...]) -> Values:
    with rasterio.Env(**RASTER_OPTIONS), rasterio.open(path) as file:
        change = file.transform
    start, step = (change.f, change.e) if name == "y" else (change.c, change.a)
    return np.asarray(start + step * (np.arange(window[0].start, window[0].stop) + 0.5))


def is_reduced_gaussian(path: Path) -> bool:
    """Tell whether a file is GRIB 1 on a grid whose rows differ in length, which GDAL cannot read.

    References
    ----------
    WMO Manual on Codes, FM 92 GRIB edition 1, section 2: Ni is all ones on a reduced grid.
    """
    with path.open("rb") as stream:
        start = stream.read(4096)
    if start[:4] != b"GRIB" or start[7] != 1:
        return False
    section = 8 + int.from_bytes(start[8:11], "big")
    return start[section + 5 : section + 8] == b"\x04\xff\xff"


def _fault_of(affine: Affine) -> str:
    if affine == Affine.identity():  # what GDAL says of a raster that says nothing
        return "no georeference"
    if not all(map(math.isfinite, affine)) or affine.a == 0 or affine.e == 0:
        return f"cells of {affine.a:g} by {affine.e:g}"
    return "a rotated grid" if affine.b or affine.d else ""


class RasterFile(RawFile):
    """Read what GDAL reads; bands are named ``1``, ``2``, … and have dims ``y, x``.

    Attributes
    ----------
    source
        The open file of rasterio.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(rasterio.Env(**RASTER_OPTIONS))
        try:
            with warnings.catch_warnings():
                # refused below, with the reason
                warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
                self.source = self._stack.enter_context(rasterio.open(path))
        except rasterio.errors.RasterioIOError as error:
            self._stack.close()
            if is_reduced_gaussian(path):
                raise GridProblem(
                    path,
                    found="a reduced Gaussian grid (rows of different length)",
                    expected="a regular longitude/latitude grid",
                    remedy="Download it with grid=0.25/0.25, or convert it with cdo remapbil.",
                ) from error
            raise
        if path.suffix.lower() != ".vrt":
            claimed = sum(np.dtype(dtype).itemsize for dtype in self.source.dtypes)
            claimed *= self.source.width * self.source.height
            check_claim(path, "a raster", claimed, path.stat().st_size)
        fault = _fault_of(self.source.transform)
        if fault:
            self._stack.close()
            raise GridProblem(path, found=fault, expected="north up", remedy="Warp it.")

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    @property
    def names(self) -> list[str]:
        """List the bands and the coordinates."""
        return [str(band) for band in self.source.indexes] + ["y", "x"]

    @property
    def crs(self) -> str:
        """Give the CRS: ``EPSG:4326`` for any longitude and latitude, else WKT, empty for none."""
        crs = self.source.crs
        if crs is None:
            return ""
        return "EPSG:4326" if crs.is_geographic else str(crs.to_wkt())

    def variable(self, name: str) -> Stored:
        """Give one band, or the cell centres ``y`` or ``x``."""
        file = self.source
        if name in ("y", "x"):
            size = file.height if name == "y" else file.width
            centres = FileArray(
                str(self.path), name, (size,), np.dtype("f8"), (size,), _read_centres
            )
            return Stored((name,), centres)
        place = int(name) - 1
        attributes: dict[str, Any] = dict(file.tags(int(name)))
        units = file.units[place] or file.tags().get("units")
        if units:
            attributes.setdefault("units", units)
        if file.nodatavals[place] is not None:
            attributes["_FillValue"] = file.nodatavals[place]
        if (file.scales[place], file.offsets[place]) != (1.0, 0.0):
            attributes.update(scale_factor=file.scales[place], add_offset=file.offsets[place])
        shape, dtype = (file.height, file.width), np.dtype(file.dtypes[place])
        blocks = tuple(file.block_shapes[place])
        array = FileArray(str(self.path), name, shape, dtype, blocks, _read_raster)
        return Stored(("y", "x"), array, attributes)


@contextlib.contextmanager
def open_raw(path: Path) -> Iterator[RawFile]:
    """Open a file by what its first bytes say it is, whatever its name.

    Raises
    ------
    FileProblem
        When it is too short to be anything.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file, open_raw(Path(file.name)):
    ...     pass  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    vadose.errors.FileProblem: ...: found a file of 0 bytes. Download it again.
    """
    with path.open("rb") as stream:
        start = stream.read(8)
    if len(start) < 8:
        size = path.stat().st_size
        raise FileProblem(path, found=f"a file of {size} bytes", remedy="Download it again.")
    file: HierarchicalFile | ClassicFile | RasterFile
    if start == b"\x89HDF\r\n\x1a\n":
        file = HierarchicalFile(path)
    elif start[:3] == b"CDF":
        file = ClassicFile(path)
    else:
        file = RasterFile(path)
    with contextlib.closing(file):
        yield file
