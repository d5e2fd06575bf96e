"""The inner loops of `fast_trees`, compiled by numba: imported only where numba is installed.

A node is one 64-bit word: the key of its threshold (32 bits), whether it is a leaf (1), the number of its
left child within its tree (20), and eight times its feature (11). The right child follows the left one, so
that a step is ``child + (key of the row > key of the threshold)``, without a branch; a leaf leads to itself
and its threshold is above all keys. Eight rows walk at once: while the words of one are on their way from
memory, the others go on.

The machine code is kept in ``__pycache__``; to compile it takes some seconds, once per machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

#: Rows that walk at once.
LANES = 8
#: Width of the fields of a word: eight times a feature, and the number of a node within its tree.
FEATURE_BITS, CHILD_BITS = 11, 20
#: What the word of a leaf is never below.
_LEAF = np.uint64(1 << (FEATURE_BITS + CHILD_BITS))
_SHIFT = np.uint64(FEATURE_BITS)
_FEATURE = np.uint64((1 << FEATURE_BITS) - 1)
_CHILD = np.uint64((1 << CHILD_BITS) - 1)
_KEEP = np.uint64(~(((1 << CHILD_BITS) - 1) << FEATURE_BITS) & (2**64 - 1))
_KEY = np.uint64(32)
_EIGHT = np.uint64(3)
_ONE = np.uint64(1)
_HIGHEST = np.uint64(0xFFFFFFFF)


@njit(cache=True, nogil=True)
def pack_tree(
    feature: Any,
    key: Any,
    left: Any,
    right: Any,
    value: Any,
    root: int,
    depth: int,
    nodes: Any,
    values: Any,
) -> int:
    """Write one tree, cut at `depth`, to the start of `nodes` and `values`; give its size, −1 for no room."""
    room = min(len(nodes), 1 << CHILD_BITS)
    size = 2 * depth + 4
    source, target, level = (
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.empty(size, np.int64),
    )
    if room < 1:
        return -1
    used, top = 1, 1
    source[0], target[0], level[0] = root, 0, 0
    while top > 0:
        top -= 1
        node, place, deep = source[top], target[top], level[top]
        if left[node] == node or deep == depth:
            nodes[place] = (_HIGHEST << _KEY) | _LEAF | (np.uint64(place) << _SHIFT)
            values[place] = value[node]
            continue
        if used + 2 > room:
            return -1
        nodes[place] = (
            (np.uint64(key[node]) << _KEY)
            | (np.uint64(used) << _SHIFT)
            | (np.uint64(feature[node]) << _EIGHT)
        )
        source[top], target[top], level[top] = right[node], used + 1, deep + 1
        source[top + 1], target[top + 1], level[top + 1] = left[node], used, deep + 1
        top += 2
        used += 2
    return used


@njit(cache=True, nogil=True)
def find_leaves(nodes: Any, keys: Any, leaves: Any) -> None:
    """Find the leaf of each row in one tree."""
    for row in range(len(keys)):
        node = np.uint64(0)
        word = nodes[node]
        while not (word & _LEAF):
            is_right = keys[row, (word & _FEATURE) >> _EIGHT] > (word >> _KEY)
            node = ((word >> _SHIFT) & _CHILD) + np.uint64(is_right)
            word = nodes[node]
        leaves[row] = node


@njit(cache=True, nogil=True)
def arrange(keys: Any, order: Any, packets: Any, low: Any, high: Any) -> None:
    """Put the chosen rows into packets, the last one repeated, and widen `low` and `high` to their ranges."""
    for place in range(len(packets) * LANES):
        row = order[min(place, len(order) - 1)]
        packet, lane = place // LANES, place % LANES
        for feature in range(keys.shape[1]):
            key = keys[row, feature]
            packets[packet, feature * LANES + lane] = key
            low[feature] = min(low[feature], key)
            high[feature] = max(high[feature], key)


@njit(cache=True, nogil=True)
def _prune(
    nodes: Any, values: Any, low: Any, high: Any, kept: Any, kept_values: Any, most: int, stack: Any
) -> int:
    """Copy what of a tree rows between `low` and `high` can reach; give its size, −1 above `most`."""
    used, top = _ONE, 1
    stack[0, 0], stack[0, 1] = 0, 0
    while top > 0:
        top -= 1
        node, place = stack[top, 0], stack[top, 1]
        word = nodes[node]
        while not (word & _LEAF):
            key, feature = word >> _KEY, (word & _FEATURE) >> _EIGHT
            if high[feature] <= key:
                node = (word >> _SHIFT) & _CHILD
            elif low[feature] > key:
                node = ((word >> _SHIFT) & _CHILD) + _ONE
            else:
                break
            word = nodes[node]
        if word & _LEAF:
            kept[place] = (word & _KEEP) | (place << _SHIFT)
            kept_values[place] = values[node]
            continue
        if used + _ONE >= np.uint64(most):
            return -1
        kept[place] = (word & _KEEP) | (used << _SHIFT)
        child = (word >> _SHIFT) & _CHILD
        stack[top, 0], stack[top, 1] = child + _ONE, used + _ONE
        stack[top + 1, 0], stack[top + 1, 1] = child, used
        top += 2
        used += _ONE + _ONE
    return int(used)


@njit(cache=True, nogil=True, inline="always")
def _next(word: Any, key: Any) -> Any:
    return ((word >> _SHIFT) & _CHILD) + np.uint64(key > (word >> _KEY))


@njit(cache=True, nogil=True)
def _walk(nodes: Any, values: Any, packets: Any, total: Any) -> None:
    """Add each row's leaf of one tree to `total`; dims of `packets` ``(packet, feature x lane)``."""
    one, two, three, four = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    five, six, seven = np.uint64(5), np.uint64(6), np.uint64(7)
    for packet in range(len(packets)):
        keys = packets[packet]
        a = b = c = d = e = f = g = h = np.uint64(0)
        while True:
            is_leaf = _LEAF
            at = nodes[a]
            a = _next(at, keys[at & _FEATURE])
            is_leaf &= at
            at = nodes[b]
            b = _next(at, keys[(at & _FEATURE) + one])
            is_leaf &= at
            at = nodes[c]
            c = _next(at, keys[(at & _FEATURE) + two])
            is_leaf &= at
            at = nodes[d]
            d = _next(at, keys[(at & _FEATURE) + three])
            is_leaf &= at
            at = nodes[e]
            e = _next(at, keys[(at & _FEATURE) + four])
            is_leaf &= at
            at = nodes[f]
            f = _next(at, keys[(at & _FEATURE) + five])
            is_leaf &= at
            at = nodes[g]
            g = _next(at, keys[(at & _FEATURE) + six])
            is_leaf &= at
            at = nodes[h]
            h = _next(at, keys[(at & _FEATURE) + seven])
            is_leaf &= at
            if is_leaf:
                break
        sums = total[packet]
        sums[0] += values[a]
        sums[1] += values[b]
        sums[2] += values[c]
        sums[3] += values[d]
        sums[4] += values[e]
        sums[5] += values[f]
        sums[6] += values[g]
        sums[7] += values[h]


@njit(cache=True, nogil=True)
def add_trees(
    nodes: Any,
    values: Any,
    starts: Any,
    packets: Any,
    low: Any,
    high: Any,
    most: int,
    depth: int,
    total: Any,
) -> None:
    """Add the leaves of all trees, in their order, to `total`, dims ``(packet, lane)``.

    A tree is pruned to what lies between `low` and `high` unless more than `most` nodes are left. Where
    that happened the next few trees are not tried, which are alike.
    """
    kept, kept_values = np.empty(most, np.uint64), np.empty(most, np.float64)
    stack = np.empty((2 * depth + 4, 2), np.uint64)
    rest, pause = 0, 1
    for tree in range(len(starts) - 1):
        own = slice(starts[tree], starts[tree + 1])
        if rest > 0:
            rest -= 1
        elif _prune(nodes[own], values[own], low, high, kept, kept_values, most, stack) > 0:
            pause = 1
            _walk(kept, kept_values, packets, total)
            continue
        else:
            rest = pause
            pause = min(2 * pause, 32)
        _walk(nodes[own], values[own], packets, total)
