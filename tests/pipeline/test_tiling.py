"""Whatever stops a run that is made tile by tile, the next one makes what is missing, with the same bits."""

from __future__ import annotations

import errno
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vadose import pipeline
from vadose.cli import main
from vadose.errors import FileProblem, RunProblem
from vadose.pipeline.downscaling import How
from vadose.store import open_cube, owned, sha256

FOREST = {
    "title": "forest",
    "kind": "direct",
    "model": "random_forest",
    "parameters": {"trees": 6},
}
METHODS = {
    "forest": FOREST,
    "forest_closed": {"title": "closed forest", "kind": "close", "of": ["forest"]},
}
#: Tiles of each store where a tile is one of the 4 x 4 coarse cells, and stores.
TILES, STORES = 16, ("nearest", "smooth", "forest", "forest_closed", "product")
ONE_CELL = How(cells=1, workers=2)


class StoppedError(Exception):
    """Stands for whatever ends a run between two tiles."""


def after(tiles: int, words: str, action: Callable[[], None]) -> Any:
    """Give a progress bar that acts when so many tiles of a store are done."""

    @contextmanager
    def bar(shown: str) -> Iterator[Callable[..., None]]:
        is_done = False

        def step(done: int, total: int, note: str = "") -> None:
            nonlocal is_done
            if words in shown and not note and done >= tiles and not is_done:
                is_done = True
                action()

        yield step

    return bar


def stop() -> None:
    raise StoppedError


def stores(run: Path) -> dict[str, str]:
    """Hash every store of a run."""
    folders = [*sorted((run / "predictions").glob("*.zarr")), run / "product.zarr"]
    return {folder.name: sha256(folder) for folder in folders}


def made(run: Path, store: str) -> list[str]:
    """List the tiles that a ledger calls done, in the order in which they were."""
    lines = (run / f"predictions/{store}.ledger.jsonl").read_text().splitlines()[1:]
    return [entry["tile"] for entry in map(json.loads, lines) if entry["state"] == "done"]


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.fixture(scope="module")
def fitted(two_layers, tmp_path_factory):
    """A run whose models are fitted."""
    out = tmp_path_factory.mktemp("fitted") / "run"
    pipeline.build(two_layers(METHODS), out)
    return pipeline.fit(out)


