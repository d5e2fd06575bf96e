"""Codes of cells: numbers of a layer as one byte each, read in blocks that are kept for the next tile."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future

import numpy as np
import numpy.typing as npt

from vadose.serve.catalogue import Layer
from vadose.serve.colours import NONE, codes

Codes = npt.NDArray[np.uint8]
#: Cells along the side of a block, about, and the most that one has over all steps of a chunk.
SIDE, MOST = 448, 2**21


def coded(layer: Layer, steps: slice, rows: slice, columns: slice) -> Codes:
    """Read codes of a window ``(time, y, x)``."""
    stored = layer.source.stored(steps, rows, columns)
    if layer.is_class:
        return np.asarray(stored, "u1")
    if stored.dtype == np.int16:
        return np.asarray(layer.table.take(stored.view("u2")))
    return codes(layer.source.meaning(stored), layer.low, layer.high)


def merged(cells: Codes, factor: int, *, is_class: bool) -> Codes:
    """Put squares of cells into one each: the mean of those with a value, of codes the one in the middle.

    Parameters
    ----------
    cells
        Codes ``(time, y, x)``; squares at the lower and right edge may be cut.

    Examples
    --------
    >>> merged(np.array([[[10, 20, 255], [30, 255, 255]]], "u1"), 2, is_class=False)
    array([[[ 20, 255]]], dtype=uint8)
    """
    if factor == 1:
        return cells
    lost = [-side % factor for side in cells.shape[1:]]
    if any(lost):
        mode = "edge" if is_class else "constant"
        more = {} if is_class else {"constant_values": NONE}
        cells = np.pad(cells, [(0, 0), (0, lost[0]), (0, lost[1])], mode, **more)  # type: ignore[call-overload]
    middle = factor // 2
    if is_class:
        return np.ascontiguousarray(cells[:, middle::factor, middle::factor])
    has_value = cells != NONE
    is_whole = bool(has_value.all())
    valid = cells if is_whole else cells * has_value
    total = _sums(valid, factor)
    if is_whole:
        return ((total + factor**2 // 2) // factor**2).astype("u1")
    count = _sums(has_value.view("u1"), factor)
    some = np.maximum(count, 1)
    return np.where(count > 0, (total + some // 2) // some, NONE).astype("u1")


def _sums(cells: Codes, factor: int) -> npt.NDArray[np.uint16]:
    """Sum up squares, first along rows and then along columns."""
    rows = cells[:, 0::factor].astype("u2")
    for place in range(1, factor):
        rows += cells[:, place::factor]
    total = rows[:, :, 0::factor].copy()
    for place in range(1, factor):
        total += rows[:, :, place::factor]
    return total


class Blocks:
    """Keep the blocks used last, at most so many bytes; of those who ask for one, the first reads it.

    Parameters
    ----------
    most_bytes
        Of all blocks together.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._blocks: OrderedDict[tuple[object, ...], Codes] = OrderedDict()
        self._coming: dict[tuple[object, ...], Future[Codes]] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def window(
        self, version: str, layer: Layer, step: int, rows: tuple[int, int], columns: tuple[int, int]
    ) -> Codes:
        """Give codes ``(y, x)`` of a window of one step.

        Only blocks of several steps are kept: what has been unpacked for one day then serves the next, while
        of a day that lies alone the window is quicker read again.
        """
        deep, high, wide = block_shape(layer)
        if deep == 1:
            alone = coded(layer, slice(step, step + 1), slice(*rows), slice(*columns))
            return np.asarray(alone[0])
        window = np.empty((rows[1] - rows[0], columns[1] - columns[0]), "u1")
        first = step - step % deep
        for top, (start, stop) in _cuts(rows, high):
            for left, (begin, end) in _cuts(columns, wide):
                key = (version, layer.name, first, top, left)
                block = self._block(key, layer, (deep, high, wide))[step - first]
                window[start - rows[0] : stop - rows[0], begin - columns[0] : end - columns[0]] = (
                    block[start - top : stop - top, begin - left : end - left]
                )
        return window

    def _block(self, key: tuple[object, ...], layer: Layer, shape: tuple[int, int, int]) -> Codes:
        with self._lock:
            if key in self._blocks:
                self._blocks.move_to_end(key)
                return self._blocks[key]
            coming = self._coming.get(key)
            is_first = coming is None
            if coming is None:
                coming = self._coming[key] = Future()
        if not is_first:
            return coming.result()
        starts = (int(str(part)) for part in key[2:])
        steps, rows, columns = (
            slice(start, start + side) for start, side in zip(starts, shape, strict=True)
        )
        try:
            block = coded(layer, steps, rows, columns)
        except BaseException as error:
            coming.set_exception(error)
            with self._lock:
                del self._coming[key]
            raise
        coming.set_result(block)
        with self._lock:
            del self._coming[key]
            self._blocks[key] = block
            self._bytes += block.nbytes
            while self._bytes > self.most_bytes:
                self._bytes -= self._blocks.popitem(last=False)[1].nbytes
        return block


def block_shape(layer: Layer) -> tuple[int, int, int]:
    """Give steps, rows and columns of a block: whole chunks, for less cannot be read."""
    deep, high, wide = layer.source.chunk
    deep = deep if deep * high * wide <= MOST else 1
    return deep, high * max(SIDE // high, 1), wide * max(SIDE // wide, 1)


def _cuts(ends: tuple[int, int], side: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """Cut a range where blocks meet: the start of each block, and what of the range lies in it."""
    for start in range(ends[0] - ends[0] % side, ends[1], side):
        yield start, (max(start, ends[0]), min(start + side, ends[1]))
