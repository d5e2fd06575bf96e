"""The diffusion model: members that are what may be, the same from the same noise, in few calls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor, nn

from vadose.errors import ModelProblem, UnknownName
from vadose.models import load_model, training
from vadose.models.base import Kind, Spreading
from vadose.models.diffusion import Diffusion
from vadose.models.diffusion.denoiser import Denoiser
from vadose.models.diffusion.generator import Generator


def mean_of(X: np.ndarray) -> np.ndarray:
    return 0.15 + 0.2 * X[:, 0] + 0.05 * np.sin(6 * X[:, 1])


def spread_of(X: np.ndarray) -> np.ndarray:
    return 0.01 + 0.05 * X[:, 2]


def table(samples: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Make a target whose spread depends on a feature, and which is skewed."""
    rng = np.random.default_rng(seed)
    X = rng.random((samples, 3)).astype("f4")
    return X, mean_of(X) + spread_of(X) * (rng.gamma(2.0, 1.0, samples) - 2.0) / np.sqrt(2.0)


def quick(**settings: Any) -> Diffusion:
    """Make a model that is quick to fit, and coarse."""
    small = {"width": 16, "blocks": 1, "steps": 5, "draws": 4, "epochs": 3, "patience": 0}
    return Diffusion(**{**small, **settings})


@pytest.fixture(scope="module")
def fitted() -> Diffusion:
    model = Diffusion(width=32, blocks=2, epochs=25, patience=0, batch=64)
    return model.fit(*table(4000, seed=0))


def crps(members: np.ndarray, truth: np.ndarray) -> float:
    apart = np.abs(members[:, None] - members[None]).mean(axis=(0, 1))
    return float((np.abs(members - truth).mean(axis=0) - 0.5 * apart).mean())


def rmse(members: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((members.mean(axis=0) - truth) ** 2)))


# --- what the members say ---


def test_mean_and_spread_are_those_of_the_target(fitted: Diffusion) -> None:
    X, _ = table(1000, seed=1)
    assert np.sqrt(np.mean((fitted.predict(X) - mean_of(X)) ** 2)) < 0.01
    assert isinstance(fitted, Spreading)
    spread = fitted.spread(X)
    assert np.corrcoef(spread, spread_of(X))[0, 1] > 0.9
    assert spread.mean() == pytest.approx(spread_of(X).mean(), rel=0.1)


def test_members_are_better_than_the_best_single_value(fitted: Diffusion) -> None:
    X, y = table(1500, seed=2)
    noise = np.random.default_rng(0).standard_normal((30, len(X)))
    members = fitted.sample(X, noise)
    assert crps(members, y) < 0.8 * np.abs(mean_of(X) - y).mean()
    inside = (y > np.quantile(members, 0.1, axis=0)) & (y < np.quantile(members, 0.9, axis=0))
    assert 0.72 < inside.mean() < 0.85
    skew = ((y - mean_of(X)) / spread_of(X)) ** 3
    departures = ((members - members.mean(axis=0)) / members.std(axis=0)) ** 3
    assert skew.mean() > 0.5
    assert departures.mean() > 0.3


@pytest.mark.parametrize("sampler", ["dpm_solver", "ddim"])
def test_the_same_noise_everywhere_gives_quantiles(fitted: Diffusion, sampler: str) -> None:
    X, y = table(800, seed=3)
    fitted.sampler = sampler
    members = fitted.sample(X, norm.ppf([0.1, 0.5, 0.9])[:, None])
    fitted.sampler = "dpm_solver"
    assert (np.diff(members, axis=0) > 0).all()
    np.testing.assert_allclose((y < members).mean(axis=1), [0.1, 0.5, 0.9], atol=0.05)


def test_few_steps_say_what_all_of_them_say(fitted: Diffusion) -> None:
    X, y = table(200, seed=4)
    noise = np.random.default_rng(1).standard_normal((20, len(X)))
    whole = fitted.sample(X, noise, steps=1000)
    for steps in (20, 10):
        few = fitted.sample(X, noise, steps=steps)
        assert crps(few, y) == pytest.approx(crps(whole, y), rel=0.02)
        assert rmse(few, y) == pytest.approx(rmse(whole, y), rel=0.02)
    assert np.abs(fitted.sample(X, noise, steps=20) - whole).max() < 0.25 * whole.std(axis=0).mean()


