"""Optimal interpolation against kriging with all observations at once, and what is learned on top of it."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from vadose.errors import ValueProblem
from vadose.fuse.gapfill import stacked
from vadose.fuse.gapfill.covariance import BOUNDS, Covariance, Systems, fit_covariance, solve
from vadose.fuse.gapfill.features import gap_features, smooth_fields
from vadose.fuse.gapfill.lines import fit_lines
from vadose.fuse.gapfill.optimal import OptimalInterpolation, scaled_residual, summed_change
from vadose.fuse.gapfill.records import Record
from vadose.fuse.gapfill.stacked import Stacked
from vadose.synthetic import world


def small_record(seed: int = 0, shape: tuple[int, ...] = (3, 3, 3)) -> Record:
    rng = np.random.default_rng(seed)
    told = rng.uniform(0.1, 0.4, shape)
    seen = 0.05 + 0.8 * told + rng.normal(0, 0.03, shape)
    seen[rng.random(shape) < 0.3] = np.nan
    return Record(seen, told, np.arange(float(len(told))))


def test_it_is_kriging_where_all_observations_are_neighbours() -> None:
    record = small_record()
    record.observed[1, 1, 1] = np.nan
    lines = fit_lines(record)
    filler = OptimalInterpolation(neighbours=27)
    filler.covariance_ = covariance = Covariance(wetting=0.7, noise=0.2)
    wanted = np.zeros(record.observed.shape, bool)
    wanted[1, 1, 1] = True
    estimate, variance = filler.estimate(record, wanted, lines)

    residual, change = scaled_residual(record, lines), summed_change(record, lines)
    t, y, x = np.nonzero(np.isfinite(residual))
    at = np.stack([record.days[t], y, x], axis=1)
    moved = change[t, y, x] - change[1, y, x]
    among = np.empty((len(at), len(at)))
    for i in range(len(at)):
        for j in range(len(at)):
            among[i, j] = covariance.between(
                np.abs(at[i, 0] - at[j, 0]),
                np.abs(moved[i] - moved[j]),
                np.hypot(*(at[i, 1:] - at[j, 1:])),
            )
    towards = covariance.between(
        np.abs(at[:, 0] - 1), np.abs(moved), np.hypot(at[:, 1] - 1, at[:, 2] - 1)
    )
    weights = np.linalg.solve(among + 0.2 * np.eye(len(at)), towards)
    spread = lines.spread[1, 1]
    wished = lines.apply(record.modelled)[1, 1, 1] + spread * weights @ residual[t, y, x]
    assert estimate[0] == pytest.approx(wished, abs=1e-10)
    assert variance[0] == pytest.approx(
        spread**2 * (covariance.variance - weights @ towards), abs=1e-10
    )


def test_places_without_an_observation_change_nothing() -> None:
    rng = np.random.default_rng(0)
    place = {name: rng.normal(size=(4, 3)) for name in ("day", "change", "y", "x", "value")}
    short = Systems(**place, is_there=np.ones((4, 3)))
    padded = Systems(
        **{name: np.pad(one, ((0, 0), (0, 2))) for name, one in place.items()},
        is_there=np.pad(np.ones((4, 3)), ((0, 0), (0, 2))),
    )
    for one, other in zip(solve(short, Covariance()), solve(padded, Covariance()), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_likelihood_finds_the_memory_that_values_were_drawn_with() -> None:
    rng = np.random.default_rng(4)
    steps, count = np.arange(6.0), 1500
    target = 3
    for days in (1.0, 6.0):
        values = np.linalg.cholesky(
            np.exp(-np.abs(steps[:, None] - steps) / days) + 0.05 * np.eye(6)
        ) @ rng.normal(size=(6, count))
        others = np.delete(np.arange(6), target)
        nothing = np.zeros((count, 5))
        systems = Systems(
            day=np.broadcast_to(others - target, (count, 5)).astype("f8"),
            change=nothing,
            y=nothing,
            x=nothing,
            value=values[others].T,
            is_there=np.ones((count, 5)),
        )
        found = fit_covariance(systems, values[target], Covariance(slow=2e-3, overpass=2e-4))
        assert found.weather_days == pytest.approx(days, rel=0.5)
        estimate, variance = solve(systems, found)
        squares = (values[target] - estimate) ** 2 / (variance + found.noise)
        assert squares.mean() == pytest.approx(1.0)


def test_bounds_are_those_of_the_covariance() -> None:
    assert len(BOUNDS) == len(Covariance.__dataclass_fields__)


def test_rain_in_the_model_ends_memory() -> None:
    told = np.full((3, 1, 1), 0.2)
    told[2] = 0.4
    seen = np.array([0.3, np.nan, 0.1]).reshape(3, 1, 1)
    record = Record(seen, told, np.arange(3.0))
    lines = fit_lines(Record(told, told, np.arange(3.0)))
    lines.spread[:] = 0.05
    change = summed_change(record, lines)
    assert change[1, 0, 0] == 0
    assert change[2, 0, 0] > 1


def test_spread_grows_with_the_way_to_the_next_observation() -> None:
    made = world(size=32, days=20, factor=4, seed=0)
    satellite, model = made.coarse["soil_moisture"].copy(), made.land_model
    satellite[5:15] = np.nan
    filler = OptimalInterpolation(targets=100).fit(satellite, model)
    spread = filler.spread(satellite, model)
    at_rim, inside = spread.isel(time=5).mean(), spread.isel(time=10).mean()
    assert float(at_rim) < float(inside)
    assert float(spread.min()) > 0


def test_features_of_a_hidden_value_do_not_depend_on_it() -> None:
    record = small_record(1, (8, 6, 6))
    hidden = np.zeros(record.observed.shape, bool)
    hidden[3:5, 2:5, 1:4] = True
    other = Record(np.where(hidden, 0.9, record.observed), record.modelled, record.days)
    filler = OptimalInterpolation(neighbours=8)
    filler.covariance_ = Covariance()
    tables = []
    for one in (record.hide(hidden), other.hide(hidden)):
        lines = fit_lines(one)
        tables.append(gap_features(one, lines, filler, smooth_fields(one, lines), hidden)[0])
    np.testing.assert_array_equal(*tables)
    assert tables[0].shape[0] == hidden.sum()


def test_stripes_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    record = small_record(2, (6, 90, 4))
    days = np.datetime64("2019-01-01", "ns") + np.arange(6) * np.timedelta64(1, "D")
    coords = {"time": days, "y": np.arange(90.0), "x": np.arange(4.0)}
    satellite, told = (
        xr.DataArray(one, dims=("time", "y", "x"), coords=coords)
        for one in (record.observed, record.modelled)
    )
    model = told.to_dataset(name="soil_moisture")
    filler = Stacked(
        draws=4, members=2, trees=5, leaf=10, optimal=OptimalInterpolation(targets=60)
    ).fit(satellite, model)
    filler.trust_ = 1.0
    whole = filler.fill(satellite, model)
    monkeypatch.setattr(stacked, "STRIPE", 20)
    np.testing.assert_allclose(filler.fill(satellite, model), whole, rtol=1e-6)


def test_too_little_to_learn_from_leaves_optimal_interpolation() -> None:
    made = world(size=16, days=8, factor=4, seed=0)
    satellite, model = made.coarse["soil_moisture"], made.land_model
    filler = Stacked(optimal=OptimalInterpolation(targets=30)).fit(satellite, model)
    assert filler.members_ == []
    np.testing.assert_allclose(
        filler.fill(satellite, model), filler.optimal_.fill(satellite, model), rtol=1e-6
    )


def test_there_are_draws_for_every_member() -> None:
    made = world(size=16, days=8, factor=4, seed=0)
    with pytest.raises(ValueProblem, match="draws=3, members=6, expected two or more members"):
        Stacked(draws=3, members=6).fit(made.coarse["soil_moisture"], made.land_model)
