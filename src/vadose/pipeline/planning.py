"""How a store is to be made: its tiles, and what they cost in bytes, memory and time."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vadose.downscale.conditions import Conditioned
from vadose.downscale.tiles import Tile, Tiling, tiling_of
from vadose.errors import RecipeProblem
from vadose.pipeline.memory import LIBRARIES
from vadose.pipeline.passes import Opened

#: Fine cells along the side of a tile, and steps, where the cubes' chunks do not say.
SIDE, STEPS = 256, 32
#: Largest number of fine cells and steps in a tile.
LARGEST = 3_000_000
#: Cells and steps that are predicted to see how long it takes.
PROBE = 60_000
#: Bytes that a cell and step of a tile take beside the variables read: what is made of them, and copies.
BESIDE = 90
#: Bytes for each predictor: the table, its keys, and the packets of the trees.
PER_PREDICTOR = {"rows": 10, "sequences": 16, "patches": 16}
#: Bytes for each member of an ensemble: its noise, its value, and copies.
PER_MEMBER = 40
#: Bytes for each predictor in a map that is predicted as a whole, step by step.
PER_PREDICTOR_OF_MAP = 90
#: Bytes for each cell in the layers of a network over maps.
LAYERS = 1200
#: Seconds for a cell and step that is read and written but not predicted; in a map as a whole.
MOVING, AS_A_WHOLE = 1.5e-7, 1.5e-5


@dataclass(frozen=True)
class Estimate:
    """Say what a store costs.

    Attributes
    ----------
    tiling
        Its tiles.
    workers
        How many are made at a time.
    read, write
        Bytes in memory of all windows that are read and of all values that are written; on the disk
        they are packed and compressed.
    memory
        Bytes at the peak, libraries and model included.
    seconds
        Expected, from the prediction of a small part; None where that cannot be told before what it
        is made from is there.
    """

    tiling: Tiling
    workers: int
    read: float
    write: float
    memory: float
    seconds: float | None = None


def estimated(
    ready: Opened,
    target: str,
    *,
    budget: float,
    workers: int | None = None,
    cells: int | None = None,
    fixed: Mapping[str, int] | None = None,
    model_bytes: float = 0.0,
) -> Estimate:
    """Choose tiles that fit into the memory, as large as is useful.

    Parameters
    ----------
    ready
        Cubes and downscaler.
    target
        Variable to downscale.
    budget
        Bytes that may be taken.
    workers
        Threads; as many as there are processors, unless given.
    cells
        Coarse cells along the side of a tile; chosen unless given.
    fixed
        Tiles of an earlier run that is to be gone on with: ``y``, ``x`` and ``time``.
    model_bytes
        Of the model's files.

    Raises
    ------
    RecipeProblem
        When not even the smallest tile fits.
    """
    whole = tiling_of(ready.fine, ready.coarse, target)
    reach = ready.downscaler.reach(max(whole.factors.values()))
    is_whole = reach.coarse is None or reach.fine is None
    chunks = _chunks(ready)
    sides = dict(whole.cells)
    if not is_whole:
        sides = {
            dim: min(size, cells or max(1, chunks.get(dim, SIDE) // whole.factors[dim]))
            for dim, size in whole.cells.items()
        }
    together = whole.steps or 1
    if reach.steps is not None:
        together = min(together, chunks.get("time", STEPS))
    if fixed is not None:
        sides, together = {dim: fixed[dim] for dim in ("y", "x")}, fixed["time"]
    threads = workers or os.cpu_count() or 1
    left = budget - LIBRARIES - 3.0 * model_bytes
    tiling = replace(whole, cells=sides, together=together)
    while True:
        need = _need(ready, tiling)
        if need * threads <= left and (tiling.pixels <= LARGEST or fixed is not None or is_whole):
            break
        if fixed is None and tiling.together > 4 and reach.steps is not None:
            tiling = replace(tiling, together=-(-tiling.together // 2))
        elif threads > 1 and workers is None and (is_whole or tiling.pixels <= 200_000):
            threads -= 1
        elif fixed is None and not is_whole and cells is None and max(tiling.cells.values()) > 1:
            longest = max(("y", "x"), key=lambda dim: tiling.shape[dim])
            halved = {**tiling.cells, longest: -(-tiling.cells[longest] // 2)}
            tiling = replace(tiling, cells=halved)
        elif fixed is None and tiling.together > 1 and reach.steps is not None:
            tiling = replace(tiling, together=-(-tiling.together // 2))
        elif threads > 1:
            threads -= 1
        elif need <= left:
            break
        else:
            raise RecipeProblem(
                "--max-mem",
                found=f"{budget / 1e9:.2g} GB",
                expected=f"{(need + budget - left) / 1e9:.2g} GB or more for a tile of "
                f"{' x '.join(str(size) for size in tiling.shape.values())}",
                remedy="This method looks at whole maps; direct methods go by tiles."
                if is_whole
                else "",
            )
    pixels = float(np.prod([(whole.steps or 1), *(whole.shape[dim] for dim in ("y", "x"))]))
    return Estimate(
        tiling=tiling,
        workers=min(threads, len(tiling)),
        read=pixels * _read(ready),
        write=pixels * 11.0,
        memory=LIBRARIES + 3.0 * model_bytes + min(threads, len(tiling)) * _need(ready, tiling),
    )


def timed(ready: Opened, estimate: Estimate) -> Estimate:
    """Predict a small part from the middle, and say how long all of it will take."""
    tiling = estimate.tiling
    reach = ready.downscaler.reach(max(tiling.factors.values()))
    if reach.coarse is None or reach.fine is None:
        return moved(estimate, AS_A_WHOLE)
    middle = list(tiling)[len(tiling) // 2]
    per_cell = int(np.prod(list(tiling.factors.values())))
    steps = middle.steps.stop - middle.steps.start
    wide = min(middle.columns.stop - middle.columns.start, -(-PROBE // (per_cell * steps)))
    high = min(middle.rows.stop - middle.rows.start, -(-PROBE // (per_cell * steps * wide)))
    part = Tile(
        "",
        middle.steps,
        slice(middle.rows.start, middle.rows.start + high),
        slice(middle.columns.start, middle.columns.start + wide),
    )
    pixels = steps * per_cell * high * wide
    ready.predict(tiling, part)  # the first time compiles and opens
    started = time.perf_counter()
    ready.predict(tiling, part)
    spent = time.perf_counter() - started
    total = float(np.prod([tiling.steps or 1, *tiling.coarse.shape])) * per_cell
    return replace(estimate, seconds=spent / pixels * total / max(1, estimate.workers))


def moved(estimate: Estimate, seconds: float = MOVING) -> Estimate:
    """Guess the time from the seconds that a cell and step usually takes."""
    tiling = estimate.tiling
    per_cell = int(np.prod(list(tiling.factors.values())))
    total = float(np.prod([tiling.steps or 1, *tiling.coarse.shape])) * per_cell
    return replace(estimate, seconds=seconds * total / max(1, estimate.workers))


def _chunks(ready: Opened) -> dict[str, int]:
    """Give the chunks of the fine cube on disk: the largest of each dimension."""
    chunks: dict[str, int] = {}
    for array in ready.fine.data_vars.values():
        for dim, size in array.encoding.get("preferred_chunks", {}).items():
            chunks[dim] = max(size, chunks.get(dim, 1))
    return chunks


def _read(ready: Opened) -> float:
    """Count the bytes that are read for each cell and step."""
    steps = ready.coarse.sizes.get("time", 1)
    return float(
        sum(
            array.dtype.itemsize / (1 if "time" in array.dims else steps)
            for array in ready.fine.data_vars.values()
        )
        or 7.0  # a prediction that is on the disk
    )


def _need(ready: Opened, tiling: Tiling) -> float:
    """Count the bytes that one worker takes for a tile."""
    downscaler: Any = ready.downscaler
    predictors = len(ready.fine.data_vars)
    if isinstance(downscaler, Conditioned):
        predictors += len(downscaler.conditions.names)
        downscaler = downscaler.inner
    reach = downscaler.reach(max(tiling.factors.values()))
    whole_map = float(np.prod([tiling.shape["y"], tiling.shape["x"]]))
    kind = getattr(getattr(downscaler, "model", None), "kind", "rows")
    sides = [tiling.shape[dim] + 2 * (reach.fine or 0) for dim in ("y", "x")]
    steps = tiling.shape.get("time", 1)
    pixels = steps * float(np.prod(sides))
    need = pixels * (_read(ready) + BESIDE)
    if hasattr(downscaler, "noise"):
        need += pixels * PER_MEMBER * downscaler.noise.members
    if reach.coarse is None:
        return need + whole_map * (PER_PREDICTOR_OF_MAP * predictors + LAYERS)
    if kind == "patches":
        need += LAYERS * float(np.prod(sides))
    return need + pixels * PER_PREDICTOR[kind] * predictors