def test_ancestral_steps_agree_with_the_path(fitted: Diffusion) -> None:
    X, y = table(200, seed=5)
    noise = np.random.default_rng(2).standard_normal((20, len(X)))
    ancestral = fitted.sample(X, noise, steps=250, rng=np.random.default_rng(3))
    again = fitted.sample(X, noise, steps=250, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(ancestral, again)
    assert not np.array_equal(
        ancestral, fitted.sample(X, noise, steps=250, rng=np.random.default_rng(4))
    )
    assert crps(ancestral, y) == pytest.approx(crps(fitted.sample(X, noise), y), rel=0.06)
    assert ancestral.std(axis=0).mean() == pytest.approx(spread_of(X).mean(), rel=0.1)


# --- bits ---


def test_a_member_depends_on_its_sample_and_noise_alone(fitted: Diffusion) -> None:
    X, _ = table(700, seed=6)
    noise = np.random.default_rng(0).standard_normal((7, len(X))).astype("f4")
    whole = fitted.sample(X, noise)
    np.testing.assert_array_equal(fitted.sample(X[40:60], noise[2:3, 40:60]), whole[2:3, 40:60])
    np.testing.assert_array_equal(fitted.sample(X[::-1], noise[::-1, ::-1]), whole[::-1, ::-1])
    for workers in (1, 3):
        fitted.workers = workers
        np.testing.assert_array_equal(fitted.sample(X, noise), whole)
    fitted.workers = None


def test_memory_is_bounded_without_a_change(
    fitted: Diffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, _ = table(500, seed=7)
    mean, spread = fitted.predict(X), fitted.spread(X)
    monkeypatch.setattr("vadose.models.diffusion.generator.HELD_AT_ONCE", 1000)
    np.testing.assert_array_equal(fitted.predict(X), mean)
    np.testing.assert_array_equal(fitted.spread(X), spread)


def test_a_dimension_of_one_is_the_same_noise_for_all(fitted: Diffusion) -> None:
    X, _ = table(50, seed=8)
    one = np.array([[0.3], [-1.0]])
    everywhere = fitted.sample(X, np.broadcast_to(one, (2, 50)))
    np.testing.assert_array_equal(fitted.sample(X, one), everywhere)
    assert fitted.sample(X[:0], one).shape == (2, 0)
    with pytest.raises(
        ModelProblem, match=r"noise: found shape \(2, 50\), expected \(member, 49\)"
    ):
        fitted.sample(X[:49], everywhere)
    with pytest.raises(ModelProblem, match="steps: found 2000, expected 1 to 1000"):
        fitted.sample(X, one, steps=2000)


def test_noise_is_drawn_for_each_sample(fitted: Diffusion) -> None:
    noise = fitted.draw_noise(300, np.random.default_rng(1), members=5)
    assert noise.shape == (5, 300)
    assert fitted.draw_noise(3, np.random.default_rng(1)).shape == (fitted.draws, 3)
    assert noise.std() == pytest.approx(1.0, abs=0.05)
    np.testing.assert_array_equal(
        noise, fitted.draw_noise(300, np.random.default_rng(1), members=5)
    )
    both = quick().fit(*(lambda X, y: (X, np.stack([y, -y], axis=-1)))(*table(200, seed=0)))
    noise = both.draw_noise(6, np.random.default_rng(0))
    assert both.sample(table(6, seed=1)[0], noise).shape == noise.shape == (4, 6, 2)


def test_a_training_that_was_stopped_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = table(300, seed=0)
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)

    def stop(done: int, total: int, note: str = "") -> None:
        if done == 3:
            raise KeyboardInterrupt

    whole = quick(epochs=6, patience=5).fit(X, y)
    stopped = quick(epochs=6, patience=5)
    stopped.checkpoint, stopped.progress = tmp_path, stop
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(X, y)
    seen: list[int] = []
    stopped.progress = lambda done, total, note="": seen.append(done)
    stopped.fit(X, y)
    assert seen == [4, 5, 6]
    assert stopped.histories_ == whole.histories_
    assert len(whole.histories_[0].validation) == 6, "whole groups were held back"
    np.testing.assert_array_equal(stopped.predict(X), whole.predict(X))


# --- bounds and the regression ---


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("prediction", ["v", "epsilon"])
def test_members_keep_within_bounds(residual: bool, prediction: str) -> None:
    X, y = table(400, seed=0)
    bounds = [0.15, 0.3]
    model = quick(bounds=bounds, residual=residual, prediction=prediction)
    members = model.fit(X, y.clip(*bounds)).sample(X, 3 * np.linspace(-1, 1, 9)[:, None])
    assert members.min() == pytest.approx(bounds[0], abs=1e-7)
    assert members.max() == pytest.approx(bounds[1], abs=1e-7)
    assert members.min() >= bounds[0]
    assert members.max() <= bounds[1]
    assert len(np.unique(members)) > 100


@pytest.mark.parametrize("bounds", [[0.5], [0.5, 0.1], 3.0, ["dry", "wet"]])
def test_other_bounds_are_refused(bounds: Any) -> None:
    with pytest.raises(ModelProblem, match=r"bounds of diffusion: found .*expected the least and"):
        quick(bounds=bounds).fit(*table(50, seed=0))


def test_noise_is_not_predicted_without_bounds() -> None:
    with pytest.raises(
        ModelProblem, match=r"found None, expected the least.*Give bounds, or predict v"
    ):
        quick(prediction="epsilon").fit(*table(50, seed=0))


@pytest.mark.parametrize("key", ["schedule", "prediction", "sampler"])
def test_a_part_that_does_not_exist_is_refused(key: str) -> None:
    with pytest.raises(UnknownName, match=f"{key} of diffusion 'sine'.*expected one of"):
        quick(**{key: "sine"}).fit(*table(50, seed=0))


def test_departures_are_as_wide_as_at_places_not_seen(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.random((1500, 2)).astype("f4")
    y = X[:, 0] + rng.normal(0.0, 0.2, len(X))
    model = quick(width=32, epochs=20, batch=64, draws=8, steps=10, residual=True).fit(X, y)
    new = rng.random((500, 2)).astype("f4")
    assert np.sqrt(np.mean((model.predict(new) - new[:, 0]) ** 2)) < 0.09
    assert model.spread(new).mean() == pytest.approx(0.2, rel=0.15)
    inside = y - model.regression_.predict(X)
    assert inside.std() < 0.9 * model.spread(new).mean(), (
        "the forest knows what it has learned from"
    )
    model.save(tmp_path)
    again = load_model(tmp_path)
    np.testing.assert_array_equal(again.predict(new), model.predict(new))
    (tmp_path / "regression" / "model.json").unlink()
    with pytest.raises(ModelProblem, match=r"regression.*expected a saved model"):
        load_model(tmp_path)


def test_too_few_groups_for_departures_are_refused() -> None:
    X, y = table(60, seed=0)
    with pytest.raises(ModelProblem, match="groups: found 2 with a target, expected 5 or more"):
        quick(residual=True).fit(X, y, groups=np.arange(60) % 2)


# --- conditions ---


def test_what_is_steered_by_is_learned_from() -> None:
    rng = np.random.default_rng(0)
    day, mean = rng.integers(1, 366, 3000), rng.normal(0.2, 0.05, 3000)
    X = np.stack([rng.random(3000), day, mean, rng.random(3000) < 0.3], axis=-1).astype("f4")
    season = 0.05 * np.sin(2 * np.pi * day / 365.25)
    y = 0.2 + season + np.where(X[:, 3] == 0, mean - 0.2, 0.0)
    conditions = {"day_of_year": 1, "station_mean": 2, "station_missing": 3}
    model = quick(conditions=conditions, width=32, blocks=2, epochs=20, batch=64, omission=0.1).fit(
        X, y
    )
    error = model.predict(X) - y
    assert np.sqrt(np.mean(error**2)) < 0.35 * y.std()
    missing = X[X[:, 3] == 1]
    other = missing.copy()
    other[:, 2] = 0.9
    np.testing.assert_array_equal(model.predict(other), model.predict(missing))


def test_conditions_must_be_among_the_features() -> None:
    with pytest.raises(ModelProblem, match="condition 'year': found column 3, expected 0 to 2"):
        quick(conditions={"year": 3}).fit(*table(50, seed=0))
    with pytest.raises(UnknownName, match=r"condition 'years'.*Did you mean 'year'"):
        quick(conditions={"years": 0}).fit(*table(50, seed=0))


# --- other denoisers ---


class Plane(Denoiser):
    """The smallest denoiser of maps: a linear map of value, features and step, cell by cell."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.map = nn.Linear(features + 1 + 2 * outputs, outputs)

    def forward(self, noisy: Tensor, step: Tensor, condition: Tensor) -> Tensor:
        share = (step / 1000.0).view(-1, 1, 1, 1)
        return self.map(torch.cat([noisy, noisy * share, condition], dim=-1))


class Planes(Generator):
    name: ClassVar[str] = "planes"
    kind: ClassVar[Kind] = "patches"

    def __init__(self, *, epochs: int = 30, seed: int = 0) -> None:
        super().__init__(
            bounds=None,
            schedule="cosine",
            prediction="v",
            sampler="ddim",
            steps=5,
            draws=4,
            epochs=epochs,
            batch=8,
            rate=0.01,
            decay=0.0,
            patience=0,
            seed=seed,
        )

    def _module(self, features: int, outputs: int) -> Denoiser:
        return Plane(features, outputs)


def test_any_denoiser_of_maps_will_do() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((40, 5, 6, 2)).astype("f4")
    y = X[..., 0] + 0.3 * rng.standard_normal(X.shape[:-1])
    X[:, 2, 3] = np.nan
    y[:, 1, 1] = np.nan
    model = Planes().fit(X, y)
    assert model.predict(X).shape == y.shape
    noise = rng.standard_normal((3, *y.shape))
    members = model.sample(X, noise)
    assert np.isnan(members[:, :, 2, 3]).all()
    assert np.isnan(members).sum() == 3 * len(X)
    np.testing.assert_array_equal(model.sample(X[7:9], noise[1:2, 7:9]), members[1:2, 7:9])
    is_there = np.isfinite(X[..., 0])
    assert np.corrcoef(model.predict(X)[is_there], X[..., 0][is_there])[0, 1] > 0.9


def test_torch_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, vadose.models.diffusion; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
