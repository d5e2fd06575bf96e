"""Cores: blocks of samples side by side, on threads of which each has one core, or one after the other on all.

Torch would lend every operation all cores. Most are too short for that, and where tiles of a map are
predicted in threads as well, all of them wait for each other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import ceil
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Stretches of items that each worker takes one after the other.
PARTS = 4

_lock = threading.Lock()
_at_work: list[int] = []


def side_by_side(
    task: Callable[[Item], Result], items: Sequence[Item], *, workers: int, cores: int = 1
) -> Iterator[Result]:
    """Give ``task(item)`` for each item, in their order.

    Parameters
    ----------
    task
        What uses torch; its arithmetic sees `cores` cores, whoever calls and however many workers there are.
    items
        Of which `workers` are worked on at a time.
    workers
        Threads.
    cores
        Threads that an operation of torch may use within one of them.

    Examples
    --------
    >>> list(side_by_side(lambda number: (number, torch.get_num_threads()), [1, 2, 3], workers=2))
    [(1, 1), (2, 1), (3, 1)]
    """
    if workers == 1:  # the memory of a thread that is there already is warm
        with _same_afterwards():
            torch.set_num_threads(cores)
            yield from [task(item) for item in items]
        return
    with (
        _same_afterwards(),
        ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(cores,)) as pool,
    ):
        for results in pool.map(lambda part: [task(item) for item in part], _parts(items, workers)):
            yield from results


def _parts(items: Sequence[Item], workers: int) -> list[Sequence[Item]]:
    """Cut items into stretches, so that threads seldom hand over and yet end at about the same time."""
    size = ceil(len(items) / (workers * PARTS)) if items else 1
    return [items[start : start + size] for start in range(0, len(items), size)]


@contextmanager
def _same_afterwards() -> Iterator[None]:
    """Put torch's number of threads back for those who come later.

    A thread's own number is its own, but each also becomes that of threads to come; so the last of
    several predictions that overlap puts back what the first of them found.
    """
    with _lock:
        _at_work.append(_at_work[0] if _at_work else torch.get_num_threads())
    own = torch.get_num_threads()
    try:
        yield
    finally:
        with _lock:
            found = _at_work.pop()
            if not _at_work:
                torch.set_num_threads(found)
        if own != torch.get_num_threads():
            torch.set_num_threads(own)
