"""Samplers: from noise to a clean value, in as many calls of a denoiser as steps are visited.

Each works around any denoiser, which is told a value with noise and the step and gives the clean value that
it expects. All but the ancestral one are deterministic: the noise that they begin with decides everything,
and one noise for all places of a map gives a map without speckle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from torch import Tensor

from vadose.errors import ModelProblem
from vadose.models.diffusion.schedules import CLEAN, NoiseSchedule

#: Gives the expected clean value for a value with noise at a step.
Clean = Callable[[Tensor, int], Tensor]
#: Gives standard normal numbers of the shape of a value.
Draw = Callable[[Tensor], Tensor]


class Sampler(Protocol):
    """Lead a value from the last step of a schedule to the clean one."""

    @property
    def is_random(self) -> bool:
        """Whether fresh noise is drawn on the way."""
        ...

    def __call__(
        self,
        clean: Clean,
        schedule: NoiseSchedule,
        noise: Tensor,
        visited: Sequence[int],
        *,
        draw: Draw | None = None,
    ) -> Tensor:
        """Sample.

        Parameters
        ----------
        clean
            The denoiser, any dims.
        schedule
            The one that it learned with.
        noise
            Standard normal.
        visited
            Falling steps, such as `NoiseSchedule.visited` gives; each is one call.
        draw
            Gives fresh noise, to those who need it.
        """
        ...


@dataclass(frozen=True)
class DDIM:
    """Go from step to step along the expected clean value and noise, with as much fresh noise as asked for.

    With ``eta = 1`` every step draws from the posterior of Ho et al. (2020), the ancestral sampling of DDPM,
    of which the variance is that of the posterior.

    Parameters
    ----------
    eta
        0: none is fresh.

    References
    ----------
    Song et al. (2021), ICLR, eq. 12 and 16.

    Examples
    --------
    A denoiser that knows the answer is followed, whatever the noise:

    >>> import torch
    >>> schedule = NoiseSchedule.linear()
    >>> DDIM()(lambda noisy, step: 0 * noisy + 0.3, schedule, torch.randn(2), schedule.visited(4))
    tensor([0.3000, 0.3000])
    """

    eta: float = 0.0

    @property
    def is_random(self) -> bool:
        """Whether fresh noise is drawn on the way."""
        return self.eta > 0

    def __call__(
        self,
        clean: Clean,
        schedule: NoiseSchedule,
        noise: Tensor,
        visited: Sequence[int],
        *,
        draw: Draw | None = None,
    ) -> Tensor:
        """Sample, see `Sampler`.

        Raises
        ------
        ModelProblem
            Fresh noise is needed and cannot be drawn.
        """
        if self.is_random and draw is None:
            raise ModelProblem(
                "sampler",
                found="no fresh noise",
                expected="some at every step",
                remedy="Give `draw`.",
            )
        value = noise
        for step, following in pairwise([*visited, CLEAN]):
            signal, spread = schedule.at(step)
            next_signal, next_spread = schedule.at(following)
            expected = clean(value, step)
            kept = (signal / next_signal) ** 2
            fresh = self.eta * next_spread / spread * math.sqrt(1.0 - kept)
            direction = (value - signal * expected) / spread
            value = next_signal * expected + math.sqrt(next_spread**2 - fresh**2) * direction
            if fresh > 0 and draw is not None:
                value = value + fresh * draw(value)
        return value


@dataclass(frozen=True)
class DPMSolver:
    """Solve the equation of the deterministic path to second order, with the step before (DPM-Solver++ 2M).

    The first and the last step are of first order.

    References
    ----------
    Lu et al. (2022), arXiv:2211.01095, algorithm 2.

    Examples
    --------
    >>> import torch
    >>> schedule = NoiseSchedule.cosine()
    >>> DPMSolver()(lambda noisy, step: 0 * noisy + 0.3, schedule, torch.randn(2), schedule.visited(4))
    tensor([0.3000, 0.3000])
    """

    @property
    def is_random(self) -> bool:
        """Whether fresh noise is drawn on the way."""
        return False

    def __call__(
        self,
        clean: Clean,
        schedule: NoiseSchedule,
        noise: Tensor,
        visited: Sequence[int],
        *,
        draw: Draw | None = None,
    ) -> Tensor:
        """Sample, see `Sampler`."""
        value, before, length_before = noise, None, math.nan
        for step, following in pairwise([*visited, CLEAN]):
            signal, spread = schedule.at(step)
            expected = clean(value, step)
            if following == CLEAN:
                return expected
            next_signal, next_spread = schedule.at(following)
            # along the logarithm of signal over noise
            length = math.log(next_signal * spread / (next_spread * signal))
            slope = expected
            if before is not None:
                slope = expected + (expected - before) * (length / (2.0 * length_before))
            value = next_spread / spread * value - next_signal * math.expm1(-length) * slope
            before, length_before = expected, length
        return value


#: Every sampler by name.
SAMPLERS: dict[str, Sampler] = {
    "dpm_solver": DPMSolver(),
    "ddim": DDIM(),
    "ddpm": DDIM(eta=1.0),
}
