"""Boosting keeps to one thread, whatever the machine has, and loses no bit by it."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_info, threadpool_limits

from vadose.models import Boosting


def opened() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"}


def test_boosting_learns_on_one_thread_with_the_bits_of_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    X = rng.random((2000, 6))
    y = X[:, 0] * X[:, 1] + 0.1 * rng.standard_normal(2000)
    seen = []
    fit = HistGradientBoostingRegressor.fit

    def watched(self, *rows, **shares):  # type: ignore[no-untyped-def]
        seen.append(opened())
        return fit(self, *rows, **shares)

    monkeypatch.setattr(HistGradientBoostingRegressor, "fit", watched)
    with threadpool_limits(limits=3, user_api="openmp"):
        one = Boosting(trees=20, leaf=20).fit(X, y).predict(X)
        monkeypatch.setattr("vadose.models.boosting.one_thread", nullcontext)
        many = Boosting(trees=20, leaf=20).fit(X, y).predict(X)
        assert opened() == {3}  # the limit ends with the fit
    assert seen == [{1}, {3}]
    assert np.array_equal(one, many)
