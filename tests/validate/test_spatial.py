"""A seam is told from the pattern, whatever the gaps and the steepness of each direction."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter

from vadose.errors import ValueProblem
from vadose.validate.spatial import edge_jump_ratio

LINES = {"y": [20, 40], "x": [25, 50, 75]}


def pattern(steps: int = 3, gaps: float = 0.2) -> xr.DataArray:
    rng = np.random.default_rng(0)
    values = gaussian_filter(rng.standard_normal((steps, 60, 100)), (0, 1.0, 3.0))
    values[rng.random(values.shape) < gaps] = np.nan
    return xr.DataArray(values.astype("f4"), dims=("time", "y", "x"))


def offsets(size: float) -> np.ndarray:
    """Raise every second tile."""
    rows, columns = np.indices((60, 100))
    return size * ((rows // 20 + columns // 25) % 2)


def test_a_field_without_seams_has_a_ratio_of_one() -> None:
    assert edge_jump_ratio(pattern(20), LINES) == pytest.approx(1.0, abs=0.03)
    assert edge_jump_ratio(pattern(20), {"x": LINES["x"]}) == pytest.approx(1.0, abs=0.03)


def test_a_seam_raises_the_ratio_by_its_height() -> None:
    smooth = pattern()
    small, large = (edge_jump_ratio(smooth + offsets(size), LINES) for size in (0.05, 0.5))
    assert 1.05 < small < large
    assert edge_jump_ratio(smooth * 0 + offsets(1.0) + pattern() * 1e-6, LINES) > 1e5


def test_the_ratio_is_that_of_its_formula() -> None:
    field = pattern(1).isel(time=0)
    down, right = (np.abs(np.diff(field.values, axis=axis)) for axis in (0, 1))
    on = [np.isin(np.arange(1, size), LINES[dim]) for dim, size in (("y", 60), ("x", 100))]
    across = [down[on[0]], right[:, on[1]]]
    elsewhere = [down[~on[0]], right[:, ~on[1]]]
    expected = sum(
        np.isfinite(a).sum() * np.nanmean(b) for a, b in zip(across, elsewhere, strict=True)
    )
    ratio = sum(np.nansum(a) for a in across) / expected
    assert edge_jump_ratio(field, LINES) == pytest.approx(ratio, rel=1e-5)


def test_a_steep_direction_is_no_seam() -> None:
    """Lines along x alone, in a field that changes along y much faster."""
    field = xr.DataArray(100.0 * np.arange(6)[:, None] + np.arange(8.0), dims=("y", "x"))
    assert edge_jump_ratio(field, {"x": [4]}) == 1.0
    assert edge_jump_ratio(field, {"y": [3], "x": [4]}) == 1.0


def test_pairs_with_a_gap_do_not_count() -> None:
    field = xr.DataArray([[0.0, 1.0, 9.0, np.nan, 3.0, 4.0]], dims=("y", "x"))
    assert edge_jump_ratio(field, {"x": [2]}) == 8.0
    assert np.isnan(edge_jump_ratio(field, {"x": [3]})), "no pair across the line"
    assert np.isnan(edge_jump_ratio(field, {"x": [1, 2, 3, 4, 5]})), "no pair elsewhere"
    flat = field.where(field.isnull(), 1.0)
    assert np.isnan(edge_jump_ratio(flat, {"x": [2]})), "no step anywhere"
    flat[0, 2:] = 2.0
    assert edge_jump_ratio(flat, {"x": [2]}) == np.inf


@pytest.mark.parametrize("place", [0, 60, -1])
def test_a_line_beyond_the_field_is_refused(place: int) -> None:
    with pytest.raises(
        ValueProblem,
        match=r"lines along y: found positions .*, expected 1 to 59, the first y after",
    ):
        edge_jump_ratio(pattern(), {"y": [20, place]})
