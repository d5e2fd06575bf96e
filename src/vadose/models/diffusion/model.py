"""A conditional diffusion model for rows: many values that may be, instead of one that is expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import numpy.typing as npt

from vadose.models.base import Groups, Kind, Table
from vadose.models.diffusion.conditions import Conditions
from vadose.models.diffusion.departures import Departing
from vadose.models.diffusion.generator import Generator
from vadose.models.ranges import COUNT, SHARE, Range

if TYPE_CHECKING:
    from vadose.models.diffusion.denoiser import Denoiser


class Diffusion(Departing):
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
        forest has not seen. It takes longer and usually errs less. After Mardani et al. (2025).
    bounds
        Least and largest value that there is, in units of the target. Expected clean values are clipped to
        it at every step. None: anything goes, which suits ``v`` only.
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
        **Generator.ranges,
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
        self.width, self.blocks = width, blocks
        self.dropout, self.omission = dropout, omission

    def fit(
        self, X: Table, y: Table, *, weight: Table | None = None, groups: Groups | None = None
    ) -> Self:
        """Train, see `vadose.models.diffusion.departures.Departing.fit`."""
        self._split(np.shape(X)[-1])
        return super().fit(X, y, weight=weight, groups=groups)

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

    def _scaled(self, table: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Scale plain features and statistics, and encode time and place."""
        return self._split(table.shape[-1]).encode(table, super()._scaled(table))
