"""Elevation models: real tiles, shapes whose slope is known, and a priority flood as oracle."""

import heapq
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Geod

from vadose.errors import CubeProblem, FileProblem, GridProblem, NoOverlap, UnknownName
from vadose.grids import coordinates, grid_of, latlon
from vadose.products.terrain import COPERNICUS_DEM, SRTM, derive, spacing
from vadose.products.terrain_flow import accumulate, receivers
from vadose.schema import check_cube, check_values

NATIVE = Path(__file__).parents[2].parent / "shared" / "data" / "native"
needs_data = pytest.mark.skipif(not NATIVE.is_dir(), reason=f"no native files at {NATIVE}")


def write_tile(path: Path, values: np.ndarray, left: float, top: float, **changes) -> Path:
    settings = {
        "driver": "GTiff",
        "crs": "EPSG:4326",
        "transform": Affine(0.01, 0, left, 0, -0.01, top),
        "height": values.shape[0],
        "width": values.shape[1],
        "count": 1,
        "dtype": str(values.dtype),
        **changes,
    }
    with rasterio.open(path, "w", **settings) as file:
        file.write(values, 1)
    return path


def model(heights: np.ndarray, step: float = 10.0) -> xr.Dataset:
    grid = GeoBox(heights.shape, Affine(step, 0, 0, 0, -step, 0), "EPSG:32755")
    attrs = {"units": "m"}
    return xr.Dataset(
        {"elevation": (("y", "x"), heights.astype("f4"), attrs)}, coords=coordinates(grid)
    )


