"""Pictures and their overviews, colours, and the memory that they take."""

import asyncio
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import rasterio

from vadose.grids import latlon
from vadose.serve.blocks import Blocks, merged
from vadose.serve.catalogue import Layer, read_catalogue
from vadose.serve.colours import LAST, NONE, codes, shades
from vadose.serve.extents import footprints
from vadose.serve.fields import DifferenceField
from vadose.serve.guard import Limits
from vadose.serve.pictures import Pictures, draw, factor_of, steps_of
from vadose.serve.ranges import range_of
from vadose.serve.service import OFTEN, Service
from vadose.serve.tiles import from_cells, from_picture

# a tile is a picture without a place of its own
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


class Made:
    """Is a field that is computed when asked for: smooth waves with a gap in the north west."""

    def __init__(self, grid, side=100, days=1, deep=1):
        self.grid, self.chunk, self.shard = grid, (deep, side, side), (side, side)
        self.times = np.datetime64("2019-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D")
        self.reads = []

    def stored(self, steps, rows, columns):
        self.reads.append((steps, rows, columns))
        row = np.arange(self.grid.shape.y)[rows].astype("f4")
        column = np.arange(self.grid.shape.x)[columns].astype("f4")
        field = 0.3 + 0.1 * np.sin(row / 50)[:, None] * np.cos(column / 70)
        field[np.ix_(row < 40, column < 40)] = np.nan
        step = np.arange(self.times.size)[steps]
        return field + 0.01 * step[:, None, None].astype("f4")

    def meaning(self, stored):
        return stored

    def whole(self, step=0):
        return self.stored(slice(step, step + 1), slice(None), slice(None))[0]

    def series(self, row, column):
        return self.stored(slice(None), slice(row, row + 1), slice(column, column + 1))[:, 0, 0]


def layer_of(source, low=0.2, high=0.4, palette="moisture") -> Layer:
    steps = {str(stamp)[:10]: step for step, stamp in enumerate(source.times)}
    return Layer("fine", "Fine", "", "m3 m-3", palette, source, low, high, steps)


