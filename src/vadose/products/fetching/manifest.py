"""What was downloaded, from where, which version, with which hash, when: one line of JSON for each file.

Lines are only ever added, so that a stopped download leaves a manifest that is true; of several lines about
one file the last one counts.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vadose.products.fetching.base import Offer

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
        self._lock = threading.Lock()
        if self.path.is_file():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                self._learn(line)

    def _learn(self, line: str) -> None:
        try:
            row = json.loads(line)
            if "file" in row:
                self.files[row["file"]] = row
            elif "absent" in row:
                self.absent.add(row["absent"])
            elif "search" in row:
                self.offers[row["search"]] = [Offer(**offer) for offer in row["offers"]]
        except (ValueError, TypeError, KeyError):
            return  # the last line of a download that was killed; the file is asked for again

    def _add(self, row: Mapping[str, Any]) -> None:
        with self._lock, self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")

    def remember_search(self, key: str, offers: list[Offer]) -> None:
        """Remember what an archive offered, so that a second run need not ask."""
        self.offers[key] = offers
        self._add({"search": key, "date": now(), "offers": [asdict(offer) for offer in offers]})

    def remember_absent(self, key: str) -> None:
        """Remember that an archive has no such file, such as a tile in the sea."""
        self.absent.add(key)
        self._add({"absent": key, "date": now()})

    def remember_file(self, key: str, offer: Offer, size: int, sha256: str) -> None:
        """Remember a file that is now on the disk, whole."""
        row = {
            "file": key,
            "product": offer.product,
            "collection": offer.collection,
            "version": offer.version,
            "url": offer.url.partition("?")[0],  # what follows may be a signature
            "size": size,
            "sha256": sha256,
            "date": now(),
        }
        self.files[key] = row
        self._add(row)


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
        ``collection``, ``version``, ``url`` and ``date``.
    """
    root = path.parent.parent
    if not (root / NAME).is_file():
        return {}
    row = _remembered(root, (root / NAME).stat().st_mtime_ns).get(
        f"{path.parent.name}/{path.name}", {}
    )
    return {
        name: str(row[name]) for name in ("collection", "version", "url", "date") if row.get(name)
    }


_READ: dict[tuple[Path, int], dict[str, dict[str, Any]]] = {}


def _remembered(root: Path, stamp: int) -> dict[str, dict[str, Any]]:
    """Read a manifest once for all files of it, until it changes."""
    if (root, stamp) not in _READ:
        _READ.clear()
        _READ[root, stamp] = Manifest(root).files
    return _READ[root, stamp]
