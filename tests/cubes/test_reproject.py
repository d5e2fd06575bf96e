"""Any grid to any grid: equal to independent tools, conserving, and never mixing codes."""

from __future__ import annotations

import exactextract
import numpy as np
import pytest
import rasterio.warp
import xarray as xr
from affine import Affine
from exactextract.raster import NumPyRasterSource
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from shapely.geometry import box as rectangle
from shapely.geometry import mapping

from vadose.cubes import regrid
from vadose.cubes.overlap import overlap
from vadose.cubes.places import window
from vadose.cubes.reproject import reproject, resolution, valid_share
from vadose.errors import GridProblem, RecipeProblem, UnknownName
from vadose.grids import cell_area, coarsened, coordinates, grid_of, latlon, lonlat
from vadose.schema import VARIABLES, check_cube

EQUAL_AREA = "EPSG:6933"
SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"


def square(shape, cell, left, top, crs=EQUAL_AREA):
    return GeoBox(shape, Affine(cell, 0, left, 0, -cell, top), crs)


def cube(values, grid, name="sand", **more):
    dims = ("member", "time", "y", "x")[4 - np.ndim(values) :]
    coords = dict(coordinates(grid))
    if "time" in dims:
        coords["time"] = np.arange(np.shape(values)[-3]).astype("M8[D]").astype("M8[ns]")
    return xr.Dataset({name: (dims, values, VARIABLES[name].attributes())}, coords=coords, **more)


def noise(seed, shape, share=0.2):
    rng = np.random.default_rng(seed)
    values = rng.normal(20.0, 5.0, shape)
    values[rng.random(shape) < share] = np.nan
    return values


def harmonic(grid):
    """Give a smooth field on the sphere."""
    longitude, latitude = (np.radians(values) for values in lonlat(grid))
    return np.cos(latitude) * np.cos(longitude - 1.0) + 0.3 * np.sin(2 * latitude)


def outlines(grid):
    a = grid.affine
    return [
        {
            "type": "Feature",
            "properties": {},
            "geometry": mapping(
                rectangle(a.c + a.a * j, a.f + a.e * (i + 1), a.c + a.a * (j + 1), a.f + a.e * i)
            ),
        }
        for i in range(grid.shape.y)
        for j in range(grid.shape.x)
    ]


def extracted(values, source, target, what, weights=None):
    edges = tuple(source.boundingbox)
    rasters = [
        None if one is None else NumPyRasterSource(one, *edges, nodata=np.nan)
        for one in (values, weights)
    ]
    found = exactextract.exact_extract(rasters[0], outlines(target), [what], weights=rasters[1])
    numbers = [feature["properties"].get(what, np.nan) for feature in found]
    return np.array(numbers, "f8").reshape(tuple(target.shape))


SOURCE = square((60, 70), 1000.0, 500_000.0, 4_000_000.0)
TARGET = square((9, 10), 6300.0, 503_111.0, 3_998_333.0)


@pytest.mark.parametrize("cell", [6300.0, 700.0])
def test_mean_equals_gdal_and_exactextract_on_grids_that_do_not_nest(cell):
    target = square((9, 10), cell, 503_111.0, 3_998_333.0)
    values = noise(0, (60, 70))
    mine = reproject(cube(values, SOURCE), target, rules={"sand": "mean"}, min_valid=0.0)
    gdal = np.full(tuple(target.shape), np.nan)
    rasterio.warp.reproject(
        values,
        gdal,
        src_transform=SOURCE.affine,
        src_crs=EQUAL_AREA,
        dst_transform=target.affine,
        dst_crs=EQUAL_AREA,
        src_nodata=np.nan,
        dst_nodata=np.nan,
        resampling=Resampling.average,
    )
    np.testing.assert_allclose(mine["sand"], gdal, rtol=1e-5)
    np.testing.assert_allclose(mine["sand"], extracted(values, SOURCE, target, "mean"), rtol=1e-5)


def test_valid_share_equals_exactextract():
    values = noise(1, (60, 70), 0.4)
    known = np.isfinite(values).astype("f8")
    expected = extracted(known, SOURCE, TARGET, "sum") / 6.3**2
    share = valid_share(cube(values, SOURCE)["sand"], TARGET)
    np.testing.assert_allclose(share, expected, atol=1e-5)
    mean = reproject(cube(values, SOURCE), TARGET, min_valid=0.6)["sand"]
    np.testing.assert_array_equal(np.isfinite(mean), share >= 0.6)


