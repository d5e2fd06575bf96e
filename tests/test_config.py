"""A fault of a recipe is one message: the place, what was found, and the nearest valid name."""

from __future__ import annotations

import inspect
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from vadose.config import DEMO_RECIPE, Recipe, parse_recipe, read_recipe
from vadose.errors import FileProblem, RecipeProblem
from vadose.models import MODELS, new_model

SOUND: dict[str, Any] = {
    "title": "A study",
    "predictors": ["sand", "ndvi"],
    "build": {"sources": [{"product": "SAMPLE"}], "factor": 4, "withhold": True},
    "methods": {
        "nearest": {"title": "Copied", "kind": "nearest"},
        "smooth": {"title": "Smooth", "kind": "smooth"},
        "forest": {
            "title": "Forest",
            "kind": "direct",
            "model": "random_forest",
            "parameters": {"trees": 10},
        },
        "closed": {"title": "Closed", "kind": "close", "of": ["forest"]},
    },
    "publish": "closed",
}
GONE = object()


def changed(place: str, value: Any) -> str:
    """Give the sound recipe with one key set (or, for `GONE`, taken out)."""
    content = deepcopy(SOUND)
    *path, last = place.split(".")
    part: Any = content
    for key in path:
        part = part[int(key) if isinstance(part, list) else key]
    if value is GONE:
        del part[last]
    else:
        part[last] = value
    return yaml.safe_dump(content, sort_keys=False)


def message(text: str) -> str:
    with pytest.raises(RecipeProblem) as problem:
        parse_recipe(text, source="study.yaml")
    assert str(problem.value).startswith("study.yaml")
    assert "\n" not in str(problem.value)
    assert not str(problem.value).endswith("..")
    return str(problem.value)


def in_flow(line: str, instead: str) -> str:
    """Give the sound recipe as text with one line replaced, for what depends on YAML's reading."""
    text = yaml.safe_dump(SOUND, sort_keys=False)
    assert text.count(line) == 1
    return text.replace(line, instead)


def test_the_sound_recipe_is_sound() -> None:
    recipe = parse_recipe(yaml.safe_dump(SOUND, sort_keys=False))
    assert isinstance(recipe, Recipe)
    assert (recipe.seed, recipe.target, recipe.notes) == (0, "soil_moisture", [])
    assert list(recipe.methods) == ["nearest", "smooth", "forest", "closed"]
    baselines = [name for name, method in recipe.methods.items() if method.is_baseline]
    assert baselines == ["nearest", "smooth"]


def test_recipes_that_travel_with_the_package_are_sound() -> None:
    assert read_recipe(DEMO_RECIPE).publish in read_recipe(DEMO_RECIPE).methods


# --- keys ---

KEYS = {
    "titel": ("titel", "Did you mean 'title'?"),
    "build.factr": (
        "build.factr",
        "one of coarse, days, decay, factor, min_valid.*Did you mean 'factor'?",
    ),
    "build.sources.0.path": (
        "build.sources.0.path",
        "one of clock, daily, describe, drop.*paths, points, product.*'paths'?",
    ),
    "methods.forest.modle": (
        "methods.forest.modle",
        "one of .*kind, members, model.*Did you mean 'model'?",
    ),
    "methods.smooth.zzzzzz": ("methods.smooth.zzzzzz", "expected one of .*with_position"),
}


@pytest.mark.parametrize("place", KEYS)
def test_an_unknown_key_is_named_with_the_nearest(place: str) -> None:
    subject, words = KEYS[place]
    text = message(changed(place, "x"))
    assert text.startswith(f"study.yaml: {subject}: found an unknown key, expected one of ")
    assert all(word in text for word in words.split(".*"))


def test_without_a_near_name_none_is_proposed() -> None:
    assert "Did you mean" not in message(changed("zzzzzz", 1))


def test_a_misspelt_key_is_told_before_the_one_it_leaves_missing() -> None:
    text = yaml.safe_dump(SOUND).replace("publish:", "pubish:")
    assert "pubish: found an unknown key" in message(text)


@pytest.mark.parametrize(
    "place",
    ["title", "predictors", "build", "methods", "publish", "build.sources", "build.factor"],
)
def test_a_missing_key_is_named(place: str) -> None:
    assert message(changed(place, GONE)) == f"study.yaml: {place}: found nothing, expected a value."


# --- names ---

