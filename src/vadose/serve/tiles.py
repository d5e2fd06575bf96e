"""Tiles of the Mercator map, cut from pictures by rio-tiler."""

from __future__ import annotations

from collections import OrderedDict
from functools import cache
from pathlib import Path
from typing import Literal

import morecantile
import numpy as np
from affine import Affine
from rasterio.io import MemoryFile
from rio_tiler.io import Reader
from rio_tiler.models import ImageData

from vadose.serve.colours import NONE, Palette, table
from vadose.serve.pictures import reading_tiles

Format = Literal["png", "webp"]
#: Cells along the side of a tile, and the deepest level of the map.
SIDE, DEEPEST = 256, 18
MEDIA = {"png": "image/png", "webp": "image/webp"}
_MERCATOR = morecantile.tms.get("WebMercatorQuad")


def cut(picture: Path, palette: Palette, z: int, x: int, y: int, form: Format) -> bytes:
    """Cut one tile from a picture and colour it; nearest cells, never a mixture of codes.

    Raises
    ------
    rasterio.errors.RasterioIOError
        When the picture is gone.
    """
    with reading_tiles():
        with Reader(str(picture), tms=_MERCATOR) as reader:
            if not reader.tile_exists(x, y, z):
                return blank(form)
            image = reader.tile(x, y, z, tilesize=SIDE, indexes=1, reproject_method="nearest")
        return _encoded(image, palette, form)


@cache
def blank(form: Format) -> bytes:
    """Give a tile on which there is nothing."""
    nothing = np.ma.array(np.full((1, SIDE, SIDE), NONE, "u1"), mask=True)
    with reading_tiles():
        return _encoded(ImageData(nothing), "moisture", form)


def _encoded(image: ImageData, palette: Palette, form: Format) -> bytes:
    """Write a tile: a PNG of codes and their colours, a third of the time and half of the size of RGBA."""
    if form == "webp":
        return image.render(img_format="WEBP", colormap=_table(palette), LOSSLESS="TRUE")
    codes = np.ma.filled(image.array, NONE)
    place = Affine.scale(2.0)  # any but none, for rasterio warns of pictures without one
    with MemoryFile() as memory:
        with memory.open(
            driver="PNG", dtype="uint8", count=1, height=SIDE, width=SIDE, transform=place, ZLEVEL=1
        ) as png:
            png.write(codes)
            png.write_colormap(1, _table(palette))
        return bytes(memory.read())


_table = cache(table)


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
