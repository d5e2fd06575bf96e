"""Gains are paired, positive where the product is better, and exactly 0 where it is the coarse input."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from vadose.errors import UnknownName, ValueProblem
from vadose.validate.gain import partial_gains
from vadose.validate.paired import DELTAS, PARTIAL, gains_over, gains_over_stations
from vadose.validate.statistics import moments, moments_along


def matchup(stations: int = 12, days: int = 120, seed: int = 0) -> xr.Dataset:
    """Make a coarse input that is noisy, too flat and biased, its copy, and a product with half of that."""
    rng = np.random.default_rng(seed)
    reading = 0.25 + 0.05 * rng.standard_normal((stations, days))
    noise = 0.03 * rng.standard_normal(reading.shape)
    coarse = 0.6 * reading + 0.13 + noise
    better = 0.8 * reading + 0.06 + noise / 2
    is_pair = rng.random(reading.shape) < 0.8
    return xr.Dataset(
        {
            "value": (("product", "station", "time"), np.stack([coarse, coarse.copy(), better])),
            "reading": (("station", "time"), np.where(is_pair, reading, np.nan)),
            "is_pair": (("station", "time"), is_pair),
            "n": (("product", "station"), np.stack([is_pair.sum(axis=1)] * 3)),
        },
        coords={
            "product": ["nearest", "copy", "better"],
            "station": [f"S{number}" for number in range(stations)],
            "network": ("station", [f"N{number // 4}" for number in range(stations)]),
        },
    )


def test_a_product_equal_to_the_coarse_input_gains_exactly_nothing() -> None:
    gains = gains_over(matchup(), "nearest")
    for name in (*PARTIAL, *DELTAS):
        assert (gains[name].sel(product=["nearest", "copy"]) == 0).all(), name
    over = gains_over_stations(gains, rng=0, cluster="network").sel(product="copy")
    for part in ("median", "lower", "upper", "share_better"):
        assert (over[part] == 0).all(), part


def test_a_better_product_gains_in_everything() -> None:
    over = gains_over_stations(gains_over(matchup(), "nearest"), rng=0).sel(product="better")
    assert (over["lower"] > 0).all()
    assert (over["lower"] <= over["median"]).all()
    assert (over["median"] <= over["upper"]).all()
    assert (over["share_better"] > 0.8).all()


def test_gains_are_those_of_a_plain_computation() -> None:
    pairs = matchup()
    gains = gains_over(pairs, "nearest").sel(product="better")
    for place in range(12):
        sample = pairs["is_pair"].values[place]
        o = pairs["reading"].values[place, sample]
        coarse, better = (pairs["value"].values[row, place, sample] for row in (0, 2))
        parts = []
        for name, ideal, score in (
            ("g_slope", 1, lambda p, o=o: np.polyfit(o, p, 1)[0]),
            ("g_r", 1, lambda p, o=o: np.corrcoef(p, o)[0, 1]),
            ("g_bias", 0, lambda p, o=o: (p - o).mean()),
        ):
            far, near = abs(score(coarse) - ideal), abs(score(better) - ideal)
            parts.append((far - near) / (far + near))
            assert float(gains[name][place]) == pytest.approx(parts[-1], rel=1e-9)
        assert float(gains["gain_mean"][place]) == pytest.approx(np.mean(parts))
        rmse = [np.sqrt(((p - o) ** 2).mean()) for p in (coarse, better)]
        assert float(gains["delta_rmse"][place]) == pytest.approx(rmse[0] - rmse[1])
        spread = [(p - o).std() for p in (coarse, better)]
        assert float(gains["delta_ubrmse"][place]) == pytest.approx(spread[0] - spread[1])
    assert "definition not verified" in gains.attrs["partial_gains"]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0, 3), shift=st.floats(-0.2, 0.2))
def test_partial_gains_lie_between_their_bounds_and_change_sign_with_the_roles(
    seed: int, scale: float, shift: float
) -> None:
    rng = np.random.default_rng(seed)
    reading, other = rng.random((2, 20))
    pair = moments(scale * reading + shift, reading), moments(other, reading)
    there, back = partial_gains(*pair), partial_gains(*pair[::-1])
    for name, gain in there.items():
        assert -1 <= gain <= 1
        assert back[name] == pytest.approx(-gain)


def test_two_perfect_products_and_a_flat_one() -> None:
    reading = np.array([0.1, 0.3, 0.2])
    perfect, flat = moments(reading, reading), moments(np.full(3, 0.2), reading)
    assert set(partial_gains(perfect, perfect).values()) == {0.0}
    gains = partial_gains(perfect, flat)
    # the slope of a flat field is 0 and its R counts as 0; both are unbiased
    assert gains["g_slope"] == pytest.approx(1.0)
    assert gains["g_r"] == pytest.approx(1.0)
    empty = moments_along(np.zeros((1, 3)), reading, np.zeros((1, 3), bool))
    assert np.isnan(partial_gains(empty, empty)["gain_mean"]).all()


def test_a_stuck_sensor_is_left_out_and_counted() -> None:
    pairs = matchup()
    pairs["reading"].values[3] = 0.2
    gains = gains_over(pairs, "nearest")
    assert gains["is_used"].values.tolist() == [place != 3 for place in range(12)]
    assert gains.attrs["stations_that_do_not_vary"] == 1
    over = gains_over_stations(gains, rng=0)
    assert over.attrs["stations"] == 11
    assert over["median"].notnull().all()


def test_medians_of_draws_are_those_of_repeated_stations() -> None:
    """Draws of stations one by one and by network, against numpy on stations that are written out."""
    gains = gains_over(matchup(), "nearest")
    values = gains["delta_rmse"].sel(product="better").values
    for cluster, group in ((None, np.arange(12)), ("network", np.arange(12) // 4)):
        found = gains_over_stations(gains, rng=5, draws=300, cluster=cluster)
        groups = group.max() + 1
        share = np.full(groups, 1 / groups)
        drawn = np.random.default_rng(5).multinomial(groups, share, size=300)
        medians = [np.median(np.repeat(values, times[group])) for times in drawn]
        own = found.sel(product="better", gain="delta_rmse")
        expected = np.quantile(medians, [0.025, 0.975])
        assert np.allclose([own["lower"], own["upper"]], expected, rtol=1e-12)
        assert found.attrs["groups"] == groups


def test_whole_networks_make_wider_intervals_than_single_stations() -> None:
    pairs = matchup(stations=24)
    # each network of four has an offset of its own
    offsets = np.repeat(np.random.default_rng(1).normal(0, 0.05, 6), 4)
    pairs["value"].values[2] += offsets[:, None]
    gains = gains_over(pairs, "nearest")
    alone, together = (
        gains_over_stations(gains, rng=0, cluster=cluster).sel(
            product="better", gain="delta_absolute_bias"
        )
        for cluster in (None, "network")
    )
    assert float(together["upper"] - together["lower"]) > float(alone["upper"] - alone["lower"])
    assert float(together["median"]) == float(alone["median"])


def test_one_network_or_no_station_has_no_interval() -> None:
    pairs = matchup(stations=4)
    one = gains_over_stations(gains_over(pairs, "nearest"), rng=0, cluster="network")
    assert one["median"].notnull().all()
    assert one["lower"].isnull().all()
    none = gains_over_stations(gains_over(pairs, "nearest", minimum_pairs=1000), rng=0)
    assert none.attrs["stations"] == 0
    assert none["median"].isnull().all()


def test_wrong_names_and_numbers_are_refused() -> None:
    gains = gains_over(matchup(), "nearest")
    with pytest.raises(UnknownName, match="coarse input 'smooth': found no such name"):
        gains_over(matchup(), "smooth")
    with pytest.raises(UnknownName, match=r"coordinate 'netwrk'.*Did you mean 'network'"):
        gains_over_stations(gains, rng=0, cluster="netwrk")
    with pytest.raises(ValueProblem, match="level: found 95, expected between 0 and 1"):
        gains_over_stations(gains, rng=0, level=95)
    with pytest.raises(ValueProblem, match="draws: found 0"):
        gains_over_stations(gains, rng=0, draws=0)
