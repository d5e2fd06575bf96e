"""Where grids of all kinds lie on the map: across the antimeridian, around the world, in metres, over a pole."""

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox

from vadose.grids import latlon, lonlat, named_grid
from vadose.serve.catalogue import Layer
from vadose.serve.colours import NONE, codes
from vadose.serve.extents import bounds_of, footprints, united
from vadose.serve.fields import cell_at
from vadose.serve.pictures import draw
from vadose.serve.tiles import from_picture


class Numbered:
    """Is a field in which every cell has another value than its neighbours."""

    def __init__(self, grid):
        self.grid, self.chunk, self.shard = grid, (1, 64, 64), (64, 64)
        self.times = np.array(["2019-01-01"], "M8[ns]")

    def stored(self, steps, rows, columns):
        row, column = np.arange(self.grid.shape.y)[rows], np.arange(self.grid.shape.x)[columns]
        return ((row[:, None] * 7 + column * 13) % 250).astype("f4")[None]

    def meaning(self, stored):
        return stored


def in_metres(crs: str, west: float, south: float, side: float, cells: int = 60) -> GeoBox:
    box = (west, south, west + side * cells, south + side * cells)
    return GeoBox.from_bbox(box, crs=crs, shape=(cells, cells))


GRIDS = {
    "fiji": latlon(0.25, (170, -25, 190, -10)),
    "fiji from the other side": latlon(0.25, (-190, -25, -170, -10)),
    "from zero": latlon(4.0, (0, -60, 360, 80)),
    "world": latlon(4.0, (-180, -88, 180, 88)),
    "utm 60": in_metres("EPSG:32660", 500000, 1000000, 15000),
    "utm 33": in_metres("EPSG:32633", 300000, 5000000, 1000),
    "north polar": in_metres("EPSG:6931", -4500000, -4500000, 150000),
    "beside the pole, across": in_metres("EPSG:6931", -600000, 1500000, 20000),
    "ease": named_grid("EASE2_36km"),
}  # fmt: skip


@pytest.mark.parametrize("name", GRIDS)
def test_every_cell_is_found_where_it_lies(name, tmp_path):
    """Ask for the tile around cells, and look whether their own code stands at their dot."""
    grid = GRIDS[name]
    layer = Layer("fine", "", "", "", "moisture", Numbered(grid), 0.0, 253.0, {})
    picture = draw(layer, (0, 1), tmp_path / "a.tif")
    longitudes, latitudes = lonlat(grid)
    expected = codes(layer.source.stored(None, slice(None), slice(None))[0], 0.0, 253.0)
    rng = np.random.default_rng(4)
    seen = 0
    while seen < 25:
        row, column = (int(rng.integers(size)) for size in grid.shape)
        longitude = float(longitudes[row, column] + 180) % 360 - 180
        latitude = float(latitudes[row, column])
        if abs(latitude) > 82:
            continue
        assert cell_at(grid, longitude, latitude) == (row, column)
        zoom = 11
        size = 256 * 2**zoom
        across = size * (longitude / 360 + 0.5)
        down = size * (0.5 - np.arctanh(np.sin(np.radians(latitude))) / (2 * np.pi))
        place = (zoom, int(across // 256), int(down // 256))
        parts = footprints(grid, *place)
        tile = from_picture(picture, 0, parts, place)
        assert tile[int(down % 256), int(across % 256)] == expected[row, column]
        seen += 1


@pytest.mark.parametrize("name", GRIDS)
def test_bounds_hold_all_cells_and_little_more(name):
    grid = GRIDS[name]
    west, south, east, north = bounds_of(grid)
    assert -180 <= west < 180
    assert west < east <= west + 360
    longitudes, latitudes = lonlat(grid)
    is_shown = np.isfinite(longitudes) & (np.abs(latitudes) < 85)
    away = (longitudes[is_shown] - west) % 360
    assert away.max() <= east - west + 0.1
    assert latitudes[is_shown].min() >= south - 0.1
    assert latitudes[is_shown].max() <= north + 0.1


def test_bounds_of_a_grid_across_the_antimeridian_are_not_the_whole_world():
    assert bounds_of(GRIDS["fiji from the other side"]) == (170, -25, 190, -10)
    west, _, east, _ = bounds_of(GRIDS["utm 60"])
    assert 176 < west < 180 < east < 187
    west, _, east, _ = bounds_of(GRIDS["beside the pole, across"])
    assert 157 < west < 180 < east < 203
    assert bounds_of(GRIDS["north polar"])[::2] == (-180, 180)
    assert bounds_of(GRIDS["from zero"])[::2] == (-180, 180)
    assert bounds_of(GRIDS["ease"])[::2] == (-180, 180)


def test_bounds_of_several_grids_are_moved_to_the_first():
    boxes = [(170.0, -5.0, 190.0, 5.0), (-182.0, -6.0, -172.0, 5.0), (178.0, 0.0, 192.0, 7.0)]
    assert united(boxes) == (170.0, -6.0, 192.0, 7.0)
    assert united([(-180.0, 0.0, 180.0, 5.0), boxes[0]]) == (-180.0, -5.0, 180.0, 5.0)


def test_a_tile_in_which_the_ends_of_a_grid_meet_shows_both(tmp_path):
    grid = GRIDS["from zero"]
    layer = Layer("fine", "", "", "", "moisture", Numbered(grid), 0.0, 253.0, {})
    picture = draw(layer, (0, 1), tmp_path / "a.tif")
    parts = footprints(grid, 0, 0, 0)
    assert sorted(part.turn for part in parts) == [-360.0, 0.0]
    tile = from_picture(picture, 0, parts, (0, 0, 0))
    assert (tile[128] != NONE).all()


def test_tiles_beside_a_grid_have_no_part():
    assert footprints(GRIDS["fiji"], 5, 16, 16) == ()
    assert footprints(GRIDS["utm 33"], 5, 2, 10) == ()


def test_the_picture_of_a_world_says_where_it_ends(tmp_path):
    layer = Layer("fine", "", "", "", "moisture", Numbered(GRIDS["world"]), 0.0, 253.0, {})
    with rasterio.open(draw(layer, (0, 1), tmp_path / "a.tif").path) as picture:
        assert picture.bounds.top == 84
