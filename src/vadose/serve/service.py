"""What the server remembers between requests: the catalogue, pictures in the making, and tiles."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from rasterio.errors import RasterioIOError

from vadose.serve.blocks import Blocks
from vadose.serve.catalogue import Catalogue, Layer, read_catalogue
from vadose.serve.extents import Footprint, footprints
from vadose.serve.guard import Limits
from vadose.serve.pictures import (
    Picture,
    Pictures,
    factor_of,
    may_be_whole,
    prepare_thread,
    steps_of,
)
from vadose.serve.stations import Stations
from vadose.serve.studies import NothingToShow, fingerprint
from vadose.serve.tiles import (
    Format,
    Kept,
    Place,
    blank,
    encoded,
    from_cells,
    from_picture,
    level_of,
)

#: Seconds between two looks at whether the run has changed.
PATIENCE = 2.0
#: Tiles of cells of a large day that take as long to make as a picture of all its cells.
OFTEN = 200

T = TypeVar("T")


class Service:
    """Look up, draw and read for one run; its methods are for the one thread of the event loop.

    Parameters
    ----------
    run
        Folder of the run.
    limits
        Threads, memory and disk.
    """

    def __init__(self, run: Path, limits: Limits) -> None:
        self.run, self.limits = run, limits
        self.pictures = Pictures(limits.picture_bytes)
        self._tiles = Kept(limits.tile_bytes)
        self._blocks = Blocks(limits.block_bytes)
        self._cutters = ThreadPoolExecutor(limits.threads, "tile", prepare_thread)
        # apart from the cutters: making a picture takes long, and others' tiles shall not wait for it
        self._drawers = ThreadPoolExecutor(2, thread_name_prefix="picture")
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="point")
        self._drawn: dict[tuple[str, str, int, bool], asyncio.Future[Picture]] = {}
        self._close: Counter[tuple[str, str, int, bool]] = Counter()
        self._is_drawing_whole = False
        self._catalogue: Catalogue | None = None
        self._stations: Stations | None = None
        self._problem: NothingToShow | None = None
        self._print, self._looked = "", -PATIENCE
        self._looking: asyncio.Lock | None = None

    def close(self) -> None:
        """End all threads and remove the pictures."""
        for pool in (self._cutters, self._drawers, self._readers):
            pool.shutdown(wait=True, cancel_futures=True)
        self.pictures.close()

    async def catalogue(self) -> Catalogue:
        """Give what can be shown, read again when the run has changed.

        Raises
        ------
        NothingToShow
        """
        if time.monotonic() - self._looked >= PATIENCE:
            self._looking = self._looking or asyncio.Lock()
            async with self._looking:
                if time.monotonic() - self._looked >= PATIENCE:
                    await self._look()
        if self._catalogue is None:
            raise self._problem or NothingToShow.missing(self.run)
        return self._catalogue

    async def _look(self) -> None:
        now = await self.read(lambda: fingerprint(self.run))
        if now != self._print or self._catalogue is None:
            try:
                self._catalogue = await self.read(lambda: read_catalogue(self.run, now))
                published = self._catalogue.study.published
                self._stations = await self.read(lambda: Stations.of(self.run, published))
                self._problem = None
            except NothingToShow as problem:
                self._catalogue, self._problem = None, problem
            self._print = now
            self._drawn.clear()
            self._close.clear()
        self._looked = time.monotonic()

    @property
    def stations(self) -> Stations | None:
        """Stations of the run, as of the last look at it."""
        return self._stations

    async def read(self, ask: Callable[[], T]) -> T:
        """Do a short reading in a thread; only so many are done at a time."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, ask)

    async def tile(
        self,
        catalogue: Catalogue,
        layer: Layer,
        label: str,
        place: Place,
        form: Format,
    ) -> bytes:
        """Give one tile of a layer; a blank one where it has no values at this time.

        Raises
        ------
        VadoseError
            When the store cannot be read.
        """
        step = layer.steps.get(label)
        parts = footprints(layer.source.grid, *place)
        if step is None or not parts:
            return blank(form)
        key = (catalogue.version, layer.name, step, place, form)
        tile = self._tiles.get(key)
        if tile is None:
            asked = Asked(catalogue.version, layer, step, place, parts, form)
            tile = await self._made(asked)
            self._tiles.put(key, tile)
        return tile

    async def _made(self, asked: Asked) -> bytes:
        loop = asyncio.get_running_loop()
        for attempt in (1, 2):
            if asked.shows_cells and not self._has_whole(asked):
                return await loop.run_in_executor(self._cutters, asked.from_cells, self._blocks)
            picture = await self._picture(asked, is_whole=asked.shows_cells)
            try:
                return await loop.run_in_executor(self._cutters, asked.from_picture, picture)
            except RasterioIOError:
                if attempt == 2:
                    raise
                self._drawn.pop(asked.drawn(is_whole=asked.shows_cells), None)  # it made room
        raise AssertionError

    def _has_whole(self, asked: Asked) -> bool:
        """Tell whether there is a picture of all cells; one is begun when many tiles ask for cells."""
        if not may_be_whole(asked.layer):
            return False
        key = asked.drawn(is_whole=True)
        made = self._kept(key)
        if made is not None:
            return _is_good(made)
        self._close[key] += 1
        if self._close[key] >= OFTEN and not self._is_drawing_whole:
            self._is_drawing_whole = True
            self._begin(asked, is_whole=True).add_done_callback(self._whole_done)
        return False

    def _kept(self, key: tuple[str, str, int, bool]) -> asyncio.Future[Picture] | None:
        """Give the picture that is drawn or being drawn, unless it made room for others since."""
        made = self._drawn.get(key)
        if made is not None and _is_good(made) and not self.pictures.has(made.result()):
            del self._drawn[key]
            return None
        return made

    def _whole_done(self, made: asyncio.Future[Picture]) -> None:
        self._is_drawing_whole = False
        self._close.clear()
        if not made.cancelled():
            made.exception()  # has been seen: tiles are read from the cells as before

    async def _picture(self, asked: Asked, *, is_whole: bool) -> Picture:
        key = asked.drawn(is_whole=is_whole)
        made = self._kept(key) or self._begin(asked, is_whole=is_whole)
        try:
            picture = await asyncio.shield(made)
        except asyncio.CancelledError:
            raise
        except Exception:
            self._drawn.pop(key, None)  # the next request tries again
            raise
        if not is_whole:
            self._draw_ahead(asked)
        return picture

    def _draw_ahead(self, asked: Asked) -> None:
        """Begin the picture that comes next in time where the one before was seen: days are played."""
        first, last = steps_of(asked.layer, asked.step)
        if first == 0 or last >= asked.layer.source.times.size:
            return
        before, after = (replace(asked, step=step) for step in (first - 1, last))
        key = after.drawn(is_whole=False)
        if before.drawn(is_whole=False) in self._drawn and key not in self._drawn:
            made = self._begin(after, is_whole=False)
            made.add_done_callback(lambda made: None if _is_good(made) else self._forget(key))

    def _forget(self, key: tuple[str, str, int, bool]) -> None:
        """Let who asks for a picture that could not be drawn hear why."""
        self._drawn.pop(key, None)

    def _begin(self, asked: Asked, *, is_whole: bool) -> asyncio.Future[Picture]:
        draw = partial(self.pictures.make, asked.layer, asked.step, is_whole=is_whole)
        made = asyncio.get_running_loop().run_in_executor(self._drawers, draw)
        self._drawn[asked.drawn(is_whole=is_whole)] = made
        return made


@dataclass(frozen=True)
class Asked:
    """Is one tile that is asked for."""

    version: str
    layer: Layer
    step: int
    place: Place
    parts: tuple[Footprint, ...]
    form: Format

    @property
    def shows_cells(self) -> bool:
        """Tell whether it shows less than a square of the layer's picture."""
        factor = factor_of(self.layer)
        return factor > 1 and 2 ** level_of(min(part.density for part in self.parts)) < factor

    def drawn(self, *, is_whole: bool) -> tuple[str, str, int, bool]:
        """Name the picture that it is read from."""
        first = self.step if is_whole else steps_of(self.layer, self.step)[0]
        return self.version, self.layer.name, first, is_whole

    def from_cells(self, blocks: Blocks) -> bytes:
        """Make it from the cells."""
        codes = from_cells(blocks, self.version, self.layer, self.step, self.parts, self.place)
        return encoded(codes, self.layer.palette, self.form)

    def from_picture(self, picture: Picture) -> bytes:
        """Make it from a picture."""
        codes = from_picture(picture, self.step, self.parts, self.place)
        return encoded(codes, self.layer.palette, self.form)


def _is_good(made: asyncio.Future[Picture]) -> bool:
    return made.done() and not made.cancelled() and made.exception() is None
