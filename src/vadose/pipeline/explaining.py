"""Explain a fitted method of a run: what it relies on, how, and whether that holds at another scale."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import vadose
from vadose.downscale.downscaler import Generative, load_downscaler
from vadose.errors import MissingExtra, ModelProblem, RecipeProblem, UnknownName, ValueProblem
from vadose.models.trees import TreeModel
from vadose.pipeline.findings import (
    comparison_of,
    curve_of,
    notes_on,
    points_of,
    sensitivity_rows,
    table_of,
)
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.learning import held_back, learned_from, like, observed_part
from vadose.pipeline.plain import plain
from vadose.pipeline.relying import asked, is_short
from vadose.pipeline.scales import Scale, take_scales
from vadose.schema import variable
from vadose.store import open_cube, replaced
from vadose.validate.attribution import mean_size, shap_values
from vadose.validate.blocks import block_draws
from vadose.validate.effects import accumulated_effect, partial_dependence
from vadose.validate.feature_groups import TOGETHER, feature_groups
from vadose.validate.importance import (
    BlockErrors,
    Predict,
    block_errors,
    held_out_errors,
    importances,
    summed,
)
from vadose.validate.scales import TOLERANCE, share_outside
from vadose.validate.sensitivity import Sensitivity, sensitivity

if TYPE_CHECKING:
    from vadose.pipeline.progress import Progress

#: Places that a model is learned anew from, to judge it on held-out blocks, and how often that is done.
LEARNED, FOLDS = 4000, 3
#: Samples that SHAP values are made for, and that stand for what is usual.
ATTRIBUTED, USUAL = 200, 50
#: Features whose curves are drawn, at most one of each group.
CURVES = 6
#: Samples that curves are made from.
ALONG = 1000

Groups = Mapping[str, tuple[int, ...]]


def explain_method(
    folder: RunFolder, *, method: str | None, samples: int, seed: int | None, progress: Progress
) -> Path:
    """Write ``explanation/`` into a run folder: JSON and tables, all of them or none.

    Parameters
    ----------
    folder
        A run whose models are fitted.
    method
        Name of a method of the recipe with a model, or around one; the published one unless given.
    samples
        Places of each scale that the model is asked for.
    seed
        Of all that is drawn; that of the recipe unless given.
    progress
        Shows how far the work has come.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    UnknownName, RecipeProblem
        No such method, or one without a model.
    ValueProblem
        Too few samples.
    """
    folder.need("fit")
    if samples < 100:
        raise ValueProblem("samples", found=f"{samples}", expected="100 or more")
    recipe = folder.recipe
    name = _with_model(folder, method)
    seed = recipe.seed if seed is None else seed
    explaining = Explaining(folder, name, samples, seed)
    with progress("Taking samples at every scale"):
        explaining.take()
    with progress("Varying what the model is given") as step:
        explaining.respond(step)
    with progress("Learning anew without some blocks") as step:
        explaining.judge(step)
    with progress("Drawing lots among the features"):
        explaining.attribute()
    with progress("Following the effects of features") as step:
        explaining.follow(step)
    content = explaining.content
    with replaced(folder / "explanation", overwrite=True) as partial:
        partial.mkdir()
        text = json.dumps(plain(content), indent=1, allow_nan=False)
        (partial / "explanation.json").write_text(text + "\n", encoding="utf-8")
        for table in ("importances", "sensitivity"):
            (partial / f"{table}.csv").write_text(table_of(content[table]), encoding="utf-8")
        (partial / "effects.csv").write_text(
            table_of(points_of(content["effects"])), encoding="utf-8"
        )
    return folder / "explanation"


def _with_model(folder: RunFolder, method: str | None) -> str:
    """Find the method whose model is explained: itself, or the first with a model that it is made of."""
    from vadose.pipeline.parts import learned_parts

    recipe = folder.recipe
    if method is not None and method not in recipe.methods:
        raise UnknownName("method", method, recipe.methods)
    learned = [name for name, one in recipe.methods.items() if one.model is not None]
    parts = learned_parts(recipe, method or recipe.publish)
    if not parts and (method is not None or not learned):
        raise RecipeProblem(
            f"method {method or recipe.publish!r}",
            found="no model in it",
            expected=f"one of {', '.join(learned)}" if learned else "a method that learns",
        )
    return parts[0] if parts else learned[0]


class Explaining:
    """Collect what is found out about one method; every step draws from a generator of its own."""

    def __init__(self, folder: RunFolder, name: str, samples: int, seed: int) -> None:
        self.folder, self.name, self.samples, self.seed = folder, name, samples, seed
        self.recipe = folder.recipe
        loaded = load_downscaler(folder / f"models/{name}")
        self.downscaler = loaded.direct if isinstance(loaded, Generative) else loaded
        self.model = self.downscaler.model
        self.names = list(self.downscaler.feature_names_)
        self.content: dict[str, Any] = {
            "title": self.recipe.title,
            "method": name,
            "method_title": self.recipe.methods[name].title,
            "model": self.model.name,
            "target": self.recipe.target,
            "unit": variable(self.recipe.target).units,
            "seed": seed,
            "samples": samples,
            "vadose": vadose.__version__,
            "together": TOGETHER,
            "tolerance": TOLERANCE,
            "importances": [],
            "skill": [],
            "effects": [],
            "notes": notes_on(getattr(self.downscaler, "targets", ())),
        }

    def _predict(self, scale: Scale) -> Predict:
        return asked(self.downscaler, self.model, scale.finer)

    def _rng(self, place: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, place])

    def take(self) -> None:
        """Take samples at every scale, and group the features by how they go together in learning."""
        coarse = observed_part(open_cube(self.folder / "coarse.zarr"), self.recipe.target)
        self.learned, *finer = take_scales(
            self.folder,
            self.downscaler,
            samples=self.samples,
            learned=max(LEARNED, self.samples),
            rng=self._rng(0),
            known=learned_from(self.recipe, coarse, held_back(self.recipe, coarse)),
            method=self.name,
        )
        self.scales = [self.learned.some(self.samples, self._rng(1)), *finer]
        self.groups = feature_groups(self.learned.X, self.names)
        self.content["groups"] = {
            group: [self.names[column] for column in columns]
            for group, columns in self.groups.items()
        }
        self.content["outside"] = [
            {"scale": scale.name, "feature": feature, "share": share}
            for scale in finer
            for feature, share in share_outside(self.learned.X, scale.X, self.names).items()
        ]

    def respond(self, step: Any) -> None:
        """Measure what the model responds to at every scale, and test whether that stays the same."""
        numbers = np.unique(np.concatenate([scale.blocks for scale in self.scales]))
        drawn = numbers, block_draws(numbers, rng=self._rng(2))
        found: list[Sensitivity] = []
        for count, scale in enumerate(self.scales):
            # the same generator: the same partners, so that scales differ by their samples alone
            found.append(
                sensitivity(
                    self._predict(scale),
                    scale.X,
                    groups=self.groups,
                    blocks=scale.blocks,
                    rng=self._rng(3),
                    drawn=drawn,
                )
            )
            step(count + 1, len(self.scales))
        self.total = found[-1].total
        self.content["scales"] = [
            {
                "name": scale.name,
                "role": scale.role,
                "samples": len(scale.X),
                "blocks": len(np.unique(scale.blocks)),
                "spread": math.sqrt(result.variance),
            }
            for scale, result in zip(self.scales, found, strict=True)
        ]
        self.content["sensitivity"] = [
            row
            for scale, one in zip(self.scales, found, strict=True)
            for row in sensitivity_rows(scale.name, one)
        ]
        self.content["comparisons"] = [
            comparison_of(self.scales[0].name, scale.name, found[0], one)
            for scale, one in zip(self.scales[1:], found[1:], strict=True)
        ]

    def judge(self, step: Any) -> None:
        """Shuffle groups of features where the truth is known: on held-out blocks, and at finer scales."""
        if hasattr(self.model, "importances_"):
            for group, value in summed(self.model.importances_, self.groups).items():
                self._add("impurity", self.learned.name, group, value)
        known = self.learned.known.some(LEARNED, self._rng(4))
        folds = min(FOLDS, len(np.unique(known.blocks)))
        try:
            errors = self._learned_anew(known, folds, step)
            where = (
                f"held-out blocks, by {folds} models learned anew from up to "
                f"{len(known.X) * (folds - 1) // folds} samples each"
            )
        except (
            ModelProblem,
            ValueProblem,
        ) as error:  # one block only, or too few samples of a part
            self.content["notes"].append(f"No model could be learned anew. {error}")
            errors = block_errors(
                self._predict(known),
                known.X,
                known.y,
                groups=self.groups,
                blocks=known.blocks,
                rng=self._rng(5),
            )
            where = "samples learned from, as none could be held out: too good to be true"
        self._judged(known, errors, where)
        for scale in self.scales[1:]:
            truth = scale.known
            if len(truth.X) > 1:
                errors = block_errors(
                    self._predict(truth),
                    truth.X,
                    truth.y,
                    groups=self.groups,
                    blocks=truth.blocks,
                    rng=self._rng(6),
                )
                self._judged(truth, errors, "the withheld truth, of which the model saw means only")

    def _learned_anew(self, known: Scale, folds: int, step: Any) -> BlockErrors:
        learned = iter(range(1, folds + 1))

        def learn(X: Any, y: Any) -> Predict:
            fresh = like(self.recipe, self.name, self.model)
            if is_short(self.downscaler):
                X, y = X[:, None], y[:, None]
            fresh.fit(X, y)
            step(next(learned), folds)
            return asked(self.downscaler, fresh)

        return held_out_errors(
            learn,
            known.X,
            known.y,
            groups=self.groups,
            blocks=known.blocks,
            rng=self._rng(5),
            folds=folds,
            most=max(self.samples // max(folds, 1), 50),
        )

    def _judged(self, scale: Scale, errors: BlockErrors, where: str) -> None:
        values = scale.y[np.isfinite(scale.y)]
        self.content["skill"].append(
            {
                "scale": scale.name,
                "where": where,
                "samples": int(errors.count.sum()),
                "rmse": errors.rmse,
                "spread": float(values.std()),
            }
        )
        for one in importances(errors, rng=self._rng(7)):
            self._add("permutation", scale.name, one.group, one.value, one.lower, one.upper)

    def attribute(self) -> None:
        """Share predictions out among the features, where the library is there and it is cheap."""
        if self.learned.X.ndim > 2:
            self.content["notes"].append(f"No SHAP values for models of {self.model.kind}.")
            return
        trees = self.model.trees_ if isinstance(self.model, TreeModel) else []
        if len(trees) > 1:
            self.content["notes"].append("No SHAP values for models of several outputs.")
            return
        for scale in (self.scales[0], self.scales[-1]):
            some = scale.some(ATTRIBUTED + USUAL, self._rng(8))
            order = self._rng(9).permutation(len(some.X))
            usual, rows = some.X[order[:USUAL]], some.X[order[USUAL:]]
            try:
                values = shap_values(
                    self._predict(scale),
                    rows,
                    usual,
                    trees=trees[0] if trees else None,
                    seed=self.seed,
                )
            except MissingExtra as error:
                self.content["notes"].append(f"No SHAP values. {error}")
                return
            for group, value in mean_size(values, self.groups).items():
                self._add("shap", scale.name, group, value)

    def _add(
        self,
        measure: str,
        scale: str,
        group: str,
        value: float,
        lower: float = math.nan,
        upper: float = math.nan,
    ) -> None:
        row = {"measure": measure, "scale": scale, "group": group, "value": value}
        self.content["importances"].append({**row, "lower": lower, "upper": upper})

    def follow(self, step: Any) -> None:
        """Draw local effects of the features that matter most, at all scales; partial dependence once."""
        chosen = self._features()
        for count, column in enumerate(chosen):
            for place, scale in enumerate(self.scales):
                some = scale.some(ALONG, self._rng(10))
                predict = self._predict(scale)
                curves = [accumulated_effect(predict, some.X, column)]
                if place == 0:
                    curves.append(partial_dependence(predict, some.X, column))
                for curve in curves:
                    self.content["effects"].append(curve_of(scale.name, self.names[column], curve))
            step(count + 1, len(chosen))

    def _features(self) -> list[int]:
        """Choose the varying feature of each of the most important groups that changes the prediction most."""
        tables = [one.X.reshape(-1, one.X.shape[-1]) for one in self.scales]
        varies = {c for table in tables for c in np.flatnonzero(np.ptp(table, axis=0) > 0)}
        ranked = [list(self.groups.values())[at] for at in np.argsort(-self.total, kind="stable")]
        groups = [kept for group in ranked if (kept := [c for c in group if c in varies])][:CURVES]
        rows = self.scales[-1].some(ALONG // 5, self._rng(11))
        predict = self._predict(rows)
        own = getattr(self.model, "importances_", None)
        chosen = []
        for columns in groups:
            if own is not None:
                sizes = [float(own[column]) for column in columns]
            else:
                moved = [accumulated_effect(predict, rows.X, one, bins=5) for one in columns]
                sizes = [float(np.std(one.effect)) for one in moved]
            chosen.append(columns[int(np.argmax(sizes))])
        return chosen
