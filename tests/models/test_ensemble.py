"""Weights are the best there are, learned on places not learned from, and a stopped fit goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from vadose.errors import ModelProblem, UnknownName
from vadose.models import DNN, LSTM, MODELS, Boosting, Ensemble, RandomForest, load_model
from vadose.models.base import Kind
from vadose.models.crossvalidation import best_weights, out_of_fold
from vadose.models.ensemble import EachStep

QUICK_LSTM = {"hidden": 8, "epochs": 6, "batch": 8, "rate": 0.01, "patience": 0}


def sequences(samples: int = 40, steps: int = 10) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    X = rng.random((samples, steps, 3)).astype("f4")
    y = 0.1 + 0.3 * X[..., 0] + 0.1 * np.roll(X[..., 1], 1, axis=1)
    return X, y.astype("f8") + 0.02 * rng.normal(size=y.shape)


def trees() -> list[Any]:
    return [RandomForest(trees=8), Boosting(trees=15, leaf=20)]


# --- weights ---


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.sampled_from([1e-6, 1.0, 1e4]))
def test_weights_are_the_best_of_all_that_add_up_to_one(
    seed: int, members: int, unit: float
) -> None:
    """At the least error no shift of weight from one member to another helps: the conditions of optimality."""
    rng = np.random.default_rng(seed)
    truth = unit * rng.normal(size=50)
    predicted = truth[:, None] + unit * (
        rng.normal(size=(50, members)) @ rng.normal(size=(members, members))
    )
    share = rng.random(50)
    weights = best_weights(predicted, truth, share)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    error = predicted - truth[:, None]
    slope = error.T @ (share * (error @ weights))
    scale = float((share[:, None] * error**2).sum(axis=0).max())
    assert (slope - slope @ weights >= -1e-9 * scale).all()


def test_weights_are_those_of_a_general_solver() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=80)
    predicted = truth[:, None] + rng.normal(size=(80, 4)) * [0.5, 0.6, 1.0, 3.0] + [0.2, -0.2, 0, 0]

    def loss(weights: np.ndarray) -> float:
        return float(np.mean((predicted @ weights - truth) ** 2))

    general = minimize(
        loss,
        np.full(4, 0.25),
        method="SLSQP",
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        options={"ftol": 1e-15},
    )
    assert np.allclose(best_weights(predicted, truth, np.ones(80)), general.x, atol=1e-5)


def test_a_member_without_error_gets_everything() -> None:
    truth = np.arange(5.0)
    predicted = np.stack([truth + 1.0, truth], axis=-1)
    assert best_weights(predicted, truth, np.ones(5)).tolist() == [0.0, 1.0]
    for same in (np.stack([truth, truth], axis=-1), np.stack([truth, truth], axis=-1) + 1.0):
        assert best_weights(same, truth, np.ones(5)).sum() == pytest.approx(1.0)


# --- the fit ---


def test_out_of_fold_the_ensemble_is_never_worse_than_its_best_member_or_equal_weights() -> None:
    X, y = sequences()
    both = np.stack([y, np.cumsum(y, axis=1)], axis=-1)
    both[::3, 2:5, 1] = np.nan
    weight = 0.5 + np.random.default_rng(0).random(y.shape)
    members = [*trees(), RandomForest(trees=8, seed=9), LSTM(**QUICK_LSTM)]
    ensemble = Ensemble(members=members, folds=3).fit(X, both, weight=weight)
    assert ensemble.weights_.shape == (2, 4)
    assert list(ensemble.members_) == ["random_forest", "boosting", "random_forest 2", "lstm"]
    scores = {name: one["rmse"] for name, one in ensemble.comparison_.items()}
    assert scores.keys() == {*ensemble.members_, "best member", "equal weights", "ensemble"}
    for output in range(2):
        best = min(scores[name][output] for name in ensemble.members_)
        assert scores["best member"][output] == best
        assert scores["ensemble"][output] <= best * (1 + 1e-12)
        assert scores["ensemble"][output] <= scores["equal weights"][output] * (1 + 1e-12)
    assert scores["ensemble"][0] < 0.999 * scores["best member"][0]


def test_the_comparison_is_made_of_what_members_say_out_of_fold() -> None:
    X, y = sequences()
    groups = np.broadcast_to(np.arange(40)[:, None] // 5, y.shape)
    ensemble = Ensemble(members=trees(), folds=4, seed=2).fit(X, y, groups=groups)
    said = [
        out_of_fold(lambda fold, one=one: EachStep(model=one), X, y, groups=groups, folds=4, seed=2)
        for one in trees()
    ]
    for name, values in zip(ensemble.members_, said, strict=True):
        scores = ensemble.comparison_[name]
        assert scores["rmse"] == [pytest.approx(np.sqrt(np.mean((values - y) ** 2)))]
        assert scores["r"] == [pytest.approx(np.corrcoef(values.ravel(), y.ravel())[0, 1])]
    weights = ensemble.weights_[0]
    mixed = weights[0] * said[0] + weights[1] * said[1]
    rmse = ensemble.comparison_["ensemble"]["rmse"][0]
    assert rmse == pytest.approx(np.sqrt(np.mean((mixed - y) ** 2)))


def test_members_are_fitted_on_everything_and_averaged() -> None:
    X, y = sequences()
    ensemble = Ensemble(members=trees(), folds=2).fit(X, y)
    flat = X.reshape(-1, 3)
    alone = [one.fit(flat, y.ravel()).predict(flat).reshape(y.shape) for one in trees()]
    weights = ensemble.weights_[0]
    assert np.allclose(ensemble.predict(X), weights[0] * alone[0] + weights[1] * alone[1])


def test_each_output_has_weights_of_its_own() -> None:
    """The forest is given what rows tell; the network alone knows of earlier steps."""
    X, _ = sequences(60)
    both = np.stack([np.round(X[..., 0]), np.cumsum(X[..., 1] - 0.5, axis=1)], axis=-1)
    members = [RandomForest(trees=15), LSTM(**{**QUICK_LSTM, "epochs": 25})]
    weights = Ensemble(members=members, folds=2).fit(X, both).weights_
    assert weights[0, 0] > 0.9
    assert weights[1, 1] > 0.8


def test_sequences_of_one_step_are_learned() -> None:
    X, y = sequences(80, 1)
    members = {"random_forest": {"trees": 5}, "lstm": {**QUICK_LSTM, "epochs": 2}}
    ensemble = Ensemble(members=members, folds=2).fit(X, y)
    assert ensemble.predict(X).shape == (80, 1)


def test_outputs_known_at_different_steps_need_some_in_common_for_rows() -> None:
    X, y = sequences()
    both = np.stack([y, y], axis=-1)
    both[:, ::2, 0] = np.nan
    both[:, 1::2, 1] = np.nan
    with pytest.raises(
        ModelProblem,
        match="random_forest, one step at a time: found no step at which all outputs are known",
    ):
        Ensemble(members=trees(), folds=2).fit(X, both)
    values = Ensemble(members=[LSTM(**QUICK_LSTM)], folds=2).fit(X, both).predict(X)
    assert np.isfinite(values).all()


def test_a_target_that_does_not_vary_has_no_correlation(tmp_path: Path) -> None:
    X, y = sequences()
    ensemble = Ensemble(members=trees(), folds=2).fit(X, np.full(y.shape, 0.25))
    assert ensemble.comparison_["ensemble"] == {"rmse": [0.0], "r": [None]}
    ensemble.save(tmp_path)
    assert "NaN" not in (tmp_path / "model.json").read_text()


# --- members ---


def test_members_may_be_named_in_text_in_a_table_or_given() -> None:
    default = Ensemble()
    assert default.members == "dnn, cnn, lstm"
    named = Ensemble(members="dnn,lstm , lstm", seed=5)._fresh()
    assert list(named) == ["dnn", "lstm", "lstm 2"]
    assert [getattr(one, "model", one).seed for one in named.values()] == [5, 6, 7]  # type: ignore[attr-defined]
    table = Ensemble(members={"dnn": {"width": 9}})._fresh()["dnn"]
    assert isinstance(table, EachStep)
    assert isinstance(table.model, DNN)
    assert table.model.width == 9
    own = DNN(width=7, seed=3)
    again = Ensemble(members=[own])._fresh()["dnn"].model  # type: ignore[attr-defined]
    assert again is not own
    assert vars(again) == vars(own)


def test_members_that_cannot_be_are_refused() -> None:
    X, y = sequences()
    with pytest.raises(UnknownName, match=r"model 'lstn'.*Did you mean 'lstm'"):
        Ensemble(members="dnn, lstn").fit(X, y)
    with pytest.raises(UnknownName, match="parameter of lstm 'widht'"):
        Ensemble(members={"lstm": {"widht": 3}}).fit(X, y)
    for nothing in ("", " , ", {}, []):
        with pytest.raises(ModelProblem, match="members of the ensemble: found none, expected one"):
            Ensemble(members=nothing).fit(X, y)

    class Patchwork(RandomForest):
        name: ClassVar[str] = "patchwork"
        kind: ClassVar[Kind] = "patches"

    with pytest.raises(
        ModelProblem,
        match="member 'patchwork' of the ensemble: found kind 'patches', expected a single model of",
    ):
        Ensemble(members=[Patchwork()]).fit(X, y)
    with pytest.raises(ModelProblem, match="member 'ensemble' of the ensemble: found an ensemble"):
        Ensemble(members="dnn, ensemble").fit(X, y)


def test_too_few_groups_for_the_folds_are_refused() -> None:
    X, y = sequences()
    with pytest.raises(ModelProblem, match=r"groups: found 1 .*expected 5 or more, one for each"):
        Ensemble(members=trees()).fit(X, y, groups=np.zeros(y.shape, dtype=int))


# --- progress and stopping ---


class Stop(Exception):
    pass


def test_progress_passes_through_with_a_note() -> None:
    X, y = sequences()
    told: list[tuple[int, int, str]] = []
    ensemble = Ensemble(members=[RandomForest(trees=5), LSTM(**QUICK_LSTM)], folds=2)
    ensemble.progress = lambda *what: told.append(what)  # type: ignore[assignment]
    ensemble.fit(X, y)
    done = [one for one, _, _ in told]
    assert done == sorted(done)
    assert {total for _, total, _ in told} == {done[-1]}
    notes = [note for _, _, note in told]
    assert notes[0] == "random_forest, fold 1 of 2"
    assert notes[2] == "random_forest, on everything"
    assert notes[4].startswith("lstm, fold 1 of 2, loss ")
    assert notes[-2].startswith("lstm, on everything, loss ")
    assert notes[-1] == "weights learned"


def test_a_stopped_fit_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vadose.models.training.CHECKPOINT_SECONDS", 0.0)
    X, y = sequences()

    def new() -> Ensemble:
        return Ensemble(members=[RandomForest(trees=5), LSTM(**QUICK_LSTM)], folds=2)

    whole = new().fit(X, y)
    stopped = new()
    stopped.checkpoint = tmp_path
    place = "lstm, fold 2 of 2"

    def stop(done: int, total: int, note: str = "") -> None:
        if note.startswith(f"{place}, loss") and done >= 400 + 50:
            raise Stop

    stopped.progress = stop  # type: ignore[method-assign]
    with pytest.raises(Stop):
        stopped.fit(X, y)
    kept = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.safetensors")}
    assert {
        "member_0/fold_0.safetensors",
        "member_0/fold_1.safetensors",
        "member_1/fold_0.safetensors",
        "member_1/fold_1/member_0/state.safetensors",
    } <= kept
    notes: list[str] = []
    resumed = new()
    resumed.checkpoint = tmp_path
    resumed.progress = lambda done, total, note="": notes.append(note)  # type: ignore[method-assign]
    resumed.fit(X, y)
    assert np.array_equal(resumed.predict(X), whole.predict(X))
    assert np.array_equal(resumed.weights_, whole.weights_)
    assert not [note for note in notes if note.startswith("lstm, fold 1 of 2, loss")]
    assert 0 < len([note for note in notes if note.startswith(f"{place}, loss")]) < 6


# --- files ---


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    Ensemble(members=trees(), folds=2).fit(*sequences()).save(folder)
    return folder


def test_every_member_is_a_saved_model_of_its_own(saved: Path) -> None:
    assert load_model(saved / "member_0").name == "random_forest"
    assert load_model(saved / "member_1").name == "boosting"
    description = json.loads((saved / "model.json").read_text())
    assert description["comparison"]["equal weights"].keys() == {"rmse", "r"}
    assert "members" in description


def test_what_was_loaded_can_be_fitted_again(saved: Path) -> None:
    X, y = sequences()
    again = Ensemble.load(saved)
    before = again.predict(X)
    assert np.array_equal(again.fit(X, y).predict(X), before)


@pytest.mark.parametrize(
    "weights",
    [[[0.5, 0.6]], [[1.5, -0.5]], [[float("nan"), 1.0]], [[1.0]], [0.5, 0.5], [[0.5, 0.5]] * 2, []],
)
def test_weights_that_are_none_are_refused(saved: Path, weights: Any) -> None:
    path = saved / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"weights": weights}))
    with pytest.raises(
        ModelProblem, match=r"found weights .*, expected 2 for each output, 0 or more, adding up"
    ):
        load_model(saved)


def test_members_that_were_exchanged_are_refused(saved: Path) -> None:
    (saved / "member_0").rename(saved / "other")
    (saved / "member_1").rename(saved / "member_0")
    (saved / "other").rename(saved / "member_1")
    with pytest.raises(
        ModelProblem,
        match="found the members boosting, random_forest, expected random_forest, boosting",
    ):
        load_model(saved)


def test_a_member_without_a_folder_is_refused(saved: Path) -> None:
    for path in (saved / "member_1").iterdir():
        path.unlink()
    with pytest.raises(ModelProblem, match=r"member_1.model.json: found no readable description"):
        load_model(saved)


def test_the_default_members_exist() -> None:
    names = [name.strip() for name in str(Ensemble().members).split(",")]
    assert {MODELS[name].kind for name in names} == {"rows", "sequences"}
