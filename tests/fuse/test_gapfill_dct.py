"""Penalised least squares against the solution of the dense system."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from vadose.errors import ValueProblem
from vadose.fuse.gapfill.dct import DCTPLS, cross_validation, solve_penalised, square_roughness


def second_difference(size: int) -> np.ndarray:
    """Make the negative second difference with edges that reflect."""
    matrix = 2 * np.eye(size) - np.eye(size, k=1) - np.eye(size, k=-1)
    matrix[0, 0] = matrix[-1, -1] = 1
    return matrix


def cube(values: np.ndarray) -> tuple[xr.DataArray, xr.Dataset]:
    days = np.datetime64("2019-01-01", "ns") + np.arange(len(values)) * np.timedelta64(1, "D")
    coords = {"time": days, "y": np.arange(values.shape[1]), "x": np.arange(values.shape[2])}
    satellite = xr.DataArray(values, dims=("time", "y", "x"), coords=coords)
    return satellite, xr.full_like(satellite, 0.3).to_dataset(name="soil_moisture")


def test_it_solves_the_penalised_system() -> None:
    shape, penalty, aspect = (5, 4, 3), 0.3, 2.0
    rng = np.random.default_rng(0)
    values, weights = rng.random(shape), (rng.random(shape) < 0.6).astype("f8")
    laplace = np.zeros((60, 60))
    for axis, weight in enumerate((aspect, 1.0, 1.0)):
        parts = [second_difference(n) if a == axis else np.eye(n) for a, n in enumerate(shape)]
        laplace += weight * np.kron(np.kron(parts[0], parts[1]), parts[2])
    system = np.diag(weights.ravel()) + penalty * laplace @ laplace
    wanted = np.linalg.solve(system, (weights * values).ravel()).reshape(shape)
    found = solve_penalised(
        values,
        weights,
        penalty * square_roughness(shape, aspect),
        tolerance=1e-10,
        iterations=500,
    )
    np.testing.assert_allclose(found, wanted, atol=1e-8)


def test_generalised_cross_validation_follows_a_smooth_field_and_not_noise() -> None:
    rng = np.random.default_rng(1)
    t, y, x = np.meshgrid(np.arange(12), np.arange(12), np.arange(12), indexing="ij")
    smooth = 0.3 + 0.1 * np.cos(t / 4) * np.cos(y / 5) * np.cos(x / 6)
    noisy = smooth + rng.normal(0, 0.05, smooth.shape)
    penalties = 10.0 ** np.arange(-4, 4)

    def best(field: np.ndarray) -> float:
        scores = [cross_validation(field, one, 1.0, 100) for one in penalties]
        return float(penalties[int(np.argmin(scores))])

    assert best(smooth) < 0.1 * best(noisy)


def test_a_smooth_field_is_recovered_in_gaps() -> None:
    t, y, x = np.meshgrid(np.arange(10), np.arange(10), np.arange(10), indexing="ij")
    truth = 0.3 + 0.1 * np.cos(t / 4) * np.cos(y / 5) * np.cos(x / 6)
    hidden = (x > 3) & (x < 7) & (t % 3 == 1)
    satellite, model = cube(np.where(hidden, np.nan, truth))
    filled = DCTPLS().fit(satellite, model).fill(satellite, model).values
    assert np.abs(filled - truth)[hidden].max() < 0.01


def test_a_robust_field_passes_by_an_outlier() -> None:
    rng = np.random.default_rng(2)
    values = 0.2 + rng.normal(0, 0.002, (8, 8, 8))
    values[4, 4, 4] = 0.9
    satellite, model = cube(values)
    plain, robust = (
        DCTPLS(penalty=0.1, aspect=1.0, robust=rounds).fit(satellite, model).fill(satellite, model)
        for rounds in (0, 3)
    )
    assert float(plain[4, 4, 5]) > 0.205
    assert float(robust[4, 4, 5]) == pytest.approx(0.2, abs=0.003)


def test_a_penalty_must_be_positive() -> None:
    satellite, model = cube(np.full((3, 3, 3), 0.2))
    with pytest.raises(ValueProblem, match=r"penalty: found 0.0, expected a number above 0"):
        DCTPLS(penalty=0.0).fit(satellite, model)
