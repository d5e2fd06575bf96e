"""`vadose export`: what is exported, that it goes on where it was stopped, and what it refuses."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
import yaml

from vadose import pipeline
from vadose.cli import main
from vadose.config import DEMO_RECIPE
from vadose.errors import FileProblem, RecipeProblem, RunProblem
from vadose.grids import coordinates, latlon
from vadose.pipeline.folder import start
from vadose.schema import ORIGIN, variable
from vadose.store import open_cube, write_cube

ROW = {"sha256": "00", "licence": "free", "citation": "Ek (2003), doi:10.1000/soil.1"}


def product(seed: int) -> xr.Dataset:
    """Make three days of soil moisture."""
    days = np.arange("2019-04-29", "2019-05-02", dtype="M8[D]").astype("M8[ns]")
    wet = np.random.default_rng(seed).uniform(0.1, 0.4, (3, 6, 8)).astype("f4")
    dims = ("time", "y", "x")
    origin = variable("origin").attributes() | ORIGIN.attributes()
    layers = {
        "soil_moisture": (dims, wet, variable("soil_moisture").attributes()),
        "origin": (dims, np.full(wet.shape, 2, "u1"), origin),
    }
    coords = {"time": days, **coordinates(latlon(0.25, (0.0, 40.0, 2.0, 41.5)))}
    return xr.Dataset(layers, coords=coords, attrs={"source": "vadose, method: nearest"})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Make a run whose product is written."""
    out = tmp_path / "run"
    text = DEMO_RECIPE.read_text(encoding="utf-8")
    folder = start(out, text, origin=tmp_path, command="vadose run karst.yaml --out /secret/run")
    folder.write_json("inputs.json", [{"name": "a.nc", **ROW}, {"name": "b.nc", **ROW}])
    folder.write_json("state.json", {**folder.state, "stages": {"build": 1.0, "downscale": 1.0}})
    write_cube(product(1), out / "product.zarr")
    return out


def call(*words: str | Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["vadose", *map(str, words)])
    monkeypatch.setenv("COLUMNS", "160")
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_the_command_exports_checks_and_looks_again(run, monkeypatch, capsys) -> None:
    assert call("export", run, "--check", monkeypatch=monkeypatch) == 0
    told = capsys.readouterr().out
    assert f"Export: {run / 'export'}" in told
    assert "9 of 9 validators pass." in told
    for validator in ("compliance-checker", "rio-cogeo", "pystac"):
        assert validator in told
    (run / "export/README.md").write_text("other")
    assert call("export", run / "export", "--check", monkeypatch=monkeypatch) == 3
    told = capsys.readouterr().out
    assert "FAILS" in told
    assert "README.md was changed" in told
    assert "8 of 9 validators pass." in told


def test_papers_say_what_the_records_of_the_run_say(run) -> None:
    out = pipeline.export(run)
    assert "a.nc to b.nc (2 files)\n  free\n  Ek (2003)" in (out / "LICENCE.txt").read_text()
    cited = yaml.safe_load((out / "CITATION.cff").read_text())["references"]
    assert [one["doi"] for one in cited] == ["10.1000/soil.1"]
    told = (out / "README.md").read_text()
    assert "Nobody has said: creator, creator_email" in told
    assert "Made by `vadose run karst.yaml` (" in told  # where it was is nobody's business
    assert "/secret" not in "".join(
        p.read_text() for p in out.glob("*.*") if p.suffix != ".nc" and p.is_file()
    )


def test_who_publishes_stands_in_every_form(run, tmp_path) -> None:
    about = tmp_path / "about.yaml"
    about.write_text("creator: A. Hydrologist\ndoi: 10.5072/karst\nlicence: CC-BY-4.0\n")
    out = pipeline.export(run, tmp_path / "out", about=about)
    with xr.open_dataset(next(out.glob("*.nc")), engine="h5netcdf") as opened:
        assert opened.attrs["creator_name"] == "A. Hydrologist"
        assert opened.attrs["license"] == "CC-BY-4.0; free"
        assert opened.attrs["id"] == "10.5072/karst"
    collection = json.loads((out / "collection.json").read_text())
    assert collection["sci:doi"] == "10.5072/karst"
    assert collection["providers"][0]["name"] == "A. Hydrologist"


