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
from vadose.samples.blocks import EARTH

#: Days over which the difference of a station is alike: so many tell no more than one.
MEMORY = 30
#: Bounds of the range, in distances between stations: the shortest, and times the longest.
RANGES = (0.5, 3.0)


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
        covariance = self.sill_ * np.exp(-apart(self.places_) / self.range_)
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

    def _spread_at(self, longitude: Floats, latitude: Floats) -> Floats:
        # at a station it is not 0, since the nugget belongs to the station and not to its cell
        left = np.full(len(longitude), self.sill_)
        solved: list[Floats] = []
        # forward substitution by hand: what one place gets must not depend on how many there are
        for row, near in enumerate(self._covariances(longitude, latitude)):
            for column, before in enumerate(solved):
                near = near - self.root_[row, column] * before
            solved.append(near / self.root_[row, row])
            left -= solved[-1] ** 2
        return np.asarray(np.sqrt(np.maximum(left, 0.0)), "f8")

    def _covariances(self, longitude: Floats, latitude: Floats) -> Iterator[Floats]:
        for distance in distances(longitude, latitude, self.places_):
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


def places_of(stations: xr.Dataset, numbers: Integers) -> Floats:
    """Give places on a sphere of the size of the Earth, km, dims ``(station, 3)``."""
    chosen = stations.isel(station=numbers)
    return _on_sphere(chosen["lon"].values.astype("f8"), chosen["lat"].values.astype("f8"))


def _on_sphere(longitude: Floats, latitude: Floats) -> Floats:
    east, north = np.radians(longitude), np.radians(latitude)
    level = np.cos(north)
    return EARTH * np.stack([level * np.cos(east), level * np.sin(east), np.sin(north)], axis=-1)


def distances(longitude: Floats, latitude: Floats, places: Floats) -> Iterator[Floats]:
    """Give the distance (km, through the sphere) of all points from each place in turn."""
    own = _on_sphere(longitude, latitude).T
    for place in places:
        yield np.sqrt(sum((one - centre) ** 2 for one, centre in zip(own, place, strict=True)))


def apart(places: Floats) -> Floats:
    """Give the distances (km) between places, dims ``(station, station)``."""
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
    from threadpoolctl import threadpool_limits

    size = float(np.sqrt(np.mean(means**2))) or 1.0
    distance = apart(places)[np.triu_indices(len(places), 1)]
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
    # threads cost more than they save on a matrix of some tens of stations
    with warnings.catch_warnings(), threadpool_limits(1, "blas"):
        # a likelihood that is greatest at an end of the range is an answer too
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(places, means / size)
    found = process.kernel_
    sill, nugget = found.k1.k1.constant_value * size**2, found.k2.noise_level * size**2
    return float(sill), float(found.k1.k2.length_scale), float(nugget)
