"""The inner loops of `fast_trees`, compiled by numba: imported only where numba is installed.

A node is one 64-bit word: its threshold in single precision (32 bits), the number of its left child within
its tree (20), whether the left and the right child are leaves (2), and its feature (10). The right child
follows the left one, and both lie on one line of the cache. The word of a leaf is its value. A tree begins
with a node, even if it is but a leaf.

The machine code is kept in ``__pycache__``; to compile it takes some seconds, once per machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from vadose.models.fast_lanes import (
    LANES,
    above,
    as_double,
    as_float,
    as_word,
    fetch,
    put,
    unforeseen,
)

#: Width of the fields of a word: a feature, and the number of a node within its tree.
FEATURE_BITS, CHILD_BITS = 10, 20
_FEATURE = np.uint64((1 << FEATURE_BITS) - 1)
_RIGHT_IS_LEAF = np.uint64(FEATURE_BITS)
_LEFT_IS_LEAF = np.uint64(FEATURE_BITS + 1)
_CHILD = np.uint64(FEATURE_BITS + 2)
_THRESHOLD = np.uint64(32)
_CHILD_MASK = np.uint64((1 << CHILD_BITS) - 1)
_ABOVE_ALL = np.uint64(0x7F800000)  # the bits of infinity
_ZERO, _ONE = np.uint64(0), np.uint64(1)
_ALL = np.uint64(2**64 - 1)
_LANES = np.uint64(LANES)


@njit(cache=True, nogil=True)
def pack_tree(
    feature: Any,
    threshold: Any,
    left: Any,
    right: Any,
    value: Any,
    root: int,
    depth: int,
    nodes: Any,
) -> int:
    """Write one tree, cut at `depth`, to the start of `nodes`; give its size, −1 for no room.

    `threshold` holds the bits of numbers of single precision. A tree needs a word more than it has nodes, and no less
    than four.
    """
    room = min(len(nodes), 1 << CHILD_BITS)
    if room < 4:
        return -1
    size = depth + 2
    source, target, level = (
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.empty(size, np.int64),
    )
    used, top = 4, 1
    source[0], target[0], level[0] = root, 0, 0
    nodes[1] = 0
    if left[root] == root or depth == 0:
        nodes[0] = (
            (_ABOVE_ALL << _THRESHOLD)
            | (np.uint64(2) << _CHILD)
            | (_ONE << _LEFT_IS_LEAF)
            | (_ONE << _RIGHT_IS_LEAF)
        )
        nodes[2] = nodes[3] = as_word(value[root])
        return used
    used = 2
    while top > 0:
        top -= 1
        node, place, deep = source[top], target[top], level[top] + 1
        if used + 2 > room:
            return -1
        word = (
            (np.uint64(threshold[node]) << _THRESHOLD)
            | (np.uint64(used) << _CHILD)
            | np.uint64(feature[node])
        )
        one, other = left[node], right[node]
        if left[other] == other or deep == depth:
            word |= _ONE << _RIGHT_IS_LEAF
            nodes[used + 1] = as_word(value[other])
        else:
            source[top], target[top], level[top] = other, used + 1, deep
            top += 1
        if left[one] == one or deep == depth:
            word |= _ONE << _LEFT_IS_LEAF
            nodes[used] = as_word(value[one])
        else:
            source[top], target[top], level[top] = one, used, deep
            top += 1
        nodes[place] = word
        used += 2
    return used


@njit(cache=True, nogil=True)
def pack_guide(nodes: Any, levels: int, guide: Any) -> None:
    """Write the first levels of a tree such that the children of node 1 are 2 and 3, and so on.

    Below a leaf all turn left.
    """
    places = np.full(1 << levels, -1)
    places[1] = 0
    guide[:] = _ABOVE_ALL << _THRESHOLD
    for node in range(1, 1 << levels):
        if places[node] < 0:
            continue
        word = nodes[places[node]]
        guide[node] = (word >> _THRESHOLD << _THRESHOLD) | (word & _FEATURE)
        child = np.int64((word >> _CHILD) & _CHILD_MASK)
        if 2 * node < 1 << levels:
            places[2 * node] = -1 if (word >> _LEFT_IS_LEAF) & _ONE else child
            places[2 * node + 1] = -1 if (word >> _RIGHT_IS_LEAF) & _ONE else child + 1


@njit(cache=True, nogil=True)
def follow(guides: Any, levels: int, table: Any, turns: Any) -> None:
    """Note, bit by bit, where each row turns right in the first levels of four trees, all at once."""
    one, two, three, four = guides[0], guides[1], guides[2], guides[3]
    shift = np.uint64(levels)
    begin = _ONE << shift
    for row in range(np.uint64(len(table))):
        numbers = table[row]
        a = b = c = d = _ONE
        for _ in range(levels):
            word = one[a]
            a = (
                a
                + a
                + np.uint64(numbers[word & _FEATURE] > as_float(np.uint32(word >> _THRESHOLD)))
            )
            word = two[b]
            b = (
                b
                + b
                + np.uint64(numbers[word & _FEATURE] > as_float(np.uint32(word >> _THRESHOLD)))
            )
            word = three[c]
            c = (
                c
                + c
                + np.uint64(numbers[word & _FEATURE] > as_float(np.uint32(word >> _THRESHOLD)))
            )
            word = four[d]
            d = (
                d
                + d
                + np.uint64(numbers[word & _FEATURE] > as_float(np.uint32(word >> _THRESHOLD)))
            )
        seen = ((a ^ begin) << shift) | (b ^ begin)
        turns[row] = (((seen << shift) | (c ^ begin)) << shift) | (d ^ begin)


@njit(cache=True, nogil=True)
def arrange(table: Any, order: Any, lanes: Any) -> None:
    """Put the rows in their order, the last one repeated, into `lanes`, dims ``(word, feature, lane)``."""
    last = len(order) - 1
    for word in range(len(lanes)):
        for lane in range(LANES):
            row = order[min(word * LANES + lane, last)]
            for feature in range(table.shape[1]):
                lanes[word, feature, lane] = table[row, feature]


@njit(cache=True, nogil=True)
def add_trees(nodes: Any, starts: Any, depth: int, lanes: Any, total: Any) -> None:
    """Add the leaves of all trees, in their order, to `total`, dims ``(word x lane)``.

    A list of items goes down a tree: the number of a word of rows, and a bit for each of its rows that is
    here. At a node it is parted: who goes right stays at the beginning, who goes left is put to the end; a
    part that is empty goes no further. The left part goes on, the right one waits.
    """
    count, numbers = len(lanes), lanes.ravel()
    step = np.uint64(lanes.shape[1] * LANES)
    room = count * (depth + 3)
    masks, words = np.empty(room, np.uint64), np.empty(room, np.uint32)
    waiting = np.empty((depth + 3, 4), np.uint64)
    leaf, found = np.empty(len(total), np.uint16), np.empty(2 * len(total))
    for tree in range(len(starts) - 1):
        own = nodes[starts[tree] : starts[tree + 1]]
        for place in range(count):
            masks[place], words[place] = _ALL, place
        top, leaves = _ZERO, _ZERO
        node, is_leaf, begin, end = _ZERO, _ZERO, _ZERO, np.uint64(count)
        while True:
            word = own[node]
            child = (word >> _CHILD) & _CHILD_MASK
            left_is_leaf, right_is_leaf = (
                (word >> _LEFT_IS_LEAF) & _ONE,
                (word >> _RIGHT_IS_LEAF) & _ONE,
            )
            base, threshold = (word & _FEATURE) * _LANES, as_float(np.uint32(word >> _THRESHOLD))
            item = begin
            if is_leaf:
                found[leaves] = as_double(word)
                while item < end:
                    put(leaf, np.uint64(words[item]) * _LANES, masks[item], np.uint16(leaves))
                    item = unforeseen(item + _ONE)
                leaves += _ONE
            elif left_is_leaf & right_is_leaf:
                found[leaves], found[leaves + _ONE] = (
                    as_double(own[child]),
                    as_double(own[child + _ONE]),
                )
                while item < end:
                    mask, at = masks[item], np.uint64(words[item])
                    goes_right = above(numbers, base + at * step, threshold) & mask
                    put(leaf, at * _LANES, mask ^ goes_right, np.uint16(leaves))
                    put(leaf, at * _LANES, goes_right, np.uint16(leaves + _ONE))
                    item = unforeseen(item + _ONE)
                leaves += _ONE + _ONE
            else:
                fetch(own, child)
                right, left = begin, end
                while item < end:
                    mask, at = masks[item], words[item]
                    goes_right = above(numbers, base + np.uint64(at) * step, threshold) & mask
                    goes_left = mask ^ goes_right
                    masks[left], words[left] = goes_left, at
                    left += np.uint64(goes_left != _ZERO)
                    masks[right], words[right] = goes_right, at
                    right += np.uint64(goes_right != _ZERO)
                    item = unforeseen(item + _ONE)
                waiting[top, 0], waiting[top, 1] = child + _ONE, right_is_leaf
                waiting[top, 2], waiting[top, 3] = begin, right
                some_left = left > end
                top += np.uint64(some_left & (right > begin))
                node = child if some_left else child + _ONE
                is_leaf = left_is_leaf if some_left else right_is_leaf
                begin, end = (end, left) if some_left else (begin, right)
                continue
            if top == _ZERO:
                break
            top -= _ONE
            node, is_leaf = waiting[top, 0], waiting[top, 1]
            begin, end = waiting[top, 2], waiting[top, 3]
        for row in range(len(total)):
            total[row] += found[leaf[row]]
