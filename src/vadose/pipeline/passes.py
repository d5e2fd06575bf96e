"""What a worker does with a tile: read its windows, predict, write it whole, and tell the checksums.

A pass is one store being made, told in plain words, so that it can be sent to another machine. A worker
opens what a pass needs once and keeps it; it knows nothing of the run folder.
"""

from __future__ import annotations

import io
import itertools
import json
import tempfile
import threading
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vadose.config import Recipe, parse_recipe
from vadose.downscale.applicable import WithApplicability
from vadose.downscale.base import Downscaler, Reach
from vadose.downscale.conditions import Conditioned, DailyConditions
from vadose.downscale.downscaler import load_downscaler
from vadose.downscale.intervals import Intervals
from vadose.downscale.spread import WithSpread
from vadose.downscale.tiles import Tile, Tiling, Window, predict_tile, surroundings
from vadose.pipeline.conditions import conditions_of
from vadose.pipeline.methods import (
    Closing,
    Confident,
    Published,
    drawing,
    keeps_members,
    without_learning,
)
from vadose.pipeline.parts import AREA, parts_of
from vadose.store import is_url, open_windows, write_tile
from vadose.store.places import place_of
from vadose.uncertainty.applicability import Applicability

#: The store that is published.
PRODUCT = "product"
#: A model's folder, or its files packed together for workers that do not see it.
Model = Path | bytes


@dataclass(frozen=True)
class Pass:
    """Say what store is made, from what, in which tiles.

    Attributes
    ----------
    name
        A method of the recipe, or ``product``.
    recipe
        Its text.
    cubes, stores
        Folders or URLs of the cubes and of the finished predictions.
    place
        Folder or URL of the store while it is made.
    tiling
        Its tiles.
    run
        Differs from call to call: what a worker keeps is kept for one.
    correction
        Store of the correction on the coarse grid, where the method closes another.
    attributes
        Of the product, where it is that.
    intervals
        Of the product, as JSON; none unless given.
    """

    name: str
    recipe: str
    cubes: str
    stores: str
    place: str
    tiling: Tiling
    run: str
    correction: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    intervals: str = ""


@dataclass(frozen=True)
class Finished:
    """Tell what became of a tile.

    Attributes
    ----------
    sums
        Checksum of every object that was written, by its key in the store.
    seconds
        Spent on ``read``, ``predict`` and ``write``.
    bytes
        Of the windows that were read and of the objects that were written.
    """

    sums: dict[str, str]
    seconds: dict[str, float]
    bytes: dict[str, int]


@dataclass
class Clock:
    """Add up seconds and bytes of reading, and note whether anything lacked values."""

    seconds: float = 0.0
    bytes: int = 0
    has_gaps: bool = False


@dataclass(frozen=True)
class Opened:
    """Hold what a pass needs of a worker: cubes that are read by windows, and a fitted downscaler."""

    downscaler: Downscaler
    fine: xr.Dataset
    coarse: xr.Dataset

    def predict(self, tiling: Tiling, tile: Tile, clock: Clock | None = None) -> xr.Dataset:
        """Predict a tile."""
        fine, coarse = self._reader(self.fine, clock), self._reader(self.coarse, clock)
        return predict_tile(self.downscaler, tiling, tile, fine, coarse, *self.times())

    def predict_blank(self, tiling: Tiling, tile: Tile) -> xr.Dataset:
        """Predict a tile as if all were zero, to see what a prediction holds without reading any."""

        def blank(cube: xr.Dataset, window: Window) -> xr.Dataset:
            part = cube.isel({dim: span for dim, span in window.items() if dim in cube.dims})
            empty = {
                name: array.copy(data=np.zeros(array.shape, array.dtype))
                for name, array in part.data_vars.items()
            }
            return part.assign(empty)

        fine, coarse = (partial(blank, cube) for cube in (self.fine, self.coarse))
        return predict_tile(self.downscaler, tiling, tile, fine, coarse, *self.times())

    def around(self, tiling: Tiling, tile: Tile, reach: Reach) -> tuple[xr.Dataset, xr.Dataset]:
        """Read a tile and its surroundings."""
        fine, coarse = self._reader(self.fine, None), self._reader(self.coarse, None)
        return surroundings(tiling, tile, reach, fine, coarse, *self.times())[:2]

    def times(self) -> tuple[Any, Any]:
        """Give the time stamps of both cubes."""
        return tuple(
            cube["time"].values if "time" in cube.dims else None
            for cube in (self.fine, self.coarse)
        )  # type: ignore[return-value]

    def _reader(self, cube: xr.Dataset, clock: Clock | None) -> Any:
        def read(window: Window) -> xr.Dataset:
            started = time.perf_counter()
            part = cube.isel({dim: span for dim, span in window.items() if dim in cube.dims}).load()
            if clock is not None:
                clock.seconds += time.perf_counter() - started
                clock.bytes += part.nbytes
                clock.has_gaps |= any(map(_may_lack, part.data_vars.values()))
            return part

        return read


#: What this process keeps of the run it works for, by the store that is made.
_KEPT: dict[tuple[str, str, str], Opened] = {}
_OPENING = threading.Lock()


def opened(one: Pass, model: Model | None) -> Opened:
    """Open what a pass needs, once in a process and run.

    Parameters
    ----------
    one
        The pass.
    model
        What its downscaler was saved to; None for one that does not learn.
    """
    key = (one.run, one.name, one.correction)
    with _OPENING:
        if key not in _KEPT:
            _KEPT.clear()  # a pass at a time: models are large
            _KEPT[key] = _open(one, model)
        return _KEPT[key]


