"""What every diffusion model does alike: learn to tell noise from values, and make members from noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np
import numpy.typing as npt

from vadose.errors import ModelProblem, UnknownName
from vadose.models.base import Column, Table, check_table
from vadose.models.diffusion.noise import even_noise, suited_noise
from vadose.models.diffusion.schedules import SCHEDULES
from vadose.models.network import Network
from vadose.models.ranges import COUNT, Range

if TYPE_CHECKING:
    from vadose.models.diffusion.denoiser import Denoiser
    from vadose.models.diffusion.losses import DrawNoise, Loss
    from vadose.models.training import Data, History

#: Values, places times members, that a prediction holds at once.
HELD_AT_ONCE = 2**20
#: Samplers that noise alone decides.
PATHS = ("dpm_solver", "ddim")


class Generator(Network):
    """Train a denoiser, and lead noise to members with it.

    A model says which denoiser (`vadose.models.diffusion.denoiser.Denoiser`) it is made of; the rest is here.

    Parameters
    ----------
    bounds, schedule, prediction, sampler, steps, draws
        See `vadose.models.diffusion.model.Diffusion`.
    epochs, batch, rate, decay, patience, seed
        See `vadose.models.training.Plan`.
    """

    ranges: ClassVar[Mapping[str, Range]] = {**Network.ranges, "steps": COUNT, "draws": Range(2)}

    def __init__(
        self,
        *,
        bounds: Sequence[float] | None,
        schedule: str,
        prediction: str,
        sampler: str,
        steps: int,
        draws: int,
        epochs: int,
        batch: int,
        rate: float,
        decay: float,
        patience: int,
        seed: int,
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
        self.bounds, self.schedule, self.prediction = bounds, schedule, prediction
        self.sampler, self.steps, self.draws = sampler, steps, draws

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
        if self.bounds is None and self.prediction == "epsilon":
            raise ModelProblem(
                f"bounds of {self.name}",
                found="None",
                expected="the least and the largest value, where the noise is predicted",
                remedy="Without them its error is divided by next to nothing at the first steps. Give "
                "bounds, or predict v.",
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
            noising = Noising(
                module, self._loss(), outputs=training.y.shape[-1], draw=self._learned_noise()
            )
            history = train(noising, training, *others, **how)  # type: ignore[arg-type]
            noising.settle()
            return history

        return train_denoiser

    def _learned_noise(self) -> DrawNoise | None:
        """Give what draws the noise of the training; None where every place has its own."""
        return None

    def _data(self, table: Table, target: Column, share: Column) -> Data:
        """Put the clean values behind the features, and 0 where they are known for the error to be of."""
        import torch

        from vadose.models.training import Data

        data = super()._data(table, target, share)
        clean = torch.nan_to_num(data.y)
        known = torch.where(torch.isfinite(data.y), 0.0, torch.nan)
        return Data(torch.cat([data.X, clean], dim=-1), known, data.weight)

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
        """Reduce members made of the same noise for every sample, part by part so that memory is bounded."""
        self._need_fit()
        table = check_table(X, features=self.features_, kind=self.kind)
        outputs = self.outputs_ or 1
        points = self._even_noise(table.shape[1:-1], outputs)
        result = np.empty((*table.shape[:-1], outputs))
        held = self.draws * outputs * int(np.prod(table.shape[1:-1]))
        size = max(1, HELD_AT_ONCE // max(1, held))
        for start in range(0, len(table), size):
            part = table[start : start + size]
            noise = np.broadcast_to(points[:, None], (self.draws, *part.shape[:-1], outputs))
            result[start : start + size] = reduce(self._members(part, noise))
        return result[..., 0] if self.outputs_ is None else result

    def _even_noise(self, places: tuple[int, ...], outputs: int) -> npt.NDArray[np.float32]:
        """Give the noise behind `predict` for the places of a sample, dims ``(member, …, output)``."""
        points = even_noise(self.draws, outputs, seed=self.seed)
        whole = points.reshape(self.draws, *[1] * len(places), outputs)
        return np.broadcast_to(whole, (self.draws, *places, outputs))

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
        expected = self._expected(table)
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

    def _expected(self, table: npt.NDArray[np.float32]) -> Column:
        """Give what members depart from, dims ``(sample, …, output)`` or of length 1, in units of the target."""
        return np.zeros((*table.shape[:-1], 1))


def _is_range(bounds: Sequence[float]) -> bool:
    try:
        least, most = (float(bound) for bound in bounds)
    except (TypeError, ValueError):
        return False
    return least < most
