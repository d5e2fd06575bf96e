"""What is finished of a store that is made tile by tile: one line of JSON for each tile, never changed.

The first line says what is being made; the last of a tile counts. Each line is on the disk before the
next one is begun, so that a killed run loses at most the line it was writing. No clock is asked.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path

from vadose.errors import FileProblem
from vadose.store.files import explained, replaced

_FORMAT = "vadose ledger 1"


@dataclass(frozen=True)
class Entry:
    """Tell what became of one tile.

    Attributes
    ----------
    tile
        Its name.
    state
        ``done``, or the reason for which it is not.
    sums
        Checksum of every object of the store that was written, see `vadose.store.write_tile`.
    seconds
        Duration of each step, of a clock that only runs forward.
    bytes
        Read and written, or whatever else was counted.
    """

    tile: str
    state: str = "done"
    sums: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)


class Ledger:
    """Keep the entries of one store in a file; safe to use from many threads of one process.

    Parameters
    ----------
    path
        The file; it is created if it is missing.
    key
        Digest of all that decides the bits of what is made. The entries of another key are worth
        nothing: the file then begins anew.

    Raises
    ------
    FileProblem
        When the file is something else, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "ledger.jsonl"
    >>> Ledger(path, key="a").add(Entry("0003", sums={"origin/c/0/0": "e3b0"}))
    >>> Ledger(path, key="a").entries["0003"].sums
    {'origin/c/0/0': 'e3b0'}
    >>> Ledger(path, key="b").entries
    {}
    """

    def __init__(self, path: str | Path, *, key: str) -> None:
        self.path, self.key = Path(path), key
        self.entries: dict[str, Entry] = {}
        self._writing = threading.Lock()
        if not self._read():
            self._begin()

    @property
    def finished(self) -> dict[str, Entry]:
        """Entries of the tiles that are done."""
        return {tile: entry for tile, entry in self.entries.items() if entry.state == "done"}

    def add(self, entry: Entry) -> None:
        """Append a line, and return when it is on the disk.

        Raises
        ------
        FileProblem
            When the disk is full or may not be written to; the file is then as before.
        """
        line = json.dumps(asdict(entry)).encode() + b"\n"
        with self._writing, explained(self.path), self.path.open("ab", buffering=0) as file:
            before = os.fstat(file.fileno()).st_size
            try:
                written = file.write(line)
                if written != len(line):  # the disk has filled up midway; the rest tells why
                    file.write(line[written:])
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), before)
                raise
            self.entries[entry.tile] = entry

    def _begin(self) -> None:
        with replaced(self.path, overwrite=True) as partial, partial.open("wb") as file:
            file.write(json.dumps({"format": _FORMAT, "key": self.key}).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self) -> bool:
        """Take the entries of our key; cut off what a killed run left of a line."""
        if not self.path.exists():
            return False
        content = self.path.read_bytes()
        header, *lines = content.splitlines(keepends=True) or [b""]
        if not content.strip(
            b"\0"
        ):  # a power cut can leave the length of a file without its content
            return False
        if self._key_in(header) != self.key:
            return False
        sound = len(header)
        for line in lines:
            entry = _entry(line)
            if entry is None:
                break
            self.entries[entry.tile] = entry
            sound += len(line)
        if sound < len(content):
            with explained(self.path):
                os.truncate(self.path, sound)
        return True

    def _key_in(self, header: bytes) -> object:
        try:
            fields = json.loads(header)
        except ValueError:
            fields = None
        if not isinstance(fields, dict) or fields.get("format") != _FORMAT:
            raise FileProblem(
                self.path,
                found="a file that is no ledger",
                expected=f"a first line that says {_FORMAT!r}",
                remedy="Move it elsewhere; tiles without a ledger are made again.",
            )
        return fields.get("key")


def _entry(line: bytes) -> Entry | None:
    """Read a line, or None when it was torn; what follows a torn line is not trusted either."""
    if not line.endswith(b"\n"):
        return None
    try:
        return Entry(**json.loads(line))
    except (ValueError, TypeError):
        return None
