"""The parts of DrcGAN: scenes that are checked, channels as they are laid out, judges that see no mask's edge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from vadose.errors import ModelProblem
from vadose.models.drcgan import Scene
from vadose.models.drcgan.channels import Encoding
from vadose.models.drcgan.losses import Weights, compete, distance, make, supervise
from vadose.models.drcgan.networks import Cycle, DeepResidual, PatchJudge
from vadose.models.drcgan.samples import Batch, Deal
from vadose.models.drcgan.scenes import count_days, is_same_record, split_scenes
from vadose.models.drcgan.steps import Judgement
from vadose.samples.scaling import Scaling

SHAPE = (6, 9, 11)


def scene(seed: int = 0, *, shape: tuple[int, int, int] = SHAPE) -> Scene:
    rng = np.random.default_rng(seed)
    model = rng.uniform(0.1, 0.3, shape).astype("f4")
    truth = (model + rng.normal(0.0, 0.03, shape)).astype("f4")
    truth[rng.random(shape) < 0.2] = np.nan
    satellite = np.where(rng.random(shape) < 0.3, np.float32(np.nan), truth)
    model[:, 2, 3] = np.nan
    return Scene(
        satellite=satellite,
        truth=truth,
        model=model,
        guess=np.where(np.isfinite(model), model + np.float32(0.01), np.nan).astype("f4"),
        context=rng.random((*shape, 2)).astype("f4"),
        static=rng.random((*shape[1:], 1)).astype("f4"),
        day_of_year=np.arange(shape[0]) + 30,
    )


def whole(one: Scene, **settings: Any) -> tuple[Encoding, Batch]:
    """Encode all days of a scene as one batch."""
    code = Encoding.learn([one], **{"neighbours": 1, "wraps": False, **settings})
    window = code.view(one).window(*(np.arange(size) for size in one.model.shape))
    return code, Batch.of([window], torch.device("cpu"))


# --- scenes ---


@pytest.mark.parametrize(
    ("part", "values", "wording"),
    [
        (
            "satellite",
            np.zeros((2, 2)),
            "satellite of the scene: found 2 dimensions, expected time",
        ),
        ("truth", np.zeros((1, 9, 11)), r"truth of the scene: found shape \(1, 9, 11\), expected"),
        ("context", np.zeros(SHAPE), r"context of the scene: .* expected \(6, 9, 11, feature\)"),
        ("day_of_year", np.arange(5), r"day_of_year of the scene: found shape \(5,\)"),
        ("model", np.full(SHAPE, np.nan), "model of the scene: found no value, expected land"),
        (
            "guess",
            np.full(SHAPE, np.nan),
            "guess of the scene: found 588 gaps where the land model",
        ),
        ("satellite", np.full(SHAPE, np.inf), "satellite of the scene: found infinite values"),
        ("static", np.full((9, 11, 1), np.nan), "static features of the scene: found 98 gaps"),
    ],
)
def test_a_scene_whose_parts_do_not_go_together_is_refused(
    part: str, values: np.ndarray, wording: str
) -> None:
    with pytest.raises(ModelProblem, match=wording):
        replace(scene(), **{part: values}).check()
    scene().check()


def test_hidden_is_what_is_known_over_land_and_not_shown() -> None:
    one = scene()
    assert one.truth is not None
    expected = np.isnan(one.satellite) & np.isfinite(one.truth)
    expected[:, 2, 3] = False
    np.testing.assert_array_equal(one.is_hidden, expected)
    assert not replace(one, truth=None).is_hidden.any()


def test_records_are_told_apart() -> None:
    one = scene()
    assert is_same_record(one, replace(one, satellite=one.model))
    assert not is_same_record(one, scene(1))
    assert not is_same_record(one, replace(one, day_of_year=None))
    assert not is_same_record(one, replace(one, day_of_year=np.arange(6)))


def test_the_last_quarter_of_the_scenes_is_held_out() -> None:
    ones = [scene(seed) for seed in range(8)]
    learned, held = split_scenes(ones, ())
    assert [one.model is other.model for one, other in zip(learned, ones[:6], strict=True)] == [
        True
    ] * 6
    assert held == ones[6:]
    assert [len(part) for part in split_scenes(ones[:2], ())] == [1, 1]
    assert [len(part) for part in split_scenes(ones[:1], ())] == [1, 0]
    assert split_scenes(ones[:3], ones[5:])[1] == ones[5:]


def test_days_since_an_observation_agree_with_a_search() -> None:
    is_seen = np.random.default_rng(0).random((20, 3, 4)) < 0.2
    expected = np.full(is_seen.shape, 7)
    for day, row, column in np.ndindex(is_seen.shape):
        past = np.flatnonzero(is_seen[: day + 1, row, column])
        if past.size:
            expected[day, row, column] = min(day - past[-1], 7)
    np.testing.assert_array_equal(count_days(is_seen, most=7), expected)


# --- channels ---


def test_channels_are_what_is_told_of_a_day() -> None:
    one = scene()
    code, batch = whole(one)
    assert batch.channels.shape == (6, code.width, 9, 11)
    land = np.isfinite(one.model)
    scaled = np.where(land, code.model.apply(one.model[..., None])[..., 0], 0.0)
    np.testing.assert_allclose(batch.channels[:, 0], scaled, atol=1e-5)
    seen = np.isfinite(one.satellite) & land
    np.testing.assert_array_equal(batch.channels[:, 1], seen)
    departure = (one.satellite - one.guess) / (code.departure * code.satellite.width[0])
    np.testing.assert_allclose(batch.channels[:, 2], np.where(seen, departure, 0.0), atol=1e-4)
    # the day before: model, seen, departure, and how the guess differs
    np.testing.assert_allclose(batch.channels[1:, 3], np.where(land[1:], scaled[:-1], 0), atol=1e-5)
    np.testing.assert_array_equal(batch.channels[1:, 4], seen[:-1] & land[1:])
    np.testing.assert_array_equal(batch.channels[0, 4], 0.0)
    np.testing.assert_array_equal(batch.hidden[:, 0], one.is_hidden)
    assert np.isfinite(batch.channels.numpy()).all()
    assert (batch.channels[:, :, 2, 3] == 0).all()


def test_the_season_is_told_if_the_whole_of_it_is_learned() -> None:
    month, year = scene(), scene(shape=(365, 3, 4))
    code, batch = whole(year)
    assert code.told == 5
    angle = 2 * np.pi * np.arange(30, 395) / 365.25
    season = batch.channels[:, -2:, 0, 0]
    np.testing.assert_allclose(season, np.stack([np.sin(angle), np.cos(angle)], 1), atol=1e-5)
    code.check(month)
    with pytest.raises(
        ModelProblem, match=r"scene: found \(2, 1, 0\), expected \(2, 1, 1\) features"
    ):
        code.check(replace(month, day_of_year=None))
    short, batch = whole(month)
    assert short.told == 3
    short.check(month)
    short.check(replace(month, day_of_year=None))


def test_scales_are_those_of_the_training_over_land() -> None:
    ones = [scene(0), scene(1)]
    code = Encoding.learn(ones, neighbours=1, wraps=False)
    for name, learned in (("model", code.model), ("truth", code.satellite)):
        values = np.stack([getattr(one, name)[np.isfinite(one.model)] for one in ones]).ravel()
        expected = Scaling.learn(values[:, None])
        np.testing.assert_allclose(learned.shift, expected.shift, rtol=1e-6)
        np.testing.assert_allclose(learned.width, expected.width, rtol=1e-6)
    lacking = np.concatenate([(one.truth - one.guess)[one.is_hidden] for one in ones])
    expected_spread = np.sqrt(np.mean(lacking**2)) / code.satellite.width[0]
    assert code.departure == pytest.approx(expected_spread, rel=1e-5)


def test_a_window_beyond_the_rim_is_sea_or_the_other_side() -> None:
    one = scene()
    days, rows, columns = np.arange(6), np.arange(-2, 11), np.arange(-3, 14)
    for wraps in (False, True):
        code, batch = whole(one, wraps=wraps)
        window = code.view(one).window(days, rows, columns)
        np.testing.assert_array_equal(window.channels[:, :, 2:-2, 3:-3], batch.channels)
        assert not window.channels[:, :, :2].any()
        beyond = window.channels[:, :, 2:-2, :3]
        expected = batch.channels[..., -3:].numpy() if wraps else np.zeros_like(beyond)
        np.testing.assert_array_equal(beyond, expected)


def test_an_encoding_is_read_as_it_was_written() -> None:
    code, _ = whole(scene())
    again = Encoding.read(code.describe(), of="model.json")
    assert again.describe() == code.describe()
    for missing in (
        None,
        {**code.describe(), "satellite": None},
        {**code.describe(), "departure": 0},
    ):
        with pytest.raises(ModelProblem, match=r"model.json: found no scaling that suits"):
            Encoding.read(missing, of="model.json")


def test_windows_of_large_maps_hold_something_hidden_and_are_dealt_once() -> None:
    one = scene(shape=(6, 40, 50))
    is_there = np.zeros(one.model.shape, dtype=bool)
    is_there[:, :20, :25] = True
    one = replace(one, truth=np.where(is_there, one.truth, one.satellite))
    code = Encoding.learn([one], neighbours=1, wraps=False)
    deal = Deal([code.view(one)], crop=16, batch=4)
    batches = list(deal.batches(np.random.default_rng(0), torch.device("cpu"), flips=True))
    assert [len(batch.land) for batch in batches] == [4, 2]
    assert all(batch.channels.shape[2:] == (16, 16) for batch in batches)
    assert sum(int(batch.hidden.flatten(1).any(dim=1).sum()) for batch in batches) >= 5


# --- networks and losses ---


def test_a_network_reaches_as_far_as_it_says() -> None:
    torch.manual_seed(0)
    network = DeepResidual(2, width=8, blocks=3, dropout=0.0)
    for one in network.parameters():
        torch.nn.init.normal_(one, std=0.3)
    maps, land = torch.randn(1, 2, 31, 31), torch.ones(1, 1, 31, 31)
    changed = maps.clone()
    changed[:, :, 15, 15] += 1.0
    far = (network(changed, land) - network(maps, land))[0, 0].abs() > 0
    rows = torch.nonzero(far.any(dim=1)).ravel()
    assert (int(rows.min()), int(rows.max())) == (15 - network.reach, 15 + network.reach)


def test_a_judge_sees_nothing_beside_the_mask() -> None:
    torch.manual_seed(0)
    judge = PatchJudge(width=4)
    field, other = torch.randn(2, 1, 16, 20), torch.randn(2, 1, 16, 20)
    mask = (torch.rand(2, 1, 16, 20) < 0.6).float()
    verdict, share = judge(field, mask, other)
    for beside in (5.0, torch.nan):
        hidden = [torch.where(mask > 0, one, beside) for one in (field, other)]
        again, _ = judge(hidden[0], mask, hidden[1])
        torch.testing.assert_close(again, verdict, rtol=0, atol=0)
    assert share.mean() == pytest.approx(float(mask.mean()), abs=1e-6)


def test_both_losses_ignore_what_is_not_known_and_move_their_own_networks() -> None:
    one = scene(shape=(4, 12, 12))
    code, batch = whole(one)
    torch.manual_seed(0)
    cycle = Cycle(code.width, code.told, width=4, blocks=1, dropout=0.0)
    for network in (cycle.forth, cycle.back):
        torch.nn.init.normal_(network.exit.weight)
    other = replace(batch, truth=torch.where(batch.known > 0, batch.truth, 99.0))
    for given in (batch, other):
        results = [
            supervise(cycle, given, Weights(), code.departure, code.told),
            *compete(cycle, given, Weights(), code.departure, code.told),
        ]
        if given is batch:
            expected = results
    assert [one.item() for one in results] == [one.item() for one in expected]
    expected[1].backward()
    assert all(one.grad is None for one in cycle.judge_satellite.parameters())
    assert all(one.grad is None for one in cycle.judge_model.parameters())
    assert cycle.forth.exit.weight.grad is not None
    before = cycle.forth.exit.weight.grad.clone()
    expected[2].backward()
    assert torch.equal(cycle.forth.exit.weight.grad, before)
    assert all(one.grad is not None for one in cycle.judge_satellite.parameters())


def test_the_distance_is_hubers() -> None:
    made, wanted = torch.tensor([0.5, 4.0, torch.nan]), torch.zeros(3)
    weight = torch.tensor([1.0, 3.0, 0.0])
    assert float(distance(made, wanted, weight, scale=1.0)) == (0.125 + 3 * 3.5) / 4
    assert float(distance(made, wanted, weight, scale=2.0)) == (0.5 * 0.25**2 + 3 * 1.5) / 4


def test_a_new_network_makes_the_guess() -> None:
    code, batch = whole(scene())
    cycle = Cycle(code.width, code.told, width=4, blocks=2, dropout=0.0)
    torch.testing.assert_close(make(cycle.forth, batch, code.departure), batch.guess)


def test_the_running_mean_follows_soon_and_then_steadily() -> None:
    cycle = Cycle(3, 0, width=2, blocks=1, dropout=0.0)
    with torch.no_grad():
        cycle.forth.exit.bias.fill_(1.0)
    cycle.follow()
    assert float(cycle.steady.exit.bias) == 1.0
    cycle.steps.fill_(10_000)
    with torch.no_grad():
        cycle.forth.exit.bias.fill_(2.0)
    cycle.follow()
    assert float(cycle.steady.exit.bias) == pytest.approx(1.02)


def test_the_best_share_has_the_smallest_error() -> None:
    rng = np.random.default_rng(0)
    lacking, added = rng.normal(size=(2, 500))
    added = 0.3 * lacking + 0.4 * added
    judged = Judgement(
        500.0, *(float((one).sum()) for one in (lacking**2, lacking * added, added**2))
    )
    errors = [np.mean((lacking - share * added) ** 2) for share in np.linspace(0, 1, 101)]
    assert judged.best == pytest.approx(min(errors), rel=1e-3)
    assert judged.error(0.25) == pytest.approx(errors[25])
    assert Judgement(1.0, 1.0, -1.0, 1.0).best_share == 0.0
    assert Judgement(1.0, 1.0, 5.0, 1.0).best_share == 1.0
