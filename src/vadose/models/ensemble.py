"""An ensemble of models, weighed by what each says of places it has not learned from: after Azedou et al."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np

from vadose.errors import ModelProblem
from vadose.models.base import (
    Column,
    Groups,
    Kind,
    Model,
    Progress,
    Table,
    check_groups,
    check_table,
    check_training,
    quiet,
    read_description,
    write_description,
)
from vadose.models.crossvalidation import best_weights, out_of_fold, parameters_of
from vadose.models.ranges import COUNT_OR_NONE, Range, check_ranges
from vadose.models.showing import Shown

#: Fewest places to learn from, so that every fold leaves enough for a member.
LEAST = 20
#: Steps that the fit of one member is told to have.
STEPS = 100


class EachStep:
    """Let a model of rows learn and predict every step of sequences by itself.

    Parameters
    ----------
    model
        A model of kind ``rows``. Of several outputs it learns at the steps where all are known.
    """

    name: ClassVar[str] = "each_step"
    kind: ClassVar[Kind] = "sequences"

    def __init__(self, *, model: Model) -> None:
        self.model = model

    def fit(
        self, X: Table, y: Table, *, weight: Table | None = None, groups: Groups | None = None
    ) -> Self:
        """Learn from the steps with a target.

        Raises
        ------
        ModelProblem
            No step at which all outputs are known, or what the model itself refuses.
        """
        is_known = np.isfinite(y.reshape(*X.shape[:-1], -1)).all(axis=-1)
        if not is_known.any():
            raise ModelProblem(
                f"{self.model.name}, one step at a time",
                found="no step at which all outputs are known",
                expected="some",
                remedy="Learn the outputs one by one, or without models of rows.",
            )
        blocks = check_groups(groups, X)
        share = None if weight is None else weight[is_known]
        self.model.fit(X[is_known], y[is_known], weight=share, groups=blocks[is_known])
        return self

    def predict(self, X: Table) -> Column:
        """Give one value per step (and output)."""
        values = self.model.predict(X.reshape(-1, X.shape[-1]))
        return values.reshape(*X.shape[:-1], *values.shape[1:])

    def save(self, folder: Path) -> None:
        """Write the model itself."""
        self.model.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a model of rows."""
        from vadose.models import load_model

        return cls(model=load_model(folder))


