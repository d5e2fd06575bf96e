"""Tiles of the Mercator map: rio-tiler reads and reprojects them, from a picture or from the cells themselves.

What is ours is to choose what it reads: the level of a picture, or, where a tile shows less than a square of
cells of a large day, those cells. WebP is rio-tiler's too. A PNG of codes with their colours beside them is written
by rasterio, for rio-tiler would write four bands: five times the work and more than twice the bytes.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.io import MemoryFile
from rio_tiler.models import ImageData
from rio_tiler.reader import read

from vadose.serve.blocks import Blocks, Codes, merged
from vadose.serve.catalogue import Layer
from vadose.serve.colours import NONE, Palette, table
from vadose.serve.extents import SIDE, Footprint, tile_transform
from vadose.serve.pictures import Opened, Picture

Format = Literal["png", "webp"]
Place = tuple[int, int, int]
#: Deepest level of the map.
DEEPEST = 18
MEDIA = {"png": "image/png", "webp": "image/webp"}


def level_of(density: float) -> int:
    """Give how often cells are halved before a tile is read: never more than one cell for each dot.

    Examples
    --------
    >>> level_of(0.3), level_of(1.9), level_of(2.1), level_of(8.0)
    (0, 0, 1, 3)
    """
    return max(math.floor(math.log2(density) + 1e-9), 0) if density > 0 else 0


def from_picture(picture: Picture, step: int, parts: tuple[Footprint, ...], place: Place) -> Codes:
    """Read the codes of a tile from a picture; nearest cells, never a mixture of codes.

    Raises
    ------
    rasterio.errors.RasterioIOError
        When the picture is gone.
    """
    level = level_of(min(part.density for part in parts) / picture.factor)
    source, band = _OPENED.get(picture, level), step - picture.first + 1
    return _joined([_read(source, source.transform, part, band, place) for part in parts])


def from_cells(
    blocks: Blocks,
    version: str,
    layer: Layer,
    step: int,
    parts: tuple[Footprint, ...],
    place: Place,
) -> Codes:
    """Read the codes of a tile from the cells that it shows.

    Raises
    ------
    VadoseError
        When the store cannot be read.
    """
    grid = layer.source.grid
    found = []
    for part in parts:
        factor = 2 ** level_of(part.density)
        (top, bottom), (left, right) = (
            (start - start % factor, stop) for start, stop in (part.rows, part.columns)
        )
        cells = blocks.window(version, layer, step, (top, bottom), (left, right))
        cells = merged(cells[None], factor, is_class=layer.is_class)
        place_of_cells = grid.affine * Affine.translation(left, top) * Affine.scale(factor)
        with _held(cells, grid, place_of_cells) as source:
            found.append(_read(source, place_of_cells, part, 1, place))
    return _joined(found)


@contextmanager
def _held(cells: Codes, grid: GeoBox, transform: Affine) -> Iterator[Any]:
    """Hold cells in memory as a file that can be read."""
    _, height, width = cells.shape
    profile = {"dtype": "uint8", "count": 1, "height": height, "width": width, "nodata": NONE}
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", crs=str(grid.crs), transform=transform, **profile) as file:
            file.write(cells)
        with memory.open() as source:
            yield source


def _read(source: Any, transform: Affine, part: Footprint, band: int, place: Place) -> Codes:
    options: dict[str, Any] = {
        "transform": tile_transform(*place),
        "width": SIDE,
        "height": SIDE,
        "src_crs": source.crs,
    }
    if part.turn:
        options["src_transform"] = Affine.translation(part.turn, 0) * transform
    image = read(
        source,
        dst_crs="EPSG:3857",
        indexes=band,
        nodata=NONE,
        reproject_method="nearest",
        vrt_options=options,
    )
    return np.asarray(image.array.filled(NONE)[0])


def _joined(parts: list[Codes]) -> Codes:
    """Put together what two ends of a grid show in one tile."""
    codes = parts[0]
    for other in parts[1:]:
        codes = np.where(codes == NONE, other, codes)
    return codes


def encoded(codes: Codes, palette: Palette, form: Format) -> bytes:
    """Write a tile."""
    if form == "webp":
        image = ImageData(np.ma.masked_equal(codes[None], NONE))
        return image.render(img_format="WEBP", colormap=_table(palette), LOSSLESS="TRUE")
    profile = {"dtype": "uint8", "count": 1, "height": SIDE, "width": SIDE, "ZLEVEL": 1}
    somewhere = Affine.scale(2.0)  # any but none, for rasterio warns of pictures without one
    with MemoryFile() as memory:
        with memory.open(driver="PNG", transform=somewhere, **profile) as png:
            png.write(codes, 1)
            png.write_colormap(1, _table(palette))
        return bytes(memory.read())


@cache
def blank(form: Format) -> bytes:
    """Give a tile on which there is nothing."""
    return encoded(np.full((SIDE, SIDE), NONE, "u1"), "moisture", form)


_table = cache(table)
_OPENED = Opened()


class Kept:
    """Keep the tiles used last, at most so many bytes of them; for one thread."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._bytes = 0
        self._tiles: OrderedDict[tuple[object, ...], bytes] = OrderedDict()

    def get(self, key: tuple[object, ...]) -> bytes | None:
        """Give a tile that is kept, else None.

        Examples
        --------
        >>> kept = Kept(most_bytes=5)
        >>> kept.put(("a",), b"123"); kept.put(("b",), b"45"); kept.put(("c",), b"6")
        >>> kept.get(("a",)), kept.get(("b",))
        (None, b'45')
        """
        tile = self._tiles.get(key)
        if tile is not None:
            self._tiles.move_to_end(key)
        return tile

    def put(self, key: tuple[object, ...], tile: bytes) -> None:
        """Keep a tile; the ones not used for longest make room."""
        self._bytes += len(tile) - len(self._tiles.pop(key, b""))
        self._tiles[key] = tile
        while self._bytes > self.most_bytes:
            _, dropped = self._tiles.popitem(last=False)
            self._bytes -= len(dropped)
