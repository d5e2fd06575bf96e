"""Grids are those of NSIDC to the last cell, nest as they should and know their place and area."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from vadose.errors import CubeProblem, GridProblem, NoOverlap, UnknownName
from vadose.grids import (
    EASE2_EXTENT,
    EASE2_SHAPES,
    cell_area,
    coarsened,
    coordinates,
    crop,
    grid_of,
    is_nested,
    latlon,
    lonlat,
    named_grid,
    nesting,
    placed,
)

#: Cell sizes of the NSIDC grid definition files (EASE2_M36km.gpd and its kin), in m.
CELLS = {
    "EASE2_36km": 36032.220840584,
    "EASE2_25km": 25025.260007437,
    "EASE2_9km": 9008.055210146,
    "EASE2_3km": 3002.6850700487,
    "EASE2_1km": 1000.89502334956,
}
#: Surface of the WGS 84 ellipsoid in m2.
EARTH = 510065621724089.0
UTM = GeoBox((40, 50), Affine(30.0, 0, 600000.0, 0, -30.0, 4100000.0), "EPSG:32610")


# --- named grids ---


@pytest.mark.parametrize("name", EASE2_SHAPES)
def test_ease_grids_are_those_of_nsidc(name: str) -> None:
    grid = named_grid(name)
    assert tuple(grid.shape) == EASE2_SHAPES[name]
    assert grid.crs is not None
    assert grid.crs.epsg == 6933
    box = grid.extent.boundingbox
    top = 7307375.92 if name == "EASE2_25km" else EASE2_EXTENT[3]
    assert (box.left, box.right) == pytest.approx(EASE2_EXTENT[::2], abs=1e-6)
    assert (box.bottom, box.top) == pytest.approx((-top, top), abs=5e-3)
    assert grid.affine.a == pytest.approx(CELLS[name], rel=1e-9)
    assert grid.affine.e == -grid.affine.a


def test_ease_grid_corners_in_degrees() -> None:
    corners = pyproj.Transformer.from_crs("EPSG:6933", "EPSG:4326", always_xy=True)
    left, bottom, right, top = EASE2_EXTENT
    west, north = corners.transform(left, top)
    east, south = corners.transform(right, bottom)
    assert (north, south) == pytest.approx((85.0445664, -85.0445664), abs=1e-7)
    assert (abs(west), abs(east)) == pytest.approx((180.0, 180.0), abs=1e-6)


def test_centres_obey_the_equations_of_the_projection() -> None:
    """Snyder (1987), eq. 10-14, 10-15 and 3-12, with standard parallels at 30 degrees."""
    grid = named_grid("EASE2_36km")
    longitude, latitude = lonlat(grid)
    ellipsoid = pyproj.Geod(ellps="WGS84")
    e, sine = np.sqrt(ellipsoid.es), np.sin(np.radians(latitude[:, 0]))
    scale = np.cos(np.pi / 6) / np.sqrt(1 - ellipsoid.es / 4)
    q = (1 - e**2) * (sine / (1 - (e * sine) ** 2) + np.arctanh(e * sine) / e)
    rows, columns = grid.shape
    y = grid.affine.f + grid.affine.e * (np.arange(rows) + 0.5)
    assert np.allclose(ellipsoid.a * q / (2 * scale), y, rtol=0, atol=0.01)  # of PROJ’s series
    x = grid.affine.c + grid.affine.a * (np.arange(columns) + 0.5)
    assert np.allclose(ellipsoid.a * scale * np.radians(longitude[0]), x, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("coarse", "fine", "factor"),
    [
        ("EASE2_36km", "EASE2_9km", 4),
        ("EASE2_36km", "EASE2_3km", 12),
        ("EASE2_36km", "EASE2_1km", 36),
        ("EASE2_9km", "EASE2_3km", 3),
        ("EASE2_9km", "EASE2_1km", 9),
        ("EASE2_3km", "EASE2_1km", 3),
        ("EASE2_25km", "EASE2_25km", 1),
    ],
)
def test_ease_grids_nest(coarse: str, fine: str, factor: int) -> None:
    assert nesting(named_grid(coarse), named_grid(fine)) == {"y": factor, "x": factor}
    assert is_nested(named_grid(coarse), named_grid(fine))
    assert factor == 1 or not is_nested(named_grid(fine), named_grid(coarse))


def test_latlon_by_name() -> None:
    assert named_grid("latlon_0.25") == latlon(0.25)
    assert named_grid("latlon_1") == latlon(1.0)
    assert tuple(named_grid("latlon_.05").shape) == (3600, 7200)


def test_unknown_grids_are_told_the_names() -> None:
    with pytest.raises(
        UnknownName,
        match=r"grid 'EASE2_36': found no such name, expected one of EASE2_1km, .* "
        r"latlon_<degrees>\. Did you mean 'EASE2_36km'\?",
    ):
        named_grid("EASE2_36")


@pytest.mark.parametrize("step", [0.7, 0.35001, 11.0])
def test_a_step_must_divide_the_region(step: float) -> None:
    with pytest.raises(
        GridProblem,
        match=r"cells of .* degrees in .*, expected whole cells\. Move an edge of the region",
    ):
        latlon(step)


@pytest.mark.parametrize(
    ("step", "region"), [(0.0, (0, 0, 1, 1)), (-1.0, (0, 0, 1, 1)), (1.0, (5, 0, 1, 1))]
)
def test_a_grid_has_a_positive_size(step: float, region: tuple[int, int, int, int]) -> None:
    with pytest.raises(GridProblem, match=r"grid: found region .* expected a positive size"):
        latlon(step, region)


# --- grid_of and coordinates ---


@st.composite
def grids(draw: st.DrawFn) -> GeoBox:
    """Draw parts of EASE, regular and UTM grids, down to a single cell."""
    whole = draw(
        st.sampled_from([*map(named_grid, CELLS), latlon(0.1), latlon(1 / 3), latlon(0.25), UTM])
    )
    rows, columns = whole.shape
    row, column = draw(st.integers(0, rows - 1)), draw(st.integers(0, columns - 1))
    height, width = draw(st.integers(1, 30)), draw(st.integers(1, 30))
    return whole[row : min(row + height, rows), column : min(column + width, columns)]


@settings(max_examples=60, deadline=None)
@given(grid=grids())
def test_the_grid_of_coordinates_is_the_grid(grid: GeoBox) -> None:
    cube = xr.Dataset(coords=coordinates(grid))
    assert grid_of(cube) == grid
    assert grid_of(cube["y"] * cube["x"]) == grid


@settings(max_examples=60, deadline=None)
@given(grid=grids(), data=st.data())
def test_a_part_of_a_cube_has_that_part_of_the_grid(grid: GeoBox, data: st.DataObject) -> None:
    rows, columns = grid.shape
    row = data.draw(st.integers(0, rows - 1))
    column = data.draw(st.integers(0, columns - 1))
    part = xr.Dataset(coords=coordinates(grid)).isel(y=slice(row, None), x=slice(column, None))
    found, expected = grid_of(part), grid[row:, column:]
    assert tuple(found.shape) == tuple(expected.shape)
    assert found.crs == expected.crs
    assert np.allclose(found.affine, expected.affine, rtol=1e-13, atol=0)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_without_transform_the_grid_comes_from_the_centres(dtype: str) -> None:
    grid = named_grid("EASE2_9km")[100:140, 200:260]
    cube = xr.Dataset(coords=coordinates(grid))
    del cube["spatial_ref"].attrs["GeoTransform"]
    cube = cube.assign_coords(y=cube["y"].astype(dtype), x=cube["x"].astype(dtype))
    assert np.allclose(grid_of(cube).affine, grid.affine, rtol=1e-4)
    assert nesting(grid_of(cube), grid) == {"y": 1, "x": 1}


def test_every_second_row_and_column_is_a_coarser_grid() -> None:
    cube = xr.Dataset(coords=coordinates(UTM)).isel(y=slice(0, 4, 2), x=slice(0, 4, 2))
    found = grid_of(cube)
    assert (found.affine.a, found.affine.e) == (60.0, -60.0)


@pytest.mark.parametrize("rows", [[0, 1, 2, 4], [0, 2, 3, 4], [0, 1, 3, 4]])
@pytest.mark.parametrize("dim", ["y", "x"])
def test_rows_left_out_make_no_grid(dim: str, rows: list[int]) -> None:
    cube = xr.Dataset(coords=coordinates(UTM)).isel({dim: rows})
    with pytest.raises(
        CubeProblem,
        match=r"found y or x with uneven steps, expected a grid of equal cells\. Keep whole blocks",
    ):
        grid_of(cube)


def test_a_cube_without_grid_is_told_how_to_get_one() -> None:
    with pytest.raises(
        CubeProblem,
        match=r"found coordinates \['y'\], expected y, x and spatial_ref with its CRS\. "
        r"Build them with vadose\.grids\.coordinates\(grid\)",
    ):
        grid_of(xr.Dataset(coords={"y": [1.0, 0.0]}))
    cube = xr.Dataset(coords=coordinates(UTM)).isel(y=slice(0, 1))
    del cube["spatial_ref"].attrs["GeoTransform"]
    with pytest.raises(
        CubeProblem, match=r"found 1 x 50 cells and no GeoTransform, expected 2 x 2 or more"
    ):
        grid_of(cube)


def test_coordinates_follow_cf() -> None:
    degrees, metres = coordinates(latlon(1.0)), coordinates(UTM)
    assert degrees["y"].attrs == {
        "standard_name": "latitude",
        "units": "degrees_north",
        "axis": "Y",
    }
    assert metres["x"].attrs == {
        "standard_name": "projection_x_coordinate",
        "units": "m",
        "axis": "X",
    }
    assert metres["spatial_ref"].attrs["grid_mapping_name"] == "transverse_mercator"
    assert (np.diff(degrees["y"]) < 0).all()
    assert (np.diff(degrees["x"]) > 0).all()
    assert metres["x"].values[0] == 600015.0


# --- nesting, coarsened ---


@settings(max_examples=40, deadline=None)
@given(
    factor=st.integers(1, 12),
    rows=st.integers(1, 8),
    columns=st.integers(1, 8),
    kind=st.sampled_from(["EASE2_1km", "latlon", "UTM"]),
)
def test_a_coarsened_grid_nests(factor: int, rows: int, columns: int, kind: str) -> None:
    whole = {"latlon": latlon(0.25), "UTM": UTM}.get(kind) or named_grid(kind)
    height, width = rows * factor, columns * factor
    if height > whole.shape[0] or width > whole.shape[1]:
        return
    fine = whole[:height, :width]
    coarse = coarsened(fine, factor)
    assert nesting(coarse, fine) == {"y": factor, "x": factor}
    assert tuple(coarse.shape) == (rows, columns)
    assert coarse.extent.boundingbox.bbox == pytest.approx(fine.extent.boundingbox.bbox, rel=1e-12)


def test_coarsened_9_km_is_36_km() -> None:
    found = coarsened(named_grid("EASE2_9km"), 4)
    assert np.allclose(found.affine, named_grid("EASE2_36km").affine, rtol=1e-12)


@pytest.mark.parametrize("factor", [0, 7])
def test_blocks_must_fill_the_grid(factor: int) -> None:
    with pytest.raises(
        GridProblem,
        match=rf"grid: found 180 x 360 cells, expected both divisible by {factor}\. Crop it",
    ):
        coarsened(latlon(1.0), factor)


def test_grids_that_do_not_nest_are_told_why() -> None:
    with pytest.raises(GridProblem, match=r"found CRS .*6933.*4326, expected one CRS\. Regrid"):
        nesting(named_grid("EASE2_36km"), latlon(1.0))
    with pytest.raises(
        GridProblem,
        match=r"ratio 1\.44 x 1\.44, corners 7165 apart, expected coarse cells that are",
    ):
        nesting(named_grid("EASE2_36km"), named_grid("EASE2_25km"))
    with pytest.raises(GridProblem, match=r"\(180, 360\) cells over \(719, 1440\).* Crop or"):
        nesting(latlon(1.0), latlon(0.25)[1:])
    shifted = latlon(0.25, (0.25, 0.0, 4.25, 4.0))
    with pytest.raises(GridProblem, match=r"corners 0\.25 apart"):
        nesting(latlon(1.0, (0.0, 0.0, 4.0, 4.0)), shifted)
    assert not is_nested(latlon(1.0, (0.0, 0.0, 4.0, 4.0)), shifted)


# --- placed ---


@settings(max_examples=60, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["EASE2_1km", "latlon_0.25", "UTM"]))
def test_a_window_is_placed_where_it_was_cut(data: st.DataObject, kind: str) -> None:
    whole = UTM if kind == "UTM" else named_grid(kind)
    factor = data.draw(st.integers(1, 10))
    count = {"y": min(8, whole.shape.y // factor), "x": min(8, whole.shape.x // factor)}
    fine = whole[: count["y"] * factor, : count["x"] * factor]
    window, cover = {}, {}
    for dim in ("y", "x"):
        ends = sorted(data.draw(st.integers(0, count[dim])) for _ in range(4))
        ends[3] = max(ends[3], ends[0] + 1)
        ends[1:3] = (ends[0], ends[3]) if ends[1] == ends[2] else ends[1:3]
        if ends[3] > count[dim]:
            return
        window[dim] = slice(ends[0], ends[3])
        cover[dim] = slice(ends[1] - ends[0], ends[2] - ends[0])
    coarse = coarsened(fine, factor)[window["y"], window["x"]]
    within = {
        dim: slice(
            (window[dim].start + cover[dim].start) * factor,
            (window[dim].start + cover[dim].stop) * factor,
        )
        for dim in ("y", "x")
    }
    found = placed(coarse, fine[within["y"], within["x"]])
    assert found == ({"y": factor, "x": factor}, cover)


def test_a_fine_grid_that_is_not_of_whole_coarse_cells_is_told_why() -> None:
    coarse, fine = latlon(1.0, (0.0, 0.0, 8.0, 8.0)), latlon(0.25, (0.0, 0.0, 8.0, 8.0))
    assert placed(coarse, fine)[1] == {"y": slice(0, 8), "x": slice(0, 8)}
    with pytest.raises(GridProblem, match=r"one CRS"):
        placed(named_grid("EASE2_36km"), fine)
    expected = r"whole blocks of fine cells, the fine ones over some or all of them\. Crop or"
    for window in (fine[1:5, :4], fine[:4, 2:6], fine[:6, :4], fine[:4, :3]):
        with pytest.raises(GridProblem, match=expected):
            placed(coarse, window)
    for part in (coarse[1:], coarse[:, 1:], coarse[:7], coarse[:, :7]):
        with pytest.raises(GridProblem, match=r"\(., .\) cells over \(32, 32\)"):
            placed(part, fine)
    with pytest.raises(GridProblem, match=r"ratio 0\.25 x 0\.25"):
        placed(fine, coarse)


# --- crop, lonlat ---


@settings(max_examples=20, deadline=None)
@given(
    west=st.floats(-180, 170),
    south=st.floats(-80, 70),
    width=st.floats(3, 60),
    height=st.floats(3, 60),
    name=st.sampled_from(["EASE2_36km", "latlon_1"]),
)
def test_crop_takes_the_centres_inside(
    west: float, south: float, width: float, height: float, name: str
) -> None:
    grid, region = named_grid(name), (west, south, west + width, south + height)
    rows, columns = crop(grid, region)
    longitude, latitude = lonlat(grid)
    inside = (longitude >= west) & (longitude <= region[2])
    inside &= (latitude >= south) & (latitude <= region[3])
    taken = np.zeros(grid.shape, dtype=bool)
    taken[rows, columns] = True
    assert (taken == inside).all()


def test_crop_of_a_rotated_region_holds_all_centres_inside() -> None:
    longitude, latitude = lonlat(UTM)
    region = tuple(
        float(number)
        for number in (longitude[9, 9], latitude[20, 9], longitude[9, 20], latitude[9, 9])
    )
    rows, columns = crop(UTM, region)  # type: ignore[arg-type]
    assert rows.start <= 10
    assert rows.stop >= 20
    assert columns.start <= 10
    assert columns.stop >= 20


def test_crop_beyond_the_data_tells_both() -> None:
    with pytest.raises(
        NoOverlap,
        match=r"region: found \(50.*\) against data over \(0\.5, 40\.5, 9\.5, 44\.5\), expected "
        r"west, south, east, north in degrees, inside the data",
    ):
        crop(latlon(1.0, (0.0, 40.0, 10.0, 45.0)), (50.0, 40.0, 60.0, 45.0))


def test_lonlat_of_other_datums_is_wgs84() -> None:
    grid = GeoBox((2, 2), Affine(1.0, 0, -120.0, 0, -1.0, 40.0), "EPSG:4267")
    longitude, latitude = lonlat(grid)
    assert 1e-4 < abs(longitude[0, 0] + 119.5) < 0.01
    assert latitude[0, 0] == pytest.approx(39.5, abs=0.01)


# --- areas ---


@pytest.mark.parametrize("step", [1.0, 0.5, 7.5])
def test_areas_of_a_global_grid_sum_to_the_earth(step: float) -> None:
    assert float(cell_area(latlon(step)).sum()) == pytest.approx(EARTH, rel=1e-12)


def test_ease_cells_are_all_equal() -> None:
    area = cell_area(named_grid("EASE2_36km"))
    assert float(area.max() / area.min() - 1) < 1e-6
    assert float(area.mean()) == pytest.approx(CELLS["EASE2_36km"] ** 2, rel=1e-6)


def test_areas_agree_with_polygons_on_the_ellipsoid() -> None:
    grid = latlon(0.5, (10.0, 44.0, 12.0, 46.0))
    geod = pyproj.Geod(ellps="WGS84")
    area = cell_area(grid)
    for row, top in enumerate(np.arange(46.0, 44.0, -0.5)):
        along = np.linspace(10.0, 10.5, 2001)  # parallels are no geodesics: many short sides
        longitude = np.concatenate([along, along[::-1]])
        latitude = np.concatenate([np.full(2001, top - 0.5), np.full(2001, top)])
        expected = geod.polygon_area_perimeter(longitude, latitude)[0]
        assert float(area[row, 0]) == pytest.approx(expected, rel=1e-8)


def test_utm_cells_differ_from_their_nominal_area_by_the_scale() -> None:
    area = cell_area(UTM)
    # At 100 km from the central meridian the linear scale is 0.9996 (1 + 100² / (2 · 6371²)).
    scale = 0.9996 * (1 + (100e3 / 6371e3) ** 2 / 2)
    assert float(area[0, 0]) == pytest.approx(900.0 / scale**2, rel=1e-5)
    corners = np.array([(600000, 4100000), (600030, 4100000), (600030, 4099970), (600000, 4099970)])
    to_degrees = pyproj.Transformer.from_crs("EPSG:32610", "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform(corners[:, 0], corners[:, 1])
    expected = abs(pyproj.Geod(ellps="WGS84").polygon_area_perimeter(longitude, latitude)[0])
    assert float(area[0, 0]) == pytest.approx(expected, rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(factor=st.integers(1, 6), north=st.integers(-60, 80))
def test_the_area_of_a_coarse_cell_is_that_of_its_fine_cells(factor: int, north: int) -> None:
    fine = latlon(0.5, (0.0, north - 3.0 * factor, 3.0 * factor, float(north)))
    blocks = cell_area(fine).coarsen(y=factor, x=factor).sum()
    assert np.allclose(blocks, cell_area(coarsened(fine, factor)), rtol=1e-9)


@pytest.mark.parametrize(
    "whole",
    [
        latlon(0.1, (0, 40, 4, 44)),
        latlon(1 / 36, (-75.85, 38.15, -74.85, 39.15)),
        named_grid("EASE2_1km")[3000:3040, 20000:20040],
    ],
)
def test_a_part_has_the_areas_of_the_whole_to_the_bit(whole: GeoBox) -> None:
    areas = cell_area(whole).values
    for row, column in ((1, 3), (7, 0), (13, 5), (32, 20)):
        part = grid_of(xr.Dataset(coords=coordinates(whole[row : row + 4, column:])))
        assert np.array_equal(cell_area(part).values, areas[row : row + 4, column:])


def test_area_is_a_field_with_unit_and_grid() -> None:
    area = cell_area(UTM)
    assert area.dims == ("y", "x")
    assert area.attrs == {"standard_name": "cell_area", "units": "m2"}
    assert grid_of(area) == UTM
