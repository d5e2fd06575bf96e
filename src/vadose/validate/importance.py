"""How much a model's error grows when a group of features is shuffled, on places it did not learn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import GroupKFold

from vadose.errors import ValueProblem
from vadose.validate.blocks import block_draws, interval
from vadose.validate.feature_groups import Groups

Array = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
#: Samples in, one value for each of their places out.
Predict = Callable[[Array], Array]


@dataclass(frozen=True)
class BlockErrors:
    """Hold squared errors summed by block: as they are, and with each group of features shuffled.

    Attributes
    ----------
    groups
        Names of the groups.
    blocks, count
        Number of each block and how many known targets it has, dims ``block``.
    plain
        Dims ``block``, unit of the target squared.
    shuffled
        Dims ``(group, block)``, mean over the repeats.
    """

    groups: tuple[str, ...]
    blocks: Numbers
    count: Numbers
    plain: Doubles
    shuffled: Doubles

    @property
    def rmse(self) -> float:
        """Give the error without shuffling, in the unit of the target."""
        return float(np.sqrt(self.plain.sum() / self.count.sum()))


@dataclass(frozen=True)
class Importance:
    """Say how much a model relies on a group of features.

    Attributes
    ----------
    group
        Its name.
    value
        Growth of the RMSE when it is shuffled, in the unit of the target; about 0 without use.
    lower, upper
        95 % interval over blocks; NaN with fewer than two.
    """

    group: str
    value: float
    lower: float
    upper: float


def block_errors(
    predict: Predict,
    X: Array,
    y: Array,
    *,
    groups: Groups,
    blocks: Numbers,
    rng: np.random.Generator | int,
    repeats: int = 3,
) -> BlockErrors:
    """Predict samples as they are and with each group of features taken from other samples.

    The columns of a group are shuffled together, and in sequences and patches whole samples at a time, so
    that what goes together inside a group stays together.

    Parameters
    ----------
    predict
        The fitted model.
    X
        Dims ``(sample, ..., feature)``.
    y
        Target of every place; NaN where none is known.
    groups
        Columns by group.
    blocks
        Dims ``sample``: samples of one block are not independent.
    rng
        Generator or seed.
    repeats
        How often each group is shuffled.

    Raises
    ------
    ValueProblem
        Fewer than two samples, lengths that differ, no known target, or predictions that are NaN at a
        known one.

    References
    ----------
    Breiman (2001), Machine Learning 45:5; grouped: Gregorutti et al. (2015), Comput. Stat. Data Anal. 90:15.
    """
    rng = np.random.default_rng(rng)
    if not len(X) == len(y) == len(blocks) or len(X) < 2:
        raise ValueProblem(
            "samples",
            found=f"{len(X)} of X, {len(y)} of y, {len(blocks)} of blocks",
            expected="as many of each, two or more",
        )
    known = np.isfinite(y)
    if not known.any():
        raise ValueProblem("y", found="no known value", expected="something to judge by")
    numbers, place = np.unique(blocks, return_inverse=True)

    def by_block(values: Array) -> Doubles:
        return np.bincount(place, weights=values, minlength=len(numbers)).astype("f8")

    def squares(table: Array) -> Doubles:
        error = np.where(known, np.asarray(predict(table)) - y, 0.0).reshape(len(y), -1)
        if not np.isfinite(error).all():
            raise ValueProblem(
                "predictions", found="NaN where the target is known", expected="numbers"
            )
        return by_block((error**2).sum(axis=1))

    shuffled = np.zeros((len(groups), len(numbers)))
    for row, columns in enumerate(groups.values()):
        for _ in range(repeats):
            table = X.copy()
            table[..., list(columns)] = X[rng.permutation(len(X))][..., list(columns)]
            shuffled[row] += squares(table) / repeats
    count = by_block(known.reshape(len(y), -1).sum(axis=1)).astype(np.int64)
    return BlockErrors(tuple(groups), numbers, count, squares(X), shuffled)


def held_out_errors(
    learn: Callable[[Array, Array], Predict],
    X: Array,
    y: Array,
    *,
    groups: Groups,
    blocks: Numbers,
    rng: np.random.Generator | int,
    folds: int = 4,
    most: int | None = None,
) -> BlockErrors:
    """Learn anew without some of the blocks and judge on those, until each block had its turn.

    Parameters
    ----------
    learn
        Fits a new model to samples and targets and gives its predictions.
    X, y, groups, blocks, rng
        As for `block_errors`.
    folds
        Parts that the blocks are divided into; a model is learned for each.
    most
        Samples that are judged in each part; all of them unless given.

    Raises
    ------
    ValueProblem
        Fewer blocks than folds.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> X = generator.normal(size=(200, 2))
    >>> def learn(X, y):
    ...     slopes = np.linalg.lstsq(X, y)[0]
    ...     return lambda table: table @ slopes
    >>> errors = held_out_errors(learn, X, 3 * X[:, 0], groups={"a": (0,), "b": (1,)},
    ...                          blocks=np.arange(200) // 20, rng=0)
    >>> [one.group for one in importances(errors, rng=0) if one.value > 1]
    ['a']
    """
    rng = np.random.default_rng(rng)
    found = len(np.unique(blocks))
    if found < folds or folds < 2:
        raise ValueProblem(
            "blocks",
            found=f"{found} blocks for {folds} folds",
            expected="two folds or more, and no fewer blocks",
            remedy="Take smaller blocks or fewer folds.",
        )
    splits = GroupKFold(folds, shuffle=True, random_state=int(rng.integers(2**32)))
    parts = []
    for learned, judged in splits.split(X, groups=blocks):
        predict = learn(X[learned], y[learned])
        if most is not None and len(judged) > most:
            judged = np.sort(rng.choice(judged, most, replace=False))
        parts.append(
            block_errors(
                predict, X[judged], y[judged], groups=groups, blocks=blocks[judged], rng=rng
            )
        )
    return BlockErrors(
        tuple(groups),
        np.concatenate([part.blocks for part in parts]),
        np.concatenate([part.count for part in parts]),
        np.concatenate([part.plain for part in parts]),
        np.concatenate([part.shuffled for part in parts], axis=1),
    )


def importances(
    errors: BlockErrors, *, rng: np.random.Generator | int, draws: int = 500
) -> list[Importance]:
    """Give the growth of the RMSE for each group, with an interval over blocks, in the given order."""
    weight = block_draws(errors.blocks, rng=rng, draws=draws)

    def growth(weight: Doubles) -> Doubles:
        count = (weight @ errors.count)[:, None]
        plain = (weight @ errors.plain)[:, None]
        return np.asarray(np.sqrt(weight @ errors.shuffled.T / count) - np.sqrt(plain / count))

    value = growth(np.ones((1, len(errors.blocks))))[0]
    lower, upper = interval(growth(weight))
    return [
        Importance(name, float(value[row]), float(lower[row]), float(upper[row]))
        for row, name in enumerate(errors.groups)
    ]


def summed(values: Sequence[float] | Array, groups: Groups) -> dict[str, float]:
    """Sum a model's own importances of single features by group.

    Raises
    ------
    ValueProblem
        A group with a column that has no importance.

    Examples
    --------
    >>> summed([0.2, 0.5, 0.3], {"a": (0, 2), "b": (1,)})
    {'a': 0.5, 'b': 0.5}
    """
    array = np.asarray(values, dtype="f8")
    last = max((column for columns in groups.values() for column in columns), default=-1)
    if last >= len(array):
        raise ValueProblem(
            "importances", found=f"{len(array)}", expected=f"{last + 1}, one per feature"
        )
    return {name: float(array[list(columns)].sum()) for name, columns in groups.items()}
