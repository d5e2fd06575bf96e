"""Closure keeps the coarse mean inside bounds whatever the field; wrappers keep the interface."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

import vadose.synthetic
from vadose.cubes.regrid import area_mean, nearest, smooth
from vadose.downscale.base import Reach, as_cube
from vadose.downscale.baselines import Interpolation
from vadose.downscale.conserve import Blend, Closed, close, residual, with_residual
from vadose.grids import coarsened, coordinates, grid_of, latlon, named_grid
from vadose.schema import FLAGS, ORIGIN, check_cube

CELLS = 4  # coarse cells along a side


@pytest.fixture(scope="module")
def world() -> vadose.synthetic.World:
    return vadose.synthetic.world(size=32, days=6, factor=4, seed=0)


def fine_grid(factor: int, *, geographic: bool) -> GeoBox:
    size = CELLS * factor
    if geographic:
        return latlon(1.0, (0, 50, size, 50 + size))
    return named_grid("EASE2_1km")[3096 : 3096 + size, 27468 : 27468 + size]


def field_on(grid: GeoBox, values: np.ndarray) -> xr.DataArray:
    dims = ("member", "time", "y", "x")[-values.ndim :]
    return xr.DataArray(values, dims=dims, coords=coordinates(grid), name="soil_moisture")


@st.composite
def cases(draw: st.DrawFn) -> tuple[xr.DataArray, xr.DataArray, tuple[float, float]]:
    """Draw a field with gaps, values that can be reached, and bounds that often bite."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    factor = draw(st.integers(2, 8))
    low = draw(st.floats(0.0, 0.3))
    high = low + draw(st.floats(0.05, 0.6))
    fine = fine_grid(factor, geographic=draw(st.booleans()))
    roughness = draw(st.sampled_from([0.0, 0.01, 0.2, 3.0]))
    values = (low + high) / 2 + roughness * rng.standard_normal((2, *fine.shape))
    values[rng.random(values.shape) < draw(st.sampled_from([0.0, 0.1, 0.7]))] = np.nan
    if draw(st.booleans()):
        values[:, :factor, :factor] = np.nan  # a whole cell
    share = rng.beta(0.3, 0.3, (2, CELLS, CELLS)) if draw(st.booleans()) else rng.random()
    wanted = low + (high - low) * share * np.ones((2, CELLS, CELLS))
    wanted[rng.random(wanted.shape) < draw(st.sampled_from([0.0, 0.3]))] = np.nan
    return field_on(fine, values), field_on(coarsened(fine, factor), wanted), (low, high)


# --- close ---


@settings(max_examples=25, deadline=None)
@given(case=cases())
def test_closes_every_cell_inside_the_bounds(
    case: tuple[xr.DataArray, xr.DataArray, tuple[float, float]],
) -> None:
    field, coarse, (low, high) = case
    closed = close(field, coarse, bounds=(low, high))
    left = residual(closed, coarse)
    can_close = coarse.notnull().values & area_mean(field, grid_of(coarse), min_valid=0).notnull()
    assert np.array_equal(left.notnull(), can_close)
    assert float(abs(left.fillna(0)).max()) < 1e-3
    assert np.array_equal(closed.isnull(), field.isnull()), "a gap moved"
    valid = closed.values[closed.notnull().values]
    assert ((valid >= low) & (valid <= high)).all()
    assert closed.dtype == np.float64
    assert closed.dims == field.dims


def test_a_step_is_closed_the_same_whatever_others_are_there(
    world: vadose.synthetic.World,
) -> None:
    wet = world.truth["soil_moisture"][:2].astype("f8") + 0.02
    wet[1] = (wet[1] - 0.2) * 20  # takes many passes
    coarse = world.coarse_truth["soil_moisture"][:2]
    both = close(wet, coarse, bounds=(0.05, 0.5))
    for place in range(2):
        alone = close(wet[place], coarse[place], bounds=(0.05, 0.5))
        assert np.array_equal(alone, both[place])


def test_a_closed_field_is_left_as_it_is(world: vadose.synthetic.World) -> None:
    truth, coarse = (one["soil_moisture"] for one in (world.truth, world.coarse_truth))
    closed = close(truth, coarse, bounds=(0.0, 1.0))
    assert np.array_equal(closed.values, truth.values.astype("f8"))


