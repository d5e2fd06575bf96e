"""Weights are those of least squares, gaps take the sub-matrix, and a merged field beats what it is made of."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.optimize
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from vadose.errors import (
    CubeProblem,
    GridProblem,
    RecipeProblem,
    UnitProblem,
    UnknownName,
    ValueProblem,
)
from vadose.fuse.product_errors import estimate_errors
from vadose.fuse.rescaling import rescale
from vadose.fuse.weights import combine, merge, weigh
from vadose.samples.quantiles import learn_quantiles, match_quantiles
from vadose.synthetic import world
from vadose.synthetic.views import swaths
from vadose.uncertainty.collocation import triple_collocation

DIMS = ("time", "y", "x")
#: Error covariance of two L-band radiometers, alike by .6, and of two others.
SHARED = np.diag([0.02, 0.03, 0.04, 0.025]) ** 2
SHARED[0, 1] = SHARED[1, 0] = 0.6 * 0.02 * 0.03
NAMES = ("SMAP", "SMOS", "AMSR2", "ASCAT")


def field(values: np.ndarray) -> xr.DataArray:
    """Put values on a grid and on days."""
    time = np.datetime64("2019-01-01", "ns") + np.arange(len(values)) * np.timedelta64(1, "D")
    return xr.DataArray(
        values, dims=DIMS, coords={"time": time}, attrs={"units": "m3 m-3"}, name="soil_moisture"
    )


def see(
    covariance: np.ndarray, *, days: int = 2000, size: int = 3, gaps: float = 0.0, seed: int = 0
) -> tuple[xr.DataArray, dict[str, xr.DataArray]]:
    """Give a truth and products of it with errors of this covariance."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0.25, 0.06, (days, size, size))
    errors = rng.multivariate_normal(np.zeros(len(covariance)), covariance, truth.shape)
    errors[rng.random(errors.shape) < gaps] = np.nan
    products = {
        name: field(truth + errors[..., place])
        for name, place in zip(NAMES, range(len(covariance)), strict=False)
    }
    return field(truth), products


def covariance_map(covariance: np.ndarray, size: int = 3) -> xr.DataArray:
    stretched = np.broadcast_to(covariance[..., None, None], (*covariance.shape, size, size))
    return xr.DataArray(stretched, dims=("product", "other_product", "y", "x"))


def least_squares(covariance: np.ndarray) -> tuple[np.ndarray, float]:
    inverse = np.linalg.inv(covariance)
    return inverse.sum(axis=1) / inverse.sum(), 1 / inverse.sum()


def random_covariance(seed: int, count: int) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(count, count + 2))
    return root @ root.T


def test_two_products_are_weighed_as_in_the_textbook() -> None:
    weight, variance = weigh(np.array([[[1.0, 0.0], [0.0, 3.0]]]))
    np.testing.assert_allclose(weight[3, :, 0], [0.75, 0.25])
    np.testing.assert_allclose(variance[1:, 0], [1.0, 3.0, 0.75])
    np.testing.assert_array_equal(weight[1:3, :, 0], [[1, 0], [0, 1]])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_weights_are_the_best_that_are_not_negative(seed: int, count: int) -> None:
    covariance = random_covariance(seed, count)
    weight, variance = weigh(covariance[None])
    for code in range(1, 2**count):
        part = [bit for bit in range(count) if code >> bit & 1]
        matrix = covariance[np.ix_(part, part)]
        own = weight[code, part, 0]
        assert own.sum() == pytest.approx(1)
        assert (weight[code] >= 0).all()
        assert np.delete(weight[code, :, 0], part).sum() == 0
        assert own @ matrix @ own == pytest.approx(variance[code, 0])
        free, least = least_squares(matrix)
        if (free >= 0).all():
            np.testing.assert_allclose(own, free, rtol=1e-6, atol=1e-9)
            assert variance[code, 0] == pytest.approx(least)
        # the conditions of Karush, Kuhn and Tucker, which hold at the optimum alone
        slope = matrix @ own
        np.testing.assert_allclose(slope[own > 0], variance[code, 0], rtol=1e-6)
        assert (slope >= variance[code, 0] * (1 - 1e-6)).all()


