"""Masked ResNet: it learns of neighbours, is blind to what is masked, and holds where cells are smaller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, uniform_filter

from vadose.errors import ModelProblem
from vadose.models import load_model
from vadose.models.layers import MaskedConvolution, MaskedResidual
from vadose.models.resnet import ResNet


def quick(**settings: Any) -> ResNet:
    sizes = {"context": 0, "channels": 12, "blocks": 1, "dropout": 0.0}
    plan = {"epochs": 2, "batch": 4, "rate": 0.01, "patience": 0}
    return ResNet(**{**sizes, **plan, **settings})


def maps(samples: int = 16, side: int = 10, features: int = 2, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(samples, side, side, features)).astype(np.float32)


def neighbour_mean(X: np.ndarray) -> np.ndarray:
    """Mean of feature 0 over the cells around each, of those that there are."""
    is_there = np.isfinite(X[..., 0])
    cells = uniform_filter(np.where(is_there, X[..., 0], 0.0), (0, 3, 3), mode="constant")
    share = uniform_filter(is_there.astype(float), (0, 3, 3), mode="constant")
    with np.errstate(invalid="ignore"):
        return np.where(is_there, cells / np.maximum(share, 1e-9), np.nan)


# --- neighbours ---


def test_learns_what_a_row_cannot_know() -> None:
    X = maps(24)
    fresh = maps(8, seed=1)
    errors = {}
    for kernel in (1, 3):
        network = quick(kernel=kernel, epochs=25).fit(X, neighbour_mean(X))
        errors[kernel] = np.std(network.predict(fresh) - neighbour_mean(fresh))
    spread = neighbour_mean(fresh).std()
    assert errors[3] < 0.35 * spread
    assert errors[1] > 0.8 * spread


def test_learns_it_beside_gaps_and_at_the_rim_too() -> None:
    X, fresh = maps(24), maps(8, seed=1)
    for one in (X, fresh):
        one[:, 3:5, 4] = np.nan
    network = quick(epochs=30).fit(X, neighbour_mean(X))
    error = network.predict(fresh) - neighbour_mean(fresh)
    assert np.array_equal(np.isnan(error), np.isnan(fresh[..., 0]))
    spread = np.nanstd(neighbour_mean(fresh))
    rim = np.concatenate([error[:, 0], error[:, -1], error[:, :, 0], error[:, :, -1]])
    beside = error[:, 2:6, [3, 5]]
    assert np.std(rim) < 0.45 * spread
    assert np.std(beside) < 0.45 * spread


def test_a_constant_map_has_no_rim() -> None:
    torch.manual_seed(0)
    module = MaskedResidual(2, 1, channels=8, blocks=2, kernel=3, dropout=0.0).eval()
    X = torch.ones(1, 6, 7, 3)
    values = module(X)
    torch.testing.assert_close(values, values[:, 3:4, 3:4].expand(1, 6, 7, 1))
    X[:, 2, 4] = 0.0  # a hole in it
    holed = module(X)
    is_there = X[..., -1] > 0
    torch.testing.assert_close(holed[is_there], values[is_there])


def test_the_mean_of_its_neighbours_stands_for_a_missing_cell() -> None:
    torch.manual_seed(0)
    layer = MaskedConvolution(1, kernel=3)
    X = maps(1, 6, 1)
    X[0, 2, 3] = X[0, 5, 5] = np.nan
    is_there = torch.from_numpy(np.isfinite(X)).float()
    result = layer(torch.from_numpy(np.nan_to_num(X)), is_there).detach().numpy()[0, ..., 0]
    weights = layer.convolution.weight.detach().numpy()[0, 0]
    padded = np.pad(X[0, ..., 0], 2, constant_values=np.nan)
    for row, column in np.ndindex(6, 6):
        if np.isnan(X[0, row, column, 0]):
            continue
        expected = float(layer.convolution.bias.detach())
        for down, right in np.ndindex(3, 3):
            centre = (row + down + 1, column + right + 1)
            value = padded[centre]
            if np.isnan(value):
                value = np.nanmean(
                    padded[centre[0] - 1 : centre[0] + 2, centre[1] - 1 : centre[1] + 2]
                )
            expected += weights[down, right] * value
        assert result[row, column] == pytest.approx(expected, abs=1e-5)


# --- the mask ---


def test_a_target_in_a_masked_cell_is_no_target() -> None:
    X = maps()
    X[:, 2:4, 3] = np.nan
    y = neighbour_mean(X)
    hidden = np.where(np.isnan(y), 1e6, y)
    plain, other = quick().fit(X, y), quick().fit(X, hidden)
    assert np.array_equal(plain.predict(X), other.predict(X), equal_nan=True)
    two = quick().fit(X, np.stack([hidden, hidden], axis=-1))
    assert float(two.target_scaling_.width.max()) < 10


def test_what_a_masked_cell_holds_in_the_module_plays_no_part() -> None:
    torch.manual_seed(0)
    module = MaskedResidual(2, 1, channels=8, blocks=2, kernel=3, dropout=0.0).eval()
    X = torch.randn(1, 6, 7, 3)
    X[..., -1] = 1.0
    X[:, 2, 4, -1] = 0.0
    other = X.clone()
    other[:, 2, 4, :-1] = 1e3
    is_there = X[..., -1] > 0
    assert torch.equal(module(X)[is_there], module(other)[is_there])


# --- context and scale ---


@pytest.mark.parametrize("context", [0, 3, 4])
def test_a_value_depends_on_cells_within_reach_only(context: int) -> None:
    X = maps(4, 15)
    network = quick(context=context, blocks=2).fit(X, X[..., 0])
    before = network.predict(X)
    other = X.copy()
    other[:, 7, 7] += 5.0
    rows, columns = np.nonzero((np.abs(network.predict(other) - before) > 1e-6).any(axis=0))
    distance = np.maximum(np.abs(rows - 7), np.abs(columns - 7))
    assert distance.max() == 2 + context // 2
    assert network.reach == 4 + context // 2
    holed = X.copy()
    holed[:, 5:10, 5:10] = np.nan
    holed[:, 7, 7] = X[:, 7, 7]  # alone, but for the cells beyond those that are missing
    other = holed.copy()
    other[:, 7, 7] += 5.0
    rows, columns = np.nonzero(
        (np.abs(network.predict(other) - network.predict(holed)) > 1e-6).any(axis=0)
    )
    assert np.maximum(np.abs(rows - 7), np.abs(columns - 7)).max() <= network.reach


@pytest.mark.parametrize("finer", [1, 2, 3])
def test_tiles_that_overlap_by_the_reach_join_without_seams(finer: int) -> None:
    X = maps(8)
    network = quick(context=3).fit(X, neighbour_mean(X))
    network.finer = finer
    whole = maps(1, 48, seed=1)
    whole[0, np.random.default_rng(2).random((48, 48)) < 0.2] = np.nan
    values = network.predict(whole)
    for first, last in ((0, 24), (24, 48)):
        start = max(first - network.reach, 0)
        tile = network.predict(whole[:, :, start : last + network.reach])
        inner = tile[:, :, first - start : last - start]
        np.testing.assert_allclose(inner, values[:, :, first:last], atol=1e-5)


def ground(factor: int, seed: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells of a landscape, and a target of the mean over 3 coarse cells and the departure from it."""
    side, halo = 12, 3
    shape = (samples, *[(side + 2 * halo) * 8] * 2)
    finest = gaussian_filter(np.random.default_rng(seed).normal(size=shape), (0, 4, 4), mode="wrap")
    finest /= finest.std()
    block = 8 // factor
    cells = finest.reshape(samples, shape[1] // block, block, shape[2] // block, block).mean((2, 4))
    regional = uniform_filter(cells, (0, 3 * factor, 3 * factor))
    y = np.tanh(2 * regional) - 0.5 * (cells - regional)
    inner = slice(halo * factor, -halo * factor)
    return cells[:, inner, inner, None], y[:, inner, inner]


def test_what_is_learned_of_large_cells_holds_for_small_ones() -> None:
    X, y = ground(1, 0, 28)
    fine, expected = ground(4, 1, 2)
    core = (slice(None), slice(8, -8), slice(8, -8))  # the target's window does not end at the rim
    spread = expected[core].std()
    errors = {}
    for context, kernel in ((0, 1), (3, 1), (0, 3), (3, 3)):
        network = quick(context=context, kernel=kernel, epochs=20).fit(X, y)
        network.finer = 4
        assert network.window == 4 * context
        errors[context, kernel] = np.std((network.predict(fine) - expected)[core])
        network.finer = 1  # as if small cells were large ones
        mistaken = np.std((network.predict(fine) - expected)[core])
        if context or kernel > 1:
            assert errors[context, kernel] < 0.4 * mistaken
            assert errors[context, kernel] < 0.4 * spread
    assert errors[3, 1] < 0.5 * errors[0, 1], "the surroundings of a cell tell something"


def test_cells_that_are_cut_up_have_the_value_of_the_whole() -> None:
    X = maps(8)
    X[:, 4, 5:7] = np.nan
    network = quick().fit(X, neighbour_mean(X))
    whole = network.predict(X)
    network.finer = 5
    centres = network.predict(X.repeat(5, axis=1).repeat(5, axis=2))[:, 2::5, 2::5]
    np.testing.assert_allclose(centres, whole, atol=1e-5)


def test_a_fit_and_a_file_put_the_grid_back(tmp_path: Path) -> None:
    X = maps()
    network = quick(context=3).fit(X, X[..., 0])
    expected = network.predict(X)
    network.finer = 3
    assert not np.array_equal(network.predict(X), expected)
    network.save(tmp_path)
    again = load_model(tmp_path)
    assert isinstance(again, ResNet)
    assert again.finer == 1
    assert np.array_equal(again.predict(X), expected)
    assert network.fit(X, X[..., 0]).finer == 1
    network.finer = 0
    with pytest.raises(ModelProblem, match="finer of resnet: found 0, expected 1 or more"):
        network.predict(X)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kernel": 2}, "kernel of resnet: found 2, expected an odd number"),
        ({"context": -1}, "context of resnet: found -1, expected 0 or more"),
        ({"channels": 0}, "channels of resnet: found 0, expected 1 or more"),
    ],
)
def test_sizes_that_make_no_network_are_refused(settings: dict[str, int], words: str) -> None:
    X = maps(4)
    with pytest.raises(ModelProblem, match=words):
        quick(**settings).fit(X, X[..., 0])
