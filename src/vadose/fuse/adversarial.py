"""The network after DrcGAN as a filler: it learns what a first guess lacks, under gaps of other days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.cubes.regrid import is_global
from vadose.errors import ModelProblem, UnknownName, ValueProblem
from vadose.fuse.base import TARGET, Filler, check_record
from vadose.fuse.gapfill.dct import DCTPLS
from vadose.fuse.gapfill.optimal import OptimalInterpolation
from vadose.fuse.gapfill.records import draw_gaps, read_record, write_field
from vadose.fuse.gapfill.residual import LinearResidual
from vadose.grids import grid_of
from vadose.models.base import Progress, quiet
from vadose.models.drcgan import DrcGAN, Scene

#: What may make the first guess.
GUESSES: dict[str, type[Filler]] = {
    one.name: one for one in (DCTPLS, LinearResidual, OptimalInterpolation)
}
#: Steps over which gaps are laid, draw after draw.
LASTING = (1, 1, 3)


class Adversarial:
    """Fill gaps by a deep residual cycle GAN on top of a first guess.

    The record is seen under several draws of gaps, each with a first guess of its own that knows nothing of
    what is hidden; the network learns what the guess lacks there.

    Parameters
    ----------
    guess
        Filler of the first guess, a name in `GUESSES`.
    beside
        Fillers whose fields the network sees beside it.
    draws
        Draws of gaps to learn from; a quarter of them judges and stops.
    share
        Of the observed values that each of them hides.
    seed
        Of gaps and network.
    settings
        Of `vadose.models.drcgan.DrcGAN`, such as ``step`` or ``epochs``.

    Attributes
    ----------
    network_ : vadose.models.drcgan.DrcGAN
        What was trained; ``kept_`` of it says which step and why.

    References
    ----------
    After Jiang et al. (2025), doi:10.1016/j.jag.2025.104517.

    Examples
    --------
    >>> import vadose.synthetic
    >>> world = vadose.synthetic.world(size=48, days=12, factor=4, seed=0)
    >>> settings = {"step": "supervised", "width": 4, "blocks": 1, "epochs": 1}
    >>> filler = Adversarial(draws=2, settings=settings)
    >>> record = world.coarse["soil_moisture"], world.land_model
    >>> bool(filler.fit(*record).fill(*record).notnull().all())
    True
    """

    name: ClassVar[str] = "drcgan"
    #: Folder in which a training keeps its state, to be taken up if it was stopped.
    checkpoint: Path | None = None

    def __init__(
        self,
        *,
        guess: str = "linear_residual",
        beside: Sequence[str] = ("dct_pls",),
        draws: int = 12,
        share: float = 0.15,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        progress: Progress = quiet,
    ) -> None:
        for name in (guess, *beside):
            if name not in GUESSES:
                raise UnknownName("first guess", name, GUESSES)
        if draws < 2 or not 0 < share < 1:
            raise ValueProblem(
                "drcgan",
                found=f"draws={draws}, share={share:g}",
                expected="2 draws or more, one of them to judge, and a share between 0 and 1",
            )
        self.guess, self.beside, self.draws = guess, tuple(beside), draws
        self.share, self.seed = share, seed
        self.settings, self.progress = dict(settings or {}), progress

    def fit(self, satellite: xr.DataArray, model: xr.Dataset) -> Self:
        """Train on the record under several draws of gaps."""
        record = read_record(satellite, model)
        rng = np.random.default_rng(self.seed)
        scenes = []
        for draw in range(self.draws):
            days = LASTING[draw % len(LASTING)]
            hidden = draw_gaps(record, rng, share=self.share, days=days)
            known = satellite.where(~xr.DataArray(hidden, dims=satellite.dims))
            scenes.append(self._scene(known, model, satellite))
        wraps = "spatial_ref" in satellite.coords and is_global(grid_of(satellite))
        network = DrcGAN(**{"wraps": wraps, "seed": self.seed, **self.settings})
        network.checkpoint = self.checkpoint
        self.network_ = network.fit(scenes, progress=self.progress)
        return self

    def fill(self, satellite: xr.DataArray, model: xr.Dataset) -> xr.DataArray:
        """Estimate everywhere; where a value is observed, the guess and the network have seen it."""
        check_record(satellite, model)
        if not hasattr(self, "network_"):
            raise ModelProblem(self.name, found="no fit", expected="a fitted filler")
        return write_field(self.network_.predict(self._scene(satellite, model)), satellite)

    def _scene(
        self, satellite: xr.DataArray, model: xr.Dataset, truth: xr.DataArray | None = None
    ) -> Scene:
        guess, *made = (
            GUESSES[name]().fit(satellite, model).fill(satellite, model)
            for name in (self.guess, *self.beside)
        )
        others = [str(name) for name in model.data_vars if name != TARGET]
        moving = [name for name in others if "time" in model[name].dims]
        fixed = [name for name in others if "time" not in model[name].dims]
        return Scene(
            satellite=satellite.values.astype("f4"),
            truth=None if truth is None else truth.values.astype("f4"),
            model=model[TARGET].transpose(*satellite.dims).values.astype("f4"),
            guess=guess.values.astype("f4"),
            context=_stacked([model[name] for name in moving] + made, ("time", "y", "x")),
            static=_stacked([model[name] for name in fixed], ("y", "x")),
            day_of_year=satellite["time"].dt.dayofyear.values,
        )


def _stacked(
    arrays: Sequence[xr.DataArray], dims: tuple[str, ...]
) -> npt.NDArray[np.float32] | None:
    """Stack features along a last dimension, with their means in what gaps they have."""
    if not arrays:
        return None
    layers = [array.transpose(*dims).values.astype("f4") for array in arrays]
    filled = [np.where(np.isfinite(one), one, np.nanmean(one)) for one in layers]
    return np.stack(filled, axis=-1).astype("f4")