def test_negative_weights_give_way_as_a_solver_says() -> None:
    covariance = np.array([[1.0, 1.8, 0.5], [1.8, 4.0, 0.9], [0.5, 0.9, 2.0]])
    assert least_squares(covariance)[0].min() < 0
    weight, variance = weigh(covariance[None])
    found = scipy.optimize.minimize(
        lambda w: w @ covariance @ w,
        np.full(3, 1 / 3),
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        tol=1e-12,
    )
    np.testing.assert_allclose(weight[7, :, 0], found.x, atol=1e-5)
    assert variance[7, 0] == pytest.approx(found.fun)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_another_product_never_makes_it_worse(seed: int) -> None:
    _, variance = weigh(random_covariance(seed, 4)[None])
    for code, bit in itertools.product(range(1, 16), range(4)):
        assert variance[code | 1 << bit, 0] <= variance[code, 0] * (1 + 1e-9)


def test_scale_does_not_change_weights() -> None:
    covariance = random_covariance(3, 4)[None]
    weight, variance = weigh(covariance)
    other, scaled = weigh(covariance * 1e-4)
    np.testing.assert_allclose(other[1:], weight[1:], rtol=1e-8)
    np.testing.assert_allclose(scaled[1:], variance[1:] * 1e-4, rtol=1e-8)


def test_equal_products_share_and_a_perfect_one_takes_all() -> None:
    weight, _ = weigh(np.full((1, 2, 2), 2.0))
    np.testing.assert_allclose(weight[3, :, 0], 0.5)
    weight, variance = weigh(np.diag([0.0, 1.0])[None])
    np.testing.assert_allclose(weight[3, :, 0], [1, 0], atol=1e-9)
    assert variance[3, 0] == pytest.approx(0, abs=1e-9)


def test_a_correlated_pair_weighs_less_than_if_it_were_independent() -> None:
    believed, _ = weigh(np.diag(np.diag(SHARED))[None])
    known, _ = weigh(SHARED[None])
    assert known[15, :2].sum() < 0.9 * believed[15, :2].sum()
    believed_sd = np.sqrt(believed[15, :, 0] @ SHARED @ believed[15, :, 0])
    assert np.sqrt(known[15, :, 0] @ SHARED @ known[15, :, 0]) < believed_sd


def test_the_merged_error_is_what_the_formula_says() -> None:
    truth, products = see(SHARED, days=4000)
    merged = combine(products, covariance_map(SHARED))
    weights, variance = least_squares(SHARED)
    np.testing.assert_allclose(merged["weight"].sel(combination=15)[:, 0, 0], weights, rtol=1e-6)
    np.testing.assert_allclose(merged["error_sd"], np.sqrt(variance), rtol=1e-6)
    error = (merged["soil_moisture"] - truth).values
    assert error.var() == pytest.approx(variance, rel=0.03)
    assert all(error.std() < (one - truth).values.std() for one in products.values())


def test_gaps_take_the_weights_of_those_present_value_by_value() -> None:
    rng = np.random.default_rng(1)
    _, products = see(SHARED, days=40, gaps=0.5)
    maps = covariance_map(SHARED) * xr.DataArray(rng.uniform(0.5, 2, (3, 3)), dims=("y", "x"))
    merged = combine(products, maps)
    values = np.stack([one.values for one in products.values()])
    for t, y, x in np.ndindex(40, 3, 3):
        here = np.flatnonzero(np.isfinite(values[:, t, y, x]))
        assert int(merged["present"][t, y, x]) == sum(1 << place for place in here)
        if not here.size:
            assert np.isnan(merged["soil_moisture"][t, y, x])
            assert np.isnan(merged["error_sd"][t, y, x])
            assert int(merged["n_products"][t, y, x]) == 0
            continue
        weights, variance = least_squares(maps.values[np.ix_(here, here)][..., y, x])
        assert (weights > 0).all()
        assert int(merged["n_products"][t, y, x]) == here.size
        assert float(merged["soil_moisture"][t, y, x]) == pytest.approx(
            weights @ values[here, t, y, x], rel=1e-6
        )
        assert float(merged["error_sd"][t, y, x]) == pytest.approx(np.sqrt(variance), rel=1e-6)
    some = merged["weight"].sel(combination=merged["present"].where(merged["present"] > 0, 1))
    np.testing.assert_allclose(some.sum("product"), 1)


