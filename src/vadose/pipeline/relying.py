"""What the models of the published method rely on: growth of their error when a predictor is shuffled."""

from __future__ import annotations

import numpy as np

from vadose.downscale.downscaler import Direct, Generative, Residual, load_downscaler
from vadose.errors import CubeProblem, ModelProblem, ValueProblem
from vadose.models.base import Model
from vadose.pipeline.findings import table_of
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.learning import held_back, learned_from, observed_part
from vadose.pipeline.parts import learned_parts
from vadose.pipeline.scales import Array, take_learned
from vadose.schema import variable
from vadose.store import open_cube
from vadose.validate.feature_groups import natural_group
from vadose.validate.importance import Predict, block_errors

#: Samples that are predicted with a predictor shuffled, and how often each is shuffled.
SAMPLES, REPEATS = 1000, 5
#: Columns of ``importances.csv``.
COLUMNS = (
    "predictor", "importance", "std", "model", "title", "measure", "unit", "samples", "repeats",
    "rmse",
)  # fmt: skip


def is_short(downscaler: Direct | Residual) -> bool:
    """Tell whether rows are handed to a model of sequences, as sequences of one step."""
    return isinstance(downscaler, Residual) and downscaler.model.kind == "sequences"


def asked(downscaler: Direct | Residual, model: Model, finer: int = 1) -> Predict:
    """Ask a model for samples of one scale; a kernel looks as far on the ground as in the product."""

    def predict(X: Array) -> Array:
        if hasattr(model, "finer"):
            model.finer = finer
        return model.predict(X[:, None])[:, 0] if is_short(downscaler) else model.predict(X)

    return predict


def importances_of(folder: RunFolder) -> str:
    """Measure what each model of the published method relies on, as a table.

    Returns
    -------
    str
        CSV: growth of the RMSE of `model`, ``importance``, when all that it knows of one `predictor` is taken
        from other samples, with its standard deviation over the repeats; on samples that it learned from. Of
        models whose samples cannot be exchanged there are no rows.
    """
    recipe = folder.recipe
    rows: list[dict[str, str | float | int]] = []
    for name in learned_parts(recipe, recipe.publish):
        about: dict[str, str | float | int] = {"model": name, "title": recipe.methods[name].title}
        try:
            rows += [about | row for row in _of_model(folder, name)]
        except (CubeProblem, ModelProblem, ValueProblem):
            continue  # the page says that there are none
    if not rows:
        return ",".join(COLUMNS) + "\n"
    return table_of([{column: row[column] for column in COLUMNS} for row in rows])


def _of_model(folder: RunFolder, name: str) -> list[dict[str, str | float | int]]:
    recipe = folder.recipe
    loaded = load_downscaler(folder / f"models/{name}")
    downscaler = loaded.direct if isinstance(loaded, Generative) else loaded
    coarse = observed_part(open_cube(folder / "coarse.zarr"), recipe.target)
    scale = take_learned(
        folder,
        downscaler,
        samples=SAMPLES,
        rng=np.random.default_rng([recipe.seed, 0]),
        known=learned_from(recipe, coarse, held_back(recipe, coarse)),
        method=name,
    ).known
    groups = predictor_groups(downscaler.feature_names_)
    rng = np.random.default_rng([recipe.seed, 1])
    predict = asked(downscaler, downscaler.model)
    grown, plain = [], 0.0
    for _ in range(REPEATS):
        errors = block_errors(
            predict, scale.X, scale.y, groups=groups, blocks=scale.blocks, rng=rng, repeats=1
        )
        plain = errors.rmse
        grown.append(np.sqrt(errors.shuffled.sum(axis=1) / errors.count.sum()) - plain)
    told: dict[str, str | float | int] = {
        "measure": "growth of the RMSE when shuffled",
        "unit": variable(recipe.target).units,
        "samples": int(errors.count.sum()),
        "repeats": REPEATS,
        "rmse": plain,
    }
    means, spreads = np.mean(grown, axis=0), np.std(grown, axis=0, ddof=1)
    found = zip(groups, means.tolist(), spreads.tolist(), strict=True)
    rows = [
        {"predictor": group, "importance": mean, "std": std, **told} for group, mean, std in found
    ]
    return sorted(rows, key=lambda row: -float(row["importance"]))


def predictor_groups(features: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Put together the columns of one predictor: its aspects, and the classes of land cover.

    Examples
    --------
    >>> predictor_groups(("albedo:value", "land_cover_savannas", "albedo:departure", "land_cover_barren"))
    {'albedo': (0, 2), 'land_cover': (1, 3)}
    """
    groups: dict[str, list[int]] = {}
    for column, feature in enumerate(features):
        groups.setdefault(natural_group(feature), []).append(column)
    return {name: tuple(columns) for name, columns in groups.items()}
