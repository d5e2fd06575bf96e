"""Where water runs on an elevation model: depressions, directions (D8) and catchment areas.

Vectorised throughout, linear in the number of cells but for one sort; a Copernicus tile of 3600 × 3600
cells takes 2 to 20 seconds and 3 GB. Steps:

1. every cell drains to its steepest lower neighbour (D8);
2. a cell of a flat drains to the neighbour from which the flat's outlet is reached first;
3. what is left are bottoms of depressions. Each spills over its lowest pass into the neighbouring
   basin, along the minimum spanning tree of basins and passes. The water of a depression thus leaves it
   without its floor being filled or its rim being cut.

The border of the model and cells next to a void are outlets.

References
----------
O'Callaghan and Mark (1984), Comput. Vis. Graph. Image Process. 28:323 (D8).
Barnes, Lehman and Mulla (2014), Comput. Geosci. 62:117, 67:1 (flats; filling by priority, our oracle).
Cordonnier, Bovy and Braun (2019), Earth Surf. Dyn. 7:549 (basins and passes).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

Heights = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Cells = npt.NDArray[np.int64]

#: Offsets (row, column) of the neighbours; the straight ones first, as they win ties.
NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))
OUTLET = -1
UNKNOWN = -2


def receivers(heights: Heights, dx: Floats, dy: Floats) -> tuple[Cells, Heights]:
    """Find for every cell the cell that its water runs to, and the level water stands at.

    Parameters
    ----------
    heights
        Elevation in m, ``(y, x)``; NaN is a void, through which water leaves.
    dx, dy
        Width and height of the cells of each row in m.

    Returns
    -------
    receivers
        Flat index of the receiving cell; the cell's own index at outlets and voids.
    levels
        Elevation with depressions filled to their pass, as a priority flood gives it.

    Examples
    --------
    >>> bowl = np.array([[9, 9, 9, 9], [9, 5, 6, 8], [9, 9, 9, 9]], "f4")
    >>> to, level = receivers(bowl, np.ones(3), np.ones(3))
    >>> int(to[6]), level[1, 1].item()  # 6 drains to 5, and 5 spills over the rim at 8
    (5, 8.0)
    """
    padded = np.pad(heights.astype("f4"), 1, constant_values=np.nan)
    shifts = [row * padded.shape[1] + column for row, column in NEIGHBOURS]
    height = padded.ravel()
    steepest, is_rim = _steepest(padded, shifts, dx, dy)
    to = steepest.ravel()
    _drain_flats(to, height, shifts)
    bottoms = _bottoms_of_flats(to, height, shifts)
    to[bottoms] = bottoms
    _spread(to, height, bottoms, shifts)
    roots = np.where(to == OUTLET, np.arange(to.size), to)
    level = height
    if bottoms.size:
        basin = _basins(roots, bottoms)
        spill, next_cell = _passes(height, basin, np.flatnonzero(is_rim), shifts, bottoms.size)
        roots[bottoms] = np.where(next_cell == OUTLET, bottoms, next_cell)
        level = np.where(np.isnan(height), height, np.maximum(height, spill[basin]))
    # Back from the padded array to the caller's cells.
    rows, columns = np.divmod(roots.reshape(padded.shape)[1:-1, 1:-1], padded.shape[1])
    inner = (rows - 1) * heights.shape[1] + columns - 1
    return inner.ravel(), level.reshape(padded.shape)[1:-1, 1:-1]


def accumulate(to: Cells, weights: Floats) -> Floats:
    """Sum a quantity (say, the area of cells) over everything upstream, the cell itself included.

    Parameters
    ----------
    to
        Receiver of each cell; its own index at outlets. Free of loops.
    weights
        What each cell adds.

    Examples
    --------
    >>> accumulate(np.array([1, 2, 2, 2]), np.ones(4))  # 0 → 1 → 2 ← 3
    array([1., 2., 4., 1.])
    """
    total = weights.astype("f8").copy()
    depth = _depths(to)
    order = np.argsort(depth, kind="stable")
    counts = np.bincount(depth)
    stop = order.size
    for count in counts[:0:-1]:  # from the farthest cells to those next to the outlets
        cells = order[stop - count : stop]
        np.add.at(total, to[cells], total[cells])
        stop -= count
    return total


def _depths(to: Cells) -> npt.NDArray[np.int32]:
    """Count the steps from each cell to its outlet, doubling the stride each round."""
    depth: npt.NDArray[np.int32] = (to != np.arange(to.size)).astype("i4")
    ahead = to.copy()
    while True:
        further: npt.NDArray[np.int32] = depth[ahead]
        if not further.any():
            return depth
        depth = np.add(depth, further)
        ahead = ahead[ahead]


def _steepest(
    padded: Heights, shifts: list[int], dx: Floats, dy: Floats
) -> tuple[Cells, npt.NDArray[np.bool_]]:
    """Give the steepest lower neighbour, OUTLET at the rim, else UNKNOWN; and which cells are rim."""
    rows, columns = (n - 2 for n in padded.shape)
    here = padded[1:-1, 1:-1]
    best, step = np.zeros(here.shape, "f4"), np.zeros(here.shape, "i4")
    is_rim = np.zeros(padded.shape, bool)
    for (row, column), shift in zip(NEIGHBOURS, shifts, strict=True):
        there = padded[1 + row : 1 + row + rows, 1 + column : 1 + column + columns]
        distance = np.hypot(row * dy, column * dx).astype("f4")[:, None]
        slope = (here - there) / distance
        is_better = slope > best
        best[is_better], step[is_better] = slope[is_better], shift
        is_rim[1:-1, 1:-1] |= np.isnan(there)
    is_rim &= ~np.isnan(padded)
    own = np.arange(padded.size).reshape(padded.shape)[1:-1, 1:-1]
    to = np.full(padded.shape, OUTLET, "i8")
    inner = np.where(is_rim[1:-1, 1:-1], OUTLET, UNKNOWN)
    to[1:-1, 1:-1] = np.where(step != 0, own + step, inner)
    to[np.isnan(padded)] = OUTLET
    return to, is_rim


def _drain_flats(to: Cells, height: Heights, shifts: list[int]) -> None:
    """Let flats drain to their settled cells of the same height."""
    waiting = np.flatnonzero(to == UNKNOWN)
    edge = [
        cells[(height[cells] == height[waiting]) & (to[cells] != UNKNOWN)]
        for cells in (waiting + shift for shift in shifts)
    ]
    _spread(to, height, np.unique(np.concatenate(edge)), shifts)


def _spread(to: Cells, height: Heights, front: Cells, shifts: list[int]) -> None:
    """Settle the cells of a flat from a front outwards, one ring a step."""
    while front.size:
        reached = []
        for shift in shifts:
            cells = front + shift
            is_new = (to[cells] == UNKNOWN) & (height[cells] == height[front])
            to[cells[is_new]] = front[is_new]
            reached.append(cells[is_new])
        front = np.concatenate(reached)


def _bottoms_of_flats(to: Cells, height: Heights, shifts: list[int]) -> Cells:
    """Choose one cell of every flat (often a single cell) that has no way out."""
    waiting = np.flatnonzero(to == UNKNOWN)
    place = np.full(to.size, -1)
    place[waiting] = np.arange(waiting.size)
    pairs = []
    for shift in shifts[1::2]:  # down, right and two diagonals: each pair of neighbours once
        cells = waiting + shift
        is_same = (place[cells] >= 0) & (height[cells] == height[waiting])
        pairs.append((np.flatnonzero(is_same), place[cells[is_same]]))
    one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
    graph = coo_array((np.ones(one.size, bool), (one, other)), shape=(waiting.size,) * 2)
    _, label = connected_components(graph, directed=False)
    return waiting[np.unique(label, return_index=True)[1]]


def _basins(roots: Cells, bottoms: Cells) -> Cells:
    """Give each cell the number of its basin: 0 drains outside, 1 and on are those of the bottoms."""
    while True:
        further = roots[roots]
        if np.array_equal(further, roots):
            break
        roots = further
    number = np.zeros(roots.size, "i8")
    number[bottoms] = np.arange(1, bottoms.size + 1)
    return number[roots]


def _passes(
    height: Heights, basin: Cells, rim: Cells, shifts: list[int], count: int
) -> tuple[Heights, Cells]:
    """Find the level at which every basin spills, and the cell that each bottom spills into."""
    closed = rim[basin[rim] > 0]
    edges = [(basin[closed], np.zeros(closed.size, "i8"), height[closed], closed, closed * 0 - 1)]
    cells = np.flatnonzero(~np.isnan(height))
    for shift in shifts[1::2]:
        is_pass = (basin[cells] != basin[cells + shift]) & ~np.isnan(height[cells + shift])
        here = cells[is_pass]
        there = here + shift
        top = np.maximum(height[here], height[there])
        edges.append((basin[here], basin[there], top, here, there))
    one, other, top, here, there = (np.concatenate(part) for part in zip(*edges, strict=True))
    # Of all passes between two basins the lowest counts: sort by height, keep the first of each pair.
    order = np.argsort(top, kind="stable")
    one, other, top, here, there = (part[order] for part in (one, other, top, here, there))
    pair = np.minimum(one, other) * (count + 1) + np.maximum(one, other)
    first = np.sort(np.unique(pair, return_index=True)[1])
    one, other, top, here, there = (part[first] for part in (one, other, top, here, there))
    # Ranks instead of heights: a sparse graph takes a height of 0 for no edge.
    rank = np.arange(1, first.size + 1)
    graph = coo_array((rank, (one, other)), shape=(count + 1, count + 1)).tocsr()
    tree = minimum_spanning_tree(graph).tocoo()
    kept = np.rint(tree.data).astype("i8") - 1
    links = coo_array((rank[kept], (one[kept], other[kept])), shape=graph.shape).tocsr()
    _, towards = breadth_first_order(links, 0, directed=False)
    towards = np.where(towards < 0, 0, towards).astype("i8")
    next_cell, spill = np.full(count + 1, OUTLET), np.full(count + 1, -np.inf, "f4")
    for child, parent, target in ((one, other, there), (other, one, here)):
        is_child = (towards[child[kept]] == parent[kept]) & (child[kept] > 0)
        links_of = kept[is_child]
        next_cell[child[links_of]], spill[child[links_of]] = target[links_of], top[links_of]
    while towards.any():  # the highest pass on the way outside, doubling the stride each round
        spill = np.maximum(spill, spill[towards])
        towards = towards[towards]
    return spill, next_cell[1:]
