"""Days are scored as the moments say, parts do not see each other, and the scatter counts every pair."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import vadose.validate.daily as daily
from vadose.errors import CubeProblem, ValueProblem
from vadose.synthetic import world
from vadose.validate.daily import (
    DAILY,
    QUANTILES,
    distribution,
    scatter_density,
    score_by_day,
    score_parts_by_day,
)
from vadose.validate.match import at_stations, match_times
from vadose.validate.metrics import METRICS
from vadose.validate.statistics import moments


def pair(days: int = 9) -> tuple[xr.DataArray, xr.DataArray]:
    rng = np.random.default_rng(1)
    truth = 0.25 + 0.05 * rng.standard_normal((days, 12, 14))
    product = 0.3 + 0.6 * (truth - 0.25) + 0.03 * rng.standard_normal(truth.shape)
    for values in (truth, product):
        values[rng.random(truth.shape) < 0.3] = np.nan
    product[4] = np.nan
    coords = {"time": pd.date_range("2019-07-01", periods=days), "y": np.arange(12)[::-1]}
    return tuple(  # type: ignore[return-value]
        xr.DataArray(values.astype("f4"), dims=("time", "y", "x"), coords=coords)
        for values in (product, truth)
    )


@pytest.mark.parametrize("is_weighted", [False, True])
def test_a_day_is_scored_as_the_metrics_say(is_weighted: bool) -> None:
    product, truth = pair()
    weight = xr.DataArray(np.linspace(0.5, 2.0, 12), dims="y") if is_weighted else None
    score = score_by_day(product.transpose("x", "time", "y"), truth, weight=weight)
    weights = np.broadcast_to(1.0 if weight is None else weight.values[:, None], (12, 14))
    for step in range(9):
        p, o = product.values[step], truth.values[step]
        is_pair = np.isfinite(p) & np.isfinite(o)
        one = moments(p[is_pair], o[is_pair], weights[is_pair])
        assert int(score["n"][step]) == one.n
        for name in DAILY:
            expected = METRICS[name](one)
            assert float(score[name][step]) == pytest.approx(expected, rel=1e-10, nan_ok=True)
    assert np.isnan(score["r"].values[4])
    assert score["n"].values[4] == 0


def test_stations_of_a_day_are_correlated_like_places_of_a_map() -> None:
    small = world(size=16, days=6, factor=4, seed=0)
    product = at_stations(small.truth["soil_moisture"], small.stations)
    readings = match_times(small.stations, product["time"].values)
    score = score_by_day(product, readings, minimum=5)
    for step in range(6):
        p, o = product.values[:, step], readings.values[:, step]
        is_pair = np.isfinite(p) & np.isfinite(o)
        assert int(score["n"][step]) == is_pair.sum()
        expected = np.corrcoef(p[is_pair], o[is_pair])[0, 1]
        assert float(score["r"][step]) == pytest.approx(expected, rel=1e-6)


def test_blocks_of_steps_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    product, truth = pair()
    whole = score_by_day(product, truth)
    monkeypatch.setattr(daily, "BLOCK", 1)
    xr.testing.assert_identical(score_by_day(product.chunk({"x": 5}), truth), whole)


def test_days_with_few_pairs_or_no_variance_have_no_score() -> None:
    product, truth = pair()
    flat = product.where(product.isnull(), 0.2)
    score = score_by_day(flat, truth, minimum=10)
    assert np.isnan(score["r"]).all()
    assert np.isfinite(score["rmse"].values[[0, 1, 2, 3, 5]]).all()
    few = score_by_day(product, truth, minimum=1000)
    assert np.isnan(few["rmse"]).all()
    assert few["n"].values[0] > 10


def test_parts_do_not_see_each_other() -> None:
    product, truth = pair()
    is_north = truth["y"] > 5
    parts = {"train": is_north, "test": ~is_north}
    score = score_parts_by_day({"a": product, "b": product + 0.1}, truth, parts)
    alone = score_by_day(product.where(is_north, drop=True), truth.where(is_north, drop=True))
    xr.testing.assert_allclose(score.sel(part="train", product="a", drop=True), alone, rtol=1e-12)
    spoiled = truth.where(is_north, truth + 1.0)
    after = score_parts_by_day({"a": product}, spoiled, parts)
    before = score.sel(product=["a"])
    xr.testing.assert_identical(after.sel(part="train"), before.sel(part="train"))
    assert float(after.sel(part="test")["bias"].mean("time")[0]) < -0.9


def test_products_are_compared_on_the_same_places() -> None:
    product, truth = pair()
    gappy = truth.where(truth["x"] > 5)
    everywhere = xr.ones_like(truth, dtype=bool)
    score = score_parts_by_day({"a": product, "b": gappy}, truth, {"all": everywhere})
    n = score["n"].squeeze("part").values
    assert (n[0] == n[1]).all()
    np.testing.assert_array_equal(
        n[0], (product.notnull() & gappy.notnull()).sum(("y", "x")).values
    )


def test_the_distribution_is_over_the_days_that_have_a_score() -> None:
    product, truth = pair()
    score = score_by_day(product, truth)
    told = distribution(score)
    known = score["rmse"].values[np.isfinite(score["rmse"].values)]
    np.testing.assert_allclose(told["rmse"].values, np.quantile(known, QUANTILES))
    assert int(told["days_rmse"]) == 8
    assert int(told["days_lost_rmse"]) == 1
    assert (np.diff(told["rmse"].values) >= 0).all()
    nothing = distribution(score_by_day(product, truth, minimum=1000))
    assert np.isnan(nothing["r"]).all()
    assert int(nothing["days_r"]) == 0


def test_the_scatter_counts_every_pair_once() -> None:
    product, truth = pair()
    is_early = truth["time"] < truth["time"][5]
    parts = {"train": is_early, "test": ~is_early}
    drawn = scatter_density({"a": product}, truth, parts, bins=20, limits=(0.2, 0.3))
    inside = drawn["density"].sum(("predicted", "observed"))
    np.testing.assert_array_equal(inside + drawn["n_outside"], drawn["n"])
    assert (drawn["n_outside"] > 0).all()
    common = (product.notnull() & truth.notnull() & ~is_early).values
    p, o = product.values[common].astype("f8"), truth.values[common].astype("f8")
    slope, intercept = np.polyfit(o, p, 1)
    test = drawn.sel(part="test", product="a")
    assert float(test["slope"]) == pytest.approx(slope)
    assert float(test["intercept"]) == pytest.approx(intercept)
    assert float(test["r"]) == pytest.approx(np.corrcoef(p, o)[0, 1])
    row = np.abs(drawn["predicted"].values - 0.2525).argmin()
    column = np.abs(drawn["observed"].values - 0.2475).argmin()
    in_bin = (p > 0.25) & (p < 0.255) & (o > 0.245) & (o < 0.25)
    assert test["density"].values[row, column] == in_bin.sum()


def test_what_cannot_be_scored_is_said() -> None:
    product, truth = pair()
    with pytest.raises(CubeProblem, match="found other steps or places than those of the ref"):
        score_by_day(product.isel(time=slice(1, None)), truth)
    with pytest.raises(CubeProblem, match=r"found dimensions \('y', 'x'\) against"):
        score_by_day(product[0], truth)
    with pytest.raises(ValueProblem, match=r"minimum: found 1, expected 2 pairs"):
        score_by_day(product, truth, minimum=1)
    nowhere = {"test": xr.zeros_like(truth, dtype=bool)}
    with pytest.raises(ValueProblem, match=r"part 'test': found no place and day"):
        score_parts_by_day({"a": product}, truth, nowhere)
    with pytest.raises(ValueProblem, match=r"part 'test': found no pair"):
        scatter_density({"a": product}, truth, nowhere)
    with pytest.raises(ValueProblem, match=r"products: found none"):
        score_parts_by_day({}, truth, nowhere)
    with pytest.raises(ValueProblem, match=r"scatter: found bins=0"):
        scatter_density({"a": product}, truth, nowhere, bins=0)
