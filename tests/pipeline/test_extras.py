"""Where an optional library is missing, one line says what to install, before anything is begun."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vadose.cli import main
from vadose.config import DEMO_RECIPE
from vadose.errors import MissingExtra
from vadose.pipeline.fetching import fetch_recipe

COMMANDS = [
    ("export RUN", "pystac", "publish"),
    ("export RUN --check", "pystac", "publish"),
    ("report RUN", "jinja2", "report"),
    ("report RUN --date 2015-01-01", "matplotlib", "report"),
    ("explain RUN", "matplotlib", "report"),
    ("run RECIPE --out RUN", "jinja2", "report"),
    ("demo --out RUN", "matplotlib", "report"),
]


@pytest.mark.parametrize(("words", "library", "extra"), COMMANDS)
def test_a_command_names_the_extra_that_it_lacks(
    words: str,
    library: str,
    extra: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    words = words.replace("RECIPE", str(DEMO_RECIPE)).replace("RUN", str(run))
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(sys, "argv", ["vadose", *words.split()])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == (
        f"Error: {library}: found no such library. Install it with: pip install 'vadose[{extra}]'\n"
    )
    assert not run.exists()


def test_downloads_need_the_extra_of_access(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(MissingExtra, match=r"pip install 'vadose\[access\]'"):
        fetch_recipe([])