NAMES: dict[str, tuple[str, Any, list[str]]] = {
    "variable": ("predictors", ["snad"], ["predictors", "variable 'snad'", "Did you mean 'sand'?"]),
    "far variable": ("predictors", ["xxxxxxxx"], ["unknown variable 'xxxxxxxx'."]),
    "target": ("target", "soil_mositure", ["target:", "Did you mean 'soil_moisture'?"]),
    "product": (
        "build.sources.0.product",
        "SAMPEL",
        ["build.sources.0.product", "expected one of ", "GLDAS_NOAH", "Did you mean 'SAMPLE'?"],
    ),
    "kind": (
        "methods.smooth.kind",
        "smoth",
        ["methods.smooth.kind: found 'smoth'", "'smooth', 'climatology'"],
    ),
    "model": (
        "methods.forest.model",
        "random_forst",
        ["methods.forest.model", "expected one of boosting", "Did you mean 'random_forest'?"],
    ),
    "parameter": (
        "methods.forest.parameters",
        {"tree": 5},
        ["parameter of random_forest 'tree'", "expected one of ", "Did you mean 'trees'?"],
    ),
    "method in of": (
        "methods.closed.of",
        ["forst"],
        ["method (in closed: of) 'forst'", "one of forest, nearest", "Did you mean 'forest'?"],
    ),
    "publish": ("publish", "clozed", ["method (in publish) 'clozed'", "Did you mean 'closed'?"]),
}


@pytest.mark.parametrize("case", NAMES)
def test_an_unknown_name_is_told_with_the_nearest(case: str) -> None:
    place, value, words = NAMES[case]
    text = message(changed(place, value))
    assert [word for word in words if word not in text] == [], text


def test_a_variable_named_twice_is_refused() -> None:
    assert "sand named twice" in message(changed("predictors", ["sand", "ndvi", "sand"]))


def test_the_target_is_no_predictor() -> None:
    text = message(changed("predictors", ["sand", "soil_moisture"]))
    assert "the target 'soil_moisture' stands among the predictors" in text


@pytest.mark.parametrize("baseline", ["nearest", "smooth"])
def test_every_study_has_its_baselines(baseline: str) -> None:
    words = f"methods lack '{baseline}' of that kind: every score stands beside the coarse input"
    assert words in message(changed(f"methods.{baseline}", GONE))
    other = {"title": "Not it", "kind": "climatology"}
    assert words in message(changed(f"methods.{baseline}", other))


# --- methods ---

METHODS: dict[str, tuple[str, Any, str]] = {
    "a learner without model": ("methods.forest.model", GONE, "kind 'direct' needs model"),
    "a baseline with model": ("methods.smooth.model", "boosting", "kind 'smooth' takes no model"),
    "closure of nothing": ("methods.closed.of", [], "kind 'close' has of: [], expected one method"),
    "closure of two": ("methods.closed.of", ["smooth", "forest"], "expected one method"),
    "a baseline of others": ("methods.smooth.of", ["nearest"], "expected none"),
    "a blend of one": (
        "methods.closed",
        {"title": "B", "kind": "blend", "of": ["forest"]},
        "expected two or more methods",
    ),
    "too few weights": (
        "methods.closed",
        {"title": "B", "kind": "blend", "of": ["forest", "smooth"], "weights": [1]},
        "1 weights for 2 methods",
    ),
    "weights of nothing": (
        "methods.closed",
        {"title": "B", "kind": "blend", "of": ["forest", "smooth"], "weights": [0, 0]},
        "weights [0.0, 0.0], expected 0 or more and not all 0",
    ),
    "a negative weight": (
        "methods.closed",
        {"title": "B", "kind": "blend", "of": ["forest", "smooth"], "weights": [2, -1]},
        "expected 0 or more",
    ),
}


@pytest.mark.parametrize("case", METHODS)
def test_methods_that_do_not_fit_together_are_refused(case: str) -> None:
    place, value, words = METHODS[case]
    text = message(changed(place, value))
    assert words in text
    assert text.startswith("study.yaml: methods.")


def test_a_method_stands_after_those_it_wraps() -> None:
    content = deepcopy(SOUND)
    content["methods"] = {"closed": content["methods"].pop("closed"), **content["methods"]}
    words = "'closed' wraps 'forest', expected it after that one"
    assert words in message(yaml.safe_dump(content, sort_keys=False))
    content = deepcopy(SOUND)
    content["methods"]["closed"]["of"] = ["closed"]
    assert "'closed' wraps 'closed'" in message(yaml.safe_dump(content, sort_keys=False))


# --- values ---

