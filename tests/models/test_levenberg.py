"""Levenberg-Marquardt against autograd, the whole Jacobian, least squares and its own past."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vadose.errors import ModelProblem
from vadose.models import levenberg, training
from vadose.models.levenberg import Memory, improve, mean_loss, normal_equations, train
from vadose.models.training import Data, History, Plan, seeded

STEPS = Plan(epochs=12, batch=1000, rate=0.0)
Notes = list[tuple[int, int, str]]


def network(*widths: int, seed: int = 0) -> nn.Sequential:
    with seeded(seed):
        layers: list[nn.Module] = []
        for entering, leaving in pairwise(widths):
            layers += [nn.Linear(entering, leaving), nn.Tanh()]
        return nn.Sequential(*layers[:-1]).double()


def samples(
    count: int = 60, outputs: int = 2, *, seed: int = 0, function: Callable[..., Any] = np.sin
) -> Data:
    """A target that depends smoothly on three features, and weights that differ."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (count, 3)).astype("f4")
    y = np.stack([function(3 * X[:, 0] + k) * X[:, 1] for k in range(outputs)], axis=-1)
    weight = rng.uniform(0.2, 2.0, (count, 1))
    return Data(*(torch.from_numpy(part.astype("f4")) for part in (X, y, weight)))


def everything(data: Data) -> Tensor:
    return torch.arange(len(data.X))


def residuals(module: nn.Module, data: Data) -> Tensor:
    """Weighted residuals, one after the other, by plain broadcasting."""
    difference = module(data.X.double()) - data.y.double()
    return (difference * data.weight.double().sqrt()).flatten()


# --- normal equations ---


def test_gradient_is_half_that_of_autograd() -> None:
    module, data = network(3, 5, 4, 2), samples()
    normal = normal_equations(module, data, everything(data))
    loss = residuals(module, data).square().sum() / (2 * data.weight.double().sum())
    loss.backward()
    expected = torch.cat([one.grad.flatten() for one in module.parameters()])
    assert torch.allclose(2 * normal.gradient, expected, rtol=1e-9, atol=1e-15)
    assert normal.loss == pytest.approx(float(loss.detach()), rel=1e-9)


def test_curvature_is_the_product_of_the_whole_jacobian(monkeypatch: pytest.MonkeyPatch) -> None:
    module, data = network(3, 5, 4, 2), samples()
    rows = []
    for one in residuals(module, data):
        slopes = torch.autograd.grad(one, list(module.parameters()), retain_graph=True)
        rows.append(torch.cat([slope.flatten() for slope in slopes]))
    jacobian = torch.stack(rows)
    expected = jacobian.T @ jacobian / (2 * data.weight.double().sum())
    for at_once, columns in ((2048, 384), (14, 7)):
        monkeypatch.setattr(levenberg, "AT_ONCE", at_once)
        monkeypatch.setattr(levenberg, "COLUMNS", columns)
        normal = normal_equations(module, data, everything(data))
        assert torch.allclose(normal.curvature, expected, rtol=1e-9, atol=1e-15)
        assert torch.equal(normal.curvature, normal.curvature.T)


def test_an_unknown_output_counts_in_nothing() -> None:
    module, data = network(3, 4, 2), samples()
    gap = data.y.clone()
    gap[::2, 1] = torch.nan
    holed = normal_equations(module, replace(data, y=gap), everything(data))
    weight = data.weight.double().repeat(1, 2)
    weight[::2, 1] = 0
    errors = weight * (module(data.X.double()) - data.y.double()).square()
    loss = errors.sum() / weight.sum()
    loss.backward()
    expected = torch.cat([one.grad.flatten() for one in module.parameters()])
    assert torch.allclose(2 * holed.gradient, expected, rtol=1e-9, atol=1e-15)
    assert mean_loss(module, dict(module.named_parameters()), replace(data, y=gap)) == holed.loss


def test_an_undamped_step_solves_a_linear_problem() -> None:
    module, data = network(3, 2), samples()
    step = normal_equations(module, data, everything(data)).step(0.0)
    assert step is not None
    design = np.column_stack([data.X.double(), np.ones(len(data.X))])
    root = np.sqrt(data.weight.double().numpy())
    solution = np.linalg.lstsq(design * root, data.y.double().numpy() * root, rcond=None)[0]
    start = torch.cat([one.detach().flatten() for one in module.parameters()])
    expected = np.concatenate([solution[:3].T.ravel(), solution[3]])
    assert np.allclose((start + step).numpy(), expected, rtol=1e-9)


def test_much_damping_is_a_small_step_downhill() -> None:
    module, data = network(3, 4, 2), samples()
    normal = normal_equations(module, data, everything(data))
    step = normal.step(1e8)
    assert step is not None
    assert torch.allclose(step * 1e8, -normal.gradient, rtol=1e-4, atol=1e-12)


def test_singular_equations_have_no_step_until_they_are_damped() -> None:
    module, data = network(3, 2), samples()
    flat = replace(data, X=torch.zeros_like(data.X))  # nothing depends on the slopes
    normal = normal_equations(module, flat, everything(flat))
    assert normal.step(0.0) is None
    assert normal.step(1e-6) is not None


# --- a step ---


def test_damping_falls_after_a_good_step() -> None:
    module, data = network(3, 2), samples()
    memory = Memory(module, 1e-3)
    before = mean_loss(module, dict(module.named_parameters()), data)
    loss = improve(module, data, everything(data), memory)
    assert loss is not None
    assert loss < before
    assert loss == mean_loss(module, dict(module.named_parameters()), data)
    assert memory.damping == pytest.approx(1e-4)


