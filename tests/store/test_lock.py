"""A folder has one owner; a second one is told who it is; a dead one owns nothing."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import pytest

from vadose.errors import FileProblem, RunProblem
from vadose.store import lock, owned

OWNER = """
import sys, time
from vadose.store import owned
{before}
with owned(sys.argv[1]):
    print("owned", flush=True)
    time.sleep(600)
"""
NO_LOCKS = """
import errno, os, filelock
def refuse(self):
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
filelock.FileLock._acquire = refuse
"""


@contextmanager
def another(folder: Path, before: str = "") -> Iterator[Any]:
    """Run another process that owns the folder."""
    process: Any = subprocess.Popen(
        [sys.executable, "-c", OWNER.format(before=before), str(folder)], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout.readline() == b"owned\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(params=["kernel", "soft"])
def before(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give what makes a process work with kernel locks, or on a file system that has none."""
    if request.param == "kernel":
        return ""

    def refuse(_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(filelock.FileLock, "_acquire", refuse)
    return NO_LOCKS


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path, before: str) -> None:
    with another(tmp_path, before) as owner:
        text = (
            f"found a run that is being worked on by process {owner.pid} on "
            f"{re.escape(socket.gethostname())} .*, expected one at a time. Wait for it or stop it"
        )
        with pytest.raises(RunProblem, match=text), owned(tmp_path):
            pass
        with pytest.raises(RunProblem, match="expected one at a time"), owned(tmp_path):
            pass
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        with owned(tmp_path):
            assert json.loads((tmp_path / lock.OWNER).read_text())["pid"] == os.getpid()
    assert not (tmp_path / lock.OWNER).exists()


def test_it_is_taken_again_within_the_process(tmp_path: Path, before: str) -> None:
    with owned(tmp_path):
        with owned(tmp_path / "."):
            pass
        check = "from vadose.store import owned\nimport sys\nwith owned(sys.argv[1]): pass"
        run = subprocess.run(
            [sys.executable, "-c", before + check, str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (
            f"RunProblem: {tmp_path}: found a run that is being worked on by process {os.getpid()}"
            in run.stderr
        )
    with another(tmp_path, before):
        pass


def test_threads_share_it(tmp_path: Path) -> None:
    errors: list[BaseException] = []
    together = threading.Barrier(8)

    def work() -> None:
        try:
            together.wait()
            for _ in range(50):
                with owned(tmp_path):
                    assert (tmp_path / lock.OWNER).exists()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert lock._HELD == {}


def test_it_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), owned(tmp_path):
        raise ZeroDivisionError
    with another(tmp_path):
        pass


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_an_owner_that_cannot_be_read_is_unknown(tmp_path: Path, content: str) -> None:
    with another(tmp_path):
        (tmp_path / lock.OWNER).write_text(content)
        with pytest.raises(RunProblem, match="by process unknown on unknown"), owned(tmp_path):
            pass


def test_a_recycled_pid_is_not_the_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with another(tmp_path, NO_LOCKS) as owner:
        (marker,) = tmp_path.glob(f"{lock.LOCK}.soft")
        left = marker.read_text()
        owner.kill()
        owner.wait()
    # a living process now has the pid of the dead owner, but not its start
    marker.write_text(left.replace(str(owner.pid), str(os.getpid()), 1))
    monkeypatch.setattr(filelock.FileLock, "_acquire", refuse)
    with owned(tmp_path):
        assert (tmp_path / lock.OWNER).exists()


def test_other_errors_are_not_taken_for_a_lack_of_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path / lock.LOCK))

    monkeypatch.setattr(filelock.FileLock, "_acquire", refuse)
    with pytest.raises(FileProblem, match="no permission to write"), owned(tmp_path):
        pass


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="gone: found no such folder"), owned(tmp_path / "gone"):
        pass
