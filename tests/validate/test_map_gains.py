"""A gain on maps has an interval that knows that neighbours err alike."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from vadose.errors import UnknownName, ValueProblem
from vadose.grids import coarsened, coordinates, latlon
from vadose.validate.map_gains import blocks_of, gain_intervals
from vadose.validate.protocol import compare

GRID = latlon(1.0, (0, -30, 60, 30))
COARSE = coarsened(GRID, 4)


def field(values: np.ndarray) -> xr.DataArray:
    times = np.datetime64("2019-01-01", "ns") + np.arange(len(values)) * np.timedelta64(1, "D")
    coords = {**coordinates(GRID), "time": times}
    return xr.DataArray(values, dims=("time", "y", "x"), coords=coords)


def errors(seed: int, side: int, days: int = 1) -> np.ndarray:
    """Give errors that are the same in squares of so many cells."""
    rng = np.random.default_rng(seed)
    rows, columns = GRID.shape
    small = rng.normal(0, 0.02, (days, rows // side, columns // side))
    return np.kron(small, np.ones((1, side, side)))


def test_two_methods_of_equal_skill_are_not_told_apart() -> None:
    truth = field(np.zeros((1, *GRID.shape)))
    fields = {"base": truth + errors(0, 4), "same": truth + errors(1, 4)}
    told = gain_intervals(fields, truth, COARSE, baselines=["base"], rng=0)
    one = told.sel(product="same", baseline="base", stratum="all")
    assert float(one["lower"]) < 0 < float(one["upper"])
    assert "225 blocks of single coarse cells" in told.attrs["interval"]


def test_the_interval_is_that_of_independent_blocks() -> None:
    """Against the delta method: the variance of the mean difference of squares over blocks."""
    truth = field(np.zeros((1, *GRID.shape)))
    own, base = errors(1, 4), errors(0, 4) * 1.3
    found = gain_intervals(
        {"base": truth + base, "own": truth + own}, truth, COARSE, baselines=["base"], rng=3
    )
    ends = found.sel(product="own", baseline="base", stratum="all")
    area = np.cos(np.deg2rad(truth["y"].values))[None, :, None]
    rmse = [
        float(np.sqrt((area * one**2).sum() / (area * np.ones_like(one)).sum()))
        for one in (base, own)
    ]
    slopes = base**2 / (2 * rmse[0]) - own**2 / (2 * rmse[1])
    per_block = slopes[0, ::4, ::4]
    half = 1.96 * per_block.std() / np.sqrt(per_block.size)
    assert float(ends["upper"] - ends["lower"]) == pytest.approx(2 * half, rel=0.12)
    assert float(ends["upper"] + ends["lower"]) / 2 == pytest.approx(
        rmse[0] - rmse[1], abs=half / 3
    )


def test_days_that_err_alike_widen_it() -> None:
    rng = np.random.default_rng(0)
    truth = field(np.zeros((40, *GRID.shape)))
    shift = np.repeat(rng.normal(0, 0.05, 8), 5)[:, None, None]
    own = truth + errors(1, 4, 40) + shift
    base = truth + errors(2, 4, 40)
    whole = gain_intervals({"base": base, "own": own}, truth, COARSE, baselines=["base"], rng=0)
    assert "blocks of 40 days" in whole.attrs["interval"]
    short = gain_intervals(
        {"base": base[:9], "own": own[:9]}, truth[:9], COARSE, baselines=["base"], rng=0
    )
    assert "days" not in short.attrs["interval"]
    width = [
        float((one["upper"] - one["lower"]).sel(product="own").max()) for one in (whole, short)
    ]
    assert width[0] > width[1]


def test_strata_have_their_own() -> None:
    truth = field(np.zeros((1, *GRID.shape)))
    is_north = truth["y"] > 0
    own = truth + errors(1, 4) * np.where(is_north, 0.5, 2.0)[:, None]
    fields = {"base": truth + errors(0, 4), "own": own}
    strata = {"north": (is_north & truth.notnull()).isel(time=0, drop=True)}
    told = gain_intervals(fields, truth, COARSE, baselines=["base"], rng=0, strata=strata)
    lower = told["lower"].sel(product="own", baseline="base")
    assert float(lower.sel(stratum="north")) > 0 > float(lower.sel(stratum="all"))
    score = compare(fields, truth, COARSE, strata=strata)
    by_hand = compare({name: one.where(is_north) for name, one in fields.items()}, truth, COARSE)
    for metric in ("rmse", "r", "n"):
        xr.testing.assert_allclose(
            score[metric].sel(stratum="north", view="pooled", drop=True),
            by_hand[metric].sel(view="pooled", drop=True),
        )
    assert float(score["share"].sel(stratum="north")) == pytest.approx(0.5)


def test_few_blocks_and_days_have_no_interval() -> None:
    truth = field(np.zeros((1, *GRID.shape))).where(lambda one: (one["x"] < 8) & (one["y"] > 22))
    told = gain_intervals(
        {"base": truth + 1, "own": truth}, truth, COARSE, baselines=["base"], rng=0
    )
    assert told["lower"].isnull().all()
    assert told.attrs["interval"] == ""


def test_squares_grow_as_long_as_enough_are_left() -> None:
    owner, side = blocks_of(np.ones((80, 80), bool), {"y": 4, "x": 4}, least=20)
    assert side == 4
    assert owner.max() == 24
    assert len(np.unique(owner[:16, :16])) == 1


def test_what_cannot_be_is_said() -> None:
    truth = field(np.zeros((1, *GRID.shape)))
    with pytest.raises(UnknownName, match="nearest"):
        gain_intervals({"own": truth}, truth, COARSE, baselines=["nearest"], rng=0)
    with pytest.raises(ValueProblem, match="between 0 and 1"):
        gain_intervals({"own": truth}, truth, COARSE, baselines=["own"], rng=0, level=95)