def test_damping_rises_until_a_step_is_good() -> None:
    module, data = network(3, 8, 8, 2), samples(20)
    memory = Memory(module, 1e-12)  # more weights than residuals: singular in rounding
    before = mean_loss(module, dict(module.named_parameters()), data)
    loss = improve(module, data, everything(data), memory)
    assert loss is not None
    assert loss < before
    assert memory.damping > 1e-13


def test_there_is_no_step_from_the_bottom() -> None:
    module, data = network(3, 2), samples()
    memory = Memory(module, 1e-12)
    assert improve(module, data, everything(data), memory) is not None
    assert improve(module, data, everything(data), memory) is None


def test_there_is_no_step_when_none_is_small_enough() -> None:
    module, data = network(3, 4, 2), samples()
    memory = Memory(module, 1e11)
    before = [one.clone() for one in module.parameters()]
    assert improve(module, data, everything(data), memory) is None
    assert all(map(torch.equal, before, module.parameters()))


# --- training ---


def test_learns_a_smooth_function_in_few_steps() -> None:
    module, data = network(3, 8, 8, 1), samples(400, 1)
    history = train(module, data, None, replace(STEPS, epochs=40))
    assert history.training[-1] < 1e-4
    assert history.training == sorted(history.training, reverse=True)
    fresh = samples(400, 1, seed=5)
    with torch.no_grad():
        assert float((module(fresh.X) - fresh.y).square().mean()) < 3e-4
    assert next(module.parameters()).dtype == torch.float32


def noisy(count: int, seed: int) -> Data:
    data = samples(count, 1, seed=seed)
    noise = np.random.default_rng(seed + 1).normal(size=data.y.shape).astype("f4")
    return replace(data, y=data.y + torch.from_numpy(noise))


def test_stops_early_and_keeps_the_best_weights() -> None:
    module = network(3, 10, 10, 1)
    held = noisy(80, 7)
    plan = replace(STEPS, epochs=100, patience=4)
    history = train(module, noisy(80, 3), held, plan)
    assert len(history.training) == history.best + 1 + 4
    assert history.validation[history.best] == min(history.validation)
    loss = mean_loss(module.double(), dict(module.named_parameters()), held)
    assert loss == pytest.approx(history.validation[history.best], rel=1e-5)


def test_ends_when_there_is_nothing_left_to_learn() -> None:
    module = network(3, 1)
    notes: Notes = []
    history = train(module, samples(60, 1), None, STEPS, progress=lambda *note: notes.append(note))
    assert len(history.training) < STEPS.epochs
    assert len(notes) == len(history.training)


def test_tells_losses_and_damping_of_each_step() -> None:
    notes: Notes = []
    history = train(
        network(3, 4, 2),
        samples(),
        samples(seed=4),
        replace(STEPS, epochs=2),
        progress=lambda *note: notes.append(note),
    )
    assert [(done, total) for done, total, _ in notes] == [(1, 2), (2, 2)]
    first = f"loss {history.training[0]:.4f}, validation {history.validation[0]:.4f}, damping 1e-"
    assert notes[0][2].startswith(first)


def test_a_step_is_made_of_samples_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Tensor] = []

    def spy(module: nn.Module, data: Data, rows: Tensor, *more: Any) -> float | None:
        drawn.append(rows)
        return improve(module, data, rows, *more)

    monkeypatch.setattr(levenberg, "improve", spy)
    plan = replace(STEPS, epochs=3, batch=25, seed=8)
    train(network(3, 4, 2), samples(), None, plan)
    train(network(3, 4, 2), samples(), None, plan)
    assert [len(rows.unique()) for rows in drawn] == [25] * 6
    assert not torch.equal(drawn[0], drawn[1])
    assert all(map(torch.equal, drawn[:3], drawn[3:]))


def test_a_residual_that_is_not_finite_is_named() -> None:
    data = samples()
    data.X[[3, 17]] = torch.inf
    with pytest.raises(
        ModelProblem,
        match=r"training, step 1: found residuals that are not finite, in 2 of 60 samples "
        r"\(3, 17\), expected numbers. Look for impossible values",
    ):
        train(network(3, 4, 2), data, None, STEPS)


# --- checkpoints ---


class Stopped(Exception):
    """The power went off."""


def stop_at(step: int) -> Callable[[int, int, str], None]:
    def tell(done: int, total: int, note: str = "") -> None:
        if done == step:
            raise Stopped

    return tell


@pytest.fixture
def at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)


@pytest.mark.usefixtures("at_every_step")
@pytest.mark.parametrize("patience", [0, 3])
def test_a_resumed_training_gives_the_same_bits(tmp_path: Path, patience: int) -> None:
    plan = replace(STEPS, batch=50, patience=patience)
    parts = samples(), samples(seed=4)

    def fit(folder: Path | None, *, until: int = 0, seed: int = 0) -> tuple[nn.Module, History]:
        module = network(3, 6, 2, seed=seed)
        return module, train(module, *parts, plan, checkpoint=folder, progress=stop_at(until))

    expected, history = fit(None)
    folder = tmp_path / "state"
    with pytest.raises(Stopped):
        fit(folder, until=2)
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors"}
    again, resumed = fit(folder, seed=1)  # the first weights come from the checkpoint
    assert resumed == history
    assert all(map(torch.equal, expected.parameters(), again.parameters()))


@pytest.mark.usefixtures("at_every_step")
def test_the_state_of_another_training_is_left_aside(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        train(
            network(3, 6, 2), samples(), None, STEPS, checkpoint=tmp_path / "a", progress=stop_at(2)
        )
    other = replace(STEPS, epochs=3)
    fresh = train(network(3, 6, 2), samples(), None, other)
    assert train(network(3, 6, 2), samples(), None, other, checkpoint=tmp_path / "a") == fresh