def test_mean_weighs_by_true_area_on_longitude_latitude():
    source, target = latlon(1.0, (0, 60, 20, 80)), latlon(2.5, (0, 60, 20, 80))
    values = noise(2, (20, 20), 0.0)
    area = cell_area(source).values
    expected = extracted(values, source, target, "weighted_mean", area)
    found = reproject(cube(values, source), target)["sand"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    plain = extracted(values, source, target, "mean")
    assert np.abs(found - plain).max() > 1e-3


def test_cubic_and_nearest_equal_gdal():
    values = np.exp(np.add.outer(np.arange(60.0), 0.5 * np.arange(70.0)) / 20)  # never overshoots
    target = square((60, 60), 300.0, 510_111.0, 3_990_333.0)
    for rule, method in (("cubic", Resampling.cubic), ("nearest", Resampling.nearest)):
        gdal = np.full((60, 60), np.nan)
        where = {"src_crs": EQUAL_AREA, "dst_crs": EQUAL_AREA, "resampling": method}
        where |= {"src_transform": SOURCE.affine, "dst_transform": target.affine}
        rasterio.warp.reproject(values, gdal, **where)
        mine = reproject(cube(values, SOURCE), target, rules={"sand": rule})["sand"]
        np.testing.assert_allclose(mine, gdal, rtol=1e-5)


@pytest.mark.parametrize("rule", ["mean", "smooth"])
@pytest.mark.parametrize(
    ("source", "target"),
    [
        (latlon(2.0), square((90, 220), 157_886.6, -17_367_530.445, 7_104_897.0)),
        (square((90, 220), 157_886.6404, -17_367_530.4451615, 7_104_897.0), latlon(2.5, (-180, -70, 180, 70))),
        (latlon(2.0), square((40, 40), 200_000.0, -4e6, 4e6, "EPSG:3408")),
        (latlon(0.5), square((30, 30), 60_000.0, -400_000.0, 6_900_000.0, "EPSG:32601")),
        (square((60, 60), 20_000.0, 5e5, 5e6, SINUSOIDAL), latlon(0.5, (9, 37, 14, 42))),
        (latlon(2.0, (-180, -60, 180, 60)), latlon(3.0, (-181.5, -60, 178.5, 60))),
    ],
    ids=["ease", "from-ease", "pole", "antimeridian", "sinusoidal", "seam"],
)  # fmt: skip
def test_smooth_fields_arrive_unchanged_in_any_crs(source, target, rule):
    found = reproject(cube(harmonic(source), source), target, rules={"sand": rule})["sand"]
    assert np.isfinite(found).all()
    assert np.abs(found - harmonic(target)).max() < 1e-2


def test_cells_share_out_their_area_wholly_over_seam_and_poles():
    source, target = latlon(5.0), latlon(8.0, (-180, -88, 180, 88))
    tile = (0, target.shape.y, 0, target.shape.x)
    pair = overlap(source, target, tile, window(source, target, tile))
    assert pair.areas.sum() == pytest.approx(float(cell_area(target).sum()), rel=1e-3)
    sinusoidal = square((90, 180), 222_390.1, -20_015_109.0, 10_007_554.5, SINUSOIDAL)
    tile = (0, 90, 0, 180)
    pair = overlap(source, sinusoidal, tile, window(source, sinusoidal, tile))
    assert pair.areas.sum() == pytest.approx(float(cell_area(source).sum()), rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    share=st.floats(0.0, 0.9),
    cell=st.floats(0.6, 7.0),
    start=st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)),
)
def test_amounts_are_conserved(seed, share, cell, start):
    source = square((12, 14), 9000.0, 0.0, 3e6)
    count = int(np.ceil(15.0 / cell)) + 1
    target = square((count, count), 9000.0 * cell, -9000.0 * start[0], 3e6 + 9000.0 * start[1])
    values = noise(seed, (12, 14), share)
    mean = reproject(cube(values, source), target, rules={"sand": "mean"}, min_valid=0.0)["sand"]
    share_after = valid_share(cube(values, source)["sand"], target)
    after = float((mean.fillna(0.0) * share_after * cell_area(target)).sum())
    assert after == pytest.approx(float(np.nansum(values * cell_area(source).values)), rel=1e-6)
    assert not mean.notnull().any() or float(mean.max()) <= np.nanmax(values) + 1e-9


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_sum_counts_amounts_and_max_finds_the_peak(seed):
    values = noise(seed, (12, 12), 0.0)
    source, target = square((12, 12), 1000.0, 0.0, 3e6), square((5, 5), 2400.0, 0.0, 3e6)
    total = reproject(cube(values, source), target, rules={"sand": "sum"})["sand"]
    assert float(total.sum()) == pytest.approx(values.sum(), rel=1e-9)
    peak = reproject(cube(values, source), target, rules={"sand": "max"})["sand"]
    assert float(peak.max()) == values.max()
    assert float(peak[0, 0]) == values[:3, :3].max()


