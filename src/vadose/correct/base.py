"""What every corrector is: learned at stations, applied to cubes or tables, living on disk as plain data.

A correction looks at a cell and its time alone, never at the cells around it, so a tile needs no margin
and comes out with the bits of the whole map. It changes values and nothing else: gaps, ``origin`` and ``flags``
stay, and the closure that a product had is given up (close it again where that is wanted).

The smallest corrector that fulfils the contract::

    class Shift(Corrector):
        name = "shift"

        def _learn(self, pairs):
            self.shift_ = float(np.mean(pairs.observed - pairs.predicted))

        def _correction(self, points, at_place):
            return np.full(len(points), self.shift_)

        def _state(self):
            return {"shift": self.shift_}, {}

        def _take(self, state, arrays):
            self.shift_ = state["shift"]
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import xarray as xr

from vadose.correct.fields import NOTE, check_complete, check_product, step_of, take_predictors
from vadose.correct.stations import REPRESENTATIVENESS, Floats, Mask, Pairs, Points
from vadose.errors import ModelProblem, ValueProblem
from vadose.grids import grid_of, lonlat
from vadose.models.base import read_description, write_description
from vadose.samples.blocks import near_places
from vadose.schema import check_cube, variable

#: Fewest stations to learn a correction from.
STATIONS = 3
#: Distance (km) under which two stations share what was learned: a fine cell has one value for both.
DISTANCE = 1.0
#: File names in the folder of a corrector.
DESCRIPTION, ARRAYS = "corrector.json", "corrector.safetensors"


class Corrector(ABC):
    """Learn from pairs what is to be added to a product, and add it.

    Attributes
    ----------
    used_ : xarray.Dataset
        Stations that were learned from, ``station``, ``network``, ``lat``, ``lon``: for
        ``vadose.validate.leakage.check_independent(stations, {"correction": corrector.used_})``.
    notes_ : list of str
        What has to be said beside every use of it.
    """

    name: ClassVar[str]
    #: What it has to know of a point beside the product's value.
    predictors: tuple[str, ...] = ()
    target: str = "soil_moisture"

    def fit(self, pairs: Pairs) -> Self:
        """Learn from the rows that have a value, a reading and all predictors.

        Raises
        ------
        ValueProblem
            Fewer than three stations, or too few rows for this corrector.
        """
        known = pairs.known(self.predictors)
        is_used = known.used()
        if is_used.sum() < STATIONS:
            raise ValueProblem(
                f"stations to learn the {self.name} correction from",
                found=f"{int(is_used.sum())} with pairs",
                expected=f"{STATIONS} or more",
                remedy="What differs from station to station cannot be told from fewer: leave the "
                "correction out.",
            )
        self.notes_: list[str] = []
        self._learn(known)
        self.used_ = known.stations.isel(station=np.flatnonzero(is_used))
        self.learned_from_ = (
            f"{int(is_used.sum())} stations, {len(known)} pairs, "
            f"{known.time.min().astype('M8[D]')} to {known.time.max().astype('M8[D]')}"
        )
        return self

    @abstractmethod
    def _learn(self, pairs: Pairs) -> None:
        """Learn from complete rows."""

    @abstractmethod
    def _correction(self, points: Points, at_place: Floats | None) -> Floats:
        """Give what is to be added at complete points."""

    @abstractmethod
    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give what was learned: plain data for JSON, and arrays."""

    @abstractmethod
    def _take(self, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Take up what `_state` gave."""

    def _at_place(self, longitude: Floats, latitude: Floats) -> Floats | None:
        """Give what depends on the place alone, so that a map needs it once for all its steps."""
        return None

    def _spread_at(self, longitude: Floats, latitude: Floats) -> Floats | None:
        """Give the standard deviation of the correction at places, m³ m⁻³; None where it is not known."""
        return None

    def spread_at(self, longitude: Floats, latitude: Floats) -> Floats | None:
        """Give how unsure the correction is at places.

        Parameters
        ----------
        longitude, latitude
            Degrees.

        Returns
        -------
        numpy.ndarray or None
            Standard deviation, m³ m⁻³, of what is added to a cell, not of a reading there; None where the
            corrector does not know it.
        """
        self._need_fit()
        return self._spread_at(longitude, latitude)

    def correct(self, points: Points) -> Floats:
        """Give corrected values, m³ m⁻³, inside the range of the target; NaN where something is missing.

        Whether the points may be judged on is not asked here: see `correct_unseen`.
        """
        self._need_fit()
        is_known = np.isfinite(points.predicted)
        is_known &= np.isfinite(points.table(self.predictors)).all(axis=1)
        corrected = np.full(len(points), np.nan)
        if is_known.any():
            some = _rows(points, is_known)
            corrected[is_known] = self._corrected(some, self._at_place(*_place(some)))
        return corrected

    def correct_unseen(self, pairs: Pairs, *, distance: float = DISTANCE) -> Floats:
        """Give corrected values at stations that are to be judged on, which it must not have seen.

        Parameters
        ----------
        pairs
            Rows of any stations.
        distance
            Stations nearer than this (km) to one that was used count as used.

        Raises
        ------
        ValueProblem
            It learned from one of the stations, by name or by place.
        """
        self._need_fit()
        is_seen = seen(pairs.stations, self.used_, distance=distance) & pairs.used()
        if is_seen.any():
            names = [str(name) for name in pairs.stations["station"].values[is_seen]]
            raise ValueProblem(
                "stations",
                found=f"{len(names)} that the {self.name} correction learned from: "
                + ", ".join(names[:12]),
                expected="stations that it has not seen",
                remedy="Judge it with vadose.correct.correct_held_out, which learns it anew without each "
                "station.",
            )
        return self.correct(pairs)

    def apply(
        self,
        cube: xr.Dataset,
        fine: xr.Dataset | None = None,
        *,
        bounds: tuple[float, float] | None = None,
    ) -> xr.Dataset:
        """Correct a product.

        Parameters
        ----------
        cube
            Holds the target, dims ``[member,] [time,] y, x``; a whole map or any tile of it.
        fine
            Cube on the same grid with the predictors, at the times of `cube` or without time; `cube`
            itself unless given.
        bounds
            Smallest and largest value allowed; those of the variable unless given.

        Returns
        -------
        xarray.Dataset
            The cube with the target corrected, and ``<target>_correction``, what was added (after the
            bounds); where the corrector knows how unsure it is, as kriging does, also
            ``<target>_correction_spread``, dims ``y, x``, wherever a station is or is not. Gaps, ``origin`` and ``flags`` are as before. Nothing is closed again.

        Raises
        ------
        CubeProblem
            Corrected already; with an interval, which belongs to the product as it was; without what the
            correction needs.
        ValueProblem
            A predictor is missing where the product has a value.
        """
        self._need_fit()
        check_product(cube, self.target)
        field = cube[self.target]
        known = take_predictors(cube if fine is None else fine, cube, self.predictors)
        longitude, latitude = (one.ravel() for one in lonlat(grid_of(cube)))
        values = field.values
        leading = field.dims[:-2]
        layers = values.reshape(-1, longitude.size)
        is_somewhere = np.isfinite(layers).any(axis=0)
        at_place = self._at_place(longitude[is_somewhere], latitude[is_somewhere])
        corrected = np.full(layers.shape, np.nan, dtype=np.float64)
        for number, place in enumerate(np.ndindex(values.shape[:-2])):
            here = dict(zip(leading, place, strict=True))
            is_known = np.isfinite(layers[number])
            if not is_known.any():
                continue
            stamp = np.datetime64("NaT", "ns")
            if "time" in here:
                stamp = cube["time"].values[here["time"]].astype("M8[ns]")
            points = Points(
                layers[number][is_known].astype("f8"),
                np.full(int(is_known.sum()), stamp),
                longitude[is_known],
                latitude[is_known],
                {name: step_of(one, here).ravel()[is_known] for name, one in known.items()},
            )
            check_complete(points, self.predictors, stamp)
            part = None if at_place is None else at_place[is_known[is_somewhere]]
            corrected[number, is_known] = self._corrected(points, part, bounds)
        spread = self._spread_at(longitude, latitude)
        return self._product(cube, corrected.reshape(values.shape).astype("f4"), spread)

    def _corrected(
        self, points: Points, at_place: Floats | None, bounds: tuple[float, float] | None = None
    ) -> Floats:
        low, high = bounds or variable(self.target).valid_range
        return np.clip(points.predicted + self._correction(points, at_place), low, high)

    def _product(
        self, cube: xr.Dataset, corrected: np.ndarray[Any, Any], spread: Floats | None
    ) -> xr.Dataset:
        field = cube[self.target]
        name = f"{self.target}_correction"
        names = [name] if spread is None else [name, f"{name}_spread"]
        words = "; ".join([f"{self.name}, learned from {self.learned_from_}", *self.notes_])
        words += (
            f"; a point differs from its square kilometre by about {REPRESENTATIVENESS:g} m3 m-3"
        )
        about = field.attrs.get("ancillary_variables", "").split()
        attrs = {
            **field.attrs,
            NOTE: words,
            "ancillary_variables": " ".join(dict.fromkeys([*about, *names])),
        }
        depth = {key: field.attrs[key] for key in ("depth_from", "depth_to") if key in field.attrs}
        added = {
            **variable(name).attributes(),
            "long_name": f"what correction with stations adds to {variable(self.target).long_name}",
            **depth,
        }
        difference = corrected - field.values.astype("f4", copy=False)
        result = cube.assign(
            {
                self.target: (field.dims, corrected, attrs),
                name: (field.dims, difference, added),
            }
        )
        if spread is not None:
            result[name].attrs["ancillary_variables"] = names[-1]
            values = spread.reshape(corrected.shape[-2:]).astype("f4")
            told = {**variable(names[-1]).attributes(), **depth}
            result[names[-1]] = (field.dims[-2:], values, told)
        return check_cube(result, source="corrected product")

    def save(self, folder: Path) -> None:
        """Write ``corrector.json`` and ``corrector.safetensors`` into an existing empty folder."""
        from safetensors.numpy import save_file

        self._need_fit()
        state, arrays = self._state()
        settings = {
            name: getattr(self, name)
            for name in inspect.signature(type(self)).parameters
            if name not in type(self)._parts
        }
        description = {
            "settings": settings,
            "learned": state,
            "learned_from": self.learned_from_,
            "notes": self.notes_,
            "used": {str(name): one.values.tolist() for name, one in self.used_.coords.items()},
        }
        write_description(folder, self.name, description, file=DESCRIPTION)
        save_file(
            {name: np.ascontiguousarray(one) for name, one in arrays.items()}, folder / ARRAYS
        )

    #: Arguments that are no plain data and are saved by the class itself.
    _parts: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a saved corrector; what it gives is the same to the bit.

        Raises
        ------
        ModelProblem
            Missing, truncated or foreign files.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        path = Path(folder)
        description = read_description(path, cls.name, file=DESCRIPTION)
        try:
            corrector = cls(**description["settings"], **cls._load_parts(path))
            corrector.learned_from_ = str(description["learned_from"])
            corrector.notes_ = [str(note) for note in description["notes"]]
            used = description["used"]
            corrector.used_ = xr.Dataset(
                coords={
                    "station": np.asarray(used["station"], str),
                    "network": ("station", np.asarray(used["network"], str)),
                    "lat": ("station", np.asarray(used["lat"], "f8")),
                    "lon": ("station", np.asarray(used["lon"], "f8")),
                }
            )
            corrector._take(description["learned"], load_file(path / ARRAYS))
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise ModelProblem(
                path, found=f"an incomplete corrector ({error})", expected="what save has written"
            ) from error
        return corrector

    @classmethod
    def _load_parts(cls, folder: Path) -> dict[str, Any]:
        """Read the arguments that are no plain data."""
        return {}

    def _need_fit(self) -> None:
        if not hasattr(self, "used_"):
            raise ModelProblem(f"{self.name} correction", found="no fit", remedy="Call fit first.")


def seen(stations: xr.Dataset, used: xr.Dataset, *, distance: float = DISTANCE) -> Mask:
    """Tell which stations were used: the same network and name, or nearer than a distance in km.

    Examples
    --------
    >>> one, other = (xr.Dataset(coords={"station": [name], "network": ("station", ["N"]),
    ...     "lat": ("station", [40.0]), "lon": ("station", [lon])}) for name, lon in (("a", 1.0), ("b", 2.0)))
    >>> seen(one, other), seen(one, other, distance=100.0)
    (array([False]), array([ True]))
    """
    labels = [
        list(zip(one["network"].values.astype(str), one["station"].values.astype(str), strict=True))
        for one in (stations, used)
    ]
    is_named = np.array([label in set(labels[1]) for label in labels[0]], bool)
    place = [
        np.concatenate([one[name].values for one in (stations, used)]) for name in ("lon", "lat")
    ]
    is_used = np.arange(len(place[0])) >= len(labels[0])
    is_near = np.zeros(len(labels[0]), bool)
    if distance > 0:
        is_near = near_places(place[0], place[1], is_used, distance)[: len(labels[0])]
    return is_named | is_near


def _rows(points: Points, is_kept: Mask) -> Points:
    return Points(
        points.predicted[is_kept],
        points.time[is_kept],
        points.longitude[is_kept],
        points.latitude[is_kept],
        {name: one[is_kept] for name, one in points.predictors.items()},
    )


def _place(points: Points) -> tuple[Floats, Floats]:
    return points.longitude, points.latitude
