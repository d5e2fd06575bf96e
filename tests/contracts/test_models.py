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
#: Settings with which each model is quick to fit; a new one needs a line only if its defaults are slow.
QUICK: dict[str, dict[str, Any]] = {
    "random_forest": {"trees": 15},
    "boosting": {"trees": 15},
    "bpnn": {"hidden": "4", "epochs": 3, "patience": 0},
    "dnn": {"width": 16, "depth": 2, "epochs": 12, "batch": 64, "patience": 0},
    "cnn": {"channels": 8, "blocks": 2, "epochs": 12, "batch": 8, "patience": 0},
    "cnn_gru": {
        "length": 3,
        "hidden": 16,
        "channels": 16,
        "layers": 2,
        "epochs": 20,
        "batch": 8,
        "rate": 0.01,
        "patience": 0,
    },
    "resnet": {"channels": 16, "blocks": 1, "epochs": 20, "batch": 4, "rate": 0.01, "patience": 0},
    "diffusion": {
        "width": 32,
        "blocks": 1,
        "steps": 4,
        "draws": 4,
        "epochs": 20,
        "batch": 32,
        "patience": 0,
    },
    "diffusion_maps": {
        "width": 16,
        "levels": 1,
        "steps": 3,
        "draws": 2,
        "epochs": 40,
        "dropout": 0.0,
        "rate": 0.006,
        "patience": 0,
    },
    "lstm": {"hidden": 16, "epochs": 20, "batch": 8, "rate": 0.01, "patience": 0},
    "ensemble": {
        "members": {
            "lstm": {"hidden": 8, "epochs": 10, "batch": 8, "rate": 0.01, "patience": 0},
            "boosting": {"trees": 15, "leaf": 20},
        },
        "folds": 2,
    },
}
#: Places of a sample of each kind.
PLACES = {"rows": (), "sequences": (12,), "patches": (5, 6)}
#: Samples that are plenty, and few enough to be quick.
SAMPLES = {"rows": 500, "sequences": 60, "patches": 24}


def small(name: str, *, seed: int = 0) -> Model:
    """Make a model that is quick to fit."""
    return new_model(name, seed=seed, **QUICK.get(name, {}))