def test_a_shift_is_undone_and_the_pattern_kept(world: vadose.synthetic.World) -> None:
    truth, coarse = (one["soil_moisture"] for one in (world.truth, world.coarse_truth))
    closed = close(truth + 0.05, coarse, bounds=(0.0, 1.0), tolerance=1e-7)
    assert float(abs(closed - truth).max()) < 1e-6


def test_the_mean_is_that_of_true_area() -> None:
    """Near the pole a mean of cells and a mean of area differ; closure is of area."""
    fine = latlon(1.0, (0, 82, 8, 90))
    rows = np.repeat(np.linspace(0.1, 0.5, 8)[:, None], 8, axis=1)
    coarse = field_on(coarsened(fine, 8), np.array([[0.3]]))
    closed = close(field_on(fine, rows), coarse, bounds=(0, 1), tolerance=1e-9)
    weight = np.cos(np.radians(89.5 - np.arange(8)))
    assert np.average(closed.values[:, 0], weights=weight) == pytest.approx(0.3, abs=1e-5)
    assert closed.values.mean() < 0.27


def test_the_mean_is_that_of_a_weight_where_one_is_given() -> None:
    fine = fine_grid(4, geographic=True)
    rng = np.random.default_rng(0)
    field, weight = (field_on(fine, rng.random(fine.shape)) for _ in range(2))
    weight[:4, :2] = 0.0  # sea
    coarse = field_on(coarsened(fine, 4), np.full((CELLS, CELLS), 0.9))
    closed = close(field, coarse, bounds=(0, 1), weight=weight)
    assert float(abs(residual(closed, coarse, weight)).max()) < 1e-3
    assert np.average(closed[:4, :4], weights=weight[:4, :4]) == pytest.approx(0.9, abs=1e-3)
    assert float(abs(residual(closed, coarse)).max()) > 5e-3


def test_closes_a_cell_that_is_at_its_bound_but_for_one_part() -> None:
    fine = fine_grid(8, geographic=True)
    values = np.ones(fine.shape)
    values[::8, ::8] = 0.0
    coarse = field_on(coarsened(fine, 8), np.full((CELLS, CELLS), 0.999))
    closed = close(field_on(fine, values), coarse, bounds=(0.0, 1.0))
    assert float(abs(residual(closed, coarse)).max()) < 1e-3


@pytest.mark.parametrize(("wanted", "bound"), [(0.7, 0.6), (-0.1, 0.1)])
def test_what_cannot_be_reached_is_written_honestly(wanted: float, bound: float) -> None:
    fine = fine_grid(4, geographic=False)
    rng = np.random.default_rng(0)
    raw = field_on(fine, 0.35 + 0.02 * rng.standard_normal(fine.shape))
    coarse = area_mean(raw, coarsened(fine, 4))
    coarse[0, 0] = wanted
    closed = close(raw, coarse, bounds=(0.1, 0.6))
    assert np.allclose(closed[:4, :4], bound, rtol=0, atol=2e-3), "approached as far as can be"
    left = residual(closed, coarse).values
    assert left[0, 0] == pytest.approx(bound - wanted, abs=1e-3)
    assert np.abs(np.delete(left.ravel(), 0)).max() < 1e-3, "the other cells close"
    assert float(abs(closed - raw)[8:, 8:].max()) < 0.01, "cells further off are not dragged along"
    cube = xr.Dataset({"soil_moisture": closed.astype("f4")})
    written = with_residual(cube, coarse)["closure_residual"]
    assert np.allclose(written[:4, :4], bound - wanted, rtol=0, atol=1e-3)
    assert written.attrs["units"] == "m3 m-3"
    assert written.dtype == np.float32


def test_without_a_coarse_value_the_field_stays() -> None:
    fine = fine_grid(4, geographic=True)
    raw = field_on(fine, np.full(fine.shape, 0.3))
    coarse = field_on(coarsened(fine, 4), np.full((CELLS, CELLS), np.nan))
    assert np.array_equal(close(raw, coarse, bounds=(0, 1)), raw)
    coarse[0, 0] = 0.2
    closed = close(raw, coarse, bounds=(0, 1))
    assert float(closed[:4, :4].mean()) == pytest.approx(0.2, abs=1e-3)
    assert (closed[10:] == 0.3).all()
    assert (closed[:, 10:] == 0.3).all(), "it fades out over one and a half coarse cells"
    assert (closed[:10, :10] < 0.3).all()


