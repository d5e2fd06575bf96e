"""The filter equals its definition and closed forms, and finds the time constant that made a series."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import vadose.synthetic
from vadose.cubes.exponential_filter import (
    CANDIDATES,
    LEAST,
    exponential_filter,
    fit_time_constant,
)
from vadose.errors import CubeProblem, ModelProblem, RecipeProblem


def series(values: np.ndarray, days: np.ndarray | None = None) -> xr.DataArray:
    """Give values of dims ``time[, y, x]``, on consecutive days unless told otherwise."""
    days = np.arange(len(values)) if days is None else days
    times = pd.Timestamp("2019-01-01") + pd.to_timedelta(days, unit="D")
    dims = ("time", "y", "x")[: np.ndim(values)]
    return xr.DataArray(
        values, dims=dims, coords={"time": times}, name="soil_moisture", attrs={"units": "m3 m-3"}
    )


def by_definition(values: list[float], days: list[float], constant: float) -> list[float]:
    """Weigh all values so far, as Wagner et al. write it, without any recursion."""
    result = []
    for now in days:
        past = [
            (value, math.exp(-(now - day) / constant))
            for value, day in zip(values, days, strict=True)
            if day <= now and not math.isnan(value)
        ]
        total = sum(weight for _, weight in past)
        result.append(sum(v * w for v, w in past) / total if past else math.nan)
    return result


# --- the filter ---


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 30),
    share=st.sampled_from([0.0, 0.3, 0.9]),
    constant=st.floats(0.3, 60.0),
)
def test_equals_its_definition_with_gaps_and_uneven_steps(seed, count, share, constant):
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.0, 0.5, (count, 2, 3))
    values[rng.random(values.shape) < share] = np.nan
    days = np.cumsum(rng.choice([0.5, 1.0, 1.0, 7.0], count))
    found = exponential_filter(series(values, days), time_constant=constant).values
    for row, column in np.ndindex(2, 3):
        expected = by_definition(values[:, row, column].tolist(), days.tolist(), constant)
        np.testing.assert_allclose(found[:, row, column], expected, rtol=1e-9)


def test_answers_a_step_by_an_exponential():
    """Long after its beginning the index follows a step of the surface as 1 − exp(−t / T)."""
    step, constant = 0.01, 5.0
    values = np.r_[np.zeros(10_000), np.ones(3000)]
    found = exponential_filter(series(values, step * np.arange(13_000)), time_constant=constant)
    passed = step * (np.arange(3000) + 1)
    np.testing.assert_allclose(found[10_000:], 1.0 - np.exp(-passed / constant), atol=1e-6)


def test_is_nan_before_the_first_value_and_stays_in_gaps():
    values = np.array([np.nan, np.nan, 0.2, np.nan, 0.4, np.nan])
    found = exponential_filter(series(values), time_constant=3.0).values
    np.testing.assert_allclose(found[:4], [np.nan, np.nan, 0.2, 0.2])
    assert found[4] == pytest.approx((0.2 * math.exp(-2 / 3) + 0.4) / (math.exp(-2 / 3) + 1))
    assert found[5] == found[4]


def test_after_a_long_gap_the_new_value_counts_for_nearly_all():
    values, days = np.array([0.1, 0.1, 0.4]), np.array([0.0, 1.0, 1001.0])
    assert exponential_filter(series(values, days), time_constant=5.0)[2] == pytest.approx(0.4)


def test_never_leaves_the_range_of_the_surface_and_long_memory_is_the_mean():
    values = np.random.default_rng(0).uniform(0.0, 0.5, 200)
    found = exponential_filter(series(values), time_constant=1e9).values
    np.testing.assert_allclose(found, np.cumsum(values) / np.arange(1, 201), rtol=1e-6)
    short = exponential_filter(series(values), time_constant=0.01).values
    np.testing.assert_allclose(short, values)


def test_each_cell_may_have_its_own_time_constant():
    values = np.random.default_rng(1).uniform(0.0, 0.5, (20, 1, 3))
    constants = xr.DataArray([[2.0, 9.0, np.nan]], dims=("y", "x"))
    found = exponential_filter(series(values), time_constant=constants)
    assert found.dims == ("time", "y", "x")
    for column, constant in enumerate((2.0, 9.0)):
        alone = exponential_filter(series(values[:, 0, column]), time_constant=constant)
        np.testing.assert_array_equal(found[:, 0, column], alone)
    assert found[:, 0, 2].isnull().all()


def test_keeps_type_and_attributes_and_chunks_do_not_matter():
    values = np.random.default_rng(2).uniform(0.0, 0.5, (30, 4, 6)).astype("f4")
    values[3:9, 1] = np.nan
    whole = exponential_filter(series(values), time_constant=4.0)
    lazy = exponential_filter(series(values).chunk({"time": 7, "y": 2, "x": 3}), time_constant=4.0)
    assert lazy.chunks is not None
    assert whole.dtype == lazy.dtype == np.float32
    assert whole.attrs == {"units": "m3 m-3"}
    assert lazy.compute().identical(whole)


def test_a_longer_series_begins_with_the_shorter_one():
    values = np.random.default_rng(3).uniform(0.0, 0.5, 60)
    whole = exponential_filter(series(values), time_constant=8.0)
    part = exponential_filter(series(values[:25]), time_constant=8.0)
    np.testing.assert_array_equal(whole[:25], part)


# --- the time constant ---


def made_with(constants: list[float], gap: float = 0.3) -> tuple[xr.DataArray, xr.DataArray]:
    """Make a surface with gaps, and root zones that follow it by known time constants."""
    rng = np.random.default_rng(4)
    surface = series(rng.gamma(0.3, 0.1, (250, 1, len(constants))))
    own = xr.DataArray([constants], dims=("y", "x"))
    root = exponential_filter(surface, time_constant=own)
    scale, base = rng.uniform(0.2, 2.0, len(constants)), rng.uniform(-1.0, 1.0, len(constants))
    root = base + scale * root
    return surface, root.where(rng.random(root.shape) > gap)


def test_finds_the_time_constant_of_each_cell():
    constants = [2.0, 7.0, 20.0]
    found = fit_time_constant(*made_with(constants), pooled=False)
    assert found.values.tolist() == [constants]
    np.testing.assert_allclose(found["correlation"], 1.0)


def test_pooled_it_finds_the_one_that_all_share():
    surface, root = made_with([15.0, 15.0, 15.0])
    found = fit_time_constant(surface, root)
    assert found.dims == ()
    assert float(found) == 15.0
    # of cells whose root zones vary by as much, an index that is right for most of them
    unlike = fit_time_constant(*made_with([5.0, 5.0, 5.0, 60.0]))
    assert 5.0 <= float(unlike) < 30.0


def test_differences_between_cells_have_no_say():
    surface, root = made_with([10.0, 10.0])
    shifted = root + xr.DataArray([[0.0, 50.0]], dims=("y", "x"))
    assert float(fit_time_constant(surface, shifted)) == 10.0


def test_the_best_has_the_smallest_error_after_rescaling():
    truth = vadose.synthetic.world(size=16, days=120, factor=8, seed=1).coarse_truth
    surface, root = truth["soil_moisture"], truth["root_zone_soil_moisture"]
    found = fit_time_constant(surface, root, pooled=False)
    indices = {days: exponential_filter(surface, time_constant=days).values for days in CANDIDATES}
    for row, column in np.ndindex(2, 2):
        errors = {}
        wanted = root[:, row, column].values.astype("f8")
        for days, index in indices.items():
            known = index[:, row, column].astype("f8")
            line = np.polyfit(known, wanted, 1)
            left = wanted - np.polyval(line, known)
            errors[days] = float(left @ left) if line[0] > 0 else math.inf
        assert float(found[row, column]) == min(errors, key=errors.__getitem__)


def test_the_order_of_candidates_does_not_matter_and_the_shortest_of_equals_is_taken():
    surface, root = made_with([7.0])
    assert float(fit_time_constant(surface, root, candidates=(40.0, 7.0, 2.0))) == 7.0
    assert float(fit_time_constant(surface, root, candidates=(7.0, 7.0))) == 7.0


def test_cells_with_too_little_are_left_out():
    surface, root = made_with([5.0, 5.0, 5.0], gap=0.0)
    root[LEAST - 1 :, 0, 0] = np.nan
    root[:, 0, 1] = 0.3
    apart = fit_time_constant(surface, root, pooled=False)
    np.testing.assert_array_equal(apart, [[np.nan, np.nan, 5.0]])
    assert float(fit_time_constant(surface, root)) == 5.0
    few = root.where(root["time"] < root["time"][LEAST - 1])
    words = (
        f"found no cell with {LEAST} common steps that vary, expected one or more.*Check the gaps"
    )
    with pytest.raises(ModelProblem, match=words):
        fit_time_constant(surface, few)


# --- what is refused ---


def test_impossible_time_constants_are_refused():
    surface, root = made_with([5.0])
    with pytest.raises(RecipeProblem, match="time_constant: found -2 days, expected more than 0"):
        exponential_filter(surface, time_constant=-2.0)
    with pytest.raises(RecipeProblem, match="candidates: found none, expected days"):
        fit_time_constant(surface, root, candidates=())
    other = xr.DataArray(np.ones((1, 4)), dims=("y", "x"))
    with pytest.raises(CubeProblem, match=r"time_constant: found .*'x': 4.* that do not fit"):
        exponential_filter(surface, time_constant=other)


def test_surfaces_without_ordered_time_are_refused():
    surface, _ = made_with([5.0])
    with pytest.raises(CubeProblem, match="surface: found no dimension time"):
        exponential_filter(surface.isel(time=0), time_constant=5.0)
    with pytest.raises(CubeProblem, match="expected strictly increasing time"):
        exponential_filter(surface.isel(time=[0, 2, 1]), time_constant=5.0)


@pytest.mark.parametrize("dim", ["time", "y", "x"])
def test_root_zones_of_other_steps_or_cells_are_refused(dim):
    surface, root = made_with([5.0, 5.0])
    words = f"root zone: found another {dim} than that of the surface, expected .* Align them first"
    with pytest.raises(CubeProblem, match=words):
        fit_time_constant(surface, root.isel({dim: slice(1, None)}))
    if dim == "time":
        late = root.assign_coords(time=root["time"] + np.timedelta64(1, "D"))
        with pytest.raises(CubeProblem, match=words):
            fit_time_constant(surface, late)
