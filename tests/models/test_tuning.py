"""A search finds what is better, is the same in one go or two, and trusts no file."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vadose.errors import MissingExtra, ModelProblem, UnknownName
from vadose.models import RandomForest
from vadose.models.crossvalidation import out_of_fold, pooled_rmse
from vadose.models.tuning import AT_RANDOM, FILE, Found, search

LEAVES = {"leaf": [1, 35], "features": [0.3, 1.0]}


def rows(count: int = 150) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.random((count, 3)).astype("f4")
    return X, X[:, 0].astype("f8") + 0.05 * rng.normal(size=count)


def run(trials: int, folder: Path | None = None, **changes: Any) -> Found:
    X, y = rows()
    settings = {"space": LEAVES, "fixed": {"trees": 3}, "folds": 2, "seed": 1} | changes
    return search("random_forest", X, y, trials=trials, folder=folder, **settings)


class Stop(Exception):
    pass


def stop_at(last: int) -> Any:
    def progress(done: int, total: int, note: str = "") -> None:
        if done == last:
            raise Stop

    return progress


# --- what is found ---


def test_the_best_trial_is_found_and_no_worse_than_the_defaults() -> None:
    X, y = rows()
    found = run(10)
    assert list(found.trials.columns) == ["features", "leaf", "rmse", "problem"]
    assert len(found.trials) == 10
    best = found.trials.loc[found.trials["rmse"].idxmin()]
    assert found.parameters == {"features": best["features"], "leaf": best["leaf"]}
    first = found.trials.loc[0]
    assert (first["leaf"], first["features"]) == (5, pytest.approx(1 / 3))  # the model's own
    assert found.rmse <= first["rmse"]
    assert found.parameters["leaf"] < 20
    values = out_of_fold(
        lambda fold: RandomForest(trees=3, seed=1, **found.parameters), X, y, folds=2, seed=1
    )
    assert found.rmse == pytest.approx(pooled_rmse(values, y), rel=1e-12)


def test_later_trials_learn_from_the_earlier_ones() -> None:
    """The error grows with the leaf, so that more trials than by chance have small ones."""
    found = run(AT_RANDOM + 14, space={"leaf": [1, 70]})
    later = found.trials["leaf"][AT_RANDOM:]
    assert (later <= 20).mean() > 0.6


def test_what_is_fixed_is_not_searched() -> None:
    found = run(2, fixed={"trees": "3", "leaf": 7})
    assert found.parameters.keys() == {"features"}
    with pytest.raises(ModelProblem, match="search space of random_forest: found nothing to sear"):
        run(2, fixed={"leaf": 7, "features": 0.5})


def test_sequences_with_gaps_weights_and_outputs_are_searched() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((24, 6, 2))
    y = np.stack([X[..., 0], X[..., 1]], axis=-1)
    y[0, 0] = np.nan
    found = search(
        "lstm",
        X,
        y,
        weight=1.0 + rng.random((24, 6)),
        groups=np.broadcast_to(np.arange(24)[:, None] // 4, (24, 6)),
        space={"rate": ["1e-4", "1e-2"], "hidden": [4, 8, 12]},
        fixed={"epochs": 2, "batch": 8},
        trials=2,
        folds=2,
    )
    assert np.isfinite(found.trials["rmse"]).all()
    assert set(found.trials["hidden"]) <= {4, 8, 12}


def test_a_trial_that_cannot_be_fitted_is_counted_with_its_reason() -> None:
    found = run(3, space={"leaf": [60, 5, 70]}, folds=2, seed=3)
    assert found.parameters == {"leaf": 5}
    problems = found.trials.loc[found.trials["leaf"] > 37, ["rmse", "problem"]]
    assert len(problems)
    assert np.isinf(problems["rmse"]).all()
    assert problems["problem"].str.contains("training data: found 75 samples, expected").all()
    with pytest.raises(
        ModelProblem,
        match=r"search: found no trial of 2 that could be fitted; the first: training data: found 75 samples, expected 120 or more, expected one",
    ):
        run(2, space={"leaf": [60, 60, 60]})


# --- stopping and going on ---


def test_a_search_in_two_goes_is_the_one_in_one_go(tmp_path: Path) -> None:
    count = AT_RANDOM + 4
    whole = run(count)
    with pytest.raises(Stop):
        run(count, tmp_path, progress=stop_at(3))
    run(AT_RANDOM + 2, tmp_path)
    told: list[tuple[int, int, str]] = []
    resumed = run(count, tmp_path, progress=lambda *what: told.append(what))
    assert [done for done, _, _ in told] == [count - 1, count]
    assert told[-1][2].startswith("rmse 0.")
    assert told[-1][2].endswith(f"best {whole.rmse:.4g}")
    assert resumed.trials.equals(whole.trials)
    assert resumed.parameters == whole.parameters
    assert run(4, tmp_path).trials.equals(whole.trials[:4])


def test_a_line_half_written_is_left_out(tmp_path: Path) -> None:
    run(3, tmp_path)
    path = tmp_path / FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    assert run(4, tmp_path).trials.equals(run(4).trials)
    assert all(json.loads(line) for line in path.read_text().splitlines())


@pytest.mark.parametrize(
    "changes",
    [{"seed": 2}, {"folds": 3}, {"fixed": {"trees": 4}}, {"space": {"leaf": [1, 9]}}],
    ids=["seed", "folds", "fixed", "space"],
)
def test_another_search_in_the_same_folder_begins_anew(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    run(2, tmp_path)
    assert run(2, tmp_path, **changes).trials.equals(run(2, **changes).trials)
    done: list[int] = []
    run(3, tmp_path, progress=lambda step, *_: done.append(step))
    assert done == [3]


def test_other_samples_begin_anew(tmp_path: Path) -> None:
    X, y = rows()
    settings: dict[str, Any] = {"space": LEAVES, "fixed": {"trees": 3}, "trials": 1, "folds": 2}
    one = search("random_forest", X, y, folder=tmp_path, **settings)
    for change in ({"y": 2.0 * y}, {"weight": np.where(y > 0.5, 2.0, 1.0)}):
        other = search("random_forest", X, **{"y": y, **change}, folder=tmp_path, **settings)
        assert other.rmse != one.rmse


# --- what is refused ---


def test_what_does_not_exist_is_refused() -> None:
    X, y = rows()
    with pytest.raises(UnknownName, match=r"parameter of random_forest 'leef'.*mean 'leaf'"):
        run(1, space={"leef": [1, 3]})
    with pytest.raises(UnknownName, match="parameter of random_forest 'seed'"):
        run(1, space={"seed": [1, 3]})
    with pytest.raises(UnknownName, match="model 'forest'"):
        search("forest", X, y)
    with pytest.raises(ModelProblem, match="trials: found 0, expected 1 or more"):
        run(0)
    with pytest.raises(ModelProblem, match="groups: found 1 with a target, expected 4 or more"):
        search("random_forest", X, y, groups=np.zeros(len(y), dtype=int))


# --- optuna and its file ---


def test_optuna_neither_speaks_nor_is_left_silenced(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    run(2, tmp_path)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before
    assert logging.getLogger("optuna").level == before


def test_without_optuna_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"optuna: .*pip install 'vadose\[explain\]'"):
        run(1)


def test_the_file_is_data_and_nothing_unpickles_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(2, tmp_path)

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("unpickled")

    storage = sys.modules["optuna.storages.journal._storage"]
    monkeypatch.setattr(storage.pickle, "loads", refuse)  # type: ignore[attr-defined]
    run(3, tmp_path)
    for line in (tmp_path / FILE).read_text().splitlines():
        assert isinstance(json.loads(line), dict)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {
        ".jsonl",
        ".safetensors",
    }


TAMPERED: dict[str, Any] = {
    "not JSON": lambda trial: "{",
    "a list": lambda trial: "[]",
    "an unknown operation": lambda trial: json.dumps({**trial, "op_code": 99}),
    "a choice out of range": lambda trial: json.dumps(
        {**trial, "params": {**trial["params"], "leaf": 10**6}}
    ),
    "another distribution": lambda trial: json.dumps(
        {
            **trial,
            "distributions": {
                **trial["distributions"],
                "leaf": trial["distributions"]["leaf"].replace("35", "36"),
            },
        }
    ),
    "a distribution that is none": lambda trial: json.dumps(
        {
            **trial,
            "distributions": {
                **trial["distributions"],
                "leaf": '{"name": "os.system", "attributes": {}}',
            },
        }
    ),
    "no parameters": lambda trial: json.dumps({**trial, "params": {}, "distributions": {}}),
    "a pickle": lambda trial: "\x80\x04N.",
    "a negative error": lambda trial: json.dumps({**trial, "value": -1.0}),
    "no error": lambda trial: json.dumps({**trial, "value": float("nan")}),
    "still running": lambda trial: json.dumps({**trial, "state": 0}),
    "a date that is none": lambda trial: json.dumps({**trial, "datetime_start": "yesterday"}),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_a_tampered_file_is_refused(case: str, tmp_path: Path) -> None:
    run(2, tmp_path)
    path = tmp_path / FILE
    study, first, second = path.read_text().splitlines()
    path.write_text("\n".join([study, TAMPERED[case](json.loads(first)), second]) + "\n")
    with pytest.raises(
        ModelProblem, match=r"search.jsonl: found no readable search \(.*Remove the file to begin"
    ):
        run(3, tmp_path)


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(ModelProblem, match="found no readable search"):
        run(1, tmp_path)
