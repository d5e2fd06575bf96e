"""The part of a recipe that says where data comes from and onto which grids it is brought."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from vadose.cubes.reproject import Rule
from vadose.errors import UnknownName, VadoseError
from vadose.products import PRODUCTS
from vadose.products.generic import generic_product
from vadose.products.points import point_product
from vadose.schema import QUALITY, variable


class Part(BaseModel):
    """A part of a recipe: it cannot be changed, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _as_text(value: Any) -> Any:
    """YAML reads bare dates as dates."""
    return [str(day) for day in value] if isinstance(value, list | tuple) else value


def _in_order(days: tuple[str, str]) -> tuple[str, str]:
    for day in days:
        try:
            datetime.fromisoformat(day)
        except ValueError as error:
            raise ValueError(f"{day!r} is no day, expected one such as 2019-07-01") from error
    if days[0] > days[1]:
        raise ValueError("the last day comes before the first")
    return days


def _with_inside(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    if not (box[0] < box[2] and box[1] < box[3]):
        raise ValueError("no inside, expected west, south, east, north in degrees")
    return box


def _known(reasons: list[str]) -> list[str]:
    try:
        QUALITY.mask(*reasons)
    except VadoseError as error:
        raise ValueError(str(error)) from error
    return reasons


#: First and last day.
Days = Annotated[tuple[str, str], BeforeValidator(_as_text), AfterValidator(_in_order)]
#: West, south, east, north in degrees.
Box = Annotated[tuple[float, float, float, float], AfterValidator(_with_inside)]
#: Names of what may be wrong with a value.
Reasons = Annotated[list[str], AfterValidator(_known)]


class Source(Part):
    """Name a product, the files it is read from, and what is done to its variables.

    Attributes
    ----------
    product
        A name in ``vadose.products.PRODUCTS``; or a name of one's own with `describe` or `points`.
    describe
        Description of a netCDF or GeoTIFF product, see `vadose.products.generic`.
    points
        Description of a table of points, see `vadose.products.points`.
    paths
        Files, folders or globs, relative to the recipe; none for the bundled sample.
    use
        ``target`` for the one source of the target, else ``predictor``.
    variables
        Which of the product's variables to take; all unless given.
    rename
        New names by old ones, so that two sources of one variable can stand side by side.
    drop
        Quality reasons for which a value becomes a gap; nothing is dropped unless named.
    rules
        Regridding rule by variable, in place of the schema's.
    daily
        Fewest steps that make a day, for sources with several steps a day.
    clock
        What a day is: ``utc``, or ``local_solar`` for overpasses.
    hold_days
        Length of a composite's period, through which its value is held.
    is_linear
        Go linearly from composite to composite instead of holding.
    """

    # product comes after what may define it: fields are checked in this order
    describe: dict[str, Any] | None = None
    points: dict[str, Any] | None = None
    product: str
    paths: list[str] = []
    use: Literal["target", "predictor"] = "predictor"
    variables: list[str] | None = None
    rename: dict[str, str] = {}
    drop: Reasons = []
    rules: dict[str, Rule] = {}
    daily: int | None = Field(default=None, ge=1)
    clock: Literal["utc", "local_solar"] = "utc"
    hold_days: int | None = Field(default=None, ge=1)
    is_linear: bool = False

    @field_validator("product")
    @classmethod
    def _product_is_known(cls, name: str, info: ValidationInfo) -> str:
        describe, points = info.data.get("describe"), info.data.get("points")
        named = {"name": name, "title": name}
        if describe is not None and points is not None:
            raise ValueError("describe and points together, expected one of them")
        try:
            if describe is not None:
                generic_product({**named, **describe})
            elif points is not None:
                point_product({**named, **points})
            elif name not in PRODUCTS:
                raise UnknownName("product", name, PRODUCTS)
        except VadoseError as error:
            raise ValueError(str(error)) from error
        return name

    @field_validator("rename")
    @classmethod
    def _new_names_exist(cls, names: dict[str, str]) -> dict[str, str]:
        try:
            for name in names.values():
                variable(name)
        except VadoseError as error:
            raise ValueError(str(error)) from error
        return names


class Stations(Part):
    """Say where stations are, and which layer and flags of them count.

    Attributes
    ----------
    paths
        ISMN archive or folder, or tables.
    kind
        ``ismn``, or ``table`` for CSV and Excel.
    table
        What the columns of a table mean, see `vadose.products.stations_table.StationTable`.
    layer
        Top and bottom in m; a sensor must lie in it.
    minimum_hours
        Hours that make a day; tables of daily values take none.
    minimum_share
        Share of the layer that sensors must cover.
    """

    paths: list[str] = Field(min_length=1)
    kind: Literal["ismn", "table"] = "table"
    table: dict[str, Any] = {}
    layer: tuple[float, float] = (0.0, 0.1)
    minimum_hours: int | None = Field(default=None, ge=1, le=24)
    minimum_share: float = Field(default=0.5, gt=0, le=1)


class Build(Part):
    """Say how the cubes are made.

    Attributes
    ----------
    sources
        Where the variables come from.
    factor
        Fine cells along the side of a coarse cell.
    withhold
        Make the coarse target by aggregating the fine one, which no model then sees: it is the truth.
        Otherwise the coarse grid is that of the target's source, and the fine one is refined from it.
    coarse
        Named grid to bring the target to; the grid of its source unless given.
    min_valid
        Share of a cell that must have values.
    region
        West, south, east, north in degrees.
    period
        First and last day.
    days
        Length of a time step of the target; predictors and stations are averaged over it.
    decay
        Factor per day of predictors named ``<variable>_index_<n>_days``; those and
        ``<variable>_mean_<n>_days`` are made from the days before.
    """

    sources: list[Source] = Field(min_length=1)
    factor: int = Field(gt=1)
    withhold: bool = False
    coarse: str | None = None
    min_valid: float = Field(default=0.5, gt=0, le=1)
    region: Box | None = None
    period: Days | None = None
    days: int = Field(default=1, ge=1)
    decay: float = Field(default=0.95, gt=0, le=1)

    @model_validator(mode="after")
    def _has_one_target(self) -> Self:
        targets = [source.product for source in self.sources if source.use == "target"]
        if not self.withhold and len(targets) != 1:
            raise ValueError(
                f"{len(targets)} sources with use: target, expected one (or withhold: true)"
            )
        return self
