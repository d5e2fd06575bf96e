"""Noise schedules: how much of the clean value is left, and how much noise there is, at each step.

A step is a whole number from 0, where next to nothing is noise, to ``len(schedule) - 1``, where next to
nothing else is. Before step 0 stands the clean value itself, step `CLEAN`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from vadose.errors import ModelProblem

Numbers = npt.NDArray[np.float64]

#: Steps of a schedule, as in Ho et al.
STEPS = 1000
#: The step at which nothing is noise.
CLEAN = -1
#: How much denser than evenly the visited steps lie where little is noise. Found with Gaussians of standard
#: deviations of 0.1 to 1, of which 20 steps of the second order keep the spread within 2 % (5 % at 0.1).
DENSITY = 2.0


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """Hold the share of the clean variance that is left at each step.

    A value with noise is ``signal[step] * clean + noise[step] * normal``.

    Attributes
    ----------
    retained
        Dims ``(step,)``, between 0 and 1, falling; often called ᾱ.

    References
    ----------
    Ho et al. (2020), NeurIPS 33:6840; Nichol and Dhariwal (2021), ICML 38:8162.

    Examples
    --------
    >>> schedule = NoiseSchedule.cosine()
    >>> len(schedule), bool(schedule.retained[0] > 0.999), bool(schedule.retained[-1] < 1e-8)
    (1000, True, True)
    """

    retained: Numbers

    def __post_init__(self) -> None:
        is_falling = bool((np.diff(self.retained, prepend=1.0) < 0).all())
        if self.retained.ndim != 1 or not len(self.retained) or not is_falling:
            raise ModelProblem(
                "noise schedule",
                found="shares that do not fall",
                expected="from below 1 to above 0",
            )

    @classmethod
    def linear(cls, steps: int = STEPS, *, first: float = 1e-4, last: float = 0.02) -> Self:
        """Add a variance at each step that grows evenly; after Ho et al."""
        added: Numbers = np.linspace(first, last, steps, dtype=np.float64)
        return cls(np.cumprod(1.0 - added, dtype=np.float64))

    @classmethod
    def cosine(cls, steps: int = STEPS, *, offset: float = 0.008, most: float = 0.999) -> Self:
        """Let the clean share fall along a squared cosine; after Nichol and Dhariwal.

        Parameters
        ----------
        steps
            Their number.
        offset
            So that the first step is not without any noise.
        most
            Largest variance added at one step, so that the last one leaves something.
        """
        share = np.cos((np.arange(steps + 1) / steps + offset) / (1 + offset) * np.pi / 2) ** 2
        return cls(np.cumprod(1.0 - np.minimum(1.0 - share[1:] / share[:-1], most)))

    def __len__(self) -> int:
        return len(self.retained)

    @cached_property
    def signal(self) -> Numbers:
        """Factor of the clean value at each step."""
        return np.sqrt(self.retained)

    @cached_property
    def noise(self) -> Numbers:
        """Factor of the noise at each step."""
        return np.sqrt(1.0 - self.retained)

    def at(self, step: int) -> tuple[float, float]:
        """Give the factors of the clean value and of the noise at a step, which may be `CLEAN`."""
        return (1.0, 0.0) if step == CLEAN else (float(self.signal[step]), float(self.noise[step]))

    def visited(self, steps: int) -> list[int]:
        """Choose the steps that a sampler visits, from the last one down.

        They lie evenly in the square root of the angle whose tangent is the noise over the signal: denser
        where little is noise, for there a narrow distribution gets its width.

        Parameters
        ----------
        steps
            How many, at most: where two fall together one is left out.

        Raises
        ------
        ModelProblem
            Less than one, or more than the schedule has.

        Examples
        --------
        >>> NoiseSchedule.cosine().visited(5)
        [999, 636, 354, 152, 32]
        """
        if not 1 <= steps <= len(self):
            raise ModelProblem("steps", found=str(steps), expected=f"1 to {len(self)}")
        if steps == len(self):
            return list(range(len(self) - 1, -1, -1))
        angle = np.arctan2(self.noise, self.signal)
        wanted = angle[-1] * (1 - np.arange(steps) / steps) ** DENSITY
        nearest = np.rint(np.interp(wanted, angle, np.arange(len(self)))).astype(int)
        return [int(step) for step in np.unique(nearest)[::-1]]


#: Every schedule by name.
SCHEDULES: dict[str, Callable[[], NoiseSchedule]] = {
    "cosine": NoiseSchedule.cosine,
    "linear": NoiseSchedule.linear,
}
