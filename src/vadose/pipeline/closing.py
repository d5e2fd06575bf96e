"""Find the correction that closes a prediction in tiles.

It is found on the coarse grid, for as many steps at a time as a tile has, so that it needs little memory
however large the map is. Of an ensemble each member has a correction of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import vadose
from vadose.downscale.base import Reach
from vadose.downscale.tiles import Tile
from vadose.grids import coordinates
from vadose.pipeline.passes import Opened, Pass, check_inputs, opened
from vadose.pipeline.workers import Workers
from vadose.schema import variable
from vadose.store import (
    Entry,
    Ledger,
    create_store,
    finish_store,
    has_begun,
    is_intact,
    layout_of,
    write_tile,
)
from vadose.store.places import place_of


def balance(one: Pass, model: None, tile: Tile) -> xr.Dataset:
    """Sum up what closure has to know of a tile; what a worker does."""
    ready = opened(one, model)
    fine, coarse = ready.around(one.tiling, tile, Reach(coarse=1))
    sums: xr.Dataset = ready.downscaler.balance(fine, coarse)  # type: ignore[attr-defined]
    check_inputs(one)  # a chunk that has gone would count as a gap
    return sums


def make_correction(one: Pass, workers: Workers, ledgers: Path, step: Callable[..., None]) -> Pass:
    """Make the store of the correction, or what of it is missing; give the pass that knows of it.

    Parameters
    ----------
    one
        The pass of a method that closes another.
    workers
        Who works.
    ledgers
        Folder of the ledgers.
    step
        Told tiles done and tiles in all.

    Raises
    ------
    VadoseError
        What kept a tile from being read.
    """
    place = f"{one.stores}/{one.name}.correction.zarr"
    ready = opened(one, None)
    tiling = one.tiling
    key = hashlib.sha256(
        f"{vadose.__version__}\n{one.recipe}\n{one.name}\n{tiling.shape}".encode()
    ).hexdigest()
    ledger = Ledger(ledgers / f"{one.name}.correction.ledger.jsonl", key=key)
    layers = [str(name) for name in ready.coarse.data_vars]
    if place_of(place).read("zarr.json") is None and not has_begun(place):
        sides = {"y": tiling.coarse.shape.y, "x": tiling.coarse.shape.x}
        shape = sides if tiling.steps is None else {"time": tiling.together, **sides}
        create_store(place, _template(ready, one, layers), layout_of(shape), overwrite=True)
    blocks = [list(tiles) for _, tiles in groupby(tiling, key=lambda tile: tile.steps.start)]
    count, total = 0, len(tiling)
    is_new = False
    for tiles in blocks:
        name, steps = tiles[0].name, tiles[0].steps
        entry = ledger.finished.get(name)
        if entry is None or not is_intact(place, entry.sums):
            whole: xr.Dataset | None = None
            for tile, outcome in workers.run(balance, tiles, one, None):
                if isinstance(outcome, Exception):
                    raise outcome
                whole = _joined(whole, outcome, one, tile)
                count += 1
                step(count, total, "closing")
            time = {} if tiling.steps is None else {"time": steps}
            known = ready.coarse.isel(time).load()
            assert whole is not None  # noqa: S101 - a block has a tile
            correction = ready.downscaler.closed.correction(whole, known)  # type: ignore[attr-defined]
            sums = write_tile(place, correction.astype("f8"), time)
            ledger.add(Entry(name, "done", sums))
            is_new = True
        else:
            count += len(tiles)
            step(count, total, "closing")
    if is_new or place_of(place).read("zarr.json") is None:
        finish_store(place)
    return replace(one, correction=place)


def _joined(whole: xr.Dataset | None, part: xr.Dataset, one: Pass, tile: Tile) -> xr.Dataset:
    """Put the balance of a tile onto the map of its steps."""
    rows, columns = one.tiling.coarse.shape
    if whole is None:
        sizes = {**part.sizes, "y": rows, "x": columns}
        coords: dict[Any, Any] = dict(coordinates(one.tiling.coarse))
        if "time" in part.coords:
            coords["time"] = part["time"]
        whole = xr.Dataset(
            {
                name: (array.dims, np.full([sizes[dim] for dim in array.dims], np.nan))
                for name, array in part.data_vars.items()
            },
            coords=coords,
        )
    for name, array in part.data_vars.items():
        whole[name][{"y": tile.rows, "x": tile.columns}] = array.values
    return whole


def _template(ready: Opened, one: Pass, layers: list[str]) -> xr.Dataset:
    rows, columns = one.tiling.coarse.shape
    coords: dict[Any, Any] = dict(coordinates(one.tiling.coarse))
    sizes = {"y": rows, "x": columns}
    if one.tiling.steps is not None:
        coords["time"] = ready.coarse["time"]
        sizes = {"time": one.tiling.steps, **sizes}
    members: int = ready.downscaler.members  # type: ignore[attr-defined]
    if members:
        sizes = {"member": members, **sizes}
    blank = np.broadcast_to(np.float64(0), tuple(sizes.values()))
    fields = {
        f"{layer}_correction": (tuple(sizes), blank, variable(f"{layer}_correction").attributes())
        for layer in layers
    }
    return xr.Dataset(fields, coords=coords)
