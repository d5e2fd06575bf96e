"""What a download takes, from shipped facts alone: counted by hand here, and no server is asked."""

from __future__ import annotations

import math
import socket
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadose.errors import RecipeProblem
from vadose.products import PRODUCTS
from vadose.products.collections import COLLECTIONS
from vadose.products.fetching import Wanted, plan
from vadose.products.fetching.tiles import composites, degree_tiles, modis_tiles, months

BOX, PERIOD = (146.0, -36.0, 149.0, -33.0), ("2019-12-01", "2020-01-31")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a plan asks nobody")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def wanted(product, tmp_path, **changes):
    return Wanted(product, tmp_path / product, **{"region": BOX, "period": PERIOD, **changes})


@pytest.mark.parametrize(
    ("product", "files"),
    [
        ("SPL3SMP_E", 62),
        ("SPL2SMP", 62 * 29),
        ("IMERG", 62 * 48),
        ("GLDAS_NOAH", 62 * 8),
        (
            "MOD13A2",
            2 * 5,
        ),  # composites that begin on days 321, 337 and 353 of 2019, 1 and 17 of 2020
        ("MCD43A3", 2 * 62),
        ("MCD12Q1", 2 * 2),
        ("SRTM", 9),
        ("COPERNICUS_DEM", 9),
    ],
)
def test_files_are_those_of_days_and_tiles(product, files, tmp_path):
    planned = plan(wanted(product, tmp_path))
    assert (planned.count, planned.here, planned.left) == (files, 0, files)
    assert planned.size == pytest.approx(files * COLLECTIONS[product].size)


def test_files_of_the_climate_store_are_those_of_months_and_variables(tmp_path):
    asked = wanted("ERA5_LAND", tmp_path, variables=("soil_moisture", "land_surface_temperature"))
    planned = plan(asked)
    assert planned.count == 4
    assert planned.size == pytest.approx(4 * 30 * 30 * 30 * 4)  # files, days, rows, columns, bytes


def test_a_variable_that_is_not_downloaded_is_told(tmp_path):
    asked = wanted("ERA5_LAND", tmp_path, variables=("precipitation",))
    with pytest.raises(
        RecipeProblem, match="found variable precipitation, which is not downloaded"
    ):
        plan(asked)


def test_days_without_a_period_are_told(tmp_path):
    with pytest.raises(RecipeProblem, match="found no period, expected a first and a last day"):
        plan(wanted("SPL3SMP", tmp_path, period=None))


def test_what_is_on_the_disk_is_counted_once_and_only_if_it_is_asked_for(tmp_path):
    asked = wanted("MOD13A2", tmp_path)
    asked.folder.mkdir()
    for name in (
        "MOD13A2.A2019337.h29v12.061.2020289000000.hdf",
        "MOD13A2.A2019337.h29v12.061.2021000000000.hdf",  # the same, made anew
        "MOD13A2.A2019337.h10v05.061.2020289000000.hdf",  # another tile
        "MOD13A2.A2018337.h29v12.061.2020289000000.hdf",  # another year
        "MOD13A2.A2019353.h30v12.061.2020289000000.hdf.part",
        "notes.txt",
    ):
        (asked.folder / name).write_bytes(b"12345")
    (asked.folder / "MOD13A2.A2020001.h29v12.061.2020289000000.hdf").write_bytes(b"")
    planned = plan(asked)
    assert (planned.here, planned.here_size, planned.left) == (1, 5, 9)


def test_what_comes_by_hand_has_steps_with_the_folder_and_the_choices(tmp_path):
    planned = plan(wanted("GLEAM", tmp_path, variables=("evaporation",)))
    assert planned.is_by_hand
    text = " ".join(planned.steps)
    assert str(tmp_path / "GLEAM") in text
    assert "E_YYYY_GLEAM_v3.8a.nc" in text
    assert "SMsurf" not in text
    text = " ".join(plan(wanted("ISMN", tmp_path)).steps)
    assert "146, -36, 149, -33 (west, south, east, north)" in text
    assert "2019-12-01 to 2020-01-31" in text


@pytest.mark.parametrize("product", [name for name in PRODUCTS if name not in COLLECTIONS])
def test_a_product_without_facts_says_which_files_to_bring(product, tmp_path):
    planned = plan(wanted(product, tmp_path))
    assert planned.is_by_hand
    assert PRODUCTS[product].pattern in planned.steps[1]


@pytest.mark.parametrize("product", sorted(COLLECTIONS))
def test_every_collection_can_be_planned(product, tmp_path):
    planned = plan(wanted(product, tmp_path))
    assert planned.is_by_hand or (planned.count > 0 and planned.size > 0)
    assert planned.collection.page.startswith("https://")


# --- tiles and days


def test_tiles_of_places_that_are_known():
    """From the tile calculator of the MODIS land team: Beijing, Nairobi, Denver."""
    for (longitude, latitude), tile in {
        (116.4, 39.9): "h26v05",
        (36.8, -1.3): "h21v09",
        (-105.0, 39.7): "h09v05",
    }.items():
        assert modis_tiles((longitude, latitude, longitude + 1e-6, latitude + 1e-6)) == [tile]


@given(st.floats(-180, 170), st.floats(-89, 80), st.floats(0.1, 10), st.floats(0.1, 9), st.data())
def test_every_place_of_a_box_lies_in_one_of_its_tiles(west, south, wide, high, data):
    tiles = modis_tiles((west, south, west + wide, south + high))
    longitude = data.draw(st.floats(west, west + wide))
    latitude = data.draw(st.floats(south, south + high))
    across = math.cos(math.radians(latitude)) * longitude / 10
    column, row = math.floor(18 + across), math.floor((90 - latitude) / 10)
    # where the edge of a tile is near, the box was measured 0.05 degrees away from it
    if 0.01 < (18 + across) % 1 < 0.99 and 0.01 < ((90 - latitude) / 10) % 1 < 0.99:
        assert f"h{column:02d}v{row:02d}" in tiles


def test_tiles_of_a_degree_cover_a_box():
    assert degree_tiles((-0.5, -0.5, 0.5, 0.5)) == [(-1, -1), (-1, 0), (0, -1), (0, 0)]
    assert degree_tiles((10.0, 50.0, 11.0, 51.0)) == [(50, 10)]


@given(st.dates(date(2000, 3, 1), date(2024, 1, 1)), st.integers(0, 500))
def test_composites_cover_every_day_of_a_period(first, days):
    last = first + timedelta(days=days)
    starts = composites(first, last)
    assert starts[0] <= first
    assert starts[0] + timedelta(days=15) >= first
    assert starts[-1] <= last <= starts[-1] + timedelta(days=15)
    assert all(start.timetuple().tm_yday % 16 == 1 for start in starts)
    assert len(months(first, last)) == (last.year - first.year) * 12 + last.month - first.month + 1
