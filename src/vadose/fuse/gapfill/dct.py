"""Penalised least squares with cosine transforms: the smoothest field that stays near the observations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import ClassVar, Self

import numpy as np
import scipy.fft
import xarray as xr

from vadose.errors import ModelProblem, ValueProblem
from vadose.fuse.gapfill.records import Floats, read_record, window, write_field

#: Penalties and, of time against space, aspects that generalised cross-validation chooses from.
PENALTIES = tuple(10.0 ** np.arange(-4, 3))
ASPECTS = (0.3, 1.0, 3.0)
#: Half of the memory and of the time; fields differ by less than 1e-6 from those in double precision.
PRECISION = "f4"


class DCTPLS:
    """Fill gaps with the field that minimises distance to the values and roughness together.

    Minimises ``Σ w (y − z)² + s ‖D z‖²`` over all days and cells, D the second difference in time and space
    with edges that reflect. The system is solved by conjugate gradients, preconditioned by a discrete
    cosine transform, in which D is diagonal. Knows nothing of the model.

    Parameters
    ----------
    penalty
        s; by generalised cross-validation unless given.
    aspect
        Weight of roughness in time against that in space; likewise.
    robust
        Rounds in which values far off the field are given less weight (bisquare); 0 for none.
    tolerance, iterations
        Where conjugate gradients stop: relative residual, and the most rounds.

    Attributes
    ----------
    penalty_, aspect_ : float
        What was chosen.

    References
    ----------
    Garcia (2010), Comput. Stat. Data Anal. 54:1167; Wang et al. (2012), Ecol. Model. 224:46.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> small = world(size=16, days=16, factor=4, seed=0)
    >>> filler = DCTPLS(penalty=0.1, aspect=1.0)
    >>> filled = filler.fit(small.coarse["soil_moisture"], small.land_model).fill(
    ...     small.coarse["soil_moisture"], small.land_model
    ... )
    >>> bool(filled.notnull().all())
    True
    """

    name: ClassVar[str] = "dct_pls"

    def __init__(
        self,
        *,
        penalty: float | None = None,
        aspect: float | None = None,
        robust: int = 0,
        tolerance: float = 1e-4,
        iterations: int = 200,
    ) -> None:
        self.penalty, self.aspect, self.robust = penalty, aspect, robust
        self.tolerance, self.iterations = tolerance, iterations

    def fit(self, satellite: xr.DataArray, model: xr.Dataset) -> Self:
        """Choose penalty and aspect on the part of the record that has most values."""
        record = read_record(satellite, model)
        for label, given in (("penalty", self.penalty), ("aspect", self.aspect)):
            if given is not None and not given > 0:
                raise ValueProblem(label, found=f"{given}", expected="a number above 0")
        penalties = PENALTIES if self.penalty is None else (self.penalty,)
        aspects = ASPECTS if self.aspect is None else (self.aspect,)
        choices = list(itertools.product(penalties, aspects))
        if len(choices) > 1:
            part = window(record).observed
            scores = [cross_validation(part, *one, self.iterations) for one in choices]
            choices = [choices[int(np.argmin(scores))]]
        self.penalty_, self.aspect_ = (float(one) for one in choices[0])
        return self

    def fill(self, satellite: xr.DataArray, model: xr.Dataset) -> xr.DataArray:
        """Solve; at observed values the smooth field. NaN where the model has no value."""
        if not hasattr(self, "penalty_"):
            raise ModelProblem(self.name, found="no fit", expected="a fitted filler")
        record = read_record(satellite, model)
        is_there = np.isfinite(record.observed)
        values = np.where(is_there, record.observed, 0.0).astype(PRECISION)
        field = self._solve(values, is_there.astype(PRECISION))
        for _ in range(self.robust):
            rest = (values - field)[is_there]
            scale = 1.4826 * float(np.median(np.abs(rest - np.median(rest))))
            share = np.abs(values - field) / max(4.685 * scale, 1e-9)
            given = np.where(is_there, np.clip(1 - share**2, 0, None) ** 2, 0.0)
            field = self._solve(values, given.astype(PRECISION))
        return write_field(np.where(np.isfinite(record.modelled), field, np.nan), satellite)

    def _solve(self, values: Floats, weights: Floats) -> Floats:
        roughness = self.penalty_ * square_roughness(values.shape, self.aspect_)
        return solve_penalised(
            values,
            weights,
            roughness.astype(PRECISION),
            tolerance=self.tolerance,
            iterations=self.iterations,
        )


def square_roughness(shape: Sequence[int], aspect: float) -> Floats:
    """Give the squared eigenvalues of the second difference, in the order of the cosine transform."""
    steps, rows, columns = (2 - 2 * np.cos(np.pi * np.arange(size) / size) for size in shape)
    total = aspect * steps[:, None, None] + rows[:, None] + columns
    return np.asarray(total**2, "f8")


def solve_penalised(
    values: Floats, weights: Floats, roughness: Floats, *, tolerance: float, iterations: int
) -> Floats:
    """Solve ``(W + Dᵀ D) z = W y`` by preconditioned conjugate gradients.

    Parameters
    ----------
    values
        y, dims ``time, y, x``, any number where the weight is zero. In single precision all is solved in it,
        with half of the memory.
    weights
        W, one for each value, not all zero; of the same precision.
    roughness
        Eigenvalues of the penalty, penalty included; likewise.
    tolerance, iterations
        Where to stop.
    """

    # arrays of a globe are large: what can be done in place is, and single precision stays single
    def scaled(field: Floats, by: Callable[[Floats], None]) -> Floats:
        coefficients = scipy.fft.dctn(field, norm="ortho")
        by(coefficients)
        return np.asarray(scipy.fft.idctn(coefficients, norm="ortho", overwrite_x=True))

    def penalise(coefficients: Floats) -> None:
        coefficients *= roughness

    def precondition(coefficients: Floats) -> None:
        coefficients /= roughness + mean_weight

    mean_weight = weights.dtype.type(weights.mean())
    level = values.dtype.type((weights * values).sum() / weights.sum())
    # a constant costs nothing, so that the mean is a start as good as the rest is small
    field = np.full_like(values, level)
    rest = weights * (values - level)
    limit = tolerance * _length(rest)
    direction = scaled(rest, precondition)
    product = _product(rest, direction)
    for _ in range(iterations):
        if not product > 0 or _length(rest) <= limit:
            break
        moved = scaled(direction, penalise)
        moved += weights * direction
        step = values.dtype.type(product / _product(direction, moved))
        field += step * direction
        moved *= step
        rest -= moved
        del moved
        guided = scaled(rest, precondition)
        product, before = _product(rest, guided), product
        direction *= values.dtype.type(product / before)
        direction += guided
    return field


def _product(one: Floats, other: Floats) -> float:
    """Sum up products in double precision, whatever that of the fields."""
    return float(np.einsum("tyx,tyx->", one, other, dtype="f8"))


def _length(field: Floats) -> float:
    return math.sqrt(_product(field, field))


def cross_validation(observed: Floats, penalty: float, aspect: float, iterations: int) -> float:
    """Score a penalty by generalised cross-validation, the less the better (Garcia 2010, eq. 14)."""
    is_there = np.isfinite(observed)
    values = np.where(is_there, observed, 0.0).astype(PRECISION)
    roughness = penalty * square_roughness(observed.shape, aspect)
    field = solve_penalised(
        values,
        is_there.astype(PRECISION),
        roughness.astype(PRECISION),
        tolerance=1e-3,
        iterations=iterations,
    )
    freedom = float((1 / (1 + roughness)).mean())
    mean_square = float(np.square((observed - field)[is_there]).mean())
    return mean_square / max(1 - freedom, 1e-9) ** 2