def table(kind: str, samples: int | None = None, *, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shape = (samples or SAMPLES[kind], *PLACES[kind], FEATURES)
    X = rng.random(shape).astype(np.float32)
    return X, 0.1 + 0.2 * X[..., 0].astype("f8") + 0.1 * X[..., 1] * X[..., 2]


def kind_of(name: str) -> str:
    return MODELS[name].kind


@pytest.fixture(scope="module", params=MODELS)
def fitted(request: pytest.FixtureRequest) -> Model:
    return small(request.param).fit(*table(kind_of(request.param)))


@pytest.fixture
def saved(fitted: Model, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    fitted.save(folder)
    return folder


def files_of(folder: Path) -> list[Path]:
    """Find the files of a saved model, also those in the folders of its members."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_the_table_names_its_members() -> None:
    assert all(MODELS[name].name == name for name in MODELS)
    with pytest.raises(UnknownName, match=r"model 'random_forst'.*Did you mean 'random_forest'"):
        model_class("random_forst")


# --- fit and predict ---


@pytest.mark.parametrize("name", MODELS)
def test_fulfils_the_protocol(name: str) -> None:
    model = small(name)
    assert isinstance(model, Model)
    assert model.kind in PLACES


def test_gives_one_double_per_place(fitted: Model) -> None:
    X, _ = table(fitted.kind, 37, seed=2)
    values = fitted.predict(X)
    assert values.shape == X.shape[:-1]
    assert values.dtype == np.float64
    assert fitted.predict(X[:0]).shape == (0, *X.shape[1:-1])
    if X.ndim > 2:
        assert fitted.predict(X[:, :0]).shape == (37, 0, *X.shape[2:-1])


def test_fit_returns_self_and_same_seed_gives_same_bits(fitted: Model) -> None:
    X, _ = table(fitted.kind, 50, seed=2)
    again, other = small(fitted.name), small(fitted.name, seed=7)
    assert again.fit(*table(fitted.kind)) is again
    other.fit(*table(fitted.kind))
    assert np.array_equal(fitted.predict(X), again.predict(X))
    assert not np.array_equal(fitted.predict(X), other.predict(X))


def test_learns_a_simple_function_better_than_its_mean(fitted: Model) -> None:
    X, y = table(fitted.kind, 300, seed=2)
    error = fitted.predict(X) - y
    assert np.sqrt(np.mean(error**2)) < 0.7 * y.std()


@pytest.mark.parametrize("name", MODELS)
def test_learns_several_outputs_together(name: str, tmp_path: Path) -> None:
    X, y = table(kind_of(name))
    both = np.stack([y, 1.0 - 3.0 * y], axis=-1)
    model = small(name).fit(X, both)
    values = model.predict(X)
    assert values.shape == both.shape
    spread = both.reshape(-1, 2).std(axis=0)
    assert (np.abs(values - both).reshape(-1, 2).mean(axis=0) < 0.7 * spread).all()
    model.save(tmp_path)
    assert np.array_equal(load_model(tmp_path).predict(X), values)


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4"])
def test_takes_numbers_of_any_precision_and_layout(fitted: Model, dtype: str) -> None:
    X, y = table(fitted.kind)
    expected = fitted.predict(X)
    converted = np.asfortranarray(X.astype(dtype))
    assert np.array_equal(fitted.predict(converted), expected)
    if dtype == ">f4":
        assert np.array_equal(small(fitted.name).fit(converted, y).predict(X), expected)


def test_leaves_its_input_alone(fitted: Model) -> None:
    X, _ = table(fitted.kind, 20)
    X.flags.writeable = False
    before = X.copy()
    fitted.predict(X)
    assert np.array_equal(X, before)


def test_a_sample_does_not_depend_on_the_others(fitted: Model) -> None:
    count = {"rows": 9000, "sequences": 300, "patches": 40}[fitted.kind]
    X, _ = table(fitted.kind, count, seed=3)
    whole = fitted.predict(X)
    assert np.array_equal(fitted.predict(X[::-1])[::-1], whole)
    some = slice(count - 20, count - 3)
    assert np.array_equal(fitted.predict(X[some]), whole[some])
    assert np.array_equal(np.concatenate([fitted.predict(X[:1]), fitted.predict(X[1:])]), whole)


def test_does_not_depend_on_workers(fitted: Model, saved: Path) -> None:
    if not hasattr(fitted, "workers"):
        pytest.skip("has no workers")
    X, _ = table(fitted.kind, 9000, seed=3)
    for workers in (1, 3):
        again: Any = load_model(saved)
        again.workers = workers
        assert np.array_equal(again.predict(X), fitted.predict(X))


@pytest.mark.parametrize("name", MODELS)
def test_weights_count(name: str) -> None:
    X, y = table(kind_of(name))
    wet = y > np.median(y)
    heavy = small(name).fit(X, y, weight=np.where(wet, 1.0, 1e-6))
    assert heavy.predict(X)[~wet].mean() > y[~wet].mean() + 0.01


@pytest.mark.parametrize("name", MODELS)
def test_takes_groups_of_its_places(name: str) -> None:
    X, y = table(kind_of(name))
    groups = np.arange(y.size).reshape(y.shape) * 6 // y.size
    values = small(name).fit(X, y, groups=groups).predict(X)
    assert np.isfinite(values).all()


# --- sequences and patches ---


def test_an_unknown_target_counts_in_no_loss(fitted: Model) -> None:
    if fitted.kind == "rows":
        pytest.skip("rows have no gaps")
    X, y = table(fitted.kind)
    holed = y.copy()
    holed.reshape(len(y), -1)[:, 1] = np.nan
    with_gap = small(fitted.name).fit(X, holed).predict(X)
    assert np.isfinite(with_gap).all()
    assert np.abs(with_gap - y).mean() < 0.7 * y.std()


def test_a_step_does_not_know_of_later_ones(fitted: Model) -> None:
    if fitted.kind != "sequences":
        pytest.skip("has no steps")
    X, _ = table("sequences", 30)
    other = X.copy()
    other[:, 8:] = 1.0 - other[:, 8:]
    before, after = fitted.predict(X), fitted.predict(other)
    assert np.array_equal(before[:, :8], after[:, :8])
    assert not np.array_equal(before[:, 8:], after[:, 8:])


def test_sequences_may_have_another_length_than_in_training(fitted: Model) -> None:
    if fitted.kind != "sequences":
        pytest.skip("has no steps")
    X, _ = table("sequences", 30)
    for steps in (1, 5, 12):
        assert np.array_equal(fitted.predict(X[:, :steps]), fitted.predict(X)[:, :steps])


def test_a_masked_cell_has_no_value_and_no_influence_by_what_it_hides(fitted: Model) -> None:
    if fitted.kind != "patches":
        pytest.skip("has no cells")
    X, y = table("patches")
    X[:, 2, 3] = np.nan
    values = fitted.predict(X)
    assert np.isnan(values[:, 2, 3]).all()
    assert np.isnan(values).sum() == len(X)
    y[:, 2, 3] = np.nan
    assert np.isnan(small(fitted.name).fit(X, y).predict(X)).sum() == len(X)
    X[:, 1, 1, 0] = np.nan
    with pytest.raises(ModelProblem, match=r"X, feature 0: found 24 values.*complete patches"):
        fitted.predict(X)


# --- what is refused ---


@pytest.mark.parametrize("name", MODELS)
def test_a_model_without_a_fit_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelProblem, match=r"found no fit. Call fit first"):
        small(name).predict(table(kind_of(name))[0])
    with pytest.raises(ModelProblem, match="found no fit"):
        small(name).save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_other_tables_are_refused(fitted: Model) -> None:
    X, _ = table(fitted.kind, 10)
    with pytest.raises(ModelProblem, match="X: found 3 features, expected 4, in the order"):
        fitted.predict(X[..., :3])
    with pytest.raises(
        ModelProblem, match=rf"X: found {X.ndim - 1} dimensions, expected \(sample, .*feature\)"
    ):
        fitted.predict(X[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite_are_refused_by_feature(fitted: Model, value: float) -> None:
    X, y = table(fitted.kind)
    X = X.astype("f8")
    X.reshape(-1, FEATURES)[4:6, 2] = value
    words = "X, feature 2: found 2 values that are not finite, expected complete .*. Mask"
    with pytest.raises(ModelProblem, match=words):
        fitted.predict(X)
    with pytest.raises(ModelProblem, match=words):
        small(fitted.name).fit(X, y)


@pytest.mark.parametrize("name", MODELS)
def test_a_target_that_does_not_suit_is_refused(name: str) -> None:
    X, y = table(kind_of(name))
    gap = y.copy()
    gap.ravel()[3] = np.nan if y.ndim == 1 else np.inf
    with pytest.raises(ModelProblem, match=r"y: found 1 (values that are not finite|infinite)"):
        small(name).fit(X, gap)
    with pytest.raises(ModelProblem, match=r"y: found shape \(\d+,.*\), expected .*as X"):
        small(name).fit(X, y[1:])
    with pytest.raises(ModelProblem, match="weight: found negative values"):
        small(name).fit(X, y, weight=-np.ones(y.shape))


@pytest.mark.parametrize("name", MODELS)
def test_too_few_samples_are_refused(name: str) -> None:
    X, y = table(kind_of(name), 3)
    if y.ndim > 1:
        y.reshape(3, -1)[:, 1:] = np.nan
    with pytest.raises(ModelProblem, match="training data: found 3 samples, expected"):
        small(name).fit(X, y)


@pytest.mark.parametrize("name", MODELS)
def test_a_number_that_makes_no_model_is_refused_by_name(name: str) -> None:
    X, y = table(kind_of(name))
    for key, one in inspect.signature(MODELS[name]).parameters.items():
        if type(one.default) in (int, float):
            words = f"^{key} of {name}: found -1(.0)?, expected "
            with pytest.raises(ModelProblem, match=words):
                new_model(name, **{"seed": 0, key: -1}).fit(X, y)


@pytest.mark.parametrize("name", MODELS)
def test_nothing_to_learn_from_is_refused(name: str) -> None:
    X, y = table(kind_of(name))
    with pytest.raises(ModelProblem, match="training data: found 0 samples, expected"):
        small(name).fit(X[:0], y[:0])
    with pytest.raises(ModelProblem, match="X: found no features, expected one or more"):
        small(name).fit(X[..., :0], y)


@pytest.mark.parametrize("name", MODELS)
def test_weights_of_none_but_unknown_targets_are_refused(name: str) -> None:
    if kind_of(name) == "rows":
        pytest.skip("rows have no gaps")
    X, y = table(kind_of(name))
    is_gap = np.zeros(y.shape, dtype=bool)
    is_gap.reshape(len(y), -1)[:, 0] = True
    with pytest.raises(ModelProblem, match="weight: found 0 wherever the target is known"):
        small(name).fit(X, np.where(is_gap, np.nan, y), weight=is_gap.astype(float))


# --- on disk ---


def test_comes_back_the_same_to_the_bit(fitted: Model, saved: Path) -> None:
    X, _ = table(fitted.kind, seed=5)
    for again in (load_model(saved), MODELS[fitted.name].load(saved)):
        assert type(again) is type(fitted)
        assert np.array_equal(again.predict(X), fitted.predict(X))


def test_comes_back_with_its_parameters(fitted: Model, saved: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    twin.mkdir()
    load_model(saved).save(twin)
    for path in files_of(saved):
        assert (twin / path.relative_to(saved)).read_bytes() == path.read_bytes()


def test_files_are_data_not_code(saved: Path) -> None:
    files = files_of(saved)
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
    for path in files_of(saved):
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
