"""What every downscaler is, and what baselines, learners and wrappers share.

A downscaler is fitted on the coarse cube alone, and predicts on the fine grid from fine predictors and
the coarse field of the same days. A wrapper (closure, blending) has the same two methods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.errors import CubeProblem, ModelProblem, NoOverlap
from vadose.grids import grid_of, placed, snapped
from vadose.models.base import Model, write_description
from vadose.schema import FLAGS, ORIGIN, VARIABLES, check_cube

#: Told after each finished step: steps done, steps in all, and perhaps a word on how it goes.
Progress = Callable[..., None]


@dataclass(frozen=True)
class Reach:
    """Say how far from a coarse cell and day a downscaler looks to predict there.

    A part of a map comes out as in the whole if it is given with such a margin.

    Attributes
    ----------
    coarse
        Margin of the coarse cube in coarse cells; None for the whole map.
    fine
        Margin of the fine cube in fine cells; None for the whole map.
    steps
        Time steps before; None for the whole record.

    Examples
    --------
    >>> Reach(coarse=1)
    Reach(coarse=1, fine=0, steps=0)
    """

    coarse: int | None = 0
    fine: int | None = 0
    steps: int | None = 0


class Downscaler(Protocol):
    """Make a fine cube from a coarse one and fine predictors."""

    target: str

    def fit(self, coarse: xr.Dataset) -> Self:
        """Learn from a coarse cube that holds the target and the predictors."""
        ...

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Give the target on the grid of `fine`, for the time steps of `coarse`.

        Parameters
        ----------
        fine
            Predictors on the fine grid; where one of them is missing there is no prediction.
        coarse
            The coarse cube with the target, on a grid in which the fine one nests; it may reach beyond
            the fine one by whole cells, of which only the surroundings count.

        Returns
        -------
        xarray.Dataset
            The target, ``origin`` and ``flags``.
        """
        ...

    def reach(self, factor: int) -> Reach:
        """Say how far it looks where `factor` fine cells lie along the side of a coarse one."""
        ...


def align(fine: xr.Dataset, coarse: xr.Dataset, target: str) -> tuple[xr.Dataset, GeoBox]:
    """Check both cubes and bring the fine one to the days of the coarse one.

    Parameters
    ----------
    fine
        Any cube.
    coarse
        Covers the fine grid with whole cells, and may cover more.
    target
        Variable of the coarse cube.

    Returns
    -------
    tuple
        The fine cube with as many time steps as the coarse target, and the fine grid.

    Raises
    ------
    CubeProblem, GridProblem, NoOverlap
    """
    check_cube(coarse, required=[target], source="coarse cube")
    check_cube(fine, source="fine cube")
    grid = grid_of(fine)
    placed(grid_of(coarse), grid)
    if "time" in coarse[target].dims and "time" in fine.dims:
        wanted = coarse["time"].values
        missing = wanted[~np.isin(wanted, fine["time"].values)]
        if missing.size:
            raise NoOverlap(
                "fine cube: time",
                found=f"no step at {missing[0]} ({missing.size} of {wanted.size} missing)",
                expected="the time steps of the coarse cube",
            )
        first = int(np.searchsorted(fine["time"].values, wanted[0])) if wanted.size else 0
        stretch = fine.isel(time=slice(first, first + wanted.size))
        # what follows on without a break is not copied
        fine = stretch if np.array_equal(stretch["time"], wanted) else fine.sel(time=wanted)
    return snapped(fine), grid


def as_cube(
    values: xr.DataArray,
    target: str,
    origin: xr.DataArray,
    flags: xr.DataArray | None = None,
) -> xr.Dataset:
    """Put a fine field and its origin together as a cube that passes `check_cube`.

    Parameters
    ----------
    values
        Field, whose layer (``depth_from``, ``depth_to``) is kept.
    target
        What it is.
    origin
        Codes of `vadose.schema.ORIGIN`.
    flags
        Bits of `vadose.schema.FLAGS`; the cube has none unless given.
    """
    field = values.astype("f4", copy=False).rename(target)
    codes = {"origin": origin.astype("u1", copy=False)}
    codes["origin"].attrs = {**VARIABLES["origin"].attributes(), **ORIGIN.attributes()}
    if flags is not None:
        codes["flags"] = flags.astype("u2", copy=False)
        codes["flags"].attrs = {**VARIABLES["flags"].attributes(), **FLAGS.attributes()}
    field.attrs = {**VARIABLES[target].attributes(), **_layer(values)}
    field.attrs["ancillary_variables"] = " ".join(codes)
    return check_cube(xr.Dataset({target: field, **codes}), source="product")


def _layer(values: xr.DataArray) -> dict[str, object]:
    keep = ("depth_from", "depth_to", "cell_methods")
    return {key: values.attrs[key] for key in keep if key in values.attrs}


def is_predictable(fine: xr.Dataset, predictors: list[str]) -> xr.DataArray:
    """Tell where all predictors have a value.

    Raises
    ------
    CubeProblem
        When the cube lacks one of them.
    """
    missing = [name for name in predictors if name not in fine]
    if missing:
        raise CubeProblem(
            "fine cube",
            found=f"variables {sorted(map(str, fine.data_vars))}",
            expected=f"also {', '.join(missing)}",
            remedy="The model was fitted with them.",
        )
    mask = xr.DataArray(True)
    for name in predictors:
        mask = mask & fine[name].notnull()
    return mask


def tell(model: Model, progress: Progress) -> None:
    """Let a model that trains step by step tell how it goes."""
    if hasattr(model, "progress"):
        model.progress = progress


class Learner(Protocol):
    """What downscalers with a model have in common, for their files."""

    model: Model
    predictors: list[str]
    target: str
    feature_names_: tuple[str, ...]
    feature_ranges_: npt.NDArray[np.float32]


def check_features(learned: Sequence[str], found: Sequence[str]) -> None:
    """Insist on the features of the fit in their order: a model knows columns by their place alone."""
    if tuple(learned) != tuple(found):
        raise ModelProblem(
            "downscaler",
            found=f"features {', '.join(found)}",
            expected=f"those of the fit in their order, {', '.join(learned)}",
            remedy="Fit it again with this version of vadose.",
        )


def save_downscaler(folder: Path, kind: str, downscaler: Learner, settings: dict[str, Any]) -> None:
    """Write a description of a fitted downscaler and its model's own files.

    Raises
    ------
    ModelProblem
        Without a fit.
    """
    if not hasattr(downscaler, "feature_names_"):
        raise ModelProblem("downscaler", found="no fit", remedy="Call fit first.")
    description = {
        "predictors": downscaler.predictors,
        "target": downscaler.target,
        "features": list(downscaler.feature_names_),
        "ranges": downscaler.feature_ranges_.tolist(),
        "settings": settings,
    }
    write_description(folder, kind, description, file="downscaler.json")
    (folder / "model").mkdir()
    downscaler.model.save(folder / "model")