def cone(size: int = 81, step: float = 10.0, fall: float = 0.2) -> xr.Dataset:
    """Build a cone that falls `fall` metres a metre in all directions."""
    away = (np.arange(size) - size // 2) * step
    return model(1000 - fall * np.hypot(*np.meshgrid(away, away)), step)


def flooded(heights: np.ndarray) -> np.ndarray:
    """Fill depressions by priority flood, in its plainest form (Barnes et al. 2014)."""
    rows, columns = heights.shape
    level, done, queue = heights.copy(), np.isnan(heights), []

    def around(row, column):
        for i in range(row - 1, row + 2):
            for j in range(column - 1, column + 2):
                yield i, j

    def is_void(i, j):
        return not (0 <= i < rows and 0 <= j < columns) or np.isnan(heights[i, j])

    for row, column in zip(*np.nonzero(~done), strict=True):
        if any(is_void(i, j) for i, j in around(row, column)):
            heapq.heappush(queue, (heights[row, column], row, column))
    for _, row, column in queue:
        done[row, column] = True
    while queue:
        height, row, column = heapq.heappop(queue)
        for i, j in around(row, column):
            if not is_void(i, j) and not done[i, j]:
                done[i, j] = True
                level[i, j] = max(heights[i, j], height)
                heapq.heappush(queue, (level[i, j], i, j))
    return level


@needs_data
@pytest.mark.parametrize(
    ("product", "name", "count", "mean", "low", "high"),
    [
        (SRTM, "terrain/srtm_ref.tif", 1_000_000, 1893.422174, 1111, 3270),
        (SRTM, "soilgrids/bungo_elev_srtm.tif", 459_402, 274.241420, 43.1029, 2546.055),
        (COPERNICUS_DEM, "terrain/*DEM.tif", 250_000, 543.289036, 136, 2854),
    ],
)
def test_real_tiles(product, name, count, mean, low, high):
    cube = product.open(str(NATIVE / name))
    values = cube["elevation"].values
    path = next(NATIVE.glob(name))
    with rasterio.open(path) as file:
        raw, transform = file.read(1), file.transform
    np.testing.assert_array_equal(values, raw.astype("f4"))
    assert np.isfinite(values).sum() == count
    np.testing.assert_allclose(np.nanmean(values, dtype="f8"), mean, rtol=1e-7)
    np.testing.assert_allclose((np.nanmin(values), np.nanmax(values)), (low, high), rtol=1e-6)
    np.testing.assert_allclose(tuple(grid_of(cube).affine)[:6], tuple(transform)[:6], atol=1e-9)
    assert cube["elevation"].chunks is not None
    check_values(cube)


@needs_data
def test_derivatives_of_a_real_model():
    cube = derive(SRTM.open(NATIVE / "terrain" / "srtm_ref.tif"))
    check_values(check_cube(cube))
    means = {name: float(cube[name].mean(dtype="f8")) for name in cube.data_vars}
    np.testing.assert_allclose(means["slope"], 13.244626, rtol=1e-5)
    np.testing.assert_allclose(means["aspect"], 182.7815, rtol=1e-5)
    np.testing.assert_allclose(means["topographic_wetness_index"], 7.453367, rtol=1e-4)
    # Wet is low and flat, so the index falls with slope.
    index, slope = cube["topographic_wetness_index"].values, cube["slope"].values
    assert np.corrcoef(index.ravel(), slope.ravel())[0, 1] < -0.4


@needs_data
def test_slope_agrees_with_an_independent_map():
    """The data set brings a slope map (per cent) that somebody else made of the same model."""
    cube = derive(SRTM.open(NATIVE / "soilgrids" / "bungo_elev_srtm.tif"), ["slope"])
    with rasterio.open(NATIVE / "soilgrids" / "bungo_slope.tif") as file:
        theirs = file.read(1)
    ours = np.tan(np.radians(cube["slope"].values)) * 100
    both = np.isfinite(ours) & np.isfinite(theirs)
    assert np.corrcoef(ours[both], theirs[both])[0, 1] > 0.98
    np.testing.assert_allclose(ours[both].mean(), theirs[both].mean(), rtol=0.05)


def test_cone_has_its_slope_and_aspect_everywhere():
    cube = derive(cone(), ["slope", "aspect"])
    x, y = np.meshgrid(cube["x"].values, cube["y"].values)
    east, north = x - x[0, 40], y - y[40, 0]
    is_far = np.hypot(east, north) > 100  # the tip is no cone for 3 x 3 cells
    slope, aspect = cube["slope"].values[is_far], cube["aspect"].values[is_far]
    np.testing.assert_allclose(slope, np.degrees(np.arctan(0.2)), atol=0.15)
    expected = np.degrees(np.arctan2(east, north))[is_far] % 360
    turn = (aspect - expected + 180) % 360 - 180
    assert np.abs(turn).max() < 1.5  # the edges too, by linear continuation


@pytest.mark.parametrize(
    ("east", "north", "aspect"), [(1, 0, 90), (0, 1, 0), (-1, 0, 270), (0, -1, 180), (1, 1, 45)]
)
def test_plane_falls_where_its_aspect_points(east, north, aspect):
    columns, rows = np.meshgrid(np.arange(5), np.arange(4))
    cube = derive(model(-(east * columns - north * rows) * 1.0), ["slope", "aspect"])
    np.testing.assert_allclose(cube["aspect"].values % 360, aspect, atol=1e-4)
    fall = np.hypot(east, north) / 10
    np.testing.assert_allclose(cube["slope"].values, np.degrees(np.arctan(fall)), rtol=1e-5)


def test_flat_has_no_aspect_unless_named():
    flat = model(np.full((4, 4), 7.0))
    assert np.isnan(derive(flat, ["aspect"])["aspect"].values).all()
    assert (derive(flat, ["aspect"], flat_aspect=0.0)["aspect"].values == 0).all()
    assert (derive(flat, ["slope"])["slope"].values == 0).all()


def test_degrees_are_measured_in_metres():
    grid = latlon(0.01, (10, 59.9, 10.1, 60))
    across, along = spacing(grid)
    latitude = 60 - 0.005
    geod = Geod(ellps="WGS84")
    np.testing.assert_allclose(across[0], geod.inv(10, latitude, 10.01, latitude)[2], rtol=1e-6)
    np.testing.assert_allclose(along[0], geod.inv(10, 59.99, 10, 60)[2], rtol=1e-6)
    # A plane that falls 1 m a cell eastward is twice as steep at 60° as its degrees suggest.
    heights = np.tile(-np.arange(10.0), (10, 1))
    cube = xr.Dataset({"elevation": (("y", "x"), heights)}, coords=coordinates(grid))
    slope = derive(cube, ["slope"])["slope"].values[0, 5]
    np.testing.assert_allclose(slope, np.degrees(np.arctan(1 / across[0])), rtol=1e-4)
    feet = GeoBox((4, 4), Affine(1, 0, 0, 0, -1, 0), "EPSG:2264")
    with pytest.raises(GridProblem, match="degrees or metres"):
        spacing(feet)


@given(chunks=st.tuples(st.integers(6, 30), st.integers(6, 30)))
@settings(max_examples=5, deadline=None)
def test_derivatives_do_not_depend_on_chunks(chunks):
    heights = np.random.default_rng(0).normal(100, 10, (31, 29))
    whole = derive(model(heights))
    tiled = derive(model(heights).chunk(dict(zip(("y", "x"), chunks, strict=True))))
    assert tiled["slope"].chunks is not None
    xr.testing.assert_identical(whole.compute(), tiled.compute())


def test_void_spreads_to_its_neighbours_only():
    heights = np.random.default_rng(1).normal(100, 10, (9, 9))
    heights[4, 4] = np.nan
    slope = derive(model(heights), ["slope"])["slope"].values
    assert np.isnan(slope).sum() == 9
    assert np.isnan(slope[3:6, 3:6]).all()


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_flow_fills_as_a_priority_flood_does_and_loses_no_water(seed):
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 25, 2)
    heights = rng.integers(0, rng.integers(1, 40), shape).astype("f4")  # flats and pits abound
    heights[rng.random(shape) < rng.choice([0, 0.05])] = np.nan
    to, level = receivers(heights, np.ones(shape[0]), np.ones(shape[0]))
    np.testing.assert_array_equal(level, flooded(heights))
    total = accumulate(to, np.ones(heights.size))
    is_outlet = to == np.arange(to.size)
    assert total[is_outlet].sum() == heights.size
    flat = level.ravel()
    runs = ~np.isnan(flat)
    assert (flat[to[runs]] <= flat[runs]).all()  # water never stands higher downstream


