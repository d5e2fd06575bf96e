"""Write a recipe to begin with: every key explained, sources that suit the target and the model.

The text is for people to change; what is written here is a first choice, not a rule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from vadose.errors import RecipeProblem, UnknownName
from vadose.grids import Region
from vadose.models import MODELS, model_class
from vadose.products import PRODUCTS
from vadose.products.base import Period, parse_period
from vadose.products.reach import check_reach

#: Fine cells along a coarse one, by words of the native grid: about 1 km each.
FACTORS = {
    "EASE2_36km": 36,
    "EASE2_25km": 25,
    "EASE2_9km": 9,
    "latlon_0.25": 30,
    "0.25 degree": 30,
    "latlon_0.1": 12,
    "0.1 degree": 12,
}
#: Fewest steps of a day, for targets with several.
STEPS = {
    "SPL2SMP": 1,
    "SPL4SMGP": 8,
    "SPL4SMAU": 8,
    "SMOS_L2": 1,
    "GLDAS_NOAH": 8,
    "ERA5": 1,
    "ERA5_LAND": 1,
}
#: Satellites that see half-orbits: a day of theirs is one of the sun's clock.
ORBITS = {"SPL2SMP", "SMOS_L2"}
#: Land models that stand for a target: what they are made with tells nothing new.
WITHOUT = {
    "ERA5_LAND": {"land_surface_temperature"},
    "ERA5": {"land_surface_temperature"},
    "SPL4SMGP": {"precipitation"},
}
#: What a reader of SMAP scores must know.
_NOTE_SMAP = "The retrieval of SMAP uses a climatology of MODIS NDVI: agreement with NDVI is in part its own."


@dataclass(frozen=True)
class Predictors:
    """Name a product, what is taken of it, and the keys that go with it.

    Attributes
    ----------
    product
        A name in ``vadose.products.PRODUCTS``.
    variables
        What is learned from.
    why
        One line for the reader of the recipe.
    keys
        Further lines of the source, with their comments.
    """

    product: str
    variables: tuple[str, ...]
    why: str
    keys: tuple[str, ...] = ()


#: What a first study learns from: all to be had by `vadose fetch`, none with gaps of clouds.
FIRST = (
    Predictors(
        "MOD13A2",
        ("ndvi",),
        "vegetation, 1 km, 16 days",
        ("hold_days: 16            # days through which the value of a composite is held",),
    ),
    Predictors("IMERG_DAILY", ("precipitation",), "rain, 0.1 degrees"),
    Predictors(
        "ERA5_LAND",
        ("land_surface_temperature",),
        "skin temperature without gaps of clouds, 0.1 degrees",
        ("daily: 1                 # fewest steps that make a day; 24 insists on every hour",),
    ),
    Predictors("COPERNICUS_DEM", ("elevation",), "elevation, 90 m, averaged to 1 km"),
    Predictors("SOILGRIDS", ("sand", "clay"), "texture of the topmost layer, 1 km"),
)


def targets() -> list[str]:
    """List the products that a recipe can start from: those with soil moisture on a grid of some kilometres."""
    return [
        name
        for name, product in PRODUCTS.items()
        if "soil_moisture" in product.variables and name != "SAMPLE"
    ]


def recipe_text(region: Region, period: Period, product: str, model: str) -> str:
    """Write a commented recipe.

    Parameters
    ----------
    region
        West, south, east, north in degrees.
    period
        First and last day.
    product
        The target's source, a name in `targets`.
    model
        A name in ``vadose.models.MODELS``.

    Returns
    -------
    str
        YAML that `vadose.config.read_recipe` accepts; paths are placeholders ``data/<product>/`` beside it.

    Raises
    ------
    UnknownName, RecipeProblem
    NoOverlap
        A period that begins before a product does.

    Examples
    --------
    >>> text = recipe_text((146, -36, 149, -33), ("2019-12-01", "2020-02-29"), "SPL3SMP_E", "boosting")
    >>> print(text.splitlines()[7])
    title: SPL3SMP_E to 1 km by boosting, 2019-12-01 to 2020-02-29   # what the report is headed with
    """
    if product not in targets():
        raise UnknownName("product", product, targets())
    model_class(model)
    first, last = parse_period(period)
    _check_region(region)
    learned = _chosen(product, model)
    for name in (product, *(one.product for one in learned)):
        check_reach(PRODUCTS[name], first)
    factor = next(size for word, size in FACTORS.items() if word in PRODUCTS[product].grid)
    parts = [
        _head(product, model, first, last),
        _predictors(learned, model),
        _build(region, first, last, product, factor),
        *(_source(one) for one in learned),
        _JUDGES,
        _methods(model),
        _notes(product),
    ]
    return "\n".join(parts)


def _check_region(region: Region) -> None:
    west, south, east, north = region
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise RecipeProblem(
            "--region",
            found=f"{west:g} {south:g} {east:g} {north:g}",
            expected="west, south, east, north in degrees (longitudes -180 to 180), with an inside",
        )


def _chosen(product: str, model: str) -> list[Predictors]:
    """Leave out what the target is made of; give models without memory the rain of the days before."""
    without = WITHOUT.get(product, set())
    remembers = MODELS[model].kind == "sequences"
    chosen = []
    for one in FIRST:
        names = [name for name in one.variables if name not in without]
        if "precipitation" in names and not remembers:
            names.append("precipitation_index_10_days")
        if names:
            chosen.append(Predictors(one.product, tuple(names), one.why, one.keys))
    return chosen


def _head(product: str, model: str, first: date, last: date) -> str:
    return f"""\
