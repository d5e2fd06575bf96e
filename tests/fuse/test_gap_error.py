"""Errors of filled values grow with age where they do, cover what they say, and are learned from hidden values."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from vadose.errors import ModelProblem, ValueProblem
from vadose.fuse.gap_error import GapError, variability
from vadose.grids import coordinates, latlon
from vadose.samples.gaps import gap_ages


def made(
    days: int = 150, side: int = 36, *, seed: int = 0
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Give an estimate, a record and hidden values; the error's sd is .01 times the days to an observation."""
    rng = np.random.default_rng(seed)
    grid = latlon(1.0, (0.0, 0.0, float(side), float(side)))
    stamps = np.datetime64("2020-01-01") + np.arange(days)
    coords = {**coordinates(grid), "time": stamps.astype("M8[ns]")}
    shape = (days, side, side)
    truth = xr.DataArray(0.25 + 0.05 * rng.standard_normal(shape), coords, ("time", "y", "x"))
    phase = rng.integers(0, 7, (side, side))
    hidden = truth.copy(data=(np.arange(days)[:, None, None] + phase) % 7 < 5)
    ages = gap_ages(~hidden)["nearest"].fillna(9).values
    estimate = truth + 0.01 * np.clip(ages, 1, 9) * rng.standard_normal(shape)
    return estimate, truth, hidden


def test_the_error_grows_with_age_as_it_was_made_to() -> None:
    estimate, truth, hidden = made()
    error = GapError().fit(estimate, truth, hidden)
    known = truth.where(~hidden)
    told = error.tell(estimate, known)["soil_moisture_uncertainty"].values
    ages = gap_ages(known.notnull())["nearest"].values
    for age in (1, 2, 3):
        assert told[ages == age].mean() == pytest.approx(0.01 * age, rel=0.12)


def test_intervals_cover_what_they_say_in_another_record() -> None:
    error = GapError(level=0.9).fit(*made(seed=1))
    assert error.coverage_ == pytest.approx(0.9, abs=0.03)
    estimate, truth, hidden = made(seed=2)
    told = error.tell(estimate, truth.where(~hidden))
    asked = hidden.values
    lower, upper = (told[f"soil_moisture_{end}"].values[asked] for end in ("lower", "upper"))
    inside = (truth.values[asked] >= lower) & (truth.values[asked] <= upper)
    assert inside.mean() == pytest.approx(0.9, abs=0.03)


def test_seasons_and_covers_have_their_own_errors() -> None:
    estimate, truth, hidden = made(days=240)
    is_summer = truth["time"].dt.month.isin([6, 7, 8])
    cover = xr.ones_like(truth.isel(time=0, drop=True)).where(truth["x"] < 18, 2.0)
    worse = truth + (estimate - truth) * xr.where(is_summer, 2.0, 1.0) * xr.where(
        cover == 2, 3.0, 1.0
    )
    error = GapError().fit(worse.transpose(*truth.dims), truth, hidden, cover)
    season, covers = error.factors_["season"], error.factors_["cover"]
    # 2 and 3, drawn towards 1 as far as blocks are few
    assert 1.6 < season["JJA"] / season["DJF"] < 2.1
    assert 2.3 < covers["2"] / covers["1"] < 3.1


def test_observed_values_have_no_error_of_filling() -> None:
    estimate, truth, hidden = made(days=40)
    known = truth.where(~hidden)
    told = GapError().fit(estimate, truth, hidden).tell(estimate, known)
    for field in told.values():
        assert np.isnan(field.values[~hidden.values]).all()


def test_variability_is_that_of_the_map_where_little_is_known() -> None:
    _, truth, _ = made(days=60, side=4)
    few = truth.where(~((truth["x"] == truth["x"][0]) & (truth["time"] > truth["time"][0])))
    found = variability(few)
    assert float(found[0, 0]) == pytest.approx(0.05, rel=0.1)
    never = variability(truth.where(truth["x"] > truth["x"][0]))
    assert np.isfinite(never.values).all()


def test_too_little_and_no_fit_are_refused() -> None:
    estimate, truth, hidden = made(days=10, side=4)
    few = hidden & (hidden["x"] == hidden["x"][0]) & (hidden["y"] == hidden["y"][0])
    with pytest.raises(ValueProblem, match="40 or more"):
        GapError().fit(estimate, truth, few)
    with pytest.raises(ModelProblem, match="Call fit first"):
        GapError().tell(estimate, truth)