def _open(one: Pass, model: Model | None) -> Opened:
    recipe = parse_recipe(one.recipe)
    fine, coarse = (open_windows(f"{one.cubes}/{name}.zarr") for name in ("fine", "coarse"))
    bare = fine.drop_vars(list(fine.data_vars))  # its grid and steps alone
    layers = [name for name in (recipe.target, *recipe.also) if name in coarse]
    known = coarse[layers]
    # what fusion has filled is a gap to those that say where their values come from
    with_origin = coarse[[*layers, "origin"]] if "origin" in coarse else known
    if one.name == PRODUCT:
        path = f"{one.stores}/{recipe.publish}.zarr"
        drawn = drawing(recipe, recipe.publish) if keeps_members(recipe) else None
        published = Published(path, recipe.target, one.attributes, drawn)
        if not one.intervals:
            return Opened(published, bare, known)
        confident = Confident(published, Intervals.from_dict(json.loads(one.intervals)))
        needed = set(confident.intervals.classes.names)
        return Opened(confident, fine.drop_vars(set(fine.data_vars) - needed), known)
    method = recipe.methods[one.name]
    has_spread = recipe.intervals is not None and one.name in parts_of(recipe, recipe.publish)
    if model is not None:
        downscaler, area, conditions = _loaded(model)
        laid_on = () if conditions is None else conditions.names
        predictors = fine[[name for name in downscaler.predictors if name not in laid_on]]
        learner = downscaler
        if has_spread:
            downscaler = WithSpread(downscaler)
        if area is not None:
            downscaler = WithApplicability(downscaler, learner, area)
        if conditions is not None:
            downscaler = Conditioned(downscaler, conditions)
        return Opened(downscaler, predictors, with_origin)
    if method.kind == "close":
        path = f"{one.stores}/{method.of[0]}.zarr"
        if one.correction:  # not yet, while it is being found
            known = known.assign(open_windows(one.correction).data_vars)
        return Opened(Closing(path, recipe.target, drawing(recipe, one.name)), bare, known)
    without = without_learning(method, recipe.target, one.stores).fit(known)
    if has_spread:
        without = WithSpread(without)
    if not method.is_baseline:
        return Opened(without, bare, known)
    twin = _twin(one, recipe)
    if twin is None:
        return Opened(without, fine, with_origin)
    # its flags say where predictors are missing, in far fewer bytes
    return Opened(without, open_windows(twin)[["flags"]], with_origin)


def _twin(one: Pass, recipe: Recipe) -> str | None:
    """Find the finished store of a baseline that comes before this one."""
    before = itertools.takewhile(lambda name: name != one.name, recipe.methods)
    for name in before:
        place = f"{one.stores}/{name}.zarr"
        if recipe.methods[name].is_baseline and place_of(place).read("zarr.json") is not None:
            return place
    return None


def _loaded(model: Model) -> tuple[Any, Applicability | None, DailyConditions | None]:
    """Load a downscaler, the area that its model is applicable in, and what steers it, where there is such."""
    if isinstance(model, Path):
        area = Applicability.load(model / AREA) if (model / AREA).exists() else None
        return load_downscaler(model), area, conditions_of(model)
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(io.BytesIO(model)) as archive:
            archive.extractall(folder)
        return _loaded(Path(folder))


def packed(folder: Path) -> bytes:
    """Pack the files of a model together, for workers that do not see its folder."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    return content.getvalue()


def work(one: Pass, model: Model | None, tile: Tile) -> Finished:
    """Read, predict and write one tile.

    Raises
    ------
    VadoseError
        What kept it from being made, such as an input that is not there any more.
    """
    started = time.perf_counter()
    clock = Clock()
    ready = opened(one, model)
    product = ready.predict(one.tiling, tile, clock)
    # what reads a prediction from the disk reads no predictors, and has its gaps from there
    seen = () if ready.fine.data_vars else product.data_vars.values()
    if clock.has_gaps or any(map(_may_lack, seen)):
        check_inputs(one)
    predicted = time.perf_counter()
    sums = write_tile(one.place, product, one.tiling.inside(tile))
    seconds = {
        "read": clock.seconds,
        "predict": predicted - started - clock.seconds,
        "write": time.perf_counter() - predicted,
    }
    rounded = {name: round(value, 4) for name, value in seconds.items()}
    return Finished(sums, rounded, {"read": clock.bytes, "write": _stored(one.place, sums)})


def check_inputs(one: Pass) -> None:
    """Make sure that a pass still has whole stores to read from.

    They were whole when they were opened. A chunk that has gone since reads as a gap, without an error;
    so whoever has read a gap looks again before it is written anywhere.

    Raises
    ------
    FileProblem
        When one is missing or not complete.
    """
    recipe = parse_recipe(one.recipe)
    read = [recipe.publish] if one.name == PRODUCT else list(recipe.methods[one.name].of)
    places = [f"{one.cubes}/{name}.zarr" for name in ("fine", "coarse")]
    places += [f"{one.stores}/{name}.zarr" for name in read]
    if one.name != PRODUCT and recipe.methods[one.name].is_baseline:
        places += [place for place in (_twin(one, recipe),) if place is not None]
    for place in [*places, one.correction] if one.correction else places:
        open_windows(place)


def _may_lack(array: xr.DataArray) -> bool:
    """Tell whether there are gaps, or one code everywhere, as in place of a chunk that is not there."""
    values = array.values
    if values.dtype.kind == "f":
        return bool(np.isnan(values).any())
    return bool(values.size and (values == values.flat[0]).all())


def _stored(place: str, sums: Mapping[str, str]) -> int:
    """Count the bytes on the disk; an object store is not asked again."""
    return 0 if is_url(place) else sum((Path(place) / key).stat().st_size for key in sums)
