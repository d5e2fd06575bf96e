"""Sequences: windows that cover the record, gaps that are dropped or held, the longest past."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from vadose.errors import CubeProblem, UnknownName, ValueProblem
from vadose.samples import Sequences

Cubes = Callable[..., xr.Dataset]


def test_the_last_window_is_moved_back_to_the_end(cubes: Cubes) -> None:
    cube = cubes(9, 1, 1, gaps=0.0)
    cube["ndvi"][:, 0, 0] = np.arange(9) / 10
    samples = Sequences(["ndvi"], with_position=False, length=4, overlap=1).take(cube)
    wanted = [[0, 1, 2, 3], [3, 4, 5, 6], [5, 6, 7, 8]]
    np.testing.assert_array_equal(np.round(samples.X[..., 0] * 10), wanted)


def test_samples_are_in_the_order_of_cells_then_windows(cubes: Cubes) -> None:
    cube = cubes(6, 2, 3, gaps=0.0)
    samples = Sequences(["ndvi"], length=3).take(cube)
    first = samples.index[:, 0]
    np.testing.assert_array_equal(first % 6, np.repeat(np.arange(6), 2))
    np.testing.assert_array_equal(first // 6, np.tile([0, 3], 6))


def test_a_step_is_put_back_from_where_its_past_is_longest(cubes: Cubes) -> None:
    cube = cubes(9, 2, 3, gaps=0.0)
    sequences = Sequences(["ndvi"], length=4, overlap=2)
    samples = sequences.take(cube)
    past = np.broadcast_to(np.arange(4), samples.index.shape)
    field = sequences.put(past, samples)
    assert isinstance(field, xr.DataArray)
    # windows begin at 0, 2, 4, 5
    wanted = [0, 1, 2, 3, 2, 3, 2, 3, 3]
    np.testing.assert_array_equal(field.values, np.broadcast_to(wanted, (2, 3, 9)).T.swapaxes(1, 2))


def test_where_that_window_was_dropped_the_next_one_serves(cubes: Cubes) -> None:
    cube = cubes(9, 1, 1, gaps=0.0)
    cube["ndvi"][1] = np.nan
    sequences = Sequences(["ndvi"], length=4, overlap=2)
    samples = sequences.take(cube)
    past = np.broadcast_to(np.arange(4), samples.index.shape)
    field = sequences.put(past, samples)
    assert isinstance(field, xr.DataArray)
    np.testing.assert_array_equal(field.values.ravel(), [np.nan, np.nan, 0, 1, 2, 3, 2, 3, 3])


def test_held_values_are_the_last_known_and_nothing_is_said_of_them(cubes: Cubes) -> None:
    cube = cubes(20, 5, 6, gaps=0.4, spells=3)
    features = ["ndvi", "albedo"]
    cube["ndvi"][:, 2, 3] = np.nan  # never known: left out
    samples = Sequences(features, with_position=False, gaps="hold").take(cube, "soil_moisture")
    cells = np.array(
        [
            row * 6 + column
            for row in range(5)
            for column in range(6)
            if all(cube[name][:, row, column].notnull().any() for name in features)
        ]
    )
    assert len(samples) == len(cells) < 30
    for place, name in enumerate(features):
        table = pd.DataFrame(cube[name].values.reshape(20, -1)[:, cells])
        np.testing.assert_array_equal(samples.X[..., place], table.ffill().bfill().to_numpy().T)
    gap = (cube["ndvi"].isnull() | cube["albedo"].isnull()).values.reshape(20, -1)[:, cells].T
    assert samples.y is not None
    assert np.isnan(samples.y[gap]).all()
    assert (samples.index[gap] == -1).all()
    assert (samples.index[~gap] >= 0).all()
    assert gap.any()


def test_a_window_is_held_from_the_record_before_it(cubes: Cubes) -> None:
    cube = cubes(6, 1, 1, gaps=0.0)
    cube["ndvi"][:, 0, 0] = [0.1, 0.2, 0.3, np.nan, np.nan, 0.6]
    samples = Sequences(["ndvi"], with_position=False, length=3, gaps="hold").take(cube)
    np.testing.assert_allclose(samples.X[1, :, 0], [0.3, 0.3, 0.6], rtol=1e-6)


def test_impossible_settings_are_refused(cubes: Cubes) -> None:
    with pytest.raises(ValueProblem, match="length: found 0 steps, expected 1 or more"):
        Sequences(["ndvi"], length=0)
    with pytest.raises(
        ValueProblem, match="found 4 steps, with windows of 4, expected 0 or more, and"
    ):
        Sequences(["ndvi"], length=4, overlap=4)
    with pytest.raises(ValueProblem, match="found 1 steps, with windows of the whole record"):
        Sequences(["ndvi"], overlap=1)
    with pytest.raises(UnknownName, match=r"gaps 'holt'.*Did you mean 'hold'"):
        Sequences(["ndvi"], gaps="holt")  # type: ignore[arg-type]
    with pytest.raises(CubeProblem, match="found 5 steps, expected 6 or more, the length of a seq"):
        Sequences(["ndvi"], length=6).take(cubes(5, 2, 2, gaps=0.0))
