"""Cross-validation on blocks: what a model says of places it has not learned from.

Whole groups are held out, never single places: soil moisture is alike from cell to cell and from day to day,
and a neighbour learned from gives the answer away.

References
----------
Roberts et al. (2017), Ecography 40:913.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file
from scipy.optimize import nnls

from vadose.errors import ModelProblem
from vadose.models.base import (
    Column,
    Groups,
    Model,
    Table,
    check_groups,
    check_training,
)
from vadose.store import replaced


def deal_folds(
    groups: Groups, folds: int, *, seed: int, is_known: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.int64]:
    """Deal whole groups to folds of about the same number of places.

    The largest group is dealt first, each to the fold that has fewest places; among equals chance decides.

    Parameters
    ----------
    groups
        Number of the group of each place, any dims.
    folds
        Number of folds.
    seed
        Same seed, same folds.
    is_known
        Places that count, such as those with a target; the dims of `groups`.

    Returns
    -------
    numpy.ndarray
        Fold of each place, from 0; the dims of `groups`.

    Raises
    ------
    ModelProblem
        Fewer than two folds, or fewer groups with places that count than folds.

    Examples
    --------
    >>> fold = deal_folds(np.array([7, 7, 7, 8, 8, 9]), 2, seed=0)
    >>> sorted(np.bincount(fold).tolist())
    [3, 3]
    """
    names, place = np.unique(groups, return_inverse=True)
    weight = None if is_known is None else np.ravel(is_known).astype(np.float64)
    sizes = np.bincount(np.ravel(place), weights=weight, minlength=len(names)).astype(np.int64)
    if folds < 2:
        raise ModelProblem("folds", found=str(folds), expected="2 or more")
    if np.count_nonzero(sizes) < folds:
        raise ModelProblem(
            "groups",
            found=f"{np.count_nonzero(sizes)} with a target",
            expected=f"{folds} or more, one for each fold",
            remedy="Ask for fewer folds, or give smaller groups.",
        )
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    fold_of = np.zeros(len(names), dtype=np.int64)
    filled = np.zeros(folds, dtype=np.int64)
    for group in order:
        fold_of[group] = np.argmin(filled)
        filled[fold_of[group]] += sizes[group]
    return fold_of[place].reshape(np.shape(groups))


def out_of_fold(
    make_model: Callable[[int], Model],
    X: Table,
    y: Table,
    *,
    weight: Table | None = None,
    groups: Groups | None = None,
    folds: int = 5,
    seed: int = 0,
    folder: Path | None = None,
) -> Column:
    """Predict every place by a model that has not learned from its group.

    Parameters
    ----------
    make_model
        Gives a model that is not fitted yet; told the number of the fold, from 0.
    X, y, weight, groups
        What a model is fitted with, see `vadose.models.base`. A sequence or patch of which a part is held
        out is learned from with the rest of its targets.
    folds
        Number of folds, dealt by `deal_folds`.
    seed
        Of the dealing.
    folder
        Where the predictions of each fold are kept as soon as it is over. Those of the same samples, folds
        and parameters are taken up, so that a run that was stopped goes on; others are overwritten.

    Returns
    -------
    numpy.ndarray
        The shape of `y`, in its units; NaN where no output of `y` is known.

    Raises
    ------
    ModelProblem
        Samples that do not suit, or fewer groups than folds.

    Examples
    --------
    >>> from vadose.models import RandomForest
    >>> X = np.linspace(0.0, 1.0, 200)[:, None]
    >>> values = out_of_fold(lambda fold: RandomForest(trees=5), X, X[:, 0])
    >>> bool(np.abs(values - X[:, 0]).mean() < 0.1)
    True
    """
    first = make_model(0)
    table, target, share = check_training(X, y, weight, least=folds, kind=first.kind)
    blocks = check_groups(groups, table)
    known = np.isfinite(target.reshape(*table.shape[:-1], -1)).any(axis=-1)
    is_known: npt.NDArray[np.bool_] = np.asarray(known)
    counts = is_known if share is None else is_known & (share > 0)
    fold_of = deal_folds(blocks, folds, seed=seed, is_known=counts)
    result = np.full(target.shape, np.nan)
    for fold in range(folds):
        is_held: npt.NDArray[np.bool_] = (fold_of == fold) & is_known
        model = first if fold == 0 else make_model(fold)
        path = None if folder is None else folder / f"fold_{fold}.safetensors"
        key = "" if path is None else _key(model, table, target, share, blocks, is_held)
        values = None if path is None else _kept(path, key)
        if values is None:
            values = _held_out(model, table, target, share, blocks, is_held)
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                with replaced(path, overwrite=True) as partial:
                    save_file({"values": values}, partial, metadata={"key": key})
        result[is_held] = values
    return result


def _held_out(
    model: Model,
    X: Table,
    y: Column,
    weight: Column | None,
    groups: Groups,
    is_held: npt.NDArray[np.bool_],
) -> Column:
    """Fit without the places held out, and predict them."""
    if model.kind == "rows":
        kept = ~is_held
        share = None if weight is None else weight[kept]
        model.fit(X[kept], y[kept], weight=share, groups=groups[kept])
        return model.predict(X[is_held])
    learned = y.copy()
    learned[is_held] = np.nan
    model.fit(X, learned, weight=weight, groups=groups)
    samples = np.flatnonzero(is_held.reshape(len(X), -1).any(axis=1))
    values: Column = model.predict(X[samples])[is_held[samples]]
    return values


def fingerprint(*parts: Any) -> str:
    """Tell arrays, and what has a faithful ``repr``, from others."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()


