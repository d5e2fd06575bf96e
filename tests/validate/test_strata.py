"""Labels follow from where and when a pair is, from what the station reads, and from maps."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import vadose.synthetic
from vadose.errors import ValueProblem
from vadose.validate.match import at_stations
from vadose.validate.pairs import match
from vadose.validate.strata import (
    SEASONS,
    elevation_band,
    label_from_map,
    month,
    season,
    wetness,
    year,
)


@pytest.fixture(scope="module")
def world() -> vadose.synthetic.World:
    return vadose.synthetic.world(size=16, days=100, factor=4, seed=0)


@pytest.fixture(scope="module")
def matchup(world: vadose.synthetic.World) -> xr.Dataset:
    return match({"truth": world.truth["soil_moisture"]}, world.stations)


def test_seasons_turn_with_the_hemisphere() -> None:
    stamps = np.array([f"2019-{number:02d}-15" for number in range(1, 13)], "M8[ns]")
    places = xr.Dataset(coords={"lat": ("station", [50.0, -30.0]), "time": stamps})
    north, south = (
        [SEASONS[code] for code in row]
        for row in season(places).transpose("station", "time").values
    )
    assert north == ["winter"] * 2 + ["spring"] * 3 + ["summer"] * 3 + ["autumn"] * 3 + ["winter"]
    assert south == ["summer"] * 2 + ["autumn"] * 3 + ["winter"] * 3 + ["spring"] * 3 + ["summer"]


def test_months_and_years_are_those_of_the_stamps(matchup: xr.Dataset) -> None:
    assert np.array_equal(month(matchup), matchup["time"].dt.month)
    assert np.array_equal(year(matchup), matchup["time"].dt.year)


@pytest.mark.parametrize("parts", [2, 3])
def test_wetness_cuts_each_station_into_equal_parts(matchup: xr.Dataset, parts: int) -> None:
    label = wetness(matchup, parts=parts)
    is_pair = matchup["is_pair"].values
    assert (label.values[~is_pair] == -1).all()
    for codes, reading, own in zip(label.values, matchup["reading"].values, is_pair, strict=True):
        counts = np.bincount(codes[own], minlength=parts)
        assert counts.sum() == own.sum()
        assert np.ptp(counts) <= 0.1 * own.sum() + 1
        highest = [reading[own][codes[own] == part].max() for part in range(parts)]
        assert highest == sorted(highest)
    with pytest.raises(ValueProblem, match="parts of wetness: found 4, expected 2 or 3"):
        wetness(matchup, parts=4)


def test_elevation_bands_hold_their_lower_edge() -> None:
    heights = xr.DataArray([-3.0, 0.0, 999.9, 1000.0, np.nan], dims="station")
    bands = elevation_band(heights, [0, 1000])
    assert bands.values.tolist() == [0, 1, 1, 2, -1]
    assert bands.attrs["flag_meanings"] == "below_0_m 0_to_1000_m from_1000_m"
    with pytest.raises(ValueProblem, match="edges of elevation: found"):
        elevation_band(heights, [1000, 0])


def test_a_map_labels_the_stations_in_its_cells(
    world: vadose.synthetic.World, matchup: xr.Dataset
) -> None:
    cover = world.predictors["land_cover"]
    label = label_from_map(cover, matchup)
    assert label.dims == ("station",)
    assert np.array_equal(label, at_stations(cover.astype("f4"), world.stations)[:, 0])
    assert label.attrs == cover.attrs
    is_wet = (world.truth["soil_moisture"] > 0.2).isel(time=slice(10, 90)).rename("is_wet")
    moving = label_from_map(is_wet, matchup)
    assert moving.dims == ("station", "time")
    assert moving.isel(time=slice(0, 10)).isnull().all()
    own = matchup["value"][0].values[:, 10:90] > 0.2
    assert np.array_equal(moving.isel(time=slice(10, 90)), own)
