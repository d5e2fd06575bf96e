"""Hold all downloads from an archive while it asks for patience, and stop those that cannot succeed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from vadose.products.fetching.base import FetchProblem

#: Stands for all products of an archive.
ALL = ""


class Gate:
    """Hold all downloads from an archive while it asks for patience, and stop those that cannot succeed."""

    def __init__(self) -> None:
        self._until = 0.0
        self._lock = threading.Lock()
        self._closed: dict[str, FetchProblem] = {}
        self._stopped = threading.Event()
        #: Whether the archive has answered at all.
        self.is_reached = False
        #: Told what an archive is doing while nothing comes; whoever shows progress puts itself here.
        self.tell: Callable[[str], None] = _nobody
        #: What is to be said at the end, other than failures.
        self.notes: list[str] = []

    @property
    def is_stopped(self) -> bool:
        """Tell whether all downloads are to let go."""
        return self._stopped.is_set()

    def wait(self, product: str) -> None:
        """Wait until the archive may be asked for a product again.

        Raises
        ------
        FetchProblem
            A login was refused for it, or the disk is full: further files would fail alike.
        """
        for name in (product, ALL):
            if name in self._closed:
                raise self._closed[name]
        left = self._until - time.monotonic()
        if left > 0:
            self.rest(left, product)

    def rest(self, seconds: float, product: str) -> None:
        """Do nothing for some seconds, or until all downloads are to let go.

        Raises
        ------
        FetchProblem
            As `wait` does.
        """
        self._stopped.wait(seconds)
        for name in (product, ALL):
            if name in self._closed:
                raise self._closed[name]

    def hold(self, seconds: float) -> None:
        """Ask no more for some seconds."""
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)

    def close(self, problem: FetchProblem, product: str) -> None:
        """Ask no more for a product, or for `ALL`."""
        self._closed[product] = problem

    def stop(self) -> None:
        """Ask no more at all, and let go of what is being downloaded: what has come is kept."""
        self.close(FetchProblem("download", found="a stop"), ALL)
        self._stopped.set()


def _nobody(_: str) -> None:
    """Tell nobody."""
