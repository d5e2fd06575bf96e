"""The sums of `moments`, compiled by numba: imported only where numba is installed.

Places lie side by side in memory, times far apart. So a few hundred places go through time together; their sums
stay in the nearest cache, and every step is done for several places in one instruction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

#: Places that go through time together.
WIDTH = 256


@njit(cache=True, nogil=True)
def add_rows(
    lines: Any, steps: Any, edges: Any, count: Any, total: Any, cross: Any, origin: Any
) -> None:
    """Add complete rows to the sums of `moments.Sums`; `lines` and `steps` are of `moments.as_line`."""
    products, places = len(lines), count.shape[1]
    deviation = np.zeros((products, WIDTH))
    rows = np.zeros(WIDTH)
    sums = np.zeros((products, WIDTH))
    squares = np.zeros((cross.shape[1], WIDTH))
    is_whole = np.zeros(WIDTH, np.bool_)
    has_begun = np.zeros(WIDTH, np.bool_)
    begin = np.zeros((products, WIDTH))
    for start in range(0, places, WIDTH):
        width = min(WIDTH, places - start)
        has_begun[:] = False
        have_all_begun = False
        begin[:] = 0.0
        for block in range(len(edges) - 1):
            rows[:] = 0.0
            sums[:] = 0.0
            squares[:] = 0.0
            for time in range(edges[block], edges[block + 1]):
                is_whole[:] = True
                for product in range(products):
                    here = time * steps[product] + start
                    row = lines[product][here : here + width]
                    for place in range(width):
                        is_whole[place] &= row[place] == row[place]
                if not have_all_begun:
                    have_all_begun = True
                    for place in range(width):
                        if is_whole[place] and not has_begun[place]:
                            has_begun[place] = True
                            for product in range(products):
                                here = time * steps[product] + start + place
                                begin[product, place] = lines[product][here]
                        have_all_begun &= has_begun[place]
                for product in range(products):
                    here = time * steps[product] + start
                    row = lines[product][here : here + width]
                    for place in range(width):
                        away = np.float64(row[place]) - begin[product, place]
                        away = away if is_whole[place] else 0.0
                        deviation[product, place] = away
                        sums[product, place] += away
                for place in range(width):
                    rows[place] += 1.0 if is_whole[place] else 0.0
                pair = 0
                for one in range(products):
                    for other in range(one, products):
                        for place in range(width):
                            squares[pair, place] += deviation[one, place] * deviation[other, place]
                        pair += 1
            count[block, start : start + width] = rows[:width]
            total[block, :, start : start + width] = sums[:, :width]
            cross[block, :, start : start + width] = squares[:, :width]
        origin[:, start : start + width] = begin[:, :width]
