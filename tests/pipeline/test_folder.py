"""A run folder is never lost: taken up, refused or set aside, and whole at any moment."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

import vadose
from vadose.config import DEMO_RECIPE
from vadose.errors import FileProblem, RunProblem
from vadose.pipeline import finished
from vadose.pipeline.folder import STAGES, RunFolder, drop_previous, manifest, start
from vadose.pipeline.parts import learned_parts

RECIPE = DEMO_RECIPE.read_text(encoding="utf-8")


def begin(out: Path, *, text: str = RECIPE, overwrite: bool = False) -> RunFolder:
    return start(out, text, origin=out.parent, command="vadose run it", overwrite=overwrite)


def run_through(folder: RunFolder, *stages: str) -> RunFolder:
    for stage in stages:
        with folder.stage(stage):
            (folder / f"{stage}.txt").write_text(stage)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Give every file below a folder, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


# --- a new run ---


@pytest.mark.parametrize("is_there", [False, True])
def test_begins_in_a_new_or_empty_folder(out: Path, is_there: bool) -> None:
    if is_there:
        out.mkdir()
    folder = begin(out)
    assert folder.path == out
    assert (out / "recipe.yaml").read_text(encoding="utf-8") == RECIPE
    assert folder.recipe.target == "soil_moisture"
    state = folder.state
    assert state["stages"] == {}
    assert state["command"] == "vadose run it"
    assert state["vadose"] == vadose.__version__
    assert Path(state["origin"]) == out.parent.resolve()
    assert sorted(content(out)) == ["recipe.yaml", "state.json"]


def test_makes_the_folders_above(tmp_path: Path) -> None:
    assert begin(tmp_path / "a" / "b" / "run").state["stages"] == {}


# --- a folder that is taken ---


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["thesis.tex", "recipe.yaml", ".hidden"])
def test_a_folder_of_something_else_is_refused_and_untouched(
    out: Path, name: str, overwrite: bool
) -> None:
    out.mkdir()
    (out / name).write_text("years of work")
    before = content(out.parent)
    words = "found files that are no run, expected a new or empty folder. Choose another name; noth"
    with pytest.raises(RunProblem, match=words):
        begin(out, overwrite=overwrite)
    assert content(out.parent) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_in_its_place_is_refused_and_untouched(out: Path, overwrite: bool) -> None:
    out.write_text("a file")
    with pytest.raises(RunProblem, match="found files that are no run"):
        begin(out, overwrite=overwrite)
    assert out.read_text() == "a file"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"stages": {}}', "3"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_a_foreign_state_is_refused_and_untouched(
    out: Path, text: str, overwrite: bool
) -> None:
    """Other tools write a state.json too."""
    out.mkdir()
    (out / "state.json").write_text(text)
    before = content(out)
    with pytest.raises(RunProblem, match=r"found no state.json that can be read"):
        begin(out, overwrite=overwrite)
    assert content(out) == before


def test_a_finished_run_is_refused_and_untouched(out: Path) -> None:
    run_through(begin(out), *STAGES)
    before = content(out)
    words = "found a finished run. Choose another folder, or say --overwrite"
    with pytest.raises(RunProblem, match=words):
        begin(out)
    with pytest.raises(RunProblem, match=words):
        begin(out, text=RECIPE + "\n# changed\n")
    assert content(out) == before


def test_an_unfinished_run_of_the_same_recipe_is_taken_up(out: Path) -> None:
    run_through(begin(out), "build", "fit")
    before = content(out)
    again = begin(out)
    assert content(out) == before
    assert [stage for stage in STAGES if again.is_done(stage)] == ["build", "fit"]
    assert finished(out) == ["build", "fit"]


def test_an_unfinished_run_of_another_recipe_is_refused_and_untouched(out: Path) -> None:
    run_through(begin(out), "build")
    before = content(out)
    words = "found an unfinished run of another recipe. Choose another folder, or say --overwrite"
    with pytest.raises(RunProblem, match=words):
        begin(out, text=RECIPE.replace("seed: 2015", "seed: 1"))
    assert content(out) == before


def test_a_run_in_which_nothing_is_finished_gives_way_to_a_recipe_put_right(out: Path) -> None:
    begin(out)
    folder = begin(out, text=RECIPE.replace("seed: 2015", "seed: 1"))
    assert folder.recipe.seed == 1
    assert list(out.parent.iterdir()) == [out]


def test_an_unfinished_run_of_another_version_is_refused(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_through(begin(out), "build")
    monkeypatch.setattr(vadose, "__version__", "99.0")
    with pytest.raises(RunProblem, match="found an unfinished run of another version of vadose"):
        begin(out)


# --- overwriting ---


def test_overwriting_sets_the_old_run_aside_until_it_is_dropped(out: Path) -> None:
    run_through(begin(out), *STAGES)
    before = content(out)
    folder = begin(out, text=RECIPE + "\n# new\n", overwrite=True)
    assert folder.state["stages"] == {}
    assert (out / "recipe.yaml").read_text(encoding="utf-8").endswith("# new\n")
    (old,) = (path for path in out.parent.iterdir() if path != out)
    assert old.name.startswith(".run.previous-")
    assert content(old) == before
    drop_previous(out)
    assert list(out.parent.iterdir()) == [out]


def test_overwriting_begins_anew_also_from_an_unfinished_run(out: Path) -> None:
    run_through(begin(out), "build")
    assert begin(out, overwrite=True).state["stages"] == {}
    assert not (out / "build.txt").exists()
    begin(out, overwrite=True)
    assert len(list(out.parent.glob(".run.previous-*"))) == 2
    drop_previous(out)
    assert list(out.parent.iterdir()) == [out]


def test_overwriting_nothing_is_a_new_run(out: Path) -> None:
    assert begin(out, overwrite=True).state["stages"] == {}
    assert list(out.parent.iterdir()) == [out]


def test_only_runs_of_the_same_name_are_dropped(out: Path) -> None:
    begin(out)
    others = [
        out.parent / name for name in (".run2.previous-1", ".run.previous-x", "run.previous-1")
    ]
    for other in others:
        other.mkdir()
        (other / "notes.txt").write_text("mine")
    (others[0] / "state.json").write_text("{}")
    drop_previous(out)
    assert all((other / "notes.txt").exists() for other in others)


def test_the_folder_one_stands_in_is_not_overwritten(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out.mkdir()
    monkeypatch.chdir(out)
    run_through(begin(Path()), "build")
    before = content(out)
    with pytest.raises(RunProblem, match="found the folder that you are in"):
        begin(Path(), overwrite=True)
    assert content(out) == before


# --- places that cannot be written to ---


def test_a_place_where_one_may_not_write_is_told(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    words = r"run: found a folder that cannot be made \(Permission denied\). Choose a place where"
    with pytest.raises(FileProblem, match=words):
        begin(out)
    assert not out.exists()


def test_a_place_below_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileProblem, match="found a folder that cannot be made"):
        begin(tmp_path / "file" / "run")


def test_a_place_that_cannot_be_looked_at_is_told(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    out.mkdir()
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(
        FileProblem, match=r"found no access \(Permission denied\), expected a folder"
    ):
        begin(out)


def test_an_old_run_that_cannot_be_moved_is_told_and_untouched(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_through(begin(out), *STAGES)
    before = content(out)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(FileProblem, match="found a folder that cannot be moved"):
        begin(out, overwrite=True)
    assert content(out) == before


# --- stages ---


def test_a_stage_is_finished_when_its_block_ends_well(out: Path) -> None:
    folder = begin(out)
    assert not folder.is_done("build")
    with folder.stage("build"):
        assert not folder.is_done("build")
    assert folder.is_done("build")
    assert folder.state["stages"]["build"] >= 0
    with pytest.raises(KeyboardInterrupt), folder.stage("fit"):
        raise KeyboardInterrupt
    assert not folder.is_done("fit")
    assert folder.is_done("build")


def test_a_stage_that_is_done_again_undoes_those_after_it(out: Path) -> None:
    folder = run_through(begin(out), *STAGES)
    with pytest.raises(OSError, match="stopped"), folder.stage("fit"):
        raise OSError("stopped")
    assert finished(out) == ["build", "fuse"]
    run_through(folder, "fit")
    assert finished(out) == ["build", "fuse", "fit"]


def test_a_stage_needs_the_one_before(out: Path) -> None:
    folder = begin(out)
    with pytest.raises(
        RunProblem, match=r"run: found a run whose build is not finished\. Run first: "
    ):
        folder.need("build")
    run_through(folder, "build")
    folder.need("build")
    with pytest.raises(RunProblem, match=f"whose fit is not finished. Run first: vadose fit {out}"):
        folder.need("fit")


def test_state_is_written_whole_or_not_at_all(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run_through(begin(out), "build")
    before = content(out)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(FileProblem), folder.stage("fit"):
        pass
    monkeypatch.undo()
    assert content(out) == before


def test_there_is_no_run_where_there_is_none(tmp_path: Path) -> None:
    assert finished(tmp_path) == []
    assert finished(tmp_path / "nowhere") == []
    with pytest.raises(RunProblem, match=r"expected a run folder\. Start one with: vadose build"):
        RunFolder(tmp_path).need("build")


# --- what a run says of itself ---


def test_manifest_names_versions_seed_and_inputs(out: Path) -> None:
    folder = run_through(begin(out), "build", "fit")
    inputs = [{"name": "a.nc", "sha256": "0", "licence": "CC0", "citation": "A"}]
    told = json.loads(json.dumps(manifest(folder, inputs)))
    recipe = folder.recipe
    assert (told["title"], told["seed"], told["target"]) == (
        recipe.title,
        recipe.seed,
        recipe.target,
    )
    assert told["method"] == recipe.publish
    assert told["inputs"] == inputs
    assert told["warnings"] == recipe.notes
    assert told["vadose"] == vadose.__version__
    assert set(told["stages"]) == {"build", "fit"}
    assert told["seconds"] == pytest.approx(sum(told["stages"].values()), abs=0.1)
    assert {"numpy", "scikit-learn", "xarray"} <= set(told["libraries"])
    assert "not installed" not in told["libraries"].values()


def test_parts_of_a_method_are_found_below_its_wrappers(out: Path) -> None:
    recipe = begin(out).recipe
    learned = {name for name, method in recipe.methods.items() if method.model is not None}
    for name, method in recipe.methods.items():
        parts = learned_parts(recipe, name)
        assert set(parts) <= learned
        assert (name in parts) == (method.model is not None)
        if not method.of and method.model is None:
            assert parts == []