@pytest.fixture(scope="module")
def whole(fitted, tmp_path_factory):
    """A run that nothing has disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    shutil.copytree(fitted, out)
    pipeline.downscale(out, how=ONE_CELL)
    assert all(len(made(out, store)) == TILES for store in STORES)
    return out


@pytest.fixture(scope="module")
def half(fitted, tmp_path_factory):
    """A run that was stopped amid the third store."""
    out = tmp_path_factory.mktemp("half") / "run"
    shutil.copytree(fitted, out)
    with pytest.raises(StoppedError):
        pipeline.downscale(out, how=ONE_CELL, progress=after(5, "forest", stop))
    assert "downscale" not in pipeline.finished(out)
    assert not (out / "predictions/forest.zarr").exists()
    assert len(made(out, "forest")) == 5
    return out


@pytest.fixture
def stopped(half, tmp_path):
    return Path(shutil.copytree(half, tmp_path / "run"))


@pytest.fixture
def call(monkeypatch, capsys):
    """Give a function that calls ``vadose downscale`` in this process: exit code and errors."""
    monkeypatch.setenv("COLUMNS", "1000")

    def downscale(*words: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["vadose", "downscale", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), capsys.readouterr().err

    return downscale


# --- killed ---


def test_killed_three_times_it_ends_with_the_same_bytes(fitted, whole, tmp_path):
    """The kernel ends the process, at a random number of tiles and a random moment after."""
    run = Path(shutil.copytree(fitted, tmp_path / "run"))
    words = [sys.executable, "-m", "vadose.cli", "downscale", str(run), "--tile", "1"]
    draws = random.Random(11)  # noqa: S311 - not a secret
    count = 0
    for tiles in sorted(draws.sample(range(1, TILES * len(STORES) - 5), 3)):
        with subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            while count <= tiles:
                assert process.poll() is None
                time.sleep(0.005)
                count = sum(
                    file.read_bytes().count(b'"done"')
                    for file in (run / "predictions").glob("*.ledger.jsonl")
                )
            time.sleep(draws.uniform(0, 0.05))
            process.kill()
        assert "downscale" not in pipeline.finished(run)
    subprocess.run(words, check=True, capture_output=True)
    assert stores(run) == stores(whole)
    assert not list(run.rglob("*.unfinished")) + list(run.rglob(".*partial*"))


# --- damaged ---


def test_a_damaged_tile_of_an_unfinished_store_is_made_again(stopped, whole):
    before = made(stopped, "forest")
    flip(stopped / "predictions/.forest.zarr.unfinished/soil_moisture/c/0/0/0")
    pipeline.downscale(stopped, how=ONE_CELL)
    assert stores(stopped) == stores(whole)
    again = made(stopped, "forest")[len(before) :]
    left = {f"{number:05d}" for number in range(TILES)} - set(before)
    assert sorted(again) == sorted({*left, "00000"})


def test_a_damaged_tile_of_a_finished_store_is_made_again(whole, tmp_path):
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    flip(run / "predictions/forest.zarr/origin/c/0/2/1")
    flip(run / "product.zarr/soil_moisture/c/0/3/3")
    pipeline.downscale(run, how=ONE_CELL)
    assert stores(run) == stores(whole)
    assert made(run, "forest")[TILES:] == ["00009"]
    assert made(run, "product")[TILES:] == ["00015"]
    assert len(made(run, "forest_closed")) == TILES


def test_an_input_that_disappears_is_one_error_and_nothing_wrong_is_kept(stopped, whole, call):
    """To Zarr a missing chunk is a gap; that must not become the gap of a product."""
    chunk, aside = stopped / "fine.zarr/ndvi", stopped.parent
    with pytest.raises(RunProblem, match=r"forest: tile \d+: found .*fine\.zarr") as problem:
        pipeline.downscale(
            stopped,
            how=ONE_CELL,
            progress=after(8, "forest", lambda: (chunk / "c").rename(aside / "c")),
        )
    assert "files of" in str(problem.value)
    assert "are missing" in str(problem.value)
    kept = made(stopped, "forest")
    assert 8 <= len(kept) < TILES
    code, text = call(stopped, "--tile", "1")
    assert code == 2
    assert "fine.zarr: found 1 files of" in text
    assert "for 'ndvi', expected 2 files" in text
    (aside / "c").rename(chunk / "c")
    assert call(stopped, "--tile", "1")[0] == 0
    assert stores(stopped) == stores(whole)
    assert made(stopped, "forest")[: len(kept)] == kept
    assert len(made(stopped, "forest")) == TILES


def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_space(
    stopped, whole, call, monkeypatch
):
    write, count = Path.write_bytes, 0

    def full(path: Path, content: bytes) -> int:
        nonlocal count
        count += "/c/" in path.as_posix()
        if count > 12:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        code, text = call(stopped, "--tile", "1")
    assert code == 2
    assert "no space left on the device" in text
    assert "Traceback" not in text
    kept = made(stopped, "forest")
    assert 5 < len(kept) < TILES
    pipeline.downscale(stopped, how=ONE_CELL)
    assert stores(stopped) == stores(whole)
    assert len(made(stopped, "forest")) == TILES


def test_a_clock_that_runs_backwards_changes_nothing(stopped, whole, monkeypatch):
    now = [4e9]

    def backwards() -> float:
        now[0] -= 100.0
        return now[0]

    with monkeypatch.context() as patch:
        patch.setattr(time, "time", backwards)
        pipeline.downscale(stopped, how=ONE_CELL)
    assert stores(stopped) == stores(whole)
    assert len(made(stopped, "forest")) == TILES


# --- tiles ---


def test_a_run_goes_on_with_the_tiles_it_began_with(stopped, whole):
    """The ledger and what is finished are of use only to the same tiles."""
    pipeline.downscale(stopped, how=How(workers=2))
    forest = sha256(stopped / "predictions/forest.zarr")
    assert forest == stores(whole)["forest.zarr"]
    assert len(made(stopped, "forest")) == TILES
    values = open_cube(stopped / "product.zarr").load()
    assert values.equals(open_cube(whole / "product.zarr").load())


def test_other_tiles_and_threads_give_the_same_values(fitted, whole, tmp_path):
    run = Path(shutil.copytree(fitted, tmp_path / "run"))
    pipeline.downscale(run, how=How(cells=3, workers=1))
    for name in ("predictions/forest.zarr", "predictions/forest_closed.zarr", "product.zarr"):
        one, other = open_cube(run / name).load(), open_cube(whole / name).load()
        assert one.identical(other), name
    assert len(made(run, "forest")) == 4


# --- refused ---


def test_a_second_process_is_refused_and_told_of_the_first(stopped):
    words = [sys.executable, "-m", "vadose.cli", "downscale", str(stopped)]
    environment = {**os.environ, "COLUMNS": "1000"}
    with owned(stopped):
        second = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert second.returncode == 2
    assert f"process {os.getpid()} on {platform.node()}" in second.stderr
    assert "one at a time" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_plan_makes_nothing(fitted, tmp_path, call):
    run = Path(shutil.copytree(fitted, tmp_path / "run"))
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    code, text = call(run, "--plan", "--tile", "1")
    assert code == 0
    for title in ("nearest", "smooth", "forest", "closed forest", "Product"):
        assert any(title in line and " 16 " in line for line in text.splitlines()), title
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_too_little_memory_says_how_much_is_needed(fitted, call):
    code, text = call(fitted, "--max-mem", "100MB", "--tile", "1")
    assert code == 2
    assert text.startswith("Error: --max-mem: found 0.1 GB, expected 0.4")
    assert "GB or more for a tile of 1 x 8 x 8" in text
    assert not (fitted / "predictions").exists()


def test_a_run_that_is_not_fitted_is_refused(fitted, tmp_path):
    run = Path(shutil.copytree(fitted, tmp_path / "run"))
    state = json.loads((run / "state.json").read_text())
    del state["stages"]["fit"]
    (run / "state.json").write_text(json.dumps(state))
    with pytest.raises(RunProblem, match=r"fit is not finished.*vadose fit"):
        pipeline.downscale(run)


def test_a_store_that_is_something_else_is_not_replaced(stopped):
    shutil.rmtree(stopped / "predictions/.forest.zarr.unfinished")
    (stopped / "predictions/.forest.zarr.unfinished").mkdir()
    (stopped / "predictions/.forest.zarr.unfinished/letter.txt").write_text("mine")
    with pytest.raises(FileProblem, match="other files"):
        pipeline.downscale(stopped, how=ONE_CELL)
    assert (stopped / "predictions/.forest.zarr.unfinished/letter.txt").read_text() == "mine"
