"""Trees for many rows: the same bits as `Trees`, an order of magnitude sooner, where numba is installed.

A tree spends its time on waiting for memory. Here a node is one word, eight rows walk at once, and rows
that are alike walk one after the other: the table is put in the order of the leaves of the first tree, cut
into blocks, and each tree is first pruned to what the ranges of a block's predictors leave open. Neighbouring
pixels and successive days, which take the same branches, so share what is in the processor's cache.

A row goes left where its single precision value is not above the threshold; a threshold rounded toward minus
infinity to single precision decides alike. Floats become integers of the same order. The leaves are added up
in double precision in the order of the trees, whatever the order of the rows, the blocks and the threads.

References
----------
Asadi, Lin & de Vries (2014), IEEE Trans. Knowl. Data Eng. 26:2281 (several rows at once, without branches).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from vadose.models.base import Column
    from vadose.models.trees import Trees

#: Rows for which trees are pruned together, at most and, where threads share a table, at least.
BLOCK, SMALLEST_BLOCK = 65536, 4096
#: More nodes than this for each row of a block are not worth pruning for.
NODES_PER_ROW = 2
#: More features than this do not fit into a node.
MOST_FEATURES = 256
#: Fewer rows times trees than this are predicted before numba is imported.
WORTHWHILE = 1_000_000

Keys = npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class PackedTrees:
    """Hold trees as words, see `fast_kernels`.

    Attributes
    ----------
    nodes, values
        One entry per node; values count at leaves only.
    starts
        Where each tree begins, and the end.
    depth
        Of the deepest tree.
    """

    nodes: npt.NDArray[np.uint64]
    values: npt.NDArray[np.float64]
    starts: npt.NDArray[np.int64]
    depth: int

    def add_up(self, table: npt.NDArray[np.float32], *, workers: int = 1) -> Column:
        """Give the sum of all trees' leaves for each row.

        Parameters
        ----------
        table
            Dims ``(sample, feature)``, without NaN.
        workers
            Threads; the result does not depend on it.
        """
        from vadose.models import fast_kernels

        rows = len(table)
        keys = order_keys(table)
        leaves = np.empty(rows, dtype=np.uint32)
        fast_kernels.find_leaves(self.nodes[: self.starts[1]], keys, leaves)
        order = np.argsort(leaves, kind="stable")
        result = np.empty(rows)

        def task(start: int) -> None:
            chosen = order[start : start + size]
            result[chosen] = self._add_block(keys, chosen)

        size = int(np.clip(-(-rows // workers), SMALLEST_BLOCK, BLOCK))
        starts = range(0, rows, size)
        if workers == 1 or len(starts) < 2:
            for start in starts:
                task(start)
        else:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(task, starts))
        return result

    def _add_block(self, keys: Keys, order: npt.NDArray[np.int64]) -> Column:
        from vadose.models.fast_kernels import LANES, add_trees, arrange

        rows, features = len(order), keys.shape[1]
        packets = np.empty((-(-rows // LANES), features * LANES), dtype=np.uint32)
        low, high = keys[order[0]].copy(), keys[order[0]].copy()
        arrange(keys, order, packets, low, high)
        total = np.zeros((len(packets), LANES))
        most = max(NODES_PER_ROW * rows, 1)
        add_trees(self.nodes, self.values, self.starts, packets, low, high, most, self.depth, total)
        return total.ravel()[:rows]


def is_worthwhile(trees: Trees, rows: int) -> bool:
    """Tell whether packing trees costs less than it saves on so many rows."""
    work = rows * len(trees.roots)
    return work >= max(WORTHWHILE, len(trees.feature) // 4)


def pack(trees: Trees) -> PackedTrees | None:
    """Pack trees; None where numba is absent, or where they do not fit.

    They do not with more than 256 features, a million nodes in one tree, or branches that meet again, which
    no model of this package grows.
    """
    if trees.features > MOST_FEATURES:
        return None
    try:
        from vadose.models.fast_kernels import pack_tree
    except (ImportError, RuntimeError):  # no numba, or one that finds no folder to compile into
        return None
    count = len(trees.feature)
    key = order_keys(round_down(trees.threshold))
    nodes, values = np.empty(count, dtype=np.uint64), np.zeros(count)
    starts = np.zeros(len(trees.roots) + 1, dtype=np.int64)
    for number, (root, depth) in enumerate(zip(trees.roots, trees.depths, strict=True)):
        start = starts[number]
        size = pack_tree(
            trees.feature,
            key,
            trees.left,
            trees.right,
            trees.value,
            int(root),
            int(depth),
            nodes[start:],
            values[start:],
        )
        if size < 0:
            return None
        starts[number + 1] = start + size
    end = int(starts[-1])
    if end < count:
        nodes, values = nodes[:end].copy(), values[:end].copy()
    return PackedTrees(nodes, values, starts, int(trees.depths.max()))


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


def order_keys(numbers: npt.NDArray[np.float32]) -> Keys:
    """Give whole numbers that are ordered as the floats are; both zeros are one.

    Examples
    --------
    >>> keys = order_keys(np.array([-np.inf, -2.0, -0.0, 0.0, 1e-45, 3.0, np.inf], dtype="f4"))
    >>> np.diff(keys.astype("i8")).clip(0, 1).tolist()
    [1, 1, 0, 1, 1, 1]
    """
    bits = np.ascontiguousarray(numbers + np.float32(0.0)).view(np.int32)
    bits ^= (bits >> np.int32(31)) | np.int32(-(2**31))
    return bits.view(np.uint32)
