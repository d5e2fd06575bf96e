"""Keep the building of cubes within a memory budget."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from vadose.errors import RecipeProblem

#: What the libraries take before any data is read, in bytes.
LIBRARIES = 450e6
#: What one worker needs beside the block it works on: neighbours, masks and double precision, in bytes.
WORKER = 450e6
UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def parse_bytes(text: str) -> float:
    """Read an amount of memory.

    Raises
    ------
    RecipeProblem

    Examples
    --------
    >>> parse_bytes("1.5GB")
    1500000000.0
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?\s*", text, flags=re.IGNORECASE)
    if match is None or float(match[1]) == 0:
        raise RecipeProblem("--max-mem", found=repr(text), expected="an amount such as 4GB")
    return float(match[1]) * UNITS[match[2].upper()]


def workers_for(budget: float) -> int:
    """Tell how many blocks can be worked on at a time within a budget, at least one.

    Raises
    ------
    RecipeProblem
        When not even one fits.

    Examples
    --------
    >>> workers_for(1e9)
    1
    """
    fit = int((budget - LIBRARIES) // WORKER)
    if fit < 1:
        raise RecipeProblem(
            "--max-mem",
            found=f"{budget / 1e9:.2g} GB",
            expected=f"{(LIBRARIES + WORKER) / 1e9:.2g} GB or more",
        )
    return min(fit, os.cpu_count() or 1)


@contextmanager
def within(max_mem: str) -> Iterator[int]:
    """Let dask work on no more blocks at a time than fit; gives their number."""
    import dask

    workers = workers_for(parse_bytes(max_mem))
    with dask.config.set(scheduler="threads", num_workers=workers):
        yield workers
