"""HDF-EOS2 grids through pyhdf: a layer as a lazy array, its grid from StructMetadata.0.

No pip wheel of GDAL or netCDF4 reads HDF4, so pyhdf does; the geolocation, which pyhdf knows nothing
of, stands as text in the file's attributes.

References
----------
HDF-EOS Library User's Guide (1999), vol. 1, section 6; MODIS sinusoidal grid:
https://modis-land.gsfc.nasa.gov/GCTP.html
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
from affine import Affine
from dask.base import tokenize
from dask.utils import SerializableLock
from odc.geo.geobox import GeoBox

from vadose.errors import FileProblem, MissingExtra

#: The HDF4 library keeps global state: one thread at a time.
LOCK = SerializableLock("vadose.hdf4")
#: Rows and columns read by one task: a MODIS tile of 1 km whole, one of 500 m in four.
CHUNK = 1200


@dataclass(frozen=True)
class LayerWindow:
    """Read windows of a layer when asked, opening the file anew each time."""

    path: Path
    name: str
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    ndim: int = 2

    def __getitem__(self, index: tuple[slice, slice]) -> npt.NDArray[Any]:
        spans = [piece.indices(size) for piece, size in zip(index, self.shape, strict=True)]
        start = [span[0] for span in spans]
        count = [span[1] - span[0] for span in spans]
        try:
            file = _library().SD(str(self.path))
            try:
                values = np.asarray(file.select(self.name).get(start=start, count=count))
            finally:
                file.end()
        except Exception as error:  # pyhdf raises HDF4Error, a bare Exception, for every fault
            raise FileProblem(
                self.path,
                found=f"layer {self.name!r} that cannot be read ({error})",
                expected="a complete file",
                remedy="Download it again.",
            ) from error
        return values.reshape(count)


class GridFile:
    """Open an HDF-EOS2 file: its layers, their attributes and grids.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    MissingExtra
        pyhdf is not installed.
    FileProblem
        Not an HDF4 file, or without grid metadata.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        library = _library()
        with LOCK:
            try:
                file = library.SD(str(path))
                try:
                    self.layers: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
                        name: (tuple(info[0]), tuple(np.atleast_1d(info[1]).tolist()))
                        for name, info in file.datasets().items()
                    }
                    self.structure = _text(file, "StructMetadata")
                finally:
                    file.end()
            except Exception as error:  # pyhdf raises HDF4Error, a bare Exception
                raise FileProblem(
                    path,
                    found=f"no readable HDF4 file ({error})",
                    expected="an HDF-EOS2 grid file",
                    remedy="Download it again.",
                ) from error

    def core_metadata(self) -> str:
        """Read CoreMetadata: dates, tile, names. Not needed to open a file, and slow to read."""
        with LOCK:
            file = _library().SD(str(self.path))
            try:
                return _text(file, "CoreMetadata")
            finally:
                file.end()

    def find(self, pattern: str) -> str:
        """Find the one layer whose name matches a regular expression.

        Raises
        ------
        FileProblem
            The message lists the layers.
        """
        hits = [name for name in self.layers if re.fullmatch(pattern, name)]
        if len(hits) != 1:
            raise FileProblem(
                self.path,
                found=f"layers {', '.join(self.layers) or 'none'}",
                expected=f"one named {pattern!r}",
                remedy="Name the product that the file belongs to.",
            )
        return hits[0]

    def has(self, pattern: str) -> bool:
        """Tell whether a layer matches."""
        return any(re.fullmatch(pattern, name) for name in self.layers)

    def open_layer(self, name: str) -> tuple[da.Array, dict[str, Any]]:
        """Give the raw numbers of a layer, dims ``y, x``, not yet read, and its attributes."""
        shape = self.layers[name][1]
        with LOCK:
            file = _library().SD(str(self.path))
            try:
                layer = file.select(name)
                attributes = layer.attributes()
                code = layer.info()[3]
            finally:
                file.end()
        types = {20: "i1", 21: "u1", 22: "i2", 23: "u2", 24: "i4", 25: "u4", 5: "f4", 6: "f8"}
        if len(shape) != 2 or code not in types:
            raise FileProblem(
                self.path,
                found=f"layer {name!r} of shape {shape} and HDF4 type {code}",
                expected="a grid of numbers with two dimensions",
            )
        dtype = np.dtype(types[code])
        values = da.from_array(
            LayerWindow(self.path, name, (shape[0], shape[1]), dtype),
            chunks=(CHUNK, CHUNK),
            lock=LOCK,
            name=f"{name}-{tokenize(str(self.path), self.path.stat().st_mtime_ns, name)}",
            meta=np.empty((0, 0), dtype),
        )
        return values, attributes

    def grid(self, name: str) -> GeoBox:
        """Find the grid that a layer lies on; a file may hold several.

        Raises
        ------
        FileProblem
            When the metadata lacks the grid, or does not fit the layer.
        """
        dims, shape = self.layers[name]
        owner = dims[0].partition(":")[2]
        for block in re.findall(r"GROUP=(GRID_\d+)\s(.*?)END_GROUP=\1", self.structure, re.DOTALL):
            fields = dict(re.findall(r"^\s*(\w+)=(.+?)\s*$", block[1], re.MULTILINE))
            if fields.get("GridName", "").strip('"') == owner:
                return self._geobox(fields, name, (shape[0], shape[1]))
        raise FileProblem(
            self.path,
            found=f"no grid {owner!r} in StructMetadata.0, on which layer {name!r} lies",
            expected="an HDF-EOS2 grid file",
            remedy="Download the original file.",
        )

    def _geobox(self, fields: dict[str, str], name: str, shape: tuple[int, int]) -> GeoBox:
        try:
            left, top = _numbers(fields["UpperLeftPointMtrs"])
            right, bottom = _numbers(fields["LowerRightMtrs"])
            size = (int(fields["YDim"]), int(fields["XDim"]))
            projection, radius = fields["Projection"], _numbers(fields["ProjParams"])[0]
        except (KeyError, ValueError) as error:
            raise FileProblem(
                self.path,
                found=f"grid metadata that cannot be read ({type(error).__name__}: {error})",
                expected="corners, size and projection",
            ) from error
        if projection != "GCTP_SNSOID" or size != shape or right <= left or top <= bottom:
            raise FileProblem(
                self.path,
                found=f"{projection} grid of {size} cells from ({left:g}, {top:g}) to "
                f"({right:g}, {bottom:g}) for layer {name!r} of {shape}",
                expected="the layer's own sinusoidal grid (GCTP_SNSOID)",
            )
        step = Affine((right - left) / size[1], 0, left, 0, (bottom - top) / size[0], top)
        return GeoBox(size, step, sinusoidal(radius))


def sinusoidal(radius: float = 6371007.181) -> str:
    """Write the CRS of MODIS land grids, which has no EPSG code: sinusoidal on a sphere.

    Examples
    --------
    >>> sinusoidal()
    '+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs'
    """
    return f"+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R={radius} +units=m +no_defs"


def _text(file: Any, name: str) -> str:
    """Join the pieces (``name.0``, ``name.1``, …) of a text attribute; pyhdf reads them by the byte."""
    pieces = []
    for number in range(10):
        piece = file.attr(f"{name}.{number}")
        try:
            piece.index()
        except Exception:  # HDF4Error, a bare Exception: there is no such piece
            break
        pieces.append(str(piece.get()))
    return "".join(pieces)


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.strip("()").split(",")]


@lru_cache(maxsize=1)
def _library() -> ModuleType:
    try:
        return importlib.import_module("pyhdf.SD")
    except ImportError as error:
        raise MissingExtra("pyhdf", extra="products") from error
