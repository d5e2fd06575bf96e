"""Scores of ensembles agree with closed forms of Gaussians, and gaps are counted."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vadose.errors import CubeProblem, GridProblem, ValueProblem
from vadose.grids import cell_area, coordinates, latlon, named_grid
from vadose.validate.ensembles import (
    crps,
    pool,
    rank,
    rank_histogram,
    score_by_date,
    spectrum_slope,
    spread_skill,
)

GRID = latlon(2.0, (0, 0, 40, 60))  # 30 x 20 cells, of which the northern ones are half as large


def cube(values: np.ndarray, grid: object = GRID) -> xr.DataArray:
    """Label ``([member,] time, y, x)``."""
    dims = ("member", "time", "y", "x")[-values.ndim :]
    times = np.datetime64("2020-01-01", "ns") + np.arange(values.shape[-3]).astype("m8[D]")
    return xr.DataArray(values, dims=dims, coords={**coordinates(grid), "time": times})  # type: ignore[arg-type]


def drawn(
    members: int = 20, *, days: int = 8, factor: float = 1.0, seed: int = 0
) -> tuple[xr.DataArray, xr.DataArray]:
    """Draw a truth, and members of which it could be one if the factor of their spread is 1."""
    rng = np.random.default_rng(seed)
    sd = rng.uniform(0.01, 0.05, (days, *GRID.shape))
    centre = rng.uniform(0.1, 0.4, sd.shape)
    truth = centre + sd * rng.standard_normal(sd.shape)
    return (
        cube(centre + factor * sd * rng.standard_normal((members, *sd.shape))),
        cube(truth),
    )


def gaussian_crps(mean: float, sd: float, truth: float) -> float:
    """Gneiting and Raftery (2007), J. Am. Stat. Assoc. 102:359, eq. 21."""
    z = (truth - mean) / sd
    return float(
        sd * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    )


@pytest.mark.parametrize("truth", [-1.0, 0.3, 2.5])
def test_the_score_of_many_members_is_that_of_their_distribution(truth: float) -> None:
    quantiles = stats.norm.ppf((np.arange(4000) + 0.5) / 4000, 0.3, 0.7)
    score = crps(quantiles, np.array(truth))
    assert score == pytest.approx(gaussian_crps(0.3, 0.7, truth), rel=1e-3)


def test_the_fair_score_of_few_members_is_on_average_that_of_many() -> None:
    rng = np.random.default_rng(1)
    members = rng.standard_normal((5, 60_000))
    expected = gaussian_crps(0.0, 1.0, 0.8)
    truth = np.full(60_000, 0.8)
    assert crps(members, truth, is_fair=True).mean() == pytest.approx(expected, rel=0.02)
    # the plain score of M members is worse by the mean difference over 2 M
    plain = expected + 1 / np.sqrt(np.pi) / 5
    assert crps(members, truth).mean() == pytest.approx(plain, rel=0.02)


@given(
    st.lists(st.integers(-5, 5), min_size=2, max_size=8),
    st.integers(-5, 5),
)
def test_the_sorted_form_is_the_double_sum(values: list[int], truth: int) -> None:
    members = np.array(values, dtype="f8")
    error = np.abs(members - truth).mean()
    pairs = np.abs(members[:, None] - members).sum() / 2
    count = len(members)
    assert crps(members, np.array(truth)) == pytest.approx(error - pairs / count**2, abs=1e-12)
    fair = crps(members, np.array(truth), is_fair=True)
    assert fair == pytest.approx(error - pairs / (count * (count - 1)), abs=1e-12)


def test_one_member_scores_its_absolute_error_and_nan_spreads() -> None:
    assert crps(np.array([[0.1, 0.2]]), np.array([0.4, 0.1])).tolist() == pytest.approx([0.3, 0.1])
    told = crps(np.array([[0.1, np.nan, 0.2], [0.2, 0.3, 0.2]]), np.array([0.1, 0.1, np.nan]))
    assert np.isnan(told).tolist() == [False, True, True]
    with pytest.raises(ValueProblem, match="fair CRPS: found 1 member, expected 2 or more"):
        crps(np.zeros((1, 2)), np.zeros(2), is_fair=True)
    with pytest.raises(
        ValueProblem, match=r"shape \(3, 2\), expected a first dimension of members"
    ):
        crps(np.zeros((3, 2)), np.zeros(4))


def test_ranks_are_even_where_the_truth_could_be_a_member() -> None:
    members, truth = drawn(9, days=20)
    told = rank_histogram(members, truth, rng=np.random.default_rng(0))
    assert stats.chisquare(told["number"]).pvalue > 0.01
    assert int(told["number"].sum()) == truth.size
    narrow = rank_histogram(*drawn(9, factor=0.3), rng=np.random.default_rng(0))
    assert narrow["number"][0] > 3 * narrow["number"][5]
    assert float(narrow["departure"]) > 5 * float(told["departure"])


def test_ties_are_decided_evenly_and_by_the_seed() -> None:
    members, truth = np.zeros((3, 8000)), np.zeros(8000)
    ranks = rank(members, truth, rng=np.random.default_rng(0))
    assert stats.chisquare(np.bincount(ranks, minlength=4)).pvalue > 0.01
    np.testing.assert_array_equal(ranks, rank(members, truth, rng=np.random.default_rng(0)))
    mixed = rank(np.array([[0.0], [0.5], [0.5]]), np.array([0.5]), rng=np.random.default_rng(0))
    assert 1 <= mixed[0] <= 3


def test_gaps_of_truth_and_members_are_counted_and_have_no_part() -> None:
    members, truth = drawn()
    plain = score_by_date(members, truth)
    members[3, 2, 5, 6], truth[2, 7, 7], truth[4] = np.nan, np.nan, np.nan
    scores = score_by_date(members, truth)
    assert scores["gaps"].values.tolist() == [0, 0, 2, 0, 600, 0, 0, 0]
    assert np.isnan(scores["crps"][4])
    np.testing.assert_array_equal(scores["crps"][[0, 7]], plain["crps"][[0, 7]])
    pooled = pool(scores)
    assert int(pooled["n"]) == 7 * 600 - 2
    assert int(pooled["gaps"]) == 602
    assert np.isfinite(pooled["crps"])
    told = rank_histogram(members, truth, rng=np.random.default_rng(0))
    assert int(told["gaps"]) == 602
    with pytest.raises(ValueProblem, match="no place in common"):
        pool(scores.isel(time=[4]))


def test_the_pooled_score_is_the_mean_over_all_places_by_area() -> None:
    members, truth = drawn()
    pooled = pool(score_by_date(members, truth))
    weights = np.broadcast_to(cell_area(GRID).values, truth.shape)
    expected = np.average(crps(members.values, truth.values), weights=weights)
    assert float(pooled["crps"]) == pytest.approx(expected, rel=1e-12)
    error = members.mean("member", skipna=False) - truth
    assert float(pooled["rmse"]) == pytest.approx(
        np.sqrt(np.average(error**2, weights=weights)), rel=1e-12
    )
    once = xr.ones_like(cell_area(GRID))
    plain = float(pool(score_by_date(members, truth, weight=once))["crps"])
    assert plain == pytest.approx(crps(members.values, truth.values).mean(), rel=1e-12)
    assert plain != pytest.approx(expected, rel=1e-6)


def test_intervals_cover_and_spread_is_right_where_the_truth_could_be_a_member() -> None:
    pooled = pool(score_by_date(*drawn(19, days=20), levels=(0.5, 0.9)))
    np.testing.assert_allclose(pooled["coverage"], [0.5, 0.9], atol=0.012)
    assert float(pooled["spread_skill"]) == pytest.approx(1.0, abs=0.02)
    wide = pool(score_by_date(*drawn(19, days=20, factor=2.0)))
    assert float(wide["coverage"].sel(level=0.9)) > 0.99
    assert float(wide["spread_skill"]) > 1.7
    assert float(wide["crps"]) > float(pooled["crps"])  # the score is proper


def test_error_grows_with_spread_where_spread_means_something() -> None:
    told = spread_skill(*drawn(20, days=20), bins=6)
    assert (told["rmse"].diff("bin") > 0).all()
    expected = np.sqrt(21 / 20) * told["spread"]
    np.testing.assert_allclose(told["rmse"][1:-1], expected[1:-1], rtol=0.15)
    assert int(told["n"].sum()) == 20 * 600
    members, truth = drawn(20)
    shuffled = truth.copy(data=np.random.default_rng(1).uniform(0.1, 0.4, truth.shape))
    flat = spread_skill(members, shuffled, bins=6)
    assert float(flat["rmse"].max() / flat["rmse"].min()) < 1.2
    with pytest.raises(ValueProblem, match=r"9999 classes of 4800 places"):
        spread_skill(members, truth, bins=9999)


def test_the_slope_of_a_power_law_is_found() -> None:
    from vadose.synthetic.randomness import rough_field

    grid = named_grid("EASE2_1km")[3000:3128, 20000:20128]
    rng = np.random.default_rng(0)
    for exponent in (2.0, 3.0):
        fields = np.stack([rough_field(rng, 128, exponent=exponent) for _ in range(12)])
        slope = spectrum_slope(cube(fields, grid), box=64, longest=30.0)
        assert slope == pytest.approx(-exponent, abs=0.35)
        members = cube(fields.reshape(3, 4, 128, 128), grid)
        assert spectrum_slope(members, box=64, longest=30.0) == pytest.approx(slope, abs=1e-9)
    with pytest.raises(ValueProblem, match=r"rings of waves from 100 to 200 km.*There are some"):
        spectrum_slope(cube(fields, grid), box=64, shortest=100, longest=200)


def test_members_of_other_places_are_refused() -> None:
    members, truth = drawn()
    with pytest.raises(CubeProblem, match=r"found dimensions \('time', 'y', 'x'\)"):
        score_by_date(truth, truth)
    with pytest.raises(GridProblem, match="another grid"):
        score_by_date(members, cube(truth.values, latlon(1.0, (0, 0, 20, 30))))
    with pytest.raises(
        CubeProblem, match="7 steps that are not those of the truth, expected its 8"
    ):
        score_by_date(members[:, 1:], truth)
    with pytest.raises(ValueProblem, match=r"1 members, levels \[0.5, 0.9\]"):
        score_by_date(members[:1], truth)
