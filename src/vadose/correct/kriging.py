"""Kriging of what stations differ by: near a station its own difference, far from all of them nothing.

The differences are a Gaussian process of mean 0 whose covariance falls off exponentially with distance,
and what a station has for itself, the nugget: its sensor, and that it is a point. So the correction
shrinks to 0 away from stations, and its standard deviation grows to that of the process.

References
----------
Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, algorithm 2.1. Chilès and Delfiner
(2012), Geostatistics, ch. 3 (simple kriging).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from vadose.correct.base import Corrector
from vadose.correct.stations import Floats, Integers, Pairs, Points
from vadose.errors import ValueProblem
from vadose.grids import grid_of, lonlat
from vadose.samples.blocks import EARTH

#: Days over which the difference of a station is alike: so many tell no more than one.
MEMORY = 30
#: Bounds of the range, in distances between stations: the shortest, and times the longest.
RANGES = (0.5, 3.0)
#: Ranges that are compared, in median distances between stations, and nuggets, in variances of the process.
TRIED_RANGES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
#: The last is as good as no field at all beside the mean of the day.
TRIED_NUGGETS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
ALL_NUGGET = 1e6


class Kriging(Corrector):
    """Spread the mean differences of stations over the map, with a variance.

    Parameters
    ----------
    seed
        Of the starts from which the likelihood is climbed.

    Attributes
    ----------
    sill_, nugget_ : float
        Variances of the field and of what each station has for itself, (m³ m⁻³)².
    range_ : float
        Distance over which the covariance falls to 1/e, km.
    """

    name: ClassVar[str] = "kriging"

    def __init__(self, *, seed: int = 0, target: str = "soil_moisture") -> None:
        self.seed, self.target = seed, target

    def _learn(self, pairs: Pairs) -> None:
        numbers, means = pairs.station_means(pairs.observed - pairs.predicted)
        self.places_ = places_of(pairs.stations, numbers)
        doubt = _doubt(pairs, numbers)
        self.sill_, self.range_, self.nugget_ = _most_likely(self.places_, means, doubt, self.seed)
        covariance = self.sill_ * np.exp(-_apart(self.places_) / self.range_)
        covariance += np.diag(self.nugget_ + doubt)
        self.root_ = np.linalg.cholesky(covariance)
        self.weights_ = np.linalg.solve(covariance, means)
        self.notes_.append(
            f"range {self.range_:.3g} km, standard deviation of the field {self.sill_**0.5:.3f}, of "
            f"what a station has for itself {self.nugget_**0.5:.3f} m3 m-3"
        )

    def _at_place(self, longitude: Floats, latitude: Floats) -> Floats:
        correction = np.zeros(len(longitude))
        for weight, near in zip(self.weights_, self._covariances(longitude, latitude), strict=True):
            correction += weight * near
        return correction

    def _correction(self, points: Points, at_place: Floats | None) -> Floats:
        if at_place is None:
            at_place = self._at_place(points.longitude, points.latitude)
        return at_place

    def spread_at(self, longitude: Floats, latitude: Floats) -> Floats:
        """Give the standard deviation of the correction at places (degrees), m³ m⁻³.

        At a station it is not 0, since the nugget belongs to the station and not to its cell.
        """
        self._need_fit()
        left = np.full(len(longitude), self.sill_)
        solved: list[Floats] = []
        # forward substitution by hand: what one place gets must not depend on how many there are
        for row, near in enumerate(self._covariances(longitude, latitude)):
            for column, before in enumerate(solved):
                near = near - self.root_[row, column] * before
            solved.append(near / self.root_[row, row])
            left -= solved[-1] ** 2
        return np.asarray(np.sqrt(np.maximum(left, 0.0)), "f8")

    def spread(self, cube: xr.Dataset) -> xr.DataArray:
        """Give the standard deviation of the correction on the grid of a cube, dims ``y, x``, m³ m⁻³."""
        longitude, latitude = lonlat(grid_of(cube))
        values = self.spread_at(longitude.ravel(), latitude.ravel()).reshape(longitude.shape)
        return xr.DataArray(
            values.astype("f4"),
            dims=("y", "x"),
            coords={name: cube[name] for name in ("y", "x", "spatial_ref")},
            attrs={"units": "m3 m-3", "long_name": "standard deviation of the station correction"},
        )

    def _covariances(self, longitude: Floats, latitude: Floats) -> Iterator[Floats]:
        for distance in _distances(longitude, latitude, self.places_):
            yield self.sill_ * np.exp(-distance / self.range_)

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        state = {"sill": self.sill_, "range": self.range_, "nugget": self.nugget_}
        return state, {"places": self.places_, "root": self.root_, "weights": self.weights_}

    def _take(self, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        self.sill_, self.range_, self.nugget_ = (
            float(state[name]) for name in ("sill", "range", "nugget")
        )
        self.places_, self.root_, self.weights_ = (
            np.asarray(arrays[name], "f8") for name in ("places", "root", "weights")
        )


class DailyKriging(Corrector):
    """Spread the differences that stations have on a day over the map of that day.

    It corrects the days that stations were read on, and leaves others as they are. Range and nugget are
    those with which stations are best told from the others, every one left out in turn; where no choice
    helps them, nothing is corrected but the mean, if there is one.

    Parameters
    ----------
    with_mean
        Whether what the stations of a day have in common is corrected everywhere (ordinary kriging): right
        where all of them lie in a few coarse cells, or enter the product themselves. Without, the correction
        is 0 far from stations (simple kriging).

    Attributes
    ----------
    range_ : float
        Distance over which the covariance falls to 1/e, km.
    nugget_ : float
        In variances of the field; infinite where nothing is corrected.
    """

    name: ClassVar[str] = "daily_kriging"

    def __init__(self, *, with_mean: bool = False, target: str = "soil_moisture") -> None:
        self.with_mean, self.target = with_mean, target

    def _learn(self, pairs: Pairs) -> None:
        numbers, column = np.unique(pairs.station, return_inverse=True)
        self.times_, row = np.unique(pairs.time, return_inverse=True)
        if np.isnat(self.times_).any():
            raise ValueProblem(
                "pairs to learn the daily_kriging correction from",
                found="no time",
                expected="times",
                remedy="Take the kriging correction.",
            )
        residual = np.full((len(self.times_), len(numbers)), np.nan)
        residual[row, column] = pairs.observed - pairs.predicted
        self.places_ = places_of(pairs.stations, numbers)
        distance = _apart(self.places_)
        middle = float(np.median(distance[np.triu_indices(len(distance), 1)])) or 1.0
        # with a mean, the least is that mean alone, which is the last of the nuggets
        best = (np.inf if self.with_mean else float(np.nansum(residual**2)), middle, np.inf)
        for part in TRIED_RANGES:
            near = np.exp(-distance / (part * middle))
            for nugget in (*TRIED_NUGGETS, ALL_NUGGET) if self.with_mean else TRIED_NUGGETS:
                error = _left_out_error(residual, near, nugget, with_mean=self.with_mean)
                if error < best[0]:
                    best = (error, part * middle, nugget)
        _, self.range_, self.nugget_ = best
        self.weights_, self.means_ = np.zeros_like(residual), np.zeros(len(residual))
        if np.isfinite(self.nugget_):
            near = np.exp(-distance / self.range_)
            patterns = _patterns(residual, near, self.nugget_, with_mean=self.with_mean)
            for rows, own, inverse, share in patterns:
                here = residual[np.ix_(rows, own)]
                self.weights_[np.ix_(rows, own)] = here @ inverse
                self.means_[rows] = here @ share
        self.notes_.append(
            f"range {self.range_:.3g} km, nugget {self.nugget_:g} times the variance of the field; made "
            "with the readings of the same days"
        )

    def _correction(self, points: Points, at_place: Floats | None) -> Floats:
        correction = np.zeros(len(points))
        for stamp in np.unique(points.time):
            place = int(np.searchsorted(self.times_, stamp))
            if place == len(self.times_) or self.times_[place] != stamp:
                continue
            here = points.time == stamp
            total = np.full(int(here.sum()), self.means_[place])
            distances = _distances(points.longitude[here], points.latitude[here], self.places_)
            for weight, distance in zip(self.weights_[place], distances, strict=True):
                if weight:
                    total += weight * np.exp(-distance / self.range_)
            correction[here] = total
        return correction

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        nugget = self.nugget_ if np.isfinite(self.nugget_) else None
        arrays = {
            "places": self.places_,
            "weights": self.weights_,
            "means": self.means_,
            "times": self.times_.astype("M8[ns]").astype("i8"),
        }
        return {"range": self.range_, "nugget": nugget}, arrays

    def _take(self, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        self.range_ = float(state["range"])
        self.nugget_ = np.inf if state["nugget"] is None else float(state["nugget"])
        self.places_, self.weights_, self.means_ = (
            np.asarray(arrays[name], "f8") for name in ("places", "weights", "means")
        )
        self.times_ = np.asarray(arrays["times"], "i8").astype("M8[ns]")


def places_of(stations: xr.Dataset, numbers: Integers) -> Floats:
    """Give places on a sphere of the size of the Earth, km, dims ``(station, 3)``."""
    chosen = stations.isel(station=numbers)
    return _on_sphere(chosen["lon"].values.astype("f8"), chosen["lat"].values.astype("f8"))


def _on_sphere(longitude: Floats, latitude: Floats) -> Floats:
    east, north = np.radians(longitude), np.radians(latitude)
    level = np.cos(north)
    return EARTH * np.stack([level * np.cos(east), level * np.sin(east), np.sin(north)], axis=-1)


def _distances(longitude: Floats, latitude: Floats, places: Floats) -> Iterator[Floats]:
    """Give the distance (km, through the sphere) of all points from each place in turn."""
    own = _on_sphere(longitude, latitude).T
    for place in places:
        yield np.sqrt(sum((one - centre) ** 2 for one, centre in zip(own, place, strict=True)))


def _apart(places: Floats) -> Floats:
    return np.asarray(np.sqrt(((places[:, None] - places) ** 2).sum(axis=-1)), "f8")


def _doubt(pairs: Pairs, numbers: Integers) -> Floats:
    """Give the variance of each station's mean difference, from how many stretches of days it has."""
    residual = pairs.observed - pairs.predicted
    since = pairs.time - pairs.time.min()
    stretch = since // np.timedelta64(MEMORY, "D") if not np.isnat(pairs.time).any() else since * 0
    variances = np.empty(len(numbers))
    for place, number in enumerate(numbers):
        own = pairs.station == number
        variances[place] = residual[own].var() / max(len(np.unique(stretch[own])), 1)
    return variances


