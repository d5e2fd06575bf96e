"""Downscale a run tile by tile: plan, work, keep the ledger, and give each store its name when it is whole.

For each method of the recipe, and for the product, there is a store. It is made under another name, tile
by tile; the ledger beside it says which tiles are finished and with which checksums. A run that was
stopped, by whatever means, looks at what is there, makes what is missing or damaged, and gives the same
bits as one that was never disturbed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import vadose
from vadose.downscale.applicable import INDEX, IS_INSIDE, WithApplicability
from vadose.downscale.base import as_cube
from vadose.downscale.spread import WithSpread, add_spread, beside
from vadose.downscale.tiles import Tile
from vadose.errors import RunProblem, VadoseError
from vadose.grids import coordinates, grid_of
from vadose.pipeline.passes import PRODUCT, Opened, Pass, opened, packed, work
from vadose.pipeline.workers import Workers
from vadose.store import (
    Entry,
    Ledger,
    create_store,
    finish_store,
    has_begun,
    is_intact,
    is_url,
    layout_of,
    remove_strays,
    sha256,
)
from vadose.store.places import place_of

#: Told tiles done, tiles in all, and perhaps a word.
Step = Callable[..., None]

#: Tiles that fail one after the other before the others are not tried any more.
FAILURES = 3


@dataclass(frozen=True)
class Places:
    """Say where cubes are read from and predictions are written to.

    Attributes
    ----------
    cubes, stores
        Folders or URLs that hold ``coarse.zarr`` and ``fine.zarr``, and the predictions.
    product
        Path or URL of the product.
    ledgers
        Folder of the ledgers.
    """

    cubes: str
    stores: str
    product: str
    ledgers: Path

    def final(self, name: str) -> str:
        """Give the path or URL of a finished store."""
        return self.product if name == PRODUCT else f"{self.stores}/{name}.zarr"

    def unfinished(self, name: str) -> str:
        """Give where a store is made; in an object store nothing is renamed, the root comes last."""
        final = self.final(name)
        if is_url(final):
            return final
        path = Path(final)
        return str(path.with_name(f".{path.name}.unfinished"))

    def ledger(self, name: str) -> Path:
        """Give the ledger of a store."""
        return self.ledgers / f"{name}.ledger.jsonl"


def make_store(
    one: Pass,
    model: Path | None,
    workers: Workers,
    places: Places,
    *,
    is_packed: bool,
    step: Step,
) -> None:
    """Make one store, or what of it is missing.

    Parameters
    ----------
    one, model
        The pass and its model.
    workers
        Who works.
    places
        Where.
    is_packed
        Whether to store 16-bit integers.
    step
        Told tiles done, tiles in all, and a word.

    Raises
    ------
    VadoseError
        What kept tiles from being made; those that are finished stay so.
    """
    final = places.final(one.name)
    ledger = Ledger(places.ledger(one.name), key=_key(one, model, is_packed))
    is_finished = _is_there(final)
    place = final if is_finished else one.place
    if not is_finished and not (ledger.finished and has_begun(place)):
        template = _template(one, opened(one, model))
        create_store(
            place, template, layout_of(one.tiling.shape, is_packed=is_packed), overwrite=True
        )
    entries = ledger.finished
    if is_finished and not entries:  # made before there were ledgers, or its ledger was removed
        entries = {tile.name: Entry(tile.name) for tile in one.tiling}
    done = {name for name, entry in entries.items() if is_intact(place, entry.sums)}
    if not is_finished:
        remove_strays(place, [key for name in done for key in entries[name].sums])
    left = [tile for tile in one.tiling if tile.name not in done]
    total = len(one.tiling)
    step(total - len(left), total, f"{len(done)} of {total} tiles were there" if done else "")
    if left:
        at_work = replace(one, place=place)
        _work_on(left, at_work, model, workers, ledger, lambda count: step(count, total))
    if left or not is_finished:
        finish_store(place)
    if place != final:
        Path(place).rename(final)


def _is_there(final: str) -> bool:
    """Tell whether a store is finished: its root comes last."""
    return place_of(final).read("zarr.json") is not None


def _work_on(
    left: list[Tile],
    one: Pass,
    model: Path | None,
    workers: Workers,
    ledger: Ledger,
    step: Callable[[int], None],
) -> None:
    """Have tiles made, and write what became of each into the ledger."""
    shared = workers.share(packed(model)) if workers.is_remote and model is not None else model
    failures: list[tuple[Tile, Exception]] = []
    in_a_row, count = 0, len(one.tiling) - len(left)
    for tile, outcome in workers.run(work, left, one, shared):
        if isinstance(outcome, Exception):
            failures.append((tile, outcome))
            in_a_row += 1
            if in_a_row == FAILURES:
                break
            continue
        ledger.add(Entry(tile.name, "done", outcome.sums, outcome.seconds, outcome.bytes))
        in_a_row, count = 0, count + 1
        step(count)
    if failures:
        for tile, error in failures:
            with suppress(VadoseError):  # the disk may be full: then the error says so
                ledger.add(Entry(tile.name, f"{type(error).__name__}: {error}"))
        raise _problem(one, failures, len(one.tiling) - count) from failures[0][1]


def _problem(one: Pass, failures: list[tuple[Tile, Exception]], missing: int) -> RunProblem:
    tile, error = failures[0]
    reason = str(error) or type(error).__name__
    return RunProblem(
        f"{one.name}: tile {tile.name}",
        found=reason.rstrip("."),
        expected=f"a finished tile; {missing} of {len(one.tiling)} are missing",
        remedy="Mend that and run the same command again: what is finished stays.",
    )


def _key(one: Pass, model: Path | None, is_packed: bool) -> str:
    """Give the digest of all that decides the bits of a store."""
    digest = hashlib.sha256()
    settled = (vadose.__version__, one.recipe, one.name, repr(one.tiling.shape), is_packed)
    for part in (*settled, one.intervals) if one.intervals else settled:
        digest.update(f"{part}\n".encode())
    if model is not None:
        digest.update(sha256(model).encode())
    return digest.hexdigest()


def _template(one: Pass, ready: Opened) -> xr.Dataset:
    """Predict the smallest tile there can be, and stretch what it has over the whole grid."""
    tiling, downscaler = one.tiling, ready.downscaler
    small = Tile("", slice(0, 1), slice(0, 1), slice(0, 1))
    if downscaler.reach(max(tiling.factors.values())).coarse is None:
        # a map as a whole takes long: what it will have is told from the coarse field
        target = ready.coarse[downscaler.target].isel(y=slice(0, 1), x=slice(0, 1)).load()
        codes = target.fillna(0.0)
        product = as_cube(target, downscaler.target, codes, codes)
        wrapped = downscaler
        if isinstance(wrapped, WithApplicability):
            blank: dict[str, tuple[Any, dict[str, Any]]] = {
                INDEX: (codes.values.astype("f4"), {}),
                IS_INSIDE: (codes.values.astype("u1"), {}),
            }
            product, wrapped = beside(product, downscaler.target, blank), wrapped.inner
        if isinstance(wrapped, WithSpread):
            product = add_spread(product, downscaler.target, codes.values)
    else:
        product = ready.predict_blank(tiling, small)
    grid = grid_of(ready.fine)
    sizes = {"y": grid.shape.y, "x": grid.shape.x}
    coords = dict(coordinates(grid))
    if tiling.steps is not None:
        sizes["time"] = tiling.steps
        coords["time"] = ready.coarse["time"]
    return stretched(product, sizes, coords)


def stretched(part: xr.Dataset, sizes: Mapping[str, int], coords: Any) -> xr.Dataset:
    """Give the shape of a whole cube to what was made of a part of it; its values take no memory."""
    fields = {
        name: xr.DataArray(
            np.broadcast_to(
                np.zeros((), array.dtype),
                [sizes.get(str(dim), array.sizes[dim]) for dim in array.dims],
            ),
            dims=array.dims,
            attrs=array.attrs,
        )
        for name, array in part.data_vars.items()
    }
    return xr.Dataset(fields, coords=coords, attrs=part.attrs)
