"""Spaces that a search draws parameters from: plain data from a recipe, checked against the model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vadose.errors import ModelProblem

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Space = Mapping[str, Sequence[Any]]
_DROPOUT, _DECAY = [0.0, 0.5], [1e-6, 1e-2]
#: What is searched for each model unless something else is asked for.
SPACES: dict[str, dict[str, list[Any]]] = {
    "random_forest": {"leaf": [1, 20], "features": [0.1, 1.0], "samples": [0.3, 1.0]},
    "boosting": {
        "trees": [50, 400],
        "rate": [0.02, 0.3],
        "leaves": [7, 127],
        "leaf": [5, 200],
        "features": [0.1, 1.0],
        "shrinkage": [0.1, 100.0],
    },
    "bpnn": {
        "hidden": ["10", "20-20", "30-30", "20-30-30-33"],
        "trainer": ["levenberg_marquardt", "adam"],
    },
    "dnn": {
        "width": [32, 256],
        "depth": [1, 4],
        "dropout": _DROPOUT,
        "rate": [3e-4, 1e-2],
        "decay": _DECAY,
    },
    "cnn": {
        "channels": [16, 128],
        "blocks": [2, 6],
        "kernel": [2, 5],
        "dropout": _DROPOUT,
        "rate": [3e-4, 1e-2],
        "decay": _DECAY,
    },
    "lstm": {
        "hidden": [16, 128],
        "layers": [1, 2],
        "dropout": _DROPOUT,
        "rate": [3e-4, 1e-2],
        "decay": _DECAY,
    },
    "cnn_gru": {
        "length": [5, 10, 20, 30],
        "hidden": [16, 128],
        "kernel": [1, 3, 5],
        "dropout": _DROPOUT,
        "rate": [3e-4, 1e-2],
    },
    "resnet": {
        "channels": [16, 96],
        "blocks": [1, 5],
        "kernel": [1, 3, 5],
        "dropout": _DROPOUT,
        "rate": [3e-4, 1e-2],
    },
    "diffusion": {
        "width": [32, 128],
        "blocks": [2, 5],
        "omission": _DROPOUT,
        "rate": [3e-4, 1e-2],
        "residual": [False, True],
    },
    "diffusion_maps": {
        "width": [16, 64],
        "levels": [1, 3],
        "omission": _DROPOUT,
        "rate": [3e-4, 1e-2],
        "residual": [False, True],
    },
    # an ensemble weighs its members anyway; theirs are the parameters that matter
    "ensemble": {
        "members": ["dnn, cnn, lstm", "cnn, lstm", "boosting, lstm", "boosting, cnn, lstm"]
    },
}


def read_space(name: str, space: Space, fixed: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """Read a space, in the order of its names, so that the order given plays no part.

    Parameters
    ----------
    name
        A model of `vadose.models.MODELS`.
    space
        Parameter by parameter, see `vadose.models.tuning.search`.
    fixed
        Parameters that are not searched.

    Raises
    ------
    UnknownName
        A parameter that does not exist.
    ModelProblem
        A value of another type, a range that is none, or nothing to search.

    Examples
    --------
    >>> read_space("lstm", {"hidden": [32, 128]}, {})
    {'hidden': IntDistribution(high=128, log=False, low=32, step=1)}
    """
    from vadose.models import suited_parameters

    distributions = {}
    for key, values in sorted(space.items()):
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise ModelProblem(
                f"search space of {name}, {key!r}",
                found=repr(values),
                expected="a list: two numbers for a range, or the choices",
            )
        suited = [suited_parameters(name, {key: one})[key] for one in values]
        if key not in fixed:
            distributions[key] = _distribution(name, key, suited)
    if not distributions:
        raise ModelProblem(
            f"search space of {name}", found="nothing to search", expected="a parameter or more"
        )
    return distributions


def _distribution(name: str, key: str, values: list[Any]) -> BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    # the model's own check has made numbers of what should be some
    wanted = type(default_of(name, key))
    if not all(type(one) is wanted for one in values):
        raise ModelProblem(
            f"search space of {name}, {key!r}",
            found=repr(values),
            expected={str: "texts"}.get(wanted, f"values of type {wanted.__name__}"),
        )
    if len(values) != 2 or wanted not in (int, float):
        return CategoricalDistribution(values)
    low, high = values
    if low >= high:
        raise ModelProblem(
            f"search space of {name}, {key!r}",
            found=f"the range {values}",
            expected="the smaller number first",
        )
    if wanted is int:
        return IntDistribution(low, high)
    return FloatDistribution(low, high, log=low > 0 and high > 10 * low)


def default_of(name: str, key: str) -> Any:
    """Give the value that a model takes for a parameter unless told otherwise."""
    from vadose.models import model_class

    return inspect.signature(model_class(name)).parameters[key].default


def holds(distribution: BaseDistribution, value: Any) -> bool:
    """Tell whether a value is one that may be drawn."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, (IntDistribution, FloatDistribution))  # noqa: S101 - ours
    return bool(distribution.low <= value <= distribution.high)
