"""What gaps of the coarse input leave in a product is seen: at their edges, and half a coarse cell behind them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from vadose.errors import CubeProblem, ValueProblem
from vadose.validate.gap_seams import gap_seams

STEPS = {"y": 10, "x": 10}
DIMS = ("time", "y", "x")


def scene(days: int = 3) -> tuple[xr.DataArray, xr.DataArray]:
    """Give rough fields, and coarse cells of which the right half has a gap on all days but the last."""
    rng = np.random.default_rng(0)
    rough = xr.DataArray(rng.normal(0.2, 0.01, (days, 80, 80)), dims=DIMS)
    seen = np.ones((days, 8, 8), bool)
    seen[:-1, :, 4:] = False
    return rough, xr.DataArray(seen, dims=DIMS)


def test_a_product_of_one_piece_has_no_seam() -> None:
    told = gap_seams(*scene(), STEPS)
    for array in told.values():
        np.testing.assert_allclose(array.values[:-1], 1, atol=0.15)
        assert np.isnan(array.values[-1])


@pytest.mark.parametrize(
    ("column", "name", "other"),
    [(40, "gap_edge", "gap_half_cell"), (45, "gap_half_cell", "gap_edge")],
)
def test_a_step_is_found_where_it_is(column: int, name: str, other: str) -> None:
    """Against the mean absolute value of a normal difference that is shifted, on one of so many lines."""
    rough, seen = scene()
    rough[:, :, column:] += 0.1
    told = gap_seams(rough, seen, STEPS)
    usual = 0.01 * 2 / np.sqrt(np.pi)
    # half cells: four rows and four columns of gaps have lines, of which one has the step
    pairs, line = (80, 80) if name == "gap_edge" else (8 * 40 + 4 * 80, 80)
    expected = (line * 0.1 + (pairs - line) * usual) / (pairs * usual)
    assert told[f"{name}_jump_ratio"].values[0] == pytest.approx(expected, rel=0.1)
    assert told[f"{other}_jump_ratio"].values[0] == pytest.approx(1, abs=0.15)


def test_what_is_never_observed_is_no_gap() -> None:
    rough, seen = scene()
    rough[:, :, 40:] += 0.1
    told = gap_seams(rough[:-1], seen[:-1], STEPS)
    assert all(array.isnull().all() for array in told.values())


def test_an_odd_number_of_cells_has_two_lines_in_the_middle() -> None:
    rough, seen = scene()
    small = rough[:, :40, :40]
    for column in (22, 23):
        stepped = small.copy()
        stepped[:, :, column:] += 0.1
        told = gap_seams(stepped, seen, {"y": 5, "x": 5})
        assert told["gap_half_cell_jump_ratio"].values[0] > 1.3


def test_values_that_are_missing_make_no_pair() -> None:
    rough, seen = scene()
    rough[:, :, 40:] += 0.1
    rough[:, :, 40] = np.nan
    told = gap_seams(rough, seen, STEPS)["gap_edge_jump_ratio"]
    assert told.isnull().all()


def test_cells_too_few_to_have_an_inside_tell_nothing() -> None:
    rough, seen = scene()
    assert gap_seams(rough[:, :16, :16], seen, {"y": 2, "x": 2}) == {}


def test_grids_that_do_not_fit_are_refused() -> None:
    rough, seen = scene()
    with pytest.raises(ValueProblem, match="whole coarse cells"):
        gap_seams(rough[:, 1:], seen, STEPS)
    with pytest.raises(CubeProblem, match="time, y, x"):
        gap_seams(rough[0], seen, STEPS)
