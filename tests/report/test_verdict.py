import pytest

from vadose.report.runs import Gain, Method, Metrics, Scores
from vadose.report.tables import score_order, score_rows
from vadose.report.verdict import judge


def scores(rmse, **others):
    """Give scores with baselines at 0.0265 and 0.0260 and a method under judgement."""
    values = {"nearest": 0.0265, "smooth": 0.0260, "mine": rmse, **others}
    methods = {
        name: Method(
            title=name.title(),
            is_baseline=name in ("nearest", "smooth"),
            pooled=Metrics(rmse=value, r=0.9, bias=-0.001),
            within_cell=Metrics(r=None if name == "nearest" else 0.4),
            gain_over_nearest=Gain(rmse=0.0265 - value),
            gain_over_smooth=Gain(rmse=0.0260 - value),
        )
        for name, value in values.items()
    }
    best = min(values, key=values.__getitem__)
    return Scores(unit="m3 m-3", n=1000, best=best, methods=methods)


@pytest.mark.parametrize(
    ("rmse", "tone", "words"),
    [
        (0.0233, "good", "lowers the RMSE from 0.0265"),
        (0.0233, "good", "to 0.0233 m³ m⁻³, by 12 %"),
        (0.0261, "mixed", "but smooth interpolation, which needs no predictors, reaches 0.0260"),
        (0.0265, "mixed", "makes no difference to the RMSE"),
        (0.0300, "bad", "worse than doing nothing: its RMSE is 0.0300 m³ m⁻³"),
    ],
)
def test_the_verdict_says_what_the_numbers_say(rmse, tone, words):
    verdict = judge(scores(rmse), "mine")
    assert words in verdict.sentence
    assert verdict.tone == tone
    assert "r = 0.40 (smooth interpolation: 0.40)" in verdict.sentence


def test_a_better_method_than_the_published_one_is_named():
    remarks = " ".join(judge(scores(0.025, other=0.020), "mine").remarks)
    assert "not the one published but “Other” (RMSE 0.0200)" in remarks


def test_methods_that_do_harm_are_named():
    remarks = " ".join(judge(scores(0.025, other=0.030), "mine").remarks)
    assert "1 is worse than doing nothing: “Other”" in remarks


def test_without_a_baseline_nothing_is_claimed():
    alone = scores(0.02)
    alone = alone.model_copy(update={"methods": {"mine": alone.methods["mine"]}})
    assert "nobody can say" in judge(alone, "mine").sentence


def test_a_published_baseline_is_called_so():
    assert "copied to every fine cell" in judge(scores(0.03), "nearest").sentence


def test_bad_methods_stay_in_the_table_below_the_good():
    table = scores(0.03, other=0.02)
    assert score_order(table) == ["nearest", "smooth", "other", "mine"]
    rows = {row.name: row for row in score_rows(table, "mine")}
    assert rows["mine"].remark == "worse than doing nothing"
    assert rows["mine"].cells[1].text == "−0.0035"
    assert rows["mine"].cells[1].tone == "worse"
    assert rows["other"].cells[1].tone == "better"
    assert rows["other"].cells[0].is_best
    assert rows["nearest"].cells[6].text == "–"
