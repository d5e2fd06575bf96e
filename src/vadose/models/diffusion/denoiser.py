"""What a denoiser is: a network that is told a value with noise, the step, and what is known of the place."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Denoiser(nn.Module, ABC):
    """Say at each step what `vadose.models.diffusion.losses.Loss` asks for.

    The smallest one, for targets that are standard normal whatever the features::

        class Blind(Denoiser):
            @abstractmethod
    def forward(self, noisy, step, condition):
                return 0.0 * noisy  # its velocity is 0: all that it is told is noise
    """

    def prepare(self, X: Tensor) -> Tensor:
        """Compute from the samples what all steps have in common.

        Parameters
        ----------
        X
            Dims ``(sample, …, feature)``, scaled, see `vadose.models.diffusion.model.Diffusion`.

        Returns
        -------
        Tensor
            The condition; its first dimension is ``sample``. Here the samples as they are.
        """
        return X

    @abstractmethod
    def forward(self, noisy: Tensor, step: Tensor, condition: Tensor) -> Tensor:
        """Give a prediction of the dims of `noisy`.

        Parameters
        ----------
        noisy
            Dims ``(sample, …, output)``.
        step
            Dims ``(sample,)``, or ``(1,)`` where all samples are at the same; whole numbers.
        condition
            What `prepare` gave.
        """
