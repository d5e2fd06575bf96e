"""What 64 rows do in one step is what numpy does."""

from __future__ import annotations

import numpy as np
import pytest

numba = pytest.importorskip("numba")


@pytest.mark.parametrize("kind", ["f4", "u2"])
def test_lanes_compare_and_are_set_as_in_numpy(kind: str) -> None:
    from vadose.models.fast_lanes import LANES, above, put

    @numba.njit
    def bits_above(array, start, number):  # type: ignore[no-untyped-def]
        return above(array, start, number)

    @numba.njit
    def set_to(array, start, mask, number):  # type: ignore[no-untyped-def]
        put(array, start, mask, number)

    rng = np.random.default_rng(0)
    array = rng.integers(0, 9, 200).astype(kind)
    for start in (0, 1, 130):
        part = array[start : start + LANES]
        for number in np.unique(array):
            mask = bits_above(array, np.uint64(start), number)
            bits = np.array([(int(mask) >> lane) & 1 for lane in range(LANES)], dtype=bool)
            assert np.array_equal(bits, part > number)
            changed = array.copy()
            set_to(changed, np.uint64(start), np.uint64(mask), number)
            expected = array.copy()
            expected[start : start + LANES][bits] = number
            assert np.array_equal(changed, expected)


def test_bits_are_read_as_they_are() -> None:
    from vadose.models.fast_lanes import as_double, as_float, as_word, unforeseen

    @numba.njit
    def read(float_bits, number):  # type: ignore[no-untyped-def]
        word = as_word(number)
        return as_float(float_bits), word, as_double(unforeseen(word))

    single, word, double = read(np.float32(-1.5).view(np.uint32), -0.1)
    assert single == -1.5
    assert np.uint64(word) == np.float64(-0.1).view(np.uint64)
    assert double == -0.1
