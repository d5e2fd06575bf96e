"""A Bayesian search for parameters of a model, judged on blocks held out; it can be stopped and goes on.

Optuna draws the parameters (tree-structured Parzen estimators). Each draw has a random state of its own that
follows from the seed and the number of the trial, so that a search in two goes is the one in one go.

References
----------
Bergstra et al. (2011), NeurIPS 24; Akiba et al. (2019), KDD, doi:10.1145/3292500.3330701.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vadose.errors import ModelProblem, need
from vadose.models.base import Groups, Progress, Table, check_groups, check_training, quiet
from vadose.models.crossvalidation import deal_folds, fingerprint, out_of_fold, pooled_rmse
from vadose.models.spaces import SPACES, Space, default_of, holds, read_space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

#: Trials at random, before those that learn from the earlier ones.
AT_RANDOM = 6
#: Name of the file that a search is kept in: optuna's journal, one JSON object a line.
FILE = "search.jsonl"

__all__ = ["SPACES", "Found", "search"]


@dataclass(frozen=True, eq=False)
class Found:
    """Say what a search has found.

    Attributes
    ----------
    parameters
        The best ones, of those that were searched.
    rmse
        Their error out of fold, in units of the target; over all outputs together.
    trials
        One row per trial, from 0: the parameters, ``rmse`` (infinite where the model could not be fitted)
        and ``problem`` (why; else empty).
    """

    parameters: dict[str, Any]
    rmse: float
    trials: pd.DataFrame


def search(
    name: str,
    X: Table,
    y: Table,
    *,
    weight: Table | None = None,
    groups: Groups | None = None,
    space: Space | None = None,
    fixed: Mapping[str, Any] | None = None,
    trials: int = 20,
    folds: int = 4,
    seed: int = 0,
    folder: Path | None = None,
    progress: Progress = quiet,
) -> Found:
    """Search for the parameters of a model with the least error on groups not learned from.

    The first trial takes the model's defaults, if the space holds them, so that what is found is never
    worse than these on the same folds.

    Parameters
    ----------
    name
        A model of `vadose.models.MODELS`.
    X, y, weight, groups
        What the model is fitted with, see `vadose.models.base`.
    space
        What to search, parameter by parameter. Two numbers are a range: of whole numbers with both ends,
        or of any, on a logarithmic scale where it is above 0 and spans more than a factor of ten. More
        numbers, texts or truth values are choices. `SPACES` unless given.
    fixed
        Parameters with a value of their own; they are not searched, even where `space` names them.
    trials
        Number of combinations, with those of an earlier search that is taken up.
    folds
        Number of folds that each is judged by.
    seed
        Of the search, the folds and the model.
    folder
        Where finished trials and folds are kept. A search of the same samples, space and seed is taken
        up; others may stand beside it. The file is data: optuna's journal is JSON, and of its storages
        only others, with snapshots, unpickle.
    progress
        Told after each trial, with its error and the best.

    Raises
    ------
    UnknownName
        A model or parameter that does not exist.
    ModelProblem
        A space that is none, samples that do not suit, no trial that could be fitted, or a file that
        cannot be read.
    MissingExtra
        Without optuna.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((200, 2))
    >>> found = search("random_forest", X, X[:, 0], space={"leaf": [1, 50]}, fixed={"trees": 5}, trials=4)
    >>> found.parameters["leaf"] < 10
    True
    """
    from vadose.models import model_class, new_model, suited_parameters

    given = suited_parameters(name, fixed or {})
    need("optuna", extra="explain")
    distributions = read_space(name, SPACES[name] if space is None else space, given)
    if trials < 1:
        raise ModelProblem("trials", found=str(trials), expected="1 or more")
    table, target, share = check_training(X, y, weight, least=folds, kind=model_class(name).kind)
    blocks = check_groups(groups, table)
    is_known = np.isfinite(target.reshape(*blocks.shape, -1)).any(axis=-1)
    deal_folds(
        blocks, folds, seed=seed, is_known=np.asarray(is_known)
    )  # refuses what no trial can do

    def error_of(parameters: dict[str, Any]) -> float:
        values = out_of_fold(
            lambda fold: new_model(name, seed=seed, **given, **parameters),
            table,
            target,
            weight=share,
            groups=blocks,
            folds=folds,
            seed=seed,
            folder=None if folder is None else folder / "folds",
        )
        return pooled_rmse(values, target, share)

    what = (name, given, sorted(distributions.items()), folds, seed, table, target, share, blocks)
    with _silent():
        study = _open_study(folder, f"{name} {fingerprint(*what)}")
        finished = _finished(study, distributions, folder)[:trials]
    for number in range(len(finished), trials):
        with _silent():
            parameters = _draw(name, finished, distributions, seed)
        problem = ""
        try:
            error = error_of(parameters)
        except ModelProblem as refusal:
            error, problem = math.inf, str(refusal).rstrip(".")
        with _silent():
            finished.append(_note(study, parameters, distributions, error, problem))
        best = min(_value(trial) for trial in finished)
        progress(number + 1, trials, f"rmse {error:.4g}, best {best:.4g}")
    return _summary(finished)


def _draw(
    name: str,
    finished: Sequence[FrozenTrial],
    distributions: dict[str, BaseDistribution],
    seed: int,
) -> dict[str, Any]:
    """Draw the parameters of the next trial from those that are over."""
    import optuna

    defaults = {key: default_of(name, key) for key in distributions}
    if not finished and all(holds(one, defaults[key]) for key, one in distributions.items()):
        return defaults
    number = np.random.SeedSequence([seed, len(finished)]).generate_state(1)[0]
    sampler = optuna.samplers.TPESampler(
        seed=int(number), n_startup_trials=AT_RANDOM, multivariate=True, constant_liar=False
    )
    study = optuna.create_study(sampler=sampler)
    study.add_trials(finished)
    return dict(study.ask(distributions).params)


def _open_study(folder: Path | None, name: str) -> Study:
    """Take up the study of this name; only trials that are over are ever written to it."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    if folder is None:
        return optuna.create_study(study_name=name)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    with _readable(path):
        if path.exists() and not (content := path.read_bytes()).endswith(b"\n"):
            # the line that was being written when the search was stopped
            path.write_bytes(content[: content.rfind(b"\n") + 1])
        backend = JournalFileBackend(str(path), lock_obj=JournalFileOpenLock(str(path)))
        return optuna.create_study(
            storage=JournalStorage(backend), study_name=name, load_if_exists=True
        )


