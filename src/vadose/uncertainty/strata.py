"""Points by stratum and block: labels of several kinds, how many independent points blocks hold, coverage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from vadose.errors import ValueProblem

Column = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
#: Kinds of strata by name, or the labels of a single kind.
Strata = Mapping[str, npt.NDArray[Any]] | npt.NDArray[Any] | None
#: Range of whole numbers that labels are looked up in by a table.
WIDEST = 1 << 16
#: What a single kind of strata is called.
SINGLE = "stratum"


def kinds_of(stratum: Strata, size: int) -> dict[str, npt.NDArray[Any]]:
    """Give the labels of each kind of strata as a flat column.

    Parameters
    ----------
    stratum
        Whole numbers, truth values or text; of several kinds by name.
    size
        Number of points.

    Raises
    ------
    ValueProblem
        Numbers that are not whole (they have to be put into classes first), or another number of points.

    Examples
    --------
    >>> kinds_of(np.array([[1, 2]]), 2)
    {'stratum': array([1, 2])}
    """
    if stratum is None:
        return {}
    named = stratum if isinstance(stratum, Mapping) else {SINGLE: stratum}
    kinds = {str(name): np.asarray(labels).ravel() for name, labels in named.items()}
    for name, labels in kinds.items():
        if labels.dtype.kind not in "iubU":
            raise ValueProblem(
                f"stratum {name!r}",
                found=f"labels of type {labels.dtype}",
                expected="whole numbers, truth values or text",
                remedy="Put numbers into classes first, with numpy.digitize.",
            )
        if len(labels) != size:
            raise ValueProblem(
                f"stratum {name!r}", found=f"{len(labels)} labels", expected=f"{size}, one a point"
            )
    return kinds


@dataclass(frozen=True)
class Classes:
    """Turn numbers that describe points into labels of strata: learned once, the same ever after.

    Attributes
    ----------
    edges
        Name of a quantity → its edges between classes, increasing. A value on an edge belongs above it.
    codes
        Names of what has whole numbers or text already.

    Examples
    --------
    >>> described = {"elevation": np.array([3.0, 1.0, 2.0, np.nan]), "month": np.array([1, 1, 7, 7])}
    >>> classes = Classes.learn(described)
    >>> {name: labels.tolist() for name, labels in classes.labels(described).items()}
    {'elevation': [2, 0, 1, -1], 'month': [1, 1, 7, 7]}
    """

    edges: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    codes: tuple[str, ...] = ()

    @classmethod
    def learn(cls, described: Mapping[str, npt.NDArray[Any]], *, parts: int = 3) -> Self:
        """Cut each quantity into parts of equally many points; what does not vary makes no strata.

        Parameters
        ----------
        described
            Name → one value per point. Floating point numbers are cut, NaN left out.
        parts
            Number of classes.
        """
        edges: dict[str, tuple[float, ...]] = {}
        codes: list[str] = []
        for name, given in described.items():
            values = np.asarray(given).ravel()
            if values.dtype.kind != "f":
                codes += [name] if len(np.unique(values)) > 1 else []
                continue
            known = values[np.isfinite(values)].astype(np.float64)
            if known.size:
                cuts = np.unique(np.quantile(known, np.arange(1, parts) / parts))
                cuts = cuts[cuts > known.min()]
                edges |= {name: tuple(float(cut) for cut in cuts)} if cuts.size else {}
        return cls(edges, tuple(codes))

    @property
    def names(self) -> tuple[str, ...]:
        """Name what a point has to be described by."""
        return (*self.edges, *self.codes)

    def labels(self, described: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Give each point its labels, in the shape of the values; -1 where one is NaN.

        Raises
        ------
        ValueProblem
            When something is not described.
        """
        missing = [name for name in self.names if name not in described]
        if missing:
            raise ValueProblem(
                "strata",
                found=f"{', '.join(described) or 'nothing'} to tell them by",
                expected=f"also {', '.join(missing)}",
                remedy="The intervals were calibrated with them.",
            )
        labels: dict[str, npt.NDArray[Any]] = {}
        for name, cuts in self.edges.items():
            values = np.asarray(described[name])
            labels[name] = np.where(np.isnan(values), -1, np.digitize(values, cuts))
        return labels | {name: np.asarray(described[name]) for name in self.codes}


def members_of(labels: npt.NDArray[Any]) -> dict[str, Places]:
    """Give the positions of the points of each label, by the label as text.

    Examples
    --------
    >>> {label: places.tolist() for label, places in members_of(np.array([7, 3, 7])).items()}
    {'3': [1], '7': [0, 2]}
    """
    if not labels.size:
        return {}
    found, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    parts = np.split(np.argsort(place, kind="stable"), np.cumsum(counts)[:-1])
    return {str(label): part for label, part in zip(found, parts, strict=True)}


