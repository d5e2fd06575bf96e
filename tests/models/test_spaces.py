"""Spaces are read as what they say, and what is none is refused."""

from __future__ import annotations

from typing import Any

import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from vadose.errors import ModelProblem
from vadose.models import MODELS, new_model
from vadose.models.spaces import SPACES, holds, read_space


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_space_of_its_own(name: str) -> None:
    for key, distribution in read_space(name, SPACES[name], {}).items():
        ends = (
            distribution.choices
            if isinstance(distribution, CategoricalDistribution)
            else (distribution.low, distribution.high)  # type: ignore[attr-defined]
        )
        for value in ends:
            assert getattr(new_model(name, seed=0, **{key: value}), key) == value


def test_a_space_says_what_is_drawn() -> None:
    read = read_space(
        "lstm",
        {
            "hidden": [32, 128],
            "layers": [1, 2, 3],
            "dropout": [0, 0.5],
            "rate": ["1e-4", "1e-2"],
            "decay": [0.1, 0.9],
            "epochs": [5],
        },
        {},
    )
    assert read == {
        "hidden": IntDistribution(32, 128),
        "layers": CategoricalDistribution([1, 2, 3]),
        "dropout": FloatDistribution(0.0, 0.5),
        "rate": FloatDistribution(1e-4, 1e-2, log=True),
        "decay": FloatDistribution(0.1, 0.9),
        "epochs": CategoricalDistribution([5]),
    }
    assert list(read) == sorted(read)
    texts = read_space("bpnn", {"trainer": ["adam", "levenberg_marquardt"]}, {})
    assert texts == {"trainer": CategoricalDistribution(["adam", "levenberg_marquardt"])}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "turned": ({"leaf": [9, 1]}, r"'leaf': found the range \[9, 1\], expected the smaller number"),
    "one number": ({"leaf": 3}, "'leaf': found 3, expected a list: two numbers for a range, or"),
    "text": ({"leaf": "1, 9"}, "'leaf': found '1, 9', expected a list"),
    "no choice": ({"leaf": []}, r"'leaf': found \[\], expected a list"),
    "words": ({"leaf": ["few", "many"]}, "parameter 'leaf' of random_forest: found 'few'"),
    "a share of a leaf": ({"leaf": [0.5, 3]}, "found 0.5, expected a whole number"),
    "truth for a number": (
        {"trees": [5, 10], "leaf": [True, False]},
        "parameter 'leaf' of random_forest: found True",
    ),
    "nothing": ({}, "search space of random_forest: found nothing to search, expected a param"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_space_that_is_none_is_refused(case: str) -> None:
    space, words = REFUSED[case]
    with pytest.raises(ModelProblem, match=words):
        read_space("random_forest", space, {})


def test_texts_are_wanted_where_the_default_is_one() -> None:
    with pytest.raises(
        ModelProblem, match=r"search space of bpnn, 'hidden': found \[10, 20\], expected texts"
    ):
        read_space("bpnn", {"hidden": [10, 20]}, {})


def test_a_space_holds_its_ends_and_its_choices() -> None:
    read = read_space("lstm", {"hidden": [32, 128], "layers": [1, 2, 4], "rate": [1e-4, 1e-2]}, {})
    inside = {"hidden": (32, 128), "layers": (1, 4), "rate": (1e-4, 1e-2)}
    outside = {"hidden": (31, 129), "layers": (3, 0), "rate": (9e-5, 0.011)}
    for key, one in read.items():
        assert all(holds(one, value) for value in inside[key])
        assert not any(holds(one, value) for value in outside[key])