def test_members_are_closed_one_by_one(world: vadose.synthetic.World) -> None:
    truth, coarse = (one["soil_moisture"][:2] for one in (world.truth, world.coarse_truth))
    members = xr.concat([truth + 0.03, truth * 0.5], dim="member")
    closed = close(members, coarse, bounds=(0, 1))
    assert closed.dims == ("member", "time", "y", "x")
    left = residual(closed, coarse)
    assert left.dims == closed.dims
    assert float(abs(left).max()) < 1e-3


def test_a_part_of_a_cube_closes_too(world: vadose.synthetic.World) -> None:
    """Coordinates of a part are off by a rounding from those of its grid."""
    cells, pixels = slice(1, 7), slice(4, 28)
    coarse = world.coarse_truth["soil_moisture"].isel(y=cells, x=cells)
    wet = world.truth["soil_moisture"].isel(y=pixels, x=pixels) + 0.02
    assert not np.array_equal(coarse["x"], coordinates(grid_of(coarse))["x"])
    closed = close(wet, coarse, bounds=(0, 1))
    assert closed.shape == wet.shape
    assert residual(closed, coarse).shape == coarse.shape
    assert float(abs(residual(closed, coarse)).max()) < 1e-3


# --- wrappers ---


def test_closed_keeps_the_interface(world: vadose.synthetic.World) -> None:
    inner = Interpolation(smooth)
    closed = Closed(inner)
    assert closed.target == "soil_moisture"
    assert closed.fit(world.coarse) is closed
    product = closed.predict(world.predictors, world.coarse_truth)
    raw = inner.predict(world.predictors, world.coarse_truth)
    assert check_cube(product) is product
    assert set(product) == {"soil_moisture", "origin", "flags", "closure_residual"}
    assert product["soil_moisture"].attrs == raw["soil_moisture"].attrs
    assert product["soil_moisture"].attrs["depth_to"] == 0.05
    left = residual(product["soil_moisture"], world.coarse_truth["soil_moisture"])
    assert float(abs(left).max()) < 1e-3
    assert np.allclose(product["closure_residual"], nearest(left, grid_of(product)), atol=1e-8)


def with_layers(world: vadose.synthetic.World) -> tuple[Constant, xr.Dataset]:
    """Give a downscaler of two layers that flags, and a coarse cube that has both, with gaps."""
    coarse = world.coarse_truth[["soil_moisture", "root_zone_soil_moisture"]].copy(deep=True)
    coarse["soil_moisture"] = coarse["soil_moisture"].where(world.coarse["soil_moisture"] > 0)
    return Constant(0.2, gap=True, layers=True), coarse


@pytest.mark.parametrize("cells", [2, 3])
def test_tiles_close_as_the_whole_cube(world: vadose.synthetic.World, cells: int) -> None:
    inner, coarse = with_layers(world)
    closed = Closed(inner, bounds=(0.1, 0.28))
    whole = closed.predict(world.predictors, coarse)
    raw = inner.predict(world.predictors, coarse)
    spans = [slice(start, min(start + cells, 8)) for start in range(0, 8, cells)]
    tiles = [{"y": rows, "x": columns} for rows in spans for columns in spans]

    def pixels(tile: dict[str, slice]) -> dict[str, slice]:
        return {dim: slice(span.start * 4, span.stop * 4) for dim, span in tile.items()}

    def around(tile: dict[str, slice]) -> dict[str, slice]:
        return {dim: slice(max(0, span.start - 1), span.stop + 1) for dim, span in tile.items()}

    parts = [closed.balance(raw.isel(pixels(tile)), coarse.isel(around(tile))) for tile in tiles]
    together = xr.combine_by_coords(parts, combine_attrs="override").sortby("y", ascending=False)
    correction = closed.correction(together, coarse)
    assert set(correction) == {
        "soil_moisture_correction",
        "root_zone_soil_moisture_correction",
    }
    for tile in tiles:
        window, known = coarse.isel(around(tile)), correction.isel(around(tile))
        found = closed.corrected(raw.isel(pixels(tile)), window, known)
        expected = whole.isel(pixels(tile))
        assert set(found) == set(whole)
        for name in whole:
            assert np.array_equal(found[name], expected[name], equal_nan=True), name
            assert found[name].attrs.keys() == expected[name].attrs.keys()
        again = closed.predict(world.predictors.isel(pixels(tile)), window, correction=known)
        assert np.array_equal(again["origin"], expected["origin"])


