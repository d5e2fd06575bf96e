import pytest

from vadose.report.runs import Bounds, Gain, Method, Metrics, Scores
from vadose.report.standing import standings
from vadose.report.tables import score_order, score_rows, signed
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


def judged(table):
    return judge(table, "mine", standings(table))


@pytest.mark.parametrize(
    ("rmse", "tone", "words"),
    [
        (0.0233, "good", "is better than doing nothing: its RMSE is 0.0233 m³ m⁻³"),
        (0.0233, "good", "12\xa0% lower than the 0.0265 of the coarse value copied"),
        (0.0261, "mixed", "but smooth interpolation, which needs no predictors, reaches 0.0260"),
        (0.0265, "mixed", "is not shown to differ from doing nothing"),
        (0.0300, "bad", "worse than doing nothing: its RMSE is 0.0300 m³ m⁻³"),
    ],
)
def test_the_verdict_says_what_the_numbers_say(rmse, tone, words):
    verdict = judged(scores(rmse))
    assert words in verdict.sentence
    assert verdict.tone == tone
    assert "r = 0.40 (smooth interpolation: 0.40)" in verdict.sentence
    assert "its scores have no interval" in " ".join(verdict.remarks)


def with_interval(rmse, *, over_nearest, over_smooth=(0.001, 0.002)):
    """Give scores whose method has intervals of its gains."""
    table = scores(rmse)
    gains = {
        f"gain_over_{base}": Gain(rmse=sum(ends) / 2, rmse_lower=ends[0], rmse_upper=ends[1])
        for base, ends in (("nearest", over_nearest), ("smooth", over_smooth))
    }
    mine = table.methods["mine"].model_copy(update=gains)
    return table.model_copy(update={"methods": {**table.methods, "mine": mine}})


@pytest.mark.parametrize(
    ("ends", "tone", "words", "tag"),
    [
        ((0.0019, 0.0028), "good", "is better than doing nothing", ""),
        ((-0.0001, 0.0028), "mixed", "is not shown to differ from", "not shown to differ"),
        ((-0.0028, -0.0019), "bad", "is worse than doing nothing", "worse than doing nothing"),
    ],
)
def test_headline_and_table_follow_the_interval(ends, tone, words, tag):
    table = with_interval(0.0240, over_nearest=ends)
    verdict = judged(table)
    assert words in verdict.sentence
    assert f"95 % interval {signed(ends[0])} to {signed(ends[1])}" in verdict.sentence
    assert verdict.tone == tone
    row = {row.name: row for row in score_rows(table, "mine", standings(table))}["mine"]
    assert tag in row.remark
    assert bool(row.remark) == bool(tag)
    assert row.cells[1].tone == {"good": "better", "bad": "worse"}.get(tone, "")


def test_a_method_that_smooth_interpolation_may_equal_is_not_praised():
    verdict = judged(
        with_interval(0.0240, over_nearest=(0.001, 0.002), over_smooth=(-0.001, 0.002))
    )
    assert "not shown to differ from smooth interpolation" in verdict.sentence
    assert verdict.tone == "mixed"


@pytest.mark.parametrize(
    ("ends", "tone", "words"),
    [
        ((-0.0043, -0.00003), "bad", "is worse than doing nothing"),
        ((-0.0030, 0.0003), "mixed", "is not shown to differ from doing nothing"),
        ((0.0010, 0.0030), "good", "is better than doing nothing"),
    ],
)
def test_at_stations_the_paired_gains_decide_not_the_pooled_error(ends, tone, words):
    told = {"ubrmse": Bounds(median=sum(ends) / 2, lower=ends[0], upper=ends[1])}
    table = scores(0.0268)
    mine = table.methods["mine"].model_copy(update={"station_gain_over_nearest": told})
    table = table.model_copy(
        update={"reference": "stations", "methods": {**table.methods, "mine": mine}}
    )
    verdict = judged(table)
    assert f"At stations “Mine” {words}" in verdict.sentence
    assert f"{signed(ends[0])} to {signed(ends[1])}" in verdict.sentence
    assert "1\xa0% higher than the 0.0265" in verdict.sentence
    assert verdict.tone == tone
    row = {row.name: row for row in score_rows(table, "mine", standings(table))}["mine"]
    assert ("worse" in row.remark) == (tone == "bad")
    assert row.cells[1].tone == ""


def test_a_better_method_than_the_published_one_is_named():
    remarks = " ".join(judged(scores(0.025, other=0.020)).remarks)
    assert "not that of the published one but of “Other” (0.0200)" in remarks


def test_methods_that_do_harm_are_named():
    remarks = " ".join(judged(scores(0.025, other=0.030)).remarks)
    assert "The one other method, “Other”, is worse than doing nothing." in remarks


def test_published_methods_and_baselines_are_not_counted_among_the_others():
    table = scores(0.030, other=0.031, third=0.020)
    remarks = " ".join(judged(table).remarks)
    assert (
        "Of the 2 other methods (beside the baselines and the published one), 1 is worse" in remarks
    )
    assert "doing nothing: “Other”." in remarks


def test_without_a_baseline_nothing_is_claimed():
    alone = scores(0.02)
    alone = alone.model_copy(update={"methods": {"mine": alone.methods["mine"]}})
    assert "nobody can say" in judged(alone).sentence


def test_a_published_baseline_is_called_so():
    assert (
        "copied to every fine cell"
        in judge(scores(0.03), "nearest", standings(scores(0.03))).sentence
    )


def test_bad_methods_stay_in_the_table_below_the_good():
    table = scores(0.03, other=0.02)
    assert score_order(table) == ["nearest", "smooth", "other", "mine"]
    rows = {row.name: row for row in score_rows(table, "mine", standings(table))}
    assert rows["mine"].remark == "worse than doing nothing"
    assert rows["mine"].cells[1].text == "−0.0035"
    assert rows["mine"].cells[1].tone == "worse"
    assert rows["other"].cells[1].tone == "better"
    assert rows["other"].cells[0].is_best
    assert rows["nearest"].cells[6].text == "–"
