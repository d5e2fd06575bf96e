"""Groups of features: by predictor, then by rank correlation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from vadose.errors import ValueProblem
from vadose.validate.feature_groups import feature_groups


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def test_land_cover_and_the_aspects_of_a_predictor_stay_together(rng):
    names = [
        "sand:value",
        "land_cover_barren",
        "sand:departure",
        "land_cover_savannas",
        "ndvi:value",
    ]
    X = rng.normal(size=(300, 5))
    assert feature_groups(X, names) == {"sand": (0, 2), "land_cover": (1, 3), "ndvi": (4,)}


def test_what_is_correlated_by_rank_is_joined_whatever_its_sign_and_shape(rng):
    heat = rng.normal(size=400)
    X = np.stack([heat, rng.normal(size=400), -np.exp(3 * heat)], axis=1)
    assert feature_groups(X, ["lst", "sand", "elevation"]) == {
        "lst + elevation": (0, 2),
        "sand": (1,),
    }


@pytest.mark.parametrize("above", [True, False])
def test_the_threshold_is_the_correlation_of_a_pair(rng, above):
    first = rng.normal(size=300)
    X = np.stack([first, first + rng.normal(size=300)], axis=1)
    rho = float(spearmanr(X).statistic)
    together = rho - 0.01 if above else rho + 0.01
    assert len(feature_groups(X, ["a", "b"], together=together)) == (1 if above else 2)


def test_a_chain_of_neighbours_is_not_one_group(rng):
    """Average linkage: the ends of a chain have little in common."""
    links = rng.normal(size=(500, 12))
    X = np.stack([links[:, place : place + 5].sum(axis=1) for place in range(8)], axis=1)
    assert len(feature_groups(X, [f"p{place}" for place in range(8)])) > 2


def test_only_features_of_the_same_aspect_are_compared(rng):
    heat = rng.normal(size=300)
    X = np.stack([heat, heat], axis=1)
    assert len(feature_groups(X, ["lst:value", "rain:departure"])) == 2
    assert len(feature_groups(X, ["lst:value", "rain:value"])) == 1


def test_a_constant_goes_with_nothing_and_sequences_are_flattened(rng):
    X = np.stack([np.ones((20, 7)), np.ones((20, 7)), rng.normal(size=(20, 7))], axis=-1)
    assert len(feature_groups(X, ["a", "b", "c"])) == 3


def test_every_feature_is_in_one_group(rng):
    X = rng.normal(size=(60, 9)) @ rng.normal(size=(9, 9))
    groups = feature_groups(X, [f"p{place}" for place in range(9)], together=0.4)
    assert sorted(column for columns in groups.values() for column in columns) == list(range(9))


def test_bad_input_is_named(rng):
    X = rng.normal(size=(10, 2))
    with pytest.raises(ValueProblem, match="names: found 1, expected 2, one per feature"):
        feature_groups(X, ["a"])
    with pytest.raises(ValueProblem, match="NaN among the features"):
        feature_groups(np.full((4, 2), np.nan), ["a", "b"])
    with pytest.raises(ValueProblem, match=r"together: found 70, expected a correlation"):
        feature_groups(X, ["a", "b"], together=70)
