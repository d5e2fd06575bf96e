"""Members in blocks: pairs of a sample and a noise go through all steps together, of one size whatever there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vadose.models import training
from vadose.models.cores import side_by_side
from vadose.models.diffusion.denoiser import Denoiser
from vadose.models.diffusion.losses import Loss
from vadose.models.diffusion.samplers import Draw, Sampler
from vadose.models.network import PLACES_SIDE_BY_SIDE

Maps = npt.NDArray[np.float32]
#: Gives scaled samples, of which no value is missing.
Encode = Callable[[Maps], Maps]


@dataclass(frozen=True)
class Path:
    """Hold what leads from noise to members.

    Attributes
    ----------
    denoiser
        Trained.
    loss
        That it was trained with.
    sampler
        Any.
    visited
        Falling steps.
    is_mixed
        A GPU may compute in bfloat16, see `vadose.models.training.precision`.
    """

    denoiser: Denoiser
    loss: Loss
    sampler: Sampler
    visited: Sequence[int]
    is_mixed: bool = False

    def follow(
        self, X: Tensor, noise: Tensor, bounds: tuple[Tensor, Tensor] | None, draw: Draw | None
    ) -> Tensor:
        """Give a value for each pair of a sample and a noise.

        Parameters
        ----------
        X
            Dims ``(pair, …, feature)``.
        noise
            Dims ``(pair, …, output)``.
        bounds
            Least and largest clean value, of dims that suit those of `noise`.
        draw
            For samplers that are random.
        """
        with training.precision(X.device, is_mixed=self.is_mixed):
            condition = self.denoiser.prepare(X)

        def clean(noisy: Tensor, step: int) -> Tensor:
            steps = torch.full((1,), step, device=noisy.device)
            with training.precision(X.device, is_mixed=self.is_mixed):
                predicted = self.denoiser(noisy, steps, condition)
            expected = self.loss.clean(predicted.float(), noisy, steps)
            return expected if bounds is None else expected.clamp(*bounds)

        return self.sampler(clean, self.loss.schedule, noise, self.visited, draw=draw)


def make_members(
    path: Path,
    encode: Encode,
    table: Maps,
    noise: Maps,
    bounds: Sequence[Maps] | None,
    *,
    size: int,
    workers: int | None = None,
    rng: np.random.Generator | None = None,
) -> Maps:
    """Give a member of each sample for each noise.

    Parameters
    ----------
    path
        What leads there.
    encode
        Applied to samples of `table` before they meet the network.
    table
        Dims ``(sample, …, feature)``.
    noise
        Dims ``(member, sample, …, output)``.
    bounds
        Least and largest value, dims ``(sample, …, output)``.
    size
        Pairs in a block, which is filled up to it: so the bits of a pair do not depend on the others.
    workers
        Threads; as many as torch's unless given.
    rng
        For samplers that are random.

    Returns
    -------
    numpy.ndarray
        The dims of `noise`.
    """
    where = training.device()
    path.denoiser.to(where).eval()
    draws = noise.shape[0]
    starts = range(0, draws * len(table), size)
    seeds = None if rng is None else rng.integers(2**63 - 1, size=len(starts))

    def filled(part: Maps) -> Tensor:
        whole = np.zeros((size, *part.shape[1:]), dtype=np.float32)
        whole[: len(part)] = part
        return torch.from_numpy(whole).to(where)

    def one_block(start: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Maps]:
        # all members of a sample, then those of the next: few samples fill a block too
        pairs = np.arange(start, min(start + size, draws * len(table)))
        rows, members = np.divmod(pairs, draws)
        first = int(rows[0])
        samples = encode(table[first : int(rows[-1]) + 1])[rows - first]
        limits = None if bounds is None else (filled(bounds[0][rows]), filled(bounds[1][rows]))
        draw = None if seeds is None else _fresh_noise(int(seeds[start // size]))
        with torch.inference_mode():
            values = path.follow(filled(samples), filled(noise[members, rows]), limits, draw)
        return members, rows, values.float().cpu().numpy()[: len(pairs)]

    result = np.empty(noise.shape, dtype=np.float32)
    cores = (workers or torch.get_num_threads()) if where.type == "cpu" else 1
    places = size * int(np.prod(table.shape[1:-1]))
    lanes = max(1, min(cores, PLACES_SIDE_BY_SIDE // max(places, 1)))
    # how many cores a block has does not depend on how many blocks there are
    for members, rows, values in side_by_side(
        one_block, starts, workers=max(1, min(lanes, len(starts))), cores=cores // lanes
    ):
        result[members, rows] = values
    return result


def _fresh_noise(seed: int) -> Draw:
    generator = torch.Generator().manual_seed(seed)

    def draw(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator).to(like.device)

    return draw
