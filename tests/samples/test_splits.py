"""Splits of maps and periods: parts that stay apart, seeds that hold, and scores that do not flatter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from sklearn.neighbors import KNeighborsRegressor

import vadose.synthetic
from vadose.errors import CubeProblem, UnknownName, ValueProblem
from vadose.grids import coordinates, grid_of, latlon
from vadose.samples import (
    SCHEMES,
    Split,
    folds,
    random,
    space_time,
    spatial_blocks,
    split,
    time_blocks,
)
from vadose.samples.blocks import near

GRID = latlon(1.0, (0.0, 40.0, 16.0, 52.0))
YEAR = pd.date_range("2019-01-01", "2019-12-31")


def on(grid: Any, days: int) -> xr.Dataset:
    """Make a cube without variables."""
    return xr.Dataset(
        coords={"time": pd.date_range("2019-01-01", periods=days), **coordinates(grid)}
    )


def bits(parts: Split) -> list[bytes]:
    fields = (parts.train, parts.validation, parts.test, parts.groups)
    return [field.values.tobytes() for field in fields]


# --- space ---


@given(
    block=st.integers(1, 5),
    buffer=st.integers(0, 2),
    count=st.integers(2, 5),
    fold=st.integers(0, 4),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_cells_lie_between_training_and_what_is_held_out(
    block: int, buffer: int, count: int, fold: int, seed: int
) -> None:
    try:
        parts = spatial_blocks(
            GRID, rng=seed, block=block, folds=count, fold=fold % count, buffer=buffer
        )
    except ValueProblem as problem:
        assert "nothing left to train on" in str(problem)  # noqa: PT017
        return
    place = {name: np.argwhere(part.values) for name, part in parts.parts.items()}
    for first, second in (("train", "test"), ("train", "validation"), ("validation", "test")):
        apart = np.abs(place[first][:, None] - place[second][None]).max(axis=-1)
        assert apart.size == 0 or apart.min() > buffer
    # whole blocks are tested
    tested = {int(number) for number in parts.groups.values[parts.test.values]}
    np.testing.assert_array_equal(np.isin(parts.groups.values, list(tested)), parts.test.values)
    assert (parts.validation.values.any()) <= (count > 2)


def test_what_is_far_enough_is_learned_from() -> None:
    parts = spatial_blocks(GRID, rng=0, block=4, folds=2, buffer=1)
    dropped = ~(parts.train | parts.validation | parts.test).values
    test = np.argwhere(parts.test.values)
    apart = np.abs(np.argwhere(np.ones((12, 16)))[:, None] - test[None]).max(axis=-1).min(axis=1)
    np.testing.assert_array_equal(dropped.ravel(), apart == 1)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_buffer_goes_round_the_earth(seed: int) -> None:
    parts = spatial_blocks(latlon(10.0), rng=seed, block=6, folds=4, buffer=2)
    test = np.argwhere(parts.test.values)
    train = np.argwhere(parts.train.values)
    away = np.abs(train[:, None] - test[None])
    away[..., 1] = np.minimum(away[..., 1], 36 - away[..., 1])
    assert away.max(axis=-1).min() == 3


def test_only_a_grid_round_the_earth_has_no_ends() -> None:
    mask = np.zeros((18, 36), dtype=bool)
    mask[:, :6] = True
    assert near(mask, 2, wraps=True)[:, -2:].all()
    assert not near(mask, 2)[:, -2:].any()
    assert near(mask, 99, wraps=True).all()


def test_cells_that_do_not_count_are_in_no_part() -> None:
    land = xr.DataArray(np.arange(16)[:, None] + np.arange(12) < 14, dims=("x", "y"))
    parts = [*folds(on(GRID, 1), "space", rng=0, block=4, buffer=0, where=land)]
    tested = sum(part.test.astype(int) for part in parts)
    np.testing.assert_array_equal(tested, land.transpose("y", "x"))
    assert not any((part.train.values & ~land.T.values).any() for part in parts)
    blocks = [len(np.unique(part.groups.values[part.test.values])) for part in parts]
    assert max(blocks) - min(blocks) <= 1
    with pytest.raises(CubeProblem, match="where: found"):
        spatial_blocks(GRID, rng=0, block=4, where=land.isel(x=slice(3)))


# --- time ---


@given(
    days=st.integers(1, 90),
    gap=st.integers(0, 40),
    count=st.integers(2, 5),
    seed=st.integers(0, 99),
    hours=st.sampled_from([6, 24, 72]),
)
@settings(max_examples=40, deadline=None)
def test_days_lie_between_training_and_what_is_held_out(
    days: int, gap: int, count: int, seed: int, hours: int
) -> None:
    times = pd.date_range("2019-01-01", "2019-12-31", freq=f"{hours}h")
    try:
        parts = time_blocks(times, rng=seed, days=days, gap=gap, folds=count)
    except ValueProblem as problem:
        assert "nothing left to train on" in str(problem)  # noqa: PT017
        return
    day = np.asarray(times.values.astype("datetime64[D]").astype(int))
    for first, second in (("train", "test"), ("train", "validation"), ("validation", "test")):
        apart = np.abs(np.subtract.outer(day[parts.parts[first]], day[parts.parts[second]]))
        assert apart.size == 0 or apart.min() > gap


def test_periods_have_their_length_and_the_gap_is_no_longer_than_asked_for() -> None:
    parts = time_blocks(YEAR, rng=0, days=60, gap=30, folds=2)
    number = parts.groups.to_series()
    assert (number.groupby(number).size()[:-1] == 60).all()
    day = np.arange(365)
    apart = np.abs(np.subtract.outer(day, day[parts.test.values])).min(axis=1)
    np.testing.assert_array_equal(parts.train.values, apart > 30)


# --- both ---


def test_space_and_time_are_both_new_to_the_test() -> None:
    cube = on(GRID, 365)
    for parts in folds(cube, "space_time", rng=1, block=4, buffer=1, days=40, gap=10, folds=4):
        assert parts.test.dims == ("time", "y", "x")
        train, test = parts.train.values, parts.test.values
        assert not (train.any(axis=0) & test.any(axis=0)).any()
        assert not (train.any(axis=(1, 2)) & test.any(axis=(1, 2))).any()
        time = np.flatnonzero(train.any(axis=(1, 2)))[:, None] - np.flatnonzero(
            test.any(axis=(1, 2))
        )
        assert np.abs(time).min() > 10
        assert parts.groups.dims == ("y", "x")
        assert "spatial blocks" in parts.title
        assert "periods of 40 days" in parts.title


# --- random ---


def test_random_draws_the_shares_and_says_that_it_flatters() -> None:
    parts = random(on(GRID, 50), rng=0)
    total = 50 * 12 * 16
    assert [int(part.sum()) for part in parts.parts.values()] == [6720, 1440, 1440]
    assert sum(int(part.sum()) for part in parts.parts.values()) == total
    assert parts.is_optimistic
    assert "7:1.5:1.5 (optimistic: " in parts.title
    assert len(np.unique(parts.groups)) == 10
    assert random(on(GRID, 1).isel(time=0, drop=True), rng=0).train.dims == ("y", "x")
    assert not any(
        split(on(GRID, 365), name, rng=0, **some).is_optimistic
        for name, some in (("space", {"block": 4}), ("time", {}), ("space_time", {"block": 4}))
    )


def test_random_does_not_part_the_hours_of_a_day() -> None:
    cube = xr.Dataset(
        coords={
            "time": pd.date_range("2019-01-01T03:00", periods=40, freq="6h"),
            **coordinates(GRID),
        }
    )
    parts = random(cube, rng=0, shares=(0.5, 0.2, 0.3))
    for part in parts.parts.values():
        daily = part.groupby(part["time"].dt.floor("D")).mean()
        assert set(np.unique(daily)) == {0.0, 1.0}


def field_of_range(size: int, cells: float, seed: int) -> np.ndarray:
    """Draw a Gaussian field with correlation exp(−(d / 2 cells)²), standard deviation 1."""
    noise = np.random.default_rng(seed).standard_normal((size, size))
    field = gaussian_filter(noise, cells, mode="wrap")
    return np.asarray((field - field.mean()) / field.std())


def test_random_is_too_good_and_blocked_is_not() -> None:
    size, half = 120, 60
    grid = latlon(1.0, (0.0, 0.0, 60.0, 60.0))
    place = np.argwhere(np.ones((half, half)))

    def rmse(parts: Split, values: np.ndarray) -> float:
        train, test = parts.train.values.ravel(), parts.test.values.ravel()
        model = KNeighborsRegressor(4).fit(place[train], values.ravel()[train])
        return float(((model.predict(place[test]) - values.ravel()[test]) ** 2).mean())

    blocked, drawn, truth = [], [], []
    for seed in range(4):
        field = field_of_range(size, 3.0, seed)
        known = field[:half, :half]
        cube = on(grid, 1).isel(time=0, drop=True)
        drawn.append(rmse(random(cube, rng=seed), known))
        for parts in folds(cube, "space", rng=seed, block=20, buffer=6, folds=4):
            blocked.append(rmse(parts, known))
        # a fresh area, 20 cells wide and 6 cells away from the known one, as the blocks are
        fresh = np.argwhere(np.ones((half, 20))) + np.array([0, half + 6])
        model = KNeighborsRegressor(4).fit(place, known.ravel())
        truth.append(float(((model.predict(fresh) - field[fresh[:, 0], fresh[:, 1]]) ** 2).mean()))
    actual = np.sqrt(np.mean(truth))
    assert np.sqrt(np.mean(drawn)) < 0.3 * actual
    assert 0.8 * actual < np.sqrt(np.mean(blocked)) < 1.25 * actual


# --- all schemes ---

SETTINGS: dict[str, dict[str, Any]] = {
    "space": {"block": 3},
    "time": {"days": 20, "gap": 5},
    "space_time": {"block": 3, "days": 20, "gap": 5},
    "stations": {"folds": 3},
    "network": {},
    "random": {},
}


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    return on(GRID, 200)


@pytest.fixture(scope="module")
def stations() -> xr.Dataset:
    return vadose.synthetic.world(size=16, days=2, factor=4, stations=30).stations


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_seed_alone_decides(scheme: str, cube: xr.Dataset, stations: xr.Dataset) -> None:
    data = stations if scheme in ("stations", "network") else cube
    first = split(data, scheme, rng=5, **SETTINGS[scheme])
    assert first.scheme == scheme
    lazy = xr.Dataset(
        {"ndvi": (tuple(data.sizes), np.zeros(tuple(data.sizes.values())))}, coords=data.coords
    ).chunk(dict.fromkeys(data.sizes, 3))
    assert bits(first) == bits(split(lazy, scheme, rng=5, **SETTINGS[scheme]))
    assert bits(first) == bits(
        split(data, scheme, rng=np.random.default_rng(5), **SETTINGS[scheme])
    )
    if scheme != "network":
        assert bits(first) != bits(split(data, scheme, rng=6, **SETTINGS[scheme]))


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name != "random"])
@pytest.mark.parametrize("rng", [7, np.random.default_rng(7)], ids=["seed", "generator"])
def test_everything_is_tested_once(
    scheme: str, rng: Any, cube: xr.Dataset, stations: xr.Dataset
) -> None:
    data = stations if scheme in ("stations", "network") else cube
    parts = list(folds(data, scheme, rng=rng, **SETTINGS[scheme]))
    tested = sum(part.test.astype(int) for part in parts)
    if scheme == "space_time":  # each cell and each day
        assert (tested.max("time") == 1).all()
        assert (tested.max(("y", "x")) == 1).all()
    else:
        assert (tested == 1).all()
    assert len({part.title for part in parts}) == len(parts)


def test_random_has_one_fold(cube: xr.Dataset) -> None:
    (only,) = folds(cube, "random", rng=7)
    assert bits(only) == bits(random(cube, rng=7))


def test_masks_lie_on_the_cube(cube: xr.Dataset) -> None:
    parts = split(cube, "space_time", rng=0, **SETTINGS["space_time"])
    assert grid_of(parts.train) == GRID
    xr.testing.assert_equal(parts.train["time"], cube["time"])


# --- what is refused ---


@pytest.mark.parametrize(
    ("scheme", "settings", "message"),
    [
        ("space", {"block": 9}, "found 4 blocks for 5 folds, expected one or more for each fold"),
        ("space", {"block": 4, "buffer": 9}, r"spatial blocks .*nothing left to train on.*smaller"),
        ("space", {"block": 0}, "block: found 0, expected 1 or more"),
        ("space", {"block": 4, "buffer": -1}, "buffer: found -1, expected 0 or more"),
        ("space", {"block": 4, "folds": 1}, "folds: found 1, expected 2 or more"),
        ("space", {"block": 4, "fold": 5}, "fold: found 5, expected 0 to 4"),
        ("time", {"gap": 200}, "gap: found 200 days in a record of 200 days, expected a shorter"),
        ("time", {"days": 100}, "found 2 periods of 100 days for 5 folds"),
        ("time", {"days": 20, "gap": 150}, "nothing left to train on"),
        ("random", {"shares": (0.7, 0.3)}, "shares: found"),
        ("random", {"shares": (0.7, 0.2, 0.2)}, "add up to 1"),
        ("random", {"shares": (0.9, 0.1, 0.0)}, "random 9:1:0 .*: found an empty test part"),
    ],
)
def test_impossible_settings_are_refused(
    scheme: str, settings: dict[str, Any], message: str, cube: xr.Dataset
) -> None:
    with pytest.raises(ValueProblem, match=message):
        split(cube, scheme, rng=0, **settings)


def test_unknown_names_are_refused(cube: xr.Dataset) -> None:
    with pytest.raises(UnknownName, match=r"scheme 'spcae'.*Did you mean 'space'"):
        split(cube, "spcae", rng=0)
    with pytest.raises(UnknownName, match=r"setting of scheme 'time': 'dys'.*Did you mean 'days'"):
        split(cube, "time", rng=0, dys=3)
    with pytest.raises(UnknownName, match="setting of scheme 'random'"):
        list(folds(cube, "random", rng=0, folds=3))
    with pytest.raises(CubeProblem, match="cube: found no time"):
        split(cube.isel(time=0, drop=True), "time", rng=0)
    with pytest.raises(CubeProblem, match="times: found 3 of int64"):
        time_blocks(np.arange(3), rng=0)  # type: ignore[arg-type]
    with pytest.raises(CubeProblem, match="expected y, x and spatial_ref"):
        split(cube.drop_vars("spatial_ref"), "space", rng=0, block=3)


def test_a_split_never_overlaps() -> None:
    some = xr.DataArray([True, False, True], dims="time")
    none = xr.zeros_like(some)
    with pytest.raises(ValueProblem, match="by hand: found 1 places in two parts"):
        Split(some, none, xr.DataArray([False, True, True], dims="time"), none, "own", "by hand")
    with pytest.raises(CubeProblem, match=r"split, test: found int64 of .* expected true or false"):
        Split(some, none, some.astype("int64"), none, "own", "by hand")


def test_space_time_can_be_called_by_itself(cube: xr.Dataset) -> None:
    by_name = split(cube, "space_time", rng=2, **SETTINGS["space_time"])
    assert bits(by_name) == bits(space_time(cube, rng=2, **SETTINGS["space_time"]))
