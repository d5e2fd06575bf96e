"""Patterns within cells, closure and seams: told by date, and each from the other."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter

from vadose.cubes.regrid import area_mean, nearest
from vadose.errors import ValueProblem
from vadose.grids import cell_area, coordinates, grid_of, latlon, nesting
from vadose.validate.metrics import r, ubrmse
from vadose.validate.spatial import (
    closure_by_date,
    edge_jump_ratio,
    edge_jumps_by_date,
    lines_between,
    score_within_cells,
)
from vadose.validate.statistics import moments

LINES = {"y": [20, 40], "x": [25, 50, 75]}


def pattern(steps: int = 3, gaps: float = 0.2) -> xr.DataArray:
    rng = np.random.default_rng(0)
    values = gaussian_filter(rng.standard_normal((steps, 60, 100)), (0, 1.0, 3.0))
    values[rng.random(values.shape) < gaps] = np.nan
    return xr.DataArray(values.astype("f4"), dims=("time", "y", "x"))


def offsets(size: float) -> np.ndarray:
    """Raise every second tile."""
    rows, columns = np.indices((60, 100))
    return size * ((rows // 20 + columns // 25) % 2)


def test_a_field_without_seams_has_a_ratio_of_one() -> None:
    assert edge_jump_ratio(pattern(20), LINES) == pytest.approx(1.0, abs=0.03)
    assert edge_jump_ratio(pattern(20), {"x": LINES["x"]}) == pytest.approx(1.0, abs=0.03)


def test_a_seam_raises_the_ratio_by_its_height() -> None:
    smooth = pattern()
    small, large = (edge_jump_ratio(smooth + offsets(size), LINES) for size in (0.05, 0.5))
    assert 1.05 < small < large
    assert edge_jump_ratio(smooth * 0 + offsets(1.0) + pattern() * 1e-6, LINES) > 1e5


def test_the_ratio_is_that_of_its_formula() -> None:
    field = pattern(1).isel(time=0)
    down, right = (np.abs(np.diff(field.values, axis=axis)) for axis in (0, 1))
    on = [np.isin(np.arange(1, size), LINES[dim]) for dim, size in (("y", 60), ("x", 100))]
    across = [down[on[0]], right[:, on[1]]]
    elsewhere = [down[~on[0]], right[:, ~on[1]]]
    expected = sum(
        np.isfinite(a).sum() * np.nanmean(b) for a, b in zip(across, elsewhere, strict=True)
    )
    ratio = sum(np.nansum(a) for a in across) / expected
    assert edge_jump_ratio(field, LINES) == pytest.approx(ratio, rel=1e-5)


def test_a_steep_direction_is_no_seam() -> None:
    """Lines along x alone, in a field that changes along y much faster."""
    field = xr.DataArray(100.0 * np.arange(6)[:, None] + np.arange(8.0), dims=("y", "x"))
    assert edge_jump_ratio(field, {"x": [4]}) == 1.0
    assert edge_jump_ratio(field, {"y": [3], "x": [4]}) == 1.0


def test_pairs_with_a_gap_do_not_count() -> None:
    field = xr.DataArray([[0.0, 1.0, 9.0, np.nan, 3.0, 4.0]], dims=("y", "x"))
    assert edge_jump_ratio(field, {"x": [2]}) == 8.0
    assert np.isnan(edge_jump_ratio(field, {"x": [3]})), "no pair across the line"
    assert np.isnan(edge_jump_ratio(field, {"x": [1, 2, 3, 4, 5]})), "no pair elsewhere"
    flat = field.where(field.isnull(), 1.0)
    assert np.isnan(edge_jump_ratio(flat, {"x": [2]})), "no step anywhere"
    flat[0, 2:] = 2.0
    assert edge_jump_ratio(flat, {"x": [2]}) == np.inf


@pytest.mark.parametrize("place", [0, 60, -1])
def test_a_line_beyond_the_field_is_refused(place: int) -> None:
    with pytest.raises(
        ValueProblem,
        match=r"lines along y: found positions .*, expected 1 to 59, the first y after",
    ):
        edge_jump_ratio(pattern(), {"y": [20, place]})


@pytest.fixture(scope="module")
def pair() -> tuple[xr.DataArray, xr.DataArray, GeoBox]:
    """A product and its truth with gaps, 24 x 36 cells in coarse cells of 12 x 12, in degrees."""
    fine = latlon(0.25, (0, 54, 9, 60))
    rng = np.random.default_rng(3)
    truth = 0.25 + 0.1 * gaussian_filter(rng.standard_normal((4, *fine.shape)), (0, 2, 2))
    product = 0.3 + 0.5 * (truth - 0.25) + 0.005 * rng.standard_normal(truth.shape)
    truth[:, :12, :12][:, 1:] = np.nan  # a cell with one row alone
    truth[1, 12:, :12] = np.nan
    product[2, 12:, 24:] = 0.2  # a cell that does not vary
    product[3] = np.nan
    product[rng.random(product.shape) < 0.1] = np.nan
    coords = {**coordinates(fine), "time": np.arange("2019-07-01", "2019-07-05", dtype="M8[D]")}
    coords["time"] = coords["time"].astype("M8[ns]")
    arrays = [xr.DataArray(one, dims=("time", "y", "x"), coords=coords) for one in (product, truth)]
    return arrays[0], arrays[1], latlon(3.0, (0, 54, 9, 60))


def test_the_pattern_within_cells_is_scored_as_pixel_by_pixel(
    pair: tuple[xr.DataArray, xr.DataArray, GeoBox],
) -> None:
    product, truth, coarse = pair
    score = score_within_cells(product, truth, coarse, minimum=20)
    area = cell_area(grid_of(truth)).values
    for step in range(4):
        departures = []
        for row, column in np.ndindex(2, 3):
            at = (slice(12 * row, 12 * row + 12), slice(12 * column, 12 * column + 12))
            p, o = product.values[step][at], truth.values[step][at]
            is_pair = np.isfinite(p) & np.isfinite(o)
            found = float(score["r"][step, row, column])
            if is_pair.sum() < 20:
                assert np.isnan(found)
                continue
            p, o, w = p[is_pair], o[is_pair], area[at][is_pair]
            one = moments(p, o, w)
            expected = r(one)
            assert found == pytest.approx(expected, rel=1e-9, nan_ok=True)
            departures.append((p - np.average(p, weights=w), o - np.average(o, weights=w), w))
        if not departures:
            assert np.isnan(score["pooled_r"].values[step])
            continue
        pooled = moments(*(np.concatenate(part) for part in zip(*departures, strict=True)))
        assert float(score["pooled_r"][step]) == pytest.approx(r(pooled), rel=1e-9)
        assert float(score["rmse"][step]) == pytest.approx(ubrmse(pooled), rel=1e-9)
        spread = np.sqrt(pooled.product_square / pooled.reference_square)
        assert float(score["spread_ratio"][step]) == pytest.approx(spread, rel=1e-9)
        known = score["r"].values[step][np.isfinite(score["r"].values[step])]
        assert float(score["median_r"][step]) == pytest.approx(np.median(known))


def test_every_cell_is_counted_once(pair: tuple[xr.DataArray, xr.DataArray, GeoBox]) -> None:
    product, truth, coarse = pair
    score = score_within_cells(product, truth, coarse, minimum=20)
    counts = np.stack([score[f"n_{one}"] for one in ("scored", "constant", "too_few", "empty")])
    np.testing.assert_array_equal(counts, [[5, 4, 4, 0], [0, 0, 1, 0], [1, 1, 1, 0], [0, 1, 0, 6]])
    assert np.isnan(score["median_r"].values[3])


def test_the_coarse_input_has_no_pattern_within_its_cells(
    pair: tuple[xr.DataArray, xr.DataArray, GeoBox],
) -> None:
    _, truth, coarse = pair
    field = nearest(area_mean(truth, coarse, min_valid=0.0), grid_of(truth))
    score = score_within_cells(field, truth, coarse)
    assert (score["n_scored"] == 0).all()
    assert np.isnan(score["pooled_r"]).all()
    np.testing.assert_allclose(score["spread_ratio"].values, 0.0, atol=1e-7)


def test_two_pixels_are_no_pattern(pair: tuple[xr.DataArray, xr.DataArray, GeoBox]) -> None:
    product, truth, coarse = pair
    with pytest.raises(ValueProblem, match="minimum: found 2, expected 3 pixels"):
        score_within_cells(product, truth, coarse, minimum=2)


def test_closure_is_told_by_date(pair: tuple[xr.DataArray, xr.DataArray, GeoBox]) -> None:
    product, _, coarse = pair
    wanted = area_mean(product, coarse, min_valid=0.0)
    wanted[3] = 0.3
    wanted[0, 0, 0] += 0.03
    wanted[0, 1, 1] -= 0.04
    wanted[1, 0] = np.nan
    told = closure_by_date(product, wanted)
    np.testing.assert_array_equal(told["n_cells"], [6, 3, 6, 0])
    np.testing.assert_array_equal(told["n_empty"], [0, 0, 0, 6])
    np.testing.assert_allclose(told["max"], [0.04, 0, 0, np.nan], atol=1e-12)
    np.testing.assert_allclose(told["share"], [4 / 6, 1, 1, np.nan])
    assert float(told["rmse"][0]) == pytest.approx(0.05 / np.sqrt(6))


def test_seams_are_told_by_date_and_kind_of_line() -> None:
    field = pattern(4)
    seamed = field.copy()
    seamed[2] = seamed[2] + offsets(0.5)
    told = edge_jumps_by_date(seamed, LINES)
    alone = [edge_jump_ratio(seamed[step], LINES) for step in range(4)]
    np.testing.assert_array_equal(told, alone)
    assert int(told.argmax("time")) == 2
    assert lines_between(field.sizes, {"y": 20, "x": 25}) == LINES
    assert lines_between(field.sizes, {"x": 100}) == {"x": []}
    with pytest.raises(ValueProblem, match=r"tiles: found .*'y': 0.*, expected 1 cell a side"):
        lines_between(field.sizes, {"y": 0, "x": 5})


def test_coarse_cells_show_through_a_product_that_repeats_them(
    pair: tuple[xr.DataArray, xr.DataArray, GeoBox],
) -> None:
    _, truth, coarse = pair
    truth = truth[:1].where(truth[:1].notnull(), 0.25)
    lines = lines_between(truth.sizes, nesting(coarse, grid_of(truth)))
    repeated = nearest(area_mean(truth, coarse), grid_of(truth)) + 0.01 * truth
    assert float(edge_jumps_by_date(repeated, lines)[0]) > 5.0
    assert float(edge_jumps_by_date(truth, lines)[0]) < 1.5
