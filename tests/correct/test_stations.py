"""Pairs from matchups and tables are the same rows, and say what is wrong with what they are made of."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import vadose.synthetic
from vadose.correct import pairs_of, pairs_of_table
from vadose.errors import CubeProblem, UnknownName, ValueProblem
from vadose.validate.match import at_stations
from vadose.validate.pairs import match


@pytest.fixture(scope="module")
def world() -> vadose.synthetic.World:
    return vadose.synthetic.world(size=16, days=20, factor=4, seed=0)


@pytest.fixture(scope="module")
def matchup(world) -> xr.Dataset:
    fields = {"coarse": world.coarse["soil_moisture"], "truth": world.truth["soil_moisture"]}
    return match(fields, world.stations)


@pytest.fixture(scope="module")
def predictors(world) -> xr.Dataset:
    taken = {
        name: at_stations(world.predictors[name], world.stations) for name in ("ndvi", "elevation")
    }
    return xr.Dataset(
        {"ndvi": taken["ndvi"], "elevation": taken["elevation"].isel(time=0, drop=True)}
    )


def test_rows_are_the_common_sample(matchup, predictors):
    pairs = pairs_of(matchup, "coarse", predictors=predictors)
    assert len(pairs) == int(matchup["is_pair"].sum())
    row = 17
    here = matchup.sel(time=pairs.time[row]).isel(station=int(pairs.station[row]))
    assert pairs.predicted[row] == here["value"].sel(product="coarse")
    assert pairs.observed[row] == here["reading"]
    there = predictors.isel(station=int(pairs.station[row]))
    assert pairs.predictors["ndvi"][row] == there["ndvi"].sel(time=pairs.time[row])
    assert pairs.predictors["elevation"][row] == there["elevation"]
    assert pairs.longitude[row] == here["lon"]


def test_a_table_gives_the_same_rows(matchup):
    pairs = pairs_of(matchup, "truth")
    columns = matchup.drop_dims("reason").sel(product="truth").to_dataframe().reset_index()
    same = pairs_of_table(columns[columns["is_pair"]], predicted="value", observed="reading")
    order = np.lexsort((same.time, same.station))
    names = [
        pairs.stations["station"].values[pairs.station],
        same.stations["station"].values[same.station],
    ]
    assert sorted(names[0]) == sorted(names[1])
    assert same.predicted[order].sum() == pytest.approx(pairs.predicted.sum())
    assert same.used().all()


def test_what_is_refused(matchup, predictors):
    with pytest.raises(UnknownName, match=r"product 'corse'.*Did you mean 'coarse'"):
        pairs_of(matchup, "corse")
    with pytest.raises(CubeProblem, match="predictor ndvi: found other stations or times"):
        pairs_of(matchup, "coarse", predictors=predictors[["ndvi"]].isel(time=slice(3, 9)))
    with pytest.raises(CubeProblem, match="expected also lat and lon along station"):
        pairs_of(matchup.drop_vars("lat"), "coarse")
    frame = pairs_frame()
    with pytest.raises(UnknownName, match="column 'sm'"):
        pairs_of_table(frame, predicted="sm", observed="reading")
    frame.loc[1, "lat"] = 41.0
    with pytest.raises(ValueProblem, match=r"station a: found more than one lat.*were moved"):
        pairs_of_table(frame, predicted="value", observed="reading")


def pairs_frame():
    import pandas as pd

    return pd.DataFrame(
        {
            "station": ["a", "a", "b"],
            "lat": [40.0, 40.0, 42.0],
            "lon": 1.0,
            "time": pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-01"]),
            "value": 0.2,
            "reading": [0.1, np.nan, 0.3],
        }
    )


def test_rows_without_reading_are_no_pairs():
    pairs = pairs_of_table(pairs_frame(), predicted="value", observed="reading")
    assert len(pairs) == 3
    assert pairs.known().station.tolist() == [0, 1]
    numbers, means = pairs.known().station_means(np.array([1.0, 3.0]))
    assert numbers.tolist() == [0, 1]
    assert means.tolist() == [1.0, 3.0]
