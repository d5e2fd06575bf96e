"""A seam is told from what neighbours differ by anyway."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from vadose.errors import CubeProblem, ValueProblem
from vadose.synthetic.views import swaths
from vadose.validate.seams import edge_jump


def record(*, steps: int = 200, size: int = 12, seed: int = 0) -> tuple[xr.DataArray, xr.DataArray]:
    """Give rough fields, with a coast on which neighbours differ much, and swaths."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0.2, 0.02, (steps, size, size))
    values[:, :, 6:] += 0.2
    dims = ("time", "y", "x")
    return xr.DataArray(values, dims=dims), xr.DataArray(swaths(values.shape, rng), dims=dims)


def test_a_field_of_one_piece_has_no_seam() -> None:
    field, seen = record()
    found = edge_jump(field, seen)
    np.testing.assert_allclose(found["ratio"], 1, atol=0.03)
    assert (found["n"] > 1000).all()


def test_a_step_at_the_edge_is_measured() -> None:
    """Against the mean absolute value of a normal difference that is shifted."""
    field, seen = record()
    flat = field - field.mean("time")
    stepped = flat.where(seen, flat + 0.1)
    found = edge_jump(stepped, seen).sel(kind="edge")
    assert float(found["jump"]) == pytest.approx(0.1, rel=0.02)
    assert float(found["expected"]) == pytest.approx(0.02 * 2 / np.sqrt(np.pi), rel=0.03)
    assert float(found["ratio"]) == pytest.approx(float(found["jump"] / found["expected"]))


def test_smooth_filling_is_told_from_a_seam() -> None:
    field, seen = record()
    level = field.mean("time")
    found = edge_jump(field.where(seen, level), seen)["ratio"]
    assert float(found.sel(kind="filled")) < 0.35
    assert 0.6 < float(found.sel(kind="edge")) < 1


def test_pairs_are_counted_one_by_one() -> None:
    field, seen = record(steps=12, size=5)
    found = edge_jump(field, seen, least_days=2)
    values, mask = field.values, seen.values
    total, count, lost = np.zeros(2), 0, 0
    for step, row, column in np.ndindex(values.shape):
        for other in ((row + 1, column), (row, column + 1)):
            if max(other) > 4 or mask[step, row, column] == mask[(step, *other)]:
                continue
            both = mask[:, row, column] & mask[(slice(None), *other)]
            if both.sum() < 2:
                lost += 1
                continue
            away = np.abs(values[:, row, column] - values[(slice(None), *other)])
            total += away[step], away[both].mean()
            count += 1
    edge = found.sel(kind="edge")
    assert (int(edge["n"]), int(edge["lost"])) == (count, lost)
    assert float(edge["jump"]) == pytest.approx(total[0] / count)
    assert float(edge["expected"]) == pytest.approx(total[1] / count)


def test_gaps_that_stay_are_no_edge_and_none_is_nan() -> None:
    field, seen = record()
    found = edge_jump(field.where(seen), seen)
    assert (found["n"] == 0).all()
    assert found["ratio"].isnull().all()


def test_what_cannot_be_is_refused() -> None:
    field, seen = record(steps=5, size=4)
    with pytest.raises(ValueProblem, match="found 80 observed cells without a value"):
        edge_jump(field.where(False), xr.ones_like(seen))
    with pytest.raises(ValueProblem, match="least_days: found 0"):
        edge_jump(field, seen, least_days=0)
    with pytest.raises(CubeProblem, match="filled field: found dimensions"):
        edge_jump(field[0], seen)
    with pytest.raises(CubeProblem, match="found other steps or places"):
        edge_jump(field.assign_coords(x=range(4)), seen.assign_coords(x=range(1, 5)))
