"""Pictures: one step of a layer as an 8-bit GeoTIFF with overviews, from which rio-tiler cuts tiles.

A picture is made once, when its first tile is asked for, in strips, so that memory does not grow with the
grid. It lies in a folder of its own, which goes when the server stops, and in which the pictures that were
not used for longest make room for new ones.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.windows import Window

from vadose.serve.catalogue import Layer
from vadose.serve.colours import NONE, codes

#: Cells along the side of a block of a picture, and rows that are read at a time.
BLOCK = 256
STRIP = 512
#: Degrees of latitude beyond which a square Mercator map does not go.
NORTHMOST = 85.05
#: GDAL's own memory, for all threads together.
GDAL = {
    "GDAL_CACHEMAX": 64,
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_NUM_THREADS": "1",
    "GDAL_PAM_ENABLED": "NO",  # no files of metadata beside pictures and tiles
}


class Pictures:
    """Keep pictures in a folder, at most so many bytes of them.

    Parameters
    ----------
    most_bytes
        What all pictures together may take; the one in use always stays.
    """

    def __init__(self, most_bytes: int = 2 * 2**30) -> None:
        self.most_bytes = most_bytes
        self.folder: Path | None = None  # made with the first picture
        self._sizes: OrderedDict[Path, int] = OrderedDict()
        self._lock = threading.Lock()
        self._count = 0

    def make(self, layer: Layer, step: int) -> Path:
        """Make the picture of one step of a layer.

        Raises
        ------
        VadoseError
            When the store cannot be read.
        """
        with self._lock:
            if self.folder is None:
                self.folder = Path(tempfile.mkdtemp(prefix="vadose-map-"))
            self._count += 1
            path = self.folder / f"{self._count:06d}.tif"
        draw(layer, step, path)
        with self._lock:
            self._sizes[path] = path.stat().st_size
            while sum(self._sizes.values()) > self.most_bytes and len(self._sizes) > 1:
                oldest, _ = self._sizes.popitem(last=False)
                oldest.unlink(missing_ok=True)  # a reader that has it open may finish
        return path

    def has(self, path: Path) -> bool:
        """Tell whether a picture is still there, and note that it is used."""
        with self._lock:
            if path not in self._sizes:
                return False
            self._sizes.move_to_end(path)
            return True

    def close(self) -> None:
        """Remove all pictures."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def draw(layer: Layer, step: int, path: Path) -> None:
    """Write one step of a layer as a GeoTIFF of codes with overviews; the name stands when it is whole."""
    first, last = _shown(layer.source.grid)
    grid = layer.source.grid[first:last, :]
    rows, columns = tuple(grid.shape)
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 1,
        "height": rows,
        "width": columns,
        "crs": str(grid.crs),
        "transform": grid.affine,
        "nodata": NONE,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "bigtiff": "if_safer",
    }
    partial = path.with_suffix(".partial.tif")
    with rasterio.Env(**GDAL, GDAL_TIFF_OVR_BLOCKSIZE=BLOCK):
        with rasterio.open(partial, "w", **profile) as picture:
            for top, values in _strips(layer, step, first, last):
                window = Window(0, top - first, columns, len(values))
                picture.write(_coded(layer, values), 1, window=window)
        factors = _factors(max(rows, columns))
        if factors:
            way = Resampling.nearest if layer.is_class else Resampling.average
            with rasterio.open(partial, "r+") as picture:
                picture.build_overviews(factors, way)
    partial.rename(path)


def _shown(grid: GeoBox) -> tuple[int, int]:
    """Give first and last row of a grid in degrees that a Mercator map reaches; of others all."""
    rows = int(grid.shape.y)
    if grid.crs is None or not grid.crs.geographic:
        return 0, rows
    edges = grid.affine.f + np.arange(rows + 1) * grid.affine.e
    shown = np.flatnonzero((edges[:-1] <= NORTHMOST + 1e-9) & (edges[1:] >= -NORTHMOST - 1e-9))
    return (int(shown[0]), int(shown[-1]) + 1) if shown.size else (0, rows)


def _strips(layer: Layer, step: int, first: int, last: int) -> Iterator[tuple[int, np.ndarray]]:
    """Read rows of a step from top to bottom, whole chunks at a time where they are small."""
    chunk = max(layer.source.rows_at_once, 1)
    height = chunk * max(STRIP // chunk, 1) if chunk <= STRIP else min(chunk, 4 * STRIP)
    for top in range(first - first % height, last, height):
        start, stop = max(top, first), min(top + height, last)
        yield (
            start,
            layer.source.read(step, slice(start, stop), slice(0, layer.source.grid.shape.x)),
        )


def _coded(layer: Layer, values: np.ndarray) -> np.ndarray:
    if layer.is_class:
        return values.astype("u1")
    return codes(values, layer.low, layer.high)


def _factors(longest: int) -> list[int]:
    factors, factor = [], 2
    while longest / factor > BLOCK / 2:
        factors.append(factor)
        factor *= 2
    return factors


@contextmanager
def reading_tiles() -> Iterator[None]:
    """Set GDAL up for one thread that cuts tiles."""
    with rasterio.Env(**GDAL):
        yield
