"""Downscalers that learn, and how they come back from disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vadose.downscale.base import Progress
from vadose.downscale.direct import Direct
from vadose.downscale.generative import Generative
from vadose.downscale.multiscale import MultiScale, ScaleClosure
from vadose.downscale.residual import Residual
from vadose.errors import ModelProblem
from vadose.models import load_model
from vadose.models.base import read_description, read_name

__all__ = [
    "Direct",
    "Generative",
    "Learner",
    "MultiScale",
    "Progress",
    "Residual",
    "load_downscaler",
]

#: What has a model, and can be saved and loaded.
Learner = Direct | Residual | Generative


def load_downscaler(folder: Path) -> Learner:
    """Read a fitted downscaler; its predictions are the same to the bit.

    Parameters
    ----------
    folder
        What the ``save`` of one of them wrote.

    Raises
    ------
    ModelProblem
        Missing, foreign or damaged files, another format version, features that do not agree.
    """
    kinds: dict[str, type[Direct | Residual]] = {
        "direct": Direct,
        "multiscale": MultiScale,
        "residual": Residual,
    }
    kind = read_name(folder, file="downscaler.json")
    if kind == "generative":
        return Generative.load(folder)
    if kind not in kinds:
        raise ModelProblem(
            folder, found=f"kind {kind!r}", expected=", ".join([*kinds, "generative"])
        )
    description = read_description(folder, kind, file="downscaler.json")
    if "ranges" not in description:
        raise ModelProblem(
            folder / "downscaler.json",
            found="no ranges of the features",
            expected="the smallest and largest value of each that was learned from",
            remedy="Fit it again with this version of vadose.",
        )
    try:
        names, predictors = tuple(description["features"]), description["predictors"]
        downscaler = kinds[kind](
            load_model(folder / "model"),
            predictors,
            target=description["target"],
            **description["settings"],
        )
        ranges = np.array(description["ranges"], dtype=np.float32)
        closure = [ScaleClosure(**one) for one in description.get("closure", [])]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelProblem(
            folder / "downscaler.json",
            found=f"an incomplete description ({error})",
            expected="intact",
        ) from error
    count = len(getattr(downscaler.model, "importances_", names))
    if count != len(names):
        raise ModelProblem(
            folder, found=f"{len(names)} feature names", expected=f"{count}, as the model has"
        )
    if ranges.shape != (count, 2):
        raise ModelProblem(
            folder / "downscaler.json",
            found=f"ranges of shape {ranges.shape}",
            expected=f"{(count, 2)}, two for each feature",
        )
    downscaler.feature_names_, downscaler.feature_ranges_ = names, ranges
    if isinstance(downscaler, MultiScale):
        downscaler.closure_ = closure
    return downscaler
