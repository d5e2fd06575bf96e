"""Collocation finds planted errors, keeps signs, and agrees with pytesmo where pytesmo has a number."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr

from vadose.errors import GridProblem, RecipeProblem, UnknownName
from vadose.uncertainty.collocation import CLASSES, classify, collocate, triple_collocation

#: Slope on the truth and standard deviation of the error.
PLANTED = {"station": (1.0, 0.03), "satellite": (0.7, 0.04), "model": (1.6, 0.05)}
#: What pytesmo 0.18.1 gives for the first place of ``make_triplet(400)``.
GOLDEN_SNR = [5.046827045419504, -0.3290882845859824, 5.565146658442952]
GOLDEN_SLOPE = [1.0, 1.5067272055951524, 0.6306788118884217]


def make_triplet(
    times: int, places: int = 3, *, gaps: float = 0.0, seed: int = 0
) -> dict[str, xr.DataArray]:
    """Scale one truth, add errors and cut gaps."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0.25, 0.06, (times, places))
    products = {}
    for name, (slope, sd) in PLANTED.items():
        values = slope * truth + 0.1 + rng.normal(0, sd, truth.shape)
        values[rng.random(truth.shape) < gaps] = np.nan
        products[name] = xr.DataArray(
            values,
            dims=("time", "station"),
            attrs={"units": "m3 m-3"},
            coords={"time": range(times)},
        )
    return products


def test_planted_errors_are_found() -> None:
    found = triple_collocation(make_triplet(40_000))
    slope, sd = (np.array(column)[:, None] for column in zip(*PLANTED.values(), strict=True))
    signal = (slope * 0.06) ** 2
    assert found["error_variance"].values == pytest.approx(np.tile(sd**2, 3), rel=0.05)
    assert found["signal_variance"].values == pytest.approx(np.tile(signal, 3), rel=0.05)
    assert found["r_squared"].values == pytest.approx(
        np.tile(signal / (signal + sd**2), 3), abs=0.01
    )
    assert found["snr_db"].values == pytest.approx(
        np.tile(10 * np.log10(signal / sd**2), 3), abs=0.2
    )
    assert found["slope"].values == pytest.approx(np.tile(1 / slope, 3), rel=0.03)
    assert not found["is_negative"].any()
    assert found["error_variance"].units == "(m3 m-3)2"
    assert found["snr_db"].units == "dB"


def test_products_are_brought_to_the_reference() -> None:
    products = make_triplet(500)
    for reference in PLANTED:
        found = triple_collocation(products, reference=reference)
        scaled = {
            name: found["slope"].sel(product=name) * array + found["offset"].sel(product=name)
            for name, array in products.items()
        }
        again = triple_collocation(scaled, reference=reference)
        np.testing.assert_allclose(again["slope"], 1.0)
        np.testing.assert_allclose(again["offset"], 0.0, atol=1e-12)
        np.testing.assert_allclose(again["error_variance"], found["error_variance_scaled"])
        np.testing.assert_allclose(again["r_squared"], found["r_squared"])
        np.testing.assert_array_equal(found["slope"].sel(product=reference), 1.0)


def test_order_and_scale_change_nothing() -> None:
    products = make_triplet(300, gaps=0.2)
    first = triple_collocation(products, reference="model")
    for names in itertools.permutations(products):
        other = triple_collocation({name: products[name] for name in names}, reference="model")
        xr.testing.assert_allclose(other.sel(product=list(products)), first, rtol=1e-10)
    stretched = products | {"model": 100 * products["model"] + 5}
    for name in ("r_squared", "snr_db"):
        np.testing.assert_allclose(triple_collocation(stretched)[name], first[name], rtol=1e-9)


