"""Channels: what a network is told of a window of a map on a day, scaled, and 0 where there is nothing.

A window may reach over the rim of the map. Columns beyond it are those of the other side where the map goes
around the globe; all other cells beyond are like sea: there is no land, and all channels are 0. So a window
gives inside what the whole map gives, and a network never needs to know where a map ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from vadose.errors import ModelProblem
from vadose.models.drcgan.scenes import PREDICTORS, Mask, Scene, count_days
from vadose.samples.scaling import Scaling

Stack = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

#: Days of a year, on average.
YEAR = 365.25
#: Days after which an observation is as good as none, and those over which its worth falls to 1/e.
OLDEST, MEMORY = 30, 4.0
#: Days of the year that make it whole.
ROUND = 330
#: Least spread of the satellite about the guess, in units of the satellite's own.
SMALLEST = 1e-3


@dataclass(frozen=True, eq=False)
class Window:
    """Hold what a network sees of some days: dims ``(day, channel, y, x)``, and ``(day, 1, y, x)``.

    Attributes
    ----------
    channels
        See `Encoding.channels`; the land model of the day itself is the first.
    land
        1 where the land model has a value, else 0.
    guess, truth, seen
        Scaled by the satellite's mean and spread, 0 where there is nothing.
    known, hidden
        1 where the truth is known, and where it is hidden besides.
    """

    channels: Stack
    land: Stack
    guess: Stack
    truth: Stack
    known: Stack
    hidden: Stack


@dataclass(frozen=True, eq=False)
class Encoding:
    """Scale scenes and lay out their channels.

    Attributes
    ----------
    neighbours
        Days on either side that are shown.
    wraps
        The first column is the last one's neighbour.
    satellite, model
        Scalings of the two.
    departure
        Spread of the satellite about the guess, in units of the satellite's own.
    context, static
        Scalings of further predictors.
    has_season
        Whether the day of year is told: only if the days learned from go around the year. Those of a month
        it would tell from each other, so that a network learns them by heart.
    """

    neighbours: int
    wraps: bool
    satellite: Scaling
    model: Scaling
    departure: float
    context: Scaling | None
    static: Scaling | None
    has_season: bool

    @classmethod
    def learn(cls, scenes: Sequence[Scene], *, neighbours: int, wraps: bool) -> Self:
        """Learn scalings from what is known over land."""

        def moments(name: str) -> Scaling | None:
            if getattr(scenes[0], name) is None:
                return None
            return _moments(part for scene in scenes for part in _over_land(scene, name))

        satellite, model = moments("truth"), moments("model")
        assert satellite is not None and model is not None  # noqa: S101, PT018 - no scene lacks them
        lacking = _moments(part for scene in scenes for part in _lacking(scene))
        spread = float(np.hypot(lacking.shift[0], lacking.width[0]))
        return cls(
            neighbours=neighbours,
            wraps=wraps,
            satellite=satellite,
            model=model,
            departure=max(spread / float(satellite.width[0]), SMALLEST),
            context=moments("context"),
            static=moments("static"),
            has_season=_tells_season(scenes),
        )

    @property
    def told(self) -> int:
        """Number of channels of context, static features and season, which stand last."""
        context = 0 if self.context is None else len(self.context.shift)
        static = 0 if self.static is None else len(self.static.shift)
        return context + static + 2 * self.has_season

    @property
    def width(self) -> int:
        """Number of channels."""
        return 4 * (2 * self.neighbours + 1) + 2 + self.told

    def check(self, scene: Scene, name: str = "scene") -> None:
        """Insist that a scene has the predictors that were learned from.

        Raises
        ------
        ModelProblem
        """
        counts = [0 if one is None else len(one.shift) for one in (self.context, self.static)]
        # a season that was not learned is not looked at
        has_season = self.has_season or scene.day_of_year is not None
        wanted = (*counts, int(has_season))
        if scene.features != wanted:
            raise ModelProblem(
                f"predictors of the {name}",
                found=f"{scene.features}",
                expected=f"{wanted} {PREDICTORS}, as in training",
            )

    def view(self, scene: Scene) -> View:
        """Prepare a scene to be looked at."""
        is_seen = np.isfinite(scene.satellite) & np.isfinite(scene.model)
        return View(
            self,
            scene,
            count_days(is_seen, most=OLDEST),
            count_days(is_seen[::-1], most=OLDEST)[::-1],
        )

    def describe(self) -> dict[str, Any]:
        """Give what `read` takes, as plain numbers."""
        scalings = {
            name: None if one is None else one.describe()
            for name in ("satellite", "model", "context", "static")
            for one in (getattr(self, name),)
        }
        return {
            "neighbours": self.neighbours,
            "wraps": self.wraps,
            "departure": self.departure,
            "has_season": self.has_season,
            **scalings,
        }

    @classmethod
    def read(cls, description: Mapping[str, Any] | None, *, of: str) -> Self:
        """Make an encoding from what `describe` gave, checked, since it comes from a file.

        Raises
        ------
        ModelProblem
            Missing, or with impossible numbers.
        """
        known = dict(description or {})

        def scaling(name: str) -> Scaling | None:
            one = known.get(name)
            features = len(one["shift"]) if isinstance(one, dict) and "shift" in one else 1
            return None if one is None else Scaling.read(one, features=features, of=of)

        scalings = {name: scaling(name) for name in ("satellite", "model", "context", "static")}
        departure = known.get("departure")
        if (
            scalings["satellite"] is None
            or scalings["model"] is None
            or not isinstance(departure, float)
            or not departure > 0
        ):
            raise ModelProblem(
                of,
                found="no scaling that suits",
                expected="those of satellite, model and departure",
                remedy="Fit the model again; without its scaling it cannot be used.",
            )
        return cls(
            neighbours=int(known["neighbours"]),
            wraps=bool(known["wraps"]),
            departure=departure,
            has_season=bool(known["has_season"]),
            **scalings,  # type: ignore[arg-type]
        )


@dataclass(frozen=True, eq=False)
class View:
    """Look at a scene through windows."""

    encoding: Encoding
    scene: Scene
    since: npt.NDArray[np.uint8]
    until: npt.NDArray[np.uint8]

    def hidden(self, day: int) -> Mask:
        """Tell which values of a day are known and not shown; dims ``y, x``."""
        scene = self.scene
        if scene.truth is None:
            return np.zeros(scene.satellite.shape[1:], dtype=bool)
        is_known = np.isfinite(scene.truth[day]) & np.isfinite(scene.model[day])
        return np.asarray(is_known & ~np.isfinite(scene.satellite[day]))

    @property
    def teaches(self) -> Mask:
        """Tell on which days something is hidden; dims ``time``."""
        return np.array([self.hidden(day).any() for day in range(len(self.scene.satellite))])

    def window(self, days: Indices, rows: Indices, columns: Indices) -> Window:
        """Give what a network sees of some days.

        Parameters
        ----------
        days
            Numbers of the days; neighbouring days are looked up beside them. Before the first day the
            land model is as on that day and nothing is observed, and likewise after the last.
        rows, columns
            Those of the window, in order; below 0 or beyond the map for cells that do not exist.
        """
        code, scene = self.encoding, self.scene
        steps, height, width = scene.satellite.shape
        if code.wraps:
            columns = columns % width
        inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
        place = np.ix_(np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1))

        def cut(maps: npt.NDArray[Any], day: Indices) -> Stack:
            part: Stack = maps[(day[:, None, None], *(one[None] for one in place))]
            return part

        def scaled(maps: Stack, scaling: Scaling) -> Stack:
            return ((maps - np.float32(scaling.shift[0])) / np.float32(scaling.width[0])).astype(
                "f4"
            )

        land = np.isfinite(cut(scene.model, days)) & inside
        guess = scaled(cut(scene.guess, days), code.satellite)
        layers: list[Stack] = []
        ahead = range(-code.neighbours, code.neighbours + 1)
        for lag in sorted(ahead, key=abs):
            day = np.clip(days + lag, 0, steps - 1)
            exists = (day == days + lag)[:, None, None]
            model = scaled(cut(scene.model, day), code.model)
            satellite = scaled(cut(scene.satellite, day), code.satellite)
            base = guess if lag == 0 else scaled(cut(scene.guess, day), code.satellite)
            seen = np.isfinite(satellite) & np.isfinite(base) & exists & inside
            layers += [
                _filled(model),
                seen.astype("f4"),
                _filled(np.where(seen, satellite - base, np.float32(0.0)))
                / np.float32(code.departure),
            ]
            if lag:
                layers.append(_filled(base - guess) / np.float32(code.departure))
        layers.append(guess)
        layers += [
            np.where(count < OLDEST, np.exp(-count / np.float32(MEMORY)), 0.0)
            for count in (cut(self.since, days).astype("f4"), cut(self.until, days).astype("f4"))
        ]
        for maps, scaling in ((scene.context, code.context), (scene.static, code.static)):
            if maps is None or scaling is None:
                continue
            part = (
                maps[(days[:, None, None], *(one[None] for one in place))]
                if maps.ndim == 4
                else (np.broadcast_to(maps[place], (len(days), *land.shape[1:], maps.shape[-1])))
            )
            layers += list(np.moveaxis(scaling.apply(part), -1, 0))
        if code.has_season and scene.day_of_year is not None:
            angle = 2 * np.pi * np.asarray(scene.day_of_year)[days].astype(float) / YEAR
            layers += [
                np.broadcast_to(wave[:, None, None], land.shape).astype("f4")
                for wave in (np.sin(angle), np.cos(angle))
            ]
        channels = np.stack([np.where(land, layer, 0.0) for layer in layers], axis=1).astype("f4")
        truth = np.full(land.shape, np.nan, dtype="f4")
        if scene.truth is not None:
            truth = scaled(cut(scene.truth, days), code.satellite)
        known = np.isfinite(truth) & land
        hidden = known & ~np.isfinite(cut(scene.satellite, days))

        def maps_of(values: npt.NDArray[Any]) -> Stack:
            return values[:, None].astype("f4")

        return Window(
            channels=channels,
            land=maps_of(land),
            guess=maps_of(np.where(land, guess, 0.0)),
            truth=maps_of(np.where(known, truth, 0.0)),
            known=maps_of(known),
            hidden=maps_of(hidden),
        )


def _filled(maps: Stack) -> Stack:
    return np.where(np.isfinite(maps), maps, np.float32(0.0))


def _tells_season(scenes: Sequence[Scene]) -> bool:
    days = [one.day_of_year for one in scenes if one.day_of_year is not None]
    return bool(days) and len(np.unique(np.concatenate(days))) >= ROUND


def _over_land(scene: Scene, name: str) -> Iterator[npt.NDArray[np.floating]]:
    """Give what is known of a part over land, day by day; dims ``(value, feature)``."""
    values = getattr(scene, name)
    if name == "static":
        land = np.any([np.isfinite(day) for day in scene.model], axis=0)
        yield values[land]
        return
    for day, model in zip(values, scene.model, strict=True):
        known = day[np.isfinite(model)]
        yield known if known.ndim > 1 else known[np.isfinite(known)][:, None]


def _lacking(scene: Scene) -> Iterator[npt.NDArray[np.floating]]:
    """Give what the guess lacks at hidden values, day by day; dims ``(value, 1)``."""
    if scene.truth is not None:
        for truth, guess, hidden in zip(scene.truth, scene.guess, scene.is_hidden, strict=True):
            yield (truth - guess)[hidden][:, None]


def _moments(parts: Iterable[npt.NDArray[np.floating]]) -> Scaling:
    """Learn mean and spread from parts, of which no more than one is held."""
    count, total, square = 0, np.zeros(()), np.zeros(())
    for part in parts:
        values = part.astype(np.float64)
        count += len(values)
        total, square = total + values.sum(axis=0), square + np.square(values).sum(axis=0)
    mean = total / count
    width = np.sqrt(np.maximum(square / count - mean**2, 0.0))
    # rounding leaves a constant feature with a spread of some 1e-8 of its size
    is_constant = width <= 1e-6 * np.maximum(np.abs(mean), 1e-30)
    return Scaling("zscore", mean, np.where(is_constant, 1.0, width))
