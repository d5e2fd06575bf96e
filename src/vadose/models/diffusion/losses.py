"""What a denoiser learns: the noise itself, or the velocity between it and the clean value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from vadose.errors import UnknownName
from vadose.models.diffusion.denoiser import Denoiser
from vadose.models.diffusion.noise import spline_weights
from vadose.models.diffusion.schedules import NoiseSchedule

Prediction = Literal["v", "epsilon"]
#: Weights are averaged over about a thousand batches, over fewer at first.
MEMORY = 0.999
#: Seed of the noise in which a denoiser is judged, the same at each epoch.
JUDGED_WITH = 20_200_621


@dataclass(frozen=True)
class Loss:
    """Say what a denoiser is to predict, and what its prediction says of the clean value.

    Attributes
    ----------
    schedule
        How much is noise at each step.
    prediction
        ``epsilon``: the noise; ``v``: the velocity ``signal · noise - spread of the noise · clean``, which
        stays well-conditioned where nearly everything is noise.

    References
    ----------
    Ho et al. (2020), NeurIPS 33:6840; Salimans and Ho (2022), ICLR, for the velocity.

    Examples
    --------
    >>> loss = Loss(NoiseSchedule.cosine(), "v")
    >>> clean, noise, step = torch.ones(2, 1), torch.tensor([[0.5], [-1.0]]), torch.tensor([10, 900])
    >>> noisy = loss.add_noise(clean, noise, step)
    >>> loss.clean(loss.target(clean, noise, step), noisy, step).squeeze(1)
    tensor([1., 1.])
    """

    schedule: NoiseSchedule
    prediction: Prediction

    def __post_init__(self) -> None:
        if self.prediction not in get_args(Prediction):
            raise UnknownName("prediction", self.prediction, get_args(Prediction))

    def add_noise(self, clean: Tensor, noise: Tensor, step: Tensor) -> Tensor:
        """Give what the clean value has become at a step; dims ``(sample, …)``, the step's ``(sample,)`` or ``(1,)``."""
        signal, spread = self._factors(step, clean)
        return signal * clean + spread * noise

    def target(self, clean: Tensor, noise: Tensor, step: Tensor) -> Tensor:
        """Give what a denoiser should say."""
        if self.prediction == "epsilon":
            return noise
        signal, spread = self._factors(step, clean)
        return signal * noise - spread * clean

    def clean(self, predicted: Tensor, noisy: Tensor, step: Tensor) -> Tensor:
        """Give the clean value that follows from what a denoiser says."""
        signal, spread = self._factors(step, noisy)
        if self.prediction == "epsilon":
            return (noisy - spread * predicted) / signal
        return signal * noisy - spread * predicted

    def _factors(self, step: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        shape = (-1, *[1] * (like.ndim - 1))
        return tuple(  # type: ignore[return-value]
            torch.as_tensor(one, dtype=like.dtype, device=like.device)[step.to(like.device)].view(
                shape
            )
            for one in (self.schedule.signal, self.schedule.noise)
        )


#: Gives standard normal noise of a shape, from a generator or from torch's own.
DrawNoise = Callable[[Sequence[int], torch.Generator | None], Tensor]


def _independent(shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
    return torch.randn(*shape, generator=generator)


def smooth(shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
    """Draw maps of noise, dims ``(sample, y, x, output)``, that hang together over neighbours.

    Examples
    --------
    >>> smooth((2, 3, 4, 1), None).shape
    torch.Size([2, 3, 4, 1])
    """
    samples, height, width, outputs = shape
    down, across = (torch.from_numpy(spline_weights(side, 1)).float() for side in (height, width))
    knots = torch.randn(samples, outputs, down.shape[1], across.shape[1], generator=generator)
    return (down @ knots @ across.T).permute(0, 2, 3, 1)


class Noising(nn.Module):
    """Give the error of a denoiser for noise that is drawn anew at each call, so that 0 is its target.

    With this around it, a denoiser is trained like any other network (`vadose.models.training.train`):
    masks, weights, early stop and checkpoints are those of all.

    In training the steps are drawn one from each of as many equal parts of the schedule as there are
    samples, which makes losses less noisy. Without training the average of the weights is judged, each
    time with the same noise.

    Parameters
    ----------
    denoiser
        What is trained.
    loss
        What it predicts.
    outputs
        Number of the clean values, which stand behind the features.
    draw
        Gives standard normal noise of a shape; every value its own unless given.
    """

    def __init__(
        self, denoiser: Denoiser, loss: Loss, *, outputs: int, draw: DrawNoise | None = None
    ) -> None:
        super().__init__()
        self.denoiser, self.loss, self.outputs = denoiser, loss, outputs
        self.draw = _independent if draw is None else draw
        self.average = AveragedModel(denoiser, multi_avg_fn=_remember)
        self.average.requires_grad_(requires_grad=False)

    def extra_repr(self) -> str:
        """Tell one loss from another: a checkpoint belongs to one of them."""
        schedule = self.loss.schedule
        words = f"{self.loss.prediction}, {len(schedule)}, {float(schedule.retained.sum())!r}"
        return words if self.draw is _independent else f"{words}, {self.draw.__name__}"

    def forward(self, X: Tensor) -> Tensor:
        """Map ``(sample, …, feature and clean value)`` to ``(sample, …, output)``."""
        features, clean = X[..., : -self.outputs], X[..., -self.outputs :]
        if self.training:
            # the weights that the last batch led to
            self.average.update_parameters(self.denoiser)
        generator = None if self.training else torch.Generator().manual_seed(JUDGED_WITH)
        places = torch.randperm(len(X), generator=generator)
        shift = torch.rand(len(X), generator=generator)
        step = ((places + shift) / len(X) * len(self.loss.schedule)).long()
        step = step.clamp_max(len(self.loss.schedule) - 1).to(X.device)
        noise = self.draw(clean.shape, generator).to(X.device)
        denoise = self.denoiser if self.training else cast(Denoiser, self.average.module)
        noisy = self.loss.add_noise(clean, noise, step)
        predicted: Tensor = denoise(noisy, step, denoise.prepare(features))
        return predicted - self.loss.target(clean, noise, step)

    def settle(self) -> None:
        """Give the denoiser the average of its weights."""
        self.denoiser.load_state_dict(self.average.module.state_dict())
        self.denoiser.eval()


@torch.no_grad()
def _remember(
    averages: tuple[Tensor, ...] | list[Tensor],
    weights: tuple[Tensor, ...] | list[Tensor],
    count: Tensor | int,
) -> None:
    """Forget the first batches sooner than the later ones."""
    number = int(count)
    memory = min(MEMORY, (1 + number) / (10 + number))
    torch._foreach_lerp_(list(averages), list(weights), 1.0 - memory)
