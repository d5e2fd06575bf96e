"""The filter of `memory`, compiled by numba: imported only where numba is installed.

Several series lie side by side, so that a step is done for a few of them in one instruction, and a node goes
through all steps while its state stays in the nearest cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def run_filter(values: Any, observed: Any, amplitude: Any, phi: Any, every: int, sums: Any) -> None:
    """Add up what `memory._run_filter` does."""
    steps, series = values.shape
    state, state_one = np.empty(series), np.empty(series)
    uncertainty, product = np.empty(series), np.empty(series)
    for node in range(len(amplitude)):
        fading = phi[node]
        white = 1 - amplitude[node]
        fade = fading * fading
        innovation = amplitude[node] * (1 - fade)
        squares, crossed, ones, logs = sums[0, node], sums[1, node], sums[2, node], sums[3, node]
        state[:] = 0.0
        state_one[:] = 0.0
        uncertainty[:] = amplitude[node]
        product[:] = 1.0
        for step in range(steps):
            here, present = values[step], observed[step]
            for one in range(series):
                total = uncertainty[one] + white
                product[one] *= total if present[one] > 0 else 1.0
                precision = present[one] / total
                error = here[one] - state[one]
                error_one = 1 - state_one[one]
                gained = error * precision
                gained_one = error_one * precision
                squares[one] += error * gained
                crossed[one] += error_one * gained
                ones[one] += error_one * gained_one
                state[one] = (state[one] + gained * uncertainty[one]) * fading
                state_one[one] = (state_one[one] + gained_one * uncertainty[one]) * fading
                rest = uncertainty[one] * (1 - precision * uncertainty[one])
                uncertainty[one] = rest * fade + innovation
            if step % every == every - 1 or step == steps - 1:
                for one in range(series):
                    logs[one] += np.log(product[one])
                    product[one] = 1.0
