"""A ledger loses at most the line that was being written, and takes no other file for one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from vadose.errors import FileProblem
from vadose.store import Entry, Ledger

ENTRY = Entry("0003", sums={"origin/c/0/0": "ab"}, seconds={"read": 0.5}, bytes={"written": 7})


def test_entries_come_back_in_the_last_state(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path, key="a")
    ledger.add(Entry("0003", state="failed: no input"))
    assert Ledger(path, key="a").finished == {}
    ledger.add(ENTRY)
    ledger.add(Entry("0004", state="failed: no input"))
    again = Ledger(path, key="a")
    assert again.entries == ledger.entries
    assert list(again.entries) == ["0003", "0004"]
    assert again.finished == {"0003": ENTRY}


def test_another_key_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    Ledger(path, key="a").add(ENTRY)
    assert Ledger(path, key="b").entries == {}
    assert Ledger(path, key="a").entries == {}
    assert [entry.name for entry in tmp_path.iterdir()] == ["ledger.jsonl"]


def test_any_torn_end_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path, key="a")
    header = path.stat().st_size
    ledger.add(ENTRY)
    first = path.stat().st_size
    ledger.add(Entry("0004"))
    whole = path.read_bytes()
    for size in range(header, len(whole) + 1):
        path.write_bytes(whole[:size])
        found = Ledger(path, key="a")
        expected = ["0003"] * (size >= first) + ["0004"] * (size == len(whole))
        assert list(found.entries) == expected
        found.add(Entry("0005"))
        assert list(Ledger(path, key="a").entries) == [*expected, "0005"]


@pytest.mark.parametrize("line", [b"\0\0\0\n", b"[]\n", b'{"tile": "x", "sum": 1}\n', b"\xff\n"])
def test_what_follows_a_damaged_line_is_made_again(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    Ledger(path, key="a").add(ENTRY)
    with path.open("ab") as file:
        file.write(line + b'{"tile": "0009"}\n')
    assert list(Ledger(path, key="a").entries) == ["0003"]
    assert b"0009" not in path.read_bytes()


@pytest.mark.parametrize("content", [b"", b"\0" * 40])
def test_a_file_without_content_is_a_new_ledger(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(content)
    Ledger(path, key="a").add(ENTRY)
    assert Ledger(path, key="a").finished == {"0003": ENTRY}


@pytest.mark.parametrize(
    "content", [b"time,y,x\n1,2,3\n", b"{}\n", b'{"format": "other"}\n', b"\x89HDF\r\n"]
)
def test_a_foreign_file_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(
        FileProblem,
        match=r"notes\.txt: found a file that is no ledger, expected .* Move it elsewhere",
    ):
        Ledger(path, key="a")
    assert path.read_bytes() == content


def test_a_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    ledger = Ledger(tmp_path / "ledger.jsonl", key="a")
    ledger.add(ENTRY)
    before = ledger.path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileProblem, match=r"ledger\.jsonl: found no space left on the device"):
        ledger.add(Entry("0004"))
    monkeypatch.undo()
    assert ledger.path.read_bytes() == before
    assert list(ledger.entries) == ["0003"]


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl", key="a")
    threads = [
        threading.Thread(
            target=lambda name=number: ledger.add(Entry(f"{name:04}", sums={"k": "v" * 500}))
        )
        for number in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(Ledger(ledger.path, key="a").finished) == [f"{number:04}" for number in range(40)]


KILLED = """
import itertools, sys
from vadose.store import Entry, Ledger
ledger = Ledger(sys.argv[1], key="a")
for number in itertools.count():
    ledger.add(Entry(f"{number:06}", sums={"k": "v" * 2000}))
    print(number, flush=True)
"""


def test_a_killed_run_has_every_line_that_it_told_of(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    run: Any = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE)
    for _ in range(30):
        told = int(run.stdout.readline())
    run.send_signal(signal.SIGKILL)
    told = max([told, *map(int, run.stdout.read().split())])
    run.stdout.close()
    assert run.wait() == -signal.SIGKILL
    finished = list(Ledger(path, key="a").finished)
    assert finished == [f"{number:06}" for number in range(len(finished))]
    assert told + 1 <= len(finished) <= told + 2