# {PRODUCTS[product].title.partition(":")[0]}, downscaled to about 1 km.
# Written by `vadose recipe new`; change whatever you like. Then, from the folder of this file:
#   vadose fetch FILE --plan       what has to be downloaded, how much, with which account
#   vadose fetch FILE              downloads it
#   vadose recipe check FILE       what is missing on the disk
#   vadose run FILE --out RUN      makes, judges and reports; a stopped run goes on where it was

title: {product} to 1 km by {model.replace("_", " ")}, {first} to {last}   # what the report is headed with
seed: 1                        # same seed, same bits
target: soil_moisture          # variable to downscale; its layer is that of the product
# also: [root_zone_soil_moisture]   # further layers of the target's source, learned together with it"""


def _predictors(learned: list[Predictors], model: str) -> str:
    lines = [
        "predictors:                    # variables to learn from, each given by a source below"
    ]
    for one in learned:
        for name in one.variables:
            words = one.why
            if name.startswith("precipitation_index"):
                words = "rain of the 10 days before, each day counting 0.95 of the next"
            lines.append(f"  - {name:<28} # {words}")
    if MODELS[model].kind == "sequences":
        lines.append("  # this model looks back by itself and needs no sums over the days before")
    return "\n".join(lines)


def _build(region: Region, first: date, last: date, product: str, factor: int) -> str:
    west, south, east, north = region
    box = f"[{west:g}, {south:g}, {east:g}, {north:g}]"
    lines = [
        "build:                         # how the coarse and the fine cube are made",
        f"  region: {box}   # west, south, east, north, degrees",
        f"  period: [{first}, {last}]   # first and last day, both included",
        f"  factor: {factor:<21}# fine cells along the side of a coarse one: about 1 km",
        "  min_valid: 0.5               # share of a cell that must have values, or it is a gap",
        "  # days: 3                    # length of a time step, if days are too sparse",
        "  # coarse: EASE2_36km         # another grid to bring the target to; its own unless given",
        "  sources:                     # paths are relative to this file: files, folders or globs",
        f"    - product: {product}   # {_words(PRODUCTS[product].licence)}",
        "      use: target              # the others are predictors",
        "      variables: [soil_moisture]   # what is taken of the product; all unless given",
        f"      paths: [data/{product}/]",
    ]
    if "frozen" in _doubts(product):
        lines.append(
            "      drop: [frozen, snow]     # reasons of doubt for which a value becomes a gap; "
            "not_recommended is stricter"
        )
    if product in STEPS:
        lines.append(f"      daily: {STEPS[product]:<18}# fewest steps of a day; fewer are a gap")
    if product in ORBITS:
        lines.append(
            "      clock: local_solar       # a day of overpasses is one of the sun's clock"
        )
    return "\n".join(lines)


def _doubts(product: str) -> tuple[str, ...]:
    """Tell for which reasons a satellite's values are to be doubted; models have no flags of this kind."""
    is_satellite = re.match(r"SPL[23]|SMOS_L2|ESA_CCI|C3S", product)
    return ("frozen", "snow") if is_satellite else ()


def _source(one: Predictors) -> str:
    taken = [name for name in one.variables if "_index_" not in name]
    lines = [
        f"    - product: {one.product}   # {one.why}",
        f"      variables: [{', '.join(taken)}]",
        f"      paths: [data/{one.product}/]",
        *(f"      {line}" for line in one.keys),
    ]
    return "\n".join(lines)


_JUDGES = """\
hold: {scheme: space}          # keep blocks of the coarse field from learning, and judge by a fifth of it
# stations:                    # what alone judges the fine field: take the hash signs off when you have them
#   kind: ismn                 # or table, for files of your own
#   paths: [data/ISMN/]        # folder or .zip from https://ismn.earth
#   layer: [0.0, 0.1]          # top and bottom in m of the layer that counts
#   minimum_hours: 8           # hours that make a day
# intervals: {level: 0.9}      # say how wide the error of every pixel is, calibrated on blocks held out
# correct: {how: linear}       # then correct with the stations, if that helps at stations held out"""


def _methods(model: str) -> str:
    draws = model.startswith("diffusion")
    lines = [
        "methods:                       # ways of downscaling, scored side by side",
        "  nearest: {title: Coarse value copied, kind: nearest}    # every recipe has these two baselines",
        "  smooth: {title: Smooth interpolation, kind: smooth}",
        "  learned:",
        f"    title: {model.replace('_', ' ').capitalize()}",
    ]
    if draws:
        lines += [
            "    kind: generative           # draws many fields that may be; their mean is the product",
            f"    model: {model}",
            "    members: 10                # fields to draw",
            "    parameters: {residual: true}   # members that depart from a forest err less",
        ]
    else:
        lines += [
            "    kind: direct               # learned on the coarse grid, applied on the fine one",
            f"    model: {model}",
            "    # parameters: {}           # keywords of the model; a misspelt one is an error that lists them",
        ]
    lines += [
        "    with_position: false       # longitude and latitude would let the model memorise cells",
        "  learned_closed:",
        f"    title: {model.replace('_', ' ').capitalize()}, closed",
        "    kind: close                # moves the fine field until its area mean is the coarse value",
        "    of: [learned]              # the method that is wrapped",
        "publish: learned_closed        # the method whose product is written",
    ]
    return "\n".join(lines)


def _notes(product: str) -> str:
    notes = [
        "There is no fine truth here: what is held back judges the coarse field, only stations the fine one."
    ]
    if product.startswith("SPL"):
        notes.append(_NOTE_SMAP)
    lines = ["notes:                         # what a reader of the scores must know"]
    return "\n".join([*lines, *(f'  - "{note}"' for note in notes), ""])


def _words(licence: str) -> str:
    return " ".join(licence.split())
