"""Models: arrays in, arrays out. The table `MODELS` is the only place that lists them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vadose.errors import ModelProblem, Named, UnknownName
from vadose.models.base import Model, read_name
from vadose.models.boosting import Boosting
from vadose.models.bpnn import BPNN
from vadose.models.cnn import CNN
from vadose.models.cnn_gru import CNNGRU
from vadose.models.diffusion import Diffusion, DiffusionMaps
from vadose.models.dnn import DNN
from vadose.models.ensemble import Ensemble
from vadose.models.forest import RandomForest
from vadose.models.lstm import LSTM
from vadose.models.resnet import ResNet

#: Every model by name.
MODELS: Named[type[Model]] = Named(
    "model",
    {
        model.name: model
        for model in (
            RandomForest,
            Boosting,
            BPNN,
            DNN,
            CNN,
            LSTM,
            CNNGRU,
            ResNet,
            Diffusion,
            DiffusionMaps,
            Ensemble,
        )
    },
)


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
    return build(seed=seed, **suited_parameters(name, parameters))


def suited_parameters(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Check parameters by name and give them in the type of the model's own defaults.

    Text that is a number becomes one, since YAML reads ``1e-3`` as text.

    Raises
    ------
    UnknownName, ModelProblem

    Examples
    --------
    >>> suited_parameters("random_forest", {"samples": "5e-1", "trees": 20.0})
    {'samples': 0.5, 'trees': 20}
    """
    signature = inspect.signature(model_class(name)).parameters
    defaults = {key: one.default for key, one in signature.items() if key != "seed"}
    for key in parameters:
        if key not in defaults:
            raise UnknownName(f"parameter of {name}", key, defaults)
    return {key: _like(defaults[key], value, key, name) for key, value in parameters.items()}


def _like(default: Any, value: Any, key: str, name: str) -> Any:
    wanted = type(default)
    if wanted not in (bool, int, float):
        return value
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if wanted is bool and isinstance(value, bool):
        return value
    if wanted is float and math.isfinite(number):
        return number
    if wanted is int and number.is_integer():
        return int(number)
    words = {bool: "true or false", int: "a whole number", float: "a number"}[wanted]
    raise ModelProblem(f"parameter {key!r} of {name}", found=repr(value), expected=words)


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
    try:
        return MODELS[name].load(folder)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelProblem(
            folder, found=f"an incomplete description ({error})", expected="a saved model"
        ) from error
