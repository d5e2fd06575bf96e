"""One writer for a folder: a second one is refused and told who the first is."""

from __future__ import annotations

import errno
import json
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from vadose.errors import FileProblem, RunProblem
from vadose.store.files import explained

#: The file that is locked, and the one that says by whom; neither is ever removed by another process.
LOCK = ".vadose.lock"
OWNER = ".vadose.owner.json"
#: What file systems answer that know no locks, such as some of networks and of FUSE.
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


@dataclass
class _Held:
    lock: BaseFileLock
    depth: int = 1


#: Folders that this process owns; a forked child finds its own, empty table.
_HELD: dict[tuple[int, Path], _Held] = {}
_TABLE = threading.RLock()


@contextmanager
def owned(folder: str | Path) -> Iterator[None]:
    """Own a folder: no other process does at the same time.

    The kernel holds the lock, and frees it when the process ends, however it ends. Where the file system
    has no locks, a file with the owner's pid, start and host stands for it; that of a dead process of
    the same machine is taken over. Within the process it may be taken again, by any thread.

    Parameters
    ----------
    folder
        An existing folder.

    Raises
    ------
    RunProblem
        When another process owns it; names its pid, host and command.
    FileProblem
        When there is no such folder, or it may not be written to.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with owned(folder), owned(folder):
    ...     json.loads((Path(folder) / OWNER).read_text())["pid"] == os.getpid()
    True
    """
    place = Path(folder).resolve()
    if not place.is_dir():
        raise FileProblem(folder, found="no such folder", remedy="Create it first.")
    entry = (os.getpid(), place)
    with _TABLE:
        if entry in _HELD:
            _HELD[entry].depth += 1
        else:
            _HELD[entry] = _Held(_acquired(place, Path(folder)))
    try:
        yield
    finally:
        with _TABLE:
            held = _HELD[entry]
            held.depth -= 1
            if held.depth == 0:
                del _HELD[entry]
                (place / OWNER).unlink(missing_ok=True)
                held.lock.release()


def _acquired(place: Path, shown: Path) -> BaseFileLock:
    with explained(shown):
        try:
            lock = _locked(FileLock(place / LOCK, thread_local=False), place, shown)
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
                raise
            marker = SoftFileLock(place / f"{LOCK}.soft", thread_local=False)
            lock = _locked(marker, place, shown)
        owner = {"pid": os.getpid(), "host": platform.node(), "command": " ".join(sys.argv)}
        (place / OWNER).write_text(json.dumps(owner))
    return lock


def _locked(lock: BaseFileLock, place: Path, shown: Path) -> BaseFileLock:
    try:
        lock.acquire(timeout=0)
    except Timeout as timeout:
        pid = host = command = "unknown"
        with suppress(OSError, ValueError, TypeError, KeyError):
            owner = json.loads((place / OWNER).read_text())
            pid, host, command = owner["pid"], owner["host"], owner["command"]
        raise RunProblem(
            shown,
            found=f"a run that is being worked on by process {pid} on {host} ({command})",
            expected="one at a time",
            remedy="Wait for it or stop it; nothing of what it has finished is lost.",
        ) from timeout
    return lock
