"""The parts of a recipe that say what is held back from learning and how parameters are searched for."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import Field, field_validator, model_validator

from vadose.config.build import Part
from vadose.errors import UnknownName
from vadose.samples import SCHEMES

#: Schemes that divide a cube; the others divide stations.
OF_CUBES = ("space", "time", "space_time", "random")


class Hold(Part):
    """Say what part of the coarse cube is kept from learning, to judge the models by.

    Attributes
    ----------
    scheme
        ``space``, ``time``, ``space_time``: blocks; ``random``: as in the papers, with scores that are
        labelled as optimistic.
    settings
        Keywords of the scheme's function in `vadose.samples.splits`, such as ``folds``, ``fold``,
        ``buffer``, ``days``, ``gap`` or ``shares``.
    """

    scheme: str = "space"
    settings: dict[str, int | float | list[float]] = Field(default={})

    @field_validator("scheme")
    @classmethod
    def _scheme_exists(cls, name: str) -> str:
        if name not in OF_CUBES:
            raise ValueError(str(UnknownName("scheme", name, OF_CUBES)))
        return name

    @model_validator(mode="after")
    def _settings_exist(self) -> Hold:
        known = inspect.signature(SCHEMES[self.scheme]).parameters
        valid = [name for name in list(known)[1:] if name not in ("rng", "where")]
        for name in self.settings:
            if name not in valid:
                raise ValueError(
                    str(UnknownName(f"setting of scheme {self.scheme!r}:", name, valid))
                )
        return self


class Search(Part):
    """Say how a model's parameters are searched for, before it is fitted.

    Attributes
    ----------
    space
        Parameter by parameter: two numbers for a range, or a list of choices; the model's own space of
        `vadose.models.tuning.SPACES` unless given.
    trials
        Number of combinations tried.
    folds
        Blocked folds that each is judged by.
    """

    space: dict[str, list[Any]] | None = None
    trials: int = Field(default=20, ge=1)
    folds: int = Field(default=3, ge=2)
