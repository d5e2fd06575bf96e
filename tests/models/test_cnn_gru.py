"""CNN-GRU: a value depends on its window and on nothing else, and the window is chosen where it matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vadose.errors import ModelProblem
from vadose.models import cnn_gru as cnn_gru_module
from vadose.models import load_model
from vadose.models.cnn_gru import CNNGRU
from vadose.models.layers import DayEncoder, WindowedGRU


def series(samples: int = 24, steps: int = 30, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(samples, steps, 3)).astype(np.float32)


def mean_of_last(X: np.ndarray, days: int) -> np.ndarray:
    """Mean of feature 0 over the last days; the first day stands for what is before the record."""
    first = np.repeat(X[:, :1, 0], days - 1, axis=1)
    padded = np.concatenate([first, X[..., 0]], axis=1)
    return np.lib.stride_tricks.sliding_window_view(padded, days, axis=1).mean(axis=-1)


def quick(**settings: Any) -> CNNGRU:
    sizes = {"length": 4, "hidden": 8, "channels": 8, "layers": 2, "dropout": 0.0}
    plan = {"epochs": 2, "batch": 8, "rate": 0.01, "patience": 0}
    return CNNGRU(**{**sizes, **plan, **settings})


@pytest.fixture(scope="module")
def fitted() -> CNNGRU:
    X = series()
    return quick().fit(X, mean_of_last(X, 4))


# --- the window ---


def test_a_value_depends_on_its_window_only(fitted: CNNGRU) -> None:
    X = series(5, 40, seed=1)
    before = fitted.predict(X)
    other = X.copy()
    other[:, 20] += 3.0
    changed = fitted.predict(other) != before
    assert changed[:, 20:24].all()
    assert not changed[:, :20].any()
    assert not changed[:, 24:].any()


def test_the_first_step_stands_for_what_is_before_the_record(fitted: CNNGRU) -> None:
    X = series(5, 10, seed=1)
    longer = np.concatenate([np.repeat(X[:, :1], 3, axis=1), X], axis=1)
    np.testing.assert_allclose(fitted.predict(longer)[:, 3:], fitted.predict(X), atol=1e-6)
    assert np.ptp(fitted.predict(longer)[:, :4], axis=1).max() < 1e-6


def test_the_bits_of_a_step_do_not_depend_on_how_many_follow(fitted: CNNGRU) -> None:
    X = series(5, 40, seed=1)  # steps go through in blocks of 16
    whole = fitted.predict(X)
    for steps in (1, 15, 16, 17, 33):
        assert np.array_equal(fitted.predict(X[:, :steps]), whole[:, :steps])


def test_windows_that_share_their_days_are_those_of_torch() -> None:
    torch.manual_seed(0)
    module = WindowedGRU(
        3, 2, channels=6, layers=2, kernel=3, length=5, hidden=7, dropout=0.2
    ).eval()
    reference = torch.nn.GRU(6, 7, batch_first=True)
    with torch.no_grad():
        reference.weight_ih_l0.copy_(module.entry.weight)
        reference.bias_ih_l0.copy_(module.entry.bias)
        reference.weight_hh_l0.copy_(module.memory.weight)
        reference.bias_hh_l0.copy_(module.memory.bias)
        X = torch.randn(4, 21, 3)
        days = module.encoder(X)
        padded = torch.cat([days[:, :1].expand(-1, 4, -1), days], dim=1)
        for step in range(21):
            states, _ = reference(padded[:, step : step + 5])
            expected = module.exit(states[:, -1])
            torch.testing.assert_close(module(X)[:, step], expected, atol=1e-5, rtol=1e-5)


def test_batch_norm_does_not_mix_days_at_prediction() -> None:
    torch.manual_seed(0)
    encoder = DayEncoder(4, channels=8, layers=2, kernel=3)
    encoder(5.0 + torch.randn(64, 4))  # training: statistics are learned
    encoder.eval()
    days = torch.randn(10, 4)
    torch.testing.assert_close(encoder(days)[3:4], encoder(days[3:4]))
    encoder.train()
    assert not torch.allclose(encoder(days)[3:4], encoder(days[3:5])[:1])


def test_every_feature_can_be_told_from_the_others() -> None:
    X = series(40, 20)
    y = X[..., 0] - X[..., 2]  # a maximum over features that are alike could not know the sign
    network = quick(length=1, hidden=16, channels=16, epochs=20).fit(X, y)
    fresh = series(20, 20, seed=5)
    error = network.predict(fresh) - (fresh[..., 0] - fresh[..., 2])
    assert error.std() < 0.35 * y.std()


# --- long series ---


def test_long_series_are_cut_into_pieces_that_look_back() -> None:
    X = series(2, 150)
    y = mean_of_last(X, 4)
    network = quick(epochs=1).fit(X, y)
    data = network._data(X, y[..., None], np.ones(y.shape))
    assert data.X.shape == (2 * 3, 64 + 3, 3)
    scaled = torch.from_numpy(network._scaled(X))
    torch.testing.assert_close(data.X[1], scaled[0, 61:128])
    torch.testing.assert_close(data.X[3, :4], scaled[1, :1].expand(4, -1))
    assert not torch.isfinite(data.y[:, :3]).any(), "what a piece looks back on is no target of it"
    own = data.y[:3, 3:].reshape(-1)
    expected = torch.from_numpy(network.target_scaling_.apply(y[0, :, None])[:, 0])
    torch.testing.assert_close(own[:150], expected.float())
    assert not torch.isfinite(own[150:]).any()


def test_pieces_give_the_loss_of_the_whole_series(monkeypatch: pytest.MonkeyPatch) -> None:
    from vadose.models.training import evaluate

    X = series(3, 150)
    y = mean_of_last(X, 4)
    network = quick(epochs=1).fit(X, y)
    target, share = y[..., None], np.ones(y.shape)
    in_pieces = evaluate(network.modules_[0], network._data(X, target, share), batch=4)
    monkeypatch.setattr(cnn_gru_module, "PIECE", 1000)
    whole = evaluate(network.modules_[0], network._data(X, target, share), batch=4)
    assert in_pieces == pytest.approx(whole, rel=1e-5)


# --- what is chosen ---


def test_the_length_that_the_target_needs_is_chosen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cnn_gru_module, "LENGTHS", (2, 12))
    X = series(60, 30)
    y = mean_of_last(X, 12)
    settings: dict[str, Any] = {"length": 0, "epochs": 40, "rate": 0.02, "patience": 1}
    network = quick(**settings).fit(X, y)
    assert set(network.trials_) == {(2, 8), (12, 8)}
    losses = {length: loss for (length, _), loss in network.trials_.items()}
    assert losses[12] < 0.7 * losses[2]
    assert (network.chosen_length_, network.chosen_hidden_) == (12, 8)
    assert (network.length, network.hidden) == (0, 8), "parameters stay as given"
    network.save(tmp_path)
    again = load_model(tmp_path)
    assert isinstance(again, CNNGRU)
    assert (again.length, again.chosen_length_) == (0, 12)
    assert np.array_equal(again.predict(X), network.predict(X))


def test_the_hidden_size_is_chosen_after_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cnn_gru_module, "LENGTHS", (1, 2))
    monkeypatch.setattr(cnn_gru_module, "HIDDEN", (1, 64))
    X = series(30, 12)
    told: list[str] = []
    network = quick(length=0, hidden=0, epochs=10, patience=3)
    network.progress = lambda done, total, note="": told.append(note)
    network.fit(X, mean_of_last(X, 2))
    length = network.chosen_length_
    assert set(network.trials_) == {(1, 64), (2, 64), (length, 1)}, "64 is not tried twice"
    assert network.chosen_hidden_ == min((1, 64), key=lambda one: network.trials_[length, one])
    assert told[0].startswith("trial of length 1, hidden 64: loss ")
    assert told[-1].startswith("loss ")


def test_what_is_given_is_not_tried(fitted: CNNGRU) -> None:
    assert fitted.trials_ == {}
    assert (fitted.chosen_length_, fitted.chosen_hidden_) == (4, 8)


def test_a_choice_needs_groups_to_be_judged_on() -> None:
    X = series(4, 6)
    one_group = np.zeros(X.shape[:2], dtype=int)
    with pytest.raises(ModelProblem, match=r"length and hidden size: found no second group.*both"):
        quick(length=0).fit(X, mean_of_last(X, 2), groups=one_group)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kernel": 4}, "kernel of cnn_gru: found 4, expected an odd number"),
        ({"length": -1}, "length of cnn_gru: found -1, expected 0 or more"),
        ({"layers": 0}, "layers of cnn_gru: found 0, expected 1 or more"),
    ],
)
def test_sizes_that_make_no_network_are_refused(settings: dict[str, int], words: str) -> None:
    X = series(4, 6)
    with pytest.raises(ModelProblem, match=words):
        quick(**settings).fit(X, X[..., 0])