def _finished(
    study: Study, distributions: dict[str, BaseDistribution], folder: Path | None
) -> list[FrozenTrial]:
    """Read the trials of a study, and check that they are such as this search writes."""
    from optuna.trial import TrialState

    path = Path(FILE) if folder is None else folder / FILE
    with _readable(path):
        trials = study.get_trials(deepcopy=False)
        for trial in trials:
            if (
                trial.state != TrialState.COMPLETE
                or trial.distributions != distributions
                or not all(holds(one, trial.params[key]) for key, one in distributions.items())
                or not _value(trial) >= 0
            ):
                raise ValueError(f"trial {trial.number} is none of this search")
    return trials


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    from optuna.exceptions import OptunaError

    try:
        yield
    except (
        OSError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        AssertionError,
        RuntimeError,
        OptunaError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelProblem(
            path,
            found=f"no readable search ({reason})",
            expected="one that was written here",
            remedy="Remove the file to begin anew.",
        ) from error


def _note(
    study: Study,
    parameters: dict[str, Any],
    distributions: dict[str, BaseDistribution],
    error: float,
    problem: str,
) -> FrozenTrial:
    """Write a trial that is over, in one go."""
    from optuna.trial import create_trial

    trial = create_trial(
        params=parameters,
        distributions=distributions,
        value=error,
        user_attrs={"problem": problem},
    )
    study.add_trial(trial)
    return trial


def _value(trial: FrozenTrial) -> float:
    return math.nan if trial.value is None else float(trial.value)


def _summary(finished: Sequence[FrozenTrial]) -> Found:
    rows = [
        {**one.params, "rmse": _value(one), "problem": str(one.user_attrs.get("problem", ""))}
        for one in finished
    ]
    best = min(rows, key=lambda row: float(row["rmse"]))
    if math.isinf(best["rmse"]):
        raise ModelProblem(
            "search",
            found=f"no trial of {len(rows)} that could be fitted; the first: {rows[0]['problem']}",
            expected="one or more",
        )
    parameters = {key: value for key, value in best.items() if key not in ("rmse", "problem")}
    return Found(parameters, float(best["rmse"]), pd.DataFrame(rows))


@contextmanager
def _silent() -> Iterator[None]:
    """Keep optuna from logging and from warning of what is new in it."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