def test_a_misspelt_key_of_who_publishes(run, tmp_path) -> None:
    about = tmp_path / "about.yaml"
    about.write_text("creater: A. Hydrologist\n")
    with pytest.raises(
        RecipeProblem, match=r"creater: found an unknown key.*Did you mean 'creator'"
    ):
        pipeline.export(run, about=about)


def test_a_stopped_export_goes_on(run, monkeypatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("vadose.publish.write_stac", stop)
        with pytest.raises(KeyboardInterrupt):
            pipeline.export(run)
    assert not (run / "export").exists()
    made = {path.name: path.stat().st_mtime_ns for path in run.glob(".export.unfinished/days/*/*")}
    assert len(made) == 6
    out = pipeline.export(run)
    again = {path.name: path.stat().st_mtime_ns for path in out.glob("days/*/*.tif")}
    assert again == made
    assert not list(out.glob(".vadose*"))
    assert not list(run.glob(".export*"))


KILLED = """
import os, signal, sys
from pathlib import Path
from vadose import pipeline
kept, word = Path.replace, sys.argv[2]
def die(self, target):
    if word in str(target):  # its bytes are there, its name is not
        os.kill(os.getpid(), signal.SIGKILL)
    return kept(self, target)
Path.replace = die
pipeline.export(sys.argv[1])
"""


@pytest.mark.parametrize(
    "word",
    ["2019-04-30_origin.tif", pytest.param("product_2019-04.nc", marks=pytest.mark.slow)],
)
def test_a_killed_export_leaves_no_halves_in_the_next(run, tmp_path, word) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(run), word], capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert not (run / "export").exists()
    work = run / ".export.unfinished"
    halves = [path.name for path in work.rglob(".*.partial-*")]
    assert any(word in name for name in halves)
    out = pipeline.export(run)
    assert not list(run.glob(".export*"))
    sums = (out / "CHECKSUMS.sha256").read_text()
    assert ".partial-" not in sums
    assert sums == (pipeline.export(run, tmp_path / "whole") / "CHECKSUMS.sha256").read_text()


def test_a_process_that_died_in_the_swap_has_left_nothing_for_good(run) -> None:
    pipeline.export(run)
    for role in ("previous", "partial"):
        (run / f".export.{role}-0123abcd").mkdir()
    pipeline.export(run, overwrite=True)
    assert not list(run.glob(".export*"))