def test_the_merged_value_lies_between_those_it_is_made_of() -> None:
    _, products = see(SHARED, days=60, gaps=0.4)
    merged = combine(products, covariance_map(SHARED))["soil_moisture"]
    stacked = xr.concat(list(products.values()), "product")
    is_there = merged.notnull()
    assert is_there.equals(stacked.notnull().any("product"))
    assert (merged <= stacked.max("product") + 1e-6).where(is_there, True).all()
    assert (merged >= stacked.min("product") - 1e-6).where(is_there, True).all()


def test_a_product_of_unknown_error_is_not_used() -> None:
    _, products = see(SHARED[:2, :2], days=5)
    unknown = SHARED[:2, :2].copy()
    unknown[1] = unknown[:, 1] = np.nan
    merged = combine(products, covariance_map(unknown))
    np.testing.assert_allclose(merged["soil_moisture"], products["SMAP"], rtol=1e-6)
    assert (merged["n_products"] == 1).all()
    assert (merged["present"] == 3).all()
    alone = combine({"SMOS": products["SMOS"]}, covariance_map(np.array([[np.nan]])))
    assert alone["soil_moisture"].isnull().all()
    assert alone["error_sd"].isnull().all()


def test_three_products_are_triple_collocation() -> None:
    _, products = see(SHARED[1:, 1:], days=400)
    found = estimate_errors(products, reach=0.0)
    expected = triple_collocation(products)
    own = np.einsum("iiyx->iyx", found["error_covariance"].values)
    np.testing.assert_allclose(own, expected["error_variance"], rtol=1e-9)
    np.testing.assert_allclose(found["signal_sd"] ** 2, expected["signal_variance"], rtol=1e-9)
    np.testing.assert_array_equal(found["n"], expected["n"])
    assert (found["error_source"] == 1).all()


def test_a_correlated_pair_is_found_and_otherwise_taken_for_signal() -> None:
    _, products = see(SHARED, days=40_000, size=1)
    found = estimate_errors(products, correlated=[("SMOS", "SMAP")])
    np.testing.assert_allclose(found["error_covariance"][..., 0, 0], SHARED, rtol=0.06, atol=1.5e-5)
    blind = estimate_errors(products)["error_covariance"][..., 0, 0]
    assert float(blind[0, 0]) < 0.75 * SHARED[0, 0]


def test_knowing_what_is_shared_merges_better() -> None:
    truth, products = see(SHARED, days=3000)
    told = merge(products, reference="ASCAT", rescaling="none", correlated=[("SMAP", "SMOS")])
    blind = merge(products, reference="ASCAT", rescaling="none")
    error, other = ((one["soil_moisture"] - truth).values.std() for one in (told, blind))
    best = np.sqrt(least_squares(SHARED)[1])
    assert error < other
    assert error == pytest.approx(best, rel=0.02)
    assert float(told["error_sd"].mean()) == pytest.approx(best, rel=0.05)
    assert float(blind["error_sd"].mean()) < 0.95 * other  # it believes too much of itself
    assert "but for those of SMAP and SMOS" in told.attrs["notes"]
    assert "but for those of no pair" in blind.attrs["notes"]