VALUES: dict[str, tuple[str, Any, str]] = {
    "text for a number": ("build.factor", "four", "build.factor: found 'four'"),
    "no coarsening": ("build.factor", 1, "build.factor: found 1: input should be greater than 1"),
    "a share above one": ("build.min_valid", 1.5, "build.min_valid: found 1.5"),
    "a seed below zero": ("seed", -1, "seed: found -1"),
    "no predictor": ("predictors", [], "predictors: found []"),
    "no source": ("build.sources", [], "build.sources: found []"),
    "one edge too few": ("build.region", [1, 2, 3], "build.region.3: found nothing"),
    "a region inside out": ("build.region", [10, 20, -10, 30], "no inside, expected west, south"),
    "one day": ("build.period", ["2019-07-01"], "build.period.1: found nothing"),
    "no day": (
        "build.period",
        ["June", "July"],
        "'June' is no day, expected one such as 2019-07-01",
    ),
    "days in reverse": ("build.period", ["2019-07-02", "2019-07-01"], "last day comes before"),
    "a number for a name": ("title", 2019, "title: found 2019"),
    "text for a part": ("build", "sample", "build: found 'sample'"),
    "many trees": (
        "methods.forest.parameters",
        {"trees": "many"},
        "parameter 'trees' of random_forest: found 'many', expected a whole number",
    ),
    "half a tree": ("methods.forest.parameters", {"trees": 2.5}, "found 2.5, expected a whole"),
    "trees: yes": ("methods.forest.parameters", {"trees": True}, "found True, expected a whole"),
    "a share in words": ("methods.forest.parameters", {"samples": "half"}, "expected a number"),
    "a list of trees": (
        "methods.forest.parameters",
        {"trees": [10]},
        "parameter 'trees' of random_forest: found [10], expected a whole number",
    ),
    "layers in a list": (
        "methods.forest",
        {
            "title": "BPNN",
            "kind": "direct",
            "model": "bpnn",
            "parameters": {"hidden": [20, 30]},
        },
        "parameter 'hidden' of bpnn: found [20, 30], expected a number, text, true or false",
    ),
    "members of a forest": (
        "methods.forest.parameters",
        {"members": {"dnn": {}}},
        "parameter of random_forest 'members': found no such name",
    ),
}


@pytest.mark.parametrize("case", VALUES)
def test_a_value_of_the_wrong_kind_is_told_with_its_place(case: str) -> None:
    place, value, words = VALUES[case]
    assert words in message(changed(place, value))


# --- what YAML makes of it ---


def test_a_number_that_yaml_reads_as_text_is_a_number_where_one_is_wanted() -> None:
    """YAML 1.1 wants a dot in 1e-3."""
    text = in_flow("trees: 10", "{trees: 1e1, samples: 1e-1}").replace("\n      {", " {")
    assert yaml.safe_load(text)["methods"]["forest"]["parameters"]["samples"] == "1e-1"
    method = parse_recipe(text).methods["forest"]
    assert method.parameters == {"trees": 10, "samples": 0.1}
    assert type(method.parameters["trees"]) is int
    new_model(str(method.model), seed=0, **method.parameters)
    share = parse_recipe(in_flow("factor: 4", "factor: 4\n  min_valid: 5e-1"))
    assert share.build.min_valid == 0.5


# --- ensembles ---


def of_members(members: Any) -> str:
    """Give the sound recipe with an ensemble in place of the forest."""
    content = deepcopy(SOUND)
    content["methods"]["forest"] |= {"model": "ensemble", "parameters": {"members": members}}
    return yaml.safe_dump(content, sort_keys=False)


def test_members_of_an_ensemble_take_parameters_of_their_own() -> None:
    text = of_members({"lstm": {"hidden": 32.0, "rate": "1e-3"}, "dnn": None, "boosting": {}})
    parameters = parse_recipe(text).methods["forest"].parameters
    assert parameters == {
        "members": {"lstm": {"hidden": 32, "rate": 0.001}, "dnn": {}, "boosting": {}}
    }
    assert parse_recipe(of_members("lstm, dnn")).methods["forest"].parameters == {
        "members": "lstm, dnn"
    }


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"lsmt": {}}, "found member of the ensemble 'lsmt'"),
        ("dnn, lsmt", "Did you mean 'lstm'?"),
        ({"lstm": {"hiden": 3}}, "parameter of lstm 'hiden'"),
        ({"lstm": {"hidden": "wide"}}, "'hidden' of lstm: found 'wide', expected a whole number"),
        (
            {"lstm": {"hidden": [3]}},
            "parameter 'hidden' of lstm: found [3], expected a whole number",
        ),
        ({"lstm": 32}, "found {'lstm': 32}, expected names, such as 'dnn, lstm', or names with"),
        (["lstm"], "members of the ensemble: found ['lstm'], expected names"),
        ({}, "members of the ensemble: found {}, expected names"),
        (
            {"resnet": {}},
            "member 'resnet' of the ensemble: found kind 'patches', expected a single",
        ),
        ("dnn, ensemble", "member 'ensemble' of the ensemble: found an ensemble"),
    ],
)
def test_members_that_do_not_fit_are_named(members: Any, words: str) -> None:
    text = message(of_members(members))
    assert text.startswith("study.yaml: methods.forest.parameters: found ")
    assert words in text


