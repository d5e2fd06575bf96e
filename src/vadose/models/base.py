"""What every model is: arrays in, arrays out, scikit-learn manners, data on disk.

A model knows no geography. It takes a table ``X`` of dims ``(sample, feature)`` and gives one value per
row. Whoever calls it removes rows with gaps first: a NaN in ``X`` or ``y`` is an error, not a value.

The smallest model that fulfils the protocol::

    class Constant:
        name = "constant"

        def fit(self, X, y, *, weight=None):
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
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from vadose.errors import ModelProblem

#: Version of the layout of model folders; a folder of another version is refused.
FORMAT = 1
Table = npt.NDArray[np.floating]
Column = npt.NDArray[np.float64]


@runtime_checkable
class Model(Protocol):
    """Fit a table, predict a column, live on disk as plain data."""

    name: ClassVar[str]

    def fit(self, X: Table, y: Table, *, weight: Table | None = None) -> Self:
        """Learn from rows ``X`` (sample, feature), target ``y`` (sample,), optional weights."""
        ...

    def predict(self, X: Table) -> Column:
        """Give one value per row of ``X``, in double precision."""
        ...

    def save(self, folder: Path) -> None:
        """Write the fitted model into an existing empty folder: arrays and JSON, no code."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a fitted model back; its predictions are the same to the bit."""
        ...


def check_table(X: Table, *, features: int | None = None) -> npt.NDArray[np.float32]:
    """Check a table and give it in single precision, row by row in memory.

    Raises
    ------
    ModelProblem
        Not two-dimensional, another number of features than at the fit, or a value that is not finite.

    Examples
    --------
    >>> check_table(np.array([[1.0, 2.0]])).dtype
    dtype('float32')
    """
    if X.ndim != 2:
        raise ModelProblem("X", found=f"{X.ndim} dimensions", expected="(sample, feature)")
    if features is not None and X.shape[1] != features:
        raise ModelProblem(
            "X",
            found=f"{X.shape[1]} features",
            expected=f"{features}, in the order of the fit",
        )
    with np.errstate(over="ignore"):  # what is too large for single precision is refused below
        table = np.ascontiguousarray(X, dtype=np.float32)
    if not np.isfinite(table).all():
        column = int(np.flatnonzero(~np.isfinite(table).all(axis=0))[0])
        raise ModelProblem(
            f"X, feature {column}",
            found=f"{int((~np.isfinite(table)).sum())} values that are not finite",
            expected="complete rows",
            remedy="Mask the gaps first.",
        )
    return table


def check_column(
    values: Table, samples: int, *, name: str = "y", is_weight: bool = False
) -> Column:
    """Check a target or weights and give them in double precision.

    Raises
    ------
    ModelProblem
        Not one value per sample, a value that is not finite, or a negative weight.

    Examples
    --------
    >>> check_column(np.array([1, 2]), 2)
    array([1., 2.])
    """
    column = np.asarray(values, dtype=np.float64)
    if column.shape != (samples,):
        raise ModelProblem(name, found=f"shape {column.shape}", expected=f"({samples},), as X")
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


def check_training(
    X: Table, y: Table, weight: Table | None, *, least: int
) -> tuple[npt.NDArray[np.float32], Column, Column | None]:
    """Check what a model is to learn from.

    Parameters
    ----------
    X, y, weight
        Features, target and weights of the samples.
    least
        Fewest samples.

    Raises
    ------
    ModelProblem
        Values that are not finite, lengths that differ, or too few samples.
    """
    table = check_table(X)
    target = check_column(y, len(table))
    if weight is not None:
        weight = check_column(weight, len(table), name="weight", is_weight=True)
    if len(table) < least:
        raise ModelProblem(
            "training data", found=f"{len(table)} samples", expected=f"{least} or more"
        )
    return table, target, weight


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
