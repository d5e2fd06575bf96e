"""Take one file: cut at the archive, or whole, or cropped after it came; then give it its name and remember it."""

from __future__ import annotations

import errno
import shutil
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from vadose.errors import VadoseError
from vadose.products.collections import COLLECTIONS
from vadose.products.fetching.base import Offer, hashed
from vadose.products.fetching.contents import is_cut
from vadose.products.fetching.cropping import crop_file
from vadose.products.fetching.earthdata import Earthdata
from vadose.products.fetching.extents import check_cut, check_same
from vadose.products.fetching.manifest import Manifest
from vadose.products.fetching.subsets import Subsets
from vadose.products.fetching.tasks import Task


@dataclass(frozen=True)
class Taken:
    """Say what came.

    Attributes
    ----------
    size
        Bytes that are kept.
    retried
        Attempts beyond the first.
    is_cut
        Whether it is cut to a box.
    """

    size: int
    retried: int
    is_cut: bool


@dataclass(frozen=True)
class _Came:
    """A file under a working name, and what is to be remembered of it."""

    offer: Offer
    part: Path
    retried: int
    cut_by: str = ""
    came: dict[str, Any] | None = None


def _place(part: Path, target: Path, digest: str) -> None:
    """Give a file its name in one step, also where its folder is a link to another disk."""
    try:
        part.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        half = target.with_name(f".half-{digest[:12]}")  # which is no name of a product
        try:
            shutil.copyfile(part, half)
            half.replace(target)
        finally:
            half.unlink(missing_ok=True)
        part.unlink()


class Taking:
    """Take the files of a folder.

    Parameters
    ----------
    manifest
        Of the folder.
    tasks
        Those that may be cut at the archive.
    is_cropping
        Whether what came whole is cropped.
    """

    def __init__(self, manifest: Manifest, tasks: Iterable[Task], *, is_cropping: bool) -> None:
        self.manifest, self.is_cropping = manifest, is_cropping
        self.cut: dict[str, Subsets] = {}
        self._subsets: dict[int, Subsets] = {}
        self._said: Counter[str] = Counter()
        self._lock = Lock()
        groups: dict[tuple[int, str, object], list[Task]] = {}
        for task in tasks:
            if isinstance(task.archive, Earthdata) and is_cut(task.offer.product):
                group = id(task.archive), task.offer.product, task.need.cut
                groups.setdefault(group, []).append(task)
        for several in groups.values():
            archive = several[0].archive
            if isinstance(archive, Earthdata):
                subsets = self._subsets.setdefault(id(archive), archive.subsets(manifest))
                offers = {task.key: task.offer for task in several}
                added = subsets.add(offers, several[0].need)
                self.cut.update(dict.fromkeys(added, subsets))
        for subsets in self._subsets.values():
            subsets.start()

    def take(self, task: Task) -> Taken:
        """Take one file, and give it its name once it is complete.

        Raises
        ------
        VadoseError
        """
        task.archive.gate.wait(task.offer.product)
        came = self._cut(task)
        if came is None:
            retried = task.archive.get(task.offer, task.part)
            by = "the archive" if task.offer.box else ""
            came = _Came(task.offer, task.part, retried, by)
            if self.is_cropping and task.offer.box is None:
                came = self._cropped(task, came)
        size, digest = came.part.stat().st_size, hashed(came.part)
        task.folder.mkdir(parents=True, exist_ok=True)
        _place(came.part, task.target, digest)
        for left in task.part.parent.glob(f"{task.offer.name}.*"):
            left.unlink(missing_ok=True)
        self.manifest.remember_file(
            task.key, came.offer, size, digest, cut_by=came.cut_by, came=came.came
        )
        return Taken(size, came.retried, came.offer.box is not None)

    def finish(self, missing: Collection[str]) -> None:
        """Forget jobs of the archive whose granules are all here."""
        for subsets in self._subsets.values():
            subsets.forget_finished(missing)

    @property
    def notes(self) -> list[str]:
        """Say what was cut, what came whole, and why."""
        told = [words for subsets in self._subsets.values() for words in subsets.notes]
        return told + [
            f"{words} ({count} file{'s' if count > 1 else ''})."
            for words, count in self._said.items()
        ]

    def _cut(self, task: Task) -> _Came | None:
        subsets = self.cut.get(task.key)
        got = None if subsets is None else subsets.get(task.key, task.offer, task.part)
        return None if got is None else _Came(*got, cut_by="Harmony")

    def _cropped(self, task: Task, came: _Came) -> _Came:
        """Crop what came whole; what cannot be cropped is kept as it is, and told."""
        product = task.offer.product
        if not is_cut(product):
            unit = "tiles" if "tile" in COLLECTIONS[product].cadence else "files"
            self._say(f"{product}: not cropped, its {unit} are the smallest unit there is")
            return came
        part = task.part.with_name(f"{task.offer.name}.cropped")
        need = task.need
        try:
            crop_file(came.part, part, need.products, need.cut)
            check_cut(part, need, need.cut)
            check_same(came.part, part, need.products, need.cut.box)
        except Exception as error:  # of damaged files libraries raise anything
            part.unlink(missing_ok=True)
            found = error.found if isinstance(error, VadoseError) else type(error).__name__
            self._say(f"{product}: not cropped ({found}), kept whole")
            return came
        whole = {"size": came.part.stat().st_size, "sha256": hashed(came.part)}
        kept = replace(came.offer, box=need.cut.box, variables=need.cut.variables)
        self._say(f"{product}: cropped to the box after they came whole")
        return _Came(kept, part, came.retried, "vadose", whole)

    def _say(self, words: str) -> None:
        with self._lock:
            self._said[words] += 1