def parameters_of(model: Model) -> dict[str, Any]:
    """Give what a model was made with; scikit-learn manners: ``__init__`` only stores."""
    return {key: getattr(model, key) for key in inspect.signature(type(model)).parameters}


def _key(model: Model, *arrays: Any) -> str:
    """Tell a fold of these samples and this model from others; `EachStep` and the like show their inside."""
    parameters = {
        key: (one.name, parameters_of(one)) if isinstance(one, Model) else one
        for key, one in parameters_of(model).items()
    }
    return fingerprint(model.name, parameters, *arrays)


def _kept(path: Path, key: str) -> Column | None:
    """Read the predictions of a fold that is over, if they belong to this one."""
    try:
        with safe_open(path, framework="numpy") as file:
            if (file.metadata() or {}).get("key") != key:
                return None
        return np.asarray(load_file(path)["values"], dtype=np.float64)
    except (OSError, KeyError, SafetensorError):
        return None


def pooled_rmse(predicted: Column, y: Column, weight: Column | None = None) -> float:
    """Give the root mean square error over the places, and outputs, with a target.

    Parameters
    ----------
    predicted, y
        The same shape and unit; where `y` is NaN there is nothing to compare. A prediction that is
        missing where there is a target makes the error NaN.
    weight
        Of the places.

    Examples
    --------
    >>> pooled_rmse(np.array([1.0, 2.0]), np.array([4.0, np.nan]))
    3.0
    """
    is_known = np.isfinite(y)
    share = np.ones(y.shape)
    if weight is not None:
        share = np.broadcast_to(weight if weight.ndim == y.ndim else weight[..., None], y.shape)
    error = (predicted - y)[is_known]
    return float(np.sqrt(np.average(error**2, weights=share[is_known])))


def best_weights(predicted: Column, truth: Column, weight: Column) -> Column:
    """Find the weights of least square error that are 0 or more and add up to one.

    Parameters
    ----------
    predicted
        Dims ``(place, member)``, finite.
    truth, weight
        Dims ``(place,)``, finite.

    Returns
    -------
    numpy.ndarray
        Dims ``(member,)``.

    Notes
    -----
    With weights that add up to one, the error of the mean is the mean ``E w`` of the members' errors.
    Non-negative least squares with one more row, ``min |E b|² + c² (sum(b) - 1)²``, has its least value
    where ``w = b / sum(b)`` has the least ``|E w|²``, whatever ``c > 0``: with ``b = s w`` and the best
    ``s`` it is ``c² |E w|² / (c² + |E w|²)``, which rises with ``|E w|²``. So the constraint holds exactly,
    without a penalty to choose.

    References
    ----------
    Lawson and Hanson (1974), Solving Least Squares Problems, chapter 23.

    Examples
    --------
    >>> truth = np.array([1.0, 2.0, 3.0])
    >>> predicted = np.stack([truth + 1.0, truth - 3.0, truth + 9.0], axis=-1)
    >>> best_weights(predicted, truth, np.ones(3)).round(6)
    array([0.75, 0.25, 0.  ])
    """
    errors = (predicted - truth[:, None]) * np.sqrt(weight)[:, None]
    # |E w| = |R w|, and R has a row for each member only
    small = np.asarray(np.linalg.qr(errors, mode="r"))
    size = float(np.linalg.norm(small, axis=0).max()) or 1.0
    row = np.ones((1, predicted.shape[1]))
    found, _ = nnls(np.concatenate([small / size, row]), np.append(np.zeros(len(small)), 1.0))
    return np.asarray(found / found.sum())
