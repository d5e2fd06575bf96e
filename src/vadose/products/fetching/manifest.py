"""What was downloaded, from where, which version, with which hash, when: one line of JSON for each file.

Lines are only ever added, so that a stopped download leaves a manifest that is true; of several lines about
one file the last one counts.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vadose.products.fetching.base import Offer
from vadose.products.fetching.cuts import Cut, remembered_cut

#: Beside the products' folders.
NAME = "fetched.jsonl"


class Manifest:
    """Remember what archives offered and what was taken.

    Parameters
    ----------
    root
        Folder that holds the products' folders.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / NAME
        self.files: dict[str, dict[str, Any]] = {}
        self.offers: dict[str, list[Offer]] = {}
        self.absent: set[str] = set()
        self.jobs: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        #: Whether the last line was cut short by a stop: the next one must not be written onto it.
        self._is_torn = False
        if self.path.is_file():
            text = self.path.read_text(encoding="utf-8", errors="replace")
            self._is_torn = bool(text) and not text.endswith("\n")
            for line in text.splitlines():
                self._learn(line)

    def _learn(self, line: str) -> None:
        try:
            row = json.loads(line)
            if "file" in row:
                self.files[row["file"]] = row
            elif "absent" in row:
                self.absent.add(row["absent"])
            elif "search" in row:
                self.offers[row["search"]] = [_offer(offer) for offer in row["offers"]]
            elif "job" in row:
                self.jobs[row["job"]] = row
            elif "job_over" in row:
                self.jobs.pop(row["job_over"], None)
        except (ValueError, TypeError, KeyError):
            return  # the last line of a download that was killed; the file is asked for again

    def _add(self, row: Mapping[str, Any]) -> None:
        with self._lock, self.path.open("a", encoding="utf-8") as stream:
            stream.write("\n" * self._is_torn + json.dumps(row, ensure_ascii=False) + "\n")
            self._is_torn = False

    def remember_search(self, key: str, offers: list[Offer]) -> None:
        """Remember what an archive offered, so that a second run need not ask."""
        self.offers[key] = offers
        self._add({"search": key, "date": now(), "offers": [asdict(offer) for offer in offers]})

    def remember_absent(self, key: str) -> None:
        """Remember that an archive has no such file, such as a tile in the sea."""
        self.absent.add(key)
        self._add({"absent": key, "date": now()})

    def remember_job(self, job: str, collection: str, cut: Cut, granules: Sequence[str]) -> None:
        """Remember a job of the archive that cuts granules, so that the next run gets its results."""
        row = {
            "job": job,
            "collection": collection,
            "box": list(cut.box),
            "variables": list(cut.variables),
            "granules": list(granules),
            "date": now(),
        }
        self.jobs[job] = row
        self._add(row)

    def forget_job(self, job: str) -> None:
        """Forget a job whose results are here, or that the archive has forgotten."""
        if self.jobs.pop(job, None) is not None:
            self._add({"job_over": job, "date": now()})

    def remember_file(
        self,
        key: str,
        offer: Offer,
        size: int,
        sha256: str,
        *,
        cut_by: str = "",
        came: Mapping[str, Any] | None = None,
    ) -> None:
        """Remember a file that is now on the disk, complete.

        Parameters
        ----------
        key
            Its folder and name.
        offer
            What it is; with the box and the variables that it is cut to.
        size, sha256
            Of what is kept.
        cut_by
            Who cut it.
        came
            Size and hash of what came, where something else is kept.
        """
        row: dict[str, Any] = {
            "file": key,
            "product": offer.product,
            "collection": offer.collection,
            "version": offer.version,
            "url": offer.url.partition("?")[0],  # what follows may be a signature
            "size": size,
            "sha256": sha256,
            "date": now(),
        }
        if offer.box is not None:
            row["box"] = list(offer.box)
            row["variables"] = list(offer.variables)
            row["cut_by"] = cut_by or "the archive"
        if came is not None:
            row["came"] = dict(came)
        self.files[key] = row
        self._add(row)


def _offer(row: Mapping[str, Any]) -> Offer:
    """Make an offer of a line of the manifest, in which lists stand for tuples."""
    offer = Offer(**row)
    if offer.box is None:
        return replace(offer, variables=tuple(offer.variables))
    west, south, east, north = (float(degrees) for degrees in offer.box)
    return replace(offer, box=(west, south, east, north), variables=tuple(offer.variables))


def now() -> str:
    """Give the time as text, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def origin_of(path: Path) -> dict[str, str]:
    """Tell where a file on the disk was downloaded from; nothing where nobody remembers.

    Parameters
    ----------
    path
        A data file. The manifest is looked for beside its folder.

    Returns
    -------
    dict
        ``collection``, ``version``, ``url`` and ``date``; of a file that is cut also the ``box`` and who cut it,
        ``cut_by``.
    """
    root = path.parent.parent
    if not (root / NAME).is_file():
        return {}
    row = _remembered(root, (root / NAME).stat().st_mtime_ns).get(
        f"{path.parent.name}/{path.name}", {}
    )
    names = ("collection", "version", "url", "date", "cut_by")
    told = {name: str(row[name]) for name in names if row.get(name)}
    if isinstance(row.get("box"), list):
        told["box"] = ", ".join(map(str, row["box"]))
    return told


def cuts_in(folder: Path) -> dict[tuple[str, int], Cut]:
    """Tell what the files of a folder were cut to, by name and size; whole ones are left out.

    Parameters
    ----------
    folder
        Of a product. The manifest is looked for beside it.
    """
    cuts: dict[tuple[str, int], Cut] = {}
    root = folder.parent
    if not (root / NAME).is_file():
        return {}
    for key, row in _remembered(root, (root / NAME).stat().st_mtime_ns).items():
        where, _, name = key.rpartition("/")
        if where == folder.name:
            try:
                cut = remembered_cut(row)
                size = int(row["size"])
            except (KeyError, TypeError, ValueError):
                continue  # of a manifest that somebody else wrote
            if cut is not None:
                cuts[name, size] = cut
    return cuts


_READ: dict[tuple[Path, int], dict[str, dict[str, Any]]] = {}


def _remembered(root: Path, stamp: int) -> dict[str, dict[str, Any]]:
    """Read a manifest once for all files of it, until it changes."""
    if (root, stamp) not in _READ:
        _READ.clear()
        _READ[root, stamp] = Manifest(root).files
    return _READ[root, stamp]