def test_a_picture_holds_the_code_of_every_cell(tmp_path):
    source = Made(latlon(0.1, (0, 0, 61, 50)))
    draw(layer_of(source), (0, 1), tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as picture:
        whole = picture.read(1)
        assert picture.transform == source.grid.affine
        assert picture.nodata == NONE
    field = source.whole()
    assert (whole == codes(field, 0.2, 0.4)).all()
    assert (whole[:40, :40] == NONE).all()


def test_an_overview_is_the_mean_of_what_it_stands_for(tmp_path):
    source = Made(latlon(0.1, (0, 0, 60, 60)))
    draw(layer_of(source), (0, 1), tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif", overview_level=0) as half:
        small = half.read(1).astype(float)
    field = source.whole()
    mean = field.reshape(300, 2, 300, 2).mean(axis=(1, 3))
    is_whole = np.isfinite(mean)
    expected = (mean - 0.2) * LAST / 0.2
    assert np.abs(small - expected)[is_whole].max() < 1.0
    assert ((small == NONE) == ~is_whole).all()


def test_a_world_is_cut_where_a_mercator_map_ends(tmp_path):
    source = Made(latlon(1.0), side=16)
    draw(layer_of(source), (0, 1), tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as picture:
        assert picture.bounds.top == 85
        assert picture.bounds.bottom == -85
        assert (picture.read(1) == codes(source.whole()[5:175], 0.2, 0.4)).all()


def test_memory_is_that_of_a_strip_whatever_the_size(tmp_path):
    source = Made(latlon(0.02, (0, 0, 60, 80)))
    rows, columns = source.grid.shape
    tracemalloc.start()
    draw(layer_of(source), (0, 1), tmp_path / "a.tif")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    whole = rows * columns * 4
    assert peak < whole
    most = max(
        (rows.stop - rows.start) * (columns.stop - columns.start)
        for _, rows, columns in source.reads
    )
    assert most <= 1_000_000


def test_old_pictures_make_room(tmp_path):
    source = Made(latlon(0.1, (0, 0, 30, 30)), days=4)
    pictures = Pictures(most_bytes=1)
    made = [pictures.make(layer_of(source), step) for step in range(3)]
    assert [pictures.has(picture) for picture in made] == [False, False, True]
    assert [picture.path.exists() for picture in made] == [False, False, True]
    pictures.close()
    assert not made[-1].path.parent.exists()


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
    found = difference.stored(slice(0, 1), slice(0, 8), slice(0, 12))[0]
    assert np.isnan(found[:, :4]).all()  # west of the coarse field
    coarse.stored = lambda *_: np.array([[[1.0, 2.0], [3.0, 4.0]]], "f4")
    fine.stored = lambda *_: np.full((1, 8, 12), 5.0, "f4")
    found = difference.stored(slice(0, 1), slice(0, 8), slice(0, 12))[0]
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


@pytest.mark.parametrize("place", [(4, 10, 7), (5, 20, 14), (6, 41, 29), (8, 166, 118)])
def test_a_tile_of_cells_is_that_of_a_picture_of_all_cells(tmp_path, place):
    layer = layer_of(Made(latlon(0.05, (50, 10, 60, 20))))
    parts = footprints(layer.source.grid, *place)
    picture = draw(layer, (0, 1), tmp_path / "a.tif")
    cells = from_cells(Blocks(0), "1", layer, 0, parts, place)
    expected = from_picture(picture, 0, parts, place)
    assert (cells != NONE).any()
    differs = np.abs(cells.astype(int) - expected.astype(int))
    assert ((cells == NONE) == (expected == NONE)).all()
    assert differs.max() <= 1  # means are rounded in one step, not in several


@pytest.mark.parametrize("is_class", [False, True])
def test_squares_are_means_of_what_has_a_value_and_codes_are_never_mixed(is_class):
    rng = np.random.default_rng(2)
    cells = rng.integers(0, 254, (2, 9, 14)).astype("u1")
    cells[:, :5, :6] = NONE
    found = merged(cells, 4, is_class=is_class)
    assert found.shape == (2, 3, 4)
    assert (found[:, 0, 0] == NONE).all()
    inside = cells[1, 4:8, 8:12]
    if is_class:
        assert found[1, 1, 2] in inside
    else:
        assert abs(int(found[1, 1, 2]) - inside.mean()) <= 0.5
        part = cells[1, 4:8, 4:8]
        assert abs(int(found[1, 1, 1]) - part[part != NONE].mean()) <= 0.5
        assert abs(int(found[0, 2, 3]) - cells[0, 8:, 12:].mean()) <= 0.5


def test_packed_numbers_get_the_code_of_what_they_stand_for(tmp_path, earth, monkeypatch):
    from vadose.store import write_cube

    cube = earth.truth[["soil_moisture"]].copy(deep=True)
    cube["soil_moisture"][:, 3:9, 5:12] = np.nan
    (tmp_path / "run").mkdir()
    write_cube(cube, tmp_path / "run" / "product.zarr", packed=True)
    layer = read_catalogue(tmp_path / "run").layers["fine"]
    window = (slice(0, 6), slice(0, 32), slice(0, 32))
    stored = layer.source.stored(*window)
    assert stored.dtype == np.int16
    numbers = layer.source.array.values
    assert np.array_equal(layer.source.meaning(stored), numbers, equal_nan=True)
    assert (layer.table.take(stored.view("u2")) == codes(numbers, layer.low, layer.high)).all()


def test_days_of_one_chunk_are_drawn_together_and_read_once(tmp_path, monkeypatch):
    source = Made(latlon(0.1, (0, 0, 30, 30)), days=7, deep=4)
    layer = layer_of(source)
    assert steps_of(layer, 2) == (2, 3)  # a small day costs little
    monkeypatch.setattr("vadose.serve.pictures.COSTLY", 0)
    assert [steps_of(layer, step) for step in (0, 3, 4, 6)] == [(0, 4), (0, 4), (4, 7), (4, 7)]
    picture = draw(layer, (4, 7), tmp_path / "a.tif")
    whole = [codes(source.whole(step), 0.2, 0.4) for step in range(7)]
    with rasterio.open(picture.path) as file:
        for step in (4, 5, 6):
            assert (file.read(step - picture.first + 1) == whole[step]).all()


def test_blocks_of_several_days_are_read_once_and_make_room(monkeypatch):
    source = Made(latlon(0.1, (0, 0, 30, 30)), days=6, deep=6)
    layer, blocks = layer_of(source), Blocks(6 * 300 * 300)
    first = blocks.window("1", layer, 0, (20, 120), (250, 300))
    reads = len(source.reads)
    last = blocks.window("1", layer, 5, (20, 120), (250, 300))
    assert len(source.reads) == reads
    for step, found in ((0, first), (5, last)):
        assert (found == codes(source.whole(step)[20:120, 250:], 0.2, 0.4)).all()
    few = Blocks(1)
    few.window("1", layer, 0, (0, 10), (0, 10))
    assert not few._blocks


def test_a_block_that_cannot_be_read_is_tried_again():
    source = Made(latlon(0.1, (0, 0, 30, 30)), days=2, deep=2)
    layer, blocks, stored = layer_of(source), Blocks(10**6), source.stored
    source.stored = lambda *_: (_ for _ in ()).throw(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        blocks.window("1", layer, 0, (0, 10), (0, 10))
    source.stored = stored
    assert (blocks.window("1", layer, 0, (50, 60), (0, 10)) < NONE).all()


def test_a_large_day_is_read_by_tile_until_many_are_asked_for(monkeypatch):
    monkeypatch.setattr("vadose.serve.pictures.SMALL", 1000)
    source = Made(latlon(0.1, (0, 0, 30, 30)))
    layer = layer_of(source)
    assert factor_of(layer) == 4

    class Listed:
        version = "1"

    async def ask():
        service = Service(Path("nowhere"), Limits(tile_bytes=0))
        try:
            label = next(iter(layer.steps))
            alone = await service.tile(Listed, layer, label, (8, 130, 125), "png")
            assert service.pictures._count == 0  # no whole day for one tile
            for _ in range(OFTEN):
                await service.tile(Listed, layer, label, (8, 130, 125), "png")
            await asyncio.gather(*service._drawn.values())
            await asyncio.sleep(0)
            reads = len(source.reads)
            again = await service.tile(Listed, layer, label, (8, 130, 125), "png")
            assert len(source.reads) == reads
            return service.pictures._count, again == alone
        finally:
            service.close()

    assert asyncio.run(ask()) == (1, True)


def test_the_next_day_is_drawn_while_days_are_played_and_only_then():
    source = Made(latlon(0.1, (0, 0, 30, 30)), days=6)
    layer = layer_of(source)

    class Listed:
        version = "1"

    async def ask():
        service = Service(Path("nowhere"), Limits())
        try:
            labels, counts = list(layer.steps), []
            for step in (4, 0, 1):
                await service.tile(Listed, layer, labels[step], (4, 8, 7), "png")
                await asyncio.gather(*service._drawn.values())
                counts.append(sorted(key[2] for key in service._drawn))
            return counts
        finally:
            service.close()

    assert asyncio.run(ask()) == [[4], [0, 4], [0, 1, 2, 4]]