def test_products_that_are_never_all_there_are_told_by_pairs() -> None:
    """Of four products one of three is missing on every day, but each two of them meet."""
    _, products = see(SHARED, days=24_000, size=1)
    for day, name in enumerate(NAMES[:3]):
        products[name][day::3] = np.nan
    found = estimate_errors(products, correlated=[("SMAP", "SMOS")])
    assert int(found["n"][0, 0]) == 8000
    np.testing.assert_allclose(found["error_covariance"][..., 0, 0], SHARED, rtol=0.1, atol=3e-5)
    with pytest.raises(ValueProblem, match="no place where SMAP"):
        estimate_errors(products, method="hat")


def test_a_place_where_no_three_products_meet_tells_nothing() -> None:
    _, products = see(SHARED, days=600, size=2)
    products["AMSR2"][::2, 0, 0] = np.nan
    products["SMAP"][1::2, 0, 0] = np.nan
    three = {name: products[name] for name in NAMES[:3]}
    np.testing.assert_array_equal(estimate_errors(three)["error_source"], [[2, 1], [1, 1]])


def test_the_hat_sees_the_same_where_errors_are_independent() -> None:
    truth, products = see(np.diag(np.diag(SHARED)), days=3000)
    merged = merge(products, reference="ASCAT", rescaling="none", method="hat")
    best = np.sqrt(least_squares(np.diag(np.diag(SHARED)))[1])
    assert (merged["soil_moisture"] - truth).values.std() == pytest.approx(best, rel=0.03)
    assert "invisible to a three-cornered hat" in merged.attrs["notes"]


def test_the_order_of_products_does_not_matter() -> None:
    _, products = see(SHARED, days=400, gaps=0.2)
    pair = [("SMAP", "SMOS")]
    first = merge(products, reference="ASCAT", correlated=pair, minimum=50)
    for names in (NAMES[::-1], (NAMES[2], NAMES[0], NAMES[3], NAMES[1])):
        other = merge(
            {name: products[name] for name in names}, reference="ASCAT", correlated=pair, minimum=50
        )
        np.testing.assert_allclose(other["soil_moisture"], first["soil_moisture"], rtol=1e-5)
        np.testing.assert_allclose(other["error_sd"], first["error_sd"], rtol=1e-5)
        np.testing.assert_array_equal(other["n_products"], first["n_products"])


def test_chunks_change_no_bit() -> None:
    _, products = see(SHARED[1:, 1:], days=150, gaps=0.1)
    whole = merge(products, reference="SMAP", minimum=30)
    chunked = {name: one.chunk({"time": 40, "x": 1}) for name, one in products.items()}
    xr.testing.assert_identical(merge(chunked, reference="SMAP", minimum=30), whole)


def test_places_with_few_times_have_the_errors_of_their_neighbours() -> None:
    _, products = see(np.diag(np.diag(SHARED)), days=600, size=9)
    products["AMSR2"][80:, 4, 4] = np.nan
    found = estimate_errors(products, reach=1.0)
    source = found["error_source"].values
    assert source[4, 4] == 2
    assert (source == 1).sum() == 80
    assert int(found["n"][4, 4]) == 0
    assert int(found["n"][0, 0]) == 600
    own = np.einsum("iiyx->iyx", found["error_covariance"].values)
    np.testing.assert_allclose(own[:, 4, 4], np.diag(SHARED), rtol=0.25)
    near = own.reshape(4, -1)
    assert (own[:, 4, 4] > near.min(axis=1)).all()
    assert (own[:, 4, 4] < near.max(axis=1)).all()
    far = np.einsum("iiyx->iyx", estimate_errors(products, reach=0.0)["error_covariance"].values)
    is_other = source == 1
    mean = np.exp(np.log(far[:, is_other]).mean(axis=1))
    np.testing.assert_allclose(far[:, 4, 4], mean)
    assert "1 of 81 places have too few times in common" in found.attrs["notes"]


