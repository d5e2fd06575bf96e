"""The recipe: what a study is made of, checked before any work begins.

A recipe is a YAML file; `examples/` holds complete ones. Unknown keys, unknown names and values of the
wrong type are errors that name the place, what was found and the nearest valid name.
"""

from __future__ import annotations

import difflib
import inspect
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from vadose.config.build import Build, Part, Stations
from vadose.config.fusion import CoarseFilling
from vadose.config.learning import (
    Conditions,
    Confidence,
    Correction,
    Hold,
    Search,
    checked_parameters,
)
from vadose.config.reading import checked, read_text
from vadose.errors import UnknownName, VadoseError
from vadose.models import MODELS
from vadose.notebook import as_table, listed
from vadose.schema import VARIABLES, variable

#: The recipe of the demo; it travels with the package.
DEMO_RECIPE = Path(__file__).parents[1] / "sample.yaml"


#: Methods that every recipe has: the coarse input, copied and interpolated.
BASELINES = ("nearest", "smooth")
#: Kinds with one model whose features can be compared with what it learned from.
LEARNING = ("direct", "multiscale", "residual")
#: Models that draw from a distribution.
DRAWING = ("diffusion", "diffusion_maps")


class Method(Part):
    """Describe one way of downscaling, to be scored beside the others.

    Attributes
    ----------
    title
        Words for tables and figures.
    kind
        ``nearest``, ``smooth``, ``climatology``: baselines; ``direct``, ``multiscale``, ``residual``,
        ``generative`` (many fields that may be): a model; ``close``: closure around the method named in `of`; ``blend``: the mean of those in `of`.
    model, parameters
        A name in ``vadose.models.MODELS`` and its keywords; the ``members`` of an ensemble are names, or
        names with keywords of their own.
    of
        Methods to wrap.
    weights
        Of the parts of a blend; equal unless given.
    ratio, in_steps
        Of residual learning: coarse cells along the side of a larger cell, and whether to go down by that
        ratio at a time.
    with_position
        Whether direct and multi-scale learning are given longitude and latitude.
    gaps
        What direct learning does with gaps in a series of predictors: ``drop`` or ``hold``.
    tile
        Cells along the side of the maps that a model of patches sees at once; whole maps unless given.
    scales, samples
        Of multi-scale learning: sides of the cells in m, and cells taken of each coarse cell and step.
    search
        How the model's parameters are searched for; they are as given otherwise.
    members, noise, steps
        Of generative downscaling: fields to draw, how their noise hangs together, and calls of the network
        for each.
    dispersion
        Factor for the departures of the members from their mean; below 1 where the coarse values that were
        learned from have errors of their own.
    keep_members
        Whether the product holds the fields themselves beside their mean, spread and quantiles, where this
        method or one that closes it is published.
    conditions
        What steers generative downscaling, or direct learning with the same model, beside the predictors.
    """

    title: str
    kind: Literal[
        "nearest",
        "smooth",
        "climatology",
        "direct",
        "multiscale",
        "residual",
        "generative",
        "close",
        "blend",
    ]
    model: str | None = None
    parameters: dict[str, Any] = Field(default={})
    of: list[str] = Field(default=[])
    weights: list[float] | None = None
    ratio: int | None = Field(default=None, gt=1)
    in_steps: bool = False
    with_position: bool = True
    gaps: Literal["drop", "hold"] = "drop"
    tile: int | None = Field(default=None, ge=8)
    scales: list[float] = Field(default=[1000.0, 100.0, 50.0], min_length=1)
    samples: int = Field(default=4, ge=1)
    search: Search | None = None
    members: int = Field(default=10, ge=2)
    noise: Literal["shared", "smooth", "independent"] = Field(
        default_factory=lambda known: (
            "smooth" if known.get("model") == "diffusion_maps" else "shared"
        )
    )
    steps: int = Field(default=20, ge=1, le=1000)
    dispersion: float = Field(default=1.0, gt=0)
    keep_members: bool = False
    conditions: Conditions | None = None

    @property
    def is_baseline(self) -> bool:
        """Tell whether nothing is learned."""
        return self.kind in ("nearest", "smooth", "climatology")

    @field_validator("model")
    @classmethod
    def _model_exists(cls, name: str | None) -> str | None:
        if name is not None and name not in MODELS:
            raise ValueError(str(UnknownName("model", name, MODELS)))
        return name

    @field_validator("parameters")
    @classmethod
    def _parameters_suit(cls, given: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if info.data.get("model") is None:
            return given
        try:
            return checked_parameters(info.data["model"], given)
        except VadoseError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        learns = self.kind in ("direct", "multiscale", "residual", "generative")
        if self.kind == "generative" and self.model not in DRAWING:
            names = " or ".join(map(repr, DRAWING))
            raise ValueError(f"kind 'generative' has model {self.model!r}, expected {names}")
        if self.keep_members and self.kind not in ("generative", "close"):
            raise ValueError(
                f"kind {self.kind!r} has keep_members, expected 'generative', or 'close' around one"
            )
        if learns != (self.model is not None):
            raise ValueError(f"kind {self.kind!r} {'needs' if learns else 'takes no'} model")
        wanted = {"close": 1}.get(self.kind, len(self.of) if self.kind == "blend" else 0)
        if len(self.of) != wanted or (self.kind == "blend" and len(self.of) < 2):
            expected = {"close": "one method", "blend": "two or more methods"}
            raise ValueError(
                f"kind {self.kind!r} has of: {self.of}, expected {expected.get(self.kind, 'none')}"
            )
        if self.search is not None and self.kind not in ("direct", "residual"):
            raise ValueError(f"kind {self.kind!r} takes no search")
        if self.conditions is not None and not self._takes_conditions():
            raise ValueError(
                f"kind {self.kind!r} with model {self.model!r} takes no conditions, expected "
                "'generative' or 'direct' with a diffusion model"
            )
        if self.weights is not None and len(self.weights) != len(self.of):
            raise ValueError(f"{len(self.weights)} weights for {len(self.of)} methods")
        if self.weights is not None and not (min(self.weights) >= 0 and sum(self.weights) > 0):
            raise ValueError(f"weights {self.weights}, expected 0 or more and not all 0")
        return self

    def _takes_conditions(self) -> bool:
        knows = (
            self.model is not None
            and "conditions" in inspect.signature(MODELS[self.model]).parameters
        )
        return knows and self.kind in ("direct", "generative")


class Recipe(Part):
    """Describe a study: cubes, methods, and which of them is published.

    Attributes
    ----------
    title
        What the report is headed with.
    seed
        Same seed, same bits.
    target
        Variable to downscale.
    predictors
        Variables to learn from.
    also
        Further layers of the target's source, such as ``root_zone_soil_moisture``, that direct methods
        learn together with the target.
    hold
        What part of the coarse cube is kept from learning; nothing unless given.
    build
        How the cubes are made.
    methods
        Ways of downscaling by name, wrapped ones after those they wrap.
    publish
        The method whose product is written.
    packed
        Whether predictions and product are stored as 16-bit integers (steps of 2e-5 m³ m⁻³ or so).
    notes
        What a reader of the scores must know; printed beside them.
    stations
        What the product is judged by where no truth is withheld.
    intervals
        Whether and how the published product is given intervals.
    fuse
        How gaps of the coarse target are filled with a land model before models predict; left as they are
        unless given.
    correct
        How the published product is corrected with the stations, and when.
    applicability
        Whether to tell where the published method's model has learned from the like; models of rows only.
    """

    title: str
    seed: int = Field(default=0, ge=0, lt=2**32)
    target: str = "soil_moisture"
    predictors: list[str] = Field(min_length=1)
    also: list[str] = Field(default=[])
    hold: Hold | None = None
    build: Build
    methods: dict[str, Method]
    publish: str
    packed: bool = True
    notes: list[str] = Field(default=[])
    stations: Stations | None = None
    intervals: Confidence | None = None
    fuse: CoarseFilling | None = None
    correct: Correction | None = None
    applicability: bool = False

    @field_validator("target")
    @classmethod
    def _target_exists(cls, name: str) -> str:
        return _known_variable(name)

    @field_validator("predictors", "also")
    @classmethod
    def _predictors_exist(cls, names: list[str]) -> list[str]:
        doubled = {name for name in names if names.count(name) > 1}
        if doubled:
            raise ValueError(f"{', '.join(sorted(doubled))} named twice")
        return [_known_variable(name) for name in names]

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        for layer in (self.target, *self.also):
            if layer in self.predictors:
                raise ValueError(f"the target {layer!r} stands among the predictors")
        if self.target in self.also:
            raise ValueError(f"the target {self.target!r} stands among the layers of also")
        for name in [] if self.fuse is None else [self.fuse.model, *self.fuse.context]:
            if name not in self.predictors:
                raise ValueError(str(UnknownName("predictor (in fuse)", name, self.predictors)))
        for baseline in BASELINES:
            if baseline not in self.methods or self.methods[baseline].kind != baseline:
                raise ValueError(
                    f"methods lack {baseline!r} of that kind: every score stands beside the coarse "
                    "input"
                )
        earlier: list[str] = []
        for name, method in self.methods.items():
            for part in method.of:
                if part in self.methods and part not in earlier:
                    raise ValueError(f"{name!r} wraps {part!r}, expected it after that one")
                if part not in earlier:
                    raise ValueError(str(UnknownName(f"method (in {name}: of)", part, earlier)))
            earlier.append(name)
            self._check_conditions(name, method)
        last = self.methods.get(self.publish)
        while last is not None and last.kind == "close":
            last = self.methods.get(last.of[0])
        if self.applicability and last is not None and last.kind not in LEARNING:
            raise ValueError(
                f"applicability is asked for, and {self.publish!r} is a {last.kind}, expected a method "
                "with one model, or its closure"
            )
        if self.publish not in self.methods:
            raise ValueError(str(UnknownName("method (in publish)", self.publish, self.methods)))
        return self

    def _repr_html_(self) -> str:
        build = self.build
        rows = {
            "target": self.target,
            "predictors": listed(self.predictors),
            "from": listed([source.product for source in build.sources]),
            "where, when": f"{build.region or 'everywhere'}, {' to '.join(build.period or ['always'])}",
            "factor": build.factor,
            "methods": listed(list(self.methods)),
            "published": self.publish,
        }
        return as_table(self.title, rows, kind="recipe")

    def _check_conditions(self, name: str, method: Method) -> None:
        if method.conditions is None:
            return
        doubled = [one for one in method.conditions.names if one in self.predictors]
        if doubled:
            raise ValueError(
                f"{name!r} has {doubled[0]!r} as a condition and the recipe as a predictor, "
                "expected one of them"
            )
        if method.conditions.stations is not None and self.stations is None:
            raise ValueError(
                f"{name!r} asks for conditions of stations and the recipe has none, expected stations:"
            )


def _known_variable(name: str) -> str:
    try:
        variable(name)
    except UnknownName as error:
        near = difflib.get_close_matches(name, VARIABLES, n=1, cutoff=0.4)
        raise ValueError(
            f"unknown variable {name!r}." + (f" Did you mean {near[0]!r}?" if near else "")
        ) from error
    return name


def read_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe.

    Parameters
    ----------
    path
        A YAML file.

    Raises
    ------
    FileProblem
        Missing or unreadable file.
    RecipeProblem
        Not YAML, an unknown key or name, a missing key, a value of the wrong type.

    Examples
    --------
    >>> read_recipe(DEMO_RECIPE).target
    'soil_moisture'
    """
    text = read_text(Path(path), "a recipe (YAML)")
    return parse_recipe(text, source=str(path))


def parse_recipe(text: str, *, source: str = "recipe") -> Recipe:
    """Check the text of a recipe.

    Raises
    ------
    RecipeProblem
        The message names the key, what was found, and the nearest valid name.

    Examples
    --------
    >>> parse_recipe("titel: x")
    Traceback (most recent call last):
    vadose.errors.RecipeProblem: recipe: titel: found an unknown key, expected one of also, \
applicability, build, correct, fuse, hold, intervals, methods, notes, packed, predictors, publish, seed, stations, \
target, title. Did you mean 'title'?
    """
    return checked(Recipe, text, source=source, example="title and build")


def read_stations(path: str | Path) -> Stations:
    """Read and check a description of stations: the keys of ``stations:`` in a recipe.

    Raises
    ------
    FileProblem, RecipeProblem
        As for `read_recipe`.
    """
    text = read_text(Path(path), "a description of stations (YAML)")
    return checked(Stations, text, source=str(path), example="paths and table")
