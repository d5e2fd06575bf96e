"""What all networks do alike: scaling, blocks held back, members, and files that must suit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vadose.errors import MissingExtra, ModelProblem
from vadose.models import load_model, training
from vadose.models import network as network_module
from vadose.models.bpnn import BPNN
from vadose.models.dnn import DNN
from vadose.models.lstm import LSTM


def table(samples: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(seed).normal(280.0, [5.0, 0.1, 30.0], (samples, 3))
    return X, 0.2 + 0.01 * (X[:, 0] - 280.0)


def quick(**settings: Any) -> DNN:
    return DNN(**{"width": 8, "depth": 1, "epochs": 5, "patience": 0, "dropout": 0.0, **settings})


def test_the_size_and_unit_of_a_feature_play_no_part() -> None:
    X, y = table()
    plain = quick().fit(X, y).predict(X)
    scaled = quick().fit(X * 1000.0 - 5.0, y).predict(X * 1000.0 - 5.0)
    np.testing.assert_allclose(scaled, plain, atol=2e-3)


def test_scaling_is_learned_on_what_is_trained_on() -> None:
    X, y = table()
    groups = np.repeat(np.arange(10), 40)
    X[groups == 3] += 1000.0
    shifts = set()
    for seed in range(12):
        fitted = quick(patience=3, epochs=1, seed=seed).fit(X, y, groups=groups)
        shifts.add(bool(fitted.scaling_.shift[0] < 300.0))
        assert len(fitted.histories_[0].validation) == 1
    assert shifts == {True, False}, "block 3 was held back by some seeds and trained on by others"


def test_whole_groups_are_held_back() -> None:
    _, y = table()
    groups = np.arange(400) % 20
    held = quick(patience=3)._held_back(groups, y[:, None])
    assert {int(group) for group in groups[held]}.isdisjoint(set(groups[~held].tolist()))
    assert len(set(groups[held].tolist())) == 3
    assert not quick(patience=3)._held_back(np.zeros(400, dtype=int), y[:, None]).any()
    assert not quick(patience=0)._held_back(groups, y[:, None]).any()


def test_an_output_keeps_a_group_to_be_learned_from() -> None:
    groups = np.arange(400) % 4
    y = np.stack([np.ones(400), np.where(groups == 2, 1.0, np.nan)], axis=-1)
    held = [quick(patience=3, seed=seed)._held_back(groups, y) for seed in range(12)]
    assert {int(group) for one in held for group in groups[one]} == {0, 1, 3}
    assert not all(one.any() for one in held), "nothing is held back instead of the group 2"


def test_a_place_without_weight_teaches_nothing() -> None:
    X, y = table()
    weight = np.where(np.arange(len(y)) < 200, 1.0, 0.0)
    spoilt_X, spoilt = X.copy(), y.copy()
    spoilt_X[200:], spoilt[200:] = 1e6, -50.0
    groups = np.arange(len(y)) // 40
    one, other = (
        quick(patience=3, epochs=4).fit(*each, weight=weight, groups=groups)
        for each in ((X, y), (spoilt_X, spoilt))
    )
    assert np.array_equal(one.predict(X), other.predict(X))
    assert all(loss > 0 for loss in one.histories_[0].validation)


def test_features_beyond_all_sense_are_refused() -> None:
    network = quick().fit(*table())
    with pytest.raises(ModelProblem, match=r"X: found 2 places without a finite prediction.*units"):
        network.predict(np.where(np.arange(5)[:, None] < 2, 3e38, 0.5) * np.ones((5, 3)))


def test_what_may_be_computed_in_bfloat16_is_and_what_may_not_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, y = table()
    fits = {
        "dnn": lambda: quick(epochs=2).fit(X, y),
        "bpnn": lambda: BPNN(hidden="4", trainer="adam", epochs=2, patience=0).fit(X, y),
    }
    exact = {name: fit() for name, fit in fits.items()}
    expected = {name: network.predict(X) for name, network in exact.items()}
    monkeypatch.setattr(training, "MIXED_ON", ("cpu",))
    rough = exact["dnn"].predict(X)
    assert not np.array_equal(rough, expected["dnn"])
    np.testing.assert_allclose(rough, expected["dnn"], atol=0.02 * y.std())
    assert fits["dnn"]().histories_ != exact["dnn"].histories_
    assert np.array_equal(fits["bpnn"]().predict(X), expected["bpnn"])


def test_members_differ_and_are_averaged() -> None:
    X, y = table()
    both = quick(members=2).fit(X, y)
    first, second = both.modules_
    values = both.predict(X)
    both.members, both.modules_ = 1, [first]
    one = both.predict(X)
    both.modules_ = [second]
    other = both.predict(X)
    assert not np.array_equal(one, other)
    np.testing.assert_allclose(values, (one + other) / 2, rtol=1e-6)
    assert np.array_equal(one, quick().fit(X, y).predict(X))


def test_progress_counts_over_the_members() -> None:
    told: list[tuple[int, int, str]] = []
    network = quick(members=2, epochs=3)
    network.progress = lambda *step: told.append(step)
    network.fit(*table())
    assert [one[:2] for one in told] == [(done, 6) for done in range(1, 7)]
    assert told[-1][2].startswith("member 2 of 2, loss ")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    quick().fit(*table()).save(tmp_path)
    return tmp_path


def change(folder: Path, **keys: Any) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


@pytest.mark.parametrize("key", ["scaling", "target_scaling"])
def test_a_missing_scaling_is_refused(saved: Path, key: str) -> None:
    change(saved, **{key: None})
    with pytest.raises(ModelProblem, match=r"found no scaling, expected shift and width of .*Fit"):
        load_model(saved)


def test_weights_that_do_not_suit_the_description_are_refused(saved: Path) -> None:
    parameters = json.loads((saved / "model.json").read_text())["parameters"]
    for other in ({"width": 9}, {"members": 2}, {"depth": 2}):
        change(saved, parameters={**parameters, **other})
        with pytest.raises(ModelProblem, match=r"weights.safetensors: found no weights that suit"):
            load_model(saved)


def test_a_scaling_of_other_features_is_refused(saved: Path) -> None:
    change(saved, features=4)
    with pytest.raises(ModelProblem, match="a scaling that does not suit"):
        load_model(saved)


def test_a_gap_in_a_series_is_not_a_value() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((20, 15, 2))
    y = X[..., 0].copy()
    y[:, ::2] = np.nan
    network = LSTM(hidden=4, epochs=2, patience=0).fit(X, y)
    assert np.isfinite(network.predict(X)).all()
    other = np.where(np.isnan(y), np.nan, y)
    assert np.array_equal(
        LSTM(hidden=4, epochs=2, patience=0).fit(X, other).predict(X), network.predict(X)
    )


def test_without_torch_one_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"vadose\[torch\]"):
        quick().fit(*table())
    with pytest.raises(MissingExtra):
        network_module.need_torch()


@pytest.mark.parametrize("steps", [1, 7, 16, 365, 10_000])
def test_blocks_of_sequences_have_about_as_many_places_however_long_they_are(steps: int) -> None:
    size = LSTM()._at_once((5, steps, 3))
    assert size % network_module.FEWEST_SEQUENCES == 0
    assert size * steps <= network_module.PREDICTED_AT_ONCE or (
        size == network_module.FEWEST_SEQUENCES
    )


def test_a_large_map_has_all_cores_and_small_ones_have_one_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from vadose.models import cores
    from vadose.models.resnet import ResNet

    given: list[tuple[int, int]] = []

    def watched(task: Any, items: Any, *, workers: int, cores: int) -> Any:
        given.append((workers, cores))
        return map(task, items)

    X = np.random.default_rng(0).random((6, 8, 8, 2))
    network = ResNet(channels=4, blocks=1, epochs=1).fit(X, X[..., 0])
    network.workers = 4
    expected = network.predict(X)
    monkeypatch.setattr(cores, "side_by_side", watched)
    assert np.array_equal(network.predict(X), expected)
    assert np.array_equal(network.predict(X[:2]), expected[:2])
    monkeypatch.setattr(network_module, "PLACES_SIDE_BY_SIDE", 130)  # two of these maps
    assert np.array_equal(network.predict(X), expected)
    monkeypatch.setattr(network_module, "PLACES_SIDE_BY_SIDE", 1)
    assert np.array_equal(network.predict(X), expected)
    assert given == [(4, 1), (2, 1), (2, 2), (1, 4)]
