"""The BPNN is that of Ma et al., takes either trainer, and refuses what makes no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vadose.errors import ModelProblem, UnknownName
from vadose.models import load_model, training
from vadose.models.bpnn import BPNN


def table(count: int = 400, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(seed).uniform(200.0, 300.0, (count, 3)).astype("f4")
    share = (X.astype("f8") - 200) / 100
    return X, 0.2 + 0.1 * np.sin(3 * share[:, 0]) * share[:, 1]


def test_has_the_weights_that_ma_counts() -> None:
    X = np.random.default_rng(0).random((20, 13))
    network = BPNN(epochs=0).fit(X, X[:, 0])
    assert sum(one.numel() for one in network.modules_[0].parameters()) == 2897
    assert "Tanh" in str(network.modules_[0])
    assert str(network.modules_[0]).count("Linear") == 5


def test_scales_features_to_the_range_of_tanh() -> None:
    X, y = table()
    network = BPNN(hidden="2", epochs=0, patience=0).fit(X, y)
    scaled = network._scaled(X)
    assert scaled.min(axis=0) == pytest.approx([-1, -1, -1])
    assert scaled.max(axis=0) == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(
    ("trainer", "settings"),
    [("levenberg_marquardt", {"epochs": 25}), ("adam", {"epochs": 60, "batch": 32, "rate": 0.02})],
)
def test_either_trainer_learns_a_smooth_function(trainer: str, settings: dict[str, Any]) -> None:
    network = BPNN(hidden="8-8", trainer=trainer, patience=0, **settings).fit(*table())
    X, y = table(seed=1)
    assert np.sqrt(np.mean((network.predict(X) - y) ** 2)) < 0.1 * y.std()
    assert len(network.histories_[0].training) == settings["epochs"]


def test_predictions_are_those_of_the_layers_written_out() -> None:
    X, y = table(50)
    network = BPNN(hidden="4-3", epochs=4, patience=0).fit(X, y)
    signal = 2 * (X - X.min(axis=0)) / (X.max(axis=0) - X.min(axis=0)) - 1
    weights = [one.detach().numpy().astype("f8") for one in network.modules_[0].parameters()]
    for matrix, offset in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        signal = np.tanh(signal @ matrix.T + offset)
    expected = (signal @ weights[-2].T + weights[-1])[:, 0] * y.std() + y.mean()
    assert np.allclose(network.predict(X), expected, atol=1e-6)


def test_members_are_told_of_and_differ() -> None:
    X, y = table(60)
    network = BPNN(hidden="3", epochs=2, members=2, patience=0)
    notes: list[tuple[int, int, str]] = []
    network.progress = lambda *note: notes.append(note)
    network.fit(X, y)
    assert [(done, total) for done, total, _ in notes] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert notes[2][2].startswith("member 2 of 2, loss ")
    assert network.histories_[0] != network.histories_[1]


def test_early_stop_holds_whole_blocks_back() -> None:
    X, y = table(100)
    network = BPNN(hidden="3", epochs=3).fit(X, y, groups=np.arange(100) // 20)
    assert len(network.histories_[0].validation) == 3
    assert BPNN(hidden="3", epochs=3, patience=0).fit(X, y).histories_[0].validation == []


def test_a_step_takes_all_rows_or_as_many_as_named() -> None:
    X, y = table(300)

    def losses(rows: int) -> list[float]:
        network = BPNN(hidden="3", epochs=3, patience=0, rows=rows).fit(X, y)
        return network.histories_[0].training

    assert losses(0) == losses(300) == losses(10_000)
    assert losses(40) == losses(40) != losses(0)


def test_goes_on_from_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    X, y = table(60)

    def network(steps: list[int]) -> BPNN:
        model = BPNN(hidden="4", epochs=4, patience=0)
        model.checkpoint = tmp_path
        model.progress = lambda done, total, note: steps.append(done)
        return model

    whole: list[int] = []
    first = network(whole).fit(X, y)
    again: list[int] = []
    second = network(again).fit(X, y)
    assert (whole, again) == ([1, 2, 3, 4], [])
    assert np.array_equal(first.predict(X), second.predict(X))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["member_0"]


@pytest.mark.parametrize("hidden", ["", "20,30", "20-", "20--30", "0-4", "-3", "4-x", "4.5"])
def test_layers_that_are_none_are_refused(hidden: str) -> None:
    with pytest.raises(ModelProblem, match=r"hidden: found '.*', expected units .* '20-30-30-33'"):
        BPNN(hidden=hidden).fit(*table(50))


def test_one_layer_may_be_a_number_as_yaml_reads_it(tmp_path: Path) -> None:
    network = BPNN(hidden=5, epochs=1).fit(*table(50))  # type: ignore[arg-type]
    network.save(tmp_path)
    X, _ = table(20, seed=1)
    assert np.array_equal(load_model(tmp_path).predict(X), network.predict(X))


def test_another_trainer_or_no_rows_are_refused() -> None:
    with pytest.raises(UnknownName, match=r"trainer 'levenberg'.*Did you mean 'levenberg_marq"):
        BPNN(trainer="levenberg").fit(*table(50))
    with pytest.raises(ModelProblem, match="rows of bpnn: found -1, expected 0 or more"):
        BPNN(rows=-1).fit(*table(50))