def test_catchments_of_a_tilted_plane_are_its_columns():
    heights = np.tile(np.arange(6.0)[:, None], (1, 4))  # falls northward
    to, _ = receivers(heights.astype("f4"), np.full(6, 10.0), np.full(6, 10.0))
    total = accumulate(to, np.ones(24)).reshape(6, 4)
    np.testing.assert_array_equal(total[:, 1], [6, 5, 4, 3, 2, 1])
    index = derive(model(heights), ["topographic_wetness_index"])["topographic_wetness_index"]
    np.testing.assert_allclose(index.values[2, 1], np.log(4 * 10 / 0.1), rtol=1e-5)


def test_wetness_of_a_flat_is_finite():
    index = derive(model(np.zeros((5, 5))))["topographic_wetness_index"].values
    assert np.isfinite(index).all()


def test_copernicus_sized_model_with_noise_and_a_sea_is_routed():
    """A quarter of the side of a tile here; the whole takes under 20 s (see the module)."""
    rng = np.random.default_rng(0)
    heights = np.maximum(np.linspace(-300, 900, 900)[:, None] + rng.normal(0, 5, (900, 900)), 0)
    to, level = receivers(np.round(heights).astype("f4"), np.full(900, 20.0), np.full(900, 30.0))
    total = accumulate(to, np.ones(level.size))
    assert total[to == np.arange(to.size)].sum() == level.size


def test_too_large_a_model_is_refused():
    grid = GeoBox((6000, 6000), Affine(10, 0, 0, 0, -10, 0), "EPSG:32755")
    huge = xr.Dataset(
        {"elevation": (("y", "x"), da.zeros((6000, 6000), dtype="f4"))}, coords=coordinates(grid)
    )
    with pytest.raises(GridProblem, match="coarsen"):
        derive(huge)


def test_what_cannot_be_derived_is_refused():
    with pytest.raises(UnknownName, match="Did you mean 'slope'"):
        derive(model(np.zeros((3, 3))), ["slop"])
    with pytest.raises(CubeProblem, match="elevation"):
        derive(model(np.zeros((3, 3))).rename(elevation="height"))
    with pytest.raises(GridProblem, match="2 x 2"):
        derive(model(np.zeros((1, 3))), ["slope"])


@pytest.mark.parametrize("nodata", [None, -32768])
def test_voids_are_gaps_stated_or_not(tmp_path, nodata):
    values = np.array([[-32768, 5], [0, 8848]], "i2")
    path = write_tile(tmp_path / "srtm_01_01.tif", values, 0, 1, nodata=nodata)
    np.testing.assert_array_equal(
        SRTM.open(path)["elevation"].values, np.array([[np.nan, 5], [0, 8848]], "f4")
    )