def looked_up(
    labels: npt.NDArray[Any], numbers: Mapping[str, float], *, otherwise: float = 0.0
) -> Column:
    """Give the number of each point's label.

    Parameters
    ----------
    labels
        Whole numbers, truth values or text, dims ``(point,)``.
    numbers
        By the label as text.
    otherwise
        Number of a label that is not there.

    Examples
    --------
    >>> looked_up(np.array([3, 7, 5]), {"3": 0.5, "7": -0.5})
    array([ 0.5, -0.5,  0. ])
    """
    if labels.size and labels.dtype.kind in "iub":
        low, high = labels.min(), labels.max()
        if int(high) - int(low) < WIDEST:  # no need to sort millions of pixels
            found = np.arange(int(low), int(high) + 1).astype(labels.dtype)
            table = np.array([numbers.get(str(label), otherwise) for label in found])
            return np.asarray(table[labels.astype(np.int64) - int(low)])
    found, place = np.unique(labels, return_inverse=True)
    table = np.array([numbers.get(str(label), otherwise) for label in found], dtype=np.float64)
    return np.asarray(table[place])


def effective_points(is_covered: npt.NDArray[np.bool_], block: Places, share: float) -> float:
    """Estimate how many independent points would have the error of the covered share that blocks have.

    Parameters
    ----------
    is_covered
        Whether an interval holds each point.
    block
        Block of each point; points of different blocks are independent.
    share
        The share that is to be covered.

    Returns
    -------
    float
        1 for a single block; never more than there are points.

    References
    ----------
    Kish (1965), Survey Sampling; here with the variance of a ratio over blocks of unequal size.

    Examples
    --------
    >>> whole_blocks = np.repeat([True, False, True, True], 25)
    >>> round(effective_points(whole_blocks, np.repeat(np.arange(4), 25), 0.75), 1)
    3.0
    """
    count = len(is_covered)
    _, place = np.unique(block, return_inverse=True)
    blocks = int(place.max()) + 1
    if blocks < 2:
        return 1.0
    excess = np.bincount(place, weights=is_covered - is_covered.mean())
    variance = float(excess @ excess) / count**2 * blocks / (blocks - 1)
    if variance <= share * (1 - share) / count:
        return float(count)
    return max(share * (1 - share) / variance, 1.0)


def coverage_table(
    observed: Column,
    lower: Column,
    upper: Column,
    *,
    block: npt.ArrayLike,
    stratum: Strata = None,
) -> pd.DataFrame:
    """Count what intervals cover, over all points and stratum by stratum.

    Parameters
    ----------
    observed, lower, upper
        Dims ``(point,)``, one unit; a NaN in one of them makes the stratum NaN.
    block
        Block of each point, for the error of the share.
    stratum
        Labels of each point; several kinds by name.

    Returns
    -------
    pandas.DataFrame
        Columns ``kind`` (``"all"`` first), ``label``, ``points``, ``blocks``, ``coverage`` (share),
        ``standard_error`` (of the share, from block to block) and ``width`` (mean, in the unit).

    Examples
    --------
    >>> truth = np.array([0.1, 0.2, 0.3, 0.9])
    >>> table = coverage_table(truth, truth * 0, truth * 0 + 0.5, block=np.arange(4))
    >>> table["coverage"].tolist()
    [0.75]
    """
    size = len(observed)
    number = np.unique(np.asarray(block), return_inverse=True)[1].ravel()
    is_known = np.isfinite(observed) & np.isfinite(lower) & np.isfinite(upper)
    is_covered = (observed >= lower) & (observed <= upper)
    rows = []
    groups = {("all", "all"): np.arange(size)}
    for kind, labels in kinds_of(stratum, size).items():
        groups |= {(kind, label): places for label, places in members_of(labels).items()}
    for (kind, label), places in groups.items():
        share = float(is_covered[places].mean()) if is_known[places].all() else float("nan")
        independent = effective_points(is_covered[places], number[places], share)
        rows.append(
            {
                "kind": kind,
                "label": label,
                "points": len(places),
                "blocks": len(np.unique(number[places])),
                "coverage": share,
                "standard_error": float(np.sqrt(share * (1 - share) / independent)),
                "width": float((upper[places] - lower[places]).mean()),
            }
        )
    return pd.DataFrame(rows)
