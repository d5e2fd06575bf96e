"""The contract of every corrector: on cubes and tables, whole or in tiles, saved or not; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from vadose.correct import (
    CORRECTORS,
    Additive,
    Average,
    Best,
    CDFMatching,
    Chain,
    Corrector,
    DailyKriging,
    DepartureKriging,
    Forest,
    Kriging,
    Linear,
    Nothing,
    Regression,
    Seasonal,
    corrector_class,
    load_corrector,
)
from vadose.correct.base import seen
from vadose.errors import (
    CubeProblem,
    ModelProblem,
    NoOverlap,
    UnknownName,
    VadoseError,
    ValueProblem,
)
from vadose.schema import check_cube, variable

MEMBERS: dict[str, Corrector] = {
    "additive": Additive(),
    "linear": Linear(),
    "seasonal": Seasonal(harmonics=2),
    "cdf_matching": CDFMatching(steps=10),
    "forest": Forest(["elevation"], trees=5),
    "regression": Regression(["elevation"], degree=2),
    "kriging": Kriging(),
    "daily_kriging": DailyKriging(),
    "departure_kriging": DepartureKriging(with_mean=True),
    "chain": Chain([Linear(), Regression(["elevation"]), DailyKriging(with_mean=True), Kriging()]),
    "average": Average([Linear(), Regression(["elevation"])]),
    "best": Best({"height": Regression(["elevation"]), "line": Linear()}, folds=4),
    "nothing": Nothing(),
}


def biased(pairs):
    """Too wet in the east and on heights, and in summer."""
    season = np.sin(
        2 * np.pi * (pairs.time - np.datetime64("2020-01-01")) / np.timedelta64(365, "D")
    )
    return 0.03 + 0.02 * pairs.longitude + 4e-5 * pairs.predictors["elevation"] + 0.02 * season


@pytest.fixture(scope="module")
def fitted(network) -> dict[str, Corrector]:
    pairs = network(biased, days=360, stations=14)
    return {name: one.fit(pairs) for name, one in MEMBERS.items()}


def test_every_corrector_is_here():
    assert set(MEMBERS) == set(CORRECTORS)


@pytest.mark.parametrize("name", MEMBERS)
def test_values_change_and_all_else_stays(name, fitted, cube):
    corrected = fitted[name].apply(cube)
    field, before = corrected["soil_moisture"], cube["soil_moisture"]
    xr.testing.assert_equal(np.isnan(field), np.isnan(before))
    assert field.dtype == np.float32
    assert (np.abs(field - before).max() > 0.005) == (name != "nothing")
    for other in ("origin", "flags", "soil_moisture_spread", "elevation"):
        xr.testing.assert_identical(corrected[other], cube[other])
    added = corrected["soil_moisture_correction"]
    np.testing.assert_allclose(before + added, field, atol=1e-7)
    assert added.attrs["long_name"] == "what correction with stations adds to surface soil moisture"
    assert field.attrs["station_correction"].startswith(f"{name}, learned from 14 stations")
    assert "about 0.02 m3 m-3" in field.attrs["station_correction"]
    assert field.attrs["depth_from"] == 0.0
    assert check_cube(corrected) is corrected


@pytest.mark.parametrize("name", MEMBERS)
def test_tiles_have_the_bits_of_the_whole_map(name, fitted, cube):
    whole = fitted[name].apply(cube)
    for window in ({"y": slice(2, 7), "x": slice(5, 8)}, {"time": [1], "x": slice(11, 12)}):
        part = fitted[name].apply(cube.isel(window))
        xr.testing.assert_identical(part, whole.isel(window))


@pytest.mark.parametrize("name", MEMBERS)
def test_saved_is_the_same_to_the_bit(name, fitted, cube, tmp_path):
    fitted[name].save(tmp_path)
    again = load_corrector(tmp_path)
    assert type(again) is corrector_class(name)
    xr.testing.assert_identical(again.apply(cube), fitted[name].apply(cube))
    xr.testing.assert_identical(again.used_, fitted[name].used_)
    suffixes = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert suffixes == {".json", ".safetensors"}


@pytest.mark.parametrize("name", MEMBERS)
def test_points_are_corrected_as_cells_are(name, fitted, cube, network):
    pairs = network(0.0, stations=4, days=2, seed=5)
    values = fitted[name].correct(pairs)
    assert np.isfinite(values).all()
    gap = pairs.predicted.copy()
    gap[3] = np.nan
    object.__setattr__(pairs, "predicted", gap)
    again = fitted[name].correct(pairs)
    assert np.flatnonzero(np.isnan(again)).tolist() == [3]
    np.testing.assert_array_equal(np.delete(again, 3), np.delete(values, 3))


@pytest.mark.parametrize("name", sorted(set(MEMBERS) - {"forest"}))  # which draws rows at random
def test_the_order_of_the_pairs_does_not_matter(name, network):
    pairs = network(biased, days=360, stations=8)
    order = np.random.default_rng(0).permutation(len(pairs))
    other = MEMBERS[name].fit(pairs.rows(order)).correct(pairs)
    np.testing.assert_allclose(MEMBERS[name].fit(pairs).correct(pairs), other, atol=1e-6)


def test_values_stay_inside_bounds(network, cube):
    dry = Additive().fit(network(0.3))
    assert float(dry.apply(cube)["soil_moisture"].min()) == 0.0
    narrow = dry.apply(cube, bounds=(0.02, 0.05))["soil_moisture"]
    assert float(narrow.min()) == np.float32(0.02)
    assert float(narrow.max()) == np.float32(0.05)


def test_members_are_corrected_one_by_one(network, cube):
    corrector = Linear().fit(network(lambda pairs: 0.5 * pairs.predicted))
    fields = ["soil_moisture"]
    both = xr.concat([cube[fields], cube[fields] + 0.02], "member", combine_attrs="override")
    both["soil_moisture"].attrs = cube["soil_moisture"].attrs
    found = corrector.apply(both)["soil_moisture"]
    alone = corrector.apply(both.isel(member=1))["soil_moisture"]
    np.testing.assert_array_equal(found[1], alone)


def test_a_station_that_was_used_is_not_judged(network):
    pairs = network(0.05)
    corrector = Additive().fit(pairs.rows(pairs.station < 15))
    fresh = pairs.rows(pairs.station >= 15)
    assert corrector.correct_unseen(fresh).shape == (600,)
    with pytest.raises(
        ValueProblem,
        match=r"found 1 that the additive correction learned from: S03, "
        r"expected stations that it has not seen. Judge it with .*correct_held_out",
    ):
        corrector.correct_unseen(pairs.rows((pairs.station == 3) | (pairs.station == 17)))


def test_a_station_under_another_name_is_known_by_its_place(network):
    pairs = network(0.05)
    corrector = Additive().fit(pairs)
    renamed = network(0.05, stations=20)
    stations = renamed.stations.assign_coords(station=[f"new {n}" for n in range(20)])
    object.__setattr__(renamed, "stations", stations)
    with pytest.raises(
        ValueProblem, match="found 20 that the additive correction learned from: new 0"
    ):
        corrector.correct_unseen(renamed)
    assert not seen(stations, corrector.used_, distance=0).any()


def test_the_record_of_used_stations_suits_the_guard(network):
    from vadose.validate.leakage import check_independent

    pairs = network(0.05)
    used = Additive().fit(pairs.rows(pairs.station < 4)).used_
    with pytest.raises(ValueProblem, match="4 of 20 that took part"):
        check_independent(pairs.stations, {"correction": used})


def test_what_is_refused(network, cube, tmp_path):
    pairs = network(0.05)
    additive = Additive().fit(pairs)
    once = additive.apply(cube)
    for problem, words, call in [
        (
            ModelProblem,
            "additive correction: found no fit. Call fit first",
            lambda: Additive().apply(cube),
        ),
        (
            ValueProblem,
            "found 2 with pairs, expected 3 or more. What differs from station to station",
            lambda: Additive().fit(pairs.rows(pairs.station < 2)),
        ),
        (CubeProblem, "corrected already", lambda: additive.apply(once)),
        (
            CubeProblem,
            "found soil_moisture_lower, the interval of the product before correction",
            lambda: additive.apply(_with_lower(cube)),
        ),
        (
            UnknownName,
            "correction 'aditive': found no such name.* Did you mean 'additive'",
            lambda: corrector_class("aditive"),
        ),
        (ModelProblem, "no readable description", lambda: load_corrector(tmp_path)),
    ]:
        with pytest.raises(problem, match=words):
            call()


def _with_lower(cube):
    lower = cube["soil_moisture"] - 0.05
    lower.attrs = variable("soil_moisture_lower").attributes()
    return cube.assign(soil_moisture_lower=lower)


def test_predictors_of_other_days_or_grids_are_refused(network, cube):
    forest = Forest(["elevation"], trees=2).fit(network(0.05))
    with pytest.raises(VadoseError, match="elevation"):
        forest.apply(cube.drop_vars("elevation"))
    with pytest.raises(CubeProblem, match=r"expected the grid of the product. Bring them onto it"):
        forest.apply(cube.drop_vars("elevation"), cube[["elevation"]].isel(x=slice(3, 9)))
    daily = cube[["elevation"]].expand_dims(time=cube["time"]).copy(deep=True)
    with pytest.raises(NoOverlap, match=r"no step at 2020-01-04\S* \(1 missing\)"):
        forest.apply(cube.drop_vars("elevation"), daily.isel(time=[0]))
    xr.testing.assert_identical(
        forest.apply(cube.drop_vars("elevation"), daily)["soil_moisture"],
        forest.apply(cube)["soil_moisture"],
    )
    values = daily["elevation"].values.copy()
    values[1, 5, 5] = np.nan
    daily["elevation"] = daily["elevation"].copy(data=values)
    with pytest.raises(ValueProblem, match="predictor elevation: found 1 gaps at 2020-01-04"):
        forest.apply(cube.drop_vars("elevation"), daily)


def test_a_damaged_folder_is_told(network, tmp_path):
    Additive().fit(network(0.05)).save(tmp_path)
    path = Path(tmp_path) / "corrector.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({**whole, "learned": {}}))
    with pytest.raises(ModelProblem, match=r"an incomplete corrector \('offset'\)"):
        load_corrector(tmp_path)
    path.write_text(json.dumps({**whole, "model": "magic"}))
    with pytest.raises(ModelProblem, match="found correction 'magic', expected one of additive"):
        load_corrector(tmp_path)
