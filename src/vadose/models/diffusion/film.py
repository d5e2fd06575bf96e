"""The pixelwise denoiser: layers whose channels are scaled and shifted by what is known of the place (FiLM)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vadose.models.diffusion.denoiser import Denoiser

#: Waves that tell the step; the longest is a few times the schedule.
STEP_WAVES = 32
LONGEST = 10_000.0


def step_waves(step: Tensor, waves: int = STEP_WAVES) -> Tensor:
    """Encode steps, dims ``(sample,)``, as sines and cosines, dims ``(sample, 2 waves)``.

    References
    ----------
    Vaswani et al. (2017), NeurIPS 30, section 3.5.

    Examples
    --------
    >>> step_waves(torch.tensor([0]), 2)
    tensor([[0., 0., 1., 1.]])
    """
    exponent = torch.arange(waves, device=step.device, dtype=torch.float32) / waves
    angle = step.float()[:, None] * torch.exp(-math.log(LONGEST) * exponent)
    return torch.cat([torch.sin(angle), torch.cos(angle)], dim=-1)


class FilmBlock(nn.Module):
    """Add two linear layers to what came in, whose norm is scaled and shifted before: ``(1 + γ) h + β``."""

    def __init__(self, width: int, *, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.change = nn.Sequential(
            nn.Linear(width, width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, width)
        )

    def forward(self, values: Tensor, film: Tensor) -> Tensor:
        """Keep the dims ``(…, channel)``; `film` has twice as many: γ and β."""
        scale, shift = film.chunk(2, dim=-1)
        changed: Tensor = self.change((1.0 + scale) * self.norm(values) + shift)
        return values + changed


class FilmNetwork(Denoiser):
    """A perceptron that is steered block by block by features, time, place, stations and step.

    What features and conditions say is computed once (`prepare`), however many steps and members follow:
    they meet the step only as sums, in γ, β and the first layer.

    Parameters
    ----------
    plain, fixed, stations
        Features that are plain, of time and place, and of stations: the parts of ``X``, see
        `vadose.models.diffusion.conditions.Conditions`.
    outputs
        Values of a place.
    width, blocks
        Channels of a layer, and number of blocks.
    dropout
        Share of the channels that are silenced in training.
    omission
        Share of the samples whose statistics of stations are withheld in training, so that the denoiser
        can do without.

    References
    ----------
    Perez et al. (2018), AAAI 32, for FiLM.

    Examples
    --------
    >>> network = FilmNetwork(
    ...     3, 0, 0, outputs=1, width=16, blocks=2, dropout=0.0, omission=0.0
    ... )
    >>> condition = network.prepare(torch.zeros(5, 3))
    >>> network(torch.zeros(5, 1), torch.zeros(5, dtype=torch.long), condition).shape
    torch.Size([5, 1])
    """

    def __init__(
        self,
        plain: int,
        fixed: int,
        stations: int,
        *,
        outputs: int,
        width: int,
        blocks: int,
        dropout: float,
        omission: float,
    ) -> None:
        super().__init__()
        self.stations, self.omission, self.width = stations, omission, width
        self.parts = [plain, fixed, stations]
        self.readers = nn.ModuleList(
            nn.Sequential(
                nn.Linear(part, width),
                nn.LayerNorm(width),
                nn.SiLU(),
                nn.Dropout(dropout),
                nn.Linear(width, width),
            )
            for part in self.parts
            if part
        )
        self.fuse = nn.Sequential(
            nn.SiLU(), nn.Linear(width, width), nn.LayerNorm(width), nn.SiLU()
        )
        films = 2 * width * blocks
        self.condition = nn.Linear(width, width + films)
        self.step = nn.Sequential(nn.Linear(2 * STEP_WAVES, width), nn.SiLU())
        self.step_film = nn.Linear(width, films, bias=False)
        self.entry = nn.Linear(outputs, width)
        self.blocks = nn.ModuleList(FilmBlock(width, dropout=dropout) for _ in range(blocks))
        self.exit = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, outputs))
        with torch.no_grad():  # γ = β = 0 at first: nothing is steered before it is learned how
            self.condition.weight[width:] = 0.0
            self.condition.bias[width:] = 0.0
            self.step_film.weight.zero_()

    def prepare(self, X: Tensor) -> Tensor:
        """Map ``(…, feature)`` to what features add to the first layer and to every γ and β."""
        parts = [part for part in torch.split(X, self.parts, dim=-1) if part.shape[-1]]
        if self.training and self.stations and self.omission:
            is_told = torch.rand((*X.shape[:-1], 1), device=X.device) >= self.omission
            parts[-1] = parts[-1] * is_told
        told = [read(part) for read, part in zip(self.readers, parts, strict=True)]
        result: Tensor = self.condition(self.fuse(torch.stack(told).sum(dim=0)))
        return result

    def forward(self, noisy: Tensor, step: Tensor, condition: Tensor) -> Tensor:
        """Keep the dims ``(sample, …, output)``."""
        film = self.step_film(self.step(step_waves(step)))
        film = film.view(len(step), *[1] * (noisy.ndim - 2), -1)
        values = self.entry(noisy) + condition[..., : self.width]
        films = (condition[..., self.width :] + film).chunk(len(self.blocks), dim=-1)
        for block, own in zip(self.blocks, films, strict=True):
            values = block(values, own)
        result: Tensor = self.exit(values)
        return result
