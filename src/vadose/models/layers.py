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


class LockedDropout(nn.Module):
    """Silence the same channels of a sample at all of its steps, so that a memory cannot average it out.

    References
    ----------
    Gal and Ghahramani (2016), NeurIPS 29.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, X: Tensor) -> Tensor:
        """Keep the dims ``(sample, time, channel)``."""
        mask = X.new_ones(len(X), 1, X.shape[-1])
        return X * nn.functional.dropout(mask, self.share, self.training)


class Recurrent(nn.Module):
    """A linear layer with ReLU, an LSTM over time, locked dropout, and a linear layer for each step."""

    def __init__(
        self,
        features: int,
        outputs: int,
        *,
        embedding: int,
        hidden: int,
        layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.entry = nn.Sequential(nn.Linear(features, embedding), nn.ReLU())
        inner = dropout if layers > 1 else 0.0
        self.memory = nn.LSTM(embedding, hidden, layers, batch_first=True, dropout=inner)
        self.exit = nn.Sequential(LockedDropout(dropout), nn.Linear(hidden, outputs))
        with torch.no_grad():  # remember at first: Jozefowicz et al. (2015), ICML 37:2342
            for name, bias in self.memory.named_parameters():
                if name.startswith("bias_hh"):
                    bias[hidden : 2 * hidden] += 1.0

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


class DayEncoder(nn.Module):
    """Convolve each day over its features and keep the strongest answer of every channel."""

    def __init__(self, features: int, *, channels: int, layers: int, kernel: int) -> None:
        super().__init__()
        # one channel comes in; a factor and an offset of its own let the maximum tell a feature from
        # the others, which a convolution that is the same everywhere cannot
        self.factor = nn.Parameter(torch.ones(features))
        self.offset = nn.Parameter(torch.zeros(features))
        stack: list[nn.Module] = []
        width = 1
        for _ in range(layers):
            stack += [
                nn.Conv1d(width, channels, kernel, padding="same", bias=False),
                nn.BatchNorm1d(channels),
                nn.ReLU(),
            ]
            width = channels
        self.convolutions = nn.Sequential(*stack)
        self.exit = nn.Sequential(nn.Linear(channels, channels), nn.ReLU())

    def forward(self, X: Tensor) -> Tensor:
        """Map ``(…, feature)`` to ``(…, channel)``."""
        days = (X * self.factor + self.offset).flatten(0, -2).unsqueeze(1)
        strongest = self.convolutions(days).amax(dim=-1)
        result: Tensor = self.exit(strongest).unflatten(0, X.shape[:-1])
        return result


class WindowedGRU(nn.Module):
    """Encode each day once, and run a GRU over the last days of every step, from an empty memory.

    A day lies in as many windows as they are long. Its part of the gates is the same in all of them, and
    is computed once; `torch.nn.GRU` over unfolded windows gives the same values.

    Without training, steps go through in blocks that are always of one size, so that memory is bounded
    and a step's bits do not depend on the length of its sample.
    """

    #: Steps that go through at once when nothing is learned.
    STEPS = 16

    def __init__(
        self,
        features: int,
        outputs: int,
        *,
        channels: int,
        layers: int,
        kernel: int,
        length: int,
        hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.length = length
        self.encoder = DayEncoder(features, channels=channels, layers=layers, kernel=kernel)
        self.entry = nn.Linear(channels, 3 * hidden)
        self.memory = nn.Linear(hidden, 3 * hidden)
        self.exit = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, outputs))

    def forward(self, X: Tensor) -> Tensor:
        """Map ``(sample, time, feature)`` to ``(sample, time, output)``."""
        steps = X.shape[1]
        size = steps
        if not self.training:
            size = self.STEPS
            X = torch.cat([X, X[:, -1:].expand(-1, -steps % size, -1)], dim=1)
        gates = torch.cat(
            [self.entry(self.encoder(part)) for part in torch.split(X, size, 1)], dim=1
        )
        before = gates[:, :1].expand(-1, self.length - 1, -1)
        gates = torch.cat([before, gates], dim=1)
        values = [
            self.exit(self._recall(gates[:, start : start + size + self.length - 1]))
            for start in range(0, X.shape[1], size)
        ]
        return torch.cat(values, dim=1)[:, :steps]

    def _recall(self, gates: Tensor) -> Tensor:
        """Give the last state of each window: ``(sample, window + length - 1, 3 hidden)`` in."""
        windows = gates.shape[1] - self.length + 1
        state = gates.new_zeros(len(gates), windows, self.memory.in_features)
        for lag in range(self.length):
            reset, update, fresh = gates[:, lag : lag + windows].chunk(3, dim=-1)
            old_reset, old_update, old_fresh = self.memory(state).chunk(3, dim=-1)
            update = torch.sigmoid(update + old_update)
            fresh = torch.tanh(fresh + torch.sigmoid(reset + old_reset) * old_fresh)
            state = fresh + update * (state - fresh)
        return state


class MaskedConvolution(nn.Module):
    """Convolve over neighbours; the mean of those that there are stands for those that are missing.

    Cells beyond the rim and cells that are masked are treated alike. A constant map stays constant up to
    the rim, whatever the weights, which neither zeros nor a factor for the missing share would grant.

    On a grid that is `finer` than that of the training, the neighbours are means over as many cells as
    make one of the training's, and lie as far apart on the ground; the cell itself stays as fine as it is.
    """

    def __init__(self, channels: int, *, kernel: int) -> None:
        super().__init__()
        self.kernel, self.finer = kernel, 1
        self.convolution = nn.Conv2d(channels, channels, kernel)

    def forward(self, X: Tensor, is_there: Tensor) -> Tensor:
        """Keep the dims ``(sample, y, x, channel)``; ``X`` is 0 where ``(sample, y, x, 1)`` is 0."""
        own, cells = X.permute(0, 3, 1, 2), is_there.permute(0, 3, 1, 2)
        reach = self.kernel // 2
        if reach == 0:
            result: Tensor = self.convolution(own)
            return result.permute(0, 2, 3, 1)
        ring = reach * self.finer
        padded = [nn.functional.pad(one, [ring] * 4) for one in (own, cells)]
        near, near_share = (_square_mean(one, self.finer) for one in padded)
        wide, wide_share = (_square_mean(one, self.kernel * self.finer) for one in padded)
        # where a square holds no cell its mean is 0; of the wide ones that happens only where no cell
        # looks to
        filled = torch.where(
            near_share > 0,
            near / near_share.clamp_min(1e-9),
            wide / wide_share.clamp_min(1e-9),
        )
        weight, bias = self.convolution.weight, self.convolution.bias
        result = nn.functional.conv2d(filled, weight, bias, dilation=self.finer)
        if self.finer > 1:
            departure = own - filled[..., ring:-ring, ring:-ring]
            centre = weight[..., reach : reach + 1, reach : reach + 1]
            result = result + nn.functional.conv2d(departure, centre)
        return result.permute(0, 2, 3, 1)


def _square_mean(maps: Tensor, cells: int) -> Tensor:
    """Give the mean over a centred square of an odd number of cells along its side, 0 beyond the rim."""
    side = cells | 1
    if side == 1:
        return maps
    padded = nn.functional.pad(maps, [side // 2] * 4)
    return _sliding_sum(_sliding_sum(padded, side, dim=2), side, dim=3) / side**2


def _sliding_sum(maps: Tensor, side: int, *, dim: int) -> Tensor:
    """Add up `side` cells that follow on each other, in pairs of pairs, in the same order at every place."""
    left = maps.shape[dim] - side + 1
    part, total, done, size = maps, None, 0, 1
    while True:
        if side & size:
            piece = part.narrow(dim, done, left)
            total = piece if total is None else total + piece
            done += size
        if done == side:
            assert total is not None  # noqa: S101 - a side has a cell
            return total
        length = part.shape[dim] - size
        part = part.narrow(dim, 0, length) + part.narrow(dim, size, length)
        size *= 2


class MaskedBlock(nn.Module):
    """Add a convolution over neighbours and one over the channels of a cell to what came in."""

    def __init__(self, channels: int, *, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(
            channels
        )  # over a cell's own channels: no cell feels the whole map
        self.neighbours = MaskedConvolution(channels, kernel=kernel)
        self.cell = nn.Sequential(nn.ReLU(), nn.Linear(channels, channels), nn.Dropout(dropout))

    def forward(self, X: Tensor, is_there: Tensor) -> Tensor:
        """Keep the dims ``(sample, y, x, channel)``."""
        change = self.cell(self.neighbours(self.norm(X) * is_there, is_there))
        result: Tensor = (X + change) * is_there
        return result


class MaskedResidual(nn.Module):
    """Residual blocks over maps whose last channel tells which cells there are."""

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
        self.blocks = nn.ModuleList(
            MaskedBlock(channels, kernel=kernel, dropout=dropout) for _ in range(blocks)
        )
        self.exit = nn.Sequential(nn.LayerNorm(channels), nn.ReLU(), nn.Linear(channels, outputs))

    def forward(self, X: Tensor) -> Tensor:
        """Map ``(sample, y, x, feature + 1)`` to ``(sample, y, x, output)``."""
        is_there = X[..., -1:]
        maps = self.entry(X[..., :-1]) * is_there
        for block in self.blocks:
            maps = block(maps, is_there)
        result: Tensor = self.exit(maps)
        return result
