"""Download what is wanted: search, leave what is here, take the rest in parallel, list what failed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from vadose.errors import FileProblem, VadoseError
from vadose.products.collections import COLLECTIONS
from vadose.products.fetching.base import Absent, Policy, Wanted
from vadose.products.fetching.climate_store import ClimateStore
from vadose.products.fetching.cuts import Need
from vadose.products.fetching.earthdata import Earthdata
from vadose.products.fetching.manifest import Manifest
from vadose.products.fetching.public import Elevation, Soil
from vadose.products.fetching.servers import Servers
from vadose.products.fetching.taking import Taken, Taking
from vadose.products.fetching.tasks import WORK, Archive, Task, find_tasks, needs_of
from vadose.store import owned

#: Told after each file: done, all, and a word.
Progress = Callable[..., None]


ARCHIVES: dict[str, Callable[[Servers, Policy], Archive]] = {
    "earthdata": Earthdata,
    "climate_store": ClimateStore,
    "elevation": Elevation,
    "soil": Soil,
}


@dataclass(frozen=True)
class Failure:
    """Say which file did not come, and why.

    Attributes
    ----------
    product, name
        Whose file; its name, or that of the collection where a search failed.
    problem
        What to do about it.
    """

    product: str
    name: str
    problem: VadoseError


@dataclass
class Fetched:
    """Say what a download did.

    Attributes
    ----------
    files, bytes
        That are new.
    kept
        Files that were here.
    absent
        Files that never were, such as tiles in the sea.
    retried
        Attempts beyond the first.
    failures
        Files that did not come.
    cut
        Of those that are new, how many were cut to the box, at the archive or here.
    notes
        What else there is to say.
    """

    files: int = 0
    bytes: int = 0
    kept: int = 0
    absent: int = 0
    retried: int = 0
    cut: int = 0
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def fetch(
    wanted: Iterable[Wanted],
    *,
    servers: Servers | None = None,
    policy: Policy | None = None,
    refresh: bool = False,
    whole: bool = False,
    crop: bool = False,
    progress: Progress | None = None,
) -> Fetched:
    """Download products; what is here stays, what fails is listed and the rest goes on.

    Parameters
    ----------
    wanted
        Products, boxes, periods and folders; those to be brought by hand are passed over.
    servers, policy
        Where from, and how patiently; the archives themselves, with patience, unless given.
    refresh
        Whether to ask archives anew what they have.
    whole
        Whether granules are taken whole also where the archive can cut them.
    crop
        Whether granules that came whole are cropped here to the box and to what is read of them.
    progress
        Told after each file.

    Raises
    ------
    RunProblem
        Another process downloads into the same place.
    FileProblem
        A folder that cannot be made or written to.
    """
    told = Fetched()
    where, how = servers or Servers(), policy or Policy()
    archives: dict[str, Archive] = {}
    by_root: dict[Path, list[Wanted]] = {}
    for one in wanted:
        collection = COLLECTIONS.get(one.product)
        if collection is not None and collection.archive != "by_hand":
            by_root.setdefault(one.folder.parent, []).append(one)
    show = progress or _silent
    try:
        for root, several in by_root.items():
            _make(root)
            with owned(root):
                manifest = Manifest(root)
                todo: dict[Path, Task] = {}
                for one, need in zip(several, needs_of(several), strict=True):
                    name = COLLECTIONS[one.product].archive
                    if name not in archives:
                        archives[name] = ARCHIVES[name](where, how)
                    archive = archives[name]
                    archive.gate.tell = partial(show, 0, 1)
                    for task in _find(one, archive, manifest, need, told, refresh):
                        todo[task.target] = _larger(todo.get(task.target), task)
                taking = Taking(manifest, () if whole else todo.values(), is_cropping=crop)
                _take(taking, list(todo.values()), told, show)
                told.notes += taking.notes
                _tidy(root / WORK)
    finally:
        for archive in archives.values():
            archive.close()
            told.notes += archive.gate.notes
    return told


def _make(folder: Path) -> None:
    """Make a folder and those above it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileProblem(
            folder,
            found=f"a folder that cannot be made ({error.strerror})",
            remedy="Choose another with --out, or name it in the recipe.",
        ) from error


def _find(
    wanted: Wanted,
    archive: Archive,
    manifest: Manifest,
    need: Need,
    told: Fetched,
    refresh: bool,
) -> list[Task]:
    """Find out what is to be taken, and count the rest."""
    try:
        found = find_tasks(wanted, archive, manifest, need, refresh=refresh)
    except VadoseError as problem:
        name = COLLECTIONS[wanted.product].short_name
        told.failures.append(Failure(wanted.product, name, problem))
        return []
    told.failures += [Failure(wanted.product, name, problem) for name, problem in found.problems]
    told.kept, told.absent = told.kept + found.kept, told.absent + found.absent
    return found.tasks


def _larger(first: Task | None, second: Task) -> Task:
    """Of two tasks for one file that its archive cuts take the one with the larger box."""
    if first is not None and first.need.cut.holds(second.need.cut):
        return first
    return second


def _tidy(work: Path) -> None:
    """Remove the folders of what is half done where nothing is."""
    for folder in [*work.glob("*"), work]:
        with contextlib.suppress(OSError):  # it holds something, or is not there
            folder.rmdir()


def _silent(*_: object) -> None:
    """Tell nobody."""


def _take(taking: Taking, tasks: list[Task], told: Fetched, progress: Progress) -> None:
    """Take files in parallel, each archive by as many threads as it likes."""
    by_archive: dict[int, list[Task]] = {}
    # what is to be cut comes last: its archive has the time that the others take
    for task in sorted(tasks, key=lambda one: one.key in taking.cut):
        by_archive.setdefault(id(task.archive), []).append(task)
    if not by_archive:
        return
    pools = []
    futures: dict[Future[Taken], Task] = {}
    done = 0
    missing = {task.key for task in tasks}

    def tell(words: str) -> None:
        progress(done, len(futures), words)

    try:
        for several in by_archive.values():
            several[0].archive.gate.tell = tell
            pool = ThreadPoolExecutor(several[0].archive.workers, thread_name_prefix="fetch")
            pools.append(pool)
            futures.update({pool.submit(taking.take, task): task for task in several})
        for future in as_completed(futures):
            task = futures[future]
            try:
                taken = future.result()
                told.files, told.bytes = told.files + 1, told.bytes + taken.size
                told.retried, told.cut = told.retried + taken.retried, told.cut + taken.is_cut
                missing.discard(task.key)
            except Absent as problem:
                if COLLECTIONS[task.offer.product].archive == "elevation":
                    taking.manifest.remember_absent(task.key)
                    told.absent += 1
                else:
                    told.failures.append(Failure(task.offer.product, task.offer.name, problem))
            except VadoseError as problem:
                told.failures.append(Failure(task.offer.product, task.offer.name, problem))
            except OSError as error:
                fault = FileProblem(task.target, found=f"a file that cannot be written ({error})")
                told.failures.append(Failure(task.offer.product, task.offer.name, fault))
            done += 1
            progress(done, len(futures), task.offer.name)
    except BaseException:  # an interrupt above all: threads let go at the next bytes
        for several in by_archive.values():
            several[0].archive.gate.stop()
        raise
    finally:
        for pool in pools:
            pool.shutdown(wait=True, cancel_futures=True)
    taking.finish(missing)
