"""Download what is wanted: search, leave what is here, take the rest in parallel, list what failed."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol

from vadose.errors import FileProblem, VadoseError
from vadose.products.collections import COLLECTIONS
from vadose.products.fetching.base import (
    Absent,
    FetchProblem,
    Offer,
    Policy,
    Wanted,
    checked_name,
    hashed,
)
from vadose.products.fetching.climate_store import ClimateStore
from vadose.products.fetching.earthdata import Earthdata
from vadose.products.fetching.gate import Gate
from vadose.products.fetching.manifest import Manifest
from vadose.products.fetching.public import Elevation, Soil
from vadose.products.fetching.servers import Servers
from vadose.store import owned

#: Folder beside the products' for what is half done; no reader looks into it.
WORK = ".fetching"
#: Days after which an archive adds no more files to a day.
SETTLED = timedelta(days=90)
#: Told after each file: done, all, and a word.
Progress = Callable[..., None]


class Archive(Protocol):
    """Offer files and download them.

    The classes of this package do; a server of one's own needs these names and no more.
    """

    workers: int
    gate: Gate
    refused: list[FetchProblem]

    def offers(self, wanted: Wanted) -> list[Offer]:
        """List the files of a product; what was refused of them stands in `refused`."""

    def get(self, offer: Offer, part: Path) -> int:
        """Write a file under its working name, verified; gives the attempts beyond the first."""

    def close(self) -> None:
        """Close the connections."""


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
    notes
        What else there is to say.
    """

    files: int = 0
    bytes: int = 0
    kept: int = 0
    absent: int = 0
    retried: int = 0
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def fetch(
    wanted: Iterable[Wanted],
    *,
    servers: Servers | None = None,
    policy: Policy | None = None,
    refresh: bool = False,
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
    progress
        Told after each file.

    Raises
    ------
    RunProblem
        Another process downloads into the same place.
    """
    told = Fetched()
    where, how = servers or Servers(), policy or Policy()
    archives: dict[str, Archive] = {}
    by_root: dict[Path, list[Wanted]] = {}
    for one in wanted:
        collection = COLLECTIONS.get(one.product)
        if collection is not None and collection.archive != "by_hand":
            by_root.setdefault(one.folder.parent, []).append(one)
    try:
        for root, several in by_root.items():
            root.mkdir(parents=True, exist_ok=True)
            with owned(root):
                manifest = Manifest(root)
                todo: list[_Task] = []
                for one in several:
                    name = COLLECTIONS[one.product].archive
                    archive = archives.setdefault(name, ARCHIVES[name](where, how))
                    todo += _tasks(one, archive, manifest, told, refresh)
                _take(todo, manifest, told, progress or _silent)
                _tidy(root / WORK)
    finally:
        for archive in archives.values():
            archive.close()
            told.notes += archive.gate.notes
    return told


def _tidy(work: Path) -> None:
    """Remove the folders of what is half done where nothing is."""
    for folder in [*work.glob("*"), work]:
        with contextlib.suppress(OSError):  # it holds something, or is not there
            folder.rmdir()


def _silent(*_: object) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class _Task:
    """A file to take: from whom, and where it goes."""

    archive: Archive
    offer: Offer
    folder: Path

    @property
    def target(self) -> Path:
        return self.folder / self.offer.name

    @property
    def key(self) -> str:
        return f"{self.folder.name}/{self.offer.name}"

    @property
    def part(self) -> Path:
        return self.folder.parent / WORK / self.folder.name / f"{self.offer.name}.part"


def _tasks(
    wanted: Wanted, archive: Archive, manifest: Manifest, told: Fetched, refresh: bool
) -> list[_Task]:
    """Find out what there is, and leave out what is here."""
    collection = COLLECTIONS[wanted.product]
    key = _search_key(wanted)
    offers = None if refresh else manifest.offers.get(key)
    if offers is None:
        try:
            offers = archive.offers(wanted)
        except VadoseError as problem:
            told.failures.append(Failure(wanted.product, collection.short_name, problem))
            return []
        told.failures += [Failure(wanted.product, str(one.subject), one) for one in archive.refused]
        if collection.archive == "earthdata" and _is_settled(wanted) and not archive.refused:
            manifest.remember_search(key, offers)
    tasks = []
    for offer in offers:
        task = _Task(archive, offer, wanted.folder)
        try:  # also those of a manifest that somebody else wrote
            checked_name(offer.name, collection.names, source=collection.short_name)
        except FileProblem as problem:
            told.failures.append(Failure(wanted.product, "?", problem))
            continue
        if is_here(task.target, offer, manifest.files.get(task.key, {}).get("size")):
            told.kept += 1
        elif task.key in manifest.absent and not refresh:
            told.absent += 1
        else:
            tasks.append(task)
    return tasks


def _search_key(wanted: Wanted) -> str:
    """Name a search by what is asked, not by where files go."""
    collection = COLLECTIONS[wanted.product]
    asked = [wanted.product, collection.short_name, wanted.version or collection.version]
    text = json.dumps([*asked, list(wanted.region), wanted.period, sorted(wanted.variables)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_settled(wanted: Wanted) -> bool:
    if wanted.period is None:
        return True
    last = date.fromisoformat(wanted.period[1][:10])
    return datetime.now(UTC).date() - last > SETTLED


def is_here(target: Path, offer: Offer, size: int | None) -> bool:
    """Tell whether a file is on the disk, whole: of the size that the archive states, or that it had."""
    if not target.is_file():
        return False
    held = target.stat().st_size
    stated = offer.size if offer.size is not None else size
    return held > 0 and (stated is None or held == stated)


def _take(tasks: list[_Task], manifest: Manifest, told: Fetched, progress: Progress) -> None:
    """Take files in parallel, each archive by as many threads as it likes."""
    by_archive: dict[int, list[_Task]] = {}
    for task in {task.target: task for task in tasks}.values():
        by_archive.setdefault(id(task.archive), []).append(task)
    if not by_archive:
        return
    pools = []
    futures: dict[Future[tuple[int, int]], _Task] = {}
    done = 0

    def tell(words: str) -> None:
        progress(done, len(futures), words)

    try:
        for several in by_archive.values():
            several[0].archive.gate.tell = tell
            pool = ThreadPoolExecutor(several[0].archive.workers, thread_name_prefix="fetch")
            pools.append(pool)
            futures.update({pool.submit(_take_one, task, manifest): task for task in several})
        for future in as_completed(futures):
            task = futures[future]
            try:
                size, retried = future.result()
                told.files, told.bytes = told.files + 1, told.bytes + size
                told.retried += retried
            except Absent as problem:
                if COLLECTIONS[task.offer.product].archive == "elevation":
                    manifest.remember_absent(task.key)
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


def _take_one(task: _Task, manifest: Manifest) -> tuple[int, int]:
    """Take one file, and give it its name once it is whole."""
    task.archive.gate.wait(task.offer.product)
    retried = task.archive.get(task.offer, task.part)
    size, digest = task.part.stat().st_size, hashed(task.part)
    task.folder.mkdir(parents=True, exist_ok=True)
    task.part.replace(task.target)
    task.part.with_name(task.part.name + ".tag").unlink(missing_ok=True)
    manifest.remember_file(task.key, task.offer, size, digest)
    return size, retried