def test_sea_of_copernicus_is_a_gap_and_low_land_is_not(tmp_path):
    values = np.array([[0.0, -3.5], [0.25, 40]], "f4")
    path = write_tile(tmp_path / "Copernicus_DSM_COG_10_N00_00_E000_00_DEM.tif", values, 0, 1)
    np.testing.assert_array_equal(
        COPERNICUS_DEM.open(path)["elevation"].values,
        np.array([[np.nan, -3.5], [0.25, 40]], "f4"),
    )


def test_tiles_mosaic_with_shared_edges_and_slopes_cross_the_seam(tmp_path):
    whole = np.random.default_rng(0).integers(100, 900, (5, 9)).astype("i2")
    whole[2, 4] = -32768
    fixed = whole.copy()
    fixed[2, 4] = 555
    write_tile(tmp_path / "srtm_a.tif", fixed[:, :5], 0, 1)  # column 4 is in both
    write_tile(tmp_path / "srtm_b.tif", whole[:, 4:], 0.04, 1)
    cube = SRTM.open(tmp_path)
    np.testing.assert_array_equal(cube["elevation"].values, fixed.astype("f4"))  # void filled
    slopes = derive(cube, ["slope"])["slope"].values
    alone = derive(SRTM.open(write_tile(tmp_path / "c.tif", fixed, 0, 1)), ["slope"])[
        "slope"
    ].values
    np.testing.assert_array_equal(slopes, alone)


def test_hole_between_tiles_is_a_gap(tmp_path):
    for name, left in (("srtm_a", 0.0), ("srtm_b", 0.04)):
        write_tile(tmp_path / f"{name}.tif", np.full((2, 2), 9, "i2"), left, 1)
    row = SRTM.open(tmp_path)["elevation"].values[0]
    np.testing.assert_array_equal(row, [9, 9, np.nan, np.nan, 9, 9])
    assert SRTM.open(tmp_path, region=(0, 0, 0.02, 1)).sizes["x"] == 2
    with pytest.raises(NoOverlap):
        SRTM.open(tmp_path, region=(5, 0, 6, 1))


def test_tiles_of_other_widths_are_refused(tmp_path):
    write_tile(tmp_path / "srtm_a.tif", np.ones((2, 2), "i2"), 0, 1)
    affine = Affine(0.015, 0, 0.02, 0, -0.01, 1)  # as Copernicus tiles beyond 50 degrees
    write_tile(tmp_path / "srtm_b.tif", np.ones((2, 2), "i2"), 0, 1, transform=affine)
    with pytest.raises(GridProblem, match=r"0\.01 and 0\.015 cells"):
        SRTM.open(tmp_path)


def test_south_up_raster_is_turned(tmp_path):
    affine = Affine(0.01, 0, 0, 0, 0.01, 0.98)
    path = write_tile(
        tmp_path / "srtm.tif", np.array([[1, 1], [2, 2]], "i2"), 0, 1, transform=affine
    )
    cube = SRTM.open(path)
    np.testing.assert_array_equal(cube["elevation"].values[:, 0], [2, 1])
    assert cube["y"].values[0] > cube["y"].values[1]


def test_broken_rasters_are_refused_by_name(tmp_path):
    values = np.random.default_rng(0).integers(0, 999, (400, 400)).astype("i2")
    path = write_tile(tmp_path / "srtm_cut.tif", values, 0, 1)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(FileProblem, match="srtm_cut"):
        SRTM.open(path)["elevation"].load(scheduler="synchronous")
    path.write_text("no raster")
    with pytest.raises(FileProblem, match=r"srtm_cut.*no readable raster"):
        SRTM.open(path)
    with pytest.raises(GridProblem, match="no CRS"):
        SRTM.open(write_tile(tmp_path / "srtm_bare.tif", values, 0, 1, crs=None))
    turned = Affine(0.01, 0.001, 0, 0.001, -0.01, 0)
    with pytest.raises(GridProblem, match="rotated"):
        SRTM.open(write_tile(tmp_path / "srtm_turned.tif", values, 0, 1, transform=turned))