def test_every_parameter_of_every_model_can_be_written_as_it_is_stored() -> None:
    for name in MODELS:
        model = new_model(name, seed=0)
        names = inspect.signature(MODELS[name]).parameters
        stored = {key: getattr(model, key) for key in names if key != "seed"}
        content = deepcopy(SOUND)
        content["methods"]["forest"] |= {"model": name, "parameters": stored}
        assert (
            parse_recipe(yaml.safe_dump(content, sort_keys=False)).methods["forest"].parameters
            == stored
        )


def test_no_is_not_text() -> None:
    assert "publish: found False" in message(in_flow("publish: closed", "publish: no"))
    text = message(in_flow("  closed:\n", "  no:\n").replace("publish: closed", "publish: 'no'"))
    assert text == "study.yaml: methods: found the name False, expected text. Put it in quotes."
    without = message(in_flow("withhold: true", "withhold: no"))  # read as false, not as text
    assert "0 sources with use: target, expected one (or withhold: true)" in without


def test_bare_dates_are_days() -> None:
    period = "factor: 4\n  period: [2019-04-01, 2019-04-03]"
    assert parse_recipe(in_flow("factor: 4", period)).build.period == ("2019-04-01", "2019-04-03")


def test_a_bare_day_that_does_not_exist_is_refused() -> None:
    period = "factor: 4\n  period: [2019-02-30, 2019-04-03]"
    assert "day is out of range" in message(in_flow("factor: 4", period))


def test_a_key_given_twice_is_refused() -> None:
    """YAML would keep the last one in silence."""
    twice = in_flow("publish: closed", "publish: closed\npublish: smooth")
    assert "the key 'publish' stands twice" in message(twice)
    nested = in_flow("factor: 4", "factor: 4\n  factor: 8")
    assert "the key 'factor' stands twice" in message(nested)


def test_anchors_and_merges_are_allowed() -> None:
    text = in_flow("  nearest:\n", "  nearest: &first\n")
    text = text.replace("    title: Smooth\n", "    <<: *first\n")
    assert parse_recipe(text).methods["smooth"].title == "Copied"
    assert parse_recipe(text).methods["smooth"].kind == "smooth"


NOT_A_RECIPE = {
    "broken": ("title: [1, 2", "found no valid YAML (while parsing"),
    "tab": ("build:\n\tfactor: 4", r"found no valid YAML (while scanning"),
    "null byte": ("title: \x00", "found no valid YAML (unacceptable character"),
    "list": ("- title", "found a list, expected keys such as title and build"),
    "text": ("just words", "found a str, expected keys"),
    "empty": ("", "found nothing, expected keys"),
    "comment": ("# later", "found nothing, expected keys"),
    "two documents": ("title: a\n---\ntitle: b", "found no valid YAML"),
    "number as key": ("1: x", "1: found an unknown key, expected one of also"),
    "code": ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
    "unknown alias": ("title: *other", "found no valid YAML"),
}


@pytest.mark.parametrize("case", NOT_A_RECIPE)
def test_what_is_no_recipe_is_refused(case: str) -> None:
    text, words = NOT_A_RECIPE[case]
    assert words in message(text)


# --- files ---


def test_a_missing_file_is_told_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.yaml"
    with pytest.raises(FileProblem, match=r"nowhere.yaml: found no such file, expected a recipe"):
        read_recipe(path)


def test_a_folder_or_a_binary_file_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match=r"found no readable text .*expected YAML"):
        read_recipe(tmp_path)
    binary = tmp_path / "study.yaml"
    binary.write_bytes(b"\x89HDF\r\n\x1a\n\xff\xfe")
    with pytest.raises(FileProblem, match=r"study.yaml: found no readable text .*expected YAML"):
        read_recipe(binary)


def test_a_fault_in_a_file_is_told_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(changed("titel", "x"), encoding="utf-8")
    with pytest.raises(RecipeProblem) as problem:
        read_recipe(str(path))
    assert str(problem.value).startswith(f"{path}: titel: found an unknown key")


def test_words_of_any_language_are_read(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(changed("title", "Bodenfeuchte über 1° — 土壤水分"), encoding="utf-8")
    assert read_recipe(path).title == "Bodenfeuchte über 1° — 土壤水分"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # as some editors write it
    assert read_recipe(path).title.startswith("Boden")
