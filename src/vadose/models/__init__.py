"""Models: arrays in, arrays out. The table `MODELS` is the only place that lists them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vadose.errors import ModelProblem, UnknownName
from vadose.models.base import Model, read_name
from vadose.models.boosting import Boosting
from vadose.models.forest import RandomForest

#: Every model by name.
MODELS: dict[str, type[Model]] = {model.name: model for model in (RandomForest, Boosting)}


def model_class(name: str) -> type[Model]:
    """Look a model up by name.

    Raises
    ------
    UnknownName

    Examples
    --------
    >>> model_class("random_forest").__name__
    'RandomForest'
    """
    if name not in MODELS:
        raise UnknownName("model", name, MODELS)
    return MODELS[name]


def new_model(name: str, *, seed: int, **parameters: Any) -> Model:
    """Make a model that is not fitted yet.

    Raises
    ------
    UnknownName

    Examples
    --------
    >>> new_model("random_forest", seed=1, trees=10).name
    'random_forest'
    """
    build: Callable[..., Model] = model_class(name)
    return build(seed=seed, **parameters)


def load_model(folder: Path) -> Model:
    """Read any saved model back.

    Raises
    ------
    ModelProblem
        When the folder holds no model, or one that this version does not know.
    """
    name = read_name(folder)
    if name not in MODELS:
        raise ModelProblem(
            folder, found=f"model {name!r}", expected=f"one of {', '.join(sorted(MODELS))}"
        )
    return MODELS[name].load(folder)