def test_errors_are_drawn_together_as_far_as_they_differ_by_chance() -> None:
    """Where all places are alike to what they are, and where they differ not to what all are."""
    _, products = see(SHARED, days=250, size=16)
    pair = [("SMAP", "SMOS")]
    rough, settled = (
        estimate_errors(products, correlated=pair, reach=reach)["error_covariance"].values
        for reach in (0.0, 3.0)
    )
    for i, j in ((0, 0), (1, 1), (3, 3), (0, 1)):
        far, near = (np.abs(one[i, j] - SHARED[i, j]).mean() for one in (rough, settled))
        assert near < 0.5 * far
    slope = np.exp(np.linspace(-1, 1, 16))
    truth, products = see(np.diag(np.diag(SHARED)), days=4000, size=16)
    products["SMAP"] = truth + slope * (products["SMAP"] - truth)
    found = estimate_errors(products)["error_covariance"].values[0, 0]
    np.testing.assert_allclose(found.mean(axis=0), SHARED[0, 0] * slope**2, rtol=0.15)


def test_drawing_together_merges_better_on_short_records() -> None:
    truth, products = see(SHARED, days=200, size=16)
    errors = []
    for reach in (0.0, 3.0):
        merged = merge(
            products, reference="ASCAT", rescaling="none", correlated=[NAMES[:2]], reach=reach
        )
        errors.append(float((merged["soil_moisture"] - truth).std()))
    best = np.sqrt(least_squares(SHARED)[1])
    assert best * 0.99 < errors[1] < 1.01 * best < errors[0]


def test_variances_that_cannot_be_are_not_believed() -> None:
    _, products = see(np.diag(np.diag(SHARED)), days=600, size=5)
    rng = np.random.default_rng(0)
    products["SMOS"][:, 2, 2] = rng.normal(0.2, 0.05, 600)  # has nothing in common with the others
    products["SMAP"][:, 2, 2] = rng.normal(0.2, 0.05, 600)
    found = estimate_errors(products)
    assert int(found["error_source"][2, 2]) == 2
    own = np.einsum("iiyx->iyx", found["error_covariance"].values)
    assert (own > 0).all()
    assert np.isfinite(found["error_covariance"]).all()
    eigenvalues = np.linalg.eigvalsh(
        found["error_covariance"].transpose("y", "x", "product", "other_product").values
    )
    assert (eigenvalues > 0).all()


def test_a_land_model_gives_scale_and_collocation_but_is_not_merged() -> None:
    truth, products = see(SHARED[:3, :3], days=3000)
    rng = np.random.default_rng(5)
    model = field(0.1 + 0.5 * truth.values + rng.normal(0, 0.02, truth.shape))
    merged = merge(products, reference=model, correlated=[("SMAP", "SMOS")], rescaling="signal")
    assert merged["weight"].product.values.tolist() == ["SMAP", "SMOS", "AMSR2"]
    target = 0.1 + 0.5 * truth
    error = (merged["soil_moisture"] - target).values
    best = 0.5 * np.sqrt(least_squares(SHARED[:3, :3])[1])
    assert error.std() == pytest.approx(best, rel=0.05)
    assert abs(error.mean()) < 0.002
    assert float(merged["error_sd"].mean()) == pytest.approx(best, rel=0.05)
    plain = merge(products, reference=model, correlated=[("SMAP", "SMOS")])
    assert float(plain["soil_moisture"].std()) == pytest.approx(float(model.std()), rel=0.1)


def test_rescaled_products_have_the_moments_of_the_reference() -> None:
    truth, products = see(SHARED, days=200, gaps=0.3)
    stretched = {name: 3 * one + 0.4 for name, one in products.items()}
    for name, one in rescale(stretched, truth, how="mean_variance").items():
        is_there = products[name].notnull()
        assert one.notnull().equals(is_there)
        there = truth.where(is_there)
        np.testing.assert_allclose(one.mean("time"), there.mean("time"))
        np.testing.assert_allclose(one.std("time"), there.std("time"))
    again = rescale(products, truth, how="mean_variance")
    for name, one in rescale(stretched, truth, how="mean_variance").items():
        np.testing.assert_allclose(one, again[name], rtol=1e-10)


