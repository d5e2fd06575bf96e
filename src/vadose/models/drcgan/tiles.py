"""Tiles: a map of any size goes through a network part by part, and comes out as if it had gone at once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import numpy.typing as npt
import torch

from vadose.models import training
from vadose.models.drcgan.channels import View
from vadose.models.drcgan.losses import make
from vadose.models.drcgan.networks import DeepResidual
from vadose.models.drcgan.samples import Batch

Place = tuple[slice, slice, slice]

#: Cells that are predicted at once, over all days of a block.
CELLS_AT_ONCE = 2**16


def predict_tiles(
    network: DeepResidual, view: View, share: float, *, side: int, is_mixed: bool
) -> Iterator[tuple[Place, npt.NDArray[np.float64]]]:
    """Predict a scene tile by tile.

    A tile looks beyond its own cells as far as cells count, so that the sides of tiles leave no trace.

    Parameters
    ----------
    network
        What adds to the guess.
    view
        The scene.
    share
        How much of what it says is added.
    side
        Cells along the side of a tile.
    is_mixed
        A GPU may compute in bfloat16.

    Yields
    ------
    tuple
        Days, rows and columns, and the satellite's field there in its own unit.
    """
    where = training.device()
    network.to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    code, reach = view.encoding, network.reach
    for days, rows, columns in _places(view, side, reach):
        window = view.window(
            np.arange(days.start, days.stop),
            np.arange(rows.start - reach, rows.stop + reach),
            np.arange(columns.start - reach, columns.stop + reach),
        )
        with torch.inference_mode(), training.precision(where, is_mixed=is_mixed):
            made = make(network, Batch.of([window], where), share * code.departure)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        inner = made[:, 0, reach : reach + height, reach : reach + width]
        yield (days, rows, columns), code.satellite.undo(inner.float().cpu().numpy())


def _places(view: View, side: int, reach: int) -> Iterator[Place]:
    steps, height, width = view.scene.model.shape
    cells = (min(side, height) + 2 * reach) * (min(side, width) + 2 * reach)
    block = max(1, CELLS_AT_ONCE // cells)
    yield from product(_parts(steps, block), _parts(height, side), _parts(width, side))


def _parts(total: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]
