"""Pictures and their overviews, colours, and the memory that they take."""

import asyncio
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import rasterio

from vadose.grids import latlon
from vadose.serve.catalogue import Layer
from vadose.serve.colours import LAST, NONE, codes, shades
from vadose.serve.fields import DifferenceField
from vadose.serve.guard import Limits
from vadose.serve.pictures import Pictures, draw
from vadose.serve.ranges import range_of
from vadose.serve.service import Service

# a tile is a picture without a place of its own
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


class Made:
    """Is a field that is computed when asked for: smooth waves with a gap in the north west."""

    def __init__(self, grid, rows_at_once=100, days=1):
        self.grid, self.rows_at_once = grid, rows_at_once
        self.times = np.arange("2019-01-01", 86400 * days, 86400, dtype="M8[s]").astype("M8[ns]")[
            :days
        ]
        self.times = np.datetime64("2019-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D")
        self.reads = []

    def read(self, step, rows, columns):
        self.reads.append(rows)
        row = np.arange(self.grid.shape.y)[rows].astype("f4")
        column = np.arange(self.grid.shape.x)[columns].astype("f4")
        field = 0.3 + 0.1 * np.sin(row / 50)[:, None] * np.cos(column / 70) + np.float32(step)
        field[np.ix_(row < 40, column < 40)] = np.nan
        return field

    def series(self, row, column):
        return np.array([self.read(step, slice(row, row + 1), slice(column, column + 1))[0, 0]
                         for step in range(self.times.size)])  # fmt: skip


def layer_of(source, low=0.2, high=0.4, palette="moisture") -> Layer:
    steps = {str(stamp)[:10]: step for step, stamp in enumerate(source.times)}
    return Layer("fine", "Fine", "", "m3 m-3", palette, source, low, high, steps)


def test_a_picture_holds_the_code_of_every_cell(tmp_path):
    source = Made(latlon(0.1, (0, 0, 61, 50)))
    draw(layer_of(source), 0, tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as picture:
        whole = picture.read(1)
        assert picture.transform == source.grid.affine
        assert picture.nodata == NONE
    field = source.read(0, slice(None), slice(None))
    assert (whole == codes(field, 0.2, 0.4)).all()
    assert (whole[:40, :40] == NONE).all()


def test_an_overview_is_the_mean_of_what_it_stands_for(tmp_path):
    source = Made(latlon(0.1, (0, 0, 60, 60)))
    draw(layer_of(source), 0, tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif", overview_level=0) as half:
        small = half.read(1).astype(float)
    field = source.read(0, slice(None), slice(None))
    mean = field.reshape(300, 2, 300, 2).mean(axis=(1, 3))
    is_whole = np.isfinite(mean)
    expected = (mean - 0.2) * LAST / 0.2
    assert np.abs(small - expected)[is_whole].max() < 1.0
    assert ((small == NONE) == ~is_whole).all()


def test_a_world_is_cut_where_a_mercator_map_ends(tmp_path):
    source = Made(latlon(1.0), rows_at_once=16)
    draw(layer_of(source), 0, tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as picture:
        assert picture.bounds.top == 85
        assert picture.bounds.bottom == -85
        assert (
            picture.read(1) == codes(source.read(0, slice(5, 175), slice(None)), 0.2, 0.4)
        ).all()


def test_memory_is_that_of_a_strip_whatever_the_size(tmp_path):
    source = Made(latlon(0.02, (0, 0, 60, 80)))
    rows, columns = source.grid.shape
    tracemalloc.start()
    draw(layer_of(source), 0, tmp_path / "a.tif")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    whole = rows * columns * 4
    assert peak < whole
    assert max(part.stop - part.start for part in source.reads) <= 512


def test_old_pictures_make_room(tmp_path):
    source = Made(latlon(0.1, (0, 0, 30, 30)), days=4)
    pictures = Pictures(most_bytes=1)
    paths = [pictures.make(layer_of(source), step) for step in range(3)]
    assert [pictures.has(path) for path in paths] == [False, False, True]
    assert [path.exists() for path in paths] == [False, False, True]
    pictures.close()
    assert not paths[-1].parent.exists()


def test_one_picture_is_drawn_once_for_all_who_ask_and_again_when_it_is_gone():
    source = Made(latlon(0.1, (0, 0, 30, 30)), days=2)
    layer = layer_of(source)

    class Listed:
        version = "1"

    async def ask():
        service = Service(Path("nowhere"), Limits(picture_bytes=1, tile_bytes=0))
        label, later = layer.steps
        try:
            tiles = await asyncio.gather(
                *(service.tile(Listed, layer, label, (4, 8, 7), "png") for _ in range(20))
            )
            assert len(set(tiles)) == 1
            first = service.pictures._count
            await service.tile(Listed, layer, later, (4, 8, 7), "png")  # drops the first
            again = await service.tile(Listed, layer, label, (4, 8, 7), "png")
            return first, service.pictures._count, again == tiles[0]
        finally:
            service.close()

    assert asyncio.run(ask()) == (1, 3, True)


def test_a_difference_takes_the_coarse_cell_that_holds_the_centre():
    fine, coarse = Made(latlon(1.0, (0, 0, 12, 8))), Made(latlon(4.0, (4, 0, 12, 8)))
    difference = DifferenceField(fine, coarse)
    found = difference.read(0, slice(0, 8), slice(0, 12))
    assert np.isnan(found[:, :4]).all()  # west of the coarse field
    coarse.read = lambda *_: np.array([[1.0, 2.0], [3.0, 4.0]], "f4")
    fine.read = lambda *_: np.full((8, 12), 5.0, "f4")
    found = difference.read(0, slice(0, 8), slice(0, 12))
    assert found[0, 4] == 4
    assert found[3, 11] == 3
    assert found[4, 4] == 2
    assert found[7, 11] == 1


def test_ranges_are_round_and_symmetric_for_differences():
    source = Made(latlon(0.1, (0, 0, 60, 60)))
    low, high = range_of(source, "moisture")
    assert 0.19 <= low < 0.22
    assert 0.38 < high <= 0.41
    least, most = range_of(source, "difference")
    assert least == -most
    assert range_of(source, "uncertainty")[0] == 0


def test_colours_are_those_of_the_report():
    style = pytest.importorskip("vadose.report.style")
    pytest.importorskip("matplotlib")
    from vadose.schema.colours import ORIGIN_COLOURS

    places = np.linspace(0, 1, LAST + 1)
    for palette, theirs in (
        ("moisture", style.moisture_colours()),
        ("difference", style.difference_colours()),
    ):
        expected = np.rint(255 * theirs(places)[:, :3])
        assert np.abs(shades(palette, LAST + 1).astype(float) - expected).max() <= 4
    assert style.ORIGIN_COLOURS == ORIGIN_COLOURS


def test_tiles_in_parallel_are_those_asked_for_alone(run, client_of):
    from concurrent.futures import ThreadPoolExecutor

    addresses = [
        f"/api/tiles/{layer}/2019-04-0{day}/9/405/202.png"
        for layer in ("fine", "coarse", "difference", "fine-origin")
        for day in (1, 2, 3)
    ]
    with client_of(run) as ask:
        alone = {address: ask.get(address).content for address in addresses}
    with client_of(run) as ask, ThreadPoolExecutor(12) as pool:
        together = dict(
            zip(addresses, pool.map(lambda one: ask.get(one).content, addresses), strict=True)
        )
    assert together == alone