def test_negative_variances_keep_their_sign() -> None:
    # by hand: s_xy s_xz / s_yz is 2 for the first, more than its variance of 1
    covariance = np.array([[1.0, 1.0, 1.0, 2.0, 0.5, 3.0]]).T
    found = collocate(covariance, 0)
    assert found["error_variance"][:, 0] == pytest.approx([-1.0, 1.5, 2.5])
    assert found["r_squared"][:, 0] == pytest.approx([2.0, 0.25, 1 / 6])
    assert found["is_negative"][:, 0].tolist() == [True, False, False]
    assert np.isnan(found["snr_db"][:, 0]).tolist() == [True, False, False]
    assert found["slope"][:, 0] == pytest.approx([1.0, 2.0, 2.0])
    covariance[4] = -0.5  # two of the three seem to be opposed: no signal
    found = collocate(covariance, 0)
    assert found["signal_variance"][:, 0] == pytest.approx([-2.0, -0.5, -0.5])
    assert found["r_squared"][:, 0] == pytest.approx([-2.0, -0.25, -1 / 6])
    assert found["is_negative"].all()


def test_a_covariance_of_nothing_gives_nan() -> None:
    found = collocate(np.array([[1.0, 1.0, 1.0, 2.0, 0.0, 3.0]]).T, 0)
    assert np.isnan(found["error_variance"][0, 0])
    assert np.isnan(found["snr_db"][0, 0])


def test_rows_with_a_gap_are_dropped_and_few_are_said() -> None:
    products = make_triplet(200, gaps=0.1)
    products["model"][90:, 0] = np.nan
    found = triple_collocation(products, draws=50, rng=np.random.default_rng(0))
    is_whole = sum(array.notnull() for array in products.values()) == 3
    np.testing.assert_array_equal(found["n"], is_whole.sum("time"))
    np.testing.assert_array_equal(found["is_too_few"], [True, False, False])
    for name in (
        "error_variance",
        "snr_db",
        "r_squared",
        "slope",
        "offset",
        "error_variance_upper",
    ):
        np.testing.assert_array_equal(found[name].isnull().all("product"), found["is_too_few"])
    whole = {name: array[:, 1].where(is_whole[:, 1], drop=True) for name, array in products.items()}
    np.testing.assert_allclose(
        triple_collocation(whole)["error_variance"], found["error_variance"][:, 1], rtol=1e-12
    )
    loose = triple_collocation(products, minimum=20)
    assert loose["error_variance"].notnull().all()


def test_agrees_with_pytesmo() -> None:
    metrics = pytest.importorskip("pytesmo.metrics")
    products = make_triplet(400, 20)
    for number, reference in enumerate(PLANTED):
        found = triple_collocation(products, reference=reference)
        for place in range(20):
            series = [array.values[:, place] for array in products.values()]
            snr, scaled_sd, slope = metrics.tcol_metrics(*series, ref_ind=number)
            here = found.isel(station=place)
            np.testing.assert_allclose(here["snr_db"], snr, rtol=1e-10)
            np.testing.assert_allclose(here["error_variance_scaled"], scaled_sd**2, rtol=1e-10)
            np.testing.assert_allclose(here["slope"], slope, rtol=1e-10)


def test_golden_numbers() -> None:
    """Of pytesmo 0.18.1: ``tcol_metrics(*series)`` for the first place of ``make_triplet(400)``."""
    found = triple_collocation(make_triplet(400)).isel(station=0)
    np.testing.assert_allclose(found["snr_db"], GOLDEN_SNR, rtol=1e-9)
    np.testing.assert_allclose(found["slope"], GOLDEN_SLOPE, rtol=1e-9)


@pytest.mark.parametrize("memory", [0.0, 0.7])
def test_intervals_cover_the_planted_error(memory: float) -> None:
    rng = np.random.default_rng(8)
    places, times = 150, 850

    def remember(sd: float) -> np.ndarray:
        values = np.zeros((times, places))
        for time in range(1, times):
            kick = rng.normal(0, sd * np.sqrt(1 - memory**2), places)
            values[time] = memory * values[time - 1] + kick
        values[rng.random(values.shape) < 0.1] = np.nan
        return values

    truth = np.nan_to_num(remember(1.0))
    sds = xr.DataArray([0.5, 0.8, 1.0], dims="product")
    products = {
        f"sd {sd}": xr.DataArray((truth + remember(sd))[50:], dims=("time", "place"))
        for sd in sds.values
    }
    truth_variance = float(np.var(truth))
    found = triple_collocation(products, draws=200, rng=np.random.default_rng(1))
    planted = {
        "error_variance": sds**2,
        "r_squared": truth_variance / (truth_variance + sds**2),
        "snr_db": 10 * np.log10(truth_variance / sds**2),
        "slope": 1.0,
    }
    for name, value in planted.items():
        is_inside = (found[f"{name}_lower"] <= value) & (value <= found[f"{name}_upper"])
        assert 0.89 <= float(is_inside.mean()) <= 0.99, name
    assert (found["block_length"] > 8).mean() == (memory > 0)


