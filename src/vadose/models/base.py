"""What every model is: arrays in, arrays out, scikit-learn manners, data on disk.

A model knows no geography. It takes samples of one `kind`:

============  ==========================================  =============================================
kind          ``X``                                       what a prediction may depend on
============  ==========================================  =============================================
rows          ``(sample, feature)``                       its own row
sequences     ``(sample, time, feature)``                 the steps of its sample up to its own
patches       ``(sample, y, x, feature)``                 the cells of its sample
============  ==========================================  =============================================

``y`` has the shape of ``X`` without the last dimension: one value for every place, of which a place is a
row, a step or a cell. A last dimension ``output`` may be added to learn several layers together. What
`predict` gives has the shape of the ``y`` that was learned.

``X`` is complete: a NaN in it is an error, not a value. (A cell of a patch may lie outside of the land or
the swath: then *all* its features are NaN, and so is its prediction.) In sequences and patches a NaN in
``y`` says that nothing is known there, and the place counts in no loss.

``groups`` has the shape of ``X`` without the last dimension too. Places that share a number stay together
whenever a model holds some of them back, to stop early or to weigh members: the blocks of
`vadose.samples.splits`.

The smallest model that fulfils the protocol::

    class Constant:
        name = "constant"
        kind = "rows"

        def fit(self, X, y, *, weight=None, groups=None):
            self.value_ = float(np.average(y, weights=weight))
            return self

        def predict(self, X):
            return np.full(len(X), self.value_)

        def save(self, folder): ...

        @classmethod
        def load(cls, folder): ...
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from vadose.errors import ModelProblem

#: Version of the layout of model folders; a folder of another version is refused.
FORMAT = 1
#: What a sample is.
Kind = Literal["rows", "sequences", "patches"]
#: Number of blocks that samples without `groups` are cut into.
BLOCKS = 10
Table = npt.NDArray[np.floating]
Column = npt.NDArray[np.float64]
Groups = npt.NDArray[np.int64]
Progress = Callable[[int, int, str], None]

_SHAPES: dict[Kind, tuple[str, ...]] = {
    "rows": ("sample", "feature"),
    "sequences": ("sample", "time", "feature"),
    "patches": ("sample", "y", "x", "feature"),
}


@runtime_checkable
class Model(Protocol):
    """Fit samples, predict a value for each of their places, live on disk as plain data."""

    name: ClassVar[str]
    kind: ClassVar[Kind]

    def fit(
        self, X: Table, y: Table, *, weight: Table | None = None, groups: Groups | None = None
    ) -> Self:
        """Learn from samples ``X``, target ``y``, optional weights and groups of the places."""
        ...

    def predict(self, X: Table) -> Column:
        """Give one value per place of ``X`` (and output), in double precision."""
        ...

    def save(self, folder: Path) -> None:
        """Write the fitted model into an existing empty folder: arrays and JSON, no code."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a fitted model back; its predictions are the same to the bit."""
        ...


@runtime_checkable
class Spreading(Protocol):
    """Say, beside `Model`, how far its parts (trees, members) are from each other at each place.

    The spread tells where a prediction is less sure than elsewhere, not by how much: parts that have
    learned from the same data err alike. `vadose.uncertainty.conformal` turns it into an interval.
    """

    def spread(self, X: Table, *, mean: Column | None = None) -> Column:
        """Give the standard deviation over the parts, in units of the target, the shape of `predict`.

        Parameters
        ----------
        X
            Samples, as for `predict`.
        mean
            What `predict` gives for them, if it is known already: that saves its time.
        """
        ...


def quiet(done: int, total: int, note: str = "") -> None:
    """Tell nobody of the progress."""


def check_table(
    X: Table, *, features: int | None = None, kind: Kind = "rows"
) -> npt.NDArray[np.float32]:
    """Check samples and give them in single precision, place by place in memory.

    Raises
    ------
    ModelProblem
        Not the dimensions of the kind, no features or another number than at the fit, or a value that
        is not finite.

    Examples
    --------
    >>> check_table(np.array([[1.0, 2.0]])).dtype
    dtype('float32')
    """
    dims = _SHAPES[kind]
    if X.ndim != len(dims):
        raise ModelProblem("X", found=f"{X.ndim} dimensions", expected=f"({', '.join(dims)})")
    if X.shape[-1] == 0:
        raise ModelProblem("X", found="no features", expected="one or more")
    if features is not None and X.shape[-1] != features:
        raise ModelProblem(
            "X",
            found=f"{X.shape[-1]} features",
            expected=f"{features}, in the order of the fit",
        )
    with np.errstate(over="ignore"):  # what is too large for single precision is refused below
        table = np.ascontiguousarray(X, dtype=np.float32)
    is_bad = ~np.isfinite(table)
    if kind == "patches":
        is_bad &= ~np.isnan(table).all(axis=-1, keepdims=True)
    if is_bad.any():
        column = int(np.flatnonzero(is_bad.any(axis=tuple(range(table.ndim - 1))))[0])
        raise ModelProblem(
            f"X, feature {column}",
            found=f"{int(is_bad.sum())} values that are not finite",
            expected="complete rows" if kind == "rows" else f"complete {kind}",
            remedy="Mask the gaps first.",
        )
    return table


def check_column(
    values: Table, places: int | tuple[int, ...], *, name: str = "y", is_weight: bool = False
) -> Column:
    """Check a target or weights that must have no gap, and give them in double precision.

    Raises
    ------
    ModelProblem
        Not one value per place, a value that is not finite, or a negative weight.

    Examples
    --------
    >>> check_column(np.array([1, 2]), 2)
    array([1., 2.])
    """
    shape = (places,) if isinstance(places, int) else places
    column = np.asarray(values, dtype=np.float64)
    if column.shape != shape:
        raise ModelProblem(name, found=f"shape {column.shape}", expected=f"{shape}, as X")
    if not np.isfinite(column).all():
        raise ModelProblem(
            name,
            found=f"{int((~np.isfinite(column)).sum())} values that are not finite",
            expected="complete rows",
            remedy="Mask the gaps first.",
        )
    if is_weight and not ((column >= 0).all() and column.any()):
        raise ModelProblem(name, found="negative values or only 0", expected="0 or more")
    return column


