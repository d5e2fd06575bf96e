"""Schedules and samplers: against closed forms of Gaussians, and against those of diffusers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from vadose.errors import ModelProblem
from vadose.models.diffusion.samplers import DDIM, SAMPLERS, DPMSolver, Sampler
from vadose.models.diffusion.schedules import CLEAN, SCHEDULES, NoiseSchedule

#: A coarse observation with noise, of a value that is normal before it is observed: what is known after.
PRIOR_MEAN, PRIOR_SD, OBSERVED, ERROR_SD = 0.4, 1.0, 1.6, 0.75
POSTERIOR_VARIANCE = 1 / (PRIOR_SD**-2 + ERROR_SD**-2)
POSTERIOR_MEAN = POSTERIOR_VARIANCE * (PRIOR_MEAN / PRIOR_SD**2 + OBSERVED / ERROR_SD**2)


def best(
    schedule: NoiseSchedule, mean: float = POSTERIOR_MEAN, variance: float = POSTERIOR_VARIANCE
) -> Callable[[Tensor, int], Tensor]:
    """Give the denoiser that is optimal for a normal clean value."""

    def clean(noisy: Tensor, step: int) -> Tensor:
        signal, spread = schedule.at(step)
        gain = variance * signal / (variance * signal**2 + spread**2)
        return mean + gain * (noisy - signal * mean)

    return clean


def led(sampler: Sampler, schedule: NoiseSchedule, steps: int, **of: float) -> tuple[float, float]:
    """Give mean and standard deviation of what a deterministic sampler gives: it is affine in the noise."""
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    low, high = sampler(best(schedule, **of), schedule, ends, schedule.visited(steps)).tolist()
    return low, high - low


# --- schedules ---


def test_schedules_follow_their_formulas() -> None:
    linear, cosine = NoiseSchedule.linear(), NoiseSchedule.cosine()
    left = 1.0
    for step in range(1000):
        left *= 1.0 - (1e-4 + (0.02 - 1e-4) * step / 999)
        assert linear.retained[step] == pytest.approx(left, rel=1e-12)
    angle = (np.arange(1000) + 1) / 1000
    curve = (
        np.cos((angle + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    )
    np.testing.assert_allclose(cosine.retained[:-1], curve[:-1], rtol=1e-9)
    assert cosine.retained[-1] == pytest.approx(1e-3 * cosine.retained[-2])


@pytest.mark.parametrize("name", SCHEDULES)
def test_signal_and_noise_add_up_in_variance(name: str) -> None:
    schedule = SCHEDULES[name]()
    np.testing.assert_allclose(schedule.signal**2 + schedule.noise**2, 1.0)
    assert schedule.at(CLEAN) == (1.0, 0.0)
    assert schedule.at(7) == (schedule.signal[7], schedule.noise[7])


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 10, 20, 300, 1000])
def test_visited_steps_fall_from_the_last(name: str, steps: int) -> None:
    visited = SCHEDULES[name]().visited(steps)
    assert visited[0] == 999
    assert (np.diff(visited) < 0).all()
    assert 0.5 * steps <= len(visited) <= steps
    if steps == 1000:
        assert visited == list(range(999, -1, -1))


@pytest.mark.parametrize("steps", [0, 1001])
def test_more_steps_than_there_are_are_refused(steps: int) -> None:
    with pytest.raises(ModelProblem, match=f"steps: found {steps}, expected 1 to 1000"):
        NoiseSchedule.cosine().visited(steps)


def test_shares_that_do_not_fall_are_refused() -> None:
    with pytest.raises(ModelProblem, match="noise schedule: found shares that do not fall"):
        NoiseSchedule(np.array([0.5, 0.6]))


# --- samplers: closed forms ---


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("sampler", [DDIM(), DPMSolver()])
def test_all_steps_lead_to_the_posterior(name: str, sampler: Sampler) -> None:
    mean, sd = led(sampler, SCHEDULES[name](), 1000)
    # the linear schedule ends at a value that is not all noise
    assert mean == pytest.approx(POSTERIOR_MEAN, abs=0.01)
    assert sd == pytest.approx(POSTERIOR_VARIANCE**0.5, rel=0.005)


@pytest.mark.parametrize("name", SCHEDULES)
def test_ancestral_steps_lead_to_the_posterior(name: str) -> None:
    schedule = SCHEDULES[name]()
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(40_000, generator=generator)

    def draw(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator)

    values = SAMPLERS["ddpm"](best(schedule), schedule, noise, schedule.visited(1000), draw=draw)
    assert float(values.mean()) == pytest.approx(POSTERIOR_MEAN, abs=0.015)
    assert float(values.std()) == pytest.approx(POSTERIOR_VARIANCE**0.5, rel=0.015)
    kurtosis = float(((values - values.mean()) / values.std()).pow(4).mean())
    assert kurtosis == pytest.approx(3.0, abs=0.15)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("sd", [1.0, 0.6, 0.3, 0.1])
def test_twenty_steps_of_the_second_order_keep_the_spread(name: str, sd: float) -> None:
    mean, found = led(DPMSolver(), SCHEDULES[name](), 20, variance=sd**2)
    assert mean == pytest.approx(POSTERIOR_MEAN, abs=0.01)
    assert found == pytest.approx(sd, rel=0.025 if sd >= 0.3 else 0.05)


def test_the_second_order_gains_more_by_more_steps() -> None:
    schedule = NoiseSchedule.cosine()
    sd = POSTERIOR_VARIANCE**0.5

    def errors(sampler: Sampler) -> list[float]:
        return [abs(led(sampler, schedule, steps)[1] / sd - 1) for steps in (10, 20, 40)]

    first, second = errors(DDIM()), errors(DPMSolver())
    assert all(one < 0.35 * other for one, other in zip(second, first, strict=True))
    assert first[0] / first[2] < 5.0
    assert second[0] / second[2] > 6.0


def test_an_ancestral_step_draws_from_the_posterior_of_the_step_before() -> None:
    schedule = NoiseSchedule.linear()
    step, value, clean = 500, 0.7, -0.3
    beta = 1e-4 + (0.02 - 1e-4) * step / 999
    now, before = schedule.retained[step], schedule.retained[step - 1]
    # Ho et al. (2020), eq. 7
    mean = (
        np.sqrt(before) * beta / (1 - now) * clean
        + np.sqrt(1 - beta) * (1 - before) / (1 - now) * value
    )
    sd = np.sqrt((1 - before) / (1 - now) * beta)
    seen: list[float] = []

    def told(noisy: Tensor, step: int) -> Tensor:
        seen.append(float(noisy))
        return torch.full_like(noisy, clean)

    start = torch.tensor([value], dtype=torch.float64)
    for fresh in (0.0, 1.0):
        SAMPLERS["ddpm"](
            told, schedule, start, [step, step - 1], draw=lambda like, one=fresh: one + 0 * like
        )
    assert seen[1] == pytest.approx(mean, rel=1e-9)
    assert seen[3] - seen[1] == pytest.approx(sd, rel=1e-9)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_step_is_one_call_and_the_last_answer_is_kept(name: str) -> None:
    schedule = NoiseSchedule.cosine()
    calls: list[int] = []

    def told(noisy: Tensor, step: int) -> Tensor:
        calls.append(step)
        return torch.full_like(noisy, 0.25 + len(calls))

    visited = schedule.visited(7)
    values = SAMPLERS[name](told, schedule, torch.zeros(3), visited, draw=torch.zeros_like)
    assert calls == visited
    assert values.tolist() == [7.25] * 3
    assert SAMPLERS[name].is_random == (name == "ddpm")


def test_fresh_noise_must_come_from_somewhere() -> None:
    schedule = NoiseSchedule.cosine()
    with pytest.raises(ModelProblem, match=r"sampler: found no fresh noise.*Give `draw`"):
        DDIM(eta=0.5)(best(schedule), schedule, torch.zeros(1), [999])


# --- diffusers ---


def test_schedules_are_those_of_diffusers() -> None:
    diffusers = pytest.importorskip("diffusers")
    for name, theirs in (("linear", "linear"), ("cosine", "squaredcos_cap_v2")):
        scheduler = diffusers.DDPMScheduler(1000, beta_schedule=theirs)
        np.testing.assert_allclose(
            SCHEDULES[name]().retained, scheduler.alphas_cumprod, rtol=2e-4, atol=1e-9
        )


# theirs, of a way in which numpy asks torch for an array
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("name", ["linear", "cosine"])
@pytest.mark.parametrize("sampler", [DDIM(), DPMSolver()])
@pytest.mark.parametrize("steps", [10, 20])
def test_paths_are_those_of_diffusers(name: str, sampler: Sampler, steps: int) -> None:
    diffusers = pytest.importorskip("diffusers")
    theirs = {"linear": "linear", "cosine": "squaredcos_cap_v2"}[name]
    settings = {"num_train_timesteps": 1000, "beta_schedule": theirs, "prediction_type": "sample"}
    if isinstance(sampler, DDIM):
        scheduler = diffusers.DDIMScheduler(**settings, clip_sample=False)
    else:
        scheduler = diffusers.DPMSolverMultistepScheduler(**settings, final_sigmas_type="zero")
    scheduler.set_timesteps(steps)
    schedule = SCHEDULES[name]()
    noise = torch.linspace(-2, 2, 9)
    clean, value = best(schedule), noise
    for step in scheduler.timesteps:
        value = scheduler.step(clean(value, int(step)), step, value).prev_sample
    own = sampler(clean, schedule, noise, scheduler.timesteps.tolist())
    np.testing.assert_allclose(own, value, atol=2e-4)


def test_ancestral_steps_are_those_of_diffusers() -> None:
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDPMScheduler(
        1000, beta_schedule="linear", prediction_type="sample", clip_sample=False
    )
    schedule = NoiseSchedule.linear()
    noise = torch.linspace(-2, 2, 9)[None]
    clean, value = best(schedule), noise
    generator = torch.Generator().manual_seed(3)
    for step in scheduler.timesteps:
        value = scheduler.step(
            clean(value, int(step)), step, value, generator=generator
        ).prev_sample
    again = torch.Generator().manual_seed(3)
    own = SAMPLERS["ddpm"](
        clean,
        schedule,
        noise,
        schedule.visited(1000),
        draw=lambda like: torch.randn(like.shape, generator=again),
    )
    np.testing.assert_allclose(own, value, atol=2e-3)