def test_quantiles_are_those_of_a_single_place() -> None:
    rng = np.random.default_rng(0)
    truth, products = see(SHARED[:1, :1], days=300, size=4, gaps=0.2)
    product = products["SMAP"]
    product[170:, 0] = np.nan
    product[:, 1] = product[:, 1].round(1)  # many values are the same
    product[:, 2, 0] = 0.3
    product[30:, 3, 3] = np.nan
    found = rescale({"SMAP": product}, truth, how="quantiles")["SMAP"]
    for y, x in np.ndindex(4, 4):
        own, target = product.values[:, y, x], truth.values[:, y, x]
        if (y, x) == (3, 3):
            assert np.isnan(found[:, y, x]).all()
            continue
        learned = learn_quantiles(own, target, steps=20)
        np.testing.assert_allclose(found[:, y, x], match_quantiles(own, learned), rtol=1e-12)
    beyond = product.copy(data=product + rng.choice([-0.5, 0.5], product.shape))
    assert rescale({"a": beyond}, truth, how="quantiles")["a"].notnull().sum() > 0


def test_a_short_or_constant_product_has_no_scale() -> None:
    truth, products = see(SHARED[:2, :2], days=100)
    products["SMAP"][39:, 0, 0] = np.nan
    products["SMOS"][:, 1, 1] = 0.25
    found = rescale(products, truth, how="mean_variance")
    assert found["SMAP"][:, 0, 0].isnull().all()
    assert found["SMAP"][:, 0, 1].notnull().all()
    assert found["SMOS"][:, 1, 1].isnull().all()


@pytest.mark.parametrize("rescaling", ["mean_variance", "quantiles", "signal"])
def test_the_merged_field_beats_each_satellite_on_the_synthetic_world(rescaling: str) -> None:
    made = world(size=32, days=420, factor=4, seed=2)
    fine = made.truth["soil_moisture"].values.reshape(420, 8, 4, 8, 4)
    truth = fine.mean(axis=(2, 4), dtype="f8")
    model = field(made.land_model["soil_moisture"].values)
    rng = np.random.default_rng(3)
    slopes, sds = (1.0, 0.8, 1.2), (0.025, 0.03, 0.05)
    products = {}
    for day, (name, slope, sd) in enumerate(zip(NAMES, slopes, sds, strict=False)):
        values = slope * truth + rng.normal(0, sd, truth.shape)
        seen = np.roll(swaths(truth.shape, rng), day, axis=0)
        products[name] = field(np.where(seen, values, np.nan))
    merged = merge(products, reference=model, rescaling=rescaling, minimum=40)  # type: ignore[arg-type]
    scaled = rescale(products, model, how="mean_variance")
    assert (merged["error_source"] == 1).all()

    def skill(one: xr.DataArray, when: xr.DataArray) -> float:
        """Correlate anomalies on the days of a product."""
        own, target = (each - each.where(when).mean("time") for each in (one, field(truth)))
        return float(np.corrcoef(own.values[when.values], target.values[when.values])[0, 1])

    for one in scaled.values():
        when = one.notnull()
        assert skill(merged["soil_moisture"], when) > skill(one, when) + 0.005
    covered = np.mean([one.notnull().mean() for one in scaled.values()])
    assert merged["soil_moisture"].notnull().mean() > 1.3 * covered


def test_all_gaps_stay_gaps() -> None:
    _, products = see(SHARED, days=200)
    for one in products.values():
        one[7] = np.nan
        one[:, 1, 1] = np.nan
    merged = merge(products, reference="SMAP")
    assert merged["soil_moisture"][7].isnull().all()
    assert merged["soil_moisture"][:, 1, 1].isnull().all()
    assert (merged["n_products"][:, 1, 1] == 0).all()
    elsewhere = merged["soil_moisture"].values[np.arange(200) != 7]
    assert np.isnan(elsewhere).sum() == 199