def check_target(y: Table, X: Table, *, kind: Kind) -> Column:
    """Check a target, with or without a dimension for outputs, and give it in double precision.

    In a cell that lies outside nothing is known, whatever ``y`` says.

    Raises
    ------
    ModelProblem
        Another shape than the places of ``X``, a gap in rows, an infinite value, or an output that is
        nowhere known.

    Examples
    --------
    >>> check_target(np.array([[0.2, np.nan]]), np.zeros((1, 2, 3)), kind="sequences")
    array([[0.2, nan]])
    """
    places = X.shape[:-1]
    shape = np.shape(y)
    if shape[: len(places)] == places and len(shape) == len(places) + 1 and shape[-1] > 0:
        places = shape
    if kind == "rows":
        return check_column(y, places)
    target = np.asarray(y, dtype=np.float64)
    if target.shape != places:
        raise ModelProblem("y", found=f"shape {target.shape}", expected=f"{places}, as X")
    if np.isinf(target).any():
        raise ModelProblem(
            "y", found=f"{int(np.isinf(target).sum())} infinite values", expected="numbers or NaN"
        )
    if kind == "patches":
        is_outside = (
            np.isnan(X).all(axis=-1).reshape(*X.shape[:-1], *[1] * (target.ndim + 1 - X.ndim))
        )
        target = np.where(is_outside, np.nan, target)
    axes = tuple(range(X.ndim - 1))
    if target.size and np.isnan(target).all(axis=axes).any():
        raise ModelProblem("y", found="no known value", expected="something to learn from")
    return target


def check_training(
    X: Table, y: Table, weight: Table | None, *, least: int, kind: Kind = "rows"
) -> tuple[npt.NDArray[np.float32], Column, Column | None]:
    """Check what a model is to learn from.

    Parameters
    ----------
    X, y, weight
        Features, target and weights of the places.
    least
        Fewest places with a target.
    kind
        What a sample is.

    Raises
    ------
    ModelProblem
        Values that are not finite, shapes that differ, too few places, or an output that has no weight
        wherever it is known.
    """
    table = check_table(X, kind=kind)
    target = check_target(y, table, kind=kind)
    if weight is not None:
        weight = check_column(weight, table.shape[:-1], name="weight", is_weight=True)
    is_known = np.isfinite(target if target.ndim == table.ndim else target[..., None])
    known = int(is_known.any(axis=-1).sum())
    if known < least:
        raise ModelProblem("training data", found=f"{known} samples", expected=f"{least} or more")
    if weight is not None and not is_known[weight > 0].any(axis=0).all():
        raise ModelProblem(
            "weight", found="0 wherever the target is known", expected="more than 0 somewhere there"
        )
    return table, target, weight


def check_groups(groups: Groups | None, X: Table) -> Groups:
    """Check groups; without any, cut the samples into contiguous blocks.

    Neighbours in a table are neighbours in space or time, so that blocks of them are held back
    together. Where there are fewer than ten samples, the second dimension is cut.

    Raises
    ------
    ModelProblem
        Not one whole number per place.

    Examples
    --------
    >>> check_groups(None, np.zeros((20, 3)))[:5]
    array([0, 0, 1, 1, 2])
    """
    places = X.shape[:-1]
    if groups is None:
        axis = int(len(X) < BLOCKS and len(places) > 1)
        length = max(places[axis], 1)
        block = np.arange(places[axis]) * min(BLOCKS, length) // length
        shape = [1] * len(places)
        shape[axis] = places[axis]
        return np.broadcast_to(block.reshape(shape), places).astype(np.int64)
    given = np.asarray(groups)
    if given.shape != places or given.dtype.kind not in "iu":
        raise ModelProblem(
            "groups",
            found=f"shape {given.shape} of {given.dtype}",
            expected=f"whole numbers of shape {places}, as X",
        )
    return given.astype(np.int64)


def write_description(
    folder: Path, name: str, description: Mapping[str, Any], *, file: str = "model.json"
) -> None:
    """Write a JSON file with the model's name, format version and parameters."""
    content = {"model": name, "format": FORMAT, **description}
    (folder / file).write_text(json.dumps(content, indent=2), encoding="utf-8")


def read_description(folder: Path, name: str, *, file: str = "model.json") -> dict[str, Any]:
    """Read a model's JSON file and check that it describes this model in this format.

    Raises
    ------
    ModelProblem
        Missing, unreadable, another model or another format version.
    """
    path = Path(folder) / file
    content = _read_json(path)
    if content.get("model") != name:
        raise ModelProblem(path, found=f"model {content.get('model')!r}", expected=repr(name))
    if content.get("format") != FORMAT:
        raise ModelProblem(
            path,
            found=f"format {content.get('format')!r}",
            expected=f"format {FORMAT}",
            remedy="Fit it again with this version of vadose.",
        )
    return content


def read_name(folder: Path, *, file: str = "model.json") -> str:
    """Read the name of the model that a folder holds.

    Raises
    ------
    ModelProblem
        Missing or unreadable description.
    """
    return str(_read_json(Path(folder) / file).get("model"))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelProblem(
            path, found=f"no readable description ({error})", expected="a saved model"
        ) from error
    if not isinstance(content, dict):
        raise ModelProblem(path, found=f"a {type(content).__name__}", expected="a JSON object")
    return content
