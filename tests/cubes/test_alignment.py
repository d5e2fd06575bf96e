"""The report tells what the data is worth on the grid; the shift test finds half a pixel."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter

from vadose.cubes.alignment import alignment_report
from vadose.cubes.reproject import reproject
from vadose.cubes.shifts import shift_test
from vadose.errors import NoOverlap
from vadose.grids import coordinates, latlon
from vadose.schema import VARIABLES


def square(count, cell, left=0.0, top=4e6, crs="EPSG:6933"):
    return GeoBox((count, count), Affine(cell, 0, left, 0, -cell, top), crs)


#: Source and target: finer, coarser, same size, other CRS.
PAIRS = {
    "nested": (square(24, 36_000.0), square(96, 9000.0)),
    "finer": (square(24, 25_000.0, 3000.0), square(150, 2777.0, 60_000.0, 3.9e6)),
    "coarser": (square(90, 9000.0), square(22, 36_100.0, 5000.0, 3.99e6)),
    "same": (square(60, 9000.0), square(58, 9000.0, 4500.0, 4e6 - 4500.0)),
    "degrees": (latlon(0.25, (0, 20, 30, 50)), square(40, 55_000.0, 3e5, 5.4e6)),
    "utm": (latlon(0.25, (0, 40, 6, 45)), square(60, 6000.0, 3.3e5, 4.93e6, "EPSG:32631")),
}


def field(grid, seed, width, gaps=0.1, steps=3):
    rng = np.random.default_rng(seed)
    values = gaussian_filter(rng.normal(size=(steps, *grid.shape)), (0, width, width))
    values = 20.0 + 5.0 * values / values.std()
    values[rng.random(values.shape) < gaps] = np.nan
    times = (np.datetime64("2019-01-01") + np.arange(steps)).astype("M8[ns]")
    return xr.Dataset(
        {"sand": (("time", "y", "x"), values, VARIABLES["sand"].attributes())},
        coords=coordinates(grid) | {"time": times},
        attrs={"product": "invented", "number_of_files": 3},
    )


def misplaced(before, grid, east, north, rule):
    """Regrid to a grid that lies elsewhere, and claim that it lies here."""
    there = GeoBox(tuple(grid.shape), grid.affine * Affine.translation(-east, north), grid.crs)
    wrong = reproject(before, there, rules=rule)
    return wrong.drop_vars(["y", "x", "spatial_ref"]).assign_coords(coordinates(grid))


@settings(max_examples=25, deadline=None)
@given(
    pair=st.sampled_from(sorted(PAIRS)),
    seed=st.integers(0, 10**6),
    width=st.floats(0.5, 4.0),
    gaps=st.floats(0.0, 0.3),
)
def test_correct_regridding_raises_no_alarm(pair, seed, width, gaps):
    source, target = PAIRS[pair]
    before = field(source, seed, width, gaps)
    shift = shift_test(before["sand"], reproject(before, target)["sand"])
    assert not shift.is_found, shift
    assert max(abs(shift.east), abs(shift.north)) < 0.25


@settings(max_examples=25, deadline=None)
@given(
    pair=st.sampled_from(sorted(PAIRS)),
    seed=st.integers(0, 10**6),
    way=st.sampled_from([(0.5, 0.0), (0.0, -0.5), (-0.5, 0.5)]),
)
def test_half_a_target_pixel_is_found(pair, seed, way):
    source, target = PAIRS[pair]
    before = field(source, seed, 1.5)
    shift = shift_test(before["sand"], misplaced(before, target, *way, {})["sand"])
    ratio = {"coarser": 36_100 / 9000, "degrees": 55_000 / 25_000}.get(pair, 1.0)
    assert shift.is_found
    assert shift.east == pytest.approx(way[0] * ratio, abs=0.25)
    assert shift.north == pytest.approx(way[1] * ratio, abs=0.25)


def test_half_a_coarse_pixel_is_found_on_a_fine_grid():
    source, target = PAIRS["finer"]
    before = field(source, 1, 1.0)
    shift = shift_test(
        before["sand"], misplaced(before, target, 4.5, 0.0, {"sand": "nearest"})["sand"]
    )
    assert shift.is_found
    assert shift.east == pytest.approx(4.5, abs=0.6)


def test_nothing_is_said_of_flat_or_foreign_fields():
    source, target = PAIRS["nested"]
    before = field(source, 0, 1.0)
    flat = before.assign(sand=before["sand"] * 0.0 + 7.0)
    assert np.isnan(shift_test(flat["sand"], reproject(flat, target)["sand"]).east)
    after = reproject(before, target)
    later = after.assign_coords(time=after["time"] + np.timedelta64(99, "D"))
    assert np.isnan(shift_test(before["sand"], later["sand"]).east)
    assert np.isnan(shift_test(before["sand"], after["sand"].isel(time=0, drop=True)).east)
    far = reproject(before, square(20, 9000.0, 9e6))
    assert not shift_test(before["sand"], far["sand"]).is_found


def test_the_report_calls_coarse_data_by_its_name():
    source, target = PAIRS["finer"]
    before = field(source, 3, 2.0, gaps=0.25)
    (row,) = alignment_report(before, reproject(before, target))
    assert row.remark == "25.0 km data on a 2.8 km grid: about one value in 81 is independent."
    assert row.native_resolution == pytest.approx(25_000.0, rel=1e-4)
    assert (row.source, row.files, row.steps) == ("invented", 3, 3)
    assert row.valid_before == pytest.approx(float(before["sand"].notnull().mean()))
    assert row.minimum_before == pytest.approx(float(before["sand"].min()))
    assert row.mean_before == pytest.approx(float(before["sand"].mean()))
    assert row.coverage == 1.0
    assert row.units_before == row.units_after == "%"
    assert row.regridding.startswith("smooth from 25000 m")
    json.dumps(row.record(), allow_nan=False)


def test_resolution_is_remembered_through_a_second_regridding():
    source, target = PAIRS["nested"]
    before = field(source, 3, 2.0)
    fine = reproject(before, target)
    (row,) = alignment_report(fine, reproject(fine, square(190, 4500.0, 100.0)))
    assert row.remark.startswith("36.0 km data on a 4.5 km grid")


def test_a_shift_and_a_lack_of_cover_are_put_into_words():
    source, target = PAIRS["same"]
    before = field(source, 5, 2.0)
    (row,) = alignment_report(before, misplaced(before, target, 0.5, 0.0, {}))
    assert row.is_shifted
    assert "Shifted by +0.50 cells east and +0.00 north" in row.remark
    wide = square(60, 9000.0, 270_000.0)
    (half,) = alignment_report(before, reproject(before, wide))
    assert half.coverage == pytest.approx(0.5)
    assert "covers 50.0% of the grid" in half.remark


def test_steps_are_sampled_lazily_and_codes_have_no_mean():
    source, target = PAIRS["same"]
    before = field(source, 5, 2.0, steps=40)
    codes = (before["sand"].fillna(20.0) > 20.0).astype("u1").rename("is_water")
    codes.attrs = VARIABLES["is_water"].attributes()
    before = before.assign(is_water=codes)
    after = reproject(before, target)
    eager = alignment_report(before, after, steps=5)
    lazy = alignment_report(before.chunk(time=7), reproject(before.chunk(time=7), target), steps=5)
    assert lazy == eager
    assert [row.steps for row in eager] == [5, 5]
    assert eager[1].mean_after is None
    assert eager[1].maximum_after == 1.0
    with pytest.raises(NoOverlap, match="a variable in both"):
        alignment_report(before[["sand"]], after[["is_water"]])
