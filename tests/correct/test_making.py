"""Correctors made of plain words: the same as those made in Python, and what is told of faults."""

from __future__ import annotations

import numpy as np
import pytest

from vadose.correct import (
    CORRECTORS,
    Average,
    Best,
    Chain,
    Forest,
    Kriging,
    Linear,
    Nothing,
    Regression,
    load_corrector,
    make_corrector,
)
from vadose.errors import UnknownName, ValueProblem


def test_plain_words_make_what_python_makes(network):
    pairs = network(lambda pairs: 0.03 + 4e-5 * pairs.predictors["elevation"], days=40)
    for words, made in [
        (("chain", {"steps": ["linear", "kriging"]}), Chain([Linear(), Kriging()])),
        (
            ("average", {"of": ["linear", {"regression": {"with_position": False}}, "nothing"]}),
            Average([Linear(), Regression(["elevation"], with_position=False), Nothing()]),
        ),
        (
            ("best", {"of": ["linear", {"chain": {"steps": ["regression"]}}], "folds": 3}),
            Best({"line": Linear(), "height": Chain([Regression(["elevation"])])}, folds=3),
        ),
    ]:
        predictors = made.predictors
        corrector = make_corrector(*words, predictors=predictors).fit(pairs)
        np.testing.assert_array_equal(corrector.correct(pairs), made.fit(pairs).correct(pairs))


def test_predictors_go_to_the_parts_that_name_none():
    chain = make_corrector(
        "chain",
        {"steps": [{"forest": {"predictors": ["slope"], "leaf": 20}}, "regression", "linear"]},
        predictors=["elevation"],
    )
    forest, regression, _ = chain.correctors
    assert isinstance(forest, Forest)
    assert (forest.predictors, forest.leaf) == (("slope",), 20)
    assert regression.predictors == ("elevation",)
    assert chain.predictors == ("slope", "elevation")


def test_the_target_goes_to_all_parts():
    chain = make_corrector("chain", {"steps": ["linear"]}, target="root_zone_soil_moisture")
    assert {chain.target, chain.correctors[0].target} == {"root_zone_soil_moisture"}


def test_what_was_made_is_read_back(network, tmp_path):
    pairs = network(0.05, days=20, stations=8)
    words = {"of": [{"chain": {"steps": ["linear", "additive"]}}, "additive"]}
    corrector = make_corrector("best", {**words, "folds": None}).fit(pairs)
    corrector.save(tmp_path)
    again = load_corrector(tmp_path)
    assert again.choice_ == corrector.choice_
    assert again.folds is None
    np.testing.assert_array_equal(again.correct(pairs), corrector.correct(pairs))


@pytest.mark.parametrize("name", sorted(set(CORRECTORS) - {"chain", "average", "best"}))
def test_all_others_need_no_parameters(name):
    assert type(make_corrector(name)) is CORRECTORS[name]


@pytest.mark.parametrize(
    ("how", "parameters", "words"),
    [
        ("chian", {}, r"correction 'chian': found no such name.*Did you mean 'chain'"),
        ("chain", {"steps": ["linear", "krigging"]}, r"'krigging'.*Did you mean 'kriging'"),
        ("chain", {"step": ["linear"]}, r"parameter of chain 'step'.*Did you mean 'steps'"),
        ("chain", {"correctors": ["linear"]}, r"parameter of chain 'correctors'.*one of steps"),
        ("chain", {"steps": [{"forest": {"leafs": 3}}]}, r"of forest 'leafs'.*'leaf'"),
        ("best", {"of": ["linear"], "fold": 3}, r"parameter of best 'fold'.*'folds'"),
        ("forest", {"target": "ndvi"}, r"parameter of forest 'target': found no such name"),
    ],
)
def test_names_that_are_wrong_are_told_with_the_nearest(how, parameters, words):
    with pytest.raises(UnknownName, match=words):
        make_corrector(how, parameters)


@pytest.mark.parametrize(
    ("how", "parameters", "words"),
    [
        ("chain", {}, r"steps of chain: found none, expected a list of corrections, such as \[lin"),
        ("chain", {"steps": []}, r"steps of chain: found \[\]"),
        ("best", {"of": "linear"}, r"of of best: found 'linear', expected a list"),
        ("chain", {"steps": [3]}, r"steps of chain: found 3, expected a list"),
        ("chain", {"steps": [{"linear": 3}]}, r"found \{'linear': 3\}, expected a list"),
        ("chain", {"steps": [{"linear": {}, "kriging": {}}]}, "expected a list of corrections"),
        ("average", {"of": ["linear", "linear"]}, "found linear twice, expected each of them once"),
        ("forest", {"leaf": "many"}, r"leaf of forest: found 'many', expected a valid integer"),
        (
            "best",
            {"of": ["linear"], "folds": 2.5},
            r"folds of best: found 2\.5, expected a valid int",
        ),
    ],
)
def test_values_that_are_wrong_are_told(how, parameters, words):
    with pytest.raises(ValueProblem, match=words):
        make_corrector(how, parameters)


def test_predictors_that_nothing_looks_at_are_refused():
    with pytest.raises(ValueProblem, match=r"found ndvi, at which chain does not look"):
        make_corrector("chain", {"steps": ["linear"]}, predictors=["ndvi"])
