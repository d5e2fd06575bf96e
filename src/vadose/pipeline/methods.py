"""From a recipe's words to objects: the downscalers that its methods name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from vadose.config import Method, Recipe
from vadose.cubes.regrid import nearest, smooth
from vadose.downscale.base import Downscaler, Progress
from vadose.downscale.baselines import ClimatologicalPattern, Interpolation
from vadose.downscale.conserve import Blend, Closed
from vadose.downscale.downscaler import Direct, Learner, Residual
from vadose.downscale.multiscale import MultiScale
from vadose.models import new_model
from vadose.store import open_cube


class Stored:
    """Stand in for a downscaler whose prediction is already on disk, so that wrappers need not repeat it.

    Parameters
    ----------
    path
        The stored prediction.
    target
        The variable it holds.
    """

    def __init__(self, path: Path, target: str) -> None:
        self.path, self.target = path, target

    def fit(self, coarse: xr.Dataset) -> Stored:
        """Learn nothing."""
        return self

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Open the stored prediction."""
        return open_cube(self.path)


def learner(
    recipe: Recipe,
    name: str,
    progress: Progress,
    *,
    fine: xr.Dataset | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Learner:
    """Make the downscaler of a method that learns, not fitted yet.

    Parameters
    ----------
    recipe, name
        The method.
    progress
        Told how far it has come.
    fine
        Fine predictors, for learning at several scales.
    parameters
        Of the model, in place of the recipe's.
    """
    method = recipe.methods[name]
    settings = method.parameters if parameters is None else parameters
    model = new_model(str(method.model), seed=recipe.seed, **settings)
    if method.kind == "direct":
        return Direct(
            model,
            recipe.predictors,
            target=recipe.target,
            also=recipe.also,
            with_position=method.with_position,
            gaps=method.gaps,
            tile=method.tile,
            progress=progress,
        )
    if method.kind == "multiscale":
        return MultiScale(
            model,
            recipe.predictors,
            fine=fine,
            scales=method.scales,
            target=recipe.target,
            with_position=method.with_position,
            samples=method.samples,
            seed=recipe.seed,
            progress=progress,
        )
    return Residual(
        model,
        recipe.predictors,
        factor=recipe.build.factor,
        target=recipe.target,
        ratio=method.ratio,
        in_steps=method.in_steps,
        progress=progress,
    )


def without_learning(method: Method, target: str, predictions: Path) -> Downscaler:
    """Make the downscaler of a baseline or a wrapper around predictions that are on disk."""
    parts: list[Downscaler] = [Stored(predictions / f"{name}.zarr", target) for name in method.of]
    if method.kind == "close":
        return Closed(parts[0])
    if method.kind == "blend":
        return Blend(parts, method.weights)
    if method.kind == "climatology":
        return ClimatologicalPattern(target=target)
    return Interpolation(nearest if method.kind == "nearest" else smooth, target=target)
