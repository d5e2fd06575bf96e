"""What a fitted model responds to: Morris' and Sobol's measures, with correlated features moved as blocks.

The model is taken for what it is, a function; no truth is needed. Each sample is compared with itself after
a group of its features was replaced by that of another sample. The columns of a group stay together, so
that correlations inside a group are kept; those between groups are broken, which is why what is strongly
correlated has to be one group (`vadose.validate.feature_groups`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vadose.errors import ValueProblem
from vadose.validate.blocks import block_draws, interval
from vadose.validate.feature_groups import Groups
from vadose.validate.importance import Predict

Array = npt.NDArray[np.floating]
Numbers = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
#: Variance within a draw, relative to that of all samples, up to which it is rounding alone.
ALIKE = 1e-12


@dataclass(frozen=True)
class Sensitivity:
    """Hold measures of groups of features, dims ``group``, and what intervals are made from.

    Attributes
    ----------
    groups
        Their names.
    variance
        Of the predictions, in the unit of the target squared.
    first
        Sobol's first-order index: share of the variance that the group explains alone. By chance it may
        be a little below 0.
    total
        Sobol's total index: share that is left unknown when all but the group is known; 0 means that the
        model does not respond to it.
    mean_effect, spread_of_effect
        Morris' μ* and σ: mean and standard deviation of the change when the group is replaced, in the
        unit of the target; σ is of the signed change.
    first_draws, total_draws
        The indices for blocks drawn anew, dims ``(draw, group)``; NaN with fewer than two blocks, and for
        draws within which predictions are all the same.
    """

    groups: tuple[str, ...]
    variance: float
    first: Doubles
    total: Doubles
    mean_effect: Doubles
    spread_of_effect: Doubles
    first_draws: Doubles
    total_draws: Doubles

    @property
    def total_interval(self) -> tuple[Doubles, Doubles]:
        """Give lower and upper end of the 95 % interval of the total index."""
        return interval(self.total_draws)

    @property
    def first_interval(self) -> tuple[Doubles, Doubles]:
        """Give lower and upper end of the 95 % interval of the first-order index."""
        return interval(self.first_draws)


def sensitivity(
    predict: Predict,
    X: Array,
    *,
    groups: Groups,
    blocks: Numbers,
    rng: np.random.Generator | int,
    pairings: int = 4,
    drawn: tuple[Numbers, Doubles] | None = None,
) -> Sensitivity:
    """Measure what a model responds to, from its own samples.

    The samples, and the same ones in another order, are the two matrices of a radial design; replacing
    one group at a time gives Morris' and Sobol's measures from the same predictions. A prediction of
    several places or outputs enters with the sum of their variances.

    Parameters
    ----------
    predict
        The fitted model.
    X
        Dims ``(sample, ..., feature)``; no NaN.
    groups
        Columns by group.
    blocks
        Dims ``sample``: samples of one block are not independent.
    rng
        Generator or seed.
    pairings
        Other samples that each one is compared with; more make the measures and their intervals sharper.
    drawn
        Numbers of blocks and how often each was drawn, dims ``(draw, block)``, from `block_draws`. The
        same ones for several scales make their differences comparable. Made from `blocks` unless given.

    Raises
    ------
    ValueProblem
        Fewer than two samples, lengths that differ, a NaN in samples or predictions, predictions without
        any variance, or a block that was not drawn from.

    References
    ----------
    Campolongo, Saltelli and Cariboni (2011), Comput. Phys. Commun. 182:978 (one design for both);
    Saltelli et al. (2010), Comput. Phys. Commun. 181:259 (first order); Jansen (1999), Comput. Phys.
    Commun. 117:35 (total); Jacques, Lavergne and Devictor (2006), Reliab. Eng. Syst. Saf. 91:1126 (groups);
    Gamboa et al. (2014), Electron. J. Stat. 8:575 (several outputs); Owen (2007), Ann. Appl. Stat. 1:386
    (a pair counts as often as both of its blocks were drawn).

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(4000, 3))
    >>> result = sensitivity(lambda table: 2 * table[:, 0] + table[:, 1], X, rng=0,
    ...                      groups={"a": [0], "b": [1], "c": [2]}, blocks=np.arange(4000) // 100)
    >>> [round(float(share), 1) for share in result.total]
    [0.8, 0.2, 0.0]
    """
    rng = np.random.default_rng(rng)
    if len(X) != len(blocks) or len(X) < 2:
        raise ValueProblem(
            "samples",
            found=f"{len(X)} of X, {len(blocks)} of blocks",
            expected="as many of each, two or more",
        )
    if not np.isfinite(X).all():
        raise ValueProblem("X", found="NaN among the features", expected="complete samples")
    if drawn is None:
        numbers = np.unique(blocks)
        drawn = numbers, block_draws(numbers, rng=rng)
    here = _flat(predict(X), len(X))
    here = here - here.mean(axis=0)
    variance = float((here**2).sum(axis=1).mean())
    if not variance > 0:
        raise ValueProblem(
            "predictions", found="the same value everywhere", expected="some variance to explain"
        )
    plain, drawings = np.zeros((4, len(groups))), np.zeros((3, len(drawn[1]), len(groups)))
    for _ in range(pairings):
        other = _elsewhere(len(X), rng)
        weight = _weights(blocks, other, *drawn)
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
        drawings[0] += _variance(here, weight)[:, None]
        for column, members in enumerate(groups.values()):
            table = X.copy()
            table[..., list(members)] = X[other][..., list(members)]
            changed = _flat(predict(table), len(X))
            change = changed - changed.mean(axis=0) - here
            first, total = (here[other] * change).sum(axis=1), (change**2).sum(axis=1) / 2
            measures = first.mean(), total.mean(), np.abs(change).mean(), change.var()
            plain[:, column] += np.array(measures) / pairings
            drawings[1, :, column] += weight @ first
            drawings[2, :, column] += weight @ total
    # of a draw without samples, or of a single one, there is no variance to share out
    varies = drawings[0] > ALIKE * variance
    shares = drawings[1:] / np.where(varies, drawings[0], 1.0)
    first_draws, total_draws = np.where(varies, shares, np.nan)
    return Sensitivity(
        groups=tuple(groups),
        variance=variance,
        first=plain[0] / variance,
        total=plain[1] / variance,
        mean_effect=plain[2],
        spread_of_effect=np.sqrt(plain[3]),
        first_draws=first_draws,
        total_draws=total_draws,
    )


def _variance(here: Doubles, weight: Doubles) -> Doubles:
    """Give the variance of predictions for each draw, dims ``draw``, summed over places."""
    mean = weight @ here
    return np.asarray(weight @ (here**2).sum(axis=1) - (mean**2).sum(axis=1))


def _elsewhere(count: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Give every sample another one: a round trip through all of them in a random order."""
    order = rng.permutation(count)
    other = np.empty(count, dtype=np.intp)
    other[order] = np.roll(order, 1)
    return other


def _flat(predictions: Array, count: int) -> Doubles:
    values = np.asarray(predictions, dtype="f8").reshape(count, -1)
    if not np.isfinite(values).all():
        raise ValueProblem("predictions", found="NaN", expected="a number for complete samples")
    return values


def _weights(
    blocks: Numbers, other: npt.NDArray[np.intp], numbers: Numbers, drawn: Doubles
) -> Doubles:
    """Weigh each pair of samples by how often both of their blocks were drawn, dims ``(draw, sample)``."""
    place = np.searchsorted(numbers, blocks)
    found = numbers[np.minimum(place, len(numbers) - 1)]
    if not np.array_equal(found, blocks):
        raise ValueProblem(
            "blocks", found=f"block {blocks[found != blocks][0]}", expected="blocks that were drawn"
        )
    return np.asarray(drawn[:, place] * drawn[:, place[other]])