def test_closed_cuts_off_a_margin_that_it_knows_nothing_of(world: vadose.synthetic.World) -> None:
    fine = world.predictors.isel(y=slice(4, 12), x=slice(8, 28))
    closed = Closed(Interpolation(nearest))
    found = closed.predict(fine, world.coarse_truth)
    left = residual(found["soil_moisture"], world.coarse_truth["soil_moisture"])
    assert left.shape == (6, 2, 5)
    assert float(abs(left).max()) < 1e-3


def test_closed_hands_on_what_is_known_of_a_value(world: vadose.synthetic.World) -> None:
    inner, coarse = with_layers(world)
    raw = inner.predict(world.predictors, coarse)
    product = Closed(inner).predict(world.predictors, coarse)
    assert check_cube(product) is product
    assert set(product) == {*raw, "closure_residual"}
    for name in ("origin", "flags"):
        assert np.array_equal(product[name], raw[name])
        assert product[name].dtype == raw[name].dtype
    assert product["soil_moisture"].attrs["ancillary_variables"] == "origin flags"


def test_wrappers_look_as_far_as_they_must(world: vadose.synthetic.World) -> None:
    assert Closed(Interpolation(smooth)).reach(4) == Reach(coarse=None, fine=None)
    assert Blend([Constant(0.2), Interpolation(smooth)]).reach(4) == Reach(coarse=1)
    far = Blend([Closed(Constant(0.2)), Interpolation(smooth)]).reach(4)
    assert far == Reach(coarse=None, fine=None)


def test_closed_takes_its_bounds_from_the_target_or_the_caller(
    world: vadose.synthetic.World,
) -> None:
    wet = world.coarse_truth.copy(deep=True)
    wet["soil_moisture"][:, 0, 0] = 0.9
    free = Closed(Interpolation(nearest)).predict(world.predictors, wet)["soil_moisture"]
    assert float(free.max()) == pytest.approx(0.9, abs=1e-3)
    bound = Closed(Interpolation(nearest), bounds=(0.0, 0.6)).predict(world.predictors, wet)
    assert float(bound["soil_moisture"].max()) == pytest.approx(0.6)
    assert np.allclose(bound["closure_residual"][:, :4, :4], -0.3, atol=1e-6)


def test_closed_leaves_gaps_and_fills(world: vadose.synthetic.World) -> None:
    product = Closed(Interpolation(smooth)).predict(world.predictors, world.coarse)
    field, origin = product["soil_moisture"], product["origin"]
    is_known = nearest(world.coarse["soil_moisture"], grid_of(product)).notnull()
    assert (origin.values[field.isnull()] == ORIGIN.code("masked")).all()
    assert (origin.values[field.notnull() & is_known] == ORIGIN.code("downscaled")).all()
    assert (origin.values[field.notnull() & ~is_known] == ORIGIN.code("filled")).all()
    assert product["closure_residual"].where(~is_known).isnull().all()


class Constant:
    """The smallest downscaler."""

    target = "soil_moisture"

    def __init__(self, value: float, *, gap: bool = False, layers: bool = False) -> None:
        self.inner, self.value, self.gap, self.fits = Interpolation(nearest), value, gap, 0
        self.layers = layers

    def fit(self, coarse: xr.Dataset) -> Constant:
        self.fits += 1
        return self

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        cube = self.inner.predict(fine, coarse)
        cube["soil_moisture"][:] = self.value
        if self.gap:
            cube["soil_moisture"][:, 0, 0] = np.nan
        if not self.layers:
            return cube
        field = cube["soil_moisture"] + 0.02 * np.sin(cube["x"] / 2e3)
        extrapolated = FLAGS.mask("extrapolated") * (field > self.value)
        product = as_cube(field, "soil_moisture", cube["origin"], extrapolated)
        root_zone = as_cube(field, "root_zone_soil_moisture", cube["origin"])
        return product.assign(root_zone_soil_moisture=root_zone["root_zone_soil_moisture"])

    def reach(self, factor: int) -> Reach:
        return Reach()


