"""What every model promises: a new member of `MODELS` is held to this without a new test."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from vadose.errors import ModelProblem, UnknownName
from vadose.models import MODELS, load_model, model_class, new_model, suited_parameters
from vadose.models.base import Model

FEATURES = 4


def small(name: str, *, seed: int = 0) -> Model:
    """Make a model that is quick to fit."""
    quick = {"trees": 15} if "trees" in inspect.signature(MODELS[name]).parameters else {}
    return new_model(name, seed=seed, **quick)


def table(samples: int = 500, *, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.random((samples, FEATURES)).astype(np.float32)
    return X, 0.1 + 0.2 * X[:, 0].astype("f8") + 0.1 * X[:, 1] * X[:, 2]


@pytest.fixture(scope="module", params=MODELS)
def fitted(request: pytest.FixtureRequest) -> Model:
    return small(request.param).fit(*table())


@pytest.fixture
def saved(fitted: Model, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    fitted.save(folder)
    return folder


def test_the_table_names_its_members() -> None:
    assert all(MODELS[name].name == name for name in MODELS)
    with pytest.raises(UnknownName, match=r"model 'random_forst'.*Did you mean 'random_forest'"):
        model_class("random_forst")


# --- fit and predict ---


@pytest.mark.parametrize("name", MODELS)
def test_fulfils_the_protocol_and_fit_returns_self(name: str) -> None:
    model = small(name)
    assert isinstance(model, Model)
    assert model.fit(*table()) is model


def test_gives_one_double_per_row(fitted: Model) -> None:
    X, _ = table(37, seed=2)
    values = fitted.predict(X)
    assert values.shape == (37,)
    assert values.dtype == np.float64
    assert fitted.predict(X[:0]).shape == (0,)


def test_same_seed_same_bits_other_seed_other_values(fitted: Model) -> None:
    X, _ = table(50, seed=2)
    again = small(fitted.name).fit(*table())
    other = small(fitted.name, seed=7).fit(*table())
    assert np.array_equal(fitted.predict(X), again.predict(X))
    assert not np.array_equal(fitted.predict(X), other.predict(X))


def test_learns_a_simple_function_better_than_its_mean(fitted: Model) -> None:
    X, y = table(300, seed=2)
    error = fitted.predict(X) - y
    assert np.sqrt(np.mean(error**2)) < 0.7 * y.std()


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4"])
def test_takes_numbers_of_any_precision_and_layout(fitted: Model, dtype: str) -> None:
    X, y = table()
    expected = fitted.predict(X)
    converted = np.asfortranarray(X.astype(dtype))
    assert np.array_equal(fitted.predict(converted), expected)
    assert np.array_equal(small(fitted.name).fit(converted, y).predict(X), expected)


def test_leaves_its_input_alone(fitted: Model) -> None:
    X, _ = table(20)
    X.flags.writeable = False
    before = X.copy()
    fitted.predict(X)
    assert np.array_equal(X, before)


def test_a_row_does_not_depend_on_the_others(fitted: Model) -> None:
    X, _ = table(9000, seed=3)
    whole = fitted.predict(X)
    assert np.array_equal(fitted.predict(X[::-1])[::-1], whole)
    assert np.array_equal(fitted.predict(X[8190:8195]), whole[8190:8195])
    assert np.array_equal(np.concatenate([fitted.predict(X[:1]), fitted.predict(X[1:])]), whole)


def test_does_not_depend_on_workers(fitted: Model, saved: Path) -> None:
    if not hasattr(fitted, "workers"):
        pytest.skip("has no workers")
    X, _ = table(9000, seed=3)
    for workers in (1, 3):
        again: Any = load_model(saved)
        again.workers = workers
        assert np.array_equal(again.predict(X), fitted.predict(X))


@pytest.mark.parametrize("name", MODELS)
def test_weights_count(name: str) -> None:
    X, y = table()
    wet = y > np.median(y)
    heavy = small(name).fit(X, y, weight=np.where(wet, 1.0, 1e-6))
    assert heavy.predict(X[~wet]).mean() > y[~wet].mean() + 0.01


# --- what is refused ---


@pytest.mark.parametrize("name", MODELS)
def test_a_model_without_a_fit_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelProblem, match=r"found no fit. Call fit first"):
        small(name).predict(table()[0])
    with pytest.raises(ModelProblem, match="found no fit"):
        small(name).save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_other_tables_are_refused(fitted: Model) -> None:
    X, _ = table(10)
    with pytest.raises(ModelProblem, match="X: found 3 features, expected 4, in the order"):
        fitted.predict(X[:, :3])
    with pytest.raises(ModelProblem, match=r"X: found 1 dimensions, expected \(sample, feature\)"):
        fitted.predict(X[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite_are_refused_by_feature(fitted: Model, value: float) -> None:
    X, y = table()
    X = X.astype("f8")
    X[4, 2] = X[5, 2] = value
    words = "X, feature 2: found 2 values that are not finite, expected complete rows. Mask"
    with pytest.raises(ModelProblem, match=words):
        fitted.predict(X)
    with pytest.raises(ModelProblem, match=words):
        small(fitted.name).fit(X, y)


@pytest.mark.parametrize("name", MODELS)
def test_a_target_that_does_not_suit_is_refused(name: str) -> None:
    X, y = table()
    gap = y.copy()
    gap[3] = np.nan
    with pytest.raises(ModelProblem, match="y: found 1 values that are not finite"):
        small(name).fit(X, gap)
    with pytest.raises(ModelProblem, match=r"y: found shape \(499,\), expected \(500,\)"):
        small(name).fit(X, y[1:])
    with pytest.raises(ModelProblem, match="weight: found negative values"):
        small(name).fit(X, y, weight=-np.ones(500))


@pytest.mark.parametrize("name", MODELS)
def test_too_few_samples_are_refused(name: str) -> None:
    X, y = table(3)
    with pytest.raises(ModelProblem, match="training data: found 3 samples, expected"):
        small(name).fit(X, y)


# --- on disk ---


def test_comes_back_the_same_to_the_bit(fitted: Model, saved: Path) -> None:
    X, _ = table(200, seed=5)
    for again in (load_model(saved), MODELS[fitted.name].load(saved)):
        assert type(again) is type(fitted)
        assert np.array_equal(again.predict(X), fitted.predict(X))


def test_comes_back_with_its_parameters(fitted: Model, saved: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    twin.mkdir()
    load_model(saved).save(twin)
    for path in saved.iterdir():
        assert (twin / path.name).read_bytes() == path.read_bytes()


def test_files_are_data_not_code(saved: Path) -> None:
    files = [path for path in saved.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".json", ".safetensors"}
    for path in files:
        content = path.read_bytes()
        assert not content.startswith(b"\x80"), "a pickle"
        if path.suffix == ".json":
            assert isinstance(json.loads(content), dict)
        else:
            assert all(isinstance(array, np.ndarray) for array in load_file(path).values())


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_another_format_or_model_is_refused(fitted: Model, saved: Path) -> None:
    edit(saved, format=99)
    with pytest.raises(ModelProblem, match=r"found format 99, expected format 1. Fit it again"):
        load_model(saved)
    edit(saved, format=1, model="oracle")
    with pytest.raises(
        ModelProblem, match=f"found model 'oracle', expected one of .*{fitted.name}"
    ):
        load_model(saved)
    with pytest.raises(ModelProblem, match=f"found model 'oracle', expected '{fitted.name}'"):
        MODELS[fitted.name].load(saved)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"text"', "{}", '{"model": 3}'])
def test_a_damaged_description_is_refused(saved: Path, content: str) -> None:
    (saved / "model.json").write_text(content)
    with pytest.raises(ModelProblem):
        load_model(saved)


def test_an_incomplete_description_is_refused(saved: Path) -> None:
    whole = json.loads((saved / "model.json").read_text())
    for key in whole:
        part = {name: value for name, value in whole.items() if name != key}
        (saved / "model.json").write_text(json.dumps(part))
        with pytest.raises(ModelProblem):
            load_model(saved)
    (saved / "model.json").write_text(json.dumps({**whole, "parameters": {"nonsense": 1}}))
    with pytest.raises(ModelProblem, match="found an incomplete description"):
        load_model(saved)


def test_a_missing_or_truncated_file_is_refused(saved: Path) -> None:
    for path in sorted(saved.iterdir()):
        whole = path.read_bytes()
        for part in (whole[:-1], whole[: len(whole) // 2], whole[:7], b""):
            path.write_bytes(part)
            with pytest.raises(ModelProblem) as problem:
                load_model(saved)
            assert str(saved) in str(problem.value)
        path.unlink()
        with pytest.raises(ModelProblem, match="expected a saved model"):
            load_model(saved)
        path.write_bytes(whole)
    load_model(saved)


def test_an_empty_or_missing_folder_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ModelProblem, match=r"model.json: found no readable description"):
            load_model(folder)


# --- parameters ---


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_checked_by_name_and_type(name: str) -> None:
    signature = inspect.signature(MODELS[name]).parameters
    numbers = {key: one.default for key, one in signature.items() if type(one.default) is float}
    assert suited_parameters(name, {key: repr(value) for key, value in numbers.items()}) == numbers
    with pytest.raises(UnknownName, match=f"parameter of {name} 'no_such'.*expected one of"):
        new_model(name, seed=0, no_such=1)
    for key, one in signature.items():
        if key != "seed" and type(one.default) in (int, float):
            with pytest.raises(ModelProblem, match=f"parameter '{key}' of {name}: found 'many'"):
                new_model(name, seed=0, **{key: "many"})
            with pytest.raises(ModelProblem, match="found True, expected a"):
                new_model(name, seed=0, **{key: True})
