"""Multipliers of a spread that are sums: one part for all, and one for each stratum of each kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vadose.uncertainty.strata import Column, Places, effective_points

#: Rounds through the kinds of strata, at most, and the change of a multiplier that ends them.
ROUNDS, SETTLED = 60, 1e-4


@dataclass(frozen=True)
class Basis:
    """Say on what a multiplier rests.

    Attributes
    ----------
    points, blocks
        Points of the stratum, and blocks that these lie in.
    effective
        Number of independent points that have the same error of the covered share.
    level
        Of the quantile: raised above the wanted one by one over that number.
    say
        Share of the stratum itself in its multiplier, 0 to 1; the rest is what holds for all.
    """

    points: int
    blocks: int
    effective: float
    level: float
    say: float


def raised(level: float, effective: float) -> float:
    """Raise the level of a quantile so that a new point is covered as often as it should be.

    Examples
    --------
    >>> round(raised(0.9, 99.0), 4), raised(0.9, 5.0)
    (0.9091, 1.0)
    """
    return min(level * (1.0 + 1.0 / effective), 1.0)


def basis_of(score: Column, block: Places, level: float, pool: float) -> Basis:
    """Find out on what the multiplier of some points rests.

    Parameters
    ----------
    score
        Residuals in units of spread.
    block
        Their blocks.
    level
        Share to be covered.
    pool
        Blocks that the whole counts for.
    """
    is_covered = score <= np.quantile(score, level)
    blocks = len(np.unique(block))
    effective = effective_points(is_covered, block, level)
    say = blocks / (blocks + pool)
    return Basis(len(score), blocks, effective, raised(level, effective), say)


@dataclass(frozen=True, eq=False)
class Multiplier:
    """Hold a multiplier for all, and what each stratum adds.

    Attributes
    ----------
    common
        For all.
    added
        Kind of strata → label → what is added.
    basis
        Of the common one.
    bases
        Kind of strata → label → on what it rests.
    """

    common: float
    added: dict[str, dict[str, float]]
    basis: Basis
    bases: dict[str, dict[str, Basis]]


def fit_multiplier(
    score: Column,
    block: Places,
    kinds: Mapping[str, Mapping[str, Places]],
    *,
    level: float,
    pool: float,
) -> Multiplier:
    """Fit the parts of a multiplier one after the other, until all strata are covered as they should be.

    Parameters
    ----------
    score
        Residuals in units of spread, dims ``(point,)``.
    block
        Block of each point.
    kinds
        Kind of strata → label → positions of its points.
    level
        Share to be covered.
    pool
        Blocks that the whole counts for, beside those of a stratum.

    Examples
    --------
    >>> score = np.concatenate([np.linspace(0, 1, 1000), np.linspace(0, 3, 1000)])
    >>> kinds = {"cover": {"forest": np.arange(1000), "crops": np.arange(1000, 2000)}}
    >>> fitted = fit_multiplier(score, np.arange(2000) // 5, kinds, level=0.9, pool=0.0)
    >>> [round(fitted.common + fitted.added["cover"][one], 1) for one in ("forest", "crops")]
    [0.9, 2.7]
    """
    basis = basis_of(score, block, level, pool)
    bases = {
        kind: {
            label: basis_of(score[places], block[places], level, pool)
            for label, places in own.items()
        }
        for kind, own in kinds.items()
    }
    common = float(np.quantile(score, basis.level))
    added = {kind: dict.fromkeys(own, 0.0) for kind, own in kinds.items()}
    total = np.full(len(score), common)
    for _ in range(ROUNDS if kinds else 0):
        largest = 0.0
        for kind, own in kinds.items():
            for label, places in own.items():
                own_basis, before = bases[kind][label], added[kind][label]
                left = score[places] - (total[places] - before)
                now = own_basis.say * float(np.quantile(left, own_basis.level))
                total[places] += now - before
                added[kind][label] = now
                largest = max(largest, abs(now - before))
        if largest < SETTLED:
            break
    return Multiplier(common, added, basis, bases)
