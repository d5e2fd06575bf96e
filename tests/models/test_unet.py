"""The denoiser of maps takes any rectangle with gaps, looks no further than it says, and tiles change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vadose.errors import ModelProblem, UnknownName

torch = pytest.importorskip("torch")

from vadose.models import load_model  # noqa: E402
from vadose.models.diffusion.losses import smooth  # noqa: E402
from vadose.models.diffusion.maps import DiffusionMaps  # noqa: E402
from vadose.models.diffusion.noise import smooth_noise, spline_weights  # noqa: E402
from vadose.models.diffusion.unet import MapNetwork, Tiles  # noqa: E402


def network(plain: int = 3, fixed: int = 2, stations: int = 0, **settings: int) -> MapNetwork:
    """Make one whose every weight counts, as after a training."""
    torch.manual_seed(0)
    made = MapNetwork(
        plain,
        fixed,
        stations,
        outputs=1,
        **{"width": 8, "levels": 2, "kernel": 3, **settings},
        dropout=0.0,
        omission=0.5,
    )
    with torch.no_grad():
        for one in made.parameters():
            one += 0.1 * torch.randn_like(one)
    made.set_finer(1)
    return made.eval()


def maps(height: int, width: int, features: int = 5) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    is_there = (torch.rand(2, height, width, 1, generator=generator) > 0.1).float()
    features_and_cells = torch.cat(
        [torch.randn(2, height, width, features, generator=generator) * is_there, is_there], dim=-1
    )
    noisy = torch.randn(2, height, width, 1, generator=generator)
    return noisy, torch.tensor([3, 700]), features_and_cells


@pytest.mark.parametrize(("height", "width", "levels"), [(5, 9, 2), (1, 1, 3), (13, 4, 4)])
def test_any_rectangle_goes_through(height: int, width: int, levels: int) -> None:
    made = network(levels=levels)
    noisy, step, condition = maps(height, width)
    assert len(made.blocks) == 2 * levels - 1
    values = made(noisy, step, made.prepare(condition))
    assert values.shape == noisy.shape
    assert torch.isfinite(values).all()


def test_what_a_missing_cell_holds_does_not_count() -> None:
    made = network()
    noisy, step, condition = maps(9, 11)
    is_gone = condition[..., -1:] == 0
    other = torch.where(is_gone, 1e3, noisy)
    values, changed = (made(one, step, condition) for one in (noisy, other))
    assert is_gone.any()
    assert torch.equal(values[~is_gone], changed[~is_gone])


@pytest.mark.parametrize("finer", [1, 2, 3])
def test_a_cell_counts_within_the_reach_and_not_beyond(finer: int) -> None:
    made = network(levels=2)
    made.set_finer(finer)
    size = 2 * made.reach + 5
    noisy, step, condition = maps(size, size)
    condition[..., -1] = 1.0
    noisy.requires_grad_()
    centre = size // 2
    made(noisy, step, condition)[0, centre, centre, 0].backward()
    felt = noisy.grad[0, ..., 0].abs() > 0
    distance = (torch.arange(size) - centre).abs()
    is_near = torch.maximum(distance[:, None], distance[None, :]) <= made.reach
    assert not felt[~is_near].any()
    assert int(felt.sum()) > 9 * finer**2


@pytest.mark.parametrize(("tile", "finer"), [(4, 1), (7, 1), (5, 2), (100, 1)])
def test_tiles_give_what_the_whole_map_gives(tile: int, finer: int) -> None:
    made = network()
    made.set_finer(finer)
    noisy, step, condition = maps(31, 23)
    whole = made(noisy, step, condition)
    made.tile = tile
    torch.testing.assert_close(made(noisy, step, condition), whole, rtol=0, atol=1e-5)
    made.overlap = made.reach + 3  # blended where all tiles are right
    torch.testing.assert_close(made(noisy, step, condition), whole, rtol=0, atol=1e-5)


def test_narrow_tiles_are_blended_without_a_seam() -> None:
    made = network()
    noisy, step, condition = maps(40, 40)
    condition[..., -1] = 1.0
    whole = made(noisy, step, condition)

    def error(overlap: int) -> float:
        made.tile, made.overlap = 10, overlap
        return float((made(noisy, step, condition) - whole).detach().abs().max())

    assert 0 < error(4) < error(0)


def test_the_weights_of_tiles_cover_every_cell() -> None:
    for tiles in (Tiles(4, 2, 2), Tiles(4, 5, 2), Tiles(4, 2, 6), Tiles(4, 0, 3), Tiles(50, 3, 3)):
        total = torch.zeros(13, 6)
        for rows, columns, weight in tiles.windows(13, 6):
            total[rows, columns] += weight
        assert float(total.min()) > 0.2, tiles


def test_time_place_and_step_steer_the_map_and_stations_can_be_withheld() -> None:
    made = network(plain=1, fixed=2, stations=2)
    noisy, step, condition = maps(6, 6)
    condition[..., -1] = 1.0
    other = condition.clone()
    other[..., 1] += 1.0
    assert not torch.equal(made(noisy, step, condition), made(noisy, step, other))
    assert not torch.equal(made(noisy, step, condition), made(noisy, step + 50, condition))
    assert torch.equal(made.prepare(condition), condition)
    made.train()
    torch.manual_seed(0)
    told = torch.stack([made.prepare(condition)[..., 3:5] for _ in range(40)])
    is_withheld = (told == 0).all(dim=(2, 3, 4))
    assert 0.3 < is_withheld.float().mean() < 0.7
    torch.testing.assert_close(made.prepare(condition)[..., :3], condition[..., :3])


@pytest.fixture(scope="module")
def fitted() -> tuple[DiffusionMaps, np.ndarray, np.ndarray]:
    """A target that is the mean of two neighbours and an error; some cells are gaps or unknown."""
    rng = np.random.default_rng(0)
    X = rng.random((24, 8, 10, 2))
    mean = (np.roll(X, 1, axis=2) + np.roll(X, -1, axis=2))[..., 0] / 2
    y = mean + rng.normal(0, 0.05, mean.shape)
    X[:, 2, 3] = np.nan
    y[:, 6, 7] = np.nan
    model = DiffusionMaps(
        width=16, levels=1, epochs=50, patience=0, rate=6e-3, steps=6, dropout=0.0
    )
    return model.fit(X, y), X, mean


def test_neighbours_are_learned_from_and_gaps_are_kept(
    fitted: tuple[DiffusionMaps, np.ndarray, np.ndarray],
) -> None:
    model, X, mean = fitted
    noise = np.random.default_rng(1).standard_normal((8, 6, 8, 10))
    members = model.sample(X[:6], noise)
    is_gap = np.isnan(X[:6, ..., 0])
    assert np.array_equal(np.isnan(members), np.broadcast_to(is_gap, members.shape))
    inner = np.s_[
        :, 4:, 1:-1
    ]  # away from the gap and from the sides, over which the mean was rolled
    error = members.mean(axis=0)[inner] - mean[:6][inner]
    assert np.sqrt((error**2).mean()) < 0.6 * mean[:6][inner].std()
    assert 0.02 < members.std(axis=0)[inner].mean() < 0.15


def test_a_map_in_tiles_is_the_same_after_all_steps(
    fitted: tuple[DiffusionMaps, np.ndarray, np.ndarray],
) -> None:
    model, _, _ = fitted
    rng = np.random.default_rng(2)
    X = rng.random((1, 37, 30, 2))
    noise = np.broadcast_to(rng.standard_normal((2, 1, 37, 30)), (2, 1, 37, 30))
    whole = model.sample(X, noise)
    try:
        model.tile = 9
        np.testing.assert_allclose(model.sample(X, noise), whole, rtol=0, atol=1e-5)
    finally:
        model.tile = 0


def test_saved_and_loaded_it_gives_the_same_bits(
    fitted: tuple[DiffusionMaps, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    model, X, _ = fitted
    model.save(tmp_path)
    again = DiffusionMaps.load(tmp_path)
    np.testing.assert_array_equal(again.predict(X[:2]), model.predict(X[:2]))


def test_maps_depart_from_a_regression_as_at_cells_it_has_not_seen(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.random((30, 8, 8, 2)).astype("f4")
    y = 0.2 + 0.2 * X[..., 0] + rng.normal(0.0, 0.03, X.shape[:-1])
    X[:, 2, 3] = np.nan
    y[:, 6, 7] = np.nan
    quick = {"width": 8, "levels": 1, "epochs": 12, "rate": 4e-3, "patience": 0, "steps": 6}
    model = DiffusionMaps(residual=True, bounds=[0.15, 0.45], **quick).fit(X, y)
    new = rng.random((4, 8, 8, 2)).astype("f4")
    new[:, 1, 1] = np.nan
    members = model.sample(new, rng.standard_normal((12, 4, 8, 8)))
    is_there = np.isfinite(new[..., 0])
    assert np.array_equal(np.isfinite(members), np.broadcast_to(is_there, members.shape))
    assert members[:, is_there].min() >= 0.15
    assert members[:, is_there].max() <= 0.45
    error = members.mean(axis=0) - 0.2 - 0.2 * new[..., 0]
    assert np.sqrt((error[is_there] ** 2).mean()) < 0.03
    assert members.std(axis=0)[is_there].mean() == pytest.approx(0.03, rel=0.35)
    model.save(tmp_path)
    again = load_model(tmp_path)
    np.testing.assert_array_equal(again.predict(new), model.predict(new))
    both = np.stack([y, 1.0 - y], axis=-1)
    both[:, 4, 4, 1] = np.nan  # one of the two is known there
    two = DiffusionMaps(residual=True, **{**quick, "epochs": 1}).fit(X, both)
    assert two.predict(new).shape == (4, 8, 8, 2)


def test_sizes_that_make_no_network_are_refused() -> None:
    X, y = np.zeros((20, 4, 4, 1)), np.zeros((20, 4, 4))
    with pytest.raises(ModelProblem, match="kernel"):
        DiffusionMaps(kernel=2).fit(X, y)
    with pytest.raises(ModelProblem, match="levels"):
        DiffusionMaps(levels=0).fit(X, y)


def test_noise_hangs_together_over_the_same_distance_on_every_grid() -> None:
    noise = smooth((4000, 6, 6, 1), torch.Generator().manual_seed(0))[..., 0].numpy()
    np.testing.assert_allclose(noise.std(axis=0), 1.0, atol=0.05)
    # of the weights 1, 23, 23, 1 at neighbouring cells
    near = (noise[:, :, 1:] * noise[:, :, :-1]).mean()
    assert near == pytest.approx(575 / 1060, abs=0.02)
    fine = spline_weights(24, 4)
    np.testing.assert_allclose((fine**2).sum(axis=1), 1.0)
    apart = [float(fine[cell] @ fine[cell + 4]) for cell in range(20)]
    assert np.mean(apart) == pytest.approx(near, abs=0.05)
    members = smooth_noise((8, 9), 4, 6, seed=0)
    assert members.shape == (6, 8, 9)
    np.testing.assert_allclose(members.mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(members.std(axis=0), 1.0, rtol=1e-5)


def test_tiles_without_a_cell_are_passed_over() -> None:
    made = network()
    noisy, step, condition = maps(30, 30)
    condition[:, :, 8:] = 0.0
    whole = made(noisy, step, condition)
    made.tile = 5
    calls: list[int] = []
    hook = made.entry.register_forward_hook(lambda *_: calls.append(1))
    there = condition[..., -1] > 0
    tiled = made(noisy, step, condition)
    hook.remove()
    torch.testing.assert_close(tiled[there], whole[there], rtol=0, atol=1e-5)
    assert torch.isfinite(tiled).all()
    assert len(calls) == 12


def test_noise_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownName, match=r"noise of diffusion_maps 'shared'.*expected one of"):
        DiffusionMaps(noise="shared").fit(np.zeros((20, 4, 4, 1)), np.zeros((20, 4, 4)))
