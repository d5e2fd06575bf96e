"""From a recipe's words to objects: the downscalers that its methods name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import xarray as xr

from vadose.config import DRAWING, Method, Recipe
from vadose.cubes.regrid import nearest, smooth
from vadose.downscale.applicable import INDEX, IS_INSIDE
from vadose.downscale.base import Downscaler, Progress, Reach
from vadose.downscale.baselines import ClimatologicalPattern, Interpolation
from vadose.downscale.conserve import Blend, Closed, with_residual
from vadose.downscale.downscaler import Direct, Learner, Residual
from vadose.downscale.generative import Generative
from vadose.downscale.intervals import Intervals
from vadose.downscale.members import ClosedMembers
from vadose.downscale.multiscale import MultiScale
from vadose.downscale.noise import Noise
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

    #: Whether the members of an ensemble are read too.
    keeps_members = True

    def __init__(self, path: str | Path, target: str) -> None:
        self.path, self.target = path, target

    def fit(self, coarse: xr.Dataset) -> Self:
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
        stored = open_windows(self.path)
        left_out = [] if self.keeps_members else [f"{self.target}_members"]
        return stored.drop_vars(left_out, errors="ignore")


class StoredMembers(Stored):
    """Stand in for a generative downscaler whose members are on disk.

    Parameters
    ----------
    path, target
        As of `Stored`.
    drawn
        The method that drew them.
    """

    level = 0.9

    def __init__(self, path: str | Path, target: str, drawn: Method) -> None:
        super().__init__(path, target)
        self.noise = Noise(drawn.members, drawn.noise)


class Closing:
    """Close a prediction on disk where the correction on the coarse grid is known; of an ensemble each member.

    Parameters
    ----------
    path, target
        As of `Stored`.
    drawn
        The method that drew the members of the prediction, where it has any.
    """

    def __init__(self, path: str | Path, target: str, drawn: Method | None = None) -> None:
        self.target, self.members = target, 0
        self.closed: Closed | ClosedMembers = Closed(Stored(path, target))
        if drawn is not None:
            stored = StoredMembers(path, target, drawn)
            self.closed, self.noise, self.members = (
                ClosedMembers(stored),
                stored.noise,
                drawn.members,
            )

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
        if self.members:  # what they say together is said anew
            return closed
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
    drawn
        The method that drew the members of the prediction, where the product keeps them; they are left out
        unless given.
    """

    def __init__(
        self,
        path: str | Path,
        target: str,
        attributes: Mapping[str, str],
        drawn: Method | None = None,
    ) -> None:
        self.stored, self.target, self.attributes = Stored(path, target), target, dict(attributes)
        self.stored.keeps_members = drawn is not None
        if drawn is not None:
            self.noise = Noise(drawn.members, drawn.noise)

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
    if method.model in DRAWING and "conditions" not in settings:
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
            dispersion=method.dispersion,
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


def drawing(recipe: Recipe, name: str) -> Method | None:
    """Give the method that draws the members of another, itself or what it closes; None where there are none."""
    method = recipe.methods[name]
    while method.kind == "close":
        method = recipe.methods[method.of[0]]
    return method if method.kind == "generative" else None


def keeps_members(recipe: Recipe) -> bool:
    """Tell whether the product holds the members of what is published: that method asks, or one it closes."""
    method = recipe.methods[recipe.publish]
    asks = [method.keep_members]
    while method.kind == "close":
        method = recipe.methods[method.of[0]]
        asks.append(method.keep_members)
    return any(asks)


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
