"""Nothing of what is judged has a say: folds, products that stations enter, choices, and the verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vadose.correct import (
    Additive,
    Best,
    CDFMatching,
    Fold,
    Forest,
    Linear,
    Nothing,
    Regression,
    by_station,
    compare,
    correct_held_out,
    decision,
    load_corrector,
    network_folds,
    station_folds,
    time_folds,
)
from vadose.errors import ValueProblem


def with_own_offsets(pairs):
    """Let each station read more or less than all others, which nothing else knows."""
    own = np.random.default_rng(9).normal(0, 0.05, pairs.stations.sizes["station"])
    return replace(pairs, observed=pairs.observed + (own - own.mean())[pairs.station])


def test_a_station_has_no_say_in_its_own_correction(network):
    pairs = network(0.05, stations=12)
    folds = station_folds(pairs, folds=4, rng=1)
    held = correct_held_out(Linear(), pairs, folds)
    spoiled = pairs.observed.copy()
    spoiled[pairs.station == 3] += 0.3
    again = correct_held_out(Linear(), replace(pairs, observed=spoiled), folds)
    own = held.pairs.station == 3
    np.testing.assert_array_equal(held.corrected[own], again.corrected[own])
    fold = held.fold[own][0]
    assert "S03" not in held.used[fold]["station"].values
    assert (held.corrected[held.fold != fold] != again.corrected[held.fold != fold]).any()


def test_stations_near_the_test_are_not_learned_from(network):
    pairs = network(0.05, stations=30)
    for fold in station_folds(pairs, folds=5, distance=60.0):
        train, test = (np.unique(pairs.station[part]) for part in (fold.train, fold.test))
        lon, lat = pairs.stations["lon"].values, pairs.stations["lat"].values
        apart = np.hypot(lon[train][:, None] - lon[test], lat[train][:, None] - lat[test]) * 111.19
        assert apart.min() > 59.5
    with pytest.raises(
        ValueProblem, match=r"stations left to learn from, 900 km apart from the test"
    ):
        station_folds(pairs, distance=900.0)


def test_sensors_at_one_place_are_not_parted(network):
    pairs = network(0.05, stations=8)
    lon, lat = (pairs.stations[name].values.copy() for name in ("lon", "lat"))
    lon[5], lat[5] = lon[2], lat[2]
    pairs = replace(
        pairs, stations=pairs.stations.assign_coords(lon=("station", lon), lat=("station", lat))
    )
    folds = station_folds(pairs, distance=0)
    assert len(folds) == 7
    for fold in folds:
        assert fold.test[pairs.station == 2].any() == fold.test[pairs.station == 5].any()


def test_networks_are_held_out(network):
    pairs = network(0.05)
    held = correct_held_out(Additive(), pairs, network_folds(pairs))
    assert [set(one["network"].values) for one in held.used] == [{"WEST"}, {"EAST"}]
    assert len(held.corrected) == len(pairs)
    alone = pairs.stations["network"].values[pairs.station] == "EAST"
    with pytest.raises(ValueProblem, match="networks: found only EAST, expected two or more"):
        network_folds(pairs.rows(alone))


def test_periods_are_held_out_with_a_gap(network):
    pairs = network(0.05, days=360)
    folds = time_folds(pairs, days=30, gap=10, folds=3)
    day = pairs.time.astype("M8[D]").astype(int)
    for fold in folds:
        nearest = np.abs(np.unique(day[fold.train])[:, None] - np.unique(day[fold.test])).min()
        assert nearest == 11
    held = correct_held_out(Additive(), pairs, folds)
    assert len(np.unique(held.block)) == 12  # months, as stations are on both sides


def test_a_product_of_stations_is_made_without_those_held_out(network):
    pairs = network(0.0, stations=6, days=50)
    table = pairs.observed.reshape(6, 50)

    def mean_of_others(rows, is_used):
        day = (rows.time - pairs.time.min()) // np.timedelta64(1, "D")
        weight = is_used[:, None] & (np.arange(6)[:, None] != rows.station)
        return (weight * table[:, day]).sum(axis=0) / weight.sum(axis=0)

    whole = replace(pairs, product=mean_of_others).made_of(np.ones(6, bool))
    held = correct_held_out(Nothing(), whole, station_folds(whole))
    expected = (table.sum(axis=0) - table) / 5
    np.testing.assert_allclose(held.corrected, expected.ravel())
    seen = []

    class Watching(Nothing):
        def _learn(self, pairs):
            seen.append(pairs)

    correct_held_out(Watching(), whole, station_folds(whole)[:1])
    left = np.unique(seen[0].station)
    rest = table[left]
    np.testing.assert_allclose(seen[0].predicted, ((rest.sum(axis=0) - rest) / 4).ravel())


def test_folds_that_leak_are_refused(network):
    pairs = network(0.05)
    half = np.arange(len(pairs)) < 600
    for folds in ([], [Fold(half, half, "a")], [Fold(half, ~half, "a"), Fold(half, ~half, "b")]):
        with pytest.raises(ValueProblem, match="judged twice or learned from in the same fold"):
            correct_held_out(Additive(), pairs, folds)


def test_rows_that_cannot_be_judged_are_counted(network):
    pairs = network(0.05)
    elevation = pairs.predictors["elevation"].copy()
    elevation[:7] = np.nan
    gappy = replace(pairs, predictors={"elevation": elevation})
    held = correct_held_out(Regression(["elevation"]), gappy, station_folds(gappy, folds=5))
    assert held.lost == 7
    assert len(held.corrected) == len(pairs) - 7
    nothing = replace(pairs, observed=np.where(pairs.station < 10, pairs.observed, np.nan))
    folds = [Fold(pairs.station < 10, pairs.station >= 10, "a, 1")]
    with pytest.raises(ValueProblem, match="found none with a reading"):
        correct_held_out(Additive(), nothing, folds)


def test_the_best_is_chosen_without_the_test(network):
    pairs = network(
        lambda pairs: 4e-4 * (pairs.predictors["elevation"] - 300), stations=30, days=60
    )
    candidates = {"line": Linear(), "height": Regression(["elevation"], with_position=False)}
    best = Best(candidates, folds=5).fit(pairs)
    assert best.choice_ == "height"
    assert best.errors_["height"] < best.errors_["line"] <= best.errors_["nothing"] + 1e-3
    held = correct_held_out(Best(candidates, folds=4), pairs, station_folds(pairs, folds=5))
    alone = correct_held_out(candidates["height"], pairs, station_folds(pairs, folds=5))
    np.testing.assert_array_equal(held.corrected, alone.corrected)


def test_the_best_of_what_does_not_help_is_nothing(network, tmp_path):
    pairs = with_own_offsets(network(0.0, stations=14, days=60, noise=0.0))
    best = Best({"cdf": CDFMatching(), "additive": Additive()}).fit(pairs)
    assert best.choice_ == "nothing"
    best.save(tmp_path)
    again = load_corrector(tmp_path)
    assert (again.choice_, again.errors_) == ("nothing", best.errors_)
    assert "chosen of 3 by stations held out: nothing" in again.notes_


def test_a_correction_that_helps_is_said_to(network):
    held = correct_held_out(Additive(), pairs := network(0.05), station_folds(pairs))
    found = compare(held, rng=0)
    assert found.lower < found.after - found.before < found.upper < 0
    assert found.verdict.helps
    assert found.verdict.text.startswith("Correction helps at stations it has not seen: RMSE .05")
    assert (found.n, found.blocks) == (2400, 20)


def test_a_correction_of_what_stations_do_not_share_is_said_not_to_help(network):
    pairs = with_own_offsets(network(0.0, stations=14, days=60))
    for one in (Regression(["elevation"], degree=2), Forest(["elevation"], trees=10, leaf=20)):
        found = compare(correct_held_out(one, pairs, station_folds(pairs)), rng=0)
        assert not found.verdict.helps
        assert found.verdict.text.endswith("Leave it out.")


def test_doing_nothing_changes_nothing(network):
    held = correct_held_out(Nothing(), pairs := network(0.05), station_folds(pairs))
    found = compare(held, rng=0)
    assert (found.before, found.lower, found.upper) == (found.after, 0.0, 0.0)
    assert not found.verdict.helps


def test_the_interval_covers_what_new_networks_show(network):
    """Of 60 networks of 20 stations, at most a handful has an interval without the mean difference."""
    differences, ends = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        pairs = network(
            lambda pairs, rng=rng: 0.03 + rng.normal(0, 0.03, 20)[pairs.station],
            stations=20,
            days=6,
            seed=seed,
        )
        found = compare(correct_held_out(Additive(), pairs, station_folds(pairs)), rng=0, draws=400)
        differences.append(found.after - found.before)
        ends.append((found.lower, found.upper))
    truth = np.mean(differences)
    covered = np.mean([low <= truth <= high for low, high in ends])
    assert covered >= 0.85


def test_other_values_can_be_held_against(network):
    held = correct_held_out(Additive(), pairs := network(0.05), station_folds(pairs))
    found = compare(held, rng=0, against=held.pairs.observed + 0.001)
    assert found.before == pytest.approx(0.001)
    assert not found.verdict.helps
    with pytest.raises(ValueProblem, match="expected one value for each of 2400 rows"):
        compare(held, rng=0, against=np.ones(3))
    with pytest.raises(ValueProblem, match=r"found 0 draws, level 0\.95"):
        compare(held, rng=0, draws=0)


@pytest.mark.parametrize(
    ("interval", "helps", "words"),
    [
        ((-0.02, -0.01), True, "Correction helps"),
        ((-0.02, 0.01), False, "is not shown to help"),
        ((0.01, 0.02), False, "does harm"),
        ((float("nan"), float("nan")), False, "is not shown to help"),
    ],
)
def test_verdicts(interval, helps, words):
    found = decision(0.06, 0.05, interval)
    assert found.helps is helps
    assert words in found.text


def test_a_small_gain_is_set_beside_what_points_differ_by():
    assert "small beside what a point differs" in decision(0.060, 0.0595, (-0.0009, -0.0001)).text


def test_stations_have_intervals_of_their_own(network):
    pairs = network(lambda pairs: 0.05 * (pairs.station != 4), stations=8, days=200)
    held = correct_held_out(Additive(), pairs, station_folds(pairs))
    found = by_station(held, rng=0, draws=100)
    assert found.sizes == {"station": 8}
    others = found.drop_sel(station="S04")
    assert (others["upper"] < 0).all()
    assert (found.sel(station="S04")["lower"] > 0).all()
    assert (found["n"] == 200).all()
    twice = replace(held, pairs=replace(held.pairs, time=held.pairs.time[:1].repeat(1600)))
    with pytest.raises(ValueProblem, match="a station that has a time twice"):
        by_station(twice, rng=0)
