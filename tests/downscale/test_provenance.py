"""Flags say all that holds, and one origin follows from them."""

from __future__ import annotations

import numpy as np
import pytest

from vadose.downscale.provenance import beyond, feature_ranges, origins, settled
from vadose.schema import FLAGS, ORIGIN

MASKING = ("static_predictor_missing", "predictor_missing", "not_predicted")


def holds(flags: int, *meanings: str) -> bool:
    return any(flags & FLAGS.mask(meaning) for meaning in meanings)


@pytest.mark.parametrize("flags", range(1 << len(FLAGS.meanings)))
def test_masked_comes_before_filled_extrapolated_and_downscaled(flags: int) -> None:
    if holds(flags, *MASKING):
        expected = "masked"
    elif holds(flags, "coarse_gap"):
        expected = "filled"
    else:
        expected = "extrapolated" if holds(flags, "extrapolated") else "downscaled"
    assert origins(np.array([flags], "u2")).tolist() == [ORIGIN.code(expected)]


def test_a_coarse_gap_is_one_of_all_fine_cells_under_it() -> None:
    rng = np.random.default_rng(0)
    is_gap = rng.random((3, 4, 5)) < 0.5
    values = np.where(rng.random((3, 8, 15)) < 0.2, np.nan, 0.3)
    flags, codes = settled(np.zeros(values.shape, "u2"), values, is_gap)
    expected = np.kron(is_gap, np.ones((1, 2, 3))) * FLAGS.mask("coarse_gap")
    expected = expected + np.isnan(values) * FLAGS.mask("not_predicted")
    assert np.array_equal(flags, expected)
    assert np.array_equal(codes == ORIGIN.code("masked"), np.isnan(values))


def test_ranges_and_what_is_beyond_them_ignore_what_lies_outside_of_the_map() -> None:
    rng = np.random.default_rng(1)
    patches = rng.normal(size=(4, 5, 6, 3)).astype("f4")
    patches[0, :2] = np.nan
    ranges = feature_ranges(patches)
    assert np.array_equal(ranges[:, 0], np.nanmin(patches, axis=(0, 1, 2)))
    assert np.array_equal(ranges[:, 1], np.nanmax(patches, axis=(0, 1, 2)))
    columns = list(np.moveaxis(patches, -1, 0))
    assert not beyond(columns, ranges, patches.shape[:-1]).any()
    narrower = np.array([[-1, 1]] * 3, "f4")
    expected = (np.nan_to_num(np.abs(patches)) > 1).any(axis=-1)
    assert np.array_equal(beyond(columns, narrower, patches.shape[:-1]), expected)
