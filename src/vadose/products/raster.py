"""One band of a raster file (GeoTIFF, HGT, …) as a lazy array with its grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from dask.base import tokenize
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError
from rasterio.windows import Window

from vadose.errors import FileProblem, GridProblem

#: Rows (and, in tiled files, columns) read by one task: 16 MB of 4-byte values at most.
CHUNK = 2048


@dataclass(frozen=True)
class Band:
    """Read windows of a band when asked, opening the file anew each time (safe in any worker)."""

    path: Path
    number: int
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    ndim: int = 2

    def __getitem__(self, index: tuple[slice, slice]) -> npt.NDArray[Any]:
        (top, bottom, _), (left, right, _) = (
            piece.indices(size) for piece, size in zip(index, self.shape, strict=True)
        )
        try:
            with rasterio.open(self.path) as source:
                window = Window(left, top, right - left, bottom - top)
                return np.asarray(source.read(self.number, window=window))
        except (RasterioError, OSError) as error:
            raise FileProblem(
                self.path,
                found=f"band {self.number} that cannot be read in rows {top} to {bottom} ({error})",
                expected="a complete file",
                remedy="Download it again.",
            ) from error


@dataclass(frozen=True)
class Raster:
    """Hold a band as it is in the file: raw values, grid, code of no data, texts.

    Attributes
    ----------
    values
        Raw numbers, dims ``y, x``, north up, not yet read.
    grid
        Its grid; the CRS as the file states it.
    nodata
        Code of no data, or None where the file states none.
    label
        Description of the band, or its tag ``long_name``.
    scale
        Factor that the file states (1 where it states none).
    """

    values: da.Array
    grid: GeoBox
    nodata: float | None
    label: str
    scale: float


def open_raster(path: Path, *, crs: str | None = None, band: int = 1) -> Raster:
    """Open a band of a raster file without reading it.

    Parameters
    ----------
    path
        The file.
    crs
        Takes the place of the file's CRS where that is known to be wrong.
    band
        Number of the band, from 1.

    Raises
    ------
    FileProblem
        Not a raster, or it has no such band.
    GridProblem
        No CRS, or a grid that is rotated.
    """
    try:
        with rasterio.open(path) as source:
            shape, dtypes, blocks = source.shape, source.dtypes, source.block_shapes
            affine, stated = source.transform, source.crs
            nodata, scales, labels = source.nodata, source.scales, source.descriptions
            tags = source.tags()
    except (RasterioError, OSError) as error:
        raise FileProblem(
            path,
            found=f"no readable raster ({error})",
            expected="a GeoTIFF or another format of GDAL",
            remedy="Download it again.",
        ) from error
    if band > len(dtypes):
        raise FileProblem(path, found=f"{len(dtypes)} bands", expected=f"band {band}")
    if crs is None and stated is None:
        raise GridProblem(path, found="no CRS", expected="a raster with its CRS")
    if affine.b or affine.d or affine.a <= 0 or affine.e == 0:
        raise GridProblem(
            path,
            found=f"a rotated or empty grid {tuple(affine)[:6]}",
            expected="rows along west-east",
            remedy="Warp it with gdalwarp.",
        )
    number = band - 1
    dtype = np.dtype(dtypes[number])
    width = shape[1] if blocks[number][1] == shape[1] else CHUNK
    values = da.from_array(
        Band(path, band, shape, dtype),
        chunks=(CHUNK, width),
        name=f"{path.name}-{tokenize(str(path), path.stat().st_mtime_ns, band)}",
        meta=np.empty((0, 0), dtype),
    )
    if affine.e > 0:
        values = values[::-1]
        affine = Affine(affine.a, 0, affine.c, 0, -affine.e, affine.f + affine.e * shape[0])
    return Raster(
        values,
        GeoBox(shape, affine, crs if crs is not None else stated.to_wkt()),
        nodata,
        labels[number] or tags.get("long_name", ""),
        float(scales[number]),
    )
