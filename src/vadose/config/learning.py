"""The parts of a recipe that say what is held back from learning and how parameters are searched for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from vadose.config.build import Part
from vadose.correct import make_corrector
from vadose.downscale.conditions import CALENDAR, LEAST, STATISTICS
from vadose.errors import ModelProblem, UnknownName, VadoseError
from vadose.models import MODELS, suited_parameters
from vadose.models.ensemble import Ensemble
from vadose.samples import SCHEMES

#: Schemes that divide a cube; the others divide stations.
OF_CUBES = ("space", "time", "space_time", "random")


class Correction(Part):
    """Ask for a correction with the run's stations.

    Attributes
    ----------
    how
        A name in ``vadose.correct.CORRECTORS``.
    predictors
        Variables of the fine cube that it looks at, or that parts of it do which name none themselves.
    parameters
        Of the corrector. A ``chain`` names its ``steps``, ``average`` and ``best`` what they are made ``of``:
        ``[linear, kriging]``, or with parameters ``[linear, {forest: {leaf: 20}}]``.
    hold
        What is held out to judge it: ``station``, ``network`` or ``time``.
    folds
        To how many the stations are dealt; each is a fold unless given.
    apply
        ``if_it_helps`` at stations held out, ``always`` or ``never``.
    """

    how: str
    predictors: list[str] = Field(default=[])
    parameters: dict[str, Any] = Field(default={})
    hold: Literal["station", "network", "time"] = "station"
    folds: int | None = Field(default=None, ge=2)
    apply: Literal["if_it_helps", "always", "never"] = "if_it_helps"

    @model_validator(mode="after")
    def _corrector_exists(self) -> Self:
        try:
            make_corrector(self.how, self.parameters, predictors=self.predictors)
        except VadoseError as error:
            raise ValueError(str(error)) from error
        return self


def _share_or_names(value: Any) -> Any:
    """Refuse what pydantic would take for a number, or call by the names of its own types."""
    if isinstance(value, bool) or not isinstance(value, int | float | list):
        raise ValueError("expected a share of the stations, such as 0.5, or a list of their names")
    if isinstance(value, list):
        if not all(isinstance(name, str) for name in value):
            raise ValueError("expected names of stations; put numbers in quotes")
        doubled = sorted({name for name in value if value.count(name) > 1})
        if doubled:
            raise ValueError(f"twice {', '.join(doubled)}, expected each station once")
        if len(value) < LEAST:
            raise ValueError(
                f"{len(value)} stations, expected {LEAST} or more: they make statistics"
            )
    elif not 0 < value <= 1:
        raise ValueError("expected a share of the stations, above 0 and up to 1")
    return value


class Conditions(Part):
    """Say what steers a generative model beside the predictors: what is the same everywhere on a day.

    Attributes
    ----------
    day, year
        Whether it is told the day of the year, and the year.
    stations
        Share of the recipe's ``stations:`` whose statistics of the day it is told (mean, standard deviation,
        quartiles), drawn by the recipe's seed; or their names, ``station`` or ``network/station``. These
        stations judge nothing; the others do.
    """

    day: bool = False
    year: bool = False
    stations: Annotated[float | list[str] | None, BeforeValidator(_share_or_names)] = None

    @model_validator(mode="after")
    def _has_some(self) -> Self:
        if not self.names:
            raise ValueError("no condition, expected day: true, year: true or stations: 0.5")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Name the variables that are added to the cubes, in their order."""
        calendar = [name for name, on in zip(CALENDAR, (self.day, self.year), strict=True) if on]
        return (*calendar, *(STATISTICS if self.stations is not None else ()))


class Confidence(Part):
    """Ask for intervals of the published product.

    Attributes
    ----------
    level
        Share of values that they are to cover.
    by
        What strata are told apart by, where it is to be had: see
        `vadose.downscale.calibration.STRATA`.
    """

    level: float = Field(default=0.9, gt=0.5, lt=1)
    by: list[str] = Field(default=["value", "spread", "season", "is_gap"])


def checked_parameters(model: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check the parameters of a model, and those of the members of an ensemble.

    Raises
    ------
    UnknownName
        A parameter or member that does not exist.
    ModelProblem
        A value of another type than the parameter's, or a member that cannot be one.

    Examples
    --------
    >>> checked_parameters("ensemble", {"members": {"dnn": {}, "lstm": {"rate": "1e-3"}}})
    {'members': {'dnn': {}, 'lstm': {'rate': 0.001}}}
    """
    parameters = suited_parameters(model, given)
    if model == Ensemble.name and "members" in parameters:
        parameters["members"] = _checked_members(parameters["members"])
        return parameters
    defaults = inspect.signature(MODELS[model]).parameters
    for name, value in parameters.items():
        if not _is_plain(value, may_be_many=defaults[name].default is None):
            raise ModelProblem(
                f"parameter {name!r} of {model}",
                found=repr(value),
                expected="a number, text, true or false",
            )
    return parameters


def _is_plain(value: Any, *, may_be_many: bool) -> bool:
    """Tell whether a value is a scalar; or where there may be many, nothing, numbers, or numbers by name."""
    if may_be_many and isinstance(value, Mapping | list | tuple):
        numbers = value.values() if isinstance(value, Mapping) else value
        return all(isinstance(one, int | float) for one in numbers)
    return isinstance(value, bool | int | float | str) or (may_be_many and value is None)


def _checked_members(members: Any) -> str | dict[str, dict[str, Any]]:
    inner: Mapping[str, Any]
    if isinstance(members, str):
        inner = {name.strip(): {} for name in members.split(",") if name.strip()}
    elif isinstance(members, Mapping):
        inner = {str(name): one or {} for name, one in members.items()}
    else:
        inner = {}
    if not inner or not all(isinstance(one, Mapping) for one in inner.values()):
        raise ModelProblem(
            "members of the ensemble",
            found=repr(members),
            expected="names, such as 'dnn, lstm', or names with parameters, such as {lstm: {hidden: 32}}",
        )
    for name in inner:
        if name not in MODELS:
            raise UnknownName("member of the ensemble", name, MODELS)
        if MODELS[name].kind == "patches" or name == Ensemble.name:
            raise ModelProblem(
                f"member {name!r} of the ensemble",
                found="an ensemble" if name == Ensemble.name else f"kind {MODELS[name].kind!r}",
                expected="a single model of kind 'rows' or 'sequences'",
            )
    checked = {name: checked_parameters(name, one) for name, one in inner.items()}
    return members if isinstance(members, str) else checked


class Hold(Part):
    """Say what part of the coarse cube is kept from learning, to judge the models by.

    Attributes
    ----------
    scheme
        ``space``, ``time``, ``space_time``: blocks; ``random``: as in the papers, with scores that are
        labelled as optimistic.
    settings
        Keywords of the scheme's function in `vadose.samples.splits`, such as ``folds``, ``fold``,
        ``buffer``, ``days``, ``gap`` or ``shares``; ``block`` is a fifth of the map's longer side unless given.
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
