"""A diffusion model of whole maps, for patches: neighbours have a say in what a cell may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self, cast

import numpy as np
import numpy.typing as npt

from vadose.errors import ModelProblem, UnknownName
from vadose.models.base import Column, Groups, Kind, Table
from vadose.models.diffusion.conditions import Conditions
from vadose.models.diffusion.departures import Departing
from vadose.models.diffusion.generator import Generator
from vadose.models.diffusion.noise import smooth_noise
from vadose.models.network import PREDICTED_AT_ONCE, Network
from vadose.models.ranges import COUNT, COUNT_OR_NONE, SHARE, Range, check_odd

if TYPE_CHECKING:
    from vadose.models.diffusion.denoiser import Denoiser
    from vadose.models.diffusion.losses import DrawNoise
    from vadose.models.diffusion.unet import MapNetwork

#: How the noise of the training may hang together.
NOISES = ("smooth", "independent")


class DiffusionMaps(Departing):
    """Learn to make noise into maps of the target, given maps of the features.

    As `vadose.models.diffusion.Diffusion`, but a map is made as a whole by a small U-Net: what neighbours
    are told counts. Maps may have gaps, and any size.

    Parameters
    ----------
    levels
        Scales that the network looks at, each twice as far as the one before.
    kernel
        Cells along the side of a convolution (odd).
    tile
        Cells along the side of the tiles in which a map goes through each step; 0: at once. A matter of
        memory and not of the result: tiles see what surrounds them, and meet again after every step.
    noise
        How the noise hangs together that is learned with: ``smooth``, over neighbours, or ``independent``.
        `coherence` tells whoever draws.
    conditions, residual, bounds, schedule, prediction, sampler, steps, draws, width, dropout, omission, folds
        See `vadose.models.diffusion.Diffusion`.
    epochs, batch, rate, decay, patience, seed
        See `vadose.models.training.Plan`.

    Attributes
    ----------
    finer : int
        How many times smaller the cells are that are predicted on than those of the training; see
        `vadose.models.resnet.ResNet`.

    Notes
    -----
    Members are what they should be where the noise that they begin with hangs together as in training. On a
    grid that is `finer` the neighbours of a cell are means over many: noise of a cell's own would vanish in
    them, and one number for the whole map would be taken for a map. Smooth noise, whose knots lie as far
    apart as the cells of the training (`vadose.models.diffusion.noise.spline_weights`), is on every grid to
    the network what it was in training.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.random((16, 6, 6, 1))
    >>> y = X[..., 0] + rng.normal(0.0, 0.05, X.shape[:-1])
    >>> model = DiffusionMaps(width=8, levels=1, epochs=12, rate=0.01, dropout=0.0).fit(X, y)
    >>> members = model.sample(X[:2], np.zeros((3, 2, 6, 6)), steps=5)
    >>> members.shape, bool(np.isfinite(members).all())
    ((3, 2, 6, 6), True)
    """

    name: ClassVar[str] = "diffusion_maps"
    kind: ClassVar[Kind] = "patches"
    ranges: ClassVar[Mapping[str, Range]] = {
        **Generator.ranges,
        "width": Range(2),
        "dropout": SHARE,
        "omission": SHARE,
        "levels": COUNT,
        "tile": COUNT_OR_NONE,
        "folds": Range(2),
    }

    def __init__(
        self,
        *,
        conditions: Mapping[str, int] | None = None,
        residual: bool = False,
        bounds: Sequence[float] | None = None,
        schedule: str = "cosine",
        prediction: str = "v",
        sampler: str = "dpm_solver",
        steps: int = 20,
        draws: int = 16,
        width: int = 32,
        levels: int = 3,
        kernel: int = 3,
        tile: int = 0,
        noise: str = "smooth",
        dropout: float = 0.2,
        omission: float = 0.2,
        folds: int = 5,
        epochs: int = 60,
        batch: int = 4,
        rate: float = 1e-3,
        decay: float = 1e-4,
        patience: int = 20,
        seed: int = 0,
    ) -> None:
        super().__init__(
            bounds=bounds,
            schedule=schedule,
            prediction=prediction,
            sampler=sampler,
            steps=steps,
            draws=draws,
            epochs=epochs,
            batch=batch,
            rate=rate,
            decay=decay,
            patience=patience,
            seed=seed,
        )
        self.conditions, self.residual, self.folds = conditions, residual, folds
        self.width, self.levels, self.kernel = width, levels, kernel
        self.tile, self.dropout, self.omission, self.finer = tile, dropout, omission, 1
        self.noise = noise

    @property
    def coherence(self) -> str:
        """Say how the noise should hang together that members begin with."""
        return self.noise

    def fit(
        self, X: Table, y: Table, *, weight: Table | None = None, groups: Groups | None = None
    ) -> Self:
        """Train, see `vadose.models.diffusion.departures.Departing.fit`."""
        self._split(np.shape(X)[-1])
        self.finer = 1
        return super().fit(X, y, weight=weight, groups=groups)

    def _check(self) -> None:
        super()._check()
        check_odd(self, "kernel")
        if self.noise not in NOISES:
            raise UnknownName(f"noise of {self.name}", self.noise, NOISES)

    def _learned_noise(self) -> DrawNoise | None:
        from vadose.models.diffusion.losses import smooth

        return smooth if self.noise == "smooth" else None

    def _even_noise(self, places: tuple[int, ...], outputs: int) -> npt.NDArray[np.float32]:
        if self.noise != "smooth" or not np.prod(places):
            return super()._even_noise(places, outputs)
        each = [
            smooth_noise((places[0], places[1]), self.finer, self.draws, seed=self.seed + number)
            for number in range(outputs)
        ]
        return np.stack(each, axis=-1)

    def _split(self, features: int) -> Conditions:
        return Conditions(self.conditions or {}, features)

    def _module(self, features: int, outputs: int) -> Denoiser:
        from vadose.models.diffusion.unet import MapNetwork

        network = MapNetwork(
            *self._split(features).widths,
            outputs=outputs,
            width=self.width,
            levels=self.levels,
            kernel=self.kernel,
            dropout=self.dropout,
            omission=self.omission,
        )
        network.set_finer(1)
        return network

    def _at_once(self, shape: tuple[int, ...]) -> int:
        """Say how many small maps go through side by side."""
        return max(1, PREDICTED_AT_ONCE // max(shape[1] * shape[2], 1))

    def _scaled(self, table: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Scale and encode as rows are; the last channel tells which cells there are."""
        scaled = Network._scaled(self, table)
        is_there = scaled[..., -1:]
        told = np.where(is_there > 0, table, 0.0).astype(np.float32)
        encoded = self._split(table.shape[-1]).encode(told, scaled[..., :-1])
        return np.concatenate([encoded * is_there, is_there], axis=-1).astype(np.float32)

    def _members(self, table: npt.NDArray[np.float32], *others: Table, **how: object) -> Column:
        if self.finer < 1:
            raise ModelProblem(f"finer of {self.name}", found=str(self.finer), expected="1 or more")
        network = cast("MapNetwork", self.modules_[0])
        network.set_finer(self.finer)
        network.tile = self.tile or None
        return super()._members(table, *others, **how)  # type: ignore[arg-type]
