"""Draws by blocks are those of a plain loop, and their length follows the memory of the data."""

from __future__ import annotations

import numpy as np
import pytest

from vadose.uncertainty.covariance_draws import (
    choose_lengths,
    draw_covariances,
    draw_starts,
    possible_lengths,
    widen,
)


def make_arrays(memory: float, times: int = 600, gaps: float = 0.0) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    arrays = []
    for _ in range(3):
        values = rng.normal(size=(times, 40))
        for time in range(1, times):
            values[time] = memory * values[time - 1] + np.sqrt(1 - memory**2) * values[time]
        values[rng.random(values.shape) < gaps] = np.nan
        arrays.append(values + 1000)
    return arrays


@pytest.mark.parametrize("length", [1, 7, 64])
def test_covariances_are_those_of_the_rows_drawn(length: int) -> None:
    arrays = [array[:200, :3] for array in make_arrays(0.5, gaps=0.2)]
    starts = draw_starts(200, [length], 6, np.random.default_rng(0))[length]
    found = draw_covariances(arrays, length, starts)
    one, other = np.triu_indices(3)
    for draw in range(6):
        times = (starts[draw][:, None] + np.arange(length)).ravel() % 200
        for place in range(3):
            rows = np.stack([array[times, place] for array in arrays])
            rows = rows[:, ~np.isnan(rows).any(axis=0)]
            np.testing.assert_allclose(
                found[draw, :, place], np.cov(rows)[one, other], rtol=1e-9, atol=1e-12
            )


def test_places_do_not_change_the_bits_of_each_other() -> None:
    arrays = make_arrays(0.5, 100)
    starts = draw_starts(100, [8], 9, np.random.default_rng(0))[8]
    alone = draw_covariances([array[:, 5:6] for array in arrays], 8, starts)
    assert alone.tobytes() == draw_covariances(arrays, 8, starts)[:, :, 5:6].tobytes()


def test_length_follows_memory() -> None:
    medians = [np.median(choose_lengths(make_arrays(memory))) for memory in (0.0, 0.5, 0.8, 0.95)]
    assert medians == sorted(medians)
    assert medians[0] <= 4
    assert medians[-1] == max(possible_lengths(600)) == 64


def test_length_is_seen_through_gaps() -> None:
    arrays = make_arrays(0.9, 2000)
    for array in arrays:
        array[np.arange(2000) % 3 > 0] = np.nan  # an overpass every third day
    whole = choose_lengths(make_arrays(0.9, 2000))
    assert np.median(choose_lengths(arrays)) == pytest.approx(np.median(whole), rel=0.51)


def test_constant_and_empty_places_have_short_blocks() -> None:
    arrays = [np.full((100, 2), 3.0) for _ in range(3)]
    arrays[0][:, 1] = np.nan
    assert choose_lengths(arrays).tolist() == [1, 1]


def test_a_length_has_draws_of_its_own_whatever_the_others() -> None:
    few, many = (
        draw_starts(100, lengths, 5, np.random.default_rng(0)) for lengths in ([1, 2], [1, 2, 4])
    )
    for length in (1, 2):
        np.testing.assert_array_equal(few[length], many[length])
    assert many[4].shape == (5, 25)


def test_few_blocks_widen() -> None:
    assert 0.95 < widen(0.95, 50) < widen(0.95, 8) < widen(0.95, 3) < 1
    assert widen(0.95, 1) == 1.0
