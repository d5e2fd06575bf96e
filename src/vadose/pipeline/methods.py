"""From a recipe's words to objects: the downscalers that its methods name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vadose.config import Method, Recipe
from vadose.cubes.regrid import nearest, smooth
from vadose.downscale.applicable import INDEX, IS_INSIDE
from vadose.downscale.base import Downscaler, Progress, Reach
from vadose.downscale.baselines import ClimatologicalPattern, Interpolation
from vadose.downscale.conserve import Blend, Closed, with_residual
from vadose.downscale.downscaler import Direct, Learner, Residual
from vadose.downscale.generative import Generative
from vadose.downscale.intervals import Intervals
from vadose.downscale.multiscale import MultiScale
from vadose.downscale.spread import beside
from vadose.grids import grid_of, placed
from vadose.models import new_model
from vadose.models.diffusion.conditions import find_conditions
from vadose.store import open_windows, read_window


class Stored:
    """Stand in for a downscaler whose prediction is already on disk, so that wrappers need not repeat it.

    Parameters
    ----------
    path
        The stored prediction, a folder or a URL.
    target
        The variable it holds.
    """

    def __init__(self, path: str | Path, target: str) -> None:
        self.path, self.target = path, target

    def fit(self, coarse: xr.Dataset) -> Stored:
        """Learn nothing."""
        return self

    def reach(self, factor: int) -> Reach:
        """Look at nothing around."""
        return Reach()

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Read the part of the stored prediction that lies under `fine`, of the steps of `coarse`."""
        stored = self._stored
        _, window = placed(grid_of(stored), grid_of(fine))
        if "time" in stored.dims and "time" in coarse.dims:
            wanted = coarse["time"].values
            first = int(np.searchsorted(stored["time"].values, wanted[0]))
            window = {"time": slice(first, first + len(wanted)), **window}
        return read_window(stored, window)

    @cached_property
    def _stored(self) -> xr.Dataset:
        return open_windows(self.path)


class Closing:
    """Close a prediction on disk where the correction on the coarse grid is known.

    Parameters
    ----------
    path, target
        As of `Stored`.
    """

    def __init__(self, path: str | Path, target: str) -> None:
        self.closed, self.target = Closed(Stored(path, target)), target

    def fit(self, coarse: xr.Dataset) -> Closing:
        """Learn nothing."""
        return self

    def reach(self, factor: int) -> Reach:
        """Look one coarse cell further."""
        return Reach(coarse=1)

    def balance(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Sum up what closure has to know of the part of the prediction under `fine`."""
        return self.closed.balance(self.closed.inner.predict(fine, coarse), coarse)

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Close the part under `fine`; the coarse cube holds the correction of each layer beside it."""
        names = [str(name) for name in coarse.data_vars if str(name).endswith("_correction")]
        product = self.closed.inner.predict(fine, coarse)
        closed = self.closed.corrected(product, coarse.drop_vars(names), coarse[names])
        # closing shifts all parts of a model alike
        known = [name for name in (f"{self.target}_spread", INDEX, IS_INSIDE) if name in product]
        arrays = {name: (product[name].values, product[name].attrs) for name in known}
        return beside(closed, self.target, arrays) if arrays else closed


class Published:
    """Stand for a prediction on disk with what a product has beside: what closure has left.

    Parameters
    ----------
    path, target
        As of `Stored`.
    attributes
        Of the whole product: title, source, references.
    """

    def __init__(self, path: str | Path, target: str, attributes: Mapping[str, str]) -> None:
        self.stored, self.target, self.attributes = Stored(path, target), target, dict(attributes)

    def fit(self, coarse: xr.Dataset) -> Published:
        """Learn nothing."""
        return self

    def reach(self, factor: int) -> Reach:
        """Look at nothing around."""
        return Reach()

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Read the prediction and add ``closure_residual``."""
        product = with_residual(self.stored.predict(fine, coarse), coarse[self.target])
        return product.assign_attrs(self.attributes)


class Confident:
    """Give a published product the intervals that were calibrated.

    Parameters
    ----------
    published
        The product, with the spread of its method.
    intervals
        What turns spread into intervals.
    """

    def __init__(self, published: Published, intervals: Intervals) -> None:
        self.published, self.intervals, self.target = published, intervals, published.target

    def fit(self, coarse: xr.Dataset) -> Confident:
        """Learn nothing."""
        return self

    def reach(self, factor: int) -> Reach:
        """Look at nothing around."""
        return Reach()

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Read the prediction and add both ends and the width of its intervals."""
        product = self.published.predict(fine, coarse)
        return self.intervals.add(product, fine)


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
    settings = dict(method.parameters if parameters is None else parameters)
    # what steers it comes after the predictors, and is laid on the cubes that it is given
    steering = () if method.conditions is None else method.conditions.names
    predictors = [*recipe.predictors, *steering]
    if method.model == "diffusion" and "conditions" not in settings:
        position = ("longitude", "latitude") if method.with_position else ()
        settings["conditions"] = find_conditions([*predictors, *position])
    model = new_model(str(method.model), seed=recipe.seed, **settings)
    if method.kind == "generative":
        return Generative(
            model,
            predictors,
            target=recipe.target,
            members=method.members,
            noise=method.noise,
            steps=method.steps,
            seed=recipe.seed,
            with_position=method.with_position,
            tile=method.tile,
            progress=progress,
        )
    if method.kind == "direct":
        return Direct(
            model,
            predictors,
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


def without_learning(method: Method, target: str, predictions: str | Path) -> Downscaler:
    """Make the downscaler of a baseline or a wrapper around predictions in a folder or under a URL."""
    parts: list[Downscaler] = [Stored(f"{predictions}/{name}.zarr", target) for name in method.of]
    if method.kind == "close":
        return Closed(parts[0])
    if method.kind == "blend":
        return Blend(parts, method.weights)
    if method.kind == "climatology":
        return ClimatologicalPattern(target=target)
    return Interpolation(nearest if method.kind == "nearest" else smooth, target=target)
