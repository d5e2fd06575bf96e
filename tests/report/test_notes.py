"""Notes of the recipe stand at the scores, whatever they speak of, and in short under the headline."""

import yaml

from vadose.report.html import write_report
from vadose.report.notes import other_warnings, place_warnings, placed_notes, recipe_notes
from vadose.report.runs import read_run

from .conftest import make_run

NOTE = "January soil is often frozen. The terrain layers resolve one kilometre."


def noted(folder):
    run = make_run(folder, warnings=[NOTE, "The disk is slow."])
    recipe = yaml.safe_load((run / "recipe.yaml").read_text()) or {}
    (run / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "notes": [NOTE]}))
    return run


def test_the_recipes_notes_stand_at_the_scores(tmp_path):
    run = read_run(noted(tmp_path / "run"))
    assert recipe_notes(run) == [NOTE]
    assert other_warnings(run) == ["The disk is slow."]
    assert placed_notes(run) == {"scores": [NOTE], "provenance": ["The disk is slow."]}
    assert place_warnings([NOTE]) == {"provenance": [NOTE]}


def test_they_stand_in_short_under_the_headline(tmp_path):
    page = write_report(noted(tmp_path / "run"), with_files=False).read_text(encoding="utf-8")
    head = page[: page.index("<main>")]
    assert "January soil is often frozen." in head
    assert "one kilometre" not in head
    scores = page[page.index('<section id="scores">') : page.index('<section id="closure">')]
    assert NOTE in scores
