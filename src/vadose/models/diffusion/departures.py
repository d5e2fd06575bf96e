"""Departures from a regression: what is left to learn when the mean is known, as wide as at unseen places."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from vadose.models.base import Column, Groups, Kind, Table, check_groups, check_training
from vadose.models.crossvalidation import out_of_fold
from vadose.models.diffusion.generator import Generator
from vadose.models.forest import RandomForest
from vadose.models.network import LEAST

#: Folder of the regression inside that of the model.
REGRESSION = "regression"


class Departing(Generator):
    """Learn the target itself, or with ``residual`` the departures from a random forest of its cells.

    Attributes
    ----------
    residual, folds
        See `vadose.models.diffusion.model.Diffusion`.
    regression_ : vadose.models.forest.RandomForest
        With ``residual``.
    """

    kind: ClassVar[Kind]
    residual: bool
    folds: int
    regression_: RandomForest

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
        table, target, share = check_training(X, y, weight, least=LEAST, kind=self.kind)
        if self.residual:
            self.regression_, target = fit_departures(
                table,
                target,
                weight=share,
                groups=groups,
                folds=self.folds,
                seed=self.seed,
                folder=None if self.checkpoint is None else self.checkpoint / REGRESSION,
            )
        return super().fit(table, target, weight=share, groups=groups)

    def _expected(self, table: npt.NDArray[np.float32]) -> Column:
        if not self.residual:
            return super()._expected(table)
        is_there = np.isfinite(table).all(axis=-1)
        expected = np.zeros((*table.shape[:-1], self.outputs_ or 1))
        if is_there.any():
            rows = self.regression_.predict(table[is_there])
            expected[is_there] = rows.reshape(len(rows), -1)
        return expected

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


def fit_departures(
    X: Table,
    y: Column,
    *,
    weight: Column | None,
    groups: Groups | None,
    folds: int,
    seed: int,
    folder: Path | None = None,
) -> tuple[RandomForest, Column]:
    """Fit a random forest, and give what is left of the target where each group is unknown to it.

    A forest knows the places that it was fitted on: what is left there is far less than elsewhere.

    Parameters
    ----------
    X, y, weight, groups
        Rows or patches, see `vadose.models.base`. The forest knows a cell of a patch by its own features.
    folds, folder
        See `vadose.models.crossvalidation.out_of_fold`.
    seed
        Of forests and folds.

    Returns
    -------
    forest
        Fitted on all rows.
    departures
        The shape and unit of `y`: the target less what forests fitted on the other folds say.

    Raises
    ------
    ModelProblem
        Samples that do not suit, or fewer groups than folds.

    References
    ----------
    Mardani et al. (2025), Commun. Earth Environ. 6:124.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.random((300, 2)), rng.normal(0.0, 1.0, 300)
    >>> forest, departures = fit_departures(X, y, weight=None, groups=None, folds=3, seed=0)
    >>> bool(departures.std() > 1.2 * (y - forest.predict(X)).std())
    True
    """
    blocks = check_groups(groups, X)
    targets = np.asarray(y, dtype=np.float64).reshape(*X.shape[:-1], -1)
    is_there = np.isfinite(X).all(axis=-1)
    is_known = is_there & np.isfinite(targets).all(axis=-1)
    rows, wanted = X[is_known], targets[is_known]
    wanted = wanted[:, 0] if y.ndim == X.ndim - 1 else wanted
    how: dict[str, Any] = {
        "weight": None if weight is None else weight[is_known],
        "groups": blocks[is_known],
    }
    expected = np.full(targets.shape, np.nan)
    expected[is_known] = out_of_fold(
        lambda fold: RandomForest(seed=seed + 1 + fold),
        rows,
        wanted,
        folds=folds,
        seed=seed,
        folder=folder,
        **how,
    ).reshape(len(rows), -1)
    forest = RandomForest(seed=seed).fit(rows, wanted, **how)
    is_other = is_there & ~is_known & np.isfinite(targets).any(axis=-1)
    if is_other.any():  # the forest has not learned where only some of the outputs are known
        expected[is_other] = forest.predict(X[is_other]).reshape(int(is_other.sum()), -1)
    return forest, (targets - expected).reshape(y.shape)
