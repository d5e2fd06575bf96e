"""Who works on tiles: threads of this process, or the workers of a dask cluster.

Both take the same function and the same tiles, and give what was finished as it is finished. Nothing else
knows which of them it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol, TypeVar

from vadose.errors import MissingExtra, RunProblem

Item = TypeVar("Item")
Result = TypeVar("Result")

#: A tile that failed, instead of a result.
Failure = Exception
#: Seconds to wait for a scheduler to answer.
PATIENCE = 20
#: Tiles that are sent ahead for each thread of a cluster, so that none waits for the next.
AHEAD = 2
#: How often a tile is sent again whose worker died.
RETRIES = 3


class Workers(Protocol):
    """Do the same to many items, in any order."""

    #: How many items are worked on at a time.
    count: int
    #: Whether they see neither this process's memory nor, perhaps, its files.
    is_remote: bool

    def share(self, data: Any) -> Any:
        """Give something that stands for large data in the arguments of tasks."""
        ...

    def close(self) -> None:
        """Let them go."""
        ...

    def run(
        self, task: Callable[..., Result], items: Iterable[Item], *shared: Any
    ) -> Iterator[tuple[Item, Result | Failure]]:
        """Call ``task(*shared, item)`` for every item; give item and result, or what was raised."""
        ...


class Threads:
    """Work in threads of this process.

    Parameters
    ----------
    count
        How many.

    Examples
    --------
    >>> sorted(Threads(2).run(pow, [1, 2, 3], 2))
    [(1, 2), (2, 4), (3, 8)]
    """

    is_remote = False

    def __init__(self, count: int) -> None:
        self.count = count

    def share(self, data: Any) -> Any:
        """Threads share everything."""
        return data

    def close(self) -> None:
        """Threads end with each `run`."""

    def run(
        self, task: Callable[..., Result], items: Iterable[Item], *shared: Any
    ) -> Iterator[tuple[Item, Result | Failure]]:
        """Call ``task(*shared, item)`` for every item, no more at a time than there are threads."""
        left = iter(items)
        with ThreadPoolExecutor(self.count) as pool:
            running: dict[Future[Result], Item] = {}
            try:
                for item in itertools.islice(left, self.count):
                    running[pool.submit(task, *shared, item)] = item
                while running:
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        item = running.pop(future)
                        for following in itertools.islice(left, 1):
                            running[pool.submit(task, *shared, following)] = following
                        yield item, _outcome(future)
            finally:  # an interrupt, or a caller who has seen enough: what runs ends, no more begins
                for future in running:
                    future.cancel()


class Cluster:
    """Work on the workers of a dask cluster, which see neither this process's memory nor its folder.

    Parameters
    ----------
    address
        Of its scheduler, such as ``tcp://10.0.0.1:8786``.

    Raises
    ------
    MissingExtra
        distributed is not installed.
    RunProblem
        No scheduler answers, it has no workers, or they run another version of vadose.
    """

    is_remote = True

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise MissingExtra("distributed", extra="cluster") from error
        try:
            self.client = Client(address, timeout=PATIENCE)
        except (OSError, ValueError, TypeError) as error:
            raise RunProblem(
                f"--scheduler {address}",
                found="no dask scheduler that answers",
                expected="an address such as tcp://10.0.0.1:8786",
                remedy="See docs/clusters.md; what is finished stays finished.",
            ) from error
        self._check(address)
        self.count = sum(self.client.nthreads().values())

    def _check(self, address: str) -> None:
        import vadose

        versions = self.client.run(_version_there)
        if not versions:
            self.close()
            raise RunProblem(
                f"--scheduler {address}",
                found="a scheduler without workers",
                expected="one or more",
                remedy=f"Start one: dask worker {address}",
            )
        others = {version for version in versions.values() if version != vadose.__version__}
        if others:
            self.close()
            raise RunProblem(
                f"--scheduler {address}",
                found=f"workers with vadose {', '.join(map(str, sorted(others, key=str)))}",
                expected=f"version {vadose.__version__}, as here",
                remedy="Install the same version everywhere: the same tiles must give the same bits.",
            )

    def share(self, data: Any) -> Any:
        """Send large data once."""
        return self.client.scatter(data, broadcast=True, hash=False)

    def run(
        self, task: Callable[..., Result], items: Iterable[Item], *shared: Any
    ) -> Iterator[tuple[Item, Result | Failure]]:
        """Call ``task(*shared, item)`` for every item; a tile whose worker died is sent to another."""
        from distributed import as_completed

        left = iter(items)
        sent: dict[Any, Item] = {}

        def send(count: int) -> list[Any]:
            futures = []
            for item in itertools.islice(left, count):
                future = self.client.submit(task, *shared, item, pure=False, retries=RETRIES)
                sent[future] = item
                futures.append(future)
            return futures

        running = as_completed(send(AHEAD * self.count))
        try:
            for future in running:
                item = sent.pop(future)
                outcome = _outcome(future)
                for following in send(1):
                    running.add(following)
                yield item, outcome
        finally:
            self.client.cancel(list(sent))

    def close(self) -> None:
        """Leave the cluster, which goes on."""
        self.client.close()


def _version_there() -> str:
    import vadose

    return vadose.__version__


def _outcome(future: Any) -> Any:
    try:
        return future.result()
    except Exception as error:  # told with its tile; the others go on
        return error
