"""The protocol hides what it says, scores what was hidden and nothing else, and is as sure as it claims."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

from vadose.errors import CubeProblem, UnknownName, ValueProblem
from vadose.samples.gaps import gap_ages, lay_gaps
from vadose.synthetic import world
from vadose.synthetic.views import swaths
from vadose.validate.gap_blocks import Values, blocks_of_cells, bound_scores, days_in_block
from vadose.validate.gap_table import VERDICTS, compare_gaps, hide_gaps, score_gaps
from vadose.validate.gaps import baselines
from vadose.validate.metrics import METRICS
from vadose.validate.statistics import moments

SCORES = ("rmse", "ubrmse", "bias", "mae", "r")


@pytest.fixture(scope="module")
def coarse() -> xr.DataArray:
    return world(size=48, days=120, factor=4, seed=1).coarse["soil_moisture"]


@pytest.fixture(scope="module")
def hidden(coarse: xr.DataArray) -> xr.DataArray:
    return hide_gaps(coarse, rng=0, share=0.2)


@pytest.fixture(scope="module")
def filled(coarse: xr.DataArray, hidden: xr.DataArray) -> dict[str, xr.DataArray]:
    line = baselines(coarse.where(~hidden))["linear"]
    noise = np.random.default_rng(0).normal(0, 0.04, coarse.shape)
    return {"line": line, "same": coarse.where(hidden, 9.0), "noisy": coarse + noise}


def errors_of(
    rng: np.random.Generator, *, days: int, size: int, memory: float, wide: float, still: float
) -> np.ndarray:
    """Give errors of two methods and what they share, of variance 1, dims (3, time, y, x)."""
    field = rng.standard_normal((3, days, size, size))
    if wide:
        field = ndimage.gaussian_filter(field, (0, 0, wide, wide), mode="wrap")
        point = np.zeros((size, size))
        point[0, 0] = 1
        field /= np.sqrt((ndimage.gaussian_filter(point, wide, mode="wrap") ** 2).sum())
    for day in range(1, days):
        field[:, day] = memory * field[:, day - 1] + np.sqrt(1 - memory**2) * field[:, day]
    pattern = rng.standard_normal((3, 1, size, size))
    return np.sqrt(1 - still) * field + np.sqrt(still) * pattern


def test_gaps_of_all_lengths_hide_observed_values_once(coarse: xr.DataArray) -> None:
    hidden = hide_gaps(coarse, rng=0, lengths=(1, 5, 20), share=0.2)
    assert hidden.attrs["lengths"] == [1, 5, 20]
    assert hidden.attrs.keys() == {"share", "lengths"}
    assert not (hidden & coarse.isnull()).any()
    reached = float(hidden.sum() / coarse.notnull().sum())
    assert hidden.attrs["share"] == pytest.approx(reached)
    assert 0.2 <= reached < 0.45
    length = gap_ages(coarse.notnull() & ~hidden)["length"].where(hidden)
    assert float((length >= 20).mean()) > 0
    assert float((length <= 3).sum()) > 100


def test_lengths_beyond_half_of_the_record_are_left_out(coarse: xr.DataArray) -> None:
    short = coarse[:24]
    assert hide_gaps(short, rng=0).attrs["lengths"] == [1, 3, 10]
    with pytest.raises(ValueProblem, match=r"lengths of gaps: found \[30, 40\] for 24 steps.* 12"):
        hide_gaps(short, rng=0, lengths=(30, 40))


def test_the_seed_decides_what_is_hidden(coarse: xr.DataArray) -> None:
    one = hide_gaps(coarse, rng=3)
    xr.testing.assert_identical(one, hide_gaps(coarse.chunk({"time": 30}), rng=3).compute())
    assert not one.equals(hide_gaps(coarse, rng=4))


def test_hidden_gaps_have_the_shape_of_the_donors() -> None:
    days = np.arange(20).astype("M8[D]").astype("M8[ns]")
    full = xr.DataArray(np.full((20, 4, 4), 0.2), dims=("time", "y", "x"), coords={"time": days})
    donors = np.zeros((20, 4, 4), bool)
    donors[:, :, :2] = True
    hidden = hide_gaps(full, rng=0, lengths=(1, 4), donors=donors)
    assert hidden[:, :, :2].any()
    assert not hidden[:, :, 2:].any()


def test_only_hidden_values_are_scored(
    coarse: xr.DataArray, hidden: xr.DataArray, filled: dict[str, xr.DataArray]
) -> None:
    table = score_gaps(filled, coarse, hidden, rng=0)
    whole = table.sel(stratum="all")
    common = (hidden & filled["line"].notnull()).values
    assert int(whole["n"]) == common.sum()
    for name in filled:
        expected = moments(filled[name].values[common], coarse.values[common])
        for score in SCORES:
            assert float(whole[score].sel(product=name)) == pytest.approx(
                METRICS[score](expected), rel=1e-9, abs=1e-15
            )
    for end in ("rmse", "rmse_lower", "rmse_upper"):
        assert float(whole[end].sel(product="same")) == 0
    assert float(whole["rmse"].sel(product="noisy")) == pytest.approx(0.04, rel=0.05)
    assert int(table["n_hidden"]) == int(hidden.sum())


def test_strata_of_one_kind_share_the_values(
    coarse: xr.DataArray, hidden: xr.DataArray, filled: dict[str, xr.DataArray]
) -> None:
    cover = xr.DataArray(
        np.where(np.arange(12) < 5, 7, 9)[None, :] * np.ones((12, 1), "i4"),
        dims=("y", "x"),
        attrs={"flag_values": [7, 9], "flag_meanings": "forest grass"},
    )
    table = score_gaps(filled, coarse, hidden, cover=cover, rng=0)
    total = int(table["n"].sel(stratum="all"))
    for kind in ("length", "age", "nearest", "season", "cover"):
        own = table.isel(stratum=np.flatnonzero(table["kind"] == kind))
        assert int(own["n"].sum()) == total
        assert (own["n"] > 0).all()
    assert {"cover forest", "cover grass"} <= set(table["stratum"].values)
    ages = gap_ages(coarse.notnull() & ~hidden)
    scored = hidden & filled["line"].notnull()
    for kind, label, low, high in (("length", "4-7", 4, 7), ("age", "1", 1, 1)):
        where = (scored & (ages[kind] >= low) & (ages[kind] <= high)).values
        found = table.sel(stratum=f"{kind} {label}", product="line")
        assert int(found["n"]) == where.sum()
        one = moments(filled["line"].values[where], coarse.values[where])
        assert float(found["rmse"]) == pytest.approx(METRICS["rmse"](one))
    month = coarse["time"].dt.month.isin([12, 1, 2])
    assert int((scored & month).sum()) == int(
        table["n"].isel(stratum=np.flatnonzero(table["stratum"] == "season DJF")).sum()
    )
    forest = (scored & xr.DataArray(np.arange(12) < 5, dims="x")).sum()
    assert int(table["n"].sel(stratum="cover forest")) == int(forest)


def test_gaps_without_an_end_are_open(coarse: xr.DataArray) -> None:
    hidden = xr.zeros_like(coarse, dtype=bool)
    hidden[:3] = coarse[:3].notnull()
    hidden[50] = coarse[50].notnull()
    table = score_gaps({"same": coarse}, coarse, hidden, rng=0)
    assert int(table["n"].sel(stratum="length open")) == int(hidden[:3].sum())
    assert int(table["n"].sel(stratum="age open")) == int(hidden[:3].sum())
    assert "nearest open" not in table["stratum"].values


def test_cover_by_name_leaves_out_what_has_none(
    coarse: xr.DataArray, hidden: xr.DataArray, filled: dict[str, xr.DataArray]
) -> None:
    names = np.full((12, 12), "shrub", dtype=object)
    names[:6] = ""
    table = score_gaps(filled, coarse, hidden, cover=xr.DataArray(names, dims=("y", "x")), rng=0)
    covers = table["stratum"].values[table["kind"].values == "cover"].tolist()
    assert covers == ["cover shrub"]
    assert int(table["n"].sel(stratum="cover shrub")) < int(table["n"].sel(stratum="all"))


def test_methods_are_scored_on_what_all_have(
    coarse: xr.DataArray, hidden: xr.DataArray, filled: dict[str, xr.DataArray]
) -> None:
    gappy = coarse.where(coarse["x"] > coarse["x"][3])
    alone = score_gaps({"noisy": filled["noisy"]}, coarse, hidden, rng=0)
    both = score_gaps({"noisy": filled["noisy"], "gappy": gappy}, coarse, hidden, rng=0)
    lost = int((hidden & gappy.isnull()).sum())
    assert both["lost"].values.tolist() == [0, lost]
    assert int(both["n"][0]) == int(alone["n"][0]) - lost
    with pytest.raises(
        ValueProblem, match=r"none of \d+ that all methods have \(lost by empty: \d"
    ):
        score_gaps({"empty": coarse.where(False), "b": gappy}, coarse, hidden, rng=0)


def test_few_days_are_small_and_have_no_interval(coarse: xr.DataArray) -> None:
    hidden = xr.zeros_like(coarse, dtype=bool)
    hidden[50:53] = coarse[50:53].notnull()
    noise = np.random.default_rng(0).normal(0, 0.02, coarse.shape)
    table = score_gaps({"noisy": coarse + noise}, coarse, hidden, rng=0)
    assert table["is_small"].all()
    assert table["rmse"].notnull().all()
    assert table["rmse_lower"].isnull().all()
    found = compare_gaps({"a": coarse, "b": coarse + noise}, coarse, hidden, rng=0)
    assert VERDICTS[int(found["verdict"].sel(product="b", stratum="all"))] == "unknown"


def test_the_best_wins_and_others_are_told_from_it(
    coarse: xr.DataArray, hidden: xr.DataArray
) -> None:
    rng = np.random.default_rng(0)
    own = rng.normal(0, 0.03, coarse.shape)
    fields = {
        "good": coarse + own,
        "equal": coarse + np.roll(own, 17, axis=0),
        "poor": coarse + 1.3 * own,
    }
    found = compare_gaps(fields, coarse, hidden, rng=0, best="good")
    whole = found.sel(stratum="all")
    assert found.attrs["best"] == "good"
    assert [VERDICTS[int(one)] for one in whole["verdict"]] == ["best", "as good", "worse"]
    np.testing.assert_allclose(whole["ratio"].sel(product="poor"), 1.3, rtol=1e-6)
    np.testing.assert_allclose(whole["ratio_lower"].sel(product="poor"), 1.3, rtol=1e-6)
    np.testing.assert_array_equal(found["ratio_upper"].sel(product="good").dropna("stratum"), 1)
    poor = whole.sel(product="poor")
    assert 0 < float(poor["difference_lower"]) < float(poor["difference"])
    assert float(poor["difference"]) < float(poor["difference_upper"]) < 0.03
    equal = whole.sel(product="equal")
    assert float(equal["difference_lower"]) < 0 < float(equal["difference_upper"])
    turned = compare_gaps(fields, coarse, hidden, rng=0, best="poor").sel(stratum="all")
    assert VERDICTS[int(turned["verdict"].sel(product="good"))] == "better"
    scores = score_gaps(fields, coarse, hidden, rng=0)["rmse"]
    chosen = compare_gaps(fields, coarse, hidden, rng=0)
    assert chosen.attrs["best"] == list(fields)[int(scores.sel(stratum="all").values.argmin())]
    np.testing.assert_allclose(found["difference"], scores - scores.sel(product="good"), atol=1e-12)


def test_pairs_are_told_apart_more_sharply_than_single_scores(
    coarse: xr.DataArray, hidden: xr.DataArray
) -> None:
    rng = np.random.default_rng(1)
    shared = errors_of(rng, days=120, size=12, memory=0.8, wide=2.0, still=0.2)[0] * 0.03
    fields = {"a": coarse + shared, "b": coarse + 1.1 * shared + rng.normal(0, 2e-3, shared.shape)}
    table = score_gaps(fields, coarse, hidden, rng=0).sel(stratum="all")
    assert float(table["rmse_upper"][0]) > float(table["rmse_lower"][1])
    found = compare_gaps(fields, coarse, hidden, rng=0).sel(stratum="all", product="b")
    assert VERDICTS[int(found["verdict"])] == "worse"


def test_draws_depend_on_the_seed_alone(
    coarse: xr.DataArray, hidden: xr.DataArray, filled: dict[str, xr.DataArray]
) -> None:
    one = score_gaps(filled, coarse, hidden, rng=5)
    xr.testing.assert_identical(one, score_gaps(filled, coarse, hidden, rng=5))
    cover = xr.DataArray(np.ones((12, 12), "i4"), dims=("y", "x"))
    more = score_gaps(filled, coarse, hidden, cover=cover, rng=5)
    xr.testing.assert_identical(more.sel(stratum=one["stratum"]), one)
    turned = {name: one.transpose("x", "time", "y") for name, one in filled.items()}
    xr.testing.assert_identical(score_gaps(turned, coarse, hidden, rng=5), one)
    other = score_gaps(filled, coarse, hidden, rng=6)
    assert not other["rmse_lower"].equals(one["rmse_lower"])


@pytest.mark.parametrize(
    ("memory", "wide", "still"), [(0.0, 0.0, 0.0), (0.7, 2.0, 0.3), (0.9, 2.0, 0.0)]
)
def test_intervals_cover_what_they_claim(memory: float, wide: float, still: float) -> None:
    """Against the known standard deviation of errors that last, spread and stay."""
    size, days, cases = 16, 90, 60
    hits = np.zeros(3)
    for case in range(cases):
        rng = np.random.default_rng(case)
        shared, one, other = errors_of(
            rng, days=days, size=size, memory=memory, wide=wide, still=still
        )
        errors = np.stack([0.7 * shared + 0.51**0.5 * each for each in (one, other)])
        seen = swaths((days, size, size), rng)
        where = np.zeros(seen.shape, bool)
        for _ in range(14):
            start = rng.integers(days - 3)
            where[start : start + rng.integers(1, 4)] |= ~seen[rng.integers(days)]
        day, row, column = np.nonzero(where)
        truth = rng.normal(0, 1, day.size)
        cells = blocks_of_cells(size, size)[row, column]
        length = days_in_block(errors[:, where], day, cells, days)
        values = Values(truth + errors[:, where], truth, day // length, cells)
        bounds, against = bound_scores(values, level=0.95, rng=rng)
        ends = (bounds["rmse"], bounds["bias"], against(0)["ratio"])
        told = [
            (low[1], high[1], right) for (low, high), right in zip(ends, (1, 0, 1), strict=True)
        ]
        hits += [low <= right <= high for low, high, right in told]
    assert (hits / cases >= 0.83).all()


def test_intervals_are_no_wider_than_they_must_be() -> None:
    """Of independent errors: as a textbook has it, for their mean and for their standard deviation."""
    rng = np.random.default_rng(0)
    day, cells = (np.repeat(np.arange(40), 100), np.tile(np.arange(100) // 4, 40))
    widths = []
    for _ in range(20):
        errors = rng.normal(0, 1, (1, 4000))
        truth = rng.normal(0, 1, 4000)
        bounds, _ = bound_scores(Values(truth + errors, truth, day, cells), level=0.95, rng=rng)
        widths.append([np.ptp(bounds["bias"]), np.ptp(bounds["rmse"])])
    expected = 2 * 1.96 / np.sqrt(4000) * np.array([1, np.sqrt(0.5)])
    np.testing.assert_allclose(np.mean(widths, axis=0), expected, rtol=0.3)


def test_whole_days_and_whole_cells_widen_intervals() -> None:
    rng = np.random.default_rng(0)
    day, cells = (np.repeat(np.arange(40), 100), np.tile(np.arange(100) // 4, 40))
    truth, alone = rng.normal(0, 1, (2, 4000))

    def width(errors: np.ndarray) -> float:
        values = Values((truth + errors)[None], truth, day, cells)
        return float(
            np.ptp(bound_scores(values, level=0.95, rng=np.random.default_rng(0))[0]["bias"])
        )

    plain = width(alone)
    for group, count in ((day, 40), (cells, 25)):
        together = width(0.7 * alone + 0.7 * rng.normal(0, 1, count)[group])
        assert together > 4 * plain
        assert together == pytest.approx(2 * 2.06 * 0.7 / np.sqrt(count), rel=0.35)


def test_blocks_are_as_long_as_errors_last() -> None:
    cells = np.tile(np.repeat(np.arange(4), 16), 200)
    day = np.repeat(np.arange(200), 64)
    found = []
    for memory in (0.0, 0.6, 0.9):
        rng = np.random.default_rng(0)
        errors = errors_of(rng, days=200, size=8, memory=memory, wide=0.0, still=0.3)[:1]
        found.append(days_in_block(errors.reshape(1, -1), day, cells, 200))
    assert found[0] <= 2 < found[1] < found[2] <= 25


@pytest.mark.parametrize(
    ("changes", "problem", "words"),
    [
        ({"level": 1.0}, ValueProblem, "level: found 1, expected between 0 and 1"),
        ({"filled": {}}, ValueProblem, "methods: found none"),
        ({"best": "lime"}, UnknownName, "best method 'lime'.*Did you mean 'line'"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    coarse: xr.DataArray,
    hidden: xr.DataArray,
    filled: dict[str, xr.DataArray],
    changes: dict[str, object],
    problem: type[Exception],
    words: str,
) -> None:
    asked = {"filled": filled, "truth": coarse, "hidden": hidden, "rng": 0, **changes}
    with pytest.raises(problem, match=words):
        compare_gaps(**asked)  # type: ignore[arg-type]


def test_other_places_are_refused(
    coarse: xr.DataArray, hidden: xr.DataArray, filled: dict[str, xr.DataArray]
) -> None:
    with pytest.raises(CubeProblem, match="line: found other steps or places"):
        score_gaps({"line": filled["line"][1:]}, coarse, hidden, rng=0)
    with pytest.raises(CubeProblem, match="truth: found dimensions"):
        score_gaps(filled, coarse[0], hidden, rng=0)
    with pytest.raises(CubeProblem, match=r"cover: found dims \{'y': 2, 'x': 2\}"):
        score_gaps(
            filled, coarse, hidden, cover=xr.DataArray(np.ones((2, 2)), dims=("y", "x")), rng=0
        )
    with pytest.raises(ValueProblem, match="none of 0 that all methods have"):
        score_gaps(filled, coarse, hidden & False, rng=0)


def test_one_length_is_what_lay_gaps_lays(coarse: xr.DataArray) -> None:
    one = hide_gaps(coarse, rng=2, lengths=(3,), share=0.1)
    np.testing.assert_array_equal(one, lay_gaps(coarse, rng=2, share=0.1, days=3))
