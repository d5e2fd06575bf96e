"""Networks in the form in which they predict fastest: the same numbers but for the rounding.

What is learned stays in the modules of `vadose.models.layers`, which are written to be trained and read.
For a prediction the same weights are laid out anew, module by module:

* products of matrices go through oneDNN's convolutions with the channels last, where processors of any
  make use their widest registers; torch's own go through a library that does so on some only;
* what a batch norm does when nothing is learned is a part of the convolution before it;
* a hyperbolic tangent is a sigmoid of twice the argument, for which torch has ten times faster code;
* what several windows, blocks or steps share is computed once.

Every sample goes through the same arithmetic in the same order whatever stands beside it, and blocks are
of sizes that stay in the cache of a core. Sizes were measured, see ``benchmarks/network_inference.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from vadose.models.layers import (
    CausalBlock,
    Convolutional,
    MaskedBlock,
    MaskedConvolution,
    MaskedResidual,
    WindowedGRU,
)

Predictor = Callable[[Tensor], Tensor]
#: Fewest outputs of a linear layer for which a convolution is faster than torch's own product.
WIDE = 16
#: Parts that rows are cut into, for a convolution of fewer is not left to oneDNN; rows are a multiple.
PARTS = 16
#: Days that are encoded at once: 64 channels of 15 features of them fill half of a core's cache.
DAYS = 128
#: Windows that a memory runs over at once.
WINDOWS = 512
#: Numbers of a map that are added up at once.
STRIP = 2**16
#: Days and places whose gates are held at once.
GATES = 16_384


@singledispatch
def swift(module: nn.Module) -> Predictor:
    """Give what predicts as a module does in its state without training, only faster.

    Weights are copied where they are laid out anew: what is given does not follow a further training.

    Parameters
    ----------
    module
        One of `vadose.models.layers` or of linear layers; any other is given back as it is.

    Returns
    -------
    callable
        Takes and gives what the module does, on the CPU in single precision.

    Examples
    --------
    >>> from vadose.models.layers import perceptron
    >>> module = perceptron(15, 1, hidden=[128], dropout=0.1).eval()
    >>> rows = torch.linspace(-1, 1, 15 * 64).reshape(64, 15)
    >>> with torch.inference_mode():
    ...     bool(torch.allclose(swift(module)(rows), module(rows), atol=1e-6))
    True
    """
    return module


class Linear:
    """A linear layer for rows, with what follows it."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = weight.detach().contiguous(), bias.detach()
        self.kernel = self.weight[:, :, None, None].contiguous(memory_format=torch.channels_last)

    def __call__(self, X: Tensor) -> Tensor:
        """Map ``(…, feature)`` to ``(…, output)``."""
        rows = X.reshape(-1, X.shape[-1])
        if len(self.weight) < WIDE or len(rows) % PARTS:
            return functional.linear(X, self.weight, self.bias)
        maps = rows.view(PARTS, len(rows) // PARTS, 1, -1).permute(0, 3, 1, 2)
        values = functional.conv2d(maps, self.kernel, self.bias).permute(0, 2, 3, 1)
        return values.reshape(*X.shape[:-1], len(self.weight))


def linear(layer: nn.Module) -> Linear:
    """Lay a linear layer out."""
    one = cast(nn.Linear, layer)
    return Linear(one.weight, one.bias)


@swift.register
def _sequential(module: nn.Sequential) -> Predictor:
    """Put linear layers and what is between them in a row."""
    layers = [one for one in module if not isinstance(one, nn.Dropout)]
    steps: list[Predictor] = []
    #: tanh(x) = 2 sigmoid(2 x) - 1, of which the factors and the offset are left to the linear layers
    is_after = False
    for one, following in pairwise([*layers, nn.Identity()]):
        if isinstance(one, nn.Linear):
            weight, bias = one.weight.detach(), one.bias.detach()
            if is_after:
                weight, bias = 2 * weight, bias - weight.sum(dim=1)
            is_after = isinstance(following, nn.Tanh)
            steps.append(Linear(2 * weight, 2 * bias) if is_after else Linear(weight, bias))
        elif isinstance(one, nn.Tanh) and is_after:
            steps.append(torch.sigmoid_)
        elif isinstance(one, nn.ReLU):
            steps.append(torch.relu_)
        elif isinstance(one, nn.LayerNorm):
            steps.append(one)
        else:
            return module

    def predict(X: Tensor) -> Tensor:
        for step in steps:
            X = step(X)
        return X

    return predict


@swift.register
def _convolutional(module: Convolutional) -> Predictor:
    entry, last = linear(module.entry), linear(module.exit[-1])
    norm, blocks = module.exit[0], cast(list[CausalBlock], list(module.blocks))
    kernels = [
        block.convolution.weight.detach()[:, :, None].contiguous(memory_format=torch.channels_last)
        for block in blocks
    ]

    def predict(X: Tensor) -> Tensor:
        values, steps = entry(X), X.shape[1]
        for block, kernel in zip(blocks, kernels, strict=True):
            dilation = block.convolution.dilation[0]
            # taps that would see nothing but what is before the record
            taps = min(kernel.shape[-1], (steps - 1) // dilation + 1)
            before = functional.pad(block.norm(values), (0, 0, (taps - 1) * dilation, 0))
            change = functional.conv2d(
                before[:, None].permute(0, 3, 1, 2),
                kernel[..., -taps:],
                block.convolution.bias,
                dilation=(1, dilation),
            )
            values += torch.relu_(change)[:, :, 0].transpose(1, 2)
        return last(torch.relu_(norm(values)))

    return predict


class _DayEncoder:
    """`vadose.models.layers.DayEncoder` with its batch norms folded into the convolutions before them."""

    def __init__(self, module: WindowedGRU) -> None:
        encoder = module.encoder
        self.factor, self.offset = encoder.factor.detach(), encoder.offset.detach()
        self.kernels: list[tuple[Tensor, Tensor]] = []
        stack = list(encoder.convolutions)
        convolutions = cast(list[nn.Conv1d], stack[::3])
        norms = cast(list[nn.BatchNorm1d], stack[1::3])
        for convolution, norm in zip(convolutions, norms, strict=True):
            mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
            scale = norm.weight / torch.sqrt(variance + norm.eps)
            weight = (convolution.weight * scale[:, None, None]).detach()[..., None]
            bias = (norm.bias - mean * scale).detach()
            self.kernels.append((weight.contiguous(memory_format=torch.channels_last), bias))
        self.exit, self.entry = linear(encoder.exit[0]), linear(module.entry)

    def __call__(self, days: Tensor) -> Tensor:
        """Map `DAYS` days, dims ``(day, feature)``, to their part of the gates, ``(day, 3 hidden)``."""
        # features are the rows and days the columns of a map: no day is a neighbour of another
        values = (days * self.factor + self.offset).t()[None, None]
        for kernel, bias in self.kernels:
            padding = (kernel.shape[2] // 2, 0)
            values = torch.relu_(functional.conv2d(values, kernel, bias, padding=padding))
        strongest = values[0].permute(1, 2, 0).amax(dim=0)  # as it lies in memory, which is faster
        return self.entry(torch.relu_(self.exit(strongest)))


@swift.register
def _windowed(module: WindowedGRU) -> Predictor:
    encode = _DayEncoder(module)
    width = module.memory.in_features
    # tanh(x) = 2 sigmoid(2 x) - 1: its argument is doubled here
    double = torch.ones(3 * width)
    double[2 * width :] = 2.0
    weight, bias = module.memory.weight.detach(), module.memory.bias.detach()
    memory = Linear(weight * double[:, None], bias * double)
    last = linear(module.exit[-1])

    def recall(gates: Tensor, apart: int) -> Tensor:
        """Give the last states of `WINDOWS` windows; the next day of each lies so many rows `apart`."""
        state = gates.new_zeros(WINDOWS, width)
        for lag in range(module.length):
            own = gates[lag * apart : lag * apart + WINDOWS]
            old = memory(state)
            both = torch.sigmoid_(own[:, : 2 * width] + old[:, : 2 * width])
            reset, update = both[:, :width], both[:, width:]
            fresh = torch.addcmul(own[:, 2 * width :], reset, old[:, 2 * width :])
            fresh = torch.sigmoid_(fresh).mul_(2.0).sub_(1.0)
            state = torch.lerp(fresh, state, update)
        return state

    def predict_some(X: Tensor) -> Tensor:
        samples, steps, features = X.shape
        days = X.transpose(0, 1).reshape(-1, features)
        filled = functional.pad(days, (0, 0, 0, -len(days) % DAYS))
        parts = [encode(part) for part in torch.split(filled, DAYS)]
        gates = torch.cat(parts)[: len(days)] * double
        ahead = -len(days) % WINDOWS
        before = gates[:samples].repeat(module.length - 1, 1)
        gates = torch.cat([before, gates, gates.new_zeros(ahead, gates.shape[1])])
        states = [recall(gates[start:], samples) for start in range(0, len(days) + ahead, WINDOWS)]
        values = last(torch.cat(states))[: len(days)]
        return values.view(steps, samples, -1).transpose(0, 1)

    def predict(X: Tensor) -> Tensor:
        together = max(1, GATES // (X.shape[1] + module.length))
        return torch.cat([predict_some(part) for part in torch.split(X, together)])

    return predict


@swift.register
def _masked(module: MaskedResidual) -> Predictor:
    entry, last = linear(module.entry), linear(module.exit[-1])
    blocks = cast(list[MaskedBlock], list(module.blocks))

    def predict(X: Tensor) -> Tensor:
        is_there = X[..., -1:]
        maps = entry(X[..., :-1]) * is_there
        fill = _Filling(is_there, blocks[0].neighbours) if blocks else None
        for block in blocks:
            cells = block.norm(maps).mul_(is_there)
            change = _neighbours(block.neighbours, cells, fill)
            maps.add_(linear(block.cell[1])(torch.relu_(change))).mul_(is_there)
        return last(torch.relu_(module.exit[0](maps)))

    return predict


def _neighbours(layer: MaskedConvolution, cells: Tensor, fill: _Filling | None) -> Tensor:
    """Do what `vadose.models.layers.MaskedConvolution` does; dims ``(sample, y, x, channel)``."""
    weight, bias = layer.convolution.weight, cast(Tensor, layer.convolution.bias)
    reach = layer.kernel // 2
    if reach == 0 or fill is None:
        return Linear(weight[:, :, 0, 0], bias)(cells)
    filled = fill(cells)
    kernel = weight.contiguous(memory_format=torch.channels_last)
    change = functional.conv2d(filled.permute(0, 3, 1, 2), kernel, bias, dilation=layer.finer)
    result = change.permute(0, 2, 3, 1)
    if layer.finer > 1:
        ring = reach * layer.finer
        departure = cells - filled[:, ring:-ring, ring:-ring]
        result = result + Linear(weight[:, :, reach, reach], torch.zeros_like(bias))(departure)
    return result


class _Filling:
    """Put means of neighbours for cells, with shares of the mask that all blocks have in common.

    Sums along the two sides of a square follow each other, strip by strip of the map, so that what is
    added up lies in the cache.
    """

    def __init__(self, is_there: Tensor, layer: MaskedConvolution) -> None:
        self.kernel, self.finer = layer.kernel, layer.finer
        self.ring = self.kernel // 2 * self.finer
        size = [edge + 2 * self.ring for edge in is_there.shape[1:3]]
        shape = (len(is_there), *size, 1)
        self.per_near, self.per_wide = is_there.new_ones(shape), is_there.new_zeros(shape)
        near = self(is_there)
        self.per_near, self.per_wide = self.per_wide, self.per_near
        wide = self(is_there)
        self.per_near = torch.where(near > 0, 1 / near.clamp_min(1), 0.0)
        self.per_wide = torch.where(near > 0, 0.0, 1 / wide.clamp_min(1))

    def __call__(self, cells: Tensor) -> Tensor:
        """Give each cell, and each of the ring outside, the mean of its near square or else its wide one."""
        wide = self._columns(cells, self.kernel)
        if self.finer == 1:  # its near square is the cell itself, which holds 0 where there is none
            filled = functional.pad(cells, [0, 0, *[self.ring] * 4])
        else:
            near = self._columns(cells, 1)
            filled = cells.new_empty((*self.per_near.shape[:-1], cells.shape[-1]))
        for rows in _strips(filled, 1):
            if self.finer > 1:
                one = self._sums(near[:, rows], 2, 1)
                torch.mul(one, self.per_near[:, rows], out=filled[:, rows])
            three = self._sums(wide[:, rows], 2, self.kernel)
            filled[:, rows].addcmul_(three, self.per_wide[:, rows])
        return filled

    def _columns(self, cells: Tensor, times: int) -> Tensor:
        """Give sums along the columns of a map, which become longer by the ring."""
        shape = (len(cells), self.per_near.shape[1], *cells.shape[2:])
        sums = cells.new_empty(shape)
        for columns in _strips(sums, 2):
            sums[:, :, columns] = self._sums(cells[:, :, columns], 1, times)
        return sums

    def _sums(self, strip: Tensor, dim: int, times: int) -> Tensor:
        """Give centred sums of so many spans of cells of the training's size along one side of a map."""
        margins = [0, 0] * (3 - dim) + [self.ring + times * self.finer // 2] * 2
        strip = functional.pad(strip, margins)
        return _joined(strip, _spans(strip, dim, self.finer), dim, self.finer, times)


def _strips(maps: Tensor, dim: int) -> list[slice]:
    """Cut a map across a side into strips that lie in the cache."""
    size = max(1, STRIP * maps.shape[dim] // maps.numel())
    return [slice(start, start + size) for start in range(0, maps.shape[dim], size)]


def _spans(maps: Tensor, dim: int, cells: int) -> Tensor:
    """Give sums of so many cells that follow each other.

    Sums of 2, 4, 8, … cells are made of two of those before: one of 36 takes six additions, in an order
    that does not depend on where the cell lies.
    """
    total = maps.shape[dim]
    span, length = maps, 0
    power, size = maps, 1
    while True:
        if cells & size:
            count = total - length - size + 1
            part = power.narrow(dim, length, count)
            span = span.narrow(dim, 0, count) + part if length else part
            length += size
        if length == cells:
            return span
        count = total - 2 * size + 1
        power = power.narrow(dim, 0, count) + power.narrow(dim, size, count)
        size *= 2


def _joined(maps: Tensor, span: Tensor, dim: int, cells: int, times: int) -> Tensor:
    """Give sums of so many spans of cells, and of one cell more where it takes it to have a centre."""
    side = (times * cells) | 1
    count = maps.shape[dim] - side + 1
    result = span.narrow(dim, 0, count)
    for place in range(1, times):
        result = result + span.narrow(dim, place * cells, count)
    return result if side == times * cells else result + maps.narrow(dim, times * cells, count)
