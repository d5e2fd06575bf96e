"""The page of an explanation, from a small one made by hand."""

from __future__ import annotations

import json
import re

import pytest

from vadose.errors import FileProblem, RunProblem
from vadose.report.explanation import change_rows, outside_rows, read_explanation, write_explanation
from vadose.report.explanation_charts import words

HOSTILE = "<script>alert('x')</script> {{ 7 * 7 }}"
GROUPS = {"sand": ["sand:value", "sand:departure"], "lst + ndvi": ["lst:value", "ndvi:value"]}
SCALES = ("36\N{NO-BREAK SPACE}km", "1\N{NO-BREAK SPACE}km")


def made(**changes):
    """Sand matters little where the model learned and much where it is used; no blocks for the rest."""
    totals = {("sand", 0): 0.1, ("sand", 1): 0.6, ("lst + ndvi", 0): 0.9, ("lst + ndvi", 1): 0.5}
    answers = {"sand": "does not hold", "lst + ndvi": "cannot be told"}
    return {
        "title": "A small world",
        "method": "forest",
        "method_title": "Random forest",
        "model": "random_forest",
        "target": "soil_moisture",
        "unit": "m3 m-3",
        "seed": 7,
        "samples": 100,
        "vadose": "0.1.0",
        "together": 0.7,
        "tolerance": 0.1,
        "groups": GROUPS,
        "scales": [
            {"name": name, "role": role, "samples": 100, "blocks": 9, "spread": 0.05}
            for name, role in zip(SCALES, ("learned", "used"), strict=True)
        ],
        "importances": [
            {"measure": measure, "scale": SCALES[0], "group": group, "value": 0.02}
            for measure in ("permutation", "impurity")
            for group in GROUPS
        ],
        "skill": [
            {
                "scale": SCALES[0],
                "where": "held-out blocks",
                "samples": 90,
                "rmse": 0.04,
                "spread": 0.1,
            }
        ],
        "sensitivity": [
            {
                "scale": SCALES[place],
                "group": group,
                "first": None,
                "total": total,
                "total_lower": None,
                "total_upper": None,
            }
            for (group, place), total in totals.items()
        ],
        "comparisons": [
            {
                "learned": SCALES[0],
                "used": SCALES[1],
                "rank_correlation": None,
                "largest": "sand",
                "verdict": "From 36 km to 1 km the relation does not hold for sand.",
                "changes": [
                    {
                        "group": group,
                        "before": totals[group, 0],
                        "after": totals[group, 1],
                        "lower": 0.3 if group == "sand" else None,
                        "upper": 0.6 if group == "sand" else None,
                        "answer": answers[group],
                    }
                    for group in GROUPS
                ],
            }
        ],
        "outside": [
            {"scale": SCALES[1], "feature": feature, "share": share}
            for feature, share in (("sand:value", 0.001), ("ndvi:value", 0.25), ("lst:value", 0.03))
        ],
        "effects": [
            {
                "scale": SCALES[0],
                "feature": "sand:value",
                "method": method,
                "value": [0.0, 1.0, 50.0],
                "effect": [-0.01, 0.0, 0.02],
                "count": [1, 60, 39],
            }
            for method in ("ale", "partial_dependence")
        ],
        "notes": [],
        **changes,
    }


@pytest.fixture
def save(tmp_path):
    def write(**changes):
        (tmp_path / "explanation").mkdir(exist_ok=True)
        path = tmp_path / "explanation" / "explanation.json"
        path.write_text(json.dumps(made(**changes)), encoding="utf-8")
        return tmp_path

    return write


def test_the_page_tells_the_verdict_and_loads_nothing(save):
    run = save(title=HOSTILE, notes=[HOSTILE])
    page = write_explanation(run).read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3
    assert "From 36 km to 1 km the relation does not hold for sand." in page
    assert 'class="verdict bad"' in page
    assert "<script" not in page
    assert "{{ 7 * 7 }}" in page
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "Content-Security-Policy" in page


def test_without_curves_there_is_no_such_section(save):
    page = write_explanation(save(effects=[])).read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 2
    assert "How it responds" not in page


def test_groups_stand_by_size_with_their_answer(save):
    rows = dict(change_rows(read_explanation(save())))
    assert list(rows) == ["lst + ndvi", "sand"]
    assert [cell.text for cell in rows["sand"]] == [
        "0.10",
        "0.60",
        "+0.50",
        "0.30 to 0.60",
        "does not hold",
    ]
    assert rows["lst + ndvi"][3].text == "– to –"


def test_only_what_is_clearly_outside_is_named(save):
    assert outside_rows(read_explanation(save())) == [
        ("ndvi: value", ["25.0 %"]),
        ("lst: value", ["3.0 %"]),
    ]
    page = write_explanation(save(outside=[])).read_text(encoding="utf-8")
    assert "Hardly any" in page


def test_a_long_group_says_how_many_more():
    group = " + ".join(f"predictor_{place}" for place in range(9))
    assert words(group, 30) == "predictor 0 and 8 more"
    assert words("a$b") == r"a\$b"
    assert len(words("x" * 90, 30)) == 30


def test_what_cannot_be_read_is_named(save, tmp_path):
    with pytest.raises(FileProblem, match=r"explanation\.json: found no such file"):
        write_explanation(tmp_path / "elsewhere")
    run = save(scales="many")
    with pytest.raises(
        RunProblem, match=r"valid list at scales, expected the explanation of a run"
    ):
        write_explanation(run)
    assert not (run / "explanation.html").exists()