def test_nested_grids_agree_with_regrid_and_there_and_back_is_the_same():
    grid = latlon(0.5, (0, 40, 12, 52))
    fine = cube(noise(5, (24, 24)), grid)
    coarse = coarsened(grid, 4)
    nested = reproject(fine, coarse)["sand"]
    np.testing.assert_array_equal(nested, regrid.aggregate(fine, coarse)["sand"])
    moved = GeoBox((7, 7), coarse.affine, coarse.crs)  # not nested: one row and column more
    np.testing.assert_allclose(reproject(fine, moved)["sand"][:6, :6], nested, rtol=1e-9)
    known = cube(noise(6, (6, 6), 0.0), coarse)
    back = reproject(reproject(known, grid, rules={"sand": "nearest"}), coarse)
    np.testing.assert_allclose(back["sand"], known["sand"], rtol=1e-9)
    wide = GeoBox((28, 28), grid.affine, grid.crs)
    np.testing.assert_allclose(
        reproject(known, wide)["sand"][:24, :24], regrid.smooth(known["sand"], grid), rtol=1e-9
    )
    xr.testing.assert_equal(reproject(fine, grid), fine)


@pytest.mark.parametrize("rule", ["mean", "smooth", "cubic", "nearest"])
def test_the_result_does_not_depend_on_chunks(rule, monkeypatch):
    monkeypatch.setattr("vadose.cubes.warp.REACH", 20)  # several tiles, 16 cells a side at least
    source = latlon(3.0)
    values = noise(7, (2, 3, 60, 120)).astype("f4")
    target = square((40, 90), 380_000.0, -17_367_530.4, 7_300_000.0)
    whole = reproject(cube(values, source), target, rules={"sand": rule})
    for chunks in ({"y": 7, "x": 50}, {"time": 1, "x": 31}, {"member": 1, "time": 2}):
        lazy = reproject(cube(values, source).chunk(chunks), target, rules={"sand": rule})
        assert lazy["sand"].chunks is not None
        xr.testing.assert_identical(lazy.compute(), whole)
    monkeypatch.setattr("vadose.cubes.warp.REACH", 2048)
    one_tile = reproject(cube(values, source), target, rules={"sand": rule})
    np.testing.assert_allclose(one_tile["sand"], whole["sand"], rtol=1e-6)


def test_gaps_do_not_bleed():
    values = np.full((12, 12), 7.0)
    values[4:7, 4:7] = np.nan
    source, target = square((12, 12), 9000.0, 0.0, 3e6), square((35, 35), 3000.0, 1000.0, 3e6 - 1e3)
    for rule in ("smooth", "cubic", "nearest", "mean"):
        found = reproject(cube(values, source), target, rules={"sand": rule})["sand"].values
        np.testing.assert_allclose(found[np.isfinite(found)], 7.0, rtol=1e-12)
        assert np.isnan(found).any()
        assert np.isfinite(found[:10]).all()


def test_cubic_overshoot_is_clipped_and_counted():
    values = np.zeros((10, 10))
    values[:, 5:] = 1.0
    source, target = square((10, 10), 9000.0, 0.0, 3e6), square((40, 40), 2200.0, 500.0, 3e6)
    step = reproject(cube(values, source), target, rules={"sand": "cubic"})["sand"]
    assert step.attrs["overshoot"] > 0
    assert float(step.min()) == 0.0
    assert float(step.max()) == 1.0
    ramp = cube(np.tile(np.arange(10.0), (10, 1)), source)
    inner = square((20, 20), 2200.0, 20_000.0, 3e6 - 20_000.0)
    assert reproject(ramp, inner, rules={"sand": "cubic"})["sand"].attrs["overshoot"] == 0


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), cell=st.floats(0.3, 3.0))
def test_codes_are_never_interpolated(seed, cell):
    codes = np.random.default_rng(seed).choice([1, 12, 255], (12, 12)).astype("u1")
    source = square((12, 12), 9000.0, 0.0, 3e6)
    target = square((12, 12), 9000.0 * cell, 1234.0, 3e6 - 4321.0)
    found = reproject(cube(codes, source, "land_cover"), target)["land_cover"]
    assert found.dtype == np.uint8
    assert set(np.unique(found)) <= {1, 12, 255}
    shares = reproject(cube(codes, source, "land_cover"), target, rules={"land_cover": "fraction"})
    total = shares.to_dataarray().sum("variable", skipna=False)
    np.testing.assert_allclose(total.values[np.isfinite(total)], 1.0, atol=1e-6)
    assert set(shares.data_vars) == {n for n in VARIABLES if n.startswith("land_cover_")}