@pytest.mark.parametrize(("weights", "mean"), [(None, 0.3), ([3.0, 1.0], 0.25), ([0.0, 2.0], 0.4)])
def test_blend_is_the_weighted_mean(
    world: vadose.synthetic.World, weights: list[float] | None, mean: float
) -> None:
    parts = [Constant(0.2), Constant(0.4)]
    blend = Blend(list(parts), weights)
    assert blend.fit(world.coarse) is blend
    assert [part.fits for part in parts] == [1, 1]
    product = blend.predict(world.predictors, world.coarse_truth)
    assert check_cube(product) is product
    assert np.allclose(product["soil_moisture"], mean)
    assert product["soil_moisture"].dtype == np.float32


def test_blend_has_no_value_where_a_part_has_none(world: vadose.synthetic.World) -> None:
    product = Blend([Constant(0.2), Constant(0.4, gap=True)]).predict(
        world.predictors, world.coarse_truth
    )
    is_gap = product["soil_moisture"].isnull()
    assert is_gap[:, 0, 0].all()
    assert int(is_gap.sum()) == product.sizes["time"]
    assert ((product["origin"] == ORIGIN.code("missing")) == is_gap).all()


def test_blend_joins_flags_and_keeps_the_least_certain_origin(
    world: vadose.synthetic.World,
) -> None:
    coarse = world.coarse_truth
    one, two = (Constant(value).predict(world.predictors, coarse) for value in (0.2, 0.4))
    bits = {name: FLAGS.mask(name) for name in ("extrapolated", "coarse_gap", "predictor_missing")}
    codes = {name: ORIGIN.code(name) for name in ("extrapolated", "filled", "masked")}
    zero = xr.zeros_like(one["origin"], dtype="u2")
    one["flags"], two["flags"] = zero, zero.copy()
    one["flags"][:, 0, :2], one["origin"][:, 0, :2] = bits["extrapolated"], codes["extrapolated"]
    two["flags"][:, 0, 1:3], two["origin"][:, 0, 1:3] = bits["coarse_gap"], codes["filled"]
    one["flags"][:, 1, 0], one["origin"][:, 1, 0] = bits["extrapolated"], codes["extrapolated"]
    two["flags"][:, 1, 0], two["origin"][:, 1, 0] = bits["predictor_missing"], codes["masked"]
    two["soil_moisture"][:, 1, 0] = np.nan
    product = Blend([Given(one), Given(two)]).predict(world.predictors, coarse)
    assert product["flags"].dtype == np.uint16
    assert product["flags"][0, 0, :4].values.tolist() == [2, 3, 1, 0]
    assert product["flags"][0, 1, 0] == bits["predictor_missing"], "no value is extrapolated"
    assert product["origin"][0, 0, :4].values.tolist() == [4, 3, 3, 2]
    assert product["origin"][0, 1, 0] == codes["masked"]
    alone = Blend([Given(one), Given(two.drop_vars("flags"))]).predict(world.predictors, coarse)
    assert np.array_equal(alone["flags"].where(product["soil_moisture"] > 0, 0)[0, 0, :2], [2, 2])


class Given:
    """A product that is there already."""

    target = "soil_moisture"

    def __init__(self, product: xr.Dataset) -> None:
        self.product = product

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        return self.product


def test_wrappers_wrap_each_other(world: vadose.synthetic.World) -> None:
    closed = Closed(Blend([Constant(0.2), Interpolation(smooth)]))
    product = closed.fit(world.coarse).predict(world.predictors, world.coarse_truth)
    left = residual(product["soil_moisture"], world.coarse_truth["soil_moisture"])
    assert float(abs(left).max()) < 1e-3
