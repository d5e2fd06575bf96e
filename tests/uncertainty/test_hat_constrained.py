"""The solution under the constraint is that of a general optimiser, place by place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from vadose.uncertainty.hat_constrained import separate_errors
from vadose.uncertainty.moments import pairs


def optimise(covariance: np.ndarray) -> np.ndarray:
    """Solve one place by SLSQP as in the papers, in units of its mean variance."""
    last = len(covariance) - 1
    to_last = np.hstack([np.eye(last), -np.ones((last, 1))])
    apart = to_last @ covariance @ to_last.T
    scale = np.trace(apart) / last
    apart /= scale
    inverse = np.linalg.inv(apart)
    one, other = np.triu_indices(last + 1, 1)

    def errors(free: np.ndarray) -> np.ndarray:
        full = np.empty(covariance.shape)
        full[:last, :last] = apart - free[last] + free[:last, None] + free[:last]
        full[last] = full[:, last] = free
        return full

    def slope(free: np.ndarray) -> np.ndarray:
        full = errors(free)
        np.fill_diagonal(full, 0.0)
        inner = full[:last, :last].sum(axis=1)
        return 2 * np.append(inner + full[last, :last], -inner.sum() / 2)

    def bound(free: np.ndarray) -> float:
        away = free[:last] - free[last]
        return float(free[last] - away @ inverse @ away)

    def bound_slope(free: np.ndarray) -> np.ndarray:
        pull = 2 * inverse @ (free[:last] - free[last])
        return np.append(-pull, 1 + pull.sum())

    start = np.zeros(last + 1)
    start[last] = 1 / (2 * inverse.sum())
    found = minimize(
        lambda free: (errors(free)[one, other] ** 2).sum(),
        start,
        jac=slope,
        method="SLSQP",
        constraints={"type": "ineq", "fun": bound, "jac": bound_slope},
        options={"ftol": 1e-16, "maxiter": 500},
    )
    return errors(found.x) * scale


def sample_covariances(products: int, places: int, seed: int) -> np.ndarray:
    """Draw short records, half of them with one product much poorer than the others."""
    rng = np.random.default_rng(seed)
    sds = rng.uniform(0.01, 0.05, (places, products, 1))
    sds[: places // 2, 0] *= 6
    values = rng.normal(0, 0.05, (places, 1, 60)) + rng.normal(size=(places, products, 60)) * sds
    values -= values.mean(axis=-1, keepdims=True)
    return values @ values.transpose(0, 2, 1) / 59


@pytest.mark.parametrize(("products", "places"), [(3, 300), (4, 1000), (6, 200)])
def test_equals_slsqp(products: int, places: int) -> None:
    covariance = sample_covariances(products, places, seed=products)
    one, other = pairs(products)
    found, is_constrained, _ = separate_errors(covariance[:, one, other].T, products)
    assert 0.1 < is_constrained.mean() < 0.6
    expected = np.stack([optimise(matrix)[one, other] for matrix in covariance]).T
    own = one == other
    # in shares of the square of the largest error, and of standard deviations in m³ m⁻³
    assert np.abs(found - expected).max() / expected.max() < 1e-6
    sds = np.sqrt(np.maximum(expected[own], 0))
    np.testing.assert_allclose(np.sqrt(found[own]), sds, rtol=0, atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(3, 7),
    st.integers(0, 2**32 - 1),
    st.floats(1e-3, 1e3),
)
def test_is_an_optimum(products: int, seed: int, scale: float) -> None:
    """The slope of the objective is a non-negative multiple of that of the bound: enough, both are convex."""
    covariance = sample_covariances(products, 8, seed) * scale**2
    one, other = pairs(products)
    found, is_constrained, unconstrained = separate_errors(covariance[:, one, other].T, products)
    full = np.empty((8, products, products))
    full[:, one, other] = full[:, other, one] = found.T
    least, size = np.linalg.eigvalsh(full)[:, 0], np.trace(full, axis1=1, axis2=2)
    assert (least > -1e-9 * size).all()
    np.testing.assert_array_equal(is_constrained, np.abs(least) <= 1e-9 * size)
    np.testing.assert_array_equal(is_constrained, (found != unconstrained).any(axis=0))
    directions = np.eye(products)
    for matrix, is_bound in zip(full, is_constrained, strict=True):
        apart = matrix - np.diag(np.diag(matrix))
        # a step of one free number, in the frame that all products share: a uᵀ + u aᵀ
        slope = np.array([(apart * (side[:, None] + side)).sum() for side in directions])
        if not is_bound:
            assert np.abs(slope).max() < 1e-9 * size.max()
            continue
        axis = np.linalg.eigh(matrix)[1][:, 0]
        pull = 2 * axis * axis.sum()  # slope of the least eigenvalue
        multiple = slope @ pull / (pull @ pull)
        assert multiple >= 0
        np.testing.assert_allclose(slope, multiple * pull, atol=1e-7 * np.trace(matrix))


def test_maps_of_nothing_are_nothing() -> None:
    found, is_constrained, _ = separate_errors(np.full((6, 2), np.nan), 3)
    assert np.isnan(found).all()
    assert not is_constrained.any()