def test_draws_repeat_whatever_the_chunks() -> None:
    products = make_triplet(250, 9, gaps=0.15)
    whole = triple_collocation(products, draws=60, rng=np.random.default_rng(4))
    again = triple_collocation(products, draws=60, rng=np.random.default_rng(4))
    xr.testing.assert_identical(again, whole)
    chunked = {name: array.chunk(station=4, time=100) for name, array in products.items()}
    lazy = triple_collocation(chunked, draws=60, rng=np.random.default_rng(4))
    assert lazy["snr_db"].chunks is not None
    xr.testing.assert_identical(lazy.compute(scheduler="threads"), whole)
    other = triple_collocation(products, draws=60, rng=np.random.default_rng(5))
    assert (other["snr_db_lower"] != whole["snr_db_lower"]).any()
    np.testing.assert_array_equal(other["snr_db"], whole["snr_db"])


def test_classes_follow_the_interval() -> None:
    found = triple_collocation(make_triplet(4000), draws=100, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(found["representativeness"].sel(product="model"), 3)
    assert found["representativeness"].flag_meanings.split()[3] == "very_representative"
    snr = np.array([3.0, 2.9, 0.0, -0.1, 5.0, np.nan, 5.0])
    lower = np.array([2.0, 2.0, -1.0, -1.0, 3.0, 0.0, -np.inf])
    upper = np.array([4.0, 4.0, 1.0, 1.0, 6.5, 1.0, 6.0])
    names = [CLASSES[number] for number in classify(snr, lower, upper, np.full(7, 100.0))]
    assert names == [
        "very_representative",
        "representative",
        "representative",
        "not_representative",
        "undeducible",
        "undeducible",
        "undeducible",
    ]
    assert (classify(snr, lower, upper, np.full(7, 99.0)) == 0).all()


def test_wrong_questions_are_refused() -> None:
    products = make_triplet(120)
    rng = np.random.default_rng(0)
    with pytest.raises(RecipeProblem, match=r"products: found 4 \(.*\), expected exactly 3"):
        triple_collocation(products | {"other": products["model"]})
    with pytest.raises(UnknownName, match=r"reference 'stations': found no such name.*'station'\?"):
        triple_collocation(products, reference="stations")
    with pytest.raises(RecipeProblem, match=r"rng: found none for 100 draws. Pass numpy\.random"):
        triple_collocation(products, draws=100)
    with pytest.raises(RecipeProblem, match="draws: found 10, expected 0 or 50 or more"):
        triple_collocation(products, draws=10, rng=rng)
    with pytest.raises(RecipeProblem, match="block_length: found 0, expected 1 to 120"):
        triple_collocation(products, draws=50, rng=rng, block_length=0)
    with pytest.raises(RecipeProblem, match="minimum: found 2, expected 3 triplets or more"):
        triple_collocation(products, minimum=2)
    with pytest.raises(RecipeProblem, match="level: found 95, expected a share between 0 and 1"):
        triple_collocation(products, level=95)
    with pytest.raises(GridProblem, match="product 'model': found other times or places"):
        triple_collocation(products | {"model": products["model"][:-1]})


def test_units_may_differ() -> None:
    products = make_triplet(150)
    products["satellite"] = (100 * products["satellite"]).assign_attrs(units="%")
    found = triple_collocation(products)
    assert "units" not in found["error_variance"].attrs
    assert found["error_variance_scaled"].units == "(m3 m-3)2"
