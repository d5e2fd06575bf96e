"""DrcGAN: it fills gaps better than its first guess, sees nothing hidden, and knows no rim but the sea's."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vadose.errors import ModelProblem, UnknownName
from vadose.models import training
from vadose.models.drcgan import DrcGAN, Scene, steps
from vadose.models.drcgan.steps import Judgement


def record(
    draw: int = 0, *, shape: tuple[int, int, int] = (12, 14, 18), seed: int = 0, wraps: bool = False
) -> Scene:
    """Make a record whose satellite departs from the model by what depends on a static layer and lasts.

    A draw hides other stripes; the guess is the model. Two cells are sea.
    """
    rng = np.random.default_rng(seed)
    steps, height, width = shape
    model = 0.2 + 0.05 * rng.random((steps, 1, 1)) + 0.05 * rng.random((1, height, width))
    static = rng.random((height, width, 1))
    truth = model + 0.1 * (static[..., 0] - 0.5) + 0.04 * np.sin(np.arange(steps))[:, None, None]
    truth += 0.003 * rng.standard_normal(shape)
    model[:, :2, 0] = np.nan
    hide = np.random.default_rng([seed, draw])
    satellite = truth.copy()
    for day in range(steps):
        start = hide.integers(width)
        satellite[day][:, (start + np.arange(width // 3)) % width] = np.nan
    days = np.arange(steps) + 100
    parts = {"satellite": satellite, "truth": truth, "model": model, "guess": model}
    parts = {name: one.astype("f4") for name, one in parts.items()}
    return Scene(**parts, static=static.astype("f4"), day_of_year=days)


def quick(**settings: Any) -> DrcGAN:
    """Make a network that is quick to train."""
    small = {"width": 8, "blocks": 2, "neighbours": 1, "epochs": 8, "rate": 0.01, "seed": 1}
    return DrcGAN(**{"step": "supervised", **small, **settings})


def rmse(values: np.ndarray, scene: Scene) -> float:
    assert scene.truth is not None
    return float(np.sqrt(np.mean((values - scene.truth)[scene.is_hidden] ** 2)))


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [record(draw) for draw in range(4)]


@pytest.fixture(scope="module")
def fitted(scenes: list[Scene]) -> DrcGAN:
    return quick(epochs=25, dropout=0.0).fit(scenes)


@pytest.fixture(scope="module")
def round_world() -> DrcGAN:
    return quick(epochs=4, wraps=True).fit([record(draw) for draw in range(3)])


# --- what it learns ---


def test_fills_gaps_better_than_the_land_model(fitted: DrcGAN, scenes: list[Scene]) -> None:
    other = record(9)
    filled = fitted.predict(other)
    assert rmse(filled, other) < 0.5 * rmse(other.guess, other)
    assert filled.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(filled), np.isnan(other.model))


def test_scores_are_those_at_held_out_gaps(fitted: DrcGAN, scenes: list[Scene]) -> None:
    held = scenes[-1]
    assert fitted.kept_.step == "supervised"
    assert fitted.kept_.adversarial is None
    assert fitted.kept_.guess == pytest.approx(rmse(held.guess, held), rel=1e-3)
    assert fitted.kept_.supervised == pytest.approx(rmse(fitted.predict(held), held), rel=1e-3)


def test_gives_the_guess_before_it_has_learned(scenes: list[Scene]) -> None:
    untrained = quick(epochs=0).fit(scenes)
    np.testing.assert_allclose(untrained.predict(scenes[0]), scenes[0].guess, atol=1e-6)
    assert untrained.kept_.supervised == untrained.kept_.guess


def test_gives_the_guess_where_learning_is_of_no_use(scenes: list[Scene]) -> None:
    noise = np.random.default_rng(5).normal(0.0, 0.05, scenes[0].satellite.shape).astype("f4")
    useless = [
        replace(one, truth=one.model + noise, satellite=np.where(one.is_hidden, np.nan, one.model))
        for one in scenes
    ]
    fresh = replace(useless[-1], truth=useless[-1].model - np.roll(noise, 3, axis=1))
    network = quick(epochs=20, patience=0).fit(useless[:-1], [fresh])
    assert network.share_ < 0.3
    assert network.kept_.supervised is not None
    assert network.kept_.guess is not None
    assert network.kept_.supervised <= network.kept_.guess


def test_what_the_validation_hides_teaches_nothing(scenes: list[Scene]) -> None:
    held = scenes[-1]
    assert held.truth is not None
    lies = [
        replace(one, truth=np.where(held.is_hidden & one.is_hidden, np.float32(0.9), one.truth))
        for one in scenes[:-1]
    ]
    honest, deceived = (
        quick(epochs=2).fit(ones, [held]).predict(held) for ones in (scenes[:-1], lies)
    )
    np.testing.assert_array_equal(honest, deceived)


@pytest.mark.parametrize(("wins", "kept"), [(False, "supervised"), (True, "adversarial")])
def test_the_second_step_is_kept_only_if_it_wins(
    scenes: list[Scene], monkeypatch: pytest.MonkeyPatch, wins: bool, kept: str
) -> None:
    train, learned, weights = steps.train, [], []

    def spoil_or_help(cycle: Any, task: Any, plan: Any, **how: Any) -> training.History:
        history = train(cycle, task, plan, **how)
        learned.append({name: one.clone() for name, one in cycle.steady.state_dict().items()})
        cycle.steady.load_state_dict(learned[0])
        if how["is_adversarial"] != wins:  # the loser makes the guess
            torch.nn.init.zeros_(cycle.steady.exit.weight)
            torch.nn.init.zeros_(cycle.steady.exit.bias)
        weights.append([one.clone() for one in cycle.steady.parameters()])
        return history

    monkeypatch.setattr(steps, "train", spoil_or_help)
    network = quick(step="best").fit(scenes)
    scores = network.kept_
    assert scores.step == kept
    assert scores.supervised is not None
    assert scores.adversarial is not None
    assert (scores.adversarial < scores.supervised) == wins
    for one, expected in zip(network.module_.parameters(), weights[int(wins)], strict=True):
        torch.testing.assert_close(one, expected, rtol=0, atol=0)
    assert set(network.history) == {"supervised", "adversarial"}


def test_a_win_by_chance_is_none(scenes: list[Scene], monkeypatch: pytest.MonkeyPatch) -> None:
    judged = iter([Judgement(1.0, 1.0, 0.5, 0.5), Judgement(1.0, 1.0, 0.505, 0.505)])
    monkeypatch.setattr(steps, "train", lambda *_, **__: training.History())
    monkeypatch.setattr(steps, "evaluate", lambda *_: next(judged))
    scores = quick(step="best", epochs=1).fit(scenes).kept_
    assert scores.adversarial is not None
    assert scores.supervised is not None
    assert 0.99 * scores.supervised < scores.adversarial < scores.supervised
    assert scores.step == "supervised"


def test_the_second_step_can_be_asked_for(scenes: list[Scene]) -> None:
    network = quick(step="adversarial", epochs=4).fit(scenes)
    assert network.kept_.step == "adversarial"
    assert len(network.history["adversarial"].training) == 1
    assert rmse(network.predict(scenes[-1]), scenes[-1]) == pytest.approx(
        network.kept_.adversarial, rel=1e-3
    )


def test_without_held_out_gaps_the_first_step_is_all(scenes: list[Scene]) -> None:
    network = quick(step="best", epochs=2).fit(scenes[:1])
    assert network.kept_.step == "supervised"
    assert network.kept_.supervised is None
    assert network.share_ == 1.0


# --- what it sees ---


def test_hidden_truth_is_not_seen(fitted: DrcGAN, scenes: list[Scene]) -> None:
    scene = scenes[0]
    expected = fitted.predict(scene)
    for truth in (None, np.full_like(scene.model, 0.5)):
        np.testing.assert_array_equal(fitted.predict(replace(scene, truth=truth)), expected)


def test_a_value_counts_on_its_day_and_beside_it_alone(fitted: DrcGAN, scenes: list[Scene]) -> None:
    scene = scenes[0]
    day = 5
    place = tuple(np.argwhere(np.isfinite(scene.satellite[day]) & np.isfinite(scene.model[day]))[9])
    satellite = scene.satellite.copy()
    satellite[(day, *place)] += 0.05
    moved = fitted.predict(replace(scene, satellite=satellite)) - fitted.predict(scene)
    changed = np.nan_to_num(moved) != 0
    assert set(np.flatnonzero(changed.any(axis=(1, 2)))) == {4, 5, 6}
    rows, columns = np.nonzero(changed.any(axis=0))
    assert np.abs(rows - place[0]).max() <= fitted.module_.reach
    assert np.abs(columns - place[1]).max() <= fitted.module_.reach


def test_nothing_leaks_from_the_sea(fitted: DrcGAN, scenes: list[Scene]) -> None:
    scene = scenes[0]
    satellite, guess = scene.satellite.copy(), scene.guess.copy()
    static = scene.static.copy() if scene.static is not None else None
    assert static is not None
    satellite[:, :2, 0], guess[:, :2, 0], static[:2, 0] = 0.6, 0.6, np.nan
    other = replace(scene, satellite=satellite, guess=guess, static=static)
    np.testing.assert_array_equal(fitted.predict(other), fitted.predict(scene))


# --- any map ---


def test_rolling_a_round_world_rolls_the_field(round_world: DrcGAN) -> None:
    scene = record(1)

    def rolled(maps: Any, axis: int = 2) -> Any:
        return None if maps is None else np.roll(maps, 7, axis=axis)

    other = replace(
        scene,
        **{name: rolled(getattr(scene, name)) for name in ("satellite", "model", "guess", "truth")},
        static=rolled(scene.static, 1),
    )
    field = round_world.predict(scene)
    np.testing.assert_allclose(round_world.predict(other), rolled(field), atol=1e-5)
    assert np.abs(field - scene.guess)[np.isfinite(field)].max() > 1e-3


@pytest.mark.parametrize("name", ["fitted", "round_world"])
def test_tiles_and_blocks_of_days_join_without_seams(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    network: DrcGAN = request.getfixturevalue(name)
    scene = record(2, shape=(5, 23, 31))
    whole = network.predict(scene)
    monkeypatch.setattr(network, "tile", 9)
    monkeypatch.setattr("vadose.models.drcgan.tiles.CELLS_AT_ONCE", 700)
    np.testing.assert_allclose(network.predict(scene), whole, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 3, 40), (4, 1, 1), (2, 30, 5)])
def test_any_rectangle(fitted: DrcGAN, round_world: DrcGAN, shape: tuple[int, int, int]) -> None:
    scene = record(shape=shape)
    if shape[1:] == (1, 1):
        scene = replace(
            scene, model=scene.guess + 0.2 if np.isnan(scene.model).all() else scene.model
        )
        scene = replace(scene, model=np.full(shape, 0.2, "f4"), guess=np.full(shape, 0.2, "f4"))
    for network in (fitted, round_world):
        field = network.predict(scene)
        assert field.shape == shape
        np.testing.assert_array_equal(np.isnan(field), np.isnan(scene.model))


def test_learns_from_maps_that_differ_and_from_windows() -> None:
    ones = [record(shape=(6, 5, 20)), record(seed=1, shape=(4, 12, 6)), record(seed=2)]
    network = quick(step="adversarial", epochs=2, crop=10).fit(ones)
    assert np.isfinite(network.history["adversarial"].training).all()


def test_stays_within_bounds(fitted: DrcGAN, scenes: list[Scene], monkeypatch: Any) -> None:
    monkeypatch.setattr(fitted, "bounds", (0.2, 0.22))
    field = fitted.predict(scenes[0])
    assert np.nanmin(field) == np.float32(0.2)
    assert np.nanmax(field) == np.float32(0.22)


# --- bits ---


def test_a_saved_network_gives_the_same_bits(
    fitted: DrcGAN, scenes: list[Scene], tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    loaded = DrcGAN.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(scenes[0]), fitted.predict(scenes[0]))
    assert loaded.kept_ == fitted.kept_
    assert loaded.history == fitted.history


def test_the_same_seed_gives_the_same_bits(scenes: list[Scene]) -> None:
    first, again, other = (
        quick(step="adversarial", epochs=2, seed=seed).fit(scenes).predict(scenes[0])
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other, equal_nan=True)


class Stop(Exception):
    pass


@pytest.mark.parametrize("last", [2, 5])
def test_a_stopped_training_goes_on_to_the_same_bits(
    scenes: list[Scene], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    settings = {"step": "adversarial", "epochs": 4, "patience": 0, "crop": 12}
    monkeypatch.setattr("vadose.models.drcgan.model.SECOND_STEP", 0.5)
    whole = quick(**settings).fit(scenes)
    told: list[str] = []

    def stop(done: int, total: int, note: str = "") -> None:
        told.append(f"{done} of {total}")
        if done == last and len(told) == last:
            raise Stop

    stopped = quick(**settings)
    stopped.checkpoint = tmp_path / "checkpoint"
    with pytest.raises(Stop):
        stopped.fit(scenes, progress=stop)
    resumed = quick(**settings)
    resumed.checkpoint = tmp_path / "checkpoint"
    resumed.fit(scenes, progress=stop)
    assert told[last:] == [f"{done} of 6" for done in range(last + 1, 7)]
    assert resumed.history == whole.history
    np.testing.assert_array_equal(resumed.predict(scenes[0]), whole.predict(scenes[0]))


# --- what it refuses ---


def test_refuses_what_makes_no_network(scenes: list[Scene]) -> None:
    with pytest.raises(UnknownName, match="step of drcgan 'both': found no such name"):
        quick(step="both").fit(scenes)
    with pytest.raises(ModelProblem, match="width of drcgan: found 0, expected 1 or more"):
        quick(width=0).fit(scenes)
    with pytest.raises(ModelProblem, match=r"bounds of drcgan: found .* the least and the largest"):
        quick(bounds=(0.6, 0.0)).fit(scenes)
    with pytest.raises(ModelProblem, match=r"drcgan: found no fit\. Call fit first"):
        quick().predict(scenes[0])
    with pytest.raises(ModelProblem, match="scenes: found none, expected one or more"):
        quick().fit([])


def test_refuses_scenes_that_do_not_go_together(fitted: DrcGAN, scenes: list[Scene]) -> None:
    bare = replace(scenes[0], static=None)
    with pytest.raises(ModelProblem, match=r"scenes: found \(0, 0, 1\) and \(0, 1, 1\)"):
        quick().fit([scenes[1], bare])
    with pytest.raises(ModelProblem, match=r"predictors of the scene: found \(0, 0, 1\)"):
        fitted.predict(bare)
    shown = replace(scenes[0], satellite=scenes[0].truth)
    with pytest.raises(ModelProblem, match="scene 2: found nothing that is known and hidden"):
        quick().fit([scenes[1], shown])
    with pytest.raises(ModelProblem, match="scenes: found nothing hidden that the validation does"):
        quick().fit([scenes[1]], [scenes[1]])


def test_a_loss_that_is_not_finite_names_its_place(scenes: list[Scene]) -> None:
    with pytest.raises(
        ModelProblem, match=r"training, epoch \d, batch \d+: found a loss that is not"
    ):
        quick(rate=1e30).fit(scenes)


def test_refuses_a_folder_that_cannot_be_trusted(fitted: DrcGAN, tmp_path: Path) -> None:
    with pytest.raises(ModelProblem, match="expected a saved model"):
        DrcGAN.load(tmp_path)
    fitted.save(tmp_path)
    text = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(text.replace('"width": 8', '"width": 9'))
    with pytest.raises(ModelProblem, match=r"found no model that can be used .*size|Error"):
        DrcGAN.load(tmp_path)


def test_torch_comes_with_the_fit() -> None:
    code = "import sys, vadose.models.drcgan; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
