"""Hidden values have the shapes of swaths, ages are counted in days, and fillings stand beside baselines."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from vadose.errors import CubeProblem, UnknownName, ValueProblem
from vadose.samples.gaps import gap_ages, lay_gaps
from vadose.synthetic import world
from vadose.synthetic.views import swaths
from vadose.validate.gaps import baselines, score_filled
from vadose.validate.metrics import METRICS
from vadose.validate.statistics import moments


@pytest.fixture(scope="module")
def coarse() -> xr.DataArray:
    return world(size=48, days=60, factor=4, seed=1).coarse["soil_moisture"]


def stamps(*days: str) -> np.ndarray:
    return np.array(days, dtype="M8[ns]")


def test_only_observed_values_are_hidden_and_as_many_as_asked(coarse: xr.DataArray) -> None:
    hidden = lay_gaps(coarse, rng=0, share=0.15)
    assert not (hidden & coarse.isnull()).any()
    reached = float(hidden.sum() / coarse.notnull().sum())
    assert hidden.attrs["share"] == pytest.approx(reached)
    assert 0.15 <= reached < 0.18


def test_what_is_hidden_is_made_of_gaps_of_other_days(coarse: xr.DataArray) -> None:
    hidden = lay_gaps(coarse, rng=0, share=0.1)
    is_missing = coarse.isnull().values
    touched = np.flatnonzero(hidden.any(("y", "x")).values)
    assert touched.size
    for step in touched:
        left = hidden.values[step]
        laid = [mask & ~is_missing[step] for mask in is_missing]
        within = [mask for mask in laid if not (mask & ~left).any()]
        assert (np.logical_or.reduce(within) == left).all()
        assert (~left & ~is_missing[step]).any() or len(within) > 1


def test_the_seed_decides_and_the_chunks_do_not(coarse: xr.DataArray) -> None:
    one = lay_gaps(coarse, rng=7)
    xr.testing.assert_identical(one, lay_gaps(coarse.chunk({"time": 7, "x": 5}), rng=7))
    assert not one.equals(lay_gaps(coarse, rng=8))


def test_longer_gaps_are_laid_on_days_in_a_row(coarse: xr.DataArray) -> None:
    def age(days: int) -> float:
        hidden = lay_gaps(coarse, rng=0, share=0.1, days=days)
        ages = gap_ages(coarse.notnull() & ~hidden)["age"].values[hidden.values]
        return float(np.mean(ages[np.isfinite(ages)]))

    assert age(8) > 1.5 * age(1)


def test_a_cube_without_gaps_takes_those_of_others(coarse: xr.DataArray) -> None:
    full = coarse.where(coarse.notnull(), 0.2)
    with pytest.raises(
        ValueProblem, match=r"no day with both gaps and values.*Give donors=~vadose\.synthetic"
    ):
        lay_gaps(full, rng=0)
    donors = ~swaths(full.shape, np.random.default_rng(0))
    hidden = lay_gaps(full, rng=0, share=0.2, donors=donors)
    assert 0.2 <= float(hidden.mean()) < 0.3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"share": 0.0}, "found share=0, days=1, expected 0 < share < 1"),
        ({"days": 61}, "days from 1 to 60"),
        ({"share": 0.99}, "found a share of .* under all gaps together, expected 0.99"),
    ],
)
def test_gaps_that_cannot_be_laid_are_refused(
    coarse: xr.DataArray, settings: dict[str, float], words: str
) -> None:
    one_gap = coarse.where(coarse.notnull(), 0.2)
    one_gap[3, 2:4] = np.nan
    with pytest.raises(ValueProblem, match=words):
        lay_gaps(one_gap, rng=0, **settings)  # type: ignore[arg-type]


def test_donors_and_dims_are_checked(coarse: xr.DataArray) -> None:
    with pytest.raises(CubeProblem, match=r"donors: found shape \(2, 3, 3\)"):
        lay_gaps(coarse, rng=0, donors=np.zeros((2, 3, 3), dtype=bool))
    with pytest.raises(CubeProblem, match="expected time, y, x"):
        lay_gaps(coarse.transpose("y", "x", "time"), rng=0)
    with pytest.raises(CubeProblem, match="found stamps that do not increase"):
        gap_ages(coarse.notnull()[::-1])
    with pytest.raises(CubeProblem, match="found no time"):
        gap_ages(coarse.notnull().drop_vars("time"))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 4)), min_size=1, max_size=25))
def test_ages_are_those_counted_one_by_one(steps: list[tuple[bool, int]]) -> None:
    """Against loops, with days missing among the stamps too."""
    seen = [is_seen for is_seen, _ in steps]
    day = np.cumsum([gap for _, gap in steps])
    time = np.datetime64("2019-01-01", "ns") + day * np.timedelta64(1, "D")
    ages = gap_ages(xr.DataArray(seen, dims="time", coords={"time": time}))
    for place, today in enumerate(day):
        before = [d for d, s in zip(day[: place + 1], seen, strict=False) if s]
        after = [d for d, s in zip(day[place:], seen[place:], strict=True) if s]
        age = today - before[-1] if before else np.nan
        ahead = after[0] - today if after else np.nan
        length = np.nan if seen[place] else ahead + age - 1
        nearest = np.nanmin([age, ahead, np.inf])
        for name, expected in (("age", age), ("ahead", ahead), ("length", length)):
            np.testing.assert_equal(float(ages[name][place]), float(expected))
        np.testing.assert_equal(
            float(ages["nearest"][place]), nearest if np.isfinite(nearest) else np.nan
        )


def test_the_line_follows_the_calendar() -> None:
    time = stamps("2019-07-01", "2019-07-02", "2019-07-05")
    cube = xr.DataArray(
        [[0.1, np.nan], [np.nan, 0.3], [0.5, np.nan]],
        dims=("time", "x"),
        coords={"time": time},
    )
    filled = baselines(cube)
    np.testing.assert_allclose(filled["linear"][1, 0], 0.2)
    np.testing.assert_allclose(filled["persistence"][:, 1], [np.nan, 0.3, 0.3])
    np.testing.assert_allclose(filled["linear"][:, 1], [np.nan, 0.3, np.nan])


def test_fillings_are_scored_where_the_truth_was_hidden(coarse: xr.DataArray) -> None:
    hidden = lay_gaps(coarse, rng=0, share=0.2, days=3)
    spoiled = (coarse + 0.02).where(hidden, 9.0)  # of no matter where nothing was hidden
    score = score_filled({"wet": spoiled}, coarse, hidden)
    wet = score.sel(product="wet")
    np.testing.assert_allclose(wet["bias"].values[wet["n"].values > 0], 0.02, atol=1e-6)
    assert (score["n"].isel(product=0) == score["n"]).all()
    assert float(wet["n"].sel(days="all")) == float(wet["n"][:-1].sum())
    assert int(wet["n"].sel(days="all")) + int(score["lost"].sum()) == int(hidden.sum())
    np.testing.assert_array_equal(score["is_small"], (wet["n"] < 50) | (score["n_dates"] < 10))
    ages = gap_ages(coarse.notnull() & ~hidden)
    known = baselines(coarse.where(~hidden))["linear"]
    for label, low, high in (("1", 1, 1), ("4-7", 4, 7)):
        where = (hidden & (ages["length"] >= low) & (ages["length"] <= high)).values
        one = moments(known.values[where], coarse.values[where])
        for name, metric in METRICS.items():
            found = float(score[name].sel(product="linear", days=label))
            assert found == pytest.approx(metric(one), rel=1e-9, nan_ok=True)


def test_many_values_of_few_days_are_few(coarse: xr.DataArray) -> None:
    """One storm decides what is scored on the days around it, however many cells it wets."""
    hidden = lay_gaps(coarse, rng=0, share=0.2)
    touched = np.flatnonzero(hidden.any(("y", "x")).values)
    is_chosen = np.isin(np.arange(60), touched[3:6])
    hidden = hidden & xr.DataArray(is_chosen, dims="time")
    score = score_filled({"same": coarse}, coarse, hidden)
    scored = gap_ages(coarse.notnull() & ~hidden)["length"].notnull() & hidden
    assert int(score["n_dates"].sel(days="all")) == int(scored.any(("y", "x")).sum()) <= 3
    assert float(score["n"].sel(product="same", days="all")) > 50
    assert score["is_small"].all()


def test_older_values_are_worse_and_the_noise_is_the_floor(coarse: xr.DataArray) -> None:
    """Persistence of a field that drifts: its error grows with the age, as that of a random walk does."""
    rng = np.random.default_rng(0)
    walk = np.cumsum(0.01 * rng.standard_normal((60, 12, 12)), axis=0)
    field = coarse.copy(data=walk)
    donors = np.zeros((60, 12, 12), dtype=bool)
    donors[:, :, :6] = True
    hidden = lay_gaps(field, rng=0, share=0.3, days=6, donors=donors)
    score = score_filled({"same": field}, field, hidden, by="age")
    rmse = score["rmse"].sel(product="persistence")
    assert float(rmse.sel(days="1")) == pytest.approx(0.01, rel=0.15)
    assert float(rmse.sel(days="3")) == pytest.approx(0.01 * np.sqrt(3), rel=0.15)
    assert float(score["rmse"].sel(product="same", days="all")) == 0.0
    nearest = score_filled({"same": field}, field, hidden, by="nearest")
    assert float(nearest["n"].sel(product="same", days="8-15")) < float(
        score["n"].sel(product="same", days="8-15") + 1
    )


def test_what_cannot_be_scored_is_counted_or_refused(coarse: xr.DataArray) -> None:
    hidden = lay_gaps(coarse, rng=0, share=0.2)
    gappy = coarse.where(coarse["x"] > coarse["x"][3])
    score = score_filled({"gappy": gappy}, coarse, hidden)
    lost = score["lost"].sel(reason="no product value")
    assert int(lost) == int((hidden & gappy.isnull()).sum())
    with pytest.raises(ValueProblem, match=r"none that can be scored \(no product value: \d+\)"):
        score_filled({"empty": coarse.where(False)}, coarse, hidden)
    with pytest.raises(ValueProblem, match=r"none hidden"):
        score_filled({"a": coarse}, coarse, hidden & False)
    with pytest.raises(ValueProblem, match=r"found \['linear'\], expected other names"):
        score_filled({"linear": coarse}, coarse, hidden)
    with pytest.raises(ValueProblem, match=r"classes: found \(2, 3\)"):
        score_filled({"a": coarse}, coarse, hidden, classes=(2, 3))
    with pytest.raises(UnknownName, match=r"by 'lenght'.*Did you mean 'length'"):
        score_filled({"a": coarse}, coarse, hidden, by="lenght")  # type: ignore[arg-type]
