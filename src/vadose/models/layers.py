"""The modules that networks are made of: ``(sample, …, feature)`` in, ``(sample, …, output)`` out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def perceptron(
    features: int, outputs: int, *, hidden: Sequence[int], dropout: float
) -> nn.Sequential:
    """Stack layers of linear map, layer norm, ReLU and dropout, and a linear map at the end."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(features, width), nn.LayerNorm(width), nn.ReLU(), nn.Dropout(dropout)]
        features = width
    return nn.Sequential(*layers, nn.Linear(features, outputs))


class Recurrent(nn.Module):
    """A linear layer with ReLU, an LSTM over time, dropout, and a linear layer for each step."""

    def __init__(
        self, features: int, outputs: int, *, hidden: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.entry = nn.Sequential(nn.Linear(features, hidden), nn.ReLU())
        inner = dropout if layers > 1 else 0.0
        self.memory = nn.LSTM(hidden, hidden, layers, batch_first=True, dropout=inner)
        self.exit = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, outputs))

    def forward(self, X: Tensor) -> Tensor:
        """Map ``(sample, time, feature)`` to ``(sample, time, output)``."""
        states, _ = self.memory(self.entry(X))
        result: Tensor = self.exit(states)
        return result


class CausalBlock(nn.Module):
    """Add a dilated convolution over the steps up to each one to what came in."""

    def __init__(self, channels: int, *, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(
            channels
        )  # over the channels of a step, so that no later one is seen
        self.past = (kernel - 1) * dilation
        self.convolution = nn.Conv1d(channels, channels, kernel, dilation=dilation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, X: Tensor) -> Tensor:
        """Keep the dims ``(sample, time, channel)``."""
        steps = nn.functional.pad(self.norm(X).transpose(1, 2), (self.past, 0))
        change = torch.relu(self.convolution(steps)).transpose(1, 2)
        result: Tensor = X + self.dropout(change)
        return result


class Convolutional(nn.Module):
    """Causal convolutions with doubling dilation; sees ``1 + (kernel - 1) (2**blocks - 1)`` steps."""

    def __init__(
        self,
        features: int,
        outputs: int,
        *,
        channels: int,
        blocks: int,
        kernel: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.entry = nn.Linear(features, channels)
        self.blocks = nn.Sequential(
            *(
                CausalBlock(channels, kernel=kernel, dilation=2**level, dropout=dropout)
                for level in range(blocks)
            )
        )
        self.exit = nn.Sequential(nn.LayerNorm(channels), nn.ReLU(), nn.Linear(channels, outputs))

    def forward(self, X: Tensor) -> Tensor:
        """Map ``(sample, time, feature)`` to ``(sample, time, output)``."""
        result: Tensor = self.exit(self.blocks(self.entry(X)))
        return result