@pytest.mark.parametrize("what", ["netCDF", "GeoTIFF"])
def test_a_full_disk_is_one_line_and_nothing_takes_its_name(
    run, what, tmp_path, monkeypatch, capsys
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if what == "netCDF":  # there is no room for what is added to it
            patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
        else:
            patch.setattr(Path, "write_bytes", full)
        assert call("export", run, monkeypatch=patch) == 2
    told = capsys.readouterr().err
    assert "found no space left on the device. Free some space" in told
    assert "Traceback" not in told
    assert not (run / "export").exists()
    left = run / ".export.unfinished"
    assert not list(left.glob("**/*.nc" if what == "netCDF" else "**/*.tif"))
    assert call("export", run, monkeypatch=monkeypatch) == 0
    whole = pipeline.export(run, tmp_path / "whole")
    names = [out / "CHECKSUMS.sha256" for out in (run / "export", whole)]
    assert names[0].read_text() == names[1].read_text()


def test_what_was_left_of_another_product_is_not_taken_up(run, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("vadose.publish.write_papers", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pipeline.export(run)
    write_cube(product(2), run / "product.zarr", overwrite=True)
    state = json.loads((run / "state.json").read_text())
    state["stages"]["downscale"] = 2.0
    (run / "state.json").write_text(json.dumps(state))
    out = pipeline.export(run)
    found = open_cube(out / "product.zarr")["soil_moisture"].values
    np.testing.assert_array_equal(found, product(2)["soil_moisture"].values)


def test_the_same_run_gives_the_same_bytes(run, tmp_path) -> None:
    # chunks of several blocks, and processes with other threads, hashes and times
    days = np.arange("2019-04-29", "2019-05-02", dtype="M8[D]").astype("M8[ns]")
    grid = latlon(0.25, (0.0, 40.0, 20.0, 50.0))
    wet = np.random.default_rng(5).uniform(0.1, 0.4, (3, 40, 80)).astype("f4")
    layer = (("time", "y", "x"), wet, variable("soil_moisture").attributes())
    names = ("soil_moisture", "soil_moisture_lower", "soil_moisture_upper")
    cube = xr.Dataset(dict.fromkeys(names, layer), coords={"time": days, **coordinates(grid)})
    write_cube(cube.chunk(time=1, y=10, x=16), run / "product.zarr", overwrite=True)
    sums = []
    for name, threads in (("one", "1"), ("two", "4")):
        code = "import sys; from vadose import pipeline; pipeline.export(*sys.argv[1:])"
        words = [sys.executable, "-c", code, str(run), str(tmp_path / name)]
        own = {"PYTHONHASHSEED": threads, "DASK_NUM_WORKERS": threads, "GDAL_NUM_THREADS": threads}
        subprocess.run(words, env={**os.environ, **own}, check=True, capture_output=True)
        sums.append((tmp_path / name / "CHECKSUMS.sha256").read_text())
    assert sum(line.endswith(".nc") for line in sums[0].splitlines()) == 2
    assert sums[0] == sums[1]


def test_an_earlier_export_stays_unless_told(run) -> None:
    out = pipeline.export(run)
    (out / "mark").touch()
    with pytest.raises(FileProblem, match=r"found an earlier export.*--overwrite"):
        pipeline.export(run)
    pipeline.export(run, overwrite=True)
    assert not (out / "mark").exists()


def test_other_files_are_never_replaced(run, tmp_path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").touch()
    with pytest.raises(FileProblem, match="found other files, expected an export or nothing"):
        pipeline.export(run, tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine/thesis.txt").exists()


def test_a_folder_without_a_product(run, tmp_path) -> None:
    (run / "product.zarr").rename(run / "elsewhere.zarr")
    with pytest.raises(RunProblem, match=r"found no product.*vadose downscale"):
        pipeline.export(run)
    with pytest.raises(RunProblem, match=r"no state\.json"):
        pipeline.export(tmp_path)


def test_a_fault_is_one_line_and_exit_code_2(run, tmp_path, monkeypatch, capsys) -> None:
    assert call("export", tmp_path, monkeypatch=monkeypatch) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("Error: ")
    assert told.err.count("\n") == 1


def test_the_corrected_product_stands_beside_the_product(run) -> None:
    write_cube(product(3), run / "product_corrected.zarr")
    out = pipeline.export(run)
    assert not (out / "product_corrected.zarr").exists()  # left by an earlier state of the run
    state = json.loads((run / "state.json").read_text())
    state["stages"]["correct"] = 1.0
    (run / "state.json").write_text(json.dumps(state))
    out = pipeline.export(run, overwrite=True)
    item = json.loads(next(out.glob("days/2019-04-29/*.json")).read_text())
    assert set(item["assets"]) == {
        "soil_moisture",
        "origin",
        "soil_moisture_corrected",
        "origin_corrected",
    }
    second = open_cube(out / "product_corrected.zarr")["soil_moisture"].values
    np.testing.assert_array_equal(second, product(3)["soil_moisture"].values)
