"""The section on correction with stations: what was found, what came of it, and nothing where there is none."""

from __future__ import annotations

import json

import pytest

from vadose.errors import FileProblem, RunProblem
from vadose.report.correction import correction_remark, tell_correction
from vadose.report.html import write_report
from vadose.report.runs import read_run

SUMMARY = {
    "how": "departure_kriging",
    "hold": "each station",
    "method": "residual_forest_closed",
    "before": 0.06,
    "after": 0.052,
    "lower": -0.012,
    "upper": -0.003,
    "n": 1200,
    "blocks": 20,
    "level": 0.95,
    "helps": True,
    "verdict": "Correction helps at stations it has not seen: RMSE .0600 before, .0520 after.",
    "is_applied": True,
    "representativeness": 0.02,
    "notes": ["range 12 km"],
    "lost": 3,
}


@pytest.fixture
def corrected(build_run, tmp_path):
    """Give a run that was corrected, with some words of the summary changed."""

    def build(**changed):
        run = build_run(tmp_path / "run", "utm")
        (run / "correction").mkdir()
        text = json.dumps({**SUMMARY, **changed})
        (run / "correction/summary.json").write_text(text)
        rows = "station,before,after\na,0.06,0.05\nb,0.05,0.06\nc,0.07,0.05\n"
        (run / "correction/stations.csv").write_text(rows)
        return run

    return build


def test_errors_stand_with_their_interval(corrected):
    run = corrected()
    facts = dict(tell_correction(read_run(run)).facts)
    assert (facts["RMSE before"], facts["RMSE after"]) == ("0.0600", "0.0520")
    assert facts["After minus before, 95 % interval"] == "−0.0080 (−0.0120 to −0.0030)"
    assert facts["Corrected"] == "Residual forest closed"
    assert facts["By"] == "departure kriging"
    assert facts["Held out"] == "each station; learned anew for every fold, without what is judged"
    assert facts["Judged by"] == "1\u2009200 pairs in 20 stations"
    assert facts["Stations with a smaller error after"] == "2 of 3"
    assert facts["Could not be judged"] == "3 readings without all that is needed"


def test_the_section_stands_behind_the_scores_and_its_words_stay_words(corrected, told_only):
    hostile = "<script>alert(1)</script>"
    run = corrected(how=hostile, notes=["range 12 km", hostile])
    page = write_report(run, with_files=False).read_text(encoding="utf-8")
    assert hostile not in page
    assert "&lt;script&gt;" in page
    assert page.index('id="scores"') < page.index('id="correction"') < page.index('id="closure"')
    assert page.count(SUMMARY["verdict"]) == 2, "at the head, and in its section"
    assert "range 12 km" in page
    assert "about 0.02 m³ m⁻³" in page


@pytest.mark.parametrize(
    ("changed", "outcome", "tone"),
    [
        ({}, "The corrected product stands beside the product", "better"),
        ({"is_applied": False}, "It was not applied, as the recipe asks.", "better"),
        (
            {"helps": False, "upper": 0.004, "is_applied": False},
            "The product is left as it was made.",
            "",
        ),
        ({"helps": False, "upper": 0.004}, "It was applied all the same, as the recipe asks", ""),
        (
            {"helps": False, "lower": 0.001, "upper": 0.004, "is_applied": False},
            "The product is left as it was made.",
            "worse",
        ),
        (
            {"helps": False, "lower": None, "upper": None, "is_applied": False},
            "The product is left as it was made.",
            "",
        ),
    ],
)
def test_what_came_of_it_is_told(corrected, changed, outcome, tone):
    told = tell_correction(read_run(corrected(**changed)))
    assert told.outcome.startswith(outcome)
    assert told.tone == tone
    assert correction_remark(told)[0].startswith(told.verdict)


def test_periods_that_were_held_out_are_counted_as_such(corrected):
    facts = dict(tell_correction(read_run(corrected(hold="periods of 60 days", n=90))).facts)
    assert facts["Judged by"] == "90 pairs in 20 periods"


def test_a_run_without_correction_has_no_section(globe):
    assert tell_correction(read_run(globe)) is None
    assert correction_remark(None) == ()


def test_files_of_another_kind_are_told(corrected):
    run = corrected(before="much")
    with pytest.raises(RunProblem, match=r"correction/summary.json: .* at before"):
        tell_correction(read_run(run))
    (run / "correction/summary.json").write_text(json.dumps(SUMMARY))
    (run / "correction/stations.csv").write_text("station,sooner\na,1\n")
    with pytest.raises(FileProblem, match=r"expected columns before and after"):
        tell_correction(read_run(run))
