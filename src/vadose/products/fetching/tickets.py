"""Requests that an archive has been given and not yet answered, remembered on the disk beside what is half done.

An archive that makes files on demand numbers its requests. The number is written at once, with a hash of
what was asked, so that a run that was stopped, or whose connection broke, is gone on with by the next one. No
key, name or password is part of either.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

#: Beside the working name of a file.
SUFFIX = ".request"
#: What a number of a request may look like; it becomes part of an address.
NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


class Ticket:
    """Remember the number of one request.

    Parameters
    ----------
    part
        Working name of the file that the request makes.
    asked
        What was asked, of whom: JSON. A number counts for nothing else.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> Ticket(folder / "a.nc.part", ["store", {"month": "06"}]).remember("4711")
    >>> Ticket(folder / "a.nc.part", ["store", {"month": "06"}]).number
    '4711'
    >>> Ticket(folder / "a.nc.part", ["store", {"month": "07"}]).number
    ''
    """

    def __init__(self, part: Path, asked: object) -> None:
        self._path = part.with_name(part.name + SUFFIX)
        text = json.dumps(asked, sort_keys=True)
        self._asked = hashlib.sha256(text.encode()).hexdigest()

    @property
    def number(self) -> str:
        """Give the number; empty where nothing was asked, or something else, or the note is damaged."""
        try:
            row = json.loads(self._path.read_text(encoding="utf-8"))
            number, asked = str(row["request"]), row["asked"]
        except (OSError, ValueError, TypeError, KeyError):
            return ""
        return number if asked == self._asked and NUMBER.fullmatch(number) else ""

    def remember(self, number: str) -> None:
        """Write the number down, in one step."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        half = self._path.with_name(self._path.name + ".half")
        row = {"request": number, "asked": self._asked}
        half.write_text(json.dumps(row) + "\n", encoding="utf-8")
        half.replace(self._path)

    def forget(self) -> None:
        """Forget the number: the file is here, or the archive knows nothing of it any more."""
        self._path.unlink(missing_ok=True)


def count_waiting(folders: Iterable[Path]) -> int:
    """Count the requests that archives have been given and that are not yet answered.

    Parameters
    ----------
    folders
        Folders of what is half done.
    """
    return sum(1 for folder in folders for _ in folder.rglob(f"*{SUFFIX}"))