class Ensemble(Shown):
    """Average models with weights that are 0 or more and add up to one, for each output.

    The weights are those with the least square error out of fold: each member predicts every group of
    places without having learned from it. So the ensemble is there never worse than its best member, nor
    than equal weights. The members are then fitted on everything.

    Parameters
    ----------
    members
        Models of rows or sequences: names, as in ``"dnn, cnn, lstm"``; names with parameters, as in
        ``{"lstm": {"hidden": 32}}``; or models, of which fresh ones with the same parameters are fitted.
        A model of rows is applied to every step. Members given by name take the seed of the ensemble.
    folds
        Number of folds, dealt to whole groups.
    seed
        Same seed, same folds and members.

    Attributes
    ----------
    members_ : dict of Model
        Fitted on everything; the second of a name is ``"lstm 2"``.
    weights_ : numpy.ndarray
        Dims ``(output, member)``.
    comparison_ : dict
        ``rmse``, in units of the target, and ``r``, for each output, out of fold: of every member, of
        ``"best member"`` (chosen for each output), of ``"equal weights"`` and of ``"ensemble"``. The last
        is a little too good, since its few weights were learned on the same places. ``r`` is None where
        something does not vary.

    References
    ----------
    Breiman (1996), Machine Learning 24:49, for weights from cross-validation; after Azedou et al. (2025),
    Environ. Model. Softw., doi:10.1016/j.envsoft.2025.106824, whose weights are not to be had.

    Examples
    --------
    >>> from vadose.models import Boosting, RandomForest
    >>> X = np.random.default_rng(0).random((40, 10, 2))
    >>> members = [RandomForest(trees=5), Boosting(trees=20, leaf=5)]
    >>> ensemble = Ensemble(members=members, folds=2).fit(X, X[..., 0])
    >>> ensemble.weights_.sum(axis=-1).round(6)
    array([1.])
    """

    name: ClassVar[str] = "ensemble"
    kind: ClassVar[Kind] = "sequences"
    ranges: ClassVar[Mapping[str, Range]] = {"folds": Range(2), "seed": COUNT_OR_NONE}

    #: Told as the members are fitted; set by whoever wants to know.
    progress: Progress = staticmethod(quiet)
    #: Folder for checkpoints of every member and fold; set by whoever wants to resume.
    checkpoint: Path | None = None

    def __init__(
        self,
        *,
        members: str | Mapping[str, Mapping[str, Any]] | Sequence[Model] = "dnn, cnn, lstm",
        folds: int = 5,
        seed: int = 0,
    ) -> None:
        self.members, self.folds, self.seed = members, folds, seed

    def fit(
        self, X: Table, y: Table, *, weight: Table | None = None, groups: Groups | None = None
    ) -> Self:
        """Weigh the members out of fold, and fit them on everything.

        Raises
        ------
        ModelProblem
            Parameters out of their range, no members, members of another kind, samples that do not suit, or fewer groups than folds.
        UnknownName
            A member or parameter that does not exist.
        """
        check_ranges(self, self.ranges)
        labels = list(self._fresh())
        table, target, share = check_training(X, y, weight, least=LEAST, kind=self.kind)
        blocks = check_groups(groups, table)
        self.outputs_ = None if target.ndim < table.ndim else int(target.shape[-1])
        self.features_ = int(table.shape[-1])
        predicted = np.empty((*target.shape, len(labels)))
        members: dict[str, Model] = {}
        for number, label in enumerate(labels):
            predicted[..., number] = out_of_fold(
                partial(self._prepared, number),
                table,
                target,
                weight=share,
                groups=blocks,
                folds=self.folds,
                seed=self.seed,
                folder=self._folder(number),
            )
            member = self._prepared(number, None)
            members[label] = member.fit(table, target, weight=share, groups=blocks)
        outputs = self.outputs_ or 1
        self._weigh(
            predicted.reshape(-1, outputs, len(labels)),
            target.reshape(-1, outputs),
            np.ones(target.size // outputs) if share is None else share.ravel(),
            labels,
        )
        self.members_ = members
        total = self._steps(len(labels))
        self.progress(total, total, "weights learned")
        return self

    def _fresh(self) -> dict[str, Model]:
        """Make members that are not fitted yet, by label."""
        from vadose.models import new_model

        if isinstance(self.members, str):
            names = [name.strip() for name in self.members.split(",") if name.strip()]
            models = [new_model(name, seed=self.seed + place) for place, name in enumerate(names)]
        elif isinstance(self.members, Mapping):
            models = [
                new_model(name, seed=self.seed + place, **parameters)
                for place, (name, parameters) in enumerate(self.members.items())
            ]
        else:
            models = [cast(Any, type(one))(**parameters_of(one)) for one in self.members]
        if not models:
            raise ModelProblem("members of the ensemble", found="none", expected="one or more")
        return _labelled(models)

    def _prepared(self, number: int, fold: int | None) -> Model:
        """Make a member for a fold, or for the fit on everything, that tells and keeps how far it is."""
        fresh = self._fresh()
        label, model = list(fresh.items())[number]
        if fold is None:
            fold, place, part = self.folds, f"{label}, on everything", "everything"
        else:
            place, part = f"{label}, fold {fold + 1} of {self.folds}", f"fold_{fold}"
        before = (number * (self.folds + 1) + fold) * STEPS
        total = self._steps(len(fresh))

        def tell(done: int, steps: int, note: str = "") -> None:
            now = before + STEPS * done // max(steps, 1)
            self.progress(now, total, f"{place}, {note}" if note else place)

        tell(0, 1)
        folder = self._folder(number)
        _set(model, "progress", tell)
        _set(model, "checkpoint", None if folder is None else folder / part)
        return model

    def _steps(self, members: int) -> int:
        return members * (self.folds + 1) * STEPS

    def _folder(self, number: int) -> Path | None:
        return None if self.checkpoint is None else self.checkpoint / f"member_{number}"

    def _weigh(
        self, predicted: Column, target: Column, share: Column, labels: Sequence[str]
    ) -> None:
        """Learn the weights, and note the scores that tell what they are worth.

        Dims ``(place, output, member)``, ``(place, output)`` and ``(place,)``.
        """
        self.weights_ = np.empty((target.shape[1], len(labels)))
        self.comparison_: dict[str, dict[str, list[float | None]]] = {}
        for output, truth in enumerate(target.T):
            known = np.isfinite(truth)
            of_members, truth_known = predicted[known, output], truth[known]
            weight = share[known]
            self.weights_[output] = best_weights(of_members, truth_known, weight)
            equal = np.full(len(labels), 1 / len(labels))
            rows = dict(zip(labels, np.eye(len(labels)), strict=True))
            errors = [_scores(of_members @ one, truth_known, weight)[0] for one in rows.values()]
            rows["best member"] = np.eye(len(labels))[int(np.argmin(errors))]
            rows |= {"equal weights": equal, "ensemble": self.weights_[output]}
            for label, one in rows.items():
                rmse, r = _scores(of_members @ one, truth_known, weight)
                scores = self.comparison_.setdefault(label, {"rmse": [], "r": []})
                scores["rmse"].append(rmse)
                scores["r"].append(r)

    def predict(self, X: Table) -> Column:
        """Give the weighted mean of the members at every step.

        Raises
        ------
        ModelProblem
            Without a fit, or for samples that do not suit it.
        """
        self._need_fit()
        table = check_table(X, features=self.features_, kind=self.kind)
        shape = table.shape[:-1] if self.outputs_ is None else (*table.shape[:-1], self.outputs_)
        total = np.zeros(shape)
        for values, weight in self._said(table):
            total += values * weight
        return total

    def spread(self, X: Table, *, mean: Column | None = None) -> Column:
        """Give the weighted standard deviation of the members at every step; of one alone it is 0.

        `mean` is what `predict` gives, if it is known already; the errors are the same.
        """
        known = self.predict(X) if mean is None else mean
        said = self._said(check_table(X, features=self.features_, kind=self.kind))
        squares = (weight * (values - known) ** 2 for values, weight in said)
        return np.asarray(np.sqrt(sum(squares, np.zeros(np.shape(known)))))

    def _said(self, table: Table) -> Iterator[tuple[Column, Column]]:
        """Give what each member with a weight says, and its weight for each output."""
        for member, weight in zip(self.members_.values(), self.weights_.T, strict=True):
            if weight.any():
                yield member.predict(table), weight[0] if self.outputs_ is None else weight

    def _need_fit(self) -> None:
        if not hasattr(self, "members_"):
            raise ModelProblem(self.name, found="no fit", remedy="Call fit first.")

    def save(self, folder: Path) -> None:
        """Write ``model.json``, and every member into a folder of its own, ``member_0`` and so on."""
        self._need_fit()
        description = {
            "parameters": {"folds": self.folds, "seed": self.seed},
            "members": list(self.members_),
            "features": self.features_,
            "outputs": self.outputs_,
            "weights": self.weights_.tolist(),
            "comparison": self.comparison_,
        }
        write_description(folder, self.name, description)
        for part, member in zip(
            _parts(folder, len(self.members_)), self.members_.values(), strict=True
        ):
            part.mkdir()
            member.save(part)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a saved ensemble; its `members` are the models themselves.

        Raises
        ------
        ModelProblem
            Weights or members that do not suit, or a member that cannot be read.
        """
        from vadose.models import load_model

        description = read_description(folder, cls.name)
        labels = [str(label) for label in description["members"]]
        models = [load_model(part) for part in _parts(Path(folder), len(labels))]
        ensemble = cls(members=models, **description["parameters"])
        outputs = description["outputs"]
        ensemble.outputs_ = None if outputs is None else int(outputs)
        ensemble.features_ = int(description["features"])
        ensemble.comparison_ = dict(description["comparison"])
        ensemble.weights_ = np.array(description["weights"], dtype=np.float64)
        ensemble.members_ = _labelled(models)
        weights = ensemble.weights_
        if not (
            weights.shape == (ensemble.outputs_ or 1, len(labels))
            and np.isfinite(weights).all()
            and (weights >= 0).all()
            and np.allclose(weights.sum(axis=1), 1.0)
        ):
            raise ModelProblem(
                folder,
                found=f"weights {weights.tolist()}",
                expected=f"{len(labels)} for each output, 0 or more, adding up to one",
            )
        if labels != list(ensemble.members_):
            raise ModelProblem(
                folder,
                found=f"the members {', '.join(ensemble.members_)}",
                expected=", ".join(labels),
            )
        return ensemble


def _scores(predicted: Column, truth: Column, weight: Column) -> tuple[float, float | None]:
    """Give RMSE and correlation."""
    rmse = float(np.sqrt(np.average((predicted - truth) ** 2, weights=weight)))
    (one, both), (_, other) = np.cov(predicted, truth, aweights=weight, ddof=0)
    spread = float(np.sqrt(one * other))
    return rmse, float(both) / spread if spread > 0 else None


def _labelled(models: Sequence[Model]) -> dict[str, Model]:
    """Name each member, and let models of rows take sequences."""
    labelled: dict[str, Model] = {}
    for model in models:
        name = model.model.name if isinstance(model, EachStep) else model.name
        if model.kind == "patches" or name == Ensemble.name:
            raise ModelProblem(
                f"member {name!r} of the ensemble",
                found="an ensemble" if name == Ensemble.name else "kind 'patches'",
                expected="a single model of kind 'rows' or 'sequences'",
            )
        count = sum(label.split(" ")[0] == name for label in labelled) + 1
        label = name if count == 1 else f"{name} {count}"
        labelled[label] = EachStep(model=model) if model.kind == "rows" else model
    return labelled


def _set(model: Model, name: str, value: Any) -> None:
    """Hand something to a model that takes it, also one inside of `EachStep`."""
    inner = model.model if isinstance(model, EachStep) else model
    if hasattr(inner, name):
        setattr(inner, name, value)


def _parts(folder: Path, count: int) -> Iterator[Path]:
    return (folder / f"member_{number}" for number in range(count))
