"""How residuals of the satellite to its line on the model go together in space and time, and how to fit that."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import Self

import numpy as np
import scipy.optimize

from vadose.fuse.gapfill.records import Floats

#: Bounds of what is fitted, in the order of `Covariance`; variances are in units of the cell's own.
BOUNDS = (
    (1e-3, 3.0),  # slow
    (5.0, 300.0),  # slow_days
    (0.3, 30.0),  # slow_cells
    (1e-3, 5.0),  # weather
    (0.3, 20.0),  # weather_days
    (0.5, 60.0),  # weather_cells
    (1e-3, 30.0),  # wetting
    (1e-4, 2.0),  # overpass
    (0.5, 60.0),  # overpass_cells
    (5e-3, 2.0),  # noise
)


@dataclass(frozen=True)
class Covariance:
    """Add up what stays, what weather does, what one overpass gets wrong, and noise.

    Attributes
    ----------
    slow, slow_days, slow_cells
        Variance of what changes slowly (a bias of the cell, its vegetation), its e-folding time and length.
    weather, weather_days, weather_cells
        The same of what rain and drying do that the model does not.
    wetting
        Days that a change of the model by one standard deviation of the residual counts for: rain breaks
        the memory of the residual.
    overpass, overpass_cells
        Variance and length of what all values of a day have in common, such as an error of the swath.
    noise
        Variance of what no other value knows.
    """

    slow: float = 0.3
    slow_days: float = 40.0
    slow_cells: float = 3.0
    weather: float = 0.5
    weather_days: float = 3.0
    weather_cells: float = 6.0
    wetting: float = 1.0
    overpass: float = 0.05
    overpass_cells: float = 6.0
    noise: float = 0.1

    @property
    def variance(self) -> float:
        """Give the variance of a single value, without its noise."""
        return self.slow + self.weather + self.overpass

    def scaled(self, factor: float) -> Self:
        """Multiply all variances; estimates stay what they are."""
        return replace(
            self,
            slow=factor * self.slow,
            weather=factor * self.weather,
            overpass=factor * self.overpass,
            noise=factor * self.noise,
        )

    def between(self, days: Floats, change: Floats, cells: Floats) -> Floats:
        """Give the covariance of values that are so many days, changes of the model and cells apart."""
        return np.asarray(
            self.slow * np.exp(-days / self.slow_days - cells / self.slow_cells)
            + self.weather
            * np.exp(
                -(days + self.wetting * change) / self.weather_days - cells / self.weather_cells
            )
            + np.where(days == 0, self.overpass * np.exp(-cells / self.overpass_cells), 0.0),
            "f8",
        )


@dataclass(frozen=True, eq=False)
class Systems:
    """Hold small systems of observations around targets; the target is the origin.

    Attributes
    ----------
    day, change, y, x
        Place of each observation: days from the target, change that the model has summed up since then
        (signed likewise), cells from it; dims ``target, observation``.
    value
        What is observed there, in units of the cell's own spread.
    is_there
        False for places that were not filled because there are too few observations.
    """

    day: Floats
    change: Floats
    y: Floats
    x: Floats
    value: Floats
    is_there: Floats


def solve(systems: Systems, covariance: Covariance) -> tuple[Floats, Floats]:
    """Estimate the targets and the variance of that estimate, without the noise of the target itself.

    Each system is positive definite: its places are points of one space, and a sum of exponentials of
    distances along parts of it is a covariance there.

    References
    ----------
    Gandin (1965), Objective Analysis of Meteorological Fields; Cressie (1993), Statistics for Spatial
    Data, 3.2 (simple kriging).
    """

    def apart(places: Floats) -> Floats:
        return np.asarray(np.abs(places[:, :, None] - places[:, None, :]))

    cells = np.hypot(apart(systems.y), apart(systems.x))
    there = systems.is_there
    among = covariance.between(apart(systems.day), apart(systems.change), cells)
    among *= there[:, :, None] * there[:, None, :]
    diagonal = np.arange(there.shape[1])
    # a place without an observation is a value that nothing else depends on
    among[:, diagonal, diagonal] = np.where(there > 0, covariance.variance + covariance.noise, 1.0)
    towards = there * covariance.between(
        np.abs(systems.day), np.abs(systems.change), np.hypot(systems.y, systems.x)
    )
    weights = np.linalg.solve(among, towards[:, :, None])[:, :, 0]
    estimate = np.einsum("tn,tn->t", weights, systems.value * there)
    variance = covariance.variance - np.einsum("tn,tn->t", weights, towards)
    return estimate, np.maximum(variance, 1e-9)


def fit_covariance(
    systems: Systems, truth: Floats, start: Covariance, *, steps: int = 40
) -> Covariance:
    """Find the covariance under which hidden values are likeliest, given the observations around them.

    Parameters
    ----------
    systems
        Observations around targets whose values were hidden.
    truth
        These values, in the same units.
    start
        Where to start from.
    steps
        Most iterations.

    Returns
    -------
    Covariance
        Within `BOUNDS` but for the scale. The score is Student's t with four degrees of freedom, for a storm that the model
        missed must not decide over all; variances are scaled in the end so that the squared errors of these
        values are as large as was said, storms included.

    References
    ----------
    Vecchia (1988), J. R. Stat. Soc. B 50:297 (likelihoods of values given their neighbours).
    """
    freedom = 4.0

    def score(logarithms: Floats) -> float:
        covariance = Covariance(*np.exp(logarithms))
        estimate, variance = solve(systems, covariance)
        total = variance + covariance.noise
        squares = (truth - estimate) ** 2 / total
        likelihood = 0.5 * np.log(total) + (freedom + 1) / 2 * np.log1p(squares / freedom)
        # a weak pull to the start keeps what the record says nothing of where it was
        return float(likelihood.mean() + 1e-3 * ((logarithms - first) ** 2).sum())

    bounds = np.log(BOUNDS)
    first = np.clip(np.log(astuple(start)), *bounds.T)
    found = scipy.optimize.minimize(
        score,
        first,
        method="L-BFGS-B",
        bounds=list(zip(*bounds.T, strict=True)),
        options={"maxiter": steps, "ftol": 1e-6},
    )
    fitted = Covariance(*(float(one) for one in np.exp(found.x)))
    estimate, variance = solve(systems, fitted)
    return fitted.scaled(float(((truth - estimate) ** 2 / (variance + fitted.noise)).mean()))
