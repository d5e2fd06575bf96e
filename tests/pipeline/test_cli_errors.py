"""A bad input is one clear line and exit code 2; nothing is made, and nothing heavy is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import vadose
from vadose.cli import main
from vadose.config import DEMO_RECIPE

COMMANDS = ["demo", "run", "build", "fit", "downscale", "validate", "report", "explain"]
HEAVY = {"numpy", "pandas", "xarray", "torch", "sklearn", "scipy", "matplotlib", "rasterio", "dask"}


def call(*words: str | Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Call the command line in this process and give its exit code."""
    monkeypatch.setattr(sys, "argv", ["vadose", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> object:
    """Give a function that calls, checks that nothing was made, and gives the message."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "1000")

    def check(*words: str | Path) -> str:
        before = everything(tmp_path)
        assert call(*words, monkeypatch=monkeypatch) == 2
        assert everything(tmp_path) == before
        output = capsys.readouterr()
        assert "Traceback" not in output.out + output.err
        assert output.out == ""
        assert output.err.startswith("Error: ")
        assert output.err.count("\n") == 1
        return output.err

    return check


# --- recipes ---


@pytest.mark.parametrize("command", ["run", "build"])
def test_a_missing_recipe(command: str, refused, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    text = refused(command, "nowhere.yaml", "--out", "out")
    assert "nowhere.yaml: found no such file, expected a recipe (YAML)" in text


@pytest.mark.parametrize("command", ["run", "build"])
def test_a_recipe_with_an_unknown_key(command: str, refused, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    recipe = tmp_path / "study.yaml"
    recipe.write_text(DEMO_RECIPE.read_text(encoding="utf-8").replace("publish:", "publsh:"))
    text = refused(command, recipe, "--out", tmp_path / "out")
    assert f"{recipe}: publsh: found an unknown key, expected one of also" in text
    assert text.endswith("Did you mean 'publish'?\n")


def test_a_recipe_that_is_no_text(refused, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    recipe = tmp_path / "study.yaml"
    recipe.write_bytes(b"\x89HDF\xff")
    assert "found no readable text" in refused("run", recipe, "--out", tmp_path / "out")
    assert "found no readable text" in refused("run", tmp_path, "--out", tmp_path / "out")


def test_a_recipe_of_files_that_are_not_there_leaves_a_run_to_take_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sources are looked for in the first stage; their fault is one line too."""
    recipe = tmp_path / "study.yaml"
    text = DEMO_RECIPE.read_text(encoding="utf-8")
    recipe.write_text(
        text.replace("- product: SAMPLE", "- product: GLDAS_NOAH\n      paths: [no/*.nc4]")
    )
    assert call("run", recipe, "--out", tmp_path / "out", monkeypatch=monkeypatch) == 2
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    assert "Error: " in output.err
    assert "no/*.nc4" in output.err.replace("\n", "")
    assert everything(tmp_path / "out") == [".vadose.lock", "recipe.yaml", "state.json"]


# --- folders ---


@pytest.mark.parametrize("words", [["demo"], ["run", DEMO_RECIPE], ["build", DEMO_RECIPE]])
@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_a_folder_of_something_else(
    words: list[str | Path],
    overwrite: list[str],
    refused,  # type: ignore[no-untyped-def]
    tmp_path: Path,
) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    text = refused(*words, "--out", folder, *overwrite)
    assert f"{folder}: found files that are no run, expected a new or empty folder" in text
    assert (folder / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("command", ["fit", "downscale", "validate", "report"])
def test_a_run_that_is_not_there(command: str, refused, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    words = (
        "found no state.json that can be read, expected a run folder. Start one with: vadose build"
    )
    assert words in refused(command, tmp_path / "nowhere")
    assert words in refused(command, tmp_path)


def test_stages_out_of_order(refused, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from vadose.pipeline.folder import start

    folder = tmp_path / "run"
    text = DEMO_RECIPE.read_text(encoding="utf-8")
    start(folder, text, origin=tmp_path, command="vadose build")
    for command, missing in (("fit", "build"), ("downscale", "fit"), ("report", "validate")):
        assert (
            f"found a run whose {missing} is not finished. Run first: vadose {missing}"
            in refused(command, folder)
        )


# --- words that are wrong ---


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run"], "Missing argument"),
        (["run", "study.yaml"], "Missing option"),
        (["fit"], "Missing argument"),
        (["downscle", "run"], "No such command"),
        (["demo", "--ouut", "x"], "No such option"),
    ],
)
def test_wrong_words(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(*words, monkeypatch=monkeypatch) == 2
    output = capsys.readouterr()
    assert told in output.err
    assert "Traceback" not in output.err
    assert everything(tmp_path) == []


def test_an_interrupt_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import vadose.pipeline

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(vadose.pipeline, "fit", stop)
    assert call("fit", tmp_path, monkeypatch=monkeypatch) == 130
    assert "Stopped. Run the same command again to go on." in capsys.readouterr().err


# --- help and version ---


def test_help_lists_the_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--help", monkeypatch=monkeypatch) == 0
    output = capsys.readouterr().out
    assert [command for command in COMMANDS if command not in output] == []
    for command in COMMANDS:
        assert call(command, "--help", monkeypatch=monkeypatch) == 0
        assert "Usage" in capsys.readouterr().out


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out.strip() == vadose.__version__


# --- a fresh interpreter ---


def python(code: str, *, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "COLUMNS": "1000"},
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "code",
    [
        "import vadose",
        "import vadose.cli",
        "import vadose.cli\nsys.argv = ['vadose', '--help']\ntry: vadose.cli.main()\nexcept SystemExit: pass",
        "import vadose.cli\nsys.argv = ['vadose', 'run', '--help']\ntry: vadose.cli.main()\nexcept SystemExit: pass",
        "import vadose.cli\nsys.argv = ['vadose', '--version']\ntry: vadose.cli.main()\nexcept SystemExit: pass",
    ],
    ids=["package", "command line", "help", "help of a command", "version"],
)
def test_nothing_heavy_is_loaded(code: str, tmp_path: Path) -> None:
    told = f"import sys\n{code}\nprint('LOADED', *{sorted(HEAVY)} & sys.modules.keys(), file=sys.stderr)"
    told = told.replace(f"*{sorted(HEAVY)} &", f"*set({sorted(HEAVY)}) &")
    done = python(told, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1].split() == ["LOADED"]


def test_the_same_from_a_shell(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vadose.cli", "run", "nowhere.yaml", "--out", "out"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "Error: nowhere.yaml: found no such file, expected a recipe (YAML).\n"
    assert everything(tmp_path) == []
