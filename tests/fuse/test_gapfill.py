"""What every filler promises, and what the simple ones are exactly."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from vadose.errors import CubeProblem, ModelProblem, UnknownName, ValueProblem
from vadose.fuse import CANDIDATES, FILLERS
from vadose.fuse.adversarial import Adversarial
from vadose.fuse.base import Filler
from vadose.fuse.gapfill.lines import fit_lines
from vadose.fuse.gapfill.matched import CDFMatched, MeanVarianceMatched
from vadose.fuse.gapfill.optimal import OptimalInterpolation
from vadose.fuse.gapfill.persistence import Persistence, neighbours_in_time
from vadose.fuse.gapfill.records import Record, draw_gaps, draw_window, read_record, window
from vadose.fuse.gapfill.residual import LinearResidual, Window, mean_residual
from vadose.fuse.gapfill.seasonal import AnomalyClimatology
from vadose.fuse.gapfill.stacked import Stacked
from vadose.samples.gaps import lay_gaps
from vadose.synthetic import world

#: Fillers that learn nothing.
FREE = ("persistence", "linear_in_time")


@pytest.fixture(scope="module")
def record() -> tuple[xr.DataArray, xr.Dataset]:
    small = world(size=32, days=20, factor=4, seed=0)
    return small.coarse["soil_moisture"], small.land_model


def quick(name: str, seed: int = 0) -> Filler:
    """Make a filler that learns from little."""
    optimal = OptimalInterpolation(neighbours=8, targets=60, seed=seed)
    if name == "optimal_interpolation":
        return optimal
    if name == "stacked":
        return Stacked(draws=4, members=2, trees=10, leaf=10, optimal=optimal, seed=seed)
    if name == "drcgan":
        settings = {"step": "supervised", "width": 4, "blocks": 1, "epochs": 1}
        return Adversarial(draws=2, seed=seed, settings=settings)
    return FILLERS[name]()


def cube(values: np.ndarray, start: str = "2019-01-01") -> xr.DataArray:
    days = np.datetime64(start, "ns") + np.arange(len(values)) * np.timedelta64(1, "D")
    y, x = (np.arange(float(size)) for size in values.shape[1:])
    return xr.DataArray(
        values, dims=("time", "y", "x"), coords={"time": days, "y": y[::-1], "x": x}
    )


def model_of(values: np.ndarray) -> xr.Dataset:
    return xr.Dataset({"soil_moisture": cube(values)})


def test_candidates_are_fillers() -> None:
    assert set(CANDIDATES) <= set(FILLERS)
    assert all(name == filler.name for name, filler in FILLERS.items())


@pytest.mark.parametrize("name", FILLERS)
def test_gaps_are_filled_where_the_model_has_a_value(
    name: str, record: tuple[xr.DataArray, xr.Dataset]
) -> None:
    satellite, model = record
    sea = xr.zeros_like(satellite, dtype=bool)
    sea[:, 2, 3] = True
    sea[4, 5, 5] = True
    part = model[["soil_moisture"]].where(~sea)
    filled = quick(name).fit(satellite, part).fill(satellite, part)
    assert filled.dims == satellite.dims
    assert filled.dtype == np.float32
    xr.testing.assert_equal(filled.isnull().drop_attrs(), sea.drop_attrs())


@pytest.mark.parametrize("name", FILLERS)
def test_the_same_record_gives_the_same_bits_whatever_its_chunks(
    name: str, record: tuple[xr.DataArray, xr.Dataset]
) -> None:
    satellite, model = record
    once = quick(name).fit(satellite, model).fill(satellite, model)
    chunks = {"time": 7, "y": 3, "x": 5}
    chunked, told = satellite.chunk(chunks), model.chunk(chunks)
    again = quick(name).fit(chunked, told).fill(chunked, told)
    np.testing.assert_array_equal(once.values, again.values)


@pytest.mark.parametrize("name", FILLERS)
def test_a_record_on_other_cells_is_refused(
    name: str, record: tuple[xr.DataArray, xr.Dataset]
) -> None:
    satellite, model = record
    with pytest.raises(CubeProblem, match=r"other values of x .*Bring it to the satellite's grid"):
        quick(name).fit(satellite, model.isel(x=slice(3)))


@pytest.mark.parametrize("name", [name for name in FILLERS if name not in FREE])
def test_what_was_not_fitted_says_so(name: str, record: tuple[xr.DataArray, xr.Dataset]) -> None:
    with pytest.raises(ModelProblem, match="found no fit, expected a fitted filler"):
        quick(name).fill(*record)


@pytest.mark.parametrize(
    "name", [name for name in FILLERS if name not in (*FREE, "dct_pls", "drcgan")]
)
def test_another_grid_than_the_fitted_one_is_refused(
    name: str, record: tuple[xr.DataArray, xr.Dataset]
) -> None:
    satellite, model = record
    filler = quick(name).fit(satellite, model)
    with pytest.raises(ModelProblem, match=r"\(8, 4\), expected \(8, 8\), on which it was fitted"):
        filler.fill(satellite.isel(x=slice(4)), model.isel(x=slice(4)))


def test_infinite_values_are_refused() -> None:
    values = np.full((3, 2, 2), 0.2)
    with pytest.raises(ValueProblem, match="infinite"):
        read_record(cube(values), model_of(np.where(values > 0, np.inf, 0)))


def test_unsorted_days_are_refused() -> None:
    values = cube(np.full((3, 2, 2), 0.2)).isel(time=[0, 2, 1])
    with pytest.raises(CubeProblem, match="do not increase"):
        read_record(values, values.to_dataset(name="soil_moisture"))


def test_a_cell_with_many_pairs_has_its_own_line() -> None:
    rng = np.random.default_rng(0)
    told = rng.random((200, 2, 2))
    seen = (
        rng.random((2, 2)) + rng.uniform(0.2, 0.8, (2, 2)) * told + rng.normal(0, 0.01, told.shape)
    )
    lines = fit_lines(Record(seen, told, np.arange(200.0)), pull=1e-9)
    slope, offset = np.polyfit(told[:, 1, 0], seen[:, 1, 0], 1)
    assert lines.slope[1, 0] == pytest.approx(slope, abs=1e-6)
    assert lines.level[1, 0] - lines.slope[1, 0] * lines.middle[1, 0] == pytest.approx(
        offset, abs=1e-6
    )


def test_a_cell_without_pairs_has_the_line_of_its_neighbours() -> None:
    told = np.random.default_rng(0).random((50, 3, 3))
    seen = 0.1 + 0.5 * told
    seen[:, 1, 1] = np.nan
    lines = fit_lines(Record(seen, told, np.arange(50.0)))
    np.testing.assert_allclose(lines.apply(told)[:, 1, 1], 0.1 + 0.5 * told[:, 1, 1], atol=1e-3)


def test_too_few_pairs_for_a_line_are_told() -> None:
    seen = np.full((4, 1, 1), np.nan)
    seen[0] = 0.2
    with pytest.raises(ValueProblem, match="found 1 pairs of values, expected 3 or more"):
        fit_lines(Record(seen, np.full((4, 1, 1), 0.1), np.arange(4.0)))


def test_matched_moments_are_those_of_the_satellite() -> None:
    rng = np.random.default_rng(1)
    seen, told = rng.uniform(0.1, 0.4, (60, 2, 3)), rng.uniform(0, 0.9, (60, 2, 3))
    seen[rng.random(seen.shape) < 0.4] = np.nan
    filled = MeanVarianceMatched().fit(cube(seen), model_of(told)).fill(cube(seen), model_of(told))
    paired = np.where(np.isfinite(seen), filled.values, np.nan)
    np.testing.assert_allclose(np.nanmean(paired, axis=0), np.nanmean(seen, axis=0), atol=1e-6)
    np.testing.assert_allclose(np.nanstd(paired, axis=0), np.nanstd(seen, axis=0), atol=1e-6)


def test_matched_distributions_undo_any_rising_curve() -> None:
    rng = np.random.default_rng(2)
    seen = rng.uniform(0.1, 0.4, (400, 1, 2))
    told = seen**2 + 0.05
    hidden = rng.random(seen.shape) < 0.2
    satellite = cube(np.where(hidden, np.nan, seen))
    filled = CDFMatched().fit(satellite, model_of(told)).fill(satellite, model_of(told))
    assert np.abs(filled.values - seen)[hidden].max() < 0.01


def test_two_years_have_a_season_and_a_month_has_none() -> None:
    days = np.arange(730)
    rng = np.random.default_rng(3)
    anomaly = rng.normal(0, 0.05, (730, 2, 2))
    wave = np.cos(2 * np.pi * days / 365.25)[:, None, None]
    # the model's season is the other way round: no line on the model could give both
    seen, told = 0.3 + 0.1 * wave + 0.5 * anomaly, 0.2 - 0.05 * wave + anomaly
    hidden = rng.random(seen.shape) < 0.4
    satellite = cube(np.where(hidden, np.nan, seen))
    filler = AnomalyClimatology().fit(satellite, model_of(told))
    filled = filler.fill(satellite, model_of(told)).values
    assert filler.harmonics_ == 2
    assert np.abs(filled - seen)[hidden].max() < 0.01
    month = AnomalyClimatology().fit(satellite[:31], model_of(told[:31]))
    assert month.harmonics_ == 0


def test_the_nearest_day_is_taken_and_the_earlier_of_two() -> None:
    seen = np.array([np.nan, 0.1, np.nan, 0.3, np.nan, np.nan]).reshape(-1, 1, 1)
    told = model_of(np.full(seen.shape, 0.2))
    filled = Persistence().fit(cube(seen), told).fill(cube(seen), told)
    np.testing.assert_allclose(filled.values.ravel(), [0.1, 0.1, 0.1, 0.3, 0.3, 0.3])
    last = Persistence(which="last").fit(cube(seen), told).fill(cube(seen), told)
    np.testing.assert_allclose(last.values.ravel(), [np.nan, 0.1, 0.1, 0.3, 0.3, 0.3])
    with pytest.raises(UnknownName, match="Did you mean 'nearest'"):
        Persistence(which="nearst").fit(cube(seen), told)  # type: ignore[arg-type]


def test_the_own_value_is_no_neighbour_in_time() -> None:
    seen = np.array([0.1, 0.2, np.nan, 0.4]).reshape(-1, 1, 1)
    before, after = neighbours_in_time(seen, np.array([0.0, 1.0, 2.0, 5.0]))
    np.testing.assert_allclose(before.value.ravel(), [np.nan, 0.1, 0.2, 0.2])
    np.testing.assert_allclose(after.value.ravel(), [0.2, 0.4, 0.4, np.nan])
    np.testing.assert_allclose(after.apart.ravel(), [1, 4, 3, np.inf])


def test_a_mean_residual_is_the_weighted_mean_of_its_days() -> None:
    told = np.linspace(0, 1, 5).reshape(-1, 1, 1)
    seen = told + np.array([0.1, 0.0, -0.1, 0.05, 0.0]).reshape(-1, 1, 1)
    seen[2] = np.nan
    whole = Record(seen, told, np.arange(5.0))
    lines = fit_lines(whole)
    rest = (seen - lines.apply(told)).ravel()[[0, 1, 3, 4]]
    weights = np.exp(-np.array([2, 1, 1, 2]) / 1.5)
    wanted = (weights * rest).sum() / (weights.sum() + 0.2)
    found = mean_residual(whole, lines, Window(days=1.5, cells=0.0, trust=0.2))
    assert found[2, 0, 0] == pytest.approx(wanted)


def test_settings_that_are_given_are_not_chosen(record: tuple[xr.DataArray, xr.Dataset]) -> None:
    filler = LinearResidual(days=1.0, cells=2.0).fit(*record)
    assert (filler.window_.days, filler.window_.cells) == (1.0, 2.0)
    assert filler.window_.trust in (0.03, 0.3)


def test_gaps_are_laid_even_where_there_are_none() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((6, 4, 4))
    hidden = draw_gaps(Record(values, values, np.arange(6.0)), rng, share=0.2, days=2)
    assert 0.2 <= hidden.mean() < 0.5


def test_only_cells_of_the_model_are_hidden() -> None:
    rng = np.random.default_rng(0)
    seen = np.where(rng.random((9, 5, 5)) < 0.3, np.nan, 0.2)
    told = np.where(np.arange(5) < 2, np.nan, 0.3) + np.zeros(seen.shape)
    hidden = draw_gaps(Record(seen, told, np.arange(9.0)), rng, share=0.1, days=1)
    assert hidden.any()
    assert not hidden[:, :, :2].any()


def test_a_window_lies_within_the_grid_and_on_values() -> None:
    values = np.full((2, 30, 40), np.nan)
    values[:, 29, 39] = 0.2
    large = Record(values, np.full_like(values, 0.3), np.arange(2.0))
    rows, columns = draw_window(large, np.random.default_rng(0), rows=8, columns=10)
    assert (rows, columns) == (slice(22, 30), slice(30, 40))
    assert np.isfinite(window(large, rows=8, columns=10).observed).sum() == 2


def test_learning_beats_the_model_alone_on_known_truth() -> None:
    made = world(size=48, days=40, factor=4, seed=1)
    satellite, truth = made.coarse["soil_moisture"], made.coarse_truth["soil_moisture"].values
    hidden = lay_gaps(satellite, rng=2, share=0.15)
    known = satellite.where(~hidden)
    error = {}
    for name in ("persistence", "cdf_matched", "linear_residual", "stacked"):
        filler = (
            Stacked(leaf=30, trees=40, optimal=OptimalInterpolation(targets=150))
            if name == "stacked"
            else FILLERS[name]()
        )
        filled = filler.fit(known, made.land_model).fill(known, made.land_model).values
        apart = (filled - truth)[hidden.values]
        error[name] = float(np.sqrt(np.nanmean(apart**2)))
    assert error["linear_residual"] < 0.8 * error["persistence"]
    assert error["stacked"] < 0.95 * min(error["cdf_matched"], error["persistence"])
