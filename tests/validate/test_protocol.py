"""Products are compared on one common sample, weighed by area, beside the coarse input."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox

import vadose.synthetic
from vadose.cubes.regrid import area_mean, nearest, smooth
from vadose.errors import CubeProblem, GridProblem, UnknownName, ValueProblem
from vadose.grids import cell_area, coarsened, coordinates, grid_of, latlon
from vadose.validate.metrics import METRICS
from vadose.validate.protocol import closure, compare, gains
from vadose.validate.spatial import within_cell


@pytest.fixture(scope="module")
def world() -> vadose.synthetic.World:
    return vadose.synthetic.world(size=32, days=6, factor=4, seed=0)


@pytest.fixture(scope="module")
def truth(world: vadose.synthetic.World) -> xr.DataArray:
    return world.truth["soil_moisture"]


@pytest.fixture(scope="module")
def coarse(world: vadose.synthetic.World) -> xr.DataArray:
    return world.coarse_truth["soil_moisture"]


@pytest.fixture(scope="module")
def copied(truth: xr.DataArray, coarse: xr.DataArray) -> xr.DataArray:
    return nearest(coarse, grid_of(truth)).astype("f4")


def polar(values: np.ndarray) -> xr.DataArray:
    """Lay values on cells of 1 degree, of which the northern are much smaller."""
    grid = latlon(1.0, (0, 82, 8, 90))
    return xr.DataArray(values, dims=("y", "x"), coords=coordinates(grid), name="soil_moisture")


# --- within cells ---


@pytest.mark.parametrize("grid", [latlon(1.0, (0, 82, 8, 90)), latlon(1.0, (0, 0, 8, 8))])
def test_departures_have_no_mean(grid: GeoBox) -> None:
    rng = np.random.default_rng(0)
    values = rng.random((3, 8, 8))
    values[rng.random(values.shape) < 0.2] = np.nan
    field = xr.DataArray(values, dims=("time", "y", "x"), coords=coordinates(grid))
    departure = within_cell(field, coarsened(grid, 4))
    assert departure.dims == field.dims
    assert np.array_equal(departure.isnull(), field.isnull())
    mean = area_mean(departure, coarsened(grid, 4), min_valid=0.0)
    assert float(abs(mean).max()) < 1e-15


def test_departures_do_not_see_the_coarse_field(truth: xr.DataArray, coarse: xr.DataArray) -> None:
    step = nearest(xr.ones_like(coarse) * np.arange(8), grid_of(truth))
    both = [within_cell(one, grid_of(coarse)) for one in (truth, truth + step)]
    assert np.allclose(*both, rtol=0, atol=1e-12)


def test_a_copied_value_has_no_pattern_within_its_cell(
    truth: xr.DataArray, coarse: xr.DataArray, copied: xr.DataArray
) -> None:
    departure = within_cell(copied, grid_of(coarse))
    assert float(abs(departure).max()) < 1e-15
    score = compare({"nearest": copied}, truth, grid_of(coarse)).sel(product="nearest")
    assert np.isnan(score["r"].sel(view="within_cell"))
    assert np.isfinite(score["r"].sel(view="pooled"))
    spread = within_cell(truth, grid_of(coarse)).std()
    assert float(score["ubrmse"].sel(view="within_cell")) == pytest.approx(float(spread), rel=1e-3)
    assert float(score["r2"].sel(view="within_cell")) == pytest.approx(0.0, abs=1e-6)


# --- compare ---


def test_score_is_that_of_a_plain_computation(truth: xr.DataArray, coarse: xr.DataArray) -> None:
    product = smooth(coarse, grid_of(truth))
    score = compare({"smooth": product}, truth, grid_of(coarse))
    assert set(score) == set(METRICS)
    assert score["r"].dims == ("product", "view")
    assert score["view"].values.tolist() == ["pooled", "within_cell"]
    pooled = score.sel(product="smooth", view="pooled")
    difference = (product - truth).values
    assert int(pooled["n"]) == truth.size
    assert float(pooled["bias"]) == pytest.approx(difference.mean(), abs=1e-6)
    assert float(pooled["rmse"]) == pytest.approx(np.sqrt((difference**2).mean()), rel=1e-5)
    expected = np.corrcoef(product.values.ravel(), truth.values.ravel())[0, 1]
    assert float(pooled["r"]) == pytest.approx(expected, rel=1e-5)


def test_truth_itself_is_perfect_in_both_views(truth: xr.DataArray, coarse: xr.DataArray) -> None:
    score = compare({"truth": truth}, truth, grid_of(coarse))
    assert (score["rmse"] == 0).all()
    assert (score["r2"] == 1).all()
    assert np.allclose(score["r"], 1.0)


def test_the_common_sample_is_common(truth: xr.DataArray, coarse: xr.DataArray) -> None:
    """A gap of one product is left out of the scores of all, in both views."""
    rng = np.random.default_rng(0)
    one, other = truth + 0.01, truth + 0.03
    one, other, reference = (
        field.where(rng.random(truth.shape) > share)
        for field, share in ((one, 0.3), (other, 0.2), (truth, 0.1))
    )
    one = one.where(one["time"] != one["time"][2])
    is_common = (one.notnull() & other.notnull() & reference.notnull()).values
    score = compare({"one": one, "other": other}, reference, grid_of(coarse))
    assert (score["n"] == is_common.sum()).all()
    alone = compare({"other": other.where(is_common)}, reference.where(is_common), grid_of(coarse))
    for name in METRICS:
        together = score[name].sel(product="other").values
        assert np.array_equal(together, alone[name].sel(product="other").values), name
    # where only one value of a coarse cell is left, a shift of all values is no pattern
    assert float(abs(score["bias"].sel(view="within_cell")).max()) < 1e-12


def test_only_common_days_are_compared(truth: xr.DataArray, coarse: xr.DataArray) -> None:
    late, early = truth.isel(time=slice(2, 6)), truth.isel(time=slice(0, 4)) + 0.1
    score = compare({"late": late, "early": early}, truth, grid_of(coarse))
    assert (score["n"] == 2 * 32 * 32).all()
    assert float(score["bias"].sel(product="early", view="pooled")) == pytest.approx(0.1, abs=1e-6)


def test_order_of_dimensions_does_not_matter(truth: xr.DataArray, coarse: xr.DataArray) -> None:
    product = smooth(coarse, grid_of(truth))
    turned = product.transpose("x", "time", "y")
    both = [compare({"a": one}, truth, grid_of(coarse)) for one in (product, turned)]
    assert both[0].identical(both[1])


def test_a_part_of_a_map_is_as_good_as_a_whole(truth: xr.DataArray, coarse: xr.DataArray) -> None:
    """Coordinates of a part are off by a rounding from those of its grid."""
    part, cells = (
        truth.isel(y=slice(4, 28), x=slice(4, 28)),
        coarse.isel(y=slice(1, 7), x=slice(1, 7)),
    )
    product = nearest(cells, grid_of(part))
    assert not np.array_equal(part["x"], product["x"])
    score = compare({"nearest": product}, part, grid_of(cells))
    assert (score["n"] == part.size).all()
    assert closure(product, cells) < 1e-6


def test_large_cells_count_more() -> None:
    reference = polar(np.linspace(0.1, 0.4, 64).reshape(8, 8))
    error = polar(np.repeat(np.arange(8.0)[:, None], 8, axis=1) / 100)
    score = compare({"a": reference + error}, reference, coarsened(grid_of(reference), 4))
    pooled = score.sel(product="a", view="pooled")
    area = cell_area(grid_of(reference))
    weighted = float((error * area).sum() / area.sum())
    assert float(pooled["bias"]) == pytest.approx(weighted, rel=1e-12)
    assert weighted > 1.2 * float(error.mean())
    even = compare(
        {"a": reference + error},
        reference,
        coarsened(grid_of(reference), 4),
        weight=xr.ones_like(area),
    )
    plain = float(even["bias"].sel(product="a", view="pooled"))
    assert plain == pytest.approx(float(error.mean()), rel=1e-12)


# --- gains and closure ---


def test_the_input_gains_exactly_nothing_over_itself(
    truth: xr.DataArray, coarse: xr.DataArray, copied: xr.DataArray
) -> None:
    products = {"nearest": copied, "same": copied.copy(), "truth": truth}
    over = gains(compare(products, truth, grid_of(coarse)), "nearest")
    for name in ("nearest", "same"):
        assert over[name] == {"rmse": 0.0, "r": 0.0, "within_cell_r": 0.0}
    assert over["truth"]["rmse"] > 0
    assert over["truth"]["r"] > 0
    assert over["truth"]["within_cell_r"] == pytest.approx(1.0)


def test_gains_need_a_baseline_of_the_score(truth: xr.DataArray, coarse: xr.DataArray) -> None:
    score = compare({"nearest": truth}, truth, grid_of(coarse))
    with pytest.raises(UnknownName, match=r"baseline 'nearst'.*Did you mean 'nearest'"):
        gains(score, "nearst")


def test_closure_is_the_largest_departure(copied: xr.DataArray, coarse: xr.DataArray) -> None:
    assert closure(copied, coarse) < 1e-7
    broken = copied.copy(deep=True)
    broken[3, 8:12, 4:8] -= 0.02
    broken[1, 0, 0] = np.nan
    assert closure(broken, coarse) == pytest.approx(0.02, abs=1e-6)


# --- what is refused ---


def test_another_grid_is_refused(truth: xr.DataArray, coarse: xr.DataArray) -> None:
    shifted = truth.isel(x=slice(0, 28))
    with pytest.raises(GridProblem, match="late: found another grid, expected the grid of the ref"):
        compare({"good": truth, "late": shifted}, truth, grid_of(coarse))
    with pytest.raises(GridProblem, match="found another grid"):
        compare({"coarse": coarse}, truth, grid_of(coarse))


def test_a_coarse_grid_that_does_not_nest_is_refused(truth: xr.DataArray) -> None:
    with pytest.raises(GridProblem):
        compare({"a": truth}, truth, latlon(1.0))


def test_other_dimensions_are_refused(truth: xr.DataArray, coarse: xr.DataArray) -> None:
    with pytest.raises(CubeProblem, match=r"static: found dimensions \('y', 'x'\), expected \('ti"):
        compare({"static": truth.isel(time=0, drop=True)}, truth, grid_of(coarse))


def test_no_common_sample_is_refused(truth: xr.DataArray, coarse: xr.DataArray) -> None:
    north, south = (
        truth.where(truth["y"] > truth["y"][16]),
        truth.where(truth["y"] < truth["y"][16]),
    )
    words = "products and reference: found no cell and day in common"
    for products in ({"a": north, "b": south}, {"a": xr.full_like(truth, np.nan)}):
        with pytest.raises(ValueProblem, match=words):
            compare(products, truth, grid_of(coarse))
    later = truth.assign_coords(time=truth["time"] + np.timedelta64(100, "D"))
    with pytest.raises(ValueProblem, match=words):
        compare({"a": later}, truth, grid_of(coarse))
