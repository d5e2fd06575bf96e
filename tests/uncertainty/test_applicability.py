"""The area of applicability is the published one, notices what has shifted, and comes back from disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.spatial.distance import cdist

from vadose.errors import ModelProblem, ValueProblem
from vadose.uncertainty import applicability
from vadose.uncertainty.applicability import Applicability, upper_whisker


def training(count: int = 400, features: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    X = (
        rng.normal(size=(count, features)) * [1.0, 20.0, 0.1][:features]
        + [0.0, 280.0, 0.5][:features]
    )
    return X, np.arange(count) * 4 // count


def test_index_and_threshold_are_those_of_the_definition() -> None:
    """All by matrices of all distances, as the paper writes it down."""
    X, fold = training()
    weights = np.array([0.5, 0.2, 0.3])
    area = Applicability(weights).fit(X, fold)
    space = (X - X.mean(axis=0)) / X.std(axis=0) * weights
    among = cdist(space, space)
    mean = among.sum() / (len(X) * (len(X) - 1))
    among[fold[:, None] == fold] = np.inf
    own = np.sort(among.min(axis=1) / mean)
    low, high = np.quantile(own, [0.25, 0.75])
    assert area.mean_distance_ == pytest.approx(mean)
    assert area.threshold_ == pytest.approx(own[own <= high + 1.5 * (high - low)][-1])
    new = X[:50] + np.random.default_rng(2).normal(size=(50, 3))
    wanted = cdist((new - X.mean(axis=0)) / X.std(axis=0) * weights, space).min(axis=1) / mean
    assert np.allclose(area.dissimilarity(new), wanted)
    assert np.array_equal(area.is_inside(new), wanted <= area.threshold_)


@pytest.mark.parametrize("shifted", [0, 1, 2])
def test_a_shifted_predictor_is_flagged_the_more_the_more_it_counts(shifted: int) -> None:
    X, fold = training(2000)
    weights = np.array([0.6, 0.4, 0.0])
    area = Applicability(weights).fit(X, fold)
    rng = np.random.default_rng(5)
    new = X[rng.permutation(2000)[:500]] + 0.05 * rng.normal(size=(500, 3)) * X.std(axis=0)
    assert area.is_inside(new).mean() > 0.95
    new[:, shifted] += 5 * X[:, shifted].std()
    share = area.is_inside(new).mean()
    assert share < 0.05 if weights[shifted] else share > 0.95


def test_a_new_combination_of_known_values_is_outside() -> None:
    rng = np.random.default_rng(3)
    one = rng.random(1000)
    X = np.stack([one, one + 0.02 * rng.normal(size=1000)], axis=1)  # they always go together
    area = Applicability().fit(X, np.arange(1000) // 50)
    assert area.is_inside(np.array([[0.2, 0.2], [0.8, 0.8], [0.2, 0.8]])).tolist() == [
        True,
        True,
        False,
    ]


def test_gaps_have_no_index_and_are_not_inside() -> None:
    X, fold = training()
    area = Applicability([1.0, 1.0, 0.0]).fit(X, fold)
    map_of = np.broadcast_to(X[:6].reshape(2, 3, 3), (2, 3, 3)).copy()
    map_of[0, 1, 0] = np.nan
    map_of[1, 2, 1] = np.inf
    map_of[1, 1, 2] = np.nan  # of no importance
    index = area.dissimilarity(map_of)
    assert index.shape == (2, 3)
    assert np.argwhere(np.isnan(index)).tolist() == [[0, 1], [1, 2]]
    assert np.argwhere(~area.is_inside(map_of)).tolist() == [[0, 1], [1, 2]]
    assert np.nanmax(index) == 0.0


def test_gaps_in_training_are_left_out() -> None:
    X, fold = training()
    holed, more = np.concatenate([X, X[:3]]), np.concatenate([fold, [0, 1, 2]])
    holed[-3:, 1] = np.nan
    assert Applicability().fit(holed, more).threshold_ == Applicability().fit(X, fold).threshold_


def test_blocks_keep_neighbours_apart() -> None:
    """Copies of a sample in its own block make no difference; dealt to single samples they would."""
    X, fold = training()
    twice, both = np.concatenate([X, X + 1e-9]), np.concatenate([fold, fold])
    assert Applicability().fit(twice, both).threshold_ == pytest.approx(
        Applicability().fit(X, fold).threshold_, rel=0.01
    )
    assert Applicability().fit(twice, np.arange(800)).threshold_ < 1e-3


def test_a_draw_and_approximate_neighbours_change_little(monkeypatch: pytest.MonkeyPatch) -> None:
    X, _ = training(4000)
    fold = np.arange(4000) // 40
    exact = Applicability().fit(X, fold)
    near = Applicability(approximation=0.2).fit(X, fold)
    new = X[:300] + 0.3 * X.std(axis=0)
    ratio = near.dissimilarity(new) / exact.dissimilarity(new)
    assert (ratio >= 1 - 1e-12).all()
    assert (ratio <= 1.2).all()
    monkeypatch.setattr(applicability, "PAIRED", 1000)
    monkeypatch.setattr(applicability, "ROWS", 70)
    drawn = Applicability(most=3000, seed=4).fit(X, fold)
    assert drawn.samples_.shape == (3000, 3)
    assert drawn.mean_distance_ == pytest.approx(exact.mean_distance_, rel=0.05)
    assert (drawn.is_inside(new) == exact.is_inside(new)).mean() > 0.93
    again = Applicability(most=3000, seed=4, workers=1).fit(X, fold)
    assert np.array_equal(again.dissimilarity(new), drawn.dissimilarity(new))


def test_an_area_comes_back_from_disk_to_the_bit(tmp_path: Path) -> None:
    X, fold = training()
    area = Applicability([0.7, 0.0, 0.3], approximation=0.1).fit(X, fold)
    area.save(tmp_path / "area.safetensors")
    read = Applicability.load(tmp_path / "area.safetensors")
    new = X + 0.5
    assert np.array_equal(read.dissimilarity(new), area.dissimilarity(new))
    assert np.array_equal(read.is_inside(new), area.is_inside(new))
    assert read.approximation == 0.1


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "area.safetensors"
    with pytest.raises(ModelProblem, match="no readable area"):
        Applicability.load(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(ModelProblem, match="expected a saved area of applicability"):
        Applicability.load(path)
    X, fold = training()
    Applicability().fit(X, fold).save(path)
    arrays = load_file(path)
    save_file({**arrays, "samples": arrays["samples"][:, :2].copy()}, path)
    with pytest.raises(ModelProblem, match="found samples of 2 features"):
        Applicability.load(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"groups": np.zeros(400)},
            "groups: found 1 blocks of complete samples, expected 2 or more",
        ),
        ({"groups": np.zeros(3)}, "found shape .400, 3. and 3 groups"),
        ({"X": np.ones((400, 3))}, "all of them the same"),
        ({"X": np.full((400, 3), np.nan)}, "found 0 blocks"),
        ({"weights": [1.0, 2.0]}, "expected 3 numbers of 0 or more"),
        ({"weights": [1.0, -2.0, 0.0]}, "expected 3 numbers of 0 or more"),
        ({"weights": [0.0, 0.0, 0.0]}, "weights: found nothing but 0"),
    ],
)
def test_what_does_not_suit_is_told(change: dict[str, object], words: str) -> None:
    X, fold = training()
    given: dict[str, object] = {"X": X, "groups": fold, "weights": None, **change}
    with pytest.raises(ValueProblem, match=words):
        Applicability(given["weights"]).fit(given["X"], given["groups"])


def test_a_fit_comes_first_and_features_keep_their_number(tmp_path: Path) -> None:
    for call in (
        lambda: Applicability().dissimilarity(np.zeros((2, 3))),
        lambda: Applicability().save(tmp_path / "area"),
    ):
        with pytest.raises(
            ModelProblem, match=r"area of applicability: found no fit\. Call fit first"
        ):
            call()
    area = Applicability().fit(*training())
    with pytest.raises(ModelProblem, match=r"expected .*, 3., the features of the fit"):
        area.dissimilarity(np.zeros((5, 2)))


def test_the_whisker_ends_at_a_value_that_is_there() -> None:
    values = np.random.default_rng(0).lognormal(size=500)
    found = upper_whisker(values)
    assert found in values
    low, high = np.quantile(values, [0.25, 0.75])
    assert not ((values > found) & (values <= high + 1.5 * (high - low))).any()