def test_the_result_says_units_and_survives_a_file(tmp_path: object) -> None:
    _, products = see(SHARED, days=150)
    merged = merge(products, reference="SMAP")
    assert merged["soil_moisture"].attrs["units"] == "m3 m-3"
    assert merged["error_sd"].attrs["units"] == "m3 m-3"
    merged.to_netcdf(f"{tmp_path}/merged.nc")
    with xr.open_dataset(f"{tmp_path}/merged.nc") as back:
        np.testing.assert_array_equal(back["soil_moisture"], merged["soil_moisture"])
        assert back.attrs["notes"] == merged.attrs["notes"]


@pytest.mark.parametrize(
    ("changes", "problem", "words"),
    [
        ({"reference": "SMPA"}, UnknownName, "reference 'SMPA'.*Did you mean 'SMAP'"),
        ({"rescaling": "cdf"}, UnknownName, "rescaling 'cdf'.*mean_variance, none, quantiles"),
        ({"method": "triple"}, UnknownName, "method 'triple'"),
        ({"correlated": [("SMAP", "SMSO")]}, UnknownName, "Did you mean 'SMOS'"),
        ({"correlated": [("SMAP", "SMAP")]}, RecipeProblem, "expected two products"),
        (
            {"correlated": [("SMAP", "SMOS"), ("AMSR2", "SMOS"), ("ASCAT", "SMOS")]},
            RecipeProblem,
            "every product among three whose errors are independent.*Add a product",
        ),
        ({"method": "hat", "correlated": [("SMAP", "SMOS")]}, RecipeProblem, "leaves no pair out"),
        ({"method": "hat", "rescaling": "signal"}, RecipeProblem, "'signal' with the method 'hat'"),
        ({"minimum": 2}, RecipeProblem, "minimum=2.*3 or more"),
        ({"reach": -1.0}, RecipeProblem, "reach=-1"),
        (
            {"minimum": 5000},
            ValueProblem,
            "no place where SMAP, .* have 5000 times in common.*longer record",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    changes: dict[str, object], problem: type[Exception], words: str
) -> None:
    _, products = see(SHARED, days=120, size=2)
    with pytest.raises(problem, match=words):
        merge(products, **{"reference": "SMAP", **changes})  # type: ignore[arg-type]


def test_products_must_fit_together() -> None:
    _, products = see(SHARED, days=60, size=2)
    with pytest.raises(RecipeProblem, match="found 1 to merge, expected 2 to 8"):
        merge({"SMAP": products["SMAP"]}, reference=products["SMOS"])
    with pytest.raises(RecipeProblem, match="products: found 2"):
        merge({name: products[name] for name in NAMES[:2]}, reference="SMAP")
    with pytest.raises(RecipeProblem, match="one named 'reference'"):
        merge({"reference": products["SMAP"], "b": products["SMOS"]}, reference=products["AMSR2"])
    with pytest.raises(GridProblem, match="other times or places"):
        merge({**products, "SMOS": products["SMOS"][:50]}, reference="SMAP")
    with pytest.raises(UnitProblem, match="unit '%'"):
        merge({**products, "SMOS": products["SMOS"].assign_attrs(units="%")}, reference="SMAP")
    with pytest.raises(CubeProblem, match="expected time, y, x"):
        merge({name: one.rename(y="row") for name, one in products.items()}, reference="SMAP")
    with pytest.raises(CubeProblem, match=r"error covariance: found shape \(4, 4, 3, 3\)"):
        combine(products, covariance_map(SHARED))
    infinite = products["SMOS"].where(products["SMOS"] > 0.2, np.inf)
    with pytest.raises(ValueProblem, match="product 'SMOS': found infinite values"):
        merge({**products, "SMOS": infinite}, reference="SMAP")


def test_cubes_with_a_grid_mapping_keep_it() -> None:
    truth = world(size=16, days=80, factor=4, seed=0).coarse_truth["soil_moisture"]
    rng = np.random.default_rng(0)
    products = {name: truth + rng.normal(0, 0.02, truth.shape) for name in NAMES[:3]}
    merged = merge(products, reference="SMAP", minimum=30)
    assert merged["spatial_ref"].equals(truth["spatial_ref"])
    assert merged["error_source"].dims == ("y", "x")