def test_majority_takes_the_larger_area_and_of_equals_the_lower_code():
    source, target = square((1, 3), 1000.0, 0.0, 3e6), square((1, 2), 1500.0, 0.0, 3e6)
    codes = np.array([[7, 4, 4]], "u1")
    found = reproject(cube(codes, source, "land_cover"), target)["land_cover"]
    assert found.values.tolist() == [[7, 4]]
    pair = square((1, 1), 2000.0, 0.0, 3e6)
    assert reproject(cube(codes, source, "land_cover"), pair)["land_cover"].item() == 4


@pytest.mark.parametrize("rule", ["mean", "smooth", "nearest"])
def test_tiles_that_reach_beyond_the_source_still_find_its_edges(rule):
    source = latlon(1.0, (0, 40, 14, 52))
    target = latlon(2.5, (-2.5, 37.5, 20, 55))
    found = reproject(cube(np.ones((12, 14)), source), target, rules={"sand": rule}, min_valid=0.1)
    assert found["sand"].notnull().sum() == 6 * 5
    east = latlon(1.0, (170, 40, 180, 50))  # a source that ends at the antimeridian
    beyond = latlon(2.0, (176, 40, 186, 50))  # a target that goes on over it
    found = reproject(cube(np.ones((10, 10)), east), beyond, rules={"sand": rule})["sand"]
    assert found.notnull().values.sum(axis=1).tolist() == [2] * 5


def test_outside_the_source_is_a_gap():
    source, target = square((4, 4), 9000.0, 0.0, 3e6), square((4, 9), 9000.0, -9000.0, 3e6)
    for rule in ("mean", "smooth", "cubic", "nearest"):
        found = reproject(cube(np.ones((4, 4)), source), target, rules={"sand": rule})["sand"]
        assert found.notnull().sum() == 16
    flags = cube(np.ones((4, 4), "u1"), source, "is_frozen")
    assert int(reproject(flags, target)["is_frozen"].sum()) == 16
    far = square((4, 4), 9000.0, 5e6, 3e6)
    assert reproject(cube(np.ones((4, 4)), source), far)["sand"].isnull().all()
    assert float(valid_share(cube(np.ones((4, 4)), source)["sand"], far).max()) == 0.0


def test_rules_follow_the_schema_and_the_story_is_written_down():
    fine, coarse = square((12, 12), 1000.0, 0.0, 3e6), square((5, 5), 2500.0, 0.0, 3e6)
    down = reproject(cube(noise(8, (12, 12)).astype("f4"), fine), coarse)
    assert down["sand"].attrs["regridding"].startswith("mean from 1000 m (EPSG:6933)")
    up = reproject(down, square((20, 20), 600.0, 0.0, 3e6))
    assert up["sand"].attrs["regridding"].startswith("smooth")
    assert up["sand"].attrs["native_resolution"] == pytest.approx(2500.0, rel=1e-3)
    assert up["sand"].dtype == np.float32
    check_cube(up)
    assert grid_of(up).shape == (20, 20)
    assert resolution(fine) == pytest.approx(1000.0, rel=1e-6)


def test_wrong_rules_are_refused():
    source, target = square((4, 4), 1000.0, 0.0, 3e6), square((3, 3), 1300.0, 0.0, 3e6)
    codes = cube(np.ones((4, 4), "u1"), source, "land_cover")
    with pytest.raises(
        RecipeProblem, match="'cubic' for a class variable, expected one of majority"
    ):
        reproject(codes, target, rules={"land_cover": "cubic"})
    with pytest.raises(RecipeProblem, match="'fraction' for a class variable"):
        reproject(
            cube(np.ones((4, 4), "u1"), source, "origin"), target, rules={"origin": "fraction"}
        )
    with pytest.raises(UnknownName, match="Did you mean 'mean'"):
        reproject(cube(np.ones((4, 4)), source), target, rules={"sand": "meen"})
    with pytest.raises(RecipeProblem, match="rules for clay, expected some of sand"):
        reproject(cube(np.ones((4, 4)), source), target, rules={"clay": "mean"})
    with pytest.raises(GridProblem, match="a share from 0 to 1"):
        reproject(cube(np.ones((4, 4)), source), target, min_valid=50.0)
