"""The training loop: what it minimises, when it stops, and that a stop changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vadose.errors import ModelProblem
from vadose.models import levenberg, training
from vadose.models.layers import perceptron
from vadose.models.training import Data, Plan, evaluate, seeded, squared_errors, train

PLAN = Plan(epochs=8, batch=16, rate=0.01)


def data(samples: int = 64, *, seed: int = 0) -> Data:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(samples, 5, 3)).astype("f4")
    y = (X[..., :1] - X[..., 1:2] ** 2).astype("f4")
    return Data(torch.from_numpy(X), torch.from_numpy(y), torch.ones(samples, 5, 1))


def module(*, dropout: float = 0.3) -> torch.nn.Module:
    with seeded(1):
        return perceptron(3, 1, hidden=[16], dropout=dropout)


def weights(one: torch.nn.Module) -> torch.Tensor:
    return torch.cat([value.ravel() for value in one.state_dict().values()])


def test_the_loss_is_the_weighted_mean_square_of_what_is_known() -> None:
    y = torch.tensor([[[1.0], [torch.nan]], [[3.0], [5.0]]])
    batch = Data(torch.zeros(2, 2, 1), y, torch.tensor([[[1.0], [9.0]], [[2.0], [1.0]]]))
    errors, known = squared_errors(torch.zeros(2, 2, 1), batch)
    assert errors.sum() / known.sum() == pytest.approx((1 + 2 * 9 + 25) / 4)
    spoilt = torch.tensor([[[0.0], [torch.nan]], [[torch.nan], [0.0]]])
    errors, _ = squared_errors(spoilt, batch)
    assert torch.isnan(errors).squeeze(-1).tolist() == [[False, False], [True, False]]


def test_outputs_that_are_unknown_in_part_count_by_what_is_known() -> None:
    y = torch.tensor([[[2.0, torch.nan]], [[0.0, 4.0]]])
    batch = Data(torch.zeros(2, 1, 1), y, torch.ones(2, 1, 1))
    errors, known = squared_errors(torch.zeros(2, 1, 2), batch)
    assert float(errors.sum() / known.sum()) == pytest.approx((4 + 0 + 16) / 3)


def test_the_loss_falls() -> None:
    history = train(module(dropout=0.0), data(), None, replace(PLAN, epochs=40))
    assert history.training[-1] < 0.3 * history.training[0]
    assert history.best == 39


def test_the_rate_rises_and_falls() -> None:
    plan = Plan(epochs=100, batch=1, rate=1.0)
    rates = [plan.rate_at(epoch) for epoch in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[4] == 1.0
    assert all(np.diff(rates[5:]) < 0)
    assert rates[-1] < 0.02


def test_keeps_the_best_weights_and_stops() -> None:
    other = data(seed=5)
    noise = torch.from_numpy(np.random.default_rng(3).normal(size=other.y.shape).astype("f4"))
    plan = replace(PLAN, epochs=200, patience=5, rate=0.05)
    fitted = module(dropout=0.0)
    history = train(fitted, replace(data(16), y=noise[:16]), replace(other, y=noise), plan)
    assert len(history.validation) == history.best + 1 + 5 < 200
    assert history.validation[history.best] == min(history.validation)
    kept = evaluate(fitted, replace(other, y=noise), 16)
    assert kept == pytest.approx(min(history.validation), rel=1e-6)


def test_the_same_seed_gives_the_same_weights_and_leaves_other_draws_alone() -> None:
    torch.manual_seed(99)
    expected = torch.rand(1)
    fitted = []
    for _ in range(2):
        fitted.append(module())
        torch.manual_seed(99)
        train(fitted[-1], data(), None, PLAN)
        assert torch.rand(1) == expected
    assert torch.equal(weights(fitted[0]), weights(fitted[1]))
    other = module()
    train(other, data(), None, replace(PLAN, seed=1))
    assert not torch.equal(weights(fitted[0]), weights(other))


class Stop(Exception):
    pass


@pytest.mark.parametrize("patience", [0, 3])
def test_a_stopped_training_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: int
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    plan = replace(PLAN, patience=patience)
    whole = module()
    expected = train(whole, data(), data(seed=1), plan)

    def stop(done: int, total: int, note: str = "") -> None:
        if done == 4:
            raise Stop

    folder = tmp_path / "checkpoint"
    with pytest.raises(Stop):
        train(module(), data(), data(seed=1), plan, checkpoint=folder, progress=stop)
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors"}
    assert load_file(folder / "state.safetensors")
    told: list[int] = []
    resumed = module()
    history = train(
        resumed,
        data(),
        data(seed=1),
        plan,
        checkpoint=folder,
        progress=lambda done, total, note="": told.append(done),
    )
    assert told == list(range(5, len(expected.training) + 1))
    assert history == expected
    assert torch.equal(weights(resumed), weights(whole))


def test_a_checkpoint_of_another_training_is_not_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    train(module(), data(), None, PLAN, checkpoint=tmp_path / "c")
    for other, plan in ((data(seed=2), PLAN), (data(), replace(PLAN, rate=0.02))):
        told: list[int] = []
        train(
            module(),
            other,
            None,
            plan,
            checkpoint=tmp_path / "c",
            progress=lambda done, total, note="", told=told: told.append(done),
        )
        assert told == list(range(1, 9))
    for content in ("{", "[]", "{}"):
        (tmp_path / "c/state.json").write_text(content)
        assert len(train(module(), data(), None, PLAN, checkpoint=tmp_path / "c").training) == 8


def test_a_checkpoint_of_another_layout_or_trainer_is_not_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    rows = Data(torch.rand(30, 3), torch.rand(30, 1), torch.ones(30, 1))

    def epochs(trainer: Any) -> list[int]:
        told: list[int] = []
        trainer(
            module(dropout=0.0),
            rows,
            None,
            replace(PLAN, batch=30),
            checkpoint=tmp_path / "c",
            progress=lambda done, total, note="": told.append(done),
        )
        return told

    assert epochs(train) == list(range(1, 9))
    assert epochs(train) == []
    assert epochs(levenberg.train)[0] == 1
    assert epochs(train) == list(range(1, 9))
    monkeypatch.setattr(training, "LAYOUT", training.LAYOUT + 1)
    assert epochs(train) == list(range(1, 9))


def test_a_loss_that_is_not_finite_names_epoch_batch_and_sample() -> None:
    spoilt = data()
    spoilt.X[37, 2] = torch.inf
    words = (
        r"training, epoch 1, batch \d: found a loss that is not finite, from 1 of 16 samples \(37\)"
    )
    with pytest.raises(ModelProblem, match=words):
        train(module(), spoilt, None, PLAN)


def test_tells_the_losses() -> None:
    told: list[tuple[int, int, str]] = []
    train(module(), data(), data(seed=1), PLAN, progress=lambda *step: told.append(step))
    assert [one[:2] for one in told] == [(epoch, 8) for epoch in range(1, 9)]
    assert told[0][2].startswith("loss ")
    assert "validation " in told[0][2]
