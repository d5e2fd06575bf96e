"""How a model shows itself: the call that makes it again, and a table in notebooks."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from vadose.errors import UnknownName
from vadose.models.crossvalidation import parameters_of
from vadose.notebook import as_table

if TYPE_CHECKING:
    from vadose.models.base import Model


class Shown:
    """Give a model, whose ``__init__`` only stores, its words.

    Examples
    --------
    >>> from vadose.models import RandomForest
    >>> RandomForest(trees=20)
    RandomForest(trees=20)
    >>> RandomForest(tree=20)
    Traceback (most recent call last):
    vadose.errors.UnknownName: parameter of random_forest 'tree': found no such name, expected one of \
features, leaf, samples, seed, trees, workers. Did you mean 'trees'?
    """

    name: ClassVar[str]

    def __new__(cls, *_: Any, **parameters: Any) -> Self:
        """Refuse a parameter that the model does not have, and list those it has."""
        known = inspect.signature(cls).parameters if parameters else {}
        for name in parameters:
            if name not in known:
                raise UnknownName(f"parameter of {cls.name}", name, known)
        return super().__new__(cls)

    def __repr__(self) -> str:
        """Give the call with the parameters that are not as by default."""
        defaults = inspect.signature(type(self)).parameters
        told = {
            name: value
            for name, value in parameters_of(cast("Model", self)).items()
            if not _is_same(value, defaults[name].default)
        }
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in told.items())})"

    def _repr_html_(self) -> str:
        is_fitted = any(name.endswith("_") and not name.startswith("_") for name in vars(self))
        rows: dict[str, object] = {
            "learns from": getattr(self, "kind", "scenes"),
            "state": "fitted" if is_fitted else "not fitted yet",
            **parameters_of(cast("Model", self)),
        }
        return as_table(type(self).__name__, rows, kind=f"model {self.name!r}")


def _is_same(value: object, default: object) -> bool:
    try:
        return bool(value is default or value == default)
    except ValueError:  # arrays say no single word
        return False
