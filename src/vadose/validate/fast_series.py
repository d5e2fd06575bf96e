"""Moments and moving means of series, compiled by numba: imported only where numba is installed."""

from __future__ import annotations

from typing import Any

from numba import njit


# sums may be taken in any order, several at once; where NaN are stays what it is
@njit(cache=True, nogil=True, fastmath={"reassoc"})
def add_moments(product: Any, reference: Any, sample: Any, table: Any) -> None:
    """Write the moments of each row ``(row, time)`` of pairs into the columns of a table, as `statistics` has them."""
    for row in range(product.shape[0]):
        number, sum_p, sum_o, error = 0, 0.0, 0.0, 0.0
        # choices instead of branches: no processor can foresee the gaps
        for time in range(product.shape[1]):
            is_pair = sample[row, time]
            p = product[row, time] if is_pair else 0.0
            o = reference[row, time] if is_pair else 0.0
            number += is_pair
            sum_p += p
            sum_o += o
            error += abs(p - o)
        scale = 1.0 / max(number, 1)
        mean_p, mean_o = sum_p * scale, sum_o * scale
        square_p, square_o, cross = 0.0, 0.0, 0.0
        for time in range(product.shape[1]):
            is_pair = sample[row, time]
            p = product[row, time] - mean_p if is_pair else 0.0
            o = reference[row, time] - mean_o if is_pair else 0.0
            square_p += p * p
            square_o += o * o
            cross += p * o
        table[row, 0] = number
        table[row, 1] = number
        table[row, 2] = mean_p
        table[row, 3] = mean_o
        table[row, 4] = square_p
        table[row, 5] = square_o
        table[row, 6] = cross
        table[row, 7] = error


@njit(cache=True, nogil=True)
def average_windows(
    values: Any, level: Any, begin: Any, end: Any, minimum: Any, sums: Any, number: Any, means: Any
) -> None:
    """Write means between places in time, NaN of too few, with the operations of `anomalies` in its order.

    ``sums`` and ``number`` are room for a row and one more.
    """
    times = values.shape[1]
    for row in range(values.shape[0]):
        start = level[row]
        sums[0] = 0.0
        number[0] = 0
        for time in range(times):
            value = values[row, time]
            is_value = value == value
            sums[time + 1] = sums[time] + (value - start if is_value else 0.0)
            number[time + 1] = number[time] + (1 if is_value else 0)
        for time in range(times):
            first, last = begin[time], end[time]
            count = number[last] - number[first]
            mean = (sums[last] - sums[first]) / max(count, 1) + start
            means[row, time] = mean if count >= minimum else float("nan")