def _most_likely(
    places: Floats, means: Floats, doubt: Floats, seed: int
) -> tuple[float, float, float]:
    """Give sill, range and nugget of the greatest likelihood."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    size = float(np.sqrt(np.mean(means**2))) or 1.0
    distance = _apart(places)[np.triu_indices(len(places), 1)]
    if not distance.max() > 0:
        raise ValueProblem(
            "stations to krige from",
            found="all of them at one place",
            expected="stations apart from each other",
            remedy="Take the additive correction.",
        )
    ends = RANGES[0] * float(distance[distance > 0].min()), RANGES[1] * float(distance.max())
    kernel = ConstantKernel(0.5, (1e-4, 1e2)) * Matern(
        float(np.sqrt(ends[0] * ends[1])), ends, nu=0.5
    ) + WhiteKernel(0.5, (1e-4, 1e2))
    process = GaussianProcessRegressor(
        kernel, alpha=doubt / size**2 + 1e-10, n_restarts_optimizer=4, random_state=seed
    )
    with warnings.catch_warnings():
        # a likelihood that is greatest at an end of the range is an answer too
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(places, means / size)
    found = process.kernel_
    sill, nugget = found.k1.k1.constant_value * size**2, found.k2.noise_level * size**2
    return float(sill), float(found.k1.k2.length_scale), float(nugget)


def _patterns(
    residual: Floats, near: Floats, nugget: float, *, with_mean: bool
) -> Iterator[tuple[Integers, Integers, Floats, Floats]]:
    """Give rows and stations of each pattern of gaps, what turns differences to weights, and to their mean.

    With a mean, what turns differences to weights takes it off (Dubrule 1983): a constant has no weight.
    """
    patterns, number = np.unique(np.isfinite(residual), axis=0, return_inverse=True)
    for place, pattern in enumerate(patterns):
        own = np.flatnonzero(pattern)
        if own.size < 1 + with_mean:
            continue
        inverse = np.linalg.inv(near[np.ix_(own, own)] + nugget * np.eye(own.size))
        share = np.zeros(own.size)
        if with_mean:
            sums = inverse.sum(axis=0)
            share = sums / sums.sum()
            inverse = inverse - np.outer(share, sums)
        rows = np.flatnonzero(number.ravel() == place)
        yield rows.astype("i8"), own.astype("i8"), np.asarray(inverse, "f8"), share


def _left_out_error(residual: Floats, near: Floats, nugget: float, *, with_mean: bool) -> float:
    """Sum the squares of what is left at each station when the others of the day are spread to it.

    References
    ----------
    Dubrule (1983), Math. Geol. 15:687: all at once from the inverse.
    """
    total = 0.0
    for rows, own, inverse, _ in _patterns(residual, near, nugget, with_mean=with_mean):
        left = residual[np.ix_(rows, own)] @ inverse / np.diag(inverse)
        total += float((left**2).sum())
    return total
