"""Pictures: steps of a layer as an 8-bit GeoTIFF with overviews, from which rio-tiler reads tiles.

The picture of a small grid has all of its cells; that of a large one has one for every square of them, for a
tile that shows less than that reads the cells themselves, until so many are asked for that a whole picture
pays. A picture is made once, when its first tile is asked
for, shard by shard and of all steps that lie in the same chunks, so that memory does not grow with the grid
and nothing is unpacked twice. It lies in a folder of its own, which goes when the server stops, and in which
the pictures that were not used for longest make room for new ones.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.windows import Window

from vadose.serve.blocks import Codes, coded, merged
from vadose.serve.catalogue import Layer
from vadose.serve.colours import NONE
from vadose.serve.extents import NORTHMOST

#: Cells along the side of a block of a picture.
BLOCK = 256
#: Grids of more cells get a picture of squares, of so many cells along a side.
SMALL, FACTOR = 4_000_000, 4
#: Cells of all steps of a chunk above which the steps are drawn together, and cells of such a picture.
COSTLY, MOST = 8_000_000, 96_000_000
#: Cells that a thread reads at a time, about, and parts that are read or wait for the writer.
AT_ONCE, AHEAD = 1_000_000, 3
#: Cells of the largest day that is drawn as a whole.
LARGEST = 400_000_000
#: GDAL's own memory, for all threads together.
GDAL = {
    "GDAL_CACHEMAX": 32,
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_NUM_THREADS": "1",
    "GDAL_PAM_ENABLED": "NO",  # no files of metadata beside pictures and tiles
}


#: Files that a thread keeps open; one that has been removed takes room on disk for so long.
OPEN = 4


@dataclass(frozen=True)
class Picture:
    """Say what lies in one file.

    Attributes
    ----------
    factor
        Cells of the layer along the side of a cell of the picture.
    first
        Step that the first band shows.
    overviews
        How many there are, each of half as many cells along a side.
    """

    path: Path
    factor: int
    first: int
    overviews: int


def factor_of(layer: Layer) -> int:
    """Give the cells of a layer along the side of a cell of its picture."""
    rows, columns = layer.source.grid.shape
    return 1 if rows * columns <= SMALL else FACTOR


def may_be_whole(layer: Layer) -> bool:
    """Tell whether a large day can be drawn with all of its cells: if no other is unpacked with it."""
    rows, columns = layer.source.grid.shape
    return layer.source.chunk[0] == 1 and rows * columns <= LARGEST


def steps_of(layer: Layer, step: int) -> tuple[int, int]:
    """Give first and last step, the last not included, that are drawn together with one."""
    rows, columns = layer.source.grid.shape
    deep, count = layer.source.chunk[0], max(layer.source.times.size, 1)
    if deep * rows * columns <= COSTLY:
        return step, step + 1
    together = min(deep, max(MOST * factor_of(layer) ** 2 // (rows * columns), 1))
    chunk = step - step % deep
    first = step - (step - chunk) % together
    return first, min(first + together, chunk + deep, count)


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

    def make(self, layer: Layer, step: int, *, is_whole: bool = False) -> Picture:
        """Make the picture of a step of a layer, and of those that lie in the same chunks.

        Parameters
        ----------
        is_whole
            Draw this step alone, with all cells.

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
        steps, factor = steps_of(layer, step), factor_of(layer)
        if is_whole:
            steps, factor = (step, step + 1), 1
        picture = draw(layer, steps, path, factor)
        with self._lock:
            self._sizes[path] = path.stat().st_size
            while sum(self._sizes.values()) > self.most_bytes and len(self._sizes) > 1:
                oldest, _ = self._sizes.popitem(last=False)
                oldest.unlink(missing_ok=True)  # a reader that has it open may finish
        return picture

    def has(self, picture: Picture) -> bool:
        """Tell whether a picture is still there, and note that it is used."""
        with self._lock:
            if picture.path not in self._sizes:
                return False
            self._sizes.move_to_end(picture.path)
            return True

    def close(self) -> None:
        """Remove all pictures."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def draw(layer: Layer, steps: tuple[int, int], path: Path, factor: int = 1) -> Picture:
    """Write steps of a layer as a GeoTIFF of codes with overviews; the name stands when it is whole."""
    grid = layer.source.grid
    top, bottom = _shown(grid)
    top -= top % factor
    rows, columns = -(-(bottom - top) // factor), -(-int(grid.shape.x) // factor)
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": steps[1] - steps[0],
        "height": rows,
        "width": columns,
        "crs": str(grid.crs),
        "transform": grid.affine * Affine.translation(0, top) * Affine.scale(factor),
        "nodata": NONE,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "interleave": "band",
        "bigtiff": "if_safer",
    }
    factors = _factors(max(rows, columns))
    partial = path.with_suffix(".partial.tif")
    with rasterio.Env(**GDAL, GDAL_TIFF_OVR_BLOCKSIZE=BLOCK):
        with rasterio.open(partial, "w", **profile) as picture:
            for down, across, cells in _parts(layer, slice(*steps), factor, top, bottom):
                place = ((down - top) // factor, across // factor)
                picture.write(cells, window=Window(place[1], place[0], *cells.shape[:0:-1]))
        if factors:
            way = Resampling.nearest if layer.is_class else Resampling.average
            with rasterio.open(partial, "r+") as picture:
                picture.build_overviews(factors, way)
    partial.rename(path)
    return Picture(path, factor, steps[0], len(factors))


def _shown(grid: GeoBox) -> tuple[int, int]:
    """Give first and last row of a grid in degrees that a Mercator map reaches; of others all."""
    rows = int(grid.shape.y)
    if grid.crs is None or not grid.crs.geographic:
        return 0, rows
    edges = grid.affine.f + np.arange(rows + 1) * grid.affine.e
    shown = np.flatnonzero((edges[:-1] <= NORTHMOST + 1e-9) & (edges[1:] >= -NORTHMOST - 1e-9))
    return (int(shown[0]), int(shown[-1]) + 1) if shown.size else (0, rows)


def _parts(
    layer: Layer, steps: slice, factor: int, top: int, bottom: int
) -> Iterator[tuple[int, int, Codes]]:
    """Read codes of squares, part by part in two threads, at most as many ahead."""
    columns = int(layer.source.grid.shape.x)
    high, wide = _part_shape(layer, steps.stop - steps.start, factor)
    starts = [
        (down, across)
        for down in range(top - top % high, bottom, high)
        for across in range(0, columns, wide)
    ]

    def read(down: int, across: int) -> tuple[int, int, Codes]:
        rows = slice(max(down, top), min(down + high, bottom))
        cells = coded(layer, steps, rows, slice(across, min(across + wide, columns)))
        return rows.start, across, merged(cells, factor, is_class=layer.is_class)

    if len(starts) == 1:
        yield read(*starts[0])
        return
    with ThreadPoolExecutor(2, thread_name_prefix="strip") as pool:
        coming: deque[Future[tuple[int, int, Codes]]] = deque()
        for start in starts:
            coming.append(pool.submit(read, *start))
            if len(coming) == AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _part_shape(layer: Layer, steps: int, factor: int) -> tuple[int, int]:
    """Give rows and columns of a part: whole shards, or chunks of shards that are too large."""
    rows, columns = layer.source.grid.shape
    high, wide = layer.source.shard
    _, least, narrow = layer.source.chunk
    if steps * high * wide > 2 * AT_ONCE:
        high, wide = least, narrow
    wide = min(wide * max(AT_ONCE // (steps * high * wide), 1), columns)
    high = min(high * max(AT_ONCE // (steps * high * wide), 1), rows)
    return -(-high // factor) * factor, -(-wide // factor) * factor


def _factors(longest: int) -> list[int]:
    factors, factor = [], 2
    while longest / factor > BLOCK / 2:
        factors.append(factor)
        factor *= 2
    return factors


def prepare_thread() -> None:
    """Set GDAL up for a thread that reads tiles, for as long as it lives."""
    rasterio.Env(**GDAL).__enter__()


class Opened(threading.local):
    """Keep the files open that a thread reads again and again: to open one takes a sixth of a tile's time."""

    def __init__(self) -> None:
        self._files: OrderedDict[tuple[Path, int], rasterio.DatasetReader] = OrderedDict()

    def get(self, picture: Picture, level: int) -> rasterio.DatasetReader:
        """Give a picture with its cells halved so often, or as often as there are overviews.

        Raises
        ------
        rasterio.errors.RasterioIOError
            When the picture is gone.
        """
        level = min(level, picture.overviews)
        key = (picture.path, level)
        if key not in self._files:
            overview = {"overview_level": level - 1} if level else {}
            self._files[key] = rasterio.open(picture.path, **overview)
            if len(self._files) > OPEN:
                self._files.popitem(last=False)[1].close()
        self._files.move_to_end(key)
        return self._files[key]
