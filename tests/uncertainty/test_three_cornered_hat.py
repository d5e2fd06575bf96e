"""The hat finds planted errors, equals other ways to compute it, and says what it cannot see."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from vadose.errors import CubeProblem, GridProblem, RecipeProblem, UnitProblem, UnknownName
from vadose.uncertainty.moments import sum_products
from vadose.uncertainty.three_cornered_hat import describe_common_error, three_cornered_hat

SDS = {"forest": 0.02, "network": 0.03, "satellite": 0.05, "model": 0.04}


def make_products(
    times: int = 400, side: int = 4, *, gaps: float = 0.0, dtype: str = "f8", **sds: float
) -> dict[str, xr.DataArray]:
    """Add errors of known size to one truth."""
    rng = np.random.default_rng(len(sds))
    truth = rng.normal(0.25, 0.06, (times, side, side))
    coords = {
        "time": np.arange(times).astype("M8[D]").astype("M8[ns]"),
        "y": -np.arange(side * 1.0),
    }
    products = {}
    for name, sd in (sds or SDS).items():
        values = truth + rng.normal(0, sd, truth.shape)
        values[rng.random(truth.shape) < gaps] = np.nan
        products[name] = xr.DataArray(
            values.astype(dtype), dims=("time", "y", "x"), coords=coords, attrs={"units": "m3 m-3"}
        )
    return products


def test_planted_errors_are_found() -> None:
    found = three_cornered_hat(make_products(20_000, 2))
    assert found["error_sd"].dims == ("product", "y", "x")
    assert found["error_sd"].mean(("y", "x")).values == pytest.approx(list(SDS.values()), abs=1e-3)
    assert not found["is_constrained"].any()
    assert found["error_sd"].units == "m3 m-3"
    assert found["error_variance"].units == "(m3 m-3)2"
    assert "units" not in found["is_constrained"].attrs


def test_three_products_give_the_classical_hat() -> None:
    products = make_products(60, 6, a=0.02, b=0.03, c=0.08)
    found = three_cornered_hat(products)
    a, b, c = (array.values for array in products.values())
    ab, ac, bc = (np.var(left - right, axis=0, ddof=1) for left, right in ((a, b), (a, c), (b, c)))
    classical = np.stack([ab + ac - bc, ab + bc - ac, ac + bc - ab]) / 2
    np.testing.assert_allclose(found["unconstrained_variance"], classical, rtol=0, atol=1e-15)
    is_negative = (classical < 0).any(axis=0)
    assert 0 < is_negative.sum() < is_negative.size
    np.testing.assert_array_equal(found["is_constrained"], is_negative)
    free = ~is_negative
    np.testing.assert_allclose(
        found["error_variance"].values[:, free], classical[:, free], rtol=0, atol=1e-15
    )
    assert (found["error_variance"] >= 0).all()
    assert found["error_sd"].notnull().all()


def test_order_of_products_changes_nothing() -> None:
    products = make_products(60, 5, a=0.02, b=0.01, c=0.2, d=0.03)
    first = three_cornered_hat(products, covariance=True, blocks=5)
    assert 0 < first["is_constrained"].sum() < 25
    for names in itertools.permutations(products):
        other = three_cornered_hat(
            {name: products[name] for name in names}, covariance=True, blocks=5
        )
        other = other.sel(product=list(products), other_product=list(products))
        for name in first.data_vars:
            np.testing.assert_allclose(
                other[name], first[name], rtol=1e-10, atol=1e-10, err_msg=name
            )
            if first[name].dtype == bool:
                np.testing.assert_array_equal(other[name], first[name])


def test_a_row_with_a_gap_is_dropped_for_all() -> None:
    products = make_products(300, 3, gaps=0.2)
    stacked = xr.concat(list(products.values()), "product", join="exact")
    is_whole = stacked.notnull().all("product")
    found = three_cornered_hat(products, covariance=True)
    np.testing.assert_array_equal(found["n"], is_whole.sum("time"))
    for y, x in itertools.product(range(3), repeat=2):
        whole = {
            name: array[:, y, x].where(is_whole[:, y, x], drop=True)
            for name, array in products.items()
        }
        np.testing.assert_allclose(
            three_cornered_hat(whole)["error_variance"],
            found["error_variance"][:, y, x],
            atol=1e-15,
        )


def test_differences_of_products_have_the_covariance_found() -> None:
    products = make_products(70, 4, a=0.02, b=0.01, c=0.3, d=0.03)
    error = three_cornered_hat(products, covariance=True)["error_covariance"]
    for one, other in itertools.combinations(products, 2):
        variance = (products[one] - products[other]).var("time", ddof=1)
        of_errors = (
            error.sel(product=one, other_product=one)
            + error.sel(product=other, other_product=other)
            - 2 * error.sel(product=one, other_product=other)
        )
        np.testing.assert_allclose(of_errors, variance, rtol=1e-9)
    matrices = error.transpose("y", "x", ...).values
    assert np.linalg.eigvalsh(matrices).min() > -1e-12


def test_too_few_rows_are_said() -> None:
    products = make_products(60, 2)
    products["model"][11:, 0, 0] = np.nan
    found = three_cornered_hat(products, blocks=4)
    np.testing.assert_array_equal(found["is_too_few"], [[True, False], [False, False]])
    assert found["n"][0, 0] == 11
    for name in ("error_sd", "error_variance", "unconstrained_variance", "error_sd_lower"):
        np.testing.assert_array_equal(found[name].isnull().any("product"), found["is_too_few"])
    assert three_cornered_hat(products, minimum=11)["error_sd"].notnull().all()


def test_an_empty_place_is_not_constrained() -> None:
    products = make_products(60, 2)
    products["model"][:, 0, 0] = np.nan
    found = three_cornered_hat(products)
    assert not found["is_constrained"][0, 0]
    assert found["n"][0, 0] == 0


def test_an_infinite_value_spreads() -> None:
    products = make_products(60, 2)
    products["model"][5, 1, 1] = np.inf
    found = three_cornered_hat(products)
    assert found["error_sd"][:, 1, 1].isnull().all()
    assert found["error_sd"][:, 0].notnull().all()


def test_equal_products_have_no_error() -> None:
    products = make_products(60, 2, a=0.02, b=0.03, c=0.04)
    for names in itertools.permutations(("a", "twin", "c")):
        every = products | {"twin": products["a"] + 0.1}
        found = three_cornered_hat({name: every[name] for name in names})
        expected = (products["a"] - products["c"]).var("time", ddof=1)
        np.testing.assert_allclose(found["error_variance"].sel(product="c"), expected, rtol=1e-6)
        assert (found["error_sd"].sel(product=["a", "twin"]) < 1e-6).all()
    constant = {name: xr.zeros_like(products["a"]) for name in "abc"}
    assert (three_cornered_hat(constant)["error_variance"] == 0).all()


def test_relative_uncertainty_is_of_the_mean_over_complete_rows() -> None:
    products = make_products(200, 2, gaps=0.1)
    products["model"] = products["model"] - 1.0
    found = three_cornered_hat(products)
    whole = xr.concat(list(products.values()), "product", join="exact").dropna("time")
    assert whole.sizes["time"] < 200
    is_whole = xr.concat(list(products.values()), "product").notnull().all("product")
    expected = found["error_sd"].sel(product="forest") / products["forest"].where(is_whole).mean(
        "time"
    )
    np.testing.assert_allclose(found["relative_uncertainty"].sel(product="forest"), expected)
    assert found["relative_uncertainty"].sel(product="model").isnull().all()


def test_matched_amplitudes_count_as_no_error() -> None:
    products = make_products(3000, 2, a=0.001, b=0.001, c=0.001)
    products["c"] = products["c"] * 1.5
    raw, matched = (three_cornered_hat(products, amplitude=kind) for kind in ("raw", "matched"))
    assert (raw["error_sd"].sel(product="c") > 0.02).all()
    assert (matched["error_sd"] < 0.002).all()
    spread = xr.concat([array.std("time") for array in products.values()], "product").mean(
        "product"
    )
    scaled = {name: array / array.std("time") * spread for name, array in products.items()}
    np.testing.assert_allclose(
        matched["error_variance"],
        three_cornered_hat(scaled)["error_variance"],
        rtol=1e-8,
        atol=1e-14,
    )


def test_common_error_is_invisible() -> None:
    products = make_products(5000, 2, a=0.015, b=0.015, c=0.015)
    common = np.random.default_rng(5).normal(0, 0.02, products["a"].shape)
    seen = three_cornered_hat({name: array + common for name, array in products.items()})
    np.testing.assert_allclose(seen["error_sd"], 0.015, atol=1e-3)
    assert "invisible" in seen.attrs["warning"]


def test_warning_names_shared_inputs() -> None:
    text = describe_common_error(["a", "b", "c"], {"a": ["MCCA", "LST"], "b": ["MCCA"], "c": "LST"})
    assert text.endswith("Shared inputs: LST (a, c), MCCA (a, b).")
    assert describe_common_error(["a", "b"]).endswith("Shared inputs: not stated.")
    assert describe_common_error(["a", "b"], {"a": ["LST"]}).endswith("none among those stated.")
    found = three_cornered_hat(make_products(60, 1), inputs={"forest": ["LST"], "network": ["LST"]})
    assert found.attrs["warning"].endswith("Shared inputs: LST (forest, network).")
    with pytest.raises(UnknownName, match=r"product 'forst': found no such name.*'forest'\?"):
        three_cornered_hat(make_products(60, 1), inputs={"forst": ["LST"]})


@pytest.mark.parametrize("memory", [0.0, 0.8])
def test_intervals_cover_the_planted_error(memory: float) -> None:
    rng = np.random.default_rng(3)
    places, times = 300, 800
    products = {}
    for name, sd in SDS.items():
        errors = np.zeros((times, places))
        for time in range(1, times):
            kick = rng.normal(0, sd * np.sqrt(1 - memory**2), places)
            errors[time] = memory * errors[time - 1] + kick
        errors[rng.random(errors.shape) < 0.1] = np.nan
        products[name] = xr.DataArray(errors[50:], dims=("time", "station"))
    found = three_cornered_hat(products, blocks=8)
    planted = xr.DataArray(list(SDS.values()), dims="product")
    is_inside = (found["error_sd_lower"] <= planted) & (planted <= found["error_sd_upper"])
    assert 0.90 <= float(is_inside.mean()) <= 0.98
    assert (found["error_sd_lower"] <= found["error_sd"]).all()


def test_intervals_are_those_of_a_plain_jackknife() -> None:
    products = make_products(120, 1)
    found = three_cornered_hat(products, blocks=6)
    left = []
    for block in range(6):
        times = np.arange(120) // 20 != block
        left.append(
            three_cornered_hat({k: v[times] for k, v in products.items()})["error_sd"].values
        )
    spread = np.sqrt(5 / 6 * ((left - np.mean(left, axis=0)) ** 2).sum(axis=0))
    half = (found["error_sd_upper"] - found["error_sd"]).values
    np.testing.assert_allclose(half, 2.570582 * spread, rtol=1e-6)


def test_intervals_need_four_blocks_with_rows() -> None:
    products = make_products(120, 1)
    products["model"][60:] = np.nan
    found = three_cornered_hat(products, blocks=6)
    assert found["error_sd"].notnull().all()
    assert found["error_sd_lower"].isnull().all()
    products["model"][60:80] = 0.2
    assert three_cornered_hat(products, blocks=6)["error_sd_upper"].notnull().all()


@pytest.mark.parametrize("chunks", [{"y": 2, "x": 3}, {"time": 30, "y": 4}, {"y": -1}])
def test_chunks_do_not_change_a_bit(chunks: dict[str, int]) -> None:
    products = make_products(100, 7, gaps=0.1, dtype="f4", a=0.02, b=0.01, c=0.2, d=0.03)
    whole = three_cornered_hat(products, blocks=4, covariance=True)
    lazy = three_cornered_hat(
        {name: array.chunk(chunks) for name, array in products.items()}, blocks=4, covariance=True
    )
    assert all(array.chunks for array in lazy.data_vars.values())
    xr.testing.assert_identical(lazy.compute(scheduler="threads"), whole)


def test_golden_numbers() -> None:
    """Of the closed form by hand: errors ±1, ±2, ±3 and ±4 in all signs, which are uncorrelated."""
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=4)))
    signal = 10.0 + np.tile([0.0, 5.0], 16)
    products = {
        str(size): xr.DataArray(signal + size * np.repeat(signs[:, column], 2), dims="time")
        for column, size in enumerate((1, 2, 3, 4))
    }
    found = three_cornered_hat(products, minimum=32, covariance=True)
    np.testing.assert_allclose(
        found["error_covariance"], np.diag([1.0, 4.0, 9.0, 16.0]) * 32 / 31, atol=1e-12
    )
    np.testing.assert_allclose(found["relative_uncertainty"], found["error_sd"] / 12.5)


def test_wrong_questions_are_refused() -> None:
    products = make_products(60, 2)
    two = dict(list(products.items())[:2])
    with pytest.raises(
        RecipeProblem, match=r"products: found 2 \(forest, network\), expected 3 or more"
    ):
        three_cornered_hat(two)
    with pytest.raises(
        CubeProblem, match=r"product 'late': found dims \(y, x\), expected time and"
    ):
        three_cornered_hat(two | {"late": products["model"][0]})
    with pytest.raises(
        GridProblem, match=r"product 'late': found other times or places than those of"
    ):
        three_cornered_hat(two | {"late": products["model"][1:]})
    percent = products["model"].assign_attrs(units="%")
    with pytest.raises(
        UnitProblem, match=r"'percent': found unit '%', expected 'm3 m-3', as 'forest'"
    ):
        three_cornered_hat(two | {"percent": percent})
    with pytest.raises(UnknownName, match=r"amplitude 'match': found no such name.*'matched'"):
        three_cornered_hat(products, amplitude="match")  # type: ignore[arg-type]
    with pytest.raises(
        RecipeProblem, match="blocks: found 3, expected 4 to 60, the number of times"
    ):
        three_cornered_hat(products, blocks=3)
    with pytest.raises(RecipeProblem, match="minimum: found 1, expected 2 complete rows or more"):
        three_cornered_hat(products, minimum=1)
    with pytest.raises(RecipeProblem, match="level: found 95, expected a share between 0 and 1"):
        three_cornered_hat(products, level=95)


def test_result_goes_to_files_and_back(tmp_path: Path) -> None:
    products = {name: array.chunk(y=1) for name, array in make_products(60, 2).items()}
    found = three_cornered_hat(products, covariance=True)
    found.to_zarr(tmp_path / "hat.zarr", consolidated=False)
    again = xr.open_zarr(tmp_path / "hat.zarr", consolidated=False)
    np.testing.assert_array_equal(again["error_sd"], found["error_sd"])
    assert again["product"].values.tolist() == list(SDS)
    assert again["y"].values.tolist() == [0.0, -1.0]


def test_only_some_products_in_chunks() -> None:
    products = make_products(60, 4)
    whole = three_cornered_hat(products)
    products["model"] = products["model"].chunk(y=3, x=2)
    products["forest"] = products["forest"].chunk(y=2)
    xr.testing.assert_identical(three_cornered_hat(products).compute(), whole)


def test_a_single_series_may_be_lazy() -> None:
    products = {name: array[:, 0, 0] for name, array in make_products(60, 1).items()}
    lazy = three_cornered_hat({name: array.chunk(time=7) for name, array in products.items()})
    assert lazy["n"].chunks is not None
    xr.testing.assert_identical(lazy.compute(), three_cornered_hat(products))


def test_chunks_are_worked_on_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def count(*given: object, **named: object) -> object:
        calls.append(1)
        return sum_products(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("vadose.uncertainty.three_cornered_hat.sum_products", count)
    products = {name: array.chunk(y=2) for name, array in make_products(60, 4).items()}
    three_cornered_hat(products, covariance=True, blocks=4).compute(scheduler="sync")
    assert len(calls) == 2
