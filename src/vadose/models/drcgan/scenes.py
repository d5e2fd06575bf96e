"""Scenes: a satellite's record with gaps beside a land model's without, and a first guess between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vadose.errors import ModelProblem

Maps = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

#: Share of the scenes, the last ones, that is held out where no validation is given.
HELD_BACK = 0.25
#: What `Scene.features` counts.
PREDICTORS = "features of context, static features and day of year"


@dataclass(frozen=True, eq=False)
class Scene:
    """Hold a record as arrays on one grid, consecutive days.

    Attributes
    ----------
    satellite
        What may be seen: dims ``time, y, x``, m³ m⁻³; NaN where not observed, or hidden.
    truth
        What was observed, the hidden values among it; the same dims, NaN where nothing is known. None
        where nothing is learned or judged.
    model
        The land model, the same dims; NaN where there is no land.
    guess
        First guess of the satellite's field, made of `satellite` and `model` alone (optimal
        interpolation, say, or the land model itself), wherever `model` has a value. What a network adds
        to it is small.
    context
        Further predictors, dims ``time, y, x, feature``, without gaps over land; None: there are none.
    static
        Predictors without time, dims ``y, x, feature``, likewise.
    day_of_year
        1 to 366, dims ``time``; None: the season is not told.

    Examples
    --------
    >>> model = np.full((3, 2, 2), 0.2, dtype="f4")
    >>> truth = model + 0.05
    >>> satellite = truth.copy()
    >>> satellite[1] = np.nan
    >>> Scene(satellite=satellite, truth=truth, model=model, guess=model).is_hidden.sum()
    np.int64(4)
    """

    satellite: Maps
    model: Maps
    guess: Maps
    truth: Maps | None = None
    context: Maps | None = None
    static: Maps | None = None
    day_of_year: npt.NDArray[np.generic] | None = None

    @property
    def is_hidden(self) -> Mask:
        """Tell which values are known over land and not shown; dims ``time, y, x``."""
        if self.truth is None:
            return np.zeros(self.satellite.shape, dtype=bool)
        is_known = np.isfinite(self.truth) & np.isfinite(self.model)
        return np.asarray(is_known & ~np.isfinite(self.satellite))

    @property
    def features(self) -> tuple[int, int, int]:
        """Number of features of the context, of those without time, and whether the season is told."""
        context = 0 if self.context is None else self.context.shape[-1]
        static = 0 if self.static is None else self.static.shape[-1]
        return context, static, int(self.day_of_year is not None)

    def check(self, name: str = "scene") -> None:
        """Check that the parts go together.

        Raises
        ------
        ModelProblem
            Dims or sizes that differ, infinite values, no land, or a guess, context or static feature
            without a value where the land model has one.
        """
        shape = np.shape(self.satellite)
        if len(shape) != 3:
            raise ModelProblem(
                f"satellite of the {name}", found=f"{len(shape)} dimensions", expected="time, y, x"
            )
        self._check_shapes(name, shape)
        for part in ("satellite", "truth", "model", "guess"):
            values = getattr(self, part)
            if values is not None and any(np.isinf(day).any() for day in values):
                raise ModelProblem(
                    f"{part} of the {name}", found="infinite values", expected="numbers or NaN"
                )
        is_land = [np.isfinite(day) for day in self.model]
        if not any(day.any() for day in is_land):
            raise ModelProblem(f"model of the {name}", found="no value", expected="land somewhere")
        everywhere = np.any(is_land, axis=0) if is_land else np.zeros(shape[1:], dtype=bool)
        self._need("guess", name, sum(self._gaps(self.guess, is_land)))
        if self.context is not None:
            self._need("context", name, sum(self._gaps(self.context, is_land)))
        if self.static is not None:
            self._need("static features", name, sum(self._gaps([self.static], [everywhere])))

    @staticmethod
    def _gaps(days: Maps | list[Maps], is_land: list[Mask]) -> list[int]:
        """Count values that are not finite over land, day by day, so that memory is bounded."""
        return [
            int((~np.isfinite(day[land])).sum()) for day, land in zip(days, is_land, strict=True)
        ]

    @staticmethod
    def _need(part: str, name: str, gaps: int) -> None:
        if gaps:
            raise ModelProblem(
                f"{part} of the {name}",
                found=f"{gaps} gaps where the land model has a value",
                expected="no gap over land",
                remedy="Fill them first, or mask the land model there.",
            )

    def _check_shapes(self, name: str, shape: tuple[int, ...]) -> None:
        wanted: dict[str, tuple[int, ...]] = {
            "truth": shape,
            "model": shape,
            "guess": shape,
            "context": (*shape, -1),
            "static": (*shape[1:], -1),
            "day_of_year": shape[:1],
        }
        for part, expected in wanted.items():
            values = getattr(self, part)
            if values is None:
                continue
            found = np.shape(values)
            suits = len(found) == len(expected) and all(
                want in (-1, size) for want, size in zip(expected, found, strict=True)
            )
            if not suits:
                sizes = ", ".join("feature" if size < 0 else str(size) for size in expected)
                raise ModelProblem(
                    f"{part} of the {name}",
                    found=f"shape {found}",
                    expected=f"({sizes}), as the satellite's",
                )


def is_same_record(one: Scene, other: Scene) -> bool:
    """Tell whether two scenes show the same land model on the same days, with other gaps perhaps.

    Examples
    --------
    >>> model = np.zeros((1, 1, 1))
    >>> scene = Scene(satellite=model + np.nan, model=model, guess=model)
    >>> is_same_record(scene, Scene(satellite=model, model=model, guess=model))
    True
    """
    days = one.day_of_year, other.day_of_year
    is_same_season = (days[0] is None) == (days[1] is None) and (
        days[0] is None or np.array_equal(days[0], days[1])  # type: ignore[arg-type]
    )
    return is_same_season and (
        one.model is other.model or np.array_equal(one.model, other.model, equal_nan=True)
    )


def count_days(is_seen: Mask, *, most: int) -> npt.NDArray[np.uint8]:
    """Count days since the last observation of each cell, 0 where there is one that day.

    Parameters
    ----------
    is_seen
        Dims ``time, y, x``. Backwards in time it tells the days to the next one.
    most
        As many where it is longer ago, or never was; 255 at most.

    Examples
    --------
    >>> count_days(np.array([0, 1, 0, 0, 1], dtype=bool).reshape(5, 1, 1), most=9).ravel()
    array([9, 0, 1, 2, 0], dtype=uint8)
    """
    counts = np.empty(is_seen.shape, dtype=np.uint8)
    last = np.full(is_seen.shape[1:], most, dtype=np.uint8)
    for day, seen in enumerate(is_seen):
        last = np.where(seen, 0, np.minimum(last, most - 1) + 1).astype(np.uint8)
        counts[day] = last
    return counts


def split_scenes(
    scenes: Sequence[Scene], validation: Sequence[Scene]
) -> tuple[list[Scene], list[Scene]]:
    """Check scenes, hold some out, and let nothing be learned that they hide.

    Parameters
    ----------
    scenes, validation
        As `vadose.models.drcgan.DrcGAN.fit` takes them.

    Returns
    -------
    tuple of list
        Scenes to learn from, and scenes that are held out.

    Raises
    ------
    ModelProblem
        Scenes with parts or predictors that do not go together, or without anything hidden.
    """
    learned, held = list(scenes), list(validation)
    for kind, ones in (("scene", learned), ("validation scene", held)):
        for number, scene in enumerate(ones):
            scene.check(f"{kind} {number + 1}")
            if not scene.is_hidden.any():
                raise ModelProblem(
                    f"{kind} {number + 1}",
                    found="nothing that is known and hidden",
                    expected="values of truth where satellite has none",
                    remedy="Hide some under the gaps of other days (vadose.samples.gaps.lay_gaps).",
                )
    if not learned:
        raise ModelProblem("scenes", found="none", expected="one or more")
    for scene in [*learned, *held]:
        if scene.features != learned[0].features:
            raise ModelProblem(
                "scenes",
                found=f"{scene.features} and {learned[0].features} {PREDICTORS}",
                expected="the same predictors in all of them",
            )
    if not held and len(learned) > 1:
        count = max(1, round(HELD_BACK * len(learned)))
        learned, held = learned[:-count], learned[-count:]
    rest = [_without(scene, held) for scene in learned]
    taught = [scene for scene in rest if scene.is_hidden.any()]
    if not taught:
        raise ModelProblem(
            "scenes",
            found="nothing hidden that the validation does not hide too",
            expected="other draws of hidden values",
        )
    return taught, held


def _without(scene: Scene, held: Sequence[Scene]) -> Scene:
    """Take from a scene what others of its record hide."""
    is_held = [other.is_hidden for other in held if is_same_record(scene, other)]
    if not is_held:
        return scene
    truth = np.where(np.any(is_held, axis=0), np.float32(np.nan), scene.truth)  # type: ignore[arg-type]
    return replace(scene, truth=truth)
