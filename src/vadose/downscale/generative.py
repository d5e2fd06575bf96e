"""Generative downscaling: an ensemble of fine fields that are equally likely, and what they say together.

The model learns as in `vadose.downscale.direct.Direct`; what it then gives for a pixel depends on noise that
it is handed. The noise of a day and a cell is always the same (`vadose.downscale.noise`), so that a field has
no speckle and no seams, and tiles give the same as the whole map.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.downscale.base import Progress, Reach, save_downscaler
from vadose.downscale.direct import PLACES, Direct, if_any
from vadose.downscale.members import sum_up
from vadose.downscale.noise import Coherence, Noise, day_numbers
from vadose.downscale.provenance import Bits
from vadose.errors import ModelProblem, ValueProblem
from vadose.grids import grid_of, placed
from vadose.models import load_model
from vadose.models.base import Column, Groups, Model, Table, quiet, read_description
from vadose.samples import Sampler
from vadose.schema import DIMS, VARIABLES

Field = npt.NDArray[np.float32]


@runtime_checkable
class Drawing(Protocol):
    """Say, beside `Model`, which value some noise stands for at each place: the noise is the only chance."""

    def sample(self, X: Table, noise: Table, *, steps: int) -> Table:
        """Give one value per place and member.

        Parameters
        ----------
        X
            Samples, as for `predict`.
        noise
            Standard normal, dims ``member`` and those of the places of `X`.
        steps
            Calls of the network.
        """
        ...


class Generative:
    """Learn the distribution of the coarse target given predictors, and draw fine fields from it.

    Parameters
    ----------
    model
        A `vadose.models.base.Model` that can draw, such as ``diffusion``.
    predictors
        Variables of the cubes.
    target
        Variable to downscale.
    members
        Fields to draw; 2 or more. Intervals take about ten for a level of 0.9.
    noise
        How it hangs together in space: ``shared``, ``smooth`` or, as an ablation, ``independent``. See
        `vadose.downscale.noise.Noise`. Unless given, as the model has learned with it (its ``coherence``), or
        ``shared``.
    length
        Fine cells between the knots of smooth noise; as many as lie along a coarse cell unless given.
    steps
        Calls of the network for each field.
    level
        Share of values that lie between ``<target>_lower`` and ``<target>_upper``, as far as the model
        knows: these are quantiles of the members, not calibrated (`vadose.downscale.intervals`).
    seed
        Of the noise.
    dispersion
        Factor for the departures of the members from their mean;
        `vadose.downscale.members.find_dispersion` finds it at stations.
    with_position
        As in `Direct`.
    tile
        Cells along the side of the maps that a model of patches sees at once; one with tiles of its own
        (``diffusion_maps``) goes through whole maps in these, which meet at every step.
    keeps_members
        Whether the fields themselves are a part of the product.

    Attributes
    ----------
    direct : vadose.downscale.direct.Direct
        What learns; its own prediction is the mean of the members, as they are drawn.

    Examples
    --------
    >>> class Guess:  # knows nothing but the climate
    ...     name, kind = "guess", "rows"
    ...     def fit(self, X, y, *, weight=None, groups=None):
    ...         self.mean_, self.sd_ = y.mean(), y.std()
    ...         return self
    ...     def predict(self, X):
    ...         return np.full(len(X), self.mean_)
    ...     def sample(self, X, noise, *, steps):
    ...         return self.mean_ + self.sd_ * noise
    ...     def save(self, folder): ...
    ...     def load(cls, folder): ...
    >>> import vadose.synthetic
    >>> world = vadose.synthetic.world(size=16, days=8, factor=4, seed=0)
    >>> coarse = world.coarse.assign(ndvi=world.predictors["ndvi"].coarsen(y=4, x=4).mean().assign_attrs(units="1"))
    >>> generative = Generative(Guess(), ["ndvi"], members=5).fit(coarse)
    >>> product = generative.predict(world.predictors, coarse)
    >>> dict(product["soil_moisture_members"].sizes)
    {'member': 5, 'time': 8, 'y': 16, 'x': 16}
    """

    def __init__(
        self,
        model: Model,
        predictors: Sequence[str],
        *,
        target: str = "soil_moisture",
        members: int = 10,
        noise: Coherence | None = None,
        length: int | None = None,
        steps: int = 20,
        level: float = 0.9,
        seed: int = 0,
        dispersion: float = 1.0,
        with_position: bool = True,
        tile: int | None = None,
        keeps_members: bool = True,
        progress: Progress = quiet,
    ) -> None:
        if not isinstance(model, Drawing):
            raise ModelProblem(
                f"model {getattr(model, 'name', model)!r}",
                found="one that gives a value alone",
                expected="one that draws from a distribution, such as 'diffusion' or 'diffusion_maps'",
                remedy="Use the direct method for it.",
            )
        if members < 2 or steps < 1 or not 0 < level < 1 or not 0 < dispersion < np.inf:
            raise ValueProblem(
                "generative downscaling",
                found=f"members={members}, steps={steps}, level={level:g}, "
                f"dispersion={dispersion:g}",
                expected="2 members or more, 1 step or more, a level between 0 and 1, a dispersion "
                "above 0",
            )
        learned: Coherence = getattr(model, "coherence", "shared")
        self.length, cells = length, 1 if length is None else length
        self.noise = Noise(members, noise or learned, length=cells, seed=seed)
        self.model, self.predictors, self.target = model, list(predictors), target
        self.steps, self.level, self.keeps_members = steps, level, keeps_members
        self.dispersion = dispersion
        self.direct = _Drawn(
            model,
            predictors,
            target=target,
            with_position=with_position,
            tile=tile,
            progress=progress,
        )
        self.direct.noise, self.direct.steps = self.noise, steps

    def fit(self, coarse: xr.Dataset) -> Self:
        """Fit the model on every coarse cell and step with target and predictors.

        Raises
        ------
        CubeProblem
            When no cell is complete.
        """
        self.direct.fit(coarse)
        return self

    def training_data(self, coarse: xr.Dataset) -> tuple[Table, Column, Groups]:
        """Give what the model learns from, as `Direct.training_data`."""
        return self.direct.training_data(coarse)

    def reach(self, factor: int) -> Reach:
        """Look as far as the model: the noise of a place is the same in every window."""
        return self.direct.reach(factor)

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Draw fields wherever all predictors have a value, and sum them up.

        Returns
        -------
        xarray.Dataset
            The mean of the members under the name of the target, ``<target>_spread`` (their standard
            deviation), ``<target>_lower``, ``<target>_upper`` and ``<target>_interval_width``, ``origin``
            and ``flags``; unless they are not kept, ``<target>_members``, dims ``member, [time,] y, x``.
            Values lie in the valid range of the target.

        Raises
        ------
        ModelProblem
            Without a fit.
        """
        drawn = copy.copy(self.direct)  # threads that ask at once keep their members apart
        drawn.noise, drawn.steps = self.noise, self.steps
        if self.length is None:
            factors, _ = placed(grid_of(coarse), grid_of(fine))
            drawn.noise = replace(self.noise, length=factors["y"])
        product = drawn.predict(fine, coarse)
        low, high = VARIABLES[self.target].valid_range
        members = drawn.members
        if self.dispersion != 1:
            mean = product[self.target].values
            members = mean + np.float32(self.dispersion) * (members - mean)
        members = np.clip(members, low, high)
        return sum_up(
            product,
            self.target,
            members,
            level=self.level,
            is_stratified=self.noise.coherence == "shared",
            keeps_members=self.keeps_members,
        )

    def save(self, folder: Path) -> None:
        """Write what `load` reads: a description and the model's own files."""
        settings: dict[str, Any] = {
            "members": self.noise.members,
            "noise": self.noise.coherence,
            "length": self.length,
            "seed": self.noise.seed,
            "steps": self.steps,
            "level": self.level,
            "dispersion": self.dispersion,
            "with_position": self.direct.with_position,
            "tile": self.direct.tile,
            "keeps_members": self.keeps_members,
        }
        save_downscaler(folder, "generative", self.direct, settings)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a saved one; its fields are the same to the bit.

        Raises
        ------
        ModelProblem
            Missing, foreign or damaged files.
        """
        description = read_description(folder, "generative", file="downscaler.json")
        try:
            generative = cls(
                load_model(folder / "model"),
                description["predictors"],
                target=description["target"],
                **description["settings"],
            )
            generative.direct.feature_names_ = tuple(description["features"])
            generative.direct.feature_ranges_ = np.array(description["ranges"], dtype=np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelProblem(
                folder / "downscaler.json",
                found=f"an incomplete description ({error})",
                expected="intact",
            ) from error
        return generative


class _Drawn(Direct):
    """Predict the mean of members, and keep these aside until they are taken.

    Attributes
    ----------
    members
        Dims ``member, [time,] y, x``, of the last prediction.
    """

    noise: Noise
    steps: int
    members: Field

    def sampler(self, tile: int | None = None) -> Sampler:
        """Give whole maps to a model that goes through them in tiles of its own, which meet at every step."""
        return super().sampler(None if hasattr(self.model, "tile") else tile)

    def _fields(
        self, cube: xr.Dataset, static: Sequence[str], sampler: Sampler
    ) -> tuple[Field, Bits]:
        dims = [dim for dim in DIMS if dim in cube.dims]
        shape = tuple(cube.sizes[dim] for dim in dims)
        self.members = np.full((self.noise.members, *shape), np.nan, dtype=np.float32)
        if self.tile is not None and hasattr(self.model, "tile"):
            self.model.tile = self.tile
        flags = np.empty(shape, dtype=np.uint16)
        done = 0
        for part, inside in self._flagged(cube, static, flags):
            places = flags[inside].size
            # the last place is that of all that is put nowhere
            flat = np.full((self.noise.members, places + 1), np.nan, dtype=np.float32)
            at_once = max(PLACES // self.noise.members, 1)
            for batch in if_any(sampler.batches(part, places=at_once)):
                noise = self._noise_at(part, batch.index)
                assert isinstance(self.model, Drawing)  # noqa: S101 - checked when it was made
                flat[:, batch.index] = self.model.sample(batch.X, noise, steps=self.steps)
                done += int(np.count_nonzero(batch.index >= 0))
                self.progress(done, flags.size)
            self.members[(slice(None), *inside)] = flat[:, :-1].reshape(-1, *flags[inside].shape)
        mean = self.members.mean(axis=0, dtype="f8", keepdims=True)
        return mean.astype(np.float32), flags

    def _noise_at(self, cube: xr.Dataset, index: npt.NDArray[np.int64]) -> Field:
        """Give the noise of places by their numbers, ``(member, *index.shape)``; 0 for what is nowhere."""
        grid = grid_of(cube)
        times = cube["time"].values if "time" in cube.dims else np.zeros(1, "M8[D]")
        days = day_numbers(times)
        step, cell = np.divmod(index, grid.shape.y * grid.shape.x)
        noise = np.zeros((self.noise.members, *index.shape), dtype=np.float32)
        for day in np.unique(days[np.unique(step[index >= 0])]):
            field = self.noise.field(grid, int(day)).reshape(self.noise.members, -1)
            is_here = (index >= 0) & (days[step] == day)
            noise[:, is_here] = field[:, cell[is_here]]
        return noise
