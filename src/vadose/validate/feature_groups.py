"""Which features belong together: those of one predictor, and predictors that tell nearly the same.

Where two features go together, a model may use either, so that one alone, shuffled or varied, seems to
matter little. Whoever explains a model therefore moves them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from vadose.errors import ValueProblem

#: Predictors with an absolute rank correlation of this or more, averaged over a group, are one group.
TOGETHER = 0.7

Array = npt.NDArray[np.floating]
#: Columns of each group, by its name.
Groups = Mapping[str, Sequence[int]]


def natural_group(name: str) -> str:
    """Name the predictor that a feature is made from; all land-cover classes are one.

    Examples
    --------
    >>> natural_group("sand:departure"), natural_group("land_cover_croplands"), natural_group("ndvi")
    ('sand', 'land_cover', 'ndvi')
    """
    predictor = name.split(":")[0]
    return "land_cover" if predictor.startswith("land_cover_") else predictor


def feature_groups(
    X: Array, names: Sequence[str], *, together: float = TOGETHER
) -> dict[str, tuple[int, ...]]:
    """Put features into groups: by predictor first, then predictors that are correlated.

    Predictors are joined by average linkage on ``1 − |Spearman's ρ|``. Of two predictors with several
    features each, the closest pair counts, among features of the same aspect (``predictor:aspect``).

    Parameters
    ----------
    X
        Dims ``(sample, ..., feature)``; no NaN.
    names
        One per feature.
    together
        Least absolute correlation, averaged over a group, to be together; 1 joins nothing but copies.

    Returns
    -------
    dict
        Columns of each group. The name joins the predictors by ``" + "``.

    Raises
    ------
    ValueProblem
        Another number of names than of features, a NaN, or a threshold outside 0 to 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> heat, sand = rng.normal(size=(2, 200))
    >>> X = np.stack([heat, sand, heat + 0.1 * rng.normal(size=200)], axis=1)
    >>> feature_groups(X, ["lst", "sand", "air_temperature"])
    {'lst + air_temperature': (0, 2), 'sand': (1,)}
    """
    table = np.asarray(X, dtype="f8").reshape(-1, np.shape(X)[-1])
    if table.shape[1] != len(names):
        raise ValueProblem(
            "names", found=f"{len(names)}", expected=f"{table.shape[1]}, one per feature"
        )
    if not np.isfinite(table).all():
        raise ValueProblem("X", found="NaN among the features", expected="complete samples")
    if not 0 < together <= 1:
        raise ValueProblem(
            "together", found=f"{together}", expected="a correlation above 0, up to 1"
        )
    predictors = [natural_group(name) for name in names]
    unique = list(dict.fromkeys(predictors))
    members = [np.flatnonzero(np.array(predictors) == one) for one in unique]
    label = np.ones(1, dtype=int)
    if len(unique) > 1:
        distance = 1 - _closest(_rank_correlation(table), names, members)
        tree = linkage(squareform(distance, checks=False), method="average")
        label = fcluster(tree, 1 - together + 1e-9, criterion="distance")
    groups: dict[str, tuple[int, ...]] = {}
    for one in dict.fromkeys(label):  # in the order of their first feature
        own = np.flatnonzero(label == one)
        columns = sorted(int(place) for group in own for place in members[group])
        groups[" + ".join(unique[group] for group in own)] = tuple(columns)
    return groups


def _rank_correlation(table: Array) -> Array:
    """Give |Spearman's ρ| of all pairs; a constant goes with nothing."""
    ranks = rankdata(table, axis=0)
    ranks -= ranks.mean(axis=0)
    spread = np.sqrt((ranks**2).sum(axis=0))
    ranks /= np.where(spread > 0, spread, 1.0)
    return np.asarray(np.clip(np.abs(ranks.T @ ranks), 0.0, 1.0))


def _closest(
    correlation: Array, names: Sequence[str], members: Sequence[npt.NDArray[np.intp]]
) -> Array:
    """Give the largest correlation of any two predictors, among their features of the same aspect."""
    aspect = np.array([name.partition(":")[2] for name in names])
    comparable = np.where(aspect[:, None] == aspect[None, :], correlation, 0.0)
    result = np.eye(len(members))
    for row, one in enumerate(members):
        for column, other in enumerate(members[:row]):
            result[row, column] = result[column, row] = comparable[np.ix_(one, other)].max()
    return result
