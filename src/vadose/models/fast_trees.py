"""Trees for many rows: the same bits as `Trees`, an order of magnitude sooner, where numba is installed.

Neighbouring pixels and successive days take the same branches. So rows are first put in the order of the
turns they take in the first levels of a few trees; alike rows then lie together, 64 to a word. Not a row goes
down a tree but a list of words, with a bit for each row that is here: a node compares 64 numbers in a few
instructions, and parts the list in two. Where all 64 rows go the same way, they go together to the end. The
parts of a list lie one after the other, and the next node is on its way from memory meanwhile.

A row goes left where its single precision value is not above the threshold; a threshold rounded toward minus
infinity to single precision decides alike. The leaves are added up in double precision in the order of the
trees, whatever the order of the rows, the pieces and the threads.

References
----------
Lucchese et al. (2015), QuickScorer, Proc. SIGIR, 73-82 (trees by masks: there of leaves, here of rows).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from vadose.models.base import Column
    from vadose.models.trees import Trees

#: Rows that are put in order together.
BATCH = 1 << 21
#: Rows that go down the trees together, at most (their leaves, and as many beside them, have numbers of 16
#: bits) and, where threads share a table, at least; and the most numbers in these rows.
PIECE, SMALLEST_PIECE, MOST_VALUES = 32768, 4096, 1 << 19
#: Trees whose first levels put rows in order, and these levels.
GUIDES, LEVELS = 4, 10
#: Bytes of a line of the processor's cache.
LINE = 64
#: More features than this do not fit into a node.
MOST_FEATURES = 1024
#: Fewer rows times trees than this are predicted before numba is imported.
WORTHWHILE = 1_000_000


@dataclass(frozen=True, eq=False)
class PackedTrees:
    """Hold trees as words, see `fast_kernels`.

    Attributes
    ----------
    nodes
        One word per node.
    starts
        Where each tree begins, and the end.
    depth
        Of the deepest tree.
    guides
        The first levels of some trees.
    """

    nodes: npt.NDArray[np.uint64]
    starts: npt.NDArray[np.int64]
    depth: int
    guides: npt.NDArray[np.uint64]

    def add_up(self, table: npt.NDArray[np.float32], *, workers: int = 1) -> Column:
        """Give the sum of all trees' leaves for each row.

        Parameters
        ----------
        table
            Dims ``(sample, feature)``, without NaN.
        workers
            Threads; the result does not depend on it.
        """
        result = np.empty(len(table))
        with ThreadPoolExecutor(workers) as pool:
            for start in range(0, len(table), BATCH):
                part = slice(start, start + BATCH)
                self._add_batch(
                    table[part], result[part], workers, pool.map if workers > 1 else map
                )
        return result

    def _add_batch(
        self, table: npt.NDArray[np.float32], result: Column, workers: int, run: Any
    ) -> None:
        from vadose.models.fast_kernels import follow

        rows, features = table.shape
        turns = np.empty(rows, dtype=np.uint64)
        most = int(np.clip(MOST_VALUES // max(features, 1), SMALLEST_PIECE, PIECE))
        size = max(-(-rows // (workers * -(-rows // (workers * most)))), SMALLEST_PIECE)
        parts = [slice(start, start + size) for start in range(0, rows, size)]

        def guide(part: slice) -> None:
            follow(self.guides, LEVELS, table[part], turns[part])

        def add(part: slice) -> None:
            result[order[part]] = self._add_piece(table, order[part])

        list(run(guide, parts))
        order = np.argsort(turns)
        list(run(add, parts))

    def _add_piece(self, table: npt.NDArray[np.float32], order: npt.NDArray[np.int64]) -> Column:
        from vadose.models.fast_kernels import add_trees, arrange
        from vadose.models.fast_lanes import LANES

        lanes = _on_a_line((-(-len(order) // LANES), table.shape[1], LANES), np.float32)
        arrange(table, order, lanes)
        total = np.zeros(len(lanes) * LANES)
        add_trees(self.nodes, self.starts, self.depth, lanes, total)
        return total[: len(order)]


def _on_a_line(shape: tuple[int, ...], kind: type[np.generic]) -> npt.NDArray[Any]:
    """Make room that begins where a line of the processor's cache does, so that no vector lies on two."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    room = np.empty(size + LINE, dtype=np.uint8)
    first = -room.ctypes.data % LINE
    return room[first : first + size].view(kind).reshape(shape)


def is_worthwhile(trees: Trees, rows: int) -> bool:
    """Tell whether packing trees costs less than it saves on so many rows."""
    work = rows * len(trees.roots)
    return work >= max(WORTHWHILE, len(trees.feature) // 4)


def pack(trees: Trees) -> PackedTrees | None:
    """Pack trees; None where numba is absent, or where they do not fit.

    They do not with more than 1024 features, a million nodes in one tree, or branches that meet again, which
    no model of this package grows.
    """
    if trees.features > MOST_FEATURES:
        return None
    try:
        from vadose.models.fast_kernels import pack_guide, pack_tree
    except (ImportError, RuntimeError):  # no numba, or one that finds no folder to compile into
        return None
    threshold = round_down(trees.threshold).view(np.uint32)
    room = _on_a_line((len(trees.feature) + 3 * len(trees.roots),), np.uint64)
    starts = np.zeros(len(trees.roots) + 1, dtype=np.int64)
    for number, (root, depth) in enumerate(zip(trees.roots, trees.depths, strict=True)):
        start = starts[number]
        size = pack_tree(
            trees.feature,
            threshold,
            trees.left,
            trees.right,
            trees.value,
            int(root),
            int(depth),
            room[start:],
        )
        if size < 0:
            return None
        starts[number + 1] = start + size
    nodes = _on_a_line((int(starts[-1]),), np.uint64)
    nodes[:] = room[: len(nodes)]
    guides = np.empty((GUIDES, 1 << LEVELS), dtype=np.uint64)
    for number, guide in enumerate(guides):
        tree = number % len(trees.roots)
        pack_guide(nodes[starts[tree] : starts[tree + 1]], LEVELS, guide)
    return PackedTrees(nodes, starts, int(trees.depths.max()), guides)


def round_down(threshold: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Round toward minus infinity to single precision, so that ``x <= threshold`` stays as it is.

    Examples
    --------
    >>> rounded = round_down(np.array([0.1, 0.5, 1e300]))
    >>> (rounded.astype("f8") <= [0.1, 0.5, 1e300]).tolist(), np.isfinite(rounded).tolist()
    ([True, True, True], [True, True, True])
    """
    with np.errstate(over="ignore"):  # beyond single precision: infinite, and then rounded down
        near = threshold.astype(np.float32)
        below = np.nextafter(near, np.float32(-np.inf))
    return np.where(near > threshold, below, near)
