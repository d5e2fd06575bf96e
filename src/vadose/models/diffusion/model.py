"""A conditional diffusion model for rows: many values that may be, instead of one that is expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, cast

import numpy as np
import numpy.typing as npt

from vadose.errors import ModelProblem, UnknownName
from vadose.models.base import (
    Column,
    Groups,
    Kind,
    Table,
    check_groups,
    check_table,
    check_training,
)
from vadose.models.crossvalidation import out_of_fold
from vadose.models.diffusion.conditions import Conditions
from vadose.models.diffusion.noise import even_noise, suited_noise
from vadose.models.diffusion.schedules import SCHEDULES
from vadose.models.forest import RandomForest
from vadose.models.network import LEAST, Network
from vadose.models.ranges import COUNT, SHARE, Range

if TYPE_CHECKING:
    from vadose.models.diffusion.denoiser import Denoiser
    from vadose.models.diffusion.losses import Loss
    from vadose.models.training import Data, History

#: Values, places times members, that a prediction holds at once.
HELD_AT_ONCE = 2**20
#: Folder of the regression inside that of the model.
REGRESSION = "regression"
#: Samplers that noise alone decides.
PATHS = ("dpm_solver", "ddim")


class Diffusion(Network):
    """Learn to make noise into values of the target, given the features.

    Where a regression gives the mean, this gives members: each is what the target may be. From the same
    noise the same member follows; so `sample` is told the noise, and whoever makes maps decides how it
    hangs together: one number for all places of a day gives a member that is smooth where the features
    are, and independent numbers give speckle.

    `predict` and `spread` take the same few numbers at every place, of mean 0 and variance 1 and evenly
    spread over the normal distribution: with one output a member is then a quantile.

    Parameters
    ----------
    conditions
        Number of the column of each condition, by name; see `vadose.models.diffusion.conditions`, whose
        `find_conditions` makes it from the names of features. All other features are plain.
    residual
        Learn the departures from a random forest (its defaults) that is fitted first, in place of the
        target. Those learned from are out of fold, by groups, so that they are as wide as at places the
        forest has not seen. After Mardani et al. (2025).
    bounds
        Least and largest value that there is, in units of the target. Expected clean values are clipped to
        it at every step. None: anything goes.
    schedule
        ``cosine`` or ``linear``, of 1000 steps.
    prediction
        ``v`` or ``epsilon``, see `vadose.models.diffusion.losses.Loss`.
    sampler
        ``dpm_solver`` or ``ddim``.
    steps
        Steps visited, each a call of the network, unless `sample` is told another number.
    draws
        Members behind `predict` and `spread`.
    width, blocks, dropout, omission
        See `vadose.models.diffusion.film.FilmNetwork`.
    folds
        Number of folds of the departures.
    epochs, batch, rate, decay, patience, seed
        See `vadose.models.training.Plan`.

    Attributes
    ----------
    regression_ : vadose.models.forest.RandomForest
        With ``residual``.

    References
    ----------
    Ho et al. (2020), NeurIPS 33:6840; Mardani et al. (2025), Commun. Earth Environ. 6:124, for residuals.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.random((400, 1))
    >>> y = X[:, 0] + rng.normal(0.0, 0.1, 400)
    >>> model = Diffusion(width=32, blocks=1, epochs=30, batch=32, patience=0).fit(X, y)
    >>> bool(abs(model.predict(X) - X[:, 0]).mean() < 0.1)
    True
    >>> members = model.sample(X, np.array([[-1.0], [1.0]]))  # the same noise everywhere
    >>> members.shape, bool((members[0] < members[1]).mean() > 0.9)
    ((2, 400), True)
    """

    name: ClassVar[str] = "diffusion"
    kind: ClassVar[Kind] = "rows"
    ranges: ClassVar[Mapping[str, Range]] = {
        **Network.ranges,
        "steps": COUNT,
        "draws": Range(2),
        "width": Range(2),
        "blocks": COUNT,
        "dropout": SHARE,
        "omission": SHARE,
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
        width: int = 64,
        blocks: int = 3,
        dropout: float = 0.0,
        omission: float = 0.2,
        folds: int = 5,
        epochs: int = 60,
        batch: int = 128,
        rate: float = 2e-3,
        decay: float = 1e-4,
        patience: int = 12,
        seed: int = 0,
    ) -> None:
        super().__init__(
            members=1,
            epochs=epochs,
            batch=batch,
            rate=rate,
            decay=decay,
            patience=patience,
            seed=seed,
        )
        self.conditions, self.residual, self.bounds = conditions, residual, bounds
        self.schedule, self.prediction, self.sampler = schedule, prediction, sampler
        self.steps, self.draws, self.folds = steps, draws, folds
        self.width, self.blocks = width, blocks
        self.dropout, self.omission = dropout, omission

    def _check(self) -> None:
        super()._check()
        choices: dict[str, Sequence[str]] = {
            "schedule": list(SCHEDULES),
            "prediction": ("v", "epsilon"),
            "sampler": PATHS,
        }
        for key, names in choices.items():
            if getattr(self, key) not in names:
                raise UnknownName(f"{key} of {self.name}", getattr(self, key), names)
        if self.bounds is not None and not _is_range(self.bounds):
            raise ModelProblem(
                f"bounds of {self.name}",
                found=repr(self.bounds),
                expected="the least and the largest value",
            )

    def fit(
        self, X: Table, y: Table, *, weight: Table | None = None, groups: Groups | None = None
    ) -> Self:
        """Train, see `vadose.models.network.Network.fit`; with `residual`, after the regression.

        Raises
        ------
        ModelProblem
            Parameters out of their range, samples that do not suit, fewer groups than folds, or a loss
            that is not finite.
        MissingExtra
            Without torch.
        UnknownName
            A condition, schedule, prediction or sampler that does not exist.
        """
        self._check()
        table, target, weight = check_training(X, y, weight, least=LEAST, kind=self.kind)
        self._split(table.shape[-1])
        if self.residual:
            groups = check_groups(groups, table)
            expected = out_of_fold(
                lambda fold: RandomForest(seed=self.seed + 1 + fold),
                table,
                target,
                weight=weight,
                groups=groups,
                folds=self.folds,
                seed=self.seed,
                folder=None if self.checkpoint is None else self.checkpoint / "regression",
            )
            forest = RandomForest(seed=self.seed)
            self.regression_ = forest.fit(table, target, weight=weight, groups=groups)
            target = target - expected
        return super().fit(table, target, weight=weight, groups=groups)

    def _split(self, features: int) -> Conditions:
        return Conditions(self.conditions or {}, features)

    def _module(self, features: int, outputs: int) -> Denoiser:
        from vadose.models.diffusion.film import FilmNetwork

        return FilmNetwork(
            *self._split(features).widths,
            outputs=outputs,
            width=self.width,
            blocks=self.blocks,
            dropout=self.dropout,
            omission=self.omission,
        )

    def _loss(self) -> Loss:
        from vadose.models.diffusion.losses import Loss

        return Loss(SCHEDULES[self.schedule](), self.prediction)  # type: ignore[arg-type]

    def _trainer(self) -> Callable[..., History]:
        from vadose.models.diffusion.losses import Noising
        from vadose.models.training import train

        def train_denoiser(
            module: Denoiser, training: Data, *others: object, **how: object
        ) -> History:
            noising = Noising(module, self._loss(), outputs=training.y.shape[-1])
            history = train(noising, training, *others, **how)  # type: ignore[arg-type]
            noising.settle()
            return history

        return train_denoiser

    def _data(self, table: Table, target: Column, share: Column) -> Data:
        """Put the clean values behind the features, and 0 where they are known for the error to be of."""
        import torch

        from vadose.models.training import Data

        data = super()._data(table, target, share)
        clean = torch.nan_to_num(data.y)
        known = torch.where(torch.isfinite(data.y), 0.0, torch.nan)
        return Data(torch.cat([data.X, clean], dim=-1), known, data.weight)

    def _scaled(self, table: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Scale plain features and statistics, and encode time and place."""
        return self._split(table.shape[-1]).encode(table, super()._scaled(table))

    def draw_noise(
        self, samples: int, rng: np.random.Generator, *, members: int | None = None
    ) -> npt.NDArray[np.float32]:
        """Draw independent noise for every sample: the ablation, for maps of it are speckled.

        Parameters
        ----------
        samples
            Their number.
        rng
            Where it comes from.
        members
            Their number; `draws` unless given.

        Returns
        -------
        numpy.ndarray
            Dims ``(member, sample)``, and ``output`` if several are learned; as `sample` takes it.
        """
        self._need_fit()
        shape = (self.draws if members is None else members, samples)
        several = () if self.outputs_ is None else (self.outputs_,)
        return rng.standard_normal((*shape, *several), dtype=np.float32)

    def sample(
        self,
        X: Table,
        noise: Table,
        *,
        steps: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Column:
        """Make members from noise.

        Parameters
        ----------
        X
            Samples, as for `predict`.
        noise
            Standard normal numbers that the members begin with, dims ``(member, sample)``, and ``output`` if
            several are learned. A dimension of ``sample`` of length 1 is the same noise for all of them.
        steps
            Steps visited; those of the model unless given. 1000 are all that there are.
        rng
            Take ancestral steps (DDPM), for which fresh noise is drawn from it. The members then hang
            together no more, and the bits depend on how samples are dealt to calls.

        Returns
        -------
        numpy.ndarray
            Dims ``(member, sample)``, and ``output`` if several are learned, in units of the target.

        Raises
        ------
        ModelProblem
            Without a fit, for samples or noise that do not suit, or without a finite value.
        """
        self._need_fit()
        table = check_table(X, features=self.features_, kind=self.kind)
        start = suited_noise(noise, table.shape[:-1], outputs=self.outputs_)
        values = self._members(table, start, steps=steps, rng=rng)
        return values[..., 0] if self.outputs_ is None else values

    def predict(self, X: Table) -> Column:
        """Give the mean of the members at every place, in units of the target.

        Raises
        ------
        ModelProblem
            Without a fit, for samples that do not suit it, or so far from those learned from that a
            prediction is not finite.
        """
        return self._reduced(X, lambda members: members.mean(axis=0))

    def spread(self, X: Table, *, mean: Column | None = None) -> Column:
        """Give the standard deviation over the members behind `predict`, in units of the target.

        Parameters
        ----------
        X
            Samples, as for `predict`.
        mean
            Saves no time here: the members are made anew.

        Raises
        ------
        ModelProblem
            As `predict`.
        """
        return self._reduced(X, lambda members: members.std(axis=0))

    def _reduced(self, X: Table, reduce: Callable[[Column], Column]) -> Column:
        """Reduce members made of the same noise at every place, part by part so that memory is bounded."""
        self._need_fit()
        table = check_table(X, features=self.features_, kind=self.kind)
        outputs = self.outputs_ or 1
        points = even_noise(self.draws, outputs, seed=self.seed)
        inner = table.shape[1:-1]
        result = np.empty((*table.shape[:-1], outputs))
        size = max(1, HELD_AT_ONCE // max(1, self.draws * outputs * int(np.prod(inner))))
        for start in range(0, len(table), size):
            part = table[start : start + size]
            noise = np.broadcast_to(
                points.reshape(self.draws, *[1] * len(part.shape[:-1]), outputs),
                (self.draws, *part.shape[:-1], outputs),
            )
            result[start : start + size] = reduce(self._members(part, noise))
        return result[..., 0] if self.outputs_ is None else result

    def _members(
        self,
        table: npt.NDArray[np.float32],
        noise: npt.NDArray[np.float32],
        *,
        steps: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Column:
        """Give members, dims ``(member, sample, …, output)``, in units of the target."""
        if not noise.size:
            return np.zeros(noise.shape)
        from vadose.models.diffusion.members import Path, make_members
        from vadose.models.diffusion.samplers import SAMPLERS

        denoiser, loss = cast("Denoiser", self.modules_[0]), self._loss()
        name = self.sampler if rng is None else "ddpm"
        calls = self.steps if steps is None else steps
        shift, width = self.target_scaling_.shift, self.target_scaling_.width
        expected = np.zeros((*table.shape[:-1], 1))
        if self.residual:
            expected = self.regression_.predict(table).reshape(*table.shape[:-1], -1)
        bounds = None
        if self.bounds is not None:
            outside = np.zeros((*table.shape[:-1], shift.size), dtype=np.float32)
            bounds = [
                (outside + (bound - expected - shift) / width).astype("f4") for bound in self.bounds
            ]
        scaled = make_members(
            Path(denoiser, loss, SAMPLERS[name], loss.schedule.visited(calls), self.is_mixed),
            self._scaled,
            table,
            noise,
            bounds,
            size=self._at_once(table.shape),
            workers=self.workers,
            rng=rng,
        )
        values = self.target_scaling_.undo(scaled) + expected
        is_there = np.asarray(np.isfinite(table).all(axis=-1))
        is_bad = ~np.isfinite(values) & is_there[..., None]
        if is_bad.any():
            raise ModelProblem(
                "X",
                found=f"{int(is_bad.any(axis=(0, -1)).sum())} places without a finite prediction",
                expected="features of the size of those learned from",
                remedy="Look at their units and fill values.",
            )
        if (
            self.bounds is not None
        ):  # what is clipped in single precision may miss them by its rounding
            values = values.clip(self.bounds[0], self.bounds[1])
        values[:, ~is_there] = np.nan
        return values

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and ``weights.safetensors``, and with `residual` a folder ``regression``."""
        super().save(folder)
        if self.residual:
            inner = folder / REGRESSION
            inner.mkdir()
            self.regression_.save(inner)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a saved model, see `vadose.models.network.Network.load`."""
        model = super().load(folder)
        if model.residual:
            model.regression_ = RandomForest.load(Path(folder) / REGRESSION)
        return model


def _is_range(bounds: Sequence[float]) -> bool:
    try:
        least, most = (float(bound) for bound in bounds)
    except (TypeError, ValueError):
        return False
    return least < most
