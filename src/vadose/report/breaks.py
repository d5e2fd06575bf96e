"""Breaks of lines over time: nothing is joined across stamps that are missing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Usual steps of time beyond which two stamps are not neighbours.
APART = 1.5


def with_breaks(
    times: npt.NDArray[np.datetime64], *columns: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.datetime64], list[npt.NDArray[np.float64]]]:
    """Put a stamp without a value wherever stamps are missing, so that no line is drawn across.

    Parameters
    ----------
    times
        Stamps in order; their usual step is the median one.
    columns
        Values at the stamps.

    Examples
    --------
    >>> days = np.array(["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-09"], "M8[ns]")
    >>> with_breaks(days, np.array([0.1, 0.2, 0.3, 0.4]))[1]
    [array([0.1, 0.2, 0.3, nan, 0.4])]
    """
    times = np.asarray(times, "M8[ns]")
    values = [np.asarray(column, "f8") for column in columns]
    if len(times) < 3:
        return times, values
    steps = np.diff(times)
    after = np.flatnonzero(steps > APART * np.median(steps.astype("i8")).astype("m8[ns]")) + 1
    between = times[after - 1] + steps[after - 1] // 2
    return np.insert(times, after, between), [np.insert(one, after, np.nan) for one in values]


def alone(values: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Tell which values have no neighbour: a line does not show them.

    Examples
    --------
    >>> alone(np.array([0.1, 0.2, np.nan, 0.3, np.nan]))
    array([False, False, False,  True, False])
    """
    known = np.concatenate([[False], np.isfinite(values), [False]])
    return np.asarray(known[1:-1] & ~known[:-2] & ~known[2:])
