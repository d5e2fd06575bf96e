"""What the server remembers between requests: the catalogue, pictures in the making, and tiles."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from rasterio.errors import RasterioIOError

from vadose.serve.catalogue import Catalogue, Layer, read_catalogue
from vadose.serve.guard import Limits
from vadose.serve.pictures import Pictures
from vadose.serve.points import Stations
from vadose.serve.studies import NothingToShow, fingerprint
from vadose.serve.tiles import Format, Kept, blank, cut

#: Seconds between two looks at whether the run has changed.
PATIENCE = 2.0

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
        self._cutters = ThreadPoolExecutor(limits.threads, thread_name_prefix="tile")
        # apart from the cutters: making a picture takes long, and others' tiles shall not wait for it
        self._drawers = ThreadPoolExecutor(2, thread_name_prefix="picture")
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="point")
        self._drawn: OrderedDict[tuple[str, str, int], asyncio.Future[Path]] = OrderedDict()
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
                self._stations = await self.read(lambda: Stations.of(self.run))
                self._problem = None
            except NothingToShow as problem:
                self._catalogue, self._problem = None, problem
            self._print = now
            self._drawn.clear()
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
        place: tuple[int, int, int],
        form: Format,
    ) -> bytes:
        """Give one tile of a layer; a blank one where it has no values at this time.

        Raises
        ------
        VadoseError
            When the store cannot be read.
        """
        step = layer.steps.get(label)
        if step is None:
            return blank(form)
        key = (catalogue.version, layer.name, step, place, form)
        tile = self._tiles.get(key)
        if tile is None:
            tile = await self._cut(catalogue, layer, step, place, form)
            self._tiles.put(key, tile)
        return tile

    async def _cut(
        self,
        catalogue: Catalogue,
        layer: Layer,
        step: int,
        place: tuple[int, int, int],
        form: Format,
    ) -> bytes:
        loop = asyncio.get_running_loop()
        for attempt in (1, 2):
            picture = await self._picture(catalogue.version, layer, step)
            try:
                return await loop.run_in_executor(
                    self._cutters, cut, picture, layer.palette, *place, form
                )
            except RasterioIOError:
                if attempt == 2:
                    raise
                self._drawn.pop(
                    (catalogue.version, layer.name, step), None
                )  # it made room for others
        raise AssertionError

    async def _picture(self, version: str, layer: Layer, step: int) -> Path:
        key = (version, layer.name, step)
        made = self._drawn.get(key)
        if made is None or (_is_good(made) and not self.pictures.has(made.result())):
            loop = asyncio.get_running_loop()
            made = loop.run_in_executor(self._drawers, self.pictures.make, layer, step)
            self._drawn[key] = made
        try:
            return await asyncio.shield(made)
        except asyncio.CancelledError:
            raise
        except Exception:
            self._drawn.pop(key, None)  # the next request tries again
            raise


def _is_good(made: asyncio.Future[Path]) -> bool:
    return made.done() and not made.cancelled() and made.exception() is None
