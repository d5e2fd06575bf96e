"""One band of a raster file (GeoTIFF, HGT, …) as a lazy array with its grid."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from pathlib import Path

import dask.array as da
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError

from vadose.errors import FileProblem, GridProblem
from vadose.products.formats import RasterFile


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
        with contextlib.closing(RasterFile(path)) as raw:
            source = raw.source
            if band > source.count:
                raise FileProblem(path, found=f"{source.count} bands", expected=f"band {band}")
            affine, stated = source.transform, source.crs
            nodata, scale = source.nodatavals[band - 1], float(source.scales[band - 1])
            label = source.descriptions[band - 1] or source.tags().get("long_name", "")
            values = raw.variable(str(band)).array.lazily()
    except (RasterioError, OSError) as error:
        raise FileProblem(
            path,
            found=f"no readable raster ({error})",
            expected="a GeoTIFF or another format of GDAL",
            remedy="Download it again.",
        ) from error
    if not math.isfinite(scale) or scale == 0:
        raise FileProblem(path, found=f"scale {scale:g}", expected="a number that is not 0")
    if crs is None and stated is None:
        raise GridProblem(path, found="no CRS", expected="a raster with its CRS")
    if affine.a < 0:
        raise GridProblem(
            path,
            found=f"columns reversed {tuple(affine)[:6]}",
            expected="columns from west to east",
            remedy="Warp it with gdalwarp.",
        )
    if affine.e > 0:
        values = values[::-1]
        top = affine.f + affine.e * values.shape[0]
        affine = Affine(affine.a, 0, affine.c, 0, -affine.e, top)
    grid = GeoBox(values.shape, affine, crs if crs is not None else stated.to_wkt())
    return Raster(values, grid, nodata, label, scale)
