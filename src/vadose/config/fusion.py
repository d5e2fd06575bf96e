"""Recipes of fusion: a satellite with gaps and a land model become one seamless record."""

from __future__ import annotations

import difflib
import inspect
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from vadose.config.build import Box, Days, Part, Reasons, Source, Stations
from vadose.config.reading import checked, read_text
from vadose.errors import UnknownName
from vadose.fuse import CANDIDATES, FILLERS


class Filling(Part):
    """Say how gaps are filled.

    Attributes
    ----------
    method
        A name in ``vadose.fuse.FILLERS``, or ``auto``: the one of the candidates that has the smallest
        error on values hidden under the gaps of other days.
    parameters
        Of the method; not with ``auto``.
    candidates
        What is compared on the hidden values; the method stands beside them.
    observed
        ``keep`` observed values, or ``replace`` them by the fused field.
    mask
        Reasons for which cells have no value, such as ``frozen``; nothing is masked unless named.
    level
        Share of filled values that the intervals are to cover.
    hidden
        Share of the observed values that is hidden to judge the candidates.
    """

    method: str = "auto"
    parameters: dict[str, Any] = Field(default={})
    candidates: list[str] = Field(default=list(CANDIDATES), min_length=1)
    observed: Literal["keep", "replace"] = "keep"
    mask: Reasons = Field(default=[])
    level: float = Field(default=0.9, gt=0.5, lt=1)
    hidden: float = Field(default=0.15, gt=0, le=0.5)

    @field_validator("method")
    @classmethod
    def _method_exists(cls, name: str) -> str:
        if name not in ("auto", *FILLERS):
            raise ValueError(str(UnknownName("filler", name, ["auto", *FILLERS])))
        return name

    @field_validator("candidates")
    @classmethod
    def _candidates_exist(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in FILLERS:
                near = difflib.get_close_matches(name, FILLERS, n=1, cutoff=0.4)
                raise ValueError(
                    f"unknown filler {name!r}." + (f" Did you mean {near[0]!r}?" if near else "")
                )
        return list(dict.fromkeys(names))

    @model_validator(mode="after")
    def _parameters_suit(self) -> Self:
        if not self.parameters:
            return self
        if self.method == "auto":
            raise ValueError("parameters with method: auto, expected the name of a method")
        known = inspect.signature(FILLERS[self.method]).parameters
        for name in self.parameters:
            if name not in known:
                raise ValueError(str(UnknownName(f"parameter of {self.method}", name, known)))
        return self


class CoarseFilling(Filling):
    """Fill the gaps of a study's coarse target before models learn and predict: ``fuse:`` of a recipe.

    Attributes
    ----------
    model
        The predictor that holds a land model's soil moisture.
    context
        Further predictors that may help.
    """

    model: str
    context: list[str] = Field(default=[])


class Fusion(Filling):
    """Describe a fusion of its own: a satellite, a land model, and what helps.

    Attributes
    ----------
    title
        What the product is called.
    seed
        Same seed, same bits.
    satellite
        Source of soil moisture with gaps; its grid is the product's.
    model
        Source of a land model's soil moisture.
    context
        Sources of further variables, daily or static.
    cover
        Variable of the context that holds classes of land cover; errors are told apart by it.
    stations
        What the record is judged by on observed and on filled days; in a folder of its own alone.
    region
        West, south, east, north in degrees.
    period
        First and last day.
    """

    title: str
    seed: int = Field(default=0, ge=0, lt=2**32)
    satellite: Source
    model: Source
    context: list[Source] = Field(default=[])
    cover: str | None = None
    stations: Stations | None = None
    region: Box | None = None
    period: Days | None = None


def read_fusion(path: str | Path) -> Fusion:
    """Read and check a recipe of fusion.

    Raises
    ------
    FileProblem, RecipeProblem
        As for `vadose.config.read_recipe`.
    """
    text = read_text(Path(path), "a recipe of fusion (YAML)")
    return parse_fusion(text, source=str(path))


def parse_fusion(text: str, *, source: str = "recipe") -> Fusion:
    """Check the text of a recipe of fusion.

    Raises
    ------
    RecipeProblem
        The message names the key, what was found, and the nearest valid name.

    Examples
    --------
    >>> parse_fusion("title: ours")
    Traceback (most recent call last):
    vadose.errors.RecipeProblem: recipe: satellite: found nothing, expected a value.
    """
    return checked(Fusion, text, source=source, example="title, satellite and model")
