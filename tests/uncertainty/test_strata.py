"""Strata: classes that are learned once, points that blocks are worth, and shares that are counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vadose.errors import ValueProblem
from vadose.uncertainty.multipliers import fit_multiplier
from vadose.uncertainty.strata import (
    Classes,
    coverage_table,
    effective_points,
    looked_up,
    members_of,
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40))
def test_every_point_is_the_member_of_its_label(labels: list[int]) -> None:
    members = members_of(np.array(labels))
    assert sorted(np.concatenate(list(members.values())).tolist()) == list(range(len(labels)))
    assert all((np.array(labels)[places] == int(label)).all() for label, places in members.items())


@pytest.mark.parametrize(
    "labels",
    [
        np.array([True, False, True]),
        np.array([False, False]),
        np.array([-1, 4, 4, 200_000]),
        np.array([250, 3, 255], "u1"),
        np.array(["crops", "grass", "crops"]),
        np.array([], "i8"),
    ],
)
def test_labels_are_looked_up_as_they_were_grouped(labels: np.ndarray) -> None:
    numbers = {label: float(count) for count, label in enumerate(members_of(labels), start=1)}
    found = looked_up(labels, numbers)
    assert found.shape == labels.shape
    for label, places in members_of(labels).items():
        assert (found[places] == numbers[label]).all()
    assert (looked_up(labels, {}, otherwise=9.0) == 9.0).all()


def test_classes_hold_equally_many_and_stay_the_same() -> None:
    rng = np.random.default_rng(0)
    about = {"elevation": rng.normal(size=3000), "cover": rng.integers(0, 2, 3000)}
    classes = Classes.learn(about, parts=4)
    assert np.bincount(classes.labels(about)["elevation"]).tolist() == [750] * 4
    few = {name: values[:7] for name, values in about.items()}
    assert np.array_equal(classes.labels(few)["elevation"], classes.labels(about)["elevation"][:7])
    field = {name: values.reshape(30, 100) for name, values in about.items()}
    assert classes.labels(field)["cover"].shape == (30, 100)


def test_what_does_not_vary_makes_no_strata() -> None:
    about = {
        "day": np.zeros(9, int),
        "rain": np.zeros(9),
        "unknown": np.full(9, np.nan),
        "mostly_dry": np.array([0.0] * 8 + [3.0]),
    }
    assert Classes.learn(about).names == ()
    wet = Classes.learn({"rain": np.array([0.0] * 5 + [3.0, 4.0, 5.0, 6.0])})
    assert wet.labels({"rain": np.array([0.0, 5.0])})["rain"].tolist() == [0, 1]


def test_missing_descriptions_are_named() -> None:
    classes = Classes({"sand": (30.0,)}, ("cover",))
    with pytest.raises(ValueProblem, match="found sand to tell them by, expected also cover"):
        classes.labels({"sand": np.ones(3)})


def test_effective_points_are_those_of_simulated_blocks() -> None:
    """The variance of the share over many worlds is that of so many independent points."""
    rng = np.random.default_rng(0)
    block = np.repeat(np.arange(60), 30)
    shares, estimates = [], []
    for _ in range(300):
        score = 0.8 * np.repeat(rng.normal(size=60), 30) + 0.6 * rng.normal(size=1800)
        is_covered = np.abs(score) < 1.645
        shares.append(is_covered.mean())
        estimates.append(effective_points(is_covered, block, 0.9))
    true = 0.9 * 0.1 / np.var(shares)
    assert np.median(estimates) == pytest.approx(true, rel=0.3)
    assert 60 < true < 600


def test_independent_points_count_once_each_and_a_single_block_as_one() -> None:
    is_covered = np.random.default_rng(0).random(5000) < 0.9
    assert effective_points(is_covered, np.arange(5000), 0.9) > 4500
    assert effective_points(is_covered, np.zeros(5000, int), 0.9) == 1.0
    assert effective_points(np.ones(50, bool), np.arange(50), 0.9) == 50.0


def test_coverage_is_counted_by_stratum_with_the_error_of_blocks() -> None:
    truth = np.linspace(0, 1, 100)
    stratum = {"half": truth > 0.5}
    table = coverage_table(
        truth, truth * 0, truth * 0 + 0.75, block=np.arange(100) // 10, stratum=stratum
    ).set_index(["kind", "label"])
    assert table.loc[("half", "False"), "coverage"] == 1.0
    assert table.loc[("half", "True"), "coverage"] == pytest.approx(0.5, abs=0.02)
    assert table.loc[("all", "all"), "points"] == 100
    assert table.loc[("half", "True"), "blocks"] == 5
    assert table.loc[("half", "True"), "width"] == pytest.approx(0.75)
    share = table.loc[("all", "all"), "coverage"]
    independent = np.sqrt(share * (1 - share) / 100)
    assert table.loc[("all", "all"), "standard_error"] > 2 * independent


def test_a_gap_is_no_covered_point_but_a_share_that_is_not_known() -> None:
    truth = np.array([0.1, np.nan, 0.3, 0.4])
    stratum = np.array([0, 0, 1, 1])
    table = coverage_table(truth, truth - 1, truth + 1, block=np.arange(4), stratum=stratum)
    assert np.isnan(table["coverage"]).tolist() == [True, True, False]


def test_overlapping_strata_are_met_at_once() -> None:
    """Each label of two crossed kinds is covered to the point, though the sum has fewer parts than cells."""
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 3, 60_000), rng.integers(0, 4, 60_000)
    score = np.abs(rng.normal(size=60_000)) * (1 + one) * (1 + 0.5 * other)
    kinds = {"one": members_of(one), "other": members_of(other)}
    fitted = fit_multiplier(score, np.arange(60_000), kinds, level=0.9, pool=0.0)
    total = np.full(60_000, fitted.common)
    for kind, own in kinds.items():
        for label, places in own.items():
            total[places] += fitted.added[kind][label]
    for own in kinds.values():
        for places in own.values():
            assert np.mean(score[places] <= total[places]) == pytest.approx(0.9, abs=0.005)
