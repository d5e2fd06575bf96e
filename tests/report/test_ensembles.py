"""The section on methods that draw fields: CRPS against one value, coverage, and who wins on RMSE."""

from __future__ import annotations

import json

import pytest

from vadose.errors import RunProblem
from vadose.report.ensembles import tell_ensembles
from vadose.report.html import write_report
from vadose.report.runs import read_run

DRAWN = {
    "crps": 0.016,
    "rmse": 0.0301,
    "spread_skill": 0.93,
    "coverage": {"0.9": 0.88, "0.5": 0.47},
    "best_single": "smooth",
    "mae_best_single": 0.02,
}


@pytest.fixture
def drawn(build_run, tmp_path):
    """Give a run of which `forest` draws fields, with some of its scores changed."""

    def build(**changed):
        run = build_run(tmp_path / "run", "utm")
        (run / "validation").mkdir(exist_ok=True)
        summary = {"ensembles": {"forest": {**DRAWN, **changed}}, "maps": {}}
        (run / "validation/summary.json").write_text(json.dumps(summary))
        return run

    return build


def remarks(run) -> str:
    (row,) = tell_ensembles(read_run(run)).rows
    return " ".join(row.remarks)


def test_the_table_holds_the_scores(drawn, told_only):
    run = drawn()
    told = tell_ensembles(read_run(run))
    assert told.heads[-2:] == ("inside 50 %", "inside 90 %")
    (row,) = told.rows
    assert row.title == "Forest"
    texts = [cell.text for cell in row.cells]
    assert texts == ["0.0160", "0.0200", "0.0301", "0.93", "47 %", "88 %"]
    assert row.cells[1].note == "Smooth"
    page = write_report(run, with_files=False).read_text(encoding="utf-8")
    assert 'id="ensembles"' in page
    assert "continuous ranked probability score" in page


def test_crps_is_held_against_one_value(drawn):
    assert "Its CRPS is 20 % below the least mean absolute error" in remarks(drawn())
    told = tell_ensembles(read_run(drawn(crps=0.016)))
    assert told.rows[0].cells[0].tone == "better"


def test_members_that_say_no_more_than_one_value(drawn):
    run = drawn(crps=0.021)
    assert "no smaller than the mean absolute error of “Smooth”" in remarks(run)
    assert tell_ensembles(read_run(run)).rows[0].cells[0].tone == "worse"


def test_intervals_that_do_not_hold_are_told(drawn):
    assert "intervals are" not in remarks(drawn())
    told = remarks(drawn(coverage={"0.9": 0.7, "0.5": 0.8}))
    assert "Its 90 % intervals are too narrow: they hold 70 % of the values." in told
    assert "Its 50 % intervals are too wide: they hold 80 % of the values." in told


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (2.0, "On RMSE one value wins: “Residual forest closed” has"),
        (0.5, "On RMSE its mean wins too:"),
        (1.001, "are level:"),
    ],
)
def test_who_wins_on_rmse_is_told(drawn, factor, words):
    best = drawn()
    scores = json.loads((best / "scores.json").read_text())
    rmse = scores["methods"]["residual_forest_closed"]["pooled"]["rmse"] * factor
    scores["methods"]["forest"]["pooled"]["rmse"] = rmse
    (best / "scores.json").write_text(json.dumps(scores))
    assert words in remarks(best)


def test_scores_that_are_not_there_leave_no_words(drawn):
    run = drawn(crps=None, coverage={}, rmse=None)
    assert "CRPS" not in remarks(run)
    assert "intervals" not in remarks(run)


def test_runs_that_draw_nothing_have_no_section(globe):
    assert tell_ensembles(read_run(globe)) is None


def test_a_summary_of_another_kind_is_told(drawn):
    run = drawn()
    (run / "validation/summary.json").write_text(json.dumps({"ensembles": [1]}))
    with pytest.raises(RunProblem, match=r"validation/summary.json: .* at ensembles"):
        tell_ensembles(read_run(run))
    (run / "validation/summary.json").write_text(json.dumps({"maps": {}}))
    assert tell_ensembles(read_run(run)) is None
